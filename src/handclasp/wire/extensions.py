"""The content of extensions (RFC 8446 section 4.2, and the section of each one).

Each form has a read and a write function; if it differs between messages, the name has the message.
`read_` takes the extension_data and raises `ProtocolError` if it is malformed. An `opener` makes
the reader, which may record the bytes of each field.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct as Packed

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.values import field, value
from handclasp.wire.reader import Opener, Reader
from handclasp.wire.structs import Struct, opaque, uint, vector
from handclasp.wire.writer import opaque8, opaque16, opaque24, uint16s

_HOST_NAME = 0
_LONGEST_NAME = 255
_OCSP = 1

UNCOMPRESSED = 0
"""The ECPointFormat that is mandatory (RFC 8422 section 5.1.2)."""


@value(frozen=True, slots=True)
class KeyShareEntry:
    """One public value (RFC 8446 section 4.2.8).

    struct {
        NamedGroup group;
        opaque key_exchange<1..2^16-1>;
    } KeyShareEntry;
    """

    group: int
    key_exchange: bytes = field(repr=False)


@value(frozen=True, slots=True)
class PskIdentity:
    """A pre-shared key that the client names (RFC 8446 section 4.2.11).

    struct {
        opaque identity<1..2^16-1>;
        uint32 obfuscated_ticket_age;
    } PskIdentity;
    """

    identity: bytes = field(repr=False)
    obfuscated_ticket_age: int


@value(frozen=True, slots=True)
class OfferedPsks:
    """The pre_shared_key of a ClientHello (RFC 8446 section 4.2.11).

    struct {
        PskIdentity identities<7..2^16-1>;
        PskBinderEntry binders<33..2^16-1>;     /* opaque PskBinderEntry<32..255> */
    } OfferedPsks;
    """

    identities: tuple[PskIdentity, ...]
    binders: tuple[bytes, ...] = field(repr=False)

    @property
    def binders_size(self) -> int:
        """Return the bytes of the vector of binders with its length, which the binders do not
        cover.
        """
        return 2 + len(self.binders) + sum(map(len, self.binders))


def read_server_name(data: bytes, opener: Opener | None = None) -> str | None:
    """Read the host_name of a ServerNameList (RFC 6066 section 3), in lower case, or None."""
    reader = (opener or Reader)(data, "server_name")
    names = reader.vector16("server_name_list", 1)
    host_name: str | None = None
    while names.more():
        name_type = names.uint8("name_type")
        name = names.opaque16("host_name", 1)
        if name_type != _HOST_NAME:
            continue
        if host_name is not None:
            raise ProtocolError(Fault.ILLEGAL_VALUE, "server_name holds two names of one type")
        host_name = _host_name(name)
    reader.end()
    return host_name


def _host_name(name: bytes) -> str:
    if len(name) > _LONGEST_NAME:
        # It goes into errors, traces and tickets, and no DNS name is as long (RFC 1035 2.3.4).
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"server_name has {len(name)} bytes")
    try:
        text = name.decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolError(Fault.ILLEGAL_VALUE, "server_name is not ASCII") from None
    if not text.isprintable() or " " in text:
        raise ProtocolError(Fault.ILLEGAL_VALUE, "server_name holds characters no name can hold")
    return text.lower()


def write_server_name(host_name: str) -> bytes:
    """Write a ServerNameList of one host_name (RFC 6066 section 3), given as an A-label."""
    name = host_name.encode("ascii")
    size = len(name)
    return (size + 3).to_bytes(2, "big") + b"\0" + size.to_bytes(2, "big") + name


def read_empty(data: bytes, name: str, opener: Opener | None = None) -> None:
    """Read an extension without content, such as the server's server_name."""
    if data or opener is not None:
        (opener or Reader)(data, name).end()


def read_supported_groups(data: bytes, opener: Opener | None = None) -> tuple[int, ...]:
    """Read NamedGroupList (RFC 8446 section 4.2.7), preferred first."""
    return _read_uint16s(data, "supported_groups", "named_group_list", opener)


def write_supported_groups(groups: Iterable[int]) -> bytes:
    """Write NamedGroupList (RFC 8446 section 4.2.7)."""
    return opaque16(uint16s(groups))


