"""What an alert from the peer means, given how far the handshake had come and what was offered.

An alert is one number, and most numbers have several causes: `handshake_failure` alone stands for
no shared suite, no shared group, no shared signature scheme, a pre-shared key that the server wants
and a missing client certificate. This side knows what it offered, what it showed and what had been
answered, and that tells some of them apart. `likely_causes` gives those that are left, the
likeliest first: what the hello lacks of that which nearly every server takes comes before what it
has in full. Each is a fault of the catalogue that the *other* side found: its advice for "the other
end" is meant for this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from handclasp.advice import (
    ALPN,
    CIPHER_SUITES,
    CREDENTIALS,
    GROUPS,
    OWN_RAW_PUBLIC_KEY,
    PSKS,
    RAW_PUBLIC_KEYS,
    SERVER_NAME,
    SIGNATURE_SCHEMES,
    STAPLE,
    TRUST,
    VERSIONS,
    without_settings,
)
from handclasp.faults import Blame, Fault, Verdict, advice
from handclasp.values import value
from handclasp.wire.iana import AlertDescription as Alert
from handclasp.wire.iana import listed

Stage = Literal["hello", "handshake", "established"]
"""Nothing was answered yet; the two were in the middle of it; the handshake was complete."""

ClientAuthStatus = Literal["shown", "withheld", "unasked"]
"""Whether this side showed a certificate, had none to show, or was not asked for one."""


@value(frozen=True, slots=True)
class OwnChain:
    """What this side showed, in a few words; all empty where nothing is known of it.

    Attributes:
        size: how many certificates.
        leaf, last: whose the first and the last of them are.
        issuer: of the last.
        names, dates: what the first is for, and when.
        is_self_signed: whether the first is alone, and its own issuer.
    """

    size: int = 0
    leaf: str = ""
    last: str = ""
    issuer: str = ""
    names: str = ""
    dates: str = ""
    is_self_signed: bool = False


@value(frozen=True, slots=True)
class Situation:
    """What one side knew when the other gave up.

    Attributes:
        role: "client" or "server", of this side.
        stage: how far the handshake had come.
        version: what was agreed upon, such as "TLSv1.2"; None before that.
        versions, cipher_suites, groups, signature_schemes, alpn: what this side offered or allows.
        certificate_schemes: those in which authorities may sign, where the hello said so by itself.
        server_name: what a client asked for; None where it sent no name.
        certificate: this side's, as far as it came to that.
        chain: what it showed, where the alert is about certificates.
        declined_renegotiation: whether the other end asked for one after the handshake, and was
            told no (TLS 1.2).
        external_key: whether the keys come from one that both ends were given beforehand; before
            there is an answer, whether this side offered such a key.
        server_certificate_types, client_certificate_types: what the hello offers to take and to
            show ("X509", "RawPublicKey"); empty where this side does not know.
        is_for_name: whether a server has shown a certificate for the name that it was asked for;
            None where that cannot be told.
        is_stapled: whether this side has sent an OCSP response with its certificate; None where
            that cannot be told.
    """

    role: str
    stage: Stage
    version: str | None = None
    versions: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    signature_schemes: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()
    server_name: str | None = None
    certificate: ClientAuthStatus = "unasked"
    certificate_schemes: tuple[str, ...] = ()
    chain: OwnChain = OwnChain()
    declined_renegotiation: bool = False
    external_key: bool = False
    server_certificate_types: tuple[str, ...] = ()
    client_certificate_types: tuple[str, ...] = ()
    is_for_name: bool | None = None
    is_stapled: bool | None = None


@value(frozen=True, slots=True)
class Cause:
    """One thing that the peer may have found.

    Attributes:
        fault: its name in the catalogue, as the peer would see it.
        sentence: what it means here, with what speaks for it.
        blame: whose fault it would be, seen from this side.
        fix_local, fix_peer: what to change on this end, and on the other; empty where nothing is
            known to help.
        condition: when it would be somebody else's fault, as in `faults.Verdict`.
        topic: of an alert about a hello, what it would be about, such as "the groups".
        stands_out: whether that hello has less of it than is usual.
    """

    fault: str
    sentence: str
    blame: Blame
    fix_local: str
    fix_peer: str
    condition: str = ""
    topic: str = ""
    stands_out: bool = False

    @property
    def fix(self) -> str:
        """What to change, on either end."""
        this_end_first = self.blame is not Blame.PEER
        return advice(self.fix_peer, self.fix_local, this_end_first=this_end_first)


def likely_causes(alert: int, situation: Situation) -> tuple[Cause, ...]:
    """What may be behind an alert, the likeliest first; empty where nothing is known."""
    return tuple(_causes(alert, situation))


def _causes(alert: int, situation: Situation) -> Iterator[Cause]:
    """What an alert means by itself, unless what has happened by then rules it out."""
    if situation.declined_renegotiation and alert in _AFTER_DECLINING:
        yield _declined(situation)
        return
    if _is_settled(alert, situation):
        yield _after_agreement(situation)
        return
    if situation.certificate != "shown" and alert in _OF_A_CERTIFICATE:
        yield _of_no_certificate(situation)
        return
    if situation.external_key and situation.stage != "established" and alert in _OF_OTHER_KEYS:
        yield _other_key(situation)
    causes = _CAUSES.get(alert)
    if causes is not None:
        yield from causes(situation)


def _is_settled(alert: int, situation: Situation) -> bool:
    """Whether the two had agreed already on all that the alert is about in a handshake.

    In TLS 1.3 a client is done before the server has seen its certificate.
    """
    if alert in _OF_A_CHOICE:
        return situation.stage == "established"
    if alert == Alert.PROTOCOL_VERSION:
        answered = situation.role == "client" and situation.stage == "handshake"
        return situation.stage == "established" or (answered and situation.version is not None)
    if alert in (Alert.HANDSHAKE_FAILURE, Alert.INSUFFICIENT_SECURITY):
        is_judged = situation.role == "server" or situation.version == "TLSv1.2"
        return situation.stage == "established" and (
            is_judged or situation.certificate == "unasked"
        )
    return alert == Alert.CERTIFICATE_REQUIRED and situation.role == "server"


def _after_agreement(situation: Situation) -> Cause:
    other = _other(situation)
    if situation.stage == "established":
        told = f"The handshake was complete when the {other} gave up, and it does not say why."
    else:
        version = f" on {_spelled(situation.version)}" if situation.version else ""
        told = f"The two had agreed{version} when the {other} gave up, and it does not say why."
    return _cause(
        Fault.INTERNAL_ERROR,
        told,
        "",
        f"See the {other}'s log.",
        Verdict(Blame.PEER, "which gave no reason"),
    )


def _declined(situation: Situation) -> Cause:
    """RFC 5246 7.2.2: who is told no_renegotiation goes on, or gives up."""
    other = _other(situation)
    why = (
        ", as servers do that want a client certificate for some of what they serve"
        if situation.role == "client"
        else ""
    )
    message = "HelloRequest" if situation.role == "client" else "ClientHello"
    fix_local = ""
    if situation.role == "client" and "TLSv1.3" not in situation.versions:
        fix_local = f"Offer TLS 1.3, which has no renegotiation ({VERSIONS})."
    return _cause(
        Fault.RENEGOTIATION,
        f"After the handshake the {other} asked for a renegotiation (a {message}){why}. This side "
        f"declined, as it always does (no_renegotiation), and the {other} did not go on without.",
        fix_local,
        "Do without a renegotiation: ask for all that is needed in the first handshake, or open a "
        "new connection.",
        Verdict(Blame.PEER, "which asks for what TLS 1.3 has given up"),
    )


def _of_no_certificate(situation: Situation) -> Cause:
    """An alert about the certificate of a side that has shown none."""
    if situation.role == "client" and situation.certificate == "withheld":
        return _withheld(Fault.CLIENT_CERTIFICATE_MISSING)
    other = _other(situation)
    asked = ", which nobody asked for" if situation.role == "client" else ""
    return _cause(
        Fault.INTERNAL_ERROR,
        f"The alert is about a certificate, but this side has shown none{asked}: the {other} means "
        "something else, and does not say what.",
        "",
        f"See the {other}'s log.",
        Verdict(Blame.PEER, "which gave no reason that can be true"),
    )


def _other_key(situation: Situation) -> Cause:
    """The record or the binder was made with another key than the other end has."""
    of13 = situation.stage == "hello"
    shows = "the binder in the hello" if of13 else "the first encrypted record"
    return _cause(
        Fault.BAD_BINDER if of13 else Fault.BAD_RECORD_MAC,
        "Most likely the two ends hold different pre-shared keys under this identity: the "
        f"{_other(situation)} could not make sense of {shows}, which is the first thing that shows "
        "it.",
        f"Check that both ends have the same key under this identity ({PSKS}).",
        "Check that both ends have the same key under this identity.",
        Verdict(Blame.UNCLEAR, "the end that has the wrong key"),
    )


def summed_up(causes: Sequence[Cause]) -> Cause:
    """The one cause, or the likeliest of several as that, or all of them where none stands out."""
    first = causes[0]
    if not first.topic:
        return first
    if first.stands_out:
        sentence = (
            f"{_NO_COMMON_GROUND} Most likely: {first.sentence[0].lower()}{first.sentence[1:]}"
        )
        return replace(first, sentence=sentence)
    topics = list(dict.fromkeys(cause.topic for cause in causes if cause.topic))
    *others, last = topics
    named = f"{', '.join(others)} or {last}" if others else last
    return Cause(
        first.fault,
        f"{_NO_COMMON_GROUND} Nothing usual is missing in the hello, so it is one of these: "
        f"{named}.",
        _UNUSUAL_SERVER.blame,
        "",
        "See in the server's log which of these it is, and allow what the client offers.",
        _UNUSUAL_SERVER.condition,
    )


def others_than_told(causes: Sequence[Cause]) -> tuple[Cause, ...]:
    """What may be behind an alert besides that which `summed_up` tells."""
    is_told = bool(causes) and (causes[0].stands_out or not causes[0].topic)
    return tuple(causes[1:] if is_told else causes)


_NO_COMMON_GROUND = (
    "The server found no common ground with this side's hello, and the alert does not say in what."
)

_DO_NOT_FIT = Fault.NO_SHARED_GROUP.verdict()
_UNUSUALLY_LITTLE = Verdict(
    Blame.LOCAL, "which offers nothing of what is usual, unless it is meant to"
)
_UNUSUAL_SERVER = Verdict(
    Blame.PEER, "since nothing usual is missing in the hello, unless it is for special clients only"
)

_SEEN_FROM_HERE = {Blame.PEER: Blame.LOCAL, Blame.LOCAL: Blame.PEER}

# What nearly every server knows. RFC 8446 section 9.1 demands the first of the suites, secp256r1
# and the schemes of every implementation of TLS 1.3, and recommends X25519.
USUAL_SUITES13 = ("TLS_AES_128_GCM_SHA256",)
USUAL_SUITES12 = (
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
)
USUAL_GROUPS = ("X25519", "secp256r1")
USUAL_SCHEMES = ("ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256")

# What most clients offer besides: who leaves it out has chosen to.
_COMMON_SUITES = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_COMMON_GROUPS = ("secp384r1", "secp521r1")
_COMMON_SCHEMES = ("ecdsa_secp384r1_sha384", "rsa_pss_rsae_sha512")


def _cause(
    fault: Fault,
    sentence: str,
    fix_local: str | None = None,
    fix_peer: str | None = None,
    verdict: Verdict | None = None,
) -> Cause:
    """`fault` as the peer saw it; its advice and blame are taken unless others are given."""
    if verdict is None:
        blame, condition = fault.verdict()
        # What the catalogue says is seen from the other end; only what suits both can stay.
        verdict = Verdict(
            _SEEN_FROM_HERE.get(blame, blame), condition if blame not in _SEEN_FROM_HERE else ""
        )
    return Cause(
        fault.name,
        sentence,
        verdict.blame,
        fault.value.fix_peer if fix_local is None else fix_local,
        without_settings(fault.value.fix_local) if fix_peer is None else fix_peer,
        verdict.condition,
    )


def _handshake_failure(situation: Situation) -> Iterator[Cause]:
    if situation.role == "server":
        chosen = f", {situation.version}," if situation.version else ""
        yield _cause(
            Fault.NO_SHARED_CIPHER_SUITE,
            f"The client does not accept what this server chose{chosen} or the certificate that it "
            "showed, and does not say what of it.",
            "See in the client's log what it does not accept, and choose or show something else.",
            "Allow the version, suite, group and signature scheme that the server chose.",
            _DO_NOT_FIT,
        )
        return
    if situation.stage != "hello":
        yield from _client_certificate(situation, Fault.CLIENT_CERTIFICATE_MISSING12)
        return
    yield from _by_the_hello(situation)


class _Lack(NamedTuple):
    """How little a hello has of one kind.

    Attributes:
        degree: 2, nothing of what nearly every server takes; 1, not all of that; 0, all of it.
        rarer: whether it leaves out anything that many offer besides.
    """

    degree: int
    rarer: bool
    cause: Cause


def _by_the_hello(situation: Situation) -> Iterator[Cause]:
    """What a server may miss in a hello: that first of which the hello has least."""
    lacks = sorted(_lacks(situation), key=lambda lack: (-lack.degree, not lack.rarer))
    for lack in lacks:
        yield replace(lack.cause, stands_out=lack.degree > 0 or lack.rarer)


def _lacks(situation: Situation) -> Iterator[_Lack]:
    if situation.server_name is None:
        yield _Lack(1, False, replace(_no_name(situation), topic="the name of the server"))
    suites, groups, schemes = (
        _lack_of_suites(situation),
        _lack_of_groups(situation),
        _lack_of_schemes(situation),
    )
    # Every server of TLS 1.3 has the first of its suites, so a hello for these fails by another.
    only13 = "TLSv1.2" not in situation.versions
    yield from (groups, schemes, suites) if only13 else (suites, groups, schemes)
    if situation.certificate_schemes:
        cause = _unaccepted_authority(situation)
        yield _Lack(0, False, replace(cause, topic="the authority above that"))
    if "TLSv1.3" in situation.versions:
        yield _Lack(0, False, replace(_wants_psk(), topic="a pre-shared key that it wants"))


_MOST_LISTED = (4, 8, 8)
"""Names of an offer that are told, by how little it has of what is usual."""


def _none_of(kind: str, offered: Sequence[str], degree: int) -> str:
    names = _listed(offered, _MOST_LISTED[degree])
    return f"The server takes none of the {kind} that were offered: {names}."


def _degree(offered: Iterable[str], usual: Sequence[str]) -> int:
    missing = len(_missing(offered, usual))
    return 2 if missing == len(usual) else 1 if missing else 0


def _missing(offered: Iterable[str], usual: Sequence[str]) -> list[str]:
    known = frozenset(offered)
    return [name for name in usual if name not in known]


def _verdict_of(degree: int) -> Verdict:
    return (_UNUSUAL_SERVER, _DO_NOT_FIT, _UNUSUALLY_LITTLE)[degree]


def _offer_more(missing: Sequence[str], setting: str) -> str:
    return f"Offer {' and '.join(missing)} as well ({setting})." if missing else ""


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
            degree12 = min(degree12, 1)  # Only older servers go by these.
    degree = max(degree13, degree12)
    sentence = _none_of("cipher suites", suites, degree)
    sentence += _told_of_suites(situation, degree)
    fix_local = _offer_more(missing, CIPHER_SUITES)
    fix_peer = (
        "Allow one of the suites that the client offers, and have a certificate of the kind that "
        "goes with it."
    )
    cause = _cause(Fault.NO_SHARED_CIPHER_SUITE, sentence, fix_local, fix_peer, _verdict_of(degree))
    common = (
        _COMMON_SUITES if situation.versions == ("TLSv1.3",) else (*_COMMON_SUITES, *USUAL_SUITES12)
    )
    rarer = bool(_missing(suites, common)) if "TLSv1.3" in situation.versions else False
    return _Lack(degree, rarer, replace(cause, topic="the cipher suites"))


def _told_of_suites(situation: Situation, degree: int) -> str:
    """What more there is to say of the suites in this very hello."""
    of12 = [name for name in situation.cipher_suites if "_WITH_" in name]
    if not of12 or "TLSv1.2" not in situation.versions:
        return ""
    kinds = {"RSA": any("_RSA_" in name for name in of12)}
    kinds["ECDSA"] = any("_ECDSA_" in name for name in of12)
    if sum(kinds.values()) == 1:
        kind = next(name for name, is_there in kinds.items() if is_there)
        other = "ECDSA" if kind == "RSA" else "RSA"
        return (
            f" Those of TLS 1.2 go with an {kind} certificate only: with an {other} certificate, "
            "a server of TLS 1.2 can use none of them."
        )
    if degree == 0 and all(_is_modern(name) for name in of12):
        return (
            " All of them have forward secrecy and authenticated encryption, and old servers know "
            "others only."
        )
    return ""


def _is_modern(suite: str) -> bool:
    return suite.startswith(("TLS_ECDHE_", "TLS_DHE_")) and (
        "_GCM_" in suite or "_CCM" in suite or "_POLY1305_" in suite
    )


def _lack_of_groups(situation: Situation) -> _Lack:
    groups = situation.groups
    degree = _degree(groups, USUAL_GROUPS)
    cause = _cause(
        Fault.NO_SHARED_GROUP,
        _none_of("groups", groups, degree),
        _offer_more(_missing(groups, USUAL_GROUPS), GROUPS),
        "Allow one of the groups that the client offers.",
        _verdict_of(degree),
    )
    rarer = bool(_missing(groups, _COMMON_GROUPS))
    return _Lack(degree, rarer, replace(cause, topic="the groups"))


def _lack_of_schemes(situation: Situation) -> _Lack:
    schemes = situation.signature_schemes
    degree = _degree(schemes, USUAL_SCHEMES)
    cause = _cause(
        Fault.NO_SHARED_SIGNATURE_SCHEME,
        "The server has no certificate that signs in a scheme that was offered: "
        f"{_listed(schemes, _MOST_LISTED[degree])}.",
        _offer_more(_missing(schemes, USUAL_SCHEMES), SIGNATURE_SCHEMES),
        "Add a certificate whose key signs in one of the schemes that the client offers.",
        _verdict_of(degree),
    )
    rarer = bool(_missing(schemes, _COMMON_SCHEMES))
    return _Lack(degree, rarer, replace(cause, topic="the server's certificate and its key"))


def _unaccepted_authority(situation: Situation) -> Cause:
    ed25519 = "ed25519" not in situation.certificate_schemes
    example = ", such as Ed25519" if ed25519 else ""
    return _cause(
        Fault.NO_SHARED_SIGNATURE_SCHEME,
        "An authority of the server's certificate signs in a scheme that was not offered for "
        f"certificates (signature_algorithms_cert){example}.",
        "",
        "Get a certificate from an authority with an RSA or ECDSA key.",
        _UNUSUAL_SERVER,
    )


def _wants_psk() -> Cause:
    return _cause(
        Fault.UNKNOWN_PSK_IDENTITY,
        "The server takes only clients with a pre-shared key that it knows, as one without any "
        "certificate does.",
        f"Offer the identity and the key that the server knows ({PSKS}).",
        "Give the server a certificate, or this client's pre-shared key.",
        Fault.UNKNOWN_PSK_IDENTITY.verdict(),
    )


def _client_certificate(situation: Situation, missing: Fault) -> Iterator[Cause]:
    """The client's own certificate: not shown, or shown and not liked."""
    if situation.certificate == "withheld":
        yield _withheld(missing)
    elif situation.certificate == "shown":
        yield _cause(
            Fault.CERTIFICATE_UNTRUSTED,
            "The server refuses the client certificate that this side has shown"
            f"{_of_whom(situation)}.",
            f"Show a certificate of an authority that the server trusts ({CREDENTIALS}).",
            "Trust the authority of the client's certificate.",
            _UNTRUSTED,
        )
    else:
        when = {
            "hello": "at once",
            "handshake": "in the middle of the handshake",
            "established": "after the handshake",
        }[situation.stage]
        yield _cause(
            Fault.NO_SHARED_CIPHER_SUITE
            if situation.stage != "established"
            else Fault.INTERNAL_ERROR,
            f"The server gave up {when}, and does not say why.",
            "",
            "See the server's log.",
            Verdict(Blame.PEER, "which gave no reason"),
        )


