"""What a recorder notes: one frozen value per event, and the JSON form of each.

`at_ns` is nanoseconds since the recorder was made. Names are IANA strings; numbers are those on
the wire, so that a trace can also hold what nobody has a name for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeAlias, cast

from handclasp.info import ConnectionInfo


class TraceFormatError(ValueError):
    """What should be a recorded trace is none, or one of a version that is not known here."""


@dataclass(frozen=True, slots=True)
class MessageSeen:
    """A whole handshake message, its 4-byte header included (RFC 8446 section 4).

    `epoch` is "plaintext", "early", "handshake" or "application".
    """

    at_ns: int
    direction: str
    epoch: str
    message_type: int
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecordSeen:
    """One record on the wire; `size` is in bytes and counts its header (RFC 8446 section 5)."""

    at_ns: int
    direction: str
    epoch: str
    content_type: int
    size: int


@dataclass(frozen=True, slots=True)
class KeysInstalled:
    """From here on, records of this direction are protected by the keys of `epoch`."""

    at_ns: int
    direction: str
    epoch: str
    cipher_suite: str


@dataclass(frozen=True, slots=True)
class DecisionTaken:
    """A choice: what one side offered, what the other accepts, what came out and why."""

    at_ns: int
    what: str
    offered: tuple[str, ...]
    acceptable: tuple[str, ...]
    chosen: str | None
    why: str


@dataclass(frozen=True, slots=True)
class SecretDerived:
    """A secret by its label. Only noted where `record_secrets` was opted into."""

    at_ns: int
    label: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """An alert, by its numbers (RFC 8446 section 6)."""

    at_ns: int
    direction: str
    level: int
    description: int


@dataclass(frozen=True, slots=True)
class QuestionPut:
    """The handshake asked the world outside, such as to sign or to verify."""

    at_ns: int
    question: str


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """The answer came, `elapsed_ns` nanoseconds after the question."""

    at_ns: int
    question: str
    elapsed_ns: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The handshake is complete on this side."""

    at_ns: int
    info: ConnectionInfo


@dataclass(frozen=True, slots=True)
class Failed:
    """The connection failed; the fields are those of `TLSError`."""

    at_ns: int
    origin: str
    fault: str
    alert: str
    message: str
    explanation: str
    fix: str


@dataclass(frozen=True, slots=True)
class TransportSeen:
    """The TCP connection below: IP addresses and ports of both ends, where they are known."""

    at_ns: int
    local_address: str
    local_port: int
    peer_address: str
    peer_port: int


@dataclass(frozen=True, slots=True)
class WireSeen:
    """Bytes as the transport took or brought them, in its own pieces, records or not.

    Only noted where `record_wire` was opted into.
    """

    at_ns: int
    direction: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TransportEnded:
    """The transport brings (or takes) no more; `how` is "end" (FIN) or "reset" (RST)."""

    at_ns: int
    direction: str
    how: str


TraceEvent: TypeAlias = (
    MessageSeen
    | RecordSeen
    | KeysInstalled
    | DecisionTaken
    | SecretDerived
    | AlertSeen
    | QuestionPut
    | QuestionAnswered
    | Settled
    | Failed
    | TransportSeen
    | WireSeen
    | TransportEnded
)

_KINDS: Mapping[str, type[TraceEvent]] = {
    "message": MessageSeen,
    "record": RecordSeen,
    "keys_installed": KeysInstalled,
    "decision": DecisionTaken,
    "secret": SecretDerived,
    "alert": AlertSeen,
    "question": QuestionPut,
    "answer": QuestionAnswered,
    "settled": Settled,
    "failed": Failed,
    "transport": TransportSeen,
    "wire": WireSeen,
    "transport_ended": TransportEnded,
}
_KIND_OF = {event: kind for kind, event in _KINDS.items()}


def event_to_json(event: TraceEvent) -> dict[str, Any]:
    """The event as JSON values: its kind under "event", bytes in hexadecimal."""
    return {"event": _KIND_OF[type(event)], **_values_to_json(event)}


def event_from_json(given: object) -> TraceEvent:
    """The opposite of `event_to_json`. Raises `TraceFormatError`."""
    if not isinstance(given, dict):
        raise TraceFormatError("An event of the trace is not a JSON object.")
    values = cast("dict[str, object]", given)
    kind = values.get("event")
    event = _KINDS.get(kind) if isinstance(kind, str) else None
    if event is None:
        raise TraceFormatError(f"The trace holds an unknown event: {kind!r}.")
    return cast(TraceEvent, _value_from_json(event, values, f"event {kind}"))


class _Form(NamedTuple):
    """How the values of one annotation are written, checked and read."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _values_to_json(value: Any) -> dict[str, Any]:
    return {
        each.name: _FORMS[str(each.type)].write(getattr(value, each.name)) for each in fields(value)
    }


def _value_from_json(kind: type[Any], values: dict[str, object], where: str) -> Any:
    read: dict[str, Any] = {}
    for each in fields(kind):
        try:
            read[each.name] = _FORMS[str(each.type)].read(values[each.name])
        except KeyError:
            raise TraceFormatError(f"The trace's {where} lacks {each.name}.") from None
        except (TypeError, ValueError):
            raise TraceFormatError(f"The trace's {where} has a wrong {each.name}.") from None
    return kind(**read)


def _same(value: Any) -> Any:
    return value


def _write_all_hex(entries: tuple[bytes, ...]) -> list[str]:
    return [entry.hex() for entry in entries]


def _exactly(wanted: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not wanted:
            raise TypeError(wanted.__name__)
        return value

    return read


def _tuple_of(read_entry: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def read(value: Any) -> tuple[Any, ...]:
        return tuple(read_entry(entry) for entry in _exactly(list)(value))

    return read


def _read_optional_text(value: Any) -> str | None:
    return None if value is None else _exactly(str)(value)


def _write_optional_hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _read_optional_hex(value: Any) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def _read_info(value: Any) -> ConnectionInfo:
    return cast(
        ConnectionInfo, _value_from_json(ConnectionInfo, _exactly(dict)(value), "ConnectionInfo")
    )


_FORMS: Mapping[str, _Form] = {
    "int": _Form(_same, _exactly(int)),
    "str": _Form(_same, _exactly(str)),
    "bool": _Form(_same, _exactly(bool)),
    "str | None": _Form(_same, _read_optional_text),
    "bytes": _Form(bytes.hex, bytes.fromhex),
    "bytes | None": _Form(_write_optional_hex, _read_optional_hex),
    "tuple[str, ...]": _Form(list, _tuple_of(_exactly(str))),
    "tuple[bytes, ...]": _Form(_write_all_hex, _tuple_of(bytes.fromhex)),
    "ConnectionInfo": _Form(_values_to_json, _read_info),
}
