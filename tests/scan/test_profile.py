"""Profiles: what a report is measured against, and that data alone decides."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID
from tests.pki import DAY, MUST_STAPLE, Leaf, Pki
from tests.rules.source import ROOT

from handclasp import ConfigurationError
from handclasp.crypto.groups import GROUPS
from handclasp.iana import TLS12, cipher_suite_name, group_name
from handclasp.scan import Fact, Profile, Report, Suites, Target, findings, profiles
from handclasp.scan import profile as module
from handclasp.scan.probes import GROUPS13
from handclasp.scan.suites import SUITES13, suites_of

OWN = Path(module.__file__).with_name("profiles.json")
PROGRAMS = {"nginx", "Apache", "haproxy", "Python"}
FURTHER = {"Postfix", "Dovecot", "DH.pem", "OpenSSL"}
"""What an advice may name besides: servers for mail, a file to make, a version that it needs."""


def good_report(pki: Pki, leaf: Leaf | None = None, key_type: str = "ecdsa-p256") -> Report:
    """A report of a server that meets all of Mozilla's profiles."""
    report = Report(Target("example.com"))
    for name in ("TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1.0", "SSLv3", "SSLv2"):
        report.versions[name] = Fact(name == "TLSv1.3", "", b"\2")
    report.suites["TLSv1.3"] = Suites(("TLS_AES_128_GCM_SHA256",))
    report.groups["TLSv1.3"] = ("X25519MLKEM768", "X25519")
    report.features["hsts"] = Fact(63072000)
    not_after = pki.now + 60 * DAY
    leaf = leaf or Leaf(("example.com",), not_before=pki.now - DAY, not_after=not_after)
    report.saw(pki.credentials(leaf, key_type).chain_der)
    report.verify_chains(pki.trust, datetime.now(UTC))
    return report


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def kinds(report: Report, name: str) -> list[tuple[str, str]]:
    return [(each.kind, each.value) for each in findings(report, profiles()[name])]


@pytest.mark.parametrize("name", ["modern", "intermediate"])
def test_a_good_server_meets_mozillas_profiles(pki: Pki, name: str) -> None:
    assert kinds(good_report(pki), name) == []


def test_what_is_too_old_has_its_reason_its_bytes_and_what_to_write(pki: Pki) -> None:
    report = good_report(pki)
    report.versions["TLSv1.0"] = Fact(True, "", b"the ServerHello")
    (found,) = findings(report, profiles()["intermediate"])
    assert (found.kind, found.value, found.evidence) == ("version", "TLSv1.0", b"the ServerHello")
    assert "RFC 8996" in found.reason
    assert found.advice["nginx"] == "ssl_protocols TLSv1.2 TLSv1.3;"


def test_sweet32_is_weak_and_no_more_urgent_than_an_old_version(pki: Pki) -> None:
    report = good_report(pki)
    report.versions |= {"TLSv1.0": Fact(True), "TLSv1.2": Fact(True)}
    names = ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_RSA_WITH_RC4_128_SHA")
    report.suites["TLSv1.2"] = Suites((*names, "TLS_RSA_WITH_IDEA_CBC_SHA"), "", {})
    found = [each.value for each in findings(report, profiles()["intermediate"])]
    assert found == [names[1], "TLSv1.0", names[0], "TLS_RSA_WITH_IDEA_CBC_SHA"]


