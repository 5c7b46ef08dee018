"""The connections of a relay, as they are seen while they go on, and once they have ended.

>>> import asyncio
>>> from handclasp.capture.relay import Relay
>>> from handclasp.capture.stream import Address
>>> from handclasp.capture.watching import KeyLogFile, Sighting, Watch, sighting_of
>>> from handclasp.trace.keylog import open_keylog
>>> seen: list[Sighting] = []
>>> async def watch_once() -> None:
...     watch = Watch(KeyLogFile("keys.log"), seen.append)
...     target = Address("example.com", 443)
...     async with Relay(target, ended=watch.ended, two_way=watch.two_way) as relay:
...         await asyncio.to_thread(visit, relay.port)
>>> def visit(port: int) -> None:
...     config = ClientConfig(keylog=open_keylog("keys.log"))
...     handclasp.connect("127.0.0.1", port, config, server_name="example.com").close()
>>> asyncio.run(watch_once())
>>> seen[-1].is_final, seen[-1].observation.server_name
(True, 'example.com')

`sighting_of` is for a connection that is relayed by other means.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import BinaryIO

from handclasp.capture.observe import Observation, observe
from handclasp.capture.proxy_head import ProxyRequestError
from handclasp.capture.relay import SERVER, Relayed
from handclasp.capture.secrets import LONGEST_LINE, KeyLog, Secrets
from handclasp.capture.stream import CaptureError, Stream
from handclasp.iana import ContentType, HandshakeType
from handclasp.input_files import kind_unless_file
from handclasp.starttls.dialogue import DialogueError
from handclasp.story.facts import role_of
from handclasp.trace.events import (
    Began,
    Failed,
    MessageSeen,
    Observed,
    RecordSeen,
    SecretDerived,
    TraceEvent,
    TransportEnded,
    TransportSeen,
    WireSeen,
)
from handclasp.values import dataclass

MOST_REMEMBERED = 10_000
"""The connections whose secrets are kept: a program may have others than those of the relay."""
_MOST_LINES = 8 * MOST_REMEMBERED
_MOST_READ = 16 * 1024 * 1024
"""The bytes of a key log that are read at once: more than MOST_REMEMBERED connections have."""
_LAST_READ = 256
"""The last bytes that were read: more than one line with the random of its connection."""
_FIRST_LOOK_SECONDS = 0.25
_SECRETS_SECONDS = 30.0
"""A library may write its key log late, but hardly by more than this."""


class KeyLogFile:
    """The secrets in a key log that is still being written.

    Trouble with the file raises nothing: it is reported where secrets are missing.

    See `handclasp.capture.watching` for an example.

    Args:
        path: the file.
        name: how sentences call it; by default by its path.
        advice: how to get secrets into it, in a sentence or two.

    Attributes:
        secrets: those that were read so far. Its `trouble` is that of the file.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, name: str | None = None, advice: str = ""
    ) -> None:
        self.secrets = KeyLog()
        self.secrets.advice = advice
        self._path = path
        self._name = name if name is not None else f"The key log {os.fsdecode(path)}"
        self._file: tuple[int, int] | None = None
        """The device and inode of the file that was read last."""
        self._at = 0
        self._rest = b""
        self._last = b""
        """The last bytes before `_at`."""

    def check(self) -> None:
        """Raise `CaptureError` if there is something that cannot be read as a key log."""
        with suppress(FileNotFoundError):  # It may come.
            if trouble := self._trouble():
                raise CaptureError(f"{self._name} {trouble}.")

    def read(self) -> None:
        """Read the lines that were added."""
        try:
            trouble = self._trouble()
        except FileNotFoundError:
            trouble = "is not there" if self._file is None else "has been removed"
        if not trouble and _is_on_full_disk(self._path):
            trouble = "is on a disk that is full, so that lines may be missing"
        if not trouble and not len(self.secrets):
            trouble = "has no secret in it" if self._at else "is empty"
        self.secrets.trouble = f"{self._name} {trouble}." if trouble else ""

    def _trouble(self) -> str:
        """Read what is new; return why that cannot be. Raises `FileNotFoundError`."""
        try:
            return self._read()
        except FileNotFoundError:
            raise
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"

    def _read(self) -> str:
        """Read what is new; return what there is in place of a file. Raises `OSError`."""
        # To open a pipe would let its writer go on, whom its end would then kill.
        if kind := kind_unless_file(os.stat(self._path).st_mode):
            return f"is {kind}, not a file"
        descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if kind := kind_unless_file(found.st_mode):
                return f"is {kind}, not a file"
            identity = found.st_dev, found.st_ino
            if identity != self._file or not self._is_continued(file, found.st_size):
                self._at, self._last, self._rest = 0, b"", b""
            self._file = identity
            # Of more than this, the connections at the beginning would be forgotten again.
            if found.st_size - self._at > _MOST_READ:
                self._at, self._last, self._rest = found.st_size - _MOST_READ, b"", b""
            file.seek(self._at)
            self._add(file.read(_MOST_READ))
        return ""

    def _is_continued(self, file: BinaryIO, size: int) -> bool:
        """Return whether a file still has what was read of it.

        Many programs empty their key log when they begin, and may write as much as the last time.
        """
        if size < self._at:
            return False
        file.seek(self._at - len(self._last))
        return file.read(len(self._last)) == self._last

    def _add(self, added: bytes) -> None:
        self._at += len(added)
        self._last = (self._last + added[-_LAST_READ:])[-_LAST_READ:]
        # The last line may not be written to its end.
        lines, newline, rest = (self._rest + added).rpartition(b"\n")
        self._rest = rest[-LONGEST_LINE:]
        self.secrets.add(lines + newline)
        self.secrets.forget_all_but(MOST_REMEMBERED)


