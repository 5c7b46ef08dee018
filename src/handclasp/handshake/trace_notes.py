"""The notes in a trace on choices that are more than a comparison of two lists.

Where there is a trace, they put the reasons for decisions into words.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

from handclasp.certificates.credentials import Credentials
from handclasp.config import ServerConfig, SharedConfig
from handclasp.crypto.groups import GROUPS
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.crypto.suites import CIPHER_SUITES, CIPHER_SUITES12
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.client_sessions import ClientSessions
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.negotiation import choose_application_protocol, shown
from handclasp.handshake.tls13.psk import Psk
from handclasp.questions import ChooseCredentials
from handclasp.sessions.session import Session
from handclasp.trace.hooks import INNER_CLIENT_HELLO, OUTER_CLIENT_HELLO, Trace
from handclasp.values import replace

if TYPE_CHECKING:
    from handclasp.crypto.hpke import HpkeContext
    from handclasp.wire.ech import EchConfig

_NOTHING_CAME = "the client came with nothing to resume"


def decide_application_protocol(
    hs: HandshakeContext, config: ServerConfig, offered: Sequence[bytes]
) -> str | None:
    """Return the protocol to speak inside. Raises `ProtocolError`."""
    names = [shown(protocol) for protocol in offered] if hs.trace is not None else ()
    why = "the server's order"
    if not offered or not config.alpn:
        why = f"the {'client' if not offered else 'server'} names none"
    spoken = config.alpn
    if config.allow_alpn_mismatch and not any(name.encode("ascii") in offered for name in spoken):
        spoken = ()
        why = "no protocol is shared, and this server goes on without one"
    return hs.decide("alpn", names, config.alpn, why, choose_application_protocol, offered, spoken)


def note_hello_that_counts(hs: HandshakeContext, *, is_inner: bool, why: str) -> None:
    """Note which hello a server takes of a client that encrypted one (RFC 9849 section 7)."""
    both = INNER_CLIENT_HELLO, OUTER_CLIENT_HELLO
    hs.note_decision("ech", both, both, both[0] if is_inner else both[1], why)


def note_ech_secrets(hs: HandshakeContext, context: HpkeContext, config: EchConfig) -> None:
    """Hand what opens an encrypted hello to a key log or a trace that asks for secrets.

    RFC 9850 section 2: both stand under the random of the outer hello.
    """
    if hs.tells_secrets:
        hs.note_secret("ECH_SECRET", context.shared_secret)
        hs.note_secret("ECH_CONFIG", config.raw)


def note_version(hs: HandshakeContext, config: SharedConfig, taken: str) -> None:
    """Note which of its versions a client finds taken; its hello has the newest first."""
    if hs.trace is None:
        return
    offered = tuple(reversed(config.versions))
    hs.note_decision("version", offered, offered, taken, "the server chose")


def note_signature_scheme(
    hs: HandshakeContext,
    config: SharedConfig,
    offered: Sequence[str],
    chosen: str | None,
    version: str,
    held: Credentials | None = None,
) -> None:
    """Note the scheme in which the server signs, and why none of the others that are offered.

    Args:
        held: what the server shows, where that is this side; else the scheme itself says what
            kind of key it is.
    """
    if hs.trace is None:
        return
    able = held.schemes if held is not None else _schemes_beside(offered, chosen, version)
    why = "the first that fits the certificate's key" if held is not None else "the server signed"
    reasons: list[tuple[str, str]] = []
    for name in offered:
        known = SIGNATURE_SCHEMES.get(name)
        if known is None:
            reasons.append((name, "not spoken here"))
        elif version not in known.versions:
            reasons.append((name, f"not for handshakes of {_SPOKEN[version]}"))
        elif name not in able:
            reasons.append((name, "the server's key admits no such signature"))
        elif name not in config.signature_schemes:
            reasons.append((name, "not enabled here"))
    refused = {name for name, _ in reasons}
    acceptable = [name for name in able if name not in refused]
    hs.note_decision("signature_scheme", offered, acceptable, chosen, why, reasons)


_SPOKEN = {"TLSv1.3": "TLS 1.3", "TLSv1.2": "TLS 1.2"}


def _schemes_beside(offered: Sequence[str], chosen: str | None, version: str) -> list[str]:
    """Return the schemes in which the holder of a key could have signed instead.

    In TLS 1.2 the ECDSA schemes say the hash alone (RFC 5246 section 7.4.1.4.1).
    """
    mine = SIGNATURE_SCHEMES.get(chosen or "")
    if mine is None:
        return list(offered)
    kinds, ecdsa = (mine.key,), version == "TLSv1.2" and mine.name.startswith("ecdsa")
    return [
        name
        for name in offered
        if (known := SIGNATURE_SCHEMES.get(name)) is not None
        and known.pss_key == mine.pss_key
        and (known.key in kinds or (ecdsa and name.startswith("ecdsa")))
    ]


def note_group12(
    hs: HandshakeContext, offered: Sequence[str], acceptable: Sequence[str], chosen: str, why: str
) -> None:
    """Note the group in which the keys of TLS 1.2 are agreed upon; hybrids are not for it."""
    if hs.trace is None:
        return
    reasons = [
        (name, "not for TLS 1.2")
        for name in offered
        if name in GROUPS and "TLSv1.2" not in GROUPS[name].versions
    ]
    hs.note_decision("group", offered, acceptable, chosen, why, reasons)


def note_group13(
    hs: HandshakeContext,
    config: SharedConfig,
    offered: Sequence[str],
    shared: Container[str],
    chosen: str,
    why: str,
) -> None:
    """Note the group that a server of TLS 1.3 takes; one without a share costs a second hello."""
    if hs.trace is None:
        return
    reasons: list[tuple[str, str]] = []
    if chosen in shared:
        why_not = f"no share came for it, and {chosen} needs no second hello"
        reasons = [(name, why_not) for name in config.groups if name not in shared]
    hs.note_decision("group", offered, config.groups, chosen, why, reasons)


def note_suite12(
    hs: HandshakeContext,
    config: ServerConfig,
    offered: Sequence[str],
    fitting: Sequence[str],
    chosen: str,
    shares_group: bool,
) -> None:
    """Note the suite that a server of TLS 1.2 takes, of those that fit its certificate's key."""
    if hs.trace is None:
        return
    reasons: list[tuple[str, str]] = []
    for name in offered:
        suite = CIPHER_SUITES12.get(name)
        if suite is None or name in fitting:
            continue
        if name not in config.cipher_suites:
            reasons.append((name, "not enabled here"))
        elif suite.key_exchange == "ECDHE" and not shares_group:
            reasons.append((name, "there is no group that both can do"))
        else:
            reasons.append((name, "it does not go with the key of the certificate"))
    order = "the client's order" if config.prefer_client_order else "the server's order"
    hs.note_decision("cipher_suite", offered, fitting, chosen, order, reasons)


