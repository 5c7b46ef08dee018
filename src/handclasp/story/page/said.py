"""What each of the seven steps says of this very handshake, by what happened in it.

One sentence is as true as the next: what a version, a key exchange or a key from before makes
different is told differently, and what did not happen is not told at all.
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
    """The paragraphs for a recorded handshake, also for one that failed on the way."""
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
    "session id": "the name of an earlier session",
    "external key": "a key that both sides were given beforehand",
    "key": "a key that both sides have from before",
}
"""By `Facts.earlier_key`."""


def _hello(facts: Facts) -> str:
    says = "whom it is looking for and what it can do"
    if facts.cipher_suites and facts.server_name is None:
        says = "what it can do, and not by name whom it is looking for"
    told = (
        f"The client asks the server for a secure conversation. It says {says}; the server chooses "
        "from that."
    )
    if facts.retried:
        told += " The first hello did not suit the server, so it asked for a second one."
    return told


def _brought(facts: Facts) -> str:
    if facts.earlier_key is None:
        return ""
    return f"The client came with {_CAME_WITH[facts.earlier_key]}, and the server took it."


_REPLAY = (
    "Nothing fresh of the server goes into that key, so whoever recorded those words can send them "
    "again (a replay): a server may act on them only where a repetition does no harm."
)


def _early_data(facts: Facts) -> str:
    if facts.early_data == "none":
        return ""
    told = (
        "With its hello the client sent its first words (early data, 0-RTT), under a key from "
        "before."
    )
    if facts.early_data == "accepted":
        return f"{told} The server took them. {_REPLAY}"
    if facts.early_data == "rejected":
        return f"{told} The server did not take them; whether to say them again is for the client."
    return f"{told} {_REPLAY}"


def _identity(facts: Facts) -> str:
    if facts.earlier_key in ("ticket", "session id"):
        return (
            "No certificate is shown this time: the two know each other from an earlier session. "
            "That each of them has its secret is the proof that it is the same one as then."
        )
    if facts.is_anonymous:
        return (
            "Nobody says who it is: no certificate is shown, and nothing is signed. Whoever sits "
            "in between can talk to each of them in the place of the other."
        )
    if facts.is_by_key:
        return (
            "Nobody shows a certificate: both sides have the same key from before, and that each "
            "of them holds it is the proof of who they are."
        )
    return _joined(_shown(facts), _proof(facts))


def _shown(facts: Facts) -> str:
    if "server" in facts.raw_keys:
        return (
            "The server answers with its bare public key, without a certificate (RFC 7250): no "
            "name, and nobody who vouches for it."
        )
    return (
        "The server answers with its certificate: its name and its public key, signed by its "
        "issuer."
    )


def _proof(facts: Facts) -> str:
    """How the server shows that it holds the private key."""
    if facts.version == "TLSv1.3":
        return "To show that it holds the private key too, it signs this very conversation."
    if facts.key_exchange in ("transport", "psk transport"):
        return (
            "It signs nothing: by opening what the client encrypts to that key it shows that it "
            "holds the private one."
        )
    if (facts.cipher_suite or "").startswith(("TLS_ECDHE_", "TLS_DHE_")):
        return (
            "To show that it holds the private key too, it signs its public half of the secret and "
            "the random values of both hellos."
        )
    return ""


def _client_identity(facts: Facts) -> str:
    if facts.client_certificate == "not asked":
        return ""
    asked = "The server asked who the client is, too"
    if facts.client_certificate == "shown":
        what = "its bare public key" if "client" in facts.raw_keys else "a certificate"
        return f"{asked}; the client showed {what}, and signed this very conversation."
    return f"{asked}, and was shown no certificate."


def _trust(facts: Facts) -> str:
    if facts.earlier_key in ("ticket", "session id"):
        return (
            "No certificate came this time. The one that the server showed in the earlier "
            "connection stands for it, and a client may judge that again, by today's clock and "
            "trust."
        )
    if facts.is_anonymous:
        return "There is nothing to decide on: neither side has said who it is."
    if facts.is_by_key:
        return "There is no certificate to believe: each side trusts whoever holds the key."
    if "server" in facts.raw_keys:
        told = (
            "The client decides whether it believes the key: is it the one that it knows from "
            "elsewhere? No authority is asked, and no name is looked for. A no ends the "
            "conversation."
        )
    else:
        told = (
            "The client decides whether it believes the certificate. Is it valid today? Was it "
            "issued by an authority that the client trusts, and does the signature prove that? Is "
            "it for the name that the client asked for? One no ends the conversation."
        )
    if facts.client_certificate == "shown":
        told += " The server decides on what the client showed, by rules of its own."
    return told


def _secret(facts: Facts) -> str:
    match facts.key_exchange:
        case "transport":
            return (
                "The client made the secret alone, and sent it encrypted to the public key in the "
                "certificate (RSA key transport). Whoever gets hold of the private key some day "
                "can read this conversation, if it was recorded; TLS 1.3 no longer has this."
            )
        case "psk transport":
            return (
                "The client made a part of the secret alone, and sent it encrypted to the public "
                "key in the certificate; the other part is the key that both have from before. "
                "Whoever gets hold of that key and of the private one some day can read this "
                "conversation, if it was recorded."
            )
        case "session":
            return _session_secret(facts)
        case "psk":
            return (
                "Nothing was agreed upon anew: all keys come from the key that both have from "
                "before, and from fresh random values. Whoever gets hold of that key some day can "
                "read this conversation, if it was recorded."
            )
        case None if facts.cipher_suite is not None and facts.version != "TLSv1.3":
            return f"How the two came to one secret by {facts.cipher_suite} is not told here."
        case _:
            return _agreed_secret(facts)


def _session_secret(facts: Facts) -> str:
    told = (
        "Nothing was agreed upon anew: both sides kept the secret of the earlier session, and make "
        "new keys of it, with fresh random values from both."
    )
    if (facts.cipher_suite or "").startswith("TLS_RSA_WITH_"):
        told += (
            " The client had made that secret alone, and sent it encrypted to the key in the "
            "server's certificate; so whoever gets hold of the private key some day can read this, "
            "too."
        )
    return told


def _agreed_secret(facts: Facts) -> str:
    told = (
        "Each side sends a public half and keeps a private one. Own private half and the other's "
        "public half together give the same secret on both sides; to whoever only listens, the two "
        "public halves give nothing. The secret itself never travels."
    )
    if facts.server_share is not None and "MLKEM" in facts.server_share.group:
        told += (
            " In the part of ML-KEM, the client's half is a public key, and the server's is a "
            "secret encrypted to that, which nobody else can open. An attacker would have to break "
            "both parts."
        )
    if facts.has_psk:
        told += " The key that both have from before goes into the keys as well."
    if facts.version == "TLSv1.3" and facts.earlier_key is not None:
        told += f" {_CAME_WITH[facts.earlier_key][:1].upper()}{_CAME_WITH[facts.earlier_key][1:]}"
        told += " goes into the keys as well."
    return told


_FINISHED = (
    "Each side sends a keyed digest of everything that was said. It comes out right only for "
    "whoever holds the same secret and has heard the same words, so now both know of each other "
    "that they do."
)
_DIGESTS = {
    "TLSv1.3": "The two digests are different ones, and have to be: each side makes its own with "
    "a key of its own, and the client's covers the server's as well. Each side works out both, and "
    "compares the other's with what came.",
    "TLSv1.2": "The two digests are different ones, and have to be: the name of the side goes into "
    "each, and the later one covers the earlier as well. Each side works out both, and compares "
    "the other's with what came.",
}
"""By version."""

_SYMMETRIC = (
    "Public-key cryptography lets strangers agree on a secret in public, but it is slow. A "
    "symmetric cipher is fast, but needs a shared secret. So the one makes the secret, and the "
    "other does the work from here on."
)
_HAD_ONE = "This time both had a secret from before, and none had to be agreed upon."


def _one_time(facts: Facts) -> str:
    told = (
        "The keys are for this one conversation. Fresh random values from both sides go into them, "
        "so other clients have other keys, and the same client will have new ones the next time."
    )
    if facts.early_data == "accepted":
        told += " Into the key of the early data goes only what is fresh of the client."
    if facts.key_exchange == "session":
        told += " What they are made of is that of the earlier session."
    return told
