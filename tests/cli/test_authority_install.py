"""Making browsers trust the local authority, with the real certutil and databases of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from tests.cli.conftest import SOURCE
from tests.required import need_terminal, need_tool

from handclasp.certificates.authority import LocalAuthority
from handclasp.cli.install import install
from handclasp.cli.nss import databases

Install = Callable[..., Result]
FIREFOX = ".mozilla/firefox/abcd.default"


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user; nothing may touch the real one."""
    place = tmp_path / "home of somebody"
    place.mkdir()
    monkeypatch.setattr(Path, "home", lambda: place)
    return place


@pytest.fixture
def authority(tmp_path: Path) -> LocalAuthority:
    return LocalAuthority.open_or_create(tmp_path / "the authority")


@pytest.fixture
def file(tmp_path: Path, authority: LocalAuthority) -> Path:
    path = tmp_path / "the authority" / "ca.pem"
    assert path.read_bytes() == authority.certificate_pem
    return path


@pytest.fixture
def common_name(authority: LocalAuthority) -> str:
    return authority.name


@pytest.fixture
def run_install(file: Path, common_name: str) -> Install:
    def invoke(*, remove: bool = False, as_json: bool = False) -> Result:
        command = click.Command(
            "install", callback=lambda: install(file, common_name, remove=remove, as_json=as_json)
        )
        return CliRunner().invoke(command, [])

    return invoke


