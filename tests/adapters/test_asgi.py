"""ASGI applications over `handclasp.asgi`: what they learn of TLS, and of early data."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.adapters.pairs import Aside
from tests.adapters.streams import run
from tests.children import child
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.required import need_module
from tests.test_readme import example

import handclasp
from handclasp import (
    CertificateError,
    ClientAuth,
    ClientConfig,
    ClientConnection,
    ConnectionInfo,
    Credentials,
    PeerAlertError,
    PreSharedKey,
    ServerConfig,
    ServerConnection,
    SessionStore,
    accept_unverified,
    aio,
    asgi,
)
from handclasp.adapters.asgi import OverTLS
from handclasp.certificates.credentials import LocalSigner
from handclasp.errors import ConfigurationError

uvicorn = need_module("uvicorn")
hypercorn = need_module("hypercorn.config")

DOCUMENT = Path(__file__).parents[2] / "docs" / "asgi.md"
SETTINGS: dict[str, Any] = {"log_config": None, "lifespan": "off"}


class App:
    """Answers with the path; `scopes` has what it was asked."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "lifespan":
            raise RuntimeError
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        answer = scope["method"].encode() + b" " + scope["raw_path"] + b" " + body
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


@asynccontextmanager
async def by_uvicorn(app: Any, config: ServerConfig, **settings: Any) -> AsyncIterator[int]:
    server = asgi.make_server(app, "127.0.0.1", 0, config, **{**SETTINGS, **settings})
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        assert not serving.done(), serving.result()
        await asyncio.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def by_hypercorn(app: Any, config: ServerConfig) -> AsyncIterator[int]:
    settings = hypercorn.Config()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings.bind = [f"fd://{listener.detach()}"]
    settings.graceful_timeout = 2
    settings.keep_alive_timeout = 60  # Nobody may have to wait for this.
    end = asyncio.Event()
    serving = asyncio.ensure_future(
        asgi.serve_hypercorn(app, settings, config, shutdown_trigger=end.wait)
    )
    await asyncio.sleep(0.05)
    try:
        yield port
    finally:
        end.set()
        await serving


SERVERS = {"uvicorn": by_uvicorn, "hypercorn": by_hypercorn}
either_server = pytest.mark.parametrize("by", SERVERS)


async def ask(
    port: int,
    config: ClientConfig,
    *requests: bytes,
    early: bytes | None = None,
) -> tuple[bytes, bytes]:
    """Return the answer, and what was not delivered early."""
    reader, writer = await aio.open_connection("127.0.0.1", port, config=config, early_data=early)
    rejected = writer.get_extra_info("early_data_rejected")
    for request in requests or ([rejected] if rejected else []):
        writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer, rejected


def request(method: str, body: bytes = b"", *headers: bytes, last: bool = True) -> bytes:
    lines = [f"{method} /path HTTP/1.1".encode(), b"host: localhost", *headers]
    lines.append(b"content-length: %d" % len(body))
    if last:
        lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.fixture
def mutual(pki: Pki, server_config: ServerConfig) -> ServerConfig:
    return replace(server_config, client_auth=ClientAuth.OPTIONAL, trust=pki.trust)


