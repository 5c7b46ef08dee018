"""The server's own staple: what is given out when, and what a bad renewal does."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from tests.certificates.ocsp_responses import (
    HOUR,
    REVOKED,
    UNKNOWN,
    Response,
    several,
    with_serial_of,
)
from tests.pki import DAY, Leaf, Pki, key_of_type

from handclasp.certificates import staple as module
from handclasp.certificates.staple import OcspStaple
from handclasp.errors import ConfigurationError

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def leaf(pki: Pki) -> x509.Certificate:
    return pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())


@pytest.fixture(scope="module")
def der(leaf: x509.Certificate, pki: Pki) -> bytes:
    """Valid from an hour ago on for a day and an hour: half of its life is 11.5 hours from now."""
    return Response().about(leaf, pki)


class Fetch:
    """A callback that gives, or raises, what it is told to."""

    def __init__(self, gives: object = None) -> None:
        self.gives = gives
        self.calls = 0

    def __call__(self) -> bytes | None:
        self.calls += 1
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives  # type: ignore[return-value]


class TestBytes:
    def test_only_while_it_is_valid(self, pki: Pki, der: bytes) -> None:
        staple = OcspStaple.from_bytes(der)
        assert staple.current(pki.now) == der
        assert staple.current(pki.now + DAY - SECOND) == der
        assert staple.current(pki.now + DAY + SECOND) is None
        assert staple.current(pki.now - HOUR - 4 * MINUTE) == der
        assert staple.current(pki.now - HOUR - 6 * MINUTE) is None
        assert staple.current(pki.now) == der

    def test_without_an_end_it_lasts_a_day(self, pki: Pki, leaf: x509.Certificate) -> None:
        staple = OcspStaple.from_bytes(Response(next_update=None).about(leaf, pki))
        assert staple.current(pki.now + DAY - HOUR - SECOND)
        assert staple.current(pki.now + DAY) is None

    def test_what_is_no_good(self, pki: Pki, leaf: x509.Certificate) -> None:
        for response, reason in (
            (b"", "cannot be stapled"),
            (b"junk", "cannot be stapled"),
            (bytes(2**17), "bytes"),
            (Response(REVOKED).about(leaf, pki), "replace the certificate"),
            (Response(UNKNOWN).about(leaf, pki), '"unknown"'),
        ):
            with pytest.raises(ConfigurationError, match=reason):
                OcspStaple.from_bytes(response)

    @given(st.binary(max_size=200))
    def test_random_bytes(self, junk: bytes) -> None:
        with pytest.raises(ConfigurationError):
            OcspStaple.from_bytes(junk)


class TestFile:
    def test_it_is_read_again_when_it_changes(
        self, pki: Pki, leaf: x509.Certificate, der: bytes, tmp_path: Path
    ) -> None:
        path = tmp_path / "staple.der"
        path.write_bytes(der)
        staple = OcspStaple.from_file(path)
        assert staple.current(pki.now) == der
        newer = Response(next_update=2 * DAY).about(leaf, pki)
        _replace(path, newer)
        assert staple.current(pki.now + SECOND / 2) == der, "it was looked at within the second"
        assert staple.current(pki.now + SECOND) == newer
        assert staple.current(pki.now + DAY + HOUR) == newer

    def test_a_bad_file_keeps_the_last_good_response(
        self, pki: Pki, leaf: x509.Certificate, der: bytes, tmp_path: Path
    ) -> None:
        path = tmp_path / "staple.der"
        path.write_bytes(der)
        staple = OcspStaple.from_file(path)
        now = pki.now
        for content in (b"", b"junk", Response(UNKNOWN).about(leaf, pki)):
            _replace(path, content)
            for _ in range(2):
                now += SECOND
                assert staple.current(now) == der
                assert isinstance(staple.last_error, ConfigurationError)
        path.unlink()
        assert staple.current(now + SECOND) == der
        assert isinstance(staple.last_error, FileNotFoundError)
        assert staple.current(pki.now + 2 * DAY) is None
        path.write_bytes(der)
        assert staple.current(now + SECOND) == der
        assert staple.last_error is None

    def test_a_file_that_comes_back(self, pki: Pki, der: bytes, tmp_path: Path) -> None:
        path, aside = tmp_path / "staple.der", tmp_path / "aside.der"
        path.write_bytes(der)
        staple = OcspStaple.from_file(path)
        path.rename(aside)
        assert staple.current(pki.now) == der
        assert staple.last_error is not None
        aside.rename(path)
        assert staple.current(pki.now + SECOND) == der
        assert staple.last_error is None

    def test_an_unchanged_file_is_not_read(
        self, pki: Pki, der: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "staple.der"
        path.write_bytes(der)
        staple = OcspStaple.from_file(path)
        looks: list[str] = []
        stat = Path.stat

        def counting(self: Path, **options: bool) -> os.stat_result:
            looks.append(str(self))
            return stat(self, **options)

        def refusing(path: Path, **_: int) -> None:
            raise AssertionError(f"{path} was read")

        monkeypatch.setattr(Path, "stat", counting)
        monkeypatch.setattr(module, "read_regular", refusing)
        for step in range(10):
            assert staple.current(pki.now + step * SECOND / 5) == der
        assert len(looks) == 2
        assert staple.last_error is None

    @pytest.mark.skipif(os.name != "posix", reason="pipes have paths in POSIX alone")
    @pytest.mark.timeout(20)
    def test_a_file_that_became_a_pipe(
        self, pki: Pki, leaf: x509.Certificate, der: bytes, tmp_path: Path
    ) -> None:
        """A handshake would wait for the pipe's writer, for ever."""
        path = tmp_path / "staple.der"
        path.write_bytes(der)
        staple = OcspStaple.from_file(path)
        path.unlink()
        os.mkfifo(path)
        holding = os.open(path, os.O_RDWR)
        try:
            assert staple.current(pki.now + HOUR) == der
        finally:
            os.close(holding)
        assert "it is a pipe, not a file" in str(staple.last_error)

    def test_a_clock_that_is_set_back(
        self, pki: Pki, leaf: x509.Certificate, der: bytes, tmp_path: Path
    ) -> None:
        path = tmp_path / "staple.der"
        path.write_bytes(der)
        staple = OcspStaple.from_file(path)
        assert staple.current(pki.now + HOUR) == der
        newer = Response(next_update=2 * DAY).about(leaf, pki)
        _replace(path, newer)
        assert staple.current(pki.now) == newer

    def test_what_must_be_right_at_first(self, der: bytes, tmp_path: Path) -> None:
        path = tmp_path / "staple.der"
        with pytest.raises(ConfigurationError, match="Cannot read the OCSP response in"):
            OcspStaple.from_file(path)
        path.write_bytes(b"junk")
        with pytest.raises(ConfigurationError, match=r"In .*staple\.der: The OCSP response"):
            OcspStaple.from_file(path)
        path.write_bytes(der)
        assert str(path) in repr(OcspStaple.from_file(str(path)))


