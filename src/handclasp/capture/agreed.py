"""The negotiated parameters, as one of the ends would report them after the handshake."""

from __future__ import annotations

from handclasp.capture.conversation import CLIENT, OTHER, SERVER, Conversation
from handclasp.errors import ProtocolError
from handclasp.iana import (
    ExtensionType,
    HandshakeType,
    cipher_suite_name,
    group_name,
    signature_scheme_name,
)
from handclasp.info import ConnectionInfo
from handclasp.story.recorded import certificates_of, server_share_of
from handclasp.trace.events import HandshakeResult, MessageSeen
from handclasp.wire import extensions, messages, messages12
from handclasp.wire.raw_keys import is_raw_public_key


def settle(talk: Conversation) -> None:
    """Record the negotiated parameters if both ends completed the handshake."""
    answer = talk.answer
    if answer is None:
        return
    finished: set[str] = set()
    for index, (role, event) in enumerate(talk.events):
        if isinstance(event, MessageSeen) and event.message_type == HandshakeType.FINISHED:
            finished.add(role)
        if len(finished) == len(talk.sides):
            talk.events.insert(
                index + 1, (CLIENT, HandshakeResult(event.at_ns, _info(talk, answer)))
            )
            return


def _info(talk: Conversation, answer: messages.ServerHello) -> ConnectionInfo:
    chain = {role: _chain(talk, role) for role in (CLIENT, SERVER)}
    other = OTHER[talk.viewer]
    return ConnectionInfo(
        version=talk.version or "",
        cipher_suite=cipher_suite_name(answer.cipher_suite),
        group=_group(talk, answer),
        signature_scheme=_signature(talk, SERVER),
        alpn=_alpn(talk, answer),
        server_name=talk.server_name,
        resumed=_is_resumed(talk, answer),
        early_data_status=_early_data(talk),
        hello_retry=any(
            isinstance(message, messages.ServerHello) and message.is_hello_retry_request
            for _, message in talk.said
        ),
        peer_chain_der=chain[other],
        peer_verified=False,
        local_chain_der=chain[talk.viewer],
        client_signature_scheme=_signature(talk, CLIENT),
        peer_certificate_type=_type_of(chain[other]),
        local_certificate_type=_type_of(chain[talk.viewer]),
        ech_accepted=talk.ech_accepted,
    )


def _group(talk: Conversation, answer: messages.ServerHello) -> str | None:
    if talk.is_tls13:
        share = server_share_of(answer)
        return share.group if share is not None else None
    for _, message in talk.said:
        if isinstance(message, messages12.ServerKeyExchange):
            return group_name(message.group)
    return None


def _signature(talk: Conversation, role: str) -> str | None:
    for sender, message in talk.said:
        if sender == role and isinstance(
            message, messages.CertificateVerify | messages12.ServerKeyExchange
        ):
            return signature_scheme_name(message.algorithm)
    return None


def _chain(talk: Conversation, role: str) -> tuple[bytes, ...]:
    for sender, message in talk.said:
        if sender == role and (found := certificates_of(message)) is not None:
            return found
    return ()


def _alpn(talk: Conversation, answer: messages.ServerHello) -> str | None:
    kind = ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION
    data = talk.extension(SERVER, messages.EncryptedExtensions, kind)
    data = data if data is not None else answer.extensions.get(kind)
    try:
        names = extensions.read_alpn(data) if data is not None else ()
    except ProtocolError:
        return None
    return names[0].decode("ascii", "backslashreplace") if names else None


def _is_resumed(talk: Conversation, answer: messages.ServerHello) -> bool:
    if talk.is_tls13:
        return ExtensionType.PRE_SHARED_KEY in answer.extensions
    # Only full handshakes have it, with a certificate or without.
    return not any(isinstance(each, messages12.ServerHelloDone) for _, each in talk.said)


def _early_data(talk: Conversation) -> str:
    kind = ExtensionType.EARLY_DATA
    hellos = [each for _, each in talk.said if isinstance(each, messages.ClientHello)]
    if not any(kind in hello.extensions for hello in hellos):  # A second hello never has it.
        return "none"
    taken = talk.extension(SERVER, messages.EncryptedExtensions, kind) is not None
    return "accepted" if taken else "rejected"


def _type_of(chain: tuple[bytes, ...]) -> str:
    return "RawPublicKey" if chain and is_raw_public_key(chain[0]) else "X509"
