"""Servers of other people: a scan finds exactly what each is configured to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.children import child, let_others_read
from tests.programs import daemons
from tests.programs.peers import free_port, wait_for
from tests.required import lacking
from tests.scan.configured import SERVERS, Setup, scanned

pytestmark = pytest.mark.interop


def same(found: tuple[str, ...], expected: Any) -> bool:
    return bool((set(found) if isinstance(expected, set) else found) == expected)


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_found_as_it_is_configured(name: str, home: Path, tmp_path: Path) -> None:
    configured, port = SERVERS[name], free_port()
    let_others_read(tmp_path)  # Once more: another run of pytest closes the directory above.
    command = configured.start(Setup(home, tmp_path, port))
    with child(command, tmp_path) as process:
        wait_for(port, 60, lambda: process.popen.poll() is None)
        report = scanned(home, port, configured.starttls)
    assert (report.error, report.incomplete) == ("", [])
    accepted = tuple(each for each, fact in report.versions.items() if fact.value is not False)
    assert accepted == configured.versions
    for version, suites in configured.suites.items():
        assert same(report.suites[version].names, suites), report.suites[version]
        ordered = isinstance(suites, tuple) and len(suites) > 1
        assert not ordered or report.suites[version].order == "server"
    for version, groups in configured.groups.items():
        assert same(report.groups[version], groups), report.groups[version]
    kinds = tuple(sorted(str((chain.described or {})["key_type"]) for chain in report.chains))
    assert kinds == configured.keys
    assert all(chain.explanation and chain.explanation.accepted for chain in report.chains)
    assert report.alpn == configured.alpn
    values = {each: fact.value for each, fact in report.features.items()}
    assert {each: values.get(each) for each in configured.features} == configured.features


def test_mariadb_begins_in_the_clear(home: Path) -> None:
    with daemons.running(["mariadb"], home) as (ports, missing):
        if "mariadb" not in ports:
            lacking(missing["mariadb"])
        report = scanned(home, ports["mariadb"], "mysql")
    assert (report.error, report.incomplete) == ("", [])
    accepted = [each for each, fact in report.versions.items() if fact.value]
    assert accepted[:2] == ["TLSv1.3", "TLSv1.2"]
    (chain,) = report.chains
    assert chain.explanation is not None
    assert chain.explanation.accepted
