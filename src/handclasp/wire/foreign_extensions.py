"""The content of extensions that this library reads and never writes.

They are read to refuse malformed ones, even if they are not used; see `extension_table`.
"""

from __future__ import annotations

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.wire.reader import Opener, Reader

_OCSP = 1


def read_requested_status(data: bytes, opener: Opener | None = None) -> None:
    """Read the status_request of a CertificateRequest, which is empty (RFC 8446 section 4.4.2.1).

    OpenSSL before 1.1.1d put the CertificateStatus of its own certificate there, which is read
    and ignored.
    """
    if not data:
        return
    reader = (opener or Reader)(data, "status_request")
    if reader.uint8("status_type") != _OCSP:
        raise reader.fault("status_type", "it is empty in a CertificateRequest")
    reader.opaque24("response", 1)
    reader.end()


def read_sct_list(data: bytes, opener: Opener | None = None) -> tuple[bytes, ...]:
    """Read SignedCertificateTimestampList, each entry as it came (RFC 6962 section 3.3).

    struct {
        SerializedSCT sct_list<1..2^16-1>;      /* opaque SerializedSCT<1..2^16-1> */
    } SignedCertificateTimestampList;
    """
    reader = (opener or Reader)(data, "signed_certificate_timestamp")
    vector = reader.vector16("sct_list", 1)
    entries: list[bytes] = []
    while vector.more():
        entries.append(vector.opaque16("SerializedSCT", 1))
    reader.end()
    return tuple(entries)


def read_max_fragment_length(data: bytes, opener: Opener | None = None) -> int:
    """Read MaxFragmentLength, by its number (RFC 6066 section 4): 1 to 4, or illegal_parameter."""
    reader = (opener or Reader)(data, "max_fragment_length")
    length = reader.uint8("max_fragment_length")
    reader.end()
    if not 1 <= length <= 4:
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"max_fragment_length is {length}")
    return length


def read_heartbeat(data: bytes, opener: Opener | None = None) -> int:
    """Read HeartbeatMode (RFC 6520 section 2): 1 or 2, or illegal_parameter."""
    reader = (opener or Reader)(data, "heartbeat")
    mode = reader.uint8("mode")
    reader.end()
    if mode not in (1, 2):
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"the mode of heartbeat is {mode}")
    return mode


def read_use_srtp(data: bytes, opener: Opener | None = None) -> tuple[int, ...]:
    """Read the SRTPProtectionProfiles of UseSRTPData (RFC 5764 section 4.1.1)."""
    reader = (opener or Reader)(data, "use_srtp")
    profiles = reader.uint16s16("SRTPProtectionProfiles")
    reader.opaque8("srtp_mki")
    reader.end()
    return profiles


def read_oid_filters(data: bytes, opener: Opener | None = None) -> tuple[tuple[bytes, bytes], ...]:
    """Read OIDFilterExtension of a CertificateRequest (RFC 8446 section 4.2.5)."""
    reader = (opener or Reader)(data, "oid_filters")
    vector = reader.vector16("filters")
    filters: list[tuple[bytes, bytes]] = []
    while vector.more():
        oid = vector.opaque8("certificate_extension_oid", 1)
        filters.append((oid, vector.opaque16("certificate_extension_values")))
    reader.end()
    return tuple(filters)


def read_ticket_request(data: bytes, opener: Opener | None = None) -> tuple[int, int]:
    """Read ClientTicketRequest: how many tickets a client wants, new and resumed (RFC 9149 3)."""
    reader = (opener or Reader)(data, "ticket_request")
    counts = reader.uint8("new_session_count"), reader.uint8("resumption_count")
    reader.end()
    return counts