def read_signature_algorithms(data: bytes, opener: Opener | None = None) -> tuple[int, ...]:
    """Read SignatureSchemeList (RFC 8446 section 4.2.3), preferred first."""
    return _read_uint16s(data, "signature_algorithms", "supported_signature_algorithms", opener)


def write_signature_algorithms(schemes: Iterable[int]) -> bytes:
    """Write SignatureSchemeList (RFC 8446 section 4.2.3)."""
    return opaque16(uint16s(schemes))


def read_alpn(data: bytes, opener: Opener | None = None) -> tuple[bytes, ...]:
    """Read ProtocolNameList (RFC 7301 section 3.1), preferred first; names are opaque bytes."""
    reader = (opener or Reader)(data, "application_layer_protocol_negotiation")
    names = reader.vector16("protocol_name_list", 2)
    protocols: list[bytes] = []
    while names.more():
        protocols.append(names.opaque8("protocol_name", 1))
    reader.end()
    return tuple(protocols)


def write_alpn(protocols: Iterable[bytes]) -> bytes:
    """Write ProtocolNameList (RFC 7301 section 3.1)."""
    return opaque16(b"".join([opaque8(protocol) for protocol in protocols]))


def read_supported_versions(data: bytes, opener: Opener | None = None) -> tuple[int, ...]:
    """Read SupportedVersions of a ClientHello (RFC 8446 section 4.2.1), preferred first."""
    reader = (opener or Reader)(data, "supported_versions")
    versions = reader.uint16s8("versions")
    reader.end()
    return versions


def write_supported_versions(versions: Iterable[int]) -> bytes:
    """Write SupportedVersions of a ClientHello (RFC 8446 section 4.2.1)."""
    return opaque8(uint16s(versions))


def read_selected_version(data: bytes, opener: Opener | None = None) -> int:
    """Read SupportedVersions of a ServerHello or HelloRetryRequest (RFC 8446 section 4.2.1)."""
    if opener is None and len(data) == 2:
        return data[0] << 8 | data[1]
    return _read_uint16(data, "supported_versions", "selected_version", opener)


def write_selected_version(version: int) -> bytes:
    """Write SupportedVersions of a ServerHello or HelloRetryRequest (RFC 8446 section 4.2.1)."""
    return version.to_bytes(2, "big")


def read_key_share_client_hello(
    data: bytes, opener: Opener | None = None
) -> tuple[KeyShareEntry, ...]:
    """Read KeyShareClientHello (RFC 8446 section 4.2.8); may be empty to ask for a retry."""
    if opener is None and (found := _scan_shares(data)) is not None:
        return tuple([KeyShareEntry(group, share) for group, share in found])
    entries: tuple[KeyShareEntry, ...]
    (entries,) = _CLIENT_SHARES.read(data, "key_share", 0, opener)
    return entries


def client_shares(data: bytes) -> Sequence[tuple[int, bytes]]:
    """Return the same as pairs of a group and its share: a server makes no more of them."""
    found = _scan_shares(data)
    if found is None:
        return [(each.group, each.key_exchange) for each in read_key_share_client_hello(data)]
    return found


def _scan_shares(data: bytes) -> list[tuple[int, bytes]] | None:
    """Return groups and shares, read in one pass; None if they are malformed."""
    at, end = 2, len(data)
    if end < at or data[0] << 8 | data[1] != end - at:
        return None
    entries: list[tuple[int, bytes]] = []
    while at + 4 < end:
        group, size = _group_and_length(data, at)
        at += 4
        entries.append((group, data[at : at + size]))
        if not size:
            return None
        at += size
    return entries if at == end else None


_group_and_length = Packed(">HH").unpack_from


def write_key_share_client_hello(entries: Sequence[KeyShareEntry]) -> bytes:
    """Write KeyShareClientHello (RFC 8446 section 4.2.8)."""
    return opaque16(b"".join(map(write_key_share_server_hello, entries)))


def read_key_share_server_hello(data: bytes, opener: Opener | None = None) -> KeyShareEntry:
    """Read KeyShareServerHello (RFC 8446 section 4.2.8)."""
    if opener is None and len(data) > 4 and data[2] << 8 | data[3] == len(data) - 4:
        return KeyShareEntry(data[0] << 8 | data[1], data[4:])
    return KeyShareEntry(*_KEY_SHARE_ENTRY.read(data, "key_share", 0, opener))


