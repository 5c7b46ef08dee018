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
from typing import Protocol

from handclasp.crypto.derived_key_aead import DerivedKeyAead
from handclasp.crypto.secret import Secret
from handclasp.errors import ConfigurationError
from handclasp.process import ProcessLock
from handclasp.sessions.replay import ReplayFilter

KEY_SIZE = 32
ID_SIZE = 8

DEFAULT_ROTATION = 8 * 3600
"""Seconds for which one key seals tickets."""


@dataclass(frozen=True, slots=True)
class TicketKey:
    """One key, and when it is used. Never prints the key. Times are in seconds since 1970.

    Attributes:
        key_id: 8 bytes that stand in front of each of its tickets.
        key: 32 random bytes, from which each ticket has a key of its own.
        seals_from: from when on it seals tickets, if no newer one does.
        opens_until: until when it opens them.

    Raises:
        ConfigurationError: an id or a key of another length, or a key of zeros.
    """

    key_id: bytes
    key: bytes = field(repr=False)
    seals_from: float
    opens_until: float
    _aead: DerivedKeyAead | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if len(self.key_id) != ID_SIZE or len(self.key) != KEY_SIZE:
            raise ConfigurationError("A ticket key has 32 bytes, and its id has 8.")
        if not any(self.key):
            # CVE-2020-13777: tickets under a key of zeros are open to everybody.
            raise ConfigurationError("A ticket key is random: os.urandom(32).")
        object.__setattr__(self, "key", Secret(self.key))

    @property
    def aead(self) -> DerivedKeyAead:
        """The cipher, made once: it is forgotten together with the key."""
        aead = self._aead
        if aead is None:
            aead = DerivedKeyAead(self.key, "ticket")
            object.__setattr__(self, "_aead", aead)
        return aead


class TicketKeys:
    """Ticket keys of one process: random at start, and changed on a schedule. Safe for threads.

    Any number of configs can share them. The memory of first flights with 0-RTT data belongs to the
    keys, so that what one of these configs has taken, no other one takes again.

    Attributes:
        replay_filter: that memory, and the default `replay_guard` of each config with these keys.
            Configs with a guard of their own ask it as well.

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
        # No ticket is older than the keys, so the filter knows of every flight that came with one.
        self.replay_filter = ReplayFilter(clock=clock, remembers_from=0.0)

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
