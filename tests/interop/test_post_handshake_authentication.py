"""Client authentication after the handshake (RFC 8446 section 4.6.2), with OpenSSL as the other."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.required import need_tool

from handclasp import (
    ClientAuthenticated,
    ClientConfig,
    ClientConnection,
    Credentials,
    DataReceived,
    Event,
    Fault,
    HandshakeCompleted,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TLSError,
    TrustStore,
)

from .peers.base import Process, running
from .pki import CLIENT_NAME, Authority
from .test_zero_rtt import OPENSSL, SECONDS, Talk

pytestmark = [pytest.mark.interop, pytest.mark.fast]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def trust(authority: Authority) -> TrustStore:
    return TrustStore.from_pem(authority.path)


@pytest.fixture(scope="module")
def own(authority: Authority) -> Credentials:
    identity = authority.client()
    return Credentials.load(identity.chain, identity.key)


def server_config(authority: Authority, trust: TrustStore, **settings: Any) -> ServerConfig:
    identity = authority.server()
    given: dict[str, Any] = {"client_auth": "required", "trust": trust, "post_handshake_auth": True}
    credentials = Credentials.load(identity.chain, identity.key)
    return ServerConfig(credentials=credentials, **{**given, **settings})


class Both:
    """One of our connections and one of OpenSSL's, in one memory."""

    def __init__(self, ours: ClientConnection | ServerConnection, context: ssl.SSLContext) -> None:
        self.ours = ours
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        is_server = isinstance(ours, ClientConnection)
        name = None if is_server else "localhost"
        self.theirs = context.wrap_bio(
            self.incoming, self.outgoing, server_side=is_server, server_hostname=name
        )
        self.events: list[Event] = []
        self.error: TLSError | None = None
        self.their_error: ssl.SSLError | None = None
        self.data = b""
        self.run()

    def run(self) -> None:
        """Carry bytes to and fro until both are silent."""
        while self._carry():
            pass

    def _carry(self) -> bool:
        self.incoming.write(to_them := bytes(self.ours.data_to_send()))
        try:
            if self.theirs.version() is None or self.ours.info is None:
                self.theirs.do_handshake()
            self.data += self.theirs.read(2**16)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.their_error = self.their_error or error
        to_us = self.outgoing.read()
        if to_us and self.ours.failure is None:
            try:
                self.events += self.ours.receive_data(to_us)
            except TLSError as error:
                self.error = error
        self.error = self.error or self.ours.failure
        return bool(to_them or to_us)

    @property
    def answers(self) -> list[tuple[bytes, ...]]:
        events = self.events
        return [e.info.peer_chain_der for e in events if isinstance(e, ClientAuthenticated)]

    @property
    def received(self) -> bytes:
        return b"".join(e.data for e in self.events if isinstance(e, DataReceived))


# Our client


