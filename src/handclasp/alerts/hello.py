"""Alerts about a ClientHello: its versions, suites, groups, schemes, names and keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from handclasp.advice import (
    ALPN,
    CIPHER_SUITES,
    GROUPS,
    NO_GROUPS,
    PSKS,
    RSA_KEY_TRANSPORT,
    SERVER_NAME,
    SIGNATURE_SCHEMES,
    VERSIONS,
)
from handclasp.alerts.cause import (
    SETTINGS_DIFFER,
    Cause,
    alternatives,
    listed_names,
    make_cause,
    offers_nothing_usual,
    unusual_server,
)
from handclasp.alerts.situation import (
    ENABLE_NEWER,
    ENABLE_TLS12,
    OBSOLETE,
    Situation,
    newer_versions,
    obsolete_choice,
    spelled_version,
)
from handclasp.faults import Blame, Fault, Verdict
from handclasp.values import replace

# RFC 9846 section 9.1 demands the first of the suites, secp256r1 and the schemes of every
# implementation of TLS 1.3, and recommends X25519: nearly every server supports these.
USUAL_SUITES13 = ("TLS_AES_128_GCM_SHA256",)

USUAL_SUITES12 = (
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
)

USUAL_GROUPS = ("X25519", "secp256r1")

USUAL_SCHEMES = ("ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256")

# Most clients offer these as well, so a hello without them was configured that way.
_COMMON_SUITES = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")

_COMMON_GROUPS = ("secp384r1", "secp521r1")

_COMMON_SCHEMES = ("ecdsa_secp384r1_sha384", "rsa_pss_rsae_sha512")


class _Lack(NamedTuple):
    """A measure of the usual values of one kind that a ClientHello lacks.

    Attributes:
        degree: 2 for none of the values that nearly every server supports, 1 for some, 0 for all.
        rarer: whether a value that many clients offer besides is missing.
    """

    degree: int
    rarer: bool
    cause: Cause


def hello_causes(situation: Situation) -> Iterator[Cause]:
    """Yield the causes for which a server may refuse a ClientHello, the greatest lack first."""
    lacks = sorted(_lacks(situation), key=lambda lack: (-lack.degree, not lack.rarer))
    for lack in lacks:
        # Clients that connect by an address name no server, and few servers refuse them.
        is_name = lack.cause.fault == Fault.UNRECOGNIZED_NAME.name
        yield replace(lack.cause, stands_out=not is_name and (lack.degree > 0 or lack.rarer))


def _lacks(situation: Situation) -> Iterator[_Lack]:
    if situation.server_name is None:
        yield _Lack(0, False, replace(_no_name(situation), topic="the name of the server"))
    psk = replace(psk_required(situation), topic="a pre-shared key that it requires")
    if situation.external_key:
        yield _Lack(1, True, psk)
    suites, groups, schemes = (
        _lack_of_suites(situation),
        _lack_of_groups(situation),
        _lack_of_schemes(situation),
    )
    # Every TLS 1.3 server supports the first suite, so a hello for TLS 1.3 alone fails otherwise.
    only13 = situation.versions == ("TLSv1.3",)
    in_order = (groups, schemes, suites) if only13 else (suites, groups, schemes)
    unneeded = [groups] * (not _needs(situation, _WITH_GROUP)) + [schemes] * (
        not _needs(situation, _WITH_SIGNATURE)
    )
    yield from (lack for lack in in_order if lack not in unneeded)
    if situation.certificate_schemes:
        cause = _unaccepted_authority(situation)
        yield _Lack(0, False, replace(cause, topic="the authority of that certificate"))
    if not situation.external_key:
        yield _Lack(0, False, psk)


_WITH_GROUP = ("TLS_ECDHE_", "TLS_ECDH_")
_WITH_SIGNATURE = ("TLS_ECDHE_RSA_", "TLS_ECDHE_ECDSA_", "TLS_DHE_RSA_", "TLS_DHE_DSS_")
"""The suites of TLS 1.2 in which a group is chosen from the list, and the server signs."""


def _needs(situation: Situation, beginnings: tuple[str, ...]) -> bool:
    """Return whether a server that takes this hello chooses one of these values.

    A hello for TLS 1.2 whose suites do not need them can do without.
    """
    if "TLSv1.3" in situation.versions or not situation.cipher_suites:
        return True
    return any(name.startswith(beginnings) for name in situation.cipher_suites)


_MOST_LISTED = (4, 8, 8)
"""The number of offered names that a sentence lists, by the degree of the lack."""


def _none_of(kind: str, offered: Sequence[str], degree: int) -> str:
    names = listed_names(offered, _MOST_LISTED[degree])
    return f"The server accepts none of the {kind} that were offered: {names}."


def _degree(offered: Iterable[str], usual: Sequence[str]) -> int:
    missing = len(_missing(offered, usual))
    return 2 if missing == len(usual) else 1 if missing else 0


def _missing(offered: Iterable[str], usual: Sequence[str]) -> list[str]:
    known = frozenset(offered)
    return [name for name in usual if name not in known]


def _verdict_of(degree: int, kind: str) -> Verdict:
    return (unusual_server(kind), SETTINGS_DIFFER, offers_nothing_usual(Blame.LOCAL, kind))[degree]


def _offer_more(missing: Sequence[str], setting: str) -> str:
    return f"Offer {' and '.join(missing)} as well ({setting})." if missing else ""


_KEY_TRANSPORT = "RSA key transport"

_ALLOW_KEY_TRANSPORT = (
    "If the server's settings allow RSA key transport with AES-GCM "
    "(TLS_RSA_WITH_AES_128_GCM_SHA256 or TLS_RSA_WITH_AES_256_GCM_SHA384) and nothing newer, and "
    "it cannot be updated, allow that, though it is weak: it has no forward secrecy "
    f"({RSA_KEY_TRANSPORT})."
)
"""No other old kind can be enabled here (docs/decisions/0014-rsa-key-transport.md).

