"""A failure's story from nothing but its events, whatever they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pki import Pki
from tests.recorded import Recorded, shuttle

from handclasp import (
    ClientConfig,
    ClientConnection,
    Recorder,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.faults import Blame
from handclasp.story.diagnosis import diagnose, situation_of
from handclasp.trace.events import AlertSeen, Failed, MessageSeen, RecordSeen


def failing(client: ClientConfig, server: ServerConfig) -> Recorded:
    """Both sides' traces of a handshake that comes to nothing."""
    both = Recorded(Recorder(), Recorder())
    hello = ClientConnection(client, server_name="localhost", trace=both.client)
    answer = ServerConnection(server, trace=both.server)
    with pytest.raises(TLSError):
        shuttle(hello, answer)
    # Whoever has not failed yet hears of it.
    for sender, receiver in ((answer, hello), (hello, answer)):
        if receiver.failure is None:
            with pytest.raises(TLSError):
                receiver.receive_data(sender.data_to_send())
    return both


def test_nothing_failed(plain: Recorded) -> None:
    assert diagnose(plain.client.events) is None
    assert diagnose([]) is None


def test_both_sides_of_one_failure(pki: Pki) -> None:
    both = failing(
        ClientConfig(trust=pki.trust, groups=["secp521r1"]),
        ServerConfig(credentials=pki.server(), groups=["X25519"]),
    )
    ours, theirs = diagnose(both.client.events), diagnose(both.server.events)
    assert ours is not None
    assert theirs is not None
    assert (ours.found_by, theirs.found_by) == ("peer", "local")
    assert (ours.fault, theirs.fault) == ("PEER_HANDSHAKE_FAILURE", "NO_SHARED_GROUP")
    assert (ours.blame, theirs.blame) == (Blame.LOCAL, Blame.PEER)  # The client, both say
    # Both point at the same bytes of the hello.
    mine, other = ours.evidence[-1], theirs.evidence[-1]
    assert (mine.start, mine.octets, mine.size) == (other.start, other.octets, other.size)
    assert mine.octets[:2] == b"\x00\x0a"
    hello = both.client.events[mine.at]
    assert isinstance(hello, MessageSeen)
    assert mine.start is not None
    assert hello.raw[mine.start : mine.start + mine.size] == mine.octets


def test_the_situation_is_that_of_the_connection(pki: Pki) -> None:
    """The trace alone tells what the connection knew of itself."""
    trace = Recorder()
    config = ClientConfig(
        trust=pki.trust, alpn=["h2"], groups=["X25519"], signature_schemes=["ed25519"]
    )
    ClientConnection(config, server_name="localhost", trace=trace)
    situation = situation_of(trace.events)
    assert (situation.role, situation.stage, situation.version) == ("client", "hello", None)
    assert situation.cipher_suites == tuple(config.cipher_suites)
    assert situation.groups == ("X25519",)
    assert situation.signature_schemes == ("ed25519",)
    assert situation.alpn == ("h2",)
    assert situation.server_name == "localhost"
    assert set(situation.versions) == {"TLSv1.2", "TLSv1.3"}


def test_a_fault_of_another_version_of_the_library() -> None:
    failed = Failed(0, "local", "NOT_KNOWN_HERE", "internal_error", "What it says.", "", "")
    diagnosis = diagnose([failed])
    assert diagnosis is not None
    assert diagnosis.cause == "What it says."
    assert diagnosis.blame is Blame.UNCLEAR
    assert diagnosis.evidence == ()


@pytest.mark.parametrize("number", range(256))
def test_any_alert_has_a_story(number: int, plain: Recorded) -> None:
    hello = next(event for event in plain.client.events if isinstance(event, MessageSeen))
    failed = Failed(2, "peer", "PEER_X", "x", "m", "e", "f")
    diagnosis = diagnose([hello, AlertSeen(1, "received", 2, number), failed])
    assert diagnosis is not None
    assert diagnosis.cause.endswith(".")
    assert diagnosis.found_by == "peer"


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_events_have_a_story(data: st.DataObject, plain: Recorded) -> None:
    """Whatever a trace holds, such as one that somebody has edited: a story, and no traceback."""
    events = data.draw(st.lists(st.sampled_from(plain.client.events), max_size=8))
    broken: list[Any] = []
    for event in events:
        if isinstance(event, MessageSeen):
            event = replace(event, raw=event.raw[: data.draw(st.integers(0, len(event.raw)))])
        elif isinstance(event, RecordSeen):
            event = replace(event, content_type=data.draw(st.integers(0, 300)))
        broken.append(event)
    fault = data.draw(
        st.sampled_from(["NOT_TLS", "TRUNCATED", "NO_SHARED_GROUP", "CERTIFICATE_EXPIRED", "X"])
    )
    origin = data.draw(st.sampled_from(["local", "peer"]))
    broken.append(Failed(0, origin, fault, "a", "m", "e", "f"))
    assert diagnose(broken) is not None
