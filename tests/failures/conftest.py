"""Real peers, and what our side has to say of a connection to them that failed."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.children import child
from tests.pki import Authority, Leaf, Pki, key_of_type, key_pem, pem_of
from tests.required import need_tool

import handclasp
from handclasp import ClientConfig, Recorder, ServerConfig, TLSError
from handclasp.story.diagnosis import Diagnosis, diagnose

SECONDS = 20.0


@dataclass(frozen=True)
class Story:
    """What this side raised, and what its trace says of it."""

    error: TLSError
    diagnosis: Diagnosis

    @property
    def shown(self) -> str:
        """Where the evidence stands, piece by piece."""
        return "; ".join(f"{found.what}: {found.says}" for found in self.diagnosis.evidence)


@dataclass(frozen=True)
class Files:
    """A certificate with its key and those of its authority, for programs that read files."""

    chain: str
    key: str
    ca: str

    @property
    def shown(self) -> list[str]:
        return ["-cert", self.chain, "-key", self.key, "-cert_chain", self.chain]


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="session")
def other_pki() -> Pki:
    """An authority that nobody trusts."""
    return Pki()


def files(
    directory: Path,
    pki: Authority,
    leaf: Leaf | None = None,
    key_type: str = "ecdsa-p256",
    *,
    name: str = "leaf",
    with_path: bool = True,
) -> Files:
    """Write a fresh certificate of an authority, and the authority's own."""
    key = key_of_type(key_type)
    certificate = pki.issue(leaf or Leaf(), key.public_key())
    chain, key_file, ca = (directory / f"{name}.{part}" for part in ("pem", "key", "ca"))
    chain.write_bytes(pem_of(certificate, *(pki.path if with_path else ())))
    key_file.write_bytes(key_pem(key))
    ca.write_bytes(pki.pem)
    return Files(str(chain), str(key_file), str(ca))


@contextmanager
def openssl_server(directory: Path, *flags: str) -> Iterator[int]:
    """`openssl s_server`; gives its port."""
    command = [need_tool("openssl"), "s_server", "-accept", "127.0.0.1:0", "-www", *flags]
    with child(command, directory) as process:
        yield int(process.wait_for(r"ACCEPT 127\.0\.0\.1:(\d+)")[1])


NGINX_HEAD = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 32; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
"""
"""How each configuration begins: all that nginx writes goes into a directory of the test."""

_PLAIN_NGINX = (
    NGINX_HEAD
    + """\
  server {{ listen 127.0.0.1:{port}; return 200 "in the clear"; }}
}}
"""
)


@contextmanager
def plain_nginx(directory: Path) -> Iterator[int]:
    """nginx without TLS; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    config = directory / "nginx.conf"
    config.write_text(_PLAIN_NGINX.format(directory=directory, port=port))
    command = [need_tool("nginx"), "-e", "stderr", "-c", str(config)]
    with child(command, directory) as process:
        process.wait_for("event method")
        yield port


@contextmanager
def answering(talk: Callable[[socket.socket], object], connections: int = 1) -> Iterator[int]:
    """A server that speaks no TLS, or breaks it; gives its port."""

    def serve() -> None:
        for _ in range(connections):
            sock, _ = listener.accept()
            with sock, suppress(OSError):
                sock.settimeout(SECONDS)
                talk(sock)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            thread.join(SECONDS)


