"""Everything that can be set, as frozen values that are checked when they are built.

A setting that cannot be honoured raises `ConfigurationError`; none is ever ignored. A config is
built once and shared by any number of connections, threads and event loops.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal, TypeVar, cast
from weakref import WeakSet

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.raw_keys import public_key_info
from handclasp.certificates.reloading import ReloadingCredentials
from handclasp.certificates.staple import OcspStaple
from handclasp.certificates.trust import TrustStore
from handclasp.crypto.groups import DEFAULT_GROUPS, DEFAULT_KEY_SHARES, GROUPS
from handclasp.crypto.signatures import DEFAULT_SIGNATURE_SCHEMES, SIGNATURE_SCHEMES
from handclasp.crypto.suites import (
    CIPHER_SUITES,
    CIPHER_SUITES12,
    DEFAULT_CIPHER_SUITES,
    RSA_KEY_TRANSPORT_SUITES,
    SUITES_OF_VERSION,
)
from handclasp.errors import ConfigurationError, check_switch
from handclasp.handshake.questions import ChooseCredentials, ConfirmPeer, FindPsk, VerifyPeer
from handclasp.limits import Limits
from handclasp.sessions.bounded import LEAST_BYTES
from handclasp.sessions.psk import PreSharedKey, check_keys
from handclasp.sessions.replay import ReplayFilter, ReplayGuard
from handclasp.sessions.session import MAX_LIFETIME
from handclasp.sessions.session_cache12 import DEFAULT_BYTES, SessionCache12
from handclasp.sessions.store import SessionCache
from handclasp.sessions.ticket_keys import DEFAULT_ROTATION, TicketKeys, TicketKeySource
from handclasp.trace.keylog import open_keylog
from handclasp.wire.compression import COMPRESSION_ALGORITHMS, available_algorithms

MAX_RECORD_SIZE_LIMIT = 2**14 + 1
"""The largest record_size_limit in TLS 1.3: content and its type byte (RFC 8449 section 4)."""

MIN_RECORD_SIZE_LIMIT = 64

DEFAULT_VERSIONS = tuple(SUITES_OF_VERSION)
"""All that are spoken here, oldest first."""


class ClientAuth(Enum):
    """Whether a server asks its clients for a certificate (RFC 8446 section 4.3.2)."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


Credential = Credentials | ReloadingCredentials
"""A certificate and its key, or the files of both, which are read again when they change."""

KeyLog = Callable[[str], None]
"""Takes one line in the format of SSLKEYLOGFILE (RFC 9850), without a line end."""

PaddingPolicy = Callable[[int], int]
"""Content length of a record in bytes -> how many zero bytes to add (RFC 8446 section 5.4)."""

Made = TypeVar("Made")

