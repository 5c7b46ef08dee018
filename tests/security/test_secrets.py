"""Where secrets are, how they are compared, that they do not show, and that they go."""

from __future__ import annotations

import ast
import base64
import hmac
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fuzz import conversation
from tests.fuzz.conversation import CHANCE, Setup, carry, setups

from handclasp import ClientConnection, Fault, ProtocolError, Recorder, ServerConnection, TLSError
from handclasp.crypto.secret import Secret

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "handclasp"
TOUCHES = (
    "crypto.secret import",
    "note_shared_secret(",
    ".exchange(",
    ".decapsulate(",
    ".decrypt(",
    "signer.sign",
    "private_key",
)
"""What a module that has secrets in its hands cannot do without."""


def test_every_place_is_listed() -> None:
    """The list in docs/security.md is that of the source: no more and no less."""
    touching = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if any(words in path.read_text(encoding="utf-8") for words in TOUCHES)
    }
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = text.partition("## Where secrets pass through Python")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`([a-z0-9_/]+\.py)`", section))
    assert listed == touching


# Comparing

PROOFS = re.compile(r"verify_data|binder|finished|\bmac\b|secret|\btag\b|\bkey\b", re.IGNORECASE)
WITHOUT_SECRETS = ("certificates", "cli", "trace", "adapters")
"""Where those words mean other things: keys in certificates, names of secrets."""


def comparisons(path: Path) -> Iterator[str]:
    """What is compared by `==` and `!=` in a file, but for comparisons with a constant."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare) and any(
            isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops
        ):
            sides = [node.left, *node.comparators]
            if not any(_is_constant(side) for side in sides):
                yield ast.unparse(node)


def _is_constant(side: ast.expr) -> bool:
    """A literal, or a name in capitals, such as that of a type of message."""
    name = getattr(side, "attr", getattr(side, "id", ""))
    return isinstance(side, ast.Constant) or name.isupper()


def test_no_proof_is_compared_by_its_bytes() -> None:
    found = [
        text
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] not in WITHOUT_SECRETS
        for text in comparisons(path)
        if PROOFS.search(text)
        and not re.search(r"len\(|hash_name|key_id|ExtensionType|key_exchange|kind|\.keys\b", text)
    ]
    assert found == []


@pytest.mark.parametrize("setup", setups(), ids=lambda setup: setup.name)
def test_verify_data_are_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch, setup: Setup
) -> None:
    """Each side's Finished goes through `hmac.compare_digest`, and binders do."""
    compared: list[bytes] = []
    real = hmac.compare_digest

    def spy(one: Any, other: Any) -> bool:
        compared.extend((bytes(one), bytes(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    trace = Recorder()
    meet(setup, trace)
    finished = [e.raw[4:] for e in trace.events if getattr(e, "raw", b"")[:1] == b"\x14"]
    assert len(finished) == 2
    for verify_data in finished:
        assert compared.count(verify_data) >= 2  # What came, and what was expected.


# Showing


def meet(setup: Setup, trace: Recorder | None = None) -> tuple[ClientConnection, ServerConnection]:
    CHANCE.start()
    client = ClientConnection(setup.client, server_name=setup.server_name, trace=trace)
    server = ServerConnection(setup.server)
    conversation._send_early(client, setup)
    carry(client, server)
    assert client.established
    assert server.established
    return client, server


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Secret]:
    """Every secret that is made."""
    made: list[Secret] = []

    def note(kind: type[Secret], *arguments: Any) -> Secret:
        secret = bytes.__new__(kind, *arguments)
        made.append(secret)
        return secret

    monkeypatch.setattr(Secret, "__new__", note)
    return made


def spellings(secret: bytes) -> list[str]:
    return [secret.hex(), base64.b64encode(secret).decode(), repr(bytes(secret))[2:-1]]


@pytest.mark.parametrize("setup", setups(), ids=lambda setup: setup.name)
def test_no_secret_shows_anywhere(
    made: list[Secret], caplog: pytest.LogCaptureFixture, setup: Setup
) -> None:
    """Not in reprs, events, traces, logs, errors, nor in a traceback with all its variables."""
    caplog.set_level(logging.DEBUG)
    trace = Recorder()
    client, server = meet(setup, trace)
    client.send_data(b"data")
    said: list[object] = server.receive_data(client.data_to_send())
    with pytest.raises(TLSError) as caught:
        server.receive_data(b"\x17\3\3\0\x20" + bytes(32))
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    said += [client, server, client.info, server.info, setup.client, setup.server, trace]
    said += ["".join(told.format()), trace.to_json(), trace.to_html("localhost"), caplog.text]
    said += [client.config.sessions, server.config.ticket_keys, caught.value]
    text = "\n".join(each if isinstance(each, str) else repr(each) for each in said)
    assert len(made) > 8
    for secret in made:
        if len(secret) >= 16 and any(secret):
            for spelling in spellings(secret):
                assert spelling not in text


def test_the_search_would_find_one(made: list[Secret]) -> None:
    trace = Recorder(record_secrets=True)
    meet(setups()[0], trace)
    text = trace.to_json()
    assert any(secret.hex() in text for secret in made)


# Going


@pytest.mark.parametrize("setup", setups(), ids=lambda setup: setup.name)
def test_what_is_done_with_is_gone(made: list[Secret], setup: Setup) -> None:
    """Of an established connection there remain the secrets that it still has a use for."""
    client, server = meet(setup)
    gone = sys.getrefcount(bytes(17))  # One that nothing else refers to.
    alive = [secret for secret in made if secret and sys.getrefcount(secret) > gone + 2]
    # In TLS 1.3 for each side: two of traffic, one to export, one for tickets, one they come from;
    # and what a store keeps of the session that was resumed.
    assert 2 <= len(alive) <= 12
    assert len(alive) < len(made) / 2
    assert client.established
    assert server.established


def test_a_failed_connection_opens_and_seals_no_more() -> None:
    client, server = meet(setups()[0])
    with pytest.raises(ProtocolError) as caught:
        server.receive_data(b"\x17\3\3\0\x20" + bytes(32))
    assert caught.value.fault_member is Fault.BAD_RECORD_MAC
    assert server._records._read is None
    assert server._post is None
    assert server._driver is None
    with pytest.raises(ProtocolError):
        server.send_data(b"more")
    assert client.established
