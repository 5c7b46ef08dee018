"""The checks of a message's extensions: whether they are allowed there, and well-formed.

RFC 9846 section 6: "Peers which receive a message which cannot be parsed according to the syntax
[...] MUST terminate the connection with a "decode_error" alert." That also applies to unused
extensions, and before any answer: whether a hello is well-formed must not depend on the server's
choices.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ExtensionType as Ext
from handclasp.iana import extension_name
from handclasp.wire.extension_table import ALLOWED, FORMS, MessageContext
from handclasp.wire.structs import Extensions

_REFUSED: Mapping[MessageContext, frozenset[int]] = {
    context: frozenset[int]().union(*ALLOWED.values()) - allowed
    for context, allowed in ALLOWED.items()
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
"""The messages that may have only offered extensions."""


def check_extensions(extensions: Extensions, place: MessageContext, limit: int) -> None:
    """Refuse known extensions in the wrong message, and more of them than `limit`.

    RFC 8446 section 4.2: "If an implementation receives an extension which it recognizes and
    which is not specified for the message in which it appears, it MUST abort the handshake with
    an illegal_parameter alert." Unknown ones are ignored here.
    """
    if len(extensions) > limit:
        raise ProtocolError(Fault.TOO_MANY_EXTENSIONS, f"{len(extensions)} in {place.name}")
    refused = _REFUSED[place]
    if not refused.isdisjoint(extensions):
        name = next(extension_name(kind) for kind in extensions if kind in refused)
        raise ProtocolError(Fault.MISPLACED_EXTENSION, f"{name} in {place.name}")


def check_answer(
    extensions: Extensions, place: MessageContext, offered: Collection[int], limit: int
) -> None:
    """Check as `check_extensions`, and refuse extensions not `offered` (unsupported_extension).

    The cookie of a HelloRetryRequest is the one extension that is not offered (section 4.2.2).
    """
    if len(extensions) > limit or not _REFUSED[place].isdisjoint(extensions):
        check_extensions(extensions, place, limit)  # It says what is wrong.
    if place not in _ANSWERS:
        raise ValueError(f"{place} is not an answer")
    for kind in extensions:
        if kind in offered or (place is MessageContext.HRR and kind == Ext.COOKIE):
            continue
        raise ProtocolError(Fault.UNSOLICITED_EXTENSION, f"{extension_name(kind)} in {place.name}")


def read_forms(extensions: Extensions, place: MessageContext) -> dict[int, Any]:
    """Read every extension whose form is known, once, and return the values by extension type.

    Raises:
        ProtocolError: one is malformed (decode_error), or has a forbidden value
            (illegal_parameter).
    """
    forms = FORMS[place]
    values: dict[int, Any] = {}
    for kind, data in extensions.items():
        read = forms.get(kind)
        if read is not None:
            values[kind] = read(data)
    return values


def check_forms(extensions: Extensions, place: MessageContext) -> None:
    """Check the form of every known extension, as `read_forms` does, for the errors alone."""
    if extensions:
        read_forms(extensions, place)
