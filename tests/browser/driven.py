"""Chromium with somebody at the mouse and the keyboard, through WebDriver.

What the browser's console says against a page is kept: a page of ours gives it no reason to speak.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from tests.browser.databases import trust_database
from tests.required import lacking, need_tool

webdriver = pytest.importorskip("selenium.webdriver")

from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

__all__ = ["WEB", "Driven", "WebDriverException", "driven_chromium"]

WAIT_SECONDS = 20
ROOT = Path(__file__).parents[2]
WEB = Path(os.environ.get("HANDCLASP_PEERS", ROOT / ".peers")) / "web" / "node_modules"

# The sandbox needs rights that containers lack, and all that is loaded here are our own pages.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
)


_UNREADABLE = """
const found = [];
const said = (element, what) =>
  found.push([element.tagName, element.className, what, element.textContent.trim().slice(0, 60)]
    .join(': '));
const apart = 'svg, script, style, .hex, .gutter, .unseen';
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const around = node.parentElement;
  const text = node.textContent.trim().replace(/\\s+/g, ' ');
  if (text.length < 12 || around.closest(apart) || !around.checkVisibility()) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  const lines = new Set([...range.getClientRects()].map((each) => Math.round(each.top))).size;
  if (lines > 2 && text.length / lines < 9)
    said(around, `${(text.length / lines).toFixed(1)} letters in a line`);
}
for (const cell of document.querySelectorAll('td, th, dd, dt, .card li, caption, .scroll')) {
  if (!cell.checkVisibility() || cell.closest('.unseen')) continue;
  const { left, right, width } = cell.getBoundingClientRect();
  if (innerWidth <= 640 && (left < 0 || right > innerWidth + 1)) said(cell, 'beyond the window');
  if (cell.scrollWidth > cell.clientWidth + 1 && cell.clientWidth > 0 && innerWidth <= 640)
    said(cell, `${cell.scrollWidth} wide in ${cell.clientWidth}`);
  if (width > 0 && width < 24) said(cell, `${width} px wide`);
}
for (const field of document.querySelectorAll('.tree .row')) {
  if (innerWidth > 640 || !field.checkVisibility()) continue;
  const room = field.getBoundingClientRect();
  const range = document.createRange();
  range.selectNodeContents(field.querySelector('.v'));
  if (range.getBoundingClientRect().right > room.right + 1) said(field, 'a value that is cut off');
  range.selectNodeContents(field.querySelector('.f'));
  const name = [...range.getClientRects()];
  if (name.length > 1 && name.reduce((sum, each) => sum + each.width, 0) < 0.85 * room.width)
    said(field, 'a name that is broken, and has room in one line');
}
return found;
"""


class Driven:
    """A browser that is looked at and operated."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    def all(self, selector: str) -> list[WebElement]:
        return cast("list[WebElement]", self.driver.find_elements(By.CSS_SELECTOR, selector))

    def one(self, selector: str) -> WebElement:
        (found,) = self.all(selector)
        return found

    def click(self, element: WebElement) -> None:
        """As a person does: with the element in view."""
        self.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def point_at(self, element: WebElement) -> None:
        self.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        ActionChains(self.driver).move_to_element(element).perform()

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def script(self, code: str, *arguments: object) -> Any:
        return self.driver.execute_script(code, *arguments)

    def wait_for(self, condition: Callable[[], object], what: str) -> Any:
        return WebDriverWait(self.driver, WAIT_SECONDS).until(lambda _: condition(), what)

    def complaints(self) -> list[str]:
        """What the console said since it was asked last."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def resize(self, width: int, height: int) -> None:
        """Emulated, since a window has a smallest width."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def prefer(self, scheme: str) -> None:
        """The colours that the user likes: "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def unreadable(self) -> list[str]:
        """Text that stands in too narrow a place, or sticks out of the place that it has.

        That the page as a whole is no wider than the window says nothing of its parts: a column
        may be as narrow as a letter, and a region that scrolls hides how wide it is inside.
        """
        return cast("list[str]", self.script(_UNREADABLE))

    def accessibility_faults(self) -> list[str]:
        """What axe-core finds that is serious or worse, with the elements."""
        axe = WEB / "axe-core" / "axe.min.js"
        if not axe.exists():
            lacking("axe-core is not installed (make peers)")
        self.script(axe.read_text("utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run({resultTypes: ['violations']}).then((found) => done(found.violations));"
        )
        return [
            f"{fault['id']} ({fault['impact']}): {[node['html'][:120] for node in fault['nodes']]}"
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]


@contextmanager
def driven_chromium(directory: Path, ca: Path | None) -> Iterator[Driven]:
    """A browser with a fresh profile and a home directory of its own."""
    program, driver_program = need_tool("chromium"), need_tool("chromedriver")
    trust_database(directory / ".pki" / "nssdb", ca)
    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={directory / 'profile'}"):
        options.add_argument(flag)
    env = {**os.environ, "HOME": str(directory), "XDG_CONFIG_HOME": str(directory / "config")}
    driver = webdriver.Chrome(options=options, service=Service(driver_program, env=env))
    try:
        driver.set_page_load_timeout(WAIT_SECONDS)
        driver.set_script_timeout(WAIT_SECONDS)
        yield Driven(driver)
    finally:
        driver.quit()
