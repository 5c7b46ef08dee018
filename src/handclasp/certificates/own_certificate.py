"""Warnings about certificates of this side that peers refuse, or soon will.

A config accepts such certificates anyway, as `ssl` does: a test may need an expired one. The
warnings go to the logger "handclasp", as records with a `kind`: that of the key usage when
credentials are loaded, and those that depend on the role and the time when a config is built, or
when the credentials of a config are loaded again.

>>> from datetime import UTC, datetime
>>> from handclasp.certificates.own_certificate import own_problems
>>> credentials = Credentials.load("chain.pem", "key.pem")
>>> own_problems(credentials, role="client", now=datetime.now(UTC))[0].kind
'extended_key_usage'
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal

from handclasp.certificates.key_files import warn
from handclasp.certificates.key_usage import may_sign
from handclasp.certificates.names import subject_of
from handclasp.certificates.period import Period
from handclasp.certificates.reading import certificate_of, read_or_none
from handclasp.deferred import DeferredModule
from handclasp.values import dataclass

if TYPE_CHECKING:
    from cryptography import x509

    from handclasp.certificates.credentials import Credentials
else:
    x509 = DeferredModule("cryptography.x509")

Role = Literal["server", "client"]

_MOMENT = "%Y-%m-%d %H:%M:%S"

_REMEMBERED = 1024
"""Problems that are not logged again: a config may be built for each connection."""


@dataclass(frozen=True, slots=True)
class OwnProblem:
    """A reason for peers to refuse an own certificate, now or soon.

    Attributes:
        kind: "key_usage", "extended_key_usage", "expired", "not_yet_valid", "expires_soon" or
            "public_name".
        sentence: what is wrong, and how to mend it.
    """

    kind: str
    sentence: str


def own_problems(
    credentials: Credentials, *, role: Role | None = None, now: datetime | None = None
) -> list[OwnProblem]:
    """Return what is wrong with the certificates of this side; nothing for a raw public key.

    Args:
        credentials: the chain.
        role: the side that uses them; None leaves out what depends on it.
        now: the time, with a time zone; None leaves out the dates.
    """
    if credentials.certificate_type != "X509":
        return []
    certificates = [read_or_none(partial(certificate_of, der)) for der in credentials.chain_der]
    leaf, *issuers = certificates
    if leaf is None:
        return []
    checks: list[Callable[[], OwnProblem | None]] = [
        partial(_key_usage, leaf, can_decrypt=credentials.can_decrypt)
    ]
    if role is not None:
        checks.append(partial(_purpose, leaf, role))
    if now is not None:
        checks.append(partial(_dates, leaf, now))
        checks += [partial(_issuer_dates, each, leaf, now) for each in issuers if each is not None]
    # What cannot be read is left to the peers, as some do not look at it.
    return [each for each in map(read_or_none, checks) if each is not None]


def warn_of_key_usage(credentials: Credentials) -> None:
    """Log a warning if the key of these credentials must not sign."""
    for problem in own_problems(credentials):
        warn(problem.sentence, problem.kind)


def warn_of_own(credentials: Sequence[Credentials], role: Role, now: datetime | None) -> None:
    """Log what is wrong in this role and at this time: for each certificate once in a process."""
    for each in credentials:
        for problem in own_problems(each, role=role, now=now):
            if problem.kind != "key_usage":  # Loading them has logged it.
                _warn_once(hashlib.sha256(each.chain_der[0]).digest(), problem)


def warn_of_public_names(credentials: Sequence[Credentials], names: Iterable[str]) -> None:
    """Log which public names of Encrypted Client Hello no certificate covers.

    A client with an old configuration verifies the server for its public name before it believes
    what it says of ECH (RFC 9849 section 6.1.7).
    """
    for name in dict.fromkeys(names):
        if credentials and not any(each.matches(name) for each in credentials):
            sentence = (
                f"No certificate is for {name}, the public name of an ECH key: clients with an old "
                "ECH configuration cannot get the current one (RFC 9849 section 6.1.7). Add a "
                "certificate that covers it."
            )
            leaf = hashlib.sha256(credentials[0].chain_der[0]).digest()
            _warn_once(leaf, OwnProblem("public_name", sentence))


@lru_cache(maxsize=_REMEMBERED)
def _warn_once(leaf: bytes, problem: OwnProblem) -> None:
    del leaf  # Two certificates may have the same subject and dates.
    warn(problem.sentence, problem.kind)


def _key_usage(leaf: x509.Certificate, *, can_decrypt: bool) -> OwnProblem | None:
    if may_sign(leaf):
        return None
    rest = ", unless they use RSA key transport of TLS 1.2" if can_decrypt else ""
    return OwnProblem(
        "key_usage",
        f"The certificate for {subject_of(leaf)} has a key usage without digitalSignature, so "
        f"that peers refuse it{rest} (RFC 8446 section 4.4.2.2): have it issued with "
        "digitalSignature.",
    )


def _purpose(leaf: x509.Certificate, role: Role) -> OwnProblem | None:
    from handclasp.certificates.describe import extended_key_usage_of  # It imports credentials.

    purposes = extended_key_usage_of(leaf)
    needed, peers = f"{role}Auth", "clients" if role == "server" else "servers"
    if purposes is None or needed in purposes:
        return None
    return OwnProblem(
        "extended_key_usage",
        f"The certificate for {subject_of(leaf)} has an extended key usage without {needed}, so "
        f"that most {peers} refuse it (RFC 5280 section 4.2.1.12): have it issued with {needed}.",
    )


def _dates(leaf: x509.Certificate, now: datetime) -> OwnProblem | None:
    about = f"The certificate for {subject_of(leaf)}"
    found = _outside_dates(leaf, about, "most peers refuse it", now)
    if found is not None:
        return found
    period = _period_of(leaf)
    days = period.ends_within(now)
    if days is None:
        return None
    return OwnProblem(
        "expires_soon",
        f"{about} expires at {period.end:{_MOMENT}} UTC, in less than {days} days: renew it before "
        "then.",
    )


def _period_of(certificate: x509.Certificate) -> Period:
    return Period(certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _issuer_dates(
    issuer: x509.Certificate, leaf: x509.Certificate, now: datetime
) -> OwnProblem | None:
    about = f"The certificate for {subject_of(issuer)}, sent with that for {subject_of(leaf)},"
    return _outside_dates(issuer, about, "peers without another may refuse both", now)


def _outside_dates(
    certificate: x509.Certificate, about: str, consequence: str, now: datetime
) -> OwnProblem | None:
    period = _period_of(certificate)
    if period.has_ended(now):
        return OwnProblem(
            "expired",
            f"{about} expired at {period.end:{_MOMENT}} UTC, so that {consequence}: replace it by "
            "a new one. If that time is still to come, set the clock of this machine right.",
        )
    if not period.has_begun(now):
        return OwnProblem(
            "not_yet_valid",
            f"{about} is valid from {period.begin:{_MOMENT}} UTC on, so that {consequence} "
            "until then: use one that is valid now. If that time is past, set the clock of this "
            "machine right.",
        )
    return None
