"""What a recorder keeps, and that its JSON form gives the same back."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.pki import Pki
from tests.recorded import DATA, Recorded, converse, shuttle

from handclasp import (
    ClientConfig,
    ClientConnection,
    Recorder,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.iana import HandshakeType
from handclasp.trace.events import (
    AlertSeen,
    DecisionTaken,
    Failed,
    HandshakeResult,
    KeysInstalled,
    MessageSeen,
    QuestionAnswered,
    QuestionPut,
    RecordSeen,
    SecretDerived,
    TraceFormatError,
)

MESSAGES_OF_THE_SERVER = [
    HandshakeType.SERVER_HELLO,
    HandshakeType.ENCRYPTED_EXTENSIONS,
    HandshakeType.COMPRESSED_CERTIFICATE,
    HandshakeType.CERTIFICATE_VERIFY,
    HandshakeType.FINISHED,
]


def of_type(recorder: Recorder, kind: type[Any]) -> list[Any]:
    return [event for event in recorder.events if isinstance(event, kind)]


def test_both_sides_note_the_same_messages(plain: Recorded) -> None:
    sent = {
        side: [e.raw for e in of_type(recorder, MessageSeen) if e.direction == direction]
        for side, recorder, direction in (
            ("client", plain.client, "sent"),
            ("client as received", plain.server, "received"),
            ("server", plain.server, "sent"),
            ("server as received", plain.client, "received"),
        )
    }
    assert sent["client"] == sent["client as received"]
    assert sent["server"] == sent["server as received"]
    assert [raw[0] for raw in sent["server"]] == MESSAGES_OF_THE_SERVER
    assert all(int.from_bytes(raw[1:4], "big") == len(raw) - 4 for raw in sent["server"])


def test_epochs_change_with_the_keys(plain: Recorded) -> None:
    received = [e for e in of_type(plain.client, MessageSeen) if e.direction == "received"]
    assert [e.epoch for e in received] == ["plaintext"] + ["handshake"] * 4
    installed = {(e.direction, e.epoch) for e in of_type(plain.client, KeysInstalled)}
    assert {(d, e) for d in ("sent", "received") for e in ("handshake", "application")} <= installed


def test_records_are_noted_by_size_and_never_by_content(plain: Recorded) -> None:
    sent = [e for e in of_type(plain.client, RecordSeen) if e.direction == "sent"]
    received = [e for e in of_type(plain.server, RecordSeen) if e.direction == "received"]
    assert [e.size for e in sent] == [e.size for e in received]
    assert DATA.hex() not in plain.client.to_json()


def test_decisions_and_questions_are_noted(plain: Recorded) -> None:
    decided = {e.what: e.chosen for e in of_type(plain.server, DecisionTaken)}
    assert decided["cipher_suite"] == plain.info_of_server.cipher_suite
    assert {e.question for e in of_type(plain.server, QuestionPut)} >= {"Sign"}
    assert all(e.elapsed_ns > 0 for e in of_type(plain.server, QuestionAnswered))


def test_of_very_many_offers_the_first_are_kept_and_what_could_be_chosen() -> None:
    recorder = Recorder()
    offers = [f"offer {number}" for number in range(10_000)] * 2
    recorder.decision("alpn", offers, ("offer 5000", "h2"), "offer 9999", "the server's order")
    (decision,) = of_type(recorder, DecisionTaken)
    assert decision.offered == (*offers[:256], "offer 5000", "offer 9999")
    assert len(decision.refused) == 257
    assert decision.shared == ("offer 5000",)


def test_time_never_goes_back(plain: Recorded) -> None:
    moments = [event.at_ns for event in plain.client.events]
    assert moments == sorted(moments)
    assert moments[0] >= 0


def test_secrets_are_kept_only_on_request(pki: Pki, plain: Recorded) -> None:
    configs = (ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    opted_in = converse(*configs, secrets=True)
    assert not of_type(plain.client, SecretDerived)
    secrets = of_type(opted_in.client, SecretDerived)
    assert secrets
    assert not any(event.value.hex() in repr(event) for event in secrets)
    assert Recorder.from_json(opted_in.client.to_json()).record_secrets


def test_a_recorder_drops_secrets_that_it_is_given_uninvited() -> None:
    recorder = Recorder()
    recorder.secret("CLIENT_TRAFFIC_SECRET_0", b"\x01" * 32)
    assert recorder.events == []


def test_the_clock_is_counted_from_the_beginning() -> None:
    times = iter((1000, 1000, 1025))
    recorder = Recorder(clock=lambda: next(times))
    recorder.question_asked("Sign")
    recorder.question_answered("Sign")
    assert recorder.events == [QuestionPut(0, "Sign"), QuestionAnswered(25, "Sign", 25)]


def test_a_long_conversation_does_not_grow_without_end() -> None:
    recorder = Recorder(limit=3)
    for _ in range(10):
        recorder.record("sent", "application", 23, 100)
    assert (len(recorder.events), recorder.dropped) == (3, 7)


def test_json_gives_the_same_back(plain: Recorded, retried: Recorded) -> None:
    for recorder in (plain.client, plain.server, retried.client, retried.server):
        assert Recorder.from_json(recorder.to_json()).events == recorder.events


def test_a_failure_is_kept_with_its_explanation(pki: Pki) -> None:
    recorder = Recorder()
    client = ClientConnection(
        ClientConfig(trust=Pki().trust), server_name="localhost", trace=recorder
    )
    server = ServerConnection(ServerConfig(credentials=pki.server()))
    with pytest.raises(TLSError):
        shuttle(client, server)
    failed = of_type(Recorder.from_json(recorder.to_json()), Failed)
    assert [(e.origin, e.fault, e.alert) for e in failed] == [
        ("local", "CERTIFICATE_UNTRUSTED", "unknown_ca")
    ]
    assert failed[0].fix
    assert of_type(recorder, AlertSeen)[-1].direction == "sent"
    assert not of_type(recorder, HandshakeResult)


def test_a_saved_trace_is_for_its_owner_only(plain: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    plain.client.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Recorder.load(path).events == plain.client.events


def test_a_saved_page_is_for_its_owner_only(plain: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    plain.client.save_html(path, "example.com")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text("utf-8") == plain.client.to_html("example.com")


def changed_first(recorder: Recorder, kind: str, **changes: Any) -> str:
    """The recorder's JSON, with the first event of a kind changed; None removes a field."""
    trace = json.loads(recorder.to_json())
    event = next(e for e in trace["events"] if e["event"] == kind)
    event.update(changes)
    for name in [name for name, value in changes.items() if value is None]:
        del event[name]
    return json.dumps(trace)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("message", {"raw": "not hex"}),
        ("message", {"raw": 5}),
        ("message", {"at_ns": "1"}),
        ("message", {"at_ns": True}),
        ("message", {"epoch": None}),
        ("record", {"event": "something else"}),
        ("record", {"event": ["record"]}),
        ("decision", {"offered": "TLSv1.3"}),
        ("decision", {"offered": [1]}),
        ("settled", {"info": {}}),
        ("settled", {"info": []}),
    ],
)
def test_a_broken_event_is_refused(plain: Recorded, kind: str, changes: dict[str, Any]) -> None:
    with pytest.raises(TraceFormatError):
        Recorder.from_json(changed_first(plain.server, kind, **changes))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "null",
        "{}",
        '{"format": "handclasp-trace/2", "dropped": 0, "events": []}',
        '{"format": "handclasp-trace/1", "dropped": 0}',
        '{"format": "handclasp-trace/1", "events": []}',
        '{"format": "handclasp-trace/1", "dropped": 0, "events": [7]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_trace_is_refused(text: str) -> None:
    with pytest.raises(TraceFormatError):
        Recorder.from_json(text)


def test_events_are_frozen(plain: Recorded) -> None:
    first = plain.client.events[0]
    with pytest.raises(AttributeError):
        first.at_ns = 5  # type: ignore[misc]
    assert replace(first, at_ns=5) != first
