"""The content of a certificate as plain values: for people, JSON and `handclasp cert show`.

>>> from cryptography import x509
>>> from handclasp.certificates import describe
>>> chain = Credentials.load("chain.pem", "key.pem").chain_der
>>> leaf = x509.load_der_x509_certificate(chain[0])
>>> describe.first_names(leaf, 5), describe.covers_name(chain, "example.com")
((['example.com'], 1), True)
>>> describe.key_type_of(leaf), describe.signature_algorithm_of(leaf)
('ECDSA secp256r1', 'ecdsa-with-SHA256')
>>> describe.key_usage_of(leaf), describe.extended_key_usage_of(leaf)
(['digitalSignature', 'keyEncipherment'], ['serverAuth'])
>>> describe.described(leaf, "names") == {"names": describe.describe(leaf)["names"]}
True
>>> describe.field_in_words(chain[0], "subjectAltName")
('example.com', 'RFC 5280 section 4.2.1.6')
>>> describe.chain_in_words(chain)[0]
1
>>> key = Credentials.raw_public_key("key.pem").chain_der[0]
>>> describe.pin_of(leaf) == describe.pin_of_info(key) == describe.spki_pin(leaf.public_key())
True
>>> describe.tlsa_of(leaf) == describe.tlsa_of_info(key)
True
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from handclasp.certificates.credentials import spki_is_pss
from handclasp.certificates.der import public_key_info
from handclasp.certificates.names import (
    MOST_LISTED,
    certificate_names,
    covers,
    issuer_of,
    name_text,
    names_of,
    subject_of,
)
from handclasp.certificates.reading import certificate_of, read_or_none
from handclasp.crypto.signatures import key_kind
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError, shown
from handclasp.wording import listed, printable

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

_TEXT_LIMIT = 1000


def describe(certificate: x509.Certificate) -> dict[str, Any]:
    """Return the content of a certificate in words; nothing of it is verified here.

    Everything is text, a number, a boolean, a list of text, or None where the certificate is
    silent or the field cannot be read. Keys: subject, issuer, names, not_before and not_after
    (ISO 8601, UTC), serial (hexadecimal), key_type, key_size (bits), signature_algorithm,
    spki_sha256 (base64, as in a pin), tlsa (a TLSA record of the key, "3 1 1" and hexadecimal),
    fingerprint_sha256 (hexadecimal), is_authority, key_usage, extended_key_usage, path_length,
    permitted_names and excluded_names (name constraints), policies, ocsp_urls, issuer_urls,
    crl_urls, must_staple, timestamps (those in the certificate, as time and log).

    Raises:
        ConfigurationError: it is not a parsed certificate.
    """
    return described(certificate, *_FIELDS)


def describe_certificate(certificate: bytes | x509.Certificate) -> dict[str, Any] | None:
    """Return the description of a certificate, in DER or parsed, with the keys of `describe`.

    None for a bare key or unreadable data. This is what `Recorder.to_html` and `Recorder.save_html`
    take as `describe`.

    >>> description = describe_certificate(Credentials.load("chain.pem", "key.pem").chain_der[0])
    >>> description["names"]
    ['example.com']

    Raises:
        ConfigurationError: it is of another type; PEM text, for example.
    """
    parsed = _parsed_or_none(certificate)
    return describe(parsed) if parsed is not None else None


def _parsed_or_none(certificate: bytes | x509.Certificate) -> x509.Certificate | None:
    """Return a certificate in DER or parsed; None for other bytes."""
    from cryptography import x509

    if isinstance(certificate, x509.Certificate):
        return certificate
    if not isinstance(certificate, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            "A certificate must be bytes in DER, or a parsed x509.Certificate, not "
            f"{shown(certificate)}."
        )
    if certificate.startswith(b"-----BEGIN"):
        raise ConfigurationError(
            "A certificate must be bytes in DER, and this is PEM: "
            "x509.load_pem_x509_certificate reads it."
        )
    return read_or_none(lambda: certificate_of(certificate))


def described(certificate: x509.Certificate, *keys: str) -> dict[str, Any]:
    """Return the description with these keys only; nothing else is read.

    Raises:
        ConfigurationError: it is not a parsed certificate.
    """
    _check_parsed(certificate)
    silent: frozenset[str] = frozenset()
    if not _OF_EXTENSIONS.isdisjoint(keys) and not _has_readable_extensions(certificate):
        silent = _OF_EXTENSIONS
    return {key: None if key in silent else _FIELDS[key](certificate) for key in keys}


def _has_readable_extensions(certificate: x509.Certificate) -> bool:
    """Return whether the extensions can be read.

    cryptography keeps those that it could read, and otherwise reads them anew for each field.
    """
    return read_or_none(lambda: certificate.extensions) is not None


def _check_parsed(certificate: object) -> None:
    from cryptography import x509

    if not isinstance(certificate, x509.Certificate):
        raise ConfigurationError(
            f"This needs a parsed x509.Certificate, not {shown(certificate)}: describe_certificate "
            "takes DER."
        )


def first_names(certificate: x509.Certificate, most: int) -> tuple[list[str], int]:
    """Return the first few names of a certificate, and the number of all."""
    _check_parsed(certificate)
    names = read_or_none(lambda: names_of(certificate))
    return ([], 0) if names is None else (names.first(most), len(names))


def field_in_words(der: bytes | x509.Certificate, name: str) -> tuple[str, str]:
    """Return the content of a field of a certificate, safe to print, and the RFC that
    defines it.
    """
    keys, section = _DEFINED.get(name, ((), "RFC 5280 section 4.2"))
    certificate = _parsed_or_none(der)
    found = described(certificate, *keys) if certificate is not None else {}
    value = found.get(keys[0]) if keys else None
    if name == "subjectPublicKeyInfo" and value and found.get("key_size"):
        value = f"{value}, {found['key_size']} bits"
    if name == "extensions" and certificate is not None:
        value = _extensions_in_words(certificate)
    if name == "nameConstraints":
        value = _constraints_in_words(found)
    if name == "tlsfeature":
        value = "status_request (must-staple)" if value else ""
    if isinstance(value, list):
        value = listed([str(each) for each in found[keys[0]]], MOST_LISTED, none="")
    text = str(value or "")
    return printable(text, 200), section


def name_of_oid(dotted: str) -> str:
    """Return the name of an object identifier; the identifier itself if it has none here.

    >>> from handclasp.certificates.describe import name_of_oid
    >>> name_of_oid("2.5.29.17")
    'subjectAltName'
    """
    from cryptography import x509

    named = read_or_none(lambda: x509.ObjectIdentifier(dotted)._name)
    return dotted if named in (None, "Unknown OID") else named


def _extensions_in_words(certificate: x509.Certificate) -> str:
    """Return the extensions in words, with a remark if none has names."""
    names = read_or_none(lambda: [each.oid._name for each in certificate.extensions])
    if names is None:
        return ""
    lacks = "" if "subjectAltName" in names else "no subjectAltName"
    return "; ".join(filter(None, (listed(names, _MOST_EXTENSIONS, none=""), lacks)))


def _constraints_in_words(described: dict[str, Any]) -> str:
    parts = [
        f"{kind} {listed(described[key])}"
        for kind, key in (("permitted", "permitted_names"), ("excluded", "excluded_names"))
        if described.get(key)
    ]
    return "; ".join(parts)


_MOST_EXTENSIONS = 12
"""Extensions that are named: certificates in use have ten."""

_DEFINED: dict[str, tuple[tuple[str, ...], str]] = {
    "version": ((), "RFC 5280 section 4.1.2.1"),
    "serialNumber": (("serial",), "RFC 5280 section 4.1.2.2"),
    "issuer": (("issuer",), "RFC 5280 section 4.1.2.4"),
    "notBefore": (("not_before",), "RFC 5280 section 4.1.2.5"),
    "notAfter": (("not_after",), "RFC 5280 section 4.1.2.5"),
    "subject": (("subject",), "RFC 5280 section 4.1.2.6"),
    "subjectPublicKeyInfo": (("key_type", "key_size"), "RFC 5280 section 4.1.2.7"),
    "extensions": ((), "RFC 5280 section 4.2"),
    "signatureValue": (("signature_algorithm",), "RFC 5280 section 4.1.1.3"),
    "authorityKeyIdentifier": ((), "RFC 5280 section 4.2.1.1"),
    "subjectKeyIdentifier": ((), "RFC 5280 section 4.2.1.2"),
    "keyUsage": (("key_usage",), "RFC 5280 section 4.2.1.3"),
    "subjectAltName": (("names",), "RFC 5280 section 4.2.1.6"),
    "basicConstraints": ((), "RFC 5280 section 4.2.1.9"),
    "nameConstraints": (("permitted_names", "excluded_names"), "RFC 5280 section 4.2.1.10"),
    "policyConstraints": ((), "RFC 5280 section 4.2.1.11"),
    "extKeyUsage": (("extended_key_usage",), "RFC 5280 section 4.2.1.12"),
    "tlsfeature": (("must_staple",), "RFC 7633 section 4"),
}
"""Of each field: what `describe` calls it, and where it is defined."""


class _ChainInWords(NamedTuple):
    """The content of `alerts.OwnChain`."""

    size: int = 0
    leaf: str = ""
    last: str = ""
    issuer: str = ""
    names: str = ""
    dates: str = ""
    is_self_signed: bool = False
    validity: tuple[tuple[str, datetime, datetime], ...] = ()
    purposes: tuple[str, ...] | None = None
    key: str = ""


_MOST_DATED = 10
"""Certificates of a chain whose dates are read."""


def chain_in_words(chain: Sequence[bytes]) -> _ChainInWords:
    """Return a summary of this side's chain, leaf first, for `alerts.OwnChain`.

    Nothing where it is empty or cannot be read, as with raw public keys.
    """
    nothing = _ChainInWords()
    if not chain:
        return nothing
    try:
        leaf, last = certificate_of(chain[0]), certificate_of(chain[-1])
        names = certificate_names(leaf)
        begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        purposes = read_or_none(partial(extended_key_usage_of, leaf))
        return _ChainInWords(
            len(chain),
            subject_of(leaf),
            subject_of(last),
            issuer_of(last),
            listed(names, 3, none=""),
            f"valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
            len(chain) == 1 and _is_self_signed(leaf),
            tuple(map(_validity, chain[:_MOST_DATED])),
            None if purposes is None else tuple(purposes),
            _key_in_words(leaf),
        )
    except Exception:
        return nothing  # cryptography reads late, and fails with one thing or another.


def _validity(der: bytes) -> tuple[str, datetime, datetime]:
    certificate = certificate_of(der)
    return (
        subject_of(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _key_in_words(certificate: x509.Certificate) -> str:
    size = read_or_none(lambda: getattr(certificate.public_key(), "key_size", None))
    bits = f" with {size} bits" if size else ""
    signed = signature_algorithm_of(certificate)
    return f"{key_type_of(certificate)}{bits}, and it is signed with {signed}"


def _is_self_signed(certificate: x509.Certificate) -> bool:
    """Return whether a certificate is signed by the key in it (RFC 5280 section 3.2).

    That issuer and subject have one name does not show it.
    """
    from handclasp.certificates.path import is_signed_by

    return certificate.issuer == certificate.subject and is_signed_by(certificate, certificate)


def covers_name(chain: Sequence[bytes | x509.Certificate], name: str | None) -> bool | None:
    """Return whether the first certificate is for a name; None if that is unknown."""
    if not chain or not name:
        return None
    leaf = _parsed_or_none(chain[0])
    if leaf is None:
        return None
    try:
        names = certificate_names(leaf)
        return any(covers(each, name.lower()) for each in names)
    except Exception:
        return None  # As above.


def spki_pin(public_key: Any) -> str:
    """Return the SHA-256 of the SubjectPublicKeyInfo in base64, as pins have it (RFC 7469)."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(hashlib.sha256(spki).digest()).decode("ascii")


