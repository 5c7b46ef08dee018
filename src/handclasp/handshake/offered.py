"""The lists of a ClientHello by the IANA names of what they hold, preferred first.

They come out of the client's configuration, so that all its hellos have the same ones, and so have
those of every client of its make: `recurring` keeps what was read.
"""

from __future__ import annotations

from functools import lru_cache

from handclasp.wire import extensions as ext
from handclasp.wire.iana import (
    cipher_suite_name,
    group_name,
    signature_scheme_name,
    version_name,
)
from handclasp.wire.recurring import recurring


@recurring
def offered_versions(data: bytes) -> tuple[str, ...]:
    """Out of supported_versions."""
    return tuple([version_name(code) for code in ext.read_supported_versions(data)])


@recurring
def offered_groups(data: bytes) -> tuple[str, ...]:
    """Out of supported_groups."""
    return tuple([group_name(code) for code in ext.read_supported_groups(data)])


@recurring
def offered_schemes(data: bytes) -> tuple[str, ...]:
    """Out of signature_algorithms."""
    return tuple([signature_scheme_name(code) for code in ext.read_signature_algorithms(data)])


@recurring
def offered_protocols(data: bytes) -> tuple[bytes, ...]:
    """Out of application_layer_protocol_negotiation."""
    return ext.read_alpn(data)


@recurring
def asked_name(data: bytes) -> str | None:
    """Out of server_name."""
    return ext.read_server_name(data)


def suite_names(codes: tuple[int, ...]) -> tuple[str, ...]:
    """Those of cipher_suites."""
    return _suite_names(codes) if len(codes) <= _MOST_SUITES else _named(codes)


_MOST_SUITES = 128


@lru_cache(maxsize=256)
def _suite_names(codes: tuple[int, ...]) -> tuple[str, ...]:
    return _named(codes)


def _named(codes: tuple[int, ...]) -> tuple[str, ...]:
    return tuple([cipher_suite_name(code) for code in codes])