def _withheld(missing: Fault) -> Cause:
    return _cause(
        missing,
        "The server requires a client certificate, and this side has shown none.",
        "Give this side a certificate and key from an authority that the server names in its "
        f"request ({CREDENTIALS}).",
        "Make client certificates optional if that is meant.",
        Verdict(Blame.LOCAL, "unless the server is meant to take clients without a certificate"),
    )


_UNTRUSTED = Verdict(
    Blame.UNCLEAR,
    "the other end, if it is meant to trust the authority of that certificate; else this end",
)


def _protocol_version(situation: Situation) -> Iterator[Cause]:
    offered = [_spelled(version) for version in situation.versions]
    if situation.role == "server":
        chosen = f", {_spelled(situation.version)}" if situation.version else ""
        yield _cause(
            Fault.NO_SHARED_VERSION,
            f"The client does not accept the version that this server chose{chosen}.",
            f"Enable the version that the client wants, if it is TLS 1.2 or newer ({VERSIONS}).",
            "Enable TLS 1.3, or at least TLS 1.2.",
        )
    elif len(offered) == 1:
        (alone,) = offered
        other = "TLS 1.2" if alone == "TLS 1.3" else "TLS 1.3"
        older = "" if alone == "TLS 1.3" else f": it takes {other} only, or something older"
        yield _cause(
            Fault.NO_SHARED_VERSION,
            f"The server does not speak {alone}, which alone was offered{older}.",
            f"Offer {other} as well ({VERSIONS}).",
            f"Enable {alone}.",
        )
    else:
        names = " nor ".join(offered) or "any version that was offered"
        yield _cause(
            Fault.NO_SHARED_VERSION,
            f"The server speaks neither {names}, so it is older than these: SSL 3.0, TLS 1.0 and "
            "TLS 1.1 are not safe, and are not spoken here.",
            "",
            "Update the server: enable TLS 1.3, or at least TLS 1.2.",
            Verdict(Blame.PEER, "which speaks only what is not safe"),
        )


