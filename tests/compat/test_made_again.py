"""Exceptions that a library makes from the class of one of ours, and a text."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from handclasp.compat.errors import translated
from handclasp.errors import CertificateError, PeerAlertError, ProtocolError, TLSError
from handclasp.faults import Fault


class OfLibrary(Exception):
    """The exception of a library, which it joins with the class of the cause, as ldap3 does."""


@pytest.mark.parametrize(
    "error",
    [
        CertificateError(Fault.CERTIFICATE_UNTRUSTED),
        ProtocolError(Fault.BAD_RECORD_MAC),
        PeerAlertError(48),
    ],
    ids=["certificate", "protocol", "alert"],
)
def test_the_class_of_an_exception_makes_another_one_of_a_text(error: TLSError) -> None:
    known = translated(error)
    again = type(known)(str(known))
    assert again.args == (str(known),)
    joined: Any = type("Joined", (OfLibrary, type(again)), {})("a text of the library")
    assert joined.explanation == ""
    assert joined.fault_name
    assert isinstance(joined, OfLibrary)
    assert isinstance(joined, ssl.SSLError)
    assert "a text of the library" in str(joined)


def test_advice_names_the_settings_of_ssl() -> None:
    error = translated(CertificateError(Fault.CERTIFICATE_UNTRUSTED))
    assert isinstance(error, TLSError)
    assert error.fix.endswith("trust it (context.load_verify_locations(FILE)).")
    assert error.fix in error.__notes__
