"""Loading credentials: what is right loads, and each mistake is told in one clear sentence."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x25519
from tests.pki import Leaf, Pki, der_of, key_of_type, key_pem, pem_of, self_signed

from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.crypto import signatures
from handclasp.errors import ConfigurationError

P256 = key_of_type("ecdsa-p256")


@pytest.fixture
def leaf(pki: Pki) -> x509.Certificate:
    return pki.issue(Leaf(("www.example.com", "*.example.org", "::1")), P256.public_key())


def problem(*arguments: Any, **named: Any) -> str:
    """The one sentence that loading these fails with."""
    with pytest.raises(ConfigurationError) as caught:
        Credentials.from_pem(*arguments, **named)
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.__cause__ is None  # nothing of the key parser's own exception
    return text


def test_load_from_files(leaf: x509.Certificate, tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_bytes(pem_of(leaf))
    (tmp_path / "key.pem").write_bytes(key_pem(P256))
    loaded = Credentials.load(tmp_path / "chain.pem", str(tmp_path / "key.pem"))
    assert loaded.chain == der_of(leaf)
    assert loaded.names == ("www.example.com", "*.example.org", "::1")
    assert loaded.schemes == ("ecdsa_secp256r1_sha256",)
    assert loaded.issuers == (leaf.issuer.public_bytes(),)


def test_one_file_with_both(leaf: x509.Certificate, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(key_pem(P256) + pem_of(leaf))
    assert Credentials.load(both, both).chain == der_of(leaf)


def test_der_certificate(leaf: x509.Certificate) -> None:
    assert Credentials.from_pem(der_of(leaf)[0], key_pem(P256)).chain == der_of(leaf)


@pytest.mark.parametrize("password", ["secret", b"secret"])
def test_encrypted_key(leaf: x509.Certificate, password: str | bytes) -> None:
    assert Credentials.from_pem(pem_of(leaf), key_pem(P256, b"secret"), password).schemes


@pytest.mark.parametrize(
    "key_type",
    ["ecdsa-p384", "ecdsa-p521", "rsa-2048", "ed25519", "ed448", "mldsa44", "mldsa65", "mldsa87"],
)
def test_the_signer_signs_for_the_leaf(pki: Pki, key_type: str) -> None:
    key = key_of_type(key_type)
    certificate = pki.issue(Leaf(), key.public_key())
    loaded = Credentials.from_pem(pem_of(certificate), key_pem(key))
    assert loaded.schemes
    for scheme in loaded.schemes:
        signature = loaded.signer.sign(scheme, b"data")
        assert isinstance(signature, bytes)
        assert signatures.verify(scheme, certificate.public_key(), signature, b"data")


def test_rsa_key_declared_for_pss_signs_in_the_pss_schemes_only(tmp_path: Path) -> None:
    # cryptography cannot make such a certificate, so OpenSSL does.
    run = ["openssl", "req", "-x509", "-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"]
    run += ["-nodes", "-subj", "/CN=pss", "-keyout", "key.pem", "-out", "chain.pem"]
    try:
        subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("the openssl program is not installed")
    loaded = Credentials.load(tmp_path / "chain.pem", tmp_path / "key.pem")
    assert loaded.schemes == ("rsa_pss_pss_sha256", "rsa_pss_pss_sha384", "rsa_pss_pss_sha512")
    assert loaded.signer.schemes == loaded.schemes


def test_repr_shows_names_and_no_key(leaf: x509.Certificate) -> None:
    loaded = Credentials.from_pem(pem_of(leaf), key_pem(P256))
    assert "www.example.com" in repr(loaded)
    for text in (repr(loaded), repr(loaded.signer)):
        assert "key" not in text.lower()
        assert "0x" not in text


class TestChainOrder:
    def test_wrong_order_is_put_right(self, pki: Pki) -> None:
        lower = pki.intermediate("upper").intermediate("lower")
        certificate = lower.issue(Leaf(), P256.public_key())
        right = [certificate, *lower.path, pki.certificate]
        assert len(right) == 4
        for wrong in ([*right[::-1]], [right[0], right[2], right[1], right[3]]):
            loaded = Credentials.from_pem(pem_of(*wrong), key_pem(P256))
            assert loaded.chain == der_of(*right)

    def test_repeated_certificates_count_once(self, pki: Pki) -> None:
        certificate = pki.issue(Leaf(), P256.public_key())
        pem = pem_of(certificate, certificate, pki.certificate)
        expected = der_of(certificate, pki.certificate)
        assert Credentials.from_pem(pem, key_pem(P256)).chain == expected

    def test_a_certificate_that_does_not_belong_is_refused(self, pki: Pki) -> None:
        certificate = pki.issue(Leaf(), P256.public_key())
        stranger = Pki("a stranger").certificate
        text = problem(pem_of(certificate, stranger), key_pem(P256))
        assert "a stranger" in text
        assert "not one chain" in text

    def test_an_issuer_of_the_right_name_but_another_key_is_refused(self, pki: Pki) -> None:
        certificate = pki.issue(Leaf(), P256.public_key())
        assert "not one chain" in problem(pem_of(certificate, Pki().certificate), key_pem(P256))

    def test_ambiguous_order_is_refused(self, pki: Pki) -> None:
        # The same authority certified twice: which of the two to send is not ours to guess.
        one, other = pki.intermediate("twice"), pki.intermediate("twice")
        certificate = one.issue(Leaf(), P256.public_key())
        pem = pem_of(certificate, pki.certificate, other.certificate, one.certificate)
        assert "put the certificates in order" in problem(pem, key_pem(P256))

    def test_two_certificates_for_the_key(self, pki: Pki) -> None:
        first = pki.issue(Leaf(("a.example",)), P256.public_key())
        second = pki.issue(Leaf(("b.example",)), P256.public_key())
        pem = pem_of(pki.certificate, first, second)
        assert "several certificates for the key" in problem(pem, key_pem(P256))


class TestMistakes:
    def test_missing_files(self, tmp_path: Path, leaf: x509.Certificate) -> None:
        (tmp_path / "chain.pem").write_bytes(pem_of(leaf))
        with pytest.raises(ConfigurationError, match=r"nowhere\.pem"):
            Credentials.load(tmp_path / "nowhere.pem", tmp_path / "nowhere.key")
        with pytest.raises(ConfigurationError, match=r"key file .*nowhere\.key"):
            Credentials.load(tmp_path / "chain.pem", tmp_path / "nowhere.key")

    def test_a_directory(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="Cannot read the certificate file"):
            Credentials.load(tmp_path, tmp_path)

    def test_swapped_files(self, leaf: x509.Certificate) -> None:
        assert "swapped" in problem(key_pem(P256), pem_of(leaf))
        assert "swapped" in problem(pem_of(leaf), pem_of(leaf))

    @pytest.mark.parametrize(
        "data", [b"", b" \n", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n"]
    )
    def test_no_certificate(self, data: bytes) -> None:
        assert "certificate" in problem(data, key_pem(P256))

    @pytest.mark.parametrize(
        "data", [b"", b"hello", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
    )
    def test_no_key(self, leaf: x509.Certificate, data: bytes) -> None:
        assert "the key data" in problem(pem_of(leaf), data)

    def test_key_of_another_certificate(self, leaf: x509.Certificate) -> None:
        text = problem(pem_of(leaf), key_pem(key_of_type("ecdsa-p256", 9)))
        assert "does not belong" in text
        assert "www.example.com" in text

    def test_passwords(self, leaf: x509.Certificate) -> None:
        locked = key_pem(P256, b"secret")
        assert "give its password" in problem(pem_of(leaf), locked)
        text = problem(pem_of(leaf), locked, password="wrong-password")
        assert "password is wrong" in text
        assert "wrong-password" not in text
        assert "leave the password out" in problem(pem_of(leaf), key_pem(P256), password="x")

    def test_key_that_cannot_sign(self, leaf: x509.Certificate) -> None:
        assert "cannot sign" in problem(pem_of(leaf), key_pem(x25519.X25519PrivateKey.generate()))

    def test_curve_without_a_scheme(self, pki: Pki) -> None:
        key = key_of_type("secp256k1")
        certificate = pki.issue(Leaf(), key.public_key())
        assert "cannot sign" in problem(pem_of(certificate), key_pem(key))


class RemoteSigner:
    """Stands for a key elsewhere: it answers with an awaitable."""

    def __init__(self, schemes: Sequence[str]) -> None:
        self.schemes = schemes

    async def sign(self, scheme: str, data: bytes) -> bytes:
        return signatures.sign(scheme, P256, data)


class TestSigners:
    def test_chain_in_each_form(self, leaf: x509.Certificate) -> None:
        signer = RemoteSigner(["ecdsa_secp256r1_sha256"])
        for chain in (pem_of(leaf), der_of(leaf), [leaf]):
            loaded = Credentials.from_signer(chain, signer)
            assert loaded.chain == der_of(leaf)
            assert loaded.signer is signer

    def test_only_schemes_of_both_count(self, leaf: x509.Certificate) -> None:
        signer = RemoteSigner(["ed25519", "ecdsa_secp256r1_sha256"])
        assert Credentials.from_signer([leaf], signer).schemes == ("ecdsa_secp256r1_sha256",)

    def test_signer_for_another_kind_of_key(self, leaf: x509.Certificate) -> None:
        with pytest.raises(ConfigurationError, match="needs one of ecdsa_secp256r1_sha256"):
            Credentials.from_signer([leaf], RemoteSigner(["ed25519"]))

    def test_unknown_scheme(self, leaf: x509.Certificate) -> None:
        with pytest.raises(ConfigurationError, match="rsa_md5"):
            Credentials.from_signer([leaf], RemoteSigner(["rsa_md5"]))

    @pytest.mark.parametrize("chain", [[], [b"not DER"], b"not PEM"])
    def test_no_chain(self, chain: Any) -> None:
        with pytest.raises(ConfigurationError, match=re.compile("the certificate chain", re.I)):
            Credentials.from_signer(chain, RemoteSigner(["ed25519"]))

    def test_local_signer_needs_a_usable_key(self) -> None:
        for key in (x25519.X25519PrivateKey.generate(), key_of_type("secp256k1"), object()):
            with pytest.raises(ConfigurationError):
                LocalSigner(key)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("www.example.com", True),
        ("WWW.EXAMPLE.COM.", True),
        ("a.example.org", True),
        ("a.b.example.org", False),
        ("example.org", False),
        ("::1", True),
        ("0:0::1", True),
        ("127.0.0.1", False),
        ("*.example.org", False),
        ("not a name", False),
        ("\ud800", False),
        ("", False),
        (None, False),
    ],
)
def test_matches(leaf: x509.Certificate, name: str | None, expected: bool) -> None:
    assert Credentials.from_signer([leaf], LocalSigner(P256)).matches(name) is expected


def test_the_common_name_never_matches() -> None:
    certificate, key = self_signed(Leaf(names=(), common_name="www.example.com"))
    loaded = Credentials.from_signer([certificate], LocalSigner(key))
    assert loaded.names == ()
    assert not loaded.matches("www.example.com")
