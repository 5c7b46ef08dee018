"""The CertificateRequest as a client of TLS 1.3 takes it (RFC 8446 section 4.3.2)."""

from __future__ import annotations

from handclasp.config import ClientConfig
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.offered import authorities_of, offered_schemes
from handclasp.iana import ExtensionType
from handclasp.questions import ChooseCredentials
from handclasp.wire.extension_table import MessageContext
from handclasp.wire.messages import CertificateRequest
from handclasp.wire.rules import check_extensions, check_forms


def check_certificate_request(config: ClientConfig, request: CertificateRequest) -> None:
    """Check a server's request, but for its context. Raises `ProtocolError`."""
    check_extensions(request.extensions, MessageContext.CR, config.limits.max_extensions)
    check_forms(request.extensions, MessageContext.CR)
    if ExtensionType.SIGNATURE_ALGORITHMS not in request.extensions:
        raise ProtocolError(Fault.MISSING_EXTENSION, "signature_algorithms in CertificateRequest")


def credentials_question(
    config: ClientConfig, request: CertificateRequest, certificate_type: str
) -> ChooseCredentials:
    """Return the question that the server asks this side by its request.

    `certificate_type` is the one that both sides agreed upon (RFC 7250).
    """
    asked = request.extensions
    return ChooseCredentials(
        None,
        offered_schemes(asked[ExtensionType.SIGNATURE_ALGORITHMS]),
        authorities=authorities_of(asked, config),
        certificate_types=(certificate_type,),
    )
