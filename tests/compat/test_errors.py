"""Exceptions: of the class that programs of `ssl` catch, with its words, and an explanation."""

from __future__ import annotations

import contextlib
import copy
import pickle
import socket
import ssl
import traceback
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.compat.pairs import Bios, Files, Met, client_context, meet, server_context
from tests.pki import Leaf, Pki

from handclasp import CertificateError, PeerAlertError, ProtocolError, TLSError
from handclasp.compat import SSLContext, errors, find_failure
from handclasp.faults import Fault

DAY = timedelta(days=1)


def failed(error: object) -> ssl.SSLError:
    """The error of a client, which is both."""
    assert isinstance(error, ssl.SSLError)
    assert isinstance(error, TLSError)
    assert error.explanation
    return error


def with_leaf(files: Files, leaf: Leaf, name: str = "localhost") -> Met:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.leaf("bad", leaf))
    return meet(server, client_context("handclasp", files), server_hostname=name)


@pytest.mark.parametrize(
    ("change", "name", "code", "words"),
    [
        (lambda now: Leaf(not_after=now - DAY, not_before=now - 9 * DAY), "localhost", 10, None),
        (lambda now: Leaf(not_before=now + DAY), "localhost", 9, None),
        (
            lambda _: Leaf(),
            "other.example",
            62,
            "Hostname mismatch, certificate is not valid for 'other.example'.",
        ),
        (
            lambda _: Leaf(),
            "192.0.2.9",
            64,
            "IP address mismatch, certificate is not valid for '192.0.2.9'.",
        ),
    ],
)
def test_a_certificate_that_is_refused(
    files: Files, change: Callable[..., Leaf], name: str, code: int, words: str | None
) -> None:
    leaf = change(files.pki.now)
    error = failed(with_leaf(files, leaf, name).client)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.leaf("bad", leaf))
    theirs = meet(server, client_context("ssl", files), server_hostname=name).client
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert isinstance(error, ValueError)
    assert isinstance(error, CertificateError)
    assert error.verify_code == theirs.verify_code == code
    assert error.verify_message == theirs.verify_message == (words or theirs.verify_message)
    assert error.reason == theirs.reason == "CERTIFICATE_VERIFY_FAILED"
    assert error.library == "SSL"
    assert error.args[0] == 1
    assert str(error) == str(theirs).partition(" (_ssl.c")[0]
    assert error.place is not None


@pytest.mark.parametrize("sends_root", [False, True])
def test_a_stranger_s_authority(files: Files, sends_root: bool) -> None:
    stranger = Files(Pki(), files.directory)
    path = stranger.leaf("stranger")
    if sends_root:
        path.write_bytes(path.read_bytes() + stranger.pki.ca_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    ours = client_context("handclasp", Files(Pki(), files.directory))
    theirs = client_context("ssl", Files(Pki(), files.directory))
    errors_of_both = [meet(server, each).client for each in (ours, theirs)]
    codes = [each.verify_code for each in errors_of_both]
    assert codes == [19, 19] if sends_root else [20, 20]


def test_a_traceback_explains(files: Files) -> None:
    error = failed(with_leaf(files, Leaf(("a.example",))).client)
    told = "".join(traceback.format_exception(error))
    assert "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch" in told
    assert "handclasp: " in told
    assert "a.example" in told
    assert "At fault: " in told
    assert "During handling" not in told


def exchange(answer: bytes) -> ssl.SSLError:
    """What a client makes of a peer that answers its hello so."""
    ours, other = socket.socketpair()
    with ours, other:
        other.sendall(answer)
        other.shutdown(socket.SHUT_WR)
        context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with pytest.raises(ssl.SSLError) as caught:
            context.wrap_socket(ours, server_hostname="localhost")
    return failed(caught.value)


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "WRONG_VERSION_NUMBER", "wrong version number"),
        (b"220 mail.example ESMTP\r\n", "WRONG_VERSION_NUMBER", "wrong version number"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "SSLV3_ALERT_HANDSHAKE_FAILURE", "handshake failure"),
        (b"\x15\x03\x03\x00\x02\x02\x30", "TLSV1_ALERT_UNKNOWN_CA", "alert unknown ca"),
        (b"\x15\x03\x03\x00\x02\x02\x70", "TLSV1_UNRECOGNIZED_NAME", "unrecognized name"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "TLSV1_ALERT_PROTOCOL_VERSION", "protocol version"),
        (b"\x15\x03\x03\x00\x02\x02\x64", "TLSV1_ALERT_NO_RENEGOTIATION", "no renegotiation"),
        (b"\x15\x03\x03\x00\x02\x02\x1e", "SSLV3_ALERT_DECOMPRESSION_FAILURE", "n failure"),
        (b"\x15\x03\x03\x00\x02\x02\x6f", "TLSV1_CERTIFICATE_UNOBTAINABLE", "unobtainable"),
        (b"", "UNEXPECTED_EOF_WHILE_READING", "EOF occurred in violation of protocol"),
    ],
)
def test_an_answer_that_is_none(answer: bytes, reason: str, words: str) -> None:
    error = exchange(answer)
    assert error.reason == reason
    assert words in str(error)
    assert isinstance(error, ssl.SSLEOFError) is (not answer)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    "junk", [b"HTTP/1.1 200 OK\r\n\r\n", b"\x17\x02\x03\0\1a", b"\x63\3\3\0\1a"]
)
def test_what_is_no_record_in_mid_connection(
    files: Files, version: ssl.TLSVersion, junk: bytes
) -> None:
    """`ssl` gives no reason for some in TLS 1.2; where it does, ours is the same."""
    reasons = []
    for kind in ("ssl", "handclasp"):
        context = client_context(kind, files)
        context.maximum_version = version
        pair = Bios(server_context("ssl", files), context).handshake()
        with contextlib.suppress(ssl.SSLWantReadError):
            pair.client.read(1)
        pair.to_client.write(junk)
        with pytest.raises(ssl.SSLError) as caught:
            pair.client.read(1)
        reasons.append(caught.value.reason)
    assert reasons[1] == (reasons[0] or "BAD_RECORD_TYPE")


