"""The content of a conversation without TLS, or before TLS begins, in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from handclasp.capture.outcome import PACKETS_CUT_OFF
from handclasp.capture.stream import Piece, Stream
from handclasp.faults import Fault
from handclasp.iana import ContentType, alert_name, version_name
from handclasp.wire.greetings import greeting_of
from handclasp.wire.records import (
    GSSENC_REQUEST,
    HEADER_SIZE,
    MAX_CIPHERTEXT,
    SSL_REQUEST,
    mistaken_client,
    what_else_it_is,
)

_HEAD_OF_HELLO = re.compile(rb"\x16(?:\x03(?:[\0-\x04](?:.{0,2}|..\x01.{0,4})?)?)?", re.DOTALL)
"""So few bytes that a ClientHello is not recognized by them."""
_PROXY_HEADER = re.compile(rb"PROXY |\r\n\r\n\0\r\nQUIT\n")
_KERBEROS = re.compile(re.escape(GSSENC_REQUEST))
_KERBEROS_THEN_TLS = re.compile(re.escape(GSSENC_REQUEST + SSL_REQUEST))
_OPENED_BY_CLIENT = (
    (re.compile(rb"CONNECT \S+ HTTP/"), "a proxy's CONNECT"),
    (_PROXY_HEADER, "the PROXY protocol"),
    (re.compile(re.escape(SSL_REQUEST)), "PostgreSQL, SSLRequest"),
    (_KERBEROS_THEN_TLS, "PostgreSQL, GSSENCRequest and SSLRequest"),
    (_KERBEROS, "PostgreSQL, GSSENCRequest"),
    (re.compile(rb"\x05[\x01-\x09][\0-\x09]"), "SOCKS"),
    (re.compile(rb"\x04[\x01\x02]..[^\0].{0,99}\0", re.DOTALL), "SOCKS"),
)
_ASKED = (
    (re.compile(rb"1\.3\.6\.1\.4\.1\.1466\.20037"), "LDAP, StartTLS"),
    (re.compile(rb"<starttls\b", re.IGNORECASE), "XMPP, STARTTLS"),
    (re.compile(rb"^AUTH (TLS|SSL)", re.IGNORECASE | re.MULTILINE), "FTP, AUTH TLS"),
    (re.compile(rb"^(\S+ )?STARTTLS\b", re.IGNORECASE | re.MULTILINE), "STARTTLS"),
    (re.compile(rb"^STLS\b", re.IGNORECASE | re.MULTILINE), "STLS"),
)
_NOT_TLS = (
    (re.compile(rb"SSH-\d"), "It is SSH."),
    (re.compile(re.escape(SSL_REQUEST)), "PostgreSQL: the client asks for TLS (SSLRequest)."),
    (
        _KERBEROS_THEN_TLS,
        "PostgreSQL: the client asks for encryption by Kerberos (GSSENCRequest), then for TLS "
        "(SSLRequest).",
    ),
    (_KERBEROS, "PostgreSQL: the client asks for encryption by Kerberos (GSSENCRequest)."),
    (re.compile(rb"\0\0..\0\x03\0\0user\0", re.DOTALL), "It is PostgreSQL without TLS."),
    (re.compile(rb"CONNECT \S+ HTTP/"), "A proxy was asked for a tunnel (CONNECT)."),
)
_EXPECTS_HTTPS = re.compile(
    rb"\AHTTP/1\.[01] 400 .*(?:plain HTTP request was sent to HTTPS port|"
    rb"speaking plain HTTP to an SSL-enabled server|HTTP request to an HTTPS server)",
    re.DOTALL,
)
"""The answers of nginx, Apache and Go to plain HTTP on a port for HTTPS."""

_LOOKED_AT = 4096
"""The bytes of each end that are searched for a request."""


def kind_of_preamble(client: bytes, server: bytes) -> str:
    """Return the protocol before TLS, if it is known; otherwise an empty text."""
    client, server = client[:_LOOKED_AT], server[:_LOOKED_AT]
    for pattern, name in _OPENED_BY_CLIENT:
        if pattern.match(client):
            return name
    asked = next((name for pattern, name in _ASKED if pattern.search(client)), "")
    if "," in asked:
        return asked
    greeting = greeting_of(server)
    protocol = greeting.name if greeting is not None else ""
    if protocol == "SMTP or FTP" and asked == "STARTTLS":
        protocol = "SMTP"
    return ", ".join(filter(None, (protocol, asked)))


_REFUSALS = re.compile(rb"^(?:[45]\d\d[ -]|-ERR\b|\S+ (?:NO|BAD) )[^\r\n]*", re.IGNORECASE)


def refusal_of_tls(server: bytes) -> str:
    """Return the last line that a server says before TLS, if it refuses something by it.

    The last request was the one for TLS, as the client began with TLS after it. Empty if there is
    none.
    """
    lines = server[:_LOOKED_AT].rstrip().splitlines()
    found = _REFUSALS.match(lines[-1]) if lines else None
    return repr(found[0][:_MOST_OF_A_LINE])[1:] if found is not None else ""


_MOST_OF_A_LINE = 80


def is_proxy_header(client: bytes) -> bool:
    """Return whether a client's bytes before TLS begin with the header of the PROXY protocol."""
    return _PROXY_HEADER.match(client) is not None


