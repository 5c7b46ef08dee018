"""The connections of a scan, by asyncio: one at a time to each host, many hosts at once.

A host is asked by one connection after the other, so that it never has two of a scan. `Pace` bounds
the connections of a whole scan per second. Each exchange has a time limit, and each host bounds of
its own (`ScanSettings`), so that no server can hold up a scan, or make it collect without limit.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

from handclasp.advice import worded
from handclasp.certificates.names import ip_address
from handclasp.certificates.trust import TrustStore
from handclasp.client import ClientConnection, check_server_name
from handclasp.config import ClientConfig
from handclasp.descriptors import connections_possible
from handclasp.dns.errors import DnsError, NoEchError
from handclasp.dns.records import HttpsEndpoint
from handclasp.errors import (
    CertificateError,
    ConfigurationError,
    PeerAlertError,
    TLSError,
    TruncationError,
)
from handclasp.events import DataReceived, PeerClosed
from handclasp.info import ConnectionInfo
from handclasp.scan.answer import Answer, AnswerReader
from handclasp.scan.hello import write_hello
from handclasp.scan.legacy import OldAnswer, read_old_answer, write_old_hello
from handclasp.scan.names import Found, Resolver
from handclasp.scan.plan import examine
from handclasp.scan.probes import Offer
from handclasp.scan.report import TLS_AT_ONCE, Report, Target
from handclasp.scan.robot import RANDOM_BYTES, read_reaction, write_second_flight
from handclasp.scan.steps import Ask, AskOld, Exchange, LookUp, Provoke, Shake, Shaken
from handclasp.starttls import PROTOCOLS, opening
from handclasp.starttls.dialogue import Dialogue, DialogueError
from handclasp.starttls.proxy import Proxy
from handclasp.trace.events import MessageSeen
from handclasp.trace.recorder import EventRecorder
from handclasp.values import dataclass, field

_READ = 16 * 1024
_MOST_RECEIVED = 16 * 1024
_QUIET_SECONDS = 0.25
"""The time after a handshake without a request in which tickets are waited for."""
_ANSWER_SECONDS = 2.0
"""The longest time for the answer to a request: it is asked for its headers alone."""
_UNPROMISED_SECONDS = 0.5
_UNPROMISED_HANDSHAKES = 4
"""The time for that answer where nothing promises HTTP: the larger of both."""
_HTTPS_PORT = 443
_WAITING_SECONDS = 0.5
"""The time in which a server would complain of half a flight."""
_RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """The bounds and the ways of a scan.

    See `handclasp.scan` for an example.

    Attributes:
        trust: the authorities that the certificates are verified with; None for the system's.
        timeout: seconds for one connection and its answer.
        host_seconds: seconds for one host; what is not found out until then stays unknown.
        host_connections: connections to one host, likewise. A usual server takes 40 to 80.
        starttls: the name of a protocol in `handclasp.starttls.PROTOCOLS`, to turn to TLS as it
            does; None if TLS begins at once.
        proxy: the HTTP proxy to go by.
        config: credentials and other settings for handshakes; verify_peer is False in it.
        rate: connections per second of the whole scan, at most; 0 for no bound.
        concurrency: hosts that are scanned at once.
        ech_lookup: looks up the ECH configurations of a name and port, which are then tried:
            `handclasp.dns.lookup_ech_async`, or a partial of it. None asks no DNS for them.

    Raises:
        ConfigurationError: config verifies the peer, or ech_lookup and starttls are both given:
            HTTPS records do not concern other protocols.
    """

    trust: TrustStore | None = None
    timeout: float = 5.0
    host_seconds: float = 120.0
    host_connections: int = 600
    starttls: str | None = None
    proxy: Proxy | None = None
    config: ClientConfig = field(default_factory=lambda: ClientConfig(verify_peer=False))
    rate: float = 0.0
    concurrency: int = 32
    ech_lookup: Callable[[str, int], Awaitable[HttpsEndpoint]] | None = None

    def __post_init__(self) -> None:
        for name in ("timeout", "host_seconds", "host_connections", "concurrency"):
            value: object = getattr(self, name)
            if not isinstance(value, int | float) or not value > 0:
                raise ConfigurationError(f"{name} must be a number above 0, not {value!r}.")
        if not isinstance(cast("object", self.rate), int | float) or not self.rate >= 0:
            raise ConfigurationError(f"rate must be a number, 0 or more, not {self.rate!r}.")
        if self.config.verify_peer:
            raise ConfigurationError("A scan reads certificates that nobody trusts: verify_peer.")
        if self.ech_lookup is not None and self.starttls is not None:
            raise ConfigurationError(
                "ech_lookup reads HTTPS records, which do not concern starttls."
            )


class Pace:
    """Spreads the connections of a scan over time, and its lookups of names over threads.

    Args:
        rate: connections per second; 0 for no bound.
        lookups: names that are resolved at once.
    """

    def __init__(self, rate: float, lookups: int = 32) -> None:
        self.names = Resolver(lookups)
        self._interval = 1 / rate if rate > 0 else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until the next connection may begin."""
        if not self._interval:
            return
        now = asyncio.get_running_loop().time()
        start = max(self._next, now)
        self._next = start + self._interval
        if start > now:
            await asyncio.sleep(start - now)


