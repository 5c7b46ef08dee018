"""`handclasp demo`: one handshake, told step by step, and a page for the user's browser."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, cast

import click

from handclasp.cli.authority import LOCAL_NAMES, authority_directory, open_authority, trust_advice
from handclasp.cli.captures import CAPTURE_ENDING
from handclasp.cli.connections import Connections
from handclasp.cli.identity import printable
from handclasp.cli.inputs import save_trace, trace_file
from handclasp.cli.listening import listen, url_of
from handclasp.cli.narrative import verbose_option
from handclasp.cli.outcome import FAILED, WrongArguments, configuration_checked
from handclasp.cli.pages import page_for
from handclasp.cli.private_places import private_directory
from handclasp.cli.terminal import columns, wrapped
from handclasp.serving.background import Background
from handclasp.serving.visits import Request, Visit

if TYPE_CHECKING:
    from handclasp import ClientConfig, ClientConnection, Credentials, Recorder, ServerConnection
    from handclasp.certificates import Explanation
    from handclasp.certificates.authority import LocalAuthority
    from handclasp.cli.story import Handshake, Step

HOST = "127.0.0.1"
USUAL_PORT = 8443
_WAIT_SECONDS = 20.0

_WAKE_SECONDS = 0.5

_MOST_EVENTS = 2_000
"""Of one connection; hundreds of them are remembered."""


@click.command("demo")
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
@click.option(
    "--trace",
    metavar="FILE",
    help="Store the demo's own handshake in FILE: .json, or .html a page. It holds the secrets.",
)
@verbose_option
def command(
    once: bool,
    port: int | None,
    no_browser: bool,
    classic: bool,
    trace: str | None,
    verbose: int,
) -> None:
    """Watch one handshake, step by step, with real values.

    Makes a certificate authority for this machine, starts a TLS server, connects to it and tells
    what happens. Then the server shows your browser its own handshakes, live, until Ctrl-C.
    """
    trace_path = _trace_path(trace, classic=classic)
    if classic:
        _compare_with_classic(port)
        return
    with ExitStack() as stack:
        stack.enter_context(_stopping_on_signals())
        directory = stack.enter_context(_directory(once=once))
        authority = open_authority(directory)
        with configuration_checked():
            demo = _Demo(authority, authority.credentials(LOCAL_NAMES), verbose)
        listener = _listener(port)
        at = int(listener.getsockname()[1])
        stack.enter_context(_running(demo, listener))
        url = url_of(HOST, at)
        _say(f"Listening on {url}\n")
        try:
            as_told = demo.run(at)
        except OSError as error:
            raise _failed(error) from None
        if trace_path is not None:
            recorder, before = demo.recorders[-1], demo.recorders[0]
            save_trace(recorder, trace_path, "A handshake", demo.explanation(), before)
        if once:
            as_told = _fetch_own_page(demo, at) and as_told
        else:
            _show_browser(url, directory / "ca.pem", open_it=not no_browser)
        if not as_told:
            raise click.exceptions.Exit(FAILED)


def _trace_path(path: str | None, *, classic: bool) -> Path | None:
    if path is None:
        return None
    if classic:
        raise WrongArguments(
            "--classic compares two handshakes and stores none: leave out --trace."
        )
    if path.lower().endswith(CAPTURE_ENDING):
        raise WrongArguments(f"--trace {path}: the demo stores .json and .html.")
    return trace_file(path)


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

    def __init__(
        self, authority: LocalAuthority, credentials: Credentials, detail: int = 0
    ) -> None:
        from handclasp import ClientConfig

        self.authority = authority
        self.credentials = credentials
        self.detail = detail
        # The times shown must be those of handshakes, not of loading code.
        self.client_config: ClientConfig = ClientConfig(
            trust=authority.trust.prepare(), alpn=("http/1.1",)
        )
        self.connections = Connections()
        self.page = ""
        self.told = threading.Event()
        self.recorders: list[Recorder] = []
        self._lock = threading.Condition()
        self._fingerprints: dict[tuple[str, int], str] = {}

    # The server's side: what it observes, and what `live` wants to know of a site

    def connected(self, visit: Visit) -> None:
        """Remember a connection and the fingerprint of this side's keys; tell of browsers."""
        self._add(visit)
        if visit.connection is not None:
            with self._lock:
                self._fingerprints[visit.host, visit.port] = _fingerprint(visit.connection)
                self._lock.notify_all()

    def failed(self, visit: Visit) -> None:
        """Remember a connection that failed."""
        if self.told.is_set() or visit.info is not None:  # Else the refusal, part of the story.
            self._add(visit)
        self.ended(visit)

    def ended(self, visit: Visit) -> None:
        """Note that a connection is gone."""
        self.connections.ended((visit.host, visit.port))
        with self._lock:
            self._fingerprints.pop((visit.host, visit.port), None)

    def answered(self, request: Request) -> None:
        """Do nothing: the pages tell of requests."""

    def remarked(self, text: str) -> None:
        """Tell a sentence of the server."""
        _say(text)

    def _add(self, visit: Visit) -> None:
        self.connections.add(visit, datetime.now().astimezone())
        if self.told.is_set():
            _say("\n".join(wrapped(_visit_line(visit), below="  ")))

    def told_page(self) -> str:
        """Return the page of the demo's own handshake, after it has taken place."""
        self.told.wait(_WAIT_SECONDS)
        return self.page

    def seen_by_server(self, address: tuple[str, int]) -> tuple[Recorder, str]:
        """Return the server's recording of a connection, and its fingerprint; raise `OSError`."""
        with self._lock:
            if not self._lock.wait_for(lambda: address in self._fingerprints, _WAIT_SECONDS):
                raise TimeoutError("the demo's server did not complete the handshake")
            fingerprint = self._fingerprints[address]
        connection = self.connections.at(address)
        if connection is None:
            raise OSError("the demo's server recorded nothing")
        return connection.recorder, fingerprint

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
        self.page = self._own_page()
        _tell(seven_steps(first, second, refused, speed, self.authority.trust), first.diagram)
        self.told.set()
        return holds(first, second)

    def _handshake(self, port: int) -> Handshake:
        import handclasp
        from handclasp.cli.story import Handshake
        from handclasp.story.facts import facts_of
        from handclasp.story.narrate import narrate

        recorder = handclasp.Recorder(record_secrets=True)
        self.recorders.append(recorder)
        with handclasp.connect(
            HOST,
            port,
            self.client_config,
            server_name="localhost",
            timeout=_WAIT_SECONDS,
            trace=recorder,
        ) as tls:
            server_recorder, theirs = self.seen_by_server(_address(tls.getsockname()))
            ours = _fingerprint(tls.connection)
        return Handshake(
            facts_of(recorder.events),
            facts_of(server_recorder.events),
            ours,
            theirs,
            narrate(recorder.events, columns(), self.detail),
        )

    def _own_page(self) -> str:
        """Return the page of the second handshake beside the first, with the client's decision."""
        first, second = self.recorders
        return page_for(second, "The demo's own handshake", self.explanation(), first)

    def explanation(self) -> Explanation | None:
        """Return the explanation of the client's decision on the server's certificate."""
        from handclasp.certificates import explain
        from handclasp.story.facts import facts_of

        info = facts_of(self.recorders[-1].events).info
        if info is None:
            return None
        now = datetime.now(UTC)
        return explain(info.peer_chain_der, "localhost", self.authority.trust, now)

    def _refusal(self, port: int) -> str:
        """Return the client's refusal of the same certificate for another name."""
        import handclasp

        name = "bank.example"
        try:
            handclasp.connect(
                HOST, port, self.client_config, server_name=name, timeout=_WAIT_SECONDS
            ).close()
        except handclasp.CertificateError as error:
            return f"asked to be {name}, the same certificate is refused: {error.fault_name}"
        return f"NOT REFUSED under the name {name}"


