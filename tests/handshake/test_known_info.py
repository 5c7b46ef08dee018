"""Connections that agree upon the same share their facts, within bounds."""

from __future__ import annotations

from dataclasses import replace

from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import ClientConfig, ConnectionInfo, ServerConfig
from handclasp.handshake.known_info import known_info
from handclasp.wire.memoize import Reading, new_memo


def facts(reading: Reading, name: str, chain: tuple[bytes, ...] = ()) -> ConnectionInfo:
    return known_info(
        reading, "TLSv1.3", "suite", None, None, None, name, False, "none", False, chain, True, ()
    )


def test_the_same_facts_are_one_object_once_a_handshake_is_complete(pki: Pki) -> None:
    client, server = ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server())
    first, second = [Pair(client, server).run().client.info for _ in range(2)]
    assert first is second
    other = Pair(replace(client, groups=["secp256r1"]), server).run().client.info
    assert (first.group, other.group) == ("X25519MLKEM768", "secp256r1")


def test_what_differs_in_one_fact_is_another(pki: Pki) -> None:
    memo = new_memo()
    for name in ("a", "b"):
        reading = Reading(memo)
        assert facts(reading, name).server_name == name
        reading.accepted()
    assert facts(Reading(memo), "a") is not facts(Reading(memo), "b")
    assert facts(Reading(memo), "a") is facts(Reading(memo), "a")


def test_what_a_peer_made_long_is_not_kept() -> None:
    memo = new_memo()
    reading = Reading(memo)
    facts(reading, "a", (bytes(2**14 + 1),))
    reading.accepted()
    assert len(memo) == 0


def test_facts_of_a_failed_handshake_are_not_kept() -> None:
    memo = new_memo()
    facts(Reading(memo), "a")
    assert len(memo) == 0
