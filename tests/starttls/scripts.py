"""What servers of each protocol say before TLS, and what the client has to say to that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_XMPP_STREAM = (
    b"<?xml version='1.0'?><stream:stream from='example.com' id='x' version='1.0' "
    b"xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>"
)
_XMPP_TLS = b"xmlns='urn:ietf:params:xml:ns:xmpp-tls'"


def ldap_answer(code: int, text: bytes = b"", message_id: int = 1) -> bytes:
    body = b"\x0a\x01" + bytes([code]) + b"\x04\x00\x04" + bytes([len(text)]) + text
    response = b"\x78" + bytes([len(body)]) + body
    message = b"\x02\x01" + bytes([message_id]) + response
    return b"\x30\x84" + len(message).to_bytes(4, "big") + message


def mysql_greeting(capabilities: int = 0xFFFF) -> bytes:
    body = b"\x0a8.0.36\0" + bytes(4) + b"12345678\0" + capabilities.to_bytes(2, "little")
    body += b"\xff\x02\x00\xff\xdf\x15" + bytes(10) + b"123456789012\0caching_sha2_password\0"
    return len(body).to_bytes(3, "little") + b"\0" + body


def rdp_answer(kind: int, value: int) -> bytes:
    negotiation = bytes([kind, 0, 8, 0]) + value.to_bytes(4, "little")
    return b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00" + negotiation


@dataclass(frozen=True)
class Exchange:
    """What the client says first (may be nothing), and the server's answer to it."""

    client: bytes
    server: bytes


GOOD: dict[str, Sequence[Exchange]] = {
    "smtp": [
        Exchange(b"", b"220-mx.example.com ESMTP\r\n220 ready\r\n"),
        Exchange(b"EHLO localhost\r\n", b"250-mx.example.com\r\n250-SIZE 1\r\n250 STARTTLS\r\n"),
        Exchange(b"STARTTLS\r\n", b"220 2.0.0 go ahead\r\n"),
    ],
    "ftp": [
        Exchange(b"", b"220-hello\r\n it is me\r\n220 ready\r\n"),
        Exchange(b"AUTH TLS\r\n", b"234 go\r\n"),
    ],
    "imap": [
        Exchange(b"", b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
        Exchange(b"a STARTTLS\r\n", b"* OK still here\r\na OK begin\r\n"),
    ],
    "pop3": [Exchange(b"", b"+OK ready\r\n"), Exchange(b"STLS\r\n", b"+OK begin\r\n")],
    "ldap": [
        Exchange(b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037", ldap_answer(0)),
    ],
    "xmpp": [
        Exchange(
            b"<?xml version='1.0'?><stream:stream to=\"example.com\" xmlns='jabber:client' "
            b"xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
            _XMPP_STREAM
            + b"<stream:features><starttls "
            + _XMPP_TLS
            + b"><required/></starttls></stream:features>",
        ),
        Exchange(b"<starttls " + _XMPP_TLS + b"/>", b"<proceed " + _XMPP_TLS + b"/>"),
    ],
    "postgres": [Exchange(b"\0\0\0\x08\x04\xd2\x16\x2f", b"S")],
    "mysql": [
        Exchange(b"", mysql_greeting()),
        Exchange(
            b"\x20\0\0\x01\x05\x8a\0\0\0\0\0\x01\x2d" + bytes(23),
            b"",
        ),
    ],
    "rdp": [
        Exchange(
            b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
            rdp_answer(2, 1),
        )
    ],
}

REFUSED = "STARTTLS_REFUSED"
NOT_OFFERED = "STARTTLS_NOT_OFFERED"
BROKEN = "STARTTLS_BROKEN"

BAD: Sequence[tuple[str, str, bytes]] = [
    ("smtp", REFUSED, b"554 no service\r\n"),
    ("smtp", BROKEN, b"SSH-2.0-OpenSSH_9.2\r\n"),
    ("smtp", BROKEN, b"250 hello\r\n"),
    ("smtp", NOT_OFFERED, b"220 hi\r\n250-me\r\n250 SIZE\r\n"),
    ("smtp", REFUSED, b"220 hi\r\n502 what?\r\n"),
    ("smtp", REFUSED, b"220 hi\r\n250-me\r\n250 STARTTLS\r\n454 later\r\n"),
    ("smtp", BROKEN, b"220-hi\r\n" * 200),
    ("smtp", BROKEN, b"220 " + b"x" * 9000),
    ("ftp", REFUSED, b"220 hi\r\n534 no\r\n"),
    ("ftp", REFUSED, b"421 too many\r\n"),
    ("imap", NOT_OFFERED, b"* PREAUTH welcome\r\n"),
    ("imap", REFUSED, b"* BYE full\r\n"),
    ("imap", REFUSED, b"* OK\r\na NO not here\r\n"),
    ("imap", REFUSED, b"* OK\r\na BAD what\r\n"),
    ("imap", BROKEN, b"+OK\r\n"),
    ("imap", BROKEN, b"* OK\r\n" + b"* X\r\n" * 200),
    ("pop3", REFUSED, b"-ERR busy\r\n"),
    ("pop3", REFUSED, b"+OK\r\n-ERR no\r\n"),
    ("pop3", BROKEN, b"* OK\r\n"),
    ("ldap", REFUSED, ldap_answer(2, b"unsupported")),
    ("ldap", BROKEN, b"HTTP/1.1 400\r\n" + bytes(100)),
    ("ldap", BROKEN, b"\x30\x85\0\0\0\0\0"),
    ("ldap", BROKEN, b"\x30\x84\x7f\xff\xff\xff"),
    ("ldap", BROKEN, b"\x30\x03\x02\x01\x01"),
    ("ldap", BROKEN, b"\x30\x05\x02\x09\x01\x02\x03"),
    ("xmpp", NOT_OFFERED, _XMPP_STREAM + b"<stream:features></stream:features>"),
    ("xmpp", NOT_OFFERED, _XMPP_STREAM + b"<stream:features/>"),
    (
        "xmpp",
        REFUSED,
        _XMPP_STREAM + b"<stream:error><host-unknown/></stream:error></stream:stream>",
    ),
    (
        "xmpp",
        REFUSED,
        _XMPP_STREAM
        + b"<stream:features><starttls "
        + _XMPP_TLS
        + b"/></stream:features><failure "
        + _XMPP_TLS
        + b"/>",
    ),
    ("xmpp", BROKEN, b"x" * 70_000),
    ("postgres", REFUSED, b"N"),
    ("postgres", REFUSED, b"E"),
    ("mysql", NOT_OFFERED, mysql_greeting(0xF7FF)),
    ("mysql", REFUSED, b"\x17\0\0\0\xff\x10\x04Too many connections"),
    ("mysql", BROKEN, b"\x05\0\0\0\x09abcd"),
    ("mysql", BROKEN, b"\xff\xff\xff\0"),
    ("rdp", REFUSED, rdp_answer(3, 2)),
    ("rdp", NOT_OFFERED, rdp_answer(2, 0)),
    ("rdp", NOT_OFFERED, b"\x03\x00\x00\x0b\x06\xd0\x00\x00\x12\x34\x00"),
    ("rdp", BROKEN, b"\x03\x00\x00\x05\x00"),
    ("rdp", BROKEN, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
]
"""A protocol, the name of the error, and all that the server says."""
