"""The results as a table for the terminal, and as the page docs/interop.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .peers.features import FEATURES

if TYPE_CHECKING:
    from .matrix import Result
    from .peers.base import Peer, Role

_SHORT = {"pass": "pass", "fail": "FAIL", "peer lacks it": "-", "not installed": "n/i"}
_COLUMNS = {
    "tls13": "1.3",
    "suite:TLS_AES_128_GCM_SHA256": "AES128",
    "suite:TLS_AES_256_GCM_SHA384": "AES256",
    "suite:TLS_CHACHA20_POLY1305_SHA256": "ChaCha",
    "suite:TLS_AES_128_CCM_SHA256": "CCM",
    "group:X25519MLKEM768": "X25519MLKEM768",
    "group:X25519": "X25519",
    "group:secp256r1": "P-256",
    "group:secp384r1": "P-384",
    "group:secp521r1": "P-521",
    "group:X448": "X448",
    "group:SecP256r1MLKEM768": "P256MLKEM768",
    "group:SecP384r1MLKEM1024": "P384MLKEM1024",
    "hrr": "HRR",
    "resume": "resumption",
    "tls12-resume": "resumption (1.2)",
    "client-auth": "client auth",
    "alpn": "ALPN",
    "key-update": "KeyUpdate, ours",
    "key-update-peer": "KeyUpdate, theirs",
    "exporter": "exporter",
    "sig:ecdsa_secp256r1_sha256": "ECDSA P-256",
    "sig:ecdsa_secp384r1_sha384": "ECDSA P-384",
    "sig:ecdsa_secp521r1_sha512": "ECDSA P-521",
    "sig:rsa_pss_rsae": "RSA-PSS (rsae)",
    "sig:rsa_pss_pss": "RSA-PSS (pss)",
    "sig:ed25519": "Ed25519",
    "sig:ed448": "Ed448",
    "sig:mldsa44": "ML-DSA-44",
    "sig:mldsa65": "ML-DSA-65",
    "sig:mldsa87": "ML-DSA-87",
    "ocsp": "OCSP staple",
    "compression": "compression",
    "raw-key": "raw key",
    "client-raw-key": "client's raw key",
    "psk": "external PSK",
    "ech": "ECH",
    "ech-hrr": "ECH, HRR",
    "ech-resume": "ECH, resumption",
    "tls12": "1.2",
    "tls12-suite:TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDSA AES128",
    "tls12-suite:TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDSA AES256",
    "tls12-suite:TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDSA ChaCha",
    "tls12-suite:TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "RSA AES128",
    "tls12-suite:TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "RSA AES256",
    "tls12-suite:TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "RSA ChaCha",
    "tls12-group:X25519": "X25519 (1.2)",
    "tls12-group:secp256r1": "P-256 (1.2)",
    "tls12-group:secp384r1": "P-384 (1.2)",
    "tls12-group:secp521r1": "P-521 (1.2)",
    "tls12-group:X448": "X448 (1.2)",
    "tls12-client-auth": "client auth (1.2)",
    "tls12-alpn": "ALPN (1.2)",
    "tls12-exporter": "exporter (1.2)",
    "tls12-sig:ecdsa_secp384r1_sha384": "ECDSA P-384 key (1.2)",
    "tls12-sig:rsa": "RSA key (1.2)",
    "tls12-sig:ed25519": "Ed25519 key (1.2)",
    "tls12-ocsp": "OCSP staple (1.2)",
    "tls12-raw-key": "raw key (1.2)",
    "tls12-client-raw-key": "client's raw key (1.2)",
    "tls12-no-ems": "without EMS",
    "rsa-key-transport:TLS_RSA_WITH_AES_128_GCM_SHA256": "key transport AES128",
    "rsa-key-transport:TLS_RSA_WITH_AES_256_GCM_SHA384": "key transport AES256",
}
_ABOUT = """\
# Interoperability

This page is written by `make interop`; do not edit it.

Each row is one independent TLS stack in one role, with {local} at the other end; each column is one
thing that both must manage. Every cell is a real conversation over loopback: a handshake
with verified certificates, then one mebibyte from the client to the server and the same back,
compared by SHA-256 at either end. A relay between the two reads what travels in the clear, so that
version, suite, group and the number of ClientHellos are asserted from the wire, from {local}'s
`ConnectionInfo`, and from the peer where it can tell.

- `pass`: all of that held, and what the column asks.
- `FAIL`: something did not; the reason is below the tables.
- `-`: the peer lacks it; the reason is below the tables.

What the columns ask:

