"""Certificate revocation lists that the user gives (RFC 5280 sections 5 and 6.3).

Which list speaks for a certificate:

- It has the name of the certificate's issuer and is signed, with SHA-256 or better, by the key of
  the next certificate on the path. That certificate's keyUsage, if there is one, must allow it
  (cRLSign) for the list to excuse a certificate, but not to revoke it: which of an authority's
  certificates is on the path is the peer's choice.
- Its scope holds the certificate. Lists of user or of authority certificates only are fine; a list
  for one distribution point speaks for the certificates that name that point, and for no others.
- It is complete: no list of changes (delta CRL), none for some reasons only, and none that speaks
  for other issuers, too (indirect CRL). One critical extension that is not understood, and be it
  at another certificate's entry, makes the whole list useless (RFC 5280 section 5.2).
- Of several, the one with the newest thisUpdate is asked, and only that: a newer list tells more
  than an older one. The CRL number is not needed for it, but the profile "web" asks for one.

A revocation found counts for ever, even if the newest list is out of date by now. That a
certificate is not on it counts only until nextUpdate, which therefore must be there.
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
    """Certificate revocation lists, and what to do where none covers a certificate.

    Immutable, so build them once and share them: each list is indexed when it is read (half a
    second and 10 MB for 100 000 entries), and its signature is checked once. Two objects are
    equal only if they are the same. To renew the lists, build a new object.
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
        """From files that hold PEM lists, one or several, or one list as DER, or from directories.

        In a directory every file is read. Hidden files are passed over there, as are PEM files
        without a list: directories of authorities hold certificates, too.

        Args:
            check: "chain" looks up each certificate on the path below the anchor, "leaf" the
                first one only.
            without_list: what to do with a certificate that no current list covers: "refuse" it
                or "accept" it.

        Raises:
            ConfigurationError: something is missing, or holds no list or one that cannot be read.
        """
        named = [Path(path_text(path, "a file of lists")) for path in paths]
        return cls((one for path in named for one in lists_at(path)), check, without_list)

    @classmethod
    def from_bytes(
        cls, *blobs: bytes, check: Check = "chain", without_list: WithoutList = "refuse"
    ) -> RevocationLists:
        """The same as `from_files`, from the content of such files."""
        lists = (one for blob in blobs for one in lists_in(blob, "the given list"))
        return cls(lists, check, without_list)

    def check(
        self, path: Sequence[x509.Certificate], now: datetime, *, profile: Profile = "private"
    ) -> datetime | None:
        """Look up the certificates of a verified path, leaf first, anchor last.

        The anchor itself is never looked up: it is trusted because the user says so.

        Args:
            profile: that of the policy; under "web", a list excuses nothing without a cRLNumber
                that is not critical (RFC 5280 section 5.2.3).

        Returns:
            Until when the answer holds: the first nextUpdate of the lists that gave it. None if
            there was nothing to look up, or no list and that is acceptable.

        Raises:
            CertificateError: CERTIFICATE_REVOKED, or REVOCATION_UNKNOWN where no current list
                covers a certificate and that is to be refused.
            ConfigurationError: `now` has no time zone.
        """
        if now.tzinfo is None:
            raise ConfigurationError("The time to judge by must have a time zone.")
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
                making, even around a key that fits: from an ECDSA signature another key can be
                computed that it is good for, too. So a revocation counts whoever signed the list.

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