def pin_of(certificate: x509.Certificate) -> str:
    """Return the pin of a certificate's key, over the bytes of the certificate.

    cryptography writes an RSASSA-PSS key anew as rsaEncryption, which has another digest.
    """
    return pin_of_info(public_key_info(certificate))


def pin_of_info(public_key_info: bytes) -> str:
    """Return the pin of a SubjectPublicKeyInfo in DER."""
    return b64encode(hashlib.sha256(public_key_info).digest()).decode("ascii")


def tlsa_of(certificate: x509.Certificate) -> str:
    """Return the TLSA record for a certificate's key, as in zone files (RFC 6698 2.2)."""
    return tlsa_of_info(public_key_info(certificate))


def tlsa_of_info(public_key_info: bytes) -> str:
    """Return the TLSA record for a SubjectPublicKeyInfo in DER."""
    return f"3 1 1 {hashlib.sha256(public_key_info).hexdigest()}"


def _readable(
    read: Callable[[x509.Certificate], Any],
) -> Callable[[x509.Certificate], Any]:
    return lambda certificate: read_or_none(partial(read, certificate))


def _iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def key_type_of(certificate: x509.Certificate) -> str:
    """Return the key's type in words: "RSA", "ECDSA secp256r1", "ML-DSA-65"; otherwise its OID."""
    key = read_or_none(certificate.public_key)
    if key is None:
        return certificate.public_key_algorithm_oid.dotted_string
    kind = key_kind(key)
    if kind == "rsa":
        return "RSASSA-PSS" if spki_is_pss(certificate) else "RSA"
    named = {"ed25519": "Ed25519", "ed448": "Ed448"}
    if kind.startswith("mldsa"):
        return f"ML-DSA-{kind[5:]}"
    if kind in named:
        return named[kind]
    return f"ECDSA {kind}" if kind else type(key).__name__.removesuffix("PublicKey")


