"""The key schedule of TLS 1.2, against the PRF written out and against another stack."""

from __future__ import annotations

import pytest

from handclasp.crypto.prf12 import prf
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES12
from handclasp.keys.schedule12 import Exporter12, MasterSecret12, Randoms

RANDOMS = Randoms(bytes(range(32)), bytes(range(32, 64)))
PRE_MASTER_SECRET = Secret(b"p" * 32)
suites = pytest.mark.parametrize("name", CIPHER_SUITES12)


def master_of(name: str) -> MasterSecret12:
    return MasterSecret12.bound_to_session(
        CIPHER_SUITES12[name], PRE_MASTER_SECRET, b"session hash", RANDOMS
    )


@suites
def test_the_key_block_is_cut_in_the_order_of_section_6_3(name: str) -> None:
    suite, master = CIPHER_SUITES12[name], master_of(name)
    seed = RANDOMS.server + RANDOMS.client
    key, iv = suite.key_size, suite.fixed_iv_size
    block = prf(suite.hash_name, master.secret, b"key expansion", seed, 2 * (key + iv))
    keys = master.key_block()
    cut = keys.client.key + keys.server.key + keys.client.iv + keys.server.iv
    assert cut == block
    assert len(keys.client.key) == len(keys.server.key) == key
    assert len(keys.client.iv) == len(keys.server.iv) == iv


def test_the_master_secret_is_bound_to_the_session() -> None:
    suite = CIPHER_SUITES12["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]
    other = MasterSecret12.bound_to_session(suite, PRE_MASTER_SECRET, b"another", RANDOMS)
    bound = master_of(suite.name)
    loose = MasterSecret12.bound_to_randoms(suite, PRE_MASTER_SECRET, RANDOMS)
    assert len({bound.secret, other.secret, loose.secret}) == 3
    assert bound.extended
    assert not loose.extended
    seed = RANDOMS.client + RANDOMS.server
    assert loose.secret == prf("sha256", PRE_MASTER_SECRET, b"master secret", seed, 48)
    assert bound.secret == prf(
        "sha256", PRE_MASTER_SECRET, b"extended master secret", b"session hash", 48
    )


@suites
def test_the_two_finished_differ(name: str) -> None:
    master = master_of(name)
    client, server = (master.verify_data(side, b"hash") for side in ("client", "server"))
    assert len(client) == len(server) == 12
    assert client != server
    hash_name = CIPHER_SUITES12[name].hash_name
    assert client == prf(hash_name, master.secret, b"client finished", b"hash", 12)


def test_no_context_is_not_an_empty_one() -> None:
    # RFC 5705 4: "If no context is provided" the seed ends with the randoms.
    exporter = Exporter12(master_of("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"))
    assert exporter.export("label", None, 32) != exporter.export("label", b"", 32)
    assert exporter.export("label", b"a", 32) != exporter.export("label", b"b", 32)
    assert len(exporter.export("label", None, exporter.longest)) == exporter.longest


def test_secrets_do_not_show() -> None:
    master = master_of("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
    for value in (master, master.key_block(), Exporter12(master), master.key_block().client):
        assert master.secret.hex() not in repr(value)
        assert repr(bytes(master.secret)) not in repr(value)