- *1.3*: both ends as they come. *Suites* and *groups*: only that one is allowed at {local}'s end
  (and at the peer's, where it reports that), and it must be the one in the ServerHello.
- *HRR*: the client's only share is for a group that the server does not take. There must be one
  HelloRetryRequest and two ClientHellos on the wire, and both ends must agree on that.
- *external PSK*: both ends hold a key, and neither shows a certificate.
- *resumption*: a second connection to the same server resumes the first one's session.
- *client auth*: the server requires a certificate, and gets and verifies it.
- *ALPN*: the client offers, the server chooses; both must name the same protocol.
- *KeyUpdate, ours*: {local} sends a KeyUpdate in the middle of the data, twice, and asks for one
  back; three mebibytes each way. *Theirs*: the same, begun by the peer.
- *OCSP staple*, *compression*, *raw key*: the server staples, compresses its certificate (RFC
  8879), or shows a raw public key (RFC 7250), and so does the client in *client's raw key*.
- *exporter*: both ends export 48 bytes (RFC 9846 section 7.5), which must be equal.
- *ECH*: the client's hello is encrypted (RFC 9849), both names are in it, and the inner one
  counts; also with a HelloRetryRequest, and on the second connection of a session that is resumed.
  Rejections, their retry_configs and GREASE are in `tests/interop/test_ech.py`, and browsers in
  `tests/browser/test_ech.py`.
- *(1.2)*, and the tables of TLS 1.2: the same with TLS 1.2 at both ends. *Without EMS*: neither
  end has the extended master secret, which {local} allows only here. *Key transport*: the client
  makes the secret and encrypts it to the server's RSA key, which {local} allows only here.
- *signatures*: the server's certificate has a key of that kind, and signs the handshake with it.
"""


def as_text(results: Sequence[Result], local: Peer) -> str:
    """Tables for each of the peers' roles, then the reasons of what failed."""
    parts: list[str] = []
    for role, heading in _headings(local):
        for title, names in _blocks():
            if rows := _rows(results, role, names):
                parts += [f"\n{heading}: {title}", *_aligned(rows)]
    failures = [result for result in results if result.verdict == "fail"]
    parts += [f"\nFAIL {_where(result)}: {result.reason}" for result in failures]
    counts = Counter[str](result.verdict for result in results)
    parts.append("\n" + ", ".join(f"{counts[verdict]} {verdict}" for verdict in _SHORT))
    return "\n".join(parts)


def as_page(results: Sequence[Result], local: Peer) -> str:
    """The page; it holds no dates and no timings, so that it changes only with the results."""
    parts = [_ABOUT.format(local=local.title), "## Peers", ""]
    peers = {result.cell.peer.name: result.cell.peer for result in results}
    for peer in peers.values():
        reason = peer.unavailable()
        parts.append(f"- {peer.title}: {peer.version() if reason is None else reason}")
    for role, heading in _headings(local):
        for title, names in _blocks():
            if rows := _rows(results, role, names):
                parts += ["", f"## {heading}: {title}", "", *_markdown(rows)]
    failures = [result for result in results if result.verdict in ("fail", "not installed")]
    if failures:
        parts += ["", "## What failed", ""]
        parts += [f"- {_where(result)}: {result.reason}" for result in failures]
    parts += ["", "## What peers lack", "", *_lacking(results)]
    return "\n".join(parts) + "\n"


def _headings(local: Peer) -> tuple[tuple[Role, str], ...]:
    return (
        ("server", f"{local.title} as the client"),
        ("client", f"{local.title} as the server"),
    )


def _blocks() -> tuple[tuple[str, tuple[str, ...]], ...]:
    suites = tuple(name for name in FEATURES if name.startswith(("tls13", "suite:")))
    groups = tuple(name for name in FEATURES if name.startswith("group:"))
    signatures = tuple(name for name in FEATURES if name.startswith("sig:"))
    old = tuple(name for name in FEATURES if name.startswith(("tls12", "rsa-key-transport")))
    suites12 = tuple(n for n in old if n == "tls12" or n.startswith("tls12-suite"))
    others12 = tuple(name for name in old if name not in suites12)
    others = tuple(name for name in FEATURES if name not in {*suites, *groups, *signatures, *old})
    return (
        ("version and suites", suites),
        ("groups", groups),
        ("features", others),
        ("signatures", signatures),
        ("TLS 1.2, suites", suites12),
        ("TLS 1.2, the rest", others12),
    )


def _rows(results: Sequence[Result], role: Role, names: Sequence[str]) -> list[list[str]]:
    chosen = [r for r in results if r.cell.role == role and r.cell.feature in names]
    columns = [name for name in names if any(r.cell.feature == name for r in chosen)]
    if not columns:
        return []
    # With --fast a slow peer has fewer cells than the others.
    verdicts = {(r.cell.peer.title, r.cell.feature): _SHORT[r.verdict] for r in chosen}
    titles = dict.fromkeys(r.cell.peer.title for r in chosen)
    body = [[title, *(verdicts.get((title, name), "") for name in columns)] for title in titles]
    return [["peer", *(_COLUMNS[name] for name in columns)], *body]


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _markdown(rows: list[list[str]]) -> list[str]:
    head, *body = rows
    lines = [head, ["---", *(":-:" for _ in head[1:])], *body]
    return [f"| {' | '.join(line)} |" for line in lines]


def _lacking(results: Sequence[Result]) -> list[str]:
    """A line for each peer and reason, with the columns that it holds for."""
    columns: dict[tuple[str, str], dict[str, None]] = {}
    for result in results:
        if result.verdict == "peer lacks it":
            key = (result.cell.peer.title, result.reason)
            columns.setdefault(key, {})[_COLUMNS[result.cell.feature]] = None
    return [
        f"- {title}, {', '.join(names)}: {reason}." for (title, reason), names in columns.items()
    ]


def _where(result: Result) -> str:
    cell = result.cell
    return f"{cell.peer.title} as the {cell.role}, {_COLUMNS[cell.feature]}"
