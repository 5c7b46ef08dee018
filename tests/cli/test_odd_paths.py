"""Paths that cannot be used, given to the options and arguments that name files and directories."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.cli.conftest import Run

COMMANDS: dict[str, tuple[str, ...]] = {
    "cert issue --out": ("cert", "issue", "localhost", "--out"),
    "cert show": ("cert", "show"),
    "cert check": ("cert", "check", "--name", "localhost"),
    "cert check --ca": ("cert", "check", "{file}", "--name", "localhost", "--ca"),
    "cert check --ocsp": ("cert", "check", "{file}", "--name", "localhost", "--ocsp"),
    "cert check --crl": ("cert", "check", "{file}", "--name", "localhost", "--crl"),
    "connect --ca": ("connect", "localhost:1", "--ca"),
    "connect --crl": ("connect", "localhost:1", "--crl"),
    "connect --keylog": ("connect", "localhost:1", "--keylog"),
    "connect --raw-public-key": ("connect", "localhost:1", "--raw-public-key"),
    "connect --session": ("connect", "localhost:1", "--session"),
    "explain": ("explain",),
    "explain --keylog": ("explain", "{file}", "--keylog"),
    "diff": ("diff", "{file}"),
    "redact": ("redact",),
    "redact to": ("redact", "{file}"),
}


@pytest.mark.parametrize("odd", ["too long", "NUL", "a loop", "beneath a file", "nowhere"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_odd_path(run: Run, tmp_path: Path, command: str, odd: str) -> None:
    file, loop = tmp_path / "file", tmp_path / "loop"
    file.write_text("no certificate, no trace")
    loop.symlink_to(loop)
    path = {
        "too long": "x" * 5000,
        "NUL": "a\0b",
        "a loop": str(loop / "x"),
        "beneath a file": str(file / "x"),
        "nowhere": str(tmp_path / "nowhere" / "x" / "y"),
    }[odd]
    arguments = [each.format(file=file) for each in COMMANDS[command]]
    more = ["out"] if command == "redact" else []
    result = run(*arguments, path, *more)
    creates = command == "cert issue --out" and odd == "nowhere"
    assert result.exit_code in ((0,) if creates else (1, 2)), result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS.values(),
        ("connect", "localhost:1", "--cert", "{file}", "--key"),
        ("serve", "--cert", "{file}", "--key"),
        ("serve", "--keylog"),
        ("serve", "--trace"),
        ("serve", "--client-ca"),
        ("serve",),
        ("explain", "{file}", "--html"),
    ],
    ids=" ".join,
)
def test_a_key_in_place_of_its_path_is_not_repeated(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """As of `--key "$(cat key.pem)"`, in a terminal or a log that others may see."""
    file = tmp_path / "file"
    file.write_text("no certificate, no trace")
    for text in (
        "-----BEGIN EC PRIVATE KEY-----\nTOPSECRET\n",
        "CLIENT_RANDOM TOPSECRET\n" * 2,
        "TOPSECRETkey0+/x" * 3,
        "facade" * 8,
    ):
        result = run(*[each.format(file=file) for each in command], text)
        assert result.exit_code in (1, 2), result.exception
        assert "TOPSECRET" not in result.output
        assert "facade" not in result.output


def test_a_directory_that_may_not_be_looked_into(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    result = run("cert", "issue", "localhost", "--out", str(closed))
    assert result.exit_code == 2
    assert "Permission denied" in result.stderr


REFUSED: dict[str, tuple[str, ...]] = {
    "serve": ("serve", "--require-client-cert"),
    "serve with a wrong balancer": ("serve", "--proxy-protocol-from", "x"),
    "serve with wrong metrics": ("serve", "--port", "0", "--metrics", "x"),
    "serve with an authority that is not there": ("serve", "--client-ca", "nowhere.pem"),
    "serve at a port that is taken": ("serve", "--port", "{taken}"),
    "serve with an unknown fault": ("serve", "--port", "0", "--fault", "x"),
    "serve with a fault at a port that is taken": (
        "serve",
        "--port",
        "{taken}",
        "--fault",
        "reset",
    ),
    "connect": ("connect", "localhost:1", "--send", "\\q"),
    "connect by a wrong proxy": ("connect", "localhost:1", "--proxy", "http://x:y"),
    "connect with early data of no file": ("connect", "localhost:1", "--early-data", "nowhere"),
    "watch": ("watch", "localhost:1", "--ca", "nowhere.pem"),
    "watch at a port that is taken": ("watch", "localhost:1", "--listen", "{taken}"),
    "watch a command with a wrong proxy": (
        "watch",
        "--proxy",
        "http://x:y",
        "{options}",
        "--",
        "true",
    ),
    "scan": ("scan", "localhost:1", "--require", "x"),
    "scan with an authority that is not there": ("scan", "localhost:1", "--ca", "nowhere.pem"),
    "explain": ("explain", "nowhere.json"),
    "ech generate": ("ech", "generate", "--public-name", "a..b", "--force"),
    "cert issue": ("cert", "issue", "localhost", "--key-type", "x", "--force"),
}
WRITTEN: dict[str, tuple[str, ...]] = {
    "serve": ("--keylog", "--trace"),
    "connect": ("--keylog", "--trace", "--session"),
    "watch": ("--pcapng", "--page"),
    "scan": ("--page", "--out"),
    "explain": ("--html",),
    "ech": ("--out",),
    "cert": ("--out",),
}


@pytest.mark.parametrize("command", REFUSED)
def test_a_command_that_is_refused_writes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Each option that names a place to write, once with a file and once with nothing there."""
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = [each.replace("{taken}", str(port)) for each in REFUSED[command]]
        options = ("--fault-files",) if "--fault" in words else WRITTEN[words[0]]
        for option in options:
            for path in _places(option, tmp_path):
                before = _state(tmp_path)
                given = [option, path]
                at = words.index("{options}") if "{options}" in words else len(words)
                result = run(*words[:at], *given, *words[at + 1 :])
                assert result.exit_code == 2, (option, path, result.output)
                assert _state(tmp_path) == before, (option, path)


def _places(option: str, directory: Path) -> list[str]:
    """The names of a file that is there, and of one that is not."""
    endings = {"--html": ".html", "--page": ".html", "--pcapng": ".pcapng", "--trace": ".pcapng"}
    old = directory / f"old{option}{endings.get(option, '')}"
    old.write_text("It was here before.")
    old.chmod(0o644)
    places = [str(old), str(directory / f"new{option}{endings.get(option, '')}")]
    return [*places, str(directory / "new")] if option == "--trace" else places


def _state(directory: Path) -> dict[str, tuple[int, bytes]]:
    """The modes and contents below a directory."""
    return {
        str(each): (each.lstat().st_mode, each.read_bytes() if each.is_file() else b"")
        for each in directory.rglob("*")
    }


@pytest.mark.parametrize("name", ["chain.pem", "key.pem"])
def test_a_directory_in_place_of_a_certificate(run: Run, tmp_path: Path, name: str) -> None:
    assert run("cert", "issue", "localhost", "--out", str(tmp_path)).exit_code == 0
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    before = _state(tmp_path)
    result = run("cert", "issue", "localhost", "--out", str(tmp_path), "--force")
    assert (result.exit_code, "it is a directory" in result.stderr) == (2, True)
    assert _state(tmp_path) == before
