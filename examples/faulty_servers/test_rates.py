"""The application takes the rate of a good server, and of no other."""

import pytest
from rates import RateUnavailable, fetch_rate

from handclasp.testing import http_answer

RATE = http_answer(b"1.25\n")
CUT_OFF = http_answer(b"1.2")

FAULTS = (
    "expired",
    "wrong-host",
    "self-signed",
    "untrusted",
    "missing-intermediate",
    "wrong-eku",
    "bad-signature",
    "bad-finished",
    "oversized-record",
    "silent",
)


def test_a_good_server(tls_authority, tls_server):
    server = tls_server(answer=RATE)
    assert fetch_rate(server.url, tls_authority.ca_file) == 1.25


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_server(tls_authority, tls_server, fault):
    server = tls_server(fault, answer=RATE)
    with pytest.raises(RateUnavailable):
        fetch_rate(server.url, tls_authority.ca_file, seconds=0.5)
    assert server.outcome().result in ("refused", "left")


def test_the_server_hears_why(tls_authority, tls_server):
    server = tls_server("expired")
    with pytest.raises(RateUnavailable, match="certificate has expired"):
        fetch_rate(server.url, tls_authority.ca_file)
    assert server.outcome().alert == "certificate_expired"


def test_a_page_that_is_cut_off(tls_authority, tls_server):
    server = tls_server("unclean-close", answer=CUT_OFF)
    with pytest.raises(RateUnavailable, match="cut off"):
        fetch_rate(server.url, tls_authority.ca_file)


def test_what_this_application_accepts(tls_authority, tls_server):
    """requests reads no revocation list: if yours must, this test is the reminder."""
    server = tls_server("revoked-crl", answer=RATE)
    assert fetch_rate(server.url, tls_authority.ca_file) == 1.25
