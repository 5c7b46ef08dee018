"""The hash over every handshake message (RFC 8446 section 4.4.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from handclasp.wire.messages import message_hash

if TYPE_CHECKING:
    from hashlib import _Hash as HASH  # pyright: ignore[reportPrivateUsage]


_HASHES: Mapping[str, Callable[[bytes], HASH]] = {
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
}
"""The hashes of the cipher suites."""


def digest_of(hash_name: str, message: bytes) -> bytes:
    """Return the Transcript-Hash of one message alone, or of its start."""
    return _HASHES[hash_name](message).digest()


def _no_digest() -> bytes:
    raise RuntimeError("the transcript has no hash yet")


class Transcript:
    """Takes the messages as they were on the wire, header included, and gives their hash so far.

    Until the cipher suite is known, there is no hash to compute: the messages wait.
    """

    __slots__ = ("_hash", "_kept", "_waiting", "add", "digest")

    add: Callable[[bytes], object]
    """Appends one whole message: the method of whatever takes it at the time."""

    digest: Callable[[], bytes]
    """Gives the Transcript-Hash of all messages so far: the method of the hash, once it is known.

    It raises `RuntimeError` before."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self.add = self._waiting.append
        self.digest = _no_digest
        self._hash: HASH | None = None
        self._kept: list[bytes] | None = None

    def choose_hash(self, hash_name: str, *, retried: bool = False, keep: bool = False) -> None:
        """Start the hash of the suite that was chosen; `digest` works after that.

        With `keep`, `messages` works, too: TLS 1.2 signs the messages themselves.

        After a HelloRetryRequest, `message_hash` replaces the first ClientHello,
        so that a server need not remember it (RFC 8446 section 4.4.1).
        """
        messages = self._waiting
        if retried:
            messages[0] = message_hash(_HASHES[hash_name](messages[0]).digest())
        hash_ = self._hash = _HASHES[hash_name](b"".join(messages))
        self.digest = hash_.digest
        self._kept = messages if keep else None
        self._waiting = []
        self.add = self._add_and_keep if keep else hash_.update

    @property
    def waiting_size(self) -> int:
        """The number of bytes that wait for a hash; before a server's answer, the hello's."""
        return sum(map(len, self._waiting))

    def fork(self) -> Transcript:
        """Return a copy of the current state; messages added to one do not enter the other."""
        other = Transcript()
        other._waiting = list(self._waiting)
        other.add = other._waiting.append
        if self._hash is not None:
            other._hash = self._hash.copy()
            other.add, other.digest = other._hash.update, other._hash.digest
        return other

    def digest_with(self, partial: bytes, hash_name: str) -> bytes:
        """Return the hash of all messages so far and the start of another (section 4.2.11.2)."""
        if self._hash is None:
            return _HASHES[hash_name](b"".join([*self._waiting, partial])).digest()
        hash_ = self._hash.copy()
        hash_.update(partial)
        return hash_.digest()

    def messages(self) -> bytes:
        """Return all messages so far, for a signature over them (RFC 5246 section 7.4.8)."""
        if self._kept is None:
            raise RuntimeError("the transcript keeps no messages")
        return b"".join(self._kept)

    def _add_and_keep(self, raw: bytes) -> None:
        if self._hash is not None:
            self._hash.update(raw)
        if self._kept is not None:
            self._kept.append(raw)

    def forget_messages(self) -> None:
        """Nothing is to be signed any more."""
        self._kept = None
