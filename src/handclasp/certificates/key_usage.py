"""The key usage of a leaf: whether its key may sign handshakes (RFC 8446 section 4.4.2.2).

>>> from handclasp.certificates.key_usage import may_sign, own_key_usage_problem
>>> from cryptography import x509
>>> (der,) = Credentials.load("chain.pem", "key.pem").chain_der
>>> may_sign(x509.load_der_x509_certificate(der)), own_key_usage_problem(der, can_decrypt=False)
(True, None)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handclasp.certificates.der import extension_values
from handclasp.certificates.names import subject_of
from handclasp.certificates.reading import certificate_of
from handclasp.deferred import DeferredModule

if TYPE_CHECKING:
    from cryptography import x509
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


def own_key_usage_problem(der: bytes, *, can_decrypt: bool) -> str | None:
    """Return a sentence about an own certificate that must not sign; None if it may.

    Args:
        der: the certificate.
        can_decrypt: whether its key also serves for RSA key transport, which needs no signature.
    """
    leaf = certificate_of(der)
    if may_sign(leaf):
        return None
    rest = ", unless they use RSA key transport of TLS 1.2" if can_decrypt else ""
    return (
        f"The certificate for {subject_of(leaf)} has a key usage without digitalSignature, so "
        f"that peers refuse it{rest} (RFC 8446 section 4.4.2.2): have it issued with "
        "digitalSignature."
    )


def _says_signatures(key_usage: bytes) -> bool:
    """Return whether a KeyUsage has bit 0 (RFC 5280 section 4.2.1.3); malformed ones allow
    nothing.
    """
    return len(key_usage) >= 4 and key_usage[0] == _BIT_STRING and bool(key_usage[3] & 0x80)
