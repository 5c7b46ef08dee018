"""What went over the loopback interface, captured and dissected by Wireshark's tools."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.children import Child, child
from tests.required import lacking, need_tool

_SECONDS = 20.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Message:
    """One handshake message that the dissector could read.

    Attributes:
        sender: "client" or "server".
        kind: HandshakeType (RFC 8446 section 4).
    """

    sender: str
    kind: int


@dataclass(frozen=True)
class Capture:
    """A file of packets to and from one TCP port of the server."""

    path: Path
    port: int

    def messages(self, keylog: Path | None) -> list[Message]:
        """All handshake messages, in the order of the wire."""
        found = []
        for packet in self._packets("tls.handshake", keylog, "tcp.srcport", "tls.handshake.type"):
            sender = "server" if packet["tcp.srcport"] == [str(self.port)] else "client"
            found += [Message(sender, int(kind)) for kind in packet["tls.handshake.type"]]
        return found

    def values(self, field: str, keylog: Path | None) -> list[str]:
        """Every value of a field of Wireshark's, in the order of the wire."""
        return [
            value
            for packet in self._packets(field, keylog, field)
            for value in packet.get(field, ())
        ]

    def malformed(self, keylog: Path | None) -> list[str]:
        """The numbers of the packets that the dissector could not make sense of."""
        found = self._packets("_ws.malformed", keylog, "frame.number")
        return [number for packet in found for number in packet["frame.number"]]

    def talk(self, keylog: Path | None) -> dict[str, bytes]:
        """What both sides said to each other in application data, decrypted."""
        said = {"client": b"", "server": b""}
        text = self._tshark(keylog, "-q", "-z", "follow,tls,raw,0")
        head, _, body = text.partition("Node 1:")
        # What the second node said is indented; the first is the one that spoke first.
        names = ["server", "client"] if head.strip().endswith(f":{self.port}") else [*said]
        for line in body.splitlines()[1:]:
            if not line.startswith("="):
                said[names[line.startswith("\t")]] += bytes.fromhex(line.strip())
        return said

    def _packets(self, shown: str, keylog: Path | None, *fields: str) -> list[dict[str, Any]]:
        selected = [part for field in fields for part in ("-e", field)]
        # The marks have to be left out: as anything at all, they may look like any protocol.
        printed = self._tshark(keylog, "-Y", f"tcp and {shown}", "-T", "json", *selected)
        return [packet["_source"]["layers"] for packet in json.loads(printed)]

    def _tshark(self, keylog: Path | None, *arguments: str) -> str:
        command = [need_tool("tshark"), "-n", "-r", str(self.path)]
        command += ["-d", f"tcp.port=={self.port},tls"]
        if keylog is not None:
            command += ["-o", f"tls.keylog_file:{keylog}"]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, timeout=_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()


@contextmanager
def capturing(port: int, directory: Path) -> Iterator[Capture]:
    """Everything that goes to and from a port of this machine inside the block.

    Skips the test where it is not permitted.
    """
    path = directory / "capture.pcapng"
    command = [need_tool("dumpcap"), "-i", "lo", "-f", f"port {port}", "-w", str(path)]
    with child(command, directory) as process:
        _mark(process, path, port)
        yield Capture(path, port)
        _mark(process, path, port)
        process.popen.send_signal(signal.SIGINT)
        assert process.wait() == 0, process.said()


def _mark(process: Child, path: Path, port: int) -> None:
    """Send datagrams that TLS has nothing to do with until one is in the file.

    Then the capture has begun, or has everything that was sent before: it keeps the order.
    """
    deadline = time.monotonic() + _SECONDS
    mark = secrets.token_bytes(16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        while not path.exists() or mark not in path.read_bytes():
            if process.popen.poll() is not None:
                lacking(f"capturing on the loopback interface failed: {process.said()}")
            assert time.monotonic() < deadline, process.said()
            sock.sendto(mark, ("127.0.0.1", port))
            time.sleep(_POLL_SECONDS)
