"""The ServerHello as a client of TLS 1.3 takes it: reading and checking it, and agreeing by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handclasp.config import ClientConfig
from handclasp.crypto.groups import GROUPS_BY_CODE, BadShare
from handclasp.crypto.suites import CIPHER_SUITES_BY_CODE, CipherSuite
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.offer import ClientOffer
from handclasp.handshake.tls13.psk import Psk
from handclasp.iana import TLS12, ExtensionType, cipher_suite_name, group_name, version_name
from handclasp.keys.schedule13 import EarlySecret, HandshakeSecret
from handclasp.wire import extensions as ext
from handclasp.wire.extension_table import MessageContext
from handclasp.wire.messages import ServerHello
from handclasp.wire.rules import check_answer, read_forms

_KEY_SHARE = ExtensionType.KEY_SHARE


def read_server_hello(
    config: ClientConfig, offer: ClientOffer, server_hello: ServerHello, *, retried: bool
) -> tuple[CipherSuite, dict[int, Any]]:
    """Check what ServerHello and HelloRetryRequest have in common (RFC 8446 section 4.1.3).

    Gives the suite, and the values of the extensions.
    """
    place = MessageContext.HRR if retried else MessageContext.SH
    extensions = server_hello.extensions
    check_answer(extensions, place, offer.answerable, config.limits.max_extensions)
    values = read_forms(extensions, place)
    if server_hello.legacy_version != TLS12:
        raise ProtocolError(
            Fault.ILLEGAL_VALUE, f"legacy_version is {version_name(server_hello.legacy_version)}"
        )
    if server_hello.legacy_session_id_echo != offer.hello.legacy_session_id:
        raise ProtocolError(Fault.SESSION_ID_MISMATCH)
    if server_hello.legacy_compression_method != 0:
        raise ProtocolError(Fault.COMPRESSION_CHOSEN)
    suite = CIPHER_SUITES_BY_CODE.get(server_hello.cipher_suite)
    if suite is None or suite.name not in config.cipher_suites:
        raise ProtocolError(
            Fault.UNOFFERED_CIPHER_SUITE, cipher_suite_name(server_hello.cipher_suite)
        )
    return suite, values


def selected_psk(offer: ClientOffer, index: int | None, suite: CipherSuite) -> Psk | None:
    """Return the key that the server chose among those offered (RFC 8446 section 4.2.11)."""
    if index is None:
        return None
    if index >= len(offer.psks):
        raise ProtocolError(Fault.UNOFFERED_PSK, f"number {index} of {len(offer.psks)}")
    psk = offer.psks[index]
    if psk.suite.hash_name != suite.hash_name:
        raise ProtocolError(Fault.UNOFFERED_PSK, f"it does not go with {suite.name}")
    return psk


def agree(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    values: Mapping[int, Any],
    suite: CipherSuite,
    psk: Psk | None,
) -> tuple[str | None, HandshakeSecret]:
    """One secret, agreed upon in public (RFC 8446 sections 4.2.8 and 7.1)."""
    observer = hs.observer
    early = (
        psk.early_secret(suite, observer)
        if psk is not None
        else EarlySecret.without_psk(suite, observer)
    )
    entry: ext.KeyShareEntry | None = values.get(_KEY_SHARE)
    if entry is None and psk is not None and config.allow_psk_ke:
        return None, early.handshake_secret(bytes(suite.hash_size))
    if entry is None:
        raise ProtocolError(Fault.MISSING_EXTENSION, "key_share in ServerHello")
    group = group_name(entry.group)
    # After a retry the offer holds a share for the requested group only, so this covers it, too.
    share = offer.shares.get(group) if entry.group in GROUPS_BY_CODE else None
    if share is None:
        raise ProtocolError(Fault.UNOFFERED_GROUP, f"{group}, for which no share was sent")
    try:
        if hs.trace is None:
            return group, early.handshake_secret(share.agree(entry.key_exchange))
        shared_secret = hs.work("key_agreement", group, share.agree, entry.key_exchange)
    except BadShare as error:
        raise ProtocolError(Fault.BAD_KEY_SHARE, f"{group}: {error}") from None
    _note_group(hs, config, offer, group)
    hs.note_shared_secret("shared_secret", group, shared_secret)
    return group, early.handshake_secret(shared_secret)


def _note_group(hs: HandshakeContext, config: ClientConfig, offer: ClientOffer, group: str) -> None:
    """Note the group: a server takes one without a share only by asking for it."""
    groups = config.groups
    refused: list[tuple[str, str]] = []
    why = "the server asked for it by a HelloRetryRequest"
    if not offer.retried:
        why = "the server chose"
        refused = [
            (name, "no share was sent for it") for name in groups if name not in offer.shares
        ]
    hs.note_decision("group", groups, groups, group, why, refused)
