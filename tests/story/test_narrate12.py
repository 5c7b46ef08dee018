"""The story and the figures of TLS 1.2 handshakes, in which far more is in the clear."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.pki import Leaf, Pki, key_of_type
from tests.recorded import DATA, Recorded, converse
from tests.story.test_narrate import names_in

from handclasp import ClientAuth, ClientConfig, Credentials, Recorder, ServerConfig
from handclasp.certificates.credentials import LocalSigner
from handclasp.iana import ContentType
from handclasp.story.facts import certificate_was_requested, facts_of
from handclasp.story.narrate import narrate
from handclasp.story.recorded import Share, message_of
from handclasp.trace.events import MessageSeen, RecordSeen, TraceEvent
from handclasp.wire.codecs import write_message
from handclasp.wire.messages12 import HelloRequest, ServerKeyExchange

KEY_TRANSPORT: dict[str, Any] = {
    "versions": ("TLSv1.2",),
    "cipher_suites": ("TLS_RSA_WITH_AES_128_GCM_SHA256",),
    "allow_rsa_key_transport": True,
}


@pytest.fixture(scope="module")
def agreed(pki: Pki) -> Recorded:
    """A client that can do both versions, and a server of older days."""
    return converse(
        ClientConfig(trust=pki.trust),
        ServerConfig(credentials=pki.server(), versions=("TLSv1.2",), groups=("secp256r1",)),
    )


@pytest.fixture(scope="module")
def transported(pki: Pki) -> Recorded:
    """RSA key transport."""
    credentials = pki.server(key_type="rsa-2048")
    return converse(
        ClientConfig(trust=pki.trust, **KEY_TRANSPORT),
        ServerConfig(credentials=credentials, **KEY_TRANSPORT),
    )


@pytest.fixture(scope="module")
def with_everything(pki: Pki) -> Recorded:
    """A staple, and a client certificate."""
    key = key_of_type("ecdsa-p256")
    leaf = pki.issue(Leaf(("localhost",)), key.public_key())
    credentials = Credentials.from_signer([leaf], LocalSigner(key))
    return converse(
        ClientConfig(trust=pki.trust, versions=("TLSv1.2",), credentials=pki.client()),
        ServerConfig(
            credentials=credentials.with_staple(pki.ocsp_response(leaf)),
            client_auth=ClientAuth.REQUIRED,
            trust=pki.trust,
        ),
    )


def told(recorder: Recorder | Sequence[TraceEvent]) -> str:
    """The story without its frame."""
    events = recorder.events if isinstance(recorder, Recorder) else recorder
    return " ".join(narrate(events).replace("|", " ").split())


def arrows(text: str) -> list[str]:
    """The flights: ">" or "<", after "-" in the clear or "=" encrypted."""
    lines = [line.strip("| ") for line in text.splitlines()]
    return [
        line[1] + (">" if line.endswith(">") else "<")
        for line in lines
        if line[:2] in ("--", "==", "<-", "<=")
    ]


# Figures


def test_the_facts_of_an_agreement(agreed: Recorded) -> None:
    for recorder in (agreed.client, agreed.server):
        facts = facts_of(recorder.events)
        assert (facts.version, facts.key_exchange) == ("TLSv1.2", "agreement")
        # Not those of the hello, which were for TLS 1.3.
        assert facts.client_shares == (Share("secp256r1", 65),)
        assert facts.server_share == Share("secp256r1", 65)
        assert facts.encrypted_secret_size is None
        assert facts.round_trips == 2
        assert facts.certificate_sizes == tuple(map(len, agreed.info_of_server.local_chain_der))


def test_the_facts_of_a_transport(transported: Recorded) -> None:
    for recorder in (transported.client, transported.server):
        facts = facts_of(recorder.events)
        assert (facts.version, facts.key_exchange) == ("TLSv1.2", "transport")
        assert (facts.client_shares, facts.server_share) == ((), None)
        assert facts.encrypted_secret_size == 256  # as long as the key
        assert facts.sign_ns is None


def test_the_facts_of_tls13(plain: Recorded, retried: Recorded) -> None:
    facts = facts_of(plain.client.events)
    assert (facts.version, facts.key_exchange) == ("TLSv1.3", "agreement")
    assert facts.encrypted_secret_size is None
    trips = [facts_of(each.events).round_trips for each in (plain.client, plain.server)]
    assert trips == [1, 1]
    assert facts_of(retried.client.events).round_trips == 2


def test_facts_of_nothing() -> None:
    facts = facts_of([])
    assert (facts.version, facts.key_exchange, facts.round_trips) == (None, None, 0)


def test_both_sides_count_the_same_bytes(agreed: Recorded) -> None:
    """The server's Finished leaves after its last step, under the keys of application data."""
    ours, theirs = facts_of(agreed.client.events), facts_of(agreed.server.events)
    assert ours.handshake_sent == theirs.handshake_received
    assert ours.handshake_received == theirs.handshake_sent
    everything = sum(e.size for e in agreed.client.events if isinstance(e, RecordSeen))
    data = 5 + 8 + len(DATA) + 16
    alert = 5 + 8 + 2 + 16
    assert ours.handshake_sent + ours.handshake_received <= everything - data - alert


