"""What is told of captures that lack something, and of what is opened by nobody else here.

Conversations that went well are cut, thinned out and begun late, packet by packet: no claim is
made that is false of the whole.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.capture.datagrams import exchanges_in, kind_of
from handclasp.capture.observe import Observation, observe
from handclasp.capture.preamble import kind_of_preamble
from handclasp.capture.secrets import KeyLog
from handclasp.capture.segment import Segment
from handclasp.capture.segments import put_together
from handclasp.capture.stream import Address, CaptureError, Piece, Stream, StreamEnd
from handclasp.capture.suites import suite12_of, suite13_of, tag_size_of, why_closed
from handclasp.faults import Blame
from handclasp.iana import cipher_suite_name
from handclasp.iana.suite_names import CIPHER_SUITES_OF_OTHERS
from handclasp.story.diagnosis import Diagnosis, diagnose
from handclasp.story.facts import observed_in
from handclasp.story.narrate import narrate
from handclasp.trace.events import AlertSeen, BytesRefused, Failed, HandshakeResult

DATA = Path(__file__).parent / "data"
FIN, SYN, RST, ACK = 1, 2, 4, 16

Packet = tuple[Segment, int]
"""A segment, and its flags."""


def packets_of(name: str) -> tuple[tuple[Address, Address], list[Packet]]:
    """The packets of a capture of one connection over Ethernet and IPv4, as pcap has them."""
    data, at = (DATA / f"{name}.pcap").read_bytes(), 24
    packets: list[Packet] = []
    ends: tuple[Address, Address] | None = None
    while at < len(data):
        seconds, micros, size, _ = struct.unpack("<IIII", data[at : at + 16])
        packet = data[at + 16 + 14 : at + 16 + size]
        at += 16 + size
        tcp = packet[20 : int.from_bytes(packet[2:4], "big")]
        source, target, sequence, acknowledged, offset, flags = struct.unpack(">HHIIBB", tcp[:14])
        hosts = [".".join(map(str, packet[start : start + 4])) for start in (12, 16)]
        pair = Address(hosts[0], source), Address(hosts[1], target)
        ends = ends or pair
        payload = tcp[(offset >> 4) * 4 :]
        segment = Segment(
            seconds * 10**9 + micros * 1000,
            0 if pair[0] == ends[0] else 1,
            sequence,
            acknowledged if flags & ACK else None,
            bool(flags & SYN),
            bool(flags & FIN),
            payload,
            len(payload),
            is_dropped=bool(flags & RST),
            reset=bool(flags & RST),
        )
        packets.append((segment, flags))
    assert ends is not None
    return ends, packets


def told(
    ends: tuple[Address, Address], packets: Sequence[Packet], keylog: KeyLog
) -> Observation | None:
    """What is told of these packets; None where there is nothing to tell."""
    stream = put_together(0, ends, [each for each, _ in packets])
    try:
        observation = observe(stream, keylog)
    except CaptureError:
        return None
    assert narrate(observation.events, detail=2)
    diagnose(observation.events)
    return observation


def keylog_of(name: str) -> KeyLog:
    keylog, path = KeyLog(), DATA / f"{name}.keys"
    if path.exists():
        keylog.add(path.read_bytes())
    return keylog


WENT_WELL = [
    "out-of-order",
    "starttls",
    "tls12-complete-without-data",
    "tls12-dhe-rsa-chacha20",
    "tls12-rsa-aes256-ccm8",
    "tls13-draft23",
]


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("name", WENT_WELL)
def test_nothing_false_of_a_part(name: str, keyed: bool) -> None:
    ends, packets = packets_of(name)
    keylog = keylog_of(name) if keyed else KeyLog()
    count = len(packets)
    parts = [packets[:at] + packets[at + 1 :] for at in range(count)]
    parts += [packets[:at] for at in range(1, count)]
    parts += [packets[at:] for at in range(1, count)]
    late = [each for each in packets if not each[1] & SYN]
    parts += [late[:at] + late[at + 1 :] for at in range(len(late))]
    parts += [[each for each in packets if each[0].sender == sender] for sender in (0, 1)]
    parts.append([(replace(each, data=each.data[:100]), flags) for each, flags in packets])
    for part in parts:
        observation = told(ends, part, keylog)
        if observation is not None:
            observed = observed_in(observation.events)
            assert observed is not None
            assert observed.outcome != "failed", observed
            assert not any(isinstance(each, Failed) for each in observation.events)


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("name", WENT_WELL)
def test_nothing_false_where_packets_change_places(name: str, keyed: bool) -> None:
    """As the queues of a network card exchange them, or two captures that were merged."""
    ends, packets = packets_of(name)
    keylog = keylog_of(name) if keyed else KeyLog()
    for at in range(len(packets) - 1):
        (first, flags), (second, other_flags) = packets[at : at + 2]
        for times in ((first.at_ns, second.at_ns), (second.at_ns, first.at_ns)):
            swapped = [
                (replace(second, at_ns=times[0]), other_flags),
                (replace(first, at_ns=times[1]), flags),
            ]
            observation = told(ends, [*packets[:at], *swapped, *packets[at + 2 :]], keylog)
            assert observation is not None
            assert diagnose(observation.events) is None, at
            assert not any("came before TLS" in each for each in observation.missing[1:])


@pytest.mark.parametrize("by", [-(10**13), -3 * 10**9, 3 * 10**9, 10**13])
@pytest.mark.parametrize("name", ["out-of-order", "tls12-complete-without-data"])
def test_nothing_false_where_the_clock_jumps_for_one_packet(name: str, by: int) -> None:
    ends, packets = packets_of(name)
    for at, (segment, flags) in enumerate(packets):
        jumped = replace(segment, at_ns=max(0, segment.at_ns + by))
        part = [*packets[:at], (jumped, flags), *packets[at + 1 :]]
        observation = told(ends, part, keylog_of(name))
        assert observation is not None
        assert diagnose(observation.events) is None, at


@pytest.mark.parametrize("label", ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0"])
def test_a_wrong_secret_is_no_sign_of_a_failure(label: str) -> None:
    """What does not open under it is no early data, which this client does not offer."""
    ends, packets = packets_of("out-of-order")
    lines = (DATA / "out-of-order.keys").read_bytes().splitlines()
    keylog = KeyLog()
    for name, random, secret in (line.split() for line in lines if not line.startswith(b"#")):
        wrong = b"5a" * (len(secret) // 2)
        keylog.add(b" ".join((name, random, wrong if name == label.encode() else secret)))
    observation = told(ends, packets, keylog)
    assert observation is not None
    assert diagnose(observation.events) is None
    assert any("a record does not open" in each for each in observation.missing)


def test_bytes_that_only_a_fin_shows_to_be_missing_are_missing() -> None:
    """Of a server that refuses, the SYN and the alert were not captured."""
    ends, packets = packets_of("no-shared-group")
    kept = [each for each in packets if each[0].sender == 0 or each[0].fin]
    observation = told(ends, kept, KeyLog())
    assert observation is not None
    assert diagnose(observation.events) is None
    assert any(each.startswith("7 bytes that the server said") for each in observation.missing)


def test_checksums_that_the_network_card_computes_hide_no_acknowledgement() -> None:
    """The client's alert is not in the capture, and the server's FIN acknowledges it."""
    ends, packets = packets_of("expired-tls12")
    alert = next(each for each, _ in reversed(packets) if each.sender == 0 and each.size)
    answers = (each for each, _ in packets if each.at_ns > alert.at_ns and each.sender == 1)
    answer = next(each for each in answers if not each.fin)
    lost = (alert, answer)
    kept = [(replace(each, is_damaged=True), flags) for each, flags in packets if each not in lost]
    observation = told(ends, kept, KeyLog())
    assert observation is not None
    assert diagnose(observation.events) is None
    assert any(each.startswith("7 bytes that the client said") for each in observation.missing)


def one_sided(sender: int, alert: int) -> Diagnosis:
    """What is told of one end's packets of a handshake of TLS 1.2, which ends with its alert."""
    ends, packets = packets_of("tls12-dhe-rsa-chacha20")
    own = [each for each in packets if each[0].sender == sender]
    begun = [each for each in own if each[0].size][: 1 if sender == 0 else 2]
    last = begun[-1][0]
    data = CLEAR_ALERT + bytes([2, alert])
    number = last.sequence + last.size
    said = replace(last, sequence=number, data=data, size=len(data), at_ns=last.at_ns + 1)
    observation = told(ends, [own[0], *begun, (said, ACK)], KeyLog())
    assert observation is not None
    absent = "client" if sender else "server"
    assert f"What the {absent} said is not known" in " ".join(observation.missing)
    diagnosis = diagnose(observation.events)
    assert diagnosis is not None
    failed = next(each for each in observation.events if isinstance(each, Failed))
    assert diagnosis.cause in failed.message
    return diagnosis


