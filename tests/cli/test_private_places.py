"""The directories for secrets: removed with their command, or by the next one."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from tests.cli.conftest import WAIT_SECONDS, started
from tests.cli.test_watch import running, watch

from handclasp.cli import private_places
from handclasp.cli.private_places import private_directory

pytestmark = [
    pytest.mark.usefixtures("temporary"),
    pytest.mark.skipif(os.name != "posix", reason="there are no locks of directories"),
]

STAYS = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


def abandoned(place: Path, name: str = "handclasp-watch-abc_1234") -> Path:
    directory = place / name
    directory.mkdir(0o700)
    (directory / "keys.log").write_text("CLIENT_RANDOM 00 11\n")
    return directory


def test_the_key_log_of_a_watch_that_was_killed_is_removed_by_the_next_one(
    temporary: Path,
) -> None:
    with running("--", sys.executable, "-c", STAYS) as popen:
        assert popen.stdout is not None
        pid = int(popen.stdout.readline())
        popen.kill()
        popen.wait(WAIT_SECONDS)
    os.kill(pid, signal.SIGKILL)
    [left] = temporary.iterdir()
    assert (left / "keys.log").is_file()
    watch("--", "true")
    assert list(temporary.iterdir()) == []


def test_the_key_of_a_server_of_faults_that_was_killed_is_removed(temporary: Path) -> None:
    with started("serve", "--port", "0", "--fault", "bad-finished") as server:
        server.end(signal.SIGKILL)
    assert len(list(temporary.iterdir())) == 1
    with private_directory("demo") as mine:
        assert list(temporary.iterdir()) == [mine]


def test_the_key_log_of_another_watch_that_runs_stays(temporary: Path) -> None:
    with running("--", sys.executable, "-c", STAYS) as popen:
        assert popen.stdout is not None
        popen.stdout.readline()
        [theirs] = temporary.iterdir()
        watch("--", "true")
        assert (theirs / "keys.log").is_file()
        popen.send_signal(signal.SIGINT)
        popen.wait(WAIT_SECONDS)
    assert list(temporary.iterdir()) == []


def test_what_only_looks_like_one_stays(temporary: Path, tmp_path: Path) -> None:
    elsewhere = abandoned(tmp_path, "handclasp-watch-elsewhere")
    (temporary / "handclasp-watch-link").symlink_to(elsewhere)
    abandoned(temporary, "handclasp-watch-read_by_others").chmod(0o755)
    abandoned(temporary, "handclasp-watches-abc")
    (temporary / "handclasp-watch-file").touch()
    os.mkfifo(temporary / "handclasp-watch-pipe")
    names = {each.name for each in temporary.iterdir()}
    with private_directory("watch") as mine:
        assert {each.name for each in temporary.iterdir()} == {*names, mine.name}
    assert (elsewhere / "keys.log").is_file()


def test_a_directory_of_the_program_stays_beside_the_key_log(temporary: Path) -> None:
    left = abandoned(temporary)
    (left / "directory").mkdir()
    with private_directory("watch"):
        pass
    assert [each.name for each in left.iterdir()] == ["directory"]


def test_a_link_in_an_abandoned_directory_is_not_followed(temporary: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (abandoned(temporary) / "link").symlink_to(kept)
    with private_directory("watch"):
        pass
    assert list(temporary.iterdir()) == []
    assert kept.read_text() == "kept"


def test_a_directory_that_is_removed_before_it_is_locked_is_made_anew(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = tempfile.mkdtemp, list[str]()

    def mkdtemp(prefix: str) -> str:
        made.append(make(prefix=prefix))
        if len(made) == 1:
            private_places._remove_if_abandoned(Path(made[0]))
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with private_directory("watch") as mine:
        assert mine.is_dir()
        assert len(made) == 2
    assert list(temporary.iterdir()) == []


def test_a_directory_whose_lock_another_command_has_is_not_taken(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other command is about to remove it."""
    make, locks = tempfile.mkdtemp, list[int | None]()

    def mkdtemp(prefix: str) -> str:
        made = make(prefix=prefix)
        if not locks:
            locks.append(private_places._lock(Path(made)))
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with private_directory("watch") as mine:
        assert len(list(temporary.iterdir())) == 2
        with pytest.raises(BlockingIOError):
            private_places._remove_if_abandoned(mine)
    [lock] = locks
    assert lock is not None
    os.close(lock)
