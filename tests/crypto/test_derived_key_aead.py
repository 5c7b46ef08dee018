"""Keys that last, and seal each message under a key of its own."""

from __future__ import annotations

import copy
import hashlib
import hmac
import pickle

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from handclasp.crypto.derived_key_aead import KEY_SIZE, NONCE_SIZE, DerivedKeyAead

KEY = bytes(range(KEY_SIZE))
NONCE = bytes(range(100, 100 + NONCE_SIZE))


def expected_key(label: bytes, nonce: bytes) -> bytes:
    """HKDF-Expand-Label by hand (RFC 9846 section 7.1): one block of HMAC-SHA256."""
    name = b"tls13 " + label
    info = (32).to_bytes(2, "big") + bytes([len(name)]) + name + bytes([len(nonce)]) + nonce
    return hmac.digest(KEY, info + b"\x01", hashlib.sha256)


def test_it_is_aes_gcm_under_a_key_from_hkdf() -> None:
    sealed = DerivedKeyAead(KEY, "ticket").encrypt(NONCE, b"state", b"header")
    aead = AESGCM(expected_key(b"ticket", NONCE))
    assert sealed == aead.encrypt(bytes(12), b"state", b"header")
    assert DerivedKeyAead(KEY, "ticket").decrypt(NONCE, sealed, b"header") == b"state"


def test_each_nonce_and_each_use_has_its_own_key() -> None:
    changed = [NONCE[:at] + bytes([NONCE[at] ^ 1]) + NONCE[at + 1 :] for at in range(NONCE_SIZE)]
    sealed = {DerivedKeyAead(KEY, "ticket").encrypt(each, bytes(16), b"") for each in changed}
    sealed.add(DerivedKeyAead(KEY, "another").encrypt(NONCE, bytes(16), b""))
    sealed.add(DerivedKeyAead(bytes(32), "ticket").encrypt(NONCE, bytes(16), b""))
    assert len(sealed) == NONCE_SIZE + 2


def test_every_part_is_authenticated() -> None:
    aead = DerivedKeyAead(KEY, "ticket")
    sealed = aead.encrypt(NONCE, b"state", b"header")
    for nonce, data, header in (
        (bytes(32), sealed, b"header"),
        (NONCE, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"header"),
        (NONCE, sealed, b"another"),
    ):
        with pytest.raises(InvalidTag):
            aead.decrypt(nonce, data, header)


@pytest.mark.parametrize("size", [0, 12, 31, 33])
def test_a_nonce_of_another_length_is_a_mistake(size: int) -> None:
    with pytest.raises(ValueError, match="not 32"):
        DerivedKeyAead(KEY, "ticket").encrypt(bytes(size), b"", b"")


def test_it_neither_shows_nor_gives_away_its_key() -> None:
    aead = DerivedKeyAead(KEY, "ticket")
    assert KEY.hex() not in repr(aead)
    assert repr(KEY) not in repr(aead)
    for copied in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(aead)