def _is_on_full_disk(path: str | os.PathLike[str]) -> bool:
    """Return whether no more can be written to the disk of a file; programs do not say that."""
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return False
    return usage.total > 0 and usage.free == 0


class KeyLogLines:
    """The secrets in the lines that connections of this process log: a `keylog` of their config.

    >>> from handclasp.capture.watching import KeyLogLines
    >>> lines = KeyLogLines()
    >>> handclasp.connect("example.com", 443, ClientConfig(keylog=lines)).close()
    >>> lines.read()
    >>> len(lines.secrets)
    1

    Attributes:
        secrets: those that were read so far.
    """

    def __init__(self) -> None:
        self.secrets = KeyLog()
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)

    def __call__(self, line: str) -> None:
        """Take a line, from whatever thread."""
        self._lines.append(line)

    def read(self) -> None:
        """Read the lines that were taken since."""
        while self._lines:
            self.secrets.add(self._lines.popleft().encode())
        self.secrets.forget_all_but(MOST_REMEMBERED)


@dataclass(frozen=True, slots=True)
class Sighting:
    """The state of one connection, as far as it was seen.

    See `handclasp.capture.watching` for an example.

    Attributes:
        relayed: the connection.
        stream: its bytes at that time.
        observation: its handshake; None if there is no TLS on it.
        instead: what there is in place of TLS, in a sentence or two; empty with an observation.
        secrets: those that were known.
        is_final: whether the connection has ended.
    """

    relayed: Relayed
    stream: Stream
    observation: Observation | None
    instead: str
    secrets: Secrets
    is_final: bool

    @property
    def outcome(self) -> str:
        """The outcome of the handshake, as `Observed` names it; "none" without TLS."""
        if self.observation is None:
            return "none"
        found = [each for each in self.observation.events if isinstance(each, Observed)]
        return found[0].outcome if found else "unknown"

    @property
    def was_reached(self) -> bool:
        """Whether there was a connection to the server, though perhaps without TLS."""
        refusal = self.relayed.refusal
        return refusal is None or _failed_before_tls(refusal)

    @property
    def has_failed(self) -> bool:
        """Whether the connection failed, in the handshake or by an alert after it."""
        events = self.observation.events if self.observation is not None else ()
        return any(isinstance(each, Failed) for each in events)

    @property
    def client_has_sent_data(self) -> bool:
        """Whether the client has sent application data, as far as its records can be read."""
        events = self.observation.events if self.observation is not None else ()
        by_client = "sent" if role_of(events) == "client" else "received"
        return any(
            isinstance(each, RecordSeen)
            and each.direction == by_client
            and each.content_type == ContentType.APPLICATION_DATA
            for each in events
        )

    @property
    def is_known(self) -> bool:
        """Whether the outcome will not change any more, unless the connection fails later."""
        return self.is_final or self.outcome == "complete" or self.has_failed

    def wire_events(self) -> list[TraceEvent]:
        """Return the recorded bytes and the secrets, as `connection_blocks` takes them.

        There are none if nothing was recorded.
        """
        if not self.stream.pieces:
            return []
        return [*self._opening(), *_on_the_wire(self.stream, self.relayed.began_ns)]

    def _opening(self) -> list[TraceEvent]:
        client, server = self.stream.ends
        found = self.observation.events if self.observation is not None else ()
        hello = [
            each
            for each in found
            if isinstance(each, MessageSeen) and each.message_type == HandshakeType.CLIENT_HELLO
        ]
        return [
            Began(0, "client", None, self.relayed.began_ns),
            TransportSeen(0, client.host, client.port, server.host, server.port),
            *hello[:1],
            *[SecretDerived(0, label, value) for label, value in self.secrets.items()],
        ]


def _on_the_wire(stream: Stream, began_ns: int) -> list[TraceEvent]:
    events: list[TraceEvent] = [
        WireSeen(piece.at_ns - began_ns, _direction(piece.sender), piece.data)
        for piece in stream.pieces
    ]
    events += [
        TransportEnded(each.at_ns - began_ns, _direction(each.sender), each.how)
        for each in stream.endings
    ]
    return sorted(events, key=lambda event: event.at_ns)


