"""Settings that would have no effect beside others: each raises, unless it is off or a default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

from handclasp.config.types import ClientAuth
from handclasp.errors import ConfigurationError
from handclasp.wire.compression import available_algorithms

if TYPE_CHECKING:
    # For types alone: config builds on this module.
    from handclasp.config import SharedConfig


@dataclass(frozen=True, slots=True)
class _Rule:
    """Settings that have an effect only beside others.

    Attributes:
        names: the settings, of either role.
        applies: whether they have an effect in this config.
        why: the reason if they have none, which begins the error.
    """

    names: tuple[str, ...]
    applies: Callable[[Any], bool]
    why: str


def has_psks_only(config: Any) -> bool:
    """Return whether a server has no certificate, so that each client needs an external key."""
    return not config.credentials and config.choose_credentials is None


def _uses_psks(config: Any) -> bool:
    if config.psks or getattr(config, "find_psk", None) is not None:
        return True
    return bool(getattr(config, "tickets", 0)) or getattr(config, "sessions", None) is not None


_OF_RESUMPTION = ("ticket_lifetime", "session_context", "session_memory", "session_memory_bytes")
_NO_TICKETS = (
    "Clients with an external pre-shared key get no tickets, and without credentials there are no "
    "other clients"
)

_RULES_OF_BOTH = (
    _Rule(
        ("find_psk", "allow_psk_ke", "certificate_compression"),
        lambda config: "TLSv1.3" in config.versions,
        "versions leaves out TLS 1.3",
    ),
    _Rule(
        ("require_extended_master_secret", "session_memory", "session_memory_bytes"),
        lambda config: "TLSv1.2" in config.versions,
        "versions leaves out TLS 1.2",
    ),
    _Rule(("allow_psk_ke",), _uses_psks, "There are neither pre-shared keys nor sessions"),
)
_RULES_OF_SERVERS = (
    _Rule(_OF_RESUMPTION, lambda config: bool(config.tickets), "tickets=0 resumes no session"),
    _Rule(
        ("session_memory_bytes",),
        lambda config: bool(config.session_memory),
        "session_memory=0 remembers no session",
    ),
    _Rule(
        ("tickets", "max_early_data", *_OF_RESUMPTION),
        lambda config: not has_psks_only(config),
        _NO_TICKETS,
    ),
    _Rule(
        ("client_auth",),
        lambda config: config.post_handshake_auth or not has_psks_only(config),
        "A client with an external pre-shared key is asked for no certificate, and without "
        "credentials there are no other clients",
    ),
)


def refuse_without_effect(config: SharedConfig, *, of_server: bool) -> None:
    """Raise `ConfigurationError` for a setting that nothing would look at."""
    rules = (*_RULES_OF_BOTH, *_RULES_OF_SERVERS) if of_server else _RULES_OF_BOTH
    defaults: dict[str, Any] | None = None
    for rule in rules:
        if rule.applies(config):
            continue
        if defaults is None:
            defaults = _defaults_of(config)
        for name in rule.names:
            if name in defaults and not _is_off(getattr(config, name), defaults[name]):
                raise ConfigurationError(
                    f"{rule.why}, so {name} would have no effect: leave it out."
                )


def _defaults_of(config: SharedConfig) -> dict[str, Any]:
    found = {each.name: each.default for each in fields(config) if each.default is not MISSING}
    return found | {"certificate_compression": available_algorithms()}


def _is_off(value: object, default: object) -> bool:
    """Return whether a value is the default, or asks for nothing."""
    if value == default or value is ClientAuth.NONE:
        return True
    return not value and default is not True
