"""The elements of a certificate in its DER, as fields of the message that carries it.

A certificate is a tree of elements: each has a tag, a length and a content, which for some tags is
made of elements again (X.690). Their names are those of RFC 5280. A peer may send anything as a
certificate: what does not have the form of an element is one field, and nothing is raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from itertools import chain, islice, repeat

from handclasp.certificates.describe import name_of_oid
from handclasp.certificates.fields import elements_in
from handclasp.story.fields import Field
from handclasp.story.words import plural
from handclasp.values import replace
from handclasp.wording import printable

MOST_ELEMENTS = 2_000
"""The number of elements of a certificate that have fields; those in use have about a hundred."""

_DEEPEST = 16
_MOST_JOINED = 3
_LONGEST_INTEGER = 8
_LONGEST_OID = 32
_Place = tuple[int, int, int]
"""The offsets of the first byte of an element, of its content, and of the byte after its last."""


def with_certificates(field: Field, raw: bytes) -> Field:
    """Return the tree of a message with the elements of each certificate in it as parts.

    Args:
        field: from `fields_of`.
        raw: the message.
    """
    if field.name in _HOLDERS:
        return _opened(field, raw)
    if field.name not in _AROUND:
        return field
    return replace(field, parts=tuple(with_certificates(part, raw) for part in field.parts))


_HOLDERS = ("cert_data", "ASN.1Cert")
"""The fields that hold a certificate, in TLS 1.3 and in TLS 1.2."""

_AROUND = ("Certificate", "certificate_list", "CertificateEntry")


def _opened(holder: Field, raw: bytes) -> Field:
    *before, content = holder.parts or (holder,)
    try:
        (place,) = elements_in(raw, content.start, content.end)
    except ValueError:
        return holder
    _, at, end = place
    # A raw public key (RFC 7250) is what a certificate has among its fields: an algorithm and bits.
    parts = _elements(raw, at, end)
    is_key = [raw[begins] for begins, _, _ in parts] == [_SEQUENCE, _BIT_STRING]
    name = "subjectPublicKeyInfo" if is_key else "Certificate"
    certificate = _Walk(raw).field(name, place, content.section, 0)
    return replace(holder, parts=(*before, certificate))


def _elements(raw: bytes, at: int, end: int) -> list[_Place]:
    """Return the elements that fill a place; none if other things do."""
    try:
        return elements_in(raw, at, end)
    except ValueError:
        return []


class _Walk:
    """The way through one certificate, which stays outside of elements that have too many parts.

    Args:
        raw: the message.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._left = MOST_ELEMENTS
        self._extension = ""

    def field(self, name: str, place: _Place, around: str, depth: int) -> Field:
        """Return the field of an element.

        Args:
            around: the section that defines the element around it.
            depth: the number of elements around it.
        """
        start, at, end = place
        section, meaning = _MEANINGS.get(name, (around, ""))
        tag = self._raw[start]
        inside = self._inside(name, place, depth)
        if not inside:
            value = _value(name, tag, self._raw[at:end])
            if name == "extnID":
                self._extension = value
            return Field(name, start, end, value, section, meaning)
        names = self._names(name, [self._raw[begins] for begins, _, _ in inside])
        parts = [
            self.field(each, part, section, depth + 1)
            for each, part in zip(names, inside, strict=True)
        ]
        header = Field(
            "tag and length", start, at, f"{_kind(tag)}, {plural(end - at, 'byte')}", *_HEADER
        )
        return Field(name, start, end, _joined(parts), section, meaning, (header, *parts))

    def _inside(self, name: str, place: _Place, depth: int) -> list[_Place]:
        """Return the elements of which an element is made; none if it is made of other things."""
        start, at, end = place
        if depth == _DEEPEST or not (self._raw[start] & _CONSTRUCTED or name == "extnValue"):
            return []
        found = _elements(self._raw, at, end)
        if len(found) > self._left:
            return []
        self._left -= len(found)
        return found

    def _names(self, name: str, tags: Sequence[int]) -> list[str]:
        """Return the names of the elements within one, given their tags."""
        if name == "tbsCertificate":
            return _names_of_tbs(tags)
        if name == "Extension" and len(tags) == 2:  # critical is left out if it is false.
            return ["extnID", "extnValue"]
        if name == "extnValue":
            return [self._extension] * len(tags)
        if name in _NAMES_BY_PLACE:
            known, others = _NAMES_BY_PLACE[name]
            return list(islice(chain(known, repeat(others)), len(tags)))
        by_tag = _NAMES_BY_TAG.get(name, {})
        return [by_tag.get(tag) or _kind(tag) for tag in tags]


