"""Compression gives back what went in, and never more than was announced."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.errors import ProtocolError
from handclasp.wire import compression
from handclasp.wire.compression import (
    COMPRESSION_ALGORITHMS,
    DecompressionError,
    available_algorithms,
    certificate_within,
    compress,
    decompress,
)
from handclasp.wire.messages import (
    Certificate,
    CertificateEntry,
    CompressedCertificate,
    write_message,
)

algorithms = pytest.mark.parametrize("name", COMPRESSION_ALGORITHMS)


def test_all_are_installed_here() -> None:
    assert available_algorithms() == tuple(COMPRESSION_ALGORITHMS)


def test_an_old_brotli_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        class Decompressor:
            """Without a bound on its output."""

    monkeypatch.setattr(compression, "_brotli", lambda: Old)
    assert available_algorithms.__wrapped__() == ("zstd", "zlib")
    monkeypatch.setattr(compression, "find_spec", lambda name: None)
    assert available_algorithms.__wrapped__() == ("zlib",)


@algorithms
@given(data=st.binary(max_size=2000))
def test_what_goes_in_comes_out(name: str, data: bytes) -> None:
    assert decompress(name, compress(name, data), len(data)) == data


@algorithms
def test_another_length_than_announced(name: str) -> None:
    packed = compress(name, bytes(100))
    for length in (0, 1, 99, 101, 1000):
        with pytest.raises(DecompressionError):
            decompress(name, packed, length)


@algorithms
def test_something_behind_the_end(name: str) -> None:
    packed = compress(name, b"certificate" * 9)
    for more in (b"\0", b"x" * 50, packed):
        with pytest.raises(DecompressionError):
            decompress(name, packed + more, 99)


@algorithms
def test_cut_short(name: str) -> None:
    packed = compress(name, bytes(range(256)) * 4)
    for end in range(len(packed)):
        with pytest.raises(DecompressionError):
            decompress(name, packed[:end], 1024)


@algorithms
@given(data=st.binary(max_size=200), length=st.integers(0, 1000))
def test_random_bytes(name: str, data: bytes, length: int) -> None:
    try:
        content = decompress(name, data, length)
    except DecompressionError:
        return
    assert len(content) == length


@algorithms
def test_a_bomb_is_not_inflated(name: str) -> None:
    bomb = compress(name, bytes(64 << 20))
    assert len(bomb) < 100_000
    tracemalloc.start()
    with pytest.raises(DecompressionError):
        decompress(name, bomb, 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_frame_may_not_announce_more_than_the_message() -> None:
    import zstandard

    announcing = zstandard.ZstdCompressor(write_content_size=True).compress(bytes(5000))
    with pytest.raises(DecompressionError, match="announces 5000 bytes instead of 10"):
        decompress("zstd", announcing, 10)
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(5000))
    assert decompress("zstd", silent, 5000) == bytes(5000)
    with pytest.raises(DecompressionError):
        decompress("zstd", silent, 10)


def test_the_certificate_within() -> None:
    certificate = Certificate(b"", (CertificateEntry(b"leaf", {}),))
    body = write_message(certificate)[4:]
    packed = CompressedCertificate(1, len(body), zlib.compress(body))
    assert certificate_within(packed, "zlib") == certificate
    rubbish = CompressedCertificate(1, 3, zlib.compress(b"abc"))
    with pytest.raises(ProtocolError):
        certificate_within(rubbish, "zlib")
