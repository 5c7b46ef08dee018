"""The form of each known extension in each message that may carry it.

RFC 8446 section 6.2: "Peers which receive a message which cannot be parsed according to the syntax
[...] MUST terminate the connection with a "decode_error" alert." That holds for an extension that
this side does nothing with as well, and before anything is answered: whether a hello is well-formed
must not depend on what the server happens to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.wire import extensions as ext
from handclasp.wire.iana import ExtensionType as Ext
from handclasp.wire.iana import extension_name
from handclasp.wire.reader import Opener, Reader
from handclasp.wire.rules import MessageContext
from handclasp.wire.structs import Extensions

_OCSP = 1
_ECH_OUTER, _ECH_INNER = 0, 1

Form = Callable[..., Any]
"""Reads extension_data; takes an `Opener` as its second argument. Raises `ProtocolError`."""


def _empty(kind: int) -> Form:
    name = extension_name(kind)

    def read(data: bytes, opener: Opener | None = None) -> bool:
        if data or opener is not None:
            ext.read_empty(data, name, opener)
        return True

    return read


def _types(kind: int) -> Form:
    name = extension_name(kind)

    def read(data: bytes, opener: Opener | None = None) -> tuple[int, ...]:
        return ext.read_certificate_types(data, name, opener)

    return read


def _selected_type(kind: int) -> Form:
    name = extension_name(kind)

    def read(data: bytes, opener: Opener | None = None) -> int:
        return ext.read_selected_certificate_type(data, name, opener)

    return read


# What follows are the forms of extensions that this side never writes.


def _asked_status(data: bytes, opener: Opener | None = None) -> None:
    """The status_request of a CertificateRequest, which is empty (RFC 8446 section 4.4.2.1).

    OpenSSL before 1.1.1d put the CertificateStatus of its own certificate there, which is read,
    and is of no use.
    """
    if not data:
        return
    reader = (opener or Reader)(data, "status_request")
    if reader.uint8("status_type") != _OCSP:
        raise reader.fault("status_type", "it is empty in a CertificateRequest")
    reader.opaque24("response", 1)
    reader.end()


def _sct_list(data: bytes, opener: Opener | None = None) -> tuple[bytes, ...]:
    """SignedCertificateTimestampList, each entry as it came (RFC 6962 section 3.3).

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


def _max_fragment_length(data: bytes, opener: Opener | None = None) -> int:
    """MaxFragmentLength, by its number (RFC 6066 section 4): 1 to 4, or illegal_parameter."""
    reader = (opener or Reader)(data, "max_fragment_length")
    length = reader.uint8("max_fragment_length")
    reader.end()
    if not 1 <= length <= 4:
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"max_fragment_length is {length}")
    return length


def _heartbeat(data: bytes, opener: Opener | None = None) -> int:
    """HeartbeatMode (RFC 6520 section 2): 1 or 2, or illegal_parameter."""
    reader = (opener or Reader)(data, "heartbeat")
    mode = reader.uint8("mode")
    reader.end()
    if mode not in (1, 2):
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"the mode of heartbeat is {mode}")
    return mode


def _use_srtp(data: bytes, opener: Opener | None = None) -> tuple[int, ...]:
    """The SRTPProtectionProfiles of UseSRTPData (RFC 5764 section 4.1.1)."""
    reader = (opener or Reader)(data, "use_srtp")
    profiles = reader.uint16s16("SRTPProtectionProfiles")
    reader.opaque8("srtp_mki")
    reader.end()
    return profiles


def _oid_filters(data: bytes, opener: Opener | None = None) -> tuple[tuple[bytes, bytes], ...]:
    """OIDFilterExtension of a CertificateRequest (RFC 8446 section 4.2.5)."""
    reader = (opener or Reader)(data, "oid_filters")
    vector = reader.vector16("filters")
    filters: list[tuple[bytes, bytes]] = []
    while vector.more():
        oid = vector.opaque8("certificate_extension_oid", 1)
        filters.append((oid, vector.opaque16("certificate_extension_values")))
    reader.end()
    return tuple(filters)


def _ticket_request(data: bytes, opener: Opener | None = None) -> tuple[int, int]:
    """ClientTicketRequest: how many tickets a client wants, new and resumed (RFC 9149 3)."""
    reader = (opener or Reader)(data, "ticket_request")
    counts = reader.uint8("new_session_count"), reader.uint8("resumption_count")
    reader.end()
    return counts


def _encrypted_client_hello(data: bytes, opener: Opener | None = None) -> int:
    """ECHClientHello, of which the type is given (RFC 9849 section 5): outer 0, inner 1.

    Another type is illegal_parameter (RFC 9849 section 7).
    """
    reader = (opener or Reader)(data, "encrypted_client_hello")
    kind = reader.uint8("type")
    if kind == _ECH_OUTER:
        reader.uint16("kdf_id")
        reader.uint16("aead_id")
        reader.uint8("config_id")
        reader.opaque16("enc")
        reader.opaque16("payload", 1)
    elif kind != _ECH_INNER:
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"encrypted_client_hello is of type {kind}")
    reader.end()
    return kind


