"""The client's side of a connection."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

from handclasp.certificates.names import ip_address, normal_name
from handclasp.certificates.trust import TrustStore
from handclasp.config import ClientConfig
from handclasp.config.sessions import check_sessions
from handclasp.connection import Connection
from handclasp.crypto.suites import Buffer
from handclasp.ech import EchRejectedError
from handclasp.errors import ConfigurationError, ProtocolError, StateError, TLSError, shown
from handclasp.handshake.client import client_handshake
from handclasp.handshake.client_sessions import find_sessions
from handclasp.handshake.defaults import ClientAnswers
from handclasp.handshake.result import AuthenticationResult, HandshakeResult
from handclasp.keys.epoch import Epoch
from handclasp.sessions.store import SessionCache
from handclasp.trace.hooks import Trace


class ClientConnection(Connection[ClientConfig]):
    """The client's side of one TLS connection, without any I/O.

    The ClientHello is ready in `data_to_send` from the start.

    >>> client = ClientConnection(server_name="example.com")
    >>> sock = socket.create_connection(("example.com", 443))
    >>> sock.sendall(client.data_to_send())
    >>> while not client.established:
    ...     events = client.receive_data(sock.recv(65536))
    ...     sock.sendall(client.data_to_send())
    >>> client.info.group
    'X25519MLKEM768'
    >>> sock.close()

    Args:
        config: how to connect; the default is safe.
        server_name: the DNS name or IP address that the server must prove to be.
        port: where the server listens; sessions with it are kept apart from those of others.
        trace: a `Recorder` to note everything.
        sessions: a store for this connection alone, in place of that of the config, which must
            have one: the hello says whether tickets are of use.

    Raises:
        ConfigurationError: there is no server name to verify, and verification is not off; or
            there are sessions for this connection, and none in the config.
    """

    __slots__ = ("_early_limit", "_server_name", "_sessions")

    def __init__(
        self,
        config: ClientConfig | None = None,
        *,
        server_name: str | None = None,
        port: int | None = None,
        trace: Trace | None = None,
        sessions: SessionCache | None = None,
    ) -> None:
        config = config if config is not None else ClientConfig()
        if not isinstance(config, ClientConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"A client needs a ClientConfig, not {shown(config)}.")
        name = check_server_name(config, server_name)
        super().__init__(config, is_client=True, trace=trace)
        if port is not None and type(port) is not int:
            raise ConfigurationError(f"port must be a whole number, not {shown(port)}.")
        if sessions is not None:
            check_sessions(sessions)
            if config.sessions is None:
                raise ConfigurationError("sessions of one connection need a config with sessions.")
        self._server_name = name
        if trace is not None:
            trace.began("client", name)
        trust = config.trust
        # With ECH, the public name is verified where there is no other name.
        is_named = server_name is not None or config.ech is not None
        if trust is None and is_named and _verifies(config):
            trust = TrustStore.system()
        answers = ClientAnswers(config, trust, trace)
        choose = config.choose_credentials or answers.choose_credentials
        found = find_sessions(config, name, port, trust, answers.verify, choose, sessions)
        self._sessions = found
        context = self._new_context(answers)
        context.trust = trust
        self._begin(client_handshake(context, config, name, found), context)
        self._early_limit = 0
        if self._records.write_epoch is Epoch.EARLY_DATA and found is not None:
            self._early_limit = found.session.max_early_data if found.session else 0

    def _established(self, result: HandshakeResult | AuthenticationResult) -> None:
        self._sessions = None
        super()._established(result)

    def _end(self, error: TLSError) -> TLSError:
        sessions, self._sessions = self._sessions, None
        if sessions is not None and not isinstance(error, EchRejectedError):
            # RFC 5246 7.2.2: what ended in a failure must not be resumed. A session of TLS 1.2
            # would otherwise be offered again and again to a server that cannot bear it.
            with suppress(ProtocolError):
                sessions.refused()
        return super()._end(error)

    @property
    def early_data_limit(self) -> int:
        """Bytes that `send_early_data` still takes: 0 without a session for them, and later."""
        records = self._records
        if records.write_epoch is not Epoch.EARLY_DATA or self._failure is not None:
            return 0
        # The key of early data cannot be updated (RFC 9846 section 5.5).
        room = records.room
        return max(0, min(self._early_limit - self._early_size, room))

    def send_early_data(self, data: Buffer) -> None:
        """Queue data before the handshake is complete (0-RTT). Follow it by `data_to_send`.

        They are not forward secret, and an attacker who records them can send them to the server
        again, so send only what may be done twice. If the server takes none, `EarlyDataRejected`
        gives them back; `info.early_data_status` says so as well.

        Raises:
            StateError: the hello did not offer early data, or the server has answered it already.
            ConfigurationError: more than `early_data_limit`, or the config does not allow any.
            TLSError: the connection has failed.
        """
        self._raise_failure()
        size = memoryview(data).nbytes
        if size > self.early_data_limit:
            if not self._config.allow_early_data:
                raise ConfigurationError(
                    "This config never sends early data: give "
                    "ClientConfig(sessions=SessionStore(), allow_early_data=True)."
                )
            in_time = self._records.write_epoch is Epoch.EARLY_DATA
            raise (ConfigurationError if in_time else StateError)(
                f"Early data of {size} bytes, where the server takes {self.early_data_limit}: "
                "wait for the handshake, and use send_data."
            )
        if not size:
            return
        self._early_size += size
        self._early_data.append(bytes(data))
        with self._ending_on_failure():
            self._records.send_application_data(memoryview(data).cast("B"))

    def _asked_for(self) -> str | None:
        name = self._server_name
        return None if name is None or ip_address(name) is not None else name


def check_server_name(config: ClientConfig, server_name: str | None) -> str | None:
    """Return the normal spelling of a server's name; None where it may be missing, and is.

    Raises:
        ConfigurationError: it is no name, or the config needs one and there is none.
    """
    if server_name is not None:
        if not isinstance(server_name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"server_name must be a str, not {shown(server_name)}.")
        return _normal_name(server_name)
    if _needs_a_name(config):
        raise ConfigurationError(
            "A client must know whose certificate to expect: pass "
            'server_name="example.com". (Only to connect without knowing with whom: '
            "ClientConfig(verify_peer=False).)"
        )
    return None


@lru_cache(maxsize=256)
def _normal_name(name: str) -> str:
    return normal_name(name)


def _needs_a_name(config: ClientConfig) -> bool:
    """Say if certificates are verified here, and not by a callback, by keys alone, or never.

    With pre-shared keys there may be no name; then there must be no certificate either.
    """
    return not config.psks and _verifies(config)


def _verifies(config: ClientConfig) -> bool:
    """Say if certificates may come, and are verified here and not by a callback."""
    return config.verify_peer and config.verify is None and config.accepts_certificates
