"""A conversation that is only overheard gives the trace that its ends made themselves.

The two ends are ours, so that what the observer finds can be held against their own recorders.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pki import Pki

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    ConnectionInfo,
    EchConfigList,
    EchKey,
    Recorder,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TLSError,
)
from handclasp.capture.observe import Observation, observe
from handclasp.capture.secrets import KeyLog, secrets_inside
from handclasp.capture.stream import Address, CaptureError, Piece, Stream, StreamEnd
from handclasp.story.diagnosis import diagnose
from handclasp.story.facts import encrypted_hello_in, names_in_hello
from handclasp.trace.events import (
    AlertSeen,
    Failed,
    HandshakeResult,
    InnerHello,
    KeysInstalled,
    MessageSeen,
    RecordSeen,
    WireSeen,
)
from handclasp.trace.pcapng import keylog_lines

BEGAN = time.time_ns()
"""The certificates of the tests are valid now."""

ENDS = (Address("10.0.0.1", 50000), Address("10.0.0.2", 443))


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


@dataclass
class Captured:
    """Two ends, what they noted, and what went between them."""

    client: ClientConnection
    server: ServerConnection
    notes: Recorder
    server_notes: Recorder
    pieces: list[Piece] = field(default_factory=list)

    def shuttle(self) -> None:
        while True:
            to_server = bytes(self.client.data_to_send())
            self._say(0, to_server)
            if to_server:
                self.server.receive_data(to_server)
            to_client = bytes(self.server.data_to_send())
            self._say(1, to_client)
            if to_client:
                self.client.receive_data(to_client)
            if not to_server and not to_client:
                return

    def _say(self, sender: int, data: bytes) -> None:
        # As TCP would: in segments.
        for start in range(0, len(data), 1400):
            at = BEGAN + 1000 * len(self.pieces)
            self.pieces.append(Piece(at, sender, data[start : start + 1400]))

    @property
    def stream(self) -> Stream:
        return Stream(0, ENDS, tuple(self.pieces))

    @property
    def keylog(self) -> KeyLog:
        keylog = KeyLog()
        keylog.add("\n".join(keylog_lines(self.notes.events)).encode())
        return keylog


def make_captured(client: ClientConfig, server: ServerConfig) -> Captured:
    notes, server_notes = Recorder(record_secrets=True), Recorder(record_secrets=True)
    return Captured(
        ClientConnection(client, server_name="localhost", trace=notes),
        ServerConnection(server, trace=server_notes),
        notes,
        server_notes,
    )


def conversed(client: ClientConfig, server: ServerConfig) -> Captured:
    """A whole conversation, with a change of keys where there can be one."""
    heard = make_captured(client, server)
    heard.shuttle()
    heard.client.send_data(b"a question")
    heard.shuttle()
    assert heard.client.info is not None
    if heard.client.info.version == "TLSv1.3":
        heard.client.update_keys(request_peer=True)
    heard.server.send_data(b"an answer" * 5000)
    heard.shuttle()
    heard.client.close()
    heard.server.close()
    heard.shuttle()
    return heard


def said(events: Any) -> list[tuple[str, str, bytes]]:
    return [(e.direction, e.epoch, e.raw) for e in events if isinstance(e, MessageSeen)]


def in_order(events: Any, direction: str) -> list[tuple[str, bytes]]:
    return [(epoch, raw) for way, epoch, raw in said(events) if way == direction]


def info_of(events: Any) -> ConnectionInfo:
    (settled,) = [event for event in events if isinstance(event, HandshakeResult)]
    return settled.info


def check(heard: Captured) -> Observation:
    """The observer saw what the client noted of itself."""
    observation = observe(heard.stream, heard.keylog)
    for direction in ("sent", "received"):
        assert in_order(observation.events, direction) == in_order(heard.notes.events, direction)
    assert observation.missing == ()
    assert observation.server_name == "localhost"
    assert diagnose(observation.events) is None
    mine, theirs = info_of(observation.events), info_of(heard.notes.events)
    for name in ("version", "cipher_suite", "group", "alpn", "resumed", "early_data_status"):
        assert getattr(mine, name) == getattr(theirs, name), name
    assert mine.hello_retry == theirs.hello_retry
    assert mine.local_chain_der == theirs.local_chain_der
    if not mine.resumed:
        assert mine.signature_scheme == theirs.signature_scheme
        assert mine.peer_chain_der == theirs.peer_chain_der
    records = [e for e in observation.events if isinstance(e, RecordSeen)]
    noted = [e for e in heard.notes.events if isinstance(e, RecordSeen)]
    for direction in ("sent", "received"):
        assert [
            (e.content_type, e.size, e.content_size) for e in records if e.direction == direction
        ] == [(e.content_type, e.size, e.content_size) for e in noted if e.direction == direction]
    return observation


SUITES = [*ClientConfig().cipher_suites]


@pytest.mark.parametrize("suite", SUITES)
def test_every_suite(suite: str, pki: Pki) -> None:
    version = "TLSv1.2" if "_WITH_" in suite else "TLSv1.3"
    key_type = "rsa-2048" if "_RSA_" in suite else "ecdsa-p256"
    check(
        conversed(
            ClientConfig(trust=pki.trust, cipher_suites=[suite], versions=[version], alpn=["h2"]),
            ServerConfig(credentials=pki.server(key_type=key_type), alpn=["h2"]),
        )
    )


def test_a_second_hello(pki: Pki) -> None:
    heard = conversed(
        ClientConfig(trust=pki.trust, groups=["X25519", "secp384r1"], key_shares=["X25519"]),
        ServerConfig(credentials=pki.server(), groups=["secp384r1"]),
    )
    assert info_of(check(heard).events).hello_retry


@pytest.mark.parametrize("groups", [[], ["secp384r1"]])
def test_an_inner_hello(groups: list[str], pki: Pki) -> None:
    key = EchKey.generate("public.test")
    server = ServerConfig(credentials=pki.server("localhost", "public.test"), ech=[key])
    client = ClientConfig(trust=pki.trust, ech=EchConfigList(key.configs))
    heard = conversed(client, replace(server, groups=groups) if groups else server)
    observation = check(heard)

    def inner(events: Any) -> list[tuple[str, bytes, tuple[str, ...]]]:
        return [
            (e.direction, e.raw, e.outer_extensions) for e in events if isinstance(e, InnerHello)
        ]

    assert inner(observation.events) == inner(heard.notes.events)
    assert len(inner(observation.events)) == 1 + len(groups)
    assert encrypted_hello_in(observation.events) == "accepted"
    assert names_in_hello(observation.events) == ("public.test", "localhost")
    assert [e.info.ech_accepted for e in observation.events if isinstance(e, HandshakeResult)] == [
        True
    ]
    # Without the secret of the encryption, the inner hello and its keys stay hidden.
    keylog = KeyLog()
    lines = [line for line in keylog_lines(heard.notes.events) if not line.startswith("ECH_")]
    keylog.add("\n".join(lines).encode())
    observation = observe(heard.stream, keylog)
    assert inner(observation.events) == []
    assert encrypted_hello_in(observation.events) == "unknown"
    assert names_in_hello(observation.events) == ("public.test", None)
    assert observation.server_name == "public.test"
    assert observation.missing


def test_an_inner_hello_that_was_rejected(pki: Pki) -> None:
    key, other = EchKey.generate("public.test"), EchKey.generate("public.test")
    heard = make_captured(
        ClientConfig(trust=pki.trust, ech=EchConfigList(key.configs)),
        ServerConfig(credentials=pki.server("localhost", "public.test"), ech=[other]),
    )
    with contextlib.suppress(TLSError):
        heard.shuttle()
    observation = observe(heard.stream, heard.keylog)
    assert observation.server_name == "public.test"
    assert [e for e in observation.events if isinstance(e, InnerHello)]
    assert encrypted_hello_in(observation.events) == "offered"  # The client's alert never left.
    for direction in ("sent", "received"):
        assert in_order(observation.events, direction)


def test_a_broken_key_log_opens_no_inner_hello(pki: Pki) -> None:
    key = EchKey.generate("public.test")
    server = ServerConfig(credentials=pki.server("localhost", "public.test"), ech=[key])
    heard = conversed(ClientConfig(trust=pki.trust, ech=EchConfigList(key.configs)), server)
    long = "00" * 0x10000
    for label, value in (
        ("ECH_CONFIG", "00"),
        ("ECH_CONFIG", "fe0d0000"),
        ("ECH_CONFIG", long),
        ("ECH_SECRET", "00"),
        ("ECH_SECRET", long),
    ):
        keylog = KeyLog()
        for line in keylog_lines(heard.notes.events):
            name, random, _ = line.split()
            keylog.add((f"{name} {random} {value}" if name == label else line).encode())
        observation = observe(heard.stream, keylog)
        assert [e for e in observation.events if isinstance(e, InnerHello)] == []


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_client_certificate(version: str, pki: Pki) -> None:
    heard = conversed(
        ClientConfig(trust=pki.trust, credentials=pki.client(), versions=[version]),
        ServerConfig(credentials=pki.server(), client_auth=ClientAuth.REQUIRED, trust=pki.trust),
    )
    assert info_of(check(heard).events).client_signature_scheme is not None


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_session_that_is_resumed(version: str, pki: Pki) -> None:
    client = ClientConfig(trust=pki.trust, sessions=SessionStore(), versions=[version])
    server = ServerConfig(credentials=pki.server())
    check(conversed(client, server))
    assert info_of(check(conversed(client, server)).events).resumed


def early(pki: Pki, *, accepts: bool, knows_early_secret: bool = True) -> Observation:
    client = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)
    server = ServerConfig(credentials=pki.server(), max_early_data=1000)
    conversed(client, server)
    heard = make_captured(client, server if accepts else replace(server, max_early_data=0))
    heard.client.send_early_data(b"first words")
    heard.shuttle()
    heard.client.close()
    heard.shuttle()
    if knows_early_secret:
        return check(heard)
    keylog = KeyLog()
    lines = (line for line in keylog_lines(heard.notes.events) if "EARLY" not in line)
    keylog.add("\n".join(lines).encode())
    return observe(heard.stream, keylog)


def test_early_data_that_is_taken(pki: Pki) -> None:
    observation = early(pki, accepts=True)
    assert info_of(observation.events).early_data_status == "accepted"
    assert "early" in [e.epoch for e in observation.events if isinstance(e, KeysInstalled)]


def test_early_data_that_is_refused(pki: Pki) -> None:
    assert info_of(early(pki, accepts=False).events).early_data_status == "rejected"


def test_early_data_before_a_second_hello(pki: Pki) -> None:
    """The second hello is in the clear again, and both the client and the observer say so."""
    client = ClientConfig(
        trust=pki.trust, sessions=SessionStore(), allow_early_data=True, key_shares=["X25519"]
    )
    server = ServerConfig(credentials=pki.server(), max_early_data=1000)
    conversed(client, server)
    heard = make_captured(client, replace(server, groups=["secp256r1"]))
    heard.client.send_early_data(b"first words")
    heard.shuttle()
    heard.client.close()
    heard.shuttle()
    assert info_of(check(heard).events).hello_retry
    hellos = [epoch for epoch, raw in in_order(heard.notes.events, "sent") if raw[0] == 1]
    assert hellos == ["plaintext", "plaintext"]


def test_early_data_without_their_secret(pki: Pki) -> None:
    events = early(pki, accepts=False, knows_early_secret=False).events
    assert info_of(events).early_data_status == "rejected"
    assert any(isinstance(e, RecordSeen) and e.epoch == "early" for e in events)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_without_secrets_the_clear_part_is_told(version: str, pki: Pki) -> None:
    heard = conversed(
        ClientConfig(trust=pki.trust, versions=[version]), ServerConfig(credentials=pki.server())
    )
    observation = observe(heard.stream, KeyLog())
    clear = [message for message in said(heard.notes.events) if message[1] == "plaintext"]
    assert sorted(said(observation.events)) == sorted(clear)
    assert len(observation.missing) == 1
    assert "SSLKEYLOGFILE" in observation.missing[0]
    assert not any(isinstance(event, HandshakeResult) for event in observation.events)
    # It went well, as far as that can be seen.
    assert diagnose(observation.events) is None


def test_the_secrets_of_another_connection(pki: Pki) -> None:
    config = ClientConfig(trust=pki.trust, versions=["TLSv1.3"])
    heard, other = (conversed(config, ServerConfig(credentials=pki.server())) for _ in range(2))
    keylog = KeyLog()
    right = next(line.split()[1] for line in keylog_lines(heard.notes.events))
    for line in keylog_lines(other.notes.events):
        label, _, secret = line.split()
        keylog.add(f"{label} {right} {secret}".encode())
    observation = observe(heard.stream, keylog)
    assert any("another connection" in sentence for sentence in observation.missing)


def failing(client: ClientConfig, server: ServerConfig) -> tuple[Captured, Observation]:
    heard = make_captured(client, server)
    with pytest.raises(TLSError):
        heard.shuttle()
    for sender, end in ((1, heard.server), (0, heard.client)):
        heard._say(sender, bytes(end.data_to_send()))
    return heard, observe(heard.stream, heard.keylog)


def test_a_server_that_gives_up_is_seen_from_the_client(pki: Pki) -> None:
    _, observation = failing(
        ClientConfig(trust=pki.trust, groups=["secp521r1"]),
        ServerConfig(credentials=pki.server(), groups=["X25519"]),
    )
    diagnosis = diagnose(observation.events)
    assert diagnosis is not None
    assert diagnosis.fault == "PEER_HANDSHAKE_FAILURE"
    assert "secp521r1" in diagnosis.cause
    assert diagnosis.evidence[-1].what == "supported_groups in the client's ClientHello"


def test_a_client_that_gives_up_is_seen_from_the_server(pki: Pki) -> None:
    _, observation = failing(
        ClientConfig(trust=Pki().trust), ServerConfig(credentials=pki.server())
    )
    diagnosis = diagnose(observation.events)
    assert diagnosis is not None
    assert diagnosis.fault == "PEER_UNKNOWN_CA"
    assert "trusts" in diagnosis.cause
    assert [e.direction for e in observation.events if isinstance(e, AlertSeen)] == ["received"]


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_server_that_goes_away(how: str, pki: Pki) -> None:
    heard = make_captured(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    heard._say(0, bytes(heard.client.data_to_send()))
    ending = StreamEnd(heard.pieces[-1].at_ns + 5, 1, how)
    observation = observe(Stream(0, ENDS, tuple(heard.pieces), (ending,)), KeyLog())
    diagnosis = diagnose(observation.events)
    assert diagnosis is not None
    word = "RESET" if how == "reset" else "CLOSED"
    assert diagnosis.fault == f"{word}_DURING_HANDSHAKE"


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_server_that_goes_away_before_the_client_says_anything(how: str, pki: Pki) -> None:
    heard = make_captured(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    heard._say(0, bytes(heard.client.data_to_send()))
    ending = StreamEnd(heard.pieces[0].at_ns - 5_000_000, 1, how)
    observation = observe(Stream(0, ENDS, tuple(heard.pieces), (ending,)), KeyLog())
    assert observation.began_at_ns == ending.at_ns
    story = Recorder()
    story.events = list(observation.events)
    assert Recorder.from_json(story.to_json()).events == story.events
    hello = next(event for event in story.events if isinstance(event, MessageSeen))
    assert hello.at_ns == heard.pieces[-1].at_ns - ending.at_ns


@pytest.mark.parametrize("keyed", [True, False])
def test_a_server_that_may_have_stalled_within_its_flight(keyed: bool, pki: Pki) -> None:
    """Three seconds after it the client left; only with the keys is its Finished seen."""
    heard = conversed(
        ClientConfig(trust=pki.trust, versions=["TLSv1.3"]), ServerConfig(credentials=pki.server())
    )
    keylog = heard.keylog if keyed else KeyLog()
    first = next(piece for piece in heard.pieces if piece.sender == 1)
    pieces = [piece for piece in heard.pieces if piece.at_ns < first.at_ns]
    said = b"".join([piece.data for piece in heard.pieces if piece.sender == 1])
    start = records_of(said)[:4]
    pieces.append(replace(first, data=b"".join(start)))
    ending = StreamEnd(first.at_ns + 3_000_000_000, 0, "end")
    observation = observe(Stream(0, ENDS, tuple(pieces), (ending,)), keylog)
    failed = observation.events[-2]
    assert isinstance(failed, Failed)
    if keyed:
        assert (failed.fault, failed.blame) == ("CLOSED_DURING_HANDSHAKE", "peer")
    else:
        assert failed.blame == "unclear"
        assert failed.condition.startswith("the server, if it had not sent its whole flight")


def records_of(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        found.append(data[:size])
        data = data[size:]
    return found


def test_a_server_that_answers_in_http(pki: Pki) -> None:
    heard = make_captured(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    heard._say(0, bytes(heard.client.data_to_send()))
    heard._say(1, b"HTTP/1.1 400 Bad Request\r\n\r\n")
    diagnosis = diagnose(observe(heard.stream, KeyLog()).events)
    assert diagnosis is not None
    assert diagnosis.fault == "PLAINTEXT_HTTP"
    assert diagnosis.evidence[0].octets.startswith(b"HTTP/1.1")


def test_what_comes_before_tls(pki: Pki) -> None:
    heard = conversed(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    before = heard.pieces[0].at_ns
    preamble = (
        Piece(before - 30, 1, b"220 mail.test\r\n"),
        Piece(before - 20, 0, b"STARTTLS\r\n"),
        Piece(before - 10, 1, b"220 Ready\r\n"),
    )
    observation = observe(Stream(0, ENDS, (*preamble, *heard.pieces)), heard.keylog)
    assert in_order(observation.events, "received") == in_order(heard.notes.events, "received")
    assert "STARTTLS" in observation.missing[0]


@pytest.mark.parametrize("size", [100, 1400, 10_000])
def test_a_first_record_is_looked_for_as_far_whatever_the_segments(size: int, pki: Pki) -> None:
    heard = conversed(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    at = heard.pieces[0].at_ns
    first = next(piece for piece in heard.pieces if piece.sender == 1)
    pieces = [piece for piece in heard.pieces if piece.at_ns < first.at_ns]
    said = bytes(5_000) + first.data
    pieces += [
        Piece(first.at_ns + start, 1, said[start : start + size])
        for start in range(0, len(said), size)
    ]
    stream = Stream(0, ENDS, (Piece(at - 20, 0, b"STARTTLS\r\n"), *pieces))
    messages = [
        event.raw[0]
        for event in observe(stream, heard.keylog).events
        if isinstance(event, MessageSeen)
    ]
    assert messages == [1]


@pytest.mark.parametrize("segments", [1, 2, 3, 4, 5])
def test_a_first_record_behind_other_words_comes_in_segments(segments: int, pki: Pki) -> None:
    """The server's last words before TLS come with its ServerHello, which is all there is."""
    heard = conversed(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    at = heard.pieces[0].at_ns
    first = next(piece for piece in heard.pieces if piece.sender == 1)
    hello = first.data[: 5 + int.from_bytes(first.data[3:5], "big")]
    pieces = [piece for piece in heard.pieces if piece.at_ns < first.at_ns]
    said = b"220 Ready\r\n" + hello
    size = -(-len(said) // segments)
    pieces += [
        Piece(first.at_ns + start, 1, said[start : start + size])
        for start in range(0, len(said), size)
    ]
    stream = Stream(0, ENDS, (Piece(at - 20, 0, b"STARTTLS\r\n"), *pieces))
    observation = observe(stream, heard.keylog)
    messages = [event for event in observation.events if isinstance(event, MessageSeen)]
    assert [event.raw[0] for event in messages] == [1, 2]
    assert "11 of the server came before TLS" in observation.missing[0]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "plain HTTP"),
        (b"SSH-2.0-x\r\n", "It is SSH"),
        (b"\x17\x03\x03\x00\x20" + bytes(32), "records of TLS on this connection, and no Client"),
        (b"x", "no TLS"),
    ],
)
def test_what_is_no_tls(data: bytes, word: str) -> None:
    with pytest.raises(CaptureError, match=word):
        observe(Stream(0, ENDS, (Piece(0, 0, data),)), KeyLog())


