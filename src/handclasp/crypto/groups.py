"""The groups of the key exchange (RFC 8446 section 4.2.8).

All of them are treated as KEMs: the client generates a share, the server responds with its own
share and has the secret, and the client derives it from the server's share. Diffie-Hellman fits
that form, and ML-KEM needs it.

A group refuses invalid public values with `BadShare`. Each private key is generated for one
connection, and used once, except those given to `share_of`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x448, x25519

from handclasp.crypto.secret import Secret
from handclasp.iana import GroupCode, group_name
from handclasp.values import value

Entropy = Callable[[int], bytes]


class BadShare(ValueError):
    """The peer's share is not a valid public value of the group."""


class PrivateShare(Protocol):
    """The client's part of a key exchange, for one use."""

    @property
    def share(self) -> bytes:
        """The value of KeyShareEntry.key_exchange to send."""
        ...

    def agree(self, peer_share: bytes) -> Secret:
        """Return the shared secret; raise `BadShare`."""
        ...


class KeyExchange(Protocol):
    """The operations of a group."""

    def generate(self, entropy: Entropy) -> PrivateShare:
        """Return a fresh key pair."""
        ...

    def respond(self, peer_share: bytes, entropy: Entropy) -> tuple[bytes, Secret]:
        """Return the server's share and the shared secret; raise `BadShare`."""
        ...


@value(frozen=True, slots=True)
class Group:
    """A named group and its key exchange.

    `versions` are the versions of TLS that have it: hybrids are KEMs, which TLS 1.2 does not allow.
    """

    name: str
    code: int
    exchange: KeyExchange

    @property
    def versions(self) -> tuple[str, ...]:
        return ("TLSv1.3",) if isinstance(self.exchange, _Hybrid) else ("TLSv1.2", "TLSv1.3")


class _DiffieHellman:
    """A group in which both sides do the same: `respond` generates and agrees."""

    def generate(self, entropy: Entropy) -> PrivateShare:
        raise NotImplementedError

    def respond(self, peer_share: bytes, entropy: Entropy) -> tuple[bytes, Secret]:
        private = self.generate(entropy)
        secret = private.agree(peer_share)
        return private.share, secret


class _X25519Share:
    __slots__ = ("_key", "share")

    def __init__(self, key: x25519.X25519PrivateKey) -> None:
        self._key = key
        self.share = key.public_key().public_bytes_raw()

    def agree(self, peer_share: bytes) -> Secret:
        # `exchange` refuses the all-zero secret that small-order points give (RFC 7748 6.1).
        try:
            peer = x25519.X25519PublicKey.from_public_bytes(peer_share)
            return Secret(self._key.exchange(peer))
        except ValueError as error:
            raise BadShare(str(error)) from None


class _X25519(_DiffieHellman):
    def generate(self, entropy: Entropy) -> _X25519Share:
        return _X25519Share(x25519.X25519PrivateKey.from_private_bytes(entropy(32)))


class _X448Share:
    __slots__ = ("_key", "share")

    def __init__(self, key: x448.X448PrivateKey) -> None:
        self._key = key
        self.share = key.public_key().public_bytes_raw()

    def agree(self, peer_share: bytes) -> Secret:
        try:
            peer = x448.X448PublicKey.from_public_bytes(peer_share)
            return Secret(self._key.exchange(peer))
        except ValueError as error:
            raise BadShare(str(error)) from None


class _X448(_DiffieHellman):
    def generate(self, entropy: Entropy) -> _X448Share:
        return _X448Share(x448.X448PrivateKey.from_private_bytes(entropy(56)))


