"""What stands in the fields of messages, in words: names, meanings, and where each is defined.

The values are a peer's, so text of theirs has everything unprintable escaped, and is short.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from handclasp.trace.annotate import Noted
from handclasp.wire.compression import COMPRESSION_ALGORITHMS
from handclasp.wire.iana import ExtensionType as Ext
from handclasp.wire.iana import (
    certificate_type_name,
    cipher_suite_name,
    extension_name,
    group_name,
    handshake_type_name,
    signature_scheme_name,
    version_name,
)
from handclasp.wire.messages import HELLO_RETRY_REQUEST_RANDOM
from handclasp.wire.raw_keys import is_raw_public_key

UNREAD = "not read"
"""The name of bytes that no definition known here accounts for."""

ELEMENTS = {
    "extensions": "Extension",
    "client_shares": "KeyShareEntry",
    "identities": "PskIdentity",
    "server_name_list": "ServerName",
    "certificate_list": "CertificateEntry",
}
"""The structs that vectors are made of, by the vector's name."""

ITEMS = {
    "cipher_suites": "CipherSuite",
    "named_group_list": "NamedGroup",
    "supported_signature_algorithms": "SignatureScheme",
    "versions": "ProtocolVersion",
    "algorithms": "CertificateCompressionAlgorithm",
}
"""The numbers that lists are made of, by the list's name."""

_MOST_TOLD = 4
_LONGEST_TEXT = 100


def message_section(name: str, *, of_tls12: bool) -> str:
    """Where a message is defined; where that is not known, where all messages are."""
    return (of_tls12 and _MESSAGES12.get(name)) or _MESSAGES.get(name, "RFC 8446 section 4")


def extension_section(kind: int) -> str:
    """Where an extension is defined; empty where that is not known."""
    if extension_name(kind).startswith("GREASE"):
        return "RFC 8701 section 2"
    return _EXTENSIONS.get(kind, "")


def field_section(name: str, path: Sequence[str], *, of_tls12: bool = False) -> str:
    """Where a field is defined, if elsewhere than what it belongs to."""
    of_tls12 = of_tls12 and path[0] != "ClientHello"  # RFC 8446 defines that for both.
    if len(path) == 1 and name in ("msg_type", "length"):
        return "RFC 5246 section 7.4" if of_tls12 else "RFC 8446 section 4"
    return (of_tls12 and _SECTIONS12.get(name)) or _SECTIONS.get(name, "")


def field_meaning(name: str, path: Sequence[str], *, of_tls12: bool = False) -> str:
    """What a field is for, in a sentence; empty where that is not known.

    Args:
        path: the names of what the field belongs to, from the message on: the same field means
            one thing in a question and another in the answer.
        of_tls12: whether the message is one of TLS 1.2, or a hello that offers no newer version.
    """
    if name == "length":
        whole = "the message after this header" if len(path) == 1 else "what follows in this field"
        return f"How many bytes {whole} has."
    if name.startswith("GREASE"):
        return "Made up, so that nobody gets used to knowing everything."
    here = _MEANINGS_HERE.get((path[0], name))
    if of_tls12:
        here = _MEANINGS12.get((path[0], name), here)
    return _MEANINGS.get(name, "") if here is None else here


def field_value(noted: Noted, raw: bytes, path: Sequence[str], inside: Sequence[str]) -> str:
    """What stands in a field, in words.

    Args:
        raw: the message.
        path: the names of what the field belongs to, from the message on.
        inside: what its parts say, without lengths.
    """
    if noted.number is not None:
        return _number_value(noted.name, noted.number, path)
    if noted.name == "Extension" and len(noted.parts) > 1:
        return inside[1]  # The first part is the type, which is its name already.
    if not noted.parts:
        name = path[-1] if noted.name == "content" else noted.name
        return _bytes_value(name, raw[noted.start : noted.end], path)
    inside = [each for each in inside if each != "empty"]
    if noted.name == "extensions":
        return plural(sum(part.name == "Extension" for part in noted.parts), "extension")
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
    """How many there are, in words."""
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

_MESSAGES = {
    "ClientHello": "RFC 8446 section 4.1.2",
    "ServerHello": "RFC 8446 section 4.1.3",
    "HelloRetryRequest": "RFC 8446 section 4.1.4",
    "EncryptedExtensions": "RFC 8446 section 4.3.1",
    "CertificateRequest": "RFC 8446 section 4.3.2",
    "Certificate": "RFC 8446 section 4.4.2",
    "CompressedCertificate": "RFC 8879 section 4",
    "CertificateVerify": "RFC 8446 section 4.4.3",
    "Finished": "RFC 8446 section 4.4.4",
    "EndOfEarlyData": "RFC 8446 section 4.5",
    "NewSessionTicket": "RFC 8446 section 4.6.1",
    "KeyUpdate": "RFC 8446 section 4.6.3",
}

