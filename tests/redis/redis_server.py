"""A real Redis of the tests' own, which can be killed and come back on the same port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

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
        options: further ones of its command line.
    """

    def __init__(self, binary: str, directory: Path, *options: str) -> None:
        self._binary = binary
        self.options = options
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

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
        command += ["--repl-diskless-sync-delay", "0"]
        command += self.options
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually("redis-server answers", self._answers)

    def remember_long(self, seconds: float = 60.0) -> None:
        """As if this process of Redis had remembered first flights for so long already."""
        with self.client() as client:
            info: Any = client.info("server")
            left = 2**40 - round(1000 * seconds)
            assert client.set("handclasp:flights", info["run_id"], px=left)

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
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
