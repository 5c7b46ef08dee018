"""Settings that would have no effect beside others: each raises, unless it is off or a default."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from handclasp.config.types import ClientAuth
from handclasp.config.versions import DefaultKeyShares
from handclasp.errors import ConfigurationError
from handclasp.sessions.replay import ReplayFilter
from handclasp.values import MISSING, dataclass, fields
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
_OF_EARLY_DATA = ("max_early_data", "confirm_early_data", "replay_guard")
_NO_TICKETS = (
    "Clients with an external pre-shared key get no tickets, and without credentials there are no "
    "other clients"
)

_RULES_OF_BOTH = (
    _Rule(
        (
            "psks",
            "find_psk",
            "allow_psk_ke",
            "certificate_compression",
            "post_handshake_auth",
            "key_shares",
            "allow_early_data",
            "early_data_before_callbacks",
            *_OF_EARLY_DATA,
            "half_rtt_data",
        ),
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
    _Rule(
        ("allow_alpn_mismatch",),
        lambda config: bool(config.alpn),
        "alpn names no protocol, and then a client may offer any",
    ),
    _Rule(
        (*_OF_RESUMPTION, *_OF_EARLY_DATA),
        lambda config: bool(config.tickets),
        "tickets=0 resumes no session",
    ),
    _Rule(
        ("session_memory_bytes",),
        lambda config: bool(config.session_memory),
        "session_memory=0 remembers no session",
    ),
    _Rule(
        ("tickets", *_OF_EARLY_DATA, *_OF_RESUMPTION),
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
    """Raise `ConfigurationError` for the settings that nothing would look at."""
    rules = (*_RULES_OF_BOTH, *_RULES_OF_SERVERS) if of_server else _RULES_OF_BOTH
    refuse_settings(config, [(rule.why, rule.names) for rule in rules if not rule.applies(config)])


def refuse_settings(
    config: SharedConfig, unused: Sequence[tuple[str, Sequence[str]]], *, instead: str = ""
) -> None:
    """Raise `ConfigurationError` for those of these settings that are not off.

    The error names all of them, with the values that turn them off: a copy of a config
    (`dataclasses.replace`) keeps whatever is not named in the call.

    Args:
        config: the config.
        unused: settings, of either role, each with the reason why they have no effect.
        instead: what else can be done, as the end of the sentence.
    """
    if not unused:
        return
    off = _values_that_are_off(config)
    told: dict[str, str] = {}
    reasons: list[str] = []
    for why, names in unused:
        found = [
            name
            for name in names
            if name in off and name not in told and not _is_off(getattr(config, name), off[name])
        ]
        if found:
            told |= {name: f"{name}={_written(off[name])}" for name in found}
            reasons.append(f"{why}, so {_listed(found)} would have no effect")
    if told:
        what = "it" if len(told) == 1 else "them"
        raise ConfigurationError(
            f"{'; '.join(reasons)}: leave {what} out{instead} (in dataclasses.replace: "
            f"{', '.join(told.values())})."
        )


def _values_that_are_off(config: SharedConfig) -> dict[str, Any]:
    return {
        each.name: each.default if each.default_factory is MISSING else each.default_factory()
        for each in fields(config)
    }


def _is_off(value: Any, default: Any) -> bool:
    """Return whether a value is the default, or asks for nothing, or was derived."""
    if value == default or value is ClientAuth.NONE:
        return True
    # Copied from another config by `dataclasses.replace`, which had derived it.
    if value == available_algorithms() or isinstance(value, DefaultKeyShares):
        return True
    if isinstance(value, ReplayFilter):
        return value.belongs_to_keys
    return not value and default is not True


def _written(value: Any) -> str:
    """Return a value as programs write it."""
    return repr(value.value if isinstance(value, ClientAuth) else value)


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
