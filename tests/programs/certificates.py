"""The certificates of a run: an authority, one that nobody trusts, and what they issue."""

from __future__ import annotations

from pathlib import Path

from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

_SERVER = Leaf(("localhost", "127.0.0.1"))
_CLIENT = Leaf((), common_name="client", purpose=ExtendedKeyUsageOID.CLIENT_AUTH)


def write_certificates(home: Path) -> None:
    """Write the files that `case` and `daemons` name."""
    right, wrong = Pki(), Pki()
    (home / "ca.pem").write_bytes(right.ca_pem)
    (home / "wrong-ca.pem").write_bytes(wrong.ca_pem)
    _write(right, _SERVER, home, "server")
    _write(right, _SERVER, home, "rsa", "rsa-2048")
    _write(right, _CLIENT, home, "client")
    _write(wrong, _CLIENT, home, "wrong-client")


def _write(issuer: Pki, leaf: Leaf, home: Path, name: str, key_type: str = "ecdsa-p256") -> None:
    key = key_of_type(key_type)
    chain, private = pem_of(issuer.issue(leaf, key.public_key())), key_pem(key, None)
    for suffix, data in (("", private + chain), ("-key", private), ("-chain", chain)):
        (home / f"{name}{suffix}.pem").write_bytes(data)
