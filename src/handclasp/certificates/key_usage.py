"""The key usage of a leaf: whether its key may sign handshakes (RFC 8446 section 4.4.2.2).

>>> from handclasp.certificates.key_usage import own_key_usage_problem
>>> own_key_usage_problem(Credentials.load("chain.pem", "key.pem")) is None
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handclasp.certificates.der import extension_values
from handclasp.certificates.reading import certificate_of
from handclasp.deferred import DeferredModule

if TYPE_CHECKING:
    from cryptography import x509

    from handclasp.certificates.credentials import Credentials
else:
    x509 = DeferredModule("cryptography.x509")

_KEY_USAGE = b"\x06\x03\x55\x1d\x0f"
_BIT_STRING = 3


def may_sign(leaf: x509.Certificate) -> bool:
    """Return whether the leaf's keyUsage, if there is one, allows digital signatures.

    Another extension that cannot be read does not excuse from it.
    """
    from cryptography import x509

    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except Exception:
        return all(map(_says_signatures, extension_values(leaf, _KEY_USAGE)))
    return bool(usage.digital_signature)


def own_key_usage_problem(credentials: Credentials) -> str | None:
    """Return a sentence about credentials whose certificate must not sign; None if it may."""
    if credentials.certificate_type != "X509":
        return None
    if may_sign(certificate_of(credentials.chain_der[0])):
        return None
    rest = ", unless they use RSA key transport of TLS 1.2" if credentials.can_decrypt else ""
    return (
        f"The certificate for {credentials.subject} has a key usage without digitalSignature, so "
        f"that peers refuse it{rest} (RFC 8446 section 4.4.2.2): have it issued with "
        "digitalSignature."
    )


def _says_signatures(key_usage: bytes) -> bool:
    """Return whether a KeyUsage has bit 0 (RFC 5280 section 4.2.1.3); malformed ones allow
    nothing.
    """
    return len(key_usage) >= 4 and key_usage[0] == _BIT_STRING and bool(key_usage[3] & 0x80)
