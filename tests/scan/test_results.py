"""The file of results: whole lines, a broken run, and a file of something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from handclasp import ConfigurationError
from handclasp.scan import Report, ScanResults, Target

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


@pytest.mark.parametrize("text", [b"hello\n", b"{}\n", b'{"format": "handclasp-scan/9"}\n', b"1\n"])
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
    with pytest.raises(ConfigurationError, match="Cannot use"):
        ScanResults(tmp_path)
