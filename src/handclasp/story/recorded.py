"""The content of one recorded message, read by the library's own codec."""

from __future__ import annotations

from typing import Literal

from handclasp.errors import ProtocolError
from handclasp.iana import (
    ExtensionType,
    HandshakeType,
    cipher_suite_name,
    group_name,
    version_name,
)
from handclasp.trace.events import MessageSeen
from handclasp.values import dataclass
from handclasp.wire import extensions, messages, messages12
from handclasp.wire.codecs import AnyMessage, read_message12
from handclasp.wire.compression import (
    COMPRESSION_ALGORITHMS,
    DecompressionError,
    available_algorithms,
    certificate_within,
)
from handclasp.wire.reader import Opener

KeyExchange = Literal["agreement", "transport", "session", "psk", "psk transport"]
"""The kinds of key exchange. "agreement": each side sends a public value. "transport": the client
makes the secret, and encrypts it to the key in the server's certificate (RSA key transport, TLS 1.2
only). "session": the secret is that of an earlier session, which TLS 1.2 resumes. "psk": the secret
is a pre-shared key alone, or a ticket's. "psk transport": one part is as in "transport", and a
pre-shared key is the other (RSA_PSK, RFC 4279 section 4).
"""


@dataclass(frozen=True, slots=True)
class Share:
    """A public value of the key exchange: its group, and its size in bytes."""

    group: str
    size: int

    def __str__(self) -> str:
        return f"{self.group} ({self.size:,} bytes)"


def message_of(event: MessageSeen) -> AnyMessage | None:
    """Return the value of a recorded message; None if it is malformed."""
    if not event.raw:
        return None
    try:
        return read_recorded(event.raw, event.epoch)
    except ProtocolError:
        return None


def read_recorded(raw: bytes, epoch: str, opener: Opener | None = None) -> AnyMessage:
    """Return the value of a message that was recorded in an epoch; raise `ProtocolError`.

    The type alone does not determine the form of a message. But in TLS 1.3 only the hellos are in
    the clear; and the messages of a renegotiation of TLS 1.2, under its keys, have a type of their
    own, or the same form as in TLS 1.3, or one that cannot be read as such.
    """
    if raw[0] in HELLOS:
        return messages.read_message(raw, opener)
    is_of_tls12 = epoch == "plaintext" or raw[0] in _OF_TLS12
    if is_of_tls12 or (epoch == "application" and _has_form_of_tls12(raw)):
        return read_message12(raw, opener)
    return messages.read_message(raw, opener)


def _has_form_of_tls12(raw: bytes) -> bool:
    """Return whether a message can be read as one of TLS 1.2, and not as one of TLS 1.3."""
    try:
        messages.read_message(raw)
    except ProtocolError:
        try:
            read_message12(raw)
        except ProtocolError:
            return False
        return True
    return False


_OF_TLS12 = (
    HandshakeType.HELLO_REQUEST,
    HandshakeType.SERVER_KEY_EXCHANGE,
    HandshakeType.SERVER_HELLO_DONE,
    HandshakeType.CLIENT_KEY_EXCHANGE,
    HandshakeType.CERTIFICATE_STATUS,
)
HELLOS = (HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO)


def version_of(hello: messages.ServerHello) -> str | None:
    """Return the name of the version that the server chose (RFC 8446 section 4.2.1)."""
    data = hello.extensions.get(ExtensionType.SUPPORTED_VERSIONS)
    try:
        number = extensions.read_selected_version(data) if data is not None else None
    except ProtocolError:
        return None
    return version_name(hello.legacy_version if number is None else number)


def key_exchange_of(hello: messages.ServerHello, *, resumed: bool = False) -> KeyExchange | None:
    """Return the kind of key exchange; None if it is unknown.

    In TLS 1.2 the cipher suite determines it, unless a session is `resumed`.
    """
    if (version_of(hello) or "TLSv1.3").startswith("TLSv1.3"):
        if ExtensionType.KEY_SHARE in hello.extensions:
            return "agreement"
        return "psk" if ExtensionType.PRE_SHARED_KEY in hello.extensions else None
    return "session" if resumed else key_exchange_by_suite(cipher_suite_name(hello.cipher_suite))


