"""Captures of failures, and of what looks like one: what has to be told of each, and why.

They are those of `tests/capture/data`. The table in docs/failures.md is made of the same cases.
"""

from __future__ import annotations

from dataclasses import dataclass

from handclasp.advice import with_condition

NOBODY = "nobody"
"""Where nothing shows that it failed, nobody is blamed for it."""


@dataclass(frozen=True)
class Captured:
    """One capture.

    Attributes:
        name: of its file, in `tests/capture/data`.
        wrong: what happened, for the table.
        cause, condition, fix: what is told of it, word for word or in part; "" for nothing.
        blame: whose fault it is said to be.
        why: why that is right, for the table.
        keyed: whether its key log is given.
    """

    name: str
    wrong: str
    cause: str
    blame: str
    condition: str
    fix: str
    why: str
    keyed: bool = True


_UNREAD_ALERT = "the last record of the client is closed and probably an alert"
_GAVE_UP = (
    "the client gave up, and its reason is probably in its last record, an alert that cannot be "
    "read without the keys"
)
_CLIENT_S_LOG = "On the client: See the client's log"
_WAITED = "the client gave up after 3.0 s; the server had said nothing more"
_SLOW = "unless the network is slow"
_WHERE_IT_WAITS = "On the server: See the server's log for the step at which it waits."
_SAME_KEY = "On the client: Check that both ends have the same key under this identity."
_KEY_LOG = "let one of the two ends log them while the connection is made"
_DO_NOT_FIT = "the settings of the two ends do not fit together, and changing one of them is enough"
_COMPLETE_UNSEEN = "As far as can be seen without the keys, the handshake was completed"

