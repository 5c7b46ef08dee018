"""The hellos of a scan, read back."""

from __future__ import annotations

import pytest

from handclasp.iana import TLS12, TLS13
from handclasp.scan.hello import SSL30, TLS10, Hello, write_hello
from handclasp.scan.legacy import read_old_answer, write_old_hello
from handclasp.scan.probes import SCHEMES
from handclasp.scan.suites import MOST_AT_ONCE, SUITES13, chunks, exchange_of, suites_of, weakness
from handclasp.wire.messages import ClientHello, read_message

RANDOM = bytes(range(64))


def read_back(hello: Hello) -> ClientHello:
    found = read_message(write_hello(hello, RANDOM)[5:])
    assert isinstance(found, ClientHello)
    return found


def test_tls13_is_offered_alone_and_without_shares() -> None:
    found = read_back(Hello(TLS13, SUITES13, (0x001D,), SCHEMES, "example.com"))
    assert found.extensions[43] == b"\x02\x03\x04"
    assert found.extensions[51] == b"\0\0"
    assert found.legacy_session_id == RANDOM[32:]
    assert tuple(found.cipher_suites) == SUITES13
    assert write_hello(Hello(TLS13, SUITES13), RANDOM)[:3] == b"\x16\x03\x01"


@pytest.mark.parametrize("version", [TLS12, TLS10])
def test_older_versions_are_offered_by_the_legacy_field(version: int) -> None:
    found = read_back(Hello(version, (0x002F,), (0x0017,)))
    assert found.legacy_version == version
    assert not found.extensions.keys() & {43, 51}
    assert tuple(found.cipher_suites) == (0x002F, 0x00FF)


def test_ssl3_has_no_extensions() -> None:
    hello = Hello(SSL30, (0x000A,), (0x0017,), (), "example.com")
    assert read_back(hello).extensions == {}
    assert write_hello(hello, RANDOM)[:3] == b"\x16\x03\x00"


def test_ssl2_is_plain_bytes_and_its_answer_is_told_from_tls() -> None:
    hello = write_old_hello(bytes(16))
    assert hello[:5] == bytes((0x80, len(hello) - 2, 1, 0, 2))
    assert read_old_answer(bytes.fromhex("8030040001000200")).accepted is True
    assert read_old_answer(bytes.fromhex("15030100020246")).accepted is False
    assert read_old_answer(b"HTTP/1.1 400").accepted is False
    assert read_old_answer(b"\x80\x30\x04").accepted is None


@pytest.mark.parametrize("version", [TLS12, TLS10, SSL30])
def test_every_suite_is_offered_once(version: int) -> None:
    lists = list(chunks(suites_of(version)))
    codes = [code for each in lists for code in each]
    assert len(codes) == len(set(codes)) > 140
    assert max(map(len, lists)) <= MOST_AT_ONCE
    assert not {0x1301, 0x00FF, 0x5600, 0} & set(codes)
    if version < TLS12:
        assert not {0xC02F, 0x009C, 0x003C} & set(codes)


def test_weak_suites_have_their_worst_reason() -> None:
    assert "authentication" in weakness("TLS_DH_anon_WITH_RC4_128_MD5")
    assert "encryption" in weakness("TLS_RSA_WITH_NULL_SHA")
    assert "export" in weakness("TLS_RSA_EXPORT_WITH_RC4_40_MD5")
    assert "forward secrecy" in weakness("TLS_RSA_WITH_AES_128_GCM_SHA256")
    assert "CBC" in weakness("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA")
    assert weakness("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256") == ""
    assert exchange_of(0xC02F) == "ECDHE_RSA"
