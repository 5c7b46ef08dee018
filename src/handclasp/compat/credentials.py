"""The certificate and the key that `SSLContext.load_cert_chain` was given.

OpenSSL has read both files before this module does, so it is known that they can be read and belong
together; a chain in any order is sent as it stands in the file, as OpenSSL does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from cryptography.exceptions import InvalidSignature

from handclasp.certificates.credentials import Credentials, LocalSigner, spki_is_pss
from handclasp.certificates.evidence import encoded
from handclasp.certificates.loading import private_key_in
from handclasp.certificates.pem import pem_blocks
from handclasp.certificates.reading import certificate_of, certificates_of
from handclasp.errors import ConfigurationError
from handclasp.input_files import read_input
from handclasp.values import replace

_LONGEST = 10
"""Certificates of a chain that is completed."""

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""The paths that `open` takes."""

Password = Callable[[], str | bytes | bytearray] | str | bytes | bytearray | None


class PasswordOnce:
    """A password that OpenSSL asks for if the key is encrypted, and that is then known here.

    A callback of the application is called once, as it may ask a person.
    """

    def __init__(self, password: Password) -> None:
        self._password = password
        self.used: bytes | None = None

    def __call__(self) -> str | bytes | bytearray:
        """Return the password, and remember that it was needed."""
        given = self._password() if callable(self._password) else self._password
        if isinstance(given, str):
            self.used = given.encode()
        elif isinstance(given, bytes | bytearray):
            self.used = bytes(given)
        return given  # type: ignore[return-value]


def load_credentials(certfile: Path, keyfile: Path | None, password: bytes | None) -> Credentials:
    """Load the files that a context was given.

    Raises:
        ConfigurationError: they hold a key that cannot be used here.
        OSError: a file cannot be read.
    """
    chain_data, chain_name = _read(certfile), _named(certfile)
    key_data, key_name = chain_data, chain_name
    if keyfile is not None:
        key_data, key_name = _read(keyfile), _named(keyfile)
    key: Any = private_key_in(_first_key(key_data), f"the key file {key_name}", password)
    try:
        leaf, *others = certificates_of(chain_data)
    except ValueError as error:
        raise ConfigurationError(f"Cannot use the certificate file {chain_name}.") from error
    signer = LocalSigner(key, spki_is_pss=spki_is_pss(leaf))
    credentials = Credentials.from_signer([leaf], signer)
    if not others:
        return credentials
    issuers = dict.fromkeys([*credentials.issuers_der, *[_issuer(each) for each in others]])
    chain = (*credentials.chain_der, *[encoded(each) for each in others])
    return replace(credentials, chain_der=chain, issuers_der=tuple(filter(None, issuers)))


def complete_chain(credentials: Credentials, authorities: Iterable[bytes]) -> Credentials:
    """Return the credentials with the issuers of a certificate that was loaded alone.

    OpenSSL sends those that the context was given as authorities, up to the root. A chain of more
    than one certificate is sent as it is.
    """
    if len(credentials.chain_der) > 1:
        return credentials
    known: list[Any] = list(map(certificate_of, authorities))
    chain: list[Any] = list(map(certificate_of, credentials.chain_der))
    while len(chain) < _LONGEST and not _issued(chain[-1], chain[-1]):
        issuer = next((each for each in known if _issued(chain[-1], each)), None)
        if issuer is None:
            break
        chain.append(issuer)
    if len(chain) == 1:
        return credentials
    issuers = dict.fromkeys([*credentials.issuers_der, *map(_issuer, chain)])
    return replace(
        credentials,
        chain_der=tuple(map(encoded, chain)),
        issuers_der=tuple(filter(None, issuers)),
    )


def _issued(certificate: Any, issuer: Any) -> bool:
    """Return whether a certificate is signed by another one, which bears its issuer's name."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _issuer(certificate: Any) -> bytes:
    try:
        name: bytes = certificate.issuer.public_bytes()
    except ValueError:
        return b""
    return name


def _read(path: Path) -> bytes:
    return read_input(path)


def _named(path: Path) -> str:
    return os.fsdecode(path)


def _first_key(data: bytes) -> bytes:
    """Return the first private key in PEM: a file may hold certificates before it."""
    keys = (block.text for block in pem_blocks(data) if block.label.endswith("PRIVATE KEY"))
    found = next(keys, None)
    return data if found is None else found + b"\n"
