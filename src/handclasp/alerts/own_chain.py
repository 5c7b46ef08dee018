"""The faults that this side's certificates show by themselves, when the other end refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from handclasp.advice import CREDENTIALS
from handclasp.alerts.cause import SETTINGS_DIFFER, Cause, make_cause
from handclasp.alerts.situation import Situation, other_end
from handclasp.faults import Blame, Fault, Verdict
from handclasp.wording import listed

_NEAR = timedelta(days=2)
"""A clock that is wrong is rarely wrong by more, unless it was never set."""

BESIDES = "Besides"
"""The opening of a cause that is not the first."""

_ALLOWED = {"server": "serverAuth", "client": "clientAuth"}


def evident_causes(
    situation: Situation, opening: str = "", *, is_of_dates: bool = False
) -> Iterator[Cause]:
    """Yield the faults that the certificates of this side show by themselves, the likeliest first.

    Most implementations say certificate_expired of a certificate that has expired. So with
    another alert, expiry is the less likely. OpenSSL and Java send bad_certificate for one that
    is not yet valid, which has no alert of its own.

    Args:
        opening: the beginning of the first sentence, which says that the other end refuses them.
        is_of_dates: whether the alert is certificate_expired.
    """
    checks = [wrong_purpose, out_of_dates]
    if is_of_dates or is_not_yet_valid(situation):
        checks.reverse()
    for check in checks:
        cause = check(situation, opening)
        if cause is not None:
            yield cause
            opening = BESIDES


def out_of_dates(situation: Situation, opening: str = "") -> Cause | None:
    """Return the cause if one of the certificates is not valid at the time of the alert."""
    now = situation.now
    if now is None:
        return None
    for number, (subject, begin, end) in enumerate(situation.chain.validity):
        if begin <= now <= end:
            continue
        which = "the certificate that this side has sent"
        if number:
            which = f"{subject}, which this side has sent with its certificate,"
        has_expired = now > end
        what = "has expired" if has_expired else "is not yet valid"
        renew = f"Renew {subject}." if number else "Renew the certificate."
        if not has_expired:
            renew = "Use a certificate that is valid now."
        return make_cause(
            Fault.CERTIFICATE_EXPIRED if has_expired else Fault.CERTIFICATE_NOT_YET_VALID,
            _sentence(opening, f"by its dates {which} {what}.")
            + f" It is valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC.",
            renew,
            f"Check the clock of the {other_end(situation)}.",
            Verdict(Blame.LOCAL, "unless the clock of the other end is wrong"),
        )
    return None


def is_out_of_dates(situation: Situation) -> bool | None:
    """Return whether one of the certificates is not valid now; None if that is unknown."""
    if situation.now is None or not situation.chain.validity:
        return None
    return out_of_dates(situation) is not None


def is_not_yet_valid(situation: Situation) -> bool:
    cause = out_of_dates(situation)
    return cause is not None and cause.fault == Fault.CERTIFICATE_NOT_YET_VALID.name


def may_be_too_new(situation: Situation) -> bool:
    """Return whether a clock that is a little wrong is before one of the certificates' times.

    It may be so if nothing is known of them.
    """
    now = situation.now
    if now is None or not situation.chain.validity:
        return True
    return any(begin <= now < begin + _NEAR for _, begin, _ in situation.chain.validity)


def is_for_other_purpose(situation: Situation) -> bool:
    """Return whether the extended key usage of the certificate leaves out the use here."""
    purposes = situation.chain.purposes
    if purposes is None:
        return False
    return _ALLOWED[situation.role] not in purposes and "anyExtendedKeyUsage" not in purposes


def wrong_purpose(situation: Situation, opening: str = "") -> Cause | None:
    """Return the cause if the extended key usage of the certificate leaves out the use here."""
    if not is_for_other_purpose(situation):
        return None
    named = listed(situation.chain.purposes or ())
    return make_cause(
        Fault.CERTIFICATE_WRONG_PURPOSE,
        _sentence(
            opening,
            "the extended key usage of the certificate that this side has sent does not allow a "
            f"{situation.role}: it has {named}, and not {_ALLOWED[situation.role]}.",
        ),
        f"Use a certificate whose extended key usage has {_ALLOWED[situation.role]} "
        f"({CREDENTIALS}).",
        "",
        Verdict(Blame.LOCAL, "unless the other end requires too much"),
    )


def other_key_required(situation: Situation) -> Cause:
    """Return the cause if the other end requires another key or a stronger one."""
    other, key = other_end(situation), situation.chain.key
    told = f" The key is {key}." if key else ""
    return make_cause(
        Fault.UNSUPPORTED_CERTIFICATE,
        f"Or the {other} does not accept the type or size of its key, or the algorithm of a "
        f"signature in the chain.{told}",
        "Use a certificate with another key: nearly all implementations support ECDSA P-256 and "
        "RSA with 2048 bits.",
        "",
        SETTINGS_DIFFER,
    )


def _sentence(opening: str, rest: str) -> str:
    return f"{opening}: {rest}" if opening else f"{rest[0].upper()}{rest[1:]}"
