"""Whether a certificate was taken back: stapled OCSP responses (RFC 6960) and CRLs (RFC 5280)."""

from __future__ import annotations


class RevocationLists:
    """Certificate revocation lists and what to do where none covers a certificate."""

    __slots__ = ()
