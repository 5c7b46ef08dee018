"""A HelloRetryRequest of a server, and the second hello that answers it (RFC 8446 4.1.4)."""

from __future__ import annotations

import hashlib
import hmac

from handclasp.config import ServerConfig
from handclasp.crypto.groups import GROUPS
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.ech_server import receive_second_hello, with_confirmation
from handclasp.handshake.tls13.client_hello import Choice, Offer, read_offer
from handclasp.iana import TLS12, TLS13, ExtensionType
from handclasp.keys.transcript import Transcript
from handclasp.values import field, replace, value
from handclasp.wire import extensions as ext
from handclasp.wire.extension_table import MessageContext
from handclasp.wire.messages import (
    HELLO_RETRY_REQUEST_RANDOM,
    ClientHello,
    ServerHello,
    write_message,
)
from handclasp.wire.rules import check_extensions, check_forms

_COOKIE_SIZE = 32
_SKIPPED_EARLY_DATA = 2**14 * 4
"""Bytes of early data to pass over at least: clients send what another server's ticket allowed."""

_MAY_CHANGE_AFTER_RETRY = {
    ExtensionType.KEY_SHARE,
    ExtensionType.COOKIE,
    ExtensionType.EARLY_DATA,
    ExtensionType.PRE_SHARED_KEY,
    ExtensionType.PADDING,
    ExtensionType.ENCRYPTED_CLIENT_HELLO,
}


@value(frozen=True, slots=True)
class Retry:
    """The parts of the first hello that are kept until the second one arrives."""

    unchanging: bytes
    cookie: bytes | None
    before: Transcript = field(repr=False)


def ask_again(hs: HandshakeContext, config: ServerConfig, offer: Offer, choice: Choice) -> Retry:
    """Ask for a share of the chosen group (RFC 8446 section 4.1.4)."""
    hs.port.end_flight()
    # The clients of OpenSSL 4.0 and Go 1.27 do not return it in both of their hellos (RFC 9849
    # section 6.1.5), whether this server has keys or not.
    has_ech = ExtensionType.ENCRYPTED_CLIENT_HELLO in offer.hello.extensions
    asks_for_cookie = config.hello_retry_cookie and not has_ech
    cookie = config.entropy(_COOKIE_SIZE) if asks_for_cookie else None
    request = _hello_retry_request(offer, choice, cookie)
    hs.send(with_confirmation(hs, request, choice.suite.hash_name))
    if offer.hello.legacy_session_id and hs.records is not None:
        hs.records.send_change_cipher_spec()
    if ExtensionType.EARLY_DATA in offer.hello.extensions and hs.records is not None:
        hs.records.skip_early_data(skipped_early_data(config))

    return Retry(_unchanging(offer.hello), cookie, hs.transcript.fork())


async def receive_second_offer(
    hs: HandshakeContext, config: ServerConfig, choice: Choice, retry: Retry
) -> Offer:
    """Receive the second hello: the first, with a share of the chosen group."""
    hello = await receive_second_hello(hs, config)
    if hs.records is not None:
        hs.records.skip_early_data(0)
    check_extensions(hello.extensions, MessageContext.CH, config.limits.max_extensions)
    check_forms(hello.extensions, MessageContext.CH)
    _check_second_hello(hello, retry)
    second_offer = read_offer(hs, config, hello, retry.before)
    if list(second_offer.shares) != [choice.group]:
        raise ProtocolError(
            Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, f"key_share is not for {choice.group} alone"
        )
    return second_offer


def _hello_retry_request(offer: Offer, choice: Choice, cookie: bytes | None) -> ServerHello:
    code = GROUPS[choice.group or ""].code
    extensions: dict[int, bytes] = {
        ExtensionType.KEY_SHARE: ext.write_key_share_hello_retry_request(code)
    }
    if cookie is not None:
        extensions[ExtensionType.COOKIE] = ext.write_cookie(cookie)
    extensions[ExtensionType.SUPPORTED_VERSIONS] = ext.write_selected_version(TLS13)
    return ServerHello(
        legacy_version=TLS12,
        random=HELLO_RETRY_REQUEST_RANDOM,
        legacy_session_id_echo=offer.hello.legacy_session_id,
        cipher_suite=choice.suite.code,
        legacy_compression_method=0,
        extensions=extensions,
    )


def _check_second_hello(second: ClientHello, retry: Retry) -> None:
    """RFC 8446 section 4.1.2: the second hello is the first but for the listed extensions."""
    cookie = retry.cookie
    data = second.extensions.get(ExtensionType.COOKIE)
    returned = ext.read_cookie(data) if data is not None else None
    if (returned is None) != (cookie is None) or not hmac.compare_digest(
        returned or b"", cookie or b""
    ):
        raise ProtocolError(Fault.BAD_COOKIE)
    if ExtensionType.EARLY_DATA in second.extensions:
        raise ProtocolError(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "early_data is still there")
    if _unchanging(second) != retry.unchanging:
        raise ProtocolError(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "the ClientHello")


def _unchanging(hello: ClientHello) -> bytes:
    """Return a digest of what both hellos must share; extensions may change their places."""
    kept = {
        kind: data
        for kind, data in sorted(hello.extensions.items())
        if kind not in _MAY_CHANGE_AFTER_RETRY
    }
    return hashlib.sha256(write_message(replace(hello, extensions=kept))).digest()


def skipped_early_data(config: ServerConfig) -> int:
    """Bytes of refused early data to pass over, records' overhead included."""
    return max(_SKIPPED_EARLY_DATA, 2 * config.max_early_data)
