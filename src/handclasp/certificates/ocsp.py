"""Stapled OCSP responses: whether the issuer still stands by a certificate (RFC 6960).

A server fetches the response and sends it along with its certificate (RFC 6066 section 8), so it
is the peer who picks the bytes: nothing in them counts before the signature has been checked.

Ignored, on purpose: a nonce (a stapled response answers nobody's question in particular),
producedAt (thisUpdate and nextUpdate bound the answer), and whether the responder's own certificate
was revoked. That last one is what RFC 6960 section 4.2.2.2.1 leaves to id-pkix-ocsp-nocheck and
short lives: asking for its status would need another response.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from handclasp.advice import IGNORED_OCSP, TRUST
from handclasp.certificates.der import issuer_and_subject
from handclasp.certificates.evidence import encoded
from handclasp.certificates.key_bounds import key_problem
from handclasp.certificates.names import LONGEST_NAME, subject_of
from handclasp.certificates.ocsp_answers import (
    CLOCK_SKEW,
    REPLACE,
    Answer,
    answers_in,
    answers_of,
    bad_response,
    parse,
    response_of_a_later_time,
)
from handclasp.certificates.reading import is_issued_by, read_or_none
from handclasp.certificates.signature_bounds import signature_problem, signed_by
from handclasp.deferred import DeferredModule
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Blame, Fault, Verdict, advice
from handclasp.wording import listed

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.x509 import ocsp
else:
    x509 = DeferredModule("cryptography.x509")

_MAX_RESPONDERS = 3
"""Certificates in a response that are tried: each costs two signature checks."""

_CRITICAL = b"\x01\x01\xff\x04"
"""TRUE, and then an OCTET STRING: how each critical extension looks in DER, from its flag on."""


def check_staple(response: bytes, path: Sequence[x509.Certificate], now: datetime) -> datetime:
    """Check that a stapled OCSP response vouches for the leaf of a verified path.

    It must be signed with SHA-256 or better, by the leaf's issuer or by a responder whose
    certificate is in the response, was signed by that very issuer for OCSP signing, and is valid
    (RFC 6960 section 4.2.2.2). An issuer needs no keyUsage for it, as many have none that fits.
    If several answers are about the leaf, one "revoked" outweighs all others, however old it is;
    otherwise the newest counts. At most seven signatures are checked.

    Args:
        response: the DER of an OCSPResponse, at most 64 KiB.
        path: the verified path, leaf first, anchor last. A self-signed leaf that is an anchor is
            its own issuer.
        now: the time of the verification, with its time zone.

    Returns:
        Until when the answer holds: nextUpdate, or a day after thisUpdate where there is none, or
        the end of the responder's certificate if that comes first.

    Raises:
        CertificateError: CERTIFICATE_REVOKED, or BAD_OCSP_RESPONSE for anything but a good answer.
        ConfigurationError: `now` has no time zone.
    """
    if now.tzinfo is None:
        raise ConfigurationError(
            "The time of the verification must have a time zone: datetime.now(UTC)."
        )
    try:
        parsed = parse(response)
        return _decide(parsed, answers_of(parsed), path, now)
    except CertificateError:
        raise
    except Exception as error:
        # cryptography reads most fields late, and raises ValueError, TypeError and others.
        raise bad_response(f"a part of it cannot be read: {REPLACE}") from error


def demands_staple(leaf: x509.Certificate) -> bool:
    """Return whether a certificate requires an OCSP response ("must-staple", RFC 7633).

    False as well where its extensions cannot be read: such a certificate is on no path.
    """
    from cryptography import x509

    features = read_or_none(lambda: leaf.extensions.get_extension_for_class(x509.TLSFeature).value)
    return features is not None and x509.TLSFeatureType.status_request in features


def describe_staple(response: bytes) -> dict[str, Any]:
    """Return the content of an OCSP response; nothing of it is verified here, and nothing raises.

    Keys: "error" (what is wrong with its form, or None), "answers" (a list, empty on error). Each
    answer has: serial (hexadecimal), status ("good", "revoked" or "unknown"), this_update, until
    and revoked_at (ISO 8601, UTC), reason; None where the response is silent.
    """
    try:
        answers = answers_in(response)
    except CertificateError as error:
        return {"error": error.detail, "answers": []}
    return {"error": None, "answers": [answer.described() for answer in answers]}


def _decide(
    response: ocsp.OCSPResponse,
    answers: Sequence[Answer],
    path: Sequence[x509.Certificate],
    now: datetime,
) -> datetime:
    leaf, issuer = path[0], _issuer_on(path)
    fitting = [answer for answer in answers if answer.is_about(leaf, issuer)]
    if not fitting:
        raise bad_response(_about_others(answers, leaf))
    _check_critical_extensions(response, len(answers))
    signer_until = _check_signer(response, issuer, now)
    for answer in fitting:
        if answer.status == "revoked":
            raise CertificateError(Fault.CERTIFICATE_REVOKED, _revocation(leaf, answer))
    newest = max(fitting, key=lambda answer: answer.this_update)
    _check_dates(newest, now)
    if newest.status != "good":
        detail = f"its status of {subject_of(leaf)} is {newest.status}: ask the issuer why"
        raise bad_response(detail)
    return newest.until if signer_until is None else min(newest.until, signer_until)


def _issuer_on(path: Sequence[x509.Certificate]) -> x509.Certificate:
    if len(path) > 1:
        return path[1]
    if path[0].issuer != path[0].subject:
        raise CertificateError(
            Fault.BAD_OCSP_RESPONSE,
            f"nothing can check it, as the issuer of {subject_of(path[0])} is not on the path: "
            "trust the issuer, or have it sent",
            fix=advice(
                "Send the issuer's certificate with the chain.",
                f"Trust the issuer ({TRUST}). Or ignore responses ({IGNORED_OCSP}).",
            ),
            verdict=Verdict(
                Blame.UNCLEAR, "the issuer's certificate is at neither end, and one must have it"
            ),
        )
    return path[0]


def _about_others(answers: Sequence[Answer], leaf: x509.Certificate) -> str:
    if any(answer.serial == leaf.serial_number for answer in answers):
        return (
            f"its answer is about a certificate of another issuer than that of {subject_of(leaf)}"
        )
    serials = listed([f"{answer.serial:x}" for answer in answers], 3)
    return (
        f"it is about another certificate (serial {serials}) than {subject_of(leaf)} "
        f"(serial {leaf.serial_number:x}): staple the one that belongs to it"
    )


def _check_critical_extensions(response: ocsp.OCSPResponse, answers: int) -> None:
    """Refuse a critical extension that is not understood (RFC 6960 section 4.4).

    cryptography shows the extensions of an answer only where it is the only one. Of the others it
    is known by their DER that none is critical, which is so in practice.
    """
    from cryptography.x509 import OCSPNonce

    if _CRITICAL not in response.tbs_response_bytes:
        return
    if answers > 1:
        raise bad_response(f"it has several answers, and a critical extension: {REPLACE}")
    for extension in (*response.extensions, *response.single_extensions):
        if extension.critical and not isinstance(extension.value, OCSPNonce):
            oid = extension.oid.dotted_string
            raise bad_response(f"its critical extension {oid} is not understood")


def _check_signer(
    response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime
) -> datetime | None:
    """Return until when the signer may respond for the issuer; None if it is the issuer itself."""
    weak_key = key_problem(issuer.public_key())
    if weak_key:
        raise bad_response(f"its issuer {subject_of(issuer)} has {weak_key}")
    problem = signature_problem(response)
    if problem:
        raise bad_response(f"it is {problem}")
    # Read once: cryptography takes them out of the response anew each time.
    named = response.responder_name, response.responder_key_hash
    if _is_signer(issuer, *named):
        if signed_by(response, issuer.public_key()):
            return None
        problem = f"the signature of {subject_of(issuer)} on it is wrong"
    responders = (each for each in response.certificates if _may_be_signer(each, *named))
    for responder in islice(responders, _MAX_RESPONDERS):
        problem = _responder_problem(responder, issuer, now)
        if not problem and signed_by(response, responder.public_key()):
            return responder.not_valid_after_utc
        problem = (
            problem or f"the signature of the responder {subject_of(responder)} on it is wrong"
        )
    problem = problem or "neither the issuer nor a certificate in it is the responder that it names"
    raise bad_response(f"{problem}: {REPLACE}")


def _is_signer(signer: x509.Certificate, name: x509.Name | None, key_hash: bytes | None) -> bool:
    """Return whether a response names this certificate as its signer's (RFC 6960 4.2.1,
    ResponderID).
    """
    from cryptography import x509

    if name is not None:
        return name == signer.subject
    key_identifier = x509.SubjectKeyIdentifier.from_public_key(signer.public_key())
    return key_hash == key_identifier.digest


def _may_be_signer(sent: x509.Certificate, name: x509.Name | None, key_hash: bytes | None) -> bool:
    """Return the same of a certificate in the response, whose names have a bound."""
    _, subject = issuer_and_subject(encoded(sent))
    return len(subject) <= LONGEST_NAME and _is_signer(sent, name, key_hash)


def _responder_problem(responder: x509.Certificate, issuer: x509.Certificate, now: datetime) -> str:
    """Return why a responder may not respond for the issuer (RFC 6960 4.2.2.2); cheap checks first.

    The issuer must say in so many words that it is a responder: no other purpose, not even "any",
    makes a certificate one, or every server could vouch for itself.
    """
    name = f"the certificate of the responder {subject_of(responder)}"
    unfit = _unfit_extension(responder)
    if unfit:
        return f"{name} {unfit}"
    if not responder.not_valid_before_utc <= now <= responder.not_valid_after_utc:
        return (
            f"{name} is valid from {_day(responder.not_valid_before_utc)} to "
            f"{_day(responder.not_valid_after_utc)} only"
        )
    weak_key = key_problem(responder.public_key())
    if weak_key:
        return f"{name} has {weak_key}"
    weak_signature = signature_problem(responder)
    if weak_signature:
        return f"{name} is {weak_signature}"
    if not is_issued_by(responder, issuer):
        return f"{name} was not issued by {subject_of(issuer)}"
    return ""


def _unfit_extension(responder: x509.Certificate) -> str:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    purposes: list[x509.ObjectIdentifier] = []
    for extension in responder.extensions:
        value = extension.value
        if isinstance(value, x509.ExtendedKeyUsage):
            purposes = list(value)
        elif isinstance(value, x509.KeyUsage):
            if not (value.digital_signature or value.content_commitment):
                return "has a keyUsage that does not allow it to sign"
        elif extension.critical and isinstance(value, x509.UnrecognizedExtension):
            return f"has a critical extension that is not understood ({value.oid.dotted_string})"
    if ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
        return "does not have the purpose OCSPSigning"
    return ""


def _check_dates(answer: Answer, now: datetime) -> None:
    if answer.this_update > now + CLOCK_SKEW:
        raise response_of_a_later_time(_minute(answer.this_update))
    if answer.until < now:
        raise bad_response(f"it held until {_minute(answer.until)} only: {REPLACE}")


def _revocation(leaf: x509.Certificate, answer: Answer) -> str:
    when = f" on {_minute(answer.revoked_at)}" if answer.revoked_at else ""
    reason = answer.reason or "none given"
    return f"{subject_of(leaf)} was revoked{when}, says its OCSP response; reason: {reason}"


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"
