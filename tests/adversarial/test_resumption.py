"""Peers that misuse pre-shared keys, tickets and early data (RFC 8446 sections 4.2.9 to 4.2.11)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adversarial.conftest import ClientRefuses
from tests.end_to_end.pair import Pair, split_records
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ClientConnection,
    Fault,
    PreSharedKey,
    ProtocolError,
    ServerConfig,
    ServerConnection,
    SessionStore,
)
from handclasp.handshake.offer import client_offer
from handclasp.iana import ContentType, ExtensionType
from handclasp.keys.transcript import Transcript
from handclasp.sessions.tickets import open_ticket
from handclasp.testing.scripted import ScriptedServer
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import write_message
from handclasp.wire.messages import ClientHello, ServerHello
from handclasp.wire.records import write_plaintext

KEY = PreSharedKey(b"a client", bytes(range(32)))
Change = Callable[[dict[int, bytes]], dict[int, bytes]]


def refused_by_server(config: ServerConfig, hello: ClientHello, fault: Fault) -> None:
    server = ServerConnection(config)
    with pytest.raises(ProtocolError) as caught:
        server.receive_data(write_plaintext(ContentType.HANDSHAKE, write_message(hello)))
    assert caught.value.fault is fault
    alert = bytes(server.data_to_send())
    assert alert[-2:] == bytes([2, fault.alert])


def hello_with(config: ClientConfig) -> ClientHello:
    return client_offer(config, None).hello


def changed(hello: ClientHello, **extensions: bytes | None) -> ClientHello:
    """The hello with extensions changed or, for None, left out; pre_shared_key stays last."""
    kept = dict(hello.extensions)
    for name, data in extensions.items():
        kind = ExtensionType[name.upper()]
        kept.pop(kind, None)
        if data is not None:
            kept[kind] = data
    last = kept.pop(ExtensionType.PRE_SHARED_KEY, None)
    if last is not None:
        kept[ExtensionType.PRE_SHARED_KEY] = last
    return replace(hello, extensions=kept)


# What a client may not do


@pytest.fixture
def offer() -> ClientHello:
    return hello_with(ClientConfig(psks=[KEY], grease=False))


SERVER = ServerConfig(psks=[KEY])


@pytest.mark.parametrize("at", [0, 1, 15, 31])
def test_a_binder_with_a_wrong_bit(offer: ClientHello, at: int) -> None:
    offered = ext.read_offered_psks(offer.extensions[ExtensionType.PRE_SHARED_KEY])
    binder = bytearray(offered.binders[0])
    binder[at] ^= 1
    data = ext.write_offered_psks(replace(offered, binders=(bytes(binder),)))
    refused_by_server(SERVER, changed(offer, pre_shared_key=data), Fault.BAD_BINDER)


def test_a_binder_over_another_hello(offer: ClientHello) -> None:
    refused_by_server(SERVER, replace(offer, random=os.urandom(32)), Fault.BAD_BINDER)


def test_more_binders_than_keys(offer: ClientHello) -> None:
    offered = ext.read_offered_psks(offer.extensions[ExtensionType.PRE_SHARED_KEY])
    for binders in (offered.binders * 2, (bytes(33),) * 3):
        data = ext.write_offered_psks(replace(offered, binders=binders))
        refused_by_server(SERVER, changed(offer, pre_shared_key=data), Fault.ILLEGAL_VALUE)


def test_not_the_last_extension(offer: ClientHello) -> None:
    extensions = dict(offer.extensions)
    last = extensions.pop(ExtensionType.PRE_SHARED_KEY)
    moved = {ExtensionType.PRE_SHARED_KEY: last, **extensions}
    refused_by_server(SERVER, replace(offer, extensions=moved), Fault.ILLEGAL_VALUE)


def test_no_modes(offer: ClientHello) -> None:
    hello = changed(offer, psk_key_exchange_modes=None)
    refused_by_server(SERVER, hello, Fault.MISSING_EXTENSION)


@pytest.mark.parametrize("modes", [b"\0", b"\x05", b"\0\x07"])
def test_modes_that_are_not_spoken_here(offer: ClientHello, modes: bytes) -> None:
    """psk_ke has no forward secrecy, and is off."""
    hello = changed(offer, psk_key_exchange_modes=ext.write_psk_key_exchange_modes(modes))
    refused_by_server(SERVER, hello, Fault.UNKNOWN_PSK_IDENTITY)


@pytest.mark.parametrize("name", ["key_share", "supported_groups"])
def test_half_of_a_key_exchange(offer: ClientHello, name: str) -> None:
    refused_by_server(SERVER, changed(offer, **{name: None}), Fault.MISSING_EXTENSION)


UNKNOWN = PreSharedKey(b"of nobody here", bytes(range(1, 33)))
NOTHING_TO_AGREE: dict[str, bytes | None] = {"key_share": None, "supported_groups": None}


@pytest.mark.parametrize("allow_psk_ke", [False, True])
@pytest.mark.parametrize("modes", [b"\0", b"\1", b"\0\1", None])
@pytest.mark.parametrize("with_key", [False, True])
@pytest.mark.parametrize("left_out", [{"signature_algorithms": None}, NOTHING_TO_AGREE])
def test_lists_that_only_a_key_makes_needless(
    pki: Pki,
    left_out: dict[str, bytes | None],
    with_key: bool,
    modes: bytes | None,
    allow_psk_ke: bool,
) -> None:
    """RFC 8446 4.2.3 and 9.2: without a key that is taken, missing_extension is due.

    Modes alone are no key: every client names them that would like a ticket.
    """
    server = ServerConfig(
        credentials=pki.server("localhost"), psks=[KEY], allow_psk_ke=allow_psk_ke
    )
    hello = hello_with(ClientConfig(psks=[UNKNOWN], grease=False))
    changes = dict(left_out)
    changes["psk_key_exchange_modes"] = modes and ext.write_psk_key_exchange_modes(modes)
    if not with_key:
        changes["pre_shared_key"] = None
    refused_by_server(server, changed(hello, **changes), Fault.MISSING_EXTENSION)


def test_a_known_key_that_the_suite_does_not_fit(pki: Pki) -> None:
    """The key is known here, and not taken: its hash is not that of the one suite."""
    server = ServerConfig(
        credentials=pki.server("localhost"), psks=[KEY], cipher_suites=["TLS_AES_256_GCM_SHA384"]
    )
    hello = hello_with(ClientConfig(psks=[KEY], grease=False))
    for left_out in ({"signature_algorithms": None}, NOTHING_TO_AGREE):
        refused_by_server(server, changed(hello, **left_out), Fault.MISSING_EXTENSION)


def test_too_much_early_data(pki: Pki) -> None:
    client = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)
    server = ServerConfig(credentials=pki.server("localhost"), max_early_data=100)
    Pair(client, server).run()
    pair = Pair(client, server)
    hostile: Any = pair.client.connection
    hostile._early_limit = 10_000
    hostile.send_early_data(bytes(101))
    pair.run()
    assert isinstance(pair.server.error, ProtocolError)
    assert pair.server.error.fault is Fault.TOO_MUCH_EARLY_DATA
    assert pair.client.error is not None
    assert pair.client.error.alert == "unexpected_message"


def test_more_refused_early_data_than_is_passed_over(pki: Pki) -> None:
    client = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)
    server = ServerConfig(credentials=pki.server("localhost"), max_early_data=1000)
    Pair(client, server).run()
    pair = Pair(client, ServerConfig(credentials=pki.server("localhost")))
    hostile: Any = pair.client.connection
    hostile._early_limit = 2**20
    hostile.send_early_data(bytes(2**17))
    pair.run()
    assert isinstance(pair.server.error, ProtocolError)
    assert pair.server.error.fault is Fault.BAD_RECORD_MAC


def test_a_server_that_went_back_to_tls12(pki: Pki) -> None:
    """RFC 8446 D.3: the client must not go on; the server can read its alert."""
    client = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)
    server = ServerConfig(credentials=pki.server("localhost"), max_early_data=1000)
    Pair(client, server).run()
    older = replace(server, versions=["TLSv1.2"], max_early_data=0)
    connection, peer = ClientConnection(client, server_name="localhost"), ServerConnection(older)
    _, hello = split_records(bytes(connection.data_to_send()))[0]
    peer.receive_data(write_plaintext(ContentType.HANDSHAKE, hello))
    with pytest.raises(ProtocolError) as caught:
        connection.receive_data(peer.data_to_send())
    assert caught.value.fault is Fault.OLDER_VERSION_AFTER_EARLY_DATA
    assert connection.data_to_send() == b"\x15\x03\x03\0\x02\x02\x46"
    # Its application connects again without early data.
    again = Pair(replace(client, allow_early_data=False), older).run()
    assert again.client.info.version == "TLSv1.2"


# Tickets that are none


@pytest.fixture(scope="module")
def known(pki: Pki) -> tuple[ClientConfig, ServerConfig, bytes]:
    """Configs that have met, and a ticket of that server."""
    store = SessionStore()
    client = ClientConfig(trust=pki.trust, sessions=store)
    server = ServerConfig(credentials=pki.server("localhost"))
    Pair(client, server).run()
    (sessions,) = store._sessions.values()
    return client, server, sessions[0].ticket


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_changed_tickets_mean_a_full_handshake(
    known: tuple[ClientConfig, ServerConfig, bytes], data: st.DataObject
) -> None:
    client, server, ticket = known
    kind = data.draw(st.sampled_from(["flipped", "cut", "longer", "random"]))
    if kind == "flipped":
        at = data.draw(st.integers(0, len(ticket) - 1))
        broken = ticket[:at] + bytes([ticket[at] ^ 1 << data.draw(st.integers(0, 7))])
        broken += ticket[at + 1 :]
    elif kind == "cut":
        broken = ticket[: data.draw(st.integers(1, len(ticket) - 1))]
    elif kind == "longer":
        broken = ticket + data.draw(st.binary(min_size=1, max_size=50))
    else:
        broken = data.draw(st.binary(min_size=1, max_size=300))
    assert server.ticket_keys is not None
    assert open_ticket(broken, server.ticket_keys.keys()) is None
    (held,) = client.sessions._sessions.values()  # type: ignore[union-attr]
    store = SessionStore()
    key = next(iter(client.sessions._sessions))  # type: ignore[union-attr]
    store.put(key, replace(held[0], ticket=broken))
    pair = Pair(replace(client, sessions=store), server).run()
    assert pair.established
    assert not pair.server.info.resumed


# What a server may not do


def choosing(index: int) -> Callable[[ServerHello], ServerHello]:
    """A ServerHello that takes this one of the client's keys."""

    def deviation(hello: ServerHello) -> ServerHello:
        chosen = ext.write_selected_identity(index)
        extensions = {ExtensionType.PRE_SHARED_KEY: chosen, **hello.extensions}
        return replace(hello, extensions=extensions)

    return deviation


