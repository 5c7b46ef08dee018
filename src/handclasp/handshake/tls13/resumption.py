"""The resumption of a client by a TLS 1.3 server, by a ticket or an external pre-shared key.

Whatever is wrong with a ticket, be it foreign, damaged, too old, or of another config, means a full
handshake and never an error. Only a binder that does not hold is one (RFC 8446 section 4.2.11).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from handclasp.certificates.verify import VerifiedPeer
from handclasp.config import ServerConfig
from handclasp.crypto.suites import CIPHER_SUITES_BY_CODE, CipherSuite
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.hooks import opening_keys, wrong_answer
from handclasp.handshake.peer import verify_client_again
from handclasp.handshake.tls13.psk import RESUMPTION, Psk, check_binder, psk_of_external
from handclasp.iana import TLS13, ExtensionType
from handclasp.keys.transcript import Transcript
from handclasp.questions import CheckReplay, ConfirmPeer, FindPsk
from handclasp.sessions.psk import PreSharedKey
from handclasp.sessions.replay import FRESHNESS
from handclasp.sessions.session import milliseconds
from handclasp.sessions.tickets import SessionState, open_ticket
from handclasp.values import field, value
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ClientHello

_PRE_SHARED_KEY = ExtensionType.PRE_SHARED_KEY
_MOST_TRIED = 8
"""Identities of one hello that are read: each may cost an opened ticket or a question."""


@value(frozen=True, slots=True)
class PskOffer:
    """The pre-shared keys of a hello; `before` is the transcript up to it, if not empty.

    A client may name modes and no keys: it has none, but would like tickets.

    Attributes:
        offered: the first keys, or None without any.
        count: how many there are.
        binders_size: bytes of the vector of all binders, its length included.
    """

    modes: bytes
    offered: ext.OfferedPsks | None
    count: int
    binders_size: int
    before: Transcript | None = field(repr=False)


@value(frozen=True, slots=True)
class Candidate:
    """A key that both sides have, if the client proves it."""

    index: int
    psk: Psk


@value(frozen=True, slots=True)
class Found:
    """The keys that a client offers, accepted and refused.

    Attributes:
        candidates: those known here, in the client's order.
        refused: by their place among the client's, why not the others.
    """

    candidates: tuple[Candidate, ...]
    refused: Mapping[int, str]


@value(frozen=True, slots=True)
class ResumedClient:
    """A client that comes back; `client` is who it showed itself to be, verified again.

    The binder shows that somebody with the key made this hello at some time. That this is the
    client, and not somebody who recorded it, only Finished proves.
    """

    index: int
    psk: Psk
    client: VerifiedPeer | None

    @property
    def replay_token(self) -> bytes:
        """The name of this first flight for a replay guard.

        One ticket, one first flight with early data: stricter than to tell flights apart.
        """
        return hashlib.sha256(self.psk.identity).digest()


def read_psks(
    hello: ClientHello, modes: bytes | None, before: Transcript | None
) -> PskOffer | None:
    """Read the extensions about pre-shared keys (RFC 8446 sections 4.2.9 and 4.2.11).

    Args:
        modes: what psk_key_exchange_modes holds, if it is there.
        before: the transcript up to this hello; None where nothing came before.
    """
    extensions = hello.extensions
    data = extensions.get(_PRE_SHARED_KEY)
    if data is not None and next(reversed(list(extensions))) != _PRE_SHARED_KEY:
        # RFC 8446 4.2.11: it MUST be the last extension, or illegal_parameter.
        raise ProtocolError(Fault.ILLEGAL_VALUE, "pre_shared_key is not the last extension")
    if modes is None:
        if data is not None:
            # RFC 8446 4.2.9: "If clients offer "pre_shared_key" without a
            # "psk_key_exchange_modes" extension, servers MUST abort the handshake."
            raise ProtocolError(Fault.MISSING_EXTENSION, "psk_key_exchange_modes in ClientHello")
        return None
    if data is None:
        return PskOffer(modes, None, 0, 0, before)
    every = ext.read_offered_psks(data)
    first = ext.OfferedPsks(every.identities[:_MOST_TRIED], every.binders[:_MOST_TRIED])
    return PskOffer(modes, first, len(every.identities), every.binders_size, before)


def may_use_psk(config: ServerConfig, offer: PskOffer | None) -> bool:
    """Return whether client and server have a mode in common (RFC 8446 section 4.2.9)."""
    if offer is None:
        return False
    return ext.PSK_DHE_KE in offer.modes or (config.allow_psk_ke and ext.PSK_KE in offer.modes)


async def find_psks(
    hs: HandshakeContext,
    config: ServerConfig,
    offer: PskOffer,
    offered: ext.OfferedPsks,
    server_name: str | None,
) -> Found:
    """Return the client's keys that this side knows, in the client's order."""
    if not may_use_psk(config, offer):
        why = "without a key exchange of its own, which is not allowed here"
        return Found((), dict.fromkeys(range(_noted(hs, offer)), why))
    external = {key.identity: key for key in config.psks} if config.psks else {}
    found: list[Candidate] = []
    refused: dict[int, str] = {}
    if offer.count > _MOST_TRIED:
        refused = dict.fromkeys(range(_MOST_TRIED, _noted(hs, offer)), "too far behind to be read")
    for index, named in enumerate(offered.identities):
        key: PreSharedKey | None = external.get(named.identity)
        state = None if key is not None else _open(config, named.identity, server_name)
        if key is None and not isinstance(state, SessionState) and config.find_psk is not None:
            key = await hs.ask(FindPsk(named.identity))
            if key is not None and key.identity != named.identity:
                wanted = "the key of the identity that it was asked for, or None"
                raise wrong_answer("find_psk", "the key of another identity", wanted)
        if key is not None:
            found.append(Candidate(index, psk_of_external(key)))
        elif isinstance(state, str):
            refused[index] = state
        elif state is not None:
            suite = CIPHER_SUITES_BY_CODE[state.cipher_suite]
            age = named.obfuscated_ticket_age
            psk = Psk(named.identity, age, state.secret, suite, RESUMPTION, state=state)
            found.append(Candidate(index, psk))
    return Found(tuple(found), refused)


def _noted(hs: HandshakeContext, offer: PskOffer) -> int:
    """Return for how many keys to note the reason of a refusal: for all, where there is a trace."""
    return offer.count if hs.trace is not None else 0


async def resume_client(
    hs: HandshakeContext, found: Found, suite: CipherSuite, hello: ClientHello, offer: PskOffer
) -> tuple[ResumedClient | None, Found]:
    """Return the client that proves the first key that goes with the suite, if there is one.

    Its certificates are verified again; if they are no longer accepted, it is not known. The
    findings go with the second value. Raises `ProtocolError` for a wrong proof.
    """
    unfit: dict[int, str] = {}
    client: VerifiedPeer | None = None
    for candidate in found.candidates:
        psk, index = candidate.psk, candidate.index
        if psk.suite.hash_name != suite.hash_name or offer.offered is None:
            unfit[index] = f"its hash does not go with {suite.name}"
            continue
        partial_hello, binder = hello.raw[: -offer.binders_size], offer.offered.binders[index]
        check_binder(psk, partial_hello, binder, offer.before, hs.observer)
        state = psk.state
        if state is not None and state.client_chain:
            chain, certificate_type = state.client_chain, state.client_certificate_type
            client = await verify_client_again(hs, chain, certificate_type)
            if client is None:
                unfit[index] = "the client's certificate is no longer accepted"
                break
        known = ResumedClient(index, psk, client)
        return known, Found(found.candidates, {**found.refused, **unfit}) if unfit else found
    return None, Found(found.candidates, {**found.refused, **unfit})


async def why_not_early_data(
    hs: HandshakeContext,
    config: ServerConfig,
    known: ResumedClient,
    suite: CipherSuite,
    alpn: str | None,
) -> str:
    """Return why 0-RTT data may not be taken (RFC 8446 sections 4.2.10 and 8); empty if they may.

    They reach the application before the client's Finished, so the callback with the last word
    on the client is asked now, and learns what is not proved; or none are taken.
    """
    state, client = known.psk.state, known.client
    if not config.max_early_data:
        return "this server takes none (max_early_data is 0)"
    if known.index != 0:
        return "they are under the client's first key, and another one was taken"
    if state is None:
        return "the client has an external pre-shared key, and no ticket that allows them"
    unfit = _why_unfit(config, known.psk, state, suite, alpn)
    if unfit:
        return unfit
    confirms = client is not None and config.confirm_peer is not None
    if confirms and not config.confirm_early_data:
        return "confirm_peer has to confirm the client first (confirm_early_data is off)"
    token, created_at, memory = (
        known.replay_token,
        state.created_at / 1000,
        config.derived.replay_memory,
    )
    is_first = await hs.ask(CheckReplay(token, created_at))
    if is_first and memory is not None:
        is_first = memory.confirms(config.replay_guard, token, created_at)
    if not is_first:
        return (
            "the replay guard does not say that this flight comes for the first time: it came "
            "before, or the guard cannot know. A guard in the memory of one process cannot while "
            "it has just begun to remember, and never can in a forked process (handclasp.redis has "
            "one for those); one in Redis cannot for 30 seconds after it has begun to, nor while "
            "Redis is away"
        )
    if not confirms or client is None:
        return ""
    confirmed = await hs.ask(ConfirmPeer(client, False, None, replayable=True))
    return "" if confirmed else "confirm_peer refused them"


def _why_unfit(
    config: ServerConfig,
    psk: Psk,
    state: SessionState,
    suite: CipherSuite,
    alpn: str | None,
) -> str:
    """Return the reason against early data under this ticket now; empty if there is none."""
    if not state.max_early_data:
        return "the ticket was issued without leave to send them"
    if state.max_early_data > config.max_early_data:
        return f"the ticket allows {state.max_early_data} bytes, and now fewer are taken"
    if state.cipher_suite != suite.code:
        return "the cipher suite is not that of the ticket"
    if state.alpn != (alpn or ""):
        return "the application protocol is not that of the ticket"
    if not _is_fresh(psk, state, milliseconds(config.clock())):
        return "the ticket is not as old as the client says: the flight was delayed or recorded"
    return ""


def _is_fresh(psk: Psk, state: SessionState, now: int) -> bool:
    """Return whether the client gives the ticket's age, but for its way (RFC 9846 section 8.3)."""
    said = (psk.obfuscated_age - state.age_add) % 2**32
    return abs((now - state.created_at) - said) <= 1000 * FRESHNESS


def _open(config: ServerConfig, ticket: bytes, server_name: str | None) -> SessionState | str:
    """Return the session in a ticket, if it may be resumed here and now; otherwise why not."""
    if not config.tickets or config.ticket_keys is None:
        return "nothing is resumed here"
    state = open_ticket(ticket, opening_keys(config.ticket_keys, config.clock))
    if state is None:
        return "no ticket of this server, or under a key that it no longer has"
    if state.version != TLS13 or state.cipher_suite not in CIPHER_SUITES_BY_CODE:
        return "of another version"
    return refusal_of(state, config, server_name) or state


def refusal_of(state: SessionState, config: ServerConfig, server_name: str | None) -> str | None:
    """Return why a session of this server may not be resumed here and now, if so."""
    if not state.is_current(milliseconds(config.clock())):
        return "too old"
    if state.binding != config.derived.binding:
        return "made under other settings"
    if state.server_name != (server_name or ""):
        return "made for another name"
    chain, limits = state.client_chain, config.limits
    if chain and (
        len(chain) > limits.max_certificates or sum(map(len, chain)) > limits.max_certificate_bytes
    ):
        return "the client's certificates are more than are accepted now"
    return None
