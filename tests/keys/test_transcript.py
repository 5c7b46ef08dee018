"""The transcript hash against RFC 8448, after a HelloRetryRequest too."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors.rfc8448_traces import TRACE_NAMES, load

from handclasp.keys.transcript import Transcript

# secret -> the last message that its context covers
COVERS = {
    "client_handshake_traffic_secret": "server_hello",
    "server_handshake_traffic_secret": "server_hello",
    "client_application_traffic_secret_0": "server_finished",
    "server_application_traffic_secret_0": "server_finished",
    "exporter_master_secret": "server_finished",
    "resumption_master_secret": "client_finished",
}


@pytest.mark.parametrize("trace_name", TRACE_NAMES)
def test_the_contexts_of_rfc_8448(trace_name: str) -> None:
    trace = load(trace_name)
    transcript = Transcript()
    digests: dict[str, bytes] = {}
    retried = "hello_retry_request" in trace.messages
    for name, message in trace.messages.items():
        transcript.add(message.encoded)
        if name == ("hello_retry_request" if retried else "server_hello"):
            # The client knows the suite only now; both hellos wait until then.
            transcript.choose_hash("sha256", retried=retried)
        if name != "client_hello":
            digests[name] = transcript.digest()
    for secret, last in COVERS.items():
        assert digests[last] == trace.derivations[secret].context, secret


@pytest.mark.parametrize("trace_name", TRACE_NAMES)
def test_the_signatures_of_rfc_8448_cover_the_transcript(trace_name: str) -> None:
    trace = load(trace_name)
    for role, signature in trace.signatures.items():
        names = list(trace.messages)
        covered = names[: names.index(f"{role}_certificate_verify")]
        transcript = Transcript()
        transcript.add(trace.messages[covered[0]].encoded)
        transcript.choose_hash("sha256", retried="hello_retry_request" in covered)
        for name in covered[1:]:
            transcript.add(trace.messages[name].encoded)
        assert transcript.digest() == signature.transcript_hash


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(0, 8))
def test_it_does_not_matter_when_the_hash_is_chosen(messages: list[bytes], when: int) -> None:
    transcript = Transcript()
    for index, message in enumerate(messages):
        if index == when:
            transcript.choose_hash("sha256", retried=False)
        transcript.add(message)
    if when >= len(messages):
        transcript.choose_hash("sha256", retried=False)
    assert transcript.digest() == hashlib.sha256(b"".join(messages)).digest()


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["sha256", "sha384"]),
    st.binary(max_size=40),
    st.lists(st.binary(max_size=40), max_size=4),
)
def test_after_a_retry_a_hash_stands_for_the_first_hello(
    hash_name: str, hello: bytes, rest: list[bytes]
) -> None:
    transcript = Transcript()
    transcript.add(hello)
    transcript.choose_hash(hash_name, retried=True)
    for message in rest:
        transcript.add(message)
    inner = hashlib.new(hash_name, hello).digest()
    synthetic = b"\xfe" + len(inner).to_bytes(3, "big") + inner
    assert transcript.digest() == hashlib.new(hash_name, synthetic + b"".join(rest)).digest()


def test_asking_does_not_disturb_the_hash() -> None:
    transcript = Transcript()
    transcript.choose_hash("sha256", retried=False)
    transcript.add(b"one")
    assert transcript.digest() == transcript.digest() == hashlib.sha256(b"one").digest()
    transcript.add(b"two")
    assert transcript.digest() == hashlib.sha256(b"onetwo").digest()


def test_before_the_suite_is_known_there_is_no_hash() -> None:
    transcript = Transcript()
    transcript.add(b"hello")
    with pytest.raises(RuntimeError, match="no hash yet"):
        transcript.digest()
