"""The values of the fields of messages, in words.

The values come from a peer, so unprintable characters in them are escaped, and long text is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from handclasp.iana import (
    HPKE_AEAD_NAMES,
    HPKE_KDF_NAMES,
    certificate_type_name,
    cipher_suite_name,
    extension_name,
    group_name,
    handshake_type_name,
    signature_scheme_name,
    version_name,
)
from handclasp.trace.annotate import Noted
from handclasp.wire.compression import COMPRESSION_ALGORITHMS
from handclasp.wire.messages import HELLO_RETRY_REQUEST_RANDOM
from handclasp.wire.raw_keys import is_raw_public_key

UNREAD = "not read"
"""The name of bytes that belong to no known definition."""
ELEMENTS = {
    "extensions": "Extension",
    "client_shares": "KeyShareEntry",
    "identities": "PskIdentity",
    "server_name_list": "ServerName",
    "certificate_list": "CertificateEntry",
    "retry_configs": "ECHConfig",
    "cipher_suites": "HpkeSymmetricCipherSuite",
}
"""The structs in vectors, by the vector's name. TLS's own cipher_suites are numbers."""
CONFIG_EXTENSION = "ECHConfigExtension"
"""The struct in the extensions of an ECHConfig, whose types are not those of messages."""
ITEMS = {
    "cipher_suites": "CipherSuite",
    "named_group_list": "NamedGroup",
    "supported_signature_algorithms": "SignatureScheme",
    "versions": "ProtocolVersion",
    "algorithms": "CertificateCompressionAlgorithm",
}
"""The numbers in lists, by the list's name."""
_MOST_TOLD = 4
_LONGEST_TEXT = 100


def field_value(noted: Noted, raw: bytes, path: Sequence[str], inside: Sequence[str]) -> str:
    """Return the value of a field, in words.

    Args:
        raw: the message.
        path: the names of the fields around it, from the message on.
        inside: the values of its parts, without lengths.
    """
    if noted.number is not None:
        return _number_value(noted.name, noted.number, path)
    if noted.name == "Extension" and len(noted.parts) > 1:
        return inside[1]  # The first part is the type, which is already its name.
    if not noted.parts:
        name = path[-1] if noted.name == "content" else noted.name
        return _bytes_value(name, raw[noted.start : noted.end], path)
    inside = [each for each in inside if each != "empty"]
    if noted.name == "extensions":
        count = sum(part.name in ("Extension", CONFIG_EXTENSION) for part in noted.parts)
        return plural(count, "extension")
    if noted.name == "certificate_list":
        return plural(len(noted.parts) - 1, "certificate")
    if not inside:
        return "empty"
    if len(inside) == 1:
        return inside[0]
    told = ", ".join(inside[:_MOST_TOLD])
    more = len(inside) - _MOST_TOLD
    return f"{told}, and {more} more" if more > 0 else told


def _number_value(name: str, number: int, path: Sequence[str]) -> str:
    if name == "algorithm" and path[0] == "CompressedCertificate":
        name = "algorithms"
    if name == "type" and CONFIG_EXTENSION in path:
        return f"0x{number:04x}"
    told = _NUMBERS.get(name)
    return told(number) if told is not None else f"{number:,}"


def _bytes_value(name: str, data: bytes, path: Sequence[str]) -> str:
    if name == "random" and data == HELLO_RETRY_REQUEST_RANDOM:
        return "the fixed value that makes this a HelloRetryRequest"
    if name == "random" and path[0] == "ServerHello" and data.startswith(b"DOWNGRD", 24):
        return "32 random bytes, save that the last eight say: I could do a better version"
    if name == "certificate_types" and path[0] == "CertificateRequest":
        return ", ".join(_CLIENT_CERTIFICATE_TYPES.get(each, str(each)) for each in data)
    if name == "cert_data" and is_raw_public_key(data):
        return f"a public key of {plural(len(data), 'byte')}, without a certificate"
    told = _BYTES.get(name)
    return told(data) if told is not None else plural(len(data), "byte")