def write_key_share_server_hello(entry: KeyShareEntry) -> bytes:
    """Write KeyShareServerHello (RFC 8446 section 4.2.8)."""
    return key_share_entry(entry.group, entry.key_exchange)


def key_share_entry(group: int, key_exchange: bytes) -> bytes:
    """Return a KeyShareEntry (RFC 8446 section 4.2.8)."""
    return (group << 16 | len(key_exchange)).to_bytes(4, "big") + key_exchange


def read_key_share_hello_retry_request(data: bytes, opener: Opener | None = None) -> int:
    """Read KeyShareHelloRetryRequest (RFC 8446 section 4.2.8): the selected group."""
    return _read_uint16(data, "key_share", "selected_group", opener)


def write_key_share_hello_retry_request(group: int) -> bytes:
    """Write KeyShareHelloRetryRequest (RFC 8446 section 4.2.8)."""
    return group.to_bytes(2, "big")


def read_cookie(data: bytes, opener: Opener | None = None) -> bytes:
    """Read Cookie (RFC 8446 section 4.2.2), at least one byte."""
    reader = (opener or Reader)(data, "cookie")
    cookie = reader.opaque16("cookie", 1)
    reader.end()
    return cookie


def write_cookie(cookie: bytes) -> bytes:
    """Write Cookie (RFC 8446 section 4.2.2)."""
    return opaque16(cookie)


def read_record_size_limit(data: bytes, opener: Opener | None = None) -> int:
    """Read RecordSizeLimit in bytes (RFC 8449 section 4), not below 64."""
    limit = _read_uint16(data, "record_size_limit", "record_size_limit", opener)
    if limit < 64:
        raise ProtocolError(Fault.BAD_RECORD_SIZE_LIMIT, f"{limit} bytes")
    return limit


def write_record_size_limit(limit: int) -> bytes:
    """Write RecordSizeLimit in bytes (RFC 8449 section 4)."""
    return limit.to_bytes(2, "big")


def read_certificate_authorities(data: bytes, opener: Opener | None = None) -> tuple[bytes, ...]:
    """Read CertificateAuthoritiesExtension (RFC 8446 section 4.2.4): DER names of issuers."""
    reader = (opener or Reader)(data, "certificate_authorities")
    names = reader.vector16("authorities", 3)
    authorities = tuple(names.opaques16("DistinguishedName", 1))
    reader.end()
    return authorities


def write_certificate_authorities(authorities: Iterable[bytes]) -> bytes:
    """Write CertificateAuthoritiesExtension (RFC 8446 section 4.2.4)."""
    return opaque16(b"".join([opaque16(authority) for authority in authorities]))


def read_status_request(data: bytes, opener: Opener | None = None) -> bool:
    """Return whether a CertificateStatusRequest asks for an OCSP response (RFC 6066 section 8)."""
    reader = (opener or Reader)(data, "status_request")
    if reader.uint8("status_type") != _OCSP:
        return False  # The form of unknown kinds is unknown too.
    reader.opaque16("responder_id_list")
    reader.opaque16("request_extensions")
    reader.end()
    return True


def write_status_request() -> bytes:
    """Write a CertificateStatusRequest for an OCSP response of any responder (RFC 6066 section 8).

    This is the form in a ClientHello; in a CertificateRequest the extension is empty.
    """
    return _OCSP.to_bytes(1, "big") + opaque16(b"") + opaque16(b"")


def read_certificate_status(data: bytes, opener: Opener | None = None) -> bytes:
    """Read the OCSP response in a CertificateStatus, as DER (RFC 8446 section 4.4.2.1)."""
    reader = (opener or Reader)(data, "status_request")
    status_type = reader.uint8("status_type")
    if status_type != _OCSP:
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"CertificateStatus is of type {status_type}")
    response = reader.opaque24("response", 1)
    reader.end()
    return response


def write_certificate_status(response: bytes) -> bytes:
    """Write a CertificateStatus with an OCSP response (RFC 8446 section 4.4.2.1)."""
    return _OCSP.to_bytes(1, "big") + opaque24(response)