def note_answers(
    hs: HandshakeContext,
    config: SharedConfig,
    psks: Sequence[Psk],
    taken: str,
    chosen: Psk | None,
) -> None:
    """Note the suite that a client of TLS 1.3 finds taken, and its pre-shared key, if any.

    A key that was taken goes with the suites of its hash alone.
    """
    offered = config.cipher_suites
    reasons = [
        (name, "its hash is not that of the pre-shared key")
        for name in offered
        if chosen is not None
        and name in CIPHER_SUITES
        and CIPHER_SUITES[name].hash_name != chosen.suite.hash_name
    ]
    hs.note_decision("cipher_suite", offered, offered, taken, "the server chose", reasons)
    if psks:
        names = [f"key {number}" for number in range(1, len(psks) + 1)]
        name = next((n for n, psk in zip(names, psks, strict=True) if psk is chosen), None)
        why = "the server took it" if name is not None else "the server took none"
        hs.note_decision("resumption", names, names, name, why)


def note_credentials(
    trace: Trace | None,
    config: SharedConfig,
    question: ChooseCredentials,
    chosen: Credentials | None,
) -> None:
    """Note which of its certificates this side shows, and why not the others."""
    if trace is None:
        return
    held = tuple(config.credential_list)
    names = _told_apart([_name_of(each) for each in held])
    reasons = [_why_not(question, each, config.signature_schemes) for each in held]
    trace.decision(
        "credentials",
        names,
        [name for name, reason in zip(names, reasons, strict=True) if reason is None],
        _chosen_name(held, names, chosen),
        _why_these(config, question, chosen),
        [(name, reason) for name, reason in zip(names, reasons, strict=True) if reason],
    )


async def check_name_is_served(
    hs: HandshakeContext, config: ServerConfig, question: ChooseCredentials
) -> None:
    """Refuse a client that shows no interest in a certificate as one that would get none.

    A session or a pre-shared key stands for the server's certificate, and must not be a way to a
    name that this config refuses. What else the answer holds is not checked: nothing is shown.
    Raises `ProtocolError` (unrecognized_name).
    """
    name = question.server_name
    if config.choose_credentials is not None:
        if not question.signature_schemes:
            # RFC 9846 9.2: such a hello need not say. The question is about the name.
            question = replace(question, signature_schemes=tuple(config.signature_schemes))
        credentials = await hs.ask(question)
        note_credentials(hs.trace, config, question, credentials)
        is_served = credentials is not None
    else:
        is_served = (
            not config.strict_server_name
            or name is None
            or any(each.matches(name) for each in config.credential_list)
        )
    if not is_served:
        raise ProtocolError(Fault.UNRECOGNIZED_NAME, name or "no name was given")


