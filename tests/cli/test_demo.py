"""`handclasp demo`: the story is told, it is true, and the page tells it too."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.cli.conftest import Run, handclasp_process, started

import handclasp
from handclasp import ClientConfig, Recorder
from handclasp.certificates.authority import LocalAuthority

TITLES = (
    "1. Hello",
    "2. Certificate, public key and identity",
    "3. The decision to trust",
    "4. One secret, agreed upon in public",
    "5. Both sides hold it",
    "6. Over to symmetric cryptography, for its speed",
    "7. Used once, then forgotten",
)
FINGERPRINT = r"\b(?:[0-9a-f]{2}:){7}[0-9a-f]{2}\b"


def get(
    port: int,
    path: str,
    config: ClientConfig,
    fields: Mapping[str, str] | None = None,
    host: str = "localhost",
) -> tuple[str, str]:
    """Head and body of what is at `path`."""
    sent = {"Host": f"{host}:{port}", "Connection": "close", **(fields or {})}
    said = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    with handclasp.connect("localhost", port, config, timeout=20) as tls:
        tls.sendall(f"GET {path} HTTP/1.1\r\n{said}\r\n".encode())
        answer = b"".join(iter(lambda: tls.recv(65536), b""))
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head, body


def values_of(story: str, label: str) -> list[str]:
    return re.findall(rf"^   {re.escape(label)} +(.+)$", story, re.MULTILINE)


def test_once_tells_the_seven_steps_with_real_values() -> None:
    done = handclasp_process("demo", "--once", "--port", "0")
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    story = done.stdout.decode("ascii")  # plain in a pipe
    assert story.startswith("Listening on https://localhost:")
    positions = [story.index(title) for title in TITLES]
    assert positions == sorted(positions)
    assert "X25519MLKEM768 (1,216 bytes) and X25519 (32 bytes)" in story
    assert values_of(story, "client to server") == ["1,216 bytes in public"]
    assert values_of(story, "server to client") == ["1,120 bytes in public"]
    assert values_of(story, "verdict") == ["trusted"]
    assert "CERTIFICATE_NAME_MISMATCH" in story
    assert "HTTP/1.1 200" in story
    assert max(map(len, story.splitlines())) <= 80


def test_fingerprints_agree_between_sides_and_differ_between_runs() -> None:
    stories = [handclasp_process("demo", "--once", "--port", "0").stdout.decode() for _ in "ab"]
    seen: set[str] = set()
    for story in stories:
        (client,), (server,) = values_of(story, "client's"), values_of(story, "server's")
        (first,), (second,) = values_of(story, "first time"), values_of(story, "second time")
        assert re.fullmatch(FINGERPRINT, client)
        assert client == server == first != second
        seen |= {first, second}
    assert len(seen) == 4


def test_once_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDCLASP_HOME")
    for name in ("HOME", "XDG_DATA_HOME", "TMPDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    assert handclasp_process("demo", "--once", "--port", "0").returncode == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_once_in_process(run: Run) -> None:
    before = signal.getsignal(signal.SIGTERM)
    result = run("demo", "--once", "--port", "0")
    assert result.exit_code == 0, result.output
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_demos_own_handshake_has_the_clients_decision(authority: LocalAuthority) -> None:
    with started("demo", "--no-browser", "--port", "0") as process:
        _, page = get(process.port, "/demo", ClientConfig(trust=authority.trust))
    assert "as the client saw it" in page
    assert "<b>Trusted:</b> every rule held." in page
    assert "This connection beside the last one" in page


@pytest.mark.parametrize("name", ["demo.html", "demo.json"])
def test_the_demos_own_handshake_can_be_stored(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert run("demo", "--once", "--port", "0", "--trace", str(path)).exit_code == 0
    text = path.read_text("utf-8")
    if name.endswith(".json"):
        assert Recorder.load(path).record_secrets
    else:
        assert "<b>Trusted:</b> every rule held." in text
        assert "This connection beside the last one" in text


@pytest.mark.parametrize(
    "arguments",
    [("--trace", "x.txt"), ("--trace", "x.pcapng"), ("--classic", "--trace", "x.json")],
)
def test_traces_that_the_demo_does_not_store(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("demo", "--once", *arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_the_demo_tells_how_to_trust_it(authority: LocalAuthority, ca: str) -> None:
    with started("demo", "--no-browser", "--port", "0") as process:
        process.line(f"handclasp connect localhost:{process.port} ")
        process.line(f"curl --cacert {re.escape(ca)}")
        process.line(f"https://localhost:{process.port}/")
        process.line("cert ca --install")
        assert process.end(signal.SIGTERM) == 0


def test_an_occupied_port_is_one_sentence(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("demo", "--once", "--port", str(taken.getsockname()[1]))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1


def test_a_story_that_does_not_hold_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the fingerprints of the two handshakes the same, the demo would say so."""
    monkeypatch.setattr("handclasp.cli.story.fingerprint_of", lambda secret: "00:" * 7 + "00")
    result = run("demo", "--once", "--port", "0")
    assert result.exit_code == 1
    assert "THE SAME" in result.stdout
