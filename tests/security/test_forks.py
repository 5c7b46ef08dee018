"""After a fork, parent and child draw different random bytes, whatever was made before."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

import handclasp
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


def test_ticket_keys_of_siblings_agree_for_ever() -> None:
    """The config is built, then the processes are forked: their first keys come only after that."""
    now = 1000.0
    keys = TicketKeys(100, 150, clock=lambda: now)

    def told() -> bytes:
        nonlocal now
        all_keys = list[bytes]()
        for step in (0, 99, 1, 250, 100_000, -1_000_000):
            now += step
            found = keys.keys()
            all_keys += [key.key_id + bytes(key.key) for key in found]
        now = 1000.0
        return b"".join(all_keys)

    children = [told_by_child(told) for _ in range(2)]
    assert children[0] == children[1] == told()
    assert len(children[0]) >= 6 * 40


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_siblings_resume_each_others_clients(pki: Pki, version: str) -> None:
    config = ServerConfig(credentials=pki.server("one"))
    store = SessionStore()
    settings = ClientConfig(trust=pki.trust, sessions=store, versions=[version])

    def visit(ports: Sequence[socket.socket]) -> list[bool]:
        resumed = list[bool]()
        for listener in ports:
            # A session is for one host and port, unless the connection is said to be another's.
            sock = socket.create_connection(listener.getsockname(), WAIT_SECONDS)
            with handclasp.wrap_client(sock, settings, server_name="one") as tls:
                tls.recv(1)  # What comes before it: the tickets.
                resumed.append(tls.info.resumed)
        return resumed

    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    children = [_serving(listener, config, 2) for listener in listeners]
    try:
        assert visit([*listeners, *listeners]) == [False, True, True, True]
    finally:
        for child in children:
            os.waitpid(child, 0)
        for listener in listeners:
            listener.close()


def _serving(listener: socket.socket, config: ServerConfig, visits: int) -> int:
    """A child that serves so many visits; gives its process id."""
    child = os.fork()
    if child == 0:
        signal.alarm(WAIT_SECONDS)
        try:
            for _ in range(visits):
                with handclasp.wrap_server(listener.accept()[0], config) as tls:
                    tls.sendall(b"1")
        finally:
            os._exit(0)
    return child


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
    reloading = Credentials.auto_reload(chain_file, key_file, clock=lambda: now)
    now = 10.0
    with reloading._lock:
        chain_file.write_bytes(chains[1])
        assert told_by_child(lambda: reloading.current.names[0].encode()) == b"new"
    assert reloading.current.names == ("new",)