def preamble_sentence(sizes: tuple[int, int], missing: int, kind: str) -> str:
    """Return a sentence about the bytes before TLS; `sizes` are those of the client and of the
    server.
    """
    client, server = sizes
    said = f"{_bytes(client)} of the client and {server:,} of the server"
    if not server:
        said = f"{_bytes(client)} of the client"
    elif not client:
        said = f"{_bytes(server)} of the server"
    more = f" (and {missing:,} more, which are not in the capture)" if missing else ""
    told = f" ({kind})" if kind else ""
    return f"{said}{more} came before TLS, in the clear{told}; they are left out."


def opens_with_ssl2(stream: Stream) -> bool:
    """Return whether an end sends a hello in the form of SSLv2."""
    return any(_is_ssl2_hello(_said(stream, sender)) for sender in (0, 1))


def what_instead(stream: Stream) -> str:
    """Return what a conversation without a ClientHello is, in a sentence or two."""
    said = [_said(stream, sender) for sender in (0, 1)]
    if not any(said):
        return _silence(stream)
    for sender in (0, 1):
        if _is_ssl2_hello(said[sender]):
            return _ssl2_story(said[sender], said[1 - sender])
    is_whole = _is_whole(stream)
    begun = next((each for each in said if _HEAD_OF_HELLO.fullmatch(each)), None)
    if begun is not None and stream.begins and is_whole:
        return f"The first bytes may be those of a ClientHello, which ends after them: {begun!r}."
    stranger = _who_speaks_no_tls(stream, said) if is_whole else None
    if stranger is not None:
        return _client_without_tls(said[stranger], said[1 - stranger])
    first = next(piece for piece in stream.pieces if piece.data)
    start = first.data if len(first.data) >= HEADER_SIZE else said[first.sender]
    if any(_is_record(piece.data) for piece in stream.pieces[:_MOST_PIECES]):
        if stream.begins and stream.missing:
            return (
                "The ClientHello of this TLS connection is not in the capture: "
                f"{_bytes(stream.missing)} are missing."
            )
        if stream.begins and not all(stream.captured):
            return (
                "The ClientHello of this TLS connection is not in the capture, in which one end "
                "alone speaks."
            )
        if stream.begins:
            return _tls_without_hello(stream, said)
        return (
            "The capture begins in the middle of a TLS connection: its ClientHello is not there."
            + (f" {_bytes(stream.missing)} are missing besides." if stream.missing else "")
        )
    if not stream.begins:
        return (
            "The capture begins in the middle of this connection, without a ClientHello: "
            "whether it is TLS is unknown."
        )
    if not is_whole:
        return _undecided(stream, said, first)
    return f"{_without_tls(stream)} {_other_protocol(said, start)}"


def _without_tls(stream: Stream) -> str:
    """Return the sentence that there is no TLS, which may begin later while nobody has left."""
    if stream.endings:
        return "There is no TLS on this connection."
    return "There is no TLS in what was captured of this connection."


def _other_protocol(said: list[bytes], start: bytes) -> str:
    """Return what is spoken instead of TLS, in a sentence or two."""
    for pattern, told in _NOT_TLS:
        if any(pattern.match(each) for each in said):
            return f"{told}{_answer(said)}"
    protocol = kind_of_preamble(*said) or kind_of_preamble(*reversed(said))
    if protocol:
        return f"It is in the clear: {protocol}."
    for client, server in (said, said[::-1]):
        if _EXPECTS_HTTPS.search(server):
            line = bytes(client[:60]).split(b"\r\n")[0]
            return (
                f"The client speaks plain HTTP (the first bytes are {line!r}), and the server "
                "answers that it expects HTTPS on this port. Use https:// for this address."
            )
    fault, detail = what_else_it_is(start)
    return f"{fault.sentence} ({detail})"


