"""The server's side of a connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from handclasp.config import ServerConfig
from handclasp.connection import Connection
from handclasp.crypto.suites import Buffer
from handclasp.errors import ConfigurationError, StateError, shown
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.defaults import ServerAnswers
from handclasp.handshake.hooks import unfit_config
from handclasp.handshake.loop import Handshake
from handclasp.trace.hooks import Trace


class ServerConnection(Connection[ServerConfig]):
    """The server's side of one TLS connection, without any I/O.

    The first one imports what servers alone need, so that a process which gives up its file system
    (chroot) should make one before it does, and let its trust store `prepare`, if it has one.

    Here `listener` is a listening socket:

    >>> config = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"))
    >>> server = ServerConnection(config)
    >>> sock, address = listener.accept()
    >>> while not server.established:
    ...     events = server.receive_data(sock.recv(65536))
    ...     sock.sendall(server.data_to_send())
    >>> server.info.server_name
    'example.com'
    >>> sock.close()

    Args:
        config: the settings.
        trace: a recorder.
        check_chosen: a function that gets each config that `choose_config` gives, and raises
            `ConfigurationError` where this connection's surroundings cannot honour it: the
            handshake then fails with `Fault.CALLBACK_FAILED`.
    """

    __slots__ = ("_check_chosen",)

    def __init__(
        self,
        config: ServerConfig,
        *,
        trace: Trace | None = None,
        check_chosen: Callable[[ServerConfig], object] | None = None,
    ) -> None:
        if not isinstance(config, ServerConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"A server needs a ServerConfig, not {shown(config)}.")
        super().__init__(config, is_client=False, trace=trace)
        self._max_early_data = config.max_early_data
        self._check_chosen = check_chosen
        if trace is not None:
            trace.began("server", None)
        context = self._new_context(ServerAnswers(config, trace))
        self._begin(_handshake()(context, config), context)

    def _follow(self, config: ServerConfig) -> None:
        context = self._context
        if context is None:
            return
        if self._check_chosen is not None:
            try:
                self._check_chosen(config)
            except ConfigurationError as error:
                raise unfit_config(error) from error
        self._config, self._limits = config, config.limits
        self._max_early_data = config.max_early_data
        self._records.follow(config.limits, config.record_padding)
        keylog = config.keylog if callable(config.keylog) else None
        context.use(ServerAnswers(config, self._trace), keylog)

    def send_tickets(self, count: int = 1) -> int:
        """Queue more tickets for the client to resume with (TLS 1.3); return how many.

        It is 0 where the client cannot use them, or the config has `tickets=0`.

        Raises:
            StateError: the handshake is not complete, or this side has closed.
        """
        post = self._ready_to_send("send tickets")
        with self._ending_on_failure():
            return post.send_tickets(count)

    def request_client_certificate(self) -> None:
        """Queue a request for the client's certificate (TLS 1.3). Follow it by `data_to_send`.

        The answer is the event `ClientAuthenticated`, whenever it comes: until then, anything else
        may. With `client_auth` "required", a client that declines ends the connection
        (certificate_required). What the client sent before the event is not authenticated by it.

        HTTP/2 forbids such requests (RFC 8740 section 3), and QUIC has none (RFC 9001 section 4.4).

        >>> trust = TrustStore.from_pem("ca.pem")
        >>> config = ServerConfig(
        ...     credentials=Credentials.load("chain.pem", "key.pem"),
        ...     client_auth="optional",
        ...     trust=trust,
        ...     post_handshake_auth=True,
        ... )
        >>> server = ServerConnection(config)
        >>> client = ClientConnection(
        ...     ClientConfig(trust=trust, post_handshake_auth=True), server_name="example.com"
        ... )
        >>> while not server.established:
        ...     events = server.receive_data(client.data_to_send())
        ...     events += client.receive_data(server.data_to_send())
        >>> server.request_client_certificate()
        >>> events = client.receive_data(server.data_to_send())
        >>> [answer] = server.receive_data(client.data_to_send())
        >>> answer.info.peer_chain
        ()

        Raises:
            StateError: the handshake is not complete, this side has closed, the version is TLS
                1.2, the client did not offer post_handshake_auth or uses an external pre-shared
                key, or `Limits.max_certificate_requests` are outstanding.
            ConfigurationError: the config has no `client_auth`, or takes raw public keys alone.
            TLSError: the connection has failed.
        """
        post = self._ready_to_send("request a certificate")
        with self._ending_on_failure():
            post.request_client_certificate()

    @property
    def certificate_requests(self) -> int:
        """The requests for a certificate that the client has not answered yet."""
        post = self._post
        return 0 if post is None else post.certificate_requests

    @property
    def half_rtt_limit(self) -> int:
        """Bytes that `send_half_rtt_data` still takes: 0 before `HalfRttReady`, and later."""
        if not self._half_rtt or self._handshake is None:
            return 0
        # Keys are not updated before the handshake is complete.
        return max(0, self._records.room)

    def send_half_rtt_data(self, data: Buffer) -> None:
        """Queue data before the client's Finished (0.5-RTT). Follow it by `data_to_send`.

        They go to the sender of the hello, of whom nothing is proved yet: it may be a recorded one,
        sent again (RFC 8446 section 4.4.4). Only the client that made the hello can read them; but
        with a pre-shared key without a key exchange, they are not forward secret.

        Raises:
            StateError: it is not the time: before the event `HalfRttReady`, and after
                `HandshakeCompleted`, when there is `send_data`.
            ConfigurationError: more than `half_rtt_limit`, or the config does not allow any.
            TLSError: the connection has failed.
        """
        self._raise_failure()
        limit, size = self.half_rtt_limit, memoryview(data).nbytes
        if not self._config.half_rtt_data:
            raise ConfigurationError(
                "This config never sends half-RTT data: give ServerConfig(half_rtt_data=True), or "
                "use send_data after the handshake."
            )
        if not self._half_rtt or self._handshake is None:
            raise StateError(
                "Half-RTT data can be sent between HalfRttReady and HandshakeCompleted only: "
                "otherwise use send_data."
            )
        if size > limit:
            raise ConfigurationError(
                f"Half-RTT data of {size} bytes, where the key takes {limit}: wait for the "
                "handshake, and use send_data."
            )
        if size:
            with self._ending_on_failure():
                self._records.send_application_data(memoryview(data).cast("B"))


@cache
def _handshake() -> Callable[[HandshakeContext, ServerConfig], Handshake]:
    # Imported late, as clients need none of it.
    from handclasp.handshake.server import server_handshake

    return server_handshake
