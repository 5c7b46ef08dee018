"""The ways to read the metrics of a server: at a port, or in a file."""

from __future__ import annotations

import threading
from socket import socket
from socketserver import ThreadingMixIn
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import prometheus_client
from prometheus_client import CollectorRegistry, write_to_textfile

_client: Any = prometheus_client  # Some of its functions have no types.

WRITE_SECONDS = 10.0
"""The time between two states of the file."""


class Exposition(Protocol):
    """A place where metrics can be read."""

    def write(self) -> object:
        """Write the first state, where they are in a file. Raises `OSError`."""
        ...

    def start(self) -> object:
        """Begin, in a process that does not fork any more."""
        ...

    def close(self) -> object:
        """End, with the last state."""
        ...


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10.0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Say nothing."""


class Endpoint:
    """A page over HTTP, without TLS and without a password.

    Args:
        listener: a listening socket.
        registry: has the metrics.
    """

    def __init__(self, listener: socket, registry: CollectorRegistry) -> None:
        host, port = listener.getsockname()[:2]
        server = _Server((host, port), _Handler, bind_and_activate=False)
        server.socket.close()
        # The server's own way asks the resolver for a name.
        server.socket, server.server_name, server.server_port = listener, host, port
        server.setup_environ()
        server.set_app(_client.make_wsgi_app(registry))
        self._server = server

    def write(self) -> None:
        """Do nothing: there is no file."""

    def start(self) -> None:
        """Answer, in a thread."""
        threading.Thread(target=self._server.serve_forever, daemon=True, name="metrics").start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class TextFile:
    """A file that is replaced every ten seconds, for the textfile collector of node_exporter.

    Args:
        path: the file.
        registry: has the metrics.
    """

    def __init__(self, path: str, registry: CollectorRegistry) -> None:
        self._path = path
        self._registry = registry
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="metrics")

    def write(self) -> None:
        """Write the file now. Raises `OSError`."""
        write_to_textfile(self._path, self._registry)

    def start(self) -> None:
        """Write, in a thread: a disk that hangs stops nothing else."""
        self._thread.start()

    def close(self) -> None:
        """Write the last state, if the disk takes it in time."""
        self._ending.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        while not self._ending.wait(WRITE_SECONDS):
            self._try()
        self._try()

    def _try(self) -> None:
        try:
            self.write()
        except OSError:
            # The disk is full, perhaps; the age of the file tells, which the collector exports.
            return
