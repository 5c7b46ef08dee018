"""The positions of the fields of a certificate in its DER (RFC 5280 section 4.1), for display.

Whatever bytes are given: what does not have the form of a certificate has no fields.
"""

from __future__ import annotations

from collections.abc import Iterator

MessageContext = tuple[int, int]
"""From the first byte of an element, tag and length included, up to the one after its last."""

_EXPLICIT_VERSION = 0xA0
_EXPLICIT_EXTENSIONS = 0xA3
_SEQUENCE = 0x30
_NAMES = ("serialNumber", "signature", "issuer", "validity", "subject", "subjectPublicKeyInfo")
_DATES = ("notBefore", "notAfter")

EXTENSIONS = {
    "subjectKeyIdentifier": "2.5.29.14",
    "keyUsage": "2.5.29.15",
    "subjectAltName": "2.5.29.17",
    "basicConstraints": "2.5.29.19",
    "nameConstraints": "2.5.29.30",
    "authorityKeyIdentifier": "2.5.29.35",
    "policyConstraints": "2.5.29.36",
    "extKeyUsage": "2.5.29.37",
    "tlsfeature": "1.3.6.1.5.5.7.1.24",
}
"""Extensions that a rule is about, by the names of RFC 5280 and RFC 7633."""


def elements_in(der: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """Return the elements of DER that fill a place: of each the start, its content's, and its end.

    Raises:
        ValueError: these bytes are not a sequence of elements with tags of one byte (X.690).
    """
    found: list[tuple[int, int, int]] = []
    try:
        for at, after in _elements(der, start, end):
            if der[at] & 0x1F == 0x1F:
                raise ValueError("a tag of several bytes")
            found.append((at, _content(der, at)[0], after))
    except IndexError:
        raise ValueError("an element is cut off") from None
    return found


def field_in(certificate: bytes, name: str) -> MessageContext | None:
    """Return the position of a field or an extension in a certificate; None if it has no such one.

    Args:
        name: as RFC 5280 has it: "notAfter", "subjectAltName", "extensions"...
    """
    try:
        return dict(_fields(certificate)).get(name)
    except (IndexError, ValueError):
        return None


def _fields(der: bytes) -> Iterator[tuple[str, MessageContext]]:
    (outer,) = _elements(der, 0, len(der))
    tbs, algorithm, signature = _inside(der, outer)
    del algorithm
    yield "signatureValue", signature
    parts = list(_inside(der, tbs))
    if der[parts[0][0]] == _EXPLICIT_VERSION:
        yield "version", parts.pop(0)
    for name, place in zip(_NAMES, parts, strict=False):
        yield name, place
        if name == "validity":
            yield from zip(_DATES, _inside(der, place), strict=True)
    for place in parts[len(_NAMES) :]:
        if der[place[0]] == _EXPLICIT_EXTENSIONS:
            yield "extensions", place
            yield from _extensions(der, place)


def _extensions(der: bytes, explicit: MessageContext) -> Iterator[tuple[str, MessageContext]]:
    (every,) = _inside(der, explicit)
    names = {_identifier(oid): name for name, oid in EXTENSIONS.items()}
    for extension in _inside(der, every):
        start, end = _inside(der, extension)[0]
        name = names.get(der[start:end])
        if name is not None:
            yield name, extension


def _identifier(oid: str) -> bytes:
    """Return the DER of an object identifier, all of whose numbers are below 128 from the
    third on.
    """
    first, second, *others = map(int, oid.split("."))
    body = bytes([40 * first + second, *others])
    return bytes([6, len(body)]) + body


def _inside(der: bytes, place: MessageContext) -> list[MessageContext]:
    """Return the elements that an element is made of."""
    start, end = place
    return list(_elements(der, _content(der, start)[0], end))


def _elements(der: bytes, at: int, end: int) -> Iterator[MessageContext]:
    while at < end:
        _, after = _content(der, at)
        if after > end:
            raise ValueError("an element is longer than what it stands in")
        yield at, after
        at = after


def _content(der: bytes, at: int) -> MessageContext:
    length, start = der[at + 1], at + 2
    if length >= 0x80:
        after = start + length - 0x80
        length, start = int.from_bytes(der[start:after], "big"), after
    return start, start + length
