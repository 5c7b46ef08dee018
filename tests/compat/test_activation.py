"""Handclasp for programs that make their contexts themselves."""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from asyncio.sslproto import SSLProtocol
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from tests.compat.pairs import Files, client_context, meet, server_context
from tests.pki import Pki

import handclasp.ssl
from handclasp import compat
from handclasp.compat.context import settings_of
from handclasp.compat.last_failure import LastFailure
from handclasp.compat.link import Link

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(compat.__file__).parents[2])}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"hello " + self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(files: Files) -> Generator[str]:
    """An HTTPS server of the standard library alone."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = server_context("ssl", files)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def test_inject_and_extract() -> None:
    before, original = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), dict(vars(ssl.SSLContext))
    context_class = ssl.SSLContext
    with compat.injected():
        assert compat.is_injected()
        assert ssl.SSLContext is context_class
        compat.inject()
        made = ssl.create_default_context()
        assert settings_of(made) is not None
        assert settings_of(before) is None

        class Subclass(ssl.SSLContext):
            pass

        assert settings_of(Subclass(ssl.PROTOCOL_TLS_CLIENT)) is not None
        link: Any = made.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.example")
        assert isinstance(link._sslobj, Link)
        old: Any = before.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.example")
        assert not isinstance(old._sslobj, Link)
        before.verify_flags = before.verify_flags
        before.set_ciphers("DEFAULT")
        assert before.get_ciphers()
        assert before.session_stats()["number"] == 0
    assert not compat.is_injected()
    assert dict(vars(ssl.SSLContext)) == original
    after = ssl.create_default_context()
    assert settings_of(after) is None
    plain: Any = after.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a")
    assert not isinstance(plain._sslobj, Link)


@pytest.fixture
def injected_by_the_program() -> Generator[None]:
    compat.inject()
    yield
    compat.extract()
    assert not compat.is_injected()


@pytest.mark.usefixtures("injected_by_the_program")
def test_a_block_leaves_what_the_program_injected() -> None:
    told = vars(SSLProtocol)["_wakeup_waiter"]
    with compat.injected():
        assert compat.is_injected()
    assert compat.is_injected()
    assert settings_of(ssl.create_default_context()) is not None
    assert vars(SSLProtocol)["_wakeup_waiter"] is told
    with compat.injected():
        compat.extract()
        assert compat.is_injected()
    assert not compat.is_injected()


def test_blocks_are_nested_and_overlap() -> None:
    original, wake = dict(vars(ssl.SSLContext)), vars(SSLProtocol)["_wakeup_waiter"]
    first, second = compat.injected(), compat.injected()
    first.__enter__()
    with compat.injected():
        pass
    assert compat.is_injected()
    second.__enter__()
    first.__exit__(None, None, None)
    assert settings_of(ssl.create_default_context()) is not None
    assert vars(SSLProtocol)["_wakeup_waiter"] is not wake
    second.__exit__(None, None, None)
    assert not compat.is_injected()
    assert dict(vars(ssl.SSLContext)) == original
    assert vars(SSLProtocol)["_wakeup_waiter"] is wake


def test_what_others_change_in_asyncio_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours stays below theirs, without effect, and is not put on top of it a second time."""
    wake: Any = vars(SSLProtocol)["_wakeup_waiter"]
    with compat.injected():
        ours: Any = vars(SSLProtocol)["_wakeup_waiter"]

        def theirs(self: Any, exc: BaseException | None = None) -> None:
            ours(self, exc)

        monkeypatch.setattr(SSLProtocol, "_wakeup_waiter", theirs)
    assert vars(SSLProtocol)["_wakeup_waiter"] is theirs
    with compat.injected():
        assert vars(SSLProtocol)["_wakeup_waiter"] is theirs
        monkeypatch.undo()
    assert vars(SSLProtocol)["_wakeup_waiter"] is wake


def test_injected_contexts_talk(files: Files) -> None:
    theirs = client_context("ssl", files)
    with compat.injected():
        ours = server_context("ssl", files)

        def act(sock: Any) -> tuple[type, bytes]:
            return type(sock._sslobj), sock.recv(9)

        met = meet(ours, theirs, act)
    assert met.server == (Link, b"hello")


def test_the_standard_library(files: Files, url: str) -> None:
    context = compat.create_default_context(cafile=str(files.ca))
    with urlopen(f"{url}/urllib", context=context) as answer:
        assert answer.read() == b"hello /urllib"
    host = url.removeprefix("https://")
    connection = http.client.HTTPSConnection(host, context=context)
    connection.request("GET", "/client")
    assert connection.getresponse().read() == b"hello /client"
    connection.close()