CHANGES: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "a suite": (
        {"suites": {"TLSv1.3": Suites(("TLS_AES_128_CCM_8_SHA256",), "", {})}},
        ("suite", "TLS_AES_128_CCM_8_SHA256"),
    ),
    "a group": (
        {"groups": {"TLSv1.3": ("MLKEM512",)}},
        ("group", "MLKEM512"),
    ),
    "HSTS": ({"features": {"hsts": Fact(0)}}, ("hsts", "Strict-Transport-Security")),
    "unknown HSTS": (
        {"features": {"hsts": Fact(None, "no answer")}},
        ("unknown", "Strict-Transport-Security"),
    ),
    "a small prime": ({"features": {"dh_bits": Fact(1024)}}, ("dh", "DHE")),
    "an unknown version": (
        {"versions": {"TLSv1.3": Fact(True), "SSLv3": Fact(None, "silent")}},
        ("unknown", "SSLv3"),
    ),
    "no version": ({"versions": {"TLSv1.3": Fact(False)}}, ("version", "TLSv1.3")),
    "something unknown": ({"incomplete": ["The rest"]}, ("unknown", "The rest")),
    "no certificate": ({"chains": []}, ("unknown", "certificate")),
    "nothing": ({"error": "refused"}, ("unknown", "example.com:443")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_demand_is_checked(pki: Pki, change: str) -> None:
    report = good_report(pki)
    values, expected = CHANGES[change]
    for name, value in values.items():
        setattr(report, name, value)
    assert kinds(report, "intermediate") == [expected]


def test_advice_is_for_the_version_of_the_suite_and_the_groups_that_the_server_knows(
    pki: Pki,
) -> None:
    report, profile = good_report(pki), profiles()["intermediate"]
    report.suites["TLSv1.3"] = Suites(("TLS_AES_128_CCM_SHA256",))
    report.suites["TLSv1.2"] = Suites(("TLS_RSA_WITH_AES_128_CBC_SHA",))
    report.groups["TLSv1.3"] = ("X25519MLKEM768", "secp224r1")
    new, old, group = findings(report, profile)
    names = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    assert new.advice["nginx"] == f"ssl_conf_command Ciphersuites {names};"
    assert new.advice["haproxy"] == f"ssl-default-bind-ciphersuites {names}"
    assert old.advice["nginx"].startswith("ssl_ciphers ECDHE-")
    assert "X25519MLKEM768:X25519" in group.advice["nginx"]
    report.groups["TLSv1.3"] = ("X25519", "secp224r1")
    assert "MLKEM" not in findings(report, profile)[2].advice["nginx"]


@pytest.mark.parametrize(
    ("starttls", "servers"),
    [
        (None, ["nginx", "Apache", "haproxy"]),
        ("smtp", ["nginx", "Postfix"]),
        ("imap", ["nginx", "Dovecot"]),
        ("pop3", ["nginx", "Dovecot"]),
        ("postgres", []),
    ],
)
def test_advice_is_for_servers_that_speak_the_protocol(
    pki: Pki, starttls: str | None, servers: list[str]
) -> None:
    report = good_report(pki)
    report.starttls = starttls
    report.versions["TLSv1.0"] = Fact(True)
    (found,) = findings(report, profiles()["intermediate"])
    assert list(found.advice) == [*servers, "Python"]


@pytest.mark.parametrize(
    ("port", "alpn", "programs"),
    [
        (465, (), {"nginx", "Postfix", "Python"}),
        (993, (), {"nginx", "Dovecot", "Python"}),
        (995, ("pop3",), {"nginx", "Dovecot", "Python"}),
        (993, ("h2",), {"nginx", "Apache", "haproxy", "Python"}),
        (636, (), {"Python"}),
        (8443, (), {"nginx", "Apache", "haproxy", "Python"}),
    ],
)
def test_advice_is_for_the_protocol_of_the_port(
    pki: Pki, port: int, alpn: tuple[str, ...], programs: set[str]
) -> None:
    report = good_report(pki)
    report.target, report.alpn = Target("example.com", port), alpn
    report.versions["TLSv1.0"] = Fact(True)
    (found,) = findings(report, profiles()["intermediate"])
    assert found.advice.keys() == programs


def test_each_key_of_a_profile_is_in_the_document() -> None:
    text = (ROOT / "docs" / "scan.md").read_text("utf-8").partition("## Profiles")[2]
    keys = {each.name for each in fields(Profile)} - {"name"}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_the_authority_is_to_be_asked_for_what_it_has_to_change(pki: Pki) -> None:
    days = Leaf(("example.com",), not_before=pki.now - DAY, not_after=pki.now + 400 * DAY)
    other = Leaf(("other.example",), not_after=pki.now + 60 * DAY)
    asks = {
        "366 days or fewer": good_report(pki, days),
        "RSA with 2048 bits or more": good_report(pki, key_type="rsa-1024"),
        "of ECDSA or RSA": good_report(pki, key_type="ed25519"),
        "ECDSA on secp256r1 or secp384r1": good_report(pki, key_type="ecdsa-p521"),
    }
    for ask, report in asks.items():
        advice = [each.advice for each in findings(report, profiles()["intermediate"])]
        assert any(ask in each.get("From the CA", "") for each in advice), advice
    (found,) = findings(good_report(pki, other), profiles()["intermediate"])
    assert "example.com" in found.advice["What to do"]
    assert "From the CA" not in found.advice


def test_a_port_without_tls_has_one_finding_and_what_to_do() -> None:
    report = Report(Target("a.example", 25), error="It greets as SMTP does.", fix="--starttls smtp")
    report.versions["TLSv1.3"] = Fact(None, "no TLS")
    (found,) = findings(report, profiles()["intermediate"])
    assert (found.kind, found.advice) == ("unknown", {"What to do": "--starttls smtp"})


def test_certificates_are_measured(pki: Pki) -> None:
    days = Leaf(("example.com",), not_before=pki.now - DAY, not_after=pki.now + 400 * DAY)
    stranger = Leaf(("other.example",), not_after=pki.now + 60 * DAY)
    cases = {
        "valid for": good_report(pki, days),
        "its key has 1024 bits": good_report(pki, key_type="rsa-1024"),
        "its key is Ed25519": good_report(pki, key_type="ed25519"),
        "its key is on secp521r1": good_report(pki, key_type="ecdsa-p521"),
        "not trusted": good_report(pki, stranger),
    }
    for reason, report in cases.items():
        found = findings(report, profiles()["intermediate"])
        assert any(reason in each.reason for each in found), (reason, found)
        assert {each.kind for each in found} == {"certificate"}


def test_cnsa_demands_its_group_and_forbids_0rtt(pki: Pki) -> None:
    report = good_report(pki)
    report.features["early_data"] = Fact(True)
    assert set(kinds(report, "cnsa2")) >= {
        ("suite", "TLS_AES_128_GCM_SHA256"),
        ("group", "MLKEM1024"),
        ("group", "X25519"),
        ("early_data", "early_data"),
    }


def test_a_profile_is_changed_by_editing_data_alone(pki: Pki, tmp_path: Path) -> None:
    values = json.loads(OWN.read_text())
    values["profiles"]["modern"]["groups_also"] = []
    edited = tmp_path / "own.json"
    edited.write_text(json.dumps(values))
    found = findings(good_report(pki), profiles(edited)["modern"])
    assert [(each.kind, each.value) for each in found] == [("group", "X25519MLKEM768")]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "handclasp-profiles/1"}', '{"format": 1, "profiles": {}}']
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="no file of profiles"):
        profiles(path)
    with pytest.raises(ConfigurationError, match="Cannot read"):
        profiles(tmp_path / "missing.json")