class TestCallback:
    def test_it_is_called_at_half_of_the_life(
        self, pki: Pki, leaf: x509.Certificate, der: bytes
    ) -> None:
        fetch = Fetch(der)
        staple = OcspStaple.from_callback(fetch)
        assert fetch.calls == 0
        half = pki.now.replace(microsecond=0) + 11.5 * HOUR
        for now in (pki.now, pki.now + HOUR, half - SECOND):
            assert staple.current(now) == der
            assert fetch.calls == 1
        fetch.gives = newer = Response(next_update=2 * DAY).about(leaf, pki)
        assert staple.current(half) == newer
        assert fetch.calls == 2

    def test_a_failure_is_kept_and_breaks_nothing(self, pki: Pki, der: bytes) -> None:
        fetch = Fetch(der)
        staple = OcspStaple.from_callback(fetch)
        staple.current(pki.now)
        fetch.gives = failure = RuntimeError("the responder is down")
        late = pki.now + 20 * HOUR
        assert staple.current(late) == der
        assert staple.last_error is failure
        assert staple.current(late + MINUTE - SECOND) == der
        assert fetch.calls == 2
        assert staple.current(late + MINUTE) == der
        assert fetch.calls == 3
        assert staple.current(pki.now + DAY + HOUR) is None
        fetch.gives = der
        assert staple.current(late) == der
        assert staple.last_error is None

    @pytest.mark.parametrize("gives", [None, b"junk", "text", 5])
    def test_nothing_to_give_is_no_end(self, pki: Pki, gives: object) -> None:
        fetch = Fetch(gives)
        staple = OcspStaple.from_callback(fetch)
        for step in range(3):
            assert staple.current(pki.now + step * SECOND) is None
        assert fetch.calls == 1
        assert (staple.last_error is None) is (gives is None)

    def test_the_same_old_response_is_not_asked_for_each_time(self, pki: Pki, der: bytes) -> None:
        fetch = Fetch(der)
        staple = OcspStaple.from_callback(fetch)
        late = pki.now + 20 * HOUR
        for step in range(5):
            assert staple.current(late + step * SECOND) == der
        assert fetch.calls == 1

    def test_a_revocation_ends_stapling(self, pki: Pki, leaf: x509.Certificate, der: bytes) -> None:
        fetch = Fetch(der)
        staple = OcspStaple.from_callback(fetch)
        assert staple.current(pki.now) == der
        fetch.gives = Response(REVOKED).about(leaf, pki)
        assert staple.current(pki.now + 20 * HOUR) is None
        assert "revoked" in str(staple.last_error)

    def test_who_has_a_response_does_not_wait_for_a_new_one(self, pki: Pki, der: bytes) -> None:
        asked, answer = threading.Event(), threading.Event()

        def fetch() -> bytes:
            if first.pop():
                return der
            asked.set()
            assert answer.wait(30)
            return der

        first = [False, True]
        staple = OcspStaple.from_callback(fetch)
        assert staple.current(pki.now) == der
        late = pki.now + 20 * HOUR
        thread = threading.Thread(target=staple.current, args=(late,))
        thread.start()
        assert asked.wait(30)
        try:
            assert staple.current(late) == der
            assert thread.is_alive(), "it was waited for"
        finally:
            answer.set()
            thread.join(30)
        assert not thread.is_alive()

    def test_who_has_none_waits_and_does_not_ask_twice(self, pki: Pki, der: bytes) -> None:
        second = threading.Event()
        calls: list[int] = []
        given_out: list[bytes | None] = []

        def fetch() -> bytes:
            calls.append(1)
            if len(calls) == 1:
                threads[1].start()
                assert second.wait(30)
            return der

        staple = OcspStaple.from_callback(fetch)
        staple._lock = _WatchedLock(second)  # type: ignore[assignment]
        threads = [
            threading.Thread(target=lambda: given_out.append(staple.current(pki.now)))
            for _ in range(2)
        ]
        threads[0].start()
        for thread in threads:
            thread.join(30)
        assert given_out == [der, der]
        assert len(calls) == 1


