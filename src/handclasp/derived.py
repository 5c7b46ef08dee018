"""State that handshakes derive from a config: it lives beside the config, and as long as it.

A config is frozen. The parts of messages that are equal in all of its connections, and the
sessions of TLS 1.2 that its connections remember, are kept in its `derived`, which takes no part
in comparison, in `repr` and in copies by `dataclasses.replace`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from handclasp.sessions.replay import ReplayFilter
from handclasp.sessions.session_cache12 import SessionCache12
from handclasp.wire.memoize import new_memo

Config = TypeVar("Config", bound="WithDerived")
Made = TypeVar("Made")


class Derived:
    """The derived state of one config. Safe for threads.

    Attributes:
        binding: identifies the servers among which sessions may be resumed: 32 bytes, equal on
            all servers of a fleet. Empty for clients.
        session_cache12: the sessions of TLS 1.2 that a server remembers; None if it remembers none.
        replay_memory: the replay filter of the ticket keys, if a server has another guard as well.
        memo: of what peers send again and again, as it was read.
    """

    __slots__ = ("_made", "binding", "memo", "replay_memory", "session_cache12")

    def __init__(self) -> None:
        self.binding = b""
        self.session_cache12: SessionCache12 | None = None
        self.replay_memory: ReplayFilter | None = None
        self.memo = new_memo()
        self._made: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[Config], Made], config: Config) -> Made:
        """Return the value that `make` builds from the config; it is built at the first call only.

        Two threads may build it at the same time; both get a value that is equal.

        Args:
            name: of the value, for this config.
            make: a pure function. Nobody may change the value that it returns.
            config: the config that this state belongs to.
        """
        made: Made | None = self._made.get(name)
        if made is None:
            made = self._made[name] = make(config)
        return made


class WithDerived:
    """A config with derived state, which is no field of it."""

    __slots__ = ("derived",)

    derived: Derived
