"""No control character of a stranger's reaches the terminal, whatever is printed of it.

click takes some escape sequences out where the output is no terminal, so those here are others.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import COMMAND, SOURCE, Run, at_a_terminal
from tests.pki import Pki
from tests.serving.world import Heard, files_of, running

from handclasp import (
    ClientConnection,
    Recorder,
    ServerConfig,
    ServerConnection,
)
from handclasp.certificates.authority import LocalAuthority
from handclasp.errors import TLSError
from handclasp.serving.visits import Request, Visit
from handclasp.trace.format import _WORDS

EVIL = "\x1b]0;title\x07\r\x9b31m\u202e"


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    pki, recorder = Pki(), Recorder()
    client = ClientConnection(server_name="localhost", trace=recorder)
    server = ServerConnection(ServerConfig(credentials=pki.server()))
    server.receive_data(client.data_to_send())
    with pytest.raises(TLSError):
        client.receive_data(server.data_to_send())
    path = tmp_path / "honest.json"
    recorder.save(path)
    return path


KEPT = ("event", "kind", "format", "type", "version", *_WORDS)
"""Fields that have one of a few words, or the trace is refused as a whole."""


@pytest.fixture
def evil(honest: Path, tmp_path: Path) -> Path:
    """The same trace, with control characters wherever there may be words."""

    def spoiled(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: spoiled(each, str(key)) for key, each in value.items()}
        if isinstance(value, list):
            return [spoiled(each, name) for each in value]
        is_text = isinstance(value, str) and not re.fullmatch("[0-9a-f]*", value)
        return value + EVIL if is_text and name not in KEPT else value

    trace = json.loads(honest.read_text())
    trace["events"] = [spoiled(event) for event in trace["events"]]
    path = tmp_path / "evil.json"
    path.write_text(json.dumps(trace))
    assert Recorder.load(path).events != Recorder.load(honest).events
    return path


def check(output: str) -> None:
    assert all(each.isprintable() for each in output.replace("\n", ""))


@pytest.mark.parametrize("options", [(), ("-v",), ("-vv",)])
def test_explain(run: Run, evil: Path, options: tuple[str, ...]) -> None:
    result = run("explain", str(evil), *options)
    assert result.exit_code == 0
    check(result.output)


def test_diff(run: Run, honest: Path, evil: Path) -> None:
    for pair in ((honest, evil), (evil, honest)):
        result = run("diff", *map(str, pair))
        assert "title" in result.stdout
        check(result.output)


def test_a_visit_to_the_demo() -> None:
    from handclasp.cli.demo import _visit_line  # pyright: ignore[reportPrivateUsage]

    check(_visit_line(Visit("127.0.0.1", 1, error=OSError(EVIL))))


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
@pytest.mark.parametrize("act", ["show", "check", "missing"])
def test_an_output_that_cannot_show_a_name(tmp_path: Path, act: str, encoding: str) -> None:
    authority = LocalAuthority.open_or_create(tmp_path / "ca")
    path, ca = tmp_path / "client.pem", tmp_path / "ca" / "ca.pem"
    path.write_bytes(authority.issue(["Zo\u00eb \u2603"], purpose="client").chain_pem)
    arguments = {
        "show": ["show", str(path)],
        "check": ["check", str(path), "--client", "--ca", str(ca)],
        "missing": ["show", str(tmp_path / "\u2603.pem")],  # On standard error.
    }[act]
    env = {**os.environ, "PYTHONPATH": SOURCE, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*COMMAND, "cert", *arguments], capture_output=True, env=env, timeout=60, check=False
    )
    # click takes ASCII for a mistake, and writes UTF-8.
    said = (done.stdout + done.stderr).decode("utf-8" if encoding == "ascii" else encoding)
    assert done.returncode == (2 if act == "missing" else 0)
    assert "Traceback" not in said
    assert ("\\u2603" if encoding == "latin-1" else "\u2603") in said


@pytest.mark.parametrize("error", [UnicodeEncodeError("ascii", "\u2603", 0, 1, "no"), OSError()])
def test_a_report_that_fails_does_not_end_the_conversation(
    error: Exception, tmp_path: Path
) -> None:
    class Mute(Heard):
        def connected(self, visit: Visit) -> None:
            raise error

        def answered(self, request: Request) -> None:
            raise error

    (tmp_path / "hello.txt").write_bytes(b"hello")
    with running(files_of(tmp_path), heard=Mute()) as world:
        for _ in range(2):
            assert world.ask("/hello.txt").body == b"hello"


def test_the_demo_fits(run: Run) -> None:
    result = run("demo", "--once", "--port", "0", env={"COLUMNS": "60"})
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 60


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
def test_an_error_is_wrapped_on_a_terminal_alone(run: Run, tmp_path: Path) -> None:
    arguments = ("cert", "issue", "example.com", "--out", str(tmp_path))
    lines = at_a_terminal(60, *arguments)
    assert len(lines) > 3
    assert max(map(len, lines)) <= 60
    piped = run(*arguments).stderr
    assert piped.count("\n") == 1
    assert " ".join(lines) == piped.strip()
