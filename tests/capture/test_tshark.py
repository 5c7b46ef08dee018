"""Wireshark reads what we and others say to each other, with the secrets that we logged.

Its dissector is a third opinion: it derives the keys from the key log, decrypts every record and
parses every message by itself.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.capture.sniffer import Capture, Message, capturing
from tests.children import child
from tests.required import need_tool

import handclasp
from handclasp import ClientConfig, ServerConfig, TLSSocket
from handclasp.certificates.authority import LocalAuthority

pytestmark = [pytest.mark.capture, pytest.mark.timeout(60)]

# HandshakeType, RFC 8446 section 4. A HelloRetryRequest has the type of a ServerHello.
CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET = 1, 2, 4
ENCRYPTED_EXTENSIONS, CERTIFICATE_VERIFY, FINISHED, KEY_UPDATE = 8, 15, 20, 24
CERTIFICATE, COMPRESSED_CERTIFICATE = 11, 25
SERVER_KEY_EXCHANGE, SERVER_HELLO_DONE, CLIENT_KEY_EXCHANGE = 12, 14, 16

RETRY = [Message("client", CLIENT_HELLO), Message("server", SERVER_HELLO)]
HANDSHAKE = [
    Message("client", CLIENT_HELLO),
    Message("server", SERVER_HELLO),
    Message("server", ENCRYPTED_EXTENSIONS),
    Message("server", CERTIFICATE),
    Message("server", CERTIFICATE_VERIFY),
    Message("server", FINISHED),
    Message("client", FINISHED),
]
COMPRESSED = [
    replace(message, kind=COMPRESSED_CERTIFICATE) if message.kind == CERTIFICATE else message
    for message in HANDSHAKE
]
"""Between two ends of ours, which both know how to (RFC 8879)."""
HANDSHAKE12 = [
    Message("client", CLIENT_HELLO),
    Message("server", SERVER_HELLO),
    Message("server", CERTIFICATE),
    Message("server", SERVER_KEY_EXCHANGE),
    Message("server", SERVER_HELLO_DONE),
    Message("client", CLIENT_KEY_EXCHANGE),
    Message("client", FINISHED),
    Message("server", FINISHED),
]
UPDATES = [Message("client", KEY_UPDATE), Message("server", KEY_UPDATE)]
IN_THE_CLEAR = {CLIENT_HELLO, SERVER_HELLO}

BEFORE, AFTER = b"before the new keys " * 99, b"after the new keys " * 999


@pytest.fixture
def authority(tmp_path: Path) -> LocalAuthority:
    return LocalAuthority.open_or_create(tmp_path / "authority")


@pytest.fixture
def keylog(tmp_path: Path) -> Path:
    return tmp_path / "secrets.log"


def files_of(authority: LocalAuthority, directory: Path) -> list[str]:
    """A fresh certificate for localhost, as arguments of openssl."""
    issued = authority.issue(["localhost"])
    chain, key = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(issued.chain_pem)
    key.write_bytes(issued.key_pem)
    return ["-cert", str(chain), "-key", str(key)]


@contextmanager
def echoing(listener: socket.socket, config: ServerConfig) -> Iterator[None]:
    """A server of ours that sends one client back what it says, inside the block."""
    failures: list[Exception] = []

    def serve() -> None:
        try:
            sock, _ = listener.accept()
            sock.settimeout(20)
            with handclasp.wrap_server(sock, config) as tls:
                while data := tls.recv(65536):
                    tls.sendall(data)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
        thread.join(20)
        assert not thread.is_alive()
        assert failures == []
    finally:
        if thread.is_alive():
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(25)


def retrying(config: ClientConfig) -> ClientConfig:
    """The same, but a server that wants secp384r1 has to ask for a share."""
    return replace(config, groups=["X25519", "secp384r1"], key_shares=["X25519"])


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def exchange(tls: TLSSocket, data: bytes) -> None:
    """Say something to an echo and hear it."""
    tls.sendall(data)
    heard = b""
    while len(heard) < len(data):
        chunk = tls.recv(65536)
        assert chunk
        heard += chunk
    assert heard == data


def converse(listener: socket.socket, client: ClientConfig, server: ServerConfig) -> None:
    """A conversation of our own two ends with a change of keys in its middle."""
    with (
        echoing(listener, server),
        handclasp.connect(
            "127.0.0.1", port_of(listener), client, server_name="localhost", timeout=20
        ) as tls,
    ):
        exchange(tls, BEFORE)
        tls.update_keys(request_peer=True)
        exchange(tls, AFTER)


def check_handshake(capture: Capture, keylog: Path, expected: list[Message]) -> None:
    """The dissector finds these messages in this order, and their contents make sense to it."""
    assert capture.messages(keylog) == expected
    assert capture.malformed(keylog) == []
    assert "localhost" in capture.values("x509ce.dNSName", keylog)
    assert capture.values("tls.handshake.sig_hash_alg", keylog)[-1] == "0x0403"
    assert len(capture.values("tls.handshake.verify_data", keylog)) == 2


def check_secrecy(capture: Capture) -> None:
    """Without the secrets, there is nothing to see beyond the hellos."""
    assert {message.kind for message in capture.messages(None)} == IN_THE_CLEAR
    assert capture.values("x509ce.dNSName", None) == []
    assert b"the new keys" not in capture.path.read_bytes()


@pytest.mark.parametrize("suite", sorted(ClientConfig(versions=["TLSv1.3"]).cipher_suites))
def test_our_client_and_our_server(
    authority: LocalAuthority, tmp_path: Path, keylog: Path, suite: str
) -> None:
    server = ServerConfig(credentials=authority.credentials(["localhost"]))
    client = ClientConfig(trust=authority.trust, cipher_suites=[suite], keylog=keylog)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        capturing(port_of(listener), tmp_path) as capture,
    ):
        converse(listener, client, server)
    check_handshake(capture, keylog, COMPRESSED + UPDATES)
    assert capture.talk(keylog) == {"client": BEFORE + AFTER, "server": BEFORE + AFTER}
    check_secrecy(capture)


@pytest.mark.parametrize("suite", sorted(ClientConfig(versions=["TLSv1.2"]).cipher_suites))
def test_our_client_and_our_server_in_tls12(
    authority: LocalAuthority, tmp_path: Path, keylog: Path, suite: str
) -> None:
    key_type = "rsa-2048" if "_RSA_" in suite else "ecdsa-p256"
    server = ServerConfig(credentials=authority.credentials(["localhost"], key_type=key_type))
    client = ClientConfig(
        trust=authority.trust, cipher_suites=[suite], versions=["TLSv1.2"], keylog=keylog
    )
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        capturing(port_of(listener), tmp_path) as capture,
        echoing(listener, server),
        handclasp.connect(
            "127.0.0.1", port_of(listener), client, server_name="localhost", timeout=20
        ) as tls,
    ):
        exchange(tls, BEFORE)
    assert capture.messages(keylog) == HANDSHAKE12
    assert capture.malformed(keylog) == []
    assert capture.talk(keylog) == {"client": BEFORE, "server": BEFORE}
    assert capture.talk(None) == {"client": b"", "server": b""}


@pytest.mark.parametrize("logs", ["client", "server"])
def test_a_hello_retry_request_with_the_secrets_of_either_end(
    authority: LocalAuthority, tmp_path: Path, keylog: Path, logs: str
) -> None:
    log = {name: keylog if name == logs else None for name in ("client", "server")}
    credentials = authority.credentials(["localhost"])
    server = ServerConfig(credentials=credentials, groups=["secp384r1"], keylog=log["server"])
    client = retrying(ClientConfig(trust=authority.trust, keylog=log["client"]))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        capturing(port_of(listener), tmp_path) as capture,
    ):
        converse(listener, client, server)
    check_handshake(capture, keylog, RETRY + COMPRESSED + UPDATES)
    assert capture.talk(keylog) == {"client": BEFORE + AFTER, "server": BEFORE + AFTER}


@pytest.mark.parametrize("retried", [False, True], ids=["direct", "retried"])
def test_our_client_and_the_server_of_openssl(
    authority: LocalAuthority, tmp_path: Path, keylog: Path, retried: bool
) -> None:
    command = [need_tool("openssl"), "s_server", "-accept", "127.0.0.1:0", "-www", "-tls1_3"]
    command += [*files_of(authority, tmp_path), "-groups", "P-384" if retried else "X25519"]
    client = ClientConfig(trust=authority.trust, keylog=keylog)
    client = retrying(client) if retried else client
    request = b"GET /the/new/keys HTTP/1.0\r\n\r\n"
    with child(command, tmp_path) as server:
        port = int(server.wait_for(r"ACCEPT 127\.0\.0\.1:(\d+)")[1])
        with (
            capturing(port, tmp_path) as capture,
            handclasp.connect(
                "127.0.0.1", port, client, server_name="localhost", timeout=20
            ) as tls,
        ):
            tls.update_keys(request_peer=True)
            tls.sendall(request)
            answer = b"".join(iter(lambda: tls.recv(65536), b""))
    found = capture.messages(keylog)
    tickets = [message for message in found if message.kind == NEW_SESSION_TICKET]
    assert tickets
    others = [message for message in found if message.kind != NEW_SESSION_TICKET]
    assert others == (RETRY if retried else []) + HANDSHAKE + UPDATES
    assert answer.startswith(b"HTTP/1.0 200")
    assert capture.talk(keylog) == {"client": request, "server": answer}
    assert capture.malformed(keylog) == []
    check_secrecy(capture)


@pytest.mark.parametrize("groups", ["X25519:P-384", "P-384"], ids=["retried", "direct"])
def test_the_client_of_openssl_and_our_server(
    authority: LocalAuthority, tmp_path: Path, keylog: Path, groups: str
) -> None:
    command = [need_tool("openssl"), "s_client", "-tls1_3", "-msg", "-groups", groups]
    command += ["-CAfile", str(tmp_path / "authority" / "ca.pem"), "-verify_return_error"]
    command += ["-servername", "localhost", "-verify_hostname", "localhost"]
    credentials = authority.credentials(["localhost"])
    config = ServerConfig(credentials=credentials, groups=["secp384r1"], keylog=keylog)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        capturing(port_of(listener), tmp_path) as capture,
        echoing(listener, config),
        child([*command, "-connect", f"127.0.0.1:{port_of(listener)}"], tmp_path) as client,
    ):
        client.wait_for(r"Verify return code: 0 \(ok\)")
        say(client.write, client.wait_for, b"before the new keys")
        client.write(b"K\n")  # Its console's letter for a KeyUpdate that asks for another.
        client.wait_for(r"^<<< .*KeyUpdate")
        say(client.write, client.wait_for, b"after the new keys")
        client.end_input()
        assert client.wait() == 0
    retried = RETRY if ":" in groups else []
    flights = retried + HANDSHAKE + [Message("server", NEW_SESSION_TICKET)] * 2 + UPDATES
    check_handshake(capture, keylog, flights)
    said = b"before the new keys\nafter the new keys\n"
    assert capture.talk(keylog) == {"client": said, "server": said}
    check_secrecy(capture)


def say(write: Callable[[bytes], None], wait_for: Callable[[str], object], line: bytes) -> None:
    """Tell openssl's console a line, and wait until it prints the echo."""
    write(line + b"\n")
    wait_for(f"^{re.escape(line.decode())}$")