def signature_algorithm_of(certificate: x509.Certificate) -> str:
    """Return the signature algorithm, by the RFC's name or as OID."""
    oid = certificate.signature_algorithm_oid
    known = {
        "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
        "1.2.840.113549.1.1.10": "RSASSA-PSS",
        "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
        "1.3.101.112": "Ed25519",
        "1.3.101.113": "Ed448",
        "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
        "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
        "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
    }
    return known.get(oid.dotted_string, oid.dotted_string)


def _is_authority(certificate: x509.Certificate) -> bool:
    from cryptography import x509

    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints is not None and bool(constraints.ca)


_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "contentCommitment",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}


def key_usage_of(certificate: x509.Certificate) -> list[str] | None:
    """Return the uses that keyUsage allows, by the RFC's names; None without the extension."""
    from cryptography import x509

    usage = _extension(certificate, x509.KeyUsage)
    if usage is None:
        return None
    return [name for attribute, name in _USAGES.items() if getattr(usage, attribute)]


_PURPOSES = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}


def extended_key_usage_of(certificate: x509.Certificate) -> list[str] | None:
    """Return the purposes by the RFC's names or as OIDs; None without the extension."""
    from cryptography import x509

    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if purposes is None:
        return None
    oids: list[str] = [purpose.dotted_string for purpose in purposes]
    return [_PURPOSES.get(oid, oid) for oid in oids]


