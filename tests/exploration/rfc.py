"""The states of a handshake and what may come in each, as the RFCs have them.

By hand from RFC 8446 Appendix A (with RFC 8879's compressed certificates), and from RFC 5246
section 7.3 (with RFC 6066, RFC 5077 and RFC 5746). Where the next state depends on what was agreed
upon, it is given for each mode.
"""

from __future__ import annotations

from collections.abc import Mapping

Next = str | Mapping[str, str]
Graph = Mapping[str, Mapping[str, Next]]

CCS = "change_cipher_spec"
DATA = "application_data"
RETRY = "HelloRetryRequest"
"""A ServerHello with a random of its own, which has a name of its own here."""

CLIENT13: Graph = {
    "WAIT_SH": {
        "ServerHello": "WAIT_EE",
        RETRY: "WAIT_SH after HelloRetryRequest",
        CCS: "WAIT_SH",
    },
    "WAIT_SH after HelloRetryRequest": {
        "ServerHello": "WAIT_EE",
        CCS: "WAIT_SH after HelloRetryRequest",
    },
    "WAIT_EE": {
        "EncryptedExtensions": {"psk": "WAIT_FINISHED", "certificate": "WAIT_CERT_CR"},
        CCS: "WAIT_EE",
    },
    "WAIT_CERT_CR": {
        "Certificate": "WAIT_CV",
        "CompressedCertificate": "WAIT_CV",
        "CertificateRequest": "WAIT_CERT",
        CCS: "WAIT_CERT_CR",
    },
    "WAIT_CERT": {
        "Certificate": "WAIT_CV",
        "CompressedCertificate": "WAIT_CV",
        CCS: "WAIT_CERT",
    },
    "WAIT_CV": {"CertificateVerify": "WAIT_FINISHED", CCS: "WAIT_CV"},
    "WAIT_FINISHED": {"Finished": "CONNECTED", CCS: "WAIT_FINISHED"},
    "CONNECTED": {
        "NewSessionTicket": "CONNECTED",
        "KeyUpdate": "CONNECTED",
        DATA: "CONNECTED",
    },
}

SERVER13: Graph = {
    "START": {
        "ClientHello": {
            "retry": "START after HelloRetryRequest",
            "retry, early": "START after HelloRetryRequest, with early data",
            "early": "WAIT_EOED",
            "asked": "WAIT_CERT",
            "plain": "WAIT_FINISHED",
        },
    },
    "START after HelloRetryRequest": {
        "ClientHello": {"asked": "WAIT_CERT", "plain": "WAIT_FINISHED"},
        CCS: "START after HelloRetryRequest",
    },
    "START after HelloRetryRequest, with early data": {
        "ClientHello": {"asked": "WAIT_CERT", "plain": "WAIT_FINISHED"},
        # RFC 8446 4.2.10: it is skipped, until the second hello comes.
        DATA: "START after HelloRetryRequest, with early data",
        CCS: "START after HelloRetryRequest, with early data",
    },
    "WAIT_EOED": {
        "EndOfEarlyData": {"plain": "WAIT_FINISHED"},
        DATA: "WAIT_EOED",
        CCS: "WAIT_EOED",
    },
    "WAIT_CERT": {
        "Certificate": {"shown": "WAIT_CV", "nothing shown": "WAIT_FINISHED"},
        "CompressedCertificate": {"shown": "WAIT_CV", "nothing shown": "WAIT_FINISHED"},
        CCS: "WAIT_CERT",
    },
    "WAIT_CV": {"CertificateVerify": "WAIT_FINISHED", CCS: "WAIT_CV"},
    "WAIT_FINISHED": {"Finished": "CONNECTED", CCS: "WAIT_FINISHED"},
    "CONNECTED": {"KeyUpdate": "CONNECTED", DATA: "CONNECTED"},
}

