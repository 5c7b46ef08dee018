"""The names that certificates are issued to: DNS names and IP addresses, in one spelling each.

A normal name is a lower-case DNS name in A-labels without a trailing dot, or the canonical text
of an IP address. Everything that compares names compares normal names.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from handclasp.certificates.der import (
    elements,
    extension_values,
    extensions_size,
    issuer_and_subject,
    size_without,
)
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError, shown
from handclasp.wording import listed, printable

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

ANY_NAME = ""
"""Replaces the normal name of a server whose name is not compared."""

_ADDRESS_BYTES = frozenset("0123456789abcdef:.")

_DOTS_OF_AN_ADDRESS = 3

_DNS_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_MOST_OF_A_DNS_NAME = 253
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

LONGEST_NAME = 1024
"""Bytes of a subject or issuer that are read for an error text.

Real names take a tenth of them, and a peer may send a hundred times as many.
"""

MOST_NAME_BYTES = 2**15
"""Bytes of issuer and subject together that are accepted, and of all the names in a chain: some
2,700 parts at most.

Each part costs as much as a hundred bytes of anything else, and no real name has a hundred parts.
"""

MOST_EXTENSIONS = 2**14
"""Bytes of extensions that are read for the sake of words. A hundred names take a fifth of them."""

MOST_EXTENSION_BYTES = 2**15
"""Bytes of extensions that are accepted, not counting the text of DNS names, which costs little.

A small extension costs as much as a hundred bytes of text, and so does each part of a directory
name. Real certificates have 2 or 3 KB of them, and 2 bytes more for each DNS name.
"""

MOST_LISTED = 8
"""Names of a certificate that are printed, or searched for one to connect by."""

ALTERNATIVES = b"\x06\x03\x55\x1d\x11"
"""The type of a subjectAltName in DER (RFC 5280 section 4.2.1.6)."""

_DNS_ENTRY, _ADDRESS_ENTRY, _ADDRESS_SIZES = 0x82, 0x87, (4, 16)
"""The tags of a DNS name and an address in a subjectAltName (RFC 5280 section 4.2.1.6)."""

_MOST_OF_A_SUBJECT = 100
"""Characters of the names that stand for a subject."""

_COMMON_NAME = b"\x06\x03\x55\x04\x03"
"""The type of a common name in DER (RFC 5280 appendix A.1: id-at-commonName)."""


def normal_name(name: str) -> str:
    """Return the normal spelling of a DNS name or IP address from a person or a program.

    U-labels ("bücher.example") become A-labels with the `idna` package (RFC 5891).

    Raises:
        ConfigurationError: it is neither, or it needs `idna` and that is not installed.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = type(name).__name__
        raise ConfigurationError(f"A server's name must be a string, not {kind}: {shown(name)}.")
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
    """Return the address that `name` spells, without brackets or zone; None for anything else."""
    # Only what could be an address is tried, as failing is slow and most names are DNS names.
    if ":" not in name and (not name[-1:].isdecimal() or name.count(".") < _DOTS_OF_AN_ADDRESS):
        return None
    text = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def host_problem(name: str) -> str:
    """Return why a normal name is not a host's name, after the name itself; empty if it is one.

    No certificate can be verified for the others (RFC 5280 section 4.2.1.6, "preferred name
    syntax"), and a name that ends in a number is taken for an address (WHATWG URL section 3.5).
    """
    if ip_address(name) is not None:
        return ""
    labels = name.split(".")
    if "_" in name:
        return "is no host's name: host names have no underscore"
    if any(label[:1] == "-" or label[-1:] == "-" for label in labels):
        return "is no host's name: no part of one begins or ends with a hyphen"
    if _NUMBER.fullmatch(labels[-1]):
        return "is not an address, and no host's name ends in a number"
    return ""


def covers(pattern: str, name: str) -> bool:
    """Return whether a certificate's normal name, perhaps a wildcard, covers a normal name (RFC
    9525 6.3).

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
    """Return whether a common name looks like a host's name or address, in any spelling.

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
    """Return the DNS names and IP addresses of subjectAltName, as normal names in their order.

    The common name never counts (RFC 9525 section 2). Entries that are no proper name are left
    out, as nothing can match them.

    Raises:
        ValueError: the extensions cannot be read.
    """
    return tuple(dict.fromkeys(names_of(certificate)))