def test_nothing_was_said() -> None:
    with pytest.raises(CaptureError, match="Nothing"):
        observe(Stream(0, ENDS, ()), KeyLog())


@pytest.fixture(scope="session")
def both_versions(pki: Pki) -> list[Captured]:
    return [
        conversed(
            ClientConfig(trust=pki.trust, versions=[version]),
            ServerConfig(credentials=pki.server()),
        )
        for version in ("TLSv1.2", "TLSv1.3")
    ]


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_whatever_is_in_a_capture(data: st.DataObject, both_versions: list[Captured]) -> None:
    """Bytes that were changed, lost or swapped give a story or a `CaptureError`, no traceback."""
    heard = data.draw(st.sampled_from(both_versions))
    pieces = list(heard.pieces)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(pieces) - 1))
        octets = bytearray(pieces[at].data)
        if octets:
            where = data.draw(st.integers(0, len(octets) - 1))
            octets[where] = data.draw(st.integers(0, 255))
        kept = data.draw(st.integers(0, len(octets)))
        pieces[at] = replace(pieces[at], data=bytes(octets[: max(kept, len(octets) - kept)]))
    try:
        observation = observe(Stream(0, ENDS, tuple(pieces)), heard.keylog)
    except CaptureError:
        return
    recorder = Recorder()
    recorder.events = list(observation.events)
    assert Recorder.from_json(recorder.to_json()).events == recorder.events
    diagnose(recorder.events)