The settings tell, and the log does not: OpenSSL's says "no shared cipher" whatever the suites are.
"""


def _update_old(situation: Situation, old: str) -> str:
    newer = "TLS 1.3, or suites" if "TLSv1.3" in situation.versions else "suites"
    return f"If the server has only suites with {old}, enable {newer} with ECDHE and AES-GCM."


def _lack_of_suites(situation: Situation) -> _Lack:
    suites, missing = situation.cipher_suites, list[str]()
    degree13 = degree12 = 0
    if "TLSv1.3" in situation.versions:
        degree13 = _degree(suites, USUAL_SUITES13)
        missing += _missing(suites, USUAL_SUITES13)
    if "TLSv1.2" in situation.versions:
        degree12 = _degree(suites, USUAL_SUITES12)
        missing += _missing(suites, USUAL_SUITES12)
        if "TLSv1.3" in situation.versions:
            degree12 = min(degree12, 1)  # Only older servers depend on these.
    degree = max(degree13, degree12)
    sentence = _none_of("cipher suites", suites, degree)
    sentence += _remark_on_suites(situation, degree)
    old = _old_kinds(situation)
    fix_local = _offer_more(missing, CIPHER_SUITES)
    if degree == 0 and _KEY_TRANSPORT in old:
        fix_local = _ALLOW_KEY_TRANSPORT
    fix_peer = "Allow one of the suites that the client offers, and add a certificate that fits it."
    if degree == 0 and old:
        fix_peer = _update_old(situation, old)
    cause = make_cause(
        Fault.NO_SHARED_CIPHER_SUITE,
        sentence,
        fix_local,
        fix_peer,
        _verdict_of(degree, "cipher suites"),
    )
    common = (
        _COMMON_SUITES if situation.versions == ("TLSv1.3",) else (*_COMMON_SUITES, *USUAL_SUITES12)
    )
    rarer = bool(_missing(suites, common)) if "TLSv1.3" in situation.versions else False
    only = f" (old servers may have only some with {old}, which were not offered)"
    topic = f"the cipher suites{only if old else ''}"
    return _Lack(degree, rarer, replace(cause, topic=topic))


def _remark_on_suites(situation: Situation, degree: int) -> str:
    """Return a further remark on the suites of this ClientHello, or an empty string."""
    of12 = [name for name in situation.cipher_suites if "_WITH_" in name]
    if not of12 or "TLSv1.2" not in situation.versions:
        return ""
    kinds = {"RSA": any("_RSA_" in name for name in of12)}
    kinds["ECDSA"] = any("_ECDSA_" in name for name in of12)
    if sum(kinds.values()) == 1:
        kind = next(name for name, is_there in kinds.items() if is_there)
        other = "ECDSA" if kind == "RSA" else "RSA"
        return (
            f" Those of TLS 1.2 need an {kind} certificate: with an {other} certificate, "
            "a server of TLS 1.2 can use none of them."
        )
    if degree == 0 and (old := _old_kinds(situation)):
        such = ""
        if old.startswith("CBC"):
            such = " Those with nothing newer than TLS 1.1, which is obsolete (RFC 8996), do."
        return f" Old servers may have only suites with {old}, which were not offered.{such}"
    return ""


def _old_kinds(situation: Situation) -> str:
    """Name the kinds of suites that old servers are limited to, and this ClientHello lacks, if any.

    They are out of use for good reason, but many clients offer them still.
    """
    suites = situation.cipher_suites
    if "TLSv1.2" not in situation.versions or not suites:
        return ""
    there = {
        "CBC": any("_CBC_" in name for name in suites),
        "DHE": any(name.startswith("TLS_DHE_") for name in suites),
        _KEY_TRANSPORT: any(name.startswith("TLS_RSA_WITH_") for name in suites),
    }
    return alternatives([kind for kind, is_there in there.items() if not is_there])


def _lack_of_groups(situation: Situation) -> _Lack:
    groups = situation.groups
    # A hello without the list leaves the choice to the server (RFC 8422 section 4).
    is_absent = not groups and "TLSv1.3" not in situation.versions
    degree = 0 if is_absent else _degree(groups, USUAL_GROUPS)
    rarer = not is_absent and bool(_missing(groups, _COMMON_GROUPS))
    # The one group of the server need not be a usual one.
    unlimited = f"If the groups were limited, offer all of them ({NO_GROUPS})." if rarer else ""
    cause = make_cause(
        Fault.NO_SHARED_GROUP,
        "The server accepts no client that does not say which groups it supports."
        if not groups
        else _none_of("groups", groups, degree),
        f"{_offer_more(_missing(groups, USUAL_GROUPS), GROUPS)} {unlimited}".strip(),
        "Allow one of the groups that the client offers.",
        _verdict_of(degree, "groups"),
    )
    return _Lack(degree, rarer, replace(cause, topic="the groups"))


def _lack_of_schemes(situation: Situation) -> _Lack:
    schemes = situation.signature_schemes
    # A hello of TLS 1.2 without the list means SHA-1 (RFC 5246 section 7.4.1.4.1).
    degree = _degree(schemes, USUAL_SCHEMES)
    cause = make_cause(
        Fault.NO_SHARED_SIGNATURE_SCHEME,
        "The hello names no signature schemes, which in TLS 1.2 stands for SHA-1, and the server "
        "does not sign with that."
        if not schemes
        else "The server has no certificate that signs in a scheme that was offered: "
        f"{listed_names(schemes, _MOST_LISTED[degree])}.",
        _offer_more(_missing(schemes, USUAL_SCHEMES), SIGNATURE_SCHEMES),
        "Add a certificate whose key signs in one of the schemes that the client offers.",
        _verdict_of(degree, "signature schemes"),
    )
    rarer = bool(_missing(schemes, _COMMON_SCHEMES))
    return _Lack(degree, rarer, replace(cause, topic="the server's certificate and its key"))


def _unaccepted_authority(situation: Situation) -> Cause:
    offered = situation.certificate_schemes
    examples = [
        shown
        for scheme, shown in (("ed25519", "Ed25519"), ("rsa_pkcs1_sha1", "one with SHA-1"))
        if scheme not in offered
    ]
    example = f", such as {' or '.join(examples)}" if examples else ""
    return make_cause(
        Fault.NO_SHARED_SIGNATURE_SCHEME,
        "An authority of the server's certificate signs in a scheme that was not offered for "
        f"certificates (signature_algorithms_cert){example}.",
        "",
        "Get a certificate from an authority with an RSA or ECDSA key, signed with SHA-256 or "
        "better.",
        unusual_server("signature schemes"),
    )


def psk_required(situation: Situation) -> Cause:
    """Return the cause if the server has no certificate; keys are offered here in TLS 1.3 alone."""
    if situation.external_key:
        fix_local = f"Offer an identity and a key that the server knows for TLS 1.3 ({PSKS})."
        fix_peer = "Give the server a certificate, or this client's pre-shared key for TLS 1.3."
    else:
        add13 = "" if "TLSv1.3" in situation.versions else f" Enable TLS 1.3 for it ({VERSIONS})."
        fix_local = (
            "If the server accepts only clients with a pre-shared key, offer the identity and the "
            f"key that it knows for TLS 1.3 ({PSKS}).{add13}"
        )
        fix_peer = "If the server has only pre-shared keys, give it a certificate."
    return make_cause(
        Fault.UNKNOWN_PSK_IDENTITY,
        "The server accepts only clients with a pre-shared key that it knows, as a server without "
        "a certificate does.",
        fix_local,
        fix_peer,
        Fault.UNKNOWN_PSK_IDENTITY.verdict(),
    )


def unknown_psk_causes(situation: Situation) -> Iterator[Cause]:
    if situation.offers_psk is False:
        yield replace(
            psk_required(situation),
            sentence="The server accepts only clients with a pre-shared key that it knows, and "
            "this side has offered none.",
        )
        return
    yield psk_required(situation)


def protocol_version_causes(situation: Situation) -> Iterator[Cause]:
    offered = [spelled_version(version) for version in situation.versions]
    if situation.role == "server":
        if has_obsolete_version(situation):
            yield obsolete_version_chosen(situation)
            return
        chosen = f", {spelled_version(situation.version)}" if situation.version else ""
        yield make_cause(
            Fault.NO_SHARED_VERSION,
            f"The client does not accept the version that this server chose{chosen}.",
            f"Enable the version that the client wants, if it is TLS 1.2 or newer ({VERSIONS}).",
            "Enable TLS 1.3, or at least TLS 1.2.",
        )
    elif "TLSv1.3" in situation.versions:
        yield _too_old(offered)
    else:
        yield _too_new_or_too_old(situation, offered)


def has_obsolete_version(situation: Situation) -> bool:
    """Return whether the server chose an obsolete version, and what the client offers is known."""
    return situation.version in OBSOLETE and bool(situation.versions)


def obsolete_version_chosen(situation: Situation, doubt: str = "") -> Cause:
    """Return the cause if a client gives up after the server chose an obsolete version.

    Args:
        doubt: what is to be said, if the alert may have another reason.
    """
    chosen, newer = obsolete_choice(situation.version or ""), newer_versions(situation)
    offers = f"although the client offers {alternatives(newer)}" if newer else "as the client asks"
    server = Verdict(Blame.LOCAL, "which chose an obsolete version")
    client = Verdict(Blame.PEER, "which offers only obsolete versions")
    blame, condition = server if newer else client
    if doubt:
        condition += ", unless the client had another reason"
    return make_cause(
        Fault.NO_SHARED_VERSION,
        f"{chosen}, {offers}{doubt or ', which does not accept it'}.",
        ENABLE_NEWER,
        "" if newer else ENABLE_TLS12,
        Verdict(blame, condition),
    )


def _too_old(offered: Sequence[str]) -> Cause:
    """Return the cause if a server refuses a hello that offers TLS 1.3, the newest version."""
    if len(offered) == 1:
        return make_cause(
            Fault.NO_SHARED_VERSION,
            "The server does not speak TLS 1.3, which alone was offered.",
            f"Offer TLS 1.2 as well ({VERSIONS}).",
            "Enable TLS 1.3.",
        )
    names = " nor ".join(offered)
    return make_cause(
        Fault.NO_SHARED_VERSION,
        f"The server speaks neither {names}, and so nothing newer than TLS 1.1: TLS 1.0 and TLS "
        "1.1 are obsolete (RFC 8996), and so is SSL 3.0 (RFC 7568)."
        if not _INSECURE & frozenset(offered)
        else f"The server speaks neither {names}.",
        "",
        ENABLE_NEWER,
        Verdict(Blame.PEER, "which supports only obsolete versions"),
    )


_INSECURE = frozenset(map(spelled_version, OBSOLETE))


def _too_new_or_too_old(situation: Situation, offered: Sequence[str]) -> Cause:
    """Return the cause if a server refuses a hello that does not offer the newest version.

    Without supported_versions a hello names the highest version that the client speaks, and means
    all below it (RFC 5246 section E.1).
    """
    highest = offered[-1] if offered else "the version that was offered"
    which = f"{highest}, which alone was offered"
    if situation.offers_up_to:
        which = f"{highest}, which is the newest version that was offered"
    elif len(offered) > 1:
        which = f"{' or '.join(offered)}, which is all that was offered"
    if highest in _INSECURE:
        return make_cause(
            Fault.NO_SHARED_VERSION,
            f"The server does not speak {which}: no version up to that is secure, and few "
            "servers still have one.",
            f"Offer TLS 1.3, or at least TLS 1.2 ({VERSIONS}).",
            "",
            Verdict(Blame.LOCAL, "which offers only insecure versions"),
        )
    return make_cause(
        Fault.NO_SHARED_VERSION,
        f"The server does not speak {which}: it supports only TLS 1.3, or something older."
        if not situation.offers_up_to
        else f"The server does not speak {which}: most likely it supports only TLS 1.3.",
        f"Offer TLS 1.3 as well ({VERSIONS}).",
        "Enable TLS 1.2.",
    )


def _no_name(situation: Situation) -> Cause:
    if situation.server_name is None:
        return make_cause(
            Fault.UNRECOGNIZED_NAME,
            "This side sent no server name (SNI), and the server needs one to choose its "
            "certificate.",
            f"Connect by a DNS name, or give one ({SERVER_NAME}).",
            "Serve a default certificate.",
            Verdict(
                Blame.LOCAL, "which names no server, unless that server is meant to have a default"
            ),
        )
    if situation.offers_ech:
        return make_cause(
            Fault.UNRECOGNIZED_NAME,
            f"The server does not serve the name in the hello, {situation.server_name}, or the one "
            "that is encrypted: the hello has encrypted_client_hello, and unless that is GREASE, "
            "the name that was asked for is in there, and this one is the public name of the ECH "
            "configuration.",
            f"Ask for a name that the server serves ({SERVER_NAME}).",
            "Add a certificate for these names, or serve a default one.",
            Verdict(
                Blame.UNCLEAR,
                "this end, if it asks for a wrong name; else the other end, which does not serve a "
                "name that it is known by",
            ),
        )
    return make_cause(
        Fault.UNRECOGNIZED_NAME,
        f"The server does not serve the name that was asked for: {situation.server_name}.",
        f"Ask for a name that the server serves ({SERVER_NAME}).",
        "Add a certificate for this name, or serve a default one.",
        Verdict(Blame.LOCAL, "unless the server is meant to serve that name"),
    )


def unrecognized_name_causes(situation: Situation) -> Iterator[Cause]:
    yield _no_name(situation)


def no_application_protocol_causes(situation: Situation) -> Iterator[Cause]:
    yield make_cause(
        Fault.NO_SHARED_APPLICATION_PROTOCOL,
        "The server speaks none of the application protocols that were offered: "
        f"{listed_names(situation.alpn)}.",
        f"Offer one of the protocols that the server speaks, or none ({ALPN}).",
        "Add one of the offered protocols to the server's list.",
    )
