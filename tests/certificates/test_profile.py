"""The form that the web profile asks for, on a path that was found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.pki import DAY, Authority, Leaf, Pki, der_of, hash_for, key_of_type, named

from handclasp.certificates import profile
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.trust import TrustStore
from handclasp.errors import CertificateError
from handclasp.faults import Fault

WEB, PRIVATE = CertificatePolicy(), CertificatePolicy(profile="private")
P256 = key_of_type("ecdsa-p256").public_key()
IDENTIFIER = x509.SubjectKeyIdentifier(b"identifier")
OWN = x509.AuthorityKeyIdentifier(b"identifier", None, None)


def root_with(*extensions: x509.ExtensionType, issuer: str = "a root") -> Authority:
    key = key_of_type("ecdsa-p256", number=60)
    now = datetime.now().astimezone()
    builder = (
        x509.CertificateBuilder()
        .subject_name(named("a root"))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return Authority(builder.sign(key, hash_for(key)), key)


def check(
    path: Sequence[x509.Certificate],
    policy: CertificatePolicy = WEB,
    name: str = "localhost",
    vetted: bool = False,
) -> None:
    """As the decision does, without looking for the path."""
    trust = TrustStore.from_certificates(path[-1:])
    if vetted:
        trust = _vetted(path[-1])
    issuers = [profile.authority(each, *der_of(each), trust) for each in path[1:]]
    profile.check_server_names(path, *der_of(path[0]), name, trust, policy)
    profile.check_issuers(path, issuers, trust, policy)


def _vetted(anchor: x509.Certificate) -> TrustStore:
    return TrustStore("the system's store", lambda: (frozenset([anchor]), frozenset([anchor])))


def refused(fault: Fault, *arguments: Any, **named_arguments: Any) -> str:
    with pytest.raises(CertificateError) as caught:
        check(*arguments, **named_arguments)
    assert caught.value.fault is fault
    return caught.value.detail


class TestAuthorities:
    @pytest.mark.parametrize(
        ("extensions", "words"),
        [
            ((), "has no subjectKeyIdentifier"),
            (
                (IDENTIFIER, x509.AuthorityKeyIdentifier(None, [x509.DNSName("a")], 7)),
                "without a key identifier",
            ),
            (
                (IDENTIFIER, x509.AuthorityKeyIdentifier(b"x", [x509.DNSName("a")], 7)),
                "with a serial number",
            ),
            ((IDENTIFIER, x509.PolicyConstraints(0, None)), "policyConstraints"),
        ],
    )
    def test_form(self, extensions: tuple[x509.ExtensionType, ...], words: str) -> None:
        root = root_with(*extensions)
        path = [root.issue(Leaf(), P256), root.certificate]
        assert words in refused(Fault.BAD_CERTIFICATE, path)
        check(path, PRIVATE)
        check(path, vetted=True)

    def test_a_good_root(self) -> None:
        for extensions in ((IDENTIFIER,), (IDENTIFIER, OWN)):
            root = root_with(*extensions)
            check([root.issue(Leaf(), P256), root.certificate])

    def test_who_is_no_root_names_its_issuer_s_key(self) -> None:
        crossed = root_with(IDENTIFIER, issuer="another root")
        path = [crossed.issue(Leaf(), P256), crossed.certificate]
        assert "is no root" in refused(Fault.BAD_CERTIFICATE, path)
        check([path[0], root_with(IDENTIFIER, OWN, issuer="another root").certificate])

    def test_being_vetted_does_not_excuse_what_stands_below(self) -> None:
        middle, root = root_with(), Pki()
        path = [middle.issue(Leaf(), P256), middle.certificate, root.certificate]
        refused(Fault.BAD_CERTIFICATE, path, vetted=True)

    def test_what_is_known_of_an_authority_is_kept_by_the_store_it_led_to(self) -> None:
        pki = Pki()  # Its store knows nobody yet.
        (der,) = der_of(pki.certificate)
        known = profile.authority(pki.certificate, der, pki.trust)
        assert profile.known_authority(der, pki.trust) is None
        profile.keep_authorities([known], pki.trust)
        assert profile.authority(pki.certificate, bytes(bytearray(der)), pki.trust) is known
        assert profile.known_authority(der, Pki().trust) is None
        assert known.form == ""
        assert known.not_after == pki.certificate.not_valid_after_utc

    def test_what_is_padded_is_not_kept(self, pki: Pki) -> None:
        padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(2**14))
        large = pki.intermediate(extensions=[padding]).certificate
        (der,) = der_of(large)
        profile.keep_authorities([profile.authority(large, der, pki.trust)], pki.trust)
        assert profile.known_authority(der, pki.trust) is None

    def test_a_slow_key_is_noticed(self, pki: Pki) -> None:
        slow = rsa.RSAPublicNumbers(65537, (1 << 9000) | 1).public_key()
        assert "9001 bits" in profile.cost_of(pki.issue(Leaf(), slow))


def check_leaf(
    path: Sequence[x509.Certificate], policy: CertificatePolicy, *, is_client: bool = False
) -> None:
    profile.check_leaf(path, profile.extensions_of(path[0]), policy, is_client=is_client)


class TestLeaf:
    def test_what_it_is_for(self, pki: Pki) -> None:
        for leaf, policy, words in (
            (Leaf(digital_signature=False), WEB, "digital signatures"),
            (Leaf(digital_signature=False), PRIVATE, "digital signatures"),
            (Leaf(purpose=None), WEB, "not said to be a TLS client's"),
        ):
            path = [pki.issue(leaf, P256), pki.certificate]
            with pytest.raises(CertificateError) as caught:
                check_leaf(path, policy, is_client=True)
            assert caught.value.fault is Fault.CERTIFICATE_WRONG_PURPOSE
            assert words in caught.value.detail

    def test_what_is_good_enough(self, pki: Pki) -> None:
        good = pki.issue(Leaf(digital_signature=None), P256)
        check_leaf([good, pki.certificate], WEB)
        aimless = pki.issue(Leaf(purpose=None), P256)
        check_leaf([aimless, pki.certificate], PRIVATE)
        check_leaf([aimless], WEB)  # It is trusted by itself.


class TestCommonName:
    @pytest.mark.parametrize(
        "common_name",
        ["other.example", "*.other.example", "10.0.0.1", "::1", "0x7f000001", "127.000.000.001"],
    )
    def test_one_that_names_another_host(self, pki: Pki, common_name: str) -> None:
        leaf = pki.issue(Leaf(("localhost", "127.0.0.1"), common_name=common_name), P256)
        path = [leaf, pki.certificate]
        assert common_name in refused(Fault.BAD_CERTIFICATE, path)
        check(path, PRIVATE)

    @pytest.mark.parametrize(
        "common_name",
        ["localhost", "LOCALHOST", "127.0.0.1", "b.example", "*.b.example", "My server", "web 1.2"],
    )
    def test_one_that_copies_a_name_or_claims_none(self, pki: Pki, common_name: str) -> None:
        names = ("localhost", "127.0.0.1", "*.b.example")
        check([pki.issue(Leaf(names, common_name=common_name), P256), pki.certificate])


class TestWildcards:
    def path(self, pki: Pki, *names: str) -> list[x509.Certificate]:
        return [pki.issue(Leaf(names), P256), pki.certificate]

    def test_over_a_registry_s_suffix(self, pki: Pki) -> None:
        path = self.path(pki, "*.co.uk")
        detail = refused(Fault.CERTIFICATE_NAME_MISMATCH, path, name="example.co.uk")
        assert "*.co.uk would cover the hosts of many owners" in detail
        refused(Fault.CERTIFICATE_NAME_MISMATCH, path, name="example.co.uk", vetted=True)
        check(path, PRIVATE, name="example.co.uk")

    def test_over_a_hosting_company_s(self, pki: Pki) -> None:
        path = self.path(pki, "*.s3.amazonaws.com")
        name = "bucket.s3.amazonaws.com"
        refused(Fault.CERTIFICATE_NAME_MISMATCH, path, name=name)
        # The company itself has one of a public authority, and it is what browsers take.
        check(path, name=name, vetted=True)

    def test_over_a_top_level_domain(self, pki: Pki) -> None:
        path = self.path(pki, "*.test")
        for policy in (WEB, PRIVATE):
            refused(Fault.CERTIFICATE_NAME_MISMATCH, path, policy, name="www.test")

    def test_ordinary_ones(self, pki: Pki) -> None:
        check(self.path(pki, "*.example.co.uk"), name="www.example.co.uk")
        check(self.path(pki, "*.co.uk", "example.co.uk"), name="example.co.uk")
        check(self.path(pki, "*.internal.test"), name="www.internal.test")
