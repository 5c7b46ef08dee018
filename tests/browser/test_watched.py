"""The live page of `watch`, in a browser."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.browser.conftest import SOURCE
from tests.browser.driven import Driven, driven_chromium
from tests.children import Child, child
from tests.cli.test_connect import server, tls_server

import handclasp
from handclasp import CertificateError, ClientConfig, TrustStore
from handclasp.certificates.authority import LocalAuthority

pytestmark = [pytest.mark.browser, pytest.mark.fast, pytest.mark.timeout(90)]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Driven]:
    with driven_chromium(tmp_path / "chromium", None) as driven:
        yield driven


@pytest.fixture
def watch(authority: LocalAuthority, ca: Path, tmp_path: Path) -> Iterator[Child]:
    """A relay with a page, to a server of the authority."""
    with server(tls_server(authority.credentials(["localhost"]), b"hello"), 2) as port:
        command = [sys.executable, "-m", "handclasp", "watch", "--live", "--ca", str(ca)]
        env = {"PYTHONPATH": SOURCE, "PYTHONWARNINGS": "error"}
        with child([*command, f"localhost:{port}"], tmp_path, env=env) as process:
            yield process


def address_of(watch: Child) -> tuple[str, int]:
    """The page, under the name that browsers of the tests resolve, and the relay's port."""
    url = watch.wait_for(r"(http://127\.0\.0\.1:\S+)")[1].replace("127.0.0.1", "localhost")
    return url, int(watch.wait_for(r"^Listening on 127\.0\.0\.1:(\d+);")[1])


def is_live(browser: Driven) -> bool:
    return browser.one("#live").text == "live"


def visit(port: int, trust: TrustStore) -> None:
    config = ClientConfig(trust=trust)
    with handclasp.connect("127.0.0.1", port, config, server_name="localhost", timeout=20) as tls:
        assert tls.recv(5) == b"hello"


def test_connections_appear_and_have_a_page_each(
    browser: Driven, watch: Child, authority: LocalAuthority
) -> None:
    url, port = address_of(watch)
    browser.open(url)
    browser.wait_for(lambda: is_live(browser), "the stream is open")
    assert browser.all("#rows tr") == []
    visit(port, authority.trust)
    browser.wait_for(lambda: len(browser.all("#rows tr")) == 1, "it is listed")
    with pytest.raises(CertificateError):
        visit(port, TrustStore.system())
    browser.wait_for(lambda: len(browser.all("#rows tr.failed")) == 1, "the failure is listed")
    link = browser.one("#rows tr.failed a")
    assert link.text == "2"
    browser.click(link)
    browser.wait_for(lambda: is_live(browser), "the stream is open")
    assert browser.one("h1").text.startswith("Connection 2: ")
    assert browser.one("tr.this a").text == "2"
    assert "It failed, seen from the server" in browser.one("#failure").text
    assert browser.complaints() == []


HOSTILE = "<img src=x onerror=document.title=1>\x1b[31m\x1b]0;evil\x07\u202e\u2066</td>".encode()


def hostile_hello() -> bytes:
    """A ClientHello whose name and protocol are markup, escapes and bidirectional marks."""
    name, protocol = "a" * 60 + "." + "b" * 60 + ".test", "c" * 200
    context = ssl.create_default_context()
    context.set_alpn_protocols([protocol])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    hello = outgoing.read()
    for text in (name, protocol):
        assert text.encode() in hello
        hello = hello.replace(text.encode(), (HOSTILE * 9)[: len(text)])
    return hello


def test_hostile_names_and_protocols_are_text(browser: Driven, watch: Child) -> None:
    url, port = address_of(watch)
    browser.open(url)
    browser.wait_for(lambda: is_live(browser), "the stream is open")
    title = browser.script("return document.title")
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(hostile_hello())
        while sock.recv(100):
            pass
    browser.wait_for(lambda: len(browser.all("#rows tr")) == 1, "it is listed")
    marks = "return /[\\u001b\\u0007\\u202e\\u2066]/.test(document.body.innerText)"
    assert browser.script("return document.title") == title
    assert browser.all("img[onerror]") == []
    assert not browser.script(marks)
    browser.click(browser.one("#rows tr a"))
    browser.wait_for(lambda: is_live(browser), "the stream is open")
    assert browser.script("return document.title") != "1"
    assert browser.all("img[onerror]") == []
    assert not browser.script(marks)
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [320, 390, 640, 820, 1280])
def test_the_page_at_all_widths(
    browser: Driven, watch: Child, authority: LocalAuthority, width: int
) -> None:
    url, port = address_of(watch)
    visit(port, authority.trust)
    with pytest.raises(CertificateError):
        visit(port, TrustStore.system())
    browser.resize(width, 900)
    browser.open(url)
    browser.wait_for(lambda: len(browser.all("#rows tr")) == 2, "both are listed")
    assert browser.script("return document.documentElement.scrollWidth") <= width
    assert browser.accessibility_faults() == []
    assert browser.unreadable() == []
    browser.click(browser.one("#rows tr.failed a"))
    browser.wait_for(lambda: is_live(browser), "the stream is open")
    assert browser.script("return document.documentElement.scrollWidth") <= width
    assert browser.accessibility_faults() == []
