"""A client and a server of ours in one memory, and whatever carries bytes between them.

    pair = Pair(client_config, server_config).run()
    assert pair.client.info.cipher_suite == "TLS_AES_128_GCM_SHA256"

Nothing is raised: what a side makes of it all is in its `events`, `error` and `data`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from handclasp import (
    ClientConfig,
    ClientConnection,
    ConnectionInfo,
    DataReceived,
    Event,
    Question,
    QuestionAsked,
    Recorder,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.wire.records import HEADER_SIZE


@dataclass
class End:
    """One side, and all that it said and saw."""

    connection: ClientConnection | ServerConnection
    trace: Recorder
    events: list[Event] = field(default_factory=list)
    error: TLSError | None = None
    sent: bytearray = field(default_factory=bytearray)

    def take(self) -> bytes:
        data = bytes(self.connection.data_to_send())
        self.sent += data
        return data

    def receive(self, data: bytes) -> None:
        self.do(lambda: self.connection.receive_data(data))

    def receive_eof(self) -> None:
        self.do(self.connection.receive_eof)

    def do(self, call: Callable[[], list[Event]]) -> None:
        """Note what a call gives, be it events or an error."""
        try:
            self.events += call()
        except TLSError as error:
            self.error = error
        self.error = self.error or self.connection.failure

    def answer(self, value: object) -> None:
        question = self.question
        self.do(lambda: self.connection.answer(question, value))

    def refuse(self, error: BaseException) -> None:
        question = self.question
        self.do(lambda: self.connection.refuse(question, error))

    @property
    def question(self) -> Question[object]:
        """The question asked last."""
        return next(e.question for e in reversed(self.events) if isinstance(e, QuestionAsked))

    @property
    def info(self) -> ConnectionInfo:
        info = self.connection.info
        assert info is not None, self.error
        return info

    @property
    def data(self) -> bytes:
        return b"".join(event.data for event in self.events if isinstance(event, DataReceived))

    def saw(self, kind: type[Event]) -> int:
        """How many events of this kind came."""
        return sum(isinstance(event, kind) for event in self.events)

    @property
    def records(self) -> list[tuple[int, bytes]]:
        """What this side sent, as records: outer content type and body."""
        return split_records(bytes(self.sent))


class Pair:
    """Both ends.

    Args:
        size: the transport brings this many bytes at a time; None brings all there is.
        traced: whether both connections have the recorders of their ends.
    """

    def __init__(
        self,
        client: ClientConfig,
        server: ServerConfig,
        server_name: str | None = "localhost",
        *,
        size: int | None = None,
        traced: bool = True,
    ) -> None:
        recorders = Recorder(), Recorder()
        traces = recorders if traced else (None, None)
        self.client = End(
            ClientConnection(client, server_name=server_name, trace=traces[0]), recorders[0]
        )
        self.server = End(ServerConnection(server, trace=traces[1]), recorders[1])
        self.size = size

    def run(self) -> Pair:
        """Carry bytes to and fro until both are silent."""
        while self.carry(self.client, self.server) | self.carry(self.server, self.client):
            pass
        return self

    def carry(self, sender: End, receiver: End) -> bool:
        """What one side has to say, to the other; whether there was anything."""
        data = sender.take()
        for start in range(0, len(data), self.size or len(data) or 1):
            receiver.receive(data[start : start + (self.size or len(data))])
        return bool(data)

    def say(self, sender: End, data: bytes) -> None:
        """Application data, all the way."""
        sender.connection.send_data(data)
        self.run()

    @property
    def established(self) -> bool:
        return self.client.connection.established and self.server.connection.established


def split_records(stream: bytes) -> list[tuple[int, bytes]]:
    """A stream of whole records, as outer content type and body."""
    records: list[tuple[int, bytes]] = []
    at = 0
    while at < len(stream):
        end = at + HEADER_SIZE + int.from_bytes(stream[at + 3 : at + 5], "big")
        records.append((stream[at], stream[at + HEADER_SIZE : end]))
        at = end
    assert at == len(stream), "the stream ends in the middle of a record"
    return records