ChooseCredentialsCallback = Callable[[ChooseCredentials], Any]
VerifyPeerCallback = Callable[[VerifyPeer], Any]
ConfirmPeerCallback = Callable[[ConfirmPeer], Any]
FindPskCallback = Callable[[FindPsk], Any]


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SharedConfig:
    """What both roles have."""

    trust: TrustStore | None = None
    policy: CertificatePolicy = field(default_factory=CertificatePolicy)
    raw_public_keys: Sequence[bytes] = ()
    server_certificate_types: Sequence[str] | None = None
    client_certificate_types: Sequence[str] | None = None

    credentials: Credential | Sequence[Credential] | None = None
    alpn: Sequence[str] = ()
    versions: Sequence[str] = DEFAULT_VERSIONS
    cipher_suites: Sequence[str] = DEFAULT_CIPHER_SUITES
    groups: Sequence[str] = DEFAULT_GROUPS
    signature_schemes: Sequence[str] = DEFAULT_SIGNATURE_SCHEMES
    choose_credentials: ChooseCredentialsCallback | None = None
    verify: VerifyPeerCallback | None = None
    confirm_peer: ConfirmPeerCallback | None = None
    certificate_compression: Sequence[str] | None = None
    psks: Sequence[PreSharedKey] = field(default=(), repr=False)
    allow_psk_ke: bool = False
    keylog: str | os.PathLike[str] | KeyLog | None = None
    record_padding: int | PaddingPolicy = 0
    record_size_limit: int | None = None
    require_extended_master_secret: bool = True
    allow_rsa_key_transport: bool = False
    middlebox_compatibility: bool = True
    grease: bool = True
    allow_truncation: bool = False
    handshake_timeout: float | None = 30.0
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], datetime] = _utc_now
    entropy: Callable[[int], bytes] = field(default=os.urandom, repr=False)
    _made: dict[str, Any] = field(
        default_factory=dict[str, Any], init=False, repr=False, compare=False
    )

    def __repr__(self) -> str:
        return _short_repr(self)

    @property
    def credential_list(self) -> tuple[Credentials, ...]:
        """The credentials as they are now, best first, however they were given."""
        return tuple([each.current for each in cast(tuple[Credential, ...], self.credentials)])

    @property
    def accepts_certificates(self) -> bool:
        """Whether the peer may show an X.509 certificate, and not only a raw public key."""
        return "X509" in self.peer_certificate_types

    @property
    def peer_certificate_types(self) -> tuple[str, ...]:
        """The types of certificate that this side takes from the peer, best first (RFC 7250)."""
        return self.once("peer_certificate_types", _peer_types)

    @property
    def own_certificate_types(self) -> tuple[str, ...]:
        """The types of certificate that this side may show, best first (RFC 7250)."""
        return self.once("own_certificate_types", _own_types)

    def once(self, what: str, make: Callable[[Any], Made]) -> Made:
        """What `make` builds out of this config, built at the first call and the same ever after.

        For the parts of messages that are alike in all connections of a config. Nobody may change
        what comes out of here.
        """
        made: Made | None = self._made.get(what)
        if made is None:
            made = self._made[what] = make(self)
        return made

    def __post_init__(self) -> None:
        _check_kinds(self)
        object.__setattr__(self, "credentials", _credential_list(self.credentials))
        for name in ("alpn", "versions", "cipher_suites", "groups", "signature_schemes"):
            _freeze_names(self, name)
        _check_known("versions", self.versions, SUITES_OF_VERSION)
        _check_known("cipher_suites", self.cipher_suites, CIPHER_SUITES | CIPHER_SUITES12)
        _check_known("groups", self.groups, GROUPS)
        _check_known("signature_schemes", self.signature_schemes, SIGNATURE_SCHEMES)
        _fit_versions(self)
        _fit_key_transport(self)
        _check_alpn(self.alpn)
        object.__setattr__(self, "psks", check_keys(self.psks))
        if self.psks and "TLSv1.3" not in self.versions:
            raise ConfigurationError("psks are of TLS 1.3, which versions leaves out.")
        _freeze_raw_public_keys(self)
        _freeze_certificate_types(self)
        _freeze_compression(self)
        _check_record_size_limit(self.record_size_limit)
        _check_switches(self)
        if self.keylog is not None and not callable(self.keylog):
            # One open file for all connections of this config; a bad path shows here.
            object.__setattr__(self, "keylog", open_keylog(self.keylog))
        if not callable(self.record_padding) and not _is_whole(self.record_padding, 0, 2**14):
            raise ConfigurationError(
                "record_padding must be a whole number of bytes from 0 to 16384, or a policy."
            )
        timeout = self.handshake_timeout
        # Written so that NaN fails, too.
        if timeout is not None and not (_is_number(timeout) and timeout > 0):
            raise ConfigurationError(
                f"handshake_timeout must be a positive number of seconds or None, not {timeout!r}."
            )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClientConfig(SharedConfig):
    """How a client connects. Every field has a safe default.

    Attributes:
        trust: the authorities to trust; None means those of the system.
        policy: what the server's certificate must fulfil besides; see `CertificatePolicy`.
        raw_public_keys: SubjectPublicKeyInfo (DER or PEM) of servers that are known by their key
            alone (RFC 7250). If any are given, certificates are accepted only with `trust` set, or
            where server_certificate_types names "X509".
        server_certificate_types: what the server may show, best first: "X509", "RawPublicKey"
            (RFC 7250). None follows from raw_public_keys and trust. A `verify` callback is asked
            about raw keys, too, where "RawPublicKey" is named here.
        client_certificate_types: what this side may show if it is asked, best first. None follows
            from `credentials`, and with `choose_credentials` it means "X509". A type may be named
            that there are no credentials for: a server that chooses it is shown nothing.
        alpn: application protocols to offer, best first (RFC 7301).
        versions: protocol versions to offer, of "TLSv1.2" and "TLSv1.3". Unless they are named,
            those that everything else here can be honoured with: record_padding and lists without
            anything for TLS 1.2 leave TLS 1.3 alone.
        cipher_suites: suites to offer, best first; those of both versions in one list.
        groups: groups to offer, best first.
        key_shares: the groups to send a share for at once; None takes those of X25519MLKEM768
            and X25519 that are in `groups`, or else the first group.
        signature_schemes: schemes to accept from the server, best first.
        credentials: what to show if the server asks for a certificate, best first.
        verify_peer: False accepts any certificate: encryption without knowing with whom.
        verify: replaces the verification of the server's chain; gets a `VerifyPeer` question and
            returns a `VerifiedPeer`, an awaitable of one, or DEFER. An exception refuses. It is
            asked before the peer has proved that it holds the key, and anybody can send anybody's
            certificates: what is to be done about a peer belongs in `confirm_peer`.
        confirm_peer: has the last word on a server that was verified: gets a `ConfirmPeer`
            question and returns True, an awaitable of it, or DEFER. False or an exception refuses.
            It is asked once the peer has proved that it is there, and not about one that has an
            external pre-shared key and shows no certificate.
        choose_credentials: answers a `ChooseCredentials` question, or returns an awaitable. With
            `sessions`, it has a second use. Before the client offers a session in which the server
            had asked for a certificate, it asks this callback again, and offers the session only
            if the answer is still the same certificate. That answer must come at once: where it
            came by an awaitable or DEFER, no session is kept. `credentials` must then be left out.
        certificate_compression: in which algorithms certificates may come and go compressed
            (RFC 8879), best first: "brotli", "zstd", "zlib". None takes all that are installed
            (zlib always is), () none.
        sessions: where to keep sessions, and take them from, so that the next connection to the
            same server is shorter: a `SessionStore`, or an object of your own with its methods.
            None resumes nothing.
        allow_early_data: offer to send data before the handshake is complete where a session allows
            it (0-RTT, RFC 8446 section 2.3): see `ClientConnection.send_early_data`. Whoever
            records them can send them again, and they are not forward secret. `verify` and
            `confirm_peer` have no say before they leave, so with either it needs
            `early_data_before_callbacks`.
        early_data_before_callbacks: send early data although `verify` and `confirm_peer` are asked
            about the server only afterwards: the data go to the server that these callbacks
            accepted when the session was made.
        psks: external pre-shared keys to offer, best first (TLS 1.3). Where the server takes none,
            it must show a certificate; without a server name to expect, that is refused.
        allow_psk_ke: also offer to use a pre-shared key without a key exchange. UNSAFE: whoever
            gets the key, or the server's ticket keys, can read all that was recorded.
        send_authorities: tell the server which authorities this side trusts, so that it can
            choose a certificate (RFC 8446 section 4.2.4); of use with few of them only.
        keylog: a file to append secrets to, or a callable for each line. It gives everything
            away: for debugging only, and never taken from the environment by itself.
        record_padding: pad each record up to a multiple of this many bytes, or a policy; 0: none.
            Only TLS 1.3 can.
        record_size_limit: the largest record content, in bytes and with its type byte, that the
            server may send (RFC 8449), 64 to 16385; None does not limit.
        require_extended_master_secret: refuse TLS 1.2 peers without it (RFC 7627). Without it, an
            attacker who has one connection to each side can give both the same secret; so such a
            connection exports no keys, and is never resumed.
        allow_rsa_key_transport: allow TLS 1.2 suites in which the client makes the secret and
            encrypts it to the key in the certificate. UNSAFE: there is no forward secrecy, so
            whoever ever gets the server's key can read all that was recorded; and a server that
            allows it gives attackers something to guess at (docs/decisions/0014).
        fallback: say that this is a second try with older versions only (RFC 7507), so that a
            server that could do better refuses.
        middlebox_compatibility: look like TLS 1.2 on the wire (RFC 8446 section D.4).
        grease: offer reserved values too, so that servers stay tolerant (RFC 8701).
        allow_truncation: take the end of the transport for close_notify. Unsafe unless the
            application protocol knows where its messages end.
        handshake_timeout: seconds until the adapters give up a handshake; None disables the
            timeout, and a silent peer then keeps its place for good.
        limits: what the peer may cost.
        clock, entropy: where time and randomness come from; for tests and replays.
    """

    key_shares: Sequence[str] | None = None
    verify_peer: bool = True
    send_authorities: bool = False
    fallback: bool = False
    sessions: SessionCache | None = field(default=None, repr=False)
    allow_early_data: bool = False
    early_data_before_callbacks: bool = False

    def __post_init__(self) -> None:
        SharedConfig.__post_init__(self)
        if not self.verify_peer:
            _refuse_unused(self, "verify_peer=False verifies nothing", "verify", *_JUDGED_BY)
        _check_verification(self)
        if self.send_authorities and self.trust is None:
            raise ConfigurationError("send_authorities needs a trust store of your own: trust=.")
        if self.allow_early_data and self.sessions is None:
            raise ConfigurationError(
                "allow_early_data needs sessions to resume: sessions=SessionStore()."
            )
        if self.allow_early_data and "TLSv1.3" not in self.versions:
            raise ConfigurationError("allow_early_data is of TLS 1.3, which versions leaves out.")
        _check_early_data_callbacks(self)
        if self.credentials and self.choose_credentials is not None:
            raise ConfigurationError(
                "choose_credentials replaces the choice: it would not look at credentials. Leave "
                "one of them out."
            )
        _check_sessions(self.sessions)
        if self.fallback and "TLSv1.3" in self.versions:
            raise ConfigurationError(
                "fallback says that newer versions were left out: name the others in versions."
            )
        if isinstance(self.key_shares, _DefaultKeyShares):
            # A copy of another config, by `dataclasses.replace`: nobody chose them.
            object.__setattr__(self, "key_shares", None)
        if "TLSv1.3" not in self.versions:
            if self.key_shares is not None:
                raise ConfigurationError("key_shares are of TLS 1.3, which versions leaves out.")
            return
        if self.key_shares is None:
            object.__setattr__(self, "key_shares", _default_key_shares(self.groups))
            return
        _freeze_names(self, "key_shares")
        # RFC 8446 4.2.8: shares come in the order of supported_groups, or the server may refuse.
        _check_known("key_shares", self.key_shares, self.groups)
        if list(self.key_shares) != [group for group in self.groups if group in self.key_shares]:
            raise ConfigurationError("key_shares must keep the order of groups (RFC 8446 4.2.8).")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ServerConfig(SharedConfig):
    """How a server answers. It needs credentials; the rest has safe defaults.

    Attributes:
        credentials: the certificates to show. The first that matches the asked name and can sign
            with a scheme of the client is taken; without a match on the name, the first that can.
        server_certificate_types: what this side may show, best first: the order counts before
            that of the credentials, and with prefer_client_order that of the client before both.
            None leaves it to the order of the credentials.
        client_certificate_types: what clients may show, best first; the first that the client
            has is taken. None follows from raw_public_keys and trust, and takes the first of the
            client's.
        client_auth: whether to ask clients for a certificate: a `ClientAuth`, or its value, which
            becomes one.
        trust: the authorities for client certificates; needed if client_auth is not NONE, unless
            `verify` or `raw_public_keys` is given.
        send_authorities: name the trusted authorities when asking for a certificate, so that the
            client can choose one (RFC 8446 section 4.2.4).
        strict_server_name: refuse names that no credential covers with unrecognized_name, whatever
            session or pre-shared key the client has.
        choose_credentials: answers a `ChooseCredentials` question, or returns an awaitable, or
            DEFER. None refuses the client with unrecognized_name. It is asked as well about clients
            that resume a session or have a pre-shared key, and are shown no certificate: only
            whether the answer is None counts there.
        prefer_client_order: take the client's first suite, group and certificate types that this
            side allows, instead of this side's first.
        hello_retry_cookie: put a cookie into every HelloRetryRequest (RFC 8446 section 4.2.2).
        tickets: how many tickets to issue after a full handshake of TLS 1.3, for clients to come
            back with (RFC 8446 section 4.6.1); a resumed one gets one. 0 switches resumption off,
            in TLS 1.2 as well.
        ticket_lifetime: seconds for which a session can be resumed, at most seven days. New tickets
            renew it, but not beyond seven days after the last full handshake.
        ticket_keys: what tickets are sealed with; `handclasp.redis` has keys for a fleet of
            servers. None makes keys of its own, which are random and change by themselves;
            processes that are forked after the config was built have the same ones for ever.
        session_context: bytes that tell apart servers that share ticket keys, but whose clients
            must not come back to the wrong one.
        session_memory: TLS 1.2 sessions to remember for clients that know no tickets; 0 for none.
            Forked processes start with none.
        session_memory_bytes: bytes that these may take, from 262144 on. One that takes more than a
            sixteenth of it, the client's certificates included, is not remembered.
        find_psk: finds the external pre-shared key of an identity: gets a `FindPsk` question, and
            returns a `PreSharedKey`, None, an awaitable of either, or DEFER.
        psks: external pre-shared keys that clients may use; with any, `credentials` may be left
            out, and then there is no other way in. Whoever uses one is not asked for a
            certificate, whatever client_auth says.
        max_early_data: bytes of 0-RTT data to accept, 0 for none. The application is told which
            they are, and must only act upon them where a repetition does no harm.
        confirm_early_data: ask `confirm_peer` about a client with 0-RTT data before these are
            accepted, when nothing shows yet that it is there (`ConfirmPeer.replayable`), and again
            after its Finished. If the first answer is False, only the early data are refused.
            Without this setting, 0-RTT data of a client whose certificate `confirm_peer` has to
            confirm are refused.
        half_rtt_data: allow `ServerConnection.send_half_rtt_data`: data that leave with the first
            flight, before the client's Finished (TLS 1.3 only, and not where clients are asked for
            a certificate). Whoever recorded a client's hello can have the server send such data
            again, so sending must do no harm (docs/decisions/0026).
        replay_guard: what keeps 0-RTT data from being taken twice; None takes the memory that
            belongs to the ticket keys (`TicketKeys.replay_filter`), which is enough for one process
            with its own keys, however many configs share them; it is asked besides any other guard.
            Where keys come from elsewhere, a guard that all servers with these keys ask must be
            given: `handclasp.redis` has one for a fleet. So must forked processes be given
            one, the same for all configs that share the keys; otherwise they accept no 0-RTT data.

    The other fields are those of `ClientConfig`.
    """

    client_auth: ClientAuth | Literal["none", "optional", "required"] = ClientAuth.NONE
    send_authorities: bool = True
    strict_server_name: bool = False
    prefer_client_order: bool = False
    hello_retry_cookie: bool = True
    tickets: int = 2
    ticket_lifetime: int = DEFAULT_ROTATION
    ticket_keys: TicketKeySource | None = field(default=None, repr=False, compare=False)
    session_context: bytes = b""
    session_memory: int = 1024
    session_memory_bytes: int = DEFAULT_BYTES
    find_psk: FindPskCallback | None = None
    max_early_data: int = 0
    confirm_early_data: bool = False
    half_rtt_data: bool = False
    replay_guard: ReplayGuard | None = field(default=None, repr=False, compare=False)
    replay_memory: ReplayFilter | None = field(init=False, repr=False, compare=False, default=None)
    binding: bytes = field(init=False, repr=False, compare=False, default=b"")
    session_cache12: SessionCache12 | None = field(
        init=False, repr=False, compare=False, default=None
    )

    @property
    def orders_certificate_types(self) -> bool:
        """Whether the order of certificate types comes before that of the credentials."""
        return self.prefer_client_order or self.server_certificate_types is not None

    @property
    def refuses_names(self) -> bool:
        """Whether there may be names that this server refuses to be."""
        return self.strict_server_name or self.choose_credentials is not None

    def __post_init__(self) -> None:
        SharedConfig.__post_init__(self)
        if self.choose_credentials is not None and (self.credentials or self.strict_server_name):
            raise ConfigurationError(
                "choose_credentials replaces the choice: it would not look at credentials or "
                "strict_server_name. Leave them out."
            )
        has_psks = bool(self.psks) or self.find_psk is not None
        if not self.credentials and self.choose_credentials is None and not has_psks:
            raise ConfigurationError(
                "A server needs credentials: ServerConfig(credentials=[Credentials.load("
                '"chain.pem", "key.pem")]).'
            )
        _freeze_client_auth(self)
        if self.client_auth is ClientAuth.NONE:
            unused = ("verify", "client_certificate_types", *_JUDGED_BY)
            _refuse_unused(self, "client_auth is not set", *unused)
        elif self.trust is None and self.verify is None and self.accepts_certificates:
            raise ConfigurationError("Asking for client certificates needs a trust store: trust=.")
        _check_half_rtt(self)
        _check_policy_for_clients(self)
        _check_verification(self)
        _check_staples(self)
        _prepare_sessions(self)


