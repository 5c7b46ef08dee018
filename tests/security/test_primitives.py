"""What each primitive refuses becomes a fault with its alert, in the manner of Wycheproof's cases.

Key shares have a file of their own: tests/adversarial/test_key_shares.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.adversarial.conftest import refused
from tests.adversarial.encounter import Encounter
from tests.pki import Pki, key_of_type, self_signed

from handclasp import CertificateError, ClientConfig, Fault, TrustStore
from handclasp.certificates.der import public_key_info
from handclasp.certificates.explanation import explain
from handclasp.certificates.verify import (
    accept_unverified,
    verify_raw_public_key,
    verify_server_chain,
    vouch_for,
)
from handclasp.crypto import signatures
from handclasp.crypto.secret import Secret
from handclasp.record.protection12 import Protection12
from handclasp.record.protection13 import Protection13
from handclasp.testing.deviations import Change, changed
from handclasp.testing.scripted import CONTEXTS, ScriptedServer

Meet = Callable[..., Encounter]

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


# Signatures


def integer(value: int) -> bytes:
    """An INTEGER in DER, the shortest form of a number that is not negative."""
    body = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(body)]) + body


def sequence(content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return b"\x30" + bytes([size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return b"\x30" + bytes([0x80 | len(length)]) + length + content


def encodings_of(r: int, s: int) -> dict[str, bytes]:
    """Other ways to write one good ECDSA signature, and none of them is DER of it."""
    good = sequence(integer(r) + integer(s))
    return {
        "r plus the order": sequence(integer(r + ORDER) + integer(s)),
        "s plus the order": sequence(integer(r) + integer(s + ORDER)),
        "r negative": sequence(b"\x02\x21" + (2**264 - r).to_bytes(33, "big") + integer(s)),
        "r is zero": sequence(integer(0) + integer(s)),
        "s is zero": sequence(integer(r) + integer(0)),
        "r is the order": sequence(integer(ORDER) + integer(s)),
        "leading zeros": sequence(b"\x02\x23\0\0\0" + r.to_bytes(32, "big") + integer(s)),
        "a long length": b"\x30\x81" + good[1:],
        "no fixed length": b"\x30\x80" + good[2:] + b"\0\0",
        "bytes behind it": good + b"\0",
        "bytes inside it": sequence(integer(r) + integer(s) + b"\x05\0"),
        "cut off": good[:-1],
        "raw r and s": r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        "another tag": b"\x31" + good[1:],
        "empty": b"",
    }


NAMES = sorted(encodings_of(1, 1))


@pytest.mark.parametrize("name", NAMES)
def test_signatures_that_are_none(meet_server: Meet, name: str) -> None:
    """Only the one DER form of a signature is one: everything else is decrypt_error."""

    def other_form(message: Any) -> Any:
        r, s = utils.decode_dss_signature(message.signature)
        return changed(signature=encodings_of(r, s)[name])(message)

    refused(meet_server(certificate_verify=other_form), Fault.BAD_SIGNATURE)


def test_the_form_that_is_one(meet_server: Meet) -> None:
    def same(message: Any) -> Any:
        r, s = utils.decode_dss_signature(message.signature)
        return changed(signature=sequence(integer(r) + integer(s)))(message)

    assert meet_server(certificate_verify=same).error is None


class SaltedServer(ScriptedServer):
    """Signs with RSASSA-PSS, with another salt, hash or mask than the scheme has."""

    salt, digest, mask = 32, hashes.SHA256(), hashes.SHA256()

    def certificate_verify(self) -> Any:
        content = CONTEXTS["server"] + self.transcript.digest()
        pss = padding.PSS(padding.MGF1(self.mask), salt_length=self.salt)
        signature = key_of_type("rsa-2048").sign(content, pss, self.digest)
        return changed(signature=signature)(super().certificate_verify())


@pytest.mark.parametrize(
    ("salt", "digest", "mask", "good"),
    [
        (32, hashes.SHA256(), hashes.SHA256(), True),
        (0, hashes.SHA256(), hashes.SHA256(), False),
        (20, hashes.SHA256(), hashes.SHA256(), False),
        (31, hashes.SHA256(), hashes.SHA256(), False),
        (33, hashes.SHA256(), hashes.SHA256(), False),
        (222, hashes.SHA256(), hashes.SHA256(), False),
        (32, hashes.SHA256(), hashes.SHA1(), False),
        (32, hashes.SHA384(), hashes.SHA384(), False),
    ],
)
def test_salts_and_masks_of_pss(
    pki: Pki,
    meet_server: Meet,
    salt: int,
    digest: Any,
    mask: Any,
    good: bool,
) -> None:
    kind = type("Salted", (SaltedServer,), {"salt": salt, "digest": digest, "mask": mask})
    credentials = pki.server("localhost", key_type="rsa-2048")
    config = ClientConfig(trust=pki.trust, signature_schemes=["rsa_pss_rsae_sha256"])
    encounter = meet_server(config=config, kind=kind, credentials=credentials)
    if good:
        assert encounter.error is None
    else:
        refused(encounter, Fault.BAD_SIGNATURE)


@pytest.mark.parametrize("size", [0, 63, 65, 114])
def test_lengths_of_eddsa(pki: Pki, meet_server: Meet, size: int) -> None:
    change: Change = changed(signature=bytes(size))
    credentials = pki.server("localhost", key_type="ed25519")
    refused(meet_server(credentials=credentials, certificate_verify=change), Fault.BAD_SIGNATURE)


def test_an_eddsa_scalar_that_is_not_reduced() -> None:
    """RFC 8032 section 5.1.7: S must be below the order, or there were two signatures."""
    key = key_of_type("ed25519")
    signature = key.sign(b"content")
    order = 2**252 + 27742317777372353535851937790883648493
    other = int.from_bytes(signature[32:], "little") + order
    malleable = signature[:32] + other.to_bytes(32, "little")
    assert signatures.verify("ed25519", key.public_key(), signature, b"content")
    assert not signatures.verify("ed25519", key.public_key(), malleable, b"content")


# Keys

EXPLICIT_P256 = bytes.fromhex(
    "3081f7020101302c06072a8648ce3d0101022100ffffffff00000001000000000000000000000000ffffffffffff"
    "ffffffffffff305b0420ffffffff00000001000000000000000000000000fffffffffffffffffffffffc04205ac6"
    "35d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b031500c49d360886e704936a6678e113"
    "9d26b7819f7e900441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2"
    "fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5022100ffffffff00000000ffffffffffffff"
    "ffbce6faada7179e84f3b9cac2fc632551020101"
)
"""The parameters of secp256r1, spelled out (RFC 3279 section 2.3.5)."""

NAMED_P256 = bytes.fromhex("06082a8648ce3d030107")
OWN_GENERATOR = EXPLICIT_P256.replace(bytes.fromhex("6b17d1f2"), bytes.fromhex("6b17d1f3"))
"""A curve of the forger's own, as in CVE-2020-0601."""


