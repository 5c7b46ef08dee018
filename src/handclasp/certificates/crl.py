"""Certificate revocation lists of the application (RFC 5280 sections 5 and 6.3).

The list that covers a certificate:

- It has the name of the certificate's issuer, and is signed, with SHA-256 or better, by the key of
  the next certificate on the path. That certificate's keyUsage, if there is one, must allow it
  (cRLSign) for the list to excuse a certificate, but not to revoke it: which of an authority's
  certificates is on the path is the peer's choice.
- Its scope includes the certificate. Lists of user or of authority certificates only are fine; a
  list for one distribution point covers only the certificates that name that point.
- It is complete: no list of changes (delta CRL), no list for some reasons only, and no list of
  several issuers (indirect CRL). One critical extension that is not understood, and be it at
  another certificate's entry, makes the whole list useless (RFC 5280 section 5.2).
- Of several, only the one with the newest thisUpdate is used: a newer list replaces an older one.
  The CRL number is not needed for it, but the profile "web" asks for one.

A revocation counts for ever, even if the newest list is out of date. The absence of a certificate
counts only until nextUpdate, which is therefore required.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import count, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from handclasp.advice import NO_CRL_NEEDED, TRUST
from handclasp.certificates.loading import path_text
from handclasp.certificates.names import issuer_of, subject_of
from handclasp.certificates.revocation_list import (
    Profile,
    RevocationList,
    lists_at,
    lists_in,
    minute,
)
from handclasp.deferred import DeferredModule
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault, advice

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

_NUMBERS = count()

Check = Literal["chain", "leaf"]
WithoutList = Literal["refuse", "accept"]


class RevocationLists:
    """Certificate revocation lists, and the rule for a certificate that no list covers.

    Immutable, so build them once and share them: each list is indexed when it is read (half a
    second and 10 MB for 100 000 entries), and its signature is checked once. Two objects are
    equal only if they are the same. To renew the lists, build a new object.

    >>> lists = RevocationLists.from_files("revoked.crl", without_list="accept")
    >>> config = ClientConfig(policy=CertificatePolicy(crls=lists))
    """

    __slots__ = ("_chain", "_of_issuer", "_refuse", "number")

    number: int
    """Tells these lists from all others that this process ever has."""

    def __init__(
        self, lists: Iterable[RevocationList], check: Check, without_list: WithoutList
    ) -> None:
        """Use the class methods instead."""
        for name, value, choices in (
            ("check", check, ("chain", "leaf")),
            ("without_list", without_list, ("refuse", "accept")),
        ):
            if value not in choices:
                raise ConfigurationError(
                    f'{name} must be "{choices[0]}" or "{choices[1]}", not {value!r}.'
                )
        self._of_issuer: dict[x509.Name, list[RevocationList]] = {}
        for one in {one.der: one for one in lists}.values():
            self._of_issuer.setdefault(one.issuer, []).append(one)
        self.number = next(_NUMBERS)
        self._chain = check == "chain"
        self._refuse = without_list == "refuse"
        if not self._of_issuer:
            raise ConfigurationError(
                "There is no certificate revocation list in what was given: name a file that "
                "holds one, or leave the lists out."
            )

    @classmethod
    def from_files(
        cls,
        *paths: str | os.PathLike[str],
        check: Check = "chain",
        without_list: WithoutList = "refuse",
    ) -> RevocationLists:
        """Load lists from files (one or several in PEM, or one in DER) or from directories of
        these.

        In a directory every file is read, except hidden files and PEM files without a list:
        directories of authorities also hold certificates.

        Args:
            check: "chain" looks up each certificate on the path below the anchor, "leaf" the
                first one only.
            without_list: the rule for a certificate that no current list covers: "refuse" or
                "accept".

        Raises:
            ConfigurationError: a file is missing, or holds no list or an unreadable one.
        """
        named = [Path(path_text(path, "a file of lists")) for path in paths]
        return cls((one for path in named for one in lists_at(path)), check, without_list)

    @classmethod
    def from_bytes(
        cls, *blobs: bytes, check: Check = "chain", without_list: WithoutList = "refuse"
    ) -> RevocationLists:
        """Load lists as `from_files` does, from the content of such files."""
        lists = (one for blob in blobs for one in lists_in(blob, "the given list"))
        return cls(lists, check, without_list)

    def check(
        self, path: Sequence[x509.Certificate], now: datetime, *, profile: Profile = "private"
    ) -> datetime | None:
        """Look up the certificates of a verified path, leaf first, anchor last.

        The anchor itself is never looked up: the application trusts it.

        Args:
            profile: the profile of the policy; with "web", a list without a non-critical cRLNumber
                shows no certificate to be valid (RFC 5280 section 5.2.3).

        Returns:
            The time until which the answer is valid: the first nextUpdate of the lists used. None
            if there was nothing to look up, or no list and none is required.

        Raises:
            CertificateError: CERTIFICATE_REVOKED, or REVOCATION_UNKNOWN if no current list covers a
                certificate and `without_list` is "refuse".
            ConfigurationError: `now` has no time zone.
        """
        if now.tzinfo is None:
            raise ConfigurationError("The time of the verification must have a time zone.")
        pairs = list(pairwise(path))
        asked = pairs if self._chain else pairs[:1]
        ends = [self._look_up(*pair, now, is_verified=True, profile=profile) for pair in asked]
        return min((end for end in ends if end is not None), default=None)

    def check_named_leaf(
        self, path: Sequence[x509.Certificate], now: datetime, *, profile: Profile = "private"
    ) -> datetime | None:
        """Look up a leaf that a TLSA record of usage 3 names (RFC 7671 section 5.1).

        The record excuses the path, not the issuer's word on its own certificate. So the leaf alone
        is looked up, and always is: nothing else was verified, and no user chose it as an anchor.

        Args:
            path: the leaf, and its issuer where that is known. Where it is not, nothing can check
                who signed a list. Of such a list only a revocation counts: a peer that leaves its
                issuer out must gain nothing by it. Nor must one that sends an issuer of its own
                making, even around a key that fits: another key that fits can be computed from an
                ECDSA signature. So a revocation counts for any signer of the list.

        Returns and raises what `check` does.
        """
        leaf = path[0]
        issuer = path[1] if len(path) > 1 else leaf if leaf.issuer == leaf.subject else None
        return self._look_up(leaf, issuer, now, is_verified=False, profile=profile)

    def _look_up(
        self,
        certificate: x509.Certificate,
        issuer: x509.Certificate | None,
        now: datetime,
        *,
        is_verified: bool,
        profile: Profile,
    ) -> datetime | None:
        problems: list[str] = []
        found: list[tuple[datetime, str, RevocationList]] = []
        for one in self._of_issuer.get(certificate.issuer, ()):
            problem, revocation = one.answer(
                certificate, issuer, now, is_verified=is_verified, profile=profile
            )
            if problem:
                problems.append(problem)
            else:
                found.append((one.this_update, revocation, one))
        if found:
            # Of two lists of the same time, the one that tells of a revocation counts.
            _, revocation, newest = max(found, key=lambda entry: entry[:2])
            if revocation:
                detail = f"{subject_of(certificate)}, says the list of its issuer, {revocation}"
                raise CertificateError(Fault.CERTIFICATE_REVOKED, detail)
            if newest.next_update >= now:
                return newest.next_update
            problems.append(f"the newest one was to be renewed by {minute(newest.next_update)}")
        if self._refuse:
            needs_issuer = issuer is None and certificate.issuer in self._of_issuer
            raise CertificateError(
                Fault.REVOCATION_UNKNOWN,
                _unknown(certificate, problems),
                fix=_GIVE_THE_ISSUER if needs_issuer else "",
            )
        return None

    def __repr__(self) -> str:
        check = "chain" if self._chain else "leaf"
        without = "refuse" if self._refuse else "accept"
        issuers = len(self._of_issuer)
        return f'RevocationLists(of {issuers} issuers, check="{check}", without_list="{without}")'


_GIVE_THE_ISSUER = advice(
    "Send the issuer's certificate with the chain.",
    f"Trust the issuer ({TRUST}). Or accept certificates without a list ({NO_CRL_NEEDED}).",
)


def _unknown(certificate: x509.Certificate, problems: Sequence[str]) -> str:
    issuer = issuer_of(certificate) or "(no name)"
    about = f"{subject_of(certificate)}, issued by {issuer}"
    if not problems:
        return f"{about}: there is no list of this issuer"
    return f"{about}: {'; '.join(list(dict.fromkeys(problems))[:3])}"