@pytest.mark.parametrize("sender", [0, 1])
@pytest.mark.parametrize("alert", [40, 71, 112, 120, 44, 113, 51])
def test_packets_of_one_end_alone_prove_nothing_of_the_other(sender: int, alert: int) -> None:
    """An alert whose cause is in what the other end sent, of which nothing was captured."""
    diagnosis = one_sided(sender, alert)
    assert diagnosis.blame is Blame.UNCLEAR, diagnosis
    assert "this side has" not in diagnosis.cause
    assert ": none" not in diagnosis.cause
    if sender == 1 and alert in {40, 71}:
        assert "may have shown no certificate" in diagnosis.cause
        assert "not all in the capture" in diagnosis.condition


@pytest.mark.parametrize("year", [1970, 2099])
def test_no_certificate_is_judged_by_a_clock_that_is_wrong(year: int) -> None:
    """It has expired, whatever the times in the capture are."""
    ends, packets = packets_of("expired-tls12")
    day = datetime(year, 1, 2, tzinfo=UTC)
    by = int(day.timestamp()) * 10**9 - packets[0][0].at_ns
    off = [(replace(each, at_ns=each.at_ns + by), flags) for each, flags in packets]
    observation = told(ends, off, KeyLog())
    assert observation is not None
    assert f"taken on {year}-01-02" in observation.missing[-1]
    diagnosis = diagnose(observation.events)
    assert diagnosis is not None
    assert "by its dates" not in diagnosis.cause
    assert "it has expired, or that clock is wrong" in diagnosis.cause


