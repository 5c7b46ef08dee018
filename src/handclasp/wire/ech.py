"""Encrypted Client Hello on the wire (RFC 9849): configurations, the extension, the inner hello.

A client sends two hellos in one: the outer one can be read by everybody, and its
encrypted_client_hello holds the inner one, encrypted to a key of the server. The inner hello is
encoded without what it shares with the outer one (section 5.1), and padded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from struct import Struct as Packed
from typing import Any

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ExtensionType, extension_name
from handclasp.values import dataclass, field, replace, value
from handclasp.wire.messages import HEADER_SIZE, STRUCTS, ClientHello, write_message
from handclasp.wire.reader import Opener, Reader
from handclasp.wire.structs import scan, write_extensions
from handclasp.wire.writer import opaque8, opaque16, uint16s

ECH_VERSION = int(ExtensionType.ENCRYPTED_CLIENT_HELLO)
"""The version of ECH in RFC 9849, which is the number of its extension."""

CONFIRMATION_SIZE = 8
"""Bytes by which a server confirms that it took the inner hello (RFC 9849 section 7.2)."""

INNER = b"\1"
"""The encrypted_client_hello of an inner hello (RFC 9849 section 5)."""

_OUTER_TYPE, _INNER_TYPE = 0, 1
_ECH = ExtensionType.ENCRYPTED_CLIENT_HELLO
_ECH_OUTER_EXTENSIONS = ExtensionType.ECH_OUTER_EXTENSIONS
_PADDED_TO = 32

_head = Packed(">BHHBH").unpack_from
"""The type of an outer hello, its cipher suite and config_id, and the length of enc."""

_HEAD_SIZE = 8


@dataclass(frozen=True, slots=True)
class EchConfig:
    """One configuration of a server for Encrypted Client Hello (RFC 9849 section 4).

    >>> key = EchKey.generate("public.example")
    >>> key.configs[0].public_name
    'public.example'

    Attributes:
        raw: the whole ECHConfig, which takes part in the encryption.
        version: 0xfe0d in RFC 9849. The other fields are empty if it is another one.
        config_id: the number by which the server finds its key, from 0 to 255.
        kem: the number of the HPKE KEM.
        public_key: the key of that KEM.
        cipher_suites: pairs of the numbers of an HPKE KDF and AEAD, best first.
        maximum_name_length: the length in bytes to which clients pad shorter server names.
        public_name: the name in the outer hello. The server proves that it is this one if it cannot
            read the inner hello. It may not be a proper name: see `EchConfigList.usable`.
        extensions: the types of the extensions of the configuration.
    """

    raw: bytes = field(repr=False)
    version: int
    config_id: int = 0
    kem: int = 0
    public_key: bytes = field(default=b"", repr=False)
    cipher_suites: tuple[tuple[int, int], ...] = ()
    maximum_name_length: int = 0
    public_name: str = ""
    extensions: tuple[int, ...] = ()

    @property
    def mandatory_extensions(self) -> tuple[int, ...]:
        """The extensions without which a client must not use the configuration (section 4.2)."""
        return tuple(kind for kind in self.extensions if kind & 0x8000)


def read_ech_config_list(data: bytes, opener: Opener | None = None) -> tuple[EchConfig, ...]:
    """Read `ECHConfig ECHConfigList<4..2^16-1>` (RFC 9849 section 4). Raises `ProtocolError`."""
    return _read_config_list((opener or Reader)(data, "ECHConfigList"), "configs")


def read_retry_configs(data: bytes, opener: Opener | None = None) -> tuple[EchConfig, ...]:
    """Read ECHEncryptedExtensions (RFC 9849 section 5). Raises `ProtocolError`."""
    return _read_config_list((opener or Reader)(data, "encrypted_client_hello"), "retry_configs")


def _read_config_list(reader: Reader, name: str) -> tuple[EchConfig, ...]:
    vector = reader.vector16(name, 4)
    configs: list[EchConfig] = []
    while vector.more():
        version = vector.uint16("version")
        if version == ECH_VERSION:
            contents = vector.vector16("contents")
            configs.append(_read_contents(version, contents))
            contents.end()
        else:
            raw = version.to_bytes(2, "big") + opaque16(vector.opaque16("contents"))
            configs.append(EchConfig(raw, version))
    reader.end()
    return tuple(configs)


def _read_contents(version: int, reader: Reader) -> EchConfig:
    """Read ECHConfigContents (RFC 9849 section 4)."""
    found: list[tuple[int, int]] = []
    with reader.struct("key_config"):
        config_id = reader.uint8("config_id")
        kem = reader.uint16("kem_id")
        public_key = reader.opaque16("public_key", 1)
        suites = reader.vector16("cipher_suites", 4)
        while suites.more():
            found.append((suites.uint16("kdf_id"), suites.uint16("aead_id")))
    pairs = tuple(found)
    length = reader.uint8("maximum_name_length")
    name = reader.opaque8("public_name", 1)
    extensions = _read_config_extensions(reader)
    raw = _write_config(config_id, kem, public_key, pairs, length, name, extensions)
    shown = name.decode("ascii", "backslashreplace")
    return EchConfig(
        raw, version, config_id, kem, public_key, pairs, length, shown, tuple(extensions)
    )


def _read_config_extensions(reader: Reader) -> dict[int, bytes]:
    """Read `ECHConfigExtension extensions<0..2^16-1>` (RFC 9849 section 4), each at most once."""
    content = reader.vector16("extensions")
    found: dict[int, bytes] = {}
    for kind, data in content.pairs("type", "data"):
        if kind in found:
            detail = f"type 0x{kind:04x} in an ECHConfig"  # Its types are not those of messages.
            raise ProtocolError(Fault.DUPLICATE_EXTENSION, detail)
        found[kind] = data
    return found


def make_ech_config(
    config_id: int,
    kem: int,
    public_key: bytes,
    cipher_suites: Sequence[tuple[int, int]],
    maximum_name_length: int,
    public_name: str,
    extensions: Mapping[int, bytes] | None = None,
) -> EchConfig:
    """Return the configuration of these values (RFC 9849 section 4)."""
    pairs, name, given = tuple(cipher_suites), public_name.encode("ascii"), extensions or {}
    raw = _write_config(config_id, kem, public_key, pairs, maximum_name_length, name, given)
    return EchConfig(
        raw,
        ECH_VERSION,
        config_id,
        kem,
        public_key,
        pairs,
        maximum_name_length,
        public_name,
        tuple(given),
    )


def _write_config(
    config_id: int,
    kem: int,
    public_key: bytes,
    cipher_suites: Iterable[tuple[int, int]],
    maximum_name_length: int,
    public_name: bytes,
    extensions: Mapping[int, bytes],
) -> bytes:
    contents = b"".join(
        (
            config_id.to_bytes(1, "big"),
            kem.to_bytes(2, "big"),
            opaque16(public_key),
            opaque16(uint16s([number for pair in cipher_suites for number in pair])),
            maximum_name_length.to_bytes(1, "big"),
            opaque8(public_name),
            write_extensions(extensions),
        )
    )
    return ECH_VERSION.to_bytes(2, "big") + opaque16(contents)


def write_ech_config_list(configs: Iterable[EchConfig]) -> bytes:
    """Write an ECHConfigList (RFC 9849 section 4)."""
    return opaque16(b"".join([config.raw for config in configs]))


@value(frozen=True, slots=True)
class EncryptedHello:
    """The encrypted_client_hello of an outer hello (RFC 9849 section 5).

    struct {
        ECHClientHelloType type = outer;
        HpkeSymmetricCipherSuite cipher_suite;
        uint8 config_id;
        opaque enc<0..2^16-1>;
        opaque payload<1..2^16-1>;
    } ECHClientHello;

    Attributes:
        cipher_suite: the numbers of an HPKE KDF and AEAD.
    """

    cipher_suite: tuple[int, int]
    config_id: int
    enc: bytes = field(repr=False)
    payload: bytes = field(repr=False)


def read_encrypted_client_hello(data: bytes, opener: Opener | None = None) -> EncryptedHello | None:
    """Read ECHClientHello (RFC 9849 section 5); None for that of an inner hello.

    Another type is illegal_parameter (RFC 9849 section 7).
    """
    size = len(data)
    if opener is None and size > _HEAD_SIZE and not data[0]:
        # Nearly every hello of a browser has one, so it is read at once where it is well-formed.
        _, kdf, aead, config_id, enc_size = _head(data)
        at = _HEAD_SIZE + enc_size + 2
        if at < size == at + int.from_bytes(data[at - 2 : at], "big"):
            enc, payload = data[_HEAD_SIZE : at - 2], data[at:]
            return EncryptedHello((kdf, aead), config_id, enc, payload)
    reader = (opener or Reader)(data, "encrypted_client_hello")
    kind = reader.uint8("type")
    hello: EncryptedHello | None = None
    if kind == _OUTER_TYPE:
        with reader.struct("cipher_suite"):
            suite = reader.uint16("kdf_id"), reader.uint16("aead_id")
        config_id = reader.uint8("config_id")
        hello = EncryptedHello(
            suite, config_id, reader.opaque16("enc"), reader.opaque16("payload", 1)
        )
    elif kind != _INNER_TYPE:
        raise ProtocolError(Fault.ILLEGAL_VALUE, f"encrypted_client_hello is of type {kind}")
    reader.end()
    return hello


def write_encrypted_client_hello(hello: EncryptedHello) -> bytes:
    """Write the ECHClientHello of an outer hello (RFC 9849 section 5)."""
    kdf, aead = hello.cipher_suite
    head = (_OUTER_TYPE << 40 | kdf << 24 | aead << 8 | hello.config_id).to_bytes(6, "big")
    return head + opaque16(hello.enc) + opaque16(hello.payload)


def read_ech_confirmation(data: bytes, opener: Opener | None = None) -> bytes:
    """Read ECHHelloRetryRequest (RFC 9849 section 5)."""
    reader = (opener or Reader)(data, "encrypted_client_hello")
    confirmation = reader.opaque("confirmation", CONFIRMATION_SIZE)
    reader.end()
    return confirmation


def read_outer_extensions(data: bytes, opener: Opener | None = None) -> tuple[int, ...]:
    """Read `ExtensionType OuterExtensions<2..254>` (RFC 9849 section 5.1)."""
    reader = (opener or Reader)(data, "ech_outer_extensions")
    kinds = reader.uint16s8("OuterExtensions")
    reader.end()
    return kinds


def hpke_info(config: EchConfig) -> bytes:
    """Return the info of both ends' HPKE contexts (RFC 9849 section 6.1)."""
    return b"tls ech\0" + config.raw


