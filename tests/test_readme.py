"""The README's examples do what it says, as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.end_to_end.pair import Pair
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.required import need_module

import handclasp
from handclasp import ClientConfig, ServerConfig, SessionStore, TrustStore

Printed = pytest.CaptureFixture[str]

README = Path(__file__).parent.parent / "README.md"


ELSEWHERE = """\
import socket as _socket
from typing import Protocol as _Protocol
from handclasp import Credentials as _Credentials

class _Transport(_Protocol):
    def read(self) -> bytes: ...
    def write(self, data: bytes | bytearray | memoryview) -> object: ...

transport: _Transport
sock: _socket.socket
credentials: _Credentials
"""
"""The names of which the text beside an example says what they are."""

ELSEWHERE_IN = {
    "README.md": ELSEWHERE,
    "docs/asgi.md": """\
from typing import Any as _Any
from handclasp import ServerConfig as _ServerConfig

app: _Any
config: _ServerConfig
""",
    "docs/asyncio.md": """\
import asyncio as _asyncio
from handclasp import ServerConfig as _ServerConfig, aio

async def serve(reader: _asyncio.StreamReader, writer: _asyncio.StreamWriter) -> None: ...
config: _ServerConfig
""",
    "docs/scan.md": "",
    "docs/sockets.md": "",
    "docs/testing.md": "",
    "docs/trio.md": """\
from handclasp import Credentials as _Credentials

async def find_credentials(name: str | None) -> _Credentials | None: ...
""",
}
"""The documents whose examples are typed, each with the names that its text explains."""


def blocks_of(file: Path) -> list[str]:
    """The Python examples of a document."""
    return re.findall(r"```python\n(.*?)```", file.read_text("utf-8"), re.DOTALL)


def example(word: str, file: Path = README) -> str:
    """The one Python example in which `word` stands."""
    (found,) = [block for block in blocks_of(file) if word in block]
    return found


@pytest.mark.long
def test_types(tmp_path: Path) -> None:
    """Who copies an example into a strictly typed program has nothing to add to it."""
    need_module("httpx")
    need_module("requests")  # With its types, as `make peers` installs it.
    for name, elsewhere in ELSEWHERE_IN.items():
        document = README.parent / name
        for number, block in enumerate(blocks_of(document), 1):
            (tmp_path / f"{document.stem}_{number}.py").write_text(elsewhere + block)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--scripts-are-modules"]
    files = sorted(map(str, tmp_path.glob("*.py")))
    checked = subprocess.run(
        [*mypy, "--cache-dir", str(tmp_path / "cache"), *files],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"MYPYPATH": str(README.parent / "src")},
    )
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout


@pytest.fixture
def pki(monkeypatch: pytest.MonkeyPatch) -> Pki:
    """An authority that this machine trusts."""
    pki = Pki()
    monkeypatch.setattr(TrustStore, "system", classmethod(lambda cls: pki.trust))
    return pki


@pytest.fixture
def port(pki: Pki) -> Iterator[int]:
    """A server for example.com that answers one request with its two lines, and goes."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = ServerConfig(credentials=pki.server("example.com"), alpn=["http/1.1"])

    def serve() -> None:
        connected, _ = listener.accept()
        # One example shows what a client says that refuses, and one goes without a word.
        with (
            suppress(handclasp.PeerAlertError, ConnectionError),
            handclasp.wrap_server(connected, config) as tls,
        ):
            tls.recv(65536)
            tls.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            tls.unwrap().close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join()
    listener.close()


def test_sockets(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: here)
    exec(example("tls.info.version"), {})
    assert capsys.readouterr().out.splitlines() == [
        "TLSv1.3 TLS_AES_128_GCM_SHA256 X25519MLKEM768",
        "b'HTTP/1.1 200 OK\\r\\n'",
        "b'\\r\\n'",
    ]