def read_certificate_types(
    data: bytes, name: str = "certificate_types", opener: Opener | None = None
) -> tuple[int, ...]:
    """Read the certificate types of a ClientHello, preferred first (RFC 7250 section 3).

    `name` is that of the extension, client_certificate_type or server_certificate_type.
    """
    reader = (opener or Reader)(data, name)
    types = reader.opaque8("certificate_types", 1)
    reader.end()
    return tuple(types)


def write_certificate_types(types: Iterable[int]) -> bytes:
    """Write the certificate types of a ClientHello (RFC 7250 section 3)."""
    return opaque8(bytes(types))


def read_selected_certificate_type(
    data: bytes, name: str = "certificate_type", opener: Opener | None = None
) -> int:
    """Read the certificate type of EncryptedExtensions (RFC 7250 section 3); `name` as above."""
    reader = (opener or Reader)(data, name)
    selected = reader.uint8("certificate_type")
    reader.end()
    return selected


def write_selected_certificate_type(selected: int) -> bytes:
    """Write the one certificate type of EncryptedExtensions (RFC 7250 section 3)."""
    return selected.to_bytes(1, "big")


def read_compress_certificate(data: bytes, opener: Opener | None = None) -> tuple[int, ...]:
    """Read CertificateCompressionAlgorithms, preferred first (RFC 8879 section 3)."""
    reader = (opener or Reader)(data, "compress_certificate")
    algorithms = reader.uint16s8("algorithms")
    reader.end()
    return algorithms


def write_compress_certificate(algorithms: Iterable[int]) -> bytes:
    """Write CertificateCompressionAlgorithms (RFC 8879 section 3)."""
    return opaque8(uint16s(algorithms))


PSK_KE = 0
PSK_DHE_KE = 1
"""PskKeyExchangeMode: the key alone, or with a key exchange that gives forward secrecy."""


def read_psk_key_exchange_modes(data: bytes, opener: Opener | None = None) -> bytes:
    """Read PskKeyExchangeModes, one byte for each (RFC 8446 section 4.2.9)."""
    reader = (opener or Reader)(data, "psk_key_exchange_modes")
    modes = reader.opaque8("ke_modes", 1)
    reader.end()
    return modes


def write_psk_key_exchange_modes(modes: bytes) -> bytes:
    """Write PskKeyExchangeModes (RFC 8446 section 4.2.9)."""
    return opaque8(modes)


def read_offered_psks(data: bytes, opener: Opener | None = None) -> OfferedPsks:
    """Read OfferedPsks of a ClientHello, as many binders as identities (RFC 8446 4.2.11)."""
    found = _scan_psks(data) if opener is None else None
    identities, binders = found or _OFFERED_PSKS.read(data, "pre_shared_key", 0, opener)
    if len(binders) != len(identities):
        raise ProtocolError(
            Fault.ILLEGAL_VALUE, f"{len(binders)} binders for {len(identities)} identities"
        )
    return OfferedPsks(tuple(identities), tuple(binders))


def _scan_psks(data: bytes) -> tuple[list[PskIdentity], list[bytes]] | None:
    """Return identities and binders, read in one pass; None if they are malformed."""
    identities: list[PskIdentity] = []
    binders: list[bytes] = []
    at, end = 2, len(data)
    after = at + int.from_bytes(data[:at], "big")
    while at + 6 < after < end - 1:
        start = at + 2
        age = start + (data[at] << 8 | data[at + 1])
        at = age + 4
        identities.append(PskIdentity(data[start:age], int.from_bytes(data[age:at], "big")))
        if age == start:
            return None
    if at != after or not identities or data[at] << 8 | data[at + 1] != end - at - 2:
        return None
    at += 2
    while at < end:
        start = at + 1
        at = start + data[at]
        binders.append(data[start:at])
        if at - start < _SHORTEST_BINDER:
            return None
    return (identities, binders) if at == end and binders else None


_SHORTEST_BINDER = 32


def write_offered_psks(offered: OfferedPsks) -> bytes:
    """Write OfferedPsks of a ClientHello (RFC 8446 section 4.2.11)."""
    named = [(each.identity, each.obfuscated_ticket_age) for each in offered.identities]
    return identity_entries(named) + binder_entries(offered.binders)