def outer_aad(outer: ClientHello, hello: EncryptedHello) -> bytes:
    """Return ClientHelloOuterAAD: the outer hello with zeros as its payload (section 5.2)."""
    blank = replace(hello, payload=bytes(len(hello.payload)))
    extensions = {**outer.extensions, _ECH: write_encrypted_client_hello(blank)}
    return write_message(replace(outer, extensions=extensions))[HEADER_SIZE:]


def encode_inner_hello(
    inner: ClientHello, shared: Sequence[int], name_length: int, maximum_name_length: int
) -> bytes:
    """Return EncodedClientHelloInner (RFC 9849 section 5.1), padded as section 6.1.3 recommends.

    Args:
        shared: the extensions that the outer hello holds as well, which stand one after the other
            in the inner hello, and in the same order in the outer one.
        name_length: bytes of the server name; 0 if there is no server_name.
        maximum_name_length: that of the configuration.
    """
    extensions: dict[int, bytes] = {}
    for kind, data in inner.extensions.items():
        if kind not in shared:
            extensions[kind] = data
        elif _ECH_OUTER_EXTENSIONS not in extensions:
            extensions[_ECH_OUTER_EXTENSIONS] = opaque8(uint16s(shared))
    hello = replace(inner, legacy_session_id=b"", extensions=extensions)
    encoded = write_message(hello)[HEADER_SIZE:]
    # A name that is left out counts as its extension, which has 9 bytes besides the name.
    padding = max(0, maximum_name_length - name_length) if name_length else maximum_name_length + 9
    size = len(encoded) + padding
    return encoded.ljust(size + -size % _PADDED_TO, b"\0")


