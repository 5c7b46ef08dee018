"""Why a program accepts a fault, by the fault's name."""

from __future__ import annotations

NOTES: dict[str, str] = {
    "revoked-staple": "They ask for no OCSP response, or leave it to the program: curl reads it "
    "with `--cert-status`, and Go hands it out as `ConnectionState.OCSPResponse`.",
    "revoked-crl": "They are given no list. curl reads one with `--crlfile`, and a context of "
    "`ssl` with `VERIFY_CRL_CHECK_LEAF`; browsers know the lists of their makers, which hold "
    "public certificates.",
    "weak-key": "They take 1024 bits from a private authority. curl and requests refuse them "
    "because of the security level of this OpenSSL, 2.",
    "unknown-extension": "OpenSSL and Go skip an extension that they do not know, though the RFC "
    "has them refuse it.",
    "unclean-close": "The page has no length, and they take the end of the connection for its "
    "end. A program that must not miss a part needs a length, or a mark at the end. (The alert "
    "that requests sends is OpenSSL's; Python's `ssl` then reports an ordinary end.)",
    "endless-tickets": "They set no limit to tickets, and were served after 10,000 of them. "
    "Firefox differs from run to run: it is served, still loads when the time is up, or reports a "
    "connection that failed, always without an alert.",
    "key-update-storm": "OpenSSL and NSS set no limit, and were served after 10,000 changes of "
    "keys.",
}
