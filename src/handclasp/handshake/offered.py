"""The lists of a ClientHello by the IANA names of what they hold, preferred first.

They come out of the client's configuration, so that all its hellos have the same ones, and so have
those of every client of its make: `recurring` keeps what was read.

Each name stands once, where it came first, and of the values without a name only the first few are
kept: what is looked up in these lists, or for each of their entries, costs no more than what is
known here, whatever a client fills its hello with.
"""

from __future__ import annotations

from functools import lru_cache

from handclasp.wire import extensions as ext
from handclasp.wire.iana import (
    cipher_suite_names,
    group_names,
    signature_scheme_names,
    version_names,
)
from handclasp.wire.recurring import recurring


@recurring
def offered_versions(data: bytes) -> tuple[str, ...]:
    """Out of supported_versions."""
    return version_names(ext.read_supported_versions(data))


@recurring
def offered_groups(data: bytes) -> tuple[str, ...]:
    """Out of supported_groups."""
    return group_names(ext.read_supported_groups(data))


@recurring
def offered_schemes(data: bytes) -> tuple[str, ...]:
    """Out of signature_algorithms."""
    return signature_scheme_names(ext.read_signature_algorithms(data))


@recurring
def offered_protocols(data: bytes) -> tuple[bytes, ...]:
    """Out of application_layer_protocol_negotiation."""
    return tuple(dict.fromkeys(ext.read_alpn(data)))


@recurring
def asked_name(data: bytes) -> str | None:
    """Out of server_name."""
    return ext.read_server_name(data)


def suite_names(codes: tuple[int, ...]) -> tuple[str, ...]:
    """Those of cipher_suites."""
    return _suite_names(codes) if len(codes) <= _MOST_SUITES else cipher_suite_names(codes)


_MOST_SUITES = 128


@lru_cache(maxsize=256)
def _suite_names(codes: tuple[int, ...]) -> tuple[str, ...]:
    return cipher_suite_names(codes)