def test_a_client_certificate_was_requested(with_everything: Recorded, agreed: Recorded) -> None:
    assert certificate_was_requested(with_everything.client.events)
    assert not certificate_was_requested(agreed.client.events)


def test_a_hello_for_a_renegotiation_changes_no_facts(
    agreed: Recorded, transported: Recorded
) -> None:
    events = agreed.server.events
    other = next(e for e in transported.server.events if isinstance(e, MessageSeen))
    again = replace(other, epoch="application", at_ns=events[-1].at_ns)
    assert facts_of([*events, again]) == facts_of(events)
    assert facts_of([other]).cipher_suites != facts_of(events).cipher_suites


# The story


def test_the_story_of_an_agreement(agreed: Recorded) -> None:
    expected = [
        "ClientHello", "ServerHello", "Certificate", "ServerKeyExchange", "ServerHelloDone",
        "ClientKeyExchange", "ChangeCipherSpec", "Finished", "ChangeCipherSpec", "Finished",
    ]  # fmt: skip
    for recorder in (agreed.client, agreed.server):
        assert names_in(narrate(recorder.events))[:10] == expected
    story = told(agreed.client)
    assert "We take TLS 1.2 and TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256." in story
    assert "and its issuer, " in story
    assert "bytes, for all to read." in story
    assert "My public half of a secret: secp256r1 (65 bytes), signed with the" in story
    assert "My half of the secret: secp256r1 (65 bytes); both sides can now work it out." in story
    assert "Everything that the client sends after this is encrypted." in story
    assert "Everything that the server sends after this is encrypted." in story
    assert ", secp256r1. On the wire: " in story


def test_the_story_of_a_transport(transported: Recorded) -> None:
    expected = [
        "ClientHello", "ServerHello", "Certificate", "ServerHelloDone",
        "ClientKeyExchange", "ChangeCipherSpec", "Finished", "ChangeCipherSpec", "Finished",
    ]  # fmt: skip
    for recorder in (transported.client, transported.server):
        assert names_in(narrate(recorder.events))[:9] == expected
        story = told(recorder)
        assert "The secret, which I made alone, encrypted to the public key in the" in story
        assert "certificate: 256 bytes that only the holder of the private key can open." in story
        assert "a secret made by the client. On the wire" in story
        assert "can now work it out" not in story
    assert "I can do 1 cipher suite." in told(transported.client)


def test_the_story_of_all_the_rest(with_everything: Recorded) -> None:
    story = told(with_everything.client)
    assert "whether the certificate was revoked" in story
    assert "The server asks who the client is" in story
    assert "The client shows who it is" in story
    assert "Proof that the client holds the certificate's private key" in story
    assert "malformed message" not in story


def test_a_request_for_another_handshake_is_told(agreed: Recorded) -> None:
    raw = write_message(HelloRequest())
    request = MessageSeen(agreed.client.events[-1].at_ns, "received", "application", 0, raw)
    assert "The server asks for a new handshake" in told([*agreed.client.events, request])


def test_arrows_show_what_is_encrypted(transported: Recorded, agreed: Recorded) -> None:
    for recorder in (transported.client, transported.server, agreed.client, agreed.server):
        assert arrows(narrate(recorder.events))[:6] == ["->", "-<", "->", "=>", "-<", "=<"]


def test_middleboxes_are_not_told_of_in_tls13(plain: Recorded) -> None:
    """There, change_cipher_spec means nothing."""
    kinds = {e.content_type for e in plain.client.events if isinstance(e, RecordSeen)}
    assert ContentType.CHANGE_CIPHER_SPEC in kinds
    assert "ChangeCipherSpec" not in narrate(plain.client.events)