def test_a_client_that_speaks_http(files: Files) -> None:
    ours, other = socket.socketpair()
    with ours, other:
        other.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(ssl.SSLError, match="http request") as caught:
            server_context("handclasp", files).wrap_socket(ours, server_side=True)
        assert caught.value.reason == "HTTP_REQUEST"
        ours.close()
        other.settimeout(5)
        # An alert would be shown to a person by a program that speaks HTTP.
        with contextlib.suppress(ConnectionResetError):
            assert other.recv(100) == b""


@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_copies(copied: Callable[[ssl.SSLError], ssl.SSLError]) -> None:
    error = errors.translated(CertificateError(Fault.CERTIFICATE_EXPIRED, "long ago"), "a.example")
    other = copied(error)
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert (other.reason, other.fault) == (error.reason, error.fault)  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_its_exception(fault: Fault) -> None:
    error = errors.translated(ProtocolError(fault, "a detail"))
    assert isinstance(error, ssl.SSLError)
    assert error.reason
    assert error.reason == error.reason.upper()
    assert str(error).startswith(f"[SSL: {error.reason}] ")
    assert any("handclasp: " in note for note in error.__notes__)


@pytest.mark.parametrize("number", [*range(256)])
def test_every_alert_has_its_exception(number: int) -> None:
    error = errors.translated(PeerAlertError(number))
    assert error.reason
    assert "alert" in str(error).lower() or error.reason.startswith("TLSV1_")


class Wrapping(Exception):
    """As urllib3's MaxRetryError: its reason is an attribute, and no cause."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__("Max retries exceeded")
        self.reason = reason


def wrapped_by_cause(error: BaseException) -> BaseException:
    made = RuntimeError("connect failed")
    made.__cause__ = error
    return made


@pytest.mark.parametrize(
    "wrap",
    [
        lambda error: error,
        Wrapping,
        lambda error: ConnectionError(Wrapping(error)),
        wrapped_by_cause,
        lambda error: BaseExceptionGroup("several", [KeyError(1), wrapped_by_cause(error)]),
    ],
)
@pytest.mark.parametrize("kind", [lambda error: error, errors.translated])
def test_the_failure_in_an_exception_is_found(
    wrap: Callable[[BaseException], BaseException], kind: Callable[[TLSError], BaseException]
) -> None:
    failure = kind(CertificateError(Fault.CERTIFICATE_EXPIRED))
    assert find_failure(wrap(failure)) is failure
    assert find_failure(wrap(ConnectionRefusedError(111, "refused"))) is None
