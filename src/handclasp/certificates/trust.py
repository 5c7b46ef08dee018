"""The authorities that a side trusts. Built once, shared by everything, parsed at first use."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from handclasp.certificates.names import shown
from handclasp.certificates.remembered import RememberedChains
from handclasp.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.x509.verification import Store

SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL 10
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS, OpenBSD, FreeBSD
    "/usr/local/etc/ssl/cert.pem",  # FreeBSD
    "/etc/openssl/certs/ca-certificates.crt",  # NetBSD
    "/opt/homebrew/etc/ca-certificates/cert.pem",
)
"""Where systems keep their bundle of authorities, most common first."""

_SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1"


class TrustStore:
    """An immutable set of trust anchors.

    Two stores are equal only if they are the same object; compare `fingerprint` for the content.
    Verified chains are remembered per store, so keep one rather than build it anew.

    Attributes:
        source: where the anchors come from, for people.
        remembered: the chains that verified under this store.
    """

    __slots__ = ("_anchors", "_fingerprint", "_load", "_lock", "_store", "remembered", "source")

    def __init__(self, source: str, load: Callable[[], tuple[x509.Certificate, ...]]) -> None:
        """Use the class methods instead."""
        self.source = source
        self.remembered: RememberedChains[Any] = RememberedChains()
        self._load = load
        self._lock = Lock()
        self._anchors: frozenset[x509.Certificate] | None = None
        self._store: Store | None = None
        self._fingerprint: bytes | None = None

    @classmethod
    def system(cls) -> TrustStore:
        """The authorities that this machine trusts; the same object each time.

        The environment variables SSL_CERT_FILE and SSL_CERT_DIR go first, as with OpenSSL; then
        come the bundle of the operating system, and the `certifi` package if it is installed.
        Entries that cannot be read are passed over.

        Raises:
            ConfigurationError: there is none of these (here), or none holds a certificate (at the
                first use).
        """
        return _system(
            os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None
        )

    @classmethod
    def from_pem(cls, path_or_bytes: str | os.PathLike[str] | bytes) -> TrustStore:
        """From a file of PEM certificates, or from its content as bytes.

        Repeated certificates count once; one that cannot be read is an error.

        Raises:
            ConfigurationError: the file is missing or unreadable, or holds no certificate or a
                broken one.
        """
        if isinstance(path_or_bytes, bytes):
            data, source = path_or_bytes, "the given certificates"
        else:
            source = f"the CA file {os.fspath(path_or_bytes)}"
            data = _read(Path(path_or_bytes), source)
        return cls._of(source, _every_certificate(data, source))

    @classmethod
    def from_certificates(cls, certificates: Iterable[x509.Certificate]) -> TrustStore:
        """From parsed certificates. Raises `ConfigurationError` where there are none."""
        anchors = tuple(certificates)
        if not anchors:
            raise ConfigurationError("A trust store needs at least one certificate.")
        return cls._of("the given certificates", anchors)

    def with_added(self, more: TrustStore | str | os.PathLike[str] | bytes) -> TrustStore:
        """A new store with the anchors of this one and of another (or of `from_pem(more)`)."""
        other = more if isinstance(more, TrustStore) else TrustStore.from_pem(more)
        return TrustStore(
            f"{self.source} and {other.source}", lambda: (*self.anchors, *other.anchors)
        )

    @property
    def anchors(self) -> frozenset[x509.Certificate]:
        """The trusted certificates, parsed at the first use."""
        if self._anchors is None:
            with self._lock:
                if self._anchors is None:
                    self._anchors = frozenset(self._load())
        return self._anchors

    @property
    def store(self) -> Store:
        """The anchors in the form that cryptography's verifier takes."""
        if self._store is None:
            from cryptography.x509.verification import Store

            self._store = Store(list(self.anchors))
        return self._store

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 over the anchors, 32 bytes, whatever their order: names this set of trust."""
        if self._fingerprint is None:
            digests = sorted(hashlib.sha256(_der(anchor)).digest() for anchor in self.anchors)
            self._fingerprint = hashlib.sha256(b"".join(digests)).digest()
        return self._fingerprint

    def subjects(self) -> tuple[bytes, ...]:
        """The DER names of the anchors, for certificate_authorities (RFC 8446 section 4.2.4)."""
        return tuple(sorted({anchor.subject.public_bytes() for anchor in self.anchors}))

    def __repr__(self) -> str:
        return f"TrustStore({self.source})"

    @classmethod
    def _of(cls, source: str, certificates: Iterable[x509.Certificate]) -> TrustStore:
        anchors = tuple(certificates)
        return cls(source, lambda: anchors)


@lru_cache(maxsize=8)
def _system(cert_file: str | None, cert_dir: str | None) -> TrustStore:
    if cert_file is not None or cert_dir is not None:
        return _from_environment(cert_file, cert_dir)
    if sys.platform == "win32":
        return TrustStore("the certificates of Windows", _windows_roots)
    path = next((path for path in SYSTEM_FILES if os.path.isfile(path)), None) or _certifi_file()
    if path is None:
        raise ConfigurationError(
            "This system has no known bundle of trusted authorities: install its ca-certificates "
            "package or the Python package certifi, or name a file in SSL_CERT_FILE."
        )
    source = f"the system's {path}"
    return TrustStore(source, lambda: _readable_certificates([Path(path)], source))


def _from_environment(cert_file: str | None, cert_dir: str | None) -> TrustStore:
    files = [Path(cert_file)] if cert_file is not None else []
    # Like PATH, the variable may name several directories.
    directories = [Path(name) for name in (cert_dir or "").split(os.pathsep) if name]
    for variable, found, given in (
        ("SSL_CERT_FILE", not files or files[0].is_file(), cert_file),
        ("SSL_CERT_DIR", not directories or any(d.is_dir() for d in directories), cert_dir),
    ):
        if not found:
            raise ConfigurationError(
                f"The environment variable {variable} names {given}, which is not there: correct "
                "or unset it."
            )
    source = " and ".join(path for path in (cert_file, cert_dir) if path is not None)
    return TrustStore(
        source, lambda: _readable_certificates([*files, *_files_in(directories)], source)
    )


def _files_in(directories: Iterable[Path]) -> list[Path]:
    return [
        entry
        for directory in directories
        if directory.is_dir()
        for entry in sorted(directory.iterdir())
        if entry.is_file()
    ]


def _certifi_file() -> str | None:
    try:
        import certifi
    except ImportError:
        return None
    return certifi.where()


def _windows_roots() -> tuple[x509.Certificate, ...]:
    if sys.platform != "win32":
        raise ConfigurationError("Only Windows has a certificate store of this kind.")
    import ssl

    from cryptography import x509

    roots: list[x509.Certificate] = []
    for der, encoding, purposes in ssl.enum_certificates("ROOT"):
        if encoding != "x509_asn":
            continue
        if purposes is True or (
            not isinstance(purposes, bool) and _SERVER_AUTHENTICATION in purposes
        ):
            try:
                roots.append(x509.load_der_x509_certificate(der))
            except ValueError:
                continue
    if not roots:
        raise ConfigurationError("The certificate store of Windows holds no trusted authority.")
    return tuple(roots)


def _readable_certificates(files: Iterable[Path], source: str) -> tuple[x509.Certificate, ...]:
    """What of a system's bundle can be read: nobody here can mend the rest."""
    blocks: dict[bytes, None] = {}
    for file in files:
        with suppress(OSError):
            blocks.update(dict.fromkeys(_pem_blocks(file.read_bytes())))
    found: dict[x509.Certificate, None] = {}
    # Some systems' own anchors have a serial number of zero, and cryptography warns of each.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in blocks:
            with suppress(ValueError):
                found[_load_pem(block)] = None
    if not found:
        raise ConfigurationError(f"No trusted certificate could be read from {source}.")
    return tuple(found)


