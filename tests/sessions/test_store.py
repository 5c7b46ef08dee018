"""Where a client's sessions are kept: bounded, used once, and safe in a file."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from tests.security.test_forks import told_by_child
from tests.sessions.test_session import session

from handclasp.errors import ConfigurationError
from handclasp.sessions.bounded import LEAST_BYTES
from handclasp.sessions.session import RequestedCertificate, Session, session_to_text
from handclasp.sessions.session_file import FileSessionStore
from handclasp.sessions.store import SessionStore

Make = Callable[..., Any]


@pytest.fixture(params=["memory", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "memory":
        return SessionStore
    return partial(SessionStore.file, tmp_path / "sessions.json")


def numbered(number: int, **changes: Any) -> Session:
    return session(ticket=b"%d" % number, **changes)


def test_the_newest_comes_first_and_once(make: Make) -> None:
    store = make()
    for number in range(3):
        store.put("key", numbered(number))
    assert [store.take("key") for _ in range(4)] == [*map(numbered, (2, 1, 0)), None]


def test_keys_are_apart(make: Make) -> None:
    store = make()
    store.put("a", numbered(1))
    assert store.take("b") is None
    assert store.take("a") == numbered(1)


def test_tls12_stays_until_it_is_of_no_use(make: Make) -> None:
    store, old = make(), numbered(1, version="TLSv1.2")
    store.put("key", old)
    assert store.take("key") == old
    assert store.take("key") == old
    store.discard("key", old)
    assert store.take("key") is None
    store.discard("key", old)


def test_so_many_for_one_server_and_no_more(make: Make) -> None:
    """A server may send any number of tickets; the newest are enough."""
    store = make()
    for number in range(100):
        store.put("key", numbered(number))
    taken = [store.take("key") for _ in range(9)]
    assert taken == [*map(numbered, range(99, 91, -1)), None]


def test_so_many_and_no_more(make: Make) -> None:
    store = make(capacity=2)
    for number in range(20):
        store.put("a", numbered(number))
    taken = [store.take("a") for _ in range(20)]
    assert sum(each is not None for each in taken) == 8
    for key in "abc":
        store.put(key, numbered(1))
    assert store.take("a") is None
    assert store.take("b") is not None


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True])
def test_no_capacity(capacity: Any) -> None:
    with pytest.raises(ConfigurationError):
        SessionStore(capacity)


@pytest.mark.parametrize("max_bytes", [0, -1, 2**18 - 1, 2.0**20, None])
def test_no_bytes(make: Make, max_bytes: Any) -> None:
    with pytest.raises(ConfigurationError, match="262144"):
        make(max_bytes=max_bytes)
    make(max_bytes=2**18)


def test_a_capacity_of_nothing_in_a_file(make: Make) -> None:
    with pytest.raises(ConfigurationError):
        make(capacity=0)


def held_bytes(store: Any) -> int:
    if isinstance(store, FileSessionStore):
        assert store._path.stat().st_size <= 2 * store._max_bytes + 100
        return store._index.entries.size
    return sum(each.size for held in store._sessions.values() for each in held)


def test_so_many_bytes_and_no_more(make: Make) -> None:
    """What servers send decides how large a session is, and a count bounds nothing of it."""
    store = make(max_bytes=2**18)
    for number in range(100):
        store.put(f"{number}", numbered(number, peer_chain_der=(bytes(8_000),)))
        assert held_bytes(store) <= 2**18 + 100
    assert store.take("99") == numbered(99, peer_chain_der=(bytes(8_000),))
    assert store.take("0") is None


def test_one_server_does_not_push_out_the_others(make: Make) -> None:
    store = make(max_bytes=2**18)
    for number in range(20):
        store.put(f"{number}", numbered(number, peer_chain_der=(bytes(7_500),)))
    for number in range(100):
        store.put("loud", session(ticket=b"%d" % number + bytes(11_500)))
    assert held_bytes(store) < 2**18
    assert all(store.take(f"{number}") is not None for number in range(20))
    assert store.take("loud") is not None


def test_what_is_too_large_is_not_kept(make: Make) -> None:
    store = make(max_bytes=2**18)
    store.put("key", numbered(1))
    for large in (
        {"peer_chain_der": (bytes(2**14),)},
        {"ticket": bytes(2**14)},
        {"ocsp_response": bytes(2**14)},
        {"sct_list": bytes(2**14)},
        {"requested": RequestedCertificate((), (bytes(2**14),))},
    ):
        store.put("key", replace(numbered(2), **large))
    assert store.take("key") == numbered(1)
    assert store.take("key") is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_none_of_what_is_in_memory() -> None:
    """RFC 9846 section C.4: a ticket that parent and child show tells that they are one."""
    store = SessionStore()
    for key, version in (("a", "TLSv1.3"), ("b", "TLSv1.2")):
        store.put(key, numbered(1, version=version))

    def work() -> bytes:
        none = store.take("a") is None and store.take("b") is None and len(store) == 0
        store.put("a", numbered(2))
        return b"none" if none and store.take("a") == numbered(2) else b"some"

    # Another thread of the parent may hold the lock at that very moment.
    with store._memory.lock:
        assert told_by_child(work) == b"none"
    assert len(store) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_children_share_a_file_and_no_session(tmp_path: Path) -> None:
    store = FileSessionStore(tmp_path / "sessions")
    for number in range(4):
        store.put("key", numbered(number))

    def work() -> bytes:
        taken = store.take("key")
        return taken.ticket if taken is not None else b"none"

    with store._lock:
        tickets = [told_by_child(work) for _ in range(3)]
    assert [*tickets, work(), work()] == [b"3", b"2", b"1", b"0", b"none"]


def test_many_threads(make: Make) -> None:
    store, taken = make(), list[Session]()

    def work(number: int) -> None:
        for each in range(5):
            store.put(f"{number}", numbered(each))
        while (found := store.take(f"{number}")) is not None:
            taken.append(found)

    threads = [Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 20


# Files


def test_what_only_this_process_can_resume_is_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    store = SessionStore.file(path)
    store.put("process:key", numbered(1))
    old = numbered(2, version="TLSv1.2")
    store.put("process:old", old)
    assert not path.exists()
    assert SessionStore.file(path).take("process:key") is None
    assert len(store) == 2
    assert store.take("process:key") == numbered(1)
    assert store.take("process:key") is None
    store.discard("process:old", old)
    assert len(store) == 0


def test_a_file_is_for_its_owner_and_for_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    SessionStore.file(path).put("key", numbered(1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert SessionStore.file(path).take("key") == numbered(1)
    assert SessionStore.file(path).take("key") is None


@pytest.mark.parametrize("replaced", [False, True])
def test_two_processes_never_get_the_same_session(tmp_path: Path, replaced: bool) -> None:
    """Each thread has a store of its own on the file, as each process would."""
    path, taken = tmp_path / "sessions", list[bytes]()
    full = (bytes(8_000),) if replaced else ()

    def work(number: int) -> None:
        store = SessionStore.file(path, max_bytes=LEAST_BYTES)
        for turn in range(60):
            store.put("key", session(ticket=b"%d %d" % (number, turn), peer_chain_der=full))
            if (found := store.take("key")) is not None:
                taken.append(found.ticket)

    threads = [Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) > 60
    assert len(set(taken)) == len(taken)
    assert [entry.name for entry in tmp_path.iterdir()] == ["sessions"]


def test_a_file_that_is_moved_away_for_a_moment_is_no_error(tmp_path: Path) -> None:
    """As each process does that changes it."""
    path, away, done = tmp_path / "sessions", tmp_path / "claimed", Event()
    SessionStore.file(path).put("key", numbered(1))

    def change() -> None:
        while not done.is_set():
            path.rename(away)
            away.rename(path)

    thread = Thread(target=change)
    thread.start()
    try:
        for _ in range(500):
            SessionStore.file(path)
    finally:
        done.set()
        thread.join()


def test_a_file_that_breaks_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    store = SessionStore.file(path)
    store.put("key", numbered(1))
    whole = path.read_bytes()
    for content in (b"", b"handclasp", whole[:-9], whole.replace(b"TLSv1.3", b"\xff"), b"\n"):
        path.write_bytes(content)
        assert store.take("key") is None
        store.put("key", numbered(2))
        assert store.take("key") == numbered(2)


def test_a_file_that_becomes_something_else_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "sessions.json"
    store = SessionStore.file(path)
    store.put("key", numbered(1))
    path.write_bytes(b"[]")
    assert store.take("key") is None
    store.put("key", numbered(2))
    assert path.read_bytes() == b"[]"
    assert [each for each in caplog.messages if "it holds something else" in each]


def test_a_file_of_an_older_version_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    path.write_text('{\n "sessions": {\n  "key": []\n }\n}\n')
    path.chmod(0o600)
    store = SessionStore.file(path)
    assert store.take("key") is None
    store.put("key", numbered(1))
    assert path.read_bytes().startswith(b"handclasp sessions 4 ")
    assert store.take("key") == numbered(1)


def test_only_the_lines_of_the_key_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are not, whatever they hold: not one of a thousand, and none that is broken."""
    path = tmp_path / "sessions"
    store = SessionStore.file(path)
    for number in range(100):
        store.put(f"{number}", numbered(number))
    read = 0
    understand = json.loads

    def counted(text: Any, **options: Any) -> Any:
        nonlocal read
        read += 1
        return understand(text, **options)

    monkeypatch.setattr("json.loads", counted)
    store.put("more", numbered(1))
    assert read == 0
    assert store.take("nothing") is None
    assert read == 0
    assert store.take("7") == numbered(7)
    assert read == 1


