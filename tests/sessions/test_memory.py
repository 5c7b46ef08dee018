"""Tickets are kept by clients: a server that issues any number of them does not grow.

Twenty thousand here; HANDCLASP_FULL=1 makes it a million.
"""

from __future__ import annotations

import gc
import os
import sys
from datetime import UTC, datetime

import pytest
from tests.sessions.test_tickets import state

from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.handshake.tls13.tickets import TicketIssuer
from handclasp.keys.schedule13 import ResumptionSecret
from handclasp.sessions.session import milliseconds
from handclasp.sessions.ticket_keys import TicketKeys

COUNT = 1_000_000 if os.environ.get("HANDCLASP_FULL") == "1" else 20_000


@pytest.mark.timeout(1800 if COUNT > 20_000 else 120)
def test_a_server_does_not_grow() -> None:
    resumption = ResumptionSecret(CIPHER_SUITES["TLS_AES_128_GCM_SHA256"], Secret(bytes(32)))
    keys, now = TicketKeys(), datetime.now(UTC)
    issue(1000, resumption, keys, now)
    gc.collect()
    blocks, peak = sys.getallocatedblocks(), peak_kilobytes()
    issue(COUNT, resumption, keys, now)
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 200
    # What the cryptography beneath takes is seen here alone.
    assert peak_kilobytes() - peak < 2048


def peak_kilobytes() -> int:
    """The most memory that this process ever had."""
    resource = pytest.importorskip("resource")
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def issue(count: int, resumption: ResumptionSecret, keys: TicketKeys, now: datetime) -> None:
    """As many tickets, a hundred for each connection."""
    for _ in range(count // 100):
        recent = state(authenticated_at=milliseconds(now))
        issuer = TicketIssuer(recent, resumption, keys, lambda: now, os.urandom, 2)
        for _ in range(100):
            assert len(issuer.issue()) == 1
