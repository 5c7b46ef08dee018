"""The explanation agrees with the decision: on a good chain with any mixture of changes to it.

Most changes are faults, some are not, and some are only in one profile. The verdict is always the
decision's; here the rules in words come to it by themselves, and a test that fails tells which
changes made them differ. On chains that are drawn at random, they need not, as the words have
bounds; but what is told never contradicts the verdict.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from hashlib import sha256
from ipaddress import IPv4Address, ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.certificates.drawn import NOW as DRAWN_NOW
from tests.certificates.drawn import Drawn, chains
from tests.certificates.hostile import hostile_certificates
from tests.pki import (
    DAY,
    MUST_STAPLE,
    Authority,
    Leaf,
    Pki,
    authority_certificate,
    critical,
    der_of,
    key_of_type,
    key_usage,
    leaf_builder,
    name_constraints,
    named,
    sign,
    signed_with_sha1,
)

from handclasp.certificates import Explanation, explain
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.der import public_key_info
from handclasp.certificates.describe import spki_pin
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.rules import Finding
from handclasp.certificates.rules.listing import RULES
from handclasp.certificates.transparency import CtLog
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import (
    VerifiedPeer,
    verify_client_chain,
    verify_server_chain,
)
from handclasp.errors import CertificateError

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
UNREADABLE = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.31"), b"\x05\x00")
SLOW = rsa.RSAPublicNumbers(65537, (1 << 9000) | 1).public_key()


Arrangement = Callable[[list[x509.Certificate]], list[x509.Certificate]]


@cache
def root(name: str = "test root", **changes: Any) -> Pki:
    return Pki(name, **changes)


NOW = root().now


@dataclass
class Scenario:
    """A good chain of a leaf, two intermediates and a root, until a change is made to it."""

    leaf: dict[str, Any] = field(default_factory=dict[str, Any])
    leaf_extensions: list[Any] = field(default_factory=list[Any])
    leaf_key: Any = "ecdsa-p256"
    upper: dict[str, Any] = field(default_factory=dict[str, Any])
    lower: dict[str, Any] = field(default_factory=dict[str, Any])
    root: Callable[[], Pki] = root
    key_type: str = "ecdsa-p256"
    arrange: Arrangement = list
    trust: Arrangement = lambda path: path[-1:]
    name: str | None = "localhost"
    now: datetime = NOW
    policy: dict[str, Any] = field(default_factory=dict[str, Any])
    crls: str = ""
    staple: str = ""
    tlsa: int | None = None
    tlsa_names_key: bool = False
    without_list: str = "refuse"
    pin: int | None = None
    sct_list: bytes | None = None
    resign: Callable[[x509.Certificate, Authority], x509.Certificate] | None = None

    def agrees(self) -> bool:
        """Verify it in both ways; return whether both accept it."""
        return self.explained().accepted

    def explained(self) -> Explanation:
        """Verify it in both ways, which must agree, and return the explanation."""
        for changes in (self.upper, self.lower):
            if not changes.get("is_authority", True):
                changes.pop("path_length", None)  # No certificate can say both.
        upper = self.root().intermediate("upper", self.key_type, **self.upper)
        lower = upper.intermediate("lower", self.key_type, **self.lower)
        key = self.leaf_key
        public_key = key_of_type(key).public_key() if isinstance(key, str) else key
        leaf = lower.issue(Leaf(**self.leaf, extensions=self.leaf_extensions), public_key)
        if self.resign is not None:
            leaf = self.resign(leaf, lower)
        path = [leaf, lower.certificate, upper.certificate, self.root().certificate]
        sent = der_of(*self.arrange(path[:-1]))
        trust = TrustStore.from_certificates(self.trust(path))
        policy = CertificatePolicy(**self.policy, **self._policy(path, (lower, upper, self.root())))
        response = lower.ocsp_response(leaf, self.staple) if self.staple else None  # type: ignore[arg-type]
        error = self._decided(sent, trust, policy, response)
        explained = explain(
            sent,
            self.name,
            trust,
            self.now,
            policy=policy,
            ocsp_response=response,
            sct_list=self.sct_list,
        )
        assert explained.accepted is (error is None), (error, explained.broken)
        assert not by_verdict_alone(explained)
        if error is None:
            assert explained.broken == ()
        else:
            assert explained.broken[0].fault is error.fault
            assert error.detail.startswith(explained.broken[0].evidence)
        return explained

    def _policy(
        self, path: Sequence[x509.Certificate], issuers: Sequence[Authority]
    ) -> dict[str, Any]:
        policy: dict[str, Any] = {}
        if self.crls:
            revoked = {"leaf": path[:1], "lower": path[1:2]}.get(self.crls, [])
            lists = [issuer.crl(revoked) for issuer in issuers[self.crls == "missing" :]]
            blobs = [each.public_bytes(Encoding.DER) for each in lists]
            rule: Any = self.without_list
            policy["crls"] = RevocationLists.from_bytes(*blobs, without_list=rule)
        if self.tlsa is not None:
            place = self.tlsa
            named = path[min(place, 3)] if place >= 0 else root().certificate
            usage = 2 if place else 3
            if self.tlsa_names_key:
                digest = sha256(public_key_info(named)).digest()
                policy["tlsa"] = [TlsaRecord(usage, 1, 1, digest)]
            else:
                policy["tlsa"] = [TlsaRecord(usage, 0, 0, der_of(named)[0])]
        if self.pin is not None:
            keys = [each.public_key() for each in path]
            policy["pins"] = [spki_pin(keys[self.pin] if self.pin >= 0 else SLOW)]
        return policy

    def _decided(
        self,
        sent: Sequence[bytes],
        trust: TrustStore,
        policy: CertificatePolicy,
        response: bytes | None,
    ) -> CertificateError | None:
        try:
            if self.name is None:
                verify_client_chain(sent, trust, self.now, policy=policy, ocsp_response=response)
            else:
                verify_server_chain(
                    sent,
                    trust,
                    self.name,
                    self.now,
                    policy=policy,
                    ocsp_response=response,
                    sct_list=self.sct_list,
                )
        except CertificateError as error:
            return error
        return None


def by_verdict_alone(explained: Explanation) -> list[Finding]:
    """What is told only because the decision says so, and no rule does."""
    told = [*explained.leaf, *explained.policy]
    told += explained.paths[0].findings if explained.paths else ()
    return [
        each
        for each in told
        if each.rule == "decision" or each.evidence.endswith("; the decision accepts it")
    ]


def setting(attribute: str, value: Any) -> Callable[[Scenario], None]:
    return lambda scenario: setattr(scenario, attribute, value)


def arranged(change: Arrangement) -> Callable[[Scenario], None]:
    return setting("arrange", change)


def trusting(change: Arrangement) -> Callable[[Scenario], None]:
    return setting("trust", change)


def entry(attribute: str, **values: Any) -> Callable[[Scenario], None]:
    return lambda scenario: getattr(scenario, attribute).update(values)


def extension(value: Any) -> Callable[[Scenario], None]:
    """One more for the leaf, in the place of another of its kind."""

    def change(scenario: Scenario) -> None:
        others = [each for each in scenario.leaf_extensions if each.oid != value.oid]
        scenario.leaf_extensions = [*others, value]

    return change


def both(*changes: Callable[[Scenario], None]) -> Callable[[Scenario], None]:
    def change(scenario: Scenario) -> None:
        for each in changes:
            each(scenario)

    return change


def crossed(path: list[x509.Certificate]) -> list[x509.Certificate]:
    """The lower authority has a second certificate, by a stranger, that is seen first."""
    stranger = root("stranger")
    key = path[1].public_key()
    other = authority_certificate("lower", key, stranger.certificate.subject, stranger.key, NOW)
    return [path[0], other, *path[1:]]


WITHOUT_LISTS = critical(key_usage(key_cert_sign=True))
"""The keyUsage of an authority that may not sign lists."""


def many_addressed() -> x509.Certificate:
    """A stranger's certificate with 6,000 addresses."""
    key = key_of_type("ecdsa-p256", 41)
    leaf = Leaf(names=[str(IPv4Address(number)) for number in range(6_000)])
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "many")])
    return sign(leaf_builder(leaf, key.public_key(), subject, NOW), key)


