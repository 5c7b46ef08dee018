"""Ticket keys for a fleet: each of its servers can resume the sessions of all others.

The keys are in one hash in Redis. A daemon thread reads it periodically; handshakes use its latest
result. docs/decisions/0015 explains the behaviour while Redis is unavailable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread, current_thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError
from handclasp.redis.clients import (
    STEP_TIMEOUT,
    check_on_error,
    check_prefix,
    check_seconds,
    check_wait,
    close_client,
    open_client,
    place_of,
    text_of,
)
from handclasp.redis.forks import begin_anew_in_children
from handclasp.redis.marks import REMEMBERED, begin_of_memory
from handclasp.redis.shared_keys import (
    SharedKey,
    View,
    Wrapping,
    is_over,
    make_key,
    next_gap,
    next_start,
    read_entry,
    view_at,
    write_entry,
)
from handclasp.redis.troubles import FleetError
from handclasp.redis.watch import Watch, moment
from handclasp.sessions.ticket_keys import (
    DEFAULT_ROTATION,
    KEYS_PER_ROTATION,
    LEAST_ROTATION,
    TicketKey,
)
from handclasp.synchronous import check_clock
from handclasp.values import dataclass

if TYPE_CHECKING:
    import redis
else:
    redis = DeferredModule("redis")

_TIDY_AFTER = 60_000
"""Milliseconds: clocks may differ so much without one server clearing away another's keys."""

