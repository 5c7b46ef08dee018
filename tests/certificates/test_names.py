"""One spelling for each name, and what covers what."""

from __future__ import annotations

import builtins
import ipaddress
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from tests.certificates.hostile import sequence, tlv
from tests.pki import Leaf, Pki, key_of_type

from handclasp.certificates.names import (
    Names,
    certificate_names,
    covers,
    normal_name,
    subject_of,
)
from handclasp.certificates.seen import Seen
from handclasp.errors import ConfigurationError
from handclasp.wording import printable


@pytest.mark.parametrize(
    ("given_name", "normal"),
    [
        ("example.com", "example.com"),
        ("Example.COM.", "example.com"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("under_score.example", "under_score.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("FE80::1%eth0", "fe80::1"),
        ("4.example", "4.example"),
    ],
)
def test_normal_name(given_name: str, normal: str) -> None:
    assert normal_name(given_name) == normal
    assert normal_name(normal) == normal


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", "a b", "a" * 64, "a." * 127 + "a", "*.example.com", "a\0.b", "a/b", "::1::"],
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ConfigurationError):
        normal_name(name)


def test_u_labels_need_idna(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_idna(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "idna":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "idna", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_idna)
    with pytest.raises(ConfigurationError, match="idna"):
        normal_name("größe.example")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("example.com", "example.com", True),
        ("example.com", "www.example.com", False),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.b.example.com", False),
        ("*.com", "example.com", False),
        ("*", "localhost", False),
        ("w*.example.com", "www.example.com", False),
        ("*.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
    ],
)
def test_covers(pattern: str, name: str, expected: bool) -> None:
    assert covers(pattern, name) is expected


def test_certificate_names_are_normal_and_only_of_the_alternative_name(pki: Pki) -> None:
    leaf = Leaf(("WWW.Example.com", "*.example.com", "::1"), common_name="cn.example")
    certificate = pki.issue(leaf, key_of_type("ecdsa-p256").public_key())
    assert certificate_names(certificate) == ("www.example.com", "*.example.com", "::1")


def test_an_address_in_a_dns_name_does_not_count(pki: Pki) -> None:
    leaf = Leaf(names=())
    builder = x509.SubjectAlternativeName([x509.DNSName("127.0.0.1"), x509.DNSName("a b")])
    certificate = pki.issue(leaf, key_of_type("ecdsa-p256").public_key(), extra=builder)
    assert certificate_names(certificate) == ()


@given(st.text())
def test_shown_is_printable_and_short(text: str) -> None:
    result = printable(text, 50)
    assert len(result) <= 50
    assert result.isprintable()


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_a_configuration_error(text: str) -> None:
    try:
        normal = normal_name(text)
    except ConfigurationError:
        return
    assert normal_name(normal) == normal
    assert normal.isascii()


DNS_NAMES = st.sampled_from(
    ["a.example", "A.Example", "a.example.", "*.example", "*.b.example", "1.2.3.4", "a b", "", "0"]
)
ADDRESSES = st.sampled_from(["1.2.3.4", "::1", "2001:db8::1", "0.0.0.0"])


@given(st.lists(st.one_of(DNS_NAMES.map(x509.DNSName), ADDRESSES.map(ipaddress.ip_address))))
def test_names_are_the_same_whether_read_or_as_they_stand(entries: list[Any]) -> None:
    read = [each if isinstance(each, x509.DNSName) else x509.IPAddress(each) for each in entries]
    der = sequence(
        *[
            tlv(0x82, each.value.encode())
            if isinstance(each, x509.DNSName)
            else tlv(0x87, ipaddress.ip_address(str(each.value)).packed)
            for each in read
        ],
        tlv(0x81, b"a@example"),
    )
    one, other = Names.of(read), Names.in_der(der)
    assert other is not None
    assert list(dict.fromkeys(one)) == list(dict.fromkeys(other))
    assert (len(one), bool(one), one.first(3)) == (len(other), bool(other), other.first(3))
    for name in ("a.example", "b.example", "c.b.example", "1.2.3.4", "::1", "0", "a.example."):
        assert (name in one) == (name in other) == (name in list(one))
        assert one.covering(name) == other.covering(name)
        assert one.has_as_dns_name(name) == other.has_as_dns_name(name)
        assert one.ends_in_dot(name) == other.ends_in_dot(name)


@given(st.binary(max_size=40))
def test_any_bytes_for_a_list_of_names(data: bytes) -> None:
    for der in (data, b"\x30" + bytes([len(data)]) + data):
        names = Names.in_der(der)
        assert names is None or len(names) <= len(data) // 2


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30",
        b"\x30\x02\x82",
        b"\x30\x03\x82\x02a",
        b"\x30\x02\x82\x82",
        b"\x30\x00\x00",
        b"\x31\x00",
        b"\x30\x01\x82",
    ],
)
def test_what_is_no_list_of_names(der: bytes) -> None:
    assert Names.in_der(der) is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [((), "a certificate without a name"), (("a.example", "b.example"), "a.example, b.example")],
)
def test_a_certificate_without_a_subject_is_called_by_its_names(
    names: Sequence[str], expected: str
) -> None:
    pki = Pki()
    certificate = pki.issue(Leaf(names, common_name=None), key_of_type("ecdsa-p256").public_key())
    der = certificate.public_bytes(Encoding.DER)
    assert subject_of(certificate) == expected
    seen = Seen(certificate, der, pki.trust)
    assert seen.about == expected
    assert seen.names.first(3) == list(names)