def test_a_page(port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: here)
    monkeypatch.chdir(tmp_path)
    exec(example("save_html"), {})
    page = (tmp_path / "handshake.html").read_text("utf-8")
    assert stat.S_IMODE((tmp_path / "handshake.html").stat().st_mode) & 0o077 == 0
    assert "<h1>example.com</h1>" in page
    assert "X25519MLKEM768" in page


def test_a_page_of_a_failure(port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: here)
    monkeypatch.setattr(TrustStore, "system", classmethod(lambda cls: Pki().trust))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(handclasp.CertificateError):
        exec(example("save_html"), {})
    page = (tmp_path / "handshake.html").read_text("utf-8")
    assert "The bytes that show it" in page
    assert "at fault" in page


def test_early_data(
    pki: Pki, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is lost on the first visit, nor on the second, where it goes out with the hello, nor
    on the third, where only a part does.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname())]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: here)
    settings: dict[str, Any] = {
        "ServerConfig": ServerConfig,
        "credentials": pki.server("example.com"),
    }
    make_config, receive = example("tls.early_data\n").split("tls = ", 1)
    exec(make_config, settings)
    requests = list[tuple[bytes, bytes]]()

    def serve() -> None:
        for _ in range(3):
            names = settings | {"sock": listener.accept()[0], "handclasp": handclasp}
            exec(f"tls = {receive}", names)
            tls: Any = names["tls"]
            requests.append((names["request"], tls.early_data))
            tls.sendall(b"hello")
            tls.unwrap().close()

    thread = threading.Thread(target=serve)
    thread.start()
    first, second = example("early_data_rejected").split("with ", 1)
    names: dict[str, Any] = {"ClientConfig": ClientConfig, "SessionStore": SessionStore}
    names["handclasp"] = handclasp
    exec(first, names)
    for _ in range(2):
        exec(f"with {second}", names)
    whole = b"GET / HTTP/1.0\r\nHost: example.com\r\n\r\n"
    part, rest = whole[:10], whole[10:]
    config = names["config"]
    with handclasp.connect("example.com", 443, config, early_data=part) as tls:
        tls.sendall(tls.early_data_rejected + rest)
        assert tls.recv(5) == b"hello"
    thread.join()
    listener.close()
    assert requests == [(whole, b""), (whole, whole), (whole, part)]
    assert capsys.readouterr().out == "b'hello'\n" * 2


def test_explaining_a_refusal(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server staples nothing, and the example's policy demands it."""
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: here)
    exec(example("explain(error.chain_der"), {})
    assert capsys.readouterr().out == (
        "OCSP staple example.com came without one, and this end requires one RFC 7633 4.2.3\n"
    )


def test_sans_io(port: int, capsys: Printed) -> None:
    class Transport:
        def __init__(self) -> None:
            self._socket = socket.create_connection(("127.0.0.1", port))
            self.write = self._socket.sendall

        def read(self) -> bytes:
            data = self._socket.recv(65536)
            if not data:
                self._socket.close()
            return data

    transport = Transport()
    exec(example("receive_eof"), {"transport": transport})
    assert capsys.readouterr().out == "b'HTTP/1.1 200 OK\\r\\n\\r\\n'\n"


