"""Alerts from the peer, explained: one place for every alert number.

Start in `meanings`: `explain_alert` combines the plain meaning of a number with the likely causes
in the situation in which it arrived. `likely` chooses the causes, by `hello` and `certificates`.

>>> from handclasp.alerts import OwnChain, Situation, explain_alert, likely_causes
>>> situation = Situation("client", "first_flight", versions=("TLSv1.3",), alpn=("h2",))
>>> explain_alert(120, situation).sentence
'The server speaks none of the application protocols that were offered: h2.'
>>> [cause.fault for cause in likely_causes(120, situation)]
['NO_SHARED_APPLICATION_PROTOCOL']

The `AlertExplanation` is made of what `summarize` makes of several causes; `other_causes` are the
rest, of which none is explained yet where the sentence only names them (`Cause.is_named`).
"""

from handclasp.alerts.cause import Cause
from handclasp.alerts.hello import USUAL_GROUPS, USUAL_SCHEMES, USUAL_SUITES12, USUAL_SUITES13
from handclasp.alerts.likely import likely_causes, other_causes, summarize
from handclasp.alerts.meanings import AlertExplanation, explain_alert
from handclasp.alerts.situation import (
    ABOUT_CERTIFICATES,
    ClientAuthStatus,
    OwnChain,
    RejectedEch,
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
    "RejectedEch",
    "Situation",
    "Stage",
    "explain_alert",
    "likely_causes",
    "other_causes",
    "summarize",
]
