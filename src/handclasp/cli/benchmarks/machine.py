"""Measurements of one process: configs, imports, idle connections, servers under load.

This module also runs as a process of its own (`python -m handclasp.cli.benchmarks.machine ...`):
memory is measured in one that does nothing else, and servers and their clients are processes.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from handclasp import ClientConfig
from handclasp.cli.benchmarks.measure import Action, Measured, Row
from handclasp.cli.benchmarks.stacks import (
    NAME,
    Handclasp,
    Identity,
    LibraryFactory,
    OwnFactory,
    Setup,
    Stack,
    StandardLibrary,
    handshake,
)

IDLE_CONNECTIONS = 2000
LOAD_SECONDS = 4.0
CLIENTS = 8
MEMORY_TARGET = 0.35
"""Bytes per idle connection, as part of what `ssl` takes."""

_THIS = "handclasp.cli.benchmarks.machine"


def config_rows() -> Iterator[Row]:
    """Return the costs of a config, and of the import of the library."""
    yield Row(
        "start",
        "a client's config with the system's authorities",
        {
            "handclasp": Action(lambda _: ClientConfig() and None),
            "ssl": Action(lambda _: ssl.create_default_context() and None),
        },
    )
    yield Row(
        "start",
        "a fresh interpreter with the import",
        {
            # Names are imported when they are used: these need all that sockets need.
            "handclasp": Action(lambda _: _python("from handclasp import connect, wrap_server")),
            "ssl": Action(lambda _: _python("import socket, ssl")),
        },
        floor=Action(lambda _: _python("pass")),
        in_a_row=1,
    )


def memory(identity: Identity, connections: int = IDLE_CONNECTIONS) -> Measured:
    """Resident memory of an idle connection's end, in kilobytes."""
    used: dict[str, float] = {}
    for name in ("handclasp", "ssl"):
        told = _tell(["idle", name, str(connections), *_files(identity)])
        used[name] = told["bytes"] / 1024
    return Measured(
        "memory",
        f"an end of one of {connections} idle connections",
        used,
        used,
        targets={"ssl": 1 / MEMORY_TARGET},
        unit="KB",
        rounds=1,
    )


def throughput(identity: Identity, seconds: float = LOAD_SECONDS) -> Iterator[Measured]:
    """Full handshakes a second of a server with one process and with two, and what one costs it.

    Where clients and servers share the cores, the rate is as much the clients' as the server's; its
    own processor time is not.
    """
    for workers in (1, 2):
        loads = {name: _load_on(name, workers, identity, seconds) for name in ("handclasp", "ssl")}
        rates = {name: each.done / seconds for name, each in loads.items()}
        if workers == 1:
            costs = {name: 1e6 * each.server_seconds / each.done for name, each in loads.items()}
            name = "a server's processor time for a full handshake"
            yield Measured("servers", name, costs, costs, rounds=1)
        yield Measured(
            "servers",
            f"full handshakes a second, {workers} process{'es' * (workers - 1)}",
            rates,
            rates,
            unit="1/s",
            more_is_better=True,
            rounds=1,
        )


def threads(identity: Identity, seconds: float = LOAD_SECONDS) -> Iterator[Measured]:
    """Return the gain of two threads over one: both ends, in memory."""
    setup = Setup(identity)
    own, library = Handclasp().factory(setup), StandardLibrary("ssl", ssl, "").factory(setup)
    for count in (1, 2):
        rates = {
            name: _in_threads(partial(handshake, factory), count, seconds / 2)
            for name, factory in (("handclasp", own), ("ssl", library))
        }
        yield Measured(
            "servers",
            f"handshakes a second in memory, {count} thread{'s' * (count - 1)}",
            rates,
            rates,
            unit="1/s",
            more_is_better=True,
            rounds=1,
        )


def _in_threads(work: Callable[[], object], count: int, seconds: float) -> float:
    done = [0] * count
    deadline = time.perf_counter() + seconds

    def run(number: int) -> None:
        while time.perf_counter() < deadline:
            work()
            done[number] += 1

    running = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    return sum(done) / seconds


