"""Connections between `ssl` and handclasp, in both roles, over sockets and memory BIOs."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from tests.adapters.pairs import Aside, HandServer, plain_pair
from tests.compat.pairs import Bios, Files, client_context, meet, server_context
from tests.pki import Leaf

from handclasp import ServerConfig
from handclasp.faults import Fault

KINDS = [("handclasp", "ssl"), ("ssl", "handclasp"), ("handclasp", "handclasp")]
kinds = pytest.mark.parametrize(("server", "client"), KINDS)
versions = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def echo(sock: ssl.SSLSocket) -> Any:
    while data := sock.recv(2**17):
        sock.sendall(data)
    sock.unwrap()
    return sock.version, sock.selected_alpn_protocol()


@kinds
@versions
def test_a_conversation(files: Files, server: str, client: str, version: Any) -> None:
    ours, theirs = server_context(server, files), client_context(client, files)
    theirs.maximum_version = theirs.minimum_version = version
    ours.set_alpn_protocols(["h2", "http/1.1"])
    theirs.set_alpn_protocols(["http/1.1"])

    def talk(sock: ssl.SSLSocket) -> Any:
        assert isinstance(sock, ssl.SSLSocket)
        for size in (1, 1000, 80_000):
            sock.sendall(bytes(size))
            left = size
            while left:
                left -= len(sock.recv(left))
        facts = sock.version(), sock.selected_alpn_protocol(), sock.cipher(), sock.getpeercert()
        sock.unwrap()
        return facts

    met = meet(ours, theirs, echo, talk)
    name, protocol, cipher, certificate = met.client
    assert name == {771: "TLSv1.2", 772: "TLSv1.3"}[version]
    assert protocol == "http/1.1"
    assert cipher[1:] == (name, 256)
    assert certificate["subjectAltName"] == (("DNS", "localhost"),)


@kinds
def test_memory_bios(files: Files, server: str, client: str) -> None:
    pair = Bios(server_context(server, files), client_context(client, files)).handshake()
    assert isinstance(pair.client, ssl.SSLObject)
    assert pair.client.write(b"a" * 100_000) <= 100_000
    with pytest.raises(ssl.SSLWantReadError):
        while True:
            assert pair.server.read(1000)
    assert pair.server.write(b"answer") == 6
    assert pair.client.read() == b"answer"
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    assert pair.server.read() == b""
    pair.server.unwrap()
    unwrap: Callable[[], object] = pair.client.unwrap
    assert unwrap() is None
    with pytest.raises(ssl.SSLZeroReturnError):
        pair.client.read()


@kinds
def test_a_client_with_a_certificate(files: Files, server: str, client: str) -> None:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    ours, theirs = server_context(server, files), client_context(client, files)
    ours.verify_mode = ssl.CERT_REQUIRED
    ours.load_verify_locations(files.ca)
    someone = Leaf((), common_name="someone", purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    theirs.load_cert_chain(files.leaf("client", someone))
    met = meet(ours, theirs, lambda sock: (sock.recv(9), sock.getpeercert()))
    assert met.server[0] == b"hello"
    assert met.server[1]["subject"] == ((("commonName", "someone"),),)


@kinds
def test_a_client_without_one(files: Files, server: str, client: str) -> None:
    ours, theirs = server_context(server, files), client_context(client, files)
    ours.verify_mode = ssl.CERT_REQUIRED
    ours.load_verify_locations(files.ca)
    met = meet(ours, theirs, talk=lambda sock: sock.recv(1))
    assert met.server.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    assert met.client.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


@kinds
def test_a_server_without_a_certificate(files: Files, server: str, client: str) -> None:
    bare = type(server_context(server, files))(ssl.PROTOCOL_TLS_SERVER)
    met = meet(bare, client_context(client, files))
    assert met.server.reason == "NO_SHARED_CIPHER"
    assert "HANDSHAKE_FAILURE" in met.client.reason


def test_a_session_before_the_ticket(files: Files) -> None:
    server = server_context("ssl", files)
    for kind in ("ssl", "handclasp"):
        ticketless = client_context(kind, files)
        server.num_tickets = 0
        session = Bios(server, ticketless).handshake().client.session
        assert (session is None) is (kind == "handclasp")
        assert session is None or not session.has_ticket


@kinds
@versions
def test_sessions(files: Files, server: str, client: str, version: Any) -> None:
    ours, theirs = server_context(server, files), client_context(client, files)
    theirs.maximum_version = version

    def talk(sock: ssl.SSLSocket) -> Any:
        assert sock.recv(2) == b"hi"
        return sock.session, sock.session_reused

    def once(**arguments: Any) -> Any:
        return meet(ours, theirs, lambda sock: sock.sendall(b"hi"), talk, **arguments).client

    session, reused = once()
    assert not reused
    assert session.has_ticket
    assert session.time > 0
    assert session.timeout > 0
    assert once(session=session)[1]
    with pytest.raises(ValueError, match="different SSLContext"):
        meet(ours, client_context(client, files), session=session)


@pytest.mark.parametrize("server", ["ssl", "handclasp"])
@pytest.mark.parametrize("options", [0, ssl.OP_NO_TICKET])
@pytest.mark.parametrize("is_switched", [False, True])
@pytest.mark.parametrize("limited", ["server", "client"])
def test_num_tickets_is_about_tls13(
    files: Files, server: str, options: int, limited: str, is_switched: bool
) -> None:
    """In TLS 1.2 a client gets its ticket whatever that is, unless OP_NO_TICKET is set."""
    ours = server_context(server, files, num_tickets=0)
    ours.options |= options
    theirs = client_context("ssl", files)
    if is_switched:
        other = server_context(server, files, num_tickets=0)

        def switch(sock: Any, name: str | None, context: ssl.SSLContext) -> None:
            sock.context = other

        ours.sni_callback = switch
    newest = Bios(ours, theirs).handshake()
    assert newest.client.version() == "TLSv1.3"
    newest.server.write(b"x")
    assert newest.client.read(1) == b"x"
    assert newest.client.session is not None
    assert not newest.client.session.has_ticket
    {"server": ours, "client": theirs}[limited].maximum_version = ssl.TLSVersion.TLSv1_2
    older = Bios(ours, theirs).handshake()
    assert older.client.version() == "TLSv1.2"
    assert older.client.session is not None
    assert older.client.session.has_ticket is not bool(options)
    if not options and not is_switched:
        again = Bios(ours, theirs, session=older.client.session).handshake()
        assert again.client.session_reused is True


@kinds
def test_a_server_that_chooses_by_name(files: Files, server: str, client: str) -> None:
    ours, other = server_context(server, files), server_context(server, files)
    other.load_cert_chain(files.leaf("other", Leaf(("other.example",))))
    asked: list[str | None] = []

    def choose(sock: Any, name: str | None, context: ssl.SSLContext) -> int | None:
        asked.append(name)
        assert context is ours
        if name == "other.example":
            sock.context = other
        return ssl.ALERT_DESCRIPTION_ACCESS_DENIED if name == "secret.example" else None

    ours.sni_callback = choose
    theirs = client_context(client, files)
    for name in ("localhost", "other.example"):
        met = meet(ours, theirs, talk=lambda sock: sock.getpeercert(), server_hostname=name)
        assert met.client["subjectAltName"] == (("DNS", name),)
    met = meet(ours, theirs, server_hostname="secret.example")
    assert met.client.reason == "TLSV1_ALERT_ACCESS_DENIED"
    assert isinstance(met.server, ssl.SSLError)
    assert asked == ["localhost", "other.example", "secret.example"]


@kinds
def test_bindings_and_chains(files: Files, server: str, client: str) -> None:
    ours, theirs = server_context(server, files), client_context(client, files)
    theirs.maximum_version = ssl.TLSVersion.TLSv1_2

    def binding(sock: ssl.SSLSocket) -> bytes | None:
        sock.send(b"x")
        sock.recv(1)
        return sock.get_channel_binding("tls-unique")

    met = meet(ours, theirs, binding, binding)
    assert met.client == met.server
    assert len(met.client) == 12


@pytest.mark.parametrize("answer", [b"", b"an answer"], ids=["alert", "data and alert"])
def test_a_send_that_fails_tells_the_alert_that_has_come(files: Files, answer: bytes) -> None:
    """The socket's own error says that the peer is gone, and not why."""
    config = ServerConfig(credentials=files.pki.server("localhost"))
    client = client_context("handclasp", files)

    def refuse(sock: socket.socket) -> None:
        with sock:
            server = HandServer(sock, config).establish().connection
            if answer:
                server.send_data(answer)
            server.abort(Fault.CLIENT_CERTIFICATE_MISSING)
            sock.sendall(server.data_to_send())

    with plain_pair() as (left, right):
        refusing = Aside(refuse, right)
        with client.wrap_socket(left, server_hostname="localhost") as tls:
            refusing.result()
            with pytest.raises(ConnectionError) as caught:
                while True:
                    tls.sendall(b"data")
            told = " ".join(caught.value.__notes__)
            assert "handclasp: The server ended the connection with the alert certificate_" in told
            assert "On this end: " in told
            if answer:
                assert tls.recv(100) == answer
            with pytest.raises(ssl.SSLError, match="ALERT_CERTIFICATE_REQUIRED"):
                tls.recv(100)


def test_a_send_that_fails_without_an_alert_adds_nothing(files: Files) -> None:
    server = server_context("handclasp", files)
    with plain_pair() as (left, right):
        accepting = Aside(lambda: server.wrap_socket(right, server_side=True))
        client = client_context("handclasp", files)
        with client.wrap_socket(left, server_hostname="localhost") as tls:
            socket.socket.close(accepting.result())
            with pytest.raises(ConnectionError) as caught:
                while True:
                    tls.sendall(b"data")
            assert not hasattr(caught.value, "__notes__")
