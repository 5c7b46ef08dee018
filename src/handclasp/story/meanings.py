"""The purpose of each field of a message, and the sections that define messages and fields."""

from __future__ import annotations

from collections.abc import Sequence

from handclasp.story.words import UNREAD
from handclasp.wire.extension_table import SECTIONS
from handclasp.wire.iana import GREASE_VALUES


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
        return "Made up, so that nobody gets used to knowing everything."
    here = _MEANINGS_HERE.get((path[0], name))
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
"""The meanings that apply in every message of every version."""
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
"""The meanings that apply in one message only; those of TLS 1.2 below take precedence."""
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
"""The meanings that apply in TLS 1.2, and in a hello that offers nothing newer."""
