"""Revocation: whether the issuer has revoked a certificate, by two kinds of evidence.

`ocsp` verifies the response that a peer staples to its certificate (RFC 6960), `crl` looks up lists
of the application (RFC 5280 section 5). Neither fetches anything: the protocol does no input or
output.
"""

from __future__ import annotations

from handclasp.certificates.crl import RevocationLists
from handclasp.certificates.ocsp import check_staple, demands_staple, describe_staple

__all__ = ["RevocationLists", "check_staple", "demands_staple", "describe_staple"]
