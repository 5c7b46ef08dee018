"""The fields of handshake messages: each byte belongs to one.

`fields_of` lets the library's own codec read the message again, with a reader that records where
each field begins and ends (`annotate`), and describes the values (`words`). Extensions are read in
the same way, by the read function for their type and message. Bytes that were not read, because the
message is malformed or the extension unknown, are fields as well: the leaves of the tree always
cover the whole message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handclasp.errors import ProtocolError
from handclasp.iana import TLS13, extension_name, handshake_type_name
from handclasp.iana import ExtensionType as Ext
from handclasp.iana import HandshakeType as Type
from handclasp.story.exchanges import client_fields, server_form
from handclasp.story.meanings import (
    extension_section,
    field_meaning,
    field_section,
    message_section,
)
from handclasp.story.recorded import KeyExchange, read_recorded
from handclasp.story.words import CONFIG_EXTENSION, ELEMENTS, ITEMS, UNREAD, field_value, plural
from handclasp.trace.annotate import Noted, opener_into
from handclasp.values import dataclass
from handclasp.wire import messages12
from handclasp.wire.codecs import AnyMessage
from handclasp.wire.extension_table import FORMS, MessageContext
from handclasp.wire.messages import HEADER_SIZE, HELLO_RETRY_REQUEST_RANDOM


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message, with its parts.

    Attributes:
        name: the RFC's name.
        start, end: the offsets of its first byte and of the byte after its last.
        value: its value, in words.
        section: the section that defines it, such as "RFC 8446 section 4.1.2": its own, or that of
            the field around it.
        meaning: its purpose, in a sentence; empty if it is unknown.
        parts: the fields inside, in order; they cover all of its bytes.
    """

    name: str
    start: int
    end: int
    value: str
    section: str
    meaning: str
    parts: tuple[Field, ...] = ()

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.end - self.start

    def to_json(self) -> dict[str, Any]:
        """Return the tree as JSON values."""
        return {
            "name": self.name,
            "start": self.start,
            "end": self.end,
            "value": self.value,
            "section": self.section,
            "meaning": self.meaning,
            "parts": [part.to_json() for part in self.parts],
        }

    def leaves(self) -> Iterator[Field]:
        """Yield the fields without parts, in the order of their bytes."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()


def fields_of(raw: bytes, epoch: str, key_exchange: KeyExchange | None = None) -> Field:
    """Return the tree of a whole handshake message, including its 4-byte header.

    Args:
        raw: one recorded message, well-formed or not.
        epoch: its epoch, "plaintext", "early", "handshake" or "application".
        key_exchange: see `Facts.key_exchange`; it determines the form of a ClientKeyExchange.
    """
    noted: list[Noted] = []
    opener = opener_into(noted)
    message: AnyMessage | None = None
    try:
        header = opener(raw, "Handshake")
        header.uint8("msg_type")
        header.uint24("length")
        message = read_recorded(raw, epoch, opener)
    except ProtocolError:
        pass  # The fields before the error are recorded.
    name = _name_of(raw)
    root = Noted(name, 0, len(raw), parts=noted)
    _complete(root)
    form = server_form(raw) if message is None else None
    if form is not None:
        root.parts[2:] = form[1]
        _complete(root)
    elif isinstance(message, messages12.ClientKeyExchange):
        _open_key_exchange(root, message, key_exchange)
    else:
        _open_extensions(root, raw, _place_of(name, root))
    followed = (message is not None or form is not None) and int.from_bytes(
        raw[1:HEADER_SIZE], "big"
    ) == len(raw) - 4
    told = plural(len(raw), "byte")
    of_tls12 = form is not None or _is_of_tls12(name, root, message, epoch)
    section = form[0].section if form is not None else message_section(name, of_tls12=of_tls12)
    return Field(
        name=name,
        start=0,
        end=len(raw),
        value=told if followed else f"{told}, not as its definition wants it",
        section=section,
        meaning="",
        parts=tuple(_told(part, raw, (name,), section, of_tls12=of_tls12) for part in root.parts),
    )


def _name_of(raw: bytes) -> str:
    if not raw:
        return "nothing"
    is_retry = raw[0] == Type.SERVER_HELLO and raw[6:38] == HELLO_RETRY_REQUEST_RANDOM
    return "HelloRetryRequest" if is_retry else handshake_type_name(raw[0])


def _is_of_tls12(name: str, root: Noted, message: AnyMessage | None, epoch: str) -> bool:
    """Return whether TLS 1.2 defines the message; for a ClientHello, whether it does not offer TLS
    1.3.
    """
    match name:
        case "ClientHello":
            return not _offers_tls13(root)
        case "ServerHello":
            return _place_of(name, root) is MessageContext.SH12
        case "CertificateVerify":
            return epoch == "plaintext"
        case "Finished":
            return epoch != "handshake"  # TLS 1.2 has no separate keys for the handshake.
        case _:
            return isinstance(message, messages12.Message12)


def _offers_tls13(root: Noted) -> bool:
    """Return whether a hello, whose extensions have been read, offers TLS 1.3 or a draft of it."""
    listed = next((part for part in root.parts if part.name == "extensions"), root)
    for part in listed.parts:
        if part.name == "Extension" and part.parts[0].number == Ext.SUPPORTED_VERSIONS:
            return any(code == TLS13 or code >> 8 == _DRAFTS for code in _numbers_in(part))
    return False


def _numbers_in(noted: Noted) -> Iterator[int]:
    for part in noted.parts:
        if part.name == "versions" and part.number is not None:
            yield part.number
        yield from _numbers_in(part)


_DRAFTS = 0x7F
"""The first byte of the versions that drafts of TLS 1.3 had (draft-ietf-tls-tls13-28, 4.2.1)."""


def _place_of(name: str, root: Noted) -> MessageContext | None:
    """Return the context of the extensions, which determines their form, even if the message is
    broken.
    """
    if name == "ServerHello":
        listed = next((part for part in root.parts if part.name == "extensions"), root)
        kinds = [part.parts[0].number for part in listed.parts if part.name == "Extension"]
        return MessageContext.SH if Ext.SUPPORTED_VERSIONS in kinds else MessageContext.SH12
    return _PLACES.get(name)


_PLACES = {
    "ClientHello": MessageContext.CH,
    "HelloRetryRequest": MessageContext.HRR,
    "EncryptedExtensions": MessageContext.EE,
    "Certificate": MessageContext.CT,
    "CertificateRequest": MessageContext.CR,
    "NewSessionTicket": MessageContext.NST,
}


def _complete(noted: Noted) -> None:
    """Add a field for each struct in a vector, and fields for the bytes that were not read."""
    if not noted.parts:
        return
    for part in noted.parts:
        _complete(part)
    _fill(noted)
    if noted.repeats:
        _gather(noted)


def _fill(noted: Noted) -> None:
    """Add a field for the bytes after the parts; between the parts the codec skips none."""
    # If the message ends before a part, the part has no bytes.
    noted.parts = [part for part in noted.parts if part.start < part.end]
    at = noted.parts[-1].end if noted.parts else noted.start
    if at < noted.end:
        noted.parts.append(Noted(UNREAD, at, noted.end))


def _gather(noted: Noted) -> None:
    """Group fields into structs: all structs of a vector begin with the same field."""
    length, *rest = noted.parts
    element = ELEMENTS.get(noted.name)
    if element is None or not rest:
        return
    if element == "Extension" and rest[0].name == "type":
        element = CONFIG_EXTENSION
    gathered = [length]
    for part in rest:
        if part.name == UNREAD:
            gathered.append(part)
        elif part.name == rest[0].name:
            gathered.append(Noted(element, part.start, part.end, parts=[part]))
        else:
            gathered[-1].parts.append(part)
            gathered[-1].end = part.end
    noted.parts = gathered


def _open_key_exchange(
    root: Noted, message: messages12.ClientKeyExchange, key_exchange: KeyExchange | None
) -> None:
    """Read a ServerKeyExchange in the form that its lengths allow; at most one is possible."""
    parts = client_fields(message.exchange_keys, key_exchange)
    if parts is not None:
        root.parts[-1:] = parts
        _complete(root)
    else:
        root.parts[-1].name = "exchange_keys"


def _open_extensions(noted: Noted, raw: bytes, place: MessageContext | None) -> None:
    for part in noted.parts:
        if part.name == "Extension" and place is not None:
            _open(part, raw, place)
        else:
            _open_extensions(part, raw, place)


def _open(extension: Noted, raw: bytes, place: MessageContext) -> None:
    kind = extension.parts[0].number
    read = FORMS[place].get(kind) if kind is not None else None
    data = extension.parts[-1]
    if read is None or data.name != "extension_data" or len(data.parts) != 2:
        return  # The field is unknown, incomplete, or empty.
    content = data.parts[1]
    inside = Noted("content", content.start, content.end)
    try:
        read(raw[content.start : content.end], opener_into(inside.parts, content.start))
    except ProtocolError:
        # RFC 8446 section 4.2: what an extension means depends on all of it.
        if not inside.parts:
            return
    _complete(inside)
    data.parts[1:] = inside.parts or [content]


def _told(noted: Noted, raw: bytes, path: tuple[str, ...], around: str, *, of_tls12: bool) -> Field:
    """Return the described field with its parts; `around` is the section of the field around it."""
    name = ITEMS.get(noted.name, noted.name) if path[-1] == noted.name else noted.name
    section = field_section(name, path, of_tls12=of_tls12) or around
    kind = noted.parts[0].number if name == "Extension" else None
    if kind is not None:
        name, section = extension_name(kind), extension_section(kind) or around
    parts = tuple(
        _told(part, raw, (*path, name), section, of_tls12=of_tls12) for part in noted.parts
    )
    inside = [part.value for part in parts if part.name not in ("length", "name_type")]
    return Field(
        name=name,
        start=noted.start,
        end=noted.end,
        value=field_value(noted, raw, path, inside),
        section=section,
        meaning=field_meaning(name, path, of_tls12=of_tls12),
        parts=parts,
    )
