"""The story in a terminal, and the figures that it is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.pki import Pki
from tests.recorded import Recorded, converse, shuttle

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Recorder,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.capture.observe import observe
from handclasp.capture.secrets import KeyLog
from handclasp.capture.stream import Address, Piece, Stream
from handclasp.iana import HandshakeType
from handclasp.story.facts import facts_of
from handclasp.story.narrate import narrate
from handclasp.story.recorded import Share
from handclasp.trace.events import MessageSeen


def names_in(text: str) -> list[str]:
    """The messages of a diagram, in order."""
    lines = (line.split() for line in text.splitlines() if " ms  " in line)
    return [line[3] for line in lines if line[0] == "|" and line[2] == "ms"]


def test_the_facts_are_those_of_the_handshake(plain: Recorded) -> None:
    facts = facts_of(plain.client.events)
    assert facts.role == "client"
    assert facts.client_shares == (Share("X25519MLKEM768", 1216), Share("X25519", 32))
    assert facts.server_share == Share("X25519MLKEM768", 1120)
    assert facts.info is not None
    assert facts.certificate_sizes == tuple(map(len, facts.info.peer_chain_der))
    assert facts.handshake_ns is not None
    assert facts.handshake_ns > 0
    assert facts.verify_ns is not None
    assert facts.sign_ns is None


def test_both_sides_agree_on_the_facts(plain: Recorded) -> None:
    ours, theirs = facts_of(plain.client.events), facts_of(plain.server.events)
    assert theirs.role == "server"
    assert theirs.client_shares == ours.client_shares
    assert theirs.server_share == ours.server_share
    assert theirs.certificate_sizes == ours.certificate_sizes
    assert theirs.sign_ns is not None


def test_facts_of_nothing() -> None:
    facts = facts_of([])
    assert (facts.info, facts.handshake_ns, facts.server_share) == (None, None, None)


def test_the_story_has_every_message_in_order(plain: Recorded) -> None:
    expected = [
        "ClientHello", "ServerHello", "EncryptedExtensions", "CompressedCertificate",
        "CertificateVerify", "Finished", "Finished",
    ]  # fmt: skip
    assert names_in(narrate(plain.client.events))[:7] == expected
    assert names_in(narrate(plain.server.events))[:7] == expected


def test_the_story_has_real_values(plain: Recorded) -> None:
    story = " ".join(narrate(plain.client.events).replace("|", " ").split())
    assert "I am looking for localhost" in story
    assert "X25519MLKEM768 (1,216 bytes) and X25519 (32 bytes)" in story
    assert "we shall speak http/1.1" in story
    assert "ecdsa_secp256r1_sha256" in story


@pytest.mark.parametrize("width", [60, 80, 132])
def test_every_line_fits_and_is_plain(plain: Recorded, retried: Recorded, width: int) -> None:
    for recorder in (plain.client, plain.server, retried.client):
        text = narrate(recorder.events, width)
        assert max(map(len, text.splitlines())) <= width
        assert text.isascii()
        assert all(character.isprintable() or character == "\n" for character in text)


def test_arrows_show_direction_and_protection(plain: Recorded) -> None:
    arrows = [
        line.strip("| ") for line in narrate(plain.client.events).splitlines()
        if line.strip("| ")[:2] in ("--", "==", "<-", "<=")
    ]  # fmt: skip
    assert [(arrow[1], arrow[0] == "<") for arrow in arrows[:4]] == [
        ("-", False),  # ClientHello, for all to see
        ("-", True),  # ServerHello, too
        ("=", True),  # the rest of the server's flight
        ("=", False),  # the client's Finished
    ]


def test_a_retry_is_told_as_one(retried: Recorded) -> None:
    text = narrate(retried.client.events)
    assert names_in(text)[:4] == ["ClientHello", "HelloRetryRequest", "ClientHello", "ServerHello"]
    assert "say hello again with a share of secp384r1" in text
    assert "after a second hello" in text


def test_client_certificates_are_told(pki: Pki) -> None:
    recorded = converse(
        ClientConfig(trust=pki.trust, credentials=pki.client()),
        ServerConfig(credentials=pki.server(), client_auth=ClientAuth.REQUIRED, trust=pki.trust),
    )
    text = narrate(recorded.client.events)
    assert "The server asks who the client is" in text
    assert "The client shows who it is" in text


def test_a_client_without_a_certificate_is_told(pki: Pki) -> None:
    recorded = converse(
        ClientConfig(trust=pki.trust),
        ServerConfig(credentials=pki.server(), client_auth=ClientAuth.OPTIONAL, trust=pki.trust),
    )
    assert "The client shows no certificate." in narrate(recorded.client.events)


def test_a_failure_ends_with_its_reason(pki: Pki) -> None:
    client_side, server_side = Recorder(), Recorder()
    client = ClientConnection(
        ClientConfig(trust=Pki().trust), server_name="localhost", trace=client_side
    )
    server = ServerConnection(ServerConfig(credentials=pki.server()), trace=server_side)
    with pytest.raises(TLSError):
        shuttle(client, server)
    with pytest.raises(TLSError):
        server.receive_data(client.data_to_send())
    ours = " ".join(narrate(client_side.events).split())
    theirs = " ".join(narrate(server_side.events).split())
    assert "Alert: unknown_ca" in ours
    assert "The handshake was not completed." in ours
    assert "The client gave up during the handshake (unknown_ca)" in ours
    assert "The client gave up during the handshake (unknown_ca)" in theirs


def test_key_updates_are_told(pki: Pki) -> None:
    recorder = Recorder()
    client = ClientConnection(
        ClientConfig(trust=pki.trust), server_name="localhost", trace=recorder
    )
    server = ServerConnection(ServerConfig(credentials=pki.server()))
    shuttle(client, server)
    client.update_keys()
    shuttle(client, server)
    text = " ".join(narrate(recorder.events).replace("|", " ").split())
    assert "The client switches to fresh keys, and asks the other side to do the same." in text
    assert "The server switches to fresh keys." in text


@pytest.mark.parametrize("keep", [0, 3, 4, 5, 20, 60])
def test_rubbish_is_told_and_never_raises(plain: Recorded, keep: int) -> None:
    """A trace may hold what a hostile peer sent: messages cut off anywhere."""
    events = [
        replace(event, raw=event.raw[:keep]) if isinstance(event, MessageSeen) else event
        for event in plain.server.events
    ]
    assert "malformed message" in " ".join(narrate(events).replace("|", " ").split())


def test_rubbish_inside_extensions_never_raises(plain: Recorded) -> None:
    for recorder in (plain.client, plain.server):
        for index, event in enumerate(recorder.events):
            if not isinstance(event, MessageSeen):
                continue
            for position in range(4, min(len(event.raw), 400)):
                raw = bytearray(event.raw)
                raw[position] ^= 0xFF
                events = list(recorder.events)
                events[index] = replace(event, raw=bytes(raw))
                if position % 7 == 0:
                    assert narrate(events).isascii()


def test_a_server_that_got_no_hello_is_a_server(pki: Pki) -> None:
    recorder = Recorder()
    server = ServerConnection(ServerConfig(credentials=pki.server()), trace=recorder)
    with pytest.raises(TLSError):
        server.receive_data(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert facts_of(recorder.events).role == "server"
    text = narrate(recorder.events)
    assert "They begin with: GET / HTTP/1.1..Host: localhost" in " ".join(
        text.replace("|", " ").split()
    )
    lines = [line.strip("| ") for line in text.splitlines()]
    assert next(line for line in lines if line.startswith(("--", "<-"))).endswith(">")


ENDS = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)


def test_many_messages_are_told_in_bounded_lines() -> None:
    hello = bytes(ClientConnection(server_name="example.com").data_to_send())
    # HelloRequests are the smallest messages: four bytes each.
    record = b"\x16\x03\x03" + (16_000).to_bytes(2, "big") + bytes(16_000)
    stream = Stream(1, ENDS, (Piece(0, 0, hello), Piece(1, 1, record * 8)))
    events = observe(stream, KeyLog()).events
    assert len(events) > 32_000
    for detail in (0, 2):
        text = narrate(events, 80, detail)
        assert len(text.splitlines()) < 4_000
        assert "Not drawn: 31,701 more messages or alerts." in " ".join(text.split())


def test_a_message_of_many_fields_is_told_in_bounded_lines() -> None:
    body = bytes(ClientConnection(server_name="example.com").data_to_send())[9:]
    at = 35 + body[34]  # after the session id
    own = int.from_bytes(body[at : at + 2], "big")
    suites = b"".join(number.to_bytes(2, "big") for number in range(30_000))
    body = body[:at] + len(suites).to_bytes(2, "big") + suites + body[at + 2 + own :]
    raw = b"\x01" + len(body).to_bytes(3, "big") + body
    events = [MessageSeen(0, "sent", "plaintext", HandshakeType.CLIENT_HELLO, raw)] * 3
    lines = narrate(events, 80, 2).splitlines()
    assert len(lines) < 5_200
    assert any("more lines)" in line for line in lines)
    assert any("(not unfolded: there are 5,000 lines already)" in line for line in lines)
