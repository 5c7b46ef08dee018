"""The registered numbers and names of TLS, as IANA spells them.

Only those that this library supports, plus the few others that it must recognise in order to
explain them. Values from a peer stay plain integers until they are looked up here: an unknown
number is normal (RFC 9846 section 9.3) and never an error in itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

from handclasp.iana.group_names import GROUPS_OF_OTHERS
from handclasp.iana.scheme_names import SCHEMES_OF_OTHERS
from handclasp.iana.suite_names import CIPHER_SUITES_OF_OTHERS
from handclasp.wording import listed

TLS12 = 0x0303
TLS13 = 0x0304

VERSION_NAMES = {
    0x0002: "SSLv2",
    0x0300: "SSLv3",
    0x0301: "TLSv1.0",
    0x0302: "TLSv1.1",
    TLS12: "TLSv1.2",
    TLS13: "TLSv1.3",
}
VERSIONS_BY_NAME = {name: number for number, name in VERSION_NAMES.items()}

_VERSION_NAMES = {
    **VERSION_NAMES,
    # RFC 8446 section 4.2.1.1 of the drafts: 0x7f and the number of the draft.
    **{0x7F00 + draft: f"TLSv1.3 draft {draft}" for draft in range(1, 29)},
    0xFEFF: "DTLSv1.0",
    0xFEFD: "DTLSv1.2",
    0xFEFC: "DTLSv1.3",
}
"""With the versions that are never negotiated here: names for people."""


class ContentType(IntEnum):
    """RFC 9846 section 5.1."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


class HandshakeType(IntEnum):
    """RFC 8446 section 4; `message_hash` exists only inside the transcript."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    NEW_SESSION_TICKET = 4
    END_OF_EARLY_DATA = 5
    ENCRYPTED_EXTENSIONS = 8
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    CERTIFICATE_STATUS = 22
    KEY_UPDATE = 24
    COMPRESSED_CERTIFICATE = 25
    MESSAGE_HASH = 254


class AlertLevel(IntEnum):
    """RFC 9846 section 6."""

    WARNING = 1
    FATAL = 2


class AlertDescription(IntEnum):
    """RFC 9846 section 6, and the older ones that peers still send."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    DECRYPTION_FAILED_RESERVED = 21
    RECORD_OVERFLOW = 22
    DECOMPRESSION_FAILURE_RESERVED = 30
    HANDSHAKE_FAILURE = 40
    NO_CERTIFICATE_RESERVED = 41
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    TOO_MANY_CIDS_REQUESTED = 52
    EXPORT_RESTRICTION_RESERVED = 60
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    INAPPROPRIATE_FALLBACK = 86
    USER_CANCELED = 90
    NO_RENEGOTIATION_RESERVED = 100
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    CERTIFICATE_UNOBTAINABLE_RESERVED = 111
    UNRECOGNIZED_NAME = 112
    BAD_CERTIFICATE_STATUS_RESPONSE = 113
    BAD_CERTIFICATE_HASH_VALUE_RESERVED = 114
    UNKNOWN_PSK_IDENTITY = 115
    CERTIFICATE_REQUIRED = 116
    GENERAL_ERROR = 117
    NO_APPLICATION_PROTOCOL = 120
    ECH_REQUIRED = 121


class ExtensionType(IntEnum):
    """The TLS ExtensionType Values registry, as far as this library needs it.

    What runs in each handshake keeps those that it needs in variables of its module: a look-up in
    the class takes twenty times as long.
    """

    SERVER_NAME = 0
    MAX_FRAGMENT_LENGTH = 1
    STATUS_REQUEST = 5
    SUPPORTED_GROUPS = 10
    EC_POINT_FORMATS = 11
    SIGNATURE_ALGORITHMS = 13
    USE_SRTP = 14
    HEARTBEAT = 15
    APPLICATION_LAYER_PROTOCOL_NEGOTIATION = 16
    SIGNED_CERTIFICATE_TIMESTAMP = 18
    CLIENT_CERTIFICATE_TYPE = 19
    SERVER_CERTIFICATE_TYPE = 20
    PADDING = 21
    ENCRYPT_THEN_MAC = 22
    EXTENDED_MASTER_SECRET = 23
    COMPRESS_CERTIFICATE = 27
    RECORD_SIZE_LIMIT = 28
    DELEGATED_CREDENTIAL = 34
    SESSION_TICKET = 35
    PRE_SHARED_KEY = 41
    EARLY_DATA = 42
    SUPPORTED_VERSIONS = 43
    COOKIE = 44
    PSK_KEY_EXCHANGE_MODES = 45
    CERTIFICATE_AUTHORITIES = 47
    OID_FILTERS = 48
    POST_HANDSHAKE_AUTH = 49
    SIGNATURE_ALGORITHMS_CERT = 50
    KEY_SHARE = 51
    TRANSPARENCY_INFO = 52
    QUIC_TRANSPORT_PARAMETERS = 57
    TICKET_REQUEST = 58
    ECH_OUTER_EXTENSIONS = 64768
    ENCRYPTED_CLIENT_HELLO = 65037
    RENEGOTIATION_INFO = 65281


