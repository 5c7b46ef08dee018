"""One plain sentence about each message and alert, as its sender might say it."""

from __future__ import annotations

from typing import NamedTuple

from handclasp.errors import ProtocolError
from handclasp.iana import (
    AlertDescription,
    AlertLevel,
    ContentType,
    ExtensionType,
    HandshakeType,
    alert_name,
    cipher_suite_name,
    group_name,
    handshake_type_name,
    signature_scheme_name,
    version_name,
)
from handclasp.story.exchanges import client_fields, server_form
from handclasp.story.facts import Facts, sender_of
from handclasp.story.flights import Drawn
from handclasp.story.recorded import (
    BLANK,
    blank_size,
    certificates_of,
    client_shares_of,
    message_of,
    server_share_of,
    version_of,
)
from handclasp.trace.events import (
    AlertSeen,
    BytesMissing,
    InnerHello,
    MessageSeen,
    RecordSeen,
)
from handclasp.trace.hooks import INNER_CLIENT_HELLO
from handclasp.wire import extensions, messages, messages12
from handclasp.wire.codecs import AnyMessage
from handclasp.wire.raw_keys import is_raw_public_key
from handclasp.wording import listed


class Told(NamedTuple):
    """The name of an event, and one plain sentence about it."""

    name: str
    sentence: str


def told(event: Drawn, facts: Facts) -> Told:
    """Return an event of the diagram in words."""
    sender = sender_of(event, facts.role)
    if isinstance(event, BytesMissing):
        plural = "" if event.size == 1 else "s"
        return Told(
            f"{event.size:,} byte{plural} missing",
            f"These bytes of the {sender} are not in the capture.",
        )
    if isinstance(event, InnerHello):
        return Told(INNER_CLIENT_HELLO, _inner_story(event))
    if isinstance(event, AlertSeen):
        return Told(f"Alert: {alert_name(event.description)}", _alert_story(event, sender, facts))
    if isinstance(event, RecordSeen) and event.content_type == ContentType.HANDSHAKE:
        is_hello = sender == "client" and not facts.cipher_suites
        name = "part of a ClientHello" if is_hello else "part of a message"
        return Told(
            f"{name}, {event.size:,} bytes",
            f"The {sender} begins a message, and its end is not there.",
        )
    if isinstance(event, RecordSeen):
        return Told(
            "ChangeCipherSpec", f"Everything that the {sender} sends after this is encrypted."
        )
    message = message_of(event)
    name = handshake_type_name(event.message_type)
    if event.epoch == "application" and facts.version == "TLSv1.3":
        later = _authentication_story(message, sender)
        if later is not None:
            return Told(name, later)
    if isinstance(message, messages.ServerHello) and message.is_hello_retry_request:
        name = "HelloRetryRequest"
    if message is None and event.raw:
        return Told(name, _unread_story(event, sender, facts))
    return Told(name, story_of(message, sender, facts))


def story_of(message: AnyMessage | None, sender: str, facts: Facts) -> str:
    """Return one plain sentence about a message.

    Args:
        message: None if it could not be read.
        sender: "client" or "server".
        facts: the facts of its handshake.
    """
    try:
        if isinstance(message, messages12.Message12):
            return _story_of_tls12(message, sender, facts)
        return _story_of(message, sender, facts)
    except ProtocolError:
        return f"The {sender} sends a malformed message."


def _authentication_story(message: AnyMessage | None, sender: str) -> str | None:
    """Return a sentence about a message that answers a request after the handshake."""
    match message:
        case messages.CertificateVerify():
            scheme = signature_scheme_name(message.algorithm)
            return (
                f"Proof that the {sender} holds the certificate's private key: its signature over "
                f"the handshake, this request and the certificate, {len(message.signature):,} "
                f"bytes of {scheme}."
            )
        case messages.Finished():
            return (
                f"The {sender} seals the handshake, the request and its answer with its current "
                "keys: the certificate belongs to this connection."
            )
        case _:
            return None


def _unread_story(event: MessageSeen, sender: str, facts: Facts) -> str:
    """Return one sentence about a message that cannot be read: malformed, or of an unknown form."""
    if event.message_type == HandshakeType.SERVER_HELLO and event.raw[4:5] == b"\x7f":
        version = version_name(int.from_bytes(event.raw[4:6], "big"))
        return f"We take {version}, in which a ServerHello has another form."
    if event.message_type == HandshakeType.SERVER_KEY_EXCHANGE:
        form = server_form(event.raw)
        if form is not None:
            return form[0].story
        return "The server's part of the key exchange, in an unknown form."
    if event.message_type not in _READ_IN_ALL or not _is_ours(facts.version):
        return f"The {sender} sends a message of an unknown form."
    # Redaction keeps the length of a raw public key, which takes three bytes.
    length = 3 if event.message_type == HandshakeType.CERTIFICATE else 0
    content = event.raw[messages.HEADER_SIZE + length :]
    if content and not any(content):
        return f"The {sender} sends a message of {len(content):,} {BLANK}."
    return f"The {sender} sends a malformed message."


_READ_IN_ALL = frozenset(HandshakeType)


