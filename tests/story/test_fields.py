"""Every byte of a message is owned by exactly one leaf field, whatever the message is like."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pki import Pki
from tests.recorded import Recorded, converse
from tests.vectors.client_hellos import CLIENT_HELLO_NAMES, client_hello
from tests.vectors.rfc8448_traces import TRACE_NAMES, load
from tests.wire import values

from handclasp import ClientAuth, ClientConfig, Recorder, ServerConfig
from handclasp.iana import ExtensionType as Ext
from handclasp.story.fields import Field, fields_of
from handclasp.story.words import UNREAD
from handclasp.trace.events import MessageSeen
from handclasp.wire import extensions, messages, messages12
from handclasp.wire.codecs import write_message
from handclasp.wire.messages import Message
from handclasp.wire.reader import Reader
from handclasp.wire.structs import Extensions, read_extensions

EPOCHS = ("plaintext", "early", "handshake", "application")


def walk(field: Field) -> Iterator[Field]:
    yield field
    for part in field.parts:
        yield from walk(part)


def assert_whole(root: Field, raw: bytes) -> None:
    """The parts of every field follow one another and make up all of it."""
    assert (root.start, root.end) == (0, len(raw))
    for field in walk(root):
        if field.parts:
            edges = [field.parts[0].start, *(part.end for part in field.parts)]
            assert (edges[0], edges[-1]) == (field.start, field.end)
            assert edges[:-1] == [part.start for part in field.parts]
        if field is not root:
            assert field.start < field.end
        assert field.name
        assert field.value
        assert re.fullmatch(r"RFC \d{4} section \d+(\.\d+)*", field.section), field
    owners = [leaf for leaf in root.leaves() for _ in range(leaf.size)]
    assert len(owners) == len(raw)


def named(root: Field, *path: str) -> Field:
    """The one field that is reached by these names, each anywhere below the one before."""
    field = root
    for name in path:
        (field,) = [each for each in walk(field) if each.name == name and each is not field]
    return field


def assert_understood(root: Field) -> None:
    assert not [field for field in walk(root) if field.name == UNREAD]
    assert "not as its definition" not in root.value


# RFC 8448: every message of every trace


def messages_of_trace(name: str) -> Iterator[tuple[str, str, bytes]]:
    """What it is called, its epoch, and its bytes."""
    epochs: dict[bytes, str] = {}
    trace = load(name)
    for message_name, message in trace.messages.items():
        record = next(each for each in trace.records if message.encoded in each.payload)
        epochs[message.encoded] = record.epoch
        yield message_name, record.epoch, message.encoded


RFC_8448 = [
    pytest.param(epoch, raw, id=f"{trace}-{name}")
    for trace in TRACE_NAMES
    for name, epoch, raw in messages_of_trace(trace)
]


def test_the_traces_have_all_their_messages() -> None:
    assert len(RFC_8448) == sum(len(load(name).messages) for name in TRACE_NAMES)
    assert len(RFC_8448) > 35


@pytest.mark.parametrize(("epoch", "raw"), RFC_8448)
def test_every_byte_of_rfc_8448_has_one_owner(epoch: str, raw: bytes) -> None:
    root = fields_of(raw, epoch)
    assert_whole(root, raw)
    assert_understood(root)


@pytest.mark.parametrize("name", CLIENT_HELLO_NAMES)
def test_every_byte_of_a_browsers_hello_has_one_owner(name: str) -> None:
    raw = client_hello(name)
    root = fields_of(raw, "plaintext")
    assert_whole(root, raw)
    assert_understood(root)
    assert named(root, "server_name", "host_name").value == "localhost"
    assert ("pre_shared_key" in {field.name for field in walk(root)}) == ("resumed" in name)


@pytest.mark.parametrize("name", CLIENT_HELLO_NAMES)
def test_a_browsers_extensions_are_told_as_the_codec_reads_them(name: str) -> None:
    """Values and ranges against the library's own reading, extension by extension."""
    raw = client_hello(name)
    hello = messages.read_message(raw)
    assert isinstance(hello, messages.ClientHello)
    shown = named(fields_of(raw, "plaintext"), "extensions").parts[1:]
    assert len(shown) == len(hello.extensions)
    for field, (kind, data) in zip(shown, hello.extensions.items(), strict=True):
        assert raw[field.start : field.start + 2] == kind.to_bytes(2, "big")
        assert raw[field.start + 4 : field.end] == data
    alpn = extensions.read_alpn(hello.extensions[Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION])
    listed = named(fields_of(raw, "plaintext"), "protocol_name_list")
    assert [part.value for part in listed.parts[1:]] == [name.decode() for name in alpn]