def _spelled(version: str) -> str:
    return version.replace("TLSv", "TLS ")


def _no_name(situation: Situation) -> Cause:
    if situation.server_name is None:
        return _cause(
            Fault.UNRECOGNIZED_NAME,
            "No server name was sent (SNI), and the server needs one to choose its certificate.",
            f"Connect by a DNS name, or give one ({SERVER_NAME}).",
            "Serve a default certificate.",
            Verdict(Blame.LOCAL, "which names no server, unless that server is to have a default"),
        )
    return _cause(
        Fault.UNRECOGNIZED_NAME,
        f"The server does not serve the name that was asked for: {situation.server_name}.",
        f"Ask for a name that the server serves ({SERVER_NAME}).",
        "Add a certificate for this name, or serve a default one.",
        Verdict(Blame.LOCAL, "unless the server is meant to serve that name"),
    )


def _unrecognized_name(situation: Situation) -> Iterator[Cause]:
    yield _no_name(situation)


def _no_application_protocol(situation: Situation) -> Iterator[Cause]:
    yield _cause(
        Fault.NO_SHARED_APPLICATION_PROTOCOL,
        "The server speaks none of the application protocols that were offered: "
        f"{_listed(situation.alpn)}.",
        f"Offer one of the protocols that the server speaks, or none ({ALPN}).",
        "Add one of the offered protocols to the server's list.",
    )


