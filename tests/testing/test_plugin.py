"""The pytest plugin in projects of others: with any client, in any event loop, in any process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from tests.required import lacking
from tests.rules.source import ROOT

MODULE = "handclasp.testing.pytest_plugin"

# An installation of before the entry point knows the plugin by its module alone.
LOADED = [] if entry_points(group="pytest11", name="handclasp") else ["-p", MODULE]

PROJECT = """
import asyncio, socket, ssl, threading, urllib.error, urllib.request
import pytest

def fetch(server, context):
    return urllib.request.urlopen(server.url, context=context, timeout=5).read()

def test_a_good_server(tls_authority, tls_server):
    server = tls_server()
    assert b"no objection" in fetch(server, tls_authority.client_context())
    assert server.outcome().result == "accepted"

@pytest.mark.parametrize("fault", ["expired", "wrong-host", "self-signed", "bad-finished"])
def test_ssl(tls_authority, tls_server, fault):
    server = tls_server(fault)
    with pytest.raises(urllib.error.URLError):
        fetch(server, tls_authority.client_context())
    assert server.outcome().result == "refused"

def test_several_servers(tls_authority, tls_server):
    servers = [tls_server(name) for name in ("expired", None, "untrusted")]
    context = tls_authority.client_context()
    for server in (servers[0], servers[2]):
        with pytest.raises(urllib.error.URLError):
            fetch(server, context)
    assert fetch(servers[1], context)

async def connect(server, context):
    reader, writer = await asyncio.open_connection("localhost", server.port, ssl=context)
    writer.close()

def test_asyncio(tls_authority, tls_server):
    server = tls_server("expired")
    with pytest.raises(ssl.SSLCertVerificationError):
        asyncio.run(connect(server, tls_authority.client_context()))

def server_context(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*authority.server_files())
    return context

ALERTS = {
    "bad-finished": "decrypt_error",
    "expired": "certificate_expired",
    "no-certificate": "certificate_required",
}

@pytest.mark.parametrize("fault", ALERTS)
def test_a_server_of_ssl(tls_authority, tls_client, fault):
    def serve():
        sock, _ = listener.accept()
        with sock, pytest.raises(ssl.SSLError):
            server_context(tls_authority).wrap_socket(sock, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        outcome = tls_client(fault, listener.getsockname()[1])
        thread.join()
    assert (outcome.result, outcome.alert) == ("refused", ALERTS[fault])

def test_a_server_of_asyncio(tls_authority, tls_client):
    # asyncio drops the alert of a failed handshake: all that a client sees is the end.
    async def main():
        server = await asyncio.start_server(
            lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=server_context(tls_authority)
        )
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await asyncio.to_thread(tls_client, "bad-finished", port)
    assert asyncio.run(main()).result in ("left", "refused")

def test_client_files(tls_authority):
    context = tls_authority.client_context()
    context.load_cert_chain(*tls_authority.client_files("alice"))

@pytest.fixture(scope="module", autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before
"""

ANYIO = """
import ssl
import anyio, pytest

pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def test_a_client(tls_authority, tls_server):
    server = tls_server("expired")
    with pytest.raises(ssl.SSLError):
        await anyio.connect_tcp(
            "localhost", server.port, ssl_context=tls_authority.client_context(), tls=True
        )
"""

UNUSED = """
import sys

def test_nothing_is_imported_unasked():
    ours = {name for name in sys.modules if name.partition(".")[0] == "handclasp"}
    assert ours == {"handclasp", "handclasp.testing", "handclasp.testing.pytest_plugin"}
    assert not {"cryptography", "ssl"} & set(sys.modules)
"""


def run(project: Path, arguments: Sequence[str] = ()) -> str:
    """Run pytest in a project of its own; what it prints. Warnings are errors there, too."""
    (project / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", *LOADED, "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_a_project(tmp_path: Path, arguments: Sequence[str]) -> None:
    (tmp_path / "test_project.py").write_text(PROJECT)
    assert re.search(r"\b12 passed\b", run(tmp_path, arguments))


def test_a_project_with_anyio(tmp_path: Path) -> None:
    pytest.importorskip("anyio")
    (tmp_path / "test_project.py").write_text(ANYIO)
    assert "1 passed" in run(tmp_path)


def test_a_project_that_does_not_use_it(tmp_path: Path) -> None:
    (tmp_path / "test_project.py").write_text(UNUSED)
    assert "1 passed" in run(tmp_path, ["-p", "no:anyio", "-p", "no:xdist", "-p", "no:hypothesis"])


@pytest.mark.long
def test_the_example_in_a_bare_environment(tmp_path: Path) -> None:
    """The wheel, requests and pytest, and nothing else: the plugin is there without being named."""
    project = shutil.copytree(ROOT / "examples" / "faulty_servers", tmp_path / "project")
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", place], check=True, timeout=100)
    scripts = Path(sysconfig.get_path("scripts", "venv", {"base": str(place)}))
    pip: list[str | Path] = [
        scripts / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    got = subprocess.run(
        [*pip, "cryptography>=50", "requests", "pytest"], capture_output=True, timeout=300
    )
    if got.returncode:
        lacking("there is no package index")
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    build: list[str | Path] = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        tmp_path,
    ]
    subprocess.run(
        build, cwd=ROOT, env=environment | {"HANDCLASP_PURE": "1"}, check=True, timeout=100
    )
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([*pip, "--no-index", wheel], check=True, timeout=100)
    done = subprocess.run(
        [scripts / "python", "-m", "pytest"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 passed" in done.stdout
