"""HMAC out of kept hash states, against the standard library's."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.crypto.hmac_key import HmacKey, hmac_digest

HASHES = st.sampled_from(["sha256", "sha384"])


@given(HASHES, st.binary(max_size=300), st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_as_the_standard_library(hash_name: str, key: bytes, messages: list[bytes]) -> None:
    made = HmacKey(hash_name, key)
    for message in messages:
        expected = hmac.digest(key, message, hash_name)
        assert made.digest(message) == expected
        assert hmac_digest(hash_name, key, message) == expected


@pytest.mark.parametrize("size", [63, 64, 65, 127, 128, 129])
@pytest.mark.parametrize("hash_name", ["sha256", "sha384"])
def test_keys_about_as_long_as_a_block(hash_name: str, size: int) -> None:
    key = bytes(range(size))
    assert HmacKey(hash_name, key).digest(b"x") == hmac.digest(key, b"x", hash_name)
