"""Every field that a page shows has a sentence on its purpose."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.pki import Pki
from tests.recorded import converse

from handclasp import ClientConfig, PreSharedKey, ServerConfig, SessionStore
from handclasp.story.fields import Field, fields_of
from handclasp.trace.events import MessageSeen

PSKS = [PreSharedKey(b"id", bytes(range(32)))]


def within(field: Field) -> Iterator[Field]:
    for part in field.parts:
        yield part
        yield from within(part)


def pairs(pki: Pki) -> Iterator[tuple[ClientConfig, ServerConfig]]:
    """Connections that together have many messages and extensions."""
    sessions = SessionStore()
    client = ClientConfig(
        trust=pki.trust,
        sessions=sessions,
        alpn=["h2"],
        credentials=pki.client(),
        post_handshake_auth=True,
        record_size_limit=4000,
        send_authorities=True,
    )
    server = ServerConfig(
        credentials=pki.server(),
        alpn=["h2"],
        client_auth="optional",
        trust=pki.trust,
        send_authorities=True,
        max_early_data=99,
    )
    yield client, server
    yield client, server  # This one resumes.
    old = ClientConfig(trust=pki.trust, credentials=pki.client(), versions=["TLSv1.2"])
    yield old, ServerConfig(credentials=pki.server(), client_auth="optional", trust=pki.trust)
    yield ClientConfig(psks=PSKS), ServerConfig(psks=PSKS)
    asking = ServerConfig(credentials=pki.server(), groups=["secp384r1"], hello_retry_cookie=True)
    yield ClientConfig(trust=pki.trust), asking


@pytest.mark.parametrize("number", range(5))
def test_every_field_has_a_sentence(number: int) -> None:
    connections = list(pairs(Pki()))
    # A session of the first is needed by the second.
    for client, server in connections[: number + 1]:
        events = converse(client, server).client.events
    messages = [event for event in events if isinstance(event, MessageSeen)]
    trees = [fields_of(event.raw, event.epoch, None) for event in messages]
    silent = {
        f"{field.name} in {tree.name}"
        for tree in trees
        for field in within(tree)
        if not field.meaning
    }
    assert silent == set()
