"""The sockets and objects of `ssl`, with more: the story of the handshake, its facts, and 0-RTT.

They are subclasses of `ssl.SSLSocket` and `ssl.SSLObject`, which a context of handclasp makes
unless its `sslsocket_class` or `sslobject_class` is set. Nothing of `ssl` is overridden but the end
of a socket.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from handclasp.compat.link import Link
from handclasp.compat.stories import not_begun, story_of
from handclasp.errors import StateError
from handclasp.info import ConnectionInfo
from handclasp.trace.hooks import Trace


class More:
    """The methods of a connection of handclasp that `ssl` does not have.

    Attributes:
        trace: what `make_trace` of the context has made for this connection; None before the
            handshake begins, and without `make_trace`.
    """

    trace: Trace | None = None

    def explain(self, *, width: int = 80, detail: int = 0) -> str:
        """Return the story of this handshake as text, also after a failure and after `close`.

        It is `Recorder.to_text`, which has the arguments: a sequence diagram, with one sentence for
        each message, and the reason for a failure. The context must have had
        `make_trace = handclasp.Recorder` when the handshake began; docs/compat.md says what that
        costs. Where the handshake fails in `wrap_socket` itself, there is no socket: the exception
        has this method as well.

        Raises:
            StateError: the handshake has not begun.
            ConfigurationError: there is no such trace.
        """
        if self.trace is None:
            self._check_begun()
        return story_of(self.trace, width=width, detail=detail)

    @property
    def info(self) -> ConnectionInfo | None:
        """The parameters that the handshake agreed upon; None until it is complete."""
        return self._link.info

    def export_keying_material(self, label: str, context: bytes | None, length: int) -> bytes:
        """Return `length` bytes that only the two ends know (RFC 9846 section 7.5).

        Raises:
            ValueError: the handshake is not complete.
        """
        return self._link.export_keying_material(label, length, context)

    def send_early_data(self, data: bytes) -> None:
        """Let data leave with the first flight of the handshake that follows (0-RTT).

        For a client, with a session of this server: by `context.resume` or `session=`. An attacker
        who records the data can send them to the server again, so a repetition must do no harm.
        They are never sent a second time: `early_data_rejected` holds what was not delivered. The
        server of the session is verified anew before anything leaves.

        >>> import ssl
        >>> from handclasp.compat import SSLContext
        >>> context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        >>> context.resume = SessionStore()
        >>> context.load_verify_locations("ca.pem")
        >>> sock = socket.create_connection(("example.com", 443))
        >>> with context.wrap_socket(
        ...     sock, server_hostname="example.com", do_handshake_on_connect=False
        ... ) as tls:
        ...     tls.send_early_data(b"hello")
        ...     tls.do_handshake()
        ...     tls.sendall(tls.early_data_rejected)  # Nothing knows this server yet: all of it.
        ...     tls.recv(5)
        b'hello'

        Raises:
            StateError: this is a server, the handshake has begun, or this was called before.
            ConfigurationError: the data are not bytes, or the context has no TLS 1.3.
        """
        self._link.send_early_data(data)

    @property
    def early_data(self) -> bytes:
        """For a server: what the client sent before the handshake was complete (0-RTT).

        `recv` does not return it again. It is not forward secret, and an attacker who recorded it
        may have sent it to another server as well: act upon it only if that does no harm. It is
        complete when the handshake is; b"" if there is none, which it never is unless the context
        has `max_early_data`, and always for a client.

        Raises:
            StateError: the handshake is not complete.
        """
        self._link.check_early_data_known()
        return self._link.early.received

    @property
    def early_data_rejected(self) -> bytes:
        """For a client: the part of its early data that was not delivered.

        All of it if no session allowed early data, or if the server refused it. The program must
        send it again itself.

        Raises:
            StateError: the handshake is not complete.
        """
        self._link.check_early_data_known()
        return self._link.early.undelivered

    def _check_begun(self) -> None:
        """Refuse to tell a handshake for which it is too early, rather than not traced."""
        context: object = getattr(self, "context", None)
        is_traced = getattr(context, "make_trace", None) is not None
        link: object = self.__dict__.get("_sslobj")
        # A socket that is not connected or closed has none, and nothing to tell if it is traced.
        if (is_traced or link is not None) and not self._link.has_begun:
            raise not_begun(is_traced=is_traced)

    @property
    def _link(self) -> Link:
        link: object = self.__dict__.get("_sslobj")
        if not isinstance(link, Link):
            problem = "not connected, closed, or a connection of OpenSSL"
            raise StateError(f"This socket has no connection of handclasp: it is {problem}.")
        return link


class SSLSocket(More, ssl.SSLSocket):
    """An `ssl.SSLSocket` with more.

    >>> import ssl
    >>> from handclasp.compat import SSLContext
    >>> context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    >>> context.load_verify_locations("ca.pem")
    >>> context.make_trace = Recorder
    >>> sock = socket.create_connection(("example.com", 443))
    >>> with context.wrap_socket(sock, server_hostname="example.com") as tls:
    ...     print(tls.explain().splitlines()[0])
    client                                                                    server
    """

    def _real_close(self, *arguments: Any) -> None:
        link: object = self.__dict__.get("_sslobj")
        if isinstance(link, Link):
            link.give_up()
            link.discard_unread()
            # `ssl` forgets the connection first: what another thread sends before the socket is
            # closed would leave in the clear, and what it reads would be records.
            socket.socket._real_close(self, *arguments)  # type: ignore[attr-defined]
        super()._real_close()  # type: ignore[misc]

    def shutdown(self, how: int) -> None:
        """Shut down one or both directions of the socket, as `ssl.SSLSocket.shutdown` does.

        With `ssl`, everything is in the clear afterwards, and even while this is going on. Here,
        nothing more can be sent if `how` is `SHUT_WR` or `SHUT_RDWR`, and what is sent after
        `SHUT_RD` is encrypted.
        """
        if not isinstance(self.__dict__.get("_sslobj"), Link):
            super().shutdown(how)
            return
        self._checkClosed()  # type: ignore[attr-defined]
        socket.socket.shutdown(self, how)
        if how != socket.SHUT_RD:
            self._sslobj = None


class SSLObject(More, ssl.SSLObject):
    """An `ssl.SSLObject` with more: as `SSLSocket`, over memory BIOs.

    >>> import ssl
    >>> from handclasp.compat import SSLContext, SSLObject
    >>> context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    >>> tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="example.com")
    >>> isinstance(tls, SSLObject) and tls.info is None
    True
    """
