"""`SSLContext`: an `ssl.SSLContext` whose connections are handclasp's.

It is a real `ssl.SSLContext`, so the C part of it checks and keeps all settings (`settings` reads
them), and what `ssl.py` implements on top of them holds. Overridden are the two methods that make
connections, those that load what this side must have itself, and the settings that cannot be
honoured, which raise.

Each override is a plain function that calls the C part by name, without `super()`: `activation`
gives the same functions to the real class. A context that was made before has no `Settings`, and
every function then does what `ssl` does.
"""

from __future__ import annotations

import os
import ssl
import threading
import warnings
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from operator import index
from typing import TYPE_CHECKING, Any

from handclasp.adapters.arguments import check_callback
from handclasp.certificates.own_certificate import Role, warn_of_own
from handclasp.compat.ciphers import of_version, suites_of, why_none
from handclasp.compat.credentials import Password, PasswordOnce, Path, load_credentials
from handclasp.compat.errors import configuration_failed, plain
from handclasp.compat.link import Link
from handclasp.compat.messages import MessageCallback
from handclasp.compat.more import SSLObject, SSLSocket
from handclasp.compat.native import Native
from handclasp.compat.psk import ClientCallback, Finder, Offer, ServerCallback
from handclasp.compat.settings import (
    DEFAULTS,
    MOST_TICKETS,
    Made,
    Settings,
    State,
    check_flags,
    check_level,
    check_offer_of,
    group_names,
    group_of,
    level_of,
)
from handclasp.compat.transport import BioTransport, SocketTransport
from handclasp.config.sessions import check_early_size, check_sessions
from handclasp.config.types import utc_now
from handclasp.errors import ConfigurationError
from handclasp.info import ConnectionInfo
from handclasp.private_files import append_private
from handclasp.sessions.store import SessionCache
from handclasp.trace.hooks import Trace

_KEY = "_handclasp_settings"

_TOO_OLD = {
    int(method)
    for name, method in ssl._SSLMethod.__members__.items()  # pyright: ignore[reportPrivateUsage]
    if name in ("PROTOCOL_SSLv2", "PROTOCOL_SSLv3", "PROTOCOL_TLSv1", "PROTOCOL_TLSv1_1")
}

_ROLES: dict[int, Role] = {
    ssl.PROTOCOL_TLS_SERVER: "server",
    ssl.PROTOCOL_TLS_CLIENT: "client",
}
"""The roles that are known before the first connection is made."""

_LONGEST_NAME = 255
"""Characters of a name that OpenSSL takes: no name is longer (RFC 1035 section 2.3.4)."""

_BELOW_TLS12 = (ssl.TLSVersion.SSLv3, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)

_read_message_callback: Any = Native._msg_callback.__get__
_original_maximum: Any = vars(ssl.SSLContext)["maximum_version"]
_original_flags: Any = vars(ssl.SSLContext)["verify_flags"]
_original_mode: Any = vars(ssl.SSLContext)["verify_mode"]
_original_options: Any = vars(ssl.SSLContext)["options"]


def settings_of(context: object) -> Settings | None:
    """Return what a context of handclasp has besides; None for one of OpenSSL."""
    return vars(context).get(_KEY)


