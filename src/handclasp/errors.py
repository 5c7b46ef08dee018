"""The exceptions: `TLSError` for failed connections, `ConfigurationError` for wrong settings.

`TLSError` is an `OSError`, as `ssl.SSLError` is, so that programs which catch `OSError` for any
failed connection keep working. Below it, `ProtocolError` is a fault that this side found, and
`PeerAlertError` an alert that the peer sent.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from handclasp.alerts import Cause, Situation, explain_alert
from handclasp.alerts.situation import other_end
from handclasp.faults import Blame, Fault, Role, Verdict
from handclasp.faults.large_hello import LARGE_HELLO, SMALLER_HELLO
from handclasp.iana import alert_name


class ConfigurationError(ValueError):
    """A setting or an argument that cannot be honoured.

    >>> try:
    ...     ClientConfig(versions=["SSLv3"])
    ... except ConfigurationError as error:
    ...     print(error)
    versions: 'SSLv3' is not one of TLSv1.2, TLSv1.3.
    """


@contextmanager
def path_errors(what: str) -> Generator[None]:
    """Turn the errors of a path's use into one sentence: "Cannot `what`: the reason."

    Python raises ValueError for a path that holds a NUL or a lone surrogate, and OSError for a name
    that is too long, even if the caller only asks whether the path exists.

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


def check_path_text(text: str, what: str, hint: str = "") -> None:
    """Raise `ConfigurationError` for the content of a file in place of its path.

    The content is not repeated: it may be a private key, or a secret of another kind. So a name
    that may be a key in hexadecimal or Base64 is refused if nothing is there; with "./" in front,
    it is taken for a name.

    Args:
        text: the path.
        what: its name in the error, which begins the sentence.
        hint: the call that takes the content, if there is one.
    """
    if "-----BEGIN" in text:
        kind = "is PEM text, not a path"
    elif len(text.splitlines()) > 1:
        kind = "is a text of several lines, not a path"
    elif _may_be_key(text) and not _leads_somewhere(text):
        kind = (
            "names nothing that exists, and is not repeated here, as it may be a key in "
            "hexadecimal or Base64 in place of a path"
        )
    else:
        return
    advice = f": use {hint}" if hint else ""
    raise ConfigurationError(f"{what} {kind}{advice}.")


_HEXADECIMAL = re.compile(r"(?:[0-9a-fA-F]{2}[: -]?){16,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{22,}={0,2}")
_OF_BASE64 = [re.compile(kind) for kind in ("[A-Z]", "[a-z]", "[0-9]")]
"""Kinds of characters of which any Base64 of a random key has some; few paths have all."""


def _may_be_key(text: str) -> bool:
    """Return whether a text has the form of 128 bits or more in hexadecimal or Base64."""
    if _HEXADECIMAL.fullmatch(text):
        return True
    if not _BASE64.fullmatch(text):
        return False
    return text.endswith("=") or all(kind.search(text) for kind in _OF_BASE64)


def _leads_somewhere(path: str) -> bool:
    """Return whether a path names a file, or a place in a directory that exists."""
    directory = os.path.dirname(path)
    return os.path.lexists(path) or (len(directory) > 1 and os.path.isdir(directory))


def shown(value: object) -> str:
    """Return a value for an error message, or only its type if it may be or hold a secret."""
    kind = type(value)
    name = f"{'an' if kind.__name__[:1] in 'aeiou' else 'a'} {kind.__name__}"
    if issubclass(kind, bytes | bytearray | memoryview | list | tuple | dict | set | frozenset):
        return name
    text = repr(value)
    if isinstance(value, str | os.PathLike) and len(os.fsdecode(cast(str, value))) > _SHORT:
        return name
    return text if len(text) <= _LONG else f"{text[: _LONG - 3]}..."


_SHORT = 12
"""Characters of a text that is shown: no key of 128 bits fits, in hexadecimal or in Base64."""

_LONG = 80
"""Characters of any value that is shown."""


