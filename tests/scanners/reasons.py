"""Why other scanners differ from `handclasp scan`: one table, keyed by what differs.

Each was checked with the settings of the server, its log, or a handshake of OpenSSL's s_client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Names = frozenset[str]
_HYBRIDS = frozenset({"X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024"})
_FINITE_FIELDS = frozenset({"ffdhe2048", "ffdhe3072"})
_ALL = ("sslscan", "sslyze", "testssl.sh")


@dataclass(frozen=True)
class Reason:
    """Why some names are seen by one of two scanners alone.

    Attributes:
        scanners: the other ones that it is true of.
        what: the beginning of the thing, as `Difference.what` says it.
        names: those that it is true of; None for any.
        servers: likewise.
        right: the scanner that is right.
        side: who alone sees the names.
        why: in words.
    """

    scanners: tuple[str, ...]
    what: str
    names: Names | None
    servers: tuple[str, ...] | None
    why: str
    right: str = "handclasp"
    side: Literal["ours", "theirs"] = "ours"

    def covers(self, server: str, scanner: str, what: str, ours: Names, theirs: Names) -> bool:
        """Return whether this is the reason of a whole difference."""
        mine, other = (ours, theirs) if self.side == "ours" else (theirs, ours)
        return (
            scanner in self.scanners
            and what.startswith(self.what)
            and not other
            and (self.names is None or mine <= self.names)
            and (self.servers is None or server in self.servers)
        )


REASONS = (
    Reason(
        _ALL,
        "groups",
        _HYBRIDS,
        None,
        "it does not ask for hybrids with ML-KEM: neither the hellos of sslscan, as a relay saw "
        "them, nor the curves that sslyze lists as refused have any, and testssl.sh 3.0.8 is older "
        "than they are",
    ),
    Reason(
        ("sslyze", "testssl.sh"),
        "groups",
        _FINITE_FIELDS,
        None,
        "it asks for elliptic curves alone",
    ),
    Reason(
        _ALL,
        "versions",
        frozenset({"TLSv1.3"}),
        ("OpenSSL 4.0",),
        "the server accepts the groups MLKEM1024 and X25519MLKEM768 alone, which its hellos do not "
        "offer",
    ),
    Reason(
        ("sslscan", "testssl.sh"),
        "versions",
        frozenset({"TLSv1.2"}),
        ("ours",),
        "its hello for this version has no extended_master_secret, without which the server "
        "accepts no TLS 1.2: its log says EXTENDED_MASTER_SECRET_MISSING",
    ),
    Reason(
        ("sslyze",),
        "suites of TLSv1.2",
        None,
        ("ours",),
        "it asks for these suites without extended_master_secret, without which the server accepts "
        "no TLS 1.2: its log says EXTENDED_MASTER_SECRET_MISSING",
    ),
    Reason(
        ("sslscan",),
        "groups of TLSv1.2",
        None,
        ("PostgreSQL", "Dovecot", "OpenSSL", "OpenSSL 3.5"),
        "it finds none that is not the curve of the certificate, P-256. With one curve in the "
        "hello the server has no certificate for it (RFC 8422 section 5.1); s_client agrees on "
        "these as soon as it offers P-256 as well",
    ),
    Reason(
        ("sslscan",),
        "groups of TLSv1.2",
        None,
        ("NSS",),
        "the server accepts its hellos for these curves: a relay saw the answers. They are one "
        "record with all messages, which it seems not to read; its code was not read",
    ),
    Reason(
        ("sslscan",),
        "key types",
        frozenset({"ECDSA"}),
        ("OpenSSL",),
        "it reads no certificate here. The server has no suite of TLS 1.3 but AES_128_CCM, which "
        "OpenSSL's clients do not offer by default",
    ),
    Reason(
        ("sslscan",),
        "key types",
        frozenset({"RSA"}),
        ("nginx",),
        "it shows one certificate, and the server has two",
    ),
    Reason(
        ("testssl.sh",),
        "protocols",
        frozenset({"http/1.0"}),
        None,
        "it does not ask for this protocol",
    ),
)


def reason_for(server: str, scanner: str, what: str, ours: Names, theirs: Names) -> Reason | None:
    """Return the reason of a difference; None if there is none."""
    key = server, scanner, what, ours, theirs
    return next((each for each in REASONS if each.covers(*key)), None)