class Names:
    """The DNS names and IP addresses of a subjectAltName, to look names up and to list a few.

    An authority may put twenty thousand into a certificate. None is written out before it is asked
    for, and addresses are compared as the bytes that they are.
    """

    def __init__(self, entries: Sequence[object]) -> None:
        """Hold DNS names as they are written, addresses or networks, and packed addresses."""
        self._entries = entries

    @classmethod
    def of(cls, alternatives: Iterable[x509.GeneralName]) -> Names:
        """Return those among the names that cryptography read."""
        from cryptography import x509

        # By their very class: isinstance is slow with the abstract base that they have.
        kinds = (x509.DNSName, x509.IPAddress)
        return cls([entry.value for entry in alternatives if entry.__class__ in kinds])

    @classmethod
    def in_der(cls, alternatives: bytes) -> Names | None:
        """Return those in a subjectAltName in DER that has not been read; None if it is malformed.

        Names of other kinds and repetitions are skipped.
        """
        entries: list[object] = []
        try:
            for tag, value in dict.fromkeys(elements(alternatives)):
                if tag == _DNS_ENTRY and value.isascii():
                    entries.append(value.decode("ascii"))
                elif tag == _ADDRESS_ENTRY and len(value) in _ADDRESS_SIZES:
                    entries.append(value)
        except ValueError:
            return None
        return cls(entries)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the normal names in their order."""
        for entry in self._entries:
            if isinstance(entry, str):
                name = _normal_dns_name(entry)
                if name:
                    yield name
            else:
                yield str(ipaddress.ip_address(entry) if isinstance(entry, bytes) else entry)

    def __bool__(self) -> bool:
        return bool(self._first)

    def __len__(self) -> int:
        """Return the number of different names, including those that are not proper names."""
        return len(self._as_written) + len(self._addresses)

    def __contains__(self, name: str) -> bool:
        """Return whether a normal name is one of them, compared letter by letter."""
        address = ip_address(name)
        if address is not None:
            return address.packed in self._addresses and str(address) == name
        is_written = name in self._as_written or f"{name}." in self._as_written
        return is_written and _normal_dns_name(name) == name

    def first(self, most: int) -> list[str]:
        """Return the first few different names, at most `MOST_LISTED`."""
        return self._first[:most]

    def covering(self, name: str) -> list[str]:
        """Return the names that cover a normal name, at most two: itself and a wildcard (see
        `covers`).
        """
        candidates = (name, f"*.{name.partition('.')[2]}")
        return [pattern for pattern in candidates if pattern in self and covers(pattern, name)]

    def ends_in_dot(self, name: str) -> bool:
        """Return whether a normal name is present only with a trailing dot.

        No name in a certificate may be written so (RFC 5280 section 4.2.1.6).
        """
        return name not in self._as_written and f"{name}." in self._as_written

    def has_as_dns_name(self, text: str) -> bool:
        """Return whether a DNS name, proper or not, is spelled like `text`, in lower case."""
        return text in self._as_written

    @cached_property
    def _first(self) -> list[str]:
        found: dict[str, None] = {}
        for name in self:
            found[name] = None
            if len(found) == MOST_LISTED:
                break
        return list(found)

    @cached_property
    def _as_written(self) -> frozenset[str]:
        """Return the DNS names, proper or not, in lower case."""
        return frozenset([entry.lower() for entry in self._entries if isinstance(entry, str)])

    @cached_property
    def _addresses(self) -> frozenset[object]:
        values = [entry for entry in self._entries if not isinstance(entry, str)]
        # Of a length that no address has, it is read as a network, which covers nothing here.
        return frozenset([getattr(value, "packed", value) for value in values])


def _normal_dns_name(value: str) -> str:
    """Return the normal spelling of a DNS name, perhaps a wildcard; empty if it is not one."""
    name = value.lower().removesuffix(".")
    proper = _is_dns_name(name.removeprefix("*.")) and ip_address(name) is None
    return name if proper else ""


def names_of(certificate: x509.Certificate) -> Names:
    """Return the names of `certificate_names`, in a form for look-ups and for a short list.

    Raises:
        ValueError: the extensions cannot be read.
    """
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return Names(())
    return Names.of(extension.value)


def bytes_besides_dns_names(certificate: x509.Certificate, size: int) -> int:
    """Return how many of the `size` bytes of extensions are not the text of DNS names.

    Where there are more than `MOST_EXTENSION_BYTES` of them, not all may be counted.
    """
    values = extension_values(certificate, ALTERNATIVES)
    if len(values) != 1:
        return size  # With several, none can be read.
    most = max(0, MOST_EXTENSION_BYTES - (size - len(values[0])))
    return size - len(values[0]) + size_without(values[0], _DNS_ENTRY, most)


def common_names(certificate: x509.Certificate, der: bytes) -> list[str]:
    """Return the common names in the subject; raise what cryptography raises.

    `der` holds the subject: where no common name can be in it, the subject is not taken apart.
    """
    from cryptography.x509.oid import NameOID

    if _COMMON_NAME not in der:
        return []
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [str(attribute.value) for attribute in found]


def subject_of(
    certificate: x509.Certificate,
    name: bytes | None = None,
    names: Callable[[], Names] | None = None,
) -> str:
    """Return the subject, safe to print; the first names if the subject is empty.

    `name` is the subject as DER, if it is available, and `names` returns the names, if somebody
    else needs them as well: to collect thousands of them is work.
    """
    try:
        size = len(_names_of(certificate)[1] if name is None else name)
        if size > LONGEST_NAME:
            return f"a certificate with a name of {size} bytes"
        text = name_text(certificate.subject) or _names_text(certificate, names)
    except Exception:
        text = ""  # cryptography reads names late, and the peer wrote them.
    return printable(text or "a certificate without a name")


def _names_text(certificate: x509.Certificate, read: Callable[[], Names] | None) -> str:
    size = extensions_size(_encoded(certificate))
    if size > MOST_EXTENSIONS:
        return unread_names(size)
    names = names_of(certificate) if read is None else read()
    if not names:
        return ""
    return listed(names.first(3), 3, count=len(names), room=_MOST_OF_A_SUBJECT)


def unread_names(size: int) -> str:
    """Return a name for a certificate without subject whose extensions are too large to read."""
    return f"a certificate with {size} bytes of extensions"


def issuer_of(certificate: x509.Certificate, name: bytes | None = None) -> str:
    """Return the issuer, safe to print; raise what cryptography raises."""
    size = len(_names_of(certificate)[0] if name is None else name)
    if size > LONGEST_NAME:
        return f"a name of {size} bytes"
    return name_text(certificate.issuer)


def _names_of(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    return issuer_and_subject(_encoded(certificate))


def _encoded(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def name_text(name: x509.Name, limit: int = 120) -> str:
    """Return a name as in RFC 4514, safe to print, and no longer than needed."""
    text, between = "", ""
    for part in reversed(name.rdns):
        for attribute in part:
            text += between + attribute.rfc4514_string()
            if len(text) > limit:
                return printable(text, limit)
            between = "+"
        between = ","
    return printable(text, limit)


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
