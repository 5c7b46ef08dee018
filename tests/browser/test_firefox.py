"""Firefox against the demo and against a server that makes it retry.

The authority is in the profile's database. Firefox does not hand out the document, so its
screenshot and what the server saw have to tell.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.browser.conftest import Demo
from tests.browser.databases import trust_database
from tests.browser.site import ONE_AFTER_THE_OTHER, Site, site
from tests.children import Child, child
from tests.required import need_tool
from tests.thief import Thief

import handclasp
from handclasp import ClientConfig, PeerAlertError, ServerConfig
from handclasp.certificates.authority import LocalAuthority
from handclasp.handshake.tls13 import certificate as certificate13
from handclasp.wire.compression import COMPRESSION_ALGORITHMS
from handclasp.wire.messages import CompressedCertificate, read_message

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60)]

# Whatever Firefox would like to fetch for itself goes to a proxy that is not there; localhost
# never goes through a proxy. The rest keeps it from asking, showing or writing things first.
SETTINGS = """\
user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("network.dns.disablePrefetch", true);
user_pref("network.trr.mode", 5);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("datareporting.healthreport.uploadEnabled", false);
user_pref("toolkit.telemetry.server", "");
user_pref("app.normandy.enabled", false);
user_pref("app.update.auto", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("extensions.update.enabled", false);
user_pref("services.settings.server", "https://localhost:9/");
"""

# A page of this colour: nothing that the browser shows of its own accord looks like it.
COLOUR = (18, 52, 86)
PAGE = f"<body style='background: rgb{COLOUR}'></body>"


@dataclass(frozen=True)
class Firefox:
    """A browser with a fresh profile and a home directory of its own."""

    program: str
    directory: Path

    @property
    def _picture(self) -> Path:
        return self.directory / "picture.png"

    @contextmanager
    def opened(self, url: str) -> Iterator[Child]:
        """The browser while it makes a screenshot of what is at `url`."""
        profile = str(self.directory / "profile")
        command = [self.program, "--headless", "--no-remote", "--profile", profile]
        command += ["--window-size", "640,400", "--screenshot", str(self._picture), url]
        env = {"HOME": str(self.directory), "MOZ_CRASHREPORTER_DISABLE": "1"}
        with child(command, self.directory, env=env) as process:
            yield process

    def picture(self, url: str) -> bytes:
        """A screenshot of what is at `url`, as PNG."""
        with self.opened(url) as process:
            process.wait(45)
            assert self._picture.exists(), process.said()
        return self._picture.read_bytes()


def firefox(directory: Path, ca: Path | None) -> Firefox:
    program = need_tool("firefox-esr")
    trust_database(directory / "profile", ca)
    (directory / "profile" / "user.js").write_text(SETTINGS)
    return Firefox(program, directory)


@pytest.fixture
def browser(tmp_path: Path, ca: Path) -> Firefox:
    """A browser that trusts the authority."""
    return firefox(tmp_path / "firefox", ca)


@pytest.fixture
def stranger(tmp_path: Path) -> Firefox:
    """A browser that has never heard of the authority."""
    return firefox(tmp_path / "stranger", None)


def colours(png: bytes) -> set[tuple[int, int, int]]:
    """The colours of the first row of an RGB or RGBA picture with 8 bits for each (W3C PNG)."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = [], 8
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        chunks.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + size]))
        at += 12 + size
    assert chunks[-1][0] == b"IEND"
    width, _, depth, kind = struct.unpack_from(">IIBB", chunks[0][1])
    assert depth == 8
    pixel = {2: 3, 6: 4}[kind]
    pixels = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    # Of the filters, only those that look at the left neighbour say anything in the first row.
    row, left = bytearray(pixels[1 : 1 + width * pixel]), {0: 0, 1: 1, 2: 0, 3: 0.5, 4: 1}
    for index in range(pixel, len(row)):
        row[index] = (row[index] + int(row[index - pixel] * left[pixels[0]])) % 256
    return {(row[at], row[at + 1], row[at + 2]) for at in range(0, len(row), pixel)}


def shown(server: Site, picture: bytes) -> bool:
    """Whether the page was served and is what the picture shows."""
    return bool(server.shown_to) and colours(picture) == {COLOUR}


def paper(demo: Demo, authority: LocalAuthority) -> set[tuple[int, ...]]:
    """The colours of the demo's page by day and by night, as its style sheet names them."""
    port, config = int(demo.url[:-1].rpartition(":")[2]), ClientConfig(trust=authority.trust)
    with handclasp.connect("localhost", port, config, timeout=20) as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: tls.recv(65536), b""))
    found = re.findall(rb"--paper: #(\w{6})", answer)
    assert len(found) == 2
    return {tuple(bytes.fromhex(colour.decode())) for colour in found}


