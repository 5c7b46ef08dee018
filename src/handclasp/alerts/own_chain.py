"""What is wrong with the certificates of this side by their own content, when the other refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from handclasp.advice import CREDENTIALS
from handclasp.alerts.cause import SETTINGS_DIFFER, Cause, make_cause
from handclasp.alerts.situation import Situation, other_end
from handclasp.faults import Blame, Fault, Verdict

_NEAR = timedelta(days=2)
"""A clock that is wrong is rarely wrong by more, unless it was never set."""

_ALLOWED = {"server": "serverAuth", "client": "clientAuth"}


def evident_causes(situation: Situation, opening: str = "") -> Iterator[Cause]:
    """Yield the faults that the certificates of this side show by themselves.

    Args:
        opening: the beginning of the first sentence, which says that the other end refuses them.
    """
    out_of_dates = _out_of_dates(situation, opening)
    if out_of_dates is not None:
        yield out_of_dates
    if is_for_other_purpose(situation):
        yield wrong_purpose(situation, "Besides" if out_of_dates is not None else opening)


def _out_of_dates(situation: Situation, opening: str) -> Cause | None:
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
    return _out_of_dates(situation, "") is not None


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


def wrong_purpose(situation: Situation, opening: str = "") -> Cause:
    named = ", ".join(situation.chain.purposes or ()) or "nothing"
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
