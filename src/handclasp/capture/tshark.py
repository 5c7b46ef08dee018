"""Captures, split into TCP segments by Wireshark's `tshark`.

Reading the many kinds of captures, reassembling IP fragments, and tolerating broken ones is a field
of its own, in which tshark has decades of experience. Its `follow` also reassembles segments, but
writes its remarks on missing bytes among those of the peers; so `capture.segments` does this here,
and this library does everything from TLS on.

>>> from pathlib import Path
>>> from handclasp.capture import tshark
>>> path = Path("capture.pcap")
>>> [found] = tshark.conversations(path)
>>> stream = tshark.stream_of(path, found)
>>> stream == tshark.streams_of(path, [found])[found.number]
True
>>> stream.starts_of_hello()
(0, 0)
>>> tshark.datagrams_of(path)
[]

Below these are `found_in` and `stream_in`, which read what tshark `Printed`: each TCP conversation
is a `Found`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from handclasp.capture.segment import Segment
from handclasp.capture.segments import put_together
from handclasp.capture.stream import Address, CaptureError, Stream
from handclasp.values import dataclass, replace

SECONDS = 120.0
"""The seconds that tshark may take for a capture."""


@dataclass(slots=True)
class Found:
    """A TCP conversation in a capture, before its bytes are read.

    Attributes:
        number: tshark's number, for the conversation in the fewest tunnels. One with the same
            addresses in another tunnel is numbered after all of tshark's.
        ends: the addresses of both ends.
        within: tshark's number, and the addresses of the tunnels around it.
        trouble: why the file could not be read to its end; empty if it was.
    """

    number: int
    ends: tuple[Address, Address]
    packets: int = 0
    within: Within | None = None
    trouble: str = ""


Within = tuple[str, frozenset[tuple[str, ...]]]


def conversations(path: Path) -> list[Found]:
    """Return the TCP conversations of a capture, in the order of their first packets.

    Raises `CaptureError`.
    """
    printed = _fields_of(path, _FIELDS, "-Y", "tcp")
    found = found_in(printed.text)
    for each in found:
        each.trouble = printed.trouble
    return found


def found_in(printed: str) -> list[Found]:
    """Return the conversations in tshark's output, which has a line for each packet.

    Invalid packets, such as one that was cut off in its header, are left out. Raises `CaptureError`
    if all of them are invalid.
    """
    found: dict[Within, Found] = {}
    for line in printed.splitlines():
        try:
            stream, moment, source, target, source_port, target_port = _split(line)
            ends = _address(source, source_port), _address(target, target_port)
            _nanoseconds(moment)
            within = _within(line)
            conversation = found.setdefault(within, Found(_number(stream), ends, within=within))
        except ValueError:
            continue
        conversation.packets += 1
    if printed.strip() and not found:
        raise CaptureError(_NOT_UNDERSTOOD)
    return _numbered(list(found.values()))


def _within(line: str) -> Within:
    """Return the conversation and tunnels of a packet: anybody can send tunnels with packets that
    seem to be another's.
    """
    words = line.split("|")
    around = frozenset(tuple(word.split(",")[:-1]) for word in words[2:6] if word)
    return words[0].rpartition(",")[2], around


def _numbered(found: list[Found]) -> list[Found]:
    """Give each conversation a number of its own."""
    best: dict[int, Found] = {}
    for each in found:
        other = best.get(each.number)
        if other is None or _depth(each) < _depth(other):
            best[each.number] = each
    last = max(best, default=0)
    for each in found:
        if best[each.number] is not each:
            last += 1
            each.number = last
    return found


def _depth(found: Found) -> int:
    return max(map(len, found.within[1]), default=0) if found.within is not None else 0


def stream_of(path: Path, found: Found) -> Stream:
    """Return one conversation, reassembled; raise `CaptureError`."""
    stream = streams_of(path, [found])[found.number]
    if isinstance(stream, CaptureError):
        raise stream
    return stream


def streams_of(path: Path, found: Sequence[Found]) -> dict[int, Stream | CaptureError]:
    """Return several conversations, by number; one that cannot be read is its `CaptureError`.

    Raises `CaptureError` if tshark cannot read the capture.
    """
    numbers = {each.within[0] if each.within else str(each.number) for each in found}
    wanted = f"tcp.stream == {min(numbers)}" if len(numbers) == 1 else "tcp"
    options = ("-o", "tcp.check_checksum:TRUE")
    printed = _fields_of(path, (*_SEGMENT_FIELDS, _CHECKSUM), *options, "-Y", wanted)
    lines: dict[Within | None, list[str]] = {each.within: [] for each in found}
    for line in printed.text.splitlines():
        within = _within(line)
        if within in lines:
            lines[within].append(line)
    streams: dict[int, Stream | CaptureError] = {}
    for each in found:
        try:
            stream = stream_in(lines[each.within], each)
            streams[each.number] = replace(stream, trouble=printed.trouble)
        except CaptureError as error:
            streams[each.number] = error
    return streams


def stream_in(lines: Iterable[str], found: Found) -> Stream:
    """Return one conversation from tshark's output, which has a line for each segment.

    Invalid segments are left out, so that their bytes are missing. Raises `CaptureError` if all of
    them are invalid.
    """
    by_end = {end: index for index, end in reversed([*enumerate(found.ends)])}
    segments: list[Segment] = []
    was_printed = False
    for line in lines:
        was_printed = True
        with suppress(ValueError, KeyError):
            segments.append(_segment(line, by_end))
    if was_printed and not segments:
        raise CaptureError(_NOT_UNDERSTOOD)
    return put_together(found.number, found.ends, segments)


_NOT_UNDERSTOOD = (
    "Not one TCP header is whole: packets were cut off when they were captured (a snap length), or "
    "tshark printed what is not understood here."
)

_FIELDS = (
    "tcp.stream",
    "frame.time_epoch",
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
)
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the last one of `datetime`."""
_SEGMENT_FIELDS = (
    *_FIELDS,
    "tcp.flags",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.len",
    "tcp.payload",
)
"""Numbers, addresses and hexadecimal digits: no field has a peer's bytes unescaped."""