class _EllipticCurveShare:
    __slots__ = ("_key", "_point_size", "share")

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        coordinate_size = (key.curve.key_size + 7) // 8
        numbers = key.public_key().public_numbers()
        # UncompressedPointRepresentation (RFC 8446 section 4.2.8.2).
        self.share = (
            b"\x04"
            + numbers.x.to_bytes(coordinate_size, "big")
            + numbers.y.to_bytes(coordinate_size, "big")
        )
        self._point_size = len(self.share)

    def agree(self, peer_share: bytes) -> Secret:
        if len(peer_share) != self._point_size or peer_share[0] != 4:
            raise BadShare("not an uncompressed point of this curve")
        try:
            peer = ec.EllipticCurvePublicKey.from_encoded_point(self._key.curve, peer_share)
            return Secret(self._key.exchange(ec.ECDH(), peer))
        except ValueError as error:
            raise BadShare(str(error)) from None


class _EllipticCurve(_DiffieHellman):
    def __init__(self, curve: ec.EllipticCurve, scalar_size: int) -> None:
        self._curve = curve
        self._scalar_size = scalar_size

    def generate(self, entropy: Entropy) -> _EllipticCurveShare:
        if entropy is os.urandom:
            # The library uses the system's entropy by default, in half the time: for a given scalar
            # it computes the public point twice, as a check.
            return _EllipticCurveShare(ec.generate_private_key(self._curve))
        return _EllipticCurveShare(ec.derive_private_key(self._scalar(entropy), self._curve))

    def _scalar(self, entropy: Entropy) -> int:
        # Rejection sampling keeps the scalar uniform (FIPS 186-5 appendix A.2.2).
        order = self._curve.group_order
        excess_bits = self._scalar_size * 8 - order.bit_length()
        while True:
            candidate = int.from_bytes(entropy(self._scalar_size), "big") >> excess_bits
            if 0 < candidate < order:
                return candidate


def share_of(key: x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey) -> PrivateShare:
    """Return the share of a given private key, which outlives a connection; HPKE has such keys."""
    if isinstance(key, x25519.X25519PrivateKey):
        return _X25519Share(key)
    return _EllipticCurveShare(key)


class _MlKem:
    """ML-KEM (FIPS 203) alone; in TLS it appears only as half of a hybrid."""

    def __init__(
        self,
        private_key: type[mlkem.MLKEM768PrivateKey] | type[mlkem.MLKEM1024PrivateKey],
        public_key: type[mlkem.MLKEM768PublicKey] | type[mlkem.MLKEM1024PublicKey],
        public_size: int,
        ciphertext_size: int,
    ) -> None:
        self._private_key = private_key
        self._public_key = public_key
        self.public_size = public_size
        self.ciphertext_size = ciphertext_size

    def generate(self, entropy: Entropy) -> _MlKemShare:
        key = self._private_key.from_seed_bytes(entropy(64))
        return _MlKemShare(key, self.ciphertext_size)

    def respond(self, peer_share: bytes, entropy: Entropy) -> tuple[bytes, Secret]:
        # `encapsulate` uses OpenSSL's entropy and accepts no other.
        del entropy
        try:
            # It refuses keys that are not reduced: the encapsulation key check of FIPS 203 7.2.
            key = self._public_key.from_public_bytes(peer_share)
            secret, ciphertext = key.encapsulate()
        except ValueError as error:
            raise BadShare(str(error)) from None
        return ciphertext, Secret(secret)


class _MlKemShare:
    __slots__ = ("_ciphertext_size", "_key", "share")

    def __init__(
        self, key: mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey, ciphertext_size: int
    ) -> None:
        self._key = key
        self._ciphertext_size = ciphertext_size
        self.share = key.public_key().public_bytes_raw()

    def agree(self, peer_share: bytes) -> Secret:
        if len(peer_share) != self._ciphertext_size:
            raise BadShare(f"an ML-KEM ciphertext has {self._ciphertext_size} bytes")
        try:
            return Secret(self._key.decapsulate(peer_share))
        except ValueError as error:
            raise BadShare(str(error)) from None


