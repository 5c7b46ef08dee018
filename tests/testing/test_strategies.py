"""Certificates that hypothesis draws: they can be read, and the decision has an answer to each."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from cryptography import x509
from hypothesis import HealthCheck, given, settings

from handclasp import CertificateError, describe_certificate, verify_server_chain
from handclasp.testing import RootAuthority
from handclasp.testing.authority import der_of
from handclasp.testing.strategies import certificates

ROOT = RootAuthority()
quickly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def verify(certificate: x509.Certificate) -> Any:
    return verify_server_chain(der_of(certificate), ROOT.trust, "localhost", ROOT.now)


@quickly
@given(certificates(ROOT))
def test_every_one_can_be_read(certificate: x509.Certificate) -> None:
    again = x509.load_der_x509_certificate(der_of(certificate)[0])
    assert again == certificate
    assert describe_certificate(certificate)
    with suppress(CertificateError):
        verify(certificate)


@quickly
@given(certificates(ROOT, good=True))
def test_a_good_one_is_accepted(certificate: x509.Certificate) -> None:
    verify(certificate)
