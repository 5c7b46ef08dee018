"""DNS over HTTPS (RFC 8484) on this library's own sockets: the request, and what comes back.

One POST by HTTP/1.1 for each query, and the server closes.
"""

from __future__ import annotations

import socket
import time
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import Any, cast
from urllib.parse import urlsplit

from handclasp.adapters.sockets import TLSSocket, wrap_client
from handclasp.certificates.names import host_problem, normal_name
from handclasp.config import ClientConfig
from handclasp.errors import ConfigurationError, TruncationError, shown
from handclasp.values import dataclass, field, replace

_MEDIA_TYPE = "application/dns-message"
_MOST_BYTES = 65535 + 16 * 1024
"""The bytes of an answer: the longest message of the DNS, and a head."""
_OK = 200


class DohError(Exception):
    """An answer that is not one of DNS over HTTPS."""


@dataclass(frozen=True, slots=True)
class DohServer:
    """A server of DNS over HTTPS."""

    host: str
    port: int
    path: str
    authority: str
    config: ClientConfig = field(repr=False)

    @classmethod
    def of(cls, url: str, config: ClientConfig | None) -> DohServer:
        """Return the server of a URL, https://HOST[:PORT]/PATH. Raises `ConfigurationError`."""
        try:
            parts = urlsplit(url)
            port = 443 if parts.port is None else parts.port
        except (ValueError, AttributeError, TypeError):
            raise ConfigurationError(f"doh: {shown(url)} is not a URL.") from None
        path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        is_plain = url.isascii() and not any(each <= " " or each == "\x7f" for each in url)
        is_whole = parts.hostname and port and "@" not in parts.netloc
        if parts.scheme != "https" or not is_whole or not is_plain:
            raise ConfigurationError(
                f"doh: {shown(url)} is not the URL of a DNS server: https://HOST/dns-query."
            )
        host = parts.hostname or ""
        if problem := host_problem(normal_name(host)):
            raise ConfigurationError(f"doh: {shown(host)} {problem}.")
        given = config if config is not None else ClientConfig()
        if given.ech is not None:
            raise ConfigurationError(
                "doh_config: ech is for the DNS server's own name; leave it out."
            )
        return cls(host, port, path, parts.netloc, replace(given, alpn=["http/1.1"]))

    def request(self, query: bytes) -> bytes:
        """Return the request for a message of the DNS."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.authority}\r\nAccept: {_MEDIA_TYPE}\r\n"
            f"Content-Type: {_MEDIA_TYPE}\r\nContent-Length: {len(query)}\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode("ascii") + query

    def ask(self, query: bytes, seconds: float) -> bytes:
        """Return the answer to a message, in time. Raises `OSError` and `DohError`."""
        deadline = time.monotonic() + seconds
        with self._connected(deadline) as tls:
            tls.sendall(self.request(query))
            received = bytearray()
            try:
                while data := _read(tls, deadline):
                    received += data
                    _check_size(received)
            except TruncationError:
                pass  # Whether all has come, its length tells.
        return answer_in(bytes(received))

    async def ask_async(self, query: bytes, seconds: float) -> bytes:
        """Return the answer to a message, like `ask`; the caller sees to the time."""
        from handclasp.adapters.asyncio import open_connection

        del seconds
        reader, writer = await open_connection(self.host, self.port, config=self.config)
        try:
            writer.write(self.request(query))
            received = bytearray()
            try:
                while data := await reader.read(65536):
                    received += data
                    _check_size(received)
            except TruncationError:
                pass  # Whether all has come, its length tells.
        finally:
            writer.transport.abort()
        return answer_in(bytes(received))

    def _connected(self, deadline: float) -> TLSSocket:
        failure: OSError = OSError("the name has no address")
        for *_, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            try:
                sock = socket.create_connection((str(address[0]), self.port), _left(deadline))
            except OSError as error:
                failure = error
                continue
            try:
                sock.settimeout(_left(deadline))
                return wrap_client(sock, self.config, server_name=self.host)
            except BaseException:
                sock.close()
                raise
        raise failure


def _read(tls: TLSSocket, deadline: float) -> bytes:
    tls.settimeout(_left(deadline))
    return tls.recv(65536)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _check_size(received: bytearray) -> None:
    if len(received) > _MOST_BYTES:
        raise DohError(f"its answer has more than {_MOST_BYTES:,} bytes")


class _Received:
    """The bytes of an answer, as `http.client` wants to read them."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any) -> BytesIO:
        return BytesIO(self._data)


def answer_in(data: bytes) -> bytes:
    """Return the body of an HTTP answer; raise `DohError` if it is not one of the DNS."""
    response = HTTPResponse(cast(socket.socket, _Received(data)), method="POST")
    try:
        response.begin()
        status, kind = response.status, response.headers.get_content_type()
        body = response.read()
    except (HTTPException, OSError, ValueError, OverflowError) as error:
        raise DohError(f"its answer is not whole, or no HTTP ({type(error).__name__})") from None
    if status != _OK:
        raise DohError(f"it answers with the HTTP status {status}")
    if kind != _MEDIA_TYPE:
        raise DohError(f"its answer is {shown(kind)} and not {_MEDIA_TYPE}")
    return body
