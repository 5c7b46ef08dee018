"""The progress of a connection whose peer gave up, from which the likely reasons follow."""

from __future__ import annotations

from datetime import datetime

from handclasp.alerts import (
    ABOUT_CERTIFICATES,
    ClientAuthStatus,
    OwnChain,
    RejectedEch,
    Situation,
    Stage,
)
from handclasp.alerts.situation import is_impossible
from handclasp.certificates.describe import chain_in_words, covers_name
from handclasp.config import SharedConfig
from handclasp.crypto.signatures import CERTIFICATE_SIGNATURE_SCHEMES
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.ech_state import ReceivedEch
from handclasp.handshake.post import PostHandshake
from handclasp.handshake.tls12.post import PostHandshake12
from handclasp.info import ConnectionInfo

_CERTIFICATE_SCHEMES = tuple(code.name for code in CERTIFICATE_SIGNATURE_SCHEMES)


def situation_of(
    alert: int,
    config: SharedConfig,
    *,
    is_client: bool,
    version: str | None,
    context: HandshakeContext | None,
    info: ConnectionInfo | None,
    post: PostHandshake | None,
    certificate: ClientAuthStatus,
    server_name: str | None,
    hello_is_large: bool,
    rejected_ech: RejectedEch | None,
) -> Situation:
    """Return the facts that explain why the peer may have sent `alert`.

    Args:
        alert, config: the number of the alert, and the settings of this side.
        is_client, version: which side this is; the version, as far as it is agreed upon.
        context: of the handshake, as long as it goes on.
        info, post: what was agreed upon when it is complete, and what takes messages since then.
        certificate: whether this side has shown one.
        server_name: the name in the hello.
        hello_is_large: whether a client's hello may take several packets.
        rejected_ech: what a server did not open.
    """
    stage: Stage = "established" if info is not None else "handshake"
    if version is None and is_client:
        stage = "hello"
    # Before there is an answer, a key is only offered: a server has no part in that.
    external_key = info.psk_identity is not None if info else stage == "hello" and bool(config.psks)
    chain: tuple[bytes, ...] = ()
    if alert in ABOUT_CERTIFICATES:
        chain = _shown_chain(context, info if certificate == "shown" else None)
    own = OwnChain(*chain_in_words(chain), root_file=_root_file(chain, config))
    return Situation(
        role="client" if is_client else "server",
        stage=stage,
        version=version,
        versions=tuple(config.versions),
        cipher_suites=tuple(config.cipher_suites),
        groups=tuple(config.groups),
        signature_schemes=tuple(config.signature_schemes),
        alpn=tuple(config.alpn),
        server_name=server_name,
        certificate=context.certificate if context is not None else certificate,
        certificate_schemes=_CERTIFICATE_SCHEMES if is_client else (),
        chain=own,
        declined_renegotiation=isinstance(post, PostHandshake12) and post.has_declined,
        external_key=external_key,
        is_for_name=covers_name(chain, server_name) if not is_client else None,
        is_stapled=context.is_stapled if context is not None else None,
        offers_up_to=is_client and "TLSv1.3" not in config.versions,
        hello_is_large=stage == "hello" and hello_is_large,
        offers_psk=_offers_psk(config) if is_client else None,
        now=_believable_time(config, own),
        server_certificate_types=config.peer_certificate_types if is_client else (),
        client_certificate_types=config.own_certificate_types if is_client else (),
        rejected_ech=rejected_ech,
    )


def rejected_by(ech: ReceivedEch | None) -> RejectedEch | None:
    """Return what a server did not open, and answered with configurations; None if there is none.

    >>> from handclasp.handshake.situation import rejected_by
    >>> rejected_by(None)
    """
    if ech is None or not ech.retry_configs:
        return None
    return RejectedEch(ech.hello.config_id, tuple([each.config_id for each in ech.retry_configs]))


def _shown_chain(
    context: HandshakeContext | None, info: ConnectionInfo | None
) -> tuple[bytes, ...]:
    """Return the chain that this side has shown, in a handshake that goes on or one that ended."""
    if context is not None:
        return context.shown_chain
    return info.local_chain_der if info is not None else ()


def _root_file(chain: tuple[bytes, ...], config: SharedConfig) -> str:
    """Return the file of the root that has issued this side's chain; empty if it is unknown."""
    if not chain:
        return ""
    return next((each.root_file for each in config.credential_list if each.chain_der == chain), "")


def _believable_time(config: SharedConfig, own: OwnChain) -> datetime | None:
    """Return the time by this side's clock; None if that clock is wrong, or it dates nothing."""
    if not own.validity:
        return None
    now = config.clock()
    return None if is_impossible(now, own.validity) else now


def _offers_psk(config: SharedConfig) -> bool | None:
    """Return whether a client's hello offers a pre-shared key; None where a ticket may be one."""
    if config.psks:
        return True
    return None if getattr(config, "sessions", None) is not None else False