def test_a_warning_is_not_the_end_where_packets_of_an_end_are_absent() -> None:
    """The other end may have gone on after it."""
    ends, packets = packets_of("tls12-dhe-rsa-chacha20")
    own = [each for each in packets if each[0].sender == 0]
    hello = next(segment for segment, _ in own if segment.size)
    number = (hello.sequence + hello.size) % 2**32
    warned = replace(hello, sequence=number, data=CLEAR_ALERT + bytes([1, 110]), size=7)
    left = replace(hello, sequence=number + 7, data=b"", size=0, fin=True)
    observation = told(ends, [own[0], (hello, ACK), (warned, ACK), (left, FIN | ACK)], KeyLog())
    assert observation is not None
    assert diagnose(observation.events) is None


@pytest.mark.parametrize("flag", [FIN, RST])
def test_what_is_lost_before_the_end_of_the_connection_is_missing(flag: int) -> None:
    """An alert, perhaps: nothing but the number of the packet after it shows that it was sent."""
    ends, packets = packets_of("tls12-complete-without-data")
    said = [each for each in packets if each[0].size]
    last = next(each for each, _ in reversed(said) if each.sender == 1)
    number = (last.sequence + last.size + 7) % 2**32
    end = replace(last, sequence=number, data=b"", size=0, fin=flag == FIN)
    end = replace(end, is_dropped=flag == RST, reset=flag == RST)
    kept = [each for each in packets if each[0].at_ns <= last.at_ns and not each[1] & (FIN | RST)]
    observation = told(ends, [*kept, (end, flag)], keylog_of("tls12-complete-without-data"))
    assert observation is not None
    told_of = " ".join(observation.missing)
    assert "Packets of the server show that about 7 bytes of it, perhaps an alert, are" in told_of
    observation = told(ends, [*kept, (replace(end, sequence=number - 7), flag)], KeyLog())
    assert observation is not None
    assert "perhaps an alert" not in " ".join(observation.missing)


