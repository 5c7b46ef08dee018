"""Tickets: a server's memory of a session, sealed and given to the client to keep (RFC 5077).

    opaque ticket = version (1 byte) | key id (8) | nonce (32) | AES-256-GCM(state) | tag (16)

Each ticket is sealed under a key of its own, which HKDF-Expand-Label derives from the ticket key
and the nonce: see `DerivedKeyAead`. The state is a struct of our own, in TLS's presentation
language; version, key id and nonce are authenticated with it. Nothing that cannot be opened is an
error: it is no ticket of ours, and the handshake is a full one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct as Packed
from typing import Any

from cryptography.exceptions import InvalidTag

from handclasp.crypto.derived_key_aead import NONCE_SIZE
from handclasp.crypto.secret import Secret
from handclasp.errors import ProtocolError
from handclasp.sessions.session import MAX_LIFETIME
from handclasp.sessions.ticket_keys import ID_SIZE, TicketKey
from handclasp.values import field, value
from handclasp.wire.structs import Struct, fixed, opaque, uint, vector
from handclasp.wire.writer import opaque24

_VERSION = 4
_HEADER_SIZE = 1 + ID_SIZE
_TAG_SIZE = 16
_CLOCKS_DIFFER = 60_000
"""Milliseconds by which a ticket of another server of the fleet may come from the future."""

_OVERHEAD = 1024
"""Bytes for the objects of a state, without what a client sent; an estimate."""

_PER_OBJECT = 64
"""Bytes for each certificate besides those in it."""

BINDING_SIZE = 32

_times = Packed(">QII").pack
"""created_at, lifetime and age_add."""

MAX_TICKET = 2**14
"""Bytes; a client with a longer chain of certificates gets no ticket."""


@value(frozen=True, slots=True)
class SessionState:
    """The state of a session that a server needs to resume it.

    Attributes:
        version: 0x0303 or 0x0304.
        cipher_suite: its code.
        secret: the pre-shared key (TLS 1.3) or the master secret (TLS 1.2).
        authenticated_at: when both sides last proved who they are, in a full handshake, in
            milliseconds since 1970.
        created_at: when the ticket was made, likewise.
        lifetime: seconds from then on.
        age_add: what the client adds to the ticket's age.
        max_early_data: bytes.
        server_name, alpn: what the connection was for; empty where there was none.
        binding: 32 bytes that name the config under which it was made; see `bindings`.
        client_chain: the client's certificates, which are verified again.
        signature_scheme: the server's, or empty.
        client_certificate_type: what client_chain holds: "X509" or "RawPublicKey" (RFC 7250).
    """

    version: int
    cipher_suite: int
    secret: Secret
    authenticated_at: int
    created_at: int
    lifetime: int
    age_add: int
    max_early_data: int
    server_name: str
    alpn: str
    binding: bytes
    client_chain: tuple[bytes, ...] = field(default=(), repr=False)
    signature_scheme: str = ""
    client_certificate_type: str = "X509"

    @property
    def size(self) -> int:
        """The bytes that it takes in memory, or a little more; most of them are the client's."""
        chain = self.client_chain
        return _OVERHEAD + len(self.server_name) + _PER_OBJECT * len(chain) + sum(map(len, chain))

    def is_current(self, now: int) -> bool:
        """Return whether the session may still be resumed at `now`, in milliseconds since 1970."""
        age = now - self.created_at
        return -_CLOCKS_DIFFER <= age < 1000 * self.lifetime and self.seconds_left(now) > 0

    def seconds_left(self, now: int) -> int:
        """Return for how long tickets may be renewed (RFC 8446 section 4.6.1, last paragraph)."""
        return MAX_LIFETIME - (now - self.authenticated_at) // 1000


def seal_ticket(
    state: SessionState, keys: Sequence[TicketKey], entropy: Callable[[int], bytes]
) -> bytes | None:
    """Return the ticket for a client; None without a key, or if it would be too long."""
    seal = TicketSealer(state, keys, entropy)
    return seal.ticket(state.secret, state.created_at, state.lifetime, state.age_add)