def long_named() -> x509.Certificate:
    """A stranger's certificate whose subject has 3,000 parts."""
    part = x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "x")
    key = key_of_type("ecdsa-p256", 41)
    leaf = Leaf(names=("localhost",))
    builder = leaf_builder(leaf, key.public_key(), x509.Name([part] * 3_000), NOW)
    return sign(builder, key)


def with_forged(place: int) -> Arrangement:
    """A stranger's certificate of an authority's name and key, which may not sign lists."""

    def arrange(path: list[x509.Certificate]) -> list[x509.Certificate]:
        name = ("", "lower", "upper")[place]
        stranger, key = root("stranger"), path[place].public_key()
        forged = authority_certificate(
            name,
            key,
            path[place].issuer,
            stranger.key,
            NOW,
            with_key_usage=False,
            extensions=[WITHOUT_LISTS],
        )
        return [*path[:place], forged, *path[place + 1 :]]

    return arrange


def expired_twin(path: list[x509.Certificate]) -> list[x509.Certificate]:
    """The upper authority has a second certificate, which expired, and is seen first."""
    twin = authority_certificate(
        "upper",
        path[2].public_key(),
        root().certificate.subject,
        root().key,
        NOW,
        not_after=NOW - DAY,
    )
    return [*path[:2], twin, path[2]]