def _path_length(certificate: x509.Certificate) -> int | None:
    from cryptography import x509

    constraints = _extension(certificate, x509.BasicConstraints)
    return None if constraints is None else constraints.path_length


def _constrained(attribute: str, certificate: x509.Certificate) -> list[str] | None:
    from cryptography import x509

    constraints = _extension(certificate, x509.NameConstraints)
    trees = None if constraints is None else getattr(constraints, attribute)
    return None if trees is None else [_name_text(tree) for tree in trees]


_POLICIES = {
    "2.23.140.1.1": "extended validation",
    "2.23.140.1.2.1": "domain validated",
    "2.23.140.1.2.2": "organization validated",
    "2.23.140.1.2.3": "individual validated",
    "2.5.29.32.0": "anyPolicy",
}
"""BR 7.1.6.1, and RFC 5280 section 4.2.1.4."""


def _policies(certificate: x509.Certificate) -> list[str] | None:
    from cryptography import x509

    policies = _extension(certificate, x509.CertificatePolicies)
    if policies is None:
        return None
    oids: list[str] = [policy.policy_identifier.dotted_string for policy in policies]
    return [f"{oid} ({_POLICIES[oid]})" if oid in _POLICIES else oid for oid in oids]


_OCSP = "1.3.6.1.5.5.7.48.1"
_CA_ISSUERS = "1.3.6.1.5.5.7.48.2"


