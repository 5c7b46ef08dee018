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
    share_within,
)
from handclasp.crypto.secret import Secret
from handclasp.iana import GroupCode

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


@pytest.mark.parametrize("hybrid", [name for name in GROUPS if "MLKEM" in name])
def test_a_hybrid_holds_the_share_of_its_traditional_group(hybrid: str) -> None:
    group = hybrid.split("MLKEM")[0]
    group = {"SecP256r1": "secp256r1", "SecP384r1": "secp384r1"}.get(group, group)
    share = GROUPS[hybrid].exchange.generate(os.urandom)
    alone = share_within(group, {hybrid: share})
    assert alone is not None
    assert alone.share in {share.share[: SIZES[group][0]], share.share[-SIZES[group][0] :]}
    answer, secret = GROUPS[group].exchange.respond(alone.share, os.urandom)
    assert alone.agree(answer) == secret


def test_no_other_share_holds_one() -> None:
    shares = {name: GROUPS[name].exchange.generate(os.urandom) for name in GROUPS}
    assert share_within("X448", shares) is None
    assert share_within("X25519MLKEM768", shares) is None
    assert share_within("X25519", {"SecP256r1MLKEM768": shares["SecP256r1MLKEM768"]}) is None
    assert share_within("X25519", {}) is None


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


# Vectors from outside

RFC_7748 = {
    "X25519": {
        "alice": "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "alice_public": "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        "bob": "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        "bob_public": "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        "shared": "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    },
    "X448": {
        "alice": "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28d"
        "d9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
        "alice_public": "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c"
        "22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0",
        "bob": "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d"
        "6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d",
        "bob_public": "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b430"
        "27d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
        "shared": "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282b"
        "b60c0b56fd2464c335543936521c24403085d59a449a5037514a879d",
    },
}


@pytest.mark.parametrize("name", CURVES)
def test_the_systems_entropy_may_be_drawn_by_the_library(name: str) -> None:
    exchange = GROUPS[name].exchange
    ours, other = exchange.generate(os.urandom), exchange.generate(os.urandom)
    assert ours.share != other.share
    assert ours.agree(other.share) == other.agree(ours.share)


@pytest.mark.parametrize("name", RFC_7748)
def test_the_exchange_of_rfc_7748_section_6(name: str) -> None:
    vector = {key: bytes.fromhex(value) for key, value in RFC_7748[name].items()}
    exchange = GROUPS[name].exchange
    alice = exchange.generate(fixed(vector["alice"]))
    assert alice.share == vector["alice_public"]
    bob_share, secret = exchange.respond(alice.share, fixed(vector["bob"]))
    assert bob_share == vector["bob_public"]
    assert secret == vector["shared"]
    assert alice.agree(bob_share) == vector["shared"]


@pytest.mark.parametrize("trace_name", TRACE_NAMES)
def test_the_exchanges_of_rfc_8448(trace_name: str) -> None:
    trace = load(trace_name)
    server = trace.key_shares["server_key_share"]
    used = "client_second_key_share" if trace_name == "hello_retry_request" else "client_key_share"
    client = trace.key_shares[used]
    assert client.group == server.group
    exchange = GROUPS_BY_CODE[GroupCode[client.group]].exchange
    private = exchange.generate(fixed(client.private_key))
    assert private.share == client.public_key
    answer, secret = exchange.respond(client.public_key, fixed(server.private_key))
    assert answer == server.public_key
    assert secret == trace.shared_secret == private.agree(answer)


# What is no public value (RFC 9846 section 7.4, RFC 7748 section 6)

X25519_SMALL_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
    bytes(31) + b"\x80",
]
X448_PRIME = 2**448 - 2**224 - 1
X448_SMALL_ORDER = [
    value.to_bytes(56, "little") for value in (0, 1, X448_PRIME - 1, X448_PRIME, X448_PRIME + 1)
]


@pytest.mark.parametrize(
    ("name", "share"),
    [("X25519", share) for share in X25519_SMALL_ORDER]
    + [("X448", share) for share in X448_SMALL_ORDER],
)
def test_points_of_small_order_are_refused(name: str, share: bytes) -> None:
    refuse_both_ways(name, share, share)


def test_small_order_points_inside_a_hybrid_are_refused() -> None:
    exchange = GROUPS["X25519MLKEM768"].exchange
    client = exchange.generate(os.urandom)
    answer, _ = exchange.respond(client.share, os.urandom)
    with pytest.raises(BadShare):
        exchange.respond(client.share[:1184] + bytes(32), os.urandom)
    with pytest.raises(BadShare):
        client.agree(answer[:1088] + bytes(32))


