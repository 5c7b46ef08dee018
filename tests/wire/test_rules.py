"""The table of RFC 8446 section 4.2, row by row, written down here a second time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.values import uint16

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import GREASE_VALUES, AlertDescription, ExtensionType
from handclasp.wire.extension_table import MessageContext
from handclasp.wire.rules import check_answer, check_extensions

RFC_8446_TABLE = {
    "server_name": "CH, EE",
    "max_fragment_length": "CH, EE",
    "status_request": "CH, CR, CT",
    "supported_groups": "CH, EE",
    "signature_algorithms": "CH, CR",
    "use_srtp": "CH, EE",
    "heartbeat": "CH, EE",
    "application_layer_protocol_negotiation": "CH, EE",
    "signed_certificate_timestamp": "CH, CR, CT",
    "client_certificate_type": "CH, EE",
    "server_certificate_type": "CH, EE",
    "padding": "CH",
    "key_share": "CH, SH, HRR",
    "pre_shared_key": "CH, SH",
    "psk_key_exchange_modes": "CH",
    "early_data": "CH, EE, NST",
    "cookie": "CH, HRR",
    "supported_versions": "CH, SH, HRR",
    "certificate_authorities": "CH, CR",
    "oid_filters": "CR",
    "post_handshake_auth": "CH",
    "signature_algorithms_cert": "CH, CR",
}
LATER_REGISTRATIONS = {
    "compress_certificate": "CH, CR",  # RFC 8879
    "record_size_limit": "CH, EE",  # RFC 8449
    "delegated_credential": "CH, CR, CT",  # RFC 9345
    "ticket_request": "CH, EE",  # RFC 9149
    "encrypted_client_hello": "CH, HRR, EE",  # RFC 9849
}
ONLY_IN_TLS_12 = (
    "ec_point_formats",
    "encrypt_then_mac",
    "extended_master_secret",
    "session_ticket",
    "renegotiation_info",
)
# The ServerHello of TLS 1.2: what RFC 6066, 7301, 6962, 7250, 8449 and their like put there.
IN_SERVER_HELLO_12 = (
    *ONLY_IN_TLS_12,
    "server_name",
    "max_fragment_length",
    "status_request",
    "supported_groups",  # which some servers send
    "use_srtp",
    "heartbeat",
    "application_layer_protocol_negotiation",
    "signed_certificate_timestamp",
    "client_certificate_type",
    "server_certificate_type",
    "record_size_limit",
)
TABLE = RFC_8446_TABLE | LATER_REGISTRATIONS | dict.fromkeys(ONLY_IN_TLS_12, "CH")
for _name in IN_SERVER_HELLO_12:
    TABLE[_name] += ", SH12"

PLACES = list(MessageContext)
UNKNOWN = [0x1234, 0xFFFE, *sorted(GREASE_VALUES)[:2]]
ANSWERS = [
    MessageContext.SH,
    MessageContext.HRR,
    MessageContext.EE,
    MessageContext.CT,
    MessageContext.SH12,
]


def fault_of(call: object, *arguments: object) -> Fault:
    with pytest.raises(ProtocolError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.fault


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
@pytest.mark.parametrize("name", TABLE)
def test_each_cell_of_the_table(name: str, place: MessageContext) -> None:
    kind = ExtensionType[name.upper()]
    if place.name in TABLE[name].split(", "):
        check_extensions({kind: b""}, place, 10)
    else:
        assert fault_of(check_extensions, {kind: b""}, place, 10) is Fault.MISPLACED_EXTENSION


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
@pytest.mark.parametrize("kind", UNKNOWN)
def test_unknown_extensions_are_not_misplaced(kind: int, place: MessageContext) -> None:
    check_extensions({kind: b""}, place, 10)


@pytest.mark.parametrize("place", ANSWERS, ids=lambda place: place.name)
@pytest.mark.parametrize("kind", UNKNOWN)
def test_an_answer_to_nothing_is_refused(kind: int, place: MessageContext) -> None:
    assert fault_of(check_answer, {kind: b""}, place, {}, 10) is Fault.UNSOLICITED_EXTENSION
    check_answer({kind: b""}, place, {kind}, 10)


def test_the_alerts_are_those_of_section_4_2() -> None:
    assert Fault.MISPLACED_EXTENSION.alert == AlertDescription.ILLEGAL_PARAMETER
    assert Fault.UNSOLICITED_EXTENSION.alert == AlertDescription.UNSUPPORTED_EXTENSION


def test_a_cookie_comes_unasked_in_a_hello_retry_request_only() -> None:
    cookie: dict[int, bytes] = {ExtensionType.COOKIE: b"c"}
    check_answer(cookie, MessageContext.HRR, {}, 10)
    for place in (MessageContext.SH, MessageContext.EE, MessageContext.CT):
        assert fault_of(check_answer, cookie, place, {}, 10) is Fault.MISPLACED_EXTENSION


def test_a_known_extension_must_be_asked_for() -> None:
    alpn: dict[int, bytes] = {ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: b""}
    check_answer(alpn, MessageContext.EE, alpn, 10)
    assert fault_of(check_answer, alpn, MessageContext.EE, {}, 10) is Fault.UNSOLICITED_EXTENSION


def test_a_misplaced_answer_is_misplaced_even_if_asked_for() -> None:
    share = {ExtensionType.KEY_SHARE: b""}
    assert fault_of(check_answer, share, MessageContext.EE, share, 10) is Fault.MISPLACED_EXTENSION


@pytest.mark.parametrize(
    "place",
    [MessageContext.CH, MessageContext.CR, MessageContext.NST],
    ids=lambda place: place.name,
)
def test_what_is_no_answer_is_not_judged_as_one(place: MessageContext) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        check_answer({}, place, {}, 10)


@settings(deadline=None)
@given(st.dictionaries(uint16, st.just(b""), max_size=30), st.integers(1, 20))
def test_more_extensions_than_accepted(extensions: dict[int, bytes], limit: int) -> None:
    known = {code.value for code in ExtensionType}
    harmless = {kind: data for kind, data in extensions.items() if kind not in known}
    if len(harmless) > limit:
        assert (
            fault_of(check_extensions, harmless, MessageContext.CH, limit)
            is Fault.TOO_MANY_EXTENSIONS
        )
    else:
        check_extensions(harmless, MessageContext.CH, limit)


def test_the_refusal_names_extension_and_message() -> None:
    with pytest.raises(ProtocolError, match="key_share in EE"):
        check_extensions({ExtensionType.KEY_SHARE: b""}, MessageContext.EE, 10)