def check_switch(name: str, value: object) -> None:
    """Raise `ConfigurationError` for a value other than True and False: "no" would mean yes."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, not {shown(value)}.")


def check_clock(clock: object) -> None:
    """Raise `ConfigurationError` for a clock that cannot be called, such as a time."""
    if not callable(clock):
        raise ConfigurationError("clock must be a callable that gives seconds since 1970.")


class StateError(ConfigurationError):
    """A call at the wrong time: the connection's state does not allow it.

    Examples are sending after this side has closed, and asking for the negotiated parameters
    before the handshake is complete. It is a `ConfigurationError` so that one `except` clause
    catches every misuse of this library; the connection itself is not harmed.

    >>> client = ClientConnection(server_name="example.com")
    >>> try:
    ...     client.send_data(b"hello")
    ... except StateError as error:
    ...     print(error)
    The handshake is not complete: cannot send data yet.
    """


def made_anew(kind: type[OSError], args: tuple[Any, ...], attributes: dict[str, Any]) -> OSError:
    """Return an exception with these arguments and attributes, without calling its class."""
    made = kind.__new__(kind, *args)
    OSError.__init__(made, *args)
    made.__dict__.update(attributes)
    return made


def reduced(self: OSError) -> tuple[Any, ...]:
    """Give `pickle` and `copy` what the exception has, and not what its class is called with.

    A pool of processes sends what a worker raises, and breaks where that cannot be made anew.
    """
    return made_anew, (type(self), self.args, self.__dict__)


class SentAfterClose(BrokenPipeError, StateError):
    """A call to send on a socket that has already sent close_notify.

    It is a `BrokenPipeError`, which the sockets of the standard library raise in this case, and a
    `StateError` as well.
    """

    def __init__(self, message: str) -> None:
        super().__init__(errno.EPIPE, message)

    __reduce__ = reduced


class WantRead(BlockingIOError):
    """A non-blocking socket must become readable before the call can go on.

    Wait for that with a selector, and call again. The counterpart in `ssl` is `SSLWantReadError`.

    See docs/sockets.md for an example.
    """

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "The TLS socket must be ready to read first.")

    __reduce__ = reduced


class WantWrite(BlockingIOError):
    """A non-blocking socket must become writable before the call can go on.

    Wait for that with a selector, and call again with the same arguments: a part of the data given
    to `send` or `sendall` may have been sent. The counterpart in `ssl` is `SSLWantWriteError`.

    See docs/sockets.md for an example.
    """

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "The TLS socket must be ready to write first.")

    __reduce__ = reduced


class TLSError(OSError):
    """A connection failed. The subclass tells which side found the fault.

    >>> try:
    ...     handclasp.connect("example.com", 443, server_name="example.org")
    ... except TLSError as error:
    ...     print(error.fault_name, error.alert, error.blame)
    CERTIFICATE_NAME_MISMATCH bad_certificate peer

    Attributes:
        origin: "local" if this side found the fault, "peer" if the peer sent an alert.
        fault: the fault in the catalogue; None if the peer sent an alert, which is in `alert`.
        fault_name: its name, or "PEER_" and the name of the alert, for logs and counters.
        alert: the RFC's name of the alert that was sent or received; empty if there was none, for
            example because the other end closed the transport.
        message: what happened, with the details, in one line.
        explanation: the same for people who have not read the RFC.
        fix: the advice for either end; empty if nothing is known to help.
        blame: the end whose fault it is, as far as this side can know (a `Blame`): "peer", "local",
            "network" or "unclear".
        condition: the case in which somebody else is to blame, such as "unless the clock of this
            machine is wrong"; if the blame is unclear, the candidates and the reasons. May be
            empty.
        causes: for an alert from the peer, its likely causes, the likeliest first.
    """

    origin: str = "local"
    alert: str = "internal_error"
    explanation: str = ""
    fix: str = ""
    blame: Blame = Blame.UNCLEAR
    condition: str = ""
    causes: tuple[Cause, ...] = ()

    __reduce__ = reduced

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
    """This side found a fault, which is in `fault`.

    >>> client = ClientConnection(server_name="example.com")
    >>> try:
    ...     client.receive_data(b"HTTP/1.1 400 Bad Request")
    ... except ProtocolError as error:
    ...     print(error.fault, error.alert)
    Fault.PLAINTEXT_HTTP unexpected_message

    Args:
        fault: the fault; the catalogue's texts apply unless the following arguments replace them.
        detail: the details, which follow the sentence in parentheses.
        sentence: what happened, if more is known than the catalogue can say for all cases. It
            includes the details.
        fix: the advice, for the same reason.
        verdict: the end to blame, for the same reason.
        alert: the number of the alert to send, if the application chose another one.
    """

    def __init__(
        self,
        fault: Fault,
        detail: str = "",
        *,
        sentence: str = "",
        fix: str = "",
        verdict: Verdict | None = None,
        alert: int | None = None,
    ) -> None:
        self._fault = fault
        self.detail = detail
        self.alert_number = fault.alert if alert is None else alert
        self.alert = alert_name(self.alert_number) if fault.sends_alert else ""
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

    def found_by(
        self, role: Role, *, nothing_came: bool = False, hello_is_large: bool = False
    ) -> None:
        """Set the role that found the fault, on which the blame and the advice may depend.

        A verdict or an advice of this very case stays.

        Args:
            role: of the end that found the fault.
            nothing_came: whether the other end had not sent a single byte.
            hello_is_large: whether that may be because a client's hello takes several packets.
        """
        if self._verdict is None:
            self.blame, self.condition = self.fault.verdict(role, nothing_came=nothing_came)
        if self.fix == self.fault.fix:
            self.fix = self.fault.fix_of(role, nothing_came=nothing_came)
            self.__notes__ = [self.fix] if self.fix else []
        if hello_is_large and nothing_came and role == "client" and self.fault in _ENDS:
            self.explanation = f"{self.explanation} {LARGE_HELLO}"
            self.args = (f"{self.message} {LARGE_HELLO}",)
            here = "" if "On this end: " in self.fix else "On this end: "
            self.fix = f"{self.fix} {here}{SMALLER_HELLO}"
            self.__notes__ = [self.fix]


_ENDS = (
    Fault.CLOSED_DURING_HANDSHAKE,
    Fault.RESET_DURING_HANDSHAKE,
    Fault.HANDSHAKE_TIMEOUT,
    Fault.HANDSHAKE_ABANDONED,
)
"""Faults for which the other end gives no reason."""


class CertificateError(ProtocolError):
    """This side refused the peer's certificate, for the reason in `fault`.

    >>> try:
    ...     handclasp.connect("example.com", 443, server_name="example.org")
    ... except CertificateError as error:
    ...     print(error.fault_name, error.place)
    CERTIFICATE_NAME_MISMATCH (0, 'subjectAltName')

    Attributes:
        chain_der, ocsp_response, sct_list: the peer's certificates and evidence, as
            `handclasp.certificates.explain` takes them; empty and None if the peer was refused
            before they were verified.
        place: the place of the fault: the index of the certificate in `chain_der`, from 0 (None if
            it is not in the chain, such as a trusted authority), and the field of that certificate,
            such as "notAfter" or "subjectAltName".
        public_name: the name that the chain was verified for, if that was not the server's own: the
            public name of an ECH configuration, which a server that does not accept the encrypted
            hello has to prove to be (RFC 9849 section 6.1.7). Empty in all other cases.
    """

    public_name: str = ""
    place: tuple[int | None, str] = (None, "")
    chain_der: tuple[bytes, ...] = ()
    ocsp_response: bytes | None = None
    sct_list: bytes | None = None

    def at(self, certificate: int | None, field: str) -> CertificateError:
        """Set `place`, and return the error itself."""
        self.place = certificate, field
        return self


class TruncationError(ProtocolError):
    """The transport ended without close_notify (RFC 9846 section 6.1).

    >>> client = ClientConnection(server_name="example.com")
    >>> try:
    ...     client.receive_eof()
    ... except TruncationError as error:
    ...     print(error.fault_name)
    CLOSED_DURING_HANDSHAKE
    """


class HandshakeTimeoutError(ProtocolError, TimeoutError):
    """The handshake did not complete in time.

    Here `listener` is a socket that nobody accepts from:

    >>> address = listener.getsockname()
    >>> try:
    ...     handclasp.connect(*address, server_name="example.com", timeout=0.05)
    ... except HandshakeTimeoutError as error:
    ...     print(error.fault_name, error.blame)
    HANDSHAKE_TIMEOUT peer
    """


class PeerAlertError(TLSError):
    """The peer sent a fatal alert (RFC 9846 section 6.2).

    With the `situation` in which it arrived, `causes` are its likely causes (see `Cause`);
    `explanation`, `fix`, `blame` and `condition` are then those of the likeliest, or of all if none
    stands out, and `others` are the causes that the explanation leaves out.

    >>> try:
    ...     handclasp.connect("example.com", 443, ClientConfig(alpn=["postgresql"]))
    ... except PeerAlertError as error:
    ...     print(error.alert, [cause.fault for cause in error.causes])
    no_application_protocol ['NO_SHARED_APPLICATION_PROTOCOL']
    """

    origin = "peer"

    def __init__(self, alert_number: int, situation: Situation | None = None) -> None:
        self.alert_number = alert_number
        self.alert = alert_name(alert_number)
        explained = explain_alert(alert_number, situation)
        self.explanation, self.fix = explained.sentence, explained.fix
        self.blame, self.condition = explained.verdict
        self.causes, self.others = explained.causes, explained.others
        other = "peer" if situation is None else other_end(situation)
        super().__init__(
            f"The {other} ended the connection with the alert {self.alert}. {self.explanation}"
        )
        _note_fix(self)

    @property
    def fault(self) -> None:
        return None

    @property
    def fault_name(self) -> str:
        return f"PEER_{self.alert.upper().replace(' ', '_')}"


def _note_fix(error: TLSError) -> None:
    """Add the advice as a note, so that it also appears under an uncaught traceback."""
    if error.fix:
        error.add_note(error.fix)
