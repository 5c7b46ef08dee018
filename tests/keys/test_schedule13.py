"""The key schedule against RFC 8448, and against the same formulas from other building blocks."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.keys.independent import expand_label
from tests.vectors.rfc8448_traces import TRACE_NAMES, Trace, load

from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES, CipherSuite
from handclasp.keys.schedule13 import (
    EarlySecret,
    ExporterSecret,
    HandshakeSecret,
    MasterSecret,
    TrafficSecret,
)

AES_128 = CIPHER_SUITES["TLS_AES_128_GCM_SHA256"]
suites = pytest.mark.parametrize("suite", CIPHER_SUITES.values(), ids=CIPHER_SUITES)
traces = pytest.mark.parametrize("trace_name", TRACE_NAMES)


def early_secret(trace: Trace) -> EarlySecret:
    if trace.resumes is None:
        return EarlySecret.without_psk(AES_128)
    return EarlySecret(AES_128, Secret(trace.secrets["early_secret"]))


def stages(trace: Trace) -> tuple[HandshakeSecret, MasterSecret]:
    handshake = early_secret(trace).handshake_secret(trace.shared_secret)
    return handshake, handshake.master_secret()


@traces
def test_the_stages_of_rfc_8448(trace_name: str) -> None:
    trace = load(trace_name)
    handshake, master = stages(trace)
    assert early_secret(trace).secret == trace.secrets["early_secret"]
    assert handshake.secret == trace.secrets["handshake_secret"]
    assert master.secret == trace.secrets["master_secret"]


@traces
def test_the_traffic_secrets_and_keys_of_rfc_8448(trace_name: str) -> None:
    trace = load(trace_name)
    handshake, master = stages(trace)
    hello_hash = trace.derivations["client_handshake_traffic_secret"].context
    finished_hash = trace.derivations["client_application_traffic_secret_0"].context
    first, second = handshake.traffic_secrets(hello_hash)
    third, fourth, exporter = master.traffic_secrets(finished_hash)
    secrets: dict[tuple[Literal["client", "server"], Literal["handshake", "application"]], Any] = {
        ("client", "handshake"): first,
        ("server", "handshake"): second,
        ("client", "application"): third,
        ("server", "application"): fourth,
    }
    for direction, secret in secrets.items():
        expected = trace.traffic_keys[direction]
        keys = secret.keys()
        assert (secret.secret, keys.key, keys.iv) == (expected.secret, expected.key, expected.iv)
        assert keys.suite is AES_128
    assert exporter.secret == trace.secrets["exporter_master_secret"]


@traces
def test_the_finished_messages_of_rfc_8448(trace_name: str) -> None:
    trace = load(trace_name)
    for role, finished in trace.finished.items():
        verify_data = trace.messages[f"{role}_finished"].encoded[4:]
        assert verify_data == finished.verify_data
        transcript_hash = transcript_before(trace, f"{role}_finished")
        secret = TrafficSecret(AES_128, Secret(finished.secret))
        assert secret.verify_data(transcript_hash) == verify_data
        other = bytes(32)
        assert secret.verify_data(other) != verify_data


def transcript_before(trace: Trace, last: str) -> bytes:
    """The hash of the messages before `last`, put together here by RFC 8446 section 4.4.1."""
    before = b""
    for name, message in trace.messages.items():
        if name == last:
            break
        if name == "hello_retry_request":
            before = b"\xfe\0\0\x20" + hashlib.sha256(before).digest()
        before += message.encoded
    return hashlib.sha256(before).digest()


@suites
@settings(max_examples=10, deadline=None)
@given(st.binary(min_size=48, max_size=48), st.binary(max_size=80))
def test_the_whole_schedule_by_other_means(
    suite: CipherSuite, transcript_hash: bytes, shared: bytes
) -> None:
    name, size = suite.hash_name, suite.hash_size
    transcript_hash = transcript_hash[:size]
    empty = hashlib.new(name).digest()

    def derive(secret: bytes, label: str, context: bytes) -> bytes:
        return expand_label(name, secret, label, context, size)

    early = hmac.new(bytes(size), bytes(size), name).digest()
    handshake = hmac.new(derive(early, "derived", empty), shared, name).digest()
    master = hmac.new(derive(handshake, "derived", empty), bytes(size), name).digest()

    second = EarlySecret.without_psk(suite).handshake_secret(shared)
    third = second.master_secret()
    assert (second.secret, third.secret) == (handshake, master)
    of_handshake = second.traffic_secrets(transcript_hash)
    client, server, exporter = third.traffic_secrets(transcript_hash)
    pairs = [
        (of_handshake[0], handshake, "c hs traffic"),
        (of_handshake[1], handshake, "s hs traffic"),
        (client, master, "c ap traffic"),
        (server, master, "s ap traffic"),
    ]
    for traffic, stage, label in pairs:
        secret = derive(stage, label, transcript_hash)
        assert traffic.secret == secret
        assert traffic.keys().key == expand_label(name, secret, "key", b"", suite.key_size)
        assert traffic.keys().iv == expand_label(name, secret, "iv", b"", 12)
        finished_key = derive(secret, "finished", b"")
        mac = hmac.new(finished_key, transcript_hash, name).digest()
        assert traffic.verify_data(transcript_hash) == mac
    assert exporter.secret == derive(master, "exp master", transcript_hash)


@suites
def test_key_updates_of_section_7_2(suite: CipherSuite) -> None:
    secret = TrafficSecret(suite, Secret(b"\x11" * suite.hash_size))
    expected = bytes(secret.secret)
    seen = {expected}
    for _ in range(4):
        secret = secret.next()
        expected = expand_label(suite.hash_name, expected, "traffic upd", b"", suite.hash_size)
        assert secret.secret == expected
        assert secret.suite is suite
        assert secret.keys().key == expand_label(
            suite.hash_name, expected, "key", b"", suite.key_size
        )
        seen.add(expected)
    assert len(seen) == 5


@suites
@settings(max_examples=15, deadline=None)
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=249),
    st.binary(max_size=300),
    st.integers(1, 400),
)
def test_exporters_of_section_7_5(
    suite: CipherSuite, label: str, context: bytes, length: int
) -> None:
    name, size = suite.hash_name, suite.hash_size
    exporter = ExporterSecret(suite, Secret(b"\x22" * size))
    empty = hashlib.new(name).digest()
    derived = expand_label(name, exporter.secret, label, empty, size)
    hashed = hashlib.new(name, context).digest()
    exported = exporter.export(label, context, length)
    assert exported == expand_label(name, derived, "exporter", hashed, length)
    # It belongs to the application: plain bytes, which print as any others do.
    assert type(exported) is bytes


def test_an_exporter_separates_label_context_and_length() -> None:
    exporter = ExporterSecret(AES_128, Secret(bytes(32)))
    exports = {
        exporter.export("EXPORTER-a", b"", 32),
        exporter.export("EXPORTER-b", b"", 32),
        exporter.export("EXPORTER-a", b"context", 32),
        exporter.export("EXPORTER-a", b"", 33)[:32],
    }
    assert len(exports) == 4


def test_a_psk_of_zeros_is_no_psk() -> None:
    # RFC 9846 7.1: "if no PSK is selected, it will be replaced by Hash.length zero bytes".
    early = EarlySecret.without_psk(AES_128)
    same = EarlySecret(AES_128, Secret(bytes(early.secret)))
    assert same.handshake_secret(b"s").secret == early.handshake_secret(b"s").secret


def test_the_stages_of_two_hashes_do_not_mix() -> None:
    sha384 = CIPHER_SUITES["TLS_AES_256_GCM_SHA384"]
    first = EarlySecret.without_psk(AES_128)
    second = EarlySecret.without_psk(sha384)
    assert (len(first.secret), len(second.secret)) == (32, 48)
    assert len(second.handshake_secret(b"s").master_secret().secret) == 48


@traces
def test_no_stage_shows_its_secret(trace_name: str) -> None:
    trace = load(trace_name)
    handshake, master = stages(trace)
    traffic, _ = handshake.traffic_secrets(bytes(32))
    *_, exporter = master.traffic_secrets(bytes(32))
    for value in (
        early_secret(trace),
        handshake,
        master,
        traffic,
        traffic.keys(),
        exporter,
    ):
        shown = repr(value)
        secrets = {trace.secrets["handshake_secret"], traffic.secret, traffic.keys().key}
        for secret in secrets:
            assert bytes(secret).hex() not in shown
            assert repr(bytes(secret))[2:-1] not in shown
