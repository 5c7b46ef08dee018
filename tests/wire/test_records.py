"""Record headers, and what it is that does not begin with one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.faults import Fault
from handclasp.iana import ContentType
from handclasp.wire.records import (
    HEADER_SIZE,
    MAX_CIPHERTEXT,
    MAX_PLAINTEXT,
    what_else_it_is,
    write_plaintext,
)


def test_sizes_of_section_5() -> None:
    assert (HEADER_SIZE, MAX_PLAINTEXT, MAX_CIPHERTEXT) == (5, 16384, 16640)


@pytest.mark.parametrize("kind", ContentType)
def test_a_plaintext_record(kind: ContentType) -> None:
    assert write_plaintext(kind, b"abc") == bytes([kind]) + b"\x03\x03\x00\x03abc"


def test_the_first_hello_says_tls_10() -> None:
    record = write_plaintext(ContentType.HANDSHAKE, b"hello", first_hello=True)
    assert record == b"\x16\x03\x01\x00\x05hello"


@pytest.mark.parametrize(
    ("start", "fault", "evidence"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n", Fault.PLAINTEXT_HTTP, "GET / HTTP/1.1'"),
        (b"POST /a HTTP/1.1\r\n", Fault.PLAINTEXT_HTTP, "POST"),
        (b"HEAD / HTTP/1.1\r\n", Fault.PLAINTEXT_HTTP, "HEAD"),
        (b"PUT /a HTTP/1.1\r\n", Fault.PLAINTEXT_HTTP, "PUT"),
        (b"OPTIONS * HTTP/1.1\r\n", Fault.PLAINTEXT_HTTP, "OPTIONS"),
        (b"CONNECT a:1 HTTP/1.1\r\n", Fault.PLAINTEXT_HTTP, "CONNECT"),
        (b"PRI * HTTP/2.0\r\n", Fault.PLAINTEXT_HTTP, "PRI"),
        (b"HTTP/1.1 400 Bad Request\r\n", Fault.PLAINTEXT_HTTP, "400 Bad Request"),
        (b"DELETE /a HTTP/1.1\r\n", Fault.PLAINTEXT_HTTP, "DELETE"),
        (
            b'<!DOCTYPE HTML>\n<html lang="en">',
            Fault.PLAINTEXT_HTTP,
            "a page without a status line",
        ),
        (b"<html><head>", Fault.PLAINTEXT_HTTP, "a page without a status line"),
        (b"\x80\x2e\x01\x03\x01\x00\x15", Fault.SSLV2_HELLO, "TLSv1.0"),
        (b"\x80\x2e\x02\x03\x01\x00\x15", Fault.NOT_TLS, "first bytes"),
        (b"220 mail.example ESMTP\r\n", Fault.NOT_TLS, "220 mail.example"),
        (b"SSH-2.0-OpenSSH_9\r\n", Fault.NOT_TLS, "SSH-2.0"),
        (b"\0\0\0\0\0", Fault.NOT_TLS, "x00"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 9 443\r\n", Fault.NOT_TLS, "the PROXY protocol"),
        (b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c", Fault.NOT_TLS, "the PROXY protocol"),
        (b"\0\0\0\x08\x04\xd2\x16/", Fault.NOT_TLS, "as of PostgreSQL"),
        (b"\0\0\0\x08\x04\xd2\x160", Fault.NOT_TLS, "encryption by Kerberos first"),
        (b"\x10\x10\0\x04MQTT\x05\x02", Fault.NOT_TLS, "as of MQTT"),
    ],
)
def test_what_else_speaks(start: bytes, fault: Fault, evidence: str) -> None:
    found, detail = what_else_it_is(start)
    assert found is fault
    assert evidence in detail


@settings(deadline=None)
@given(st.binary(min_size=5, max_size=64))
def test_any_start_gets_an_answer_fit_to_print(start: bytes) -> None:
    fault, detail = what_else_it_is(start)
    assert fault in (Fault.NOT_TLS, Fault.PLAINTEXT_HTTP, Fault.SSLV2_HELLO)
    assert detail.isprintable()
    assert detail.isascii()
