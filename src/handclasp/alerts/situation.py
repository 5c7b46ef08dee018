"""The state in which an alert arrived: how far the handshake was, and the data that was sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from handclasp.iana import AlertDescription as Alert
from handclasp.values import value

Stage = Literal["hello", "handshake", "established"]
"""Before the first answer; in the middle of the handshake; after it."""

ClientAuthStatus = Literal["shown", "withheld", "unasked"]
"""This side sent a certificate; was asked for one and sent none; was not asked for one."""


Validity = tuple[tuple[str, datetime, datetime], ...]
"""The subject of each certificate, and the times between which it is valid."""


@value(frozen=True, slots=True)
class OwnChain:
    """A summary of the chain that this side sent; all fields are empty if it is unknown.

    Attributes:
        size: the number of certificates.
        leaf, last: the subjects of the first certificate and of the last.
        issuer: the issuer of the last.
        names, dates: the names in the first certificate, and its validity, in words.
        is_self_signed: whether the first certificate is the only one, and signed by its own key.
        validity: the subject of each certificate, and the times between which it is valid, leaf
            first; those of a long chain are not all there.
        purposes: the extended key usage of the first certificate; None if it has none.
        key: the type of its key, with the size, and the algorithm that signed it, in words.
        root_file: the file of the issuer's certificate on this machine, if the issuer is known to
            be a root.
    """

    size: int = 0
    leaf: str = ""
    last: str = ""
    issuer: str = ""
    names: str = ""
    dates: str = ""
    is_self_signed: bool = False
    validity: Validity = ()
    purposes: tuple[str, ...] | None = None
    key: str = ""
    root_file: str = ""


@value(frozen=True, slots=True)
class RejectedEch:
    """An encrypted_client_hello that no key of a server opened (RFC 9849 section 7.1).

    >>> from handclasp.alerts import RejectedEch
    >>> RejectedEch(config_id=45, retry_ids=(46, 47))
    RejectedEch(config_id=45, retry_ids=(46, 47))

    Attributes:
        config_id: the number of the configuration that the client used.
        retry_ids: the numbers of the configurations that the server sent in return.
    """

    config_id: int
    retry_ids: tuple[int, ...]


@value(frozen=True, slots=True)
class Situation:
    """The facts that one side knew when the other ended the handshake with an alert.

    Attributes:
        role: the role of this side, "client" or "server".
        stage: how far the handshake had come.
        version: the negotiated version, such as "TLSv1.2"; None before that.
        versions, cipher_suites, groups, signature_schemes, alpn: the values that this side offered
            or allows.
        offers_ech: whether the hello has encrypted_client_hello, so that the name that can be read
            in it need not be the one that was asked for.
        rejected_ech: what this server did not open, if it sent configurations in return.
        is_part_unseen: whether a capture lacks the hello of this side, or other bytes that it sent:
            what is not seen of it may still have been sent.
        lacks_renegotiation_info: whether this server left out what the client asked it for
            (RFC 5746 section 3.4).
        offers_psk: whether the hello offers any pre-shared key, of a ticket or an external one;
            None if that is unknown.
        hello_is_large: whether the client's hello, with a hybrid group, may take several packets.
        offers_up_to: whether the hello names only the highest version that this side speaks.
        certificate_schemes: the schemes that the hello offers for signatures in certificates, if
            it lists them separately.
        server_name: the name that the client asked for; None if it sent no name.
        certificate: whether this side sent a certificate.
        chain: the chain that this side sent, if the alert is about certificates.
        declined_renegotiation: whether the other end asked for a renegotiation after the handshake
            and this side declined it (TLS 1.2).
        external_key: whether the keys come from an external pre-shared key; before the first
            answer, whether this side offered one.
        server_certificate_types, client_certificate_types: the types that the hello offers to
            accept and to send ("X509", "RawPublicKey"); empty if they are unknown.
        is_for_name: whether the server sent a certificate for the name that it was asked for; None
            if that is unknown.
        is_stapled: whether this side sent an OCSP response with its certificate; None if that is
            unknown.
        now: the time at which the alert arrived, by the clock of this side or of a capture; None if
            it is unknown, or cannot be right.
    """

    role: str
    stage: Stage
    version: str | None = None
    versions: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    signature_schemes: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()
    server_name: str | None = None
    certificate: ClientAuthStatus = "unasked"
    certificate_schemes: tuple[str, ...] = ()
    chain: OwnChain = OwnChain()
    declined_renegotiation: bool = False
    external_key: bool = False
    server_certificate_types: tuple[str, ...] = ()
    client_certificate_types: tuple[str, ...] = ()
    is_for_name: bool | None = None
    is_stapled: bool | None = None
    now: datetime | None = None
    offers_up_to: bool = False
    offers_psk: bool | None = None
    hello_is_large: bool = False
    offers_ech: bool = False
    rejected_ech: RejectedEch | None = None
    is_part_unseen: bool = False
    lacks_renegotiation_info: bool = False


ABOUT_CERTIFICATES = frozenset(
    (
        Alert.HANDSHAKE_FAILURE,
        Alert.BAD_CERTIFICATE,
        Alert.UNKNOWN_CA,
        Alert.CERTIFICATE_UNKNOWN,
        Alert.CERTIFICATE_EXPIRED,
        Alert.UNSUPPORTED_CERTIFICATE,
        Alert.ACCESS_DENIED,
        Alert.CERTIFICATE_REQUIRED,
        Alert.DECRYPT_ERROR,
    )
)
"""The alerts whose causes depend on `Situation.chain`."""


_BEFORE, _AFTER = timedelta(days=365), timedelta(days=30 * 365)


def is_impossible(now: datetime, validity: Validity) -> bool:
    """Return whether a time is so far from the dates of a certificate in use that its clock is
    wrong.

    Certificates are issued before they are used, and for the time from then on or nearly so; some
    are used for decades after their end.
    """
    return any(begin - now > _BEFORE or now - end > _AFTER for _, begin, end in validity)


OBSOLETE = {
    "SSLv2": "RFC 6176",
    "SSLv3": "RFC 7568",
    "TLSv1.0": "RFC 8996",
    "TLSv1.1": "RFC 8996",
}
"""The versions that nobody should enable, with the text that says so."""

ENABLE_TLS12 = "Enable TLS 1.3, or at least TLS 1.2."
"""The advice for a client that offers only versions in `OBSOLETE`."""

ENABLE_NEWER = (
    "Enable TLS 1.3, or at least TLS 1.2; update the server's TLS library if it has neither."
)
"""The advice for a server that has only versions in `OBSOLETE`."""


def newer_versions(situation: Situation) -> list[str]:
    """Return the versions that the client offers and that are not obsolete, in words."""
    return [spelled_version(each) for each in situation.versions if each not in OBSOLETE]


def obsolete_choice(version: str) -> str:
    """Return, in words, that a server chose an obsolete version."""
    return f"The server chose {spelled_version(version)}, which is obsolete ({OBSOLETE[version]})"


def other_end(situation: Situation) -> str:
    return "server" if situation.role == "client" else "client"


def spelled_version(version: str) -> str:
    return version.replace("TLSv", "TLS ")
