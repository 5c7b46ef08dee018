"""Chromium against the demo and against servers of other configurations.

The authority is in the browser's own database, and no certificate error is overridden: what it
accepts here it accepts from any server.
"""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.browser.conftest import Demo
from tests.browser.databases import trust_database
from tests.browser.site import ONE_AFTER_THE_OTHER, site
from tests.children import child
from tests.required import need_tool
from tests.thief import Thief

from handclasp import PeerAlertError, ServerConfig
from handclasp.certificates.authority import LocalAuthority

pytestmark = [pytest.mark.browser, pytest.mark.fast, pytest.mark.timeout(60)]

# The sandbox needs rights that containers lack, and all that is loaded here is our own page.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
)


@dataclass(frozen=True)
class Loaded:
    """What became of a page: the document as the browser holds it, and its complaints."""

    document: str
    complaints: str


@dataclass(frozen=True)
class Chromium:
    """A browser with a fresh profile and a home directory of its own."""

    program: str
    directory: Path

    def load(self, url: str) -> Loaded:
        profile = f"--user-data-dir={self.directory / 'profile'}"
        command = [self.program, *FLAGS, profile, "--dump-dom", url]
        env = {"HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory / "config")}
        with child(command, self.directory, env=env) as process:
            process.wait(40)
            return Loaded(process.printed(), process.complained())


def chromium(directory: Path, ca: Path | None) -> Chromium:
    program = need_tool("chromium")
    trust_database(directory / ".pki" / "nssdb", ca)
    return Chromium(program, directory)


@pytest.fixture
def browser(tmp_path: Path, ca: Path) -> Chromium:
    """A browser that trusts the authority."""
    return chromium(tmp_path / "chromium", ca)


@pytest.fixture
def stranger(tmp_path: Path) -> Chromium:
    """A browser that has never heard of the authority."""
    return chromium(tmp_path / "stranger", None)


class Definitions(HTMLParser):
    """The dl lists of a document, as a dict of what each dt says."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self._tag, self._term = "", ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag == "dt":
            self._term = data
        elif self._tag == "dd":
            self.values.setdefault(self._term, []).append(data)


def test_the_demo_shows_the_browser_its_own_connection(browser: Chromium, demo: Demo) -> None:
    document = browser.load(demo.url).document
    shown = Definitions(document).values
    assert "<h1>Your browser's handshake</h1>" in document
    assert [f'id="step-{number}"' in document for number in range(1, 9)] == [True] * 7 + [False]
    assert "withstand quantum computers" not in document
    assert "cannot be read with a quantum computer" in document.replace("\n", " ")
    assert shown["version"] == ["TLSv1.3"]
    assert shown["key exchange"] == ["X25519MLKEM768"]
    assert shown["application protocol"] == ["http/1.1"]
    assert shown["server name"] == ["localhost"]
    assert shown["hellos"] == ["one"]
    (suite,) = shown["cipher suite"]
    demo.process.wait_for(f"^A visit: TLSv1.3, {suite}, X25519MLKEM768, http/1.1$")
    assert not any("alert" in line for line in demo.visits())


def test_an_unknown_authority_is_refused_and_the_demo_goes_on(
    stranger: Chromium, browser: Chromium, demo: Demo
) -> None:
    loaded = stranger.load(demo.url)
    assert "ERR_CERT_AUTHORITY_INVALID" in loaded.complaints
    assert "handshake" not in loaded.document
    alert = r"The client ended the connection with the alert\s+certificate_unknown\."
    demo.process.wait_for(rf"^A visit from port \d+ failed:\s+{alert}")
    assert not any(line.startswith("A visit:") for line in demo.visits())
    assert "Your browser's handshake" in browser.load(demo.url).document


@pytest.mark.parametrize("group", ["secp256r1", "secp384r1", "X25519"])
def test_groups_without_a_share_take_a_hello_retry_request(
    browser: Chromium, authority: LocalAuthority, group: str
) -> None:
    """Chromium sends shares for X25519MLKEM768 and X25519 only."""
    config = ServerConfig(credentials=authority.credentials(["localhost"]), groups=[group])
    with site(config, "<p>Retried.</p>") as server:
        loaded = browser.load(server.url)
    assert "<p>Retried.</p>" in loaded.document, loaded.complaints
    assert not server.failures
    for info in server.shown_to:
        assert (info.version, info.group) == ("TLSv1.3", group)
        assert info.hello_retry is (group != "X25519")
    assert server.shown_to


@pytest.mark.parametrize("suite", ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
@pytest.mark.parametrize(
    ("key_type", "scheme"),
    [
        ("ecdsa-p384", "ecdsa_secp384r1_sha384"),
        ("rsa-2048", "rsa_pss_rsae_sha256"),
        ("mldsa44", "mldsa44"),
    ],
)
def test_suites_and_keys(
    browser: Chromium, authority: LocalAuthority, suite: str, key_type: str, scheme: str
) -> None:
    credentials = authority.credentials(["localhost"], key_type=key_type)
    config = ServerConfig(credentials=credentials, cipher_suites=[suite], alpn=["http/1.1"])
    with site(config, "<p>Served.</p>") as server:
        loaded = browser.load(server.url)
    assert "<p>Served.</p>" in loaded.document, loaded.complaints
    for info in server.shown_to:
        assert (info.cipher_suite, info.signature_scheme) == (suite, scheme)
        assert (info.group, info.alpn) == ("X25519MLKEM768", "http/1.1")
    assert server.shown_to


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_the_next_connection_resumes(
    browser: Chromium, authority: LocalAuthority, version: str
) -> None:
    """What the page needs besides comes over connections that start from a ticket."""
    config = ServerConfig(credentials=authority.credentials(["localhost"]), versions=[version])
    with site(config, ONE_AFTER_THE_OTHER, closes=True) as server:
        browser.load(server.url)
    assert not server.failures
    (first, *_) = server.asked_for("/")
    later = [info for number in range(4) for info in server.asked_for(f"/again{number}.png")]
    assert {info.version for info in (first, *later)} == {version}
    assert not first.resumed
    assert any(info.resumed for info in later)


def test_a_page_of_many_records_arrives_whole(browser: Chromium, authority: LocalAuthority) -> None:
    text = " ".join(f"{number:07}" for number in range(250_000))  # 2 MB, no part like another
    config = ServerConfig(credentials=authority.credentials(["localhost"]))
    with site(config, f"<p>{text}</p>") as server:
        loaded = browser.load(server.url)
    assert f"<p>{text}</p>" in loaded.document


def test_a_certificate_for_another_name_is_refused(
    browser: Chromium, authority: LocalAuthority
) -> None:
    config = ServerConfig(credentials=authority.credentials(["elsewhere.example"]))
    with site(config, "<p>Served.</p>") as server:
        loaded = browser.load(server.url)
    assert "ERR_CERT_COMMON_NAME_INVALID" in loaded.complaints
    assert "Served" not in loaded.document
    assert not server.shown_to
    assert {type(error) for error in server.failures} == {PeerAlertError}


def test_the_authoritys_key_is_of_no_use_against_others(
    browser: Chromium, authority: LocalAuthority, home: Path
) -> None:
    """Whoever has stolen it shows a certificate for a bank as well: Chromium honours the bounds."""
    config = ServerConfig(credentials=Thief.at(home).credentials_for("localhost", "www.bank.com"))
    with site(config, "<p>Served.</p>") as server:
        loaded = browser.load(server.url)
    assert "ERR_CERT" in loaded.complaints
    assert "Served" not in loaded.document
    assert not server.shown_to
