"""The ClientHellos of a scan: each asks one thing, and none can become a connection.

A `Hello` says what to offer; `write_hello` makes its record. It may offer versions and suites that
this library does not speak: nothing here can answer what such a server says next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handclasp.iana import (
    EMPTY_RENEGOTIATION_INFO_SCSV,
    TLS12,
    TLS13,
    ContentType,
    ExtensionType,
)
from handclasp.values import dataclass, field
from handclasp.wire.extensions import (
    KeyShareEntry,
    write_alpn,
    write_ec_point_formats,
    write_key_share_client_hello,
    write_server_name,
    write_signature_algorithms,
    write_supported_groups,
    write_supported_versions,
)
from handclasp.wire.messages import ClientHello, write_message
from handclasp.wire.records import write_plaintext

SSL30 = 0x0300
TLS10 = 0x0301
TLS11 = 0x0302

_SSL30_RECORD = b"\x16\x03\x00"
_NO_COMPRESSION = b"\0"


@dataclass(frozen=True, slots=True)
class Hello:
    """The offer of one ClientHello.

    Attributes:
        version: the newest version that is offered. TLS 1.3 is offered alone; an older one the way
            that its own clients do, so that the server may answer with any older version.
        suites: codes of cipher suites, preferred first.
        groups, schemes: codes of groups and signature schemes, preferred first.
        server_name: the name to ask for; empty for none.
        alpn: application protocols, preferred first.
        shares: key shares of TLS 1.3. Without any, the answer is a HelloRetryRequest, which says
            all that a scan asks and costs neither end a key.
        compression: the compression methods of TLS 1.2 and below.
        extra: further extensions with their content.
    """

    version: int
    suites: Sequence[int]
    groups: Sequence[int] = ()
    schemes: Sequence[int] = ()
    server_name: str = ""
    alpn: Sequence[bytes] = ()
    shares: Sequence[KeyShareEntry] = ()
    compression: bytes = _NO_COMPRESSION
    extra: Mapping[int, bytes] = field(default_factory=dict[int, bytes])


def write_hello(hello: Hello, random: bytes) -> bytes:
    """Return the record with a ClientHello.

    Args:
        random: 64 bytes: the random of the hello, and its session id in TLS 1.3.
    """
    is_ssl = hello.version == SSL30
    suites = hello.suites
    if hello.version < TLS13:
        # RFC 5746 section 3.4: SSL 3.0 has no extensions, and this signal means the same.
        suites = (*suites, EMPTY_RENEGOTIATION_INFO_SCSV)
    message = write_message(
        ClientHello(
            min(hello.version, TLS12),
            random[:32],
            random[32:64] if hello.version == TLS13 else b"",
            suites,
            hello.compression,
            {} if is_ssl else _extensions(hello),
        )
    )
    if is_ssl:
        return _SSL30_RECORD + len(message).to_bytes(2, "big") + message
    return write_plaintext(ContentType.HANDSHAKE, message, first_hello=True)


def _extensions(hello: Hello) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    if hello.server_name:
        found[ExtensionType.SERVER_NAME] = write_server_name(hello.server_name)
    if hello.groups:
        found[ExtensionType.SUPPORTED_GROUPS] = write_supported_groups(hello.groups)
        if hello.version < TLS13:
            found[ExtensionType.EC_POINT_FORMATS] = write_ec_point_formats()
    if hello.schemes:
        found[ExtensionType.SIGNATURE_ALGORITHMS] = write_signature_algorithms(hello.schemes)
    if hello.alpn:
        name = ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION
        found[name] = write_alpn(hello.alpn)
    if hello.version == TLS13:
        found[ExtensionType.SUPPORTED_VERSIONS] = write_supported_versions([TLS13])
        found[ExtensionType.KEY_SHARE] = write_key_share_client_hello(hello.shares)
    found.update(hello.extra)
    return found
