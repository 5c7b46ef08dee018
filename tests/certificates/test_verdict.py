"""The verdict of an explanation is the decision's, also where its own walk would end otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type  # pyright: ignore[reportPrivateUsage]
from cryptography.x509.oid import NameOID
from tests.pki import (
    DAY,
    Authority,
    Leaf,
    Pki,
    authority_certificate,
    critical,
    der_of,
    key_of_type,
    key_usage,
    name_constraints,
    named,
    sign,
)

from handclasp.certificates import Explanation, explain, walk
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.der import public_key_info
from handclasp.certificates.path import MOST_SIGNED
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import verify_server_chain
from handclasp.errors import CertificateError
from handclasp.faults import Fault

ROOT = Pki()
NOW = ROOT.now
KEY = key_of_type("ecdsa-p256").public_key()


def both(
    chain: Sequence[x509.Certificate], name: str, trust: TrustStore = ROOT.trust
) -> tuple[Fault | None, Explanation]:
    """The fault of the decision, which is that of the explanation, and the latter."""
    told = explain(chain, name, trust, NOW)
    fault = None
    try:
        proof = verify_server_chain(der_of(*chain), trust, name, NOW)
        assert der_of(*told.paths[0].certificates) == proof.path_der
    except CertificateError as error:
        fault = error.fault
    assert told.accepted is (fault is None)
    assert [each.fault for each in told.broken[:1]] == ([] if fault is None else [fault])
    assert told.to_json()["fault"] == (fault.name if fault is not None else None)
    return fault, told


def excluding(names: int, trees: int) -> tuple[Pki, list[x509.Certificate]]:
    """A root that excludes so many names, and a leaf with so many, the last of them excluded."""
    constraints = name_constraints(excluded=[f"t{number}.test" for number in range(trees)])
    root = constrained_root(constraints)
    own = [f"h{number}.example" for number in range(names - 1)]
    return root, [root.issue(Leaf([*own, f"a.t{trees - 1}.test"]), KEY)]


def constrained_root(constraints: x509.Extension[x509.NameConstraints]) -> Pki:
    root = Pki("constrained")
    certificate = authority_certificate(
        "constrained",
        root.key.public_key(),
        root.certificate.subject,
        root.key,
        NOW,
        extensions=[constraints],
    )
    object.__setattr__(root, "certificate", certificate)
    return root


@pytest.mark.parametrize(("names", "trees"), [(3, 3), (70, 70), (300, 300)])
def test_names_and_constraints_beyond_what_words_compare(names: int, trees: int) -> None:
    root, chain = excluding(names, trees)
    trust = TrustStore.from_certificates([root.certificate])
    fault, told = both(chain, "h0.example", trust)
    assert fault is Fault.BAD_CERTIFICATE
    assert any(each.rule in ("decision", "name constraints") for each in told.broken)


def test_what_is_held_beyond_that_is_accepted() -> None:
    constraints = name_constraints(excluded=[f"t{number}.test" for number in range(70)])
    root = constrained_root(constraints)
    leaf = root.issue(Leaf([f"h{number}.example" for number in range(70)]), KEY)
    fault, _ = both([leaf], "h0.example", TrustStore.from_certificates([root.certificate]))
    assert fault is None


@pytest.mark.parametrize("names", [("www.example.com.",), ("www.example.com.", "a.example")])
@pytest.mark.parametrize("name", ["www.example.com", "www.example.com."])
def test_a_name_that_ends_in_a_dot(names: tuple[str, ...], name: str) -> None:
    fault, told = both([ROOT.issue(Leaf(names), KEY)], name)
    assert fault is Fault.CERTIFICATE_NAME_MISMATCH
    assert "www.example.com. ends with a dot" in told.broken[0].evidence


def test_a_wildcard_that_ends_in_a_dot() -> None:
    fault, told = both([ROOT.issue(Leaf(["*.example.com."]), KEY)], "www.example.com")
    assert fault is Fault.CERTIFICATE_NAME_MISMATCH
    assert "ends with a dot" in told.broken[0].evidence


@pytest.mark.parametrize(
    "names",
    [
        ("www.example.com.", "www.example.com"),
        ("localhost", "a.b."),
        ("www.example.com.", "*.example.com"),
    ],
)
def test_such_a_name_besides_spoils_nothing(names: tuple[str, ...]) -> None:
    name = "localhost" if "localhost" in names else "www.example.com"
    assert both([ROOT.issue(Leaf(names), KEY)], name)[0] is None


def spelled(kind: _ASN1Type, units: int) -> x509.Name:
    more = [
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"{number:060}")
        for number in range(units)
    ]
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Z", kind), *more])


@pytest.mark.parametrize("units", [0, 20])
@pytest.mark.parametrize("same_kind", [True, False])
def test_an_issuer_of_its_own_name_in_another_kind_of_string(units: int, same_kind: bool) -> None:
    """Self-issued is who has one name in one encoding: that goes beyond its root's constraints."""
    printable = spelled(_ASN1Type.PrintableString, units)
    utf8 = printable if same_kind else spelled(_ASN1Type.UTF8String, units)
    root, middle = key_of_type("ecdsa-p256", 301), key_of_type("ecdsa-p256", 302)

    def authority(subject: x509.Name, key: object, *more: x509.ExtensionType) -> x509.Certificate:
        public_key = key.public_key()  # type: ignore[attr-defined]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(printable)
            .public_key(public_key)
            .serial_number(7)
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + 9 * DAY)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(key_usage(key_cert_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()),
                critical=False,
            )
        )
        for value in more:
            builder = builder.add_extension(value, isinstance(value, x509.NameConstraints))
        return sign(builder, root)

    anchor = authority(printable, root, x509.NameConstraints([x509.DNSName("example")], None))
    own_name = x509.SubjectAlternativeName([x509.DNSName("x.test")])
    between = authority(utf8, middle, own_name)
    leaf = Authority(between, middle, (), NOW).issue(Leaf(["a.example"]), KEY)
    fault, told = both([leaf, between], "a.example", TrustStore.from_certificates([anchor]))
    assert fault is (None if same_kind else Fault.BAD_CERTIFICATE)
    assert [each.rule for each in told.broken] == ([] if same_kind else ["name constraints"])


