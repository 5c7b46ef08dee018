"""What is taken out of a trace is gone, in whatever form; what is left can still be looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from tests.end_to_end.test_resumption import World
from tests.pki import Leaf, Pki, key_of_type, key_pem
from tests.recorded import DATA, Recorded, converse, shuttle

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Credentials,
    PreSharedKey,
    Recorder,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TLSError,
)
from handclasp.certificates.credentials import LocalSigner
from handclasp.story.facts import facts_of
from handclasp.story.fields import fields_of
from handclasp.story.narrate import narrate
from handclasp.story.recorded import message_of
from handclasp.trace.events import (
    BytesRefused,
    DecisionTaken,
    Failed,
    HandshakeResult,
    KeyStep,
    MessageSeen,
    RecordSeen,
    Refused,
    SecretDerived,
    TransportSeen,
)

NAME = "nobodys.example"
USER = "Alice Secretname"
TLS12: dict[str, Any] = {"versions": ("TLSv1.2",)}


@pytest.fixture(scope="module", params=[{}, TLS12], ids=["13", "12"])
def full(request: pytest.FixtureRequest, pki: Pki) -> Recorded:
    """Everything that names somebody: a staple, timestamps, authorities, a client, a ticket."""
    key = key_of_type("ecdsa-p256")
    leaf = pki.issue(Leaf((NAME,)), key.public_key())
    credentials = (
        Credentials.from_signer([leaf], LocalSigner(key))
        .with_staple(pki.ocsp_response(leaf))
        .with_timestamps([b"a timestamp of the leaf"])
    )
    recorded = Recorded(
        Recorder(record_secrets=True, record_wire=True),
        Recorder(record_secrets=True, record_wire=True),
    )
    client = ClientConnection(
        ClientConfig(
            trust=pki.trust,
            credentials=pki.client(USER),
            send_authorities=True,
            sessions=SessionStore(),
            **request.param,
        ),
        server_name=NAME,
        trace=recorded.client,
    )
    server = ServerConnection(
        ServerConfig(
            credentials=[credentials, pki.server(f"other.{NAME}")],
            client_auth=ClientAuth.REQUIRED,
            trust=pki.trust,
            send_authorities=True,
        ),
        trace=recorded.server,
    )
    recorded.client.transport(("198.51.100.7", 50_000), ("203.0.113.9", 443))
    for recorder, connection in ((recorded.client, client), (recorded.server, server)):
        recorder.wire("sent", bytes(connection.data_to_send()) or b"hello")
    client = ClientConnection(client.config, server_name=NAME, trace=recorded.client)
    shuttle(client, server)
    client.send_data(DATA)
    shuttle(client, server)
    assert client.established
    assert server.established
    return recorded


def both(recorded: Recorded) -> tuple[Recorder, Recorder]:
    return recorded.client, recorded.server


def holds(recorder: Recorder, data: bytes) -> bool:
    """Whether the bytes are anywhere in the JSON, as hexadecimal or as text."""
    text = recorder.to_json(fields=True)
    return data.hex() in text or data.decode("latin-1") in text


def secrets_in(recorder: Recorder) -> list[bytes]:
    values = [e.value for e in recorder.events if isinstance(e, KeyStep | SecretDerived)]
    # What a Finished holds was sent to the peer, and is no secret.
    return [value for value in values if len(value) > 12 and not is_public(recorder, value)]


def is_public(recorder: Recorder, value: bytes) -> bool:
    return any(
        isinstance(event, KeyStep) and event.value == value and event.output == "verify_data"
        for event in recorder.events
    )


def test_no_secret_is_left(full: Recorded) -> None:
    for recorder in both(full):
        secrets = secrets_in(recorder)
        assert len(secrets) > 3
        without = recorder.redacted()
        for value in (*secrets, DATA):
            assert holds(recorder, value)
            assert not holds(without, value), value
        assert not without.record_secrets


def test_the_rest_is_left(full: Recorded) -> None:
    for recorder in both(full):
        without = recorder.redacted()
        assert facts_of(without.events) == facts_of(recorder.events)
        assert narrate(without.events) == narrate(recorder.events)
        kinds = [type(event) for event in recorder.events if not isinstance(event, SecretDerived)]
        assert [type(event) for event in without.events] == kinds


def names_in(recorder: Recorder) -> list[bytes]:
    """Whatever could name a side, out of the certificates that were used."""
    info = next(event.info for event in recorder.events if isinstance(event, HandshakeResult))
    found = [NAME.encode(), USER.encode()]
    for der in (*info.peer_chain_der, *info.local_chain_der):
        certificate = x509.load_der_x509_certificate(der)
        issuer = certificate.issuer.rfc4514_string().removeprefix("CN=")
        serial = certificate.serial_number.to_bytes(20, "big").lstrip(b"\0")
        found += [der, certificate.signature, issuer.encode(), serial]
    found += [data for data in (info.ocsp_response, info.sct_list) if data]
    return found


def test_no_name_is_left(full: Recorded) -> None:
    for recorder in both(full):
        without = recorder.redacted(names=True)
        for name in names_in(recorder):
            assert holds(recorder, name), name
            assert not holds(without, name), name
        assert not re.search("nobodys|Alice|Secretname", without.to_json(fields=True))


def test_what_a_name_could_be_guessed_from_is_not_left(full: Recorded) -> None:
    for recorder in both(full):
        without = recorder.redacted(names=True)
        contexts = {e.context for e in recorder.events if isinstance(e, KeyStep)} - {b""}
        assert contexts
        assert not any(len(each) > 4 and holds(without, each) for each in contexts)
        signatures = [
            message.signature
            for event in recorder.events
            if isinstance(event, MessageSeen)
            and (message := message_of(event)) is not None
            and hasattr(message, "signature")
        ]
        assert signatures
        assert not any(holds(without, signature) for signature in signatures)


def test_without_names_messages_keep_their_size_and_form(full: Recorded) -> None:
    for recorder in both(full):
        without = recorder.redacted(names=True)
        pairs = zip(messages_of(recorder), messages_of(without), strict=True)
        for before, after in pairs:
            assert shape(before) == shape(after)
        assert narrate(without.events).isascii()
        facts = facts_of(without.events)
        assert facts.cipher_suites == facts_of(recorder.events).cipher_suites
        assert facts.info is not None
        assert facts.info.server_name in (None, "xxxxxxx.xxxxxxx")


def messages_of(recorder: Recorder) -> list[MessageSeen]:
    return [event for event in recorder.events if isinstance(event, MessageSeen)]


def shape(message: MessageSeen) -> list[tuple[str, int, int]]:
    tree = fields_of(message.raw, message.epoch)
    return [(leaf.name, leaf.start, leaf.end) for leaf in tree.leaves()]


def test_certificates_of_a_decision_get_other_names(full: Recorded) -> None:
    decision = next(
        event
        for event in full.server.redacted(names=True).events
        if isinstance(event, DecisionTaken) and event.what == "credentials"
    )
    assert decision.offered == ("certificate 1 (secp256r1)", "certificate 2 (secp256r1)")
    assert decision.chosen == "certificate 1 (secp256r1)"
    assert [each.name for each in decision.refused] == ["certificate 2 (secp256r1)"]


def test_a_name_that_was_refused_and_never_offered_goes_too() -> None:
    """As in a trace that somebody made up."""
    recorder = Recorder()
    refused = (Refused("secret.example (ECDSA)", "secret.example (ECDSA) is too old"),)
    recorder.events = [DecisionTaken(1, "credentials", (), (), None, "none will do", refused)]
    redacted = Recorder.from_json(recorder.to_json()).redacted(names=True)
    assert "secret.example" not in redacted.to_json()


def test_addresses_go_by_choice(full: Recorded) -> None:
    assert holds(full.client.redacted(names=True), b"203.0.113.9")
    without = full.client.redacted(addresses=True)
    (ends,) = [event for event in without.events if isinstance(event, TransportSeen)]
    assert (ends.local_address, ends.peer_address) == ("192.0.2.1", "192.0.2.2")
    assert (ends.local_port, ends.peer_port) == (50_000, 443)
    assert not holds(without, b"203.0.113.9")
    assert not holds(without, b"198.51.100.7")
    assert holds(without, NAME.encode())


def test_a_server_name_that_is_an_address_goes_with_them(pki: Pki) -> None:
    recorder = Recorder()
    client = ClientConnection(
        ClientConfig(trust=pki.trust), server_name="203.0.113.77", trace=recorder
    )
    shuttle(client, ServerConnection(ServerConfig(credentials=pki.server("203.0.113.77"))))
    assert client.established
    assert holds(recorder, b"203.0.113.77")
    assert not holds(recorder.redacted(addresses=True), b"203.0.113.77")


def test_a_name_as_short_as_a_number_goes_too(pki: Pki) -> None:
    recorder = Recorder()
    client = ClientConnection(ClientConfig(trust=pki.trust), server_name="q.io", trace=recorder)
    shuttle(client, ServerConnection(ServerConfig(credentials=pki.server("q.io"))))
    assert holds(recorder, b"q.io")
    assert not holds(recorder.redacted(names=True), b"q.io")


def test_a_failure_is_told_without_its_particulars(pki: Pki) -> None:
    recorder = Recorder()
    client = ClientConnection(ClientConfig(trust=pki.trust), server_name=NAME, trace=recorder)
    server = ServerConnection(ServerConfig(credentials=pki.server("anothers.example")))
    with pytest.raises(TLSError):
        shuttle(client, server)
    assert holds(recorder, b"anothers.example")
    without = recorder.redacted(names=True)
    assert not re.search("nobodys|anothers", without.to_json(fields=True))
    (failed,) = [event for event in without.events if isinstance(event, Failed)]
    assert failed.fault == "CERTIFICATE_NAME_MISMATCH"
    assert failed.message == failed.explanation


def test_tickets_and_keys_that_have_names_go_with_them(pki: Pki) -> None:
    world = World(pki)
    first, second = world.meet(), world.meet()
    tickets = [
        message.ticket
        for event in first.client.trace.events
        if isinstance(event, MessageSeen)
        and (message := message_of(event)) is not None
        and hasattr(message, "ticket")
    ]
    assert any(holds(second.client.trace, ticket) for ticket in tickets)
    assert not any(holds(second.client.trace.redacted(names=True), each) for each in tickets)
    key = PreSharedKey(b"the-alarm-of-house-7", bytes(range(32)))
    recorded = converse(ClientConfig(psks=[key]), ServerConfig(psks=[key]))
    assert holds(recorded.client, key.identity)
    assert not holds(recorded.client.redacted(names=True), key.identity)


def test_plain_http_is_cut_short() -> None:
    recorder = Recorder()
    recorder.bytes_refused(b"GET /?password=hunter2 HTTP/1.1\r\n")
    without = recorder.redacted()
    assert [e.data for e in without.events if isinstance(e, BytesRefused)] == [b"GET /"]


@pytest.mark.parametrize("keep", [0, 3, 7, 60, 100])
def test_what_cannot_be_read_is_blanked(full: Recorded, keep: int) -> None:
    """A name may stand in bytes that nobody here can read."""
    recorder = Recorder()
    for event in messages_of(full.client):
        cut = replace(event, raw=event.raw[:keep] + NAME.encode() * 3)
        if message_of(cut) is None:
            recorder.events.append(cut)
    assert holds(recorder, NAME.encode())
    assert not holds(recorder.redacted(names=True), NAME.encode())


def test_handshake_records_stay_where_only_secrets_go(full: Recorded) -> None:
    shown = [e for e in full.client.redacted().events if isinstance(e, RecordSeen) and e.wire]
    assert {event.direction for event in shown} == {"sent", "received"}
    assert all(event.content_type == 22 for event in shown)


def test_a_redacted_trace_is_a_trace(full: Recorded) -> None:
    for recorder in both(full):
        for names in (False, True):
            without = recorder.redacted(names=names, addresses=True)
            assert Recorder.from_json(without.to_json()).events == without.events
            assert without.began_at_ns == recorder.began_at_ns
            assert json.loads(without.to_json())["format"] == "handclasp-trace/1"


def test_the_page_works_without_all_of_it(full: Recorded) -> None:
    describe: Callable[[bytes], None] = lambda der: None  # noqa: E731
    page = full.client.redacted(names=True, addresses=True).to_html("a handshake", describe)
    assert not re.search("nobodys|Alice", page)


def test_what_was_taken_out_is_said_to_be(full: Recorded) -> None:
    """Neither a certificate of an unknown form, nor one that was not sent."""
    for recorder in both(full):
        redacted = recorder.redacted(names=True)
        told = " ".join(narrate(redacted.events, 10_000).split())
        for sender in ("server", "client"):
            assert f"The {sender} shows who it is, in " in told
        assert told.count("bytes that are all zeros here, as redaction of names leaves them") == 2
        assert "unknown form" not in told
        page = redacted.to_html("x")
        assert "bytes that are all zeros here" in page[page.index('id="step-2"') :]
        assert "The handshake did not come to this" not in page
        assert "the client sent none" not in page
        assert "the client sent a certificate" in page


def test_a_blank_message_that_cannot_be_read_is_not_called_malformed(pki: Pki) -> None:
    """A raw public key in TLS 1.2, of which zeros are no list of certificates."""
    own = Credentials.raw_public_key(key_pem(key_of_type("ecdsa-p256")))
    public = own.chain_der[0]
    recorder = Recorder()
    client = ClientConnection(
        ClientConfig(raw_public_keys=[public], versions=["TLSv1.2"]),
        server_name=NAME,
        trace=recorder,
    )
    shuttle(client, ServerConnection(ServerConfig(credentials=[own])))
    assert client.established
    told = " ".join(narrate(recorder.redacted(names=True).events, 10_000).split())
    assert "The server sends a message of" in told
    assert "malformed" not in told
