"""The recorder that keeps the events of a connection, to show or store them later."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self, cast

from handclasp.errors import ConfigurationError, TLSError, check_switch
from handclasp.iana import AlertLevel, ContentType, extension_name
from handclasp.info import ConnectionInfo
from handclasp.private_files import write_private
from handclasp.trace.events import (
    AlertSeen,
    Began,
    BytesRefused,
    DecisionTaken,
    Failed,
    HandshakeResult,
    InnerHello,
    KeysInstalled,
    KeyStep,
    MessageSeen,
    QuestionAnswered,
    QuestionPut,
    RecordSeen,
    Refused,
    SecretDerived,
    TraceEvent,
    TraceFormatError,
    TransportEnded,
    TransportSeen,
    WireSeen,
    WorkDone,
)
from handclasp.trace.format import event_from_json, event_to_json, read_number
from handclasp.values import replace

FORMAT = "handclasp-trace/1"
"""The name of the JSON form; a change that old readers would misread gets another number."""

_MOST_OFFERS = 256
"""The number of offers of one decision that are kept: the message holds them all."""

_HANDSHAKE, _APPLICATION_DATA = ContentType.HANDSHAKE, ContentType.APPLICATION_DATA


class EventRecorder:
    """Records the events of one connection.

    `handclasp.Recorder`, which applications use, is a subclass with output for people: it documents
    the content, the arguments and the attributes.
    """

    def __init__(
        self,
        record_secrets: bool = False,
        clock: Callable[[], int] = time.perf_counter_ns,
        *,
        record_wire: bool = False,
        wall_clock: Callable[[], int] = time.time_ns,
        limit: int = 50_000,
        wire_limit: int = 64 * 1024 * 1024,
    ) -> None:
        check_switch("record_secrets", record_secrets)
        check_switch("record_wire", record_wire)
        for name, bound in (("limit", limit), ("wire_limit", wire_limit)):
            if type(bound) is not int or bound < 0:
                raise ConfigurationError(f"{name} must be a whole number, 0 for none.")
        self.record_secrets = record_secrets
        self.record_wire = record_wire
        self.events: list[TraceEvent] = []
        self.dropped = 0
        self._clock = clock
        self._limit = limit
        self._wire_left = wire_limit
        self.began_at_ns = _time_of("wall_clock", wall_clock)
        self._began = _time_of("clock", clock)
        self._asked: dict[str, int] = {}
        self._shown: set[tuple[str, int]] = set()
        """The directions and content types of which a protected record was kept whole."""

    @classmethod
    def from_events(
        cls, events: Iterable[TraceEvent], began_at_ns: int = 0, dropped: int = 0
    ) -> Self:
        """Return a recorder with these events.

        Args:
            events: the events in order; their times are relative to `began_at_ns`.
            began_at_ns: in nanoseconds since 1970 (UTC).
            dropped: the number of further events, which were dropped.
        """
        recorder = cls(wall_clock=lambda: began_at_ns)
        recorder.events = list(events)
        recorder.dropped = dropped
        recorder.record_secrets = any(
            isinstance(event, SecretDerived) or (isinstance(event, KeyStep) and bool(event.value))
            for event in recorder.events
        )
        recorder.record_wire = any(isinstance(event, WireSeen) for event in recorder.events)
        return recorder

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read the file that `save` wrote; raise `TraceFormatError` or `OSError`."""
        return cls.from_json(Path(path).read_bytes())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the recorder that `to_json` wrote; raise `TraceFormatError`."""
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            raise TraceFormatError("This is not a trace: it is not JSON.") from None
        trace = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        if trace.get("format") != FORMAT:
            raise TraceFormatError(f'This is not a trace: it does not say "format": "{FORMAT}".')
        events, dropped = trace.get("events"), trace.get("dropped")
        if not isinstance(events, list) or type(dropped) is not int:
            raise TraceFormatError("This trace lacks its events, or how many were dropped.")
        try:
            began_at_ns = read_number(trace.get("began_at_ns", 0))
            missing = read_number(dropped)
        except (TypeError, ValueError):
            raise TraceFormatError("This trace has a wrong began_at_ns or dropped.") from None
        read = [event_from_json(event) for event in cast("list[object]", events)]
        return cls.from_events(read, began_at_ns, missing)

    def to_json(self) -> str:
        """Return the trace as one JSON object, bytes in hexadecimal; see docs/trace-format.md."""
        return self._as_json([event_to_json(event) for event in self.events])

    def _as_json(self, events: list[dict[str, Any]]) -> str:
        return json.dumps(
            {
                "format": FORMAT,
                "dropped": self.dropped,
                "began_at_ns": self.began_at_ns,
                "events": events,
            },
            indent=1,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` into a file that only its owner may read. Raises `OSError`."""
        write_private(path, (self.to_json() + "\n").encode())

    def save_pcapng(self, path: str | os.PathLike[str]) -> None:
        """Write `to_pcapng` into a file that only its owner may read.

        Raises:
            ConfigurationError: this recorder was made without `record_wire`.
            OSError: the file cannot be written.
        """
        write_private(path, self.to_pcapng())

    def to_pcapng(self) -> bytes:
        """Return the bytes of the transport as a capture file, for Wireshark, tshark and others.

        Each piece is in one or more TCP segments of its own, with the recorded addresses, or else
        with addresses for documentation (RFC 5737). With `record_secrets`, the file also holds the
        secrets, and is shown decrypted: anybody who has it can read the data.

        Raises:
            ConfigurationError: this recorder was made without `record_wire`.
        """
        if not self.record_wire:
            raise ConfigurationError(
                "There are no bytes of the transport to make a capture of: use "
                "Recorder(record_wire=True, record_secrets=True)."
            )
        # Programs that only record do not import this.
        from handclasp.trace.pcapng import capture_of

        return capture_of(self.events, self.began_at_ns)

    # The methods of `hooks.Trace`.

    def now(self) -> int:
        """Return the nanoseconds of this recorder's clock."""
        return self._clock()

    def began(self, role: str, server_name: str | None) -> None:
        """Record that a connection was created."""
        self._note(Began(self._now(), role, server_name, self.began_at_ns))

    def transport(self, local: tuple[str, int], peer: tuple[str, int]) -> None:
        """Record the addresses of both ends."""
        self._note(TransportSeen(self._now(), *local, *peer))

    def transport_ended(self, direction: str, how: str) -> None:
        """Record that the transport has ended, in one direction at least."""
        self._note(TransportEnded(self._now(), direction, how))

    def wire(self, direction: str, data: bytes) -> None:
        """Record bytes of the transport."""
        if not self.record_wire:
            return
        if len(data) <= self._wire_left:
            self._wire_left -= len(data)
            self._note(WireSeen(self._now(), direction, bytes(data)))
        else:
            self._wire_left = 0
            self.dropped += 1

    def message(self, direction: str, epoch: str, message_type: int, raw: bytes) -> None:
        """Record a whole handshake message."""
        self._note(MessageSeen(self._now(), direction, epoch, message_type, bytes(raw)))

    def inner_hello(self, direction: str, raw: bytes, outer_extensions: Sequence[int]) -> None:
        """Record the ClientHello inside of the last one."""
        names = tuple(map(extension_name, outer_extensions))
        self._note(InnerHello(self._now(), direction, bytes(raw), names))

    def record(
        self,
        direction: str,
        epoch: str,
        content_type: int,
        size: int,
        content_size: int | None = None,
        work_ns: int = 0,
        wire: bytes = b"",
        content: bytes = b"",
    ) -> None:
        """Record one record on the wire."""
        # A record that could not be opened is evidence of the fault.
        is_closed = direction == "received" and content_size is None
        shows = is_closed or self._shows(direction, epoch, content_type)
        self._note(
            RecordSeen(
                self._now(),
                direction,
                epoch,
                int(content_type),
                size,
                content_size,
                work_ns,
                bytes(wire) if shows else b"",
                bytes(content) if shows else b"",
            )
        )

    def bytes_refused(self, data: bytes) -> None:
        """Record received bytes that are not TLS."""
        self._note(BytesRefused(self._now(), bytes(data)))

    def keys_installed(self, direction: str, epoch: str, cipher_suite: str) -> None:
        """Record that one direction switches to new keys."""
        self._note(KeysInstalled(self._now(), direction, epoch, cipher_suite))

    def decision(
        self,
        what: str,
        offered: Sequence[str],
        acceptable: Sequence[str],
        chosen: str | None,
        why: str,
        refused: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Record a choice."""
        offers, accepted = _bounded(offered, acceptable, chosen), tuple(acceptable)
        reasons = _reasons(
            offers, accepted, chosen, why, {**_by_name(what, offers, chosen), **dict(refused)}
        )
        self._note(DecisionTaken(self._now(), what, offers, accepted, chosen, why, reasons))

    def key_step(
        self,
        operation: str,
        output: str,
        inputs: tuple[str, ...],
        label: str,
        context: bytes,
        size: int,
        value: bytes = b"",
    ) -> None:
        """Record a step of the key schedule, and its value if `record_secrets` is set."""
        kept = bytes(value) if self.record_secrets else b""
        step = KeyStep(self._now(), operation, output, inputs, label, bytes(context), size, kept)
        self._note(step)

    def work(self, operation: str, algorithm: str, elapsed_ns: int) -> None:
        """Record a public-key operation."""
        self._note(WorkDone(self._now(), operation, algorithm, elapsed_ns))

    def secret(self, label: str, value: bytes) -> None:
        """Record a secret, if `record_secrets` is set."""
        if self.record_secrets:
            self._note(SecretDerived(self._now(), label, bytes(value)))

    def alert(self, direction: str, level: int, description: int) -> None:
        """Record an alert that was sent or received."""
        self._note(AlertSeen(self._now(), direction, int(level), int(description)))

    def alert_left(self, sending: str) -> None:
        """Say of the fatal alert that this side made last what `AlertSeen.sending` tells."""
        for at in range(len(self.events) - 1, -1, -1):
            event = self.events[at]
            if isinstance(event, AlertSeen) and event.direction == "sent":
                if event.level == AlertLevel.FATAL:
                    self.events[at] = replace(event, sending=sending)
                return

    def question_asked(self, kind: str) -> None:
        """Record a question of the handshake."""
        now = self._now()
        self._asked[kind] = now
        self._note(QuestionPut(now, kind))

    def question_answered(self, kind: str) -> None:
        """Record the answer to a question."""
        now = self._now()
        self._note(QuestionAnswered(now, kind, now - self._asked.pop(kind, now)))

    def settled(self, info: ConnectionInfo) -> None:
        """Record that the handshake is complete."""
        self._note(HandshakeResult(self._now(), info))

    def failed(self, error: TLSError) -> None:
        """Record that the connection failed."""
        self._note(Failed.of(self._now(), error))

    def _shows(self, direction: str, epoch: str, content_type: int) -> bool:
        """Return whether this record is kept whole; see the class."""
        if epoch == "plaintext" or (direction, content_type) in self._shown:
            return False
        if content_type != _HANDSHAKE and not (
            content_type == _APPLICATION_DATA and self.record_secrets
        ):
            return False
        self._shown.add((direction, content_type))
        return True

    def _now(self) -> int:
        return self._clock() - self._began

    def _note(self, event: TraceEvent) -> None:
        if len(self.events) < self._limit:
            self.events.append(event)
        else:
            self.dropped += 1

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.events)} events)"


def _time_of(name: str, clock: Callable[[], int]) -> int:
    """Return the time of a clock; raise `ConfigurationError` unless it gives whole numbers."""
    now: object = clock() if callable(clock) else None  # pyright: ignore[reportUnnecessaryComparison]
    if type(now) is not int:
        raise ConfigurationError(
            f"{name} must be a callable that gives nanoseconds as a whole number, as "
            "time.perf_counter_ns and time.time_ns do."
        )
    return now


def _bounded(
    offered: Sequence[str], acceptable: Sequence[str], chosen: str | None
) -> tuple[str, ...]:
    """Return the offers, each once; of very many only the first, and those that could be chosen."""
    offers = dict.fromkeys(offered)
    if len(offers) <= _MOST_OFFERS:
        return tuple(offers)
    kept = {*islice(offers, _MOST_OFFERS), *acceptable, chosen}
    return tuple([name for name in offers if name in kept])


def _by_name(what: str, offered: Sequence[str], chosen: str | None) -> dict[str, str]:
    """Yield the refusals that follow from the names alone: signals, and suites of another version.

    Suites of TLS 1.3 have no "WITH" in their names, and those before it do (RFC 9846 section B.4).
    """
    if what != "cipher_suite":
        return {}
    reasons = {name: "a signal, and no suite" for name in offered if name.endswith("_SCSV")}
    if chosen is not None:
        version = "TLS 1.3" if "_WITH_" in chosen else "TLS 1.2"
        other = f"a suite of {version}, which is not what is spoken"
        for name in offered:
            if ("_WITH_" in name) != ("_WITH_" in chosen) and name.startswith("TLS_"):
                reasons.setdefault(name, other)
    return reasons


def _reasons(
    offered: Sequence[str],
    acceptable: Sequence[str],
    chosen: str | None,
    why: str,
    given: dict[str, str],
) -> tuple[Refused, ...]:
    """Yield the reasons against the other offers that follow from the two lists."""
    accepted = frozenset(acceptable)
    instead = f"{chosen} was taken instead ({why})" if chosen is not None else why

    def reason(name: str) -> str:
        if name.startswith("GREASE"):
            return "made up, so that nobody may take it (RFC 8701)"
        return given.get(name) or (instead if name in accepted else "not accepted")

    return tuple(Refused(name, reason(name)) for name in offered if name != chosen)
