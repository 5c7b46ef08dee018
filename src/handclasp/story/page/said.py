"""The paragraphs of the seven steps, by what happened in this handshake.

Every sentence must be true of the handshake: versions, key exchanges and earlier keys have their
own sentences, and events that did not happen have none.
"""

from __future__ import annotations

from dataclasses import dataclass

from handclasp.story.facts import Facts


@dataclass(frozen=True, slots=True)
class Said:
    """A paragraph for each step."""

    hello: str
    identity: str
    trust: str
    secret: str
    finished: str
    symmetric: str
    one_time: str


def said_of(facts: Facts) -> Said:
    """Return the paragraphs for a recorded handshake, also for one that failed."""
    return Said(
        hello=_joined(_hello(facts), _brought(facts), _early_data(facts)),
        identity=_joined(_identity(facts), _client_identity(facts)),
        trust=_trust(facts),
        secret=_secret(facts),
        finished=_joined(_FINISHED, _DIGESTS.get(facts.version or "", "")),
        symmetric=_joined(_SYMMETRIC, _HAD_ONE if facts.key_exchange in _NO_EXCHANGE else ""),
        one_time=_one_time(facts),
    )


def _joined(*told: str) -> str:
    return " ".join(filter(None, told))


_NO_EXCHANGE = ("session", "psk")
_CAME_WITH = {
    "ticket": "a ticket of an earlier connection",
    "session id": "the ID of an earlier session",
    "external key": "a key that both sides were given beforehand",
    "key": "an earlier key that both sides have",
}
"""By `Facts.earlier_key`."""


def _hello(facts: Facts) -> str:
    says = "whom it is looking for and what it can do"
    if facts.cipher_suites and facts.server_name is None:
        says = "what it can do, and no server name"
    told = (
        f"The client asks the server for a secure connection. It says {says}; the server "
        "chooses from that."
    )
    if facts.retried:
        told += " The server could not use the first hello, so it asked for a second one."
    return told


def _brought(facts: Facts) -> str:
    if facts.earlier_key is None:
        return ""
    return f"The client came with {_CAME_WITH[facts.earlier_key]}, and the server accepted it."


_REPLAY = (
    "Nothing fresh of the server goes into that key, so anybody who recorded these data can "
    "send them again (a replay): a server may act on them only if a repetition does "
    "no harm."
)


def _early_data(facts: Facts) -> str:
    if facts.early_data == "none":
        return ""
    told = (
        "With its hello the client sent its first data (early data, 0-RTT), under an earlier key."
    )
    if facts.early_data == "accepted":
        return f"{told} The server accepted them. {_REPLAY}"
    if facts.early_data == "rejected":
        why = f" ({facts.early_data_refusal})" if facts.early_data_refusal else ""
        return (
            f"{told} The server rejected them{why}; the client decides whether to send them again."
        )
    return f"{told} {_REPLAY}"


def _identity(facts: Facts) -> str:
    if facts.earlier_key in ("ticket", "session id"):
        return (
            "No certificate is sent this time: the two know each other from an earlier "
            "session. Each proves its identity by holding the secret of that session."
        )
    if facts.is_anonymous:
        return (
            "Neither side is authenticated: no certificate is sent, and nothing is signed. "
            "An attacker between them can pretend to be each of them to the other."
        )
    if facts.is_by_key:
        return (
            "No side sends a certificate: both have the same pre-shared key, and each proves "
            "its identity by holding it."
        )
    return _joined(_shown(facts), _proof(facts))


def _shown(facts: Facts) -> str:
    if "server" in facts.raw_keys:
        return (
            "The server answers with its raw public key, without a certificate (RFC 7250): "
            "it has no name, and no issuer vouches for it."
        )
    return (
        "The server answers with its certificate: its name and its public key, signed by its "
        "issuer."
    )


def _proof(facts: Facts) -> str:
    """Return how the server proves that it holds the private key."""
    if facts.version == "TLSv1.3":
        return "To prove that it holds the private key, it signs the messages of this handshake."
    if facts.key_exchange in ("transport", "psk transport"):
        return (
            "It signs nothing: it proves that it holds the private key by decrypting the "
            "secret that the client encrypts to the public one."
        )
    if (facts.cipher_suite or "").startswith(("TLS_ECDHE_", "TLS_DHE_")):
        return (
            "To prove that it holds the private key, it signs its public value of the key "
            "exchange and the random values of both hellos."
        )
    return ""


def _client_identity(facts: Facts) -> str:
    if facts.client_certificate == "not asked":
        return ""
    asked = "The server also asked for the client's certificate"
    if facts.client_certificate == "shown":
        what = "its raw public key" if "client" in facts.raw_keys else "a certificate"
        return f"{asked}; the client sent {what}, and signed the messages of this handshake."
    return f"{asked}, and the client sent none."


