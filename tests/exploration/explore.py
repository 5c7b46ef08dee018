"""Plays each conversation up to each of its pauses, and then delivers every message there is.

At a pause, our side has taken all that the peer sent so far and waits. What is delivered then is
under the right keys and, where there is such a message, a real one of that type; whether it is
*accepted* means that its type may come here, not that its content holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from tests.exploration.rfc import CCS, DATA, GRAPHS, RETRY, after
from tests.fuzz.conversation import Conversation, Setup, Wire, recorded, setups

from handclasp import Fault, Recorder
from handclasp.iana import ContentType, HandshakeType, handshake_type_name
from handclasp.trace.events import AlertSeen
from handclasp.wire.messages import HELLO_RETRY_REQUEST_RANDOM

UNKNOWN_TYPES = (3, 6, 9, 26, 99, 253)
REFUSALS = frozenset(
    (
        Fault.UNEXPECTED_MESSAGE,
        Fault.UNKNOWN_HANDSHAKE_TYPE,
        Fault.RENEGOTIATION,
        Fault.POST_HANDSHAKE_AUTHENTICATION,
        Fault.UNEXPECTED_CHANGE_CIPHER_SPEC,
        Fault.APPLICATION_DATA_TOO_EARLY,
        Fault.SECOND_HELLO_RETRY_REQUEST,
        Fault.UNPROTECTED_RECORD,
    )
)
"""The faults that are about what came at this moment, and not about what was in it."""

MODES: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    # Setup -> its version, and the modes of what our client and our server go through in it.
    "full": ("TLSv1.3", {"client": ("certificate",), "server": ("plain",)}),
    "greased": ("TLSv1.3", {"client": ("certificate",), "server": ("plain",)}),
    "retry": ("TLSv1.3", {"client": ("certificate",), "server": ("retry", "plain")}),
    "client certificate": ("TLSv1.3", {"client": ("certificate",), "server": ("asked", "shown")}),
    "optional certificate": (
        "TLSv1.3",
        {"client": ("certificate",), "server": ("asked", "nothing shown")},
    ),
    "uncompressed": ("TLSv1.3", {"client": ("certificate",), "server": ("asked", "shown")}),
    "small records": ("TLSv1.3", {"client": ("certificate",), "server": ("plain",)}),
    "external key": ("TLSv1.3", {"client": ("psk",), "server": ("plain",)}),
    "raw key": ("TLSv1.3", {"client": ("certificate",), "server": ("plain",)}),
    "TLS 1.2": ("TLSv1.2", {"client": ("full", "status", "no ticket"), "server": ("plain",)}),
    "TLS 1.2, client certificate": (
        "TLSv1.2",
        {"client": ("full", "status", "no ticket"), "server": ("asked", "shown")},
    ),
    "TLS 1.2 server": (
        "TLSv1.2",
        {"client": ("full", "status", "no ticket"), "server": ("plain",)},
    ),
    "key transport": ("TLSv1.2", {"client": ("full", "RSA", "no ticket"), "server": ("plain",)}),
    "resumed": ("TLSv1.3", {"client": ("psk",), "server": ("plain",)}),
    "TLS 1.2, resumed by ticket": (
        "TLSv1.2",
        {"client": ("resumed, ticket",), "server": ("resumed",)},
    ),
    "resumed or TLS 1.2": ("TLSv1.3", {"client": ("certificate",), "server": ("plain",)}),
    "early data": ("TLSv1.3", {"client": ("psk",), "server": ("early", "plain")}),
    "early data refused": ("TLSv1.3", {"client": ("psk",), "server": ("plain",)}),
    "early data, retry": ("TLSv1.3", {"client": ("psk",), "server": ("retry, early", "plain")}),
    "TLS 1.2, with a ticket": (
        "TLSv1.2",
        {"client": ("full", "no status", "ticket"), "server": ("plain",)},
    ),
    "TLS 1.2, resumed by id": ("TLSv1.2", {"client": ("resumed",), "server": ("resumed",)}),
    "key transport, staple and all": (
        "TLSv1.2",
        {"client": ("full", "RSA, status", "ticket"), "server": ("asked", "shown")},
    ),
    "key transport, no staple": (
        "TLSv1.2",
        {"client": ("full", "RSA", "no ticket"), "server": ("asked", "shown")},
    ),
}


@dataclass(frozen=True)
class Pause:
    """Where our side waits: in which conversation, role and state."""

    setup: Setup
    role: str
    version: str
    modes: frozenset[str]
    index: int
    state: str

    def __str__(self) -> str:
        return f"{self.setup.name}, {self.role}, {self.index}: {self.state}"


@dataclass(frozen=True)
class Delivered:
    """What became of a message: accepted, or the fault by which it was refused."""

    message: str
    accepted: bool
    fault: Fault | None
    alert: int | None


class _Recorder:
    """A script that changes nothing and notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def change(self, raw: bytes, wire: Wire) -> Sequence[Sequence[bytes]]:
        self.sent.append(name_of(raw))
        return [[raw]]

    def change_cipher_spec(self, wire: Wire) -> bool:
        self.sent.append(CCS)
        return True


