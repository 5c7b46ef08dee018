"""The resumption of a client by a TLS 1.2 server: by a ticket (RFC 5077), or by a session id.

Only sessions with the extended master secret are kept, and resumed (RFC 7627 section 5.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from handclasp.certificates.verify import VerifiedPeer
from handclasp.config import ServerConfig
from handclasp.crypto.suites import CIPHER_SUITES12, CIPHER_SUITES12_BY_CODE, CipherSuite12
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.hooks import lifetime_under, opening_keys, sealing_keys
from handclasp.handshake.peer import verify_client_again
from handclasp.handshake.result import Forget
from handclasp.handshake.tls13.resumption import refusal_of
from handclasp.handshake.trace_notes import note_session12
from handclasp.iana import TLS12, ExtensionType
from handclasp.info import ConnectionInfo
from handclasp.keys.schedule12 import MasterSecret12
from handclasp.sessions.session import milliseconds
from handclasp.sessions.ticket_keys import TicketKey
from handclasp.sessions.tickets import MAX_TICKET, SessionState, open_ticket, seal_ticket
from handclasp.values import field, value
from handclasp.wire.messages import ClientHello
from handclasp.wire.messages12 import NewSessionTicket12

_ID_SIZE = 32


@value(frozen=True, slots=True)
class ResumedSession:
    """A session of before, and the client that showed itself then, verified again.

    Who names a session may have overheard the name: only Finished proves that it is this client.
    """

    state: SessionState
    suite: CipherSuite12
    client: VerifiedPeer | None


@value(frozen=True, slots=True)
class SessionGrant:
    """The means to resume that a client gets: a ticket, a session id, or nothing."""

    ticket: bool = False
    session_id: bytes = field(default=b"", repr=False)


async def find_session(
    hs: HandshakeContext, config: ServerConfig, hello: ClientHello, server_name: str | None
) -> ResumedSession | None:
    """Return the session that the client names, if it may be resumed here and now."""
    found = _usable(config, hello, server_name)
    refusal = found if isinstance(found, str) else None
    known: ResumedSession | None = None
    if not isinstance(found, str):
        state, suite = found
        client: VerifiedPeer | None = None
        if state.client_chain:
            kind = state.client_certificate_type
            client = await verify_client_again(hs, state.client_chain, kind)
        if state.client_chain and client is None:
            refusal = "the client's certificate is no longer accepted"
        else:
            known = ResumedSession(state, suite, client)
    # Without a memory, an id tells nothing: clients of TLS 1.3 send one for middleboxes' sake.
    by_id = config.derived.session_cache12 is not None and hello.legacy_session_id
    named = bool(hello.extensions.get(ExtensionType.SESSION_TICKET) or by_id)
    note_session12(hs, named, refusal)
    return known


def _usable(
    config: ServerConfig, hello: ClientHello, server_name: str | None
) -> tuple[SessionState, CipherSuite12] | str:
    """Return the session that the client names and its suite; or why it may not be resumed."""
    state = _named(config, hello)
    if state is None:
        return "not known here, or under a key that this server no longer has"
    if state.version != TLS12:
        return "of another version"
    suite = CIPHER_SUITES12_BY_CODE.get(state.cipher_suite)
    if (
        suite is None
        or suite.code not in hello.cipher_suites
        or suite.name not in config.cipher_suites
    ):
        return "its cipher suite is not one that both sides take now"
    return refusal_of(state, config, server_name) or (state, suite)


def choose_grant(config: ServerConfig, hello: ClientHello, *, extended: bool) -> SessionGrant:
    """Return a ticket for a client that knows them, or an id, if this server remembers sessions."""
    if not config.tickets or not extended:
        return SessionGrant()
    if ExtensionType.SESSION_TICKET in hello.extensions:
        return SessionGrant(ticket=bool(_sealing_keys(config)))
    return SessionGrant(
        session_id=config.entropy(_ID_SIZE) if config.derived.session_cache12 is not None else b""
    )


def grant_session(
    hs: HandshakeContext,
    config: ServerConfig,
    grant: SessionGrant,
    info: ConnectionInfo,
    master_secret: MasterSecret12,
    resumed: SessionState | None = None,
) -> Forget | None:
    """Send the ticket, or remember the session by its id; `resumed` is the one of before."""
    if not grant.ticket and not grant.session_id:
        return None
    now = milliseconds(config.clock())
    lifetime, keys = config.ticket_lifetime, _sealing_keys(config) if grant.ticket else ()
    if resumed is not None:
        lifetime = min(lifetime, resumed.seconds_left(now))
    if grant.ticket and config.ticket_keys is not None:
        lifetime = lifetime_under(config.ticket_keys, keys, lifetime, now)
    state = SessionState(
        version=TLS12,
        cipher_suite=CIPHER_SUITES12[info.cipher_suite].code,
        secret=master_secret.secret,
        authenticated_at=resumed.authenticated_at if resumed is not None else now,
        created_at=now,
        lifetime=max(lifetime, 0),
        age_add=0,
        max_early_data=0,
        server_name=info.server_name or "",
        alpn=info.alpn or "",
        binding=config.derived.binding,
        client_chain=info.peer_chain_der,
        signature_scheme=info.signature_scheme or "",
        client_certificate_type=info.peer_certificate_type,
    )
    if grant.ticket:
        # RFC 5077 3.3: who promised a ticket and has none sends an empty one.
        ticket = seal_ticket(state, keys, config.entropy) or b""
        hs.send(NewSessionTicket12(state.lifetime, ticket))
    elif (
        config.derived.session_cache12 is not None
        and sum(map(len, state.client_chain)) <= MAX_TICKET
    ):
        # What a client pads its certificates with is not kept for it.
        config.derived.session_cache12.put(grant.session_id, state)
        return partial(config.derived.session_cache12.discard, grant.session_id)
    return None


def _named(config: ServerConfig, hello: ClientHello) -> SessionState | None:
    if not config.tickets:
        return None
    ticket = hello.extensions.get(ExtensionType.SESSION_TICKET)
    if ticket:
        # RFC 5077 3.4: a client may send no id, and see by the next message that it is resumed.
        return open_ticket(ticket, _opening_keys(config))
    if config.derived.session_cache12 is None or not hello.legacy_session_id:
        return None
    return config.derived.session_cache12.get(hello.legacy_session_id)


def _opening_keys(config: ServerConfig) -> Sequence[TicketKey]:
    return opening_keys(config.ticket_keys, config.clock) if config.ticket_keys is not None else ()


def _sealing_keys(config: ServerConfig) -> Sequence[TicketKey]:
    return sealing_keys(config.ticket_keys, config.clock) if config.ticket_keys is not None else ()
