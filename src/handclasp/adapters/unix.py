"""UNIX sockets to listen on, bound as asyncio binds them."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Callable
from contextlib import suppress

from handclasp.adapters.arguments import StrPath


def bind_unix(path: StrPath) -> socket.socket:
    """Return a socket that is bound to `path`. A socket that is there already is removed."""
    if sys.platform == "win32":
        raise NotImplementedError("This system has no UNIX sockets.")
    place = os.fspath(path)
    if not _is_abstract(place):
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(place).st_mode):
                os.remove(place)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(place)
    except BaseException:
        sock.close()
        raise
    return sock


def removal_of(sock: socket.socket) -> Callable[[], None]:
    """Return what removes the file of a bound socket, if it is still this one's."""
    place = sock.getsockname()
    if not place or _is_abstract(place):
        return lambda: None
    bound = _inode(place)

    def remove() -> None:
        if bound is not None and _inode(place) == bound:
            with suppress(OSError):
                os.unlink(place)

    return remove


def _is_abstract(place: str | bytes) -> bool:
    """Return whether a name is no file: on Linux, such names begin with a zero byte."""
    return place[:1] in ("\0", b"\0")


def _inode(place: str | bytes) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.stat(place)
        return found.st_dev, found.st_ino
    return None
