"""Hellos that offer or choose what they must not (RFC 8446 sections 4.1 and 4.2)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.hostile.conftest import ClientRefuses, ServerRefuses, refused
from tests.hostile.scripted import Encounter, ScriptedClient, handshake_message
from tests.pki import Pki

from handclasp import ClientConfig, Fault, Limits, ServerConfig, ServerConnection
from handclasp.crypto.groups import GROUPS
from handclasp.wire import extensions as ext
from handclasp.wire.iana import GREASE_VALUES, TLS12, TLS13, ExtensionType
from handclasp.wire.messages import ClientHello, ServerHello

Ext = ExtensionType


def with_extension(kind: int, data: bytes) -> Callable[[Any], Any]:
    return lambda message: replace(message, extensions=dict(message.extensions) | {kind: data})


def without_extension(kind: int) -> Callable[[Any], Any]:
    return lambda message: replace(
        message, extensions={k: v for k, v in message.extensions.items() if k != kind}
    )


def changed(**fields: Any) -> Callable[[Any], Any]:
    return lambda message: replace(message, **fields)


class TestServerHello:
    @pytest.mark.parametrize("retry", [None, "secp256r1"])
    @pytest.mark.parametrize(
        ("deviation", "fault"),
        [
            (changed(cipher_suite=0x1304), Fault.UNOFFERED_CIPHER_SUITE),  # known, not offered
            (changed(cipher_suite=0x1305), Fault.UNOFFERED_CIPHER_SUITE),
            (changed(cipher_suite=0xC02F), Fault.UNOFFERED_CIPHER_SUITE),
            (changed(legacy_session_id_echo=bytes(32)), Fault.SESSION_ID_MISMATCH),
            (changed(legacy_session_id_echo=b""), Fault.SESSION_ID_MISMATCH),
            (changed(legacy_compression_method=1), Fault.COMPRESSION_CHOSEN),
            (changed(legacy_version=0x0301), Fault.ILLEGAL_VALUE),
            (changed(legacy_version=TLS13), Fault.ILLEGAL_VALUE),
            (with_extension(Ext.SUPPORTED_VERSIONS, b"\x03\x03"), Fault.UNOFFERED_VERSION),
            (with_extension(Ext.SUPPORTED_VERSIONS, b"\x03\x05"), Fault.UNOFFERED_VERSION),
            (with_extension(Ext.SUPPORTED_VERSIONS, b"\x7f\x1c"), Fault.UNOFFERED_VERSION),
            (with_extension(Ext.SUPPORTED_VERSIONS, b"\x03\x04\0"), Fault.DECODE_ERROR),
            (with_extension(Ext.SUPPORTED_VERSIONS, b""), Fault.DECODE_ERROR),
            (with_extension(Ext.KEY_SHARE, b"\0"), Fault.DECODE_ERROR),
            (with_extension(Ext.PRE_SHARED_KEY, b"\0\0"), Fault.UNSOLICITED_EXTENSION),
            (with_extension(0x1234, b""), Fault.UNSOLICITED_EXTENSION),
            (with_extension(Ext.SERVER_NAME, b""), Fault.MISPLACED_EXTENSION),
            (with_extension(Ext.SUPPORTED_GROUPS, b"\0\2\0\x1d"), Fault.MISPLACED_EXTENSION),
            (
                with_extension(Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, b"\0\3\2h2"),
                Fault.MISPLACED_EXTENSION,
            ),
            (with_extension(Ext.RENEGOTIATION_INFO, b"\0"), Fault.MISPLACED_EXTENSION),
            (with_extension(Ext.EXTENDED_MASTER_SECRET, b""), Fault.MISPLACED_EXTENSION),
        ],
    )
    def test_wrong_choice(
        self, client_refuses: ClientRefuses, retry: str | None, deviation: Any, fault: Fault
    ) -> None:
        if retry is not None and fault is Fault.UNSOLICITED_EXTENSION:
            client_refuses(fault, retry=retry, hello_retry_request=deviation)
        if retry is None:
            client_refuses(fault, server_hello=deviation)
        else:
            client_refuses(fault, retry=retry, hello_retry_request=deviation)

    def test_without_key_share(self, client_refuses: ClientRefuses) -> None:
        deviation = without_extension(Ext.KEY_SHARE)
        client_refuses(Fault.MISSING_EXTENSION, server_hello=deviation)
        client_refuses(Fault.MISSING_EXTENSION, retry="secp256r1", server_hello=deviation)

    @pytest.mark.parametrize(
        "code", [GROUPS["secp256r1"].code, GROUPS["X448"].code, 0x0101, 0x0A0A]
    )
    def test_share_of_a_group_without_a_share(
        self, client_refuses: ClientRefuses, code: int
    ) -> None:
        entry = ext.write_key_share_server_hello(ext.KeyShareEntry(code, os.urandom(32)))
        deviation = with_extension(Ext.KEY_SHARE, entry)
        client_refuses(Fault.UNOFFERED_GROUP, server_hello=deviation)

    @pytest.mark.parametrize("what", ["suite", "version", "group", "extension"])
    def test_grease_must_not_be_chosen(self, client_refuses: ClientRefuses, what: str) -> None:
        # RFC 8701 section 4.2: a server that negotiates GREASE is refused.
        hellos: list[ClientHello] = []

        def choose_grease(server_hello: ServerHello) -> ServerHello:
            hello = peers[-1].client_hello
            hellos.append(hello)
            extensions = dict(server_hello.extensions)
            if what == "suite":
                return replace(server_hello, cipher_suite=hello.cipher_suites[0])
            if what == "version":
                offered = ext.read_supported_versions(hello.extensions[Ext.SUPPORTED_VERSIONS])
                extensions[Ext.SUPPORTED_VERSIONS] = ext.write_selected_version(offered[0])
            elif what == "group":
                entries = ext.read_key_share_client_hello(hello.extensions[Ext.KEY_SHARE])
                extensions[Ext.KEY_SHARE] = ext.write_key_share_server_hello(entries[0])
            else:
                extensions[next(iter(hello.extensions))] = b""
            return replace(server_hello, extensions=extensions)

        faults = {
            "suite": Fault.UNOFFERED_CIPHER_SUITE,
            "version": Fault.UNOFFERED_VERSION,
            "group": Fault.UNOFFERED_GROUP,
            "extension": Fault.UNSOLICITED_EXTENSION,
        }
        peers: list[Any] = []

        class Script:
            """Gives the deviation its peer, which exists only after the deviation does."""

            def __init__(self) -> None:
                self.deviation = choose_grease

        script = Script()
        with_peer = _remember_peer(peers)
        client_refuses(faults[what], server_hello=script.deviation, first=with_peer)
        assert hellos[0].cipher_suites[0] in GREASE_VALUES

    def test_extension_twice(self, client_refuses: ClientRefuses) -> None:
        def twice(hello: ServerHello) -> bytes:
            return _with_raw_extensions(hello, [*hello.extensions.items(), (Ext.KEY_SHARE, b"")])

        client_refuses(Fault.DUPLICATE_EXTENSION, server_hello=twice)

    @pytest.mark.parametrize("cut", [1, 2, 5, 40])
    def test_cut_short(self, client_refuses: ClientRefuses, cut: int) -> None:
        def shorter(hello: ServerHello) -> bytes:
            body = _with_raw_extensions(hello, list(hello.extensions.items()))[4:]
            return handshake_message(2, body[:-cut])

        client_refuses(Fault.DECODE_ERROR, server_hello=shorter)

    def test_trailing_bytes(self, client_refuses: ClientRefuses) -> None:
        def longer(hello: ServerHello) -> bytes:
            body = _with_raw_extensions(hello, list(hello.extensions.items()))[4:]
            return handshake_message(2, body + b"\0")

        client_refuses(Fault.DECODE_ERROR, server_hello=longer)