_MESSAGES12 = {
    "HelloRequest": "RFC 5246 section 7.4.1.1",
    "ServerHello": "RFC 5246 section 7.4.1.3",
    "Certificate": "RFC 5246 section 7.4.2",
    "CertificateStatus": "RFC 6066 section 8",
    "ServerKeyExchange": "RFC 8422 section 5.4",
    "CertificateRequest": "RFC 5246 section 7.4.4",
    "ServerHelloDone": "RFC 5246 section 7.4.5",
    "CertificateVerify": "RFC 5246 section 7.4.8",
    "ClientKeyExchange": "RFC 8422 section 5.7",
    "Finished": "RFC 5246 section 7.4.9",
    "NewSessionTicket": "RFC 5077 section 3.3",
}

_SECTIONS = {
    "extensions": "RFC 8446 section 4.2",
    "encrypted_pre_master_secret": "RFC 5246 section 7.4.7.1",
    "dh_Yc": "RFC 5246 section 7.4.7.2",
    "psk_identity": "RFC 4279 section 2",
}
"""Of fields that are defined elsewhere than what they belong to."""

_SECTIONS12 = {"extensions": "RFC 5246 section 7.4.1.4"}

_EXTENSIONS: dict[int, str] = {
    Ext.SERVER_NAME: "RFC 6066 section 3",
    Ext.MAX_FRAGMENT_LENGTH: "RFC 6066 section 4",
    Ext.STATUS_REQUEST: "RFC 6066 section 8",
    Ext.USE_SRTP: "RFC 5764 section 4.1.1",
    Ext.HEARTBEAT: "RFC 6520 section 2",
    Ext.SUPPORTED_GROUPS: "RFC 8446 section 4.2.7",
    Ext.EC_POINT_FORMATS: "RFC 8422 section 5.1.2",
    Ext.SIGNATURE_ALGORITHMS: "RFC 8446 section 4.2.3",
    Ext.SIGNATURE_ALGORITHMS_CERT: "RFC 8446 section 4.2.3",
    Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: "RFC 7301 section 3.1",
    Ext.SIGNED_CERTIFICATE_TIMESTAMP: "RFC 6962 section 3.3.1",
    Ext.CLIENT_CERTIFICATE_TYPE: "RFC 7250 section 3",
    Ext.SERVER_CERTIFICATE_TYPE: "RFC 7250 section 3",
    Ext.PADDING: "RFC 7685 section 3",
    Ext.ENCRYPT_THEN_MAC: "RFC 7366 section 2",
    Ext.EXTENDED_MASTER_SECRET: "RFC 7627 section 5.1",
    Ext.COMPRESS_CERTIFICATE: "RFC 8879 section 3",
    Ext.RECORD_SIZE_LIMIT: "RFC 8449 section 4",
    Ext.DELEGATED_CREDENTIAL: "RFC 9345 section 4",
    Ext.SESSION_TICKET: "RFC 5077 section 3.2",
    Ext.PRE_SHARED_KEY: "RFC 8446 section 4.2.11",
    Ext.EARLY_DATA: "RFC 8446 section 4.2.10",
    Ext.SUPPORTED_VERSIONS: "RFC 8446 section 4.2.1",
    Ext.COOKIE: "RFC 8446 section 4.2.2",
    Ext.PSK_KEY_EXCHANGE_MODES: "RFC 8446 section 4.2.9",
    Ext.CERTIFICATE_AUTHORITIES: "RFC 8446 section 4.2.4",
    Ext.OID_FILTERS: "RFC 8446 section 4.2.5",
    Ext.POST_HANDSHAKE_AUTH: "RFC 8446 section 4.2.6",
    Ext.KEY_SHARE: "RFC 8446 section 4.2.8",
    Ext.TRANSPARENCY_INFO: "RFC 9162 section 6.5",
    Ext.QUIC_TRANSPORT_PARAMETERS: "RFC 9001 section 8.2",
    Ext.TICKET_REQUEST: "RFC 9149 section 3",
    Ext.ENCRYPTED_CLIENT_HELLO: "RFC 9849 section 5",
    Ext.RENEGOTIATION_INFO: "RFC 5746 section 3.2",
}

