"""The scripted peers are good ones where nothing deviates, so what follows tests the deviation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import ClientConfig, DataReceived, ServerConfig
from handclasp.crypto.groups import GROUPS
from handclasp.crypto.suites import CIPHER_SUITES, DEFAULT_CIPHER_SUITES
from handclasp.iana import ExtensionType as Ext
from handclasp.iana import HandshakeType
from handclasp.testing.deviations import changed, with_extension
from handclasp.testing.scripted import ScriptedServer
from handclasp.wire import extensions as ext
from handclasp.wire.messages import Certificate, read_message

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


@pytest.mark.parametrize("suite", [s for s in DEFAULT_CIPHER_SUITES if s in CIPHER_SUITES])
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


class Listening(ScriptedServer):
    """Keeps the client's Certificate."""

    certificate_seen: Certificate | None = None

    def receive(self, raw: bytes) -> None:
        if raw[0] == HandshakeType.CERTIFICATE:
            message = read_message(raw)
            assert isinstance(message, Certificate)
            self.certificate_seen = message
        super().receive(raw)


@pytest.mark.parametrize("body", [b"", ext.write_certificate_status(b"the server's own")])
def test_a_request_for_a_staple(pki: Pki, meet_server: Meet, body: bytes) -> None:
    """RFC 8446 4.4.2.1 has it empty; OpenSSL before 1.1.1d did not."""
    client = pki.client()
    response = pki.ocsp_response(x509.load_der_x509_certificate(client.chain_der[0]))
    encounter = meet_server(
        config=ClientConfig(trust=pki.trust, credentials=client.with_staple(response)),
        kind=Listening,
        ask_for_certificate=True,
        certificate_request=with_extension(Ext.STATUS_REQUEST, body),
    )
    check(encounter)
    assert isinstance(encounter.peer, Listening)
    seen = encounter.peer.certificate_seen
    assert isinstance(seen, Certificate)
    data = seen.certificate_list[0].extensions[Ext.STATUS_REQUEST]
    assert ext.read_certificate_status(data) == response


OID_FILTERS = [
    b"\0\0",
    b"\0\x0a" + b"\x03\x55\x1d\x25" + b"\0\x04\x30\x02\x06\0",
]


@pytest.mark.parametrize("data", OID_FILTERS)
def test_filters_of_a_request_are_passed_over(pki: Pki, meet_server: Meet, data: bytes) -> None:
    """Every filter is one that this client does not recognise, and "MUST ignore"."""
    encounter = meet_server(
        config=ClientConfig(trust=pki.trust, credentials=pki.client()),
        ask_for_certificate=True,
        certificate_request=with_extension(Ext.OID_FILTERS, data),
    )
    check(encounter)
    assert encounter.connection.info is not None
    assert encounter.connection.info.local_chain_der


def test_a_status_request_of_an_unknown_kind(pki: Pki, meet_client: Meet) -> None:
    credentials = pki.server("localhost")
    leaf = x509.load_der_x509_certificate(credentials.chain_der[0])
    config = ServerConfig(credentials=credentials.with_staple(pki.ocsp_response(leaf)))
    check(meet_client(config=config, extensions={Ext.STATUS_REQUEST: b"\2whatever"}))
