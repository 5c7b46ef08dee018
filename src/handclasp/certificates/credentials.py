"""What this side shows of itself: a certificate chain, and a signer that holds the key.

`Credentials.load` is strict, since a mistake here otherwise shows up as somebody else's failed
handshake: the key must belong to the certificate, and the chain must be one chain.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from handclasp.certificates.names import certificate_names, covers, normal_name, shown
from handclasp.crypto import signatures
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography import x509


class Signer(Protocol):
    """Whatever can sign for a certificate: a key in memory, an HSM, a service elsewhere.

    Attributes:
        schemes: the IANA names of the schemes it signs in, best first.
    """

    @property
    def schemes(self) -> Sequence[str]: ...

    def sign(self, scheme: str, data: bytes) -> bytes | Awaitable[bytes]:
        """The signature over `data`, in the wire form of TLS (ECDSA as DER), or an awaitable."""
        ...


class StapleSource(Protocol):
    """Where the OCSP response to staple to a certificate comes from."""

    def current(self, now: datetime) -> bytes | None:
        """The response as DER if there is one that is valid at `now`."""
        ...


class LocalSigner:
    """A signer that holds a private key object of cryptography in this process.

    Args:
        private_key: RSA, ECDSA on P-256, P-384 or P-521, Ed25519, Ed448 or ML-DSA.
        spki_is_pss: whether the certificate declares its RSA key as id-RSASSA-PSS.

    Raises:
        ConfigurationError: no TLS 1.3 signature scheme takes a key of this kind or size.
    """

    __slots__ = ("_private_key", "schemes")

    def __init__(self, private_key: Any, *, spki_is_pss: bool = False) -> None:
        kind = signatures.key_kind(private_key)
        self.schemes: Sequence[str] = (
            signatures.schemes_for_key(private_key.public_key(), spki_is_pss) if kind else ()
        )
        if not self.schemes:
            raise ConfigurationError(
                "TLS 1.3 cannot sign with this key: use ECDSA P-256, Ed25519, or RSA of at least "
                "2048 bits."
            )
        self._private_key = private_key

    def sign(self, scheme: str, data: bytes) -> bytes:
        return signatures.sign(scheme, self._private_key, data)

    def __repr__(self) -> str:
        return f"LocalSigner({', '.join(self.schemes)})"


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A certificate chain and the signer for its key. Shared freely; never prints a key.

    Attributes:
        chain: the certificates as DER, leaf first.
        signer: signs with the leaf's key.
        names: the DNS names and IP addresses of the leaf, in normal form.
        schemes: the signature schemes that both the leaf and the signer can do, best first.
        subject: the leaf's subject, for people.
        issuers: the DER names of all issuers in the chain, to compare with a peer's
            certificate_authorities (RFC 8446 section 4.2.4).
    """

    chain: tuple[bytes, ...]
    signer: Signer
    names: tuple[str, ...]
    schemes: tuple[str, ...]
    subject: str = field(default="", compare=False)
    issuers: tuple[bytes, ...] = field(default=(), compare=False)
    certificate_type: str = "X509"
    staple: StapleSource | None = None
    sct_list: bytes | None = field(default=None, repr=False)

    @property
    def current(self) -> Credentials:
        """These credentials: they never change. `WatchedCredentials.current` may."""
        return self

    @classmethod
    def load(
        cls,
        chain_path: str | os.PathLike[str],
        key_path: str | os.PathLike[str],
        password: str | bytes | None = None,
    ) -> Credentials:
        """From a file of PEM certificates, leaf first, and a file with the PEM private key.

        Both may be the same file. A single DER certificate or key is taken as well. Certificates
        in the wrong order are put right where there is only one right order.

        Raises:
            ConfigurationError: a file is missing or unreadable, or does not hold what it should,
                or the two do not belong together.
        """
        chain_file = f"the certificate file {os.fspath(chain_path)}"
        key_file = f"the key file {os.fspath(key_path)}"
        return _from_bytes(
            _read(chain_path, chain_file), chain_file, _read(key_path, key_file), key_file, password
        )

    @classmethod
    def from_pem(
        cls, chain_bytes: bytes, key_bytes: bytes, password: str | bytes | None = None
    ) -> Credentials:
        """The same as `load`, from memory."""
        return _from_bytes(chain_bytes, "the certificate data", key_bytes, "the key data", password)

    @classmethod
    def from_signer(
        cls, chain: bytes | Iterable[bytes | x509.Certificate], signer: Signer
    ) -> Credentials:
        """From a chain (PEM, or DER or parsed certificates, leaf first) and a signer for its key.

        Raises:
            ConfigurationError: the chain is no chain, or the signer has no scheme for its key.
        """
        what = "the certificate chain"
        certificates = (
            _certificates_of(chain, what) if isinstance(chain, bytes) else _parsed(chain, what)
        )
        return _assembled(_in_order(certificates, what), signer)

    def matches(self, server_name: str | None) -> bool:
        """Whether the leaf covers a name that a client asks for; False for None or no name at all.

        An exact name or a wildcard in the left-most label counts, the common name never; an IP
        address is compared as an address (RFC 9525 section 6).
        """
        if server_name is None:
            return False
        try:
            name = normal_name(server_name)
        except ConfigurationError:
            return False  # A client can ask for anything.
        return any(covers(pattern, name) for pattern in self.names)

    def __repr__(self) -> str:
        return f"Credentials(subject={self.subject!r}, names={self.names!r})"


