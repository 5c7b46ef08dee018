"""Messages of the next flight before their turn, where no keys change in between.

What a peer says before it has heard this side cannot be an answer. Bytes in a record of their own
may have come early or in time, which nobody can tell; in the record of the last message, they
cannot (docs/decisions/0027).
"""

from __future__ import annotations

import pytest
from tests.adversarial.conftest import ClientRefuses, ServerRefuses

from handclasp import Fault
from handclasp.iana import HandshakeType
from handclasp.testing.deviations import followed_by, handshake_message
from handclasp.testing.scripted12 import ScriptedClient12, ScriptedServer12

TAILS = [
    handshake_message(HandshakeType.CLIENT_KEY_EXCHANGE, b"\x20" + bytes(32)),
    handshake_message(HandshakeType.FINISHED, bytes(12)),
    handshake_message(HandshakeType.CLIENT_HELLO, bytes(40)),
    handshake_message(HandshakeType.NEW_SESSION_TICKET, bytes(6)),
    b"\x10\0\0",  # the start of one
    b"\x10",
]
DONE = handshake_message(HandshakeType.SERVER_HELLO_DONE, b"")
tails = pytest.mark.parametrize("tail", TAILS, ids=lambda tail: tail[:4].hex())


def fault_of(tail: bytes) -> Fault:
    """The alert is the same; what has begun, and is not whole, has this side's flight inside."""
    return Fault.UNEXPECTED_MESSAGE if len(tail) > 3 else Fault.INTERLEAVED_RECORD


@tails
def test_behind_a_hello_of_tls12(server_refuses: ServerRefuses, tail: bytes) -> None:
    encounter = server_refuses(fault_of(tail), kind=ScriptedClient12, first_hello=followed_by(tail))
    assert encounter.peer.server_random == bytes(32), "something was answered"  # type: ignore[attr-defined]


@tails
def test_behind_server_hello_done(client_refuses: ClientRefuses, tail: bytes) -> None:
    client_refuses(fault_of(tail), kind=ScriptedServer12, server_hello_done=DONE + tail)


@tails
def test_behind_the_first_hello(server_refuses: ServerRefuses, tail: bytes) -> None:
    """The second one is an answer to a HelloRetryRequest."""
    encounter = server_refuses(fault_of(tail), shares=(), first_hello=followed_by(tail))
    assert not hasattr(encounter.peer, "server_hello"), "something was answered"


@tails
def test_behind_a_hello_retry_request(client_refuses: ClientRefuses, tail: bytes) -> None:
    client_refuses(fault_of(tail), retry="secp256r1", hello_retry_request=followed_by(tail))
