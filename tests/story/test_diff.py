"""Two handshakes side by side: what differs is found, judged, and nothing else is told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.end_to_end.test_resumption import World
from tests.pki import Pki
from tests.recorded import Recorded, converse

from handclasp import ClientConfig, Credentials, Recorder, ServerConfig
from handclasp.story.diff import Difference, differences


def meet(pki: Pki, credentials: Credentials, server: dict[str, Any], **client: Any) -> Recorder:
    pair = Pair(
        ClientConfig(**{"trust": pki.trust, **client}),
        ServerConfig(credentials=credentials, **server),
    ).run()
    return pair.client.trace


def by_name(found: list[Difference]) -> dict[str, Difference]:
    assert len({each.what for each in found}) == len(found)
    return {each.what: each for each in found}


TIMES = ("time", "time to verify", "time to sign")
"""The machine may be busy during one of two handshakes."""


def told(first: Recorder, second: Recorder) -> dict[str, Difference]:
    return by_name([e for e in differences(first, second) if e.what not in TIMES])


def test_what_is_new_every_time_is_no_difference(pki: Pki) -> None:
    """Also not what GREASE, signatures and their sizes change."""
    shown = pki.server()
    first, second = (meet(pki, shown, {}, alpn=["h2"]) for _ in range(2))
    assert first.events != second.events
    assert told(first, second) == {}
    assert differences(first, first) == []


@pytest.mark.parametrize(
    ("what", "change", "second"),
    [
        ("version", {"versions": ["TLSv1.2"]}, "TLSv1.2"),
        ("cipher suite", {"cipher_suites": ["TLS_CHACHA20_POLY1305_SHA256"]}, None),
        ("group", {"groups": ["secp384r1"]}, "secp384r1"),
        ("protocol (ALPN)", {"alpn": ["http/1.1"]}, "http/1.1"),
    ],
)
def test_what_was_agreed_upon_matters(
    pki: Pki, what: str, change: dict[str, Any], second: str | None
) -> None:
    shown = pki.server()
    server = {"alpn": ["h2", "http/1.1"]}
    usual = {"alpn": ["h2"], "versions": ["TLSv1.3"]}
    found = told(meet(pki, shown, server, **usual), meet(pki, shown, server, **{**usual, **change}))
    assert found[what].weight == "matters"
    if second is not None:
        assert found[what].second == second
    assert all(each.why and each.first != each.second for each in found.values())
    assert all(each.weight != "cause" for each in found.values())


def test_a_retry_and_a_resumption_matter(pki: Pki, plain: Recorded, retried: Recorded) -> None:
    assert told(plain.client, retried.client)["second hello"].second == "yes"
    assert told(plain.client, retried.client)["round trips"].second == "2"
    world = World(pki)
    first, second = world.meet(), world.meet()
    found = told(first.client.trace, second.client.trace)
    assert (found["resumed"].first, found["resumed"].second) == ("no", "yes")
    assert "pre_shared_key" in found["extensions of the hello"].second


@pytest.mark.parametrize(
    ("cause", "client", "server"),
    [
        ("groups offered", {"groups": ["X25519"]}, {"groups": ["secp384r1"]}),
        ("protocols offered (ALPN)", {"alpn": ["spdy"]}, {"alpn": ["h2"]}),
        ("versions offered", {"versions": ["TLSv1.3"]}, {"versions": ["TLSv1.2"]}),
        ("signature schemes offered", {"signature_schemes": ["ed25519"]}, {}),
        (
            "cipher suites offered",
            {"cipher_suites": ["TLS_AES_128_GCM_SHA256"]},
            {"cipher_suites": ["TLS_CHACHA20_POLY1305_SHA256"], "versions": ["TLSv1.3"]},
        ),
    ],
)
def test_the_cause_of_a_failure_comes_first(
    pki: Pki, cause: str, client: dict[str, Any], server: dict[str, Any]
) -> None:
    shown = pki.server()
    good = meet(pki, shown, server, **({"alpn": ["h2"]} if "alpn" in client else {}))
    bad = meet(pki, shown, server, **client)
    for recorders in ((good, bad), (bad, good)):
        found = [each for each in differences(*recorders) if each.what not in TIMES]
        causes = [each.what for each in found if each.weight == "cause"]
        assert cause in causes
        assert [each.what for each in found][: len(causes)] == causes
        outcome = by_name(found)["outcome"]
        assert {outcome.first.split(":")[0], outcome.second.split(":")[0]} == {
            "completed",
            "failed",
        }


def test_the_server_sees_the_same_cause(pki: Pki) -> None:
    shown = pki.server()
    pairs = [
        Pair(
            ClientConfig(trust=pki.trust, groups=groups),
            ServerConfig(credentials=shown, groups=["secp384r1"]),
        ).run()
        for groups in (["secp384r1"], ["X25519"])
    ]
    first, second = (pair.server.trace for pair in pairs)
    assert told(first, second)["groups offered"].weight == "cause"


def test_another_certificate_can_be_the_cause(pki: Pki) -> None:
    good, bad = meet(pki, pki.server(), {}), meet(pki, pki.expired(), {})
    found = told(good, bad)
    assert found["the server's certificates"].weight == "cause"
    assert "SHA-256" in found["the server's certificates"].first


def test_a_setting_is_no_part_of_a_trace_and_that_is_said(pki: Pki) -> None:
    shown = pki.server()
    found = told(meet(pki, shown, {}), meet(pki, shown, {}, trust=Pki().trust))
    assert found["what the trace does not show"].weight == "cause"
    assert "its trust store" in found["what the trace does not show"].why


def test_the_course_of_tls12_goes_up_to_its_end(pki: Pki, plain: Recorded) -> None:
    """Its Finished alone is under the keys of application data."""
    old = converse(
        ClientConfig(trust=pki.trust, versions=["TLSv1.2"]), ServerConfig(credentials=pki.server())
    )
    for new, recorder in ((plain.client, old.client), (plain.server, old.server)):
        found = told(new, recorder)["messages"]
        assert found.first.count("Finished") == found.second.count("Finished") == 2
        assert found.second.split(" > ")[-1] == "Finished"


def test_the_course_of_a_resumption_in_tls12(pki: Pki) -> None:
    """There the server's Finished comes first."""
    world = World(pki, "TLSv1.2")
    first, second = world.meet(), world.meet()
    for full, resumed in ((first.client, second.client), (first.server, second.server)):
        found = told(full.trace, resumed.trace)["messages"]
        assert found.first.count("Finished") == found.second.count("Finished") == 2


