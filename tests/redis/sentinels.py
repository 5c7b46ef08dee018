"""A master of Redis with a replica and a Sentinel, all far away, and the master may die."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.redis.far_away import far_away
from tests.redis.redis_server import RedisServer, eventually, free_port

import redis

_CONFIG = """
port {port}
bind 127.0.0.1
dir {directory}
sentinel monitor mymaster 127.0.0.1 {master} 1
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 2000
"""
WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class Guarded:
    """A master that a Sentinel replaces when it dies.

    Attributes:
        url: of the Sentinel, for clients.
        master, replica: the two servers; clients reach them by proxies.
        sentinel: the port of the Sentinel.
    """

    url: str
    master: RedisServer
    replica: RedisServer
    sentinel: int
    _near: dict[int, RedisServer]

    @property
    def current(self) -> RedisServer:
        """The server that is the master by the Sentinel's word."""
        with redis.Redis(port=self.sentinel) as sentinel:
            _, port = sentinel.sentinel_get_master_addr_by_name("mymaster")
        return self._near[int(port)]


@contextmanager
def guarded(binary: str, directory: Path, round_trip: float) -> Generator[Guarded]:
    """Start all three; they know each other when this returns."""
    with ExitStack() as stack:
        near: dict[int, RedisServer] = {}
        for name in ("master", "replica"):
            (directory / name).mkdir()
            server = RedisServer(binary, directory / name)
            far = stack.enter_context(far_away(server.port, round_trip))
            server.options = ("--replica-announce-ip", "127.0.0.1")
            server.options += ("--replica-announce-port", str(far))
            if near:
                server.options += ("--replicaof", f"127.0.0.1 {next(iter(near))}")
            stack.callback(server.kill)
            server.start()
            near[far] = server
        sentinel = free_port()
        master = next(iter(near))
        path = directory / "sentinel.conf"
        path.write_text(_CONFIG.format(port=sentinel, directory=directory, master=master))
        with (directory / "sentinel.log").open("ab") as log:
            process = subprocess.Popen([binary, str(path), "--sentinel"], stdout=log, stderr=log)
        stack.callback(process.wait, WAIT_SECONDS)
        stack.callback(process.kill)
        eventually("the Sentinel knows the replica", lambda: _knows_replica(sentinel))
        url = f"redis+sentinel://127.0.0.1:{sentinel}/mymaster/0"
        first, second = near.values()
        yield Guarded(url, first, second, sentinel, near)


def _knows_replica(port: int) -> bool:
    with suppress(redis.RedisError), redis.Redis(port=port) as sentinel:
        replicas = sentinel.sentinel_slaves("mymaster")
        return bool(replicas) and not replicas[0]["is_disconnected"]
    return False
