"""Exceptions that are both: of the class that `ssl` raises, and of this library's.

`translated` makes them. Programs that catch `ssl.SSLError`, compare `reason` or `verify_code`, or
search the text find what they know from `ssl`. The same object is a `TLSError`, so it also has
`explanation`, `fix`, `blame` and `fault`, and a traceback shows them as notes.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from handclasp.advice import at_fault, worded
from handclasp.compat.libraries import settings_by_library, with_timeout_named
from handclasp.compat.stories import HOW_TO_TRACE, story_of
from handclasp.errors import (
    CertificateError,
    ConfigurationError,
    PeerAlertError,
    TLSError,
    TruncationError,
    made_anew,
)
from handclasp.faults import Fault
from handclasp.iana import AlertDescription as Alert

if TYPE_CHECKING:
    from handclasp.trace.hooks import Trace


class _Reason(NamedTuple):
    """The name that `ssl` gives to a failure, and the words that follow it."""

    name: str
    words: str


EXPLANATION = "handclasp: "
"""The beginning of the notes that explain an exception."""

_REASONS: dict[Fault, str] = {
    Fault.NOT_TLS: "WRONG_VERSION_NUMBER",
    Fault.PLAINTEXT_HTTP: "HTTP_REQUEST",
    Fault.SSLV2_HELLO: "UNSUPPORTED_PROTOCOL",
    Fault.RECORD_OVERFLOW: "ENCRYPTED_LENGTH_TOO_LONG",
    Fault.BAD_RECORD_MAC: "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    Fault.UNEXPECTED_MESSAGE: "UNEXPECTED_MESSAGE",
    Fault.NOT_A_TLS_RECORD: "WRONG_VERSION_NUMBER",
    Fault.UNEXPECTED_RECORD_TYPE: "BAD_RECORD_TYPE",
    Fault.UNPROTECTED_RECORD: "BAD_RECORD_TYPE",
    Fault.UNEXPECTED_CHANGE_CIPHER_SPEC: "CCS_RECEIVED_EARLY",
    Fault.DECODE_ERROR: "LENGTH_MISMATCH",
    Fault.DUPLICATE_EXTENSION: "BAD_EXTENSION",
    Fault.MISPLACED_EXTENSION: "BAD_EXTENSION",
    Fault.UNSOLICITED_EXTENSION: "UNSOLICITED_EXTENSION",
    Fault.MISSING_EXTENSION: "BAD_EXTENSION",
    Fault.HANDSHAKE_MESSAGE_TOO_LARGE: "EXCESSIVE_MESSAGE_SIZE",
    Fault.NO_SHARED_VERSION: "UNSUPPORTED_PROTOCOL",
    Fault.UNOFFERED_VERSION: "WRONG_SSL_VERSION",
    Fault.NO_SHARED_CIPHER_SUITE: "NO_SHARED_CIPHER",
    Fault.UNOFFERED_CIPHER_SUITE: "WRONG_CIPHER_RETURNED",
    Fault.NO_SHARED_GROUP: "NO_SUITABLE_KEY_SHARE",
    Fault.NO_SHARED_SIGNATURE_SCHEME: "NO_SUITABLE_SIGNATURE_ALGORITHM",
    Fault.NO_SHARED_APPLICATION_PROTOCOL: "NO_APPLICATION_PROTOCOL",
    Fault.UNRECOGNIZED_NAME: "CALLBACK_FAILED",
    Fault.VERSION_DOWNGRADE: "INAPPROPRIATE_FALLBACK",
    Fault.INAPPROPRIATE_FALLBACK: "INAPPROPRIATE_FALLBACK",
    Fault.EXTENDED_MASTER_SECRET_MISSING: "INCONSISTENT_EXTMS",
    Fault.SECURE_RENEGOTIATION_MISSING: "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
    Fault.RENEGOTIATION: "NO_RENEGOTIATION",
    Fault.CLIENT_CERTIFICATE_MISSING: "PEER_DID_NOT_RETURN_A_CERTIFICATE",
    Fault.CLIENT_CERTIFICATE_MISSING12: "PEER_DID_NOT_RETURN_A_CERTIFICATE",
    Fault.BAD_KEY_SHARE: "BAD_KEY_SHARE",
    Fault.BAD_FINISHED: "DIGEST_CHECK_FAILED",
    Fault.BAD_SIGNATURE: "BAD_SIGNATURE",
    Fault.CALLBACK_FAILED: "CALLBACK_FAILED",
    Fault.TRUNCATED: "UNEXPECTED_EOF_WHILE_READING",
    Fault.CLOSED_DURING_HANDSHAKE: "UNEXPECTED_EOF_WHILE_READING",
}
"""The names of OpenSSL for the faults that it has one for; the others go by their own."""

_WORDS = {
    "ENCRYPTED_LENGTH_TOO_LONG": "encrypted length too long",
    "CCS_RECEIVED_EARLY": "ccs received early",
    "UNEXPECTED_EOF_WHILE_READING": "EOF occurred in violation of protocol",
}

_OF_TLS10 = {
    Alert.UNKNOWN_CA,
    Alert.ACCESS_DENIED,
    Alert.DECODE_ERROR,
    Alert.DECRYPT_ERROR,
    Alert.PROTOCOL_VERSION,
    Alert.INSUFFICIENT_SECURITY,
    Alert.INTERNAL_ERROR,
    Alert.INAPPROPRIATE_FALLBACK,
    Alert.RECORD_OVERFLOW,
    Alert.NO_APPLICATION_PROTOCOL,
}
"""The alerts that OpenSSL's names begin with TLSV1_ALERT; newer ones follow, older are SSLV3's."""

_OF_EXTENSIONS = {
    Alert.UNSUPPORTED_EXTENSION,
    Alert.UNRECOGNIZED_NAME,
    Alert.BAD_CERTIFICATE_STATUS_RESPONSE,
}

_OF_TLS13 = {Alert.MISSING_EXTENSION, Alert.CERTIFICATE_REQUIRED}

_NAMED_OTHERWISE: dict[int, str] = {
    Alert.DECRYPTION_FAILED_RESERVED: "tlsv1 alert decryption failed",
    Alert.DECOMPRESSION_FAILURE_RESERVED: "sslv3 alert decompression failure",
    Alert.NO_CERTIFICATE_RESERVED: "sslv3 alert no certificate",
    Alert.EXPORT_RESTRICTION_RESERVED: "tlsv1 alert export restriction",
    Alert.USER_CANCELED: "tlsv1 alert user cancelled",
    Alert.NO_RENEGOTIATION_RESERVED: "tlsv1 alert no renegotiation",
    Alert.CERTIFICATE_UNOBTAINABLE_RESERVED: "tlsv1 certificate unobtainable",
    Alert.BAD_CERTIFICATE_HASH_VALUE_RESERVED: "tlsv1 bad certificate hash value",
    Alert.UNKNOWN_PSK_IDENTITY: "tlsv1 alert unknown psk identity",
}
"""The alerts that OpenSSL words in its own way."""

X509_OK = 0
UNSPECIFIED = 1
UNABLE_TO_GET_CRL = 3
CERT_NOT_YET_VALID = 9
CERT_HAS_EXPIRED = 10
DEPTH_ZERO_SELF_SIGNED_CERT = 18
SELF_SIGNED_CERT_IN_CHAIN = 19
UNABLE_TO_GET_ISSUER_CERT_LOCALLY = 20
CERT_CHAIN_TOO_LONG = 22
CERT_REVOKED = 23
INVALID_PURPOSE = 26
CERT_REJECTED = 28
HOSTNAME_MISMATCH = 62
IP_ADDRESS_MISMATCH = 64
EE_KEY_TOO_SMALL = 66

MESSAGES = {
    UNSPECIFIED: "unspecified certificate verification error",
    UNABLE_TO_GET_CRL: "unable to get certificate CRL",
    CERT_NOT_YET_VALID: "certificate is not yet valid",
    CERT_HAS_EXPIRED: "certificate has expired",
    DEPTH_ZERO_SELF_SIGNED_CERT: "self-signed certificate",
    SELF_SIGNED_CERT_IN_CHAIN: "self-signed certificate in certificate chain",
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "unable to get local issuer certificate",
    CERT_CHAIN_TOO_LONG: "certificate chain too long",
    CERT_REVOKED: "certificate revoked",
    INVALID_PURPOSE: "unsuitable certificate purpose",
    CERT_REJECTED: "certificate rejected",
    EE_KEY_TOO_SMALL: "EE certificate key too weak",
}
"""The words of OpenSSL for the results of a verification."""

_CODES: dict[Fault, int] = {
    Fault.CERTIFICATE_EXPIRED: CERT_HAS_EXPIRED,
    Fault.CERTIFICATE_NOT_YET_VALID: CERT_NOT_YET_VALID,
    Fault.CERTIFICATE_NAME_MISMATCH: HOSTNAME_MISMATCH,
    Fault.CERTIFICATE_WRONG_PURPOSE: INVALID_PURPOSE,
    Fault.CERTIFICATE_REVOKED: CERT_REVOKED,
    Fault.REVOCATION_UNKNOWN: UNABLE_TO_GET_CRL,
    Fault.UNSUPPORTED_CERTIFICATE: EE_KEY_TOO_SMALL,
    Fault.CERTIFICATE_REFUSED: CERT_REJECTED,
    Fault.CERTIFICATE_UNTRUSTED: UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
}


def translated(
    error: TLSError,
    server_name: str | None = None,
    *,
    server_side: bool = True,
    trace: Trace | None = None,
    named: Mapping[str, str] | None = None,
) -> ssl.SSLError:
    """Return the exception that a program of `ssl` gets for this one.

    Args:
        error: the failure of a connection.
        server_name: the name that the certificate was compared with, for the message.
        server_side: whether it is a server's.
        trace: of the connection, for `explain`.
        named: how the library names settings whose call this is; by default, the one on the stack.
    """
    made = _translated(error, server_name, server_side=server_side)
    # A server's certificates, and its clients, are its program's affair.
    if named is None:
        named = {} if server_side else settings_by_library()
    fix = with_timeout_named(worded(error.fix, "ssl", named), named)
    made.__dict__["fix"] = fix
    made.__dict__["__notes__"] = _notes(error, fix, "server" if server_side else "client")
    made.__dict__["trace"] = trace
    return made


def _translated(error: TLSError, server_name: str | None, *, server_side: bool) -> ssl.SSLError:
    number, base = int(ssl.SSL_ERROR_SSL), ssl.SSLError
    if isinstance(error, CertificateError):
        return _verification_failed(error, server_name)
    if isinstance(error, TruncationError):
        number, base = int(ssl.SSL_ERROR_EOF), ssl.SSLEOFError
    reason = _reason_of(error)
    if error.fault is Fault.PLAINTEXT_HTTP and not server_side:
        # A client reads an answer, not a request; programs look for these words.
        reason = _Reason("WRONG_VERSION_NUMBER", "wrong version number")
    made = _combined(error, base, number, f"[SSL: {reason.name}] {reason.words}")
    made.reason, made.library = reason.name, "SSL"
    return made


def _reason_of(error: TLSError) -> _Reason:
    """Return the name of OpenSSL for a failure, and its words."""
    if isinstance(error, PeerAlertError):
        return _of_alert(error.alert_number, error.alert)
    fault = error.fault or Fault.INTERNAL_ERROR
    name = _REASONS.get(fault, fault.name)
    return _Reason(name, _WORDS.get(name, name.replace("_", " ").lower()))


def configuration_failed(error: ConfigurationError, reason: str = "") -> ssl.SSLError:
    """Return the `SSLError` for a setting that `ssl` can honour and this library cannot."""
    text = f"[SSL: {reason}] {error}" if reason else str(error)
    made: Any = _Misconfigured(int(ssl.SSL_ERROR_SSL), text)
    made.reason, made.library = reason or None, "SSL" if reason else None
    return made  # type: ignore[no-any-return]


def plain(base: type[ssl.SSLError], number: int, text: str, reason: str = "") -> ssl.SSLError:
    """Return an exception of `ssl` for a call at the wrong time, which is no fault of a peer."""
    made: Any = base(int(number), f"[SSL: {reason}] {text}" if reason else text)
    made.reason, made.library = reason or None, "SSL" if reason else None
    return made  # type: ignore[no-any-return]


def want_read() -> ssl.SSLWantReadError:
    """Return the exception of a call that would have to wait for the peer."""
    text = "The operation did not complete (read)"
    return plain(ssl.SSLWantReadError, ssl.SSL_ERROR_WANT_READ, text)  # type: ignore[return-value]


def want_write() -> ssl.SSLWantWriteError:
    """Return the exception of a call that would have to wait until the peer has read."""
    text = "The operation did not complete (write)"
    return plain(ssl.SSLWantWriteError, ssl.SSL_ERROR_WANT_WRITE, text)  # type: ignore[return-value]


def closed() -> ssl.SSLZeroReturnError:
    """Return the exception of a read after both ends have closed."""
    text = "TLS/SSL connection has been closed (EOF)"
    return plain(ssl.SSLZeroReturnError, ssl.SSL_ERROR_ZERO_RETURN, text)  # type: ignore[return-value]


class _Misconfigured(ssl.SSLError, ConfigurationError):
    """A setting that cannot be honoured."""


def _verification_failed(error: CertificateError, server_name: str | None) -> ssl.SSLError:
    code = verify_code(error, server_name)
    message = verify_message(code, server_name)
    words = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {message}"
    made: Any = _combined(error, ssl.SSLCertVerificationError, int(ssl.SSL_ERROR_SSL), words)
    made.reason, made.library = "CERTIFICATE_VERIFY_FAILED", "SSL"
    made.verify_code, made.verify_message = code, message
    return made  # type: ignore[no-any-return]


def verify_code(error: CertificateError, server_name: str | None) -> int:
    """Return OpenSSL's number for the reason of a refusal."""
    code = _CODES.get(error.fault, UNSPECIFIED)
    if code == UNABLE_TO_GET_ISSUER_CERT_LOCALLY and error.chain_der:
        from handclasp.certificates.der import issuer_and_subject

        issuer, subject = issuer_and_subject(error.chain_der[-1])
        if issuer == subject:
            alone = len(error.chain_der) == 1
            return DEPTH_ZERO_SELF_SIGNED_CERT if alone else SELF_SIGNED_CERT_IN_CHAIN
    if code == HOSTNAME_MISMATCH and _is_address(server_name):
        return IP_ADDRESS_MISMATCH
    return code