@value(frozen=True, slots=True)
class _HybridShare:
    """Two private shares, used as one (RFC 9954, draft-ietf-tls-ecdhe-mlkem)."""

    first: PrivateShare
    second: PrivateShare
    first_reply_size: int

    @property
    def traditional(self) -> PrivateShare:
        """The half that is not post-quantum."""
        return self.second if isinstance(self.first, _MlKemShare) else self.first

    @property
    def share(self) -> bytes:
        return self.first.share + self.second.share

    def agree(self, peer_share: bytes) -> Secret:
        size = self.first_reply_size
        first = self.first.agree(peer_share[:size])
        return Secret(first + self.second.agree(peer_share[size:]))


@value(frozen=True, slots=True)
class _Hybrid:
    """The concatenation of two exchanges: the secret is safe as long as one of them is.

    The sizes determine where the client's and the server's share are split.
    """

    first: KeyExchange
    second: KeyExchange
    first_share_size: int
    first_reply_size: int

    def generate(self, entropy: Entropy) -> _HybridShare:
        first, second = self.first.generate(entropy), self.second.generate(entropy)
        return _HybridShare(first, second, self.first_reply_size)

    def respond(self, peer_share: bytes, entropy: Entropy) -> tuple[bytes, Secret]:
        size = self.first_share_size
        first_share, first_secret = self.first.respond(peer_share[:size], entropy)
        second_share, second_secret = self.second.respond(peer_share[size:], entropy)
        return first_share + second_share, Secret(first_secret + second_secret)


_x25519 = _X25519()
_secp256r1 = _EllipticCurve(ec.SECP256R1(), 32)
_secp384r1 = _EllipticCurve(ec.SECP384R1(), 48)
_mlkem768 = _MlKem(mlkem.MLKEM768PrivateKey, mlkem.MLKEM768PublicKey, 1184, 1088)
_mlkem1024 = _MlKem(mlkem.MLKEM1024PrivateKey, mlkem.MLKEM1024PublicKey, 1568, 1568)

_EXCHANGES: dict[GroupCode, KeyExchange] = {
    # ML-KEM comes first in this one only, for historical reasons (section 3 of the draft).
    GroupCode.X25519MLKEM768: _Hybrid(
        _mlkem768, _x25519, _mlkem768.public_size, _mlkem768.ciphertext_size
    ),
    GroupCode.x25519: _x25519,
    GroupCode.secp256r1: _secp256r1,
    GroupCode.secp384r1: _secp384r1,
    GroupCode.secp521r1: _EllipticCurve(ec.SECP521R1(), 66),
    GroupCode.x448: _X448(),
    GroupCode.SecP256r1MLKEM768: _Hybrid(_secp256r1, _mlkem768, 65, 65),
    GroupCode.SecP384r1MLKEM1024: _Hybrid(_secp384r1, _mlkem1024, 97, 97),
}


GROUPS: dict[str, Group] = {
    group_name(code): Group(group_name(code), int(code), exchange)
    for code, exchange in _EXCHANGES.items()
}
"""Every group that can be configured, the default order first."""

_HYBRIDS = {
    "X25519": "X25519MLKEM768",
    "secp256r1": "SecP256r1MLKEM768",
    "secp384r1": "SecP384r1MLKEM1024",
}


def share_within(group: str, shares: Mapping[str, PrivateShare]) -> PrivateShare | None:
    """Return the share of a group that a hybrid among `shares` contains; None if none does.

    A ClientHello may carry it twice, alone and in the hybrid (RFC 9954 section 3.2): the server
    answers one of them, so that the private key is still used once.
    """
    hybrid = shares.get(_HYBRIDS.get(group, ""))
    return hybrid.traditional if isinstance(hybrid, _HybridShare) else None


GROUPS_BY_CODE: dict[int, Group] = {group.code: group for group in GROUPS.values()}

DEFAULT_GROUPS: tuple[str, ...] = tuple(GROUPS)

DEFAULT_KEY_SHARES: tuple[str, ...] = ("X25519MLKEM768", "X25519")
"""The groups of a client's first shares: the hybrid, and the plain group for older servers."""
