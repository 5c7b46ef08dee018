"""x509-limbo: chains with what a verifier should make of them, and why two more are refused here.

See limbo/README.md for whose cases these are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from handclasp.certificates import explain
from handclasp.certificates.policy import DEFAULT_MAX_INTERMEDIATES, CertificatePolicy
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import verify_client_chain, verify_server_chain
from handclasp.errors import CertificateError

CASES = json.loads((Path(__file__).parent / "limbo" / "cases.json").read_bytes())["testcases"]

STRICTER = {
    # An anchor that is not self-signed and names no issuer's key. Another case
    # (rfc5280::aki::cross-signed-root-missing-aki) wants such an anchor refused.
    "cve::cve-2024-0567",
    # max_intermediates counts what is self-issued, too: it bounds the work.
    "pathlen::max-chain-depth-1-self-issued",
}
"""Cases that should pass and are refused here; docs/trust.md gives the reasons."""

ANY_TIME = datetime(2024, 1, 1, tzinfo=UTC)
"""For the cases that name no time."""

# One case has a serial number that is negative; cryptography warns while it reads that.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")

every_case = pytest.mark.parametrize("entry", CASES, ids=lambda entry: entry["id"])


@dataclass(frozen=True)
class Case:
    """A chain, whom to trust, and for which server; no name stands for a client."""

    chain: tuple[bytes, ...] = field(repr=False)
    trust: TrustStore
    name: str | None
    time: datetime
    policy: CertificatePolicy = field(repr=False)

    @property
    def accepted(self) -> bool:
        """What the decision says."""
        try:
            if self.name is None:
                verify_client_chain(self.chain, self.trust, self.time, policy=self.policy)
            else:
                verify_server_chain(
                    self.chain, self.trust, self.name, self.time, policy=self.policy
                )
        except CertificateError:
            return False
        return True


def case_of(entry: dict[str, Any]) -> Case:
    sent = [entry["peer_certificate"], *entry["untrusted_intermediates"]]
    lists = [pem.encode() for pem in entry.get("crls") or ()]
    depth, time = entry.get("max_chain_depth"), entry.get("validation_time")
    policy = CertificatePolicy(
        max_intermediates=DEFAULT_MAX_INTERMEDIATES if depth is None else depth,
        crls=RevocationLists.from_bytes(*lists) if lists else None,
    )
    is_server = entry["validation_kind"] == "SERVER"
    return Case(
        tuple(load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER) for pem in sent),
        TrustStore.from_pem("".join(entry["trusted_certs"]).encode()),
        entry["expected_peer_name"]["value"] if is_server else None,
        datetime.fromisoformat(time) if time else ANY_TIME,
        policy,
    )


@every_case
def test_the_decision_is_the_expected_one(entry: dict[str, Any]) -> None:
    expected = entry["expected_result"] == "SUCCESS" and entry["id"] not in STRICTER
    assert case_of(entry).accepted == expected


@every_case
def test_the_explanation_agrees_with_the_decision(entry: dict[str, Any]) -> None:
    case = case_of(entry)
    explanation = explain(case.chain, case.name, case.trust, case.time, policy=case.policy)
    assert explanation.accepted == case.accepted
    assert bool(explanation.broken) != explanation.accepted


def test_all_cases_are_there() -> None:
    expected = {entry["id"]: entry["expected_result"] for entry in CASES}
    assert len(expected) == 99
    assert {expected[id_] for id_ in STRICTER} == {"SUCCESS"}
