"""What a server acknowledges: in a full handshake, and what of it in a resumed one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import ClientConfig, PreSharedKey, ServerConfig, SessionStore
from handclasp.iana import ExtensionType as Ext
from handclasp.iana import HandshakeType
from handclasp.trace.events import MessageSeen
from handclasp.wire.codecs import read_as
from handclasp.wire.messages import EncryptedExtensions, ServerHello

VERSIONS = ["TLSv1.3", "TLSv1.2"]
ALPN = Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION

NOT_IN_A_RESUMED_ONE = {
    Ext.SERVER_NAME,  # RFC 6066 3
    Ext.MAX_FRAGMENT_LENGTH,
    Ext.STATUS_REQUEST,
    Ext.SIGNED_CERTIFICATE_TIMESTAMP,  # RFC 6962 3.3.1
    Ext.EC_POINT_FORMATS,
    Ext.CLIENT_CERTIFICATE_TYPE,
    Ext.SERVER_CERTIFICATE_TYPE,
}
"""They are about certificates, which no side shows, or of the session that is resumed."""


def acknowledged(pair: Pair) -> set[int]:
    """All that ServerHello, HelloRetryRequest and EncryptedExtensions hold."""
    kinds: set[int] = set()
    for event in pair.server.trace.events:
        if not isinstance(event, MessageSeen) or event.direction != "sent":
            continue
        if event.message_type == HandshakeType.SERVER_HELLO:
            kinds.update(read_as(ServerHello, event.raw).extensions)
        elif event.message_type == HandshakeType.ENCRYPTED_EXTENSIONS:
            kinds.update(read_as(EncryptedExtensions, event.raw).extensions)
    return kinds


def settings(pki: Pki, version: str, **server: Any) -> tuple[ClientConfig, ServerConfig]:
    client = ClientConfig(
        trust=pki.trust,
        versions=[version],
        alpn=["h2"],
        record_size_limit=2000,
        sessions=SessionStore(),
    )
    return client, ServerConfig(credentials=pki.server("localhost"), alpn=["h2"], **server)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("groups", [None, ["secp256r1"]], ids=["at once", "after a retry"])
def test_a_resumed_handshake(pki: Pki, version: str, groups: list[str] | None) -> None:
    client, server = settings(pki, version, **({"groups": groups} if groups else {}))
    first, second = Pair(client, server).run(), Pair(client, server).run()
    assert not first.server.info.resumed
    assert second.server.info.resumed
    assert acknowledged(first) >= {Ext.SERVER_NAME, ALPN, Ext.RECORD_SIZE_LIMIT}
    assert acknowledged(second).isdisjoint(NOT_IN_A_RESUMED_ONE)
    # RFC 7301 3.1 and RFC 8449 4: these are of the connection, and agreed upon anew.
    assert acknowledged(second) >= {ALPN, Ext.RECORD_SIZE_LIMIT}
    for pair in (first, second):
        assert pair.server.info.server_name == "localhost"
        assert pair.client.info.alpn == "h2"


def test_sessions_by_id(pki: Pki) -> None:
    """Without tickets TLS 1.2 resumes by the session's id; the same holds."""
    client, server = settings(pki, "TLSv1.2")

    class NoTickets:
        def keys(self) -> tuple[()]:
            return ()

    server = replace(server, ticket_keys=NoTickets())
    first, second = Pair(client, server).run(), Pair(client, server).run()
    if second.server.info.resumed:
        assert acknowledged(second).isdisjoint(NOT_IN_A_RESUMED_ONE)
    assert Ext.SERVER_NAME in acknowledged(first)


def test_accepted_early_data(pki: Pki) -> None:
    client, server = settings(pki, "TLSv1.3", max_early_data=100)
    client = replace(client, allow_early_data=True)
    assert Pair(client, server).run().established
    pair = Pair(client, server)
    pair.client.connection.send_early_data(b"early")  # type: ignore[union-attr]
    pair.run()
    assert pair.server.info.early_data_status == "accepted"
    assert acknowledged(pair) >= {Ext.EARLY_DATA}
    assert Ext.SERVER_NAME not in acknowledged(pair)


def test_an_external_key_is_no_session(pki: Pki) -> None:
    """Nothing of before is resumed, and the name that the client sends is the one that counts."""
    key = PreSharedKey(b"a client", bytes(range(32)))
    client, server = settings(pki, "TLSv1.3", psks=[key])
    pair = Pair(replace(client, psks=[key]), server).run()
    assert pair.server.info.psk_identity == key.identity
    assert Ext.SERVER_NAME in acknowledged(pair)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_name_was_sent(pki: Pki, version: str) -> None:
    client = ClientConfig(versions=[version], verify_peer=False)
    pair = Pair(client, ServerConfig(credentials=pki.server("localhost")), "127.0.0.1").run()
    assert pair.established
    assert Ext.SERVER_NAME not in acknowledged(pair)
