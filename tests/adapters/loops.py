"""The event loop that these tests run on: HANDCLASP_LOOP=uvloop, or asyncio's own."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

ON_UVLOOP = os.environ.get("HANDCLASP_LOOP") == "uvloop"


needs_sendfile = pytest.mark.skipif(ON_UVLOOP, reason="uvloop does not implement loop.sendfile")


def use_the_chosen_loop() -> None:
    """Replace what makes loops: policies, which were the way, are deprecated from 3.14 on."""
    if ON_UVLOOP:
        import uvloop

        events: Any = asyncio.events
        events.new_event_loop = asyncio.new_event_loop = uvloop.new_event_loop
