"""A capture of ours opens a hello that was encrypted, by its own secrets: here and in Wireshark."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run, run  # noqa: F401 (a fixture)
from tests.end_to_end.ech import (
    KEY,
    OTHER,
    PUBLIC,
    SECRET,
    ech_client,
    ech_server,
    opened_hellos,
    outer_hellos,
)
from tests.end_to_end.pair import End, Pair
from tests.interop.peers.base import CACHE
from tests.pki import Pki
from tests.trace.test_pcapng import secrets_of

from handclasp import ClientConnection, Recorder, ServerConnection

KINDS: dict[str, dict[str, Any]] = {
    "accepted": {},
    "retried": {"groups": ["secp384r1"]},
    "rejected": {"ech": [OTHER]},
    "retried and rejected": {"ech": [OTHER], "groups": ["secp384r1"]},
}


def hellos_of(kind: str) -> tuple[int, int]:
    """How many hellos there are, and inner ones: none in a second hello after a rejection.

    A HelloRetryRequest tells the client whether it was accepted; if not, the second hello repeats
    the extension of the first, which opens no more.
    """
    return {"accepted": (1, 1), "retried": (2, 2), "rejected": (1, 1)}.get(kind, (2, 1))


def recorder(*addresses: tuple[str, int]) -> Recorder:
    made = Recorder(record_secrets=True, record_wire=True)
    made.transport(*addresses)
    return made


def talk(change: dict[str, Any]) -> Pair:
    """A conversation that begins with a request, recorded at both ends with its bytes."""
    pki = Pki()
    client, server = ech_client(pki), replace(ech_server(pki), **change)
    pair = Pair(client, server, SECRET)
    here, there = ("192.0.2.1", 50000), ("192.0.2.2", 443)
    notes = [recorder(here, there), recorder(there, here)]
    pair.client = End(ClientConnection(client, server_name=SECRET, trace=notes[0]), notes[0])
    pair.server = End(ServerConnection(server, trace=notes[1]), notes[1])
    pair.run()
    if "ech" not in change:
        pair.client.connection.send_data(f"GET / HTTP/1.1\r\nHost: {SECRET}\r\n\r\n".encode())
        pair.run()
    return pair


@pytest.mark.parametrize("kind", KINDS)
def test_the_secrets_are_those_of_rfc_9850(kind: str) -> None:
    """Section 2.2: by the random of the outer hello, HPKE's shared secret and the ECHConfig."""
    pair = talk(KINDS[kind])
    lines = [line.split(" ") for line in secrets_of(pair.client.trace.to_pcapng())]
    of_ech = {label: line for label, *line in lines if label.startswith("ECH_")}
    outer = outer_hellos(pair)[0].random.hex()
    assert of_ech["ECH_CONFIG"] == [outer, KEY.configs[0].raw.hex()]
    assert [of_ech["ECH_SECRET"][0], len(of_ech["ECH_SECRET"][1])] == [outer, 64]
    assert len(of_ech) == len([label for label, *_ in lines if label.startswith("ECH_")]) == 2
    counted = {random for label, random, _ in lines if not label.startswith("ECH_")}
    is_rejected = "ech" in KINDS[kind]
    assert counted == {outer if is_rejected else opened_hellos(pair, 1)[0].inner.random.hex()}
    # A server has no secret of what no key of its opens.
    theirs = secrets_of(pair.server.trace.to_pcapng())
    assert any(line.startswith("ECH_") for line in theirs) is not is_rejected


@pytest.mark.parametrize("kind", KINDS)
def test_explain_tells_both_hellos_from_the_file_alone(
    run: Run,  # noqa: F811
    tmp_path: Path,
    kind: str,
) -> None:
    capture = tmp_path / "client.pcapng"
    capture.write_bytes(talk(KINDS[kind]).client.trace.to_pcapng())
    told = run("explain", str(capture))
    assert told.exit_code == 0, told.output
    text = " ".join(told.output.replace("|", " ").split())
    outer, inner = hellos_of(kind)
    assert text.count(f"Hello, I am looking for {PUBLIC}.") == outer
    inside = f"Inside, for the server alone to read. Hello, I am looking for {SECRET}."
    assert text.count(inside) == inner


# Wireshark


@pytest.fixture
def tshark() -> str:
    program = CACHE / "tshark" / "tshark"
    if not program.exists():
        pytest.skip("a tshark that opens inner hellos is not there (make peers; Debian sid has it)")
    return str(program)


def dissected(tshark: str, capture: Path, *fields: str) -> list[dict[str, list[str]]]:
    """Return these fields of every packet, without any key log but the file's own.

    It is read twice (-2), as acceptance is not computed rightly in one pass.
    """
    selected = [part for field in fields for part in ("-e", field)]
    # No settings of the user's: these may name a key log.
    environment = {**os.environ, "HOME": str(capture.parent), "XDG_CONFIG_HOME": ""}
    done = subprocess.run(
        [tshark, "-2", "-r", str(capture), "-T", "json", *selected],
        capture_output=True,
        timeout=60,
        check=True,
        env=environment,
    )
    return [packet["_source"].get("layers", {}) for packet in json.loads(done.stdout)]


def values(packets: list[dict[str, list[str]]], field: str) -> list[list[str]]:
    return [packet[field] for packet in packets if field in packet]


@pytest.mark.interop
@pytest.mark.fast
@pytest.mark.parametrize("kind", KINDS)
def test_wireshark_opens_the_inner_hello(tshark: str, tmp_path: Path, kind: str) -> None:
    pair = talk(KINDS[kind])
    capture = tmp_path / "client.pcapng"
    capture.write_bytes(pair.client.trace.to_pcapng())
    name, random = "tls.handshake.extensions_server_name", "tls.handshake.random"
    wanted = [name, random, "tls.handshake.type", "http.host", "_ws.malformed"]
    judged = ["tls.ech_accepted", "tls.ech_rejected"]
    packets = dissected(tshark, capture, *wanted, *judged, "tls.ech.client_hello_type")
    outer, inner = hellos_of(kind)
    hellos = [packet for packet in packets if "1" in packet.get("tls.handshake.type", [])]
    assert len(hellos) == outer
    for packet, hello in zip(hellos[:inner], opened_hellos(pair, inner), strict=True):
        assert packet[name] == [PUBLIC, SECRET]
        assert packet[random] == [hello.outer.random.hex(), hello.inner.random.hex()]
        assert packet["tls.ech.client_hello_type"] == ["0", "1"]
    assert values(packets, "_ws.malformed") == []
    # So is a HelloRetryRequest with a confirmation. One without it says nothing.
    seen = [len([packet for packet in packets if field in packet]) for field in judged]
    assert seen == ([0, 1] if "ech" in KINDS[kind] else [outer, 0])
    # What follows is decrypted as well: the client's Finished is the last message of any handshake.
    assert values(packets, "tls.handshake.type")[-1][-1] in ("20", "4")
    if "ech" not in KINDS[kind]:
        assert values(packets, "http.host") == [[SECRET]]


@pytest.mark.interop
@pytest.mark.fast
def test_without_the_lines_of_ech_wireshark_does_not(tshark: str, tmp_path: Path) -> None:
    """What is asserted above comes from these lines."""
    capture = tmp_path / "client.pcapng"
    made = talk({}).client.trace.to_pcapng()
    capture.write_bytes(made.replace(b"ECH_SECRET", b"#CH_SECRET"))
    [name] = values(
        dissected(tshark, capture, "tls.handshake.extensions_server_name"),
        "tls.handshake.extensions_server_name",
    )
    assert name == [PUBLIC]
