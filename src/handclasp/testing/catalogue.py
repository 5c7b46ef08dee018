"""The catalogue of the ways in which a faulty peer misbehaves, with the right answer to each.

>>> from handclasp.testing import CLIENT_FAULTS, SERVER_FAULTS, PeerFault
>>> from handclasp.testing import fault_of_client, fault_of_server
>>> SERVER_FAULTS["bad-finished"].alert.name
'DECRYPT_ERROR'
>>> fault_of_server("alert:internal_error").summary
'Answers the ClientHello with the alert internal_error.'
>>> isinstance(fault_of_client("silent"), PeerFault)
True
"""

from __future__ import annotations

from typing import Literal

from handclasp.errors import ConfigurationError
from handclasp.faults import Fault
from handclasp.iana import AlertDescription
from handclasp.values import dataclass

_ALERT = "alert:"
_BOTH = ("TLSv1.3", "TLSv1.2")

Kind = Literal["certificate", "protocol"]


@dataclass(frozen=True, slots=True)
class PeerFault:
    """One way in which a peer misbehaves.

    See `handclasp.testing.catalogue` for an example.

    Attributes:
        name: the name for `FaultyServer`, `FaultyClient` and `handclasp serve --fault`.
        summary: what the peer does, in one sentence.
        section: the section of the RFC that it breaks, or that defines the right answer.
        answer: the fault that a right peer finds; None if the standards demand no answer, and
            `note` then says what to expect.
        kind: "certificate" if the peer speaks TLS correctly and its certificate is bad.
        versions: the versions of TLS in which the fault exists.
        note: the condition under which the answer is to be expected; may be empty.
    """

    name: str
    summary: str
    section: str
    answer: Fault | None
    kind: Kind = "protocol"
    versions: tuple[str, ...] = _BOTH
    note: str = ""

    @property
    def alert(self) -> AlertDescription | None:
        """The error alert that a right peer answers with; None if it need not send any."""
        if self.answer is None or not self.answer.value.sends_alert:
            return None
        # That a peer gives up by itself is no error of the handshake.
        gives_up = self.answer.alert is AlertDescription.USER_CANCELED
        return None if gives_up else self.answer.alert


def fault_of_server(name: str) -> PeerFault:
    """Return the fault of a server with this name; `alert:NAME` for every alert of the registry.

    Raises:
        ConfigurationError: there is no such fault, or no such alert.
    """
    return _found(name, SERVER_FAULTS, "Answers the ClientHello")


def fault_of_client(name: str) -> PeerFault:
    """Return the fault of a client with this name; `alert:NAME` for every alert of the registry.

    Raises:
        ConfigurationError: there is no such fault, or no such alert.
    """
    return _found(name, CLIENT_FAULTS, "Follows its ClientHello")


def alert_number(fault: PeerFault) -> AlertDescription | None:
    """Return the alert that a fault of the form `alert:NAME` sends; None for other faults."""
    if not fault.name.startswith(_ALERT):
        return None
    return AlertDescription[fault.name.removeprefix(_ALERT).upper()]


def _found(name: str, faults: dict[str, PeerFault], begins: str) -> PeerFault:
    if name.startswith(_ALERT):
        return _alert_fault(name, begins)
    if name not in faults:
        known = ", ".join([*faults, f"{_ALERT}NAME"])
        raise ConfigurationError(f"There is no fault {name!r}; the faults are: {known}.")
    return faults[name]


def _alert_fault(name: str, begins: str) -> PeerFault:
    alert = name.removeprefix(_ALERT)
    if alert.upper() not in AlertDescription.__members__:
        known = ", ".join(each.lower() for each in AlertDescription.__members__)
        raise ConfigurationError(f"There is no alert {alert!r}; the alerts are: {known}.")
    return PeerFault(
        name,
        f"{begins} with the alert {alert}.",
        "RFC 9846 6",
        None,
        note="A right peer reports the alert, and sends none.",
    )


def _by_name(*faults: PeerFault) -> dict[str, PeerFault]:
    return {fault.name: fault for fault in faults}


def _certificate(name: str, summary: str, section: str, answer: Fault, note: str = "") -> PeerFault:
    return PeerFault(name, summary, section, answer, "certificate", note=note)


_UNREADABLE = "A peer of another protocol cannot read an alert: to send none is right, too."

_TIMEOUT = "The standards set no limit: a right peer gives up after a time of its choice."

