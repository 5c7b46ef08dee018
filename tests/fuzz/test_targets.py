"""The fuzzer's targets: each holds on its seeds and a few mutants, and each can find something.

Here without the engine, in seconds; `make fuzz` has the coverage and the time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from tests.fuzz import foreign, parsers
from tests.fuzz.connections import attack_client, attack_server
from tests.fuzz.conversation import setups
from tests.fuzz.targets import TARGETS

from handclasp.capture import agreed, messages, observe, records, tshark
from handclasp.capture.conversation import Conversation, Side
from handclasp.capture.stream import Address, Piece, Stream
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.finished import CheckedFinished, check_finished
from handclasp.handshake.tls13 import client as client13
from handclasp.server import ServerConnection
from handclasp.wire.messages import STRUCTS, ClientHello, ServerHello

# A certificate of x509-limbo has a serial number that is negative.
NEGATIVE = "ignore:Parsed a serial number which wasn.t positive"
# The seeds of captures are read by tshark, which takes a minute of them where others work, too.
pytestmark = [pytest.mark.long, pytest.mark.timeout(300), pytest.mark.filterwarnings(NEGATIVE)]

_MOST = 250
"""Seeds of a target that are tried here, spread over all of them."""


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


def seeds_of(name: str) -> list[bytes]:
    seeds = list(TARGETS[name].seeds())
    return seeds[:: 1 + len(seeds) // _MOST]


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    for seed in seeds_of(name):
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_mutants_of_the_seeds(name: str) -> None:
    chance = random.Random(name)
    for seed in seeds_of(name):
        TARGETS[name].run(mutated(chance, seed))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff", bytes(70), b"\xff" * 70])
def test_next_to_nothing(name: str, data: bytes) -> None:
    TARGETS[name].run(data)


# A target that cannot fail is none.


def as_it_should_be() -> Iterator[bytes]:
    for number in range(len(setups())):
        yield bytes([number, 0])


@pytest.mark.parametrize(
    ("attack", "message"), [(attack_client, ServerHello), (attack_server, ClientHello)]
)
def test_an_exception_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, attack: Callable[[bytes], None], message: type
) -> None:
    def broken(*_: object) -> object:
        raise KeyError("a defect")

    setups()  # their sessions come from handshakes that must not meet the defect
    monkeypatch.setitem(STRUCTS, message, SimpleNamespace(read=broken, fields=(None,)))
    with pytest.raises(AssertionError, match="our own failure"):
        attack(b"\0\0")


def test_a_handshake_without_finished_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_check(raw: bytes, expected: bytes) -> object:
        try:
            return check_finished(raw, expected)
        except ProtocolError:
            return CheckedFinished(bytes(32))

    monkeypatch.setattr(client13, "check_finished", no_check)
    # Behind four messages and a change_cipher_spec comes the server's Finished, and its first
    # 16 bytes become others: a single byte would be what it was in one run of 256.
    changed = b"\0\0" + bytes(5) + b"\x04\0\0\0\x01\x10" + b"\xff" * 16
    with pytest.raises(AssertionError, match="without the peer's Finished"):
        attack_client(changed)
    attack_client(b"\0\0")


def test_going_on_after_a_failure_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = b"\0\0\x04\0\0\0\0\xff"
    attack_server(changed)
    monkeypatch.setattr(ServerConnection, "data_to_send", lambda self: bytes(100))
    with pytest.raises(AssertionError, match="goes on"):
        attack_server(changed + b"\x06" * 20)


def test_a_reader_that_loses_bytes_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsers, "write_message", lambda value: b"")
    with pytest.raises(AssertionError, match="write back"):
        TARGETS["message"].run(next(iter(TARGETS["message"].seeds())))


def test_records_that_depend_on_the_cut_are_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    real = parsers._read_stream
    monkeypatch.setattr(
        parsers, "_read_stream", lambda stream, sizes: [*real(stream, sizes), len(sizes)]
    )
    with pytest.raises(AssertionError, match="cut"):
        TARGETS["records"].run(next(iter(TARGETS["records"].seeds())))


def test_a_fault_of_the_parser_is_the_same_for_both_readers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def differs(raw: bytes, *opener: object) -> object:
        raise ProtocolError(Fault.ILLEGAL_VALUE if opener else Fault.DECODE_ERROR)

    monkeypatch.setattr(parsers, "read_as", lambda kind, raw, *opener: differs(raw, *opener))
    with pytest.raises(AssertionError, match="judges otherwise"):
        TARGETS["message"].run(bytes([0]) + bytes(40))


def test_an_exception_at_a_capture_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise StopIteration

    monkeypatch.setattr(agreed, "_info", broken)
    with pytest.raises(StopIteration):
        TARGETS["capture"].run(b"\0\0")


def test_a_story_that_depends_on_the_cut_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    real = observe._records

    def whole_records_only(talk: Conversation, side: Side) -> None:
        real(talk, side)
        side.buffer.clear()

    monkeypatch.setattr(observe, "_records", whole_records_only)
    with pytest.raises(AssertionError, match="cut"):
        TARGETS["capture"].run(b"\0\x14")


def test_a_foreign_story_that_depends_on_the_cut_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seed = next(iter(TARGETS["foreign"].seeds()))
    TARGETS["foreign"].run(seed)
    real = observe._records

    def whole_records_only(talk: Conversation, side: Side) -> None:
        real(talk, side)
        side.buffer.clear()

    monkeypatch.setattr(observe, "_records", whole_records_only)
    with pytest.raises(AssertionError, match="cut"):
        TARGETS["foreign"].run(seed)


def test_a_chain_that_is_explained_otherwise_than_decided_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(foreign, "verify_server_chain", verify_nothing)
    with pytest.raises(AssertionError, match="another verdict"):
        for seed in TARGETS["limbo"].seeds():
            TARGETS["limbo"].run(seed)


def verify_nothing(*_: object, **__: object) -> None:
    """Accept every chain."""


def test_a_message_in_the_clear_told_as_opened_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A Finished in the clear, put before the server's second flight.
    forged = b"\0\0\x05\x08\0\x01"
    TARGETS["capture"].run(forged)
    real = records._plain_record

    def takes_it(talk: Conversation, side: Side, kind: int, body: bytes, size: int) -> None:
        if kind == 22:
            messages.take_content(talk, side, kind, body)
        else:
            real(talk, side, kind, body, size)

    monkeypatch.setattr(records, "_plain_record", takes_it)
    with pytest.raises(AssertionError, match="never said"):
        TARGETS["capture"].run(forged)


def test_an_observer_that_misses_a_message_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    TARGETS["overheard"].run(b"\0\0")
    monkeypatch.setattr(messages, "_server_hello", lambda talk, hello: None)
    with pytest.raises(AssertionError, match="did not"):
        TARGETS["overheard"].run(b"\0\0")


def test_a_third_end_that_was_printed_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    said = b"\1" + tshark_says(b"|443|49152|0x", b"|444|49152|0x")
    TARGETS["printed"].run(said)
    said_by_nobody = Stream(0, (Address("::", 1), Address("::", 2)), (Piece(0, 7, b"x"),))
    monkeypatch.setattr(tshark, "put_together", lambda *arguments: said_by_nobody)
    said = b"\1" + tshark_says(b"", b"")
    with pytest.raises(AssertionError, match="said by nobody"):
        TARGETS["printed"].run(said)


def tshark_says(printed: bytes, instead: bytes) -> bytes:
    """A conversation as tshark prints it, changed in one place."""
    followed = next(seed for seed in TARGETS["printed"].seeds() if seed.startswith(b"\1"))
    assert printed in followed
    return followed[1:].replace(printed, instead, 1)


def test_a_conversation_that_comes_out_otherwise_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_up = b"\2\1\0\0\1\3abc"
    TARGETS["printed"].run(made_up)
    monkeypatch.setattr(tshark, "_nanoseconds", lambda moment: 0)
    with pytest.raises(AssertionError, match="another conversation"):
        TARGETS["printed"].run(made_up)
