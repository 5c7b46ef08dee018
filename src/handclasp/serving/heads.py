"""The head of a request, read strictly, before h11 reads it.

h11 accepts what RFC 9112 lets a recipient accept, such as lines that end with LF alone. A gateway
in front of this server may read them in another way, and would then see other requests than this
server does (request smuggling). So only the one form that all read alike is accepted.
"""

from __future__ import annotations

import re

MAX_HEAD_BYTES = 64 * 1024
"""The largest size of the request line and all fields."""

END_OF_HEAD = b"\r\n\r\n"
EMPTY_LINE = b"\r\n"

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(_TOKEN + rb" [\x21-\x7e]+ HTTP/[0-9]\.[0-9]\r\n")
"""RFC 9112 section 3."""
_LENGTH = re.compile(rb"[0-9]+")
_MOST_DIGITS = 19
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n")
"""RFC 9112 section 5: no space before the colon, no folded lines, no control characters."""
_BAD_END = re.compile(rb"\r(?!\n|\Z)|(?<!\r)\n")
_HOST = re.compile(
    rb"(?:\[[0-9A-Za-z.:_~!$&'()*+,;=-]+\]|(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
)
"""RFC 9110 section 7.2: the host of a URI (RFC 3986 section 3.2.2), and a port. It may be empty."""
_FRAMING = re.compile(rb"^(host|content-length|transfer-encoding):(.*)\r$", re.I | re.M)


def fault_of_beginning(head: bytes | bytearray, checked: int) -> tuple[int, str] | None:
    """Return the status and the reason to refuse a head that is not complete; None for no reason.

    Args:
        head: what has come so far.
        checked: how many bytes of it had come when it was checked last.
    """
    if len(head) > MAX_HEAD_BYTES:
        return 431, "The head of the request is too long"
    if _BAD_END.search(head, max(0, checked - 1)):
        return 400, "A line of the head does not end with CR LF"
    return None


def fault_of(head: bytes) -> tuple[int, str] | None:
    """Return the status and the reason to refuse a complete head; None for no reason.

    `has_body` and h11 rely on it: one host, and one way to tell where the body ends.
    """
    if len(head) > MAX_HEAD_BYTES:
        return 431, "The head of the request is too long"
    line, _, rest = head.partition(b"\r\n")
    if not _REQUEST_LINE.fullmatch(line + b"\r\n"):
        return 400, "The first line is not a request line"
    if b" HTTP/1." not in line[-9:]:
        return 505, "This server speaks HTTP/1.1"
    if not _FIELDS.fullmatch(rest):
        return 400, "A line of the head is not a field"
    # A later minor version is one of HTTP/1.1 (RFC 9110 section 2.5).
    return _fault_of_framing(not line.endswith(b"HTTP/1.0"), rest)


def has_body(head: bytes) -> bool:
    """Return whether a body follows a head without faults."""
    return any(
        name.lower() == b"transfer-encoding"
        or (name.lower() == b"content-length" and int(value.strip(b" \t")))
        for name, value in _FRAMING.findall(head)
    )


def _fault_of_framing(is_http11: bool, fields: bytes) -> tuple[int, str] | None:
    found: dict[bytes, list[bytes]] = {}
    for name, value in _FRAMING.findall(fields):
        found.setdefault(name.lower(), []).append(value.strip(b" \t"))
    hosts = found.get(b"host", [])
    lengths = found.get(b"content-length", [])
    codings = found.get(b"transfer-encoding", [])
    if len(hosts) > 1 or (not hosts and is_http11):
        return 400, "A request names one host"  # RFC 9112 section 3.2
    if hosts and not _HOST.fullmatch(hosts[0]):
        return 400, "The host is not one of a URI"
    if fault := _fault_of_lengths(lengths):
        return 400, fault
    if codings and (lengths or not is_http11):
        return 400, "It is not clear where the body ends"  # RFC 9112 section 6.1
    if codings and [each.lower() for each in codings] != [b"chunked"]:
        return 501, "The coding of the body is not known"
    return None


def _fault_of_lengths(lengths: list[bytes]) -> str | None:
    """Return what is wrong with the values of Content-Length (RFC 9112 section 6.3)."""
    if len(lengths) > 1 or any(b"," in each for each in lengths):
        return "There is more than one length of the body"
    for each in lengths:
        if not _LENGTH.fullmatch(each):
            return "The length of the body is not a number"
        if len(each) > _MOST_DIGITS:
            return f"The length of the body has more than {_MOST_DIGITS} digits"
    return None