_JUDGED_BY = ("trust", "policy", "raw_public_keys", "confirm_peer")
"""What the verification of the peer goes by, if there is one."""


_OF_CERTIFICATES = (
    "profile",
    "max_intermediates",
    "stapled_ocsp",
    "crls",
    "ct_logs",
    "required_timestamps",
)
"""What of a policy is about certificates; pins and TLSA records are about keys as well."""


def _check_half_rtt(config: ServerConfig) -> None:
    """Data before the client's Finished go to nobody in particular (RFC 8446 section 4.4.4)."""
    if not config.half_rtt_data:
        return
    if config.client_auth is not ClientAuth.NONE:
        raise ConfigurationError(
            "half_rtt_data would be sent before the client has shown who it is: leave it out, or "
            "client_auth."
        )
    if "TLSv1.3" not in config.versions:
        raise ConfigurationError("half_rtt_data is of TLS 1.3, which versions leaves out.")


def _check_policy_for_clients(config: ServerConfig) -> None:
    """What of a policy no client can fulfil."""
    policy = config.policy
    if policy.tlsa:
        raise ConfigurationError("policy: TLSA records are about servers, not clients.")
    if policy.ct_logs:
        raise ConfigurationError(
            "policy: transparency logs are about servers' certificates (RFC 6962 3), not clients'."
        )
    if policy.stapled_ocsp == "require" and "TLSv1.3" not in config.versions:
        raise ConfigurationError(
            'policy: stapled_ocsp="require" needs TLS 1.3, as clients of TLS 1.2 staple nothing '
            "(RFC 6066 8)."
        )


