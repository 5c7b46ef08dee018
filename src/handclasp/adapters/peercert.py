"""A certificate as the dict that `ssl.SSLSocket.getpeercert` gives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from handclasp.certificates.reading import read_or_none

if TYPE_CHECKING:
    from cryptography import x509

    from handclasp.info import ConnectionInfo


def peer_certificate(info: ConnectionInfo, *, binary_form: bool = False) -> Any:
    """Return the peer's certificate as DER or as a dict, in the three ways that `ssl` has.

    None where the peer showed none; an empty dict where it was not verified, since nobody should
    go by what stands in it.
    """
    if not info.peer_chain_der or info.peer_certificate_type != "X509":
        return None
    if binary_form:
        return info.peer_chain_der[0]
    return as_dict(info.peer_chain[0]) if info.peer_verified else {}


def as_dict(certificate: x509.Certificate) -> dict[str, Any]:
    """Return the fields of a certificate under the names that `ssl` gives them."""
    from cryptography.x509.oid import AuthorityInformationAccessOID

    read: dict[str, Callable[[], Any]] = {
        "subject": lambda: _name(certificate.subject),
        "issuer": lambda: _name(certificate.issuer),
        "version": lambda: certificate.version.value + 1,
        "serialNumber": lambda: _hexadecimal(certificate.serial_number),
        "notBefore": lambda: _time(certificate.not_valid_before_utc),
        "notAfter": lambda: _time(certificate.not_valid_after_utc),
        "subjectAltName": lambda: _alternative_names(certificate),
        "OCSP": lambda: _access(certificate, AuthorityInformationAccessOID.OCSP),
        "caIssuers": lambda: _access(certificate, AuthorityInformationAccessOID.CA_ISSUERS),
        "crlDistributionPoints": lambda: _points(certificate),
    }
    found = {key: read_or_none(field) for key, field in read.items()}
    # What the certificate is silent about, or what cannot be read, is left out.
    return {key: value for key, value in found.items() if value or key in ("subject", "issuer")}


def _alternative_names(certificate: x509.Certificate) -> tuple[Any, ...]:
    from cryptography import x509

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple([_general_name(each) for each in names])


def _access(certificate: x509.Certificate, method: x509.ObjectIdentifier) -> tuple[str, ...]:
    from cryptography import x509

    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    return tuple(
        [
            each.access_location.value
            for each in access.value
            if each.access_method == method
            and isinstance(each.access_location, x509.UniformResourceIdentifier)
        ]
    )


def _points(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    return tuple(
        [
            each.value
            for point in points
            for each in point.full_name or ()
            if isinstance(each, x509.UniformResourceIdentifier)
        ]
    )


def _name(name: x509.Name) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(tuple((_attribute(each), str(each.value)) for each in part) for part in name.rdns)


def _attribute(attribute: x509.NameAttribute[Any]) -> str:
    """Return OpenSSL's long name of an attribute."""
    return _LONG_NAMES.get(attribute.oid.dotted_string, attribute.oid.dotted_string)


def _general_name(name: x509.GeneralName) -> tuple[str, Any]:
    from cryptography import x509

    if isinstance(name, x509.DNSName):
        return "DNS", name.value
    if isinstance(name, x509.IPAddress):
        return "IP Address", _address(str(name.value))
    if isinstance(name, x509.RFC822Name):
        return "email", name.value
    if isinstance(name, x509.UniformResourceIdentifier):
        return "URI", name.value
    if isinstance(name, x509.DirectoryName):
        return "DirName", _name(name.value)
    if isinstance(name, x509.RegisteredID):
        return "Registered ID", name.value.dotted_string
    return "othername", "<unsupported>"


def _address(text: str) -> str:
    """Return an address as OpenSSL spells it, without abbreviation: 2001:DB8:0:0:0:0:0:1."""
    from ipaddress import IPv6Address

    if ":" not in text:
        return text
    words = IPv6Address(text).exploded.split(":")
    return ":".join(f"{int(word, 16):X}" for word in words)


def _hexadecimal(number: int) -> str:
    digits = f"{number:X}"
    return digits if len(digits) % 2 == 0 else f"0{digits}"


def _time(moment: datetime) -> str:
    """Return a time in English, in any locale."""
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * moment.month - 3 : 3 * moment.month]
    return f"{month} {moment.day:2} {moment:%H:%M:%S %Y} GMT"


_LONG_NAMES = {
    "2.5.4.3": "commonName",
    "2.5.4.4": "surname",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "countryName",
    "2.5.4.7": "localityName",
    "2.5.4.8": "stateOrProvinceName",
    "2.5.4.9": "streetAddress",
    "2.5.4.10": "organizationName",
    "2.5.4.11": "organizationalUnitName",
    "2.5.4.12": "title",
    "2.5.4.15": "businessCategory",
    "2.5.4.17": "postalCode",
    "2.5.4.42": "givenName",
    "2.5.4.97": "organizationIdentifier",
    "1.2.840.113549.1.9.1": "emailAddress",
    "0.9.2342.19200300.100.1.1": "userId",
    "0.9.2342.19200300.100.1.25": "domainComponent",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionLocalityName",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionStateOrProvinceName",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionCountryName",
}
