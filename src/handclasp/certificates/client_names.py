"""The names of clients in subjectAltName that hosts do not have: URIs and e-mail addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from handclasp.certificates.names import host_problem, ip_address, normal_name
from handclasp.deferred import DeferredModule
from handclasp.errors import ConfigurationError, shown

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = DeferredModule("cryptography.x509")

MAX_COMMON_NAME = 64
"""Characters of a common name (RFC 5280 appendix A.1, ub-common-name)."""

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[!#-;=?-\[\]_a-z~]+")
"""A URI with an authority (RFC 3986), of the characters that one may be made of."""

_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
"""The part of an e-mail address before the @, without quotes (RFC 5321 section 4.1.2)."""


def uri_or_email(name: str) -> x509.GeneralName | None:
    """Return a name as a URI or an e-mail address; None for what has the form of neither.

    Raises:
        ConfigurationError: it begins like a URI ("spiffe://"), and is none.
    """
    if "://" in name:
        if _URI.fullmatch(name) is None:
            raise ConfigurationError(f"{shown(name)} is no URI that a certificate may hold.")
        return x509.UniformResourceIdentifier(name)
    mailbox, at, host = name.partition("@")
    if at and _MAILBOX.fullmatch(mailbox):
        normal = host_of(host)
        if normal:
            return x509.RFC822Name(f"{mailbox}@{normal}")
    return None


def client_name(name: str) -> x509.GeneralName | None:
    """Return what a client is called as an entry of subjectAltName; None if only a subject fits.

    URIs, e-mail addresses, IP addresses, and DNS names of several parts fit; "alice" and
    "Ada Lovelace" are common names.

    >>> from handclasp.certificates.client_names import client_name
    >>> client_name("spiffe://example.test/alice")
    <UniformResourceIdentifier(value='spiffe://example.test/alice')>
    >>> client_name("Ada Lovelace") is None
    True

    Raises:
        ConfigurationError: it begins like a URI, and is none.
    """
    found = uri_or_email(name)
    if found is not None:
        return found
    address = ip_address(name)
    if address is not None:
        return x509.IPAddress(address)
    normal = host_of(name)
    return x509.DNSName(normal) if "." in normal else None


def host_of(name: str) -> str:
    """Return the normal name of a host; empty if it is none."""
    try:
        normal = normal_name(name)
    except ConfigurationError:
        return ""
    return "" if host_problem(normal) or ip_address(normal) is not None else normal
