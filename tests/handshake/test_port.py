"""TLS 1.3 over a port without records: each epoch a stream of messages of its own, as in QUIC.

The handshakes do not know the difference: they hand over messages and traffic secrets.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ConfigurationError,
    Fault,
    ProtocolError,
    ServerConfig,
    SessionStore,
)
from handclasp.certificates.trust import TrustStore
from handclasp.crypto.suites import Buffer
from handclasp.handshake.answers import Answers
from handclasp.handshake.client import client_handshake
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.defaults import ClientAnswers, ServerAnswers
from handclasp.handshake.loop import Handshake, HandshakeLoop
from handclasp.handshake.port import DirectionSecret
from handclasp.handshake.result import HandshakeResult13
from handclasp.handshake.server import server_handshake
from handclasp.keys.epoch import Epoch
from handclasp.keys.schedule13 import TrafficSecret


class Streams:
    """A port: what is to be sent in each epoch, and the secrets of both directions."""

    unparsed: Buffer = b""
    read_epoch = write_epoch = Epoch.PLAINTEXT

    def __init__(self) -> None:
        self.sent: list[tuple[Epoch, bytes]] = []
        self.reads: dict[Epoch, bytes] = {}
        self.writes: dict[Epoch, bytes] = {}

    def send(self, epoch: Epoch, message: bytes) -> None:
        self.sent.append((epoch, message))

    def install_read(self, epoch: Epoch, secret: DirectionSecret) -> None:
        if self.unparsed:
            raise ProtocolError(Fault.HANDSHAKE_ACROSS_KEY_CHANGE)
        self.read_epoch = epoch
        self.reads[epoch] = _bytes_of(secret)

    def install_write(self, epoch: Epoch, secret: DirectionSecret) -> None:
        self.write_epoch = epoch
        self.writes[epoch] = _bytes_of(secret)

    def end_flight(self) -> None:
        if self.unparsed:
            raise ProtocolError(Fault.UNEXPECTED_MESSAGE)


def _bytes_of(secret: DirectionSecret) -> bytes:
    assert isinstance(secret, TrafficSecret)
    return bytes(secret.secret)


class End(HandshakeLoop):
    """One side: the loop over messages, and its port."""

    __slots__ = ("result", "streams")

    def __init__(self, config: Any) -> None:
        self.streams = Streams()
        super().__init__(self.streams, config.limits)
        self.result: HandshakeResult13 | None = None

    def start(self, answers: Any, handshake: Any) -> None:
        context = HandshakeContext(self.streams, Answers(answers.by_question))
        coroutine: Handshake = handshake(context)
        self._begin(coroutine, context)

    def receive(self, data: bytes) -> None:
        self._receive_handshake(data)

    def _established(self, result: Any) -> None:
        self.result = result


def client_of(config: ClientConfig) -> End:
    end, answers = End(config), ClientAnswers(config, config.trust)
    end.start(answers, lambda hs: client_handshake(hs, config, "localhost"))
    return end


def server_of(config: ServerConfig) -> End:
    end = End(config)
    end.start(ServerAnswers(config, None), lambda hs: server_handshake(hs, config))
    return end


def run(client: End, server: End, size: int = 2**16) -> None:
    """Carry the messages to and fro, in pieces of at most so many bytes."""
    ends = [(client, server), (server, client)]
    while any(end.streams.sent for end in (client, server)):
        for sender, receiver in ends:
            sent, sender.streams.sent = sender.streams.sent, []
            for _, message in sent:
                for at in range(0, len(message), size):
                    receiver.receive(message[at : at + size])


def shared(pki: Pki) -> tuple[ClientConfig, ServerConfig]:
    trust: TrustStore = pki.trust
    client = ClientConfig(
        trust=trust, versions=["TLSv1.3"], middlebox_compatibility=False, sessions=SessionStore()
    )
    return client, ServerConfig(credentials=pki.server("localhost"), versions=["TLSv1.3"])


def assert_same_secrets(client: End, server: End) -> None:
    """Equal secrets at both ends, in each direction and epoch, and for what is exported."""
    epochs = {Epoch.HANDSHAKE, Epoch.APPLICATION}
    assert set(client.streams.reads) == set(client.streams.writes) == epochs
    assert client.streams.reads == server.streams.writes
    assert client.streams.writes == server.streams.reads
    secrets = [*client.streams.reads.values(), *client.streams.writes.values()]
    assert len(set(secrets)) == 4
    assert client.result is not None
    assert server.result is not None
    exported = [end.result.exporter.export("EXPORTER-x", None, 32) for end in (client, server)]  # type: ignore[union-attr]
    assert exported[0] == exported[1]


@pytest.mark.parametrize("size", [1, 100, 2**16])
def test_both_ends_come_to_the_same_secrets(pki: Pki, size: int) -> None:
    config, server_config = shared(pki)
    client, server = client_of(config), server_of(server_config)
    assert [epoch for epoch, _ in client.streams.sent] == [Epoch.PLAINTEXT]
    run(client, server, size)
    assert_same_secrets(client, server)
    assert client.result is not None
    assert client.result.info.peer_verified


def test_each_message_goes_out_in_its_epoch(pki: Pki) -> None:
    config, server_config = shared(pki)
    client, server = client_of(config), server_of(server_config)
    ((_, hello),) = client.streams.sent
    server.receive(hello)
    sent = [(epoch, message[0]) for epoch, message in server.streams.sent]
    assert sent == [
        (Epoch.PLAINTEXT, 2),  # ServerHello
        (Epoch.HANDSHAKE, 8),  # EncryptedExtensions
        (Epoch.HANDSHAKE, server.streams.sent[2][1][0]),  # Certificate, compressed or not
        (Epoch.HANDSHAKE, 15),  # CertificateVerify
        (Epoch.HANDSHAKE, 20),  # Finished
    ]
    for _, message in server.streams.sent:
        client.receive(message)
    assert [(epoch, message[0]) for epoch, message in client.streams.sent][1:] == [
        (Epoch.HANDSHAKE, 20)
    ]


def test_a_retry_needs_no_records_either(pki: Pki) -> None:
    config, server_config = shared(pki)
    config = ClientConfig(
        trust=pki.trust,
        versions=["TLSv1.3"],
        groups=["X25519", "secp256r1"],
        key_shares=["X25519"],
        middlebox_compatibility=False,
    )
    server_config = ServerConfig(
        credentials=pki.server("localhost"), versions=["TLSv1.3"], groups=["secp256r1"]
    )
    client, server = client_of(config), server_of(server_config)
    run(client, server)
    assert_same_secrets(client, server)
    assert client.result is not None
    assert client.result.info.hello_retry


def test_what_stands_behind_a_change_of_keys_is_refused(pki: Pki) -> None:
    config, server_config = shared(pki)
    client, server = client_of(config), server_of(server_config)
    ((_, hello),) = client.streams.sent
    server.receive(hello)
    (_, server_hello), (_, extensions) = server.streams.sent[:2]
    with pytest.raises(ProtocolError) as caught:
        client.receive(server_hello + extensions)
    assert caught.value.fault is Fault.HANDSHAKE_ACROSS_KEY_CHANGE


def test_tls12_needs_records(pki: Pki) -> None:
    config = ClientConfig(trust=pki.trust, versions=["TLSv1.2"])
    server_config = ServerConfig(credentials=pki.server("localhost"), versions=["TLSv1.2"])
    client, server = client_of(config), server_of(server_config)
    with pytest.raises(ProtocolError) as caught:
        run(client, server)
    cause = caught.value.__cause__
    assert type(cause) is ConfigurationError
    assert "versions" in str(cause)