def test_the_module_has_all_names() -> None:
    look_alike = vars(handclasp.ssl)
    assert {name for name in vars(ssl) if not name.startswith("__")} <= look_alike.keys()
    assert look_alike["SSLContext"] is compat.SSLContext
    assert look_alike["SSLError"] is ssl.SSLError
    for name in ("create_default_context", "_create_unverified_context"):
        assert isinstance(look_alike[name](), compat.SSLContext)
    assert type(ssl.create_default_context()) is ssl.SSLContext


@pytest.mark.parametrize("purpose", ssl.Purpose)
def test_the_default_context_is_the_interpreter_s(purpose: ssl.Purpose) -> None:
    ours, theirs = compat.create_default_context(purpose), ssl.create_default_context(purpose)
    for name in (
        "options",
        "verify_mode",
        "verify_flags",
        "check_hostname",
        "minimum_version",
        "maximum_version",
        "protocol",
        "security_level",
        "num_tickets",
    ):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.cert_store_stats() == theirs.cert_store_stats()
    assert ours.get_ca_certs() == theirs.get_ca_certs()


PROGRAM = """
import sys, ssl
from urllib.request import urlopen
context = ssl.create_default_context(cafile=sys.argv[2])
with urlopen(sys.argv[1], context=context) as answer:
    link = answer.fp.raw._sock._sslobj
    print(answer.read().decode(), type(link).__module__, __name__)
"""


@pytest.mark.parametrize("way", ["program", "module"])
def test_an_unchanged_program(files: Files, url: str, way: str) -> None:
    files.write("program.py", PROGRAM.encode())
    named = ["-m", "program"] if way == "module" else [str(files.directory / "program.py")]
    traces = files.directory / "traces"
    options = ["--trace", str(traces)] if way == "module" else []
    command = [sys.executable, "-m", "handclasp.compat", *options, *named, f"{url}/x"]
    done = subprocess.run(
        [*command, str(files.ca)],
        capture_output=True,
        text=True,
        cwd=files.directory,
        env=ENVIRONMENT,
        check=False,
    )
    assert done.stdout == "hello /x handclasp.compat.link __main__\n", done.stderr
    if options:
        (trace,) = traces.iterdir()
        assert trace.name.endswith("-client-localhost.json")
        assert json.loads(trace.read_bytes())["events"]
        assert trace.stat().st_mode & 0o077 == 0


DROPPING = """
import http.client, ssl, sys, threading
from urllib.parse import urlsplit

def get():
    address = urlsplit(sys.argv[1])
    context = ssl.create_default_context(cafile=sys.argv[2])
    connection = http.client.HTTPSConnection(address.netloc, context=context, timeout=20)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except OSError as error:
        HOW
        raise ConnectionError("aborted") from None

def run():
    WHERE
run()
"""


@pytest.mark.parametrize("where", ["get()", "threading.Thread(target=get).start()"])
def test_an_explanation_that_a_library_has_dropped(files: Files, url: str, where: str) -> None:
    source = DROPPING.replace("WHERE", where).replace("HOW", "pass")
    told = ended(files, source, url, str(files.write("other.pem", Pki().ca_pem)))
    last = told[told.index("ConnectionError: aborted") + 1 :]
    assert last[0].startswith("handclasp: No path leads from the certificate to a trusted")
    assert last[-1].startswith("At fault: ")


@pytest.mark.parametrize(
    ("ends", "told_as"),
    [
        ("raise ConnectionError('no server left')", "possible"),
        ("raise ReconnectFailed('no server left')", "possible"),
        ("raise KeyError('settings')", "nothing"),
        ("open('/nowhere')", "nothing"),
    ],
)
def test_what_ends_a_program_after_a_failure(
    files: Files, url: str, ends: str, told_as: str
) -> None:
    """Only the exception of a connection may have to do with one that the program survived."""
    survived = f"""
    class ReconnectFailed(Exception): pass
    try:
        get()
    except OSError:
        pass
    {ends}
"""
    source = DROPPING.replace("WHERE", survived).replace("HOW", "pass")
    told = ended(files, source, url, str(files.write("other.pem", Pki().ca_pem)))
    if told_as == "nothing":
        assert not [line for line in told if "handclasp: " in line or "TLS" in line]
        return
    at = [line.startswith("The last TLS connection of this process") for line in told].index(True)
    assert re.search(
        r" as a client that failed, to localhost, did so \d\.\d s before\. It may be", told[at]
    )
    assert told[at + 1].startswith("handclasp: No path leads from the certificate to a trusted")


class Wrapping(Exception):
    reason: BaseException | None = None


