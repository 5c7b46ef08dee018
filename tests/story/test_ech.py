"""What is told of Encrypted Client Hello: both hellos, which one counts, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.end_to_end.ech import KEY, OTHER, PUBLIC, SECRET, ech_client, ech_server
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import ClientConfig, EchKey, EchRejectedError, Recorder, ServerConfig
from handclasp.iana import ExtensionType as Ext
from handclasp.iana import HandshakeType
from handclasp.story.diagnosis import diagnose
from handclasp.story.diff import differences
from handclasp.story.facts import facts_of
from handclasp.story.fields import Field, fields_of
from handclasp.story.narrate import narrate
from handclasp.story.page import page_of
from handclasp.story.page.conversation import flights_of
from handclasp.story.page.steps import one_time_of, shortened
from handclasp.story.redact import redacted
from handclasp.trace.events import DecisionTaken, InnerHello, MessageSeen, TraceEvent
from handclasp.wire import extensions as ext
from handclasp.wire.ech import make_ech_config, write_ech_config_list
from handclasp.wire.messages import ClientHello, read_message, write_encrypted_extensions


def talk(key: EchKey = KEY, **changes: Any) -> Pair:
    pki = Pki()
    server = replace(ech_server(pki), ech=[key])
    return Pair(ech_client(pki), replace(server, **changes), SECRET).run()


def inner_hellos(events: Sequence[TraceEvent]) -> list[InnerHello]:
    return [event for event in events if isinstance(event, InnerHello)]


def choice(events: Sequence[TraceEvent]) -> DecisionTaken:
    [found] = [each for each in events if isinstance(each, DecisionTaken) and each.what == "ech"]
    return found


@pytest.mark.parametrize("groups", [{}, {"groups": ["secp384r1"]}])
def test_both_ends_see_the_same_inner_hellos(groups: dict[str, Any]) -> None:
    pair = talk(**groups)
    ends = [inner_hellos(end.trace.events) for end in (pair.client, pair.server)]
    assert [each.raw for each in ends[0]] == [each.raw for each in ends[1]]
    assert len(ends[0]) == 1 + len(groups)
    for sent, received in zip(*ends, strict=True):
        assert (sent.direction, received.direction) == ("sent", "received")
        assert sent.outer_extensions == received.outer_extensions
        assert "key_share" in sent.outer_extensions
        assert "server_name" not in sent.outer_extensions
        hello = read_message(sent.raw)
        assert isinstance(hello, ClientHello)
        assert ext.read_server_name(hello.extensions[0]) == SECRET


def test_configurations_to_try_again_with_are_told_in_the_words_of_hpke() -> None:
    pki = Pki()
    client = ClientConfig(trust=pki.trust)  # GREASE, to which a server answers with its own
    pair = Pair(client, ServerConfig(credentials=pki.server(SECRET), ech=[KEY]), SECRET).run()
    page = page_of(pair.client.trace.events, SECRET)
    for shown in ("HKDF-SHA256", "ChaCha20-Poly1305", "DHKEM(X25519, HKDF-SHA256)", "0xfe0d"):
        assert shown in page
    assert "_NULL_" not in page
    assert "_EXPORT_" not in page


def names_and_values(field: Field) -> Iterator[tuple[str, str]]:
    yield field.name, field.value
    for part in field.parts:
        yield from names_and_values(part)


def test_fields_have_the_names_of_the_rfc() -> None:
    """RFC 9849 sections 4 and 5."""
    [config] = OTHER.configs
    pair = talk(OTHER)
    told: dict[int, list[tuple[str, str]]] = {}
    for event in pair.client.trace.events:
        if isinstance(event, MessageSeen):
            told[event.message_type] = list(names_and_values(fields_of(event.raw, event.epoch)))
    names = [name for name, _ in told[HandshakeType.CLIENT_HELLO]]
    assert ("type", "outer") in told[HandshakeType.CLIENT_HELLO]
    at = names.index("type")
    assert [name for name in names[at:] if name not in ("length", "content")][:7] == [
        "type", "cipher_suite", "kdf_id", "aead_id", "config_id", "enc", "payload"
    ]  # fmt: skip
    inner = inner_hellos(pair.client.trace.events)[0]
    assert ("type", "inner") in names_and_values(fields_of(inner.raw, "plaintext"))
    answer = told[HandshakeType.ENCRYPTED_EXTENSIONS]
    names = [name for name, _ in answer]
    at = names.index("retry_configs")
    assert [name for name in names[at:] if name not in ("length", "content")][:12] == [
        "retry_configs", "ECHConfig", "version", "contents", "key_config", "config_id", "kem_id",
        "public_key", "cipher_suites", "HpkeSymmetricCipherSuite", "kdf_id", "aead_id",
    ]  # fmt: skip
    assert names[names.index("maximum_name_length") + 1] == "public_name"
    assert ("public_name", PUBLIC) in answer
    assert ("config_id", str(config.config_id)) in answer


def test_extensions_of_a_configuration_are_not_those_of_messages() -> None:
    [config] = KEY.configs
    strange = make_ech_config(
        config.config_id, config.kem, config.public_key, config.cipher_suites, 0, PUBLIC, {0: b"x"}
    )
    body = write_encrypted_extensions(
        {Ext.ENCRYPTED_CLIENT_HELLO: write_ech_config_list([strange])}
    )
    told = list(names_and_values(fields_of(body, "handshake")))
    assert ("extensions", "1 extension") in told
    assert ("type", "0x0000") in told
    assert "ECHConfigExtension" in dict(told)
    assert "server_name" not in dict(told)


def test_the_story_names_the_extensions_of_the_outer_hello() -> None:
    told = " ".join(narrate(talk().server.trace.events).replace("|", "").split())
    assert "extensions from the outer hello: " in told
    assert "supported_groups" in told


def test_which_hello_counts_and_why() -> None:
    pair = talk()
    assert choice(pair.client.trace.events).chosen == "inner ClientHello"
    assert "opens it" in choice(pair.server.trace.events).why
    pair = talk(OTHER)
    assert choice(pair.client.trace.events).chosen == "outer ClientHello"
    assert "no key opens" in choice(pair.server.trace.events).why
    assert inner_hellos(pair.server.trace.events) == []


def test_the_story_has_both_hellos() -> None:
    for end in (talk().client, talk().server):
        for detail in (0, 2):
            told = " ".join(narrate(end.trace.events, detail=detail).replace("|", "").split())
            assert f"I am looking for {PUBLIC}." in told
            assert (
                f"Inside, for the server alone to read. Hello, I am looking for {SECRET}." in told
            )
            assert "extensions from the outer hello" in told
        assert "inner ClientHello" in narrate(end.trace.events, detail=1)


def test_the_story_of_a_rejection_has_the_current_configurations() -> None:
    told = " ".join(narrate(talk(OTHER).client.trace.events).replace("|", "").split())
    assert "configurations with which the client can encrypt its next hello" in told
    assert "sent its current ECH configurations" in told
    assert "ech_required" in told


def test_a_server_that_sent_configurations_names_them_and_the_one_it_cannot_open() -> None:
    server = talk(OTHER).server
    error = server.error
    assert error is not None
    diagnosed = diagnose(server.trace.events)
    assert diagnosed is not None
    for told, fix in ((str(error), error.fix), (diagnosed.cause, diagnosed.fix)):
        assert f"whose config_id is {KEY.configs[0].config_id}, and no key" in told
        assert f"(config_id {OTHER.configs[0].config_id})" in told
        assert "does not support" not in told
        assert "Keep each old key" in fix
        assert "a config_id of its own" not in fix


def test_a_server_whose_other_key_has_the_same_config_id_is_told_so() -> None:
    same = next(
        key
        for key in (EchKey.generate(PUBLIC) for _ in range(10_000))
        if key.configs[0].config_id == KEY.configs[0].config_id
    )
    error = talk(same).server.error
    assert error is not None
    assert "a config_id of its own" in error.fix


def test_a_server_without_keys_does_not_claim_to_have_sent_configurations() -> None:
    error = talk(ech=()).server.error
    assert "The server sent" not in str(error)
    assert "does not support" in str(error)
    # Nothing is said that would be false of a server that accepted the hello.
    assert "The client says by it that" in str(error)
    assert "if it did accept the hello" in str(error)


def test_a_client_blames_nobody_on_the_way_if_the_public_name_was_proved() -> None:
    client = talk(OTHER).client
    diagnosed = diagnose(client.trace.events)
    assert diagnosed is not None
    assert "on the way" not in diagnosed.condition
    assert [each.what for each in diagnosed.evidence] == ["random in the server's ServerHello"]
    unproved = EchRejectedError(None, PUBLIC, is_authentic=False)
    assert "on the way" in unproved.condition


def test_the_page_has_both_hellos() -> None:
    page = page_of(talk().client.trace.events, "a handshake")
    assert "inner ClientHello" in page
    assert "Encrypted Client Hello" in page
    assert SECRET in page


def test_the_page_says_that_the_inner_hello_is_encrypted() -> None:
    for end in (talk().client, talk(OTHER).client, talk().server):
        events = end.trace.events
        items = [item for flight in flights_of(events, facts_of(events)) for item in flight.items]
        assert [each.protected for each in items if each.name == "inner ClientHello"] == [True]
        assert [each.protected for each in items if each.name == "ClientHello"] == [False]


@pytest.mark.parametrize("groups", [{}, {"groups": ["secp384r1"]}])
def test_the_random_of_the_client_is_that_of_the_hello_that_counts(groups: dict[str, Any]) -> None:
    for key, is_inner in ((KEY, True), (OTHER, False)):
        events = talk(key, **groups).client.trace.events
        inner = read_message(inner_hellos(events)[-1].raw)
        assert isinstance(inner, ClientHello)
        [told] = [each for each in one_time_of(events, None) if each.label == "the client's random"]
        assert (told.now == shortened(inner.random)) == is_inner


def test_the_differences_are_those_of_the_hello_that_counts() -> None:
    accepted, rejected = talk().client.trace, talk(OTHER).client.trace
    pki = Pki()
    clear = Pair(
        ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server(SECRET)), SECRET
    )
    found = {each.what: each for each in differences(accepted, clear.run().client.trace)}
    assert "server name" not in found
    assert (found["hello encrypted (ECH)"].first, found["hello encrypted (ECH)"].second) == (
        "yes",
        "no",
    )
    found = {each.what: each for each in differences(accepted, rejected)}
    assert (found["server name"].first, found["server name"].second) == (SECRET, PUBLIC)
    assert "did not accept" in found["hello encrypted (ECH)"].second
    # What travels is the outer hello.
    assert "size of the hello" not in found


def test_a_trace_comes_back_from_its_file() -> None:
    trace = talk().server.trace
    assert Recorder.from_json(trace.to_json()).events == trace.events


def test_redaction_takes_the_name_out_of_the_inner_hello() -> None:
    for end in (talk().client, talk(OTHER).client):
        events = redacted(end.trace.events, names=True)
        assert inner_hellos(events)
        text = Recorder.from_events(events).to_json()
        for name in (SECRET, PUBLIC):
            assert name not in text
            assert name.encode().hex() not in text
        assert any(isinstance(event, MessageSeen) for event in events)
