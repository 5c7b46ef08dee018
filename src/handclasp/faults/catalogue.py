"""The catalogue itself, `Fault`: one member for each way in which a connection fails.

Code raises `ProtocolError(Fault.X, detail)` and never names an alert; the connection sends the
member's alert, in one place.

The sentences speak of "the peer" as the end that sent the refused data. `fix_peer` is advice for
that end, and `fix_local` for this one.

This file is long because it is a table: an Enum has all its members in one class, and each entry
holds everything that the library says of its fault.
"""

from __future__ import annotations

from enum import Enum

from handclasp.advice import (
    ACCEPTING,
    ALLOW_TRUNCATION,
    ALPN,
    CAUSE,
    CIPHER_SUITES,
    CREDENTIALS,
    CRLS,
    CT_LOGS,
    ECH,
    GROUPS,
    LATE_CLIENT_CERTIFICATE,
    LIMITS,
    NO_CRL_NEEDED,
    NO_KEY_LOG,
    OPTIONAL_CLIENTS,
    PINS,
    PROXY,
    PSKS,
    RAW_PUBLIC_KEYS,
    TIMEOUT,
    TLSA,
    TRUST,
    VERSIONS,
    WITHOUT_EMS,
)
from handclasp.faults.entry import (
    CHECK_CLOCK,
    CLOCK_CONDITION,
    Blame,
    Entry,
    ForRole,
    Role,
    Verdict,
    advice,
)
from handclasp.iana import AlertDescription as Alert

_REPORT = (
    "The peer's TLS implementation is at fault: update it, or report the problem to its developers."
)
_NETWORK = "Look for a proxy or another middlebox on the way that rewrites the traffic."
_OR_REPORT = (
    "If nothing on the way does that, one of the two implementations has a defect: update both, or "
    "report the problem to their developers."
)
_RAISE_LIMIT = f"If you trust this peer, raise the limit ({LIMITS})."
_RAISE_SIZE = f"If the size is legitimate, raise the limit ({LIMITS})."

_ALTERED_UNLESS_DEFECT = Verdict(
    Blame.NETWORK, "unless one of the two implementations has a defect"
)
_PEER_UNLESS_ALTERED = Verdict(Blame.PEER, "unless something on the way changed the bytes")
_PEER_UNLESS_LEGITIMATE = Verdict(
    Blame.PEER, "unless the size is legitimate: then a limit of this end is too low"
)
_PEER_UNLESS_CLOCK = Verdict(Blame.PEER, CLOCK_CONDITION)
_SETTINGS_DIFFER = Verdict(
    Blame.UNCLEAR,
    "the settings of the two ends do not fit together, and changing one of them is enough",
)
_KEYS_DIFFER = Verdict(
    Blame.UNCLEAR,
    "the two ends hold different keys under one identity, or one of them does not know it",
)


_BEHIND_A_PROXY = (
    "A server behind a proxy may wait for the header of the PROXY protocol (nginx: listen ... "
    "proxy_protocol), which the proxy sends: connect through the proxy."
)


