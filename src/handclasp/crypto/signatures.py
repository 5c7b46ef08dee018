"""The signature schemes with which a handshake is signed (RFC 8446 sections 4.2.3 and 4.4.3).

In TLS 1.3 a scheme is always one kind of key with one hash and, for ECDSA, one curve, so a
comparison decides whether a key fits. TLS 1.2 has the same numbers, but for ECDSA they mean the
hash alone, and it still has PKCS #1 v1.5 (RFC 5246 section 7.4.1.4.1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from handclasp.errors import ConfigurationError
from handclasp.iana import SignatureSchemeCode as Code
from handclasp.values import value


@value(frozen=True, slots=True)
class SignatureScheme:
    """One entry of the TLS SignatureScheme registry.

    Attributes:
        name: the IANA name.
        code: the two-byte number on the wire.
        key: the kind of its keys, as `key_kind` names them.
        hash: the name of the hash in lower case; empty if the scheme has its own.
        pss_key: whether the key's SubjectPublicKeyInfo must say id-RSASSA-PSS (the rsa_pss_pss
            schemes) rather than rsaEncryption (all others).
        versions: the versions of TLS that allow it for handshakes.
    """

    name: str
    code: int
    key: str
    hash: str = ""
    pss_key: bool = False
    versions: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")

    @property
    def is_pkcs1(self) -> bool:
        return self.name.startswith("rsa_pkcs1")


def _scheme(code: Code, key: str, hash_name: str = "", *, pss_key: bool = False) -> SignatureScheme:
    return SignatureScheme(code.name, int(code), key, hash_name, pss_key, _versions(code))


def _versions(code: Code) -> tuple[str, ...]:
    if code.name.startswith("mldsa"):
        return ("TLSv1.3",)
    # RFC 8446 4.2.3: in TLS 1.3, PKCS #1 v1.5 is for signatures in certificates only.
    return ("TLSv1.2",) if code.name.startswith("rsa_pkcs1") else ("TLSv1.2", "TLSv1.3")


# The order is that of preference. ECDSA P-256 and Ed25519 are the fastest and smallest; RSA comes
# next because most chains still have it; the larger curves cost more for strength that the rest of
# a handshake rarely matches. rsa_pss_pss keys are rare. ML-DSA comes last: its signatures take 2.4
# to 4.6 KB, and signatures, unlike key exchanges, need no protection against recording now and
# breaking later. A server with only an ML-DSA certificate still works. Older TLS 1.2 peers know
# only PKCS #1 v1.5.
_ALL = (
    _scheme(Code.ecdsa_secp256r1_sha256, "secp256r1", "sha256"),
    _scheme(Code.ed25519, "ed25519"),
    _scheme(Code.rsa_pss_rsae_sha256, "rsa", "sha256"),
    _scheme(Code.ecdsa_secp384r1_sha384, "secp384r1", "sha384"),
    _scheme(Code.rsa_pss_rsae_sha384, "rsa", "sha384"),
    _scheme(Code.rsa_pss_rsae_sha512, "rsa", "sha512"),
    _scheme(Code.ecdsa_secp521r1_sha512, "secp521r1", "sha512"),
    _scheme(Code.rsa_pss_pss_sha256, "rsa", "sha256", pss_key=True),
    _scheme(Code.rsa_pss_pss_sha384, "rsa", "sha384", pss_key=True),
    _scheme(Code.rsa_pss_pss_sha512, "rsa", "sha512", pss_key=True),
    _scheme(Code.ed448, "ed448"),
    _scheme(Code.mldsa65, "mldsa65"),
    _scheme(Code.mldsa44, "mldsa44"),
    _scheme(Code.mldsa87, "mldsa87"),
    _scheme(Code.rsa_pkcs1_sha256, "rsa", "sha256"),
    _scheme(Code.rsa_pkcs1_sha384, "rsa", "sha384"),
    _scheme(Code.rsa_pkcs1_sha512, "rsa", "sha512"),
)

SIGNATURE_SCHEMES: dict[str, SignatureScheme] = {scheme.name: scheme for scheme in _ALL}
"""Every scheme that is supported here, by IANA name."""

SIGNATURE_SCHEMES_BY_CODE: dict[int, SignatureScheme] = {scheme.code: scheme for scheme in _ALL}

DEFAULT_SIGNATURE_SCHEMES: tuple[str, ...] = tuple(SIGNATURE_SCHEMES)
"""All of them, best first: a client accepts every safe scheme, a server uses those of its key."""

CERTIFICATE_SIGNATURE_SCHEMES: tuple[Code, ...] = (
    Code.ecdsa_secp256r1_sha256,
    Code.ecdsa_secp384r1_sha384,
    Code.ecdsa_secp521r1_sha512,
    Code.rsa_pss_rsae_sha256,
    Code.rsa_pss_rsae_sha384,
    Code.rsa_pss_rsae_sha512,
    Code.rsa_pkcs1_sha256,
    Code.rsa_pkcs1_sha384,
    Code.rsa_pkcs1_sha512,
    Code.mldsa44,
    Code.mldsa65,
    Code.mldsa87,
)
"""The schemes that path verification accepts in certificates: for signature_algorithms_cert.

