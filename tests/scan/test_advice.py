"""Advice works when it is followed: misconfigured servers take it, and meet the profile."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.children import child, let_others_read
from tests.programs.peers import free_port, wait_for
from tests.required import need_tool
from tests.scan.advised import SERVERS, Advised, Settings
from tests.scan.configured import Setup, scanned

from handclasp.scan import Profile, Report, findings, profiles

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def weak(home: Path) -> Path:
    """A file of DH parameters that are too small."""
    path = home / "weak.pem"
    make = [need_tool("openssl"), "dhparam", "-out", str(path), "1024"]
    subprocess.run(make, check=True, capture_output=True, timeout=120)
    return path


def report_on(server: Advised, settings: Settings, home: Path, where: Path) -> Report:
    port = free_port()
    where.mkdir()
    let_others_read(where)
    command = server.start(Setup(home, where, port), settings)
    environment = {
        name: str(where / value) if value.endswith(".cnf") else value
        for name, value in server.environment.items()
    }
    with child(command, where, env=environment) as process:
        wait_for(port, 60, lambda: process.popen.poll() is None)
        return scanned(home, port, server.starttls)


def profile_for(server: Advised) -> Profile:
    intermediate = profiles()["intermediate"]
    return intermediate if server.starttls is None else replace(intermediate, hsts_min_age=None)


@pytest.mark.parametrize("name", SERVERS)
def test_advice_works(name: str, home: Path, weak: Path, tmp_path: Path) -> None:
    server = SERVERS[name]
    profile, settings = profile_for(server), server.settings(weak)
    found = findings(report_on(server, settings, home, tmp_path / "1"), profile)
    expected = {"version", "suite", "group"} | ({"dh"} if server.shows_dh else set())
    expected |= {"hsts"} if profile.hsts_min_age else set()
    assert {each.kind for each in found} == expected
    assert {"TLS_AES_128_CCM_SHA256", "TLSv1.0"} <= {each.value for each in found}
    strong = tmp_path / "DH.pem"
    for each in found:
        if "DH.pem" in each.advice:
            make = each.advice["DH.pem"].replace("DH.pem", str(strong)).split()
            subprocess.run(make, check=True, capture_output=True, timeout=60)
        server.apply(settings, each.advice[server.program].replace("DH.pem", str(strong)))
    assert findings(report_on(server, settings, home, tmp_path / "2"), profile) == []
