"""All peers, in the order of the table."""

from __future__ import annotations

from .base import Peer
from .curl import Curl, CurlCffi
from .gnutls import GnuTLS
from .go import Go
from .handclasp import Handclasp
from .jsse import Jsse
from .nginx import Nginx
from .node import Node
from .nss import NSS
from .openssl35 import OpenSSL4Command, OpenSSL35Command
from .openssl_cli import OpenSSLCommand
from .pyopenssl import PyOpenSSL
from .rustls import Pyrtls, Rtls
from .s2n import S2n
from .stdlib import StandardLibrary
from .tlslite import Tlslite
from .utls import Utls

PEERS: tuple[Peer, ...] = (
    OpenSSLCommand(),
    OpenSSL35Command(),
    OpenSSL4Command(),
    PyOpenSSL(),
    Go(),
    GnuTLS(),
    NSS(),
    Rtls(),
    Pyrtls(),
    StandardLibrary(),
    Jsse(),
    Tlslite(),
    S2n(),
    Curl(),
    CurlCffi(),
    Utls(),
    Nginx(),
    Node(),
)
LOCAL: Peer = Handclasp()


def peer_named(name: str) -> Peer:
    """Raises LookupError."""
    for peer in (LOCAL, *PEERS):
        if peer.name == name:
            return peer
    raise LookupError(f"no peer {name!r}: {', '.join(peer.name for peer in (LOCAL, *PEERS))}")


def print_versions() -> None:
    for peer in PEERS:
        reason = peer.unavailable()
        print(f"{peer.title}: {peer.version() if reason is None else reason}")


if __name__ == "__main__":
    print_versions()