RFC 9846 section 9.1 requires rsa_pkcs1_sha256 for certificates, where most of the web's chains have
it, although CertificateVerify must not use it. EdDSA is missing because the verifier accepts no
EdDSA authority; an EdDSA key in the leaf is fine.
"""


def sign(scheme: str, private_key: Any, data: bytes) -> bytes:
    """Sign `data` in `scheme` with a private key object of cryptography.

    Raises:
        ConfigurationError: the scheme is unknown, or the key is of another kind.
    """
    known = SIGNATURE_SCHEMES.get(scheme)
    if known is None or key_kind(private_key) != known.key:
        raise ConfigurationError(f"This key cannot sign in the scheme {scheme!r}.")
    signature: bytes = private_key.sign(data, *_arguments(scheme))
    return signature


def verify(scheme: str, public_key: Any, signature: bytes, data: bytes) -> bool:
    """Return whether `signature` over `data` is valid; False also if the key is of another kind.

    No signature makes this raise. Check first with `fits` that the scheme fits the certificate
    (rsae or pss, and the curve in TLS 1.3), so that the peer learns which of the two was wrong.
    """
    known = SIGNATURE_SCHEMES.get(scheme)
    if known is None:
        return False
    kind = key_kind(public_key)
    if kind != known.key and not _same_family(kind, known.key):
        return False
    return is_valid(scheme, public_key, signature, data)


def is_valid(scheme: str, public_key: Any, signature: bytes, data: bytes) -> bool:
    """Return what `verify` does, for a key of which it is known that the scheme `fits` it."""
    try:
        public_key.verify(signature, data, *_arguments(scheme))
    except (_invalid_signature(), ValueError):
        return False
    return True


def schemes_for_key(public_key: Any, spki_is_pss: bool = False) -> tuple[str, ...]:
    """Return the schemes of the holder of this key, best first; empty if there are none."""
    kind = key_kind(public_key)
    return tuple(
        [
            name
            for name, known in SIGNATURE_SCHEMES.items()
            if kind == known.key and _fits(known, public_key, spki_is_pss)
        ]
    )


def fits(scheme: str, public_key: Any, spki_is_pss: bool = False, version: str = "TLSv1.3") -> bool:
    """Return whether a scheme fits a key in a version of TLS (RFC 8446 section 4.2.3).

    Args:
        spki_is_pss: whether the certificate's SubjectPublicKeyInfo has the OID id-RSASSA-PSS.
    """
    known = SIGNATURE_SCHEMES.get(scheme)
    if known is None or version not in known.versions:
        return False
    kind = key_kind(public_key)
    # RFC 8446 4.2.3: in TLS 1.2 the scheme does not determine the curve.
    same = kind == known.key if version == "TLSv1.3" else _same_family(kind, known.key)
    return same and (known.key != "rsa" or _fits(known, public_key, spki_is_pss))


def of_versions(schemes: tuple[str, ...], versions: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the `schemes` that one of the `versions` allows for handshakes."""
    if len(versions) != 1:
        return tuple([name for name in schemes if any(name in _SIGNED_IN[v] for v in versions)])
    signed = _SIGNED_IN[versions[0]]
    return tuple([name for name in schemes if name in signed])


