"""Faults that are not in what a peer sends, each with what the peer is told.

A peer that keeps silent, one that outlives a key, one that is there when this side is at fault,
and one that goes away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.adversarial.conftest import ClientRefuses, ServerRefuses, refused
from tests.adversarial.encounter import Encounter
from tests.pki import Pki, key_of_type

from handclasp import (
    ClientConfig,
    ClientConnection,
    Credentials,
    Fault,
    HandshakeTimeoutError,
    ServerConfig,
    ServerConnection,
    TruncationError,
)
from handclasp.errors import ProtocolError
from handclasp.iana import AlertLevel
from handclasp.testing.scripted import ScriptedClient
from handclasp.wire.messages import ServerHello
from handclasp.wire.structs import Struct, scan

Meet = Callable[..., Encounter]


@pytest.fixture(params=["client", "server"])
def meet(request: pytest.FixtureRequest, meet_client: Meet, meet_server: Meet) -> Meet:
    return meet_server if request.param == "client" else meet_client


def test_a_key_that_has_opened_all_it_can(meet: Meet) -> None:
    """After 2^64 - 1 records there is no nonce any more: KeyUpdates come long before."""
    encounter = meet()
    reads, writes = encounter.connection._records.read_key, encounter.peer._write
    assert reads is not None
    assert writes is not None
    reads.sequence = writes.sequence = 2**64 - 1
    with pytest.raises(ProtocolError):  # The peer's own protection would not seal it, either.
        encounter.peer.send_data(b"one too many")
    writes.sequence = 0
    encounter.peer.send_data(b"one too many")
    refused(encounter.run(), Fault.KEY_EXHAUSTED)


def test_a_peer_that_keeps_silent(server_config: ServerConfig) -> None:
    """The adapters have the clock; what they say then is this."""
    peer = ScriptedClient(order=())
    encounter = Encounter(ServerConnection(server_config), peer)
    assert encounter.error is None
    encounter.error = encounter.connection.abort(Fault.HANDSHAKE_TIMEOUT)
    assert isinstance(encounter.error, HandshakeTimeoutError)
    refused(encounter.run(), Fault.HANDSHAKE_TIMEOUT)


def test_a_read_that_an_interrupt_broke_off(server_config: ServerConfig) -> None:
    """As adapters do: what was taken from the socket may be lost."""
    encounter = Encounter(ServerConnection(server_config), ScriptedClient(order=()))
    encounter.error = encounter.connection.abort(Fault.INTERRUPTED, "KeyboardInterrupt")
    refused(encounter.run(), Fault.INTERRUPTED)


def test_a_program_that_gives_up_without_a_word(server_config: ServerConfig) -> None:
    """Nothing can be sent by then, and the connection is as it was."""
    encounter = Encounter(ServerConnection(server_config), ScriptedClient(order=()))
    error = encounter.connection.explain_abandonment()
    assert error.fault is Fault.HANDSHAKE_ABANDONED
    assert not encounter.connection.data_to_send()


class Forgetful:
    """A signer elsewhere that signs with another key than the certificate's."""

    schemes = ("ecdsa_secp256r1_sha256",)

    def sign(self, scheme: str, data: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        signature: bytes = key_of_type("ecdsa-p256", 55).sign(data, ec.ECDSA(hashes.SHA256()))
        return signature


def test_a_signature_of_this_side_that_is_wrong(pki: Pki, server_refuses: ServerRefuses) -> None:
    credentials = Credentials.from_signer(pki.server("localhost").chain_der, Forgetful())
    server_refuses(Fault.OWN_SIGNATURE_WRONG, config=ServerConfig(credentials=credentials))


@pytest.mark.parametrize("error", [KeyError("x"), ValueError(), RecursionError(), MemoryError()])
def test_a_defect_of_this_side(
    monkeypatch: pytest.MonkeyPatch, client_refuses: ClientRefuses, error: Exception
) -> None:
    """Whatever breaks inside, the connection ends as one does, and the peer is told."""
    from handclasp.handshake import context

    def broken(struct: Struct, *given: Any) -> int:
        if struct.make is ServerHello:
            raise error
        return scan(struct, *given)

    monkeypatch.setattr(context, "scan", broken)
    client_refuses(Fault.INTERNAL_ERROR)


def test_a_peer_that_goes_away(meet: Meet) -> None:
    """Nobody is there to be told: no alert, and an error for the application."""
    encounter = meet()
    connection: ClientConnection | ServerConnection = encounter.connection
    with pytest.raises(TruncationError) as caught:
        connection.receive_eof()
    assert caught.value.fault is Fault.TRUNCATED
    assert connection.data_to_send() == b""
    assert (AlertLevel.FATAL, Fault.TRUNCATED.alert) not in encounter.peer.alerts


def test_a_peer_that_resets_the_connection(server_config: ServerConfig) -> None:
    encounter = Encounter(ServerConnection(server_config), ScriptedClient(order=()))
    with pytest.raises(TruncationError) as caught:
        encounter.connection.receive_eof(reset=True)
    assert caught.value.fault is Fault.RESET_DURING_HANDSHAKE
    assert encounter.connection.data_to_send() == b""


def test_a_key_log_that_cannot_be_written(
    client_refuses: ClientRefuses, client_config: ClientConfig
) -> None:
    def full(line: str) -> None:
        raise OSError(28, "No space left on device")

    client_refuses(Fault.KEY_LOG_FAILED, config=replace(client_config, keylog=full))
