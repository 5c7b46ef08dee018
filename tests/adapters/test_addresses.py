"""A trace hears who talks with whom, and all the rest, whoever carries the bytes."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

import handclasp
from handclasp import ClientConfig, Recorder, ServerConfig
from handclasp.adapters.addresses import note_addresses
from handclasp.story.facts import facts_of
from handclasp.trace.events import (
    Began,
    DecisionTaken,
    HandshakeResult,
    KeysInstalled,
    KeyStep,
    MessageSeen,
    RecordSeen,
    TransportSeen,
    WorkDone,
)


def ends_of(trace: Recorder) -> tuple[tuple[str, int], tuple[str, int]]:
    (seen,) = [event for event in trace.events if isinstance(event, TransportSeen)]
    return (seen.local_address, seen.local_port), (seen.peer_address, seen.peer_port)


def test_over_sockets(client_config: ClientConfig, server_config: ServerConfig) -> None:
    mine, theirs = Recorder(), Recorder()

    def serve() -> None:
        sock, _ = listener.accept()
        handclasp.wrap_server(sock, server_config, trace=theirs).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        port = int(listener.getsockname()[1])
        with handclasp.connect(
            "127.0.0.1", port, client_config, server_name="localhost", timeout=20, trace=mine
        ) as tls:
            here: Any = tls.getsockname()
        thread.join(20)
    assert ends_of(mine) == (here, ("127.0.0.1", port))
    assert ends_of(theirs) == (("127.0.0.1", port), here)
    hears_all(mine, "client")
    hears_all(theirs, "server")


def hears_all(trace: Recorder, role: str) -> None:
    """Messages, records, choices, keys and costs, up to a handshake that is complete."""
    kinds = {type(event) for event in trace.events}
    assert kinds >= {
        MessageSeen, RecordSeen, DecisionTaken, KeyStep, WorkDone, KeysInstalled, HandshakeResult,
    }  # fmt: skip
    assert isinstance(trace.events[0], Began)
    assert trace.events[0].role == role
    assert facts_of(trace.events).round_trips == 1


def test_under_asyncio(client_config: ClientConfig, server_config: ServerConfig) -> None:
    mine, theirs = Recorder(), Recorder()

    async def main() -> tuple[int, Any]:
        server = await handclasp.aio.start_server(
            lambda _, writer: writer.close(),
            "127.0.0.1",
            0,
            config=server_config,
            trace=lambda: theirs,
        )
        async with server:
            (listener,) = server.sockets
            port = int(listener.getsockname()[1])
            _, writer = await handclasp.aio.open_connection(
                "127.0.0.1", port, config=client_config, server_name="localhost", trace=mine
            )
            here = writer.get_extra_info("sockname")
            writer.close()
            await writer.wait_closed()
        return port, here

    port, here = asyncio.run(main())
    assert ends_of(mine) == (here, ("127.0.0.1", port))
    assert ends_of(theirs) == (("127.0.0.1", port), here)
    hears_all(mine, "client")
    hears_all(theirs, "server")


@pytest.mark.parametrize(
    ("local", "peer"),
    [("", "/run/socket"), (None, None), ((3, 1), (2, 1)), ((), ()), (("::1", 1), "")],
    ids=["unix", "none", "vsock", "empty", "half"],
)
def test_what_has_no_address_is_not_told(local: object, peer: object) -> None:
    trace = Recorder()
    note_addresses(trace, local, peer)
    assert trace.events == []