SERVER_FAULTS: dict[str, PeerFault] = _by_name(
    _certificate(
        "expired",
        "Its certificate expired yesterday.",
        "RFC 5280 4.1.2.5",
        Fault.CERTIFICATE_EXPIRED,
    ),
    _certificate(
        "not-yet-valid",
        "Its certificate is valid from tomorrow on.",
        "RFC 5280 4.1.2.5",
        Fault.CERTIFICATE_NOT_YET_VALID,
    ),
    _certificate(
        "wrong-host",
        "Its certificate is for wrong-host.example.",
        "RFC 9525 6",
        Fault.CERTIFICATE_NAME_MISMATCH,
    ),
    _certificate(
        "self-signed",
        "Its certificate is signed by its own key.",
        "RFC 5280 6",
        Fault.CERTIFICATE_UNTRUSTED,
    ),
    _certificate(
        "untrusted",
        "Its certificate is from another authority, with the name of the trusted one.",
        "RFC 5280 6",
        Fault.CERTIFICATE_UNTRUSTED,
    ),
    _certificate(
        "missing-intermediate",
        "Its certificate is from an intermediate authority, whose certificate it does not send.",
        "RFC 8446 4.4.2",
        Fault.CERTIFICATE_UNTRUSTED,
        "A client that keeps or fetches intermediate certificates accepts the chain rightly.",
    ),
    _certificate(
        "revoked-staple",
        "It staples an OCSP response that says that its certificate is revoked.",
        "RFC 6960 2.2",
        Fault.CERTIFICATE_REVOKED,
        "A client that asks for no staple sees none.",
    ),
    _certificate(
        "revoked-crl",
        "Its certificate is in the revocation list of the authority.",
        "RFC 5280 6.3",
        Fault.CERTIFICATE_REVOKED,
        "A client sees it only if it is given the list, `crl_pem` of the server.",
    ),
    _certificate(
        "weak-key",
        "Its certificate has an RSA key of 1024 bits.",
        "RFC 9325 4.5",
        Fault.UNSUPPORTED_CERTIFICATE,
    ),
    _certificate(
        "sha1",
        "Its certificate is signed with SHA-1.",
        "RFC 8446 4.4.2.4",
        Fault.BAD_CERTIFICATE,
    ),
    _certificate(
        "wrong-eku",
        "Its certificate is for clients: the extended key usage has clientAuth alone.",
        "RFC 5280 4.2.1.12",
        Fault.CERTIFICATE_WRONG_PURPOSE,
    ),
    _certificate(
        "name-constraint",
        "Its authority may only certify names below permitted.example.",
        "RFC 5280 4.2.1.10",
        Fault.BAD_CERTIFICATE,
    ),
    PeerFault(
        "bad-signature",
        "Its signature over the handshake is wrong: it does not hold the certificate's key.",
        "RFC 8446 4.4.3",
        Fault.BAD_SIGNATURE,
    ),
    PeerFault(
        "bad-finished",
        "Its Finished is wrong: somebody has changed the handshake on the way.",
        "RFC 8446 4.4.4",
        Fault.BAD_FINISHED,
    ),
    PeerFault(
        "truncated-handshake",
        "It closes the connection in the middle of its first flight.",
        "RFC 9846 6.1",
        Fault.CLOSED_DURING_HANDSHAKE,
    ),
    PeerFault(
        "unknown-extension",
        "It answers with an extension that the client has not offered.",
        "RFC 8446 4.2",
        Fault.UNSOLICITED_EXTENSION,
    ),
    PeerFault(
        "wrong-group",
        "It takes a group for the key exchange that the client has not offered.",
        "RFC 8446 4.2.8",
        Fault.UNOFFERED_GROUP,
    ),
    PeerFault(
        "wrong-suite",
        "It takes a cipher suite that the client has not offered.",
        "RFC 8446 4.1.3",
        Fault.UNOFFERED_CIPHER_SUITE,
    ),
    PeerFault(
        "no-shared-suite",
        "It shares no cipher suite with the client: it sends the alert handshake_failure.",
        "RFC 8446 4.1.1",
        None,
        note="A right client reports the alert, and sends none.",
    ),
    PeerFault(
        "downgrade",
        "It takes TLS 1.2 and says by its random that it could do better.",
        "RFC 8446 4.1.3",
        Fault.VERSION_DOWNGRADE,
        versions=("TLSv1.2",),
        note="It takes a client that offers both versions.",
    ),
    PeerFault(
        "oversized-record",
        "Its first record is longer than any may be.",
        "RFC 9846 5.2",
        Fault.RECORD_OVERFLOW,
    ),
    PeerFault(
        "garbage",
        "It speaks another protocol, and closes the connection.",
        "RFC 9846 5.1",
        Fault.NOT_TLS,
        note=_UNREADABLE,
    ),
    PeerFault(
        "unclean-close",
        "It closes the connection in its answer, without a close_notify.",
        "RFC 9846 6.1",
        Fault.TRUNCATED,
        note="A client whose application protocol says where an answer ends may ignore it; this "
        "answer does not say.",
    ),
    PeerFault(
        "slow",
        "It sends its first flight byte by byte, four in a second.",
        "RFC 9846 6.1",
        Fault.HANDSHAKE_TIMEOUT,
        note=_TIMEOUT,
    ),
    PeerFault(
        "silent",
        "It accepts the connection and never sends a byte.",
        "RFC 9846 6.1",
        Fault.HANDSHAKE_TIMEOUT,
        note=_TIMEOUT,
    ),
    PeerFault(
        "endless-tickets",
        "It sends tickets after the handshake, and no data.",
        "RFC 8446 4.6.1",
        Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS,
        versions=("TLSv1.3",),
        note="The standards set no limit. After 10,000 tickets the server answers.",
    ),
    PeerFault(
        "key-update-storm",
        "It changes its keys again and again after the handshake, and sends no data.",
        "RFC 8446 4.6.3",
        Fault.TOO_MANY_KEY_UPDATES,
        versions=("TLSv1.3",),
        note="The standards set no limit. After 10,000 changes the server answers.",
    ),
)
"""The faults of servers by name, besides `alert:NAME`.

See `handclasp.testing.catalogue` for an example.
"""