def verify_message(code: int, server_name: str | None) -> str:
    """Return OpenSSL's words for the result of a verification, as `ssl` completes them."""
    if code == HOSTNAME_MISMATCH and server_name is None:
        return "Hostname mismatch, no server_hostname was given."  # `ssl` accepts any server then.
    if code == HOSTNAME_MISMATCH:
        return f"Hostname mismatch, certificate is not valid for '{server_name}'."
    if code == IP_ADDRESS_MISMATCH:
        return f"IP address mismatch, certificate is not valid for '{server_name}'."
    return MESSAGES.get(code, MESSAGES[UNSPECIFIED])


def _is_address(name: str | None) -> bool:
    from handclasp.certificates.names import ip_address

    return name is not None and ip_address(name) is not None and spelling_of(name) is None


def spelling_of(name: str) -> str | None:
    """Return how `ssl` would have to be given a name; None if it is written so.

    This library reads names more leniently: without the dot at the end, and without the brackets
    and the zone of an address. OpenSSL compares what it is given, and no certificate has these.
    """
    bare = name.removesuffix(".")
    if bare[:1] == "[" and bare[-1:] == "]":
        bare = bare[1:-1]
    bare = bare.partition("%")[0]
    return None if bare == name else bare


def _combined(error: TLSError, base: type[ssl.SSLError], number: int, text: str) -> ssl.SSLError:
    """Return an exception of both classes, with the attributes of `error`."""
    kind = _both(base, type(error))
    made: ssl.SSLError = kind.__new__(kind, number, text)
    OSError.__init__(made, number, text)
    made.__dict__.update(error.__dict__)
    made.__cause__ = error.__cause__
    made.__suppress_context__ = True
    return made


