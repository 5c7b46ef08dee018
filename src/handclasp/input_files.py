"""Files that are read as a whole, without waiting for ever where one is a pipe.

To open a pipe waits for a writer, and to read it waits for what that one writes. A certificate that
a running server reads again may have become a pipe meanwhile, and would stop its event loop.

A pipe that somebody is writing to is read to its end, so that `--cert <(command)` and `/dev/stdin`
work, but it cannot be read twice: what is read again must be a regular file.

>>> from handclasp.input_files import read_input, read_regular
>>> read_input("chain.pem", most=1 << 20) == read_regular("chain.pem")
True
"""

from __future__ import annotations

import errno
import os
import stat

PIPE_SECONDS = 30
"""The seconds for which the writer of a pipe may pause."""

_FLAGS = (
    os.O_RDONLY
    # Without it, opening a pipe would wait for a writer.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_CHUNK = 1 << 16

_Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def read_regular(path: _Path, *, most: int | None = None) -> bytes:
    """Return the bytes of a regular file, and never wait for another program.

    Of a longer file than `most` bytes, one byte more than these is returned.

    Raises:
        OSError: it cannot be read, or is a pipe, a device or a directory.
    """
    descriptor = _opened(path)
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            why = f"it is {kind_unless_file(mode)}, not a file"
            raise OSError(errno.EINVAL, why, os.fsdecode(path))
        return file.read(-1 if most is None else most + 1)


def read_input(path: _Path, *, most: int | None = None) -> bytes:
    """Return the bytes of a regular file, of a pipe or terminal up to its end, or of /dev/null.

    Of a longer file than `most` bytes, one byte more than these is returned.

    Raises:
        OSError: it cannot be read, or is another device, or a directory; the pipe is empty, and
            nobody writes to it; or its writer pauses for `PIPE_SECONDS`.
    """
    descriptor = _opened(path)
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(mode):
            return _read_pipe(descriptor, path, most)
        if not stat.S_ISREG(mode):
            if not (os.isatty(descriptor) or _is_empty_device(descriptor)):
                why = f"it is {kind_unless_file(mode)}"
                raise OSError(errno.EINVAL, why, os.fsdecode(path))
            os.set_blocking(descriptor, True)
        return file.read(-1 if most is None else most + 1)


def kind_unless_file(mode: int) -> str:
    """Return what a path with this `st_mode` names if that is no regular file: "a pipe" etc."""
    if stat.S_ISREG(mode):
        return ""
    kinds = (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((name for holds, name in kinds if holds(mode)), "a special file")


def is_read_once(mode: int) -> bool:
    """Return whether a file with this `st_mode` gives its content away: a pipe, or a device."""
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _opened(path: _Path) -> int:
    descriptor = os.open(path, _FLAGS)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fsdecode(path))
    return descriptor


def _read_pipe(descriptor: int, path: _Path, most: int | None) -> bytes:
    """Read until the last writer has closed the pipe; one that has none is at its end at once."""
    data = bytearray()
    while most is None or len(data) <= most:
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            import select

            waiter = select.poll()
            waiter.register(descriptor, select.POLLIN)
            if waiter.poll(PIPE_SECONDS * 1000):
                continue
            why = f"the writer of this pipe paused for {PIPE_SECONDS} seconds"
            raise TimeoutError(errno.ETIMEDOUT, why, os.fsdecode(path)) from None
        if not chunk:
            break
        data += chunk
    if not data:
        raise OSError(
            errno.EINVAL, "it is an empty pipe, and nobody writes to it", os.fsdecode(path)
        )
    return bytes(data if most is None else data[: most + 1])


def _is_empty_device(descriptor: int) -> bool:
    return os.path.samestat(os.fstat(descriptor), os.stat(os.devnull))
