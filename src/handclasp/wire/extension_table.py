"""Every known extension: where it is defined, the messages it may stand in, and its form in each.

A new extension is one entry here, with its read function. The entry makes the library refuse the
extension in other messages (RFC 8446 section 4.2) and refuse a malformed one, before anything is
answered; `rules` has these checks. It also gives the fields of the extension their names and
section in stories and pages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Flag, auto
from typing import Any, NamedTuple, TypeAlias

from handclasp.iana import ExtensionType as Ext
from handclasp.iana import extension_name
from handclasp.wire import ech
from handclasp.wire import extensions as ext
from handclasp.wire import foreign_extensions as foreign
from handclasp.wire.reader import Opener

Form: TypeAlias = Callable[..., Any]
"""Reads extension_data; takes an `Opener` as its second argument. Raises `ProtocolError`."""


class MessageContext(Flag):
    """A message that carries extensions, by the RFC's abbreviations.

    The ServerHello of TLS 1.2 is `SH12`: it carries what TLS 1.3 has moved to EncryptedExtensions
    and Certificate. An inner ClientHello as it is encrypted is `ECHI` (EncodedClientHelloInner).
    """

    CH = auto()
    SH = auto()
    HRR = auto()
    EE = auto()
    CT = auto()
    CR = auto()
    NST = auto()
    SH12 = auto()
    ECHI = auto()

    __hash__ = object.__hash__  # Each is made once, and Enum hashes names in Python.


CH, SH, HRR, EE, CT, CR, NST, SH12, ECHI = MessageContext


class KnownExtension(NamedTuple):
    """An extension that this library knows.

    Attributes:
        kind: its number.
        section: its definition.
        forms: the read function for each message that may carry it; None if its content may be
            any bytes. An extension without forms is known by name alone, and ignored in every
            message.
    """

    kind: Ext
    section: str
    forms: Mapping[MessageContext, Form | None]


def _empty(kind: Ext) -> Form:
    name = extension_name(kind)

    def read(data: bytes, opener: Opener | None = None) -> bool:
        if data or opener is not None:
            ext.read_empty(data, name, opener)
        return True

    return read


def _certificate_types(kind: Ext) -> Mapping[MessageContext, Form]:
    """Return the forms of client_certificate_type or server_certificate_type."""
    name = extension_name(kind)

    def read_types(data: bytes, opener: Opener | None = None) -> tuple[int, ...]:
        return ext.read_certificate_types(data, name, opener)

    def read_selected(data: bytes, opener: Opener | None = None) -> int:
        return ext.read_selected_certificate_type(data, name, opener)

    return {CH: read_types, EE | SH12: read_selected}


EXTENSIONS = (
    KnownExtension(
        Ext.SERVER_NAME,
        "RFC 6066 section 3",
        {CH: ext.read_server_name, EE | SH12: _empty(Ext.SERVER_NAME)},
    ),
    KnownExtension(
        Ext.MAX_FRAGMENT_LENGTH,
        "RFC 6066 section 4",
        {CH | EE | SH12: foreign.read_max_fragment_length},
    ),
    KnownExtension(
        Ext.STATUS_REQUEST,
        "RFC 6066 section 8",
        {
            CH: ext.read_status_request,
            CT: ext.read_certificate_status,
            CR: foreign.read_requested_status,
            SH12: _empty(Ext.STATUS_REQUEST),
        },
    ),
    KnownExtension(
        Ext.SUPPORTED_GROUPS,
        "RFC 8446 section 4.2.7",
        # Some TLS 1.2 servers send it, too; it says nothing there.
        {CH | EE | SH12: ext.read_supported_groups},
    ),
    KnownExtension(
        Ext.EC_POINT_FORMATS, "RFC 8422 section 5.1.2", {CH | SH12: ext.read_ec_point_formats}
    ),
    KnownExtension(
        Ext.SIGNATURE_ALGORITHMS,
        "RFC 8446 section 4.2.3",
        {CH | CR: ext.read_signature_algorithms},
    ),
    KnownExtension(Ext.USE_SRTP, "RFC 5764 section 4.1.1", {CH | EE | SH12: foreign.read_use_srtp}),
    KnownExtension(Ext.HEARTBEAT, "RFC 6520 section 2", {CH | EE | SH12: foreign.read_heartbeat}),
    KnownExtension(
        Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION,
        "RFC 7301 section 3.1",
        {CH | EE | SH12: ext.read_alpn},
    ),
    KnownExtension(
        Ext.SIGNED_CERTIFICATE_TIMESTAMP,
        "RFC 6962 section 3.3.1",
        {
            CH | CR: _empty(Ext.SIGNED_CERTIFICATE_TIMESTAMP),
            CT | SH12: foreign.read_sct_list,
        },
    ),
    KnownExtension(
        Ext.CLIENT_CERTIFICATE_TYPE,
        "RFC 7250 section 3",
        _certificate_types(Ext.CLIENT_CERTIFICATE_TYPE),
    ),
    KnownExtension(
        Ext.SERVER_CERTIFICATE_TYPE,
        "RFC 7250 section 3",
        _certificate_types(Ext.SERVER_CERTIFICATE_TYPE),
    ),
    KnownExtension(Ext.PADDING, "RFC 7685 section 3", {CH: None}),
    KnownExtension(
        Ext.ENCRYPT_THEN_MAC, "RFC 7366 section 2", {CH | SH12: _empty(Ext.ENCRYPT_THEN_MAC)}
    ),
    KnownExtension(
        Ext.EXTENDED_MASTER_SECRET,
        "RFC 7627 section 5.1",
        {CH | SH12: _empty(Ext.EXTENDED_MASTER_SECRET)},
    ),
    KnownExtension(
        Ext.COMPRESS_CERTIFICATE,
        "RFC 8879 section 3",
        {CH | CR: ext.read_compress_certificate},
    ),
    KnownExtension(
        Ext.RECORD_SIZE_LIMIT, "RFC 8449 section 4", {CH | EE | SH12: ext.read_record_size_limit}
    ),
    KnownExtension(
        Ext.DELEGATED_CREDENTIAL,
        "RFC 9345 section 4",
        {CH | CR: ext.read_signature_algorithms, CT: None},
    ),
    KnownExtension(
        Ext.SESSION_TICKET,
        "RFC 5077 section 3.2",
        {CH: None, SH12: _empty(Ext.SESSION_TICKET)},
    ),
    KnownExtension(
        Ext.PRE_SHARED_KEY,
        "RFC 8446 section 4.2.11",
        {CH: ext.read_offered_psks, SH: ext.read_selected_identity},
    ),
    KnownExtension(
        Ext.EARLY_DATA,
        "RFC 8446 section 4.2.10",
        {CH | EE: _empty(Ext.EARLY_DATA), NST: ext.read_max_early_data_size},
    ),
    KnownExtension(
        Ext.SUPPORTED_VERSIONS,
        "RFC 8446 section 4.2.1",
        {CH: ext.read_supported_versions, SH | HRR: ext.read_selected_version},
    ),
    KnownExtension(Ext.COOKIE, "RFC 8446 section 4.2.2", {CH | HRR: ext.read_cookie}),
    KnownExtension(
        Ext.PSK_KEY_EXCHANGE_MODES,
        "RFC 8446 section 4.2.9",
        {CH: ext.read_psk_key_exchange_modes},
    ),
    KnownExtension(
        Ext.CERTIFICATE_AUTHORITIES,
        "RFC 8446 section 4.2.4",
        {CH | CR: ext.read_certificate_authorities},
    ),
    KnownExtension(Ext.OID_FILTERS, "RFC 8446 section 4.2.5", {CR: foreign.read_oid_filters}),
    KnownExtension(
        Ext.POST_HANDSHAKE_AUTH, "RFC 8446 section 4.2.6", {CH: _empty(Ext.POST_HANDSHAKE_AUTH)}
    ),
    KnownExtension(
        Ext.SIGNATURE_ALGORITHMS_CERT,
        "RFC 8446 section 4.2.3",
        {CH | CR: ext.read_signature_algorithms},
    ),
    KnownExtension(
        Ext.KEY_SHARE,
        "RFC 8446 section 4.2.8",
        {
            CH: ext.read_key_share_client_hello,
            SH: ext.read_key_share_server_hello,
            HRR: ext.read_key_share_hello_retry_request,
        },
    ),
    KnownExtension(Ext.TRANSPARENCY_INFO, "RFC 9162 section 6.5", {}),
    KnownExtension(Ext.QUIC_TRANSPORT_PARAMETERS, "RFC 9001 section 8.2", {}),
    KnownExtension(
        Ext.TICKET_REQUEST,
        "RFC 9149 section 3",
        {CH: foreign.read_ticket_request, EE: None},
    ),
    KnownExtension(
        Ext.ENCRYPTED_CLIENT_HELLO,
        "RFC 9849 section 5",
        {
            CH: ech.read_encrypted_client_hello,
            HRR: ech.read_ech_confirmation,
            EE: ech.read_retry_configs,
        },
    ),
    KnownExtension(
        Ext.ECH_OUTER_EXTENSIONS, "RFC 9849 section 5.1", {ECHI: ech.read_outer_extensions}
    ),
    KnownExtension(
        Ext.RENEGOTIATION_INFO,
        "RFC 5746 section 3.2",
        {CH | SH12: ext.read_renegotiation_info},
    ),
)

FORMS: Mapping[MessageContext, Mapping[int, Form]] = {
    context: {
        int(known.kind): read
        for known in EXTENSIONS
        for contexts, read in known.forms.items()
        if context in contexts and read is not None
    }
    for context in MessageContext
}
"""The read functions by message and extension type, where the content has a form."""

ALLOWED: Mapping[MessageContext, frozenset[int]] = {
    context: frozenset(
        [int(known.kind) for known in EXTENSIONS if any(context in each for each in known.forms)]
    )
    for context in MessageContext
}
"""The extensions that each message may carry."""

SECTIONS: Mapping[int, str] = {int(known.kind): known.section for known in EXTENSIONS}
"""The definition of each extension."""
