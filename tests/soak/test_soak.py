"""The soak itself, in small: it ends well, and it would say so if it did not."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import subprocess
import sys

import pytest
from tests.soak.visitors import BAD, GOOD, WEIGHTS, Tally, visit_as

pytestmark = pytest.mark.long


def test_a_short_one() -> None:
    command = [sys.executable, "-m", "tests.soak", "--connections", "240", "--idle", "20"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 bytes lost\n" in done.stdout
    assert "Every good client was served, and nothing was left behind." in done.stdout
    assert "       20  idle throughout, and working at the end" in done.stdout


@pytest.mark.parametrize("name", GOOD | BAD)
def test_every_behaviour_has_its_share(name: str) -> None:
    assert WEIGHTS[name] > 0


@pytest.mark.parametrize("name", GOOD)
def test_a_good_client_that_is_not_served_is_noted(name: str) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # And nobody listens.
        port = bound.getsockname()[1]
        tally = Tally()
        chance = random.Random(name)
        asyncio.run(visit_as(name, ssl.create_default_context(), chance, port, tally))
    assert len(tally.failures) == 1
