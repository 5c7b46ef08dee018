"""What became of early data is an open question until the handshake has ended."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
import trio
import trio.testing

import handclasp
from handclasp import SessionStore, StateError
from handclasp.config import ClientConfig, ServerConfig
from handclasp.trio import TLSStream


def test_a_socket_says_so(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """A program that sends again what was rejected would send nothing, and lose it."""
    config = replace(client_config, sessions=SessionStore(), allow_early_data=True)
    ours, theirs = socket.socketpair()
    client = handclasp.wrap_client(
        ours, config, server_name="localhost", early_data=b"early", handshake=False
    )
    server = handclasp.wrap_server(theirs, server_config, handshake=False)
    with client, server:
        for each in (client, server):
            with pytest.raises(StateError, match="do_handshake"):
                _ = each.early_data_rejected
            with pytest.raises(StateError, match="do_handshake"):
                _ = each.early_data


def test_a_stream_of_trio_says_so(client_config: ClientConfig) -> None:
    async def main() -> None:
        ours, _ = trio.testing.memory_stream_pair()
        stream = TLSStream(ours, client_config, server_name="localhost")
        with pytest.raises(trio.NeedHandshakeError):
            _ = stream.early_data_rejected
        with pytest.raises(trio.NeedHandshakeError):
            _ = stream.early_data

    trio.run(main)
