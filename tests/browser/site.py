"""A small HTTPS site for browsers, on top of the public surface alone.

It notes what the server's side of every connection saw, which is what the tests ask about.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import handclasp
from handclasp import ConnectionInfo, ServerConfig, TLSError, TLSSocket, TruncationError

_SECONDS = 30.0

ONE_AFTER_THE_OTHER = """\
<script>
  let number = 0;
  const next = () => {
    if (number === 4) return;
    const image = new Image();
    image.onerror = next;
    image.src = `again${number++}.png`;
  };
  next();
</script>
"""
"""A page that wants four pictures. Browsers open a second connection ahead of need, before they
have a ticket, and Firefox does not keep the one that a resumed TLS 1.2 connection brings: so not
every one of these comes over a resumed connection, but some do."""


@dataclass
class Visit:
    """One connection: what was agreed upon, the paths that were asked for, what went wrong."""

    info: ConnectionInfo | None = None
    paths: list[str] = field(default_factory=list)
    error: TLSError | None = None


class Accepted(socket.socket):
    """One that can be shut down while TLS is spoken over it, as plain ones cannot be."""


class Site:
    """Serves one page under the name localhost.

    With `closes`, each connection serves one request: what the page needs besides comes over
    another.
    """

    def __init__(
        self, listener: socket.socket, config: ServerConfig, page: str, *, closes: bool
    ) -> None:
        self.url = f"https://localhost:{listener.getsockname()[1]}/"
        self._listener = listener
        self._config = config
        self._page = page.encode()
        self._closes = closes
        self._visits: list[Visit] = []
        self._sockets: list[socket.socket] = []
        self._failed = threading.Condition()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def shown_to(self) -> list[ConnectionInfo]:
        """The connections over which the page was asked for."""
        return [visit.info for visit in self._visits if visit.info and "/" in visit.paths]

    def asked_for(self, path: str) -> list[ConnectionInfo]:
        """The connections over which this was asked for."""
        return [visit.info for visit in self._visits if visit.info and path in visit.paths]

    @property
    def failures(self) -> list[TLSError]:
        """What went wrong, but for clients that left without a word.

        Browsers connect ahead of need, and drop such connections as they end.
        """
        errors = [visit.error for visit in self._visits if visit.error is not None]
        return [error for error in errors if not isinstance(error, TruncationError)]

    def wait_for_failure(self) -> None:
        """Until something went wrong."""
        with self._failed:
            assert self._failed.wait_for(lambda: self.failures, _SECONDS), "nothing went wrong"

    def stop(self) -> None:
        """End all connections; afterwards the visits are complete."""
        for sock in (self._listener, *self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_SECONDS)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock = Accepted(fileno=sock.detach())
            sock.settimeout(_SECONDS)
            visit = Visit()
            thread = threading.Thread(target=self._serve, args=(sock, visit))
            self._visits.append(visit)
            self._sockets.append(sock)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, visit: Visit) -> None:
        try:
            with handclasp.wrap_server(sock, self._config) as tls:
                visit.info = tls.info
                self._talk(tls, visit)
        except TLSError as error:
            with self._failed:
                visit.error = error
                self._failed.notify_all()
        except OSError:
            pass  # A reset; there is no rule of TLS about it.

    def _talk(self, tls: TLSSocket, visit: Visit) -> None:
        for path in re.findall(rb"^GET (\S+) HTTP/1\.1\r\n", tls.early_data, re.MULTILINE):
            visit.paths.append(path.decode("ascii"))
            tls.sendall(self._answer(visit.paths[-1]))
            if self._closes:
                return
        with cast(BinaryIO, tls.makefile("rb")) as requests:
            while line := requests.readline():
                while requests.readline().strip():
                    pass
                path = line.split()[1].decode("ascii")
                visit.paths.append(path)
                tls.sendall(self._answer(path))
                if self._closes:
                    return

    def _answer(self, path: str) -> bytes:
        if path != "/":  # Browsers ask for an icon, too.
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
        head += "Connection: close\r\n" if self._closes else ""
        return f"{head}Content-Length: {len(self._page)}\r\n\r\n".encode() + self._page


@contextmanager
def site(config: ServerConfig, page: str, *, closes: bool = False) -> Iterator[Site]:
    """A site that is up inside the block and gone after it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = Site(listener, config, page, closes=closes)
        try:
            yield running
        finally:
            running.stop()
