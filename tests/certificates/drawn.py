"""Chains that are drawn at random, from all that decides about them: most of them are refused.

Each authority between root and leaf may have several certificates: of other keys, of other dates,
for other purposes, signed by somebody else, and with its name in another kind of string.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.x509.name import _ASN1Type  # pyright: ignore[reportPrivateUsage]
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import strategies as st
from tests.pki import DAY, critical, general_names, key_of_type, key_usage, sign

from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.trust import TrustStore

NOW = datetime.now(UTC).replace(microsecond=0)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Drawn:
    """A chain as it was sent, leaf first, and what to judge it by."""

    sent: list[x509.Certificate]
    trust: TrustStore
    name: str | None
    policy: CertificatePolicy


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The usual value in most draws, so that some chains are good."""
    return st.sampled_from([usual] * (12 * len(others)) + list(others))


def key(number: int) -> Any:
    return key_of_type("ecdsa-p256", 200 + number)


def spelled(text: str, kind: str) -> x509.Name:
    """A name in one of several encodings; "long" is longer than what words are made of."""
    asn1 = _ASN1Type.PrintableString if kind == "printable" else _ASN1Type.UTF8String
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, text, asn1)]
    if kind == "long":
        unit = NameOID.ORGANIZATIONAL_UNIT_NAME
        parts += [x509.NameAttribute(unit, f"{number:060}") for number in range(20)]
    return x509.Name(parts)


KINDS = mostly("utf8", "printable", "long")
DATES = mostly((-2 * DAY, 30 * DAY), (-9 * DAY, -DAY), (DAY, 9 * DAY))
TREES = st.sampled_from(["localhost", "example.com", "a.example.com", ".example.com", "a_b.test"])
MANY = [f"host-{number}.example.com" for number in range(70)]
SANS = st.one_of(
    st.just(["localhost", "a.example.com", "127.0.0.1"]),
    st.just(["localhost", *MANY]),
    st.lists(
        st.sampled_from(
            [
                "localhost.",
                "a.example.com",
                "*.example.com",
                "*.com",
                "LOCALHOST",
                "-a.test",
                "a_b.test",
                "",
                "127.0.0.1",
                x509.RFC822Name("a@example.com"),
                x509.UniformResourceIdentifier("http://a.example.com/"),
            ]
        ),
        max_size=3,
    ).map(lambda others: ["localhost", *others]),
    st.lists(st.sampled_from(["localhost.", "other.example"]), max_size=1),
)
CONSTRAINTS = st.builds(
    lambda trees, permitted, many: x509.NameConstraints(
        [x509.DNSName(tree) for tree in trees] if permitted else None,
        None
        if permitted
        else [x509.DNSName(tree) for tree in [*([f"t{n}.test" for n in range(70)] * many), *trees]],
    ),
    st.lists(TREES, min_size=1, max_size=3),
    st.booleans(),
    st.booleans(),
)
EXCLUSIONS = st.lists(TREES, min_size=1, max_size=3).map(
    lambda trees: x509.NameConstraints(
        None, [x509.DNSName(tree) for tree in [*[f"t{n}.test" for n in range(70)], *trees]]
    )
)
PURPOSES = mostly(
    (SERVER, CLIENT), (SERVER,), (CLIENT,), (ANY,), (x509.ObjectIdentifier("1.2.3.4"),)
)


def certificate(
    draw: Draw, subject: x509.Name, own: Any, issuer: x509.Name, signer: Any, named: Any
) -> x509.CertificateBuilder:
    begin, end = draw(DATES)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(own.public_key())
        .serial_number(draw(st.integers(1, 2**64)))
        .not_valid_before(NOW + begin)
        .not_valid_after(NOW + end)
    )
    if draw(mostly(True, False)):
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(named.public_key())
        builder = builder.add_extension(identifier, critical=False)
    return builder


