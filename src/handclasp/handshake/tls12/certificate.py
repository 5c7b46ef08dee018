"""The Certificate message of TLS 1.2, both ways: certificates, or a raw public key (RFC 7250)."""

from __future__ import annotations

from handclasp.certificates.credentials import Credentials
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.limits import Limits
from handclasp.wire.messages12 import Certificate12


def read_chain(message: Certificate12, certificate_type: str, limits: Limits) -> tuple[bytes, ...]:
    """Return what the message shows, leaf first; empty where the sender has nothing to show.

    Args:
        certificate_type: "X509" or "RawPublicKey", as agreed upon.

    Raises:
        ProtocolError: it is of the other type, or holds too many certificates.
    """
    chain, key = message.certificate_list, message.raw_public_key
    if certificate_type == "RawPublicKey":
        if chain:
            detail = "certificates, where a raw public key was agreed upon"
            raise ProtocolError(Fault.DECODE_ERROR, detail)
        return (key,) if key else ()
    if key:
        detail = "certificate_list is no list of certificates, which were agreed upon"
        raise ProtocolError(Fault.DECODE_ERROR, detail)
    if len(chain) > limits.max_certificates:
        raise ProtocolError(Fault.TOO_MANY_CERTIFICATES, f"{len(chain)} certificates")
    return chain


def certificate_message(credentials: Credentials | None) -> Certificate12:
    """Return the message that shows these credentials, or that there are none."""
    if credentials is None:
        return Certificate12(())
    if credentials.certificate_type == "RawPublicKey":
        return Certificate12((), credentials.chain_der[0])
    return Certificate12(credentials.chain_der)