def _is_ours(version: str | None) -> bool:
    return version in (None, "TLSv1.2", "TLSv1.3")


def _alert_story(alert: AlertSeen, sender: str, facts: Facts) -> str:
    """Return one sentence about an alert. In TLS 1.3 its level has no meaning (RFC 9846 section 6);
    before it, a warning may be ignored.
    """
    if alert.description == AlertDescription.CLOSE_NOTIFY:
        return f"Nothing more will follow from the {sender}."
    if alert.description == AlertDescription.USER_CANCELED:
        return f"The {sender} ends the handshake, for a reason outside TLS."
    if alert.level == AlertLevel.WARNING and facts.version == "TLSv1.2":
        return "A warning: the connection may continue."
    return f"This is the end.{_SENDINGS.get(alert.sending, '')}"


_SENDINGS = {
    "program": (
        " The alert is in a memory BIO, for the program to send: asyncio, uvloop, trio and anyio "
        "close the connection instead."
    ),
    "unsent": " The alert was not sent.",
}
"""By `AlertSeen.sending`."""


def _story_of(message: messages.Message | None, sender: str, facts: Facts) -> str:
    match message:
        case messages.ClientHello():
            return _hello_story(message)
        case messages.ServerHello():
            return _answer_story(message, facts)
        case messages.EncryptedExtensions():
            return _extensions_story(message, facts)
        case messages.CertificateRequest(certificate_request_context=context) if context:
            return (
                "Now that the handshake is complete, the server asks who the client is: it wants "
                "to see a certificate."
            )
        case messages.CertificateRequest():
            return "The server asks who the client is: it wants to see a certificate, too."
        case messages.Certificate() | messages.CompressedCertificate():
            return _certificate_story(message, sender)
        case messages.CertificateVerify():
            scheme = signature_scheme_name(message.algorithm)
            whose = "that key's" if sender in facts.raw_keys else "the certificate's"
            return (
                f"Proof that the {sender} holds {whose} private key: its signature over "
                f"everything so far, {len(message.signature):,} bytes of {scheme}."
            )
        case messages.Finished():
            return (
                f"The {sender} seals everything that was said with the new keys: if one byte had "
                "been changed on the way, it would show here."
            )
        case messages.NewSessionTicket():
            return (
                "A ticket with which the client can resume the session without starting all over."
            )
        case messages.KeyUpdate():
            also = ", and asks the other side to do the same" if message.request_update else ""
            return f"The {sender} switches to fresh keys{also}."
        case messages.EndOfEarlyData():
            return "The client's early data ends here."
        case None:
            return f"The {sender} sends a malformed message."


def _story_of_tls12(message: messages12.Message12, sender: str, facts: Facts) -> str:
    match message:
        case messages12.Certificate12():
            return _certificate_story(message, sender)
        case messages12.CertificateStatus():
            return (
                "The server passes on what the issuer says on whether the certificate was "
                f"revoked: {len(message.response):,} bytes, signed by the issuer."
            )
        case messages12.ServerKeyExchange():
            scheme = signature_scheme_name(message.algorithm)
            return (
                f"My public half of a secret: {server_share_of(message)}, signed with the "
                f"certificate's private key, {len(message.signature):,} bytes of {scheme}."
            )
        case messages12.CertificateRequest12():
            return "The server asks who the client is: it wants to see a certificate, too."
        case messages12.ServerHelloDone():
            return "The server has sent all its messages of this flight."
        case messages12.ClientKeyExchange():
            return _client_key_exchange_story(message, facts)
        case messages12.NewSessionTicket12():
            return (
                "A ticket with which the client can resume the session without starting all over."
            )
        case messages12.HelloRequest():
            return "The server asks for a new handshake; the client may refuse."


def _client_key_exchange_story(message: messages12.ClientKeyExchange, facts: Facts) -> str:
    if client_fields(message.exchange_keys, facts.key_exchange) is None:
        return "The client sends its part of the secret, in an unknown form."
    size = facts.encrypted_secret_size
    if facts.key_exchange == "psk":
        return "The identity of the pre-shared key that I use. Nothing of the key is sent."
    if size is not None and facts.key_exchange == "psk transport":
        return (
            "A part of the secret, which I made alone, encrypted to the public key in the "
            f"certificate: {size:,} bytes. The other part is the pre-shared key."
        )
    if size is not None:
        return (
            "The secret, which I made alone, encrypted to the public key in the certificate: "
            f"{size:,} bytes that only the holder of the private key can open."
        )
    if facts.client_shares:
        return f"My half of the secret: {facts.client_shares[0]}; both sides can now work it out."
    if facts.key_exchange == "agreement":
        return "My public half of the secret; both sides can now work it out."
    return "The client sends its part of the secret, in an unknown form."


_MOST_SHARED = 12
"""Extensions that are named, of those that an inner hello takes from the outer one."""


def _inner_story(event: InnerHello) -> str:
    """Return the sentences about a hello that only the server can read."""
    hello, count = message_of(event.message), len(event.outer_extensions)
    told = "Inside, for the server alone to read. "
    if isinstance(hello, messages.ClientHello):
        told += _hello_story(hello)
    if count:
        names = listed(event.outer_extensions, _MOST_SHARED)
        s = "s" if count != 1 else ""
        told += f" It takes {count} extension{s} from the outer hello: {names}."
    return told


