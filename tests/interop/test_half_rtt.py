"""Data with the server's first flight, before other stacks' clients have sent their Finished."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.required import need_tool

from handclasp import (
    Credentials,
    DataReceived,
    HalfRttReady,
    HandshakeCompleted,
    ServerConfig,
    ServerConnection,
)

from .peers.base import CACHE, Process, running
from .pki import Authority
from .test_zero_rtt import OPENSSL, SECONDS, Talk

pytestmark = [pytest.mark.interop, pytest.mark.fast]

GREETING = b"220 ready before you are\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def config(authority: Authority) -> ServerConfig:
    identity = authority.server()
    credentials = Credentials.load(identity.chain, identity.key)
    return ServerConfig(credentials=credentials, half_rtt_data=True)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        yield listener


def greeted(listener: socket.socket, config: ServerConfig) -> Talk:
    """Accept a client, greet it as soon as that is allowed, and complete the handshake."""
    sock, _ = listener.accept()
    connection = ServerConnection(config)
    talk = Talk(connection, sock)
    talk.until(HalfRttReady)
    assert connection.info is None
    connection.send_half_rtt_data(GREETING)
    talk.flush()
    assert connection.info is None
    talk.until(HandshakeCompleted)
    return talk


@pytest.mark.parametrize("program", OPENSSL, ids=["openssl", "openssl35"])
@pytest.mark.parametrize("group", ["X25519", "secp384r1"])
def test_openssl(
    listener: socket.socket,
    config: ServerConfig,
    authority: Authority,
    tmp_path: Path,
    program: str,
    group: str,
) -> None:
    """With a group that it sends no share for, a HelloRetryRequest comes in between."""
    need_tool(program)
    config = ServerConfig(credentials=config.credentials, half_rtt_data=True, groups=[group])
    port = listener.getsockname()[1]
    command = [program, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"]
    command += ["-CAfile", str(authority.path), "-servername", "localhost"]
    with running(Process(command, tmp_path)) as process:
        talk = greeted(listener, config)
        process.wait_for(GREETING.strip())
        process.write(b"thank you\n")
        talk.until(DataReceived)
        assert b"thank you" in talk.data()
        talk.say(b"and more\n")
        process.wait_for(b"and more")
        talk.end()


def test_gnutls(
    listener: socket.socket, config: ServerConfig, authority: Authority, tmp_path: Path
) -> None:
    command = [need_tool("gnutls-cli"), "--x509cafile", str(authority.path), "localhost"]
    command += ["--port", str(listener.getsockname()[1]), "--no-ca-verification"]
    with running(Process(command, tmp_path)) as process:
        talk = greeted(listener, config)
        process.wait_for(GREETING.strip())
        talk.say(b"and more\n")
        process.wait_for(b"and more")
        talk.end()


def test_go(
    listener: socket.socket, config: ServerConfig, authority: Authority, tmp_path: Path
) -> None:
    """Its program sends what it is given, and reads as much: here, what came before."""
    program = CACHE / "go-peer"
    if not program.exists():
        pytest.skip("the Go program is not built (make peers)")
    payload = tmp_path / "payload"
    payload.write_bytes(bytes(len(GREETING)))
    port = str(listener.getsockname()[1])
    command = [str(program), "client", "--port", port, "--ca", str(authority.path)]
    command += ["--payload", str(payload), "--tls", "TLSv1.3"]
    with running(Process(command, tmp_path)) as process:
        talk = greeted(listener, config)
        talk.until(DataReceived)
        talk.end()
        process.wait_for(hashlib.sha256(GREETING).hexdigest().encode("ascii"))


def test_python(listener: socket.socket, config: ServerConfig, authority: Authority) -> None:
    received: list[bytes] = []

    def client() -> None:
        context = ssl.create_default_context(cafile=str(authority.path))
        with (
            socket.create_connection(listener.getsockname(), SECONDS) as sock,
            context.wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            received.append(tls.recv(100))
            tls.sendall(b"thank you")
            received.append(tls.recv(100))

    thread = threading.Thread(target=client)
    thread.start()
    try:
        talk = greeted(listener, config)
        talk.until(DataReceived)
        talk.end()
    finally:
        thread.join(SECONDS)
    assert received == [GREETING, b""]
    assert talk.data() == b"thank you"
