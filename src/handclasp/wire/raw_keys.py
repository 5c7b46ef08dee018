"""The distinction between raw public keys and certificates in messages (RFC 7250)."""

from __future__ import annotations

_SEQUENCE = 0x30
_OBJECT_IDENTIFIER = 0x06
_LONG_LENGTH = 0x80


def is_raw_public_key(entry: bytes) -> bool:
    """Return whether an entry of a Certificate message is a SubjectPublicKeyInfo.

    The hellos determine the type, and the message does not name it. But a key begins with the
    identifier of its algorithm, and that with an OBJECT IDENTIFIER; a certificate begins with its
    version or serial number. The entry may be anything.
    """
    try:
        first = _content(entry, 0)
        second = _content(entry, first)
        return entry[0] == entry[first] == _SEQUENCE and entry[second] == _OBJECT_IDENTIFIER
    except IndexError:
        return False


def _content(der: bytes, at: int) -> int:
    """Return where the content of the element at `at` starts."""
    length = der[at + 1]
    # In the long form, the low bits count the bytes that hold the length.
    return at + 2 + (length - _LONG_LENGTH if length >= _LONG_LENGTH else 0)