def _both(base: type[ssl.SSLError], ours: type[TLSError]) -> type[ssl.SSLError]:
    """Return the class of exceptions that are both: one for each pair."""
    known = _CLASSES.get((base, ours))
    if known is not None:
        return known

    def initialize(self: Any, *args: object) -> None:
        """Set what `OSError` keeps. The rest is copied from the failure itself, by `_combined`.

        Libraries also make such an exception themselves, from its class and a text.
        """
        OSError.__init__(self, *args)

    def reduce(self: Any) -> tuple[Any, ...]:
        # A trace is of this process: it has clocks and perhaps files.
        return _rebuilt, (base, ours, self.args, {**self.__dict__, "trace": None})

    def explain(self: Any, *, width: int = 80, detail: int = 0) -> str:
        """Tell the story of the handshake that failed, as `SSLSocket.explain` does.

        Without a trace that has a text, tell the reason alone, and how to get the story.
        """
        if not hasattr(self.trace, "to_text"):
            return "\n".join([*self.__dict__.get("__notes__", []), HOW_TO_TRACE]) + "\n"
        return story_of(self.trace, width=width, detail=detail)

    members: dict[str, Any] = {
        "__init__": initialize,
        "__reduce__": reduce,
        "__module__": __name__,
        "_fault": Fault.INTERNAL_ERROR,
        "alert_number": Alert.INTERNAL_ERROR,
        "others": (),
        "trace": None,
        "explain": explain,
    }
    made = type(base.__name__, (base, ours), members)
    return _CLASSES.setdefault((base, ours), made)


