"""0-RTT and external pre-shared keys with real peers, which no cell of the matrix can ask for.

The connections are driven by hand, so that it is seen what went out before the handshake was
complete.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.required import need_tool

from handclasp import (
    ClientConfig,
    ClientConnection,
    ConnectionInfo,
    Credentials,
    DataReceived,
    EarlyDataReceived,
    EarlyDataRejected,
    Event,
    HandshakeCompleted,
    PreSharedKey,
    ServerConfig,
    ServerConnection,
    SessionStore,
    TrustStore,
)

from .peers.base import CACHE, Process, running
from .peers.nginx import _free_port, _nginx, _wait_until_listening
from .pki import Authority, Identity

pytestmark = [pytest.mark.interop, pytest.mark.fast]

EARLY = b"GET /early HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
KEY = PreSharedKey(b"a client", bytes(range(32)))
OPENSSL = ["openssl", str(CACHE / "openssl35" / "openssl")]
SECONDS = 20.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(params=OPENSSL, ids=["openssl", "openssl35"])
def openssl(request: pytest.FixtureRequest) -> str:
    return need_tool(request.param)


class Talk:
    """One of our connections over a socket, until both sides have said what they have to say."""

    def __init__(
        self, connection: ClientConnection | ServerConnection, sock: socket.socket
    ) -> None:
        self.connection = connection
        self.sock = sock
        self.events: list[Event] = []
        sock.settimeout(SECONDS)
        self.flush()

    def flush(self) -> None:
        if data := bytes(self.connection.data_to_send()):
            self.sock.sendall(data)

    def until(self, kind: type[Any]) -> None:
        """Receive until an event of this kind came, or the transport ends."""
        while not any(isinstance(event, kind) for event in self.events):
            data = self.sock.recv(1 << 16)
            if not data:
                return
            self.events += self.connection.receive_data(data)
            self.flush()

    def say(self, data: bytes) -> None:
        self.connection.send_data(data)
        self.flush()

    def end(self) -> None:
        self.connection.close()
        with suppress(OSError):  # The other end may be gone already.
            self.flush()
        self.sock.close()

    @property
    def info(self) -> ConnectionInfo:
        info = self.connection.info
        assert info is not None
        return info

    def data(self, kind: type[Any] = DataReceived) -> bytes:
        return b"".join(event.data for event in self.events if isinstance(event, kind))


def connected(config: ClientConfig, port: int, early: bytes = b"") -> Talk:
    """Connect to a server; what is early goes out with the hello."""
    connection = ClientConnection(config, server_name="localhost", port=port)
    if early:
        assert connection.early_data_limit >= len(early)
        connection.send_early_data(early)
    talk = Talk(connection, socket.create_connection(("127.0.0.1", port), SECONDS))
    talk.until(HandshakeCompleted)
    return talk


def client_config(authority: Authority) -> ClientConfig:
    trust = TrustStore.from_pem(authority.path)
    return ClientConfig(trust=trust, sessions=SessionStore(), allow_early_data=True)


@contextmanager
def openssl_server(
    program: str, identity: Identity, workdir: Path, *flags: str
) -> Iterator[tuple[Process, int]]:
    command = [program, "s_server", "-accept", "127.0.0.1:0", "-tls1_3", *flags]
    command += ["-cert", str(identity.chain), "-key", str(identity.key)]
    with running(Process(command, workdir)) as process:
        end = process.wait_for(b"\n", process.wait_for(b"ACCEPT 127.0.0.1:"))
        yield process, int(bytes(process.output[:end]).rsplit(b":", 1)[1])


def test_early_data_to_openssl(openssl: str, authority: Authority, tmp_path: Path) -> None:
    config = client_config(authority)
    with openssl_server(openssl, authority.server(), tmp_path, "-early_data") as (process, port):
        first = connected(config, port)
        process.write(b"hello\n")
        first.until(DataReceived)  # The tickets came before it.
        first.end()
        assert first.info.early_data_status == "none"
        second = connected(config, port, b"these words came early\n")
        process.wait_for(b"these words came early")
        assert second.info.resumed
        assert second.info.early_data_status == "accepted"
        second.end()


def test_early_data_that_openssl_refuses(
    openssl: str, authority: Authority, tmp_path: Path
) -> None:
    """OpenSSL takes the early data of a session once: used again, it is a replay."""
    config = client_config(authority)
    with openssl_server(openssl, authority.server(), tmp_path, "-early_data") as (process, port):
        first = connected(config, port)
        process.write(b"hello\n")
        first.until(DataReceived)
        first.end()
        kept = _Again(config.sessions)
        again = ClientConfig(trust=config.trust, sessions=kept, allow_early_data=True)
        results = []
        for _ in range(2):
            talk = connected(again, port, b"these words came early\n")
            results.append(talk.info.early_data_status)
            talk.end()
        assert results == ["accepted", "rejected"]


def test_a_hello_retry_in_front_of_openssl(
    openssl: str, authority: Authority, tmp_path: Path
) -> None:
    """The binder covers both hellos, the early data are passed over, the session is resumed."""
    config = client_config(authority)
    # Its own guard takes the session out of its memory at the first hello, and then lacks it.
    flags = ["-early_data", "-no_anti_replay", "-groups", "P-384"]
    with openssl_server(openssl, authority.server(), tmp_path, *flags) as (process, port):
        first = connected(config, port)
        process.write(b"hello\n")
        first.until(DataReceived)
        first.end()
        second = connected(config, port, b"these words came early\n")
        assert second.info.hello_retry
        assert second.info.resumed
        assert second.info.early_data_status == "rejected"
        assert second.data(EarlyDataRejected) == b"these words came early\n"
        second.end()


class _Again:
    """Gives the same session each time, as no store must."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._session: Any = None

    def put(self, key: str, session: object) -> None:
        pass

    def take(self, key: str) -> Any:
        self._session = self._session or self._store.take(key)
        return self._session

    def discard(self, key: str, session: object) -> None:
        pass


