"""The catalogue: every distinct way in which a TLS conversation goes wrong.

A member carries the alert that the RFC asks for, the section that says so, one sentence for
people, and what to change on either end. Code raises `ProtocolError(Fault.X, detail)` and never
names an alert; the driver sends the alert, in one place.

The sentence speaks of "the peer" as whoever sent what we refused. `fix_peer` is advice for that
other end, `fix_local` for this one; an empty string means that nothing here can help.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Literal, NamedTuple

from handclasp.advice import (
    ACCEPTING,
    ALLOW_TRUNCATION,
    ALPN,
    CIPHER_SUITES,
    CREDENTIALS,
    CRLS,
    CT_LOGS,
    GROUPS,
    LIMITS,
    NO_CRL_NEEDED,
    OPTIONAL_CLIENTS,
    PINS,
    PSKS,
    RAW_PUBLIC_KEYS,
    TIMEOUT,
    TLSA,
    TRUST,
    VERSIONS,
    WITHOUT_EMS,
)
from handclasp.wire.iana import AlertDescription as Alert


class Entry(NamedTuple):
    """What the catalogue says of one fault."""

    alert: Alert
    section: str
    sentence: str
    fix_peer: str
    fix_local: str


class Blame(StrEnum):
    """Whose fault it is, as far as one end can know.

    PEER and LOCAL are the two ends, seen from the one that found the fault: the server and the
    client, or the other way round. NETWORK: something between them interferes. UNCLEAR: what is
    known speaks for none of these alone.
    """

    PEER = "peer"
    LOCAL = "local"
    NETWORK = "network"
    UNCLEAR = "unclear"


class Verdict(NamedTuple):
    """Whose fault it is, and what that hangs on.

    Attributes:
        blame: the likeliest.
        condition: when it is somebody else's, such as "unless the clock of this machine is wrong";
            where the blame is unclear, who it may be and why. Empty where there is nothing to say.
            It speaks of "this end", "this machine" and "the other end".
    """

    blame: Blame
    condition: str = ""


Role = Literal["client", "server"]


_REPORT = "The peer's TLS implementation is at fault: update it, or report this to its makers."
_NETWORK = "Look for a proxy or another middlebox on the way that rewrites the traffic."
_OR_REPORT = (
    "If nothing on the way does that, one of the two implementations has a defect: update both, or "
    "report this to their makers."
)
_RAISE_LIMIT = f"If this peer is honest, raise the limit ({LIMITS})."
_RAISE_SIZE = f"If the size is honest, raise the limit ({LIMITS})."


class Fault(Enum):
    """A fault that this side found (RFC 8446 unless the section says otherwise)."""

    # Records (section 5)
    NOT_TLS = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 5.1",
        "What arrived is not TLS at all.",
        "Speak TLS on this port from the first byte (https:// rather than http://).",
        "Check that host and port belong to a TLS service, and that no STARTTLS step is missing.",
    )
    PLAINTEXT_HTTP = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 5.1",
        "The peer speaks plain HTTP where TLS was expected.",
        "A client: use https:// for this address. A server: switch TLS on for this port.",
        "Check the port: plain HTTP is spoken on it.",
    )
    SSLV2_HELLO = Entry(
        Alert.PROTOCOL_VERSION,
        "RFC 8446 D.5",
        "The peer opened with an SSLv2 hello, which nobody may accept any more.",
        "Switch SSLv2 off and TLS 1.3 on in the client.",
        "",
    )
    RECORD_OVERFLOW = Entry(
        Alert.RECORD_OVERFLOW,
        "RFC 8446 5.2",
        "A record is longer than TLS (or the agreed record size limit) allows.",
        _REPORT,
        _NETWORK,
    )
    EMPTY_RECORD = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 5.1",
        "A handshake, alert or change_cipher_spec record is empty.",
        _REPORT,
        "",
    )
    BAD_RECORD_MAC = Entry(
        Alert.BAD_RECORD_MAC,
        "RFC 8446 5.2",
        "A record did not decrypt: it was changed on the way, or the two sides' keys differ.",
        _OR_REPORT,
        _NETWORK,
    )
    NO_INNER_CONTENT_TYPE = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 5.4",
        "A protected record holds nothing but padding.",
        _REPORT,
        "",
    )
    UNEXPECTED_RECORD_TYPE = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 5.1",
        "A record type arrived that has no place here.",
        _REPORT,
        "",
    )
    UNPROTECTED_RECORD = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 5",
        "A plaintext record arrived after both sides had agreed on keys.",
        _OR_REPORT,
        _NETWORK,
    )
    UNEXPECTED_CHANGE_CIPHER_SPEC = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 5",
        "A change_cipher_spec arrived with other content, or at another time, than TLS 1.3 allows.",
        _REPORT,
        "",
    )
    HANDSHAKE_ACROSS_KEY_CHANGE = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 5.1",
        "Handshake bytes follow a message after which the keys change, in the same record.",
        _REPORT,
        _NETWORK,
    )
    INTERLEAVED_RECORD = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 5.1",
        "Another record type arrived in the middle of a handshake message.",
        _REPORT,
        "",
    )
    TOO_MANY_RECORDS_WITHOUT_PROGRESS = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 5.1",
        "The peer sends records that move nothing forward.",
        _REPORT,
        _RAISE_LIMIT,
    )
    KEY_EXHAUSTED = Entry(
        Alert.INTERNAL_ERROR,
        "RFC 8446 5.5",
        "A key has protected as many records as it safely can.",
        "",
        "Open a new connection.",
    )

    # Parsing (sections 3 and 4)
    DECODE_ERROR = Entry(
        Alert.DECODE_ERROR,
        "RFC 8446 6.2",
        "A message does not follow its definition: a length or a count is wrong.",
        _REPORT,
        _NETWORK,
    )
    ILLEGAL_VALUE = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 6.2",
        "A field holds a value that it must not hold.",
        _REPORT,
        "",
    )
    DUPLICATE_EXTENSION = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.2",
        "A message holds the same extension twice.",
        _REPORT,
        "",
    )
    MISPLACED_EXTENSION = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.2",
        "An extension stands in a message where it is not allowed.",
        _REPORT,
        "",
    )
    UNSOLICITED_EXTENSION = Entry(
        Alert.UNSUPPORTED_EXTENSION,
        "RFC 8446 4.2",
        "The peer answers an extension that was never asked for.",
        _REPORT,
        "",
    )
    MISSING_EXTENSION = Entry(
        Alert.MISSING_EXTENSION,
        "RFC 8446 9.2",
        "An extension is missing without which TLS 1.3 cannot go on.",
        _REPORT,
        "",
    )
    HANDSHAKE_MESSAGE_TOO_LARGE = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4",
        "A handshake message announces more bytes than this side accepts.",
        "Send a smaller message (a shorter certificate chain, fewer extensions).",
        _RAISE_SIZE,
    )
    TOO_MANY_EXTENSIONS = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.2",
        "A message holds more extensions or list entries than this side accepts.",
        _REPORT,
        "",
    )
    HANDSHAKE_TOO_LARGE = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 4",
        "The handshake as a whole takes more bytes than this side accepts.",
        _REPORT,
        _RAISE_SIZE,
    )

    # Order of messages (section 4, Appendix A)
    UNEXPECTED_MESSAGE = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 4",
        "A handshake message arrived out of order.",
        _REPORT,
        "",
    )
    UNKNOWN_HANDSHAKE_TYPE = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 4",
        "A handshake message of an unknown type arrived.",
        _REPORT,
        "",
    )
    APPLICATION_DATA_TOO_EARLY = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 2",
        "Application data arrived before the handshake was complete.",
        _REPORT,
        "",
    )
    TOO_MANY_KEY_UPDATES = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 4.6.3",
        "The peer updates its keys again and again without sending data.",
        _REPORT,
        _RAISE_LIMIT,
    )
    TOO_MANY_ALERTS = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 6",
        "The peer sends warning alerts without end.",
        _REPORT,
        "",
    )
    RENEGOTIATION = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 4.1.2",
        "The peer asks for a renegotiation, which is not done here.",
        "Open a new connection instead.",
        "",
    )
    POST_HANDSHAKE_AUTHENTICATION = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 4.6.2",
        "The server asks for a certificate after the handshake, which was not agreed upon.",
        "Ask for the client certificate during the handshake.",
        "",
    )

    # Negotiation (sections 4.1 to 4.3)
    NO_SHARED_VERSION = Entry(
        Alert.PROTOCOL_VERSION,
        "RFC 8446 4.2.1",
        "The two sides share no protocol version.",
        "Enable TLS 1.3, or at least TLS 1.2.",
        f"Enable a version that the other end speaks, if it is safe ({VERSIONS}).",
    )
    NO_SHARED_CIPHER_SUITE = Entry(
        Alert.HANDSHAKE_FAILURE,
        "RFC 8446 4.1.1",
        "The two sides share no cipher suite.",
        "Enable TLS_AES_128_GCM_SHA256 for TLS 1.3, and for TLS 1.2 the ECDHE suites with AES-GCM "
        "that go with the certificate's key.",
        f"Allow one of the suites that the other end offers ({CIPHER_SUITES}).",
    )
    NO_SHARED_GROUP = Entry(
        Alert.HANDSHAKE_FAILURE,
        "RFC 8446 4.1.1",
        "The two sides share no group to agree on a secret in.",
        "Enable X25519 or secp256r1.",
        f"Allow one of the groups that the other end offers ({GROUPS}).",
    )
    NO_SHARED_SIGNATURE_SCHEME = Entry(
        Alert.HANDSHAKE_FAILURE,
        "RFC 8446 4.2.3",
        "No certificate here can sign with a scheme that the other side accepts.",
        "Offer the signature scheme that fits the certificate's key.",
        f"Add a certificate with a key of another kind, for which the other end has a scheme "
        f"({CREDENTIALS}).",
    )
    NO_SHARED_APPLICATION_PROTOCOL = Entry(
        Alert.NO_APPLICATION_PROTOCOL,
        "RFC 7301 3.2",
        "The two sides share no application protocol (ALPN).",
        "Offer one of the protocols that the server speaks, or none.",
        f"Add one of the offered protocols ({ALPN}).",
    )
    UNRECOGNIZED_NAME = Entry(
        Alert.UNRECOGNIZED_NAME,
        "RFC 6066 3",
        "The client asks for a server name that this server does not serve.",
        "Connect by a name that is in the server's certificate.",
        f"Add a certificate for this name ({CREDENTIALS}).",
    )
    VERSION_DOWNGRADE = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.1.3",
        "Someone between the two sides removed TLS 1.3 from the hello.",
        "",
        _NETWORK,
    )
    UNOFFERED_VERSION = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.2.1",
        "The server chose a protocol version that was not offered.",
        _REPORT,
        "",
    )
    UNOFFERED_CIPHER_SUITE = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.1.3",
        "The server chose a cipher suite that was not offered.",
        _REPORT,
        "",
    )
    UNOFFERED_GROUP = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.2.8",
        "The server chose a group that was not offered.",
        _REPORT,
        "",
    )
    UNOFFERED_APPLICATION_PROTOCOL = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 7301 3.1",
        "The server chose an application protocol that was not offered.",
        _REPORT,
        "",
    )
    UNOFFERED_SIGNATURE_SCHEME = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.4.3",
        "The peer signed with a scheme that was not offered.",
        _REPORT,
        "",
    )
    WRONG_SIGNATURE_SCHEME_FOR_KEY = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.4.3",
        "The signature scheme does not fit the key in the certificate.",
        _REPORT,
        "",
    )
    SESSION_ID_MISMATCH = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.1.3",
        "The server did not echo the session id of the hello.",
        _REPORT,
        _NETWORK,
    )
    COMPRESSION_CHOSEN = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.1.3",
        "The peer asks for TLS compression, which is not safe.",
        "Switch TLS compression off.",
        "",
    )
    BAD_RECORD_SIZE_LIMIT = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8449 4",
        "The peer's record size limit is below the least that is allowed.",
        _REPORT,
        "",
    )

    # TLS 1.2
    INAPPROPRIATE_FALLBACK = Entry(
        Alert.INAPPROPRIATE_FALLBACK,
        "RFC 7507 3",
        "The client says that it fell back to an older version, but this server has a newer one.",
        "Connect with the newest version first, and do not fall back.",
        _NETWORK,
    )
    EXTENDED_MASTER_SECRET_MISSING = Entry(
        Alert.HANDSHAKE_FAILURE,
        "RFC 7627 5.2",
        "The peer cannot bind the secret to the handshake (extended master secret).",
        "Update the TLS library, or enable TLS 1.3.",
        f"Only for a peer that cannot be updated, go without ({WITHOUT_EMS}).",
    )
    SECURE_RENEGOTIATION_MISSING = Entry(
        Alert.HANDSHAKE_FAILURE,
        "RFC 5746 3.4",
        "The server does not support secure renegotiation, so others may have spoken before us.",
        "Update the TLS library, or enable TLS 1.3.",
        "",
    )
    BAD_RENEGOTIATION_INFO = Entry(
        Alert.HANDSHAKE_FAILURE,
        "RFC 5746 3.4",
        "The peer takes this handshake for a renegotiation, and it is none.",
        _REPORT,
        _NETWORK,
    )
    UNOFFERED_SESSION = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 5246 7.4.1.3",
        "The server resumes a session that was not offered.",
        _REPORT,
        "",
    )
    CLIENT_CERTIFICATE_MISSING12 = Entry(
        Alert.HANDSHAKE_FAILURE,
        "RFC 5246 7.4.6",
        "The client sent no certificate in TLS 1.2, and this server requires one.",
        "Give the client a certificate and key from a CA that the server trusts.",
        f"Make client certificates optional if that is meant ({OPTIONAL_CLIENTS}).",
    )

    # Resumption and pre-shared keys (sections 2.2, 2.3 and 4.2.9 to 4.2.11)
    BAD_BINDER = Entry(
        Alert.DECRYPT_ERROR,
        "RFC 8446 4.2.11.2",
        "The client names a pre-shared key, but does not prove that it holds it.",
        "Check that both ends have the same key under this identity.",
        "Check that both ends have the same key under this identity.",
    )
    UNOFFERED_PSK = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.2.11",
        "The server chose a pre-shared key that was not offered, or one that does not fit.",
        _REPORT,
        "",
    )
    UNKNOWN_PSK_IDENTITY = Entry(
        Alert.UNKNOWN_PSK_IDENTITY,
        "RFC 8446 4.2.11",
        "The client offers no pre-shared key that this server knows, and it has no certificate.",
        "Use an identity and a key that the server knows.",
        f"Add the client's pre-shared key ({PSKS}). Or give this server a certificate "
        f"({CREDENTIALS}).",
    )
    TOO_MUCH_EARLY_DATA = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 4.2.10",
        "The client sends more 0-RTT data than it was allowed.",
        _REPORT,
        "",
    )
    OLDER_VERSION_AFTER_EARLY_DATA = Entry(
        Alert.PROTOCOL_VERSION,
        "RFC 8446 D.3",
        "The server took TLS 1.2, although it gave a ticket for 0-RTT data before.",
        "Speak TLS 1.3 on all servers of this name, or give out no tickets for 0-RTT data.",
        "Connect again without early data; send them again if it does no harm to do so twice.",
    )
    PSK_NOT_TAKEN = Entry(
        Alert.HANDSHAKE_FAILURE,
        "RFC 8446 4.2.11",
        "The server did not take the pre-shared key, and certificates are not accepted here.",
        "Add this client's pre-shared key.",
        f"Check identity and key ({PSKS}). Or trust an authority ({TRUST}).",
    )

    # HelloRetryRequest (section 4.1.4)
    SECOND_HELLO_RETRY_REQUEST = Entry(
        Alert.UNEXPECTED_MESSAGE,
        "RFC 8446 4.1.4",
        "The server asked for a new hello twice.",
        _REPORT,
        "",
    )
    POINTLESS_HELLO_RETRY_REQUEST = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.1.4",
        "The server asked for a new hello that would be the same as the first.",
        _REPORT,
        "",
    )
    CHANGED_AFTER_HELLO_RETRY_REQUEST = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.1.4",
        "What was agreed before a HelloRetryRequest changed after it.",
        _REPORT,
        "",
    )
    BAD_COOKIE = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.2.2",
        "The second hello does not bring back the cookie that it was given.",
        _REPORT,
        _NETWORK,
    )

    # Key exchange (section 4.2.8)
    BAD_KEY_SHARE = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.2.8.2",
        "The peer's key share is not a valid public value of its group.",
        _REPORT,
        "",
    )
    KEY_SHARE_NOT_IN_GROUPS = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.2.8",
        "The client sent a key share for a group that it does not list, or two for one group.",
        _REPORT,
        "",
    )

    # Authentication (section 4.4)
    BAD_FINISHED = Entry(
        Alert.DECRYPT_ERROR,
        "RFC 8446 4.4.4",
        "The peer's Finished does not match: the two sides saw different handshakes.",
        _OR_REPORT,
        _NETWORK,
    )
    BAD_SIGNATURE = Entry(
        Alert.DECRYPT_ERROR,
        "RFC 8446 4.4.3",
        "The peer's signature over the handshake is wrong: it may not hold the certificate's key.",
        "Make sure that the private key belongs to the certificate.",
        "",
    )
    EMPTY_SERVER_CERTIFICATE = Entry(
        Alert.DECODE_ERROR,
        "RFC 8446 4.4.2.4",
        "The server sent no certificate.",
        "Configure a certificate.",
        "",
    )
    CLIENT_CERTIFICATE_MISSING = Entry(
        Alert.CERTIFICATE_REQUIRED,
        "RFC 8446 4.4.2.4",
        "The client sent no certificate, and this server requires one.",
        "Give the client a certificate and key from a CA that the server trusts.",
        f"Make client certificates optional if that is meant ({OPTIONAL_CLIENTS}).",
    )
    BAD_CERTIFICATE = Entry(
        Alert.BAD_CERTIFICATE,
        "RFC 5280 4",
        "A certificate cannot be read, or breaks the rules for certificates.",
        "Replace the certificate by a well-formed one.",
        "",
    )
    UNSUPPORTED_CERTIFICATE = Entry(
        Alert.UNSUPPORTED_CERTIFICATE,
        "RFC 8446 4.4.2",
        "The certificate's key is of a kind or size that is not accepted.",
        "Use a certificate with an ECDSA P-256, Ed25519, or RSA key of 2048 to 8192 bits.",
        "",
    )
    CERTIFICATE_EXPIRED = Entry(
        Alert.CERTIFICATE_EXPIRED,
        "RFC 5280 4.1.2.5",
        "The certificate has expired.",
        "Renew the certificate.",
        "Check the clock of this machine.",
    )
    CERTIFICATE_NOT_YET_VALID = Entry(
        Alert.CERTIFICATE_EXPIRED,
        "RFC 5280 4.1.2.5",
        "The certificate is not valid yet.",
        "Check the certificate's dates.",
        "Check the clock of this machine.",
    )
    CERTIFICATE_UNTRUSTED = Entry(
        Alert.UNKNOWN_CA,
        "RFC 5280 6",
        "No path leads from the certificate to a trusted authority.",
        "Send the intermediate certificates too, or get a certificate from a trusted authority.",
        f"If that authority is yours, trust it ({TRUST}).",
    )
    CERTIFICATE_NAME_MISMATCH = Entry(
        Alert.BAD_CERTIFICATE,
        "RFC 9525 6",
        "The certificate is for another name.",
        "Get a certificate that covers the name by which the server is reached.",
        "Connect by a name that is in the certificate.",
    )
    CERTIFICATE_WRONG_PURPOSE = Entry(
        Alert.UNSUPPORTED_CERTIFICATE,
        "RFC 5280 4.2.1.12",
        "The certificate is not meant for this use.",
        "Use a certificate with the right key usage and extended key usage.",
        "",
    )
    CERTIFICATE_REVOKED = Entry(
        Alert.CERTIFICATE_REVOKED,
        "RFC 5280 5",
        "The certificate was revoked by its issuer.",
        "Replace the certificate, and find out why it was revoked.",
        "",
    )
    BAD_OCSP_RESPONSE = Entry(
        Alert.BAD_CERTIFICATE_STATUS_RESPONSE,
        "RFC 6066 8",
        "The stapled OCSP response does not vouch for the certificate.",
        "Renew the stapled response: it must be current, signed, and about this certificate.",
        "Check the clock of this machine.",
    )
    OCSP_RESPONSE_MISSING = Entry(
        Alert.BAD_CERTIFICATE_STATUS_RESPONSE,
        "RFC 7633 4.2.3",
        "The certificate came without the OCSP response that must be stapled to it.",
        "Switch OCSP stapling on, or renew the response: servers do not send one that is outdated.",
        "",
    )
    REVOCATION_UNKNOWN = Entry(
        Alert.CERTIFICATE_UNKNOWN,
        "RFC 5280 6.3",
        "No current revocation list covers the certificate, so it may have been revoked.",
        "",
        f"Fetch the issuer's current CRL ({CRLS}). Or accept certificates without one "
        f"({NO_CRL_NEEDED}).",
    )
    PIN_MISMATCH = Entry(
        Alert.CERTIFICATE_UNKNOWN,
        "RFC 7469 2.6",
        "No key on the certificate's path is one of those that are pinned.",
        "",
        f"If the peer changed its keys on purpose, renew the pins ({PINS}).",
    )
    TLSA_MISMATCH = Entry(
        Alert.CERTIFICATE_UNKNOWN,
        "RFC 6698 2.1",
        "The certificate does not match any of the TLSA records.",
        "Publish TLSA records for the certificate in use, before it is put to use.",
        f"Look the records up again ({TLSA}).",
    )
    TIMESTAMPS_MISSING = Entry(
        Alert.CERTIFICATE_UNKNOWN,
        "RFC 6962 3",
        "The certificate lacks valid timestamps of the known transparency logs.",
        "Get a certificate from an authority that logs what it issues.",
        f"Add the keys of the logs that the certificate's authority uses ({CT_LOGS}).",
    )
    UNKNOWN_RAW_PUBLIC_KEY = Entry(
        Alert.CERTIFICATE_UNKNOWN,
        "RFC 7250 6",
        "The peer's raw public key is not among those that are expected.",
        "",
        f"If this is the peer's key, expect it ({RAW_PUBLIC_KEYS}).",
    )
    NO_SHARED_CERTIFICATE_TYPE = Entry(
        Alert.UNSUPPORTED_CERTIFICATE,
        "RFC 7250 4.2",
        "The two sides share no certificate type.",
        "Accept X.509 certificates, or give this side's raw public key to the other.",
        f"Add a certificate or key of a type that the other side accepts ({CREDENTIALS}).",
    )
    BAD_COMPRESSED_CERTIFICATE = Entry(
        Alert.BAD_CERTIFICATE,
        "RFC 8879 4",
        "A compressed certificate message does not decompress to what it announces.",
        _REPORT,
        "",
    )
    CERTIFICATE_REFUSED = Entry(
        Alert.CERTIFICATE_UNKNOWN,
        "RFC 8446 6.2",
        "The application refused the certificate.",
        "",
        f"If the peer is to be let in, let the application accept it ({ACCEPTING}).",
    )
    TOO_MANY_CERTIFICATES = Entry(
        Alert.BAD_CERTIFICATE,
        "RFC 8446 4.4.2",
        "The peer sent more certificates than are accepted in one chain.",
        "Send only the chain: the certificate and its intermediates.",
        f"If the chain is honest, raise the limit ({LIMITS}).",
    )
    BAD_CERTIFICATE_REQUEST_CONTEXT = Entry(
        Alert.ILLEGAL_PARAMETER,
        "RFC 8446 4.4.2",
        "A Certificate does not belong to the request that it answers.",
        _REPORT,
        "",
    )

    # The end of a connection (section 6.1)
    TRUNCATED = Entry(
        Alert.CLOSE_NOTIFY,
        "RFC 8446 6.1",
        "The transport ended without close_notify: data may be missing at the end.",
        "Close TLS before closing the connection.",
        f"Where the application protocol marks its own end, allow it ({ALLOW_TRUNCATION}).",
    )
    CLOSED_DURING_HANDSHAKE = Entry(
        Alert.CLOSE_NOTIFY,
        "RFC 8446 6.1",
        "The peer closed the connection before the handshake was complete.",
        "See the other end's log: it gave no reason here.",
        "Check that host and port belong to a TLS service.",
    )
    HANDSHAKE_TIMEOUT = Entry(
        Alert.USER_CANCELED,
        "RFC 8446 6.1",
        "The handshake did not complete in time.",
        "Check that the service is up and speaks TLS on this port.",
        f"If the network is slow, allow more time ({TIMEOUT}).",
    )

    RESET_DURING_HANDSHAKE = Entry(
        Alert.CLOSE_NOTIFY,
        "RFC 9293 3.10.7",
        "The connection was reset (TCP RST) before the handshake was complete.",
        "See the other end's log: it gave no reason here.",
        "Check that host and port belong to a TLS service; firewalls that dislike a connection "
        "reset it, too.",
    )

    # This side
    CALLBACK_FAILED = Entry(
        Alert.INTERNAL_ERROR,
        "RFC 8446 6.2",
        "A callback of this application failed, so the handshake was given up.",
        "",
        "Mend the callback; where it raised an exception, that is chained to this one.",
    )
    OWN_SIGNATURE_WRONG = Entry(
        Alert.INTERNAL_ERROR,
        "RFC 8446 4.4.3",
        "The signature that this side's signer gave does not fit its certificate.",
        "",
        "Check that the signer holds the certificate's key and signs in the scheme it is asked.",
    )
    INTERNAL_ERROR = Entry(
        Alert.INTERNAL_ERROR,
        "RFC 8446 6.2",
        "Something failed on this side that has nothing to do with the peer.",
        "",
        "This is a defect: please report it with the traceback.",
    )

    @property
    def alert(self) -> Alert:
        """The alert that tells the peer (RFC 8446 section 6)."""
        return self.value.alert

    @property
    def section(self) -> str:
        """Where the rule stands that was broken."""
        return self.value.section

    @property
    def sends_alert(self) -> bool:
        """Whether the other end is told: not where it has ended the transport itself."""
        return self.name not in _ENDS_WITHOUT_ALERT

    @property
    def sentence(self) -> str:
        """What happened, in one sentence for people."""
        return self.value.sentence

    @property
    def blame(self) -> Blame:
        """Whose fault it is where no more is known: the peer's, if the catalogue names nobody."""
        return self.verdict().blame

    def verdict(self, role: Role | None = None, *, nothing_came: bool = False) -> Verdict:
        """Whose fault it is, and on what condition.

        Args:
            role: of the end that found it; None where that is not known.
            nothing_came: the other end had not said anything at all.
        """
        if nothing_came and (self.name, role) in _SILENT:
            return _SILENT[self.name, role]
        if role is not None and (self.name, role) in _BY_ROLE:
            return _BY_ROLE[self.name, role]
        return _VERDICTS.get(self.name, Verdict(Blame.PEER))

    @property
    def fix(self) -> str:
        """What to change, on either end; empty where nothing helps."""
        return self.fix_of()

    def fix_of(self, role: Role | None = None) -> str:
        """The same, as far as the end that found it can do what is advised in its role."""
        fixes = _FIXES_BY_ROLE.get((self.name, role)) if role is not None else None
        peer, local = fixes or (self.value.fix_peer, self.value.fix_local)
        is_network = self.verdict(role).blame is Blame.NETWORK
        return advice(peer, local, this_end_first=is_network)