def point_of(name: str) -> ec.EllipticCurvePublicNumbers:
    return ec.generate_private_key(CURVES[name]).public_key().public_numbers()


def encoded(name: str, x: int, y: int, prefix: int = 4) -> bytes:
    size = (CURVES[name].key_size + 7) // 8
    return bytes([prefix]) + x.to_bytes(size, "big") + y.to_bytes(size, "big")


@curves
def test_points_off_the_curve_are_refused(name: str) -> None:
    point = point_of(name)
    for x, y in ((point.x, point.y ^ 1), (point.x ^ 1, point.y), (0, 0), (point.x, 0)):
        share = encoded(name, x, y)
        refuse_both_ways(name, share, share)


@curves
def test_only_the_uncompressed_form_is_a_share(name: str) -> None:
    # RFC 8446 4.2.8.2: no other point format exists in TLS 1.3.
    point = point_of(name)
    size = (CURVES[name].key_size + 7) // 8
    compressed = bytes([2 + point.y % 2]) + point.x.to_bytes(size, "big")
    refuse_both_ways(name, compressed, compressed)
    refuse_both_ways(name, b"\0", b"\0")  # the point at infinity
    infinity = bytes(1 + 2 * size)
    refuse_both_ways(name, infinity, infinity)
    for prefix in set(range(256)) - {4}:
        share = encoded(name, point.x, point.y, prefix)
        with pytest.raises(BadShare):
            GROUPS[name].exchange.respond(share, os.urandom)


@curves
def test_coordinates_are_below_the_prime(name: str) -> None:
    prime = FIELD_PRIMES[name]
    size = (CURVES[name].key_size + 7) // 8
    share = encoded(name, prime, prime)
    refuse_both_ways(name, share, share)
    top = b"\x04" + b"\xff" * (2 * size)
    refuse_both_ways(name, top, top)


def test_a_good_point_with_its_coordinates_unreduced_is_refused() -> None:
    # Only P-521 leaves room for x + p in the coordinate's bytes.
    point, prime = point_of("secp521r1"), FIELD_PRIMES["secp521r1"]
    good = encoded("secp521r1", point.x, point.y)
    GROUPS["secp521r1"].exchange.respond(good, os.urandom)
    for x, y in ((point.x + prime, point.y), (point.x, point.y + prime)):
        share = encoded("secp521r1", x, y)
        refuse_both_ways("secp521r1", share, share)


@pytest.mark.parametrize(
    ("name", "start", "stop"),
    [
        ("X25519MLKEM768", 0, 1184),
        ("SecP256r1MLKEM768", 65, 65 + 1184),
        ("SecP384r1MLKEM1024", 97, 97 + 1568),
    ],
)
def test_unreduced_ml_kem_keys_are_refused(name: str, start: int, stop: int) -> None:
    # FIPS 203 7.2: each of the 12-bit coefficients must be below q = 3329.
    exchange = GROUPS[name].exchange
    share = exchange.generate(os.urandom).share
    key = share[start:stop]
    first_is_q = bytes([3329 & 0xFF, key[1] & 0xF0 | 3329 >> 8]) + key[2:]
    last_is_4095 = key[:-34] + bytes([key[-34] | 0xF0, 0xFF]) + key[-32:]
    for bad in (first_is_q, last_is_4095, b"\xff" * len(key)):
        assert len(bad) == len(key)
        with pytest.raises(BadShare):
            exchange.respond(share[:start] + bad + share[stop:], os.urandom)


# The layout of the hybrids


def test_ml_kem_stands_first_in_x25519mlkem768() -> None:
    seed, scalar, server_scalar = bytes(range(64)), bytes(range(32)), bytes(range(32, 64))
    ml_kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(seed)
    plain = x25519.X25519PrivateKey.from_private_bytes(scalar)
    exchange = GROUPS["X25519MLKEM768"].exchange
    client = exchange.generate(fixed(seed, scalar))
    assert client.share[:1184] == ml_kem.public_key().public_bytes_raw()
    assert client.share[1184:] == plain.public_key().public_bytes_raw()
    answer, secret = exchange.respond(client.share, fixed(server_scalar))
    peer = x25519.X25519PublicKey.from_public_bytes(answer[1088:])
    assert answer[1088:] == (
        x25519.X25519PrivateKey.from_private_bytes(server_scalar).public_key().public_bytes_raw()
    )
    assert secret == ml_kem.decapsulate(answer[:1088]) + plain.exchange(peer)


