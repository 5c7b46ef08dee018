"""The details of a handshake as lines of text: fields, choices, keys and costs.

They come from the trace alone, and every line is ASCII and fits the width.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from handclasp.story.fields import Field, fields_of
from handclasp.story.recorded import KeyExchange
from handclasp.story.words import UNREAD
from handclasp.trace.events import DecisionTaken, KeyStep, RecordSeen, TraceEvent, WorkDone

_INDENT = "  "
_BYTES_IN_LINE = 16


def field_lines(
    raw: bytes,
    epoch: str,
    width: int,
    *,
    with_bytes: bool = False,
    key_exchange: KeyExchange | None = None,
) -> Iterator[str]:
    """Yield the fields of a handshake message, a line for each.

    Args:
        raw, epoch: those of the recorded message.
        width: the largest number of columns.
        with_bytes: also give the offset of each field, and its bytes in hexadecimal.
        key_exchange: as for `fields_of`.
    """
    tree = fields_of(raw, epoch, key_exchange)
    for part in tree.parts:
        yield from _field(part, raw, "", width, with_bytes=with_bytes)


def decision_lines(events: Sequence[TraceEvent], width: int) -> Iterator[str]:
    """Yield every choice with its reason, and the reasons against the others."""
    for event in events:
        if not isinstance(event, DecisionTaken) or not (event.offered or event.chosen):
            continue
        what = event.what.replace("_", " ")
        yield from _wrapped(f"{what}: {event.chosen or 'none'} ({event.why})", "", width)
        for why, refused in _by_reason(event):
            yield from _wrapped(f"not {', '.join(refused)}: {why}", _INDENT, width)


def key_lines(events: Sequence[TraceEvent], width: int) -> Iterator[str]:
    """Yield every step of the key schedule, with its value if the trace has it."""
    for event in events:
        if not isinstance(event, KeyStep):
            continue
        given = ", ".join(event.inputs)
        label = f', "{event.label}"' if event.label else ""
        hashed = f", {event.context.hex()[:16]}..." if event.context else ""
        told = f"{event.output} = {event.operation}({given}{label}{hashed}), {event.size} bytes"
        yield from _wrapped(told, "", width)
        if event.value:
            yield from _hex(event.value, _INDENT, width)


def cost_lines(events: Sequence[TraceEvent], width: int) -> Iterator[str]:
    """Yield the costs of public-key operations on this side, beside those of symmetric records."""
    total = 0
    for event in events:
        if isinstance(event, WorkDone):
            total += event.elapsed_ns
            what = f"{event.operation.replace('_', ' ')}, {event.algorithm}"
            yield _cost(what, event.elapsed_ns, width)
    records = [e for e in events if isinstance(e, RecordSeen) and e.epoch != "plaintext"]
    if records:
        size = sum(event.content_size or 0 for event in records)
        plural = "" if len(records) == 1 else "s"
        what = f"all {len(records)} record{plural} under symmetric keys, {size:,} bytes"
        yield _cost(what, sum(event.work_ns for event in records), width)
    if total:
        yield _cost("all work with public keys", total, width)


def _by_reason(event: DecisionTaken) -> Iterator[tuple[str, list[str]]]:
    """Return the refused offers, grouped by reason, in the order of the reasons."""
    names: dict[str, list[str]] = {}
    for each in event.refused:
        names.setdefault(each.why, []).append(each.name)
    yield from names.items()


def _cost(what: str, nanoseconds: int, width: int) -> str:
    figure = f"{nanoseconds / 1e6:.3f} ms"
    room = width - len(figure) - 1
    return f"{_ascii(what)[:room].ljust(room)} {figure}"


def _field(field: Field, raw: bytes, indent: str, width: int, *, with_bytes: bool) -> Iterator[str]:
    if with_bytes:
        yield from _field_with_bytes(field, raw, indent, width)
    elif field.name != "length":
        yield from _field_in_words(field, indent, width)


def _field_in_words(field: Field, indent: str, width: int) -> Iterator[str]:
    """Return a field by its own name with its content, without mere wrappers."""
    inner = field
    while len(parts := _shown(inner)) == 1:
        inner = parts[0]
    if not parts or _is_list(parts):
        value = ", ".join(part.value for part in parts) or inner.value
        yield from _wrapped(f"{field.name}: {value}", indent, width)
        return
    told_inside = inner.value.startswith(parts[0].value)
    yield from _wrapped(
        field.name if told_inside else f"{field.name}: {inner.value}", indent, width
    )
    for part in parts:
        yield from _field_in_words(part, indent + _INDENT, width)


def _shown(field: Field) -> list[Field]:
    """Return the parts to show: the type of an extension is already its name."""
    return [part for part in field.parts if part.name not in _SILENT]


def _is_list(parts: Sequence[Field]) -> bool:
    return len({part.name for part in parts}) == 1 and not any(_shown(part) for part in parts)


_SILENT = ("length", "extension_type", "name_type")


def _field_with_bytes(field: Field, raw: bytes, indent: str, width: int) -> Iterator[str]:
    place = f"[{field.start}:{field.end}] "
    if field.name == UNREAD:
        yield from _wrapped(f"{place}{field.name}", indent, width)
    else:
        yield from _wrapped(f"{place}{field.name}: {field.value}", indent, width)
    if not field.parts:
        yield from _hex(raw[field.start : field.end], indent + _INDENT, width)
    # Twenty suites in a row share one line.
    for name, parts in groupby(field.parts, key=lambda part: part.name):
        run = list(parts)
        if len(run) > 1 and all(not part.parts for part in run):
            values = ", ".join(part.value for part in run)
            place = f"[{run[0].start}:{run[-1].end}] "
            yield from _wrapped(f"{place}{len(run)} {name}: {values}", indent + _INDENT, width)
            yield from _hex(raw[run[0].start : run[-1].end], indent + 2 * _INDENT, width)
            continue
        for part in run:
            yield from _field_with_bytes(part, raw, indent + _INDENT, width)


def _hex(data: bytes, indent: str, width: int) -> Iterator[str]:
    count = max(1, min(_BYTES_IN_LINE, (width - len(indent) + 1) // 3))
    for start in range(0, len(data), count):
        yield f"{indent}{data[start : start + count].hex(' ')}"


def _wrapped(text: str, indent: str, width: int) -> Iterable[str]:
    indent = indent[: max(0, width - 20)]
    text = _ascii(text)
    if len(indent) + len(text) <= width and text.isprintable() and text.strip() == text != "":
        return (indent + text,)  # Nearly all fields are short; wrapping takes ten times as long.
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent + _INDENT)


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")
