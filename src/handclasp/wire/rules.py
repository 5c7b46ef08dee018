"""Which extension may stand in which message (the table of RFC 8446 section 4.2).

The ServerHello of TLS 1.2 is a place of its own, `SH12`: it holds what moved to
EncryptedExtensions and Certificate since.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Flag, auto

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.wire.iana import ExtensionType as Ext
from handclasp.wire.iana import extension_name
from handclasp.wire.structs import Extensions


class MessageContext(Flag):
    """A message that carries extensions, by the RFC's abbreviations."""

    CH = auto()
    SH = auto()
    HRR = auto()
    EE = auto()
    CT = auto()
    CR = auto()
    NST = auto()
    SH12 = auto()

    __hash__ = object.__hash__  # Each is made once, and Enum hashes names in Python.


_TABLE: Mapping[int, MessageContext] = {
    Ext.SERVER_NAME: MessageContext.CH | MessageContext.EE | MessageContext.SH12,
    Ext.MAX_FRAGMENT_LENGTH: MessageContext.CH | MessageContext.EE | MessageContext.SH12,
    Ext.STATUS_REQUEST: MessageContext.CH
    | MessageContext.CR
    | MessageContext.CT
    | MessageContext.SH12,
    # Some TLS 1.2 servers send supported_groups, too; it says nothing there.
    Ext.SUPPORTED_GROUPS: MessageContext.CH | MessageContext.EE | MessageContext.SH12,
    Ext.SIGNATURE_ALGORITHMS: MessageContext.CH | MessageContext.CR,
    Ext.USE_SRTP: MessageContext.CH | MessageContext.EE | MessageContext.SH12,
    Ext.HEARTBEAT: MessageContext.CH | MessageContext.EE | MessageContext.SH12,
    Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: MessageContext.CH
    | MessageContext.EE
    | MessageContext.SH12,
    Ext.SIGNED_CERTIFICATE_TIMESTAMP: MessageContext.CH
    | MessageContext.CR
    | MessageContext.CT
    | MessageContext.SH12,
    Ext.CLIENT_CERTIFICATE_TYPE: MessageContext.CH | MessageContext.EE | MessageContext.SH12,
    Ext.SERVER_CERTIFICATE_TYPE: MessageContext.CH | MessageContext.EE | MessageContext.SH12,
    Ext.PADDING: MessageContext.CH,
    Ext.COMPRESS_CERTIFICATE: MessageContext.CH | MessageContext.CR,
    Ext.RECORD_SIZE_LIMIT: MessageContext.CH | MessageContext.EE | MessageContext.SH12,
    Ext.DELEGATED_CREDENTIAL: MessageContext.CH | MessageContext.CR | MessageContext.CT,
    Ext.PRE_SHARED_KEY: MessageContext.CH | MessageContext.SH,
    Ext.EARLY_DATA: MessageContext.CH | MessageContext.EE | MessageContext.NST,
    Ext.SUPPORTED_VERSIONS: MessageContext.CH | MessageContext.SH | MessageContext.HRR,
    Ext.COOKIE: MessageContext.CH | MessageContext.HRR,
    Ext.PSK_KEY_EXCHANGE_MODES: MessageContext.CH,
    Ext.CERTIFICATE_AUTHORITIES: MessageContext.CH | MessageContext.CR,
    Ext.OID_FILTERS: MessageContext.CR,
    Ext.POST_HANDSHAKE_AUTH: MessageContext.CH,
    Ext.SIGNATURE_ALGORITHMS_CERT: MessageContext.CH | MessageContext.CR,
    Ext.KEY_SHARE: MessageContext.CH | MessageContext.SH | MessageContext.HRR,
    Ext.TICKET_REQUEST: MessageContext.CH | MessageContext.EE,
    Ext.ENCRYPTED_CLIENT_HELLO: MessageContext.CH | MessageContext.HRR | MessageContext.EE,
    # Of TLS 1.2 alone: a ClientHello may offer them, a TLS 1.3 answer must not hold them.
    Ext.EC_POINT_FORMATS: MessageContext.CH | MessageContext.SH12,
    Ext.ENCRYPT_THEN_MAC: MessageContext.CH | MessageContext.SH12,
    Ext.EXTENDED_MASTER_SECRET: MessageContext.CH | MessageContext.SH12,
    Ext.SESSION_TICKET: MessageContext.CH | MessageContext.SH12,
    Ext.RENEGOTIATION_INFO: MessageContext.CH | MessageContext.SH12,
}

# As plain sets, since flags are slow to combine, and every message of a peer is checked.
_ALLOWED_IN: Mapping[MessageContext, frozenset[int]] = {
    place: frozenset([int(kind) for kind, places in _TABLE.items() if place in places])
    for place in MessageContext
}
_KNOWN = frozenset(map(int, _TABLE))
_REFUSED_IN: Mapping[MessageContext, frozenset[int]] = {
    place: _KNOWN - allowed for place, allowed in _ALLOWED_IN.items()
}

_ANSWERS = frozenset(
    (
        MessageContext.SH,
        MessageContext.HRR,
        MessageContext.EE,
        MessageContext.CT,
        MessageContext.SH12,
    )
)
"""Messages that may hold only what was asked for."""


def check_extensions(extensions: Extensions, place: MessageContext, limit: int) -> None:
    """Refuse known extensions in the wrong message, and more of them than `limit`.

    RFC 8446 section 4.2: "If an implementation receives an extension which it recognizes and
    which is not specified for the message in which it appears, it MUST abort the handshake with
    an illegal_parameter alert." Unknown ones are ignored here.
    """
    if len(extensions) > limit:
        raise ProtocolError(Fault.TOO_MANY_EXTENSIONS, f"{len(extensions)} in {place.name}")
    refused = _REFUSED_IN[place]
    if not refused.isdisjoint(extensions):
        name = next(extension_name(kind) for kind in extensions if kind in refused)
        raise ProtocolError(Fault.MISPLACED_EXTENSION, f"{name} in {place.name}")


def check_answer(
    extensions: Extensions, place: MessageContext, offered: Collection[int], limit: int
) -> None:
    """`check_extensions`, and refuse what was not `offered` (unsupported_extension).

    The cookie of a HelloRetryRequest is the one extension that comes unasked (section 4.2.2).
    """
    if len(extensions) > limit or not _REFUSED_IN[place].isdisjoint(extensions):
        check_extensions(extensions, place, limit)  # It says what is wrong.
    if place not in _ANSWERS:
        raise ValueError(f"{place} is not an answer")
    for kind in extensions:
        if kind in offered or (place is MessageContext.HRR and kind == Ext.COOKIE):
            continue
        raise ProtocolError(Fault.UNSOLICITED_EXTENSION, f"{extension_name(kind)} in {place.name}")
