"""Loading credentials: what is right loads, and each mistake is told in one clear sentence."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from tests.pki import DAY, Leaf, Pki, der_of, key_of_type, key_pem, pem_of, self_signed
from tests.required import need_tool

from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.certificates.staple import OcspStaple
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


def openssl(place: Path, command: str) -> None:
    run = [need_tool("openssl"), *command.split()]
    subprocess.run(run, cwd=place, check=True, capture_output=True, timeout=60)


def test_load_from_files(leaf: x509.Certificate, tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_bytes(pem_of(leaf))
    (tmp_path / "key.pem").write_bytes(key_pem(P256))
    loaded = Credentials.load(tmp_path / "chain.pem", str(tmp_path / "key.pem"))
    assert loaded.chain_der == der_of(leaf)
    assert loaded.names == ("www.example.com", "*.example.org", "::1")
    assert loaded.schemes == ("ecdsa_secp256r1_sha256",)
    assert loaded.issuers_der == (leaf.issuer.public_bytes(),)


def test_one_file_with_both(leaf: x509.Certificate, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(key_pem(P256) + pem_of(leaf))
    assert Credentials.load(both, both).chain_der == der_of(leaf)


def test_der_certificate(leaf: x509.Certificate) -> None:
    assert Credentials.from_pem(der_of(leaf)[0], key_pem(P256)).chain_der == der_of(leaf)


@pytest.mark.parametrize("password", ["secret", b"secret"])
def test_encrypted_key(leaf: x509.Certificate, password: str | bytes) -> None:
    assert Credentials.from_pem(pem_of(leaf), key_pem(P256, b"secret"), password).schemes


class TestRawPublicKeys:
    @pytest.mark.parametrize("key_type", ["ecdsa-p256", "rsa-2048", "ed25519", "mldsa44"])
    def test_from_the_private_key(self, key_type: str, tmp_path: Path) -> None:
        key = key_of_type(key_type)
        info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        path = tmp_path / "key.pem"
        path.write_bytes(key_pem(key, b"secret"))
        for loaded in (
            Credentials.raw_public_key(key_pem(key)),
            Credentials.raw_public_key(path, "secret"),
        ):
            assert loaded.certificate_type == "RawPublicKey"
            assert loaded.chain_der == (info,)
            assert (loaded.names, loaded.issuers_der) == ((), ())
            assert not loaded.matches("localhost")
            scheme = loaded.schemes[0]
            signature = loaded.signer.sign(scheme, b"data")
            assert isinstance(signature, bytes)
            assert signatures.verify(scheme, key.public_key(), signature, b"data")

    def test_from_a_signer(self) -> None:
        public_key = P256.public_key()
        signer = RemoteSigner(["ed25519", "ecdsa_secp256r1_sha256"])
        form = PublicFormat.SubjectPublicKeyInfo
        for encoding in (Encoding.DER, Encoding.PEM):
            given_key = public_key.public_bytes(encoding, form)
            loaded = Credentials.raw_public_key_from_signer(given_key, signer)
            assert loaded.chain_der == (public_key.public_bytes(Encoding.DER, form),)
            assert loaded.schemes == ("ecdsa_secp256r1_sha256",)
            with pytest.raises(ConfigurationError, match="needs one of ecdsa_secp256r1_sha256"):
                Credentials.raw_public_key_from_signer(given_key, RemoteSigner(["ed25519"]))

    def test_what_is_declared_as_pss_stays_so(self, tmp_path: Path) -> None:
        openssl(
            tmp_path,
            "genpkey -algorithm rsa-pss -pkeyopt rsa_keygen_bits:2048 "
            "-pkeyopt rsa_pss_keygen_md:sha256 -out key.pem",
        )
        openssl(tmp_path, "pkey -in key.pem -pubout -out public.pem")
        openssl(tmp_path, "pkey -in key.pem -pubout -outform DER -out public.der")
        with pytest.raises(ConfigurationError, match="raw_public_key_from_signer"):
            Credentials.raw_public_key(tmp_path / "key.pem")
        key = load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
        signer = LocalSigner(key, spki_is_pss=True)
        public_key = (tmp_path / "public.pem").read_bytes()
        loaded = Credentials.raw_public_key_from_signer(public_key, signer)
        assert loaded.chain_der == ((tmp_path / "public.der").read_bytes(),)
        assert set(loaded.schemes) == {f"rsa_pss_pss_sha{bits}" for bits in (256, 384, 512)}

    def test_mistakes(self, leaf: x509.Certificate) -> None:
        exchange_only = key_pem(x25519.X25519PrivateKey.generate())
        for data, words in ((exchange_only, "cannot sign"), (pem_of(leaf), "no private key")):
            with pytest.raises(ConfigurationError, match=words):
                Credentials.raw_public_key(data)
        with pytest.raises(ConfigurationError, match="key file nowhere"):
            Credentials.raw_public_key("nowhere")
        raw = Credentials.raw_public_key(key_pem(P256))
        with pytest.raises(ConfigurationError, match="not with a raw public key"):
            raw.with_timestamps([b"timestamp"])
        with pytest.raises(ConfigurationError, match="not with a raw public key"):
            raw.with_staple(b"response")


class TestStaples:
    def test_each_form(self, pki: Pki, leaf: x509.Certificate, tmp_path: Path) -> None:
        response = pki.ocsp_response(leaf)
        path = tmp_path / "leaf.ocsp"
        path.write_bytes(response)
        plain = Credentials.from_signer([leaf], LocalSigner(P256))
        for staple in (
            response,
            path,
            str(path),
            lambda: response,
            OcspStaple.from_bytes(response),
            Fixed(response),
        ):
            stapling = plain.with_staple(staple)
            assert stapling.staple is not None
            assert stapling.staple.current(pki.now) == response
            assert plain.staple is None

    def test_what_cannot_be_for_the_leaf(
        self, pki: Pki, leaf: x509.Certificate, tmp_path: Path
    ) -> None:
        plain = Credentials.from_signer([leaf], LocalSigner(P256))
        other = pki.ocsp_response(pki.issue(Leaf(), P256.public_key()))
        namesake = Pki("somebody else").issue(
            Leaf(serial_number=leaf.serial_number), P256.public_key()
        )
        (tmp_path / "other").write_bytes(other)
        for staple, words in (
            (other, "another certificate"),
            (tmp_path / "other", "another certificate"),
            (OcspStaple.from_bytes(other), "another certificate"),
            (Pki("somebody else").ocsp_response(namesake), "another certificate"),
            (b"no response", "cannot be stapled"),
            (tmp_path / "nowhere", "nowhere"),
            (5, "int"),
        ):
            with pytest.raises(ConfigurationError, match=words):
                plain.with_staple(staple)  # type: ignore[arg-type]


class Fixed:
    """A staple source of somebody else."""

    def __init__(self, response: bytes) -> None:
        self.response = response

    def current(self, now: datetime) -> bytes | None:
        return self.response


class TestTimestamps:
    def test_each_form(self, leaf: x509.Certificate) -> None:
        plain = Credentials.from_signer([leaf], LocalSigner(P256))
        encoded = bytes.fromhex("0007 0001 61 0002 6263")
        for timestamps in ([b"a", b"bc"], (b"a", b"bc"), encoded):
            assert plain.with_timestamps(timestamps).sct_list == encoded
        assert plain.sct_list is None
        longest = b"x" * 65533
        assert plain.with_timestamps([longest[:-2]]).sct_list is not None
        with pytest.raises(ConfigurationError):
            plain.with_timestamps([longest, b"a"])

    @pytest.mark.parametrize(
        "timestamps",
        [[], [b""], b"", b"\0\0", "0002 0000", "0003 0002 61", "0004 0001 6161", "0003 0001 6161"],
    )
    def test_other_forms_are_refused(self, leaf: x509.Certificate, timestamps: Any) -> None:
        plain = Credentials.from_signer([leaf], LocalSigner(P256))
        encoded = bytes.fromhex(timestamps) if isinstance(timestamps, str) else timestamps
        with pytest.raises(ConfigurationError, match="RFC 6962"):
            plain.with_timestamps(encoded)


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
    openssl(
        tmp_path,
        "req -x509 -newkey rsa-pss -pkeyopt rsa_keygen_bits:2048 -nodes -subj /CN=pss "
        "-keyout key.pem -out chain.pem",
    )
    loaded = Credentials.load(tmp_path / "chain.pem", tmp_path / "key.pem")
    assert loaded.schemes == ("rsa_pss_pss_sha256", "rsa_pss_pss_sha384", "rsa_pss_pss_sha512")
    assert loaded.signer.schemes == loaded.schemes


def test_repr_shows_names_and_no_key(leaf: x509.Certificate) -> None:
    loaded = Credentials.from_pem(pem_of(leaf), key_pem(P256))
    assert "www.example.com" in repr(loaded)
    for text in (repr(loaded), repr(loaded.signer)):
        assert "key" not in text.lower()
        assert "0x" not in text


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
            assert loaded.chain_der == der_of(leaf)
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

    @pytest.mark.parametrize("schemes", [None, "ed25519", 5])
    def test_what_is_no_signer(self, leaf: x509.Certificate, schemes: Any) -> None:
        with pytest.raises(ConfigurationError, match="a list of names"):
            Credentials.from_signer([leaf], RemoteSigner(schemes))
        with pytest.raises(ConfigurationError, match="method sign"):
            Credentials.from_signer([leaf], object())  # type: ignore[arg-type]

    @pytest.mark.parametrize("chain", [[], [b"not DER"], b"not PEM"])
    def test_no_chain(self, chain: Any) -> None:
        with pytest.raises(ConfigurationError, match=re.compile("the certificate chain", re.I)):
            Credentials.from_signer(chain, RemoteSigner(["ed25519"]))

    def test_local_signer_needs_a_usable_key(self) -> None:
        for key in (x25519.X25519PrivateKey.generate(), key_of_type("secp256k1"), object()):
            with pytest.raises(ConfigurationError):
                LocalSigner(key)


def test_dates_do_not_matter_here(pki: Pki) -> None:
    old = Leaf(not_before=pki.now - 9 * DAY, not_after=pki.now - DAY)
    certificate = pki.issue(old, P256.public_key())
    assert Credentials.from_pem(pem_of(certificate), key_pem(P256)).chain_der == der_of(certificate)


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
