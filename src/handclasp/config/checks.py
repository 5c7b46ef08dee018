"""The checks of a config: a setting that cannot be honoured raises `ConfigurationError`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.trust import TrustStore
from handclasp.config.certificates import (
    VERIFICATION_FIELDS,
    as_credentials,
    check_own_credentials,
    check_policy_for_clients,
    check_staples,
    check_verification,
    freeze_certificate_types,
    freeze_client_auth,
    freeze_compression,
    freeze_raw_public_keys,
    refuse_unused,
    warn_of_uncovered_public_names,
)
from handclasp.config.hello_size import check_hello_size
from handclasp.config.sessions import (
    check_early_data_callbacks,
    check_sessions,
    prepare_sessions,
)
from handclasp.config.types import MAX_RECORD_SIZE_LIMIT, MIN_RECORD_SIZE_LIMIT, ClientAuth
from handclasp.config.unused import has_psks_only, refuse_without_effect
from handclasp.config.values import (
    as_tuple,
    check_known,
    check_switches,
    freeze_names,
    is_number,
    is_path,
    is_whole,
    kind_of,
)
from handclasp.config.versions import (
    DefaultKeyShares,
    default_key_shares,
    fit_key_transport,
    fit_versions,
)
from handclasp.crypto.groups import GROUPS
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.crypto.suites import CIPHER_SUITES, CIPHER_SUITES12, SUITES_OF_VERSION
from handclasp.ech import EchConfigList, ReloadingEchKeys, check_ech_keys
from handclasp.errors import ConfigurationError, check_path_text, shown
from handclasp.limits import Limits
from handclasp.sessions.psk import check_keys
from handclasp.synchronous import check_synchronous
from handclasp.trace.keylog import open_keylog
from handclasp.wording import listed

if TYPE_CHECKING:
    # For types alone: config builds on this module.
    from handclasp.config import ClientConfig, ServerConfig, SharedConfig


def check_shared(config: SharedConfig) -> None:
    """Check and normalize the fields of both roles."""
    check_kinds(config)
    object.__setattr__(config, "credentials", as_credentials(config.credentials))
    for name in ("alpn", "versions", "cipher_suites", "groups", "signature_schemes"):
        freeze_names(config, name)
    check_known("versions", config.versions, SUITES_OF_VERSION)
    check_known("cipher_suites", config.cipher_suites, CIPHER_SUITES | CIPHER_SUITES12)
    check_known("groups", config.groups, GROUPS)
    check_known("signature_schemes", config.signature_schemes, SIGNATURE_SCHEMES)
    fit_versions(config)
    fit_key_transport(config)
    check_alpn(config.alpn)
    object.__setattr__(config, "psks", check_keys(config.psks))
    freeze_raw_public_keys(config)
    freeze_compression(config)
    check_record_size_limit(config.record_size_limit)
    check_switches(config)
    if config.keylog is not None and not callable(config.keylog):
        # One open file for all connections of this config; a bad path fails here.
        object.__setattr__(config, "keylog", open_keylog(config.keylog))
    if not callable(config.record_padding) and not is_whole(config.record_padding, 0, 2**14):
        raise ConfigurationError(
            "record_padding must be a whole number of bytes from 0 to 16384, or a policy."
        )
    timeout = config.handshake_timeout
    # Written so that NaN fails as well.
    if timeout is not None and not (is_number(timeout) and timeout > 0):
        raise ConfigurationError(
            f"handshake_timeout must be a positive number of seconds or None, not {shown(timeout)}."
        )


def check_client(config: ClientConfig) -> None:
    """Check and normalize the fields of a client, after the shared ones."""
    freeze_certificate_types(
        config,
        own="client_certificate_types",
        of_peer="server_certificate_types",
        verifies=config.verify is None and config.verify_peer,
    )
    if not config.verify_peer:
        refuse_unused(config, "verify_peer=False verifies nothing", "verify", *VERIFICATION_FIELDS)
    check_verification(config)
    if config.send_authorities and config.trust is None:
        raise ConfigurationError("send_authorities needs a trust store of your own: trust=.")
    if config.allow_early_data and config.sessions is None:
        raise ConfigurationError(
            "allow_early_data needs sessions to resume: sessions=SessionStore()."
        )
    check_early_data_callbacks(config)
    if config.credentials and config.choose_credentials is not None:
        raise ConfigurationError(
            "choose_credentials replaces the choice: credentials would have no effect. Leave one "
            "of them out."
        )
    check_sessions(config.sessions)
    check_ech_configs(config)
    check_hello_size(config)
    if config.fallback and "TLSv1.3" in config.versions:
        raise ConfigurationError(
            "fallback signals that newer versions were left out: name the others in versions."
        )
    refuse_without_effect(config, of_server=False)
    if isinstance(config.key_shares, DefaultKeyShares):
        # Copied from another config by `dataclasses.replace`, which had derived them.
        object.__setattr__(config, "key_shares", None)
    if "TLSv1.3" not in config.versions:
        return
    if config.key_shares is None:
        object.__setattr__(config, "key_shares", default_key_shares(config.groups))
        return
    freeze_names(config, "key_shares")
    # RFC 8446 4.2.8: shares come in the order of supported_groups, or the server may refuse.
    check_known("key_shares", config.key_shares, config.groups)
    if list(config.key_shares) != [group for group in config.groups if group in config.key_shares]:
        raise ConfigurationError("key_shares must keep the order of groups (RFC 8446 4.2.8).")


def check_server(config: ServerConfig) -> None:
    """Check and normalize the fields of a server, after the shared ones."""
    freeze_certificate_types(
        config,
        own="server_certificate_types",
        of_peer="client_certificate_types",
        verifies=config.verify is None,
    )
    # A client may offer a type and then send nothing; a server must have all that it offers.
    check_own_credentials(config)
    if config.choose_credentials is not None and (config.credentials or config.strict_server_name):
        raise ConfigurationError(
            "choose_credentials replaces the choice: credentials and strict_server_name would "
            "have no effect. Leave them out."
        )
    has_psks = bool(config.psks) or config.find_psk is not None
    if not config.credentials and config.choose_credentials is None and not has_psks:
        raise ConfigurationError(
            "A server needs credentials: ServerConfig(credentials=[Credentials.load("
            '"chain.pem", "key.pem")]).'
        )
    if config.strict_server_name and has_psks_only(config):
        raise ConfigurationError(
            "strict_server_name refuses each name that no credentials cover, and without "
            "credentials that is every name: leave it out (in dataclasses.replace: "
            "strict_server_name=False), or set credentials."
        )
    freeze_client_auth(config)
    if config.client_auth is ClientAuth.NONE:
        unused = ("verify", "client_certificate_types", *VERIFICATION_FIELDS)
        refuse_unused(
            config, "client_auth is not set", *unused, instead=', or set client_auth="required"'
        )
        if config.post_handshake_auth:
            raise ConfigurationError(
                "post_handshake_auth asks for client certificates, which need client_auth."
            )
    elif config.trust is None and config.verify is None and config.accepts_certificates:
        raise ConfigurationError("Asking for client certificates needs a trust store: trust=.")
    check_half_rtt(config)
    check_ech(config)
    check_policy_for_clients(config)
    check_verification(config)
    check_staples(config)
    prepare_sessions(config)


def check_ech_configs(config: ClientConfig) -> None:
    """Refuse configurations for Encrypted Client Hello that cannot be used (RFC 9849 6.1)."""
    ech = cast(object, config.ech)
    if ech is None:
        return
    if not isinstance(ech, EchConfigList):
        raise ConfigurationError(
            f"ech must be an EchConfigList, not {kind_of(ech)}: EchConfigList.load(FILE), "
            "EchConfigList.from_base64(TEXT) or EchConfigList.from_bytes(BYTES)."
        )
    if "TLSv1.3" not in config.versions:
        raise ConfigurationError("ech requires TLS 1.3, which versions leaves out.")
    if ech.usable is None:
        raise ConfigurationError(
            f"ech: no configuration can be used: {listed(ech.problems(), longest=100)}."
        )


def check_ech(config: ServerConfig) -> None:
    """Check the keys for Encrypted Client Hello (RFC 9849 section 7.1)."""
    keys = cast(object, config.ech)
    is_source = callable(getattr(keys, "find_keys", None))
    if not is_source and not isinstance(keys, ReloadingEchKeys):
        keys = as_tuple("ech", keys, "EchKey")
        object.__setattr__(config, "ech", keys)
    if not is_source and not keys:
        if config.ech_trial_decryption:
            raise ConfigurationError("ech_trial_decryption needs keys to try: ech=[...].")
        return
    if "TLSv1.3" not in config.versions:
        raise ConfigurationError("ech requires TLS 1.3, which versions leaves out.")
    if is_source:
        return
    check_ech_keys(config.ech_keys)
    warn_of_uncovered_public_names(config)


def check_half_rtt(config: ServerConfig) -> None:
    """Refuse half-RTT data if the client must be authenticated first (RFC 8446 section 4.4.4)."""
    if not config.half_rtt_data:
        return
    if config.client_auth is not ClientAuth.NONE:
        raise ConfigurationError(
            "half_rtt_data would be sent before the client is authenticated: leave it out, or "
            "client_auth."
        )


def check_kinds(config: SharedConfig) -> None:
    """Refuse values of the wrong type, for programs without a type checker."""
    trust = cast(object, config.trust)
    if trust is not None and not isinstance(trust, TrustStore):
        hint = ""
        if is_path(trust):
            path = os.fsdecode(cast(str, trust))
            check_path_text(path, "trust", "trust=TrustStore.from_pem(...), with bytes")
            hint = f": TrustStore.from_pem({path!r})"
        raise ConfigurationError(f"trust must be a TrustStore, not {kind_of(trust)}{hint}.")
    if not isinstance(config.limits, Limits):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"limits must be Limits, not {kind_of(config.limits)}.")
    if not isinstance(config.policy, CertificatePolicy):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"policy must be a CertificatePolicy, not {kind_of(config.policy)}."
        )
    for name in ("verify", "confirm_peer", "choose_credentials", "choose_config", "find_psk"):
        callback = getattr(config, name, None)
        if not (callback is None or callable(callback)):
            hint = " To accept any certificate, set verify_peer=False." if name == "verify" else ""
            raise ConfigurationError(f"{name} must be a callable or None.{hint}")
    for name in ("clock", "entropy"):
        if not callable(getattr(config, name)):
            raise ConfigurationError(f"{name} must be a callable.")
    for name in ("clock", "entropy", "record_padding", "keylog"):
        check_synchronous(name, getattr(config, name))
    keylog = config.keylog
    if not (keylog is None or callable(keylog) or is_path(keylog)):
        raise ConfigurationError("keylog must be a path, a callable or None.")


def check_alpn(protocols: Sequence[str]) -> None:
    for protocol in protocols:
        try:
            encoded = protocol.encode("ascii")
        except (AttributeError, UnicodeEncodeError):
            raise ConfigurationError(f"alpn: {protocol!r} is not ASCII text.") from None
        if not 0 < len(encoded) < 256:
            raise ConfigurationError("alpn: a protocol name has 1 to 255 bytes (RFC 7301 3.1).")


def check_record_size_limit(limit: int | None) -> None:
    if limit is not None and not is_whole(limit, MIN_RECORD_SIZE_LIMIT, MAX_RECORD_SIZE_LIMIT):
        raise ConfigurationError("record_size_limit must be from 64 to 16385 (RFC 8449 4).")
