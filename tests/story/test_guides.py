"""The page of each fault: every fault has one, and every stack a paragraph."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import pytest

from handclasp import Blame, Fault
from handclasp.alerts import Situation, likely_causes
from handclasp.story.guides import alerts, fault_page, guides

STACKS = ["OpenSSL", "nginx", "Go (crypto/tls)", "Java (JSSE)", "Python (ssl)"]
FILES = [each for each in files("handclasp.story.guides").iterdir() if each.name.endswith(".md")]


def test_every_fault_is_in_one_guide() -> None:
    first_lines = [re.split(r"\n\n", file.read_text("utf-8"))[0] for file in FILES]
    named = [name for line in first_lines for name in re.findall(r"[A-Z][A-Z0-9_]{3,}", line)]
    assert sorted(named) == sorted(fault.name for fault in Fault)
    assert set(guides()) == set(Fault)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_guide_has_causes_and_every_stack(file: Any) -> None:
    text = file.read_text("utf-8")
    assert text.startswith("Faults: ")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    # Where this program is at fault, nothing of the other end's would help.
    stacks = [] if file.name == "this_program.md" else STACKS
    assert headings == ["Likely causes", *stacks]
    assert "\n- " in text
    assert max(map(len, text.split("\n"))) <= 100


def test_a_page_has_what_the_catalogue_says() -> None:
    page = fault_page(Fault.TRUNCATED)
    assert page.startswith("# TRUNCATED\n\nThe transport ended without close_notify: ")
    assert "- Alert: close_notify (not sent)\n" in page
    assert "- At fault: the other end, unless the connection was cut on the way\n" in page


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_the_blame_reads_as_it_does_in_an_error(fault: Fault) -> None:
    """After "unclear" come the candidates; after one of the ends, the condition for it."""
    told = re.findall(
        r"^- At fault: (unclear(?=: )|the other end|this end|something on the way)"
        r"(.*)$",
        fault_page(fault),
        re.MULTILINE,
    )
    assert len(told) == 1
    blamed, rest = told[0]
    verdict = fault.value.verdict
    assert (blamed == "unclear") == (verdict.blame is Blame.UNCLEAR)
    joined = ": " if blamed == "unclear" else ", "
    assert rest == (f"{joined}{verdict.condition}" if verdict.condition else "")


@pytest.mark.parametrize(
    "fault", [Fault.CLOSED_DURING_HANDSHAKE, Fault.RESET_DURING_HANDSHAKE, Fault.NOT_TLS]
)
def test_a_header_of_a_balancer_comes_after_what_is_likelier(fault: Fault) -> None:
    """A port without TLS is the likelier cause; the error advises in that order, too."""
    causes = guides()[fault].partition("## OpenSSL")[0].split("\n- ")[1:]
    port = next(at for at, cause in enumerate(causes) if "port" in cause)
    header = next(at for at, cause in enumerate(causes) if "PROXY protocol" in cause)
    assert port < header
    if fault is not Fault.NOT_TLS:
        fix = fault.value.as_client.silent_fix_local
        assert fix is not None
        assert fix.index("host and port") < fix.index("PROXY protocol")


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault.CERTIFICATE_UNTRUSTED, "- The certificate is self-signed."),
        (Fault.CERTIFICATE_REVOKED, "- The certificate was revoked because"),
        (Fault.TIMESTAMPS_MISSING, "- For timestamps: "),
        (Fault.PSK_NOT_TAKEN, "- One end does not have the key at all"),
        (Fault.POST_HANDSHAKE_AUTHENTICATION, "- On this end: Offer to be asked after the"),
        (Fault.TOO_MANY_EXTENSIONS, "- On this end: If the number is legitimate, raise the limit"),
    ],
)
def test_a_page_has_a_cause_of_its_own_fault(fault: Fault, cause: str) -> None:
    assert cause in fault_page(fault)


ALERT_FILES = [each for each in files(alerts.__name__).iterdir() if each.name.endswith(".md")]
SITUATIONS = [
    Situation("client", "hello"),
    Situation("client", "handshake", certificate="shown"),
    Situation("client", "handshake", certificate="withheld"),
    Situation("server", "handshake", certificate="shown"),
]


def test_every_alert_is_in_one_guide() -> None:
    heads = [file.read_text("utf-8").partition("\nFaults: ")[0] for file in ALERT_FILES]
    named = [name for head in heads for name in re.findall(r"[A-Z][A-Z0-9_]{3,}", head)]
    assert sorted(f"PEER_{name}" for name in named) == sorted(alerts.PEER_ALERTS)


@pytest.mark.parametrize("file", ALERT_FILES, ids=lambda file: file.name)
def test_a_guide_of_alerts_has_causes_and_both_ends(file: Any) -> None:
    text = file.read_text("utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["Likely causes", "On this end", "On the other end"]
    assert max(map(len, text.split("\n"))) <= 100


@pytest.mark.parametrize("name", alerts.PEER_ALERTS)
def test_the_page_of_an_alert_names_the_causes_that_errors_have(name: str) -> None:
    """Those of an alert that gives a false reason are the exception: the page has the true ones."""
    number = alerts.PEER_ALERTS[name]
    page = alerts.alert_page(number)
    causes = {cause.fault for each in SITUATIONS for cause in likely_causes(number, each)}
    causes -= {Fault.INTERNAL_ERROR.name, Fault.CLIENT_CERTIFICATE_MISSING.name}
    assert [cause for cause in causes if f"\n- {cause}: " not in page] == []