def _direction(sender: int) -> str:
    return "received" if sender == SERVER else "sent"


def sighting_of(relayed: Relayed, stream: Stream, keylog: KeyLog, *, is_final: bool) -> Sighting:
    """Return what can be seen of a connection with these secrets.

    See `handclasp.capture.watching` for an example.
    """
    if relayed.refusal is not None:
        return Sighting(relayed, stream, None, _no_connection(relayed), {}, is_final)
    try:
        observation = observe(stream, keylog)
    except CaptureError as error:
        instead = f"{error} {relayed.cut}".rstrip()
        return Sighting(relayed, stream, None, instead, {}, is_final)
    hellos = (
        each.raw[6:38]
        for each in observation.events
        if isinstance(each, MessageSeen) and each.message_type == HandshakeType.CLIENT_HELLO
    )
    secrets = keylog.of(next(hellos, b""))
    return Sighting(relayed, stream, observation, "", secrets, is_final)


def _failed_before_tls(refusal: Exception | None) -> bool:
    """Return whether the server was reached and TLS did not begin there, as with STARTTLS."""
    return isinstance(refusal, DialogueError) and refusal.name.startswith("STARTTLS_")


def _no_connection(relayed: Relayed) -> str:
    error = relayed.refusal
    if isinstance(error, DialogueError):
        advice = " ".join(filter(None, (error.message, error.explanation, error.fix)))
        if _failed_before_tls(error):
            return f"TLS did not begin with {relayed.target}. {advice}"
        return f"There is no connection to {relayed.target}. {advice}"
    if isinstance(error, ProxyRequestError):
        return f"What the client asked the proxy for cannot be read: {error}."
    why = (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
    return f"There is no connection to {relayed.target}: {why}."


class Watch:
    """Sees each connection of a relay when its outcome is known, and again at its end.

    See `handclasp.capture.watching` for an example. The observation and what is done with it run in
    a thread, one after the other, so that the relay goes on meanwhile.

    Args:
        keylog: the secrets of either end; None if there are none.
        seen: called in that thread with each sighting.
    """

    def __init__(
        self, keylog: KeyLogFile | KeyLogLines | None, seen: Callable[[Sighting], None]
    ) -> None:
        self._keylog = keylog
        self._no_secrets = KeyLog()
        self._seen = seen
        self._looks: dict[Relayed, asyncio.Task[None]] = {}
        # A look that is cancelled goes on in the thread: no second one may begin beside it.
        self._thread = ThreadPoolExecutor(1, "handclasp-watch")
        # A copy of the record is made when its turn comes, so that there are not many.
        self._is_looking = asyncio.Lock()

    def two_way(self, relayed: Relayed) -> None:
        """Look at a connection from now on until its outcome is known."""
        self._looks[relayed] = asyncio.create_task(self._look(relayed))

    async def ended(self, relayed: Relayed) -> None:
        """Look at a connection for the last time."""
        look = self._looks.pop(relayed, None)
        if look is not None:
            look.cancel()
            await asyncio.wait([look])
        await self._sight(relayed, is_final=True)

    async def _look(self, relayed: Relayed) -> None:
        """Look again and again, each time after as long as before, until the outcome is known.

        So a handshake that takes minutes costs few looks.
        """
        seconds, seen = _FIRST_LOOK_SECONDS, -1
        while seconds < _SECRETS_SECONDS or not relayed.unrecorded or seen != relayed.recorded:
            await asyncio.sleep(seconds)
            if seconds < _SECRETS_SECONDS or seen != relayed.recorded:
                seen = relayed.recorded
                if await self._sight(relayed, is_final=False):
                    return
            seconds *= 2

    async def _sight(self, relayed: Relayed, *, is_final: bool) -> bool:
        """Look at a connection, and pass on what is seen; return whether there was something."""
        loop = asyncio.get_running_loop()
        async with self._is_looking:
            # The relay adds to it meanwhile, but not to this.
            stream = relayed.stream()
            return await loop.run_in_executor(
                self._thread, self._pass_on, relayed, stream, is_final
            )

    def _pass_on(self, relayed: Relayed, stream: Stream, is_final: bool) -> bool:
        sighting = self._observed(relayed, stream, is_final)
        is_news = is_final or sighting.is_known or sighting.outcome == "seems_complete"
        if is_news:
            self._seen(sighting)
        return is_news

    def _observed(self, relayed: Relayed, stream: Stream, is_final: bool) -> Sighting:
        if self._keylog is None:
            return sighting_of(relayed, stream, self._no_secrets, is_final=is_final)
        self._keylog.read()
        return sighting_of(relayed, stream, self._keylog.secrets, is_final=is_final)
