"""What an alert from the peer means, given how far the handshake had come and what was offered.

An alert is one number, and most numbers have several causes: `handshake_failure` alone stands for
no shared suite, no shared group, no shared signature scheme and a missing client certificate.
This side knows what it offered, what it showed and what had been answered, and that tells most of
them apart. `likely_causes` gives those that are left, the likeliest first. Each is a fault of the
catalogue that the *other* side found: its advice for "the other end" is meant for this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from handclasp.faults import Blame, Fault
from handclasp.values import value
from handclasp.wire.iana import AlertDescription as Alert
from handclasp.wire.iana import listed

Stage = Literal["hello", "handshake", "established"]
"""Nothing was answered yet; the two were in the middle of it; the handshake was complete."""

Shown = Literal["shown", "withheld", "unasked"]
"""Whether this side showed a certificate, had none to show, or was not asked for one."""


@value(frozen=True, slots=True)
class Situation:
    """What one side knew when the other gave up.

    Attributes:
        role: "client" or "server", of this side.
        stage: how far the handshake had come.
        version: what was agreed upon, such as "TLSv1.2"; None before that.
        versions, cipher_suites, groups, signature_schemes, alpn: what this side offered or allows.
        server_name: what a client asked for; None where it sent no name.
        certificate: this side's, as far as it came to that.
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
    certificate: Shown = "unasked"


@value(frozen=True, slots=True)
class Cause:
    """One thing that the peer may have found.

    Attributes:
        fault: its name in the catalogue, as the peer would see it.
        sentence: what it means here, with what speaks for it.
        blame: whose fault it would be, seen from this side.
        fix_local, fix_peer: what to change on this end, and on the other; empty where nothing is
            known to help.
    """

    fault: str
    sentence: str
    blame: Blame
    fix_local: str
    fix_peer: str

    @property
    def fix(self) -> str:
        """What to change, on either end."""
        parts: list[str] = []
        if self.fix_local:
            parts.append(f"On this end: {self.fix_local}")
        if self.fix_peer:
            parts.append(f"On the other end: {self.fix_peer}")
        return " ".join(parts)


def likely_causes(alert: int, situation: Situation) -> tuple[Cause, ...]:
    """What may be behind an alert, the likeliest first; empty where nothing is known."""
    causes = _CAUSES.get(alert)
    return tuple(causes(situation)) if causes is not None else ()


_SEEN_FROM_HERE = {Blame.PEER: Blame.LOCAL, Blame.LOCAL: Blame.PEER}

# What nearly every server knows: an offer without any of a kind is a narrow one.
_USUAL_SUITES12 = frozenset(
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")
)
_USUAL_GROUPS = frozenset(("X25519", "secp256r1"))
_USUAL_SCHEMES = frozenset(("rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256"))


def _cause(fault: Fault, sentence: str, fix_local: str = "", fix_peer: str = "") -> Cause:
    """`fault` as the peer saw it; its advice is taken unless other is given."""
    return Cause(
        fault.name,
        sentence,
        _SEEN_FROM_HERE.get(fault.blame, fault.blame),
        fix_local or fault.value.fix_peer,
        fix_peer or fault.value.fix_local,
    )


def _handshake_failure(situation: Situation) -> Iterator[Cause]:
    if situation.role == "server":
        yield _cause(
            Fault.NO_SHARED_CIPHER_SUITE,
            "The client does not accept what this server chose, and does not say what of it.",
            "See what the client allows, and choose among it.",
            "Allow the version, suite, group and signature scheme that the server chose.",
        )
        return
    if situation.stage != "hello":
        yield from _client_certificate(situation, Fault.CLIENT_CERTIFICATE_MISSING12)
        return
    narrow = [cause for is_narrow, cause in _offers(situation) if is_narrow]
    wide = [cause for is_narrow, cause in _offers(situation) if not is_narrow]
    yield from (*narrow, *wide)
    if situation.server_name is None:
        yield _no_name(situation)


