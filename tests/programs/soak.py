"""`python -m tests.programs.soak --requests 100000`: requests and aiohttp, injected at both ends.

Each makes half of the requests, of its own server in this process, and a new connection for one in
twenty; one connection in fifty is refused, for a wrong authority. Told at the end, and making the
status 1: an answer that is another one, and memory, file descriptors, threads or connections that
are more than after the first requests.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import requests
from aiohttp import web
from tests.programs.case import Case
from tests.programs.certificates import write_certificates
from tests.programs.peers import BODY, HOST, http_port

from handclasp.compat.link import Link

_PATHS = [("", BODY), *[("json", b'{"ok": true}')] * 19]
"""The requests of one connection: a long answer, and short ones."""

_ON_ONE_CONNECTION = len(_PATHS)
_REFUSED = 50
_WARM = 2_000
"""Requests after which all is imported and cached that ever will be."""

_LEAK_KIB = 16 * 1024
_SPARE = 8
"""How many more descriptors, threads and connections may be there: those under way."""


class Held(NamedTuple):
    """What a process holds."""

    kib: int
    descriptors: int
    threads: int
    connections: int


def main() -> int:
    """Run, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.programs.soak")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=3600)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        write_certificates(Path(directory))
        case = Case("both", Path(directory), {})
        grown = False
        for name, run in (("requests", _with_requests), ("aiohttp", _with_aiohttp)):
            start, end = time.monotonic(), time.monotonic() + flags.seconds / 2
            before, made = run(case, flags.requests // 2, end)
            after = _held()
            took = time.monotonic() - start
            print(f"{name}: {made} requests in {took:.0f} s\n  warm  {before}\n  after {after}")
            grown |= after.kib - before.kib > _LEAK_KIB
            grown |= any(
                later > early + _SPARE for early, later in zip(before[1:], after[1:], strict=True)
            )
    print("something has grown" if grown else "nothing has grown")
    return int(grown)


def _batches(count: int, end: float) -> Iterator[int]:
    for number in range(max(1, count // _ON_ONE_CONNECTION)):
        if time.monotonic() > end:
            return
        yield number


def _with_requests(case: Case, count: int, end: float) -> tuple[Held, int]:
    url, made, warm = f"https://{HOST}:{http_port(case)}/", 0, _held()
    for number in _batches(count, end):
        with requests.Session() as session:
            session.trust_env, session.verify = False, case.ca
            for path, body in _PATHS:
                if session.get(url + path, timeout=60).content != body:
                    raise AssertionError("another answer came")
                made += 1
            if number % _REFUSED == 0:
                session.verify = case.wrong_ca
                _must_refuse(session, url)
        if made == _WARM:
            warm = _held()
    return warm, made


def _must_refuse(session: requests.Session, url: str) -> None:
    session.close()
    try:
        session.get(url, timeout=60)
    except requests.exceptions.SSLError:
        return
    raise AssertionError("a wrong authority was accepted")


def _with_aiohttp(case: Case, count: int, end: float) -> tuple[Held, int]:
    return asyncio.run(_aiohttp(case, count, end))


async def _aiohttp(case: Case, count: int, end: float) -> tuple[Held, int]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=dict(_PATHS)[request.path[1:]])

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=case.server_context())
    await site.start()
    url, made, warm = f"https://{HOST}:{runner.addresses[0][1]}/", 0, _held()
    right, wrong = case.contexts()
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    for number in _batches(count, end):
        async with aiohttp.ClientSession() as session:
            for path, body in _PATHS:
                async with session.get(url + path, ssl=right) as response:
                    if await response.read() != body:
                        raise AssertionError("another answer came")
                made += 1
            if number % _REFUSED == 0:
                await _must_refuse_asynchronously(session, url, wrong)
        if made == _WARM:
            warm = _held()
    await runner.cleanup()
    return warm, made


async def _must_refuse_asynchronously(
    session: aiohttp.ClientSession, url: str, wrong: ssl.SSLContext
) -> None:
    try:
        await session.get(url, ssl=wrong)
    except aiohttp.ClientConnectorCertificateError:
        return
    raise AssertionError("a wrong authority was accepted")


def _held() -> Held:
    gc.collect()
    kib = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024
    links = sum([isinstance(each, Link) for each in gc.get_objects()])
    return Held(kib, len(os.listdir("/proc/self/fd")), threading.active_count(), links)


if __name__ == "__main__":
    sys.exit(main())