def test_the_numbers_of_a_known_hello() -> None:
    """The ClientHello of RFC 8448 section 3, as that section prints it."""
    raw = load("simple_1rtt").messages["client_hello"].encoded
    root = fields_of(raw, "plaintext")
    suites = named(root, "cipher_suites")
    assert (suites.start, suites.end) == (39, 47)
    assert [part.value for part in suites.parts] == [
        "6 bytes",
        "TLS_AES_128_GCM_SHA256",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_256_GCM_SHA384",
    ]
    assert named(root, "server_name", "host_name").value == "server"
    share = named(root, "key_share", "key_exchange")
    (key,) = [k for k in load("simple_1rtt").key_shares.values() if k.role == "client"]
    assert raw[share.end - 32 : share.end] == key.public_key
    assert named(root, "random").value == "32 random bytes"
    assert named(root, "key_share").section == "RFC 8446 section 4.2.8"
    assert named(root, "key_share", "group").section == "RFC 8446 section 4.2.8"
    assert root.section == "RFC 8446 section 4.1.2"
    assert named(root, "random").section == root.section


# Handshakes of our own, in both versions


def recorded_messages(recorded: Recorded) -> Iterator[MessageSeen]:
    for recorder in (recorded.client, recorded.server):
        yield from (event for event in recorder.events if isinstance(event, MessageSeen))


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_handshakes_of_both_versions(pki: Pki, version: str) -> None:
    recorded = converse(
        ClientConfig(
            trust=pki.trust, credentials=pki.client(), alpn=("h2",), versions=(version,)
        ),
        ServerConfig(
            credentials=pki.server(), alpn=("h2",), versions=(version,), trust=pki.trust,
            client_auth=ClientAuth.REQUIRED,
        ),
    )  # fmt: skip
    seen = list(recorded_messages(recorded))
    assert len(seen) > 15
    for event in seen:
        root = fields_of(event.raw, event.epoch)
        assert_whole(root, event.raw)
        assert_understood(root)
        of_tls12 = root.section.startswith(("RFC 5246", "RFC 8422", "RFC 5077"))
        assert of_tls12 == (version == "TLSv1.2" and root.name != "ClientHello"), root


def test_a_retry(retried: Recorded) -> None:
    roots = [fields_of(event.raw, event.epoch) for event in recorded_messages(retried)]
    retry = next(root for root in roots if root.name == "HelloRetryRequest")
    assert named(retry, "key_share", "selected_group").value == "secp384r1"
    assert named(retry, "random").value == "the fixed value that makes this a HelloRetryRequest"
    assert retry.section == "RFC 8446 section 4.1.4"


def test_rsa_key_transport_is_told_from_an_exchange_of_points() -> None:
    agreed = messages12.ClientKeyExchange(messages12.write_ecdh_point(b"\x04" + bytes(64)))
    sent = messages12.ClientKeyExchange(messages12.write_encrypted_secret(bytes(256)))
    point = fields_of(write_message(agreed), "plaintext").parts[-1]
    secret = fields_of(write_message(sent), "plaintext").parts[-1]
    assert (point.name, point.section) == ("ecdh_Yc", "RFC 8422 section 5.7")
    assert secret.name == "encrypted_pre_master_secret"
    assert secret.section == "RFC 5246 section 7.4.7.1"


# Properties


@given(values.messages, st.sampled_from(EPOCHS))
def test_every_byte_of_any_message_has_one_owner(message: Message, epoch: str) -> None:
    raw = write_message(message)
    assert_whole(fields_of(raw, epoch), raw)


@given(st.binary(max_size=300), st.sampled_from(EPOCHS))
def test_anything_at_all_is_taken_apart(raw: bytes, epoch: str) -> None:
    root = fields_of(raw, epoch)
    assert sum(leaf.size for leaf in root.leaves()) == len(raw)