def _is_whole(stream: Stream) -> bool:
    """Return whether nothing is known to be missing: what is absent was not sent."""
    is_complete = not stream.missing and not any(stream.left_out)
    return is_complete and all(stream.captured) and all(stream.starts)


def _undecided(stream: Stream, said: list[bytes], first: Piece) -> str:
    """Return what is known of a connection that is not all there, and shows no TLS."""
    told = f"Whether this connection is TLS is unknown: {_what_is_absent(stream)}."
    start = first.data if len(first.data) >= HEADER_SIZE else said[first.sender]
    if len(start) >= HEADER_SIZE and stream.starts[first.sender] and not first.missing:
        told += f" The first bytes of {stream.ends[first.sender]} are {start[:_FIRST_BYTES]!r}."
    if stream.is_cut:
        told += f" {PACKETS_CUT_OFF}"
    return told


def _what_is_absent(stream: Stream) -> str:
    missing = stream.missing + sum(stream.left_out)
    if missing:
        return f"{_bytes(missing)} of it are not in the capture"
    if not all(stream.captured):
        return "the packets of one end alone are in the capture"
    return "the capture does not show where the bytes of both ends begin"


_FIRST_BYTES = 16


def _tls_without_hello(stream: Stream, said: list[bytes]) -> str:
    """Return what there is of TLS on a connection that is whole, and has no ClientHello."""
    told = "There are records of TLS on this connection, and no ClientHello was found among them."
    speakers = [sender for sender in (0, 1) if said[sender]]
    if len(speakers) == 1:
        [sender] = speakers
        words = " then ".join(_records_in_words(said[sender]))
        told += f" Only {stream.ends[sender]} has said something"
        told += f": {words}." if words else "."
    return told


def _who_speaks_no_tls(stream: Stream, said: list[bytes]) -> int | None:
    """Return the end that does not use TLS, if the other one answers in TLS.

    It is the client: a TLS client would have sent a ClientHello, and there is none. That is known
    only of a conversation that is all there.
    """
    if not stream.begins:
        return None
    for sender in (0, 1):
        first = next(piece for piece in (*stream.pieces, _NOTHING) if piece.sender in (sender, -1))
        if first is not _NOTHING and said[sender] and not _could_be_record(said[sender]):
            return sender if _is_record(said[1 - sender]) else None
    return None


def _could_be_record(data: bytes) -> bool:
    """Return whether bytes begin like a record, which may be incomplete."""
    return _is_record(data) if len(data) >= HEADER_SIZE else 20 <= data[0] <= 23


def _client_without_tls(said: bytes, answer: bytes) -> str:
    fault, detail = what_else_it_is(said[:64])
    kind = " It is plain HTTP." if fault is Fault.PLAINTEXT_HTTP else ""
    kind = next((f" {told}" for pattern, told in _NOT_TLS if pattern.match(said)), kind)
    protocol = "" if kind else kind_of_preamble(said, b"")
    kind = f" It is {protocol}." if protocol else kind
    answers = " then ".join(_records_in_words(answer))
    told = f" The server speaks TLS, and answers with {answers}." if answers else ""
    fix = " Use https:// for this address." if fault is Fault.PLAINTEXT_HTTP else ""
    if (mistaken := mistaken_client(said)) is not None:
        fix = f" {mistaken.fix_peer}"
    return (
        f"The client speaks no TLS on this connection: {detail}.{kind}"
        f"{told or ' The server speaks TLS.'}{fix}"
    )


_NOTHING = Piece(0, -1, b"")
_MOST_PIECES = 64


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count:,} bytes"


def _said(stream: Stream, sender: int) -> bytes:
    """Return the beginning of an end's bytes."""
    said = bytearray()
    for piece in stream.pieces:
        if piece.sender == sender:
            if (piece.missing and said) or len(said) >= _LOOKED_AT:
                break
            said += piece.data
    return bytes(said)


def _silence(stream: Stream) -> str:
    if missing := stream.missing + sum(stream.left_out):
        told = f"All that was said on this connection is missing: {_bytes(missing)}."
        return f"{told} {PACKETS_CUT_OFF}" if stream.is_cut else told
    if stream.unopened is not None:
        return _unopened(stream, stream.unopened)
    if not all(stream.captured):
        return "No bytes of this connection are in the capture, which has packets of one end alone."
    told = "Nothing was said on this connection"
    if {ending.sender for ending in stream.endings} != {0, 1}:
        told += ", as far as the capture shows"  # The numbers of both ends are not there.
    if any(ending.how == "reset" for ending in stream.endings):
        return f"{told}: it was reset (TCP RST)."
    if not stream.begins:
        return f"{told}."
    return (
        f"{told}. Perhaps the client waited for a greeting, as before STARTTLS, which a server "
        "that begins with TLS does not send; or it only looked whether the port is open."
    )


