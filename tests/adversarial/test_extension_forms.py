"""Extensions that do not follow their definition, in every message (RFC 9846 section 6.2).

They are found before anything is answered, whatever is made of them afterwards, and whatever is
chosen: a hello is malformed for a server that resumes, or asks for another hello, as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.adversarial.conftest import refused
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import (
    CertificatePolicy,
    ClientConfig,
    Fault,
    ProtocolError,
    ServerConfig,
    SessionStore,
)
from handclasp.crypto.groups import GROUPS
from handclasp.iana import ContentType, extension_name
from handclasp.iana import ExtensionType as Ext
from handclasp.testing.deviations import with_extension
from handclasp.testing.scripted import ScriptedClient, ScriptedServer
from handclasp.testing.scripted12 import ScriptedClient12, ScriptedServer12
from handclasp.wire import extensions as ext
from handclasp.wire.extension_table import FORMS, MessageContext
from handclasp.wire.messages import Message, NewSessionTicket, write_message

Meet = Callable[..., Encounter]

SCHEMES = b"\0\2\x04\x03"
SCT_LIST = b"\0\x05\0\x03sct"
X25519 = GROUPS["X25519"].code.to_bytes(2, "big")

WELL_FORMED: dict[int, dict[MessageContext, bytes]] = {
    Ext.SERVER_NAME: {
        MessageContext.CH: ext.write_server_name("localhost"),
        MessageContext.EE: b"",
        MessageContext.SH12: b"",
    },
    Ext.MAX_FRAGMENT_LENGTH: dict.fromkeys(
        (MessageContext.CH, MessageContext.EE, MessageContext.SH12), b"\1"
    ),
    Ext.STATUS_REQUEST: {
        MessageContext.CH: ext.write_status_request(),
        MessageContext.CR: b"",
        MessageContext.CT: ext.write_certificate_status(b"response"),
        MessageContext.SH12: b"",
    },
    Ext.SUPPORTED_GROUPS: dict.fromkeys(
        (MessageContext.CH, MessageContext.EE, MessageContext.SH12), b"\0\2" + X25519
    ),
    Ext.EC_POINT_FORMATS: dict.fromkeys((MessageContext.CH, MessageContext.SH12), b"\1\0"),
    Ext.SIGNATURE_ALGORITHMS: dict.fromkeys((MessageContext.CH, MessageContext.CR), SCHEMES),
    Ext.SIGNATURE_ALGORITHMS_CERT: dict.fromkeys((MessageContext.CH, MessageContext.CR), SCHEMES),
    Ext.USE_SRTP: dict.fromkeys(
        (MessageContext.CH, MessageContext.EE, MessageContext.SH12), b"\0\2\0\1\0"
    ),
    Ext.HEARTBEAT: dict.fromkeys(
        (MessageContext.CH, MessageContext.EE, MessageContext.SH12), b"\1"
    ),
    Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: dict.fromkeys(
        (MessageContext.CH, MessageContext.EE, MessageContext.SH12), ext.write_alpn([b"h2"])
    ),
    Ext.SIGNED_CERTIFICATE_TIMESTAMP: {
        MessageContext.CH: b"",
        MessageContext.CR: b"",
        MessageContext.CT: SCT_LIST,
        MessageContext.SH12: SCT_LIST,
    },
    Ext.CLIENT_CERTIFICATE_TYPE: {
        MessageContext.CH: b"\1\0",
        MessageContext.EE: b"\0",
        MessageContext.SH12: b"\0",
    },
    Ext.SERVER_CERTIFICATE_TYPE: {
        MessageContext.CH: b"\1\0",
        MessageContext.EE: b"\0",
        MessageContext.SH12: b"\0",
    },
    Ext.ENCRYPT_THEN_MAC: dict.fromkeys((MessageContext.CH, MessageContext.SH12), b""),
    Ext.EXTENDED_MASTER_SECRET: dict.fromkeys((MessageContext.CH, MessageContext.SH12), b""),
    Ext.COMPRESS_CERTIFICATE: dict.fromkeys((MessageContext.CH, MessageContext.CR), b"\2\0\1"),
    Ext.RECORD_SIZE_LIMIT: dict.fromkeys(
        (MessageContext.CH, MessageContext.EE, MessageContext.SH12), b"\x40\x01"
    ),
    Ext.DELEGATED_CREDENTIAL: dict.fromkeys((MessageContext.CH, MessageContext.CR), SCHEMES),
    Ext.SESSION_TICKET: {MessageContext.SH12: b""},
    Ext.PRE_SHARED_KEY: {
        MessageContext.CH: b"\0\x07\0\1i\0\0\0\0" + b"\0\x21\x20" + bytes(32),
        MessageContext.SH: b"\0\0",
    },
    Ext.EARLY_DATA: {MessageContext.CH: b"", MessageContext.EE: b"", MessageContext.NST: bytes(4)},
    Ext.SUPPORTED_VERSIONS: {
        MessageContext.CH: b"\4\3\4\3\3",
        MessageContext.SH: b"\3\4",
        MessageContext.HRR: b"\3\4",
    },
    Ext.COOKIE: dict.fromkeys((MessageContext.CH, MessageContext.HRR), b"\0\1c"),
    Ext.PSK_KEY_EXCHANGE_MODES: {MessageContext.CH: b"\1\1"},
    Ext.CERTIFICATE_AUTHORITIES: dict.fromkeys(
        (MessageContext.CH, MessageContext.CR), b"\0\4\0\2\x30\0"
    ),
    Ext.OID_FILTERS: {MessageContext.CR: b"\0\x0a\x03\x55\x1d\x25\0\x04\x30\x02\x06\0"},
    Ext.POST_HANDSHAKE_AUTH: {MessageContext.CH: b""},
    Ext.KEY_SHARE: {
        MessageContext.CH: b"\0\x24" + X25519 + b"\0\x20" + os.urandom(32),
        MessageContext.SH: X25519 + b"\0\x20" + os.urandom(32),
        MessageContext.HRR: GROUPS["secp256r1"].code.to_bytes(2, "big"),
    },
    Ext.TICKET_REQUEST: {MessageContext.CH: b"\1\1"},
    Ext.ENCRYPTED_CLIENT_HELLO: {
        MessageContext.CH: b"\0\0\1\0\1\7\0\1e\0\1p",
        MessageContext.HRR: bytes(8),
        MessageContext.EE: b"\0\4\xfe\x0a\0\0",
    },
    Ext.ECH_OUTER_EXTENSIONS: {MessageContext.ECHI: b"\2\0\x0a"},
    Ext.RENEGOTIATION_INFO: dict.fromkeys((MessageContext.CH, MessageContext.SH12), b"\0"),
}

OUT_OF_RANGE: list[tuple[int, MessageContext, bytes, Fault]] = [
    (Ext.MAX_FRAGMENT_LENGTH, MessageContext.CH, b"\0", Fault.ILLEGAL_VALUE),
    (Ext.MAX_FRAGMENT_LENGTH, MessageContext.CH, b"\5", Fault.ILLEGAL_VALUE),
    (Ext.HEARTBEAT, MessageContext.CH, b"\0", Fault.ILLEGAL_VALUE),
    (Ext.HEARTBEAT, MessageContext.CH, b"\3", Fault.ILLEGAL_VALUE),
    (Ext.RECORD_SIZE_LIMIT, MessageContext.CH, b"\0\x3f", Fault.BAD_RECORD_SIZE_LIMIT),
    (Ext.RECORD_SIZE_LIMIT, MessageContext.EE, b"\0\x3f", Fault.BAD_RECORD_SIZE_LIMIT),
    (Ext.RECORD_SIZE_LIMIT, MessageContext.SH12, b"\0\x3f", Fault.BAD_RECORD_SIZE_LIMIT),
    (Ext.COMPRESS_CERTIFICATE, MessageContext.CH, b"\0", Fault.DECODE_ERROR),
    (Ext.COMPRESS_CERTIFICATE, MessageContext.CH, b"\3\0\1\0", Fault.DECODE_ERROR),
    (Ext.COMPRESS_CERTIFICATE, MessageContext.CR, b"\1\0", Fault.DECODE_ERROR),
    (Ext.CERTIFICATE_AUTHORITIES, MessageContext.CH, b"\0\0", Fault.DECODE_ERROR),
    (Ext.CERTIFICATE_AUTHORITIES, MessageContext.CR, b"\0\3\0\0\0", Fault.DECODE_ERROR),
    (Ext.COOKIE, MessageContext.CH, b"\0\0", Fault.DECODE_ERROR),
    (Ext.PSK_KEY_EXCHANGE_MODES, MessageContext.CH, b"\0", Fault.DECODE_ERROR),
    (Ext.ENCRYPTED_CLIENT_HELLO, MessageContext.CH, b"\2", Fault.ILLEGAL_VALUE),
    (Ext.ENCRYPTED_CLIENT_HELLO, MessageContext.CH, b"\1\0", Fault.DECODE_ERROR),
    (Ext.STATUS_REQUEST, MessageContext.CT, b"\2\0\0\1r", Fault.ILLEGAL_VALUE),
    (Ext.STATUS_REQUEST, MessageContext.CT, b"\1\0\0\0", Fault.DECODE_ERROR),
    (Ext.STATUS_REQUEST, MessageContext.CR, b"\2\0\0\1r", Fault.DECODE_ERROR),
    (Ext.SIGNATURE_ALGORITHMS_CERT, MessageContext.CR, b"\0\0", Fault.DECODE_ERROR),
    *[
        (Ext.SIGNED_CERTIFICATE_TIMESTAMP, place, data, Fault.DECODE_ERROR)
        for place in (MessageContext.CT, MessageContext.SH12)
        for data in (b"\0\0", b"\0\2\0\0", b"\xff", b"\0\3\0\2s", b"\0\5\0\1s\0\0")
    ],
]


def malformed(place: MessageContext) -> Iterator[Any]:
    """Each known extension of a message, empty, cut short, too long, and out of its range."""
    for kind, forms in WELL_FORMED.items():
        if place not in forms:
            continue
        good, name = forms[place], extension_name(kind)
        if good and not (kind == Ext.STATUS_REQUEST and place is MessageContext.CR):
            yield pytest.param(kind, b"", Fault.DECODE_ERROR, id=f"{name}-empty")
            if len(good) > 1:
                yield pytest.param(kind, good[:-1], Fault.DECODE_ERROR, id=f"{name}-cut")
        yield pytest.param(kind, good + b"\0", Fault.DECODE_ERROR, id=f"{name}-long")
    for kind, where, data, fault in OUT_OF_RANGE:
        if where is place:
            yield pytest.param(kind, data, fault, id=f"{extension_name(kind)}-{data.hex()}")


def malformed_in(place: MessageContext) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("kind", "data", "fault"), list(malformed(place)))


def test_every_form_is_tried() -> None:
    tried = {(kind, place) for kind, forms in WELL_FORMED.items() for place in forms}
    assert {(kind, place) for place, forms in FORMS.items() for kind in forms} == tried


@pytest.mark.parametrize("place", MessageContext)
def test_the_good_ones_are_read(place: MessageContext) -> None:
    for kind, forms in WELL_FORMED.items():
        if place in forms:
            FORMS[place][kind](forms[place])


# In a ClientHello


def hello_is_refused(encounter: Encounter, fault: Fault) -> None:
    refused(encounter, fault)
    peer = encounter.peer
    assert isinstance(peer, ScriptedClient | ScriptedClient12)
    assert not hasattr(peer, "server_hello"), "something was answered"


@pytest.fixture(scope="module", params=["full", "strict"])
def server(request: pytest.FixtureRequest, pki: Pki) -> ServerConfig:
    credentials = pki.server("localhost")
    if request.param == "full":
        return ServerConfig(credentials=credentials, alpn=["h2"], max_early_data=100)
    return ServerConfig(
        credentials=credentials,
        strict_server_name=True,
        hello_retry_cookie=False,
        tickets=0,
        certificate_compression=[],
    )


@malformed_in(MessageContext.CH)
@pytest.mark.parametrize("shares", [("X25519",), ()], ids=["at once", "after a retry"])
def test_client_hello(
    meet_client: Meet,
    server: ServerConfig,
    shares: tuple[str, ...],
    kind: int,
    data: bytes,
    fault: Fault,
) -> None:
    extra: dict[int, bytes] = {}
    if kind == Ext.PRE_SHARED_KEY:
        extra[Ext.PSK_KEY_EXCHANGE_MODES] = b"\1\1"
    extra[kind] = data
    hello_is_refused(meet_client(config=server, shares=shares, extensions=extra), fault)


@malformed_in(MessageContext.CH)
def test_client_hello_of_tls12(
    meet_client: Meet, server: ServerConfig, kind: int, data: bytes, fault: Fault
) -> None:
    """Those that only TLS 1.3 knows what to do with as well."""
    encounter = meet_client(config=server, kind=ScriptedClient12, extensions={kind: data})
    refused(encounter, fault)
    assert encounter.peer.server_random == bytes(32), "something was answered"  # type: ignore[attr-defined]


@malformed_in(MessageContext.CH)
def test_second_client_hello(
    meet_client: Meet, pki: Pki, kind: int, data: bytes, fault: Fault
) -> None:
    """Some may differ from the first hello, and are read again; it comes before any comparison."""
    encounter = meet_client(
        config=ServerConfig(credentials=pki.server("localhost")),
        shares=(),
        extensions={Ext.PSK_KEY_EXCHANGE_MODES: b"\1\1"},
        second_hello=with_extension(kind, data),
    )
    refused(encounter, fault)
    assert isinstance(encounter.peer, ScriptedClient)
    assert encounter.peer.server_hello.is_hello_retry_request


# In what a server sends


class Listening(ScriptedServer):
    """Notes what the client sends: its messages, and the types of its records."""

    types: tuple[int, ...] = ()

    def _next_record(self) -> tuple[int, bytes] | None:
        record = super()._next_record()
        if record is not None:
            self.types += (record[0],)
        return record

    def receive(self, raw: bytes) -> None:
        self.heard: list[int] = [*getattr(self, "heard", []), raw[0]]
        super().receive(raw)


@pytest.fixture(scope="module")
def client(pki: Pki) -> ClientConfig:
    """One that asks for whatever can be asked for."""
    return ClientConfig(
        trust=pki.trust,
        alpn=["h2"],
        credentials=pki.client(),
        sessions=SessionStore(),
        record_size_limit=2**14,
        policy=CertificatePolicy(),
    )


OFFERED = {
    *(Ext.SERVER_NAME, Ext.SUPPORTED_GROUPS, Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION),
    *(Ext.RECORD_SIZE_LIMIT, Ext.STATUS_REQUEST, Ext.SIGNED_CERTIFICATE_TIMESTAMP),
    *(Ext.SUPPORTED_VERSIONS, Ext.KEY_SHARE, Ext.COOKIE, Ext.EC_POINT_FORMATS),
    *(Ext.EXTENDED_MASTER_SECRET, Ext.SESSION_TICKET, Ext.RENEGOTIATION_INFO),
    Ext.ENCRYPTED_CLIENT_HELLO,
}


def expected(kind: int, fault: Fault) -> Fault:
    return fault if kind in OFFERED else Fault.UNSOLICITED_EXTENSION


def answer_is_refused(encounter: Encounter, fault: Fault, hellos: int = 1) -> None:
    refused(encounter, fault)
    assert encounter.peer.heard == [1] * hellos, "something was answered"  # type: ignore[attr-defined]


@malformed_in(MessageContext.SH)
def test_server_hello(
    meet_server: Meet, client: ClientConfig, kind: int, data: bytes, fault: Fault
) -> None:
    deviation = with_extension(kind, data)
    encounter = meet_server(config=client, kind=Listening, server_hello=deviation)
    answer_is_refused(encounter, expected(kind, fault))
    # Not even the change_cipher_spec for middleboxes' sake.
    assert encounter.peer.types == (ContentType.HANDSHAKE, ContentType.ALERT)  # type: ignore[attr-defined]


@malformed_in(MessageContext.HRR)
def test_hello_retry_request(
    meet_server: Meet, client: ClientConfig, kind: int, data: bytes, fault: Fault
) -> None:
    deviation = with_extension(kind, data)
    encounter = meet_server(
        config=client, kind=Listening, retry="secp256r1", hello_retry_request=deviation
    )
    answer_is_refused(encounter, expected(kind, fault))


@malformed_in(MessageContext.EE)
def test_encrypted_extensions(
    meet_server: Meet, client: ClientConfig, kind: int, data: bytes, fault: Fault
) -> None:
    deviation = with_extension(kind, data)
    encounter = meet_server(config=client, kind=Listening, encrypted_extensions=deviation)
    answer_is_refused(encounter, expected(kind, fault))


@malformed_in(MessageContext.CR)
def test_certificate_request(
    meet_server: Meet, client: ClientConfig, kind: int, data: bytes, fault: Fault
) -> None:
    encounter = meet_server(
        config=client,
        kind=Listening,
        ask_for_certificate=True,
        certificate_request=with_extension(kind, data),
    )
    answer_is_refused(encounter, fault)


@malformed_in(MessageContext.CT)
@pytest.mark.parametrize("at", [0, 1], ids=["of the leaf", "of another"])
def test_certificate(
    meet_server: Meet, client: ClientConfig, at: int, kind: int, data: bytes, fault: Fault
) -> None:
    def deviation(message: Any) -> Message:
        entries = [*message.certificate_list, *message.certificate_list]
        entries[at] = replace(entries[at], extensions={kind: data})
        changed: Message = replace(message, certificate_list=tuple(entries))
        return changed

    encounter = meet_server(config=client, kind=Listening, certificate=deviation)
    answer_is_refused(encounter, expected(kind, fault))


@malformed_in(MessageContext.CT)
def test_certificate_of_a_client(
    meet_client: Meet, pki: Pki, asking_config: ServerConfig, kind: int, data: bytes, fault: Fault
) -> None:
    """It was not asked for anything along with it, so that comes first."""

    def deviation(message: Any) -> Message:
        (leaf,) = message.certificate_list
        return replace(message, certificate_list=(replace(leaf, extensions={kind: data}),))  # type: ignore[no-any-return]

    encounter = meet_client(config=asking_config, credentials=pki.client(), certificate=deviation)
    refused(encounter, Fault.UNSOLICITED_EXTENSION)
    asking = replace(asking_config, policy=CertificatePolicy(stapled_ocsp="require"))
    encounter = meet_client(config=asking, credentials=pki.client(), certificate=deviation)
    refused(encounter, fault)


@malformed_in(MessageContext.NST)
@pytest.mark.parametrize("keeps", [True, False])
def test_new_session_ticket(
    pki: Pki, meet_server: Meet, keeps: bool, kind: int, data: bytes, fault: Fault
) -> None:
    """Whether it is kept or not."""
    config = ClientConfig(trust=pki.trust, sessions=SessionStore() if keeps else None)
    encounter = meet_server(config=config)
    assert encounter.error is None
    ticket = NewSessionTicket(7200, 0, b"", b"ticket", {kind: data})
    encounter.peer.send_record(22, write_message(ticket))
    encounter.run()
    assert isinstance(encounter.error, ProtocolError)
    assert encounter.error.fault is fault


@pytest.mark.parametrize("keeps", [True, False])
def test_a_ticket_for_more_than_seven_days(pki: Pki, meet_server: Meet, keeps: bool) -> None:
    """RFC 8446 4.6.1, whether it is kept or not."""
    config = ClientConfig(trust=pki.trust, sessions=SessionStore() if keeps else None)
    encounter = meet_server(config=config)
    ticket = NewSessionTicket(604801, 0, b"", b"ticket", {})
    encounter.peer.send_record(22, write_message(ticket))
    encounter.run()
    assert isinstance(encounter.error, ProtocolError)
    assert encounter.error.fault is Fault.ILLEGAL_VALUE


class Listening12(ScriptedServer12):
    def receive(self, raw: bytes) -> None:
        self.heard: list[int] = [*getattr(self, "heard", []), raw[0]]
        super().receive(raw)


@malformed_in(MessageContext.SH12)
def test_server_hello_of_tls12(
    meet_server: Meet, client: ClientConfig, kind: int, data: bytes, fault: Fault
) -> None:
    old = replace(client, versions=["TLSv1.2"])
    deviation = with_extension(kind, data)
    encounter = meet_server(config=old, kind=Listening12, server_hello=deviation)
    answer_is_refused(encounter, expected(kind, fault))