CLIENT12: Graph = {
    "WAIT_SH": {
        "ServerHello": {
            "resumed": "WAIT_CCS",
            "resumed, ticket": "WAIT_TICKET",
            "full": "WAIT_CERT",
        },
    },
    "WAIT_CERT": {
        "Certificate": {
            "status": "WAIT_STATUS",
            "no status": "WAIT_SKE",
            "RSA, status": "WAIT_STATUS of RSA",
            "RSA": "WAIT_CR_DONE",
        }
    },
    "WAIT_STATUS": {"CertificateStatus": "WAIT_SKE", "ServerKeyExchange": "WAIT_CR_DONE"},
    "WAIT_STATUS of RSA": {
        "CertificateStatus": "WAIT_CR_DONE",
        "CertificateRequest": "WAIT_DONE",
        "ServerHelloDone": {"ticket": "WAIT_TICKET", "no ticket": "WAIT_CCS"},
    },
    "WAIT_SKE": {"ServerKeyExchange": "WAIT_CR_DONE"},
    "WAIT_CR_DONE": {
        "CertificateRequest": "WAIT_DONE",
        "ServerHelloDone": {"ticket": "WAIT_TICKET", "no ticket": "WAIT_CCS"},
    },
    "WAIT_DONE": {"ServerHelloDone": {"ticket": "WAIT_TICKET", "no ticket": "WAIT_CCS"}},
    "WAIT_TICKET": {"NewSessionTicket": "WAIT_CCS"},
    "WAIT_CCS": {CCS: "WAIT_FINISHED"},
    "WAIT_FINISHED": {"Finished": "CONNECTED"},
    "CONNECTED": {"HelloRequest": "CONNECTED", DATA: "CONNECTED"},
}

SERVER12: Graph = {
    "START": {
        "ClientHello": {"resumed": "WAIT_CCS", "asked": "WAIT_CERT", "plain": "WAIT_CKE"},
    },
    "WAIT_CERT": {"Certificate": {"shown": "WAIT_CKE before CertificateVerify"}},
    "WAIT_CKE before CertificateVerify": {"ClientKeyExchange": "WAIT_CV"},
    "WAIT_CKE": {"ClientKeyExchange": "WAIT_CCS"},
    "WAIT_CV": {"CertificateVerify": "WAIT_CCS"},
    "WAIT_CCS": {CCS: "WAIT_FINISHED"},
    "WAIT_FINISHED": {"Finished": "CONNECTED"},
    "CONNECTED": {"ClientHello": "CONNECTED", DATA: "CONNECTED"},
}

AUTHENTICATION_CLIENT13: Graph = {
    "CONNECTED": {
        "CertificateRequest": "CONNECTED",
        "NewSessionTicket": "CONNECTED",
        "KeyUpdate": "CONNECTED",
        DATA: "CONNECTED",
    },
}
"""A client that offered post_handshake_auth: it answers each request at once."""

AUTHENTICATION_SERVER13: Graph = {
    "CONNECTED, with a request": {
        "Certificate": {"shown": "WAIT_CV", "nothing shown": "WAIT_FINISHED"},
        "CompressedCertificate": {"shown": "WAIT_CV", "nothing shown": "WAIT_FINISHED"},
        "KeyUpdate": "CONNECTED, with a request",
        DATA: "CONNECTED, with a request",
    },
    "WAIT_CV": {"CertificateVerify": "WAIT_FINISHED"},
    "WAIT_FINISHED": {"Finished": "CONNECTED"},
    "CONNECTED": {"KeyUpdate": "CONNECTED", DATA: "CONNECTED"},
}
"""A server that has sent a CertificateRequest after the handshake (section 4.6.2)."""

GRAPHS: Mapping[tuple[str, str], Graph] = {
    ("client", "TLSv1.3"): CLIENT13,
    ("server", "TLSv1.3"): SERVER13,
    ("client", "TLSv1.2"): CLIENT12,
    ("server", "TLSv1.2"): SERVER12,
}


def after(graph: Graph, state: str, message: str, modes: frozenset[str]) -> str:
    """The state that a message leads to."""
    following = graph[state][message]
    if isinstance(following, str):
        return following
    (chosen,) = [name for mode, name in following.items() if mode in modes]
    return chosen
