"""The reason of a refusal: the verifier refuses a chain, and this module finds the advice.

Nothing here decides about trust. It runs only after the verifier refused, and asks the explanation
which rules are broken. It reports all that it finds, and the first gives the fault.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from handclasp.certificates.advising import Advised
from handclasp.certificates.evidence import Evidence, is_self_issued
from handclasp.certificates.explanation import explain_parsed
from handclasp.certificates.path import IssuersLeftOutError
from handclasp.certificates.rules import Context, Finding
from handclasp.errors import CertificateError
from handclasp.faults import Fault, advice
from handclasp.wording import printable

_MOST_REASONS = 4


def refusal(
    certificates: Sequence[x509.Certificate],
    context: Context,
    evidence: Evidence,
    error: Exception,
) -> CertificateError:
    """Return the error for a chain, leaf first, that the verifier refused with `error`."""
    explanation = explain_parsed(certificates, context, evidence)
    broken = explanation.broken
    if isinstance(error, IssuersLeftOutError) and not any(
        finding.held is False for finding in explanation.leaf
    ):  # What is wrong with one of the issuers that were tried is not the reason.
        fix = advice("Send fewer certificates of one authority, or a shorter one of the peer.", "")
        return CertificateError(Fault.CERTIFICATE_UNTRUSTED, str(error), fix=fix)
    if not broken or explanation.advised is None:
        return _verifier_says(error)
    is_own = is_self_issued(certificates[0], evidence.chain[0]) and (
        broken[0].of is None or broken[0].of.signs_itself is not False
    )
    if broken[0].rule == "anchor" and is_own:
        broken = broken[:1]  # Of a stranger's own certificate, nothing else is of interest.
    return refused(broken, explanation.advised)


def refused(broken: Sequence[Finding], said: Advised) -> CertificateError:
    """Return the error for the broken rules, of which there is at least one, with its advice."""
    reason, *more = list(dict.fromkeys([finding.evidence for finding in broken]))[:_MOST_REASONS]
    of, about = broken[0].of, broken[0].about
    if of is not None and of.is_anchor and broken[0].is_issuer:
        reason += f"; {about} is one of the authorities that are trusted here"
    detail = f"{reason}; besides: {'; '.join(more)}" if more else reason
    error = CertificateError(broken[0].fault, detail, fix=said.fix, verdict=said.verdict)
    error.place = said.place
    return error


_EXTENSION_NAMES = {
    "2.5.29.14": "subjectKeyIdentifier",
    "2.5.29.15": "keyUsage",
    "2.5.29.17": "subjectAltName",
    "2.5.29.19": "basicConstraints",
    "2.5.29.30": "nameConstraints",
    "2.5.29.35": "authorityKeyIdentifier",
    "2.5.29.37": "extKeyUsage",
}


def _verifier_says(error: Exception) -> CertificateError:
    """Return the verifier's own words, without those that mean nothing outside it."""
    text = str(error).partition(" (encountered processing")[0]
    for noise in ("validation failed: ", "candidates exhausted: ", "invalid extension: "):
        text = text.replace(noise, "")
    text = text.removeprefix("Python extension validator failed: ValueError: ")
    if text.startswith("Forbidden "):  # A key or signature algorithm outside of its profile.
        return CertificateError(Fault.UNSUPPORTED_CERTIFICATE, text.partition(":")[0])
    oid, separator, rest = text.partition(": ")
    if oid in _EXTENSION_NAMES:
        text = f"{_EXTENSION_NAMES[oid]}{separator}{rest}"
    return CertificateError(Fault.BAD_CERTIFICATE, printable(text or type(error).__name__, 200))