def fault_named(name: str) -> Fault | None:
    """The fault of that name; None where the catalogue of this version has none."""
    try:
        return Fault[name]
    except KeyError:
        return None


def advice(fix_peer: str, fix_local: str, *, this_end_first: bool = False) -> str:
    """What to change on the two ends, as one text; either may be empty."""
    parts = [
        f"On the other end: {fix_peer}" if fix_peer else "",
        f"On this end: {fix_local}" if fix_local else "",
    ]
    return " ".join(filter(None, parts[::-1] if this_end_first else parts))


_ENDS_WITHOUT_ALERT = ("TRUNCATED", "CLOSED_DURING_HANDSHAKE", "RESET_DURING_HANDSHAKE")

CLOCK_CONDITION = "unless the clock of this machine is wrong"
_DEFECT = "unless one of the two implementations has a defect"
_CHANGED = "unless something on the way changed the bytes"
_HONEST = "unless the size is honest: then a limit of this end is too low"
_DO_NOT_FIT = "the settings of the two ends do not fit together, and changing one of them is enough"
_KEYS_DIFFER = "the two ends hold different keys under one identity, or only one of them has it"

_VERDICTS: dict[str, Verdict] = {
    **{
        name: Verdict(Blame.LOCAL)
        for name in (
            "KEY_EXHAUSTED",
            "REVOCATION_UNKNOWN",
            "CERTIFICATE_REFUSED",
            "CALLBACK_FAILED",
            "OWN_SIGNATURE_WRONG",
            "INTERNAL_ERROR",
        )
    },
    **{
        name: Verdict(Blame.NETWORK, _DEFECT)
        for name in (
            "BAD_RECORD_MAC",
            "UNPROTECTED_RECORD",
            "VERSION_DOWNGRADE",
            "BAD_FINISHED",
        )
    },
    **{
        name: Verdict(Blame.PEER, _CHANGED)
        for name in (
            "RECORD_OVERFLOW",
            "HANDSHAKE_ACROSS_KEY_CHANGE",
            "DECODE_ERROR",
            "SESSION_ID_MISMATCH",
            "BAD_RENEGOTIATION_INFO",
            "BAD_COOKIE",
        )
    },
    **{
        name: Verdict(Blame.UNCLEAR, _DO_NOT_FIT)
        for name in (
            "NO_SHARED_VERSION",
            "NO_SHARED_CIPHER_SUITE",
            "NO_SHARED_GROUP",
            "NO_SHARED_SIGNATURE_SCHEME",
            "NO_SHARED_APPLICATION_PROTOCOL",
            "NO_SHARED_CERTIFICATE_TYPE",
        )
    },
    **{
        name: Verdict(Blame.PEER, _HONEST)
        for name in (
            "HANDSHAKE_MESSAGE_TOO_LARGE",
            "TOO_MANY_EXTENSIONS",
            "HANDSHAKE_TOO_LARGE",
            "TOO_MANY_CERTIFICATES",
        )
    },
    "NOT_TLS": Verdict(Blame.UNCLEAR, "one of the two ends is not meant to speak TLS here"),
    "PLAINTEXT_HTTP": Verdict(Blame.UNCLEAR, "one of the two ends speaks HTTP, the other HTTPS"),
    "INAPPROPRIATE_FALLBACK": Verdict(
        Blame.NETWORK, "unless the client fell back although nothing was wrong"
    ),
    "UNRECOGNIZED_NAME": Verdict(Blame.PEER, "unless this server is meant to serve that name"),
    "BAD_BINDER": Verdict(Blame.UNCLEAR, _KEYS_DIFFER),
    "UNKNOWN_PSK_IDENTITY": Verdict(Blame.UNCLEAR, _KEYS_DIFFER),
    "PSK_NOT_TAKEN": Verdict(Blame.UNCLEAR, _KEYS_DIFFER),
    "CERTIFICATE_EXPIRED": Verdict(Blame.PEER, CLOCK_CONDITION),
    "CERTIFICATE_NOT_YET_VALID": Verdict(Blame.PEER, CLOCK_CONDITION),
    "BAD_OCSP_RESPONSE": Verdict(Blame.PEER, CLOCK_CONDITION),
    "CERTIFICATE_UNTRUSTED": Verdict(
        Blame.UNCLEAR,
        "this end, if it is meant to trust the authority of that certificate; else the other end",
    ),
    "CERTIFICATE_NAME_MISMATCH": Verdict(
        Blame.PEER, "unless this end asked for another name than was meant"
    ),
    "PIN_MISMATCH": Verdict(
        Blame.UNCLEAR,
        "this end, if the other changed its keys on purpose; if not, somebody else answered",
    ),
    "UNKNOWN_RAW_PUBLIC_KEY": Verdict(
        Blame.UNCLEAR,
        "this end, if that is the other's key; if not, somebody else answered",
    ),
    "TLSA_MISMATCH": Verdict(Blame.PEER, "unless the records that this end has are outdated"),
    "TIMESTAMPS_MISSING": Verdict(Blame.PEER, "unless this end lacks the keys of its logs"),
    "TRUNCATED": Verdict(Blame.PEER, "unless the connection was cut on the way"),
    "CLOSED_DURING_HANDSHAKE": Verdict(Blame.PEER, "which gave no reason"),
    "RESET_DURING_HANDSHAKE": Verdict(
        Blame.UNCLEAR,
        "the other end, or something on the way such as a firewall, and neither said why",
    ),
    "HANDSHAKE_TIMEOUT": Verdict(Blame.PEER, "unless the network is slow"),
}

