"""Guards that ask a Redis which fails, in every way that one can: early data are refused.

The Redis is a script here: what it says in an exchange is up to each test.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Event, Thread

import pytest

from handclasp.redis import AsyncRedisReplayFilter, RedisReplayFilter

TOKEN = b"t" * 32
RUN_ID = b"0123456789abcdef" * 2
"""The name of a process of Redis."""

INFO = b"# Server\r\nredis_version:7.0.15\r\nrun_id:%s\r\n" % RUN_ID

REMEMBERS = 2**40 - 60_000
"""Milliseconds: what is left to live for a memory that began a minute ago."""

MARKED = 30_000
"""Milliseconds: what is left to live for a mark, if Redis's clock is the server's."""

_NAME = re.compile(rb"\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n")

Reply = Callable[[bytes], bytes | None]
"""What to say to a command, by its name; None closes the connection."""


def saying(**replies: bytes | None) -> Reply:
    """An honest Redis but for these replies."""
    honest = {
        "HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n",
        "MULTI": b"+OK\r\n",
        "GET": b"+QUEUED\r\n",
        "SET": b"+QUEUED\r\n",
        "PTTL": b"+QUEUED\r\n",
        "INFO": b"+QUEUED\r\n",
        "EXEC": executed(RUN_ID, REMEMBERS, b"+OK\r\n"),
    }
    said: dict[str, bytes | None] = {**honest, **replies}
    return lambda name: said.get(name.decode().upper(), b"+OK\r\n")


def executed(
    memory: bytes, left: int, token: bytes, token_left: int = MARKED, info: bytes = INFO
) -> bytes:
    """The answers of the transaction: about the memory, the mark, and the process of Redis."""
    remembers = bulk(memory) + b":%d\r\n" % left
    return b"*5\r\n" + remembers + token + b":%d\r\n" % token_left + bulk(info)


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)


def to_everything(reply: bytes | None) -> Reply:
    return lambda _: reply


@contextmanager
def scripted(reply: Reply) -> Iterator[str]:
    over = Event()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(65536):
                for name in _NAME.findall(data):
                    said = reply(name)
                    if said is None:
                        return
                    if not said:
                        over.wait(30)
                        return
                    self.request.sendall(said)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that is gone is no fault of the test's."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        finally:
            over.set()
            server.shutdown()
            thread.join()


def ask(url: str) -> bool:
    with RedisReplayFilter(url, timeout=0.2) as guard:
        return guard.is_first(TOKEN, time.time())


def ask_on_a_loop(url: str) -> bool:
    async def run() -> bool:
        async with AsyncRedisReplayFilter(url, timeout=0.2) as guard:
            return await guard.is_first(TOKEN, time.time())

    return asyncio.run(run())


both = pytest.mark.parametrize("asking", [ask, ask_on_a_loop], ids=["threads", "loop"])

FAILURES: dict[str, Reply] = {
    "says nothing": to_everything(b""),
    "closes at once": to_everything(None),
    "speaks another protocol": to_everything(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "wants a password": to_everything(b"-NOAUTH Authentication required.\r\n"),
    "is loading": saying(MULTI=b"-LOADING Redis is loading the dataset in memory\r\n"),
    "is a replica": saying(
        SET=b"-READONLY You can't write against a read only replica.\r\n",
        EXEC=b"-EXECABORT Transaction discarded because of previous errors.\r\n",
    ),
    "is full": saying(
        SET=b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        EXEC=b"-EXECABORT Transaction discarded because of previous errors.\r\n",
    ),
    "closes before the answer": saying(EXEC=None),
    "closes within the answer": saying(EXEC=b"*5\r\n_\r\n"),
    "discards the transaction": saying(EXEC=b"_\r\n"),
    "answers too little": saying(EXEC=b"*2\r\n" + bulk(RUN_ID) + b":%d\r\n" % REMEMBERS),
    "fails within the transaction": saying(
        EXEC=executed(RUN_ID, REMEMBERS, b"-WRONGTYPE Operation against a key\r\n")
    ),
    "has forgotten": saying(EXEC=executed(RUN_ID, 2**40, b"+OK\r\n")),
    "was started again": saying(EXEC=executed(b"another", REMEMBERS, b"+OK\r\n")),
    "has just taken over": saying(
        EXEC=executed(RUN_ID, REMEMBERS, b"+OK\r\n", info=INFO.replace(b"01", b"99"))
    ),
    "does not tell its run_id": saying(
        EXEC=executed(RUN_ID, REMEMBERS, b"+OK\r\n", info=b"# Server\r\n")
    ),
    "has no end to its memory": saying(EXEC=executed(RUN_ID, -1, b"+OK\r\n")),
    "has no memory": saying(EXEC=executed(RUN_ID, -2, b"+OK\r\n")),
    "answers too little of the mark": saying(
        EXEC=b"*5\r\n%s:%d\r\n+OK\r\n+OK\r\n%s" % (bulk(RUN_ID), REMEMBERS, bulk(INFO))
    ),
    "has lost the mark": saying(EXEC=executed(RUN_ID, REMEMBERS, b"+OK\r\n", -2)),
    "has no end to the mark": saying(EXEC=executed(RUN_ID, REMEMBERS, b"+OK\r\n", -1)),
    "is ten seconds ahead": saying(EXEC=executed(RUN_ID, REMEMBERS, b"+OK\r\n", 20_000)),
    "is ten seconds behind": saying(EXEC=executed(RUN_ID, REMEMBERS, b"+OK\r\n", 40_000)),
    "is older than 6.2": saying(
        SET=b"-ERR syntax error\r\n",
        EXEC=b"-EXECABORT Transaction discarded because of previous errors.\r\n",
    ),
    "knows the flight": saying(EXEC=executed(RUN_ID, REMEMBERS, b"_\r\n")),
}


@both
def test_an_honest_one_says_yes(asking: Callable[[str], bool]) -> None:
    """So it is not the script that makes the answers below what they are."""
    with scripted(saying()) as url:
        assert asking(url) is True


@both
@pytest.mark.parametrize("failure", FAILURES)
def test_whatever_fails_refuses(asking: Callable[[str], bool], failure: str) -> None:
    with scripted(FAILURES[failure]) as url:
        assert asking(url) is False


@both
def test_nobody_listens(asking: Callable[[str], bool]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert asking(f"redis://127.0.0.1:{port}/0") is False
