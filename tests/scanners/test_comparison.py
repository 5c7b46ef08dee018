"""The comparison of scanners: their outputs are read, and what differs needs a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.scan.configured import SERVERS
from tests.scanners import comparison
from tests.scanners.observed import (
    ANY_VERSION,
    Observation,
    configured,
    read_testssl,
    sslscan,
    sslyze,
)
from tests.scanners.runs import Run

_SSLSCAN = """<document><ssltest>
<protocol type="ssl" version="2" enabled="0" /><protocol type="tls" version="1.2" enabled="1" />
<cipher sslversion="TLSv1.2" id="0xC02F" /><group sslversion="TLSv1.2" id="0x001d" />
<certificates><certificate><pk error="false" type="EC" /></certificate></certificates>
</ssltest></document>"""


def test_the_output_of_sslscan() -> None:
    suites = {"TLSv1.2": frozenset({"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"})}
    groups = {"TLSv1.2": frozenset({"X25519"})}
    keys = frozenset({"ECDSA"})
    assert sslscan(_SSLSCAN) == Observation(frozenset({"TLSv1.2"}), suites, groups, keys)


def test_the_output_of_sslyze() -> None:
    suite = {"cipher_suite": {"name": "TLS_AES_128_GCM_SHA256"}}
    chain = {"received_certificate_chain": [{"public_key": {"algorithm": "RSAPublicKey"}}]}
    commands = {
        "tls_1_3_cipher_suites": {"accepted_cipher_suites": [suite]},
        "ssl_2_0_cipher_suites": {"accepted_cipher_suites": []},
        "elliptic_curves": {"supported_curves": [{"name": "X25519"}, {"name": "prime256v1"}]},
        "certificate_info": {"certificate_deployments": [chain]},
    }
    result = {name: {"result": each} for name, each in commands.items()}
    found = sslyze(json.dumps({"server_scan_results": [{"scan_result": result}]}))
    assert found.versions == found.suites.keys() == {"TLSv1.3"}
    assert found.groups == {ANY_VERSION: {"X25519", "secp256r1"}}
    assert found.keys == {"RSA"}


def test_the_output_of_testssl() -> None:
    findings = {
        "SSLv2": "not offered",
        "TLS1_2": "offered",
        "cipher-tls1_2_x2f": "TLSv1.2   x2f   AES128-SHA",
        "PFS_ECDHE_curves": "prime256v1 X25519",
        "cert_keySize <hostCert#2>": "EC 256 bits",
        "ALPN": "http/1.1",
    }
    found = read_testssl(json.dumps([{"id": k, "finding": v} for k, v in findings.items()]))
    assert found.versions == {"TLSv1.2"}
    assert found.suites == {"TLSv1.2": {"TLS_RSA_WITH_AES_128_CBC_SHA"}}
    assert found.groups == {ANY_VERSION: {"secp256r1", "X25519"}}
    assert found.keys == {"ECDSA"}
    assert found.alpn == frozenset({"http/1.1"})


def kept(where: Path, name: str, server: str, **changes: object) -> None:
    """Keep a run of `handclasp scan` that found what is configured, with some changes."""
    wanted = configured(SERVERS[server])
    found = {
        "versions": {each: {"value": True} for each in wanted.versions},
        "suites": {each: {"names": list(names)} for each, names in wanted.suites.items()},
        "groups": {each: list(names) for each, names in wanted.groups.items()},
        "certificates": [{"key_type": each} for each in wanted.keys],
        "alpn": list(wanted.alpn or ()),
        **changes,
    }
    run = Run("1", 1, 1, json.dumps(found) if name == "handclasp" else _SSLSCAN)
    run.write(where / f"{server}.{name}.json")


def test_a_difference_without_a_reason_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path, "handclasp", "Apache")
    kept(tmp_path, "sslscan", "Apache")
    made = comparison.compare(["Apache"], ["handclasp", "sslscan"], tmp_path)
    assert not made.wrong
    assert "key types" in {each.what for each, reason in made.explained if reason is None}
    monkeypatch.setattr("sys.argv", ["x", "--server", "Apache", "--kept", str(tmp_path)])
    monkeypatch.setattr(comparison, "make_runs", lambda *_: None)
    assert comparison.main() == 1


def test_a_scan_that_departs_from_the_settings_is_a_failure(tmp_path: Path) -> None:
    kept(tmp_path, "handclasp", "Apache", alpn=["h2"])
    assert comparison.compare(["Apache"], ["handclasp"], tmp_path).wrong == [
        "Apache: protocols: ['h2'], and configured are ['http/1.1']"
    ]