def _offers(situation: Situation) -> Iterator[tuple[bool, Cause]]:
    """What a server misses in a hello, and whether the hello is narrow in just that."""
    suites, versions = situation.cipher_suites, situation.versions
    suites13 = {suite for suite in suites if "_WITH_" not in suite}
    narrow13 = "TLSv1.3" in versions and "TLS_AES_128_GCM_SHA256" not in suites13
    narrow12 = "TLSv1.2" in versions and not set(suites) >= _USUAL_SUITES12
    is_narrow = narrow13 if "TLSv1.3" in versions else narrow12
    yield (
        is_narrow,
        _cause(
            Fault.NO_SHARED_CIPHER_SUITE,
            f"The server takes none of the cipher suites that were offered: {_listed(suites)}."
            if is_narrow
            else "The server takes none of the cipher suites that were offered, which are those "
            "with forward secrecy and authenticated encryption; old servers know others only.",
            fix_peer="Allow one of the suites that the client offers.",
        ),
    )
    yield (
        not _USUAL_GROUPS & set(situation.groups),
        _cause(
            Fault.NO_SHARED_GROUP,
            f"The server takes none of the groups that were offered: {_listed(situation.groups)}.",
            fix_peer="Allow one of the groups that the client offers.",
        ),
    )
    yield (
        not set(situation.signature_schemes) >= _USUAL_SCHEMES,
        _cause(
            Fault.NO_SHARED_SIGNATURE_SCHEME,
            "The server has no certificate that signs in a scheme that was offered: "
            f"{_listed(situation.signature_schemes)}.",
        ),
    )


def _client_certificate(situation: Situation, missing: Fault) -> Iterator[Cause]:
    """The client's own certificate: not shown, or shown and not liked."""
    if situation.certificate == "withheld":
        yield _cause(
            missing,
            "The server asked for a client certificate, and this side has shown none.",
        )
    elif situation.certificate == "shown":
        yield _cause(
            Fault.CERTIFICATE_UNTRUSTED,
            "The server refuses the client certificate that this side has shown.",
            "Show a certificate of an authority that the server trusts, with its intermediates.",
            "Trust the authority of the client's certificate.",
        )
    else:
        yield _cause(
            Fault.NO_SHARED_CIPHER_SUITE,
            "The server gave up in the middle of the handshake, and does not say why.",
            "Compare the settings of both ends.",
            "See this server's log.",
        )


def _protocol_version(situation: Situation) -> Iterator[Cause]:
    offered = " and ".join(situation.versions)
    if situation.role == "server":
        chosen = f" ({situation.version})" if situation.version else ""
        yield _cause(
            Fault.NO_SHARED_VERSION,
            f"The client does not accept the version that this server chose{chosen}.",
            "Enable the version that the client wants, if it is TLS 1.2 or newer.",
            "Enable TLS 1.3, or at least TLS 1.2.",
        )
    elif situation.versions == ("TLSv1.3",):
        yield _cause(
            Fault.NO_SHARED_VERSION,
            "The server does not speak TLS 1.3, which alone was offered.",
            "Offer TLS 1.2 as well.",
            "Enable TLS 1.3.",
        )
    elif situation.versions == ("TLSv1.2",):
        yield _cause(
            Fault.NO_SHARED_VERSION,
            "The server does not speak TLS 1.2, which alone was offered: it takes TLS 1.3 only, "
            "or something older.",
            "Offer TLS 1.3 as well.",
            "Enable TLS 1.2.",
        )
    else:
        yield _cause(
            Fault.NO_SHARED_VERSION,
            f"The server speaks neither {offered.replace(' and ', ' nor ')}, so it is older than "
            "both: SSL 3.0, TLS 1.0 and TLS 1.1 are not safe, and are not spoken here.",
            "Nothing here helps that would be safe.",
            "Update the server: enable TLS 1.3, or at least TLS 1.2.",
        )


def _no_name(situation: Situation) -> Cause:
    if situation.server_name is None:
        return _cause(
            Fault.UNRECOGNIZED_NAME,
            "No server name was sent (SNI), and the server needs one to choose its certificate.",
            "Connect by a DNS name, or give one as server_name.",
            "Serve a default certificate.",
        )
    return _cause(
        Fault.UNRECOGNIZED_NAME,
        f"The server does not serve the name that was asked for: {situation.server_name}.",
    )


def _unrecognized_name(situation: Situation) -> Iterator[Cause]:
    yield _no_name(situation)


def _no_application_protocol(situation: Situation) -> Iterator[Cause]:
    yield _cause(
        Fault.NO_SHARED_APPLICATION_PROTOCOL,
        "The server speaks none of the application protocols that were offered: "
        f"{_listed(situation.alpn)}.",
    )


def _certificate_required(situation: Situation) -> Iterator[Cause]:
    del situation
    yield _cause(
        Fault.CLIENT_CERTIFICATE_MISSING,
        "The server requires a client certificate, and this side has shown none.",
    )


