"""A conversation in the clear that is fed with bytes, and the error of one that went wrong.

>>> from handclasp.starttls.dialogue import Dialogue, DialogueError, Talk
>>> def script(talk: Talk):
...     talk.send(b"hello\\r\\n")
...     answer = yield from talk.line()
...     if answer != b"hello":
...         raise DialogueError.refused(answer)
>>> talk = Dialogue(script)
>>> talk.data_to_send()
b'hello\\r\\n'
>>> talk.receive_data(b"go away\\r\\n")
Traceback (most recent call last):
    ...
handclasp.starttls.dialogue.DialogueError: The server refuses to begin TLS: 'go away'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import TypeAlias, TypeVar

from handclasp.explained import ExplainedError

MOST_BYTES = 64 * 1024
"""The bytes that a server may send before TLS."""
LONGEST_LINE = 8192
"""The bytes of a line of its own. SMTP allows 512 (RFC 5321 section 4.5.3.1.5); servers send more.
"""
_MOST_SHOWN = 80
_HEAD_SIZE = 5
_TLS_RECORD = re.compile(rb"[\x15\x16]\x03[\x01-\x04]")
"""An alert or a handshake message. As the head of a MySQL packet, this would be longer than all
that may come before TLS."""

Read = TypeVar("Read")
Reading: TypeAlias = Generator[None, None, Read]
"""A part of a script that waits for bytes, and returns what it has read."""
Script: TypeAlias = Reading[None]


class DialogueError(ExplainedError):
    """A failure before TLS began, for people and for programs.

    See `handclasp.starttls.dialogue` for an example.

    Attributes:
        name: "STARTTLS_REFUSED", "STARTTLS_NOT_OFFERED", "STARTTLS_INJECTION", "STARTTLS_BROKEN",
            "STARTTLS_CLOSED", "STARTTLS_TIMEOUT", or "PROXY_REFUSED".
        message: what happened, with what the server said.
        explanation, fix, blame, condition: as in `ExplainedError`.
    """

    @classmethod
    def refused(cls, said: bytes) -> DialogueError:
        """Return the error for a server that says no."""
        return cls(
            "STARTTLS_REFUSED",
            f"The server refuses to begin TLS: {shown(said)}.",
            "The server speaks the protocol, and does not begin TLS when it is asked to.",
            "See the server's log, and check that it has a certificate and that TLS is switched "
            "on in its settings.",
            "server",
            "unless it is not meant to offer TLS on this port",
        )

    @classmethod
    def turned_away(cls, said: bytes) -> DialogueError:
        """Return the error for a server that refuses the client, with TLS or without."""
        return cls(
            "STARTTLS_REFUSED",
            f"The server refuses this client before TLS is asked for: {shown(said)}.",
            "The server speaks the protocol, and takes no connection from here, or none now.",
            "See the server's log. Some servers let only certain addresses in, or allow only so "
            "many connections at once.",
            "server",
            "unless it is not meant to serve this client",
        )

    @classmethod
    def not_offered(cls, said: str) -> DialogueError:
        """Return the error for a server that does not name TLS among its capabilities."""
        return cls(
            "STARTTLS_NOT_OFFERED",
            f"The server does not offer TLS: {said}.",
            "Either TLS is switched off there, or somebody on the way has taken the offer out, "
            "so that everything is said in the clear.",
            "Check the server's settings, and look at its offer from the server's own machine. If "
            "it is there, something on the way removes it.",
            "unclear",
            "the server, if it has no TLS; otherwise something on the way",
        )

    @classmethod
    def broken(cls, why: str) -> DialogueError:
        """Return the error for bytes that are not those of the protocol, or too many."""
        return cls(
            "STARTTLS_BROKEN",
            f"The server does not speak the protocol: {why}.",
            "The port may be one of another protocol, or one where TLS begins at once.",
            "Check the port and the protocol (--starttls). Where TLS begins at once, leave "
            "--starttls out.",
            "unclear",
            "this end, if it is the wrong port or protocol; otherwise the server",
        )

    @classmethod
    def speaks_tls(cls, said: bytes, other: str) -> DialogueError:
        """Return the error for a server or a proxy whose first bytes are a record of TLS."""
        kind = {21: "an alert", 22: "a handshake message"}[said[0]]
        fix = "Leave --starttls out, or name the port where the protocol begins in the clear."
        if other == "proxy":
            fix = "Name the port where the proxy takes requests in the clear."
        return cls(
            "STARTTLS_BROKEN" if other == "server" else "PROXY_REFUSED",
            f"The {other} speaks TLS from the start: its first bytes ({said.hex()}) are the head "
            f"of a TLS record with {kind}.",
            "TLS begins at once on this port.",
            fix,
            "client",
            "which begins in the clear",
        )


def shown(said: bytes) -> str:
    """Return the first bytes that a server sent, safe to print.

    >>> from handclasp.starttls.dialogue import shown
    >>> shown(b"220 ready")
    "'220 ready'"
    """
    return repr(said[:_MOST_SHOWN])[1:]


class Talk:
    """The bytes that a script says and hears.

    See `handclasp.starttls.dialogue` for an example.

    Attributes:
        heard, said: the bytes that are not yet read, and those that are not yet sent.
        other: the end that it talks with, "proxy" or "server".
    """

    def __init__(self) -> None:
        self.other = "server"
        self.heard = bytearray()
        self.said = bytearray()
        self._total = 0
        self._first = bytearray()

    def send(self, data: bytes) -> None:
        """Queue bytes for the server."""
        self.said += data

    def hear(self, data: bytes) -> None:
        """Take bytes of the server; raise `DialogueError` beyond `MOST_BYTES`."""
        self._total += len(data)
        if self._total > MOST_BYTES:
            raise DialogueError.broken(f"more than {MOST_BYTES:,} bytes came before TLS")
        if len(self._first) < _HEAD_SIZE:
            self._first += data[:_HEAD_SIZE]
            if _TLS_RECORD.match(self._first):
                raise DialogueError.speaks_tls(bytes(self._first), self.other)
        self.heard += data

    @property
    def has_heard(self) -> bool:
        """Whether the other end has sent anything."""
        return bool(self._first)

    def meet(self, other: str) -> None:
        """Begin to talk with another end, "proxy" or "server"."""
        self.other = other
        self._first.clear()

    def exactly(self, size: int) -> Reading[bytes]:
        """Read as many bytes; raise `DialogueError` for more than can come."""
        if size > MOST_BYTES:
            raise DialogueError.broken(f"it announces {size:,} bytes before TLS")
        while len(self.heard) < size:
            yield
        return self._take(size)

    def line(self) -> Reading[bytes]:
        """Read a line, which is returned without its end."""
        searched = 0
        while (end := self.heard.find(b"\n", searched)) < 0:
            searched = len(self.heard)
            if searched > LONGEST_LINE:
                raise DialogueError.broken(f"a line of more than {LONGEST_LINE:,} bytes")
            yield
        return self._take(end + 1).rstrip(b"\r\n")

    def until(self, *ends: bytes) -> Reading[bytes]:
        """Read up to the first of some texts, which is included."""
        searched, longest = 0, max(map(len, ends))
        while True:
            found = [(at, end) for end in ends if (at := self.heard.find(end, searched)) >= 0]
            if found:
                at, end = min(found)
                return self._take(at + len(end))
            searched = max(0, len(self.heard) - longest)
            yield

    def _take(self, size: int) -> bytes:
        taken = bytes(self.heard[:size])
        del self.heard[:size]
        return taken


class Dialogue:
    """The client's part of a conversation before TLS.

    See `handclasp.starttls.dialogue` for an example.

    Attributes:
        is_over: whether the next bytes are those of TLS.
    """

    def __init__(self, script: Callable[[Talk], Script]) -> None:
        self._talk = Talk()
        self._script = script(self._talk)
        self.is_over = False
        self._resume()

    def data_to_send(self) -> bytes:
        """Return the bytes for the server, each once."""
        said = bytes(self._talk.said)
        self._talk.said.clear()
        return said

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the server; none are its end. Raises `DialogueError`."""
        if not data:
            raise _closed(self._talk)
        self._talk.hear(data)
        self._resume()

    def time_out(self, seconds: float) -> DialogueError:
        """Return the error for a server that has been silent for some seconds."""
        talk = self._talk
        so_far = f"; so far it has said {shown(bytes(talk.heard))}" if talk.heard else ""
        said = f"The {talk.other} said nothing more for {seconds:g} s{so_far}."
        if talk.other == "proxy":
            why = "It may not be a proxy, or it cannot reach the server."
            return DialogueError("STARTTLS_TIMEOUT", said, why, _PROXY, "unclear", _PROXY_OR_WAY)
        return DialogueError(
            "STARTTLS_TIMEOUT",
            said,
            "The other end waits, too: perhaps for TLS at once, or for another protocol.",
            "Check the port and the protocol (--starttls)."
            + ("" if talk.has_heard else f" {_AT_ONCE}"),
            "unclear",
            "this end, if it is the wrong port or protocol; otherwise the server",
        )

    def _resume(self) -> None:
        try:
            next(self._script)
        except StopIteration:
            self.is_over = True
            if self._talk.heard:
                raise _injected(bytes(self._talk.heard)) from None


