"""What a recorder notes: one frozen value per event.

`at_ns` is nanoseconds since the recorder was made. Names are IANA strings; numbers are those on
the wire, so that a trace can also hold what nobody has a name for.

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
them are its messages (`MessageSeen`), records (`RecordSeen`), alerts (`AlertSeen`) and keys
(`KeysInstalled`, `KeyStep`, `SecretDerived`); what was decided (`DecisionTaken`, with each offer
that was `Refused`), asked (`QuestionPut`, `QuestionAnswered`) and computed (`WorkDone`); and the
transport below (`TransportSeen`, `WireSeen`, `TransportEnded`, `BytesRefused`). Only captures have
`Observed` and `BytesMissing`. A file that holds no such trace is a `TraceFormatError`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from handclasp.crypto.secret import Secret
from handclasp.errors import CertificateError, TLSError
from handclasp.info import ConnectionInfo


class TraceFormatError(ValueError):
    """What should be a recorded trace is none, or one of a version that is not known here."""


@dataclass(frozen=True, slots=True)
class Began:
    """The side that records is there, before anything was sent or received.

    Attributes:
        role: "client" or "server".
        server_name: whom the client means to reach; None on a server, and where there is no name.
    """

    at_ns: int
    role: str
    server_name: str | None


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
class RecordSeen:
    """One record on the wire (RFC 8446 section 5).

    Attributes:
        epoch: whose keys protect it; "plaintext" where none do.
        content_type: what is inside, whatever the header says; of a protected record that could
            not be opened, what the header says.
        size: bytes on the wire, the 5 of the header included.
        content_size: bytes inside, without padding; None of a record that could not be opened.
        work_ns: how long sealing or opening it took.
        wire: the record as it was sent, header included; empty where it was not kept.
        content: what was inside; empty where it was not kept.

    `Recorder` says of which records the last two are kept.
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
    """What came first was no record of TLS: the start of it, at most 64 bytes.

    `direction` is "sent" where the end that is told of did not speak TLS itself.
    """

    at_ns: int
    data: bytes
    direction: str = "received"


@dataclass(frozen=True, slots=True)
class KeysInstalled:
    """From here on, records of this direction are protected by the keys of `epoch`."""

    at_ns: int
    direction: str
    epoch: str
    cipher_suite: str


class Refused(NamedTuple):
    """One offer that was not taken, and why not, in words."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class DecisionTaken:
    """A choice: what one side offered, what the other accepts, what came out and why.

    Attributes:
        what: "version", "cipher_suite", "group", "signature_scheme", "alpn", "credentials",
            "resumption" or "early_data".
        offered: in the order of whoever offered, each once; of very many only the first, and
            those that could be chosen (the message that offered them has them all).
        acceptable: in the order of whoever chose, as far as it is known here.
        chosen: None where nothing was.
        why: the rule that decided, in a few words.
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
        """What both sides can do, in the order in which it was offered."""
        acceptable = frozenset(self.acceptable)
        return tuple(name for name in self.offered if name in acceptable)


@dataclass(frozen=True, slots=True)
class KeyStep:
    """One step of the key schedule (RFC 8446 section 7.1; RFC 5246 section 8.1).

    Attributes:
        operation: "key agreement", "key transport", "HKDF-Extract", "Derive-Secret",
            "HKDF-Expand-Label", "HMAC" or "PRF".
        output: the RFC's name of what comes out, such as "client_handshake_traffic_secret".
        inputs: the names of the secrets that go in; "0" stands for as many zeros as needed. Of
            HKDF-Extract they are the salt and the input keying material.
        label: as the RFC has it, such as "c hs traffic"; of a key agreement the group, or "RSA";
            else empty.
        context: what else goes in, and is no secret: a transcript hash, or a nonce; empty where
            there is nothing.
        size: bytes of the output.
        value: the output, as a `Secret`. Only there where `record_secrets` was opted into.
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
    """An operation with public keys, and what it cost on this side.

    Attributes:
        operation: "key_generation", "key_agreement", "sign", "verify_signature", "verify_chain",
            "encrypt" or "decrypt". Of a hybrid group, generation and agreement are those of both
            halves; a server of TLS 1.3 does both at once, and its "key_agreement" is all of it
            (of ML-KEM: the encapsulation).
        algorithm: the group, the signature scheme, or what was judged.
        elapsed_ns: how long it took. A signer or verifier that is awaited has none of this, for
            most of it would be waiting: see `QuestionAnswered`.
    """

    at_ns: int
    operation: str
    algorithm: str
    elapsed_ns: int


@dataclass(frozen=True, slots=True)
class SecretDerived:
    """A secret by its label in a key log (RFC 9850). Only where `record_secrets` was opted into.

    A file of such lines decrypts a capture; how the secrets come about is told by `KeyStep`. The
    value is a `Secret`: it does not print, and an event or a recorder that has one does not pickle.
    """

    at_ns: int
    label: str
    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", Secret(self.value))


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """An alert, by its numbers (RFC 8446 section 6)."""

    at_ns: int
    direction: str
    level: int
    description: int


@dataclass(frozen=True, slots=True)
class QuestionPut:
    """The handshake asked the world outside, such as to sign or to verify."""

    at_ns: int
    question: str


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """The answer came, `elapsed_ns` nanoseconds after the question."""

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

    `certificate` and `field` say where a fault in a certificate of the peer's shows: which of those
    that it sent, counted from 0, and in which field of it, such as "notAfter".
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
        """The event that tells of an error."""
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
    """The TCP connection below: IP addresses and ports of both ends, where they are known."""

    at_ns: int
    local_address: str
    local_port: int
    peer_address: str
    peer_port: int


@dataclass(frozen=True, slots=True)
class WireSeen:
    """Bytes as the transport took or brought them, in its own pieces, records or not.

    Only noted where `record_wire` was opted into.
    """

    at_ns: int
    direction: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TransportEnded:
    """The transport brings (or takes) no more; `how` is "end" (FIN) or "reset" (RST)."""

    at_ns: int
    direction: str
    how: str


@dataclass(frozen=True, slots=True)
class BytesMissing:
    """So many bytes of one direction were said here, and are not in the capture."""

    at_ns: int
    direction: str
    size: int


@dataclass(frozen=True, slots=True)
class Observed:
    """The trace was read from a capture: neither end recorded it, and some of it may be hidden.

    Attributes:
        outcome: "complete" (both ends were seen to finish); "seems_complete" (as far as can be
            seen without the keys); "failed"; or "unknown", as where the capture ends.
        telling: what came of the handshake, in a sentence or two.
        not_seen: what could not be seen, and what it would take, in some sentences each.
    """

    at_ns: int
    outcome: str
    telling: str
    not_seen: tuple[str, ...]


TraceEvent: TypeAlias = (
    Began
    | MessageSeen
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
