"""What goes wrong, as exceptions: `TLSError` and below it "we found" and "they told us".

`TLSError` is an `OSError`, as `ssl.SSLError` is, so that programs which treat a failed connection
as one kind of thing go on working.
"""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager

from handclasp.advice import STAPLE
from handclasp.alerts import Cause, Situation, likely_causes, others_than_told, summed_up
from handclasp.faults import Blame, Fault, Role, Verdict
from handclasp.wire.iana import AlertDescription, alert_name


class ConfigurationError(ValueError):
    """A setting or an argument that cannot be honoured."""


@contextmanager
def path_errors(what: str) -> Generator[None]:
    """Make of what the use of a path raises one sentence: "Cannot `what`: the reason."

    A path that is no path at all, as it holds a NUL or a lone surrogate, is a ValueError in Python,
    and one with a name that is too long an OSError, even where nothing is asked but whether it is
    there.

    Raises:
        ConfigurationError: in place of `OSError` and `ValueError`.
    """
    try:
        yield
    except ConfigurationError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"Cannot {what}: {reason}.") from None


def check_switch(name: str, value: object) -> None:
    """Raise `ConfigurationError` for what is neither True nor False: "no" would mean yes."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, not {value!r:.80}.")


class StateError(ConfigurationError):
    """A call at the wrong time: the connection's state does not allow it.

    Examples are sending after this side has closed, and asking for what the handshake agreed upon
    before it is complete. It is a `ConfigurationError` so that one `except` clause catches every
    misuse of this library; the connection itself is not harmed.
    """


class SentAfterClose(BrokenPipeError, StateError):
    """A socket was told to send after it had sent close_notify.

    It is what the sockets of the standard library raise there, and a `StateError` as well.
    """

    def __init__(self, message: str) -> None:
        super().__init__(errno.EPIPE, message)


class WantRead(BlockingIOError):
    """A socket that does not block must be ready to read before the call can go on.

    Wait for that, with a selector, and call again. It is what `ssl.SSLWantReadError` is there.
    """

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "The TLS socket must be ready to read first.")


class WantWrite(BlockingIOError):
    """A socket that does not block must be ready to write before the call can go on.

    Wait for that, with a selector, and call again, with the same arguments: what was given to
    `send` or `sendall` may have left in part. It is what `ssl.SSLWantWriteError` is there.
    """

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "The TLS socket must be ready to write first.")


class TLSError(OSError):
    """A connection failed. See the subclasses for who found out.

    Attributes:
        origin: "local" where this side found the fault, "peer" where the peer's alert told.
        fault: the fault in the catalogue; None where the peer's alert told, and `alert` says
            which.
        fault_name: its name, or "PEER_" and that of the alert, for logs and counters.
        alert: the RFC's name of the alert that was sent or received; empty where there was none, as
            where the other end closed the transport.
        message: one line: what happened, with the particulars.
        explanation: the same for people who have not read the RFC.
        fix: what to change on either end.
        blame: whose fault it is, as far as this side can know: "peer", "local", "network" or
            "unclear".
        condition: when it is somebody else's fault, such as "unless the clock of this machine is
            wrong"; where it is unclear, who it may be and why. May be empty.
        causes: for a peer's alert, what may be behind it, the likeliest first.
    """

    origin: str = "local"
    alert: str = "internal_error"
    explanation: str = ""
    fix: str = ""
    blame: Blame = Blame.UNCLEAR
    condition: str = ""
    causes: tuple[Cause, ...] = ()

    @property
    def fault(self) -> Fault | None:
        return Fault.INTERNAL_ERROR

    @property
    def fault_name(self) -> str:
        return "" if self.fault is None else self.fault.name

    @property
    def message(self) -> str:
        return str(self)


class ProtocolError(TLSError):
    """We found: the peer broke a rule, or its certificate does not convince (`fault`).

    Args:
        fault: what the catalogue says holds, except where the next ones are given.
        detail: the particulars, which stand in parentheses.
        sentence: what happened, where more is known than the catalogue can say of all cases. It
            has the particulars in itself.
        fix, verdict: likewise; the verdict says whose fault it is.
    """

    def __init__(
        self,
        fault: Fault,
        detail: str = "",
        *,
        sentence: str = "",
        fix: str = "",
        verdict: Verdict | None = None,
    ) -> None:
        self._fault = fault
        self.detail = detail
        self.alert = alert_name(fault.alert) if fault.sends_alert else ""
        self.explanation = sentence or fault.sentence
        self.fix = fix or fault.fix
        self._verdict = verdict
        self.blame, self.condition = verdict or fault.verdict()
        with_detail = f"{fault.sentence} ({detail})" if detail else fault.sentence
        super().__init__(sentence or with_detail)
        _note_fix(self)

    @property
    def fault(self) -> Fault:
        return self._fault

    def found_by(self, role: Role, *, nothing_came: bool = False) -> None:
        """Say who found it, on which some of the blame hangs, unless more is known of this case."""
        if self._verdict is None:
            self.blame, self.condition = self.fault.verdict(role, nothing_came=nothing_came)
        if self.fix == self.fault.fix:
            self.fix = self.fault.fix_of(role)
            self.__notes__ = [self.fix] if self.fix else []


class CertificateError(ProtocolError):
    """We found: the peer's certificate is not to be trusted, for the reason in `fault`.

    Attributes:
        chain, ocsp_response, sct_list: what was judged, as `handclasp.certificates.explain` takes
            it; empty and None where it was refused before it came to that.
        place: where it shows: in which certificate of `chain`, counted from 0 (None where that is
            none of them, such as an authority that is trusted here), and in which field of it,
            such as "notAfter" or "subjectAltName".
    """

    place: tuple[int | None, str] = (None, "")
    chain: tuple[bytes, ...] = ()
    ocsp_response: bytes | None = None
    sct_list: bytes | None = None

    def at(self, certificate: int | None, field: str) -> CertificateError:
        """Say where it shows, as `place` has it; gives the error itself."""
        self.place = certificate, field
        return self


class TruncationError(ProtocolError):
    """We found: the transport ended without close_notify (RFC 8446 section 6.1)."""


class HandshakeTimeoutError(ProtocolError, TimeoutError):
    """We found: the handshake did not complete in time."""


class PeerAlertError(TLSError):
    """They told us: the peer sent a fatal alert (RFC 8446 section 6.2).

    With the `situation` in which it came, `causes` says what may be behind it; `explanation`,
    `fix`, `blame` and `condition` are then those of the likeliest, or of all if none stands out,
    and `others` are the causes that the explanation does not tell.
    """

    origin = "peer"

    def __init__(self, alert_number: int, situation: Situation | None = None) -> None:
        self.alert_number = alert_number
        self.alert = alert_name(alert_number)
        self.explanation, self.fix = _ALERTS_EXPLAINED.get(alert_number, _UNEXPLAINED)
        self.blame, self.condition = _VERDICTS.get(alert_number, _NO_VERDICT)
        if situation is not None and (causes := likely_causes(alert_number, situation)):
            self.causes = causes
            told = summed_up(causes)
            self.explanation, self.fix = told.sentence, told.fix
            self.blame, self.condition = told.blame, told.condition
        self.others = others_than_told(self.causes)
        super().__init__(
            f"The peer ended the connection with the alert {self.alert}. {self.explanation}"
        )
        _note_fix(self)

    @property
    def fault(self) -> None:
        return None

    @property
    def fault_name(self) -> str:
        return f"PEER_{self.alert.upper().replace(' ', '_')}"


def _note_fix(error: TLSError) -> None:
    """What to change also stands under a traceback that nobody caught."""
    if error.fix:
        error.add_note(error.fix)


_NO_VERDICT = Verdict(Blame.UNCLEAR, "the alert does not say")
_A_DEFECT = Verdict(
    Blame.UNCLEAR,
    "one of the two implementations has a defect, unless something on the way changed the bytes",
)
_VERDICTS: dict[int, Verdict] = {
    AlertDescription.INTERNAL_ERROR: Verdict(Blame.PEER),
    AlertDescription.USER_CANCELED: Verdict(Blame.PEER),
    AlertDescription.UNEXPECTED_MESSAGE: _A_DEFECT,
    AlertDescription.RECORD_OVERFLOW: _A_DEFECT,
    AlertDescription.ILLEGAL_PARAMETER: _A_DEFECT,
    AlertDescription.DECODE_ERROR: _A_DEFECT,
    AlertDescription.MISSING_EXTENSION: _A_DEFECT,
    AlertDescription.UNSUPPORTED_EXTENSION: _A_DEFECT,
    AlertDescription.INAPPROPRIATE_FALLBACK: Verdict(
        Blame.LOCAL, "unless the network keeps newer versions away"
    ),
}
"""Where the situation does not tell more."""

_UNEXPLAINED = ("The peer gave up with an alert that says no more than its name.", "")

_ALERTS_EXPLAINED: dict[int, tuple[str, str]] = {
    AlertDescription.BAD_CERTIFICATE_STATUS_RESPONSE: (
        "The peer refused the OCSP response that was stapled to this side's certificate, or misses "
        "one.",
        f"Staple a current response that is about this certificate and says good ({STAPLE}).",
    ),
    AlertDescription.UNEXPECTED_MESSAGE: (
        "The peer received a message that it did not expect.",
        "Check that both ends speak TLS on this port and that nothing between them interferes.",
    ),
    AlertDescription.BAD_RECORD_MAC: (
        "The peer could not decrypt what it received.",
        "Look for a middlebox that changes the traffic.",
    ),
    AlertDescription.RECORD_OVERFLOW: ("The peer received a record that is too long for it.", ""),
    AlertDescription.HANDSHAKE_FAILURE: (
        "The peer found no common ground: it shares no cipher suite, no group or no signature "
        "scheme with this side, or misses a client certificate.",
        "Compare the suites, groups and signature schemes of both ends; offer more of them here.",
    ),
    AlertDescription.BAD_CERTIFICATE: (
        "The peer refuses this side's certificate as broken.",
        "See the peer's log for the reason, and check the certificate with `handclasp cert`.",
    ),
    AlertDescription.UNSUPPORTED_CERTIFICATE: (
        "The peer does not accept this kind of certificate.",
        "Use a certificate with a common key type and the right extended key usage.",
    ),
    AlertDescription.CERTIFICATE_REVOKED: (
        "The peer says that this side's certificate is revoked.",
        "Get a new certificate.",
    ),
    AlertDescription.CERTIFICATE_EXPIRED: (
        "The peer says that this side's certificate is not valid now.",
        "Renew the certificate, or check the clock of the other end.",
    ),
    AlertDescription.CERTIFICATE_UNKNOWN: (
        "The peer refuses this side's certificate without saying why.",
        "If a browser says so, its user has not trusted the issuer.",
    ),
    AlertDescription.ILLEGAL_PARAMETER: (
        "The peer found a value in a message that it holds to be wrong.",
        "If a middlebox is not the cause, one of the two implementations has a defect.",
    ),
    AlertDescription.UNKNOWN_CA: (
        "The peer does not trust the issuer of this side's certificate.",
        "Add the issuer to the peer's trust store, or send the missing intermediate certificates.",
    ),
    AlertDescription.ACCESS_DENIED: (
        "The peer understood the certificate and refuses its holder.",
        "Ask the peer's operator for access.",
    ),
    AlertDescription.DECODE_ERROR: (
        "The peer could not read a message of this side.",
        "If a middlebox is not the cause, one of the two implementations has a defect.",
    ),
    AlertDescription.DECRYPT_ERROR: (
        "The peer could not verify a signature or a Finished of this side.",
        "Make sure that this side's private key belongs to its certificate.",
    ),
    AlertDescription.PROTOCOL_VERSION: (
        "The peer speaks none of the protocol versions that were offered.",
        "Update the peer to TLS 1.3, or offer the version that it speaks if that is safe.",
    ),
    AlertDescription.INSUFFICIENT_SECURITY: (
        "The peer demands stronger algorithms than were offered.",
        "Offer stronger cipher suites or groups.",
    ),
    AlertDescription.INTERNAL_ERROR: (
        "The peer failed for a reason of its own.",
        "See the peer's log.",
    ),
    AlertDescription.INAPPROPRIATE_FALLBACK: (
        "The peer speaks a newer version than the one that was offered as a fallback.",
        "Do not retry with an older version.",
    ),
    AlertDescription.USER_CANCELED: ("The peer's user cancelled the handshake.", ""),
    AlertDescription.MISSING_EXTENSION: (
        "The peer misses an extension in this side's hello.",
        "If a middlebox is not the cause, one of the two implementations has a defect.",
    ),
    AlertDescription.UNSUPPORTED_EXTENSION: (
        "The peer received an extension that it never asked for.",
        "If a middlebox is not the cause, one of the two implementations has a defect.",
    ),
    AlertDescription.UNRECOGNIZED_NAME: (
        "The server does not serve the name that was asked for.",
        "Check the server name, or add it to the server's configuration.",
    ),
    AlertDescription.UNKNOWN_PSK_IDENTITY: (
        "The server knows no pre-shared key by the identity that was offered.",
        "Configure the same identity and key on both ends.",
    ),
    AlertDescription.CERTIFICATE_REQUIRED: (
        "The server requires a client certificate, and none was sent.",
        "Give this side a certificate and key from a CA that the server trusts.",
    ),
    AlertDescription.NO_APPLICATION_PROTOCOL: (
        "The server speaks none of the application protocols that were offered.",
        "Offer another protocol, or none.",
    ),
    AlertDescription.ECH_REQUIRED: (
        "The server demands Encrypted Client Hello with its current keys.",
        "Fetch the server's new ECH configuration and try again.",
    ),
}
