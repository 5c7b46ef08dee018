"""TLS 1.2 sessions by their ids: bounded, and known to `ssl` clients without tickets."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.security.test_forks import told_by_child
from tests.sessions.test_tickets import state

from handclasp import (
    ConfigurationError,
    Credentials,
    PreSharedKey,
    ProtocolError,
    ServerConfig,
    ServerConnection,
)
from handclasp.sessions.session_cache12 import SessionCache12


def test_the_least_recently_used_goes_first() -> None:
    memory = SessionCache12(2)
    first, second, third = (state(lifetime=number) for number in range(3))
    memory.put(b"1", first)
    memory.put(b"2", second)
    assert memory.get(b"1") == first
    memory.put(b"3", third)
    assert memory.get(b"2") is None
    assert memory.get(b"1") == first
    assert len(memory) == 2
    assert memory.get(b"") is None
    for _ in range(2):
        memory.discard(b"1")
    assert len(memory) == 1


def test_so_many_bytes_and_no_more() -> None:
    """What clients show decides how large a session is."""
    memory = SessionCache12(1000, 2**18)
    for number in range(100):
        memory.put(b"%d" % number, state(client_chain=(bytes(8_000),)))
    assert 20 < len(memory) < 2**18 // 8_000
    assert memory.get(b"99") is not None
    memory.put(b"large", state(client_chain=(bytes(2**15),)))
    assert memory.get(b"large") is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_remembers_none() -> None:
    """What failed in one process is forgotten there, and must not be resumed in another one."""
    memory = SessionCache12(10)
    memory.put(b"1", state())

    def work() -> bytes:
        return b"none" if memory.get(b"1") is None and len(memory) == 0 else b"some"

    with memory._memory.lock:
        assert told_by_child(work) == b"none"
    assert memory.get(b"1") == state()


@pytest.mark.parametrize("size", [0, 2**18 - 1, "1", None])
def test_no_bytes(size: Any) -> None:
    key = PreSharedKey(b"a client", b"k" * 32)
    with pytest.raises(ConfigurationError, match="session_memory_bytes"):
        ServerConfig(psks=[key], session_memory_bytes=size)


def world_of(tmp_path: Path, remembers: int) -> tuple[ssl.SSLContext, ServerConfig]:
    """A client of `ssl` that knows no tickets, and a server."""
    pki, key = Pki(), key_of_type("ecdsa-p256")
    certificate = pki.issue(Leaf(("localhost",)), key.public_key())
    ca = tmp_path / "ca.pem"
    ca.write_bytes(pki.pem)
    config = ServerConfig(
        credentials=Credentials.from_pem(pem_of(certificate), key_pem(key)),
        session_memory=remembers,
    )
    context = ssl.create_default_context(cafile=str(ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    return context, config


@pytest.mark.parametrize("remembers", [0, 10])
def test_a_client_that_knows_no_tickets(tmp_path: Path, remembers: int) -> None:
    context, config = world_of(tmp_path, remembers)
    first, _ = shake_hands(context, config, None)
    second, _ = shake_hands(context, config, first.session)
    assert second.session_reused is bool(remembers)


@pytest.mark.parametrize("visits", [1, 2])
def test_what_failed_is_forgotten(tmp_path: Path, visits: int) -> None:
    """RFC 5246 section 7.2.2."""
    world = world_of(tmp_path, 10)
    client, server = shake_hands(*world, None)
    for _ in range(visits - 1):
        client, server = shake_hands(*world, client.session)
        assert client.session_reused
    with pytest.raises(ProtocolError):
        server.receive_data(b"\x17\x03\x03\0\x20" + bytes(32))
    again, _ = shake_hands(*world, client.session)
    assert not again.session_reused


def shake_hands(
    context: ssl.SSLContext, config: ServerConfig, session: ssl.SSLSession | None
) -> tuple[ssl.SSLObject, ServerConnection]:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost", session=session)
    server = ServerConnection(config)
    for _ in range(4):
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        if data := outgoing.read():
            server.receive_data(data)
        incoming.write(bytes(server.data_to_send()))
    assert server.established
    assert server.info is not None
    assert server.info.resumed is bool(tls.session_reused)
    return tls, server
