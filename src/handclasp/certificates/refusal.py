"""Why a chain was refused: the verifier says no, and this says what to change.

Nothing here decides about trust. It runs only after the verifier refused, and looks at the same
certificates for the reason that helps most: the leaf's dates, its names, the way from it to an
authority, its purpose. All that is found is told, and the first gives the fault.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from handclasp.certificates.names import certificate_names, covers, shown, subject_of
from handclasp.crypto.signatures import key_kind
from handclasp.errors import CertificateError
from handclasp.faults import Fault

if TYPE_CHECKING:
    from cryptography import x509

Reason = tuple[Fault, str]

_MAX_PATH = 10
_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
_ANY_PURPOSE = "2.5.29.37.0"


def refusal(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Collection[x509.Certificate],
    name: str | None,
    now: datetime,
    error: Exception,
) -> CertificateError:
    """The error for a chain that the verifier refused with `error`.

    Args:
        name: the normal name of the server, or None where a client was judged.
    """
    try:
        reasons = [
            *_dates(leaf, now),
            *_names(leaf, name),
            *_path(leaf, others, anchors, now),
            *_purpose(leaf, anchors, name),
        ]
    except Exception:
        # Extensions and keys are read here for the first time, and the peer wrote them.
        reasons = [(Fault.BAD_CERTIFICATE, f"{subject_of(leaf)} cannot be read in full")]
    if not reasons:
        text = _verifier_says(error)
        fault = Fault.BAD_CERTIFICATE
        if text.startswith("Forbidden "):  # A key or signature algorithm outside of its profile.
            fault, text = Fault.UNSUPPORTED_CERTIFICATE, text.partition(":")[0]
        reasons = [(fault, text)]
    (fault, detail), *more = reasons
    if more:
        detail += "; besides: " + "; ".join(text for _, text in more)
    return CertificateError(fault, detail)


def subject_of(certificate: x509.Certificate) -> str:
    """The subject, safe to print; the first names where the subject is empty."""
    try:
        text = certificate.subject.rfc4514_string() or ", ".join(certificate_names(certificate)[:3])
    except Exception:
        text = ""
    return shown(text or "a certificate without a name")


def _dates(certificate: x509.Certificate, now: datetime) -> list[Reason]:
    not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > not_after:
        detail = f"{subject_of(certificate)} expired at {not_after:%Y-%m-%d %H:%M:%S} UTC"
        return [(Fault.CERTIFICATE_EXPIRED, detail)]
    if now < not_before:
        detail = f"{subject_of(certificate)} is valid from {not_before:%Y-%m-%d %H:%M:%S} UTC on"
        return [(Fault.CERTIFICATE_NOT_YET_VALID, detail)]
    return []


def _names(leaf: x509.Certificate, name: str | None) -> list[Reason]:
    if name is None:
        return []
    own = certificate_names(leaf)
    if "_" in name:
        # The verifier compares host names only (RFC 5280 4.2.1.6: "preferred name syntax").
        detail = f"no certificate can be verified for {shown(name)}: host names have no underscore"
        return [(Fault.CERTIFICATE_NAME_MISMATCH, detail)]
    if any(covers(pattern, name) for pattern in own):
        return []
    if not own:
        detail = (
            f"its subjectAltName names no host, so it is neither for {shown(name)} nor any other"
        )
    else:
        listed = ", ".join(shown(entry, 60) for entry in own[:5])
        more = f" and {len(own) - 5} more" if len(own) > 5 else ""
        detail = f"it is for {listed}{more}, not for {shown(name)}"
    return [(Fault.CERTIFICATE_NAME_MISMATCH, detail)]


def _purpose(
    leaf: x509.Certificate, anchors: Collection[x509.Certificate], name: str | None
) -> list[Reason]:
    from cryptography import x509

    role, wanted = ("client", _CLIENT_AUTH) if name is None else ("server", _SERVER_AUTH)
    problems: list[str] = []
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    if purposes is not None:
        allowed = {purpose.dotted_string for purpose in purposes}
        # The profile of the web takes no anyExtendedKeyUsage in a leaf.
        if wanted not in allowed:
            extra = " (anyExtendedKeyUsage does not count)" if _ANY_PURPOSE in allowed else ""
            problems.append(f"its extended key usage does not allow TLS {role}s{extra}")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        problems.append("its key usage does not allow digital signatures")
    constraints = _extension(leaf, x509.BasicConstraints)
    is_authority = (constraints is not None and constraints.ca) or (
        usage is not None and usage.key_cert_sign
    )
    if is_authority and leaf not in anchors and leaf.subject != leaf.issuer:
        problems.append(f"it is an authority's certificate and not a {role}'s")
    return [(Fault.CERTIFICATE_WRONG_PURPOSE, problem) for problem in problems]


def _path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Collection[x509.Certificate],
    now: datetime,
) -> list[Reason]:
    """What is wrong on the most likely way up, followed by names; nothing where all looks right."""
    current = leaf
    for _ in range(_MAX_PATH):
        if current in anchors:
            return []
        issuer = _likely_issuer(current, others, anchors, now)
        if issuer is None:
            return [(Fault.CERTIFICATE_UNTRUSTED, _no_issuer(current, others))]
        try:
            reasons = _step(current, issuer, anchors, now)
        except Exception:
            return [(Fault.BAD_CERTIFICATE, f"{subject_of(issuer)} cannot be read in full")]
        if reasons:
            return reasons
        current = issuer
    return [(Fault.CERTIFICATE_UNTRUSTED, f"the path is longer than {_MAX_PATH} certificates")]


def _likely_issuer(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Collection[x509.Certificate],
    now: datetime,
) -> x509.Certificate | None:
    candidates = [
        candidate
        for candidate in (*anchors, *others)
        if candidate.subject == certificate.issuer and candidate != certificate
    ]
    # The one that fits best, anchors before the rest: many authorities have several certificates.
    signed = [candidate for candidate in candidates if _signed(candidate, certificate)]
    valid = [candidate for candidate in signed if not _dates(candidate, now)]
    return next(iter(valid or signed or candidates), None)


def _no_issuer(certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> str:
    if certificate.subject == certificate.issuer:
        return f"{subject_of(certificate)} is self-signed and not among the trusted authorities"
    issuer = shown(certificate.issuer.rfc4514_string() or "(no name)")
    sent = "no intermediate certificate was sent" if not others else "nor was it sent"
    return f"the issuer of {subject_of(certificate)}, {issuer}, is not trusted here, and {sent}"


def _step(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    anchors: Collection[x509.Certificate],
    now: datetime,
) -> list[Reason]:
    """What is wrong with `issuer` as the issuer of `certificate`."""
    from cryptography import x509

    kind = key_kind(issuer.public_key())
    if kind in ("", "ed25519", "ed448"):
        detail = f"authorities with a key of this kind ({kind or 'unknown'}) are not supported"
        return [(Fault.UNSUPPORTED_CERTIFICATE, f"{subject_of(issuer)}: {detail}")]
    weak = _weak_hash(certificate)
    if weak:
        return [(Fault.UNSUPPORTED_CERTIFICATE, f"{subject_of(certificate)} is signed with {weak}")]
    if not _signed(issuer, certificate):
        if issuer in anchors:
            detail = "an authority of its issuer's name is trusted, but did not sign it"
            return [(Fault.CERTIFICATE_UNTRUSTED, f"{subject_of(certificate)}: {detail}")]
        detail = f"the signature of {subject_of(issuer)} on {subject_of(certificate)} is wrong"
        return [(Fault.BAD_CERTIFICATE, detail)]
    dates = _dates(issuer, now)
    if dates:
        return dates
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return [(Fault.BAD_CERTIFICATE, f"{subject_of(issuer)} issued it and is no authority")]
    return []


def _weak_hash(certificate: x509.Certificate) -> str:
    """The name of the hash under the signature if nobody may rely on it any more, or nothing."""
    from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA224

    algorithm = certificate.signature_hash_algorithm
    return algorithm.name.upper() if isinstance(algorithm, MD5 | SHA1 | SHA224) else ""


def _signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:
        return False
    return True


def _extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


_EXTENSION_NAMES = {
    "2.5.29.14": "subjectKeyIdentifier",
    "2.5.29.15": "keyUsage",
    "2.5.29.17": "subjectAltName",
    "2.5.29.19": "basicConstraints",
    "2.5.29.30": "nameConstraints",
    "2.5.29.35": "authorityKeyIdentifier",
    "2.5.29.37": "extKeyUsage",
}


def _verifier_says(error: Exception) -> str:
    """The verifier's own words, without what means nothing outside it."""
    text = str(error).partition(" (encountered processing")[0]
    for noise in ("validation failed: ", "candidates exhausted: ", "invalid extension: "):
        text = text.replace(noise, "")
    text = text.removeprefix("Python extension validator failed: ValueError: ")
    oid, separator, rest = text.partition(": ")
    if oid in _EXTENSION_NAMES:
        text = f"{_EXTENSION_NAMES[oid]}{separator}{rest}"
    return shown(text or type(error).__name__, 200)
