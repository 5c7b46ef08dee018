"""The key usage of a leaf: whether its key may sign handshakes (RFC 8446 section 4.4.2.2).

>>> from handclasp.certificates.key_usage import may_sign
>>> from cryptography import x509
>>> (der,) = Credentials.load("chain.pem", "key.pem").chain_der
>>> may_sign(x509.load_der_x509_certificate(der))
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from handclasp.certificates.der import extension_values
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


def _says_signatures(key_usage: bytes) -> bool:
    """Return whether a KeyUsage has bit 0 (RFC 5280 section 4.2.1.3); malformed ones allow
    nothing.
    """
    return len(key_usage) >= 4 and key_usage[0] == _BIT_STRING and bool(key_usage[3] & 0x80)
