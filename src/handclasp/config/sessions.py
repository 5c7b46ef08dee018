"""The checks of a server's sessions: tickets and their keys, replay guards, early data."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from handclasp.config.types import ClientAuth, utc_now
from handclasp.config.unused import has_psks_only, refuse_without_effect
from handclasp.config.values import check_methods, is_path, is_whole, kind_of
from handclasp.errors import ConfigurationError, check_path_text
from handclasp.sessions.bounded import LEAST_BYTES
from handclasp.sessions.replay import ReplayFilter
from handclasp.sessions.session import MAX_LIFETIME
from handclasp.sessions.session_cache12 import SessionCache12
from handclasp.sessions.ticket_keys import TicketKeys

_GUARDS = "ReplayFilter() or, for several processes, handclasp.redis.RedisReplayFilter(url)"
"""Values for `replay_guard`, as errors name them."""

_MOST_EARLY_DATA = 2**32 - 1
"""Bytes: the extension of a ticket has a number of 32 bits for them."""
_MOST_SESSIONS = 2**24
_MOST_MEMORY = 2**40
"""Sessions of TLS 1.2, and their bytes."""

if TYPE_CHECKING:
    # For types alone: config builds on this module.
    from handclasp.config import ClientConfig, ServerConfig


def prepare_sessions(config: ServerConfig) -> None:
    """Check the settings of a server's sessions, and build what they need."""
    if not is_whole(config.tickets, 0, 16):
        raise ConfigurationError("tickets must be a whole number from 0 to 16.")
    if not is_whole(config.ticket_lifetime, 1, MAX_LIFETIME):
        raise ConfigurationError("ticket_lifetime must be from 1 to 604800 seconds (seven days).")
    check_early_size(config.max_early_data)
    if not is_whole(config.session_memory, 0, _MOST_SESSIONS):
        raise ConfigurationError(
            "session_memory must be a whole number of sessions, 0 for none, "
            f"up to {_MOST_SESSIONS}."
        )
    if not is_whole(config.session_memory_bytes, LEAST_BYTES, _MOST_MEMORY):
        raise ConfigurationError(
            "session_memory_bytes must be a whole number of bytes from "
            f"{LEAST_BYTES} to {_MOST_MEMORY}."
        )
    if not isinstance(config.session_context, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("session_context must be bytes.")
    refuse_without_effect(config, of_server=True)
    issues_tickets = bool(config.tickets) and not has_psks_only(config)
    if config.ticket_keys is not None and not issues_tickets:
        if config.ticket_keys not in _MADE_HERE:
            needed = "credentials" if config.tickets else "tickets"
            raise ConfigurationError(f"ticket_keys needs {needed}: without, none is issued.")
        # Copied from another config by `dataclasses.replace`, which had made them.
        object.__setattr__(config, "ticket_keys", None)
    if issues_tickets and config.ticket_keys is None:
        keys = _new_ticket_keys(config.ticket_lifetime, config.clock)
        object.__setattr__(config, "ticket_keys", keys)
        _MADE_HERE.add(keys)
    check_methods("ticket_keys", config.ticket_keys, ("keys",), "TicketKeys()")
    _check_guard(config)
    if config.confirm_early_data and not (config.max_early_data and config.confirm_peer):
        raise ConfigurationError("confirm_early_data needs max_early_data and confirm_peer.")
    if config.max_early_data:
        _choose_replay_guard(config)
    count, size = config.session_memory, config.session_memory_bytes
    memory = SessionCache12(count, size) if count and issues_tickets else None
    config.derived.session_cache12 = memory
    config.derived.binding = _binding(config)


_MADE_HERE: WeakSet[Any] = WeakSet()
"""The ticket keys that configs made for themselves."""


def _new_ticket_keys(lifetime: int, clock: Callable[[], datetime]) -> TicketKeys:
    """Return new keys for one config, which use its clock."""
    if clock is utc_now:
        return TicketKeys(lifetime=lifetime)

    def seconds() -> float:
        now: object = clock()
        if not isinstance(now, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"clock must return a datetime, not {kind_of(now)}.")
        return now.timestamp()

    return TicketKeys(lifetime=lifetime, clock=seconds)


def check_early_size(size: object) -> None:
    """Refuse a `max_early_data` that no ticket can hold."""
    if not is_whole(size, 0, _MOST_EARLY_DATA):
        raise ConfigurationError(
            f"max_early_data must be a whole number of bytes, 0 for none, up to {_MOST_EARLY_DATA}."
        )


def check_sessions(sessions: object, name: str = "sessions") -> None:
    """Refuse what is no store; `name` is that of the setting."""
    example = "SessionStore()"
    if is_path(sessions):
        path = os.fsdecode(cast(str, sessions))
        check_path_text(path, name)
        example = f"SessionStore.file({path!r})"
    check_methods(name, sessions, ("put", "take", "discard"), example)


def _check_guard(config: ServerConfig) -> None:
    guard = config.replay_guard
    check_methods("replay_guard", guard, ("is_first",), _GUARDS)
    if guard is None or config.max_early_data:
        return
    if not (isinstance(guard, ReplayFilter) and guard.belongs_to_keys):
        raise ConfigurationError("replay_guard needs max_early_data: no early data are accepted.")
    # Copied from another config by `dataclasses.replace`, which had derived it.
    object.__setattr__(config, "replay_guard", None)


def _choose_replay_guard(config: ServerConfig) -> None:
    """Choose the replay guard, which all configs and servers with the same keys must share.

    A ticket may have been used at any of them.

    Raises:
        ConfigurationError: the keys may come from elsewhere, and the guard is of one process.
    """
    keys, guard = config.ticket_keys, config.replay_guard
    memory: ReplayFilter | None = None
    if isinstance(keys, TicketKeys):
        memory = getattr(keys, "replay_filter", None)  # A subclass may not have made it.
    # A subclass may take its keys from anywhere.
    is_enough = type(keys) is TicketKeys
    if not is_enough and (guard is None or isinstance(guard, ReplayFilter)):
        raise ConfigurationError(
            "These ticket_keys may be shared with other servers, so 0-RTT data need a "
            "replay_guard that all of them use, such as handclasp.redis.RedisReplayFilter; a "
            "ReplayFilter, which is the memory of one process, is not enough."
        )
    if memory is not None:
        memory.add_guard(guard if guard is not None else memory)
    if guard is None:
        object.__setattr__(config, "replay_guard", memory)
    elif guard is not memory:
        # Other configs with these keys may have other guards; the filter of the keys asks all.
        config.derived.replay_memory = memory


def _binding(config: ServerConfig) -> bytes:
    """Return the binding of this server's sessions: 32 bytes, equal on all servers of a fleet."""
    parts = [
        config.session_context,
        _client_auth(config),
        config.trust.fingerprint if config.trust is not None else b"",
        b"callback" if config.verify is not None else b"",
        b"" if config.peer_certificate_types == ("X509",) else _names_of_types(config),
        # A client that resumes does not sign: a scheme that is refused now may have been used then.
        *sorted(
            name.encode("ascii")
            for name in config.signature_schemes
            if config.client_auth is not ClientAuth.NONE
        ),
        b"alpn",
        *[protocol.encode("ascii") for protocol in config.alpn],
    ]
    framed = b"".join([len(part).to_bytes(4, "big") + part for part in parts])
    return hashlib.sha256(framed).digest()


def _client_auth(config: ServerConfig) -> bytes:
    mode = ClientAuth(config.client_auth).value.encode("ascii")
    # Such a server lets everybody in at first; one that asks in the handshake must not resume that.
    return mode + b" after the handshake" if config.post_handshake_auth else mode


def _names_of_types(config: ServerConfig) -> bytes:
    return " ".join(sorted(config.peer_certificate_types)).encode("ascii")


def check_early_data_callbacks(config: ClientConfig) -> None:
    """Refuse early data that leave before a callback is asked, unless a setting allows that."""
    asked = [name for name in ("verify", "confirm_peer") if getattr(config, name) is not None]
    if config.allow_early_data and asked and not config.early_data_before_callbacks:
        raise ConfigurationError(
            f"Early data would be sent before {asked[0]} is asked about the server: set "
            "early_data_before_callbacks=True if the server that it accepted when the session was "
            "established may receive them, or leave one of them out."
        )
    if config.early_data_before_callbacks and not (config.allow_early_data and asked):
        raise ConfigurationError(
            "early_data_before_callbacks needs allow_early_data, and verify or confirm_peer."
        )