def _unopened(stream: Stream, client: int) -> str:
    server = stream.ends[1 - client]
    if any(ending.how == "reset" and ending.sender != client for ending in stream.endings):
        return (
            f"The connection was refused (TCP RST): nothing listens at {server}, or a firewall "
            "refuses it."
        )
    return (
        f"No answer of {server} to the attempt to connect (TCP SYN) is in the capture: its host "
        "is not there, something on the way drops what is sent, or the capture lost the answer."
    )


def _is_record(data: bytes) -> bool:
    """Return whether a segment begins like a TLS record."""
    if len(data) < HEADER_SIZE or not (20 <= data[0] <= 23 and data[1] == 3 and data[2] <= 4):
        return False
    return 0 < int.from_bytes(data[3:5], "big") <= MAX_CIPHERTEXT + 2048


def _answer(said: list[bytes]) -> str:
    """Return how the server answers a client that asks for TLS as PostgreSQL does, or for
    encryption by Kerberos.
    """
    requests = (SSL_REQUEST, GSSENC_REQUEST)
    client, server = said if said[0].startswith(requests) else said[::-1]
    if not client.startswith(requests):
        return ""
    yes, after_yes = "S", "and no ClientHello follows"
    if client.startswith(GSSENC_REQUEST):
        if server[:1] == b"N" and client.startswith(SSL_REQUEST, len(GSSENC_REQUEST)):
            client, server = client[len(GSSENC_REQUEST) :], server[1:]
        else:
            yes, after_yes = "G", "and what follows is not TLS"
    match server[:1]:
        case b"":
            return " No answer of the server is recorded."
        case b"N":
            more = ", and the client goes on in the clear" if len(client) > len(SSL_REQUEST) else ""
            return f" The server says no (N){more}."
        case first if first == yes.encode():
            return f" The server says yes ({yes}), {after_yes}."
        case b"E":
            return (
                f" The server answers with an error (E) in place of yes ({yes}) or no (N), as "
                "where it cannot take one more connection: see its log."
            )
        case _:
            told = f" The server answers with {server[:16]!r}, which is neither yes ({yes}) nor "
            told += "no (N)"
            if server[0] == ContentType.ALERT:
                told += ". An alert of TLS begins like this: perhaps it expects TLS at once"
            return f"{told}."


def _is_ssl2_hello(data: bytes) -> bool:
    """Return whether it is a CLIENT-HELLO in the form of SSL 2.0 (RFC 5246 section E.2)."""
    if len(data) < 11 or not data[0] & 0x80 or data[2] != 1:
        return False
    suites, session, challenge = (int.from_bytes(data[at : at + 2], "big") for at in (5, 7, 9))
    is_version = data[3] == 3 or data[3:5] == b"\0\x02"
    size = (data[0] & 0x7F) << 8 | data[1]
    return is_version and suites % 3 == 0 and size == 9 + suites + session + challenge


def _ssl2_story(hello: bytes, answer: bytes) -> str:
    version = version_name(hello[3] << 8 | hello[4])
    suites = int.from_bytes(hello[5:7], "big") // 3
    told = (
        f"The client opens with a hello in the form of SSLv2, which offers {version} at most and "
        f"{suites} cipher suites. Hellos of this form are not read here: no client may send them "
        "any more (RFC 6176)."
    )
    answers = list(_records_in_words(answer))
    if answers:
        return f"{told} The server answers with {', then '.join(answers)}."
    if len(answer) > 2 and answer[0] & 0x80 and answer[2] == 4:
        return f"{told} The server answers in SSLv2 as well."
    return told


def _records_in_words(data: bytes) -> Iterator[str]:
    """Return the first records in the clear, each in a word or two."""
    at = 0
    while _is_record(data[at:]):
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        body = data[at + HEADER_SIZE : at + HEADER_SIZE + size]
        if data[at] == ContentType.ALERT and len(body) == 2:
            yield f"the alert {alert_name(body[1])}"
            return
        if data[at] == ContentType.HANDSHAKE and len(body) > 6 and body[0] == 2:
            yield f"a ServerHello of {version_name(body[4] << 8 | body[5])}"
        at += HEADER_SIZE + size
