"""One server of a fleet, as a process of its own: it tells each client how it was served.

    python -m tests.redis.server '{"redis": "redis://127.0.0.1:6379/0", "directory": "..."}'

It prints its port, and answers each line of its standard input with a line of JSON about its keys.
The directory holds chain.pem and key.pem. With `"loop": true` it is an asyncio server.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
import sys
import threading
import time
from collections.abc import Awaitable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from handclasp import ConnectionInfo, Credentials, ServerConfig, aio, wrap_server
from handclasp.redis import AsyncRedisReplayFilter, RedisReplayFilter, RedisTicketKeys

CLIENT_SECONDS = 20.0


class Watched:
    """A replay guard that notes its answers.

    Attributes:
        answers: whether each flight was the first of its kind.
    """

    def __init__(self, guard: RedisReplayFilter | AsyncRedisReplayFilter) -> None:
        self.answers: list[bool] = []
        self._guard = guard

    @property
    def status(self) -> str:
        return self._guard.status

    @property
    def in_touch(self) -> bool:
        return self._guard.in_touch

    def is_first(self, token: bytes, ticket_created_at: float) -> Any:
        answer = self._guard.is_first(token, ticket_created_at)
        if inspect.isawaitable(answer):
            return self._noted_later(answer)
        self.answers.append(answer)
        return answer

    async def _noted_later(self, answer: Awaitable[bool]) -> bool:
        self.answers.append(await answer)
        return self.answers[-1]


def said(info: ConnectionInfo) -> bytes:
    return (
        json.dumps({"resumed": info.resumed, "early_data": info.early_data_status}).encode() + b"\n"
    )


def make_config(options: dict[str, Any], keys: RedisTicketKeys, guard: Watched) -> ServerConfig:
    directory = options["directory"]
    return ServerConfig(
        credentials=Credentials.load(f"{directory}/chain.pem", f"{directory}/key.pem"),
        ticket_keys=keys,
        ticket_lifetime=int(options["lifetime"]),
        replay_guard=guard,
        max_early_data=16384,
        clock=lambda: datetime.now(UTC) + timedelta(seconds=options["ahead"]),
    )


def serve_on_threads(listener: socket.socket, config: ServerConfig) -> None:
    def serve(sock: socket.socket) -> None:
        sock.settimeout(CLIENT_SECONDS)
        with suppress(OSError), wrap_server(sock, config) as tls:
            tls.sendall(said(tls.info))
            while tls.recv(65536):
                pass

    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


async def serve_on_a_loop(listener: socket.socket, config: ServerConfig) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(said(writer.get_extra_info("handclasp")))
            await writer.drain()
            while await reader.read(65536):
                pass
        writer.close()

    server = await aio.start_server(serve, sock=listener, config=config)
    await server.serve_forever()


def answer_questions(keys: RedisTicketKeys, errors: list[str], guard: Watched) -> None:
    for _ in sys.stdin:
        known = keys.keys()
        answer = {
            "status": keys.status,
            "in_touch": keys.in_touch,
            "keys": [key.key_id.hex() for key in known],
            "errors": errors,
            "first_flights": guard.answers,
            "guard_status": guard.status,
            "guard_in_touch": guard.in_touch,
        }
        print(json.dumps(answer), flush=True)


def main() -> None:
    options: dict[str, Any] = json.loads(sys.argv[1])
    errors: list[str] = []

    def clock() -> float:
        return time.time() + float(options["ahead"])

    keys = RedisTicketKeys(
        options["redis"],
        rotation=options["rotation"],
        lifetime=options["lifetime"],
        poll=options["poll"],
        wrapping_key=bytes.fromhex(options["wrapping_key"]),
        on_error=lambda error: errors.append(error.kind),
        clock=clock,
    )
    url, loop = options["redis"], options["loop"]
    kind = AsyncRedisReplayFilter if loop else RedisReplayFilter
    guard = Watched(kind(url, timeout=options["timeout"], clock=clock))
    config = make_config(options, keys, guard)
    keys.ready()
    threading.Thread(target=answer_questions, args=(keys, errors, guard), daemon=True).start()
    # It sets SO_REUSEADDR.
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(f"port {listener.getsockname()[1]}", flush=True)
        if loop:
            asyncio.run(serve_on_a_loop(listener, config))
        else:
            serve_on_threads(listener, config)


if __name__ == "__main__":
    main()