def authority(
    draw: Draw,
    subject: x509.Name,
    own: Any,
    issuer: x509.Name,
    signer: Any,
    crowded: bool = False,
) -> x509.Certificate:
    signed_by = draw(mostly(signer, key(99)))
    builder = certificate(draw, subject, own, issuer, signed_by, signer)
    is_authority = draw(mostly(True, False))
    length = draw(mostly(None, 0, 1)) if is_authority else None
    builder = builder.add_extension(x509.BasicConstraints(is_authority, length), critical=True)
    if draw(mostly(True, False)):
        usage = key_usage(key_cert_sign=draw(mostly(True, False)), crl_sign=True)
        builder = builder.add_extension(usage, critical=True)
    if draw(mostly(True, False)):
        identifier = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if draw(mostly(False, True)):
        builder = builder.add_extension(x509.ExtendedKeyUsage(draw(PURPOSES)), critical=False)
    if draw(st.booleans() if crowded else mostly(False, True)):
        constraints = draw(EXCLUSIONS if crowded else CONSTRAINTS)
        builder = builder.add_extension(constraints, critical=draw(st.booleans()))
    if draw(mostly(False, True)):
        names = x509.SubjectAlternativeName([x509.DNSName(draw(TREES))])
        builder = builder.add_extension(names, critical=False)
    return sign(builder, signed_by)


def leaf(draw: Draw, issuer: x509.Name, signer: Any, crowded: bool) -> x509.Certificate:
    subject = draw(mostly(x509.Name([]), spelled("localhost", "utf8"), spelled("a", "long")))
    signed_by = draw(mostly(signer, key(99)))
    builder = certificate(draw, subject, key(0), issuer, signed_by, signer)
    names = ["localhost", "a.example.com", *MANY] if crowded else draw(SANS)
    if names:
        alternatives = x509.SubjectAlternativeName(general_names(names))
        is_critical = draw(mostly(not subject.rdns, bool(subject.rdns)))
        builder = builder.add_extension(alternatives, critical=is_critical)
    if draw(mostly(True, False)):
        builder = builder.add_extension(x509.ExtendedKeyUsage(draw(PURPOSES)), critical=False)
    usage = draw(mostly("signs", "none", "other"))
    if usage != "none":
        value = critical(key_usage(digital_signature=usage == "signs", key_encipherment=True))
        builder = builder.add_extension(value.value, critical=True)
    if draw(mostly(False, True)):
        constraints = x509.BasicConstraints(draw(mostly(False, True)), None)
        builder = builder.add_extension(constraints, critical=True)
    return sign(builder, signed_by)


@st.composite
def chains(draw: Draw) -> Drawn:
    # More names and constraints than the words compare, though not more than the decision.
    crowded = draw(st.sampled_from([False, False, True]))
    above, signer = spelled("root", draw(KINDS)), key(1)
    roots = [
        authority(draw, above, signer, above, signer, crowded) for _ in range(draw(mostly(1, 2)))
    ]
    others: list[x509.Certificate] = []
    for level in range(draw(st.integers(0, 3))):
        # An authority that certifies itself anew keeps its name.
        text = draw(mostly(f"level {level}", "root", "level 0"))
        subject, own = spelled(text, draw(KINDS)), key(10 * (level + 1))
        count = draw(mostly(1, 2, 3))
        certificates = [authority(draw, subject, own, above, signer, crowded) for _ in range(count)]
        for number in range(draw(mostly(0, 1, 2))):
            twin = key(10 * (level + 1) + number + 1)
            certificates.append(authority(draw, subject, twin, above, signer))
        others += certificates
        above, signer = subject, own
    if draw(mostly(False, True)):
        text = str(above.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        above = spelled(text, draw(KINDS))
    end = leaf(draw, above, signer, crowded)
    others = list(draw(st.permutations(others)))
    if others and draw(mostly(False, True)):
        others.pop()
    anchors = draw(mostly(roots, [*roots, *others[:1]], [end], [namesake(draw)]))
    policy = CertificatePolicy(
        profile=draw(st.sampled_from(["web", "private"])),
        max_intermediates=draw(mostly(8, 1)),
    )
    name = draw(st.sampled_from(["localhost", "localhost", "a.example.com", "127.0.0.1", None]))
    return Drawn([end, *others], TrustStore.from_certificates(anchors), name, policy)


def namesake(draw: Draw) -> x509.Certificate:
    """Another root of the same name."""
    return authority(draw, spelled("root", "utf8"), key(98), spelled("root", "utf8"), key(98))
