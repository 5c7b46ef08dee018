"""The likely causes of an alert, in the situation in which it arrived.

Each cause is a fault of the catalogue that the *other* side found: the catalogue's advice for "the
other end" is meant for this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from handclasp.advice import PSKS, VERSIONS
from handclasp.alerts.cause import SETTINGS_DIFFER, Cause, alternatives, make_cause, unusual_server
from handclasp.alerts.certificates import (
    access_denied_causes,
    bad_certificate_causes,
    bad_staple_causes,
    certificate_expired_causes,
    certificate_required_causes,
    certificate_revoked_causes,
    certificate_unknown_causes,
    certificate_withheld,
    client_certificate_causes,
    unknown_ca_causes,
    unsupported_certificate_causes,
    without_certificate,
    wrong_signature_in_chain,
)
from handclasp.alerts.hello import (
    has_obsolete_version,
    hello_causes,
    no_application_protocol_causes,
    obsolete_version_chosen,
    protocol_version_causes,
    unknown_psk_causes,
    unrecognized_name_causes,
)
from handclasp.alerts.own_chain import evident_causes
from handclasp.alerts.situation import Situation, other_end, spelled_version
from handclasp.faults import Blame, Fault, Verdict
from handclasp.faults.large_hello import LARGE_HELLO, SMALLER_HELLO
from handclasp.iana import AlertDescription as Alert
from handclasp.values import replace


def likely_causes(alert: int, situation: Situation) -> tuple[Cause, ...]:
    """Return the likely causes of an alert, the likeliest first; empty if nothing is known.

    An alert is one number, and most numbers have several causes: handshake_failure alone stands
    for no shared suite, group or signature scheme, for a missing pre-shared key and for a missing
    client certificate. The offer of this side, the certificate that it sent and the answers that
    it had got tell some of them apart.
    """
    return tuple(_causes(alert, situation))


def _causes(alert: int, situation: Situation) -> Iterator[Cause]:
    """Yield the causes of the alert itself, unless the situation rules them out."""
    if situation.declined_renegotiation and alert in _AFTER_DECLINING:
        yield _after_declining(situation)
        return
    if _is_ruled_out(alert, situation):
        yield _after_agreement(situation)
        return
    if situation.is_part_unseen and situation.certificate == "unasked":
        if alert in _WITHOUT_REASON and situation.role == "client":
            yield _of_what_is_unseen(situation)
            return
        if alert in _OF_WHAT_IS_UNSEEN:
            return
    if situation.certificate != "shown" and alert in _OF_A_CERTIFICATE:
        yield without_certificate(situation)
        return
    if situation.external_key and situation.stage != "established" and alert in _OF_OTHER_KEYS:
        yield _different_keys(situation)
    causes = _CAUSES.get(alert)
    if causes is not None:
        yield from causes(situation)


def _is_ruled_out(alert: int, situation: Situation) -> bool:
    """Return whether the two ends had already agreed on everything that the alert is about.

    In TLS 1.3, a client completes its handshake before the server has seen its certificate.
    """
    if alert in _OF_A_CHOICE:
        return situation.stage == "established"
    if alert == Alert.PROTOCOL_VERSION:
        answered = situation.role == "client" and situation.stage == "handshake"
        return situation.stage == "established" or (answered and situation.version is not None)
    if alert in (Alert.HANDSHAKE_FAILURE, Alert.INSUFFICIENT_SECURITY):
        is_verified = situation.role == "server" or situation.version == "TLSv1.2"
        return situation.stage == "established" and (
            is_verified or situation.certificate == "unasked"
        )
    return alert == Alert.CERTIFICATE_REQUIRED and situation.role == "server"


def _after_agreement(situation: Situation) -> Cause:
    other = other_end(situation)
    if situation.stage == "established":
        sentence = (
            f"The handshake was complete when the {other} sent the alert, which gives no reason."
        )
    else:
        version = f" on {spelled_version(situation.version)}" if situation.version else ""
        sentence = (
            f"The two ends had agreed{version} when the {other} sent the alert, which gives no "
            "reason."
        )
    return make_cause(
        Fault.INTERNAL_ERROR,
        sentence,
        "",
        f"See the {other}'s log.",
        Verdict(Blame.PEER, "which gave no reason"),
    )


def _of_what_is_unseen(situation: Situation) -> Cause:
    """Return the cause if a server gives no reason, and part of what the client sent is unseen."""
    return make_cause(
        Fault.NO_SHARED_CIPHER_SUITE,
        "The server ended the connection, and does not say why. The capture does not have all that "
        "this side sent: it may have offered no version, cipher suite, group or signature scheme "
        "that the server accepts, or it may have shown no certificate where the server requires "
        "one, or one that the server does not accept.",
        "Capture the packets of both directions, from the first on.",
        "See the server's log.",
        Verdict(Blame.UNCLEAR, "what the client sent is not all in the capture"),
    )


def _after_declining(situation: Situation) -> Cause:
    """Return the cause if the peer ends the connection after no_renegotiation (RFC 5246 7.2.2)."""
    other = other_end(situation)
    why = (
        ", as servers do that require a client certificate for some of their resources"
        if situation.role == "client"
        else ""
    )
    message = "HelloRequest" if situation.role == "client" else "ClientHello"
    fix_local = ""
    if situation.role == "client" and "TLSv1.3" not in situation.versions:
        fix_local = f"Offer TLS 1.3, which has no renegotiation ({VERSIONS})."
    return make_cause(
        Fault.RENEGOTIATION,
        f"After the handshake the {other} asked for a renegotiation (a {message}){why}. This side "
        f"declined, as it always does (no_renegotiation), and the {other} did not go on without.",
        fix_local,
        "Avoid the renegotiation: ask for everything that is needed in the first handshake, or "
        "open a new connection.",
        Verdict(Blame.PEER, "which uses a mechanism that TLS 1.3 has removed"),
    )


def _different_keys(situation: Situation) -> Cause:
    """Return the cause if the two ends hold different pre-shared keys."""
    of13 = situation.stage == "hello"
    first_use = "the binder in the hello" if of13 else "the first encrypted record"
    return make_cause(
        Fault.BAD_BINDER if of13 else Fault.BAD_RECORD_MAC,
        "Most likely the two ends hold different pre-shared keys under this identity: the "
        f"{other_end(situation)} could not verify {first_use}, the first use of the key.",
        f"Check that both ends have the same key under this identity ({PSKS}).",
        "Check that both ends have the same key under this identity.",
        Verdict(Blame.UNCLEAR, "the end that has the wrong key"),
    )


_NO_COMMON_GROUND = (
    "The server found no common ground with this side's hello, and the alert does not say in "
    "which respect."
)


_ALGORITHMS = "cipher suites, groups and signature schemes"


_WITH_CONDITIONAL_ADVICE = (Fault.NO_SHARED_CIPHER_SUITE.name, Fault.UNKNOWN_PSK_IDENTITY.name)
"""The causes whose advice names the servers that it is for, so that it may stand with others."""


def summarize(causes: Sequence[Cause]) -> Cause:
    """Return the only cause, the likeliest one, or a cause that names all if none stands out."""
    first = causes[0]
    if not first.topic:
        return first
    if first.stands_out:
        sentence = (
            f"{_NO_COMMON_GROUND} Most likely: {first.sentence[0].lower()}{first.sentence[1:]}"
        )
        return replace(first, sentence=sentence)
    lacks_name = any(cause.fault == Fault.UNRECOGNIZED_NAME.name for cause in causes)
    but = ", but no server name (SNI)" if lacks_name else ""
    verdict = SETTINGS_DIFFER if lacks_name else unusual_server(_ALGORITHMS)
    here = [first.fix_local] if lacks_name else []
    there = ["See in the server's log which of these it is, and allow what the client offers."]
    for each in causes:
        if each.fault in _WITH_CONDITIONAL_ADVICE:
            here.append(each.fix_local)
            there.append(each.fix_peer)
    topics = list(dict.fromkeys(cause.topic for cause in causes if cause.topic))
    return Cause(
        first.fault,
        f"{_NO_COMMON_GROUND} The hello has the {_ALGORITHMS} that are recommended today{but}, "
        f"so it is one of these: {alternatives(topics)}.",
        verdict.blame,
        " ".join(filter(None, here)),
        " ".join(there),
        verdict.condition,
    )


def other_causes(causes: Sequence[Cause]) -> tuple[Cause, ...]:
    """Return the causes that `summarize` does not explain, in sentences that stand alone."""
    is_named = bool(causes) and bool(causes[0].topic) and not causes[0].stands_out
    rest = causes if is_named else causes[1:]
    return tuple(
        [replace(cause, sentence=_without_or(cause.sentence), is_named=is_named) for cause in rest]
    )


def _without_or(sentence: str) -> str:
    """Return a sentence that follows others in a list, which need not follow the first cause."""
    alone = sentence.removeprefix("Or ")
    return alone[:1].upper() + alone[1:]


def _handshake_failure(situation: Situation) -> Iterator[Cause]:
    if situation.role == "server":
        if situation.lacks_renegotiation_info:
            yield make_cause(
                Fault.SECURE_RENEGOTIATION_MISSING,
                "Most likely because this server does not support secure renegotiation: its "
                "ServerHello has no renegotiation_info, which the client's hello asked for and "
                "current clients require (RFC 5746).",
                "Update the TLS library of this server, or enable TLS 1.3.",
                "",
                Verdict(Blame.LOCAL, "unless something on the way has taken the extension out"),
            )
        yield from evident_causes(situation, "The client refuses the certificate")
        chosen = f", {situation.version}," if situation.version else ""
        yield make_cause(
            Fault.NO_SHARED_CIPHER_SUITE,
            f"The client does not accept the parameters that this server chose{chosen} or the "
            "certificate that it sent, and does not say which.",
            "See in the client's log what it does not accept, and change that.",
            "Allow the version, suite, group and signature scheme that the server chose.",
            SETTINGS_DIFFER,
        )
        return
    if situation.stage != "hello":
        yield from client_certificate_causes(situation, Fault.CLIENT_CERTIFICATE_MISSING12)
        return
    yield from hello_causes(situation)


def _bad_record_mac(situation: Situation) -> Iterator[Cause]:
    if situation.role == "client" and situation.stage == "hello" and situation.offers_psk is False:
        yield _without_reason(situation, "could not decrypt a record, and this side has sent none")
        return
    yield make_cause(
        Fault.BAD_RECORD_MAC,
        "The other end could not decrypt a record of this side: something on the way has changed "
        "it, or the two sides' keys differ.",
        "Look for a proxy or another middlebox on the way that rewrites the traffic.",
        "Look for one at the other end, too. If there is none, one of the two implementations has "
        "a defect.",
    )


def _decrypt_error(situation: Situation) -> Iterator[Cause]:
    if situation.certificate == "shown":
        by_chain = list(wrong_signature_in_chain(situation))
        yield from by_chain
        yield make_cause(
            Fault.BAD_SIGNATURE,
            f"{'Or the' if by_chain else 'The'} peer could not verify the signature with which "
            "this side proves that it holds the key of its certificate.",
            "Make sure that the private key belongs to the certificate.",
            "",
            Verdict(Blame.LOCAL, "unless the other end's implementation has a defect"),
        )
    if _offers_ticket(situation):
        yield make_cause(
            Fault.BAD_BINDER,
            "The server has another pre-shared key under this identity than this side."
            if situation.offers_psk
            else "If this side has offered a pre-shared key, the server has another one under that "
            "identity.",
            f"Check that both ends have the same key under this identity ({PSKS}).",
        )
    if situation.role == "client" and situation.stage == "hello" and situation.offers_psk is False:
        yield _without_reason(situation, "could not verify something, and this hello has nothing")
        return
    yield make_cause(
        Fault.BAD_FINISHED,
        "The peer saw another handshake than this side: something on the way has changed it, or "
        "one of the two implementations has a defect.",
        "Look for a proxy or another middlebox on the way that rewrites the traffic.",
        "",
    )


def _unexpected_message(situation: Situation) -> Iterator[Cause]:
    """Yield the causes if a server does not take the hello.

    Its alert came in a record of TLS, so it speaks TLS. Java sends this one if no group is shared.
    """
    if situation.role == "client" and situation.stage == "hello":
        causes = list(hello_causes(situation))
        # A lack that stands out stays first; of the others, the groups are the likeliest.
        yield from sorted(
            causes, key=lambda cause: (not cause.stands_out, not _is_of_groups(cause))
        )


def _internal_error(situation: Situation) -> Iterator[Cause]:
    """Yield the cause if a client gives up after the server chose an obsolete version."""
    if situation.role == "server" and has_obsolete_version(situation):
        yield obsolete_version_chosen(
            situation,
            ". The alert does not say what the client then failed at: most likely its settings "
            "forbid the MD5 and SHA-1 of that version, as OpenSSL does from security level 1 on",
        )


def _insufficient_security(situation: Situation) -> Iterator[Cause]:
    if situation.role == "server" and has_obsolete_version(situation):
        doubt = ", and the client demands stronger algorithms than were chosen"
        yield obsolete_version_chosen(situation, doubt)
    else:
        yield from _handshake_failure(situation)


def _is_of_groups(cause: Cause) -> bool:
    return cause.fault == Fault.NO_SHARED_GROUP.name


def _decode_error(situation: Situation) -> Iterator[Cause]:
    """Yield the cause if a server asked for a certificate and got an empty one, as with GnuTLS."""
    if situation.role == "client" and situation.certificate == "withheld":
        yield certificate_withheld(Fault.CLIENT_CERTIFICATE_MISSING)
    if situation.role == "client" and situation.stage == "hello" and situation.hello_is_large:
        yield make_cause(
            Fault.DECODE_ERROR,
            f"The server could not parse the ClientHello. {LARGE_HELLO}",
            SMALLER_HELLO,
            "Read the whole ClientHello, however many packets bring it.",
            Verdict(
                Blame.UNCLEAR,
                "the server, if it reads no more than one packet of a hello; else one of the two "
                "implementations has a defect, or something on the way changed the bytes",
            ),
        )


def _without_reason(situation: Situation, what: str) -> Cause:
    other = other_end(situation)
    return make_cause(
        Fault.INTERNAL_ERROR,
        f"The alert says that the {other} {what} of that kind: the {other} must have another "
        "reason, and the alert does not say which.",
        "",
        f"See the {other}'s log.",
        Verdict(Blame.PEER, "which gave a reason that cannot be true"),
    )


def _offers_ticket(situation: Situation) -> bool:
    """Return whether a hello offers a pre-shared key that is no external one, or may do so."""
    return (
        situation.role == "client"
        and situation.stage == "hello"
        and situation.offers_psk is not False
        and not situation.external_key
    )


_CAUSES: Mapping[int, Callable[[Situation], Iterator[Cause]]] = {
    Alert.HANDSHAKE_FAILURE: _handshake_failure,
    Alert.INSUFFICIENT_SECURITY: _insufficient_security,
    Alert.INTERNAL_ERROR: _internal_error,
    Alert.PROTOCOL_VERSION: protocol_version_causes,
    Alert.UNRECOGNIZED_NAME: unrecognized_name_causes,
    Alert.NO_APPLICATION_PROTOCOL: no_application_protocol_causes,
    Alert.CERTIFICATE_REQUIRED: certificate_required_causes,
    Alert.UNKNOWN_CA: unknown_ca_causes,
    Alert.BAD_CERTIFICATE: bad_certificate_causes,
    Alert.UNSUPPORTED_CERTIFICATE: unsupported_certificate_causes,
    Alert.CERTIFICATE_REVOKED: certificate_revoked_causes,
    Alert.CERTIFICATE_UNKNOWN: certificate_unknown_causes,
    Alert.ACCESS_DENIED: access_denied_causes,
    Alert.CERTIFICATE_EXPIRED: certificate_expired_causes,
    Alert.BAD_RECORD_MAC: _bad_record_mac,
    Alert.UNEXPECTED_MESSAGE: _unexpected_message,
    Alert.DECRYPT_ERROR: _decrypt_error,
    Alert.DECODE_ERROR: _decode_error,
    Alert.UNKNOWN_PSK_IDENTITY: unknown_psk_causes,
    Alert.BAD_CERTIFICATE_STATUS_RESPONSE: bad_staple_causes,
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
"""The alerts with which peers end a connection after a declined renegotiation."""

_OF_A_CHOICE = frozenset(
    (Alert.UNRECOGNIZED_NAME, Alert.NO_APPLICATION_PROTOCOL, Alert.UNKNOWN_PSK_IDENTITY)
)
"""The alerts about choices that the hellos have settled."""

_OF_A_CERTIFICATE = frozenset(
    (
        Alert.UNKNOWN_CA,
        Alert.CERTIFICATE_EXPIRED,
        Alert.CERTIFICATE_REVOKED,
        Alert.BAD_CERTIFICATE_STATUS_RESPONSE,
    )
)
"""The alerts that can only be about the certificate that this side has sent."""

_WITHOUT_REASON = frozenset((Alert.HANDSHAKE_FAILURE, Alert.INSUFFICIENT_SECURITY))
"""The alerts that a server sends for any of a client's offers, or for its certificate."""

_OF_WHAT_IS_UNSEEN = _OF_A_CHOICE | _OF_A_CERTIFICATE | {Alert.DECRYPT_ERROR}
"""The alerts whose number tells more than a situation of which part is unseen."""

_OF_OTHER_KEYS = frozenset((Alert.BAD_RECORD_MAC, Alert.DECRYPT_ERROR, Alert.ILLEGAL_PARAMETER))
"""The alerts that implementations send for a binder or a record under another key."""
