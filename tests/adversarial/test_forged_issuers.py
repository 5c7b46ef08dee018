"""Issuers of a peer's own making: around a key that fits, a peer can write what it likes.

A TLSA record of usage 3 excuses the path, so that an issuer is known by its signature on the leaf
alone; one of usage 2 and selector 1 names an authority by its key alone. And of an authority that
has several certificates, as when others certified it too, the peer picks the one that is looked at.
Whatever stands in such a certificate, a list that has the leaf on it counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.end_to_end.pair import Pair
from tests.pki import (
    Authority,
    Leaf,
    Pki,
    authority_certificate,
    critical,
    der_of,
    key_of_type,
    key_usage,
)

from handclasp import CertificatePolicy, ClientConfig, Credentials, Fault, ServerConfig
from handclasp.certificates import explain, revocation_list
from handclasp.certificates.credentials import LocalSigner
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.signature_bounds import signature_problem
from handclasp.certificates.trust import TrustStore

STRANGER = key_of_type("ecdsa-p256", number=70)
UNREADABLE = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.31"), b"\x05\x00")


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="module")
def leaf(pki: Pki) -> x509.Certificate:
    return pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())


def forged(pki: Pki, key: Any = None, *extensions: Any, signer: Any = STRANGER) -> x509.Certificate:
    """A certificate of the authority's name that somebody else made; without cRLSign."""
    usage = critical(key_usage(key_cert_sign=True))
    return authority_certificate(
        "test root",
        key or pki.key.public_key(),
        pki.certificate.subject,
        signer,
        pki.now,
        with_key_usage=False,
        extensions=[usage, *extensions],
    )


