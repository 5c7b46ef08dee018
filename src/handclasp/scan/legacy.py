"""SSL 2.0, which is detected and never spoken (RFC 6176).

A CLIENT-HELLO of SSL 2.0 is plain bytes here, and of the answer only the type and the version are
read. SSL 3.0 has the hello of TLS without extensions, and is `hello.SSL30`.
"""

from __future__ import annotations

from handclasp.values import dataclass
from handclasp.wire.records import HEADER_SIZE

_CIPHER_KINDS = bytes.fromhex("010080 020080 030080 040080 050080 060040 0700c0")
"""RC4, RC4 export, RC2, RC2 export, IDEA, DES and 3DES, in three bytes each."""

_CLIENT_HELLO, _SERVER_HELLO = 1, 4
_CHALLENGE_BYTES = 16
_LARGEST = 0x7FFF


@dataclass(frozen=True, slots=True)
class OldAnswer:
    """The answer to a CLIENT-HELLO of SSL 2.0.

    Attributes:
        accepted: whether it is a SERVER-HELLO of SSL 2.0; None while too little has come.
        evidence: its first bytes.
    """

    accepted: bool | None
    evidence: bytes


def write_old_hello(challenge: bytes) -> bytes:
    """Return the CLIENT-HELLO of SSL 2.0.

    Args:
        challenge: 16 random bytes or more.
    """
    challenge = challenge[:_CHALLENGE_BYTES]
    lengths = (len(_CIPHER_KINDS), 0, len(challenge))
    body = bytes((_CLIENT_HELLO, 0, 2)) + b"".join(size.to_bytes(2, "big") for size in lengths)
    body += _CIPHER_KINDS + challenge
    return (0x8000 | len(body)).to_bytes(2, "big") + body


def read_old_answer(data: bytes) -> OldAnswer:
    """Read the first bytes of the answer to `write_old_hello`.

    A record of TLS, such as an alert, is no SERVER-HELLO of SSL 2.0, nor is anything else.
    """
    if len(data) < HEADER_SIZE:
        return OldAnswer(None, data)
    # Two bytes of length with the top bit set, msg_type, session_id_hit, certificate_type, version.
    is_record = bool(data[0] & 0x80) and data[2] == _SERVER_HELLO
    if is_record and len(data) < 7:
        return OldAnswer(None, data)
    accepted = is_record and data[5:7] == b"\0\2"
    return OldAnswer(accepted, data[:64])
