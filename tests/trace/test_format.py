"""The JSON form of a trace: it gives the same back, and follows the schema that is published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.end_to_end.test_resumption import World
from tests.pki import Pki
from tests.recorded import Recorded, converse
from tests.rules.source import PACKAGE

from handclasp import (
    ClientAuth,
    ClientConfig,
    ConnectionInfo,
    Recorder,
    ServerConfig,
)
from handclasp.trace.events import (
    BytesRefused,
    DecisionTaken,
    MessageSeen,
    Refused,
    TraceEvent,
    TraceFormatError,
    TransportEnded,
    TransportSeen,
    WireSeen,
)
from handclasp.trace.format import event_from_json, event_to_json

jsonschema = pytest.importorskip("jsonschema")

SCHEMA: dict[str, Any] = json.loads((PACKAGE / "trace" / "trace.schema.json").read_text())
KINDS: tuple[type[TraceEvent], ...] = get_args(TraceEvent)
NUMBERS = st.integers(min_value=0, max_value=2**63)


def check(text: str) -> None:
    jsonschema.validate(json.loads(text), SCHEMA)


# The property: whatever a recorder may note comes back the same

VALUES: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
    "int": lambda: NUMBERS,
    "int | None": lambda: st.none() | NUMBERS,
    "str": st.text,
    "str | None": lambda: st.none() | st.text(),
    "bool": st.booleans,
    "bytes": st.binary,
    "bytes | None": lambda: st.none() | st.binary(),
    "tuple[str, ...]": lambda: st.lists(st.text(), max_size=4).map(tuple),
    "tuple[bytes, ...]": lambda: st.lists(st.binary(), max_size=4).map(tuple),
    "tuple[Refused, ...]": lambda: st.lists(
        st.builds(Refused, st.text(), st.text()), max_size=4
    ).map(tuple),
    "ConnectionInfo": lambda: any_of(ConnectionInfo),
}


PLAIN: dict[str, object] = {
    "int": 1, "int | None": 1, "str": "a", "str | None": "a", "bytes": b"a",
    "tuple[str, ...]": ("a",), "tuple[Refused, ...]": (Refused("a", "b"),),
    "ConnectionInfo": ConnectionInfo(
        "TLSv1.3", "a", None, None, None, None, False, "none", False, (), False, ()
    ),
}  # fmt: skip


def sample(kind: type[Any]) -> TraceEvent:
    """An event of this kind in which nothing has its default."""
    words = {each.name: words_of(kind, each.name)[:1] for each in fields(kind)}
    values = {each.name: PLAIN[str(each.type)] for each in fields(kind)}
    event: TraceEvent = kind(**values | {name: found[0] for name, found in words.items() if found})
    return event


def kind_name(kind: type[Any]) -> str:
    event: TraceEvent = kind(**{each.name: PLAIN[str(each.type)] for each in fields(kind)})
    name: str = event_to_json(event)["event"]
    return name


GROWING = ("what", "operation")
"""Fields whose lists grow with the format: a reader takes other values as text."""


def words_of(kind: type[Any], name: str) -> list[str]:
    """The only values of a field, by the schema; none where any will do."""
    if kind not in KINDS or name in GROWING:
        return []
    found: list[str] = SCHEMA["$defs"][kind_name(kind)]["properties"][name].get("enum", [])
    return found


def any_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    values: dict[str, st.SearchStrategy[Any]] = {}
    for each in fields(kind):
        words = words_of(kind, each.name)
        values[each.name] = st.sampled_from(words) if words else VALUES[str(each.type)]()
    return st.builds(kind, **values)


any_event = st.one_of([any_of(kind) for kind in KINDS])


@given(st.lists(any_event, max_size=6), NUMBERS, NUMBERS)
@settings(max_examples=300, deadline=None)
def test_any_trace_comes_back_the_same(
    events: list[TraceEvent], dropped: int, began_at_ns: int
) -> None:
    recorder = Recorder()
    recorder.events, recorder.dropped, recorder.began_at_ns = events, dropped, began_at_ns
    again = Recorder.from_json(recorder.to_json())
    assert again.events == events
    assert (again.dropped, again.began_at_ns) == (dropped, began_at_ns)
    assert again.to_json() == recorder.to_json()


def altered(event: dict[str, Any], bad: dict[type, Any]) -> Iterator[dict[str, Any]]:
    """The event with each of its values, inner ones included, replaced by a bad one of its type."""
    for name, value in event.items():
        if isinstance(value, dict):
            yield from ({**event, name: each} for each in altered(value, bad))
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, dict):
                    yield from ({**event, name: [one]} for one in altered(each, bad))
                elif type(each) in bad:
                    yield {**event, name: [bad[type(each)]]}
        elif type(value) in bad and name != "event":
            yield {**event, name: bad[type(value)]}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "bad", [{int: -1}, {int: 2**63 + 1}, {int: 2**70}, {str: "\ud800"}, {str: "a\udfff"}], ids=str
)
def test_what_no_reader_could_use_is_refused(kind: type[Any], bad: dict[type, Any]) -> None:
    event = event_to_json(sample(kind))
    for spoiled in altered(event, bad):
        with pytest.raises(TraceFormatError):
            event_from_json(json.loads(json.dumps(spoiled)))


@pytest.mark.parametrize("name", ["began_at_ns", "dropped"])
@pytest.mark.parametrize("value", [-1, 10**30, 2**70, 1.0, True, None, "1"])
def test_numbers_of_the_whole_are_held_to_the_same(name: str, value: object) -> None:
    trace = json.loads(Recorder().to_json()) | {name: value}
    with pytest.raises(TraceFormatError):
        Recorder.from_json(json.dumps(trace))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_word_that_the_schema_does_not_have(kind: type[Any]) -> None:
    """Readers decide by it: who sent a message, and under which keys."""
    event = event_to_json(sample(kind))
    for name in event:
        if name != "event" and words_of(kind, name):
            with pytest.raises(TraceFormatError, match=f"a wrong {name}"):
                event_from_json(event | {name: "ruceived"})
            for word in words_of(kind, name):
                assert getattr(event_from_json(event | {name: word}), name) == word


@pytest.mark.parametrize("event", [WireSeen(0, "up", b"x"), TransportEnded(0, "up", "end")])
def test_a_direction_that_is_none(event: TraceEvent) -> None:
    recorder = Recorder(record_wire=True)
    recorder.events = [WireSeen(0, "sent", b"x"), event]
    with pytest.raises(TraceFormatError, match="direction"):
        Recorder.from_json(recorder.to_json()).to_pcapng()


@pytest.mark.parametrize("kind", KINDS)
def test_what_came_to_the_format_later_may_be_absent(kind: type[Any]) -> None:
    """A trace of an older version is read as it was meant."""
    written = event_to_json(sample(kind))
    defaults = {each.name: each.default for each in fields(kind) if each.default is not MISSING}
    for name in defaults:
        del written[name]
    again = event_from_json(written)
    assert {name: getattr(again, name) for name in defaults} == defaults


# The schema

TLS12: dict[str, Any] = {"versions": ("TLSv1.2",)}


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_has_every_event_and_field_and_no_other() -> None:
    listed = {
        each["$ref"].rpartition("/")[2] for each in SCHEMA["properties"]["events"]["items"]["oneOf"]
    }
    assert listed == {kind_name(kind) for kind in KINDS}
    for kind in KINDS:
        definition = SCHEMA["$defs"][kind_name(kind)]
        names = {*definition["properties"]} - {"event", "fields"}
        assert names == {each.name for each in fields(kind)}
        assert set(definition["required"]) == {"event"} | {
            each.name for each in fields(kind) if each.default is MISSING
        }
    info = SCHEMA["$defs"]["connection_info"]["properties"]
    assert set(info) == {each.name for each in fields(ConnectionInfo)}


@pytest.mark.parametrize("secrets", [False, True])
@pytest.mark.parametrize("version", [{}, TLS12], ids=["13", "12"])
def test_real_traces_follow_it(pki: Pki, version: dict[str, Any], secrets: bool) -> None:
    recorded = converse(
        ClientConfig(trust=pki.trust, credentials=pki.client(), alpn=("h2",), **version),
        ServerConfig(
            credentials=pki.server(), alpn=("h2",), client_auth=ClientAuth.REQUIRED, trust=pki.trust
        ),
        secrets=secrets,
    )
    for recorder in (recorded.client, recorded.server):
        check(recorder.to_json())
        check(recorder.to_json(fields=True))


def test_retries_resumptions_and_failures_follow_it(pki: Pki, retried: Recorded) -> None:
    check(retried.client.to_json())
    world = World(pki)
    world.meet()
    again = world.meet()
    check(again.client.trace.to_json())
    check(again.server.trace.to_json())
    failed = Recorder()
    failed.bytes_refused(b"GET / HTTP/1.1\r\n")
    failed.transport(("127.0.0.1", 4433), ("::1", 40_000))
    failed.transport_ended("received", "reset")
    kinds = [type(event) for event in failed.events]
    assert kinds == [BytesRefused, TransportSeen, TransportEnded]
    check(failed.to_json())


@pytest.mark.parametrize(
    "change",
    [
        lambda trace: trace.update(format="handclasp-trace/2"),
        lambda trace: trace.update(more=1),
        lambda trace: trace.pop("events"),
        lambda trace: trace["events"][0].update(event="another"),
        lambda trace: trace["events"][0].update(at_ns=-1),
        lambda trace: trace["events"][0].update(strange=True),
        lambda trace: trace["events"][0].pop("role"),
    ],
)
def test_the_schema_refuses_what_is_none(
    plain: Recorded, change: Callable[[dict[str, Any]], object]
) -> None:
    trace = json.loads(plain.client.to_json())
    change(trace)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(trace, SCHEMA)


# The tree of fields


def test_fields_come_along_on_request(plain: Recorded) -> None:
    text = plain.client.to_json(fields=True)
    messages = [each for each in json.loads(text)["events"] if each["event"] == "message"]
    assert messages
    for message in messages:
        tree = message["fields"]
        assert (tree["start"], tree["end"]) == (0, len(message["raw"]) // 2)
        assert tree["section"].startswith("RFC ")
        assert covers(tree)
    assert Recorder.from_json(text).events == plain.client.events
    assert "fields" not in plain.client.to_json()


def covers(tree: dict[str, Any]) -> bool:
    """Whether the parts make up all of the bytes, in order, all the way down."""
    at = tree["start"]
    for part in tree["parts"]:
        if part["start"] != at or not covers(part):
            return False
        at = part["end"]
    return not tree["parts"] or at == tree["end"]


# What is written about it


def test_the_document_names_every_event_and_field() -> None:
    text = (Path(__file__).parents[2] / "docs" / "trace-format.md").read_text()
    for kind in KINDS:
        section = text.partition(f"### {kind_name(kind)}\n")[2].partition("\n### ")[0]
        assert section, kind
        for each in fields(kind):
            assert each.name == "at_ns" or f"`{each.name}`" in section, (kind, each.name)
    for what in SCHEMA["$defs"]["decision"]["properties"]["what"]["enum"]:
        assert f"`{what}`" in text


def test_decisions_have_no_other_names_than_those(plain: Recorded) -> None:
    named = SCHEMA["$defs"]["decision"]["properties"]["what"]["enum"]
    for recorder in (plain.client, plain.server):
        for event in recorder.events:
            assert not isinstance(event, DecisionTaken) or event.what in named
            assert not isinstance(event, MessageSeen) or event.raw