def _names_of_tbs(tags: Sequence[int]) -> list[str]:
    names = ["version"] if tags[0] == 0xA0 else []
    names += _TBS
    return [
        names[index] if index < len(names) else _AFTER_TBS.get(tag, _kind(tag))
        for index, tag in enumerate(tags)
    ]


def _joined(parts: Sequence[Field]) -> str:
    if len(parts) == 1:
        return parts[0].value
    if len(parts) > _MOST_JOINED or any(len(part.parts) > 1 + _MOST_JOINED for part in parts):
        return plural(len(parts), "element")
    return printable(", ".join(part.value for part in parts))


def _kind(tag: int) -> str:
    """Return the name of a tag: that of a type, or the number of one that depends on its place."""
    if tag & _CLASS:
        return f"[{tag & 0x1F}]"
    return _TYPES.get(tag & 0x1F, f"UNIVERSAL {tag & 0x1F}")


def _value(name: str, tag: int, content: bytes) -> str:
    """Return the content of an element that has no parts, in words."""
    if tag in _TEXTS:
        return printable(content.decode(_TEXTS[tag], "replace"))
    if tag in _TIMES:
        return _time(content, _TIMES[tag])
    if tag == _OBJECT_IDENTIFIER and 0 < len(content) <= _LONGEST_OID:
        dotted = _dotted(content)
        return _CURVES.get(dotted) or name_of_oid(dotted)
    if tag == _INTEGER and 0 < len(content) <= _LONGEST_INTEGER:
        return f"{int.from_bytes(content, 'big', signed=True)}"
    if tag == _BOOLEAN and len(content) == 1:
        return "TRUE" if content[0] else "FALSE"
    if name == "keyUsage" and tag == _BIT_STRING:
        return _key_usage(content)
    if tag == _BIT_STRING and content:
        return plural(8 * len(content) - 8 - content[0], "bit")
    if name == "iPAddress" and len(content) in (4, 16):
        return str(ip_address(content))
    if tag & _CLASS and content.isascii() and content.decode("ascii").isprintable() and content:
        return printable(content.decode("ascii"))
    return plural(len(content), "byte") if content else "empty"


def _key_usage(content: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in content[1:3])
    allowed = [name for name, bit in zip(_KEY_USAGES, bits, strict=False) if bit == "1"]
    return ", ".join(allowed) or "nothing"


