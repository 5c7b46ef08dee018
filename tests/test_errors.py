"""The exceptions: who found out, what it is called, what to do about it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.dns import NoEchError
from handclasp.ech import EchRejectedError
from handclasp.errors import (
    CertificateError,
    ConfigurationError,
    HandshakeTimeoutError,
    PeerAlertError,
    ProtocolError,
    SentAfterClose,
    StateError,
    TLSError,
    TruncationError,
    WantRead,
    WantWrite,
)
from handclasp.faults import Blame, Fault, Verdict
from handclasp.iana import AlertDescription
from handclasp.starttls.dialogue import DialogueError

CLOSURE = {AlertDescription.CLOSE_NOTIFY}


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize(
    "kind", [ProtocolError, CertificateError, TruncationError, HandshakeTimeoutError]
)
def test_what_we_found(kind: type[ProtocolError], fault: Fault) -> None:
    error = kind(fault, "the detail")
    assert error.origin == "local"
    assert error.fault is fault
    assert error.fault_name == fault.name
    alert = AlertDescription(fault.alert).name.lower()
    assert error.alert == (alert if fault.sends_alert else "")
    assert error.explanation == fault.sentence
    assert error.fix == fault.fix
    assert error.detail == "the detail"
    assert error.message == str(error) == f"{fault.sentence} (the detail)"
    assert str(kind(fault)) == fault.sentence


CERTIFICATE = CertificateError(Fault.CERTIFICATE_EXPIRED, "the detail").at(1, "notAfter")
CERTIFICATE.chain_der = (b"a", b"b")


@pytest.mark.parametrize(
    "error",
    [
        ProtocolError(Fault.DECODE_ERROR, "the detail", verdict=Verdict(Blame.NETWORK, "unless")),
        CERTIFICATE,
        TruncationError(Fault.CLOSED_DURING_HANDSHAKE),
        HandshakeTimeoutError(Fault.HANDSHAKE_TIMEOUT),
        PeerAlertError(AlertDescription.UNKNOWN_CA),
        EchRejectedError(None, "public.example", is_authentic=True),
        ConfigurationError("a setting"),
        StateError("a call"),
        SentAfterClose("a call"),
        WantRead(),
        WantWrite(),
        NoEchError("There is none."),
        DialogueError.refused(b"no"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize(
    "again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy], ids=["pickle", "copy"]
)
def test_errors_are_pickled_and_copied_as_they_are(
    error: Any, again: Callable[[Exception], Any]
) -> None:
    """A pool of processes sends the exceptions of its workers; one that cannot come breaks it."""
    made = again(error)
    assert type(made) is type(error)
    assert made.args == error.args
    assert str(made) == str(error)
    assert vars(made) == vars(error)
    if isinstance(error, OSError):
        assert made.errno == error.errno


def test_failures_are_of_one_family() -> None:
    # As ssl.SSLError is, so that programs which catch OSError go on working.
    for kind in (ProtocolError, PeerAlertError, CertificateError, TruncationError):
        assert issubclass(kind, TLSError)
        assert issubclass(kind, OSError)
    assert issubclass(HandshakeTimeoutError, TimeoutError)
    assert issubclass(ConfigurationError, ValueError)
    assert not issubclass(ConfigurationError, TLSError)
    assert not issubclass(PeerAlertError, ProtocolError)


@pytest.mark.parametrize("alert", AlertDescription)
def test_what_they_told_us(alert: AlertDescription) -> None:
    error = PeerAlertError(alert)
    assert error.origin == "peer"
    assert error.alert_number == alert
    assert error.alert == alert.name.lower()
    assert error.fault_name == f"PEER_{alert.name}"
    assert error.alert in error.message
    assert error.explanation.endswith(".")


@pytest.mark.parametrize(
    "alert",
    [
        alert
        for alert in AlertDescription
        if "RESERVED" not in alert.name and alert.name.startswith(("CERT", "HAND", "PROTO", "NO_A"))
    ],
)
def test_the_common_alerts_say_what_to_change(alert: AlertDescription) -> None:
    if alert is not AlertDescription.CERTIFICATE_UNOBTAINABLE_RESERVED:
        assert PeerAlertError(alert).fix


@settings(deadline=None)
@given(st.integers(0, 255))
def test_any_alert_number_makes_an_error(number: int) -> None:
    error = PeerAlertError(number)
    assert error.message
    assert error.explanation
    assert error.fault_name.startswith("PEER_")
    assert " " not in error.fault_name


def test_an_unknown_alert_shows_its_number() -> None:
    error = PeerAlertError(200)
    assert error.alert == "alert 200"
    assert error.fault_name == "PEER_ALERT_200"
    assert "no more than its name" in error.explanation


def test_an_error_without_particulars_is_one_of_ours() -> None:
    error = TLSError("it failed")
    assert (error.origin, error.fault_name, error.alert) == (
        "local",
        "INTERNAL_ERROR",
        "internal_error",
    )
    assert error.message == "it failed"


def test_an_alert_about_the_staple_says_so() -> None:
    error = PeerAlertError(113)
    assert error.alert == "bad_certificate_status_response"
    assert "OCSP response" in error.explanation
    assert "with_staple" in error.fix