_ASKED = "The server must ask for a certificate."

CLIENT_FAULTS: dict[str, PeerFault] = _by_name(
    _certificate(
        "no-certificate",
        "It sends no certificate though it is asked for one.",
        "RFC 8446 4.4.2.4",
        Fault.CLIENT_CERTIFICATE_MISSING,
        "The server must require a certificate.",
    ),
    _certificate(
        "untrusted",
        "Its certificate is from another authority, with the name of the trusted one.",
        "RFC 5280 6",
        Fault.CERTIFICATE_UNTRUSTED,
        _ASKED,
    ),
    _certificate(
        "expired",
        "Its certificate expired yesterday.",
        "RFC 5280 4.1.2.5",
        Fault.CERTIFICATE_EXPIRED,
        _ASKED,
    ),
    _certificate(
        "wrong-eku",
        "Its certificate is for servers: the extended key usage has serverAuth alone.",
        "RFC 5280 4.2.1.12",
        Fault.CERTIFICATE_WRONG_PURPOSE,
        _ASKED,
    ),
    PeerFault(
        "bad-certificate-verify",
        "Its signature over the handshake is wrong: it does not hold the certificate's key.",
        "RFC 8446 4.4.3",
        Fault.BAD_SIGNATURE,
        versions=("TLSv1.3",),
        note=_ASKED,
    ),
    PeerFault(
        "bad-finished",
        "Its Finished is wrong: somebody has changed the handshake on the way.",
        "RFC 8446 4.4.4",
        Fault.BAD_FINISHED,
        versions=("TLSv1.3",),
    ),
    PeerFault(
        "no-shared-suite",
        "It offers no cipher suite but TLS_AES_128_CCM_8_SHA256.",
        "RFC 8446 4.1.1",
        Fault.NO_SHARED_CIPHER_SUITE,
        versions=("TLSv1.3",),
        note="A server that has this suite accepts it rightly.",
    ),
    PeerFault(
        "renegotiation",
        "It sends another ClientHello after the handshake of TLS 1.3.",
        "RFC 8446 4.1.2",
        Fault.RENEGOTIATION,
        versions=("TLSv1.3",),
    ),
    PeerFault(
        "renegotiation-1.2",
        "It asks for a renegotiation in TLS 1.2.",
        "RFC 5246 7.4.1.1",
        None,
        versions=("TLSv1.2",),
        note="A right server declines with the alert no_renegotiation and goes on (`accepted`, "
        "with that alert), or ends the connection; some renegotiate, which is right with RFC 5746.",
    ),
    PeerFault(
        "oversized-record",
        "Its first record is longer than any may be.",
        "RFC 9846 5.2",
        Fault.RECORD_OVERFLOW,
    ),
    PeerFault(
        "garbage",
        "It speaks another protocol.",
        "RFC 9846 5.1",
        Fault.NOT_TLS,
        note=_UNREADABLE,
    ),
    PeerFault(
        "truncated-handshake",
        "It closes the connection in the middle of its ClientHello.",
        "RFC 9846 6.1",
        Fault.CLOSED_DURING_HANDSHAKE,
    ),
    PeerFault(
        "slow",
        "It sends its ClientHello byte by byte, four in a second.",
        "RFC 9846 6.1",
        Fault.HANDSHAKE_TIMEOUT,
        note=_TIMEOUT,
    ),
    PeerFault(
        "silent",
        "It connects and never sends a byte.",
        "RFC 9846 6.1",
        Fault.HANDSHAKE_TIMEOUT,
        note=_TIMEOUT,
    ),
    PeerFault(
        "key-update-storm",
        "It changes its keys again and again after the handshake, and sends no data.",
        "RFC 8446 4.6.3",
        Fault.TOO_MANY_KEY_UPDATES,
        versions=("TLSv1.3",),
        note="The standards set no limit. After 10,000 changes the client sends its request.",
    ),
)
"""The faults of clients by name, besides `alert:NAME`.

See `handclasp.testing.catalogue` for an example.
"""
