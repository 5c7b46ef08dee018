"""One address of IPv4, whichever socket saw it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from handclasp.adapters.proxies import is_same_host
from handclasp.adapters.room import share_of
from handclasp.addresses import unmapped
from handclasp.faults.large_hello import is_within_machine


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
        ("::192.0.2.1", "::192.0.2.1"),
        ("::ffff:0.0.0.0", "0.0.0.0"),
    ],
)
def test_an_ipv4_mapped_address_is_one_of_ipv4(written: str, meant: str) -> None:
    assert unmapped(ip_address(written)) == ip_address(meant)
    assert is_same_host((written, 1), (meant, 2))
    assert share_of((written, 1, 0, 0)) == share_of((meant, 2))


@pytest.mark.parametrize(
    ("written", "is_loopback"), [("::ffff:127.0.0.1", True), ("::ffff:192.0.2.1", False)]
)
def test_the_loopback_interface_is_known_in_either_form(written: str, *, is_loopback: bool) -> None:
    assert is_within_machine((written, 1, 0, 0)) == is_loopback
