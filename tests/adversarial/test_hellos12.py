"""TLS 1.2: hellos that lie, contradict, or offer nothing, and versions that are talked down."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.adversarial.conftest import ClientRefuses, ServerRefuses
from tests.adversarial.encounter import Encounter
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import ClientConfig, Fault, Limits, ProtocolError, ServerConfig
from handclasp.crypto.suites import CIPHER_SUITES12, RSA_KEY_TRANSPORT_SUITES
from handclasp.iana import (
    EMPTY_RENEGOTIATION_INFO_SCSV,
    FALLBACK_SCSV,
    TLS12,
    TLS13,
    ContentType,
    HandshakeType,
)
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
from handclasp.testing.scripted12 import RSA_SUITE, ScriptedClient12, ScriptedServer12
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ClientHello, ServerHello, read_message, write_message
from handclasp.wire.records import HEADER_SIZE

Meet = Callable[..., Encounter]
ALPN = Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION


@pytest.fixture
def meet_server(meet_server: Meet) -> Meet:
    return partial(meet_server, kind=ScriptedServer12)


@pytest.fixture
def meet_client(meet_client: Meet) -> Meet:
    return partial(meet_client, kind=ScriptedClient12)


# ServerHello

SERVER_HELLO = [
    # Of TLS 1.3, for key transport, CBC, NULL, anonymous, DHE, CCM, signalling, GREASE.
    *[
        (changed(cipher_suite=code), Fault.UNOFFERED_CIPHER_SUITE)
        for code in (0x1301, 0x009C, 0xC009, 0xC013, 0x002F, 0x0000, 0xC010, 0x009E, 0xC0AC)
    ],
    *[
        (changed(cipher_suite=code), Fault.UNOFFERED_CIPHER_SUITE)
        for code in (EMPTY_RENEGOTIATION_INFO_SCSV, FALLBACK_SCSV, 0x0A0A, 0xFFFF)
    ],
    (changed(legacy_compression_method=1), Fault.COMPRESSION_CHOSEN),
    (changed(legacy_compression_method=64), Fault.COMPRESSION_CHOSEN),
    (without_extension(Ext.RENEGOTIATION_INFO), Fault.SECURE_RENEGOTIATION_MISSING),
    (with_extension(Ext.RENEGOTIATION_INFO, b"\1x"), Fault.BAD_RENEGOTIATION_INFO),
    (with_extension(Ext.RENEGOTIATION_INFO, b"\x18" + bytes(24)), Fault.BAD_RENEGOTIATION_INFO),
    (with_extension(Ext.RENEGOTIATION_INFO, b""), Fault.DECODE_ERROR),
    (with_extension(Ext.RENEGOTIATION_INFO, b"\1"), Fault.DECODE_ERROR),
    (with_extension(Ext.RENEGOTIATION_INFO, b"\0\0"), Fault.DECODE_ERROR),
    (without_extension(Ext.EXTENDED_MASTER_SECRET), Fault.EXTENDED_MASTER_SECRET_MISSING),
    (with_extension(Ext.EXTENDED_MASTER_SECRET, b"\0"), Fault.DECODE_ERROR),
    (changed(extensions={}), Fault.SECURE_RENEGOTIATION_MISSING),
    (with_extension(Ext.EC_POINT_FORMATS, b"\1\1"), Fault.ILLEGAL_VALUE),
    (with_extension(Ext.EC_POINT_FORMATS, b"\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.EC_POINT_FORMATS, b""), Fault.DECODE_ERROR),
    (with_extension(Ext.SERVER_NAME, b"\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.STATUS_REQUEST, b"\1\0\0\0\0"), Fault.DECODE_ERROR),
    (with_extension(ALPN, b"\0\4\3ftp"), Fault.UNOFFERED_APPLICATION_PROTOCOL),
    (with_extension(ALPN, b"\0\x0c\2h2\x08http/1.1"), Fault.DECODE_ERROR),
    (with_extension(ALPN, b"\0\0"), Fault.DECODE_ERROR),
    # Answers to what nobody asked.
    (with_extension(Ext.SESSION_TICKET, b""), Fault.UNSOLICITED_EXTENSION),
    (with_extension(Ext.ENCRYPT_THEN_MAC, b""), Fault.UNSOLICITED_EXTENSION),
    (with_extension(Ext.MAX_FRAGMENT_LENGTH, b"\1"), Fault.UNSOLICITED_EXTENSION),
    (with_extension(Ext.HEARTBEAT, b"\1"), Fault.UNSOLICITED_EXTENSION),
    (with_extension(Ext.RECORD_SIZE_LIMIT, b"\x40\1"), Fault.UNSOLICITED_EXTENSION),
    (with_extension(Ext.SERVER_CERTIFICATE_TYPE, b"\2"), Fault.UNSOLICITED_EXTENSION),
    (with_extension(0x1234, b""), Fault.UNSOLICITED_EXTENSION),
    (with_extension(0x3374, b""), Fault.UNSOLICITED_EXTENSION),  # NPN
    # What belongs into other messages, or into TLS 1.3.
    (with_extension(Ext.KEY_SHARE, b"\0\x1d\0\1x"), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.SIGNATURE_ALGORITHMS, b"\0\2\4\3"), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.PRE_SHARED_KEY, b"\0\0"), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.COOKIE, b"\0\1x"), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.EARLY_DATA, b""), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.CERTIFICATE_AUTHORITIES, b"\0\0"), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.PSK_KEY_EXCHANGE_MODES, b"\1\1"), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.COMPRESS_CERTIFICATE, b"\2\0\2"), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.PADDING, b""), Fault.MISPLACED_EXTENSION),
    # supported_versions is for TLS 1.3 and later (RFC 8446 4.2.1).
    (with_extension(Ext.SUPPORTED_VERSIONS, b"\3\3"), Fault.UNOFFERED_VERSION),
    (with_extension(Ext.SUPPORTED_VERSIONS, b"\3\2"), Fault.UNOFFERED_VERSION),
    (with_extension(Ext.SUPPORTED_VERSIONS, b"\3\4"), Fault.MISPLACED_EXTENSION),
    (with_extension_twice(Ext.RENEGOTIATION_INFO), Fault.DUPLICATE_EXTENSION),
    (with_extension_twice(Ext.EXTENDED_MASTER_SECRET), Fault.DUPLICATE_EXTENSION),
    (longer_by(b"\0"), Fault.DECODE_ERROR),
    *[(cut_by(count), Fault.DECODE_ERROR) for count in (1, 2, 4, 12, 40)],
]


@pytest.mark.parametrize(("deviation", "fault"), SERVER_HELLO)
def test_server_hello(client_refuses: ClientRefuses, deviation: Change, fault: Fault) -> None:
    client_refuses(fault, server_hello=deviation)


@pytest.mark.parametrize("suite", CIPHER_SUITES12)
def test_suite_that_was_switched_off(pki: Pki, client_refuses: ClientRefuses, suite: str) -> None:
    """Spoken here, but not offered by this client."""
    other = RSA_SUITE if suite != RSA_SUITE else "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    config = ClientConfig(trust=pki.trust, cipher_suites=[other], versions=["TLSv1.2"])
    client_refuses(Fault.UNOFFERED_CIPHER_SUITE, config=config, suite=suite)


@pytest.mark.parametrize("suite", RSA_KEY_TRANSPORT_SUITES)
def test_key_transport_is_off(pki: Pki, client_refuses: ClientRefuses, suite: str) -> None:
    credentials = pki.server("localhost", key_type="rsa-2048")
    client_refuses(Fault.UNOFFERED_CIPHER_SUITE, credentials=credentials, suite=suite)


class EchoesSession(ScriptedServer12):
    """Takes the session id that stands there for TLS 1.3 as one to resume."""

    def server_hello(self) -> Any:
        session_id = self.client_hello.legacy_session_id
        assert session_id
        return replace(super().server_hello(), legacy_session_id_echo=session_id)


class Resumes(EchoesSession):
    def __init__(self, *args: Any, **script: Any) -> None:
        order = ("server_hello", "change_cipher_spec", "finished")
        super().__init__(*args, order=order, **script)


@pytest.mark.parametrize("kind", [EchoesSession, Resumes])
def test_session_that_was_never_there(
    client_refuses: ClientRefuses, kind: type[ScriptedServer12]
) -> None:
    client_refuses(Fault.UNOFFERED_SESSION, kind=kind)


@pytest.mark.parametrize("versions", [["TLSv1.2"], ["TLSv1.2", "TLSv1.3"]])
def test_session_id_of_the_server(pki: Pki, meet_server: Meet, versions: list[str]) -> None:
    """It may give this session a name, which nobody here will ever use."""
    config = ClientConfig(trust=pki.trust, versions=versions)
    deviation = changed(legacy_session_id_echo=os.urandom(32))
    assert meet_server(config=config, server_hello=deviation).connection.established


def test_extension_that_this_client_leaves_out(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust)
    deviation = with_extension(ALPN, b"\0\3\2h2")
    client_refuses(Fault.UNSOLICITED_EXTENSION, config=config, server_hello=deviation)


def test_record_size_limit_of_a_server(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, record_size_limit=1000)
    deviation = with_extension(Ext.RECORD_SIZE_LIMIT, b"\0\x3f")
    client_refuses(Fault.BAD_RECORD_SIZE_LIMIT, config=config, server_hello=deviation)


def test_too_many_extensions_of_a_server(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, limits=Limits(max_extensions=1))
    client_refuses(Fault.TOO_MANY_EXTENSIONS, config=config)


@pytest.mark.parametrize("place", ["suite", "extension"])
def test_grease_must_not_be_chosen(client_refuses: ClientRefuses, place: str) -> None:
    """RFC 8701 section 3.1: as in TLS 1.3."""

    class Grease(ScriptedServer12):
        def server_hello(self) -> Any:
            hello = super().server_hello()
            if place == "suite":
                return replace(hello, cipher_suite=self.client_hello.cipher_suites[0])
            return with_extension(next(iter(self.client_hello.extensions)), b"")(hello)

    suite, extension = Fault.UNOFFERED_CIPHER_SUITE, Fault.UNSOLICITED_EXTENSION
    client_refuses(suite if place == "suite" else extension, kind=Grease)


# The extended master secret (RFC 7627)


def test_without_the_extended_master_secret(
    client_refuses: ClientRefuses, server_refuses: ServerRefuses
) -> None:
    client_refuses(Fault.EXTENDED_MASTER_SECRET_MISSING, extended=False)
    server_refuses(Fault.EXTENDED_MASTER_SECRET_MISSING, extended=False)


def test_allowed_without_the_extended_master_secret(
    pki: Pki, meet_server: Meet, meet_client: Meet
) -> None:
    client = ClientConfig(trust=pki.trust, require_extended_master_secret=False)
    server = ServerConfig(credentials=pki.server(), require_extended_master_secret=False)
    for extended in (False, True):
        assert meet_server(config=client, extended=extended).connection.established
        assert meet_client(config=server, extended=extended).connection.established


# ClientHello

CLIENT_HELLO = [
    (changed(legacy_compression_methods=b"\1"), Fault.COMPRESSION_CHOSEN),
    (changed(legacy_compression_methods=b"\1\x40"), Fault.COMPRESSION_CHOSEN),
    (changed(legacy_compression_methods=b""), Fault.DECODE_ERROR),
    (with_extension(Ext.RENEGOTIATION_INFO, b"\1x"), Fault.BAD_RENEGOTIATION_INFO),
    (with_extension(Ext.RENEGOTIATION_INFO, b"\x0c" + bytes(12)), Fault.BAD_RENEGOTIATION_INFO),
    (with_extension(Ext.RENEGOTIATION_INFO, b""), Fault.DECODE_ERROR),
    (with_extension(Ext.EXTENDED_MASTER_SECRET, b"\0"), Fault.DECODE_ERROR),
    (without_extension(Ext.EXTENDED_MASTER_SECRET), Fault.EXTENDED_MASTER_SECRET_MISSING),
    (with_extension(Ext.EC_POINT_FORMATS, b"\1\1"), Fault.ILLEGAL_VALUE),
    (with_extension(Ext.EC_POINT_FORMATS, b"\2\2\1"), Fault.ILLEGAL_VALUE),
    (with_extension(Ext.EC_POINT_FORMATS, b"\0"), Fault.DECODE_ERROR),
    # RFC 5246 7.4.1.4.1: then SHA-1 is meant.
    (without_extension(Ext.SIGNATURE_ALGORITHMS), Fault.NO_SHARED_SIGNATURE_SCHEME),
    (
        with_extension(Ext.SIGNATURE_ALGORITHMS, b"\0\4\2\3\2\1"),
        Fault.NO_SHARED_SIGNATURE_SCHEME,
    ),
    (with_extension(Ext.SIGNATURE_ALGORITHMS, b"\0\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.SUPPORTED_GROUPS, b"\0\2\0\x16"), Fault.NO_SHARED_GROUP),
    # The hybrids are of TLS 1.3.
    (with_extension(Ext.SUPPORTED_GROUPS, b"\0\2\x11\xec"), Fault.NO_SHARED_GROUP),
    (with_extension(Ext.SUPPORTED_GROUPS, b"\0\0"), Fault.DECODE_ERROR),
    *[
        (changed(cipher_suites=(code,)), Fault.NO_SHARED_CIPHER_SUITE)
        for code in (0x1301, 0xC009, 0xC013, 0x002F, 0x009C, 0xC02F, 0x0000, 0x00FF)
    ],
    (changed(cipher_suites=()), Fault.DECODE_ERROR),
    (changed(cipher_suites=(0xC02B, FALLBACK_SCSV)), Fault.INAPPROPRIATE_FALLBACK),
    (changed(cipher_suites=(FALLBACK_SCSV, 0xC02B)), Fault.INAPPROPRIATE_FALLBACK),
    (changed(legacy_session_id=bytes(33)), Fault.DECODE_ERROR),
    (with_extension(Ext.OID_FILTERS, b"\0\0"), Fault.MISPLACED_EXTENSION),
    (with_extension_twice(Ext.SUPPORTED_GROUPS), Fault.DUPLICATE_EXTENSION),
    (with_extension_twice(Ext.RENEGOTIATION_INFO), Fault.DUPLICATE_EXTENSION),
    (with_extension(Ext.SUPPORTED_VERSIONS, b"\2\3\2"), Fault.NO_SHARED_VERSION),
    (longer_by(b"\0"), Fault.DECODE_ERROR),
    *[(cut_by(count), Fault.DECODE_ERROR) for count in (1, 2, 30, 60)],
]


@pytest.mark.parametrize(("deviation", "fault"), CLIENT_HELLO)
def test_client_hello(server_refuses: ServerRefuses, deviation: Change, fault: Fault) -> None:
    server_refuses(fault, first_hello=deviation)


def test_missing_signature_schemes_are_told(server_refuses: ServerRefuses) -> None:
    deviation = without_extension(Ext.SIGNATURE_ALGORITHMS)
    encounter = server_refuses(Fault.NO_SHARED_SIGNATURE_SCHEME, first_hello=deviation)
    assert "offered: nothing" in str(encounter.error)


GOOD_CLIENT_HELLO = [
    without_extension(Ext.SUPPORTED_GROUPS),  # then it is secp256r1
    without_extension(Ext.EC_POINT_FORMATS),
    with_extension(Ext.EC_POINT_FORMATS, b"\3\0\1\2"),
    without_extension(Ext.RENEGOTIATION_INFO),  # RFC 5746 3.6: it is for the client to insist
    changed(legacy_compression_methods=b"\1\0"),
    changed(legacy_version=TLS13),  # RFC 5246 E.1: the server takes what it has
    changed(legacy_version=0x03FF),
    changed(legacy_session_id=bytes(32)),  # a session that is not known here
    changed(cipher_suites=(0x0A0A, 0xC013, 0xC02B, 0x00FF)),
    with_extension(Ext.SESSION_TICKET, b"a ticket that is not known here"),
    with_extension(Ext.SUPPORTED_VERSIONS, b"\4\3\3\3\2"),
    with_extension(Ext.ENCRYPT_THEN_MAC, b""),
    with_extension(Ext.MAX_FRAGMENT_LENGTH, b"\1"),
    with_extension(0x3374, b""),
]


@pytest.mark.parametrize("deviation", GOOD_CLIENT_HELLO)
def test_client_hello_that_will_do(meet_client: Meet, deviation: Change) -> None:
    encounter = meet_client(first_hello=deviation)
    assert encounter.error is None
    assert encounter.connection.established
    assert encounter.peer.established


def test_assumed_group(meet_client: Meet) -> None:
    encounter = meet_client(first_hello=without_extension(Ext.SUPPORTED_GROUPS))
    assert encounter.connection.info is not None
    assert encounter.connection.info.group == "secp256r1"


@pytest.mark.parametrize("scsv", [False, True])
def test_renegotiation_info_is_answered(meet_client: Meet, scsv: bool) -> None:
    """RFC 5746 section 3.6: to the extension, to the suite that stands for it, and else not."""

    class Listening(ScriptedClient12):
        def receive(self, raw: bytes) -> None:
            if raw[0] == HandshakeType.SERVER_HELLO:
                hello = read_message(raw)
                assert isinstance(hello, ServerHello)
                answers.append(hello.extensions.get(Ext.RENEGOTIATION_INFO))
            super().receive(raw)

    answers: list[bytes | None] = []

    def hello(message: ClientHello) -> Any:
        suites = (*message.cipher_suites, EMPTY_RENEGOTIATION_INFO_SCSV)
        without = without_extension(Ext.RENEGOTIATION_INFO)(message)
        return replace(without, cipher_suites=suites) if scsv else without

    assert meet_client(kind=Listening, first_hello=hello).connection.established
    assert answers == [b"\0" if scsv else None]


def test_nobody_resumes_here(meet_client: Meet) -> None:
    """The session id of a client is never echoed, which would say that the session goes on."""
    encounter = meet_client(first_hello=changed(legacy_session_id=b"x" * 32), order=())
    raw = bytes(encounter.peer.transcript.messages())
    assert raw.count(b"x" * 32) == 1


# Versions


@pytest.mark.parametrize("version", [0x0302, 0x0301, 0x0300])
@pytest.mark.parametrize("versions", [["TLSv1.2"], ["TLSv1.2", "TLSv1.3"]])
def test_older_server(
    pki: Pki, client_refuses: ClientRefuses, version: int, versions: list[str]
) -> None:
    config = ClientConfig(trust=pki.trust, versions=versions)
    deviation = changed(legacy_version=version)
    encounter = client_refuses(Fault.NO_SHARED_VERSION, config=config, server_hello=deviation)
    assert f"offered: {', '.join(versions)}" in str(encounter.error)


@pytest.mark.parametrize("version", [0x0302, 0x0301, 0x0300])
def test_older_client(server_refuses: ServerRefuses, version: int) -> None:
    name = {0x0302: "TLSv1.1", 0x0301: "TLSv1.0", 0x0300: "SSLv3"}[version]
    deviation = changed(legacy_version=version)
    encounter = server_refuses(Fault.NO_SHARED_VERSION, first_hello=deviation)
    assert f"offered: {name}; accepted here: TLSv1.2, TLSv1.3" in str(encounter.error)


@pytest.mark.parametrize("versions", [b"\4\3\2\3\1", b"\2\3\0", b"\4\x0a\x0a\3\2"])
def test_client_that_lists_older_versions(server_refuses: ServerRefuses, versions: bytes) -> None:
    """supported_versions decides, whatever legacy_version says (RFC 8446 4.2.1)."""
    deviation = with_extension(Ext.SUPPORTED_VERSIONS, versions)
    server_refuses(Fault.NO_SHARED_VERSION, first_hello=deviation)


@pytest.mark.parametrize("version", [TLS13, 0x0305, 0xFEFD, 0x0002])
def test_version_of_no_server(client_refuses: ClientRefuses, version: int) -> None:
    fault = Fault.NO_SHARED_VERSION if version == 2 else Fault.UNOFFERED_VERSION
    client_refuses(fault, server_hello=changed(legacy_version=version))


def test_server_of_tls12_for_a_client_of_tls13(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, versions=["TLSv1.3"])
    encounter = client_refuses(Fault.NO_SHARED_VERSION, config=config)
    assert "offered: TLSv1.3; the server chose TLSv1.2" in str(encounter.error)


@pytest.mark.parametrize("sentinel", [b"DOWNGRD\x01", b"DOWNGRD\x00"])
def test_sentinel(pki: Pki, client_refuses: ClientRefuses, sentinel: bytes) -> None:
    """RFC 8446 4.1.3: both values say that the server could do better."""
    deviation = changed(random=os.urandom(24) + sentinel)
    client_refuses(Fault.VERSION_DOWNGRADE, server_hello=deviation)


def test_sentinel_for_a_client_that_has_no_better_version(pki: Pki, meet_server: Meet) -> None:
    config = ClientConfig(trust=pki.trust, versions=["TLSv1.2"])
    deviation = changed(random=os.urandom(24) + b"DOWNGRD\x01")
    assert meet_server(config=config, server_hello=deviation).connection.established


# Somebody in the middle, between our own two ends


class Between:
    """Carries bytes between both ends, and changes the hellos on their way."""

    def __init__(
        self,
        pki: Pki,
        *,
        client_hello: Change = lambda hello: hello,
        server_hello: Change = lambda hello: hello,
        key_type: str = "ecdsa-p256",
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
    ) -> None:
        credentials = pki.server("localhost", key_type=key_type)
        self.pair = Pair(
            ClientConfig(trust=pki.trust, **(client or {})),
            ServerConfig(credentials=credentials, **(server or {})),
        )
        pair = self.pair
        pair.server.receive(with_changed_hello(pair.client.take(), client_hello))
        pair.client.receive(with_changed_hello(pair.server.take(), server_hello))
        pair.run()

    def fault_of(self, side: str) -> Fault:
        error = getattr(self.pair, side).error
        assert isinstance(error, ProtocolError), error
        return error.fault


def with_changed_hello(stream: bytes, change: Change) -> bytes:
    """The stream with its first message, which is a hello, changed."""
    if stream[0] != ContentType.HANDSHAKE:
        return stream
    end = HEADER_SIZE + int.from_bytes(stream[3:5], "big")
    content = stream[HEADER_SIZE:end]
    size = 4 + int.from_bytes(content[1:4], "big")
    content = write_message(change(read_message(content[:size]))) + content[size:]
    return stream[:3] + len(content).to_bytes(2, "big") + content + stream[end:]


WITHOUT_VERSIONS = without_extension(Ext.SUPPORTED_VERSIONS)
ONLY_TLS12 = with_extension(Ext.SUPPORTED_VERSIONS, ext.write_supported_versions([TLS12]))


def test_nothing_changed(pki: Pki) -> None:
    """Both can do TLS 1.3, and do it where nobody is in between."""
    pair = Between(pki).pair
    assert pair.established
    assert pair.client.info.version == "TLSv1.3"


@pytest.mark.parametrize("change", [WITHOUT_VERSIONS, ONLY_TLS12])
@pytest.mark.parametrize("key_type", ["ecdsa-p256", "rsa-2048"])
def test_downgrade_to_tls12(pki: Pki, change: Change, key_type: str) -> None:
    between = Between(pki, client_hello=change, key_type=key_type)
    assert between.fault_of("client") is Fault.VERSION_DOWNGRADE
    assert not between.pair.established
    assert between.pair.server.error is not None
    assert between.pair.server.error.alert == "illegal_parameter"


def test_downgrade_to_what_nobody_speaks(pki: Pki) -> None:
    older = with_extension(Ext.SUPPORTED_VERSIONS, ext.write_supported_versions([0x0302]))
    assert Between(pki, client_hello=older).fault_of("server") is Fault.NO_SHARED_VERSION


def without_sentinel(hello: Any) -> Any:
    assert hello.random[-8:] == b"DOWNGRD\x01"
    return replace(hello, random=hello.random[:-8] + bytes(8))


def test_downgrade_with_the_sentinel_removed(pki: Pki) -> None:
    """The server signs its random, so that nobody can change it."""
    between = Between(pki, client_hello=WITHOUT_VERSIONS, server_hello=without_sentinel)
    assert between.fault_of("client") is Fault.BAD_SIGNATURE


def test_downgrade_with_key_transport(pki: Pki) -> None:
    """Nothing is signed there, but the secret is bound to the hellos that each side saw."""
    suites = ["TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256"]
    both = {"allow_rsa_key_transport": True, "cipher_suites": suites}
    between = Between(
        pki,
        client_hello=WITHOUT_VERSIONS,
        server_hello=without_sentinel,
        key_type="rsa-2048",
        client=both,
        server=both,
    )
    assert between.fault_of("server") is Fault.BAD_RECORD_MAC
    assert not between.pair.client.connection.established


def test_no_sentinel_from_a_server_that_has_no_better_version(pki: Pki) -> None:
    """Only what has TLS 1.3 says so, or clients with TLS 1.3 could not speak to it."""
    between = Between(pki, server={"versions": ["TLSv1.2"]})
    assert between.pair.established
    assert between.pair.client.info.version == "TLSv1.2"


OLD = {"versions": ["TLSv1.2"]}

CHANGED_ON_THE_WAY: list[Change] = [
    changed(random=bytes(32)),
    changed(legacy_session_id=b"x"),
    changed(legacy_version=TLS13),
    without_extension(ALPN),
    without_extension(Ext.SERVER_NAME),
    with_extension(Ext.SUPPORTED_GROUPS, b"\0\2\0\x17"),
    with_extension(Ext.SIGNATURE_ALGORITHMS, b"\0\2\4\3"),
    changed(cipher_suites=(0xC02C,)),
    with_extension(0x1234, b""),
]


@pytest.mark.parametrize("change", CHANGED_ON_THE_WAY)
def test_client_hello_changed_on_the_way(pki: Pki, change: Change) -> None:
    """What is not noticed at once, the secret and the Finished are made from."""
    both = {**OLD, "alpn": ["h2"]}
    between = Between(pki, client_hello=change, client=both, server=both)
    assert not between.pair.established
    ends = between.pair.client, between.pair.server
    errors = [end.error for end in ends if isinstance(end.error, ProtocolError)]
    assert errors
    for error in errors:
        assert error.fault in (Fault.BAD_SIGNATURE, Fault.BAD_RECORD_MAC)


@pytest.mark.parametrize(
    ("side", "fault"), [("client", Fault.BAD_FINISHED), ("server", Fault.BAD_RECORD_MAC)]
)
def test_extended_master_secret_removed_on_the_way(pki: Pki, side: str, fault: Fault) -> None:
    """Where both can do without it, somebody between cannot make them."""
    lenient = {**OLD, "require_extended_master_secret": False}
    change: dict[str, Any] = {f"{side}_hello": without_extension(Ext.EXTENDED_MASTER_SECRET)}
    between = Between(pki, client=lenient, server=lenient, **change)
    assert between.fault_of("server") is fault
    assert not between.pair.client.connection.established


@pytest.mark.parametrize(
    ("offered", "fallback", "fault"),
    [
        ([TLS12], True, Fault.INAPPROPRIATE_FALLBACK),
        ([TLS12], False, None),
        (None, True, Fault.INAPPROPRIATE_FALLBACK),
        (None, False, None),
    ],
)
def test_fallback(
    meet_client: Meet, offered: list[int] | None, fallback: bool, fault: Fault | None
) -> None:
    extensions = {Ext.SUPPORTED_VERSIONS: ext.write_supported_versions(offered)} if offered else {}

    def hello(message: ClientHello) -> ClientHello:
        suites = message.cipher_suites
        return replace(message, cipher_suites=(*suites, FALLBACK_SCSV) if fallback else suites)

    encounter = meet_client(first_hello=hello, extensions=extensions)
    found = encounter.error.fault_name if encounter.error is not None else None
    assert found == (fault.name if fault is not None else None)


def test_fallback_to_the_best_there_is(pki: Pki, meet_client: Meet) -> None:
    """RFC 7507 section 3: only where the server has a better version."""
    config = ServerConfig(credentials=pki.server(), versions=["TLSv1.2"])
    deviation: Change = lambda hello: replace(  # noqa: E731
        hello, cipher_suites=(*hello.cipher_suites, FALLBACK_SCSV)
    )
    assert meet_client(config=config, first_hello=deviation).connection.established


# Hellos without extensions (RFC 5246 sections 7.4.1.2 and 7.4.1.3)


class Bare(ScriptedClient12):
    """A client that knows no extensions, and so leaves the whole field out, or has it empty."""

    empty = False
    scsv = False

    def __init__(self, **script: Any) -> None:
        super().__init__(RSA_KEY_TRANSPORT_SUITES[0], extended=False, **script)

    def first_hello(self) -> Any:
        suites = (
            *super().first_hello().cipher_suites,
            *[EMPTY_RENEGOTIATION_INFO_SCSV] * self.scsv,
        )
        self.client_hello = replace(self.client_hello, extensions={}, cipher_suites=suites)
        raw = write_message(self.client_hello)
        if not self.empty:
            return raw
        return b"\x01" + (len(raw) - 2).to_bytes(3, "big") + raw[4:] + b"\0\0"

    def receive(self, raw: bytes) -> None:
        if raw[0] == HandshakeType.SERVER_HELLO:
            self.hello_came = raw
        super().receive(raw)


class BareEmpty(Bare):
    empty = True


class BareScsv(Bare):
    scsv = True


@pytest.mark.parametrize("kind", [Bare, BareEmpty, BareScsv])
def test_a_hello_without_extensions(pki: Pki, meet_client: Meet, kind: type[Bare]) -> None:
    """RFC 5246 7.4.1.4: a server "MUST NOT" send an extension that the client did not."""
    config = ServerConfig(
        credentials=pki.server("localhost", key_type="rsa-2048"),
        allow_rsa_key_transport=True,
        require_extended_master_secret=False,
    )
    encounter = meet_client(config=config, kind=kind)
    assert encounter.error is None
    assert encounter.connection.established
    assert encounter.peer.established
    raw = encounter.peer.hello_came  # type: ignore[attr-defined]
    after_random = raw[4 + 34 :]
    rest = after_random[1 + after_random[0] + 3 :]
    # RFC 5746 3.6: the one answer to a client that says it by a suite.
    assert rest == (b"\0\5\xff\1\0\1\0" if kind.scsv else b"")