class WatchedCredentials:
    """Credentials in files, which are read again when they change."""

    __slots__ = ("_current",)

    def __init__(self, current: Credentials) -> None:
        self._current = current

    @property
    def current(self) -> Credentials:
        """What the files held when they were last looked at."""
        return self._current


def _read(path: str | os.PathLike[str], what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ConfigurationError(f"There is no file for {what}: check the path.") from None
    except OSError as error:
        raise ConfigurationError(f"Cannot read {what}: {error.strerror or error}.") from None


def _from_bytes(
    chain_bytes: bytes,
    chain_file: str,
    key_bytes: bytes,
    key_file: str,
    password: str | bytes | None,
) -> Credentials:
    certificates = _certificates_of(chain_bytes, chain_file)
    private_key = _private_key_of(key_bytes, key_file, password)
    if not signatures.key_kind(private_key):
        raise ConfigurationError(
            f"{_capital(key_file)} holds a kind of key that TLS 1.3 cannot sign with: use ECDSA "
            "P-256, Ed25519, or RSA of at least 2048 bits."
        )
    own_key = private_key.public_key()
    holders = [c for c in certificates if _public_key_or_none(c) == own_key]
    if not holders:
        raise ConfigurationError(
            f"{_capital(key_file)} does not belong to {chain_file}: its key is not that of the "
            f"certificate for {_subject(certificates[0])}."
        )
    leaf = certificates[0] if certificates[0] in holders else holders[0]
    if leaf is not certificates[0] and len(holders) > 1:
        raise ConfigurationError(
            f"{_capital(chain_file)} holds several certificates for the key: put the one to use "
            "first and take out the others."
        )
    chain = _in_order([leaf, *(c for c in certificates if c is not leaf)], chain_file)
    return _assembled(chain, LocalSigner(private_key, spki_is_pss=spki_is_pss(leaf)))


def _assembled(chain: Sequence[x509.Certificate], signer: Signer) -> Credentials:
    leaf = chain[0]
    own_key = _public_key_or_none(leaf)
    unknown = [scheme for scheme in signer.schemes if scheme not in SIGNATURE_SCHEMES]
    if unknown:
        raise ConfigurationError(f"The signer names an unknown signature scheme: {unknown[0]!r}.")
    is_pss = spki_is_pss(leaf)
    schemes = tuple(s for s in signer.schemes if signatures.fits(s, own_key, is_pss))
    if not schemes:
        raise ConfigurationError(
            f"The signer cannot sign for the certificate of {_subject(leaf)}: it needs one of "
            f"{', '.join(signatures.schemes_for_key(own_key, is_pss)) or 'no scheme of TLS 1.3'}."
        )
    try:
        names = certificate_names(leaf)
    except ValueError:
        raise ConfigurationError(
            f"The certificate for {_subject(leaf)} has extensions that cannot be read: replace it."
        ) from None
    return Credentials(
        chain=tuple(_der(certificate) for certificate in chain),
        signer=signer,
        names=names,
        schemes=schemes,
        subject=_subject(leaf),
        issuers=tuple(dict.fromkeys(c.issuer.public_bytes() for c in chain)),
    )


def spki_is_pss(certificate: x509.Certificate) -> bool:
    """Whether the key is declared as id-RSASSA-PSS (RFC 4055 section 1.2)."""
    return certificate.public_key_algorithm_oid.dotted_string == "1.2.840.113549.1.1.10"


def _certificates_of(data: bytes, what: str) -> list[x509.Certificate]:
    from cryptography import x509

    if not data.strip():
        raise ConfigurationError(f"{_capital(what)} is empty: it needs PEM certificates.")
    try:
        if b"-----BEGIN " not in data:
            return [x509.load_der_x509_certificate(data)]
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        if b"PRIVATE KEY-----" in data and b"BEGIN CERTIFICATE" not in data:
            advice = "it holds a private key; are the two files swapped?"
        else:
            advice = 'it needs PEM certificates ("-----BEGIN CERTIFICATE-----"), the own one first.'
        raise ConfigurationError(f"Cannot use {what}: {advice}") from None


def _parsed(chain: Iterable[bytes | x509.Certificate], what: str) -> list[x509.Certificate]:
    from cryptography import x509

    certificates: list[x509.Certificate] = []
    for entry in chain:
        if isinstance(entry, x509.Certificate):
            certificates.append(entry)
            continue
        try:
            certificates.append(x509.load_der_x509_certificate(entry))
        except (ValueError, TypeError):
            raise ConfigurationError(
                f"{_capital(what)} holds an entry that is not a DER certificate."
            ) from None
    if not certificates:
        raise ConfigurationError(f"{_capital(what)} is empty.")
    return certificates


def _private_key_of(data: bytes, what: str, password: str | bytes | None) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    secret = password.encode() if isinstance(password, str) else password
    is_pem = b"-----BEGIN " in data
    load = serialization.load_pem_private_key if is_pem else serialization.load_der_private_key
    if is_pem and b"PRIVATE KEY-----" not in data:
        raise ConfigurationError(
            f"Cannot use {what}: it holds no private key"
            + ("; are the two files swapped?" if b"BEGIN CERTIFICATE" in data else ".")
        )
    # Nothing of cryptography's own exception is kept: no part of a key may reach a traceback.
    try:
        return load(data, secret)
    except UnsupportedAlgorithm:
        problem = "its kind of key or encryption is not supported."
    except TypeError:
        problem = (
            "it is encrypted: give its password."
            if secret is None
            else "it is not encrypted: leave the password out."
        )
    except ValueError:
        problem = (
            "it is not a readable private key."
            if secret is None
            else "the password is wrong, or the key is damaged."
        )
    raise ConfigurationError(f"Cannot use {what}: {problem}")


def _in_order(certificates: Sequence[x509.Certificate], what: str) -> list[x509.Certificate]:
    """Leaf first, each certificate followed by its issuer (RFC 8446 section 4.4.2)."""
    leaf, *rest = dict.fromkeys(certificates)
    chain = [leaf]
    while rest:
        issuers = [candidate for candidate in rest if _issued(candidate, chain[-1])]
        # A cross-signed authority has several certificates; then the given order tells.
        if not issuers or (len(issuers) > 1 and issuers[0] is not rest[0]):
            raise ConfigurationError(_disorder(what, chain[-1], rest, issuers))
        chain.append(issuers[0])
        rest.remove(issuers[0])
    return chain


def _disorder(
    what: str,
    last: x509.Certificate,
    rest: Sequence[x509.Certificate],
    issuers: Sequence[x509.Certificate],
) -> str:
    if issuers:
        return (
            f"{_capital(what)} holds several issuers for {_subject(last)}: put the certificates "
            "in order, each followed by its issuer."
        )
    return (
        f"{_capital(what)} is not one chain: {_subject(rest[0])} did not issue {_subject(last)}; "
        "leave only the own certificate and its issuers."
    )


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if subject.issuer != issuer.subject:
        return False
    try:
        subject.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    except UnsupportedAlgorithm:
        return True  # The names agree, and the peer's verifier decides anyway.
    return True


def _public_key_or_none(certificate: x509.Certificate) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def _subject(certificate: x509.Certificate) -> str:
    text = certificate.subject.rfc4514_string()
    if not text:
        try:
            text = ", ".join(certificate_names(certificate)[:3])
        except ValueError:
            text = ""
    return shown(text or "(no name)")


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