class CertificateType(IntEnum):
    """The TLS Certificate Types registry (RFC 7250)."""

    X509 = 0
    RAW_PUBLIC_KEY = 2


CERTIFICATE_TYPES = {"X509": CertificateType.X509, "RawPublicKey": CertificateType.RAW_PUBLIC_KEY}
"""The types by their names in configs and `ConnectionInfo`."""


class CipherSuiteCode(IntEnum):
    """The supported cipher suites, by their IANA descriptions.

    Of TLS 1.3: RFC 9846 section B.4. Of TLS 1.2: RFC 5289, RFC 7905 and, for RSA key transport,
    RFC 5288.
    """

    TLS_AES_128_GCM_SHA256 = 0x1301
    TLS_AES_256_GCM_SHA384 = 0x1302
    TLS_CHACHA20_POLY1305_SHA256 = 0x1303
    TLS_AES_128_CCM_SHA256 = 0x1304
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xC02B
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 0xC02C
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 0xC02F
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 = 0xC030
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xCCA8
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xCCA9
    TLS_RSA_WITH_AES_128_GCM_SHA256 = 0x009C
    TLS_RSA_WITH_AES_256_GCM_SHA384 = 0x009D


class HpkeKem(IntEnum):
    """The HPKE KEM Identifiers registry, as far as keys for encrypted_client_hello need it."""

    DHKEM_P256_HKDF_SHA256 = 0x0010
    DHKEM_X25519_HKDF_SHA256 = 0x0020


class HpkeKdf(IntEnum):
    """The HPKE KDF Identifiers registry, likewise."""

    HKDF_SHA256 = 0x0001
    HKDF_SHA384 = 0x0002


class HpkeAead(IntEnum):
    """The HPKE AEAD Identifiers registry, likewise."""

    AES_128_GCM = 0x0001
    AES_256_GCM = 0x0002
    CHACHA20_POLY1305 = 0x0003


HPKE_KDF_NAMES = {1: "HKDF-SHA256", 2: "HKDF-SHA384", 3: "HKDF-SHA512"}
HPKE_AEAD_NAMES = {1: "AES-128-GCM", 2: "AES-256-GCM", 3: "ChaCha20-Poly1305"}
"""The names of HPKE's KDFs and AEADs, with those that this library does not have."""

EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF
"""A signal among the cipher suites: the same as an empty renegotiation_info (RFC 5746)."""

FALLBACK_SCSV = 0x5600
"""A signal among the cipher suites: the client supports a newer version (RFC 7507)."""


class GroupCode(IntEnum):
    """The supported groups of the TLS Supported Groups registry."""

    secp256r1 = 0x0017
    secp384r1 = 0x0018
    secp521r1 = 0x0019
    x25519 = 0x001D
    x448 = 0x001E
    SecP256r1MLKEM768 = 0x11EB
    X25519MLKEM768 = 0x11EC
    SecP384r1MLKEM1024 = 0x11ED


class SignatureSchemeCode(IntEnum):
    """The TLS SignatureScheme registry; from rsa_pkcs1 on for certificates only, or not at all."""

    ecdsa_secp256r1_sha256 = 0x0403
    ecdsa_secp384r1_sha384 = 0x0503
    ecdsa_secp521r1_sha512 = 0x0603
    rsa_pss_rsae_sha256 = 0x0804
    rsa_pss_rsae_sha384 = 0x0805
    rsa_pss_rsae_sha512 = 0x0806
    ed25519 = 0x0807
    ed448 = 0x0808
    rsa_pss_pss_sha256 = 0x0809
    rsa_pss_pss_sha384 = 0x080A
    rsa_pss_pss_sha512 = 0x080B
    mldsa44 = 0x0904
    mldsa65 = 0x0905
    mldsa87 = 0x0906
    rsa_pkcs1_sha256 = 0x0401
    rsa_pkcs1_sha384 = 0x0501
    rsa_pkcs1_sha512 = 0x0601
    rsa_pkcs1_sha1 = 0x0201
    ecdsa_sha1 = 0x0203


GREASE_VALUES = frozenset(0x0A0A + 0x1010 * n for n in range(16))
"""The reserved two-byte values, which peers must ignore (RFC 8701 section 2)."""


def version_name(number: int) -> str:
    """Return the name of a protocol version, or its number in hexadecimal."""
    return _VERSION_NAMES.get(number) or _unnamed(number)


def cipher_suite_name(number: int) -> str:
    """Return the IANA name of a cipher suite, or its number in hexadecimal."""
    return _CIPHER_SUITE_NAMES.get(number) or _unnamed(number)


def group_name(number: int) -> str:
    """Return the registered name of a group (X25519 and X448 in their usual capitals)."""
    return _GROUP_NAMES.get(number) or _unnamed(number)


