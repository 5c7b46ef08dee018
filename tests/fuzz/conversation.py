"""Real conversations of every kind, in which one side can be made to misbehave.

Both ends are connections of ours, so that every mode is reached with nothing simulated: key
schedules, signatures, tickets, early data. The misbehaving end is a `Mutant`: what it sends goes
through a script that may change, drop, repeat, swap, split or add messages and records. Its
transcript holds what it really sent, so that it comes through with its keys right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, Protocol, cast

from cryptography import x509
from tests.fuzz import material
from tests.pki import key_of_type

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Credentials,
    DataReceived,
    Event,
    PreSharedKey,
    Recorder,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TLSError,
)
from handclasp.handshake.answers import Answerers, Answers
from handclasp.handshake.context import HandshakeContext
from handclasp.keys.epoch import Epoch
from handclasp.sessions.session import Session
from handclasp.sessions.ticket_keys import TicketKey, TicketKeys
from handclasp.sessions.tickets import SessionState, open_ticket
from handclasp.trace.events import MessageSeen

Connection = ClientConnection | ServerConnection

CHANCE = material.Chance()


class Script(Protocol):
    """Says what becomes of each message that a mutant sends."""

    def change(self, raw: bytes, wire: Wire) -> Sequence[Sequence[bytes]]:
        """The messages to send in its place, each in pieces that go into records of their own.

        `wire` takes what is no message.
        """
        ...

    def change_cipher_spec(self, wire: Wire) -> bool:
        """Whether to send the change_cipher_spec whose turn it is."""
        ...


class Wire:
    """A connection's record layer, as a mutant uses it: any record, protected or not."""

    def __init__(self, connection: Connection) -> None:
        self._records = connection._records

    def sealed(self, content_type: int, content: bytes) -> None:
        """A record of any type under the keys of the moment; in plaintext where there are none."""
        if self._records.write_key is None:
            header = bytes([content_type, 3, 3]) + len(content).to_bytes(2, "big")
            self.raw(header + content)
            return
        self._records.flush()
        self._records.out.append(self._records.writer.seal(content_type, content))

    def raw(self, data: bytes) -> None:
        """Any bytes."""
        self._records.flush()
        self._records.out.append(data)

    def message(self, raw: bytes) -> None:
        """Handshake bytes, in a record with what is sent before and after."""
        self._records.send(Epoch.HANDSHAKE, raw)

    def end_record(self) -> None:
        """What comes next is in another record."""
        self._records.flush()


class _Port:
    """The record layer as the handshake of a mutant sees it."""

    def __init__(self, records: Any, script: Script, wire: Wire) -> None:
        self.__dict__.update(_records=records, _script=script, _wire=wire)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._records, name, value)

    def send_change_cipher_spec(self) -> None:
        if self._script.change_cipher_spec(self._wire):
            self._records.send_change_cipher_spec()


class _MutantDialogue(HandshakeContext):
    __slots__ = ("script", "wire")

    script: Script
    wire: Wire

    def send_raw(self, raw: bytes) -> None:
        for pieces in self.script.change(raw, self.wire):
            for piece in filter(None, pieces):
                super().send_raw(piece)
                if len(pieces) > 1:
                    self.wire.end_record()


class _Mutant:
    """What both roles of it have in common."""

    script: Script
    _records: Any

    def _new_context(self, find_answerers: Callable[[], Answerers]) -> HandshakeContext:
        wire = Wire(self)  # type: ignore[arg-type]
        port: Any = _Port(self._records, self.script, wire)
        context = _MutantDialogue(port, Answers(find_answerers), records=port)
        context.script = self.script
        context.wire = wire
        return context


class MutantClient(_Mutant, ClientConnection):
    def __init__(self, script: Script, config: ClientConfig, server_name: str | None) -> None:
        self.script = script
        ClientConnection.__init__(self, config, server_name=server_name)


class MutantServer(_Mutant, ServerConnection):
    def __init__(self, script: Script, config: ServerConfig) -> None:
        self.script = script
        ServerConnection.__init__(self, config)


@dataclass(frozen=True)
class Setup:
    """Two configs that fit each other, and what is special about their conversation."""

    name: str
    client: ClientConfig
    server: ServerConfig
    server_name: str | None = "localhost"
    early_data: bytes = b""