_MEANINGS = {
    "msg_type": "Which of the handshake messages this is.",
    "random": "Fresh for this handshake, so that no other one can be passed off as it.",
    "cipher_suites": "The ciphers that the client can do, best first; among them may be signals.",
    "cipher_suite": "The cipher that the server took.",
    "legacy_compression_methods": "Compression was given up: it gave secrets away.",
    "legacy_compression_method": "Compression was given up: it gave secrets away.",
    "extensions": "All else that is to be settled.",
    "supported_groups": "In which groups keys can be agreed upon, best first.",
    "signature_algorithms": "In which schemes the other side may sign.",
    "signature_algorithms_cert": "In which schemes the other side's certificates may be signed.",
    "psk_key_exchange_modes": "Whether a pre-shared key may go alone, or only together with a "
    "fresh key exchange.",
    "compress_certificate": "How the other side may compress its certificates.",
    "record_size_limit": "The largest record that this side wants to get.",
    "renegotiation_info": "Closes a hole that renegotiation had, before TLS 1.3 gave it up.",
    "ec_point_formats": "How points of curves are written in TLS 1.2; only the uncompressed form "
    "is left.",
    "certificate_authorities": "The issuers whose certificates will do.",
    "post_handshake_auth": "The client may be asked who it is later on.",
    "padding": "Nothing: it makes the hello longer.",
    "certificate_request_context": "Ties an answer to its question; empty in the handshake.",
    "cert_data": "The certificate itself in DER, or the bare public key where that was agreed.",
    "ASN.1Cert": "The certificate itself, in DER.",
    "signature": "Made with the private key that belongs to what the sender showed of itself.",
    "verify_data": "A keyed digest of everything that was said so far.",
    "ticket_lifetime": "How long the ticket may be used.",
    "ticket_lifetime_hint": "How long the server means to take the ticket.",
    "ticket_age_add": "Hides the ticket's age from whoever listens, when the client comes back.",
    "ticket_nonce": "Makes the key of this ticket another one than that of the next.",
    "ticket": "What the client shows when it comes back; to the client it is just bytes.",
    "obfuscated_ticket_age": "The age of the ticket in milliseconds, plus the ticket_age_add that "
    "came with it, which only the two sides know; for a key that came with no ticket, 0.",
    "PskBinderEntry": "Proof that the client holds the key, and for this hello alone.",
    "encrypted_pre_master_secret": "The secret, encrypted to the server's key.",
    "ecdh_Yc": "The client's public half of the secret.",
    "dh_Yc": "The client's public half of the secret.",
    "point": "The server's public half of the secret.",
    "compressed_certificate_message": "A Certificate without its header, compressed.",
    "request_update": "Whether the other side shall change its keys as well.",
    "dh_p": "The prime that the group goes by.",
    "dh_g": "The number of which both raise a power.",
    "dh_Ys": "The server's public half of the secret.",
    "psk_identity": "Which of the keys that both have from before the client goes by.",
    "psk_identity_hint": "What helps the client to choose a key that both have from before.",
    UNREAD: "No definition that is known here accounts for these bytes.",
}
"""What is so in every message of every version that has the field."""

_LEGACY_VERSION = (
    "Once the version; now it stays at that of TLS 1.2, so that old boxes on the way let it pass. "
    "The extension supported_versions says what is meant."
)
_SESSION_ID_ECHO = "The client's legacy_session_id, sent back."
_COOKIE_RETURNED = "The server's own note of its HelloRetryRequest, brought back."

