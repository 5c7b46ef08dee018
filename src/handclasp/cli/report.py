"""The facts about a connection: lines for people, and values for JSON.

Text out of a certificate or from a peer is chosen by that peer, so nothing unprintable of it
reaches a terminal.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING, Any, TextIO

from handclasp.advice import with_ends_named
from handclasp.cli.identity import (
    dates_of,
    issuer_of,
    key_of,
    names_of,
    printable,
    subject_of,
    trust_anchor_of,
)
from handclasp.cli.terminal import NARROWEST, beside, columns, wrapped
from handclasp.faults import fault_named

if TYPE_CHECKING:
    from rich.console import Console

    from handclasp import ConnectionInfo, TrustStore
    from handclasp.alerts import Cause
    from handclasp.cli.outcome import Failure
    from handclasp.story.diagnosis import Diagnosis
    from handclasp.story.evidence import Evidence

MOST_OF_A_MESSAGE = 1000
"""Characters of what happened: room for a few names out of certificates, each cut by itself."""

Line = tuple[str, str]
"""A label and what it labels."""


def info_to_json(info: ConnectionInfo) -> dict[str, Any]:
    """Return the fields of ConnectionInfo, with a description of the peer's certificate."""
    return {
        "version": info.version,
        "cipher_suite": info.cipher_suite,
        "group": info.group,
        "signature_scheme": info.signature_scheme,
        "client_signature_scheme": info.client_signature_scheme,
        "alpn": info.alpn,
        "server_name": info.server_name,
        "resumed": info.resumed,
        "early_data": info.early_data_status,
        "early_data_refusal": info.early_data_refusal,
        "hello_retry": info.hello_retry,
        "ech_accepted": info.ech_accepted,
        "peer": peer_to_json(info),
        "peer_chain_length": len(info.peer_chain_der),
        "local_chain_length": len(info.local_chain_der),
    }


def peer_to_json(info: ConnectionInfo) -> dict[str, Any] | None:
    """Return the peer's identity by its certificate, if any, and whether it was verified."""
    if not info.peer_chain_der:
        return None
    from handclasp.certificates.describe import describe, pin_of_info

    if info.peer_certificate_type != "X509":
        pin = pin_of_info(info.peer_chain_der[0])
        return {"raw_public_key": pin, "verified": info.peer_verified}
    described = describe(info.peer_chain[0])
    fields = ("subject", "issuer", "names", "not_before", "not_after")
    return {**{name: described[name] for name in fields}, "verified": info.peer_verified}


def connection_lines(info: ConnectionInfo) -> list[Line]:
    """Return the negotiated parameters, a line for each."""
    lines = [
        ("version", info.version),
        ("cipher suite", info.cipher_suite),
        ("group", _group(info)),
        ("signature", _signature(info)),
        ("protocol", printable(info.alpn) if info.alpn else "none agreed (ALPN)"),
        ("resumed", "yes: the server knew this client again" if info.resumed else "no"),
    ]
    if info.ech_accepted:
        lines.append(("hello", "encrypted: others could not read the server's name (ECH)"))
    if info.early_data_status != "none":
        taken = info.early_data_status == "accepted"
        why = info.early_data_refusal or "the server took none"
        lines.append(("early data", "accepted" if taken else f"rejected: {why}"))
    if info.local_chain_der:
        shown = subject_of(info.local_chain[0]) if info.local_chain else "a raw public key"
        lines.append(("we showed", f"{shown}, signed in {info.client_signature_scheme}"))
    return lines


def peer_lines(info: ConnectionInfo, trust: TrustStore | None, name: str) -> list[Line]:
    """Return the peer's identity, and why it is trusted or not."""
    if info.peer_chain_der and info.peer_certificate_type != "X509":
        from handclasp.certificates.describe import pin_of_info

        why = "yes: it is the key that was expected" if info.peer_verified else "not asked"
        return [("raw public key", pin_of_info(info.peer_chain_der[0])), ("trusted", why)]
    if not info.peer_chain:
        return [("certificate", "none")]
    leaf = info.peer_chain[0]
    lines = [
        ("certificate", f"{subject_of(leaf)} ({key_of(leaf)})"),
        ("for", names_of(leaf)),
        ("valid", dates_of(leaf, datetime.now(UTC))),
    ]
    lines += [("issued by", issuer_of(certificate)) for certificate in info.peer_chain]
    lines.append(("trusted", _trust_reason(info, trust, name)))
    return lines


