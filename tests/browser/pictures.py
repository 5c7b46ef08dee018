"""Takes the pictures in docs: `python -m tests.browser.pictures [DIRECTORY]`, docs/page if none.

Both browsers, three widths, light and dark: to be looked at after every change of the pages.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.browser.driven import Driven, driven_chromium
from tests.browser.driven_firefox import Firefox, driven_firefox
from tests.children import child
from tests.cli.test_connect import server, tls_server
from tests.recorded import converse
from tests.story.page.test_document import failing

from handclasp import ClientConfig, ServerConfig
from handclasp.certificates import describe_certificate, explain
from handclasp.certificates.authority import LocalAuthority
from handclasp.story.facts import facts_of

DOCS = Path(__file__).parents[2] / "docs" / "page"
SIZES = ((390, 844), (820, 1180), (1280, 960))
OPEN = "document.querySelector('.message summary.head')"
TO_MESSAGE = (
    f"window.scrollTo({{top: {OPEN}.getBoundingClientRect().top + scrollY - 60,"
    " behavior: 'instant'})"
)
FIELD = (
    "[...document.querySelectorAll('.tree .row')]"
    ".find((row) => row.querySelector('.f').textContent === 'cipher_suites')"
)

CHOOSE = f"({FIELD}.parentElement.open = true, {FIELD}.focus({{preventScroll: true}}))"


def main() -> None:
    """All of them."""
    to = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        authority = LocalAuthority.open_or_create(directory / "authority")
        page = _page(authority, directory)
        ca = directory / "authority" / "ca.pem"
        with driven_chromium(directory / "chromium", ca) as chromium:
            _chromium(chromium, page, to)
            _failure(chromium, authority, directory, to)
            with _demo(directory) as url:
                _live(chromium, url, to)
            _watched(chromium, authority, directory, to)
        with driven_firefox(directory / "firefox", ca) as firefox:
            _firefox(firefox, page, to)


def _page(authority: LocalAuthority, directory: Path) -> str:
    server = ServerConfig(credentials=authority.credentials(["localhost"]), alpn=("http/1.1",))
    client = ClientConfig(trust=authority.trust, alpn=("h2", "http/1.1"))
    before, now = (converse(client, server, secrets=True).client for _ in "ab")
    info = facts_of(now.events).info
    assert info is not None
    chain = info.peer_chain_der
    explanation = explain(chain, "localhost", authority.trust, datetime.now(UTC)).to_json()
    path = directory / "page.html"
    path.write_text(
        now.to_html(
            "A handshake with localhost",
            describe_certificate,
            explanation=explanation,
            earlier=before,
        ),
        "utf-8",
    )
    return path.as_uri()


def _chromium(browser: Driven, page: str, to: Path) -> None:
    for width, height in SIZES:
        browser.resize(width, height)
        browser.prefer("dark" if width == 390 else "light")
        browser.open(page)
        # By script: what the pointer is left on would be chosen instead of the field below.
        browser.script(f"{OPEN}.click()")
        browser.script(TO_MESSAGE)
        browser.script(CHOOSE)
        _store(browser.driver.get_screenshot_as_png(), to / f"chromium-{width}.png")
    browser.prefer("light")
    browser.resize(1280, 960)
    browser.open(page)
    for name, selector in (("trust", "#step-3"), ("keys", "svg.schedule"), ("cost", "svg.costs")):
        browser.script(
            f"document.querySelector('{selector}').scrollIntoView({{behavior: 'instant'}})"
        )
        browser.script("window.scrollBy({top: -60, behavior: 'instant'})")
        _store(browser.driver.get_screenshot_as_png(), to / f"{name}.png")


def _failure(browser: Driven, authority: LocalAuthority, directory: Path, to: Path) -> None:
    client, _ = failing(
        ClientConfig(trust=authority.trust, groups=("X25519",)),
        ServerConfig(credentials=authority.credentials(["localhost"]), groups=("secp384r1",)),
    )
    path = directory / "failure.html"
    path.write_text(client.to_html("A handshake with localhost", describe_certificate), "utf-8")
    browser.resize(1280, 960)
    browser.open(path.as_uri())
    _store(browser.driver.get_screenshot_as_png(), to / "failure.png")


def _live(browser: Driven, url: str, to: Path) -> None:
    browser.resize(1280, 960)
    for _ in range(3):
        browser.open(url)
        browser.wait_for(lambda: browser.one("#live").text == "live", "the stream is open")
    browser.click(browser.one("#again"))
    browser.wait_for(lambda: "/connection.json" in browser.one("#rows").text, "it is listed")
    browser.script("window.scrollTo({top: 0, behavior: 'instant'})")
    browser.resize(1000, 1500)
    _store(browser.driver.get_screenshot_as_png(), to.parent / "demo.png")
    for width, height in (SIZES[0], SIZES[-1]):
        browser.resize(width, height)
        _store(browser.driver.get_screenshot_as_png(), to / f"live-{width}.png")


_PROGRAMS = """
curl -s --cacert "$2" "$1"
"$0" -c 'import ssl, sys, urllib.request as r
r.urlopen(sys.argv[1], context=ssl.create_default_context(cafile=sys.argv[2]))' "$1" "$2"
curl -s "$1"
env -u SSLKEYLOGFILE curl -s --cacert "$2" "$1"
"""
"""Two that agree with the server, one that does not know its authority, and one without a key log.
"""


def _watched(browser: Driven, authority: LocalAuthority, directory: Path, to: Path) -> None:
    """The live page of `watch`, and that of the connection that failed."""
    answer = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    serve = tls_server(authority.credentials(["localhost"]), answer)
    ca = str(directory / "authority" / "ca.pem")
    with server(serve, connections=4) as port:
        command = [sys.executable, "-m", "handclasp", "watch", "--live", "--ca", ca, "--"]
        programs = ["sh", "-c", _PROGRAMS, sys.executable, f"https://localhost:{port}/", ca]
        env = {"TMPDIR": str(directory)}  # It is killed in the end.
        with child([*command, *programs], directory, env=env) as watch:
            url = watch.wait_for(r"The page stays until Ctrl-C: (\S+)")[1]
            for width, height in (SIZES[0], SIZES[-1]):
                browser.resize(width, height)
                browser.open(url.replace("127.0.0.1", "localhost"))
                browser.wait_for(lambda: len(browser.all("#rows tr")) == 4, "all are listed")
                _store(browser.driver.get_screenshot_as_png(), to / f"watch-{width}.png")
            browser.click(browser.one("#rows tr.failed a"))
            browser.wait_for(lambda: browser.one("#live").text == "live", "the stream is open")
            _store(browser.driver.get_screenshot_as_png(), to / "watch-failure.png")


def _firefox(browser: Firefox, page: str, to: Path) -> None:
    for width, height in SIZES:
        browser.resize(width, height)
        browser.open(page)
        browser.move_to(OPEN, click=True)
        browser.wait_for(lambda: browser.value(f"{FIELD}.tabIndex === -1"), "it is alive")
        browser.value(f"{TO_MESSAGE} ?? 0")
        browser.value(f"{CHOOSE} ?? 0")
        _store(browser.picture(), to / f"firefox-{width}.png")


def _store(png: bytes, path: Path) -> None:
    """With a palette, which makes them a quarter as large, where Pillow is installed."""
    if find_spec("PIL") is not None:
        image: Any = import_module("PIL.Image")
        picture = image.open(BytesIO(png)).convert("RGB").quantize(96)
        picture.save(path, optimize=True)
    else:
        path.write_bytes(png)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


@contextmanager
def _demo(directory: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "handclasp", "demo", "--no-browser", "--port", "0"]
    with child(command, directory, env={"HANDCLASP_HOME": str(directory / "authority")}) as demo:
        url = demo.wait_for(r"^Listening on (https://localhost:\d+/)$")[1]
        demo.wait_for("Ctrl-C ends it")
        yield url


if __name__ == "__main__":
    main()
