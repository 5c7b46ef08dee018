"""A server as a function: what it answers to a hello by its settings, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from handclasp.config import ClientConfig
from handclasp.dns import DnsError, NoEchError
from handclasp.iana import TLS12, TLS13, ContentType, ExtensionType
from handclasp.scan.answer import Answer, AnswerReader
from handclasp.scan.legacy import OldAnswer
from handclasp.scan.plan import examine
from handclasp.scan.probes import Offer
from handclasp.scan.report import Report, Target
from handclasp.scan.steps import Ask, AskOld, Exchange, LookUp, Probe, Provoke, Shake, Shaken
from handclasp.scan.suites import exchange_of
from handclasp.wire.extensions import (
    write_alpn,
    write_key_share_hello_retry_request,
    write_selected_version,
)
from handclasp.wire.messages import HELLO_RETRY_REQUEST_RANDOM, ServerHello, write_message
from handclasp.wire.records import write_plaintext

HANDSHAKE_FAILURE = b"\x15\x03\x03\x00\x02\x02\x28"
PROTOCOL_VERSION = b"\x15\x03\x03\x00\x02\x02\x46"
INAPPROPRIATE_FALLBACK = b"\x15\x03\x03\x00\x02\x02\x56"
SCSV = 0x5600


def message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def record(content: bytes, kind: int = ContentType.HANDSHAKE) -> bytes:
    return write_plaintext(kind, content)


def vector(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size, "big") + data


@dataclass
class Model:
    """A server's settings.

    Attributes:
        versions: the suites of each version, in the server's order.
        groups: of TLS 1.3, then those of TLS 1.2, in the server's order.
        client_order: whether the first suite of the hello that it has is taken.
        extensions: what it answers in a ServerHello of TLS 1.2, where it was offered.
    """

    versions: dict[int, Sequence[int]]
    groups: Sequence[int] = (0x001D, 0x0017)
    curves: Sequence[int] = (0x0017, 0x001D)
    schemes: Sequence[int] = (0x0804, 0x0401)
    alpn: Sequence[bytes] = ()
    client_order: bool = False
    extensions: dict[int, bytes] = field(default_factory=dict[int, bytes])
    chain: Sequence[bytes] = ()
    staple: bytes = b""
    ssl2: bool = False
    fallback: bool = True
    compression: int = 0
    random_end: bytes = b"DOWNGRD\1"
    asked: list[Exchange] = field(default_factory=list[Any])

    def examine(self, request: bytes = b"", *, asks_dns: bool = False) -> Report:
        """Scan it, by the whole plan."""
        report = Report(Target("example.com"))
        offer = Offer("example.com", ClientConfig(verify_peer=False))
        return self.run(examine(offer, report, request, asks_dns=asks_dns), report)

    def run(self, plan: Probe[None], report: Report) -> Report:
        try:
            exchange = next(plan)
            while True:
                self.asked.append(exchange)
                exchange = plan.send(self.answer(exchange))
        except StopIteration:
            return report

    def answer(self, exchange: Exchange) -> Answer | OldAnswer | Shaken | DnsError | str:
        match exchange:
            case Ask():
                reader = AnswerReader(whole_flight=exchange.whole_flight)
                reader.receive_data(self.reply(exchange))
                reader.receive_data(b"")
                return reader.answer
            case AskOld():
                return OldAnswer(self.ssl2, b"\x80")
            case Provoke():
                return self.react(exchange)
            case Shake():
                return Shaken(error="a model makes no handshake")
            case LookUp():
                return NoEchError("A model publishes nothing.")

    def react(self, provoke: Provoke) -> str:
        return "alert bad_record_mac" if provoke.complete else "nothing"

    def reply(self, asked: Ask) -> bytes:
        hello = asked.hello
        version = max((v for v in self.versions if v <= hello.version), default=0)
        if not version or (hello.version == TLS13 and version != TLS13):
            return PROTOCOL_VERSION
        if self.fallback and SCSV in hello.suites and version < max(self.versions):
            return INAPPROPRIATE_FALLBACK
        lists = self.versions[version], hello.suites
        first, second = lists[::-1] if self.client_order else lists
        suite = next((each for each in first if each in second), None)
        if suite is None:
            return HANDSHAKE_FAILURE
        return (
            self._retry(asked, suite) if version == TLS13 else self._flight(asked, version, suite)
        )

    def _retry(self, asked: Ask, suite: int) -> bytes:
        group = next((each for each in self.groups if each in asked.hello.groups), None)
        if group is None:
            return HANDSHAKE_FAILURE
        extensions = {
            int(ExtensionType.SUPPORTED_VERSIONS): write_selected_version(TLS13),
            int(ExtensionType.KEY_SHARE): write_key_share_hello_retry_request(group),
        }
        retry = ServerHello(TLS12, HELLO_RETRY_REQUEST_RANDOM, b"", suite, 0, extensions)
        return record(write_message(retry))

    def _flight(self, asked: Ask, version: int, suite: int) -> bytes:
        hello = asked.hello
        extensions = {k: v for k, v in self.extensions.items() if k in hello.extra or k == 0xFF01}
        if protocol := next((each for each in self.alpn if each in hello.alpn), b""):
            extensions[ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION] = write_alpn(
                [protocol]
            )
        random = bytes(24) + self.random_end
        compression = self.compression if self.compression in hello.compression else 0
        flight = write_message(
            ServerHello(version, random, b"an id", suite, compression, extensions)
        )
        entries = b"".join(vector(each, 3) for each in self.chain)
        flight += message(11, vector(entries, 3))
        if self.staple:
            flight += message(22, b"\1" + vector(self.staple, 3))
        if "DHE_" in exchange_of(suite):
            body = self._key_exchange(asked, version, suite)
            if body is None:
                return HANDSHAKE_FAILURE
            flight += message(12, body)
        return record(flight + message(14, b""))

    def _key_exchange(self, asked: Ask, version: int, suite: int) -> bytes | None:
        scheme = next((each for each in self.schemes if each in asked.hello.schemes), None)
        curve = next((each for each in self.curves if each in asked.hello.groups), None)
        if version == TLS12 and scheme is None:
            return None
        if exchange_of(suite).startswith("ECDHE"):
            if curve is None:
                return None
            body = b"\3" + curve.to_bytes(2, "big") + vector(bytes(32), 1)
        else:
            body = vector(b"\xff" * 128, 2) + vector(b"\2", 2) + vector(bytes(128), 2)
        signed = scheme.to_bytes(2, "big") if version == TLS12 and scheme is not None else b""
        return body + signed + vector(bytes(64), 2)
