"""The table of defences: what it takes out stands in the source, and taking it out is noticed."""

from __future__ import annotations

import pytest
from tests.security.__main__ import taken_out
from tests.security.edits import Edit, find
from tests.security.threats import THREATS, Proof

PROOFS = [proof for threat in THREATS for proof in threat.proofs]
POSITIVE = "limits.Limits.__post_init__"
"""Where a limit of nothing is refused."""


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.test)
def test_what_is_taken_out_is_there(proof: Proof) -> None:
    """If it fails, the defence has moved: say in `threats` where it is now."""
    for edit in proof.edits:
        find(edit)
        assert edit.old != edit.new


def test_hardly_an_attack_goes_without() -> None:
    bare = [threat.name for threat in THREATS if not threat.proofs]
    # There is no CBC to take out, and no memory of failed handshakes.
    assert bare == [
        "Lucky 13, POODLE and other padding oracles",
        "Later hellos that are weaker after somebody's ServerHello (RUSTSEC-2026-0349)",
    ]


def test_a_proof_that_proves_nothing_is_told() -> None:
    edit = Edit("limits.Limits.max_extensions", "256", "255")
    proof = Proof("test_limits.py::test_limits_are_frozen", (edit,))
    assert taken_out(proof) == "PASSES WITHOUT IT"


def test_a_proof_that_holds_is_told() -> None:
    edit = Edit(POSITIVE, "value < least", "False")
    proof = Proof("test_limits.py::test_no_limit_is_nothing", (edit,))
    assert taken_out(proof) == "fails without it"


def test_a_defence_that_is_gone_is_told() -> None:
    edit = Edit(POSITIVE, "no_such", "pass")
    proof = Proof("test_limits.py::test_limits_are_frozen", (edit,))
    assert taken_out(proof) == "IS NOT THERE"


def test_a_test_that_is_gone_is_told() -> None:
    edit = Edit(POSITIVE, "value < least", "False")
    assert taken_out(Proof("test_limits.py::test_no_such", (edit,))) == "DOES NOT RUN"