def with_pss(salt: int) -> Callable[[x509.Certificate, Authority], x509.Certificate]:
    def resigned(leaf: x509.Certificate, issuer: Authority) -> x509.Certificate:
        try:
            extensions = list(leaf.extensions)
        except ValueError:
            return leaf
        if not isinstance(issuer.key, rsa.RSAPrivateKey):
            return leaf
        builder = x509.CertificateBuilder(
            leaf.issuer,
            leaf.subject,
            leaf.public_key(),
            leaf.serial_number,
            leaf.not_valid_before_utc,
            leaf.not_valid_after_utc,
            extensions,
        )
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
        return builder.sign(issuer.key, hashes.SHA256(), rsa_padding=scheme)

    return resigned


def with_sha1(leaf: x509.Certificate, issuer: Authority) -> x509.Certificate:
    is_rsa = isinstance(issuer.key, rsa.RSAPrivateKey)
    return signed_with_sha1(leaf, issuer.key) if is_rsa else leaf


def forged(leaf: x509.Certificate, _: Authority) -> x509.Certificate:
    (der,) = der_of(leaf)
    return x509.load_der_x509_certificate(der[:-1] + bytes([der[-1] ^ 1]))


SAN_KINDS = {
    "mail": x509.RFC822Name("a@example.com"),
    "uri": x509.UniformResourceIdentifier("http://a.example/"),
    "directory": x509.DirectoryName(named("somebody")),
}
TREES = {
    "localhost": x509.DNSName("localhost"),
    "com": x509.DNSName("example.com"),
    "malformed": x509.DNSName(".example.com"),
    "loopback": x509.IPAddress(ip_network("127.0.0.0/8")),
    "mail": x509.RFC822Name("example.com"),
    "host of mail": x509.RFC822Name(".example.com"),
    "uri": x509.UniformResourceIdentifier("a.example"),
    "directory": x509.DirectoryName(named("somebody")),
}
ACCESS = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://o/")
        )
    ]
)


