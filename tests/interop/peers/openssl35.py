"""The openssl command of OpenSSL 3.5, which install_peers.sh unpacks beside the system's."""

from __future__ import annotations

from .base import CACHE
from .features import RARE
from .openssl_cli import OpenSSLCommand


class OpenSSL35Command(OpenSSLCommand):
    name = "openssl35"
    title = "openssl command 3.5"
    program = str(CACHE / "openssl35" / "openssl")
    rare_features = RARE - {"psk"}  # see test_zero_rtt
    fast_features = RARE | {"group:X25519MLKEM768"}
