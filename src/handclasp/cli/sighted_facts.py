"""The facts of a handshake that `watch` has seen, as lines for people and values for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from handclasp.cli.explained import explanation_json
from handclasp.cli.identity import printable
from handclasp.cli.report import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from handclasp.certificates import Explanation
    from handclasp.story.facts import Facts
    from handclasp.trace.events import TraceEvent

_ECH_IN_WORDS = {
    "accepted": "encrypted: others could not read the server's name (ECH)",
    "rejected": "encrypted (ECH), and the server did not accept that: only the public name counted",
    "offered": "encrypted (ECH); whether the server accepted that does not show here",
    "unknown": "with an encrypted one inside (ECH), or with random bytes in its place (GREASE): "
    "only a key log with ECH_SECRET tells which",
}


def negotiated_lines(facts: Facts) -> Iterator[Line]:
    """Return the version, suite, group and the like that both ends agreed upon."""
    if facts.version is None:
        yield "version", "the server has not answered with a ServerHello"
        return
    yield "version", f"{facts.version}, {facts.cipher_suite}"
    share = facts.server_share
    if share is not None:
        yield "group", share.group + (" (after a second hello)" if facts.retried else "")
    elif facts.key_exchange is not None:
        yield "key exchange", _key_exchange(facts.key_exchange, facts.cipher_suite or "")
    if facts.info is not None:
        yield "protocol", printable(facts.info.alpn) if facts.info.alpn else "none agreed (ALPN)"
        yield "resumed", "yes" if facts.info.resumed else "no"
    if facts.client_certificate != "not asked":
        asked = {"asked": "asked for, and none was sent", "shown": "asked for, and sent"}
        yield "client cert", asked[facts.client_certificate]


def _key_exchange(kind: str, suite: str) -> str:
    match kind:
        case "agreement":
            return suite.removeprefix("TLS_").partition("_WITH_")[0]
        case "transport":
            return "RSA: the client made the secret (no forward secrecy)"
        case "session":
            return "none: the secret is that of an earlier session"
        case "psk":
            return "none: a pre-shared key went alone (no forward secrecy)"
        case _:
            return "RSA and a pre-shared key (no forward secrecy)"


def encryption_lines(events: Sequence[TraceEvent]) -> Iterator[Line]:
    """Return what is known of an encrypted hello (ECH); nothing if there was none."""
    from handclasp.story.facts import encrypted_hello_in, names_in_hello

    found = encrypted_hello_in(events)
    if found is None:
        return
    yield "hello", _ECH_IN_WORDS[found]
    outer, inner = names_in_hello(events)
    yield "in the clear", printable(outer) if outer else "no name"
    if found != "unknown":  # There is one only if it was opened, or the server refused it.
        yield "inside", printable(inner) if inner else "hidden"


def hello_names_json(events: Sequence[TraceEvent]) -> dict[str, str | None]:
    """Return the names of the server in the hello in the clear, and in the encrypted one."""
    from handclasp.story.facts import names_in_hello

    outer, inner = names_in_hello(events)
    return {"outer": outer, "inner": inner}


def negotiated_json(facts: Facts) -> dict[str, Any]:
    """Return what both ends agreed upon, for programs."""
    info, share = facts.info, facts.server_share
    return {
        "version": facts.version,
        "cipher_suite": facts.cipher_suite,
        "group": share.group if share is not None else None,
        "signature_scheme": info.signature_scheme if info is not None else None,
        "alpn": info.alpn if info is not None else None,
        "resumed": info.resumed if info is not None else None,
        "hello_retry": facts.retried,
        "client_certificate": facts.client_certificate,
    }


def certificate_json(chain: Sequence[x509.Certificate]) -> dict[str, Any] | None:
    """Return the server's certificate for programs; None if it was not seen."""
    from handclasp.certificates.describe import describe

    if not chain:
        return None
    described = describe(chain[0])
    fields = ("subject", "issuer", "names", "not_before", "not_after")
    return {**{name: described[name] for name in fields}, "chain_length": len(chain)}


def verdict_json(explanation: Explanation | None) -> dict[str, Any] | None:
    """Return the verdict of this library on the server's certificate, for programs."""
    if explanation is None:
        return None
    values = explanation_json(explanation, "reader")
    return {name: values[name] for name in ("accepted", "fault", "reasons", "fix")}


def verdict(explanation: Explanation) -> str:
    """Return the verdict of this library on the server's certificate, in a sentence."""
    if explanation.accepted:
        return "yes: every rule of this library holds"
    broken = explanation.broken
    why = f": {broken[0].evidence}" if broken else ""
    return f"NO, by the rules of this library{why}"
