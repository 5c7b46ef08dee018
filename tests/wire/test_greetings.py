"""What servers say first that begin in the clear, and how TLS begins there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.advice import worded
from handclasp.starttls import PROTOCOLS
from handclasp.wire.greetings import greeting_of
from handclasp.wire.records import refused_start

SMTP = b"220 mail.example.com ESMTP Postfix\r\n"


@pytest.mark.parametrize(
    ("start", "name", "options"),
    [
        (SMTP, "SMTP", ["smtp"]),
        (b"220-mail.example.com ESMTP Exim 4.97\r\n", "SMTP", ["smtp"]),
        (b"220 (vsFTPd 3.0.5)\r\n", "FTP", ["ftp"]),
        (b"220 ready\r\n", "SMTP or FTP", ["smtp", "ftp"]),
        (b"220 ftp.example.com ESMTP\r\n", "SMTP or FTP", ["smtp", "ftp"]),
        (b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", "IMAP", ["imap"]),
        (b"+OK Dovecot ready.\r\n", "POP3", ["pop3"]),
        (b"\x4a\0\0\0\x0a8.0.36\0" + bytes(52), "MySQL", ["mysql"]),
        (b"<?xml version='1.0'?><stream:stream id='a' ", "XMPP", ["xmpp"]),
    ],
)
def test_the_advice_names_the_option_for_it(start: bytes, name: str, options: list[str]) -> None:
    greeting = greeting_of(start)
    assert greeting is not None
    assert greeting.name == name
    error = refused_start(start, from_client=False)
    told = worded(error.fix, "connect")
    for each in PROTOCOLS:
        assert (f"(--starttls {each})" in told) is (each in options), told
    assert told.startswith("On this end: This port speaks")
    assert "On the other end: Speak TLS on this port" in told
    assert "--" not in worded(error.fix, "reader")


def test_a_program_of_ssl_is_told_the_method_of_its_library() -> None:
    assert "(smtplib.SMTP.starttls)" in worded(refused_start(SMTP, from_client=False).fix, "ssl")


def test_an_answer_to_starttls_that_nobody_has_read_is_not_taken_for_a_greeting_alone() -> None:
    told = refused_start(b"220 2.0.0 Ready to start TLS\r\n", from_client=False).fix
    assert "If TLS was asked for already, read the whole answer" in told
    assert "asked for already" not in refused_start(SMTP, from_client=False).fix


def test_a_server_that_has_logged_the_client_in_is_not_asked_for_tls() -> None:
    told = worded(refused_start(b"* PREAUTH IMAP4rev1\r\n", from_client=False).fix, "connect")
    assert "--starttls" not in told
    assert "TLS cannot begin" in told
    assert "993" in told


@pytest.mark.parametrize("start", [b"SSH-2.0-OpenSSH_9\r\n", b"-ERR what?\r\n", b"HTTP/1.1 400 B"])
def test_others_get_no_such_advice(start: bytes) -> None:
    assert greeting_of(start) is None
    assert "--starttls" not in worded(refused_start(start, from_client=False).fix, "connect")


def test_a_client_is_not_told_how_servers_greet() -> None:
    assert "speaks SMTP" not in refused_start(SMTP, from_client=True).fix


@given(st.binary(min_size=5, max_size=64))
def test_any_bytes_get_an_answer(start: bytes) -> None:
    greeting_of(start)
