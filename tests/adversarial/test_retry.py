"""HelloRetryRequest, from both sides (RFC 8446 section 4.1.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.adversarial.conftest import ClientRefuses, ServerRefuses
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import ClientConfig, Fault, ServerConfig
from handclasp.crypto.groups import GROUPS
from handclasp.iana import ExtensionType as Ext
from handclasp.testing.deviations import changed, with_extension, without_extension
from handclasp.testing.scripted import ScriptedClient, ScriptedServer
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ClientHello, Message, ServerHello

Meet = Callable[..., Encounter]


# Our client


class TwiceRetryingServer(ScriptedServer):
    order = ("hello_retry_request",)

    def hello_retry_request(self) -> ServerHello:
        message = super().hello_retry_request()
        if self.hellos == 1:
            return message
        code = ext.write_key_share_hello_retry_request(GROUPS["secp384r1"].code)
        return with_extension(Ext.KEY_SHARE, code)(message)


def test_second_request(client_refuses: ClientRefuses) -> None:
    order = ("hello_retry_request",)
    client_refuses(
        Fault.SECOND_HELLO_RETRY_REQUEST, retry="secp256r1", kind=TwiceRetryingServer, order=order
    )


def test_request_for_nothing(client_refuses: ClientRefuses) -> None:
    client_refuses(
        Fault.POINTLESS_HELLO_RETRY_REQUEST,
        retry="secp256r1",
        hello_retry_request=without_extension(Ext.KEY_SHARE),
    )


@pytest.mark.parametrize("group", ["X25519", "X25519MLKEM768"])
def test_request_for_a_share_that_was_sent(client_refuses: ClientRefuses, group: str) -> None:
    encounter = client_refuses(Fault.POINTLESS_HELLO_RETRY_REQUEST, retry=group)
    assert encounter.peer.hellos == 1  # type: ignore[attr-defined]


def test_request_for_a_group_that_was_not_listed(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, groups=["X25519", "secp256r1"])
    client_refuses(Fault.UNOFFERED_GROUP, config=config, retry="secp384r1")
    ffdhe2048 = with_extension(Ext.KEY_SHARE, b"\x01\x00")
    client_refuses(Fault.UNOFFERED_GROUP, retry="secp256r1", hello_retry_request=ffdhe2048)


@pytest.mark.parametrize("cookie", [b"\0\0", b"", b"\0\2x", b"\0\1xy"])
def test_cookie_that_is_none(client_refuses: ClientRefuses, cookie: bytes) -> None:
    client_refuses(
        Fault.DECODE_ERROR,
        retry="secp256r1",
        hello_retry_request=with_extension(Ext.COOKIE, cookie),
    )


def test_cookie_that_fits_into_no_hello(client_refuses: ClientRefuses) -> None:
    cookie = ext.write_cookie(bytes(2**13 + 1))
    request = with_extension(Ext.COOKIE, cookie)
    client_refuses(Fault.ILLEGAL_VALUE, retry="secp256r1", hello_retry_request=request)


def test_cookie_comes_back(meet_server: Meet) -> None:
    cookie = ext.write_cookie(b"come back with this")
    request = with_extension(Ext.COOKIE, cookie)
    encounter = meet_server(retry="secp256r1", hello_retry_request=request)
    assert encounter.connection.established
    assert encounter.peer.client_hello.extensions[Ext.COOKIE] == cookie


def test_cookie_alone_repeats_the_hello(meet_server: Meet) -> None:
    def cookie_only(request: ServerHello) -> ServerHello:
        extensions = dict(request.extensions)
        del extensions[Ext.KEY_SHARE]
        return replace(request, extensions=extensions | {Ext.COOKIE: b"\0\1x"})

    encounter = meet_server(retry="secp256r1", hello_retry_request=cookie_only)
    assert encounter.connection.established
    assert encounter.connection.info is not None
    assert encounter.connection.info.hello_retry
    assert encounter.connection.info.group == "X25519MLKEM768"


def test_suite_changed(client_refuses: ClientRefuses) -> None:
    deviation = changed(cipher_suite=0x1303)  # offered as well
    client_refuses(
        Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, retry="secp256r1", server_hello=deviation
    )


def test_version_changed(client_refuses: ClientRefuses) -> None:
    for deviation in (
        without_extension(Ext.SUPPORTED_VERSIONS),
        with_extension(Ext.SUPPORTED_VERSIONS, b"\3\3"),
    ):
        client_refuses(
            Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, retry="secp256r1", server_hello=deviation
        )


def test_group_changed(client_refuses: ClientRefuses) -> None:
    """The ServerHello must be in the group that was asked for, and in no other one."""
    for name in ("X25519", "X25519MLKEM768", "secp384r1"):
        share = ext.write_key_share_server_hello(ext.KeyShareEntry(GROUPS[name].code, bytes(32)))
        deviation = with_extension(Ext.KEY_SHARE, share)
        client_refuses(Fault.UNOFFERED_GROUP, retry="secp256r1", server_hello=deviation)


def test_session_id_changed(client_refuses: ClientRefuses) -> None:
    client_refuses(
        Fault.SESSION_ID_MISMATCH,
        retry="secp256r1",
        server_hello=changed(legacy_session_id_echo=bytes(32)),
    )


# Our server

SECOND_HELLO = [
    (without_extension(Ext.COOKIE), Fault.BAD_COOKIE),
    (with_extension(Ext.COOKIE, b"\0\1x"), Fault.BAD_COOKIE),
    (with_extension(Ext.COOKIE, b"\0\x20" + bytes(32)), Fault.BAD_COOKIE),
    (with_extension(Ext.COOKIE, b"\0\0"), Fault.DECODE_ERROR),
    (changed(random=bytes(32)), Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST),
    (changed(legacy_session_id=bytes(32)), Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST),
    (changed(cipher_suites=(0x1301, 0x1303)), Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST),
    (changed(legacy_version=0x0302), Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST),
    (
        with_extension(Ext.SUPPORTED_GROUPS, b"\0\2\0\x17"),
        Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST,
    ),
    (
        with_extension(Ext.SIGNATURE_ALGORITHMS, b"\0\2\4\3"),
        Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST,
    ),
    (
        with_extension(Ext.SUPPORTED_VERSIONS, b"\4\3\4\3\3"),
        Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST,
    ),
    (with_extension(Ext.SERVER_NAME, b"\0\4\0\0\1a"), Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST),
    (with_extension(0x4321, b""), Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST),
    (with_extension(Ext.EARLY_DATA, b""), Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST),
    (
        with_extension(Ext.KEY_SHARE, b"\0\0"),
        Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST,
    ),
    (without_extension(Ext.KEY_SHARE), Fault.MISSING_EXTENSION),
    (with_extension(Ext.OID_FILTERS, b"\0\0"), Fault.MISPLACED_EXTENSION),
]


@pytest.mark.parametrize(("deviation", "fault"), SECOND_HELLO)
def test_second_hello(server_refuses: ServerRefuses, deviation: Any, fault: Fault) -> None:
    server_refuses(fault, shares=(), second_hello=deviation)


def test_share_of_another_group(server_refuses: ServerRefuses) -> None:
    def other_share(hello: ClientHello) -> ClientHello:
        entry = ext.KeyShareEntry(GROUPS["secp256r1"].code, bytes(65))
        data = ext.write_key_share_client_hello([entry])
        return replace(hello, extensions=dict(hello.extensions) | {Ext.KEY_SHARE: data})

    server_refuses(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, shares=(), second_hello=other_share)


class TwoShares(ScriptedClient):
    def second_hello(self) -> Message:
        hello = super().second_hello()
        entries = [
            ext.KeyShareEntry(GROUPS[name].code, GROUPS[name].exchange.generate(bytes_of).share)
            for name in ("X25519", "secp256r1")
        ]
        return with_extension(Ext.KEY_SHARE, ext.write_key_share_client_hello(entries))(hello)


def bytes_of(size: int) -> bytes:
    return b"\x42" * size


def test_more_shares_than_were_asked_for(server_refuses: ServerRefuses) -> None:
    server_refuses(Fault.CHANGED_AFTER_HELLO_RETRY_REQUEST, shares=(), kind=TwoShares)


def test_cookie_that_nobody_gave(pki: Pki, server_refuses: ServerRefuses) -> None:
    config = ServerConfig(credentials=pki.server(), hello_retry_cookie=False)
    deviation = with_extension(Ext.COOKIE, b"\0\1x")
    server_refuses(Fault.BAD_COOKIE, config=config, shares=(), second_hello=deviation)


def test_what_may_change(meet_client: Meet) -> None:
    """RFC 8446 section 4.1.2 lets padding come, go and change its length."""
    encounter = meet_client(shares=(), second_hello=with_extension(Ext.PADDING, bytes(100)))
    assert encounter.connection.established
    assert encounter.peer.established
