"""The bars of sockets: frames of this library for a write and a read of one record."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.pairs import Aside, tls_pair
from tests.compat.pairs import Files, client_context, server_context
from tests.hops.counts import Meeting, calls_of
from tests.pki import Pki

import handclasp
from handclasp.speedups import ACCELERATED

_SOURCE = str(Path(handclasp.__file__).parent)
_WARM = 5

pytestmark = pytest.mark.skipif(not ACCELERATED, reason="the bars are for records in C")


def frames_of(call: Callable[[], object]) -> int:
    """How many frames of the library a call enters; the first calls import, and are not counted."""
    return sum(count for (file, _), count in calls_of(call).items() if file.startswith(_SOURCE))


def frames_of_an_echo(near: Any, far: Any, data: bytes) -> tuple[int, int]:
    """Frames of a write, and of the read at the other end."""
    for sender, receiver in ((near, far), (far, near)) * _WARM:
        sender.sendall(data)
        assert receiver.recv(len(data)) == data
    wrote = frames_of(lambda: near.sendall(data))
    return wrote, frames_of(lambda: far.recv(len(data)))


@contextmanager
def compat_pair(files: Files) -> Iterator[tuple[Any, Any]]:
    server, client = server_context("handclasp", files), client_context("handclasp", files)
    left, right = socket.socketpair()
    for sock in (left, right):
        sock.settimeout(20)
    with left, right:
        accepting = Aside(lambda: server.wrap_socket(right, server_side=True))
        near = client.wrap_socket(left, server_hostname="localhost")
        with near, accepting.result() as far:
            for sock in (near, far):
                sock.settimeout(None)
            yield near, far


@pytest.mark.parametrize("size", [100, 2**14])
def test_of_this_library(size: int) -> None:
    meeting = Meeting()
    with tls_pair(meeting.client, meeting.server) as (near, far):
        for end in (near, far):
            end.settimeout(None)
        wrote, read = frames_of_an_echo(near, far, bytes(size))
    assert wrote <= 5
    assert read <= 7


@pytest.mark.parametrize("size", [100, 2**14])
def test_of_the_look_alike_of_ssl(tmp_path: Path, size: int) -> None:
    with compat_pair(Files(Pki(), tmp_path)) as (near, far):
        wrote, read = frames_of_an_echo(near, far, bytes(size))
    assert wrote <= 7
    assert read <= 5
