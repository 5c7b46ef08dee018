"""The reader of answers: whole ones, broken ones, and whatever a stranger may send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scan.model import Model, message, record, vector

from handclasp.iana import TLS12, TLS13
from handclasp.scan.answer import MOST_BYTES, Answer, AnswerReader
from handclasp.scan.hello import Hello
from handclasp.scan.legacy import read_old_answer
from handclasp.scan.steps import Ask

HELLO12 = Hello(TLS12, (0xC02F, 0x009E), (0x0017,), (0x0804,))
CHAIN = (b"leaf", b"issuer")


def flight(hello: Hello = HELLO12) -> bytes:
    model = Model({TLS13: (0x1301,), TLS12: (0xC02F, 0x009E)}, chain=CHAIN, staple=b"staple")
    return model.reply(Ask(hello, whole_flight=True))


def read(*parts: bytes, whole_flight: bool = True) -> Answer:
    reader = AnswerReader(whole_flight=whole_flight)
    for part in parts:
        reader.receive_data(part)
    return reader.answer


def test_a_flight_is_read_to_its_end() -> None:
    answer = read(flight())
    assert (answer.ending, answer.detail, answer.version) == ("flight", "", TLS12)
    assert (answer.certificates, answer.status) == (CHAIN, b"staple")
    assert answer.key_exchange is not None
    assert (answer.group, answer.key_exchange.scheme) == (0x0017, 0x0804)
    assert answer.evidence.startswith(b"\x02")


def test_a_hello_alone_ends_at_the_hello() -> None:
    answer = read(flight(), whole_flight=False)
    assert (answer.ending, answer.certificates) == ("hello", ())


def test_a_retry_names_its_group() -> None:
    answer = read(flight(Hello(TLS13, (0x1301,), (0x0017,))))
    assert answer.ending == "hello"
    assert (answer.version, answer.group) == (TLS13, 0x0017)


@given(st.lists(st.integers(1, 400), max_size=8))
def test_the_cuts_of_the_network_do_not_matter(cuts: list[int]) -> None:
    data, parts = flight(), list[bytes]()
    for cut in cuts:
        parts.append(data[:cut])
        data = data[cut:]
    whole, cut_up = read(flight()), read(*[part for part in parts if part], data or b" ")
    assert (cut_up.ending, cut_up.certificates, cut_up.group, cut_up.hello) == (
        whole.ending,
        whole.certificates,
        whole.group,
        whole.hello,
    )


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_one_wrong_byte_gives_an_answer_and_no_exception(at: int, byte: int) -> None:
    data = bytearray(flight())
    data[at % len(data)] = byte
    assert read(bytes(data), b"").ending != "open"


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_any_bytes_give_an_answer(parts: list[bytes]) -> None:
    read(*parts)
    read(*[record(part) for part in parts], b"")
    read(flight()[:100], *parts, b"")
    read_old_answer(b"".join(parts))


ENDLESS = message(11, vector(vector(b"x" * 1000, 3) * 60, 3))

BAD = {
    "http": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not tls", "400 Bad Request"),
    "another message": (record(message(14, b"")), "malformed", "in place of a ServerHello"),
    "a cut hello": (record(message(2, b"\3\3")), "malformed", "ServerHello"),
    "an odd alert": (record(b"\2", 21), "malformed", "alert of 1 bytes"),
    "a huge message": (record(b"\2\xff\xff\xff"), "malformed", "bytes"),
    "an unknown message": (flight()[:-4] + message(99, b""), "malformed", "type 99"),
    "nothing": (b"", "closed", "closed"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_answers_say_what_they_are(kind: str) -> None:
    data, ending, says = BAD[kind]
    if kind == "an unknown message":
        data = record(flight()[5:-4] + message(99, b""))
    answer = read(data)
    assert answer.ending == ending
    assert says in answer.detail


def test_an_alert_is_named_and_kept_as_evidence() -> None:
    answer = read(b"\x15\x03\x03\x00\x02\x02\x46")
    assert (answer.ending, answer.said()) == ("alert", "alert protocol_version")
    assert answer.evidence == bytes.fromhex("15030300020246")


def test_a_warning_is_no_end() -> None:
    warning = b"\x15\x03\x03\x00\x02\x01\x70"
    assert read(warning, flight()).ending == "flight"
    assert read(warning * 8).ending == "alert"


@pytest.mark.parametrize(
    "endless",
    [
        record(b"", 22),
        record(message(0, b"")),
        record(b"\1", 20),
        record(ENDLESS[:16384]),
        record(message(11, b"\0\0\0")),
    ],
    ids=["empty", "HelloRequest", "change_cipher_spec", "chain", "messages"],
)
def test_a_server_that_never_ends_is_left(endless: bytes) -> None:
    reader = AnswerReader(whole_flight=True)
    hello = flight()[5:]
    reader.receive_data(record(hello[: 4 + int.from_bytes(hello[1:4], "big")]))
    sent = 0
    while not reader.is_over:
        reader.receive_data(endless)
        sent += len(endless)
        assert sent <= MOST_BYTES + 20_000
    assert reader.answer.ending == "malformed"


def test_a_flight_has_few_messages() -> None:
    hello = flight()[5:]
    whole = record(hello[: 4 + int.from_bytes(hello[1:4], "big")])
    answer = read(whole, record(message(0, b"") * 100))
    assert (answer.ending, answer.detail) == ("malformed", "more than 16 messages in one flight")


def test_a_record_that_is_too_long_is_malformed_tls() -> None:
    reader = AnswerReader()
    reader.receive_data(b"\x16\3\3\x48\1" + bytes(64))
    assert reader.answer.ending == "malformed"
    assert reader.answer.detail.startswith("a record of 18,433 bytes, and 16,640 are the most")