_CHECKSUM = "tcp.checksum.status"
"""Printed after these: 0 or Bad, 1 or Good; otherwise it was not checked."""
_BAD = ("0", "Bad")

_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10


def _split(line: str, fields: Sequence[str] = _FIELDS) -> Sequence[str]:
    """Return the values of one packet. In a tunnel there are several addresses: the last counts.

    Raises `ValueError`.
    """
    words = [word.rpartition(",")[2] for word in line.split("|")]
    if len(words) != len(fields):
        raise ValueError("not as many fields as were asked for")
    stream, moment, source4, source6, target4, target6, *rest = words
    return (stream, moment, source4 or source6, target4 or target6, *rest)


def _segment(line: str, by_end: Mapping[Address, int]) -> Segment:
    """Return a segment; raise `ValueError` or `KeyError` if it is not one of this conversation."""
    is_bad = False
    if line.count("|") == len(_SEGMENT_FIELDS):
        line, _, checksum = line.rpartition("|")
        checksum = checksum.rpartition(",")[2]
        if not checksum:
            raise ValueError("no checksum where one was asked for")
        is_bad = checksum in _BAD
    _, moment, host, _, port, _, digits, sequence, acknowledged, size, payload = _split(
        line, _SEGMENT_FIELDS
    )
    flags = _number(str(int(digits, 16)), 0xFFFF)
    data = bytes.fromhex(payload)
    counts = flags & _ACK and not flags & _RST
    return Segment(
        at_ns=_nanoseconds(moment),
        sender=by_end[_address(host, port)],
        sequence=_number(sequence),
        acknowledged=_number(acknowledged) if counts else None,
        syn=bool(flags & _SYN),
        fin=bool(flags & _FIN),
        data=data,
        size=max(_number(size), len(data)),
        is_dropped=not flags & (_ACK | _SYN) or bool(flags & _RST),
        is_damaged=is_bad,
        reset=bool(flags & _RST),
    )


def _number(digits: str, most: int = 2**32 - 1) -> int:
    """Return a number; `int` would accept more than tshark ever prints."""
    if not (digits.isascii() and digits.isdecimal()) or (number := int(digits)) > most:
        raise ValueError("not a number that can stand here")
    return number


def _address(host: str, port: str) -> Address:
    return Address(host, _number(port, 65535))


def _nanoseconds(moment: str) -> int:
    seconds, _, fraction = moment.partition(".")
    return _number(seconds, _LAST_SECOND) * 1_000_000_000 + _number(fraction[:9].ljust(9, "0"))


class Printed(NamedTuple):
    """The output of tshark, and why it could not read the file to its end, if it could not."""

    text: str
    trouble: str


def _fields_of(path: Path, fields: Sequence[str], *arguments: str) -> Printed:
    """Return these fields of the packets that the arguments select, a line for each packet."""
    wanted = [part for name in fields for part in ("-e", name)]
    return _tshark(path, *arguments, "-T", "fields", "-E", "separator=|", *wanted)


