"""Browsers that encrypt their hellos to our server, with its configuration out of the DNS.

The DNS server is ours, too, over HTTPS; it has the name and its HTTPS record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.browser import test_chromium, test_firefox
from tests.browser.site import ONE_AFTER_THE_OTHER, Site, site
from tests.dns.servers import Zone, doh_server

from handclasp import EchConfigList, EchKey, PeerAlertError, ServerConfig
from handclasp.certificates.authority import LocalAuthority

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60)]

SECRET, PUBLIC = "secret.test", "public.test"
KEY, OLD = EchKey.generate(PUBLIC), EchKey.generate(PUBLIC)
PAGE = f"<body style='background: rgb{test_firefox.COLOUR}'><p>Encrypted.</p></body>"

# Chromium connects without the HTTPS record if that comes some milliseconds after the address.
PATIENCE = (
    "UseDnsHttpsSvcb:UseDnsHttpsSvcbSecureExtraTimeMin/5s/UseDnsHttpsSvcbSecureExtraTimeMax/5s"
)

FIREFOX = """\
user_pref("network.proxy.type", 0);
user_pref("network.trr.mode", 3);
user_pref("network.trr.uri", "{url}");
user_pref("network.trr.custom_uri", "{url}");
user_pref("network.trr.bootstrapAddr", "127.0.0.1");
user_pref("network.trr.allow-rfc1918", true);
user_pref("network.trr.confirmationNS", "skip");
user_pref("network.dns.echconfig.enabled", true);
user_pref("network.dns.port_prefixed_qname_https_rr", true);
"""

Visit = Callable[[str, str], bool]
"""Load a page with the names of a DNS server over HTTPS; say whether it is shown."""


@dataclass
class Names:
    """Our DNS server: its zone and its URL."""

    zone: Zone
    url: str

    def publish(self, port: int, key: EchKey) -> None:
        text = EchConfigList(key.configs).to_base64()
        self.zone.records = {
            (SECRET, "A"): ["127.0.0.1"],
            (f"_{port}._https.{SECRET}", "HTTPS"): [
                f'1 {SECRET}. alpn="http/1.1" port={port} ech="{text}"'
            ],
        }


@pytest.fixture
def names(authority: LocalAuthority) -> Iterator[Names]:
    zone = Zone()
    credentials = authority.credentials(["localhost", "127.0.0.1"])
    with doh_server(zone, credentials=credentials) as url:
        yield Names(zone, url)


def by_chromium(directory: Path, ca: Path) -> Visit:
    browser = test_chromium.chromium(directory, ca)
    flags = [each for each in test_chromium.FLAGS if "host-resolver-rules" not in each]
    flags.append(f"--enable-features={PATIENCE}")

    def visit(url: str, names: str) -> bool:
        (directory / "profile").mkdir(exist_ok=True)
        settings = {"dns_over_https": {"mode": "secure", "templates": names}}
        (directory / "profile" / "Local State").write_text(json.dumps(settings))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(test_chromium, "FLAGS", flags)
            return "<p>Encrypted.</p>" in browser.load(url).document

    return visit


def by_firefox(directory: Path, ca: Path) -> Visit:
    browser = test_firefox.firefox(directory, ca)

    def visit(url: str, names: str) -> bool:
        settings = directory / "profile" / "user.js"
        settings.write_text(test_firefox.SETTINGS + FIREFOX.format(url=names))
        return test_firefox.colours(browser.picture(url)) == {test_firefox.COLOUR}

    return visit


@pytest.fixture(
    params=[
        pytest.param(by_chromium, id="chromium", marks=pytest.mark.fast),
        pytest.param(by_firefox, id="firefox"),
    ]
)
def visit(request: pytest.FixtureRequest, tmp_path: Path, ca: Path) -> Visit:
    made: Visit = request.param(tmp_path / "browser", ca)
    return made


def served(
    authority: LocalAuthority, page: str = PAGE, *, closes: bool = False, **settings: Any
) -> AbstractContextManager[Site]:
    credentials = authority.credentials([SECRET, PUBLIC])
    config = ServerConfig(credentials=credentials, ech=[KEY], alpn=["http/1.1"], **settings)
    return site(config, page, closes=closes)


def assert_encrypted(server: Site, *, retried: bool = False) -> None:
    assert server.shown_to
    for info in server.shown_to:
        assert info.ech_accepted
        assert info.server_name == SECRET
        assert info.hello_retry is retried


@pytest.mark.parametrize("group", [None, "secp384r1"])
def test_the_hello_is_encrypted(
    visit: Visit, names: Names, authority: LocalAuthority, group: str | None
) -> None:
    settings: dict[str, Any] = {"groups": [group]} if group else {}
    with served(authority, **settings) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        names.publish(port, KEY)
        assert visit(f"https://{SECRET}:{port}/", names.url)
    assert not server.failures
    assert_encrypted(server, retried=group is not None)


def test_sessions_are_resumed_with_early_data_inside(
    visit: Visit, names: Names, authority: LocalAuthority, request: pytest.FixtureRequest
) -> None:
    page = PAGE + ONE_AFTER_THE_OTHER
    with served(authority, page, closes=True, max_early_data=16_384) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        names.publish(port, KEY)
        visit(f"https://{SECRET}:{port}/", names.url)
    assert not server.failures
    later = [info for number in range(4) for info in server.asked_for(f"/again{number}.png")]
    assert len(later) == 4
    assert all(info.ech_accepted for info in later)
    assert any(info.resumed for info in later)
    if "firefox" in request.node.name:  # Chromium sends none.
        assert any(info.early_data_status == "accepted" for info in later)


def test_an_old_configuration_is_replaced(
    visit: Visit, names: Names, authority: LocalAuthority
) -> None:
    with served(authority) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        names.publish(port, OLD)
        assert visit(f"https://{SECRET}:{port}/", names.url)
    # The browser ended the first connection, and had the current configuration out of it.
    errors = [each for each in server.failures if isinstance(each, PeerAlertError)]
    assert errors
    assert {each.alert for each in errors} == {"ech_required"}
    assert_encrypted(server)


def test_without_a_configuration_the_browser_sends_grease(
    visit: Visit, names: Names, authority: LocalAuthority
) -> None:
    with served(authority) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        names.zone.records = {(SECRET, "A"): ["127.0.0.1"]}
        assert visit(f"https://{SECRET}:{port}/", names.url)
    assert not server.failures
    assert server.shown_to
    for info in server.shown_to:
        assert not info.ech_accepted
        assert info.server_name == SECRET
