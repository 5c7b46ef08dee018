"""HPKE against the vectors of RFC 9180, and against cryptography's own for single messages."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hpke as theirs
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from handclasp.crypto.groups import BadShare, PrivateShare, share_of
from handclasp.crypto.hpke import (
    EXPANSION,
    KEMS,
    SUITES,
    OpenError,
    SymmetricSuite,
    setup_recipient,
    setup_sender,
)
from handclasp.iana import HpkeAead, HpkeKdf, HpkeKem

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "rfc9180" / "base_mode.json").read_text()
)
X25519, P256 = HpkeKem.DHKEM_X25519_HKDF_SHA256, HpkeKem.DHKEM_P256_HKDF_SHA256

THEIR_KEMS = {X25519: theirs.KEM.X25519, P256: theirs.KEM.P256}
THEIR_KDFS = {
    HpkeKdf.HKDF_SHA256: theirs.KDF.HKDF_SHA256,
    HpkeKdf.HKDF_SHA384: theirs.KDF.HKDF_SHA384,
}
THEIR_AEADS = {
    HpkeAead.AES_128_GCM: theirs.AEAD.AES_128_GCM,
    HpkeAead.AES_256_GCM: theirs.AEAD.AES_256_GCM,
    HpkeAead.CHACHA20_POLY1305: theirs.AEAD.CHACHA20_POLY1305,
}
EVERY_SUITE = [(kem, SymmetricSuite(k, a)) for kem in KEMS for k in HpkeKdf for a in HpkeAead]


def private_key(kem: int, raw: bytes) -> x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey:
    if kem == X25519:
        return x25519.X25519PrivateKey.from_private_bytes(raw)
    return ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256R1())


def generated(kem: int) -> tuple[Any, PrivateShare]:
    key = (
        x25519.X25519PrivateKey.generate()
        if kem == X25519
        else ec.generate_private_key(ec.SECP256R1())
    )
    return key, share_of(key)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['kem_id']}-{v['aead_id']}")
def test_both_roles_as_in_the_rfc(vector: dict[str, Any]) -> None:
    def read(name: str) -> bytes:
        return bytes.fromhex(vector[name])

    kem = KEMS[vector["kem_id"]]
    suite = SymmetricSuite(vector["kdf_id"], vector["aead_id"])
    recipient = share_of(private_key(kem.code, read("skRm")))
    assert recipient.share == read("pkRm")
    enc, sender = setup_sender(kem, suite, read("pkRm"), read("info"), lambda _: read("skEm"))
    receiver = setup_recipient(kem, suite, enc, recipient, read("info"))
    assert enc == read("enc")
    assert len(enc) == kem.public_size
    assert sender.shared_secret == receiver.shared_secret == read("shared_secret")
    for message in vector["encryptions"]:
        aad, plaintext, sealed = (bytes.fromhex(message[each]) for each in ("aad", "pt", "ct"))
        assert sender.seal(aad, plaintext) == sealed
        assert receiver.open(aad, sealed) == plaintext
        assert len(sealed) == len(plaintext) + EXPANSION


@pytest.mark.parametrize(("kem", "suite"), EVERY_SUITE)
def test_single_messages_as_cryptography_makes_them(kem: int, suite: SymmetricSuite) -> None:
    key, share = generated(kem)
    other = theirs.Suite(
        THEIR_KEMS[HpkeKem(kem)],
        THEIR_KDFS[HpkeKdf(suite.kdf)],
        THEIR_AEADS[HpkeAead(suite.aead)],
    )
    enc, sender = setup_sender(KEMS[kem], suite, share.share, b"info", os.urandom)
    assert other.decrypt(enc + sender.seal(b"", b"ours"), key, b"info") == b"ours"
    received = other.encrypt(b"theirs", key.public_key(), b"info")
    size = KEMS[kem].public_size
    receiver = setup_recipient(KEMS[kem], suite, received[:size], share, b"info")
    assert receiver.open(b"", received[size:]) == b"theirs"


@pytest.mark.parametrize("kem", KEMS)
def test_a_changed_message_is_refused_and_the_right_one_may_follow(kem: int) -> None:
    _, share = generated(kem)
    enc, sender = setup_sender(KEMS[kem], SUITES[0], share.share, b"", os.urandom)
    receiver = setup_recipient(KEMS[kem], SUITES[0], enc, share, b"")
    sealed = sender.seal(b"aad", b"message")
    for aad, message in ((b"other", sealed), (b"aad", sealed[:-1] + b"\0\0"), (b"aad", b"")):
        with pytest.raises(OpenError):
            receiver.open(aad, message)
    assert receiver.open(b"aad", sealed) == b"message"


@pytest.mark.parametrize("kem", KEMS)
def test_public_values_that_are_not_valid_are_refused(kem: int) -> None:
    _, share = generated(kem)
    size = KEMS[kem].public_size
    for wrong in (b"", bytes(size), b"\4" + bytes(size)):
        with pytest.raises(BadShare):
            setup_recipient(KEMS[kem], SUITES[0], wrong, share, b"")
        with pytest.raises(BadShare):
            setup_sender(KEMS[kem], SUITES[0], wrong, b"", os.urandom)


def test_only_known_suites_are_supported() -> None:
    assert all(suite.is_supported for _, suite in EVERY_SUITE)
    assert not SymmetricSuite(3, HpkeAead.AES_128_GCM).is_supported
    assert not SymmetricSuite(HpkeKdf.HKDF_SHA256, 0xFFFF).is_supported
