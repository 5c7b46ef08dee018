"""A ticket key as a fleet knows it: its entry in Redis, and who seals with which key when.

An entry stands in a hash under the key id, both as hexadecimal text:

    form (1 byte) | seals_from (8) | seals_until (8) | opens_until (8) | key (32)
    form (1 byte) | seals_from (8) | seals_until (8) | opens_until (8) | nonce (12) | sealed (48)

Form 1 is plain; in form 2 the key is sealed by AES-256-GCM under the fleet's wrapping key, and the
key id and all in front of the nonce are authenticated with it. The times are milliseconds since
1970. They are readable in both forms, so that everybody can clear away what is over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from handclasp.errors import ConfigurationError
from handclasp.sessions.ticket_keys import ID_SIZE, KEY_SIZE, TicketKey, new_key
from handclasp.values import dataclass, field

_PLAIN, _WRAPPED = 1, 2
_TIME_SIZE = 8
_HEAD_SIZE = 1 + 3 * _TIME_SIZE
_NONCE_SIZE = 12
_TAG_SIZE = 16
_LATEST = 10**14
"""Milliseconds: what a float holds exactly, far enough away, and no later than a `TicketKey`."""


@dataclass(frozen=True, slots=True)
class SharedKey:
    """One key of the fleet. Times are whole milliseconds since 1970.

    Attributes:
        ticket_key: what seals and opens.
        seals_from: when servers begin to seal with it; later than they hear of it.
        seals_until: when they end, if there is no newer one before.
        opens_until: when they forget it.
    """

    ticket_key: TicketKey
    seals_from: int
    seals_until: int
    opens_until: int

    @property
    def name(self) -> str:
        """The key id, as it is written in Redis."""
        return self.ticket_key.key_id.hex()

    def seals_at(self, now: int) -> bool:
        return self.seals_from <= now < self.seals_until


class Wrapping:
    """Seals keys for their way through Redis.

    Args:
        key: 32 random bytes that all servers have, and Redis has not.

    Raises:
        ConfigurationError: it has another length, or is all zeros.
    """

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        if not isinstance(key, bytes) or len(key) != KEY_SIZE:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("wrapping_key must be 32 random bytes, as of os.urandom(32).")
        if not any(key):
            # Under a key that everybody knows, nothing is wrapped.
            raise ConfigurationError(
                "wrapping_key must be random, and this one is all zeros: os.urandom(32)."
            )
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aead: Any = AESGCM(key)

    def seal(self, key: bytes, associated: bytes) -> bytes:
        """Return the key, encrypted under a fresh nonce, which stands in front."""
        nonce = os.urandom(_NONCE_SIZE)
        sealed: bytes = self._aead.encrypt(nonce, key, associated)
        return nonce + sealed

    def open(self, sealed: bytes, associated: bytes) -> bytes | None:
        """Return the key; None if another wrapping key was used, or the data were changed."""
        from cryptography.exceptions import InvalidTag

        try:
            key: bytes = self._aead.decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], associated)
        except InvalidTag:
            return None
        return key


def make_key(seals_from: int, rotation: int, lifetime: int) -> SharedKey:
    """Return a random key that seals for `rotation` and opens for `lifetime` more
    (milliseconds).
    """
    seals_until = seals_from + rotation
    opens_until = seals_until + lifetime
    fresh = new_key(seals_from / 1000, opens_until / 1000)
    return SharedKey(fresh, seals_from, seals_until, opens_until)


def write_entry(shared: SharedKey, wrapping: Wrapping | None) -> str:
    """Return the value for Redis; its name is `shared.name`."""
    times = (shared.seals_from, shared.seals_until, shared.opens_until)
    form = _PLAIN if wrapping is None else _WRAPPED
    head = bytes([form]) + b"".join([time.to_bytes(_TIME_SIZE, "big") for time in times])
    key_id, key = shared.ticket_key.key_id, shared.ticket_key.key
    return (head + (key if wrapping is None else wrapping.seal(key, key_id + head))).hex()


def read_entry(name: str | None, value: str | None, wrapping: Wrapping | None) -> SharedKey | None:
    """Return the key in an entry; None if it is broken, or not wrapped with this fleet's key.

    With a wrapping key, keys that are not wrapped are ignored: anybody who can write to Redis must
    not be able to choose the keys.
    """
    key_id, data = _unhex(name), _unhex(value)
    form = _PLAIN if wrapping is None else _WRAPPED
    body_size = KEY_SIZE if wrapping is None else _NONCE_SIZE + KEY_SIZE + _TAG_SIZE
    if len(key_id) != ID_SIZE or len(data) != _HEAD_SIZE + body_size or data[0] != form:
        return None
    seals_from, seals_until, opens_until = _times(data)
    if not seals_from < seals_until <= opens_until < _LATEST:
        return None
    head, body = data[:_HEAD_SIZE], data[_HEAD_SIZE:]
    key = body if wrapping is None else wrapping.open(body, key_id + head)
    if key is None or not any(key):
        return None
    ticket_key = TicketKey(key_id, key, seals_from / 1000, opens_until / 1000)
    return SharedKey(ticket_key, seals_from, seals_until, opens_until)


def is_over(value: str | None, now: int) -> bool:
    """Return whether an entry is obsolete, also one that is wrapped with another key."""
    data = _unhex(value)
    if len(data) <= _HEAD_SIZE or data[0] not in (_PLAIN, _WRAPPED):
        return False
    return _times(data)[-1] <= now


def next_gap(keys: Iterable[SharedKey], at: int) -> int:
    """Return the first moment, from this one on, at which no key seals."""
    keys = list(keys)
    while ends := [key.seals_until for key in keys if key.seals_at(at)]:
        at = max(ends)
    return at


def next_start(keys: Iterable[SharedKey], now: int, *, soon: int, ahead: int) -> int | None:
    """Return when a further key should begin to seal; None where that can be decided later.

    No server can be sure to hear of a new key before `soon`, so it fills the first gap after that,
    if it comes before `ahead`. Where nobody seals anyway it begins at once: a server that has not
    heard of it loses nothing that it would otherwise have.
    """
    keys = list(keys)
    gap = next_gap(keys, soon)
    if gap > ahead:
        return None
    return now if gap == soon and not any(key.seals_at(now) for key in keys) else gap


class OpeningOnly(tuple[TicketKey, ...]):
    """Keys that open tickets where none may seal: false like an empty one, so none is issued."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class View:
    """The keys in their order, which holds from `since` until `until` (milliseconds).

    Attributes:
        known: what it was made from.
        keys: those that open, the one that seals first.
        sealing: the one that seals.
    """

    known: tuple[SharedKey, ...] = ()
    since: int = 0
    until: int = 0
    keys: Sequence[TicketKey] = ()
    sealing: SharedKey | None = field(default=None)


