"""Advice about faults: their likely causes, and the settings of other TLS stacks.

The catalogue (`faults/catalogue.py`) says what a fault is, and an error says what is known of one
failure. The files beside this one say what holds for all failures of a kind. Each begins with the
names of the faults that it is about, and every fault is in one of them. `handclasp fault NAME`
prints the page of a fault, and the documentation has it as well.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from handclasp.advice import with_condition
from handclasp.faults import Blame, Fault

BLAMED = {
    Blame.PEER: "the other end",
    Blame.LOCAL: "this end",
    Blame.NETWORK: "something on the way",
    Blame.UNCLEAR: "unclear",
}


def fault_page(fault: Fault) -> str:
    """Return the page of a fault, in Markdown.

    >>> from handclasp.story.guides import fault_page
    >>> print(fault_page(Fault.CERTIFICATE_EXPIRED).partition("## OpenSSL")[0])
    # CERTIFICATE_EXPIRED
    <BLANKLINE>
    The certificate has expired.
    <BLANKLINE>
    - Alert: certificate_expired
    - Rule: RFC 5280 4.1.2.5
    - At fault: the other end, unless the clock of this machine is wrong
    - On the other end: Renew the certificate.
    - On this end: Check the clock of this machine.
    <BLANKLINE>
    ## Likely causes
    <BLANKLINE>
    - The certificate was not renewed, or it was and the server still has the old one in memory.
    - One of several servers behind the name was forgotten.
    - The clock of the end that verifies is wrong: a new machine, a suspended one, an empty battery.
    <BLANKLINE>
    <BLANKLINE>
    """
    entry = fault.value
    verdict = entry.verdict
    lines = [
        f"# {fault.name}\n\n{entry.sentence}\n",
        f"- Alert: {entry.alert.name.lower()}{'' if entry.sends_alert else ' (not sent)'}",
        f"- Rule: {entry.section}",
        f"- At fault: {with_condition(BLAMED[verdict.blame], verdict.condition)}",
    ]
    if entry.fix_peer:
        lines.append(f"- On the other end: {entry.fix_peer}")
    if entry.fix_local:
        lines.append(f"- On this end: {entry.fix_local}")
    return "\n".join([*lines, "", guides()[fault]])


@cache
def guides() -> dict[Fault, str]:
    """Return the guide that each fault is in, as Markdown below a title."""
    found: dict[Fault, str] = {}
    for file in files(__name__).iterdir():
        if file.name.endswith(".md"):
            names, _, body = file.read_text("utf-8").removeprefix("Faults: ").partition("\n\n")
            found |= {Fault[name.strip()]: body for name in names.split(",")}
    return found