_SIGNED_IN: dict[str, frozenset[str]] = {
    version: frozenset(
        name for name, known in SIGNATURE_SCHEMES.items() if version in known.versions
    )
    for version in ("TLSv1.2", "TLSv1.3")
}


_CURVES = frozenset(("secp256r1", "secp384r1", "secp521r1"))


def _same_family(kind: str, other: str) -> bool:
    return kind == other or (kind in _CURVES and other in _CURVES)


def _fits(known: SignatureScheme, public_key: Any, spki_is_pss: bool) -> bool:
    if known.key != "rsa":
        return True
    if known.is_pkcs1:
        return not spki_is_pss
    return known.pss_key == spki_is_pss and _room_for_pss(public_key.key_size, known.hash)


def key_kind(key: Any) -> str:
    """Return the kind of a public or private key: "rsa", "ed25519", "mldsa65", the curve's name...

    It is empty for keys that no scheme can use (DSA, X25519, a private key of another library).
    """
    family = _FAMILIES.get(key.__class__)
    if family is None:
        family = _FAMILIES[key.__class__] = _family(key)
    return str(key.curve.name) if family == "ec" else family


_FAMILIES: dict[Any, str] = {}
"""`_family` by the key's class: it is needed for each signature, and there are few classes."""


def _family(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

    families: tuple[tuple[str, type, type], ...] = (
        ("ec", ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey),
        ("rsa", rsa.RSAPublicKey, rsa.RSAPrivateKey),
        ("ed25519", ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey),
        ("ed448", ed448.Ed448PublicKey, ed448.Ed448PrivateKey),
        ("mldsa44", mldsa.MLDSA44PublicKey, mldsa.MLDSA44PrivateKey),
        ("mldsa65", mldsa.MLDSA65PublicKey, mldsa.MLDSA65PrivateKey),
        ("mldsa87", mldsa.MLDSA87PublicKey, mldsa.MLDSA87PrivateKey),
    )
    for name, public, private in families:
        if isinstance(key, (public, private)):
            return name
    return ""


@cache
def _arguments(scheme: str) -> tuple[Any, ...]:
    """Return cryptography's arguments after the data; built once, as they are always the same."""
    known = SIGNATURE_SCHEMES[scheme]
    if not known.hash:
        return ()
    from cryptography.hazmat.primitives import hashes

    classes: dict[str, Callable[[], hashes.HashAlgorithm]] = {
        "sha256": hashes.SHA256,
        "sha384": hashes.SHA384,
        "sha512": hashes.SHA512,
    }
    hash_ = classes[known.hash]()
    if known.key == "rsa":
        from cryptography.hazmat.primitives.asymmetric import padding

        if known.is_pkcs1:
            return padding.PKCS1v15(), hash_
        # RFC 8446 4.2.3: "The length of the Salt MUST be equal to the length of the digest."
        return padding.PSS(padding.MGF1(hash_), salt_length=hash_.digest_size), hash_
    from cryptography.hazmat.primitives.asymmetric import ec

    return (ec.ECDSA(hash_),)


@cache
def _invalid_signature() -> type[Exception]:
    from cryptography.exceptions import InvalidSignature

    return InvalidSignature


_DIGEST_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}


def _room_for_pss(key_bits: int, hash_name: str) -> bool:
    # RFC 8017 9.1.1: the encoded message, of one bit less than the modulus, holds hash, salt and 2.
    return (key_bits - 1 + 7) // 8 >= 2 * _DIGEST_SIZES[hash_name] + 2
