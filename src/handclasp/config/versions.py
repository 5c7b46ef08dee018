"""The versions of a config, and the lists of which each version can use a part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from handclasp.config.types import DEFAULT_VERSIONS
from handclasp.crypto.groups import DEFAULT_GROUPS, DEFAULT_KEY_SHARES, GROUPS
from handclasp.crypto.signatures import DEFAULT_SIGNATURE_SCHEMES, SIGNATURE_SCHEMES
from handclasp.crypto.suites import (
    DEFAULT_CIPHER_SUITES,
    RSA_KEY_TRANSPORT_SUITES,
    SUITES_OF_VERSION,
)
from handclasp.errors import ConfigurationError
from handclasp.values import MISSING, fields
from handclasp.wire.compression import available_algorithms

if TYPE_CHECKING:
    # For types alone: config builds on this module.
    from handclasp.config import SharedConfig


_NARROWED: dict[str, Sequence[str]] = {
    "cipher_suites": DEFAULT_CIPHER_SUITES,
    "groups": DEFAULT_GROUPS,
    "signature_schemes": DEFAULT_SIGNATURE_SCHEMES,
}
"""The lists of which each version can use a part, with their defaults."""


def fit_versions(config: SharedConfig) -> None:
    """Make versions and lists consistent: defaults are narrowed, explicit values raise."""
    for name, default in _NARROWED.items():
        given = getattr(config, name)
        if any(given == _narrowed(name, (version,)) for version in DEFAULT_VERSIONS):
            # Copied from another config by `dataclasses.replace`, which had narrowed it.
            object.__setattr__(config, name, default)
    named = config.versions != DEFAULT_VERSIONS
    versions: list[str] = []
    for version in DEFAULT_VERSIONS:
        if version not in config.versions:
            continue
        obstacle = _obstacle(config, version)
        if not obstacle:
            versions.append(version)
        elif named:
            raise ConfigurationError(f"versions names {version}, but {obstacle}.")
    if not versions:
        raise ConfigurationError(
            "No TLS version is possible with these cipher_suites, groups and signature_schemes."
        )
    object.__setattr__(config, "versions", tuple(versions))
    for name, default in _NARROWED.items():
        value: Sequence[str] = getattr(config, name)
        if value == default:
            object.__setattr__(config, name, _narrowed(name, config.versions))
            continue
        for entry in value:
            if not any(_has(name, entry, version) for version in versions):
                raise ConfigurationError(
                    f"{name} names {entry}, which {' and '.join(versions)} cannot use."
                )


def _narrowed(name: str, versions: Sequence[str]) -> tuple[str, ...]:
    """Return the part of a default list that these versions can use."""
    return tuple(
        [each for each in _NARROWED[name] if any(_has(name, each, version) for version in versions)]
    )


def _obstacle(config: SharedConfig, version: str) -> str:
    """Return the reason why this config cannot use a version, or an empty string."""
    for name in _NARROWED:
        if not any(_has(name, entry, version) for entry in getattr(config, name)):
            return f"{name} contains nothing for it"
    if version == "TLSv1.2" and config.record_padding:
        return "record_padding needs TLS 1.3"
    return ""


def _has(name: str, entry: str, version: str) -> bool:
    """Return whether this version can use an entry of this list."""
    if name == "cipher_suites":
        return entry in SUITES_OF_VERSION[version]
    if name == "groups":
        return version in GROUPS[entry].versions
    return version in SIGNATURE_SCHEMES[entry].versions


def fit_key_transport(config: SharedConfig) -> None:
    """Enable RSA key transport only if its own setting asks for it."""
    named = [name for name in config.cipher_suites if name in RSA_KEY_TRANSPORT_SUITES]
    if not config.allow_rsa_key_transport:
        if named:
            raise ConfigurationError(
                f"{named[0]} has no forward secrecy. To use it anyway, also set "
                "allow_rsa_key_transport=True."
            )
        return
    if "TLSv1.2" not in config.versions:
        raise ConfigurationError("allow_rsa_key_transport applies to TLS 1.2: name it in versions.")
    if not named:
        # Last, so that they are chosen only if nothing better is possible.
        suites = (*config.cipher_suites, *RSA_KEY_TRANSPORT_SUITES)
        object.__setattr__(config, "cipher_suites", suites)


class DefaultKeyShares(tuple[str, ...]):
    """Key shares that were derived from the groups, not set by the application."""

    __slots__ = ()


def default_key_shares(groups: Sequence[str]) -> DefaultKeyShares:
    """Return the default key shares, in the order of `groups` (RFC 8446 section 4.2.8)."""
    return DefaultKeyShares([name for name in groups if name in DEFAULT_KEY_SHARES] or groups[:1])


def short_repr(config: SharedConfig) -> str:
    """Return a repr with the fields that differ from their defaults."""
    changed: list[str] = []
    for each in fields(config):
        value = getattr(config, each.name)
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        if each.name == "key_shares":
            default = default_key_shares(config.groups) if "TLSv1.3" in config.versions else None
        elif each.name in _NARROWED:
            default = _narrowed(each.name, config.versions)
        elif each.name == "certificate_compression":
            default = available_algorithms()
        if each.repr and value != default and not (each.name == "credentials" and not value):
            changed.append(f"{each.name}={value!r}")
    return f"{type(config).__name__}({', '.join(changed)})"
