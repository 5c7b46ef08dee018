"""The connections that the demo's server saw, each with the browser that made it.

A browser is known by a cookie that it gets with its first answer, so that several can watch at
once and each sees its own connections alone. Who fails to shake hands never gets that far: failed
connections are shown to browsers that offer the same cipher suites (by JA4), which on one machine
is nearly always the one that tried.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from handclasp.cli.live_answers import Changes, Rows

if TYPE_CHECKING:
    from handclasp import ConnectionInfo, Recorder
    from handclasp.serving.visits import Visit
    from handclasp.story.fingerprints import Ja3, Ja4
    from handclasp.trace.events import TraceEvent

MOST_REMEMBERED = 200
_MOST_PATHS = 8
_LONGEST_PATH = 200


@dataclass(eq=False)
class Connection:
    """One connection, from its handshake on.

    Attributes:
        number: counts from 1.
        at: when its handshake was over, by this machine's clock and time zone.
        browser: the cookie of its browser; empty as long as it is unknown.
        paths: what was asked for, the first few.
        is_open: whether it is still there.
    """

    number: int
    at: datetime
    address: tuple[str, int]
    recorder: Recorder
    info: ConnectionInfo | None
    error: OSError | None
    browser: str = ""
    paths: list[str] = field(default_factory=list[str])
    is_open: bool = True

    @cached_property
    def fingerprints(self) -> tuple[Ja3, Ja4] | None:
        """Of the first ClientHello; None if there was none to be read."""
        from handclasp.story.fingerprints import fingerprints_of

        return fingerprints_of(self.recorder.events)

    @cached_property
    def took(self) -> str:
        """Time and bytes of the handshake, which is over by the time that anybody asks."""
        return took_of(self.recorder.events)


class Connections:
    """All of them, as far as they are remembered. Threads may use it side by side.

    Attributes:
        changes: counts the changes of the list.
    """

    def __init__(self) -> None:
        self._all: deque[Connection] = deque(maxlen=MOST_REMEMBERED)
        self._open: dict[tuple[str, int], Connection] = {}
        self._lock = threading.Lock()
        self._count = 0
        self.changes = Changes()

    def add(self, visit: Visit, at: datetime) -> None:
        """Add a finished handshake, successful or not, or a later failure of the connection."""
        if visit.recorder is None:
            return
        address = (visit.host, visit.port)
        with self._lock:
            self._count += 1
            connection = Connection(
                self._count, at, address, visit.recorder, visit.info, visit.error
            )
            connection.is_open = visit.error is None
            self._all.append(connection)
            if connection.is_open:
                self._open[address] = connection
            self.changes.note()

    def at(self, address: tuple[str, int]) -> Connection | None:
        """Return the open connection from this address."""
        with self._lock:
            return self._open.get(address)

    def ended(self, address: tuple[str, int]) -> None:
        """It is gone."""
        with self._lock:
            connection = self._open.pop(address, None)
            if connection is not None:
                connection.is_open = False
                self.changes.note()

    def asked(self, connection: Connection, path: str, browser: str) -> str:
        """Note what was asked for, and by whom; gives the browser's cookie, maybe a new one."""
        with self._lock:
            known = any(each.browser == browser for each in self._all) if browser else False
            connection.browser = browser if known else secrets.token_urlsafe(18)
            if len(connection.paths) < _MOST_PATHS:
                connection.paths.append(path[:_LONGEST_PATH])
            self.changes.note()
            return connection.browser

    def of(self, browser: str) -> list[Connection]:
        """Return the connections of one browser, newest first, and failed ones of a browser like
        it.
        """
        with self._lock:
            everything = list(self._all)
        own = [each for each in everything if browser and each.browser == browser]
        suites = {_suites(each) for each in own}
        alike = [each for each in everything if each.error is not None and _suites(each) in suites]
        return sorted({*own, *alike}, key=lambda each: each.number, reverse=True)

    def before(self, connection: Connection) -> Connection | None:
        """Return the same browser's previous established connection."""
        return next(
            (
                each
                for each in self.of(connection.browser)
                if each.number < connection.number and each.info is not None
            ),
            None,
        )


def took_of(events: Sequence[TraceEvent]) -> str:
    """Return the time and the bytes of a handshake; "-" if it was not completed."""
    from handclasp.story.facts import facts_of

    facts = facts_of(events)
    if facts.handshake_ns is None:
        return "-"
    size = facts.handshake_sent + facts.handshake_received
    return f"{facts.handshake_ns / 1e6:.1f} ms, {size:,} bytes"


def rows_of(connections: Sequence[Connection], shown: Connection | None) -> Rows:
    """Return a list of connections as plain values, for the page and for its script."""
    return [_row(each, is_this=each is shown) for each in connections]


def _row(connection: Connection, *, is_this: bool) -> dict[str, object]:
    return {
        "number": connection.number,
        "at": f"{connection.at:%H:%M:%S}",
        "paths": " ".join(dict.fromkeys(connection.paths)) or "-",
        "outcome": _outcome(connection),
        "kind": _kind(connection),
        "detail": _detail(connection),
        "took": connection.took,
        "link": f"/connections/{connection.number}",
        "this": is_this,
        "open": connection.is_open,
    }


def _kind(connection: Connection) -> str:
    if connection.info is None:
        return "failed"
    return "resumed" if connection.info.resumed else "full"


def _outcome(connection: Connection) -> str:
    kind = _kind(connection)
    if kind == "failed":
        return f"failed: {getattr(connection.error, 'alert', None) or 'no TLS'}"
    if kind == "full":
        return "full handshake"
    from handclasp.story.facts import facts_of

    came_with = facts_of(list(connection.recorder.events)).earlier_key
    return "came back with a session id" if came_with == "session id" else "came back with a ticket"


def _detail(connection: Connection) -> str:
    info = connection.info
    if info is None:
        return str(connection.error)
    from handclasp.story.facts import key_exchange_of_info, secret_in_words

    secret = secret_in_words(key_exchange_of_info(info), info)
    return f"{info.version}, {info.cipher_suite}, {secret}"


def _suites(connection: Connection) -> str:
    found = connection.fingerprints
    return found[1].suites if found is not None else ""
