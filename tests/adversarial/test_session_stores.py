"""Clients that keep sessions of a server which says as much as it can about its authorities."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import ClientConfig, ServerConfig, Session, SessionStore
from handclasp.handshake.offered import MOST_AUTHORITIES
from handclasp.handshake.tls12 import server as server12
from handclasp.handshake.tls13 import client_authentication
from handclasp.iana import ExtensionType
from handclasp.sessions import session_file
from handclasp.sessions.bounded import LEAST_BYTES
from handclasp.sessions.session import session_to_text
from handclasp.wire import extensions as ext
from handclasp.wire.messages12 import CertificateRequest12

VERSIONS = ["TLSv1.3", "TLSv1.2"]
versions = pytest.mark.parametrize("version", VERSIONS)
NAMES = tuple([number.to_bytes(2, "big") for number in range(16_000)])
"""As many as a message has room for."""

LONG_NAMES = tuple([number.to_bytes(2, "big") * 15 for number in range(1_900)])
"""As much as a message has room for; the first 1,024 of them are more than a small file keeps."""

Naming = Callable[..., None]


@pytest.fixture
def naming(monkeypatch: pytest.MonkeyPatch) -> Naming:
    """Makes servers ask for a certificate of one of so many authorities."""
    asking, request = client_authentication._asking, server12._certificate_request

    def name(count: int, names: tuple[bytes, ...] = NAMES) -> None:
        data = ext.write_certificate_authorities(names[:count])

        def asking13(config: Any, kind: str) -> dict[int, bytes]:
            return {**asking(config, kind), ExtensionType.CERTIFICATE_AUTHORITIES: data}

        def asking12(*given: Any) -> CertificateRequest12:
            return replace(request(*given), certificate_authorities=names[:count])

        monkeypatch.setattr(client_authentication, "_asking", asking13)
        monkeypatch.setattr(server12, "_certificate_request", asking12)

    return name


class Noted(SessionStore):
    """Notes each session, and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: list[Session] = []

    def put(self, key: str, session: Session) -> None:
        self.sessions.append(session)
        super().put(key, session)


def met(pki: Pki, store: Any, version: str = "TLSv1.3") -> Pair:
    server = ServerConfig(
        credentials=pki.server("localhost"), client_auth="optional", trust=pki.trust, tickets=1
    )
    client = ClientConfig(trust=pki.trust, sessions=store, versions=[version])
    pair = Pair(client, server).run()
    assert pair.established, (pair.client.error, pair.server.error)
    return pair


def bytes_of(thing: object, seen: set[int]) -> int:
    """The memory of a value and of all that it holds, each object once."""
    if thing is None or isinstance(thing, type) or id(thing) in seen:
        return 0
    seen.add(id(thing))
    held: list[object] = []
    if isinstance(thing, tuple):
        held = list(thing)
    for kind in type(thing).__mro__:
        for name in getattr(kind, "__slots__", ()):
            held.append(getattr(thing, name, None))
    return sys.getsizeof(thing) + sum(bytes_of(each, seen) for each in held)


@versions
@pytest.mark.parametrize("count", [1, 1000, len(NAMES)])
def test_a_session_takes_no_more_memory_than_it_counts_for(
    pki: Pki, naming: Naming, version: str, count: int
) -> None:
    naming(count)
    store = Noted()
    met(pki, store, version)
    (session,) = store.sessions
    assert session.requested is not None
    assert session.requested.authorities == NAMES[: min(count, MOST_AUTHORITIES)]
    assert bytes_of(session, set()) <= session.size
    # And one that comes out of a file no more than one that a server sent.
    again = Session.from_json(session.to_json())
    assert again == session
    assert bytes_of(again, set()) <= again.size == session.size


def memory_for(call: Callable[[bytes], object], data: bytes) -> int:
    """Bytes that a call takes at most while it runs."""
    tracemalloc.start()
    try:
        call(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_ticket_does_not_cost_what_all_authorities_do(
    pki: Pki, naming: Naming, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Each ticket of 258 bytes would cost a look at all names: tickets times names."""
    written: list[Session] = []

    def counted(session: Session) -> str:
        written.append(session)
        return session_to_text(session)

    monkeypatch.setattr(session_file, "session_to_text", counted)
    costs: dict[int, int] = {}
    for count in (1, len(LONG_NAMES)):
        naming(count, LONG_NAMES)
        made: Any = SessionStore()
        if kind == "file":
            made = SessionStore.file(tmp_path / f"{count}", max_bytes=LEAST_BYTES)
        pair = met(pki, made)
        for _ in range(8):
            pair.server.connection.send_tickets(1)  # type: ignore[union-attr]
            pair.server.connection.send_data(b"x")
        pair.run()
        pair.server.connection.send_tickets(1)  # type: ignore[union-attr]
        flight = pair.server.take()
        assert len(flight) < 400
        del written[:]
        costs[count] = memory_for(pair.client.receive, flight)
        assert pair.client.error is None
    assert costs[len(LONG_NAMES)] < costs[1] + 16_000
    # What is too large for the file is not put into words first.
    assert written == []