def failure_lines(failure: Failure) -> list[Line]:
    """Return the failure, the end that found it, its meaning and the advice."""
    if failure.alert is None and fault_named(failure.fault) is None:
        found = "before TLS began, by this machine"
    elif failure.from_ == "peer":
        other = "server" if failure.role == "client" else "client"
        found = f"by the {other}, which sent the alert {failure.alert}"
    else:
        found = f"by this side ({_fault_and_alert(failure.fault, failure.alert)})"
    lines = [("found", found), ("at fault", _at_fault(failure))]
    if meaning := _not_said_yet(failure.explanation, failure.message):
        lines.append(("meaning", meaning))
    lines += _other_lines(failure.others)
    lines += [("evidence", _evidence(found)) for found in failure.evidence]
    lines += [("to change", sentence) for sentence in fixes_of(failure.fix)]
    return lines + _more(failure.fault)


def _not_said_yet(explanation: str, message: str) -> str:
    """Return the explanation without the sentences that the message has, between its details."""
    sentences = re.split(r"(?<=[.:]) (?=[A-Z])", explanation)
    return " ".join(each for each in sentences if each not in message)


def brief_lines(failure: Failure) -> list[Line]:
    """Return the end at fault, the other likely causes, and the advice."""
    lines = [("at fault", _at_fault(failure)), *_other_lines(failure.others)]
    return [*lines, *(("to change", sentence) for sentence in fixes_of(failure.fix))]


def diagnosis_lines(diagnosis: Diagnosis) -> list[Line]:
    """Return the lines for a failure that was recorded, for any reader."""
    role, told = diagnosis.role, diagnosis.told
    other = "server" if role == "client" else "client"
    if diagnosis.found_by == "peer":
        found = f"by the {other}, which sent the alert {diagnosis.alert}"
    else:
        found = f"by the {role} ({_fault_and_alert(diagnosis.fault, diagnosis.alert)})"
    lines = [("found", found), ("at fault", diagnosis.at_fault)]
    others = _other_lines(diagnosis.others)
    lines += [(label, printable(told(text), 1000)) for label, text in others]
    lines += [("evidence", _evidence(found)) for found in diagnosis.evidence]
    lines += [("to change", told(sentence)) for sentence in fixes_of(diagnosis.fix)]
    return lines + _more(diagnosis.fault)


def _more(fault: str) -> list[Line]:
    """Name the command that prints the page of a fault or an alert; the network has none."""
    from handclasp.story.guides.alerts import alert_number

    has_page = fault_named(fault) is not None or alert_number(fault) is not None
    return [("more", f"handclasp fault {fault}")] if has_page else []


def _fault_and_alert(fault: str, alert: str | None) -> str:
    return f"{fault}; alert {alert}" if alert else fault


def _other_lines(others: Sequence[Cause]) -> list[Line]:
    """Return the causes that the explanation leaves out, or has only named: then one is first."""
    first = "perhaps" if others and others[0].is_named else "or perhaps"
    return [(first if at == 0 else "or perhaps", each.sentence) for at, each in enumerate(others)]


def _at_fault(failure: Failure) -> str:
    who = failure.blame if failure.blame == "unclear" else f"the {failure.blame}"
    if not failure.condition:
        return who
    condition = with_ends_named(failure.condition, failure.role)
    return f"{who}{': ' if failure.blame == 'unclear' else ', '}{condition}"


def print_lines(title: str, lines: Sequence[Line]) -> None:
    """Print a title and a table of lines on standard error."""
    console = _console(sys.stderr)
    _print_title(console, title)
    _print_table(console, lines)


def lines_text(title: str, lines: Sequence[Line]) -> str:
    """Return what `print_lines` prints, for a command that goes on where nobody reads it.

    Where it prints on a pipe without a reader, rich ends the process.
    """
    text = StringIO()
    console = _console(text, is_terminal=sys.stderr.isatty())
    _print_title(console, title)
    _print_table(console, lines)
    return text.getvalue()


