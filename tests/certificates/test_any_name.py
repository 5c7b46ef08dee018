"""A server whose name nobody compares: everything else is verified as for any server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.pki import Leaf, Pki, der_of, key_of_type

from handclasp.certificates.policy import CertificatePolicy, Profile
from handclasp.certificates.verify import verify_server_chain
from handclasp.errors import CertificateError
from handclasp.faults import Fault

KEY = key_of_type("ecdsa-p256").public_key()
ANYTHING = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


def verify(pki: Pki, leaf: Leaf, profile: Profile = "web", now: datetime | None = None) -> None:
    proof = verify_server_chain(
        der_of(pki.issue(leaf, KEY)),
        pki.trust,
        None,
        now or datetime.now(UTC),
        policy=CertificatePolicy(profile=profile),
    )
    assert proof.verified
    assert (proof.name, proof.purpose) == (None, "server")
    assert proof.is_for(True, "whatever.example", "X509")
    assert not proof.is_for(False, None, "X509")


@pytest.mark.parametrize("profile", ["web", "private"])
@pytest.mark.parametrize(
    "leaf", [Leaf(), Leaf(names=("a.example", "192.0.2.1")), Leaf(names=(), common_name="db")]
)
def test_any_name_and_none_will_do(profile: Profile, leaf: Leaf) -> None:
    verify(Pki(), leaf, profile)


def test_a_private_leaf_needs_no_purpose() -> None:
    verify(Pki(), Leaf(purpose=None), "private")
    with pytest.raises(CertificateError) as caught:
        verify(Pki(), Leaf(purpose=None), "web")
    assert caught.value.fault is Fault.CERTIFICATE_WRONG_PURPOSE


@pytest.mark.parametrize("profile", ["web", "private"])
@pytest.mark.parametrize("purpose", [ExtendedKeyUsageOID.CLIENT_AUTH, ANYTHING])
def test_the_purpose_is_still_a_server_s(profile: Profile, purpose: object) -> None:
    with pytest.raises(CertificateError) as caught:
        verify(Pki(), Leaf(purpose=purpose), profile)  # type: ignore[arg-type]
    assert caught.value.fault is Fault.CERTIFICATE_WRONG_PURPOSE
    assert "server" in str(caught.value)


def test_dates_and_authority_still_count() -> None:
    pki = Pki()
    with pytest.raises(CertificateError) as caught:
        verify(pki, Leaf(), now=datetime.now(UTC) + timedelta(days=9999))
    assert caught.value.fault is Fault.CERTIFICATE_EXPIRED
    chain = der_of(Pki().issue(Leaf(), KEY))
    with pytest.raises(CertificateError) as caught:
        verify_server_chain(chain, pki.trust, None, datetime.now(UTC))
    assert caught.value.fault is Fault.CERTIFICATE_UNTRUSTED
