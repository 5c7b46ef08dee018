"""`handclasp demo`: one handshake, told step by step, and a page for the user's browser."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from handclasp.cli.authority import LOCAL_NAMES, authority_directory, open_authority, trust_advice
from handclasp.cli.later import CommandWithLater, later
from handclasp.cli.outcome import FAILED, WrongArguments, configuration_checked
from handclasp.cli.server import Server, Visit, listen, stopping_on_signals, url_of

if TYPE_CHECKING:
    import socket

    from handclasp import ClientConfig, Credentials, Recorder, TLSSocket
    from handclasp.certificates.authority import LocalAuthority
    from handclasp.cli.story import Handshake, Step

HOST = "127.0.0.1"
USUAL_PORT = 8443
_WAIT_SECONDS = 20.0


@click.command("demo", cls=CommandWithLater)
@click.option("--once", is_flag=True, help="Tell the story, fetch the page once, and end.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"The port; 0 takes a free one.  [default: {USUAL_PORT}, or a free one]",
)
@click.option("--no-browser", is_flag=True, help="Do not open the page in a browser.")
@click.option(
    "--classic", is_flag=True, help="Compare with the handshake of the old days, and end."
)
@later("--verbose", "-v")
def command(once: bool, port: int | None, no_browser: bool, classic: bool) -> None:
    """Watch one handshake, step by step, with real values.

    Makes a certificate authority for this machine, starts a TLS server, connects to it and tells
    what happens. Then the server shows the same to your browser, until Ctrl-C.
    """
    if classic:
        _compare_with_classic(port)
        return
    with ExitStack() as stack:
        stack.enter_context(stopping_on_signals())
        directory = stack.enter_context(_directory(once=once))
        authority = open_authority(directory)
        with configuration_checked():
            demo = _Demo(authority, authority.credentials(LOCAL_NAMES))
        server = stack.enter_context(_running(demo, _listener(port)))
        url = url_of(HOST, server.port)
        _say(f"Listening on {url}\n")
        try:
            as_told = demo.run(server.port)
        except OSError as error:
            raise _failed(error) from None
        if once:
            as_told = _fetch_own_page(demo, server.port) and as_told
        else:
            _show_browser(url, directory / "ca.pem", open_it=not no_browser)
        if not as_told:
            raise click.exceptions.Exit(FAILED)


def _failed(error: OSError) -> click.exceptions.Exit:
    click.echo(f"handclasp: the demo's handshake failed: {error}", err=True)
    return click.exceptions.Exit(FAILED)


def _compare_with_classic(port: int | None) -> None:
    """Both handshakes take place in this process: there is no server to visit."""
    from handclasp.cli.classic import run_classic

    if port is not None:
        raise WrongArguments("--classic needs no port: leave out --port.")
    with _directory(once=True) as directory:
        try:
            as_told = run_classic(open_authority(directory))
        except OSError as error:
            raise _failed(error) from None
    if not as_told:
        raise click.exceptions.Exit(FAILED)


class _Demo:
    """The demo's server and client, and what they have to tell."""

    def __init__(self, authority: LocalAuthority, credentials: Credentials) -> None:
        from handclasp import ClientConfig

        self.authority = authority
        self.credentials = credentials
        self.client_config: ClientConfig = ClientConfig(trust=authority.trust, alpn=("http/1.1",))
        self.steps: tuple[Step, ...] = ()
        self.diagram = ""
        self.told = threading.Event()
        self._lock = threading.Condition()
        self._visits: dict[tuple[str, int], Visit] = {}
        self._fingerprints: dict[tuple[str, int], str] = {}

    # The server's side

    def report(self, visit: Visit) -> None:
        """Remembers the demo's own visits, and tells of those of browsers."""
        if self.told.is_set():
            _say(_visit_line(visit))
        with self._lock:
            self._visits[visit.host, visit.port] = visit

    def talk(self, tls: TLSSocket, address: tuple[str, int]) -> None:
        """HTTP with one client, after noting the fingerprint of this side's keys."""
        with self._lock:
            self._fingerprints[address] = _fingerprint(tls)
            self._lock.notify_all()
        try:
            _PageHandler(cast(Any, tls), address, cast(Any, self))
        finally:
            with self._lock:
                self._visits.pop(address, None)
                self._fingerprints.pop(address, None)

    def seen_by_server(self, address: tuple[str, int]) -> tuple[Recorder, str]:
        """What the server recorded of a connection, and its fingerprint. Raises `OSError`."""
        with self._lock:
            if not self._lock.wait_for(lambda: address in self._fingerprints, _WAIT_SECONDS):
                raise TimeoutError("the demo's server did not complete the handshake")
            recorder = self._visits[address].recorder
        if recorder is None:
            raise OSError("the demo's server recorded nothing")
        return recorder, self._fingerprints[address]

    # The client's side

    def run(self, port: int) -> bool:
        """Shake hands, tell the story, and return whether it is true. Raises `OSError`."""
        from handclasp.cli.story import holds, measure_speed, seven_steps

        with _working("Shaking hands"):
            first = self._handshake(port)
            second = self._handshake(port)
            refused = self._refusal(port)
        with _working("Measuring"):
            speed = measure_speed(self.client_config, self.credentials)
        self.steps = seven_steps(first, second, refused, speed, self.authority.trust)
        self.diagram = first.diagram
        _tell(self.steps, self.diagram)
        self.told.set()
        return holds(first, second)

    def _handshake(self, port: int) -> Handshake:
        import handclasp
        from handclasp.cli.story import Handshake
        from handclasp.trace.facts import facts_of
        from handclasp.trace.narrate import narrate

        recorder = handclasp.Recorder()
        with handclasp.connect(
            HOST,
            port,
            self.client_config,
            server_name="localhost",
            timeout=_WAIT_SECONDS,
            trace=recorder,
        ) as tls:
            server_recorder, theirs = self.seen_by_server(_address(tls.getsockname()))
            ours = _fingerprint(tls)
        return Handshake(
            facts_of(recorder.events),
            facts_of(server_recorder.events),
            ours,
            theirs,
            narrate(recorder.events),
        )

    def _refusal(self, port: int) -> str:
        """What the same client says to the same certificate under a name that it is not for."""
        import handclasp

        name = "bank.example"
        try:
            handclasp.connect(
                HOST, port, self.client_config, server_name=name, timeout=_WAIT_SECONDS
            ).close()
        except handclasp.CertificateError as error:
            return f"asked to be {name}, the same certificate is refused: {error.fault}"
        return f"NOT REFUSED under the name {name}"


