"""Hellos that offer or choose what they must not (RFC 8446 sections 4.1 and 4.2)."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from tests.adversarial.conftest import ClientRefuses, ServerRefuses
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import ClientConfig, Fault, Limits, ServerConfig, SessionStore
from handclasp.crypto.groups import GROUPS
from handclasp.iana import GREASE_VALUES, TLS12, TLS13
from handclasp.iana import ExtensionType as Ext
from handclasp.testing.deviations import (
    Change,
    changed,
    cut_by,
    longer_by,
    with_extension,
    with_extension_twice,
    without_extension,
)
from handclasp.testing.scripted import ScriptedServer
from handclasp.wire import extensions as ext
from handclasp.wire.messages import (
    ClientHello,
    EncryptedExtensions,
    Message,
    ServerHello,
    read_message,
)

ALPN = Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION

SERVER_HELLO = [
    (changed(cipher_suite=0x1304), Fault.UNOFFERED_CIPHER_SUITE),  # known, but not offered
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
    (with_extension(Ext.PRE_SHARED_KEY, b"\0\0"), None),
    (with_extension(Ext.SERVER_NAME, b""), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.SUPPORTED_GROUPS, b"\0\2\0\x1d"), Fault.MISPLACED_EXTENSION),
    (with_extension(ALPN, b"\0\3\2h2"), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.RENEGOTIATION_INFO, b"\0"), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.EXTENDED_MASTER_SECRET, b""), Fault.MISPLACED_EXTENSION),
    (with_extension(0x1234, b""), Fault.UNSOLICITED_EXTENSION),
    (with_extension_twice(Ext.KEY_SHARE), Fault.DUPLICATE_EXTENSION),
    (with_extension_twice(Ext.SUPPORTED_VERSIONS), Fault.DUPLICATE_EXTENSION),
    (longer_by(b"\0"), Fault.DECODE_ERROR),
    *[(cut_by(count), Fault.DECODE_ERROR) for count in (1, 2, 5, 40)],
]


@pytest.mark.parametrize(("deviation", "fault"), SERVER_HELLO)
def test_server_hello(client_refuses: ClientRefuses, deviation: Change, fault: Any) -> None:
    client_refuses(fault or Fault.UNSOLICITED_EXTENSION, server_hello=deviation)


@pytest.mark.parametrize(("deviation", "fault"), SERVER_HELLO)
def test_hello_retry_request(client_refuses: ClientRefuses, deviation: Change, fault: Any) -> None:
    # pre_shared_key cannot stand in a HelloRetryRequest at all.
    fault = fault or Fault.MISPLACED_EXTENSION
    client_refuses(fault, retry="secp256r1", hello_retry_request=deviation)


def test_server_hello_without_key_share(client_refuses: ClientRefuses) -> None:
    deviation = without_extension(Ext.KEY_SHARE)
    client_refuses(Fault.MISSING_EXTENSION, server_hello=deviation)
    client_refuses(Fault.MISSING_EXTENSION, retry="secp256r1", server_hello=deviation)


@pytest.mark.parametrize("code", [GROUPS["secp256r1"].code, GROUPS["X448"].code, 0x0101, 0x0A0A])
def test_share_of_a_group_that_got_none(client_refuses: ClientRefuses, code: int) -> None:
    entry = ext.write_key_share_server_hello(ext.KeyShareEntry(code, os.urandom(32)))
    client_refuses(Fault.UNOFFERED_GROUP, server_hello=with_extension(Ext.KEY_SHARE, entry))


class GreaseSuite(ScriptedServer):
    def server_hello(self) -> ServerHello:
        return replace(super().server_hello(), cipher_suite=self.client_hello.cipher_suites[0])


class GreaseVersion(ScriptedServer):
    def server_hello(self) -> ServerHello:
        offered = self.client_hello.extensions[Ext.SUPPORTED_VERSIONS]
        version = ext.write_selected_version(ext.read_supported_versions(offered)[0])
        return with_extension(Ext.SUPPORTED_VERSIONS, version)(super().server_hello())


class GreaseGroup(ScriptedServer):
    def server_hello(self) -> ServerHello:
        offered = self.client_hello.extensions[Ext.KEY_SHARE]
        share = ext.write_key_share_server_hello(ext.read_key_share_client_hello(offered)[0])
        return with_extension(Ext.KEY_SHARE, share)(super().server_hello())


class GreaseGroupInRetry(ScriptedServer):
    def hello_retry_request(self) -> ServerHello:
        offered = self.client_hello.extensions[Ext.SUPPORTED_GROUPS]
        group = ext.write_key_share_hello_retry_request(ext.read_supported_groups(offered)[0])
        return with_extension(Ext.KEY_SHARE, group)(super().hello_retry_request())


class GreaseExtension(ScriptedServer):
    def server_hello(self) -> ServerHello:
        return with_extension(self.grease, b"")(super().server_hello())

    @property
    def grease(self) -> int:
        kind = next(iter(self.client_hello.extensions))
        assert kind in GREASE_VALUES
        return kind


class GreaseExtensionInEncryptedExtensions(GreaseExtension):
    def server_hello(self) -> ServerHello:
        return ScriptedServer.server_hello(self)

    def encrypted_extensions(self) -> Message:
        return EncryptedExtensions({self.grease: b""})


class GreaseExtensionInCertificate(GreaseExtension):
    def server_hello(self) -> ServerHello:
        return ScriptedServer.server_hello(self)

    def certificate(self) -> Message:
        message: Any = super().certificate()
        leaf = replace(message.certificate_list[0], extensions={self.grease: b""})
        changed: Message = replace(message, certificate_list=(leaf,))
        return changed


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (GreaseSuite, Fault.UNOFFERED_CIPHER_SUITE),
        (GreaseVersion, Fault.UNOFFERED_VERSION),
        (GreaseGroup, Fault.UNOFFERED_GROUP),
        (GreaseGroupInRetry, Fault.UNOFFERED_GROUP),
        (GreaseExtension, Fault.UNSOLICITED_EXTENSION),
        (GreaseExtensionInEncryptedExtensions, Fault.UNSOLICITED_EXTENSION),
        (GreaseExtensionInCertificate, Fault.UNSOLICITED_EXTENSION),
    ],
)
def test_grease_must_not_be_chosen(
    client_refuses: ClientRefuses, kind: type[ScriptedServer], fault: Fault
) -> None:
    """RFC 8701 section 3.1: a client must reject GREASE values that a server negotiates."""
    retry = "secp256r1" if kind is GreaseGroupInRetry else None
    client_refuses(fault, kind=kind, retry=retry)


def test_too_many_extensions_of_a_server(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, limits=Limits(max_extensions=1))
    client_refuses(Fault.TOO_MANY_EXTENSIONS, config=config)


# ClientHello

CLIENT_HELLO = [
    (changed(cipher_suites=(0xC02F, 0x00FF)), Fault.NO_SHARED_CIPHER_SUITE),
    (changed(cipher_suites=(0x1304,)), Fault.NO_SHARED_CIPHER_SUITE),  # known, but not enabled
    (changed(legacy_version=0x0300), Fault.NO_SHARED_VERSION),
    (changed(legacy_version=0x0002), Fault.NO_SHARED_VERSION),
    # What has no use in TLS 1.3, or here, and cannot be read.
    (with_extension(Ext.STATUS_REQUEST, b""), Fault.DECODE_ERROR),
    (with_extension(Ext.STATUS_REQUEST, b"\1\0\0\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.SIGNED_CERTIFICATE_TIMESTAMP, b"\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.SIGNATURE_ALGORITHMS_CERT, b""), Fault.DECODE_ERROR),
    (with_extension(Ext.SIGNATURE_ALGORITHMS_CERT, b"\0\3\4\3\4"), Fault.DECODE_ERROR),
    (with_extension(Ext.EXTENDED_MASTER_SECRET, b"\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.EC_POINT_FORMATS, b"\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.RENEGOTIATION_INFO, b""), Fault.DECODE_ERROR),
    (changed(legacy_compression_methods=b"\1\0"), Fault.COMPRESSION_CHOSEN),
    (changed(legacy_compression_methods=b"\1"), Fault.COMPRESSION_CHOSEN),
    (changed(legacy_compression_methods=b""), Fault.DECODE_ERROR),
    (changed(legacy_session_id=bytes(33)), Fault.DECODE_ERROR),
    (changed(cipher_suites=()), Fault.DECODE_ERROR),
    (with_extension(Ext.SUPPORTED_VERSIONS, b"\2\3\2"), Fault.NO_SHARED_VERSION),
    (with_extension(Ext.SUPPORTED_VERSIONS, b"\2\3\3"), Fault.EXTENDED_MASTER_SECRET_MISSING),
    (with_extension(Ext.SUPPORTED_VERSIONS, b"\4\x7f\x1c\x0a\x0a"), Fault.NO_SHARED_VERSION),
    (without_extension(Ext.SUPPORTED_VERSIONS), Fault.EXTENDED_MASTER_SECRET_MISSING),
    # What follows has no other fault than to be of TLS 1.2.
    (changed(legacy_version=TLS13, extensions={}), Fault.EXTENDED_MASTER_SECRET_MISSING),
    (changed(legacy_version=TLS12, extensions={}), Fault.EXTENDED_MASTER_SECRET_MISSING),
    (changed(legacy_version=0x0302, extensions={}), Fault.NO_SHARED_VERSION),
    (with_extension(Ext.SUPPORTED_VERSIONS, b"\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.SUPPORTED_VERSIONS, b"\3\3\4\3"), Fault.DECODE_ERROR),
    (with_extension(Ext.SUPPORTED_GROUPS, b"\0\2\1\0"), Fault.KEY_SHARE_NOT_IN_GROUPS),
    (with_extension(Ext.SUPPORTED_GROUPS, b"\0\0"), Fault.DECODE_ERROR),
    (without_extension(Ext.SUPPORTED_GROUPS), Fault.MISSING_EXTENSION),
    (without_extension(Ext.KEY_SHARE), Fault.MISSING_EXTENSION),
    (without_extension(Ext.SIGNATURE_ALGORITHMS), Fault.MISSING_EXTENSION),
    (
        with_extension(Ext.SIGNATURE_ALGORITHMS, b"\0\4\4\1\2\1"),
        Fault.NO_SHARED_SIGNATURE_SCHEME,
    ),
    (with_extension(Ext.SIGNATURE_ALGORITHMS, b"\0\3\4\1\2"), Fault.DECODE_ERROR),
    (with_extension(Ext.OID_FILTERS, b"\0\0"), Fault.MISPLACED_EXTENSION),
    (with_extension_twice(Ext.SUPPORTED_GROUPS), Fault.DUPLICATE_EXTENSION),
    (with_extension_twice(Ext.KEY_SHARE), Fault.DUPLICATE_EXTENSION),
    (with_extension(Ext.SERVER_NAME, b"\0\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.SERVER_NAME, b"\0\5\0\0\2a "), Fault.ILLEGAL_VALUE),
    (with_extension(Ext.SERVER_NAME, b"\0\x08\0\0\1a\0\0\1b"), Fault.ILLEGAL_VALUE),
    (with_extension(ALPN, b"\0\0"), Fault.DECODE_ERROR),
    (with_extension(ALPN, b"\0\1\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.RECORD_SIZE_LIMIT, b"\0\x3f"), Fault.BAD_RECORD_SIZE_LIMIT),
    (with_extension(Ext.RECORD_SIZE_LIMIT, b"\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.CERTIFICATE_AUTHORITIES, b"\0\0"), Fault.DECODE_ERROR),
    (longer_by(b"\0"), Fault.DECODE_ERROR),
    *[(cut_by(count), Fault.DECODE_ERROR) for count in (1, 2, 30, 60)],
]


@pytest.mark.parametrize(("deviation", "fault"), CLIENT_HELLO)
def test_client_hello(server_refuses: ServerRefuses, deviation: Change, fault: Fault) -> None:
    server_refuses(fault, first_hello=deviation)


def test_pre_shared_key_must_come_last(server_refuses: ServerRefuses) -> None:
    def change(hello: Any) -> Any:
        return replace(hello, extensions={Ext.PRE_SHARED_KEY: b"\0"} | dict(hello.extensions))

    server_refuses(Fault.ILLEGAL_VALUE, first_hello=change)


def test_no_shared_group(pki: Pki, server_refuses: ServerRefuses) -> None:
    config = ServerConfig(credentials=pki.server(), groups=["X448"])
    server_refuses(Fault.NO_SHARED_GROUP, config=config)


def test_no_shared_application_protocol(pki: Pki, server_refuses: ServerRefuses) -> None:
    config = ServerConfig(credentials=pki.server(), alpn=["h2"])
    extensions = {ALPN: ext.write_alpn([b"ftp", b"\xff"])}
    server_refuses(Fault.NO_SHARED_APPLICATION_PROTOCOL, config=config, extensions=extensions)


def test_unrecognized_name(pki: Pki, server_refuses: ServerRefuses) -> None:
    config = ServerConfig(credentials=pki.server("localhost"), strict_server_name=True)
    extensions = {Ext.SERVER_NAME: ext.write_server_name("example.org")}
    server_refuses(Fault.UNRECOGNIZED_NAME, config=config, extensions=extensions)


def test_too_many_extensions_of_a_client(pki: Pki, server_refuses: ServerRefuses) -> None:
    server_refuses(Fault.TOO_MANY_EXTENSIONS, extensions=dict.fromkeys(range(16384, 16640), b""))


def test_too_many_key_shares(server_refuses: ServerRefuses) -> None:
    codes = range(0x5000, 0x5041)
    entries = [ext.KeyShareEntry(code, b"x") for code in codes]
    extensions = {
        Ext.SUPPORTED_GROUPS: ext.write_supported_groups(codes),
        Ext.KEY_SHARE: ext.write_key_share_client_hello(entries),
    }
    server_refuses(Fault.TOO_MANY_EXTENSIONS, extensions=extensions)


def test_key_shares_that_are_not_listed_or_double(server_refuses: ServerRefuses) -> None:
    share = ext.KeyShareEntry(GROUPS["X25519"].code, os.urandom(32))
    other = ext.KeyShareEntry(GROUPS["secp384r1"].code, os.urandom(97))
    for entries in ([share, share], [share, other]):
        data = ext.write_key_share_client_hello(entries)
        deviation = with_extension(Ext.KEY_SHARE, data)
        server_refuses(Fault.KEY_SHARE_NOT_IN_GROUPS, first_hello=deviation)


# EncryptedExtensions

ENCRYPTED_EXTENSIONS = [
    ({ALPN: b"\0\4\3ftp"}, Fault.UNOFFERED_APPLICATION_PROTOCOL),
    ({ALPN: b"\0\3\2\xff\xfe"}, Fault.UNOFFERED_APPLICATION_PROTOCOL),
    ({ALPN: b"\0\x0c\2h2\x08http/1.1"}, Fault.DECODE_ERROR),
    ({ALPN: b"\0\0"}, Fault.DECODE_ERROR),
    ({Ext.SERVER_NAME: b"\0"}, Fault.DECODE_ERROR),
    ({Ext.KEY_SHARE: b""}, Fault.MISPLACED_EXTENSION),
    ({Ext.SUPPORTED_VERSIONS: b"\3\4"}, Fault.MISPLACED_EXTENSION),
    ({Ext.SIGNATURE_ALGORITHMS: b""}, Fault.MISPLACED_EXTENSION),
    ({Ext.COOKIE: b"\0\1x"}, Fault.MISPLACED_EXTENSION),
    ({Ext.PADDING: b""}, Fault.MISPLACED_EXTENSION),
    ({Ext.SESSION_TICKET: b""}, Fault.MISPLACED_EXTENSION),
    ({Ext.EARLY_DATA: b""}, Fault.UNSOLICITED_EXTENSION),
    ({Ext.RECORD_SIZE_LIMIT: b"\x40\1"}, Fault.UNSOLICITED_EXTENSION),
    ({Ext.HEARTBEAT: b"\1"}, Fault.UNSOLICITED_EXTENSION),
    ({Ext.MAX_FRAGMENT_LENGTH: b"\1"}, Fault.UNSOLICITED_EXTENSION),
    ({0x1234: b""}, Fault.UNSOLICITED_EXTENSION),
]


@pytest.mark.parametrize(("extensions", "fault"), ENCRYPTED_EXTENSIONS)
def test_encrypted_extensions(
    client_refuses: ClientRefuses, extensions: dict[int, bytes], fault: Fault
) -> None:
    client_refuses(fault, encrypted_extensions=EncryptedExtensions(extensions))


def test_record_size_limit_of_a_server(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, record_size_limit=1000)
    too_small = EncryptedExtensions({Ext.RECORD_SIZE_LIMIT: b"\0\x3f"})
    client_refuses(Fault.BAD_RECORD_SIZE_LIMIT, config=config, encrypted_extensions=too_small)


def test_extension_twice_in_encrypted_extensions(client_refuses: ClientRefuses) -> None:
    deviation = with_extension_twice(Ext.SERVER_NAME)
    message = deviation(EncryptedExtensions({Ext.SERVER_NAME: b""}))
    client_refuses(Fault.DUPLICATE_EXTENSION, encrypted_extensions=message)


# Servers of TLS 1.2


@pytest.mark.parametrize(
    ("sentinel", "fault"),
    [
        (b"DOWNGRD\x01", Fault.VERSION_DOWNGRADE),
        (b"DOWNGRD\x00", Fault.VERSION_DOWNGRADE),
        (bytes(8), Fault.NO_SHARED_VERSION),
    ],
)
@pytest.mark.parametrize("version", [0x0302, 0x0301, 0x0300])
def test_older_server(
    client_refuses: ClientRefuses, version: int, sentinel: bytes, fault: Fault
) -> None:
    def older(hello: ServerHello) -> ServerHello:
        return replace(
            hello,
            legacy_version=version,
            random=os.urandom(24) + sentinel,
            cipher_suite=0xC02F,
            extensions={Ext.RENEGOTIATION_INFO: b"\0"},
        )

    client_refuses(fault, server_hello=older)


@pytest.mark.parametrize("version", [TLS13, 0x0305, 0xFEFD])
def test_version_of_no_server(client_refuses: ClientRefuses, version: int) -> None:
    deviation = changed(legacy_version=version, extensions={})
    client_refuses(Fault.UNOFFERED_VERSION, server_hello=deviation)


def test_a_server_that_was_not_authenticated_changes_no_later_hello(pki: Pki) -> None:
    """One that asks for an older group must not make the next hellos weaker (RUSTSEC-2026-0349)."""
    config = ClientConfig(trust=pki.trust, sessions=SessionStore())
    stranger = ServerConfig(credentials=Pki().server("localhost"), groups=["secp256r1"])

    seen: list[set[int]] = []
    for _ in range(2):
        pair = Pair(config, stranger).run()
        assert pair.client.error is not None
        assert pair.client.error.fault is Fault.CERTIFICATE_UNTRUSTED
        _, body = pair.client.records[0]
        hello = read_message(body)
        assert isinstance(hello, ClientHello)
        shares = ext.client_shares(hello.extensions[Ext.KEY_SHARE])
        seen.append({group for group, _ in shares if group not in GREASE_VALUES})
    assert GROUPS["X25519MLKEM768"].code in seen[0]
    assert seen[0] == seen[1]
