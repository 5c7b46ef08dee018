"""The ECH configurations that a name publishes, and what a scan says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from tests.dns.servers import Zone, doh_server
from tests.pki import Pki
from tests.scan.model import Model
from tests.scan.serving import listening, ours

from handclasp import ClientConfig, ConfigurationError, EchConfigList, EchKey, ServerConfig
from handclasp.dns import DnsError, HttpsEndpoint, lookup_ech_async
from handclasp.iana import TLS13
from handclasp.scan import Report, ScanSettings, Target, scan

KEY, OTHER = EchKey.generate("public.test"), EchKey.generate("public.test")
NAME = "secret.test"


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="module")
def port(pki: Pki) -> Iterator[int]:
    credentials = pki.server(NAME, "public.test")
    config = ServerConfig(credentials=credentials, ech=[KEY], versions=["TLSv1.3"])
    with listening(ours(config)) as port:
        yield port


def scanned(port: int, pki: Pki, found: HttpsEndpoint | DnsError, name: str = NAME) -> Report:
    asked: list[tuple[str, int]] = []

    async def look_up(name: str, port: int) -> HttpsEndpoint:
        asked.append((name, port))
        if isinstance(found, DnsError):
            raise found
        return found

    settings = ScanSettings(trust=pki.trust, ech_lookup=look_up)
    report = asyncio.run(scan(Target("127.0.0.1", port, name), settings))
    assert asked == ([] if name.startswith("127.") else [(name, port)])
    return report


def endpoint(port: int, key: EchKey = KEY, host: str = NAME) -> HttpsEndpoint:
    return HttpsEndpoint(host, port, EchConfigList(key.configs))


def test_a_published_configuration_is_tried(port: int, pki: Pki) -> None:
    features = scanned(port, pki, endpoint(port)).features
    assert features["ech_dns"].value == ("public.test",)
    assert features["ech_dns"].evidence == EchConfigList(KEY.configs).to_bytes()[:96]
    assert features["ech"].value is True


def test_a_configuration_that_its_own_server_rejects(port: int, pki: Pki) -> None:
    features = scanned(port, pki, endpoint(port, OTHER)).features
    assert features["ech_dns"].value == ("public.test",)
    assert features["ech"].value is False
    assert "did not accept the encrypted ClientHello" in features["ech"].says


def test_a_record_that_leads_elsewhere_proves_nothing_here(port: int, pki: Pki) -> None:
    features = scanned(port, pki, endpoint(port, OTHER, "cdn.test")).features
    assert features["ech"].value is None
    assert f"the record leads to cdn.test port {port}" in features["ech"].says


def test_no_configuration_and_no_answer_are_told_apart(port: int, pki: Pki) -> None:
    from handclasp.dns import NoEchError

    none = scanned(port, pki, NoEchError(f"The HTTPS record of {NAME} has no ECH.")).features
    late = scanned(port, pki, DnsError.timeout(NAME, 5)).features
    assert (none["ech_dns"].value, late["ech_dns"].value) == (False, None)
    assert "within 5 seconds" in late["ech_dns"].says
    assert "ech" not in none | late


def test_an_address_is_not_looked_up(port: int, pki: Pki) -> None:
    assert "ech_dns" not in scanned(port, pki, endpoint(port), "127.0.0.1").features


def test_a_server_without_tls13_is_not_looked_up() -> None:
    class Refusing(Model):
        def answer(self, exchange: Any) -> Any:
            assert type(exchange).__name__ != "LookUp"
            return super().answer(exchange)

    Refusing({0x0303: (0xC02F,)}).examine(asks_dns=True)


def test_the_hello_cannot_be_encrypted_without_a_common_suite() -> None:
    class Published(Model):
        def answer(self, exchange: Any) -> Any:
            if type(exchange).__name__ == "LookUp":
                return endpoint(443, host="example.com")
            return super().answer(exchange)

    report = Published({TLS13: (0x1399,)}).examine(asks_dns=True)
    assert "ech" not in report.features


def test_starttls_has_no_https_records() -> None:
    with pytest.raises(ConfigurationError, match="do not concern starttls"):
        ScanSettings(starttls="smtp", ech_lookup=lookup_ech_async)
    with pytest.raises(ConfigurationError, match="verify_peer"):
        ScanSettings(config=ClientConfig())


def test_by_a_dns_server_over_https(port: int, pki: Pki) -> None:
    zone, dns_pki = Zone(), Pki()
    parameter = f'ech="{EchConfigList(KEY.configs).to_base64()}"'
    zone.records[f"_{port}._https.{NAME}", "HTTPS"] = [f"1 {NAME}. port={port} {parameter}"]
    with doh_server(zone, dns_pki) as url:
        look_up = partial(
            lookup_ech_async,
            doh=url,
            doh_config=ClientConfig(trust=dns_pki.trust),
            addresses=False,
        )
        settings = ScanSettings(trust=pki.trust, ech_lookup=look_up)
        report = asyncio.run(scan(Target("127.0.0.1", port, NAME), settings))
    assert report.features["ech"].value is True
    assert zone.asked == [(f"_{port}._https.{NAME}", "HTTPS")]