def changes_of(who: str) -> dict[str, Callable[[Scenario], None]]:
    """Those of one of the two intermediate authorities."""
    return {
        f"{who} not yet valid": entry(who, not_before=NOW + DAY / 2),
        f"{who} expires": entry(who, not_after=NOW + DAY),
        f"{who} without usage": entry(who, with_key_usage=False),
        f"{who} no authority": entry(who, is_authority=False),
        f"{who} of length 0": entry(who, path_length=0),
        **{
            f"{who} {name}": entry(who, extensions=[value])
            for name, value in {
                "unknown": UNKNOWN,
                "unknown critical": critical(UNKNOWN),
                "unreadable": UNREADABLE,
                "for servers": x509.ExtendedKeyUsage([SERVER]),
                "for clients": x509.ExtendedKeyUsage([CLIENT]),
                "for anything": x509.ExtendedKeyUsage([ANY]),
                "for servers critical": critical(x509.ExtendedKeyUsage([SERVER])),
                "policy constraints": x509.PolicyConstraints(0, None),
                "policy constraints critical": critical(x509.PolicyConstraints(0, None)),
                "access critical": critical(ACCESS),
                "own name": x509.SubjectAlternativeName([x509.DNSName("ca.example")]),
            }.items()
        },
        **{
            f"{who} {side} {name}{mark}": entry(who, extensions=[made])
            for name, tree in TREES.items()
            for side, value in (
                ("permits", x509.NameConstraints([tree], None)),
                ("excludes", x509.NameConstraints(None, [tree])),
            )
            for mark, made in (("", value), (" critical", critical(value)))
        },
    }