@pytest.mark.parametrize("index", [1, 2, 0xFFFF])
def test_a_key_that_was_not_offered(pki: Pki, client_refuses: ClientRefuses, index: int) -> None:
    config = ClientConfig(trust=pki.trust, psks=[KEY])
    client_refuses(Fault.UNOFFERED_PSK, config=config, server_hello=choosing(index))


def test_a_key_of_another_hash(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, psks=[PreSharedKey(b"x", b"k" * 32, "sha384")])
    client_refuses(Fault.UNOFFERED_PSK, config=config, server_hello=choosing(0))


def test_a_key_without_a_key_exchange(pki: Pki, client_refuses: ClientRefuses) -> None:
    """psk_ke was not offered: whoever gets the key later could read all of it."""

    def deviation(hello: ServerHello) -> ServerHello:
        chosen = dict(choosing(0)(hello).extensions)
        del chosen[ExtensionType.KEY_SHARE]
        return replace(hello, extensions=chosen)

    config = ClientConfig(trust=pki.trust, psks=[KEY])
    client_refuses(Fault.MISSING_EXTENSION, config=config, server_hello=deviation)


def test_a_key_where_none_was_offered(client_refuses: ClientRefuses) -> None:
    client_refuses(Fault.UNSOLICITED_EXTENSION, server_hello=choosing(0))


def test_early_data_accepted_unasked(client_refuses: ClientRefuses) -> None:
    def accepts(message: Any) -> Any:
        return replace(message, extensions={ExtensionType.EARLY_DATA: b""})

    client_refuses(Fault.UNSOLICITED_EXTENSION, encrypted_extensions=accepts)


def test_a_stranger_where_the_key_was_expected(pki: Pki) -> None:
    """Without a name to expect, a certificate convinces of nothing."""
    connection = ClientConnection(ClientConfig(psks=[KEY]))
    peer = ScriptedServer(pki.server("localhost"))
    peer.feed(bytes(connection.data_to_send()))
    with pytest.raises(ProtocolError) as caught:
        connection.receive_data(peer.take())
    assert caught.value.fault is Fault.PSK_NOT_TAKEN


def test_the_transcript_can_be_forked() -> None:
    transcript = Transcript()
    transcript.add(b"first")
    other = transcript.fork()
    other.add(b"second")
    assert transcript.digest_with(b"second", "sha256") == other.digest_with(b"", "sha256")
