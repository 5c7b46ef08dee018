"""`python -m tests.fuzz --seconds 60`: mutated messages and flights, for as long as it is told.

Each turn takes one real flight or message, mutates it, and feeds it to the parser or to a
connection in the state where that flight belongs. Nothing may come out but a `TLSError` that the
peer caused; `INTERNAL_ERROR` counts as a finding, too. A finding ends the run with status 1 and
prints the seed of its turn; `--seed N --turns 1` repeats it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections.abc import Callable

from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ClientConnection,
    Fault,
    Recorder,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.trace.events import MessageSeen
from handclasp.wire.messages import read_message, write_message

Turn = Callable[[random.Random], str]


def main() -> int:
    """Fuzz, and say how many turns of each kind there were."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--turns", type=int, default=sys.maxsize)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = parser.parse_args()
    turns = Fuzz().turns()
    outcomes: dict[str, int] = {}
    ends = time.monotonic() + options.seconds
    seed = options.seed
    while time.monotonic() < ends and seed - options.seed < options.turns:
        chance = random.Random(seed)
        turn = chance.choice(turns)
        try:
            outcome = turn(chance)
        except Exception:
            traceback.print_exc()
            print(f"a finding in {turn.__name__}: repeat it with --seed {seed} --turns 1")
            return 1
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        seed += 1
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:9}  {outcome}")
    print(f"{seed - options.seed} turns from seed {options.seed}, no finding")
    return 0


class Fuzz:
    """The corpus, which is one real handshake, and the turns that start from it."""

    def __init__(self) -> None:
        pki = Pki()
        self._client_config = ClientConfig(trust=pki.trust)
        self._server_config = ServerConfig(credentials=pki.server("localhost"))
        trace = Recorder()
        client = ClientConnection(self._client_config, server_name="localhost", trace=trace)
        server = ServerConnection(self._server_config)
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
        self._messages = [event.raw for event in trace.events if isinstance(event, MessageSeen)]

    def turns(self) -> list[Turn]:
        return [self.message, self.client_hello, self.server_flight, self.client_flight, self.alive]

    def message(self, chance: random.Random) -> str:
        """A mutated message either reads and writes back to itself, or is refused."""
        raw = mutated(chance, chance.choice(self._messages))
        if len(raw) < 4:
            return "message: too short to be one"
        raw = raw[:1] + (len(raw) - 4).to_bytes(3, "big") + raw[4:]
        try:
            message = read_message(raw)
        except TLSError:
            return "message: refused"
        if write_message(message) != raw:
            raise AssertionError("a message was read that does not write back to itself")
        return "message: read"

    def client_hello(self, chance: random.Random) -> str:
        """A server is given a mutated ClientHello."""
        client, server = self._ends()
        return "ClientHello: " + fed(server, mutated(chance, _sent(client)), chance)

    def server_flight(self, chance: random.Random) -> str:
        """A client is given a mutated flight of the server."""
        client, server = self._ends()
        server.receive_data(client.data_to_send())
        return "server's flight: " + fed(client, mutated(chance, _sent(server)), chance)

    def client_flight(self, chance: random.Random) -> str:
        """A server is given a mutated second flight of the client."""
        client, server = self._ends()
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
        return "client's flight: " + fed(server, mutated(chance, _sent(client)), chance)

    def alive(self, chance: random.Random) -> str:
        """An established server is given any handshake bytes under the right keys."""
        client, server = self._ends()
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
        server.receive_data(client.data_to_send())
        # The client's own record layer seals what no client would send.
        client._records.send_handshake(mutated(chance, chance.choice(self._messages)))
        return "after the handshake: " + fed(server, _sent(client), chance)

    def _ends(self) -> tuple[ClientConnection, ServerConnection]:
        client = ClientConnection(self._client_config, server_name="localhost")
        return client, ServerConnection(self._server_config)


def mutated(chance: random.Random, data: bytes) -> bytes:
    """`data` with one to four changes: flipped, overwritten, cut, doubled or moved bytes."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        size = chance.choice((1, 1, 2, 4, 16, 256))
        change = chance.randrange(5)
        if change == 0 and at < len(out):
            out[at] ^= 1 << chance.randrange(8)
        elif change == 1:
            out[at : at + size] = chance.randbytes(min(size, len(out) - at))
        elif change == 2:
            del out[at : at + size]
        elif change == 3:
            out[at:at] = out[at : at + size]
        else:
            out[at : at + 2] = chance.choice((b"\0\0", b"\xff\xff", b"\x7f\xff"))
    return bytes(out)


def fed(side: ClientConnection | ServerConnection, data: bytes, chance: random.Random) -> str:
    """Feed `data` in random pieces, then the end; says how the side took it."""
    try:
        while data:
            size = chance.choice((1, 5, 100, 1 << 16))
            side.receive_data(data[:size])
            side.data_to_send()
            data = data[size:]
        side.receive_eof()
    except TLSError as error:
        if error.fault == Fault.INTERNAL_ERROR.name:
            raise AssertionError("an exception of ours hides behind it") from error
        return error.fault
    return "closed"


def _sent(side: ClientConnection | ServerConnection) -> bytes:
    return bytes(side.data_to_send())


if __name__ == "__main__":
    sys.exit(main())
