"""Peers that break the rules of client authentication after the handshake (RFC 8446 4.6.2)."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.adversarial.authentication import ASKS, Client, Server, SilentClient
from tests.adversarial.conftest import refused
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import (
    DEFER,
    ClientAuthenticated,
    ClientConfig,
    Credentials,
    DataReceived,
    Fault,
    KeysUpdated,
    Limits,
    ServerConfig,
    ServerConnection,
    StateError,
)
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.iana import ContentType, ExtensionType, HandshakeType
from handclasp.keys.transcript import Transcript
from handclasp.testing.scripted import CONTEXTS
from handclasp.wire.messages import (
    Certificate,
    CertificateEntry,
    CertificateVerify,
    CompressedCertificate,
    Finished,
    KeyUpdate,
    Message,
    NewSessionTicket,
    read_message,
    write_message,
)

KEY_UPDATE = write_message(KeyUpdate(request_update=False))

Meet = Callable[..., Encounter]


@pytest.fixture(scope="session")
def own(pki: Pki) -> Credentials:
    return pki.client("alice")


@pytest.fixture(scope="session")
def later_config(pki: Pki) -> ServerConfig:
    return ServerConfig(
        credentials=pki.server("localhost"),
        client_auth="optional",
        trust=pki.trust,
        post_handshake_auth=True,
    )


@pytest.fixture
def meet(meet_client: Meet, later_config: ServerConfig, own: Credentials) -> Meet:
    """Our server has asked the scripted client."""

    def meet(*, config: ServerConfig | None = None, requests: int = 1, **script: Any) -> Encounter:
        script.setdefault("own", own)
        encounter = meet_client(config=config or later_config, kind=Client, **script)
        assert encounter.connection.established
        for _ in range(requests):
            ask(encounter)
        return encounter

    return meet


def ask(encounter: Encounter) -> None:
    assert isinstance(encounter.connection, ServerConnection)
    encounter.connection.request_client_certificate()
    encounter.run()


def peer_of(encounter: Encounter) -> Client:
    assert isinstance(encounter.peer, Client)
    return encounter.peer


def answered(encounter: Encounter, messages: Sequence[bytes]) -> Encounter:
    peer_of(encounter).send_all(messages)
    return encounter.run()


def names(encounter: Encounter) -> list[tuple[bytes, ...]]:
    return [e.info.peer_chain_der for e in encounter.events if isinstance(e, ClientAuthenticated)]


# A good client, as this room writes it


def test_the_scripted_client_is_good(meet: Meet, own: Credentials) -> None:
    encounter = meet(requests=2)
    client = peer_of(encounter)
    # In another order than they came (RFC 8446 4.6.2 allows that).
    answered(encounter, [*client.answer(1), *client.answer(0, chain=())])
    assert encounter.error is None
    assert names(encounter) == [own.chain_der, ()]


def test_each_request_has_a_context_of_its_own(meet: Meet, later_config: ServerConfig) -> None:
    config = replace(later_config, entropy=lambda size: bytes(range(size)))
    encounter = meet(config=config, requests=8)
    contexts = {peer_of(encounter).context(index) for index in range(8)}
    assert len(contexts) == 8
    assert b"" not in contexts


def test_the_random_part_of_a_context_is_long(meet: Meet) -> None:
    encounter = meet(requests=2)
    first, second = (peer_of(encounter).context(index) for index in range(2))
    assert len(first) >= 16
    assert first[-16:] != second[-16:]


# What a server refuses


def test_an_answer_that_nobody_asked_for(meet: Meet, own: Credentials) -> None:
    encounter = meet(requests=0)
    raw = write_message(Certificate(b"context", (CertificateEntry(own.chain_der[0], {}),)))
    answered(encounter, [raw])
    refused(encounter, Fault.UNEXPECTED_MESSAGE)


def test_an_answer_for_the_second_time(meet: Meet, own: Credentials) -> None:
    encounter = meet(requests=2)
    client = peer_of(encounter)
    answered(encounter, client.answer(0))
    assert names(encounter) == [own.chain_der]
    answered(encounter, client.answer(0))
    refused(encounter, Fault.BAD_CERTIFICATE_REQUEST_CONTEXT)


@pytest.mark.parametrize("context", [b"", b"another", bytes(32)])
def test_an_answer_to_another_request(meet: Meet, context: bytes) -> None:
    encounter = meet()
    answered(encounter, peer_of(encounter).answer(context=context))
    refused(encounter, Fault.BAD_CERTIFICATE_REQUEST_CONTEXT)
    assert names(encounter) == []


def test_a_signature_over_another_request(meet: Meet) -> None:
    """Each exchange is over its own request, and none over that of before (RFC 8446 4.4)."""
    encounter = meet(requests=2)
    client = peer_of(encounter)
    over = client.main.fork()
    over.add(client.requests[0])
    answered(encounter, client.answer(1, over=over))
    refused(encounter, Fault.BAD_SIGNATURE)


def test_a_signature_of_the_handshake(meet: Meet) -> None:
    encounter = meet()
    client = peer_of(encounter)
    over = Transcript()
    over.choose_hash(client.suite.hash_name)
    answered(encounter, client.answer(over=over))
    refused(encounter, Fault.BAD_SIGNATURE)


def test_a_wrong_signature(meet: Meet) -> None:
    encounter = meet()
    answered(encounter, peer_of(encounter).answer(signature=bytes(70)))
    refused(encounter, Fault.BAD_SIGNATURE)


def test_a_wrong_finished(meet: Meet) -> None:
    encounter = meet()
    answered(encounter, peer_of(encounter).answer(verify_data=bytes(32)))
    refused(encounter, Fault.BAD_FINISHED)
    assert names(encounter) == []


def test_a_wrong_finished_of_whoever_declines(meet: Meet) -> None:
    encounter = meet()
    answered(encounter, peer_of(encounter).answer(chain=(), verify_data=bytes(32)))
    refused(encounter, Fault.BAD_FINISHED)


def test_a_finished_under_the_key_of_before(meet: Meet) -> None:
    """The key is client_application_traffic_secret_N of now (RFC 8446 4.4)."""
    encounter = meet()
    client = peer_of(encounter)
    messages = client.answer()
    client.update_keys(KEY_UPDATE)
    answered(encounter, messages)
    refused(encounter, Fault.BAD_FINISHED)


def test_a_finished_under_the_key_of_now(meet: Meet, own: Credentials) -> None:
    encounter = meet()
    client = peer_of(encounter)
    client.update_keys(KEY_UPDATE)
    answered(encounter, client.answer())
    assert names(encounter) == [own.chain_der]


def test_a_declined_request_where_one_is_required(
    meet: Meet, pki: Pki, later_config: ServerConfig
) -> None:
    encounter = meet(config=replace(later_config, client_auth="required"))
    answered(encounter, peer_of(encounter).answer(chain=()))
    refused(encounter, Fault.CLIENT_CERTIFICATE_MISSING)


def test_an_extension_that_was_not_asked_for(meet: Meet) -> None:
    encounter = meet()
    extensions: dict[int, bytes] = {ExtensionType.STATUS_REQUEST: b"\x01\0\0\x01\0"}
    answered(encounter, peer_of(encounter).answer(extensions=extensions))
    refused(encounter, Fault.UNSOLICITED_EXTENSION)


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(
    "between",
    [
        KEY_UPDATE,
        b"data",
        write_message(Finished(bytes(32))),
        write_message(NewSessionTicket(1, 1, b"", b"ticket", {})),
        write_message(Certificate(b"", ())),
    ],
    ids=["KeyUpdate", "data", "Finished", "NewSessionTicket", "Certificate"],
)
def test_a_message_between_those_of_an_answer(meet: Meet, at: int, between: bytes) -> None:
    """RFC 8446 4.6.2: they "MUST appear consecutively on the wire"."""
    encounter = meet()
    client = peer_of(encounter)
    messages = client.answer()
    answered(encounter, messages[:at])
    assert encounter.error is None
    if between == b"data":
        client.send_data(between)
    else:
        client.send_record(ContentType.HANDSHAKE, between)
    encounter.run()
    is_finished = between[:1] == messages[2][:1] and at == 2
    refused(encounter, Fault.BAD_FINISHED if is_finished else Fault.UNEXPECTED_MESSAGE)
    assert not any(isinstance(each, DataReceived | KeysUpdated) for each in encounter.events)


def test_no_finished_without_a_signature(meet: Meet) -> None:
    encounter = meet()
    first, _, last = peer_of(encounter).answer()
    answered(encounter, [first, last])
    refused(encounter, Fault.UNEXPECTED_MESSAGE)


def test_an_answer_that_unpacks_to_too_much(meet: Meet) -> None:
    encounter = meet()
    body = zlib.compress(bytes(2**23))
    raw = write_message(CompressedCertificate(1, 2**23, body))
    answered(encounter, [raw])
    refused(encounter, Fault.BAD_COMPRESSED_CERTIFICATE)


def test_a_compressed_answer(meet: Meet, own: Credentials) -> None:
    encounter = meet()
    client = peer_of(encounter)
    transcript = client.main.fork()
    transcript.add(client.requests[0])
    entries = tuple(CertificateEntry(der, {}) for der in own.chain_der)
    body = write_message(Certificate(client.context(), entries))[4:]
    raw = write_message(CompressedCertificate(1, len(body), zlib.compress(body)))
    transcript.add(raw)
    signed: Message = _signed(own, transcript)
    transcript.add(write_message(signed))
    proof = client._client_application.verify_data(transcript.digest())  # pyright: ignore[reportPrivateUsage]
    answered(encounter, [raw, write_message(signed), write_message(Finished(proof))])
    assert names(encounter) == [own.chain_der]


def _signed(own: Credentials, transcript: Transcript) -> CertificateVerify:
    scheme = own.schemes[0]
    signature = own.signer.sign(scheme, CONTEXTS["client"] + transcript.digest())
    assert isinstance(signature, bytes)
    return CertificateVerify(SIGNATURE_SCHEMES[scheme].code, signature)


def test_data_between_a_request_and_its_answer_are_no_reason(meet: Meet, own: Credentials) -> None:
    encounter = meet()
    client = peer_of(encounter)
    client.send_data(b"anything")
    client.update_keys(KEY_UPDATE)
    client.send_data(b" else")
    answered(encounter, client.answer())
    data = [event.data for event in encounter.events if isinstance(event, DataReceived)]
    assert b"".join(data) == b"anything else"
    assert names(encounter) == [own.chain_der]


def test_a_client_that_did_not_offer_it(meet_client: Meet, later_config: ServerConfig) -> None:
    encounter = meet_client(config=later_config, kind=SilentClient)
    with pytest.raises(StateError, match="post_handshake_auth"):
        ask(encounter)


def test_what_waits_for_the_verifier_is_bounded(meet: Meet, later_config: ServerConfig) -> None:
    config = replace(
        later_config,
        trust=None,
        verify=lambda _: DEFER,
        limits=Limits(max_handshake_bytes=2**16),
    )
    encounter = meet(config=config)
    client = peer_of(encounter)
    answered(encounter, client.answer())
    for _ in range(5):
        client.send_data(bytes(2**14))
        encounter.run()
    refused(encounter, Fault.HANDSHAKE_TOO_LARGE)


# What a client refuses


@pytest.fixture
def meet_asking(meet_server: Meet, pki: Pki, own: Credentials) -> Meet:
    """Our client offers to be asked by the scripted server."""

    def meet(**settings: Any) -> Encounter:
        given = {"trust": pki.trust, "credentials": own, "post_handshake_auth": True}
        encounter = meet_server(config=ClientConfig(**{**given, **settings}), kind=Server)
        assert encounter.connection.established
        return encounter

    return meet


def server_of(encounter: Encounter) -> Server:
    assert isinstance(encounter.peer, Server)
    return encounter.peer


def asked(encounter: Encounter, *given: Any) -> Encounter:
    server_of(encounter).ask(*given)
    return encounter.run()


def kinds(encounter: Encounter) -> list[int]:
    return [raw[0] for raw in server_of(encounter).received]


ANSWER = [HandshakeType.CERTIFICATE, HandshakeType.CERTIFICATE_VERIFY, HandshakeType.FINISHED]


def test_the_scripted_server_is_good(meet_asking: Meet) -> None:
    encounter = asked(meet_asking())
    assert encounter.error is None
    assert kinds(encounter) == ANSWER
    message = read_message(server_of(encounter).received[0])
    assert isinstance(message, Certificate)
    assert message.certificate_request_context == b"context"


def test_whoever_has_nothing_declines(meet_asking: Meet) -> None:
    """RFC 8446 4.6.2: an empty Certificate, and then Finished."""
    encounter = asked(meet_asking(credentials=None))
    assert kinds(encounter) == [HandshakeType.CERTIFICATE, HandshakeType.FINISHED]
    assert encounter.error is None


def test_a_request_that_was_not_offered(meet_asking: Meet) -> None:
    encounter = asked(meet_asking(post_handshake_auth=False))
    refused(encounter, Fault.POST_HANDSHAKE_AUTHENTICATION)


def test_a_request_without_a_context(meet_asking: Meet) -> None:
    refused(asked(meet_asking(), b""), Fault.BAD_CERTIFICATE_REQUEST_CONTEXT)


def test_a_context_for_the_second_time(meet_asking: Meet) -> None:
    encounter = asked(meet_asking())
    refused(asked(encounter), Fault.BAD_CERTIFICATE_REQUEST_CONTEXT)
    assert kinds(encounter) == ANSWER


def test_a_request_without_signature_algorithms(meet_asking: Meet) -> None:
    extensions = {ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP: b""}
    refused(asked(meet_asking(), b"context", extensions), Fault.MISSING_EXTENSION)


@pytest.mark.parametrize(
    ("extension", "fault"),
    [
        ({ExtensionType.KEY_SHARE: b""}, Fault.MISPLACED_EXTENSION),
        ({ExtensionType.SIGNATURE_ALGORITHMS: b""}, Fault.DECODE_ERROR),
    ],
)
def test_a_request_with_a_wrong_extension(
    meet_asking: Meet, extension: dict[int, bytes], fault: Fault
) -> None:
    refused(asked(meet_asking(), b"context", {**ASKS, **extension}), fault)


def test_a_flood_of_requests(meet_asking: Meet) -> None:
    """Each costs a signature: so many in a row, with no data between, are a flood."""
    encounter = meet_asking()
    for index in range(32):
        asked(encounter, b"%d" % index)
        assert encounter.error is None
    refused(asked(encounter, b"one more"), Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)


def test_requests_whose_answers_nobody_reads(meet_asking: Meet) -> None:
    """The answers are larger than the requests, and wait to be sent: data between reset nothing."""
    encounter = meet_asking()
    server = server_of(encounter)
    for index in range(9):
        server.ask(b"%d" % index)
        server.send_data(b".")
    encounter.run()
    refused(encounter, Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS)


def test_contexts_do_not_fill_the_memory(meet_asking: Meet) -> None:
    encounter = meet_asking(credentials=None)
    server = server_of(encounter)

    def ask_often(count: int) -> None:
        for index in range(count):
            server.send_data(b".")
            asked(encounter, index.to_bytes(4, "big") + bytes(251))
            server.received.clear()
            encounter.events.clear()

    ask_often(100)
    number = 10**6
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(500):
            number += 1
            server.send_data(b".")
            asked(encounter, number.to_bytes(4, "big") + bytes(251))
            server.received.clear()
            encounter.events.clear()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert encounter.error is None
    assert after - before < 50_000


def test_what_waits_for_an_answer_is_bounded(meet_asking: Meet) -> None:
    encounter = meet_asking(
        credentials=None,
        choose_credentials=lambda _: DEFER,
        limits=Limits(max_handshake_bytes=2**16),
    )
    server = server_of(asked(encounter))
    for _ in range(5):
        server.send_data(bytes(2**14))
        encounter.run()
    refused(encounter, Fault.HANDSHAKE_TOO_LARGE)