@given(st.sampled_from(CLIENT_HELLO_NAMES), st.data())
def test_a_mutated_hello_is_taken_apart(name: str, data: st.DataObject) -> None:
    raw = bytearray(client_hello(name))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    mutated = bytes(raw[: data.draw(st.integers(1, len(raw)))])
    assert_whole(fields_of(mutated, "plaintext"), mutated)


# What is wrong, and what nobody knows


def test_what_does_not_belong_is_said_to_be_not_read() -> None:
    raw = client_hello("firefox-153")
    longer = raw[:1] + (len(raw) - 4 + 3).to_bytes(3, "big") + raw[4:] + b"abc"
    root = fields_of(longer, "plaintext")
    assert_whole(root, longer)
    assert root.value.endswith("not as its definition wants it")
    assert [(part.name, part.size) for part in root.parts][-1] == (UNREAD, 3)
    assert named(root, "server_name", "host_name").value == "localhost", "the rest is still told"


def test_a_wrong_length_in_the_header_is_noticed() -> None:
    raw = client_hello("firefox-153")
    wrong = raw[:3] + bytes([raw[3] ^ 1]) + raw[4:]
    assert "not as its definition wants it" in fields_of(wrong, "plaintext").value


def test_an_extension_that_breaks_off_shows_how_far_it_was_understood() -> None:
    alpn = b"\x00\x05\x02h2\x09x"  # The second name announces nine bytes.
    body = messages.EncryptedExtensions({Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: alpn})
    raw = write_message(body)
    root = fields_of(raw, "handshake")
    assert_whole(root, raw)
    listed = named(root, "protocol_name_list")
    assert [part.name for part in listed.parts] == [
        "length",
        "protocol_name",
        "protocol_name",
        UNREAD,
    ]
    assert listed.parts[1].value == "h2"


def test_an_extension_that_nobody_knows_is_one_field() -> None:
    raw = write_message(messages.EncryptedExtensions({0x4469: b"what?"}))
    root = fields_of(raw, "handshake")
    unknown = named(root, "0x4469")
    assert unknown.value == "5 bytes"
    assert unknown.section == "RFC 8446 section 4.2"


def test_made_up_values_are_told_as_such() -> None:
    root = fields_of(client_hello("chromium-156"), "plaintext")
    grease = [f for f in walk(root) if f.name.startswith("GREASE")]
    assert len(grease) == 2
    assert {field.section for field in grease} == {"RFC 8701 section 2"}


def test_a_peers_text_cannot_carry_control_characters() -> None:
    alpn = extensions.write_alpn([b"\x1b[31mred\n", "é".encode()])
    raw = write_message(
        messages.EncryptedExtensions({Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: alpn})
    )
    for field in walk(fields_of(raw, "handshake")):
        assert field.value.isprintable()
    assert r"\x1b[31mred\x0a" in named(fields_of(raw, "handshake"), "protocol_name_list").value


def test_long_text_is_cut() -> None:
    name = "a" * 250
    alpn = extensions.write_alpn([name.encode()])
    raw = write_message(
        messages.EncryptedExtensions({Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: alpn})
    )
    assert named(fields_of(raw, "handshake"), "protocol_name").value == "a" * 100 + "..."


def test_the_reading_of_extensions_notes_the_types() -> None:
    """The tree's names come from the numbers on the wire, not from the order that we expect."""
    given_extensions: Extensions = {Ext.KEY_SHARE: b"\x00\x1d", Ext.SUPPORTED_VERSIONS: b"\x03\x04"}
    hello = messages.ServerHello(0x0303, bytes(32), b"", 0x1301, 0, given_extensions)
    raw = write_message(hello)
    root = fields_of(raw, "plaintext")
    listed = named(root, "extensions")
    kinds = list(read_extensions(Reader(raw, "test", listed.start)))
    assert [part.name for part in listed.parts[1:]] == ["key_share", "supported_versions"]
    assert kinds == [Ext.KEY_SHARE, Ext.SUPPORTED_VERSIONS]


def test_a_recorder_read_back_gives_the_same_tree(plain: Recorded) -> None:
    again = Recorder.from_json(plain.client.to_json())
    for before, after in zip(plain.client.events, again.events, strict=True):
        if isinstance(before, MessageSeen) and isinstance(after, MessageSeen):
            assert fields_of(before.raw, before.epoch) == fields_of(after.raw, after.epoch)
