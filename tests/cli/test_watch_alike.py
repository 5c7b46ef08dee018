"""The cause of a failure and the end at fault are the same in each form of a report of `watch`."""

from __future__ import annotations

import html
import json
import re
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.cli.conftest import started
from tests.cli.test_connect import server, tls_server
from tests.cli.test_watch_intercept import bad_credentials
from tests.cli.test_watch_live import fetched, listed_at, url_in
from tests.cli.test_watch_mutual import KEY, REASONS, Bench, bench
from tests.pki import Leaf, Pki

import handclasp
from handclasp import ClientConfig, TLSError
from handclasp.cli.sightings import Report
from handclasp.cli.watched_live import WatchedPages
from handclasp.story.page import Renderer

__all__ = ["bench"]

pytestmark = pytest.mark.usefixtures("temporary")

Told = dict[str, Any]


def words_of(page: str) -> str:
    """The text of a page, in one line."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", page)).split())


def assert_page_tells(page: str, failure: Told) -> None:
    words = words_of(page)
    for what in ("cause", "fix"):
        assert failure[what] in words
    seen_from = failure["seen_from"]
    other = "server" if seen_from == "client" else "client"
    is_own = failure["from"] == "local"
    assert (f"It failed, seen from the {seen_from}" if is_own else f"The {other} gave up") in words
    assert f"at fault {blamed(failure)} fault {failure['fault']}" in words


def assert_row_tells(row: Told, failure: Told) -> None:
    assert row["outcome"] == f"failed, at fault: {failure['blame']}"
    assert row["detail"].endswith(failure["cause"])


def blamed(failure: Told) -> str:
    who = failure["blame"] if failure["blame"] == "unclear" else f"the {failure['blame']}"
    condition = failure["condition"]
    joint = ": " if failure["blame"] == "unclear" else ", "
    return f"{who}{joint}{condition}" if condition else who


def another_authority(bench: Bench) -> None:
    """The client does not know the authority of the server, which `watch` knows."""
    bench.client = ssl.create_default_context(cafile=bench.other_ca())
    bench.client.keylog_filename = str(bench.keylog)


def no_intermediate(bench: Bench) -> None:
    """The server does not send its intermediate certificate."""
    lower = bench.pki.intermediate("lower")
    leaf = Leaf(["localhost"])
    bench.server_certificate(lower.issue(leaf, KEY.public_key()))


SPOILS: list[Callable[[Bench], None]] = [
    *(each[0] for each in REASONS),
    another_authority,
    no_intermediate,
]


@pytest.mark.parametrize("spoil", SPOILS, ids=[each.__name__ for each in SPOILS])
def test_lines_json_list_and_pages(bench: Bench, spoil: Callable[[Bench], None]) -> None:
    spoil(bench)
    report = bench.watched()
    told = report.to_json()
    failure = told["failure"]
    lines = report.lines()
    assert ("failure", failure["cause"]) in lines
    assert ("at fault", blamed(failure)) in lines
    live = WatchedPages()
    live.add(report)
    [row] = live.listed()
    assert_row_tells(row, failure)
    for page in (stored(report), live.page(row["link"])):
        assert page is not None
        assert_page_tells(page, failure)
        for sentence in told["chain"]:
            assert sentence in words_of(page)


def stored(report: Report) -> str:
    """The page that --page writes."""
    return Renderer().render("page.html", report.page_contents("a page"))


def test_a_note_stands_on_the_page_as_well(bench: Bench) -> None:
    bench.client_certificate()
    report = bench.watched()
    [note] = report.to_json()["notes"]
    assert ("note", note) in report.lines()
    assert note in words_of(stored(report))


@pytest.mark.parametrize("fault", ["CERTIFICATE_EXPIRED", "CERTIFICATE_UNTRUSTED", "trust"])
def test_both_halves_of_a_connection_that_is_intercepted(fault: str, tmp_path: Path) -> None:
    """Where handclasp itself or the client refuses, more is known than the bytes show."""
    pki = Pki()
    authority, pages = tmp_path / "authority.pem", tmp_path / "pages"
    authority.write_bytes(pki.ca_pem)
    good = pki.server("localhost")
    credentials = good if fault == "trust" else bad_credentials(pki, fault)
    arguments = ["--json", "--live", "--page", str(pages), "--ca", str(authority)]
    with (
        server(tls_server(credentials)) as port,
        started("watch", f"localhost:{port}", "--intercept", *arguments) as process,
    ):
        config = ClientConfig(trust=pki.trust)  # It does not trust the authority of the run.
        with pytest.raises(TLSError):
            handclasp.connect("127.0.0.1", process.port, config, server_name="localhost")
        told = {each["intercepted"]: each for each in (json_line(process) for _ in range(2))}
        url = url_in("\n".join(process.said))
        rows = {row["link"].rpartition("-")[2]: row for row in listed_at(url)}
        assert rows.keys() == told.keys() == {"client", "server"}
        origin = url.removesuffix(urlsplit(url).path)
        for half, each in told.items():
            failure = each["failure"]
            assert (failure is None) == (fault == "trust" and half == "server")
            if failure is not None:
                assert_row_tells(rows[half], failure)
                assert_page_tells(fetched(origin + rows[half]["link"]), failure)
                assert_page_tells((pages / f"0001-{half}-localhost.html").read_text(), failure)
        assert process.end(signal.SIGTERM) == 0


def json_line(process: Any) -> Told:
    found: Told = json.loads(process.line(r"^\{"))
    return found
