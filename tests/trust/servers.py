"""A server on OpenSSL that shows what it is told, and says which alert it got for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

from cryptography import x509
from OpenSSL import SSL

SECONDS = 20


@dataclass
class Seen:
    """Where the server is, and which alerts it got, as OpenSSL spells them."""

    port: int
    alerts: Queue[str] = field(default_factory=Queue)

    def next_alert(self) -> str:
        """The name of the alert that ended a connection, waited for."""
        return self.alerts.get(timeout=SECONDS)


@contextmanager
def serving(
    chain: Sequence[x509.Certificate], key: Any, staple: bytes | None = None
) -> Iterator[Seen]:
    """A TLS 1.3 server on 127.0.0.1 for as long as the context lasts.

    Args:
        chain: the certificates, leaf first; OpenSSL sends them as they are.
        staple: the OCSP response to send, as DER.
    """
    context = _context(chain, key, staple)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = Seen(listener.getsockname()[1])
        thread = threading.Thread(target=_accept, args=(listener, context, seen))
        thread.start()
        try:
            yield seen
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(SECONDS)


def _context(chain: Sequence[x509.Certificate], key: Any, staple: bytes | None) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    # What is weak on purpose must still be shown.
    context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
    leaf, *others = chain
    context.use_certificate(leaf)
    for other in others:
        context.add_extra_chain_cert(other)
    context.use_privatekey(key)
    if staple is not None:
        context.set_ocsp_server_callback(lambda connection, data: staple)
    return context


def _accept(listener: socket.socket, context: SSL.Context, seen: Seen) -> None:
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        with accepted:
            accepted.settimeout(SECONDS)
            _handshake(accepted, context, seen)


def _handshake(accepted: socket.socket, context: SSL.Context, seen: Seen) -> None:
    connection = SSL.Connection(context, None)
    connection.set_accept_state()
    try:
        _complete(connection, accepted)
        # The client has the last word in TLS 1.3, so its alert may come only now.
        connection.bio_write(accepted.recv(65536))
        connection.recv(100)
    except SSL.ZeroReturnError:
        pass
    except SSL.Error as error:
        for *_, reason in _reasons(error):
            seen.alerts.put(reason)
    except OSError:
        pass


def _reasons(error: SSL.Error) -> list[tuple[str, str, str]]:
    found: Any = error.args[0] if error.args else []
    return list(found) if isinstance(found, list) else []


def _complete(connection: SSL.Connection, accepted: socket.socket) -> None:
    while True:
        try:
            connection.do_handshake()
            done = True
        except SSL.WantReadError:
            done = False
        with suppress(SSL.WantReadError):
            while True:
                accepted.sendall(connection.bio_read(65536))
        if done:
            return
        data = accepted.recv(65536)
        if not data:
            raise ConnectionError("the client went away")
        connection.bio_write(data)
