"""Servers with TLS 1.0 or 1.1 alone, as `watch` and `connect` tell them."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path

import pytest
from tests.cli.test_watch_mutual import Bench

from handclasp import ClientConnection, Fault, ProtocolError

OLD = [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1]


def old(context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    """Let a context of OpenSSL have one old version alone, or up to that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.server.verify_mode = ssl.CERT_NONE
    return made


@pytest.mark.parametrize("version", OLD, ids=lambda each: each.name)
def test_a_client_that_gives_up_after_the_server_chose_an_obsolete_version(
    bench: Bench, version: ssl.TLSVersion
) -> None:
    old(bench.server, version)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        bench.client.minimum_version = ssl.TLSVersion.TLSv1
    bench.client.set_ciphers("DEFAULT")
    report = bench.watched()
    failure = report.diagnosis
    assert failure is not None
    spelled = "TLS 1.0" if version == ssl.TLSVersion.TLSv1 else "TLS 1.1"
    assert f"chose {spelled}, which is obsolete (RFC 8996)" in failure.cause
    assert "offers TLS 1.2 or TLS 1.3" in failure.cause
    assert failure.at_fault.startswith("the server, which chose an obsolete version")
    told = [value for label, value in report.lines() if label == "to change"]
    assert len(told) == 1
    assert told[0].startswith("On the server: Enable TLS 1.3, or at least TLS 1.2")
    assert report.notes == []  # The failure tells it.
    assert ("key exchange", "ECDHE_ECDSA") in report.lines()
    assert not any("peer" in value for _, value in report.lines())


def test_a_handshake_that_is_complete_in_an_obsolete_version_is_noted(bench: Bench) -> None:
    old(bench.server, ssl.TLSVersion.TLSv1)
    old(bench.client, ssl.TLSVersion.TLSv1_1)
    report = bench.watched(b"a request")
    assert report.diagnosis is None
    [note] = report.notes
    assert note.startswith("The server chose TLS 1.0, which is obsolete (RFC 8996): the client")
    assert "On the client: Enable TLS 1.3" in note
    old(bench.client, ssl.TLSVersion.TLSv1_3)
    [note] = bench.watched(b"a request").notes
    assert "although the client offers TLS 1.2 and TLS 1.3. On the server: Enable" in note


def test_nobody_is_advised_to_enable_an_obsolete_version_here() -> None:
    client = ClientConnection(server_name="localhost")
    client.data_to_send()
    body = b"\x03\x01" + bytes(32) + b"\0" + b"\xc0\x14" + b"\0"
    raw = b"\x02" + len(body).to_bytes(3, "big") + body
    with pytest.raises(ProtocolError) as caught:
        client.receive_data(b"\x16\x03\x01" + len(raw).to_bytes(2, "big") + raw)
    error = caught.value
    assert error.fault is Fault.NO_SHARED_VERSION
    assert "the server chose TLSv1.0, which is obsolete (RFC 8996)" in str(error)
    assert error.condition == "which supports only obsolete versions"
    assert "this end" not in error.fix
    assert "Enable TLS 1.3, or at least TLS 1.2" in error.fix
