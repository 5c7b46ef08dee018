"""Nothing is left of strangers who were refused, and little of those who were not.

Nor is anything left of lists, policies and configs that were replaced.

The same with 5,000 of each kind, measured as resident memory, is `make memory`.
"""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.end_to_end.pair import Pair
from tests.memory.strangers import KINDS, VERSIONS, Scene
from tests.pki import Pki

from handclasp import CertificatePolicy, ClientConfig, ServerConfig
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.revocation_list import RevocationList
from handclasp.certificates.trust import TrustStore

pytestmark = pytest.mark.long

STRANGERS = 60
ALLOWANCE = 2**20
"""Bytes: of refused ones alone, 6 MB came by."""


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", KINDS)
def test_memory_after_strangers(scene: Scene, name: str, version: str) -> None:
    kind = KINDS[name]
    for number in range(3):
        kind(scene, version, number)  # What is imported late, and made once, is there now.
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(3, STRANGERS):
            kind(scene, version, number)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < ALLOWANCE


def alive(*kinds: type) -> dict[str, int]:
    """How many objects of these kinds there are."""
    gc.collect()
    held = [type(each) for each in gc.get_objects()]
    return {kind.__name__: held.count(kind) for kind in kinds}


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_renewed_is_gone(version: str) -> None:
    pki = Pki()
    blob = pki.crl(range(1, 50)).public_bytes(Encoding.DER)
    base = ServerConfig(credentials=pki.server(), client_auth="required", trust=pki.trust)
    client = ClientConfig(trust=pki.trust, credentials=pki.client(), versions=[version])

    def renew() -> None:
        policy = CertificatePolicy(crls=RevocationLists.from_bytes(blob))
        assert Pair(client, replace(base, policy=policy)).run().established

    kinds = (RevocationLists, RevocationList, CertificatePolicy, ServerConfig)
    before, remembered = alive(*kinds), len(pki.trust.remembered)
    for _ in range(3):
        renew()
    assert alive(*kinds) == before
    # One of the server's chain, under a policy that stays, and one for each renewal.
    assert len(pki.trust.remembered) == remembered + 4


def test_a_store_that_grows_leaves_nothing_behind() -> None:
    trust = Pki("first").trust
    before = alive(TrustStore)
    for number in range(3):
        trust = trust.with_added(Pki(f"more {number}").ca_pem)
        assert len(trust.anchors) == number + 2
    # The first one belongs to its authority, which is gone by now.
    assert alive(TrustStore) == before