_NGINX = """\
daemon off; master_process off; pid {workdir}/nginx.pid; error_log stderr error;
events {{ worker_connections 32; }}
http {{
  access_log off;
  client_body_temp_path {workdir}/a; proxy_temp_path {workdir}/b;
  fastcgi_temp_path {workdir}/c; uwsgi_temp_path {workdir}/d; scgi_temp_path {workdir}/e;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_protocols TLSv1.3; ssl_early_data on; ssl_session_cache shared:x:1m;
    ssl_certificate {chain}; ssl_certificate_key {key};
    location / {{ return 200 "early: $ssl_early_data\\n"; }}
  }}
}}
"""


def test_early_data_to_nginx(authority: Authority, tmp_path: Path) -> None:
    if not Path(_nginx()).exists():
        need_tool("nginx")
    config, port, identity = client_config(authority), _free_port(), authority.server()
    path = tmp_path / "nginx.conf"
    path.write_text(
        _NGINX.format(workdir=tmp_path, port=port, chain=identity.chain, key=identity.key)
    )
    command = [_nginx(), "-c", str(path), "-e", "stderr", "-p", str(tmp_path)]
    with running(Process(command, tmp_path)) as process:
        _wait_until_listening(port, process)
        first = connected(config, port)
        first.say(EARLY)
        first.until(DataReceived)
        first.end()
        second = connected(config, port, EARLY)
        second.until(DataReceived)
        assert second.info.early_data_status == "accepted"
        # It says 1 only where it answers before our Finished has come.
        assert b"\r\n\r\nearly: " in second.data()
        second.end()


def test_early_data_to_gnutls(authority: Authority, tmp_path: Path) -> None:
    program, config, port = need_tool("gnutls-serv"), client_config(authority), _free_port()
    identity = authority.server()
    command = [program, "--echo", "--earlydata", "--maxearlydata", "1000", "--port", str(port)]
    command += ["--x509certfile", str(identity.chain), "--x509keyfile", str(identity.key)]
    command += ["--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3", "--disable-client-cert"]
    with running(Process(command, tmp_path)) as process:
        _wait_until_listening(port, process)
        first = connected(config, port)
        first.say(b"hello\n")
        first.until(DataReceived)
        first.end()
        second = connected(config, port, b"early\n")
        assert second.info.resumed
        assert second.info.early_data_status == "accepted"
        second.say(b"later\n")
        second.until(DataReceived)
        assert b"later" in second.data()
        second.end()


@contextmanager
def our_server(config: ServerConfig) -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        yield listener, listener.getsockname()[1]


def accepted(listener: socket.socket, config: ServerConfig) -> Talk:
    sock, _ = listener.accept()
    talk = Talk(ServerConnection(config), sock)
    talk.until(HandshakeCompleted)
    return talk


