"""Every program under examples/ runs by itself and prints what it is there to show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

SHOWN = {
    "asgi_mutual_tls": ["200 Hello CN=alice", "403 Show a certificate."],
    "asyncio_echo": ["hello", "TLSv1.3"],
    "early_data": ["in time: GET /time (none)", "early: GET /time (accepted)"],
    "encrypted_client_hello": [
        "client: secret.example, encrypted: True",
        "asyncio: secret.example, encrypted: True",
        "client: rejected, and once more: public.example",
        "client: secret.example, encrypted: True",
    ],
    "exporters": ["welcome", "The exported keys are equal"],
    "failure_explained": ["Fault:    CERTIFICATE_UNTRUSTED", "At fault: unclear", "unknown_ca"],
    "first_handshake": ["You said: hello", "X25519MLKEM768", "handshake.html in a browser"],
    "mutual_tls": [
        "Hello alice.clients.internal, you are known",
        "this side has sent none",
        "this server requires one",
    ],
    "pre_shared_key": ["hello, sensor 7", "Certificates: 0"],
    "raw_public_key": ["The server was known by its RawPublicKey"],
    "reload_certificates": ["Another certificate after the renewal: True"],
    "remote_signer": ["hello\nhello\nhello", "Signatures: 3"],
    "sans_io": ["client: HandshakeCompleted", "server: DataReceived", "HELLO"],
    "sessions": [
        "in memory, second visit: resumed",
        "in a file, first visit: full handshake",
        "in a file, second visit: resumed",
    ],
    "trio_echo": ["hello", "TLSv1.3"],
    "unchanged_program": [
        "TLSv1.3",
        "unable to get local issuer certificate",
        "Why: No path leads from the certificate to a trusted authority.",
        "What to do: ",
        "At fault: ",
    ],
    "verification_callback": ["hello", "valid for 397 days, and 1 are enough"],
}
"""What the output of each must contain, in this order."""

WARNINGS = ("-W", "error::DeprecationWarning", "-W", "default::ResourceWarning")
NEEDED = {"asgi_mutual_tls": ("starlette", "uvicorn"), "trio_echo": ("trio",)}


def _need_what_it_needs(name: str) -> None:
    missing = [each for each in NEEDED.get(name, ()) if find_spec(each) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_an_example(name: str, tmp_path: Path) -> None:
    _need_what_it_needs(name)
    done = subprocess.run(
        [sys.executable, *WARNINGS, EXAMPLES / f"{name}.py"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    at = 0
    for wanted in SHOWN[name]:
        at = done.stdout.find(wanted, at)
        assert at >= 0, done.stdout


ECHO_SERVERS = {
    "asyncio_echo": """
async def serve():
    async with await handclasp.aio.start_server(
        example.echo, "127.0.0.1", 0, config=config
    ) as server:
        await asyncio.to_thread(visit, server.sockets[0].getsockname()[1])

asyncio.run(serve())
""",
    "trio_echo": """
import trio

async def serve():
    async with trio.open_nursery() as nursery:
        serving = partial(handclasp.trio.serve_tls, example.echo, 0, config, host="127.0.0.1")
        listeners = await nursery.start(serving)
        await trio.to_thread.run_sync(visit, listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()

trio.run(serve)
""",
}
BAD_CLIENTS = """
import asyncio, socket, struct, sys, tempfile
from functools import partial
import handclasp
from handclasp import ClientConfig, ServerConfig
from handclasp.certificates.authority import LocalAuthority
import {name} as example

authority = LocalAuthority.open_or_create(tempfile.mkdtemp())
config = ServerConfig(credentials=authority.credentials(["localhost"]))

def visit(port):
    for how in "an end", "a reset", "a farewell":
        client = ClientConfig(trust=authority.trust)
        tls = handclasp.connect("127.0.0.1", port, client, server_name="localhost", timeout=20)
        tls.sendall(b"hello")
        assert tls.recv(100) == b"hello"
        if how == "a farewell":
            tls.close()
            continue
        with socket.socket(fileno=tls.detach()) as plain:
            if how == "a reset":
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""


@pytest.mark.parametrize("name", sorted(ECHO_SERVERS))
def test_a_client_that_leaves_badly_ends_itself_alone(name: str, tmp_path: Path) -> None:
    """A handler that is copied out of the examples serves the next client, and logs no failure."""
    _need_what_it_needs(name)
    program = BAD_CLIENTS.replace("{name}", name) + ECHO_SERVERS[name]
    path = os.pathsep.join([str(ROOT / "src"), str(EXAMPLES)])
    done = subprocess.run(
        [sys.executable, *WARNINGS, "-c", program],
        env=os.environ | {"PYTHONPATH": path, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    ended, reset = done.stdout.splitlines()
    assert "without close_notify" in ended
    assert "reset" in reset or "without close_notify" in reset


def test_every_example_is_listed_and_run() -> None:
    programs = {path.stem for path in EXAMPLES.glob("*.py")}
    listed = set(re.findall(r"\[(\w+)\.py\]", (EXAMPLES / "README.md").read_text("utf-8")))
    assert programs == set(SHOWN) == listed