def test_the_data_name_what_a_scan_can_find() -> None:
    suites = {cipher_suite_name(code) for code in (*SUITES13, *suites_of(TLS12))}
    groups = {group_name(code) for code in GROUPS13} | set(GROUPS)
    for profile in profiles().values():
        assert {name for names in profile.suites.values() for name in names} <= suites
        assert {*profile.groups, *profile.groups_also, *profile.required_groups} <= groups
        assert set(profile.suites) <= set(profile.versions)
        assert all((profile.version, profile.source, profile.date))
        for advice in profile.advice.values():
            assert PROGRAMS <= set(advice) <= PROGRAMS | FURTHER


def test_a_missing_staple_is_a_finding_where_there_is_a_responder(pki: Pki) -> None:
    url = x509.UniformResourceIdentifier("http://ocsp.example")
    access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, url)
    extension = x509.AuthorityInformationAccess([access])
    leaf = Leaf(("example.com",), not_after=pki.now + 60 * DAY, extensions=[extension])
    report = good_report(pki, leaf)
    assert [kind for kind, _ in kinds(report, "modern")] == ["ocsp_staple"]
    must = Leaf(("example.com",), not_after=pki.now + 60 * DAY, extensions=[MUST_STAPLE])
    assert [kind for kind, _ in kinds(good_report(pki, must), "modern")] == ["certificate"]


