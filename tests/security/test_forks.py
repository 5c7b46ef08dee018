"""After a fork, parent and child draw different random bytes, whatever was made before."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from tests.pki import Pki

from handclasp import ClientConfig, ClientConnection, ServerConfig, ServerConnection

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]


WAIT_SECONDS = 20


def told_by_child(work: Callable[[], bytes]) -> bytes:
    """What `work()` gives in a forked child."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(WAIT_SECONDS)  # It may wait for a lock that nobody in it can give back.
        try:
            os.write(write, work())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


def test_hellos_of_two_processes_differ(pki: Pki) -> None:
    config = ClientConfig(trust=pki.trust)
    ClientConnection(config, server_name="localhost")  # Something has been drawn already.

    def random() -> bytes:
        return bytes(ClientConnection(config, server_name="localhost").data_to_send())[11:43]

    randoms = [random(), told_by_child(random), told_by_child(random)]
    assert all(len(each) == 32 for each in randoms)
    assert len(set(randoms)) == 3


def test_answers_of_two_processes_differ(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("localhost"))
    client = ClientConnection(ClientConfig(trust=pki.trust), server_name="localhost")
    hello = bytes(client.data_to_send())

    def answer() -> bytes:
        server = ServerConnection(config)
        server.receive_data(hello)
        return bytes(server.data_to_send())[:1300]  # The whole ServerHello with its share.

    answers = [answer(), told_by_child(answer), told_by_child(answer)]
    assert len({each[11:43] for each in answers}) == 3
    assert len({each[-32:] for each in answers}) == 3
