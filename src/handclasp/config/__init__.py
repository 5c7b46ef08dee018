"""Every setting, as frozen values that are checked when they are built.

A setting that cannot be honoured raises `ConfigurationError`; none is silently ignored. A config is
built once and shared by any number of connections, threads and event loops.

The checks are in `checks`; state that handshakes derive from a config is in `derived`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, Literal

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.trust import TrustStore
from handclasp.config.certificates import warn_of_own_certificates
from handclasp.config.checks import check_client, check_server, check_shared
from handclasp.config.types import (
    DEFAULT_VERSIONS,
    MAX_RECORD_SIZE_LIMIT,
    ChooseConfigCallback,
    ChooseCredentialsCallback,
    ClientAuth,
    ConfirmPeerCallback,
    Credential,
    FindPskCallback,
    KeyLog,
    PaddingPolicy,
    VerifyPeerCallback,
    utc_now,
)
from handclasp.config.versions import short_repr
from handclasp.crypto.groups import DEFAULT_GROUPS
from handclasp.crypto.signatures import DEFAULT_SIGNATURE_SCHEMES
from handclasp.crypto.suites import DEFAULT_CIPHER_SUITES
from handclasp.derived import Derived, WithDerived
from handclasp.ech import EchConfigList, EchKey, EchKeySource, ReloadingEchKeys
from handclasp.limits import Limits
from handclasp.sessions.psk import PreSharedKey
from handclasp.sessions.replay import ReplayGuard
from handclasp.sessions.session_cache12 import DEFAULT_BYTES
from handclasp.sessions.store import SessionCache
from handclasp.sessions.ticket_keys import DEFAULT_ROTATION, TicketKeySource
from handclasp.values import dataclass, field, fields

__all__ = [
    "DEFAULT_VERSIONS",
    "MAX_RECORD_SIZE_LIMIT",
    "ClientAuth",
    "ClientConfig",
    "Credential",
    "KeyLog",
    "PaddingPolicy",
    "ServerConfig",
    "SharedConfig",
]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SharedConfig(WithDerived):
    """The fields that clients and servers have in common; see `ClientConfig`."""

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
    post_handshake_auth: bool = False
    handshake_timeout: float | None = 30.0
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], datetime] = utc_now
    entropy: Callable[[int], bytes] = field(default=os.urandom, repr=False)

    def __repr__(self) -> str:
        return short_repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy is built, and checked, as any other config: derived state belongs to one alone.
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return partial(type(self), **values), ()

    @property
    def credential_list(self) -> tuple[Credentials, ...]:
        """The current credentials, best first."""
        credentials: Any = self.credentials  # A tuple, since the config was built.
        return tuple(map(_current, credentials))

    @property
    def accepts_certificates(self) -> bool:
        """Whether the peer may send an X.509 certificate, and not only a raw public key."""
        return "X509" in self.peer_certificate_types

    @property
    def peer_certificate_types(self) -> tuple[str, ...]:
        """The certificate types that this side accepts from the peer, best first (RFC 7250)."""
        return self.derived.once("peer_certificate_types", _peer_types, self)

    @property
    def own_certificate_types(self) -> tuple[str, ...]:
        """The certificate types that this side may send, best first (RFC 7250)."""
        return self.derived.once("own_certificate_types", _own_types, self)

    def __post_init__(self) -> None:
        object.__setattr__(self, "derived", Derived())
        check_shared(self)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClientConfig(SharedConfig):
    """The settings of a client. Every field has a safe default.

    >>> trust = TrustStore.from_pem("ca.pem")
    >>> config = ClientConfig(trust=trust, alpn=["h2", "http/1.1"], handshake_timeout=10)
    >>> with handclasp.connect("example.com", 443, config) as tls:
    ...     tls.info.alpn
    'http/1.1'

    Attributes:
        trust: the trusted authorities; None trusts those of the system.
        policy: further requirements for the server's certificate; see `CertificatePolicy`.
        raw_public_keys: SubjectPublicKeyInfo (DER or PEM) of servers that authenticate with a raw
            public key (RFC 7250). If any are given, certificates are accepted only if `trust` is
            set or server_certificate_types names "X509".
        server_certificate_types: the certificate types to accept from the server, best first:
            "X509", "RawPublicKey" (RFC 7250). None derives them from raw_public_keys and trust. If
            "RawPublicKey" is named here, a `verify` callback is also asked about raw keys.
        client_certificate_types: the certificate types that this side may send if the server
            requests one, best first. None derives them from `credentials`, and means "X509" with
            `choose_credentials`. A type without credentials may be named: if the server chooses
            it, this side sends an empty certificate.
        alpn: application protocols to offer, best first (RFC 7301). Protocols and `psks` together
            take 39,000 bytes of the hello at most, the latter twice as many with `ech` or
            `grease_ech`; `send_authorities` leaves 20,276 of them.
        versions: protocol versions to offer, of "TLSv1.2" and "TLSv1.3". By default, the versions
            in which all other settings can be honoured: record_padding, and lists that hold
            nothing for TLS 1.2, leave only TLS 1.3.
        cipher_suites: cipher suites to offer, best first, of both versions in one list.
        groups: groups to offer, best first.
        key_shares: the groups to send a key share for in the first ClientHello; None selects
            X25519MLKEM768 and X25519 as far as they are in `groups`, or else the first group.
        signature_schemes: signature schemes to accept from the server, best first.
        credentials: the credentials to use if the server requests a certificate, best first.
        verify_peer: False accepts any certificate: the connection is then encrypted, but the
            server is not authenticated.
        verify: a callback that replaces the verification of the server's chain. It gets a
            `VerifyPeer` question and returns a `VerifiedPeer`, an awaitable of one, or DEFER; an
            exception refuses the server. It is asked before the server has proved that it holds
            the private key, and anybody can send anybody's certificates, so actions that depend on
            the server's identity belong in `confirm_peer`.
        confirm_peer: a callback with the last word on a server that was verified. It gets a
            `ConfirmPeer` question and returns True, an awaitable of True, or DEFER; False or an
            exception refuses the server. It is asked after the server has proved its identity, and
            not if the server uses an external pre-shared key and sends no certificate.
        choose_credentials: a callback that answers a `ChooseCredentials` question, directly or by
            an awaitable; `credentials` must then be left out. With `sessions`, the client also
            asks it before it offers a session in which the server had requested a certificate, and
            offers the session only if the answer is still the same certificate. That answer must
            be given directly: if it came by an awaitable or DEFER, no session is stored.
        certificate_compression: the algorithms for compressed certificates in both directions
            (RFC 8879), best first: "brotli", "zstd", "zlib". None enables all that are installed
            (zlib always is), and () none.
        sessions: the store of sessions, which make the next connection to the same server shorter:
            a `SessionStore`, or an object with its methods, which must answer at once and cannot
            be async. None disables resumption.
        allow_early_data: allow data to be sent before the handshake is complete if a session
            permits it (0-RTT, RFC 9846 section 2.3): see `ClientConnection.send_early_data`. An
            attacker who records the data can send them again, and they are not forward secret. They
            leave before `verify` and `confirm_peer` are asked, so either of these also requires
            `early_data_before_callbacks`.
        early_data_before_callbacks: send early data although `verify` and `confirm_peer` are asked
            about the server only afterwards: the data go to the server that these callbacks
            accepted when the session was established.
        psks: external pre-shared keys to offer, best first (TLS 1.3). A server that accepts none
            must authenticate with a certificate; if the client has no server name to compare, it
            refuses that.
        allow_psk_ke: also offer pre-shared keys without a key exchange. UNSAFE: anybody who
            obtains the key, or the server's ticket keys, can decrypt all recorded connections.
        send_authorities: name the trusted authorities in the ClientHello, so that the server can
            choose a certificate (RFC 8446 section 4.2.4). Only useful for a few authorities.
        keylog: a file to which the connection's secrets are appended, or a callable that takes
            each line. Anybody with the file can decrypt the connections: for debugging only. It is
            never read from the environment. If a line cannot be written, for example because the
            disk is full, the handshake fails with `Fault.KEY_LOG_FAILED`, as it does with `ssl`.
        record_padding: pad each record to a multiple of this number of bytes, or by a policy; 0
            disables padding. TLS 1.3 only.
        record_size_limit: the largest record content, in bytes including its type byte, that the
            server may send (RFC 8449), from 64 to 16385; None sets no limit.
        require_extended_master_secret: refuse TLS 1.2 servers without it (RFC 7627). Without it, an
            attacker with one connection to each side can make the secrets of both equal; such a
            connection therefore exports no keys and is never resumed.
        allow_rsa_key_transport: allow TLS 1.2 suites in which the client chooses the secret and
            encrypts it to the key in the certificate. UNSAFE: there is no forward secrecy, so
            anybody who ever obtains the server's key can decrypt all recorded connections; and a
            server that allows it is exposed to guessing attacks (docs/decisions/0014).
        fallback: signal that this is a second attempt with older versions only (RFC 7507), so that
            a server that supports a newer one refuses.
        middlebox_compatibility: resemble TLS 1.2 on the wire (RFC 8446 section D.4).
        grease: also offer reserved values, so that servers stay tolerant (RFC 8701).
        ech: the server's configurations for Encrypted Client Hello (RFC 9849), with the first
            usable of which the hello is encrypted: an `EchConfigList`. The handshake fails with
            `EchRejectedError` if the server does not accept it, and nothing is sent then; the
            library never connects in the clear instead. See docs/ech.md.
        grease_ech: without `ech`, add an encrypted_client_hello of random bytes (RFC 9849 section
            6.2), so that hellos which really are encrypted do not stand out. It takes some 270
            bytes of the hello. Part of `grease`, and of TLS 1.3: without these, there is none.
        allow_truncation: treat the end of the transport as close_notify. Unsafe unless the
            application protocol marks the end of its messages.
        post_handshake_auth: let the server request a certificate after the handshake as well (TLS
            1.3, RFC 8446 section 4.6.2). The request is answered from `credentials` or by
            `choose_credentials`, at any time while the connection lasts; a client without a
            certificate declines. Leave it off for HTTP/2, which forbids it (RFC 8740).
        handshake_timeout: seconds after which the adapters abort a handshake; None disables the
            timeout, and a silent peer then keeps its slot.
        limits: the bounds of the work, memory and messages that the peer may cause.
        clock, entropy: the sources of time and of random bytes; for tests and replays.
    """

    key_shares: Sequence[str] | None = None
    verify_peer: bool = True
    send_authorities: bool = False
    fallback: bool = False
    sessions: SessionCache | None = field(default=None, repr=False)
    allow_early_data: bool = False
    early_data_before_callbacks: bool = False
    ech: EchConfigList | None = None
    grease_ech: bool = True

    def __post_init__(self) -> None:
        SharedConfig.__post_init__(self)
        check_client(self)
        warn_of_own_certificates(self, "client")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ServerConfig(SharedConfig):
    """The settings of a server. It needs credentials; the other fields have safe defaults.

    >>> config = ServerConfig(
    ...     credentials=Credentials.load("chain.pem", "key.pem"),
    ...     client_auth="required",
    ...     trust=TrustStore.from_pem("ca.pem"),
    ... )
    >>> config.client_auth
    <ClientAuth.REQUIRED: 'required'>

    Attributes:
        credentials: the certificates to choose from. The first one that matches the requested name
            and can sign with a scheme of the client is used; if none matches the name, the first
            one that can sign.
        server_certificate_types: the certificate types that this side may send, best first. This
            order takes precedence over that of the credentials, and with prefer_client_order that
            of the client over both. None leaves the choice to the order of the credentials.
        client_certificate_types: the certificate types to accept from clients, best first; the
            first one that the client offers is used. None derives them from raw_public_keys and
            trust, and uses the first one of the client.
        client_auth: whether to request a certificate from clients: a `ClientAuth` or its value.
        post_handshake_auth: request no certificate in a TLS 1.3 handshake, but when
            `ServerConnection.request_client_certificate` is called. Until then every client is let
            in, whatever the value of client_auth. Without this setting, that call asks once more.
        trust: the authorities for client certificates; required if client_auth is not NONE, unless
            `verify` or `raw_public_keys` is given.
        send_authorities: name the trusted authorities in the request for a certificate, so that the
            client can choose one (RFC 8446 section 4.2.4).
        strict_server_name: refuse names that no credential covers with unrecognized_name, even if
            the client has a session or a pre-shared key. It needs credentials.
        allow_alpn_mismatch: go on without an application protocol if the client offers protocols
            and none of them is in `alpn`. By default such a client is refused with
            no_application_protocol (RFC 7301 section 3.2), which also stops an attacker who
            redirects the connection of another protocol to this server.
        choose_config: a callback that chooses another config for this client, by its ClientHello.
            It gets a `ChooseConfig` question and returns a `ServerConfig`, None to keep this one,
            an awaitable of either, or DEFER. One whose replay guard waits otherwise than this
            server (an async one on threads, for example) fails the handshake.
        choose_credentials: a callback that answers a `ChooseCredentials` question, directly, by an
            awaitable, or later (DEFER). None refuses the client with unrecognized_name. It is also
            asked about clients that resume a session or use a pre-shared key and get no
            certificate; for these, the only thing that counts is whether the answer is None.
        prefer_client_order: choose the client's first suite, group and certificate types that this
            side allows, instead of this side's first.
        hello_retry_cookie: put a cookie into every HelloRetryRequest (RFC 8446 section 4.2.2),
            except for clients that send encrypted_client_hello: several fail to return it.
        tickets: the number of tickets that a client gets after a full TLS 1.3 handshake, to resume
            the session (RFC 8446 section 4.6.1); after a resumed one it gets one. 0 disables
            resumption, in TLS 1.2 as well.
        ticket_lifetime: seconds for which a session can be resumed, at most seven days. New tickets
            renew it, but not beyond seven days after the last full handshake. If the key of a
            ticket opens for a shorter time (`TicketKeys(lifetime=...)`), the ticket says that one.
        ticket_keys: the keys that protect tickets; `handclasp.redis` has keys for a fleet of
            servers. The `keys` method of another source must answer at once and cannot be async.
            None generates random keys for this config, which rotate automatically; processes that
            are forked after the config was built share the same keys for ever.
        session_context: bytes that distinguish servers that share ticket keys, but must not resume
            each other's sessions.
        session_memory: the number of TLS 1.2 sessions to remember for clients without ticket
            support; 0 for none. Forked processes start with none.
        session_memory_bytes: bytes that these sessions may take, from 262144 on. A session that
            takes more than a sixteenth of it, including the client's certificates, is not
            remembered.
        find_psk: a callback that finds the external pre-shared key of an identity. It gets a
            `FindPsk` question and returns the `PreSharedKey` of this identity, None, an awaitable
            of either, or DEFER. The key of another identity fails the handshake.
        psks: external pre-shared keys that clients may use. With any, `credentials` may be left
            out; the server then accepts nobody without one, and the settings of tickets and
            early data are refused. A client that uses one is not asked for a certificate, whatever
            the value of client_auth, and gets no ticket.
        max_early_data: bytes of 0-RTT data to accept, 0 for none. The application gets them marked
            as early data, and may act upon them only if a repetition does no harm.
        confirm_early_data: ask `confirm_peer` about a client with 0-RTT data before these are
            accepted, at a time when they may still be a replay (`ConfirmPeer.replayable`), and
            again after the client's Finished. If the first answer is False, only the early data are
            refused. Without this setting, 0-RTT data are refused if `confirm_peer` has to confirm
            the client's certificate.
        half_rtt_data: allow `ServerConnection.send_half_rtt_data`: data that leave with the first
            flight, before the client's Finished (TLS 1.3 only, and not if clients are asked for a
            certificate). An attacker who recorded a ClientHello can make the server send such data
            again, so sending them must do no harm (docs/decisions/0026).
        ech: the keys for Encrypted Client Hello (RFC 9849), of which a hello may be encrypted to
            any: `EchKey` in a list, `EchKey.auto_reload` of their files, or an `EchKeySource`,
            which answers a `FindEchKeys` question directly, by an awaitable, or later (DEFER).
            Clients with another configuration get those of the keys with `send_as_retry`, so the
            certificates should cover their public names. Connections that `choose_config` gives
            another config use the keys of this one.
        ech_trial_decryption: try every key, whatever config_id the client names (RFC 9849 section
            10.4). Each one costs a key agreement, for everybody's hello.
        replay_guard: prevents 0-RTT data from being accepted twice. None uses the filter that
            belongs to the ticket keys (`TicketKeys.replay_filter`), which suffices for one process
            with its own keys, however many configs share them; it is asked besides any other guard.
            If the keys come from elsewhere, a guard that is shared by all servers with these keys
            is required: `handclasp.redis` has one for a fleet. Forked processes also require one,
            the same for all configs that share the keys; otherwise they accept no 0-RTT data.

    The other fields are those of `ClientConfig`.
    """

    client_auth: ClientAuth | Literal["none", "optional", "required"] = ClientAuth.NONE
    send_authorities: bool = True
    strict_server_name: bool = False
    allow_alpn_mismatch: bool = False
    prefer_client_order: bool = False
    hello_retry_cookie: bool = True
    tickets: int = 2
    ticket_lifetime: int = DEFAULT_ROTATION
    ticket_keys: TicketKeySource | None = field(default=None, repr=False, compare=False)
    session_context: bytes = b""
    session_memory: int = 1024
    session_memory_bytes: int = DEFAULT_BYTES
    choose_config: ChooseConfigCallback | None = None
    find_psk: FindPskCallback | None = None
    max_early_data: int = 0
    confirm_early_data: bool = False
    half_rtt_data: bool = False
    ech: Sequence[EchKey] | ReloadingEchKeys | EchKeySource = ()
    ech_trial_decryption: bool = False
    replay_guard: ReplayGuard | None = field(default=None, repr=False, compare=False)

    @property
    def orders_certificate_types(self) -> bool:
        """Whether the order of certificate types takes precedence over that of the credentials."""
        return self.prefer_client_order or self.server_certificate_types is not None

    @property
    def ech_keys(self) -> tuple[EchKey, ...]:
        """The current keys for Encrypted Client Hello, best first; () if a source finds them."""
        ech = self.ech
        if isinstance(ech, ReloadingEchKeys):
            return ech.current
        return ech if isinstance(ech, tuple) else ()

    @property
    def refuses_names(self) -> bool:
        """Whether this server may refuse a requested name."""
        return self.strict_server_name or self.choose_credentials is not None

    def __post_init__(self) -> None:
        SharedConfig.__post_init__(self)
        check_server(self)
        warn_of_own_certificates(self, "server")


_current: Callable[[Credential], Credentials] = attrgetter("current")


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
