"""Small changes to messages, to be given to a scripted peer as deviations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from handclasp.values import replace
from handclasp.wire.messages import Message, write_message
from handclasp.wire.structs import write_extensions

Change = Callable[[Any], Any]
AnyMessage = TypeVar("AnyMessage")


def changed(**fields: Any) -> Change:
    """Return a change of some fields."""
    return lambda message: replace(message, **fields)


def with_extension(kind: int, data: bytes) -> Callable[[AnyMessage], AnyMessage]:
    """Return a change that adds an extension, or replaces its content."""

    def change(message: Any) -> Any:
        return replace(message, extensions=dict(message.extensions) | {kind: data})

    return change


def without_extension(kind: int) -> Change:
    """Return a change that leaves an extension out."""
    return lambda message: replace(
        message, extensions={k: v for k, v in message.extensions.items() if k != kind}
    )


def with_extension_twice(kind: int) -> Change:
    """Return a change that repeats an extension at the end, which no mapping can hold."""

    def change(message: Any) -> bytes:
        entry = (kind, message.extensions.get(kind, b""))
        return with_raw_extensions(message, [*message.extensions.items(), entry])

    return change


def with_raw_extensions(message: Any, entries: Iterable[tuple[int, bytes]]) -> bytes:
    """Return the bytes of a message whose last field is its extensions, with these instead."""
    raw = write_message(message)
    vector = b"".join(write_extensions({kind: data})[2:] for kind, data in entries)
    body = raw[4 : len(raw) - len(write_extensions(message.extensions))]
    return handshake_message(raw[0], body + len(vector).to_bytes(2, "big") + vector)


def cut_by(count: int) -> Change:
    """Return a change that cuts off the last bytes, with the right length in the header."""

    def change(message: Message) -> bytes:
        raw = write_message(message)
        return handshake_message(raw[0], raw[4 : len(raw) - count])

    return change


def longer_by(tail: bytes) -> Change:
    """Return a change that adds bytes at the end, with the right length in the header."""

    def change(message: Message) -> bytes:
        raw = write_message(message)
        return handshake_message(raw[0], raw[4:] + tail)

    return change


def followed_by(tail: bytes) -> Change:
    """Return a change that puts other handshake bytes behind the message, in the same record."""
    return lambda message: write_message(message) + tail


def handshake_message(kind: int, body: bytes) -> bytes:
    """Return a handshake message of any type and content."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body