CHANGES: dict[str, Callable[[Scenario], None]] = {
    **changes_of("upper"),
    **changes_of("lower"),
    "profile private": entry("policy", profile="private"),
    "one intermediate allowed": entry("policy", max_intermediates=1),
    "two intermediates allowed": entry("policy", max_intermediates=2),
    "a day later": setting("now", NOW + 1.5 * DAY),
    "a client": setting("name", None),
    "an address": setting("name", "127.0.0.1"),
    "name below .com": setting("name", "example.com"),
    "name below .co.uk": setting("name", "a.co.uk"),
    "www name": setting("name", "www.example.com"),
    "odd name": setting("name", "-a.test"),
    "underscore": setting("name", "a_b.test"),
    **{
        f"names {' '.join(map(str, names))}": entry("leaf", names=names)
        for names in (
            (),
            ("other.example",),
            ("*.com", "*.co.uk"),
            ("*.example.com", "localhost"),
            ("localhost", "127.0.0.1", "example.com"),
            ("-a.test", "a_b.test", "localhost"),
        )
    },
    **{
        f"also {kind}": entry("leaf", names=("localhost", "127.0.0.1", name))
        for kind, name in SAN_KINDS.items()
    },
    **{f"common name {name}": entry("leaf", common_name=name) for name in ("Ada", "a.example")},
    "for clients": entry("leaf", purpose=CLIENT),
    "for both": entry("leaf", purpose=(SERVER, CLIENT)),
    "for anything": entry("leaf", purpose=ANY),
    "for nothing said": entry("leaf", purpose=None),
    "leaf not yet valid": entry("leaf", not_before=NOW + DAY / 2),
    "leaf expires": entry("leaf", not_after=NOW + DAY),
    "leaf is authority": entry("leaf", is_authority=True),
    "leaf without signatures": entry("leaf", digital_signature=False),
    "leaf without usage": entry("leaf", digital_signature=None),
    "leaf without constraints": entry("leaf", basic_constraints=False),
    "leaf without issuer's key": entry("leaf", authority_identifier=False),
    "serial of 20 bytes": entry("leaf", serial_number=(1 << 159) - 1),
    "leaf unknown": extension(UNKNOWN),
    "leaf unknown critical": extension(critical(UNKNOWN)),
    **{
        f"for {name} critical": both(
            entry("leaf", purpose=None), extension(critical(x509.ExtendedKeyUsage([purpose])))
        )
        for name, purpose in (("servers", SERVER), ("clients", CLIENT), ("anything", ANY))
    },
    **{
        f"names critical{name}": both(
            entry("leaf", names=(), **subject),
            extension(critical(x509.SubjectAlternativeName([x509.DNSName("localhost")]))),
        )
        for name, subject in (("", {}), (" with a subject", {"common_name": "localhost"}))
    },
    **{
        f"{authority} for {name} critical": change
        for name, purpose in (("servers", SERVER), ("clients", CLIENT), ("anything", ANY))
        for marked in (critical(x509.ExtendedKeyUsage([purpose])),)
        for authority, change in (
            ("lower", entry("lower", extensions=[marked])),
            ("root", setting("root", partial(root, "root for one use", extensions=(marked,)))),
        )
    },
    "leaf must staple": extension(MUST_STAPLE),
    "leaf must staple critical": extension(critical(MUST_STAPLE)),
    "leaf unreadable": extension(UNREADABLE),
    "leaf access": extension(ACCESS),
    "leaf access critical": extension(critical(ACCESS)),
    "leaf subject key critical": extension(critical(x509.SubjectKeyIdentifier(b"x"))),
    "leaf with name constraints": extension(name_constraints(["localhost"])),
    **{
        f"leaf key {kind}": setting("leaf_key", kind)
        for kind in ("rsa-2048", "rsa-1024", "ed25519", "secp256k1", "mldsa44")
    },
    "leaf key slow": setting("leaf_key", SLOW),
    **{
        f"authorities {kind}": setting("key_type", kind)
        for kind in ("rsa-2048", "rsa-1024", "rsa-exponent-3", "ed25519", "secp256k1", "mldsa65")
    },
    "pss 32": both(setting("key_type", "rsa-2048"), setting("resign", with_pss(32))),
    "pss 20": both(setting("key_type", "rsa-2048"), setting("resign", with_pss(20))),
    "sha1": both(setting("key_type", "rsa-2048"), setting("resign", with_sha1)),
    "forged": setting("resign", forged),
    "root without usage": setting("root", lambda: root("lax root", with_key_usage=False)),
    "root of length 0": setting("root", lambda: root("short root", path_length=0)),
    "root of length 1": setting("root", lambda: root("middle root", path_length=1)),
    "root expires": setting("root", lambda: root("old root", not_after=NOW + DAY)),
    "root rsa": setting("root", lambda: root("rsa root", key_type="rsa-2048")),
    "nothing sent": arranged(lambda path: path[:1]),
    "lower missing": arranged(lambda path: [path[0], path[2]]),
    "turned": arranged(lambda path: [path[0], path[2], path[1]]),
    "strangers too": arranged(
        lambda path: [*path, root("stranger").certificate, root().certificate]
    ),
    "slow stranger": arranged(lambda path: [*path, root().issue(Leaf(), SLOW)]),
    "crossed": arranged(crossed),
    "expired twin": arranged(expired_twin),
    "lower forged": arranged(with_forged(1)),
    "upper forged": arranged(with_forged(2)),
    "lower without lists": entry("lower", with_key_usage=False, extensions=[WITHOUT_LISTS]),
    "twice": arranged(lambda path: [*path, *path]),
    "leaf of a long name": arranged(lambda path: [long_named(), *path[1:]]),
    "stranger of a long name": arranged(lambda path: [*path, long_named()]),
    "leaf of many addresses": arranged(lambda path: [many_addressed(), *path[1:]]),
    "stranger of many addresses": arranged(lambda path: [*path, many_addressed()]),
    "leaf trusted": trusting(lambda path: path[:1]),
    "lower trusted": trusting(lambda path: path[1:2]),
    "all trusted": trusting(lambda path: path),
    "stranger trusted": trusting(lambda path: [root("stranger").certificate]),
    "stranger trusted too": trusting(lambda path: [path[-1], root("stranger").certificate]),
    "namesake trusted": trusting(lambda path: [Pki(now=NOW).certificate]),
    "staple good": setting("staple", "good"),
    "staple revoked": setting("staple", "revoked"),
    "staple required": entry("policy", stapled_ocsp="require"),
    "staple ignored": entry("policy", stapled_ocsp="ignore"),
    **{f"crls {kind}": setting("crls", kind) for kind in ("none", "leaf", "lower", "missing")},
    "without list accepted": setting("without_list", "accept"),
    "tlsa by key": setting("tlsa_names_key", True),
    **{f"tlsa {place}": setting("tlsa", place) for place in (-1, 0, 1, 2, 3)},
    **{f"pin {place}": setting("pin", place) for place in (-1, 0, 2, 3)},
    "timestamps": entry(
        "policy",
        ct_logs=[
            CtLog.from_public_key(
                key_of_type("ecdsa-p256", 40)
                .public_key()
                .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            )
        ],
    ),
    "broken list of timestamps": setting("sct_list", b"\x00"),
}