@contextmanager
def mangling(port: int, to_server: int | None, to_client: int | None) -> Iterator[int]:
    """A middlebox in front of a server, that flips a bit in one record of a direction.

    Args:
        to_server, to_client: which application_data record it changes, counted from 0.
    """

    def carry(source: socket.socket, target: socket.socket, victim: int | None) -> None:
        seen = 0
        with suppress(OSError):
            while header := _exactly(source, 5):
                body = bytearray(_exactly(source, int.from_bytes(header[3:5], "big")))
                if header[0] == 23:
                    if seen == victim:
                        body[len(body) // 2] ^= 0x10
                    seen += 1
                target.sendall(header + body)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def talk(sock: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as far:
            other = threading.Thread(target=carry, args=(far, sock, to_client))
            other.start()
            carry(sock, far, to_server)
            other.join(SECONDS)

    with answering(talk) as mine:
        yield mine


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            return b""
        data += piece
    return data


def client_story(
    port: int, config: ClientConfig, *, server_name: str | None = "localhost", talks: bool = False
) -> Story:
    """Our client's story of a server that it cannot get along with.

    Args:
        talks: complete the handshake first, and say something.
    """
    trace = Recorder()
    with pytest.raises(TLSError) as caught:
        tls = handclasp.connect(
            "127.0.0.1", port, config, server_name=server_name, timeout=SECONDS, trace=trace
        )
        with tls:
            assert talks, "the handshake was to fail"
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while tls.recv(65536):
                pass
    return _story(caught.value, trace)


def server_story(
    config: ServerConfig, visit: Callable[[int], object] | Visitor, *, talks: bool = False
) -> Story:
    """Our server's story of a client that it cannot get along with.

    Args:
        visit: comes to the port that it is given.
        talks: the handshake is completed first.
    """
    trace = Recorder()
    visit = visit.found() if isinstance(visit, Visitor) else visit
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        visitor = threading.Thread(target=visit, args=(listener.getsockname()[1],))
        visitor.start()
        sock, _ = listener.accept()
        sock.settimeout(SECONDS)
        try:
            with (
                pytest.raises(TLSError) as caught,
                handclasp.wrap_server(sock, config, trace=trace) as tls,
            ):
                assert talks, "the handshake was to fail"
                while tls.recv(65536):
                    pass
        finally:
            visitor.join(SECONDS)
    return _story(caught.value, trace)


def _story(error: TLSError, trace: Recorder) -> Story:
    diagnosis = diagnose(trace.events)
    assert diagnosis is not None
    # What is raised and what is told afterwards are one story.
    assert diagnosis.fault == error.fault
    assert diagnosis.blame == error.blame
    assert diagnosis.found_by == error.origin
    # It survives being stored.
    assert diagnose(Recorder.from_json(trace.to_json()).events) == diagnosis
    return Story(error, diagnosis)


def openssl_client(*flags: str) -> Callable[[int], str]:
    """A visit by `openssl s_client`, which gives up on what it does not like; what it says."""

    program = need_tool("openssl")

    def visit(port: int) -> str:
        command = [program, "s_client", "-connect", f"127.0.0.1:{port}"]
        return _visit([*command, "-verify_return_error", *flags])

    return visit


def ssl_client(
    ca: str,
    said: list[str],
    *,
    shown: Files | None = None,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> Callable[[int], None]:
    """A visit by the `ssl` module, that puts down in `said` what it has to say of the failure.

    Args:
        shown: its own certificate.
    """
    context = ssl.create_default_context(cafile=ca)
    context.maximum_version = newest
    if shown is not None:
        context.load_cert_chain(shown.chain, shown.key)

    def visit(port: int) -> None:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), SECONDS) as sock,
                context.wrap_socket(sock, server_hostname="localhost") as tls,
            ):
                # In TLS 1.3 a server judges the client when that holds the handshake to be over.
                tls.recv(65536)
        except ssl.SSLError as error:
            said.append(str(error))

    return visit


@dataclass(frozen=True)
class Visitor:
    """A visit by an installed program, which is looked for before anybody waits for it.

    Attributes:
        command: the program and its arguments, in which {port} is replaced.
    """

    command: tuple[str, ...]

    def found(self) -> Callable[[int], str]:
        program = need_tool(self.command[0])
        arguments = self.command[1:]
        return lambda port: _visit([program, *(word.format(port=port) for word in arguments)])


curl_without_tls = Visitor(("curl", "--silent", "--noproxy", "*", "http://127.0.0.1:{port}/"))
"""It was told http:// where https:// was meant."""

ssh_client = Visitor(("ssh", "-F", "none", "-o", "BatchMode=yes", "-p", "{port}", "127.0.0.1"))
"""It says its name first."""


def _visit(command: Sequence[str]) -> str:
    """What a program writes that is run to its end."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
    )
    return (done.stdout + done.stderr).decode()


def gnutls_client(ca: str, said: list[str]) -> Callable[[int], None]:
    """A visit by `gnutls-cli`, that puts down in `said` what it writes."""

    command = [need_tool("gnutls-cli"), "--x509cafile", ca, "--verify-hostname", "localhost"]

    def visit(port: int) -> None:
        said.append(_visit([*command, "-p", str(port), "127.0.0.1"]))

    return visit


def saying(data: bytes, *, reset: bool = False) -> Callable[[int], None]:
    """A visit by something that says `data` and waits to be thrown out."""

    def visit(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), SECONDS) as sock, suppress(OSError):
            sock.sendall(data)
            if reset:
                abort(sock)
                return
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

    return visit


def abort(sock: socket.socket) -> None:
    """Tear the connection down with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()


def words(text: str, expected: Sequence[Any]) -> None:
    """All the words stand in a text."""
    for word in expected:
        assert str(word) in text, f"{word!r} is not in {text!r}"
