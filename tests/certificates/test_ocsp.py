"""Stapled OCSP responses: each rule with a response that breaks it alone."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.certificates.ocsp_responses import (
    BY_NAME,
    HOUR,
    REVOKED,
    UNKNOWN,
    Response,
    elements,
    ends_at,
    inside,
    namesake,
    responder,
    several,
    tlv,
    with_serial_of,
    wrapped,
)
from tests.pki import (
    DAY,
    Authority,
    Leaf,
    Pki,
    authority_certificate,
    key_of_type,
    key_pem,
    key_usage,
    named,
    pem_of,
    self_signed,
    sign,
)
from tests.required import need_tool

from handclasp.certificates.ocsp_answers import MAX_ANSWERS, MAX_RESPONSE_BYTES
from handclasp.certificates.revocation import check_staple, demands_staple, describe_staple
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault

SECOND = timedelta(seconds=1)
STRANGER = key_of_type("ecdsa-p256", number=99)


@pytest.fixture(scope="module")
def leaf(pki: Pki) -> x509.Certificate:
    return pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())


@pytest.fixture(scope="module")
def other(pki: Pki) -> x509.Certificate:
    return pki.issue(Leaf(("other.example",)), key_of_type("ecdsa-p256").public_key())


def check(response: bytes, leaf: x509.Certificate, authority: Authority) -> datetime:
    return check_staple(response, [leaf, authority.certificate], authority.now)


def refused(response: bytes, leaf: x509.Certificate, authority: Authority) -> str:
    with pytest.raises(CertificateError) as caught:
        check(response, leaf, authority)
    assert caught.value.fault is Fault.BAD_OCSP_RESPONSE
    return caught.value.detail


class TestGood:
    def test_signed_by_the_issuer(self, pki: Pki, leaf: x509.Certificate) -> None:
        assert check(Response().about(leaf, pki), leaf, pki) == ends_at(pki, DAY)

    @pytest.mark.parametrize(
        "id_hash", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]
    )
    def test_any_hash_in_the_id(
        self, pki: Pki, leaf: x509.Certificate, id_hash: hashes.HashAlgorithm
    ) -> None:
        check(Response(id_hash=id_hash).about(leaf, pki), leaf, pki)

    @pytest.mark.parametrize(
        "key_type",
        ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "ed25519", "ed448"],
    )
    def test_signed_by_a_responder(self, pki: Pki, leaf: x509.Certificate, key_type: str) -> None:
        certificate, key = responder(pki, key_type=key_type)
        for encoding in ocsp.OCSPResponderEncoding:
            response = Response(
                responder=certificate, key=key, included=[certificate], encoding=encoding
            )
            assert check(response.about(leaf, pki), leaf, pki) == ends_at(pki, DAY)

    def test_the_issuer_by_its_name(self, pki: Pki, leaf: x509.Certificate) -> None:
        check(Response(encoding=BY_NAME).about(leaf, pki), leaf, pki)

    def test_on_a_longer_path(self, pki: Pki) -> None:
        authority = pki.intermediate()
        leaf = authority.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        path = [leaf, authority.certificate, pki.certificate]
        check_staple(Response().about(leaf, authority), path, pki.now)

    def test_a_self_signed_leaf_answers_for_itself(self, pki: Pki) -> None:
        leaf, key = self_signed(now=pki.now)
        response = Response().about(leaf, Authority(leaf, key, (), pki.now))
        assert check_staple(response, [leaf], pki.now) == ends_at(pki, DAY)

    def test_a_nonce_may_be_there(self, pki: Pki, leaf: x509.Certificate) -> None:
        for critical in (False, True):
            response = Response(extension=(x509.OCSPNonce(b"n" * 16), critical))
            check(response.about(leaf, pki), leaf, pki)

    def test_it_holds_no_longer_than_the_responder(self, pki: Pki, leaf: x509.Certificate) -> None:
        certificate, key = responder(pki, not_after=pki.now + HOUR)
        response = Response(responder=certificate, key=key, included=[certificate])
        assert check(response.about(leaf, pki), leaf, pki) == ends_at(pki, HOUR)


class TestStatus:
    def test_revoked(self, pki: Pki, leaf: x509.Certificate) -> None:
        response = Response(REVOKED, reason=x509.ReasonFlags.key_compromise).about(leaf, pki)
        with pytest.raises(CertificateError) as caught:
            check(response, leaf, pki)
        assert caught.value.fault is Fault.CERTIFICATE_REVOKED
        assert "keyCompromise" in caught.value.detail
        assert f"{pki.now - 2 * HOUR:%Y-%m-%d %H:%M} UTC" in caught.value.detail

    def test_revoked_long_ago_is_still_revoked(self, pki: Pki, leaf: x509.Certificate) -> None:
        response = Response(REVOKED, this_update=-9 * DAY, next_update=-8 * DAY)
        with pytest.raises(CertificateError) as caught:
            check(response.about(leaf, pki), leaf, pki)
        assert caught.value.fault is Fault.CERTIFICATE_REVOKED
        assert "none given" in caught.value.detail

    def test_unknown(self, pki: Pki, leaf: x509.Certificate) -> None:
        assert "is unknown" in refused(Response(UNKNOWN).about(leaf, pki), leaf, pki)

    def test_a_false_word_of_revocation_does_not_count(
        self, pki: Pki, leaf: x509.Certificate
    ) -> None:
        response = Response(REVOKED, forger=STRANGER).about(leaf, pki)
        assert "signature" in refused(response, leaf, pki)


class TestAbout:
    def test_another_certificate(
        self, pki: Pki, leaf: x509.Certificate, other: x509.Certificate
    ) -> None:
        detail = refused(Response().about(other, pki), leaf, pki)
        assert f"{other.serial_number:x}" in detail
        assert f"{leaf.serial_number:x}" in detail

    def test_the_same_serial_of_an_issuer_with_another_name(
        self, pki: Pki, leaf: x509.Certificate
    ) -> None:
        key = pki.key.public_key()
        renamed = authority_certificate("renamed", key, named("renamed"), pki.key, pki.now)
        stranger = Authority(renamed, pki.key, (), pki.now)
        response = Response().about(with_serial_of(leaf, stranger), stranger)
        assert "another issuer" in refused(response, leaf, pki)

    def test_the_same_serial_and_name_of_an_issuer_with_another_key(
        self, pki: Pki, leaf: x509.Certificate
    ) -> None:
        twin = namesake(pki, "ecdsa-p384")
        response = Response(responder=pki.certificate, key=pki.key)
        der = response.about(with_serial_of(leaf, twin), twin)
        assert "another issuer" in refused(der, leaf, pki)

    def test_all_answers_are_looked_at(
        self, pki: Pki, leaf: x509.Certificate, other: x509.Certificate
    ) -> None:
        both = [Response().signed(other, pki), Response(next_update=HOUR).signed(leaf, pki)]
        for responses in (both, both[::-1]):
            assert check(several(responses, pki.key), leaf, pki) == ends_at(pki, HOUR)

    def test_one_revocation_outweighs_the_rest(self, pki: Pki, leaf: x509.Certificate) -> None:
        old = Response(REVOKED, this_update=-2 * DAY).signed(leaf, pki)
        for responses in ([Response().signed(leaf, pki), old], [old, Response().signed(leaf, pki)]):
            with pytest.raises(CertificateError) as caught:
                check(several(responses, pki.key), leaf, pki)
            assert caught.value.fault is Fault.CERTIFICATE_REVOKED

    def test_otherwise_the_newest_counts(self, pki: Pki, leaf: x509.Certificate) -> None:
        new = Response(UNKNOWN).signed(leaf, pki)
        old = Response(this_update=-2 * DAY).signed(leaf, pki)
        for responses in ([new, old], [old, new]):
            assert "is unknown" in refused(several(responses, pki.key), leaf, pki)

    def test_no_more_answers_than_a_few(
        self, pki: Pki, leaf: x509.Certificate, other: x509.Certificate
    ) -> None:
        filler = [Response().signed(other, pki)] * (MAX_ANSWERS - 1)
        check(several([*filler, Response().signed(leaf, pki)], pki.key), leaf, pki)
        too_many = several([*filler, filler[0], Response().signed(leaf, pki)], pki.key)
        assert "more than 64" in refused(too_many, leaf, pki)

    def test_no_answers(self, pki: Pki, leaf: x509.Certificate) -> None:
        assert "no certificate at all" in refused(_without_answers(leaf, pki), leaf, pki)

    def test_a_leaf_whose_issuer_is_not_on_the_path(self, pki: Pki, leaf: x509.Certificate) -> None:
        with pytest.raises(CertificateError, match="trust the issuer") as caught:
            check_staple(Response().about(leaf, pki), [leaf], pki.now)
        assert caught.value.fault is Fault.BAD_OCSP_RESPONSE


class TestSigner:
    def test_signed_by_somebody_else(self, pki: Pki, leaf: x509.Certificate) -> None:
        forged = Response(forger=STRANGER).about(leaf, pki)
        assert "signature of CN=test root on it is wrong" in refused(forged, leaf, pki)

    def test_changed_after_signing(self, pki: Pki, leaf: x509.Certificate) -> None:
        good = Response().signed(leaf, pki)
        der = good.public_bytes(Encoding.DER)
        moved = f"{pki.now + DAY:%Y%m%d}".encode()
        assert der.count(moved) == 1
        later = der.replace(moved, f"{pki.now + 9 * DAY:%Y%m%d}".encode())
        assert "wrong" in refused(later, leaf, pki)

    def test_a_responder_that_is_not_named(self, pki: Pki, leaf: x509.Certificate) -> None:
        certificate, key = responder(pki)
        response = Response(responder=certificate, key=key)
        assert "neither the issuer nor" in refused(response.about(leaf, pki), leaf, pki)
        other, _ = responder(Pki("somebody"), key_type="ed25519")
        by_hash = Response(responder=certificate, key=key, included=[other])
        assert "neither the issuer nor" in refused(by_hash.about(leaf, pki), leaf, pki)
        nobody = Pki("nobody")
        by_name = Response(
            responder=nobody.certificate, key=nobody.key, included=[other], encoding=BY_NAME
        )
        assert "neither the issuer nor" in refused(by_name.about(leaf, pki), leaf, pki)

    @pytest.mark.parametrize("is_long", [False, True])
    def test_names_are_read_once(
        self, pki: Pki, leaf: x509.Certificate, is_long: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The long name of the responder was read twice for each certificate: for 1.1 seconds."""
        key = key_of_type("ecdsa-p256", number=98)
        unit = x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "x")
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([unit] * 500))
            .issuer_name(pki.certificate.subject)
            .public_key(key.public_key())
            .serial_number(7)
            .not_valid_before(pki.now - DAY)
            .not_valid_after(pki.now + DAY)
        )
        long_named = sign(builder, key)
        other, _ = responder(Pki("somebody"))
        included = [long_named] * 8 if is_long else [other] * 20
        response = Response(responder=long_named, key=key, included=included, encoding=BY_NAME)
        der = response.about(leaf, pki)
        made: list[object] = []
        whole = x509.NameAttribute.__init__

        def noting(*given: Any, **named: Any) -> None:
            made.append(given)
            whole(*given, **named)

        monkeypatch.setattr(x509.NameAttribute, "__init__", noting)
        assert "neither the issuer nor" in refused(der, leaf, pki)
        assert len(made) < 600

    def test_a_responder_that_did_not_sign(self, pki: Pki, leaf: x509.Certificate) -> None:
        certificate, key = responder(pki)
        forged = Response(responder=certificate, key=key, forger=STRANGER, included=[certificate])
        assert "signature of the responder" in refused(forged.about(leaf, pki), leaf, pki)

    @pytest.mark.parametrize(
        "purpose",
        [
            None,
            ExtendedKeyUsageOID.SERVER_AUTH,
            ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ],
    )
    def test_no_server_vouches_for_itself(
        self, pki: Pki, leaf: x509.Certificate, purpose: x509.ObjectIdentifier | None
    ) -> None:
        certificate, key = responder(pki, purpose=purpose)
        assert "OCSPSigning" in self._refused_of(certificate, key, leaf, pki)

    def test_a_responder_of_another_issuer(self, pki: Pki, leaf: x509.Certificate) -> None:
        certificate, key = responder(Pki("stranger", now=pki.now))
        assert "was not issued by" in self._refused_of(certificate, key, leaf, pki)

    def test_a_responder_that_only_has_the_issuers_name(
        self, pki: Pki, leaf: x509.Certificate
    ) -> None:
        certificate, key = responder(pki, issuer_key=key_of_type("ecdsa-p521"))
        assert "was not issued by" in self._refused_of(certificate, key, leaf, pki)

    def test_a_responder_below_an_authority_of_the_issuer(
        self, pki: Pki, leaf: x509.Certificate
    ) -> None:
        below = pki.intermediate("between")
        certificate, key = responder(below)
        response = Response(
            responder=certificate, key=key, included=[certificate, below.certificate]
        )
        assert "was not issued by" in refused(response.about(leaf, pki), leaf, pki)

    def test_a_responder_of_the_issuers_issuer(self, pki: Pki) -> None:
        authority = pki.intermediate()
        leaf = authority.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        certificate, key = responder(pki)
        response = Response(responder=certificate, key=key, included=[certificate])
        assert "was not issued by" in refused(response.about(leaf, authority), leaf, authority)

    @pytest.mark.parametrize(
        "dates",
        [
            {"not_before": -9 * DAY, "not_after": -SECOND},
            {"not_before": 2 * SECOND, "not_after": DAY},
        ],
    )
    def test_a_responder_out_of_its_dates(
        self, pki: Pki, leaf: x509.Certificate, dates: dict[str, timedelta]
    ) -> None:
        absolute: dict[str, Any] = {name: pki.now + offset for name, offset in dates.items()}
        certificate, key = responder(pki, **absolute)
        assert "is valid from" in self._refused_of(certificate, key, leaf, pki)

    def test_a_responder_whose_key_usage_is_another(self, pki: Pki, leaf: x509.Certificate) -> None:
        usage = (key_usage(key_encipherment=True), True)
        certificate, key = responder(pki, digital_signature=None, extra=usage)
        assert "keyUsage" in self._refused_of(certificate, key, leaf, pki)
        without, key = responder(pki, digital_signature=None)
        response = Response(responder=without, key=key, included=[without])
        check(response.about(leaf, pki), leaf, pki)

    def test_a_responder_with_a_critical_extension(self, pki: Pki, leaf: x509.Certificate) -> None:
        strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        certificate, key = responder(pki, extra=(strange, True))
        assert "1.2.3.4" in self._refused_of(certificate, key, leaf, pki)
        tolerated, key = responder(pki, extra=(strange, False))
        response = Response(responder=tolerated, key=key, included=[tolerated])
        check(response.about(leaf, pki), leaf, pki)

    @pytest.mark.parametrize("key_type", ["rsa-1024", "secp256k1"])
    def test_a_responder_with_a_weak_key(
        self, pki: Pki, leaf: x509.Certificate, key_type: str
    ) -> None:
        certificate, key = responder(pki, key_type=key_type)
        assert " key of" in self._refused_of(certificate, key, leaf, pki)

    def test_an_issuer_with_a_weak_key(self) -> None:
        weak = Pki(key_type="rsa-1024")
        leaf = weak.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        assert "1024 bits" in refused(Response().about(leaf, weak), leaf, weak)

    def test_weak_hashes(self, pki: Pki, leaf: x509.Certificate) -> None:
        data = Response().signed(leaf, pki).tbs_response_bytes
        check(wrapped(data, pki.key), leaf, pki)
        for hash_ in (hashes.SHA1(), hashes.SHA224()):
            detail = refused(wrapped(data, pki.key, hash_=hash_), leaf, pki)
            assert "signed with an algorithm that does not count" in detail

    def test_a_signature_under_the_name_of_another_algorithm(
        self, pki: Pki, leaf: x509.Certificate
    ) -> None:
        certificate, key = responder(pki, key_type="ed25519")
        response = Response(responder=certificate, key=key, included=[certificate])
        check(response.about(leaf, pki), leaf, pki)
        data = response.signed(leaf, pki).tbs_response_bytes
        assert "wrong" in refused(wrapped(data, key, [certificate]), leaf, pki)

    def test_a_responder_with_a_weak_signature(self, pki: Pki, leaf: x509.Certificate) -> None:
        certificate, key = responder(pki, hash_=hashes.SHA224())
        detail = self._refused_of(certificate, key, leaf, pki)
        assert "signed with an algorithm that does not count" in detail

    def test_no_more_responders_are_tried_than_a_few(
        self, pki: Pki, leaf: x509.Certificate
    ) -> None:
        right, key = responder(pki)
        wrong = [responder(pki, key_type="ed25519")[0] for _ in range(3)]
        for before, fine in ((2, True), (3, False)):
            response = Response(
                responder=right, key=key, encoding=BY_NAME, included=[*wrong[:before], right]
            ).about(leaf, pki)
            if fine:
                check(response, leaf, pki)
            else:
                assert "signature of the responder" in refused(response, leaf, pki)

    def _refused_of(
        self, certificate: x509.Certificate, key: Any, leaf: x509.Certificate, pki: Authority
    ) -> str:
        response = Response(responder=certificate, key=key, included=[certificate])
        return refused(response.about(leaf, pki), leaf, pki)