@pytest.mark.parametrize("name", ["tls12-dhe-rsa-chacha20", "tls12-complete-without-data"])
def test_what_a_client_protects_is_not_read_where_the_version_is_unknown(name: str) -> None:
    """The server's first packet is lost, so no ServerHello is there."""
    ends, packets = packets_of(name)
    answer = next(each for each, _ in packets if each.size and each.sender == 1)
    kept = [each for each in packets if each[0].sender == 0 or each[0].size < 1]
    observation = told(ends, [each for each in kept if each[0] is not answer], KeyLog())
    assert observation is not None
    told_of = " ".join(observation.missing)
    assert "longer than this side accepts" not in told_of
    assert "The client sends protected records although no ServerHello was seen" in told_of
    observed = observed_in(observation.events)
    assert observed is not None
    assert observed.outcome == "unknown"


@pytest.mark.parametrize("is_captured", [True, False])
def test_an_end_whose_packets_are_left_out_is_not_silent(*, is_captured: bool) -> None:
    """A client gives up, and of the server's answer only the second packet is captured."""
    ends, packets = packets_of("tls12-dhe-rsa-chacha20")
    begun = [each for each in packets if each[1] & SYN]
    hello, answer = (
        next(each for each, _ in packets if each.size and each.sender == sender)
        for sender in (0, 1)
    )
    begun += [(hello, ACK)]
    if is_captured:
        later = replace(answer, sequence=(answer.sequence + 1000) % 2**32)
        begun += [(later, ACK)]
    number = (hello.sequence + hello.size) % 2**32
    left = replace(
        hello, at_ns=hello.at_ns + 3 * 10**9, sequence=number, data=b"", size=0, fin=True
    )
    observation = told(ends, [*begun, (left, FIN | ACK)], KeyLog())
    assert observation is not None
    assert (diagnose(observation.events) is None) == is_captured


@pytest.mark.parametrize("with_syn", [True, False])
def test_the_first_bytes_of_the_server_are_missing(*, with_syn: bool) -> None:
    """The rest of its records is not taken for something else than TLS."""
    ends, packets = packets_of("tls12-dhe-rsa-chacha20")
    kept: list[Packet] = []
    is_cut = False
    for segment, flags in packets:
        if flags & SYN and (segment.sender == 1 or not with_syn):
            continue
        if segment.sender == 1 and segment.size and not is_cut:
            is_cut, rest = True, segment.data[100:]
            sequence = (segment.sequence + 100) % 2**32
            kept.append((replace(segment, sequence=sequence, data=rest, size=len(rest)), flags))
        else:
            kept.append((segment, flags))
    observation = told(ends, kept, KeyLog())
    assert observation is not None
    assert any(each.startswith("100 bytes that the server said") for each in observation.missing)
    observed = observed_in(observation.events)
    assert observed is not None
    assert observed.outcome == "unknown"
    assert not any(isinstance(each, Failed) for each in observation.events)


@pytest.mark.parametrize("shift", [0, 2**32 - 300, 2**31 - 300])
@pytest.mark.parametrize("name", ["out-of-order", "tls12-dhe-rsa-chacha20"])
def test_wherever_the_numbers_begin_and_what_comes_twice(name: str, shift: int) -> None:
    ends, packets = packets_of(name)
    moved: list[Packet] = []
    for segment, flags in packets:
        acknowledged = segment.acknowledged
        later = replace(
            segment,
            sequence=(segment.sequence + shift) % 2**32,
            acknowledged=None if acknowledged is None else (acknowledged + shift) % 2**32,
        )
        # Sent again, in two parts that overlap.
        half = later.size // 2
        first = replace(later, data=later.data[: half + 3], size=len(later.data[: half + 3]))
        second = replace(
            later,
            sequence=(later.sequence + half) % 2**32,
            data=later.data[half:],
            size=later.size - half,
        )
        again = [(second, flags), (first, flags)] if later.size else []
        moved += [*again, (later, flags)]
    observation = told(ends, moved, keylog_of(name))
    assert observation is not None
    assert any(isinstance(each, HandshakeResult) for each in observation.events)
    assert not any("missing" in sentence for sentence in observation.missing)


def without_line(name: str, label: str) -> KeyLog:
    keylog = KeyLog()
    lines = (DATA / f"{name}.keys").read_bytes().splitlines()
    keylog.add(b"\n".join(line for line in lines if not line.startswith(label.encode())))
    return keylog