class Fault(Enum):
    """A fault that this side found.

    >>> fault = Fault.CERTIFICATE_EXPIRED
    >>> print(fault.name, fault.section, fault.blame)
    CERTIFICATE_EXPIRED RFC 5280 4.1.2.5 peer
    """

    # Records (section 5)
    NOT_TLS = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 5.1",
        sentence="The received bytes are not TLS.",
        fix_peer="Speak TLS on this port from the first byte (https:// rather than http://).",
        fix_local=(
            "Check that host and port belong to a TLS service, and that no STARTTLS step is "
            "missing."
        ),
        verdict=Verdict(Blame.UNCLEAR, "one of the two ends is not meant to speak TLS here"),
        as_client=ForRole(
            verdict=Verdict(
                Blame.LOCAL, "unless TLS is meant to be spoken on that port: then the other end"
            ),
            fix_peer="Speak TLS on this port from the first byte, if it is meant for TLS.",
        ),
        as_server=ForRole(
            verdict=Verdict(Blame.PEER),
            fix_peer="Speak TLS on this port from the first byte.",
            fix_local="",
        ),
    )
    PLAINTEXT_HTTP = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 5.1",
        sentence="The peer speaks plain HTTP where TLS was expected.",
        fix_peer=(
            "In a client, use https:// for this address; in a server, enable TLS on this port."
        ),
        fix_local="Check the port: plain HTTP is spoken on it.",
        verdict=Verdict(Blame.UNCLEAR, "one of the two ends speaks HTTP, the other HTTPS"),
        as_client=ForRole(
            verdict=Verdict(
                Blame.LOCAL, "unless HTTPS is meant to be spoken on that port: then the other end"
            ),
            fix_peer="Enable TLS on this port, if it is meant for HTTPS.",
        ),
        as_server=ForRole(
            verdict=Verdict(Blame.PEER), fix_peer="Use https:// for this address.", fix_local=""
        ),
    )
    SSLV2_HELLO = Entry(
        alert=Alert.PROTOCOL_VERSION,
        section="RFC 8446 D.5",
        sentence="The peer sent an SSLv2 ClientHello, which TLS implementations must refuse.",
        fix_peer="Disable SSLv2 and enable TLS 1.3 in the client.",
    )
    RECORD_OVERFLOW = Entry(
        alert=Alert.RECORD_OVERFLOW,
        section="RFC 9846 5.2",
        sentence="A record is longer than TLS, or the agreed record size limit, allows.",
        fix_peer=_REPORT,
        fix_local=_NETWORK,
        verdict=_PEER_UNLESS_ALTERED,
    )
    EMPTY_RECORD = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 5.1",
        sentence="A handshake, alert or change_cipher_spec record is empty.",
        fix_peer=_REPORT,
    )
    BAD_RECORD_MAC = Entry(
        alert=Alert.BAD_RECORD_MAC,
        section="RFC 9846 5.2",
        sentence=(
            "A record did not decrypt: it was changed on the way, or the two sides' keys differ."
        ),
        fix_peer=_OR_REPORT,
        fix_local=_NETWORK,
        verdict=_ALTERED_UNLESS_DEFECT,
    )
    NO_INNER_CONTENT_TYPE = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 5.4",
        sentence="A protected record contains only padding.",
        fix_peer=_REPORT,
    )
    UNEXPECTED_RECORD_TYPE = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 5.1",
        sentence="The peer sent a record of a type that is not allowed at this point.",
        fix_peer=_REPORT,
    )
    NOT_A_TLS_RECORD = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 5.1",
        sentence="In the middle of the connection, bytes arrived that are not a TLS record.",
        fix_peer=(
            "Look for a program that writes to the plain socket past TLS, such as one that "
            "reports an error in the clear."
        ),
        fix_local=_NETWORK,
        verdict=_PEER_UNLESS_ALTERED,
    )
    UNPROTECTED_RECORD = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 5",
        sentence="A plaintext record arrived after both sides had agreed on keys.",
        fix_peer=_OR_REPORT,
        fix_local=_NETWORK,
        verdict=_ALTERED_UNLESS_DEFECT,
    )
    UNEXPECTED_CHANGE_CIPHER_SPEC = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 5",
        sentence=(
            "A change_cipher_spec has content that is not allowed, or came when none is allowed."
        ),
        fix_peer=_REPORT,
    )
    HANDSHAKE_ACROSS_KEY_CHANGE = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 5.1",
        sentence="A record holds more handshake data after a message with which the keys change.",
        fix_peer=_REPORT,
        fix_local=_NETWORK,
        verdict=_PEER_UNLESS_ALTERED,
    )
    INTERLEAVED_RECORD = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 5.1",
        sentence="A record of another type arrived in the middle of a handshake message.",
        fix_peer=_REPORT,
    )
    TOO_MANY_RECORDS_WITHOUT_PROGRESS = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 5.1",
        sentence=(
            "The peer keeps sending records without data that do not advance the connection."
        ),
        fix_peer=_REPORT,
        fix_local=_RAISE_LIMIT,
    )
    KEY_EXHAUSTED = Entry(
        alert=Alert.INTERNAL_ERROR,
        section="RFC 9846 5.5",
        sentence="A key has protected as many records as its cipher safely allows.",
        fix_local="Open a new connection.",
        verdict=Verdict(Blame.LOCAL),
    )

    # Parsing (sections 3 and 4)
    DECODE_ERROR = Entry(
        alert=Alert.DECODE_ERROR,
        section="RFC 9846 6.2",
        sentence="A message does not match its definition: a length or a count in it is wrong.",
        fix_peer=_REPORT,
        fix_local=_NETWORK,
        verdict=_PEER_UNLESS_ALTERED,
    )
    ILLEGAL_VALUE = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 9846 6.2",
        sentence="A field has a value that is not allowed.",
        fix_peer=_REPORT,
    )
    DUPLICATE_EXTENSION = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.2",
        sentence="A message contains the same extension twice.",
        fix_peer=_REPORT,
    )
    MISPLACED_EXTENSION = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.2",
        sentence="A message contains an extension that is not allowed in it.",
        fix_peer=_REPORT,
    )
    UNSOLICITED_EXTENSION = Entry(
        alert=Alert.UNSUPPORTED_EXTENSION,
        section="RFC 8446 4.2",
        sentence="The peer answered with an extension that was not requested.",
        fix_peer=_REPORT,
    )
    MISSING_EXTENSION = Entry(
        alert=Alert.MISSING_EXTENSION,
        section="RFC 9846 9.2",
        sentence="An extension that TLS 1.3 requires is missing.",
        fix_peer=_REPORT,
    )
    HANDSHAKE_MESSAGE_TOO_LARGE = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4",
        sentence="A handshake message is longer than this side accepts.",
        fix_peer="Send a smaller message (a shorter certificate chain, fewer extensions).",
        fix_local=_RAISE_SIZE,
        verdict=_PEER_UNLESS_LEGITIMATE,
    )
    TOO_MANY_EXTENSIONS = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.2",
        sentence="A message has more extensions or list entries than this side accepts.",
        fix_peer=_REPORT,
        fix_local=f"If the number is legitimate, raise the limit ({LIMITS}).",
        verdict=Verdict(
            Blame.PEER, "unless the number is legitimate: then a limit of this end is too low"
        ),
    )
    HANDSHAKE_TOO_LARGE = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 8446 4",
        sentence="The handshake messages together are longer than this side accepts.",
        fix_peer=_REPORT,
        fix_local=_RAISE_SIZE,
        verdict=_PEER_UNLESS_LEGITIMATE,
    )

    # Order of messages (section 4, Appendix A)
    UNEXPECTED_MESSAGE = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 8446 4",
        sentence="A handshake message arrived out of order.",
        fix_peer=_REPORT,
    )
    UNKNOWN_HANDSHAKE_TYPE = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 8446 4",
        sentence="A handshake message of an unknown type arrived.",
        fix_peer=_REPORT,
    )
    APPLICATION_DATA_TOO_EARLY = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 2",
        sentence="Application data arrived before the handshake was complete.",
        fix_peer=_REPORT,
    )
    PLAINTEXT_BEFORE_TLS = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 3207 6",
        sentence="Plaintext came before TLS began.",
        fix_peer="Send nothing between the command that asks for TLS, or its answer, and TLS.",
        fix_local="Read what the other end says in the clear as a whole before TLS begins.",
        verdict=Verdict(
            Blame.UNCLEAR,
            "this end, if it has not read everything that was for it; the other end, if it sent "
            "more than that; if neither did, somebody on the way has inserted it",
        ),
        as_client=ForRole(
            verdict=Verdict(
                Blame.UNCLEAR,
                "this end, if it has not read the whole answer to STARTTLS; the other end, if it "
                "sent more than the answer; if neither did, somebody on the way has inserted it",
            ),
            fix_peer="Send nothing after the answer to STARTTLS until the client's hello has come.",
            fix_local="Read the whole answer to STARTTLS, all of its lines, before TLS begins.",
        ),
        as_server=ForRole(
            verdict=Verdict(
                Blame.UNCLEAR,
                "this end, if it has not read the whole command; the other end, if it sent more "
                "than the command; if neither did, somebody on the way has inserted it",
            ),
            fix_peer="Send nothing between STARTTLS and the hello, and wait for the answer first.",
            fix_local="Read the whole command, with the end of its line, before TLS begins.",
        ),
        sends_alert=False,
    )
    TOO_MANY_KEY_UPDATES = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 8446 4.6.3",
        sentence="The peer keeps updating its keys without sending data.",
        fix_peer=_REPORT,
        fix_local=_RAISE_LIMIT,
    )
    TOO_MANY_ALERTS = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 9846 6",
        sentence="The peer sends too many warning alerts.",
        fix_peer=_REPORT,
        fix_local=_RAISE_LIMIT,
    )
    RENEGOTIATION = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 8446 4.1.2",
        sentence="The peer asks for a renegotiation, which this library does not support.",
        fix_peer="Open a new connection instead.",
    )
    POST_HANDSHAKE_AUTHENTICATION = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 8446 4.6.2",
        sentence=(
            "The server requests a certificate after the handshake, which this client did not "
            "offer."
        ),
        fix_peer="Ask for the client certificate during the handshake.",
        fix_local=f"Offer to be asked after the handshake ({LATE_CLIENT_CERTIFICATE}).",
    )

    # Negotiation (sections 4.1 to 4.3)
    NO_SHARED_VERSION = Entry(
        alert=Alert.PROTOCOL_VERSION,
        section="RFC 8446 4.2.1",
        sentence="The two sides share no protocol version.",
        fix_peer="Enable TLS 1.3, or at least TLS 1.2.",
        fix_local=f"Enable a version that the other end speaks, if it is safe ({VERSIONS}).",
        verdict=_SETTINGS_DIFFER,
    )
    NO_SHARED_CIPHER_SUITE = Entry(
        alert=Alert.HANDSHAKE_FAILURE,
        section="RFC 8446 4.1.1",
        sentence="The two sides share no cipher suite.",
        fix_peer=(
            "Enable TLS_AES_128_GCM_SHA256 for TLS 1.3 and, for TLS 1.2, the ECDHE suites with "
            "AES-GCM that fit the key of the certificate."
        ),
        fix_local=f"Allow one of the suites that the other end offers ({CIPHER_SUITES}).",
        verdict=_SETTINGS_DIFFER,
    )
    NO_SHARED_GROUP = Entry(
        alert=Alert.HANDSHAKE_FAILURE,
        section="RFC 8446 4.1.1",
        sentence="The two sides share no group for the key exchange.",
        fix_peer="Enable X25519 or secp256r1.",
        fix_local=f"Allow one of the groups that the other end offers ({GROUPS}).",
        verdict=_SETTINGS_DIFFER,
    )
    NO_SHARED_SIGNATURE_SCHEME = Entry(
        alert=Alert.HANDSHAKE_FAILURE,
        section="RFC 8446 4.2.3",
        sentence=(
            "No certificate of this side can sign with a signature scheme that the peer accepts."
        ),
        fix_peer="Offer the signature scheme that fits the key of the certificate.",
        fix_local=(
            "Add a certificate with a key of another kind, for which the other end has a "
            f"scheme ({CREDENTIALS})."
        ),
        verdict=_SETTINGS_DIFFER,
    )
    NO_SHARED_APPLICATION_PROTOCOL = Entry(
        alert=Alert.NO_APPLICATION_PROTOCOL,
        section="RFC 7301 3.2",
        sentence="The two sides share no application protocol (ALPN).",
        fix_peer="Offer one of the protocols that the server speaks, or none.",
        fix_local=f"Add one of the protocols that the other end offers ({ALPN}).",
        verdict=_SETTINGS_DIFFER,
    )
    UNRECOGNIZED_NAME = Entry(
        alert=Alert.UNRECOGNIZED_NAME,
        section="RFC 6066 3",
        sentence="The client asks for a server name that this server does not serve.",
        fix_peer="Connect by a name that is in the server's certificate.",
        fix_local=f"Add a certificate for this name ({CREDENTIALS}).",
        verdict=Verdict(Blame.PEER, "unless this server is meant to serve that name"),
    )
    VERSION_DOWNGRADE = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.1.3",
        sentence="Something between the two sides removed TLS 1.3 from the ClientHello.",
        fix_local=_NETWORK,
        verdict=_ALTERED_UNLESS_DEFECT,
    )
    UNOFFERED_VERSION = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.2.1",
        sentence="The server chose a protocol version that was not offered.",
        fix_peer=_REPORT,
    )
    UNOFFERED_CIPHER_SUITE = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.1.3",
        sentence="The server chose a cipher suite that was not offered.",
        fix_peer=_REPORT,
    )
    UNOFFERED_GROUP = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.2.8",
        sentence="The server chose a group that was not offered.",
        fix_peer=_REPORT,
    )
    UNOFFERED_APPLICATION_PROTOCOL = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 7301 3.1",
        sentence="The server chose an application protocol that was not offered.",
        fix_peer=_REPORT,
    )
    UNOFFERED_SIGNATURE_SCHEME = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.4.3",
        sentence="The peer signed with a scheme that was not offered.",
        fix_peer=_REPORT,
    )
    WRONG_SIGNATURE_SCHEME_FOR_KEY = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.4.3",
        sentence="The signature scheme does not fit the key in the certificate.",
        fix_peer=_REPORT,
    )
    SESSION_ID_MISMATCH = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.1.3",
        sentence="The server did not echo the session ID of the ClientHello.",
        fix_peer=_REPORT,
        fix_local=_NETWORK,
        verdict=_PEER_UNLESS_ALTERED,
    )
    COMPRESSION_CHOSEN = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.1.3",
        sentence="The peer asks for TLS compression, which is not secure.",
        fix_peer="Disable TLS compression.",
    )
    BAD_RECORD_SIZE_LIMIT = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8449 4",
        sentence="The peer's record size limit is smaller than the minimum of 64 bytes.",
        fix_peer=_REPORT,
    )

    # TLS 1.2
    INAPPROPRIATE_FALLBACK = Entry(
        alert=Alert.INAPPROPRIATE_FALLBACK,
        section="RFC 7507 3",
        sentence=(
            "The client signals a fallback to an older version, but this server supports a "
            "newer one."
        ),
        fix_peer="Connect with the newest version first, and do not fall back.",
        fix_local=_NETWORK,
        verdict=Verdict(Blame.NETWORK, "unless the client fell back although nothing was wrong"),
    )
    EXTENDED_MASTER_SECRET_MISSING = Entry(
        alert=Alert.HANDSHAKE_FAILURE,
        section="RFC 7627 5.2",
        sentence=(
            "The peer does not support the extended master secret, which binds keys to the "
            "handshake."
        ),
        fix_peer="Update the TLS library, or enable TLS 1.3.",
        fix_local=f"If the peer cannot be updated, do without the extension ({WITHOUT_EMS}).",
    )
    SECURE_RENEGOTIATION_MISSING = Entry(
        alert=Alert.HANDSHAKE_FAILURE,
        section="RFC 5746 3.4",
        sentence=(
            "The server does not support secure renegotiation, so an attacker could inject data."
        ),
        fix_peer="Update the TLS library, or enable TLS 1.3.",
    )
    BAD_RENEGOTIATION_INFO = Entry(
        alert=Alert.HANDSHAKE_FAILURE,
        section="RFC 5746 3.4",
        sentence="The peer treats this initial handshake as a renegotiation.",
        fix_peer=_REPORT,
        fix_local=_NETWORK,
        verdict=_PEER_UNLESS_ALTERED,
    )
    UNOFFERED_SESSION = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 5246 7.4.1.3",
        sentence="The server resumed a session that was not offered.",
        fix_peer=_REPORT,
    )
    CLIENT_CERTIFICATE_MISSING12 = Entry(
        alert=Alert.HANDSHAKE_FAILURE,
        section="RFC 5246 7.4.6",
        sentence="The client sent no certificate in TLS 1.2, and this server requires one.",
        fix_peer="Give the client a certificate and key from a CA that the server trusts.",
        fix_local=f"Make client certificates optional if that is meant ({OPTIONAL_CLIENTS}).",
    )

    # Resumption and pre-shared keys (sections 2.2, 2.3 and 4.2.9 to 4.2.11)
    BAD_BINDER = Entry(
        alert=Alert.DECRYPT_ERROR,
        section="RFC 8446 4.2.11.2",
        sentence=(
            "The client offers a pre-shared key, but its binder does not prove that it holds "
            "the key."
        ),
        fix_peer="Check that both ends have the same key under this identity.",
        fix_local="Check that both ends have the same key under this identity.",
        verdict=_KEYS_DIFFER,
    )
    UNOFFERED_PSK = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.2.11",
        sentence=(
            "The server chose a pre-shared key that was not offered or does not fit the cipher "
            "suite."
        ),
        fix_peer=_REPORT,
    )
    UNKNOWN_PSK_IDENTITY = Entry(
        alert=Alert.UNKNOWN_PSK_IDENTITY,
        section="RFC 8446 4.2.11",
        sentence=(
            "The client offers no pre-shared key that this server knows, and the server has no "
            "certificate."
        ),
        fix_peer="Use an identity and a key that the server knows.",
        fix_local=(
            f"Add the client's pre-shared key ({PSKS}). Or give this server a certificate "
            f"({CREDENTIALS})."
        ),
        verdict=_KEYS_DIFFER,
    )
    TOO_MUCH_EARLY_DATA = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 8446 4.2.10",
        sentence="The client sent more 0-RTT data than it was allowed to.",
        fix_peer=_REPORT,
    )
    OLDER_VERSION_AFTER_EARLY_DATA = Entry(
        alert=Alert.PROTOCOL_VERSION,
        section="RFC 8446 D.3",
        sentence="The server chose TLS 1.2, although it had issued a ticket for 0-RTT data.",
        fix_peer=(
            "Enable TLS 1.3 on all servers of this name, or issue no tickets for 0-RTT data."
        ),
        fix_local=(
            "Connect again without early data; send the data again if a repetition does no harm."
        ),
    )
    PSK_NOT_TAKEN = Entry(
        alert=Alert.HANDSHAKE_FAILURE,
        section="RFC 8446 4.2.11",
        sentence=(
            "The server did not accept the pre-shared key, and certificates are not accepted here."
        ),
        fix_peer="Add this client's pre-shared key.",
        fix_local=f"Check the identity and the key ({PSKS}). Or trust an authority ({TRUST}).",
        verdict=_KEYS_DIFFER,
    )

    # HelloRetryRequest (section 4.1.4)
    SECOND_HELLO_RETRY_REQUEST = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="RFC 8446 4.1.4",
        sentence="The server sent a second HelloRetryRequest.",
        fix_peer=_REPORT,
    )
    POINTLESS_HELLO_RETRY_REQUEST = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.1.4",
        sentence="The server sent a HelloRetryRequest that would not change the ClientHello.",
        fix_peer=_REPORT,
    )
    CHANGED_AFTER_HELLO_RETRY_REQUEST = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.1.4",
        sentence="A value that must stay the same changed after a HelloRetryRequest.",
        fix_peer=_REPORT,
    )
    BAD_COOKIE = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.2.2",
        sentence="The second ClientHello does not return the cookie of the HelloRetryRequest.",
        fix_peer=_REPORT,
        fix_local=_NETWORK,
        verdict=_PEER_UNLESS_ALTERED,
    )

    # Encrypted Client Hello (RFC 9849)
    ECH_REJECTED = Entry(
        alert=Alert.ECH_REQUIRED,
        section="RFC 9849 6.1.6",
        sentence=(
            "The server did not accept the encrypted ClientHello, and got no data that it can read."
        ),
        fix_peer=(
            "Publish only ECH configurations whose keys this server has, on every machine that "
            "answers for the name."
        ),
        fix_local=f"Get the server's current ECH configuration, from its DNS record ({ECH}).",
        verdict=Verdict(
            Blame.UNCLEAR,
            "this end has an old configuration, the other end publishes one without having its "
            "key, or something on the way answers in its place",
        ),
    )
    ECH_NOT_CONFIRMED = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 9849 6.1.5",
        sentence=(
            "The server accepted the encrypted ClientHello in its HelloRetryRequest, and not in "
            "its ServerHello."
        ),
        fix_peer=_REPORT,
    )
    BAD_INNER_HELLO = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 9849 5.1",
        sentence="The ClientHello that the client encrypted breaks the rules for its content.",
        fix_peer=_REPORT,
    )
    INNER_HELLO_IN_PLAINTEXT = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 9849 7",
        sentence="The client sent an inner ClientHello without encrypting it.",
        fix_peer=_REPORT,
        verdict=Verdict(
            Blame.PEER,
            "unless a proxy forwards it after it decrypted the hello (ECH in split mode), which "
            "this library does not support",
        ),
    )
    ECH_NOT_DECRYPTED = Entry(
        alert=Alert.DECRYPT_ERROR,
        section="RFC 9849 7.1.1",
        sentence="The second ClientHello cannot be decrypted, although the first one could.",
        fix_peer=_REPORT,
        fix_local=_NETWORK,
        verdict=_PEER_UNLESS_ALTERED,
    )

    # Key exchange (section 4.2.8)
    BAD_KEY_SHARE = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.2.8.2",
        sentence="The peer's key share is not a valid public value of its group.",
        fix_peer=_REPORT,
    )
    KEY_SHARE_NOT_IN_GROUPS = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.2.8",
        sentence=(
            "The client sent a key share for a group that it does not list, or two for one group."
        ),
        fix_peer=_REPORT,
    )

    # Authentication (section 4.4)
    BAD_FINISHED = Entry(
        alert=Alert.DECRYPT_ERROR,
        section="RFC 8446 4.4.4",
        sentence="The peer's Finished does not match: the two sides saw different handshakes.",
        fix_peer=_OR_REPORT,
        fix_local=_NETWORK,
        verdict=_ALTERED_UNLESS_DEFECT,
    )
    BAD_SIGNATURE = Entry(
        alert=Alert.DECRYPT_ERROR,
        section="RFC 8446 4.4.3",
        sentence=(
            "The peer's signature over the handshake is wrong: it may not hold the "
            "certificate's key."
        ),
        fix_peer="Make sure that the private key belongs to the certificate.",
    )
    EMPTY_SERVER_CERTIFICATE = Entry(
        alert=Alert.DECODE_ERROR,
        section="RFC 8446 4.4.2.4",
        sentence="The server sent no certificate.",
        fix_peer="Configure a certificate.",
    )
    CLIENT_CERTIFICATE_MISSING = Entry(
        alert=Alert.CERTIFICATE_REQUIRED,
        section="RFC 8446 4.4.2.4",
        sentence="The client sent no certificate, and this server requires one.",
        fix_peer="Give the client a certificate and key from a CA that the server trusts.",
        fix_local=f"Make client certificates optional if that is meant ({OPTIONAL_CLIENTS}).",
    )
    BAD_CERTIFICATE = Entry(
        alert=Alert.BAD_CERTIFICATE,
        section="RFC 5280 4",
        sentence="A certificate cannot be parsed, or violates the rules for certificates.",
        fix_peer="Replace the certificate with a well-formed one.",
    )
    UNSUPPORTED_CERTIFICATE = Entry(
        alert=Alert.UNSUPPORTED_CERTIFICATE,
        section="RFC 8446 4.4.2",
        sentence="The certificate's key has a type or size that is not accepted.",
        fix_peer=(
            "Use a certificate with an ECDSA P-256, Ed25519, or RSA key of 2048 to 8192 bits."
        ),
    )
    CERTIFICATE_EXPIRED = Entry(
        alert=Alert.CERTIFICATE_EXPIRED,
        section="RFC 5280 4.1.2.5",
        sentence="The certificate has expired.",
        fix_peer="Renew the certificate.",
        fix_local=f"{CHECK_CLOCK}.",
        verdict=_PEER_UNLESS_CLOCK,
    )
    CERTIFICATE_NOT_YET_VALID = Entry(
        alert=Alert.CERTIFICATE_EXPIRED,
        section="RFC 5280 4.1.2.5",
        sentence="The certificate is not valid yet.",
        fix_peer="Check the certificate's dates.",
        fix_local=f"{CHECK_CLOCK}.",
        verdict=_PEER_UNLESS_CLOCK,
    )
    CERTIFICATE_UNTRUSTED = Entry(
        alert=Alert.UNKNOWN_CA,
        section="RFC 5280 6",
        sentence="No path leads from the certificate to a trusted authority.",
        fix_peer=(
            "Send the intermediate certificates too, or get a certificate from a trusted authority."
        ),
        fix_local=f"If that authority is yours, trust it ({TRUST}).",
        verdict=Verdict(
            Blame.UNCLEAR,
            "this end, if it is meant to trust the authority of that certificate; else the other "
            "end",
        ),
    )
    CERTIFICATE_NAME_MISMATCH = Entry(
        alert=Alert.BAD_CERTIFICATE,
        section="RFC 9525 6",
        sentence="The certificate is for another name.",
        fix_peer="Get a certificate that covers the name by which the server is reached.",
        fix_local="Connect by a name that is in the certificate.",
        verdict=Verdict(Blame.PEER, "unless this end asked for another name than was meant"),
        as_client=ForRole(
            verdict=Verdict(Blame.PEER, "unless it is meant to be reached by another name")
        ),
    )
    CERTIFICATE_WRONG_PURPOSE = Entry(
        alert=Alert.UNSUPPORTED_CERTIFICATE,
        section="RFC 5280 4.2.1.12",
        sentence="The certificate is not valid for this purpose.",
        fix_peer="Use a certificate with the right key usage and extended key usage.",
    )
    CERTIFICATE_REVOKED = Entry(
        alert=Alert.CERTIFICATE_REVOKED,
        section="RFC 5280 5",
        sentence="The certificate was revoked by its issuer.",
        fix_peer="Replace the certificate, and find out why it was revoked.",
    )
    BAD_OCSP_RESPONSE = Entry(
        alert=Alert.BAD_CERTIFICATE_STATUS_RESPONSE,
        section="RFC 6066 8",
        sentence="The stapled OCSP response does not show that the certificate is good.",
        fix_peer=(
            "Renew the stapled response: it must be current, signed, and about this certificate."
        ),
        fix_local=f"{CHECK_CLOCK}.",
        verdict=_PEER_UNLESS_CLOCK,
    )
    OCSP_RESPONSE_MISSING = Entry(
        alert=Alert.BAD_CERTIFICATE_STATUS_RESPONSE,
        section="RFC 7633 4.2.3",
        sentence="The certificate came without the stapled OCSP response that is required.",
        fix_peer=(
            "Enable OCSP stapling, or renew the response: servers do not send an outdated one."
        ),
    )
    REVOCATION_UNKNOWN = Entry(
        alert=Alert.CERTIFICATE_UNKNOWN,
        section="RFC 5280 6.3",
        sentence=(
            "No current revocation list covers the certificate, so it may have been revoked."
        ),
        fix_local=(
            f"Fetch the issuer's current CRL ({CRLS}). Or accept certificates without one "
            f"({NO_CRL_NEEDED})."
        ),
        verdict=Verdict(Blame.LOCAL),
    )
    PIN_MISMATCH = Entry(
        alert=Alert.CERTIFICATE_UNKNOWN,
        section="RFC 7469 2.6",
        sentence="No key on the certificate's path matches a pin.",
        fix_local=f"If the peer changed its keys on purpose, update the pins ({PINS}).",
        verdict=Verdict(
            Blame.UNCLEAR,
            "this end, if the other changed its keys on purpose; if not, somebody else answered",
        ),
    )
    TLSA_MISMATCH = Entry(
        alert=Alert.CERTIFICATE_UNKNOWN,
        section="RFC 6698 2.1",
        sentence="The certificate matches none of the TLSA records.",
        fix_peer="Publish TLSA records for a certificate before it is put to use.",
        fix_local=f"Look up the records again ({TLSA}).",
        verdict=Verdict(Blame.PEER, "unless the records that this end has are outdated"),
    )
    TIMESTAMPS_MISSING = Entry(
        alert=Alert.CERTIFICATE_UNKNOWN,
        section="RFC 6962 3",
        sentence="The certificate lacks valid timestamps from the configured transparency logs.",
        fix_peer=(
            "Get a certificate from an authority that submits its certificates to transparency "
            "logs."
        ),
        fix_local=(f"Add the keys of the logs that the certificate's authority uses ({CT_LOGS})."),
        verdict=Verdict(Blame.PEER, "unless this end lacks the keys of its logs"),
    )
    UNKNOWN_RAW_PUBLIC_KEY = Entry(
        alert=Alert.CERTIFICATE_UNKNOWN,
        section="RFC 7250 6",
        sentence="The peer's raw public key is not one of the expected keys.",
        fix_local=(f"If this is the peer's key, add it to the expected keys ({RAW_PUBLIC_KEYS})."),
        verdict=Verdict(
            Blame.UNCLEAR, "this end, if that is the other's key; if not, somebody else answered"
        ),
    )
    NO_SHARED_CERTIFICATE_TYPE = Entry(
        alert=Alert.UNSUPPORTED_CERTIFICATE,
        section="RFC 7250 4.2",
        sentence="The two sides share no certificate type.",
        fix_peer="Accept X.509 certificates, or expect this side's raw public key.",
        fix_local=(
            f"Add a certificate or key of a type that the other side accepts ({CREDENTIALS})."
        ),
        verdict=_SETTINGS_DIFFER,
    )
    BAD_COMPRESSED_CERTIFICATE = Entry(
        alert=Alert.BAD_CERTIFICATE,
        section="RFC 8879 4",
        sentence="A compressed Certificate message does not decompress as announced.",
        fix_peer=_REPORT,
    )
    CERTIFICATE_REFUSED = Entry(
        alert=Alert.CERTIFICATE_UNKNOWN,
        section="RFC 9846 6.2",
        sentence="The application refused the certificate.",
        fix_local=(
            f"If the peer is meant to connect, have the application accept it ({ACCEPTING})."
        ),
        verdict=Verdict(Blame.LOCAL),
    )
    TOO_MANY_CERTIFICATES = Entry(
        alert=Alert.BAD_CERTIFICATE,
        section="RFC 8446 4.4.2",
        sentence="The peer's chain has more certificates than this side accepts.",
        fix_peer="Send only the chain: the certificate and its intermediates.",
        fix_local=f"If the chain is legitimate, raise the limit ({LIMITS}).",
        verdict=Verdict(
            Blame.PEER, "unless the chain is legitimate: then a limit of this end is too low"
        ),
    )
    BAD_CERTIFICATE_REQUEST_CONTEXT = Entry(
        alert=Alert.ILLEGAL_PARAMETER,
        section="RFC 8446 4.4.2",
        sentence="A Certificate message does not belong to the request that it answers.",
        fix_peer=_REPORT,
    )

    # The end of a connection (section 6.1)
    TRUNCATED = Entry(
        alert=Alert.CLOSE_NOTIFY,
        section="RFC 9846 6.1",
        sentence="The transport ended without close_notify: data may be missing at the end.",
        fix_peer="Close TLS before closing the connection.",
        fix_local=(
            f"Where the application protocol marks its own end, allow it ({ALLOW_TRUNCATION})."
        ),
        verdict=Verdict(Blame.PEER, "unless the connection was cut on the way"),
        sends_alert=False,
    )
    CLOSED_DURING_HANDSHAKE = Entry(
        alert=Alert.CLOSE_NOTIFY,
        section="RFC 9846 6.1",
        sentence="The peer closed the connection before the handshake was complete.",
        fix_peer="See the other end's log: it gave no reason here.",
        verdict=Verdict(Blame.PEER, "which gave no reason"),
        as_client=ForRole(
            if_silent=Verdict(
                Blame.PEER, "which gave no reason, unless another service is on that port"
            ),
            silent_fix_local=f"Check that host and port belong to a TLS service. {_BEHIND_A_PROXY}",
        ),
        as_server=ForRole(
            if_silent=Verdict(
                Blame.PEER,
                "which closed without a word, as port scans and health checks do",
            ),
            fix_peer="See the client's log: it gave no reason here.",
        ),
        sends_alert=False,
    )
    HANDSHAKE_TIMEOUT = Entry(
        alert=Alert.USER_CANCELED,
        section="RFC 9846 6.1",
        sentence="The handshake did not complete in time.",
        fix_peer="See the other end's log for the step at which it waits.",
        fix_local=f"If the network is slow, allow more time ({TIMEOUT}).",
        verdict=Verdict(Blame.PEER, "unless the network is slow"),
        as_client=ForRole(
            if_silent=Verdict(
                Blame.PEER,
                "unless something on the way drops the data, or another service is on that port",
            ),
            silent_fix_peer="Check that the service is up and speaks TLS on this port.",
        ),
        as_server=ForRole(
            if_silent=Verdict(
                Blame.PEER,
                "which connected and sent nothing, as a client that waits for a greeting does "
                "(STARTTLS), unless something on the way drops it",
            ),
            fix_peer="See the client's log for the step at which it waits.",
        ),
    )
    HANDSHAKE_ABANDONED = Entry(
        alert=Alert.USER_CANCELED,
        section="RFC 9846 6.1",
        sentence="The program on this end gave up before the handshake was complete.",
        fix_peer="See the other end's log for the step at which it waits.",
        fix_local="Look for a timeout, a cancelled task, or a close in the program.",
        verdict=Verdict(
            Blame.UNCLEAR,
            "the other end, if it was to answer sooner; this end, if it was to wait longer",
        ),
        as_client=ForRole(
            silent_fix_peer="Check that the service is up and speaks TLS on this port."
        ),
        as_server=ForRole(fix_peer="See the client's log for the step at which it waits."),
        sends_alert=False,
    )

    RESET_DURING_HANDSHAKE = Entry(
        alert=Alert.CLOSE_NOTIFY,
        section="RFC 9293 3.10.7",
        sentence="The connection was reset (TCP RST) before the handshake was complete.",
        fix_peer="See the other end's log: it gave no reason here.",
        fix_local="Look for a firewall that resets the connection.",
        verdict=Verdict(
            Blame.UNCLEAR,
            "the other end, or something on the way such as a firewall, and neither said why",
        ),
        as_client=ForRole(
            silent_fix_local=(
                "Check that host and port belong to a TLS service, and that no firewall resets the "
                f"connection. {_BEHIND_A_PROXY}"
            ),
        ),
        as_server=ForRole(fix_peer="See the client's log: it gave no reason here."),
        sends_alert=False,
    )

    PROXY_HEADER = Entry(
        alert=Alert.UNEXPECTED_MESSAGE,
        section="PROXY protocol 2",
        sentence="The connection does not begin with a header of the PROXY protocol.",
        fix_peer=(
            "Let the load balancer send the header, as haproxy does with send-proxy-v2, and "
            "connect through it."
        ),
        fix_local=f"If clients connect without a balancer, do not ask for the header ({PROXY}).",
        verdict=Verdict(
            Blame.UNCLEAR,
            "the other end, if it did not come through the load balancer; the load balancer, if it "
            "is to send the header and does not; this end, if no balancer is meant to be there",
        ),
        sends_alert=False,
    )

    # This side
    CALLBACK_FAILED = Entry(
        alert=Alert.INTERNAL_ERROR,
        section="RFC 9846 6.2",
        sentence="A callback of this application failed, so the handshake was aborted.",
        fix_local=(
            "Fix the callback. If it raised an exception, that exception is chained to this one "
            f"({CAUSE})."
        ),
        verdict=Verdict(Blame.LOCAL),
    )
    KEY_LOG_FAILED = Entry(
        alert=Alert.INTERNAL_ERROR,
        section="RFC 9850 2",
        sentence="The key log could not be written, so the handshake was aborted.",
        fix_local=(
            "Let the key log be written; if the disk is full, make room on it. Or do without one "
            f"({NO_KEY_LOG}). The error of the file is chained to this one "
            f"({CAUSE})."
        ),
        verdict=Verdict(Blame.LOCAL),
    )
    OWN_SIGNATURE_WRONG = Entry(
        alert=Alert.INTERNAL_ERROR,
        section="RFC 8446 4.4.3",
        sentence="The signature from this side's signer does not match its certificate.",
        fix_local=(
            "Check that the signer holds the certificate's key and signs in the scheme that it "
            "is asked for."
        ),
        verdict=Verdict(Blame.LOCAL),
    )
    INTERRUPTED = Entry(
        alert=Alert.INTERNAL_ERROR,
        section="RFC 9846 6.2",
        sentence=(
            "The program was interrupted, as by Ctrl-C, in the middle of a read: bytes may be lost."
        ),
        fix_local="Open a new connection.",
        verdict=Verdict(Blame.LOCAL),
    )
    INTERNAL_ERROR = Entry(
        alert=Alert.INTERNAL_ERROR,
        section="RFC 9846 6.2",
        sentence="This side failed for a reason that has nothing to do with the peer.",
        fix_local="This is a defect: please report it with the traceback.",
        verdict=Verdict(Blame.LOCAL),
    )

    @property
    def alert(self) -> Alert:
        """The alert that is sent to the peer (RFC 9846 section 6)."""
        return self.value.alert

    @property
    def section(self) -> str:
        """The section of the RFC with the rule that was broken."""
        return self.value.section

    @property
    def sends_alert(self) -> bool:
        """Whether an alert is sent: not if it cannot reach the other end, which has ended the
        transport, or does not speak TLS yet.
        """
        return self.value.sends_alert

    @property
    def sentence(self) -> str:
        """The description of the fault, in one sentence for people."""
        return self.value.sentence

    @property
    def blame(self) -> Blame:
        """The end to blame, if no more is known than the fault itself."""
        return self.value.verdict.blame

    @property
    def fix(self) -> str:
        """The advice for both ends; empty if nothing can be done."""
        return self.fix_of()

    def verdict(self, role: Role | None = None, *, nothing_came: bool = False) -> Verdict:
        """Return the end to blame, and the condition for that.

        Args:
            role: of the end that found the fault; None if that is not known.
            nothing_came: whether the other end had not sent a single byte.
        """
        for_role = self._for_role(role)
        if nothing_came and for_role.if_silent is not None:
            return for_role.if_silent
        return for_role.verdict or self.value.verdict

    def fix_of(self, role: Role | None = None, *, nothing_came: bool = False) -> str:
        """Return the advice for both ends, limited to what they can do in their roles.

        Args:
            role: of the end that found the fault; None if that is not known.
            nothing_came: whether the other end had not sent a single byte.
        """
        entry, for_role = self.value, self._for_role(role)
        peer = entry.fix_peer if for_role.fix_peer is None else for_role.fix_peer
        local = entry.fix_local if for_role.fix_local is None else for_role.fix_local
        if nothing_came:
            silent_peer, silent_local = for_role.silent_fix_peer, for_role.silent_fix_local
            peer = peer if silent_peer is None else silent_peer
            local = local if silent_local is None else silent_local
        is_network = self.verdict(role).blame is Blame.NETWORK
        return advice(peer, local, this_end_first=is_network)

    def _for_role(self, role: Role | None) -> ForRole:
        if role is None:
            return _ANY_ROLE
        return self.value.as_client if role == "client" else self.value.as_server


_ANY_ROLE = ForRole()


def fault_named(name: str) -> Fault | None:
    """Return the fault of that name, or None if this version's catalogue has none."""
    try:
        return Fault[name]
    except KeyError:
        return None
