"""The keys that are accepted in certificates: strong enough, and not too slow to verify with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handclasp.certificates.der import public_key_info
from handclasp.certificates.names import subject_of
from handclasp.crypto.signatures import key_kind
from handclasp.deferred import DeferredModule
from handclasp.errors import CertificateError
from handclasp.faults import Fault

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Verifying takes time that grows with the square of the size, and the peer picks the size."""

MAX_RSA_EXPONENT_BITS = 33
"""Room for 2^32 + 1. Verifying takes time that grows with the exponent, too."""

LEAF_KEYS = frozenset(
    (
        "rsa",
        "secp256r1",
        "secp384r1",
        "secp521r1",
        "ed25519",
        "ed448",
        "mldsa44",
        "mldsa65",
        "mldsa87",
    )
)
"""The kinds of key that a signature scheme of TLS 1.3 takes, as `key_kind` names them."""


def usable_key(leaf: x509.Certificate, der: bytes, min_rsa_bits: int = MIN_RSA_BITS) -> Any:
    """Return the leaf's key, if it is safe and TLS 1.3 can use it (RFC 8446 section 4.4.2.2).

    Args:
        der: the same leaf as the peer sent it.

    Raises:
        CertificateError: it cannot be read, or is of another kind or size.
    """
    try:
        public_key: Any = leaf.public_key()
    except Exception as error:
        detail = f"the key of {subject_of(leaf)} cannot be read"
        raise CertificateError(Fault.UNSUPPORTED_CERTIFICATE, detail) from error
    problem = leaf_key_problem(leaf, der, public_key, min_rsa_bits)
    if problem:
        raise CertificateError(Fault.UNSUPPORTED_CERTIFICATE, f"{subject_of(leaf)} has {problem}")
    return public_key


def leaf_key_problem(
    leaf: x509.Certificate, der: bytes, public_key: Any, min_rsa_bits: int = MIN_RSA_BITS
) -> str:
    """Return the reason why a leaf's key cannot be used, or an empty string.

    Args:
        der: the leaf itself.
    """
    problem = key_problem(public_key, min_rsa_bits)
    if problem or _names_all_curves(der) or not key_kind(public_key).startswith("secp"):
        return problem
    return _curve_problem(public_key_info(leaf))


def raw_key(spki: bytes, min_rsa_bits: int = MIN_RSA_BITS) -> tuple[Any, bool]:
    """Return the key of a bare SubjectPublicKeyInfo, and whether it declares id-RSASSA-PSS.

    Raises:
        CertificateError: it cannot be read, or is of another kind or size.
    """
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        public_key: Any = load_der_public_key(spki)
    except Exception as error:
        raise CertificateError(
            Fault.BAD_CERTIFICATE, "the raw public key is not readable"
        ) from error
    problem = key_problem(public_key, min_rsa_bits) or _curve_problem(spki)
    if problem:
        raise CertificateError(Fault.UNSUPPORTED_CERTIFICATE, f"the raw public key is {problem}")
    return public_key, _ID_RSASSA_PSS in spki[:32]


_ID_RSASSA_PSS = bytes.fromhex("06092a864886f70d01010a")
"""The object identifier in DER; it stands within the first bytes of a SubjectPublicKeyInfo."""


_ID_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
_OBJECT_IDENTIFIER = b"\x06"


def _names_all_curves(der: bytes) -> bool:
    """Return whether every EC key in a certificate names its curve.

    To take that key out of the certificate and look would take far longer.
    """
    return der.count(_ID_EC_PUBLIC_KEY) == der.count(_ID_EC_PUBLIC_KEY + _OBJECT_IDENTIFIER)


def _curve_problem(spki: bytes) -> str:
    """Return the problem if an EC key does not name its curve (RFC 5480 section 2.1.1).

    Parameters that are spelled out have let forgers bring a curve of their own (CVE-2020-0601).
    cryptography takes those of a known curve, and these are refused anyway.
    """
    at = spki.find(_ID_EC_PUBLIC_KEY, 0, 32)
    after = at + len(_ID_EC_PUBLIC_KEY)
    if at < 0 or spki[after : after + 1] == _OBJECT_IDENTIFIER:
        return ""
    return "an EC key that spells out its curve instead of naming it"


def key_problem(public_key: Any, min_rsa_bits: int = MIN_RSA_BITS) -> str:
    """Return the reason why a key cannot be used in a leaf, or an empty string."""
    kind = key_kind(public_key)
    if kind == "rsa":
        return _rsa_problem(public_key, min_rsa_bits)
    if kind not in LEAF_KEYS:
        return f"a key of the kind {kind or type(public_key).__name__}"
    return ""


def cost_problem(public_key: Any) -> str:
    """Return the reason why an issuer's key is too slow to verify with, or an empty string."""
    return _rsa_problem(public_key, 0) if key_kind(public_key) == "rsa" else ""


def _rsa_problem(public_key: Any, min_bits: int) -> str:
    bits = public_key.key_size
    if not min_bits <= bits <= MAX_RSA_BITS:
        return f"an RSA key of {bits} bits"
    exponent: int = public_key.public_numbers().e
    if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > MAX_RSA_EXPONENT_BITS:
        shown = str(exponent) if exponent.bit_length() <= 64 else f"{exponent.bit_length()} bits"
        return f"an RSA key with the exponent {shown}"
    return ""
