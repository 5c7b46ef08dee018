"""Certificate revocation lists: each rule with a list that breaks it alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.certificates.ocsp_responses import (
    ECDSA_WITH,
    HOUR,
    elements,
    ends_at,
    hash_for,
    inside,
    namesake,
    tlv,
)
from tests.pki import (
    DAY,
    Authority,
    Leaf,
    Pki,
    authority_certificate,
    der_of,
    key_of_type,
    key_pem,
    key_usage,
    pem_of,
)
from tests.required import need_tool

from handclasp.certificates import explain, revocation_list
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.signature_bounds import signature_problem
from handclasp.certificates.verify import VerifiedPeer, verify_server_chain
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault

SECOND = timedelta(seconds=1)
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


@dataclass(frozen=True)
class Crl:
    """What to put into a list. The defaults make a good one with nothing on it."""

    serials: Sequence[int] = ()
    reason: x509.ReasonFlags | None = None
    this_update: timedelta = -HOUR
    next_update: timedelta = DAY
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = ()
    entry_extension: tuple[x509.ExtensionType, bool] | None = None
    key: Any = None

    def of(self, authority: Authority, encoding: Encoding = Encoding.PEM) -> bytes:
        return self.signed(authority).public_bytes(encoding)

    def signed(self, authority: Authority) -> x509.CertificateRevocationList:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.certificate.subject)
            .last_update(authority.now + self.this_update)
            .next_update(authority.now + self.next_update)
        )
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical)
        for serial in self.serials:
            builder = builder.add_revoked_certificate(self._entry(serial, authority.now))
        key = self.key or authority.key
        return builder.sign(key, hash_for(key))

    def _entry(self, serial: int, now: datetime) -> x509.RevokedCertificate:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - DAY)
        if self.reason is not None:
            entry = entry.add_extension(x509.CRLReason(self.reason), critical=False)
        if self.entry_extension is not None:
            entry = entry.add_extension(*self.entry_extension)
        return entry.build()


def point(**changes: Any) -> tuple[x509.IssuingDistributionPoint, bool]:
    nothing: dict[str, Any] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**(nothing | changes)), True


@pytest.fixture(scope="module")
def leaf(pki: Pki) -> x509.Certificate:
    return pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())


@pytest.fixture(scope="module")
def path(pki: Pki, leaf: x509.Certificate) -> list[x509.Certificate]:
    return [leaf, pki.certificate]


def look_up(
    path: Sequence[x509.Certificate], authority: Authority, *crls: Crl, **options: Any
) -> datetime | None:
    blobs = [crl.of(authority) for crl in crls]
    return RevocationLists.from_bytes(*blobs, **options).check(path, authority.now)


def refused(
    fault: Fault, path: Sequence[x509.Certificate], authority: Authority, *crls: Crl
) -> str:
    with pytest.raises(CertificateError) as caught:
        look_up(path, authority, *crls)
    assert caught.value.fault is fault
    return caught.value.detail


def unknown(path: Sequence[x509.Certificate], authority: Authority, *crls: Crl) -> str:
    detail = refused(Fault.REVOCATION_UNKNOWN, path, authority, *crls)
    assert look_up(path, authority, *crls, without_list="accept") is None
    return detail


class TestAnswers:
    def test_not_on_the_list(self, pki: Pki, path: list[x509.Certificate]) -> None:
        assert look_up(path, pki, Crl([1, 2, 3])) == ends_at(pki, DAY)

    def test_on_the_list(
        self, pki: Pki, leaf: x509.Certificate, path: list[x509.Certificate]
    ) -> None:
        crl = Crl([1, leaf.serial_number, 3], x509.ReasonFlags.key_compromise)
        detail = refused(Fault.CERTIFICATE_REVOKED, path, pki, crl)
        assert "keyCompromise" in detail
        assert f"{pki.now - DAY:%Y-%m-%d %H:%M} UTC" in detail
        detail = refused(Fault.CERTIFICATE_REVOKED, path, pki, Crl([leaf.serial_number]))
        assert "none given" in detail

    def test_taken_off_again(
        self, pki: Pki, leaf: x509.Certificate, path: list[x509.Certificate]
    ) -> None:
        hold = Crl([leaf.serial_number], x509.ReasonFlags.certificate_hold)
        refused(Fault.CERTIFICATE_REVOKED, path, pki, hold)
        look_up(path, pki, Crl([leaf.serial_number], x509.ReasonFlags.remove_from_crl))

    def test_no_list_of_the_issuer(self, pki: Pki, path: list[x509.Certificate]) -> None:
        lists = RevocationLists.from_bytes(Crl().of(Pki("another", now=pki.now)))
        with pytest.raises(CertificateError, match="no list of this issuer") as caught:
            lists.check(path, pki.now)
        assert caught.value.fault is Fault.REVOCATION_UNKNOWN
        assert "CN=test root" in caught.value.detail

    def test_accepted_without_a_list_but_not_if_revoked(
        self, pki: Pki, leaf: x509.Certificate, path: list[x509.Certificate]
    ) -> None:
        another = Crl().of(Pki("another"))
        lists = RevocationLists.from_bytes(another, without_list="accept")
        assert lists.check(path, pki.now) is None
        with pytest.raises(CertificateError) as caught:
            look_up(path, pki, Crl([leaf.serial_number]), without_list="accept")
        assert caught.value.fault is Fault.CERTIFICATE_REVOKED

    def test_an_anchor_is_not_looked_up(self, pki: Pki) -> None:
        crl = Crl([pki.certificate.serial_number])
        assert look_up([pki.certificate], pki, crl) is None

    def test_the_time_needs_a_zone(self, pki: Pki, path: list[x509.Certificate]) -> None:
        with pytest.raises(ConfigurationError, match="time zone"):
            RevocationLists.from_bytes(Crl().of(pki)).check(path, datetime(2026, 1, 1))


class TestChain:
    @pytest.fixture
    def authority(self, pki: Pki) -> Authority:
        return pki.intermediate()

    @pytest.fixture
    def path(self, pki: Pki, authority: Authority) -> list[x509.Certificate]:
        leaf = authority.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        return [leaf, authority.certificate, pki.certificate]

    def test_each_certificate_below_the_anchor(
        self, pki: Pki, authority: Authority, path: list[x509.Certificate]
    ) -> None:
        lower = Crl(next_update=2 * DAY).of(authority)
        lists = RevocationLists.from_bytes(lower, Crl().of(pki))
        assert lists.check(path, pki.now) == ends_at(pki, DAY)
        revoked = Crl([authority.certificate.serial_number]).of(pki)
        with pytest.raises(CertificateError, match="CN=intermediate") as caught:
            RevocationLists.from_bytes(lower, revoked).check(path, pki.now)
        assert caught.value.fault is Fault.CERTIFICATE_REVOKED
        with pytest.raises(CertificateError) as caught:
            RevocationLists.from_bytes(lower).check(path, pki.now)
        assert caught.value.fault is Fault.REVOCATION_UNKNOWN

    def test_the_leaf_only(
        self, pki: Pki, authority: Authority, path: list[x509.Certificate]
    ) -> None:
        revoked = Crl([authority.certificate.serial_number]).of(pki)
        lists = RevocationLists.from_bytes(Crl().of(authority), revoked, check="leaf")
        assert lists.check(path, pki.now) == ends_at(pki, DAY)


class TestSigner:
    def test_a_list_of_another_key(
        self, pki: Pki, leaf: x509.Certificate, path: list[x509.Certificate]
    ) -> None:
        stranger = key_of_type("ecdsa-p384")
        assert "signature" in unknown(path, pki, Crl(key=stranger))
        # Nor can a stranger revoke.
        unknown(path, pki, Crl([leaf.serial_number], key=stranger))

    def test_a_changed_list(self, pki: Pki, path: list[x509.Certificate]) -> None:
        der = Crl([5]).of(pki, Encoding.DER)
        changed = der.replace(b"\x02\x01\x05", b"\x02\x01\x06")
        with pytest.raises(CertificateError, match="signature"):
            RevocationLists.from_bytes(changed).check(path, pki.now)

    def test_each_issuer_is_tried_by_itself(self, pki: Pki, path: list[x509.Certificate]) -> None:
        twin = namesake(pki, "ecdsa-p384")
        lists = RevocationLists.from_bytes(Crl().of(pki))
        for _ in range(2):
            lists.check(path, pki.now)
            with pytest.raises(CertificateError, match="signature"):
                lists.check([path[0], twin.certificate], pki.now)

    def test_an_issuer_that_may_not_sign_lists(self, pki: Pki) -> None:
        for usage, fine in ((key_usage(key_cert_sign=True), False), (None, True)):
            issuer = authority_certificate(
                "no lists",
                pki.key.public_key(),
                pki.certificate.subject,
                pki.key,
                pki.now,
                with_key_usage=False,
            )
            if usage is not None:
                issuer = _with_usage(issuer, usage, pki.key)
            authority = Authority(issuer, pki.key, (), pki.now)
            leaf = authority.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
            path = [leaf, issuer]
            if fine:
                look_up(path, authority, Crl())
            else:
                assert "cRLSign" in unknown(path, authority, Crl())

    @pytest.mark.parametrize("key_type", ["rsa-1024", "secp256k1"])
    def test_weak_keys(self, key_type: str) -> None:
        weak = Pki(key_type=key_type)
        leaf = weak.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        assert " key of" in unknown([leaf, weak.certificate], weak, Crl())

    @pytest.mark.parametrize("key_type", ["rsa-2048", "ecdsa-p521", "ed25519", "ed448"])
    def test_strong_keys(self, key_type: str) -> None:
        strong = Pki(key_type=key_type)
        leaf = strong.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        look_up([leaf, strong.certificate], strong, Crl())

    def test_weak_hashes(self, pki: Pki, path: list[x509.Certificate]) -> None:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(pki.certificate.subject)
            .last_update(pki.now - HOUR)
            .next_update(pki.now + HOUR)
        )
        weak = builder.sign(pki.key, hashes.SHA224()).public_bytes(Encoding.DER)
        with pytest.raises(CertificateError, match="does not count"):
            RevocationLists.from_bytes(weak).check(path, pki.now)

    def test_the_signature_is_checked_once(
        self, pki: Pki, path: list[x509.Certificate], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[object] = []

        def counting(signed: Any) -> str:
            asked.append(signed)
            return signature_problem(signed)

        monkeypatch.setattr(revocation_list, "signature_problem", counting)
        lists = RevocationLists.from_bytes(Crl().of(pki))
        for _ in range(3):
            lists.check(path, pki.now)
        assert len(asked) == 1


class TestDates:
    def test_over(self, pki: Pki, path: list[x509.Certificate]) -> None:
        over = Crl(this_update=-DAY, next_update=-2 * SECOND)
        assert "was to be renewed by" in unknown(path, pki, over)

    def test_until_the_last_second(self, pki: Pki, path: list[x509.Certificate]) -> None:
        lists, last = RevocationLists.from_bytes(Crl().of(pki)), ends_at(pki, DAY)
        assert lists.check(path, last) == last
        with pytest.raises(CertificateError):
            lists.check(path, last + SECOND)

    def test_from_the_future(self, pki: Pki, path: list[x509.Certificate]) -> None:
        look_up(path, pki, Crl(this_update=timedelta(minutes=4)))
        assert "future" in unknown(path, pki, Crl(this_update=timedelta(minutes=6)))

    def test_revoked_is_revoked_for_ever(
        self, pki: Pki, leaf: x509.Certificate, path: list[x509.Certificate]
    ) -> None:
        old = Crl([leaf.serial_number], this_update=-9 * DAY, next_update=-8 * DAY)
        refused(Fault.CERTIFICATE_REVOKED, path, pki, old)

    def test_without_an_end(self, pki: Pki, path: list[x509.Certificate]) -> None:
        endless = _without_next_update(pki)
        with pytest.raises(CertificateError, match="nextUpdate") as caught:
            RevocationLists.from_bytes(endless).check(path, pki.now)
        assert caught.value.fault is Fault.REVOCATION_UNKNOWN

    def test_the_newest_counts(
        self, pki: Pki, leaf: x509.Certificate, path: list[x509.Certificate]
    ) -> None:
        serial = leaf.serial_number
        old, new = Crl(this_update=-2 * HOUR), Crl([serial])
        for crls in ((old, new), (new, old)):
            refused(Fault.CERTIFICATE_REVOKED, path, pki, *crls)
        held, released = Crl([serial], this_update=-2 * HOUR), Crl()
        for crls in ((held, released), (released, held)):
            look_up(path, pki, *crls)

    def test_of_the_same_time_the_worse_one_counts(
        self, pki: Pki, leaf: x509.Certificate, path: list[x509.Certificate]
    ) -> None:
        both = (Crl([leaf.serial_number]), Crl())
        for crls in (both, both[::-1]):
            refused(Fault.CERTIFICATE_REVOKED, path, pki, *crls)

    def test_a_newer_one_that_does_not_count_is_passed_over(
        self, pki: Pki, path: list[x509.Certificate]
    ) -> None:
        delta = Crl(this_update=-SECOND, extensions=[(x509.DeltaCRLIndicator(1), True)])
        assert look_up(path, pki, delta, Crl()) == ends_at(pki, DAY)


class TestScope:
    def test_user_certificates_and_authorities(self, pki: Pki) -> None:
        authority = pki.intermediate()
        user = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        for_users = Crl(extensions=[point(only_contains_user_certs=True)])
        for_authorities = Crl(extensions=[point(only_contains_ca_certs=True)])
        look_up([user, pki.certificate], pki, for_users)
        look_up([authority.certificate, pki.certificate], pki, for_authorities)
        for certificate, crl in ((user, for_authorities), (authority.certificate, for_users)):
            assert "other certificates" in unknown([certificate, pki.certificate], pki, crl)

    def test_attribute_certificates(self, pki: Pki, path: list[x509.Certificate]) -> None:
        unknown(path, pki, Crl(extensions=[point(only_contains_attribute_certs=True)]))

    def test_a_list_for_one_point(self, pki: Pki, leaf: x509.Certificate) -> None:
        here = [x509.UniformResourceIdentifier("http://crl.example/1.crl")]
        there = [x509.UniformResourceIdentifier("http://crl.example/2.crl")]
        key = key_of_type("ecdsa-p256").public_key()
        crl = Crl(extensions=[point(full_name=here)])

        def issued(**changes: Any) -> list[x509.Certificate]:
            nothing = dict.fromkeys(("full_name", "relative_name", "reasons", "crl_issuer"))
            points = x509.CRLDistributionPoints([x509.DistributionPoint(**(nothing | changes))])
            return [pki.issue(Leaf(), key, points), pki.certificate]

        look_up(issued(full_name=here), pki, crl)
        look_up(issued(full_name=[*there, *here]), pki, crl)
        reasons = frozenset([x509.ReasonFlags.key_compromise])
        issuer = [x509.DirectoryName(pki.certificate.subject)]
        for other in (
            issued(full_name=there),
            issued(full_name=here, reasons=reasons),
            issued(full_name=here, crl_issuer=issuer),
            [leaf, pki.certificate],
        ):
            assert "other certificates" in unknown(other, pki, crl)
            look_up(other, pki, Crl())

    def test_a_list_for_the_issuers_own_name(self, pki: Pki, path: list[x509.Certificate]) -> None:
        name = [x509.DirectoryName(pki.certificate.subject)]
        look_up(path, pki, Crl(extensions=[point(full_name=name)]))

    def test_a_list_for_a_relative_name(self, pki: Pki, path: list[x509.Certificate]) -> None:
        name = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "one")])
        unknown(path, pki, Crl(extensions=[point(relative_name=name)]))

    def test_indirect_and_partial_lists(self, pki: Pki, path: list[x509.Certificate]) -> None:
        reasons = frozenset([x509.ReasonFlags.key_compromise])
        indirect = Crl(extensions=[point(indirect_crl=True)])
        assert "indirect" in unknown(path, pki, indirect)
        partial = Crl(extensions=[point(only_some_reasons=reasons)])
        assert "partial" in unknown(path, pki, partial)

    @pytest.mark.parametrize("critical", [True, False])
    def test_delta_lists(self, pki: Pki, path: list[x509.Certificate], critical: bool) -> None:
        delta = Crl(extensions=[(x509.DeltaCRLIndicator(1), critical)])
        assert "delta" in unknown(path, pki, delta)

    def test_critical_extensions(self, pki: Pki, path: list[x509.Certificate]) -> None:
        look_up(path, pki, Crl(extensions=[(STRANGE, False), (x509.CRLNumber(1), True)]))
        assert "1.2.3.4" in unknown(path, pki, Crl(extensions=[(STRANGE, True)]))

    def test_critical_extensions_of_any_entry(
        self, pki: Pki, leaf: x509.Certificate, path: list[x509.Certificate]
    ) -> None:
        issuer = x509.CertificateIssuer([x509.DirectoryName(pki.certificate.subject)])
        understood = [point(only_contains_user_certs=True)]
        for extensions in ((), understood):
            for serial in (leaf.serial_number, 5):
                for extension in (issuer, STRANGE):
                    crl = Crl([serial], entry_extension=(extension, True), extensions=extensions)
                    assert "critical" in unknown(path, pki, crl)
            plain = Crl([5], entry_extension=(STRANGE, False), extensions=extensions)
            look_up(path, pki, plain)
        date = x509.InvalidityDate(datetime(2026, 1, 1))
        look_up(path, pki, Crl([5], entry_extension=(date, True)))


class TestSources:
    def test_files_of_any_form(
        self, pki: Pki, path: list[x509.Certificate], tmp_path: Path
    ) -> None:
        another = Crl().of(Pki("another"))
        (tmp_path / "two.pem").write_bytes(b"words\n" + another + Crl().of(pki))
        (tmp_path / "one.crl").write_bytes(Crl().of(pki, Encoding.DER))
        for name in ("two.pem", "one.crl"):
            RevocationLists.from_files(tmp_path / name).check(path, pki.now)
            RevocationLists.from_files(str(tmp_path / name)).check(path, pki.now)
        RevocationLists.from_bytes(Crl().of(pki, Encoding.DER)).check(path, pki.now)

    def test_directories(self, pki: Pki, path: list[x509.Certificate], tmp_path: Path) -> None:
        (tmp_path / "a.crl").write_bytes(Crl().of(pki, Encoding.DER))
        (tmp_path / "ca.pem").write_bytes(pki.ca_pem)
        (tmp_path / ".hidden").write_bytes(b"anything")
        (tmp_path / "folder").mkdir()
        RevocationLists.from_files(tmp_path).check(path, pki.now)
        (tmp_path / "b.crl").write_bytes(b"half a li")
        with pytest.raises(ConfigurationError, match=r"b\.crl cannot be read"):
            RevocationLists.from_files(tmp_path)

    def test_what_must_be_right(self, pki: Pki, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_bytes(pki.ca_pem)
        with pytest.raises(ConfigurationError, match="it holds other PEM"):
            RevocationLists.from_files(tmp_path / "ca.pem")
        with pytest.raises(ConfigurationError, match="no certificate revocation list"):
            RevocationLists.from_files(tmp_path)
        with pytest.raises(ConfigurationError, match="check the path"):
            RevocationLists.from_files(tmp_path / "nowhere")
        for nothing in ((), (b"",), (der_of(pki.certificate)[0],)):
            with pytest.raises(ConfigurationError):
                RevocationLists.from_bytes(*nothing)
        broken = Crl().of(pki).replace(b"M", b"!")
        with pytest.raises(ConfigurationError, match="cannot be read"):
            RevocationLists.from_bytes(broken)
        with pytest.raises(ConfigurationError, match='check must be "chain" or "leaf"'):
            RevocationLists.from_bytes(Crl().of(pki), check="all")  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="without_list"):
            RevocationLists.from_bytes(Crl().of(pki), without_list=True)  # type: ignore[arg-type]

    def test_equal_only_to_itself(self, pki: Pki) -> None:
        blob = Crl().of(pki)
        one, two = RevocationLists.from_bytes(blob), RevocationLists.from_bytes(blob)
        assert one != two
        assert len({one, two, one}) == 2
        assert repr(one) == 'RevocationLists(of 1 issuers, check="chain", without_list="refuse")'

    @given(data=st.data())
    @settings(
        max_examples=100,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_no_bytes_raise_anything_else(
        self, pki: Pki, path: list[x509.Certificate], data: st.DataObject
    ) -> None:
        extensions = [point(only_contains_user_certs=True), (x509.CRLNumber(9), False)]
        crl = Crl([1, 2], x509.ReasonFlags.superseded, extensions=extensions, key=_RSA)
        blob = bytearray(crl.of(pki, Encoding.DER))
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(blob) - 1))
            blob[place] = data.draw(st.integers(0, 255))
        with suppress(ConfigurationError, CertificateError):
            RevocationLists.from_bytes(bytes(blob)).check(path, pki.now)

    def test_unreadable_extensions_of_a_certificate(self, pki: Pki) -> None:
        broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.31"), b"\xff\xff")
        leaf = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key(), broken)
        crl = Crl(extensions=[point(only_contains_user_certs=True)])
        refused(Fault.BAD_CERTIFICATE, [leaf, pki.certificate], pki, crl)


_RSA = key_of_type("rsa-2048")
"""Its signatures have one length, so that a list has, too."""


@pytest.mark.interop
def test_lists_of_openssl(tmp_path: Path) -> None:
    pki = Pki(key_type="rsa-2048")
    leaf = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
    path = [leaf, pki.certificate]
    for options, problem in (
        ("-md sha256", ""),
        ("-md sha384 -sigopt rsa_padding_mode:pss", ""),
        ("-md sha1", "does not count"),
        ("-md sha1 -sigopt rsa_padding_mode:pss", "SHA1, which is too weak"),
    ):
        lists = RevocationLists.from_bytes(_by_openssl(pki, tmp_path, options))
        later = pki.now + HOUR
        if not problem:
            assert lists.check(path, later)
            continue
        with pytest.raises(CertificateError, match=problem):
            lists.check(path, later)


def _without_next_update(pki: Pki) -> bytes:
    """cryptography makes none without it: it is cut out, and the list signed anew."""
    algorithm = tlv(0x30, ECDSA_WITH["sha256"])
    tbs = elements(inside(Crl().signed(pki).tbs_certlist_bytes))
    assert tbs[4][0] == tbs[3][0] == 0x17
    data = tlv(0x30, *tbs[:4], *tbs[5:])
    signature = pki.key.sign(data, ec.ECDSA(hashes.SHA256()))
    return tlv(0x30, data, algorithm, tlv(0x03, b"\0", signature))


def _by_openssl(pki: Pki, folder: Path, options: str) -> bytes:
    (folder / "ca.pem").write_bytes(pem_of(pki.certificate))
    (folder / "ca.key").write_bytes(key_pem(pki.key))
    (folder / "index.txt").write_text("")
    (folder / "ca.conf").write_text(
        "[ca]\ndefault_ca = it\n[it]\ndatabase = index.txt\ndefault_crl_days = 7\n"
    )
    command = (
        f"{need_tool('openssl')} ca -config ca.conf -gencrl -cert ca.pem -keyfile ca.key "
        f"-out list.pem {options}"
    )
    subprocess.run(
        command.split(),
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=30,
        env=os.environ | {"OPENSSL_CONF": os.devnull},
    )
    return (folder / "list.pem").read_bytes()


def _with_usage(certificate: x509.Certificate, usage: x509.KeyUsage, key: Any) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.issuer)
        .public_key(certificate.public_key())
        .serial_number(certificate.serial_number)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
        .add_extension(usage, critical=True)
    )
    return builder.sign(key, hashes.SHA256())


class TestNumbers:
    """RFC 5280 section 5.2.3: there is a cRLNumber, and it is not critical."""

    def lists(self, pki: Pki, leaf: x509.Certificate, revoked: bool) -> dict[str, RevocationLists]:
        serials = [leaf.serial_number] if revoked else []
        crls = {
            "missing": Crl(serials),
            "critical": Crl(serials, extensions=[(x509.CRLNumber(1), True)]),
        }
        return {name: RevocationLists.from_bytes(crl.of(pki)) for name, crl in crls.items()}

    @pytest.mark.parametrize("name", ["missing", "critical"])
    def test_the_web_asks_for_one(self, pki: Pki, leaf: x509.Certificate, name: str) -> None:
        crls = self.lists(pki, leaf, revoked=False)[name]
        chain = [leaf.public_bytes(Encoding.DER)]

        def judged(profile: Any) -> VerifiedPeer:
            policy = CertificatePolicy(crls=crls, profile=profile)
            explanation = explain(chain, "localhost", pki.trust, pki.now, policy=policy)
            assert explanation.accepted is (profile == "private")
            return verify_server_chain(chain, pki.trust, "localhost", pki.now, policy=policy)

        assert judged("private").verified
        with pytest.raises(CertificateError, match="cRLNumber") as caught:
            judged("web")
        assert caught.value.fault is Fault.REVOCATION_UNKNOWN

    @pytest.mark.parametrize("name", ["missing", "critical"])
    def test_a_revocation_counts_all_the_same(
        self, pki: Pki, leaf: x509.Certificate, name: str
    ) -> None:
        crls = self.lists(pki, leaf, revoked=True)[name]
        policy, chain = CertificatePolicy(crls=crls), [leaf.public_bytes(Encoding.DER)]
        with pytest.raises(CertificateError) as caught:
            verify_server_chain(chain, pki.trust, "localhost", pki.now, policy=policy)
        assert caught.value.fault is Fault.CERTIFICATE_REVOKED
