"""The purpose of each field of a message, and the sections that define messages and fields."""

from __future__ import annotations

from collections.abc import Sequence

from handclasp.iana import GREASE_VALUES
from handclasp.story.words import UNREAD
from handclasp.wire.extension_table import SECTIONS


def message_section(name: str, *, of_tls12: bool) -> str:
    """Return the section that defines a message; for unknown ones, that of all messages."""
    return (of_tls12 and _MESSAGES12.get(name)) or _MESSAGES.get(name, "RFC 8446 section 4")


def extension_section(kind: int) -> str:
    """Return the section that defines an extension; empty if it is unknown."""
    return "RFC 8701 section 2" if kind in GREASE_VALUES else SECTIONS.get(kind, "")


def field_section(name: str, path: Sequence[str], *, of_tls12: bool = False) -> str:
    """Return the section that defines a field, if it is not that of the field around it."""
    of_tls12 = of_tls12 and path[0] != "ClientHello"  # RFC 8446 defines it for both.
    if len(path) == 1 and name in ("msg_type", "length"):
        return "RFC 5246 section 7.4" if of_tls12 else "RFC 8446 section 4"
    return (of_tls12 and _SECTIONS12.get(name)) or _SECTIONS.get(name, "")


def field_meaning(name: str, path: Sequence[str], *, of_tls12: bool = False) -> str:
    """Return the purpose of a field, in a sentence; empty if it is unknown.

    Args:
        path: the names of the fields around it, from the message on: a field may mean one thing in
            an offer and another in the answer.
        of_tls12: whether the message belongs to TLS 1.2, or is a hello that offers no newer
            version.
    """
    if name == "length":
        whole = "the message after this header" if len(path) == 1 else "what follows in this field"
        return f"How many bytes {whole} has."
    if name.startswith("GREASE"):
        return "A reserved value, so that implementations stay tolerant of unknown ones."
    here = _MEANINGS_HERE.get((path[0], name))
    if "encrypted_client_hello" in path:
        here = _MEANINGS_IN_ECH.get((path[0], name), here)
    if of_tls12:
        here = _MEANINGS12.get((path[0], name), here)
    return _MEANINGS.get(name, "") if here is None else here


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
"""The sections of fields that are not defined with the field around them."""
_SECTIONS12 = {"extensions": "RFC 5246 section 7.4.1.4"}
_MEANINGS = {
    "msg_type": "The type of the handshake message.",
    "random": "Fresh random bytes, so that no other handshake can be replayed as this one.",
    "cipher_suites": "The cipher suites that the client supports, best first; some values "
    "are signals.",
    "cipher_suite": "The cipher suite that the server chose.",
    "kem_id": "The way in which the key for an encrypted hello is agreed upon (RFC 9180).",
    "legacy_compression_methods": "Compression is no longer used, since it can reveal secrets.",
    "legacy_compression_method": "Compression is no longer used, since it can reveal secrets.",
    "extensions": "All other parameters to negotiate.",
    "supported_groups": "The groups for the key exchange, best first.",
    "signature_algorithms": "The schemes in which the other side may sign.",
    "signature_algorithms_cert": "The schemes in which the other side's certificates may be "
    "signed.",
    "psk_key_exchange_modes": "Whether a pre-shared key may be used alone, or only with a "
    "fresh key exchange.",
    "compress_certificate": "The algorithms with which the other side may compress its "
    "certificates.",
    "record_size_limit": "The largest record that the sender accepts.",
    "renegotiation_info": "Protects the renegotiation of TLS 1.2, which TLS 1.3 does not have.",
    "ec_point_formats": "The encodings of curve points in TLS 1.2; only the uncompressed one "
    "is still used.",
    "certificate_authorities": "The issuers whose certificates are acceptable.",
    "post_handshake_auth": "The server may ask for the client's certificate after the handshake.",
    "padding": "Zeros, which make the hello longer.",
    "certificate_request_context": "Identifies the CertificateRequest that is answered; empty in "
    "the handshake.",
    "cert_data": "The certificate in DER, or the raw public key if that was negotiated.",
    "ASN.1Cert": "The certificate in DER.",
    "signature": "The signature with the private key of the sender's certificate or raw "
    "public key.",
    "verify_data": "A keyed digest of all messages so far.",
    "ticket_lifetime": "The time for which the ticket may be used.",
    "ticket_lifetime_hint": "The time for which the server intends to accept the ticket.",
    "ticket_age_add": "Hides the age of the ticket from observers when the client uses it.",
    "ticket_nonce": "Gives each ticket a key of its own.",
    "ticket": "The ticket that the client presents to resume the session; to the client it "
    "is opaque.",
    "obfuscated_ticket_age": "The age of the ticket in milliseconds, plus its "
    "ticket_age_add, which only the two sides know; 0 for a key without a "
    "ticket.",
    "PskBinderEntry": "Proof that the client holds the key, for this hello alone.",
    "encrypted_pre_master_secret": "The secret, encrypted to the server's key.",
    "ecdh_Yc": "The client's public value of the key exchange.",
    "dh_Yc": "The client's public value of the key exchange.",
    "point": "The server's public value of the key exchange.",
    "compressed_certificate_message": "A Certificate without its header, compressed.",
    "request_update": "Whether the other side is asked to update its keys as well.",
    "dh_p": "The prime of the group.",
    "dh_g": "The generator of the group.",
    "dh_Ys": "The server's public value of the key exchange.",
    "psk_identity": "The identity of the pre-shared key that the client uses.",
    "psk_identity_hint": "A hint for the client's choice of a pre-shared key.",
    "extension_type": "The number of the extension.",
    "extension_data": "The content of the extension.",
    "CipherSuite": "One cipher suite: the cipher and the hash; in TLS 1.2 also the key "
    "exchange and the kind of signature.",
    "NamedGroup": "One group for the key exchange.",
    "named_group_list": "The groups, best first.",
    "SignatureScheme": "One scheme: the kind of key, and the hash.",
    "supported_signature_algorithms": "The schemes, best first.",
    "algorithm": "The scheme or the algorithm that was used.",
    "algorithms": "The algorithms that the sender can undo, best first.",
    "CertificateCompressionAlgorithm": "One algorithm.",
    "uncompressed_length": "How many bytes the Certificate has without compression.",
    "ProtocolVersion": "One version.",
    "versions": "The versions, best first.",
    "selected_version": "The version of this connection.",
    "KeyShareEntry": "A public value, and the group that it belongs to.",
    "client_shares": "The public values, one for each group.",
    "group": "The group that the public value belongs to.",
    "selected_group": "The group of which the client offered no public value, and now must.",
    "key_exchange": "The public value: everybody may see it.",
    "server_name_list": "The names; in practice there is one.",
    "ServerName": "One name.",
    "name_type": "The kind of name; the only one is a host name.",
    "host_name": "The DNS name, without a dot at the end.",
    "protocol_name_list": "The application protocols.",
    "protocol_name": "One application protocol.",
    "status_type": "The kind of statement; the only one in use is OCSP.",
    "responder_id_list": "The responders that the client trusts; empty means those that the "
    "issuer names.",
    "request_extensions": "Extensions of the request for the statement; mostly empty.",
    "ec_point_format_list": "The encodings.",
    "renegotiated_connection": "Digests of the handshake that is renewed; empty in a first one.",
    "identities": "The keys that the client offers, best first.",
    "PskIdentity": "One key, by its name.",
    "identity": "The name of the key: a ticket, or what both sides agreed to call it.",
    "binders": "One proof for each of the identities.",
    "selected_identity": "The position of the chosen key in the client's list, from 0 on.",
    "ke_modes": "The modes that the client accepts.",
    "max_early_data_size": "The most bytes of early data that the server reads.",
    "authorities": "The names of the issuers.",
    "DistinguishedName": "The name of one issuer, as its certificates have it.",
    "certificate_list": "The sender's certificate first, then those of its issuers; none if it "
    "has no certificate.",
    "CertificateEntry": "One certificate, with what belongs to it.",
    "certificate_types": "The kinds of keys that are acceptable.",
    "curve_type": "How the server says which group it takes; today always by its name.",
    "namedcurve": "The group of the key exchange.",
    "type": "Whether this is the hello that everybody sees, or the one that was encrypted.",
    "kdf_id": "The key derivation of the encryption (RFC 9180).",
    "aead_id": "The cipher of the encryption (RFC 9180).",
    "config_id": "The number of the configuration that the client used.",
    "ECHConfig": "One configuration: a public key of the server, and what goes with it.",
    "key_config": "The key of the configuration, and the algorithms that go with it (RFC 9180).",
    "public_key": "The server's public key, to which the client encrypts its hello.",
    "HpkeSymmetricCipherSuite": "A KDF and an AEAD with which the client may encrypt its hello.",
    "maximum_name_length": "The length up to which the client pads shorter server names.",
    "public_name": "The name that the client sends in the hello that everybody sees.",
    "ECHConfigExtension": "An extension of the configuration.",
    "enc": "The client's public value, from which the server derives the key.",
    "payload": "The encrypted hello.",
    "content": "The bytes themselves.",
    UNREAD: "These bytes belong to no known definition.",
}
"""The meanings that apply in every message of every version."""
_LEGACY_VERSION = (
    "Once the version; now it always names TLS 1.2, so that old middleboxes let the message "
    "pass. The extension supported_versions has the real one."
)
_SESSION_ID_ECHO = "The client's legacy_session_id, sent back."
_COOKIE_RETURNED = "The cookie of the server's HelloRetryRequest, sent back."
_MEANINGS_IN_ECH = {
    ("ClientHello", "cipher_suite"): "The KDF and the AEAD by which the hello is encrypted (RFC "
    "9180).",
    ("EncryptedExtensions", "cipher_suites"): "The pairs of a KDF and an AEAD with which the "
    "client may encrypt its hello.",
    ("EncryptedExtensions", "version"): "The version of Encrypted Client Hello: 0xfe0d is that of "
    "RFC 9849.",
    ("EncryptedExtensions", "config_id"): "The number by which the client names the configuration "
    "that it uses.",
    ("EncryptedExtensions", "extensions"): "More parameters of the configuration.",
    ("EncryptedExtensions", "type"): "The type of the extension; a client that does not know one "
    "with the highest bit set must not use the configuration.",
}
"""The meanings in encrypted_client_hello."""
_MEANINGS_HERE = {
    ("ClientHello", "legacy_version"): _LEGACY_VERSION,
    ("ServerHello", "legacy_version"): _LEGACY_VERSION,
    ("HelloRetryRequest", "legacy_version"): _LEGACY_VERSION,
    ("HelloRetryRequest", "random"): "Not random: this fixed value distinguishes a "
    "HelloRetryRequest from a ServerHello.",
    ("ClientHello", "legacy_session_id"): "The ID of an earlier session of TLS 1.2, if the "
    "client has one. TLS 1.3 does not use it, and a client may send random "
    "bytes, so that the hello resembles one of TLS 1.2.",
    ("ServerHello", "legacy_session_id_echo"): _SESSION_ID_ECHO,
    ("HelloRetryRequest", "legacy_session_id_echo"): _SESSION_ID_ECHO,
    ("ClientHello", "server_name"): "The name of the server that the client looks for: a "
    "server may have many names.",
    ("ServerHello", "server_name"): "The server used the name that the client sent.",
    ("EncryptedExtensions", "server_name"): "The server used the name that the client sent.",
    ("EncryptedExtensions", "supported_groups"): "The groups that the server prefers, for "
    "later connections.",
    ("ClientHello", "key_share"): "The client's public values of the key exchange, one for "
    "each group that it expects the server to choose; there may be none.",
    ("ServerHello", "key_share"): "The server's public value of the key exchange.",
    ("HelloRetryRequest", "key_share"): "The group for which the server wants a public value.",
    ("ClientHello", "supported_versions"): "The versions that the client supports, best first.",
    ("ServerHello", "supported_versions"): "The version that the server chose.",
    ("HelloRetryRequest", "supported_versions"): "The version that the server chose.",
    ("ClientHello", "application_layer_protocol_negotiation"): "The application protocols "
    "that the client offers, best first.",
    ("ServerHello", "application_layer_protocol_negotiation"): "The application protocol "
    "that the server chose.",
    ("EncryptedExtensions", "application_layer_protocol_negotiation"): "The application "
    "protocol that the server chose.",
    ("ClientHello", "status_request"): "A request for the issuer's statement that the "
    "certificate is not revoked.",
    ("CertificateRequest", "status_request"): "A request for the issuer's statement that the "
    "client's certificate is not revoked.",
    ("ServerHello", "status_request"): "The issuer's statement on the certificate may follow "
    "in a message of its own.",
    ("Certificate", "status_request"): "The issuer's statement on whether this certificate "
    "is revoked.",
    ("ClientHello", "signed_certificate_timestamp"): "A request for proof that the "
    "certificate is in public logs; it is empty.",
    ("CertificateRequest", "signed_certificate_timestamp"): "A request for proof that the "
    "client's certificate is in public logs; it is empty.",
    ("ServerHello", "signed_certificate_timestamp"): "Proof that the certificate is in public "
    "logs.",
    ("Certificate", "signed_certificate_timestamp"): "Proof that this certificate is in public "
    "logs.",
    ("ClientHello", "pre_shared_key"): "The identities of keys that both sides may already "
    "have, from a ticket or from elsewhere, with proof that the client has "
    "them.",
    ("ServerHello", "pre_shared_key"): "The number of the client's key that the server chose.",
    ("ClientHello", "early_data"): "The client's first data follow at once, under a key that "
    "both sides had before (0-RTT). Anybody who records them can send them "
    "again.",
    ("EncryptedExtensions", "early_data"): "The server accepts the early data.",
    ("NewSessionTicket", "early_data"): "The number of bytes of early data that the client "
    "may send with this ticket.",
    ("HelloRetryRequest", "cookie"): "Bytes of the server, which the client must send back.",
    ("ClientHello", "cookie"): _COOKIE_RETURNED,
    ("ClientHello", "extended_master_secret"): "A request to bind the secret of TLS 1.2 to "
    "all messages so far; TLS 1.3 always does that.",
    ("ServerHello", "extended_master_secret"): "The secret is bound to all messages so far.",
    ("ClientHello", "session_ticket"): "A ticket of TLS 1.2 from an earlier session, or, if "
    "empty, a request for one.",
    ("ServerHello", "session_ticket"): "A new ticket will follow.",
    ("ClientHello", "client_certificate_type"): "The types that the client can send: a "
    "certificate, or a raw public key.",
    ("ClientHello", "server_certificate_type"): "The types that the client accepts from the "
    "server: a certificate, or a raw public key.",
    ("ServerHello", "client_certificate_type"): "The type that the client must send.",
    ("EncryptedExtensions", "client_certificate_type"): "The type that the client must send.",
    ("ServerHello", "server_certificate_type"): "The type that the server sends.",
    ("EncryptedExtensions", "server_certificate_type"): "The type that the server sends.",
    ("ClientHello", "encrypted_client_hello"): "The real name of the server, encrypted; or "
    "random bytes that resemble it, so that the real ones do not stand out.",
    ("EncryptedExtensions", "encrypted_client_hello"): "Keys with which the client can "
    "encrypt its next hello.",
    ("HelloRetryRequest", "encrypted_client_hello"): "Whether the server could read the "
    "encrypted hello; others cannot recognize it.",
    ("ClientHello", "delegated_credential"): "The schemes for a short-lived key, which the "
    "key of the server's certificate has signed.",
    ("Certificate", "delegated_credential"): "A short-lived key, signed with the key of the "
    "certificate.",
}
"""The meanings that apply in one message only; those of TLS 1.2 below take precedence."""
_MEANINGS12 = {
    ("ClientHello", "legacy_version"): "The newest version that the client supports.",
    ("ServerHello", "legacy_version"): "The version that the server chose.",
    ("ClientHello", "legacy_session_id"): "The ID of an earlier session that the client asks "
    "to resume, or random bytes, whose echo shows whether a ticket was "
    "accepted; otherwise empty.",
    ("ServerHello", "legacy_session_id_echo"): "The ID of this session. If it is the one "
    "that the client sent, the server resumes that session; if it is empty, "
    "the session has no ID.",
    ("ClientHello", "supported_groups"): "The groups for the key exchange, best first; for "
    "elliptic curves also those of the keys in certificates.",
    ("ClientHello", "signature_algorithms"): "The schemes in which the server may sign, and "
    "its certificates may be signed.",
    ("CertificateRequest", "signature_algorithms"): "The schemes in which the client may "
    "sign, and its certificates may be signed.",
    ("ClientHello", "extended_master_secret"): "A request to bind the secret to all messages "
    "so far.",
}
"""The meanings that apply in TLS 1.2, and in a hello that offers nothing newer."""
