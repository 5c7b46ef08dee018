"""Somebody was there first: a file that all can read, or a link, where secrets are to go.

Everything that writes secrets is driven as its users do.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.pki import Pki

import handclasp
from handclasp import (
    ClientConfig,
    ClientConnection,
    ConfigurationError,
    Recorder,
    ServerConfig,
    ServerConnection,
)
from handclasp.cli.application import application

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and links are those of POSIX")

PRECIOUS = b"what the victim had before\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HANDCLASP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def recorded() -> Recorder:
    recorder, pki = Recorder(record_secrets=True, record_wire=True), Pki()
    client = ClientConnection(
        ClientConfig(trust=pki.trust), server_name="localhost", trace=recorder
    )
    server = ServerConnection(ServerConfig(credentials=pki.server()))
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    client.data_to_send()
    return recorder


def command(*arguments: str) -> None:
    result = CliRunner().invoke(application, list(arguments))
    assert result.exit_code == 0, result.output


def redacted(path: Path) -> None:
    recorded().save(path.with_name("trace.json"))
    command("redact", str(path.with_name("trace.json")), str(path))


def explained(path: Path) -> None:
    recorded().save(path.with_name("trace.json"))
    command("explain", str(path.with_name("trace.json")), "--html", str(path))


def traced_demo(path: Path) -> None:
    command("demo", "--once", "--port", "0", "--trace", str(path))


def issued(path: Path) -> None:
    command("cert", "issue", "localhost", "--force", "--out", str(path.parent))


WRITERS: dict[str, Callable[[Path], None]] = {
    "save.json": lambda path: recorded().save(path),
    "save.pcapng": lambda path: recorded().save_pcapng(path),
    "redact.json": redacted,
    "redact.html": redacted,
    "explain.html": explained,
    "demo.json": traced_demo,
    "demo.html": traced_demo,
    "key.pem": issued,
}
every_writer = pytest.mark.parametrize("name", WRITERS)


@every_writer
def test_an_old_mode_does_not_stay(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(PRECIOUS)
    path.chmod(0o666)
    WRITERS[name](path)
    assert path.read_bytes() != PRECIOUS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@every_writer
def test_a_link_leads_nowhere(tmp_path: Path, name: str) -> None:
    path, victim = tmp_path / name, tmp_path / "victim"
    victim.write_bytes(PRECIOUS)
    path.symlink_to(victim)
    WRITERS[name](path)
    assert victim.read_bytes() == PRECIOUS
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def logged(path: Path) -> None:
    pki = Pki()
    client = ClientConnection(ClientConfig(trust=pki.trust, keylog=path), server_name="localhost")
    server = ServerConnection(ServerConfig(credentials=pki.server()))
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())


def test_a_key_log_that_everybody_could_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    path.write_bytes(b"# as another program made it\n")
    path.chmod(0o644)
    logged(path)
    assert b"CLIENT_TRAFFIC_SECRET_0" in path.read_bytes()
    assert path.read_bytes().startswith(b"# as another")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("link", ["symbolic", "dangling", "hard"])
def test_nothing_is_written_through_a_link(tmp_path: Path, link: str) -> None:
    path, victim = tmp_path / "keys.log", tmp_path / "victim"
    if link != "dangling":
        victim.write_bytes(PRECIOUS)
        victim.chmod(0o644)
    if link == "hard":
        path.hardlink_to(victim)
    else:
        path.symlink_to(victim)
    with pytest.raises(ConfigurationError, match="link"):
        logged(path)
    assert (victim.read_bytes() == PRECIOUS) if link != "dangling" else not victim.exists()
    result = CliRunner().invoke(
        application, ["connect", "localhost:1", "--keylog", str(path), "--insecure"]
    )
    assert result.exit_code == 2
    assert "link" in result.output


def test_the_package_has_no_other_way_to_write_a_file() -> None:
    """Each place that opens a file for writing is known; new ones go through `private_files`."""
    known = {"private_files.py", "trusted_files.py", "capture/tshark.py"}
    known |= {"sessions/session_file.py", "cli/benchmarks/stacks.py", "cli/conversation.py"}
    source = Path(handclasp.__file__).parent
    marks = ("write_text(", "write_bytes(", "O_WRONLY", "O_CREAT", 'open("w', '"wb")', "mkstemp")
    found = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if any(mark in path.read_text("utf-8") for mark in marks)
    }
    assert found <= known