def another_key(leaf: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """A key that is not the issuer's, although the issuer's signature on the leaf fits it.

    An ECDSA signature on P-256 is good for two keys, (s R - e G) / r with either point R of the
    abscissa r (SEC 1 section 4.1.6).
    """
    r, s = decode_dss_signature(leaf.signature)
    e = int.from_bytes(hashlib.sha256(leaf.tbs_certificate_bytes).digest(), "big")
    root = pow((r**3 - 3 * r + _B) % _P, (_P + 1) // 4, _P)
    for y in (root, _P - root):
        x_of_key, y_of_key = _sum(
            _times(s * pow(r, -1, _N) % _N, (r, y)), _times(-e * pow(r, -1, _N) % _N, _G)
        )
        key = ec.EllipticCurvePublicNumbers(x_of_key, y_of_key, ec.SECP256R1()).public_key()
        key.verify(leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(SHA256()))
        if _authority_key_identifier(leaf) != x509.SubjectKeyIdentifier.from_public_key(key).digest:
            return key
    raise AssertionError("both keys are the issuer's")


ISSUERS: dict[str, Callable[[Pki, x509.Certificate], Sequence[x509.Certificate]]] = {
    "none": lambda pki, _: [],
    "true": lambda pki, _: [pki.certificate],
    "without cRLSign": lambda pki, _: [forged(pki)],
    "unreadable": lambda pki, _: [forged(pki, None, UNREADABLE)],
    "of another key": lambda pki, leaf: [forged(pki, another_key(leaf))],
}


def refusal(
    pki: Pki,
    chain: Sequence[x509.Certificate],
    policy: CertificatePolicy,
    version: str = "TLSv1.3",
    trust: TrustStore | None = None,
) -> Any:
    """What a client says to a server with these certificates, in a handshake and explained."""
    trust = trust or Pki("another").trust
    credentials = Credentials.from_signer(chain, LocalSigner(key_of_type("ecdsa-p256")))
    client = ClientConfig(trust=trust, policy=policy, versions=[version])
    pair = Pair(client, ServerConfig(credentials=credentials)).run()
    told = explain(der_of(*chain), "localhost", trust, pki.now, policy=policy)
    assert told.accepted == pair.established
    fault = pair.client.error.fault if pair.client.error is not None else None
    assert [each.fault for each in told.broken[:1]] == ([fault] if fault else [])
    return fault


def lists(pki: Authority, *revoked: x509.Certificate, rule: Any) -> RevocationLists:
    blob = pki.crl(revoked).public_bytes(Encoding.DER)
    return RevocationLists.from_bytes(blob, without_list=rule)


def key_record(usage: int, certificate: x509.Certificate) -> TlsaRecord:
    info = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return TlsaRecord(usage, 1, 1, hashlib.sha256(info).digest())


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
@pytest.mark.parametrize("rule", ["accept", "refuse"])
@pytest.mark.parametrize("issuer", ISSUERS)
def test_a_revoked_leaf_that_a_record_names(
    pki: Pki, leaf: x509.Certificate, issuer: str, rule: str, version: str
) -> None:
    (der,) = der_of(leaf)
    chain = [leaf, *ISSUERS[issuer](pki, leaf)]
    for record in (
        TlsaRecord(3, 0, 0, der),
        TlsaRecord(3, 0, 1, hashlib.sha256(der).digest()),
        key_record(3, leaf),
    ):
        policy = CertificatePolicy(tlsa=[record], crls=lists(pki, leaf, rule=rule))
        assert refusal(pki, chain, policy, version) is Fault.CERTIFICATE_REVOKED


@pytest.mark.parametrize("rule", ["accept", "refuse"])
@pytest.mark.parametrize("issuer", ["true", "without cRLSign"])
def test_a_revoked_leaf_below_an_authority_whose_key_a_record_names(
    pki: Pki, leaf: x509.Certificate, issuer: str, rule: str
) -> None:
    policy = CertificatePolicy(
        tlsa=[key_record(2, pki.certificate)], crls=lists(pki, leaf, rule=rule)
    )
    chain = [leaf, *ISSUERS[issuer](pki, leaf)]
    assert refusal(pki, chain, policy) is Fault.CERTIFICATE_REVOKED


@pytest.mark.parametrize("issuer", ["none", "without cRLSign", "of another key"])
def test_what_nobody_vouches_for_excuses_nothing(
    pki: Pki, leaf: x509.Certificate, issuer: str
) -> None:
    (der,) = der_of(leaf)
    chain = [leaf, *ISSUERS[issuer](pki, leaf)]
    for rule, fault in (("accept", None), ("refuse", Fault.REVOCATION_UNKNOWN)):
        policy = CertificatePolicy(tlsa=[TlsaRecord(3, 0, 0, der)], crls=lists(pki, rule=rule))
        assert refusal(pki, chain, policy) is fault


@pytest.mark.parametrize("rule", ["accept", "refuse"])
def test_a_cross_signed_authority_that_may_not_sign_lists_in_one_certificate(
    pki: Pki, rule: Literal["accept", "refuse"]
) -> None:
    authority = pki.intermediate()
    cross = authority_certificate(
        "intermediate",
        authority.key.public_key(),
        pki.certificate.subject,
        pki.key,
        pki.now,
        with_key_usage=False,
        extensions=[critical(key_usage(key_cert_sign=True))],
    )
    leaf = authority.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
    crls = RevocationLists.from_bytes(
        authority.crl([leaf]).public_bytes(Encoding.DER),
        pki.crl().public_bytes(Encoding.DER),
        without_list=rule,
    )
    policy = CertificatePolicy(crls=crls)
    for certificate in (authority.certificate, cross):
        fault = refusal(pki, [leaf, certificate], policy, trust=pki.trust)
        assert fault is Fault.CERTIFICATE_REVOKED


def test_a_strangers_list_revokes_nothing_on_a_path(pki: Pki, leaf: x509.Certificate) -> None:
    namesake = Authority(forged(pki, STRANGER.public_key()), STRANGER, (), pki.now)
    policy = CertificatePolicy(crls=lists(namesake, leaf, rule="accept"))
    assert refusal(pki, [leaf], policy, trust=pki.trust) is None


def test_certificates_around_one_key_cost_one_check_of_the_list(
    pki: Pki, leaf: x509.Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def noting(crl: x509.CertificateRevocationList) -> object:
        asked.append(crl)
        return signature_problem(crl)

    monkeypatch.setattr(revocation_list, "signature_problem", noting)
    (der,) = der_of(leaf)
    crls = lists(pki, rule="accept")
    policy = CertificatePolicy(tlsa=[TlsaRecord(3, 0, 0, der)], crls=crls)
    for number in range(20):
        signer = key_of_type("ecdsa-p256", number=100 + number)
        refusal(pki, [leaf, forged(pki, signer=signer)], policy)
    assert len(asked) == 1


def _authority_key_identifier(leaf: x509.Certificate) -> bytes | None:
    extension = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    return extension.value.key_identifier


_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def _sum(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """Of two points on P-256, neither of them at infinity nor the other's negative."""
    (x1, y1), (x2, y2) = one, other
    if one == other:
        slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, _P)
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P


def _times(factor: int, point: tuple[int, int]) -> tuple[int, int]:
    product = None
    while factor:
        if factor & 1:
            product = point if product is None else _sum(product, point)
        point, factor = _sum(point, point), factor >> 1
    assert product is not None
    return product
