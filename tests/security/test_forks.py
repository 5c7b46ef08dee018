"""After a fork, parent and child draw different random bytes, whatever was made before."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp import (
    ClientConfig,
    ClientConnection,
    Credentials,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TicketKeys,
    TrustStore,
)
from handclasp.certificates.remembered import RememberedChains
from handclasp.certificates.staple import OcspStaple
from handclasp.trace.keylog import open_keylog

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


HOLDERS: dict[str, Callable[[Pki, Path], tuple[Any, Callable[[], object]]]] = {}


def holder(make: Callable[[Pki, Path], tuple[Any, Callable[[], object]]]) -> None:
    """What has a lock, and something that takes it."""
    HOLDERS[make.__name__] = make


@holder
def trust_store(pki: Pki, _: Path) -> tuple[Any, Callable[[], object]]:
    store = TrustStore.from_pem(pki.pem)
    return store, lambda: store.anchors


@holder
def remembered_chains(_: Pki, __: Path) -> tuple[Any, Callable[[], object]]:
    chains: RememberedChains[str] = RememberedChains()
    return chains, lambda: chains.recall("key", datetime.now(UTC))


@holder
def ticket_keys(_: Pki, __: Path) -> tuple[Any, Callable[[], object]]:
    keys = TicketKeys()
    return keys, keys.keys


@holder
def key_log(_: Pki, folder: Path) -> tuple[Any, Callable[[], object]]:
    log = open_keylog(folder / "keys.log")
    return log, lambda: log("a line")


@holder
def staple(_: Pki, __: Path) -> tuple[Any, Callable[[], object]]:
    source = OcspStaple.from_callback(lambda: None)
    return source, lambda: source.current(datetime.now(UTC))


@holder
def session_file(_: Pki, folder: Path) -> tuple[Any, Callable[[], object]]:
    store = SessionStore.file(folder / "sessions")
    return store, lambda: store.take("key")


@pytest.mark.parametrize("name", HOLDERS)
def test_a_lock_that_is_held_at_the_fork_is_free_in_the_child(
    pki: Pki, tmp_path: Path, name: str
) -> None:
    """The thread that holds it is not there, and would never give it back."""
    thing, use = HOLDERS[name](pki, tmp_path)

    def work() -> bytes:
        use()
        return b"done"

    with thing._lock:
        assert told_by_child(work) == b"done"
    use()


def test_credentials_are_read_again_in_a_child(pki: Pki, tmp_path: Path) -> None:
    """Who does not get the lock takes what there is: in such a child, for ever."""
    key, now = key_of_type("ecdsa-p256"), 0.0
    chain_file, key_file = tmp_path / "chain.pem", tmp_path / "key.pem"
    key_file.write_bytes(key_pem(key))
    chains = [pem_of(pki.issue(Leaf((name,)), key.public_key())) for name in ("old", "new")]
    chain_file.write_bytes(chains[0])
    watched = Credentials.watch(chain_file, key_file, clock=lambda: now)
    now = 10.0
    with watched._lock:
        chain_file.write_bytes(chains[1])
        assert told_by_child(lambda: watched.current.names[0].encode()) == b"new"
    assert watched.current.names == ("new",)