def test_a_chain_of_which_one_certificate_is_unreadable_is_not_trusted(pki: Pki) -> None:
    report = good_report(pki)
    (chain,) = report.chains
    report.chains.clear()
    report.saw([*chain.chain_der, b"0\3garbage"])
    report.verify_chains(pki.trust, datetime.now(UTC))
    (found,) = findings(report, profiles()["intermediate"])
    assert found.kind == "certificate"
    assert found.reason.startswith("not trusted: ")
    assert "certificate 2 of 2 is not readable" in found.reason


def test_a_chain_that_nobody_verified_is_not_trusted(pki: Pki) -> None:
    report = good_report(pki)
    (chain,) = report.chains
    chain.explanation = None
    assert [kind for kind, _ in kinds(report, "modern")] == ["certificate"]


def test_the_same_leaf_with_another_chain_is_verified_as_well(pki: Pki) -> None:
    report = good_report(pki)
    leaf = report.chains[0].chain_der[0]
    for number in range(7):
        report.saw([leaf, bytes((48, 1, number))])
    assert len(report.chains) == 8
    assert not report.incomplete
    report.saw([leaf, b"one more"])
    assert len(report.chains) == 8
    assert report.incomplete == ["Further certificates: 8 chains are read, and it has more."]


def test_0rtt_that_is_unknown_does_not_meet_a_profile_that_forbids_it(pki: Pki) -> None:
    report = good_report(pki)
    report.features["early_data"] = Fact(None, "after the handshake: too many tickets")
    assert ("unknown", "early_data") in kinds(report, "cnsa2")


WRONG: dict[str, Any] = {
    **dict.fromkeys(("max_days", "dh_min_bits", "hsts_min_age", "rsa_min_bits"), "398"),
    **dict.fromkeys(("trusted", "ocsp_staple", "early_data"), "false"),
    **dict.fromkeys(("versions", "groups", "schemes", "curves", "key_types"), "TLSv1.2"),
    **dict.fromkeys(("title", "version", "date", "source", "note"), 7),
    "advice": {"suite": "x"},
    "suites": {"TLSv1.2": "TLS_RSA"},
    "required_groups": {"X25519": 1},
    "signature_algorithms": [["RSA"]],
    "groups_also": None,
    "versionz": ["TLSv1.3"],
    "name": "x",
}


def edited(tmp_path: Path, **changes: Any) -> Path:
    values = json.loads(OWN.read_text())
    values["profiles"]["intermediate"] |= changes
    path = tmp_path / "own.json"
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_value_in_a_profile_is_refused_when_it_is_read(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no file of profiles: .*{key}"):
        profiles(edited(tmp_path, **{key: WRONG[key]}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"versions": ["TLSv1.2", "TLS1.3"]}, "no version 'TLS1.3'"),
        ({"suites": {"TLS1.2": ["X"]}}, "no version 'TLS1.2'"),
        ({"suites": {"TLSv1.3": ["TLS_AES_128_GCM_SHA256"]}}, "other versions than"),
        ({"max_days": True}, "max_days cannot be 'True'"),
        ({"max_days": -1}, "max_days cannot be '-1'"),
    ],
)
def test_a_profile_that_would_demand_nothing_by_mistake_is_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        profiles(edited(tmp_path, **changes))


def test_a_profile_without_its_source_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text('{"format": "handclasp-profiles/1", "profiles": {"x": {}}}')
    with pytest.raises(ConfigurationError, match="has no title"):
        profiles(path)
