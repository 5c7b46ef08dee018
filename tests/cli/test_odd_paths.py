"""Paths that cannot be used, given to the options and arguments that name files and directories."""

from __future__ import annotations

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
