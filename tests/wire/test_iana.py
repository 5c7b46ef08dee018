"""Names for numbers: as IANA spells them, and a number where there is no name."""

from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given, settings
from tests.required import need_tool
from tests.wire.values import uint8, uint16

from handclasp import iana
from handclasp.iana.suite_names import CIPHER_SUITES_OF_OTHERS

LOOKUPS = (
    iana.version_name,
    iana.cipher_suite_name,
    iana.group_name,
    iana.signature_scheme_name,
    iana.extension_name,
)


def test_names_as_the_registries_have_them() -> None:
    assert iana.version_name(0x0304) == "TLSv1.3"
    assert iana.cipher_suite_name(0x1301) == "TLS_AES_128_GCM_SHA256"
    assert iana.cipher_suite_name(0x00FF) == "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"
    assert iana.group_name(0x001D) == "X25519"
    assert iana.group_name(0x001E) == "X448"
    assert iana.group_name(0x11EC) == "X25519MLKEM768"
    assert iana.signature_scheme_name(0x0804) == "rsa_pss_rsae_sha256"
    assert iana.extension_name(16) == "application_layer_protocol_negotiation"
    assert iana.alert_name(40) == "handshake_failure"
    assert iana.handshake_type_name(1) == "ClientHello"
    assert iana.handshake_type_name(8) == "EncryptedExtensions"


def test_suites_of_others_are_named_and_not_spoken() -> None:
    spoken = {code.value for code in iana.CipherSuiteCode}
    assert not spoken & CIPHER_SUITES_OF_OTHERS.keys()
    assert iana.cipher_suite_name(0xC013) == "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"


def test_openssl_has_the_same_names() -> None:
    command = [need_tool("openssl"), "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    said = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.decode()
    theirs = {int(high + low, 16): name for high, low, name in re.findall(
        r"0x(\w\w),0x(\w\w) - (\S+)", said)}  # fmt: skip
    ours = {**CIPHER_SUITES_OF_OTHERS, **{c.value: c.name for c in iana.CipherSuiteCode}}
    both = theirs.keys() & ours.keys()
    assert len(both) > 25
    assert {number: ours[number] for number in both} == {number: theirs[number] for number in both}


def test_names_by_number_and_numbers_by_name() -> None:
    for number, name in iana.VERSION_NAMES.items():
        assert iana.VERSIONS_BY_NAME[name] == number


@pytest.mark.parametrize("value", sorted(iana.GREASE_VALUES))
def test_grease_values(value: int) -> None:
    assert value >> 8 == value & 0xFF
    assert value & 0x0F0F == 0x0A0A
    for lookup in LOOKUPS:
        assert lookup(value) == f"GREASE 0x{value:04x}"


def test_there_are_sixteen_grease_values() -> None:
    assert len(iana.GREASE_VALUES) == 16
    assert {0x0A0A, 0xFAFA} <= iana.GREASE_VALUES


@settings(deadline=None)
@given(uint16)
def test_every_number_has_something_to_show(number: int) -> None:
    for lookup in LOOKUPS:
        assert lookup(number)
    assert iana.cipher_suite_name(0xC0FF) == "0xc0ff"


@settings(deadline=None)
@given(uint8)
def test_every_alert_and_message_type_has_something_to_show(number: int) -> None:
    assert iana.alert_name(number)
    assert iana.handshake_type_name(number)


def test_unknown_alerts_and_types_show_their_number() -> None:
    assert iana.alert_name(200) == "alert 200"
    assert iana.handshake_type_name(99) == "handshake type 99"
