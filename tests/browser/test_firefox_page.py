"""The page and the live demo in Firefox: what a script and a style can do differs from Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser.conftest import Demo
from tests.browser.driven_firefox import Firefox, driven_firefox
from tests.browser.test_page import LINES
from tests.pki import Pki
from tests.recorded import converse
from tests.story.page.test_document import EVIL, hostile_events

from handclasp import ClientConfig, ServerConfig
from handclasp.story.page import page_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]

OPEN = "document.querySelector('.message summary.head')"


@pytest.fixture
def browser(tmp_path: Path, ca: Path) -> Iterator[Firefox]:
    with driven_firefox(tmp_path / "firefox", ca) as driven:
        yield driven


def stored(document: str, directory: Path) -> str:
    path = directory / "page.html"
    path.write_text(document, "utf-8")
    return path.as_uri()


def lit(browser: Firefox, selector: str) -> list[str]:
    found: list[str] = browser.value(
        f"[...document.querySelectorAll('{selector}.lit')].map((e) => e.innerText)"
    )
    return found


def row(name: str) -> str:
    """The row of a field of the first message, as an expression."""
    return (
        "[...document.querySelector('.tree').querySelectorAll('.row')]"
        f".find((row) => row.querySelector('.f').textContent === '{name}')"
    )


def test_fields_and_bytes_light_each_other(browser: Firefox, tmp_path: Path) -> None:
    pki = Pki()
    recorded = converse(
        ClientConfig(trust=pki.trust), ServerConfig(credentials=pki.server()), secrets=True
    )
    browser.open(stored(recorded.client.to_html("localhost"), tmp_path))
    browser.move_to(OPEN, click=True)
    browser.wait_for(lambda: browser.value(f"{row('random')}.tabIndex === -1"), "it is alive")
    browser.move_to(row("random"))
    (piece,) = browser.wait_for(lambda: lit(browser, ".hex i"), "its bytes are lit")
    assert len(piece.split()) == 32
    browser.move_to("document.querySelector('.hex i')", click=True)
    browser.wait_for(lambda: "msg_type" in "".join(lit(browser, ".row")), "its field is lit")
    for width in (390, 820, 1280):
        browser.resize(width, 900)
        assert browser.value("document.documentElement.scrollWidth") <= width
        lines, offsets = browser.value(LINES)
        assert lines == offsets, "each line of bytes has its offset"


def test_a_peers_text_does_nothing(browser: Firefox, tmp_path: Path) -> None:
    document = page_of(hostile_events(), EVIL)
    browser.open(stored(document, tmp_path))
    assert browser.value("document.querySelector('h1').textContent") == EVIL
    assert browser.value("document.images.length") == 0
    holed = document.replace("<main>", "<main><script>window.ran = 1</script>")
    browser.open(stored(holed, tmp_path))
    assert browser.value("window.ran ?? null") is None, "the policy stops what is not escaped"


def test_the_demo_is_live(browser: Firefox, demo: Demo) -> None:
    browser.open(demo.url)
    assert browser.value("document.querySelector('h1').textContent") == "Your browser's handshake"
    live = "document.getElementById('live').textContent"
    browser.wait_for(lambda: browser.value(live) == "live", "the stream is open")
    text = "document.getElementById('rows').innerText"
    assert "full handshake" in browser.value(text)
    browser.move_to("document.getElementById('again')", click=True)
    browser.wait_for(
        lambda: "/connection.json" in browser.value(text), "the new connection is on the list"
    )
    browser.wait_for(lambda: "came back with a ticket" in browser.value(text), "it was resumed")
    browser.open(demo.url)
    assert "t13d" in browser.value("document.getElementById('fingerprint').innerText")
