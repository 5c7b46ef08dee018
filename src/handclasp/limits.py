"""The bounds of what a peer may cost before this side ends the connection."""

from __future__ import annotations

from handclasp.errors import ConfigurationError
from handclasp.values import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a peer may send. Sizes are in bytes.

    >>> limits = Limits(max_hello_bytes=16384, max_certificates=5)
    >>> config = ClientConfig(limits=limits)

    Attributes:
        max_hello_bytes: the largest ClientHello or ServerHello.
        max_certificate_bytes: the largest Certificate message.
        max_other_message_bytes: the largest handshake message of any other type.
        max_handshake_bytes: all handshake bytes until the handshake is complete.
        max_certificates: certificates in one message.
        max_extensions: extensions in one message.
        max_key_shares: key shares in one ClientHello.
        max_records_without_progress: records in a row that carry nothing (empty application data,
            change_cipher_spec, warning alerts) before the connection is given up.
        max_messages_without_data: KeyUpdates and NewSessionTickets in a row with no data
            between them.
        max_certificate_requests: requests for a client certificate after the handshake that a
            server may have outstanding at a time; and answers to such requests that a client keeps
            until they can be sent.
        max_records_per_key: records sealed under one key before a KeyUpdate is sent, at least 8,
            whatever they hold. The AEAD's own limit (RFC 9846 section 5.5) holds where it is
            smaller, and where this is None: 2^24 records of AES-GCM, 2^23 of AES-CCM, 2^48 of
            ChaCha20-Poly1305. TLS 1.2 has no KeyUpdate, nor has a handshake, so connections fail
            with KEY_EXHAUSTED there instead.
    """

    max_hello_bytes: int = 0x1_0000 + 512
    max_certificate_bytes: int = 131_072
    max_other_message_bytes: int = 65_536
    max_handshake_bytes: int = 524_288
    max_certificates: int = 10
    max_extensions: int = 256
    max_key_shares: int = 64
    max_records_without_progress: int = 32
    max_messages_without_data: int = 32
    max_certificate_requests: int = 8
    max_records_per_key: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 8 if field.name == "max_records_per_key" else 1
            if value is None and field.name == "max_records_per_key":
                continue
            if type(value) is not int:
                raise ConfigurationError(f"Limits: {field.name} must be a whole number.")
            if value < least:
                raise ConfigurationError(
                    f"Limits: {field.name} must be at least {least}, not {value}."
                )
