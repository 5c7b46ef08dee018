"""The output of a complete handshake for applications: exported keys and channel bindings."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

from handclasp.certificates.reading import certificate_of, read_or_none
from handclasp.errors import ConfigurationError, StateError, shown
from handclasp.info import ConnectionInfo
from handclasp.keys.schedule12 import RESERVED_LABELS, Exporter12
from handclasp.keys.schedule13 import ExporterSecret

Exporter: TypeAlias = ExporterSecret | Exporter12

_ORDER = "the arguments are label, context and length"


def export_keying_material(
    exporter: Exporter | None, label: str, context: bytes | None, length: int
) -> bytes:
    """`length` bytes that only the two ends know (RFC 9846 section 7.5, RFC 5705).

    Raises `StateError` without an exporter, which is there when the handshake is complete, and
    `ConfigurationError` where the arguments are not of use.
    """
    if exporter is None:
        raise StateError("Keying material can be exported after the handshake only.")
    if not isinstance(label, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"An exporter label is a str, not {type(label).__name__}; {_ORDER}."
        )
    if context is not None and not isinstance(context, (bytes, bytearray, memoryview)):  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = type(context).__name__
        raise ConfigurationError(
            f"The context of an exporter is bytes or None, not {kind}; {_ORDER}."
        )
    if not isinstance(length, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = type(length).__name__
        raise ConfigurationError(f"The length is a whole number of bytes, not {kind}; {_ORDER}.")
    if not label.isascii() or not 0 < len(label) < 250:
        raise ConfigurationError("An exporter label has 1 to 249 ASCII characters.")
    if label in RESERVED_LABELS:
        raise ConfigurationError(
            f"TLS itself uses the label {label!r} (RFC 5705 4): take a registered one, that begins "
            'with "EXPORTER", or one for private use, which begins with "EXPERIMENTAL".'
        )
    if not 0 < length <= exporter.longest:
        raise ConfigurationError(f"An exporter gives 1 to {exporter.longest} bytes, not {length}.")
    if isinstance(exporter, Exporter12):
        _require_extended_master_secret(exporter, "what it exports")
    return exporter.export(label, context, length)


def channel_binding(
    binding_type: str,
    exporter: Exporter | None,
    info: ConnectionInfo | None,
    tls_unique: bytes | None,
    *,
    is_client: bool,
) -> bytes:
    """Bytes that tie an application's authentication to this connection.

    Raises `StateError` before the handshake is complete, and `ConfigurationError` where there is
    no such binding.
    """
    if binding_type == "tls-exporter":
        return export_keying_material(exporter, "EXPORTER-Channel-Binding", b"", 32)
    if binding_type not in ("tls-unique", "tls-server-end-point"):
        raise ConfigurationError(
            f"{shown(binding_type)} is not a channel binding of TLS, which are 'tls-exporter', "
            "'tls-server-end-point' and, in TLS 1.2 only, 'tls-unique'."
        )
    if info is None:
        raise StateError("Channel bindings exist after the handshake only.")
    if binding_type == "tls-unique":
        if tls_unique is None:
            # RFC 9846 C.5: "tls-unique" is not defined there.
            raise ConfigurationError(
                "'tls-unique' is not a channel binding of TLS 1.3: use 'tls-exporter' (RFC 9266)."
            )
        _require_extended_master_secret(exporter, "tls-unique")
        return tls_unique
    return _server_end_point(info, is_client=is_client)


def _require_extended_master_secret(exporter: Exporter | None, what: str) -> None:
    if isinstance(exporter, Exporter12) and not exporter.master_secret.extended:
        raise ConfigurationError(
            f"This connection is without the extended master secret: {what} could be the same "
            "on another one (RFC 7627 5.4). Use a peer that supports it."
        )


def _server_end_point(info: ConnectionInfo, *, is_client: bool) -> bytes:
    """RFC 5929 section 4.1: the certificate under its signature's hash, at least SHA-256."""
    if is_client:
        chain, certificate_type = info.peer_chain_der, info.peer_certificate_type
    else:
        chain, certificate_type = info.local_chain_der, info.local_certificate_type
    if certificate_type != "X509":
        raise ConfigurationError(
            "tls-server-end-point is about a certificate, and the server showed a raw public "
            "key; use tls-exporter."
        )
    if not chain:
        raise ConfigurationError(
            "tls-server-end-point is about the server's certificate, and this side knows of "
            "none: a session or key of before stood for it; use tls-exporter."
        )
    certificate = read_or_none(lambda: certificate_of(chain[0]))
    algorithm = None
    if certificate is not None:
        algorithm = read_or_none(lambda: certificate.signature_hash_algorithm)
    if algorithm is None:
        raise ConfigurationError(
            "tls-server-end-point is not defined for this certificate's signature algorithm "
            "(RFC 5929 4.1); use tls-exporter."
        )
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, chain[0]).digest()