def _certificate_required(situation: Situation) -> Iterator[Cause]:
    if situation.certificate == "shown":
        yield from _client_certificate(situation, Fault.CLIENT_CERTIFICATE_MISSING)
    else:
        yield _withheld(Fault.CLIENT_CERTIFICATE_MISSING)


def _unknown_ca(situation: Situation) -> Iterator[Cause]:
    client = situation.role == "client"
    other, whose = ("server", "client") if client else ("client", "server")
    told = situation.chain
    if told.is_self_signed:
        yield _cause(
            Fault.CERTIFICATE_UNTRUSTED,
            f"The {other} does not trust the certificate that was shown, {told.leaf}, which signed "
            "itself.",
            "Show a certificate of an authority that the other end trusts instead.",
            f"Trust this certificate itself, if it is the {whose}'s.",
            Verdict(Blame.LOCAL, "unless the other end is meant to trust this very certificate"),
        )
        return
    shown = f", {told.leaf}," if told.leaf else ""
    if told.size > 1:
        yield _cause(
            Fault.CERTIFICATE_UNTRUSTED,
            f"The {other} finds no way from the certificate that was shown{shown} to an authority "
            f"that it trusts: the chain that was sent ends with {told.last}, issued by "
            f"{told.issuer}, which the {other} does not know, or there is a certificate missing in "
            "between.",
            f"Show a certificate of an authority that the {other} trusts.",
            f"Trust the authority {told.issuer}, if it is meant to vouch for the {whose}.",
            _UNTRUSTED,
        )
        return
    issued = f" It was issued by {told.issuer}." if told.issuer else ""
    yield _cause(
        Fault.CERTIFICATE_UNTRUSTED,
        f"The {other} finds no way from the certificate that was shown{shown} to an authority that "
        "it trusts: the intermediate certificates were not sent, or it does not know the "
        f"authority.{issued}",
        f"If {told.issuer or 'its issuer'} is an intermediate authority, send its certificate, "
        "too: the full chain.",
        f"If {told.issuer or 'its issuer'} is a root, trust the authority.",
        Verdict(
            Blame.UNCLEAR,
            "this end, if an intermediate certificate is missing; the other end, if it is meant to "
            "trust the issuer",
        ),
    )