class SSLContext(ssl.SSLContext):
    """The settings of connections, as `ssl.SSLContext`; the connections are handclasp's.

    >>> import ssl
    >>> from handclasp.compat import SSLContext
    >>> context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    >>> isinstance(context, ssl.SSLContext) and context.check_hostname
    True

    Attributes:
        resume: a `SessionStore`, with which client connections resume by themselves. None, as with
            `ssl`, resumes only what is given as `session=`. Not for a server's context.
        make_trace: a callable that makes a trace (such as `Recorder`) for each connection. With a
            `Recorder`, `SSLSocket.explain` tells how each handshake went.
        max_early_data: the bytes of 0-RTT data that a server accepts from each client, which
            `SSLSocket.early_data` returns; 0, the default, for none. It has no effect where TLS 1.3
            or tickets are turned off. Not for a client's context.

    A value of another kind, or for the other role, raises `ConfigurationError`, which is also an
    `ssl.SSLError`, when it is set.
    """

    sslsocket_class = SSLSocket
    sslobject_class = SSLObject

    if TYPE_CHECKING:  # They are the standard library's own.

        def wrap_socket(self, *args: Any, **kwargs: Any) -> SSLSocket: ...
        def wrap_bio(self, *args: Any, **kwargs: Any) -> SSLObject: ...

    def __new__(cls, protocol: int | None = None, *args: Any, **kwargs: Any) -> SSLContext:
        """Make a context.

        Raises:
            ConfigurationError, ssl.SSLError: the protocol is older than TLS 1.2. With `ssl`, it is
                the connection that fails, with an `ssl.SSLError`; so programs that try which
                versions there are see the same here.
        """
        if protocol is None:
            warnings.warn(
                "ssl.SSLContext() without protocol argument is deprecated.",
                category=DeprecationWarning,
                stacklevel=2,
            )
            protocol = ssl.PROTOCOL_TLS
        if protocol in _TOO_OLD:
            raise configuration_failed(
                ConfigurationError(
                    "invalid or unsupported protocol version: handclasp speaks TLS 1.2 and TLS "
                    "1.3; use PROTOCOL_TLS_CLIENT or PROTOCOL_TLS_SERVER."
                )
            )
        self: SSLContext = Native.__new__(cls, protocol)
        vars(self)[_KEY] = Settings()
        return self

    def _wrap_socket(
        self,
        sock: Any,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: object = None,
        session: object = None,
    ) -> Any:
        if settings_of(self) is None:
            return Native._wrap_socket(
                self, sock, server_side, server_hostname, owner=owner, session=session
            )
        _check_role(self, server_side=server_side)
        return Link(
            self,
            SocketTransport(sock),
            owner=owner,
            server_side=server_side,
            server_hostname=_checked_name(server_hostname),
            session=session,
        )

    def _wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: object = None,
        session: object = None,
    ) -> Any:
        if settings_of(self) is None:
            return Native._wrap_bio(
                self, incoming, outgoing, server_side, server_hostname, owner=owner, session=session
            )
        for bio in (incoming, outgoing):
            if not isinstance(bio, ssl.MemoryBIO):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"expected a MemoryBIO, not {type(bio).__name__}")
        _check_role(self, server_side=server_side)
        return Link(
            self,
            BioTransport(incoming, outgoing),
            owner=owner,
            server_side=server_side,
            server_hostname=_checked_name(server_hostname),
            session=session,
        )

    # What is loaded

    def load_cert_chain(
        self, certfile: Path, keyfile: Path | None = None, password: Password = None
    ) -> None:
        """Load the certificate chain of this side, and its key."""
        settings, asked = settings_of(self), password
        once = PasswordOnce(password)
        if callable(password) or isinstance(password, str | bytes | bytearray):
            asked = once
        Native.load_cert_chain(self, certfile, keyfile, asked)
        if settings is None:
            return
        try:
            credentials = load_credentials(certfile, keyfile, once.used)
        except ConfigurationError as error:
            raise configuration_failed(error) from error
        if role := _ROLES.get(int(self.protocol)):
            warn_of_own([credentials], role, utc_now())
        settings.credentials.pop(credentials.key_kind, None)
        settings.credentials[credentials.key_kind] = credentials
        settings.changes += 1

    def load_verify_locations(
        self,
        cafile: Path | None = None,
        capath: Path | None = None,
        cadata: Any = None,
    ) -> None:
        """Load trusted authorities and revocation lists."""
        Native.load_verify_locations(self, cafile, capath, cadata)
        settings = settings_of(self)
        if settings is None:
            return
        if cafile is not None:
            settings.loaded.add_file(cafile)
        if capath is not None:
            settings.loaded.add_directory(capath)
        if cadata is not None:
            settings.loaded.add_data(cadata)
        settings.changes += 1

    def set_default_verify_paths(self) -> None:
        """Load the authorities of the system, where OpenSSL looks for them."""
        settings = settings_of(self)
        if settings is None:
            Native.set_default_verify_paths(self)
            return
        settings.loaded.add_defaults(self, partial(Native.set_default_verify_paths, self))
        settings.changes += 1

    # What is spoken

    def set_ciphers(self, cipherlist: str) -> None:
        """Choose the suites of TLS 1.2 by a cipher string of OpenSSL.

        Raises:
            SSLError: the string selects nothing that is safe and available here.
        """
        settings = settings_of(self)
        if settings is None:
            Native.set_ciphers(self, cipherlist)
            return
        names = ":".join([each["name"] for each in Native.get_ciphers(self)])
        before = f"{names}:@SECLEVEL={level_of(self)}"
        try:
            Native.set_ciphers(self, cipherlist)
        except ssl.SSLError:
            Native.set_ciphers(self, before)  # OpenSSL has dropped them.
            raise
        chosen = Native.get_ciphers(self)
        # A string always keeps the suites of TLS 1.3, which may be all that is spoken.
        for_tls12 = [each for each in chosen if each["name"][:4] != "TLS_"]
        asks_for_tls12 = self.minimum_version != ssl.TLSVersion.TLSv1_3 and for_tls12
        try:
            check_level(self)
            if asks_for_tls12 and not of_version(suites_of(chosen), "TLSv1.2"):
                why = why_none(for_tls12)
                raise plain(ssl.SSLError, 0, f"No cipher can be selected. {why}")
        except ConfigurationError as error:
            Native.set_ciphers(self, before)
            raise configuration_failed(error) from error
        except ssl.SSLError:
            Native.set_ciphers(self, before)
            raise
        settings.changes += 1

    def get_ciphers(self) -> list[Any]:
        """Return the suites that are in use, as OpenSSL describes them."""
        found: list[Any] = Native.get_ciphers(self)
        if settings_of(self) is None:
            return found
        return [each for each in found if suites_of([each])]

    def _set_alpn_protocols(self, protocols: bytes) -> None:
        Native._set_alpn_protocols(self, protocols)
        settings = settings_of(self)
        if settings is not None:
            settings.alpn = _read_alpn(bytes(protocols))
            settings.changes += 1

    def set_ecdh_curve(self, name: str | bytes) -> None:
        """Choose the only group of the key exchange.

        Raises:
            ValueError: there is no such group here; `ssl` has more, such as brainpoolP256r1.
        """
        settings = settings_of(self)
        if settings is None:
            Native.set_ecdh_curve(self, name)
            return
        # OpenSSL is not asked: `ssl` of Python 3.11.2 takes neither X25519 nor X448.
        group = group_of(os.fsdecode(name))
        if group is None:
            known = ", ".join(group_names())
            raise ValueError(
                f"unknown elliptic curve name {name!r}: the groups of handclasp are {known}"
            )
        settings.groups = (group,)
        settings.changes += 1

    def load_dh_params(self, dhfile: Path) -> None:
        """Refuse parameters of finite-field groups, which handclasp does not use."""
        Native.load_dh_params(self, dhfile)
        if settings_of(self) is None:
            return
        raise configuration_failed(
            ConfigurationError(
                "load_dh_params cannot be honoured: handclasp exchanges keys in elliptic-curve "
                "and ML-KEM groups only. Leave it out."
            )
        )

    @property
    def maximum_version(self) -> Any:
        """The newest version to speak."""
        return _original_maximum.__get__(self)

    @maximum_version.setter
    def maximum_version(self, value: int) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        if settings_of(self) is not None and value in _BELOW_TLS12:
            raise configuration_failed(
                ConfigurationError(
                    f"maximum_version {ssl.TLSVersion(value).name} cannot be honoured: handclasp "
                    "speaks TLS 1.2 and TLS 1.3."
                )
            )
        with _taking_back(self, _original_maximum):
            _original_maximum.__set__(self, value)

    # Both call the C part themselves: its warnings are about the caller of a setter.

    @property
    def options(self) -> Any:
        """The options of OpenSSL; docs/compat.md says which have an effect."""
        return _original_options.__get__(self)

    @options.setter
    def options(self, value: int) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        with _taking_back(self, Native.options):
            Native.options.__set__(self, value)

    @property
    def verify_mode(self) -> Any:
        """Whether the peer is asked for a certificate, and must have one."""
        return _original_mode.__get__(self)

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        with _taking_back(self, Native.verify_mode):
            Native.verify_mode.__set__(self, value)

    @property
    def verify_flags(self) -> Any:
        """The flags of the verification."""
        return _original_flags.__get__(self)

    @verify_flags.setter
    def verify_flags(self, value: int) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        if settings_of(self) is not None:
            check_flags(value)
        _original_flags.__set__(self, value)

    @property
    def num_tickets(self) -> Any:
        """The tickets that a client of TLS 1.3 gets after a full handshake."""
        return Native.num_tickets.__get__(self)

    @num_tickets.setter
    def num_tickets(self, value: int) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        if settings_of(self) is not None and index(value) > MOST_TICKETS:
            raise ValueError(
                f"num_tickets {value} cannot be honoured: handclasp sends at most {MOST_TICKETS}."
            )
        Native.num_tickets.__set__(self, value)

    @property
    def keylog_filename(self) -> Any:
        """The file that secrets are appended to, which only its owner can read; None for none."""
        return Native.keylog_filename.__get__(self)

    @keylog_filename.setter
    def keylog_filename(self, value: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        if settings_of(self) is not None and value is not None:
            os.close(append_private(value))  # OpenSSL would make one that everybody can read.
        Native.keylog_filename.__set__(self, value)

    # More than ssl has

    @property
    def resume(self) -> SessionCache | None:
        """The store of sessions with which client connections resume by themselves."""
        settings = settings_of(self)
        return None if settings is None else settings.resume

    @resume.setter
    def resume(self, store: SessionCache | None) -> None:
        settings = _own(self)
        with _refusing_as_ssl():
            check_sessions(store, "resume")
            if store is not None and self.protocol == ssl.PROTOCOL_TLS_SERVER:
                raise ConfigurationError("resume is for clients; this context is a server's.")
        settings.resume = store
        settings.changes += 1

    @property
    def make_trace(self) -> Callable[[], Trace] | None:
        """A callable that makes a trace for each connection."""
        settings = settings_of(self)
        return None if settings is None else settings.make_trace or DEFAULTS.make_trace

    @make_trace.setter
    def make_trace(self, make: Callable[[], Trace] | None) -> None:
        settings = _own(self)
        if make is not None:
            with _refusing_as_ssl():
                example = "context.make_trace = Recorder, which is called for each connection"
                check_callback("make_trace", make, example)
        settings.make_trace = make

    @property
    def max_early_data(self) -> int:
        """The bytes of 0-RTT data that a server accepts from each client."""
        settings = settings_of(self)
        return 0 if settings is None else settings.max_early_data

    @max_early_data.setter
    def max_early_data(self, size: int) -> None:
        settings = _own(self)
        with _refusing_as_ssl():
            check_early_size(size)
            if size and self.protocol == ssl.PROTOCOL_TLS_CLIENT:
                raise ConfigurationError(
                    "max_early_data is for servers; this context is a client's, which sends early "
                    "data by send_early_data."
                )
        settings.max_early_data = size

    def set_psk_client_callback(self, callback: ClientCallback | None) -> None:
        """Offer a pre-shared key, which the callback names, with every hello (TLS 1.3).

        As with `ssl`, the callback gets None and returns the identity and the key, of 16 bytes at
        least. What it raises ends the handshake. If `verify_mode` is `CERT_NONE`, a server that
        does not take the key is refused: nothing else would say who it is.

        Raises:
            SSLError: this is a server's context, or one that verifies nobody and leaves out TLS
                1.3, so that the key could not be used.
            TypeError: the callback cannot be called.
        """
        settings = settings_of(self)
        if settings is None:
            _require_keys_of_openssl("set_psk_client_callback")(self, callback)
            return
        _check_keys_of_role("client", callback, self.protocol, ssl.PROTOCOL_TLS_SERVER)
        before, settings.offer = settings.offer, None if callback is None else Offer(callback)
        try:
            check_offer_of(self, settings)
        except ConfigurationError as error:
            settings.offer = before
            raise configuration_failed(error) from None

    def set_psk_server_callback(
        self, callback: ServerCallback | None, identity_hint: str | None = None
    ) -> None:
        """Find the pre-shared keys of clients by a callback (TLS 1.3).

        As with `ssl`, the callback gets the identity that a client names, and returns its key, of
        16 bytes at least, or `b""` for an identity that it does not know. What it raises ends the
        handshake. The hint is not sent: TLS 1.3 has none.

        Raises:
            SSLError: this is a client's context.
            TypeError: the callback cannot be called.
        """
        settings = settings_of(self)
        if settings is None:
            _require_keys_of_openssl("set_psk_server_callback")(self, callback, identity_hint)
            return
        _check_keys_of_role("server", callback, self.protocol, ssl.PROTOCOL_TLS_CLIENT)
        settings.finder = None if callback is None else Finder(callback)

    @property
    def message_callback(self) -> MessageCallback | None:
        """Return the value of `_msg_callback`, as the C part of the context keeps it."""
        callback: MessageCallback | None = _read_message_callback(self)
        return callback

    def session_stats(self) -> dict[str, int]:
        """Return the counts of handshakes and of resumed sessions."""
        settings = settings_of(self)
        if settings is None:
            stats: dict[str, int] = Native.session_stats(self)
            return stats
        return dict(settings.counts)

    # For links

    def config_of(self, *, server_side: bool, first: State | None = None) -> Made:
        """Return the config of connections that begin now. Raises `ssl.SSLError`.

        Args:
            server_side: the role.
            first: the settings that the connection was made with, if by another context.
        """
        return _own(self).made(self, server_side=server_side, first=first)

    def note_handshake(self, name: str, info: ConnectionInfo) -> None:
        """Count a complete handshake of this role, and show the authority that it relied on.

        `get_ca_certs` has those of a directory once they were needed, as with OpenSSL.
        """
        settings = _own(self)
        settings.counts[name] += 1
        settings.counts[f"{name}_good"] += 1
        settings.counts["hits"] += info.resumed
        if settings.loaded.directories and info.verified_chain_der:
            Native.load_verify_locations(self, cadata=info.verified_chain_der[-1])

    def ask_about_name(self, owner: object, server_name: str | None) -> int | None:
        """Ask `sni_callback` what to do about a name; return the number of an alert, if any."""
        callback: Any = Native.sni_callback.__get__(self)
        try:
            answer = callback(owner, server_name, self)
        except Exception as error:
            _report(error, callback)
            return int(ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE)
        if answer is None:
            return None
        try:
            return int(answer.__index__()) & 0xFF
        except Exception:
            kind = type(answer).__name__
            problem = TypeError(f"{kind!r} object cannot be interpreted as an integer")
            _report(problem, callback)
            return int(ssl.ALERT_DESCRIPTION_INTERNAL_ERROR)


def refusing(name: str) -> Callable[..., Any]:
    """Return a method that refuses a setting of the C part that has no equal here."""
    original: Any = getattr(Native, name)

    def refuse(self: SSLContext, *arguments: Any, **named: Any) -> Any:
        if settings_of(self) is None or arguments[:1] == (None,):
            return original(self, *arguments, **named)
        problem = f"{name} cannot be honoured by a context of handclasp. Leave it out."
        raise configuration_failed(ConfigurationError(problem))

    refuse.__name__, refuse.__doc__ = name, "Refuse this setting, which has no equal here."
    return refuse


# Whatever later versions of Python add: it would be ignored otherwise.
for _name in dir(Native):
    if _name.startswith("set_") and _name not in vars(SSLContext):
        setattr(SSLContext, _name, refusing(_name))


@contextmanager
def _refusing_as_ssl() -> Generator[None]:
    """Turn a `ConfigurationError` into one that is an `SSLError` as well."""
    try:
        yield
    except ConfigurationError as error:
        raise configuration_failed(error) from error


@contextmanager
def _taking_back(context: Any, attribute: Any) -> Generator[None]:
    """Take back what is set to an attribute if a client would then accept anybody.

    Raises:
        ConfigurationError: it would; also an `SSLError`.
    """
    settings, before = settings_of(context), attribute.__get__(context)
    yield
    if settings is None:
        return
    try:
        check_offer_of(context, settings)
    except ConfigurationError as error:
        attribute.__set__(context, before)
        raise configuration_failed(error) from None


def _require_keys_of_openssl(name: str) -> Callable[..., None]:
    """Return a method of the C part, which a context of OpenSSL has as of Python 3.13."""
    method: Callable[..., None] | None = getattr(Native, name, None)
    if method is None:
        raise AttributeError(f"{name}: this context was made by OpenSSL, before Python 3.13")
    return method


def _check_keys_of_role(role: str, callback: object, protocol: int, other_role: int) -> None:
    if protocol == other_role:
        name = ssl._SSLMethod(protocol).name  # pyright: ignore[reportPrivateUsage]
        raise plain(ssl.SSLError, 0, f"Cannot add PSK {role} callback to a {name} context")
    if callback is not None and not callable(callback):
        raise TypeError("callback must be callable")


def _own(context: object) -> Settings:
    settings = settings_of(context)
    if settings is None:
        raise TypeError("This context was made by OpenSSL, before handclasp was injected.")
    return settings


class _Reported:
    """Raises an exception where the interpreter can only report it, with the place's own `repr`.

    `sys.unraisablehook` takes arguments that only the interpreter can make.
    """

    def __init__(self, error: BaseException, where: object) -> None:
        self._error, self._where = error, where

    def __call__(self, _: object) -> None:
        raise self._error

    def __repr__(self) -> str:
        return repr(self._where)


def _report(error: BaseException, where: object) -> None:
    """Report an exception that cannot be raised, as the interpreter does."""
    passing = threading.Event()
    reference = weakref.ref(passing, _Reported(error, where))
    del passing
    del reference


def _check_role(context: ssl.SSLContext, *, server_side: bool) -> None:
    if server_side and context.protocol == ssl.PROTOCOL_TLS_CLIENT:
        raise plain(
            ssl.SSLError, 0, "Cannot create a server socket with a PROTOCOL_TLS_CLIENT context"
        )
    if not server_side and context.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise plain(
            ssl.SSLError, 0, "Cannot create a client socket with a PROTOCOL_TLS_SERVER context"
        )


def _checked_name(name: str | None) -> str | None:
    if name is not None and (not name or name.startswith(".")):
        raise ValueError("server_hostname cannot be an empty string or start with a leading dot.")
    if name is not None and "\0" in name:
        raise TypeError("server_hostname must not contain a null character.")
    if name is not None and len(name) > _LONGEST_NAME:
        text, reason = "ssl3 ext invalid servername", "SSL3_EXT_INVALID_SERVERNAME"
        raise plain(ssl.SSLError, ssl.SSL_ERROR_SSL, text, reason)
    return name


def _read_alpn(data: bytes) -> tuple[str, ...]:
    names: list[str] = []
    at = 0
    while at < len(data):
        names.append(data[at + 1 : at + 1 + data[at]].decode("ascii"))
        at += 1 + data[at]
    return tuple(dict.fromkeys(names))
