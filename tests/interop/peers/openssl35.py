"""The openssl commands of OpenSSL 3.5 and 4.0, which install_peers.sh unpacks."""

from __future__ import annotations

from .base import CACHE
from .features import ECH, RARE
from .openssl_cli import OpenSSLCommand


class OpenSSL35Command(OpenSSLCommand):
    name = "openssl35"
    title = "openssl command 3.5"
    program = str(CACHE / "openssl35" / "openssl")
    rare_features = RARE - ECH - {"psk"}  # see test_zero_rtt
    fast_features = RARE | {"group:X25519MLKEM768"}


class OpenSSL4Command(OpenSSLCommand):
    """The one of OpenSSL 4.0, which has Encrypted Client Hello."""

    name = "openssl4"
    is_optional = True
    title = "openssl command 4.0"
    program = str(CACHE / "openssl4" / "openssl")
    rare_features = RARE - {"psk"}  # see test_zero_rtt
    fast_features = ECH | {"tls13"}
