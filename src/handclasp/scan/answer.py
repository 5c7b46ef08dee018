"""The answer to a hello, read without answering it: a ServerHello, or the flight behind it.

Up to TLS 1.2 the server's whole first flight is in the clear, and says which certificate, group and
signature the server chose. In TLS 1.3 the ServerHello or HelloRetryRequest alone is.

The server is a stranger: `AnswerReader` takes at most `MOST_BYTES`, messages up to the sizes in
`Limits`, and turns all that is malformed into an `Answer` that says so.
"""

from __future__ import annotations

from typing import Literal

from handclasp.advice import worded
from handclasp.errors import ProtocolError
from handclasp.iana import (
    TLS12,
    TLS13,
    ContentType,
    ExtensionType,
    HandshakeType,
    alert_name,
)
from handclasp.limits import Limits
from handclasp.scan.suites import exchange_of
from handclasp.values import dataclass, field
from handclasp.wire.extensions import (
    read_key_share_hello_retry_request,
    read_key_share_server_hello,
    read_selected_version,
)
from handclasp.wire.framing import check_message_size, message_size
from handclasp.wire.messages import HEADER_SIZE, ServerHello, read_message
from handclasp.wire.messages12 import CODECS12, NAMED_CURVE, Certificate12, CertificateStatus
from handclasp.wire.reader import Reader
from handclasp.wire.records import HEADER_SIZE as RECORD_HEADER
from handclasp.wire.records import MAX_CIPHERTEXT, refused_start

MOST_BYTES = 256 * 1024
"""The bytes of an answer that are read: several times the largest chain that browsers accept."""

EVIDENCE_BYTES = 96
"""The first bytes of an answer that are kept as evidence."""

_MOST_MESSAGES = 16
_MOST_WARNINGS = 4
_MOST_AUTHORITIES = 256
_FATAL = 2

Ending = Literal[
    "open", "hello", "flight", "alert", "closed", "reset", "silent", "malformed", "not tls"
]


@dataclass(frozen=True, slots=True)
class KeyExchange:
    """The parameters in a ServerKeyExchange.

    Attributes:
        group: the code of the named group; None in the exchanges without one.
        dh_bits: the size of the prime of a finite-field exchange; 0 in others.
        scheme: the code of the signature scheme, which TLS 1.2 alone names; 0 where there is none.
    """

    group: int | None = None
    dh_bits: int = 0
    scheme: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """The request for a client certificate.

    Attributes:
        authorities: the DER names of the authorities, at most 256 of them.
        count: how many names the server sent.
    """

    authorities: tuple[bytes, ...]
    count: int