def der(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


def info_of(client_config: ClientConfig, server_config: ServerConfig) -> ConnectionInfo:
    """Return what a server knows of a connection in memory."""
    client = ClientConnection(client_config, server_name="localhost")
    server = ServerConnection(server_config)
    while server.info is None:
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    return server.info


# The TLS extension


@either_server
@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_a_scope_tells_of_tls(
    pki: Pki, client_config: ClientConfig, mutual: ServerConfig, by: str, version: str
) -> None:
    app = App()
    credentials = pki.client("a client, of ours")
    config = replace(client_config, versions=[version], credentials=credentials)

    async def main() -> bytes:
        async with SERVERS[by](app, mutual) as port:
            return (await ask(port, config, request("POST", b"body")))[0]

    assert run(main()).endswith(b"POST /path body")
    scope = app.scopes[-1]
    assert scope["scheme"] == "https"
    tls = scope["extensions"]["tls"]
    assert set(tls) == {
        "server_cert",
        "client_cert_chain",
        "client_cert_name",
        "client_cert_error",
        "tls_version",
        "cipher_suite",
    }
    own: Any = mutual.credentials
    assert der(tls["server_cert"]) == own[0].chain_der[0]
    assert [der(each) for each in tls["client_cert_chain"]] == list(credentials.chain_der)
    assert tls["client_cert_name"] == r"CN=a client\, of ours"
    assert tls["client_cert_error"] is None
    assert tls["tls_version"] == {"TLSv1.3": 0x0304, "TLSv1.2": 0x0303}[version]
    assert tls["cipher_suite"] == {"TLSv1.3": 0x1301, "TLSv1.2": 0xC02B}[version]
    assert "handclasp.early_data" not in scope["extensions"]


@either_server
def test_a_client_without_a_certificate(
    client_config: ClientConfig, mutual: ServerConfig, by: str
) -> None:
    app = App()

    async def main() -> None:
        async with SERVERS[by](app, mutual) as port:
            await ask(port, client_config, request("GET"))

    run(main())
    tls = app.scopes[-1]["extensions"]["tls"]
    assert (tls["client_cert_chain"], tls["client_cert_name"]) == ([], None)
    assert tls["client_cert_error"] is None


def test_a_certificate_that_nobody_verified(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    app = App()
    config = replace(client_config, credentials=Pki().client())
    server_config = replace(
        server_config,
        client_auth=ClientAuth.REQUIRED,
        verify=lambda question: accept_unverified(question.chain_der),
    )

    async def main() -> None:
        async with by_uvicorn(app, server_config) as port:
            await ask(port, config, request("GET"))

    run(main())
    tls = app.scopes[-1]["extensions"]["tls"]
    assert tls["client_cert_name"] == "CN=a client"
    assert "not verified" in tls["client_cert_error"]


def test_a_client_that_is_not_trusted_is_refused_though_none_is_required(
    client_config: ClientConfig, mutual: ServerConfig
) -> None:
    app = App()
    config = replace(client_config, credentials=Pki().client())

    async def main() -> None:
        async with by_uvicorn(app, mutual) as port:
            with pytest.raises(PeerAlertError, match="unknown_ca"):
                await ask(port, config, request("GET"))

    run(main())
    assert not app.scopes


def shuffled(pki: Pki, *others: bytes) -> Credentials:
    """Return a client's credentials, with other certificates before those that lead on."""
    key = key_of_type("ecdsa-p256")
    issuing = pki.intermediate()
    leaf = issuing.issue(Leaf(purpose=ExtendedKeyUsageOID.CLIENT_AUTH), key.public_key())
    credentials = Credentials.from_signer([leaf, *issuing.path], LocalSigner(key))
    own, *rest = credentials.chain_der
    return replace(credentials, chain_der=(own, *others, *rest))


def test_a_chain_is_one_of_which_each_has_signed_the_one_before(
    pki: Pki, client_config: ClientConfig, mutual: ServerConfig
) -> None:
    """The extension promises it; a client may send what it likes."""
    unrelated = Pki().server("localhost").chain_der[0]
    anybody = replace(
        mutual, trust=None, verify=lambda question: accept_unverified(question.chain_der)
    )
    for others, config, length in (
        ((), mutual, 2),
        ((), anybody, 2),
        ((unrelated,), mutual, 2),
        ((unrelated,), anybody, 1),
    ):
        credentials = shuffled(pki, *others)
        info = info_of(replace(client_config, credentials=credentials), config)
        assert len(info.peer_chain_der) == 2 + len(others)
        tls = asgi.tls_extension(info)
        chain = [x509.load_pem_x509_certificate(each.encode()) for each in tls["client_cert_chain"]]
        assert len(chain) == length
        for certificate, issuer in pairwise(chain):
            certificate.verify_directly_issued_by(issuer)


def test_pre_shared_keys_need_no_certificate() -> None:
    psk = PreSharedKey(b"sensor 7", os.urandom(32))
    tls = asgi.tls_extension(info_of(ClientConfig(psks=[psk]), ServerConfig(psks=[psk])))
    assert (tls["server_cert"], tls["client_cert_chain"], tls["tls_version"]) == (None, [], 0x304)


def test_a_resumed_connection_has_the_same_client(
    pki: Pki, client_config: ClientConfig, mutual: ServerConfig
) -> None:
    app = App()
    config = replace(client_config, credentials=pki.client(), sessions=SessionStore())

    async def main() -> None:
        async with by_uvicorn(app, mutual) as port:
            for _ in range(2):
                await ask(port, config, request("GET"))

    run(main())
    first, second = (scope["extensions"]["tls"] for scope in app.scopes)
    assert first["client_cert_chain"] == second["client_cert_chain"]
    assert (first["server_cert"] is None, second["server_cert"]) == (False, None)  # None was sent.
    assert second["client_cert_name"] == "CN=a client"


def test_certificates_are_written_once_for_a_connection(
    pki: Pki, client_config: ClientConfig, mutual: ServerConfig
) -> None:
    """A client that has many requests open has no part of them copied for each."""
    scopes: list[Any] = []

    async def app(scope: Any) -> None:
        scopes.append(scope)
        scope["extensions"]["tls"]["client_cert_chain"].append("of the application")
        scope["extensions"]["tls"]["client_cert_name"] = "of the application"

    config = replace(client_config, credentials=pki.client("client"))
    over = OverTLS(app, info_of(config, mutual))

    async def main() -> None:
        for _ in range(2):
            await over({"type": "http"})

    asyncio.run(main())
    first, second = (scope["extensions"]["tls"] for scope in scopes)
    assert len(second["client_cert_chain"]) == 2
    assert first["client_cert_chain"][0] is second["client_cert_chain"][0]
    assert first["server_cert"] is second["server_cert"]
    assert first is not second


# Early data


def early_app() -> tuple[App, Any]:
    app = App()
    return app, asgi.RefuseEarlyData(app)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_in_early_data(
    client_config: ClientConfig, server_config: ServerConfig, method: str
) -> None:
    app, guarded = early_app()
    config = replace(client_config, sessions=SessionStore(), allow_early_data=True)
    server_config = replace(server_config, max_early_data=1000)
    early = request(method, b"x")

    async def main() -> list[tuple[bytes, bytes]]:
        async with by_uvicorn(guarded, server_config) as port:
            return [await ask(port, config, early=early) for _ in range(2)]

    (first, rejected), (second, later) = run(main())
    assert (rejected, later) == (early, b"")
    assert first.startswith(b"HTTP/1.1 200")
    assert "handclasp.early_data" not in app.scopes[0]["extensions"]
    if method == "GET":
        assert second.endswith(b"GET /path x")
        assert "handclasp.early_data" in app.scopes[1]["extensions"]
    else:
        assert second.startswith(b"HTTP/1.1 425")
        assert len(app.scopes) == 1


@pytest.mark.parametrize("cut", [10, 40, None])
def test_what_follows_early_data(
    client_config: ClientConfig, server_config: ServerConfig, cut: int | None
) -> None:
    """A request that came early in part is early as well, and the next one is not."""
    app = App()
    config = replace(client_config, sessions=SessionStore(), allow_early_data=True)
    server_config = replace(server_config, max_early_data=1000)
    whole = request("PUT", b"early", last=False)

    async def main() -> bytes:
        async with by_uvicorn(app, server_config) as port:
            await ask(port, config, request("GET"))
            reader, writer = await aio.open_connection(
                "127.0.0.1", port, config=config, early_data=whole[:cut]
            )
            assert writer.get_extra_info("early_data_rejected") == b""
            if cut is not None:
                writer.write(whole[cut:])
            await reader.readuntil(b"PUT /path early")
            writer.write(request("POST", b"later"))
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

    assert run(main()).endswith(b"POST /path later")
    early = ["handclasp.early_data" in scope["extensions"] for scope in app.scopes]
    assert early == [False, True, False]


@pytest.mark.parametrize("value", ["1", "1, 1", "1\r\nEarly-Data: 1", "0", "true", "2", ""])
def test_a_proxy_tells_of_early_data(
    client_config: ClientConfig, server_config: ServerConfig, value: str
) -> None:
    app, guarded = early_app()
    header = b"Early-Data: " + value.encode()

    async def main() -> bytes:
        async with by_uvicorn(guarded, server_config) as port:
            answer, _ = await ask(port, client_config, request("POST", b"", header))
            return answer

    assert run(main()).startswith(b"HTTP/1.1 425")
    assert not app.scopes


# Starting, and what is refused


class Living(App):
    """An application that is told of its start and its end."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await super().__call__(scope, receive, send)
            return
        for _ in range(2):
            message = await receive()
            self.scopes.append(message["type"])
            await send({"type": f"{message['type']}.complete"})


@either_server
def test_the_lifespan_and_the_end(
    client_config: ClientConfig, server_config: ServerConfig, by: str
) -> None:
    app = Living()

    async def main() -> bytes:
        settings = {"lifespan": "on"} if by == "uvicorn" else {}
        async with SERVERS[by](app, server_config, **settings) as port:
            return (await ask(port, client_config, request("GET")))[0]

    assert run(main()).startswith(b"HTTP/1.1 200")
    first, asked, last = app.scopes
    assert (first, last) == ("lifespan.startup", "lifespan.shutdown")
    assert asked["type"] == "http"


@either_server
def test_a_client_that_ends_without_close_notify_leaves_no_traceback(
    client_config: ClientConfig,
    server_config: ServerConfig,
    by: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Most of them do, once they have what they want."""

    async def main() -> bytes:
        async with SERVERS[by](App(), server_config) as port:
            reader, writer = await aio.open_connection("127.0.0.1", port, config=client_config)
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            answer = await reader.readuntil(b"GET /")
            # Sockets of uvloop have no shutdown(); a copy ends the same connection.
            number = os.dup(writer.get_extra_info("socket").fileno())
            with socket.socket(fileno=number) as plain:
                plain.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                await reader.read()
            writer.transport.abort()
            return answer

    assert run(main()).startswith(b"HTTP/1.1 200")
    assert not [each for each in caplog.records if each.exc_info]


def test_hypercorn_speaks_http2(client_config: ClientConfig, server_config: ServerConfig) -> None:
    h2 = pytest.importorskip("h2.connection")
    app = App()
    server_config = replace(server_config, alpn=["h2", "http/1.1"])
    config = replace(client_config, alpn=["h2"])

    async def main() -> bytes:
        async with by_hypercorn(app, server_config) as port:
            reader, writer = await aio.open_connection("127.0.0.1", port, config=config)
            connection = h2.H2Connection()
            connection.initiate_connection()
            names = {":method": "GET", ":path": "/path", ":scheme": "https", ":authority": "a"}
            connection.send_headers(1, list(names.items()), end_stream=True)
            writer.write(connection.data_to_send())
            body = b""
            while not body:
                for event in connection.receive_data(await reader.read(65536)):
                    body += getattr(event, "data", b"") or b""
            writer.close()
            await writer.wait_closed()
            return body

    assert run(main()).rstrip() == b"GET /path"
    assert app.scopes[-1]["http_version"] == "2"
    assert app.scopes[-1]["extensions"]["tls"]["tls_version"] == 0x0304


UPGRADE = (
    b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("cut", [10, None])
@pytest.mark.parametrize("ws", ["wsproto", "websockets"])
def test_a_websocket_in_early_data(
    client_config: ClientConfig,
    server_config: ServerConfig,
    ws: str,
    cut: int | None,
    guarded: bool,
) -> None:
    pytest.importorskip(ws)
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await receive()
        await send({"type": "websocket.close"})

    config = replace(client_config, sessions=SessionStore(), allow_early_data=True)
    server_config = replace(server_config, max_early_data=1000)
    served = asgi.RefuseEarlyData(app) if guarded else app

    async def main() -> bytes:
        async with by_uvicorn(served, server_config, ws=ws) as port:
            await ask(port, config, UPGRADE)
            rest = b"" if cut is None else UPGRADE[cut:]
            answer, rejected = await ask(port, config, rest, early=UPGRADE[:cut])
            assert rejected == b""
            return answer

    answer = run(main())
    marks = ["handclasp.early_data" in scope["extensions"] for scope in scopes]
    if guarded:
        assert answer.startswith(b"HTTP/1.1 425")
        assert marks == [False]
    else:
        assert answer.startswith(b"HTTP/1.1 403")
        assert marks == [False, True]


def test_a_websocket_in_early_data_of_a_server_with_no_answers_of_ones_own() -> None:
    sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it has come through")

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "extensions": {"handclasp.early_data": {}}}
    asyncio.run(asgi.RefuseEarlyData(app)(scope, receive, send))
    assert sent == ["websocket.close"]


def test_a_websocket_tells_of_tls(client_config: ClientConfig, server_config: ServerConfig) -> None:
    pytest.importorskip("wsproto")
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await receive()
        await send({"type": "websocket.close"})

    async def main() -> bytes:
        async with by_uvicorn(app, server_config, ws="wsproto") as port:
            return (await ask(port, client_config, UPGRADE))[0]

    assert run(main()).startswith(b"HTTP/1.1 403")
    assert scopes[0]["type"] == "websocket"
    assert scopes[0]["extensions"]["tls"]["tls_version"] == 0x0304


@pytest.mark.parametrize(
    "settings",
    [{"ssl_certfile": "a"}, {"http": "httptools"}, {"workers": 2}, {"reload": True}],
)
def test_what_uvicorn_cannot_honour(server_config: ServerConfig, settings: Any) -> None:
    with pytest.raises(ConfigurationError):
        asgi.make_server(App(), "127.0.0.1", 0, server_config, **settings)


@pytest.mark.parametrize(
    "tls",
    [
        {"max_handshakes": 0},
        {"bogus": 1},
        {"hello_timeout": -1},
        {"close_timeout": float("nan")},
        {"ssl": None},
        {"config": None},
        {"sock": None},
        {"backlog": 5},
        {"trace": None},
    ],
)
def test_arguments_for_tls_are_checked_before_the_application_starts(
    server_config: ServerConfig, tls: Any
) -> None:
    app = Living()
    with pytest.raises(ConfigurationError):
        asgi.make_server(app, "127.0.0.1", 0, server_config, tls=tls)
    settings = hypercorn.Config()
    settings.bind = ["127.0.0.1:0"]
    with pytest.raises(ConfigurationError):
        asyncio.run(asgi.serve_hypercorn(app, settings, server_config, tls=tls))
    assert not app.scopes


@pytest.mark.parametrize("error", [RuntimeError, OSError])
def test_an_application_hears_that_the_server_cannot_start(
    server_config: ServerConfig, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    async def fail(*args: Any, **kwargs: Any) -> None:
        raise error("no server")

    monkeypatch.setattr("handclasp.adapters.asgi_uvicorn.create_server", fail)
    monkeypatch.setattr("handclasp.adapters.asgi_hypercorn.start_server", fail)
    app = Living()
    server = asgi.make_server(app, "127.0.0.1", 0, server_config, **SETTINGS | {"lifespan": "on"})
    with pytest.raises(SystemExit if error is OSError else error):
        asyncio.run(server.serve())
    settings = hypercorn.Config()
    settings.bind = ["127.0.0.1:0", "127.0.0.1:0"]  # No warning tells of one that is left open.
    with pytest.raises(error):
        asyncio.run(asgi.serve_hypercorn(app, settings, server_config))
    assert app.scopes == 2 * ["lifespan.startup", "lifespan.shutdown"]


def test_protocols_that_uvicorn_does_not_speak(server_config: ServerConfig) -> None:
    with pytest.raises(ConfigurationError, match=r"HTTP/1\.1"):
        asgi.make_server(App(), "127.0.0.1", 0, replace(server_config, alpn=["h2"]))
    with pytest.raises(ConfigurationError, match="ServerConfig"):
        asgi.make_server(App(), "127.0.0.1", 0, ClientConfig())  # type: ignore[arg-type]


def test_what_hypercorn_cannot_honour(server_config: ServerConfig) -> None:
    early = replace(server_config, max_early_data=1)
    for name, value, config in (
        ("certfile", "chain.pem", server_config),
        ("alpn_protocols", ["http/1.1"], server_config),
        ("ssl_handshake_timeout", 5, server_config),
        ("verify_mode", ssl.CERT_REQUIRED, server_config),
        ("verify_flags", ssl.VERIFY_X509_STRICT, server_config),
        ("quic_bind", ["127.0.0.1:1"], server_config),
        ("workers", 2, server_config),
        ("worker_class", "trio", server_config),
        ("use_reloader", True, server_config),
        ("workers", 1, early),
    ):
        settings = hypercorn.Config()
        setattr(settings, name, value)
        with pytest.raises(ConfigurationError, match="early" if config is early else name):
            asyncio.run(asgi.serve_hypercorn(App(), settings, config))


@pytest.mark.parametrize(("package", "extra"), [("uvicorn", "asgi"), ("hypercorn", "hypercorn")])
def test_a_missing_server_is_named_with_its_remedy(package: str, extra: str) -> None:
    call = {
        "uvicorn": "asgi.make_server(None, '', 0, None)",
        "hypercorn": "asyncio.run(asgi.serve_hypercorn(None, None, None))",
    }
    program = (
        f"import asyncio, sys; sys.modules[{package!r}] = None\n"
        f"from handclasp import asgi; {call[package]}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"ImportError: This needs {package}: pip install 'handclasp[{extra}]'" in done.stderr


# The examples of docs/asgi.md


@pytest.fixture
def example_of(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Any, ...]]:
    """Run an example, and return what it serves with: application, where, config."""
    key = key_of_type("ecdsa-p256")
    (tmp_path / "chain.pem").write_bytes(
        pem_of(pki.issue(Leaf(("localhost", "127.0.0.1")), key.public_key()))
    )
    (tmp_path / "key.pem").write_bytes(key_pem(key))
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "ca.pem").write_bytes(pki.ca_pem)
    monkeypatch.chdir(tmp_path)
    served: list[tuple[Any, ...]] = []

    async def note(*args: Any) -> None:
        served.append(args)

    monkeypatch.setattr(asgi, "serve", note)
    monkeypatch.setattr(asgi, "serve_hypercorn", note)

    def run_it(words: str, **names: Any) -> tuple[Any, ...]:
        exec(example(words, DOCUMENT), names)
        return served.pop() if served else (names["app"],)

    return run_it


def test_the_example_of_mutual_tls(
    pki: Pki, client_config: ClientConfig, example_of: Callable[..., tuple[Any, ...]]
) -> None:
    need_module("starlette")
    app, host, port, config = example_of("Starlette(")
    assert (host, port) == ("127.0.0.1", 8443)

    async def main() -> list[bytes]:
        async with by_uvicorn(app, config) as port:
            known = replace(client_config, credentials=pki.client("Ada"))
            get = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
            return [(await ask(port, each, get))[0] for each in (known, client_config)]

    known, unknown = run(main())
    assert known.endswith(b"Hello CN=Ada\n")
    assert unknown.startswith(b"HTTP/1.1 403")


def test_the_example_of_a_dependency() -> None:
    requests = need_module("starlette.requests")
    exceptions = need_module("starlette.exceptions")
    names: dict[str, Any] = {}
    exec(example("def client_name(", DOCUMENT), names)
    for chain, error, status in ((["PEM"], None, 200), ([], None, 403), (["PEM"], "why", 403)):
        tls = {
            "client_cert_chain": chain,
            "client_cert_name": "CN=Ada",
            "client_cert_error": error,
        }
        asked = requests.Request({"type": "http", "extensions": {"tls": tls}})
        if status == 200:
            assert names["client_name"](asked) == "CN=Ada"
            continue
        with pytest.raises(exceptions.HTTPException) as caught:
            names["client_name"](asked)
        assert caught.value.status_code == status


def test_the_example_of_early_data(example_of: Callable[..., tuple[Any, ...]]) -> None:
    inner = App()
    (guarded,) = example_of("RefuseEarlyData(app)", app=inner)
    assert isinstance(guarded, asgi.RefuseEarlyData)
    assert guarded.app is inner


def test_the_example_of_hypercorn(
    monkeypatch: pytest.MonkeyPatch,
    client_config: ClientConfig,
    example_of: Callable[..., tuple[Any, ...]],
) -> None:
    app, settings, config = example_of('alpn=["h2"', app=App())
    monkeypatch.undo()
    assert settings.bind == ["127.0.0.1:8443"]

    async def main() -> bytes:
        async with by_hypercorn(app, config) as port:
            return (await ask(port, client_config, request("GET")))[0]

    assert run(main()).endswith(b"GET /path ")


def test_the_example_of_handshakes_that_fail(
    client_config: ClientConfig, server_config: ServerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    names: dict[str, Any] = {"app": App(), "config": server_config}
    exec(example("on_handshake_error(", DOCUMENT), names)
    assert isinstance(names["server"], uvicorn.Server)

    async def main() -> None:
        async with by_uvicorn(App(), server_config, tls=names["tls"]) as port:
            with pytest.raises(CertificateError):
                await ask(port, ClientConfig())

    with caplog.at_level("INFO", "tls"):
        run(main())
    (record,) = caplog.records
    assert re.fullmatch(r"\('127.0.0.1', \d+\): .*unknown_ca.*", record.getMessage(), re.DOTALL)


SEVERAL = """
import time
from pathlib import Path
from handclasp import Credentials, ServerConfig

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError
    Path(f"{os.getpid()}.asked").touch()
    # Block this process until the other one has been asked as well.
    end = time.monotonic() + 20
    while len(list(Path().glob("*.asked"))) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    body = f"{os.getpid()}".encode()
    headers = [(b"connection", b"close"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

config = ServerConfig(credentials=[Credentials.load("chain.pem", "key.pem")])
"""

OVER_UVICORN = """
server = asgi.make_server(app, "", 0, config, log_level="warning")
asyncio.run(server.serve([listener]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.parametrize("by", SERVERS)
def test_the_example_of_several_processes(
    pki: Pki, client_config: ClientConfig, example_of: Any, tmp_path: Path, by: str
) -> None:
    source = example("os.fork()", DOCUMENT).replace("8443", "0")
    bind, serve = source.split("for _ in")
    if by == "uvicorn":
        serve = serve[: serve.index("asyncio.run")] + OVER_UVICORN
    listener = "socket.socket(fileno=os.dup(int(settings.bind[0].removeprefix('fd://'))))"
    told = f"listener = {listener}\nprint(listener.getsockname()[1], flush=True)\n"
    (tmp_path / "several.py").write_text(f"{SEVERAL}{bind}{told}for _ in{serve}")
    store = SessionStore()
    config = replace(client_config, sessions=store)

    def get() -> tuple[bytes, bool]:
        with handclasp.connect("127.0.0.1", port, config, timeout=30) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b"".join(iter(lambda: tls.recv(1000), b""))
            return answer.rpartition(b"\r\n\r\n")[2], tls.info.resumed

    environment = {"PYTHONPATH": str(Path(handclasp.__file__).parents[1])}
    with child([sys.executable, "several.py"], tmp_path, env=environment) as serving:
        port = int(serving.wait_for(r"^(\d+)$")[1])
        first = Aside(get)
        while not list(tmp_path.glob("*.asked")) or not len(store):
            assert not first.done(), first.result()
            time.sleep(0.01)
        second = get()
        assert first.result()[0] != second[0]
        assert second[1]


def test_a_body_that_is_wrong_in_the_midst_of_an_answer_ends_the_connection(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """uvicorn alone would try to send a second answer, and fail over that."""
    gone = list[object]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (message := await receive())["type"] != "http.disconnect":
            pass
        gone.append(message)

    async def main() -> None:
        config = replace(server_config, alpn=("http/1.1",))
        async with by_uvicorn(app, config) as port:
            reader, writer = await aio.open_connection("127.0.0.1", port, config=client_config)
            head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head)
            await reader.readuntil(b"begun")
            writer.write(b"no chunk\r\n")
            rest = await asyncio.wait_for(reader.read(), 10)
            assert b"HTTP/1.1" not in rest
            writer.close()
            await writer.wait_closed()

    run(main())
    assert gone
