"""Compressed certificates (RFC 8879): the algorithms, within the bounds of the receiver.

zlib is always available; brotli and zstd need the packages `brotli` and `zstandard`.
"""

from __future__ import annotations

import zlib
from functools import cache
from importlib.util import find_spec
from typing import Any, cast

from handclasp.iana import HandshakeType
from handclasp.wire.messages import Certificate, CompressedCertificate, read_message
from handclasp.wire.writer import opaque24

COMPRESSION_ALGORITHMS: dict[str, int] = {"brotli": 2, "zstd": 3, "zlib": 1}
"""IANA names and numbers (CertificateCompressionAlgorithm), best first."""

_MAX_ZSTD_WINDOW = 2**23
"""In bytes: the least that a decoder should support (RFC 8878 section 3.1.1.1.2)."""


class DecompressionError(ValueError):
    """The compressed data are invalid, or not of the announced length."""


@cache
def available_algorithms() -> tuple[str, ...]:
    """Return the available algorithms, best first."""
    return tuple([name for name in COMPRESSION_ALGORITHMS if _is_available(name)])


def compress(name: str, data: bytes) -> bytes:
    """Return `data`, compressed as far as possible; this is slow, so keep the result."""
    if name == "brotli":
        return bytes(_brotli().compress(data))
    if name == "zstd":
        return bytes(_zstandard().ZstdCompressor(level=19).compress(data))
    return zlib.compress(data, 9)


def decompress(name: str, data: bytes, length: int) -> bytes:
    """Return exactly `length` bytes out of `data`; no more are ever decompressed.

    Raises:
        DecompressionError: it is damaged, the result is longer or shorter, or more data follow.
    """
    if name == "brotli":
        content = _decompress_brotli(data, length)
    elif name == "zstd":
        content = _decompress_zstd(data, length)
    else:
        content = _decompress_zlib(data, length)
    if len(content) != length:
        raise DecompressionError(f"it becomes {len(content)} bytes or more instead of {length}")
    return content


def certificate_within(message: CompressedCertificate, name: str) -> Certificate:
    """Return the Certificate that was compressed; its announced length bounds the work.

    Raises:
        DecompressionError: as `decompress` does.
        ProtocolError: the content is not a Certificate.
    """
    body = decompress(name, message.compressed_certificate_message, message.uncompressed_length)
    raw = HandshakeType.CERTIFICATE.to_bytes(1, "big") + opaque24(body)
    return cast(Certificate, read_message(raw))


def _is_available(name: str) -> bool:
    if name == "brotli":
        # Before version 1.2 its output could not be bounded.
        return find_spec("brotli") is not None and hasattr(
            _brotli().Decompressor, "can_accept_more_data"
        )
    return name == "zlib" or find_spec("zstandard") is not None


def _decompress_zlib(data: bytes, length: int) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        # One byte more than announced detects longer data; zero would mean no bound.
        content = decompressor.decompress(data, length + 1)
    except zlib.error:
        raise DecompressionError("it is damaged") from None
    if len(content) == length and (not decompressor.eof or decompressor.unused_data):
        raise DecompressionError("it does not end where it should")
    return content


def _decompress_brotli(data: bytes, length: int) -> bytes:
    brotli = _brotli()
    decompressor = brotli.Decompressor()
    try:
        content: bytes = decompressor.process(data, output_buffer_limit=length + 1)
    except brotli.error:
        raise DecompressionError("it is damaged") from None
    if len(content) == length and not decompressor.is_finished():
        raise DecompressionError("it does not end where it should")
    return content


def _decompress_zstd(data: bytes, length: int) -> bytes:
    zstandard = _zstandard()
    try:
        # A frame may announce its size, which would be allocated.
        announced = zstandard.frame_content_size(data)
        if announced not in (length, -1):
            raise DecompressionError(f"it announces {announced} bytes instead of {length}")
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW)
        content: bytes = decompressor.decompress(
            data, max_output_size=length, allow_extra_data=False
        )
    except zstandard.ZstdError:
        raise DecompressionError("it is damaged, or longer than announced") from None
    return content


def _brotli() -> Any:
    import brotli  # type: ignore[import-untyped,unused-ignore]

    return brotli


def _zstandard() -> Any:
    import zstandard

    return zstandard