class ResumedSession:
    """A store that always has one and the same session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, key: str, session: Session) -> None:
        """Nothing is kept."""

    def take(self, key: str) -> Session | None:
        return self._session

    def discard(self, key: str, session: Session) -> None:
        """It stays."""


class NothingKnown:
    """A store that keeps nothing, for a client that would take tickets."""

    def put(self, key: str, session: Session) -> None:
        """It is dropped."""

    def take(self, key: str) -> Session | None:
        return None

    def discard(self, key: str, session: Session) -> None:
        """There is none."""


class _EverythingIsNew:
    """A replay guard that a fuzzer can pass again and again."""

    def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        return True


@cache
def setups() -> tuple[Setup, ...]:
    """Every mode of both versions."""
    trust = material.authority().trust
    common: dict[str, Any] = {"clock": material.now, "entropy": CHANCE}
    client = ClientConfig(trust=trust, groups=["X25519", "secp256r1"], grease=False, **common)
    server = ServerConfig(
        credentials=material.server(), ticket_keys=TicketKeys(), session_memory=0, **common
    )
    asking = replace(server, client_auth=ClientAuth.REQUIRED, trust=trust)
    shows = replace(client, credentials=material.client())
    key = PreSharedKey(b"a client", bytes(range(32)))
    only12: dict[str, Any] = {"versions": ["TLSv1.2"]}
    rsa = _rsa_credentials()
    raw_server = Credentials.raw_public_key_from_signer(
        _spki(material.key("server")), material.server().signer
    )
    full = [
        Setup("full", client, server),
        Setup("greased", replace(client, grease=True), replace(server, alpn=["h2"])),
        Setup(
            "retry",
            replace(client, key_shares=["X25519"], alpn=["h2"]),
            replace(server, groups=["secp256r1"], alpn=["h2"]),
        ),
        Setup("client certificate", shows, asking),
        Setup("optional certificate", client, replace(asking, client_auth=ClientAuth.OPTIONAL)),
        Setup(
            "uncompressed",
            replace(shows, certificate_compression=()),
            replace(asking, certificate_compression=()),
        ),
        Setup("small records", replace(client, record_size_limit=64), server),
        Setup(
            "external key",
            ClientConfig(psks=[key], groups=["X25519"], grease=False, **common),
            ServerConfig(psks=[key], **common),
            server_name=None,
        ),
        Setup(
            "raw key",
            ClientConfig(
                raw_public_keys=[_spki(material.key("server"))], groups=["X25519"], **common
            ),
            ServerConfig(credentials=raw_server, **common),
        ),
        Setup("TLS 1.2", replace(client, **only12), server),
        Setup("TLS 1.2, client certificate", replace(shows, **only12), asking),
        Setup("TLS 1.2 server", client, replace(server, **only12)),
        Setup(
            "key transport",
            ClientConfig(trust=trust, allow_rsa_key_transport=True, **only12, **common),
            ServerConfig(
                credentials=rsa,
                allow_rsa_key_transport=True,
                cipher_suites=["TLS_RSA_WITH_AES_128_GCM_SHA256"],
                **only12,
                **common,
            ),
        ),
    ]
    return (*full, *_resuming(client, server), *_early(client, server), *_of_tls12(client, server))


def _resuming(client: ClientConfig, server: ServerConfig) -> list[Setup]:
    old = replace(client, versions=["TLSv1.2"])
    remembering = replace(server, tickets=2, session_memory=64)
    return [
        Setup(
            "resumed", replace(client, sessions=ResumedSession(_session(client, server))), server
        ),
        Setup(
            "TLS 1.2, resumed by ticket",
            replace(old, sessions=ResumedSession(_session(old, server))),
            server,
        ),
        Setup(
            "resumed or TLS 1.2",
            replace(client, sessions=ResumedSession(_session(old, server))),
            remembering,
        ),
    ]


def _early(client: ClientConfig, server: ServerConfig) -> list[Setup]:
    takes = replace(
        server, max_early_data=4096, replay_guard=_EverythingIsNew(), ticket_keys=_KeysOfOthers()
    )
    early = replace(client, sessions=ResumedSession(_session(client, takes)), allow_early_data=True)
    return [
        Setup("early data", early, takes, early_data=b"early"),
        Setup(
            "early data refused",
            early,
            replace(takes, max_early_data=0, replay_guard=None),
            early_data=b"early",
        ),
        Setup(
            "early data, retry",
            replace(early, key_shares=["X25519"]),
            replace(takes, groups=["secp256r1"]),
            early_data=b"early",
        ),
    ]


class _KeysOfOthers:
    """Ticket keys without a memory of first flights of their own, as those of a fleet."""

    def __init__(self) -> None:
        self.keys = TicketKeys(clock=lambda: material.now().timestamp()).keys


class _NoKeys:
    """A server that seals no tickets."""

    def keys(self) -> Sequence[TicketKey]:
        return ()


class _KnownById(ResumedSession):
    """Reminds the server each time, which forgets the session of a connection that failed."""

    def __init__(self, session: Session, server: ServerConfig, state: SessionState) -> None:
        super().__init__(session)
        self._remind = partial(
            cast(Any, server.derived.session_cache12).put, session.session_id, state
        )

    def take(self, key: str) -> Session | None:
        self._remind()
        return super().take(key)


def _remembered(client: ClientConfig, server: ServerConfig, other: ServerConfig) -> _KnownById:
    """A session of these two that the `other` server knows by its id."""
    session = _session(client, server)
    assert server.ticket_keys is not None
    state = open_ticket(session.ticket, server.ticket_keys.keys())
    assert state is not None
    by_id = replace(session, ticket=b"", session_id=bytes(range(32)))
    return _KnownById(by_id, other, state)


def _of_tls12(client: ClientConfig, server: ServerConfig) -> list[Setup]:
    """What else there is in TLS 1.2: session ids, tickets, staples with key transport."""
    old = replace(client, versions=["TLSv1.2"])
    plain = replace(server, credentials=material.server_without_staple(), session_memory=64)
    rsa = _rsa_credentials()
    stapled = rsa.with_staple(material.staple_for(x509.load_der_x509_certificate(rsa.chain_der[0])))
    transport = replace(
        server,
        credentials=stapled,
        allow_rsa_key_transport=True,
        cipher_suites=["TLS_RSA_WITH_AES_128_GCM_SHA256"],
        versions=["TLSv1.2"],
        client_auth=ClientAuth.REQUIRED,
        trust=material.authority().trust,
    )
    shows = replace(
        old,
        credentials=material.client(),
        allow_rsa_key_transport=True,
        sessions=NothingKnown(),
    )
    remembering = replace(plain, ticket_keys=_NoKeys())
    return [
        Setup("TLS 1.2, with a ticket", replace(old, sessions=NothingKnown()), plain),
        Setup(
            "TLS 1.2, resumed by id",
            replace(old, sessions=_remembered(old, plain, remembering)),
            remembering,
        ),
        Setup("key transport, staple and all", shows, transport),
        Setup(
            "key transport, no staple",
            replace(shows, sessions=None),
            replace(transport, credentials=rsa),
        ),
    ]


@dataclass
class Recorded:
    """What genuine conversations leave behind."""

    messages: list[bytes] = field(default_factory=list)
    tickets: list[bytes] = field(default_factory=list)
    states: list[SessionState] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    traces: list[Recorder] = field(default_factory=list)


@cache
def recorded() -> Recorded:
    """Every setup, once, as it should be."""
    found = Recorded()
    for setup in setups():
        CHANCE.start()
        trace = Recorder(record_secrets=True)
        config = setup.client
        if config.sessions is None and "TLSv1.3" in config.versions and not config.psks:
            config = replace(config, sessions=SessionStore())
        client = ClientConnection(config, server_name=setup.server_name, trace=trace)
        server = ServerConnection(setup.server)
        _send_early(client, setup)
        carry(client, server)
        assert client.established, (setup.name, client.failure, server.failure)
        assert server.established, (setup.name, server.failure)
        found.traces.append(trace)
        found.messages += [each.raw for each in trace.events if isinstance(each, MessageSeen)]
        if isinstance(config.sessions, ResumedSession):
            kept = config.sessions.take("")
            assert kept is not None
            found.sessions.append(kept)
            found.tickets.append(kept.ticket)
            keys = setup.server.ticket_keys
            state = open_ticket(kept.ticket, keys.keys() if keys else ())
            found.states += [state] if state is not None else []
    return found


def every_message() -> Iterable[bytes]:
    """Each message of `recorded`, once."""
    return dict.fromkeys(recorded().messages)


def carry(one: Connection, other: Connection) -> None:
    """Bytes to and fro, between two that behave."""
    while True:
        to_other, to_one = one.data_to_send(), b""
        if to_other:
            other.receive_data(to_other)
        to_one = bytes(other.data_to_send())
        if to_one:
            one.receive_data(to_one)
        if not to_other and not to_one:
            return


# One conversation with a mutant


@dataclass
class Outcome:
    """What became of the side that behaves."""

    victim: Connection
    mutant: Connection
    events: list[Event]
    error: TLSError | None

    @property
    def data(self) -> bytes:
        return b"".join(event.data for event in self.events if isinstance(event, DataReceived))


class Conversation:
    """A side of ours and a mutant, until both are silent.

    Args:
        size: bytes that the transport brings to our side at a time; 0 brings all there are.
        trace: watches our side.
    """

    def __init__(
        self,
        setup: Setup,
        script: Script,
        *,
        mutant: str,
        size: int = 0,
        trace: Recorder | None = None,
    ) -> None:
        CHANCE.start()
        self.script = script
        self._size = size
        self.events: list[Event] = []
        self.error: TLSError | None = None
        self._mutant_is_dead = False
        if mutant == "client":
            client: ClientConnection = MutantClient(script, setup.client, setup.server_name)
            server: ServerConnection = ServerConnection(setup.server, trace=trace)
            self.mutant: Connection = client
            self.victim: Connection = server
        else:
            client = ClientConnection(setup.client, server_name=setup.server_name, trace=trace)
            server = MutantServer(script, setup.server)
            self.mutant, self.victim = server, client
        _send_early(client, setup)
        self.run()

    def run(self) -> None:
        """Carry bytes until both are silent."""
        for _ in range(100):
            from_victim = bytes(self.victim.data_to_send())
            if from_victim:
                self._to_mutant(from_victim)
            from_mutant = self._take()
            if from_mutant and self.error is None:
                self._to_victim(from_mutant)
            if not from_victim and not from_mutant:
                return

    def do(self, act: Callable[[], object]) -> None:
        """Let the mutant, or its application, do something, and see what comes of it."""
        try:
            act()
        except (TLSError, ValueError):
            return
        self.run()

    def end(self) -> None:
        """The transport ends."""
        if self.error is None:
            self._note(self.victim.receive_eof)

    def _take(self) -> bytes:
        """What the mutant has to say."""
        try:
            return bytes(self.mutant.data_to_send())
        except TLSError:
            self._mutant_is_dead = True
            return b""

    def _to_mutant(self, data: bytes) -> None:
        if self._mutant_is_dead:
            return
        try:
            self.mutant.receive_data(data)
        except TLSError:
            self._mutant_is_dead = True

    def _to_victim(self, data: bytes) -> None:
        size = self._size or len(data)
        for start in range(0, len(data), size):
            if self.error is None:
                piece = data[start : start + size]
                self._note(lambda piece=piece: self.victim.receive_data(piece))  # type: ignore[misc]

    def _note(self, call: Callable[[], list[Event]]) -> None:
        try:
            self.events += call()
        except TLSError as error:
            self.error = error
        self.error = self.error or self.victim.failure


def _send_early(client: ClientConnection, setup: Setup) -> None:
    if setup.early_data and client.early_data_limit >= len(setup.early_data):
        client.send_early_data(setup.early_data)


def _session(client: ClientConfig, server: ServerConfig) -> Session:
    """A session of these two."""
    store = SessionStore()
    one = ClientConnection(
        replace(client, sessions=store, allow_early_data=False), server_name="localhost"
    )
    other = ServerConnection(server)
    carry(one, other)
    session = store.take(next(iter(store._sessions)))
    assert session is not None
    return session


@cache
def _rsa_credentials() -> Credentials:
    from tests.pki import Leaf

    from handclasp.certificates.credentials import LocalSigner

    issuer, key = material.intermediate(), key_of_type("rsa-2048")
    leaf = issuer.issue(Leaf(("localhost",), serial_number=11), key.public_key())
    return Credentials.from_signer([leaf, *issuer.path], LocalSigner(key))


def _spki(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    info: bytes = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return info
