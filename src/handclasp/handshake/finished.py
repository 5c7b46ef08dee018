"""The Finished of the peer, checked: the end of every handshake (RFC 8446 section 4.4.4)."""

from __future__ import annotations

import hmac

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.values import value
from handclasp.wire.messages import HEADER_SIZE


@value(frozen=True, slots=True)
class CheckedFinished:
    """Proof that both sides saw the same handshake. Only `check_finished` makes it."""

    verify_data: bytes


def check_finished(raw: bytes, expected: bytes) -> CheckedFinished:
    """Check that a Finished, header included, holds the `expected` verify_data.

    Raises:
        ProtocolError: it has another length (decode_error) or content (decrypt_error).
    """
    verify_data = raw[HEADER_SIZE:]
    if len(verify_data) != len(expected):
        # RFC 9846 6.2: decode_error where "the length of the message was incorrect", and only what
        # does not verify is decrypt_error; RFC 5246 7.2.2 says the same.
        detail = f"Finished has {len(verify_data)} bytes, not {len(expected)}"
        raise ProtocolError(Fault.DECODE_ERROR, detail)
    if not hmac.compare_digest(verify_data, expected):
        raise ProtocolError(Fault.BAD_FINISHED)
    return CheckedFinished(verify_data)
