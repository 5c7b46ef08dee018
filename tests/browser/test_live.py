"""The demo, live: browsers watch their own handshakes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from tests.browser.conftest import Demo
from tests.browser.driven import Driven, WebDriverException, driven_chromium

import handclasp
from handclasp import ClientConfig
from handclasp.certificates.authority import LocalAuthority
from handclasp.story.fingerprints import ja4_of
from handclasp.wire.messages import ClientHello, read_message

pytestmark = [pytest.mark.browser, pytest.mark.fast, pytest.mark.timeout(90)]


@pytest.fixture
def browser(tmp_path: Path, ca: Path) -> Iterator[Driven]:
    with driven_chromium(tmp_path / "chromium", ca) as driven:
        yield driven


def rows(browser: Driven) -> list[list[str]]:
    """The list of connections, cell by cell, the newest first."""
    found: list[list[str]] = browser.script(
        "return [...document.querySelectorAll('#rows tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return found


def outcomes(browser: Driven) -> list[str]:
    """What became of each, the oldest first."""
    return [row[3] for row in reversed(rows(browser))]


def is_live(browser: Driven) -> bool:
    return browser.one("#live").text == "live"


def test_a_browser_sees_its_own_hello(browser: Driven, demo: Demo) -> None:
    browser.open(demo.url)
    assert browser.one("h1").text == "Your browser's handshake"
    agreed = browser.one("#agreed").text
    for value in ("TLSv1.3", "X25519MLKEM768", "http/1.1", "localhost"):
        assert value in agreed
    browser.click(browser.all(".message summary.head")[0])
    raw = bytes.fromhex(browser.all(".hex")[0].text.replace("\n", " "))
    hello = read_message(raw)
    assert isinstance(hello, ClientHello), "the very bytes of the hello are on the page"
    assert ja4_of(hello).value in browser.one("#fingerprint").text
    assert ja4_of(hello).value.startswith("t13d15")
    assert browser.complaints() == []


def test_what_comes_next_is_seen_live_and_is_resumed(browser: Driven, demo: Demo) -> None:
    browser.open(demo.url)
    browser.wait_for(lambda: is_live(browser), "the stream is open")
    before = {row[0] for row in rows(browser)}
    browser.click(browser.one("#again"))

    def arrived() -> list[list[str]]:
        return [
            row for row in rows(browser) if row[0] not in before and "/connection.json" in row[2]
        ]

    (new,) = browser.wait_for(arrived, "the new connection is on the list")
    assert new[3].startswith("came back with a ticket")
    assert browser.complaints() == []


def test_a_reload_comes_back_with_a_ticket(browser: Driven, demo: Demo) -> None:
    browser.open(demo.url)
    browser.wait_for(lambda: is_live(browser), "the stream is open")
    assert browser.one("#agreed").text.count("resumed\nno") == 1
    for _ in range(3):  # One that was opened ahead of need has no ticket yet.
        browser.driver.refresh()
        browser.wait_for(lambda: is_live(browser), "the stream is open again")
        if "yes, an earlier session" in browser.one("#agreed").text:
            break
    else:
        raise AssertionError(outcomes(browser))
    assert "the two know each other from an earlier session" in browser.one("#step-2").text
    assert "This connection beside the last one" in browser.one("#step-7").text
    assert "THE SAME" not in browser.one("#step-7").text
    assert outcomes(browser)[0].startswith("full handshake")
    assert outcomes(browser)[-1].startswith("came back with a ticket")


def test_each_connection_has_its_page(browser: Driven, demo: Demo) -> None:
    browser.open(demo.url)
    browser.wait_for(lambda: is_live(browser), "the stream is open")
    link = browser.all("#rows a")[-1]
    number = link.text
    browser.click(link)
    assert browser.one("h1").text == f"Connection {number}"
    assert browser.one("tr.this").text.startswith(number)
    browser.open(f"{demo.url}demo")
    assert browser.one("h1").text == "The demo's own handshake"
    assert "every rule held" in browser.one("#verdict").text
    assert browser.complaints() == []


def test_several_browsers_at_once_see_their_own(
    browser: Driven, demo: Demo, tmp_path: Path, ca: Path
) -> None:
    with driven_chromium(tmp_path / "other", ca) as other:
        for each in (browser, other, browser, other):
            each.open(demo.url)
        for each in (browser, other):
            each.wait_for(partial(is_live, each), "both watch at once")
        mine, theirs = ({row[0] for row in rows(each)} for each in (browser, other))
        assert mine
        assert theirs
        assert not mine & theirs
        foreign = next(iter(theirs))
        browser.open(f"{demo.url}connections/{foreign}")
        assert "Not Found" in browser.one("body").text


def test_a_failed_handshake_shows_up_live(browser: Driven, demo: Demo, tmp_path: Path) -> None:
    """A second browser of the same kind does not trust the authority, and says so."""
    browser.open(demo.url)
    browser.wait_for(lambda: is_live(browser), "the stream is open")
    with driven_chromium(tmp_path / "stranger", None) as stranger:
        with suppress(WebDriverException):  # Some versions raise, some show their warning.
            stranger.open(demo.url)
        assert "handshake" not in stranger.one("body").text

    def failed() -> list[list[str]]:
        return [row for row in rows(browser) if row[3].startswith("failed")]

    row = browser.wait_for(failed, "the failure is on the list")[0]
    assert "certificate_unknown" in row[3]
    browser.open(f"{demo.url}connections/{row[0]}")
    assert "The client gave up during the handshake" in browser.one("#failure").text
    assert "certificate_unknown" in browser.one("#failure").text
    assert browser.all(".message summary.head"), "all that was said until then is there"


def test_what_another_client_says_of_itself_does_nothing(
    browser: Driven, demo: Demo, authority: LocalAuthority
) -> None:
    """Protocols and paths are text of a peer, on this page and in its stream."""
    browser.open(demo.url)
    browser.wait_for(lambda: is_live(browser), "the stream is open")
    cookie = browser.driver.get_cookie("__Host-browser")["value"]
    path = "/<img/src=x/onerror=document.title=1>"
    config = ClientConfig(
        trust=authority.trust, alpn=("<script>document.title=1</script>", "http/1.1")
    )
    port = int(demo.url[:-1].rpartition(":")[2])
    with handclasp.connect("localhost", port, config, timeout=20) as tls:
        request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: __Host-browser={cookie}\r\n\r\n"
        )
        tls.sendall(request.encode())
        while tls.recv(65536):
            pass
    browser.wait_for(lambda: any(path in row[2] for row in rows(browser)), "it is on the list")
    number = next(row[0] for row in rows(browser) if path in row[2])
    browser.open(f"{demo.url}connections/{number}")
    assert "<script>document.title=1</script>" in browser.one("#step-1").text
    assert browser.all("#rows img, #step-1 script") == []
    assert browser.driver.title == f"Connection {number}"


@pytest.mark.parametrize("width", [320, 360, 390, 640, 820, 1280])
def test_the_live_page_at_all_widths(browser: Driven, demo: Demo, width: int) -> None:
    browser.resize(width, 900)
    browser.open(demo.url)
    browser.wait_for(lambda: is_live(browser), "the stream is open")
    assert browser.script("return document.documentElement.scrollWidth") <= width
    assert browser.accessibility_faults() == []
    browser.script("for (const each of document.querySelectorAll('details')) each.open = true")
    assert browser.unreadable() == []