_LEAST_POLLS = 4
"""Looks that fit into a rotation: a key is made at half of its predecessor's, two looks ahead."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """The changes that a server makes after a read of Redis.

    Attributes:
        keys: all that it knows then.
        missing: those of them to write, since Redis does not have them.
        over: names of entries to clear away.
        unreadable: how many entries are no keys to this server.
    """

    keys: tuple[SharedKey, ...]
    missing: tuple[SharedKey, ...]
    over: tuple[str, ...]
    unreadable: int


class RedisTicketKeys:
    """Ticket keys that the servers of a fleet share through Redis: the `ticket_keys` of a config.

    `keys` never waits for Redis. If Redis is unavailable when the server starts, there are no keys,
    so no tickets are issued and every handshake is a full one, until it is available. If it becomes
    unavailable later, the server continues with the known keys, for as long as they may seal and
    open.

    The daemon thread starts at once, and again in a forked process.

    >>> import secrets
    >>> from handclasp.redis import RedisTicketKeys
    >>> keys = RedisTicketKeys("redis://redis.example.com/0", wrapping_key=secrets.token_bytes(32))
    >>> keys.ready(timeout=10)
    True
    >>> credentials = Credentials.load("chain.pem", "key.pem")
    >>> config = ServerConfig(credentials=credentials, ticket_keys=keys)
    >>> keys.close()

    Args:
        client_or_url: the URL of Redis, such as "rediss://user:password@10.0.0.5:6380/0", or a
            client of redis-py, whose own timeouts and retries then apply, and which `close` leaves
            open.
        prefix: the prefix of all names in Redis: the same on all servers of a fleet, and different
            for each fleet.
        rotation: seconds for which a key seals.
        lifetime: seconds for which it opens after that: the config's `ticket_lifetime`, or else
            tickets end with their key.
        poll: seconds between two reads of Redis, the same on all servers; at most a quarter of
            `rotation`.
        wrapping_key: 32 random bytes, the same on all servers, which encrypt the keys in Redis.
            Without it, anybody who can read Redis can open tickets, and anybody who can write to it
            can forge them.
        on_error: a function that the daemon thread calls with a `FleetError`, once for each outage.
        clock: seconds since 1970.

    Raises:
        ConfigurationError: redis-py is missing, or an argument is invalid.
    """

    def __init__(
        self,
        client_or_url: redis.Redis | str,
        *,
        prefix: str = "handclasp",
        rotation: float = DEFAULT_ROTATION,
        lifetime: float = DEFAULT_ROTATION,
        poll: float = 5.0,
        wrapping_key: bytes | None = None,
        on_error: Callable[[FleetError], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_seconds(least=LEAST_ROTATION, rotation=rotation, lifetime=lifetime, poll=poll)
        if rotation < _LEAST_POLLS * poll:
            raise ConfigurationError(
                "rotation must be at least four times poll: servers must hear of a key in time."
            )
        if lifetime > KEYS_PER_ROTATION * rotation:
            raise ConfigurationError("lifetime must be at most a thousand times rotation.")
        check_on_error(on_error)
        check_clock(clock)
        self._prefix = check_prefix(prefix)
        self._name = f"{self._prefix}:ticket-keys"
        self._remembers_since: float | None = None
        self._wrapping = Wrapping(wrapping_key) if wrapping_key is not None else None
        self._given = client_or_url
        self._client = open_client(client_or_url)
        self._rotation, self._lifetime, self._poll = [
            max(1, round(1000 * seconds)) for seconds in (rotation, lifetime, poll)
        ]
        self._clock = clock
        self._watch = Watch(clock, on_error, place_of(self._client))
        self._unreadable = 0
        self._known: tuple[SharedKey, ...] = ()
        self._view = View()
        self._is_closed = False
        self._prepare_thread()
        self._start()
        begin_anew_in_children(self)

    def keys(self) -> Sequence[TicketKey]:
        """Return all keys that open tickets now, the one that seals first.

        If no key may seal now, the sequence is false, and no ticket of TLS 1.3 is issued.
        """
        if self._thread is None:
            with suppress(RuntimeError):  # No more threads: the known keys still do their work.
                self._start()
        return self._current().keys

    def ready(self, timeout: float = 5.0) -> bool:
        """Wait for the end of the first read of Redis, at most `timeout` seconds.

        Return whether there is a key to seal tickets with. No server needs to call it, but a server
        that does so before it listens can resume sessions from the first client on. On an event
        loop, call it in a thread.

        Raises:
            ConfigurationError: `timeout` is no number of seconds from 0 to 1e9.
        """
        check_wait("timeout", timeout)
        self._looked.wait(timeout)
        return self._current().sealing is not None

    @property
    def in_touch(self) -> bool:
        """Whether the last look at Redis went well."""
        return self._watch.in_touch and not self._is_closed

    @property
    def status(self) -> str:
        """The state of the keys in one line, for a log or an operator."""
        if self._is_closed:
            return f"Closed, with {self._counted()}."
        prospects = self._prospects()
        if not self._watch.looked:
            return f"{self._watch.outage_text()}; {prospects}."
        if not self._watch.in_touch:
            return f"{self._watch.outage_text()}: {self._counted()}; if it stays so, {prospects}."
        unreadable = ""
        if self._unreadable:
            unreadable = (
                f" {self._unreadable} entries cannot be read: is wrapping_key the same everywhere?"
            )
        history = self._watch.history
        return f"In touch with Redis: {self._counted()}.{unreadable}{history}{self._early_data()}"

    def close(self) -> None:
        """End the thread. The keys that are known stay in use for as long as they last."""
        self._is_closed = True
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not current_thread():
            # Its longest exchange is ended by time-outs; it is a daemon, should one be without.
            thread.join(10 * STEP_TIMEOUT)
        if isinstance(self._given, str):
            close_client(self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RedisTicketKeys({self._name!r}: {self.status})"

    # The thread

    def _prepare_thread(self) -> None:
        self._lock = Lock()
        self._stop = Event()
        self._looked = Event()
        self._thread: Thread | None = None

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._is_closed:
                thread = Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def begin_anew(self) -> None:
        """Forget the thread and the connections of the process that this one was forked from.

        It is called in the child automatically. The next `keys` starts a thread.
        """
        if not self._is_closed:
            self._prepare_thread()
            self._watch.begin_anew()
            self._client = open_client(self._given)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._unreadable = self._look()
            except Exception as error:
                self._watch.note_failure(error)
            else:
                self._watch.note_success()
            self._looked.set()
            self._stop.wait(self._poll / 1000)

    def _look(self) -> int:
        """Bring together what Redis has and what is known here; gives how much is unreadable.

        Raises what the client raises.
        """
        plan = self._plan(self._client.hgetall(self._name), may_make=False)
        self._known = plan.keys
        self._remembers_since = self._begin_of_memory()
        if plan.missing or plan.over or self._start_of_next(plan.keys) is not None:
            # Should another server write meanwhile, it begins again with what that one wrote.
            plan = self._client.transaction(self._write, self._name, value_from_callable=True)
            self._known = plan.keys
        return plan.unreadable

    def _begin_of_memory(self) -> float | None:
        """Return since when Redis remembers first flights, if a `RedisReplayFilter` has asked it
        to.
        """
        try:
            left: Any = self._client.pttl(f"{self._prefix}:flights")
            return begin_of_memory(left, self._clock())
        except Exception:
            return None  # The keys do without.

    def _write(self, pipeline: Any) -> _Plan:
        """Write one transaction on the watched hash, planned from its content."""
        plan = self._plan(pipeline.hgetall(self._name), may_make=True)
        if plan.missing or plan.over:
            pipeline.multi()
        if plan.over:
            pipeline.hdel(self._name, *plan.over)
        if plan.missing:
            entries = {key.name: write_entry(key, self._wrapping) for key in plan.missing}
            pipeline.hset(self._name, mapping=entries)
            last = max(key.opens_until for key in plan.keys)
            pipeline.pexpire(self._name, last - self._now() + _TIDY_AFTER)
        return plan

    def _plan(self, entries: Any, *, may_make: bool) -> _Plan:
        """Return the changes to make to these entries; `may_make` allows a new key if one
        is due.
        """
        now = self._now()
        texts = {text_of(name): text_of(value) for name, value in entries.items()}
        found: dict[str, SharedKey] = {}
        over: list[str] = []
        unreadable = 0
        for name, value in texts.items():
            key = read_entry(name, value, self._wrapping)
            if key is not None:
                found[key.name] = key
            elif not is_over(value, now):
                unreadable += 1
            if name is not None and is_over(value, now - _TIDY_AFTER):
                over.append(name)
        # What was known first stays: nobody in Redis changes a key afterwards.
        known = {key.name: key for key in self._known}
        live = {name: key for name, key in (found | known).items() if now < key.opens_until}
        missing = [key for name, key in live.items() if name not in found]
        if may_make:
            start = self._start_of_next(tuple(live.values()))
            if start is not None:
                fresh = make_key(start, self._rotation, self._lifetime)
                live[fresh.name] = fresh
                missing.append(fresh)
        return _Plan(tuple(live.values()), tuple(missing), tuple(over), unreadable)

    def _start_of_next(self, keys: tuple[SharedKey, ...]) -> int | None:
        now = self._now()
        return next_start(keys, now, soon=now + 2 * self._poll, ahead=now + self._rotation // 2)

    # What is known

    def _now(self) -> int:
        return int(1000 * self._clock())

    def _current(self) -> View:
        now, known, view = self._now(), self._known, self._view
        if view.known is not known or not view.since <= now < view.until:
            view = self._view = view_at(known, now)
        return view

    def _early_data(self) -> str:
        """Return why early data are refused, if the memory of first flights is not long enough."""
        since = self._remembers_since
        until = since + REMEMBERED if since is not None else 0.0
        if since is None or self._clock() >= until:
            return ""
        return (
            f" Early data are refused until {moment(until)}: Redis remembers first flights only "
            f"since {moment(since)}, and a replay of an earlier one would not be noticed."
        )

    def _counted(self) -> str:
        count = len(self._current().keys)
        return f"{count or 'no'} key{'' if count == 1 else 's'}"

    def _prospects(self) -> str:
        """Return the consequences if nothing changes."""
        view, now = self._current(), self._now()
        if not len(view.keys):
            return "no tickets are issued, and every handshake is a full one"
        opens = moment(max(key.opens_until for key in view.keys))
        ends = next_gap(self._known, now)
        if ends == now:
            return f"no tickets are issued, and those of before open until {opens}"
        return f"tickets are issued until {moment(ends / 1000)}, and open until {opens}"
