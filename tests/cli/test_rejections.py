"""The log of `serve` tells of a client whose encrypted hello was not accepted in one line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.end_to_end.ech import OTHER, PUBLIC, ech_server
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import ClientConfig, EchConfigList, EchKey, PeerAlertError, ServerConfig
from handclasp.cli.journal import Journal
from handclasp.cli.traces import Traces
from handclasp.iana import AlertDescription
from handclasp.serving.visits import Request, Visit
from handclasp.values import replace

HOST, PORT = "192.0.2.1", 99


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def visit_of(pki: Pki, *, key: EchKey | None = OTHER, has_keys: bool = True) -> Visit:
    """A connection whose hello is encrypted with a key that the server does not have, or GREASE."""
    server = ech_server(pki) if has_keys else ServerConfig(credentials=pki.server(PUBLIC))
    ech = None if key is None else EchConfigList(key.configs)
    pair = Pair(ClientConfig(trust=pki.trust, ech=ech), server, PUBLIC).run()
    end = pair.server
    return Visit(HOST, PORT, end.info, None, end.trace, end.connection)  # type: ignore[arg-type]


def rejected(visit: Visit, alert: AlertDescription = AlertDescription.ECH_REQUIRED) -> Visit:
    return replace(visit, error=PeerAlertError(alert))


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if f"{HOST}:{PORT}" in line]


def test_a_rejection_is_one_line_and_one_trace(
    pki: Pki, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    journal = Journal("text", traces=Traces(tmp_path, pages=False, redaction=None))
    visit = visit_of(pki)
    journal.connected(visit)
    assert lines_of(capsys) == []
    journal.failed(rejected(visit))
    [line] = lines_of(capsys)
    assert "the client sent ech_required" in line
    for _ in range(3):
        journal.tick()
    journal.close()
    assert lines_of(capsys) == []
    assert len(list(tmp_path.iterdir())) == 1


def test_a_rejection_is_one_object(pki: Pki, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal("json")
    visit = visit_of(pki)
    journal.connected(visit)
    journal.failed(rejected(visit))
    journal.close()
    [shown] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (shown["ok"], shown["ech_accepted"]) == (False, False)
    assert shown["error"]["fault"] == "PEER_ECH_REQUIRED"


def test_a_client_with_grease_is_told_of_as_soon_as_it_goes_on(
    pki: Pki, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal("text")
    visit = visit_of(pki, key=None)
    request = Request(HOST, PORT, datetime.now(UTC), "GET", "/", "HTTP/1.1", 200, 1, 0.1)
    journal.connected(visit)
    journal.answered(request)
    first, second = lines_of(capsys)
    assert "TLSv1.3" in first
    assert "GET /" in second
    journal.connected(visit)
    journal.ended(visit)
    assert len(lines_of(capsys)) == 1
    journal.connected(visit)
    journal.failed(rejected(visit, AlertDescription.INTERNAL_ERROR))
    connected, failed = lines_of(capsys)
    assert "TLSv1.3" in connected
    assert "internal_error" in failed


def test_a_silent_client_is_told_of_in_the_second_tick(
    pki: Pki, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal("text")
    journal.connected(visit_of(pki, key=None))
    journal.tick()
    assert lines_of(capsys) == []
    journal.tick()
    assert len(lines_of(capsys)) == 1
    journal.connected(visit_of(pki, key=None))
    journal.close()
    assert len(lines_of(capsys)) == 1


def test_another_connection_with_the_same_address_is_told_of(
    pki: Pki, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal("text")
    journal.connected(visit_of(pki, key=None))
    other = visit_of(pki)  # As at a UNIX socket, where all have the same address.
    journal.connected(other)
    assert len(lines_of(capsys)) == 1
    journal.failed(rejected(other))
    connected, failed = lines_of(capsys)
    assert "TLSv1.3" in connected
    assert "ech_required" in failed


def test_nothing_waits_where_the_server_has_no_key(
    pki: Pki, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal("text")
    journal.connected(visit_of(pki, key=None, has_keys=False))
    assert len(lines_of(capsys)) == 1