def _check_staples(config: ServerConfig) -> None:
    """An OCSP response that is outdated is not sent, which a log is told."""
    for credentials in config.credential_list:
        if isinstance(credentials.staple, OcspStaple):
            credentials.staple.check(config.clock())


def _prepare_sessions(config: ServerConfig) -> None:
    """What a server needs to give sessions away and to know them again."""
    if not _is_whole(config.tickets, 0, 16):
        raise ConfigurationError("tickets must be a whole number from 0 to 16.")
    if not _is_whole(config.ticket_lifetime, 1, MAX_LIFETIME):
        raise ConfigurationError("ticket_lifetime must be from 1 to 604800 seconds (seven days).")
    if not _is_whole(config.max_early_data, 0, 2**32 - 1):
        raise ConfigurationError("max_early_data must be a whole number of bytes, 0 for none.")
    if not _is_whole(config.session_memory, 0, 2**24):
        raise ConfigurationError("session_memory must be a whole number of sessions, 0 for none.")
    if not _is_whole(config.session_memory_bytes, LEAST_BYTES, 2**40):
        raise ConfigurationError(
            f"session_memory_bytes must be a whole number of bytes from {LEAST_BYTES} on."
        )
    if not isinstance(config.session_context, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("session_context must be bytes.")
    if config.max_early_data and "TLSv1.3" not in config.versions:
        raise ConfigurationError("max_early_data is of TLS 1.3, which versions leaves out.")
    if config.max_early_data and not config.tickets:
        raise ConfigurationError("max_early_data needs tickets: early data come with them.")
    if config.ticket_keys is not None and not config.tickets:
        if config.ticket_keys not in _MADE_HERE:
            raise ConfigurationError("ticket_keys needs tickets: with 0, nothing is sealed.")
        # A copy of another config, by `dataclasses.replace`: nobody chose them.
        object.__setattr__(config, "ticket_keys", None)
    if config.tickets and config.ticket_keys is None:
        keys = _new_ticket_keys(config.ticket_lifetime, config.clock)
        object.__setattr__(config, "ticket_keys", keys)
        _MADE_HERE.add(keys)
    _check_methods("ticket_keys", config.ticket_keys, ("keys",), "TicketKeys()")
    _check_guard(config)
    if config.confirm_early_data and not (config.max_early_data and config.confirm_peer):
        raise ConfigurationError("confirm_early_data needs max_early_data and confirm_peer.")
    if config.max_early_data:
        _choose_replay_guard(config)
    count, size = config.session_memory, config.session_memory_bytes
    memory = SessionCache12(count, size) if count and config.tickets else None
    object.__setattr__(config, "session_cache12", memory)
    object.__setattr__(config, "binding", _binding(config))


_MADE_HERE: WeakSet[Any] = WeakSet()
"""The ticket keys that configs made for themselves, as against those that somebody gave them."""


def _new_ticket_keys(lifetime: int, clock: Callable[[], datetime]) -> TicketKeys:
    """Keys of this config's own, which go by its clock."""
    if clock is _utc_now:
        return TicketKeys(lifetime=lifetime)

    def seconds() -> float:
        now: object = clock()
        if not isinstance(now, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"clock must give a datetime, not {_kind_of(now)}.")
        return now.timestamp()

    return TicketKeys(lifetime=lifetime, clock=seconds)


def _check_methods(name: str, value: object, methods: Sequence[str], example: str) -> None:
    """An object of the user's own needs these methods; a class in place of an object has them."""
    if value is None:
        return
    if isinstance(value, type):
        raise ConfigurationError(f"{name} must be an object, not a class: {name}={example}.")
    for method in methods:
        if not callable(getattr(value, method, None)):
            raise ConfigurationError(
                f"{name} must be an object such as {example}, not {_kind_of(value)}: it has no "
                f"{method}()."
            )


def _check_sessions(sessions: object) -> None:
    example = "SessionStore()"
    if _is_path(sessions):
        example = f"SessionStore.file({os.fspath(cast(str, sessions))!r})"
    _check_methods("sessions", sessions, ("put", "take", "discard"), example)


def _check_guard(config: ServerConfig) -> None:
    guard = config.replay_guard
    _check_methods("replay_guard", guard, ("is_first",), "handclasp.redis.RedisReplayFilter(url)")
    if guard is None or config.max_early_data:
        return
    if not (isinstance(guard, ReplayFilter) and guard.belongs_to_keys):
        raise ConfigurationError("replay_guard needs max_early_data: no early data are accepted.")
    # A copy of another config, by `dataclasses.replace`: nobody chose it.
    object.__setattr__(config, "replay_guard", None)


def _choose_replay_guard(config: ServerConfig) -> None:
    """The guard must be shared by all who share the keys: a ticket may have been used at any.

    Raises `ConfigurationError` where it is known not to be.
    """
    keys, guard = config.ticket_keys, config.replay_guard
    memory: ReplayFilter | None = None
    if isinstance(keys, TicketKeys):
        memory = getattr(keys, "replay_filter", None)  # A class of its own may not have made it.
    # A class of its own may have its keys from anywhere.
    is_enough = type(keys) is TicketKeys
    if not is_enough and (guard is None or isinstance(guard, ReplayFilter)):
        raise ConfigurationError(
            "These ticket_keys may be those of other servers as well, so 0-RTT data need a "
            "replay_guard that all of them ask, such as handclasp.redis.RedisReplayFilter; what "
            "one process remembers in a ReplayFilter is not enough."
        )
    if memory is not None:
        memory.add_guard(guard if guard is not None else memory)
    if guard is None:
        object.__setattr__(config, "replay_guard", memory)
    elif guard is not memory:
        # Other configs with these keys may have other guards; the keys' own knows of them all.
        object.__setattr__(config, "replay_memory", memory)


def _binding(config: ServerConfig) -> bytes:
    """Names what a session of this server is bound to: 32 bytes, the same all over a fleet."""
    parts = [
        config.session_context,
        ClientAuth(config.client_auth).value.encode("ascii"),
        config.trust.fingerprint if config.trust is not None else b"",
        b"callback" if config.verify is not None else b"",
        # Such a server lets nobody in without a pre-shared key, and so gives no tickets away: one
        # of another server, under the same ticket keys, must not be another way in.
        b"" if config.credentials or config.choose_credentials is not None else b"psks only",
        b"" if config.peer_certificate_types == ("X509",) else _names_of_types(config),
        # A client that resumes signs nothing, in whatever scheme it signed when it was asked.
        *sorted(
            name.encode("ascii")
            for name in config.signature_schemes
            if config.client_auth is not ClientAuth.NONE
        ),
        b"alpn",
        *[protocol.encode("ascii") for protocol in config.alpn],
    ]
    framed = b"".join([len(part).to_bytes(4, "big") + part for part in parts])
    return hashlib.sha256(framed).digest()


def _check_verification(config: SharedConfig) -> None:
    if config.verify is not None:
        _refuse_unused(config, "A verify callback replaces the verification", *_JUDGED_BY)
    if not config.accepts_certificates:
        # RFC 7250 3: a raw key has no issuer, no serial number, no dates and no extensions.
        default = CertificatePolicy()
        for name in _OF_CERTIFICATES:
            if getattr(config.policy, name) != getattr(default, name):
                raise ConfigurationError(
                    f"policy: {name} is about certificates, and with raw_public_keys alone there "
                    "are none: leave it out, or give trust as well."
                )


def _check_early_data_callbacks(config: ClientConfig) -> None:
    """Early data leave before a callback can refuse the server: only by a setting of that name."""
    asked = [name for name in ("verify", "confirm_peer") if getattr(config, name) is not None]
    if config.allow_early_data and asked and not config.early_data_before_callbacks:
        raise ConfigurationError(
            f"Early data would be sent before {asked[0]} is asked about the server: say "
            "early_data_before_callbacks=True if the server that it accepted when the session was "
            "made may get them, or leave one of them out."
        )
    if config.early_data_before_callbacks and not (config.allow_early_data and asked):
        raise ConfigurationError(
            "early_data_before_callbacks needs allow_early_data, and verify or confirm_peer."
        )


def _refuse_unused(config: SharedConfig, why: str, *names: str) -> None:
    """A setting that nothing would look at is a mistake."""
    for name in names:
        value = getattr(config, name)
        if value is not None and value != () and value != CertificatePolicy():
            raise ConfigurationError(f"{why}, so {name} would not be looked at: leave it out.")


def _check_kinds(config: SharedConfig) -> None:
    """What a type checker would have found, for those who use none."""
    trust = cast(object, config.trust)
    if trust is not None and not isinstance(trust, TrustStore):
        hint = f": TrustStore.from_pem({os.fspath(cast(str, trust))!r})" if _is_path(trust) else ""
        raise ConfigurationError(f"trust must be a TrustStore, not {_kind_of(trust)}{hint}.")
    if not isinstance(config.limits, Limits):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"limits must be Limits, not {_kind_of(config.limits)}.")
    if not isinstance(config.policy, CertificatePolicy):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"policy must be a CertificatePolicy, not {_kind_of(config.policy)}."
        )
    for name in ("verify", "confirm_peer", "choose_credentials", "find_psk"):
        callback = getattr(config, name, None)
        if not (callback is None or callable(callback)):
            hint = " To accept any certificate, say verify_peer=False." if name == "verify" else ""
            raise ConfigurationError(f"{name} must be a callable or None.{hint}")
    for name in ("clock", "entropy"):
        if not callable(getattr(config, name)):
            raise ConfigurationError(f"{name} must be a callable.")
    keylog = config.keylog
    if not (keylog is None or callable(keylog) or _is_path(keylog)):
        raise ConfigurationError("keylog must be a path, a callable or None.")


