"""The hash over every handshake message (RFC 8446 section 4.4.1)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from handclasp.wire.messages import message_hash

if TYPE_CHECKING:
    from hashlib import _Hash as HASH  # pyright: ignore[reportPrivateUsage]


class Transcript:
    """Takes the messages as they were on the wire, header included, and gives their hash so far.

    Until the cipher suite is known, there is no hash to compute: the messages wait.
    """

    __slots__ = ("_hash", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._hash: HASH | None = None

    def choose_hash(self, hash_name: str, *, retried: bool) -> None:
        """The suite is known; from here on `digest` works.

        After a HelloRetryRequest, `message_hash` stands in the place of the first ClientHello,
        so that a server need not remember it (RFC 8446 section 4.4.1).
        """
        messages = self._waiting
        if retried:
            messages[0] = message_hash(hashlib.new(hash_name, messages[0]).digest())
        self._hash = hashlib.new(hash_name, b"".join(messages))
        self._waiting = []

    def add(self, raw: bytes) -> None:
        """Append one whole message."""
        if self._hash is None:
            self._waiting.append(raw)
        else:
            self._hash.update(raw)

    def digest(self) -> bytes:
        """Transcript-Hash of all messages so far."""
        if self._hash is None:
            raise RuntimeError("the transcript has no hash yet")
        return self._hash.copy().digest()
