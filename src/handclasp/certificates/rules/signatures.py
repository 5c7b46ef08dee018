"""The rules for the signature of an issuer on what stands below it."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA224
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from handclasp.certificates.der import octet_string
from handclasp.certificates.describe import signature_algorithm_of
from handclasp.certificates.rules.rule import Context, Outcome, Problem, SignatureRule, Step
from handclasp.certificates.seen import Seen
from handclasp.certificates.signature_bounds import signature_problem
from handclasp.faults import Fault

_AUTHORITY_KEYS = frozenset(
    ("rsa", "secp256r1", "secp384r1", "secp521r1", "mldsa44", "mldsa65", "mldsa87")
)


def _algorithm(step: Step, context: Context) -> Outcome:
    seen, issuer = step.below[-1], step.issuer
    certificate, kind = seen.certificate, issuer.key_kind
    if kind not in _AUTHORITY_KEYS:
        named = kind or "unknown"
        text = f"{issuer.about}: authorities with a key of this kind ({named}) are not supported"
        return Problem(text, is_issuer=True)
    if _is_spelled_oddly(issuer):
        text = f"{issuer.about}: the algorithm of its key has unusual parameters"
        return Problem(text, is_issuer=True)
    weak = _weak_hash(certificate)
    if weak:  # RFC 8446 section 4.4.2.4 names the alert for MD5 and SHA-1.
        return Problem(f"{seen.about} is {weak}", Fault.BAD_CERTIFICATE)
    unusual = signature_problem(certificate) or _salt_problem(certificate)
    return Problem(f"{seen.about} is {unusual}") if unusual else None


def _algorithm_used(step: Step, context: Context) -> str:
    named = signature_algorithm_of(step.below[-1].certificate)
    return f"{named}, by a key of the kind {step.issuer.key_kind}"


ALGORITHM = SignatureRule(
    name="signature algorithm",
    section="RFC 8446 4.2.3",
    fault=Fault.UNSUPPORTED_CERTIFICATE,
    field="signatureValue",
    is_gate=True,
    check=_algorithm,
    evidence=_algorithm_used,
)


def _weak_hash(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""  # `signature_problem` reports it, which does not know it, either.
    weak = isinstance(algorithm, MD5 | SHA1 | SHA224)
    return f"signed with {algorithm.name.upper()}" if algorithm and weak else ""


def _is_spelled_oddly(issuer: Seen) -> bool:
    """Return whether a key is not in the only form that the verifier accepts (RFC 8017 A.1, RFC
    5480 2).

    An RSA key for PSS alone is not, and neither is a curve that is spelled out.
    """
    usual = octet_string(issuer.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    algorithm = usual[: 2 + usual[1]]
    return not octet_string(issuer.key_info).startswith(algorithm)


def _salt_problem(certificate: x509.Certificate) -> str:
    """Return the problem if the salt of RSASSA-PSS is not as long as the digest (RFC 8446
    4.2.3).
    """
    parameters = certificate.signature_algorithm_parameters
    digest = certificate.signature_hash_algorithm
    if not isinstance(parameters, padding.PSS) or digest is None:
        return ""
    # cryptography does not show the length in its types.
    salt: object = parameters._salt_length  # pyright: ignore[reportPrivateUsage]
    fitting = salt == digest.digest_size
    return "" if fitting else f"signed in RSASSA-PSS with a salt of {salt} bytes"


def _signature(step: Step, context: Context) -> Outcome:
    certificate, issuer, signed = step.below[-1], step.issuer, step.signed
    if signed:
        return None
    if signed is None:
        text = "the chain has too many signatures to check"
        return Problem(text, Fault.CERTIFICATE_UNTRUSTED)
    if issuer.is_anchor:
        text = (
            f"{certificate.about}: an authority of its issuer's name is trusted, but did "
            "not sign it"
        )
        return Problem(text, Fault.CERTIFICATE_UNTRUSTED)
    if _is_other_key(certificate, issuer):
        return Problem(
            f"{certificate.about} was signed with another key of {issuer.about} than the one "
            "in the certificate that was sent"
        )
    return Problem(f"the signature of {issuer.about} on {certificate.about} is wrong")


def _is_other_key(certificate: Seen, issuer: Seen) -> bool:
    """Return whether the identifiers show that an issuer of the right name has another key."""
    wanted = certificate.extension(x509.AuthorityKeyIdentifier)
    own = issuer.extension(x509.SubjectKeyIdentifier)
    if wanted is None or wanted.key_identifier is None or own is None:
        return False
    return bool(wanted.key_identifier != own.digest)


SIGNATURE = SignatureRule(
    name="signature",
    section="RFC 5280 6.1.3",
    field="signatureValue",
    check=_signature,
    evidence=lambda step, _: f"made by {step.issuer.about}",
)
