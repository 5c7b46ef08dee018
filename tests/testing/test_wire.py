"""The socket of a faulty peer."""

from __future__ import annotations

import fcntl
import resource
import socket
from threading import Event

import pytest

from handclasp.testing.wire import Wire


def test_a_descriptor_that_select_does_not_take() -> None:
    """A test run with more than a thousand open files has such."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1200:
        pytest.skip("this process may not open so many files")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        high = socket.socket(fileno=fcntl.fcntl(ours.fileno(), fcntl.F_DUPFD, 1100))
        with high:
            wire = Wire(high, 5, Event())
            assert not wire.has_news()
            theirs.sendall(b"x")
            assert wire.has_news()
            assert wire.receive() == b"x"
            theirs.close()
            assert wire.has_news()
            assert wire.receive() == b""
