"""How much a peer may cost before this side gives up."""

from __future__ import annotations

from dataclasses import dataclass, fields

from handclasp.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a peer may send. Sizes are in bytes.

    Attributes:
        hello: the largest ClientHello or ServerHello.
        certificate: the largest Certificate message.
        other_message: the largest handshake message of any other type.
        handshake: all handshake bytes until the handshake is complete.
        certificates: certificates in one message.
        extensions: extensions in one message.
        list_entries: key shares in one ClientHello.
        records_without_progress: records in a row that carry nothing (empty application data,
            change_cipher_spec, warning alerts) before the connection is given up.
        messages_without_data: KeyUpdates and NewSessionTickets in a row with no data between them.
        records_per_key: records sealed under one key before a KeyUpdate is sent, at least 8,
            whatever they hold. The AEAD's own limit (RFC 8446 section 5.5) holds where it is
            smaller, and where this is None: 2^24 records of AES-GCM, 2^23 of AES-CCM, 2^48 of
            ChaCha20-Poly1305. TLS 1.2 has no KeyUpdate, nor has a handshake, so connections fail
            with KEY_EXHAUSTED there instead.
    """

    hello: int = 0x1_0000 + 512
    certificate: int = 131_072
    other_message: int = 65_536
    handshake: int = 524_288
    certificates: int = 10
    extensions: int = 256
    list_entries: int = 64
    records_without_progress: int = 32
    messages_without_data: int = 32
    records_per_key: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 8 if field.name == "records_per_key" else 1
            if value is None and field.name == "records_per_key":
                continue
            if type(value) is not int:
                raise ConfigurationError(f"Limits: {field.name} must be a whole number.")
            if value < least:
                raise ConfigurationError(
                    f"Limits: {field.name} must be at least {least}, not {value}."
                )