def print_story(title: str, telling: str, lines: Sequence[Line]) -> None:
    """Print a title, a paragraph and a table of lines on standard output."""
    print_paragraphs(title, telling)
    console = _console(sys.stdout)
    _print_table(console, lines)
    _print(console, "")


def print_paragraphs(title: str, *tellings: str) -> None:
    """Print a title and paragraphs below it on standard output, and a blank line after each."""
    console = _console(sys.stdout)
    _print_title(console, title)
    for telling in tellings:
        for line in wrapped(_clean(telling), min(_width(console), 80), initial="   ", below="   "):
            _print(console, line)
        _print(console, "")


def _console(file: TextIO, *, is_terminal: bool | None = None) -> Console:
    from rich.console import Console

    # Text goes through as it is: no markup in it, no colours guessed, no lines broken.
    return Console(
        file=file,
        force_terminal=is_terminal,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


def _width(console: Console) -> int:
    return max(console.width, NARROWEST) if console.is_terminal else columns()


def _print_title(console: Console, title: str) -> None:
    for line in wrapped(_clean(title), _width(console)):
        _print(console, line, style="bold")


def _print_table(console: Console, lines: Sequence[Line]) -> None:
    """Labels and values; a long value goes on under itself."""
    from rich.text import Text

    margin = max((len(label) for label, _ in lines), default=0) + 5
    for label, value in lines:
        room, (first, *more) = beside(margin, _clean(value), _width(console))
        start = f"   {label}".ljust(margin) if first else f"   {label}"
        console.print(Text.assemble((start, "dim"), first))
        for rest in more:
            _print(console, " " * room + rest)


def _clean(text: str) -> str:
    """Without control characters: the words may be those of a peer, or of a stranger's file."""
    return printable(text, len(text))


def _print(console: Console, text: str, style: str = "") -> None:
    from rich.text import Text

    console.print(Text(text, style=style))


def _group(info: ConnectionInfo) -> str:
    if info.group is not None:
        return info.group + (" (after a second hello)" if info.hello_retry else "")
    from handclasp.story.facts import key_exchange_of_info

    match key_exchange_of_info(info):
        case "transport":
            return "none: the client made the secret (no forward secrecy)"
        case "session":
            return "none: the secret is that of the session (no forward secrecy beyond it)"
        case "psk":
            return "none: the pre-shared key went alone (no forward secrecy)"
        case _:
            return "an unknown one"


def _signature(info: ConnectionInfo) -> str:
    from handclasp.story.facts import key_exchange_of_info

    if info.signature_scheme is None:
        if key_exchange_of_info(info) == "transport":
            return "none: the server could read the secret"
        if info.cipher_suite.startswith("TLS_RSA_WITH_"):
            return "none, when the session was made: the server could read the secret"
        return "none: both sides hold the pre-shared key"
    return info.signature_scheme + (", when the session was made" if info.resumed else "")


def _trust_reason(info: ConnectionInfo, trust: TrustStore | None, name: str) -> str:
    if not info.peer_verified:
        return "NO: nobody checked this certificate (--insecure); the peer may be anybody"
    if trust is None:
        return "yes"
    anchor = trust_anchor_of(info.peer_chain, trust)
    through = f"{subject_of(anchor)}, one of" if anchor is not None else "one of"
    return (
        f"yes: valid today, issued for {name}, and the chain leads to {through} the authorities "
        f"of {trust.source}"
    )


def _evidence(found: Evidence) -> str:
    """Return the place of the evidence, its meaning, and the bytes."""
    if not found.size or not found.octets:
        return f"{found.what}: {printable(found.says)}"
    says = f" {printable(found.says)}" if found.says else ""
    more = " ..." if found.size > len(found.octets) else ""
    octets = found.octets.hex(" ", 2) + more
    where = f"bytes {found.start} to {found.start + found.size - 1}: " if found.start else ""
    return f"{found.what}:{says} ({where}{octets})"


def fixes_of(fix: str) -> Iterator[str]:
    """Return the advice for each end, which the catalogue joins into one text."""
    yield from filter(None, map(str.strip, re.split(r"(?=On (?:this|the other) end:)", fix)))
