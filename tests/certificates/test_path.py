"""Paths: what the strict try takes, what the second allows for, and what neither does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import VerificationError
from tests.pki import (
    Authority,
    Leaf,
    Pki,
    critical,
    hash_for,
    key_of_type,
    key_usage,
    named,
    self_signed,
)

from handclasp.certificates import path as path_module
from handclasp.certificates.names import ANY_NAME
from handclasp.certificates.path import build_path
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.trust import TrustStore

WEB, PRIVATE = CertificatePolicy(), CertificatePolicy(profile="private")
P256 = key_of_type("ecdsa-p256").public_key()
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def plain_authority(issuer: Authority | None = None, **changes: Any) -> Authority:
    """An authority's certificate with nothing in it but what `changes` names."""
    key = key_of_type("ecdsa-p256", number=70 + (issuer is not None))
    name = named("plain root" if issuer is None else "plain intermediate")
    now = datetime.now().astimezone()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now.replace(year=now.year - 1, day=1))
        .not_valid_after(now.replace(year=now.year + 1, day=1))
    )
    constraints = changes.get("constraints", x509.BasicConstraints(True, None))
    if constraints is not None:
        builder = builder.add_extension(constraints, changes.get("critical", True))
    if (usage := changes.get("usage")) is not None:
        builder = builder.add_extension(usage, critical=True)
    signing = key if issuer is None else issuer.key
    certificate = builder.sign(signing, hash_for(signing))
    above = () if issuer is None else (certificate, *issuer.path)
    return Authority(certificate, key, above)


def built(
    leaf: x509.Certificate,
    others: tuple[x509.Certificate, ...],
    anchor: x509.Certificate,
    now: datetime,
    policy: CertificatePolicy,
    name: str | None = "localhost",
) -> list[x509.Certificate]:
    return build_path(leaf, others, TrustStore.from_certificates([anchor]), name, now, policy)


def no_path(*arguments: Any, **named_arguments: Any) -> str:
    with pytest.raises(x509.verification.VerificationError) as caught:
        built(*arguments, **named_arguments)
    return str(caught.value)