class TestDates:
    def test_over(self, pki: Pki, leaf: x509.Certificate) -> None:
        over = Response(this_update=-2 * DAY, next_update=-2 * SECOND).about(leaf, pki)
        assert "newly fetched" in refused(over, leaf, pki)

    def test_until_the_last_second(self, pki: Pki, leaf: x509.Certificate) -> None:
        response, path = Response().about(leaf, pki), [leaf, pki.certificate]
        last = ends_at(pki, DAY)
        assert check_staple(response, path, last) == last
        with pytest.raises(CertificateError):
            check_staple(response, path, last + SECOND)

    def test_from_the_future(self, pki: Pki, leaf: x509.Certificate) -> None:
        check(Response(this_update=timedelta(minutes=4)).about(leaf, pki), leaf, pki)
        early = Response(this_update=timedelta(minutes=6)).about(leaf, pki)
        assert "future" in refused(early, leaf, pki)

    def test_without_an_end_it_lasts_a_day(self, pki: Pki, leaf: x509.Certificate) -> None:
        response = Response(next_update=None)
        assert check(response.about(leaf, pki), leaf, pki) == ends_at(pki, DAY - HOUR)
        old = Response(this_update=-DAY - 2 * SECOND, next_update=None)
        assert "held until" in refused(old.about(leaf, pki), leaf, pki)

    def test_the_time_needs_a_zone(self, pki: Pki, leaf: x509.Certificate) -> None:
        with pytest.raises(ConfigurationError, match="time zone"):
            check_staple(Response().about(leaf, pki), [leaf], datetime(2026, 1, 1))


