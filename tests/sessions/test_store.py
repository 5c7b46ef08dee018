"""Where a client's sessions are kept: bounded, used once, and safe in a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from tests.sessions.test_session import session

from handclasp.errors import ConfigurationError
from handclasp.sessions.session import Session
from handclasp.sessions.store import FileSessionStore, SessionStore

Make = Callable[..., Any]


@pytest.fixture(params=["memory", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "memory":
        return SessionStore
    return lambda capacity=256: SessionStore.file(tmp_path / "sessions.json", capacity)


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


def test_a_file_is_for_its_owner_and_for_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    SessionStore.file(path).put("key", numbered(1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert SessionStore.file(path).take("key") == numbered(1)
    assert SessionStore.file(path).take("key") is None


def test_two_processes_never_get_the_same_session(tmp_path: Path) -> None:
    """Each thread has a store of its own on the file, as each process would."""
    path, taken = tmp_path / "sessions", list[bytes]()

    def work(number: int) -> None:
        store = SessionStore.file(path)
        for turn in range(60):
            store.put("key", session(ticket=b"%d %d" % (number, turn)))
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
    for content in (b"", b"{", whole[:-9], whole.replace(b"TLSv1.3", b"\xff"), b"[]", b"null"):
        path.write_bytes(content)
        assert store.take("key") is None
    store.put("key", numbered(2))
    assert store.take("key") == numbered(2)


def test_what_is_no_file_of_sessions_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "mine.json"
    other.write_text('{"mine": 1}')
    os.mkfifo(tmp_path / "pipe")
    for path in (other, tmp_path, tmp_path / "pipe"):
        with pytest.raises(ConfigurationError, match="name another"):
            SessionStore.file(path)
    assert other.read_text() == '{"mine": 1}'
    with pytest.raises(ConfigurationError, match="make it first"):
        SessionStore.file(tmp_path / "missing" / "sessions.json")
    (tmp_path / "new").touch()
    SessionStore.file(tmp_path / "new").put("key", numbered(1))


def test_a_session_that_cannot_be_taken_out_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might be used twice (RFC 8446 section C.4)."""
    store = FileSessionStore(tmp_path / "sessions.json")
    store.put("key", numbered(1))

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    for broken in ("handclasp.sessions.store.open", "tempfile.mkstemp", "os.replace"):
        monkeypatch.setattr(broken, full, raising=False)
        assert store.take("key") is None
        store.put("key", numbered(2))  # Lost, and no harm done.
        monkeypatch.undo()
        assert [path.name for path in tmp_path.iterdir()] == ["sessions.json"]
    assert store.take("key") == numbered(1)


def test_nothing_shows(make: Make) -> None:
    store = make()
    store.put("key", numbered(1))
    assert "ssss" not in repr(store)
