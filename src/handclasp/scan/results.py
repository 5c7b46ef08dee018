"""The file of a long scan: a line of JSON for each host, which a broken run can continue."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from handclasp.errors import ConfigurationError
from handclasp.scan.report import FORMAT, Target

_BEGINNING = json.dumps({"format": FORMAT}).encode()[:-1]
"""The first bytes of each line: whatever begins otherwise is not cut off."""


class ScanResults:
    """The hosts that are done, in a file.

    Each host is one line, written at once. What a killed run left without an end of line is cut
    off, and its host scanned again.

    See `handclasp.scan` for an example.

    Args:
        path: the file, which is made if it is not there.

    Attributes:
        failed: whether a host in it could not be scanned, or did not meet its profile.

    Raises:
        ConfigurationError: the file holds something else, or cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._done: set[tuple[str, int, str]] = set()
        self.failed = False
        try:
            self._read()
            self._file = self._path.open("ab", buffering=0)
        except OSError as error:
            raise ConfigurationError(f"Cannot use {path}: {error.strerror}.") from None

    def __contains__(self, target: object) -> bool:
        if not isinstance(target, Target):
            return False
        return (target.host, target.port, target.name) in self._done

    def __len__(self) -> int:
        return len(self._done)

    def append(self, report: dict[str, Any]) -> None:
        """Write a report, as `Report.to_json` returns it. Raises `OSError`."""
        self._file.write(json.dumps(report).encode() + b"\n")
        self._note(report)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self) -> None:
        if not self._path.exists():
            return
        whole = 0
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    if not line.startswith(_BEGINNING[: len(line)]):
                        raise self._strange()
                    break
                self._read_line(line)
                whole += len(line)
        if whole < self._path.stat().st_size:
            os.truncate(self._path, whole)

    def _read_line(self, line: bytes) -> None:
        try:
            report = json.loads(line)
            if report["format"] != FORMAT:
                raise ValueError("another format")
            self._note(report)
        except (ValueError, KeyError, TypeError):
            raise self._strange() from None

    def _strange(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self._path} holds something other than the lines of a scan; nothing was changed."
        )

    def _note(self, report: dict[str, Any]) -> None:
        self._done.add((report["host"], report["port"], report["server_name"]))
        met = report.get("profile", {}).get("met", True)
        self.failed = self.failed or bool(report["error"]) or not met