def note_resumption(
    hs: HandshakeContext,
    offered: int,
    refused: Mapping[int, str],
    chosen: Psk | None,
    index: int | None,
) -> None:
    """Note which of the client's pre-shared keys a server of TLS 1.3 takes, and why no others.

    Args:
        offered: how many there are.
        refused: by their place, why not.
        chosen: the one that was taken, if any, and its `index`.
    """
    if hs.trace is None:
        return
    names = [f"key {number}" for number in range(1, offered + 1)]
    why = _NOTHING_CAME if not offered else "none of them will do: a full handshake"
    if chosen is not None:
        why = "an external key" if chosen.external is not None else "a ticket of this server"
    hs.note_decision(
        "resumption",
        names,
        [name for place, name in enumerate(names) if place not in refused],
        names[index] if index is not None else None,
        why,
        [(names[place], reason) for place, reason in refused.items()],
    )


def note_session12(hs: HandshakeContext, named: bool, refusal: str | None) -> None:
    """Note whether a server of TLS 1.2 resumes the session that the client names, and why not."""
    if hs.trace is None:
        return
    offered = ("session",) if named else ()
    if not named:
        hs.note_decision("resumption", (), (), None, _NOTHING_CAME)
    elif refusal is None:
        hs.note_decision("resumption", offered, offered, "session", "it is known here")
    else:
        why = "a full handshake"
        hs.note_decision("resumption", offered, (), None, why, [("session", refusal)])


def note_resumed(hs: HandshakeContext, offered: Session | None, resumed: Session | None) -> None:
    """Note whether a client finds its session resumed by a server of TLS 1.2."""
    if hs.trace is None or offered is None:
        return
    name = f"session of {offered.version}"
    why = "the server took it" if resumed is not None else "the server did not take it"
    hs.note_decision("resumption", (name,), (name,), name if resumed else None, why)


def note_sessions(hs: HandshakeContext, client_sessions: ClientSessions | None) -> None:
    """Note which of its sessions a client offers to resume, and why not the others."""
    if hs.trace is None or client_sessions is None:
        return
    chosen = client_sessions.session
    names = [f"session {number}" for number in range(1, len(client_sessions.unfit) + 1)]
    unfit = list(zip(names, client_sessions.unfit, strict=True))
    name = f"session {len(names) + 1}" if chosen is not None else None
    offered = [*names, name] if name is not None else names
    why = "the newest that is fit" if chosen is not None else "there is none that is fit"
    hs.note_decision("session", offered, [name] if name is not None else [], name, why, unfit)


def _why_not(
    question: ChooseCredentials, candidate: Credentials, schemes: Sequence[str]
) -> str | None:
    """Return what speaks against these credentials; None if it is only that others come first."""
    if candidate.certificate_type not in question.certificate_types:
        return f"a {candidate.certificate_type}, which the peer does not take"
    offered = frozenset(question.signature_schemes)
    signs = any(scheme in offered and scheme in schemes for scheme in candidate.schemes)
    if not signs and not (question.key_transport and candidate.can_decrypt):
        return "its key signs in no scheme that both sides take"
    if question.server_name is not None and not candidate.matches(question.server_name):
        return "not for the name that the client asks for"
    return None


def _why_these(
    config: SharedConfig, question: ChooseCredentials, chosen: Credentials | None
) -> str:
    if config.choose_credentials is not None:
        return "the application chose"
    if chosen is None:
        return "there is none that the peer can use"
    if question.server_name is None:
        return "the first that the peer can use"
    if chosen.matches(question.server_name):
        return "the first for the name that the client asks for"
    return "none is for the name that the client asks for, so the first that it can use"


def _name_of(credentials: Credentials) -> str:
    name = credentials.names[0] if credentials.names else credentials.subject
    return f"{name or credentials.certificate_type} ({credentials.key_kind})"


def _chosen_name(
    held: Sequence[Credentials], names: Sequence[str], chosen: Credentials | None
) -> str | None:
    if chosen is None:
        return None
    known = next((n for n, each in zip(names, held, strict=True) if each is chosen), None)
    return known if known is not None else _name_of(chosen)


def _told_apart(names: Sequence[str]) -> list[str]:
    """Return the names, numbered where one recurs."""
    seen: dict[str, int] = {}
    told: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        told.append(name if seen[name] == 1 else f"{name} no. {seen[name]}")
    return told
