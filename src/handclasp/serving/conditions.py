"""Conditional requests and ranges for files (RFC 9110 sections 13 and 14)."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime

from handclasp.serving.site import seconds_of_a_tick
from handclasp.values import dataclass

_RANGE = re.compile(r"bytes=[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*", re.IGNORECASE | re.ASCII)
"""One range. Several at once are ignored, which a server may do (section 14.2)."""
_MOST_DIGITS = 20
_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')


@dataclass(frozen=True, slots=True)
class Version:
    """The state of a file, by which a client knows whether it has it already.

    Attributes:
        tag: the entity tag; it is weak for a file that changed so recently that it may change once
            more without a trace in its times.
        modified: seconds since the epoch.
    """

    tag: str
    modified: int

    @classmethod
    def of(cls, status: os.stat_result) -> Version:
        """Return the version of an open file."""
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        age = time.time() - max(status.st_mtime, status.st_ctime)
        return cls(tag if age > seconds_of_a_tick(status) else f"W/{tag}", int(status.st_mtime))

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields ETag and Last-Modified, the latter if the date has four digits."""
        fields = [(b"etag", self.tag.encode())]
        with suppress(ValueError, OverflowError, OSError):
            date = formatdate(self.modified, usegmt=True)
            if parsedate_to_datetime(date).timestamp() == self.modified:
                fields.append((b"last-modified", date.encode()))
        return fields


def outcome_of(headers: Mapping[str, str], version: Version) -> int:
    """Return 200, or 304 or 412 where a condition says so (RFC 9110 section 13.2.2)."""
    if (tags := headers.get("if-match")) is not None:
        if not _names(tags, version.tag, weak=False):
            return 412
    elif (since := _date(headers.get("if-unmodified-since"))) is not None and (
        version.modified > since
    ):
        return 412
    if (tags := headers.get("if-none-match")) is not None:
        return 304 if _names(tags, version.tag, weak=True) else 200
    since = _date(headers.get("if-modified-since"))
    return 304 if since is not None and version.modified <= since else 200


def range_of(headers: Mapping[str, str], version: Version, size: int) -> tuple[int, int] | None:
    """Return the first byte to send and the one after the last; None for all of the file.

    Raises:
        ValueError: the range begins after the end of the file (416).
    """
    found = _RANGE.fullmatch(headers.get("range", ""))
    if found is None or not _is_still(headers.get("if-range"), version):
        return None
    first, last, final = found.groups()
    if final is not None:
        start, end = max(0, size - _number(final)), size
    else:
        start, end = _number(first), min(size, _number(last) + 1) if last else size
        if last and _number(last) < _number(first):
            return None  # No range at all (section 14.1.1).
    if start >= end:
        raise ValueError("the range is not in the file")
    return start, end


def _number(digits: str) -> int:
    """Return a number, or one that is larger than any file in place of an even larger one."""
    digits = digits.lstrip("0")
    return int(digits or 0) if len(digits) < _MOST_DIGITS else 10**_MOST_DIGITS


def _is_still(condition: str | None, version: Version) -> bool:
    """Return whether the file is what If-Range names (section 13.1.5), by strong comparison."""
    if condition is None:
        return True
    if _TAG.fullmatch(condition):
        return _names(condition, version.tag, weak=False)
    # A date is strong only where nothing can have changed within its second.
    return _date(condition) == version.modified and not version.tag.startswith("W/")


def _names(tags: str, tag: str, *, weak: bool) -> bool:
    if tags.strip() == "*":
        return True
    if not weak and tag.startswith("W/"):
        return False
    for found in _TAG.finditer(tags):
        if found[0] == tag or (weak and found[0].removeprefix("W/") == tag.removeprefix("W/")):
            return True
    return False


def _date(text: str | None) -> float | None:
    """Return the seconds since the epoch; None for what is not a date, which is ignored."""
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (TypeError, IndexError, OverflowError, ValueError):
        return None
