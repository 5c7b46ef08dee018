"""The examples of docs/compat.md do what it says, as they stand there."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.adapters.pairs import Aside, plain_pair
from tests.compat.pairs import Files, client_context, meet, server_context
from tests.pki import Leaf
from tests.rules.example_world import World
from tests.test_readme import example

import handclasp
from handclasp import CertificateError, Fault

DOCUMENT = Path(__file__).parents[2] / "docs" / "compat.md"
KEY = bytes(range(32))
Printed = pytest.CaptureFixture[str]

TESTED = {
    "find_failure": "failure",
    "logging.getLogger": "log of a server",
    "print(tls.explain())": "story",
    "tls.send_early_data": "early data",
    "set_psk_server_callback": "server of keys",
    "set_psk_client_callback": "client of keys",
    "handclasp.PreSharedKey": "server without ssl",
}
"""A word of each example."""


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)


def test_every_example_is_run() -> None:
    assert len(blocks()) == len(TESTED)
    for word in TESTED:
        assert example(word, DOCUMENT)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run an example in the world of the examples, whose authority is the system's."""
    with World(tmp_path) as world, world.prepared(tmp_path, monkeypatch) as names:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))

        def run_it(word: str, **more: Any) -> None:
            exec(example(word, DOCUMENT), {**names, "ssl": ssl, "keys": {"sensor 7": KEY}, **more})

        yield run_it


def test_a_story(run: Callable[..., None], capsys: Printed) -> None:
    with socket.create_connection(("example.com", 443)) as sock:
        run("print(tls.explain())", sock=sock)
    assert "Hello, I am looking for example.com." in capsys.readouterr().out


def test_the_failure_in_an_exception(run: Callable[..., None], capsys: Printed) -> None:
    def fail(url: str) -> None:
        raise OSError("no connection", CertificateError(Fault.CERTIFICATE_EXPIRED))

    run("find_failure", httpx=SimpleNamespace(get=fail, TransportError=OSError))
    assert capsys.readouterr().out.startswith("The certificate has expired. ")


def test_the_log_of_a_server(run: Callable[..., None], files: Files, capsys: Printed) -> None:
    with replaced_handlers():
        run("logging.getLogger", logging=logging)
        server = server_context("handclasp", files)
        meet(server, ssl.create_default_context(), server_hostname="localhost")
    [line] = capsys.readouterr().err.splitlines()
    # The two are no TCP connection here, and so have no addresses.
    assert line.startswith("INFO:handclasp.compat:A client did not complete the handshake: PEER_")
    shown = DOCUMENT.read_text("utf-8")
    assert "INFO:handclasp.compat:The client at 127.0.0.1:50658 did not complete the hand" in shown


@contextmanager
def replaced_handlers() -> Iterator[None]:
    """Let `basicConfig` act as in a new process, and leave no trace."""
    root, logger = logging.getLogger(), logging.getLogger("handclasp.compat")
    handlers, root.handlers = root.handlers, []
    try:
        yield
    finally:
        root.handlers = handlers
        logger.setLevel(logging.NOTSET)


def test_early_data(run: Callable[..., None], capsys: Printed) -> None:
    run("tls.send_early_data", request=b"a request")
    assert capsys.readouterr().out == "b'a request'\n" * 2


@pytest.mark.parametrize("server", ["set_psk_server_callback", "handclasp.PreSharedKey"])
def test_pre_shared_keys(run: Callable[..., None], capsys: Printed, server: str) -> None:
    with plain_pair() as (left, right):
        serving = Aside(lambda: run(server, accepted=right, key=KEY))
        run("set_psk_client_callback", sock=left, key=KEY)
        serving.result()
    assert capsys.readouterr().out == "b'hello sensor 7'\n"


_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


@pytest.mark.parametrize("kind", ["ssl", "handclasp"])
def test_what_an_expired_certificate_raises(files: Files, kind: str) -> None:
    now = files.pki.now
    leaf = Leaf(
        ("example.com",), not_before=now - timedelta(days=9), not_after=now - timedelta(days=1)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.leaf("expired", leaf))
    met = meet(server, client_context(kind, files), server_hostname="example.com")
    told = "".join(traceback.format_exception_only(met.client)).strip()
    written = [
        re.sub(_TIME, "TIME", block).replace("_ssl.c:1006", "_ssl.c:1")
        for block in re.findall(r"```\n(.*?)\n```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    ]
    assert re.sub(r"_ssl\.c:\d+", "_ssl.c:1", re.sub(_TIME, "TIME", told)) in written
    assert isinstance(met.client, handclasp.TLSError) is (kind == "handclasp")