@pytest.mark.parametrize("group", ["X25519", "secp384r1"])
def test_early_data_from_openssl(
    openssl: str, authority: Authority, tmp_path: Path, group: str
) -> None:
    """With a group that it sends no share for, a HelloRetryRequest comes in between."""
    identity = authority.server()
    credentials = Credentials.load(identity.chain, identity.key)
    config = ServerConfig(credentials=credentials, max_early_data=1000, groups=[group])
    is_taken = group == "X25519"
    session, early = tmp_path / "session.pem", tmp_path / "early.txt"
    early.write_bytes(b"these words came early\n")
    with our_server(config) as (listener, port):
        common = [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"]
        common += ["-CAfile", str(authority.path), "-servername", "localhost"]
        with running(Process([*common, "-sess_out", str(session)], tmp_path)) as process:
            first = accepted(listener, config)
            first.say(b"hello\n")
            process.wait_for(b"hello")
            first.end()
        flags = ["-sess_in", str(session), "-early_data", str(early)]
        with running(Process([*common, *flags], tmp_path)):
            second = accepted(listener, config)
            assert second.info.resumed
            assert second.info.hello_retry is not is_taken
            assert second.info.early_data_status == ("accepted" if is_taken else "rejected")
            assert second.data(EarlyDataReceived) == (early.read_bytes() if is_taken else b"")
            assert isinstance(second.events[0], EarlyDataReceived) is is_taken
            second.end()


# External pre-shared keys


def psk_flags() -> list[str]:
    return ["-psk_identity", KEY.identity.decode(), "-psk", KEY.key.hex()]


def test_psk_to_openssl(openssl: str, tmp_path: Path) -> None:
    command = [openssl, "s_server", "-accept", "127.0.0.1:0", "-tls1_3", "-nocert", *psk_flags()]
    with running(Process(command, tmp_path)) as process:
        end = process.wait_for(b"\n", process.wait_for(b"ACCEPT 127.0.0.1:"))
        port = int(bytes(process.output[:end]).rsplit(b":", 1)[1])
        talk = connected(ClientConfig(psks=[KEY], versions=["TLSv1.3"]), port)
        assert talk.info.psk_identity == KEY.identity
        talk.say(b"hello\n")
        process.wait_for(b"hello")
        talk.end()


def test_psk_from_openssl(openssl: str, tmp_path: Path) -> None:
    config = ServerConfig(psks=[KEY])
    with our_server(config) as (listener, port):
        command = [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", *psk_flags()]
        with running(Process(command, tmp_path)) as process:
            talk = accepted(listener, config)
            assert talk.info.psk_identity == KEY.identity
            talk.say(b"hello\n")
            process.wait_for(b"hello")
            talk.end()


def gnutls_psk_file(directory: Path) -> Path:
    path = directory / "keys.psk"
    path.write_text(f"{KEY.identity.decode()}:{KEY.key.hex()}\n")
    return path


_PSK_PRIORITY = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+DHE-PSK:+ECDHE-PSK:+PSK"


def test_psk_to_gnutls(tmp_path: Path) -> None:
    program, port = need_tool("gnutls-serv"), _free_port()
    command = [program, "--echo", "--port", str(port), "--priority", _PSK_PRIORITY]
    command += ["--pskpasswd", str(gnutls_psk_file(tmp_path))]
    with running(Process(command, tmp_path)) as process:
        _wait_until_listening(port, process)
        talk = connected(ClientConfig(psks=[KEY], versions=["TLSv1.3"]), port)
        assert talk.info.psk_identity == KEY.identity
        talk.say(b"hello\n")
        talk.until(DataReceived)
        assert b"hello" in talk.data()
        talk.end()


def test_psk_from_gnutls(tmp_path: Path) -> None:
    program, config = need_tool("gnutls-cli"), ServerConfig(psks=[KEY])
    with our_server(config) as (listener, port):
        command = [program, "--port", str(port), "--priority", _PSK_PRIORITY]
        command += ["--pskusername", KEY.identity.decode(), "--pskkey", KEY.key.hex(), "127.0.0.1"]
        with running(Process(command, tmp_path)) as process:
            talk = accepted(listener, config)
            assert talk.info.psk_identity == KEY.identity
            talk.say(b"hello\n")
            process.wait_for(b"hello")
            talk.end()


def test_the_versions_that_were_run(openssl: str) -> None:
    printed = subprocess.run([openssl, "version"], capture_output=True, text=True, check=True)
    assert printed.stdout.startswith("OpenSSL 3.")