@pytest.fixture(params=[ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED], ids=["optional", "required"])
def their_server(request: pytest.FixtureRequest, authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    identity = authority.server()
    context.load_cert_chain(identity.chain, identity.key)
    context.load_verify_locations(authority.path)
    context.verify_mode = request.param
    context.post_handshake_auth = True
    return context


def client(trust: TrustStore, **settings: Any) -> ClientConnection:
    config = ClientConfig(trust=trust, post_handshake_auth=True, **settings)
    return ClientConnection(config, server_name="localhost")


def test_their_server_asks(
    their_server: ssl.SSLContext, trust: TrustStore, own: Credentials
) -> None:
    both = Both(client(trust, credentials=own), their_server)
    assert both.theirs.getpeercert() is None
    for index in range(3):
        both.theirs.verify_client_post_handshake()
        both.theirs.write(b"%d" % index)
        both.ours.send_data(b"data")
        both.run()
        both.ours.update_keys(request_peer=True)
        both.run()
    assert both.theirs.getpeercert(binary_form=True) == own.chain_der[0]
    assert (both.received, both.data) == (b"012", b"data" * 3)
    assert both.error is None
    assert both.their_error is None


def test_their_server_is_told_no(their_server: ssl.SSLContext, trust: TrustStore) -> None:
    both = Both(client(trust), their_server)
    both.theirs.verify_client_post_handshake()
    both.theirs.write(b"something")
    both.run()
    if their_server.verify_mode == ssl.CERT_OPTIONAL:
        assert both.theirs.getpeercert() is None
        assert both.error is None
    else:
        assert both.their_error is not None
        assert "certificate_required" in str(both.error)


def test_their_server_may_not_ask(their_server: ssl.SSLContext, trust: TrustStore) -> None:
    both = Both(ClientConnection(ClientConfig(trust=trust), server_name="localhost"), their_server)
    with pytest.raises(ssl.SSLError, match="extension not received"):
        both.theirs.verify_client_post_handshake()


def test_their_ticket_of_after_is_used_while_we_are_the_same(
    their_server: ssl.SSLContext, trust: TrustStore, own: Credentials
) -> None:
    """OpenSSL issues tickets once more after the answer: those hold the client."""
    now: list[Credentials | None] = [own]
    store = SessionStore()
    settings = {"choose_credentials": lambda _: now[0], "sessions": store}

    def connected() -> Both:
        return Both(client(trust, **settings), their_server)

    their_server.num_tickets = 1
    both = connected()
    both.theirs.verify_client_post_handshake()
    both.theirs.write(b"something")
    both.run()
    again = connected()
    assert again.theirs.session_reused
    assert again.theirs.getpeercert(binary_form=True) == own.chain_der[0]
    again.theirs.verify_client_post_handshake()
    again.theirs.write(b"something")
    again.run()
    now[0] = None
    assert connected().theirs.getpeercert() is None


# Our server


@pytest.fixture
def their_client(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.path)
    context.post_handshake_auth = True
    return context


def test_we_ask_their_client(
    authority: Authority, their_client: ssl.SSLContext, trust: TrustStore, own: Credentials
) -> None:
    identity = authority.client()
    their_client.load_cert_chain(identity.chain, identity.key)
    ours = ServerConnection(server_config(authority, trust))
    both = Both(ours, their_client)
    assert ours.info is not None
    assert ours.info.peer_chain_der == ()
    for index in range(3):
        ours.request_client_certificate()
        ours.update_keys(request_peer=True)
        ours.send_data(b"%d" % index)
        both.theirs.write(b"data")
        both.run()
    assert [chain[0] for chain in both.answers] == [own.chain_der[0]] * 3
    assert (both.received, both.data) == (b"data" * 3, b"012")
    assert ours.info.peer_chain[0].subject.rfc4514_string() == f"CN={CLIENT_NAME}"
    assert both.error is None
    assert both.their_error is None


@pytest.mark.parametrize("client_auth", ["optional", "required"])
def test_their_client_has_nothing(
    authority: Authority, their_client: ssl.SSLContext, trust: TrustStore, client_auth: str
) -> None:
    ours = ServerConnection(server_config(authority, trust, client_auth=client_auth))
    both = Both(ours, their_client)
    ours.request_client_certificate()
    both.run()
    if client_auth == "optional":
        assert both.answers == [()]
        return
    assert both.error is not None
    assert both.error.fault is Fault.CLIENT_CERTIFICATE_MISSING
    with suppress(ssl.SSLWantReadError, ssl.SSLError):
        both.theirs.read(1)
    assert "certificate required" in str(both.their_error)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        yield listener


@pytest.mark.parametrize("program", OPENSSL, ids=["openssl", "openssl35"])
def test_s_client(
    authority: Authority,
    trust: TrustStore,
    own: Credentials,
    listener: socket.socket,
    tmp_path: Path,
    program: str,
) -> None:
    need_tool(program)
    identity, port = authority.client(), listener.getsockname()[1]
    command = [program, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-enable_pha"]
    command += ["-CAfile", str(authority.path), "-servername", "localhost"]
    command += ["-cert", str(identity.chain), "-key", str(identity.key)]
    with running(Process(command, tmp_path)) as process:
        sock, _ = listener.accept()
        connection = ServerConnection(server_config(authority, trust))
        talk = Talk(connection, sock)
        talk.until(HandshakeCompleted)
        connection.request_client_certificate()
        talk.flush()
        talk.until(ClientAuthenticated)
        assert talk.info.peer_chain_der[0] == own.chain_der[0]
        process.write(b"as somebody\n")
        talk.until(DataReceived)
        assert talk.data() == b"as somebody\n"
        talk.end()
