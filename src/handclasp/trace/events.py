"""The events of a trace: one frozen value for each.

`at_ns` is nanoseconds since the creation of the recorder. Names are IANA strings; numbers are those
on the wire, so that a trace can also hold values without a name.

>>> from handclasp.trace import events
>>> recorder = Recorder()
>>> handclasp.connect("example.com", 443, trace=recorder).close()
>>> for event in recorder.events:
...     match event:
...         case events.Began(_, role, name):
...             print(role, name)
...         case events.HandshakeResult(_, info):
...             print(info.version)
client example.com
TLSv1.3

A connection begins with `Began`, and ends its handshake with `HandshakeResult` or `Failed`. Between
them are its messages (`MessageSeen`, `InnerHello`), records (`RecordSeen`), alerts (`AlertSeen`)
and keys (`KeysInstalled`, `KeyStep`, `SecretDerived`); what was decided (`DecisionTaken`, with each
offer that was `Refused`), asked (`QuestionPut`, `QuestionAnswered`) and computed (`WorkDone`); and
the transport below (`TransportSeen`, `WireSeen`, `TransportEnded`, `BytesRefused`). Only captures
have `Observed` and `BytesMissing`. A file that holds no such trace is a `TraceFormatError`.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from handclasp.crypto.secret import Secret
from handclasp.errors import CertificateError, TLSError
from handclasp.iana import HandshakeType
from handclasp.info import ConnectionInfo
from handclasp.values import dataclass, field


class TraceFormatError(ValueError):
    """The input is not a recorded trace, or is one of an unknown version."""


@dataclass(frozen=True, slots=True)
class Began:
    """The recording begins, before anything is sent or received.

    Attributes:
        role: "client" or "server".
        server_name: the name that the client connects to; None on a server, or without a name.
        began_at_ns: the time from which `at_ns` counts, in nanoseconds since 1970 (UTC); 0 if it is
            unknown.
    """

    at_ns: int
    role: str
    server_name: str | None
    began_at_ns: int = 0


@dataclass(frozen=True, slots=True)
class MessageSeen:
    """A whole handshake message, its 4-byte header included (RFC 8446 section 4).

    `epoch` is "plaintext", "early", "handshake" or "application".
    """

    at_ns: int
    direction: str
    epoch: str
    message_type: int
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class InnerHello:
    """The ClientHello that was encrypted inside of the last one (RFC 9849 section 5.1).

    It is the one that counts if the server takes it, which `DecisionTaken` tells about "ech".

    Attributes:
        raw: the whole message as it counts: with the extensions of the outer hello that it refers
            to, and without padding.
        outer_extensions: the names of those extensions.
    """

    at_ns: int
    direction: str
    raw: bytes = field(repr=False)
    outer_extensions: tuple[str, ...]

    @property
    def message(self) -> MessageSeen:
        """The hello as a message of its own, in the clear."""
        kind = HandshakeType.CLIENT_HELLO
        return MessageSeen(self.at_ns, self.direction, "plaintext", kind, self.raw)


@dataclass(frozen=True, slots=True)
class RecordSeen:
    """One record on the wire (RFC 9846 section 5).

    Attributes:
        epoch: the epoch of the keys that protect it; "plaintext" without protection.
        content_type: the type of the content, which may differ from that in the header; for a
            protected record that could not be opened, the type in the header.
        size: bytes on the wire, including the 5 of the header.
        content_size: bytes of the content, without padding; None if it could not be opened.
        work_ns: the time of sealing or opening it.
        wire: the record as it was sent, with its header; empty if it was not kept.
        content: the content; empty if it was not kept.

    `Recorder` documents the records of which the last two are kept.
    """

    at_ns: int
    direction: str
    epoch: str
    content_type: int
    size: int
    content_size: int | None = None
    work_ns: int = 0
    wire: bytes = field(default=b"", repr=False)
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class BytesRefused:
    """The first bytes received are not a TLS record: at most 64 of them.

    `direction` is "sent" in a trace of an end that did not use TLS itself.
    """

    at_ns: int
    data: bytes
    direction: str = "received"


@dataclass(frozen=True, slots=True)
class KeysInstalled:
    """Later records of this direction are protected by the keys of `epoch`."""

    at_ns: int
    direction: str
    epoch: str
    cipher_suite: str


class Refused(NamedTuple):
    """One offer that was not chosen, and the reason in words."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class DecisionTaken:
    """A choice: the offers of one side, the values that the other accepts, the result and the
    reason.

    Attributes:
        what: the subject: "version", "cipher_suite", "group", "signature_scheme", "alpn",
            "credentials", "session", "resumption", "early_data" or "ech": whether the inner hello
            was taken, or the outer one.
        offered: the offers in their order, each once; of very many only the first, and those that
            could be chosen (the message that offered them has them all).
        acceptable: the values that the choosing side accepts, in its order, as far as it is known.
        chosen: the result; None if nothing was chosen.
        why: the rule, in a few words.
        refused: each other offer, with the reason.
    """

    at_ns: int
    what: str
    offered: tuple[str, ...]
    acceptable: tuple[str, ...]
    chosen: str | None
    why: str
    refused: tuple[Refused, ...] = ()

    @property
    def shared(self) -> tuple[str, ...]:
        """The values that both sides support, in the order in which they were offered."""
        acceptable = frozenset(self.acceptable)
        return tuple(name for name in self.offered if name in acceptable)


