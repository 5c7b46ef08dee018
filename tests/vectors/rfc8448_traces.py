"""The handshake traces of RFC 8448 as typed values.

``load(name)`` reads one trace from the ``rfc8448`` folder beside this module; ``TRACE_NAMES`` lists
them in the order of the RFC. Every value is exactly what the RFC prints, apart from the few that
the folder's README names as computed from it. Mappings and tuples keep the order of the RFC.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Role = Literal["client", "server"]
Epoch = Literal["plaintext", "early", "handshake", "application"]
ContentType = Literal["handshake", "application_data", "alert", "change_cipher_spec"]

TRACE_NAMES = (
    "simple_1rtt",
    "resumed_0rtt",
    "hello_retry_request",
    "client_authentication",
    "compatibility_mode",
)

_FOLDER = Path(__file__).with_name("rfc8448")


@dataclass(frozen=True, slots=True)
class KeyShare:
    """An ephemeral key pair; public keys are in the form that key_share carries."""

    role: Role
    group: Literal["x25519", "secp256r1"]
    private_key: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A handshake message with its four-octet header."""

    sender: Role
    encoded: bytes


@dataclass(frozen=True, slots=True)
class Extraction:
    """One HKDF-Extract of the key schedule (RFC 8446, Section 7.1)."""

    salt: bytes
    ikm: bytes
    secret: bytes


@dataclass(frozen=True, slots=True)
class Derivation:
    """One HKDF-Expand-Label; `label` is without "tls13 ", `context` is a hash or ticket nonce."""

    label: str
    prk: bytes
    context: bytes
    info: bytes
    secret: bytes


@dataclass(frozen=True, slots=True)
class TrafficKeys:
    """The key and IV that `sender` seals with, from `secret` (RFC 8446, Section 7.3)."""

    sender: Role
    epoch: Epoch
    secret: bytes
    key_info: bytes
    key: bytes
    iv_info: bytes
    iv: bytes


@dataclass(frozen=True, slots=True)
class FinishedMac:
    """The finished_key from `secret`, and the verify_data that it gives."""

    secret: bytes
    info: bytes
    finished_key: bytes
    verify_data: bytes


@dataclass(frozen=True, slots=True)
class Binder:
    """The PSK binder of the resumed handshake (RFC 8446, Section 4.2.11.2)."""

    client_hello_prefix: bytes
    transcript_hash: bytes
    secret: bytes
    info: bytes
    finished_key: bytes
    binder: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """A CertificateVerify signature; `transcript_hash` is the one that it covers.

    `pss_salt` is None for ECDSA. `has_private_key` says whether `rsa_private_key()` made it.
    """

    scheme: str
    transcript_hash: bytes
    signature: bytes
    pss_salt: bytes | None
    has_private_key: bool


@dataclass(frozen=True, slots=True)
class Record:
    """One record: `payload` is the content before protection, `encoded` the octets on the wire.

    `content_type` is the type of the content, so not always the one in the record's header.
    `sequence_number` counts the sender's records of this epoch.
    """

    name: str
    sender: Role
    content_type: ContentType
    epoch: Epoch
    sequence_number: int
    payload: bytes
    encoded: bytes


@dataclass(frozen=True, slots=True)
class RsaPrivateKey:
    """The server's RSA key of Section 2, as integers."""

    modulus: int
    public_exponent: int
    private_exponent: int
    prime1: int
    prime2: int
    exponent1: int
    exponent2: int
    coefficient: int


@dataclass(frozen=True, slots=True)
class Trace:
    """One section of RFC 8448. `resumes` names the trace whose ticket this one uses, if any."""

    name: str
    section: str
    title: str
    source: str
    cipher_suite: str
    resumes: str | None
    key_shares: Mapping[str, KeyShare]
    messages: Mapping[str, Message]
    extractions: Mapping[str, Extraction]
    derivations: Mapping[str, Derivation]
    traffic_keys: Mapping[tuple[Role, Epoch], TrafficKeys]
    finished: Mapping[Role, FinishedMac]
    binder: Binder | None
    signatures: Mapping[Role, Signature]
    records: tuple[Record, ...]

    @property
    def secrets(self) -> dict[str, bytes]:
        """Every extracted and derived secret by name, for instance "early_secret"."""
        extracted = {name: step.secret for name, step in self.extractions.items()}
        return extracted | {name: step.secret for name, step in self.derivations.items()}

    @property
    def shared_secret(self) -> bytes:
        """What the key exchange gave: the input to the handshake secret."""
        return self.extractions["handshake_secret"].ikm

    def sent_by(self, role: Role) -> tuple[Record, ...]:
        """The records of one side, in order."""
        return tuple(record for record in self.records if record.sender == role)