@pytest.mark.parametrize(
    ("label", "outcome"),
    [
        ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "seems_complete"),
        ("SERVER_HANDSHAKE_TRAFFIC_SECRET", "seems_complete"),
        ("CLIENT_TRAFFIC_SECRET_0", "complete"),
        ("SERVER_TRAFFIC_SECRET_0", "complete"),
    ],
)
def test_a_line_of_the_key_log_is_missing(label: str, outcome: str) -> None:
    ends, packets = packets_of("out-of-order")
    observation = told(ends, packets, without_line("out-of-order", label))
    assert observation is not None
    observed = observed_in(observation.events)
    assert observed is not None
    assert observed.outcome == outcome
    assert any(f"but not {label}" in sentence for sentence in observation.missing)
    # The application's keys are known, though those of the handshake are not.
    if "HANDSHAKE" in label:
        assert "4,389 bytes" in narrate(observation.events) or label.startswith("CLIENT")


def test_the_key_log_of_another_connection() -> None:
    ends, packets = packets_of("out-of-order")
    observation = told(ends, packets, keylog_of("starttls"))
    assert observation is not None
    assert "none of this connection" in observation.missing[0]


# Alerts


CLEAR_ALERT = b"\x15\x03\x03\x00\x02"
CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"


def closed(size: int) -> bytes:
    """A protected record with so many bytes inside, its tag among them."""
    return b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size)


SHORT = closed(19)


def hello_and_answer() -> list[Piece]:
    ends, packets = packets_of("ends-after-server-hello")
    stream = put_together(0, ends, [each for each, _ in packets])
    hello, answer = stream.pieces
    # Up to the end of the last record that is whole.
    return [hello, replace(answer, data=answer.data[: 127 + 6 + 28])]


def after(*pieces: tuple[int, bytes], how: str = "end", by: int = 0) -> Observation:
    """A conversation of TLS 1.3 that goes on like this, and then ends."""
    begun = hello_and_answer()
    last = begun[-1].at_ns
    begun += [Piece(last + at, sender, data) for at, (sender, data) in enumerate(pieces, 1)]
    ending = StreamEnd(begun[-1].at_ns + 9, by, how)
    ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
    return observe(Stream(0, ends, tuple(begun), (ending,)), KeyLog())


@pytest.mark.parametrize("sender", [0, 1])
@pytest.mark.parametrize(
    ("number", "name"), [(40, "HANDSHAKE_FAILURE"), (46, "CERTIFICATE_UNKNOWN")]
)
def test_an_alert_in_the_clear_without_keys(sender: int, number: int, name: str) -> None:
    before = [(1, b"\x17\x03\x03\x00\x60" + bytes(96))] if sender == 0 else []
    observation = after(*before, (sender, CLEAR_ALERT + bytes([2, number])), by=0)
    diagnosis = diagnose(observation.events)
    if sender == 1:
        # It spoke under its keys before: nobody takes an alert in the clear from it.
        assert any("anyone on the way" in sentence for sentence in observation.missing)
        return
    assert diagnosis is not None
    assert diagnosis.fault == f"PEER_{name}"
    assert [each.direction for each in observation.events if isinstance(each, AlertSeen)] == [
        "received"
    ]


@pytest.mark.parametrize(("how", "fault"), [("end", "CLOSED"), ("reset", "RESET")])
@pytest.mark.parametrize("by", [0, 1])
def test_who_leaves_is_blamed(how: str, fault: str, by: int) -> None:
    """After nothing that could be a Finished: seen from the one that stayed."""
    observation = after((0, CHANGE_CIPHER_SPEC), how=how, by=by)
    failed = next(each for each in observation.events if isinstance(each, Failed))
    assert failed.fault == f"{fault}_DURING_HANDSHAKE"
    began = observation.events[0]
    assert getattr(began, "role", "") == ("server" if by == 0 else "client")


@pytest.mark.parametrize("size", [19, 35])
@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("by", [0, 1])
def test_who_sends_a_closed_alert_gave_up(how: str, by: int, size: int) -> None:
    """Whoever closes the transport after it; Java pads what it protects by 16 bytes."""
    observation = after((0, closed(size)), how=how, by=by)
    assert getattr(observation.events[0], "role", "") == "server"
    diagnosis = diagnose(observation.events)
    assert diagnosis is not None
    assert diagnosis.blame is Blame.UNCLEAR
    assert diagnosis.condition.startswith("the client gave up, and its reason is probably in")


