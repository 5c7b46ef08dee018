"""Where the three servers may disagree on a hello, and what the RFCs say about it.

A difference is told apart by what ours says (the fault, or "answered") and what the others say.
Each entry covers those that match all its patterns, in this order; what none covers is a finding.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Difference(NamedTuple):
    """Patterns for what the three say, and the reason.

    Attributes:
        ours: of the fault with its detail, or "answered".
        openssl, go: of "answered", "alert N" or "silent".
        why: who is right, in the RFC's words.
    """

    ours: str
    openssl: str
    go: str
    why: str


ANY = ".*"
REFUSED = "alert|silent"

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "DUPLICATE_EXTENSION",
        ANY,
        ANY,
        'RFC 8446 4.2: "There MUST NOT be more than one extension of the same type in a given '
        'extension block." OpenSSL looks only at types that it knows.',
    ),
    Difference(
        "DECODE_ERROR",
        "answered",
        ANY,
        'RFC 8446: "Peers which receive a message which cannot be parsed according to the '
        "syntax (e.g., have a length extending beyond the message boundary or contain an "
        'out-of-range length) MUST terminate the connection". OpenSSL passes over extensions '
        "that it has no use for, be they malformed or not; Go parses them, as is done here.",
    ),
    Difference(
        "DECODE_ERROR",
        "alert",
        "answered",
        "The same words; here it is Go that does not look inside what it does not use.",
    ),
    Difference(
        "DECODE_ERROR",
        "silent",
        "answered",
        "The same words; here it is Go that does not look inside what it does not use.",
    ),
    Difference(
        "MISSING_EXTENSION: psk_key_exchange_modes",
        ANY,
        ANY,
        'RFC 8446 4.2.9: "If clients offer "pre_shared_key" without a "psk_key_exchange_modes" '
        'extension, servers MUST abort the handshake." Go ignores pre_shared_key then.',
    ),
    Difference(
        "MISSING_EXTENSION",
        ANY,
        ANY,
        'RFC 9846 9.2: "If containing a "supported_groups" extension, it MUST also contain a '
        '"key_share" extension, and vice versa. [...] Servers receiving a ClientHello which does '
        'not conform to these requirements MUST abort the handshake with a "missing_extension" '
        'alert." Go asks for a share by HelloRetryRequest.',
    ),
    Difference(
        "KEY_SHARE_NOT_IN_GROUPS",
        ANY,
        ANY,
        'RFC 8446 4.2.8: "Clients MUST NOT offer any KeyShareEntry values for groups not listed in '
        'the client\'s "supported_groups" extension. Servers MAY check for violations of these '
        'rules and abort the handshake with an "illegal_parameter" alert if one is violated."',
    ),
    Difference(
        "ILLEGAL_VALUE: server_name",
        ANY,
        ANY,
        'RFC 6066 3: ""HostName" contains the fully qualified DNS hostname of the server [...] '
        'represented as a byte string using ASCII encoding without a trailing dot." The others '
        "take any bytes.",
    ),
    Difference(
        "ILLEGAL_VALUE: pre_shared_key",
        ANY,
        ANY,
        'RFC 8446 4.2.11: "The "pre_shared_key" extension MUST be the last extension in the '
        "ClientHello [...] Servers MUST check that it is the last extension and otherwise fail the "
        'handshake with an "illegal_parameter" alert."',
    ),
    Difference(
        "NO_SHARED_SIGNATURE_SCHEME",
        ANY,
        ANY,
        'RFC 9155 4: "Servers MUST NOT include MD5 and SHA-1 in ServerKeyExchange messages." Who '
        "says nothing, or nothing else, could be answered with SHA-1 only, which Go and OpenSSL "
        "may do in TLS 1.2; or with ECDSA over another curve's hash, which TLS 1.2 allows and "
        "OpenSSL takes.",
    ),
    Difference(
        "NO_SHARED_CIPHER_SUITE",
        ANY,
        "answered",
        "There is no CBC here; RFC 7540 A and RFC 9325 4.1 advise against it. Go still has it.",
    ),
    Difference(
        "NO_SHARED_VERSION: legacy_version",
        ANY,
        "answered",
        'RFC 8446 D.5: "Any endpoint receiving a Hello message with ClientHello.legacy_version or '
        "ServerHello.legacy_version set to 0x0300 MUST abort the handshake with a "
        '"protocol_version" alert." Go does not look at it.',
    ),
    Difference(
        "answered",
        "alert 50",
        "answered",
        "RFC 6066 3 defines one type of name and leaves room for others, which are passed over. "
        "OpenSSL takes no list that begins with another type.",
    ),
    Difference(
        "answered",
        "alert 40",
        "alert (40|50)",
        'RFC 8422 4: "A client that proposes ECC cipher suites may choose not to include these '
        'extensions. In this case, the server is free to choose any one of the elliptic curves". '
        "The others want supported_groups.",
    ),
    Difference(
        "answered",
        "alert 40",
        "answered",
        'RFC 8446 4.4.2.2: "If the server cannot produce a certificate chain that is signed only '
        "via the indicated supported algorithms, then it SHOULD continue the handshake by sending "
        'the client a certificate chain of its choice". OpenSSL gives up where '
        "signature_algorithms_cert names nothing that it knows.",
    ),
    Difference(
        "answered",
        "answered",
        REFUSED,
        "RFC 8446 4.2: an unknown extension is ignored. Go parses extensions that are not known "
        "here, such as encrypted_client_hello and session tickets of its own, and refuses them "
        "where they are malformed.",
    ),
)


def explained(ours: str, openssl: str, go: str) -> Difference | None:
    """The entry for a difference, if there is one."""
    for each in DIFFERENCES:
        patterns = ((each.ours, ours), (each.openssl, openssl), (each.go, go))
        if all(re.match(pattern, said) for pattern, said in patterns):
            return each
    return None