def test_asyncio(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    key = key_of_type("ecdsa-p256")
    (tmp_path / "chain.pem").write_bytes(pem_of(pki.issue(Leaf(), key.public_key())))
    (tmp_path / "key.pem").write_bytes(key_pem(key))
    monkeypatch.chdir(tmp_path)
    # The example's port may be taken here, so it gets any free one, and serves until cancelled.
    started: asyncio.Queue[int] = asyncio.Queue()
    code = example("start_server").replace("8443", "0").replace("asyncio.run(main())", "")
    start_server = handclasp.aio.start_server

    async def start(*args: object, **settings: object) -> object:
        server = await start_server(*args, **settings)  # type: ignore[arg-type]
        started.put_nowait(next(iter(server.sockets)).getsockname()[1])
        return server

    monkeypatch.setattr(handclasp.aio, "start_server", start)
    names: dict[str, object] = {}
    exec(code, names)

    async def talk() -> bytes:
        serving = asyncio.create_task(names["main"]())  # type: ignore[operator]
        port = await started.get()
        config = ClientConfig(trust=pki.trust)
        reader, writer = await handclasp.aio.open_connection(
            "127.0.0.1", port, config=config, server_name="localhost"
        )
        writer.write(b"hello")
        answer = await reader.readexactly(5)
        writer.close()
        await writer.wait_closed()
        # One that goes without a word is told of in a line, and not by asyncio with a traceback.
        reader, writer = await handclasp.aio.open_connection(
            "127.0.0.1", port, config=config, server_name="localhost"
        )
        writer.transport.abort()
        while "without close_notify" not in (told := capsys.readouterr()).out:
            assert not told.err
            await asyncio.sleep(0.01)
        assert not told.err
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return answer

    assert asyncio.run(talk()) == b"hello"


def test_raw_public_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of docs/trust.md."""
    key = key_of_type("ecdsa-p256")
    (tmp_path / "key.pem").write_bytes(key_pem(key))
    (tmp_path / "key.pem").chmod(0o600)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(example("Credentials.raw_public_key", README.parent / "docs/trust.md"), names)
    pair = Pair(names["client"], names["server"]).run()
    assert pair.established, (pair.client.error, pair.server.error)
    assert pair.client.info.peer_certificate_type == "RawPublicKey"
    assert pair.client.info.peer_verified


def test_a_saved_handshake_is_made_before_it_is_used() -> None:
    """The lines of the command line stand in an order in which they can be typed."""
    (lines,) = re.findall(
        r"## The command line\n\n```console\n(.*?)```", README.read_text(), re.DOTALL
    )
    made: set[str] = set()
    for line in lines.splitlines():
        command = line.partition("#")[0]
        used = re.findall(r"(?:explain|redact|diff|check)((?: [\w.-]+\.\w+)+)", command)
        for name in " ".join(used).split()[: 1 if "redact" in command else None]:
            assert name in made | {"chain.pem"}, line
        made |= set(re.findall(r"(?:--trace|>) (\S+)", command))


def answering(monkeypatch: pytest.MonkeyPatch, serve: Callable[[socket.socket], object]) -> None:
    """Run the example about errors with a server for its connection, whatever its address is."""
    listener = socket.create_server(("127.0.0.1", 0))
    there = listener.getsockname()
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", there)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: here)

    def accept() -> None:
        connected, _ = listener.accept()
        with connected:
            serve(connected)

    thread = threading.Thread(target=accept)
    thread.start()
    exec(example("error.origin"), {"handclasp": handclasp})
    thread.join()
    listener.close()


def test_errors(
    pki: Pki, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ServerConfig(credentials=Pki().server("localhost"))

    def serve(connected: socket.socket) -> None:
        with pytest.raises(handclasp.PeerAlertError):
            handclasp.wrap_server(connected, config)

    answering(monkeypatch, serve)
    origin, fault, message, explanation, fix, blame, condition = (
        capsys.readouterr().out.splitlines()
    )
    assert (origin, fault) == ("local", "CERTIFICATE_UNTRUSTED")
    assert "No path leads" in message
    assert explanation in message
    assert "TrustStore.from_pem" in fix
    assert blame == "unclear"
    assert "this end, if it has an old or another certificate" in condition


def test_an_alert_of_the_peer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(connected: socket.socket) -> None:
        connected.recv(10_000)
        connected.sendall(b"\x15\x03\x03\0\2\2\x28")
        connected.recv(10_000)

    answering(monkeypatch, serve)
    assert capsys.readouterr().out.splitlines()[:2] == ["peer", "PEER_HANDSHAKE_FAILURE"]
