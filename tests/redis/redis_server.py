"""A real Redis of the tests' own, which can be killed and come back on the same port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import redis

WAIT_SECONDS = 20.0


def eventually(what: str, condition: object, seconds: float = WAIT_SECONDS) -> None:
    """Wait until a callable gives something true; fails with `what` otherwise."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not after {seconds:.0f} s: {what}"
        time.sleep(0.01)


class RedisServer:
    """redis-server on a free port of 127.0.0.1, which keeps nothing on disk.

    Args:
        binary: its path.
        directory: an empty one for it to work in.
    """

    def __init__(self, binary: str, directory: Path) -> None:
        self._binary = binary
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, host="127.0.0.1", socket_timeout=5)

    def start(self) -> None:
        """Returns when it answers."""
        assert self._process is None
        command = [self._binary, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._directory)]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually("redis-server answers", self._answers)

    def kill(self) -> None:
        """At once, and with all that it remembered."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(WAIT_SECONDS)

    def freeze(self) -> None:
        """It takes connections and answers nothing any more."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / "log").read_text()
        with suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