def test_where_libraries_keep_an_exception() -> None:
    ours = ssl.SSLError("failed")
    ours.add_note("some other note")
    ours.add_note("handclasp: The certificate has expired.")
    ours.add_note("At fault: the server.")
    told = ["handclasp: The certificate has expired.", "At fault: the server."]
    by_attribute, by_context, by_cause = Wrapping("a"), Wrapping("b"), Wrapping("c")
    by_attribute.reason = by_context.__context__ = by_cause.__cause__ = ours
    by_context.__suppress_context__ = True
    hidden = [Wrapping("text", ours), Wrapping(by_attribute), by_attribute, by_context]
    for each in [*hidden, Wrapping("text", ExceptionGroup("several", [ours]))]:
        LastFailure().add_to(each)
        assert each.__notes__ == told
    shown: list[BaseException] = [ours, ExceptionGroup("several", [ours, KeyError()])]
    for one in shown:
        before = list(getattr(one, "__notes__", []))
        LastFailure().add_to(one)
        assert getattr(one, "__notes__", []) == before
    LastFailure().add_to(by_cause)
    assert (by_cause.__notes__, ours.__notes__) == (told, ["some other note"])


class Remote(Exception):
    """It delegates, as proxies of an exception in another process do."""

    def __init__(self, kept: BaseException) -> None:
        self.kept = kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kept, name, None)


class WithOtherArguments(Exception):
    args: Any = 5
    __notes__: Any = "of the class"
    __cause__: Any = property(lambda self: 1 / 0)