class TestForCertificate:
    def test_a_response_about_another_one(self, pki: Pki, der: bytes) -> None:
        other = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        with pytest.raises(ConfigurationError, match=f"serial {other.serial_number:x}"):
            OcspStaple.from_bytes(der).for_certificate(other)

    def test_the_same_serial_of_another_issuer(
        self, pki: Pki, leaf: x509.Certificate, der: bytes
    ) -> None:
        bound = OcspStaple.from_bytes(der).for_certificate(leaf)
        assert bound.current(pki.now) == der
        stranger = Pki("stranger", now=pki.now)
        with pytest.raises(ConfigurationError, match="another certificate"):
            OcspStaple.from_bytes(der).for_certificate(with_serial_of(leaf, stranger))

    def test_later_responses_must_be_about_it_too(
        self, pki: Pki, leaf: x509.Certificate, der: bytes, tmp_path: Path
    ) -> None:
        path = tmp_path / "staple.der"
        path.write_bytes(der)
        bound = OcspStaple.from_file(path).for_certificate(leaf)
        assert bound.current(pki.now) == der
        other = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        _replace(path, Response().about(other, pki))
        assert bound.current(pki.now + SECOND) == der
        assert "another certificate" in str(bound.last_error)

    def test_a_callback_is_not_called_yet(
        self, pki: Pki, leaf: x509.Certificate, der: bytes
    ) -> None:
        fetch = Fetch(der)
        bound = OcspStaple.from_callback(fetch).for_certificate(leaf)
        assert fetch.calls == 0
        assert bound.current(pki.now) == der

    def test_the_answer_about_it_counts(self, pki: Pki, leaf: x509.Certificate) -> None:
        other = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
        short, long = Response(next_update=HOUR), Response(REVOKED, next_update=DAY)
        both = several([short.signed(leaf, pki), long.signed(other, pki)], pki.key)
        bound = OcspStaple.from_callback(lambda: both).for_certificate(leaf)
        assert bound.current(pki.now) == both
        assert bound.current(pki.now + 2 * HOUR) is None


class _WatchedLock:
    """A lock that tells when a second thread wants it."""

    def __init__(self, second: threading.Event) -> None:
        self._lock, self._second = threading.Lock(), second

    def acquire(self, blocking: bool) -> bool:
        if self._lock.acquire(blocking=False):
            return True
        self._second.set()
        return blocking and self._lock.acquire(timeout=30)

    def release(self) -> None:
        self._lock.release()


def _replace(path: Path, content: bytes) -> None:
    """As a careful program does it: written beside and renamed."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)
