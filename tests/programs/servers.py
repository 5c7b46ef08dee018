"""HTTP servers, and mail's; each asks for the certificates of its clients."""

from __future__ import annotations

import asyncio
import http.client
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.programs.case import Case, Unproven, in_thread
from tests.programs.peers import (
    HOST,
    Handler,
    HTTPServer,
    Loop,
    free_port,
    wait_for,
)
from tests.programs.registry import Program

TEXT = b"hello from the program\n" * 4000


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer each request with the same text; the header says whose connection it is."""
    sock = environ.get("gunicorn.socket")
    room = type(getattr(sock, "_sslobj", None)).__module__
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(TEXT))), ("X-TLS", room)]
    start_response("200 OK", headers)
    return [TEXT]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer each request with the same text."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(TEXT)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": TEXT})


def _judge(case: Case, port: int, wanted: bytes = TEXT, *, in_other_process: bool = False) -> None:
    """Fetch as a client with a certificate, and as one of a wrong authority."""
    wait_for(port)

    def fetch(context: ssl.SSLContext) -> None:
        connection = http.client.HTTPSConnection(HOST, port, context=context, timeout=20)
        for _ in range(2):
            connection.request("GET", "/")
            text = connection.getresponse().read()
            if text != wanted:
                raise Unproven(f"{len(text)} bytes came")
        connection.close()

    fetch(case.client_context())
    case.refused_as_stranger(
        lambda: fetch(case.client_context(stranger=True)), in_other_process=in_other_process
    )


def with_http_server(case: Case) -> None:
    from tests.programs.peers import BODY

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.context = case.server_program_context()
    in_thread(server.serve_forever)
    _judge(case, server.server_address[1], BODY)


def with_aiohttp(case: Case) -> None:
    from aiohttp import web

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=TEXT)

    port = free_port()

    async def start() -> None:
        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        context = case.server_program_context()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()

    Loop().call(start())
    _judge(case, port)


def with_tornado(case: Case) -> None:
    from tornado.httpserver import HTTPServer as TornadoServer
    from tornado.web import Application, RequestHandler

    class Hello(RequestHandler):
        def get(self) -> None:
            self.write(TEXT)

    port = free_port()

    async def start() -> None:
        options: Any = case.server_program_context()
        if case.is_injected:
            options = {
                "certfile": case.server_file,
                "ca_certs": case.ca,
                "cert_reqs": ssl.CERT_REQUIRED,
            }
        server = TornadoServer(Application([("/", Hello)]), ssl_options=options)
        server.listen(port, "127.0.0.1")

    Loop().call(start())
    _judge(case, port)


def with_uvicorn(case: Case) -> None:
    import uvicorn

    port = free_port()
    config = uvicorn.Config(
        asgi,
        port=port,
        log_level="critical",
        lifespan="off",
        ssl_certfile=case.server_file,
        ssl_ca_certs=case.ca,
        ssl_cert_reqs=ssl.CERT_REQUIRED,
    )
    if not case.is_injected:
        config.load()
        config.ssl = case.server_program_context()
    in_thread(uvicorn.Server(config).run)
    _judge(case, port)


def with_hypercorn(case: Case) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    class Given(Config):
        def create_ssl_context(self) -> ssl.SSLContext | None:
            if case.is_injected:
                return super().create_ssl_context()
            context = case.server_program_context()
            context.set_alpn_protocols(self.alpn_protocols)
            return context

    port = free_port()
    config = Given()
    config.bind = [f"127.0.0.1:{port}"]
    config.certfile, config.keyfile = case.server_file, case.server_file
    config.ca_certs, config.verify_mode = case.ca, ssl.CERT_REQUIRED
    config.loglevel = "CRITICAL"
    loop = Loop()

    async def forever() -> None:
        await asyncio.Event().wait()

    asyncio.run_coroutine_threadsafe(
        serve(asgi, config, shutdown_trigger=forever),
        loop.loop,
    )
    _judge(case, port)


_GUNICORN = """
bind = "127.0.0.1:{port}"
workers = 1
certfile = keyfile = {server!r}
ca_certs = {ca!r}
cert_reqs = 2
loglevel = "critical"
control_socket_disable = True
"""

_GIVEN = """
def ssl_context(config, default_ssl_context_factory):
    import ssl, handclasp.compat
    context = handclasp.compat.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.certfile)
    context.load_verify_locations(config.ca_certs)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
"""

_INJECTED = """
import handclasp.compat
handclasp.compat.inject()
"""


def with_gunicorn(case: Case) -> None:
    """In a process of its own, as it forks workers; the application says whose TLS it is."""
    port = free_port()
    text = _INJECTED if case.is_injected else _GIVEN
    text += _GUNICORN.format(port=port, server=case.server_file, ca=case.ca)
    path = Path(case.home) / f"gunicorn-{case.way}.py"
    path.write_text(text)
    command = [sys.executable, "-m", "gunicorn", "-c", str(path), "tests.programs.servers:wsgi"]
    process = subprocess.Popen(command)
    try:
        _judge(case, port, in_other_process=True)
        connection = http.client.HTTPSConnection(
            HOST, port, context=case.client_context(), timeout=20
        )
        connection.request("GET", "/")
        room = connection.getresponse().headers["x-tls"]
        connection.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    if not room.startswith("handclasp"):
        raise Unproven(f"the connection of a worker is {room}'s")


def with_cheroot(case: Case) -> None:
    from cheroot.ssl.builtin import BuiltinSSLAdapter
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", 0), wsgi)
    adapter = BuiltinSSLAdapter(case.server_file, case.server_file, case.ca)
    if case.is_injected:
        adapter.context.verify_mode = ssl.CERT_REQUIRED
    else:
        adapter.context = case.server_program_context()
    server.ssl_adapter = adapter
    server.error_log = lambda *_, **__: None
    server.prepare()
    in_thread(server.serve)
    _judge(case, server.bind_addr[1])


def with_werkzeug(case: Case) -> None:
    from werkzeug.serving import make_server

    context = case.server_program_context()
    server = make_server("127.0.0.1", 0, wsgi, threaded=True, ssl_context=context)
    in_thread(server.serve_forever)
    _judge(case, server.server_port)


def with_flask(case: Case) -> None:
    import logging

    from flask import Flask

    logging.getLogger("werkzeug").disabled = True
    app = Flask("program")
    app.get("/")(lambda: TEXT)
    port = free_port()
    context = case.server_program_context()
    in_thread(lambda: app.run("127.0.0.1", port, ssl_context=context))
    _judge(case, port)


def _server(name: str, run: Callable[[Case], None], *packages: str) -> Program:
    own = name == "gunicorn"
    return Program(name, run, packages, "http.client", is_server=True, own_checks=own)


PROGRAMS = [
    _server("http.server", with_http_server),
    _server("aiohttp, server", with_aiohttp, "aiohttp"),
    _server("tornado, server", with_tornado, "tornado"),
    _server("uvicorn", with_uvicorn, "uvicorn"),
    _server("hypercorn", with_hypercorn, "hypercorn"),
    _server("gunicorn", with_gunicorn, "gunicorn"),
    _server("cheroot", with_cheroot, "cheroot"),
    _server("werkzeug", with_werkzeug, "werkzeug"),
    _server("flask", with_flask, "flask", "werkzeug"),
]