def load(name: str) -> Trace:
    """Read the trace called `name`, one of `TRACE_NAMES`."""
    document = _read(name)
    steps = document["steps"]
    return Trace(
        name=document["name"],
        section=document["section"],
        title=document["title"],
        source=document["source"],
        cipher_suite=document["cipher_suite"],
        resumes=document["resumes"],
        key_shares={step["name"]: _key_share(step) for step in _of(steps, "key_pair")},
        messages={step["name"]: _message(step) for step in _of(steps, "message")},
        extractions={step["name"]: _extraction(step) for step in _of(steps, "extract")},
        derivations={step["name"]: _derivation(step) for step in _of(steps, "derive")},
        traffic_keys={
            (step["sender"], step["epoch"]): _traffic_keys(step)
            for step in _of(steps, "traffic_keys")
        },
        finished={step["role"]: _finished(step) for step in _of(steps, "finished")},
        binder=next((_binder(step) for step in _of(steps, "binder")), None),
        signatures={entry["signer"]: _signature(entry) for entry in document["signatures"]},
        records=tuple(_record(step) for step in _of(steps, "record")),
    )


def rsa_private_key() -> RsaPrivateKey:
    """Read the RSA key of the server certificate (RFC 8448, Section 2). Far too small for use."""
    document = _read("rsa_private_key")
    return RsaPrivateKey(**{name: int(document[name], 16) for name in RsaPrivateKey.__slots__})


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text("ascii"))
    return document


def _of(steps: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [step for step in steps if step["kind"] == kind]


def _key_share(step: dict[str, Any]) -> KeyShare:
    return KeyShare(
        role=step["role"],
        group=step["group"],
        private_key=bytes.fromhex(step["private_key"]),
        public_key=bytes.fromhex(step["public_key"]),
    )


def _message(step: dict[str, Any]) -> Message:
    return Message(sender=step["role"], encoded=bytes.fromhex(step["message"]))


def _extraction(step: dict[str, Any]) -> Extraction:
    return Extraction(
        salt=bytes.fromhex(step["salt"]),
        ikm=bytes.fromhex(step["ikm"]),
        secret=bytes.fromhex(step["secret"]),
    )


def _derivation(step: dict[str, Any]) -> Derivation:
    return Derivation(
        label=step["label"],
        prk=bytes.fromhex(step["prk"]),
        context=bytes.fromhex(step["context"]),
        info=bytes.fromhex(step["info"]),
        secret=bytes.fromhex(step["secret"]),
    )


def _traffic_keys(step: dict[str, Any]) -> TrafficKeys:
    return TrafficKeys(
        sender=step["sender"],
        epoch=step["epoch"],
        secret=bytes.fromhex(step["prk"]),
        key_info=bytes.fromhex(step["key_info"]),
        key=bytes.fromhex(step["key"]),
        iv_info=bytes.fromhex(step["iv_info"]),
        iv=bytes.fromhex(step["iv"]),
    )


def _finished(step: dict[str, Any]) -> FinishedMac:
    return FinishedMac(
        secret=bytes.fromhex(step["prk"]),
        info=bytes.fromhex(step["info"]),
        finished_key=bytes.fromhex(step["finished_key"]),
        verify_data=bytes.fromhex(step["verify_data"]),
    )


def _binder(step: dict[str, Any]) -> Binder:
    return Binder(
        client_hello_prefix=bytes.fromhex(step["client_hello_prefix"]),
        transcript_hash=bytes.fromhex(step["binder_hash"]),
        secret=bytes.fromhex(step["prk"]),
        info=bytes.fromhex(step["info"]),
        finished_key=bytes.fromhex(step["finished_key"]),
        binder=bytes.fromhex(step["binder"]),
    )


def _signature(entry: dict[str, Any]) -> Signature:
    salt = entry["pss_salt"]
    return Signature(
        scheme=entry["scheme"],
        transcript_hash=bytes.fromhex(entry["transcript_hash"]),
        signature=bytes.fromhex(entry["signature"]),
        pss_salt=None if salt is None else bytes.fromhex(salt),
        has_private_key=entry["private_key"] is not None,
    )


def _record(step: dict[str, Any]) -> Record:
    return Record(
        name=step["name"],
        sender=step["role"],
        content_type=step["content_type"],
        epoch=step["epoch"],
        sequence_number=step["sequence_number"],
        payload=bytes.fromhex(step["payload"]),
        encoded=bytes.fromhex(step["record"]),
    )
