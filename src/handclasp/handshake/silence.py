"""The refusal of a client that sent no certificate, by a server that closes and sends no alert.

asyncio's servers do so: they close the transport before the alert of `ssl` is on its way.

>>> from handclasp.handshake.silence import refused_in_silence
>>> from handclasp.faults import Fault
>>> print(refused_in_silence(Fault.TRUNCATED).condition)
this end, if the server requires a client certificate; else the server, which gave no reason
"""

from __future__ import annotations

from handclasp.advice import CREDENTIALS
from handclasp.errors import TruncationError
from handclasp.faults import Blame, Fault, Verdict, advice


def refused_in_silence(fault: Fault) -> TruncationError:
    """Return the error of a client that was asked for a certificate and sent none.

    Args:
        fault: how the connection ended, before the server had said anything after that.
    """
    return TruncationError(
        fault,
        sentence=f"{fault.sentence} Before that the server had asked for a client certificate, and "
        "this side sent none: the server probably requires one.",
        fix=advice(
            "See in its log why it closed.",
            "If it requires a client certificate, give this side one, with its key, from an "
            f"authority that the server names in its request ({CREDENTIALS}).",
        ),
        verdict=Verdict(
            Blame.UNCLEAR,
            "this end, if the server requires a client certificate; else the server, which gave no "
            "reason",
        ),
    )
