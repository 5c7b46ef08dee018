"""The JSON form of events, which is read back from untrusted input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from handclasp.info import ConnectionInfo
from handclasp.trace.events import (
    AlertSeen,
    Began,
    BytesMissing,
    BytesRefused,
    DecisionTaken,
    Failed,
    HandshakeResult,
    InnerHello,
    KeysInstalled,
    KeyStep,
    MessageSeen,
    Observed,
    QuestionAnswered,
    QuestionPut,
    RecordSeen,
    Refused,
    SecretDerived,
    TraceEvent,
    TraceFormatError,
    TransportEnded,
    TransportSeen,
    WireSeen,
    WorkDone,
)
from handclasp.values import MISSING, fields

_KINDS: Mapping[str, type[TraceEvent]] = {
    "began": Began,
    "message": MessageSeen,
    "inner_hello": InnerHello,
    "record": RecordSeen,
    "bytes_refused": BytesRefused,
    "keys_installed": KeysInstalled,
    "decision": DecisionTaken,
    "key_step": KeyStep,
    "work": WorkDone,
    "secret": SecretDerived,
    "alert": AlertSeen,
    "question": QuestionPut,
    "answer": QuestionAnswered,
    "settled": HandshakeResult,
    "failed": Failed,
    "transport": TransportSeen,
    "wire": WireSeen,
    "transport_ended": TransportEnded,
    "bytes_missing": BytesMissing,
    "observed": Observed,
}
_MOST = 2**63
_KIND_OF = {event: kind for kind, event in _KINDS.items()}


def event_to_json(event: TraceEvent) -> dict[str, Any]:
    """Return the event as JSON values: its kind under "event", bytes in hexadecimal."""
    return {"event": _KIND_OF[type(event)], **_values_to_json(event)}


def event_from_json(given: object) -> TraceEvent:
    """Return the event that `event_to_json` wrote; raise `TraceFormatError`."""
    if not isinstance(given, dict):
        raise TraceFormatError("An event of the trace is not a JSON object.")
    values = cast("dict[str, object]", given)
    kind = values.get("event")
    event = _KINDS.get(kind) if isinstance(kind, str) else None
    if event is None:
        raise TraceFormatError(f"The trace holds an unknown event: {kind!r}.")
    return cast(TraceEvent, _value_from_json(event, values, f"event {kind}"))


class _Form(NamedTuple):
    """The functions that write, check and read the values of one annotation."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _values_to_json(value: Any) -> dict[str, Any]:
    return {
        each.name: _FORMS[str(each.type)].write(getattr(value, each.name)) for each in fields(value)
    }


def _value_from_json(kind: type[Any], values: dict[str, object], where: str) -> Any:
    read: dict[str, Any] = {}
    for each in fields(kind):
        if each.name not in values and each.default is not MISSING:
            continue  # The field was added to the format later.
        try:
            value = _FORMS[str(each.type)].read(values[each.name])
            if value not in _WORDS.get(each.name, (value,)):
                raise ValueError(each.name)
            read[each.name] = value
        except KeyError:
            raise TraceFormatError(f"The trace's {where} lacks {each.name}.") from None
        except (TypeError, ValueError):
            raise TraceFormatError(f"The trace's {where} has a wrong {each.name}.") from None
    return kind(**read)


_WORDS: Mapping[str, tuple[str, ...]] = {
    "role": ("client", "server"),
    "direction": ("sent", "received"),
    "epoch": ("plaintext", "early", "handshake", "application"),
    "how": ("end", "reset"),
    "origin": ("local", "peer"),
    "sending": ("", "program", "unsent"),
    "blame": ("", "local", "peer", "network", "unclear"),
    "outcome": ("complete", "seems_complete", "failed", "unknown"),
}
"""The values of the fields by which readers of a trace decide, as its schema lists them."""


def _same(value: Any) -> Any:
    return value


def _write_all_hex(entries: tuple[bytes, ...]) -> list[str]:
    return [entry.hex() for entry in entries]


def _write_refused(refused: tuple[Refused, ...]) -> list[dict[str, str]]:
    return [each._asdict() for each in refused]


def _read_refused(value: Any) -> tuple[Refused, ...]:
    try:
        return tuple(
            Refused(_read_text(each["name"]), _read_text(each["why"]))
            for each in _exactly(list)(value)
        )
    except KeyError as error:
        raise ValueError(str(error)) from None


def _exactly(wanted: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not wanted:
            raise TypeError(wanted.__name__)
        return value

    return read


def read_number(value: Any) -> int:
    """Return a number of a trace, from 0 to 2**63; raise `TypeError` or `ValueError`."""
    number: int = _exactly(int)(value)
    if not 0 <= number <= _MOST:
        raise ValueError("out of range")
    return number


def _read_text(value: Any) -> str:
    text: str = _exactly(str)(value)
    text.encode("utf-8")  # JSON can hold a lone surrogate, which cannot be encoded.
    return text


def _tuple_of(read_entry: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def read(value: Any) -> tuple[Any, ...]:
        return tuple(read_entry(entry) for entry in _exactly(list)(value))

    return read


def _read_optional_text(value: Any) -> str | None:
    return None if value is None else _read_text(value)


def _read_optional_number(value: Any) -> int | None:
    return None if value is None else read_number(value)


def _write_optional_hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _read_optional_hex(value: Any) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def _read_info(value: Any) -> ConnectionInfo:
    return cast(
        ConnectionInfo, _value_from_json(ConnectionInfo, _exactly(dict)(value), "ConnectionInfo")
    )


_FORMS: Mapping[str, _Form] = {
    "int": _Form(_same, read_number),
    "int | None": _Form(_same, _read_optional_number),
    "str": _Form(_same, _read_text),
    "bool": _Form(_same, _exactly(bool)),
    "str | None": _Form(_same, _read_optional_text),
    "bytes": _Form(bytes.hex, bytes.fromhex),
    "bytes | None": _Form(_write_optional_hex, _read_optional_hex),
    "tuple[str, ...]": _Form(list, _tuple_of(_read_text)),
    "tuple[bytes, ...]": _Form(_write_all_hex, _tuple_of(bytes.fromhex)),
    "tuple[Refused, ...]": _Form(_write_refused, _read_refused),
    "ConnectionInfo": _Form(_values_to_json, _read_info),
}
