"""The relay of `watch --intercept`: two handshakes, the client's with us, and ours with the server.

Both halves are carried by the relay itself, so that they are recorded, bounded and torn down as a
connection from end to end is:

    client <-- carry --> [ TLS server, TLS client ] <-- carry --> server
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import OrderedDict
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from handclasp import ClientConfig, Credentials, ServerConfig, TrustStore, aio
from handclasp.capture.relay import CLIENT, SERVER, Relay, Relayed
from handclasp.capture.stream import Address

if TYPE_CHECKING:
    from handclasp import ChooseConfig
    from handclasp.capture.watching import KeyLogLines
    from handclasp.certificates.authority import LocalAuthority

DESCRIPTORS = 6
"""The descriptors of a connection: those of its ends, and of two pairs within this process."""
MOST_CERTIFICATES = 256
"""The certificates that are kept, those used last."""
_HANDSHAKE = b"\x16"
"""The first byte of a TLS connection: the type of its records (RFC 9846 section 5.1)."""
_CHUNK = 64 * 1024
_LAST_SECONDS = 5.0
"""The seconds that both ends have to close, once nothing is carried between them any more."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Joined = tuple[socket.socket, Streams]


class NotPassedOn(Exception):
    """The client is refused, since the handshake with the server failed."""


class Intercepting(Relay):
    """A relay that answers TLS in place of the server, once it has verified the server itself.

    What does not begin with TLS is relayed as it is.

    Args:
        authority: issues the certificates.
        trust: what verifies the servers.
        keylog: takes the secrets of both halves.
        target, settings: as for `Relay`.
    """

    def __init__(
        self,
        target: Address | None,
        *,
        authority: LocalAuthority,
        trust: TrustStore,
        keylog: KeyLogLines,
        **settings: Any,
    ) -> None:
        super().__init__(target, **settings)
        self._issued = Issued(authority)
        self._trust = trust
        self._keylog = keylog

    async def carry(
        self, relayed: Relayed, client: socket.socket, server: socket.socket, first: bytes
    ) -> None:
        """Carry the bytes of both halves, with a TLS server and a TLS client between them."""
        if first:
            begins_with_tls = first.startswith(_HANDSHAKE)
        elif (sent := await self.first_sent(relayed, client, server)) is None:
            return
        else:
            begins_with_tls = sent == (CLIENT, _HANDSHAKE)
        if not begins_with_tls:
            await super().carry(relayed, client, server, first)
            return
        with ExitStack() as stack:
            to_client, to_server = await _joined(stack), await _joined(stack)
            await self._carry_halves(relayed, client, server, to_client, to_server, first)

    async def _carry_halves(
        self,
        relayed: Relayed,
        client: socket.socket,
        server: socket.socket,
        to_client: Joined,
        to_server: Joined,
        first: bytes,
    ) -> None:
        upstream = self._split(relayed, server)
        outer_client, outer_server = to_client[0], to_server[0]
        halves = relayed, upstream
        between = asyncio.create_task(self._between(halves, to_client[1], to_server[1]))
        for _, (_, writer) in (to_client, to_server):  # Also if it is cancelled before it begins.
            between.add_done_callback(partial(_abort, writer.transport))
        legs = {
            asyncio.create_task(super().carry(relayed, client, outer_client, first)): relayed,
            asyncio.create_task(super().carry(upstream, outer_server, server, b"")): upstream,
        }
        try:
            await _until_both_ended(legs, between)
        finally:
            for each in (between, *legs):
                each.cancel()
            results = await asyncio.gather(between, *legs, return_exceptions=True)
            if relayed.is_torn or upstream.is_torn:
                relayed.cut = upstream.cut = relayed.cut or upstream.cut
                if not relayed.cut:
                    relayed.end(SERVER, "reset")
                    upstream.end(CLIENT, "reset")
                self.tear(client, server)
            await self.report(upstream)
        for result in results:
            if isinstance(result, Exception):
                raise result  # A bug is not hidden.

    def _split(self, relayed: Relayed, server: socket.socket) -> Relayed:
        """Make a connection the half of its client, and return the half of its server."""
        ours, theirs = Address(*server.getsockname()[:2]), relayed.ends[1]
        relayed.leg = "client"
        relayed.ends = relayed.ends[0], Address("127.0.0.1", self.port)
        number, limit, target = relayed.number, relayed.limit, relayed.target
        upstream = Relayed(number, time.time_ns(), limit, target, (ours, theirs))
        upstream.leg = "server"
        return upstream

    async def _between(
        self, halves: tuple[Relayed, Relayed], to_client: Streams, to_server: Streams
    ) -> None:
        """Shake hands with both ends, the server first, and pass on the data."""
        relayed = halves[0]
        upstream: list[Streams] = []

        async def choose(question: ChooseConfig) -> ServerConfig:
            try:
                upstream.append(await self._upstream(relayed, question, to_server))
                return self._config_like(relayed, question, upstream[0])
            except (OSError, ValueError) as error:
                for half in halves:
                    half.blocked = error
                raise NotPassedOn from error

        asking = ServerConfig(credentials=self._issued.to("localhost"), choose_config=choose)
        try:
            downstream = await aio.start_tls(*to_client, asking)
            async with asyncio.TaskGroup() as copying:
                copying.create_task(_copy(downstream, upstream[0]))
                copying.create_task(_copy(upstream[0], downstream))
            for _, writer in (downstream, *upstream):
                writer.close()
                await writer.wait_closed()
        except* OSError:
            pass  # It is in the record of its half, and the end of one is that of the other.

    async def _upstream(
        self, relayed: Relayed, question: ChooseConfig, to_server: Streams
    ) -> Streams:
        """Shake hands with the server as the client would; raise where that cannot be."""
        offer = tuple(filter(_can_be_offered, question.alpn))
        config = ClientConfig(trust=self._trust, alpn=offer, keylog=self._keylog)
        return await aio.start_tls(*to_server, config, server_name=_name(relayed, question))

    def _config_like(
        self, relayed: Relayed, question: ChooseConfig, upstream: Streams
    ) -> ServerConfig:
        """Return the config for a client whose server was verified, and has chosen a protocol."""
        protocol = upstream[1].get_extra_info("handclasp").alpn
        return ServerConfig(
            credentials=self._issued.to(_name(relayed, question)),
            alpn=(protocol,) if protocol else (),
            keylog=self._keylog,
            tickets=0,  # Nothing is there to resume with, as each connection has its own config.
        )


