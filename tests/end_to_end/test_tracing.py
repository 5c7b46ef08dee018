"""What a trace is told of real handshakes: every choice, every key, and what it cost."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Coroutine
from typing import Any, cast

import pytest
from tests.end_to_end.pair import End, Pair
from tests.end_to_end.test_resumption import World
from tests.pki import Pki

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Credentials,
    PreSharedKey,
    Recorder,
    ServerConfig,
    ServerConnection,
    Sign,
    TicketKeys,
)
from handclasp.trace.events import (
    Began,
    DecisionTaken,
    HandshakeResult,
    KeyStep,
    MessageSeen,
    RecordSeen,
    TraceEvent,
    WorkDone,
)

VERSIONS = ["TLSv1.3", "TLSv1.2"]
versions = pytest.mark.parametrize("version", VERSIONS)


def of_type(end: End | Recorder, kind: type[Any]) -> list[Any]:
    recorder = end.trace if isinstance(end, End) else end
    return [event for event in recorder.events if isinstance(event, kind)]


def decisions(end: End) -> dict[str, DecisionTaken]:
    """Each kind of decision once; a kind that came up twice fails."""
    taken = of_type(end, DecisionTaken)
    assert len({each.what for each in taken}) == len(taken)
    return {each.what: each for each in taken}


# Decisions


@versions
def test_both_roles_tell_every_choice(pki: Pki, version: str) -> None:
    pair = Pair(
        ClientConfig(trust=pki.trust, versions=[version], alpn=["h2", "http/1.1"]),
        ServerConfig(credentials=pki.server(), alpn=["http/1.1"], groups=["secp256r1", "X25519"]),
    ).run()
    info = pair.client.info
    agreed = {
        "version": version,
        "cipher_suite": info.cipher_suite,
        "group": info.group,
        "signature_scheme": info.signature_scheme,
        "alpn": "http/1.1",
    }
    ours, theirs = decisions(pair.client), decisions(pair.server)
    assert {what: ours[what].chosen for what in agreed} == agreed
    assert {what: theirs[what].chosen for what in agreed} == agreed
    assert theirs["credentials"].chosen == "localhost (secp256r1)"
    assert theirs["resumption"].chosen is None
    for taken in (*ours.values(), *theirs.values()):
        assert taken.chosen is None or taken.chosen in taken.acceptable
        assert [each.name for each in taken.refused] == [
            name for name in taken.offered if name != taken.chosen
        ]
        assert all(each.why for each in taken.refused)
        assert taken.why


def test_why_the_others_were_not_taken(pki: Pki) -> None:
    pair = Pair(
        ClientConfig(trust=pki.trust, alpn=["h2", "http/1.1", "spdy"], groups=["X25519"]),
        ServerConfig(credentials=pki.server(), alpn=["http/1.1", "h2"]),
    ).run()
    alpn = decisions(pair.server)["alpn"]
    assert alpn.shared == ("h2", "http/1.1")
    assert dict(alpn.refused) == {
        "h2": "http/1.1 was taken instead (the server's order)",
        "spdy": "not accepted",
    }


def test_a_client_claims_nothing_about_groups_without_a_share(pki: Pki) -> None:
    server = ServerConfig(credentials=pki.server())
    groups = ["X25519", "secp256r1", "secp384r1"]
    pair = Pair(ClientConfig(trust=pki.trust, groups=groups, key_shares=["X25519"]), server).run()
    assert dict(decisions(pair.client)["group"].refused) == {
        "secp256r1": "no share was sent for it",
        "secp384r1": "no share was sent for it",
    }
    retried = Pair(
        ClientConfig(trust=pki.trust, groups=groups, key_shares=["X25519"]),
        ServerConfig(credentials=pki.server(), groups=["secp384r1"]),
    ).run()
    taken = decisions(retried.client)["group"]
    assert (taken.chosen, taken.why) == (
        "secp384r1",
        "the server asked for it by a HelloRetryRequest",
    )
    assert {each.name for each in taken.refused} == {"X25519", "secp256r1"}


def test_what_is_made_up_is_refused_as_such(pki: Pki) -> None:
    pair = Pair(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server())).run()
    for what in ("version", "cipher_suite", "group"):
        refused = decisions(pair.server)[what].refused
        (made_up,) = [each for each in refused if each.name.startswith("GREASE")]
        assert "RFC 8701" in made_up.why


@versions
@pytest.mark.parametrize(
    ("what", "client", "server"),
    [
        ("cipher_suite", {"cipher_suites": "aes"}, {"cipher_suites": "chacha"}),
        ("group", {"groups": ["X25519"]}, {"groups": ["secp384r1"]}),
        ("alpn", {"alpn": ["h2"]}, {"alpn": ["http/1.1"]}),
        ("credentials", {"signature_schemes": ["ed25519"]}, {}),
    ],
)
def test_choices_that_failed_are_told_too(
    pki: Pki, version: str, what: str, client: dict[str, Any], server: dict[str, Any]
) -> None:
    named = {
        ("aes", "TLSv1.3"): ["TLS_AES_128_GCM_SHA256"],
        ("chacha", "TLSv1.3"): ["TLS_CHACHA20_POLY1305_SHA256"],
        ("aes", "TLSv1.2"): ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
        ("chacha", "TLSv1.2"): ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"],
    }
    client, server = dict(client), dict(server)
    for settings in (client, server):
        if "cipher_suites" in settings:
            settings["cipher_suites"] = named[settings["cipher_suites"], version]
    pair = Pair(
        ClientConfig(trust=pki.trust, versions=[version], **client),
        ServerConfig(credentials=pki.server(), versions=[version], **server),
    ).run()
    assert pair.server.error is not None
    failed = [each for each in of_type(pair.server, DecisionTaken) if each.chosen is None]
    (taken,) = [each for each in failed if each.what == what]
    assert taken.offered
    assert len(taken.refused) == len(taken.offered)
    assert not taken.shared


def test_a_version_that_nobody_shares_is_told(pki: Pki) -> None:
    pair = Pair(
        ClientConfig(trust=pki.trust, versions=["TLSv1.3"]),
        ServerConfig(credentials=pki.server(), versions=["TLSv1.2"]),
    ).run()
    taken = decisions(pair.server)["version"]
    assert taken.chosen is None
    assert dict(taken.refused)["TLSv1.3"] == "not accepted"


@versions
def test_a_server_tells_why_it_shows_this_certificate(pki: Pki, version: str) -> None:
    held = [
        pki.server("other.example"),
        pki.server("localhost", key_type="ed25519"),
        pki.server("localhost"),
        pki.server("localhost"),
    ]
    pair = Pair(
        ClientConfig(
            trust=pki.trust,
            versions=[version],
            signature_schemes=["ecdsa_secp256r1_sha256"],
        ),
        ServerConfig(credentials=held),
    ).run()
    assert pair.established
    taken = decisions(pair.server)["credentials"]
    assert taken.chosen == "localhost (secp256r1)"
    assert taken.why == "the first for the name that the client asks for"
    assert dict(taken.refused) == {
        "other.example (secp256r1)": "not for the name that the client asks for",
        "localhost (ed25519)": "its key signs in no scheme that both sides take",
        "localhost (secp256r1) no. 2": f"localhost (secp256r1) was taken instead ({taken.why})",
    }


@versions
def test_a_client_tells_what_it_shows(pki: Pki, version: str) -> None:
    pair = Pair(
        ClientConfig(trust=pki.trust, versions=[version], credentials=pki.client("alice")),
        ServerConfig(credentials=pki.server(), client_auth=ClientAuth.REQUIRED, trust=pki.trust),
    ).run()
    assert pair.established
    taken = decisions(pair.client)["credentials"]
    assert taken.chosen is not None
    assert "alice" in taken.chosen
    assert taken.why == "the first that the peer can use"


@versions
def test_resumption_is_told_by_both(pki: Pki, version: str) -> None:
    world = World(pki, version)
    first, second = world.meet(), world.meet()
    assert decisions(first.client)["session"].chosen is None
    assert "resumption" not in decisions(first.client)
    for end in (second.client, second.server):
        assert decisions(end)["resumption"].chosen is not None
    assert decisions(second.client)["session"].chosen == "session 1"
    assert "ticket" in decisions(second.server)["resumption"].why or version == "TLSv1.2"


@versions
def test_why_a_session_is_not_resumed(pki: Pki, version: str) -> None:
    world = World(pki, version)
    world.meet()
    again = world.meet(server={"ticket_keys": TicketKeys()})
    assert not again.client.info.resumed
    assert decisions(again.client)["resumption"].chosen is None
    taken = decisions(again.server)["resumption"]
    assert taken.chosen is None
    (refused,) = taken.refused
    assert "key that" in refused.why


def test_an_external_key_among_strangers_is_told(pki: Pki) -> None:
    del pki
    known, strange = (PreSharedKey(name, bytes([fill]) * 32) for name, fill in
                      ((b"known", 1), (b"strange", 2)))  # fmt: skip
    pair = Pair(ClientConfig(psks=[strange, known]), ServerConfig(psks=[known])).run()
    assert pair.established
    taken = decisions(pair.server)["resumption"]
    assert (taken.chosen, taken.why) == ("key 2", "an external key")
    assert [each.name for each in taken.refused] == ["key 1"]
    assert decisions(pair.client)["resumption"].chosen == "key 2"
    assert "known" not in repr(taken)


# Keys


def converse(pki: Pki, version: str, *, secrets: bool) -> tuple[Recorder, Recorder]:
    ours, theirs = Recorder(record_secrets=secrets), Recorder(record_secrets=secrets)
    client = ClientConnection(
        ClientConfig(trust=pki.trust, versions=[version]), server_name="localhost", trace=ours
    )
    server = ServerConnection(ServerConfig(credentials=pki.server()), trace=theirs)
    for _ in range(3):
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    assert client.established
    assert server.established
    if version == "TLSv1.3":
        client.update_keys()
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    return ours, theirs


def steps(recorder: Recorder) -> list[KeyStep]:
    return of_type(recorder, KeyStep)


STEPS13 = {
    "early_secret", "shared_secret", "derived_secret", "handshake_secret",
    "client_handshake_traffic_secret", "server_handshake_traffic_secret",
    "master_secret", "client_application_traffic_secret_0", "server_application_traffic_secret_0",
    "exporter_master_secret", "client_write_key", "client_write_iv", "server_write_key",
    "server_write_iv", "finished_key", "verify_data", "client_application_traffic_secret_1",
}  # fmt: skip
STEPS12 = {"pre_master_secret", "master_secret", "key_block", "verify_data"}


@versions
def test_every_step_of_the_key_schedule_is_told(pki: Pki, version: str) -> None:
    ours, theirs = converse(pki, version, secrets=False)
    expected = STEPS13 if version == "TLSv1.3" else STEPS12
    for recorder in (ours, theirs):
        assert {step.output for step in steps(recorder)} >= expected
        known = {"0", "psk", "private_key"}
        for step in steps(recorder):
            assert set(step.inputs) <= known, "a step takes what no step gave"
            known.add(step.output)
        assert not any(step.value for step in steps(recorder))


@versions
def test_both_sides_come_to_the_same_values(pki: Pki, version: str) -> None:
    ours, theirs = converse(pki, version, secrets=True)
    values = [
        {(step.output, step.inputs, step.label, step.context, step.value) for step in steps(side)}
        for side in (ours, theirs)
    ]
    own_tickets = {each for each in values[1] if each[0] in ("psk", "resumption_master_secret")}
    assert values[0] - own_tickets == values[1] - own_tickets
    assert all(len(step.value) == step.size for step in steps(ours))


def test_the_values_are_those_of_the_rfc(pki: Pki) -> None:
    """Each step done again from what is told of it, without the code under test."""
    recorder, _ = converse(pki, "TLSv1.3", secrets=True)
    values: dict[str, bytes] = {}
    done: set[str] = set()
    for step in steps(recorder):
        if all(name in values or name == "0" for name in step.inputs):
            given = [values.get(name, bytes(32)) for name in step.inputs]
            assert again(step, given) == step.value, step.output
            done.add(step.operation)
        values[step.output] = step.value
    assert done == {"HKDF-Extract", "Derive-Secret", "HKDF-Expand-Label", "HMAC"}


def again(step: KeyStep, given: list[bytes]) -> bytes:
    if step.operation == "HKDF-Extract":
        return hmac.digest(given[0], given[1], "sha256")
    if step.operation == "HMAC":
        return hmac.digest(given[0], step.context, "sha256")
    label = b"tls13 " + step.label.encode()
    info = (
        step.size.to_bytes(2, "big")
        + bytes([len(label)]) + label
        + bytes([len(step.context)]) + step.context
    )  # fmt: skip
    return hmac.digest(given[0], info + b"\x01", "sha256")[: step.size]


def test_the_context_is_the_transcript(pki: Pki) -> None:
    recorder, _ = converse(pki, "TLSv1.3", secrets=False)
    messages = [event.raw for event in of_type(recorder, MessageSeen)]
    hellos = hashlib.sha256(messages[0] + messages[1]).digest()
    contexts = {step.label: step.context for step in steps(recorder) if step.label}
    assert contexts["c hs traffic"] == hellos
    assert contexts["s hs traffic"] == hellos
    assert contexts["c ap traffic"] == hashlib.sha256(b"".join(messages[:6])).digest()


# Costs


def costs(end: End) -> list[tuple[str, str]]:
    return [(each.operation, each.algorithm) for each in of_type(end, WorkDone)]


def test_work_with_public_keys_is_measured(pki: Pki) -> None:
    pair = Pair(
        ClientConfig(trust=pki.trust, credentials=pki.client()),
        ServerConfig(credentials=pki.server(), client_auth=ClientAuth.REQUIRED, trust=pki.trust),
    ).run()
    scheme = "ecdsa_secp256r1_sha256"
    assert costs(pair.client) == [
        ("key_generation", "X25519MLKEM768"),
        ("key_agreement", "X25519MLKEM768"),
        ("verify_chain", "1 certificate"),
        ("verify_signature", scheme),
        ("sign", scheme),
    ]
    assert costs(pair.server) == [
        ("key_agreement", "X25519MLKEM768"),
        ("sign", scheme),
        ("verify_chain", "1 certificate"),
        ("verify_signature", scheme),
    ]
    for end in (pair.client, pair.server):
        assert all(each.elapsed_ns > 0 for each in of_type(end, WorkDone))


def test_work_in_tls12_is_measured(pki: Pki) -> None:
    pair = Pair(
        ClientConfig(trust=pki.trust, versions=["TLSv1.2"]),
        ServerConfig(credentials=pki.server()),
    ).run()
    assert costs(pair.client) == [
        ("verify_chain", "1 certificate"),
        ("verify_signature", "ecdsa_secp256r1_sha256"),
        ("key_generation", "X25519"),
        ("key_agreement", "X25519"),
    ]
    assert costs(pair.server) == [
        ("key_generation", "X25519"),
        ("sign", "ecdsa_secp256r1_sha256"),
        ("key_agreement", "X25519"),
    ]


def test_key_transport_is_measured(pki: Pki) -> None:
    settings: dict[str, Any] = {
        "versions": ["TLSv1.2"],
        "cipher_suites": ["TLS_RSA_WITH_AES_128_GCM_SHA256"],
        "allow_rsa_key_transport": True,
    }
    pair = Pair(
        ClientConfig(trust=pki.trust, **settings),
        ServerConfig(credentials=pki.server(key_type="rsa-2048"), **settings),
    ).run()
    assert costs(pair.client) == [("verify_chain", "1 certificate"), ("encrypt", "RSA")]
    assert costs(pair.server) == [("decrypt", "RSA")]
    assert {step.operation for step in of_type(pair.client, KeyStep)} == {"key transport", "PRF"}


def test_waiting_for_a_signer_is_no_work(pki: Pki) -> None:
    own = pki.server()

    class Elsewhere:
        schemes = own.schemes

        async def sign(self, scheme: str, data: bytes) -> bytes:
            return bytes(own.signer.sign(scheme, data))  # type: ignore[arg-type]

    server = ServerConfig(credentials=Credentials.from_signer(own.chain_der, Elsewhere()))
    pair = Pair(ClientConfig(trust=pki.trust), server).run()
    question = pair.server.question
    assert isinstance(question, Sign)
    pending = cast("Coroutine[Any, Any, bytes]", question.pending)
    pending.close()
    pair.server.answer(own.signer.sign(question.scheme, question.content))
    assert pair.run().established
    assert "sign" not in {operation for operation, _ in costs(pair.server)}


# The rest


def test_the_beginning_is_told(pki: Pki) -> None:
    pair = Pair(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server())).run()
    assert pair.client.trace.events[0] == Began(
        pair.client.trace.events[0].at_ns, "client", "localhost", pair.client.trace.began_at_ns
    )
    assert of_type(pair.server, Began)[0].role == "server"


def shape(events: list[TraceEvent]) -> list[tuple[str, ...]]:
    """What happened, without times."""
    return [(type(event).__name__, getattr(event, "direction", "")) for event in events]


@versions
def test_a_trace_changes_nothing(pki: Pki, version: str) -> None:
    """With and without secrets the same is told, and nothing but values comes on top."""
    plain, _ = converse(pki, version, secrets=False)
    opted_in, _ = converse(pki, version, secrets=True)
    told = [each for each in shape(opted_in.events) if each[0] != "SecretDerived"]
    assert shape(plain.events) == told
    assert of_type(plain, HandshakeResult)
    assert of_type(plain, RecordSeen)