class Raising(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class Pretending:
    __class__: Any = ValueError


def explained() -> ssl.SSLError:
    error = ssl.SSLError("failed")
    error.add_note("handclasp: The certificate has expired.")
    return error


def test_odd_exceptions_are_explained_all_the_same() -> None:
    odd: list[BaseException] = [
        Remote(explained()),
        WithOtherArguments(explained()),
        Raising(explained()),
    ]
    for error in odd:
        LastFailure().add_to(error)
        kept: Any = vars(BaseException)["__dict__"]
        assert kept.__get__(error)["__notes__"] == ["handclasp: The certificate has expired."]
    with_odd_notes: Any = ValueError(explained(), Pretending())
    with_odd_notes.__notes__ = 5
    LastFailure().add_to(with_odd_notes)
    assert with_odd_notes.__notes__ == 5
    mixed: Any = ValueError(explained())
    mixed.__notes__ = [5, "handclasp: Something else."]
    LastFailure().add_to(mixed)
    assert mixed.__notes__[2:] == ["handclasp: The certificate has expired."]


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("where", ["main", "thread"])
def test_the_program_s_own_exception_is_reported(files: Files, where: str, *, broken: bool) -> None:
    """So it is where the search for an explanation fails."""
    breaking = "handclasp.compat.last_failure._reached_from = None" if broken else ""
    raising = "threading.Thread(target=end).start()" if where == "thread" else "end()"
    source = f"""
import threading, handclasp.compat.last_failure
class Remote(Exception):
    def __init__(self, inner): self.inner = inner
    def __getattr__(self, name): return getattr(self.inner, name, None)
def end():
    raise Remote(ValueError("boom"))
{breaking}
{raising}
"""
    told = ended(files, source)
    assert "Remote: boom" in told
    assert not [line for line in told if "NoneType" in line or "During handling" in line]


@pytest.mark.parametrize("how", ["raise", "raise ConnectionError('aborted')", "sys.exit(3)"])
def test_an_explanation_that_is_there_is_not_repeated(files: Files, url: str, how: str) -> None:
    source = DROPPING.replace("WHERE", "get()").replace("HOW", how)
    told = ended(files, source, url, str(files.write("other.pem", Pki().ca_pem)))
    assert len([line for line in told if line.startswith("handclasp: ")]) == 1
    assert not [line for line in told if line.startswith("The last TLS")]


def test_a_server_that_leaves_without_a_word_is_explained(files: Files) -> None:
    """`ssl` takes the end without close_notify for an end, and http.client wonders."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        context = server_context("ssl", files)

        def serve() -> None:
            sock = context.wrap_socket(listener.accept()[0], server_side=True)
            sock.recv(1000)
            sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        source = DROPPING.replace("WHERE", "get()").replace("HOW", "raise")
        url = f"https://localhost:{listener.getsockname()[1]}"
        told = ended(files, source, url, str(files.ca))
        thread.join()
    last = [line.startswith("http.client.RemoteDisconnected") for line in told].index(True)
    assert told[last + 1].startswith(
        "The last TLS connection of this process as a client that failed, to loc"
    )
    assert "without close_notify" in told[last + 2]


def ended(files: Files, source: str, *arguments: str) -> list[str]:
    """The lines of the traceback that ends a program."""
    program = files.write("program.py", source.encode())
    command = [sys.executable, "-m", "handclasp.compat", str(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    return done.stderr.splitlines()


def test_a_program_knows_its_file(files: Files) -> None:
    files.write("program.py", b"import os; os.chdir('/'); print(__file__)")
    command = [sys.executable, "-m", "handclasp.compat", "program.py"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=ENVIRONMENT, check=True, cwd=files.directory
    )
    assert done.stdout.strip() == str(files.directory / "program.py")


def test_old_failures_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ValueError("a failure")
    error.add_note("handclasp: The certificate has expired.")
    seconds = [100.0]
    monkeypatch.setattr("handclasp.compat.last_failure.monotonic", lambda: seconds[0])
    last = LastFailure()
    last.note(error, None, server_side=True)
    for seconds[0], notes in ((104.0, 1), (106.0, 0)):
        other = ConnectionError("other")
        last.add_to(other)
        assert len(getattr(other, "__notes__", [])) == notes
        group = ExceptionGroup("several", [error])
        last.add_to(group)
        assert not hasattr(group, "__notes__")


@pytest.mark.parametrize(
    ("noted", "told"),
    [
        ("client server", "as a client that failed, to localhost, did so 1.0 s before."),
        ("server client", "as a client that failed, to localhost, did so 0.0 s before."),
        ("server", "as a server that failed did so 0.0 s before."),
    ],
)
def test_a_stranger_s_connection_is_no_cause_beside_one_of_the_program(
    monkeypatch: pytest.MonkeyPatch, noted: str, told: str
) -> None:
    seconds = [99.0]
    monkeypatch.setattr("handclasp.compat.last_failure.monotonic", lambda: seconds[0])
    last = LastFailure()
    for role in noted.split():
        seconds[0] += 1
        is_server = role == "server"
        last.note(explained(), None if is_server else "localhost", server_side=is_server)
    error = ConnectionError("aborted")
    last.add_to(error)
    assert error.__notes__[0].startswith(f"The last TLS connection of this process {told} It may")
    if "client" in noted:
        # A client's that is too old is as none.
        seconds[0] += 5
        last.note(explained(), None, server_side=True)
        seconds[0] += 0.5
        error = ConnectionError("aborted")
        last.add_to(error)
        assert "as a server that failed did so 0.5 s" in error.__notes__[0]


def named(name: str, *bases: type[BaseException]) -> BaseException:
    kind: Any = type(name, bases or (Exception,), {})
    return kind("ended")  # type: ignore[no-any-return]


def following_on_a_connection_s(*, suppressed: bool) -> BaseException:
    error = KeyError("settings")
    error.__context__ = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    error.__suppress_context__ = suppressed
    return error


@pytest.mark.parametrize(
    ("error", "is_of_a_connection"),
    [
        (named("NotConnectedGraphError"), False),
        (named("NetworkXPointlessConcept", named("NetworkXError").__class__), False),
        (named("ProtocolErrorsFile"), False),
        (named("TimeoutTableMissing"), False),
        (OSError("disk quota"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (following_on_a_connection_s(suppressed=False), False),
        (following_on_a_connection_s(suppressed=True), False),
        (ExceptionGroup("several", [KeyError(), ValueError()]), False),
        (ExceptionGroup("several", [KeyError(), ExceptionGroup("x", [TimeoutError()])]), True),
        (OSError(errno.EHOSTUNREACH, "No route to host"), True),
        *[
            (named(name), True)
            for name in (
                "ConnectError",
                "ReadTimeout",
                "ConnectTimeoutError",
                "ServerDisconnectedError",
                "RemoteDisconnected",
                "SMTPServerDisconnected",
                "AutoReconnect",
                "ClientConnectorDNSError",
                "RemoteProtocolError",
                "NetworkError",
                "NetworkTimeout",
                "SSLV3AlertHandshakeFailure",
                "WebSocketException",
                "BrokenResourceError",
                "IncompleteReadError",
                "timeout",
            )
        ],
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_which_exceptions_may_have_a_connection_as_their_cause(
    error: BaseException, *, is_of_a_connection: bool
) -> None:
    last = LastFailure()
    last.note(explained(), "localhost", server_side=False)
    last.add_to(error)
    assert bool(getattr(error, "__notes__", [])) == is_of_a_connection


def test_no_program() -> None:
    command = [sys.executable, "-m", "handclasp.compat"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m handclasp.compat")


def test_peers_cannot_name_files(tmp_path: Path) -> None:
    from handclasp.compat.tracing import traces_in

    trace = traces_in(tmp_path)()
    trace.began("server", "../../etc/" + "a" * 300)
    assert trace.path.parent == tmp_path
    assert len(trace.path.name) < 120
