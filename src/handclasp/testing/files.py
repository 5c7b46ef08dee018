"""A private authority with files, as the programs under test need them."""

from __future__ import annotations

import os
import ssl
from datetime import datetime
from pathlib import Path

from handclasp.private_files import write_private, write_public
from handclasp.testing.authority import (
    Leaf,
    RootAuthority,
    client_leaf,
    key_of_type,
    key_pem,
    pem_of,
)
from handclasp.testing.server import NAMES


class TlsAuthority(RootAuthority):
    """A root authority that writes its certificate, and those that it issues, into a directory.

    >>> from handclasp.testing import TlsAuthority
    >>> authority = TlsAuthority(".")
    >>> chain, key = authority.server_files("localhost")
    >>> config = ServerConfig(credentials=Credentials.load(chain, key))
    >>> client = ClientConfig(trust=TrustStore.from_pem(authority.ca_file))

    Args:
        directory: the place of the files; it exists already.
        now: the time around which everything is valid; the real one if None.

    Raises:
        OSError: a file cannot be written.

    Attributes:
        ca_file: the path of its certificate, for clients to trust.
    """

    def __init__(self, directory: str | os.PathLike[str], now: datetime | None = None) -> None:
        super().__init__("handclasp testing", now=now)
        self._directory = Path(directory)
        self._count = 0
        self.ca_file = str(self._directory / "ca.pem")
        write_public(self.ca_file, self.pem)

    def server_files(self, *names: str, key_type: str = "ecdsa-p256") -> tuple[str, str]:
        """Return the paths of a new certificate for a server, and of its key.

        Args:
            names: DNS names and IP addresses; `localhost`, 127.0.0.1 and ::1 if there are none.
            key_type: as for `RootAuthority.credentials`.
        """
        return self.leaf_files(Leaf(names or NAMES), key_type)

    def client_files(self, name: str = "a client", key_type: str = "ecdsa-p256") -> tuple[str, str]:
        """Return the paths of a new certificate for the client `name`, and of its key.

        The name is its common name, and in subjectAltName as well if it is a DNS name of several
        parts ("alice.test"), an address, a URI or an e-mail address.
        """
        return self.leaf_files(client_leaf(name), key_type)

    def crl_file(self, crl_pem: bytes) -> str:
        """Return the path of a new file with this list, such as `crl_pem` of a `FaultyServer`."""
        path = self._path("crl.pem")
        write_public(path, crl_pem)
        return path

    def client_context(self) -> ssl.SSLContext:
        """Return a context of `ssl` for clients that trusts this authority alone."""
        return ssl.create_default_context(cafile=self.ca_file)

    def leaf_files(self, leaf: Leaf, key_type: str = "ecdsa-p256") -> tuple[str, str]:
        """Return the paths of a new certificate with any content, such as an expired one, and of
        its key.
        """
        key = key_of_type(key_type)
        certificate, private = self._path("chain.pem"), self._path("key.pem")
        write_public(certificate, pem_of(self.issue(leaf, key.public_key())))
        write_private(private, key_pem(key))
        return certificate, private

    def _path(self, ending: str) -> str:
        self._count += 1
        return str(self._directory / f"{self._count}-{ending}")