_CLASSES: dict[tuple[type, type], type[ssl.SSLError]] = {}


def _rebuilt(
    base: type[ssl.SSLError], ours: type[TLSError], args: tuple[Any, ...], attributes: Any
) -> ssl.SSLError:
    return cast("ssl.SSLError", made_anew(_both(base, ours), args, attributes))


def attach(made: BaseException, failure: TLSError) -> None:
    """Explain an exception of another kind, which a program gets, by a failure of `translated`.

    `find_failure` finds it among the attributes.
    """
    for note in getattr(failure, "__notes__", ()):
        made.add_note(note)
    made.__dict__["tls_failure"] = failure


def _notes(error: TLSError, fix: str, role: str) -> list[str]:
    told = str(error) if isinstance(error, PeerAlertError) else error.message
    blame = f"At fault: {at_fault(error.blame, error.condition, role)}." if error.blame else ""
    return list(filter(None, (f"{EXPLANATION}{told}", fix, blame)))


def _of_alert(number: int, name: str) -> _Reason:
    words = name.replace("_", " ")
    if (text := _NAMED_OTHERWISE.get(number)) is not None:
        return _Reason(text.upper().replace(" ", "_"), text)
    if number in _OF_EXTENSIONS:
        prefix = "tlsv1 "
    elif number in _OF_TLS13:
        prefix = "tlsv13 alert "
    elif number in _OF_TLS10:
        prefix = "tlsv1 alert "
    else:
        prefix = "sslv3 alert "
    text = prefix + words
    return _Reason(text.upper().replace(" ", "_"), text)


def transport_failed(error: OSError) -> OSError:
    """Return the failure of a socket as `ssl` raises it: a plain `OSError` of its class."""
    if error.errno == errno.EPIPE:
        return BrokenPipeError(errno.EPIPE, "Broken pipe")
    return error
