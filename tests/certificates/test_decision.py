"""What the user's policy adds to the decision, and for how long a yes is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.pki import DAY, MUST_STAPLE, Leaf, Pki, der_of, key_of_type, self_signed

from handclasp.certificates import decision, explain
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.describe import spki_pin
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.transparency import CtLog
from handclasp.certificates.verify import VerifiedPeer, verify_client_chain, verify_server_chain
from handclasp.errors import CertificateError
from handclasp.faults import Fault

P256 = key_of_type("ecdsa-p256").public_key()
LOG_KEY: bytes = (
    key_of_type("ecdsa-p256", 40)
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)


@dataclass
class Server:
    """A certificate of an intermediate authority, to be judged in different ways."""

    pki: Pki
    now: datetime
    leaf: Leaf = field(default_factory=Leaf)

    def __post_init__(self) -> None:
        self.issuer = self.pki.intermediate()
        self.certificate = self.issuer.issue(self.leaf, P256)
        self.chain = der_of(self.certificate, *self.issuer.path)

    def accepted(
        self, policy: CertificatePolicy, name: str = "localhost", **evidence: Any
    ) -> VerifiedPeer:
        return verify_server_chain(
            self.chain, self.pki.trust, name, self.now, policy=policy, **evidence
        )

    def refused(self, fault: Fault, policy: CertificatePolicy, **evidence: Any) -> str:
        with pytest.raises(CertificateError) as caught:
            self.accepted(policy, **evidence)
        assert caught.value.fault is fault, str(caught.value)
        return caught.value.detail


@pytest.fixture
def server(now: datetime) -> Server:
    return Server(Pki(), now)


class TestPins:
    def test_any_key_on_the_path_will_do(self, server: Server) -> None:
        for certificate in (server.certificate, server.issuer.certificate, server.pki.certificate):
            pin = spki_pin(certificate.public_key())
            assert server.accepted(CertificatePolicy(pins=[pin])).verified

    def test_a_key_that_merely_came_along_will_not(self, server: Server) -> None:
        stranger = Pki("stranger").certificate
        server.chain = (*server.chain, *der_of(stranger))
        pins = [spki_pin(stranger.public_key())]
        detail = server.refused(Fault.PIN_MISMATCH, CertificatePolicy(pins=pins))
        assert spki_pin(P256) in detail

    def test_a_pin_does_not_replace_the_path(self, server: Server, now: datetime) -> None:
        policy = CertificatePolicy(pins=[spki_pin(P256)])
        with pytest.raises(CertificateError) as caught:
            verify_server_chain(server.chain, Pki("other").trust, "localhost", now, policy=policy)
        assert caught.value.fault is Fault.CERTIFICATE_UNTRUSTED


class TestStaples:
    def test_a_good_one(self, server: Server) -> None:
        response = server.issuer.ocsp_response(server.certificate)
        for mode in ("check", "require", "ignore"):
            policy = CertificatePolicy(stapled_ocsp=mode)
            assert server.accepted(policy, ocsp_response=response).verified

    def test_a_revoked_certificate(self, server: Server) -> None:
        response = server.issuer.ocsp_response(server.certificate, "revoked")
        server.refused(Fault.CERTIFICATE_REVOKED, CertificatePolicy(), ocsp_response=response)
        ignoring = CertificatePolicy(stapled_ocsp="ignore")
        assert server.accepted(ignoring, ocsp_response=response).verified

    def test_none_where_one_is_required(self, server: Server) -> None:
        assert server.accepted(CertificatePolicy()).verified
        policy = CertificatePolicy(stapled_ocsp="require")
        server.refused(Fault.OCSP_RESPONSE_MISSING, policy)

    def test_none_where_the_certificate_demands_one(self, now: datetime) -> None:
        server = Server(Pki(), now, Leaf(extensions=[MUST_STAPLE]))
        server.refused(Fault.OCSP_RESPONSE_MISSING, CertificatePolicy())
        response = server.issuer.ocsp_response(server.certificate)
        assert server.accepted(CertificatePolicy(), ocsp_response=response).verified
        assert server.accepted(CertificatePolicy(stapled_ocsp="ignore")).verified

    def test_a_verdict_is_kept_no_longer_than_the_response_holds(self, server: Server) -> None:
        response = server.issuer.ocsp_response(
            server.certificate, next_update=server.now + timedelta(hours=1)
        )
        server.accepted(CertificatePolicy(), ocsp_response=response)
        server.now += timedelta(hours=2)
        server.refused(Fault.BAD_OCSP_RESPONSE, CertificatePolicy(), ocsp_response=response)

    def test_a_verdict_with_one_response_says_nothing_about_another(self, server: Server) -> None:
        good = server.issuer.ocsp_response(server.certificate)
        server.accepted(CertificatePolicy(), ocsp_response=good)
        revoked = server.issuer.ocsp_response(server.certificate, "revoked")
        server.refused(Fault.CERTIFICATE_REVOKED, CertificatePolicy(), ocsp_response=revoked)


class TestRevocationLists:
    def lists(self, server: Server, *revoked: x509.Certificate, **options: Any) -> RevocationLists:
        issued = (server.pki.crl(revoked, **options), server.issuer.crl(revoked, **options))
        return RevocationLists.from_bytes(*[each.public_bytes(Encoding.DER) for each in issued])

    def test_nobody_is_on_them(self, server: Server) -> None:
        assert server.accepted(CertificatePolicy(crls=self.lists(server))).verified

    def test_the_leaf_or_its_issuer_is(self, server: Server) -> None:
        for certificate in (server.certificate, server.issuer.certificate):
            policy = CertificatePolicy(crls=self.lists(server, certificate))
            server.refused(Fault.CERTIFICATE_REVOKED, policy)

    def test_no_list_of_the_issuer(self, server: Server) -> None:
        only_root = RevocationLists.from_bytes(server.pki.crl().public_bytes(Encoding.DER))
        server.refused(Fault.REVOCATION_UNKNOWN, CertificatePolicy(crls=only_root))

    def test_clients(self, now: datetime) -> None:
        pki = Pki()
        client = pki.client("Jane Doe")
        leaf = x509.load_der_x509_certificate(client.chain_der[0])
        lists = RevocationLists.from_bytes(pki.crl([leaf]).public_bytes(Encoding.DER))
        with pytest.raises(CertificateError) as caught:
            policy = CertificatePolicy(crls=lists)
            verify_client_chain(client.chain_der, pki.trust, now, policy=policy)
        assert caught.value.fault is Fault.CERTIFICATE_REVOKED

    def test_a_verdict_is_kept_no_longer_than_the_lists_hold(self, server: Server) -> None:
        lists = self.lists(server, next_update=server.now + timedelta(hours=1))
        policy = CertificatePolicy(crls=lists)
        server.accepted(policy)
        server.now += timedelta(hours=2)
        server.refused(Fault.REVOCATION_UNKNOWN, policy)

    def test_a_verdict_under_one_policy_says_nothing_about_another(self, server: Server) -> None:
        server.accepted(CertificatePolicy())
        policy = CertificatePolicy(crls=self.lists(server, server.certificate))
        server.refused(Fault.CERTIFICATE_REVOKED, policy)


class TestTransparency:
    def test_timestamps_are_demanded_of_servers_where_logs_are_given(self, now: datetime) -> None:
        server = Server(Pki(), now)
        log = CtLog.from_public_key(LOG_KEY)
        policy = CertificatePolicy(ct_logs=[log])
        assert "0 of 1" in server.refused(Fault.TIMESTAMPS_MISSING, policy)
        client = server.pki.client("Jane Doe")
        assert verify_client_chain(client.chain_der, server.pki.trust, now, policy=policy).verified


class TestTlsaRecords:
    def test_the_leaf_s_record_replaces_everything_else(self, now: datetime) -> None:
        server = Server(Pki(), now, Leaf(("other.example",), not_after=now - DAY / 2))
        record = TlsaRecord(3, 0, 0, server.chain[0])
        peer = server.accepted(CertificatePolicy(tlsa=[record]))
        assert peer.path_der == server.chain[:1]
        assert len(server.pki.trust.remembered) == 0

    def test_an_authority_s_record_replaces_the_trust_store(self, server: Server) -> None:
        record = TlsaRecord(2, 0, 0, server.chain[1])
        trust = Pki("other").trust
        peer = verify_server_chain(
            server.chain, trust, "localhost", server.now, policy=CertificatePolicy(tlsa=[record])
        )
        assert peer.path_der == server.chain
        with pytest.raises(CertificateError) as caught:
            verify_server_chain(
                server.chain, trust, "a.test", server.now, policy=CertificatePolicy(tlsa=[record])
            )
        assert caught.value.fault is Fault.CERTIFICATE_NAME_MISMATCH

    def test_no_match_means_no_even_if_the_trust_store_would_say_yes(self, server: Server) -> None:
        for usage in (2, 3):
            record = TlsaRecord(usage, 1, 1, bytes(32))
            policy = CertificatePolicy(tlsa=[record])
            assert "1 record," in server.refused(Fault.TLSA_MISMATCH, policy)
            with pytest.raises(CertificateError) as caught:
                server.accepted(policy)
            is_of_authority = "did not send the authority" in caught.value.message
            assert is_of_authority is ("Send the authority" in caught.value.fix) is (usage == 2)

    def test_pins_count_beside_them(self, server: Server) -> None:
        record = TlsaRecord(3, 0, 0, server.chain[0])
        pins = [spki_pin(server.pki.certificate.public_key())]
        server.refused(Fault.PIN_MISMATCH, CertificatePolicy(tlsa=[record], pins=pins))


class TestTheRecordOfTheLeaf:
    """RFC 7671 5.1: it stands for the path, the dates and the names, and for nothing else."""

    def policy(self, server: Server, **more: Any) -> CertificatePolicy:
        return CertificatePolicy(tlsa=[TlsaRecord(3, 0, 0, server.chain[0])], **more)

    def lists(self, server: Server, *revoked: Any, **rule: Any) -> RevocationLists:
        blob = server.issuer.crl(revoked).public_bytes(Encoding.DER)
        return RevocationLists.from_bytes(blob, **rule)

    def agreed(self, server: Server, policy: CertificatePolicy, fault: Fault | None) -> None:
        """Decision and explanation, without a trust store that knows anybody here."""
        trust = Pki("other").trust
        told = explain(server.chain, "localhost", trust, server.now, policy=policy)
        assert [each.fault for each in told.broken[:1]] == ([] if fault is None else [fault])
        if fault is None:
            assert server.accepted(policy).path_der == server.chain[:1]
        else:
            server.refused(fault, policy)

    def test_a_list_that_covers_it(self, server: Server) -> None:
        self.agreed(server, self.policy(server, crls=self.lists(server)), None)

    def test_a_list_that_it_is_on(self, server: Server) -> None:
        lists = self.lists(server, server.certificate)
        self.agreed(server, self.policy(server, crls=lists), Fault.CERTIFICATE_REVOKED)

    @pytest.mark.parametrize("rule", ["refuse", "accept"])
    def test_a_peer_that_leaves_its_issuer_out_gains_nothing(
        self, server: Server, rule: str
    ) -> None:
        server.chain = server.chain[:1]
        lists = self.lists(server, server.certificate, without_list=rule)
        self.agreed(server, self.policy(server, crls=lists), Fault.CERTIFICATE_REVOKED)
        lists = self.lists(server, without_list=rule)
        fault = Fault.REVOCATION_UNKNOWN if rule == "refuse" else None
        self.agreed(server, self.policy(server, crls=lists), fault)
        if fault is not None:
            with pytest.raises(CertificateError) as caught:
                verify_server_chain(
                    server.chain,
                    Pki("other").trust,
                    "localhost",
                    server.now,
                    policy=self.policy(server, crls=lists),
                )
            # The list is current, so it is not to be fetched again.
            assert "Fetch" not in caught.value.fix
            assert "Send the issuer's certificate" in caught.value.fix

    def test_a_staple_that_nothing_can_check(self, server: Server) -> None:
        good = server.issuer.ocsp_response(server.certificate)
        server.chain = server.chain[:1]
        with pytest.raises(CertificateError) as caught:
            verify_server_chain(
                server.chain,
                Pki("other").trust,
                "localhost",
                server.now,
                policy=self.policy(server),
                ocsp_response=good,
            )
        error = caught.value
        assert (error.fault_name, error.blame) == ("BAD_OCSP_RESPONSE", "unclear")
        assert "clock" not in error.fix
        assert "trust=" in error.fix

    def test_an_issuer_that_did_not_issue_it_is_none(self, server: Server) -> None:
        impostor = Pki(server.issuer.certificate.subject.rfc4514_string().removeprefix("CN="))
        server.chain = (server.chain[0], *der_of(impostor.certificate))
        lists = RevocationLists.from_bytes(impostor.crl().public_bytes(Encoding.DER))
        self.agreed(server, self.policy(server, crls=lists), Fault.REVOCATION_UNKNOWN)

    def test_one_that_signed_itself_is_looked_up_as_well(self, server: Server) -> None:
        server.certificate, *_ = self_signed()
        lists = self.lists(server)
        server.chain = der_of(server.certificate)
        self.agreed(server, self.policy(server), None)
        self.agreed(server, self.policy(server, crls=lists), Fault.REVOCATION_UNKNOWN)

    def test_a_staple(self, server: Server) -> None:
        good = server.issuer.ocsp_response(server.certificate)
        revoked = server.issuer.ocsp_response(server.certificate, "revoked")
        assert server.accepted(
            self.policy(server, stapled_ocsp="require"), ocsp_response=good
        ).verified
        server.refused(Fault.CERTIFICATE_REVOKED, self.policy(server), ocsp_response=revoked)

    def test_dates_and_names_are_excused(self, now: datetime) -> None:
        server = Server(Pki(), now, Leaf(("other.example",), not_after=now - DAY / 2))
        self.agreed(server, self.policy(server, crls=self.lists(server)), None)


def test_evidence_that_is_large_is_not_kept(server: Server) -> None:
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(2**14))
    large = Server(server.pki, server.now, Leaf(extensions=[padding]))
    large.accepted(CertificatePolicy())
    assert len(server.pki.trust.remembered) == 0
    server.accepted(CertificatePolicy())
    assert len(server.pki.trust.remembered) == 1


def test_a_verifier_that_fails_in_any_way_refuses(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(decision, "build_path", broken)
    server.refused(Fault.BAD_CERTIFICATE, CertificatePolicy())