def _bad_certificate(situation: Situation) -> Iterator[Cause]:
    if situation.role == "client":
        yield from _client_certificate(situation, Fault.CLIENT_CERTIFICATE_MISSING)
        if situation.certificate == "shown":
            yield _not_yet_valid(situation)
        return
    yield from _refused_by_client(situation)
    yield _not_yet_valid(situation)
    if situation.is_for_name is not True:
        yield _distrusted(situation, "Or the client does not trust its authority")
    yield _cause(Fault.BAD_CERTIFICATE, "Or the client holds the certificate to be broken.")


def _refused_by_client(situation: Situation) -> Iterator[Cause]:
    """By the name, where it was asked for another one; else by what an alert alone can tell."""
    told, names = situation.chain, situation.chain.names or "no name"
    if situation.is_for_name is False:
        yield _cause(
            Fault.CERTIFICATE_NAME_MISMATCH,
            "The client refuses the certificate, most likely for the name: it asked for "
            f"{situation.server_name}; the certificate is for {names}.",
            f"Show a certificate that covers {situation.server_name}, if clients are to reach this "
            "server by that.",
            "Connect by a name that is in the certificate.",
            Verdict(Blame.LOCAL, "unless the client is meant to ask for another name"),
        )
    elif situation.is_for_name:
        yield _distrusted(
            situation,
            "The client refuses the certificate, and this alert does not tell why. It asked for "
            f"{situation.server_name}, and the certificate is for {names}: so perhaps it does not "
            "trust the authority, or looks for another name than it asked for",
        )
    else:
        is_for = f", and it is for {told.names}" if told.names else ""
        yield _cause(
            Fault.CERTIFICATE_NAME_MISMATCH,
            "The client refuses the certificate, and this alert does not tell why: perhaps the "
            "certificate is for another name than the one that the client went to. The client "
            f"asked for no name (SNI){is_for}."
            if situation.server_name is None
            else "The client refuses the certificate, and this alert does not tell why: perhaps "
            f"the certificate is for another name than the client asked for, which is "
            f"{situation.server_name}.",
            "Show a certificate that covers the name by which clients reach this server.",
            "Connect by a name that is in the certificate.",
            Verdict(Blame.UNCLEAR, "either end, by what the client did not accept; its log tells"),
        )


