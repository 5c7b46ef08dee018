"""The private keys, key logs and secrets of this program that `handclasp serve` recognises.

The first MiB of a file is searched, as text in ASCII (and so in UTF-8) and in UTF-16, whatever else
is in the file. Recognised are:

- private keys in PEM, also indented, quoted, escaped, in an archive that does not compress, and in
  Base64 once more (as in a Kubernetes Secret) or in hexadecimal;
- the Base64 or the hexadecimal digits of a key or a key store (PKCS #1, PKCS #8, SEC 1, PKCS #12,
  OpenSSH's, Java's, PuTTY's) without any armour, as in JSON or a setting;
- JSON Web Keys with a private or secret part (RFC 7517);
- files that begin as a key in DER (PKCS #1, PKCS #8, SEC 1), as PKCS #12, as a Java key store, or
  as a key of PuTTY's;
- lines of a key log (RFC 9850, and those of NSS before it), also inside a capture (pcapng);
- what this program itself writes with secrets in it: traces, their pages, and files of sessions.

Nothing else is: not what is compressed, encrypted, or divided among files, and not passwords.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import BinaryIO

_FIRST_BYTES = 4096
_MOST_BYTES = 1 << 20
"""The bytes of a file that are searched."""

_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")

_BEGIN = rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_KEY_ALONE = re.compile(
    rb"^(?:\xef\xbb\xbf|\xff|\xfe)?[ \t]*" + _BEGIN + rb"[ \t]*\r?$", re.MULTILINE
)
"""The form in text files; programs and manuals have it in the middle of a line."""
_BETWEEN = rb"(?:\\[rnt]|[\s\"'+,;#>|*])*+"
"""Ends of lines, also as JSON and programs write them, and marks of comments and quotes."""
_KEY = re.compile(
    # Headers (RFC 1421), then Base64, which programs that read keys lack.
    _BEGIN + _BETWEEN + rb"(?:[A-Za-z-]{3,20}: [^\r\n\\]{0,200}+" + _BETWEEN + rb"){0,10}+"
    rb"[A-Za-z0-9+/=]{32}",
)
_BLANKS = rb"[ \t\x0b\x0c]++"
_HEX = rb"[0-9A-Fa-f]"
_TWO_NUMBERS = _BLANKS + _HEX + rb"{64}" + _BLANKS + _HEX + rb"{64}"
_KEY_LOGS = (
    (b"CLIENT_RANDOM", re.compile(rb"CLIENT_RANDOM" + _TWO_NUMBERS)),
    (b"_SECRET", re.compile(rb"_SECRET(?:_[A-Z0-9]{1,10})?" + _TWO_NUMBERS)),
    (
        b"RSA",
        re.compile(
            rb"RSA" + _BLANKS + rb"(?:" + _HEX + rb"{16}" + _BLANKS + _HEX + rb"{96}"
            rb"|Session-ID:" + _HEX + rb"{0,64}" + _BLANKS + rb"Master-Key:" + _HEX + rb"{96})"
        ),
    ),
)
_JSON_WEB_KEY = re.compile(rb"\"(?:d|k|priv)\\{0,4}\"\s{0,20}+:\s{0,20}+\\{0,4}\"[A-Za-z0-9_-]{16}")
_LENGTH = rb"(?:[\x00-\x7f]|\x80|\x81.|\x82..|\x83...)"
_DER_KEY = re.compile(
    rb"\x30" + _LENGTH + rb"(?:"
    # PKCS #8 (RFC 5958), PKCS #1 (RFC 8017 A.1.2), SEC 1 (RFC 5915) and PKCS #12 (RFC 7292)
    rb"\x02\x01[\x00\x01][\x30\x02]|\x02\x01\x01\x04[\x0e-\x48]|\x02\x01\x03\x30"
    # EncryptedPrivateKeyInfo (RFC 5958), encrypted as in PKCS #5 or PKCS #12
    rb"|\x30" + _LENGTH + rb"\x06.\x2a\x86\x48\x86\xf7\x0d\x01(?:\x05|\x0c\x01))",
    re.DOTALL,
)
_PUTTY = b"PuTTY-User-Key-File-"
_JAVA = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
"""The beginnings of Java's key stores (JKS, JCEKS)."""
_KEY_STARTS = (*_JAVA, _PUTTY)

_DER_IN_BASE64 = re.compile(
    # A sequence begins with M and a letter up to P. Within a longer text, the same may be a part
    # of a certificate or of a revocation list; so it stands at the beginning of one, which may
    # follow an escaped end of a line or an escaped quotation mark.
    rb"M(?:(?<![A-Za-z0-9+/_-]M)|(?<=\\[nrt]M)|(?<=%[0-9A-Fa-f]{2}M))[A-P][A-Za-z0-9+/_-]{30}"
)
_GAP = rb"(?:[: ]|,?\s{0,20}0[xX]|\\x)?+"
_OCTET = _GAP + _HEX + rb"{2}"
_LENGTH_IN_HEX = rb"(?:%(gap)s(?:[0-7].|80)|%(gap)s81%(octet)s|%(gap)s82(?:%(octet)s){2})" % {
    b"gap": _GAP,
    b"octet": _OCTET,
}
_DER_IN_HEX = re.compile(
    # An INTEGER with a version, or a sequence whose first member is an object identifier
    rb"30(?<!%(hex)s30)%(length)s(?:%(gap)s02%(gap)s01|%(gap)s30%(length)s%(gap)s06)(?:%(octet)s){11}"
    % {b"hex": _HEX, b"gap": _GAP, b"octet": _OCTET, b"length": _LENGTH_IN_HEX}
)
_NO_DIGITS = re.compile(rb"0[xX]|[^0-9A-Fa-f]")

