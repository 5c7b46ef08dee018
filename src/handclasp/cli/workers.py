"""`serve --workers N`: several processes on one port, where one cannot use more than one core.

Python runs one thread at a time, so a server that is busy with handshakes gains nothing from
threads. Each process has a socket of its own on the port (SO_REUSEPORT), and the system divides the
clients among them. They are forked when everything is built, so that each resumes the others'
clients: all ticket keys, later ones too, are derived from what was drawn before the fork. Each
keeps to one core: its threads take turns, and where each turn is on another core, they take up to a
third longer (docs/performance.md).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

import click

from handclasp.cli.outcome import WrongArguments
from handclasp.cli.server import Server, stopping_on_signals

_LOOK_SECONDS = 0.2
_ALONE = {
    "trace": "--trace records in one process: leave out --workers.",
    "early_data": (
        "--early-data needs one memory of what has come before, or the same request could be sent "
        "to each worker once: leave out --workers."
    ),
}


def check_workers(options: dict[str, Any]) -> None:
    """Refuse what several processes cannot honour. Raises `WrongArguments`."""
    if not hasattr(socket, "SO_REUSEPORT") or not hasattr(os, "fork"):
        raise WrongArguments("--workers needs a system with fork and SO_REUSEPORT.")
    for name, sentence in _ALONE.items():
        if options[name]:
            raise WrongArguments(sentence)


def tell_of_waiting(count: int) -> None:
    """Say that so many connections are being finished, and how to end them."""
    what = "a connection" if count == 1 else f"{count} connections"
    with suppress(OSError, ValueError):
        click.echo(f"Finishing {what}; Ctrl-C again ends at once.", err=True)


def serve_in_processes(
    listeners: Sequence[socket.socket], make: Callable[[socket.socket], Server]
) -> None:
    """Run a server in a process of its own for each listener, until a signal; if one ends, all do.

    The first signal lets them finish, the second one ends them at once.
    """
    workers: list[int] = []
    # Workers read from it, and come to its end when this process is gone, however it ended.
    reader, writer = os.pipe()
    try:
        with stopping_on_signals():
            try:
                for number, listener in enumerate(listeners):
                    pid = os.fork()
                    if not pid:
                        os.close(writer)
                        _keep_to_a_core(number)
                        _work(listener, listeners, make, reader)
                    workers.append(pid)
                for listener in listeners:
                    listener.close()
                while not any(os.waitpid(pid, os.WNOHANG)[0] for pid in workers):
                    time.sleep(_LOOK_SECONDS)
            except KeyboardInterrupt:
                pass
            for pid in workers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            _wait_for(workers)
    except KeyboardInterrupt:
        pass
    finally:
        os.close(writer)
        _wait_for(workers)
        os.close(reader)


def _wait_for(workers: Sequence[int]) -> None:
    for pid in workers:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _work(
    listener: socket.socket,
    listeners: Sequence[socket.socket],
    make: Callable[[socket.socket], Server],
    parent: int,
) -> NoReturn:
    status = 1
    try:
        # Ctrl-C comes to every process of the terminal, and this one hears of it from its parent.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for other in listeners:
            if other is not listener:
                other.close()
        server = make(listener)
        threading.Thread(target=_end_with, args=(parent, server), daemon=True).start()
        try:
            signal.signal(signal.SIGTERM, _finish)
            server.serve_forever()
        except KeyboardInterrupt:
            server.finish(tell_of_waiting)
        server.close()
        status = 0
    finally:
        os._exit(status)  # Nothing of the parent's is to be cleaned up here.


def _finish(number: int, frame: FrameType | None) -> None:
    """Once: a service manager sends SIGTERM to every process, and so does the parent."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _keep_to_a_core(number: int) -> None:
    """Bind this process to the `number`th of its cores, if the system supports that."""
    if sys.platform == "linux":
        cores = sorted(os.sched_getaffinity(0))
        with suppress(OSError):
            os.sched_setaffinity(0, {cores[number % len(cores)]})


def _end_with(parent: int, server: Server) -> None:
    """End at once when the parent has gone, or wants no finishing any more."""
    os.read(parent, 1)
    server.close()
    os._exit(0)
