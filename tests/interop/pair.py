"""Runs one conversation between two peers through the tap, and judges what all three saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .peers.base import Peer, PeerError, Report
from .scenarios import Scenario
from .tap import Seen, tapping


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the ends and the wire saw of one conversation."""

    server: Report
    client: Report
    wire: Seen


class Disagreement(AssertionError):
    """The conversation took place, but not as it had to."""


def converse(server: Peer, client: Peer, scenario: Scenario, workdir: Path) -> Outcome:
    """Raises PeerError or what the local library raised where there was no conversation, and
    Disagreement where it went otherwise than the scenario demands."""
    server_dir, client_dir = workdir / "server", workdir / "client"
    server_dir.mkdir()
    client_dir.mkdir()
    with (
        server.start_server(scenario.server, server_dir) as running,
        tapping(running.port) as tap,
    ):
        try:
            client_report = client.run_client(tap.port, scenario.client, client_dir)
        except Exception as error:
            raise PeerError(_both_sides(error, running.explain())) from error
        server_report = running.report()
        seen = tap.seen()
    outcome = Outcome(server_report, client_report, seen)
    judge(scenario, outcome)
    return outcome


def judge(scenario: Scenario, outcome: Outcome) -> None:
    """Every demand of the scenario against everyone who can tell."""
    wire = outcome.wire
    ends = (("server", outcome.server), ("client", outcome.client))
    _equal("ClientHellos beyond the HelloRetryRequests", wire.client_hellos, wire.hello_retries + 1)
    _equal("version on the wire", wire.version, scenario.version)
    if scenario.hello_retry:
        _equal("HelloRetryRequests on the wire", wire.hello_retries, 1)
    for wanted, found, what in (
        (scenario.suite, wire.suite, "suite"),
        (scenario.group, wire.group, "group"),
    ):
        if wanted is not None:
            _equal(f"{what} on the wire", found, wanted)
    for name, report in ends:
        rounds = scenario.client.rounds * scenario.client.connections
        _equal(f"what the {name} received", report.received, [scenario.digest] * rounds)
        _judge_negotiated(name, report, wire)
        _judge_alpn(scenario, name, report)
        scheme = report.signature_scheme
        if scenario.signature and scheme and not scheme.startswith(scenario.signature):
            _equal(f"{name}'s signature scheme", scheme, scenario.signature)
    _judge_identities(scenario, outcome)
    _judge_certificates(scenario, outcome)
    _judge_key_updates(scenario, outcome)
    if scenario.resumes:
        for name, report in ends:
            if report.resumed is not None or name == scenario.local_role:
                _equal(f"whether the {name} resumed", report.resumed, True)
    if scenario.encrypts:
        for name, report in ends:
            if report.ech is not None or name == scenario.local_role:
                _equal(f"whether the {name} took the encrypted hello", report.ech, True)
    if scenario.exports:
        _equal("length of the export", len(bytes.fromhex(outcome.client.exporter or "")), 48)
        _equal("exported keying material", outcome.client.exporter, outcome.server.exporter)


def _judge_negotiated(name: str, report: Report, wire: Seen) -> None:
    for told, found, what in (
        (report.version, wire.version, "version"),
        (report.suite, wire.suite, "suite"),
        (report.group, wire.group, "group"),
    ):
        if told is not None:
            _equal(f"{what} that the {name} reports", told, found)
    if report.hello_retry is not None:
        _equal(f"hello_retry that the {name} reports", report.hello_retry, wire.hello_retries == 1)


def _judge_alpn(scenario: Scenario, name: str, report: Report) -> None:
    if scenario.alpn is not None:
        if report.alpn is not None or name == scenario.local_role:
            _equal(f"ALPN that the {name} reports", report.alpn, scenario.alpn)
    elif scenario.client.style == "raw":
        _equal(f"ALPN that the {name} reports", report.alpn, None)


def _judge_identities(scenario: Scenario, outcome: Outcome) -> None:
    if outcome.client.peer_subject is not None or scenario.local_role == "client":
        _equal("server's name", outcome.client.peer_subject, scenario.server_subject)
    # Every server here can tell, and one that did not ask would otherwise go unnoticed.
    _equal("client's name", outcome.server.peer_subject, scenario.client_subject)


def _judge_certificates(scenario: Scenario, outcome: Outcome) -> None:
    """What came along with certificates, or in their place; both ends' words count."""
    client, server = outcome.client, outcome.server
    for what, found, wanted in (
        ("OCSP response that the client saw", client.staple, scenario.staple),
        ("server's raw key", client.peer_key, scenario.server_key),
        ("client's raw key", server.peer_key, scenario.client_key),
    ):
        if wanted is not None:
            _equal(what, found, wanted)
    if scenario.compressed:
        _equal("whether the server's certificate came compressed", client.compressed, True)


def _judge_key_updates(scenario: Scenario, outcome: Outcome) -> None:
    if scenario.key_updates_by is None:
        return
    server_sends = scenario.key_updates_by == "server"
    sender, receiver = (
        (outcome.server, outcome.client) if server_sends else (outcome.client, outcome.server)
    )
    if sender.key_updates_sent is None and receiver.key_updates_received is None:
        raise Disagreement("neither end can tell that a KeyUpdate went over the wire")
    for what, count in (
        ("KeyUpdates sent", sender.key_updates_sent),
        ("KeyUpdates received", receiver.key_updates_received),
    ):
        if count is not None and count < 1:
            raise Disagreement(f"{what}: {count}")


def _equal(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Disagreement(f"{what}: {found!r}, but it had to be {wanted!r}")


def _both_sides(client_error: Exception, server_words: str) -> str:
    words = f"client: {type(client_error).__name__}: {client_error}"
    return f"{words} || server: {server_words}" if server_words else words
