"""`handclasp demo --classic`: both handshakes are real, and so is what the thief reads."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run, handclasp_process

from handclasp import Credentials, ServerConfig
from handclasp.certificates.authority import LocalAuthority
from handclasp.cli import classic
from handclasp.cli.classic import NEW, OLD, SECRET_WORDS, Conversation


@pytest.fixture
def credentials(authority: LocalAuthority) -> Credentials:
    return authority.credentials(["localhost"], key_type="rsa-2048")


@pytest.fixture
def then(authority: LocalAuthority, credentials: Credentials) -> Conversation:
    return classic.converse(authority, credentials, OLD)


@pytest.fixture
def now(authority: LocalAuthority, credentials: Credentials) -> Conversation:
    return classic.converse(authority, credentials, NEW)


def test_it_tells_both_and_compares_them() -> None:
    done = handclasp_process("demo", "--classic")
    assert (done.returncode, done.stderr) == (0, b"")
    story = done.stdout.decode("ascii")  # plain in a pipe
    assert max(map(len, story.splitlines())) <= 80
    titles = ("1. Then", "2. Now", "3. What changed", "4. Why")
    positions = [story.index(title) for title in titles]
    assert positions == sorted(positions)
    first, second = story[: positions[1]], story[positions[1] : positions[2]]
    assert "ClientKeyExchange" in first
    assert "ChangeCipherSpec" in first
    assert "TLSv1.2, TLS_RSA_WITH_AES_128_GCM_SHA256" in first
    assert "CertificateVerify" in second
    assert "X25519MLKEM768 (1,120 bytes)" in second
    comparison = " ".join(story[positions[2] :].split())
    assert "Then Now" in comparison
    assert f'"{SECRET_WORDS.decode()}"' in comparison
    assert "BAD_RECORD_MAC" in comparison
    assert "forward secrecy" in comparison


@pytest.mark.parametrize("more", ["--once", "--no-browser"])
def test_it_ends_by_itself(run: Run, more: str) -> None:
    result = run("demo", "--classic", more)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Listening" not in result.stdout


def test_a_port_would_be_ignored(run: Run) -> None:
    result = run("demo", "--classic", "--port", "0")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "handclasp: --classic needs no port: leave out --port.\n"


def test_it_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDCLASP_HOME")
    for name in ("HOME", "XDG_DATA_HOME", "TMPDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    assert handclasp_process("demo", "--classic").returncode == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_each_is_what_it_is_said_to_be(then: Conversation, now: Conversation) -> None:
    assert (then.info.version, then.info.cipher_suite) == ("TLSv1.2", classic.SUITE)
    assert (then.info.group, then.info.signature_scheme) == (None, None)
    assert (now.info.version, now.info.signature_scheme) == ("TLSv1.3", "rsa_pss_rsae_sha256")
    assert then.arrived == now.arrived == SECRET_WORDS
    assert then.facts.encrypted_secret_size == 256
    assert (then.facts.round_trips, now.facts.round_trips) == (2, 1)
    assert classic.holds(then, now)


def test_the_thief_reads_the_one_and_not_the_other(then: Conversation, now: Conversation) -> None:
    assert (then.stolen, then.obstacle) == (SECRET_WORDS, "")
    assert (now.stolen, now.obstacle) == (b"", "BAD_RECORD_MAC")


def test_the_thief_needs_the_very_key(authority: LocalAuthority, then: Conversation) -> None:
    """It is not the recording alone that gives the words away."""
    other = authority.credentials(["localhost"], key_type="rsa-2048")
    config = ServerConfig(credentials=other, **OLD)
    stolen, obstacle = classic.read_with_stolen_key(then.recording, config)
    assert (stolen, obstacle) == (b"", "BAD_RECORD_MAC")


def test_what_is_in_the_clear(then: Conversation, now: Conversation) -> None:
    certificate = then.info.peer_chain_der[0]
    assert then.recording.shows(certificate)
    assert not now.recording.shows(now.info.peer_chain_der[0])
    for each in (then, now):
        assert each.recording.shows(b"localhost")
        assert not each.recording.shows(SECRET_WORDS)


def test_the_comparison_is_of_what_was_seen(then: Conversation, now: Conversation) -> None:
    told = {label: (old, new) for label, old, new in classic.rows(then, now)}
    assert told["version"] == ("TLSv1.2", "TLSv1.3")
    assert told["who makes the secret"] == (
        "the client alone",
        "both together, with X25519MLKEM768",
    )
    assert told["how it gets across"][0].startswith("in 256 bytes")
    assert "1,216 and 1,120 bytes" in told["how it gets across"][1]
    size = f"{len(then.info.peer_chain_der[0]):,} bytes"
    assert told["the certificate"] == (f"{size}, in the clear", f"{size}, encrypted")
    assert told["the name asked for"] == ("localhost, in the clear", "localhost, in the clear")
    assert told["round trips before data"] == ("2", "1")
    assert told["what the server signs"][0].startswith("nothing")
    assert told["what the server signs"][1].endswith("rsa_pss_rsae_sha256")


def test_long_cells_go_on_under_themselves() -> None:
    text = classic.comparison([("a label of many words", "short", "word " * 20)])
    lines = text.splitlines()
    assert lines[0].split() == ["Then", "Now"]
    assert all(len(line) <= 80 for line in lines)
    column = lines[0].index("Now")
    assert all(line[column:].startswith("word") for line in lines[2:])
    assert re.search(r"^  a label of +short +word", text, re.MULTILINE)


def changed(conversation: Conversation, **changes: Any) -> Conversation:
    return replace(conversation, **changes)


def test_what_would_not_hold(then: Conversation, now: Conversation) -> None:
    assert not classic.holds(changed(then, stolen=b""), now)
    assert not classic.holds(then, changed(now, stolen=SECRET_WORDS))
    assert not classic.holds(then, changed(now, arrived=b""))
    assert not classic.holds(then, changed(now, recording=then.recording))
    assert not classic.holds(now, then)


def test_a_story_that_does_not_hold_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(recording: object, config: object) -> tuple[bytes, str]:
        return b"", "nothing came out"

    monkeypatch.setattr("handclasp.cli.classic.read_with_stolen_key", nothing)
    assert run("demo", "--classic").exit_code == 1


def test_a_handshake_that_fails_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handclasp.cli.classic.NAME", "other.test")
    monkeypatch.setattr(
        LocalAuthority,
        "credentials",
        lambda self, names, key_type="": self.issue(["x.test"], key_type=key_type).credentials(),
    )
    result = run("demo", "--classic")
    assert result.exit_code == 1
    assert result.stderr.startswith("handclasp: the demo's handshake failed: ")
    assert result.stdout == ""