class TestBothProfiles:
    @pytest.mark.parametrize("policy", [WEB, PRIVATE], ids=["web", "private"])
    def test_a_good_chain_needs_one_try(
        self, pki: Pki, now: datetime, policy: CertificatePolicy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(path_module, "_relaxed_leaf", None)  # Calling it would be a TypeError.
        below = pki.intermediate()
        leaf = below.issue(Leaf(), P256)
        path = built(leaf, below.path, pki.certificate, now, policy)
        assert path == [leaf, below.certificate, pki.certificate]
        client = pki.issue(Leaf((), purpose=ExtendedKeyUsageOID.CLIENT_AUTH), P256)
        assert built(client, (), pki.certificate, now, policy, None) == [client, pki.certificate]

    @pytest.mark.parametrize("policy", [WEB, PRIVATE], ids=["web", "private"])
    def test_rules_that_no_profile_relaxes(
        self, pki: Pki, now: datetime, policy: CertificatePolicy
    ) -> None:
        root = pki.certificate
        for leaf, words in (
            (Leaf(purpose=ExtendedKeyUsageOID.CLIENT_AUTH), "required EKU not found"),
            (Leaf(purpose=ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE), "required EKU not found"),
            (Leaf(is_authority=True), "the leaf is an authority's certificate"),
            (Leaf(()), "missing required extension"),
            (Leaf(("other.example",)), "no matching subjectAltName"),
        ):
            assert words in no_path(pki.issue(leaf, P256), (), root, now, policy)
        assert "required EKU not found" in no_path(
            pki.issue(Leaf(), P256), (), root, now, policy, name=None
        )

    @pytest.mark.parametrize("policy", [WEB, PRIVATE], ids=["web", "private"])
    @pytest.mark.parametrize(
        "changes",
        [
            {"constraints": None},
            {"constraints": x509.BasicConstraints(False, None)},
            {"usage": key_usage(digital_signature=True)},
        ],
        ids=["no constraints", "no authority", "no keyCertSign"],
    )
    def test_who_may_not_issue(
        self, pki: Pki, now: datetime, policy: CertificatePolicy, changes: dict[str, Any]
    ) -> None:
        for issuer, anchor in (
            (plain_authority(pki, **changes), pki.certificate),
            (plain_authority(None, **changes), None),
        ):
            leaf = issuer.issue(Leaf(), P256)
            no_path(leaf, issuer.path, anchor or issuer.certificate, now, policy)

    def test_the_leaf_s_own_trust_excuses_what_authorities_ask(self, now: datetime) -> None:
        certificate, _ = self_signed()  # No extended key usage, no authorityKeyIdentifier, CA.
        assert built(certificate, (), certificate, now, WEB) == [certificate]
        other, _ = self_signed(Leaf(common_name="other", is_authority=True, purpose=None))
        no_path(certificate, (), other, now, WEB)

    def test_a_trusted_leaf_is_still_held_to_its_purpose(self, now: datetime) -> None:
        wrong = Leaf(common_name="x", purpose=ExtendedKeyUsageOID.CODE_SIGNING)
        certificate, _ = self_signed(wrong)
        assert "required EKU not found" in no_path(certificate, (), certificate, now, WEB)


class TestPrivate:
    def test_authorities_that_leave_things_out(self, now: datetime) -> None:
        root = plain_authority(critical=False)
        middle = plain_authority(root, critical=False)
        leaf = middle.issue(Leaf(purpose=None, authority_identifier=False), P256)
        arguments = (leaf, middle.path, root.certificate, now)
        assert built(*arguments, PRIVATE) == [leaf, middle.certificate, root.certificate]
        no_path(*arguments, WEB)

    def test_a_leaf_that_does_not_name_its_issuer_s_key(self, pki: Pki, now: datetime) -> None:
        certificate = pki.issue(Leaf(authority_identifier=False), P256)
        words = no_path(certificate, (), pki.certificate, now, WEB)
        assert "the leaf has no authorityKeyIdentifier" in words
        assert built(certificate, (), pki.certificate, now, PRIVATE)

    def test_intermediates_without_key_usage(self, pki: Pki, now: datetime) -> None:
        below = pki.intermediate(with_key_usage=False)
        leaf = below.issue(Leaf(), P256)
        words = no_path(leaf, below.path, pki.certificate, now, WEB)
        assert "an intermediate certificate has no keyUsage" in words
        assert built(leaf, below.path, pki.certificate, now, PRIVATE)


def test_an_anchor_may_lack_key_usage_in_both(now: datetime) -> None:
    root = Pki(with_key_usage=False)
    leaf = root.issue(Leaf(), P256)
    assert built(leaf, (), root.certificate, now, WEB) == [leaf, root.certificate]


def test_the_number_of_intermediates_is_bounded(pki: Pki, now: datetime) -> None:
    two = pki.intermediate("upper").intermediate("lower")
    leaf = two.issue(Leaf(), P256)
    arguments = (leaf, two.path, pki.certificate, now)
    assert len(built(*arguments, CertificatePolicy(max_intermediates=2))) == 4
    no_path(*arguments, CertificatePolicy(max_intermediates=1))


class TestCriticalMarks:
    """Private authorities mark extended key usage and names as critical (trustme does both)."""

    @pytest.mark.parametrize("name", ["localhost", None, ANY_NAME])
    @pytest.mark.parametrize("profile", ["web", "private"])
    def test_they_are_for_private_authorities(self, name: str | None, profile: Any) -> None:
        pki, purpose = Pki(), CLIENT if name is None else SERVER
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        usage = x509.ExtendedKeyUsage([purpose])
        leaf = Leaf((), "a name", None, extensions=[critical(names), critical(usage)])
        other = Leaf(common_name="a name", purpose=CLIENT if purpose == SERVER else SERVER)
        policy = CertificatePolicy(profile=profile)
        arguments = (), pki.trust, name, pki.now, policy
        if profile == "private":
            assert build_path(pki.issue(leaf, P256), *arguments)
        else:
            with pytest.raises(VerificationError):
                build_path(pki.issue(leaf, P256), *arguments)
        with pytest.raises(VerificationError):
            build_path(pki.issue(other, P256), *arguments)

    @pytest.mark.parametrize("name", ["localhost", None, ANY_NAME])
    @pytest.mark.parametrize("place", ["root", "intermediate"])
    def test_private_authorities_mark_their_own_usage(self, place: str, name: str | None) -> None:
        purpose, other = (CLIENT, SERVER) if name is None else (SERVER, CLIENT)
        anything = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
        for usages, is_fine in (([purpose], True), ([anything], True), ([other], False)):
            marked: dict[str, Any] = {"extensions": [critical(x509.ExtendedKeyUsage(usages))]}
            root = Pki("a root", **marked if place == "root" else {})
            issuer = root.intermediate("one", **marked if place != "root" else {})
            leaf = issuer.issue(Leaf(purpose=purpose), P256)
            arguments = leaf, issuer.path, root.certificate, root.now
            no_path(*arguments, WEB, name)
            if is_fine:
                assert built(*arguments, PRIVATE, name)
            else:
                no_path(*arguments, PRIVATE, name)

    def test_names_must_be_where_there_is_no_subject(self) -> None:
        pki, policy = Pki(), CertificatePolicy(profile="private")
        marked = critical(x509.SubjectAlternativeName([x509.DNSName("localhost")]))
        for extension, is_fine in ((marked, True), (marked.value, False)):
            leaf = pki.issue(Leaf((), extensions=[extension]), P256)
            if is_fine:
                assert build_path(leaf, (), pki.trust, "localhost", pki.now, policy)
                continue
            with pytest.raises(VerificationError, match="no subject"):
                build_path(leaf, (), pki.trust, "localhost", pki.now, policy)
