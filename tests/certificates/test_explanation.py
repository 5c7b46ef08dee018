"""The explanation: every rule, with evidence, and never another verdict than the decision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pki import (
    DAY,
    MUST_STAPLE,
    Leaf,
    Pki,
    critical,
    der_of,
    key_of_type,
    name_constraints,
    self_signed,
)

from handclasp.certificates import Explanation, explain
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import verify_client_chain, verify_server_chain
from handclasp.certificates.walk import MAX_PATHS
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault

P256 = key_of_type("ecdsa-p256").public_key()
ROOT = Pki()
NOW = ROOT.now


def explained(
    chain: Sequence[x509.Certificate], names: Any = "localhost", **changes: Any
) -> Explanation:
    return explain(
        chain, names, changes.pop("trust", ROOT.trust), changes.pop("time", NOW), **changes
    )


class TestAccepted:
    def test_everything_is_told(self) -> None:
        below = ROOT.intermediate()
        explanation = explained([below.issue(Leaf(), P256), below.certificate])
        assert explanation.accepted
        assert explanation.broken == ()
        assert {"key", "dates", "names", "key usage", "purpose"} <= {
            finding.rule for finding in explanation.leaf
        }
        (path,) = explanation.paths
        assert path.held
        assert path.certificates[-1] == ROOT.certificate
        assert {"signature", "signature algorithm", "authority", "path length"} <= {
            finding.rule for finding in path.findings
        }
        assert all(finding.evidence for finding in (*explanation.leaf, *path.findings))

    def test_der_and_parsed_certificates_are_the_same(self) -> None:
        leaf = ROOT.issue(Leaf(), P256)
        assert explained([leaf]) == explain(der_of(leaf), "localhost", ROOT.trust, NOW)

    def test_several_names_must_all_be_covered(self) -> None:
        chain = [ROOT.issue(Leaf(("a.example", "b.example")), P256)]
        assert explained(chain, ["a.example", "B.example."]).accepted
        assert not explained(chain, ["a.example", "c.example"]).accepted

    def test_a_client_needs_no_name(self) -> None:
        chain = [ROOT.issue(Leaf((), "Jane", purpose=Purpose.CLIENT_AUTH), P256)]
        assert explained(chain, None).accepted
        assert not explained(chain).accepted


class TestBroken:
    def test_the_most_helpful_reason_comes_first(self) -> None:
        leaf = Leaf(("other.example",), purpose=None, not_after=NOW - DAY / 2)
        explanation = explained([Pki("stranger").issue(leaf, P256)])
        assert [finding.fault for finding in explanation.broken] == [
            Fault.CERTIFICATE_EXPIRED,
            Fault.CERTIFICATE_NAME_MISMATCH,
            Fault.CERTIFICATE_UNTRUSTED,
            Fault.CERTIFICATE_WRONG_PURPOSE,
        ]

    def test_every_path_is_walked_and_the_best_is_first(self) -> None:
        """The same authority has two certificates, and one of them has expired."""
        good = ROOT.intermediate()
        old = ROOT.intermediate(not_after=NOW - DAY / 2)
        leaf = good.issue(Leaf(), P256)
        explanation = explained([leaf, old.certificate, good.certificate])
        assert explanation.accepted
        assert [path.held for path in explanation.paths] == [True, False]

    def test_a_stranger_that_nobody_can_read_spoils_no_good_path(self) -> None:
        """Found by the fuzzer: a namesake of the root, signed with an algorithm nobody knows."""
        ecdsa, unknown = (bytes.fromhex("06082a8648ce3d0403" + end) for end in ("02", "61"))
        (root,) = der_of(ROOT.certificate)
        namesake = x509.load_der_x509_certificate(root.replace(ecdsa, unknown))
        upper = ROOT.intermediate()
        chain = [upper.issue(Leaf(), P256), upper.certificate, namesake]
        verify_server_chain(der_of(*chain), ROOT.trust, "localhost", NOW)
        explanation = explained(chain)
        assert explanation.accepted
        assert not all(path.held for path in explanation.paths)

    def test_a_hostile_maze_has_an_end(self) -> None:
        mazes = [ROOT.intermediate("a"), ROOT.intermediate("a")]
        for _ in range(4):
            mazes += [each.intermediate("a") for each in mazes[:2]]
        strange = Pki("a").certificate
        chain = [mazes[0].issue(Leaf(), P256), *[maze.certificate for maze in mazes], strange]
        explanation = explained(chain, trust=Pki("other").trust)
        assert not explanation.accepted
        assert len(explanation.paths) <= MAX_PATHS

    def test_what_cannot_be_read_in_full(self) -> None:
        # Two of one extension: that shows only when the extensions are read.
        twice = ROOT.issue(Leaf(extensions=[MUST_STAPLE]), P256)
        (der,) = der_of(twice)
        broken = der.replace(bytes.fromhex("551d25"), bytes.fromhex("551d0f"), 1)
        explanation = explain([broken], "localhost", ROOT.trust, NOW)
        # The byte that was changed was signed, too.
        unreadable, unsigned = explanation.broken
        assert (unreadable.rule, unreadable.fault) == ("readable", Fault.BAD_CERTIFICATE)
        assert unsigned.rule == "signature"
        with pytest.raises(CertificateError):
            explain([b"no certificate"], "localhost", ROOT.trust, NOW)

    def test_bad_arguments(self) -> None:
        leaf = ROOT.issue(Leaf(), P256)
        with pytest.raises(ConfigurationError, match="time zone"):
            explained([leaf], time=NOW.replace(tzinfo=None))
        with pytest.raises(ConfigurationError, match="neither a DNS name"):
            explained([leaf], "no name!")


def test_json_has_the_documented_keys() -> None:
    value = json.loads(json.dumps(explained([ROOT.issue(Leaf(purpose=None), P256)]).to_json()))
    assert value.keys() == {"accepted", "fault", "reasons", "fix", "leaf", "paths", "policy"}
    assert (value["accepted"], value["fault"]) == (False, "CERTIFICATE_WRONG_PURPOSE")
    (broken,) = [rule for rule in value["leaf"] if rule["verdict"] == "broken"]
    assert broken == {
        "rule": "purpose",
        "about": "localhost",
        "verdict": "broken",
        "evidence": value["reasons"][0],
        "section": "RFC 5280 4.2.1.12",
        "fault": "CERTIFICATE_WRONG_PURPOSE",
    }


# Whatever goes wrong, alone or together, decision and explanation say the same.

UNKNOWN = critical(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"))

leaves = st.builds(
    Leaf,
    names=st.sampled_from(
        [("localhost",), ("localhost", "*.test"), ("other.example",), ("127.0.0.1",), ()]
    ),
    common_name=st.sampled_from([None, "localhost", "other.example", "My server", "*.test"]),
    purpose=st.sampled_from(
        [None, Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH, Purpose.ANY_EXTENDED_KEY_USAGE]
        + [(Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH)] * 3
    ),
    not_before=st.sampled_from([None, None, NOW - DAY, NOW + DAY]),
    not_after=st.sampled_from([None, None, NOW + 2 * DAY, NOW - DAY / 2]),
    is_authority=st.sampled_from([False, False, False, True]),
    digital_signature=st.sampled_from([True, True, None, False]),
    authority_identifier=st.sampled_from([True, True, False]),
    extensions=st.sampled_from([(), (), (MUST_STAPLE,), (UNKNOWN,)]),
)
authorities = st.fixed_dictionaries(
    {},
    optional={
        "with_key_usage": st.booleans(),
        "is_authority": st.sampled_from([True, True, False]),
        "path_length": st.sampled_from([None, 0, 1]),
        "not_after": st.sampled_from([NOW + DAY, NOW - DAY / 2]),
        "extensions": st.sampled_from(
            [
                (),
                (name_constraints(permitted=["localhost", "test"]),),
                (name_constraints(excluded=["other.example", "10.0.0.0/8"]),),
                (name_constraints(permitted=["127.0.0.0/8"]),),
                (x509.ExtendedKeyUsage([Purpose.CLIENT_AUTH]),),
                (UNKNOWN,),
            ]
        ),
    },
)


@settings(max_examples=400, deadline=None)
@given(
    leaf=leaves,
    issuers=st.lists(authorities, max_size=3),
    name=st.sampled_from(["localhost", "localhost", "www.test", "127.0.0.1", "a.test", None]),
    key_type=st.sampled_from(["ecdsa-p256", "ecdsa-p256", "rsa-2048", "ed25519", "secp256k1"]),
    profile=st.sampled_from(["web", "private"]),
    depth=st.sampled_from([0, 1, 2, 8]),
    sent=st.sampled_from([None, None, 0, 1]),
    trusted=st.sampled_from(["root", "root", "other", "leaf"]),
)
def test_it_agrees_with_the_decision(
    leaf: Leaf,
    issuers: list[dict[str, Any]],
    name: str | None,
    key_type: str,
    profile: Any,
    depth: int,
    sent: int | None,
    trusted: str,
) -> None:
    if leaf.not_before and leaf.not_after and leaf.not_before >= leaf.not_after:
        return
    authority: Any = ROOT
    for changes in issuers:
        if not changes.get("is_authority", True):
            changes["path_length"] = None  # It cannot be written otherwise.
        authority = authority.intermediate(f"level {len(authority.path)}", **changes)
    certificate = authority.issue(leaf, key_of_type(key_type).public_key())
    anchor = {"root": ROOT.certificate, "other": OTHER, "leaf": certificate}[trusted]
    trust = TrustStore.from_certificates([anchor])
    chain = der_of(certificate, *authority.path[:sent])
    policy = CertificatePolicy(profile=profile, max_intermediates=depth)
    fault: Fault | None = None
    try:
        if name is None:
            verify_client_chain(chain, trust, NOW, policy=policy)
        else:
            verify_server_chain(chain, trust, name, NOW, policy=policy)
    except CertificateError as error:
        fault = error.fault
    explanation = explain(chain, name, trust, NOW, policy=policy)
    assert explanation.accepted is (fault is None), (fault, explanation.broken)
    if fault is not None:
        assert fault in {finding.fault for finding in explanation.broken}


OTHER = Pki("other").certificate


def test_a_self_signed_certificate_is_explained_by_that_alone() -> None:
    certificate, _ = self_signed()
    with pytest.raises(CertificateError) as caught:
        verify_server_chain(der_of(certificate), ROOT.trust, "localhost", NOW)
    assert "besides" not in caught.value.detail


def test_time_counts_in_whole_seconds() -> None:
    end = datetime(2030, 1, 1, tzinfo=NOW.tzinfo)
    leaf = ROOT.issue(Leaf(not_after=end), P256)
    root = Pki(not_after=end + 9 * DAY)
    leaf = root.issue(Leaf(not_after=end), P256)
    assert explained([leaf], trust=root.trust, time=end + timedelta(microseconds=9)).accepted
    assert not explained([leaf], trust=root.trust, time=end + timedelta(seconds=1)).accepted
