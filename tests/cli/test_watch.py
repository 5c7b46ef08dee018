"""`handclasp watch`: unchanged programs through the relay, what is told of them, and the end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import (
    COMMAND,
    SOURCE,
    WAIT_SECONDS,
    Run,
    handclasp_process,
    heed_interrupts,
    started,
)
from tests.cli.test_connect import server, tls_server
from tests.pki import Pki

import handclasp
from handclasp import ClientConfig, Credentials, ServerConfig, TrustStore
from handclasp.cli.program import Program
from handclasp.trace.keylog import open_keylog

pytestmark = pytest.mark.usefixtures("temporary")

ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"

FETCH = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
print(urllib.request.urlopen(sys.argv[1], context=context).read().decode())
"""


def fetch(url: str, ca: str) -> list[str]:
    """A program that knows nothing of handclasp."""
    return [sys.executable, "-c", FETCH, url, ca]


@pytest.fixture
def credentials(pair: tuple[str, str]) -> Credentials:
    return Credentials.load(*pair)


def watch(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return handclasp_process("watch", *arguments)


def watched_json(*arguments: str) -> tuple[list[dict[str, Any]], bytes]:
    made = watch("--json", *arguments)
    return [json.loads(line) for line in made.stdout.splitlines()], made.stderr


def test_an_unchanged_program_is_seen_decrypted(
    credentials: Credentials, ca: str, temporary: Path
) -> None:
    with server(tls_server(credentials, ANSWER)) as port:
        url = f"https://localhost:{port}/"
        [told], errors = watched_json("--ca", ca, "--", *fetch(url, ca))
    assert errors == b"hello\n"  # The output of the program, which is not mixed with the JSON.
    assert told["tls"]
    assert told["target"] == f"localhost:{port}"
    assert told["server_name"] == "localhost"
    assert told["version"] == "TLSv1.3"
    assert told["outcome"] == "complete"
    assert told["peer"]["names"] == ["localhost", "127.0.0.1"]
    assert told["trusted_here"]["accepted"]
    assert told["failure"] is None
    assert told["hidden"] == []
    assert list(temporary.iterdir()) == []


def test_what_is_told_for_people(credentials: Credentials, ca: str) -> None:
    with server(tls_server(credentials, ANSWER)) as port:
        url = f"https://localhost:{port}/"
        made = watch("--ca", ca, "-v", "--", *fetch(url, ca))
    assert made.returncode == 0
    assert made.stdout == b"hello\n"
    told = " ".join(made.stderr.decode().split())
    assert f"to localhost:{port}" in told
    assert "version TLSv1.3, TLS_" in told
    assert "certificate CN=localhost" in told
    assert "both ends were seen to finish" in told
    assert "ClientHello" in told


def test_a_program_that_refuses_the_server(credentials: Credentials, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Pki().ca_pem)
    with server(tls_server(credentials)) as port:
        [told], errors = watched_json("--", *fetch(f"https://localhost:{port}/", str(other)))
    assert b"CERTIFICATE_VERIFY_FAILED" in errors
    assert told["outcome"] == "failed"
    failure = told["failure"]
    assert (failure["seen_from"], failure["alert"]) == ("server", "unknown_ca")
    assert failure["cause"].startswith("The client")


def test_a_program_without_a_key_log_is_told_as_far_as_it_is_seen(
    credentials: Credentials, ca: str
) -> None:
    with server(tls_server(credentials, ANSWER)) as port:
        command = ["env", "-u", "SSLKEYLOGFILE", *fetch(f"https://localhost:{port}/", ca)]
        [told], _ = watched_json("--ca", ca, "--", *command)
    assert told["version"] == "TLSv1.3"
    assert told["peer"] is None
    assert told["trusted_here"] is None
    assert told["outcome"] == "seems_complete"
    assert told["hidden"]


def test_a_server_that_cannot_be_reached(ca: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    [told], errors = watched_json("--", *fetch(f"https://localhost:{port}/", ca))
    assert b"502" in errors
    assert told["instead"] == f"There is no connection to localhost:{port}: Connection refused."
    assert not told["tls"]
    assert told["failure"]["fault"] == "CONNECTION_REFUSED"
    assert told["failure"]["blame"] == "server"
    made = watch("--", *fetch(f"https://localhost:{port}/", ca))
    lines = " ".join(made.stderr.decode().split())
    assert "at fault the server, where the service does not run, unless the host or" in lines
    assert "to change Check the port, and that the service is running." in lines


def test_the_exit_status_is_that_of_the_program() -> None:
    made = watch("--", sys.executable, "-c", "raise SystemExit(7)")
    assert made.returncode == 7
    assert b"No connection came through the proxy" in made.stderr


def test_a_program_that_is_ended_by_a_signal() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert watch("--", sys.executable, "-c", code).returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize(("command", "status"), [("no-such-program", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_be_run(command: str, status: int) -> None:
    made = watch("--", command)
    assert made.returncode == status
    assert command.encode() in made.stderr
    assert b"No connection came" not in made.stdout + made.stderr  # It made none, never having run.


def test_the_environment_of_the_program(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    code = (
        "import json, os, stat; path = os.environ['SSLKEYLOGFILE']; "
        "mode = lambda path: stat.S_IMODE(os.stat(path).st_mode); "
        "print(json.dumps([dict(os.environ), mode(path), mode(os.path.dirname(path))]))"
    )
    environment, file_mode, directory_mode = json.loads(
        watch("--", sys.executable, "-c", code).stdout
    )
    assert (file_mode, directory_mode) == (0o600, 0o700)
    assert "NO_PROXY" not in environment
    assert "no_proxy" not in environment
    proxies = {environment[name] for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")}
    assert len(proxies) == 1
    assert proxies.pop().startswith("http://127.0.0.1:")
    assert environment["SSLKEYLOGFILE"].startswith(str(temporary))
    assert list(temporary.iterdir()) == []


PATIENT = """
from handclasp.cli import main, program
program._PATIENCE_SECONDS = (600.0, 600.0)
main()
"""
"""The command, which gives its program the time that it needs: on a busy machine, 3 s may be over
before a program has ended by the first signal, and SIGTERM then ends it with another status."""


@contextmanager
def running(*arguments: str, command: Sequence[str] = COMMAND) -> Iterator[subprocess.Popen[str]]:
    """The command with a program that says "ready" once it is there."""
    with subprocess.Popen(
        [*command, "watch", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
        preexec_fn=heed_interrupts,
    ) as popen:
        try:
            yield popen
        finally:
            popen.kill()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_program_and_leaves_nothing(number: int, temporary: Path) -> None:
    code = (
        "import os, subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(os.getpid(), child.pid, flush=True); time.sleep(600)"
    )
    patient = [sys.executable, "-c", PATIENT]
    with running("--", sys.executable, "-c", code, command=patient) as popen:
        assert popen.stdout is not None
        pids = list(map(int, popen.stdout.readline().split()))
        assert len(list(temporary.iterdir())) == 1
        popen.send_signal(number)
        status = popen.wait(WAIT_SECONDS)
    # Python ends by KeyboardInterrupt on the first of them, which is a signal to the shell, too.
    assert status == 128 + number
    for pid in pids:
        wait_until_gone(pid)
    assert list(temporary.iterdir()) == []


def test_a_program_that_does_not_end_gets_sigterm(temporary: Path) -> None:
    """It was stopped, as one is that gets no processor for more than 3 s."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    hasty = PATIENT.replace("(600.0, 600.0)", "(0.2, 600.0)")
    with running("--", sys.executable, "-c", code, command=[sys.executable, "-c", hasty]) as popen:
        assert popen.stdout is not None
        pid = int(popen.stdout.readline())
        os.kill(pid, signal.SIGSTOP)
        popen.send_signal(signal.SIGINT)
        while not _is_pending(pid, signal.SIGTERM):
            time.sleep(0.02)
        os.kill(pid, signal.SIGCONT)
        assert popen.wait(WAIT_SECONDS) == 128 + signal.SIGTERM
    assert list(temporary.iterdir()) == []


def _is_pending(pid: int, number: int) -> bool:
    """Return whether a signal waits for a process that is stopped."""
    found = Path(f"/proc/{pid}/status").read_text().partition("ShdPnd:")[2]
    return bool(int(found.split()[0], 16) & 1 << number - 1)


def test_a_program_that_ignores_signals_is_ended(temporary: Path) -> None:
    code = (
        "import os, signal, time; "
        "[signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)]; "
        "print(os.getpid(), flush=True); time.sleep(600)"
    )
    with running("--", sys.executable, "-c", code) as popen:
        assert popen.stdout is not None
        pid = int(popen.stdout.readline())
        popen.send_signal(signal.SIGINT)
        time.sleep(0.2)
        popen.send_signal(signal.SIGINT)
        assert popen.wait(WAIT_SECONDS) == 128 + signal.SIGKILL
    wait_until_gone(pid)
    assert list(temporary.iterdir()) == []


VISITS = """
import os, socket, sys, time, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["https_proxy"])
for _ in range(600):
    with socket.create_connection((proxy.hostname, proxy.port)) as sock:
        sock.sendall(b"CONNECT 127.0.0.1:1 HTTP/1.1\\r\\n\\r\\n")
        while sock.recv(1000):
            pass
open(sys.argv[1], "w").close()
time.sleep(600)
"""


@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "lines"])
def test_a_reader_that_does_not_read_keeps_nothing(
    options: list[str], temporary: Path, tmp_path: Path
) -> None:
    """The pipe of the reports is full, as with a pager that is not scrolled."""
    done = tmp_path / "done"
    with running(*options, "--", sys.executable, "-c", VISITS, str(done)) as popen:
        deadline = time.monotonic() + WAIT_SECONDS
        while not done.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        popen.send_signal(signal.SIGINT)
        # Python's own last words may wait for the same pipe, until SIGTERM.
        assert popen.wait(WAIT_SECONDS) in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert list(temporary.iterdir()) == []


def test_where_signals_cannot_be_sent_the_program_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Windows: Ctrl-C comes by the console, and the rest ends the program at once."""
    monkeypatch.setattr("handclasp.cli.program._IS_POSIX", False)

    async def ended() -> int:
        program = Program([sys.executable, "-c", "import time; time.sleep(600)"], {**os.environ})
        running = asyncio.create_task(program.run())
        for number in (signal.SIGINT, signal.SIGTERM):
            program.signal(number)
        return await running

    assert asyncio.run(ended()) == 128 + signal.SIGKILL


def test_more_signals_meanwhile_leave_nothing_either(temporary: Path) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with running("--", sys.executable, "-c", code) as popen:
        assert popen.stdout is not None
        pid = int(popen.stdout.readline())
        while popen.poll() is None and list(temporary.iterdir()):
            popen.send_signal(signal.SIGTERM)
        popen.wait(WAIT_SECONDS)
    wait_until_gone(pid)
    assert list(temporary.iterdir()) == []


def test_pages_and_packets_are_private_and_whole(
    credentials: Credentials, ca: str, tmp_path: Path, run: Run
) -> None:
    pages, capture = tmp_path / "pages", tmp_path / "all.pcapng"
    with server(tls_server(credentials, ANSWER), connections=2) as port:
        url = f"https://localhost:{port}/"
        code = f"{FETCH}\n" * 2
        command = [sys.executable, "-c", code, url, ca]
        arguments = ["--ca", ca, "--page", str(pages), "--pcapng", str(capture)]
        made = watch(*arguments, "--", *command)
    assert made.returncode == 0, made.stderr
    names = sorted(path.name for path in pages.iterdir())
    assert names == ["0001-localhost.html", "0002-localhost.html"]
    for path in (capture, *pages.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "CN=localhost" in (pages / names[0]).read_text()
    from handclasp.capture.secrets import secrets_inside

    assert len(list(secrets_inside(capture.read_bytes()))) == 2


def test_a_relay_to_one_server_until_it_is_ended(
    credentials: Credentials, ca: str, tmp_path: Path
) -> None:
    keylog = tmp_path / "keys.log"
    with server(tls_server(credentials, b"hello")) as port:
        arguments = ["--ca", ca, "--keylog", str(keylog), "--json"]
        with started("watch", f"localhost:{port}", *arguments) as process:
            config = ClientConfig(trust=TrustStore.from_pem(ca), keylog=open_keylog(str(keylog)))
            address = ("127.0.0.1", process.port)
            with handclasp.connect(*address, config, server_name="localhost") as tls:
                assert tls.recv(100) == b"hello"
            told = json.loads(process.line(r"^\{"))
            assert process.end(signal.SIGTERM) == 0
    assert told["outcome"] == "complete"
    assert told["peer"]["subject"] == "CN=localhost"


def test_a_relay_that_begins_tls_for_its_clients(credentials: Credentials, ca: str) -> None:
    config = ServerConfig(credentials=credentials)

    def serve(sock: socket.socket) -> None:
        sock.sendall(b"+OK ready\r\n")
        assert sock.recv(100) == b"STLS\r\n"
        sock.sendall(b"+OK begin\r\n")
        with handclasp.wrap_server(sock, config) as tls:
            tls.sendall(b"hello")

    with server(serve) as port:
        arguments = ["--starttls", "pop3", "--json"]
        with started("watch", f"127.0.0.1:{port}", *arguments) as process:
            client = ClientConfig(trust=TrustStore.from_pem(ca))
            address = ("127.0.0.1", process.port)
            with handclasp.connect(*address, client, server_name="localhost") as tls:
                assert tls.recv(100) == b"hello"
            assert json.loads(process.line(r"^\{"))["tls"]


def test_the_proxy_of_the_environment_is_used(
    credentials: Credentials, ca: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(tls_server(credentials, ANSWER)) as port:
        url = f"https://localhost:{port}/"
        outer = ["watch", "--json", "--", *COMMAND, "watch", "--json", "--", *fetch(url, ca)]
        made = handclasp_process(*outer)
    told = [
        json.loads(line) for line in (made.stdout + made.stderr).splitlines() if line[:1] == b"{"
    ]
    assert [each["target"] for each in told] == [f"localhost:{port}"] * 2
    assert [each["outcome"] for each in told] == ["seems_complete", "complete"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give a command"),
        (["--"], "After -- comes"),
        (["localhost:1", "--", "true"], "not both"),
        (["curl", "https://example.com"], "unexpected extra argument"),
        (["--keylog", "x", "--", "true"], "--keylog is for HOST:PORT"),
        (["--starttls", "smtp", "--", "true"], "--starttls is for HOST:PORT"),
        (["--proxy", "socks5://x", "--", "true"], "kind socks5"),
        (["--pcapng", "x.txt", "--", "true"], "must end in .pcapng"),
        (["--limit", "1", "--", "true"], "16<=x<=65536"),
        (["local host:1"], "not an address"),
    ],
)
def test_wrong_arguments(arguments: list[str], words: str, run: Run) -> None:
    made = run("watch", *arguments)
    assert made.exit_code == 2
    assert words in made.output


def test_a_port_that_is_in_use(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        made = run("watch", "localhost:1", "--listen", str(port))
    assert made.exit_code == 2
    assert "in use" in made.output


@pytest.mark.parametrize("is_tls", [True, False])
def test_a_connection_on_which_nothing_moves_is_reset_and_told(is_tls: bool) -> None:
    hello = handclasp.ClientConnection(server_name="localhost").data_to_send() if is_tls else b""
    code = f"""
import os, socket
port = int(os.environ["https_proxy"].rpartition(":")[2].strip("/"))
with socket.create_connection(("127.0.0.1", port)) as sock:
    sock.sendall(b"CONNECT localhost:%d HTTP/1.1\\r\\n\\r\\n" % PORT + {hello!r})
    try:
        while sock.recv(1000):
            pass
    except ConnectionResetError:
        print("reset")
"""

    def serve(sock: socket.socket) -> None:
        while sock.recv(1 << 16):
            pass

    with server(serve) as port:
        program = [sys.executable, "-c", code.replace("PORT", str(port))]
        [told], errors = watched_json("--idle", "1", "--", *program)
    assert errors == b"reset\n"
    cut = "Nothing moved for 1 s, so that the relay reset both ends."
    assert told["tls"] is is_tls
    assert told["notes"] == [cut] if is_tls else told["instead"].endswith(cut)
    assert told.get("failure") is None


ECH_FETCH = """
import os, socket, sys, handclasp
from handclasp.trace.keylog import open_keylog
port = int(os.environ["https_proxy"].rpartition(":")[2].strip("/"))
with socket.create_connection(("127.0.0.1", port)) as sock:
    sock.sendall(b"CONNECT localhost:%s HTTP/1.1\\r\\n\\r\\n" % sys.argv[1].encode())
    assert sock.recv(1000).endswith(b"\\r\\n\\r\\n")
    log = open_keylog(os.environ["SSLKEYLOGFILE"])
    def keylog(line):
        if sys.argv[4] == "opened" or not line.startswith("ECH_"):
            log(line)
    config = handclasp.ClientConfig(
        trust=handclasp.TrustStore.from_pem(sys.argv[2]),
        ech=handclasp.EchConfigList.from_base64(sys.argv[3]),
        keylog=keylog,
    )
    with handclasp.wrap_client(sock, config, server_name="localhost") as tls:
        tls.sendall(b"x")
        tls.recv(10)
"""


@pytest.mark.parametrize("inside", ["opened", "hidden"])
def test_an_encrypted_hello_is_told_with_its_names(inside: str, tmp_path: Path) -> None:
    pki, key = Pki(), handclasp.EchKey.generate("public.test")
    authority = tmp_path / "authority.pem"
    authority.write_bytes(pki.ca_pem)
    credentials = pki.server("localhost", "public.test")
    configs = handclasp.EchConfigList(key.configs).to_base64()
    with server(tls_server(credentials, ANSWER, ech=[key]), connections=2) as port:
        arguments = [str(port), str(authority), configs, inside]
        program = ["--ca", str(authority), "--", sys.executable, "-c", ECH_FETCH, *arguments]
        [told], errors = watched_json(*program)
        words = " ".join(watch(*program).stderr.decode().split())
    assert errors == b""
    is_open = inside == "opened"
    assert told["ech"] == ("accepted" if is_open else "unknown")
    assert told["names_in_hello"] == {
        "outer": "public.test",
        "inner": "localhost" if is_open else None,
    }
    assert "in the clear public.test" in words
    assert ("inside localhost" in words) is is_open
    assert ("only a key log with ECH_SECRET tells which" in words) is not is_open
