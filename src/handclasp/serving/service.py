"""The service manager of a server: it passes sockets, and hears of states (systemd)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from handclasp.adapters.progress import is_listening

_FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START: the first of the sockets that are passed."""


def notify(*states: str) -> None:
    """Tell the service manager a state, such as "READY=1"; without one, do nothing.

    See sd_notify(3). It must come from the main process.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):  # An abstract name.
        address = "\0" + address[1:]
    # The manager may be gone, and the server goes on.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto("\n".join(states).encode(), address)


def notify_reloading() -> None:
    """Tell that the settings are read again; `notify("READY=1")` ends that."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


class StatusLine:
    """The status of a service, which its manager hears again whenever it has changed.

    Args:
        status: returns it, as a sentence.
    """

    def __init__(self, status: Callable[[], str]) -> None:
        self._status = status
        self._told = ""

    def tell(self, *states: str) -> None:
        """Tell states, and the status now."""
        self._told = self._status()
        notify(*states, f"STATUS={self._told}")

    def look(self) -> None:
        """Tell the status if it has changed."""
        if self._status() != self._told:
            self.tell()


def inherited_listeners() -> list[socket.socket]:
    """Return the listening sockets that were passed (sd_listen_fds(3)), once; none without any.

    Raises:
        OSError: a descriptor that was announced is not a listening socket.
    """
    count, pid = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if not count.isdecimal() or pid != str(os.getpid()):
        return []
    found: list[socket.socket] = []
    for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)):
        os.set_inheritable(number, False)
        sock = socket.socket(fileno=number)
        if not _accepts_streams(sock):
            raise OSError(
                f"descriptor {number} is not a listening socket of TCP or UNIX streams, as "
                "ListenStream= makes one with Accept=no"
            )
        found.append(sock)
    return found


def _accepts_streams(sock: socket.socket) -> bool:
    families = (socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_UNIX", None))
    return sock.family in families and sock.type == socket.SOCK_STREAM and is_listening(sock)
