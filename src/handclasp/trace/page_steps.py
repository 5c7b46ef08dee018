"""The seven steps of a handshake on the page, each with the real values of the one recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from handclasp.trace.events import (
    DecisionTaken,
    Failed,
    KeysInstalled,
    MessageSeen,
    QuestionAnswered,
    RecordSeen,
    SecretDerived,
    TraceEvent,
)
from handclasp.trace.facts import Facts, certificates_of, message_of, sender_of
from handclasp.trace.markup import Content, Markup, markup, tag
from handclasp.trace.page_drawings import STAGES12, STAGES13, Branch, schedule, timeline
from handclasp.wire import messages
from handclasp.wire.iana import HandshakeType as Type

Describe: TypeAlias = Callable[[bytes], Mapping[str, object] | None]
"""What to say of a certificate, given as DER, as `certificates.describe` does; None: nothing."""


class _Told(NamedTuple):
    title: str
    telling: str
    content: Content


def seven_steps(
    events: Sequence[TraceEvent], facts: Facts, describe: Describe | None
) -> list[Markup]:
    """A section for each of the steps."""
    steps = (
        _hello(events, facts),
        _identity(events, facts, describe),
        _trust(events, facts, describe),
        _secret(events, facts),
        _both(events, facts),
        _symmetric(events),
        _one_time(events, facts),
    )
    return [_section(number, step) for number, step in enumerate(steps, 1)]


def table(rows: Iterable[tuple[str, str]]) -> Markup:
    """Labels and what they label."""
    return tag("dl", [tag("div", tag("dt", label), tag("dd", value)) for label, value in rows])


def _section(number: int, step: _Told) -> Markup:
    heading = tag("h2", tag("span", str(number), class_="n", aria_hidden="true"), step.title)
    content = step.content or tag("p", "The handshake did not come to this.", class_="note")
    return tag("section", heading, tag("p", step.telling), content, id=f"step-{number}")


def _hello(events: Sequence[TraceEvent], facts: Facts) -> _Told:
    wanted = ("version", "cipher_suite", "alpn", "early_data")
    return _Told(
        "Hello",
        "The client asks the server for a secure conversation. It says whom it is looking for and "
        "what it can do; the server chooses from that.",
        _decisions(events, wanted) or (table(_offered(facts)) if facts.cipher_suites else None),
    )


def _offered(facts: Facts) -> list[tuple[str, str]]:
    return [("suites offered", ", ".join(facts.cipher_suites))]


def _identity(events: Sequence[TraceEvent], facts: Facts, describe: Describe | None) -> _Told:
    shown: list[Markup] = []
    for event in events:
        if isinstance(event, MessageSeen) and (chain := certificates_of(message_of(event))):
            sender = sender_of(event, facts.role)
            plural = "" if len(chain) == 1 else "s"
            shown.append(tag("h3", f"The {sender} showed {len(chain)} certificate{plural}"))
            shown += [_certificate(number, der, describe) for number, der in enumerate(chain)]
    if not shown and facts.info is not None and facts.info.resumed:
        shown.append(
            tag("p", "None was shown this time: the two know each other from an earlier session.")
        )
    return _Told(
        "Certificate, public key and identity",
        "The server answers with its certificate: its name and its public key, signed by an "
        "authority. To show that it holds the private key too, it signs this very conversation.",
        [*shown, _decisions(events, ("signature_scheme",))] if shown else None,
    )


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
    ("extended_key_usage", "good for"),
    ("fingerprint_sha256", "fingerprint"),
)


def _certificate(number: int, der: bytes, describe: Describe | None) -> Markup:
    described = describe(der) if describe is not None else None
    if described is None:
        return tag("div", tag("h4", f"Certificate {number + 1}, {len(der):,} bytes of DER"),
                   class_="certificate")  # fmt: skip
    rows = [
        (label, _in_words(described[key]))
        for key, label in _IN_WORDS
        if described.get(key) not in (None, [], "")
    ]
    name = _in_words(described.get("subject")) or f"Certificate {number + 1}"
    return tag("div", tag("h4", name), table(rows), class_="certificate")


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


def _trust(events: Sequence[TraceEvent], facts: Facts, describe: Describe | None) -> _Told:
    rows: list[tuple[str, str]] = []
    info = facts.info
    if info is not None:
        verdict = "the certificate was checked, and held" if info.peer_verified else "not checked"
        rows.append((f"on the {_other(facts.role)}", verdict))
        rows += [
            ("path" if number == 0 else "issued by", _subject(der, describe))
            for number, der in enumerate(info.verified_chain_der)
        ]
    if facts.verify_ns is not None:
        rows.append(("judging took", f"{facts.verify_ns / 1e6:.2f} ms"))
    failed = next((event for event in events if isinstance(event, Failed)), None)
    if failed is not None and "CERTIFICATE" in failed.fault:
        rows.append(("verdict", f"not trusted: {failed.message}"))
    return _Told(
        "The decision to trust",
        "The client decides whether it believes the certificate. Is it valid today? Was it issued "
        "by an authority that the client trusts, and does the signature prove that? Is it for the "
        "name that the client asked for? One no ends the conversation.",
        table(rows) if rows else None,
    )


def _other(role: str) -> str:
    return "client" if role == "server" else "server"


def _subject(der: bytes, describe: Describe | None) -> str:
    described = describe(der) if describe is not None else None
    subject = described.get("subject") if described is not None else None
    return str(subject) if subject else f"a certificate of {len(der):,} bytes"


def _secret(events: Sequence[TraceEvent], facts: Facts) -> _Told:
    if facts.key_exchange == "transport":
        telling = (
            "The client made the secret alone, and sent it encrypted to the public key in the "
            "certificate. Whoever gets hold of the private key some day can read this "
            "conversation, if it was recorded; TLS 1.3 no longer has this."
        )
    else:
        telling = (
            "Each side sends a public half and keeps a private one. Own private half and the "
            "other's public half together give the same secret on both sides; to whoever only "
            "listens, the two public halves give nothing. The secret itself never travels."
        )
    rows = [("client to server", f"{share}, in public") for share in facts.client_shares]
    if facts.server_share is not None:
        rows.append(("server to client", f"{facts.server_share}, in public"))
    if facts.encrypted_secret_size is not None:
        rows.append(("client to server", f"{facts.encrypted_secret_size:,} bytes, encrypted"))
    content: list[Content] = [table(rows) if rows else None, _decisions(events, ("group",))]
    if facts.version is not None:
        content.append(_keys(events, facts.version))
    return _Told("One secret, agreed upon in public", telling, content if any(content) else None)


def _keys(events: Sequence[TraceEvent], version: str) -> Markup:
    """How the keys come from the secret, and their values where the trace has them."""
    stages = STAGES13 if version == "TLSv1.3" else STAGES12
    values: dict[str, bytes] = {}
    for event in events:
        if isinstance(event, SecretDerived):
            values.setdefault(event.label, event.value)
    branches = {branch.logged: branch for stage in stages for branch in stage.branches}
    rows = [_value(label, value, branches.get(label)) for label, value in values.items()]
    note = (
        tag("dl", rows)
        if rows
        else tag(
            "p",
            "The trace holds none of the secrets themselves: a recorder keeps them only where it "
            "was told to.",
            class_="note",
        )
    )
    return markup(
        tag("h3", "From that secret to the keys"),
        tag("div", schedule(stages, values.keys()), tag("div", note), class_="pair"),
    )


def _value(label: str, value: bytes, branch: Branch | None) -> Markup:
    name = branch.label if branch is not None else _OTHER_SECRETS.get(label, label)
    key = f"value-{label}"
    copy = tag("button", "copy", type="button", data_copy=key, hidden=True)
    held = tag("dd", tag("code", value.hex(), id=key), copy, class_="secret")
    return tag("div", tag("dt", name), held, id=label)


_OTHER_SECRETS = {"CLIENT_RANDOM": "master secret"}


def _both(events: Sequence[TraceEvent], facts: Facts) -> _Told:
    rows: list[tuple[str, str]] = []
    for event in events:
        if isinstance(event, MessageSeen) and event.message_type == Type.FINISHED:
            message = message_of(event)
            if isinstance(message, messages.Finished):
                rows.append((f"the {sender_of(event, facts.role)}'s", message.verify_data.hex()))
    return _Told(
        "Both sides hold it",
        "Each side sends a keyed digest of everything that was said. It comes out right only for "
        "whoever holds the same secret and has heard the same words, so now both know of each "
        "other that they do.",
        table(rows) if rows else None,
    )


def _symmetric(events: Sequence[TraceEvent]) -> _Told:
    installed = [event for event in events if isinstance(event, KeysInstalled)]
    rows = [(f"{event.direction}, {event.epoch}", f"{event.cipher_suite}") for event in installed]
    content: list[Content] = []
    if rows:
        content += [tag("h3", "Keys, in the order in which they came into use"), table(rows)]
    if any(isinstance(event, QuestionAnswered) for event in events):
        content += [
            tag("h3", "Where the time went"),
            tag("p", _TIMELINE, class_="note"),
            timeline(events),
        ]
    return _Told(
        "Over to symmetric cryptography, for its speed",
        "Public-key cryptography lets strangers agree on a secret in public, but it is slow. A "
        "symmetric cipher is fast, but needs a shared secret. So the one makes the secret, and "
        "the other does the work from here on." + _traffic(events),
        content or None,
    )


_TIMELINE = (
    "Bars are work with public keys and questions to the application, on the side that recorded. "
    "Each stroke is a record, taller the larger it is; green ones are encrypted. Dots: from here "
    "on new keys protect this direction."
)


def _traffic(events: Sequence[TraceEvent]) -> str:
    sealed = [
        event for event in events if isinstance(event, RecordSeen) and event.epoch == "application"
    ]
    if not sealed:
        return ""
    size = sum(event.size for event in sealed)
    return f" Under the last keys this trace saw {len(sealed):,} records, {size:,} bytes."


def _one_time(events: Sequence[TraceEvent], facts: Facts) -> _Told:
    rows: list[tuple[str, str]] = []
    tickets = 0
    for event in events:
        message = message_of(event) if isinstance(event, MessageSeen) else None
        if isinstance(message, messages.ClientHello):
            rows = [("the client's random", message.random.hex())]
        elif isinstance(message, messages.ServerHello) and not message.is_hello_retry_request:
            rows.append(("the server's random", message.random.hex()))
        elif isinstance(message, messages.KeyUpdate):
            rows.append(("fresh keys", "one side went over to its next keys"))
        elif isinstance(event, MessageSeen) and event.message_type == Type.NEW_SESSION_TICKET:
            tickets += 1
    if tickets:
        plural = "" if tickets == 1 else "s"
        rows.append(("to come back with", f"{tickets} ticket{plural}: new keys from old trust"))
    if facts.info is not None and facts.info.resumed:
        rows.append(("this time", "the client came back, and still got new keys"))
    return _Told(
        "Used once, then forgotten",
        "The keys are for this one conversation. Fresh random values from both sides go into them, "
        "so other clients have other keys, and the same client will have new ones the next time.",
        table(rows) if rows else None,
    )


_CHOICES = {
    "version": "Version",
    "cipher_suite": "Cipher suite",
    "alpn": "Protocol inside (ALPN)",
    "group": "Group of the key exchange",
    "signature_scheme": "Signature scheme",
    "early_data": "Early data",
}


def _decisions(events: Sequence[TraceEvent], wanted: Sequence[str]) -> Markup | None:
    taken = [each for each in events if isinstance(each, DecisionTaken) and each.what in wanted]
    shown = [_decision(each) for each in taken if each.offered or each.chosen]
    return tag("div", shown) if shown else None


def _decision(decision: DecisionTaken) -> Markup:
    chosen = decision.chosen
    head = tag("p", tag("b", _CHOICES.get(decision.what, decision.what)), ": ", chosen or "none")
    offers = [
        tag("li", each, class_=_mark(each, decision), title=_MARKS[_mark(each, decision)])
        for each in decision.offered
    ]
    return tag(
        "div",
        head,
        tag("p", f"Why: {decision.why}.", class_="why"),
        tag("ul", offers, class_="offers"),
        class_="choice",
    )


_MARKS = {
    "yes": "offered, and chosen",
    "may": "offered, and acceptable",
    "no": "offered, but not acceptable to the one who chose",
}


def _mark(offer: str, decision: DecisionTaken) -> str:
    if offer == decision.chosen:
        return "yes"
    return "may" if offer in decision.acceptable else "no"
