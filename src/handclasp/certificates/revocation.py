"""Revocation: whether the issuer has revoked a certificate, by two kinds of evidence.

`ocsp` verifies the response that a peer staples to its certificate (RFC 6960), `crl` looks up lists
of the application (RFC 5280 section 5). Neither fetches anything: the protocol does no input or
output.

>>> from datetime import UTC, datetime
>>> from handclasp.certificates.reading import certificates_of
>>> from handclasp.certificates.revocation import check_staple, demands_staple, describe_staple
>>> path = []
>>> for name in ("chain.pem", "ca.pem"):
...     with open(name, "rb") as file:
...         path += certificates_of(file.read())
>>> with open("staple.der", "rb") as file:
...     response = file.read()
>>> demands_staple(path[0]), check_staple(response, path, datetime.now(UTC)) > datetime.now(UTC)
(False, True)
>>> describe_staple(response)["answers"][0]["status"]
'good'
"""

from __future__ import annotations

from handclasp.certificates.crl import RevocationLists
from handclasp.certificates.ocsp import check_staple, demands_staple, describe_staple

__all__ = ["RevocationLists", "check_staple", "demands_staple", "describe_staple"]
