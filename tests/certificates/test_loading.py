"""Reading certificates and keys: every form that programs write, and any bytes at all."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pki import Leaf, Pki, der_of, key_of_type, key_pem, pem_of, self_signed
from tests.required import need_tool

from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.staple import OcspStaple
from handclasp.certificates.trust import TrustStore
from handclasp.errors import ConfigurationError

P256 = key_of_type("ecdsa-p256")

TOO_SHORT_FOR_ITS_CURVE = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VxBCIEILPqzTNDOzG1JSNRAyybPnoueqdzjV3s3w3WxiaAhTwG
-----END PRIVATE KEY-----
"""
"""32 bytes that are said to be a key for Ed448, which has 57."""


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


class TestKeyForms:
    """A private key in each form in which programs write them."""

    @pytest.mark.parametrize("key_type", ["ecdsa-p256", "rsa-2048", "ed25519", "mldsa65"])
    @pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
    @pytest.mark.parametrize("traditional", [False, True])
    @pytest.mark.parametrize("password", [None, b"secret"])
    def test_of_cryptography(
        self, pki: Pki, key_type: str, encoding: Encoding, traditional: bool, password: bytes | None
    ) -> None:
        has_old_form = key_type in ("ecdsa-p256", "rsa-2048")
        if traditional and (not has_old_form or (password and encoding is Encoding.DER)):
            return  # There is no such form.
        key = key_of_type(key_type)
        form = PrivateFormat.TraditionalOpenSSL if traditional else PrivateFormat.PKCS8
        encryption: KeySerializationEncryption = NoEncryption()
        if password is not None:
            encryption = BestAvailableEncryption(password)
        data = key.private_bytes(encoding, form, encryption)
        certificate = pki.issue(Leaf(), key.public_key())
        assert Credentials.from_pem(pem_of(certificate), data, password).schemes

    @pytest.mark.parametrize(
        ("commands", "password"),
        [
            ("ecparam -genkey -name prime256v1 -out key", None),
            ("genpkey -algorithm ed25519 -outform DER -out key", None),
            ("genpkey -algorithm ed25519 -aes-128-cbc -pass pass:secret -out key", "secret"),
            ("genrsa -out key 2048", None),
            ("genrsa -traditional -out key 2048", None),
            ("genrsa -traditional -aes256 -passout pass:secret -out key 2048", "secret"),
            ("genrsa -traditional -des3 -passout pass:secret -out key 2048", "secret"),
            ("ecparam -genkey -name secp384r1 -out old;ec -in old -outform DER -out key", None),
            (
                "ecparam -genkey -name secp384r1 -out old;"
                "ec -in old -aes256 -passout pass:secret -out key",
                "secret",
            ),
            *(
                (
                    "ecparam -genkey -name prime256v1 -out old;"
                    f"pkcs8 -topk8 -in old {how} -passout pass:secret -out key",
                    "secret",
                )
                for how in ("-scrypt", "-v1 PBE-SHA1-3DES", "-v2 aes-256-cbc -outform DER")
            ),
        ],
    )
    def test_of_openssl(self, tmp_path: Path, commands: str, password: str | None) -> None:
        for command in commands.split(";"):
            openssl(tmp_path, command)
        secret = f" -passin pass:{password}" if password else ""
        openssl(tmp_path, f"req -x509 -key key{secret} -subj /CN=x -days 9 -out chain.pem")
        assert Credentials.load(tmp_path / "chain.pem", tmp_path / "key", password).schemes
        if password:
            with pytest.raises(ConfigurationError, match="give its password"):
                Credentials.load(tmp_path / "chain.pem", tmp_path / "key")


