"""The x509-limbo cases as values; see limbo/README.md for what they are and whose."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from handclasp.certificates.policy import DEFAULT_MAX_INTERMEDIATES, CertificatePolicy
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.trust import TrustStore

_ANY_TIME = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """A chain, whom to trust, and what a verifier should make of it.

    Attributes:
        name: the server's; None for a client.
        should_pass: what x509-limbo's authors expect.
    """

    id: str
    chain: tuple[bytes, ...] = field(repr=False)
    trust: TrustStore
    name: str | None
    time: datetime
    policy: CertificatePolicy = field(repr=False)
    should_pass: bool


@functools.cache
def cases() -> tuple[Case, ...]:
    text = (Path(__file__).parent / "limbo" / "cases.json").read_text(encoding="ascii")
    return tuple(map(_case, json.loads(text)))


def _case(entry: dict[str, Any]) -> Case:
    lists = [pem.encode() for pem in entry.get("crls", ())]
    policy = CertificatePolicy(
        max_intermediates=entry.get("max_chain_depth", DEFAULT_MAX_INTERMEDIATES),
        crls=RevocationLists.from_bytes(*lists) if lists else None,
    )
    time = datetime.fromisoformat(entry["time"]) if "time" in entry else _ANY_TIME
    return Case(
        entry["id"],
        tuple(_der(pem) for pem in (entry["leaf"], *entry.get("intermediates", ()))),
        TrustStore.from_pem("".join(entry.get("trusted", ())).encode()),
        entry.get("name") if entry["kind"] == "SERVER" else None,
        time,
        policy,
        entry["expected"] == "SUCCESS",
    )


def _der(pem: str) -> bytes:
    return load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
