"""`handclasp explain`: traces and captures told, and what cannot be told refused in a sentence."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import struct
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run
from tests.pki import Pki
from tests.required import need_tool

import handclasp
from handclasp import ClientConfig, Recorder, ServerConfig, TLSError, input_files
from handclasp.cli import inputs
from handclasp.trace.events import TransportSeen, WireSeen
from handclasp.trace.pcapng import capture_header, connection_blocks, keylog_lines

pytestmark = pytest.mark.long

CAPTURES = Path(__file__).parents[1] / "capture" / "data"


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def recorded(client: ClientConfig, server: ServerConfig) -> Recorder:
    """A connection over real sockets, whether it succeeds or not."""
    trace = Recorder(record_secrets=True, record_wire=True)

    def serve() -> None:
        sock, _ = listener.accept()
        sock.settimeout(20)
        try:
            with handclasp.wrap_server(sock, server) as tls:
                while data := tls.recv(65536):
                    tls.sendall(data)
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with handclasp.connect(
                "127.0.0.1",
                int(listener.getsockname()[1]),
                client,
                server_name="localhost",
                timeout=20,
                trace=trace,
            ) as tls:
                tls.sendall(b"a question")
                tls.recv(100)
                tls.unwrap().close()
        except TLSError:
            pass
        thread.join(20)
    return trace


@pytest.fixture(scope="module")
def good(pki: Pki) -> Recorder:
    return recorded(
        ClientConfig(trust=pki.trust, alpn=["h2"]),
        ServerConfig(credentials=pki.server(), alpn=["h2"]),
    )


@pytest.fixture(scope="module")
def bad(pki: Pki) -> Recorder:
    return recorded(
        ClientConfig(trust=pki.trust, groups=["secp384r1"]),
        ServerConfig(credentials=pki.server(), groups=["X25519"]),
    )


@pytest.fixture
def capture(good: Recorder, tmp_path: Path) -> Path:
    need_tool("tshark")
    path = tmp_path / "good.pcapng"
    path.write_bytes(good.to_pcapng())
    return path


def without_secrets(trace: Recorder) -> Recorder:
    bare = Recorder(record_wire=True)
    bare.events = [e for e in trace.events if type(e).__name__ != "SecretDerived"]
    bare.began_at_ns = trace.began_at_ns
    return bare


def test_a_trace(run: Run, good: Recorder, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    good.save(path)
    result = run("explain", str(path))
    assert result.exit_code == 0
    assert "Hello, I am looking for localhost" in result.stdout
    assert "Complete in" in result.stdout
    assert result.stderr == ""
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_trace_of_a_failure(run: Run, bad: Recorder, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    bad.save(path)
    result = run("explain", str(path))
    assert result.exit_code == 0
    assert "It failed, seen from the client" in result.stdout
    told = " ".join(result.stdout.split())
    assert "none of the groups that were offered: secp384r1" in told
    assert "at fault the client, which offers none of the groups that nearly every server" in told
    assert "by the server, which sent the alert handshake_failure" in result.stdout
    assert "On the client: Offer X25519" in result.stdout
    assert "supported_groups in the client's ClientHello" in result.stdout


def test_a_capture_tells_the_same(run: Run, good: Recorder, capture: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    good.save(path)
    of_trace, of_capture = run("explain", str(path)), run("explain", str(capture))
    assert of_capture.exit_code == 0

    def told(text: str) -> list[str]:
        return [line for line in text.splitlines() if " ms" not in line and "====" not in line]

    lines = told(of_trace.stdout)
    assert [line for line in told(of_capture.stdout) if "|   " in line] == [
        line for line in lines if "|   " in line
    ]


def test_fields_and_bytes(run: Run, capture: Path) -> None:
    result = run("explain", str(capture), "-vv")
    assert "legacy_session_id" in result.stdout
    assert "EncryptedExtensions" in result.stdout


def test_json_is_a_trace(run: Run, capture: Path, tmp_path: Path) -> None:
    result = run("explain", str(capture), "--json")
    path = tmp_path / "again.json"
    path.write_text(result.stdout)
    again = run("explain", str(path))
    assert again.exit_code == 0
    assert again.stdout == run("explain", str(capture)).stdout
    # What opened the capture is not passed on.
    assert "CLIENT_TRAFFIC_SECRET_0" not in result.stdout


def test_a_page(run: Run, capture: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run("explain", str(capture), "--html", str(page)).exit_code == 0
    assert "EncryptedExtensions" in page.read_text()
    assert page.stat().st_mode & 0o077 == 0


def test_without_secrets_it_says_what_it_would_take(
    run: Run, good: Recorder, tmp_path: Path
) -> None:
    need_tool("tshark")
    path, keylog = tmp_path / "bare.pcapng", tmp_path / "keys.log"
    path.write_bytes(without_secrets(good).to_pcapng())
    result = run("explain", str(path))
    assert result.exit_code == 0
    assert "Hello, I am looking for localhost" in result.stdout
    assert "SSLKEYLOGFILE" in result.stdout
    assert "something encrypted" in result.stdout
    assert "Whether the handshake was completed cannot be seen without the keys" in result.stdout
    assert "the first encrypted words" not in result.stdout.lower()
    keylog.write_text("\n".join(keylog_lines(good.events)))
    result = run("explain", str(path), "--keylog", str(keylog))
    assert "the first encrypted words" in result.stdout.lower()
    assert "SSLKEYLOGFILE" not in result.stdout


def test_one_of_several_connections(
    run: Run, good: Recorder, bad: Recorder, tmp_path: Path
) -> None:
    need_tool("tshark")
    path = tmp_path / "both.pcapng"
    blocks = [connection_blocks(trace.events, trace.began_at_ns) for trace in (bad, good)]
    path.write_bytes(capture_header() + b"".join(blocks))
    listed = run("explain", str(path), "--list")
    assert listed.stdout.count("TLS localhost") == 2
    rows = json.loads(run("explain", str(path), "--list", "--json").stdout)
    assert [(row["stream"], row["tls"], row["server_name"]) for row in rows] == [
        (0, True, "localhost"),
        (1, True, "localhost"),
    ]
    first, second = (run("explain", str(path), "--stream", number) for number in "01")
    assert "handshake_failure" in first.stdout
    assert "Complete in" in second.stdout
    default = run("explain", str(path))
    assert default.stdout == first.stdout
    assert "has 2 connections, and this is --stream 0, which failed; --list" in default.stderr
    assert listed.stdout.startswith("   N  from -> to  packets ")
    assert run("explain", str(path), "--stream", "7").exit_code == 2


def test_a_failure_is_explained_before_what_went_well(
    run: Run, good: Recorder, bad: Recorder, tmp_path: Path
) -> None:
    need_tool("tshark")
    path = tmp_path / "three.pcapng"
    blocks = [of_port(trace, 20001 + at) for at, trace in enumerate((good, bad, bad))]
    path.write_bytes(capture_header() + b"".join(blocks))
    told = run("explain", str(path))
    assert "handshake_failure" in told.stdout
    said = "The capture has 3 connections, and this is --stream 1, which failed, as did 2; --list"
    assert said in " ".join(told.stderr.split())


def pcap_of(capture: bytes) -> bytes:
    """The packets of one of our captures in the older format, times in microseconds."""
    packets, at = b"", 0
    while at < len(capture):
        kind, length = struct.unpack("<II", capture[at : at + 8])
        if kind == 6:
            high, low, size = struct.unpack("<III", capture[at + 12 : at + 24])
            moment = (high << 32 | low) // 1000
            packets += struct.pack("<IIII", moment // 10**6, moment % 10**6, size, size)
            packets += capture[at + 28 : at + 28 + size]
        at += length
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1) + packets


def test_the_older_format(run: Run, good: Recorder, tmp_path: Path) -> None:
    need_tool("tshark")
    path, keylog = tmp_path / "old.pcap", tmp_path / "keys.log"
    path.write_bytes(pcap_of(good.to_pcapng()))
    keylog.write_text("\n".join(keylog_lines(good.events)))
    result = run("explain", str(path), "--keylog", str(keylog))
    assert result.exit_code == 0, result.output
    assert "Complete in" in result.stdout


def sentence(run: Run, exit_code: int, *arguments: str) -> str:
    result = run("explain", *arguments)
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00\xff", b'{"format": "x"}', b"[" * 5000])
def test_what_is_neither(run: Run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert "not a trace" in sentence(run, 2, str(path))


def test_wrong_arguments(run: Run, good: Recorder, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    good.save(path)
    assert "no file" in sentence(run, 2, str(tmp_path / "none"))
    assert "for captures" in sentence(run, 2, str(path), "--keylog", str(path))
    assert "for captures" in sentence(run, 2, str(path), "--stream", "1")
    assert ".html" in sentence(run, 2, str(path), "--html", "page.txt")
    assert "Cannot write" in run("explain", str(path), "--html", "/nowhere/x.html").stderr


@pytest.fixture
def directory(good: Recorder, bad: Recorder, tmp_path: Path) -> Path:
    """As `python -m handclasp.compat --trace` and `serve --trace` make it; the failure is old."""
    directory = tmp_path / "my traces"
    directory.mkdir()
    (directory / "notes.txt").write_text("")
    (directory / "gone.json").symlink_to("nowhere")
    for number in range(8):
        path = directory / f"7-{9 - number}-client.json"
        (good if number else bad).save(path)
        os.utime(path, (number, number))
    return directory


def test_a_directory_of_traces(run: Run, directory: Path) -> None:
    """The failed ones come first, and then the newest."""
    result = run("explain", str(directory))
    assert (result.exit_code, result.stderr) == (0, "")
    told = result.stdout
    files = [line.strip() for line in told.splitlines() if line.endswith("-client.json")]
    assert files == [f"7-{number}-client.json" for number in (9, 2, 3, 4, 5, 6, 7, 8)]
    assert "my traces: 8 connections (1 failed)." in " ".join(told.split())
    assert told.count("\ncompleted ") == 7
    assert "client of localhost at 127.0.0.1:" in told
    assert "\n            PEER_HANDSHAKE_FAILURE: The server found no common ground" in told
    assert "notes" not in told
    assert "gone" not in told
    command = shlex.split(told.partition("To see one: handclasp explain ")[2])
    assert run("explain", *command).exit_code == 0


def test_a_directory_with_one_trace_tells_it(run: Run, good: Recorder, tmp_path: Path) -> None:
    good.save(tmp_path / "one.json")
    assert run("explain", str(tmp_path)).stdout == run("explain", f"{tmp_path}/one.json").stdout
    listed = run("explain", str(tmp_path), "--list").stdout
    assert "1 connection (0 failed)." in " ".join(listed.split())


def test_a_directory_as_json(run: Run, directory: Path) -> None:
    rows = json.loads(run("explain", str(directory), "--json").stdout)
    assert [row["outcome"] for row in rows] == ["failed", *["completed"] * 7]
    assert rows[0]["fault"] == "PEER_HANDSHAKE_FAILURE"
    assert (rows[1]["role"], rows[1]["version"], rows[1]["fault"]) == ("client", "TLSv1.3", None)
    assert rows[1]["server_name"] == "localhost"


def test_a_directory_without_a_trace(run: Run, tmp_path: Path) -> None:
    assert "There is nothing in the directory" in sentence(run, 2, str(tmp_path))
    (tmp_path / "notes.txt").write_text("")
    assert "There is no trace (.json) and no capture" in sentence(run, 2, str(tmp_path))
    for name in "package.json", "other.json":
        (tmp_path / name).write_text("{}")
    assert "has no trace that could be read: " in sentence(run, 2, str(tmp_path))


def test_files_in_a_directory_that_cannot_be_read_are_named(run: Run, directory: Path) -> None:
    (directory / "package.json").write_text("{}")
    (directory / "cut.json").write_bytes((directory / "7-5-client.json").read_bytes()[:-50])
    result = run("explain", str(directory))
    assert result.exit_code == 0
    assert "8 connections (1 failed)." in " ".join(result.stdout.split())
    assert result.stderr.startswith("Not read: ")
    assert "package.json (not a trace)" in result.stderr
    assert "cut.json (not a trace)" in result.stderr


def test_a_file_that_may_not_be_read_is_no_failure(
    run: Run, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> bytes:
        if path.endswith("7-5-client.json"):
            raise PermissionError(13, "Permission denied")
        return input_files.read_input(path)

    monkeypatch.setattr(inputs, "read_input", refuse)
    result = run("explain", str(directory))
    assert "7 connections (1 failed)." in " ".join(result.stdout.split())
    assert result.stderr == "Not read: 7-5-client.json (Permission denied).\n"


def test_of_many_traces_the_newest_are_listed(run: Run, good: Recorder, tmp_path: Path) -> None:
    good.save(tmp_path / "0.json")
    content = (tmp_path / "0.json").read_bytes()
    for number in range(1, 30):
        (tmp_path / f"{number}.json").write_bytes(content)
    told = run("explain", str(tmp_path)).stdout
    assert told.count("\ncompleted ") == 20
    assert "\n10 more are not shown: --list shows all.\n" in told
    assert run("explain", str(tmp_path), "--list").stdout.count("\ncompleted ") == 30


def test_captures_in_a_directory_are_named(run: Run, directory: Path) -> None:
    (directory / "all.pcapng").write_bytes(b"")
    assert "\nCaptures: all.pcapng.\n" in run("explain", str(directory)).stdout


def test_other_options_with_a_directory(run: Run, directory: Path) -> None:
    assert "for captures" in sentence(run, 2, str(directory), "--stream", "1")
    assert "for one connection" in sentence(run, 2, str(directory), "--html", "page.html")
    newest = shlex.quote(str(directory / "7-2-client.json"))
    for words in (("diff", str(directory), "x"), ("redact", str(directory), "out.json")):
        result = run(*words)
        assert result.exit_code == 2
        assert result.stderr.endswith(f"Name one of them: {newest}\n")


def test_a_key_log_that_is_none(run: Run, good: Recorder, tmp_path: Path) -> None:
    need_tool("tshark")
    path, keylog = tmp_path / "bare.pcapng", tmp_path / "keys.log"
    path.write_bytes(without_secrets(good).to_pcapng())
    keylog.write_text("nothing of the kind\n")
    assert "no line of a key log" in sentence(run, 2, str(path), "--keylog", str(keylog))


@pytest.mark.parametrize("cut", [5, 20, 60, 300])
def test_captures_that_are_cut_off(run: Run, capture: Path, cut: int) -> None:
    capture.write_bytes(capture.read_bytes()[:cut])
    assert "cut off" in sentence(run, 2, str(capture))


def test_a_capture_that_is_cut_off_is_told_so_far(run: Run, capture: Path) -> None:
    capture.write_bytes(capture.read_bytes()[:3500])
    result = run("explain", str(capture))
    assert result.exit_code == 0
    assert "Hello, I am looking for localhost" in result.stdout
    assert "The file is cut off in the middle of its last packet" in result.stdout
    assert "It failed" not in result.stdout
    assert "The file is cut off" in run("explain", str(capture), "--list").stdout


def test_captures_with_garbage_inside(run: Run, capture: Path) -> None:
    whole = bytearray(capture.read_bytes())
    for at in range(400, len(whole), 97):
        whole[at] ^= 0xFF
    capture.write_bytes(whole)
    assert run("explain", str(capture)).exit_code in (0, 2)


def test_a_capture_without_tls(run: Run, tmp_path: Path) -> None:
    need_tool("tshark")
    trace = Recorder(record_wire=True)
    trace.wire("sent", b"GET / HTTP/1.1\r\n\r\n")
    path = tmp_path / "http.pcapng"
    path.write_bytes(trace.to_pcapng())
    assert "plain HTTP" in sentence(run, 2, str(path))
    path.write_bytes(capture_header())
    assert "no TCP connection" in sentence(run, 2, str(path))


def test_several_connections_without_tls(run: Run, good: Recorder, tmp_path: Path) -> None:
    need_tool("tshark")
    path, blocks = tmp_path / "http.pcapng", capture_header()
    for port in range(20001, 20161):
        trace = Recorder(record_wire=True)
        first = next(each for each in good.events if isinstance(each, TransportSeen))
        trace.events = [replace(first, local_port=port)]
        trace.wire("sent", b"GET / HTTP/1.1\r\n\r\n")
        blocks += connection_blocks(trace.events, trace.began_at_ns)
    path.write_bytes(blocks)
    told = sentence(run, 2, str(path))
    assert "None of its 160 TCP connections begins with a ClientHello." in told
    assert "cannot be read" not in told


def test_a_capture_is_read_twice_however_many_connections(
    run: Run, good: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_tool("tshark")
    path = tmp_path / "several.pcapng"
    blocks = b"".join(of_port(good, port) for port in range(20001, 20111))
    path.write_bytes(capture_header() + blocks)
    really, runs = subprocess.run, list[list[str]]()

    def noted(command: list[str], **options: Any) -> Any:
        runs.append(command)
        return really(command, **options)

    monkeypatch.setattr(subprocess, "run", noted)
    assert run("explain", str(path), "--list").exit_code == 0
    assert sum("-r" in command for command in runs) == 2


def test_without_tshark(run: Run, capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "apt install tshark" in sentence(run, 2, str(capture))


def test_all_that_was_not_seen_stands_under_one_heading(run: Run) -> None:
    need_tool("tshark")
    told = run("explain", str(CAPTURES / "ends-after-server-hello.pcap")).stdout
    assert told.count("Not seen\n") == 1
    first, second = told.partition("Not seen\n")[2].strip("\n").split("\n\n")
    assert first.startswith("   The rest is encrypted")
    assert second == "   What the server says ends within a record."


def test_a_clock_that_cannot_be_right_is_told_with_the_dates_that_show_it(run: Run) -> None:
    need_tool("tshark")
    path = CAPTURES / "gap-after-handshake.pcap"
    outcome = run("explain", str(path), "--keylog", str(path.with_suffix(".keys")))
    assert (
        "the capture was taken on 2023-11-14; yet it has the certificate of CN=localhost, which is "
        "valid from 2026-11-30 on."
    ) in " ".join(outcome.stdout.split())


def with_a_gap(capture: bytes) -> bytes:
    """A packet is taken out, as where a capture could not keep up."""
    kept, at, packets = b"", 0, 0
    while at < len(capture):
        kind, length = struct.unpack("<II", capture[at : at + 8])
        packets += kind == 6
        if not (kind == 6 and packets == 6):  # The first of the server's answer.
            kept += capture[at : at + length]
        at += length
    return kept


def test_a_capture_with_a_gap(run: Run, good: Recorder, tmp_path: Path) -> None:
    need_tool("tshark")
    path = tmp_path / "gap.pcapng"
    path.write_bytes(with_a_gap(good.to_pcapng()))
    result = run("explain", str(path))
    assert result.exit_code == 0
    assert "Hello, I am looking for localhost" in result.stdout
    assert "1,460 bytes missing" in result.stdout
    assert "1,460 bytes that the server said are not in the capture" in result.stdout
    assert "It failed" not in result.stdout


def of_port(trace: Recorder, port: int) -> bytes:
    """The blocks of a connection, from another port of the client."""
    events = [
        replace(event, local_port=port) if isinstance(event, TransportSeen) else event
        for event in trace.events
    ]
    return connection_blocks(events, trace.began_at_ns)


def test_a_stream_that_is_bad_does_not_end_the_search(
    run: Run, good: Recorder, bad: Recorder, tmp_path: Path
) -> None:
    need_tool("tshark")
    path = tmp_path / "several.pcapng"
    blocks = [with_a_gap(of_port(good, port)) for port in range(20001, 20053)]
    path.write_bytes(capture_header() + b"".join(blocks))
    told = run("explain", str(path))
    assert "this is --stream 0; --list" in told.stderr
    assert "bytes missing" in told.stdout
    path.write_bytes(path.read_bytes() + of_port(bad, 20053))
    result = run("explain", str(path))
    assert result.exit_code == 0
    assert "It failed, seen from the client" in result.stdout
    assert "this is --stream 52, which failed" in result.stderr
    listed = json.loads(run("explain", str(path), "--list", "--json").stdout)
    assert [row["missing_bytes"] > 0 for row in listed] == [True] * 52 + [False]
    assert [row["outcome"] for row in listed] == ["unknown"] * 52 + ["failed"]


@pytest.mark.parametrize("words", [b"[5 bytes missing in capture file]", b"[9 bytes missing in c"])
def test_no_words_of_a_peer_end_the_explanation(
    run: Run, good: Recorder, tmp_path: Path, words: bytes
) -> None:
    """What tshark would write into a conversation, said by the peer before TLS begins."""
    need_tool("tshark")
    trace = Recorder(record_wire=True)
    trace.began_at_ns = good.began_at_ns
    first = next(at for at, event in enumerate(good.events) if isinstance(event, WireSeen))
    for direction in ("received", "sent"):
        said = WireSeen(good.events[first].at_ns, direction, words)
        trace.events = [*good.events[:first], said, *good.events[first:]]
        path = tmp_path / "words.pcapng"
        path.write_bytes(trace.to_pcapng())
        result = run("explain", str(path))
        assert result.exit_code == 0, result.stderr
        assert "Complete in" in result.stdout


def test_tshark_dissects_nothing_but_the_way_to_tcp(
    run: Run, capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, disabled = subprocess.run, list[set[str]]()

    def noted(command: list[str], **options: Any) -> Any:
        place = Path(options["env"]["WIRESHARK_CONFIG_DIR"])
        if "-r" in command:
            disabled.append(set((place / "disabled_protos").read_text().split()))
        return really(command, **options)

    monkeypatch.setattr(subprocess, "run", noted)
    assert run("explain", str(capture)).exit_code == 0
    assert disabled
    for names in disabled:
        assert len(names) > 1000
        assert names >= {"tls", "http", "http2", "dns", "smb", "data"}
        assert not {"frame", "eth", "ip", "ipv6", "tcp"} & names
    monkeypatch.undo()
    # And tshark goes by them.
    settings = capture.parent / "settings"
    settings.mkdir()
    (settings / "disabled_protos").write_text("\n".join(disabled[0]) + "\n")
    command = ["tshark", "-r", str(capture), "-T", "fields", "-e", "frame.protocols"]
    environment = {**os.environ, "WIRESHARK_CONFIG_DIR": str(settings)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"eth:ethertype:ip:tcp", "eth:ethertype:ip:tcp:data"}


def test_nothing_of_others_reaches_the_terminal(run: Run, tmp_path: Path) -> None:
    """A protocol's name with an escape sequence in it, in a hello that a server refuses."""
    need_tool("tshark")
    evil = "http\x1b[2Jx\x07"
    trace = Recorder(record_wire=True)
    client = handclasp.ClientConnection(
        ClientConfig(alpn=[evil]), server_name="localhost", trace=trace
    )
    client.data_to_send()
    trace.wire("received", b"\x15\x03\x03\x00\x02\x02\x78")
    path = tmp_path / "evil.pcapng"
    path.write_bytes(trace.to_pcapng())
    for options in ((), ("-v",), ("-vv",), ("--list",)):
        result = run("explain", str(path), *options)
        assert result.exit_code == 0
        assert "\x1b" not in result.output
        assert "\x07" not in result.output
    assert "http\\x1b[2Jx\\x07" in run("explain", str(path)).output
