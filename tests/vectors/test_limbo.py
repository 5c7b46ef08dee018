"""x509-limbo: chains with what a verifier should make of them, and why we refuse two more."""

from __future__ import annotations

import pytest
from tests.vectors.limbo_cases import Case, cases

from handclasp.certificates import explain
from handclasp.certificates.verify import VerifiedPeer, verify_client_chain, verify_server_chain
from handclasp.errors import CertificateError

STRICTER = {
    # An anchor that is not self-signed and names no issuer's key. Another case
    # (rfc5280::aki::cross-signed-root-missing-aki) wants such an anchor refused.
    "cve::cve-2024-0567",
    # max_intermediates counts what is self-issued, too: it bounds the work.
    "pathlen::max-chain-depth-1-self-issued",
}
"""Cases that should pass and are refused here; docs/trust.md gives the reasons."""

pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")

every_case = pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)


@every_case
def test_the_decision_is_the_expected_one(case: Case) -> None:
    assert is_accepted(case) == (case.should_pass and case.id not in STRICTER)


@every_case
def test_the_explanation_agrees_with_the_decision(case: Case) -> None:
    explanation = explain(case.chain, case.name, case.trust, case.time, policy=case.policy)
    assert explanation.accepted == is_accepted(case)
    assert bool(explanation.broken) != explanation.accepted


def test_no_other_case_differs() -> None:
    assert len(cases()) == 99
    assert {case.id for case in cases() if case.should_pass} >= STRICTER


def is_accepted(case: Case) -> bool:
    try:
        judged(case)
    except CertificateError:
        return False
    return True


def judged(case: Case) -> VerifiedPeer:
    if case.name is None:
        return verify_client_chain(case.chain, case.trust, case.time, policy=case.policy)
    return verify_server_chain(case.chain, case.trust, case.name, case.time, policy=case.policy)