_AT_ONCE = (
    "Where TLS begins at once (as on ports 465, 636, 990, 993 and 995), leave --starttls out."
)


_PROXY = "Check the proxy's address and port, and see its log."
_PROXY_OR_WAY = "this end, if that is not the proxy; otherwise the proxy, or something on the way"


def _closed(talk: Talk) -> DialogueError:
    heard = bytes(talk.heard)
    silent = f"The {talk.other} closed the connection without a word, before TLS began."
    if talk.other == "proxy" and not talk.has_heard:
        why = "It said nothing about the reason."
        return DialogueError("STARTTLS_CLOSED", silent, why, _PROXY, "unclear", _PROXY_OR_WAY)
    if not talk.has_heard:
        return DialogueError(
            "STARTTLS_CLOSED",
            silent,
            "It said nothing about the reason: perhaps the port is one of another protocol, or one "
            "where TLS begins at once, or the server takes no connection from here.",
            f"Check the port and the protocol (--starttls). {_AT_ONCE} If they are right, see the "
            "server's log.",
            "unclear",
            "this end, if it is the wrong port or protocol; otherwise the server, or something on "
            "the way",
        )
    return DialogueError(
        "STARTTLS_CLOSED",
        "The server closed the connection before TLS began.",
        f"The last that it said, {shown(heard)}, is not whole."
        if heard
        else "It said nothing about the reason.",
        "See the server's log. Some servers let only certain addresses in, or allow only so many "
        "connections at once.",
        "server",
        "unless something on the way closed it",
    )


def _injected(data: bytes) -> DialogueError:
    return DialogueError(
        "STARTTLS_INJECTION",
        f"{len(data):,} bytes came after the answer that begins TLS, in the clear: {shown(data)}.",
        "No server sends anything then. Somebody on the way can have inserted it, so that it would "
        "pass for protected.",
        "Do not use this connection. Look at it from another network.",
        "unclear",
        "somebody on the way, unless the server is broken",
    )
