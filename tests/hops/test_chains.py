"""The work that judging a chain takes beside cryptography's verifier."""

from __future__ import annotations

from tests.counting import bytecodes_of
from tests.hops.counts import calls_of
from tests.pki import Leaf, Pki, der_of, key_of_type

from handclasp.certificates.verify import verify_server_chain


def test_of_a_leaf_whose_root_is_known() -> None:
    pki = Pki()
    key = key_of_type("ecdsa-p256").public_key()
    names = [f"www{number}.example.com" for number in range(20)]
    chains = {name: der_of(pki.issue(Leaf((name,)), key)) for name in names}

    def judge() -> None:
        name, chain = chains.popitem()
        assert verify_server_chain(chain, pki.trust, name, pki.now).verified

    while len(chains) > 2:  # What is imported or kept at the first one counts for none after it.
        judge()
    calls, bytecodes = calls_of(judge), bytecodes_of(judge)
    print(calls.total(), bytecodes)
    assert calls.total() <= 180, "\n".join(f"{count} {where}" for where, count in calls.items())
    assert bytecodes <= 4100
