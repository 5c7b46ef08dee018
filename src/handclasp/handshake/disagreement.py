"""The report where the two sides share nothing: whose offer is unusual, and what would help.

It is written from the server's side, which sees both lists. What is advised is never what is done
already, and on this side only what this library can do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from handclasp.advice import (
    ALPN,
    CIPHER_SUITES,
    CREDENTIALS,
    GROUPS,
    SIGNATURE_SCHEMES,
    VERSIONS,
)
from handclasp.alerts import USUAL_GROUPS, USUAL_SCHEMES, USUAL_SUITES12, USUAL_SUITES13
from handclasp.alerts.cause import offers_nothing_usual
from handclasp.alerts.situation import ENABLE_NEWER, OBSOLETE
from handclasp.crypto.groups import GROUPS as KNOWN_GROUPS
from handclasp.crypto.signatures import SIGNATURE_SCHEMES as KNOWN_SCHEMES
from handclasp.crypto.suites import CIPHER_SUITES as KNOWN_SUITES
from handclasp.crypto.suites import CIPHER_SUITES12 as KNOWN_SUITES12
from handclasp.errors import ProtocolError
from handclasp.faults import Blame, Fault, Verdict, advice
from handclasp.iana import meant, offered_names

_MOST_SHOWN = 24
_MOST_ADVISED = 3
_SAFE_VERSIONS = ("TLSv1.2", "TLSv1.3")

ONLY_UNSAFE = Verdict(Blame.PEER, "which supports only obsolete versions")

_KINDS: dict[Fault, tuple[tuple[str, ...], Collection[str], str, str]] = {
    Fault.NO_SHARED_VERSION: (_SAFE_VERSIONS, _SAFE_VERSIONS, VERSIONS, "versions"),
    Fault.NO_SHARED_CIPHER_SUITE: (
        (*USUAL_SUITES13, *USUAL_SUITES12),
        (*KNOWN_SUITES, *KNOWN_SUITES12),
        CIPHER_SUITES,
        "suites",
    ),
    Fault.NO_SHARED_GROUP: (USUAL_GROUPS, tuple(KNOWN_GROUPS), GROUPS, "groups"),
    Fault.NO_SHARED_SIGNATURE_SCHEME: (
        USUAL_SCHEMES,
        tuple(KNOWN_SCHEMES),
        SIGNATURE_SCHEMES,
        "schemes",
    ),
    Fault.NO_SHARED_APPLICATION_PROTOCOL: ((), (), ALPN, "protocols"),
}
"""Of each kind: what nearly everybody knows, what is known here, the setting, and the word."""


def no_overlap(offered: Sequence[str], acceptable: Sequence[str]) -> str:
    """Both lists, for people; they are cut short where they are long."""
    theirs, ours = (offered_names(each, _MOST_SHOWN) for each in (meant(offered), acceptable))
    return f"offered: {theirs}; accepted here: {ours}"


def disagreement(
    fault: Fault,
    offered: Sequence[str],
    acceptable: Sequence[str],
    *,
    keys: Collection[str] = (),
    possible: Collection[str] | None = None,
) -> ProtocolError:
    """Return the error for two lists without a common entry.

    Args:
        fault: one of those named NO_SHARED_...
        offered: by the client; `acceptable`: on this side.
        keys: the kinds of the keys in this side's certificates, where they decide, as `key_kind`
            names them.
        possible: what this side could accept by another setting alone; None for all that is known.
    """
    _, known, setting, word = _KINDS[fault]
    offered = meant(offered)
    detail = no_overlap(offered, acceptable)
    doable = known if possible is None else possible
    allowable = [name for name in doable if name in offered and name not in acceptable]
    if fault is Fault.NO_SHARED_APPLICATION_PROTOCOL:
        allowable = list(offered)
    fix_peer = f"Offer one of the {word} that this end takes: {_some(acceptable)}."
    if fault is Fault.NO_SHARED_VERSION:
        allowable = [_spelled(name) for name in allowable]
    fix_local = f"Allow one of those that the other end offers: {_some(allowable)} ({setting})."
    if fault is Fault.NO_SHARED_VERSION:
        fix_peer = f"Enable {' or '.join(map(_spelled, acceptable))}."
    if keys:
        kinds = " and ".join(sorted({_named(kind) for kind in keys}))
        wanted = sorted({kind for name in offered if (kind := _key_for(name))})
        detail = f"the certificate here has {_with_article(kinds)} key; {detail}"
        fix_local = (
            f"Add a certificate with {_with_article(' or '.join(wanted))} key, which the other "
            f"end takes ({CREDENTIALS})."
        )
        allowable = wanted
    verdict = _verdict(fault, offered, acceptable)
    return ProtocolError(
        fault, detail, fix=advice(fix_peer, fix_local if allowable else ""), verdict=verdict
    )


def older_version_chosen(offered: Sequence[str], chosen: str) -> ProtocolError:
    """Return the error if a server chose a version below all that were offered."""
    detail = f"offered: {', '.join(offered)}; the server chose {chosen}"
    if chosen not in OBSOLETE:
        return ProtocolError(Fault.NO_SHARED_VERSION, detail)
    # Nobody is advised to enable such a version on this end.
    return ProtocolError(
        Fault.NO_SHARED_VERSION,
        f"{detail}, which is obsolete ({OBSOLETE[chosen]})",
        fix=advice(ENABLE_NEWER, ""),
        verdict=ONLY_UNSAFE,
    )


def _verdict(fault: Fault, offered: Sequence[str], acceptable: Sequence[str]) -> Verdict | None:
    """Return whose list is unusual; None where neither is, or both are."""
    usual, _, _, word = _KINDS[fault]
    is_usual, takes_usual = (not set(usual).isdisjoint(each) for each in (offered, acceptable))
    if fault is Fault.NO_SHARED_VERSION and not is_usual:
        return ONLY_UNSAFE
    if usual and not is_usual and takes_usual:
        return offers_nothing_usual(Blame.PEER, word)
    if is_usual and usual and not takes_usual:
        return Verdict(
            Blame.LOCAL,
            f"which accepts none of the {word} that nearly every client offers, unless that is "
            "intended",
        )
    return None


def _spelled(version: str) -> str:
    return version.replace("TLSv", "TLS ")


def _some(names: Sequence[str]) -> str:
    return offered_names(names, _MOST_ADVISED)


def _with_article(kinds: str) -> str:
    return f"an {kinds}"  # RSA, ECDSA, Ed25519, Ed448 and ML-DSA all begin with a vowel's sound.


def _named(kind: str) -> str:
    if kind == "rsa":
        return "RSA"
    if kind.startswith("secp"):
        return f"ECDSA ({kind})"
    return f"ML-DSA-{kind[5:]}" if kind.startswith("mldsa") else kind.capitalize()


def _key_for(name: str) -> str:
    """Return the kind of key for a signature scheme or a suite of TLS 1.2; empty for others."""
    if name in KNOWN_SUITES12:
        return KNOWN_SUITES12[name].authentication
    return _named(KNOWN_SCHEMES[name].key) if name in KNOWN_SCHEMES else ""