def _every_certificate(data: bytes, source: str) -> tuple[x509.Certificate, ...]:
    blocks = _pem_blocks(data)
    if not blocks:
        raise ConfigurationError(
            f"{source[0].upper() + source[1:]} must hold PEM certificates "
            '("-----BEGIN CERTIFICATE-----"), and there is none in it.'
        )
    found: dict[x509.Certificate, None] = {}
    for number, block in enumerate(blocks, 1):
        try:
            found[_load_pem(block)] = None
        except ValueError as error:
            raise ConfigurationError(
                f"Certificate {number} of {len(blocks)} in {source} cannot be read "
                f"({shown(str(error), 80)}): mend it or take it out."
            ) from None
    return tuple(found)


_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"


def _pem_blocks(data: bytes) -> list[bytes]:
    """Each certificate's PEM text by itself, so that one broken entry leaves the others alone."""
    return [_BEGIN + part.partition(_END)[0] + _END + b"\n" for part in data.split(_BEGIN)[1:]]


def _load_pem(block: bytes) -> x509.Certificate:
    from cryptography import x509

    return x509.load_pem_x509_certificate(block)


def _read(path: Path, source: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigurationError(f"There is no file for {source}: check the path.") from None
    except OSError as error:
        raise ConfigurationError(f"Cannot read {source}: {error.strerror or error}.") from None


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)
