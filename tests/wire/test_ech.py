"""Encrypted Client Hello on the wire: configurations, the extension, and inner hellos."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ExtensionType as Ext
from handclasp.wire.ech import (
    INNER,
    EchConfig,
    EncryptedHello,
    decode_inner_hello,
    encode_inner_hello,
    make_ech_config,
    outer_aad,
    read_ech_config_list,
    read_encrypted_client_hello,
    write_ech_config_list,
    write_encrypted_client_hello,
)
from handclasp.wire.messages import HEADER_SIZE, ClientHello, read_message, write_message

numbers = st.integers(0, 0xFFFF)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=255)
configs = st.builds(
    make_ech_config,
    st.integers(0, 255),
    numbers,
    st.binary(min_size=1, max_size=100),
    st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5),
    st.integers(0, 255),
    names,
    st.dictionaries(numbers, st.binary(max_size=20), max_size=3),
)


@given(st.lists(configs, min_size=1, max_size=3))
def test_configs_are_read_as_they_were_written(made: list[EchConfig]) -> None:
    assert read_ech_config_list(write_ech_config_list(made)) == tuple(made)


@given(configs, st.binary(max_size=30))
def test_configs_of_other_versions_are_passed_over(known: EchConfig, contents: bytes) -> None:
    unknown = EchConfig(b"\xfe\x0a" + len(contents).to_bytes(2, "big") + contents, 0xFE0A)
    read = read_ech_config_list(write_ech_config_list([unknown, known]))
    assert read == (unknown, known)
    assert read[0].public_name == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert write_ech_config_list(read_ech_config_list(data)) == data


def one_config(**changes: object) -> EchConfig:
    values: dict[str, object] = {
        "config_id": 7,
        "kem": 0x20,
        "public_key": bytes(32),
        "cipher_suites": [(1, 1)],
        "maximum_name_length": 0,
        "public_name": "a.example",
    }
    return make_ech_config(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        b"\0\4\xfe\x0d\0\0",
        write_ech_config_list([one_config()])[:-1],
        write_ech_config_list([one_config()]) + b"\0",
        write_ech_config_list([one_config(public_key=b"")]),
        write_ech_config_list([one_config(public_name="")]),
        write_ech_config_list([one_config(cipher_suites=[])]),
        # Half a cipher suite, in a config whose lengths are right.
        write_ech_config_list([one_config()]).replace(b"\0\4\0\1\0\1", b"\0\2\0\1\0\0"),
    ],
)
def test_malformed_lists(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_ech_config_list(data)
    assert caught.value.fault is Fault.DECODE_ERROR


def test_an_extension_that_stands_in_a_configuration_twice() -> None:
    """RFC 9849 section 4.2."""
    data = write_ech_config_list([one_config(extensions={0x1234: b"", 0x1235: b""})])
    assert read_ech_config_list(data)[0].extensions == (0x1234, 0x1235)
    with pytest.raises(ProtocolError) as caught:
        read_ech_config_list(data.replace(b"\x12\x35", b"\x12\x34"))
    assert caught.value.fault is Fault.DUPLICATE_EXTENSION


def test_a_public_name_of_any_bytes_can_be_shown() -> None:
    raw = write_ech_config_list([one_config()]).replace(b"a.example", b"\xff\n.xampl\0")
    assert "\\xff" in read_ech_config_list(raw)[0].public_name


@given(st.tuples(numbers, numbers), st.integers(0, 255), st.binary(max_size=70), st.binary())
def test_the_extension(suite: tuple[int, int], number: int, enc: bytes, payload: bytes) -> None:
    hello = EncryptedHello(suite, number, enc, payload + b"p")
    data = write_encrypted_client_hello(hello)
    assert read_encrypted_client_hello(data) == hello
    for wrong in (data[:-1], data + b"\0", data[:5]):
        with pytest.raises(ProtocolError):
            read_encrypted_client_hello(wrong)


def test_types_of_the_extension() -> None:
    assert read_encrypted_client_hello(INNER) is None
    for data, fault in ((b"\2", Fault.ILLEGAL_VALUE), (b"\1\0", Fault.DECODE_ERROR)):
        with pytest.raises(ProtocolError) as caught:
            read_encrypted_client_hello(data)
        assert caught.value.fault is fault


SESSION_ID = bytes(range(32))


def hello_of(extensions: dict[int, bytes], session_id: bytes = SESSION_ID) -> ClientHello:
    hello = ClientHello(0x0303, bytes(range(32, 64)), session_id, (0x1301,), b"\0", extensions)
    raw = write_message(hello)
    read = read_message(raw)
    assert isinstance(read, ClientHello)
    return read


OUTER = hello_of(
    {
        Ext.SERVER_NAME: b"public",
        Ext.SUPPORTED_GROUPS: b"groups",
        Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: b"alpn",
        Ext.KEY_SHARE: b"share" * 300,
        Ext.ENCRYPTED_CLIENT_HELLO: b"outer",
    }
)
SHARED = (Ext.SUPPORTED_GROUPS, Ext.KEY_SHARE)
INNER_HELLO = hello_of(
    {
        Ext.ENCRYPTED_CLIENT_HELLO: INNER,
        Ext.SERVER_NAME: b"secret",
        Ext.SUPPORTED_GROUPS: b"groups",
        Ext.KEY_SHARE: b"share" * 300,
        Ext.COOKIE: b"cookie",
    }
)


def test_an_inner_hello_comes_out_as_it_went_in() -> None:
    encoded = encode_inner_hello(INNER_HELLO, SHARED, 6, 0)
    assert len(encoded) < 200
    assert SESSION_ID not in encoded
    decoded, shared = decode_inner_hello(encoded, OUTER)
    assert shared == SHARED
    assert decoded == INNER_HELLO
    assert decoded.raw == INNER_HELLO.raw
    assert list(decoded.extensions) == list(INNER_HELLO.extensions)


@given(st.integers(1, 255), st.integers(0, 255))
def test_padding_hides_the_length_of_the_name(length: int, maximum: int) -> None:
    def size(name_length: int) -> int:
        extensions = {**INNER_HELLO.extensions, Ext.SERVER_NAME: b"n" * (name_length + 5)}
        if not name_length:
            del extensions[Ext.SERVER_NAME]
        hello = replace(INNER_HELLO, extensions=extensions)
        return len(encode_inner_hello(hello, SHARED, name_length, maximum))

    assert size(length) % 32 == 0
    if length <= maximum:
        assert size(length) == size(maximum) == size(0)


def encoded_of(
    extensions: dict[int, bytes], *, session_id: bytes = b"", padding: bytes = b""
) -> bytes:
    hello = hello_of(extensions, session_id)
    return write_message(hello)[HEADER_SIZE:] + padding


def references(*kinds: int) -> dict[int, bytes]:
    data = b"".join([kind.to_bytes(2, "big") for kind in kinds])
    return {Ext.ECH_OUTER_EXTENSIONS: bytes([len(data)]) + data}


@pytest.mark.parametrize(
    ("encoded", "fault"),
    [
        (encoded_of(references(Ext.COOKIE)), Fault.BAD_INNER_HELLO),
        (encoded_of(references(Ext.KEY_SHARE, Ext.KEY_SHARE)), Fault.BAD_INNER_HELLO),
        (encoded_of(references(Ext.KEY_SHARE, Ext.SUPPORTED_GROUPS)), Fault.BAD_INNER_HELLO),
        (encoded_of(references(Ext.ENCRYPTED_CLIENT_HELLO)), Fault.BAD_INNER_HELLO),
        (encoded_of({Ext.COOKIE: b""}, padding=b"\0\1"), Fault.BAD_INNER_HELLO),
        (encoded_of({Ext.COOKIE: b""}, session_id=b"id"), Fault.BAD_INNER_HELLO),
        (
            encoded_of({**references(Ext.KEY_SHARE), Ext.KEY_SHARE: b""}),
            Fault.DUPLICATE_EXTENSION,
        ),
        (encoded_of(references()), Fault.DECODE_ERROR),
        (encoded_of({Ext.ECH_OUTER_EXTENSIONS: b"\2\0\0\0"}), Fault.DECODE_ERROR),
        (encoded_of({Ext.COOKIE: b"cookie"})[:-1], Fault.DECODE_ERROR),
        (b"", Fault.DECODE_ERROR),
    ],
)
def test_encoded_hellos_that_break_a_rule(encoded: bytes, fault: Fault) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_inner_hello(encoded, OUTER)
    assert caught.value.fault is fault
    assert caught.value.alert == (
        "decode_error" if fault is Fault.DECODE_ERROR else "illegal_parameter"
    )


def test_a_hello_of_many_references_costs_linear_time() -> None:
    kinds = [kind for kind in range(1000, 16000) if kind not in SHARED]
    outer = hello_of(dict.fromkeys(kinds, b""))
    inner = encoded_of(references(*kinds[-127:]))
    assert len(decode_inner_hello(inner, outer)[0].extensions) == 127


@given(st.binary(max_size=300))
def test_any_bytes_are_an_inner_hello_or_an_error(encoded: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert decode_inner_hello(encoded, OUTER)[0].legacy_session_id == SESSION_ID


def test_what_is_authenticated_is_the_outer_hello_without_the_payload() -> None:
    hello = EncryptedHello((1, 1), 7, b"enc", b"payload")
    data = write_encrypted_client_hello(hello)
    outer = replace(OUTER, extensions={**OUTER.extensions, Ext.ENCRYPTED_CLIENT_HELLO: data})
    raw = write_message(outer)[HEADER_SIZE:]
    assert outer_aad(outer, hello) == raw.replace(b"payload", bytes(7))
