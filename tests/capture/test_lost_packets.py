"""Captures that lost packets: what is told of a part never contradicts the whole.

The conversations are those of our own ends, put into TCP packets, of which some are left out, given
twice, exchanged, cut off or given wrong times. The seeds are fixed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import pytest
from tests.capture.test_observe import BEGAN, ENDS, make_captured
from tests.pki import Pki

from handclasp import ClientAuth, ClientConfig, ServerConfig, TLSError
from handclasp.capture.observe import observe
from handclasp.capture.secrets import KeyLog
from handclasp.capture.segment import NUMBERS, Segment
from handclasp.capture.segments import put_together
from handclasp.capture.stream import CaptureError
from handclasp.faults import Blame
from handclasp.story.diagnosis import Diagnosis, diagnose
from handclasp.story.facts import observed_in
from handclasp.story.narrate import narrate

Said = list[tuple[int, bytes]]
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 10\r\n\r\nNot at all\r\n" * 8
GREETINGS: Said = [
    (1, b"220 mail.example.com ESMTP\r\n"),
    (0, b"EHLO a\r\n"),
    (1, b"250-mail.example.com\r\n250 STARTTLS\r\n"),
    (0, b"STARTTLS\r\n"),
    (1, b"220 go\r\n"),
]
SECOND = 10**9


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


def conversed(client: ClientConfig, server: ServerConfig) -> tuple[Said, KeyLog]:
    """What two ends said, whether their handshake went well or not."""
    heard = make_captured(client, server)
    for _ in range(4):  # An end that refuses leaves its alert to be sent.
        with contextlib.suppress(TLSError):
            heard.shuttle()
    if heard.client.info is not None and heard.server.info is not None:
        heard.client.send_data(b"a question")
        heard.shuttle()
        heard.client.close()
        heard.server.close()
        heard.shuttle()
    return [(piece.sender, piece.data) for piece in heard.pieces], heard.keylog


def hello_of(pki: Pki) -> bytes:
    heard = make_captured(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    return bytes(heard.client.data_to_send())


def packets_of(said: Said, random: Random) -> list[Segment]:
    """A conversation in TCP packets, from the SYN to the last acknowledgement."""
    at_ns, most = BEGAN, random.choice([200, 536, 1400])
    numbers = [random.randrange(NUMBERS), random.randrange(NUMBERS)]
    packets: list[Segment] = []

    def send(sender: int, data: bytes = b"", *, syn: bool = False, fin: bool = False) -> None:
        nonlocal at_ns
        at_ns += random.randrange(10_000, 3_000_000)
        acknowledged = numbers[1 - sender] if packets else None
        number, size = numbers[sender], len(data)
        packets.append(Segment(at_ns, sender, number, acknowledged, syn, fin, data, size))
        numbers[sender] = (number + size + syn + fin) % NUMBERS

    for sender in (0, 1):
        send(sender, syn=True)
    send(0)
    for sender, data in said:
        for start in range(0, len(data), most):
            send(sender, data[start : start + most])
        if random.random() < 0.6:
            send(1 - sender)
    first = random.randrange(2)
    for sender, fin in ((first, True), (1 - first, False), (1 - first, True), (first, False)):
        send(sender, fin=fin)
    return packets


def without(random: Random, packets: Sequence[Segment], most: int = 3) -> list[Segment]:
    """All packets but one to three; half of the time, of the first ten."""
    among = range(min(10, len(packets)) if random.random() < 0.5 else len(packets))
    lost = random.sample(among, random.randint(1, most))
    return [packet for at, packet in enumerate(packets) if at not in lost]


def exchanged(random: Random, packets: Sequence[Segment]) -> list[Segment]:
    changed = without(random, packets)
    at = random.randrange(len(changed) - 1)
    changed[at : at + 2] = changed[at + 1], changed[at]
    return changed


def repeated(random: Random, packets: Sequence[Segment]) -> list[Segment]:
    at = random.randrange(len(packets))
    again = random.randrange(at, len(packets))
    return [*packets[:again], packets[at], *packets[again:]]


def cut_off(random: Random, packets: Sequence[Segment]) -> list[Segment]:
    most = random.choice([0, 1, 4, 5, 6, 20, 100, 500])
    return [replace(packet, data=packet.data[:most]) for packet in packets]


def with_wrong_times(random: Random, packets: Sequence[Segment]) -> list[Segment]:
    steps = [0, 0, 0, -3, 3, 10, -10]
    return [
        replace(packet, at_ns=packet.at_ns + random.choice(steps) * SECOND)
        for packet in without(random, packets)
    ]


def disordered(random: Random, packets: Sequence[Segment]) -> list[Segment]:
    """One to five packets less, and three times two neighbours in the other order."""
    changed = without(random, packets, 5)
    for _ in range(3):
        at = random.randrange(len(changed) - 1)
        changed[at : at + 2] = changed[at + 1], changed[at]
    return changed


CHANGES = [disordered, without, exchanged, repeated, cut_off, with_wrong_times]
CHANGE = pytest.mark.parametrize("change", CHANGES)


def told_of(packets: Sequence[Segment], keylog: KeyLog) -> tuple[Diagnosis | None, str]:
    """The failure that is told of packets, if any; and the outcome, or why there is nothing."""
    try:
        observation = observe(put_together(0, ENDS, packets), keylog)
    except CaptureError as error:
        return None, str(error)
    assert narrate(observation.events, detail=2)
    observed = observed_in(observation.events)
    assert observed is not None
    return diagnose(observation.events), observed.outcome


def check_went_well(said: Said, keylog: KeyLog, change: Callable[..., list[Segment]]) -> None:
    """Nothing says that the handshake failed, or that there was no TLS."""
    for seed in range(40):
        random = Random(seed)
        part = change(random, packets_of(said, random))
        for keys in (keylog, KeyLog()):
            diagnosis, told = told_of(part, keys)
            assert diagnosis is None, seed
            assert told != "failed", seed
            assert "no TLS" not in told, (seed, told)


@CHANGE
@pytest.mark.parametrize("name", ["TLS 1.3", "TLS 1.2", "retry", "client certificate", "STARTTLS"])
def test_a_handshake_that_went_well(
    name: str, change: Callable[..., list[Segment]], pki: Pki
) -> None:
    client, server = ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server())
    if name == "TLS 1.2":
        client = replace(client, versions=["TLSv1.2"])
    elif name == "retry":
        client = replace(client, groups=["X25519", "secp384r1"], key_shares=["X25519"])
        server = replace(server, groups=["secp384r1"])
    elif name == "client certificate":
        client = replace(client, credentials=pki.client())
        server = replace(server, client_auth=ClientAuth.REQUIRED, trust=pki.trust)
    said, keylog = conversed(client, server)
    check_went_well([*(GREETINGS if name == "STARTTLS" else []), *said], keylog, change)


@CHANGE
@pytest.mark.parametrize("name", ["version", "group", "protocol", "issuer", "HTTP", "SSH"])
def test_a_handshake_that_failed(name: str, change: Callable[..., list[Segment]], pki: Pki) -> None:
    """Of a part, the blame is that of the whole, or unclear; and no other end speaks no TLS."""
    client, server = ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server())
    keylog = KeyLog()
    if name == "HTTP":
        said = [(0, hello_of(pki)), (1, HTTP)]
    elif name == "SSH":
        said = [(1, b"SSH-2.0-OpenSSH_9.2\r\n"), (0, hello_of(pki))]
    else:
        if name == "version":
            client, server = (
                replace(client, versions=["TLSv1.3"]),
                replace(server, versions=["TLSv1.2"]),
            )
        elif name == "group":
            client, server = replace(client, groups=["X25519"]), replace(server, groups=["X448"])
        elif name == "protocol":
            client, server = replace(client, alpn=["h2"]), replace(server, alpn=["http/1.1"])
        else:
            client = replace(client, trust=Pki().trust)
        said, keylog = conversed(client, server)
    for seed in range(40):
        random = Random(seed)
        whole = packets_of(said, random)
        right, _ = told_of(whole, keylog)
        assert right is not None
        diagnosis, told = told_of(change(random, whole), keylog)
        assert diagnosis is None or diagnosis.blame in (right.blame, Blame.UNCLEAR), seed
        if diagnosis is not None and diagnosis.blame is not Blame.UNCLEAR:
            assert diagnosis.at_fault == right.at_fault, seed
        assert "no TLS" not in told, (seed, told)


def early(pki: Pki, answer: bytes) -> list[Segment]:
    """A hello and its answer, each in one packet, and the end of the connection."""
    hello = hello_of(pki)
    sizes = 100 + len(hello), 500 + len(answer)
    return [
        Segment(1, 0, 99, None, syn=True),
        Segment(2, 1, 499, 100, syn=True),
        Segment(3, 0, 100, 500),
        Segment(4, 0, 100, 500, data=hello, size=len(hello)),
        Segment(5, 1, 500, sizes[0], data=answer, size=len(answer)),
        Segment(6, 0, sizes[0], sizes[1]),
        Segment(7, 0, sizes[0], sizes[1], fin=True),
        Segment(8, 1, sizes[1], sizes[0] + 1, fin=True),
        Segment(9, 0, sizes[0] + 1, sizes[1] + 1),
    ]


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ((1, 4), "{} bytes"),  # The FIN's number, and what the client acknowledges, show them.
        ((1, 4, 8), "{} bytes"),
        ((1, 4, 5, 6, 8), "{} bytes"),  # Only the number of the FIN shows them.
        ((1, 4, 5, 6, 7), "packets of the other end alone"),
    ],
)
@pytest.mark.parametrize("answer", [HTTP, b"\x15\x03\x03\x00\x02\x02p"])
def test_an_answer_whose_place_alone_is_known_is_missing(
    answer: bytes, lost: tuple[int, ...], told: str, pki: Pki
) -> None:
    """Nobody is blamed for an end of which the reason may be in the answer."""
    packets = [each for at, each in enumerate(early(pki, answer)) if at not in lost]
    observation = observe(put_together(0, ENDS, packets), KeyLog())
    assert diagnose(observation.events) is None
    assert told.format(len(answer)) in " ".join(observation.missing)


def test_only_the_number_of_an_acknowledgement_shows_the_answer(pki: Pki) -> None:
    """Of the server there is neither SYN nor FIN, and no byte."""
    whole = early(pki, HTTP)
    acknowledging = Segment(8, 1, 500 + len(HTTP), whole[6].sequence + 1)
    packets = [*whole[:1], *whole[2:4], *whole[5:7], acknowledging]
    observation = observe(put_together(0, ENDS, packets), KeyLog())
    assert diagnose(observation.events) is None
    assert f"{len(HTTP)} bytes" in " ".join(observation.missing)


@pytest.mark.parametrize("most", [1, 4, 5, 6])
def test_bytes_that_are_cut_off_are_not_said_to_be_no_tls(most: int, pki: Pki) -> None:
    """Nor is the server, which has answered in plain HTTP, taken for the client."""
    packets = [replace(each, data=each.data[:most]) for each in early(pki, HTTP)]
    _, told = told_of(packets, KeyLog())
    assert "no TLS" not in told
    assert "are not in the capture" in told or "is not in the capture" in told
    if most < 5:
        assert "tcpdump -s 0" in told


def test_bytes_whose_beginning_is_lost_are_not_said_to_be_no_tls(pki: Pki) -> None:
    """The hello, or its first packet, is not in the capture."""
    packets = early(pki, HTTP)
    hello = packets[3]
    later = replace(hello, sequence=400, data=hello.data[300:], size=hello.size - 300)
    for rest in ([], [later]):
        _, told = told_of([*packets[:3], *rest, *packets[4:]], KeyLog())
        assert told.startswith("Whether this connection is TLS is unknown: ")


def test_what_follows_a_gap_keeps_its_place_among_packets_of_one_time(pki: Pki) -> None:
    """A clock that stood still, and a greeting that is lost: the hello comes before its answer."""
    said, keylog = conversed(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    packets = packets_of([*GREETINGS, *said], Random(0))
    asked = next(each for each in packets if each.data == b"STARTTLS\r\n")
    part = [replace(each, at_ns=BEGAN) for each in packets if each is not asked]
    assert told_of(part, keylog) == (None, "complete")


def test_what_follows_a_gap_comes_after_what_is_before_it(pki: Pki) -> None:
    """The second part of the hello is lost; the third was captured before the first."""
    said, keylog = conversed(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    packets = packets_of(said, Random(0))
    at = [at for at, each in enumerate(packets) if each.sender == 0 and each.size][:3]
    part = [each for number, each in enumerate(packets) if number not in at]
    part[3:3] = packets[at[2]], packets[at[0]]
    assert told_of(part, keylog)[0] is None
    pieces = put_together(0, ENDS, part).pieces
    assert [piece.data for piece in pieces[:2]] == [packets[each].data for each in (at[0], at[2])]


def test_bytes_before_their_syn_are_not_the_first_ones(pki: Pki) -> None:
    """The first packet of the hello is lost, and the second was captured before the SYN."""
    hello = hello_of(pki)
    packets = early(pki, b"\x15\x03\x03\x00\x02\x02F")
    rest = replace(packets[3], sequence=700, data=hello[600:], size=len(hello) - 600)
    part = [rest, packets[0], packets[1], *packets[4:]]
    _, told = told_of(part, KeyLog())
    assert "600 bytes are missing" in told


@pytest.mark.parametrize("lost", [3, 6])
def test_a_server_that_spoke_before_the_capture_began_is_not_blamed(lost: int, pki: Pki) -> None:
    """It may have sent the greeting of another protocol, at which the client began with TLS."""
    said = [(1, b"SSH-2.0-OpenSSH_9.2\r\n"), (0, hello_of(pki))]
    diagnosis, _ = told_of(packets_of(said, Random(0))[lost:], KeyLog())
    assert diagnosis is None or diagnosis.blame is Blame.UNCLEAR or diagnosis.fault == "NOT_TLS"


def test_a_greeting_before_the_capture_is_not_the_first_thing_that_a_server_says(pki: Pki) -> None:
    """The request for TLS was sent before the capture began."""
    said, keylog = conversed(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    packets = packets_of([*GREETINGS, *said], Random(0))
    at = next(at for at, each in enumerate(packets) if each.data == b"220 go\r\n")
    end = next(at for at, each in enumerate(packets) if each.sender and each.data[:1] == b"\x16")
    assert told_of(packets[at : end + 1], keylog)[0] is None


def test_a_capture_that_ends_before_tls_does_not_show_that_there_is_none() -> None:
    packets = packets_of(GREETINGS[:2], Random(0))
    told = told_of([each for each in packets if not each.fin], KeyLog())[1]
    assert told.startswith("There is no TLS in what was captured of this connection. It is in the")


@pytest.mark.parametrize(("is_reset", "at_once"), [(True, Blame.UNCLEAR), (False, Blame.PEER)])
@pytest.mark.parametrize("wait", [0.02, 0.9, 30])
def test_a_client_that_leaves_before_an_answer_has_to_wait_for_it(
    wait: float, is_reset: bool, at_once: Blame, pki: Pki
) -> None:
    """Only a wait shows that the network lost the hello, which TCP never acknowledged.

    A reset may as well come from something on the way.
    """
    end = early(pki, b"")[:4]
    at_ns = 4 + int(wait * SECOND)
    last = end[-1].sequence + end[-1].size
    end.append(Segment(at_ns, 0, last, 500, fin=not is_reset, reset=is_reset))
    # A keep-alive of the server, which acknowledges no byte of the client.
    end.append(Segment(at_ns, 1, 500, 100))
    diagnosis, _ = told_of(end, KeyLog())
    assert diagnosis is not None
    assert diagnosis.blame is (at_once if wait < 1 else Blame.NETWORK)


def test_a_wait_counts_only_by_a_clock_that_does_not_jump(pki: Pki) -> None:
    """A client that left at once, by a clock that was ten seconds ahead and was set right."""
    packets = early(pki, b"")[:4]
    last = packets[-1].sequence + packets[-1].size
    packets += [
        Segment(5, 1, 500, last),
        Segment(10 * SECOND, 0, last, 500, fin=True),
        Segment(6, 1, 500, last + 1),
    ]
    diagnosis, _ = told_of(packets, KeyLog())
    assert diagnosis is not None
    assert diagnosis.fault == "CLOSED_DURING_HANDSHAKE"
    assert diagnosis.blame is Blame.UNCLEAR
    assert "jump" in diagnosis.condition