@pytest.mark.parametrize(
    ("name", "curve", "point_size", "scalar_size", "ml_kem_type"),
    [
        ("SecP256r1MLKEM768", ec.SECP256R1(), 65, 32, mlkem.MLKEM768PrivateKey),
        ("SecP384r1MLKEM1024", ec.SECP384R1(), 97, 48, mlkem.MLKEM1024PrivateKey),
    ],
)
def test_the_curve_stands_first_in_the_other_hybrids(
    name: str,
    curve: ec.EllipticCurve,
    point_size: int,
    scalar_size: int,
    ml_kem_type: type[mlkem.MLKEM768PrivateKey] | type[mlkem.MLKEM1024PrivateKey],
) -> None:
    seed, scalar = bytes(range(64)), bytes(range(1, 1 + scalar_size))
    ml_kem = ml_kem_type.from_seed_bytes(seed)
    plain = ec.derive_private_key(int.from_bytes(scalar, "big"), curve)
    exchange = GROUPS[name].exchange
    client = exchange.generate(fixed(scalar, seed))
    assert client.share[point_size:] == ml_kem.public_key().public_bytes_raw()
    answer, secret = exchange.respond(client.share, os.urandom)
    peer = ec.EllipticCurvePublicKey.from_encoded_point(curve, answer[:point_size])
    assert secret == plain.exchange(ec.ECDH(), peer) + ml_kem.decapsulate(answer[point_size:])
    own = ec.EllipticCurvePublicKey.from_encoded_point(curve, client.share[:point_size])
    assert own == plain.public_key()


def test_a_damaged_ml_kem_ciphertext_gives_another_secret() -> None:
    # Implicit rejection (FIPS 203 6.3): no error, so that nothing can be learned from it.
    exchange = GROUPS["X25519MLKEM768"].exchange
    client = exchange.generate(os.urandom)
    answer, secret = exchange.respond(client.share, os.urandom)
    damaged = client.agree(bytes([answer[0] ^ 1]) + answer[1:])
    assert damaged[:32] != secret[:32]
    assert damaged[32:] == secret[32:]


# Private scalars of the curves (FIPS 186-5 appendix A.2.2)


@curves
def test_scalars_out_of_range_are_drawn_again(name: str) -> None:
    curve, exchange = CURVES[name], GROUPS[name].exchange
    size = (curve.key_size + 7) // 8
    shift = size * 8 - curve.key_size

    def chunk(scalar: int) -> bytes:
        return (scalar << shift).to_bytes(size, "big")

    order = curve.group_order
    for good in (1, 2, order - 1):
        entropy = fixed(b"\xff" * size, bytes(size), chunk(order), chunk(order + 1), chunk(good))
        expected = ec.derive_private_key(good, curve).public_key().public_numbers()
        share = exchange.generate(entropy).share
        assert share == encoded(name, expected.x, expected.y)


def test_coordinates_keep_their_leading_zeros() -> None:
    curve = ec.SECP256R1()
    scalar = next(
        scalar
        for scalar in range(1, 3000)
        if ec.derive_private_key(scalar, curve).public_key().public_numbers().x < 2**248
    )
    private = GROUPS["secp256r1"].exchange.generate(fixed(scalar.to_bytes(32, "big")))
    assert len(private.share) == 65
    assert private.share[1] == 0


def test_x25519_reads_the_unused_bit_as_zero() -> None:
    # RFC 7748 5: "implementations of X25519 MUST mask the most significant bit".
    key = x25519.X25519PrivateKey.generate()
    share = key.public_key().public_bytes_raw()
    client = GROUPS["X25519"].exchange.generate(os.urandom)
    assert client.agree(share) == client.agree(share[:31] + bytes([share[31] | 0x80]))


def test_x448_agrees_with_the_library_itself() -> None:
    key = x448.X448PrivateKey.generate()
    share, secret = GROUPS["X448"].exchange.respond(key.public_key().public_bytes_raw(), os.urandom)
    assert key.exchange(x448.X448PublicKey.from_public_bytes(share)) == secret


def test_the_bases_leave_generating_to_the_groups() -> None:
    from handclasp.crypto.groups import _DiffieHellman

    with pytest.raises(NotImplementedError):
        _DiffieHellman().generate(os.urandom)
