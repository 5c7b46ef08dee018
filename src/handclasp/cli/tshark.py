"""Captures, taken apart into TCP conversations by Wireshark's `tshark`.

Reading the many kinds of captures, putting IP fragments and TCP segments together, and bearing
what is broken in them is a trade of its own; tshark has done it for decades. Everything from
TLS on is read here.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from handclasp.capture.stream import Address, CaptureError, Ending, Piece, Stream

SECONDS = 120.0
"""How long tshark may take for a capture."""

MOST_STREAMS = 10_000


@dataclass(slots=True)
class Found:
    """A TCP conversation in a capture, before its bytes are read."""

    number: int
    ends: tuple[Address, Address]
    packets: int = 0
    endings: list[tuple[int, Address, str]] = field(default_factory=list[tuple[int, Address, str]])


def conversations(path: Path) -> list[Found]:
    """The TCP conversations of a capture, in the order of their first packets.

    Raises `CaptureError`.
    """
    fields = [part for name in _FIELDS for part in ("-e", name)]
    return found_in(_tshark(path, "-Y", "tcp", "-T", "fields", "-E", "separator=|", *fields))


def found_in(printed: str) -> list[Found]:
    """The conversations that tshark printed, a packet a line. Raises `CaptureError`."""
    found: dict[int, Found] = {}
    for line in printed.splitlines():
        stream, moment, source, target, source_port, target_port, fin, reset = _split(line)
        try:
            ends = _address(source, source_port), _address(target, target_port)
            number = _number(stream)
            conversation = found.setdefault(number, Found(number, ends))
            at_ns = _nanoseconds(moment)
        except ValueError:
            raise CaptureError("tshark printed what is not understood here.") from None
        conversation.packets += 1
        if fin in _TRUE or reset in _TRUE:
            how = "reset" if reset in _TRUE else "end"
            conversation.endings.append((at_ns, ends[0], how))
        if len(found) > MOST_STREAMS:
            raise CaptureError(f"The capture has more than {MOST_STREAMS:,} TCP connections.")
    return list(found.values())


def stream_of(path: Path, found: Found) -> Stream:
    """What was said in one of them, put together. Raises `CaptureError`."""
    return stream_in(_tshark(path, "-q", "-z", f"follow,tcp,yaml,{found.number}"), found)


def stream_in(printed: str, found: Found) -> Stream:
    """What tshark printed of one of them. Raises `CaptureError`."""
    ends, pieces = _followed(printed)
    by_end = {end: index for index, end in enumerate(ends)}
    endings = tuple(
        Ending(at_ns, by_end[end], how) for at_ns, end, how in found.endings if end in by_end
    )
    return Stream(found.number, ends, tuple(pieces), endings)


_FIELDS = (
    "tcp.stream",
    "frame.time_epoch",
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.flags.fin",
    "tcp.flags.reset",
)
_TRUE = ("1", "True")
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, which calendars know as the last."""
_MISSING = re.compile(rb"\[(\d+) bytes missing in capture file\]")


def _split(line: str) -> Sequence[str]:
    """The values of one packet. Inside a tunnel there are several addresses: the last counts."""
    words = [word.rpartition(",")[2] for word in line.split("|")]
    if len(words) != len(_FIELDS):
        raise CaptureError("tshark printed what is not understood here.")
    stream, moment, source4, source6, target4, target6, *rest = words
    return (stream, moment, source4 or source6, target4 or target6, *rest)


def _number(digits: str, most: int = 2**32 - 1) -> int:
    """`int`, which would take more than tshark ever prints."""
    if not (digits.isascii() and digits.isdecimal()) or (number := int(digits)) > most:
        raise ValueError("not a number that can stand here")
    return number


def _address(host: str, port: str) -> Address:
    return Address(host, _number(port, 65535))


def _nanoseconds(moment: str) -> int:
    seconds, _, fraction = moment.partition(".")
    return _number(seconds, _LAST_SECOND) * 1_000_000_000 + _number(fraction[:9].ljust(9, "0"))


def _followed(printed: str) -> tuple[tuple[Address, Address], list[Piece]]:
    """The YAML of `follow`, of which only this much is ever used."""
    ends: list[Address] = []
    pieces: list[Piece] = []
    try:
        for block in printed.split("  - p")[1:]:
            values = dict(_pairs(block))
            if "host" in values:
                ends.append(_address(values["host"].strip("'\""), values["port"]))
            elif "data" in values:
                data = base64.b64decode(values["data"], validate=True)
                missing = _MISSING.match(data)
                if missing is not None:
                    raise CaptureError(
                        f"{int(missing[1]):,} bytes of this connection are missing in the capture."
                    )
                at_ns = _nanoseconds(values["timestamp"])
                pieces.append(Piece(at_ns, _number(values["peer"], 1), data))
        client, server = ends
    except CaptureError:
        raise
    except (ValueError, KeyError):
        raise CaptureError("tshark printed what is not understood here.") from None
    return (client, server), pieces


def _pairs(block: str) -> Iterator[tuple[str, str]]:
    """Names and values, one a line; the lines of data follow their name."""
    data: list[str] | None = None
    for line in block.splitlines():
        if data is not None:
            data.append(line.strip())
            continue
        name, separator, value = line.strip().partition(": ")
        if name == "data" and value.startswith("!!binary"):
            data = []
        elif separator:
            yield name.removeprefix("- "), value.strip()
    if data is not None:
        yield "data", "".join(data).strip()


def _tshark(path: Path, *arguments: str) -> str:
    program = shutil.which("tshark")
    if program is None:
        raise CaptureError(
            "Captures are taken apart by tshark, which is not installed here: it comes with "
            "Wireshark (apt install tshark, brew install wireshark)."
        )
    command = [program, "-n", "-r", os.fspath(path.absolute()), *_WITHOUT_TLS, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 (no shell, and the path cannot be an option)
            command, capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise CaptureError(f"tshark took more than {SECONDS:.0f} seconds.") from None
    except OSError as error:
        raise CaptureError(f"tshark cannot be run: {error.strerror or error}.") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = next((line for line in reversed(said) if "root" not in line), "it did not say why")
        raise CaptureError(f"tshark cannot read the capture: {why.removeprefix('tshark: ')}")
    return done.stdout.decode("utf-8", "replace")


# What it is not asked for, it need not dissect.
_WITHOUT_TLS = ("--disable-protocol", "tls", "--disable-protocol", "http")
