"""Inner hellos in a capture: a key log with ECH_SECRET and ECH_CONFIG opens them (RFC 9850)."""

from __future__ import annotations

from collections.abc import Mapping

from handclasp.capture.conversation import CLIENT, Conversation
from handclasp.crypto.hpke import KEMS, HpkeContext, OpenError, SymmetricSuite
from handclasp.crypto.secret import Secret
from handclasp.errors import ProtocolError
from handclasp.iana import ExtensionType, extension_name
from handclasp.trace.events import InnerHello
from handclasp.wire.ech import (
    EncryptedHello,
    decode_inner_hello,
    hpke_info,
    outer_aad,
    read_ech_config_list,
    read_encrypted_client_hello,
)
from handclasp.wire.messages import ClientHello
from handclasp.wire.writer import opaque16

_MOST_OF_A_CONFIG = 0xFFFF
"""Bytes of a configuration: its list has a length of two bytes (RFC 9849 section 4)."""

_COUNTS = "CLIENT_HANDSHAKE_TRAFFIC_SECRET"


def open_inner_hello(talk: Conversation, outer: ClientHello) -> None:
    """Open the hello inside of this one, if the key log can, and take its secrets.

    The lines for traffic secrets have the random of the hello that counts, so where there are such
    lines for the inner one, the server took it.
    """
    try:
        found = _opened(talk, outer)
    except (ProtocolError, OpenError):
        return
    if found is None:
        return
    inner, shared = found
    names = tuple(map(extension_name, shared))
    talk.note(CLIENT, InnerHello(talk.at, "", inner.raw, names))
    secrets = talk.keylog.of(inner.random)
    talk.secrets = {**secrets, **talk.secrets}
    if _COUNTS in secrets:
        talk.ech_accepted = True
        talk.last[CLIENT, ClientHello] = inner


def _opened(talk: Conversation, outer: ClientHello) -> tuple[ClientHello, tuple[int, ...]] | None:
    data = outer.extensions.get(ExtensionType.ENCRYPTED_CLIENT_HELLO)
    encrypted = read_encrypted_client_hello(data) if data is not None else None
    if encrypted is None:
        return None
    if talk.ech is None:
        talk.ech = _context(talk.secrets, encrypted)
    if talk.ech is None:
        return None
    encoded = talk.ech.open(outer_aad(outer, encrypted), encrypted.payload)
    return decode_inner_hello(encoded, outer)


def _context(secrets: Mapping[str, bytes], encrypted: EncryptedHello) -> HpkeContext | None:
    secret, raw = secrets.get("ECH_SECRET"), secrets.get("ECH_CONFIG")
    suite = SymmetricSuite(*encrypted.cipher_suite)
    if secret is None or raw is None or not suite.is_supported:
        return None
    if len(raw) > _MOST_OF_A_CONFIG:
        return None  # No client had such a configuration: the line is broken, or was made to harm.
    configs = read_ech_config_list(opaque16(raw))
    kem = KEMS.get(configs[0].kem)
    return HpkeContext(kem, suite, Secret(secret), hpke_info(configs[0])) if kem else None