def key_exchange_by_suite(cipher_suite: str) -> KeyExchange | None:
    """Return the kind of key exchange of a cipher suite of TLS 1.2; None if it is unknown."""
    if cipher_suite.startswith("TLS_RSA_WITH_"):
        return "transport"
    if cipher_suite.startswith("TLS_PSK_WITH_"):
        return "psk"
    if cipher_suite.startswith("TLS_RSA_PSK_WITH_"):
        return "psk transport"
    return "agreement" if cipher_suite.startswith(("TLS_ECDH", "TLS_DH")) else None


def client_shares_of(hello: messages.ClientHello) -> tuple[Share, ...]:
    """Return the public values in a ClientHello, without those of reserved groups (RFC 8701)."""
    data = hello.extensions.get(ExtensionType.KEY_SHARE)
    try:
        entries = extensions.read_key_share_client_hello(data) if data is not None else ()
    except ProtocolError:
        return ()
    shares = [Share(group_name(entry.group), len(entry.key_exchange)) for entry in entries]
    return tuple(share for share in shares if not share.group.startswith("GREASE"))


def server_share_of(message: messages.ServerHello | messages12.ServerKeyExchange) -> Share | None:
    """Return the public value in a ServerHello, or in TLS 1.2 in a ServerKeyExchange."""
    if isinstance(message, messages12.ServerKeyExchange):
        return Share(group_name(message.group), len(message.point))
    data = message.extensions.get(ExtensionType.KEY_SHARE)
    if data is None:
        return None
    try:
        entry = extensions.read_key_share_server_hello(data)
    except ProtocolError:
        return None
    return Share(group_name(entry.group), len(entry.key_exchange))


def encrypted_secret_size_of(message: messages12.ClientKeyExchange) -> int | None:
    """Return the size of the encrypted secret in a ClientKeyExchange of RSA or RSA_PSK."""
    content = message.exchange_keys
    identity = 2 + int.from_bytes(content[:2], "big")
    for each in (content, content[identity:]):
        try:
            return len(messages12.read_encrypted_secret(each))
        except ProtocolError:
            continue
    return None


def certificates_of(message: AnyMessage | None) -> tuple[bytes, ...] | None:
    """Return the certificates in a message, as DER; None if it has no readable ones.

    A Certificate of either version is read, also a compressed one (RFC 8879).
    """
    if isinstance(message, messages12.Certificate12):
        return (message.raw_public_key,) if message.raw_public_key else message.certificate_list
    if isinstance(message, messages.CompressedCertificate):
        message = certificate_within_message(message)
    if isinstance(message, messages.Certificate):
        return tuple(entry.cert_data for entry in message.certificate_list)
    return None


BLANK = "bytes that are all zeros here, as redaction of names leaves them"
"""The words for certificates whose `blank_size` is not 0."""


def blank_size(message: AnyMessage | None) -> int:
    """Return the number of bytes of the certificates in a message if all are zeros, else 0.

    So redaction leaves them, also those that are compressed.
    """
    if isinstance(message, messages.CompressedCertificate):
        data = message.compressed_certificate_message
    else:
        data = b"".join(certificates_of(message) or ())
    return 0 if any(data) else len(data)


def chain_in(raw: bytes, epoch: str) -> tuple[bytes, ...]:
    """Return the certificates in a recorded message; none if it cannot be read."""
    if not raw:
        return ()
    try:
        return certificates_of(read_recorded(raw, epoch)) or ()
    except ProtocolError:
        return ()


def certificate_within_message(message: AnyMessage | None) -> messages.Certificate | None:
    """Return the Certificate in a CompressedCertificate (RFC 8879); None if it cannot be
    decompressed.
    """
    if not isinstance(message, messages.CompressedCertificate):
        return None
    # Refused messages are recorded too, and must not be decompressed now.
    if message.uncompressed_length > _MOST_INFLATED:
        return None
    for name in available_algorithms():
        if COMPRESSION_ALGORITHMS[name] == message.algorithm:
            try:
                return certificate_within(message, name)
            except (DecompressionError, ProtocolError):
                return None
    return None


_MOST_INFLATED = 2**17
"""In bytes: the default of `Limits.max_certificate_bytes`."""
