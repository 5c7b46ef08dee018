"""A DNS server on loopback for a few names: over UDP and TCP, and over HTTPS."""

from __future__ import annotations

import socket
import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset
from tests.pki import Pki

import handclasp
from handclasp import ServerConfig

SECONDS = 20
_LARGEST_DATAGRAM = 1232


@dataclass
class Zone:
    """The names that there are, and how the others are answered.

    Attributes:
        records: the texts or bytes of the records of a type ("HTTPS", "A", "CNAME") of a name.
        rcode: the code for other names.
        is_silent: whether there is no answer at all.
        asked: the names and types that were asked for.
    """

    records: dict[tuple[str, str], list[str | bytes]] = field(default_factory=dict)
    rcode: Any = dns.rcode.NXDOMAIN
    is_silent: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, data: bytes) -> bytes | None:
        if self.is_silent:
            return None
        query = dns.message.from_wire(data)
        [question] = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((question.name.to_text(omit_final_dot=True), kind))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        name, is_there = question.name, False
        for _ in range(len(self.records) + 20):  # One that leads to itself comes to an end, too.
            text = name.to_text(omit_final_dot=True)
            is_there = is_there or any(text == each for each, _ in self.records)
            cname = self.records.get((text, "CNAME"))
            for type_, found in (("CNAME", cname), (kind, self.records.get((text, kind)))):
                if found is not None:
                    answer.answer.append(_rrset(name, type_, found))
            if cname is None:
                break
            name = dns.name.from_text(str(cname[0]))
        if not is_there:
            answer.set_rcode(self.rcode)
        return answer.to_wire(max_size=65535)


def _rrset(name: Any, kind: str, records: list[str | bytes]) -> Any:
    texts = [each for each in records if isinstance(each, str)]
    made = dns.rrset.from_text(name, 60, "IN", kind, *texts)
    number = dns.rdatatype.from_text(kind)
    for each in records:
        if isinstance(each, bytes):
            made.add(dns.rdata.GenericRdata(dns.rdataclass.IN, number, each))
    return made


@contextmanager
def dns_server(zone: Zone) -> Iterator[int]:
    """Answer over UDP and TCP; gives the port."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        port = int(listener.getsockname()[1])
        datagrams.bind(("127.0.0.1", port))
        datagrams.settimeout(0.1)
        ended = threading.Event()

        def serve_datagrams() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    data, client = datagrams.recvfrom(65535)
                    answer = zone.answer(data)
                    if answer is not None and len(answer) > _LARGEST_DATAGRAM:
                        short = dns.message.make_response(dns.message.from_wire(data))
                        short.flags |= dns.flags.TC
                        answer = short.to_wire()
                    if answer is not None:
                        datagrams.sendto(answer, client)

        def serve(client: socket.socket) -> None:
            size = int.from_bytes(client.recv(2), "big")
            answer = zone.answer(client.recv(size))
            if answer is None:
                client.recv(1)
                return
            client.sendall(len(answer).to_bytes(2, "big") + answer)

        threads = [threading.Thread(target=serve_datagrams), _accepting(listener, serve)]
        threads[0].start()
        try:
            yield port
        finally:
            ended.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(SECONDS)


def resolver_at(port: int, module: Any = dns.resolver) -> Any:
    """Return a resolver that asks a server on loopback alone."""
    resolver = module.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = port
    return resolver


Respond = Callable[[bytes], bytes]


def http_answer(
    body: bytes, *, status: str = "200 OK", kind: str = "application/dns-message"
) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def doh_server(
    zone: Zone, pki: Pki | None = None, respond: Respond | None = None, **settings: Any
) -> Iterator[str]:
    """Answer over HTTPS; gives the URL.

    Args:
        pki: issues its certificate, unless `settings` have one.
        respond: makes the whole answer of HTTP out of the message, instead of the right one.
        settings: for the config.
    """
    given: dict[str, Any] = {"alpn": ["http/1.1"]}
    if pki is not None:
        given["credentials"] = pki.server("localhost", "127.0.0.1")
    config = ServerConfig(**given | settings)

    def serve(client: socket.socket) -> None:
        with handclasp.wrap_server(client, config) as tls, tls.makefile("rb") as lines:
            while True:
                head = list(iter(lines.readline, b"\r\n")) if (first := lines.readline()) else []
                if not first:
                    return
                fields = {
                    name.strip().lower(): value.strip()
                    for name, _, value in (line.partition(b":") for line in head)
                }
                _, target, _ = first.split()
                message = lines.read(int(fields.get(b"content-length", b"0")))
                if first.startswith(b"GET "):  # The form of Firefox (RFC 8484 section 4.1).
                    message = urlsafe_b64decode(target.partition(b"?dns=")[2] + b"==")
                else:
                    assert fields[b"content-type"] == b"application/dns-message"
                if respond is not None:
                    tls.sendall(respond(message))
                    return
                answer = zone.answer(message)
                if answer is None:
                    lines.read(1)
                    return
                tls.sendall(http_answer(answer))
                if fields.get(b"connection", b"").lower() == b"close":
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = _accepting(listener, serve)
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/dns-query"
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(SECONDS)


def _accepting(listener: socket.socket, serve: Callable[[socket.socket], None]) -> threading.Thread:
    """Start to serve each client of a listener in a thread of its own; gives the first thread."""

    def serve_safely(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(SECONDS)
            serve(client)

    def accept() -> None:
        served: list[threading.Thread] = []
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                served.append(threading.Thread(target=serve_safely, args=(client,)))
                served[-1].start()
        for thread in served:
            thread.join(SECONDS)

    thread = threading.Thread(target=accept)
    thread.start()
    return thread
