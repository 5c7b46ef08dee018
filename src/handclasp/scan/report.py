"""The result of a scan: what one server can do, each with the bytes that show it.

A `Report` grows while its host is scanned, so that a scan that breaks off keeps what it knows;
`incomplete` then says what is missing, and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

from handclasp.certificates.describe import describe_certificate
from handclasp.certificates.explanation import Explanation, explain
from handclasp.certificates.trust import TrustStore
from handclasp.errors import CertificateError
from handclasp.values import dataclass, field
from handclasp.wording import listed

FORMAT = "handclasp-scan/1"
"""The name of the JSON form."""

Plain: TypeAlias = bool | int | str | tuple[str, ...] | None

_HTTP = ("h2", "http/1.1", "http/1.0")
TLS_AT_ONCE = "tls"
"""`Target.starttls` of a server with which TLS begins at once."""

FEATURES = {
    "secure_renegotiation": "secure renegotiation",
    "extended_master_secret": "extended master secret",
    "encrypt_then_mac": "encrypt-then-MAC",
    "compression": "compression",
    "heartbeat": "heartbeat",
    "fallback_scsv": "fallback signal",
    "downgrade_sentinel": "downgrade sentinel",
    "session_ticket": "tickets, TLS 1.2",
    "session_id": "session ids",
    "resumption12": "resumes, TLS 1.2",
    "tickets": "tickets, TLS 1.3",
    "resumption": "resumes, TLS 1.3",
    "early_data": "0-RTT",
    "ocsp_staple": "OCSP staple",
    "signed_certificate_timestamp": "SCTs in TLS",
    "certificate_compression": "compressed chain",
    "record_size_limit": "record size limit",
    "ech_dns": "ECH in the DNS",
    "ech": "accepts ECH",
    "ech_retry_configs": "ECH for retries",
    "client_certificate": "asks for a certificate",
    "client_authorities": "of authorities",
    "dh_bits": "bits of DHE",
    "rsa_oracle": "tells paddings apart",
    "hsts": "HSTS, max-age",
}
"""The features of a report by name, with their labels, in the order in which they are shown."""

PORTS = {465: "smtp", 636: "ldap", 990: "ftp", 993: "imap", 995: "pop3", 5223: "xmpp"}
"""The registered ports of other protocols than HTTP on which TLS begins at once."""

_MOST_CHAINS = 8


@dataclass(frozen=True, slots=True)
class Target:
    """A server to scan.

    See `handclasp.scan` for an example.

    Attributes:
        host: a name or an address, for the connection.
        port: the TCP port.
        server_name: the name to ask for and to verify, if it is not `host`.
        starttls: how to turn to TLS, in place of `ScanSettings.starttls`: the name of a protocol
            in `handclasp.starttls.PROTOCOLS`, or "tls" where TLS begins at once. None for theirs.
    """

    host: str
    port: int = 443
    server_name: str = ""
    starttls: str | None = None

    @property
    def name(self) -> str:
        """The name that the certificate must cover."""
        return self.server_name or self.host

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was asked, and its answer.

    Attributes:
        value: the answer; None if it is not known.
        says: the reason, in words; it may be empty.
        evidence: the first bytes that show it; empty where nothing came.
    """

    value: Plain
    says: str = ""
    evidence: bytes = field(default=b"", repr=False)

    @property
    def text(self) -> str:
        """The answer in words."""
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        if self.value is None:
            return "unknown"
        return listed(self.value, 5) if isinstance(self.value, tuple) else str(self.value)

    def to_json(self) -> dict[str, Any]:
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return {"value": value, "says": self.says, "evidence": self.evidence.hex()}


@dataclass(frozen=True, slots=True)
class Suites:
    """The cipher suites that a server accepts in one version.

    Attributes:
        names: in the order in which the server prefers them, or that of the hello.
        order: whose order decides: "server" or "client"; empty if it is not known, or there is
            only one suite.
        evidence: the first bytes of the ServerHello that chose each, by name.
    """

    names: tuple[str, ...]
    order: str = ""
    evidence: dict[str, bytes] = field(default_factory=dict[str, bytes], repr=False)


@dataclass(slots=True)
class Chain:
    """A chain of certificates that the server sent.

    Attributes:
        chain_der: leaf first.
        schemes: the signature schemes with which it was shown.
        ocsp_response, sct_list: what came with it; empty if nothing did.
        explanation: the decision on it, with every rule; None if the chain cannot be read.
        unreadable: why it cannot be read.
    """

    chain_der: tuple[bytes, ...] = field(repr=False)
    schemes: list[str] = field(default_factory=list[str])
    ocsp_response: bytes = field(default=b"", repr=False)
    sct_list: bytes = field(default=b"", repr=False)
    explanation: Explanation | None = field(default=None, repr=False)
    unreadable: str = ""

    @property
    def described(self) -> dict[str, Any] | None:
        """The content of the leaf, as `describe_certificate` says it; None if it is unreadable."""
        return describe_certificate(self.chain_der[0])

    def to_json(self) -> dict[str, Any]:
        values: dict[str, Any] = {"schemes": list(self.schemes), "length": len(self.chain_der)}
        described = self.described or {}
        for name in _SHOWN:
            values[name] = described.get(name)
        if self.explanation is not None:
            explained = self.explanation.to_json()
            values |= {name: explained[name] for name in ("accepted", "fault", "reasons", "fix")}
        else:
            values |= {"accepted": False, "reasons": [self.unreadable]}
        values["ocsp_stapled"] = bool(self.ocsp_response)
        values["leaf_der"] = self.chain_der[0].hex()
        return values


