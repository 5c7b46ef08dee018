"""The rules that the decision checks by itself, and the list of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.pki import DAY, Authority, Leaf, Pki, der_of, hash_for, key_of_type, named

from handclasp.certificates import decision, explain
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.rules import listing
from handclasp.certificates.rules.rule import (
    Checked,
    Context,
    IssuerRule,
    LeafRule,
    Outcome,
    Problem,
)
from handclasp.certificates.seen import Seen
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import verify_client_chain, verify_server_chain
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
    name: str | None = "localhost",
    vetted: bool = False,
) -> None:
    """The decision on a path that is not looked for."""
    trust = _vetted(path[-1]) if vetted else TrustStore.from_certificates(path[-1:])
    sent, now = der_of(*path), datetime.now().astimezone()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decision, "build_path", lambda *_: list(path))
        if name is None:
            verify_client_chain(sent, trust, now, policy=policy)
        else:
            verify_server_chain(sent, trust, name, now, policy=policy)


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

    def test_a_slow_key_is_noticed(self, pki: Pki) -> None:
        slow = rsa.RSAPublicNumbers(65537, (1 << 9000) | 1).public_key()
        path = [pki.issue(Leaf(), P256), pki.issue(Leaf(), slow), pki.certificate]
        assert "9001 bits" in refused(Fault.UNSUPPORTED_CERTIFICATE, path)


class TestKnownIssuers:
    """Those that keep the rules are kept by the store they led to, and not asked again."""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
        """The issuers that the rules are asked about from now on."""
        asked: list[bytes] = []

        def note(issuer: Seen, _: Context) -> Outcome:
            asked.append(issuer.der)
            return None

        rule = IssuerRule(name="noted", section="", check=note)
        rules = replace(listing.RULES, issuer=(*listing.RULES.issuer, rule))
        monkeypatch.setattr(listing, "RULES", rules)
        return asked

    def accept(self, pki: Pki, trust: TrustStore, policy: CertificatePolicy = WEB) -> None:
        """One more certificate is accepted, which nobody has seen before."""
        chain = der_of(pki.issue(Leaf(), P256))
        verify_server_chain(chain, trust, "localhost", pki.now, policy=policy)

    def test_each_is_asked_once(self, asked: list[bytes]) -> None:
        pki = Pki()  # Its store knows nobody yet.
        self.accept(pki, pki.trust)
        assert asked == list(der_of(pki.certificate))
        assert len(pki.trust.issuers) == 1
        self.accept(pki, pki.trust)
        assert len(asked) == 1

    def test_another_store_profile_or_role_asks_anew(self, asked: list[bytes]) -> None:
        pki = Pki()
        self.accept(pki, pki.trust)
        self.accept(pki, TrustStore.from_certificates([pki.certificate]))
        self.accept(pki, pki.trust, PRIVATE)
        verify_client_chain(pki.client("Jane Doe").chain_der, pki.trust, pki.now)
        assert len(asked) == 4

    def test_the_form_is_not_excused_by_the_other_profile(self) -> None:
        """The web refuses an authority that was accepted as a private one before."""
        pki = Pki()
        odd = pki.intermediate(extensions=[x509.PolicyConstraints(0, None)])
        chain = der_of(odd.issue(Leaf(), P256), *odd.path)
        verify_server_chain(chain, pki.trust, "localhost", pki.now, policy=PRIVATE)
        with pytest.raises(CertificateError, match="policyConstraints"):
            verify_server_chain(chain, pki.trust, "localhost", pki.now)

    def test_who_is_refused_is_not_kept(self) -> None:
        pki = Pki()
        with pytest.raises(CertificateError):
            self.accept(pki, pki.trust, CertificatePolicy(stapled_ocsp="require"))
        assert len(pki.trust.issuers) == 0

    def test_what_is_padded_is_not_kept(self) -> None:
        pki = Pki()
        padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(2**14))
        large = pki.intermediate(extensions=[padding])
        chain = der_of(large.issue(Leaf(), P256), *large.path)
        verify_server_chain(chain, pki.trust, "localhost", pki.now)
        assert len(pki.trust.issuers) == 1  # The root alone.


class TestLeaf:
    def test_what_it_is_for(self, pki: Pki) -> None:
        for leaf, policy, words in (
            (Leaf(digital_signature=False), WEB, "digital signatures"),
            (Leaf(digital_signature=False), PRIVATE, "digital signatures"),
            (Leaf(purpose=None), WEB, "not said to be a TLS client's"),
        ):
            path = [pki.issue(leaf, P256), pki.certificate]
            with pytest.raises(CertificateError) as caught:
                check(path, policy, None)
            assert caught.value.fault is Fault.CERTIFICATE_WRONG_PURPOSE
            assert words in caught.value.detail

    def test_what_is_good_enough(self, pki: Pki) -> None:
        good = pki.issue(Leaf(digital_signature=None), P256)
        check([good, pki.certificate])
        aimless = pki.issue(Leaf(purpose=None), P256)
        check([aimless, pki.certificate], PRIVATE)
        check([aimless])  # It is trusted by itself.


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


class TestTheList:
    """A rule that is added to the list is run by the decision, and reported by the explanation."""

    def test_a_new_rule_holds_for_both(self, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
        def check_serial(leaf: Seen, _: Context) -> Outcome:
            number = leaf.certificate.serial_number
            return Problem(f"its serial number {number} is odd") if number % 2 else None

        rule = LeafRule(
            name="parity",
            section="nowhere",
            field="serialNumber",
            check=check_serial,
            evidence=lambda leaf, _: "even",
        )
        monkeypatch.setattr(
            listing, "RULES", replace(listing.RULES, leaf=(*listing.RULES.leaf, rule))
        )
        even, odd = [pki.issue(Leaf(serial_number=number), P256) for number in (4, 5)]
        told = explain([even], "localhost", pki.trust, pki.now)
        assert told.accepted
        assert ("parity", "even") in [(each.rule, each.evidence) for each in told.leaf]
        with pytest.raises(CertificateError) as caught:
            verify_server_chain(der_of(odd), pki.trust, "localhost", pki.now)
        assert caught.value.detail == "its serial number 5 is odd"
        assert caught.value.place == (0, "serialNumber")
        told = explain([odd], "localhost", pki.trust, pki.now)
        assert not told.accepted
        assert [each.rule for each in told.broken] == ["parity"]

    def test_the_decision_leaves_what_stands_below_an_issuer_to_the_verifier(self) -> None:
        """It asks about issuers one by one, and remembers them: a step is none of them."""
        rules = listing.RULES
        for rule in (*rules.signature, *rules.issuer):
            assert rule.checked is Checked.BY_VERIFIER or isinstance(rule, IssuerRule)

    def test_each_has_a_section_and_a_check_of_its_own(self) -> None:
        every = listing.RULES.every
        assert len(set(every)) == len(every)
        assert all(rule.section for rule in every)