@contextmanager
def _directory(*, once: bool) -> Generator[Path]:
    """Yield the authority's directory: temporary with --once, unless HANDCLASP_HOME is set."""
    if once and not os.environ.get("HANDCLASP_HOME"):
        with private_directory("demo") as directory:
            yield directory
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
def _running(demo: _Demo, listener: socket.socket) -> Generator[None]:
    from handclasp import ServerConfig
    from handclasp.cli.live import LivePages
    from handclasp.serving.http import HTTP
    from handclasp.serving.server import Server

    config = ServerConfig(credentials=demo.credentials, alpn=("http/1.1",))
    pages = LivePages(demo, _fingerprint)

    def make() -> Server:
        return Server([listener], config, partial(HTTP, pages), demo, make_trace=_new_recorder)

    with Background(make):
        try:
            yield
        finally:
            demo.connections.changes.end()


@contextmanager
def _stopping_on_signals() -> Generator[None]:
    """Let SIGTERM, as well as Ctrl-C, raise `KeyboardInterrupt` in the main thread.

    A shell starts background jobs with SIGINT ignored, but a server should still end on it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _new_recorder() -> Recorder:
    """Return a recorder with secrets: a browser is only shown those of its own connections."""
    from handclasp import Recorder

    return Recorder(record_secrets=True, limit=_MOST_EVENTS)


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
        for sentence in (
            f"Now your browser: {url} shows it its own handshakes, live and byte by byte.",
            "It warns you unless it trusts the authority that this demo made.",
        ):
            _say("\n".join(wrapped(sentence)))
        _say("")
        _say(trust_advice(authority, port))
        _say("\nCtrl-C ends it.")
        if open_it:
            _open_browser(url)
        while True:  # A signal that another thread gets does not wake this one.
            time.sleep(_WAKE_SECONDS)
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
        return printable(f"A visit from port {visit.port} failed: {visit.error}")
    info = visit.info
    if info is None:
        return ""
    told = f"{info.version}, {info.cipher_suite}, {info.group}, {info.alpn or 'no ALPN'}"
    return printable(f"A visit: {told}" + (", resumed" if info.resumed else ""))


def _address(given: object) -> tuple[str, int]:
    host, port = cast("tuple[str, int]", given)[:2]
    return host, port


def _fingerprint(connection: ClientConnection | ServerConnection) -> str:
    """Return the fingerprint of a value that both sides derive from their keys."""
    from handclasp.cli.story import EXPORTER_LABEL, fingerprint_of

    return fingerprint_of(connection.export_keying_material(EXPORTER_LABEL, None, 32))


def _tell(steps: tuple[Step, ...], diagram: str) -> None:
    from handclasp.cli.report import print_story

    for number, step in enumerate(steps, 1):
        print_story(f"{number}. {step.title}", step.telling, step.values)
    _say("The same handshake, message by message:\n")
    _say(diagram)


@contextmanager
def _working(what: str) -> Generator[None]:
    """Show progress in a terminal; nothing in a pipe."""
    if not sys.stdout.isatty():
        yield
        return
    from rich.console import Console

    with Console().status(f"{what}..."):
        yield


def _say(text: str) -> None:
    click.echo(text)
    sys.stdout.flush()