class TestForm:
    def test_an_error_of_the_responder(self, pki: Pki, leaf: x509.Certificate) -> None:
        status = ocsp.OCSPResponseStatus.TRY_LATER
        error = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
        assert "try_later" in refused(error, leaf, pki)

    def test_size(self, pki: Pki, leaf: x509.Certificate) -> None:
        assert "65537 bytes" in refused(bytes(MAX_RESPONSE_BYTES + 1), leaf, pki)
        padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(2**16))
        large = Response(extension=(padding, False)).about(leaf, pki)
        assert "no more than 65536" in refused(large, leaf, pki)

    def test_critical_extensions(self, pki: Pki, leaf: x509.Certificate) -> None:
        strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        check(Response(extension=(strange, False)).about(leaf, pki), leaf, pki)
        critical = Response(extension=(strange, True))
        assert "1.2.3.4" in refused(critical.about(leaf, pki), leaf, pki)
        two = several([critical.signed(leaf, pki), Response().signed(leaf, pki)], pki.key)
        assert "critical" in refused(two, leaf, pki)

    def test_parts_that_are_read_late(self, pki: Pki, leaf: x509.Certificate) -> None:
        good, sha1 = Response().about(leaf, pki), bytes.fromhex("06052b0e03021a")
        assert good.count(sha1) == 1
        unknown_hash = good.replace(sha1, bytes.fromhex("06052b0e03027f"))
        assert "a part of it cannot be read" in refused(unknown_hash, leaf, pki)
        assert "a part of it cannot be read" in describe_staple(unknown_hash)["error"]

    @pytest.mark.parametrize("junk", [b"", b"0", b"0\x00", b"\x30\x03\x0a\x01\x00", b"x" * 100])
    def test_junk(self, pki: Pki, leaf: x509.Certificate, junk: bytes) -> None:
        refused(junk, leaf, pki)

    @given(data=st.data())
    @settings(max_examples=150, deadline=None)
    def test_no_bytes_raise_anything_else(self, data: st.DataObject) -> None:
        response = bytearray(data.draw(st.sampled_from(_mutants())))
        for _ in range(data.draw(st.integers(0, 4))):
            place = data.draw(st.integers(0, len(response) - 1))
            response[place] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(response)) | st.just(len(response)))
        describe_staple(bytes(response[:cut]))
        pki, leaf = _fixed()
        with suppress(CertificateError):
            check(bytes(response[:cut]), leaf, pki)

    @given(st.binary(max_size=300))
    def test_random_bytes(self, junk: bytes) -> None:
        pki, leaf = _fixed()
        refused(junk, leaf, pki)
        assert describe_staple(junk)["error"]


