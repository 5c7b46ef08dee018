"""The refusal of plaintext that is unread when a connection is upgraded to TLS.

Neither TLS implementation has sent anything by then, so the error blames none of them: the cause
is one of the two programs, or somebody on the network.
"""

from __future__ import annotations

from handclasp.adapters.arguments import looks_like_tls
from handclasp.advice import GO_AHEAD, RECEIVED
from handclasp.errors import ProtocolError
from handclasp.faults import Blame, Fault, Verdict, advice

_SHOWN = 16
"""Bytes of the plaintext that the error shows, as many as where a connection is not TLS."""

_SEND_NOTHING = "Send nothing between STARTTLS and the hello, and wait for the answer first."


def refused_plaintext(
    data: bytes, *, is_server: bool, has_go_ahead: bool = False, is_argument: bool = False
) -> ProtocolError:
    """Return the error for bytes that came before TLS began.

    Args:
        data: the bytes, or the first of them.
        is_server: whether this end was to be the server.
        has_go_ahead: whether this server was to write its go-ahead when TLS began.
        is_argument: whether the application has passed the bytes on (`received`).
    """
    detail = f"the first bytes are {data[:_SHOWN]!r}"
    fault = Fault.PLAINTEXT_BEFORE_TLS
    if is_argument:
        error = ProtocolError(
            fault,
            f"{detail}, passed on by this application as the beginning of TLS, which they are not",
            fix=advice(
                _SEND_NOTHING,
                "Pass on only what came after everything that was said in the clear, from its "
                f"first byte on ({RECEIVED}).",
            ),
        )
    elif not has_go_ahead:
        error = ProtocolError(fault, detail)
    elif looks_like_tls(data):
        error = ProtocolError(
            fault,
            f"{detail}, as of a ClientHello, and came before the go-ahead was written",
            fix=advice(
                "Wait for the answer to STARTTLS, and say hello then.",
                "Write the go-ahead in one place only: if TLS is to begin with it "
                f"({GO_AHEAD}), do not write it before as well.",
            ),
            verdict=Verdict(
                Blame.UNCLEAR,
                "this end, if it has written the go-ahead already; the other end, if it did not "
                "wait for it; if neither did, somebody on the way has inserted it",
            ),
        )
    else:
        error = ProtocolError(fault, f"{detail}, and came before the go-ahead was written")
    error.found_by("server" if is_server else "client")
    return error
