"""The scripted peers are good ones where nothing deviates, so what follows tests the deviation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.hostile.deviations import changed
from tests.hostile.scripted import Encounter
from tests.pki import Pki

from handclasp import DataReceived, ServerConfig
from handclasp.crypto.groups import GROUPS
from handclasp.crypto.suites import CIPHER_SUITES, DEFAULT_CIPHER_SUITES

Meet = Callable[..., Encounter]


def check(encounter: Encounter) -> None:
    assert encounter.error is None
    assert encounter.connection.established
    assert encounter.peer.established
    encounter.connection.send_data(b"from us")
    encounter.peer.send_data(b"from the peer")
    encounter.run()
    assert encounter.peer.data == b"from us"
    assert DataReceived(b"from the peer") in encounter.events


@pytest.mark.parametrize("suite", DEFAULT_CIPHER_SUITES)
def test_suites(meet_server: Meet, meet_client: Meet, suite: str) -> None:
    check(meet_server(suite=suite))
    check(meet_client(suite=suite))


@pytest.mark.parametrize("version", [0x0301, 0x0304, 0xFFFF])
def test_legacy_version_decides_nothing(meet_client: Meet, version: int) -> None:
    """RFC 8446 4.2.1: servers "MUST only use the supported_versions extension"."""
    check(meet_client(first_hello=changed(legacy_version=version)))


def test_ccm(pki: Pki, meet_client: Meet) -> None:
    config = ServerConfig(credentials=pki.server(), cipher_suites=list(CIPHER_SUITES))
    check(meet_client(config=config, suite="TLS_AES_128_CCM_SHA256"))


@pytest.mark.parametrize("group", GROUPS)
def test_groups(meet_client: Meet, group: str) -> None:
    check(meet_client(groups=[group], shares=[group]))


@pytest.mark.parametrize("script", [{"retry": "secp256r1"}, {"ask_for_certificate": True}])
def test_other_flights_of_a_server(meet_server: Meet, script: dict[str, Any]) -> None:
    check(meet_server(**script))


def test_other_flights_of_a_client(
    pki: Pki, meet_client: Meet, asking_config: ServerConfig
) -> None:
    check(meet_client(shares=()))
    check(meet_client(config=asking_config, credentials=pki.client()))
