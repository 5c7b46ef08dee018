"""The statements of an OCSP response, parsed and not verified (RFC 6960 section 4.2.1).

Both ends need it: `ocsp` verifies the response of a peer, `staple` manages the response that a
    server staples.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from handclasp.certificates.reading import keep_warnings_out
from handclasp.deferred import DeferredModule
from handclasp.errors import CertificateError
from handclasp.faults import CHECK_CLOCK, CLOCK_IS_BEHIND, Blame, Fault, Verdict, advice
from handclasp.values import value

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import HashAlgorithm
    from cryptography.x509 import ocsp
else:
    x509 = DeferredModule("cryptography.x509")

MAX_RESPONSE_BYTES = 2**16
"""TLS allows 16 MiB; a response with a responder's certificate takes one to three KiB."""

MAX_ANSWERS = 64
"""Certificates that one response may be about."""

CLOCK_SKEW = timedelta(minutes=5)
"""The time that thisUpdate may lie in the future: responders sign with the time of their own clock.
"""

LIFE_WITHOUT_NEXT_UPDATE = timedelta(days=1)
"""Without nextUpdate newer information is always available (RFC 6960 2.4): it must be a fresh one.
"""

REPLACE = "staple a newly fetched one"


@value(frozen=True, slots=True)
class Answer:
    """A response's statement about one certificate. It is only as trustworthy as the signature on
    the response.

    Attributes:
        status: "good", "revoked" or "unknown".
        until: nextUpdate, or the end of the short life of an answer without it.
        reason: why it was revoked, as RFC 5280 section 5.3.1 names it, if it was and somebody said.
    """

    serial: int
    status: str
    this_update: datetime
    until: datetime
    revoked_at: datetime | None
    reason: str | None
    _hash: HashAlgorithm
    _issuer_name_hash: bytes
    _issuer_key_hash: bytes

    def is_about(self, leaf: x509.Certificate, issuer: x509.Certificate | None = None) -> bool:
        """Return whether it is about this certificate (RFC 6960 section 4.1.1, CertID).

        Without the issuer's certificate the hash of its key is not compared.
        """
        from cryptography.x509 import ocsp

        if self.serial != leaf.serial_number:
            return False
        request = ocsp.OCSPRequestBuilder()
        asked = request.add_certificate(leaf, issuer or leaf, self._hash).build()
        return self._issuer_name_hash == asked.issuer_name_hash and (
            issuer is None or self._issuer_key_hash == asked.issuer_key_hash
        )

    def described(self) -> dict[str, Any]:
        """Return the answer as plain values, as in `describe_staple`."""
        return {
            "serial": f"{self.serial:x}",
            "status": self.status,
            "this_update": _iso(self.this_update),
            "until": _iso(self.until),
            "revoked_at": _iso(self.revoked_at) if self.revoked_at else None,
            "reason": self.reason,
        }


def answers_in(response: bytes) -> tuple[Answer, ...]:
    """Return the single answers of a response, with nothing verified.

    Raises:
        CertificateError: BAD_OCSP_RESPONSE if it is too long, cannot be read, or has no answers.
    """
    try:
        return answers_of(parse(response))
    except CertificateError:
        raise
    except Exception as error:
        raise bad_response(f"a part of it cannot be read: {REPLACE}") from error


def parse(response: bytes) -> ocsp.OCSPResponse:
    """Parse a response; cryptography reads its fields later, which may raise anything."""
    from cryptography.x509 import ocsp

    if len(response) > MAX_RESPONSE_BYTES:
        raise bad_response(
            f"it has {len(response)} bytes, and no more than {MAX_RESPONSE_BYTES} are read"
        )
    keep_warnings_out()
    try:
        parsed = ocsp.load_der_ocsp_response(response)
    except Exception as error:
        raise bad_response(f"it is not the DER of an OCSP response: {REPLACE}") from error
    if parsed.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        status = parsed.response_status.name.lower()
        raise bad_response(f"the responder gave no answer but the error {status}: ask it again")
    return parsed


def answers_of(response: ocsp.OCSPResponse) -> tuple[Answer, ...]:
    """Return all answers of a parsed response; there is at least one."""
    answers = tuple(_answer(single) for single in islice(response.responses, MAX_ANSWERS + 1))
    if len(answers) > MAX_ANSWERS:
        raise bad_response(f"it is about more than {MAX_ANSWERS} certificates: ask about one")
    if not answers:
        raise bad_response("it is about no certificate at all")
    return answers


def _answer(single: ocsp.OCSPSingleResponse) -> Answer:
    this_update, next_update = single.this_update_utc, single.next_update_utc
    reason = single.revocation_reason
    return Answer(
        serial=single.serial_number,
        status=single.certificate_status.name.lower(),
        this_update=this_update,
        until=this_update + LIFE_WITHOUT_NEXT_UPDATE if next_update is None else next_update,
        revoked_at=single.revocation_time_utc,
        reason=reason.value if reason else None,
        _hash=single.hash_algorithm,
        _issuer_name_hash=single.issuer_name_hash,
        _issuer_key_hash=single.issuer_key_hash,
    )


def bad_response(detail: str) -> CertificateError:
    """Return the refusal of a response, with its defect and the advice in `detail`."""
    return CertificateError(Fault.BAD_OCSP_RESPONSE, detail)


def response_of_a_later_time(signed_at: str) -> CertificateError:
    """Return the refusal of a response that its authority signed in what is the future here."""
    return CertificateError(
        Fault.BAD_OCSP_RESPONSE,
        f"it holds from {signed_at} on, which is in the future",
        fix=advice("", f"{CHECK_CLOCK}."),
        verdict=Verdict(
            Blame.LOCAL,
            f"{CLOCK_IS_BEHIND}, as the certificate's authority has signed the response for "
            f"{signed_at} on",
        ),
    )


def _iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
