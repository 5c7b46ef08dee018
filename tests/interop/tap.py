"""A relay on loopback that reads the part of a TLS handshake which travels in the clear.

It stands between the two ends and so sees what neither can misreport: how many ClientHellos
there were, and the version, suite and group that the server put into its ServerHello.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

# RFC 8446 section 4.1.3: this Random marks a HelloRetryRequest.
_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_HANDSHAKE, _CHANGE_CIPHER_SPEC = 22, 20
_CLIENT_HELLO, _SERVER_HELLO, _SERVER_KEY_EXCHANGE, _SERVER_HELLO_DONE = 1, 2, 12, 14
_SUPPORTED_VERSIONS, _KEY_SHARE = 43, 51
_KEPT = 1 << 17  # bytes kept of each direction: two hybrid ClientHellos fit many times over

SUITES = {
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0x1304: "TLS_AES_128_CCM_SHA256",
    0xC02B: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    0xC02C: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    0xC02F: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    0xC030: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    0xCCA8: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    0xCCA9: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    0x009C: "TLS_RSA_WITH_AES_128_GCM_SHA256",
    0x009D: "TLS_RSA_WITH_AES_256_GCM_SHA384",
}
GROUPS = {
    0x0017: "secp256r1",
    0x0018: "secp384r1",
    0x0019: "secp521r1",
    0x001D: "X25519",
    0x001E: "X448",
    0x11EB: "SecP256r1MLKEM768",
    0x11EC: "X25519MLKEM768",
    0x11ED: "SecP384r1MLKEM1024",
}


@dataclass(slots=True)
class Seen:
    """What the wire showed."""

    client_hellos: int = 0
    hello_retries: int = 0
    version: str | None = None
    suite: str | None = None
    group: str | None = None


@dataclass(slots=True)
class Tap:
    """A listening relay; `seen` may be asked once the conversation is over."""

    port: int
    _kept: dict[str, bytearray] = field(
        default_factory=lambda: {"client": bytearray(), "server": bytearray()}
    )

    def seen(self) -> Seen:
        seen = Seen()
        for kind, body in _messages(bytes(self._kept["server"])):
            if kind == _SERVER_HELLO:
                _read_server_hello(body, seen)
            elif kind == _SERVER_KEY_EXCHANGE and seen.version == "TLSv1.2":
                group = int.from_bytes(body[1:3], "big")
                seen.group = GROUPS.get(group, f"0x{group:04x}")
            if seen.version == "TLSv1.2" and kind == _SERVER_HELLO_DONE:
                break  # Behind the ChangeCipherSpec, handshake records are encrypted.
        old = seen.version == "TLSv1.2"
        for kind, _ in _messages(bytes(self._kept["client"]), until_change_cipher_spec=old):
            seen.client_hellos += kind == _CLIENT_HELLO
        return seen


@contextmanager
def tapping(server_port: int) -> Iterator[Tap]:
    """Relays connections to the tap's port on to 127.0.0.1:server_port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tap = Tap(listener.getsockname()[1])
        open_sockets: list[socket.socket] = []
        thread = threading.Thread(
            target=_relay, args=(listener, server_port, tap, open_sockets), daemon=True
        )
        thread.start()
        try:
            yield tap
        finally:
            with suppress(OSError):  # wakes an accept() that nobody came for
                listener.shutdown(socket.SHUT_RDWR)
            for each in open_sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for each in open_sockets:
                each.close()


def _relay(
    listener: socket.socket, server_port: int, tap: Tap, open_sockets: list[socket.socket]
) -> None:
    """One connection after the other; what is kept is of the first."""
    first = True
    while True:
        try:
            downstream, _ = listener.accept()
        except OSError:
            return  # the conversation is over
        open_sockets.append(downstream)
        try:
            upstream = socket.create_connection(("127.0.0.1", server_port), timeout=10)
        except OSError:
            downstream.close()
            continue
        upstream.settimeout(None)
        open_sockets.append(upstream)
        for each in (downstream, upstream):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kept = tap._kept if first else {"client": bytearray(), "server": bytearray()}
        first = False
        pump = threading.Thread(
            target=_pump, args=(upstream, downstream, kept["server"]), daemon=True
        )
        pump.start()
        _pump(downstream, upstream, kept["client"])
        pump.join()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    buffer = memoryview(bytearray(1 << 17))
    try:
        while count := source.recv_into(buffer):
            if len(kept) < _KEPT:
                kept += buffer[: min(count, _KEPT - len(kept))]
            sink.sendall(buffer[:count])
    except OSError:
        pass  # an end went away: the other is told below
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _messages(
    stream: bytes, *, until_change_cipher_spec: bool = False
) -> Iterator[tuple[int, bytes]]:
    """The handshake messages of a direction up to its first record that is not in the clear.

    In TLS 1.2 that is the one behind the ChangeCipherSpec, which in TLS 1.3 says nothing.
    """
    flight = bytearray()
    at = 0
    while at + 5 <= len(stream):
        content_type = stream[at]
        length = int.from_bytes(stream[at + 3 : at + 5], "big")
        if content_type == _HANDSHAKE:
            flight += stream[at + 5 : at + 5 + length]
        elif content_type != _CHANGE_CIPHER_SPEC or until_change_cipher_spec:
            break
        at += 5 + length
    at = 0
    while at + 4 <= len(flight):
        length = int.from_bytes(flight[at + 1 : at + 4], "big")
        yield flight[at], bytes(flight[at + 4 : at + 4 + length])
        at += 4 + length


def _read_server_hello(body: bytes, seen: Seen) -> None:
    if body[2:34] == _RETRY_RANDOM:
        seen.hello_retries += 1
        return
    after_session_id = 35 + body[34]
    suite = int.from_bytes(body[after_session_id : after_session_id + 2], "big")
    seen.suite = SUITES.get(suite, f"0x{suite:04x}")
    seen.version = "TLSv1.2"
    at = after_session_id + 5
    while at + 4 <= len(body):
        extension = int.from_bytes(body[at : at + 2], "big")
        length = int.from_bytes(body[at + 2 : at + 4], "big")
        value = body[at + 4 : at + 4 + length]
        if extension == _SUPPORTED_VERSIONS and value == b"\x03\x04":
            seen.version = "TLSv1.3"
        elif extension == _KEY_SHARE:
            group = int.from_bytes(value[:2], "big")
            seen.group = GROUPS.get(group, f"0x{group:04x}")
        at += 4 + length