def test_a_broken_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "sessions"
    store = SessionStore.file(path)
    for number in range(2):
        store.put("key", numbered(number))
    store.put("other", numbered(9))
    lines = path.read_bytes().split(b"\n")
    for broken in (b"{}", b"[" * 100_000, b"\xff", b'{"format": 3}', b""):
        path.write_bytes(b"\n".join([*lines[:2], lines[2][:65] + broken, *lines[3:]]))
        store = SessionStore.file(path)
        assert store.take("key") == numbered(0)
        assert store.take("key") is None
        assert store.take("other") == numbered(9)


def test_what_is_of_no_use_and_not_there_costs_no_writing(tmp_path: Path) -> None:
    store = SessionStore.file(tmp_path / "sessions")
    store.put("key", numbered(1))
    before = (tmp_path / "sessions").stat()
    store.discard("key", numbered(2))
    assert store.take("other") is None
    after = (tmp_path / "sessions").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_is_no_file_of_sessions_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "mine.json"
    other.write_text('{"mine": 1}')
    os.mkfifo(tmp_path / "pipe")
    for path in (other, tmp_path, tmp_path / "pipe"):
        with pytest.raises(ConfigurationError, match="Cannot use the session file"):
            SessionStore.file(path)
    assert other.read_text() == '{"mine": 1}'
    with pytest.raises(ConfigurationError, match="make it first"):
        SessionStore.file(tmp_path / "missing" / "sessions.json")
    (tmp_path / "new").touch()
    SessionStore.file(tmp_path / "new").put("key", numbered(1))


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
@pytest.mark.parametrize("use", ["take", "put"])
def test_a_file_that_others_can_read_later_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, use: str
) -> None:
    """Every handshake is a full one from then on, and nothing else would say why."""
    path = tmp_path / "sessions"
    store = SessionStore.file(path)
    store.put("key", numbered(1))
    assert not caplog.records
    path.chmod(0o644)
    for _ in range(3):
        if use == "take":
            assert store.take("key") is None
        else:
            store.put("key", numbered(2))
    (record,) = caplog.records
    assert record.name == "handclasp"
    assert f"run chmod 600 {path}" in record.getMessage()
    assert "mode 0644" in record.getMessage()
    with pytest.raises(ConfigurationError, match=r"\(mode 0644\)\. If nobody .* run chmod 600 "):
        SessionStore.file(path)


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_a_filter_that_refuses_keys_ends_no_handshake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(record: object) -> bool:
        raise ConfigurationError("no")

    path = tmp_path / "sessions"
    store = SessionStore.file(path)
    store.put("key", numbered(1))
    path.chmod(0o644)
    logger = logging.getLogger("handclasp")
    monkeypatch.setattr(logger, "filters", [refuse])
    assert store.take("key") is None


