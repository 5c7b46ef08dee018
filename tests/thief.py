"""Somebody who has got hold of a local authority's key, and issues for whatever names they like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from handclasp import Credentials
from handclasp.certificates.authority import (
    KEY_FILE,
    LocalAuthority,
    _leaf,  # pyright: ignore[reportPrivateUsage]
    _new_key,  # pyright: ignore[reportPrivateUsage]
    _period,  # pyright: ignore[reportPrivateUsage]
    _signed,  # pyright: ignore[reportPrivateUsage]
)


class Thief(LocalAuthority):
    """The authority, without its scruples."""

    __slots__ = ()

    @classmethod
    def at(cls, home: Path) -> Thief:
        data = (home / KEY_FILE).read_bytes()
        pem = data[data.index(b"-----BEGIN CERTIFICATE") :]
        return cls(pem, load_pem_private_key(data, None))

    def credentials_for(self, *names: str) -> Credentials:
        return self.issue(names).credentials()

    def leaf(self, common_name: str, alternatives: Sequence[str]) -> x509.Certificate:
        """A server's certificate with a common name that is none of its DNS names."""
        names = [x509.DNSName(name) for name in alternatives]
        key = _new_key("ecdsa-p256")
        period = _period(30, None, None, self._certificate)
        builder = _leaf(common_name, names, "server", period, key, self._certificate)
        return _signed(builder, self._key)

    def _permitted(
        self, alternatives: list[x509.GeneralName], called: str | None
    ) -> list[x509.GeneralName]:
        return alternatives
