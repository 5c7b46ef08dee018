"""The seven steps of a handshake, each with the values of the recorded one.

Everything here is plain values: the templates `steps.html` and `step_*.html` place them on the
page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from handclasp.advice import for_reader, worded
from handclasp.iana import ContentType
from handclasp.iana import HandshakeType as Type
from handclasp.story.facts import Facts, inner_hello_counts, observed_in, role_of, sender_of
from handclasp.story.flights import is_closed
from handclasp.story.recorded import BLANK, blank_size, certificates_of, message_of
from handclasp.story.situation import situation_of
from handclasp.trace.events import (
    Began,
    DecisionTaken,
    Failed,
    InnerHello,
    KeysInstalled,
    MessageSeen,
    RecordSeen,
    SecretDerived,
    TraceEvent,
)
from handclasp.values import dataclass
from handclasp.wire import messages, messages12
from handclasp.wire.raw_keys import is_raw_public_key

Describe: TypeAlias = Callable[[bytes], Mapping[str, object] | None]
"""A function that describes a certificate, such as `certificates.describe_certificate`, or None."""

Rows: TypeAlias = tuple[tuple[str, str], ...]
"""Labels, and their values."""


# 1: hello


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer. `mark` is "yes" (chosen), "may" (acceptable) or "no"."""

    name: str
    mark: str
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision: the choice, its rule, and the result of each offer."""

    title: str
    chosen: str
    why: str
    offers: tuple[Offer, ...]


_CHOICES = {
    "version": "Version",
    "cipher_suite": "Cipher suite",
    "alpn": "Application protocol (ALPN)",
    "group": "Group of the key exchange",
    "signature_scheme": "Signature scheme",
    "credentials": "Certificate to show",
    "resumption": "Resumption",
    "early_data": "Early data",
    "ech": "Encrypted Client Hello",
}

HELLO_CHOICES = ("version", "cipher_suite", "alpn", "resumption", "early_data", "ech")
IDENTITY_CHOICES = ("credentials", "signature_scheme")
SECRET_CHOICES = ("group",)

_WHY = {
    "yes": "offered, and chosen",
    "may": "offered, and acceptable, but another one came first",
    "no": "offered, but not acceptable to the side that chose",
}


def choices_of(events: Sequence[TraceEvent], wanted: Sequence[str]) -> tuple[Choice, ...]:
    """Return the decisions about these subjects, in the order in which they were taken."""
    return tuple(
        _choice(event)
        for event in events
        if isinstance(event, DecisionTaken)
        and event.what in wanted
        and (event.offered or event.chosen)
    )


def _choice(decision: DecisionTaken) -> Choice:
    reasons = {each.name: each.why for each in decision.refused}
    acceptable = frozenset(decision.acceptable)
    offers: list[Offer] = []
    for name in decision.offered:
        mark = _mark(name, decision.chosen, acceptable)
        offers.append(Offer(name, mark, reasons.get(name) or _WHY[mark]))
    title = _CHOICES.get(decision.what, decision.what)
    if decision.what == "early_data":  # There is one offer, which is accepted or not.
        chosen = "not accepted" if decision.chosen is None else "accepted"
        return Choice(title, chosen, decision.why, ())
    return Choice(title, decision.chosen or "none", decision.why, tuple(offers))


def _mark(offer: str, chosen: str | None, acceptable: frozenset[str]) -> str:
    if offer == chosen:
        return "yes"
    return "may" if offer in acceptable else "no"


# 2: certificate, public key and identity


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate in words; without a description, only its size is known."""

    name: str
    rows: Rows


@dataclass(frozen=True, slots=True)
class Chain:
    """The certificates that one side sent, or its raw public key."""

    sender: str
    certificates: tuple[Certificate, ...]
    is_raw_key: bool = False


