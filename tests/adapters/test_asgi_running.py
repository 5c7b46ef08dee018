"""ASGI servers over `handclasp.asgi` as processes: where they listen, and how they end."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.streams import run
from tests.adapters.test_asgi import DOCUMENT, SETTINGS, App, Living, ask, request
from tests.children import child
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.required import need_module
from tests.test_readme import example

import handclasp
from handclasp import ClientConfig, ServerConfig, SessionStore, aio, asgi
from handclasp.adapters import asgi_hypercorn

hypercorn = need_module("hypercorn.config")
need_module("uvicorn")

needs_unix = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="this system has no UNIX sockets"
)

APPLICATION = """
import asyncio, sys
from handclasp import Credentials, ServerConfig, asgi
from hypercorn.config import Config

async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    for _ in range(2):
        message = await receive()
        print(message["type"], flush=True)
        if "shutdown" in message["type"] and "hangs" in sys.argv:
            await asyncio.sleep(60)
        await send({"type": f"{message['type']}.complete"})

config = ServerConfig(credentials=[Credentials.load("chain.pem", "key.pem")])
settings = Config()
settings.bind = ["127.0.0.1:0"]
"""
SERVE = {
    "uvicorn": 'asyncio.run(asgi.serve(app, "127.0.0.1", 0, config))',
    "hypercorn": "asyncio.run(asgi.serve_hypercorn(app, settings, config))",
}


@pytest.fixture
def program(tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that gives the command of a server, which lies beside its credentials."""
    key = key_of_type("ecdsa-p256")
    (tmp_path / "chain.pem").write_bytes(pem_of(pki.issue(Leaf(), key.public_key())))
    (tmp_path / "key.pem").write_bytes(key_pem(key))
    (tmp_path / "key.pem").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(handclasp.__file__).parents[1]))

    def command(by: str, *args: str) -> list[str]:
        (tmp_path / "served.py").write_text(f'{APPLICATION}\n{SERVE[by]}\nprint("returned")\n')
        return [sys.executable, "served.py", *args]

    return command


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("by", SERVE)
def test_a_signal_ends_a_server_in_order(
    program: Any, tmp_path: Path, by: str, number: signal.Signals
) -> None:
    with child(program(by), tmp_path) as serving:
        port = serving.wait_for(r"unning on https://127\.0\.0\.1:(\d+) ")[1]
        assert int(port) > 0
        serving.popen.send_signal(number)
        status = serving.wait()
        assert serving.printed().split()[:2] == ["lifespan.startup", "lifespan.shutdown"]
        if by == "hypercorn":
            assert (status, serving.printed().split()[2:]) == (0, ["returned"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_a_second_signal_ends_a_close_that_hangs(program: Any, tmp_path: Path) -> None:
    with child(program("hypercorn", "hangs"), tmp_path) as serving:
        serving.wait_for("Running on")
        serving.popen.send_signal(signal.SIGTERM)
        serving.wait_for(r"lifespan\.shutdown")
        serving.popen.send_signal(signal.SIGTERM)
        assert serving.wait() == -signal.SIGTERM


def test_the_example_of_mutual_tls_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands, its server and its client run as they stand, apart from the port."""
    need_module("starlette")
    need_module("httpx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(handclasp.__file__).parents[1]))
    monkeypatch.setenv("HANDCLASP_HOME", str(tmp_path / "home"))
    (commands,) = re.findall(r"```console\n(.*?handclasp cert.*?)```", DOCUMENT.read_text(), re.S)
    made = re.findall(r"^\$ handclasp (.*?) *(?:> (\S+) *)?#", commands, re.MULTILINE)
    assert len(made) == 3
    for command, output in made:
        words = [sys.executable, "-m", "handclasp", *shlex.split(command)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        if output:
            (tmp_path / output).write_text(done.stdout)
    (tmp_path / "server.py").write_text(example("Starlette(", DOCUMENT).replace("8443", "0"))
    with child([sys.executable, "server.py"], tmp_path) as serving:
        port = serving.wait_for(r"unning on https://127\.0\.0\.1:(\d+) ")[1]
        client = example("import httpx", DOCUMENT).replace("8443", port)
        done = subprocess.run([sys.executable, "-c", client], capture_output=True, text=True)
    (printed,) = re.findall(r"prints\n\n```text\n(.*?)```", DOCUMENT.read_text(), re.S)
    assert (done.stdout, done.stderr) == (printed, "")


def settings_of(**changes: Any) -> Any:
    settings = hypercorn.Config()
    settings.bind = ["127.0.0.1:0"]
    settings.errorlog = None
    for name, value in changes.items():
        setattr(settings, name, value)
    return settings


async def until_asked() -> Any:
    return await asyncio.sleep(0)


def test_hypercorn_ends_by_its_cancellation_outside_the_main_thread(
    server_config: ServerConfig,
) -> None:
    """Only the main thread can handle signals; there, those of the program come back."""

    async def main() -> None:
        app = Living()
        serving = asyncio.ensure_future(asgi.serve_hypercorn(app, settings_of(), server_config))
        while not app.scopes:
            await asyncio.sleep(0.005)
        serving.cancel()
        await asyncio.wait([serving])
        assert serving.cancelled()
        assert app.scopes == ["lifespan.startup", "lifespan.shutdown"]

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    asyncio.run(asyncio.to_thread(asyncio.run, main()))
    asyncio.run(main())
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_hypercorn_ends_after_its_most_requests(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    app = Living()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = settings_of(bind=[f"fd://{listener.detach()}"], max_requests=2)

    async def main() -> None:
        never = asyncio.Event()
        serving = asyncio.ensure_future(
            asgi.serve_hypercorn(app, settings, server_config, shutdown_trigger=never.wait)
        )
        for _ in range(3):  # It ends when there have been more.
            await ask(port, client_config, request("GET"))
        await serving

    run(main())
    assert app.scopes[-1] == "lifespan.shutdown"


@pytest.mark.parametrize(("given", "backlog"), [({}, 1024), ({"backlog": 7}, 7)])
def test_hypercorn_has_its_backlog(
    server_config: ServerConfig,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, int],
    backlog: int,
) -> None:
    seen = []
    start_server = aio.start_server

    async def note(*args: Any, **settings: Any) -> Any:
        seen.append(settings["backlog"])
        return await start_server(*args, **settings)

    monkeypatch.setattr(asgi_hypercorn, "start_server", note)
    settings = settings_of(**given)
    run(asgi.serve_hypercorn(App(), settings, server_config, shutdown_trigger=until_asked))
    assert seen == [backlog]


@pytest.mark.parametrize("stage", ["startup", "shutdown"])
def test_an_application_of_hypercorn_that_fails(server_config: ServerConfig, stage: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while True:
            name = (await receive())["type"]
            ending = "failed" if stage in name else "complete"
            await send({"type": f"{name}.{ending}", "message": "no database"})

    with pytest.raises(Exception, match=f"{stage}.*no database"):
        run(asgi.serve_hypercorn(app, settings_of(), server_config, shutdown_trigger=until_asked))


def test_an_application_of_hypercorn_that_takes_too_long(server_config: ServerConfig) -> None:
    """Its task is ended with the call."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    settings = settings_of(startup_timeout=0.05)
    with pytest.raises(Exception, match="Timeout whilst awaiting startup"):
        run(asgi.serve_hypercorn(app, settings, server_config, shutdown_trigger=until_asked))


def test_a_trigger_that_fails_ends_the_server(server_config: ServerConfig) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    app = Living()
    with pytest.raises(ZeroDivisionError):
        run(asgi.serve_hypercorn(app, settings_of(), server_config, shutdown_trigger=fail))
    assert app.scopes == ["lifespan.startup", "lifespan.shutdown"]


@needs_unix
@pytest.mark.parametrize("mode", [None, 0o600])
def test_uvicorn_at_a_unix_socket(
    client_config: ClientConfig,
    server_config: ServerConfig,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    mode: int | None,
) -> None:
    """All may connect, as with uvicorn, or those who could before."""
    place = tmp_path / "tls.sock"
    if mode is not None:
        with socket.socket(socket.AF_UNIX) as left_over:
            left_over.bind(str(place))
        place.chmod(mode)

    async def main() -> bytes:
        settings = SETTINGS | {"uds": str(place)}
        server = asgi.make_server(App(), "", 0, server_config, **settings)
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            assert not serving.done(), serving.result()
            await asyncio.sleep(0.005)
        assert stat.S_IMODE(place.stat().st_mode) == (mode or 0o666)
        reader, writer = await aio.open_unix_connection(
            str(place), config=client_config, server_name="localhost"
        )
        writer.write(request("GET"))
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.should_exit = True
        await serving
        return answer

    with caplog.at_level(logging.INFO, "uvicorn.error"):
        assert run(main()).endswith(b"GET /path ")
    assert f"Uvicorn running on unix socket {place} with TLS" in caplog.text
    assert not os.path.exists(place)


def test_uvicorn_says_where_it_listens(
    server_config: ServerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    if not socket.has_ipv6:
        pytest.skip("this system has no IPv6")

    async def main() -> None:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
            server = asgi.make_server(App(), "", 0, server_config, **SETTINGS)
            serving = asyncio.ensure_future(server.serve([listener]))
            while not server.started:
                await asyncio.sleep(0.005)
            port = listener.getsockname()[1]
            assert f"Uvicorn running on https://[::1]:{port} (Press" in caplog.text
            server.should_exit = True
            await serving

    with caplog.at_level(logging.INFO, "uvicorn.error"):
        run(main())


def test_a_client_that_offers_early_data_to_hypercorn(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """They are not sent, and the client learns so: it sends the request after the handshake."""
    app = App()
    config = ClientConfig(trust=client_config.trust, sessions=SessionStore(), allow_early_data=True)
    early = request("POST", b"x")

    async def main() -> list[tuple[bytes, bytes]]:
        ended = asyncio.Event()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            settings = settings_of(bind=[f"fd://{listener.detach()}"])
        serving = asyncio.ensure_future(
            asgi.serve_hypercorn(app, settings, server_config, shutdown_trigger=ended.wait)
        )
        answers = [await ask(port, config, early=early) for _ in range(2)]
        ended.set()
        await serving
        return answers

    for answer, rejected in run(main()):
        assert rejected == early
        assert answer.endswith(b"POST /path x")
    assert all("handclasp.early_data" not in each["extensions"] for each in app.scopes[1:])
