"""The names that certificates are issued to: DNS names and IP addresses, in one spelling each.

A normal name is a lower-case DNS name in A-labels without a trailing dot, or the canonical text
of an IP address. Everything that compares names compares normal names.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from handclasp.certificates.der import issuer_and_subject
from handclasp.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography import x509

_ADDRESS_BYTES = frozenset("0123456789abcdef:.")

_DNS_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_MOST_OF_A_DNS_NAME = 253

LONGEST_NAME = 1024
"""Bytes of a subject or issuer that are read for the sake of words; who is named so uses a tenth of
them, and a peer may send a hundred times as many."""


def normal_name(name: str) -> str:
    """The normal spelling of a DNS name or IP address that a person or a program gave.

    U-labels ("bücher.example") become A-labels with the `idna` package (RFC 5891).

    Raises:
        ConfigurationError: it is neither, or it needs `idna` and that is not installed.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = type(name).__name__
        raise ConfigurationError(f"A server's name must be a string, not {kind}: {name!r:.80}.")
    address = ip_address(name)
    if address is not None:
        return str(address)
    lowered = name.lower().removesuffix(".")
    if not lowered.isascii():
        lowered = _to_a_labels(name.removesuffix("."))
    if not _is_dns_name(lowered):
        raise ConfigurationError(f"{name!r} is neither a DNS name nor an IP address.")
    return lowered


def ip_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that `name` spells, without brackets or zone; None for anything else."""
    # Only what could be an address is tried, as failing is slow and most names are DNS names.
    if ":" not in name and not name[-1:].isdecimal():
        return None
    text = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def covers(pattern: str, name: str) -> bool:
    """Whether a certificate's normal name, perhaps a wildcard, covers a normal name (RFC 9525 6.3).

    Only `*` as the whole left-most label is a wildcard, for exactly one label, never for an
    address, and never right above a top-level domain.
    """
    if pattern == name:
        return True
    if not pattern.startswith("*.") or ip_address(name) is not None:
        return False
    first, _, rest = name.partition(".")
    return bool(first) and rest == pattern[2:] and "." in rest


def claims_host(common_name: str) -> bool:
    """Whether a common name has the look of a host's name or address, in whatever spelling.

    "www.example.com", "192.168.001.001", "2001:db8::1" and "0xC0A80101" do; "My test server" and
    "alice" claim nothing.
    """
    text = common_name.lower().removesuffix(".")
    if ":" in text:
        return _ADDRESS_BYTES.issuperset(text)
    if text.startswith("0x"):
        return _ADDRESS_BYTES.issuperset(text[2:])
    return "." in text and _is_dns_name(text.removeprefix("*."))


def certificate_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names and IP addresses of subjectAltName, as normal names in their order.

    The common name never counts (RFC 9525 section 2). Entries that are no proper name are left
    out, as nothing can match them.

    Raises:
        ValueError: the extensions cannot be read.
    """
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return names_in(extension.value)


def names_in(alternatives: x509.SubjectAlternativeName) -> tuple[str, ...]:
    """The same of a subjectAltName that is at hand."""
    from cryptography import x509

    names: list[str] = []
    for entry in alternatives:
        if isinstance(entry, x509.DNSName):
            name = entry.value.lower().removesuffix(".")
            if _is_dns_name(name.removeprefix("*.")) and ip_address(name) is None:
                names.append(name)
        elif isinstance(entry, x509.IPAddress):
            names.append(str(entry.value))
    return tuple(dict.fromkeys(names))


def subject_of(certificate: x509.Certificate, name: bytes | None = None) -> str:
    """The subject, safe to print; the first names where the subject is empty.

    `name` is the subject as DER where that is at hand.
    """
    try:
        size = len(_names_of(certificate)[1] if name is None else name)
        if size > LONGEST_NAME:
            return f"a certificate with a name of {size} bytes"
        text = certificate.subject.rfc4514_string() or ", ".join(certificate_names(certificate)[:3])
    except Exception:
        text = ""  # cryptography reads names late, and the peer wrote them.
    return shown(text or "a certificate without a name")


def issuer_of(certificate: x509.Certificate, name: bytes | None = None) -> str:
    """The issuer, safe to print. Raises what cryptography raises."""
    size = len(_names_of(certificate)[0] if name is None else name)
    if size > LONGEST_NAME:
        return f"a name of {size} bytes"
    return shown(certificate.issuer.rfc4514_string())


def _names_of(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives.serialization import Encoding

    return issuer_and_subject(certificate.public_bytes(Encoding.DER))


def shown(text: str, limit: int = 120) -> str:
    """Text out of a certificate, made safe to print: a peer chose it.

    Control characters would otherwise reach terminals and logs.
    """
    start = text if len(text) <= limit else text[: limit - 3]
    printable = "".join(character if character.isprintable() else "?" for character in start)
    return printable if len(text) <= limit else printable + "..."


def _is_dns_name(name: str) -> bool:
    return len(name) <= _MOST_OF_A_DNS_NAME and _DNS_NAME.fullmatch(name) is not None


def _to_a_labels(name: str) -> str:
    try:
        import idna
    except ImportError:
        raise ConfigurationError(
            f'{name!r} is not ASCII: install the package idna, or give the name in its "xn--" form.'
        ) from None
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ConfigurationError(f"{name!r} is not a valid domain name: {error}.") from None
