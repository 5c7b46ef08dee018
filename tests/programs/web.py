"""HTTP clients."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

from tests.programs.case import Case, Unproven
from tests.programs.peers import HOST, http_port, web_port
from tests.programs.registry import Program

_ECHO = b"a body\n" * 20000


def _ports(case: Case) -> tuple[int, int]:
    """Return the port to read from, nginx's if it may be, and that of a server that echoes."""
    return web_port(case), http_port(case)


def _read(text: bytes) -> None:
    if b"hello from" not in text or len(text) < 60000:
        raise Unproven(f"{len(text)} bytes came")


def _echoed(text: bytes) -> None:
    if text != _ECHO:
        raise Unproven(f"{len(text)} bytes came back")


def with_http_client(case: Case) -> None:
    right, wrong = case.contexts()

    def get(port: int, context: ssl.SSLContext) -> bytes:
        connection = http.client.HTTPSConnection(HOST, port, context=context, timeout=20)
        connection.request("GET", "/")
        _read(connection.getresponse().read())
        connection.request("GET", "/")
        text = connection.getresponse().read()
        connection.close()
        return text

    reads, echoes = _ports(case)
    _read(get(reads, right))
    connection = http.client.HTTPSConnection(HOST, echoes, context=right, timeout=20)
    connection.request("POST", "/", _ECHO)
    _echoed(connection.getresponse().read())
    connection.close()
    case.refused(lambda: get(reads, wrong), ssl.SSLCertVerificationError)


def with_urllib(case: Case) -> None:
    right, wrong = case.contexts()
    reads, echoes = _ports(case)

    def fetch(port: int, context: ssl.SSLContext, data: bytes | None = None) -> bytes:
        url = f"https://{HOST}:{port}/"
        with urllib.request.urlopen(url, data, timeout=20, context=context) as answer:
            return bytes(answer.read())

    _read(fetch(reads, right))
    _echoed(fetch(echoes, right, _ECHO))
    case.refused(lambda: fetch(reads, wrong), urllib.error.URLError)


def with_requests(case: Case) -> None:
    import requests
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def __init__(self, context: ssl.SSLContext) -> None:
            self._context = context
            super().__init__()

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> Any:
            return super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def session(ca: str) -> requests.Session:
        made = requests.Session()
        made.trust_env = False
        made.verify = ca
        if not case.is_injected:
            made.mount("https://", Adapter(case.context(ca)))
        return made

    reads, echoes = _ports(case)
    with session(case.ca) as right:
        for _ in range(3):
            _read(right.get(f"https://{HOST}:{reads}/", timeout=20).content)
        _echoed(right.post(f"https://{HOST}:{echoes}/", data=_ECHO, timeout=20).content)
    with session(case.wrong_ca) as wrong:
        case.refused(
            lambda: wrong.get(f"https://{HOST}:{reads}/", timeout=20), requests.exceptions.SSLError
        )


def with_urllib3(case: Case) -> None:
    import urllib3

    def pool(ca: str) -> urllib3.PoolManager:
        given: dict[str, Any] = {"ca_certs": ca}
        if not case.is_injected:
            given = {"ssl_context": case.context(ca)}
        return urllib3.PoolManager(**given, retries=False, timeout=20)

    reads, echoes = _ports(case)
    right = pool(case.ca)
    for _ in range(3):
        _read(right.request("GET", f"https://{HOST}:{reads}/").data)
    _echoed(right.request("POST", f"https://{HOST}:{echoes}/", body=_ECHO).data)
    wrong = pool(case.wrong_ca)
    case.refused(
        lambda: wrong.request("GET", f"https://{HOST}:{reads}/"), urllib3.exceptions.SSLError
    )


def with_httpx(case: Case) -> None:
    import httpx

    right, wrong = case.contexts()
    reads, echoes = _ports(case)
    with httpx.Client(verify=right, trust_env=False, timeout=20) as client:
        for _ in range(3):
            _read(client.get(f"https://{HOST}:{reads}/").content)
        _echoed(client.post(f"https://{HOST}:{echoes}/", content=_ECHO).content)
    with httpx.Client(verify=wrong, trust_env=False, timeout=20) as client:
        case.refused(lambda: client.get(f"https://{HOST}:{reads}/"), httpx.ConnectError)