def certutil(database: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [need_tool("certutil"), "-d", f"sql:{database}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def new_database(place: Path, password: str | None = None) -> Path:
    place.mkdir(parents=True)
    how = ["--empty-password"]
    if password is not None:
        (place / "password").write_text(password)
        how = ["-f", str(place / "password")]
    assert certutil(place, "-N", *how).returncode == 0
    return place


def trusted(database: Path) -> dict[str, str]:
    """The names and trust flags of what is in a database."""
    lines = certutil(database, "-L").stdout.splitlines()
    entries = [line.rsplit(maxsplit=1) for line in lines if "," in line and "JAR/XPI" not in line]
    return {name.strip(): flags for name, flags in entries}


def test_adds_it_to_every_database_and_takes_it_out_again(
    user: Path, run_install: Install, common_name: str
) -> None:
    places = [new_database(user / place) for place in (".pki/nssdb", FIREFOX)]
    for _ in range(2):
        result = run_install()
        assert result.exit_code == 0, result.output
        for place in places:
            assert str(place) in result.stdout
            assert trusted(place) == {common_name: "C,,"}
        assert "handclasp cert ca --uninstall" in result.stdout
    result = run_install(remove=True)
    assert result.exit_code == 0
    for place in places:
        assert str(place) in result.stdout
        assert trusted(place) == {}
    result = run_install(remove=True)
    assert result.exit_code == 0
    assert "Nothing was changed" in result.stdout


@pytest.mark.parametrize(
    "place",
    [
        ".pki/nssdb",
        ".local/share/pki/nssdb",
        "snap/chromium/current/.local/share/pki/nssdb",
        ".var/app/org.chromium.Chromium/data/pki/nssdb",
        "my data/pki/nssdb",
    ],
)
def test_wherever_chromium_has_its_database(
    user: Path, run_install: Install, common_name: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer path, and that of XDG_DATA_HOME, too."""
    monkeypatch.setenv("XDG_DATA_HOME", str(user / "my data"))
    assert run_install().exit_code == 0
    database = new_database(user / place)
    assert run_install().exit_code == 0
    assert trusted(database) == {common_name: "C,,"}


def test_takes_out_what_was_added_by_hand(user: Path, run_install: Install, file: Path) -> None:
    place = new_database(user / ".pki/nssdb")
    assert certutil(place, "-A", "-t", "C,,", "-n", "handclasp", "-i", str(file)).returncode == 0
    assert run_install().exit_code == 0
    assert trusted(place) == {"handclasp": "C,,"}
    assert run_install(remove=True).exit_code == 0
    assert trusted(place) == {}


def test_leaves_what_is_not_ours(
    user: Path, run_install: Install, tmp_path: Path, common_name: str
) -> None:
    place = new_database(user / ".pki/nssdb")
    LocalAuthority.open_or_create(tmp_path / "another")
    other = str(tmp_path / "another" / "ca.pem")
    certutil(place, "-A", "-t", "C,,", "-n", "handclasp", "-i", other)
    assert run_install().exit_code == 0
    assert trusted(place) == {"handclasp": "C,,", common_name: "C,,"}
    assert run_install(remove=True).exit_code == 0
    assert trusted(place) == {"handclasp": "C,,"}


def test_a_master_password_is_never_asked_for(user: Path, run_install: Install) -> None:
    locked = new_database(user / FIREFOX, password="a master password")
    free = new_database(user / ".pki/nssdb")
    result = run_install()
    assert result.exit_code == 1
    assert f"{locked}: it has a master password" in result.stdout
    assert len(trusted(free)) == 1
    assert trusted(locked) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no terminals of this kind")
def test_nor_on_the_terminal(user: Path, file: Path) -> None:
    import fcntl
    import termios

    locked = new_database(user / FIREFOX, password="a master password")
    certutil = need_tool("certutil")
    program = [sys.executable, "-c", ADD_WITH_CERTUTIL, certutil, str(file), str(locked)]
    terminal, its_end = need_terminal()
    try:
        done = subprocess.run(
            program,
            stdin=its_end,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": SOURCE},
            timeout=60,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            check=True,
        )
    finally:
        os.close(its_end)
        os.close(terminal)
    assert "master password" in done.stdout


ADD_WITH_CERTUTIL = """
import sys
from pathlib import Path
from handclasp.cli.nss import Certutil

print(Certutil(sys.argv[1], Path(sys.argv[2]), ["a name"]).add(Path(sys.argv[3])))
"""


def test_a_database_that_is_none(user: Path, run_install: Install) -> None:
    need_tool("certutil")
    place = user / ".pki" / "nssdb"
    place.mkdir(parents=True)
    (place / "cert9.db").write_bytes(b"not a database")
    result = run_install()
    assert result.exit_code == 1
    assert str(place) in result.stdout
    assert (place / "cert9.db").read_bytes() == b"not a database"


def test_no_database_is_made(user: Path, run_install: Install) -> None:
    need_tool("certutil")
    result = run_install()
    assert result.exit_code == 0
    assert "start Chromium or Firefox once" in result.stdout
    assert list(user.iterdir()) == []


def test_without_certutil(
    user: Path, run_install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(user))
    result = run_install()
    assert result.exit_code == 0
    assert "libnss3-tools" in result.stdout


def test_json(user: Path, run_install: Install, file: Path) -> None:
    free = new_database(user / ".pki/nssdb")
    locked = new_database(user / FIREFOX, password="a master password")
    told = json.loads(run_install(as_json=True).stdout)
    assert told["path"] == str(file)
    assert told["changed"] == [str(free)]
    assert [entry["database"] for entry in told["failed"]] == [str(locked)]
    assert told["reason"] is None
    assert all({"add", "remove"} == set(both) for both in told["commands"].values())


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", ["update-ca-certificates", "update-ca-trust", "trust anchor", "keytool"]),
        ("darwin", ["security add-trusted-cert", "security delete-certificate", "keytool"]),
        ("win32", ["certutil -user -addstore Root", "certutil -user -delstore Root", "keytool"]),
    ],
)
def test_the_system_is_only_told_about(
    user: Path,
    run_install: Install,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    expected: list[str],
) -> None:
    ran: list[object] = []
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("subprocess.run", lambda *given, **_: ran.append(given))
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    for remove in (False, True):
        result = run_install(remove=remove)
        assert result.exit_code == 0
        assert "Nothing was changed" in result.stdout
        for words in expected if not remove else expected[-1:]:
            assert words in result.stdout
    assert ran == []


def test_only_what_fits_this_system_is_told(
    user: Path, run_install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchors = "/etc/pki/ca-trust/source/anchors"
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(Path, "is_dir", lambda path: str(path) == anchors)
    shown = run_install().stdout
    assert "update-ca-trust" in shown
    assert "update-ca-certificates" not in shown


def test_paths_are_quoted(user: Path, run_install: Install, file: Path) -> None:
    assert f"'{file}'" in run_install().stdout


def test_a_database_reached_twice_counts_once(user: Path) -> None:
    place = user / ".mozilla" / "firefox" / "one"
    place.mkdir(parents=True)
    (place / "cert9.db").touch()
    (place.parent / "two").symlink_to(place)
    (place.parent / "no profile").mkdir()
    assert databases(user) == [place]
