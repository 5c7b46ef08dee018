"""The file of results: whole lines, a broken run, and a file of something else."""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from handclasp import ConfigurationError
from handclasp.scan import Report, ScanResults, Target, profiles

ONE, TWO = Target("one.example"), Target("two.example", 8443, "name.example")


def test_a_broken_run_continues_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "scan.jsonl"
    first = ScanResults(path)
    first.append(Report(ONE).to_json())
    first.append(Report(TWO).to_json())
    first.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])  # A kill in the middle of the second line.
    second = ScanResults(path)
    assert ONE in second
    assert TWO not in second
    second.append(Report(TWO).to_json())
    second.close()
    assert path.read_bytes() == whole
    third = ScanResults(path)
    assert (len(third), TWO in third, Target("two.example", 8443) in third) == (2, True, False)
    third.close()


def test_a_failure_is_remembered(tmp_path: Path) -> None:
    results = ScanResults(tmp_path / "scan.jsonl")
    results.append(Report(ONE, error="refused").to_json())
    assert results.failed
    results.close()
    again = ScanResults(tmp_path / "scan.jsonl")
    assert again.failed
    again.close()


def test_a_host_whose_scan_did_not_end_is_not_done(tmp_path: Path) -> None:
    path = tmp_path / "scan.jsonl"
    results = ScanResults(path)
    results.append(Report(ONE, error="no connection within 5 s.").to_json())
    lost = Report(TWO)
    lost.break_off("no connection: Connection refused.")
    results.append(lost.to_json())
    assert [(each in results, results.again(each)) for each in (ONE, TWO)] == [(False, True)] * 2
    results.close()
    kept = ScanResults(path, keep_failed=True)
    assert (ONE in kept, TWO in kept, len(kept), kept.failed) == (True, True, 2, True)
    kept.append(Report(ONE).to_json())  # The last line counts.
    kept.close()
    later = ScanResults(path)
    assert (ONE in later, TWO in later, len(later), later.failed) == (True, False, 1, False)
    later.close()


def test_a_host_that_was_measured_otherwise_is_not_done(tmp_path: Path) -> None:
    path, known = tmp_path / "scan.jsonl", profiles()
    unmet = {**known["modern"].to_json(), "met": False}
    results = ScanResults(path, known["modern"])
    results.append(Report(ONE).to_json())
    results.append(Report(TWO).to_json() | {"profile": unmet})
    assert (ONE in results, TWO in results, results.failed) == (False, True, True)
    results.close()
    edited = replace(known["modern"], max_days=30)
    for profile, done in (
        *((None, True), (known["modern"], True)),
        *((known["cnsa2"], False), (edited, False)),
    ):
        again = ScanResults(path, profile)
        assert (TWO in again) is done
        assert again.changed(TWO) == ([] if done else ["profile"])
        again.close()


def test_a_host_that_was_scanned_with_other_settings_is_not_done(tmp_path: Path) -> None:
    path, settings = tmp_path / "scan.jsonl", {"--ca": "1", "starttls": ""}
    results = ScanResults(path, settings=settings)
    results.append(Report(ONE).to_json())
    assert (ONE in results, results.changed(ONE)) == (True, [])
    results.close()
    mail = Target(ONE.host, ONE.port, starttls="smtp")
    for target, now, changed in (
        (ONE, {"--ca": "2", "starttls": ""}, ["--ca"]),
        (ONE, {"--ca": "1", "starttls": "", "--proxy": "3"}, ["--proxy"]),
        (ONE, {"--ca": "1", "starttls": "imap"}, ["starttls"]),
        (mail, settings, ["starttls"]),
        (Target(ONE.host, ONE.port, starttls="tls"), {"--ca": "1", "starttls": "imap"}, []),
        (ONE, None, []),
    ):
        again = ScanResults(path, settings=now)
        assert (again.changed(target), target in again) == (changed, not changed)
        again.close()


def test_the_file_returns_the_last_report_of_each_host(tmp_path: Path) -> None:
    results = ScanResults(tmp_path / "scan.jsonl", settings={"--ca": "1"})
    for report in (Report(ONE, error="refused"), Report(TWO), Report(ONE)):
        results.append(report.to_json())
    results.close()
    again = ScanResults(tmp_path / "scan.jsonl")
    assert [(each["host"], each["error"]) for each in again.reports()] == [
        (TWO.host, None),
        (ONE.host, None),
    ]
    again.close()


@pytest.mark.parametrize(
    "text",
    [
        b"hello\n",
        b"{}\n",
        b'{"format": "handclasp-scan/9"}\n',
        b"1\n",
        json.dumps(Report(ONE).to_json() | {"profile": "modern"}).encode() + b"\n",
        json.dumps(Report(ONE).to_json() | {"versions": {"TLSv1.3": {}}}).encode() + b"\n",
        json.dumps({k: v for k, v in Report(ONE).to_json().items() if k != "alpn"}).encode()
        + b"\n",
        json.dumps(Report(ONE).to_json() | {"findings": [{"kind": "suite"}]}).encode() + b"\n",
        json.dumps(Report(ONE).to_json() | {"certificates": [None]}).encode() + b"\n",
        b"[" * 200_000 + b"\n",
    ],
)
def test_a_file_of_something_else_is_not_touched(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(text + b"an unfinished line")
    with pytest.raises(ConfigurationError, match="something other"):
        ScanResults(path)
    assert path.read_bytes() == text + b"an unfinished line"


def test_a_file_without_a_whole_line_is_not_cut_unless_it_is_a_scans(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"precious")
    with pytest.raises(ConfigurationError, match="something other"):
        ScanResults(path)
    assert path.read_bytes() == b"precious"
    path.write_bytes(b'{"format": "handclasp-scan/1", "ho')
    ScanResults(path).close()
    assert path.read_bytes() == b""


def test_a_path_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no regular file"):
        ScanResults(tmp_path)
    with pytest.raises(ConfigurationError, match="Cannot use"):
        ScanResults(tmp_path / "missing" / "scan.jsonl")


class Filling:
    """A file on a disk that takes 100 bytes more, in parts of at most 60."""

    def __init__(self, file: Any) -> None:
        self._file, self.room = file, 100

    def write(self, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written: int = self._file.write(data[: min(60, self.room)])
        self.room -= written
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_report_that_is_written_in_part_is_cut_off_and_raises(tmp_path: Path) -> None:
    path = tmp_path / "scan.jsonl"
    results = ScanResults(path)
    results.append(Report(ONE).to_json())
    whole = path.read_bytes()
    results._file = filling = Filling(results._file)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space") as raised:
        results.append(Report(TWO).to_json())
    assert raised.value.filename == str(path)
    assert path.read_bytes() == whole
    assert TWO not in results
    filling.room = 10_000  # Somebody made room; short writes are continued.
    results.append(Report(TWO).to_json())
    results.close()
    again = ScanResults(path)
    assert len(again) == 2
    again.close()


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no such locks")
def test_two_scans_do_not_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "scan.jsonl"
    first = ScanResults(path)
    first.append(Report(ONE).to_json())
    whole = path.read_bytes()
    with pytest.raises(ConfigurationError, match="in use by another scan"):
        ScanResults(path)
    assert path.read_bytes() == whole
    first.close()
    ScanResults(path).close()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    for path in (fifo, Path(os.devnull)):
        with pytest.raises(ConfigurationError, match="no regular file"):
            ScanResults(path)
