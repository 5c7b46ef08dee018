"""The scripted peers of TLS 1.2 are good ones where nothing deviates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from cryptography import x509
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import ClientAuth, ClientConfig, DataReceived, ServerConfig
from handclasp.crypto.groups import GROUPS
from handclasp.crypto.suites import CIPHER_SUITES12, RSA_KEY_TRANSPORT_SUITES
from handclasp.testing.scripted12 import RSA_SUITE, ScriptedClient12, ScriptedServer12

Meet = Callable[..., Encounter]
GROUPS12 = [name for name, group in GROUPS.items() if "TLSv1.2" in group.versions]


@pytest.fixture
def meet_server(meet_server: Meet) -> Meet:
    return partial(meet_server, kind=ScriptedServer12)


@pytest.fixture
def meet_client(meet_client: Meet) -> Meet:
    return partial(meet_client, kind=ScriptedClient12)


def check(encounter: Encounter) -> None:
    assert encounter.error is None
    assert encounter.connection.established
    assert encounter.connection.info is not None
    assert encounter.connection.info.version == "TLSv1.2"
    assert encounter.peer.established
    encounter.connection.send_data(b"from us")
    encounter.peer.send_data(b"from the peer")
    encounter.run()
    assert encounter.peer.data == b"from us"
    assert DataReceived(b"from the peer") in encounter.events


@pytest.mark.parametrize("suite", CIPHER_SUITES12)
def test_suites(pki: Pki, meet_server: Meet, meet_client: Meet, suite: str) -> None:
    is_rsa = CIPHER_SUITES12[suite].authentication == "RSA"
    credentials = pki.server("localhost", key_type="rsa-2048" if is_rsa else "ecdsa-p256")
    allow = suite in RSA_KEY_TRANSPORT_SUITES
    client = ClientConfig(trust=pki.trust, allow_rsa_key_transport=allow)
    server = ServerConfig(credentials=credentials, allow_rsa_key_transport=allow)
    check(meet_server(config=client, credentials=credentials, suite=suite))
    check(meet_client(config=server, suite=suite))


@pytest.mark.parametrize("group", GROUPS12)
def test_groups(pki: Pki, meet_server: Meet, meet_client: Meet, group: str) -> None:
    credentials = pki.server("localhost", key_type="rsa-2048")
    check(meet_server(group=group, suite=RSA_SUITE, credentials=credentials))
    config = ServerConfig(credentials=credentials, groups=[group])
    check(meet_client(groups=[group], suite=RSA_SUITE, config=config))


@pytest.mark.parametrize("scheme", ["rsa_pss_rsae_sha256", "rsa_pkcs1_sha256"])
def test_schemes(pki: Pki, meet_server: Meet, scheme: str) -> None:
    credentials = pki.server("localhost", key_type="rsa-2048")
    check(meet_server(scheme=scheme, suite=RSA_SUITE, credentials=credentials))


def test_other_flights_of_a_server(pki: Pki, meet_server: Meet) -> None:
    check(meet_server(ask_for_certificate=True))
    credentials = pki.server("localhost")
    staple = pki.ocsp_response(x509.load_der_x509_certificate(credentials.chain_der[0]))
    check(meet_server(ask_for_certificate=True, credentials=credentials, staple=staple))
    config = ClientConfig(trust=pki.trust, credentials=pki.client())
    check(meet_server(ask_for_certificate=True, config=config))


def test_a_promised_staple_may_be_left_out(pki: Pki, meet_server: Meet) -> None:
    """RFC 6066 section 8: the server "MAY" then send a CertificateStatus."""
    check(meet_server(staple=b"promised", certificate_status=None))


def test_other_flights_of_a_client(
    pki: Pki, meet_client: Meet, asking_config: ServerConfig
) -> None:
    check(meet_client(config=asking_config, credentials=pki.client()))
    config = ServerConfig(
        credentials=pki.server(), client_auth=ClientAuth.OPTIONAL, trust=pki.trust
    )
    order = ("certificate", "client_key_exchange", "change_cipher_spec", "finished")
    check(meet_client(config=config, order=order))
