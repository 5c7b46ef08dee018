"""The outcome of a scan of many hosts in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from handclasp.scan.profile import Profile

Verdict: TypeAlias = Literal["failed", "missed", "met", "scanned"]


def verdict_of(report: Mapping[str, Any]) -> Verdict:
    """Return the verdict in a report in its JSON form; "scanned" where there was no profile."""
    if report["error"]:
        return "failed"
    profile = report.get("profile")
    if profile is None:
        return "scanned"
    return "met" if profile["met"] else "missed"


class Summary:
    """The count of verdicts.

    >>> from handclasp.scan import Report, Summary, Target, profiles
    >>> summary = Summary(profiles()["modern"])
    >>> summary.add(Report(Target("a.example"), error="no connection").to_json())
    >>> summary.add(Report(Target("b.example")).to_json() | {"profile": {"met": True}})
    >>> summary.text
    '1 of 2 hosts meets Mozilla modern 5.7; 1 could not be scanned.'

    Args:
        profile: what the hosts are measured against; None where they are not.
    """

    def __init__(self, profile: Profile | None = None) -> None:
        self._profile = profile
        self._counts: Counter[Verdict] = Counter()

    def add(self, report: Mapping[str, Any]) -> None:
        """Count a report in its JSON form."""
        self.count(verdict_of(report))

    def count(self, verdict: Verdict) -> None:
        """Count the verdict of a report."""
        self._counts[verdict] += 1

    @property
    def total(self) -> int:
        """The number of hosts."""
        return self._counts.total()

    @property
    def text(self) -> str:
        """The sentence."""
        counts = self._counts
        if self._profile is not None:
            verb = "meets" if counts["met"] == 1 else "meet"
            text = f"{counts['met']:,} of {self.total:,} hosts {verb} {self._profile.cited}"
        else:
            count = self.total - counts["failed"]
            text = f"{count:,} of {self.total:,} hosts {'was' if count == 1 else 'were'} scanned"
        return (
            f"{text}; {counts['failed']:,} could not be scanned."
            if counts["failed"]
            else f"{text}."
        )
