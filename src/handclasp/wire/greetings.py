"""The greetings of servers that begin in the clear, and turn to TLS later by STARTTLS.

They change nothing in a handshake, and serve the explanation of a failure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from handclasp.advice import STARTTLS
from handclasp.faults import Fault, advice

_GREETINGS = (
    (re.compile(rb"[^\0]..\0\x0a[ -~]{1,64}\0", re.DOTALL), ("MySQL",)),
    (re.compile(rb"220[ -](?=.*SMTP)(?!.*FTP)", re.IGNORECASE), ("SMTP",)),
    (re.compile(rb"220[ -](?=.*FTP)(?!.*SMTP)", re.IGNORECASE), ("FTP",)),
    (re.compile(rb"220[ -]"), ("SMTP", "FTP")),
    (re.compile(rb"\* (OK|PREAUTH)", re.IGNORECASE), ("IMAP",)),
    (re.compile(rb"\+OK", re.IGNORECASE), ("POP3",)),
    (re.compile(rb"(<\?xml[^>]*>)?\s*<stream:stream\b"), ("XMPP",)),
)
"""The beginnings of greetings, each with the protocols that may have it."""

_PORTS = {"SMTP": 465, "FTP": 990, "IMAP": 993, "POP3": 995, "XMPP": 5223}
"""The ports on which the same protocols speak TLS from the first byte."""

_LOGGED_IN = re.compile(rb"\* PREAUTH", re.IGNORECASE)
_GO_AHEAD = re.compile(rb"TLS|go ahead|proceed", re.IGNORECASE)
"""Words of an answer that lets TLS begin."""


class Greeting(NamedTuple):
    """A server's first bytes, in a protocol that begins in the clear.

    Attributes:
        protocols: the protocols that it may be, in capitals.
        may_be_go_ahead: whether the bytes may be an answer to STARTTLS that nobody has read.
        is_logged_in: whether the client is logged in by it, after which TLS cannot begin.
    """

    protocols: tuple[str, ...]
    may_be_go_ahead: bool = False
    is_logged_in: bool = False

    @property
    def name(self) -> str:
        """The protocol, or both of them, for people."""
        return " or ".join(self.protocols)

    @property
    def fix(self) -> str:
        """The advice for both ends, as the client gives it."""
        ways = " or ".join(f"as {each} does ({STARTTLS[each]})" for each in self.protocols)
        how = f"begin TLS {ways}" + (", whichever it is" if len(self.protocols) > 1 else "")
        if self.is_logged_in:
            how = "it has logged this client in already, after which TLS cannot begin"
        told = f"This port speaks {self.name} in the clear first: {how}."
        if self.may_be_go_ahead:
            told += " If TLS was asked for already, read the whole answer before TLS begins."
        ports = [str(_PORTS[each]) for each in self.protocols if each in _PORTS]
        if ports:
            told += (
                " If the server has a port for TLS from the first byte (usually "
                f"{' or '.join(ports)}), connect to that one instead."
            )
        return advice(Fault.NOT_TLS.value.as_client.fix_peer or "", told, this_end_first=True)


def greeting_of(start: bytes) -> Greeting | None:
    """Return what a server's first bytes greet in; None if it is nothing of that kind.

    >>> from handclasp.wire.greetings import greeting_of
    >>> greeting_of(b"220 mail.example.com ESMTP ready\\r\\n").name
    'SMTP'
    >>> greeting_of(b"220 ready\\r\\n").name
    'SMTP or FTP'
    """
    for pattern, protocols in _GREETINGS:
        if pattern.match(start):
            is_logged_in = _LOGGED_IN.match(start) is not None
            return Greeting(protocols, _GO_AHEAD.search(start) is not None, is_logged_in)
    return None
