"""The PRF of TLS 1.2, by answers known from outside.

The vectors are those that were posted to the TLS working group's list and are used by many
implementations since ("P_SHA256" and "P_SHA384" test vectors, 2009).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.crypto.prf12 import prf
from handclasp.crypto.secret import Secret

VECTORS = [
    (
        "sha256",
        "9bbe436ba940f017b17652849a71db35",
        "a0ba9f936cda311827a6f796ffd5198c",
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14"
        "baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e"
        "5a5110fff70187347b66",
    ),
    (
        "sha384",
        "b80b733d6ceefcdc71566ea48e5567df",
        "cd665cf6a8447dd6ff8b27555edb7465",
        "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c"
        "9146a0e534cb400fed2700884f9dc236f80edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abf"
        "dad05d9184259b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee691c8f3a2685430"
        "8d5eaa3be85e0990703d73e56f",
    ),
]


@pytest.mark.parametrize(("hash_name", "secret", "seed", "output"), VECTORS)
def test_known_answers(hash_name: str, secret: str, seed: str, output: str) -> None:
    expected = bytes.fromhex(output)
    got = prf(hash_name, bytes.fromhex(secret), b"test label", bytes.fromhex(seed), len(expected))
    assert got == expected
    assert isinstance(got, Secret)


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_shorter_output_is_the_start_of_a_longer_one(short: int, more: int) -> None:
    long = prf("sha256", b"secret", b"label", b"seed", short + more)
    assert len(long) == short + more
    assert prf("sha256", b"secret", b"label", b"seed", short) == long[:short]


def test_everything_matters() -> None:
    outputs = {
        prf(hash_name, secret, label, seed, 32)
        for hash_name in ("sha256", "sha384")
        for secret in (b"a", b"b")
        for label, seed in ((b"x", b"yz"), (b"x", b"z"), (b"w", b"yz"))
    }
    assert len(outputs) == 12