def test_a_closed_alert_of_the_server_gave_up() -> None:
    observation = after((1, closed(19)), by=0)
    assert getattr(observation.events[0], "role", "") == "client"
    diagnosis = diagnose(observation.events)
    assert diagnosis is not None
    assert diagnosis.condition.startswith("the server gave up")


@pytest.mark.parametrize(("missing", "outcome"), [(0, "seems_complete"), (24, "unknown")])
def test_a_refusal_may_be_among_the_missing_bytes(missing: int, outcome: str) -> None:
    """Without keys, nothing says then that the server did not object to the client's Finished."""
    begun = hello_and_answer()
    last = begun[-1].at_ns
    begun += [Piece(last + 1, 1, closed(701)), Piece(last + 2, 0, closed(69))]
    if missing:
        begun.append(Piece(last + 3, 1, b"", missing))
    ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
    observed = observed_in(observe(Stream(0, ends, tuple(begun)), KeyLog()).events)
    assert observed is not None
    assert observed.outcome == outcome, observed


@pytest.mark.parametrize(
    ("said", "silent"),
    [
        ([], "server"),  # It has not finished by far.
        ([(0, b"\x14\x03\x03\x00\x01\x01"), (1, b"\x17\x03\x03\x02")], "server"),
        ([(1, b"\x17\x03\x03\x02\x00" + bytes(512))], "client"),
    ],
)
@pytest.mark.parametrize("by", [0, 1])
def test_who_did_not_go_on_is_told(said: Sequence[tuple[int, bytes]], silent: str, by: int) -> None:
    """An alert at the end of a long wait is nothing that one goes on with."""
    begun = hello_and_answer()
    last = begun[-1].at_ns
    begun += [Piece(last + at, sender, data) for at, (sender, data) in enumerate(said, 1)]
    leaves = last + 3 * 10**9
    if by == 0:
        begun.append(Piece(leaves, by, closed(19)))
    ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
    endings = (StreamEnd(leaves + 1, by, "end"),)
    observation = observe(Stream(0, ends, tuple(begun), endings), KeyLog())
    failed = next(each for each in observation.events if isinstance(each, Failed))
    was_waited_for = (silent == "server") == (by == 0)
    assert (f"after 3.0 s; the {silent} had said nothing" in failed.message) == was_waited_for


@pytest.mark.parametrize(
    ("flight", "answer"),
    [
        ([600], [(0, 528)]),
        ([600], [(0, 528), (0, 528)]),
        ([600], [(0, 116), (0, 216)]),
        ([528, 528], [(0, 69), (1, 528)]),
        ([528], [(0, 69), (1, 528)]),
    ],
)
def test_sizes_prove_nothing_where_records_are_padded(
    flight: Sequence[int], answer: Sequence[tuple[int, int]]
) -> None:
    """As openssl does with -record_padding, at either end."""
    said = [(1, size) for size in flight] + list(answer)
    hello, server_hello = hello_and_answer()
    pieces = [hello, replace(server_hello, data=server_hello.data[: 127 + 6])]
    last = pieces[-1].at_ns
    pieces += [Piece(last + at, sender, closed(size)) for at, (sender, size) in enumerate(said, 1)]
    ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
    ending = StreamEnd(last + 99, 0, "end")
    observed = observed_in(observe(Stream(0, ends, tuple(pieces), (ending,)), KeyLog()).events)
    assert observed is not None
    assert observed.outcome == "unknown"


def test_a_client_that_waited_in_vain() -> None:
    hello = hello_and_answer()[0]
    ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
    endings = (StreamEnd(hello.at_ns + 5 * 10**9, 0, "end"),)
    observation = observe(Stream(0, ends, (hello,), endings), KeyLog())
    failed = next(each for each in observation.events if isinstance(each, Failed))
    assert failed.fault == "HANDSHAKE_TIMEOUT"
    assert "the client gave up after 5.0 s; the server had said nothing" in failed.message