class TestPkcs12:
    @pytest.fixture(scope="class")
    @staticmethod
    def parts() -> tuple[Pki, x509.Certificate, x509.Certificate]:
        pki = Pki()
        lower = pki.intermediate()
        return pki, lower.certificate, lower.issue(Leaf(), P256.public_key())

    @pytest.mark.parametrize("password", [None, "secret", b"secret"])
    def test_of_cryptography(
        self,
        parts: tuple[Pki, x509.Certificate, x509.Certificate],
        password: str | bytes | None,
        tmp_path: Path,
    ) -> None:
        pki, issuer, leaf = parts
        secret = password.encode() if isinstance(password, str) else password
        encryption = BestAvailableEncryption(secret) if secret else NoEncryption()
        data = pkcs12.serialize_key_and_certificates(
            b"name", P256, leaf, [pki.certificate, issuer], encryption
        )
        (tmp_path / "both.p12").write_bytes(data)
        for source in (data, tmp_path / "both.p12", str(tmp_path / "both.p12")):
            loaded = Credentials.from_pkcs12(source, password)
            assert loaded.chain_der == der_of(leaf, issuer, pki.certificate)
            assert loaded.schemes == ("ecdsa_secp256r1_sha256",)

    @pytest.mark.parametrize("how", ["", "-legacy", "-certpbe NONE -keypbe NONE", "-nomac"])
    def test_of_openssl(
        self, parts: tuple[Pki, x509.Certificate, x509.Certificate], how: str, tmp_path: Path
    ) -> None:
        _, issuer, leaf = parts
        (tmp_path / "all.pem").write_bytes(key_pem(P256) + pem_of(leaf, issuer))
        openssl(tmp_path, f"pkcs12 -export -in all.pem -out p12 -passout pass:secret {how}")
        loaded = Credentials.from_pkcs12(tmp_path / "p12", "secret")
        assert loaded.chain_der == der_of(leaf, issuer)

    def test_mistakes(self, parts: tuple[Pki, x509.Certificate, x509.Certificate]) -> None:
        _, _, leaf = parts

        def made(key: Any, certificate: x509.Certificate | None) -> bytes:
            others = [parts[1]] if key is None else None
            encryption = BestAvailableEncryption(b"secret")
            return pkcs12.serialize_key_and_certificates(b"n", key, certificate, others, encryption)

        other = key_of_type("ecdsa-p256", 9)
        for data, password, words in (
            (made(P256, leaf), "not-it", "password is wrong"),
            (made(P256, leaf), None, "needs a password"),
            (made(P256, None), "secret", "holds no certificate"),
            (made(None, leaf), "secret", "holds no private key"),
            (made(P256, leaf), "\ud800", "UTF-8"),
            (key_pem(other) + pem_of(leaf), "secret", "is PEM"),
            (b"", "secret", "no PKCS #12 file"),
        ):
            with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
                Credentials.from_pkcs12(data, password)
            assert "secret" not in str(caught.value)
            assert "not-it" not in str(caught.value)
        with pytest.raises(ConfigurationError, match=r"PKCS #12 file .*nowhere\.p12"):
            Credentials.from_pkcs12("nowhere.p12")

    def test_given_as_a_certificate(
        self, parts: tuple[Pki, x509.Certificate, x509.Certificate]
    ) -> None:
        data = pkcs12.serialize_key_and_certificates(b"n", P256, parts[2], None, NoEncryption())
        told = problem(data, key_pem(P256))
        assert "from_pkcs12" in told
        assert "openssl pkcs12 -in" in told


class TestChainOrder:
    def test_wrong_order_is_put_right(self, pki: Pki) -> None:
        lower = pki.intermediate("upper").intermediate("lower")
        certificate = lower.issue(Leaf(), P256.public_key())
        right = [certificate, *lower.path, pki.certificate]
        assert len(right) == 4
        for wrong in ([*right[::-1]], [right[0], right[2], right[1], right[3]]):
            loaded = Credentials.from_pem(pem_of(*wrong), key_pem(P256))
            assert loaded.chain_der == der_of(*right)

    def test_repeated_certificates_count_once(self, pki: Pki) -> None:
        certificate = pki.issue(Leaf(), P256.public_key())
        pem = pem_of(certificate, certificate, pki.certificate)
        expected = der_of(certificate, pki.certificate)
        assert Credentials.from_pem(pem, key_pem(P256)).chain_der == expected

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


class TestAnyBytes:
    """Whatever is in the files, the worst is one sentence."""

    @given(
        st.binary(max_size=100),
        st.sampled_from(
            [
                b"",
                b"\x30",
                *(
                    b"-----BEGIN %s-----\n" % label
                    for label in (
                        b"CERTIFICATE",
                        b"PRIVATE KEY",
                        b"EC PRIVATE KEY",
                        b"ENCRYPTED PRIVATE KEY",
                    )
                ),
            ]
        ),
    )
    def test_random(self, data: bytes, start: bytes) -> None:
        given_bytes = start + data
        loads: tuple[Callable[[], Credentials], ...] = (
            lambda: Credentials.from_pem(given_bytes, given_bytes, "secret"),
            lambda: Credentials.from_pem(SELF_SIGNED, given_bytes),
            lambda: Credentials.from_pkcs12(given_bytes, "secret"),
            lambda: Credentials.raw_public_key(given_bytes),
            lambda: Credentials.raw_public_key_from_signer(given_bytes, LocalSigner(P256)),
        )
        for load in loads:
            with pytest.raises(ConfigurationError):
                load()

    @pytest.mark.filterwarnings("ignore:Parsed a serial number", "ignore:PKCS#12 bundle")
    @settings(max_examples=300)
    @given(st.integers(min_value=0), st.integers(1, 255), st.booleans())
    def test_damaged(self, place: int, flip: int, cut: bool) -> None:
        def damaged(data: bytes) -> bytes:
            at = place % len(data)
            return data[:at] if cut else data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]

        loads: tuple[Callable[[], Credentials], ...] = (
            lambda: Credentials.from_pem(damaged(SELF_SIGNED), key_pem(P256)),
            lambda: Credentials.from_pem(SELF_SIGNED, damaged(key_pem(P256))),
            lambda: Credentials.from_pkcs12(damaged(SELF_SIGNED_PKCS12)),
            lambda: Credentials.raw_public_key(damaged(key_pem(P256))),
        )
        for load in loads:
            try:
                load()
            except ConfigurationError as error:
                assert "PRIVATE" not in str(error)  # noqa: PT017

    def test_a_key_too_short_for_its_curve(self) -> None:
        """Found by the fuzzer: cryptography raises an exception of its own kind for it."""
        assert "not a readable private key" in problem(SELF_SIGNED, TOO_SHORT_FOR_ITS_CURVE)
        with pytest.raises(ConfigurationError, match="not a readable private key"):
            Credentials.raw_public_key(TOO_SHORT_FOR_ITS_CURVE)

    def test_a_version_that_does_not_exist(self) -> None:
        old = bytes.fromhex("a003020102")
        assert SELF_SIGNED.count(old) == 1
        broken = SELF_SIGNED.replace(old, bytes.fromhex("a003020107"))
        assert "the certificate data" in problem(broken, key_pem(P256))
        with pytest.raises(ConfigurationError):
            Credentials.from_signer([broken], LocalSigner(P256))

    def test_an_extension_twice(self, leaf: x509.Certificate) -> None:
        # Two extensions of one kind, made by giving one the other's identifier.
        (der,) = der_of(leaf)
        key_identifier, constraints = bytes.fromhex("0603551d23"), bytes.fromhex("0603551d13")
        broken = der.replace(key_identifier, constraints)
        assert broken != der
        assert "cannot be read" in problem(broken, key_pem(P256))