def _access(method: str, certificate: x509.Certificate) -> list[str] | None:
    from cryptography import x509

    descriptions = _extension(certificate, x509.AuthorityInformationAccess)
    if descriptions is None:
        return None
    return [
        _name_text(each.access_location)
        for each in descriptions
        if each.access_method.dotted_string == method
    ]


def _crl_urls(certificate: x509.Certificate) -> list[str] | None:
    from cryptography import x509

    points = _extension(certificate, x509.CRLDistributionPoints)
    if points is None:
        return None
    return [_name_text(name) for point in points for name in point.full_name or ()]


def _must_staple(certificate: x509.Certificate) -> bool:
    from cryptography import x509

    features = _extension(certificate, x509.TLSFeature)
    return features is not None and x509.TLSFeatureType.status_request in features


def _timestamps(certificate: x509.Certificate) -> list[str] | None:
    from handclasp.certificates.transparency import timestamps_of

    found = timestamps_of(certificate)
    if not found:
        return None
    return [f"{_iso(each.time)} by the log {b64encode(each.log_id).decode()}" for each in found]


_OTHERS: dict[str, Callable[[x509.Certificate], Any]] = {
    "path_length": _path_length,
    "permitted_names": partial(_constrained, "permitted_subtrees"),
    "excluded_names": partial(_constrained, "excluded_subtrees"),
    "policies": _policies,
    "ocsp_urls": partial(_access, _OCSP),
    "issuer_urls": partial(_access, _CA_ISSUERS),
    "crl_urls": _crl_urls,
    "must_staple": _must_staple,
    "timestamps": _timestamps,
}
"""Fields that most certificates lack."""


_FIELDS: dict[str, Callable[[x509.Certificate], Any]] = {
    "subject": _readable(lambda certificate: name_text(certificate.subject, _TEXT_LIMIT)),
    "issuer": _readable(lambda certificate: name_text(certificate.issuer, _TEXT_LIMIT)),
    "names": _readable(lambda certificate: list(certificate_names(certificate))),
    "not_before": _readable(lambda certificate: _iso(certificate.not_valid_before_utc)),
    "not_after": _readable(lambda certificate: _iso(certificate.not_valid_after_utc)),
    "serial": lambda certificate: f"{certificate.serial_number:x}",
    "key_type": key_type_of,
    "key_size": _readable(lambda certificate: getattr(certificate.public_key(), "key_size", None)),
    "signature_algorithm": signature_algorithm_of,
    "spki_sha256": _readable(pin_of),
    "tlsa": _readable(tlsa_of),
    "fingerprint_sha256": lambda certificate: hashlib.sha256(_der(certificate)).hexdigest(),
    "is_authority": _readable(_is_authority),
    "key_usage": _readable(key_usage_of),
    "extended_key_usage": _readable(extended_key_usage_of),
    **{name: _readable(read) for name, read in _OTHERS.items()},
}

_OF_EXTENSIONS = frozenset({"names", "is_authority", "key_usage", "extended_key_usage", *_OTHERS})


def _name_text(name: x509.GeneralName) -> str:
    from cryptography import x509

    value: Any = name.value
    return name_text(value, 200) if isinstance(value, x509.Name) else printable(str(value), 200)


def _extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)
