"""The catalogue of faults: every distinct way in which a TLS connection fails.

Start in `catalogue`: each member of `Fault` has its alert, its RFC section, one sentence, the
advice for either end, and the end to blame. `entry` has the types of these entries.
"""

from handclasp.faults.catalogue import Fault, fault_named
from handclasp.faults.entry import (
    CHECK_CLOCK,
    CLOCK_CONDITION,
    CLOCK_IS_BEHIND,
    Blame,
    Entry,
    ForRole,
    Role,
    Verdict,
    advice,
)

__all__ = [
    "CHECK_CLOCK",
    "CLOCK_CONDITION",
    "CLOCK_IS_BEHIND",
    "Blame",
    "Entry",
    "Fault",
    "ForRole",
    "Role",
    "Verdict",
    "advice",
    "fault_named",
]
