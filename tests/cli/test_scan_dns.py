"""`handclasp scan --dns`: the options, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.dns.servers import Zone, doh_server
from tests.pki import Pki
from tests.scan.serving import listening, ours

from handclasp import ServerConfig

NAME = "secret.test"


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="module")
def port(pki: Pki) -> Iterator[int]:
    config = ServerConfig(credentials=pki.server(NAME), versions=["TLSv1.3"])
    with listening(ours(config)) as port:
        yield port


def test_the_command(run: Run, port: int, pki: Pki, tmp_path: Path) -> None:
    zone, dns_pki = Zone(), Pki()
    zone.records[f"_{port}._https.{NAME}", "HTTPS"] = [f'1 {NAME}. port={port} alpn="h2"']
    ca, dns_ca = tmp_path / "ca.pem", tmp_path / "dns.pem"
    ca.write_bytes(pki.ca_pem)
    dns_ca.write_bytes(dns_pki.ca_pem)
    given = ["scan", f"127.0.0.1:{port}", "--server-name", NAME, "--ca", str(ca), "--dns"]
    with doh_server(zone, dns_pki) as url:
        done = run(*given, "--doh", url, "--doh-ca", str(dns_ca), "--json")
        text = run(*given, "--doh", url, "--doh-ca", str(dns_ca)).stdout
    fact = json.loads(done.stdout)["features"]["ech_dns"]
    assert fact["value"] is False
    assert "ECH in the DNS" in text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--doh", "https://dns.test/dns-query"], "--doh needs --dns."),
        (["--dns", "--doh-ca", "ca.pem"], "--doh-ca needs --doh."),
        (["--dns", "--starttls", "smtp"], "do not concern --starttls"),
        (["--dns", "--doh", "http://dns.test/"], "https"),
    ],
)
def test_options_that_do_not_go_together(run: Run, options: list[str], says: str) -> None:
    done = run("scan", "localhost", *options)
    assert done.exit_code == 2
    assert says in done.stderr
