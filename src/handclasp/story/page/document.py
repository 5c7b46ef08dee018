"""The content of the page: the result, then all messages, then the seven steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from handclasp.story.diagnosis import Diagnosis, diagnose
from handclasp.story.facts import (
    NOTHING_SENT,
    Facts,
    facts_of,
    nothing_sent,
    observed_in,
    secret_in_words,
)
from handclasp.story.flights import silent_in_words
from handclasp.story.page import steps
from handclasp.story.page.conversation import anchors_of, flights_of, left_out_of
from handclasp.story.page.costs import costs_of
from handclasp.story.page.failure import failure_of
from handclasp.story.page.first_record import first_records_of
from handclasp.story.page.keys import schedule_of
from handclasp.story.page.records import count_records, records_of
from handclasp.story.page.rendering import Renderer
from handclasp.story.page.said import said_of
from handclasp.story.page.steps import Describe, Rows
from handclasp.story.page.timeline import timeline_of
from handclasp.trace.events import Began, TraceEvent


def page_of(
    events: Sequence[TraceEvent],
    title: str,
    describe: Describe | None = None,
    *,
    explanation: Mapping[str, Any] | None = None,
    earlier: Sequence[TraceEvent] | None = None,
) -> str:
    """Return the page.

    Args:
        events: the recorded events.
        title: the title, such as the host's name.
        describe: returns the description of a certificate in DER; without it, only sizes are shown.
            See `handclasp.certificates.describe_certificate`.
        explanation: every rule of the decision on the peer's certificates, in the form that
            `handclasp.certificates.Explanation.to_json` gives; without it, only the result is
            shown.
        earlier: the events of another connection between the same two, to compare the secrets.

    Raises:
        ConfigurationError: jinja2 is not installed.
    """
    contents = contents_of(events, title, describe, explanation=explanation, earlier=earlier)
    return Renderer().render("page.html", contents)


def contents_of(
    events: Sequence[TraceEvent],
    title: str,
    describe: Describe | None = None,
    *,
    explanation: Mapping[str, Any] | None = None,
    earlier: Sequence[TraceEvent] | None = None,
    diagnosis: Diagnosis | None = None,
    notes: Sequence[str] = (),
) -> dict[str, object]:
    """Return the values for page.html, or for a template that extends it.

    Args:
        events, title, describe, explanation, earlier: as for `page_of`.
        diagnosis: the failure, where more is known about it than the events show.
        notes: sentences about the connection that belong beside its outcome.
    """
    facts, observed = facts_of(events), observed_in(events)
    failed = diagnosis if diagnosis is not None else diagnose(events)
    return {
        "title": title,
        "role": facts.role,
        # A capture shows the bytes on the wire, not the decisions of either side.
        "was_there": observed is None and any(isinstance(event, Began) for event in events),
        "observed": observed,
        "nothing_sent": NOTHING_SENT if nothing_sent(events) else "",
        "failure": failure_of(failed, anchors_of(events, facts)) if failed is not None else None,
        "notes": notes,
        "agreed": _agreement(events, facts),
        "flights": flights_of(events, facts),
        "left_out": left_out_of(events, facts),
        "records": records_of(events, facts),
        "record_count": count_records(events),
        "hello_choices": steps.choices_of(events, steps.HELLO_CHOICES),
        "suites_offered": facts.cipher_suites,
        "chains": steps.chains_of(events, facts, describe),
        "facts": facts,
        "said": said_of(facts),
        "identity_choices": steps.choices_of(events, steps.IDENTITY_CHOICES),
        "trust": steps.trust_of(events, facts, describe),
        "explanation": steps.explanation_of(explanation) if explanation is not None else None,
        "client_went_on": steps.client_went_on(events, facts),
        "blank_certificates": steps.blank_certificates_of(events),
        "not_there": steps.not_there_of(events),
        "halves": steps.halves_of(facts),
        "secret_choices": steps.choices_of(events, steps.SECRET_CHOICES),
        "schedule": schedule_of(events, facts.version, facts.key_exchange, has_psk=facts.has_psk),
        "digests": steps.digests_of(events, facts),
        "keys": steps.keys_of(events),
        "traffic": steps.traffic_of(events),
        "timeline": timeline_of(events),
        "costs": costs_of(events),
        "first_records": first_records_of(events, facts.role, facts.version),
        "one_time": steps.one_time_of(events, earlier, facts),
        "compared": earlier is not None,
        "coming_back": steps.coming_back_of(events, facts),
    }


def _signature(facts: Facts) -> str:
    """Return the scheme, and the handshake in which the server signed, if it did."""
    info = facts.info
    if info is None or info.signature_scheme is None:
        return "none"
    # For an earlier session, the server signed in the earlier handshake.
    return info.signature_scheme + (" (in the earlier handshake)" if info.resumed else "")


def _agreement(events: Sequence[TraceEvent], facts: Facts) -> Rows:
    """Return the negotiated parameters; empty if the handshake was not completed."""
    info = facts.info
    if info is None:
        return ()
    trips = {1: "one round trip", 2: "two round trips"}.get(
        facts.round_trips, f"{facts.round_trips} round trips"
    )
    took = f"{facts.handshake_ns / 1e6:.1f} ms, {trips}" if facts.handshake_ns is not None else ""
    rows = (
        ("version", info.version),
        ("cipher suite", info.cipher_suite),
        ("key exchange", secret_in_words(facts.key_exchange, info)),
        ("signature", _signature(facts)),
        ("application protocol", info.alpn or "none"),
        ("server name", info.server_name or "none"),
        ("resumed", "yes, an earlier session" if info.resumed else "no"),
        ("hellos", "two: the server asked for a second one" if info.hello_retry else "one"),
        ("early data", info.early_data_status if info.early_data_status != "none" else ""),
        ("took", took),
        (
            "on the wire",
            f"{facts.handshake_sent:,} bytes sent, {facts.handshake_received:,} received",
        ),
        ("not drawn of it", silent_in_words(events, facts)),
    )
    return tuple(row for row in rows if row[1])