class _PageHandler(BaseHTTPRequestHandler):
    """The demo's three documents."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = 64 * 1024

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        demo, tls = cast(_Demo, self.server), cast("TLSSocket", self.connection)
        path = self.path.partition("?")[0]
        if path in ("/", "/connection.json"):
            # A browser that is early waits until there is something to tell.
            demo.told.wait(_WAIT_SECONDS)
        found = _document(demo, tls, path)
        if found is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content_type, body = found
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", _policy())
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def version_string(self) -> str:
        return "handclasp"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
        """Visits are told elsewhere."""


def _policy() -> str:
    from handclasp.cli.page import CONTENT_SECURITY_POLICY

    return CONTENT_SECURITY_POLICY


def _document(demo: _Demo, tls: TLSSocket, path: str) -> tuple[str, bytes] | None:
    """Content type and body of what is at `path`; None where there is nothing."""
    from handclasp.cli.page import page
    from handclasp.cli.report import info_to_json
    from handclasp.trace.facts import facts_of

    info = tls.info
    if path == "/ca.pem":
        return "application/x-pem-file", demo.authority.certificate_pem
    if path == "/connection.json":
        shown = {**info_to_json(info), "fingerprint": _fingerprint(tls)}
        return "application/json", json.dumps(shown, indent=2).encode()
    if path == "/":
        recorder, fingerprint = demo.seen_by_server(_address(tls.getpeername()))
        took = facts_of(recorder.events).handshake_ns or 0
        document = page(demo.steps, demo.diagram, info, fingerprint, took / 1e6)
        return "text/html; charset=utf-8", document.encode()
    return None


@contextmanager
def _directory(*, once: bool) -> Generator[Path]:
    """Where the authority lives: with --once only for this run, unless HANDCLASP_HOME is set."""
    if once and not os.environ.get("HANDCLASP_HOME"):
        with tempfile.TemporaryDirectory(prefix="handclasp-demo-") as directory:
            yield Path(directory)
    else:
        yield authority_directory()


def _listener(port: int | None) -> socket.socket:
    if port is not None:
        return listen(HOST, port)
    try:
        return listen(HOST, USUAL_PORT)
    except WrongArguments:
        return listen(HOST, 0)


@contextmanager
def _running(demo: _Demo, listener: socket.socket) -> Generator[Server]:
    from handclasp import ServerConfig

    config = ServerConfig(credentials=demo.credentials, alpn=("http/1.1",))
    server = Server(listener, config, demo.talk, demo.report, record=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True, name="demo server")
    thread.start()
    try:
        yield server
    finally:
        server.close()


def _fetch_own_page(demo: _Demo, port: int) -> bool:
    """Get the page as a browser would; whether it tells the story."""
    import handclasp

    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with handclasp.connect(
        HOST, port, demo.client_config, server_name="localhost", timeout=_WAIT_SECONDS
    ) as tls:
        tls.sendall(request)
        answer = bytearray()
        while data := tls.recv(65536):
            answer += data
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].decode("ascii", "replace")
    complete = status.startswith("HTTP/1.1 200") and body.rstrip().endswith(b"</html>")
    _say(f"Fetched the page over TLS: {status}, {len(body):,} bytes.")
    return complete


def _show_browser(url: str, authority: Path, *, open_it: bool) -> None:
    """Show the page until Ctrl-C, which may come at any moment."""
    port = int(url.rstrip("/").rpartition(":")[2])
    try:
        _say(f"Now your browser: {url} tells the same,")
        _say("and about its own connection.")
        _say("It warns you unless it trusts the authority that this demo made.\n")
        _say(trust_advice(authority, port))
        _say("\nCtrl-C ends it.")
        if open_it:
            _open_browser(url)
        threading.Event().wait()
    except KeyboardInterrupt:
        _say("")


def _open_browser(url: str) -> None:
    """Only a browser with a window: one in this terminal would overwrite the story."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    in_terminal = isinstance(browser, webbrowser.GenericBrowser) and not isinstance(
        browser, webbrowser.BackgroundBrowser
    )
    if not in_terminal:
        browser.open(url, new=2)


