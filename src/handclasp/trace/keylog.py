"""The file of SSLKEYLOGFILE lines (RFC 9850), to which many connections append.

>>> from handclasp.trace.keylog import open_keylog
>>> keylog = open_keylog("keys.log")
>>> handclasp.connect("example.com", 443, ClientConfig(keylog=keylog)).close()
>>> with open("keys.log") as file:
...     file.readline().split()[0]
'CLIENT_HANDSHAKE_TRAFFIC_SECRET'
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

from handclasp.errors import check_path_text, path_errors
from handclasp.private_files import append_private
from handclasp.process import ProcessLock


def open_keylog(path: str | os.PathLike[str]) -> Callable[[str], None]:
    """Return a callable that appends a line, which it gets without a line end, to a file.

    Only its owner can read the file: an existing one that others could read is made private. Lines
    stay whole even if several threads or processes write at once. The file is closed when the
    callable is no longer referenced.

    Raises:
        ConfigurationError: the file cannot be opened for writing, is a symbolic link, has another
            name (a hard link), or belongs to another user.
    """
    name = os.fsdecode(path)
    check_path_text(name, "The key log")
    with path_errors(f"write the key log {name}"):
        return _KeyLogFile(append_private(path), name)


class _KeyLogFile:
    __slots__ = ("__weakref__", "_descriptor", "_is_torn", "_lock", "_name")

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._lock = ProcessLock()
        self._is_torn = False
        weakref.finalize(self, os.close, descriptor)

    def __call__(self, line: str) -> None:
        """Append one line; raise `OSError` with the name of the file if it cannot be written."""
        # Each line is one write: with O_APPEND, lines of other processes cannot split it.
        rest = memoryview(f"\n{line}\n".encode("ascii"))
        del line  # No traceback must show it: it holds a secret.
        with self._lock:
            if not self._is_torn:
                rest = rest[1:]
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
                    # If the disk is full now, the next line must not continue this one.
                    self._is_torn = bool(rest)
            except OSError as error:
                error.filename = self._name
                raise
