"""The plain meaning of each alert number, and its explanation in a situation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from handclasp.advice import STAPLE
from handclasp.alerts.cause import Cause
from handclasp.alerts.likely import likely_causes, other_causes, summarize
from handclasp.alerts.situation import RejectedEch, Situation, other_end
from handclasp.faults import Blame, Verdict
from handclasp.iana import AlertDescription as Alert
from handclasp.wording import listed


class AlertExplanation(NamedTuple):
    """The explanation of one alert, for people.

    Attributes:
        sentence: the meaning of the alert, or its likeliest cause.
        fix: the advice for both ends; empty if nothing is known to help.
        verdict: the end to blame.
        causes: the likely causes in the situation, the likeliest first; may be empty.
        others: the causes that the sentence does not explain.
    """

    sentence: str
    fix: str
    verdict: Verdict
    causes: tuple[Cause, ...] = ()
    others: tuple[Cause, ...] = ()


class Meaning(NamedTuple):
    """The meaning of an alert by itself, if nothing is known of the situation."""

    sentence: str
    fix: str = ""
    verdict: Verdict = Verdict(Blame.UNCLEAR, "the alert does not say")


def explain_alert(number: int, situation: Situation | None = None) -> AlertExplanation:
    """Return the explanation of an alert that the peer sent.

    Args:
        number: of the alert, also one that is not registered.
        situation: the state in which the alert arrived; None explains the number alone.
    """
    if number == Alert.ECH_REQUIRED and situation is not None and situation.role == "server":
        found = situation.rejected_ech
        meaning = _ECH_NOT_ACCEPTED if found is None else _ech_rejected(found)
        return AlertExplanation(*meaning)
    if situation is not None and (causes := likely_causes(number, situation)):
        first = summarize(causes)
        verdict = Verdict(first.blame, first.condition)
        return AlertExplanation(first.sentence, first.fix, verdict, causes, other_causes(causes))
    meaning = _MEANINGS.get(number, _UNREGISTERED)
    if situation is not None:
        other = other_end(situation)
        sentence, fix = (_PEER.sub(rf"\1 {other}", text) for text in meaning[:2])
        meaning = Meaning(sentence, fix, meaning.verdict)
    return AlertExplanation(*meaning)


_PEER = re.compile(r"\b([Tt]he) peer\b")

_UNREGISTERED = Meaning(
    "The peer ended the connection with an alert that says no more than its name."
)

_DEFECT = Verdict(
    Blame.UNCLEAR,
    "one of the two implementations has a defect, unless something on the way changed the bytes",
)
_UPDATE = "If a middlebox is not the cause, one of the two implementations has a defect."

_MEANINGS: Mapping[int, Meaning] = {
    Alert.BAD_CERTIFICATE_STATUS_RESPONSE: Meaning(
        sentence=(
            "The peer refused the OCSP response that was stapled to this side's certificate, or "
            "requires one."
        ),
        fix=f"Staple a current response that is about this certificate and says good ({STAPLE}).",
    ),
    Alert.UNEXPECTED_MESSAGE: Meaning(
        sentence="The peer received a message that it did not expect.",
        fix=(
            "Check that both ends speak TLS on this port and that nothing between them interferes."
        ),
        verdict=_DEFECT,
    ),
    Alert.BAD_RECORD_MAC: Meaning(
        sentence="The peer could not decrypt what it received.",
        fix="Look for a middlebox that changes the traffic.",
    ),
    Alert.RECORD_OVERFLOW: Meaning(
        sentence="The peer received a record that is longer than it accepts.",
        verdict=_DEFECT,
    ),
    Alert.HANDSHAKE_FAILURE: Meaning(
        sentence=(
            "The peer found no common ground: it shares no cipher suite, no group or no signature "
            "scheme with this side, or requires a client certificate."
        ),
        fix=(
            "Compare the suites, groups and signature schemes of both ends; offer more of them "
            "here."
        ),
    ),
    Alert.BAD_CERTIFICATE: Meaning(
        sentence="The peer refuses this side's certificate as malformed.",
        fix="See the peer's log for the reason, and check the certificate with `handclasp cert`.",
    ),
    Alert.UNSUPPORTED_CERTIFICATE: Meaning(
        sentence="The peer does not accept this kind of certificate.",
        fix="Use a certificate with a common key type and the right extended key usage.",
    ),
    Alert.CERTIFICATE_REVOKED: Meaning(
        sentence="The peer says that this side's certificate is revoked.",
        fix="Get a new certificate.",
    ),
    Alert.CERTIFICATE_EXPIRED: Meaning(
        sentence="The peer says that this side's certificate is not valid now.",
        fix="Renew the certificate, or check the clock of the other end.",
    ),
    Alert.CERTIFICATE_UNKNOWN: Meaning(
        sentence="The peer refuses this side's certificate without saying why.",
        fix="If a browser sends this alert, its user has not trusted the issuer.",
    ),
    Alert.ILLEGAL_PARAMETER: Meaning(
        sentence="The peer considers a value in a message wrong.",
        fix=_UPDATE,
        verdict=_DEFECT,
    ),
    Alert.UNKNOWN_CA: Meaning(
        sentence="The peer does not trust the issuer of this side's certificate.",
        fix=(
            "Add the issuer to the peer's trust store, or send the missing intermediate "
            "certificates."
        ),
    ),
    Alert.ACCESS_DENIED: Meaning(
        sentence="The peer accepted the certificate, but grants its holder no access.",
        fix="Ask the peer's operator for access.",
    ),
    Alert.DECODE_ERROR: Meaning(
        sentence="The peer could not parse a message of this side.",
        fix=_UPDATE,
        verdict=_DEFECT,
    ),
    Alert.DECRYPT_ERROR: Meaning(
        sentence="The peer could not verify a signature or a Finished of this side.",
        fix="Make sure that this side's private key belongs to its certificate.",
    ),
    Alert.PROTOCOL_VERSION: Meaning(
        sentence="The peer speaks none of the protocol versions that were offered.",
        fix="Update the peer to TLS 1.3, or offer the version that it speaks if that is secure.",
    ),
    Alert.INSUFFICIENT_SECURITY: Meaning(
        sentence="The peer requires stronger algorithms than were offered.",
        fix="Offer stronger cipher suites or groups.",
    ),
    Alert.INTERNAL_ERROR: Meaning(
        sentence="The peer failed for an internal reason.",
        fix="See the peer's log.",
        verdict=Verdict(Blame.PEER),
    ),
    Alert.INAPPROPRIATE_FALLBACK: Meaning(
        sentence="The peer speaks a newer version than the one that was offered as a fallback.",
        fix="Do not retry with an older version.",
        verdict=Verdict(Blame.LOCAL, "unless the network keeps newer versions away"),
    ),
    Alert.USER_CANCELED: Meaning(
        sentence="The peer's user cancelled the handshake.",
        verdict=Verdict(Blame.PEER),
    ),
    Alert.MISSING_EXTENSION: Meaning(
        sentence="The peer requires an extension that is missing in this side's hello.",
        fix=_UPDATE,
        verdict=_DEFECT,
    ),
    Alert.UNSUPPORTED_EXTENSION: Meaning(
        sentence="The peer received an extension that it did not request.",
        fix=_UPDATE,
        verdict=_DEFECT,
    ),
    Alert.UNRECOGNIZED_NAME: Meaning(
        sentence="The server does not serve the name that was asked for.",
        fix="Check the server name, or add it to the server's configuration.",
    ),
    Alert.UNKNOWN_PSK_IDENTITY: Meaning(
        sentence="The server knows no pre-shared key by the identity that was offered.",
        fix="Configure the same identity and key on both ends.",
    ),
    Alert.CERTIFICATE_REQUIRED: Meaning(
        sentence="The server requires a client certificate, and none was sent.",
        fix="Give this side a certificate and key from a CA that the server trusts.",
    ),
    Alert.NO_APPLICATION_PROTOCOL: Meaning(
        sentence="The server speaks none of the application protocols that were offered.",
        fix="Offer another protocol, or none.",
    ),
    Alert.ECH_REQUIRED: Meaning(
        sentence=(
            "The peer requires Encrypted Client Hello. This alert is a client's, whose encrypted "
            "hello the server did not accept (RFC 9849 section 6.1.6): from a server it has no "
            "meaning."
        ),
        fix="See the other end's log.",
    ),
}


def _ech_rejected(found: RejectedEch) -> Meaning:
    """Return what it means for a server that has keys, and sent their configurations."""
    ids = listed([str(each) for each in sorted(set(found.retry_ids))])
    fix = (
        "On the other end: Connect once more with the configurations that this server sent, or "
        "with those of its DNS record. On this end: Keep each old key beside the current one "
        "(a further --ech-key; send_as_retry=False) as long as DNS records with its configuration "
        "may be cached."
    )
    if found.config_id in found.retry_ids:
        fix += " Give each key a config_id of its own, as `EchKey.generate(NAME, avoid=keys)` does."
    return Meaning(
        sentence=(
            "The client encrypted its hello (ECH) with a configuration whose config_id is "
            f"{found.config_id}, and no key of this server opens that. The server sent its current "
            f"configurations in return (config_id {ids})."
        ),
        fix=fix,
        verdict=Verdict(
            Blame.UNCLEAR,
            "this end, if DNS records with that configuration may still be cached; else the other "
            "end, which has an old one",
        ),
    )


_ECH_NOT_ACCEPTED = Meaning(
    sentence=(
        "The client says by it that this server did not accept its encrypted hello (ECH). The "
        "server does not support Encrypted Client Hello, or it has no key of that configuration; "
        "if it did accept the hello, one of the two implementations has a defect."
    ),
    fix=(
        "On the other end: Fetch the server's current ECH configuration and try again. "
        "On this end: Publish no ECH configuration that this server cannot use."
    ),
    verdict=Verdict(
        Blame.UNCLEAR,
        "this end, if it still publishes that configuration; else the other end, which has an old "
        "one",
    ),
)
