"""What is known of a conversation while it is followed, and of each of its two ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from handclasp.capture.outcome import Seen
from handclasp.capture.reassembly import HandshakeReassembly
from handclasp.capture.secrets import KeyLog, Secrets
from handclasp.capture.stream import Piece, Stream, StreamEnd
from handclasp.errors import ProtocolError
from handclasp.faults import Role
from handclasp.iana import ExtensionType
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.limits import Limits
from handclasp.record.protection12 import Protection12
from handclasp.record.protection13 import Protection13
from handclasp.trace.events import TraceEvent
from handclasp.wire import extensions, messages
from handclasp.wire.codecs import AnyMessage

CLIENT, SERVER = "client", "server"
OTHER: Mapping[str, Role] = {CLIENT: "server", SERVER: "client"}

Protection = Protection13 | Protection12


@dataclass(slots=True)
class Side:
    """What one end says: its bytes so far, and the keys that stand."""

    role: str
    reassembly: HandshakeReassembly
    buffer: bytearray = field(default_factory=bytearray)
    skip: int = 0
    epoch: str = "plaintext"
    protection: Protection | None = None
    secret: TrafficSecret | None = None
    blind: str = ""
    """Protected from here on under keys that are not known, and why not."""
    later: Protection13 | None = None
    """Application keys that are known although those of the handshake are not."""
    is_keyed: bool = False
    """Whether it has said something under keys, early data aside."""
    seen: Seen = field(default_factory=Seen)
    skipped: bytearray = field(default_factory=bytearray)
    """The beginning of what it said before TLS."""
    skipped_size: int = 0
    skipped_missing: int = 0
    is_searched: bool = False
    """Whether it is settled where TLS begins in what it says, behind other things."""
    spoke: bool = False
    """Whether it said anything of TLS."""
    spoke_at: int = 0
    """When it said something last, alerts aside."""
    is_alert: bool = False
    """Whether its last record is an alert, or is taken for one by its size."""
    is_hidden_alert: bool = False
    """Whether its last record is closed, and is taken for an alert by its type or size."""
    heard_at: int = 0
    """When the first bytes came that are looked at as TLS."""


_LIMITS = Limits()


class Conversation:
    """What is known of both ends so far.

    Attributes:
        stream: what was captured.
        keylog: all secrets there are; `secrets` are those of this connection.
        client: which end of the stream the client is.
        has_hello: whether its ClientHello was captured.
        sides: both ends, by role.
        began: when the first of it came, in nanoseconds since 1970 (UTC).
        at: how long after that the bytes came that are looked at.
        events: with the role that each is of: what sends, as yet seen by nobody.
        missing: what could not be seen, a sentence each.
        randoms: of the hellos, by role.
        version, suite_code, answer: what the server has chosen, and its ServerHello.
        said: the messages that could be read, with the role of who sent them.
        last: the last of each kind that each role has sent.
        gave_up, alert: who sent an alert that ends the connection, and its description.
        stranger: the end that said something else than TLS, if one did.
        viewer: the end that the story is seen from.
        warned: who sent a warning at the end so far, which one, and after how many messages.
        first_end: when the transport ended first, who ended it, and how.
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
        # An end may close before anything is said: a server that is full, for one.
        parts: list[Piece | StreamEnd] = [*stream.pieces, *stream.endings]
        self.began = min([each.at_ns for each in parts])
        self.at = 0
        self.events: list[tuple[str, TraceEvent]] = []
        self.missing: list[str] = []
        self.secrets: Secrets = {}
        self.randoms: dict[str, bytes] = {}
        self.version: str | None = None
        self.suite_code = 0
        self.said: list[tuple[str, AnyMessage]] = []
        self.answer: messages.ServerHello | None = None
        self.last: dict[tuple[str, type[AnyMessage]], AnyMessage] = {}
        self.gave_up: str | None = None
        self.alert: int | None = None
        self.stranger: str | None = None
        self.viewer: Role = "client"
        self.warned: tuple[str, int, int] | None = None
        self.first_end: tuple[int, str, str] | None = None
        for role, index in ((CLIENT, client), (SERVER, 1 - client)):
            self.sides[role].seen.is_captured = stream.captured[index]

    @property
    def is_tls13(self) -> bool:
        """Whether the two speak TLS 1.3, or a draft of it."""
        return self.version is not None and self.version.startswith("TLSv1.3")

    @property
    def offers_early_data(self) -> bool:
        """Whether the client does, and nothing is missing from which it would follow otherwise."""
        hello = self.extension(CLIENT, messages.ClientHello, ExtensionType.EARLY_DATA)
        return hello is not None and not self.sides[SERVER].seen.missing

    @property
    def may_open_early_data(self) -> bool:
        """Whether early data may come after the ServerHello, under a key that is known."""
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
        """Add an event of one of the ends."""
        self.events.append((role, event))

    def miss(self, sentence: str) -> None:
        """Say once what cannot be seen."""
        if sentence not in self.missing:
            self.missing.append(sentence)

    def extension(
        self, role: str, kind: type[AnyMessage], extension: ExtensionType
    ) -> bytes | None:
        """What an extension holds in the last message of a kind.

        It is asked for once per record of early data, so it takes the same time however many
        messages there were.
        """
        found = getattr(self.last.get((role, kind)), "extensions", None)
        data = found.get(extension) if found is not None else None
        return None if data is None else bytes(data)