_SESSION_FILE = re.compile(rb"handclasp sessions [0-9]|\{\s{0,99}+\"sessions\":")
"""The beginning of a file of sessions: all of it, but for one of an older version."""
_SESSIONS = re.compile(
    rb"^handclasp sessions [0-9](?: [0-9a-f]{16})?\r?$|" + _HEX + rb"{64}\t\{\"format\":",
    re.MULTILINE,
)
"""The first line of such a file, and the line of a session, wherever they are in another file."""
_TRACE = b"handclasp-trace/"
_SECRET_OF_A_TRACE = re.compile(
    rb"\"event\":\s{0,20}+\"(?:secret|key)\"[^{}]{0,4000}?\"value\":\s{0,20}+\"[0-9a-f]{32}"
)
_PAGE_SECRET = b'class="secret"><code'
_SECRET_OF_A_PAGE = re.compile(_PAGE_SECRET + rb"[^<>]{0,200}>[0-9a-f]{32}")


def _in_base64(text: bytes) -> tuple[bytes, ...]:
    """Return the Base64 of a text for each of its alignments, whatever stands around it."""
    found: list[bytes] = []
    for before in range(3):
        first = -(-before * 8 // 6)
        last = (before + len(text)) * 8 // 6
        found.append(b64encode(bytes(before) + text + bytes(2))[first:last])
    return tuple(found)


_END_OF_HEADER = b"PRIVATE KEY-----"
_KEY_IN_BASE64 = (
    *_in_base64(_END_OF_HEADER),
    *_in_base64(_PUTTY),
    *_in_base64(b"openssh-key-v1\0"),
    # A key store's version tells it from a picture.
    *(_in_base64(each + b"\0\0\0\2")[0] for each in _JAVA),
)
_KEY_IN_HEX = re.compile(re.escape(_END_OF_HEADER.hex().encode()), re.IGNORECASE)
_FOLDED = bytes.maketrans(b"-_", b"+/")
"""The alphabet for URLs (RFC 4648 section 5), as the other one."""


def key_material_in(file: BinaryIO) -> str | None:
    """Return why a file is kept back, as the end of a sentence; None if nothing is recognised.

    The file is read from where it stands, for a MiB at most.
    """
    data = file.read(_FIRST_BYTES)
    if data.startswith(_KEY_STARTS) or _DER_KEY.match(data):
        return "it looks like a private key or a key store"
    if _SESSION_FILE.match(data):
        return "it holds sessions"
    data += file.read(_MOST_BYTES - len(data))
    if b"\0" not in data:
        return _in_text(data, is_text=True)
    is_text = data.startswith(_BYTE_ORDER_MARKS)
    found = _in_text(data, is_text=False)
    # The two halves of UTF-16, of which one has nothing but zeros where the text is ASCII.
    for half in (data[::2], data[1::2]):
        found = found or _in_text(half, is_text=is_text)
    return found


def _in_text(data: bytes, *, is_text: bool) -> str | None:
    is_likely = b"-----BEGIN " in data and b"PRIVATE KEY" in data
    if is_likely and (_KEY.search(data) or (is_text and _KEY_ALONE.search(data))):
        return "it holds a private key"
    if any(word in data and line.search(data) for word, line in _KEY_LOGS):
        return "it holds a key log"
    if (b"handclasp sessions " in data or b'\t{"format":' in data) and _SESSIONS.search(data):
        return "it holds sessions"
    if b"kty" in data and _JSON_WEB_KEY.search(data):
        return "it holds a private key (JSON Web Key)"
    if _TRACE in data[:_FIRST_BYTES] and _SECRET_OF_A_TRACE.search(data):
        return "it is a trace with the secrets of a connection"
    if _PAGE_SECRET in data and _SECRET_OF_A_PAGE.search(data):
        return "it is a page with the secrets of a connection"
    folded = data.translate(_FOLDED, b" \t\r\n")
    if any(key in folded for key in _KEY_IN_BASE64) or any(map(_DER_KEY.match, _decoded(data))):
        return "it holds a private key in Base64"
    if _KEY_IN_HEX.search(folded) or any(map(_DER_KEY.match, _digits(data))):
        return "it holds a private key in hexadecimal"
    return None


def _decoded(data: bytes) -> Iterator[bytes]:
    """Yield the first 24 bytes of each Base64 text that may be DER."""
    for found in _DER_IN_BASE64.finditer(data):
        yield b64decode(found[0].translate(_FOLDED))


def _digits(data: bytes) -> Iterator[bytes]:
    """Yield the first bytes of each hexadecimal text that may be DER."""
    for found in _DER_IN_HEX.finditer(data):
        yield bytes.fromhex(_NO_DIGITS.sub(b"", found[0]).decode())
