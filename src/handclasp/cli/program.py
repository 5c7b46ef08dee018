"""A program that `watch` starts, in an environment where its TLS is seen."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from handclasp.cli.output import Output

_IS_POSIX = os.name == "posix"
_KILL: int = getattr(signal, "SIGKILL", signal.SIGTERM)
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_NO_PROXY_VARIABLES = ("NO_PROXY", "no_proxy")
_PATIENCE_SECONDS = (3.0, 2.0)
"""The seconds that a program has to end after the first signal, and after SIGTERM."""
NOT_FOUND, NOT_RUNNABLE = 127, 126
"""The exit statuses of a shell for a program that is not there, and for one that cannot be run."""


AUTHORITY_VARIABLES = (
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "DENO_CERT",
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
)
"""The variables that name authorities to programs, in place of all others; Node adds its own."""


def environment_of(
    proxy_port: int, *, keylog: Path | None = None, authority: Path | None = None
) -> dict[str, str]:
    """Return the environment in which a program uses the proxy, and logs its secrets or trusts
    an authority.
    """
    environment = dict(os.environ)
    for name in _NO_PROXY_VARIABLES:
        environment.pop(name, None)
    for name in _PROXY_VARIABLES:
        environment[name] = f"http://127.0.0.1:{proxy_port}"
    if keylog is not None:
        environment["SSLKEYLOGFILE"] = str(keylog)
    if authority is not None:
        environment.update(dict.fromkeys(AUTHORITY_VARIABLES, str(authority)))
    return environment


class Signals:
    """The signals that ask this process to end: none ends it before it has cleared up.

    They go to the one who has asked for them last; until then they wait.
    """

    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._take: Callable[[int], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if _IS_POSIX:
            numbers.append(signal.SIGHUP)
        # Handlers of asyncio would end with the event loop, and files are removed after that.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *about: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def going_to(self, take: Callable[[int], None]) -> Generator[None]:
        """Call `take` in the running event loop with each signal, also those that came before."""
        self._loop, self._take = asyncio.get_running_loop(), take
        for number in self._waiting:
            take(number)
        try:
            yield
        finally:
            self._take = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._take is None or self._loop is None:
            self._waiting.append(number)
        else:
            self._loop.call_soon_threadsafe(self._take, number)


class Program:
    """The program: it runs until its end, and gets the signals that this process gets.

    Where standard input is a terminal, it stays in the foreground group of processes, to which the
    terminal sends Ctrl-C; otherwise it gets a group of its own, which is ended as a whole.

    Attributes:
        was_signalled: whether it was asked to end by a signal that this process got.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._has_own_group = _IS_POSIX and not sys.stdin.isatty()
        self._signals: asyncio.Queue[int] = asyncio.Queue()
        self._process: asyncio.subprocess.Process | None = None
        self.was_signalled = False

    async def run(self, *, output_to_errors: bool = False) -> int:
        """Run the program, and return its exit status, as a shell has it."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                stdout=sys.stderr if output_to_errors else None,
                process_group=0 if self._has_own_group else None,
            )
        except FileNotFoundError:
            Output(sys.stderr).write(f"handclasp: there is no program {self._command[0]}.")
            return NOT_FOUND
        except OSError as error:
            why = error.strerror or error
            Output(sys.stderr).write(f"handclasp: cannot run {self._command[0]}: {why}.")
            return NOT_RUNNABLE
        ending = asyncio.create_task(self._end_on_signals())
        try:
            status = await self._process.wait()
        finally:
            ending.cancel()
            if self._process.returncode is None:
                self._send(_KILL)
        if self._has_own_group and self.was_signalled:
            # What it has started does not outlive it.
            self._send(_KILL)
        return status if status >= 0 else 128 - status

    def signal(self, number: int) -> None:
        """End the program by a signal that this process got."""
        self._signals.put_nowait(number)

    async def _end_on_signals(self) -> None:
        """Hand on the first signal; end a program that stays, and at once on a second one."""
        number = await self._signals.get()
        self.was_signalled = True
        for then, seconds in zip((number, signal.SIGTERM), _PATIENCE_SECONDS, strict=True):
            self._send(then)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._signals.get(), seconds)
                break
        self._send(_KILL)

    def _send(self, number: int) -> None:
        if self._process is None:
            return
        if not _IS_POSIX:
            # The console gives Ctrl-C to the program itself, and there are no other signals.
            if number != signal.SIGINT:
                self._process.kill()
            return
        with suppress(ProcessLookupError, PermissionError):
            if self._has_own_group:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
