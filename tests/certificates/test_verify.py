"""The trust decision: what is accepted, and with which fault and words the rest is refused."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pki import DAY, Leaf, Pki, der_of, key_of_type, self_signed
from tests.required import need_tool

from handclasp.certificates import decision, verify
from handclasp.certificates.describe import spki_pin
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import (
    VerifiedPeer,
    accept_unverified,
    verify_client_chain,
    verify_raw_public_key,
    verify_server_chain,
    vouch_for,
)
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault

P256 = key_of_type("ecdsa-p256").public_key()
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def spki_of(public_key: Any) -> bytes:
    info: bytes = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return info


def refused(
    fault: Fault,
    chain: Sequence[bytes],
    trust: TrustStore,
    name: str | None = "localhost",
    now: datetime | None = None,
) -> str:
    """The particulars with which a chain is refused for exactly this fault."""
    now = now or datetime.now(UTC)
    with pytest.raises(CertificateError) as caught:
        if name is None:
            verify_client_chain(chain, trust, now)
        else:
            verify_server_chain(chain, trust, name, now)
    assert caught.value.fault is fault, str(caught.value)
    assert caught.value.detail.isprintable()
    return caught.value.detail


class TestAccepted:
    @pytest.mark.parametrize(
        "key_type",
        [
            "ecdsa-p256",
            "ecdsa-p384",
            "ecdsa-p521",
            "rsa-2048",
            "ed25519",
            "ed448",
            "mldsa44",
            "mldsa65",
            "mldsa87",
        ],
    )
    def test_every_kind_of_key(self, pki: Pki, now: datetime, key_type: str) -> None:
        chain = pki.server("localhost", key_type=key_type).chain_der
        peer = verify_server_chain(chain, pki.trust, "localhost", now)
        assert peer.verified
        assert peer.chain_der == chain
        assert peer.public_key == key_of_type(key_type).public_key()
        assert not peer.spki_is_pss

    @pytest.mark.parametrize("key_type", ["ecdsa-p384", "ecdsa-p521", "rsa-2048", "mldsa65"])
    def test_every_kind_of_authority(self, now: datetime, key_type: str) -> None:
        pki = Pki(key_type=key_type)
        chain = pki.intermediate(key_type=key_type).server("localhost").chain_der
        assert verify_server_chain(chain, pki.trust, "localhost", now).verified

    @pytest.mark.parametrize(
        "name",
        [
            "a.example",
            "A.Example.",
            "x.b.example",
            "127.0.0.1",
            "::1",
            "0:0::1",
            "[::1]",
            "bücher.test",
        ],
    )
    def test_every_kind_of_name(self, pki: Pki, now: datetime, name: str) -> None:
        own = ("a.example", "*.b.example", "127.0.0.1", "::1", "xn--bcher-kva.test")
        assert verify_server_chain(pki.server(*own).chain_der, pki.trust, name, now).verified

    def test_intermediates_in_any_order_and_with_others_between(
        self, pki: Pki, now: datetime
    ) -> None:
        # RFC 8446 4.4.2: "implementations SHOULD be prepared to handle potentially extraneous
        # certificates and arbitrary orderings", except for the leaf.
        leaf, *path = pki.intermediate("upper").intermediate("lower").server("localhost").chain_der
        stranger = der_of(Pki("stranger").certificate)
        shuffled = (leaf, *stranger, *reversed(path), *der_of(pki.certificate))
        assert verify_server_chain(shuffled, pki.trust, "localhost", now).verified

    def test_client(self, pki: Pki, now: datetime) -> None:
        chain = pki.intermediate().client("Jane Doe").chain_der
        assert verify_client_chain(chain, pki.trust, now).verified

    def test_root_without_key_usage(self, now: datetime) -> None:
        # This is what `openssl req -x509` makes.
        root = Pki(with_key_usage=False)
        chain = root.server("localhost", key_type="ed25519").chain_der
        assert verify_server_chain(chain, root.trust, "localhost", now).verified

    @pytest.mark.parametrize("is_authority", [True, False])
    def test_self_signed_leaf_that_is_trusted_itself(
        self, now: datetime, is_authority: bool
    ) -> None:
        certificate, _ = self_signed(
            Leaf(common_name="localhost", is_authority=is_authority, purpose=None)
        )
        trust = TrustStore.from_certificates([certificate])
        assert verify_server_chain(der_of(certificate), trust, "localhost", now).verified
        chain = der_of(certificate)
        assert "it is for localhost" in refused(
            Fault.CERTIFICATE_NAME_MISMATCH, chain, trust, "other.example"
        )
        refused(Fault.CERTIFICATE_EXPIRED, chain, trust, now=now + 400 * DAY)


class TestRefused:
    def test_expired(self, pki: Pki) -> None:
        assert "expired at 20" in refused(
            Fault.CERTIFICATE_EXPIRED, pki.expired().chain_der, pki.trust
        )

    def test_not_yet_valid(self, pki: Pki) -> None:
        chain = pki.not_yet_valid().chain_der
        assert "is valid from 20" in refused(Fault.CERTIFICATE_NOT_YET_VALID, chain, pki.trust)

    def test_the_very_second(self, pki: Pki, now: datetime) -> None:
        end = now.replace(microsecond=0) + DAY
        chain = pki.credentials(Leaf(not_before=end - 2 * DAY, not_after=end)).chain_der
        second = timedelta(seconds=1)
        assert verify_server_chain(chain, pki.trust, "localhost", end).verified
        refused(Fault.CERTIFICATE_EXPIRED, chain, pki.trust, now=end + second)
        start = end - 2 * DAY
        assert verify_server_chain(chain, pki.trust, "localhost", start).verified
        refused(Fault.CERTIFICATE_NOT_YET_VALID, chain, pki.trust, now=start - second)

    def test_expired_intermediate_is_named(self, pki: Pki, now: datetime) -> None:
        old = pki.intermediate("old authority", not_after=now - DAY)
        detail = refused(Fault.CERTIFICATE_EXPIRED, old.server("localhost").chain_der, pki.trust)
        assert "CN=old authority expired" in detail

    def test_expired_root(self, now: datetime) -> None:
        pki = Pki()
        leaf = Leaf(not_after=now + 900 * DAY)
        chain = pki.credentials(leaf).chain_der
        detail = refused(Fault.CERTIFICATE_EXPIRED, chain, pki.trust, now=now + 500 * DAY)
        assert "CN=test root expired" in detail

    def test_other_name(self, pki: Pki) -> None:
        chain = pki.server(*(f"n{number}.example" for number in range(7))).chain_der
        detail = refused(Fault.CERTIFICATE_NAME_MISMATCH, chain, pki.trust)
        assert "n0.example" in detail
        assert "and 2 more, not for localhost" in detail

    @pytest.mark.parametrize(
        ("own", "asked"),
        [
            ("*.example.com", "example.com"),
            ("*.example.com", "a.b.example.com"),
            ("example.com", "www.example.com"),
            ("127.0.0.1", "127.0.0.2"),
            ("localhost", "127.0.0.1"),
            ("*.example.com", "a_b.example.com"),
            ("::1", "::2"),
        ],
    )
    def test_names_that_do_not_match(self, pki: Pki, own: str, asked: str) -> None:
        refused(Fault.CERTIFICATE_NAME_MISMATCH, pki.server(own).chain_der, pki.trust, asked)

    def test_common_name_does_not_count(self, pki: Pki) -> None:
        chain = pki.credentials(Leaf((), common_name="localhost")).chain_der
        detail = refused(Fault.CERTIFICATE_NAME_MISMATCH, chain, pki.trust)
        assert "it has no subjectAltName" in detail
        assert "its common name, localhost, does not count" in detail

    def test_address_in_a_dns_name_does_not_count(self, pki: Pki) -> None:
        alternative = x509.SubjectAlternativeName([x509.DNSName("127.0.0.1")])
        certificate = pki.issue(Leaf((), "127.0.0.1"), P256, extra=alternative)
        refused(Fault.CERTIFICATE_NAME_MISMATCH, der_of(certificate), pki.trust, "127.0.0.1")

    def test_unknown_authority_is_named(self, pki: Pki) -> None:
        chain = Pki("a stranger").server("localhost").chain_der
        detail = refused(Fault.CERTIFICATE_UNTRUSTED, chain, pki.trust)
        assert "CN=a stranger, is not trusted here" in detail

    def test_missing_intermediate(self, pki: Pki) -> None:
        leaf, *_ = pki.intermediate("the missing one").server("localhost").chain_der
        detail = refused(Fault.CERTIFICATE_UNTRUSTED, [leaf], pki.trust)
        assert "CN=the missing one" in detail
        assert "no intermediate certificate was sent" in detail

    def test_self_signed(self, pki: Pki) -> None:
        certificate, _ = self_signed()
        detail = refused(Fault.CERTIFICATE_UNTRUSTED, der_of(certificate), pki.trust)
        assert "self-signed" in detail
        assert "besides" not in detail

    def test_authority_of_the_same_name(self, pki: Pki) -> None:
        detail = refused(
            Fault.CERTIFICATE_UNTRUSTED, Pki().server("localhost").chain_der, pki.trust
        )
        assert "did not sign it" in detail

    def test_wrong_purpose(self, pki: Pki) -> None:
        server, client = pki.server("localhost").chain_der, pki.client("Jane").chain_der
        detail = refused(Fault.CERTIFICATE_WRONG_PURPOSE, server, pki.trust, None)
        assert "does not allow TLS clients" in detail
        named = pki.credentials(Leaf(purpose=ExtendedKeyUsageOID.CLIENT_AUTH)).chain_der
        refused(Fault.CERTIFICATE_WRONG_PURPOSE, named, pki.trust)
        refused(Fault.CERTIFICATE_NAME_MISMATCH, client, pki.trust)
        anything = pki.credentials(
            Leaf(purpose=ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
        ).chain_der
        refused(Fault.CERTIFICATE_WRONG_PURPOSE, anything, pki.trust)

    def test_no_purpose(self, pki: Pki) -> None:
        chain = pki.credentials(Leaf(purpose=None)).chain_der
        refused(Fault.CERTIFICATE_WRONG_PURPOSE, chain, pki.trust)
        refused(Fault.CERTIFICATE_WRONG_PURPOSE, chain, pki.trust, name=None)

    def test_key_usage_without_digital_signature(self, pki: Pki) -> None:
        # RFC 8446 4.4.2.2: "The digitalSignature bit MUST be set".
        chain = pki.credentials(Leaf(digital_signature=False)).chain_der
        refused(Fault.CERTIFICATE_WRONG_PURPOSE, chain, pki.trust)

    def test_authority_in_place_of_a_leaf(self, pki: Pki) -> None:
        chain = pki.credentials(Leaf(is_authority=True)).chain_der
        detail = refused(Fault.CERTIFICATE_WRONG_PURPOSE, chain, pki.trust)
        assert "authority" in detail

    def test_leaf_in_place_of_an_authority(self, pki: Pki) -> None:
        impostor = pki.intermediate("impostor", is_authority=False)
        detail = refused(Fault.BAD_CERTIFICATE, impostor.server("localhost").chain_der, pki.trust)
        assert "CN=impostor issued it and is no authority" in detail

    def test_intermediate_without_key_usage(self, pki: Pki) -> None:
        lax = pki.intermediate(with_key_usage=False)
        detail = refused(Fault.BAD_CERTIFICATE, lax.server("localhost").chain_der, pki.trust)
        assert detail == "CN=intermediate: an intermediate certificate has no keyUsage"

    def test_forged_signature(self, pki: Pki) -> None:
        der = bytearray(pki.server("localhost").chain_der[0])
        der[-1] ^= 1
        refused(Fault.CERTIFICATE_UNTRUSTED, [bytes(der)], pki.trust)

    @pytest.mark.parametrize(
        ("key_type", "words"), [("rsa-1024", "1024 bits"), ("secp256k1", "secp256k1")]
    )
    def test_keys_that_are_too_weak(self, pki: Pki, key_type: str, words: str) -> None:
        certificate = pki.issue(Leaf(), key_of_type(key_type).public_key())
        detail = refused(Fault.UNSUPPORTED_CERTIFICATE, der_of(certificate), pki.trust)
        assert words in detail

    def test_huge_rsa_keys_are_refused_before_any_work(
        self, pki: Pki, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Any odd number serves as the modulus of a key that nobody needs to hold.
        huge = rsa.RSAPublicNumbers(65537, (1 << 8200) | 1).public_key()

        def no_work(*_: object) -> None:
            pytest.fail("a path was looked for")

        monkeypatch.setattr(decision, "build_path", no_work)
        leaf = pki.issue(Leaf(), huge)
        good = pki.issue(Leaf(), P256)
        for chain in ((leaf,), (good, leaf)):
            detail = refused(Fault.UNSUPPORTED_CERTIFICATE, der_of(*chain), pki.trust)
            assert "8201 bits" in detail
        with pytest.raises(CertificateError):
            accept_unverified(der_of(leaf))

    def test_eddsa_authorities_are_not_supported(self) -> None:
        pki = Pki(key_type="ed25519")
        chain = pki.server("localhost").chain_der
        detail = refused(Fault.UNSUPPORTED_CERTIFICATE, chain, pki.trust)
        assert "ed25519" in detail

    def test_sha1_signature(self, tmp_path: Path) -> None:
        (tmp_path / "san").write_text("subjectAltName=DNS:localhost")
        new = "openssl req -newkey rsa:2048 -nodes -subj"
        _openssl(f"{new} /CN=root -x509 -keyout ca.key -out ca.pem", tmp_path)
        _openssl(f"{new} /CN=localhost -keyout leaf.key -out leaf.csr", tmp_path)
        issue = "openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -sha1 -extfile san"
        _openssl(f"{issue} -out leaf.pem", tmp_path)
        leaf = x509.load_pem_x509_certificate((tmp_path / "leaf.pem").read_bytes())
        trust = TrustStore.from_pem(tmp_path / "ca.pem")
        detail = refused(Fault.BAD_CERTIFICATE, der_of(leaf), trust)
        assert detail.startswith("CN=localhost is signed with SHA1")

    def test_empty_chain(self, pki: Pki) -> None:
        refused(Fault.BAD_CERTIFICATE, [], pki.trust)
        with pytest.raises(CertificateError):
            accept_unverified([])

    def test_all_reasons_are_told(self, pki: Pki, now: datetime) -> None:
        certificate, _ = self_signed(Leaf(("a.example",), "a.example", not_after=now - DAY / 2))
        detail = refused(Fault.CERTIFICATE_EXPIRED, der_of(certificate), pki.trust)
        assert "besides: it is for a.example, not for localhost; " in detail
        assert "self-signed" in detail

    def test_hostile_names_do_not_reach_the_terminal(self, pki: Pki) -> None:
        certificate, _ = self_signed(Leaf(common_name="\x1b[31mred\r\nroot: ok " + "x" * 40))
        detail = refused(Fault.CERTIFICATE_UNTRUSTED, der_of(certificate), pki.trust)
        assert "\x1b" not in detail
        assert "\n" not in detail

    def test_bad_arguments(self, pki: Pki) -> None:
        chain = pki.server("localhost").chain_der
        with pytest.raises(ConfigurationError, match="time zone"):
            verify_server_chain(chain, pki.trust, "localhost", datetime.now())
        with pytest.raises(ConfigurationError, match="neither a DNS name"):
            verify_server_chain(chain, pki.trust, "not a name", datetime.now(UTC))


class TestProof:
    def test_cannot_be_built(self, pki: Pki) -> None:
        with pytest.raises(ConfigurationError):
            VerifiedPeer((), None, False, True)
        proof = accept_unverified(pki.server("localhost").chain_der)
        with pytest.raises((ConfigurationError, ValueError, TypeError)):
            replace(proof, verified=True)
        with pytest.raises((AttributeError, TypeError)):
            proof.verified = True  # type: ignore[misc]

    def test_unverified_takes_any_leaf_that_can_be_read(self, pki: Pki) -> None:
        small = pki.issue(Leaf(), key_of_type("rsa-1024").public_key())
        for chain in (pki.expired().chain_der, der_of(self_signed()[0]), der_of(small)):
            proof = accept_unverified(chain)
            assert not proof.verified
            assert proof.chain_der == tuple(chain)
            assert proof.public_key is not None

    @pytest.mark.parametrize("decide", [accept_unverified, vouch_for])
    def test_every_certificate_must_be_readable(
        self, pki: Pki, decide: Callable[[Sequence[bytes]], VerifiedPeer]
    ) -> None:
        with pytest.raises(CertificateError) as caught:
            decide([*pki.server("localhost").chain_der, b"junk"])
        assert caught.value.fault is Fault.BAD_CERTIFICATE

    @pytest.mark.parametrize("decide", [accept_unverified, vouch_for])
    def test_every_name_must_be_readable(
        self, pki: Pki, decide: Callable[[Sequence[bytes]], VerifiedPeer]
    ) -> None:
        """Found by the fuzzer: cryptography reads names late, and a ValueError came out."""
        (stranger,) = der_of(self_signed()[0])
        common_name = bytes.fromhex("0603550403")
        assert common_name + b"\x0c" in stranger
        broken = stranger.replace(common_name + b"\x0c", common_name + b"\x72")
        for chain in ([broken], [*pki.server("localhost").chain_der, broken]):
            with pytest.raises(CertificateError) as caught:
                decide(chain)
            assert caught.value.fault is Fault.BAD_CERTIFICATE
            with pytest.raises(CertificateError):
                verify_server_chain(chain, pki.trust, "localhost", pki.now)

    def test_the_path_holds_what_was_verified_and_nothing_else(self, pki: Pki) -> None:
        chain = pki.server("localhost").chain_der
        stranger = der_of(self_signed()[0])
        proof = verify_server_chain([*chain, *stranger], pki.trust, "localhost", pki.now)
        assert proof.path_der[0] == chain[0]
        assert stranger[0] not in proof.path_der
        assert len(proof.path_der) == 2

    @pytest.mark.parametrize("decide", [accept_unverified, vouch_for])
    @pytest.mark.parametrize("der", [b"", b"junk", bytes(100)])
    def test_a_leaf_that_cannot_be_read(
        self, decide: Callable[[Sequence[bytes]], VerifiedPeer], der: bytes
    ) -> None:
        with pytest.raises(CertificateError) as caught:
            decide([der])
        assert caught.value.fault is Fault.BAD_CERTIFICATE

    def test_vouching(self, pki: Pki) -> None:
        assert vouch_for(der_of(self_signed()[0])).verified
        small = pki.issue(Leaf(), key_of_type("rsa-1024").public_key())
        with pytest.raises(CertificateError):
            vouch_for(der_of(small))

    def test_pss_key_is_told_apart(self, tmp_path: Path) -> None:
        command = "openssl req -x509 -newkey rsa-pss -pkeyopt rsa_keygen_bits:2048 -nodes"
        command += " -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        _openssl(f"{command} -keyout key.pem -out chain.pem", tmp_path)
        trust = TrustStore.from_pem(tmp_path / "chain.pem")
        chain = der_of(*trust.anchors)
        assert verify_server_chain(chain, trust, "localhost", datetime.now(UTC)).spki_is_pss
        assert accept_unverified(chain).spki_is_pss


class TestVerdict:
    def test_it_is_about_one_side_and_one_name(self, pki: Pki, now: datetime) -> None:
        chain = pki.credentials(Leaf(("a.example", "b.example"), purpose=BOTH)).chain_der
        server = verify_server_chain(chain, pki.trust, "A.example", now)
        assert server.is_for(True, "a.example", "X509")
        assert not server.is_for(True, "b.example", "X509")
        assert not server.is_for(False, None, "X509")
        assert not server.is_for(True, "a.example", "RawPublicKey")
        client = verify_client_chain(chain, pki.trust, now)
        assert client.is_for(False, None, "X509")
        assert not client.is_for(True, "a.example", "X509")
        assert vouch_for(chain).is_for(True, "b.example", "X509")

    def test_what_was_refused_can_be_explained(self, pki: Pki) -> None:
        chain = pki.expired().chain_der
        with pytest.raises(CertificateError) as caught:
            verify_server_chain(
                chain, pki.trust, "localhost", datetime.now(UTC), ocsp_response=b"x", sct_list=b"y"
            )
        assert caught.value.chain_der == chain
        assert (caught.value.ocsp_response, caught.value.sct_list) == (b"x", b"y")


class TestRawPublicKeys:
    def test_expected(self) -> None:
        info = spki_of(P256)
        peer = verify_raw_public_key(info, [info], purpose="server")
        assert peer.verified
        assert (peer.chain_der, peer.path_der, peer.public_key) == ((info,), (info,), P256)
        assert peer.is_for(True, "any.example", "RawPublicKey")
        assert not peer.is_for(False, None, "RawPublicKey")
        assert not peer.is_for(True, None, "X509")

    def test_unexpected(self) -> None:
        other = spki_of(key_of_type("ecdsa-p384").public_key())
        with pytest.raises(CertificateError) as caught:
            verify_raw_public_key(spki_of(P256), [other])
        assert caught.value.fault is Fault.UNKNOWN_RAW_PUBLIC_KEY
        assert spki_pin(P256) in caught.value.detail

    def test_a_key_that_cannot_be_used(self) -> None:
        weak = spki_of(key_of_type("rsa-1024").public_key())
        with pytest.raises(CertificateError) as caught:
            verify_raw_public_key(weak, [weak])
        assert caught.value.fault is Fault.UNSUPPORTED_CERTIFICATE
        assert not accept_unverified([weak], "RawPublicKey").verified
        with pytest.raises(CertificateError):
            vouch_for([weak], "RawPublicKey")


class TestRemembering:
    def test_the_second_time_needs_no_verifier(
        self, now: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pki = Pki()
        chain = pki.server("localhost").chain_der
        first = verify_server_chain(chain, pki.trust, "localhost", now)
        monkeypatch.setattr(verify, "_decide", lambda: None)  # Calling it would be a TypeError.
        assert verify_server_chain(chain, pki.trust, "LOCALHOST.", now) is first
        with pytest.raises(TypeError):
            verify_server_chain(chain, pki.trust, "other.example", now)
        with pytest.raises(TypeError):
            verify_client_chain(chain, pki.trust, now)
        with pytest.raises(TypeError):
            verify_server_chain((*chain, *chain), pki.trust, "localhost", now)

    def test_expiry_is_looked_at_again(self, now: datetime) -> None:
        pki = Pki()
        short = pki.intermediate(not_after=now + DAY)
        for authority, days in ((pki, 30), (short, 1)):
            chain = authority.server("localhost").chain_der
            assert verify_server_chain(chain, pki.trust, "localhost", now).verified
            later = now + (days + 0.5) * DAY
            refused(Fault.CERTIFICATE_EXPIRED, chain, pki.trust, now=later)
            assert verify_server_chain(chain, pki.trust, "localhost", now).verified

    def test_each_store_remembers_for_itself(self, now: datetime) -> None:
        pki = Pki()
        chain = pki.server("localhost").chain_der
        verify_server_chain(chain, pki.trust, "localhost", now)
        refused(Fault.CERTIFICATE_UNTRUSTED, chain, Pki("another").trust)

    def test_refusals_are_not_remembered(self) -> None:
        pki = Pki()
        refused(Fault.CERTIFICATE_EXPIRED, pki.expired().chain_der, pki.trust)
        assert len(pki.trust.remembered) == 0


_PKI = Pki()
_NOW = datetime.now(UTC)
_CHAINS = [
    _PKI.intermediate().server("localhost").chain_der,
    _PKI.client("Jane Doe", key_type="rsa-2048").chain_der,
    _PKI.server("localhost", "127.0.0.1", key_type="mldsa44").chain_der,
    der_of(self_signed()[0]),
]


_LEAVES = {chain[0] for chain in _CHAINS}


def _only_certificate_errors(chain: Sequence[bytes]) -> None:
    """Judge a chain in each way: a refusal is fine, and so is a leaf that nobody changed."""
    ways: tuple[Callable[[], VerifiedPeer], ...] = (
        lambda: verify_server_chain(chain, _PKI.trust, "localhost", _NOW),
        lambda: verify_server_chain(chain, _PKI.trust, "127.0.0.1", _NOW),
        lambda: verify_client_chain(chain, _PKI.trust, _NOW),
        lambda: accept_unverified(chain),
    )
    for decide in ways:
        with contextlib.suppress(CertificateError):
            assert not decide().verified or chain[0] in _LEAVES


@given(st.lists(st.binary(max_size=300), max_size=4))
def test_random_bytes_raise_certificate_errors_only(chain: list[bytes]) -> None:
    _only_certificate_errors(chain)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_certificates_raise_certificate_errors_only(data: st.DataObject) -> None:
    chain = [bytearray(der) for der in data.draw(st.sampled_from(_CHAINS))]
    for _ in range(data.draw(st.integers(1, 4))):
        der = data.draw(st.sampled_from(chain))
        position = data.draw(st.integers(0, len(der) - 1))
        match data.draw(st.sampled_from(["change", "cut", "insert", "remove"])):
            case "change":
                der[position] = data.draw(st.integers(0, 255))
            case "cut":
                del der[max(position, 1) :]
            case "insert":
                der[position:position] = data.draw(st.binary(max_size=4))
            case _ if len(der) > 1:
                del der[position]
    _only_certificate_errors([bytes(der) for der in chain])


def test_import_does_not_load_x509() -> None:
    code = (
        "import sys, handclasp.certificates.verify, handclasp.certificates.authority; "
        "sys.exit(any(name.startswith('cryptography.x509') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _openssl(command: str, directory: Path) -> None:
    need_tool("openssl")
    subprocess.run(command.split(), cwd=directory, check=True, capture_output=True, timeout=60)