@dataclass(frozen=True, slots=True)
class _Load:
    """Handshakes of all clients, and the server's processor time for them, if it is one process."""

    done: int
    server_seconds: float


def _load_on(name: str, workers: int, identity: Identity, seconds: float) -> _Load:
    command = [sys.executable, "-m", _THIS, "serve", name, str(workers), *_files(identity)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            ready: dict[str, Any] = json.loads(server.stdout.readline()) if server.stdout else {}
            arguments = ["load", str(ready["port"]), str(seconds), str(identity.ca_path)]
            clients = [
                subprocess.Popen(  # noqa: S603
                    [sys.executable, "-m", _THIS, *arguments], stdout=subprocess.PIPE, text=True
                )
                for _ in range(CLIENTS)
            ]
            told = [int(json.loads(each.communicate()[0])["done"]) for each in clients]
        finally:
            used = _end(server)
    return _Load(sum(told), used - ready["used"])


def _end(server: subprocess.Popen[str]) -> float:
    """End it; gives its processor time in seconds."""
    server.terminate()
    _, status, used = os.wait4(server.pid, 0)
    server.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


def _files(identity: Identity) -> list[str]:
    return [str(identity.ca_path), str(identity.chain_path), str(identity.key_path)]


def _python(code: str) -> None:
    # Compiled once, as after an installation, whatever this shell says.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)  # noqa: S603


def _tell(arguments: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", _THIS, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _main(what: str, *arguments: str) -> None:
    """Run one measurement in a process of its own."""
    if what == "idle":
        _idle(arguments[0], int(arguments[1]), _identity(*arguments[2:]))
    elif what == "serve":
        _serve(arguments[0], int(arguments[1]), _identity(*arguments[2:]))
    else:
        _load(int(arguments[0]), float(arguments[1]), arguments[2])


def _identity(ca: str, chain: str, key: str) -> Identity:
    paths = Path(ca), Path(chain), Path(key)
    return Identity(
        "ecdsa-p256", paths[0].read_bytes(), paths[1].read_bytes(), paths[2].read_bytes(), *paths
    )


def _idle(name: str, connections: int, identity: Identity) -> None:
    stack: Stack = Handclasp() if name == "handclasp" else StandardLibrary("ssl", ssl, "")
    factory = stack.factory(Setup(identity))
    kept = [handshake(factory) for _ in range(20)]
    before = _resident()
    kept += [handshake(factory) for _ in range(connections)]
    print(json.dumps({"bytes": (_resident() - before) / connections / 2}))


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _serve(name: str, workers: int, identity: Identity) -> None:
    """Accept, shake hands, and wait for the client to go: one process for each worker."""
    listeners: list[socket.socket] = []
    for _ in range(workers):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", listeners[0].getsockname()[1] if listeners else 0))
        listener.listen(128)
        listeners.append(listener)
    accept = _acceptor(name, identity)
    ready = {"port": listeners[0].getsockname()[1], "used": time.process_time()}
    print(json.dumps(ready), flush=True)
    parent = os.getpid()
    for listener in listeners[1:]:
        if not os.fork():
            threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
            _accept_forever(listener, accept)
    _accept_forever(listeners[0], accept)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(0)


def _accept_forever(listener: socket.socket, accept: Callable[[socket.socket], Any]) -> None:
    while True:
        sock, _ = listener.accept()
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                accept(sock).recv(1)
            except OSError:
                continue


def _acceptor(name: str, identity: Identity) -> Callable[[socket.socket], Any]:
    setup = Setup(identity)
    if name == "handclasp":
        import handclasp

        config = OwnFactory(setup).server_config
        return lambda sock: handclasp.wrap_server(sock, config)
    _, server = LibraryFactory(ssl, setup).contexts
    return lambda sock: server.wrap_socket(sock, server_side=True)


def _load(port: int, seconds: float, ca_path: str) -> None:
    """Full handshakes with `ssl`, which every server gets alike."""
    context = ssl.create_default_context(cafile=ca_path)
    done = 0
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with context.wrap_socket(sock, server_hostname=NAME):
                done += 1
    print(json.dumps({"done": done}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