async def scan(
    target: Target, settings: ScanSettings | None = None, *, pace: Pace | None = None
) -> Report:
    """Scan one server; return what was found out.

    A server that cannot be reached, or speaks no TLS, gives a report with an `error`; nothing that
    a server sends raises.

    See `handclasp.scan` for an example.

    Args:
        pace: shared by several scans, which then keep its rate together.

    Raises:
        ConfigurationError: the name of the target cannot be one.
    """
    settings = settings if settings is not None else ScanSettings()
    name = check_server_name(settings.config, target.name)
    report = Report(target, _starttls(target, settings))
    pace = pace if pace is not None else Pace(settings.rate, settings.concurrency)
    is_address = name is None or ip_address(name) is not None
    offer = Offer("" if is_address else str(name), settings.config)
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(settings.host_seconds) as clock:
            await _Host(target, settings, pace, report, clock).run(offer)
    except TimeoutError:
        report.break_off(f"{settings.host_seconds:g} s were not enough for this host.")
    report.elapsed = asyncio.get_running_loop().time() - began
    if report.chains:
        trust = settings.trust if settings.trust is not None else TrustStore.system()
        report.verify_chains(trust, datetime.now(UTC))
    return report


async def scan_all(
    targets: Iterable[Target], settings: ScanSettings | None = None
) -> AsyncIterator[Report]:
    """Scan many servers at once; yield each report when it is complete.

    Targets are taken as they are needed. Where this process may not open files for
    `ScanSettings.concurrency` hosts, fewer are scanned at once. A target with an impossible name
    gives a report with an `error`.

    See `handclasp.scan` for an example.
    """
    settings = settings if settings is not None else ScanSettings()
    most = min(settings.concurrency, connections_possible())
    pace = Pace(settings.rate, most)
    running: set[asyncio.Task[Report]] = set()
    ahead = iter(targets)
    try:
        while True:
            while len(running) < most:
                target = next(ahead, None)
                if target is None:
                    break
                running.add(asyncio.create_task(scan_any(target, settings, pace)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _starttls(target: Target, settings: ScanSettings) -> str | None:
    """Return the protocol in which TLS is begun; None where it begins at once.

    Raises:
        ConfigurationError: the target names one that is not there.
    """
    own = target.starttls if target.starttls is not None else settings.starttls
    if own is None or own == TLS_AT_ONCE:
        return None
    if own not in PROTOCOLS:
        raise ConfigurationError(f"There is no starttls {own!r}, only {', '.join(PROTOCOLS)}.")
    return own


async def scan_any(target: Target, settings: ScanSettings, pace: Pace) -> Report:
    """Scan one of many servers: a target with an impossible name gives a report, too."""
    try:
        return await scan(target, settings, pace=pace)
    except ConfigurationError as error:
        return Report(target, error=str(error))


def _reason(error: OSError) -> str:
    """Return what an error of the system means, without asyncio's words around it."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "this machine's limit of open files is reached: lower --concurrency, or raise it"
    if error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _trouble(failure: TLSError | None) -> str:
    """Return why a connection failed after its handshake; empty where the server only left."""
    if failure is None or isinstance(failure, TruncationError):
        return ""
    gave_up = "this scan gave up: " if failure.origin == "local" else ""
    return gave_up + str(failure).rstrip(".")


_Result: TypeAlias = Answer | OldAnswer | Shaken | str | HttpsEndpoint | DnsError


class _Stopped(Exception):
    """The scan of a host ends here, for the reason given; `fix` says what to do about it."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.fix = fix


class _Host:
    """The connections to one host, one after the other."""

    def __init__(
        self,
        target: Target,
        settings: ScanSettings,
        pace: Pace,
        report: Report,
        clock: asyncio.Timeout,
    ) -> None:
        self._target = target
        self._settings = settings
        self._pace = pace
        self._report = report
        self._clock = clock
        self._found: list[tuple[Any, ...]] = []
        self._talk: Dialogue | None = None

    async def run(self, offer: Offer) -> None:
        """Carry out the exchanges of the plan, until it is done or a bound is reached."""
        asks_dns = self._settings.ech_lookup is not None and self._report.starttls is None
        plan = examine(offer, self._report, self._request(), asks_dns=asks_dns)
        try:
            exchange = next(plan)
            while True:
                exchange = plan.send(await self._perform(exchange))
        except StopIteration:
            pass
        except _Stopped as reason:
            plan.close()
            if self._report.versions:
                self._report.break_off(str(reason))
            else:
                self._report.error, self._report.fix = str(reason), reason.fix

    def _request(self) -> bytes:
        if self._report.starttls is not None:
            return b""
        name = self._target.name.encode("ascii", "ignore").decode()
        return f"HEAD / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()

    async def _perform(self, exchange: Exchange) -> _Result:
        if isinstance(exchange, LookUp):
            return await self._look_up(exchange)
        most = self._settings.host_connections
        if self._report.connections >= most:
            raise _Stopped(f"{most} connections were not enough for this host.")
        sock = await self._connected()
        try:
            match exchange:
                case Ask():
                    return await self._ask(sock, exchange)
                case AskOld():
                    return await self._ask_old(sock)
                case Provoke():
                    return await self._provoke(sock, exchange)
                case Shake():
                    return await self._shake(sock, exchange)
        finally:
            sock.close()

    async def _look_up(self, wanted: LookUp) -> HttpsEndpoint | DnsError:
        ask = self._settings.ech_lookup
        if ask is None:
            return NoEchError("Nobody was asked: the settings have no ech_lookup.")
        try:
            return await ask(wanted.name, wanted.port)
        except DnsError as error:
            return error

    async def _connected(self) -> socket.socket:
        """Connect, and say what comes before TLS; try once more after a failure."""
        reason = fix = ""
        for attempt in range(2):
            self._talk = None
            try:
                if not self._found:
                    self._found = await self._resolved()
                with self._stopped_clock():
                    await self._pace.turn()
                self._report.connections += 1
                async with asyncio.timeout(self._settings.timeout):
                    return await self._say_before(await self._connect())
            except DialogueError as error:
                raise _Stopped(error.message, worded(error.fix, "connect")) from None
            except OSError as error:
                reason, fix = self._why_not_connected(error)
            except UnicodeError:
                raise _Stopped(f"{self._target.host!r} is not a host name.") from None
            if attempt or not self._report.versions:
                break
            await asyncio.sleep(_RETRY_SECONDS)
        raise _Stopped(reason, fix)

    async def _resolved(self) -> Found:
        """Return the addresses to connect to: those of the proxy, if there is one."""
        target, seconds = self._target, self._settings.timeout
        host, port = target.host, target.port
        if (proxy := self._settings.proxy) is not None:
            host, port = proxy.host, proxy.port
        if ip_address(host) is not None:
            # The flag keeps whatever else this might be from a resolver, which would block.
            numeric = socket.AI_NUMERICHOST
            return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric))
        with self._stopped_clock():
            await self._pace.names.turn()
        try:
            return await self._pace.names.resolve(host, port, seconds)
        except TimeoutError:
            raise _Stopped(
                f"the name {host} was not resolved within {seconds:g} s: no DNS server answered."
            ) from None

    @contextmanager
    def _stopped_clock(self) -> Generator[None]:
        """Stop the time of this host during a wait for others."""
        now, deadline = asyncio.get_running_loop().time, self._clock.when()
        began = now()
        self._clock.reschedule(None)
        try:
            yield
        finally:
            if deadline is not None:
                self._clock.reschedule(deadline + now() - began)

    def _why_not_connected(self, error: OSError) -> tuple[str, str]:
        """Return why there is no TLS to begin with, and what to do."""
        seconds = self._settings.timeout
        if self._talk is None:
            if isinstance(error, TimeoutError):
                return f"no connection within {seconds:g} s.", ""
            return f"no connection: {_reason(error)}.", ""
        if isinstance(error, TimeoutError):
            late = self._talk.time_out(seconds)
            return late.message, worded(late.fix, "connect")
        return f"the connection broke before TLS began: {_reason(error)}.", ""

    async def _connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        failure: OSError | None = None
        for each in list(self._found):
            sock = socket.socket(*each[:3])
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(sock, each[4])
                # All connections go to one address, as several may lead to several servers.
                self._found = [each]
                self._report.address = str(each[4][0])
            except OSError as error:
                sock.close()
                failure = failure or error
                continue
            except BaseException:
                sock.close()
                raise
            return sock
        raise failure or OSError("the name has no address")

    async def _say_before(self, sock: socket.socket) -> socket.socket:
        """Hold the dialogue before TLS; return the socket, which a failure closes."""
        target, starttls, proxy = self._target, self._report.starttls, self._settings.proxy
        if starttls is None and proxy is None:
            return sock
        loop = asyncio.get_running_loop()
        talk = opening(starttls, target.host, target.port, proxy=proxy)
        self._talk = talk
        try:
            while True:
                await loop.sock_sendall(sock, talk.data_to_send())
                if talk.is_over:
                    return sock
                talk.receive_data(await loop.sock_recv(sock, _READ))
        except BaseException:
            sock.close()
            raise

    async def _ask(self, sock: socket.socket, asked: Ask) -> Answer:
        loop = asyncio.get_running_loop()
        reader = AnswerReader(whole_flight=asked.whole_flight)
        try:
            async with asyncio.timeout(self._settings.timeout):
                await loop.sock_sendall(sock, write_hello(asked.hello, os.urandom(64)))
                while not reader.is_over:
                    reader.receive_data(await loop.sock_recv(sock, _READ))
        except TimeoutError:
            reader.end("silent", f"nothing more came for {self._settings.timeout:g} s")
        except OSError as error:
            reader.end("reset", f"the connection broke: {_reason(error)}")
        return reader.answer

    async def _ask_old(self, sock: socket.socket) -> OldAnswer:
        loop, heard = asyncio.get_running_loop(), b""
        with suppress(OSError):  # A timeout is one, too: the server does not speak it.
            async with asyncio.timeout(self._settings.timeout):
                await loop.sock_sendall(sock, write_old_hello(os.urandom(16)))
                while read_old_answer(heard).accepted is None:
                    data = await loop.sock_recv(sock, _READ)
                    if not data:
                        break
                    heard += data
        return read_old_answer(heard)

    async def _provoke(self, sock: socket.socket, provoke: Provoke) -> str:
        """Return the first thing that the server says to the second flight."""
        loop, heard = asyncio.get_running_loop(), b""
        answer = await self._ask(sock, Ask(provoke.hello, whole_flight=True))
        if answer.ending != "flight":
            return answer.said()
        # Without the rest of the flight a server waits for it, and so do we for a while.
        most = _ANSWER_SECONDS if provoke.complete else _WAITING_SECONDS
        try:
            async with asyncio.timeout(min(self._settings.timeout, most)):
                flight = write_second_flight(provoke, os.urandom(RANDOM_BYTES))
                await loop.sock_sendall(sock, flight)
                while not (reaction := read_reaction(heard)):
                    data = await loop.sock_recv(sock, _READ)
                    if not data:
                        return "the server closed the connection"
                    heard += data
        except TimeoutError:
            return "nothing"
        except OSError as error:
            return f"the connection broke: {_reason(error)}"
        return reaction

    async def _shake(self, sock: socket.socket, wanted: Shake) -> Shaken:
        recorder = EventRecorder(limit=2000)
        tls = ClientConnection(
            wanted.config, server_name=self._target.name, port=self._target.port, trace=recorder
        )
        shaken, now = Shaken(), asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(self._settings.timeout):
                while not tls.established:
                    await self._exchange(sock, tls)
                shaken.info = tls.info
            if wanted.request or wanted.tickets:
                began, seconds = now(), self._answer_seconds(shaken.info, now() - began)
                shaken.received = await self._converse(sock, tls, wanted.request, seconds)
                shaken.trouble = _trouble(tls.failure)
                shaken.waited = now() - began
        except TimeoutError:
            shaken.is_lost = shaken.info is None
            shaken.error = f"nothing more came for {self._settings.timeout:g} s."
        except OSError as error:  # Also each error of TLS.
            shaken.error = str(error)
            shaken.refused = isinstance(error, PeerAlertError)
            lost = not isinstance(error, TLSError) or isinstance(error, TruncationError)
            shaken.is_lost = lost and shaken.info is None
            shaken.chain_der = error.chain_der if isinstance(error, CertificateError) else ()
        await self._close(sock, tls)
        if shaken.info is not None:
            shaken.chain_der = shaken.info.peer_chain_der
        shaken.messages = tuple(
            event.raw
            for event in recorder.events
            if isinstance(event, MessageSeen) and event.direction == "received" and event.raw
        )
        return shaken

    async def _exchange(self, sock: socket.socket, tls: ClientConnection) -> list[Any]:
        """Send what is due, and read once; return the events. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, tls.data_to_send())
        data = await loop.sock_recv(sock, _READ)
        return tls.receive_data(data) if data else tls.receive_eof()

    def _answer_seconds(self, info: ConnectionInfo | None, handshake: float) -> float:
        """Return how long to wait for the answer to a request of HTTP.

        A server that agreed on HTTP, or listens on its port, has time to make one. Any other may
        never answer; if it does, it needs little more than for the round trips and the signature
        of the handshake.
        """
        most = min(self._settings.timeout, _ANSWER_SECONDS)
        agreed = info is not None and info.alpn is not None
        if agreed or self._target.port == _HTTPS_PORT:
            return most
        return min(most, max(_UNPROMISED_SECONDS, _UNPROMISED_HANDSHAKES * handshake))

    async def _converse(
        self, sock: socket.socket, tls: ClientConnection, request: bytes, seconds: float
    ) -> bytes:
        """Send a request, and return the first bytes of the answer; read tickets meanwhile.

        Args:
            seconds: the longest wait for the answer; without a request the wait is short.
        """
        received = b""
        if request:
            tls.send_data(request)
        else:
            seconds = _QUIET_SECONDS
        with suppress(OSError):  # Nothing came in time, or the server closed: both are its right.
            async with asyncio.timeout(seconds):
                while len(received) < _MOST_RECEIVED and b"\r\n\r\n" not in received:
                    for event in await self._exchange(sock, tls):
                        if isinstance(event, DataReceived):
                            received += event.data
                        elif isinstance(event, PeerClosed):
                            return received
        return received

    async def _close(self, sock: socket.socket, tls: ClientConnection) -> None:
        """Say close_notify, or the alert of a failure, if the server still listens."""
        with suppress(OSError):
            if tls.failure is None:
                tls.close()
            async with asyncio.timeout(_QUIET_SECONDS):
                await asyncio.get_running_loop().sock_sendall(sock, tls.data_to_send())