def test_the_bytes_on_the_wire_add_up(plain: Recorded, agreed: Recorded) -> None:
    """Also those of TLS 1.3 that are not drawn: it says how many they are."""
    for recorder in (plain.client, plain.server):
        story = told(recorder)
        sizes = re.search(r"\. (\d+) bytes each way are change_cipher_spec records, which", story)
        assert sizes is not None
        for way in ("sent", "received"):
            assert int(sizes[1]) == sum(
                e.size
                for e in recorder.events
                if isinstance(e, RecordSeen)
                and (e.direction, e.content_type) == (way, ContentType.CHANGE_CIPHER_SPEC)
            )
        page = recorder.to_html("it")
        assert f"{sizes[1]} bytes each way are change_cipher_spec records" in page
    assert "change_cipher_spec records" not in told(agreed.client)


def test_what_is_not_drawn_may_differ_by_way(plain: Recorded) -> None:
    def without(way: str) -> str:
        kept = [
            e
            for e in plain.client.events
            if not isinstance(e, RecordSeen)
            or (e.direction, e.content_type) != (way, ContentType.CHANGE_CIPHER_SPEC)
        ]
        return " ".join(narrate(kept).split())

    said = "are change_cipher_spec records, which say nothing in TLS 1.3; they are not drawn."
    assert f" 6 bytes sent {said}" in without("received")
    assert f" 6 bytes received {said}" in without("sent")


@pytest.mark.parametrize("width", [60, 80, 132])
def test_every_line_fits_and_is_plain(
    agreed: Recorded, transported: Recorded, with_everything: Recorded, width: int
) -> None:
    for recorded in (agreed, transported, with_everything):
        for recorder in (recorded.client, recorded.server):
            text = narrate(recorder.events, width)
            assert max(map(len, text.splitlines())) <= width
            assert text.isascii()


# Forms


def test_a_certificate_is_read_by_its_epoch(plain: Recorded, agreed: Recorded) -> None:
    for recorded in (plain, agreed):
        for event in recorded.client.events:
            if isinstance(event, MessageSeen):
                assert message_of(event) is not None
    key_exchange = [
        message
        for event in agreed.client.events
        if isinstance(event, MessageSeen)
        and isinstance(message := message_of(event), ServerKeyExchange)
    ]
    assert len(key_exchange) == 1


def test_stored_and_read_back(agreed: Recorded, transported: Recorded) -> None:
    for recorder in (agreed.client, agreed.server, transported.client, transported.server):
        again = Recorder.from_json(recorder.to_json())
        assert again.events == recorder.events
        assert narrate(again.events) == narrate(recorder.events)


# Rubbish


@pytest.mark.parametrize("keep", [0, 3, 4, 5, 20])
def test_messages_cut_off_anywhere_never_raise(with_everything: Recorded, keep: int) -> None:
    events = [
        replace(event, raw=event.raw[:keep]) if isinstance(event, MessageSeen) else event
        for event in with_everything.server.events
    ]
    assert "malformed message" in told(events)


def test_a_key_exchange_that_cannot_be_read(agreed: Recorded, transported: Recorded) -> None:
    for recorded in (agreed, transported):
        events = [
            replace(event, raw=event.raw[:4] + b"\xff" + event.raw[5:])
            if isinstance(event, MessageSeen) and event.message_type == 16
            else event
            for event in recorded.client.events
        ]
        assert "in an unknown form" in told(events)


def test_a_key_exchange_without_what_came_before(agreed: Recorded) -> None:
    """A trace may lack its beginning."""
    events = [e for e in agreed.client.events if isinstance(e, MessageSeen)]
    late = [event for event in events if event.message_type == 16]
    assert "in an unknown form" in told(late)
    assert facts_of(late).key_exchange is None


def test_changed_bytes_never_raise(
    agreed: Recorded, transported: Recorded, with_everything: Recorded
) -> None:
    for recorder in (agreed.client, transported.server, with_everything.client):
        for index, event in enumerate(recorder.events):
            if not isinstance(event, MessageSeen):
                continue
            for position in range(0, min(len(event.raw), 300), 7):
                raw = bytearray(event.raw)
                raw[position] ^= 0xFF
                events = list(recorder.events)
                events[index] = replace(event, raw=bytes(raw))
                assert narrate(events).isascii()