@dataclass(slots=True)
class Answer:
    """The answer of a server to one hello.

    Attributes:
        ending: "hello" or "flight" where the answer is whole, as far as it was asked for; otherwise
            the reason why not: an "alert", a connection that was "closed" or "reset", a server
            that was "silent" for too long, or bytes that are "malformed" or "not tls".
        detail: the reason in words; empty for a whole answer.
        hello: the ServerHello or HelloRetryRequest.
        version: the version that the server chose; 0 without a ServerHello.
        alert: the code of a fatal alert, or of a warning before the end; None without one.
        certificates: the chain in DER, leaf first.
        status: the stapled OCSP response; empty without one.
        key_exchange: the ServerKeyExchange; None without one.
        request: the CertificateRequest; None without one.
        evidence: the first bytes of the ServerHello, the alert, or whatever came.
        fix: what to do about an answer that is no TLS, with the options of the command line.
    """

    ending: Ending = "open"
    detail: str = ""
    hello: ServerHello | None = None
    version: int = 0
    alert: int | None = None
    certificates: tuple[bytes, ...] = field(default=(), repr=False)
    status: bytes = field(default=b"", repr=False)
    key_exchange: KeyExchange | None = None
    request: Request | None = None
    evidence: bytes = field(default=b"", repr=False)
    fix: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the server went on with the handshake."""
        return self.hello is not None

    @property
    def is_lost(self) -> bool:
        """Whether it ended otherwise than by a whole answer or an alert: it may be asked again."""
        return self.ending not in ("hello", "flight", "alert")

    @property
    def nothing_came(self) -> bool:
        """Whether the server kept the connection open, and sent not a byte."""
        return self.ending == "silent" and not self.evidence

    @property
    def group(self) -> int | None:
        """The group that the server chose, in whatever message it says so; None without one."""
        if self.hello is None:
            return None
        if self.version != TLS13:
            return self.key_exchange.group if self.key_exchange is not None else None
        share = self.hello.extensions.get(ExtensionType.KEY_SHARE)
        if share is None:
            return None
        if self.hello.is_hello_retry_request:
            return read_key_share_hello_retry_request(share)
        return read_key_share_server_hello(share).group

    def said(self) -> str:
        """Return the answer in words."""
        if self.alert is not None:
            return f"alert {alert_name(self.alert)}"
        return self.detail or self.ending


class AnswerReader:
    """Reads the answer to one hello out of the bytes of a connection.

    Args:
        whole_flight: read on to the ServerHelloDone where the version is older than TLS 1.3.
    """

    def __init__(self, *, whole_flight: bool = False) -> None:
        self.answer = Answer()
        self._limits = Limits()
        self._whole_flight = whole_flight
        self._buffer = bytearray()
        self._messages = bytearray()
        self._total = self._count = self._warnings = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more needs to be read."""
        return self.answer.ending != "open"

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the server; none are its end."""
        if self.is_over:
            return
        if not data:
            self.end("closed", "the server closed the connection")
            return
        self._total += len(data)
        self._buffer += data
        if not self.answer.evidence:
            self.answer.evidence = bytes(self._buffer[:EVIDENCE_BYTES])
        try:
            self._read_records()
        except ProtocolError as error:
            self.end("malformed", str(error))
        if not self.is_over and self._total > MOST_BYTES:
            self.end("malformed", f"more than {MOST_BYTES:,} bytes came in answer to a hello")

    def end(self, ending: Ending, detail: str) -> None:
        """End the answer for a reason outside of it; the first ending counts."""
        if not self.is_over:
            self.answer.ending, self.answer.detail = ending, detail

    def _read_records(self) -> None:
        buffer, at = self._buffer, 0
        while not self.is_over and len(buffer) - at >= RECORD_HEADER:
            kind, size = buffer[at], buffer[at + 3] << 8 | buffer[at + 4]
            if kind in _KINDS and buffer[at + 1] == 3 and size > MAX_CIPHERTEXT:
                most = f"{MAX_CIPHERTEXT:,} are the most (RFC 9846 section 5.2)"
                self.end("malformed", f"a record of {size:,} bytes, and {most}")
                return
            if kind not in _KINDS or buffer[at + 1] != 3:
                error = refused_start(bytes(buffer[at : at + 64]), from_client=False)
                error.found_by("client")
                self.end("not tls", f"the answer is no TLS: {error.detail}")
                self.answer.fix = worded(error.fix, "connect")
                return
            after = at + RECORD_HEADER + size
            if after > len(buffer):
                break
            content = bytes(buffer[at + RECORD_HEADER : after])
            at = after
            if kind == ContentType.ALERT:
                self._receive_alert(content)
            elif kind == ContentType.HANDSHAKE:
                self._messages += content
                self._read_messages()
        del buffer[:at]

    def _receive_alert(self, content: bytes) -> None:
        if len(content) != 2:
            self.end("malformed", f"an alert of {len(content)} bytes")
            return
        level, self.answer.alert = content
        self._warnings += 1
        if level == _FATAL or self.answer.alert == 0 or self._warnings > _MOST_WARNINGS:
            if not self.answer.accepted:
                self.answer.evidence = bytes((21, 3, 3, 0, 2)) + content
            self.end("alert", f"the server sent the alert {alert_name(self.answer.alert)}")

    def _read_messages(self) -> None:
        stream, at = self._messages, 0
        while not self.is_over and len(stream) - at >= HEADER_SIZE:
            size = message_size(stream, at)
            check_message_size(self._limits, stream[at], size)
            if at + size > len(stream):
                break
            raw = bytes(stream[at : at + size])
            at += size
            self._count += 1
            if self._count > _MOST_MESSAGES:
                self.end("malformed", f"more than {_MOST_MESSAGES} messages in one flight")
                return
            self._receive_message(raw)
        del stream[:at]

    def _receive_message(self, raw: bytes) -> None:
        kind, answer = raw[0], self.answer
        if kind == HandshakeType.HELLO_REQUEST:
            return
        if answer.hello is None:
            self._receive_hello(raw)
        elif kind == HandshakeType.CERTIFICATE:
            answer.certificates = _certificates(raw)[: self._limits.max_certificates]
        elif kind == HandshakeType.CERTIFICATE_STATUS:
            answer.status = _read(CertificateStatus, raw).response
        elif kind == HandshakeType.SERVER_KEY_EXCHANGE:
            answer.key_exchange = _key_exchange(raw, answer.version, answer.hello.cipher_suite)
        elif kind == HandshakeType.CERTIFICATE_REQUEST:
            answer.request = _request(raw, answer.version)
        elif kind == HandshakeType.SERVER_HELLO_DONE:
            self.end("flight", "")
        else:
            self.end("malformed", f"a message of type {kind} stands in the server's flight")

    def _receive_hello(self, raw: bytes) -> None:
        if raw[0] != HandshakeType.SERVER_HELLO:
            self.end("malformed", f"a message of type {raw[0]} in place of a ServerHello")
            return
        hello = read_message(raw)
        if not isinstance(hello, ServerHello):  # The type says that it is one.
            return
        selected = hello.extensions.get(ExtensionType.SUPPORTED_VERSIONS)
        version = read_selected_version(selected) if selected is not None else hello.legacy_version
        answer = self.answer
        answer.evidence = raw[:EVIDENCE_BYTES]
        answer.version, answer.hello = version, hello
        try:
            _ = answer.group
        except ProtocolError:
            answer.version, answer.hello = 0, None
            raise
        if version == TLS13 or not self._whole_flight:
            self.end("hello", "")


_KINDS = {
    ContentType.CHANGE_CIPHER_SPEC,
    ContentType.ALERT,
    ContentType.HANDSHAKE,
    ContentType.APPLICATION_DATA,
}


def _read(kind: type[CertificateStatus], raw: bytes) -> CertificateStatus:
    reader = Reader(raw, kind.__name__, HEADER_SIZE)
    message: CertificateStatus = CODECS12[kind][1](reader, raw)
    reader.end()
    return message


def _certificates(raw: bytes) -> tuple[bytes, ...]:
    reader = Reader(raw, "Certificate", HEADER_SIZE)
    message: Certificate12 = CODECS12[Certificate12][1](reader, raw)
    reader.end()
    return message.certificate_list


def _key_exchange(raw: bytes, version: int, suite: int) -> KeyExchange | None:
    """Read as much of a ServerKeyExchange as a scan asks for.

    RFC 5246 section 7.4.3 for finite fields, RFC 8422 section 5.4 for curves. The form depends on
    the suite; those with pre-shared keys or passwords begin with a hint and are left unread.
    """
    name = exchange_of(suite)
    reader = Reader(raw, "ServerKeyExchange", HEADER_SIZE)
    group, dh_bits = None, 0
    if "PSK" in name or "SRP" in name or "ECCPWD" in name:
        return KeyExchange()
    if name.startswith(("ECDHE", "ECDH_anon")):
        if reader.uint8("curve_type") != NAMED_CURVE:
            return KeyExchange()
        group = reader.uint16("namedcurve")
        reader.opaque8("point", 1)
    elif name.startswith(("DHE", "DH_anon")):
        prime = reader.opaque16("dh_p", 1)
        dh_bits = int.from_bytes(prime, "big").bit_length()
        reader.opaque16("dh_g", 1)
        reader.opaque16("dh_Ys", 1)
    else:
        return KeyExchange()
    signed = version == TLS12 and not name.endswith("anon")
    return KeyExchange(group, dh_bits, reader.uint16("algorithm") if signed else 0)


def _request(raw: bytes, version: int) -> Request:
    """Read a CertificateRequest (RFC 5246 section 7.4.4; older versions have no schemes)."""
    reader = Reader(raw, "CertificateRequest", HEADER_SIZE)
    reader.opaque8("certificate_types", 1)
    if version == TLS12:
        reader.packed16("supported_signature_algorithms")
    names = tuple(reader.vector16("certificate_authorities").opaques16("DistinguishedName", 1))
    reader.end()
    return Request(names[:_MOST_AUTHORITIES], len(names))