class _Probe:
    """A script that sends so much of what it should, then one other thing, and then nothing."""

    def __init__(self, index: int, message: str, *, counts_ccs: bool, version: str) -> None:
        self._left = index
        self._message = message
        self._counts_ccs = counts_ccs
        self._version = version
        self.done = False
        self.taken = False

    def change(self, raw: bytes, wire: Wire) -> Sequence[Sequence[bytes]]:
        if self._left:
            self._left -= 1
            return [[raw]]
        early = not self.done and self._message == CCS and raw[0] == HandshakeType.SERVER_HELLO
        if not self.done and name_of(raw) == self._message:
            self.done = True
            return [[raw]]
        self.deliver(wire)
        # What a change_cipher_spec in front of the ServerHello means, only the version tells.
        return [[raw]] if early else []

    def change_cipher_spec(self, wire: Wire) -> bool:
        if self._left or not self._counts_ccs:
            self._left -= self._counts_ccs
            return not self.done
        self.deliver(wire)
        return False

    def deliver(self, wire: Wire) -> None:
        if self.done:
            return
        self.done = True
        wire.end_record()
        if self._message == DATA:
            wire.sealed(ContentType.APPLICATION_DATA, b"data")
        elif self._message != CCS:
            wire.message(sample(self._message, self._version))
        elif self._version == "TLSv1.3":
            wire.raw(b"\x14\3\3\0\1\1")
        else:
            wire.sealed(ContentType.CHANGE_CIPHER_SPEC, b"\1")


def pauses() -> Iterator[Pause]:
    """All of them, each once for each setup that reaches it."""
    for setup in setups():
        version, roles = MODES[setup.name]
        for role, modes in roles.items():
            chosen = frozenset(modes)
            graph = GRAPHS[role, version]
            state = next(iter(graph))
            sent = _sent_to(setup, role, version)
            for index, message in enumerate(sent):
                yield Pause(setup, role, version, chosen, index, state)
                state = after(graph, state, message, _at(state, chosen))
            assert state == "CONNECTED", (setup.name, role, sent, state)
            yield Pause(setup, role, version, chosen, len(sent), state)


def deliver(pause: Pause, message: str) -> Delivered:
    """Bring our side to its pause, and this message to our side."""
    counts_ccs = pause.version == "TLSv1.2"
    probe = _Probe(pause.index, message, counts_ccs=counts_ccs, version=pause.version)
    mutant = "server" if pause.role == "client" else "client"
    trace = Recorder()
    conversation = _Probed(pause.setup, probe, mutant=mutant, trace=trace)
    if not probe.done:
        assert conversation.error is None, pause
        conversation.do(lambda: probe.deliver(Wire(conversation.mutant)))
    fault = getattr(conversation.error, "fault", None)
    alerts = [e.description for e in trace.events if isinstance(e, AlertSeen) and e.level == 2]
    return Delivered(message, fault not in REFUSALS, fault, alerts[-1] if alerts else None)


class _Probed(Conversation):
    """The mutant says nothing more once the message is delivered."""

    def _take(self) -> bytes:
        probe = self.script
        assert isinstance(probe, _Probe)
        if probe.taken:
            return b""
        probe.taken = probe.done
        return super()._take()


def messages(version: str) -> tuple[str, ...]:
    """All that can be delivered."""
    known = [handshake_type_name(kind) for kind in HandshakeType]
    unknown = [handshake_type_name(kind) for kind in UNKNOWN_TYPES]
    # TLS 1.2 has no such request: there it is a ServerHello like any other.
    return (*known, *unknown, *([RETRY] if version == "TLSv1.3" else []), CCS, DATA)


def name_of(raw: bytes) -> str:
    """Of a handshake message."""
    if raw[0] == HandshakeType.SERVER_HELLO and raw[6:38] == HELLO_RETRY_REQUEST_RANDOM:
        return RETRY
    return handshake_type_name(raw[0])


@cache
def sample(message: str, version: str) -> bytes:
    """A message of this type that was really sent, or an empty one."""
    for trace in recorded().traces:
        settled = trace.events[-1]
        of_version = getattr(getattr(settled, "info", None), "version", version)
        for event in trace.events:
            raw = getattr(event, "raw", b"")
            if raw and of_version == version and name_of(raw) == message:
                return raw
    numbers = {handshake_type_name(kind): int(kind) for kind in [*HandshakeType, *UNKNOWN_TYPES]}
    numbers[RETRY] = int(HandshakeType.SERVER_HELLO)
    return bytes([numbers[message], 0, 0, 0])


@cache
def _sent_to(setup: Setup, role: str, version: str) -> tuple[str, ...]:
    script = _Recorder()
    mutant = "server" if role == "client" else "client"
    conversation = Conversation(setup, script, mutant=mutant)
    assert conversation.victim.established, (setup.name, conversation.error)
    # In TLS 1.3, change_cipher_spec is no step of the handshake.
    return tuple([each for each in script.sent if version == "TLSv1.2" or each != CCS])


def _at(state: str, modes: frozenset[str]) -> frozenset[str]:
    """Of the modes, those that decide in this state."""
    first = modes & {"retry", "early", "retry, early"}
    if state == "START" and first:
        return first
    return modes