def _trust(facts: Facts) -> str:
    if facts.earlier_key in ("ticket", "session id"):
        return (
            "No certificate was sent this time. The one of the earlier connection still "
            "applies, and a client may verify it again, by its current clock and "
            "trust store."
        )
    if facts.is_anonymous:
        return "There is nothing to decide: neither side is authenticated."
    if facts.is_by_key:
        return "There is no certificate to verify: each side trusts any holder of the key."
    if "server" in facts.raw_keys:
        told = (
            "The client decides whether it trusts the key: is it one that it already knows? "
            "No authority and no name is involved. If not, it ends the connection."
        )
    else:
        told = (
            "The client decides whether it trusts the certificate. Is it valid today? Was it "
            "issued by an authority that the client trusts, and does the signature "
            "prove that? Is it for the name that the client asked for? A single no "
            "ends the connection."
        )
    if facts.client_certificate == "shown":
        told += " The server verifies the client in the same way, by its own rules."
    return told


def _secret(facts: Facts) -> str:
    match facts.key_exchange:
        case "transport":
            return (
                "The client made the secret alone, and sent it encrypted to the public key "
                "in the certificate (RSA key transport). Anybody who ever obtains the "
                "private key can read this connection, if it was recorded; TLS 1.3 no "
                "longer has this."
            )
        case "psk transport":
            return (
                "The client made a part of the secret alone, and sent it encrypted to the "
                "public key in the certificate; the other part is the pre-shared key. "
                "Anybody who ever obtains that key and the private one can read this "
                "connection, if it was recorded."
            )
        case "session":
            return _session_secret(facts)
        case "psk":
            return (
                "There was no key exchange: all keys are derived from the pre-shared key, "
                "and from fresh random values. Anybody who ever obtains that key can "
                "read this connection, if it was recorded."
            )
        case None if facts.cipher_suite is not None and facts.version != "TLSv1.3":
            return f"The key exchange of {facts.cipher_suite} is unknown here."
        case _:
            return _agreed_secret(facts)


def _session_secret(facts: Facts) -> str:
    told = (
        "There was no key exchange: both sides kept the secret of the earlier session, and "
        "derive new keys from it, with fresh random values from both."
    )
    if (facts.cipher_suite or "").startswith("TLS_RSA_WITH_"):
        told += (
            " The client had made that secret alone, and sent it encrypted to the key in the "
            "server's certificate; so anybody who ever obtains the private key can "
            "read this connection too."
        )
    return told


def _agreed_secret(facts: Facts) -> str:
    told = (
        "Each side sends a public value and keeps a private one. Its own private value and "
        "the other's public value together give the same secret on both sides; to an "
        "observer, the two public values reveal nothing. The secret itself is never "
        "sent."
    )
    if facts.server_share is not None and "MLKEM" in facts.server_share.group:
        told += (
            " In the part of ML-KEM, the client's value is a public key, and the server's is "
            "a secret encrypted to it, which nobody else can decrypt. An attacker "
            "would have to break both parts."
        )
    if facts.has_psk:
        told += " The pre-shared key goes into the keys as well."
    if facts.version == "TLSv1.3" and facts.earlier_key is not None:
        told += f" {_CAME_WITH[facts.earlier_key][:1].upper()}{_CAME_WITH[facts.earlier_key][1:]}"
        told += " goes into the keys as well."
    return told


_FINISHED = (
    "Each side sends a keyed digest of all messages. It is correct only if the sender holds "
    "the same secret and has seen the same messages, so now each side knows this of "
    "the other."
)
_DIGESTS = {
    "TLSv1.3": "The two digests differ, and must: each side has its own key for them, and "
    "the client's covers the server's as well. Each side computes both, and "
    "compares the other's with the received one.",
    "TLSv1.2": "The two digests differ, and must: the name of the side goes into each, and "
    "the later one covers the earlier as well. Each side computes both, and "
    "compares the other's with the received one.",
}
"""By version."""

_SYMMETRIC = (
    "Public-key cryptography lets strangers agree on a secret in public, but it is slow. A "
    "symmetric cipher is fast, but needs a shared secret. So the former makes the "
    "secret, and the latter does all the work after that."
)
_HAD_ONE = "This time both sides already had a secret, and needed no key exchange."


def _one_time(facts: Facts) -> str:
    told = (
        "The keys are for this one connection. Fresh random values from both sides go into "
        "them, so other clients have other keys, and the same client will have new "
        "ones the next time."
    )
    if facts.early_data == "accepted":
        told += " The key of the early data depends only on the client's fresh values."
    if facts.key_exchange == "session":
        told += " Their secret is that of the earlier session."
    return told
