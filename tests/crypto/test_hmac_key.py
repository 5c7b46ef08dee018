"""HMAC out of kept hash states, against the standard library's; in Python and in C."""

from __future__ import annotations

import gc
import hmac
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.required import need_speedups

from handclasp.crypto.hashes import HASHES
from handclasp.crypto.hkdf import pure_hkdf_expand_blocks
from handclasp.crypto.hmac_key import HmacKey, pure_hmac_digest
from handclasp.crypto.secret import Secret

PURE: Any = SimpleNamespace(
    hmac_digest=pure_hmac_digest, hkdf_expand_blocks=pure_hkdf_expand_blocks
)
hash_names = st.sampled_from(["sha256", "sha384"])
about_a_block = pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 127, 128, 129, 1000])


@pytest.fixture(scope="module", params=["Python", "C"])
def form(request: pytest.FixtureRequest) -> Any:
    """What has both functions; the test of C is skipped where it is not built."""
    return PURE if request.param == "Python" else need_speedups()


@given(
    hash_names, st.binary(max_size=300), st.lists(st.binary(max_size=300), min_size=1, max_size=3)
)
def test_as_the_standard_library(
    form: Any, hash_name: str, key: bytes, messages: list[bytes]
) -> None:
    made = HmacKey(hash_name, key)
    expected = [hmac.digest(key, message, hash_name) for message in messages]
    assert [made.digest(message) for message in messages] == expected
    assert [form.hmac_digest(hash_name, key, message) for message in messages] == expected
    assert form.hkdf_expand_blocks(hash_name, Secret(key), messages) == expected


@about_a_block
@pytest.mark.parametrize("hash_name", ["sha256", "sha384"])
def test_keys_about_as_long_as_a_block(form: Any, hash_name: str, size: int) -> None:
    key = bytes(range(256))[:size] * (1 + size // 256)
    expected = hmac.digest(key, b"x", hash_name)
    assert HmacKey(hash_name, key).digest(b"x") == expected
    assert form.hmac_digest(hash_name, key, b"x") == expected
    assert form.hkdf_expand_blocks(hash_name, key, (b"x", b"x")) == [expected] * 2


def test_results_are_bytes_of_their_own(form: Any) -> None:
    first, second = form.hkdf_expand_blocks("sha256", Secret(b"key"), [b"a", b"a"])
    for block in (first, second, form.hmac_digest("sha256", Secret(b"key"), b"a")):
        assert type(block) is bytes
    assert first is not second
    assert form.hkdf_expand_blocks("sha256", b"key", iter([])) == []


def test_no_other_hash_and_nothing_but_bytes(form: Any) -> None:
    for function, data in ((form.hmac_digest, b"x"), (form.hkdf_expand_blocks, [b"x"])):
        with pytest.raises(KeyError, match="md5"):
            function("md5", b"key", data)
        with pytest.raises((TypeError, AttributeError)):
            function("sha256", "key", data)
        with pytest.raises((TypeError, AttributeError)):
            function("sha256", None, data)
        with pytest.raises(TypeError):
            function("sha256", b"key", None)
        with pytest.raises(TypeError):
            function("sha256", b"key")
    with pytest.raises(TypeError):
        form.hkdf_expand_blocks("sha256", b"key", [b"x", "y"])


class _Hash:
    """A hash object that gives what it is told to."""

    def __init__(self, digest: object) -> None:
        self._digest = digest

    def copy(self) -> _Hash:
        return self

    def update(self, data: bytes) -> None:
        if isinstance(self._digest, BaseException):
            raise self._digest

    def digest(self) -> object:
        return self._digest


class TestMemory:
    """Whatever a hash object does, no memory is read or written that is not its, and none stays."""

    @pytest.fixture
    def speedups(self) -> Iterator[Any]:
        before = dict(HASHES)
        yield need_speedups()
        HASHES.clear()
        HASHES.update(before)

    def replaced(self, make: Any, block_size: Any = 64) -> None:
        HASHES["sha256"] = make, block_size

    @pytest.mark.parametrize("digest", [None, "digest", bytearray(32), 1])
    def test_a_digest_that_is_not_bytes(self, speedups: Any, digest: object) -> None:
        self.replaced(lambda _: _Hash(digest))
        for key in (b"key", bytes(100)):
            with pytest.raises(TypeError, match="a digest is bytes"):
                speedups.hmac_digest("sha256", key, b"x")
            with pytest.raises(TypeError, match="a digest is bytes"):
                speedups.hkdf_expand_blocks("sha256", key, [b"x"])

    def test_a_digest_longer_than_a_block(self, speedups: Any) -> None:
        self.replaced(lambda _: _Hash(bytes(65)))
        with pytest.raises(ValueError, match="at most a block"):
            speedups.hmac_digest("sha256", bytes(100), b"x")
        assert speedups.hmac_digest("sha256", b"key", b"x") == bytes(65)

    def test_a_hash_that_raises(self, speedups: Any) -> None:
        self.replaced(lambda _: 1 / 0)
        for key in (b"key", bytes(100)):
            with pytest.raises(ZeroDivisionError):
                speedups.hmac_digest("sha256", key, b"x")
            with pytest.raises(ZeroDivisionError):
                speedups.hkdf_expand_blocks("sha256", key, [b"x"])
        self.replaced(lambda _: _Hash(OSError("update")))
        with pytest.raises(OSError, match="update"):
            speedups.hkdf_expand_blocks("sha256", b"key", [b"x"])

    def test_a_hash_that_takes_the_table_away(self, speedups: Any) -> None:
        def make(_: bytes) -> _Hash:
            HASHES.clear()
            infos.clear()
            gc.collect()
            return _Hash(bytes(32))

        infos = [b"x", b"y"]
        self.replaced(make)
        assert speedups.hmac_digest("sha256", b"key", b"x") == bytes(32)
        self.replaced(make)
        infos = [b"x", b"y"]
        assert speedups.hkdf_expand_blocks("sha256", b"key", infos) == []

    def test_nothing_stays(self, speedups: Any) -> None:
        key, data, infos = bytes(100), bytes(10), [bytes(10), bytes(11)]
        watched: list[Any] = [key, data, infos, infos[0], HASHES["sha256"][0]]

        def many() -> list[int]:
            for _ in range(1000):
                speedups.hmac_digest("sha256", key, data)
                speedups.hkdf_expand_blocks("sha256", key, infos)
                with pytest.raises(TypeError):
                    speedups.hmac_digest("sha256", key, None)
                with pytest.raises(TypeError):
                    speedups.hkdf_expand_blocks("sha256", key, [data, None])
            gc.collect()
            return [sys.getrefcount(each) for each in watched]

        first, blocks = many(), sys.getallocatedblocks()
        assert many() == first
        assert sys.getallocatedblocks() - blocks < 100