def view_at(known: tuple[SharedKey, ...], now: int) -> View:
    """Return the use that a server makes of the known keys at this time.

    Keys whose time to seal has not come yet open already: the clock of another server may be fast.
    """
    opening = [key for key in known if now < key.opens_until]
    opening.sort(key=lambda key: (key.seals_from, key.name), reverse=True)
    # The one that has sealed longest, which all servers know. A newer one beside it is of a server
    # that found Redis empty, and not all have heard of it yet.
    sealing = next((key for key in reversed(opening) if key.seals_at(now)), None)
    times = [
        time
        for key in opening
        for time in (key.seals_from, key.seals_until, key.opens_until)
        if time > now
    ]
    until = min(times, default=_LATEST)
    if sealing is None:
        keys = OpeningOnly([key.ticket_key for key in opening])
        return View(known, now, until, keys)
    rest = [key.ticket_key for key in opening if key is not sealing]
    return View(known, now, until, (sealing.ticket_key, *rest), sealing)


def _times(data: bytes) -> tuple[int, int, int]:
    seals_from, seals_until, opens_until = [
        int.from_bytes(data[at : at + _TIME_SIZE], "big") for at in range(1, _HEAD_SIZE, _TIME_SIZE)
    ]
    return seals_from, seals_until, opens_until


def _unhex(text: str | None) -> bytes:
    try:
        return bytes.fromhex(text or "")
    except ValueError:
        return b""