CAPTURED = [
    Captured(
        "refused-certificate-tls13",
        "an s_client of OpenSSL does not know the server's authority",
        "The client says that it finds no path from the certificate that was sent, CN=secret.test,",
        "unclear",
        "",
        "On the server: If CN=field ca is an intermediate authority, send its certificate too",
        "The client's alert unknown_ca is opened with the key log. Whether the authority is a root "
        "that the client lacks or an intermediate that the server left out, no capture shows.",
    ),
    Captured(
        "refused-certificate-tls13",
        "the same without the key log",
        "The client says that it finds no path from the certificate that was sent to an authority",
        "unclear",
        "the client, if the issuer is a root that it is meant to trust",
        "On the server: If its issuer is an intermediate authority, send its certificate too",
        "The alert is in the clear: the outer type of a protected record is 23, and this one is "
        "two bytes of type 21 (RFC 9846 section 5.2). The certificate itself is not seen.",
        keyed=False,
    ),
    Captured(
        "two-psks-tls12",
        "OpenSSL at both ends, with two keys under one identity, TLS 1.2",
        "Most likely the two ends hold different pre-shared keys under this identity",
        "unclear",
        "the end that has the wrong key",
        _SAME_KEY,
        "bad_record_mac on the very first protected record of a PSK suite; a changed byte is the "
        "other cause, and comes second.",
    ),
    Captured(
        "two-psks-tls13",
        "the same in TLS 1.3",
        "the server could not verify the binder in the hello",
        "unclear",
        "the end that has the wrong key",
        _SAME_KEY,
        "The binder is the first thing that depends on the key, and OpenSSL answers it with "
        "illegal_parameter, which is no defect of the client here.",
    ),
    Captured(
        "encalert",
        "OpenSSL's client refuses a certificate; no key log",
        _UNREAD_ALERT,
        "unclear",
        _GAVE_UP,
        _CLIENT_S_LOG,
        "A record of 24 bytes holds two bytes and no Finished: the client gave up, and not the "
        "server that closed after it.",
    ),
    Captured(
        "gnutlsref",
        "GnuTLS's client refuses a certificate; no key log",
        _UNREAD_ALERT,
        "unclear",
        _GAVE_UP,
        _CLIENT_S_LOG,
        "The same by another program: the report depends on sizes only, not on who sent them.",
    ),
    Captured(
        "javaref",
        "Java's client refuses a certificate; no key log",
        _UNREAD_ALERT,
        "unclear",
        _GAVE_UP,
        _CLIENT_S_LOG,
        "Java pads its records by 16 bytes, so that 40 bytes are still too few for a Finished.",
    ),
    Captured(
        "stall13",
        "a server of TLS 1.3 that goes silent in its flight; no key log",
        _WAITED,
        "the server",
        _SLOW,
        _WHERE_IT_WAITS,
        "The client closed, and only because it had waited for three seconds: it was the server's "
        "turn.",
    ),
    Captured(
        "stall12",
        "a server of TLS 1.2 that goes silent after its ServerHello",
        _WAITED,
        "the server",
        _SLOW,
        "On the client: If the network is slow, allow more time.",
        "The client's user_canceled comes after the wait and is no reason of its own.",
    ),
    Captured(
        "unanswered",
        "a ClientHello that is sent again and again and never acknowledged",
        "TCP never acknowledged anything that the client said",
        "the network",
        "which lost what was sent, unless the other host is gone",
        "",
        "An acknowledgement comes from the other host's TCP, whatever the service there does.",
    ),
    Captured(
        "no-shared-version",
        "an s_client of OpenSSL with TLS 1.2 alone, and an s_server with TLS 1.3 alone",
        "The server does not speak TLS 1.2, which is the newest version that was offered: most "
        "likely it supports only TLS 1.3.",
        "unclear",
        _DO_NOT_FIT,
        "On the client: Offer TLS 1.3 as well.",
        "protocol_version says what the matter is, and the hello which versions were offered; "
        "which of the two is to change, nothing says.",
    ),
    Captured(
        "no-shared-group",
        "OpenSSL at both ends, the client with X25519 alone and the server with P-384 alone",
        "Most likely: the server accepts none of the groups that were offered: X25519.",
        "unclear",
        _DO_NOT_FIT,
        "On the client: Offer secp256r1 as well.",
        "handshake_failure has many causes; of the usual groups the hello has only one, and so "
        "this is the likeliest. The others follow it.",
    ),
    Captured(
        "no-shared-suite",
        "the same with ChaCha20-Poly1305 alone and AES-256-GCM alone",
        "Most likely: the server accepts none of the cipher suites that were offered: "
        "TLS_CHACHA20_POLY1305_SHA256.",
        "the client",
        "which offers none of the cipher suites that nearly every server supports, unless that is "
        "intended",
        "On the client: Offer TLS_AES_128_GCM_SHA256 as well.",
        "RFC 9846 section 9.1 has every client offer that suite, and this one does not.",
    ),
    Captured(
        "unknown-issuer-tls12",
        "a client of TLS 1.2 that trusts another authority",
        "The client says that it finds no path from the certificate that was sent, CN=localhost, "
        "to an authority that it trusts",
        "unclear",
        "the client, if CN=field ca is a root that it is meant to trust",
        "On the client: If CN=field ca is a root, trust the authority.",
        "In TLS 1.2 the certificate and the alert are in the clear, so that no key log is needed "
        "to name both.",
    ),
    Captured(
        "expired-tls12",
        "a certificate that expired years before",
        "It is valid from 2020-01-01 00:00 to 2021-01-01 00:00 UTC.",
        "the server",
        "unless the clock of the client is wrong",
        "On the server: Renew the certificate.",
        "What the client's clock said is not in the capture; the dates of the certificate are, and "
        "they were over when it was taken.",
    ),
    Captured(
        "no-client-certificate",
        "a server of TLS 1.2 that requires a client certificate, and a client that has none",
        "The server requires a client certificate, and the client has sent none.",
        "the client",
        "unless the server is meant to accept clients without a certificate",
        "On the client: Give the client a certificate and key from an authority that the server "
        "names in its request.",
        "handshake_failure is all that TLS 1.2 has for it, but the client's Certificate is empty.",
    ),
    Captured(
        "no-shared-protocol",
        "a client that offers http/1.1, and a server with h2 alone",
        "The server speaks none of the application protocols that were offered: http/1.1.",
        "unclear",
        _DO_NOT_FIT,
        "On the client: Offer one of the protocols that the server speaks, or none.",
        "The alert is of this one cause (RFC 7301 section 3.2).",
    ),
    Captured(
        "unknown-name",
        "a server that takes no other name than its own",
        "The server does not serve the name that was asked for: localhost.",
        "the client",
        "unless the server is meant to serve that name",
        "On the client: Ask for a name that the server serves.",
        "The same alert as in sniwarn, but fatal: nothing follows it.",
    ),
    Captured(
        "plain-http",
        "a server that speaks plain HTTP on the port",
        "The server speaks plain HTTP where TLS was expected.",
        "the client",
        "unless HTTPS is meant to be spoken on that port: then the server",
        "On the client: Check the port: plain HTTP is spoken on it.",
        "The first bytes of the answer are a status line of HTTP, and no record.",
    ),
    Captured(
        "reset",
        "a server that resets the connection when the hello comes",
        "The connection was reset (TCP RST) before the handshake was complete.",
        "unclear",
        "the server, or something on the way such as a firewall",
        "On the server: See the server's log: it gave no reason here.",
        "A reset does not say who made it: a firewall sends it with the server's address.",
    ),
    Captured(
        "sslv2-compatible-hello",
        "a client of 2005 with a hello in the form of SSLv2",
        "The client opens with a hello in the form of SSLv2, which offers TLSv1.0 at most",
        NOBODY,
        "",
        "no client may send them any more (RFC 6176)",
        "The hello is not read, and so neither is a reason made up for the server's "
        "handshake_failure.",
    ),
    Captured(
        "tls12-complete-without-data",
        "a whole connection without data; no key log",
        _COMPLETE_UNSEEN,
        NOBODY,
        "",
        _KEY_LOG,
        "Both ends sent a protected handshake message, which can be nothing but Finished. An "
        "earlier version called it a failure.",
    ),
    Captured(
        "ends-after-server-hello",
        "a capture that was stopped after the ServerHello",
        "The capture ends here, before the handshake is complete.",
        NOBODY,
        "",
        _KEY_LOG,
        "Nobody closed and nobody sent an alert: that the capture ends says nothing of the two.",
    ),
    Captured(
        "padalert",
        "a server that pads all it says to multiples of 512; no key log",
        "so that an alert looks like anything else",
        NOBODY,
        "",
        _KEY_LOG,
        "Padding is there so that sizes tell nothing (RFC 9846 section 5.4).",
    ),
    Captured(
        "early",
        "early data that the server takes; no key log",
        "the client offers early data, which looks like its answer to the server's messages",
        NOBODY,
        "",
        _KEY_LOG,
        "Early data and the client's Finished have one outer type, and any size.",
        keyed=False,
    ),
    Captured(
        "half-hello",
        "a capture with the first 100 bytes of a ClientHello",
        "What the client says ends within its ClientHello: 100 bytes of 243 are there.",
        NOBODY,
        "",
        "",
        "The record's header says how long it is to be; no more than that is known.",
    ),
    Captured(
        "gap-after-handshake",
        "1,400 bytes of the server's data were not captured",
        "1,400 bytes that the server said are not in the capture.",
        NOBODY,
        "",
        "",
        "The handshake is whole and told as complete; only what follows the gap is not read.",
    ),
    Captured(
        "cut-file",
        "a file that is cut in its last packet",
        "The file is cut off in the middle of its last packet",
        NOBODY,
        "",
        "",
        "All that came before it is there, and told.",
    ),
    Captured(
        "icmp-error-first",
        "an ICMP error that quotes a segment of TCP comes first",
        "Complete in",
        NOBODY,
        "",
        "",
        "What is quoted was not sent in this direction, and is no part of the conversation.",
    ),
    Captured(
        "out-of-order-hello",
        "the two segments of the ClientHello come in the wrong order",
        "Complete in",
        NOBODY,
        "",
        "",
        "TCP puts segments in order by their numbers, and the server answered the whole hello.",
    ),
    Captured(
        "sniwarn",
        "a server that warns of unrecognized_name and goes on",
        "Alert: unrecognized_name",
        NOBODY,
        "",
        "",
        "A warning that the handshake survived is no failure (RFC 6066 section 3).",
    ),
    Captured(
        "starttls",
        "SMTP with STARTTLS",
        "18 bytes of the client and 126 of the server came before TLS",
        NOBODY,
        "",
        "",
        "What is in the clear before TLS is counted on both sides and taken for no defect of it.",
    ),
    Captured(
        "dtls-only",
        "DTLS over UDP",
        "It holds DTLS, whose client offers DTLSv1.2",
        NOBODY,
        "",
        "which is not read here",
        "It says what the capture has instead of saying that there is nothing in it.",
    ),
    Captured(
        "quic-only",
        "QUIC",
        "It holds QUIC version 1",
        NOBODY,
        "",
        "which is not read here",
        "The same for QUIC, whose TLS is inside of its own packets.",
    ),
]


def captured_table() -> str:
    """Their part of docs/failures.md."""
    lines = [
        "\n## `handclasp explain` and captures\n\n"
        "Held by `tests/failures/test_captured.py`. Where nothing shows that a handshake failed, "
        "that is said, and nobody is blamed.\n\n"
        "| Capture | What happened | Told | Blame | To change | Why |\n|---|---|---|---|---|---|\n"
    ]
    for case in CAPTURED:
        blame = with_condition(case.blame, case.condition)
        cells = [case.name, case.wrong, case.cause, blame, case.fix, case.why]
        lines.append("| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |\n")
    return "".join(lines)
