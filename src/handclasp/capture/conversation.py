"""The state of a conversation that is followed, and of each of its two ends."""

from __future__ import annotations

from collections.abc import Mapping

from handclasp.capture.outcome import Seen
from handclasp.capture.reassembly import HandshakeReassembly
from handclasp.capture.secrets import KeyLog, Secrets
from handclasp.capture.stream import Piece, Stream, StreamEnd
from handclasp.crypto.hpke import HpkeContext
from handclasp.errors import ProtocolError
from handclasp.faults import Role
from handclasp.iana import ExtensionType
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.limits import Limits
from handclasp.record.protection12 import Protection12
from handclasp.record.protection13 import Protection13
from handclasp.trace.events import TraceEvent
from handclasp.values import dataclass, field
from handclasp.wire import extensions, messages, messages12
from handclasp.wire.codecs import AnyMessage

CLIENT, SERVER = "client", "server"
OTHER: Mapping[str, Role] = {CLIENT: "server", SERVER: "client"}

Protection = Protection13 | Protection12


@dataclass(slots=True)
class Side:
    """One end: its bytes so far, and its current keys."""

    role: str
    reassembly: HandshakeReassembly
    buffer: bytearray = field(default_factory=bytearray)
    skip: int = 0
    epoch: str = "plaintext"
    protection: Protection | None = None
    secret: TrafficSecret | None = None
    blind: str = ""
    """The reason why the keys of its later records are unknown."""
    has_switched: bool = False
    """True once it has sent a ChangeCipherSpec while the version was unknown."""
    later: Protection13 | None = None
    """The application keys, if they are known although those of the handshake are not."""
    is_keyed: bool = False
    """True once it has sent anything under keys, except early data."""
    seen: Seen = field(default_factory=Seen)
    skipped: bytearray = field(default_factory=bytearray)
    """The beginning of its bytes before TLS."""
    skipped_size: int = 0
    skipped_missing: int = 0
    is_searched: bool = False
    """True once the beginning of TLS in its bytes is known."""
    spoke: bool = False
    """True once it has sent any TLS."""
    spoke_at: int = 0
    """The time of its last bytes, except alerts."""
    is_alert: bool = False
    """True if its last record is an alert, or counts as one by its size."""
    is_hidden_alert: bool = False
    """True if its last record is encrypted, and counts as an alert by its type or size."""
    is_at_end: bool = False
    """True if it sent that record because the other end had closed, as far as can be seen."""
    heard_at: int = 0
    """The time of the first bytes that count as TLS."""


_LIMITS = Limits()


