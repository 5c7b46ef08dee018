"""All targets by name."""

from __future__ import annotations

from tests.fuzz import captures, certificates, connections, ech, foreign, parsers, printed, scans
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        *connections.targets(),
        *parsers.targets(),
        *ech.targets(),
        *certificates.targets(),
        *captures.targets(),
        *foreign.targets(),
        *printed.targets(),
        *scans.targets(),
    )
}
