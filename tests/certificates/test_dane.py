"""TLSA records: what they may be, and what they match."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from tests.pki import Authority, Leaf, Pki, der_of, key_of_type, pem_of

from handclasp.certificates.dane import TlsaRecord, matching_anchors, matching_leaf
from handclasp.certificates.der import public_key_info
from handclasp.errors import ConfigurationError

USAGES, SELECTORS, MATCHING_TYPES = (2, 3), (0, 1), (0, 1, 2)

every_selector_and_matching_type = pytest.mark.parametrize(
    ("selector", "matching_type"),
    [(selector, matching_type) for selector in SELECTORS for matching_type in MATCHING_TYPES],
)


@pytest.fixture(scope="module")
def authority(pki: Pki) -> Authority:
    return pki.intermediate("an authority in the DNS")


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> x509.Certificate:
    return authority.issue(Leaf(), key_of_type("ecdsa-p256").public_key())


@pytest.fixture(scope="module")
def other(authority: Authority) -> x509.Certificate:
    """Another leaf of the same authority, with another key."""
    return authority.issue(Leaf(), key_of_type("ecdsa-p384").public_key())


def record_for(
    certificate: x509.Certificate, usage: int, selector: int, matching_type: int
) -> TlsaRecord:
    content = public_key_info(certificate) if selector else der_of(certificate)[0]
    digests = {1: hashlib.sha256, 2: hashlib.sha512}
    if matching_type:
        content = digests[matching_type](content).digest()
    return TlsaRecord(usage, selector, matching_type, content)


@every_selector_and_matching_type
def test_a_record_of_the_leaf(
    leaf: x509.Certificate, other: x509.Certificate, selector: int, matching_type: int
) -> None:
    record = record_for(leaf, 3, selector, matching_type)
    assert record.matches(leaf)
    assert not record.matches(other)
    assert matching_leaf([record], leaf) is record
    assert matching_leaf([record_for(other, 3, selector, matching_type), record], leaf) is record
    assert matching_leaf([record], other) is None
    # It says nothing of authorities.
    assert matching_anchors([record], [leaf]) == []


@every_selector_and_matching_type
def test_a_record_of_an_authority(
    pki: Pki,
    authority: Authority,
    leaf: x509.Certificate,
    other: x509.Certificate,
    selector: int,
    matching_type: int,
) -> None:
    record = record_for(authority.certificate, 2, selector, matching_type)
    chain = [authority.certificate, pki.certificate]
    assert matching_anchors([record], chain) == [authority.certificate]
    # A record that carries the certificate serves without the server's sending it.
    carried = [authority.certificate] if (selector, matching_type) == (0, 0) else []
    assert matching_anchors([record], [pki.certificate]) == carried
    assert matching_leaf([record_for(leaf, 2, selector, matching_type)], leaf) is None
    assert matching_anchors([record_for(other, 3, selector, matching_type)], [other]) == []


@every_selector_and_matching_type
def test_a_raw_key(leaf: x509.Certificate, selector: int, matching_type: int) -> None:
    record = record_for(leaf, 3, selector, matching_type)
    assert record.matches_key(public_key_info(leaf)) is (selector == 1)
    assert not record.matches_key(public_key_info(leaf)[:-1])
    assert not record.matches_key(der_of(leaf)[0])


def test_several_authorities_each_once(pki: Pki, authority: Authority) -> None:
    records = [
        record_for(authority.certificate, 2, 0, 0),
        record_for(authority.certificate, 2, 1, 1),
        record_for(pki.certificate, 2, 0, 0),
    ]
    found = matching_anchors(records, [authority.certificate])
    assert found == [authority.certificate, pki.certificate]


def test_of_two_digests_only_the_stronger_counts(
    leaf: x509.Certificate, other: x509.Certificate
) -> None:
    weak, strong_of_other = record_for(leaf, 3, 1, 1), record_for(other, 3, 1, 2)
    assert matching_leaf([weak], leaf) is weak
    assert matching_leaf([weak, strong_of_other], leaf) is None
    # Another selector, another usage and the thing itself are not digests of the same.
    for beside in (
        record_for(other, 3, 0, 2),
        record_for(other, 2, 1, 2),
        record_for(other, 3, 1, 0),
    ):
        assert matching_leaf([weak, beside], leaf) is weak
    exact = record_for(leaf, 3, 1, 0)
    assert matching_leaf([strong_of_other, exact], leaf) is exact
    assert matching_anchors([record_for(leaf, 2, 0, 1), record_for(other, 2, 0, 2)], [leaf]) == []


@pytest.mark.parametrize("usage", [0, 1])
def test_usages_that_narrow_a_trust_store_are_refused_with_advice(usage: int) -> None:
    with pytest.raises(ConfigurationError, match="usage 2 or 3"):
        TlsaRecord(usage, 1, 1, bytes(32))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((4, 1, 1, bytes(32)), "usage must be 2 or 3"),
        ((3, 2, 1, bytes(32)), "selector must be 0 or 1"),
        ((3, 1, 3, bytes(32)), "matching type must be 0 or 1 or 2"),
        ((3.0, 1, 1, bytes(32)), "usage must be"),
        ((3, True, 1, bytes(32)), "selector must be"),
        ((3, 1, 1, bytes(31)), "32 bytes, not 31"),
        ((3, 1, 1, bytes(64)), "32 bytes, not 64"),
        ((3, 1, 2, bytes(32)), "64 bytes, not 32"),
        ((3, 1, 1, "ab" * 16), "must be bytes"),
        ((2, 0, 0, b""), "a certificate"),
        ((2, 0, 0, bytes(32)), "a certificate"),
        ((3, 1, 0, bytes(32)), "a SubjectPublicKeyInfo"),
    ],
)
def test_what_is_no_record(values: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        TlsaRecord(*values)


@pytest.mark.parametrize(
    "text",
    [
        "3 1 1 " + "ab" * 32,
        "3 1 1 " + "AB" * 32,
        " 3  1\t1 " + "ab" * 28 + " " + "ab" * 4 + "\n",
        "3 1 1 ( " + "ab" * 16 + "\n " + "ab" * 16 + " )",
    ],
)
def test_text_of_zone_files(text: str) -> None:
    assert TlsaRecord.parse(text) == TlsaRecord(3, 1, 1, b"\xab" * 32)


@pytest.mark.parametrize("text", ["", "3 1 1", "3 1", "3 1 1 abc", "3 1 one ab", "3 1 1 xy"])
def test_what_is_no_such_text(text: str) -> None:
    with pytest.raises(ConfigurationError):
        TlsaRecord.parse(text)


@given(st.sampled_from(USAGES), st.sampled_from(SELECTORS), st.data())
def test_wire_and_text_say_the_same(usage: int, selector: int, data: st.DataObject) -> None:
    digest = data.draw(st.binary(min_size=32, max_size=32))
    record = TlsaRecord(usage, selector, 1, digest)
    assert TlsaRecord.from_wire(bytes((usage, selector, 1)) + digest) == record
    assert TlsaRecord.parse(f"{usage} {selector} 1 {digest.hex()}") == record
    assert hash(TlsaRecord(usage, selector, 1, digest)) == hash(record)


@given(st.binary(max_size=80) | st.integers(2, 3).map(lambda usage: bytes((usage, 0, 0, 0x30, 0))))
def test_any_wire_bytes_are_a_record_or_a_configuration_error(rdata: bytes) -> None:
    try:
        record = TlsaRecord.from_wire(rdata)
    except ConfigurationError:
        return
    assert bytes((record.usage, record.selector, record.matching_type)) + record.data == rdata


@given(st.text(max_size=80))
def test_any_text_is_a_record_or_a_configuration_error(text: str) -> None:
    try:
        TlsaRecord.parse(text)
    except ConfigurationError:
        return


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_digests_are_those_of_openssl(leaf: x509.Certificate, digest: str) -> None:
    def openssl(*command: str, given: bytes) -> bytes:
        finished = subprocess.run(
            ["openssl", *command], input=given, capture_output=True, check=True
        )
        return finished.stdout

    matching_type = {"sha256": 1, "sha512": 2}[digest]
    certificate = openssl("x509", "-outform", "DER", given=pem_of(leaf))
    public_pem = openssl("x509", "-noout", "-pubkey", given=pem_of(leaf))
    public_key = openssl("pkey", "-pubin", "-outform", "DER", given=public_pem)
    for selector, content in enumerate((certificate, public_key)):
        # "SHA2-256(stdin)= ..."
        said = openssl("dgst", f"-{digest}", given=content).decode().rpartition(" ")[2]
        assert TlsaRecord.parse(f"3 {selector} {matching_type} {said}").matches(leaf)
