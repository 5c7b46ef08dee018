"""The threads of `handclasp serve`, where a signal comes at the worst moment."""

from __future__ import annotations

import socket
import threading

import pytest
from tests.pki import Pki

from handclasp import ServerConfig
from handclasp.cli.server import Server, listen


@pytest.mark.parametrize("ending", ["finish", "close"])
def test_an_interrupt_while_a_thread_starts(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """Ctrl-C in the moment in which a client comes: its thread was never begun, so none waits."""

    def interrupted(_: threading.Thread) -> None:
        raise KeyboardInterrupt

    server = Server(
        listen("127.0.0.1", 0),
        ServerConfig(credentials=Pki().server()),
        lambda tls, address: None,
        lambda visit: None,
    )
    with socket.create_connection(("127.0.0.1", server.port)):
        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            server.serve_forever()
        if ending == "finish":
            server.finish(lambda count: None)
        server.close()
    for sock in list(server._open):
        server._forget(sock)