def _httpx_async(case: Case, run: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
    import httpx

    right, wrong = case.contexts()
    reads, echoes = _ports(case)

    async def fetch() -> None:
        async with httpx.AsyncClient(verify=right, trust_env=False, timeout=20) as client:
            for _ in range(3):
                _read((await client.get(f"https://{HOST}:{reads}/")).content)
            answer = await client.post(f"https://{HOST}:{echoes}/", content=_ECHO)
            _echoed(answer.content)

    async def refuse() -> None:
        async with httpx.AsyncClient(verify=wrong, trust_env=False, timeout=20) as client:
            await client.get(f"https://{HOST}:{reads}/")

    run(fetch)
    case.refused(lambda: run(refuse), httpx.ConnectError)


def with_httpx_asyncio(case: Case) -> None:
    _httpx_async(case, lambda function: asyncio.run(function()))  # type: ignore[arg-type]


def with_httpx_trio(case: Case) -> None:
    import trio

    _httpx_async(case, trio.run)


def with_httpcore(case: Case) -> None:
    import httpcore

    right, wrong = case.contexts()
    reads, echoes = _ports(case)
    with httpcore.ConnectionPool(ssl_context=right) as pool:
        for _ in range(3):
            _read(pool.request("GET", f"https://{HOST}:{reads}/").content)
        _echoed(pool.request("POST", f"https://{HOST}:{echoes}/", content=_ECHO).content)
    with httpcore.ConnectionPool(ssl_context=wrong) as pool:
        case.refused(lambda: pool.request("GET", f"https://{HOST}:{reads}/"), httpcore.ConnectError)


def with_aiohttp(case: Case) -> None:
    import aiohttp

    right, wrong = case.contexts()
    reads, echoes = _ports(case)

    async def fetch(context: ssl.SSLContext) -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                async with session.get(f"https://{HOST}:{reads}/", ssl=context) as answer:
                    _read(await answer.read())
            url = f"https://{HOST}:{echoes}/"
            async with session.post(url, ssl=context, data=_ECHO) as answer:
                _echoed(await answer.read())

    asyncio.run(fetch(right))
    case.refused(lambda: asyncio.run(fetch(wrong)), aiohttp.ClientConnectorCertificateError)


def with_tornado(case: Case) -> None:
    from tornado.httpclient import AsyncHTTPClient

    right, wrong = case.contexts()
    reads, echoes = _ports(case)

    async def fetch(context: ssl.SSLContext) -> None:
        client = AsyncHTTPClient(force_instance=True)
        _read((await client.fetch(f"https://{HOST}:{reads}/", ssl_options=context)).body)
        url = f"https://{HOST}:{echoes}/"
        answer = await client.fetch(url, ssl_options=context, method="POST", body=_ECHO)
        _echoed(answer.body)
        client.close()

    asyncio.run(fetch(right))
    case.refused(lambda: asyncio.run(fetch(wrong)), ssl.SSLCertVerificationError)


def with_uvloop(case: Case) -> None:
    import uvloop

    right, wrong = case.contexts()
    reads, _ = _ports(case)

    async def fetch(context: ssl.SSLContext) -> None:
        reader, writer = await asyncio.open_connection(HOST, reads, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        _read(await reader.read())
        writer.close()

    uvloop.run(fetch(right))
    case.refused(lambda: uvloop.run(fetch(wrong)), ssl.SSLCertVerificationError)


_NGINX = "nginx, and http.server for what is posted"


def _program(name: str, run: Callable[[Case], None], *packages: str) -> Program:
    return Program(name, run, packages, _NGINX, "nginx", alone_for_both=True)


PROGRAMS = [
    _program("http.client", with_http_client),
    _program("urllib.request", with_urllib),
    _program("requests", with_requests, "requests"),
    _program("urllib3", with_urllib3, "urllib3"),
    _program("httpx", with_httpx, "httpx"),
    _program("httpx, asyncio", with_httpx_asyncio, "httpx", "anyio"),
    _program("httpx, trio", with_httpx_trio, "httpx", "trio"),
    _program("httpcore", with_httpcore, "httpcore"),
    _program("aiohttp, client", with_aiohttp, "aiohttp"),
    _program("tornado, client", with_tornado, "tornado"),
    _program("uvloop", with_uvloop, "uvloop"),
]
