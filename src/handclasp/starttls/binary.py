"""STARTTLS in the protocols of binary messages: LDAP, PostgreSQL, MySQL and RDP."""

from __future__ import annotations

from handclasp.starttls.dialogue import DialogueError, Reading, Script, Talk, shown

_START_TLS = b"1.3.6.1.4.1.1466.20037"


def ldap(talk: Talk, name: str) -> Script:
    """Begin TLS in LDAP (RFC 4511 section 4.14)."""
    request = _element(0x77, _element(0x80, _START_TLS))
    talk.send(_element(0x30, _element(0x02, b"\x01") + request))
    kind, message = yield from _ldap_message(talk)
    message_id, rest = _first(message)
    response, _ = _first(rest)
    if kind != 0x30 or message_id[0] != 0x02 or response[0] != 0x78:
        raise DialogueError.broken(f"it answered with {message[:16].hex(' ')}")
    result, texts = _first(response[1])
    _, texts = _first(texts)  # The DN that matched.
    (_, diagnostic), _ = _first(texts)
    if result[1] != b"\0":
        code = int.from_bytes(result[1][:4], "big")
        raise DialogueError.refused(f"result code {code} ".encode() + diagnostic)


def _ldap_message(talk: Talk) -> Reading[tuple[int, bytes]]:
    kind, size = yield from talk.exactly(2)
    if size & 0x80:
        if not 1 <= size & 0x7F <= 4:
            raise DialogueError.broken(f"a length of {size & 0x7F} bytes")
        octets = yield from talk.exactly(size & 0x7F)
        size = int.from_bytes(octets, "big")
    body = yield from talk.exactly(size)
    return kind, body


def _element(kind: int, body: bytes) -> bytes:
    """Return an element in BER; its body has at most 127 bytes here."""
    return bytes([kind, len(body)]) + body


def _first(data: bytes) -> tuple[tuple[int, bytes], bytes]:
    """Return the first element's tag and content, and the bytes after it."""
    if len(data) < 2:
        raise DialogueError.broken("its answer is cut off")
    start, size = 2, data[1]
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    if start + size > len(data):
        raise DialogueError.broken("its answer is cut off")
    return (data[0], data[start : start + size]), data[start + size :]


def postgres(talk: Talk, name: str) -> Script:
    """Begin TLS in PostgreSQL (its manual, section "SSL Session Encryption")."""
    from handclasp.wire.records import SSL_REQUEST

    talk.send(SSL_REQUEST)
    answer = yield from talk.exactly(1)
    if answer == b"N":
        raise DialogueError.refused(answer)
    if answer == b"E":
        # Others can insert it, too: its text is not shown (CVE-2024-10977).
        raise DialogueError(
            "STARTTLS_REFUSED",
            "The server answers with an error, and not whether it has TLS.",
            "PostgreSQL does so where it cannot take one more connection. The text of the error "
            "is not protected by TLS, so that it is not shown.",
            "See the server's log.",
            "server",
            "unless something on the way answered in its place",
        )
    if answer != b"S":
        raise DialogueError.broken(f"it answered with {shown(answer)}, not with 'S' or 'N'")


_MYSQL_SSL = 0x0800
_MYSQL_CLIENT = _MYSQL_SSL | 0x0001 | 0x0004 | 0x0200 | 0x8000
"""Long passwords and flags, protocol 4.1, and secure authentication, as every client has them."""


def mysql(talk: Talk, name: str) -> Script:
    """Begin TLS in MySQL or MariaDB (MySQL's internals, "Protocol::SSLRequest")."""
    head = yield from talk.exactly(4)
    packet = yield from talk.exactly(int.from_bytes(head[:3], "little"))
    if packet[:1] == b"\xff":
        raise DialogueError.turned_away(packet[3:])
    version, _, rest = packet[1:].partition(b"\0")
    # The thread, eight bytes of the challenge and a zero come before the capabilities.
    if packet[:1] != b"\x0a" or len(rest) < 15:
        raise DialogueError.broken(f"it said {shown(packet)}")
    if not int.from_bytes(rest[13:15], "little") & _MYSQL_SSL:
        raise DialogueError.not_offered(f"the greeting of version {shown(version)} has no SSL")
    body = _MYSQL_CLIENT.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little")
    body += b"\x2d" + bytes(23)  # utf8mb4, and the filler.
    talk.send(len(body).to_bytes(3, "little") + bytes([(head[3] + 1) & 0xFF]) + body)


_RDP_FAILURES = {
    1: "SSL_REQUIRED_BY_SERVER",
    2: "SSL_NOT_ALLOWED_BY_SERVER",
    3: "SSL_CERT_NOT_ON_SERVER",
    4: "INCONSISTENT_FLAGS",
    5: "HYBRID_REQUIRED_BY_SERVER",
    6: "SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER",
}
_RDP_TLS = (1, 2, 8)
"""The protocols in TLS: by itself, and below CredSSP in two forms."""


def rdp(talk: Talk, name: str) -> Script:
    """Begin TLS in RDP (MS-RDPBCGR sections 2.2.1.1 and 2.2.1.2)."""
    negotiation = b"\x01\x00\x08\x00" + (1 | 2).to_bytes(4, "little")
    request = b"\xe0" + bytes(5) + negotiation
    request = bytes([len(request)]) + request
    talk.send(b"\x03\x00" + (4 + len(request)).to_bytes(2, "big") + request)
    head = yield from talk.exactly(4)
    size = int.from_bytes(head[2:], "big")
    if head[0] != 3 or size < 11:
        raise DialogueError.broken(f"it answered with {head.hex(' ')}")
    answer = yield from talk.exactly(size - 4)
    if answer[1] & 0xF0 != 0xD0:
        raise DialogueError.broken(f"it answered with {answer[:16].hex(' ')}")
    negotiated = answer[7:15]
    if len(negotiated) < 8:
        raise DialogueError.not_offered("its answer has no negotiation, as before Windows Vista")
    value = int.from_bytes(negotiated[4:], "little")
    if negotiated[0] == 3:
        raise DialogueError.refused(_RDP_FAILURES.get(value, f"failure {value}").encode())
    if negotiated[0] != 2 or value not in _RDP_TLS:
        raise DialogueError.not_offered("it chose the security of RDP itself")
