"""The client of a HelloRetryRequest: a second hello, and what must not differ after it.

RFC 8446 section 4.1.4. The server's side is in `retry`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from handclasp.config import ClientConfig
from handclasp.crypto.suites import CIPHER_SUITES_BY_CODE, CipherSuite
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.offer import ClientOffer, offer_after_retry
from handclasp.handshake.tls13.ech_offer import EncryptedOffer, second_encrypted_offer
from handclasp.handshake.tls13.server_hello import read_server_hello
from handclasp.iana import TLS13, ExtensionType, group_name
from handclasp.keys.ech import server_hello_confirmation
from handclasp.keys.transcript import Transcript
from handclasp.wire import extensions as ext
from handclasp.wire.ech import CONFIRMATION_SIZE
from handclasp.wire.messages import ServerHello

_MAX_COOKIE = 2**13
"""Bytes of a HelloRetryRequest's cookie that are sent back: more would not fit into a hello, which
with Encrypted Client Hello has it twice, as well as a ticket."""


async def retry_hello(
    hs: HandshakeContext,
    config: ClientConfig,
    offer: ClientOffer,
    request: ServerHello,
    values: Mapping[int, Any],
    ech: EncryptedOffer | None = None,
) -> tuple[ClientOffer, dict[int, Any]]:
    """Answer a HelloRetryRequest with a second ClientHello (RFC 8446 section 4.1.4).

    Gives the second offer, and the values of the extensions of its answer.

    Args:
        ech: what hides `offer`, if it is an inner hello.
    """
    hs.port.end_flight()
    group, cookie = _read_hello_retry_request(config, offer, values)
    if hs.records is not None and config.middlebox_compatibility and not offer.early_data:
        hs.records.send_change_cipher_spec()
    suite = CIPHER_SUITES_BY_CODE[request.cipher_suite]
    second_offer = offer_after_retry(hs, config, offer, group, cookie, suite.hash_name)
    if ech is None:
        hs.send(second_offer.hello)
        server_hello = await hs.receive(ServerHello)
    else:
        server_hello = await _send_encrypted(hs, ech, second_offer, suite)
    if server_hello.is_hello_retry_request:
        raise ProtocolError(Fault.SECOND_HELLO_RETRY_REQUEST)
    selected = server_hello.extensions.get(ExtensionType.SUPPORTED_VERSIONS)
    if selected is None or ext.read_selected_version(selected) != TLS13:
        raise ProtocolError(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "the version")
    _, values = read_server_hello(config, second_offer, server_hello, retried=False)
    if server_hello.cipher_suite != request.cipher_suite:
        raise ProtocolError(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, "the cipher suite")
    return second_offer, values


async def _send_encrypted(
    hs: HandshakeContext, ech: EncryptedOffer, offer: ClientOffer, suite: CipherSuite
) -> ServerHello:
    """Send the second inner hello inside the second outer one (RFC 9849 section 6.1.5).

    Gives the ServerHello, which must confirm that the inner one was taken.
    """
    second = second_encrypted_offer(ech, offer)
    transcript, hs.transcript = hs.transcript, Transcript()
    hs.send_raw(second.outer.hello.raw)  # It enters no transcript.
    if hs.trace is not None:
        hs.trace.inner_hello("sent", second.inner.hello.raw, second.shared)
    hs.transcript = transcript
    transcript.add(second.inner.hello.raw)
    before = transcript.fork()
    server_hello = await hs.receive(ServerHello)
    expected = server_hello_confirmation(
        before, suite.hash_name, ech.inner.hello.random, server_hello.raw
    )
    if server_hello.is_hello_retry_request:
        raise ProtocolError(Fault.SECOND_HELLO_RETRY_REQUEST)
    if not hmac.compare_digest(server_hello.random[-CONFIRMATION_SIZE:], expected):
        raise ProtocolError(Fault.ECH_NOT_CONFIRMED)
    return server_hello


def _read_hello_retry_request(
    config: ClientConfig, offer: ClientOffer, values: Mapping[int, Any]
) -> tuple[str | None, bytes | None]:
    """Return the group to send a share for and the cookie to send back, if there are any."""
    group: str | None = None
    cookie: bytes | None = values.get(ExtensionType.COOKIE)
    if (code := values.get(ExtensionType.KEY_SHARE)) is not None:
        group = group_name(code)
        if group not in config.groups:
            raise ProtocolError(Fault.UNOFFERED_GROUP, group)
        if group in offer.shares:
            raise ProtocolError(Fault.POINTLESS_HELLO_RETRY_REQUEST, group)
    if cookie is not None and len(cookie) > _MAX_COOKIE:
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"a cookie of {len(cookie)} bytes")
    if group is None and cookie is None:
        raise ProtocolError(Fault.POINTLESS_HELLO_RETRY_REQUEST)
    return group, cookie