class TicketSealer:
    """Seals the tickets of one session: what is the same in all of them is written once.

    Args:
        state: of the session; each ticket has its own secret, time, lifetime and age_add.
        keys: the first one seals.
    """

    __slots__ = ("_after", "_before", "_entropy", "_key", "_proved_at")

    def __init__(
        self, state: SessionState, keys: Sequence[TicketKey], entropy: Callable[[int], bytes]
    ) -> None:
        server_name, alpn = state.server_name.encode("utf-8"), state.alpn.encode("utf-8")
        scheme = state.signature_scheme.encode("ascii")
        client_type = state.client_certificate_type.encode("ascii")
        chain = b"".join(map(opaque24, state.client_chain)) if state.client_chain else b""
        self._key = keys[0] if keys else None
        self._entropy = entropy
        self._before = (state.version << 16 | state.cipher_suite).to_bytes(4, "big")
        self._proved_at = state.authenticated_at.to_bytes(8, "big")
        self._after = b"".join(
            [
                state.max_early_data.to_bytes(4, "big"),
                len(server_name).to_bytes(2, "big"),
                server_name,
                len(alpn).to_bytes(1, "big"),
                alpn,
                state.binding,
                len(chain).to_bytes(3, "big"),
                chain,
                len(scheme).to_bytes(1, "big"),
                scheme,
                len(client_type).to_bytes(1, "big"),
                client_type,
            ]
        )

    def ticket(self, secret: Secret, created_at: int, lifetime: int, age_add: int) -> bytes | None:
        """Return one ticket; None without a key, or if it would be too long."""
        key = self._key
        plain = b"".join(
            [
                self._before,
                len(secret).to_bytes(1, "big"),
                secret,
                self._proved_at,
                _times(created_at, lifetime, age_add),
                self._after,
            ]
        )
        if key is None or len(plain) > MAX_TICKET - _HEADER_SIZE - NONCE_SIZE - _TAG_SIZE:
            return None
        nonce = self._entropy(NONCE_SIZE)
        header = _VERSION.to_bytes(1, "big") + key.key_id + nonce
        return header + key.aead.encrypt(nonce, plain, header)


def open_ticket(ticket: bytes, keys: Sequence[TicketKey]) -> SessionState | None:
    """Return the state in a ticket of this server; None for any other data."""
    if not _HEADER_SIZE + NONCE_SIZE + _TAG_SIZE < len(ticket) <= MAX_TICKET:
        return None
    if ticket[0] != _VERSION:
        return None
    key_id, body = ticket[1:_HEADER_SIZE], _HEADER_SIZE + NONCE_SIZE
    for key in keys:
        if key.key_id == key_id:
            try:
                plain = key.aead.decrypt(ticket[_HEADER_SIZE:body], ticket[body:], ticket[:body])
                return _read_state(plain)
            except (InvalidTag, ProtocolError, UnicodeDecodeError):
                return None
    return None


_STATE = Struct(
    tuple,
    uint("version", 2),
    uint("cipher_suite", 2),
    opaque("secret", 1, 32),
    uint("authenticated_at", 8),
    uint("created_at", 8),
    uint("lifetime", 4),
    uint("age_add", 4),
    uint("max_early_data", 4),
    opaque("server_name", 2),
    opaque("alpn", 1),
    fixed("binding", BINDING_SIZE),
    vector("client_chain", 3, Struct(bytes, opaque("certificate", 3, 1))),
    opaque("signature_scheme", 1),
    opaque("client_certificate_type", 1),
)
"""The content of a ticket, in the order of `SessionState`."""


def _read_state(plain: bytes) -> SessionState:
    read: Any = _STATE.read(plain, "ticket")
    version, suite, secret, authenticated_at, created_at, lifetime, age_add, early = read[:8]
    server_name, alpn, binding, chain, scheme, client_type = read[8:]
    return SessionState(
        version,
        suite,
        Secret(secret),
        authenticated_at,
        created_at,
        lifetime,
        age_add,
        early,
        server_name.decode("utf-8"),
        alpn.decode("utf-8"),
        binding,
        chain,
        scheme.decode("ascii"),
        client_type.decode("ascii"),
    )
