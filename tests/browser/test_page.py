"""The page of a recorded handshake, clicked through in Chromium: from a file, without network."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.browser.driven import WEB, Driven, driven_chromium
from tests.pki import Pki
from tests.recorded import converse, shuttle
from tests.required import lacking, need_tool
from tests.story.page.test_document import EVIL, failing, hostile_events

from handclasp import (
    ClientConfig,
    ClientConnection,
    Recorder,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.certificates import describe_certificate, explain
from handclasp.story.facts import facts_of
from handclasp.story.page import page_of

pytestmark = [pytest.mark.browser, pytest.mark.fast, pytest.mark.timeout(90)]

WIDTHS = (320, 360, 390, 640, 641, 820, 1280)


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    with driven_chromium(tmp_path_factory.mktemp("chromium"), None) as driven:
        yield driven


@pytest.fixture(scope="module")
def page(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page with all that there is: secrets, the decision, an earlier connection."""
    both = [
        converse(
            ClientConfig(trust=pki.trust, alpn=("h2", "http/1.1")),
            ServerConfig(credentials=pki.server(), alpn=("http/1.1",)),
            secrets=True,
        ).client
        for _ in "ab"
    ]
    info = facts_of(both[1].events).info
    assert info is not None
    judged = explain(info.peer_chain_der, "localhost", pki.trust, datetime.now(UTC)).to_json()
    document = both[1].to_html(
        "localhost", describe_certificate, explanation=judged, earlier=both[0]
    )
    return stored(document, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def failed(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a client that was shown a certificate for somebody else."""
    recorder = Recorder()
    client = ClientConnection(
        ClientConfig(trust=pki.trust), server_name="elsewhere.example", trace=recorder
    )
    with pytest.raises(TLSError) as raised:
        shuttle(client, ServerConnection(ServerConfig(credentials=pki.server())))
    chain = getattr(raised.value, "chain_der", ())
    judged = explain(chain, "elsewhere.example", pki.trust, datetime.now(UTC)).to_json()
    document = recorder.to_html("A failure", describe_certificate, explanation=judged)
    return stored(document, tmp_path_factory.mktemp("failed"))


@pytest.fixture(scope="module")
def declined(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a client whose groups do not suit the server; there are other causes, too."""
    client, _ = failing(
        ClientConfig(trust=pki.trust, groups=("X25519",)),
        ServerConfig(credentials=pki.server(), groups=("secp384r1",)),
    )
    document = client.to_html("A failure", describe_certificate)
    assert "What else it may be" in document
    return stored(document, tmp_path_factory.mktemp("declined"))


def stored(document: str, directory: Path) -> str:
    """Its address."""
    path = directory / "page.html"
    path.write_text(document, "utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser: Driven, page: str) -> Driven:
    """The page with its first message open."""
    browser.resize(1280, 900)
    browser.open(page)
    browser.click(browser.all(".message summary.head")[0])
    browser.wait_for(lambda: browser.all(".tree .row[tabindex='0']"), "the message is alive")
    return browser


def lit(browser: Driven, selector: str) -> list[str]:
    return [element.text for element in browser.all(f"{selector}.lit") if element.is_displayed()]


def row(browser: Driven, name: str) -> object:
    """The row of a field in the first message."""
    return browser.script(
        "return [...document.querySelector('.tree').querySelectorAll('.row')]"
        ".find((row) => row.querySelector('.f').textContent === arguments[0])",
        name,
    )


def test_a_field_lights_its_bytes(opened: Driven) -> None:
    opened.point_at(row(opened, "random"))  # type: ignore[arg-type]
    (shown,) = lit(opened, ".hex i")
    assert len(shown.split()) == 32
    assert "RFC 8446 section 4.1.2" in opened.all(".here")[0].text
    assert "bytes 6 to 37" in opened.all(".here")[0].text


def test_a_field_with_parts_lights_all_of_them(opened: Driven) -> None:
    opened.point_at(row(opened, "cipher_suites"))  # type: ignore[arg-type]
    pieces = lit(opened, ".hex i")
    assert len(pieces) > 5
    assert pieces[0] != pieces[1]


def test_a_byte_lights_its_field_and_shows_it(opened: Driven) -> None:
    """Also one that lies deep inside fields that are folded up."""
    piece = opened.script(
        "const row = [...document.querySelectorAll('.tree .row')]"
        ".find((row) => row.querySelector('.f').textContent === 'host_name');"
        "const at = row.parentElement.querySelectorAll('li > .row')[1].dataset.from;"
        "return document.querySelector(`.hex i[data-at='${at}']`)"
    )
    assert bytes.fromhex(piece.text) == b"localhost"
    opened.click(piece)
    (shown,) = lit(opened, ".tree .row")
    assert "content" in shown
    assert "localhost" in shown
    here = opened.all(".here")[0].text
    path = ("extensions", "server_name", "extension_data", "server_name_list")
    assert " \u203a ".join(path) in here


def test_what_was_chosen_stays_lit_when_the_pointer_leaves(opened: Driven) -> None:
    opened.click(row(opened, "random"))  # type: ignore[arg-type]
    opened.point_at(row(opened, "legacy_version"))  # type: ignore[arg-type]
    assert "legacy_version" in lit(opened, ".tree .row")[0]
    opened.point_at(opened.one("h1"))
    assert "random" in lit(opened, ".tree .row")[0]


def test_the_keyboard_is_enough(browser: Driven, page: str) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    browser.press(Keys.TAB)
    assert browser.script("return document.activeElement.className") == "skip"
    browser.script("document.querySelector('.message summary.head').focus()")
    browser.press(Keys.ENTER)
    browser.wait_for(lambda: browser.all(".tree .row[tabindex='0']"), "the message is alive")
    browser.press(Keys.TAB)
    browser.wait_for(lambda: lit(browser, ".tree .row"), "the first field is lit")
    assert "msg_type" in lit(browser, ".tree .row")[0]
    browser.press(Keys.ARROW_DOWN)
    assert "length" in lit(browser, ".tree .row")[0]
    for _ in range(3):
        browser.press(Keys.ARROW_DOWN)
    assert "legacy_session_id" in lit(browser, ".tree .row")[0]
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert lit(browser, ".tree .row")[0].startswith("length")
    browser.press(Keys.TAB)
    browser.press(Keys.ARROW_RIGHT)
    assert browser.script("return document.activeElement.tagName") == "I"
    assert len(lit(browser, ".hex i")) == 1


def test_messages_and_steps_lead_to_one_another(opened: Driven) -> None:
    badges = opened.all(".badge")
    opened.click(badges[0])
    assert opened.script("return location.hash") == "#step-1"
    opened.click(opened.all("svg.schedule a")[0])
    target = opened.script("return location.hash")
    assert target.startswith("#key-")
    assert opened.script("return document.querySelector(':target').tagName") == "LI"


def test_a_secret_can_be_copied(opened: Driven) -> None:
    button = opened.all("button.copy")[0]
    assert button.is_displayed()
    opened.click(button)
    opened.wait_for(
        lambda: button.text == "copied" or opened.script("return String(getSelection())"),
        "it is copied, or selected for the user to copy",
    )


def test_one_button_opens_all_messages_and_closes_them(browser: Driven, page: str) -> None:
    browser.open(page)
    count = "return document.querySelectorAll('.message > details[open]').length"
    assert browser.script(count) == 0
    browser.click(browser.one("button.open-all"))
    assert browser.script(count) == len(browser.all(".message > details")) > 0
    assert browser.one("button.open-all").text == "Close all messages"
    browser.click(browser.one("button.open-all"))
    assert browser.script(count) == 0


def test_it_asks_nobody_for_anything(browser: Driven, page: str) -> None:
    browser.complaints()
    browser.open(page)
    for summary in browser.all(".message summary.head"):
        browser.click(summary)
    assert browser.script("return performance.getEntriesByType('resource').length") == 0
    assert browser.complaints() == []


# How many lines the bytes take, and how many offsets stand beside them.
LINES = """(() => {
  const range = document.createRange();
  range.selectNodeContents(document.querySelector('.hex'));
  const tops = new Set([...range.getClientRects()].map((each) => Math.round(each.top)));
  const shown = [...document.querySelectorAll('.gutter')].find((each) => each.checkVisibility());
  return [tops.size, shown.textContent.split('\\n').length];
})()"""


@pytest.mark.parametrize("width", WIDTHS)
def test_each_line_of_bytes_has_its_offset(browser: Driven, page: str, width: int) -> None:
    browser.resize(width, 900)
    browser.open(page)
    browser.click(browser.all(".message summary.head")[0])
    lines, offsets = browser.script(f"return {LINES}")
    assert lines == offsets
    browser.resize(1280, 900)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_at_any_width(browser: Driven, page: str, width: int) -> None:
    browser.resize(width, 900)
    browser.open(page)
    for summary in browser.all(".message summary.head"):
        browser.click(summary)
    assert browser.script("return document.documentElement.scrollWidth") <= width
    browser.resize(1280, 900)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("which", ["page", "failed", "declined"])
def test_each_cell_can_be_read_at_any_width(
    browser: Driven, request: pytest.FixtureRequest, which: str, width: int
) -> None:
    """The narrowest and the widest: no letter stands on a line of its own, and none sticks out."""
    browser.resize(width, 900)
    browser.open(request.getfixturevalue(which))
    browser.script("for (const each of document.querySelectorAll('details')) each.open = true")
    assert browser.unreadable() == []
    browser.resize(1280, 900)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["page", "failed"])
def test_axe_finds_no_serious_fault(
    browser: Driven, request: pytest.FixtureRequest, which: str, scheme: str
) -> None:
    browser.prefer(scheme)
    browser.open(request.getfixturevalue(which))
    for summary in browser.all(".message summary.head")[:3]:
        browser.click(summary)
    assert browser.accessibility_faults() == []
    browser.prefer("light")


def test_a_failed_handshake_says_which_rule_was_broken(browser: Driven, failed: str) -> None:
    browser.open(failed)
    assert "The client gave up during the handshake" in browser.one("#failure").text
    assert "CERTIFICATE_NAME_MISMATCH" in browser.one("#failure").text
    assert "Not trusted" in browser.one("#verdict").text
    (broken,) = browser.all("tr.broken")
    assert broken.text.split()[:2] == ["NO", "names"]
    assert browser.complaints() == []


def test_evidence_leads_to_the_bytes_that_show_it(
    browser: Driven, pki: Pki, tmp_path: Path
) -> None:
    """In a message that was never opened before, inside fields that are folded up."""
    recorder = Recorder()
    client = ClientConnection(
        ClientConfig(trust=pki.trust, groups=("X25519",)), server_name="localhost"
    )
    with pytest.raises(TLSError):
        server_config = ServerConfig(credentials=pki.server(), groups=("secp384r1",))
        shuttle(client, ServerConnection(server_config, trace=recorder))
    browser.open(stored(recorder.to_html("A failure", describe_certificate), tmp_path))
    link = next(each for each in browser.all("a.shows") if "supported_groups" in each.text)
    browser.click(link)
    (shown,) = lit(browser, ".tree .row")
    assert shown.startswith(("supported_groups", "extension_data", "named_group_list"))
    assert "X25519" in shown
    lighted = bytes.fromhex("".join(lit(browser, ".hex i")))
    evidence = browser.all(".evidence code")[0].text
    assert lighted == bytes.fromhex(evidence)


# Hostile peers


def test_a_peers_text_does_nothing(browser: Driven, tmp_path: Path) -> None:
    browser.complaints()
    browser.open(stored(page_of(hostile_events(), EVIL), tmp_path))
    for summary in browser.all(".message summary.head"):
        browser.click(summary)
    assert browser.one("h1").text == EVIL
    assert browser.all("img") == []
    assert len(browser.all("script")) == 1
    assert browser.complaints() == []
    for element in browser.all(".message .row"):
        if element.is_displayed():
            browser.point_at(element)
    assert browser.all("img") == [], "what the script shows of a field is text, too"


def test_what_got_past_the_escaping_would_still_not_run(
    browser: Driven, page: str, tmp_path: Path
) -> None:
    """The second wall by itself: markup is put into the page as if nothing had been escaped."""
    document = Path(page.removeprefix("file://")).read_text("utf-8")
    holed = document.replace("<main>", "<main><script>window.ran = 1</script>"
                             "<img src=x onerror='window.ran = 2'>"
                             "<style>h1 { color: red }</style>")  # fmt: skip
    assert holed != document
    browser.complaints()
    browser.open(stored(holed, tmp_path))
    assert browser.script("return window.ran") is None
    refused = [said for said in browser.complaints() if "Content Security Policy" in said]
    assert len(refused) >= 3
    colour = browser.script("return getComputedStyle(document.querySelector('h1')).color")
    assert colour != "rgb(255, 0, 0)"
    without_policy = document.replace('http-equiv="Content-Security-Policy"', 'name="none"')
    browser.open(
        stored(without_policy.replace("<main>", "<main><script>ran = 1</script>"), tmp_path)
    )
    assert browser.script("return window.ran") == 1, "so it is the policy that stops it"


def test_script_and_style_are_well_kept() -> None:
    biome = WEB / ".bin" / "biome"
    if not biome.exists():
        lacking("biome is not installed (make peers)")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [biome, "check", "--error-on-warnings"], cwd=root, capture_output=True, timeout=60
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    for script in root.glob("src/**/assets/*.js"):
        subprocess.run([need_tool("node"), "--check", script], check=True, timeout=60)