_ANSWER = MessageContext.SH12 | MessageContext.EE
_FORMS: Sequence[tuple[int, MessageContext, Form]] = (
    (Ext.SERVER_NAME, MessageContext.CH, ext.read_server_name),
    (Ext.SERVER_NAME, _ANSWER, _empty(Ext.SERVER_NAME)),
    (Ext.MAX_FRAGMENT_LENGTH, MessageContext.CH | _ANSWER, _max_fragment_length),
    (Ext.STATUS_REQUEST, MessageContext.CH, ext.read_status_request),
    (Ext.STATUS_REQUEST, MessageContext.CT, ext.read_certificate_status),
    (Ext.STATUS_REQUEST, MessageContext.CR, _asked_status),
    (Ext.STATUS_REQUEST, MessageContext.SH12, _empty(Ext.STATUS_REQUEST)),
    (Ext.SUPPORTED_GROUPS, MessageContext.CH | _ANSWER, ext.read_supported_groups),
    (Ext.EC_POINT_FORMATS, MessageContext.CH | MessageContext.SH12, ext.read_ec_point_formats),
    (
        Ext.SIGNATURE_ALGORITHMS,
        MessageContext.CH | MessageContext.CR,
        ext.read_signature_algorithms,
    ),
    (
        Ext.SIGNATURE_ALGORITHMS_CERT,
        MessageContext.CH | MessageContext.CR,
        ext.read_signature_algorithms,
    ),
    (Ext.USE_SRTP, MessageContext.CH | _ANSWER, _use_srtp),
    (Ext.HEARTBEAT, MessageContext.CH | _ANSWER, _heartbeat),
    (Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, MessageContext.CH | _ANSWER, ext.read_alpn),
    (
        Ext.SIGNED_CERTIFICATE_TIMESTAMP,
        MessageContext.CH | MessageContext.CR,
        _empty(Ext.SIGNED_CERTIFICATE_TIMESTAMP),
    ),
    (Ext.SIGNED_CERTIFICATE_TIMESTAMP, MessageContext.CT | MessageContext.SH12, _sct_list),
    (Ext.CLIENT_CERTIFICATE_TYPE, MessageContext.CH, _types(Ext.CLIENT_CERTIFICATE_TYPE)),
    (Ext.SERVER_CERTIFICATE_TYPE, MessageContext.CH, _types(Ext.SERVER_CERTIFICATE_TYPE)),
    (Ext.CLIENT_CERTIFICATE_TYPE, _ANSWER, _selected_type(Ext.CLIENT_CERTIFICATE_TYPE)),
    (Ext.SERVER_CERTIFICATE_TYPE, _ANSWER, _selected_type(Ext.SERVER_CERTIFICATE_TYPE)),
    (Ext.ENCRYPT_THEN_MAC, MessageContext.CH | MessageContext.SH12, _empty(Ext.ENCRYPT_THEN_MAC)),
    (
        Ext.EXTENDED_MASTER_SECRET,
        MessageContext.CH | MessageContext.SH12,
        _empty(Ext.EXTENDED_MASTER_SECRET),
    ),
    (
        Ext.COMPRESS_CERTIFICATE,
        MessageContext.CH | MessageContext.CR,
        ext.read_compress_certificate,
    ),
    (Ext.RECORD_SIZE_LIMIT, MessageContext.CH | _ANSWER, ext.read_record_size_limit),
    (
        Ext.DELEGATED_CREDENTIAL,
        MessageContext.CH | MessageContext.CR,
        ext.read_signature_algorithms,
    ),
    (Ext.SESSION_TICKET, MessageContext.SH12, _empty(Ext.SESSION_TICKET)),
    (Ext.PRE_SHARED_KEY, MessageContext.CH, ext.read_offered_psks),
    (Ext.PRE_SHARED_KEY, MessageContext.SH, ext.read_selected_identity),
    (Ext.EARLY_DATA, MessageContext.CH | MessageContext.EE, _empty(Ext.EARLY_DATA)),
    (Ext.EARLY_DATA, MessageContext.NST, ext.read_max_early_data_size),
    (Ext.SUPPORTED_VERSIONS, MessageContext.CH, ext.read_supported_versions),
    (Ext.SUPPORTED_VERSIONS, MessageContext.SH | MessageContext.HRR, ext.read_selected_version),
    (Ext.COOKIE, MessageContext.CH | MessageContext.HRR, ext.read_cookie),
    (Ext.PSK_KEY_EXCHANGE_MODES, MessageContext.CH, ext.read_psk_key_exchange_modes),
    (
        Ext.CERTIFICATE_AUTHORITIES,
        MessageContext.CH | MessageContext.CR,
        ext.read_certificate_authorities,
    ),
    (Ext.OID_FILTERS, MessageContext.CR, _oid_filters),
    (Ext.POST_HANDSHAKE_AUTH, MessageContext.CH, _empty(Ext.POST_HANDSHAKE_AUTH)),
    (Ext.KEY_SHARE, MessageContext.CH, ext.read_key_share_client_hello),
    (Ext.KEY_SHARE, MessageContext.SH, ext.read_key_share_server_hello),
    (Ext.KEY_SHARE, MessageContext.HRR, ext.read_key_share_hello_retry_request),
    (Ext.TICKET_REQUEST, MessageContext.CH, _ticket_request),
    (Ext.ENCRYPTED_CLIENT_HELLO, MessageContext.CH, _encrypted_client_hello),
    (Ext.RENEGOTIATION_INFO, MessageContext.CH | MessageContext.SH12, ext.read_renegotiation_info),
)

FORMS: Mapping[MessageContext, Mapping[int, Form]] = {
    place: {int(kind): read for kind, places, read in _FORMS if place in places}
    for place in MessageContext
}
"""By message and extension type. Those that hold any bytes, such as padding, are not in it."""


def read_forms(extensions: Extensions, place: MessageContext) -> dict[int, Any]:
    """Read every extension whose form is known, once: gives their values by extension type.

    Raises:
        ProtocolError: one does not follow its definition (decode_error), or holds a value that it
            must not (illegal_parameter).
    """
    forms, values = FORMS[place], dict[int, Any]()
    for kind, data in extensions.items():
        read = forms.get(kind)
        if read is not None:
            values[kind] = read(data)
    return values


def check_forms(extensions: Extensions, place: MessageContext) -> None:
    """`read_forms`, for the errors alone."""
    if extensions:
        read_forms(extensions, place)
