"""Alerts from the peer, explained: one place for every alert number.

Start in `meanings`: `explain_alert` combines the plain meaning of a number with the likely causes
in the situation in which it arrived. `likely` chooses the causes, by `hello` and `certificates`.
"""

from handclasp.alerts.cause import Cause
from handclasp.alerts.hello import USUAL_GROUPS, USUAL_SCHEMES, USUAL_SUITES12, USUAL_SUITES13
from handclasp.alerts.likely import likely_causes, other_causes, summarize
from handclasp.alerts.meanings import AlertExplanation, explain_alert
from handclasp.alerts.situation import (
    ABOUT_CERTIFICATES,
    ClientAuthStatus,
    OwnChain,
    Situation,
    Stage,
)

__all__ = [
    "ABOUT_CERTIFICATES",
    "USUAL_GROUPS",
    "USUAL_SCHEMES",
    "USUAL_SUITES12",
    "USUAL_SUITES13",
    "AlertExplanation",
    "Cause",
    "ClientAuthStatus",
    "OwnChain",
    "Situation",
    "Stage",
    "explain_alert",
    "likely_causes",
    "other_causes",
    "summarize",
]
