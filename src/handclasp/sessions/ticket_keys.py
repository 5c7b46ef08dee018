"""The keys that a server seals its tickets with: random, changed on a schedule, shared by a fleet.

Whoever gets a ticket key can read what was recorded under the tickets of its time, as far as no
key exchange came on top, and can pretend to be the server to clients that resume. So keys do not
live long, and old ones open tickets, but seal none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from handclasp.errors import ConfigurationError
from handclasp.process import ProcessLock

KEY_SIZE = 32
ID_SIZE = 8
NONCE_SIZE = 12

DEFAULT_ROTATION = 8 * 3600
"""Seconds for which one key seals tickets."""


@dataclass(frozen=True, slots=True)
class TicketKey:
    """One key, and when it is used. Times are in seconds since 1970.

    Attributes:
        key_id: 8 bytes that stand in front of each of its tickets.
        key: 32 bytes for AES-256-GCM.
        seals_from: from when on it seals tickets, if no newer one does.
        opens_until: until when it opens them.
    """

    key_id: bytes
    key: bytes = field(repr=False)
    seals_from: float
    opens_until: float
    _aead: Any = field(init=False, repr=False, compare=False, default=None)

    @property
    def aead(self) -> Any:
        """The cipher, made once: it is forgotten together with the key."""
        if self._aead is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            object.__setattr__(self, "_aead", AESGCM(self.key))
        return self._aead


class TicketKeys:
    """Ticket keys of one process: random at start, and changed on a schedule. Safe for threads.

    Args:
        rotation: seconds for which a key seals. It opens for `lifetime` seconds more.
        lifetime: the longest life of a ticket, in seconds.
        clock: seconds since 1970.

    Raises:
        ConfigurationError: times that are not positive.
    """

    def __init__(
        self,
        rotation: float = DEFAULT_ROTATION,
        lifetime: float = DEFAULT_ROTATION,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not rotation > 0 or not lifetime > 0:
            raise ConfigurationError("rotation and lifetime are positive numbers of seconds.")
        self._rotation = rotation
        self._lifetime = lifetime
        self._clock = clock
        self._lock = ProcessLock()
        self._keys: tuple[TicketKey, ...] = ()

    def keys(self) -> Sequence[TicketKey]:
        """All keys that open tickets now, the one that seals first."""
        now = self._clock()
        keys = self._keys
        seals = keys and keys[0].seals_from <= now < keys[0].seals_from + self._rotation
        if seals and now < keys[-1].opens_until:
            return keys
        with self._lock:
            if self._keys is keys:  # No other thread has done so meanwhile.
                kept = [key for key in keys if key.seals_from <= now < key.opens_until]
                fresh = () if seals else (new_key(now, now + self._rotation + self._lifetime),)
                self._keys = (*fresh, *kept)
            return self._keys

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._keys)} keys)"


class TicketKeySource(Protocol):
    """Where the keys come from: `TicketKeys`, or those of a fleet (`handclasp.redis`)."""

    def keys(self) -> Sequence[TicketKey]:
        """All keys that open tickets now, the one that seals first; empty to issue none.

        Called for each ticket, from any thread: it must not wait for anything.
        """
        ...


def new_key(seals_from: float, opens_until: float) -> TicketKey:
    """A random key."""
    return TicketKey(os.urandom(ID_SIZE), os.urandom(KEY_SIZE), seals_from, opens_until)