def test_the_demo_serves_it(browser: Firefox, demo: Demo, authority: LocalAuthority) -> None:
    picture = browser.picture(demo.url)
    demo.process.wait_for(r"^A visit: TLSv1.3, TLS_\w+, X25519MLKEM768, http/1.1$")
    assert not any("alert" in line for line in demo.visits())
    assert colours(picture) <= paper(demo, authority)


def test_the_server_and_the_screen_agree(browser: Firefox, authority: LocalAuthority) -> None:
    config = ServerConfig(credentials=authority.credentials(["localhost"]), alpn=["http/1.1"])
    with site(config, PAGE) as server:
        picture = browser.picture(server.url)
    assert shown(server, picture)
    assert not server.failures
    for info in server.shown_to:
        assert (info.version, info.group) == ("TLSv1.3", "X25519MLKEM768")
        assert (info.server_name, info.alpn) == ("localhost", "http/1.1")
        assert not info.hello_retry


@pytest.mark.parametrize("algorithm", ["zlib", "brotli", "zstd"])
def test_certificates_come_compressed(
    browser: Firefox,
    authority: LocalAuthority,
    algorithm: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[bytes] = []
    smaller = certificate13._smaller

    def noting(name: str, raw: bytes) -> bytes:
        sent.append(smaller(name, raw))
        return sent[-1]

    monkeypatch.setattr(certificate13, "_smaller", noting)
    config = ServerConfig(
        credentials=authority.credentials(["localhost"]), certificate_compression=[algorithm]
    )
    with site(config, PAGE) as server:
        picture = browser.picture(server.url)
    assert shown(server, picture)
    messages = [read_message(raw) for raw in sent]
    assert messages
    for message in messages:
        assert isinstance(message, CompressedCertificate)
        assert message.algorithm == COMPRESSION_ALGORITHMS[algorithm]


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_the_next_connection_resumes(
    browser: Firefox, authority: LocalAuthority, version: str
) -> None:
    """What the page needs besides comes over connections that start from a ticket."""
    config = ServerConfig(credentials=authority.credentials(["localhost"]), versions=[version])
    with site(config, ONE_AFTER_THE_OTHER, closes=True) as server:
        browser.picture(server.url)
    assert not server.failures
    (first, *_) = server.asked_for("/")
    later = [info for number in range(4) for info in server.asked_for(f"/again{number}.png")]
    assert {info.version for info in (first, *later)} == {version}
    assert not first.resumed
    assert any(info.resumed for info in later)


def test_requests_come_early(browser: Firefox, authority: LocalAuthority) -> None:
    """Firefox sends what may be repeated with its first flight (0-RTT) where a ticket allows it."""
    config = ServerConfig(
        credentials=authority.credentials(["localhost"]), alpn=["http/1.1"], max_early_data=16_384
    )
    with site(config, ONE_AFTER_THE_OTHER, closes=True) as server:
        browser.picture(server.url)
    assert not server.failures
    later = [info for number in range(4) for info in server.asked_for(f"/again{number}.png")]
    assert len(later) == 4
    assert any(info.early_data_status == "accepted" for info in later)


@pytest.mark.parametrize("group", ["secp384r1", "secp521r1", "secp256r1"])
def test_groups_without_a_share_take_a_hello_retry_request(
    browser: Firefox, authority: LocalAuthority, group: str
) -> None:
    """Firefox sends shares for X25519MLKEM768, X25519 and secp256r1."""
    config = ServerConfig(credentials=authority.credentials(["localhost"]), groups=[group])
    with site(config, PAGE) as server:
        picture = browser.picture(server.url)
    assert shown(server, picture)
    assert not server.failures
    for info in server.shown_to:
        assert (info.version, info.group) == ("TLSv1.3", group)
        assert info.hello_retry is (group != "secp256r1")


def test_an_unknown_authority_is_refused_and_the_site_goes_on(
    stranger: Firefox, browser: Firefox, authority: LocalAuthority
) -> None:
    config = ServerConfig(credentials=authority.credentials(["localhost"]))
    with site(config, PAGE) as server:
        with stranger.opened(server.url):  # Faced with its own warning, it never ends.
            server.wait_for_failure()
        assert not server.shown_to
        picture = browser.picture(server.url)
    assert shown(server, picture)
    assert {type(error) for error in server.failures} == {PeerAlertError}
    assert {error.alert for error in server.failures} == {"unknown_ca"}


def test_the_authoritys_key_is_of_no_use_against_others(
    browser: Firefox, authority: LocalAuthority, home: Path
) -> None:
    """Whoever has stolen it shows a certificate for a bank as well: Firefox honours the bounds."""
    config = ServerConfig(credentials=Thief.at(home).credentials_for("localhost", "www.bank.com"))
    with site(config, PAGE) as server, browser.opened(server.url):
        server.wait_for_failure()
    assert not server.shown_to
    assert {type(error) for error in server.failures} == {PeerAlertError}
