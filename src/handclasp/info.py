"""The facts about an established connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handclasp.deferred import DeferredModule
from handclasp.values import dataclass, field

if TYPE_CHECKING:
    from cryptography import x509

    from handclasp.certificates import alternative_names as names
else:
    x509 = DeferredModule("cryptography.x509")
    names = DeferredModule("handclasp.certificates.alternative_names")


class _WithCertificates:
    """A cache of parsed chains, which takes no part in comparison."""

    __slots__ = ("_parsed",)

    _parsed: dict[tuple[bytes, ...], tuple[x509.Certificate, ...]]

    def _certificates(self, chain: tuple[bytes, ...]) -> tuple[x509.Certificate, ...]:
        from handclasp.certificates.evidence import parse

        try:
            parsed = self._parsed
        except AttributeError:
            parsed = {}
            object.__setattr__(self, "_parsed", parsed)
        if chain not in parsed:
            parsed[chain] = tuple(parse(chain)) if chain else ()
        return parsed[chain]


@dataclass(frozen=True, slots=True)
class ConnectionInfo(_WithCertificates):
    """The parameters that the handshake negotiated. Names are the IANA strings.

    >>> with handclasp.connect("example.com", 443) as tls:
    ...     print(tls.info.version, tls.info.cipher_suite, tls.info.group)
    TLSv1.3 TLS_AES_128_GCM_SHA256 X25519MLKEM768

    Attributes:
        version: "TLSv1.3" or "TLSv1.2".
        cipher_suite: "TLS_AES_128_GCM_SHA256" and the like.
        group: the group of the key exchange, such as "X25519MLKEM768"; None if there was none: a
            session of TLS 1.2 was resumed, the client chose the secret (RSA key transport), or a
            pre-shared key was used alone.
        signature_scheme: the scheme of the server's signature, in a resumed connection that of the
            original one; None if it did not sign (RSA key transport, pre-shared keys).
        alpn: the negotiated application protocol (RFC 7301), or None.
        server_name: the name in the hello (RFC 6066), or None.
        resumed: whether an earlier session was resumed. The peer's certificates are then those of
            the original connection, and were verified again.
        early_data_status: "none", "accepted" or "rejected".
        early_data_refusal: why they were rejected, or not offered, in words, as far as this side
            knows; the server knows more. Empty if they were accepted, or the config allows none.
        hello_retry: whether a HelloRetryRequest was needed (RFC 8446 section 4.1.4).
        peer_chain_der: the certificates that the peer sent, leaf first, as DER. Only the first is
            proven to be the peer's; the others may be unrelated.
        peer_verified: whether the peer's chain was verified (False without a chain or check).
        local_chain_der: the certificates that this side sent, leaf first, as DER.
        client_signature_scheme: the scheme in which the client signed, or None.
        verified_chain_der: the verified path, from the peer's certificate to the trust anchor, as
            DER; empty if none was verified. Base authorization on this one, or `peer_names`.
        peer_certificate_type, local_certificate_type: "X509", or "RawPublicKey" if the one entry of
            the chain is a SubjectPublicKeyInfo (RFC 7250). "X509" if it is empty.
        certificate_compression: the compression of the peer's certificates (RFC 8879): "zlib",
            "brotli", "zstd", or None.
        psk_identity: the name of the external pre-shared key that was used, or None.
        ocsp_response: the DER of the OCSP response that the peer stapled, or None.
        sct_list: the SignedCertificateTimestampList of the peer's extension, or None.
        ech_accepted: whether the client's hello was encrypted, and the server took it that way
            (RFC 9849). `server_name` is then the one that others on the way could not read.
    """

    version: str
    cipher_suite: str
    group: str | None
    signature_scheme: str | None
    alpn: str | None
    server_name: str | None
    resumed: bool
    early_data_status: str
    hello_retry: bool
    peer_chain_der: tuple[bytes, ...] = field(repr=False)
    peer_verified: bool
    local_chain_der: tuple[bytes, ...] = field(repr=False)
    client_signature_scheme: str | None = None
    verified_chain_der: tuple[bytes, ...] = field(default=(), repr=False)
    peer_certificate_type: str = "X509"
    local_certificate_type: str = "X509"
    certificate_compression: str | None = None
    ocsp_response: bytes | None = field(default=None, repr=False)
    sct_list: bytes | None = field(default=None, repr=False)
    psk_identity: bytes | None = None
    early_data_refusal: str = ""
    ech_accepted: bool = False

    @property
    def cipher_suite_code(self) -> int:
        """The number of the cipher suite, such as 0x1301 (RFC 9846 section B.4)."""
        from handclasp.iana import CipherSuiteCode

        return int(CipherSuiteCode[self.cipher_suite])

    @property
    def peer_chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates that the peer sent, leaf first, parsed on demand; see `verified_chain`.

        Empty for a raw public key.
        """
        return (
            self._certificates(self.peer_chain_der) if self.peer_certificate_type == "X509" else ()
        )

    @property
    def verified_chain(self) -> tuple[x509.Certificate, ...]:
        """The verified path, from the peer's certificate to the anchor, parsed when asked for.

        Empty for a raw public key.
        """
        return (
            self._certificates(self.verified_chain_der)
            if self.peer_certificate_type == "X509"
            else ()
        )

    @property
    def peer_names(self) -> names.AlternativeNames:
        """The names of the peer by its verified certificate: DNS names, addresses, URIs, e-mail.

        They say who a client is. Empty where nothing was verified, for a raw public key, and for a
        certificate that has a common name only, which never counts.

        >>> server = ServerConfig(
        ...     credentials=Credentials.load("chain.pem", "key.pem"),
        ...     client_auth=ClientAuth.REQUIRED,
        ...     trust=TrustStore.from_pem("ca.pem"),
        ... )
        >>> def is_alice(tls):
        ...     return "alice.clients.internal" in tls.info.peer_names.dns
        """
        chain = self.verified_chain
        return names.alternative_names(chain[0]) if chain else names.AlternativeNames()

    @property
    def local_chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates that this side sent, leaf first, parsed when asked for."""
        return (
            self._certificates(self.local_chain_der)
            if self.local_certificate_type == "X509"
            else ()
        )
