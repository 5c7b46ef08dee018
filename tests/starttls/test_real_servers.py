"""Servers of Debian that begin TLS after a dialogue in the clear, by `handclasp connect`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.children import let_others_read
from tests.programs import daemons
from tests.programs.certificates import write_certificates
from tests.programs.daemons import DAEMONS, Setup, dovecot_in_the_clear
from tests.required import lacking

pytestmark = pytest.mark.interop

SERVERS = {
    "postgres": "postgres",
    "mysql": "mariadb",
    "ldap": "slapd",
    "imap": "dovecot",
    "pop3": "dovecot-2",
    "ftp": "vsftpd",
}


def _slapd_in_the_clear(setup: Setup) -> list[str]:
    return [each.replace("ldaps://", "ldap://") for each in DAEMONS["slapd"].start(setup)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("servers")
    let_others_read(home)
    write_certificates(home)
    return home


@pytest.fixture(scope="module")
def ports(home: Path) -> Iterator[dict[str, int]]:
    clear = {
        "slapd": replace(DAEMONS["slapd"], start=_slapd_in_the_clear),
        "dovecot": replace(DAEMONS["dovecot"], start=dovecot_in_the_clear),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daemons, "DAEMONS", {**DAEMONS, **clear})
        names = sorted({name.removesuffix("-2") for name in SERVERS.values()})
        with daemons.running(names, home) as (found, _):
            yield found


@pytest.mark.parametrize("protocol", SERVERS)
def test_tls_begins(protocol: str, home: Path, ports: dict[str, int]) -> None:
    port = ports.get(SERVERS[protocol])
    if port is None:
        lacking(f"{SERVERS[protocol]} does not run here")
    arguments = ["connect", f"localhost:{port}", "--ca", str(home / "ca.pem"), "--json"]
    arguments += ["--starttls", protocol]
    made = subprocess.run(
        [sys.executable, "-m", "handclasp", *arguments],
        capture_output=True,
        timeout=60,
        check=False,
    )
    told = json.loads(made.stdout)
    assert told["ok"], told
    assert told["peer"]["verified"]
    assert "before_tls" in told["timings_us"]