def test_an_order_is_told_as_one(pki: Pki) -> None:
    shown = pki.server()
    found = told(
        meet(pki, shown, {}, groups=["X25519", "secp256r1"]),
        meet(pki, shown, {}, groups=["secp256r1", "X25519"]),
    )
    assert "another order" in found["groups offered"].why


def test_the_two_sides_of_one_handshake(plain: Recorded) -> None:
    found = told(plain.client, plain.server)
    assert set(found) <= {"recorded by", "peer verified", "alerts"}


def test_traces_of_nothing_and_of_rubbish(plain: Recorded) -> None:
    assert differences(Recorder(), Recorder()) == []
    assert by_name(differences(plain.client, Recorder()))["outcome"].second == "not completed"
    for recorder in (plain.client, plain.server):
        without = recorder.redacted(names=True, addresses=True)
        found = told(recorder, without)
        assert set(found) <= {"server name", "the server's certificates"}


def test_as_json(plain: Recorded, retried: Recorded) -> None:
    for each in differences(plain.client, retried.client):
        assert set(each.to_json()) == {"what", "first", "second", "weight", "why"}
        assert all(isinstance(value, str) for value in each.to_json().values())


def test_it_goes_both_ways(plain: Recorded, retried: Recorded) -> None:
    forth, back = told(plain.client, retried.client), told(retried.client, plain.client)
    assert set(forth) == set(back)
    for what, each in forth.items():
        assert (each.first, each.second) == (back[what].second, back[what].first)


def test_a_converse_recorded_on_another_day(pki: Pki, plain: Recorded) -> None:
    again = converse(ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()))
    again.client.began_at_ns = 86_400 * 10**9
    assert told(plain.client, again.client)["recorded on"].second == "1970-01-02"
