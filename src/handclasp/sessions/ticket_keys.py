"""The keys that protect a server's tickets: random, rotated on a schedule, shared by a fleet.

Anybody who obtains a ticket key can decrypt recorded connections under the tickets of its time,
unless they had a key exchange as well, and can impersonate the server to clients that resume. So
keys are short-lived, and old ones open tickets, but seal none.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from handclasp.crypto.derived_key_aead import DerivedKeyAead
from handclasp.crypto.hkdf import ExpandKey
from handclasp.crypto.secret import Secret
from handclasp.errors import ConfigurationError, check_clock, shown
from handclasp.process import ProcessLock
from handclasp.sessions.key_tree import KeyTree
from handclasp.sessions.replay import ReplayFilter
from handclasp.values import dataclass, field

KEY_SIZE = 32
ID_SIZE = 8

DEFAULT_ROTATION = 8 * 3600
"""Seconds for which one key seals tickets."""

LEAST_ROTATION = 0.001

_LATEST = 1e11
"""Seconds since 1970, in the year 5138. What is later is in milliseconds."""

_LONGEST = 1e9
"""Seconds for a rotation or a lifetime, some 30 years."""

KEYS_PER_ROTATION = 1000
"""Rotations that fit into a lifetime: each ticket is looked up among all keys that open."""


@dataclass(frozen=True, slots=True)
class TicketKey:
    """One key, and the times of its use, in seconds since 1970. It never prints the key.

    >>> import os, time
    >>> now = time.time()
    >>> key = TicketKey(os.urandom(8), os.urandom(32), now, now + 3600)

    Attributes:
        key_id: 8 bytes that stand in front of each of its tickets.
        key: 32 random bytes, from which each ticket has a key of its own.
        seals_from: the time from which it seals tickets, if it is the first such key of its source.
        opens_until: the time until which it opens and seals them. Tickets are opened before
            seals_from as well, since the clock of the server that sealed one may be ahead.

    Raises:
        ConfigurationError: an id or a key of another type or length, a key of zeros, or times that
            are not numbers of seconds since 1970, the second of them later.
    """

    key_id: bytes
    key: bytes = field(repr=False)
    seals_from: float
    opens_until: float
    _aead: DerivedKeyAead | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        for what, value in (("The id of a ticket key", self.key_id), ("A ticket key", self.key)):
            if not isinstance(value, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError(f"{what} must be bytes, not {type(value).__name__}.")
        if len(self.key_id) != ID_SIZE or len(self.key) != KEY_SIZE:
            raise ConfigurationError("A ticket key has 32 bytes, and its id has 8.")
        if not any(self.key):
            # CVE-2020-13777: tickets under a key of zeros are open to everybody.
            raise ConfigurationError("A ticket key is random: os.urandom(32).")
        for name in ("seals_from", "opens_until"):
            time_of_use: object = getattr(self, name)
            if not isinstance(time_of_use, int | float) or isinstance(time_of_use, bool):
                raise ConfigurationError(f"{name} must be a number, not {shown(time_of_use)}.")
            if not abs(time_of_use) < _LATEST:  # NaN as well.
                raise ConfigurationError(
                    f"{name} must be seconds since 1970, as of time.time(), not {time_of_use}."
                )
        if self.seals_from >= self.opens_until:
            raise ConfigurationError("opens_until must be later than seals_from.")
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
    """Ticket keys of one process and its children: random, and changed on a schedule.

    Any number of configs can share them, and so can any number of threads. Processes that are
    forked after they were created derive the same keys, for later periods as well, and so resume
    each other's sessions: each period's key is derived from a secret that is drawn here. After its
    period it cannot be derived again.

    The memory of first flights with 0-RTT data belongs to the keys, so that no two configs with
    these keys accept the same flight.

    >>> keys = TicketKeys(rotation=3600, lifetime=7200)
    >>> credentials = Credentials.load("chain.pem", "key.pem")
    >>> config = ServerConfig(credentials=credentials, ticket_keys=keys, ticket_lifetime=7200)

    Attributes:
        replay_filter: that memory, and the default `replay_guard` of each config with these keys.
            Configs with a guard of their own ask it as well.

    Args:
        rotation: seconds for which a key seals, at least 0.001. It opens for `lifetime` seconds
            more.
        lifetime: the longest life of a ticket, in seconds, at most a thousand times `rotation`.
        clock: seconds since 1970. If it is set back by more than `lifetime`, new keys are derived,
            the same in all processes that notice it.

    Raises:
        ConfigurationError: times that are not positive, or not such a multiple.
    """

    def __init__(
        self,
        rotation: float = DEFAULT_ROTATION,
        lifetime: float = DEFAULT_ROTATION,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        for each in (rotation, lifetime):
            if not isinstance(each, int | float) or isinstance(each, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigurationError(f"rotation and lifetime are seconds, not {shown(each)}.")
        check_clock(clock)
        if not LEAST_ROTATION <= rotation <= _LONGEST or not 0 < lifetime <= _LONGEST:
            raise ConfigurationError(
                "rotation and lifetime are positive numbers of seconds, at most 1e9; rotation is "
                "0.001 or more."
            )
        if lifetime > KEYS_PER_ROTATION * rotation:
            raise ConfigurationError("lifetime must be at most a thousand times rotation.")
        self._rotation = rotation
        self._lifetime = lifetime
        self._clock = clock
        self._lock = ProcessLock()
        self._began = clock()
        # Drawn now and not with the first ticket, which may come after a fork.
        first = KeyTree(Secret(os.urandom(KEY_SIZE))).since(0)
        # One value that is replaced as a whole: a fork must not copy half of a change.
        self._period = _Period(math.inf, -math.inf, (), first, Secret(os.urandom(KEY_SIZE)))
        # No ticket is older than the keys, so the filter knows of every flight that came with one.
        self.replay_filter = ReplayFilter(clock=clock, remembers_from=0.0)

    @property
    def lifetime(self) -> float:
        """The longest life of a ticket, in seconds."""
        return self._lifetime

    def keys(self) -> Sequence[TicketKey]:
        """Return all keys that open tickets now, the one that seals first."""
        now = self._clock()
        period = self._period
        if period.since <= now < period.until:
            return period.keys
        with self._lock:
            if self._period is period:  # No other thread has done so meanwhile.
                self._period = self._period_at(now)
            return self._period.keys

    def _period_at(self, now: float) -> _Period:
        """Return the current period, with the keys of earlier periods whose tickets are still
        valid.
        """
        number = math.floor((now - self._began) / self._rotation)
        oldest = number - math.ceil(self._lifetime / self._rotation)
        tree, next_secret = self._period.tree, self._period.next_secret
        known = {key.seals_from: key for key in self._period.keys}
        if number < tree.first:
            # The clock was set back to a time whose keys are forgotten. Each process that was
            # forked from the same one, and notices it as well, derives the same new ones.
            expand = ExpandKey("sha256", next_secret)
            tree = KeyTree(expand.expand_label("set back", b"", KEY_SIZE))
            next_secret = expand.expand_label("next", b"", KEY_SIZE)
            known = {}
        tree = tree.since(max(oldest, tree.first))
        keys = [self._key_of(each, tree, known) for each in range(number, tree.first - 1, -1)]
        opening = (keys[0], *[key for key in keys[1:] if now < key.opens_until])
        until = min(self._start_of(number + 1), opening[-1].opens_until)
        return _Period(keys[0].seals_from, until, opening, tree, next_secret)

    def _key_of(self, number: int, tree: KeyTree, known: dict[float, TicketKey]) -> TicketKey:
        start = self._start_of(number)
        key = known.get(start)
        if key is not None:
            return key
        expand = ExpandKey("sha256", tree.secret_of(number))
        return TicketKey(
            bytes(expand.expand_label("ticket key id", b"", ID_SIZE)),  # It stands in the open.
            expand.expand_label("ticket key", b"", KEY_SIZE),
            start,
            self._start_of(number + 1) + self._lifetime,
        )

    def _start_of(self, number: int) -> float:
        return self._began + number * self._rotation

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._period.keys)} keys)"


@dataclass(frozen=True, slots=True)
class _Period:
    """The keys of a stretch of time, in which none is added and none is over.

    Attributes:
        since, until: that time, in seconds since 1970.
        keys: those that open tickets then, the one that seals first.
        tree: what these and all later keys are derived from.
        next_secret: what another tree is derived from, should the clock be set back.
    """

    since: float
    until: float
    keys: tuple[TicketKey, ...]
    tree: KeyTree
    next_secret: Secret = field(repr=False)


class TicketKeySource(Protocol):
    """The source of ticket keys: `TicketKeys`, or the keys of a fleet (`handclasp.redis`).

    >>> import os, time
    >>> class Shared:
    ...     def __init__(self):
    ...         now = time.time()
    ...         # Rather keys that all servers of the fleet get, and new ones before these end.
    ...         self.held = [TicketKey(os.urandom(8), os.urandom(32), now, now + 3600)]
    ...     def keys(self):
    ...         return self.held
    >>> config = ServerConfig(
    ...     credentials=Credentials.load("chain.pem", "key.pem"), ticket_keys=Shared()
    ... )
    """

    def keys(self) -> Sequence[TicketKey]:
        """Return all keys that open tickets now, the one that seals first; none to issue no
        tickets.

        Keys whose time is over, by the clock of the config, open nothing, and the first one whose
        time has come seals. No ticket outlives its key: its lifetime is the config's
        `ticket_lifetime`, or the time until `opens_until` if that is shorter.

        It is called for each ticket, from any thread, and must not block.
        """
        ...


def new_key(seals_from: float, opens_until: float) -> TicketKey:
    """Return a new random key."""
    return TicketKey(os.urandom(ID_SIZE), os.urandom(KEY_SIZE), seals_from, opens_until)
