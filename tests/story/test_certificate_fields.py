"""The elements of a certificate: each byte belongs to one, whatever stands in its place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from tests.counting import bytecodes_of
from tests.pki import Leaf, Pki, key_of_type

from handclasp.certificates.describe import describe_certificate
from handclasp.story.certificate_fields import MOST_ELEMENTS, with_certificates
from handclasp.story.fields import Field, fields_of
from handclasp.story.page.conversation import taken_apart


def message_with(*entries: bytes) -> bytes:
    """A Certificate message of TLS 1.3 with these, in the place of certificates."""
    listed = b"".join(len(each).to_bytes(3, "big") + each + b"\0\0" for each in entries)
    body = b"\0" + len(listed).to_bytes(3, "big") + listed
    return b"\x0b" + len(body).to_bytes(3, "big") + body


def opened(*entries: bytes) -> Field:
    raw = message_with(*entries)
    return with_certificates(fields_of(raw, "handshake"), raw)


def every(field: Field) -> Iterator[Field]:
    yield field
    for part in field.parts:
        yield from every(part)


def named(field: Field, name: str) -> Field:
    """The first field with a name, below the message itself, which is a Certificate, too."""
    return next(each for each in list(every(field))[1:] if each.name == name)


def element(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 0x80 else b"\x83" + size.to_bytes(3, "big")
    return bytes([tag]) + length + content


@pytest.fixture(scope="module")
def der(pki: Pki) -> bytes:
    key = key_of_type("ecdsa-p256")
    leaf = Leaf(("localhost", "127.0.0.1"))
    return pki.issue(leaf, key.public_key()).public_bytes(serialization.Encoding.DER)


def test_the_fields_are_what_the_certificate_says(der: bytes) -> None:
    tree = opened(der)
    told = describe_certificate(der)
    assert told is not None
    assert named(tree, "notAfter").value == told["not_after"].replace("T", " ").replace("Z", " UTC")
    assert named(tree, "dNSName").value == "localhost"
    assert named(tree, "iPAddress").value == "127.0.0.1"
    assert named(tree, "keyUsage").value == ", ".join(told["key_usage"])
    assert named(tree, "KeyPurposeId").value == "serverAuth"
    assert named(tree, "parameters").value == "secp256r1"
    assert named(tree, "issuer").value == "commonName, test root"
    signed = x509.load_der_x509_certificate(der).tbs_certificate_bytes
    tbs = named(tree, "tbsCertificate")
    assert message_with(der)[tbs.start : tbs.end] == signed
    assert all(each.section for each in every(tree))


def test_a_raw_public_key_is_opened_as_one() -> None:
    key = key_of_type("ed25519").public_key()
    info = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    found = named(opened(info), "subjectPublicKeyInfo")
    assert [part.name for part in found.parts[1:]] == ["algorithm", "subjectPublicKey"]
    assert found.parts[-1].value == "256 bits"


@given(st.data())
def test_broken_certificates_have_fields_for_every_byte(der: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(der) - 1))
    put = data.draw(st.binary(max_size=3))
    cut = data.draw(st.integers(0, 3))
    broken = der[:at] + put + der[at + cut :]
    raw = message_with(broken, der)
    check_covers(with_certificates(fields_of(raw, "handshake"), raw), 0, len(raw))


@given(st.binary(min_size=1, max_size=60))
def test_whatever_stands_there_has_fields_for_every_byte(content: bytes) -> None:
    raw = message_with(content, element(0x30, content))
    check_covers(with_certificates(fields_of(raw, "handshake"), raw), 0, len(raw))


def check_covers(field: Field, start: int, end: int) -> None:
    assert (field.start, field.end) == (start, end)
    assert all(each.isprintable() for each in (field.name, field.value))
    at = start
    for part in field.parts:
        check_covers(part, at, part.end)
        at = part.end
    assert not field.parts or at == end


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (element(0x01, b"\xff"), "TRUE"),
        (element(0x01, b"\0"), "FALSE"),
        (element(0x02, b"\xff"), "-1"),
        (element(0x02, bytes(9)), "9 bytes"),
        (element(0x05, b""), "empty"),
        (element(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"), "rsaEncryption"),
        (element(0x06, b"\x88\x37\x03"), "2.999.3"),
        (element(0x06, b"\x80"), "0"),
        (element(0x06, b"\xff" * 40), "40 bytes"),
        (element(0x0C, "é\n".encode()), "é?"),
        (element(0x17, b"491231235959Z"), "2049-12-31 23:59:59 UTC"),
        (element(0x17, b"500101000000Z"), "1950-01-01 00:00:00 UTC"),
        (element(0x18, b"20500101000000Z"), "2050-01-01 00:00:00 UTC"),
        (element(0x17, b"5001010000Z"), "5001010000Z"),
        (element(0x82, b"a.example"), "a.example"),
        (element(0x87, b"\x01\x02"), "2 bytes"),
        (element(0x03, b"\x04\xf0"), "4 bits"),
    ],
)
def test_values_in_words(content: bytes, value: str) -> None:
    outer = named(opened(element(0x30, content)), "Certificate")
    assert outer.parts[1].value == value


def test_depth_and_number_are_bounded() -> None:
    deep = b""
    for _ in range(5_000):
        deep = element(0x30, deep)
    tree = opened(deep)
    assert sum(1 for _ in every(tree)) < 100
    wide = element(0x30, element(0x30, bytes.fromhex("0500") * 4_000))
    assert len(named(opened(wide), "Certificate").parts[1].parts) == 0
    many = element(0x30, element(0x30, bytes.fromhex("0500") * 100) * 100)
    assert sum(1 for _ in every(opened(many))) < 2 * MOST_ELEMENTS


def test_the_page_has_the_elements(der: bytes) -> None:
    rows = taken_apart(message_with(der), "handshake").rows
    names = [row.name for row in rows]
    assert "tbsCertificate" in names
    assert "tag and length" in names


def test_work_grows_with_the_bytes_alone() -> None:
    def work(count: int) -> int:
        raw = message_with(element(0x30, element(0x30, bytes.fromhex("0500") * 50) * count))
        tree = fields_of(raw, "handshake")
        return bytecodes_of(lambda: with_certificates(tree, raw))

    assert work(160) < 2.3 * work(80)