# What the fuzzer found


def in_the_clear(message: bytes) -> bytes:
    return b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message


def test_two_that_finish_without_having_agreed(pki: Pki) -> None:
    heard = make_captured(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    heard._say(0, bytes(heard.client.data_to_send()))
    for sender in (0, 1):
        heard._say(sender, in_the_clear(b"\x14\x00\x00\x0c" + bytes(12)))
    observation = observe(heard.stream, KeyLog())
    assert len(said(observation.events)) == 3
    assert not any(isinstance(event, HandshakeResult) for event in observation.events)


def test_a_message_in_the_clear_is_none_under_the_keys(pki: Pki) -> None:
    """Anyone on the way can have put it there; the end that gets it does not take it either."""
    heard = conversed(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    at = next(number for number, piece in enumerate(heard.pieces) if piece.sender == 1)
    first = heard.pieces[at]
    size = 5 + int.from_bytes(first.data[3:5], "big")
    forged = in_the_clear(b"\x08\x00\x00\x02\x00\x00")
    heard.pieces[at] = replace(first, data=first.data[:size] + forged + first.data[size:])
    observation = observe(heard.stream, heard.keylog)
    assert forged[5:] not in [raw for _, _, raw in said(observation.events)]
    assert "plaintext record" in observation.missing[0]


def test_no_message_reaches_across_a_change_of_keys(pki: Pki) -> None:
    heard = conversed(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    begun = in_the_clear(b"\x01\x00\x00\x10")
    at = next(number for number, piece in enumerate(heard.pieces) if piece.sender == 1)
    heard.pieces.insert(at, replace(heard.pieces[0], data=begun, at_ns=heard.pieces[at - 1].at_ns))
    observation = observe(heard.stream, heard.keylog)
    assert len(in_order(observation.events, "sent")) == 1
    assert "the keys change" in observation.missing[0]


# Key logs


def test_a_key_log_with_other_lines() -> None:
    keylog = KeyLog()
    keylog.add(b"# a comment\n\nCLIENT_RANDOM zz 00\nUNKNOWN 00 00\nCLIENT_RANDOM 0a 0b\r\nx y\n")
    assert len(keylog) == 1
    assert keylog.of(b"\x0a") == {"CLIENT_RANDOM": b"\x0b"}
    assert keylog.of(b"\x0b") == {}


def capture_of(heard: Captured) -> bytes:
    trace = Recorder(record_secrets=True, record_wire=True)
    trace.events = [*heard.notes.events, WireSeen(0, "sent", b"x")]
    return trace.to_pcapng()


def test_secrets_inside_a_capture(both_versions: list[Captured]) -> None:
    for heard in both_versions:
        (inside,) = secrets_inside(capture_of(heard))
        assert inside.decode().splitlines() == list(keylog_lines(heard.notes.events))
    assert list(secrets_inside(b"\xd4\xc3\xb2\xa1" + bytes(100))) == []


def test_blocks_of_the_other_byte_order() -> None:
    def block(kind: int, body: bytes) -> bytes:
        size = (len(body) + 12).to_bytes(4, "big")
        return kind.to_bytes(4, "big") + size + body + size

    section = block(0x0A0D0D0A, b"\x1a\x2b\x3c\x4d\x00\x01\x00\x00" + b"\xff" * 8)
    secrets = block(10, b"\x54\x4c\x53\x4b\x00\x00\x00\x05abcd\n\0\0\0")
    assert list(secrets_inside(section + secrets)) == [b"abcd\n"]


@pytest.mark.parametrize("cut", [4, 11, 30, 70])
def test_a_capture_that_is_cut_off(cut: int, both_versions: list[Captured]) -> None:
    with pytest.raises(CaptureError, match="cut off"):
        list(secrets_inside(capture_of(both_versions[0])[:cut]))


@given(data=st.binary(max_size=200))
def test_any_bytes_in_blocks(data: bytes) -> None:
    with contextlib.suppress(CaptureError):
        list(secrets_inside(b"\x0a\x0d\x0d\x0a" + data))
