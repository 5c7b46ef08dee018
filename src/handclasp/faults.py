"""The catalogue: every distinct way in which a TLS conversation goes wrong.

A member carries the alert that the RFC asks for, the section that says so, one sentence for
people, and what to change on either end. Code raises `ProtocolError(Fault.X, detail)` and never
names an alert; the driver sends the alert, in one place.

The sentence speaks of "the peer" as whoever sent what we refused. `fix_peer` is advice for that
other end, `fix_local` for this one; an empty string means that nothing here can help.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

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

    PEER and LOCAL are the two ends, seen from the one that found the fault. EITHER: the settings
    of the two do not fit together, and changing one of them is enough. NETWORK: something between
    them interferes.
    """

    PEER = "peer"
    LOCAL = "local"
    EITHER = "either"
    NETWORK = "network"


_REPORT = "The peer's TLS implementation is at fault: update it, or report this to its makers."
_NETWORK = "Look for a proxy or another middlebox on the way that rewrites the traffic."


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
        _REPORT,
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
        _REPORT,
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
        "If this peer is honest, raise the limit in Limits.",
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
        "If the size is honest, raise the limit in Limits.",
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
        "If the size is honest, raise the limit in Limits.",
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
        "If this peer is honest, raise the limit in Limits.",
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
        "See which versions the other end speaks, and enable one of them if it is safe.",
    )
    NO_SHARED_CIPHER_SUITE = Entry(
        Alert.HANDSHAKE_FAILURE,
        "RFC 8446 4.1.1",
        "The two sides share no cipher suite.",
        "Enable TLS_AES_128_GCM_SHA256 for TLS 1.3, and for TLS 1.2 the ECDHE suites with AES-GCM "
        "that go with the certificate's key.",
        "Allow one of the suites that the other end offers.",
    )
    NO_SHARED_GROUP = Entry(
        Alert.HANDSHAKE_FAILURE,
        "RFC 8446 4.1.1",
        "The two sides share no group to agree on a secret in.",
        "Enable X25519 or secp256r1.",
        "Allow one of the groups that the other end offers.",
    )
    NO_SHARED_SIGNATURE_SCHEME = Entry(
        Alert.HANDSHAKE_FAILURE,
        "RFC 8446 4.2.3",
        "No certificate here can sign with a scheme that the other side accepts.",
        "Offer the signature scheme that fits the certificate's key.",
        "Add a credential of another key type: ECDSA P-256 is understood everywhere.",
    )
    NO_SHARED_APPLICATION_PROTOCOL = Entry(
        Alert.NO_APPLICATION_PROTOCOL,
        "RFC 7301 3.2",
        "The two sides share no application protocol (ALPN).",
        "Offer one of the protocols that the server speaks, or none.",
        "Add one of the offered protocols to the server's list.",
    )
    UNRECOGNIZED_NAME = Entry(
        Alert.UNRECOGNIZED_NAME,
        "RFC 6066 3",
        "The client asks for a server name that this server does not serve.",
        "Connect by a name that is in the server's certificate.",
        "Add a credential for this name, or serve a default one.",
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
        "Only for a peer that cannot be updated: require_extended_master_secret=False.",
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
        "Make client certificates optional if that is meant.",
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
        "Add the client's pre-shared key, or credentials.",
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
        "Check identity and key, or trust an authority.",
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
        _REPORT,
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
        "Make client certificates optional if that is meant.",
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
        "Use ECDSA P-256, Ed25519, or RSA of 2048 to 8192 bits.",
        "",
    )
    CERTIFICATE_EXPIRED = Entry(
        Alert.CERTIFICATE_EXPIRED,
        "RFC 5280 4.1.2.5",
        "The certificate is not valid now.",
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
        "If the issuer is yours, trust it: trust=TrustStore.from_pem(FILE) in the config.",
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
        "Fetch the issuer's current CRL, or let the policy accept certificates without one.",
    )
    PIN_MISMATCH = Entry(
        Alert.CERTIFICATE_UNKNOWN,
        "RFC 7469 2.6",
        "No key on the certificate's path is one of those that are pinned.",
        "",
        "If the peer changed its keys on purpose, renew the pins.",
    )
    TLSA_MISMATCH = Entry(
        Alert.CERTIFICATE_UNKNOWN,
        "RFC 6698 2.1",
        "The certificate does not match any of the TLSA records.",
        "Publish TLSA records for the certificate in use, before it is put to use.",
        "Look the records up again.",
    )
    TIMESTAMPS_MISSING = Entry(
        Alert.CERTIFICATE_UNKNOWN,
        "RFC 6962 3",
        "The certificate lacks valid timestamps of the known transparency logs.",
        "Get a certificate from an authority that logs what it issues.",
        "Add the keys of the logs that the certificate's authority uses.",
    )
    UNKNOWN_RAW_PUBLIC_KEY = Entry(
        Alert.CERTIFICATE_UNKNOWN,
        "RFC 7250 6",
        "The peer's raw public key is not among those that are expected.",
        "",
        "If this is the peer's key, add it to raw_public_keys.",
    )
    NO_SHARED_CERTIFICATE_TYPE = Entry(
        Alert.UNSUPPORTED_CERTIFICATE,
        "RFC 7250 4.2",
        "The two sides share no certificate type.",
        "Accept X.509 certificates, or give this side's raw public key to the other.",
        "Add credentials of a type that the other side accepts.",
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
        "If the peer is to be let in, let confirm_peer or verify accept it.",
    )
    TOO_MANY_CERTIFICATES = Entry(
        Alert.BAD_CERTIFICATE,
        "RFC 8446 4.4.2",
        "The peer sent more certificates than are accepted in one chain.",
        "Send only the chain: the certificate and its intermediates.",
        "If the chain is honest, raise the limit in Limits.",
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
        "Where the application protocol marks its own end, the config's allow_truncation=True "
        "takes this for one.",
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
        "Allow more time (handshake_timeout) if the network is slow.",
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
    def sentence(self) -> str:
        """What happened, in one sentence for people."""
        return self.value.sentence

    @property
    def blame(self) -> Blame:
        """Whose fault it is: the peer's, where nothing else is known."""
        return _BLAMED.get(self.name, Blame.PEER)

    @property
    def fix(self) -> str:
        """What to change, on the other end and on this one; empty where nothing helps."""
        parts: list[str] = []
        if self.value.fix_peer:
            parts.append(f"On the other end: {self.value.fix_peer}")
        if self.value.fix_local:
            parts.append(f"On this end: {self.value.fix_local}")
        return " ".join(parts)


_NOT_OF_THE_PEER: dict[Blame, str] = {
    Blame.LOCAL: (
        "KEY_EXHAUSTED REVOCATION_UNKNOWN CERTIFICATE_REFUSED CALLBACK_FAILED OWN_SIGNATURE_WRONG "
        "INTERNAL_ERROR"
    ),
    Blame.EITHER: (
        "NOT_TLS PLAINTEXT_HTTP NO_SHARED_VERSION NO_SHARED_CIPHER_SUITE NO_SHARED_GROUP "
        "NO_SHARED_SIGNATURE_SCHEME NO_SHARED_APPLICATION_PROTOCOL NO_SHARED_CERTIFICATE_TYPE "
        "UNRECOGNIZED_NAME HANDSHAKE_MESSAGE_TOO_LARGE TOO_MANY_EXTENSIONS HANDSHAKE_TOO_LARGE "
        "BAD_BINDER UNKNOWN_PSK_IDENTITY PSK_NOT_TAKEN CERTIFICATE_EXPIRED "
        "CERTIFICATE_NOT_YET_VALID CERTIFICATE_UNTRUSTED CERTIFICATE_NAME_MISMATCH PIN_MISMATCH "
        "TLSA_MISMATCH TIMESTAMPS_MISSING UNKNOWN_RAW_PUBLIC_KEY TOO_MANY_CERTIFICATES "
        "CLOSED_DURING_HANDSHAKE RESET_DURING_HANDSHAKE HANDSHAKE_TIMEOUT"
    ),
    Blame.NETWORK: (
        "BAD_RECORD_MAC UNPROTECTED_RECORD VERSION_DOWNGRADE INAPPROPRIATE_FALLBACK BAD_FINISHED"
    ),
}
_BLAMED = {name: blame for blame, names in _NOT_OF_THE_PEER.items() for name in names.split()}
