"""The checks of single values: each raises `ConfigurationError`, or returns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from handclasp.errors import ConfigurationError, check_switch
from handclasp.synchronous import check_synchronous
from handclasp.values import fields

if TYPE_CHECKING:
    # For types alone: config builds on this module.
    from handclasp.config import SharedConfig


def freeze_names(config: SharedConfig, name: str) -> None:
    value = getattr(config, name)
    if isinstance(value, str):
        raise ConfigurationError(f"{name} must be a list of names, not one string.")
    frozen = as_tuple(name, value, "names")
    for each in frozen:
        if not isinstance(each, str):
            raise ConfigurationError(
                f"{name} must be a list of names (str), and {each!r:.80} is {type(each).__name__}."
            )
    if len(set(frozen)) != len(frozen):
        raise ConfigurationError(f"{name} contains a duplicate.")
    object.__setattr__(config, name, frozen)


def as_tuple(name: str, value: Any, what: str) -> tuple[Any, ...]:
    """Return the entries of a list; raise `ConfigurationError` for any other value."""
    given: object = value
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise ConfigurationError(f"{name} must be a list of {what}, not {type(value).__name__}.")
    return tuple(value)


def kind_of(value: object) -> str:
    """Return the type of a value for an error message; for a class, the class itself."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return type(value).__name__


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike)


def is_whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def check_known(what: str, names: Sequence[str], known: Any) -> None:
    if not names:
        raise ConfigurationError(f"{what} must not be empty.")
    for name in names:
        if name not in known:
            choices = ", ".join(known)
            meant = _meant(name, known)
            hint = f" Did you mean {meant}?" if meant else ""
            raise ConfigurationError(f"{what}: {name!r} is not one of {choices}.{hint}")


_OTHER_NAMES = {
    "p256": "secp256r1",
    "prime256v1": "secp256r1",
    "p384": "secp384r1",
    "p521": "secp521r1",
}
"""NIST's and OpenSSL's names of groups."""


def _meant(name: object, known: Any) -> str:
    """Return the known name that another program spells differently; empty if there is none."""
    if not isinstance(name, str):
        return ""
    asked = _spelled(name)
    asked = _OTHER_NAMES.get(asked, asked)
    # OpenSSL leaves out the hash where only one is defined.
    return next((each for each in known if _spelled(each) in (asked, f"{asked}sha256")), "")


def _spelled(name: str) -> str:
    """Return a name without what programs spell differently."""
    plain = "".join(filter(str.isalnum, name.lower().replace("_with_", "_")))
    return plain.removeprefix("tls")


def check_methods(name: str, value: object, methods: Sequence[str], example: str) -> None:
    """Refuse an object without these methods, and a class in place of an object."""
    if value is None:
        return
    if isinstance(value, type):
        raise ConfigurationError(f"{name} must be an object, not a class: {name}={example}.")
    for method in methods:
        if not callable(getattr(value, method, None)):
            raise ConfigurationError(
                f"{name} must be an object such as {example}, not {kind_of(value)}: it has no "
                f"{method}()."
            )
        if name != "replay_guard":  # The only one of them that may answer later.
            check_synchronous(f"{name}.{method}()", getattr(value, method))


def check_switches(config: SharedConfig) -> None:
    """Refuse switches other than True and False: None must not mean "do not verify"."""
    for each in fields(config):
        if each.type == "bool":
            check_switch(each.name, getattr(config, each.name))
