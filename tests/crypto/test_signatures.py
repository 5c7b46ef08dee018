"""The signature schemes: each signs and verifies, and none takes what does not belong to it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, x25519
from hypothesis import given
from hypothesis import strategies as st
from tests.pki import key_of_type

from handclasp.crypto import signatures
from handclasp.crypto.signatures import SIGNATURE_SCHEMES, SIGNATURE_SCHEMES_BY_CODE
from handclasp.errors import ConfigurationError
from handclasp.iana import SignatureSchemeCode

DATA = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + bytes(32)

# scheme -> the type of key that fits, and whether its certificate says id-RSASSA-PSS
FITTING = {
    "ecdsa_secp256r1_sha256": ("ecdsa-p256", False),
    "ecdsa_secp384r1_sha384": ("ecdsa-p384", False),
    "ecdsa_secp521r1_sha512": ("ecdsa-p521", False),
    "rsa_pss_rsae_sha256": ("rsa-2048", False),
    "rsa_pss_rsae_sha384": ("rsa-2048", False),
    "rsa_pss_rsae_sha512": ("rsa-2048", False),
    "rsa_pss_pss_sha256": ("rsa-2048", True),
    "rsa_pss_pss_sha384": ("rsa-2048", True),
    "rsa_pss_pss_sha512": ("rsa-2048", True),
    "ed25519": ("ed25519", False),
    "ed448": ("ed448", False),
    "mldsa44": ("mldsa44", False),
    "mldsa65": ("mldsa65", False),
    "mldsa87": ("mldsa87", False),
}
KEY_TYPES = sorted({key_type for key_type, _ in FITTING.values()})


PKCS1 = ("rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512")


def test_table_covers_all_schemes() -> None:
    assert set(SIGNATURE_SCHEMES) == {*FITTING, *PKCS1}
    assert set(signatures.DEFAULT_SIGNATURE_SCHEMES) == {*FITTING, *PKCS1}
    for name, scheme in SIGNATURE_SCHEMES.items():
        assert scheme.name == name
        assert SignatureSchemeCode[name] == scheme.code
        assert SIGNATURE_SCHEMES_BY_CODE[scheme.code] is scheme


def test_forbidden_schemes_are_not_in_the_table() -> None:
    assert not [name for name in SIGNATURE_SCHEMES if "sha1" in name]
    # RFC 8446 4.2.3: in TLS 1.3, PKCS #1 v1.5 is for certificates at most.
    of_13 = signatures.of_versions(tuple(SIGNATURE_SCHEMES), ("TLSv1.3",))
    assert not [name for name in of_13 if "pkcs1" in name]
    of_12 = signatures.of_versions(tuple(SIGNATURE_SCHEMES), ("TLSv1.2",))
    assert [name for name in of_12 if "pkcs1" in name] == list(PKCS1)
    assert not [name for name in of_12 if name.startswith("mldsa")]


@pytest.mark.parametrize("scheme", FITTING)
def test_signs_and_verifies(scheme: str) -> None:
    key = key_of_type(FITTING[scheme][0])
    signature = signatures.sign(scheme, key, DATA)
    assert signatures.verify(scheme, key.public_key(), signature, DATA)
    assert not signatures.verify(scheme, key.public_key(), signature, DATA + b"x")
    changed = bytes([*signature[:-1], signature[-1] ^ 1])
    assert not signatures.verify(scheme, key.public_key(), changed, DATA)


@pytest.mark.parametrize("scheme", FITTING)
def test_a_scheme_fits_exactly_its_own_kind_of_key(scheme: str) -> None:
    wanted, wants_pss = FITTING[scheme]
    for key_type in KEY_TYPES:
        public_key = key_of_type(key_type).public_key()
        for is_pss in (False, True):
            expected = key_type == wanted and (key_type != "rsa-2048" or is_pss == wants_pss)
            assert signatures.fits(scheme, public_key, is_pss) == expected
            assert (scheme in signatures.schemes_for_key(public_key, is_pss)) == expected


@pytest.mark.parametrize("scheme", FITTING)
def test_a_key_of_another_kind_neither_signs_nor_verifies(scheme: str) -> None:
    own = FITTING[scheme][0]
    signature = signatures.sign(scheme, key_of_type(own), DATA)
    for key_type in KEY_TYPES:
        if key_type == own:
            continue
        assert not signatures.verify(scheme, key_of_type(key_type).public_key(), signature, DATA)
        with pytest.raises(ConfigurationError):
            signatures.sign(scheme, key_of_type(key_type), DATA)


def test_unknown_scheme() -> None:
    key = key_of_type("ecdsa-p256")
    assert not signatures.fits("rsa_pkcs1_sha256", key.public_key())
    assert not signatures.verify("rsa_pkcs1_sha256", key.public_key(), b"", DATA)
    with pytest.raises(ConfigurationError):
        signatures.sign("ecdsa_sha1", key, DATA)


def test_a_curve_is_bound_to_its_hash_in_tls13_only() -> None:
    # TLS 1.2 allows P-256 with SHA-384; in TLS 1.3 it is a signature of no scheme.
    key = key_of_type("ecdsa-p256")
    signature = key.sign(DATA, ec.ECDSA(hashes.SHA384()))
    assert not signatures.verify("ecdsa_secp256r1_sha256", key.public_key(), signature, DATA)
    assert signatures.verify("ecdsa_secp384r1_sha384", key.public_key(), signature, DATA)
    assert not signatures.fits("ecdsa_secp384r1_sha384", key.public_key())
    assert signatures.fits("ecdsa_secp384r1_sha384", key.public_key(), version="TLSv1.2")
    assert not signatures.fits("ed25519", key.public_key(), version="TLSv1.2")


@pytest.mark.parametrize("scheme", PKCS1)
def test_pkcs1_is_for_rsa_keys_in_tls12(scheme: str) -> None:
    key = key_of_type("rsa-2048")
    signature = signatures.sign(scheme, key, DATA)
    assert signatures.verify(scheme, key.public_key(), signature, DATA)
    assert not signatures.verify(scheme, key.public_key(), signature, DATA + b"x")
    assert signatures.fits(scheme, key.public_key(), version="TLSv1.2")
    assert not signatures.fits(scheme, key.public_key())
    assert not signatures.fits(scheme, key.public_key(), spki_is_pss=True, version="TLSv1.2")
    ecdsa = key_of_type("ecdsa-p256").public_key()
    assert not signatures.fits(scheme, ecdsa, version="TLSv1.2")


def test_the_salt_is_as_long_as_the_hash() -> None:
    # RFC 8446 4.2.3: "The length of the Salt MUST be equal to the length of the digest."
    key = key_of_type("rsa-2048")
    for salt_length, good in ((32, True), (0, False), (20, False), (48, False)):
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=salt_length)
        signature = key.sign(DATA, pss, hashes.SHA256())
        assert signatures.verify("rsa_pss_rsae_sha256", key.public_key(), signature, DATA) == good


def test_pkcs1_signature_is_not_a_pss_signature() -> None:
    key = key_of_type("rsa-2048")
    signature = key.sign(DATA, padding.PKCS1v15(), hashes.SHA256())
    assert not signatures.verify("rsa_pss_rsae_sha256", key.public_key(), signature, DATA)


def test_small_rsa_key_has_no_room_for_the_largest_hash() -> None:
    # 2 * 64 + 2 bytes do not go into 128 (RFC 8017 9.1.1).
    public_key = key_of_type("rsa-1024").public_key()
    assert signatures.schemes_for_key(public_key) == (
        "rsa_pss_rsae_sha256",
        "rsa_pss_rsae_sha384",
        *PKCS1,
    )


def test_keys_that_cannot_sign_in_tls() -> None:
    assert signatures.schemes_for_key(x25519.X25519PrivateKey.generate().public_key()) == ()
    assert signatures.schemes_for_key(key_of_type("secp256k1").public_key()) == ()
    assert signatures.schemes_for_key(None) == ()


@given(st.sampled_from(sorted(FITTING)), st.binary(max_size=5000))
def test_no_signature_bytes_make_verify_raise(scheme: str, signature: bytes) -> None:
    public_key = key_of_type(FITTING[scheme][0]).public_key()
    assert signatures.verify(scheme, public_key, signature, DATA) is False


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes.fromhex("3006020100020100"),  # r = s = 0, the "psychic" signature
        bytes.fromhex("3006020101020100"),
        bytes.fromhex("30080202000102020001"),  # not DER
        bytes.fromhex("3080020101020101"),  # indefinite length
        bytes(72),
    ],
)
def test_degenerate_ecdsa_signatures(signature: bytes) -> None:
    public_key = key_of_type("ecdsa-p256").public_key()
    assert not signatures.verify("ecdsa_secp256r1_sha256", public_key, signature, DATA)


def test_import_does_not_load_x509() -> None:
    code = (
        "import sys, handclasp.crypto.signatures; "
        "sys.exit(any(name.startswith('cryptography.x509') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