_NARROWED: dict[str, Sequence[str]] = {
    "cipher_suites": DEFAULT_CIPHER_SUITES,
    "groups": DEFAULT_GROUPS,
    "signature_schemes": DEFAULT_SIGNATURE_SCHEMES,
}
"""Lists of which each version can use a part, and their defaults."""


def _fit_versions(config: SharedConfig) -> None:
    """Make versions and what they need fit: defaults are narrowed, what was given raises."""
    for name, default in _NARROWED.items():
        given = getattr(config, name)
        if any(given == _narrowed(name, (version,)) for version in DEFAULT_VERSIONS):
            # It was narrowed before, in the config that this one is a copy of.
            object.__setattr__(config, name, default)
    named = config.versions != DEFAULT_VERSIONS
    versions: list[str] = []
    for version in DEFAULT_VERSIONS:
        if version not in config.versions:
            continue
        obstacle = _obstacle(config, version)
        if not obstacle:
            versions.append(version)
        elif named:
            raise ConfigurationError(f"versions names {version}, but {obstacle}.")
    if not versions:
        raise ConfigurationError(
            "No version of TLS can be had with these cipher_suites, groups and signature_schemes."
        )
    object.__setattr__(config, "versions", tuple(versions))
    for name, default in _NARROWED.items():
        value: Sequence[str] = getattr(config, name)
        if value == default:
            object.__setattr__(config, name, _narrowed(name, config.versions))
            continue
        for entry in value:
            if not any(_has(name, entry, version) for version in versions):
                raise ConfigurationError(
                    f"{name} names {entry}, which {' and '.join(versions)} cannot use."
                )