def _distrusted(situation: Situation, sentence: str) -> Cause:
    told = situation.chain
    issued = f" (it was issued by {told.issuer})" if told.issuer and told.size < 2 else ""
    return _cause(
        Fault.CERTIFICATE_UNTRUSTED,
        f"{sentence}{issued}.",
        "Send the certificate with all its intermediates, if one is missing."
        if told.size < 2 and not told.is_self_signed
        else "",
        "Trust the authority that issued the server's certificate.",
        _UNTRUSTED,
    )


def _not_yet_valid(situation: Situation) -> Cause:
    other, told = _other(situation), situation.chain
    dates = f", which is {told.dates}" if told.dates else ""
    return _cause(
        Fault.CERTIFICATE_NOT_YET_VALID,
        f"Or by the {other}'s clock the certificate{dates}, is not valid yet."
        if dates
        else f"Or by the {other}'s clock the certificate is not valid yet.",
        "",
        f"Check the clock of the {other}.",
        Verdict(Blame.UNCLEAR, "the end whose clock is wrong"),
    )


def _unsupported_certificate(situation: Situation) -> Iterator[Cause]:
    if situation.role == "client" and situation.certificate == "unasked":
        yield from _unshared_types(situation)
        return
    if situation.certificate == "withheld":
        yield _withheld(Fault.CLIENT_CERTIFICATE_MISSING)
        return
    if situation.role == "server" and situation.server_certificate_types == ("RawPublicKey",):
        yield _cause(
            Fault.NO_SHARED_CERTIFICATE_TYPE,
            "The client takes a raw public key alone (server_certificate_type), and this side has "
            "shown a certificate, or a key that the client does not know.",
            f"Give this side a raw public key as well ({OWN_RAW_PUBLIC_KEY}).",
            "Trust the server's certificate instead of a raw public key.",
            Verdict(Blame.PEER, "unless the server is meant to have a raw public key"),
        )
        return
    other = _other(situation)
    use = "a client" if situation.role == "client" else "a server"
    yield _cause(
        Fault.CERTIFICATE_WRONG_PURPOSE,
        f"The {other} does not take a certificate of this kind: most often, its extended key usage "
        f"does not name {use}.",
        f"Show a certificate whose extended key usage and key usage are those of {use}.",
        f"See what the {other} demands of a certificate.",
        Verdict(Blame.LOCAL, "unless the other end demands too much"),
    )
    yield _cause(
        Fault.UNSUPPORTED_CERTIFICATE,
        f"Or the {other} does not take the kind or size of its key.",
        "Show a certificate with another key: ECDSA P-256 and RSA of 2048 bits are understood by "
        "nearly all.",
        "",
        _DO_NOT_FIT,
    )


