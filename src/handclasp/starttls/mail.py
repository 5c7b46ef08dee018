"""STARTTLS in the protocols of lines: SMTP, IMAP, POP3 and FTP."""

from __future__ import annotations

import re

from handclasp.starttls.dialogue import DialogueError, Reading, Script, Talk, shown

_MOST_LINES = 128
_OWN_NAME = b"localhost"
"""A client that sends no mail needs no name of its own (RFC 5321 section 4.1.1.1)."""


def smtp(talk: Talk, name: str) -> Script:
    """Begin TLS in SMTP (RFC 3207)."""
    _welcome((yield from _reply(talk)), b"220")
    talk.send(b"EHLO " + _OWN_NAME + b"\r\n")
    offer = yield from _reply(talk)
    _expect(offer, b"250")
    keywords = [line[4:].strip().upper() for line in offer]
    if b"STARTTLS" not in keywords:
        raise DialogueError.not_offered("its answer to EHLO has no STARTTLS")
    talk.send(b"STARTTLS\r\n")
    _expect((yield from _reply(talk)), b"220")


def ftp(talk: Talk, name: str) -> Script:
    """Begin TLS in FTP (RFC 4217)."""
    _welcome((yield from _reply(talk)), b"220")
    talk.send(b"AUTH TLS\r\n")
    _expect((yield from _reply(talk)), b"234")


def imap(talk: Talk, name: str) -> Script:
    """Begin TLS in IMAP (RFC 9051 section 6.2.1)."""
    greeting = yield from talk.line()
    if greeting.upper().startswith(b"* PREAUTH"):
        raise DialogueError.not_offered(
            "it has logged this client in without being asked, after which TLS cannot begin"
        )
    if not greeting.upper().startswith(b"* OK"):
        if greeting.upper().startswith(b"* BYE"):
            raise DialogueError.turned_away(greeting)
        raise DialogueError.broken(f"it said {shown(greeting)}")
    talk.send(b"a STARTTLS\r\n")
    for _ in range(_MOST_LINES):
        line = yield from talk.line()
        if line.upper().startswith(b"A OK"):
            return
        if not line.startswith(b"* "):
            raise _unexpected(line, b"A NO", b"A BAD")
    raise DialogueError.broken(f"more than {_MOST_LINES} lines without an answer")


def pop3(talk: Talk, name: str) -> Script:
    """Begin TLS in POP3 (RFC 2595 section 4)."""
    greeting = yield from talk.line()
    if greeting.upper().startswith(b"-ERR"):
        raise DialogueError.turned_away(greeting)
    if not greeting.upper().startswith(b"+OK"):
        raise DialogueError.broken(f"it said {shown(greeting)}")
    talk.send(b"STLS\r\n")
    line = yield from talk.line()
    if not line.upper().startswith(b"+OK"):
        raise _unexpected(line, b"-ERR")


_FIRST_OF_A_REPLY = re.compile(rb"[2-5]\d\d[ -]|[2-5]\d\d$")


def _reply(talk: Talk) -> Reading[list[bytes]]:
    """Read the lines of a reply (RFC 5321 section 4.2.1; RFC 959 section 4.2)."""
    lines: list[bytes] = []
    while len(lines) < _MOST_LINES:
        line = yield from talk.line()
        if not lines and not _FIRST_OF_A_REPLY.match(line):
            raise DialogueError.broken(f"it said {shown(line)}")
        lines.append(line)
        if line[:3] == lines[0][:3] and line[3:4] != b"-":
            return lines
    raise DialogueError.broken(f"a reply of more than {_MOST_LINES} lines")


def _expect(reply: list[bytes], code: bytes) -> None:
    if reply[-1][:3] != code:
        raise _unexpected(reply[-1], b"4", b"5")


def _welcome(reply: list[bytes], code: bytes) -> None:
    """Check the greeting of a server."""
    if reply[-1].startswith((b"4", b"5")):
        raise DialogueError.turned_away(reply[-1])
    _expect(reply, code)


def _unexpected(line: bytes, *refusals: bytes) -> DialogueError:
    if line.upper().startswith(refusals):
        return DialogueError.refused(line)
    return DialogueError.broken(f"it said {shown(line)}")
