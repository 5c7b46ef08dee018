"""Writing and reading records, in memory, per side.

The other side is always a server of this library, with which each client agrees on the suite of
the row: `ssl` cannot choose a suite of TLS 1.3 by itself. What is read was sealed beforehand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from handclasp.cli.benchmarks.measure import Action, Row
from handclasp.cli.benchmarks.stacks import End, Handclasp, Identity, Setup, Stack, connect_ends

SIZES = (100, 1024, 16_384, 262_144)
SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
MANY = 64

_WRITE_TARGETS = {100: 1.1, 1024: 1.1, 16_384: 1.7, 262_144: 1.7}
_READ_TARGETS = {100: 1.0, 1024: 1.0, 16_384: 1.6, 262_144: 1.6}


def rows(stacks: Sequence[Stack], identity: Identity, *, quick: bool = False) -> Iterator[Row]:
    """Each size with each suite, and many small records in one buffer."""
    for suite in SUITES[1:2] if quick else SUITES:
        setup = Setup(identity, suite=suite)
        for size in SIZES:
            name = f"{_named(size)}, {suite.removeprefix('TLS_').rpartition('_')[0]}"
            yield Row(
                "records",
                f"write {name}",
                {stack.name: _write(stack, setup, size) for stack in stacks},
                _sealing(suite, size),
                {"ssl": _WRITE_TARGETS[size]},
            )
            yield Row(
                "records",
                f"read {name}",
                {stack.name: _read(stack, setup, size) for stack in stacks},
                _opening(suite, size),
                {"ssl": _READ_TARGETS[size]},
            )
    setup = Setup(identity, suite=SUITES[1])
    actions = {stack.name: _read(stack, setup, 100, MANY) for stack in stacks}
    name = f"read {MANY} records of 100 B in one buffer"
    yield Row("records", name, actions, _opening(SUITES[1], 100, MANY), {"ssl": 1.0})


def _named(size: int) -> str:
    return f"{size // 1024} KB" if size >= 1024 else f"{size} B"


def _ends(stack: Stack, setup: Setup) -> tuple[End, End]:
    client, server = stack.factory(setup).client(), Handclasp().factory(setup).server()
    connect_ends(client, server)
    return client, server


def _write(stack: Stack, setup: Setup, size: int) -> Action:
    client, _ = _ends(stack, setup)
    data = os.urandom(size)
    return Action(lambda _: client.write(data) and None)


def _read(stack: Stack, setup: Setup, size: int, count: int = 1) -> Action:
    client, server = _ends(stack, setup)
    data = os.urandom(size)

    def prepare() -> bytes:
        return b"".join([bytes(server.write(data)) for _ in range(count)])

    def run(sealed: Any) -> None:
        if client.read(sealed, size * count) != size * count:
            raise RuntimeError("data was lost")

    return Action(run, prepare)


def _cipher(suite: str) -> Any:
    if "CHACHA20" in suite:
        return ChaCha20Poly1305(bytes(32))
    return AESGCM(bytes(32 if "256" in suite else 16))


def _pieces(size: int) -> list[int]:
    return [min(2**14, size - at) + 1 for at in range(0, size, 2**14)]


def _sealing(suite: str, size: int) -> Action:
    cipher, pieces = _cipher(suite), [bytes(each) for each in _pieces(size)]

    def run(_: Any) -> None:
        for piece in pieces:
            cipher.encrypt(b"nonce of 12.", piece, b"head.")

    return Action(run)


def _opening(suite: str, size: int, count: int = 1) -> Action:
    cipher = _cipher(suite)
    pieces = [cipher.encrypt(b"nonce of 12.", bytes(each), b"head.") for each in _pieces(size)]
    pieces *= count

    def run(_: Any) -> None:
        for piece in pieces:
            cipher.decrypt(b"nonce of 12.", piece, b"head.")

    return Action(run)