def _unshared_types(situation: Situation) -> Iterator[Cause]:
    """The server gives up before this side has shown anything (RFC 7250 section 4.2)."""
    fault = Fault.NO_SHARED_CERTIFICATE_TYPE
    has_own_types = situation.client_certificate_types not in ((), ("X509",))
    takes_key = "RawPublicKey" in situation.server_certificate_types
    takes_key_alone = situation.server_certificate_types == ("RawPublicKey",)
    if takes_key_alone:
        yield _cause(
            fault,
            "The server has no raw public key to show, and this side's hello takes nothing else.",
            f"Trust the server's certificate instead ({TRUST}).",
            "Give the server a raw public key, if clients are to know it by that.",
            Verdict(Blame.LOCAL, "unless the server is meant to have a raw public key"),
        )
    if has_own_types:
        shown = " or ".join(
            {"X509": "a certificate", "RawPublicKey": "a raw public key"}.get(name, name)
            for name in situation.client_certificate_types
        )
        yield _cause(
            fault,
            f"The server wants clients to show something else than {shown}, which is what this "
            "side's hello offers to show.",
            f"Give this side a certificate of an authority that the server trusts ({CREDENTIALS})."
            if "X509" not in situation.client_certificate_types
            else f"Give this side a raw public key that the server knows ({OWN_RAW_PUBLIC_KEY}).",
            f"Let the server take {shown} from its clients.",
            _DO_NOT_FIT,
        )
    if takes_key and (takes_key_alone or has_own_types):
        return
    yield _cause(
        fault,
        "The server has nothing that this side's hello takes, neither a certificate nor a raw "
        "public key."
        if takes_key
        else "The server has no certificate of a kind that this side's hello takes: perhaps it has "
        "a raw public key alone, and the hello does not take one.",
        ""
        if takes_key
        else f"Expect the server's raw public key, if it has one ({RAW_PUBLIC_KEYS}).",
        "Give the server a certificate.",
        _DO_NOT_FIT,
    )


def _certificate_revoked(situation: Situation) -> Iterator[Cause]:
    yield _cause(
        Fault.CERTIFICATE_REVOKED,
        f"The {_other(situation)} knows that the certificate that this side has shown was revoked.",
    )


def _certificate_unknown(situation: Situation) -> Iterator[Cause]:
    if situation.role == "client":
        yield from _client_certificate(situation, Fault.CLIENT_CERTIFICATE_MISSING)
        return
    if situation.is_for_name is False:
        yield from _refused_by_client(situation)
    told, asked = situation.chain, ""
    if situation.server_name is not None:
        asked = f" It asked for {situation.server_name}."
    names = f" The certificate is for {told.names}, issued by {told.issuer}." if told.names else ""
    doubt = "" if situation.is_for_name is not None else ", or the name is another one"
    opening = (
        "Or it does not trust its authority."
        if situation.is_for_name is False
        else "The client refuses the certificate without saying why, as browsers do: it does not "
        f"trust its authority{doubt}.{asked}{names}"
    )
    yield _cause(
        Fault.CERTIFICATE_UNTRUSTED,
        opening,
        "Show a certificate that covers the name, of an authority that the client trusts"
        + ("." if told.size > 1 else ", with all its intermediates."),
        "Trust the authority that issued the server's certificate; check the name that was asked "
        "for.",
        _UNTRUSTED,
    )


def _access_denied(situation: Situation) -> Iterator[Cause]:
    other, told, fix_local = _other(situation), "", ""
    if situation.certificate == "shown":
        told = f"The {other} understood who this side is, and does not let it in."
    elif situation.external_key:
        told = f"The {other} does not let in who holds this pre-shared key."
    else:
        told = (
            f"The {other} does not let this side in, which has shown no certificate that says who "
            "it is."
        )
        if situation.certificate == "withheld":
            fix_local = f"Give this side a certificate that the {other} lets in ({CREDENTIALS})."
    yield _cause(
        Fault.CERTIFICATE_REFUSED,
        told,
        fix_local,
        f"Let this {situation.role} in, if that is meant.",
        Verdict(Blame.PEER, "unless it is right to refuse"),
    )


def _certificate_expired(situation: Situation) -> Iterator[Cause]:
    other, told = _other(situation), situation.chain
    dates = f" It is {told.dates}." if told.dates else ""
    yield _cause(
        Fault.CERTIFICATE_EXPIRED,
        f"By the clock of the {other}, the certificate that this side has shown is not valid now: "
        f"it has expired, or that clock is wrong.{dates}",
        "Renew the certificate, if it is past its dates.",
        f"Check the clock of the {other}.",
        Verdict(Blame.LOCAL, "unless the clock of the other end is wrong"),
    )


def _bad_record_mac(situation: Situation) -> Iterator[Cause]:
    del situation
    yield _cause(
        Fault.BAD_RECORD_MAC,
        "A record of this side did not decrypt at the other: something on the way has changed it, "
        "or the two sides' keys differ.",
        "Look for a proxy or another middlebox on the way that rewrites the traffic.",
        "Look for one at the other end, too. If there is none, one of the two implementations has "
        "a defect.",
    )


def _decrypt_error(situation: Situation) -> Iterator[Cause]:
    if situation.certificate == "shown":
        yield _cause(
            Fault.BAD_SIGNATURE,
            "The peer could not verify the signature with which this side shows that it holds the "
            "key of its certificate.",
            "Make sure that the private key belongs to the certificate.",
            "",
            Verdict(Blame.LOCAL, "unless the other end's implementation has a defect"),
        )
    if situation.role == "client" and situation.stage == "hello" and not situation.external_key:
        yield _cause(
            Fault.BAD_BINDER,
            "The server knows the pre-shared key by another value than this side.",
            f"Check that both ends have the same key under this identity ({PSKS}).",
        )
    yield _cause(
        Fault.BAD_FINISHED,
        "The peer saw another handshake than this side: something on the way has changed it, or "
        "one of the two implementations has a defect.",
        "Look for a proxy or another middlebox on the way that rewrites the traffic.",
        "",
    )


