"""The lists of a ClientHello by the IANA names of what they hold, preferred first.

They come out of the client's configuration, so that all its hellos have the same ones, and so have
those of every client of its make: `Dialogue.reading` keeps what was read.

Each name stands once, where it came first, and of the values without a name only the first few are
kept: what is looked up in these lists, or for each of their entries, costs no more than what is
known here, whatever a client fills its hello with.
"""

from __future__ import annotations

from handclasp.wire import extensions as ext
from handclasp.wire.iana import (
    cipher_suite_names,
    group_names,
    signature_scheme_names,
    version_names,
)


def offered_versions(data: bytes) -> tuple[str, ...]:
    """Out of supported_versions."""
    return version_names(ext.read_supported_versions(data))


def offered_groups(data: bytes) -> tuple[str, ...]:
    """Out of supported_groups."""
    return group_names(ext.read_supported_groups(data))


def offered_schemes(data: bytes) -> tuple[str, ...]:
    """Out of signature_algorithms."""
    return signature_scheme_names(ext.read_signature_algorithms(data))


def offered_protocols(data: bytes) -> tuple[bytes, ...]:
    """Out of application_layer_protocol_negotiation."""
    return tuple(dict.fromkeys(ext.read_alpn(data)))


def asked_name(data: bytes) -> str | None:
    """Out of server_name."""
    return ext.read_server_name(data)


def suite_names(codes: tuple[int, ...]) -> tuple[str, ...]:
    """Those of cipher_suites."""
    return cipher_suite_names(codes)
