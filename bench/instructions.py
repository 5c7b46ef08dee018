"""Instructions that a handshake and records take, counted by callgrind.

Unlike times, they hardly depend on the machine or on what else runs there, so that CI can compare
them: `python -m bench.instructions` fails where one is `BOUND` times what `instructions.json` says,
and `--record` writes that file anew. It counts in pure Python, and with records in C where the
accelerator is built.

Each side is counted by itself. A handshake is a function of config, seed and input, so the bytes of
one whole connection are recorded first, and then played to one side again and again. The
certificate is Ed25519, whose signatures are always the same.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from handclasp import (
    ClientConfig,
    ClientConnection,
    Credentials,
    ServerConfig,
    ServerConnection,
    TrustStore,
)
from handclasp.certificates.authority import LocalAuthority
from handclasp.speedups import ACCELERATED, FORM

RECORDED = Path(__file__).with_suffix(".json")
BOUND = 1.25
TIMES = 10
MEGABYTE = bytes(2**20)
SMALL, SMALL_RECORDS = bytes(100), 100
ACTIONS = (
    "client_handshake",
    "server_handshake",
    "write_1mb",
    "read_1mb",
    "write_100_small",
    "read_100_small",
)
CA, CHAIN, KEY = "trusted.pem", "chain.pem", "chain.key"

Connection = TypeVar("Connection", ClientConnection, ServerConnection)


def main() -> int:
    """Count, and compare or record."""
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the counts down")
    parser.add_argument("--play", metavar="DIRECTORY", help="(what runs under callgrind)")
    options = parser.parse_args()
    if options.play:
        play(Path(options.play))
        return 0
    with tempfile.TemporaryDirectory() as directory:
        _write_identity(Path(directory))
        counts = {"pure Python": count(Path(directory), pure=True)}
        if ACCELERATED:
            counts[FORM] = count(Path(directory), pure=False)
    if options.record:
        RECORDED.write_text(json.dumps(counts, indent=2) + "\n")
    recorded = json.loads(RECORDED.read_text())
    return max(compare(form, counts[form], recorded[form]) for form in counts)


def compare(form: str, counts: dict[str, int], recorded: dict[str, int]) -> int:
    """Print both; 1 where one is too much."""
    status = 0
    print(f"{form}:")
    for what, number in counts.items():
        ratio = number / recorded[what]
        verdict = "" if ratio <= BOUND else f"   more than {BOUND} times as many"
        status = status or int(ratio > BOUND)
        print(f"{what:20} {number:12,}   recorded {recorded[what]:12,}   x{ratio:.2f}{verdict}")
    return status


def _write_identity(directory: Path) -> None:
    authority = LocalAuthority.open_or_create(directory)
    issued = authority.issue(["localhost"], key_type="ed25519")
    (directory / CA).write_bytes(authority.certificate_pem)
    (directory / CHAIN).write_bytes(issued.chain_pem)
    (directory / KEY).write_bytes(issued.key_pem)


def count(directory: Path, *, pure: bool) -> dict[str, int]:
    """Instructions of each action, by itself."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory / 'part'}"]
    # `mark` calls this function of the C library and nothing else does: a part ends there.
    command += ["--dump-before=getppid", sys.executable, "-m", "bench.instructions"]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "HANDCLASP_PURE": "1" if pure else ""}
    command += ["--play", str(directory)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    parts = [_total(directory / f"part.{number}") for number in range(1, len(ACTIONS) + 2)]
    return {what: parts[number] // TIMES for number, what in enumerate(ACTIONS, 1)}


def _total(part: Path) -> int:
    for line in part.read_text().splitlines():
        if line.startswith(("summary:", "totals:")):
            return int(line.split()[1])
    raise RuntimeError(f"there is no total in {part.name}")


# What runs under callgrind


class Seeded:
    """Entropy that is the same again after `reset`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._random = Random(1)  # It is to be foreseen.

    def __call__(self, size: int) -> bytes:
        return self._random.randbytes(size)


class Recording:
    """A connection whose two sides can be played again, each by itself."""

    def __init__(self, directory: Path) -> None:
        self._entropy = Seeded()
        shared: dict[str, Any] = {
            "groups": ["X25519"],
            "entropy": self._entropy,
            "certificate_compression": (),
        }
        self._client_config = ClientConfig(trust=TrustStore.from_pem(directory / CA), **shared)
        credentials = Credentials.load(directory / CHAIN, directory / KEY)
        self._server_config = ServerConfig(credentials=credentials, **shared)
        client, server = self._new_client(), self._new_server()
        self._hello = bytes(client.data_to_send())
        server.receive_data(self._hello)
        self._flight = bytes(server.data_to_send())
        client.receive_data(self._flight)
        self._finished = bytes(client.data_to_send())

    def client(self) -> ClientConnection:
        """The client, established."""
        connection = self._new_client()
        connection.data_to_send()
        connection.receive_data(self._flight)
        connection.data_to_send()
        return _established(connection)

    def server(self) -> ServerConnection:
        """The server, established."""
        connection = self._new_server()
        connection.receive_data(self._hello)
        connection.data_to_send()
        connection.receive_data(self._finished)
        return _established(connection)

    def _new_client(self) -> ClientConnection:
        self._entropy.reset()
        return ClientConnection(self._client_config, server_name="localhost")

    def _new_server(self) -> ServerConnection:
        self._entropy.reset()
        return ServerConnection(self._server_config)


def _established(connection: Connection) -> Connection:
    if not connection.established:
        raise RuntimeError("the recorded flight did not lead to a connection")
    return connection


def play(directory: Path) -> None:
    """Each action so many times, with a mark between them."""
    recording = Recording(directory)
    client, server = recording.client(), recording.server()
    sealed: list[bytes] = []
    writer, reader = recording.client(), recording.server()
    small: deque[bytes] = deque()
    for _ in range(TIMES + 1):
        client.send_data(MEGABYTE)
        sealed.append(bytes(client.data_to_send()))

    def write() -> None:
        client.send_data(MEGABYTE)
        client.data_to_send()

    def write_small() -> None:
        for _ in range(SMALL_RECORDS):
            writer.send_data(SMALL)
            small.append(bytes(writer.data_to_send()))

    def read_small() -> None:
        for _ in range(SMALL_RECORDS):
            if not reader.receive_data(small.popleft()):
                raise RuntimeError("data was lost")

    actions: dict[str, Callable[[], object]] = {
        "client_handshake": recording.client,
        "server_handshake": recording.server,
        "write_1mb": write,
        "read_1mb": lambda: server.receive_data(sealed.pop(0)),
        "write_100_small": write_small,
        "read_100_small": read_small,
    }
    for what in ACTIONS:  # What is imported and built once is no part of it.
        actions[what]()
    gc.collect()
    gc.disable()
    mark()
    for what in ACTIONS:
        for _ in range(TIMES):
            actions[what]()
        mark()


def mark() -> None:
    """Where callgrind ends a part."""
    os.getppid()


if __name__ == "__main__":
    sys.exit(main())