def many_paths() -> tuple[list[x509.Certificate], TrustStore]:
    """A good chain of which the walk sees so many paths by expired certificates first."""
    keys = {name: key_of_type("ecdsa-p256", 310 + number) for number, name in enumerate("RCBA")}

    def authority(name: str, above: str, **dates: object) -> x509.Certificate:
        public_key = keys[name].public_key()
        return authority_certificate(name, public_key, named(above), keys[above], NOW, **dates)  # type: ignore[arg-type]

    anchors = [authority("R", "R", not_before=NOW - (9 + number) * DAY) for number in range(2)]
    tops = [authority("C", "R") for _ in range(3)]
    middles = [authority("B", "C") for _ in range(3)]
    expired = {"not_before": NOW - 9 * DAY, "not_after": NOW - DAY}
    lows = [*[authority("A", "B", **expired) for _ in range(2)], authority("A", "B")]
    leaf = Authority(lows[-1], keys["A"], (), NOW).issue(Leaf(["a.example"]), KEY)
    return [leaf, *lows, *middles, *tops], TrustStore.from_certificates(anchors)


def test_a_path_beyond_those_that_the_walk_tries() -> None:
    chain, trust = many_paths()
    fault, told = both(chain, "a.example", trust)
    assert fault is None
    assert told.paths[0].held
    assert {"signature", "dates", "name constraints"} <= {
        each.rule for each in told.paths[0].findings
    }
    assert len(told.paths) <= walk.MAX_PATHS