class TestMustStaple:
    @pytest.mark.parametrize(
        ("features", "demanded"),
        [
            ([x509.TLSFeatureType.status_request], True),
            ([x509.TLSFeatureType.status_request_v2], False),
            (list(x509.TLSFeatureType), True),
        ],
    )
    def test_the_feature(
        self, pki: Pki, features: list[x509.TLSFeatureType], demanded: bool
    ) -> None:
        key = key_of_type("ecdsa-p256").public_key()
        assert demands_staple(pki.issue(Leaf(), key, x509.TLSFeature(features))) is demanded

    def test_without_the_extension(self, leaf: x509.Certificate) -> None:
        assert not demands_staple(leaf)

    def test_unreadable_extensions(self, pki: Pki) -> None:
        key = key_of_type("ecdsa-p256").public_key()
        feature = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.24")
        broken = pki.issue(Leaf(), key, x509.UnrecognizedExtension(feature, b"\xff\xff"))
        assert not demands_staple(broken)


class TestDescribe:
    def test_what_it_says(self, pki: Pki, leaf: x509.Certificate) -> None:
        response = Response(REVOKED, reason=x509.ReasonFlags.superseded).about(leaf, pki)
        described = describe_staple(response)
        assert json.loads(json.dumps(described)) == described
        assert described["error"] is None
        (answer,) = described["answers"]
        assert answer["serial"] == f"{leaf.serial_number:x}"
        assert (answer["status"], answer["reason"]) == ("revoked", "superseded")
        assert answer["until"] == f"{pki.now + DAY:%Y-%m-%dT%H:%M:%SZ}"
        assert answer["revoked_at"] == f"{pki.now - 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}"

    def test_a_good_one(self, pki: Pki, leaf: x509.Certificate) -> None:
        (answer,) = describe_staple(Response().about(leaf, pki))["answers"]
        assert (answer["status"], answer["reason"], answer["revoked_at"]) == ("good", None, None)

    def test_junk(self) -> None:
        assert describe_staple(b"junk") == {
            "error": "it is not the DER of an OCSP response: staple a newly fetched one",
            "answers": [],
        }