def _dotted(content: bytes) -> str:
    """Return an object identifier in decimal numbers (X.690 section 8.19)."""
    numbers: list[int] = []
    number = 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(number)
            number = 0
    if not numbers:
        return "0"
    joined, *others = numbers  # The first two are in one.
    first = min(joined // 40, 2)
    return ".".join(map(str, (first, joined - 40 * first, *others)))


def _time(content: bytes, digits_of_year: int) -> str:
    """Return a time as people write it; what has another form, as it is."""
    text = content.decode("ascii", "replace")
    if len(text) != digits_of_year + 11 or not text[:-1].isdecimal() or text[-1] != "Z":
        return printable(text)
    year, rest = text[:digits_of_year], text[digits_of_year:]
    if digits_of_year == 2:  # RFC 5280 section 4.1.2.5.1
        year = f"{'19' if year >= '50' else '20'}{year}"
    month, day, hour, minute, second = (rest[at : at + 2] for at in range(0, 10, 2))
    return f"{year}-{month}-{day} {hour}:{minute}:{second} UTC"


_CONSTRUCTED, _CLASS = 0x20, 0xC0
_BOOLEAN, _INTEGER, _BIT_STRING, _OBJECT_IDENTIFIER, _SEQUENCE = 0x01, 0x02, 0x03, 0x06, 0x30
_TYPES = {
    1: "BOOLEAN",
    2: "INTEGER",
    3: "BIT STRING",
    4: "OCTET STRING",
    5: "NULL",
    6: "OBJECT IDENTIFIER",
    12: "UTF8String",
    16: "SEQUENCE",
    17: "SET",
    19: "PrintableString",
    20: "TeletexString",
    22: "IA5String",
    23: "UTCTime",
    24: "GeneralizedTime",
    30: "BMPString",
}
_TEXTS = {12: "utf-8", 19: "ascii", 20: "latin-1", 22: "ascii", 26: "ascii", 30: "utf-16-be"}
_TIMES = {23: 2, 24: 4}
"""The tags of times, and the digits of a year in each."""

_KEY_USAGES = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
"""By bit, as RFC 5280 section 4.2.1.3 names them."""

_CURVES = {
    "1.2.840.10045.3.1.7": "secp256r1",
    "1.3.132.0.34": "secp384r1",
    "1.3.132.0.35": "secp521r1",
}

_HEADER = (
    "X.690 section 8.1",
    "The tag says of which type the element is, and the length how many bytes of content follow.",
)
_TBS = ("serialNumber", "signature", "issuer", "validity", "subject", "subjectPublicKeyInfo")
_AFTER_TBS = {0x81: "issuerUniqueID", 0x82: "subjectUniqueID", 0xA3: "extensions"}
_ALGORITHM = (("algorithm", "parameters"), "element")
_NAMES_BY_PLACE: dict[str, tuple[tuple[str, ...], str]] = {
    "Certificate": (("tbsCertificate", "signatureAlgorithm", "signatureValue"), "element"),
    "signature": _ALGORITHM,
    "signatureAlgorithm": _ALGORITHM,
    "algorithm": _ALGORITHM,
    "issuer": ((), "RelativeDistinguishedName"),
    "subject": ((), "RelativeDistinguishedName"),
    "RelativeDistinguishedName": ((), "AttributeTypeAndValue"),
    "AttributeTypeAndValue": (("type", "value"), "element"),
    "validity": (("notBefore", "notAfter"), "element"),
    "subjectPublicKeyInfo": (("algorithm", "subjectPublicKey"), "element"),
    "extensions": ((), "Extensions"),
    "Extensions": ((), "Extension"),
    "Extension": (("extnID", "critical", "extnValue"), "element"),
    "extendedKeyUsage": ((), "KeyPurposeId"),
    "authorityInfoAccess": ((), "AccessDescription"),
    "AccessDescription": (("accessMethod", "accessLocation"), "element"),
    "certificatePolicies": ((), "PolicyInformation"),
    "PolicyInformation": (("policyIdentifier", "policyQualifiers"), "element"),
    "cRLDistributionPoints": ((), "DistributionPoint"),
}
"""The names of the elements within one, in order, and the name of those after them."""

_GENERAL_NAMES = {
    0x81: "rfc822Name",
    0x82: "dNSName",
    0x86: "uniformResourceIdentifier",
    0x87: "iPAddress",
    0x88: "registeredID",
    0xA0: "otherName",
    0xA4: "directoryName",
}
_NAMES_BY_TAG: dict[str, dict[int, str]] = {
    "subjectAltName": _GENERAL_NAMES,
    "issuerAltName": _GENERAL_NAMES,
    "basicConstraints": {_BOOLEAN: "cA", _INTEGER: "pathLenConstraint"},
    "nameConstraints": {0xA0: "permittedSubtrees", 0xA1: "excludedSubtrees"},
    "authorityKeyIdentifier": {
        0x80: "keyIdentifier",
        0xA1: "authorityCertIssuer",
        0x82: "authorityCertSerialNumber",
    },
}
"""The names of elements that are told apart by their tags."""

_OF_CERTIFICATE = "RFC 5280 section 4.1"
_MEANINGS: dict[str, tuple[str, str]] = {
    "Certificate": (
        _OF_CERTIFICATE,
        "What the issuer says, and its signature over the bytes of that.",
    ),
    "tbsCertificate": (
        f"{_OF_CERTIFICATE}.1.1",
        "What the issuer says: these bytes, with tag and length, are what is signed.",
    ),
    "signatureAlgorithm": (
        f"{_OF_CERTIFICATE}.1.2",
        "How the certificate is signed: the same as in the signed part.",
    ),
    "signatureValue": (
        f"{_OF_CERTIFICATE}.1.3",
        "The issuer's signature, which its public key verifies.",
    ),
    "version": (
        f"{_OF_CERTIFICATE}.2.1",
        "The version less one: 2 is version 3, the one that has extensions.",
    ),
    "serialNumber": (
        f"{_OF_CERTIFICATE}.2.2",
        "The issuer gives each certificate another number, by which it can be revoked.",
    ),
    "signature": (
        f"{_OF_CERTIFICATE}.2.3",
        "How the certificate is signed, within what is signed.",
    ),
    "issuer": (f"{_OF_CERTIFICATE}.2.4", "Who signed it: the subject of the next certificate."),
    "validity": (f"{_OF_CERTIFICATE}.2.5", "The time in which the issuer answers for it."),
    "notBefore": (f"{_OF_CERTIFICATE}.2.5", "It is valid from this second on."),
    "notAfter": (f"{_OF_CERTIFICATE}.2.5", "It is valid up to this second."),
    "subject": (
        f"{_OF_CERTIFICATE}.2.6",
        "Whose key it is. For a server, the names in subjectAltName count, and not this one.",
    ),
    "subjectPublicKeyInfo": (
        f"{_OF_CERTIFICATE}.2.7",
        "The key that the issuer binds to the names: the owner signs the handshake with its "
        "private half.",
    ),
    "subjectPublicKey": (f"{_OF_CERTIFICATE}.2.7", "The public key itself."),
    "extensions": (f"{_OF_CERTIFICATE}.2.9", "What else the issuer says."),
    "extnID": ("RFC 5280 section 4.2", "Which extension it is."),
    "critical": (
        "RFC 5280 section 4.2",
        "Whether the certificate must be refused by those who do not know the extension.",
    ),
    "extnValue": ("RFC 5280 section 4.2", "The content of the extension, in DER again."),
    "authorityKeyIdentifier": (
        "RFC 5280 section 4.2.1.1",
        "Which of the issuer's keys signed it.",
    ),
    "subjectKeyIdentifier": ("RFC 5280 section 4.2.1.2", "A short name of the key in it."),
    "keyUsage": ("RFC 5280 section 4.2.1.3", "What the key may be used for."),
    "certificatePolicies": (
        "RFC 5280 section 4.2.1.4",
        "How the issuer made sure whom it is about.",
    ),
    "subjectAltName": ("RFC 5280 section 4.2.1.6", "The names that it is valid for."),
    "basicConstraints": (
        "RFC 5280 section 4.2.1.9",
        "Whether the key may sign other certificates, and how many may follow.",
    ),
    "nameConstraints": (
        "RFC 5280 section 4.2.1.10",
        "The names that certificates below it may have.",
    ),
    "extendedKeyUsage": (
        "RFC 5280 section 4.2.1.12",
        "What it may be used for: to prove a server, a client, or other things.",
    ),
    "cRLDistributionPoints": (
        "RFC 5280 section 4.2.1.13",
        "Where the issuer lists what it has revoked.",
    ),
    "authorityInfoAccess": (
        "RFC 5280 section 4.2.2.1",
        "Where the issuer's certificate and its OCSP responder are.",
    ),
    "signedCertificateTimestampList": (
        "RFC 6962 section 3.3",
        "The promises of public logs to show that this certificate was issued.",
    ),
    "TLSFeature": (
        "RFC 7633 section 4",
        "What a server with it must do; most often, to send an OCSP response.",
    ),
}
"""By name: the section that defines it, and its purpose."""
