"""The signatures that count on OCSP responses, revocation lists and responders' certificates.

The bounds are those of paths: no hash weaker than SHA-256, and no algorithm without a name here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handclasp.crypto.signatures import key_kind

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.x509 import ocsp

_KEY_KINDS = {
    "1.2.840.113549.1.1.10": "rsa",
    "1.2.840.113549.1.1.11": "rsa",
    "1.2.840.113549.1.1.12": "rsa",
    "1.2.840.113549.1.1.13": "rsa",
    "1.2.840.10045.4.3.2": "secp",
    "1.2.840.10045.4.3.3": "secp",
    "1.2.840.10045.4.3.4": "secp",
    "1.3.101.112": "ed25519",
    "1.3.101.113": "ed448",
    "2.16.840.1.101.3.4.3.17": "mldsa44",
    "2.16.840.1.101.3.4.3.18": "mldsa65",
    "2.16.840.1.101.3.4.3.19": "mldsa87",
}
"""Algorithm -> how the kind of key begins that it takes, as `key_kind` names them."""

_STRONG_HASHES = frozenset(("sha256", "sha384", "sha512"))


def signature_problem(
    signed: x509.Certificate | x509.CertificateRevocationList | ocsp.OCSPResponse,
) -> str:
    """Return why a signature of any signer does not count, or an empty string."""
    from cryptography.exceptions import UnsupportedAlgorithm

    oid = signed.signature_algorithm_oid.dotted_string
    kind = _KEY_KINDS.get(oid)
    if kind is None:
        return f"signed with an algorithm that does not count ({oid})"
    if kind not in ("rsa", "secp"):
        return ""  # These bring a hash of their own.
    try:
        hash_ = signed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return f"signed with an algorithm that cannot be checked ({oid})"
    if hash_ is None or hash_.name not in _STRONG_HASHES:
        return f"signed over {hash_.name.upper() if hash_ else 'no hash'}, which is too weak"
    return ""


def signed_by(response: ocsp.OCSPResponse, public_key: object) -> bool:
    """Return whether the holder of a key signed an OCSP response (RFC 6960 section 4.2.1).

    cryptography does not show the parameters of RSASSA-PSS here, so that it cannot be checked.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    oid = response.signature_algorithm_oid.dotted_string
    # An Ed25519 signature under the name of another algorithm is no signature.
    if not key_kind(public_key).startswith(_KEY_KINDS.get(oid, "none")):
        return False
    signature, data = response.signature, response.tbs_response_bytes
    hash_ = response.signature_hash_algorithm
    try:
        if isinstance(public_key, rsa.RSAPublicKey) and hash_ is not None:
            public_key.verify(signature, data, padding.PKCS1v15(), hash_)
        elif isinstance(public_key, ec.EllipticCurvePublicKey) and hash_ is not None:
            public_key.verify(signature, data, ec.ECDSA(hash_))
        else:
            public_key.verify(signature, data)  # type: ignore[attr-defined]
    except InvalidSignature:
        return False
    return True