def with_parameters(info: bytes, parameters: bytes) -> bytes:
    """A SubjectPublicKeyInfo with other parameters of its curve."""
    point = info[-68:]
    assert point[:3] == b"\x03\x42\0"
    return sequence(sequence(bytes.fromhex("06072a8648ce3d0201") + parameters) + point)


def with_key(der: bytes, info: bytes) -> bytes:
    """The certificate with another key in it; its signature does not hold any more."""
    certificate = x509.load_der_x509_certificate(der)
    tbs = certificate.tbs_certificate_bytes
    start = 4 if tbs[1] == 0x82 else 3
    new = sequence(tbs[start:].replace(public_key_info(certificate), info))
    return sequence(new + der[4 + len(tbs) :])


@pytest.mark.parametrize("parameters", [EXPLICIT_P256, OWN_GENERATOR])
def test_explicit_curves_are_no_keys(parameters: bytes) -> None:
    """RFC 5480 section 2.1.1: "specifiedCurve" MUST NOT be used."""
    certificate, key = self_signed()
    der = certificate.public_bytes(Encoding.DER)
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert with_key(der, with_parameters(info, NAMED_P256)) == der  # The helpers do their work.
    forged_info = with_parameters(info, parameters)
    forged = with_key(der, forged_info)
    judges: list[Callable[[], object]] = [
        lambda: accept_unverified([forged]),
        lambda: vouch_for([forged]),
        lambda: verify_raw_public_key(forged_info, [forged_info]),
    ]
    for judge in judges:
        with pytest.raises(CertificateError) as caught:
            judge()
        assert caught.value.fault in (Fault.UNSUPPORTED_CERTIFICATE, Fault.BAD_CERTIFICATE)
    accept_unverified([der])


def test_an_explicit_curve_that_is_trusted_itself() -> None:
    """Not even where the certificate is an anchor; and the explanation says why."""
    now = Pki().now
    certificate, key = self_signed(now=now)
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    der = with_key(certificate.public_bytes(Encoding.DER), with_parameters(info, EXPLICIT_P256))
    trust = TrustStore.from_der(der)
    with pytest.raises(CertificateError) as caught:
        verify_server_chain([der], trust, "localhost", now)
    assert caught.value.fault is Fault.UNSUPPORTED_CERTIFICATE
    words = [finding.evidence for finding in explain([der], "localhost", trust, now).broken]
    assert any("spells out its curve" in each for each in words)


def test_a_compressed_point_is_still_a_key() -> None:
    public_key = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    point = public_key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    bits = b"\x03" + bytes([len(point) + 1]) + b"\0" + point
    info = sequence(sequence(bytes.fromhex("06072a8648ce3d0201") + NAMED_P256) + bits)
    assert verify_raw_public_key(info, [info]).public_key == public_key


# Records


@pytest.mark.parametrize("at", range(16))
@pytest.mark.parametrize(
    "suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
)
def test_tags_that_are_wrong(suite: str, at: int) -> None:
    """Each bit of the tag counts: truncated comparison is a classic of home-made cryptography."""
    from handclasp.crypto.suites import CIPHER_SUITES
    from handclasp.errors import ProtocolError
    from handclasp.keys.traffic import TrafficKeys

    chosen = CIPHER_SUITES[suite]
    keys = TrafficKeys(chosen, Secret(range(chosen.key_size)), Secret(12))
    record = bytearray(Protection13.of(keys).seal(23, b"content"))
    for bit in range(8):
        record[-1 - at] ^= 1 << bit
        with pytest.raises(ProtocolError) as caught:
            Protection13.of(keys).open(bytes(record[:5]), bytes(record[5:]))
        assert caught.value.fault is Fault.BAD_RECORD_MAC
        record[-1 - at] ^= 1 << bit
    assert Protection13.of(keys).open(bytes(record[:5]), bytes(record[5:])) == b"content\x17"


@pytest.mark.parametrize("size", range(25))
def test_tags_that_are_short(size: int) -> None:
    from handclasp.crypto.suites import CIPHER_SUITES12
    from handclasp.errors import ProtocolError
    from handclasp.keys.traffic import TrafficKeys

    suite = CIPHER_SUITES12["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
    keys = TrafficKeys(suite, Secret(16), Secret(4))
    header = b"\x17\3\3" + size.to_bytes(2, "big")
    with pytest.raises(ProtocolError) as caught:
        Protection12(keys, suite).open_record(header + bytes(size), 0, 5 + size)
    assert caught.value.fault is Fault.BAD_RECORD_MAC
