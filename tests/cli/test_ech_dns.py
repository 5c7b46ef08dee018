"""`connect --ech dns`: the configuration out of an HTTPS record, by the resolver or over HTTPS."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.resolver
import pytest
from tests.cli.conftest import Run
from tests.cli.test_ech import KEY, OLD, PUBLIC, serving
from tests.dns.servers import Zone, dns_server, doh_server, resolver_at
from tests.pki import Pki

from handclasp import Credentials, EchConfigList, EchKey, ServerConfig
from handclasp.certificates.authority import LocalAuthority


@pytest.fixture
def server(authority: LocalAuthority) -> ServerConfig:
    issued = authority.issue(["localhost", PUBLIC])
    credentials = Credentials.from_pem(issued.chain_pem, issued.key_pem)
    return ServerConfig(credentials=credentials, ech=[KEY])


@pytest.fixture
def zone() -> Zone:
    return Zone()


@pytest.fixture
def doh(zone: Zone, tmp_path: Path) -> Iterator[list[str]]:
    """The options that ask a DNS server of ours over HTTPS."""
    pki = Pki()
    authority = tmp_path / "doh-ca.pem"
    authority.write_bytes(pki.ca_pem)
    with doh_server(zone, pki) as url:
        yield ["--ech", "dns", "--doh", url, "--doh-ca", str(authority)]


def publish(zone: Zone, name: str, port: int, key: EchKey = KEY) -> None:
    parameter = f'ech="{EchConfigList(key.configs).to_base64()}"'
    zone.records[name, "HTTPS"] = [f"1 localhost. port={port} {parameter}"]
    zone.records["localhost", "A"] = ["127.0.0.1"]


def test_over_https(run: Run, ca: str, server: ServerConfig, zone: Zone, doh: list[str]) -> None:
    with serving(server) as port:
        publish(zone, f"_{port}._https.localhost", port)
        result = run("connect", f"localhost:{port}", "--ca", ca, *doh, input="")
    assert result.exit_code == 0, result.output
    assert "others could not read the server's name" in result.output
    assert f"localhost port {port}, with an ECH configuration" in result.output
    assert "https record" in result.output


def test_over_https_the_system_is_not_asked_for_the_host(
    run: Run,
    ca: str,
    server: ServerConfig,
    zone: Zone,
    doh: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    real = socket.getaddrinfo

    def noting(host: str, *arguments: Any, **named: Any) -> Any:
        asked.append(host)
        return real(host, *arguments, **named)

    with serving(server) as port:
        publish(zone, f"_{port}._https.localhost", port)
        monkeypatch.setattr(socket, "getaddrinfo", noting)
        result = run("connect", f"localhost:{port}", "--ca", ca, "--json", *doh)
    assert json.loads(result.stdout)["ech_accepted"] is True
    assert "localhost" not in asked


def test_by_the_resolver_of_the_system(
    run: Run, ca: str, server: ServerConfig, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(server) as port, dns_server(zone) as dns_port:
        resolver = resolver_at(dns_port)
        monkeypatch.setattr(dns.resolver, "Resolver", lambda: resolver)
        # The record names another port than that of the URL.
        publish(zone, "localhost", port)
        result = run("connect", "localhost", "--ca", ca, "--ech", "dns", "--json")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert shown["ech_accepted"] is True
    assert shown["https_record"] == {"host": "localhost", "port": port}


def test_a_host_that_was_named_is_the_one_to_connect_to(
    run: Run, ca: str, server: ServerConfig, zone: Zone, doh: list[str]
) -> None:
    with serving(server) as port:
        publish(zone, f"_{port}._https.localhost", 1)
        del zone.records["localhost", "A"]  # It is not needed, and not asked for.
        address = f"127.0.0.1:{port}"
        options = ["--server-name", "localhost", "--ca", ca, "--json", *doh]
        result = run("connect", address, *options)
    assert json.loads(result.stdout)["ech_accepted"] is True


def test_a_record_that_is_old(
    run: Run, ca: str, server: ServerConfig, zone: Zone, doh: list[str]
) -> None:
    with serving(server, server) as port:
        publish(zone, f"_{port}._https.localhost", port, OLD)
        result = run("connect", f"localhost:{port}", "--ca", ca, *doh, input="")
    assert result.exit_code == 0, result.output
    assert "connecting once more" in result.output


def test_a_name_without_a_record(run: Run, ca: str, zone: Zone, doh: list[str]) -> None:
    result = run("connect", "localhost:1", "--ca", ca, *doh)
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "The DNS does not know the name _1._https.localhost" in text
    assert "connect without ECH" in text
    failed = json.loads(run("connect", "localhost:1", "--ca", ca, *doh, "--json").stdout)["error"]
    assert (failed["fault"], failed["blame"]) == ("DNS_NO_ECH", "server")


def test_a_server_of_the_dns_that_is_not_there(run: Run, ca: str) -> None:
    url = "https://127.0.0.1:1/dns-query"
    result = run("connect", "localhost:1", "--ca", ca, "--ech", "dns", "--doh", url, "--json")
    failed = json.loads(result.stdout)["error"]
    assert failed["fault"] == "DNS_FAILED"
    assert "refused" in failed["message"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--doh", "https://127.0.0.1/"], "--doh needs --ech dns"),
        (["--ech", "dns", "--doh-ca", "ca.pem"], "--doh-ca needs --doh"),
        (["--ech", "dns", "--doh", "dns.example"], "is not the URL"),
        (["--ech", "dns", "--tls12"], "leave out --tls12"),
        (["--ech", "dns", "--starttls", "smtp"], "do not concern --starttls"),
        (["--ech", "dns", "--server-name", "127.0.0.1"], "is an address"),
    ],
)
def test_wrong_arguments(run: Run, ca: str, options: list[str], words: str) -> None:
    result = run("connect", "localhost:1", "--ca", ca, *options)
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())


def test_without_dnspython(run: Run, ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    modules: dict[str, Any] = {"dns": None, "dns.asyncresolver": None, "dns.message": None}
    for name, module in modules.items():
        monkeypatch.setitem(__import__("sys").modules, name, module)
    result = run("connect", "localhost:1", "--ca", ca, "--ech", "dns")
    assert result.exit_code == 2
    assert "pip install 'handclasp[dns]'" in " ".join(result.output.split())
