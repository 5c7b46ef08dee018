"""Certificates for tests: those of `handclasp.testing`, and forms that only these tests need."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.testing.authority import (
    DAY,
    KEY_TYPES,
    MUST_STAPLE,
    Authority,
    Leaf,
    RootAuthority,
    authority_certificate,
    critical,
    der_of,
    general_names,
    hash_for,
    key_of_type,
    key_pem,
    key_usage,
    leaf_builder,
    name_constraints,
    named,
    pem_of,
    self_signed,
    sign,
    signed_with_sha1,
)

__all__ = [
    "Authority",
    "DAY",
    "KEY_TYPES",
    "Leaf",
    "MUST_STAPLE",
    "Pki",
    "authority_certificate",
    "critical",
    "der_of",
    "general_names",
    "hash_for",
    "key_of_type",
    "key_pem",
    "key_usage",
    "leaf_builder",
    "name_constraints",
    "named",
    "pem_of",
    "pss_credentials",
    "self_signed",
    "sign",
    "signed_with_sha1",
]


class Pki(RootAuthority):
    """A root authority."""

    @property
    def ca_pem(self) -> bytes:
        return self.pem


def pss_credentials(pki: Pki) -> Credentials:
    """An RSA key that its certificate declares as id-RSASSA-PSS.

    cryptography signs with such keys but writes none, so the algorithm of the finished
    certificate's SubjectPublicKeyInfo is replaced. The issuer's signature does not survive that.
    """
    key = key_of_type("rsa-2048")
    builder = leaf_builder(Leaf(), key.public_key(), named("an issuer"), pki.now)
    certificate = builder.sign(
        key,
        hashes.SHA256(),
        rsa_padding=padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH),
    )
    rsae = bytes.fromhex("300d06092a864886f70d0101010500")
    pss = bytes.fromhex("300b06092a864886f70d01010a")
    der = _with_other_algorithm(certificate, rsae, pss)
    signer = LocalSigner(key, spki_is_pss=True)
    return Credentials.from_signer([der], signer)


def _with_other_algorithm(certificate: x509.Certificate, old: bytes, new: bytes) -> bytes:
    der = certificate.public_bytes(serialization.Encoding.DER)
    tbs = certificate.tbs_certificate_bytes
    at = tbs.index(old)
    head = bytearray(tbs[:at] + new + tbs[at + len(old) :])
    shorter = len(old) - len(new)
    # The lengths of TBSCertificate and of SubjectPublicKeyInfo, both of two bytes (30 82 xx xx).
    for start in (0, at - 4):
        assert head[start : start + 2] == b"\x30\x82"
        size = int.from_bytes(head[start + 2 : start + 4], "big") - shorter
        head[start + 2 : start + 4] = size.to_bytes(2, "big")
    rest = der[der.index(tbs) + len(tbs) :]
    body = bytes(head) + rest
    return b"\x30\x82" + len(body).to_bytes(2, "big") + body
