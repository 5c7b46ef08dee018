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
from typing import Any, NoReturn

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


def serve_in_processes(
    listeners: Sequence[socket.socket], make: Callable[[socket.socket], Server]
) -> None:
    """A server in a process of its own for each listener, until a signal; if one ends, all do."""
    workers: list[int] = []
    # Workers read from it, and come to its end when this process is gone, however it ended.
    reader, writer = os.pipe()
    try:
        with stopping_on_signals():
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
    finally:
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        for pid in workers:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)


def _work(
    listener: socket.socket,
    listeners: Sequence[socket.socket],
    make: Callable[[socket.socket], Server],
    parent: int,
) -> NoReturn:
    status = 1
    try:
        for other in listeners:
            if other is not listener:
                other.close()
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
        server = make(listener)
        with suppress(KeyboardInterrupt), stopping_on_signals():
            server.serve_forever()
        server.close()
        status = 0
    finally:
        os._exit(status)  # Nothing of the parent's is to be cleaned up here.


def _keep_to_a_core(number: int) -> None:
    """The `number`th of those that this process may use, where the system knows such a thing."""
    if sys.platform == "linux":
        cores = sorted(os.sched_getaffinity(0))
        with suppress(OSError):
            os.sched_setaffinity(0, {cores[number % len(cores)]})


def _end_with(parent: int) -> None:
    os.read(parent, 1)
    os.kill(os.getpid(), signal.SIGTERM)
