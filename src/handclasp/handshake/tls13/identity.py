"""The identity of a server of TLS 1.3: its certificate, and the scheme to sign in."""

from __future__ import annotations

from typing import Any

from handclasp.certificates.credentials import Credentials
from handclasp.config import ClientAuth, ServerConfig
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.certificate_types import (
    CLIENT_TYPE,
    choose_client_type,
    choose_server_types,
    no_server_type,
)
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.disagreement import disagreement
from handclasp.handshake.negotiation import (
    choose_server_credentials,
    choose_signature_scheme,
    shown,
)
from handclasp.handshake.offered import authorities_of
from handclasp.handshake.tls13.client_hello import Offer, require_authentication, required
from handclasp.handshake.tls13.resumption import ResumedClient
from handclasp.handshake.trace_notes import (
    check_name_is_served,
    note_credentials,
    note_signature_scheme,
)
from handclasp.iana import ExtensionType
from handclasp.questions import ChooseCredentials
from handclasp.values import value


@value(frozen=True, slots=True)
class Identity:
    """The certificate of this side for one client, and the scheme to sign in.

    `client_type` is the type of certificate that the client is asked for, if it is.
    """

    credentials: Credentials
    scheme: str
    client_type: str | None


async def identify(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, known: ResumedClient | None
) -> Identity | None:
    """Choose this side's identity for an unknown client; check that a known one is served."""
    if known is None:
        if not config.credentials:
            require_authentication(config)
        # RFC 8446 4.2.3: missing_extension, where the server shows a certificate after all.
        if not offer.signature_schemes:
            required(offer.hello.extensions, ExtensionType.SIGNATURE_ALGORITHMS)
        return await _choose_identity(hs, config, offer)
    if config.refuses_names:
        question = _question_of(config, offer, offer.server_certificate_types)
        await check_name_is_served(hs, config, question)
    return None


async def _choose_identity(hs: HandshakeContext, config: ServerConfig, offer: Offer) -> Identity:
    """Choose the certificate for this client, and the scheme to sign in."""
    types = offer.server_certificate_types
    if config.server_certificate_types is not None:
        types = choose_server_types(config, types)
    chosen = _without_a_choice(config, offer, types) if hs.trace is None else None
    credentials, scheme = chosen or await _choose_credentials(hs, config, offer, types)
    client_type: str | None = None
    if config.client_auth is not ClientAuth.NONE and not config.post_handshake_auth:
        is_explicit = CLIENT_TYPE in offer.hello.extensions
        types = offer.client_certificate_types
        client_type = choose_client_type(config, types, is_explicit=is_explicit)
    return Identity(credentials, scheme, client_type)


def _without_a_choice(
    config: ServerConfig, offer: Offer, types: tuple[str, ...]
) -> tuple[Credentials, str] | None:
    """Return the only credentials of a config and the scheme, where this client can use them."""
    held: Any = config.credentials  # A tuple, since the config was built.
    if len(held) != 1 or config.choose_credentials is not None or config.strict_server_name:
        return None
    only, offered = held[0].current, offer.signature_schemes
    scheme = choose_signature_scheme(only, offered, config.signature_schemes)
    return (only, scheme) if scheme is not None and only.certificate_type in types else None


async def _choose_credentials(
    hs: HandshakeContext, config: ServerConfig, offer: Offer, types: tuple[str, ...]
) -> tuple[Credentials, str]:
    """Choose among several credentials, or by a callback; and the scheme to sign in."""
    question = _question_of(config, offer, types)
    credentials: Credentials | None
    if config.choose_credentials is None and hs.trace is None:
        credentials = choose_server_credentials(
            question,
            config.credential_list,
            config.signature_schemes,
            strict_server_name=config.strict_server_name,
            types_first=config.orders_certificate_types,
        )
    else:
        credentials = await hs.ask(question)
        note_credentials(hs.trace, config, question, credentials)
    if credentials is None:
        raise ProtocolError(Fault.UNRECOGNIZED_NAME, offer.server_name or "no name was given")
    if credentials.certificate_type not in types:
        raise no_server_type(types, (credentials.certificate_type,))
    offered = offer.signature_schemes
    scheme = choose_signature_scheme(credentials, offered, config.signature_schemes)
    if hs.trace is not None:
        note_signature_scheme(hs, config, offered, scheme, "TLSv1.3", credentials)
    if scheme is None:
        raise disagreement(
            Fault.NO_SHARED_SIGNATURE_SCHEME,
            offered,
            credentials.schemes,
            keys=(credentials.key_kind,),
        )
    return credentials, scheme


def _question_of(config: ServerConfig, offer: Offer, types: tuple[str, ...]) -> ChooseCredentials:
    """Return the question for a certificate, as the client's hello restricts it."""
    protocols = tuple(map(shown, offer.protocols))
    authorities: tuple[bytes, ...] = ()
    if ExtensionType.CERTIFICATE_AUTHORITIES in offer.hello.extensions:
        authorities = authorities_of(offer.hello.extensions, config)
    return ChooseCredentials(
        offer.server_name, offer.signature_schemes, protocols, authorities, types
    )
