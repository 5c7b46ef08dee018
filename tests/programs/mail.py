"""Mail and files: SMTP, IMAP, POP3, FTP, and LDAP."""

from __future__ import annotations

import asyncio
import ftplib
import imaplib
import poplib
import smtplib
import ssl
from contextlib import suppress
from typing import Any

from tests.programs import ftp
from tests.programs.case import Case, Unproven
from tests.programs.peers import HOST, relay
from tests.programs.registry import Program

_FROM, _TO = "from@example.com", "to@example.com"
_LETTER = "Subject: a letter\r\n\r\n" + "A line of the letter.\r\n" * 3000


class _Mailbox:
    """The handler of an aiosmtpd server: keeps what came."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.letters.append(envelope.content)
        return "250 OK"

    def check(self, count: int = 1) -> None:
        if [len(each) for each in self.letters] != [len(_LETTER)] * count:
            raise Unproven("the letter did not arrive")


def _smtp(context: ssl.SSLContext, *, starttls: bool) -> tuple[int, _Mailbox]:
    """Start aiosmtpd and return its port."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import SMTP
    from tests.programs.peers import free_port, wait_for

    class Given(Controller):
        smtpd: Any

        def factory(self) -> SMTP:
            return SMTP(self.handler, **self.SMTP_kwargs)

        def _trigger_server(self) -> None:
            # It would connect in the clear, or by a context of its own, to see that all is well.
            wait_for(self.port)
            self.smtpd = self.smtpd or self.factory()

    mailbox, port = _Mailbox(), free_port()
    given: dict[str, Any] = {"ssl_context": context}
    if starttls:
        given = {"tls_context": context, "require_starttls": True}
    Given(mailbox, "127.0.0.1", port, **given).start()
    return port, mailbox


def with_smtplib(case: Case) -> None:
    right, wrong = case.contexts()
    port, mailbox = _smtp(case.server_context(), starttls=True)

    def send(context: ssl.SSLContext) -> None:
        with smtplib.SMTP(HOST, port, timeout=20) as client:
            client.starttls(context=context)
            client.sendmail(_FROM, [_TO], _LETTER)

    def refuse() -> None:
        client = smtplib.SMTP(HOST, port, timeout=20)
        client.starttls(context=wrong)

    send(right)
    mailbox.check()
    case.refused(refuse, ssl.SSLCertVerificationError)
    port, mailbox = _smtp(case.server_context(), starttls=False)
    with smtplib.SMTP_SSL(HOST, port, context=right, timeout=20) as client:
        client.sendmail(_FROM, [_TO], _LETTER)
    mailbox.check()


def with_aiosmtplib(case: Case) -> None:
    import aiosmtplib

    right, wrong = case.contexts()
    port, mailbox = _smtp(case.server_context(), starttls=True)

    async def send(context: ssl.SSLContext) -> None:
        client = aiosmtplib.SMTP(
            hostname=HOST, port=port, start_tls=True, tls_context=context, timeout=20
        )
        async with client:
            await client.sendmail(_FROM, [_TO], _LETTER)

    asyncio.run(send(right))
    mailbox.check()
    case.refused(
        lambda: asyncio.run(send(wrong)), aiosmtplib.SMTPException, ssl.SSLCertVerificationError
    )


def with_aiosmtpd(case: Case) -> None:
    port, mailbox = _smtp(case.server_program_context(), starttls=True)

    def send(context: ssl.SSLContext) -> None:
        client = smtplib.SMTP(HOST, port, timeout=20)
        client.starttls(context=context)
        client.sendmail(_FROM, [_TO], _LETTER)
        client.quit()

    send(case.client_context())
    mailbox.check()
    case.refused_as_stranger(lambda: send(case.client_context(stranger=True)))


def with_imaplib(case: Case) -> None:
    right, wrong = case.contexts()
    port = relay(case, "dovecot")

    def connect(context: ssl.SSLContext) -> imaplib.IMAP4_SSL:
        return imaplib.IMAP4_SSL(HOST, port, ssl_context=context, timeout=20)

    with connect(right) as client:
        client.login("user", "secret")
        client.append("INBOX", None, None, _LETTER.encode())
        client.select("INBOX")
        _, found = client.fetch("1", "(RFC822)")
        if found[0][1] != _LETTER.encode():  # type: ignore[index]
            raise Unproven("another letter came")
    case.refused(lambda: connect(wrong), ssl.SSLCertVerificationError)


def with_poplib(case: Case) -> None:
    right, wrong = case.contexts()
    port = relay(case, "dovecot-2")

    def connect(context: ssl.SSLContext) -> poplib.POP3_SSL:
        return poplib.POP3_SSL(HOST, port, context=context, timeout=20)

    client = connect(right)
    client.user("user")
    client.pass_("secret")
    client.stat()
    client.quit()
    case.refused(lambda: connect(wrong), ssl.SSLCertVerificationError)


def with_ftplib(case: Case) -> None:
    right, wrong = case.contexts()
    port = ftp.serve(case) if case.way == "both" else case.ports["vsftpd"]

    def connect(context: ssl.SSLContext) -> ftplib.FTP_TLS:
        client = ftplib.FTP_TLS(context=context, timeout=20)
        client.connect(HOST, port)
        client.auth()
        return client

    client = connect(right)
    client.login("anonymous", "me@example.com")
    client.prot_p()
    pieces: list[bytes] = []
    if "hello.txt" not in client.nlst():
        raise Unproven("the list of files is another")
    client.retrbinary("RETR hello.txt", pieces.append)
    if not b"".join(pieces).startswith(b"hello from") or sum(map(len, pieces)) < 50000:
        raise Unproven("another file came")
    client.quit()
    case.refused(lambda: connect(wrong), ssl.SSLCertVerificationError)


def with_ldap3(case: Case) -> None:
    import ldap3
    from ldap3.core.exceptions import LDAPExceptionError

    port = relay(case, "slapd")

    def search(ca: str) -> None:
        # It takes no context: `ssl` makes one from these.
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca)
        server = ldap3.Server(HOST, port, use_ssl=True, tls=tls, connect_timeout=20)
        connection = ldap3.Connection(server, "cn=admin,dc=test", "secret", auto_bind=True)
        connection.search("", "(objectClass=*)", ldap3.BASE, attributes=["namingContexts"])
        if "dc=test" not in str(connection.entries):
            raise Unproven(f"the directory answers {connection.entries}")
        with suppress(OSError):
            connection.unbind()

    search(case.ca)
    case.refused(lambda: search(case.wrong_ca), LDAPExceptionError, is_text_alone=True)


_SMTP = "aiosmtpd"
_RELAY = ", in the last column behind a relay of ours"

PROGRAMS = [
    Program("smtplib", with_smtplib, (), _SMTP),
    Program("imaplib", with_imaplib, (), "Dovecot" + _RELAY, "dovecot"),
    Program("poplib", with_poplib, (), "Dovecot" + _RELAY, "dovecot"),
    Program(
        "ftplib",
        with_ftplib,
        (),
        "vsftpd, in the last column a small server of our own",
        "vsftpd",
        alone_for_both=True,
    ),
    Program("aiosmtpd", with_aiosmtpd, ("aiosmtpd",), "smtplib", is_server=True),
    Program("aiosmtplib", with_aiosmtplib, ("aiosmtplib",), _SMTP),
    Program(
        "ldap3",
        with_ldap3,
        ("ldap3",),
        "OpenLDAP" + _RELAY,
        "slapd",
        not_possible={"passed": "it takes no context, and makes its own"},
        remark="it raises a new exception with the text of ours alone, without the explanation",
    ),
]