@pytest.mark.interop
class TestOfOpenSSL:
    @pytest.mark.parametrize("key_type", ["rsa-2048", "ecdsa-p256"])
    def test_its_responses(self, tmp_path: Path, key_type: str) -> None:
        pki = Pki(key_type=key_type)
        leaf = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        assert check(_by_openssl(pki, leaf, tmp_path), leaf, pki) > pki.now
        with pytest.raises(CertificateError, match="keyCompromise") as caught:
            check(_by_openssl(pki, leaf, tmp_path, revoked=True), leaf, pki)
        assert caught.value.fault is Fault.CERTIFICATE_REVOKED

    def test_rsassa_pss_cannot_be_checked(self, tmp_path: Path) -> None:
        pki = Pki(key_type="rsa-2048")
        leaf = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        response = _by_openssl(pki, leaf, tmp_path, "-rsigopt", "rsa_padding_mode:pss")
        assert "cannot be checked (1.2.840.113549.1.1.10)" in refused(response, leaf, pki)


def _by_openssl(
    pki: Pki, leaf: x509.Certificate, folder: Path, *options: str, revoked: bool = False
) -> bytes:
    (folder / "ca.pem").write_bytes(pki.ca_pem)
    (folder / "ca.key").write_bytes(key_pem(pki.key))
    (folder / "leaf.pem").write_bytes(pem_of(leaf))
    serial = f"{leaf.serial_number:X}"
    serial = serial.zfill(len(serial) + len(serial) % 2)
    expiry = f"{leaf.not_valid_after_utc:%y%m%d%H%M%SZ}"
    revocation = f"{pki.now - HOUR:%y%m%d%H%M%SZ},keyCompromise" if revoked else ""
    line = ("R" if revoked else "V", expiry, revocation, serial, "unknown", "/CN=x\n")
    (folder / "index.txt").write_text("\t".join(line))
    command = (
        f"{need_tool('openssl')} ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key "
        "-issuer ca.pem -cert leaf.pem -respout out.der -noverify -nmin 60"
    )
    subprocess.run(
        [*command.split(), *options],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=30,
        env=os.environ | {"OPENSSL_CONF": os.devnull},
    )
    return (folder / "out.der").read_bytes()


def _without_answers(leaf: x509.Certificate, pki: Pki) -> bytes:
    responder_id, produced_at, *_ = elements(
        inside(Response().signed(leaf, pki).tbs_response_bytes)
    )
    return wrapped(tlv(0x30, responder_id, produced_at, b"\x30\x00"), pki.key)


@functools.cache
def _fixed() -> tuple[Pki, x509.Certificate]:
    """The same authority and leaf for all examples of a property."""
    pki = Pki()
    return pki, pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())


@functools.cache
def _mutants() -> list[bytes]:
    pki, leaf = _fixed()
    certificate, key = responder(pki)
    return [
        Response().about(leaf, pki),
        Response(REVOKED).about(leaf, pki),
        Response(responder=certificate, key=key, included=[certificate]).about(leaf, pki),
        several([Response().signed(leaf, pki)] * 2, pki.key),
    ]