def signature_scheme_name(number: int) -> str:
    """Return the IANA name of a signature scheme, or its number in hexadecimal."""
    return _SIGNATURE_SCHEME_NAMES.get(number) or _unnamed(number)


def certificate_type_name(number: int) -> str:
    """Return the name of a certificate type, or its number."""
    return _CERTIFICATE_TYPE_NAMES.get(number) or f"certificate type {number}"


def extension_name(number: int) -> str:
    """Return the IANA name of an extension, or its number in hexadecimal."""
    return _EXTENSION_NAMES.get(number) or _unnamed(number)


MOST_UNNAMED = 128
"""The number of values without a name that are kept of one list; clients that test a server's
tolerance send a handful (RFC 8701).
"""


def version_names(numbers: Iterable[int]) -> tuple[str, ...]:
    """Return the names of a peer's list of versions, bounded as `_names_of` says."""
    return _names_of(numbers, _VERSION_NAMES)


def cipher_suite_names(numbers: Iterable[int]) -> tuple[str, ...]:
    """Return the names of a peer's list of cipher suites, bounded as `_names_of` says."""
    return _names_of(numbers, _CIPHER_SUITE_NAMES)


def group_names(numbers: Iterable[int]) -> tuple[str, ...]:
    """Return the names of a peer's list of groups, bounded as `_names_of` says."""
    return _names_of(numbers, _GROUP_NAMES)


def signature_scheme_names(numbers: Iterable[int]) -> tuple[str, ...]:
    """Return the names of a peer's list of signature schemes, bounded as `_names_of` says."""
    return _names_of(numbers, _SIGNATURE_SCHEME_NAMES)


_ROOM = 800
"""Characters for the names of a hello's list: 24 suites fit in."""


def offered_names(names: Sequence[str], most: int) -> str:
    """Return the first names of a list in a hello, and how many more there are, for people."""
    # From this number on, `_names_of` may have left some out.
    return listed(names, most, at_least=len(names) >= MOST_UNNAMED, room=_ROOM)


def meant(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of an offer without signals and GREASE, which offer nothing (RFC 8701)."""
    return tuple(
        name for name in names if not (name.endswith("_SCSV") or name.startswith("GREASE"))
    )


def alert_name(number: int) -> str:
    """Return the RFC's name of an alert, or its number."""
    return _ALERT_NAMES.get(number) or f"alert {number}"


def handshake_type_name(number: int) -> str:
    """Return the struct name of a handshake message ("ClientHello"), or its number."""
    return _HANDSHAKE_TYPE_NAMES.get(number) or f"handshake type {number}"


def _names_of(numbers: Iterable[int], names: Mapping[int, str]) -> tuple[str, ...]:
    """Return the names of a list, in its order: each once, and a few of the unregistered values.

    A peer may fill 64 KB with a list, and code that looks up each entry of another list in the
    result makes as many comparisons as the product of both. So the result is no longer
    than what is known here and `MOST_UNNAMED`, whatever came. No RFC gives a meaning to a value
    that comes again, and a preference counts where it stands first.
    """
    kept: list[str] = []
    room = MOST_UNNAMED
    for number in dict.fromkeys(numbers):
        name = names.get(number)
        if name is None:
            if not room:
                continue
            room -= 1
            name = _unnamed(number)
        kept.append(name)
    return tuple(kept)


def _unnamed(number: int) -> str:
    return f"GREASE 0x{number:04x}" if number in GREASE_VALUES else f"0x{number:04x}"


# Plain dictionaries: looking up an enum member by its value is slow, and hellos are long.
_CIPHER_SUITE_NAMES = {
    **CIPHER_SUITES_OF_OTHERS,
    **{code.value: code.name for code in CipherSuiteCode},
    EMPTY_RENEGOTIATION_INFO_SCSV: "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
    FALLBACK_SCSV: "TLS_FALLBACK_SCSV",
}
_GROUP_NAMES = {
    **GROUPS_OF_OTHERS,
    **{code.value: code.name for code in GroupCode},
    GroupCode.x25519.value: "X25519",
    GroupCode.x448.value: "X448",
}
_SIGNATURE_SCHEME_NAMES = {
    **SCHEMES_OF_OTHERS,
    **{code.value: code.name for code in SignatureSchemeCode},
}
_EXTENSION_NAMES = {code.value: code.name.lower() for code in ExtensionType}
_ALERT_NAMES = {code.value: code.name.lower() for code in AlertDescription}
_HANDSHAKE_TYPE_NAMES = {
    3: "HelloVerifyRequest",  # DTLS
    6: "HelloRetryRequest of a draft",
    21: "CertificateURL",
    23: "SupplementalData",
    67: "NextProtocol",
} | {
    code.value: "".join(part.capitalize() for part in code.name.split("_"))
    for code in HandshakeType
}
_CERTIFICATE_TYPE_NAMES = {int(code): name for name, code in CERTIFICATE_TYPES.items()}
