"""The lists of a ClientHello by the IANA names of what they hold, preferred first.

They come out of the client's configuration, so that all its hellos have the same ones, and so have
those of every client of its make: `Dialogue.reading` keeps what was read.
"""

from __future__ import annotations

from handclasp.wire import extensions as ext
from handclasp.wire.iana import (
    cipher_suite_name,
    group_name,
    signature_scheme_name,
    version_name,
)


def offered_versions(data: bytes) -> tuple[str, ...]:
    """Out of supported_versions."""
    return tuple([version_name(code) for code in ext.read_supported_versions(data)])


def offered_groups(data: bytes) -> tuple[str, ...]:
    """Out of supported_groups."""
    return tuple([group_name(code) for code in ext.read_supported_groups(data)])


def offered_schemes(data: bytes) -> tuple[str, ...]:
    """Out of signature_algorithms."""
    return tuple([signature_scheme_name(code) for code in ext.read_signature_algorithms(data)])


def offered_protocols(data: bytes) -> tuple[bytes, ...]:
    """Out of application_layer_protocol_negotiation."""
    return ext.read_alpn(data)


def asked_name(data: bytes) -> str | None:
    """Out of server_name."""
    return ext.read_server_name(data)


def suite_names(codes: tuple[int, ...]) -> tuple[str, ...]:
    """Those of cipher_suites."""
    return tuple([cipher_suite_name(code) for code in codes])