class Conversation:
    """The known facts about both ends so far.

    Attributes:
        stream: the captured bytes.
        keylog: all known secrets; `secrets` are those of this connection.
        ech: opens the inner hellos of the client, if the key log has its secret (RFC 9849).
        ech_accepted: whether the server took the inner hello.
        client: the index of the client in the ends of the stream.
        has_hello: whether its ClientHello was captured.
        sides: both ends, by role.
        began: the time of its first bytes, in nanoseconds since 1970 (UTC).
        at: the time of the current bytes, relative to that.
        events: the events, each with the role of its sender, before a viewer is chosen.
        missing: the hidden parts, a sentence for each.
        randoms: the random values of the hellos, by role.
        version, suite_code, answer: the server's choices, and its ServerHello.
        said: the readable messages, with the roles of their senders.
        last: the last message of each kind that each role has sent.
        gave_up, alert: the sender of an alert that ended the connection, and its description.
        is_at_end: whether that alert is what implementations send when the other end has closed.
        stranger: the end that sent other bytes than TLS, if one did.
        viewer: the end from whose side the trace is written.
        warned: the sender of a warning at the end so far, its number, and the number of messages
            before it.
        first_end: the time of the first end of the transport, the role that ended it, and how.
    """

    def __init__(
        self, stream: Stream, keylog: KeyLog, client: int, start: int, *, has_hello: bool = True
    ) -> None:
        self.stream = stream
        self.keylog = keylog
        self.client = client
        self.has_hello = has_hello
        self.sides = {role: Side(role, HandshakeReassembly(_LIMITS)) for role in (CLIENT, SERVER)}
        self.sides[CLIENT].skip = start
        # An end may close before any bytes: for example a server that is full.
        parts: list[Piece | StreamEnd] = [*stream.pieces, *stream.endings]
        self.began = min([each.at_ns for each in parts])
        self.at = 0
        self.events: list[tuple[str, TraceEvent]] = []
        self.missing: list[str] = []
        self.secrets: Secrets = {}
        self.ech: HpkeContext | None = None
        self.ech_accepted = False
        self.randoms: dict[str, bytes] = {}
        self.version: str | None = None
        self.suite_code = 0
        self.said: list[tuple[str, AnyMessage]] = []
        self.answer: messages.ServerHello | None = None
        self.last: dict[tuple[str, type[AnyMessage]], AnyMessage] = {}
        self.gave_up: str | None = None
        self.alert: int | None = None
        self.is_at_end = False
        self.stranger: str | None = None
        self.viewer: Role = "client"
        self.warned: tuple[str, int, int] | None = None
        self.first_end: tuple[int, str, str] | None = None
        for role, index in ((CLIENT, client), (SERVER, 1 - client)):
            self.sides[role].seen.is_captured = stream.captured[index]
            self.sides[role].seen.left_out = stream.left_out[index]

    @property
    def is_tls13(self) -> bool:
        """Whether the version is TLS 1.3, or a draft of it."""
        return self.version is not None and self.version.startswith("TLSv1.3")

    def is_left_by_other(self, role: str) -> bool:
        """Return whether the other end has closed in the middle of the handshake, so that this one
        has only the end of the transport to complain of.

        A server has no reason to close before it has the client's Finished; a client closes like
        this if it is its turn.
        """
        if self.first_end is None or self.first_end[1:] != (OTHER[role], "end"):
            return False
        if all(side.seen.is_done for side in self.sides.values()):
            return False
        return role == CLIENT or self.next_to_speak == CLIENT

    def is_left_after_handshake(self, role: str) -> bool:
        """Return whether the other end has closed after both have completed the handshake.

        Without its close_notify, that is an error to OpenSSL, which sends an alert then.
        """
        if self.first_end is None or self.first_end[1:] != (OTHER[role], "end"):
            return False
        return all(side.seen.is_done for side in self.sides.values())

    @property
    def next_to_speak(self) -> str:
        """The end whose turn it is in an incomplete handshake."""
        client, server = self.sides[CLIENT], self.sides[SERVER]
        if client.buffer:
            return CLIENT
        if server.buffer or server.reassembly or not server.spoke:
            return SERVER
        said_all = server.seen.is_done or (SERVER, messages12.ServerHelloDone) in self.last
        if self.version is not None and not said_all:
            return SERVER
        if self.version is None and server.spoke_at == client.spoke_at:
            return SERVER  # It has sent nothing but alerts, at the same time or never.
        return SERVER if server.spoke_at < client.spoke_at else CLIENT

    @property
    def offers_early_data(self) -> bool:
        """Whether the client offers it, and no bytes of the server (a refusal) are missing."""
        hello = self.extension(CLIENT, messages.ClientHello, ExtensionType.EARLY_DATA)
        return hello is not None and not self.sides[SERVER].seen.missing

    @property
    def may_open_early_data(self) -> bool:
        """Whether early data may follow the ServerHello, under a known key."""
        return self.offers_early_data and "CLIENT_EARLY_TRAFFIC_SECRET" in self.secrets

    @property
    def server_name(self) -> str | None:
        """The name that the client asked for."""
        data = self.extension(CLIENT, messages.ClientHello, ExtensionType.SERVER_NAME)
        try:
            return extensions.read_server_name(data) if data is not None else None
        except ProtocolError:
            return None

    def note(self, role: str, event: TraceEvent) -> None:
        """Add an event of one end."""
        self.events.append((role, event))

    def miss(self, sentence: str) -> None:
        """Add a sentence about a hidden part, once."""
        if sentence not in self.missing:
            self.missing.append(sentence)

    def extension(
        self, role: str, kind: type[AnyMessage], extension: ExtensionType
    ) -> bytes | None:
        """Return the content of an extension in the last message of a kind.

        It is called once per record of early data, so its time does not depend on the number of
        messages.
        """
        found = getattr(self.last.get((role, kind)), "extensions", None)
        data = found.get(extension) if found is not None else None
        return None if data is None else bytes(data)