def datagrams_of(path: Path) -> list[tuple[Address, Address, bytes]]:
    """Return the UDP datagrams of a capture, with their addresses; raise `CaptureError`."""
    printed = _fields_of(path, _DATAGRAM_FIELDS, "-Y", "udp")
    found: list[tuple[Address, Address, bytes]] = []
    for line in printed.text.splitlines():
        with suppress(ValueError):
            source, target, source_port, target_port, payload = _datagram(line)
            ends = _address(source, source_port), _address(target, target_port)
            found.append((*ends, bytes.fromhex(payload)))
    return found


def _datagram(line: str) -> tuple[str, str, str, str, str]:
    words = [word.rpartition(",")[2] for word in line.split("|")]
    source4, source6, target4, target6, source_port, target_port, payload = words
    return source4 or source6, target4 or target6, source_port, target_port, payload


_DATAGRAM_FIELDS = (
    "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "udp.srcport", "udp.dstport", "udp.payload",
)  # fmt: skip


def _tshark(path: Path, *arguments: str) -> Printed:
    program = shutil.which("tshark")
    if program is None:
        raise CaptureError(
            "Captures are taken apart by tshark, which is not installed here: it comes with "
            "Wireshark (apt install tshark, brew install wireshark)."
        )
    arguments = ("-n", "-r", os.fspath(path.absolute()), *arguments)
    try:
        with TemporaryDirectory(prefix="handclasp-tshark-") as settings:
            _write_settings(program, Path(settings))
            return _run(program, Path(settings), *arguments)
    except OSError as error:
        raise CaptureError(f"tshark cannot be run: {error.strerror or error}.") from None


def _write_settings(program: str, directory: Path) -> None:
    """Write settings for tshark that enable only the necessary dissectors.

    Dissectors read untrusted data, and tshark has thousands of them. The user's own settings are
    not used.
    """
    (directory / "disabled_protos").write_text(_not_needed(program), "utf-8")


@lru_cache(maxsize=1)
def _not_needed(program: str) -> str:
    """Return the filter names of all other protocols, one on each line."""
    with TemporaryDirectory(prefix="handclasp-tshark-") as nothing:
        lines = _run(program, Path(nothing), "-G", "protocols").text.splitlines()
    known = [line.rpartition("\t")[2] for line in lines]
    # Names that begin with _ws. are not protocols.
    others = [name for name in known if name not in _NEEDED and not name.startswith("_ws.")]
    return "".join(f"{name}\n" for name in others)


def _run(program: str, settings: Path, *arguments: str) -> Printed:
    environment = {**os.environ, "WIRESHARK_CONFIG_DIR": os.fspath(settings)}
    try:
        done = subprocess.run(  # noqa: S603 (no shell, and the path cannot be an option)
            [program, *arguments],
            capture_output=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise CaptureError(f"tshark took more than {SECONDS:.0f} seconds.") from None
    text = done.stdout.decode("utf-8", "replace")
    if not done.returncode:
        return Printed(text, "")
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    why = next((line for line in reversed(said) if "root" not in line), "it did not say why")
    why = why.removeprefix("tshark: ")
    is_cut = any("cut short" in line for line in said)
    if text.strip() and is_cut:
        return Printed(text, _CUT)
    if text.strip():
        return Printed(text, f"The file cannot be read to its end; tshark says: {why}")
    if is_cut:
        raise CaptureError("The capture is cut off: there is nothing whole in it to tell.")
    raise CaptureError(f"tshark cannot read the capture: {why}")


_CUT = (
    "The file is cut off in the middle of its last packet: that packet, and what came after it, "
    "are not in it."
)


_LINKS = (
    "frame", "eth", "ethertype", "sll", "null", "loop", "raw", "ppp", "ppp_hdlc", "chdlc", "vlan",
    "ieee8021ad", "llc", "pppoe", "pppoes", "mpls", "nflog", "pktap", "pflog",
)  # fmt: skip
_IP_AND_TCP = (
    "ip", "ipv6", "ipv6.fraghdr", "ipv6.hopopts", "ipv6.dstopts", "ipv6.routing", "ah", "tcp",
)  # fmt: skip
_TUNNELS = ("gre", "udp", "vxlan", "geneve")
_NEEDED = frozenset((*_LINKS, *_IP_AND_TCP, *_TUNNELS))
"""The dissectors that lead to TCP, by their filter names."""