def scenario_with(*changes: str) -> Scenario:
    scenario = Scenario()
    for change in changes:
        CHANGES[change](scenario)
    return scenario


def test_the_chain_without_a_change_is_good() -> None:
    assert scenario_with().agrees()


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_alone(change: str) -> None:
    scenario_with(change).agrees()


@pytest.mark.parametrize(
    "changes",
    [
        # A wildcard right above a top-level domain, which the verifier takes.
        ("names *.com *.co.uk", "name below .com"),
        ("names *.com *.co.uk", "name below .com", "profile private"),
        # Extensions that the verifier does not read.
        ("leaf unreadable",),
        ("leaf unreadable", "profile private"),
        # An issuer that would not have a list speak of what it issued.
        ("lower without lists", "crls leaf", "without list accepted"),
        ("lower forged", "tlsa 0", "crls leaf", "without list accepted"),
        ("lower forged", "tlsa 0", "tlsa by key", "crls leaf", "without list accepted"),
        ("lower forged", "tlsa 1", "tlsa by key", "crls leaf", "without list accepted"),
        ("upper forged", "tlsa 2", "tlsa by key", "crls lower", "without list accepted"),
    ],
)
def test_what_both_refuse(changes: tuple[str, ...]) -> None:
    assert not scenario_with(*changes).agrees()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_every_rule_of_the_list_is_broken_by_some_chain() -> None:
    """So that a new rule comes with a chain on which the two are held equal."""
    mixtures = [
        *[(change,) for change in CHANGES],
        ("names *.com *.co.uk", "name below .co.uk"),
        ("tlsa -1", "tlsa by key"),
    ]
    explained = [scenario_with(*changes).explained() for changes in mixtures]
    broken = {each.rule for told in explained for each in told.broken}
    for name in ("version 1 with extensions", "serial negative", "both names empty"):
        # No authority of these tests issues such a thing.
        told = explain([hostile_certificates()[name]], "localhost", root().trust, NOW)
        broken |= {each.rule for each in told.leaf if each.held is False}
    assert broken >= {rule.name for rule in RULES.every}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(sorted(CHANGES)), min_size=2, max_size=4))
@example(["upper own name", "upper permits localhost"])
@example(["crossed", "stranger trusted too"])
@example(["for nothing said", "upper unreadable"])
def test_any_mixture_of_changes(changes: list[str]) -> None:
    scenario_with(*changes).agrees()


def decided(drawn: Drawn) -> VerifiedPeer | CertificateError:
    """The decision on a chain that was drawn."""
    sent, policy = der_of(*drawn.sent), drawn.policy
    try:
        if drawn.name is None:
            return verify_client_chain(sent, drawn.trust, DRAWN_NOW, policy=policy)
        return verify_server_chain(sent, drawn.trust, drawn.name, DRAWN_NOW, policy=policy)
    except CertificateError as error:
        return error


@settings(max_examples=300, deadline=None)
@given(chains())
def test_any_chain(drawn: Drawn) -> None:
    decision = decided(drawn)
    told = explain(drawn.sent, drawn.name, drawn.trust, DRAWN_NOW, policy=drawn.policy)
    as_json = json.loads(json.dumps(told.to_json()))
    if isinstance(decision, CertificateError):
        assert not told.accepted
        assert told.broken
        assert told.broken[0].fault is decision.fault
        assert as_json["fault"] == decision.fault_name
    else:
        assert told.accepted, told.broken
        assert told.broken == ()
        assert as_json["fault"] is None
        assert told.paths[0].held
        assert der_of(*told.paths[0].certificates) == decision.path_der
    assert as_json["accepted"] is told.accepted