def _narrowed(name: str, versions: Sequence[str]) -> tuple[str, ...]:
    """The part of a default list that these versions can use."""
    return tuple(
        [each for each in _NARROWED[name] if any(_has(name, each, version) for version in versions)]
    )


def _obstacle(config: SharedConfig, version: str) -> str:
    """What keeps a version from being used with this config, or nothing."""
    for name in _NARROWED:
        if not any(_has(name, entry, version) for entry in getattr(config, name)):
            return f"{name} has nothing for it"
    if version == "TLSv1.2" and config.record_padding:
        return "record_padding needs TLS 1.3"
    return ""


def _has(name: str, entry: str, version: str) -> bool:
    """Whether an entry of this list is of use in this version."""
    if name == "cipher_suites":
        return entry in SUITES_OF_VERSION[version]
    if name == "groups":
        return version in GROUPS[entry].versions
    return version in SIGNATURE_SCHEMES[entry].versions


def _fit_key_transport(config: SharedConfig) -> None:
    """RSA key transport is on where it was asked for by its own name, and nowhere else."""
    named = [name for name in config.cipher_suites if name in RSA_KEY_TRANSPORT_SUITES]
    if not config.allow_rsa_key_transport:
        if named:
            raise ConfigurationError(
                f"{named[0]} has no forward secrecy. To use it all the same, say "
                "allow_rsa_key_transport=True as well."
            )
        return
    if "TLSv1.2" not in config.versions:
        raise ConfigurationError("allow_rsa_key_transport is about TLS 1.2: name it in versions.")
    if not named:
        # Last, so that it is taken only where there is nothing better.
        suites = (*config.cipher_suites, *RSA_KEY_TRANSPORT_SUITES)
        object.__setattr__(config, "cipher_suites", suites)