def test_a_walk_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then what convinced is shown without a word on it."""

    def failing(*_: object) -> None:
        raise ValueError

    middle = ROOT.intermediate()
    monkeypatch.setattr(walk.Walk, "leaf_findings", failing)
    fault, told = both([middle.issue(Leaf(), KEY), middle.certificate], "localhost")
    assert fault is None
    assert (told.paths[0].findings, told.broken) == ((), ())


def test_several_names_are_decided_one_by_one() -> None:
    leaf = ROOT.issue(Leaf(["a.example", "b.example."]), KEY)
    assert explain([leaf], ["a.example"], ROOT.trust, NOW).accepted
    told = explain([leaf], ["a.example", "b.example"], ROOT.trust, NOW)
    assert (told.accepted, told.broken[0].fault) == (False, Fault.CERTIFICATE_NAME_MISMATCH)


def long_hosts(number: int) -> list[str]:
    """So many names of 197 characters."""
    rest = f"{'x' * 59}.{'y' * 59}.{'z' * 58}.example"
    return [f"host-{index:05}.{rest}" for index in range(number)]


class TestManyIssuers:
    """Issuers of one name, of which only the last is the right one, and a leaf that is long."""

    issuers = 9

    def chain(
        self, hosts: int, issuers: int, *, identifiers: bool = True, right: int = -1
    ) -> list[x509.Certificate]:
        keys = [key_of_type("ecdsa-p256", 330 + number) for number in range(issuers)]
        above = [
            authority_certificate(
                "one of many", key.public_key(), ROOT.certificate.subject, ROOT.key, NOW
            )
            for key in keys
        ]
        names = ["localhost", *long_hosts(hosts)]
        by = Authority(above[right], keys[right], (), NOW)
        leaf = by.issue(Leaf(names, authority_identifier=identifiers), KEY)
        return [leaf, *above]

    def test_the_default_limits_never_reach_the_bound(self) -> None:
        chain = self.chain(608, 9)
        assert 2**20 < 9 * sum(map(len, der_of(*chain))) <= MOST_SIGNED
        assert both(chain, "localhost")[0] is None

    def test_a_single_issuer_is_always_tried(self) -> None:
        chain = self.chain(6_000, 1)
        assert len(der_of(*chain)[0]) > MOST_SIGNED
        assert both(chain, "localhost")[0] is None

    @pytest.mark.parametrize("right", [0, 1, -1])
    def test_the_one_that_the_leaf_names_is_tried(self, right: int) -> None:
        assert both(self.chain(3_000, 4, right=right), "localhost")[0] is None

    def test_those_that_did_not_sign_make_room(self) -> None:
        chain = self.chain(2_000, 3, identifiers=False)
        assert 3 * len(der_of(*chain)[0]) > MOST_SIGNED
        policy = CertificatePolicy(profile="private")
        verify_server_chain(der_of(*chain), ROOT.trust, "localhost", NOW, policy=policy)

    @pytest.mark.parametrize("identifiers", [True, False])
    @pytest.mark.parametrize("revoked", [True, False])
    def test_below_a_record_that_names_the_leaf(self, identifiers: bool, revoked: bool) -> None:
        """The list of its issuer tells of it, wherever that stands in the chain."""
        leaf, *above = self.chain(1, 9, identifiers=identifiers)
        issuer = Authority(above[-1], key_of_type("ecdsa-p256", 338), (), NOW)
        crl = issuer.crl([leaf] if revoked else []).public_bytes(Encoding.DER)
        record = TlsaRecord(3, 1, 1, sha256(public_key_info(leaf)).digest())
        lists = RevocationLists.from_bytes(crl)
        policy = CertificatePolicy(tlsa=(record,), crls=lists)
        told = explain([leaf, *above], "localhost", ROOT.trust, NOW, policy=policy)
        assert told.accepted is not revoked
        assert [each.fault for each in told.broken] == [Fault.CERTIFICATE_REVOKED] * revoked

    def test_the_bound_is_named(self) -> None:
        """Of many certificates with the right key, each might be the good one."""
        key = key_of_type("ecdsa-p256", 340)
        expired: dict[str, Any] = {"not_before": NOW - 9 * DAY, "not_after": NOW - DAY}
        above = [
            authority_certificate(
                "one of many", key.public_key(), ROOT.certificate.subject, ROOT.key, NOW, **expired
            )
            for _ in range(4)
        ]
        names = ["localhost", *long_hosts(2_000)]
        chain = [Authority(above[0], key, (), NOW).issue(Leaf(names), KEY), *above]
        fault, told = both(chain, "localhost")
        assert fault is Fault.CERTIFICATE_UNTRUSTED
        with pytest.raises(CertificateError) as caught:
            verify_server_chain(der_of(*chain), ROOT.trust, "localhost", NOW)
        for text in (told.broken[0].evidence, caught.value.detail):
            assert "4 issuers of one name, CN=one of many, and 2 of them were tried" in text
            assert f"no more than {MOST_SIGNED} bytes" in text
        # What is wrong with the leaf itself holds whatever its issuers are.
        leaf = Authority(above[0], key, (), NOW).issue(Leaf(names, not_after=NOW - DAY / 2), KEY)
        assert both([leaf, *above], "localhost")[0] is Fault.CERTIFICATE_EXPIRED


def test_constraints_that_are_held_do_not_hide_others() -> None:
    """Marked as critical or not: the verifier goes by both."""
    for constraints in (
        x509.NameConstraints([x509.DNSName("example")], None),
        critical(x509.NameConstraints([x509.DNSName("example")], None)),
    ):
        middle = ROOT.intermediate(extensions=[constraints])
        chain = [middle.issue(Leaf(["a.example", "a.test"]), KEY), middle.certificate]
        assert both(chain, "a.example")[0] is Fault.BAD_CERTIFICATE
