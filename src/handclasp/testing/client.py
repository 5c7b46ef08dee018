"""A faulty client on a socket: `faulty_connect`."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address
from threading import Event
from typing import cast

from handclasp.errors import ConfigurationError
from handclasp.iana import AlertDescription, alert_name
from handclasp.testing.arguments import (
    check_authority,
    check_fault,
    check_name,
    check_port,
    check_seconds,
)
from handclasp.testing.authority import RootAuthority
from handclasp.testing.catalogue import PeerFault, fault_of_client
from handclasp.testing.chains import client_chain
from handclasp.testing.clients import (
    Client,
    after_handshake,
    client_peer,
    needs_certificate,
    opening,
)
from handclasp.testing.outcome import MAX_DATA, Outcome, Result, declines, refusal_in
from handclasp.testing.scripted import ScriptedPeer
from handclasp.testing.wire import FLOOD, FLOOD_BATCH, Wire

REQUEST = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"


def faulty_connect(
    fault: str,
    host: str,
    port: int,
    *,
    authority: RootAuthority | None = None,
    server_name: str | None = None,
    request: bytes = REQUEST,
    seconds: float = 10.0,
) -> Outcome:
    """Connect to a server under test, misbehave in one named way, and return how it takes it.

    The server's certificate is not verified. This call blocks: a test of a server in an event loop
    runs it in a thread (`asyncio.to_thread`).

    >>> from handclasp.testing import faulty_connect
    >>> outcome = faulty_connect("bad-finished", "example.com", 443)
    >>> outcome.result, outcome.alert
    ('refused', 'decrypt_error')

    Args:
        fault: a name of `CLIENT_FAULTS`, or "alert:NAME".
        authority: the issuer of its certificate, which the server trusts; a new one if None.
        server_name: the name to ask for; None takes `host`.
        request: the data that it sends once the server has had no objection.
        seconds: the time for all of it.

    Raises:
        ConfigurationError: there is no such fault, or another argument cannot be used.
        OSError: the server cannot be reached.
    """
    check_fault(fault)
    check_seconds(seconds)
    check_port(port, 1)
    check_authority(authority)
    if not isinstance(cast("object", request), bytes):
        raise ConfigurationError(f"request must be bytes, not {request!r}.")
    check_name("server_name" if server_name is not None else "host", server_name or host)
    entry = fault_of_client(fault)
    chain = client_chain(fault, authority or RootAuthority("handclasp testing"))
    name = host if server_name is None else server_name
    peer = client_peer(entry, chain, "" if _is_address(name) else name)
    with socket.create_connection((host, port), timeout=seconds) as sock:
        return _Meeting(entry, peer, Wire(sock, seconds, Event()), request).outcome()


class _Meeting:
    """One connection of a faulty client with the server under test."""

    def __init__(self, fault: PeerFault, peer: ScriptedPeer, wire: Wire, request: bytes) -> None:
        self._fault = fault
        self._peer = peer
        self._wire = wire
        self._request = request
        self._trouble = ""
        self._asked_already = False

    def outcome(self) -> Outcome:
        """Talk until the server has refused or left, or the time is up."""
        try:
            self._talk()
        except Exception as error:  # A server may send anything, and the scripts check little.
            self._trouble = f"{type(error).__name__}: {error}"
        peer = self._peer
        alert = refusal_in(peer.alerts)
        result = self._result(alert)
        if result == "accepted" and declines(peer.alerts):
            alert = _DECLINED
        data = bytes(peer.data[:MAX_DATA])
        return Outcome(self._fault.name, result, alert, data, trouble=self._trouble)

    def _talk(self) -> None:
        peer, wire = self._peer, self._wire
        first = opening(self._fault, peer.take())
        if self._fault.name == "slow":
            wire.send_slowly(first)
        else:
            wire.send(first)
        if self._fault.name == "truncated-handshake":
            wire.finish()
        while not refusal_in(peer.alerts) and not peer.data:
            data = wire.receive()
            if not data:
                return
            peer.feed(data)
            wire.send(peer.take())
            if peer.established and not self._asked_already:
                self._asked_already = True
                self._misbehave_after_handshake()

    def _misbehave_after_handshake(self) -> None:
        peer = self._peer
        for number in range(FLOOD):
            if not after_handshake(self._fault, peer):
                break
            if number % FLOOD_BATCH == 0 and not self._wire.exchange(peer):
                return
        peer.send_data(self._request)
        self._wire.send(peer.take())

    def _result(self, alert: str) -> Result:
        peer = self._peer
        has_no_occasion = isinstance(peer, Client) and peer.established and not peer.asked
        if needs_certificate(self._fault) and has_no_occasion:
            return "inapplicable"
        if alert:
            return "inapplicable" if alert == _OTHER_VERSION else "refused"
        if peer.data:
            return "accepted"
        return "waited" if self._wire.late else "left"


_DECLINED = "no_renegotiation"
"""The name in RFC 5246 section 7.2.2; TLS 1.3 has reserved it."""

_OTHER_VERSION = alert_name(AlertDescription.PROTOCOL_VERSION)


def _is_address(name: str) -> bool:
    with suppress(ValueError):
        ip_address(name)
        return True
    return False