def decode_inner_hello(encoded: bytes, outer: ClientHello) -> tuple[ClientHello, tuple[int, ...]]:
    """Return the inner hello out of EncodedClientHelloInner (RFC 9849 section 5.1).

    The time is linear in the size of both hellos. The second value are the extensions of the outer
    hello that it refers to.

    Raises:
        ProtocolError: it is malformed (decode_error), or breaks a rule of section 5.1
            (illegal_parameter).
    """
    hello, size = _read_encoded(encoded)
    if encoded[size:].strip(b"\0"):
        raise ProtocolError(Fault.BAD_INNER_HELLO, "its padding is not of zeros")
    if hello.legacy_session_id:
        raise ProtocolError(Fault.BAD_INNER_HELLO, "it is encoded with a legacy_session_id")
    extensions: dict[int, bytes] = {}
    shared: tuple[int, ...] = ()
    for kind, data in hello.extensions.items():
        entries = {kind: data}
        if kind == _ECH_OUTER_EXTENSIONS:
            shared = read_outer_extensions(data)
            entries = _referenced(shared, outer)
        for each, content in entries.items():
            if each in extensions:
                name = extension_name(each)
                raise ProtocolError(Fault.DUPLICATE_EXTENSION, f"{name} in the inner ClientHello")
            extensions[each] = content
    session_id = outer.legacy_session_id
    inner = replace(hello, legacy_session_id=session_id, extensions=extensions, raw=b"")
    return replace(inner, raw=write_message(inner)), shared


def _read_encoded(encoded: bytes) -> tuple[ClientHello, int]:
    """Return the ClientHello at the start, without its header, and its size."""
    struct = STRUCTS[ClientHello]
    values: list[Any] = []
    size = scan(struct, encoded, 0, len(encoded), values)
    if size < 0:
        # One of the reads raises the error.
        values = struct.read_with(Reader(encoded, "EncodedClientHelloInner"))
    hello: ClientHello = struct.make(*values)
    return hello, size


def _referenced(kinds: Sequence[int], outer: ClientHello) -> dict[int, bytes]:
    """Return the extensions of the outer hello that an inner one refers to (section 5.1).

    Each is looked for behind the one before it, so that one that is missing, comes twice or stands
    in another order is not found.
    """
    if _ECH in kinds:
        raise ProtocolError(
            Fault.BAD_INNER_HELLO, "ech_outer_extensions refers to encrypted_client_hello"
        )
    entries = iter(outer.extensions.items())
    found: dict[int, bytes] = {}
    for kind in kinds:
        for each, data in entries:
            if each == kind:
                found[kind] = data
                break
        else:
            raise ProtocolError(
                Fault.BAD_INNER_HELLO,
                f"ech_outer_extensions refers to {extension_name(kind)}, which is not there in the "
                "outer ClientHello, at that place",
            )
    return found
