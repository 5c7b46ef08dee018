"""Pages of captures that could not be opened: what is hidden is not told as what did not happen."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Run, run  # noqa: F401 (a fixture)
from tests.required import need_tool
from tests.story.page.conftest import Page

DATA = Path(__file__).parents[2] / "capture" / "data"
NEVER = "The handshake did not come to this."
HIDDEN = "This cannot be seen: it is encrypted"
PERHAPS = "If the handshake came to this, it cannot be seen"
WENT_ON = "The client took this decision, and went on"


@pytest.mark.parametrize(
    ("capture", "says", "lacks", "drawn"),
    [
        ("complete-tls13", [HIDDEN, WENT_ON], [NEVER, PERHAPS], "something encrypted"),
        ("early", [PERHAPS], [NEVER, HIDDEN, WENT_ON], "something encrypted"),
        (
            "tls12-complete-without-data",
            [HIDDEN, WENT_ON],
            [NEVER, PERHAPS],
            "a protected handshake message",
        ),
        ("refused-certificate-tls13", [PERHAPS], [NEVER, HIDDEN, WENT_ON], "something encrypted"),
        ("stall13", [PERHAPS], [NEVER, HIDDEN, WENT_ON], "something encrypted"),
        ("ends-after-server-hello", [PERHAPS], [NEVER, WENT_ON], "something encrypted"),
        ("half-hello", ["This is not in the capture."], [NEVER, WENT_ON], ""),
        ("no-shared-suite", [NEVER], [HIDDEN, PERHAPS, WENT_ON], ""),
    ],
)
def test_a_page_says_what_is_hidden(
    run: Run,  # noqa: F811
    tmp_path: Path,
    capture: str,
    says: list[str],
    lacks: list[str],
    drawn: str,
) -> None:
    need_tool("tshark")
    (path,) = (each for each in DATA.glob(f"{capture}.pcap*"))
    page = tmp_path / "page.html"
    run("explain", str(path), "--html", str(page))
    words = Page(page.read_text()).words
    for each in says:
        assert each in words, words
    for each in lacks:
        assert each not in words, words
    assert drawn in words
    assert ("could not be opened" in words) == bool(drawn)
