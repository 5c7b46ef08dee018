"""The records on the page: their headers, what is inside, and the one that says nothing."""

from __future__ import annotations

from dataclasses import replace

from tests.recorded import Recorded

from handclasp.story.facts import facts_of
from handclasp.story.page.document import page_of
from handclasp.story.page.records import MOST_RECORDS, Record, count_records, records_of
from handclasp.trace.events import RecordSeen


def listed(recorded: Recorded) -> tuple[Record, ...]:
    events = recorded.client.events
    return records_of(events, facts_of(events))


def test_every_record_is_listed_with_its_length(plain: Recorded) -> None:
    records = listed(plain)
    seen = [event for event in plain.client.events if isinstance(event, RecordSeen)]
    assert [record.length for record in records] == [event.size - 5 for event in seen]
    assert count_records(plain.client.events) == len(records)


def test_in_tls13_the_header_hides_what_is_inside(plain: Recorded) -> None:
    records = listed(plain)
    first, *_ = [each for each in records if each.inside.startswith("Encrypted")]
    assert (first.kind, first.header[:8]) == ("application_data (23)", "17 03 03")
    assert first.header.endswith(f"{first.length:04x}"[:2] + " " + f"{first.length:04x}"[2:])
    assert "inside: handshake, " in first.inside
    assert first.inside.endswith("The header does not say so.")
    assert {each.kind for each in records if each.inside == "In the clear."} == {"handshake (22)"}


def test_change_cipher_spec_says_nothing_in_tls13(plain: Recorded) -> None:
    both = [each for each in listed(plain) if each.kind == "change_cipher_spec (20)"]
    assert {each.sender for each in both} == {"client", "server"}
    assert all(each.length == 1 and "it says nothing" in each.inside for each in both)


def test_change_cipher_spec_means_something_in_tls12(classic: Recorded) -> None:
    records = listed(classic)
    both = [each for each in records if each.kind == "change_cipher_spec (20)"]
    assert {each.inside for each in both} == {"From the next record on, this side encrypts."}
    protected = [each for each in records if each.inside.startswith("Encrypted")]
    assert protected[0].kind == "handshake (22)"
    assert "The header does" not in protected[0].inside


def test_a_record_that_was_not_opened_and_one_of_no_type(plain: Recorded) -> None:
    event = next(e for e in plain.client.events if isinstance(e, RecordSeen))
    facts = facts_of(plain.client.events)
    closed = replace(event, epoch="application", content_size=None, content_type=23)
    strange = replace(event, content_type=99)
    found = records_of([closed, strange], facts)
    assert [each.inside for each in found] == ["Encrypted, and not opened.", "In the clear."]
    assert found[1].kind == "an unknown type (99)"


def test_of_very_many_the_first_are_listed_and_the_others_counted(plain: Recorded) -> None:
    event = next(e for e in plain.client.events if isinstance(e, RecordSeen))
    events = [*plain.client.events, *[event] * MOST_RECORDS]
    assert len(records_of(events, facts_of(events))) == MOST_RECORDS
    more = count_records(events) - MOST_RECORDS
    assert f"... and {more} records more." in page_of(events, "localhost")
