"""`handclasp watch --intercept`: two handshakes, of which the server's comes first."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.capture.relaying import RelayThread, plain_server, read_all, reset
from tests.cli.conftest import WAIT_SECONDS, Run, handclasp_process, started
from tests.cli.test_connect import server, tls_server
from tests.pki import Pki

import handclasp
from handclasp import ClientConfig, Credentials, ServerConfig
from handclasp.capture.stream import Address
from handclasp.capture.watching import KeyLogLines
from handclasp.certificates.authority import EVERY_NAME, LocalAuthority
from handclasp.cli import intercept
from handclasp.cli.intercept import Intercepting, Issued

pytestmark = pytest.mark.usefixtures("temporary")

ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CURL = shutil.which("curl") or ""

FETCH = """
import os, sys, urllib.request
assert "SSLKEYLOGFILE" not in os.environ
print(urllib.request.urlopen(sys.argv[1]).read().decode())
"""

Told = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture
def ca_of_servers(pki: Pki, tmp_path: Path) -> str:
    path = tmp_path / "servers.pem"
    path.write_bytes(pki.ca_pem)
    return str(path)


def intercepted(*arguments: str) -> tuple[Told, str]:
    """What is told of each half of one connection, and the rest of the output."""
    made = handclasp_process("watch", "--intercept", "--json", *arguments)
    told = [json.loads(line) for line in made.stdout.splitlines()]
    assert len(told) == len({each["intercepted"] for each in told}), told
    return {each["intercepted"]: each for each in told}, made.stderr.decode()


def fetch(url: str) -> list[str]:
    """A program that trusts what its environment says, and writes no key log."""
    return [sys.executable, "-c", FETCH, url]


def test_both_handshakes_are_told(pki: Pki, ca_of_servers: str, temporary: Path) -> None:
    with server(tls_server(pki.server("localhost"), ANSWER)) as port:
        url = f"https://localhost:{port}/"
        told, output = intercepted("--ca", ca_of_servers, "--", *fetch(url))
    assert "hello\n" in output
    assert "INTERCEPTING" in output
    assert "SSL_CERT_FILE" in output
    client, theirs = told["client"], told["server"]
    assert (client["outcome"], theirs["outcome"]) == ("complete", "complete")
    assert client["peer"]["issuer"].startswith("CN=handclasp local authority")
    assert client["trusted_here"] is None
    assert theirs["peer"]["issuer"] == pki.certificate.subject.rfc4514_string()
    assert theirs["trusted_here"]["accepted"]
    assert client["server"] != theirs["server"]
    assert client["connection"] == theirs["connection"]
    assert list(temporary.iterdir()) == []


def test_it_is_said_loudly(pki: Pki, ca_of_servers: str, tmp_path: Path, temporary: Path) -> None:
    with server(tls_server(pki.server("localhost"), ANSWER)) as port:
        arguments = ["--ca", ca_of_servers, "--page", str(tmp_path / "pages")]
        command = fetch(f"https://localhost:{port}/")
        made = handclasp_process("watch", "--intercept", *arguments, "--", *command)
    told = made.stderr.decode()
    assert told.startswith("INTERCEPTING: each client talks to handclasp")
    assert "Connection 1, INTERCEPTED, the client and handclasp: " in told
    assert "Connection 1, INTERCEPTED, handclasp and the server: " in told
    pages = {path.name: path.read_text() for path in (tmp_path / "pages").iterdir()}
    assert sorted(pages) == ["0001-client-localhost.html", "0001-server-localhost.html"]
    assert all("INTERCEPTED" in page for page in pages.values())


def bad_credentials(pki: Pki, what: str) -> Credentials:
    match what:
        case "CERTIFICATE_EXPIRED":
            return pki.expired("localhost")
        case "CERTIFICATE_NAME_MISMATCH":
            return pki.server("other.example")
        case _:
            return Pki().server("localhost")


@pytest.mark.parametrize(
    ("fault", "alert"),
    [
        ("CERTIFICATE_EXPIRED", "certificate_expired"),
        ("CERTIFICATE_NAME_MISMATCH", "bad_certificate"),
        ("CERTIFICATE_UNTRUSTED", "unknown_ca"),
    ],
)
@pytest.mark.parametrize("form", ["command", "address"])
def test_a_server_that_fails_is_not_hidden_by_a_good_certificate(
    pki: Pki, ca_of_servers: str, fault: str, alert: str, form: str
) -> None:
    with server(tls_server(bad_credentials(pki, fault))) as port:
        told, output = refused(form, port, ca_of_servers)
    theirs, client = told["server"]["failure"], told["client"]
    assert (theirs["fault"], theirs["alert"]) == (fault, alert)
    assert client["peer"] is None  # It got no certificate at all.
    assert client["outcome"] == "failed"
    failure = client["failure"]
    assert failure["alert"] == "internal_error"
    assert failure["cause"].startswith("handclasp has refused the client, since its own")
    # It may be this machine that lacks an authority.
    blame = "unclear" if fault == "CERTIFICATE_UNTRUSTED" else "server"
    assert theirs["blame"] == failure["blame"] == blame
    assert "hello" not in output


def refused(form: str, port: int, ca: str) -> tuple[Told, str]:
    """Watch a client that is refused, by the proxy or by the relay."""
    if form == "command":
        return intercepted("--ca", ca, "--", *fetch(f"https://localhost:{port}/"))
    told: Told = {}
    with started("watch", f"localhost:{port}", "--intercept", "--json", "--ca", ca) as process:
        with pytest.raises(handclasp.PeerAlertError) as caught:
            handclasp.connect("127.0.0.1", process.port, server_name="localhost")
        assert caught.value.alert == "internal_error"
        for _ in range(2):
            each = json.loads(process.line(r"^\{"))
            told[each["intercepted"]] = each
        assert process.end(signal.SIGTERM) == 0
    return told, ""


@pytest.mark.skipif(not CURL, reason="needs curl")
def test_curl_by_the_proxy_and_the_protocol_that_the_server_chose(
    pki: Pki, ca_of_servers: str
) -> None:
    serve = tls_server(pki.server("localhost"), ANSWER, alpn=("http/1.1",))
    with server(serve) as port:
        command = [CURL, "-sS", "--max-time", "20", f"https://localhost:{port}/"]
        told, output = intercepted("--ca", ca_of_servers, "--", *command)
    assert "hello" in output
    # curl offers h2 first, and the server does not speak it.
    assert told["client"]["alpn"] == told["server"]["alpn"] == "http/1.1"


@pytest.mark.skipif(not CURL, reason="needs curl")
def test_a_client_that_trusts_others_is_told_as_that(pki: Pki, ca_of_servers: str) -> None:
    with server(tls_server(pki.server("localhost"), ANSWER)) as port:
        url = f"https://localhost:{port}/"
        command = [CURL, "-sS", "--max-time", "20", "--cacert", ca_of_servers, url]
        told, _ = intercepted("--ca", ca_of_servers, "--", *command)
    failure = told["client"]["failure"]
    assert failure["alert"] == "unknown_ca"
    assert failure["blame"] == "unclear"
    assert failure["cause"].startswith("The client refuses the certificate of --intercept")
    assert "the client does not trust" in failure["condition"]
    assert "without --intercept" in failure["fix"]
    assert told["server"]["outcome"] == "complete"


def test_a_client_certificate_that_cannot_be_passed_on(pki: Pki, ca_of_servers: str) -> None:
    serve = tls_server(pki.server("localhost"), ANSWER, client_auth="required", trust=pki.trust)
    with server(serve) as port:
        url = f"https://localhost:{port}/"
        told, _ = intercepted("--ca", ca_of_servers, "--", *fetch(url))
    theirs = told["server"]
    assert theirs["client_certificate"] == "asked"
    assert any("cannot be passed on" in note for note in theirs["notes"])
    assert theirs["failure"]["fault"] == "PEER_CERTIFICATE_REQUIRED"


def test_what_does_not_begin_with_tls_passes_as_it_is(temporary: Path) -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(b"220 ready\r\n")
        assert sock.recv(100) == b"QUIT\r\n"

    with server(serve) as port:
        arguments = ["watch", f"127.0.0.1:{port}", "--intercept", "--json"]
        with started(*arguments) as process:
            with socket.create_connection(("127.0.0.1", process.port), WAIT_SECONDS) as sock:
                assert sock.recv(100) == b"220 ready\r\n"
                sock.sendall(b"QUIT\r\n")
                assert sock.recv(100) == b""
            told = json.loads(process.line(r"^\{"))
            assert process.end(signal.SIGTERM) == 0
    assert told["intercepted"] is None
    assert not told["tls"]
    assert list(temporary.iterdir()) == []


class Bench:
    """An intercepting relay in this process, with a client and a server of ours."""

    def __init__(self, pki: Pki, port: int, **settings: Any) -> None:
        self.authority = LocalAuthority.in_memory(names=[EVERY_NAME])
        relay: dict[str, Any] = {
            "make": Intercepting,
            "authority": self.authority,
            "trust": pki.trust,
            "keylog": KeyLogLines(),
        }
        self.relay = RelayThread(Address("localhost", port), **relay, **settings)

    def connect(self, **settings: Any) -> handclasp.TLSSocket:
        config = ClientConfig(trust=self.authority.trust, **settings)
        return handclasp.wrap_client(self.relay.connect(), config, server_name="localhost")


def test_the_end_of_one_direction_leaves_the_other_open(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("localhost"))

    def serve(sock: socket.socket) -> None:
        with handclasp.wrap_server(sock, config) as tls:
            got = b""
            while more := tls.recv(1 << 16):
                got += more
            tls.sendall(b"%d" % len(got))

    with plain_server(serve) as port:
        bench = Bench(pki, port)
        with bench.relay, bench.connect() as tls:
            tls.sendall(b"x" * 3_000_000)
            tls.shutdown(socket.SHUT_WR)
            assert tls.recv(100) == b"3000000"
            assert tls.recv(100) == b""
    ours, theirs = sorted(bench.relay.ended, key=lambda each: each.leg)
    assert (ours.leg, theirs.leg) == ("client", "server")
    assert [each.is_torn for each in bench.relay.ended] == [False, False]


def test_a_stream_that_is_cut_off_arrives_so(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("localhost"))

    def serve(sock: socket.socket) -> None:
        tls = handclasp.wrap_server(sock, config)
        tls.sendall(b"half of it")
        with socket.socket(fileno=tls.detach()) as plain:
            plain.settimeout(WAIT_SECONDS)
            plain.shutdown(socket.SHUT_WR)  # Without close_notify.
            read_all(plain)

    with plain_server(serve) as port:
        bench = Bench(pki, port)
        with bench.relay, bench.connect() as tls:
            assert tls.recv(100) == b"half of it"
            with pytest.raises(handclasp.TLSError) as caught:
                tls.recv(100)
    assert caught.value.fault_name == "TRUNCATED"


def test_a_reset_arrives_as_a_reset(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("localhost"))

    def serve(sock: socket.socket) -> None:
        tls = handclasp.wrap_server(sock, config)
        tls.sendall(b"hello")
        tls.recv(100)
        reset(socket.socket(fileno=tls.detach()))

    with plain_server(serve) as port:
        bench = Bench(pki, port)
        with bench.relay, bench.connect() as tls:
            assert tls.recv(100) == b"hello"
            tls.sendall(b"go")
            with pytest.raises(ConnectionResetError):
                tls.recv(100)
    assert all(each.is_torn for each in bench.relay.ended)


def test_a_connection_on_which_nothing_moves_is_reset(pki: Pki) -> None:
    serve = tls_server(pki.server("localhost"), b"hello")

    def served(sock: socket.socket) -> None:
        with pytest.raises(ConnectionResetError):
            serve(sock)

    with plain_server(served) as port:
        bench = Bench(pki, port, idle=1.0)
        with bench.relay, bench.connect() as tls:
            assert tls.recv(100) == b"hello"
            with pytest.raises(ConnectionResetError):
                tls.recv(100)
    cuts = {each.cut for each in bench.relay.ended}
    assert cuts == {"Nothing moved for 1 s, so that the relay reset both ends."}


def test_a_client_that_does_not_read_stops_the_server(pki: Pki) -> None:
    config = ServerConfig(credentials=pki.server("localhost"))
    sent = 0
    stopped = threading.Event()

    def serve(sock: socket.socket) -> None:
        nonlocal sent
        with handclasp.wrap_server(sock, config) as tls:
            tls.settimeout(1)
            with pytest.raises(TimeoutError):
                while sent < 64 << 20:
                    tls.sendall(bytes(1 << 16))
                    sent += 1 << 16
            stopped.set()
            reset(socket.socket(fileno=tls.detach()))

    with plain_server(serve) as port:
        bench = Bench(pki, port)
        with bench.relay, bench.connect():
            assert stopped.wait(WAIT_SECONDS)
    assert 0 < sent < 64 << 20


def test_only_so_many_certificates_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intercept, "MOST_CERTIFICATES", 2)
    issued = Issued(LocalAuthority.in_memory(names=[EVERY_NAME]))
    first = issued.to("a.example")
    issued.to("b.example")
    assert issued.to("a.example") is first
    issued.to("c.example")
    assert len(issued) == 2
    assert issued.to("a.example") is first  # It was used last but one.


def test_it_needs_no_key_log(run: Run) -> None:
    made = run("watch", "localhost:1", "--intercept", "--keylog", "keys.log")
    assert made.exit_code == 2
    assert "needs no key log" in made.output


def test_the_environment_names_the_authority_only_when_it_intercepts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    code = (
        "import os; print(os.environ.get('SSL_CERT_FILE', 'unset'), 'SSLKEYLOGFILE' in os.environ)"
    )
    program = [sys.executable, "-c", code]
    made = handclasp_process("watch", "--intercept", "--", *program)
    path, has_key_log = made.stdout.split()
    assert path.endswith(b"authority.pem")
    assert has_key_log == b"False"
    assert not os.path.exists(path)
    assert handclasp_process("watch", "--", *program).stdout == b"unset True\n"
