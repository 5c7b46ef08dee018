"""The names in a certificate's subjectAltName, for programs that decide by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handclasp.certificates.der import extensions_size
from handclasp.certificates.names import (
    MOST_EXTENSION_BYTES,
    Names,
    bytes_besides_dns_names,
)
from handclasp.certificates.reading import load_certificate, read_or_none
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError, shown
from handclasp.values import dataclass

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")


@dataclass(frozen=True, slots=True)
class AlternativeNames:
    """The names of a certificate by their kinds (RFC 5280 section 4.2.1.6), each once.

    See `alternative_names` for an example.

    Attributes:
        dns: DNS names, in lower case, in A-labels and without a trailing dot. One may be a
            wildcard, such as "*.example.com".
        ip: addresses of IPv4 and IPv6, as Python's `ipaddress` writes them.
        uri: URIs as they are written, such as "spiffe://example.com/service".
        email: e-mail addresses as they are written.
    """

    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    email: tuple[str, ...] = ()


def alternative_names(certificate: bytes | x509.Certificate) -> AlternativeNames:
    """Return the names in the subjectAltName of a certificate, which is DER or parsed.

    Never the subject's common name, which nobody has checked to be a name of that kind. Names of
    other kinds, and entries that are not proper names, are left out. There are no names where the
    certificate or its extensions cannot be read, or where its extensions are larger than any that
    is accepted (32 KB besides DNS names).

    This verifies nothing: `ConnectionInfo.peer_names` has the names of a peer that was verified.

    >>> alternative_names(Credentials.load("chain.pem", "key.pem").chain_der[0])
    AlternativeNames(dns=('example.com',), ip=(), uri=(), email=())

    Raises:
        ConfigurationError: it is neither bytes nor a parsed certificate.
    """
    if not isinstance(certificate, bytes | x509.Certificate):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            "A certificate must be bytes in DER, or a parsed x509.Certificate, not "
            f"{shown(certificate)}."
        )
    return read_or_none(lambda: _read(certificate)) or AlternativeNames()


def _read(given: bytes | x509.Certificate) -> AlternativeNames:
    from cryptography.hazmat.primitives.serialization import Encoding

    certificate = load_certificate(given) if isinstance(given, bytes) else given
    size = extensions_size(certificate.public_bytes(Encoding.DER))
    if bytes_besides_dns_names(certificate, size) > MOST_EXTENSION_BYTES:
        return AlternativeNames()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    def values(kind: type[x509.GeneralName]) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(name.value for name in names if isinstance(name, kind)))

    return AlternativeNames(
        dns=tuple(dict.fromkeys(Names(values(x509.DNSName)))),
        ip=tuple(map(str, values(x509.IPAddress))),
        uri=tuple(filter(_is_visible, values(x509.UniformResourceIdentifier))),
        email=tuple(filter(_is_visible, values(x509.RFC822Name))),
    )


def _is_visible(name: str) -> bool:
    """Return whether there is something, and each character can be seen: no NUL, no line's end."""
    return bool(name) and name.isascii() and name.isprintable() and " " not in name