def _hello_story(hello: messages.ClientHello) -> str:
    name = hello.extensions.get(ExtensionType.SERVER_NAME)
    host = extensions.read_server_name(name) if name is not None else None
    shares = " and ".join(map(str, client_shares_of(hello)))
    # Some numbers are signals, not suites, and others are reserved.
    suites = [
        suite
        for suite in map(cipher_suite_name, hello.cipher_suites)
        if suite.startswith("TLS_") and not suite.endswith("_SCSV")
    ]
    told = (
        f"Hello{f', I am looking for {host}' if host else ''}. I can do {len(suites)} cipher "
        f"suite{'s' if len(suites) != 1 else ''}"
    )
    if ExtensionType.KEY_SHARE not in hello.extensions:
        told += "."  # TLS 1.2 has no shares in the hello, and a pre-shared key may be used alone.
    elif shares:
        one = len(client_shares_of(hello)) == 1
        half = "is my public half" if one else "are my public halves"
        told += f"; here {half} of a secret: {shares}."
    else:
        told += "; no share yet."
    return told + _earlier_story(hello)


def _earlier_story(hello: messages.ClientHello) -> str:
    """Return the part on the client's earlier key, which the server may accept or not."""
    told = ""
    if ExtensionType.PRE_SHARED_KEY in hello.extensions:
        told = " And I have a key that you may know from before."
    elif hello.extensions.get(ExtensionType.SESSION_TICKET):
        told = " And I have a ticket from an earlier session."
    if ExtensionType.EARLY_DATA in hello.extensions:
        told += (
            " My first data follow at once, under that key (0-RTT): anybody who records them "
            "can send them again."
        )
    return told


def _answer_story(hello: messages.ServerHello, facts: Facts) -> str:
    if hello.is_hello_retry_request:
        data = hello.extensions.get(ExtensionType.KEY_SHARE)
        group = extensions.read_key_share_hello_retry_request(data) if data is not None else None
        wish = f" with a share of {group_name(group)}" if group is not None else ""
        return f"Not quite: say hello again{wish}."
    suite = cipher_suite_name(hello.cipher_suite)
    version = version_of(hello)
    if version == "TLSv1.2":
        resumed = facts.key_exchange == "session"
        return f"We take TLS 1.2 and {suite}" + (
            ", and continue with the secret of our earlier session." if resumed else "."
        )
    if version is None or not version.startswith("TLSv1.3"):
        return f"We take {version or 'an unknown version'} and {suite}."
    answer = f"We take {suite}" if version == "TLSv1.3" else f"We take {version} and {suite}"
    if ExtensionType.PRE_SHARED_KEY in hello.extensions:
        answer += " and the key that you brought"
    share = server_share_of(hello)
    half = f" My half of the secret: {share}; both sides can now work it out." if share else ""
    return f"{answer}.{half}"


_TOLD_APART = {ExtensionType.EARLY_DATA, ExtensionType.ENCRYPTED_CLIENT_HELLO}
"""The extensions of EncryptedExtensions that have words of their own."""


def _extensions_story(message: messages.EncryptedExtensions, facts: Facts) -> str:
    data = message.extensions.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)
    if data is not None:
        protocol = extensions.read_alpn(data)[0].decode("ascii", "backslashreplace")
        told = f"we shall speak {protocol}"
    elif set(message.extensions) - _TOLD_APART:
        told = "the other parameters"
    else:
        told = "there are no other parameters"
    if ExtensionType.EARLY_DATA in message.extensions:
        told += "; and we take your early data"
    elif facts.early_data == "rejected":
        told += "; and we do not take your early data"
    if ExtensionType.ENCRYPTED_CLIENT_HELLO in message.extensions:
        told += "; and the configurations with which the client can encrypt its next hello"
    # With early data, the client's encrypted data came first.
    whose = "The" if facts.early_data == "none" else "The server's"
    return f"{whose} first encrypted words: {told}."


def _certificate_story(
    message: messages.Certificate | messages.CompressedCertificate | messages12.Certificate12,
    sender: str,
) -> str:
    if size := blank_size(message):
        return f"The {sender} shows who it is, in {size:,} {BLANK}."
    chain = certificates_of(message)
    if chain is None:
        return f"The {sender} shows who it is, in an unknown form."
    if not chain:
        return f"The {sender} shows no certificate."
    if is_raw_public_key(chain[0]):
        return (
            f"The {sender} shows a raw public key, without a certificate: {len(chain[0]):,} bytes, "
            "which the other side must know already."
        )
    sizes = tuple(map(len, chain))
    plural = "s" if len(sizes) > 1 else ""
    how = ""
    if isinstance(message, messages.CompressedCertificate):
        how = ", compressed on the way"
    elif isinstance(message, messages12.Certificate12):
        how = ", for all to read"
    return (
        f"The {sender} shows who it is: {len(sizes)} certificate{plural} with its name, its "
        f"public key and its issuer, {sum(sizes):,} bytes{how}."
    )