def identity_entries(identities: Iterable[tuple[bytes, int]]) -> bytes:
    """`PskIdentity identities<7..2^16-1>` of these names and obfuscated ages (section 4.2.11)."""
    parts: list[bytes] = []
    for identity, age in identities:
        parts += len(identity).to_bytes(2, "big"), identity, age.to_bytes(4, "big")
    content = b"".join(parts)
    return len(content).to_bytes(2, "big") + content


def binder_entries(binders: Iterable[bytes]) -> bytes:
    """`PskBinderEntry binders<33..2^16-1>`, which ends a hello (RFC 8446 section 4.2.11)."""
    parts: list[bytes] = []
    for binder in binders:
        parts += len(binder).to_bytes(1, "big"), binder
    content = b"".join(parts)
    return len(content).to_bytes(2, "big") + content


def read_selected_identity(data: bytes, opener: Opener | None = None) -> int:
    """Read the pre_shared_key of a ServerHello, the index of an identity (RFC 8446 4.2.11)."""
    return _read_uint16(data, "pre_shared_key", "selected_identity", opener)


def write_selected_identity(index: int) -> bytes:
    """Write the pre_shared_key of a ServerHello (RFC 8446 section 4.2.11)."""
    return index.to_bytes(2, "big")


def read_max_early_data_size(data: bytes, opener: Opener | None = None) -> int:
    """Read the early_data of a NewSessionTicket, in bytes (RFC 8446 section 4.2.10)."""
    reader = (opener or Reader)(data, "early_data")
    size = reader.uint32("max_early_data_size")
    reader.end()
    return size


def write_max_early_data_size(size: int) -> bytes:
    """Write the early_data of a NewSessionTicket (RFC 8446 section 4.2.10)."""
    return size.to_bytes(4, "big")


def read_ec_point_formats(data: bytes, opener: Opener | None = None) -> bytes:
    """Read ECPointFormatList, one byte for each format (RFC 8422 section 5.1.2)."""
    reader = (opener or Reader)(data, "ec_point_formats")
    formats = reader.opaque8("ec_point_format_list", 1)
    reader.end()
    return formats


def write_ec_point_formats(formats: bytes = bytes([UNCOMPRESSED])) -> bytes:
    """Write ECPointFormatList (RFC 8422 section 5.1.2), by default with the mandatory format."""
    return opaque8(formats)


def read_renegotiation_info(data: bytes, opener: Opener | None = None) -> bytes:
    """Read RenegotiationInfo (RFC 5746 section 3.2): empty in the first handshake."""
    reader = (opener or Reader)(data, "renegotiation_info")
    renegotiated_connection = reader.opaque8("renegotiated_connection")
    reader.end()
    return renegotiated_connection


def write_renegotiation_info(renegotiated_connection: bytes = b"") -> bytes:
    """Write RenegotiationInfo (RFC 5746 section 3.2), by default that of a first handshake."""
    return opaque8(renegotiated_connection)


def _read_uint16s(data: bytes, path: str, name: str, opener: Opener | None) -> tuple[int, ...]:
    reader = (opener or Reader)(data, path)
    values = reader.uint16s16(name)
    reader.end()
    return values


def _read_uint16(data: bytes, path: str, name: str, opener: Opener | None) -> int:
    reader = (opener or Reader)(data, path)
    value = reader.uint16(name)
    reader.end()
    return value


def _binder(entry: bytes) -> bytes:
    """Return a PskBinderEntry, which is its bytes."""
    return entry


_KEY_SHARE_ENTRY = Struct(KeyShareEntry, uint("group", 2), opaque("key_exchange", 2, 1))
_CLIENT_SHARES = Struct(tuple, vector("client_shares", 2, _KEY_SHARE_ENTRY))
_OFFERED_PSKS = Struct(
    OfferedPsks,
    vector(
        "identities",
        2,
        Struct(PskIdentity, opaque("identity", 2, 1), uint("obfuscated_ticket_age", 4)),
        7,
    ),
    vector("binders", 2, Struct(_binder, opaque("PskBinderEntry", 1, _SHORTEST_BINDER)), 33),
)
