"""The calls on an `ssl.SSLSocket` of a context of handclasp."""

from __future__ import annotations

import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

from tests.compat.pairs import Files, client_context, server_context
from tests.pki import Pki
from tests.schedules.calls import ENDINGS, OTHERS, READERS, unwrapping
from tests.schedules.schedule import Kind, Schedule

from handclasp import ClientConfig, ServerConfig
from handclasp.compat import link, transport

_BUSY = "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"


def compat(pki: Pki) -> Kind:
    """Return what threads do with an `SSLSocket`."""
    with tempfile.TemporaryDirectory() as directory:
        files = Files(pki, Path(directory))
        client, server = client_context("handclasp", files), server_context("handclasp", files)

    def wrap(sock: socket.socket, is_client: bool, at_once: bool) -> ssl.SSLSocket:
        name = "localhost" if is_client else None
        context = client if is_client else server
        return context.wrap_socket(
            sock,
            server_side=not is_client,
            server_hostname=name,
            do_handshake_on_connect=at_once,
        )

    return Kind(
        ClientConfig(trust=pki.trust),
        ServerConfig(credentials=pki.server("localhost")),
        wrap,
        readers=READERS,
        others=OTHERS | {"pending": _look},
        endings=ENDINGS | {"unwrap": _unwrap},
        # `ssl` itself looks twice at a connection that another thread may end in between.
        expected=(OSError, ValueError, AttributeError),
        files=frozenset({link.__file__, transport.__file__, ssl.__file__}),
    )


def _look(schedule: Schedule, tls: Any, size: int) -> None:
    tls.do_handshake()
    for _ in range(5):
        tls.pending()
        repr(tls)
        tls.get_channel_binding()
        tls.getpeercert()


_unwrap = unwrapping(lambda error: isinstance(error, ssl.SSLError) and error.reason == _BUSY)
