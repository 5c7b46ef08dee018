"""The messages of key exchanges that this library does not implement, by their own RFCs.

Captures show other programs, which may use finite-field Diffie-Hellman, a pre-shared key, or both,
and no signature. The cipher suite determines the key exchange. So do the lengths inside the
message: one that fits two of these forms is a rare accident.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from handclasp.errors import ProtocolError
from handclasp.iana import HandshakeType
from handclasp.story.recorded import KeyExchange
from handclasp.trace.annotate import Noted, opener_into
from handclasp.wire.messages import HEADER_SIZE
from handclasp.wire.messages12 import NAMED_CURVE
from handclasp.wire.reader import Reader


class Form(NamedTuple):
    """The form of a ServerKeyExchange.

    Attributes:
        story: one plain sentence about it.
        section: the section that defines it.
    """

    story: str
    section: str
    reads: tuple[Callable[[Reader], None], ...]


def _dh_params(reader: Reader) -> None:
    for name in ("dh_p", "dh_g", "dh_Ys"):
        reader.opaque16(name, 1)


def _ecdh_params(reader: Reader) -> None:
    if reader.uint8("curve_type") == NAMED_CURVE:
        reader.uint16("namedcurve")
    reader.opaque8("point", 1)


def _hint(reader: Reader) -> None:
    reader.opaque16("psk_identity_hint")


def _signed(reader: Reader) -> None:
    reader.uint16("algorithm")
    reader.opaque16("signature", 1)


def _signed11(reader: Reader) -> None:
    reader.opaque16("signature", 1)


_HALF = "My public half of a secret"
_SIGNED = ", signed with the certificate's private key."
_UNSIGNED = ", without a signature."
_NAMED = " A hint at the pre-shared key to use comes with it."
_GROUP = ", by Diffie-Hellman in a group that it defines"
_DH, _ECDH = "RFC 5246 section 7.4.3", "RFC 8422 section 5.4"

_FORMS = (
    Form(f"{_HALF}{_GROUP}{_SIGNED}", _DH, (_dh_params, _signed)),
    Form(f"{_HALF}{_GROUP}{_SIGNED}", "RFC 4346 section 7.4.3", (_dh_params, _signed11)),
    Form(f"{_HALF}{_GROUP}{_UNSIGNED}", _DH, (_dh_params,)),
    Form(f"{_HALF}{_SIGNED}", _ECDH, (_ecdh_params, _signed11)),
    Form(f"{_HALF}{_UNSIGNED}", _ECDH, (_ecdh_params,)),
    Form(
        f"{_HALF}{_GROUP}{_UNSIGNED}{_NAMED}",
        "RFC 4279 section 3",
        (_hint, _dh_params),
    ),
    Form(f"{_HALF}{_UNSIGNED}{_NAMED}", "RFC 5489 section 2", (_hint, _ecdh_params)),
    Form("A hint at the pre-shared key to use.", "RFC 4279 section 2", (_hint,)),
)


def server_form(raw: bytes) -> tuple[Form, list[Noted]] | None:
    """Return the form of a whole ServerKeyExchange, and its fields; None if it has none of them."""
    if raw[:1] != bytes([HandshakeType.SERVER_KEY_EXCHANGE]) or len(raw) < HEADER_SIZE:
        return None
    if int.from_bytes(raw[1:HEADER_SIZE], "big") != len(raw) - HEADER_SIZE:
        return None
    for form in _FORMS:
        parts = _read(raw[HEADER_SIZE:], form.reads)
        if parts is not None:
            return form, parts
    return None


def _psk_identity(reader: Reader) -> None:
    reader.opaque16("psk_identity")


def _ecdh_yc(reader: Reader) -> None:
    reader.opaque8("ecdh_Yc", 1)


def _dh_yc(reader: Reader) -> None:
    reader.opaque16("dh_Yc", 1)


def _encrypted(reader: Reader) -> None:
    reader.opaque16("encrypted_pre_master_secret")


_AGREED = ((_ecdh_yc,), (_dh_yc,), (_psk_identity, _ecdh_yc), (_psk_identity, _dh_yc))
_ANY = ((_ecdh_yc,), (_encrypted,), (_psk_identity, _ecdh_yc), (_psk_identity, _encrypted))
_CLIENT_FORMS: dict[KeyExchange, tuple[tuple[Callable[[Reader], None], ...], ...]] = {
    "agreement": _AGREED,
    "transport": ((_encrypted,),),
    "psk": ((_psk_identity,),),
    "psk transport": ((_psk_identity, _encrypted),),
}


def client_fields(exchange_keys: bytes, key_exchange: KeyExchange | None) -> list[Noted] | None:
    """Return the fields of a ClientKeyExchange; None if it has no form of that exchange."""
    forms = _CLIENT_FORMS.get(key_exchange, _ANY) if key_exchange is not None else _ANY
    for reads in forms:
        parts = _read(exchange_keys, reads)
        if parts is not None:
            return parts
    return None


def _read(data: bytes, reads: Sequence[Callable[[Reader], None]]) -> list[Noted] | None:
    parts: list[Noted] = []
    try:
        reader = opener_into(parts, HEADER_SIZE)(data, "key exchange")
        for read in reads:
            read(reader)
        reader.end()
    except ProtocolError:
        return None
    return parts