class Issued:
    """The certificates of one run, by their names; their keys are in memory alone."""

    def __init__(self, authority: LocalAuthority) -> None:
        self._authority = authority
        self._by_name: OrderedDict[str, Credentials] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_name)

    def to(self, name: str) -> Credentials:
        """Return the certificate for a name; raise `ConfigurationError` if there can be none."""
        if name not in self._by_name:
            self._by_name[name] = self._authority.credentials([name])
            if len(self._by_name) > MOST_CERTIFICATES:
                self._by_name.popitem(last=False)
        self._by_name.move_to_end(name)
        return self._by_name[name]


def _abort(transport: asyncio.WriteTransport, done: asyncio.Task[None]) -> None:
    transport.abort()


async def _until_both_ended(
    legs: dict[asyncio.Task[None], Relayed], between: asyncio.Task[None]
) -> None:
    """Wait until both halves have ended, one was torn down, or nothing passes between them."""
    waiting: set[asyncio.Task[None]] = {between, *legs}
    while waiting & set(legs):
        patience = _LAST_SECONDS if between not in waiting else None
        done, waiting = await asyncio.wait(
            waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED
        )
        if any(legs[each].is_torn for each in done if each in legs) or not done:
            return


async def _copy(source: Streams, sink: Streams) -> None:
    """Pass on the data of one direction and its end, as it came: with close_notify or without."""
    reader, writer = source[0], sink[1]
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        # What came before the loss is good, and arrives before the loss is passed on.
        with suppress(OSError):
            writer.transport.set_write_buffer_limits(0)
            await writer.drain()
        writer.transport.abort()
        raise
    writer.write_eof()


def _name(relayed: Relayed, question: ChooseConfig) -> str:
    """Return the name that a client wants to reach."""
    return question.server_name or (relayed.target.host if relayed.target is not None else "")


def _can_be_offered(protocol: str) -> bool:
    """Return whether a protocol that was asked for is shown as it is: GREASE is not."""
    return "\\" not in protocol and 0 < len(protocol) <= 255


async def _joined(stack: ExitStack) -> Joined:
    """Return two ends of a connection within this process: one for the relay, one for TLS."""
    outer, inner = socket.socketpair()
    stack.callback(outer.close)
    outer.setblocking(False)
    streams = await asyncio.open_connection(sock=inner)
    stack.callback(streams[1].transport.abort)
    return outer, streams
