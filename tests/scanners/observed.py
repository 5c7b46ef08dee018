"""What each scanner says of a server, out of its machine-readable output, in one form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from tests.scan.configured import Configured

from handclasp.iana import cipher_suite_name, group_name
from handclasp.scan.probes import CURVES12, GROUPS13

VERSIONS = ("TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1.0", "SSLv3", "SSLv2")
ANY_VERSION = "any version"
_SPELLED = {"prime256v1": "secp256r1"}
_KEY_TYPES = {"EC": "ECDSA", "ECPublicKey": "ECDSA", "RSAPublicKey": "RSA"}
Names = frozenset[str]


@dataclass(frozen=True)
class Observation:
    """What a scanner found, as far as several of them tell it.

    Attributes:
        versions: those that the server accepts.
        suites: by version, in the spelling of IANA.
        groups: by version, or under `ANY_VERSION` where the scanner does not tell them apart; a
            version that is missing was not looked at.
        keys: the types of the keys of the certificates, "RSA" and "ECDSA".
        alpn: the application protocols; None where the scanner does not tell them.
    """

    versions: Names
    suites: dict[str, Names] = field(default_factory=dict[str, Names])
    groups: dict[str, Names] = field(default_factory=dict[str, Names])
    keys: Names = frozenset()
    alpn: Names | None = None


def configured(server: Configured) -> Observation:
    """Return what a scanner should find of a server by its settings."""
    return Observation(
        frozenset(server.versions),
        {version: frozenset(names) for version, names in server.suites.items()},
        {version: frozenset(names) for version, names in server.groups.items()},
        frozenset(name.split()[0] for name in server.keys),
        frozenset(server.alpn),
    )


def handclasp(output: str) -> Observation:
    found = json.loads(output)
    return Observation(
        frozenset(name for name, fact in found["versions"].items() if fact["value"]),
        {version: frozenset(each["names"]) for version, each in found["suites"].items()},
        {version: frozenset(names) for version, names in found["groups"].items()},
        frozenset(each["key_type"].split()[0] for each in found["certificates"]),
        frozenset(found["alpn"]),
    )


def sslscan(output: str) -> Observation:
    test = ElementTree.fromstring(output).find("ssltest")
    assert test is not None, output[:300]
    versions = {
        f"{each.get('type', '').upper()}v{each.get('version')}"
        for each in test.iter("protocol")
        if each.get("enabled") == "1"
    }
    keys = {each.get("type", "") for each in test.iter("pk") if each.get("error") == "false"}
    nothing: dict[str, Names] = {each: frozenset() for each in VERSIONS[:2] if each in versions}
    return Observation(
        frozenset(versions),
        _by_version(test.iter("cipher"), cipher_suite_name),
        nothing | _by_version(test.iter("group"), group_name),
        frozenset(_KEY_TYPES.get(each, each) for each in keys),
    )


def _by_version(
    elements: Iterable[ElementTree.Element], named: Callable[[int], str]
) -> dict[str, Names]:
    found: dict[str, set[str]] = {}
    for each in elements:
        found.setdefault(each.get("sslversion", ""), set()).add(named(int(each.get("id", ""), 16)))
    return {version: frozenset(names) for version, names in found.items()}


def sslyze(output: str) -> Observation:
    (server,) = json.loads(output)["server_scan_results"]
    result = server["scan_result"] or {}

    def of(command: str) -> Any:
        return (result.get(command) or {}).get("result") or {}

    suites: dict[str, Names] = {}
    for version in VERSIONS:
        accepted = of(f"{_underscored(version)}_cipher_suites").get("accepted_cipher_suites", [])
        if accepted:
            suites[version] = frozenset(each["cipher_suite"]["name"] for each in accepted)
    curves = of("elliptic_curves").get("supported_curves")
    chains = of("certificate_info").get("certificate_deployments", [])
    keys = {each["received_certificate_chain"][0]["public_key"]["algorithm"] for each in chains}
    return Observation(
        frozenset(suites),
        suites,
        {} if curves is None else {ANY_VERSION: frozenset(_spelled(c["name"]) for c in curves)},
        frozenset(_KEY_TYPES.get(each, each) for each in keys),
    )


def _underscored(version: str) -> str:
    number = version.lstrip("TLSv")
    return f"{version[:3].lower()}_{number if '.' in number else number + '.0'}".replace(".", "_")


_TESTSSL_VERSIONS = {
    "tls1_3": "TLSv1.3",
    "tls1_2": "TLSv1.2",
    "tls1_1": "TLSv1.1",
    "tls1": "TLSv1.0",
    "ssl3": "SSLv3",
    "sslv3": "SSLv3",
    "sslv2": "SSLv2",
}
_TESTSSL_SUITE = re.compile(r"cipher-(\w+?)_x([0-9a-f]{2,4})")


def read_testssl(output: str) -> Observation:
    versions: set[str] = set()
    suites: dict[str, set[str]] = {}
    groups: dict[str, Names] = {}
    keys, alpn = set[str](), set[str]()
    for each in json.loads(output):
        name, finding = each["id"], each["finding"]
        version = _TESTSSL_VERSIONS.get(name.lower())
        suite = _TESTSSL_SUITE.fullmatch(name)
        if version is not None and finding.startswith("offered"):
            versions.add(version)
        elif suite is not None:
            listed = suites.setdefault(_TESTSSL_VERSIONS[suite[1]], set())
            listed.add(cipher_suite_name(int(suite[2], 16)))
        elif name.endswith("FS_ECDHE_curves"):
            groups[ANY_VERSION] = frozenset(_spelled(curve) for curve in finding.split())
        elif name.split()[0] == "cert_keySize":
            keys.add(_KEY_TYPES.get(finding.split()[0], finding.split()[0]))
        elif name.startswith("ALPN") and finding != "not offered":
            alpn.update(re.split(r"[\s,]+", finding))
    return Observation(
        frozenset(versions),
        {version: frozenset(names) for version, names in suites.items()},
        groups,
        frozenset(keys),
        frozenset(alpn),
    )


def _spelled(group: str) -> str:
    """Return the name of a group as this library writes it."""
    known = {group_name(code).lower(): group_name(code) for code in (*GROUPS13, *CURVES12)}
    group = _SPELLED.get(group, group)
    return known.get(group.lower(), group)


READERS: dict[str, Callable[[str], Observation]] = {
    "handclasp": handclasp,
    "sslscan": sslscan,
    "sslyze": sslyze,
    "testssl.sh": read_testssl,
}
