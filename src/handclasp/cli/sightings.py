"""The report on a connection that `watch` has seen: lines for people, and values for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from handclasp.advice import for_reader, with_condition
from handclasp.cli.departures import (
    departure_note,
    left_without_data,
    suspicion_json,
    suspicion_lines,
)
from handclasp.cli.identity import dates_of, issuer_of, key_of, names_of, printable, subject_of
from handclasp.cli.report import Line, diagnosis_lines
from handclasp.cli.sighted_facts import (
    certificate_json,
    encryption_lines,
    hello_names_json,
    negotiated_json,
    negotiated_lines,
    verdict,
    verdict_json,
)
from handclasp.cli.sighted_failures import (
    diagnosis_of_client,
    diagnosis_of_own,
    failure_json,
    own_failure,
    unreached_json,
)
from handclasp.faults import Blame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cryptography import x509

    from handclasp import TrustStore
    from handclasp.capture.watching import Sighting
    from handclasp.certificates import Explanation
    from handclasp.certificates.doctor import MendedChain
    from handclasp.story.diagnosis import Diagnosis
    from handclasp.trace.events import TraceEvent


class Report:
    """The facts about one connection, read once.

    Attributes:
        sighting: what was seen.
        title: the number of the connection, and the server.
        half: which half it is of a connection that is intercepted, in words; else empty.

    Args:
        trust: what verifies the servers.
        authority: the file of the authority that intercepts, if one does.
    """

    def __init__(
        self, sighting: Sighting, trust: TrustStore, authority: Path | None = None
    ) -> None:
        self.sighting = sighting
        relayed = sighting.relayed
        # The certificate of one's own is no news.
        self._trust = trust if relayed.leg != "client" else None
        self._authority = authority
        self.half = _HALVES[relayed.leg]
        target = f"{relayed.target}" if relayed.target is not None else "no server"
        name = sighting.observation.server_name if sighting.observation is not None else None
        named = f" (asked for {printable(name)})" if name and name not in target else ""
        half = f", INTERCEPTED, {self.half}" if self.half else ""
        self.title = f"Connection {relayed.number}{half}: {relayed.ends[0]} to {target}{named}"

    @property
    def events(self) -> Sequence[TraceEvent]:
        """The events of the observation; none without TLS."""
        found = self.sighting.observation
        return found.events if found is not None else ()

    def lines(self) -> list[Line]:
        """Return a line for each fact."""
        from handclasp.story.facts import facts_of

        if self.sighting.observation is None:
            return [("no TLS", self.sighting.instead), *self._unreached_lines()]
        lines = [*negotiated_lines(facts_of(self.events)), *encryption_lines(self.events)]
        lines += self._certificate_lines()
        lines.append(("outcome", self._outcome()[1]))
        lines += [("note", sentence) for sentence in self.notes]
        lines += suspicion_lines(self._refused_here)
        if (diagnosis := self.diagnosis) is not None:
            lines.append(("failure", diagnosis.told(diagnosis.cause)))
            lines += diagnosis_lines(diagnosis)
        lines += [("hidden", sentence) for sentence in self.sighting.observation.missing]
        lines += [("chain", sentence) for sentence in self.chain_findings]
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the same for programs."""
        from handclasp.story.facts import encrypted_hello_in, facts_of
        from handclasp.story.fingerprints import all_fingerprints_of

        relayed = self.sighting.relayed
        values: dict[str, Any] = {
            "connection": relayed.number,
            "began_at_ns": relayed.began_ns,
            "client": str(relayed.ends[0]),
            "server": str(relayed.ends[1]) if relayed.ends[1].port else None,
            "target": str(relayed.target) if relayed.target is not None else None,
            "bytes": {"client": relayed.relayed_bytes[0], "server": relayed.relayed_bytes[1]},
            "intercepted": relayed.leg or None,
            "tls": self.sighting.observation is not None,
            "instead": self.sighting.instead or None,
        }
        if self.sighting.observation is None:
            return {**values, "failure": unreached_json(self.sighting.relayed.refusal)}
        outcome, telling = self._outcome()
        return {
            **values,
            "server_name": self.sighting.observation.server_name,
            **negotiated_json(facts_of(self.events)),
            "ech": encrypted_hello_in(self.events),
            "names_in_hello": hello_names_json(self.events),
            "peer": certificate_json(self._chain),
            "trusted_here": verdict_json(self.explanation),
            "outcome": outcome,
            "telling": telling,
            "notes": self.notes,
            "suspicion": suspicion_json(self._refused_here),
            "failure": failure_json(self.diagnosis),
            "chain": self.chain_findings,
            "hidden": list(self.sighting.observation.missing),
            "ja4": [ja4.value for _, ja4 in all_fingerprints_of(self.events)],
        }

    def _unreached_lines(self) -> Iterator[Line]:
        failure = unreached_json(self.sighting.relayed.refusal)
        if failure is None:
            return
        who = failure["blame"] if failure["blame"] == "unclear" else f"the {failure['blame']}"
        yield "at fault", with_condition(who, failure["condition"])
        if failure["fix"] not in self.sighting.instead:
            yield "to change", failure["fix"]

    def page_contents(self, title: str) -> dict[str, object]:
        """Return the same for a page (`story.page.contents_of`)."""
        from handclasp.certificates import describe_certificate
        from handclasp.story.page import contents_of

        explanation = self.explanation
        return contents_of(
            self.events,
            title,
            describe_certificate,
            explanation=explanation.to_json() if explanation is not None else None,
            diagnosis=self.diagnosis,
            notes=[*self.notes, *self.chain_findings],
        )

    @cached_property
    def explanation(self) -> Explanation | None:
        """Whether this library would trust the server; None if its chain was not seen.

        The program has decided by itself, perhaps by other authorities.
        """
        from handclasp.certificates import explain
        from handclasp.errors import CertificateError, ConfigurationError

        name = self._asked_name
        if not self._chain or self._trust is None or not name:
            return None
        try:
            return explain(self._chain, name, self._trust, datetime.now(UTC))
        except (CertificateError, ConfigurationError):
            return None  # A certificate or the name cannot be read at all.

    @cached_property
    def notes(self) -> list[str]:
        """Whether the relay ended the connection, or else what is remarkable about a handshake
        that both ends have completed.
        """
        sighting = self.sighting
        if sighting.relayed.cut:
            return [sighting.relayed.cut]
        notes = self._notes_of_end()
        found = self.diagnosis
        if found is None or found.role == "client" or found.fault not in _TELLS_VERSION:
            from handclasp.story.diagnosis import obsolete_version

            notes = [*filter(None, [obsolete_version(self.events)]), *notes]
        return notes

    def _notes_of_end(self) -> list[str]:
        if self.sighting.relayed.leg:
            return self._notes_of_half()
        if not left_without_data(self.sighting):
            return []
        return [departure_note(self.events, self._refused_here)]

    @property
    def _refused_here(self) -> Explanation | None:
        """The verdict of this library on a server whose certificate the client may have refused."""
        explanation = self.explanation
        if explanation is None or explanation.accepted or self.sighting.relayed.leg:
            return None
        return explanation if explanation.broken and left_without_data(self.sighting) else None

    def _notes_of_half(self) -> list[str]:
        from handclasp.story.facts import facts_of

        if self.sighting.relayed.leg == "client":
            return []
        if facts_of(self.events).client_certificate == "not asked":
            return []
        return [
            "The server asks for a client certificate. That of the program cannot be passed on, as "
            "its key is the program's: none was sent. Without --intercept, it is."
        ]

    @cached_property
    def chain_findings(self) -> list[str]:
        """The flaws of the server's chain, if the client refused it, or this library does."""
        from handclasp.cli.chains import findings_of

        if self.sighting.relayed.leg == "client":
            return []
        explanation, mended = self.explanation, self._mended
        is_refused = explanation is not None and not explanation.accepted
        by_client = self.sighting.has_failed and not self._is_accepted_by_client
        if mended is None or not (is_refused or by_client):
            return []
        if self._is_accepted_by_client and mended.missing is not None and not mended.missing.urls:
            # The issuer is one that the client has: a root that is not known here, most likely.
            mended = replace(mended, missing=None)
        return [for_reader(sentence, "server") for sentence in findings_of(mended)]

    @property
    def _is_accepted_by_client(self) -> bool:
        """Whether the client went on with the server's certificate, or the server ended it."""
        if self.sighting.has_failed:
            found = self.diagnosis
            return found is not None and found.role == "client" and found.found_by == "peer"
        return self.sighting.outcome == "complete" and self.sighting.client_has_sent_data

    @property
    def _mended(self) -> MendedChain | None:
        from handclasp.certificates.doctor import mend

        chain = self._chain
        return mend(chain, self._trust) if chain else None

    @property
    def _asked_name(self) -> str:
        found, target = self.sighting.observation, self.sighting.relayed.target
        name = found.server_name if found is not None else None
        return name or (target.host if target is not None else "")

    @property
    def _chain(self) -> list[x509.Certificate]:
        from handclasp.certificates.reading import certificate_of
        from handclasp.story.facts import server_chain_of

        try:
            return [certificate_of(der) for der in server_chain_of(self.events)]
        except ValueError:
            return []  # A raw public key, or a certificate that cannot be read.

    def _certificate_lines(self) -> Iterator[Line]:
        chain = self._chain
        if not chain:
            return
        yield "certificate", f"{subject_of(chain[0])} ({key_of(chain[0])})"
        yield "for", names_of(chain[0])
        yield "valid", dates_of(chain[0], datetime.now(UTC))
        yield from (("issued by", issuer_of(certificate)) for certificate in chain)
        explanation = self.explanation
        if explanation is not None:
            yield "trusted here", verdict(explanation)

    def _outcome(self) -> tuple[str, str]:
        from handclasp.story.facts import observed_in

        found = observed_in(self.events)
        return (found.outcome, found.telling) if found is not None else ("unknown", "")

    @cached_property
    def diagnosis(self) -> Diagnosis | None:
        """The cause of a failure, and the end at fault: the same in every form of the report."""
        from handclasp.story.diagnosis import diagnose

        found = diagnose(self.events)
        if found is not None and self.sighting.relayed.leg == "client":
            return diagnosis_of_client(found, self.sighting.relayed.blocked, self._authority)
        if found is not None and (own := own_failure(self.sighting.relayed)) is not None:
            return diagnosis_of_own(found, own)
        if found is None or found.fault != "PEER_UNKNOWN_CA" or found.role != "server":
            return found
        # The alert leaves open which end lacks the issuer: one chain is known to be whole.
        explanation = self.explanation
        if explanation is not None and explanation.accepted:
            why = "which does not know the authority: by those that are trusted here, the chain is"
            return replace(found, blame=Blame.PEER, condition=f"{why} complete and valid")
        return found


_HALVES = {"": "", "client": "the client and handclasp", "server": "handclasp and the server"}
_TELLS_VERSION = ("PEER_INTERNAL_ERROR", "PEER_INSUFFICIENT_SECURITY", "PEER_PROTOCOL_VERSION")
"""The alerts of clients whose likeliest cause is an obsolete version, which the failure tells."""