_MEANINGS_HERE = {
    ("ClientHello", "legacy_version"): _LEGACY_VERSION,
    ("ServerHello", "legacy_version"): _LEGACY_VERSION,
    ("HelloRetryRequest", "legacy_version"): _LEGACY_VERSION,
    ("HelloRetryRequest", "random"): "Nothing random: by this value a HelloRetryRequest is told "
    "from a ServerHello.",
    ("ClientHello", "legacy_session_id"): "The name of an earlier session of TLS 1.2, if the "
    "client has one. TLS 1.3 has no use for it: there a client may fill it at random, so that the "
    "hello looks as it always did.",
    ("ServerHello", "legacy_session_id_echo"): _SESSION_ID_ECHO,
    ("HelloRetryRequest", "legacy_session_id_echo"): _SESSION_ID_ECHO,
    ("ClientHello", "server_name"): "Whom the client is looking for: a server may have many names.",
    ("ServerHello", "server_name"): "The server went by the name that the client gave.",
    ("EncryptedExtensions", "server_name"): "The server went by the name that the client gave.",
    ("EncryptedExtensions", "supported_groups"): "The groups that the server would rather have "
    "keys agreed upon in, for the next time.",
    ("ClientHello", "key_share"): "The client's public halves of the secret, one for each group "
    "that it expects the server to take; there may be none.",
    ("ServerHello", "key_share"): "The server's public half of the secret.",
    ("HelloRetryRequest", "key_share"): "The group of which the server wants a public half.",
    ("ClientHello", "supported_versions"): "The versions that the client speaks, best first.",
    ("ServerHello", "supported_versions"): "The version that the server took.",
    ("HelloRetryRequest", "supported_versions"): "The version that the server took.",
    ("ClientHello", "application_layer_protocol_negotiation"): "What may be spoken inside, best "
    "first.",
    ("ServerHello", "application_layer_protocol_negotiation"): "What is to be spoken inside.",
    ("EncryptedExtensions", "application_layer_protocol_negotiation"): "What is to be spoken "
    "inside.",
    ("ClientHello", "status_request"): "A wish for the issuer's word that the certificate was not "
    "revoked.",
    ("CertificateRequest", "status_request"): "A wish for the issuer's word that the client's "
    "certificate was not revoked.",
    ("ServerHello", "status_request"): "The issuer's word on the certificate may follow, in a "
    "message of its own.",
    ("Certificate", "status_request"): "The issuer's word on whether this certificate was revoked.",
    ("ClientHello", "signed_certificate_timestamp"): "A wish for proof that the certificate is in "
    "public logs; it is empty.",
    ("CertificateRequest", "signed_certificate_timestamp"): "A wish for proof that the client's "
    "certificate is in public logs; it is empty.",
    ("ServerHello", "signed_certificate_timestamp"): "Proof that the certificate is in public "
    "logs.",
    ("Certificate", "signed_certificate_timestamp"): "Proof that this certificate is in public "
    "logs.",
    ("ClientHello", "pre_shared_key"): "Names of keys that both sides may have already, from a "
    "ticket or from elsewhere, with proof that the client has them.",
    ("ServerHello", "pre_shared_key"): "Which of the client's keys the server took.",
    ("ClientHello", "early_data"): "The client's first words follow at once, under a key that both "
    "had before (0-RTT). Whoever records them can send them again.",
    ("EncryptedExtensions", "early_data"): "The server takes the early data.",
    ("NewSessionTicket", "early_data"): "How much the client may say at once when it comes back "
    "with this ticket.",
    ("HelloRetryRequest", "cookie"): "The server's own note, which the client is to bring back.",
    ("ClientHello", "cookie"): _COOKIE_RETURNED,
    ("ClientHello", "extended_master_secret"): "A wish to bind the secret of TLS 1.2 to everything "
    "that was said so far; TLS 1.3 always does that.",
    ("ServerHello", "extended_master_secret"): "The secret is bound to everything that was said so "
    "far.",
    ("ClientHello", "session_ticket"): "A ticket of TLS 1.2 from an earlier session, or, if empty, "
    "the wish for one.",
    ("ServerHello", "session_ticket"): "A new ticket will follow.",
    ("ClientHello", "client_certificate_type"): "What the client can show of itself: a "
    "certificate, or a bare key.",
    ("ClientHello", "server_certificate_type"): "What the client takes from the server: a "
    "certificate, or a bare key.",
    ("ServerHello", "client_certificate_type"): "What the client is to show of itself.",
    ("EncryptedExtensions", "client_certificate_type"): "What the client is to show of itself.",
    ("ServerHello", "server_certificate_type"): "What the server shows of itself.",
    ("EncryptedExtensions", "server_certificate_type"): "What the server shows of itself.",
    ("ClientHello", "encrypted_client_hello"): "The name that is really asked for, encrypted; or "
    "random bytes that look like it, so that the real ones do not stand out.",
    ("EncryptedExtensions", "encrypted_client_hello"): "Keys with which the client can encrypt its "
    "hello the next time.",
    ("HelloRetryRequest", "encrypted_client_hello"): "Whether the server could read the encrypted "
    "hello; nobody else can tell.",
    ("ClientHello", "delegated_credential"): "In which schemes a short-lived key may sign that the "
    "key of the server's certificate has signed.",
    ("Certificate", "delegated_credential"): "A short-lived key, signed with the key of the "
    "certificate.",
}
"""What is so in one message alone, in TLS 1.3 unless TLS 1.2 has a meaning of its own."""

_MEANINGS12 = {
    ("ClientHello", "legacy_version"): "The newest version that the client speaks.",
    ("ServerHello", "legacy_version"): "The version that the server took.",
    ("ClientHello", "legacy_session_id"): "The name of an earlier session that the client would "
    "like to resume, or made up so that the echo shows whether a ticket was taken; empty without "
    "either.",
    ("ServerHello", "legacy_session_id_echo"): "The name of this session. If it is the one that "
    "the client sent, the server resumes that session; if it is empty, the session has no name.",
    ("ClientHello", "supported_groups"): "In which groups keys can be agreed upon, best first; "
    "of elliptic curves also those that a certificate's key may be on.",
    ("ClientHello", "signature_algorithms"): "In which schemes the server may sign, and its "
    "certificates may be signed.",
    ("CertificateRequest", "signature_algorithms"): "In which schemes the client may sign, and its "
    "certificates may be signed.",
    ("ClientHello", "extended_master_secret"): "A wish to bind the secret to everything that was "
    "said so far.",
}
"""What is so in TLS 1.2, and in a hello that offers nothing newer."""
