"""TLS over any trio stream: `TLSStream`, and the `TLSListener` that makes them of what it accepts.

`trio_duplex` moves the bytes; this module has what trio promises of its own `SSLStream`.

A KeyboardInterrupt between two steps could lose data that have been taken, leave a record half
noted, or a stream busy for ever. So all calls are protected from it, as trio protects its own: it
comes where a call waits, which is where it may be cancelled as well, or after the call. Callbacks
that are awaited are not protected, so that one that never waits can be interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from operator import index
from typing import TYPE_CHECKING, Generic, Never, NoReturn, TypeVar

import trio

from handclasp.adapters.addresses import note_addresses
from handclasp.adapters.arguments import (
    check_make_trace,
    either_config,
    request_client_certificate,
    server_config,
    server_connection,
)
from handclasp.adapters.early import EarlyData
from handclasp.adapters.hints import no_attribute, refuse_arguments
from handclasp.adapters.trio_duplex import StreamT, TrioDuplex, socket_of
from handclasp.client import ClientConnection
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError, StateError, TLSError, TruncationError, shown
from handclasp.info import ConnectionInfo
from handclasp.server import ServerConnection
from handclasp.trace.hooks import Trace, check_trace

__all__ = ["TLSStream", "TLSListener", "HandshakeNeeded"]

AnyConfig = TypeVar("AnyConfig", bound=ClientConfig | ServerConfig)
Data = bytes | bytearray | memoryview


_NOT_COMPLETE = "The handshake is not complete: await do_handshake() first."


class HandshakeNeeded(StateError, trio.NeedHandshakeError):
    """A question that only a complete handshake can answer.

    >>> import trio.testing
    >>> from handclasp.trio import TLSStream
    >>> stream = TLSStream(trio.testing.memory_stream_pair()[0], server_name="example.com")
    >>> stream.info
    Traceback (most recent call last):
    ...
    handclasp.adapters.trio_stream.HandshakeNeeded: The handshake is not complete: await ...
    """


class TLSStream(trio.abc.HalfCloseableStream, Generic[StreamT]):
    """A TLS connection over a trio stream, with the methods that trio's streams have.

    One task may receive while another one sends; a second one for the same gets
    `BusyResourceError`. The first call completes the handshake, if `do_handshake` has not.

    A connection that fails raises `BrokenResourceError`, whose `__cause__` is the `TLSError` that
    explains it; `failure` has it, too. So does a transport that ends without close_notify. If the
    transport cannot send, the cause is its `OSError`.

    A call that is cancelled while it waits for the peer's data loses nothing, not even in the
    handshake: the next call goes on. One that is cancelled while the transport is full may have
    sent a part of a record, so that nothing more can be sent (the cause is a `StateError` then);
    what the peer sends can still be received.

    >>> import trio
    >>> from handclasp.trio import TLSStream
    >>> async def main():
    ...     transport = await trio.open_tcp_stream("example.com", 443)
    ...     async with TLSStream(transport, server_name="example.com") as stream:
    ...         await stream.send_all(b"hello")
    ...         print(await stream.receive_some(), stream.info.version)
    >>> trio.run(main)
    b'hello' TLSv1.3

    Args:
        transport_stream: carries the bytes; the `TLSStream` then owns it.
        config: the settings, whose type determines the role; None is a client with the safe
            defaults. Its callbacks may be async functions.
        server_name: for a client: the name or IP address that the server's certificate must cover.
        port: for a client: the port of the server, to tell its sessions apart.
        https_compatible: take the end of the transport for the end of the stream, and send no
            close_notify, as many programs do that speak HTTPS. To receive it only, set
            `allow_truncation` in the config.
        trace: records the events of the connection; see `Recorder`.
        early_data: for a client: bytes to send before the handshake is complete, as for
            `wrap_client`.

    Raises:
        ConfigurationError: a setting that cannot be honoured.

    Attributes:
        transport_stream: the stream below.
    """

    def __init__(
        self,
        transport_stream: StreamT,
        config: ClientConfig | ServerConfig | None = None,
        *,
        server_name: str | None = None,
        port: int | None = None,
        https_compatible: bool = False,
        trace: Trace | None = None,
        early_data: bytes | None = None,
        **unknown: Never,
    ) -> None:
        refuse_arguments(unknown)
        _check_stream(transport_stream)
        settings = either_config(config, "trio")
        check_trace(trace)
        if https_compatible:
            settings = allowing_truncation(settings)
        connection: ClientConnection | ServerConnection
        if isinstance(settings, ServerConfig):
            if server_name is not None or port is not None or early_data is not None:
                raise ConfigurationError("server_name, port and early_data are for clients.")
            early = EarlyData()
            connection = server_connection(settings, "trio", trace)
        else:
            early = EarlyData(settings, early_data)
            connection = ClientConnection(settings, server_name=server_name, port=port, trace=trace)
        _note_ends(transport_stream, trace)
        if isinstance(connection, ClientConnection):
            sock = socket_of(transport_stream)
            connection.ask_own_address = sock.getsockname if sock is not None else None
            early.send_on(connection)
        self.transport_stream = transport_stream
        self._https_compatible = https_compatible
        self._duplex = TrioDuplex(transport_stream, connection, early, settings.handshake_timeout)
        self._sending = _Turn("another task is sending on this TLSStream")
        self._receiving = _Turn("another task is receiving on this TLSStream")

    if not TYPE_CHECKING:  # Else every attribute would seem to be there.

        def __getattr__(self, name: str) -> NoReturn:
            """Raise `AttributeError`, with a hint if `ssl.SSLSocket` has this attribute."""
            raise no_attribute(self, name)

    def __repr__(self) -> str:
        connection = self._duplex.connection
        if self._duplex.closed:
            state = "closed"
        elif connection.failure is not None:
            state = f"failed: {connection.failure.fault_name}"
        elif (info := connection.info) is None:
            state = "handshake not complete"
        else:
            state = f"{info.version} {info.cipher_suite}"
        return f"<TLSStream {state} over {self.transport_stream!r}>"

    # What is known

    @property
    def connection(self) -> ClientConnection | ServerConnection:
        """The sans-IO connection. Calls that change its state go through this class."""
        return self._duplex.connection

    @property
    def info(self) -> ConnectionInfo:
        """The negotiated parameters of the connection.

        Raises `HandshakeNeeded`, a `StateError` and a `trio.NeedHandshakeError`.
        """
        info = self._duplex.connection.info
        if info is None:
            raise HandshakeNeeded(_NOT_COMPLETE)
        return info

    @property
    def alpn(self) -> str | None:
        """The application protocol agreed upon, or None; raises as `info` does."""
        return self.info.alpn

    @property
    def failure(self) -> TLSError | None:
        """The error that ended the connection, with its explanation, if it has failed."""
        return self._duplex.connection.failure

    @property
    def early_data(self) -> bytes:
        """For a server: the client's early data, which `receive_some` does not return again.

        An attacker who recorded them may have sent them: see `TLSSocket.early_data`.
        """
        self._need_end_of_handshake()
        return self._duplex.early.received

    @property
    def early_data_rejected(self) -> bytes:
        """For a client: the part of its `early_data` that was not delivered; send it again."""
        self._need_end_of_handshake()
        return self._duplex.early.undelivered

    def export_keying_material(self, label: str, context: bytes | None, length: int) -> bytes:
        """Return `length` bytes that only the two ends know (RFC 9846 section 7.5, RFC 5705)."""
        self._need_handshake()
        return self._duplex.connection.export_keying_material(label, context, length)

    def channel_binding(self, binding_type: str = "tls-exporter") -> bytes:
        """Return bytes that tie an application's authentication to this connection (RFC 9266)."""
        self._need_handshake()
        return self._duplex.connection.channel_binding(binding_type)

    def _need_end_of_handshake(self) -> None:
        duplex = self._duplex
        duplex.early.check_known(duplex.connection, HandshakeNeeded(_NOT_COMPLETE))

    def _need_handshake(self) -> ConnectionInfo:
        return self.info

    # The handshake

    @trio.lowlevel.enable_ki_protection
    async def do_handshake(self) -> None:
        """Complete the handshake, if it is not complete yet.

        Where another task is completing it, this waits for that one. It must be done within
        `config.handshake_timeout` seconds from the first call on.

        Raises:
            BrokenResourceError: it failed. The alert was sent as far as that was possible.
            ConfigurationError: a callback has answered what no event loop can wait for.
        """
        self._duplex.check_open()
        if self._duplex.established:
            await trio.lowlevel.checkpoint()
        else:
            await self._duplex.handshake()

    # Reading

    @trio.lowlevel.enable_ki_protection
    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what the peer has sent, up to `max_bytes`; b"" once the peer has closed.

        Raises:
            BrokenResourceError: the connection failed, or the transport ended without close_notify.
            ClosedResourceError: this side has closed the stream.
        """
        with self._receiving:
            duplex = self._duplex
            duplex.check_open()
            size = _most(max_bytes)
            if not duplex.established and not await self._begins():
                return b""
            plaintext = duplex.plaintext
            if plaintext.size or duplex.peer_closed:
                await trio.lowlevel.checkpoint()
                duplex.check_open()
            while not plaintext.size and not duplex.peer_closed:
                duplex.check_failure()
                await duplex.receive()
            return plaintext.take(size)

    async def _begins(self) -> bool:
        """Complete the handshake; return False for a peer that ends before, if that is allowed."""
        try:
            await self._duplex.handshake()
        except trio.BrokenResourceError as error:
            if self._https_compatible and isinstance(error.__cause__, TruncationError):
                return False
            raise
        return True

    # Writing

    @trio.lowlevel.enable_ki_protection
    async def send_all(self, data: Data) -> None:
        """Send all of `data`.

        Raises:
            BrokenResourceError: the connection has failed, or an earlier call was cancelled while
                it sent.
            ClosedResourceError: this side has closed the stream, or sent its end.
        """
        with self._sending:
            duplex = self._duplex
            duplex.check_writable()
            octets = data if type(data) is bytes else memoryview(data).cast("B")
            if not duplex.established:
                await duplex.handshake()
            if octets:
                await duplex.send(octets)
            else:
                await trio.lowlevel.checkpoint()

    @trio.lowlevel.enable_ki_protection
    async def wait_send_all_might_not_block(self) -> None:
        """Wait until `send_all` might not have to wait."""
        with self._sending:
            self._duplex.check_open()
            await self._duplex.wait_writable()

    @trio.lowlevel.enable_ki_protection
    async def send_eof(self) -> None:
        """Send close_notify: this side has sent all it has to say. Receiving goes on.

        Only TLS 1.3 has that (RFC 9846 section 6.1): in TLS 1.2, the peer would drop what it has
        yet to send (RFC 5246 section 7.2.1).

        Raises:
            StateError: the version is TLS 1.2; use `aclose`.
        """
        with self._sending:
            duplex = self._duplex
            duplex.check_open()
            if not duplex.established:
                await duplex.handshake()
            if duplex.connection.closed and duplex.connection.failure is None:
                await trio.lowlevel.checkpoint()
                return
            if self.info.version != "TLSv1.3":
                raise StateError(
                    "In TLS 1.2 the peer may drop what it has yet to send when it hears that this "
                    "side has sent everything: use aclose()."
                )
            await duplex.send_by(duplex.connection.close)

    @trio.lowlevel.enable_ki_protection
    async def update_keys(self, request_peer: bool = True) -> None:
        """Switch to new sending keys, and ask the peer to do so, too (RFC 8446 section 4.6.3).

        Raises `StateError` in TLS 1.2, and as `send_all`.
        """
        with self._sending:
            duplex = self._duplex
            duplex.check_writable()
            if not duplex.established:
                await duplex.handshake()
            await duplex.send_by(duplex.connection.update_keys, request_peer)

    async def request_client_certificate(self) -> None:
        """Ask the client for its certificate (RFC 8446 section 4.6.2). Only for a server.

        This does not wait for the answer, which comes while data are received: then `info` is that
        of the client, and `connection.certificate_requests` is 0. Raises as `send_all`, and as
        `ServerConnection.request_client_certificate`.
        """
        with self._sending:
            duplex = self._duplex
            duplex.check_writable()
            if not duplex.established:
                await duplex.handshake()
            await duplex.send_by(request_client_certificate, duplex.connection)

    # The end

    @trio.lowlevel.enable_ki_protection
    async def unwrap(self) -> tuple[StreamT, bytes]:
        """End TLS on both sides, and give the transport back.

        Read until `b""` first: with data unread, this raises `StateError`.

        Returns:
            The stream below, and what it has delivered already of what follows TLS.
        """
        with self._receiving, self._sending:
            duplex = self._duplex
            duplex.check_open()
            if not duplex.established:
                await duplex.handshake()
            if not duplex.connection.closed:
                await duplex.send_by(duplex.connection.close)
            while not duplex.plaintext.size and not duplex.peer_closed:
                duplex.check_failure()
                await duplex.receive(duplex.connection.missing_bytes)
            if duplex.plaintext.size:
                raise StateError('unwrap() with data unread: receive_some() until b"" first.')
            await trio.lowlevel.checkpoint()
            duplex.closed = True
            return self.transport_stream, duplex.connection.unread_after_close

    @trio.lowlevel.enable_ki_protection
    async def aclose(self) -> None:
        """Send close_notify, and close the transport.

        Like trio's own, it completes the handshake first, if that has not begun (one that was
        cancelled is not continued), and does not wait for the peer's close_notify. If another task
        is sending, or the call is cancelled, the transport is closed without close_notify, and the
        peer sees that data are missing. On a socket, it waits until the peer has taken what was
        sent, as long as the peer goes on reading. In a forked process, this closes a copy, and the
        parent's stream stays open.

        Raises:
            BrokenResourceError: the handshake failed, or the peer took nothing for 30 seconds
                (`close_timeout` of `serve_tls`), so that data may be lost; the cause is a
                `TimeoutError` then. The transport is closed as well.
        """
        duplex = self._duplex
        if duplex.closed:
            await trio.lowlevel.checkpoint()
            return
        if duplex.is_forked:
            await duplex.close_copy()
            return
        is_sound = duplex.connection.failure is None and not duplex.write_broken
        try:
            if self._https_compatible or not is_sound:
                duplex.closed = True
            else:
                await self._close_in_order()
        except BaseException:
            duplex.closed = True
            await duplex.close_transport(forcefully=True)
            raise
        await duplex.close_transport(forcefully=False)

    async def _close_in_order(self) -> None:
        duplex = self._duplex
        if not duplex.established and not duplex.has_begun:
            await duplex.handshake()
        duplex.closed = True
        try:
            if await duplex.say_goodbye():
                await duplex.linger()
        except TimeoutError as error:
            raise trio.BrokenResourceError(error.strerror) from error


class TLSListener(trio.abc.Listener[TLSStream[StreamT]]):
    """Accepts connections of another listener, each as a `TLSStream` of a server.

    The handshake is left to the stream's first call, in the task that serves it. Neither does it
    bound how many handshakes go on: `serve_tls` does.

    >>> import trio
    >>> from handclasp.trio import TLSListener
    >>> async def main():
    ...     config = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"))
    ...     (plain,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    ...     async with TLSListener(plain, config) as listener:
    ...         print(listener.transport_listener is plain)
    >>> trio.run(main)
    True

    Args:
        transport_listener: accepts the connections.
        config: the settings, which a server must have.
        https_compatible: as for `TLSStream`.
        make_trace: a function, such as `Recorder`, that returns the trace of each connection.

    Attributes:
        transport_listener: the listener below.
    """

    def __init__(
        self,
        transport_listener: trio.abc.Listener[StreamT],
        config: ServerConfig,
        *,
        https_compatible: bool = False,
        make_trace: Callable[[], Trace | None] | None = None,
    ) -> None:
        check_make_trace(make_trace, {})
        if not hasattr(transport_listener, "accept") or not hasattr(transport_listener, "aclose"):
            raise ConfigurationError(
                f"A listener of trio is needed, not {shown(transport_listener)}."
            )
        self.transport_listener = transport_listener
        self._config = server_config(config, "trio")
        self._https_compatible = https_compatible
        self._make_trace = make_trace

    @trio.lowlevel.enable_ki_protection
    async def accept(self) -> TLSStream[StreamT]:
        """Wait for a connection, and return its stream."""
        transport = await self.transport_listener.accept()
        try:
            return TLSStream(
                transport,
                self._config,
                https_compatible=self._https_compatible,
                trace=None if self._make_trace is None else self._make_trace(),
            )
        except BaseException:
            await trio.aclose_forcefully(transport)
            raise

    async def aclose(self) -> None:
        """Close the listener below."""
        await self.transport_listener.aclose()


class _Turn:
    """Lets one task in at a time, and refuses a second one as trio's own streams do."""

    def __init__(self, message: str) -> None:
        self._message = message
        self._taken = False

    def __enter__(self) -> None:
        if self._taken:
            raise trio.BusyResourceError(self._message)
        self._taken = True

    def __exit__(self, *exc: object) -> None:
        self._taken = False


def allowing_truncation(config: AnyConfig) -> AnyConfig:
    """Return the same config, which takes the end of the transport for the end of the stream.

    It is made once for each config, so that its servers have the same ticket keys.
    """
    if config.allow_truncation:
        return config
    return config.derived.once("allowing truncation", _allow_truncation, config)


def _allow_truncation(config: AnyConfig) -> AnyConfig:
    return replace(config, allow_truncation=True)


def _most(max_bytes: int | None) -> int:
    """Return the number of bytes to return at most, of which None means all."""
    if max_bytes is None:
        return sys.maxsize
    size = index(max_bytes)
    if size < 1:
        raise ValueError("max_bytes must be at least 1")
    return size


def _check_stream(given: object) -> None:
    """Refuse what is no stream of trio, such as a socket."""
    if hasattr(given, "send_all") and hasattr(given, "receive_some"):
        return
    message = f"A stream of trio is needed, not {shown(given)}."
    if hasattr(given, "fileno"):
        message += " For a socket that is trio.SocketStream(trio.socket.from_stdlib_socket(sock))."
    raise ConfigurationError(message)


def _note_ends(transport: trio.abc.Stream, trace: Trace | None) -> None:
    sock = socket_of(transport)
    if trace is not None and sock is not None:
        with suppress(OSError):  # A peer that is gone again has no address.
            note_addresses(trace, sock.getsockname(), sock.getpeername())