_IN_WORDS = (
    ("subject", "for"),
    ("names", "names"),
    ("issuer", "issued by"),
    ("not_before", "valid from"),
    ("not_after", "valid until"),
    ("key_type", "public key"),
    ("key_size", "bits of the key"),
    ("signature_algorithm", "signed in"),
    ("is_authority", "may issue others"),
    ("key_usage", "the key may do"),
    ("extended_key_usage", "purposes"),
    ("serial", "serial number"),
    ("fingerprint_sha256", "fingerprint"),
)


def chains_of(
    events: Sequence[TraceEvent], facts: Facts, describe: Describe | None
) -> tuple[Chain, ...]:
    """Return the chain of each side."""
    return tuple(
        Chain(
            sender_of(event, facts.role),
            tuple(_certificate(number, der, describe) for number, der in enumerate(chain, 1)),
            is_raw_public_key(chain[0]),
        )
        for event in events
        if isinstance(event, MessageSeen) and (chain := certificates_of(message_of(event)))
    )


def blank_certificates_of(events: Sequence[TraceEvent]) -> str:
    """Return what is said of certificates that are blank and compressed; empty without any."""
    for event in events:
        if isinstance(event, MessageSeen) and (size := blank_size(message_of(event))):
            return f"The certificates are {size:,} {BLANK}."
    return ""


def _certificate(number: int, der: bytes, describe: Describe | None) -> Certificate:
    size = ("size", f"{len(der):,} bytes of DER" if any(der) else f"{len(der):,} {BLANK}")
    if is_raw_public_key(der):
        return Certificate("A raw public key, without a certificate (RFC 7250)", (size,))
    described = describe(der) if describe is not None else None
    if described is None:
        return Certificate(f"Certificate {number}", (size,))
    rows = [
        (label, _in_words(described[key]))
        for key, label in _IN_WORDS
        if described.get(key) not in (None, [], "")
    ]
    name = _in_words(described.get("subject")) or f"Certificate {number}"
    return Certificate(name, (*rows, size))


