"""From the settings of an `ssl.SSLContext` to configs.

The real context stays what it is: it checks and keeps every setting that C code has a field for
(options, versions, flags, modes, cipher strings), so `ssl`'s own rules and error texts hold. This
module reads them, adds what only this side can use (`Settings`), and builds one frozen config for
each role and state. A config is built again only if a setting has changed since.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from handclasp.advice import CREDENTIALS
from handclasp.compat.authorities import KNOWN_FLAGS, PARTIAL_CHAIN, Loaded, Verifier
from handclasp.compat.ciphers import of_version, suites_of
from handclasp.compat.credentials import complete_chain
from handclasp.compat.errors import plain
from handclasp.compat.native import Native
from handclasp.config import ClientAuth, ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError, ProtocolError
from handclasp.faults import Fault
from handclasp.faults.entry import Blame, Verdict, advice
from handclasp.questions import DEFER, ChooseConfig
from handclasp.sessions.store import SessionStore
from handclasp.sessions.ticket_keys import TicketKeys
from handclasp.values import dataclass, field

if TYPE_CHECKING:
    from handclasp.certificates.credentials import Credentials
    from handclasp.compat.psk import Finder, Offer
    from handclasp.questions import ChooseCredentials
    from handclasp.sessions.store import SessionCache
    from handclasp.trace.hooks import Trace

_OPENSSL_GROUPS = {
    "prime256v1": "secp256r1",
    "secp256r1": "secp256r1",
    "P-256": "secp256r1",
    "secp384r1": "secp384r1",
    "P-384": "secp384r1",
    "secp521r1": "secp521r1",
    "P-521": "secp521r1",
    "X25519": "X25519",
    "x25519": "X25519",
    "X448": "X448",
    "x448": "X448",
    "X25519MLKEM768": "X25519MLKEM768",
    "SecP256r1MLKEM768": "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024": "SecP384r1MLKEM1024",
}
"""The groups under the names that OpenSSL takes."""

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_OFF = {"TLSv1.2": ssl.OP_NO_TLSv1_2, "TLSv1.3": ssl.OP_NO_TLSv1_3}

MOST_TICKETS = 16
"""Tickets that a server sends at most after a handshake, as `ServerConfig` allows."""

_HIGHEST_LEVEL = 2
_MOST_SWITCHED = 16
"""Configs that a context keeps for connections that were switched to it."""


class NoteFailure(Protocol):
    """A function that hears of each connection that fails.

    It gets the exception that the program gets, and the name by which a client asked.
    """

    def __call__(
        self, error: BaseException, server_name: str | None, *, server_side: bool
    ) -> None: ...


@dataclass(slots=True)
class Defaults:
    """The values of contexts for which the program has set none.

    Attributes:
        make_trace: as in `Settings`.
        note_failure: gets the exception of each connection that fails, and whose it is.
    """

    make_trace: Callable[[], Trace] | None = None
    note_failure: NoteFailure | None = None


DEFAULTS = Defaults()


class State(NamedTuple):
    """The settings that the C part of a context holds, and what else makes one config another.

    Attributes:
        changes: how often one of `Settings` was set.
        groups, offer, finder, max_early_data: as in `Settings`.
        allowed: the versions that another context leaves, for a connection that it was made with.
    """

    options: int
    verify_mode: int
    verify_flags: int
    check_hostname: bool
    minimum: int
    maximum: int
    protocol: int
    keylog: str | None
    tickets: int
    post_handshake_auth: bool
    changes: int
    groups: tuple[str, ...] | None
    offer: Offer | None
    finder: Finder | None
    max_early_data: int
    allowed: tuple[str, ...] = tuple(_VERSIONS)

    def after(self, first: State) -> State:
        """Return the settings of a connection that was made with `first`, and switched to these.

        OpenSSL keeps what the connection was made with: how the peer is verified, the versions, the
        options, the groups and the pre-shared keys. The rest is the new context's: certificates,
        authorities, protocols and suites. Where the new context is stricter, that holds as well:
        what needs TLS 1.3, or tickets, is then left out.
        """
        flags = first.verify_flags | self.verify_flags
        lenient = PARTIAL_CHAIN & ~(first.verify_flags & self.verify_flags)
        return self._replace(
            options=first.options | (self.options & ssl.OP_NO_TICKET),
            verify_mode=max(first.verify_mode, self.verify_mode),
            verify_flags=flags & ~lenient,
            check_hostname=first.check_hostname or self.check_hostname,
            tickets=first.tickets,
            # To ask in the handshake is stricter than to ask later.
            post_handshake_auth=first.post_handshake_auth
            and (self.post_handshake_auth or self.verify_mode == ssl.CERT_NONE),
            groups=first.groups or self.groups,
            offer=first.offer,
            finder=first.finder,
            max_early_data=min(first.max_early_data, self.max_early_data),
            allowed=tuple([each for each in _versions_of(self) if each in _versions_of(first)]),
        )


class Made(NamedTuple):
    """A config, and the settings that it was built from.

    Attributes:
        config12: the config for clients that do not offer TLS 1.3, if it is another one.
    """

    state: State
    config: ClientConfig | ServerConfig
    config12: ServerConfig | None = None


@dataclass(slots=True, eq=False)
class Settings:
    """The settings that the C part does not keep, and the configs that were built from all of them.

    Attributes:
        loaded: the authorities.
        credentials: those of this side, one for each kind of key, as OpenSSL keeps them.
        alpn: the application protocols, best first.
        groups: the groups of the key exchange; None for the default.
        ticket_keys: the keys of a server's tickets; they live as long as the context.
        resume: the store of a client's sessions, with which connections resume by themselves.
        make_trace: makes a trace for each connection.
        offer: names the pre-shared key of a client.
        finder: finds the pre-shared keys of a server's clients.
        max_early_data: the bytes of 0-RTT data that a server accepts; 0 for none.
        counts: what `session_stats` counts.
        changes: how often one of these was set.
    """

    loaded: Loaded = field(default_factory=Loaded)
    credentials: dict[str, Credentials] = field(default_factory=dict[str, "Credentials"])
    alpn: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    ticket_keys: TicketKeys = field(default_factory=TicketKeys)
    resume: SessionCache | None = None
    make_trace: Callable[[], Trace] | None = None
    offer: Offer | None = None
    finder: Finder | None = None
    max_early_data: int = 0
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            (
                "number",
                "connect",
                "connect_good",
                "connect_renegotiate",
                "accept",
                "accept_good",
                "accept_renegotiate",
                "hits",
                "misses",
                "timeouts",
                "cache_full",
            ),
            0,
        )
    )
    changes: int = 0
    _made: dict[bool, Made] = field(default_factory=dict[bool, Made])
    _switched: dict[tuple[bool, State], Made] = field(
        default_factory=dict[tuple[bool, State], Made]
    )

    def made(self, context: Any, *, server_side: bool, first: State | None = None) -> Made:
        """Return the config of a role for the settings of now. Raises `ssl.SSLError`.

        Args:
            context: the context that these settings belong to.
            server_side: the role.
            first: the settings that the connection was made with, if by another context.
        """
        state = _state_of(context, self)
        if first is not None:
            return self._made_after(context, state.after(first), server_side=server_side)
        known = self._made.get(server_side)
        if known is None or known.state != state:
            known = self._made[server_side] = _made(context, state, self, server_side=server_side)
        return known

    def _made_after(self, context: Any, state: State, *, server_side: bool) -> Made:
        key = server_side, state
        known = self._switched.get(key)
        if known is None:
            if len(self._switched) >= _MOST_SWITCHED:
                self._switched.clear()
            known = self._switched[key] = _made(context, state, self, server_side=server_side)
        return known


def group_of(name: str) -> str | None:
    """Return the group that OpenSSL calls so; None for one that is not available here."""
    return _OPENSSL_GROUPS.get(name)


def group_names() -> tuple[str, ...]:
    """Return the groups that are available here, each under one name that OpenSSL takes."""
    return tuple({group: name for name, group in reversed(_OPENSSL_GROUPS.items())}.values())[::-1]


def check_flags(flags: int) -> None:
    """Refuse verify flags that cannot be honoured. Raises `ValueError`, or `TypeError`."""
    if unknown := index(flags) & ~int(KNOWN_FLAGS):
        raise ValueError(f"verify_flags: {ssl.VerifyFlags(unknown)!r} cannot be honoured.")


level_of: Callable[[Any], int] = Native.security_level.__get__
"""Return the security level of OpenSSL that a context has."""


def check_level(context: Any) -> None:
    """Refuse a security level that asks for more than is checked here.

    Raises:
        ConfigurationError: it is above 2, which is 112 bits: RSA keys of 2048 bits.
    """
    if (level := level_of(context)) > _HIGHEST_LEVEL:
        raise ConfigurationError(
            f"The security level {level} (@SECLEVEL of set_ciphers, or of openssl.cnf) cannot be "
            f"honoured: handclasp checks keys and signatures as at level {_HIGHEST_LEVEL}."
        )


_read_options = Native.options.__get__
_read_mode = Native.verify_mode.__get__
_read_flags = Native.verify_flags.__get__
_read_check_hostname = Native.check_hostname.__get__
_read_minimum = Native.minimum_version.__get__
_read_maximum = Native.maximum_version.__get__
_read_protocol = Native.protocol.__get__
_read_keylog = Native.keylog_filename.__get__
_read_tickets = Native.num_tickets.__get__
_read_post_handshake_auth = Native.post_handshake_auth.__get__


def _state_of(context: Any, settings: Settings) -> State:
    return State(
        _read_options(context),
        _read_mode(context),
        _read_flags(context),
        _read_check_hostname(context),
        _read_minimum(context),
        _read_maximum(context),
        _read_protocol(context),
        _read_keylog(context),
        _read_tickets(context),
        _read_post_handshake_auth(context),
        settings.changes,
        settings.groups,
        settings.offer,
        settings.finder,
        settings.max_early_data,
    )


def _made(context: Any, state: State, settings: Settings, *, server_side: bool) -> Made:
    if not server_side:
        return Made(state, _client_config(context, state, settings))
    config, config12 = _server_config(context, state, settings), None
    if not state.tickets and not state.options & ssl.OP_NO_TICKET and len(config.versions) > 1:
        # `num_tickets` is about TLS 1.3: a client of TLS 1.2 gets its ticket whatever it is.
        config12 = _server_config(context, state._replace(tickets=1, max_early_data=0), settings)
    return Made(state, config, config12)


def _client_config(context: Any, state: State, settings: Settings) -> ClientConfig:
    values = _shared(context, state, settings)
    check_offer(state.offer, state.verify_mode, values["versions"])
    if state.verify_mode == ssl.CERT_NONE:
        values["verify_peer"] = False
    else:
        values["verify"] = _verifier(state, settings)
    values["post_handshake_auth"] = _asks_later(state, values)
    resumes = settings.resume if settings.resume is not None else SessionStore()
    return ClientConfig(**values, sessions=resumes)


def _server_config(context: Any, state: State, settings: Settings) -> ServerConfig:
    values = _shared(context, state, settings)
    has_tls13 = "TLSv1.3" in values["versions"]
    # Pre-shared keys are of TLS 1.3. Where it is left out, they do nothing, as with `ssl`.
    finder = state.finder if has_tls13 else None
    has_psks_only = finder is not None and not settings.credentials
    if finder is not None:
        values["find_psk"] = finder
    elif not settings.credentials:
        values["choose_credentials"] = _refuse_all if state.finder is None else _refuse_all12
    asks_later = _asks_later(state, values)
    # A client with such a key is asked for no certificate in the handshake, as with `ssl`.
    if state.verify_mode != ssl.CERT_NONE and (asks_later or not has_psks_only):
        is_required = state.verify_mode == ssl.CERT_REQUIRED
        values["client_auth"] = ClientAuth.REQUIRED if is_required else ClientAuth.OPTIONAL
        values["verify"] = _verifier(state, settings)
        values["post_handshake_auth"] = asks_later
    tickets = state.tickets if has_tls13 else 1
    if state.options & ssl.OP_NO_TICKET or has_psks_only:
        tickets = 0  # A server with pre-shared keys alone issues none.
    if tickets:
        values["ticket_keys"] = settings.ticket_keys
    return ServerConfig(
        **values,
        choose_config=_of_link,
        tickets=tickets,
        # Early data come with tickets of TLS 1.3.
        max_early_data=state.max_early_data if tickets and has_tls13 else 0,
        prefer_client_order=not state.options & ssl.OP_CIPHER_SERVER_PREFERENCE,
        allow_alpn_mismatch=bool(settings.alpn),
    )


def check_offer(offer: Offer | None, verify_mode: int, versions: Sequence[str]) -> None:
    """Refuse a client that would accept anybody, as its pre-shared key could never be used.

    A client that verifies certificates does without the key in TLS 1.2, as with `ssl`.

    Raises:
        ConfigurationError: TLS 1.3 is left out, and nothing but the key would be a proof.
    """
    if offer is not None and verify_mode == ssl.CERT_NONE and "TLSv1.3" not in versions:
        raise ConfigurationError(
            "The key of set_psk_client_callback needs TLS 1.3, which this context leaves out, and "
            "with CERT_NONE it is all that tells one server from another. Allow TLS 1.3, or "
            "verify certificates (context.verify_mode = ssl.CERT_REQUIRED)."
        )


def check_offer_of(context: Any, settings: Settings) -> None:
    """Do what `check_offer` does, with the settings that a context has now."""
    if settings.offer is not None:
        state = _state_of(context, settings)
        check_offer(state.offer, state.verify_mode, _versions_of(state))


def _asks_later(state: State, values: dict[str, Any]) -> bool:
    """Return whether certificates are asked for after the handshake, which TLS 1.2 never does."""
    return state.post_handshake_auth and "TLSv1.3" in values["versions"]


def _shared(context: Any, state: State, settings: Settings) -> dict[str, Any]:
    check_level(context)
    suites = suites_of(Native.get_ciphers(context))
    versions = tuple([each for each in _versions_of(state) if of_version(suites, each)])
    versions = tuple([each for each in versions if each in state.allowed])
    if not versions:
        raise plain(
            ssl.SSLError, ssl.SSL_ERROR_SSL, "no protocols available", "NO_PROTOCOLS_AVAILABLE"
        )
    usable = [name for each in versions for name in of_version(suites, each)]
    values: dict[str, Any] = {
        "versions": versions,
        "cipher_suites": tuple(sorted(usable, key=suites.index)),
        "credentials": tuple(
            [
                complete_chain(each, settings.loaded.certificates)
                for each in settings.credentials.values()
            ]
        ),
        "alpn": settings.alpn,
        "keylog": state.keylog,
        "handshake_timeout": None,
    }
    if state.groups is not None:
        values["groups"] = state.groups
    return values


def _versions_of(state: State) -> Sequence[str]:
    """Return the versions that the context allows. A minimum below TLS 1.2 means TLS 1.2."""
    if state.protocol == ssl.PROTOCOL_TLSv1_2:
        return ("TLSv1.2",)
    least, most = state.minimum, state.maximum
    found: list[str] = []
    for name, version in _VERSIONS.items():
        too_old = least == ssl.TLSVersion.MAXIMUM_SUPPORTED and name != "TLSv1.3"
        too_old = too_old or (least >= 0 and version < least)
        too_new = most == ssl.TLSVersion.MINIMUM_SUPPORTED or (most >= 0 and version > most)
        if not (too_old or too_new or state.options & _OFF[name]):
            found.append(name)
    return found


def _verifier(state: State, settings: Settings) -> Verifier:
    check_flags(state.verify_flags)
    return Verifier(settings.loaded, state.verify_flags, check_hostname=state.check_hostname)


def _of_link(_: ChooseConfig) -> object:
    """Leave the choice of the context to the link, which has the socket for `sni_callback`."""
    return DEFER


def _refuse_all(_: ChooseCredentials) -> Credentials | None:
    """Refuse the client of a server without a certificate, as OpenSSL does."""
    raise _no_certificate(f"Load the certificate of this server ({CREDENTIALS}).")


def _refuse_all12(_: ChooseCredentials) -> Credentials | None:
    """Refuse the client of a server whose pre-shared keys cannot be used."""
    raise _no_certificate(
        f"Allow TLS 1.3, which pre-shared keys need, or load a certificate ({CREDENTIALS})."
    )


def _no_certificate(fix: str) -> ProtocolError:
    return ProtocolError(
        Fault.NO_SHARED_CIPHER_SUITE,
        sentence="This server has no certificate: none was loaded into its context.",
        fix=advice("", fix),
        verdict=Verdict(Blame.LOCAL),
    )
