"""No control character of a stranger's reaches the terminal, whatever is printed of it.

click takes some escape sequences out where the output is no terminal, so those here are others.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run
from tests.pki import Pki

from handclasp import ClientConnection, Recorder, ServerConfig, ServerConnection
from handclasp.cli.server import Visit
from handclasp.errors import TLSError

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


@pytest.fixture
def evil(honest: Path, tmp_path: Path) -> Path:
    """The same trace, with control characters wherever there may be words."""

    def spoiled(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: spoiled(each, str(key)) for key, each in value.items()}
        if isinstance(value, list):
            return [spoiled(each, name) for each in value]
        is_text = isinstance(value, str) and not re.fullmatch("[0-9a-f]*", value)
        kept = name in ("event", "kind", "format", "direction", "epoch", "role", "type", "version")
        return value + EVIL if is_text and not kept else value

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