_SHOWN = (
    "subject",
    "issuer",
    "names",
    "not_before",
    "not_after",
    "key_type",
    "key_size",
    "signature_algorithm",
    "must_staple",
    "fingerprint_sha256",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to change, as a profile demands it.

    Attributes:
        kind: what it is about: "version", "suite", "group", "certificate", ...
        value: the name of the thing.
        reason: why it is to be changed.
        evidence: the bytes that show it; empty where the finding is an absence.
        advice: what to write, by the program: "nginx", "Apache", "haproxy", "Python"; for mail
            "Postfix" or "Dovecot". It may also have "What to do", and "From the CA", what to ask
            the authority for.
    """

    kind: str
    value: str
    reason: str
    evidence: bytes = field(default=b"", repr=False)
    advice: dict[str, str] = field(default_factory=dict[str, str])

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "value": self.value,
            "reason": self.reason,
            "evidence": self.evidence.hex(),
            "advice": dict(self.advice),
        }


@dataclass(slots=True)
class Report:
    """All that a scan found out about one server.

    See `handclasp.scan` for an example.

    Attributes:
        target: the server.
        starttls: the protocol in which TLS was begun; None where it begins at once.
        address: the address that was connected to; empty if there was none.
        error: why the server could not be scanned at all; empty if it could.
        fix: what to do where an answer is no TLS: a server for mail may want `--starttls`.
        versions: a `Fact` for each version, from "TLSv1.3" to "SSLv2".
        suites: the `Suites` of each version that has any.
        groups: the names of the groups in "TLSv1.3" and in older versions, "TLSv1.2".
        schemes: the signature schemes in "TLSv1.3" and "TLSv1.2".
        alpn: the application protocols, of those that were asked for.
        chains: the certificates.
        features: a `Fact` for each of the rest, by name.
        incomplete: what could not be found out, and why.
        broken_off: whether something was not found out that another scan may find out: a
            connection was lost or its answer malformed, or a bound of `ScanSettings` was reached.
        connections: how many connections the scan made.
        elapsed: seconds that it took.
    """

    target: Target
    starttls: str | None = None
    address: str = ""
    error: str = ""
    fix: str = ""
    versions: dict[str, Fact] = field(default_factory=dict[str, Fact])
    suites: dict[str, Suites] = field(default_factory=dict[str, Suites])
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    schemes: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    alpn: tuple[str, ...] = ()
    chains: list[Chain] = field(default_factory=list[Chain])
    features: dict[str, Fact] = field(default_factory=dict[str, Fact])
    incomplete: list[str] = field(default_factory=list[str])
    broken_off: bool = False
    connections: int = 0
    elapsed: float = 0.0

    @property
    def protocol(self) -> str | None:
        """The protocol inside TLS, of those in `handclasp.starttls.PROTOCOLS`; None where it may
        be HTTP: as the server was scanned, or by its port, unless it agreed on HTTP by ALPN.
        """
        if self.starttls is not None or any(name in _HTTP for name in self.alpn):
            return self.starttls
        return PORTS.get(self.target.port)

    def speaks(self, version: str) -> bool:
        """Return whether the server accepts a version, by its name."""
        return version in self.versions and self.versions[version].value is True

    def lacks(self, what: str) -> None:
        """Note what could not be found out, once."""
        if what not in self.incomplete:
            self.incomplete.append(what)

    def lose(self, what: str) -> None:
        """Note what could not be found out, though another scan may."""
        self.broken_off = True
        self.lacks(what)

    def break_off(self, reason: str) -> None:
        """Note that the rest is not asked."""
        self.broken_off = True
        self.lacks(f"The rest: {reason}")

    def saw(
        self, chain: Sequence[bytes], scheme: str = "", status: bytes = b"", scts: bytes = b""
    ) -> None:
        """Note a chain that the server sent; at most 8 different ones are kept."""
        if not chain:
            return
        found = next((each for each in self.chains if each.chain_der == tuple(chain)), None)
        if found is None:
            if len(self.chains) == _MOST_CHAINS:
                self.lacks(
                    f"Further certificates: {_MOST_CHAINS} chains are read, and it has more."
                )
                return
            found = Chain(tuple(chain))
            self.chains.append(found)
        if scheme and scheme not in found.schemes:
            found.schemes.append(scheme)
        found.ocsp_response = found.ocsp_response or status
        found.sct_list = found.sct_list or scts

    def verify_chains(self, trust: TrustStore, now: datetime) -> None:
        """Verify each chain with every rule, as a client with this trust would."""
        for each in self.chains:
            try:
                each.explanation = explain(
                    each.chain_der,
                    self.target.name,
                    trust,
                    now,
                    ocsp_response=each.ocsp_response or None,
                    sct_list=each.sct_list or None,
                )
            except CertificateError as error:
                each.unreadable = str(error)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; bytes are in hexadecimal."""
        return {
            "format": FORMAT,
            "host": self.target.host,
            "port": self.target.port,
            "server_name": self.target.name,
            "starttls": self.starttls,
            "address": self.address,
            "error": self.error or None,
            "fix": self.fix or None,
            "versions": {name: fact.to_json() for name, fact in self.versions.items()},
            "suites": {
                version: {
                    "order": suites.order or None,
                    "names": list(suites.names),
                    "evidence": {name: seen.hex() for name, seen in suites.evidence.items()},
                }
                for version, suites in self.suites.items()
            },
            "groups": {version: list(names) for version, names in self.groups.items()},
            "signature_schemes": {name: list(names) for name, names in self.schemes.items()},
            "alpn": list(self.alpn),
            "certificates": [chain.to_json() for chain in self.chains],
            "features": {name: fact.to_json() for name, fact in self.features.items()},
            "incomplete": list(self.incomplete),
            "broken_off": self.broken_off,
            "connections": self.connections,
            "elapsed_s": round(self.elapsed, 3),
        }
