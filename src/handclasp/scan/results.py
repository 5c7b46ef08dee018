"""The file of a long scan: a line of JSON for each host, which a later run continues."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from handclasp.errors import ConfigurationError
from handclasp.scan.page import section_of
from handclasp.scan.profile import Profile
from handclasp.scan.report import FORMAT, TLS_AT_ONCE, Target
from handclasp.scan.summary import Summary, Verdict, verdict_of
from handclasp.values import dataclass

if sys.platform != "win32":
    import fcntl
else:
    fcntl = None

_BEGINNING = json.dumps({"format": FORMAT}).encode()[:-1]
"""The first bytes of each line: whatever begins otherwise is not cut off."""
_STARTTLS = "starttls"


class ScanResults:
    """The hosts that are done, in a file.

    Each report is one line, written at once, and of several lines for one host the last one counts.
    What a killed run left without an end of line is cut off, and its host scanned again.

    A target is in it, and so need not be scanned again, if its scan came to an end: it did not
    fail, and was not broken off (`Report.broken_off`). With a profile, it must have been measured
    against that one, with the same demands, too; and with settings, scanned with these.

    See `handclasp.scan` for an example.

    Args:
        path: the file, which is made if it is not there.
        profile: what the hosts are measured against; None where they are not.
        settings: the settings that decide on verdicts, by name, for example a digest of the trusted
            authorities; they are in each line as "settings". "starttls" is that of targets without
            their own. None where they do not count.
        keep_failed: let hosts whose scan failed or was broken off be done, too.

    Raises:
        ConfigurationError: the file holds something else, cannot be used, is no regular file, or
            is open in another scan, where the system has locks.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        profile: Profile | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        keep_failed: bool = False,
    ) -> None:
        self._path = Path(path)
        self._profile = profile.to_json() if profile is not None else None
        self._settings = settings
        self._keep_failed = keep_failed
        self._seen: dict[tuple[str, int, str], _Line] = {}
        try:
            if self._path.exists() and not self._path.is_file():
                raise ConfigurationError(
                    f"{path} is no regular file, which a later run could read."
                )
            self._file = self._path.open("ab", buffering=0)
            try:
                self._lock()
                self._read()
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise ConfigurationError(f"Cannot use {path}: {error.strerror}.") from None

    def __contains__(self, target: object) -> bool:
        if not isinstance(target, Target):
            return False
        line = self._seen.get(_key(target))
        return line is not None and line.is_done and not self.changed(target)

    def __len__(self) -> int:
        return sum(line.is_done and not line.is_measured_otherwise for line in self._seen.values())

    @property
    def failed(self) -> bool:
        """Whether a host in it could not be scanned, or did not meet its profile."""
        return any(line.verdict in ("failed", "missed") for line in self._seen.values())

    def again(self, target: Target) -> bool:
        """Return whether the file has a report of a target that is to be scanned once more."""
        return _key(target) in self._seen and target not in self

    def changed(self, target: Target) -> list[str]:
        """Return what has changed since a target was scanned: "profile", or names of settings.

        Empty as well where the file has no report of it.
        """
        line = self._seen.get(_key(target))
        if line is None:
            return []
        changed = ["profile"] if line.is_measured_otherwise else []
        if self._settings is None:
            return changed
        names = {*self._settings, *line.settings} - {_STARTTLS}
        changed += [n for n in sorted(names) if self._settings.get(n) != line.settings.get(n)]
        wanted = self._settings.get(_STARTTLS) if target.starttls is None else target.starttls
        if (wanted or TLS_AT_ONCE) != line.starttls:
            changed.append(_STARTTLS)
        return changed

    def count(self, summary: Summary) -> None:
        """Count the verdict of the last report of each host in the file."""
        for line in self._seen.values():
            summary.count(line.verdict)

    def reports(self) -> Iterator[dict[str, Any]]:
        """Return the last report of each host in the file, as `append` was given it."""
        last = {line.offset for line in self._seen.values()}
        offset = 0
        with self._path.open("rb") as file:
            for line in file:
                if offset in last:
                    yield json.loads(line)
                offset += len(line)

    def append(self, report: dict[str, Any]) -> None:
        """Write a report, as `Report.to_json` returns it.

        Raises:
            OSError: it was not written, for example to a full disk; no part of it is in the file.
        """
        noted = report if self._settings is None else {**report, "settings": dict(self._settings)}
        line = memoryview(json.dumps(noted).encode() + b"\n")
        size = os.fstat(self._file.fileno()).st_size
        try:
            while line:
                line = line[self._file.write(line) :]  # A disk that fills up takes a part.
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), size)
            error.filename = error.filename or str(self._path)
            raise
        self._note(noted, size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _lock(self) -> None:
        """Keep other runs from the file: each would cut off what the other is writing."""
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"{self._path} is in use by another scan: wait for its end, or take another file."
            ) from None
        except OSError as error:
            # Some network file systems have no locks.
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise

    def _read(self) -> None:
        whole = 0
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    if not line.startswith(_BEGINNING[: len(line)]):
                        raise self._strange()
                    break
                self._read_line(line, whole)
                whole += len(line)
        if whole < self._path.stat().st_size:
            os.truncate(self._path, whole)

    def _read_line(self, line: bytes, offset: int) -> None:
        try:
            report = json.loads(line)
            if report["format"] != FORMAT:
                raise ValueError("another format")
            self._note(report, offset)
            section_of(report)  # A line that lacks a part of a report would end the page.
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise self._strange() from None

    def _strange(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self._path} holds something other than the lines of a scan; nothing was changed."
        )

    def _note(self, report: dict[str, Any], offset: int) -> None:
        error: str | None = report["error"]
        profile: dict[str, Any] = report.get("profile") or {}
        settings: dict[str, Any] = report.get("settings") or {}
        wanted = self._profile or {}
        self._seen[report["host"], report["port"], report["server_name"]] = _Line(
            offset=offset,
            is_done=self._keep_failed or not (error or report.get("broken_off", False)),
            verdict=verdict_of(report),
            is_measured_otherwise=any(profile.get(name) != wanted[name] for name in wanted),
            settings={name: str(value) for name, value in settings.items()},
            starttls=report.get("starttls") or TLS_AT_ONCE,
        )


@dataclass(frozen=True, slots=True)
class _Line:
    """The last report on a host, as far as it counts here."""

    offset: int
    is_done: bool
    verdict: Verdict
    is_measured_otherwise: bool
    settings: dict[str, str]
    starttls: str


def _key(target: Target) -> tuple[str, int, str]:
    return target.host, target.port, target.name
