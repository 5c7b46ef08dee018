"""A certificate authority of one's own, for development and tests on this machine.

Its key lies in a directory that only its owner can read, and must never leave the machine: anybody
who holds it can impersonate servers to those who trust the authority. So a new authority can only
certify names and addresses of hosts that have no meaning on the internet (`LOCAL_NAMES`,
`LOCAL_NETWORKS`)
unless others are asked for: it says so itself, in name constraints (RFC 5280 section 4.2.1.10).
This library, Chromium, Firefox and GnuTLS hold it to that, so that a stolen key cannot be used
there against a bank.

OpenSSL, and with it curl and Python's `ssl`, does so with one exception. A certificate that has no
DNS name in subjectAltName, but a common name with a wildcard ("*.bank.com"), OpenSSL takes for the
hosts that this covers, and does not compare with the constraints. A program of that kind that
trusts the authority is not safe from a thief of the key. This bounds the damage in time only: a
new authority is valid for two years.

The key file holds the certificate too, so that an authority appears at once and whole, even if
two processes create it at the same time; the certificate file is a copy of it for distribution.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from handclasp.certificates.client_names import MAX_COMMON_NAME, host_of, uri_or_email
from handclasp.certificates.credentials import Credentials
from handclasp.certificates.loading import path_text, public_key_or_none
from handclasp.certificates.names import host_problem, ip_address, normal_name
from handclasp.certificates.reading import read_or_value_error
from handclasp.certificates.trust import TrustStore
from handclasp.crypto.secret import Secret
from handclasp.crypto.signatures import key_kind
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError, path_errors
from handclasp.private_files import draft_private, make_private_directory, write_public
from handclasp.trusted_files import UntrustedFileError, read_trusted
from handclasp.values import dataclass, field, replace

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

Purpose = Literal["server", "client"]

CERTIFICATE_FILE = "ca.pem"
KEY_FILE = "ca-key.pem"

KEY_TYPES = (
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "ed25519",
    "ed448",
    "rsa-2048",
    "rsa-3072",
    "rsa-4096",
    "mldsa44",
    "mldsa65",
    "mldsa87",
)

MAX_DAYS = 397
"""Browsers refuse server certificates that are valid for longer than 398 days."""

LOCAL_NAMES = ("localhost", "test", "example", "invalid", "internal", "local", "home.arpa")
"""Domains that nobody owns (RFC 6761, 6762, 8375, and ICANN for "internal"), and all below them."""

LOCAL_NETWORKS = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
    "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24",
    "::1/128", "fc00::/7", "fe80::/10", "2001:db8::/32",
)  # fmt: skip
"""Networks that are this machine, a private one, or for documentation (RFC 6890)."""

EVERY_NAME = "*"
"""In the names of a new authority: no constraints at all."""

_MOST_OF_CONSTRAINTS = 10_000
"""Characters of all names that an authority may certify."""

_AUTHORITY_DAYS = 730
"""OpenSSL does not hold a thief of the key to all of the constraints: see above."""

_AUTHORITY_KEY = "ecdsa-p256"
"""The verifier, like the profile of the web, takes no EdDSA authority; P-256 works everywhere."""

_FIRST_YEAR, _LAST_YEAR = 1970, 2999

_BACKDATED = timedelta(minutes=10)
"""Clocks differ: a certificate must not be from the future for a machine that is slow."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A fresh certificate and its key.

    See `LocalAuthority` for an example.

    Attributes:
        chain_pem: what its holder sends, as PEM: the certificate alone, as the authority is a
            root, which the peer must have already.
        key_pem: the private key as unencrypted PKCS #8 PEM.
    """

    chain_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key_pem", Secret(self.key_pem))

    def credentials(self) -> Credentials:
        """Return the certificate and its key as credentials for a config."""
        return Credentials.from_pem(self.chain_pem, self.key_pem)


class LocalAuthority:
    """An authority with its key. Get one from `open_or_create`.

    >>> from handclasp.certificates.authority import LocalAuthority
    >>> authority = LocalAuthority.open_or_create("authority")
    >>> issued = authority.issue(["localhost", "127.0.0.1"])  # An `IssuedCertificate`.
    >>> server = ServerConfig(credentials=issued.credentials())
    >>> client = ClientConfig(trust=authority.trust)
    """

    __slots__ = ("_certificate", "_file", "_key", "certificate_pem")

    def __init__(self, certificate_pem: bytes, private_key: Any, file: str = "") -> None:
        """Use `open_or_create` instead."""
        from cryptography import x509

        self.certificate_pem = certificate_pem
        self._certificate = x509.load_pem_x509_certificate(certificate_pem)
        self._key = private_key
        self._file = file

    @classmethod
    def open_or_create(
        cls, directory: str | os.PathLike[str] | None = None, *, names: Sequence[str] = ()
    ) -> LocalAuthority:
        """Return the authority in `directory` (`default_directory()` if None), created if
        necessary.

        The directory is made for its owner only, and so is the key file. Two processes that
        create at once end up with the same authority.

        Args:
            names: the names that it may certify besides `LOCAL_NAMES` and `LOCAL_NETWORKS`:
                domains, with all that is below them, and networks or addresses; `EVERY_NAME` for no
                constraints at all. One that is there already stays as it is.

        Raises:
            ConfigurationError: the directory holds half an authority or a broken one, one that may
                not certify `names`, others can read its key or rename a directory on the way to it,
                or it cannot be written to; or `names` holds something else.
        """
        wanted = _name_constraints(names)
        what = "the directory of a local authority"
        place = default_directory() if directory is None else Path(path_text(directory, what))
        with path_errors(f"use the directory {place} for a local authority"):
            make_private_directory(place)
            if not (place / KEY_FILE).exists():
                _create(place, wanted)
            authority = _open(place)
        if names and not authority._covers(wanted):
            raise ConfigurationError(
                f"The authority in {place / KEY_FILE} is there already, and may not issue for all "
                f"of these names; it is limited to: {authority._limits}. Name another directory "
                "(HANDCLASP_HOME=DIR), or delete it to make a new one, which every program has to "
                "trust again."
            )
        return authority

    @classmethod
    def in_memory(cls, *, names: Sequence[str] = ()) -> LocalAuthority:
        """Return a new authority whose key is in the memory of this process alone.

        >>> from handclasp.certificates.authority import LocalAuthority
        >>> LocalAuthority.in_memory(names=["example.com"]).constraints.endswith("example.com")
        True

        Args:
            names: as for `open_or_create`.

        Raises:
            ConfigurationError: `names` holds something else.
        """
        from cryptography.hazmat.primitives.serialization import Encoding

        key = _new_key(_AUTHORITY_KEY)
        certificate = _signed(_authority(key, _name_constraints(names)), key)
        return cls(certificate.public_bytes(Encoding.PEM), key)

    @property
    def constraints(self) -> str:
        """The names that it may certify, for people; empty for every name."""
        from handclasp.certificates.name_constraints import constraints_text

        found = self._constraints
        trees = (found.permitted_subtrees if found is not None else None) or ()
        return constraints_text(trees, most=len(trees), room=_MOST_OF_CONSTRAINTS) if trees else ""

    @property
    def _limits(self) -> str:
        """The same in short: the usual names and networks are many, and always the same."""
        from handclasp.certificates.name_constraints import constraints_text

        found, usual = self._constraints, _name_constraints(())
        trees = (found.permitted_subtrees if found is not None else None) or ()
        known = (usual.permitted_subtrees if usual is not None else None) or ()
        more = [tree for tree in trees if tree not in known]
        if len(trees) - len(more) < len(known):
            return constraints_text(trees) if trees else ""
        names = ", ".join(name if name == "localhost" else f".{name}" for name in LOCAL_NAMES)
        added = f", {constraints_text(more)}" if more else ""
        return f"{names}, and addresses that are not of the internet{added}"

    @property
    def name(self) -> str:
        """The authority's common name, which no other authority has."""
        return self._certificate.subject.rfc4514_string().removeprefix("CN=")

    @property
    def trust(self) -> TrustStore:
        """A trust store with this authority alone."""
        return TrustStore.from_certificates([self._certificate])

    def issue(
        self,
        names: Sequence[str],
        *,
        purpose: Purpose = "server",
        days: int | None = None,
        key_type: str = "ecdsa-p256",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> IssuedCertificate:
        """Issue a new certificate with a new key.

        Args:
            names: for a server, DNS names (`*.` in front is a wildcard; U-labels are converted)
                and IP addresses. For a client also URIs ("spiffe://example.test/alice") and e-mail
                addresses; the first name as it is given is its common name as well, which is all
                that becomes of a name of no such kind ("Ada Lovelace", or "alice" with an authority
                that may not certify this host). Servers that go by subjectAltName do not see it.
            days: how long it is valid, at most 397, which is the default.
            key_type: one of `KEY_TYPES`.
            not_before, not_after: when it is valid, with time zones, such as in the past for a
                certificate that has expired. By default from ten minutes ago, for `days`; no longer
                than this authority itself.

        Raises:
            ConfigurationError: no name or a bad one, one that this authority may not certify, too
                many days, an unknown key type, times that contradict each other.
        """
        from cryptography.hazmat.primitives.serialization import Encoding

        if isinstance(names, str) or not names:
            raise ConfigurationError("A certificate needs a list of at least one name.")
        period = _period(days, not_before, not_after, self._certificate)
        key = _new_key(key_type)
        common_name, alternatives = _names(names, purpose)
        alternatives = self._permitted(alternatives, common_name if purpose == "client" else None)
        builder = _leaf(common_name, alternatives, purpose, period, key, self._certificate)
        certificate = _signed(builder, self._key)
        return IssuedCertificate(certificate.public_bytes(Encoding.PEM), _key_pem(key))

    def credentials(self, names: Sequence[str], *, key_type: str = "ecdsa-p256") -> Credentials:
        """Return a new server certificate as credentials for a config; raise as `issue` does."""
        issued = self.issue(names, key_type=key_type).credentials()
        return replace(issued, root_file=self._file)

    @property
    def _constraints(self) -> x509.NameConstraints | None:
        """The names that it may certify; None for every name, as in authorities of older
        versions.
        """
        from cryptography import x509

        try:
            return self._certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            return None

    def _covers(self, wanted: x509.NameConstraints | None) -> bool:
        """Return whether it may certify all names that an authority with other constraints may."""
        here = self._constraints
        if here is None or wanted is None:
            return here is None
        return set(wanted.permitted_subtrees or ()) <= set(here.permitted_subtrees or ())

    def _permitted(
        self, alternatives: list[x509.GeneralName], called: str | None
    ) -> list[x509.GeneralName]:
        """Return the names that it may certify; raise for others.

        What a client is called ("alice") may look like a host's name without a domain, and then
        is its common name alone.
        """
        from handclasp.certificates.name_constraints import permits

        constraints = self._constraints
        if constraints is None:
            return alternatives
        permitted = [name for name in alternatives if permits(constraints, name)]
        for name in alternatives:
            text = str(name.value)
            is_just_called_so = "." not in text and called is not None and host_of(called) == text
            if name not in permitted and not (is_just_called_so and ":" not in text):
                raise ConfigurationError(
                    f"The local authority may not issue for {name.value}; it is limited to: "
                    f"{self._limits}. Make another: HANDCLASP_HOME=DIR handclasp cert ca --for "
                    f"{name.value}, or LocalAuthority.open_or_create(DIR, names=[...])."
                )
        return permitted

    def __repr__(self) -> str:
        return f"LocalAuthority({self._certificate.subject.rfc4514_string()})"


def default_directory() -> Path:
    """Return the directory of this user's local authority, without creating it.

    Raises `ConfigurationError` where the user has no home directory.

    >>> from handclasp.certificates.authority import default_directory
    >>> default_directory().name
    'handclasp'
    """
    given = os.environ.get("XDG_DATA_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    if os.path.isabs(given):
        return Path(given) / "handclasp"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else _home() / "AppData" / "Local") / "handclasp"
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support" / "handclasp"
    return _home() / ".local" / "share" / "handclasp"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # HOME is not set, and the system does not know this user.
        raise ConfigurationError(
            "This user has no home directory for a local authority: name a directory, or set HOME."
        ) from None


def _open(place: Path) -> LocalAuthority:
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    key_file = place / KEY_FILE
    try:
        data = read_trusted(key_file, may_be_linked=True)  # As it is while it is created.
    except UntrustedFileError as error:
        raise ConfigurationError(
            f"Cannot use the authority's key {key_file}: {error.strerror}. "
            f"{_after(error, key_file)}"
        ) from None
    damaged = f"The authority in {key_file} is damaged: delete it to replace it."
    try:
        private_key: Any = read_or_value_error(lambda: load_pem_private_key(data, None))
        certificate, not_after = read_or_value_error(lambda: _certificate_and_end(data))
    except ValueError:
        raise ConfigurationError(damaged) from None
    if public_key_or_none(certificate) != private_key.public_key():
        raise ConfigurationError(damaged)
    if not_after < datetime.now(UTC) + timedelta(days=1):
        raise ConfigurationError(f"The authority in {key_file} expired: delete it to replace it.")
    certificate_pem = certificate.public_bytes(Encoding.PEM)
    _keep_copy(place / CERTIFICATE_FILE, certificate_pem)
    return LocalAuthority(certificate_pem, private_key, str((place / CERTIFICATE_FILE).absolute()))


def _certificate_and_end(data: bytes) -> tuple[x509.Certificate, datetime]:
    """Return the certificate, with the parts that are used at once, and its notAfter."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(data)
    _ = certificate.subject, certificate.extensions
    return certificate, certificate.not_valid_after_utc


def _after(error: UntrustedFileError, key_file: Path) -> str:
    """Return the advice about a key that others could have read or placed there."""
    command = error.command(key_file)
    if not command:
        return "Delete it to make a new authority."
    return (
        f"Run {command}; if somebody may have had the key, delete it as well, to make a new "
        "authority."
    )


def _create(place: Path, constraints: x509.NameConstraints | None) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    key = _new_key(_AUTHORITY_KEY)
    certificate = _signed(_authority(key, constraints), key)
    with draft_private(place) as draft:
        draft.write(_key_pem(key) + certificate.public_bytes(Encoding.PEM))
        draft.check(os.lstat(draft.path))
        try:
            os.link(draft.path, place / KEY_FILE)  # This never replaces another's key.
        except FileExistsError:
            pass
        except OSError:
            draft.rename(place / KEY_FILE)  # A file system without links.


def _keep_copy(path: Path, data: bytes) -> None:
    try:
        if path.read_bytes() == data:
            return
    except FileNotFoundError:
        pass
    write_public(path, data)


def _name_constraints(more: Sequence[str]) -> x509.NameConstraints | None:
    """Return the names for a new authority; None for every name. Raise `ConfigurationError`."""
    from cryptography import x509

    if isinstance(more, str):
        raise ConfigurationError("names must be a list of names.")
    trees: dict[x509.GeneralName, None] = {}
    for name in (*LOCAL_NAMES, *LOCAL_NETWORKS, *more):
        if name == EVERY_NAME:
            continue
        try:
            trees[x509.IPAddress(ip_network(name))] = None
        except ValueError:
            normal = normal_name(name.removeprefix("*."))
            _check_name(name, normal)
            trees[x509.DNSName(normal)] = None
    if EVERY_NAME in more:
        return None
    return x509.NameConstraints(list(trees), None)


def _authority(key: Any, constraints: x509.NameConstraints | None) -> x509.CertificateBuilder:
    from cryptography import x509

    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # The number tells authorities apart: two of one name but other keys confuse path builders.
    subject = _common_name(f"handclasp local authority {identifier.digest[:4].hex()}")
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=_AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(_issuer_identifier(identifier), critical=False)
    )
    return builder if constraints is None else builder.add_extension(constraints, critical=True)


def _period(
    days: int | None,
    not_before: datetime | None,
    not_after: datetime | None,
    issuer: x509.Certificate,
) -> tuple[datetime, datetime]:
    """Return from when until when a certificate is valid; raise `ConfigurationError`."""
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise ConfigurationError(f"days must be from 1 to {MAX_DAYS}, not {days}.")
    if days is not None and not_before is not None and not_after is not None:
        raise ConfigurationError("days says how long; give it or not_after, beside not_before.")
    for name, time in (("not_before", not_before), ("not_after", not_after)):
        if time is not None and (not isinstance(time, datetime) or time.tzinfo is None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{name} must be a datetime with a time zone, not {time!r}.")
        if time is not None and not _FIRST_YEAR <= time.year <= _LAST_YEAR:
            raise ConfigurationError(f"{name} must be in the years {_FIRST_YEAR} to {_LAST_YEAR}.")
    length = timedelta(days=MAX_DAYS if days is None else days)
    latest, start = issuer.not_valid_after_utc, not_before
    if start is None:
        start = max(datetime.now(UTC) - _BACKDATED, issuer.not_valid_before_utc)
        if not_after is not None and (days is not None or not_after <= start):
            start = not_after - length
    end = min(start + length, latest) if not_after is None else not_after
    if not start < end or end - start > timedelta(days=MAX_DAYS) or end > latest:
        raise ConfigurationError(
            f"A certificate cannot be valid from {_utc(start)} to {_utc(end)} UTC: "
            f"at most {MAX_DAYS} days, and until {_utc(latest)}, when the authority "
            "itself expires."
        )
    return start, end


def _utc(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def _leaf(
    common_name: str | None,
    alternatives: Sequence[x509.GeneralName],
    purpose: Purpose,
    period: tuple[datetime, datetime],
    key: Any,
    issuer: x509.Certificate,
) -> x509.CertificateBuilder:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    used_for = (
        ExtendedKeyUsageOID.CLIENT_AUTH if purpose == "client" else ExtendedKeyUsageOID.SERVER_AUTH
    )
    issuer_key = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    public_key = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(_common_name(common_name))
        .issuer_name(issuer.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(period[0])
        .not_valid_after(period[1])
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(key_transport=key_kind(key) == "rsa"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([used_for]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(_issuer_identifier(issuer_key), critical=False)
    )
    if alternatives:
        # RFC 5280 4.2.1.6: critical exactly if the subject is empty.
        extension = x509.SubjectAlternativeName(alternatives)
        builder = builder.add_extension(extension, critical=common_name is None)
    return builder


def _names(names: Sequence[str], purpose: Purpose) -> tuple[str | None, list[x509.GeneralName]]:
    """Return the common name, if the first name is short enough for one, and the subjectAltName."""
    from cryptography import x509

    alternatives: dict[x509.GeneralName, None] = {}
    first: str | None = None
    for name in names:
        wildcard = "*." if name.startswith("*.") else ""
        called = uri_or_email(name) if purpose == "client" else None
        if called is not None:
            alternatives[called] = None
            first = first or name
            continue
        try:
            normal = normal_name(name.removeprefix(wildcard))
        except ConfigurationError:
            if purpose == "server" or not 0 < len(name) <= MAX_COMMON_NAME:
                raise
            normal = ""
        try:
            _check_name(name, normal)
        except ConfigurationError:
            if purpose == "server" or "." in normal:
                raise
            normal = ""  # What somebody is called is no host's name.
        address = ip_address(normal)
        if address is not None:
            alternatives[x509.IPAddress(address)] = None
        elif normal:
            alternatives[x509.DNSName(wildcard + normal)] = None
        elif first is not None:
            raise ConfigurationError(
                f"{name!r} is neither a DNS name, an IP address, a URI nor an e-mail address: only "
                "the first name may be so, as the client's common name."
            )
        # A person is called as they were given; a host's common name must be one of its names.
        first = first or (name if purpose == "client" else wildcard + normal)
    fits = first is not None and len(first) <= MAX_COMMON_NAME
    return (first if fits else None), list(alternatives)


def _check_name(name: str, normal: str) -> None:
    """Raise `ConfigurationError` for a name for which no certificate can be verified."""
    if name.startswith("*.") and ip_address(normal) is not None:
        raise ConfigurationError(f"{name!r}: an IP address has no wildcard.")
    problem = host_problem(normal)
    if problem:
        raise ConfigurationError(f"{name!r} {problem}.")


def _key_usage(*, certificates: bool = False, key_transport: bool = False) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=key_transport,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _issuer_identifier(identifier: x509.SubjectKeyIdentifier) -> x509.AuthorityKeyIdentifier:
    from cryptography import x509

    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _common_name(text: str | None) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([] if text is None else [x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _signed(builder: x509.CertificateBuilder, key: Any) -> x509.Certificate:
    from cryptography.hazmat.primitives.hashes import SHA256

    return builder.sign(key, SHA256())


def _key_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def _new_key(key_type: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

    makers: dict[str, Any] = {
        "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ecdsa-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ecdsa-p521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ed448": ed448.Ed448PrivateKey.generate,
        "mldsa44": mldsa.MLDSA44PrivateKey.generate,
        "mldsa65": mldsa.MLDSA65PrivateKey.generate,
        "mldsa87": mldsa.MLDSA87PrivateKey.generate,
    }
    if key_type not in KEY_TYPES:
        raise ConfigurationError(f"key_type {key_type!r} is not one of {', '.join(KEY_TYPES)}.")
    if key_type.startswith("rsa-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type[4:]))
    return makers[key_type]()
