"""JA3 and JA4, against published values and against tshark."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.required import need_tool
from tests.vectors.client_hellos import CLIENT_HELLO_NAMES, client_hello

from handclasp import Recorder
from handclasp.iana import ExtensionType as Ext
from handclasp.story.fingerprints import Ja4, ja3_of, ja4_of
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ClientHello, read_message

ALPN = Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION

# What a public service reported of one Chrome 143: what it was given, and the digests.
CHROME_SUITES = (
    0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014,
    0x009C, 0x009D, 0x002F, 0x0035,
)  # fmt: skip
CHROME_EXTENSIONS = (
    0x002D, 0x0033, 0x0010, 0xFE0D, 0x0017, 0x44CD, 0x0000, 0x000B, 0x000A, 0x002B, 0xFF01,
    0x0023, 0x0012, 0x0005, 0x000D, 0x001B,
)  # fmt: skip
CHROME_GROUPS = (4588, 29, 23, 24)
CHROME_SCHEMES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
CHROME_JA3 = "98487aa16281980e7d1120d399efb6a4"
CHROME_JA4 = "t13d1516h2_8daaf6152771_d8a2da3f94cd"


def chrome() -> ClientHello:
    contents: dict[int, bytes] = {
        Ext.SERVER_NAME: ext.write_server_name("localhost"),
        Ext.SUPPORTED_VERSIONS: ext.write_supported_versions([0x4A4A, 0x0304, 0x0303]),
        Ext.SUPPORTED_GROUPS: ext.write_supported_groups([0xBABA, *CHROME_GROUPS]),
        Ext.SIGNATURE_ALGORITHMS: ext.write_signature_algorithms(CHROME_SCHEMES),
        Ext.EC_POINT_FORMATS: ext.write_ec_point_formats(),
        ALPN: ext.write_alpn([b"h2", b"http/1.1"]),
    }
    listed = {kind: contents.get(kind, b"") for kind in CHROME_EXTENSIONS}
    suites = (0x3A3A, *CHROME_SUITES)
    listed = {0x1A1A: b"", **listed, 0x2A2A: b"\0"}
    return ClientHello(0x0303, bytes(32), bytes(32), suites, b"\0", listed)


def browser(name: str) -> ClientHello:
    message = read_message(client_hello(name))
    assert isinstance(message, ClientHello)
    return message


def without(hello: ClientHello, *kinds: int) -> ClientHello:
    kept = {kind: data for kind, data in hello.extensions.items() if kind not in kinds}
    return replace(hello, extensions=kept)


def with_alpn(*protocols: bytes) -> Ja4:
    hello = chrome()
    return ja4_of(replace(hello, extensions={**hello.extensions, ALPN: ext.write_alpn(protocols)}))


def test_published_values_of_chrome() -> None:
    assert ja3_of(chrome()).value == CHROME_JA3
    assert ja4_of(chrome()).value == CHROME_JA4


def test_the_parts_say_what_they_stand_for() -> None:
    told = [(part.text, part.meaning) for part in ja4_of(chrome()).parts]
    assert told == [
        ("t", "over TCP"),
        ("13", "the best version: TLSv1.3"),
        ("d", "a name is asked for"),
        ("15", "15 cipher suites"),
        ("16", "16 extensions"),
        ("h2", "the first protocol: h2"),
    ]
    ja3 = ja3_of(chrome())
    assert ja3.parts[0].text == "771"
    assert ja3.parts[3].text == "4588-29-23-24"
    assert ja3.text.count(",") == 4
    assert ja4_of(chrome()).raw.startswith("t13d1516h2_002f,0035,009c,")
    assert ja4_of(chrome()).raw.endswith("_0403,0804,0401,0503,0805,0501,0806,0601")


def test_the_order_of_extensions_changes_ja3_alone() -> None:
    hello = chrome()
    turned = replace(hello, extensions=dict(reversed(list(hello.extensions.items()))))
    assert ja3_of(turned).value != ja3_of(hello).value
    assert ja4_of(turned).value == ja4_of(hello).value


def test_what_is_made_up_changes_nothing() -> None:
    hello = chrome()
    other = replace(without(hello, 0x1A1A, 0x2A2A), cipher_suites=hello.cipher_suites[1:])
    assert ja3_of(other).value == CHROME_JA3
    assert ja4_of(other).value == CHROME_JA4


def test_a_ticket_is_all_that_a_chromium_adds_when_it_comes_back() -> None:
    """pre_shared_key counts as an extension, and the sorted list has it; all else is the same."""
    first, back = (ja4_of(browser(f"chromium-156{each}")) for each in ("", "-resumed"))
    assert first.suites == back.suites
    kinds, again = (set(each.extensions.partition("_")[0].split(",")) for each in (first, back))
    assert again - kinds == {"0029"}
    assert kinds < again


@pytest.mark.parametrize(
    ("protocols", "ends"),
    [
        ([b"h2"], "h2"),
        ([b"http/1.1", b"h2"], "h1"),
        ([b"x"], "xx"),
        ([b"\xab"], "ab"),
        ([b"\xab\xcd"], "ad"),
        ([b"0\xcd"], "3d"),
        ([b"\xab1"], "a1"),
    ],
)
def test_the_first_protocol(protocols: list[bytes], ends: str) -> None:
    assert with_alpn(*protocols).readable == f"t13d1516{ends}"


def test_a_bare_hello() -> None:
    hello = ClientHello(0x0301, bytes(32), b"", (0x0A0A,), b"\0", {})
    assert ja4_of(hello).value == "t10i000000_000000000000_000000000000"
    assert ja3_of(hello).text == "769,,,,"


def test_no_schemes_leave_no_line_between() -> None:
    assert "_" not in ja4_of(without(chrome(), Ext.SIGNATURE_ALGORITHMS)).extensions


def test_what_cannot_be_read_counts_as_nothing() -> None:
    hello = chrome()
    broken = dict.fromkeys(hello.extensions, b"\x09")
    fingerprint = ja4_of(replace(hello, extensions=broken))
    assert fingerprint.readable == "t12d151600"


@pytest.mark.capture
@pytest.mark.parametrize("name", CLIENT_HELLO_NAMES)
def test_tshark_finds_the_same_ja3(name: str, tmp_path: Path) -> None:
    raw = client_hello(name)
    recorder = Recorder(record_wire=True)
    recorder.wire("sent", b"\x16\x03\x01" + len(raw).to_bytes(2, "big") + raw)
    capture = tmp_path / "hello.pcapng"
    capture.write_bytes(recorder.to_pcapng())
    command = [need_tool("tshark"), "-r", str(capture), "-T", "fields", "-e", "tls.handshake.ja3"]
    found = subprocess.run(
        [*command, "-d", "tcp.port==1-65535,tls"], capture_output=True, check=True, timeout=60
    )
    assert found.stdout.decode().strip() == ja3_of(browser(name)).value
