"""The lists of a ClientHello by the IANA names of what they hold, preferred first.

They come out of the client's configuration, so that all its hellos have the same ones, and so have
those of every client of its make: `HandshakeContext.reading` keeps what was read.

Each name stands once, where it came first, and of the values without a name only the first few are
kept: what is looked up in these lists, or for each of their entries, costs no more than what is
known here, whatever a client fills its hello with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

from handclasp.certificates.credentials import Credentials
from handclasp.config import SharedConfig
from handclasp.iana import (
    ExtensionType,
    cipher_suite_names,
    group_names,
    signature_scheme_names,
    version_names,
)
from handclasp.wire import extensions as ext
from handclasp.wire.reader import Uint16s
from handclasp.wire.structs import Extensions

MOST_PROTOCOLS = 64
"""Protocols that are kept of a hello, besides those that this side speaks."""

MOST_AUTHORITIES = 1024
"""Authorities that are kept of a message, besides those of this side's certificates: as many as
fit into one if their names have 62 bytes each, which is short."""


def offered_versions(data: bytes) -> tuple[str, ...]:
    """Out of supported_versions."""
    return version_names(ext.read_supported_versions(data))


def offered_groups(data: bytes) -> tuple[str, ...]:
    """Out of supported_groups."""
    return group_names(ext.read_supported_groups(data))


def offered_schemes(data: bytes) -> tuple[str, ...]:
    """Out of signature_algorithms."""
    return signature_scheme_names(ext.read_signature_algorithms(data))


def offered_protocols(data: bytes, spoken: Collection[bytes] = ()) -> tuple[bytes, ...]:
    """Out of application_layer_protocol_negotiation: those `spoken` here, and a few others."""
    return _bounded(ext.read_alpn(data), spoken, MOST_PROTOCOLS)


def protocols_reader(config: SharedConfig) -> Callable[[bytes], tuple[bytes, ...]]:
    """Return `offered_protocols` for the protocols of a config, the same one each time."""
    return config.derived.once("offered protocols", _protocols_reader, config)


def offered_authorities(
    names: Iterable[bytes], credentials: Iterable[Credentials]
) -> tuple[bytes, ...]:
    """Return the names of certificate_authorities: the issuers of these credentials, and others."""
    own = frozenset(issuer for each in credentials for issuer in each.issuers_der)
    return _bounded(names, own, MOST_AUTHORITIES)


def authorities_of(extensions: Extensions, config: SharedConfig) -> tuple[bytes, ...]:
    """Out of the certificate_authorities of a ClientHello or CertificateRequest, if it is there.

    RFC 8446 section 4.2.4 defines it, and a server of TLS 1.2 may go by it as well.
    """
    data = extensions.get(ExtensionType.CERTIFICATE_AUTHORITIES)
    if data is None:
        return ()
    return offered_authorities(ext.read_certificate_authorities(data), config.credential_list)


def asked_name(data: bytes) -> str | None:
    """Out of server_name."""
    return ext.read_server_name(data)


def offered_suites(data: bytes) -> tuple[str, ...]:
    """Out of cipher_suites, without their length."""
    return cipher_suite_names(Uint16s(data))


def _protocols_reader(config: SharedConfig) -> Callable[[bytes], tuple[bytes, ...]]:
    spoken = frozenset(name.encode("ascii") for name in config.alpn)
    return partial(offered_protocols, spoken=spoken)


def _bounded(values: Iterable[bytes], known: Collection[bytes], most: int) -> tuple[bytes, ...]:
    """Return the known values, wherever they stand, and the first so many others, each once.

    A name of one byte is an object of 34, and there may be 20,000 of them in a message.
    """
    kept: list[bytes] = []
    for each in dict.fromkeys(values):
        if each not in known:
            if not most:
                continue
            most -= 1
        kept.append(each)
    return tuple(kept)
