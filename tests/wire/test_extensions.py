"""The extensions: each pair of functions is the inverse of the other, and refuses the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors.rfc8448_traces import load
from tests.wire.values import uint16

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import AlertDescription, ExtensionType
from handclasp.wire import extensions as ext
from handclasp.wire.extensions import KeyShareEntry
from handclasp.wire.messages import ClientHello, ServerHello, read_message

ALERTS = {
    Fault.DECODE_ERROR: AlertDescription.DECODE_ERROR,
    Fault.ILLEGAL_VALUE: AlertDescription.ILLEGAL_PARAMETER,
    Fault.BAD_RECORD_SIZE_LIMIT: AlertDescription.ILLEGAL_PARAMETER,
}

shares = st.builds(KeyShareEntry, uint16, st.binary(min_size=1, max_size=40))
uint16_lists = st.lists(uint16, min_size=1, max_size=10).map(tuple)
names = st.from_regex(r"[a-z0-9_-]{1,20}(\.[a-z0-9-]{1,20}){0,3}", fullmatch=True)


@dataclass(frozen=True, slots=True)
class Pair:
    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]
    values: st.SearchStrategy[Any]


identities = st.builds(
    ext.PskIdentity, st.binary(min_size=1, max_size=40), st.integers(0, 2**32 - 1)
)
offered_psks = st.lists(
    st.tuples(identities, st.binary(min_size=32, max_size=64)), min_size=1, max_size=4
).map(lambda pairs: ext.OfferedPsks(*map(tuple, zip(*pairs, strict=True))))

PSK_IDENTITY = "0001" + "41" + "00000000"

PAIRS = {
    "server_name": Pair(ext.read_server_name, ext.write_server_name, names),
    "supported_groups": Pair(ext.read_supported_groups, ext.write_supported_groups, uint16_lists),
    "signature_algorithms": Pair(
        ext.read_signature_algorithms, ext.write_signature_algorithms, uint16_lists
    ),
    "alpn": Pair(
        ext.read_alpn,
        ext.write_alpn,
        st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5).map(tuple),
    ),
    "supported_versions": Pair(
        ext.read_supported_versions, ext.write_supported_versions, uint16_lists
    ),
    "selected_version": Pair(ext.read_selected_version, ext.write_selected_version, uint16),
    "key_share_client_hello": Pair(
        ext.read_key_share_client_hello,
        ext.write_key_share_client_hello,
        st.lists(shares, max_size=4).map(tuple),
    ),
    "key_share_server_hello": Pair(
        ext.read_key_share_server_hello, ext.write_key_share_server_hello, shares
    ),
    "key_share_hello_retry_request": Pair(
        ext.read_key_share_hello_retry_request, ext.write_key_share_hello_retry_request, uint16
    ),
    "cookie": Pair(ext.read_cookie, ext.write_cookie, st.binary(min_size=1, max_size=300)),
    "record_size_limit": Pair(
        ext.read_record_size_limit, ext.write_record_size_limit, st.integers(64, 0xFFFF)
    ),
    "psk_key_exchange_modes": Pair(
        ext.read_psk_key_exchange_modes,
        ext.write_psk_key_exchange_modes,
        st.binary(min_size=1, max_size=5),
    ),
    "offered_psks": Pair(ext.read_offered_psks, ext.write_offered_psks, offered_psks),
    "selected_identity": Pair(ext.read_selected_identity, ext.write_selected_identity, uint16),
    "max_early_data_size": Pair(
        ext.read_max_early_data_size, ext.write_max_early_data_size, st.integers(0, 2**32 - 1)
    ),
    "ec_point_formats": Pair(
        ext.read_ec_point_formats, ext.write_ec_point_formats, st.binary(min_size=1, max_size=5)
    ),
    "renegotiation_info": Pair(
        ext.read_renegotiation_info, ext.write_renegotiation_info, st.binary(max_size=40)
    ),
    "certificate_authorities": Pair(
        ext.read_certificate_authorities,
        ext.write_certificate_authorities,
        st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=4).map(tuple),
    ),
    "status": Pair(
        ext.read_certificate_status,
        ext.write_certificate_status,
        st.binary(min_size=1, max_size=60),
    ),
    "certificate_types": Pair(
        ext.read_certificate_types,
        ext.write_certificate_types,
        st.lists(st.integers(0, 255), min_size=1, max_size=5).map(tuple),
    ),
    "selected_certificate_type": Pair(
        ext.read_selected_certificate_type,
        ext.write_selected_certificate_type,
        st.integers(0, 255),
    ),
    "compress_certificate": Pair(
        ext.read_compress_certificate, ext.write_compress_certificate, uint16_lists
    ),
}

pairs = pytest.mark.parametrize("name", PAIRS)


def fault_of(read: Callable[[bytes], object], data: bytes) -> Fault:
    with pytest.raises(ProtocolError) as caught:
        read(data)
    return caught.value.fault


def test_every_pair_of_the_module_is_tested() -> None:
    functions = [name for name in vars(ext) if name.startswith(("read_", "write_"))]
    tested = {pair.read.__name__ for pair in PAIRS.values()}
    tested |= {pair.write.__name__ for pair in PAIRS.values()}
    by_itself = {"read_empty", "read_status_request", "write_status_request"}
    assert set(functions) - by_itself == tested


def test_status_request_asks_for_ocsp_of_anybody() -> None:
    assert ext.write_status_request() == b"\x01\0\0\0\0"
    assert ext.read_status_request(ext.write_status_request())
    assert not ext.read_status_request(b"\x02anything")
    for data in (b"", b"\x01", b"\x01\0\0\0", b"\x01\0\0\0\0\0", b"\x01\0\x01\0\0"):
        assert fault_of(ext.read_status_request, data) is Fault.DECODE_ERROR


def test_a_certificate_status_of_another_type() -> None:
    assert fault_of(ext.read_certificate_status, b"\x02\0\0\x01x") is Fault.ILLEGAL_VALUE


@pairs
@settings(deadline=None)
@given(data=st.data())
def test_written_values_are_read_as_they_were(name: str, data: st.DataObject) -> None:
    pair = PAIRS[name]
    value = data.draw(pair.values)
    assert pair.read(pair.write(value)) == value


@pairs
@settings(deadline=None)
@given(data=st.data())
def test_bytes_are_read_exactly_or_refused(name: str, data: st.DataObject) -> None:
    pair = PAIRS[name]
    sample = pair.write(data.draw(pair.values))
    at = data.draw(st.integers(0, len(sample)))
    mutated = sample[:at] + data.draw(st.binary(max_size=3)) + sample[at + 1 :]
    for raw in (mutated, data.draw(st.binary(max_size=60))):
        refused: Fault | None
        try:
            value = pair.read(raw)
        except ProtocolError as error:
            refused = error.fault
        else:
            refused = None
        if refused is not None:
            assert refused.alert == ALERTS[refused]
            continue
        # Names of other types are passed over, and upper case is read as lower case.
        if name != "server_name":
            assert pair.write(value) == raw
        elif value is not None:
            assert value.encode() in raw.lower()


@pairs
@settings(deadline=None)
@given(data=st.data())
def test_every_truncation_and_every_trailing_byte_is_refused(
    name: str, data: st.DataObject
) -> None:
    pair = PAIRS[name]
    raw = pair.write(data.draw(pair.values))
    size = data.draw(st.integers(0, len(raw) - 1))
    assert fault_of(pair.read, raw[:size]) is Fault.DECODE_ERROR
    assert fault_of(pair.read, raw + b"\0") is Fault.DECODE_ERROR


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("server_name", "0000"),
        ("server_name", "0003000000"),
        ("supported_groups", "0000"),
        ("supported_groups", "000300170018"),
        ("signature_algorithms", "0000"),
        ("alpn", "0000"),
        ("alpn", "000100"),
        ("alpn", "00020000"),
        ("alpn", "0004026832" + "00"),
        ("supported_versions", "00"),
        ("supported_versions", "03030403"),
        ("key_share_client_hello", "0004001d0000"),
        ("key_share_server_hello", "001d0000"),
        ("offered_psks", "0000" + "0021" + "20" + "00" * 32),
        ("offered_psks", "0006" + "0000" + "00000000" + "0021" + "20" + "00" * 32),
        ("offered_psks", "000d" + "0000" + "00000000" + PSK_IDENTITY + "0021" + "20" + "00" * 32),
        ("offered_psks", "0008" + PSK_IDENTITY + "0021" + "20" + "00" * 32),
        ("offered_psks", "0007" + PSK_IDENTITY + "0000"),
        ("offered_psks", "0007" + PSK_IDENTITY + "0020" + "1f" + "00" * 31),
        ("offered_psks", "0007" + PSK_IDENTITY + "0021" + "21" + "00" * 32),
        ("offered_psks", "0007" + PSK_IDENTITY + "0022" + "20" + "00" * 32),
        ("cookie", "0000"),
        ("certificate_authorities", "0000"),
        ("certificate_authorities", "00020000"),
        ("certificate_authorities", "000400000000"),
    ],
)
def test_lengths_out_of_their_bounds(name: str, data: str) -> None:
    assert fault_of(PAIRS[name].read, bytes.fromhex(data)) is Fault.DECODE_ERROR


@pytest.mark.parametrize("limit", [0, 1, 63])
def test_a_record_size_limit_is_at_least_64(limit: int) -> None:
    data = limit.to_bytes(2, "big")
    assert fault_of(ext.read_record_size_limit, data) is Fault.BAD_RECORD_SIZE_LIMIT
    assert ext.read_record_size_limit(b"\0\x40") == 64


def test_an_empty_extension_is_empty() -> None:
    ext.read_empty(b"", "server_name")
    assert fault_of(lambda data: ext.read_empty(data, "server_name"), b"\0") is Fault.DECODE_ERROR


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("0006" + "00" + "0003" + "612e62", "a.b"),
        ("0006" + "00" + "0003" + "412e42", "a.b"),
        ("0006" + "07" + "0003" + "ffffff", None),
        ("000c" + "07" + "0003" + "ffffff" + "00" + "0003" + "612e62", "a.b"),
    ],
)
def test_the_host_name_among_the_names(data: str, value: str | None) -> None:
    assert ext.read_server_name(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    "name", [b"\xffoo", b"a b", b"a\0b", b"a\nb", b"a\x7fb", b"a\x1b[31mb", "bücher".encode()]
)
def test_no_host_name_holds_such_characters(name: bytes) -> None:
    data = (len(name) + 3).to_bytes(2, "big") + b"\0" + len(name).to_bytes(2, "big") + name
    assert fault_of(ext.read_server_name, data) is Fault.ILLEGAL_VALUE


@pytest.mark.parametrize("size", [256, 60_000])
def test_no_host_name_is_so_long(size: int) -> None:
    name = b"a." * (size // 2)
    data = (size + 3).to_bytes(2, "big") + b"\0" + size.to_bytes(2, "big") + name
    assert fault_of(ext.read_server_name, data) is Fault.ILLEGAL_VALUE
    assert ext.read_server_name(ext.write_server_name("a" * 255)) == "a" * 255


def test_two_host_names_are_one_too_many() -> None:
    one = b"\0\0\x01a"
    data = (2 * len(one)).to_bytes(2, "big") + one + one
    assert fault_of(ext.read_server_name, data) is Fault.ILLEGAL_VALUE


def test_the_extensions_of_an_rfc_8448_handshake() -> None:
    trace = load("hello_retry_request")
    hello = read_message(trace.messages["client_hello"].encoded)
    retry = read_message(trace.messages["hello_retry_request"].encoded)
    second = read_message(trace.messages["second_client_hello"].encoded)
    server = read_message(trace.messages["server_hello"].encoded)
    assert isinstance(hello, ClientHello)
    assert isinstance(retry, ServerHello)
    assert isinstance(second, ClientHello)
    assert isinstance(server, ServerHello)
    x25519, secp256r1 = 0x1D, 0x17
    assert ext.read_server_name(hello.extensions[ExtensionType.SERVER_NAME]) == "server"
    groups = ext.read_supported_groups(hello.extensions[ExtensionType.SUPPORTED_GROUPS])
    assert groups == (x25519, secp256r1, 0x18)
    versions = hello.extensions[ExtensionType.SUPPORTED_VERSIONS]
    assert ext.read_supported_versions(versions) == (0x0304,)
    first = ext.read_key_share_client_hello(hello.extensions[ExtensionType.KEY_SHARE])
    assert first == (KeyShareEntry(x25519, trace.key_shares["client_key_share"].public_key),)
    asked = retry.extensions[ExtensionType.KEY_SHARE]
    assert ext.read_key_share_hello_retry_request(asked) == secp256r1
    cookie = ext.read_cookie(retry.extensions[ExtensionType.COOKIE])
    assert cookie == ext.read_cookie(second.extensions[ExtensionType.COOKIE])
    answered = ext.read_key_share_client_hello(second.extensions[ExtensionType.KEY_SHARE])
    own = trace.key_shares["client_second_key_share"].public_key
    assert answered == (KeyShareEntry(secp256r1, own),)
    share = ext.read_key_share_server_hello(server.extensions[ExtensionType.KEY_SHARE])
    assert share == KeyShareEntry(secp256r1, trace.key_shares["server_key_share"].public_key)
    selected = server.extensions[ExtensionType.SUPPORTED_VERSIONS]
    assert ext.read_selected_version(selected) == 0x0304
    assert ext.read_record_size_limit(hello.extensions[ExtensionType.RECORD_SIZE_LIMIT]) == 0x4001
