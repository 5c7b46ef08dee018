"""Compressed certificates (RFC 8879): the algorithms, within bounds that the receiver sets."""

from __future__ import annotations

COMPRESSION_ALGORITHMS: dict[str, int] = {"brotli": 2, "zstd": 3, "zlib": 1}
"""IANA names and numbers, best first."""


def available_algorithms() -> tuple[str, ...]:
    """Those that this installation can do, best first."""
    return ("zlib",)
