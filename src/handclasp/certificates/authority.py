"""A certificate authority of one's own, for development and tests on this machine.

Its key lies in a directory that only its owner can read. Whoever holds that key can impersonate
any server to those who trust the authority, so it must never leave the machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.names import ip_address, normal_name
from handclasp.certificates.trust import TrustStore
from handclasp.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography import x509

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

_AUTHORITY_DAYS = 3650
_BACKDATED = timedelta(minutes=10)
"""Clocks differ: a certificate must not be from the future for a machine that is slow."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A fresh certificate: `chain_pem` has it and its issuer's certificate is not in there.

    Attributes:
        chain_pem: what a server sends, leaf first, as PEM.
        key_pem: the private key as unencrypted PKCS #8 PEM.
    """

    chain_pem: bytes
    key_pem: bytes = field(repr=False)

    def credentials(self) -> Credentials:
        """The same, ready for a config."""
        return Credentials.from_pem(self.chain_pem, self.key_pem)


class LocalAuthority:
    """An authority whose key is at hand. Get one from `open_or_create`."""

    __slots__ = ("_certificate", "_key", "certificate_pem")

    def __init__(self, certificate_pem: bytes, private_key: Any) -> None:
        """Use `open_or_create` instead."""
        from cryptography import x509

        self.certificate_pem = certificate_pem
        self._certificate = x509.load_pem_x509_certificate(certificate_pem)
        self._key = private_key

    @classmethod
    def open_or_create(cls, directory: str | os.PathLike[str] | None = None) -> LocalAuthority:
        """The authority kept in `directory` (`default_directory()` if None), made if need be.

        The directory is made for its owner only, and so is the key file. Two processes that
        create at once end up with the same authority.

        Raises:
            ConfigurationError: the directory holds half an authority or a broken one, others can
                read its key, or it cannot be written to.
        """
        place = default_directory() if directory is None else Path(directory)
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (place / KEY_FILE).exists():
                _create(place)
            return _open(place)
        except OSError as error:
            raise ConfigurationError(
                f"Cannot use the directory {place} for a local authority: "
                f"{error.strerror or error}."
            ) from None

    @property
    def trust(self) -> TrustStore:
        """A trust store with this authority alone."""
        return TrustStore.from_certificates([self._certificate])

    def issue(
        self,
        names: Sequence[str],
        *,
        purpose: Purpose = "server",
        days: int = MAX_DAYS,
        key_type: str = "ecdsa-p256",
    ) -> IssuedCertificate:
        """A new certificate with a new key.

        Args:
            names: for a server, DNS names (`*.` in front is a wildcard; U-labels are converted)
                and IP addresses; for a client, the first name is its common name as well, and
                names that are neither DNS names nor addresses count as common names only.
            days: how long it is valid, at most 397.
            key_type: one of `KEY_TYPES`.

        Raises:
            ConfigurationError: no name or a bad one, too many days, an unknown key type.
        """
        from cryptography.hazmat.primitives.serialization import Encoding

        if isinstance(names, str) or not names:
            raise ConfigurationError("A certificate needs a list of at least one name.")
        if not 1 <= days <= MAX_DAYS:
            raise ConfigurationError(f"days must be from 1 to {MAX_DAYS}, not {days}.")
        key = _new_key(key_type)
        builder = _leaf(names, purpose, days, key, self._certificate)
        certificate = _signed(builder, self._key)
        return IssuedCertificate(certificate.public_bytes(Encoding.PEM), _key_pem(key))

    def credentials(self, names: Sequence[str], *, key_type: str = "ecdsa-p256") -> Credentials:
        """A new certificate for a server, ready for a config. Raises as `issue` does."""
        return self.issue(names, key_type=key_type).credentials()

    def __repr__(self) -> str:
        return f"LocalAuthority({self._certificate.subject.rfc4514_string()})"


def default_directory() -> Path:
    """Where the local authority of this user lives; nothing is made there yet."""
    given = os.environ.get("XDG_DATA_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    if os.path.isabs(given):
        return Path(given) / "handclasp"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "handclasp"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "handclasp"
    return Path.home() / ".local" / "share" / "handclasp"


def _open(place: Path) -> LocalAuthority:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key_file, certificate_file = place / KEY_FILE, place / CERTIFICATE_FILE
    # The mode on Windows says nothing; there the profile directory is private.
    if os.name == "posix" and key_file.stat().st_mode & 0o077:
        raise ConfigurationError(
            f"Others can read the authority's key {key_file}: run chmod 600 on it if nobody had "
            "a reason to look, or else delete the directory to make a new authority."
        )
    broken = f"{place} holds a broken authority: delete it to make a new one."
    try:
        private_key: Any = load_pem_private_key(key_file.read_bytes(), None)
        authority = LocalAuthority(certificate_file.read_bytes(), private_key)
        own = authority._certificate.public_key() == private_key.public_key()
    except (ValueError, TypeError, FileNotFoundError):
        raise ConfigurationError(broken) from None
    if not own:
        raise ConfigurationError(broken)
    if authority._certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=1):
        raise ConfigurationError(
            f"The authority in {place} has expired: delete it to make a new one."
        )
    return authority


def _create(place: Path) -> None:
    """Write certificate and key so that the key, which comes last, makes the authority complete."""
    from cryptography.hazmat.primitives.serialization import Encoding

    # The verifier, like the web's profile, takes no EdDSA authority; P-256 works everywhere.
    key = _new_key("ecdsa-p256")
    certificate = _signed(_authority(key), key)
    with tempfile.TemporaryDirectory(dir=place, prefix=".new-") as drafts:
        draft_key = _write_private(Path(drafts) / KEY_FILE, _key_pem(key))
        draft = _write_private(
            Path(drafts) / CERTIFICATE_FILE, certificate.public_bytes(Encoding.PEM)
        )
        lock = place / ".creating"
        _publish(lock, draft, draft_key, place)


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
