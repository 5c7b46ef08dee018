"""The five bytes in front of every record (RFC 9846 section 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from handclasp.errors import ProtocolError
from handclasp.faults import Blame, Fault, Verdict, advice
from handclasp.iana import ContentType, version_name

if TYPE_CHECKING:
    from handclasp.wire.greetings import Greeting

HEADER_SIZE: Final = 5
MAX_PLAINTEXT: Final = 2**14
"""The largest content of a record, in bytes."""

MAX_CIPHERTEXT: Final = 2**14 + 256
"""The largest size of a protected record after its header, in bytes (RFC 9846 section 5.2)."""

MAJOR_VERSION: Final = 3
"""The major version that stands in the header of every record of SSL 3.0 and TLS."""

RECORD_STARTS: Final = frozenset(
    kind << 8 | MAJOR_VERSION
    for kind in range(ContentType.CHANGE_CIPHER_SPEC, ContentType.APPLICATION_DATA + 1)
)
"""The first two bytes of all records, as numbers: the type, and the major version."""

_FIRST_HELLO_HEADER = b"\x16\x03\x01"
PLAINTEXT_HEADERS = {int(kind): bytes([kind, 3, 3]) for kind in ContentType}
"""The bytes before the length, by content type."""


def write_plaintext(kind: int, fragment: bytes, *, first_hello: bool = False) -> bytes:
    """Write a TLSPlaintext; the first ClientHello has version 0x0301 for old middleboxes."""
    head = _FIRST_HELLO_HEADER if first_hello else PLAINTEXT_HEADERS[kind]
    return head + len(fragment).to_bytes(2, "big") + fragment


CHANGE_CIPHER_SPEC_RECORD = write_plaintext(int(ContentType.CHANGE_CIPHER_SPEC), b"\x01")
"""The whole record, the same in all versions and connections."""


def what_else_it_is(start: bytes) -> tuple[Fault, str]:
    """Return the fault for bytes that do not begin like TLS, and the evidence for people.

    `start` is the first bytes of the peer, at least one.
    """
    if start[:4] in _HTTP:
        line = bytes(start[:60]).split(b"\r\n")[0]
        return Fault.PLAINTEXT_HTTP, f"the first bytes are {line!r}"
    if bytes(start[:5]).lower() in _HTML:
        # The answer of a server that mistakes a ClientHello for a request of HTTP/0.9.
        line = bytes(start[:60]).splitlines()[0]
        return Fault.PLAINTEXT_HTTP, f"the first bytes are {line!r}, a page without a status line"
    # An SSLv2 CLIENT-HELLO: two bytes of length with the top bit set, then msg_type 1.
    if len(start) >= HEADER_SIZE and start[0] & 0x80 and start[2] == 1:
        return Fault.SSLV2_HELLO, f"it offers {version_name(start[3] << 8 | start[4])}"
    speaker = next((who for begin, who in _GREETINGS if start.startswith(begin)), "")
    if (greeting := _greeting_of(start)) is not None:
        speaker = f", as of a server for {greeting.name} before TLS"
    if start[:1] == b"\x10" and b"\0\x04MQTT" in start[:12]:
        speaker = ", as of MQTT without TLS"
    noun = "byte is" if len(start) == 1 else "bytes are"
    return Fault.NOT_TLS, f"the first {noun} {bytes(start[:16])!r}{speaker}"


def refused_start(start: bytes, *, from_client: bool) -> ProtocolError:
    """Return the error for an end whose first bytes do not begin like TLS.

    `start` may be shorter than a header where that end said no more.
    """
    fault, detail = what_else_it_is(start)
    if from_client:
        known = mistaken_client(start) if len(start) >= HEADER_SIZE else None
        if known is not None:
            fix = advice(known.fix_peer, known.fix_local)
            return ProtocolError(fault, detail, fix=fix, verdict=known.verdict)
    elif fault is Fault.NOT_TLS and (greeting := _greeting_of(start)) is not None:
        return ProtocolError(fault, detail, fix=greeting.fix)
    return ProtocolError(fault, detail)


def _greeting_of(start: bytes) -> Greeting | None:
    from handclasp.wire.greetings import greeting_of

    return greeting_of(start)


class Mistaken(NamedTuple):
    """The knowledge about a client that opens with another protocol.

    Attributes:
        verdict: the end to blame; None for that of the catalogue.
        fix_peer, fix_local: the advice for the client, and for the server.
    """

    verdict: Verdict | None
    fix_peer: str
    fix_local: str = ""


def mistaken_client(start: bytes) -> Mistaken | None:
    """Return more about a client by its first bytes; None if there is no more to say.

    `start` is at least five bytes: no more may have arrived.
    """
    return next(
        (told for begin, told in _MISTAKEN if begin.startswith(bytes(start[: len(begin)]))), None
    )


PROXY_V1, PROXY_V2 = b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"
"""The beginnings of the header of the PROXY protocol, which a proxy sends before TLS."""

SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
"""PostgreSQL's SSLRequest, by which a client asks for TLS in the clear."""
GSSENC_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x30"
"""PostgreSQL's GSSENCRequest, which a client with a Kerberos ticket sends before SSLRequest."""
_PROXY_HEADER = Mistaken(
    Verdict(
        Blame.UNCLEAR,
        "one end sends the header of the PROXY protocol, and the other does not expect it",
    ),
    "Send no PROXY header to this server (in HAProxy, leave out send-proxy).",
    "If a balancer is to send that header, let this server expect it (proxy_protocol=NETWORKS). "
    "Over a transport of your own, read it before TLS, and pass on what follows it "
    "(received=BYTES).",
)
_TUNNEL = Mistaken(
    None,
    "Take this server out of the client's proxy settings; if it is a proxy over TLS, give its "
    "address there with https://.",
)
_SSL_REQUEST = Mistaken(
    None,
    "Check the port: this server expects TLS from the first byte, without a request for it (in "
    "libpq: sslnegotiation=direct).",
)
_MISTAKEN = (
    (b"CONNECT ", _TUNNEL),
    (PROXY_V1, _PROXY_HEADER),
    (PROXY_V2, _PROXY_HEADER),
    (SSL_REQUEST, _SSL_REQUEST),
    (GSSENC_REQUEST, _SSL_REQUEST),
)

_METHODS = "GET POST HEAD PUT OPTIONS CONNECT PRI DELETE PATCH TRACE PROPFIND"
_HTTP = frozenset(f"{name}   "[:4].encode("ascii") for name in (*_METHODS.split(), "HTTP"))
"""The beginnings of HTTP requests and responses."""

_HTML = (b"<!doc", b"<html")

_GREETINGS = (
    (b"SSH-", ", as of SSH"),
    (PROXY_V1, ", the header of the PROXY protocol"),
    (PROXY_V2, ", the header of the PROXY protocol"),
    (SSL_REQUEST, ", as of PostgreSQL, which asks for TLS in the clear first"),
    (GSSENC_REQUEST, ", as of PostgreSQL, which asks for encryption by Kerberos first"),
    (b"EHLO ", ", as of a mail client before STARTTLS"),
    (b"-ERR", ", as of a POP3 or Redis server"),
    (b"RFB ", ", as of VNC"),
)
"""The beginnings of other protocols, for people only: nothing depends on them."""
