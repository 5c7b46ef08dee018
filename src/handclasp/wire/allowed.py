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
from handclasp.wire.messages import Extensions


class Place(Flag):
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


_TABLE: Mapping[int, Place] = {
    Ext.SERVER_NAME: Place.CH | Place.EE | Place.SH12,
    Ext.MAX_FRAGMENT_LENGTH: Place.CH | Place.EE | Place.SH12,
    Ext.STATUS_REQUEST: Place.CH | Place.CR | Place.CT | Place.SH12,
    # Some TLS 1.2 servers send supported_groups, too; it says nothing there.
    Ext.SUPPORTED_GROUPS: Place.CH | Place.EE | Place.SH12,
    Ext.SIGNATURE_ALGORITHMS: Place.CH | Place.CR,
    Ext.USE_SRTP: Place.CH | Place.EE | Place.SH12,
    Ext.HEARTBEAT: Place.CH | Place.EE | Place.SH12,
    Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: Place.CH | Place.EE | Place.SH12,
    Ext.SIGNED_CERTIFICATE_TIMESTAMP: Place.CH | Place.CR | Place.CT | Place.SH12,
    Ext.CLIENT_CERTIFICATE_TYPE: Place.CH | Place.EE | Place.SH12,
    Ext.SERVER_CERTIFICATE_TYPE: Place.CH | Place.EE | Place.SH12,
    Ext.PADDING: Place.CH,
    Ext.COMPRESS_CERTIFICATE: Place.CH | Place.CR,
    Ext.RECORD_SIZE_LIMIT: Place.CH | Place.EE | Place.SH12,
    Ext.DELEGATED_CREDENTIAL: Place.CH | Place.CR | Place.CT,
    Ext.PRE_SHARED_KEY: Place.CH | Place.SH,
    Ext.EARLY_DATA: Place.CH | Place.EE | Place.NST,
    Ext.SUPPORTED_VERSIONS: Place.CH | Place.SH | Place.HRR,
    Ext.COOKIE: Place.CH | Place.HRR,
    Ext.PSK_KEY_EXCHANGE_MODES: Place.CH,
    Ext.CERTIFICATE_AUTHORITIES: Place.CH | Place.CR,
    Ext.OID_FILTERS: Place.CR,
    Ext.POST_HANDSHAKE_AUTH: Place.CH,
    Ext.SIGNATURE_ALGORITHMS_CERT: Place.CH | Place.CR,
    Ext.KEY_SHARE: Place.CH | Place.SH | Place.HRR,
    Ext.TICKET_REQUEST: Place.CH | Place.EE,
    Ext.ENCRYPTED_CLIENT_HELLO: Place.CH | Place.HRR | Place.EE,
    # Of TLS 1.2 alone: a ClientHello may offer them, a TLS 1.3 answer must not hold them.
    Ext.EC_POINT_FORMATS: Place.CH | Place.SH12,
    Ext.ENCRYPT_THEN_MAC: Place.CH | Place.SH12,
    Ext.EXTENDED_MASTER_SECRET: Place.CH | Place.SH12,
    Ext.SESSION_TICKET: Place.CH | Place.SH12,
    Ext.RENEGOTIATION_INFO: Place.CH | Place.SH12,
}

# As plain sets, since flags are slow to combine, and every message of a peer is checked.
_ALLOWED_IN: Mapping[Place, frozenset[int]] = {
    place: frozenset([int(kind) for kind, places in _TABLE.items() if place in places])
    for place in Place
}
_KNOWN = frozenset(map(int, _TABLE))

_ANSWERS = frozenset((Place.SH, Place.HRR, Place.EE, Place.CT, Place.SH12))
"""Messages that may hold only what was asked for."""


def check_allowed(extensions: Extensions, place: Place, limit: int) -> None:
    """Refuse known extensions in the wrong message, and more of them than `limit`.

    RFC 8446 section 4.2: "If an implementation receives an extension which it recognizes and
    which is not specified for the message in which it appears, it MUST abort the handshake with
    an illegal_parameter alert." Unknown ones are ignored here.
    """
    if len(extensions) > limit:
        raise ProtocolError(Fault.TOO_MANY_EXTENSIONS, f"{len(extensions)} in {place.name}")
    allowed = _ALLOWED_IN[place]
    for kind in extensions:
        if kind not in allowed and kind in _KNOWN:
            raise ProtocolError(
                Fault.MISPLACED_EXTENSION, f"{extension_name(kind)} in {place.name}"
            )


def check_answer(
    extensions: Extensions, place: Place, offered: Collection[int], limit: int
) -> None:
    """`check_allowed`, and refuse what was not `offered` (unsupported_extension).

    The cookie of a HelloRetryRequest is the one extension that comes unasked (section 4.2.2).
    """
    check_allowed(extensions, place, limit)
    if place not in _ANSWERS:
        raise ValueError(f"{place} is not an answer")
    for kind in extensions:
        if kind in offered or (place is Place.HRR and kind == Ext.COOKIE):
            continue
        raise ProtocolError(Fault.UNSOLICITED_EXTENSION, f"{extension_name(kind)} in {place.name}")