@dataclass(frozen=True, slots=True)
class KeyStep:
    """One step of the key schedule (RFC 9846 section 7.1; RFC 5246 section 8.1).

    Attributes:
        operation: "key agreement", "key transport", "HKDF-Extract", "Derive-Secret",
            "HKDF-Expand-Label", "HMAC" or "PRF".
        output: the RFC's name of the output, such as "client_handshake_traffic_secret".
        inputs: the names of the input secrets; "0" stands for as many zeros as needed. Those of
            HKDF-Extract are the salt and the input keying material.
        label: the RFC's label, such as "c hs traffic"; for a key agreement the group, or "RSA";
            otherwise empty.
        context: the other input, which is not secret: a transcript hash, or a nonce; empty if there
            is none.
        size: the size of the output, in bytes.
        value: the output, as a `Secret`; empty without `record_secrets`.
    """

    at_ns: int
    operation: str
    output: str
    inputs: tuple[str, ...]
    label: str
    context: bytes
    size: int
    value: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.value:
            object.__setattr__(self, "value", Secret(self.value))


@dataclass(frozen=True, slots=True)
class WorkDone:
    """A public-key operation, and its time on this side.

    Attributes:
        operation: "key_generation", "key_agreement", "sign", "verify_signature", "verify_chain",
            "encrypt" or "decrypt". For a hybrid group, generation and agreement include both parts;
            a server of TLS 1.3 does both at once, as "key_agreement" (with ML-KEM: the
            encapsulation).
        algorithm: the group, the signature scheme, or the kind of chain.
        elapsed_ns: its time in nanoseconds. Signers and verifiers that are awaited have no such
            event, since most of the time would be waiting: see `QuestionAnswered`.
    """

    at_ns: int
    operation: str
    algorithm: str
    elapsed_ns: int


@dataclass(frozen=True, slots=True)
class SecretDerived:
    """A secret by its label in a key log (RFC 9850); reported only with `record_secrets`.

    A file of such lines decrypts a capture; `KeyStep` has the derivations. The value is a `Secret`:
    it is never printed, and an event or a recorder that holds one cannot be pickled.
    """

    at_ns: int
    label: str
    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", Secret(self.value))


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """An alert, by its numbers (RFC 9846 section 6).

    Attributes:
        sending: what became of one that this side made, as far as it differs from sending it:
            "program" where it was left to the program to send, which put TLS between memory BIOs,
            and "unsent" where it was not sent.
    """

    at_ns: int
    direction: str
    level: int
    description: int
    sending: str = ""


@dataclass(frozen=True, slots=True)
class QuestionPut:
    """The handshake asked a question of the application, such as to sign or to verify."""

    at_ns: int
    question: str


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """The question was answered, `elapsed_ns` nanoseconds after it was asked."""

    at_ns: int
    question: str
    elapsed_ns: int


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """The handshake is complete on this side."""

    at_ns: int
    info: ConnectionInfo


@dataclass(frozen=True, slots=True)
class Failed:
    """The connection failed; the fields are those of `TLSError`.

    `certificate` and `field` are the place of a fault in the peer's certificates: the index of the
    certificate, from 0, and its field, such as "notAfter".
    """

    at_ns: int
    origin: str
    fault: str
    alert: str
    message: str
    explanation: str
    fix: str
    blame: str = ""
    condition: str = ""
    certificate: int | None = None
    field: str = ""

    @classmethod
    def of(cls, at_ns: int, error: TLSError) -> Failed:
        """Return the event for an error."""
        number, field = error.place if isinstance(error, CertificateError) else (None, "")
        return cls(
            at_ns,
            error.origin,
            error.fault_name,
            error.alert,
            error.message,
            error.explanation,
            error.fix,
            error.blame.value,
            error.condition,
            number,
            field,
        )


@dataclass(frozen=True, slots=True)
class TransportSeen:
    """The TCP connection below: the IP addresses and ports of both ends, if they are known."""

    at_ns: int
    local_address: str
    local_port: int
    peer_address: str
    peer_port: int


@dataclass(frozen=True, slots=True)
class WireSeen:
    """Bytes that the transport sent or received, in its own pieces, whether records or not.

    They are reported only with `record_wire`.
    """

    at_ns: int
    direction: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TransportEnded:
    """The transport has ended in one direction; `how` is "end" (FIN) or "reset" (RST)."""

    at_ns: int
    direction: str
    how: str


@dataclass(frozen=True, slots=True)
class BytesMissing:
    """Bytes of one direction that are missing in the capture."""

    at_ns: int
    direction: str
    size: int


@dataclass(frozen=True, slots=True)
class Observed:
    """The trace was read from a capture: neither end recorded it, and parts of it may be hidden.

    Attributes:
        outcome: "complete" (both ends completed the handshake); "seems_complete" (as far as it is
            visible without the keys); "failed"; or "unknown", for example if the capture ends
            early.
        telling: the result of the handshake, in a sentence or two.
        not_seen: the hidden parts, and what would reveal them, in some sentences each.
    """

    at_ns: int
    outcome: str
    telling: str
    not_seen: tuple[str, ...]


TraceEvent: TypeAlias = (
    Began
    | MessageSeen
    | InnerHello
    | RecordSeen
    | BytesRefused
    | KeysInstalled
    | DecisionTaken
    | KeyStep
    | WorkDone
    | SecretDerived
    | AlertSeen
    | QuestionPut
    | QuestionAnswered
    | HandshakeResult
    | Failed
    | TransportSeen
    | WireSeen
    | TransportEnded
    | BytesMissing
    | Observed
)