def _visit_line(visit: Visit) -> str:
    if visit.error is not None:
        return f"A visit from port {visit.port} failed: {visit.error}"
    info = visit.info
    if info is None:
        return ""
    return f"A visit: {info.version}, {info.cipher_suite}, {info.group}, {info.alpn or 'no ALPN'}"


def _address(given: object) -> tuple[str, int]:
    host, port = cast("tuple[str, int]", given)[:2]
    return host, port


def _fingerprint(tls: TLSSocket) -> str:
    from handclasp.cli.story import EXPORTER_LABEL, fingerprint_of

    return fingerprint_of(tls.connection.export_keying_material(EXPORTER_LABEL, None, 32))


def _tell(steps: tuple[Step, ...], diagram: str) -> None:
    from handclasp.cli.report import print_story

    for number, step in enumerate(steps, 1):
        print_story(f"{number}. {step.title}", step.telling, step.values)
    _say("The same handshake, message by message:\n")
    _say(diagram)


@contextmanager
def _working(what: str) -> Generator[None]:
    """A sign of life in a terminal; nothing in a pipe."""
    if not sys.stdout.isatty():
        yield
        return
    from rich.console import Console

    with Console().status(f"{what}..."):
        yield


def _say(text: str) -> None:
    click.echo(text)
    sys.stdout.flush()
