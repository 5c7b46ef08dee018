"""Watched credentials: what is new and right is taken over, and nothing else ever."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from tests.pki import Leaf, Pki, der_of, key_of_type, key_pem, pem_of

from handclasp.certificates import loading
from handclasp.certificates.credentials import Credentials
from handclasp.certificates.reloading import SECONDS_BETWEEN_LOOKS, ReloadingCredentials
from handclasp.config import ServerConfig
from handclasp.crypto import signatures
from handclasp.errors import ConfigurationError
from handclasp.input_files import read_input


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float = SECONDS_BETWEEN_LOOKS) -> None:
        self.seconds += seconds


class Files:
    """A chain and a key in files, and one of several pairs to put there."""

    def __init__(self, place: Path, pki: Pki) -> None:
        self.chain, self.key = place / "chain.pem", place / "key.pem"
        keys = [key_of_type("ecdsa-p256", number) for number in range(3)]
        leaves = [pki.issue(Leaf(), key.public_key()) for key in keys]
        self.leaves = leaves
        self.chains = [pem_of(leaf) for leaf in leaves]
        self.keys = [key_pem(key) for key in keys]
        self.put(0)

    def put(self, number: int) -> None:
        self.chain.write_bytes(self.chains[number])
        self.key.write_bytes(self.keys[number])

    def ders(self, number: int) -> tuple[bytes, ...]:
        return der_of(self.leaves[number])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(tmp_path: Path, pki: Pki) -> Files:
    return Files(tmp_path, pki)


@pytest.fixture
def reloading(files: Files, clock: Clock) -> ReloadingCredentials:
    return Credentials.auto_reload(files.chain, files.key, clock=clock)


def test_a_new_pair_is_taken_over(
    files: Files, reloading: ReloadingCredentials, clock: Clock
) -> None:
    first = reloading.current
    assert first.chain_der == files.ders(0)
    files.put(1)
    assert reloading.current is first  # It was looked at just now.
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(1)
    assert reloading.last_error is None
    assert first.chain_der == files.ders(0)


def test_what_did_not_change_is_not_read_again(
    files: Files, reloading: ReloadingCredentials, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = reloading.current
    reads: list[Any] = []
    read = read_input

    def reading(path: Any, *, most: int | None = None) -> bytes:
        reads.append(path)
        return read(path, most=most)

    monkeypatch.setattr(loading, "read_input", reading)
    for _ in range(5):
        clock.pass_by()
        assert reloading.current is first
    assert reads == []
    files.put(1)
    clock.pass_by()
    assert reloading.current is not first
    assert len(reads) == 2


def test_looks_once_a_second_at_most(
    files: Files, reloading: ReloadingCredentials, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    stat = os.stat

    def looking(path: Path) -> os.stat_result:
        looks.append(path)
        return stat(path)

    monkeypatch.setattr("handclasp.certificates.reloading.os.stat", looking)
    for _ in range(100):
        _ = reloading.current
        clock.pass_by(SECONDS_BETWEEN_LOOKS / 50)
    assert len(looks) == 2 * 1


@pytest.mark.parametrize("key_first", [False, True])
def test_files_replaced_one_after_the_other(
    files: Files, reloading: ReloadingCredentials, clock: Clock, key_first: bool
) -> None:
    steps: list[Callable[[], object]] = [
        lambda: files.chain.write_bytes(files.chains[1]),
        lambda: files.key.write_bytes(files.keys[1]),
    ]
    first, second = reversed(steps) if key_first else steps
    first()
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(0)
    assert reloading.last_error is not None
    assert "does not belong" in str(reloading.last_error)
    second()
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(1)
    assert reloading.last_error is None


@pytest.mark.parametrize("length", [0, 10, 200, -20])
def test_a_half_written_file(
    files: Files, reloading: ReloadingCredentials, clock: Clock, length: int
) -> None:
    for path, new in ((files.chain, files.chains[1]), (files.key, files.keys[1])):
        files.put(0)
        path.write_bytes(new[:length])
        clock.pass_by()
        assert reloading.current.chain_der == files.ders(0)
        assert reloading.last_error is not None
    files.put(2)
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(2)


def test_a_file_that_is_gone_and_comes_back(
    files: Files, reloading: ReloadingCredentials, clock: Clock
) -> None:
    first = reloading.current
    away = files.key.with_suffix(".away")
    files.key.rename(away)
    clock.pass_by()
    assert reloading.current is first
    assert "no file" in str(reloading.last_error)
    away.rename(files.key)
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(0)
    assert reloading.last_error is None


def test_what_failed_is_tried_again_even_if_it_looks_the_same(
    files: Files, reloading: ReloadingCredentials, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file can be written twice within one tick of the file system's clock.
    monkeypatch.setattr("handclasp.certificates.reloading._state_of", lambda path: (1,))
    files.chain.write_bytes(files.chains[1])
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(0)
    files.key.write_bytes(files.keys[1])
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(1)


def test_links_that_are_turned_round(tmp_path: Path, pki: Pki, clock: Clock) -> None:
    """As Kubernetes and certbot do it."""
    for name, number in (("old", 0), ("new", 1)):
        (tmp_path / name).mkdir()
        Files(tmp_path / name, pki).put(number)
    link = tmp_path / "live"
    link.symlink_to("old")
    reloading = Credentials.auto_reload(link / "chain.pem", link / "key.pem", clock=clock)
    before = reloading.current
    link.unlink()
    link.symlink_to("new")
    clock.pass_by()
    assert reloading.current.chain_der != before.chain_der


def test_a_copy_of_the_same_size_and_time_is_seen(files: Files, clock: Clock) -> None:
    path = files.key
    reloading = ReloadingCredentials([path], lambda: Credentials.raw_public_key(path), clock=clock)
    before, status = reloading.current, path.stat()
    path.write_bytes(files.keys[1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    clock.pass_by()
    assert reloading.current.chain_der != before.chain_der


def test_on_error_is_told_once_for_each_error(files: Files, clock: Clock) -> None:
    told: list[ConfigurationError] = []
    reloading = Credentials.auto_reload(files.chain, files.key, on_error=told.append, clock=clock)
    files.key.write_bytes(files.keys[1])
    for _ in range(3):
        clock.pass_by()
        _ = reloading.current
    assert [str(error) for error in told] == [str(reloading.last_error)]
    files.key.write_bytes(b"")
    clock.pass_by()
    _ = reloading.current
    assert len(told) == 2


def _put(files: Files, pki: Pki, begin: timedelta, end: timedelta) -> None:
    """Replace the pair by one that is valid from then to then."""
    now, key = datetime.now(UTC), key_of_type("ecdsa-p256", 2)
    leaf = Leaf(not_before=now + begin, not_after=now + end)
    files.chain.write_bytes(pem_of(pki.issue(leaf, key.public_key())))
    files.key.write_bytes(key_pem(key))


EXPIRED = (timedelta(days=-9), timedelta(days=-1))
NOT_YET = (timedelta(days=1), timedelta(days=9))


@pytest.mark.parametrize(
    ("period", "words"), [(EXPIRED, "expired at 2"), (NOT_YET, "is valid from 2")]
)
def test_a_certificate_that_is_not_valid_does_not_replace_one_that_is(
    files: Files, pki: Pki, clock: Clock, period: tuple[timedelta, timedelta], words: str
) -> None:
    told: list[ConfigurationError] = []
    reloading = Credentials.auto_reload(files.chain, files.key, on_error=told.append, clock=clock)
    for _ in range(2):
        _put(files, pki, *period)
        clock.pass_by()
        assert reloading.current.chain_der == files.ders(0)
    (error,) = told
    assert f"The new certificate {words}" in str(error)
    assert "the old one stays in use, which is valid until" in str(error)
    files.put(1)
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(1)
    assert reloading.last_error is None


@pytest.mark.parametrize("keep_valid", [True, False])
def test_a_certificate_that_is_not_valid_replaces_one_that_is_not_either(
    files: Files, pki: Pki, clock: Clock, keep_valid: bool
) -> None:
    if keep_valid:
        _put(files, pki, *EXPIRED)
    reloading = Credentials.auto_reload(files.chain, files.key, keep_valid=keep_valid, clock=clock)
    before = reloading.current.chain_der
    _put(files, pki, *NOT_YET)
    clock.pass_by()
    assert reloading.current.chain_der != before
    assert reloading.last_error is None


def test_a_warning_is_logged_once_for_each_change(
    files: Files, pki: Pki, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    credentials = Credentials.auto_reload(files.chain, files.key, clock=clock)
    caplog.clear()
    _put(files, pki, timedelta(days=-20), timedelta(days=-10))
    files.key.chmod(0o644)
    for _ in range(3):
        clock.pass_by()
        assert der_of(files.leaves[0]) == credentials.current.chain_der
    assert "expired" in str(credentials.last_error)
    assert [each.message for each in caplog.records] == [
        f"The key file {files.key} can be read by every user of this machine (mode 0644): run "
        "chmod 600 on it."
    ]
    os.utime(files.key, (1, 1))
    clock.pass_by()
    assert credentials.current
    assert len(caplog.records) == 2


def test_on_error_cannot_break_anything(files: Files, clock: Clock) -> None:
    def fail(error: ConfigurationError) -> None:
        raise RuntimeError("the log is full")

    reloading = Credentials.auto_reload(files.chain, files.key, on_error=fail, clock=clock)
    files.key.write_bytes(b"")
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(0)


def test_the_error_holds_no_key(
    files: Files, reloading: ReloadingCredentials, clock: Clock
) -> None:
    files.chain.write_bytes(files.chains[1])
    clock.pass_by()
    _ = reloading.current
    error = reloading.last_error
    assert error is not None
    assert error.__traceback__ is None
    assert error.__context__ is None
    assert error.__cause__ is None


def test_the_first_load_must_succeed(files: Files) -> None:
    files.key.write_bytes(files.keys[1])
    with pytest.raises(ConfigurationError, match="does not belong"):
        Credentials.auto_reload(files.chain, files.key)
    files.key.unlink()
    with pytest.raises(ConfigurationError, match="There is no file"):
        Credentials.auto_reload(files.chain, files.key)


def test_a_staple_belongs_to_what_is_loaded(
    files: Files, pki: Pki, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "staple"
    path.write_bytes(pki.ocsp_response(files.leaves[0]))
    reloading = Credentials.auto_reload(files.chain, files.key, staple=path, clock=clock)
    first = reloading.current
    assert first.staple is not None
    assert first.staple.current(pki.now) == path.read_bytes()
    files.put(1)
    clock.pass_by()
    assert reloading.current is first
    assert "another certificate" in str(reloading.last_error)
    path.write_bytes(pki.ocsp_response(files.leaves[1]))
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(1)
    assert reloading.current.staple is not None
    assert reloading.current.staple.current(pki.now) == path.read_bytes()


def test_a_config_gives_the_newest(
    files: Files, reloading: ReloadingCredentials, clock: Clock
) -> None:
    config = ServerConfig(credentials=reloading)
    assert config.credential_list[0].chain_der == files.ders(0)
    files.put(1)
    clock.pass_by()
    assert config.credential_list[0].chain_der == files.ders(1)


def test_any_loader_will_do(tmp_path: Path, pki: Pki, clock: Clock) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(key_pem(key_of_type("ed25519")))
    reloading = ReloadingCredentials([path], lambda: Credentials.raw_public_key(path), clock=clock)
    before = reloading.current
    path.write_bytes(key_pem(key_of_type("ecdsa-p256")))
    clock.pass_by()
    assert reloading.current.schemes == ("ecdsa_secp256r1_sha256",) != before.schemes
    assert "PRIVATE" not in repr(reloading)


def test_nobody_waits_while_another_looks(files: Files, clock: Clock) -> None:
    is_loading, go_on = Event(), Event()
    go_on.set()

    def load() -> Credentials:
        is_loading.set()
        assert go_on.wait(30)
        return Credentials.load(files.chain, files.key)

    reloading = ReloadingCredentials([files.chain, files.key], load, clock=clock)
    first = reloading.current
    files.put(1)
    clock.pass_by()
    is_loading.clear()
    go_on.clear()
    thread = Thread(target=lambda: reloading.current)
    thread.start()
    try:
        assert is_loading.wait(30)
        assert reloading.current is first
    finally:
        go_on.set()
        thread.join(30)
    assert reloading.current.chain_der == files.ders(1)


def test_many_threads_see_only_whole_pairs(files: Files, clock: Clock) -> None:
    reloading = Credentials.auto_reload(files.chain, files.key, clock=clock)
    public_keys = {der_of(leaf): leaf.public_key() for leaf in files.leaves}
    start = Barrier(4)

    def ask() -> None:
        start.wait(30)
        for _ in range(100):
            found = reloading.current
            (scheme,) = found.schemes
            signature = found.signer.sign(scheme, b"data")
            assert isinstance(signature, bytes)
            assert signatures.verify(scheme, public_keys[found.chain_der], signature, b"data")

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        start.wait(30)
        for number in range(30):
            files.put(number % 3)
            clock.pass_by()
        for each in asking:
            each.result(30)
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(29 % 3)


# A key that is elsewhere


def test_a_chain_is_read_again_for_a_signer(files: Files, pki: Pki, clock: Clock) -> None:
    """Renewed for the same key it is taken over; one for another key is not."""
    key = key_of_type("ecdsa-p256", 0)
    signer = Credentials.from_pem(files.chains[0], files.keys[0]).signer
    reloading = Credentials.auto_reload(files.chain, signer=signer, clock=clock)
    assert reloading.current.chain_der == files.ders(0)
    assert reloading.current.signer is signer
    renewed = pki.issue(Leaf(), key.public_key())
    files.chain.write_bytes(pem_of(renewed))
    clock.pass_by()
    assert reloading.current.chain_der == der_of(renewed)
    files.chain.write_bytes(files.chains[1])
    clock.pass_by()
    assert reloading.current.chain_der == der_of(renewed)
    assert "is for another key than before" in str(reloading.last_error)
    files.chain.write_bytes(files.chains[0])
    clock.pass_by()
    assert reloading.current.chain_der == files.ders(0)
    assert reloading.last_error is None


def test_a_key_or_a_signer(files: Files) -> None:
    signer = Credentials.load(files.chain, files.key).signer
    with pytest.raises(ConfigurationError, match="a key_path or a signer"):
        Credentials.auto_reload(files.chain)
    with pytest.raises(ConfigurationError, match="a key_path or a signer"):
        Credentials.auto_reload(files.chain, files.key, signer=signer)


# What is no file


@pytest.mark.skipif(os.name != "posix", reason="pipes have paths in POSIX alone")
@pytest.mark.timeout(20)
class TestPipes:
    def test_a_file_that_became_a_pipe(self, files: Files, clock: Clock) -> None:
        """A handshake would wait for the pipe's writer, for ever, and an event loop with it."""
        reloading = Credentials.auto_reload(files.chain, files.key, clock=clock)
        files.key.unlink()
        os.mkfifo(files.key)
        holding = os.open(files.key, os.O_RDWR)
        try:
            clock.pass_by()
            assert reloading.current.chain_der == files.ders(0)
        finally:
            os.close(holding)
        assert str(reloading.last_error) == (
            f"{files.key} is a pipe or a device now: it is not read again."
        )
        files.key.unlink()
        files.put(1)
        clock.pass_by()
        assert reloading.current.chain_der == files.ders(1)
        assert reloading.last_error is None

    def test_one_without_a_writer_does_not_load(self, files: Files) -> None:
        files.key.unlink()
        os.mkfifo(files.key)
        with pytest.raises(ConfigurationError, match="empty pipe, and nobody writes to it"):
            Credentials.load(files.chain, files.key)

    def test_a_pipe_at_the_start_is_read_once(self, files: Files, clock: Clock) -> None:
        """`--cert <(command)`: what is in it is gone, and the other file may not fit any more."""
        reading, writing = os.pipe()
        try:
            os.write(writing, files.keys[0])
            os.close(writing)
            reloading = Credentials.auto_reload(files.chain, f"/dev/fd/{reading}", clock=clock)
            files.chain.write_bytes(files.chains[1])
            clock.pass_by()
            assert reloading.current.chain_der == files.ders(0)
            assert reloading.last_error is None
        finally:
            os.close(reading)


def test_a_clock_that_is_none_is_refused(files: Files) -> None:
    wrong: Any = 3
    with pytest.raises(ConfigurationError, match="clock must be a function that gives seconds"):
        Credentials.auto_reload(files.chain, files.key, clock=wrong)