def _unknown_psk_identity(situation: Situation) -> Iterator[Cause]:
    del situation
    yield _wants_psk()


def _bad_staple(situation: Situation) -> Iterator[Cause]:
    other = _other(situation)
    if situation.is_stapled is False:
        yield _cause(
            Fault.BAD_OCSP_RESPONSE,
            f"The {other} demands an OCSP response, and this side has stapled none to its "
            "certificate.",
            f"Staple a current response that is about this certificate and says good ({STAPLE}).",
            "Do not demand a stapled response, if this side is not meant to have one.",
            Verdict(Blame.LOCAL, "unless the other end demands too much"),
        )
        return
    what = (
        "refused the OCSP response that was stapled to this side's certificate"
        if situation.is_stapled
        else "refused the OCSP response that was stapled to this side's certificate, or misses one"
    )
    yield _cause(
        Fault.BAD_OCSP_RESPONSE,
        f"The {other} {what}.",
        f"Staple a current response that is about this certificate and says good ({STAPLE}).",
        f"Check the clock of the {other}.",
        Verdict(Blame.LOCAL, "unless the clock of the other end is wrong"),
    )


def _unexpected_message(situation: Situation) -> Iterator[Cause]:
    if situation.stage == "hello":
        yield _cause(
            Fault.NOT_TLS,
            "The peer did not expect a TLS handshake here: perhaps it speaks another protocol "
            "first (STARTTLS), or the port is another service's.",
            "Check host and port, and that no STARTTLS step is missing.",
            "Speak TLS on this port from the first byte.",
            Fault.NOT_TLS.verdict("client"),
        )


def _of_whom(situation: Situation) -> str:
    told = situation.chain
    return f", {told.leaf}, issued by {told.issuer}" if told.leaf else ""


_CAUSES: Mapping[int, Callable[[Situation], Iterator[Cause]]] = {
    Alert.HANDSHAKE_FAILURE: _handshake_failure,
    Alert.INSUFFICIENT_SECURITY: _handshake_failure,
    Alert.PROTOCOL_VERSION: _protocol_version,
    Alert.UNRECOGNIZED_NAME: _unrecognized_name,
    Alert.NO_APPLICATION_PROTOCOL: _no_application_protocol,
    Alert.CERTIFICATE_REQUIRED: _certificate_required,
    Alert.UNKNOWN_CA: _unknown_ca,
    Alert.BAD_CERTIFICATE: _bad_certificate,
    Alert.UNSUPPORTED_CERTIFICATE: _unsupported_certificate,
    Alert.CERTIFICATE_REVOKED: _certificate_revoked,
    Alert.CERTIFICATE_UNKNOWN: _certificate_unknown,
    Alert.ACCESS_DENIED: _access_denied,
    Alert.CERTIFICATE_EXPIRED: _certificate_expired,
    Alert.BAD_RECORD_MAC: _bad_record_mac,
    Alert.UNEXPECTED_MESSAGE: _unexpected_message,
    Alert.DECRYPT_ERROR: _decrypt_error,
    Alert.UNKNOWN_PSK_IDENTITY: _unknown_psk_identity,
    Alert.BAD_CERTIFICATE_STATUS_RESPONSE: _bad_staple,
}

_AFTER_DECLINING = frozenset(
    (
        Alert.HANDSHAKE_FAILURE,
        Alert.INSUFFICIENT_SECURITY,
        Alert.NO_RENEGOTIATION_RESERVED,
        Alert.UNEXPECTED_MESSAGE,
        Alert.ACCESS_DENIED,
        Alert.CERTIFICATE_REQUIRED,
        Alert.BAD_CERTIFICATE,
        Alert.INTERNAL_ERROR,
    )
)
"""With what they give up who wanted a renegotiation."""

_OF_A_CHOICE = frozenset(
    (Alert.UNRECOGNIZED_NAME, Alert.NO_APPLICATION_PROTOCOL, Alert.UNKNOWN_PSK_IDENTITY)
)
"""Those about what the hellos have settled."""

_OF_A_CERTIFICATE = frozenset(
    (
        Alert.UNKNOWN_CA,
        Alert.CERTIFICATE_EXPIRED,
        Alert.CERTIFICATE_REVOKED,
        Alert.BAD_CERTIFICATE_STATUS_RESPONSE,
    )
)
"""Those that can be about nothing else than what this side has shown."""

_OF_OTHER_KEYS = frozenset((Alert.BAD_RECORD_MAC, Alert.DECRYPT_ERROR, Alert.ILLEGAL_PARAMETER))
"""What implementations say of a binder or a record that was made with another key."""


ABOUT_CERTIFICATES = frozenset(
    (
        Alert.HANDSHAKE_FAILURE,
        Alert.BAD_CERTIFICATE,
        Alert.UNKNOWN_CA,
        Alert.CERTIFICATE_UNKNOWN,
        Alert.CERTIFICATE_EXPIRED,
    )
)
"""The alerts whose causes look at `Situation.chain`."""


def _other(situation: Situation) -> str:
    return "server" if situation.role == "client" else "client"


def _listed(names: Sequence[str], most: int = 4) -> str:
    return listed(names, most) if names else "none"
