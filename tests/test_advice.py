"""Advice in the words of whoever gives it: no settings of the library on a command line."""

from __future__ import annotations

import re

import pytest

from handclasp.advice import SETTINGS, TRUST, FrontEnd, at_fault, for_reader, worded
from handclasp.alerts import Situation, likely_causes
from handclasp.config import ClientConfig
from handclasp.errors import PeerAlertError
from handclasp.faults import Blame, Fault
from handclasp.handshake.disagreement import disagreement
from handclasp.handshake.hooks import hook_raised

PYTHON = re.compile(r"\w=|\w\(\w|TrustStore|Limits|\bconfig\b|[a-z]_[a-z]")
"""What only somebody who writes Python can follow. Names of suites have capitals."""

_CONFIG = ClientConfig()
_SITUATIONS = [
    Situation(
        role=role,
        stage=stage,
        versions=tuple(_CONFIG.versions),
        cipher_suites=("TLS_AES_256_GCM_SHA384",),
        groups=("X25519",),
        signature_schemes=(),
        certificate=certificate,
    )
    for role in ("client", "server")
    for stage in ("hello", "handshake", "established")
    for certificate in ("shown", "withheld", "unasked")
]


def texts() -> set[str]:
    """Every piece of advice in the catalogue, and of every alert in many situations."""
    found = {fault.fix_of(role) for fault in Fault for role in (None, "client", "server")}
    for number in range(256):
        found.add(PeerAlertError(number).fix)
        for situation in _SITUATIONS:
            found |= {cause.fix for cause in likely_causes(number, situation)}
    return found


@pytest.mark.parametrize("front_end", ["connect", "serve", "check", "reader"])
def test_no_command_speaks_python(front_end: str) -> None:
    schemes = re.compile(r"\b(ecdsa|rsa)_\w+")
    for text in texts():
        told = schemes.sub("", worded(text, front_end))  # type: ignore[arg-type]
        assert PYTHON.search(told) is None, told


def test_the_library_names_each_setting_that_is_known() -> None:
    named = set(re.findall(r" \(([^()]*(?:\([^()]*\)[^()]*)*)\)", " ".join(texts())))
    python = {each for each in named if PYTHON.search(each)}
    assert python <= set(SETTINGS)


def test_an_option_takes_the_place_of_a_setting() -> None:
    fix = Fault.CERTIFICATE_UNTRUSTED.fix
    assert "(trust=TrustStore.from_pem(FILE))" in fix
    assert "trust it (--ca FILE)." in worded(fix, "connect")
    assert "trust it (--client-ca FILE)." in worded(fix, "serve")
    assert worded(fix, "reader").endswith("On this end: If that authority is yours, trust it.")


def test_a_program_of_ssl_is_told_its_own_settings() -> None:
    known = re.compile(
        r" \((context\.|server_hostname=|sock\.|suppress_ragged_eofs=)[^()]*(\([^()]*\))?\)"
    )
    schemes = re.compile(r"\b(ecdsa|rsa)_\w+")
    for text in texts():
        told = schemes.sub("", known.sub("", worded(text, "ssl")))
        assert PYTHON.search(told) is None, told
    told = worded(Fault.CERTIFICATE_UNTRUSTED.fix, "ssl")
    assert "trust it (context.load_verify_locations(FILE))." in told


def test_a_setting_may_have_another_name_at_present() -> None:
    fix = Fault.CERTIFICATE_UNTRUSTED.fix
    assert "trust it (verify=FILE)." in worded(fix, "ssl", {TRUST: "verify=FILE"})
    assert "verify=FILE" not in worded(fix, "reader", {TRUST: "verify=FILE"})


def test_what_no_option_can_do_is_not_advised() -> None:
    assert "this end" not in worded(Fault.TOO_MANY_CERTIFICATES.fix, "connect")
    assert "this end" in worded(Fault.TOO_MANY_CERTIFICATES.fix, "reader")


@pytest.mark.parametrize("front_end", ["connect", "serve", "reader"])
def test_only_programs_are_told_of_exceptions(front_end: FrontEnd) -> None:
    hook = hook_raised("trust", "KeyError", "").fix
    for fix in (Fault.KEY_LOG_FAILED.fix, Fault.CALLBACK_FAILED.fix, hook):
        assert "is chained to this one (__cause__)." in fix
        assert "is chained to this one (__cause__)." in worded(fix, "ssl")
        assert "chained" not in worded(fix, front_end)


def test_a_key_log_can_be_left_out_in_the_words_of_each() -> None:
    fix = Fault.KEY_LOG_FAILED.fix
    assert "Or do without one (leave out keylog=)." in fix
    assert worded(fix, "connect").endswith("Or do without one (leave out --keylog).")
    assert worded(fix, "serve").endswith("Or do without one (leave out --keylog).")
    assert "(context.keylog_filename = None)" in worded(fix, "ssl")
    assert worded(fix, "reader").endswith("Or do without one.")


def test_advice_does_not_break_off() -> None:
    """What would follow a colon is left out, so what stands in front of it is, too."""
    fix = disagreement(
        Fault.NO_SHARED_CIPHER_SUITE,
        ["TLS_RSA_WITH_AES_128_GCM_SHA256"],
        ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
    ).fix
    assert "other end offers: TLS_RSA_WITH_AES_128_GCM_SHA256" in worded(fix, "reader")
    assert "(--suite SUITE)" in worded(fix, "connect")
    told = worded(fix, "serve")
    assert "this end takes: TLS_ECDHE_ECDSA" in told
    assert "On this end" not in told
    for text in texts():
        for front_end in ("connect", "serve", "check", "ssl", "reader"):
            assert not re.search(r":( On (this|the other) end|$)", worded(text, front_end))


@pytest.mark.parametrize(
    ("blame", "condition", "role", "told"),
    [
        (Blame.PEER, "", "client", "the server"),
        (Blame.PEER, "unless this end is slow", "client", "the server, unless the client is slow"),
        (Blame.LOCAL, "", "server", "the server"),
        (Blame.NETWORK, "unless not", "server", "the network, unless not"),
        (Blame.UNCLEAR, "the other end, or not", "server", "unclear: the client, or not"),
    ],
)
def test_blame_in_words(blame: Blame, condition: str, role: str, told: str) -> None:
    assert at_fault(blame, condition, role) == told


def test_who_reads_of_it_is_at_neither_end() -> None:
    told = "On this end: Look. The clock of this machine, this side's key, the other end."
    assert for_reader(told, "server") == (
        "On the server: Look. The clock of the server's machine, the server's key, the client."
    )


@pytest.mark.parametrize(
    ("told", "for_others"),
    [
        ("The peer closed the connection.", "The server closed the connection."),
        ("The peer's chain; the peer's key.", "The server's chain; the server's key."),
        ("Peers of the peers' kind, with peer_name.", "Peers of the peers' kind, with peer_name."),
    ],
)
def test_the_peer_is_named_for_who_is_at_neither_end(told: str, for_others: str) -> None:
    assert for_reader(told, "client") == for_others


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("role", ["client", "server"])
def test_no_sentence_of_a_fault_leaves_open_which_end_is_meant(fault: Fault, role: str) -> None:
    for text in (fault.sentence, fault.fix):
        told = for_reader(worded(text, "reader"), role)
        assert not re.search(r"\b[Tt]he peer\b|\b[Tt]his (?:end|side)\b", told)
