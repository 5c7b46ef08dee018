"""The fields of `watch --json` are those that docs/watch.md explains."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cli.test_watch_mutual import KEY, Bench, bench
from tests.pki import Leaf

from handclasp.capture.relay import Relayed
from handclasp.capture.secrets import KeyLog
from handclasp.capture.stream import Address
from handclasp.capture.watching import sighting_of
from handclasp.cli.sightings import Report

__all__ = ["bench"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "watch.md"


def documented() -> set[str]:
    """Every name in the two columns of the table that has a dot, or stands in the first one."""
    section = DOCUMENT.read_text().partition("## The fields of `--json`")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    names = {name for field, _ in rows for name in re.findall("`([^`]+)`", field)}
    return names | {name for _, value in rows for name in re.findall(r"`(\w+\.\w+)`", value)}


def fields_of(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in values.items():
        if not isinstance(value, dict) or name not in ("bytes", "names_in_hello"):
            yield above + name
        if isinstance(value, dict):
            yield from fields_of(value, f"{above}{name}.")


def complete(bench: Bench) -> dict[str, Any]:
    bench.client_certificate()
    return bench.watched(b"a request").to_json()


def failed(bench: Bench) -> dict[str, Any]:
    return bench.watched().to_json()


def left(bench: Bench) -> dict[str, Any]:
    bench.server_certificate(bench.pki.issue(Leaf(["other.example"]), KEY.public_key()))
    bench.client_certificate()
    bench.client.check_hostname = False
    return bench.watched().to_json()


def unreached(bench: Bench) -> dict[str, Any]:
    server = Address("localhost", 443)
    relayed = Relayed(1, 0, 1024, server, (Address("127.0.0.1", 50000), Address("localhost", 0)))
    relayed.refusal = ConnectionRefusedError(111, "Connection refused")
    sighting = sighting_of(relayed, relayed.stream(), KeyLog(), is_final=True)
    return Report(sighting, bench.pki.trust).to_json()


def test_every_field_is_documented_and_every_documented_field_is_there(tmp_path: Path) -> None:
    emitted: set[str] = set()
    for number, case in enumerate((complete, failed, left, unreached)):
        directory = tmp_path / str(number)
        directory.mkdir()
        emitted |= set(fields_of(case(Bench(directory))))
    assert emitted == documented()


def test_without_tls_there_are_the_fields_that_the_document_names(tmp_path: Path) -> None:
    told = unreached(Bench(tmp_path))
    named = ("connection", "began_at_ns", "client", "server", "target", "bytes", "intercepted")
    assert set(told) == {*named, "tls", "instead", "failure"}
    assert set(told["failure"]) == {"fault", "cause", "blame", "condition", "fix"}
