"""A target: the answers of a stranger to the hellos of a scan."""

from __future__ import annotations

from collections.abc import Iterable

from tests.fuzz.target import Choices, Target
from tests.scan.model import Model

from handclasp import ClientConfig
from handclasp.iana import TLS12, TLS13
from handclasp.scan import Report
from handclasp.scan import Target as Host
from handclasp.scan.answer import AnswerReader
from handclasp.scan.features import in_the_clear
from handclasp.scan.hello import Hello
from handclasp.scan.legacy import read_old_answer
from handclasp.scan.plan import attempt
from handclasp.scan.probes import Offer
from handclasp.scan.report import Fact, Suites
from handclasp.scan.steps import Ask

_MOST_ROUNDS = 8
_CONFIG = ClientConfig(verify_peer=False)


def scan_answers(data: bytes) -> None:
    """Read any bytes as an answer, cut anywhere; nothing but an answer may come of it."""
    choices = Choices(data)
    size = 1 + choices.byte()
    content = choices.rest()
    read_old_answer(content)
    whole, cut = AnswerReader(whole_flight=True), AnswerReader(whole_flight=True)
    whole.receive_data(content or b"\0")
    for at in range(0, len(content), size):
        cut.receive_data(content[at : at + size])
    whole.receive_data(b"")
    cut.receive_data(b"")
    if whole.answer.certificates != cut.answer.certificates and whole.answer.ending == "flight":
        raise AssertionError("the cuts of the network change an answer")
    _probe(content)


def _probe(content: bytes) -> None:
    """Give the same answer to every hello of a probe that reads many extensions."""
    report = Report(Host("example.com"))
    report.versions["TLSv1.2"] = Fact(True)
    report.suites["TLSv1.2"] = Suites(("TLS_RSA_WITH_AES_128_CBC_SHA",))
    probe = attempt(report, "extensions", in_the_clear(Offer("", _CONFIG), report))
    try:
        next(probe)
        for _ in range(_MOST_ROUNDS):
            reader = AnswerReader(whole_flight=True)
            reader.receive_data(content or b"\0")
            reader.receive_data(b"")
            probe.send(reader.answer)
    except StopIteration:
        report.to_json()


def seeds() -> Iterable[bytes]:
    """Return the answers of a model of a server."""
    extensions = {23: b"", 35: b"", 15: b"\1", 0xFF01: b"\0", 5: b"", 18: b"\0\4\0\2hi"}
    model = Model(
        {TLS13: (0x1301,), TLS12: (0xC02F, 0x009E, 0x002F)},
        chain=(b"leaf", b"issuer"),
        staple=b"staple",
        extensions=extensions,
        alpn=(b"h2",),
    )
    for hello in (
        Hello(TLS13, (0x1301,), (0x0017,)),
        Hello(TLS12, (0xC02F,), (0x0017,), (0x0804,), alpn=(b"h2",), extra=extensions),
        Hello(TLS12, (0x009E,), (0x0017,), (0x0804,)),
        Hello(TLS12, (0x1302,)),
    ):
        yield b"\x10" + model.reply(Ask(hello, whole_flight=True))


def targets() -> Iterable[Target]:
    return (Target("scan", scan_answers, seeds),)