SELF_SIGNED = der_of(self_signed()[0])[0]


def _containers() -> dict[str, bytes]:
    from cryptography.hazmat.primitives.serialization import pkcs7

    certificate, key = self_signed()
    as_pkcs12 = pkcs12.serialize_key_and_certificates(
        b"n", key, certificate, None, BestAvailableEncryption(b"secret")
    )
    return {
        "PKCS #12": as_pkcs12,
        "PKCS #7": pkcs7.serialize_certificates([certificate], Encoding.DER),
        "PKCS #7 in PEM": pkcs7.serialize_certificates([certificate], Encoding.PEM),
        "key store of Java": b"\xfe\xed\xfe\xed\0\0\0\2",
    }


@pytest.mark.parametrize("name", ["PKCS #12", "PKCS #7", "PKCS #7 in PEM", "key store of Java"])
def test_a_container_is_named_and_how_to_convert_it(name: str) -> None:
    data = _containers()[name]
    tool = "openssl pkcs7 -inform" if "7" in name else "openssl pkcs12 -in FILE.p12 -out FILE.pem"
    with pytest.raises(ConfigurationError) as of_chain:
        Credentials.from_pem(data, key_pem(P256))
    with pytest.raises(ConfigurationError) as of_key:
        Credentials.from_pem(pem_of(self_signed()[0]), data)
    with pytest.raises(ConfigurationError) as of_authorities:
        TrustStore.from_pem(data).anchors  # noqa: B018
    assert name.split(" in ")[0] in str(of_chain.value)
    assert name.split(" in ")[0] in str(of_authorities.value)
    assert tool in str(of_chain.value)
    assert tool in str(of_authorities.value)
    if "7" in name:
        assert re.search("holds (certificates and )?no (private )?key", str(of_key.value))
    else:
        assert f"{tool} -nodes" in str(of_key.value)
        assert "-nokeys" in str(of_authorities.value)
        assert "from_pkcs12" not in str(of_key.value) + str(of_authorities.value)


SELF_SIGNED_PKCS12 = pkcs12.serialize_key_and_certificates(
    b"name", P256, self_signed()[0], None, NoEncryption()
)


@pytest.mark.parametrize("wrong", [None, 3, object()])
def test_what_is_no_path_raises_the_error_that_is_promised(wrong: Any) -> None:
    ways: list[Callable[[], object]] = [
        lambda: Credentials.load(wrong, wrong),
        lambda: Credentials.load("chain.pem", wrong),
        lambda: Credentials.auto_reload(wrong, wrong),
        lambda: Credentials.from_pkcs12(wrong),
        lambda: Credentials.raw_public_key(wrong),
        lambda: TrustStore.from_pem(wrong),
        lambda: TrustStore.from_files(wrong),
        lambda: RevocationLists.from_files(wrong),
        lambda: OcspStaple.from_file(wrong),
    ]
    for way in ways:
        with pytest.raises(ConfigurationError, match="must be a path, not"):
            way()


def test_the_home_directory_is_not_guessed() -> None:
    with pytest.raises(ConfigurationError, match="expanduser"):
        Credentials.load("~/no-such-chain.pem", "~/no-such-key.pem")
    with pytest.raises(ConfigurationError, match="expanduser"):
        TrustStore.from_pem("~/no-such-ca.pem")
