"""What a peer showed of itself, as it came, and read as certificates."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from handclasp.errors import CertificateError
from handclasp.faults import Fault

if TYPE_CHECKING:
    from cryptography import x509


class Evidence(NamedTuple):
    """The certificates as DER, leaf first, and what came with the leaf."""

    chain: tuple[bytes, ...]
    ocsp_response: bytes | None = None
    sct_list: bytes | None = None

    @property
    def size(self) -> int:
        """All of it, in bytes."""
        return (
            sum(map(len, self.chain)) + len(self.ocsp_response or b"") + len(self.sct_list or b"")
        )


def parse(chain: tuple[bytes, ...]) -> list[x509.Certificate]:
    """The certificates of a chain.

    Raises:
        CertificateError: it is empty, or one is not readable DER.
    """
    from cryptography import x509

    if not chain:
        raise CertificateError(Fault.BAD_CERTIFICATE, "the chain is empty")
    certificates: list[x509.Certificate] = []
    for number, der in enumerate(chain, 1):
        try:
            certificate = x509.load_der_x509_certificate(der)
            # What cryptography would read later, where a path is looked for.
            _ = certificate.version, certificate.subject, certificate.issuer
        except Exception as error:
            # Whatever a parser raises on a peer's bytes means the same.
            detail = f"certificate {number} of {len(chain)} is not readable DER"
            raise CertificateError(Fault.BAD_CERTIFICATE, detail) from error
        certificates.append(certificate)
    return certificates


@lru_cache(maxsize=1024)
def encoded(certificate: x509.Certificate) -> bytes:
    """The DER of a certificate that comes up again and again, such as an anchor's."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)