def test_what_is_as_short_as_an_alert_is_no_proof() -> None:
    observation = after((1, closed(69)), (0, closed(69)), (1, SHORT), by=1)
    observed = observed_in(observation.events)
    assert observed is not None
    assert observed.outcome == "unknown"
    assert "as short as an alert" in observed.telling


# Suites


def test_every_suite_with_an_aead_that_there_is_a_cipher_for() -> None:
    numbers = [*CIPHER_SUITES_OF_OTHERS, 0x009C, 0xC02B, 0xC02F, 0xC030, 0xCCA8, 0xCCA9]
    opened = {number for number in numbers if suite12_of(number) or suite13_of(number)}
    for number in numbers:
        name = cipher_suite_name(number)
        is_aead = any(part in name for part in ("_GCM_", "_CCM", "_POLY1305"))
        has_cipher = "_AES_" in name or "CHACHA20" in name
        assert (number in opened) == (is_aead and has_cipher), name
        if number not in opened:
            assert name in why_closed("TLSv1.2", number)
    assert len(opened) > 50


@pytest.mark.parametrize(
    ("number", "key", "hash_name", "tag", "iv"),
    [
        (0x009F, 32, "sha384", 16, 4),
        (0xC09C, 16, "sha256", 16, 4),
        (0xC0A3, 32, "sha256", 8, 4),
        (0xC0AE, 16, "sha256", 8, 4),
        (0xD003, 16, "sha256", 8, 4),
        (0xCCAB, 32, "sha256", 16, 12),
    ],
)
def test_what_a_suite_is_made_of(number: int, key: int, hash_name: str, tag: int, iv: int) -> None:
    suite = suite12_of(number)
    assert suite is not None
    assert (suite.key_size, suite.hash_name) == (key, hash_name)
    assert (tag_size_of(suite.name), suite.fixed_iv_size) == (tag, iv)


@pytest.mark.parametrize(
    ("version", "number", "why"),
    [
        ("TLSv1.2", 0x003C, "CBC"),
        ("TLSv1.0", 0x0005, "RC4"),
        ("TLSv1.2", 0xC051, "no ARIA"),
        ("TLSv1.2", 0xC07B, "no CAMELLIA"),
        ("TLSv1.3", 0x00C6, "no SM4"),
        ("TLSv1.2", 0x003B, "encrypts nothing"),
        ("TLSv1.2", 0xABCD, "no name here"),
    ],
)
def test_why_a_suite_stays_closed(version: str, number: int, why: str) -> None:
    assert why in why_closed(version, number)


# What is no TLS over TCP


def dtls(version: bytes, *, kind: int = 1, extensions: bytes = b"") -> bytes:
    message = bytes([kind]) + bytes(11) + version + bytes(32) + b"\0\0\0\x02\xc0\x2b\x01\0"
    return b"\x16" + version + bytes(10) + message + extensions


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (dtls(b"\xfe\xff"), "DTLS, whose client offers DTLSv1.0"),
        (dtls(b"\xfe\xfd"), "DTLS, whose client offers DTLSv1.2"),
        (dtls(b"\xfe\xfd", kind=2), "DTLSv1.2"),
        (
            dtls(b"\xfe\xfd", extensions=b"\0\x2b\0\x03\x02\xfe\xfc"),
            "DTLS, whose client offers DTLSv1.3",
        ),
        (dtls(b"\xfe\xfd", kind=2, extensions=b"\0\x2b\0\x02\xfe\xfc"), "DTLSv1.3"),
        (b"\x17\xfe\xfd" + bytes(30), "DTLS"),
        (b"\xc3\0\0\0\x01\x08" + bytes(1200), "QUIC version 1"),
        (b"\xd3\x6b\x33\x43\xcf\x08" + bytes(1200), "QUIC version 2"),
        (b"\xc3\xff\0\0\x1d\x08" + bytes(1200), "QUIC, draft 29"),
        (b"\x80\0\0\0\0\x08" + bytes(40), "QUIC: the server names the versions that it knows"),
        (b"\x12\x34\x01\0\0\x01" + bytes(20), ""),
        (b"", ""),
    ],
)
def test_datagrams(payload: bytes, kind: str) -> None:
    assert kind_of(payload) == kind


@given(st.binary(max_size=80))
def test_any_datagram(payload: bytes) -> None:
    kind_of(payload)