_BY_ROLE: dict[tuple[str, Role], Verdict] = {
    ("NOT_TLS", "client"): Verdict(
        Blame.LOCAL, "unless TLS is meant to be spoken on that port: then the other end"
    ),
    ("NOT_TLS", "server"): Verdict(Blame.PEER),
    ("PLAINTEXT_HTTP", "client"): Verdict(
        Blame.LOCAL, "unless HTTPS is meant to be spoken on that port: then the other end"
    ),
    ("PLAINTEXT_HTTP", "server"): Verdict(Blame.PEER),
    ("CLOSED_DURING_HANDSHAKE", "client"): Verdict(
        Blame.PEER, "which gave no reason, unless another service is on that port"
    ),
    ("CERTIFICATE_NAME_MISMATCH", "client"): Verdict(
        Blame.PEER, "unless it is meant to be reached by another name"
    ),
}
"""What depends on who found it: a client has chosen where to connect to."""

_FIXES_BY_ROLE: dict[tuple[str, Role], tuple[str, str]] = {
    ("NOT_TLS", "client"): (
        "Speak TLS on this port from the first byte, if it is meant for TLS.",
        Fault.NOT_TLS.value.fix_local,
    ),
    ("NOT_TLS", "server"): ("Speak TLS on this port from the first byte.", ""),
    ("PLAINTEXT_HTTP", "client"): (
        "Switch TLS on for this port, if it is meant for HTTPS.",
        "Check the port: plain HTTP is spoken on it.",
    ),
    ("PLAINTEXT_HTTP", "server"): ("Use https:// for this address.", ""),
    ("CLOSED_DURING_HANDSHAKE", "server"): ("See the client's log: it gave no reason here.", ""),
    ("RESET_DURING_HANDSHAKE", "server"): (
        "See the client's log: it gave no reason here.",
        "Look for a firewall that dislikes the connection.",
    ),
    ("HANDSHAKE_TIMEOUT", "server"): (
        "See in the client's log what it waits for.",
        f"If the network is slow, allow more time ({TIMEOUT}).",
    ),
}
"""For the other end, and for this one, by who that is."""

_SILENT: dict[tuple[str, Role | None], Verdict] = {
    ("HANDSHAKE_TIMEOUT", "client"): Verdict(
        Blame.PEER,
        "unless something on the way swallows what is sent, or another service is on that port",
    ),
    ("HANDSHAKE_TIMEOUT", "server"): Verdict(
        Blame.PEER, "which connected and said nothing, unless something on the way swallows it"
    ),
    ("CLOSED_DURING_HANDSHAKE", "server"): Verdict(
        Blame.PEER, "which left without a word, as port scans and health checks do"
    ),
}
"""The same where the other end had said nothing at all."""