def _in_words(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        case _:
            return str(value)


# 3: the decision to trust


def trust_of(events: Sequence[TraceEvent], facts: Facts, describe: Describe | None) -> Rows:
    """Return this side's verdict on the other's certificates."""
    rows: list[tuple[str, str]] = []
    other = "client" if facts.role == "server" else "server"
    info = facts.info
    # A capture does not show the verdict of either side.
    was_there = observed_in(events) is None and any(isinstance(event, Began) for event in events)
    if was_there and info is not None and (info.peer_chain_der or info.peer_verified):
        verdict = "checked, and trusted" if info.peer_verified else "not checked"
        is_key = info.peer_certificate_type != "X509"
        when = ", of the earlier handshake" if info.resumed else ""
        rows.append((f"the {other}'s {'key' if is_key else 'certificate'}{when}", verdict))
        rows += [
            ("path" if number == 0 else "issued by", _subject(der, describe))
            for number, der in enumerate(info.verified_chain_der)
        ]
    if facts.verify_ns is not None:
        rows.append(("verification took", f"{facts.verify_ns / 1e6:.2f} ms"))
    failed = next((event for event in events if isinstance(event, Failed)), None)
    is_verdict = failed is not None and (
        failed.origin == "local" or situation_of(events).certificate == "shown"
    )
    if (
        failed is not None
        and is_verdict
        and "CERTIFICATE" in failed.fault
        and failed.fault not in _NO_VERDICT
    ):
        whose = "verdict" if failed.origin == "local" else f"the {other}'s verdict"
        rows.append((whose, f"not trusted: {for_reader(failed.message, role_of(events))}"))
    return tuple(rows)


_NO_VERDICT = ("NO_SHARED_CERTIFICATE_TYPE", "BAD_CERTIFICATE_REQUEST_CONTEXT")
"""Faults with certificates in their names that are not about the content of one."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The rules that were checked for one certificate, or for one and its issuer."""

    about: str
    rules: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Path:
    """One path that was tried."""

    certificates: tuple[str, ...]
    reaches_anchor: bool
    judged: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """An `Explanation`, read from its JSON form."""

    accepted: bool
    reasons: tuple[str, ...]
    fix: str
    leaf: tuple[Judged, ...]
    paths: tuple[Path, ...]
    policy: tuple[Judged, ...]


def explanation_of(given: Mapping[str, Any]) -> Judgement:
    """Return the findings of `Explanation.to_json`, grouped by certificate."""
    return Judgement(
        accepted=given["accepted"],
        reasons=tuple(given["reasons"]),
        fix=worded(given["fix"], "reader"),
        leaf=_judged(given["leaf"]),
        paths=tuple(
            Path(tuple(path["certificates"]), path["reaches_anchor"], _judged(path["rules"]))
            for path in given["paths"]
        ),
        policy=_judged(given["policy"]),
    )


def _judged(rules: Sequence[Mapping[str, Any]]) -> tuple[Judged, ...]:
    return tuple(
        Judged(about, tuple(some)) for about, some in groupby(rules, key=itemgetter("about"))
    )


def _subject(der: bytes, describe: Describe | None) -> str:
    if is_raw_public_key(der):
        return f"a public key of {len(der):,} bytes"
    described = describe(der) if describe is not None else None
    subject = described.get("subject") if described is not None else None
    return str(subject) if subject else f"a certificate of {len(der):,} bytes"


def client_went_on(events: Sequence[TraceEvent], facts: Facts) -> bool:
    """Return whether the client is seen to go on after the server's certificate, for reasons that
    the trace does not hold.
    """
    observed = observed_in(events)
    if facts.role == "client" and observed is None and any(isinstance(e, Began) for e in events):
        return False  # Its own record holds the decision.
    if facts.info is not None or (observed is not None and observed.outcome == "seems_complete"):
        return True
    return any(
        isinstance(event, MessageSeen) and event.message_type == Type.CLIENT_KEY_EXCHANGE
        for event in events
    )


def not_there_of(events: Sequence[TraceEvent]) -> str:
    """Return the reason why a step has no values, in a sentence."""
    observed = observed_in(events)
    if observed is None:
        return "The handshake did not come to this."
    if any(is_closed(event) for event in events):
        if observed.outcome in ("complete", "seems_complete"):
            return "This cannot be seen: it is encrypted, and not all of the keys are there."
        return (
            "If the handshake came to this, it cannot be seen: much of it is encrypted, and not "
            "all of the keys are there."
        )
    if observed.outcome == "failed":
        return "The handshake did not come to this."
    return "This is not in the capture."


# 4: one secret, agreed upon in public


def halves_of(facts: Facts) -> Rows:
    """Return the parts of the secret on the wire, with their directions."""
    rows = [("client to server", f"{share}, in public") for share in facts.client_shares]
    if facts.server_share is not None:
        rows.append(("server to client", f"{facts.server_share}, in public"))
    if facts.encrypted_secret_size is not None:
        rows.append(("client to server", f"{facts.encrypted_secret_size:,} bytes, encrypted"))
    if not rows:
        return ()
    if facts.encrypted_secret_size is not None:
        rows.append(("the secret itself", "travelled encrypted"))
    elif facts.server_share is not None:
        rows.append(("the secret itself", "never travels"))
    return tuple(rows)


# 5: both sides hold it


def digests_of(events: Sequence[TraceEvent], facts: Facts) -> Rows:
    """Return the verify_data of each Finished."""
    return tuple(
        (f"the {sender_of(event, facts.role)}'s", message.verify_data.hex())
        for event in events
        if isinstance(event, MessageSeen)
        and event.message_type == Type.FINISHED
        and isinstance(message := message_of(event), messages.Finished)
    )


# 6: over to symmetric cryptography


@dataclass(frozen=True, slots=True)
class Keys:
    """The point after which records of one direction are protected by the keys of an epoch."""

    direction: str
    epoch: str
    cipher_suite: str
    at_ns: int


def keys_of(events: Sequence[TraceEvent]) -> tuple[Keys, ...]:
    """Return the keys in the order of their first use."""
    began = events[0].at_ns if events else 0
    return tuple(
        Keys(event.direction, event.epoch, event.cipher_suite, event.at_ns - began)
        for event in events
        if isinstance(event, KeysInstalled)
    )


def traffic_of(events: Sequence[TraceEvent]) -> str:
    """Return a sentence about the application data in this trace; empty if there were none."""
    sealed = [
        event
        for event in events
        if isinstance(event, RecordSeen)
        and event.epoch == "application"
        and event.content_type == ContentType.APPLICATION_DATA
    ]
    if not sealed:
        return ""
    count, size = len(sealed), sum(event.size for event in sealed)
    plural = "record" if count == 1 else "records"
    return f"This trace saw {count:,} {plural} of application data, {size:,} bytes on the wire."


# 7: used for one connection only


@dataclass(frozen=True, slots=True)
class OneTime:
    """A value of this connection beside that of the earlier one, in shortened hexadecimal."""

    label: str
    now: str
    before: str | None
    differs: bool


def one_time_of(
    events: Sequence[TraceEvent],
    earlier: Sequence[TraceEvent] | None,
    facts: Facts | None = None,
) -> tuple[OneTime, ...]:
    """Return the values that are fresh in each connection, beside those of an earlier one."""
    before = dict(_fresh(earlier)) if earlier is not None else {}
    # A session that TLS 1.2 resumes has the same master secret again.
    resumed12 = facts is not None and facts.key_exchange == "session"
    kept = "CLIENT_RANDOM" if resumed12 else ""
    return tuple(
        OneTime(
            label,
            shortened(value),
            shortened(before[label]) if label in before else None,
            before.get(label) != value,
        )
        for label, value in dict(_fresh(events)).items()
        if label != kept
    )


def _fresh(events: Sequence[TraceEvent]) -> Iterator[tuple[str, bytes]]:
    # That of a hello which was encrypted is no part of the keys if the server took the outer one.
    counts = InnerHello if inner_hello_counts(events) else MessageSeen
    for event in events:
        seen = event.message if isinstance(event, InnerHello) else event
        message = message_of(seen) if isinstance(seen, MessageSeen) else None
        match message:
            case messages.ClientHello():
                if isinstance(event, counts):
                    yield "the client's random", message.random
            case messages.ServerHello() if not message.is_hello_retry_request:
                yield "the server's random", message.random
            case messages12.ServerKeyExchange():
                yield "the server's public half", message.point
            case _:
                pass
        if isinstance(event, SecretDerived):
            yield event.label, event.value


def shortened(value: bytes, most: int = 24) -> str:
    """Return bytes in hexadecimal, cut after so many."""
    return value[:most].hex() + ("…" if len(value) > most else "")


_CAME_WITH = {
    "ticket": "a ticket",
    "session id": "the ID of its session",
    "external key": "a key from elsewhere",
    "key": "an earlier key",
}


def coming_back_of(events: Sequence[TraceEvent], facts: Facts) -> Rows:
    """Return the tickets, the fresh keys, and whether the client resumed a session."""
    rows: list[tuple[str, str]] = []
    seen = [event.message_type for event in events if isinstance(event, MessageSeen)]
    tickets, updates = seen.count(Type.NEW_SESSION_TICKET), seen.count(Type.KEY_UPDATE)
    if tickets:
        plural = "ticket" if tickets == 1 else "tickets"
        rows.append(("for later sessions", f"{tickets} {plural}: new keys without a new signature"))
    if updates:
        rows.append(("key updates", f"{updates} times"))
    if facts.earlier_key is not None:
        came = f"the client came with {_CAME_WITH[facts.earlier_key]}, and still got new keys"
        rows.append(("this time", came))
    return tuple(rows)