class _DefaultKeyShares(tuple[str, ...]):
    """Those that follow from the groups, as against those that somebody named."""

    __slots__ = ()


def _default_key_shares(groups: Sequence[str]) -> _DefaultKeyShares:
    """In the order of `groups`, as those that are given must be (RFC 8446 section 4.2.8)."""
    return _DefaultKeyShares([name for name in groups if name in DEFAULT_KEY_SHARES] or groups[:1])


def _short_repr(config: SharedConfig) -> str:
    """Only what differs from the defaults."""
    changed: list[str] = []
    for each in fields(config):
        value = getattr(config, each.name)
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        if each.name == "key_shares":
            default = _default_key_shares(config.groups) if "TLSv1.3" in config.versions else None
        elif each.name in _NARROWED:
            default = _narrowed(each.name, config.versions)
        elif each.name == "certificate_compression":
            default = available_algorithms()
        if each.repr and value != default and not (each.name == "credentials" and not value):
            changed.append(f"{each.name}={value!r}")
    return f"{type(config).__name__}({', '.join(changed)})"


def _freeze_names(config: SharedConfig, name: str) -> None:
    value = getattr(config, name)
    if isinstance(value, str):
        raise ConfigurationError(f"{name} must be a list of names, not one string.")
    frozen = _as_tuple(name, value, "names")
    for each in frozen:
        if not isinstance(each, str):
            raise ConfigurationError(
                f"{name} must be a list of names (str), and {each!r:.80} is {type(each).__name__}."
            )
    if len(set(frozen)) != len(frozen):
        raise ConfigurationError(f"{name} names something twice.")
    object.__setattr__(config, name, frozen)


def _as_tuple(name: str, value: Any, what: str) -> tuple[Any, ...]:
    """The entries of a list of the user's. Raises `ConfigurationError` where it is none."""
    given: object = value
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise ConfigurationError(f"{name} must be a list of {what}, not {type(value).__name__}.")
    return tuple(value)


def _credential_list(given: Credential | Sequence[Credential] | None) -> tuple[Credential, ...]:
    if given is None:
        return ()
    example = 'Credentials.load("chain.pem", "key.pem")'
    value = cast(object, given)
    if isinstance(value, str | bytes) or not isinstance(value, Credential | Iterable):
        raise ConfigurationError(
            f"credentials must be Credentials, not {_kind_of(given)}: {example}."
        )
    credentials = (given,) if isinstance(given, Credential) else tuple(given)
    for each in credentials:
        if not isinstance(each, Credential):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"credentials must be Credentials, not {_kind_of(each)}: {example}."
            )
    return credentials


