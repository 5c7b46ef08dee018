"""The way of a ClientHello: each function entered before the server's handshake goes on with it.

The server's own frames are the end of the way, and what reads the message's fields, in `wire`, is
a leaf, called and left: neither is a hop.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

from tests.hops.counts import Meeting

import handclasp
from handclasp import ClientConnection, ServerConnection

_SOURCE = Path(handclasp.__file__).parent
_FIRST_READER = str(_SOURCE / "handshake" / "server.py")
_BESIDE = (str(_SOURCE / "wire"), _FIRST_READER)


@dataclass(frozen=True)
class Hop:
    """One frame that was entered or resumed; `depth` counts from receive_data."""

    function: str
    file: str
    depth: int


def hops_of_a_client_hello() -> list[Hop]:
    """What runs from `receive_data` until the server's handshake goes on with the message."""
    meeting = Meeting()
    server = ServerConnection(meeting.server)
    hello = ClientConnection(meeting.client, server_name="localhost").data_to_send()
    hops: list[Hop] = []
    depth = 0
    arrived = False

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal depth, arrived
        file = frame.f_code.co_filename
        # A resumed coroutine's next line runs when the message is there.
        arrived = arrived or (event == "line" and file == _FIRST_READER)
        if arrived or not file.startswith(str(_SOURCE)) or file.startswith(_BESIDE):
            return trace
        if event == "call":
            name, short = frame.f_code.co_qualname, str(Path(file).relative_to(_SOURCE))
            hops.append(Hop(name, short, depth))
            depth += 1
        elif event == "return":
            depth -= 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        server.receive_data(hello)
    finally:
        sys.settrace(before)
    return hops


def turns_back(hops: Sequence[Hop]) -> int:
    """How often the way goes back to a function that it had left."""
    return sum(after.depth < before.depth for before, after in pairwise(hops))
