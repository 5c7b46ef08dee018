"""The authorities that this machine trusts: where each system keeps them.

Files and directories are looked for as OpenSSL and its packagers do. What only the system's own
verifier knows is not seen: on macOS the keychains (roots that were added there, or distrusted; the
file below has Apple's roots), on Windows roots that it would download when first needed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from handclasp.certificates.anchors import readable_certificates
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError
from handclasp.input_files import read_input

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

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
"""The paths of the systems' bundles of authorities, most common first."""

SYSTEM_DIRECTORIES = (
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/apex/com.android.conscrypt/cacerts",  # Android 14 and later
    "/system/etc/security/cacerts",  # Android
    "/etc/openssl/certs",  # NetBSD
)
"""The directories of systems with one file for each authority, for those without a bundle."""

_HASH_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""Only files named after the hash of a subject are anchors to OpenSSL: others lie there too."""

_SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1"

Load = Callable[[], tuple["x509.Certificate", ...]]


def system_anchors(cert_file: str | None, cert_dir: str | None) -> tuple[str, Load]:
    """Return where the anchors are, for people, and a function that parses them.

    Args:
        cert_file, cert_dir: SSL_CERT_FILE and SSL_CERT_DIR, which go first if they are set.

    Raises:
        ConfigurationError: they are nowhere.
    """
    if cert_file is not None or cert_dir is not None:
        return _from_environment(cert_file, cert_dir)
    if sys.platform == "win32":
        return "the certificates of Windows", _windows_roots
    for path in map(Path, SYSTEM_FILES):
        if path.is_file():
            return _from_files([path], f"the system's {path}")
    for path in map(Path, SYSTEM_DIRECTORIES):
        files = _hash_named(path)
        if files:
            return _from_files(files, f"the system's {path}")
    bundled = _certifi_file()
    if bundled is not None:
        return _from_files([Path(bundled)], f"certifi's {bundled}")
    raise ConfigurationError(
        "This system has no known bundle of trusted authorities: install its ca-certificates "
        "package or the Python package certifi, or name a file in SSL_CERT_FILE."
    )


def _from_files(files: Iterable[Path], source: str) -> tuple[str, Load]:
    return source, lambda: readable_certificates(_contents(files), source)


def _from_environment(cert_file: str | None, cert_dir: str | None) -> tuple[str, Load]:
    files = [Path(cert_file)] if cert_file is not None else []
    # Like PATH, the variable may name several directories.
    directories = [Path(name) for name in (cert_dir or "").split(os.pathsep) if name]
    for variable, found, given in (
        ("SSL_CERT_FILE", not files or os.path.isfile(files[0]), cert_file),
        ("SSL_CERT_DIR", not directories or any(map(os.path.isdir, directories)), cert_dir),
    ):
        if not found:
            raise ConfigurationError(
                f"The environment variable {variable} names {given}, which is not there: correct "
                "or unset it."
            )
    source = " and ".join(path for path in (cert_file, cert_dir) if path is not None)
    # The directories are listed when they are read, as the files are.
    return source, lambda: readable_certificates(
        _contents([*files, *(file for place in directories for file in _hash_named(place))]), source
    )


def _hash_named(directory: Path) -> list[Path]:
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return []
    return [entry for entry in entries if _HASH_NAME.fullmatch(entry.name)]


def _contents(files: Iterable[Path]) -> Iterable[bytes]:
    """Return the readable certificates: nobody here can repair a system's store."""
    for file in files:
        with suppress(OSError):
            yield read_input(file)


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

    ders = [
        der
        for der, encoding, purposes in ssl.enum_certificates("ROOT")
        if encoding == "x509_asn"
        and (
            purposes is True
            or (not isinstance(purposes, bool) and _SERVER_AUTHENTICATION in purposes)
        )
    ]
    return readable_certificates(ders, "the certificate store of Windows")