def _text(data: bytes) -> str:
    text = data.decode("ascii", "backslashreplace")
    shown = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[:_LONGEST_TEXT]}..."


def plural(count: int, noun: str) -> str:
    """Return a number with its noun, in words."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _bytes_of(number: int) -> str:
    return plural(number, "byte")


def _seconds(number: int) -> str:
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if number and number % size == 0:
            return f"{plural(number, 'second')}, which is {plural(number // size, noun)}"
    return plural(number, "second")


def _one_of(names: dict[int, str]) -> Callable[[int], str]:
    return lambda number: names.get(number, f"{number}, which is not known here")


def _each_of(names: dict[int, str]) -> Callable[[bytes], str]:
    return lambda data: ", ".join(names.get(each, str(each)) for each in data)


_COMPRESSION = {number: name for name, number in COMPRESSION_ALGORITHMS.items()}
_CLIENT_CERTIFICATE_TYPES = {1: "rsa_sign", 2: "dss_sign", 64: "ecdsa_sign"}
_NUMBERS: dict[str, Callable[[int], str]] = {
    "msg_type": handshake_type_name,
    "length": _bytes_of,
    "legacy_version": version_name,
    "versions": version_name,
    "selected_version": version_name,
    "cipher_suites": cipher_suite_name,
    "cipher_suite": cipher_suite_name,
    "version": version_name,
    "kem_id": _one_of({0x0010: "DHKEM(P-256, HKDF-SHA256)", 0x0020: "DHKEM(X25519, HKDF-SHA256)"}),
    "type": _one_of({0: "outer", 1: "inner"}),
    "kdf_id": _one_of(HPKE_KDF_NAMES),
    "aead_id": _one_of(HPKE_AEAD_NAMES),
    "legacy_compression_method": _one_of({0: "none"}),
    "extension_type": extension_name,
    "group": group_name,
    "named_group_list": group_name,
    "namedcurve": group_name,
    "selected_group": group_name,
    "supported_signature_algorithms": signature_scheme_name,
    "algorithm": signature_scheme_name,
    "algorithms": _one_of(_COMPRESSION),
    "name_type": _one_of({0: "host_name"}),
    "status_type": _one_of({1: "ocsp"}),
    "curve_type": _one_of({3: "named_curve"}),
    "certificate_type": certificate_type_name,
    "request_update": _one_of({0: "update_not_requested", 1: "update_requested"}),
    "ticket_lifetime": _seconds,
    "ticket_lifetime_hint": lambda number: _seconds(number) if number else "not said",
    "max_early_data_size": _bytes_of,
    "record_size_limit": _bytes_of,
    "uncompressed_length": _bytes_of,
}
_BYTES: dict[str, Callable[[bytes], str]] = {
    "random": lambda data: f"{len(data)} random bytes",
    "host_name": _text,
    "public_name": _text,
    "protocol_name": _text,
    "ke_modes": _each_of({0: "psk_ke", 1: "psk_dhe_ke"}),
    "ec_point_format_list": _each_of({0: "uncompressed"}),
    "legacy_compression_methods": _each_of({0: "none"}),
    "certificate_types": _each_of({0: "X509", 2: "RawPublicKey"}),
    "cert_data": lambda data: f"a certificate of {plural(len(data), 'byte')}",
    "ASN.1Cert": lambda data: f"a certificate of {plural(len(data), 'byte')}",
    "signature": lambda data: f"a signature of {plural(len(data), 'byte')}",
    "key_exchange": lambda data: f"a public value of {plural(len(data), 'byte')}",
    "point": lambda data: f"a public value of {plural(len(data), 'byte')}",
    "dh_p": lambda data: f"a prime of {8 * len(data):,} bits",
    "dh_g": lambda data: plural(len(data), "byte"),
    "dh_Ys": lambda data: f"a public value of {plural(len(data), 'byte')}",
    "psk_identity": _text,
    "psk_identity_hint": _text,
    "dh_Yc": lambda data: f"a public value of {plural(len(data), 'byte')}",
    "ecdh_Yc": lambda data: f"a public value of {plural(len(data), 'byte')}",
}