def _unknown_ca(situation: Situation) -> Iterator[Cause]:
    if situation.role == "client":
        yield _cause(
            Fault.CERTIFICATE_UNTRUSTED,
            "The server trusts no authority that vouches for the client certificate that was "
            "shown: it is of another authority, or the intermediate certificates are missing.",
            "Show a certificate of an authority that the server trusts, with its intermediates.",
            "Trust the authority of the client's certificate.",
        )
        return
    yield _cause(
        Fault.CERTIFICATE_UNTRUSTED,
        "The client finds no way from the certificate that was shown to an authority that it "
        "trusts: the intermediate certificates were not sent, or it does not know the authority.",
        "Send the certificate with all its intermediates (the full chain).",
        "Trust the authority that issued the server's certificate.",
    )


def _bad_certificate(situation: Situation) -> Iterator[Cause]:
    if situation.role == "client":
        yield from _client_certificate(situation, Fault.CLIENT_CERTIFICATE_MISSING)
        if situation.certificate == "shown":
            yield _cause(
                Fault.CERTIFICATE_NOT_YET_VALID,
                "Or by the server's clock the certificate is not valid yet.",
                fix_peer="Check the clock of the server.",
            )
        return
    yield _cause(
        Fault.CERTIFICATE_NAME_MISMATCH,
        "The client refuses the certificate, and this alert does not tell why: most often, the "
        "certificate is for another name than the one that the client went to.",
        fix_peer="Connect by a name that is in the certificate.",
    )
    yield _cause(
        Fault.CERTIFICATE_NOT_YET_VALID,
        "Or by the client's clock the certificate is not valid yet.",
        fix_peer="Check the clock of the client.",
    )
    yield _cause(
        Fault.CERTIFICATE_UNTRUSTED,
        "Or the client does not trust its authority: some clients say bad_certificate of all that "
        "they refuse.",
        "Send the certificate with all its intermediates (the full chain).",
        "Trust the authority that issued the server's certificate.",
    )
    yield _cause(Fault.BAD_CERTIFICATE, "Or the client holds the certificate to be broken.")


def _unsupported_certificate(situation: Situation) -> Iterator[Cause]:
    other = _other(situation)
    use = "a client" if situation.role == "client" else "a server"
    yield _cause(
        Fault.CERTIFICATE_WRONG_PURPOSE,
        f"The {other} does not take a certificate of this kind: most often, its extended key usage "
        f"does not name {use}.",
        f"Show a certificate whose extended key usage and key usage are those of {use}.",
        f"See what the {other} demands of a certificate.",
    )
    yield _cause(
        Fault.UNSUPPORTED_CERTIFICATE, f"Or the {other} does not take the kind or size of its key."
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
    yield _cause(
        Fault.CERTIFICATE_UNTRUSTED,
        "The client refuses the certificate without saying why, as browsers do: it does not trust "
        "its authority, or the name is another one.",
        "Send the full chain, of a certificate that covers the name.",
        "Trust the authority that issued the server's certificate; check the name that was asked "
        "for.",
    )


def _certificate_expired(situation: Situation) -> Iterator[Cause]:
    other = _other(situation)
    yield _cause(
        Fault.CERTIFICATE_EXPIRED,
        f"By the clock of the {other}, the certificate that this side has shown is not valid now: "
        "it has expired, or that clock is wrong.",
        "Renew the certificate if its dates say so.",
        f"Check the clock of the {other}.",
    )


def _bad_record_mac(situation: Situation) -> Iterator[Cause]:
    del situation
    yield _cause(
        Fault.BAD_RECORD_MAC,
        "A record of this side did not decrypt at the other: something on the way has changed it, "
        "or the two sides' keys differ.",
        "Look for a proxy or another middlebox on the way that rewrites the traffic.",
        "Look for one at the other end, too.",
    )


def _unexpected_message(situation: Situation) -> Iterator[Cause]:
    if situation.stage == "hello":
        yield _cause(
            Fault.NOT_TLS,
            "The peer did not expect a TLS handshake here: perhaps it speaks another protocol "
            "first (STARTTLS), or the port is another service's.",
            "Check host and port, and that no STARTTLS step is missing.",
            "Speak TLS on this port from the first byte.",
        )


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
    Alert.ACCESS_DENIED: _certificate_unknown,
    Alert.CERTIFICATE_EXPIRED: _certificate_expired,
    Alert.BAD_RECORD_MAC: _bad_record_mac,
    Alert.UNEXPECTED_MESSAGE: _unexpected_message,
}


def _other(situation: Situation) -> str:
    return "server" if situation.role == "client" else "client"


def _listed(names: Sequence[str], most: int = 4) -> str:
    return listed(names, most) if names else "none"
