"""TLS 1.2: records that are changed, moved, too long, empty or not protected (RFC 5246 6.2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from tests.adversarial.conftest import refused
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ClientConnection,
    DataReceived,
    Fault,
    Limits,
    PeerAlertError,
    ServerConfig,
    ServerConnection,
    TruncationError,
)
from handclasp.crypto.suites import CIPHER_SUITES12
from handclasp.iana import AlertDescription, ContentType
from handclasp.iana import ExtensionType as Ext
from handclasp.testing.deviations import with_extension
from handclasp.testing.scripted12 import (
    CHACHA_SUITE,
    CLOSING,
    ECDSA_SUITE,
    ScriptedClient12,
    ScriptedServer12,
)
from handclasp.wire.codecs import write_message
from handclasp.wire.messages12 import HelloRequest
from handclasp.wire.records import HEADER_SIZE, MAX_PLAINTEXT

Meet = Callable[..., Encounter]

CCS = ContentType.CHANGE_CIPHER_SPEC
ALERT = ContentType.ALERT
HANDSHAKE = ContentType.HANDSHAKE
DATA = ContentType.APPLICATION_DATA
NONCE_SIZE = 8
TAG_SIZE = 16


@pytest.fixture
def meet_server(meet_server: Meet) -> Meet:
    return partial(meet_server, kind=ScriptedServer12)


@pytest.fixture
def meet_client(meet_client: Meet) -> Meet:
    return partial(meet_client, kind=ScriptedClient12)


@pytest.fixture(params=["client", "server"])
def meet(request: pytest.FixtureRequest, meet_client: Meet, meet_server: Meet) -> Meet:
    """A good peer of either role, after a good handshake."""
    return meet_client if request.param == "client" else meet_server


@pytest.fixture(params=["client", "server"])
def meet_with_keys(request: pytest.FixtureRequest, meet_client: Meet, meet_server: Meet) -> Meet:
    """A peer of either role that has announced its keys, and sends no Finished."""
    if request.param == "client":
        return partial(meet_client, order=("client_key_exchange", CLOSING[0]))
    return partial(meet_server, closing=CLOSING[:1])


@pytest.fixture(params=["client", "server"])
def meet_without_keys(request: pytest.FixtureRequest, meet_client: Meet, meet_server: Meet) -> Meet:
    """A peer of either role in the middle of its flight, where nothing is protected yet."""
    if request.param == "client":
        return partial(meet_client, order=())
    return partial(meet_server, order=("server_hello", "certificate"))


def data_record(encounter: Encounter, content: bytes = b"from the peer") -> bytearray:
    """The next record of the peer, as a whole, and not yet sent."""
    encounter.peer.send_data(content)
    return bytearray(encounter.peer.take())


# Type, version, length


def test_other_record_type(meet: Meet, meet_without_keys: Meet) -> None:
    for encounter in (meet(), meet_without_keys()):
        encounter.peer.send_raw(b"\x18\x03\x03\0\x03abc")  # heartbeat
        refused(encounter.run(), Fault.UNEXPECTED_RECORD_TYPE)


@pytest.mark.parametrize("kind", [0, 19, 24, 64, 255])
def test_other_record_type_under_the_keys(meet: Meet, meet_with_keys: Meet, kind: int) -> None:
    for encounter in (meet(), meet_with_keys()):
        encounter.peer.send_record(kind, b"abc")
        refused(encounter.run(), Fault.UNEXPECTED_RECORD_TYPE)


@pytest.mark.parametrize("kind", [CCS, ALERT, HANDSHAKE])
def test_type_changed_on_the_way(meet: Meet, kind: int) -> None:
    """The type stands in the open, and the tag is over it."""
    encounter = meet()
    record = data_record(encounter)
    record[0] = kind
    encounter.peer.send_raw(bytes(record))
    refused(encounter.run(), Fault.BAD_RECORD_MAC)


@pytest.mark.parametrize("minor", [0, 1, 2, 4])
def test_version_changed_on_the_way(meet: Meet, minor: int) -> None:
    encounter = meet()
    record = data_record(encounter)
    record[2] = minor
    encounter.peer.send_raw(bytes(record))
    refused(encounter.run(), Fault.BAD_RECORD_MAC)


@pytest.mark.parametrize("major", [0, 2, 4, 0xFE])
def test_other_major_version(meet: Meet, meet_without_keys: Meet, major: int) -> None:
    for encounter in (meet(), meet_without_keys()):
        record = data_record(encounter)
        record[1] = major
        encounter.peer.send_raw(bytes(record))
        refused(encounter.run(), Fault.NOT_A_TLS_RECORD)


def test_plaintext_record_too_long(meet_without_keys: Meet) -> None:
    encounter = meet_without_keys()
    encounter.peer.send_raw(b"\x16\x03\x03\x40\x01")  # the length is enough
    refused(encounter.run(), Fault.RECORD_OVERFLOW)


def test_protected_record_too_long(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_raw(b"\x17\x03\x03\x41\x01")
    refused(encounter.run(), Fault.RECORD_OVERFLOW)


@pytest.mark.parametrize("suite", [ECDSA_SUITE, CHACHA_SUITE])
def test_content_too_long(meet: Meet, suite: str) -> None:
    encounter = meet(suite=suite)
    encounter.peer.send_data(bytes(MAX_PLAINTEXT))
    assert encounter.run().error is None
    encounter.peer.send_data(bytes(MAX_PLAINTEXT + 1))
    refused(encounter.run(), Fault.RECORD_OVERFLOW)


def test_content_too_long_before_finished(meet_with_keys: Meet) -> None:
    encounter = meet_with_keys()
    encounter.peer.send_record(HANDSHAKE, bytes(MAX_PLAINTEXT + 1))
    refused(encounter.run(), Fault.RECORD_OVERFLOW)


@pytest.mark.parametrize("size", [1000, 1001])
@pytest.mark.parametrize("role", ["client", "server"])
def test_content_over_the_agreed_limit(
    pki: Pki, meet_client: Meet, meet_server: Meet, role: str, size: int
) -> None:
    """RFC 8449: in TLS 1.2 the limit counts the content alone."""
    if role == "client":
        config = ServerConfig(credentials=pki.server(), record_size_limit=1000)
        encounter = meet_client(config=config, extensions={Ext.RECORD_SIZE_LIMIT: b"\x40\0"})
    else:
        encounter = meet_server(
            config=ClientConfig(trust=pki.trust, record_size_limit=1000),
            server_hello=with_extension(Ext.RECORD_SIZE_LIMIT, b"\x40\0"),
        )
    encounter.peer.send_data(bytes(size))
    encounter.run()
    if size == 1000:
        assert encounter.error is None
    else:
        refused(encounter, Fault.RECORD_OVERFLOW)


@pytest.mark.parametrize(
    ("suite", "least"), [(ECDSA_SUITE, NONCE_SIZE + TAG_SIZE), (CHACHA_SUITE, TAG_SIZE)]
)
@pytest.mark.parametrize("short_by", [1, 8, 9, 16, 100])
def test_too_short_for_its_tag(meet: Meet, suite: str, least: int, short_by: int) -> None:
    encounter = meet(suite=suite)
    size = max(0, least - short_by)
    encounter.peer.send_raw(b"\x17\x03\x03\0" + bytes([size]) + bytes(size))
    refused(encounter.run(), Fault.BAD_RECORD_MAC)


# Protection


@pytest.mark.parametrize("suite", CIPHER_SUITES12)
def test_every_byte_counts(pki: Pki, suite: str) -> None:
    """Of the whole record: explicit nonce, content and tag."""
    is_rsa = CIPHER_SUITES12[suite].authentication == "RSA"
    credentials = pki.server("localhost", key_type="rsa-2048" if is_rsa else "ecdsa-p256")
    allow = CIPHER_SUITES12[suite].key_exchange == "RSA"
    config = ClientConfig(trust=pki.trust, allow_rsa_key_transport=allow)

    def meet() -> Encounter:
        connection = ClientConnection(config, server_name="localhost")
        return Encounter(connection, ScriptedServer12(credentials, suite))

    size = len(data_record(meet(), b"x"))
    for at in range(HEADER_SIZE, size):
        encounter = meet()
        record = data_record(encounter, b"x")
        record[at] ^= 0x80
        encounter.peer.send_raw(bytes(record))
        refused(encounter.run(), Fault.BAD_RECORD_MAC)


@pytest.mark.parametrize("change", [1, -1])
def test_length_changed_on_the_way(meet: Meet, change: int) -> None:
    encounter = meet()
    record = data_record(encounter)
    record[4] += change
    encounter.peer.send_raw(bytes(record) + b"x")
    encounter.run()
    refused(encounter, Fault.BAD_RECORD_MAC)


@pytest.mark.parametrize("suite", [ECDSA_SUITE, CHACHA_SUITE])
def test_record_twice(meet: Meet, suite: str) -> None:
    """With its own nonce in it, only the sequence number in the tag tells a replay."""
    encounter = meet(suite=suite)
    record = bytes(data_record(encounter, b"once"))
    encounter.peer.send_raw(record + record)
    encounter.run()
    assert DataReceived(b"once") in encounter.events
    refused(encounter, Fault.BAD_RECORD_MAC)


@pytest.mark.parametrize("suite", [ECDSA_SUITE, CHACHA_SUITE])
def test_records_swapped(meet: Meet, suite: str) -> None:
    encounter = meet(suite=suite)
    first, second = (bytes(data_record(encounter, text)) for text in (b"first", b"second"))
    encounter.peer.send_raw(second + first)
    refused(encounter.run(), Fault.BAD_RECORD_MAC)


@pytest.mark.parametrize("suite", [ECDSA_SUITE, CHACHA_SUITE])
def test_record_left_out(meet: Meet, suite: str) -> None:
    encounter = meet(suite=suite)
    data_record(encounter, b"lost")
    encounter.peer.send_data(b"found")
    refused(encounter.run(), Fault.BAD_RECORD_MAC)


def test_record_of_this_side(meet: Meet) -> None:
    """Each direction has a key of its own: what was sent is not taken back."""
    encounter = meet()
    encounter.connection.send_data(b"from us")
    record = bytes(encounter.connection.data_to_send())
    encounter.peer.feed(record)
    encounter.peer.send_raw(record)
    refused(encounter.run(), Fault.BAD_RECORD_MAC)


def test_any_explicit_nonce_will_do(meet: Meet) -> None:
    """RFC 5288 section 3: it may be the sequence number, and need not be."""

    encounter = meet()
    peer = encounter.peer
    assert isinstance(peer, ScriptedClient12 | ScriptedServer12)
    assert peer.keys is not None
    keys = peer.keys.client if peer.role == "client" else peer.keys.server
    nonce, content, sequence = b"any byte", b"sealed by hand", 1
    associated = sequence.to_bytes(8, "big") + b"\x17\x03\x03\0" + bytes([len(content)])
    sealed = peer.suite12.aead(keys.key).encrypt(bytes(keys.iv) + nonce, content, associated)
    size = len(nonce) + len(sealed)
    peer.send_raw(b"\x17\x03\x03\0" + bytes([size]) + nonce + sealed)
    encounter.run()
    assert encounter.error is None
    assert encounter.events[-1] == DataReceived(content)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (HANDSHAKE, write_message(HelloRequest())),
        (ALERT, b"\1\0"),
        (ALERT, b"\2\x28"),
        (DATA, b"plaintext"),
        (DATA, bytes(64)),
        (CCS, b"\1"),
    ],
)
def test_plaintext_after_the_keys(
    meet: Meet, meet_with_keys: Meet, kind: ContentType, content: bytes
) -> None:
    """Not even a close_notify or an alert: anybody on the way could send one."""
    for encounter in (meet(), meet_with_keys()):
        encounter.peer.send_plaintext(kind, content)
        refused(encounter.run(), Fault.BAD_RECORD_MAC)


def test_plaintext_alert_before_the_keys(meet_without_keys: Meet) -> None:
    """There it is all that the peer can say."""
    encounter = meet_without_keys()
    encounter.peer.send_plaintext(ALERT, b"\2\x28")
    encounter.run()
    assert isinstance(encounter.error, PeerAlertError)
    assert encounter.peer.alerts == []


def test_keys_before_they_were_announced(meet_without_keys: Meet) -> None:
    encounter = meet_without_keys()
    encounter.peer.send_raw(b"\x17\x03\x03\0\x20" + bytes(32))
    refused(encounter.run(), Fault.APPLICATION_DATA_TOO_EARLY)


# Empty records


@pytest.mark.parametrize("kind", [HANDSHAKE, ALERT])
def test_empty_record(
    meet: Meet, meet_with_keys: Meet, meet_without_keys: Meet, kind: ContentType
) -> None:
    """RFC 5246 6.2.1: only application data may be empty."""
    for encounter in (meet(), meet_with_keys(), meet_without_keys()):
        encounter.peer.send_record(kind, b"")
        refused(encounter.run(), Fault.EMPTY_RECORD)


def test_empty_change_cipher_spec_under_the_keys(meet: Meet, meet_with_keys: Meet) -> None:
    for encounter in (meet(), meet_with_keys()):
        encounter.peer.send_record(CCS, b"")
        refused(encounter.run(), Fault.EMPTY_RECORD)


def test_empty_data_before_the_keys(meet_without_keys: Meet) -> None:
    encounter = meet_without_keys()
    encounter.peer.send_record(DATA, b"")
    refused(encounter.run(), Fault.APPLICATION_DATA_TOO_EARLY)


def test_empty_data_flood(meet: Meet) -> None:
    encounter = meet()
    for _ in range(Limits().max_records_without_progress):
        encounter.peer.send_data(b"")
    assert encounter.run().error is None
    encounter.peer.send_data(b"")
    refused(encounter.run(), Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)


def test_empty_data_with_data_between(meet: Meet) -> None:
    """Some peers send one in front of each record, as was wise in TLS 1.0."""
    encounter = meet()
    for _ in range(2 * Limits().max_records_without_progress):
        encounter.peer.send_data(b"")
        encounter.peer.send_data(b"x")
    assert encounter.run().error is None


# Interleaving, alerts, the end


@pytest.mark.parametrize(
    ("kind", "content"), [(ALERT, b"\1\0"), (DATA, b"x"), (DATA, b""), (CCS, b"\1")]
)
def test_record_inside_of_a_message(meet: Meet, kind: ContentType, content: bytes) -> None:
    encounter = meet()
    encounter.peer.send_record(HANDSHAKE, b"\0\0")
    encounter.peer.send_record(kind, content)
    refused(encounter.run(), Fault.INTERLEAVED_RECORD)


@pytest.mark.parametrize("content", [b"\2", b"\2\x28\2", b"\2\x28\2\x28"])
def test_alert_of_another_size(meet: Meet, content: bytes) -> None:
    encounter = meet()
    encounter.peer.send_record(ALERT, content)
    refused(encounter.run(), Fault.DECODE_ERROR)


@pytest.mark.parametrize("content", [b"\1\0", b"\2\0"])
def test_close_notify_in_the_handshake(
    meet_with_keys: Meet, meet_without_keys: Meet, content: bytes
) -> None:
    for encounter in (meet_with_keys(), meet_without_keys()):
        encounter.peer.send_record(ALERT, content)
        encounter.run()
        assert isinstance(encounter.error, TruncationError)
        assert encounter.error.fault is Fault.CLOSED_DURING_HANDSHAKE
        assert encounter.peer.alerts == []


def test_data_after_close_notify_is_not_read(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_alert(1, AlertDescription.CLOSE_NOTIFY)
    encounter.peer.send_data(b"too late")
    encounter.run()
    assert encounter.error is None
    assert not any(isinstance(event, DataReceived) for event in encounter.events)


def test_end_of_the_transport_at_every_pause(pki: Pki, meet_server: Meet) -> None:
    order = ScriptedServer12(pki.server()).order
    for count in range(len(order) + 1):
        encounter = meet_server(order=order[:count], closing=())
        encounter.connection.data_to_send()
        with pytest.raises(TruncationError) as caught:
            encounter.connection.receive_eof()
        assert caught.value.fault is Fault.CLOSED_DURING_HANDSHAKE
        assert encounter.connection.data_to_send() == b""


# Sizes of messages


def test_handshake_too_large(pki: Pki, meet_server: Meet) -> None:
    config = ClientConfig(trust=pki.trust, limits=Limits(max_handshake_bytes=500))
    refused(meet_server(config=config), Fault.HANDSHAKE_TOO_LARGE)


def test_certificate_too_large(pki: Pki, meet_server: Meet) -> None:
    config = ClientConfig(trust=pki.trust, limits=Limits(max_certificate_bytes=100))
    refused(meet_server(config=config), Fault.HANDSHAKE_MESSAGE_TOO_LARGE)


@pytest.mark.parametrize("header", [b"\x10\xff\xff\xff", b"\x0b\xff\0\0", b"\x14\1\0\1"])
def test_message_announces_too_much(meet_without_keys: Meet, header: bytes) -> None:
    encounter = meet_without_keys()
    encounter.peer.send_record(HANDSHAKE, header)
    refused(encounter.run(), Fault.HANDSHAKE_MESSAGE_TOO_LARGE)


def test_one_byte_in_each_record(pki: Pki) -> None:
    """As small as fragments can be, a handshake is one."""
    peer = ScriptedClient12()
    for byte in bytes(peer.take()[HEADER_SIZE:]):
        peer.send_plaintext(HANDSHAKE, bytes([byte]))
    encounter = Encounter(ServerConnection(ServerConfig(credentials=pki.server())), peer)
    assert encounter.connection.established
