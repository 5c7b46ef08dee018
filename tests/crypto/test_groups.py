"""The groups: both sides agree, and whatever is no public value is refused as `BadShare`."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x448, x25519
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors.rfc8448_traces import TRACE_NAMES, load

from handclasp.crypto.groups import (
    DEFAULT_GROUPS,
    DEFAULT_KEY_SHARES,
    GROUPS,
    GROUPS_BY_CODE,
    BadShare,
)
from handclasp.crypto.secret import Secret
from handclasp.wire.iana import GroupCode

# group -> sizes in bytes of the client's share, the server's share and the secret
SIZES = {
    "X25519": (32, 32, 32),
    "X448": (56, 56, 56),
    "secp256r1": (65, 65, 32),
    "secp384r1": (97, 97, 48),
    "secp521r1": (133, 133, 66),
    "X25519MLKEM768": (1216, 1120, 64),
    "SecP256r1MLKEM768": (1249, 1153, 64),
    "SecP384r1MLKEM1024": (1665, 1665, 80),
}
CURVES: dict[str, ec.EllipticCurve] = {
    "secp256r1": ec.SECP256R1(),
    "secp384r1": ec.SECP384R1(),
    "secp521r1": ec.SECP521R1(),
}
FIELD_PRIMES = {
    "secp256r1": 2**256 - 2**224 + 2**192 + 2**96 - 1,
    "secp384r1": 2**384 - 2**128 - 2**96 + 2**32 - 1,
    "secp521r1": 2**521 - 1,
}

groups = pytest.mark.parametrize("name", GROUPS)
curves = pytest.mark.parametrize("name", CURVES)


def fixed(*chunks: bytes) -> Callable[[int], bytes]:
    """Entropy that gives exactly these chunks and checks that this much was asked for."""
    left = list(chunks)

    def entropy(size: int) -> bytes:
        chunk = left.pop(0)
        assert len(chunk) == size
        return chunk

    return entropy


def never(size: int) -> bytes:
    raise AssertionError(f"{size} bytes of entropy drawn")


def refuse_both_ways(name: str, client_share: bytes, server_share: bytes) -> None:
    exchange = GROUPS[name].exchange
    with pytest.raises(BadShare):
        exchange.respond(client_share, os.urandom)
    with pytest.raises(BadShare):
        exchange.generate(os.urandom).agree(server_share)


def test_every_group_has_its_number() -> None:
    assert set(GROUPS) == set(SIZES) == set(DEFAULT_GROUPS)
    assert {group.code for group in GROUPS.values()} == {code.value for code in GroupCode}
    for group in GROUPS.values():
        assert GROUPS_BY_CODE[group.code] is group
    assert set(DEFAULT_KEY_SHARES) <= set(DEFAULT_GROUPS)


@groups
def test_both_sides_agree(name: str) -> None:
    exchange = GROUPS[name].exchange
    client = exchange.generate(os.urandom)
    server_share, server_secret = exchange.respond(client.share, os.urandom)
    client_secret = client.agree(server_share)
    assert client_secret == server_secret
    assert isinstance(client_secret, Secret)
    assert isinstance(server_secret, Secret)
    assert (len(client.share), len(server_share), len(client_secret)) == SIZES[name]


@groups
def test_each_exchange_is_new(name: str) -> None:
    exchange = GROUPS[name].exchange
    clients = [exchange.generate(os.urandom) for _ in range(2)]
    answers = [exchange.respond(clients[0].share, os.urandom) for _ in range(2)]
    assert clients[0].share != clients[1].share
    assert answers[0][0] != answers[1][0]
    assert answers[0][1] != answers[1][1]


@groups
def test_the_share_comes_from_the_entropy_alone(name: str) -> None:
    def entropy(size: int) -> bytes:
        return bytes(i % 251 for i in range(1, size + 1))

    exchange = GROUPS[name].exchange
    assert exchange.generate(entropy).share == exchange.generate(entropy).share


@groups
def test_shares_of_other_sizes_are_refused(name: str) -> None:
    client_size, server_size, _ = SIZES[name]
    for change in (-1, 1, 32):
        refuse_both_ways(name, b"\x04" * (client_size + change), b"\x04" * (server_size + change))
    refuse_both_ways(name, b"", b"")


@groups
def test_a_good_share_with_bytes_behind_it_is_refused(name: str) -> None:
    exchange = GROUPS[name].exchange
    client = exchange.generate(os.urandom)
    server_share, _ = exchange.respond(client.share, os.urandom)
    for extra in (b"\0", bytes(32)):
        with pytest.raises(BadShare):
            exchange.respond(client.share + extra, os.urandom)
        with pytest.raises(BadShare):
            client.agree(server_share + extra)
    with pytest.raises(BadShare):
        exchange.respond(client.share[:-1], os.urandom)
    with pytest.raises(BadShare):
        client.agree(server_share[:-1])


@groups
@settings(max_examples=15, deadline=None)
@given(seed=st.binary(min_size=1, max_size=64), size=st.integers(0, 1700))
def test_random_bytes_agree_or_are_refused(name: str, seed: bytes, size: int) -> None:
    exchange = GROUPS[name].exchange
    client_size, server_size, secret_size = SIZES[name]
    stream = (seed * (2000 // len(seed) + 1))[:2000]
    for length in (client_size, size):
        try:
            share, secret = exchange.respond(stream[:length], os.urandom)
        except BadShare:
            continue
        assert length == client_size
        assert (len(share), len(secret)) == (server_size, secret_size)
    for length in (server_size, size):
        try:
            secret = exchange.generate(os.urandom).agree(stream[:length])
        except BadShare:
            continue
        assert length == server_size
        assert len(secret) == secret_size


@groups
@settings(max_examples=10, deadline=None)
@given(at=st.integers(0, 1 << 20), flip=st.integers(1, 255))
def test_changed_shares_agree_or_are_refused(name: str, at: int, flip: int) -> None:
    exchange = GROUPS[name].exchange
    client = exchange.generate(os.urandom)
    share = bytearray(client.share)
    share[at % len(share)] ^= flip
    try:
        answer, secret = exchange.respond(bytes(share), os.urandom)
    except BadShare:
        return
    # X25519 and X448 take every string, and ignore one bit; ML-KEM takes every reduced key.
    assert len(secret) == SIZES[name][2]
    if name in CURVES:
        pytest.fail("a changed point is not on the curve")
    assert len(answer) == SIZES[name][1]


# RFC 7748


def test_x25519_of_rfc_7748() -> None:
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f92ebc0ac99".ljust(64, "0"))
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f92ebc099177fba51db92c2a".zfill(64))
    del alice
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    alice_public = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    bob_public = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    shared = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    share, secret = GROUPS["X25519"].exchange.respond(alice_public, fixed(bob))
    assert (share, secret) == (bob_public, shared)


def test_x448_of_rfc_7748() -> None:
    alice = bytes.fromhex(
        "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28d"
        "d9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b"
    )
    alice_public = bytes.fromhex(
        "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c"
        "22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0"
    )
    bob = bytes.fromhex(
        "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d"
        "6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d"
    )
    bob_public = bytes.fromhex(
        "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b430"
        "27d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc67bf33609a0"
    )
    shared = bytes.fromhex(
        "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282b"
        "b60c0b56fd2464c335543936521c24403085d59a449a5037514a879d"
    )
    exchange = GROUPS["X448"].exchange
    client = exchange.generate(fixed(alice))
    assert client.share == alice_public
    share, secret = exchange.respond(client.share, fixed(bob))
    assert secret == shared == client.agree(share)
    assert bob_public[:55] == share[:55]