def _freeze_raw_public_keys(config: SharedConfig) -> None:
    given: Sequence[bytes] | bytes | str = config.raw_public_keys
    if isinstance(given, bytes | str):
        raise ConfigurationError("raw_public_keys must be a list of keys, not one.")
    keys = tuple([public_key_info(key) for key in _as_tuple("raw_public_keys", given, "keys")])
    object.__setattr__(config, "raw_public_keys", keys)


def _peer_types(config: SharedConfig) -> tuple[str, ...]:
    is_client = isinstance(config, ClientConfig)
    named = config.server_certificate_types if is_client else config.client_certificate_types
    if named is not None:
        return tuple(named)
    if not config.raw_public_keys:
        return ("X509",)
    return ("RawPublicKey", "X509") if config.trust is not None else ("RawPublicKey",)


def _own_types(config: SharedConfig) -> tuple[str, ...]:
    is_client = isinstance(config, ClientConfig)
    named = config.client_certificate_types if is_client else config.server_certificate_types
    if named is not None:
        return tuple(named)
    return tuple(dict.fromkeys([each.certificate_type for each in config.credential_list])) or (
        "X509",
    )


def _names_of_types(config: ServerConfig) -> bytes:
    return " ".join(sorted(config.peer_certificate_types)).encode("ascii")


def _freeze_certificate_types(config: SharedConfig) -> None:
    """Check the types of certificate that are named, and that each can be honoured."""
    for name in ("server_certificate_types", "client_certificate_types"):
        if getattr(config, name) is not None:
            _freeze_names(config, name)
            _check_known(name, getattr(config, name), ("X509", "RawPublicKey"))
    of_peer, own = "client_certificate_types", "server_certificate_types"
    verifies = config.verify is None
    if isinstance(config, ClientConfig):
        of_peer, own = own, of_peer
        verifies = verifies and config.verify_peer
    _check_own_types(config, own)
    types = getattr(config, of_peer)
    if types is None:
        return
    if "RawPublicKey" in types and verifies and not config.raw_public_keys:
        raise ConfigurationError(
            f"{of_peer} names RawPublicKey, and nothing says which keys to accept: raw_public_keys="
            "[...], or a verify callback."
        )
    for setting, kind in (("raw_public_keys", "RawPublicKey"), ("trust", "X509")):
        if getattr(config, setting) and kind not in types:
            raise ConfigurationError(
                f"{of_peer} leaves out {kind}, so {setting} would not be looked at: leave it out."
            )


def _check_own_types(config: SharedConfig, name: str) -> None:
    types = getattr(config, name)
    if types is None:
        return
    held = {each.certificate_type for each in config.credential_list}
    for kind in held.difference(types):
        raise ConfigurationError(f"{name} leaves out {kind}, of which there are credentials.")
    # A client may say what it could show, and show nothing; a server must show what it takes.
    missing = [kind for kind in types if kind not in held]
    if held and missing and isinstance(config, ServerConfig):
        raise ConfigurationError(f"{name} names {missing[0]}, of which there are no credentials.")


def _freeze_compression(config: SharedConfig) -> None:
    if config.certificate_compression is None:
        object.__setattr__(config, "certificate_compression", available_algorithms())
        return
    _freeze_names(config, "certificate_compression")
    for name in config.certificate_compression:
        if name not in COMPRESSION_ALGORITHMS:
            choices = ", ".join(COMPRESSION_ALGORITHMS)
            raise ConfigurationError(f"certificate_compression: {name!r} is not one of {choices}.")
        if name not in available_algorithms():
            raise ConfigurationError(
                f"certificate_compression: {name!r} needs a package that is not installed here."
            )


def _freeze_client_auth(config: ServerConfig) -> None:
    try:
        value = ClientAuth(config.client_auth)
    except ValueError:
        choices = ", ".join(f'"{member.value}"' for member in ClientAuth)
        raise ConfigurationError(
            f"client_auth must be a ClientAuth or one of {choices}, not {config.client_auth!r}."
        ) from None
    object.__setattr__(config, "client_auth", value)


def _check_switches(config: SharedConfig) -> None:
    """A switch takes True or False and nothing else: None must not mean "do not verify"."""
    for each in fields(config):
        if each.type == "bool":
            check_switch(each.name, getattr(config, each.name))


def _kind_of(value: object) -> str:
    """What a value is, for people: its type, or which class it is itself."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return type(value).__name__


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike)


def _is_whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _check_known(what: str, names: Sequence[str], known: Any) -> None:
    if not names:
        raise ConfigurationError(f"{what} must not be empty.")
    for name in names:
        if name not in known:
            choices = ", ".join(known)
            raise ConfigurationError(f"{what}: {name!r} is not one of {choices}.")


def _check_alpn(protocols: Sequence[str]) -> None:
    for protocol in protocols:
        try:
            encoded = protocol.encode("ascii")
        except (AttributeError, UnicodeEncodeError):
            raise ConfigurationError(f"alpn: {protocol!r} is not ASCII text.") from None
        if not 0 < len(encoded) < 256:
            raise ConfigurationError("alpn: a protocol name has 1 to 255 bytes (RFC 7301 3.1).")


def _check_record_size_limit(limit: int | None) -> None:
    if limit is not None and not _is_whole(limit, MIN_RECORD_SIZE_LIMIT, MAX_RECORD_SIZE_LIMIT):
        raise ConfigurationError("record_size_limit must be from 64 to 16385 (RFC 8449 4).")