def test_an_answer_tells_more_than_an_offer() -> None:
    client, server = Address("::1", 5000), Address("::1", 443)
    (exchange,) = exchanges_in(
        [(client, server, dtls(b"\xfe\xfd")), (server, client, dtls(b"\xfe\xfd", kind=2))]
    )
    assert (exchange.kind, exchange.packets, exchange.ends) == ("DTLSv1.2", 2, (client, server))


@pytest.mark.parametrize(
    ("client", "server", "kind"),
    [
        (b"EHLO x\r\nSTARTTLS\r\n", b"220 mail ESMTP\r\n250 ok\r\n220 go\r\n", "SMTP, STARTTLS"),
        (b"a1 STARTTLS\r\n", b"* OK IMAP4rev1\r\na1 OK\r\n", "IMAP, STARTTLS"),
        (b"STLS\r\n", b"+OK POP3\r\n+OK\r\n", "POP3, STLS"),
        (b"AUTH TLS\r\n", b"220 ftp\r\n234 ok\r\n", "FTP, AUTH TLS"),
        (b"\0\0\0\x08\x04\xd2\x16/", b"S", "PostgreSQL, SSLRequest"),
        (
            b"\0\0\0\x08\x04\xd2\x160\0\0\0\x08\x04\xd2\x16/",
            b"NS",
            "PostgreSQL, GSSENCRequest and SSLRequest",
        ),
        (
            b"\x20\0\0\x01\x05\xae\xff\x01" + bytes(28),
            b"\x4a\0\0\0\x0a8.0.36\0" + bytes(60),
            "MySQL",
        ),
        (b"0\x1d\x02\x01\x01w\x18\x80\x161.3.6.1.4.1.1466.20037", b"0\x0c", "LDAP, StartTLS"),
        (b"CONNECT a:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", "a proxy's CONNECT"),
        (b"x", b"y", ""),
    ],
)
def test_what_comes_before_tls(client: bytes, server: bytes, kind: str) -> None:
    assert kind_of_preamble(client, server) == kind


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([(1, b"SSH-2.0-OpenSSH_9\r\n"), (0, b"SSH-2.0-x\r\n")], "It is SSH"),
        ([(0, b"\0\0\0\x08\x04\xd2\x16/"), (1, b"N")], "The server says no"),
        ([(1, b"220 mail ESMTP\r\n"), (0, b"EHLO x\r\n")], "in the clear: SMTP"),
        ([(0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")], "plain HTTP"),
    ],
)
def test_what_is_no_tls(said: list[tuple[int, bytes]], words: str) -> None:
    ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
    pieces = tuple(Piece(at, sender, data) for at, (sender, data) in enumerate(said))
    with pytest.raises(CaptureError, match=words):
        observe(Stream(0, ends, pieces), KeyLog())


def test_a_capture_that_begins_late_is_not_said_to_hold_no_tls() -> None:
    ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
    with pytest.raises(CaptureError, match="whether it is TLS is unknown"):
        observe(Stream(0, ends, (Piece(0, 0, b"\x99" * 50),), begins=False), KeyLog())


def test_the_last_words_before_tls_come_late() -> None:
    """A client that says its hello before the server has agreed."""
    hello, answer = hello_and_answer()[:2]
    ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
    asked = replace(hello, data=b"STARTTLS\r\n" + hello.data)
    pieces = (asked, replace(answer, data=b"220 go\r\n" + answer.data))
    observation = observe(Stream(0, ends, pieces), KeyLog())
    assert observation.missing[0].startswith("10 bytes of the client and 8 of the server came")
    assert "We take TLS_AES_256_GCM_SHA384" in narrate(observation.events)


@pytest.mark.parametrize("begins", [True, False])
def test_a_server_that_spoke_first_may_have_been_asked_before_the_capture(begins: bool) -> None:
    """Where the capture has the beginning, nothing was asked, and the server does not use TLS."""
    hello, _ = hello_and_answer()[:2]
    ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
    pieces = (Piece(0, 1, b"220 go ahead\r\n"), hello)
    observation = observe(Stream(0, ends, pieces, begins=begins), KeyLog())
    refused = [event for event in observation.events if isinstance(event, BytesRefused)]
    assert [event.data for event in refused] == [b"220 go ahead\r\n"] * begins