@pytest.mark.parametrize("path", [3, None, b"sessions"])
def test_what_is_no_path(path: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be a path"):
        SessionStore.file(path)


def test_the_home_directory_is_not_guessed() -> None:
    with pytest.raises(ConfigurationError, match="expanduser"):
        SessionStore.file("~/sessions.json")


def test_a_session_that_cannot_be_taken_out_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might be used twice (RFC 9846 section C.4)."""
    store = FileSessionStore(tmp_path / "sessions.json")
    store.put("key", numbered(1))

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    for broken in ("handclasp.sessions.session_file.open_trusted", "os.pwrite"):
        monkeypatch.setattr(broken, full)
        assert store.take("key") is None
        store.put("key", numbered(2))  # Lost, and no harm done.
        monkeypatch.undo()
        assert [path.name for path in tmp_path.iterdir()] == ["sessions.json"]
    assert store.take("key") == numbered(1)


def test_a_directory_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Cannot write the session file /proc/cs: "):
        SessionStore.file("/proc/cs")
    SessionStore.file(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_later_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "gone"
    directory.mkdir(mode=0o700)
    store = SessionStore.file(directory / "file")
    directory.rmdir()
    for number in range(3):
        store.put("key", numbered(number))
    (said,) = caplog.messages
    assert "cannot be written, so sessions are lost: No such file or directory." in said


@pytest.mark.parametrize("old", [True, False])
def test_what_a_killed_process_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    """A moment old, it may be that of a process that is still writing."""
    left = [tmp_path / name for name in (".sessions-abcdefg1", ".sessions-abcdefg1-old")]
    left += [tmp_path / f"{prefix}0123456789abcdef" for prefix in (".sessions-", ".new-")]
    names = (".sessions-of-mine", "sessions-abcdefg1", ".new-1", ".sessions-database")
    others = [tmp_path / name for name in (*names, ".sessions-mydata12")]
    for path in left + others:
        path.write_bytes(b"secrets" if path in others else b"handclasp sessions 3\nsecrets")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + (120 if old else 1))
    SessionStore.file(tmp_path / "file").put("key", numbered(1))
    assert [path.exists() for path in left] == [not old] * 4
    assert all(path.exists() for path in others)


def test_every_store_is_one(make: Make) -> None:
    store = make()
    assert isinstance(store, SessionStore)
    for number in range(3):
        store.put("key", numbered(number))
    assert len(store) == 3
    store.take("key")
    assert len(store) == 2


def test_nothing_shows(make: Make) -> None:
    store = make()
    store.put("key", numbered(1))
    assert "ssss" not in repr(store)


# Ends in the middle


def wrote(content: bytes, what: str) -> Callable[..., int]:
    """Return a pwrite that writes none, half or all of what it is given, and is interrupted."""
    really = os.pwrite

    def interrupted(descriptor: int, data: memoryview, at: int) -> int:
        really(descriptor, data[: {"none": 0, "half": len(data) // 2, "all": len(data)}[what]], at)
        raise KeyboardInterrupt

    return interrupted


@pytest.mark.skipif(sys.platform == "win32", reason="writes with another function there")
@pytest.mark.parametrize("written", ["none", "half", "all"])
@pytest.mark.parametrize("act", ["put", "take", "discard"])
def test_an_interrupt_leaves_the_file_and_nothing_else(
    tmp_path: Path, written: str, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sessions"
    store = FileSessionStore(path)
    store.put("other", numbered(9))
    store.put("server", numbered(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", wrote(path.read_bytes(), written))
        with pytest.raises(KeyboardInterrupt):
            if act == "put":
                store.put("server", numbered(2))
            elif act == "take":
                store.take("server")
            else:
                store.discard("server", numbered(1))
    assert [each.name for each in tmp_path.iterdir()] == ["sessions"]
    for each in (store, FileSessionStore(path)):
        left = each.take("server")
        if act == "put":
            assert left in (None, numbered(1))
        else:
            assert left == (numbered(1) if written == "none" and each is store else None)
    store.put("server", numbered(3))
    assert FileSessionStore(path).take("server") == numbered(3)
    assert FileSessionStore(path).take("other") == numbered(9)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_while_a_file_that_is_full_is_replaced(
    tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, really = tmp_path / "sessions", os.replace
    store = FileSessionStore(path, max_bytes=LEAST_BYTES)

    def interrupted(*paths: Any) -> None:
        if when == "after":
            really(*paths)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    number = 0
    with pytest.raises(KeyboardInterrupt):
        for number in range(100):
            store.put(f"{number}", numbered(number, peer_chain_der=(bytes(8_000),)))
    assert 2 * LEAST_BYTES // 11_000 - 5 < number < 90
    assert [each.name for each in tmp_path.iterdir()] == ["sessions"]
    for each in (store, FileSessionStore(path)):
        assert each.take(f"{number}") is None or when == "after"
        assert each.take(f"{number - 1 - (each is store)}") is not None


def forked(work: Callable[[], object]) -> int:
    """Run `work` in a child until it ends or is killed; return the child's process ID."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0)


needs_forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")


@needs_forks
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_is_killed_loses_no_session_of_others(tmp_path: Path) -> None:
    """Wherever it is: in the middle of a line, or of a new file."""
    path = tmp_path / "sessions"
    kept = FileSessionStore(path, max_bytes=LEAST_BYTES)
    for number in range(8):
        kept.put("kept", numbered(number, peer_chain_der=(bytes(2_000),)))

    def work() -> None:
        store = FileSessionStore(path, max_bytes=LEAST_BYTES)
        for number in count():
            store.put(f"{number % 3}", numbered(number, peer_chain_der=(bytes(8_000),)))

    for turn in range(30):
        child = forked(work)
        time.sleep(0.005 + 0.001 * (turn % 11))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    store = FileSessionStore(path, max_bytes=LEAST_BYTES)
    assert store.take("0") is not None
    taken = [store.take("kept") for _ in range(9)]
    assert [each is not None for each in taken] == [True] * 8 + [False]


@needs_forks
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_many_processes_lose_no_session(tmp_path: Path) -> None:
    path = tmp_path / "sessions"

    def visits(name: str) -> None:
        store = FileSessionStore(path, max_bytes=LEAST_BYTES)
        store.put(name, numbered(0, peer_chain_der=(bytes(3_000),)))
        for number in range(100):
            if (taken := store.take(name)) is None or int(taken.ticket) != number:
                (tmp_path / f"lost-{name}-{number}").touch()
            store.put(name, numbered(number + 1, peer_chain_der=(bytes(3_000),)))

    children = [forked(partial(visits, str(number))) for number in range(8)]
    for child in children:
        os.waitpid(child, 0)
    assert [each.name for each in tmp_path.iterdir()] == ["sessions"]


@pytest.mark.skipif(sys.platform == "win32", reason="locks with another function there")
def test_another_process_is_not_waited_for_forever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been stopped, and every handshake would stop with it."""
    import fcntl

    path = tmp_path / "sessions"
    store = SessionStore.file(path)
    store.put("key", numbered(1))
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waits: list[float] = []
        really = time.sleep

        def noted(seconds: float) -> None:
            waits.append(seconds)
            really(seconds)

        monkeypatch.setattr("handclasp.sessions.session_file._PAUSE", 0.01)
        monkeypatch.setattr(time, "sleep", noted)
        for _ in range(3):
            assert store.take("key") is None
            store.put("key", numbered(2))
            waits.append(-1)
    assert waits[-2:] == [-1, -1], "only the first one waits"
    assert store.take("key") == numbered(1)
    assert not caplog.messages


@needs_forks
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_was_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    store = FileSessionStore(tmp_path / "sessions")
    store.put("key", numbered(1))
    with store._opened() as file:
        assert file is not None
        child = forked(signal.pause)
    try:
        assert FileSessionStore(tmp_path / "sessions").take("key") == numbered(1)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_what_was_taken_is_gone_from_the_file(tmp_path: Path) -> None:
    """Its secret could open the early data that were sent with it."""
    path = tmp_path / "sessions"
    store = SessionStore.file(path)
    taken, old = numbered(1), numbered(7, version="TLSv1.2")
    for each in (numbered(0), taken):
        store.put("key", each)
    store.put("old", old)
    size = path.stat().st_size
    store.take("key")
    store.discard("old", old)
    content = path.read_bytes()
    assert len(content) == size
    assert session_to_text(numbered(0)).encode() in content
    for each in (taken, old):
        assert session_to_text(each)[1:].encode() not in content


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupt_while_the_file_is_read_releases_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    path = tmp_path / "sessions"
    FileSessionStore(path).put("key", numbered(1))

    def interrupted(*_: object) -> bytes:
        raise error

    with monkeypatch.context() as patch:
        store = FileSessionStore(path)
        patch.setattr("handclasp.sessions.session_file._read_at", interrupted)
        with pytest.raises(error):
            store.take("key")
    monkeypatch.setattr("handclasp.sessions.session_file._PATIENCE", -1.0)
    assert FileSessionStore(path).take("key") == numbered(1)


def test_a_log_handler_may_use_the_store(tmp_path: Path) -> None:
    """As one that sends its lines over TLS does."""
    path = tmp_path / "sessions"
    store = FileSessionStore(path)
    store.put("key", numbered(1))
    path.chmod(0o644)
    said: list[str] = []

    class Sends(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())
            assert store.take("logs.example:443") is None
            store.put("logs.example:443", numbered(2))

    handler = Sends()
    logger = logging.getLogger("handclasp")
    logger.addHandler(handler)
    try:
        thread = Thread(target=store.take, args=("key",), daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    finally:
        logger.removeHandler(handler)
    assert len(said) == 1


def test_another_file_in_the_inode_of_one_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "sessions"
    first, second = FileSessionStore(path), FileSessionStore(path)
    first.put("one", numbered(1))
    size = path.stat().st_size
    # The same inode and more bytes: as where a file system gives an inode away again at once.
    content = tmp_path / "content"
    FileSessionStore(content).put("two", numbered(2))
    FileSessionStore(content).put("three", numbered(3))
    path.write_bytes(content.read_bytes())
    assert path.stat().st_size > size
    assert first.take("two") == numbered(2)
    assert second.take("three") == numbered(3)


def test_what_others_have_taken_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "sessions"
    one, other = FileSessionStore(path), FileSessionStore(path)
    for number in range(8):
        one.put("key", numbered(number))
    other.take("key")
    for number in range(8, 16):
        other.put("key", numbered(number))
        assert len(one) == 8
        assert other.take("key") == numbered(number)
    assert [one.take("key") for _ in range(8)] == [*map(numbered, range(6, -1, -1)), None]


def test_a_file_beyond_all_bounds_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "sessions"
    store = FileSessionStore(path)
    store.put("key", numbered(1))
    os.truncate(path, 2**32)
    assert store.take("key") is None
    assert FileSessionStore(path).take("key") is None
    assert [each for each in caplog.messages if "it is too large" in each]


def test_a_path_is_that_of_the_directory_in_which_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileSessionStore("sessions")
    store.put("key", numbered(1))
    monkeypatch.chdir("/")
    assert store.take("key") == numbered(1)
