"""The checks of credentials, certificate types, compression and policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from handclasp.certificates.own_certificate import Role, warn_of_own, warn_of_public_names
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.raw_keys import public_key_info
from handclasp.certificates.reloading import ReloadingCredentials
from handclasp.certificates.staple import OcspStaple
from handclasp.config.types import ClientAuth, Credential
from handclasp.config.unused import refuse_settings
from handclasp.config.values import as_tuple, check_known, freeze_names, kind_of
from handclasp.errors import ConfigurationError
from handclasp.wire.compression import COMPRESSION_ALGORITHMS, available_algorithms

if TYPE_CHECKING:
    # For types alone: config builds on this module.
    from handclasp.config import ServerConfig, SharedConfig


_OF_CERTIFICATES = (
    "profile",
    "max_intermediates",
    "stapled_ocsp",
    "crls",
    "ct_logs",
    "required_timestamps",
)
"""The fields of a policy that apply to certificates only; pins and TLSA records suit keys too."""


def as_credentials(given: Credential | Sequence[Credential] | None) -> tuple[Credential, ...]:
    if given is None:
        return ()
    example = 'Credentials.load("chain.pem", "key.pem")'
    value = cast(object, given)
    if isinstance(value, str | bytes) or not isinstance(value, Credential | Iterable):
        raise ConfigurationError(
            f"credentials must be Credentials, not {kind_of(given)}: {example}."
        )
    credentials = (given,) if isinstance(given, Credential) else tuple(given)
    for each in credentials:
        if not isinstance(each, Credential):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"credentials must be Credentials, not {kind_of(each)}: {example}."
            )
    return credentials


def freeze_raw_public_keys(config: SharedConfig) -> None:
    given: Sequence[bytes] | bytes | str = config.raw_public_keys
    if isinstance(given, bytes | str):
        raise ConfigurationError("raw_public_keys must be a list of keys, not one.")
    keys = tuple([public_key_info(key) for key in as_tuple("raw_public_keys", given, "keys")])
    object.__setattr__(config, "raw_public_keys", keys)


def freeze_certificate_types(
    config: SharedConfig, *, own: str, of_peer: str, verifies: bool
) -> None:
    """Check the certificate types that are named, and that each can be honoured.

    Args:
        config: the config.
        own, of_peer: the names of the fields for this side's types and for the peer's.
        verifies: whether this library verifies the peer.
    """
    for name in ("server_certificate_types", "client_certificate_types"):
        if getattr(config, name) is not None:
            freeze_names(config, name)
            check_known(name, getattr(config, name), ("X509", "RawPublicKey"))
    _check_own_types(config, own)
    types = getattr(config, of_peer)
    if types is None:
        return
    if "RawPublicKey" in types and verifies and not config.raw_public_keys:
        raise ConfigurationError(
            f"{of_peer} names RawPublicKey, but no keys to accept are given: use "
            "raw_public_keys=[...] or a verify callback."
        )
    for setting, kind in (("raw_public_keys", "RawPublicKey"), ("trust", "X509")):
        if getattr(config, setting) and kind not in types:
            raise ConfigurationError(
                f"{of_peer} leaves out {kind}, so {setting} would have no effect: leave it out."
            )


def _check_own_types(config: SharedConfig, name: str) -> None:
    types = getattr(config, name)
    if types is None:
        return
    held = {each.certificate_type for each in config.credential_list}
    for kind in held.difference(types):
        raise ConfigurationError(
            f"{name} leaves out {kind}, but credentials of that type are given."
        )


def check_own_credentials(config: ServerConfig) -> None:
    """Refuse a certificate type of the server for which it has no credentials."""
    types = config.server_certificate_types or ()
    held = {each.certificate_type for each in config.credential_list}
    missing = [kind for kind in types if kind not in held]
    if held and missing:
        raise ConfigurationError(
            f"server_certificate_types names {missing[0]}, but no credentials of that type are "
            "given."
        )


def freeze_compression(config: SharedConfig) -> None:
    if config.certificate_compression is None:
        object.__setattr__(config, "certificate_compression", available_algorithms())
        return
    freeze_names(config, "certificate_compression")
    for name in config.certificate_compression:
        if name not in COMPRESSION_ALGORITHMS:
            choices = ", ".join(COMPRESSION_ALGORITHMS)
            raise ConfigurationError(f"certificate_compression: {name!r} is not one of {choices}.")
        if name not in available_algorithms():
            raise ConfigurationError(
                f"certificate_compression: {name!r} needs a package that is not installed here."
            )


def freeze_client_auth(config: ServerConfig) -> None:
    try:
        value = ClientAuth(config.client_auth)
    except ValueError:
        choices = ", ".join(f'"{member.value}"' for member in ClientAuth)
        raise ConfigurationError(
            f"client_auth must be a ClientAuth or one of {choices}, not {config.client_auth!r}."
        ) from None
    object.__setattr__(config, "client_auth", value)


def check_verification(config: SharedConfig) -> None:
    if config.verify is not None:
        refuse_unused(config, "A verify callback replaces the verification", *VERIFICATION_FIELDS)
    if not config.accepts_certificates:
        # RFC 7250 3: a raw key has no issuer, no serial number, no dates and no extensions.
        default = CertificatePolicy()
        for name in _OF_CERTIFICATES:
            if getattr(config.policy, name) != getattr(default, name):
                raise ConfigurationError(
                    f"policy: {name} applies to certificates, and with raw_public_keys alone there "
                    "are none: leave it out, or set trust as well."
                )


VERIFICATION_FIELDS = ("trust", "policy", "raw_public_keys", "confirm_peer")
"""The fields that the verification of the peer depends on."""


def refuse_unused(config: SharedConfig, why: str, *names: str, instead: str = "") -> None:
    """Refuse settings that would have no effect."""
    refuse_settings(config, [(why, names)], instead=instead)


def check_policy_for_clients(config: ServerConfig) -> None:
    """Refuse the parts of a policy that no client can fulfil."""
    policy = config.policy
    if policy.tlsa:
        raise ConfigurationError("policy: TLSA records apply to servers, not clients.")
    if policy.ct_logs:
        raise ConfigurationError(
            "policy: transparency logs apply to servers' certificates (RFC 6962 3), not clients'."
        )
    if policy.stapled_ocsp == "require" and "TLSv1.3" not in config.versions:
        raise ConfigurationError(
            'policy: stapled_ocsp="require" needs TLS 1.3, as clients of TLS 1.2 staple nothing '
            "(RFC 6066 8)."
        )


def warn_of_own_certificates(config: SharedConfig, role: Role) -> None:
    """Warn of certificates that peers will refuse in this role, now or soon; and of later ones."""
    given: Any = config.credentials  # A tuple, since the config was built.
    for each in given:
        if isinstance(each, ReloadingCredentials):
            each.warn_as(role)
    credentials = config.credential_list
    if credentials:
        now = config.clock()
        # Another result of the clock is an error, but only once a peer's certificate is verified.
        is_aware = isinstance(now, datetime) and now.tzinfo is not None  # pyright: ignore[reportUnnecessaryIsInstance]
        warn_of_own(credentials, role, now if is_aware else None)


def warn_of_uncovered_public_names(config: ServerConfig) -> None:
    """Warn of a public name without a certificate, unless a callback may have one (RFC 9849)."""
    if config.choose_config is None:
        names = [each.public_name for key in config.ech_keys for each in key.configs]
        warn_of_public_names(config.credential_list, names)


def check_staples(config: ServerConfig) -> None:
    """Warn of an OCSP response that is outdated, and is therefore not sent."""
    for credentials in config.credential_list:
        if isinstance(credentials.staple, OcspStaple):
            credentials.staple.check(config.clock())
