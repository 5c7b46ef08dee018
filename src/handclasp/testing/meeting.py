"""One connection of a faulty server with the client under test, and what comes of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from handclasp.adapters.sockets import wrap_server
from handclasp.certificates.credentials import Credentials
from handclasp.config import ServerConfig
from handclasp.errors import PeerAlertError, ProtocolError
from handclasp.faults import Fault
from handclasp.testing.catalogue import PeerFault
from handclasp.testing.chains import Chain
from handclasp.testing.outcome import MAX_DATA, Outcome, Result, refusal_in
from handclasp.testing.servers import NotTLS, ServerPeer
from handclasp.testing.wire import FLOOD, FLOOD_BATCH, Wire

Answer = Callable[[bytes], bytes | None]
"""Returns the answer to the application data so far; None if more has to come."""

FLOODS = ("endless-tickets", "key-update-storm")
"""The faults whose end a client has to endure before it is served."""


_NOTHING_SHARED = (
    Fault.NO_SHARED_VERSION,
    Fault.NO_SHARED_CIPHER_SUITE,
    Fault.NO_SHARED_GROUP,
    Fault.NO_SHARED_SIGNATURE_SCHEME,
)


class ServerMeeting:
    """A faulty server that serves one client.

    Args:
        answer: returns what a client gets that has no objection.
    """

    def __init__(
        self, fault: PeerFault, chains: Sequence[Chain], wire: Wire, answer: Answer
    ) -> None:
        self._fault = fault
        self._wire = wire
        self._answer = answer
        self._peer = ServerPeer(fault, *chains)
        self._flooded = fault.name not in FLOODS
        self._served = False
        self._speaks_tls = True
        self._trouble = ""

    def outcome(self) -> Outcome:
        """Talk until the client has refused or left, or the time is up."""
        try:
            self._talk()
        except NotTLS:
            self._speaks_tls = False
        except Exception as error:  # A client may send anything, and the scripts check little.
            self._trouble = f"{type(error).__name__}: {error}"
        peer = self._peer
        alert = refusal_in(peer.alerts)
        return Outcome(
            self._fault.name,
            self._result(alert),
            alert,
            peer.data[:MAX_DATA],
            trouble=self._trouble,
        )

    def _talk(self) -> None:
        peer, wire = self._peer, self._wire
        while self._send(peer.take()):
            if refusal_in(peer.alerts):
                return
            if peer.established and not self._served:
                self._serve()
            data = wire.receive()
            if not data:
                return
            if self._fault.name != "silent":
                peer.feed(data)

    def _send(self, data: bytes) -> bool:
        name, wire = self._fault.name, self._wire
        if name == "slow" and not self._peer.established:
            return wire.send_slowly(data)
        if name == "truncated-handshake" and data:
            wire.send(data[: len(data) // 2])
            wire.finish()
            return True
        # A client that refuses says why before it leaves, and then no longer reads.
        goes_on = wire.send(data) or wire.has_news()
        if data and self._peer.hangs_up:
            wire.finish()
        return goes_on

    def _serve(self) -> None:
        if not self._flooded and not self._flood():
            return
        data = self._peer.data
        answer, self._trouble = _asked(self._answer, data) if data else (None, "")
        if self._trouble:
            self._peer.close()
            self._wire.send(self._peer.take())
            self._wire.finish()
        if answer is None:
            self._served = bool(self._trouble)
            return
        self._served = True
        self._peer.send_data(answer)
        if self._fault.name != "unclean-close":
            self._peer.close()
        self._wire.send(self._peer.take())
        self._wire.finish()

    def _flood(self) -> bool:
        """Return whether the client has endured it."""
        for number in range(FLOOD):
            if not self._peer.flood():
                break
            if number % FLOOD_BATCH == 0 and not self._wire.exchange(self._peer):
                return False
        self._flooded = self._wire.exchange(self._peer)
        return self._flooded

    def _result(self, alert: str) -> Result:
        peer = self._peer
        if not self._speaks_tls:
            return "not-tls"
        if not peer.applicable:
            return "inapplicable"
        if alert:
            return "refused"
        # curl checks the name only after the handshake, and says goodbye as if nothing were wrong.
        if peer.data and self._flooded:
            return "accepted"
        return "waited" if self._wire.late else "left"


def _asked(answer: Answer, data: bytes) -> tuple[bytes | None, str]:
    """Return what the program under test gets, or why there is nothing."""
    try:
        reply: Any = answer(data)
    except Exception as error:  # The function is not ours: the outcome is, and is not lost.
        return None, f"answer raised {type(error).__name__}: {error}"
    if reply is None or isinstance(reply, bytes | bytearray):
        return reply if reply is None else bytes(reply), ""
    return None, f"answer returned {type(reply).__name__} in place of bytes"


def meet_well(
    sock: socket.socket, credentials: Sequence[Credentials], answer: Answer, seconds: float
) -> Outcome:
    """Serve one client with the library's own engine, for the case without a fault."""
    config = ServerConfig(credentials=credentials, handshake_timeout=seconds)
    received, until = b"", monotonic() + seconds
    try:
        sock.settimeout(seconds)
        with wrap_server(sock, config) as tls:
            reply = None
            while reply is None and len(received) < MAX_DATA:
                tls.settimeout(max(until - monotonic(), 0.001))
                data = tls.recv(MAX_DATA)
                if not data:
                    return Outcome("", "accepted" if received else "left", data=received)
                received += data
                reply, trouble = _asked(answer, received)
                if trouble:
                    return Outcome("", "accepted", data=received, trouble=trouble)
            tls.sendall(reply or b"")
    except PeerAlertError as error:
        return Outcome("", "refused", error.alert, received)
    except TimeoutError:
        return Outcome("", "waited", data=received)
    except ProtocolError as error:
        # Who offers nothing that a good server has, has not objected to this one.
        result: Result = "inapplicable" if error.fault in _NOTHING_SHARED else "left"
        return Outcome("", result, data=received)
    except OSError:
        return Outcome("", "left", data=received)
    return Outcome("", "accepted", data=received)
