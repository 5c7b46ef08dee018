"""`handclasp watch --live`: the page that shows the connections while they come."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.cli.conftest import (
    COMMAND,
    SOURCE,
    WAIT_SECONDS,
    Process,
    heed_interrupts,
    started,
)
from tests.cli.test_connect import server, tls_server
from tests.cli.test_watch import ANSWER, fetch

from handclasp import Credentials, TrustStore
from handclasp.capture.relay import Relayed
from handclasp.capture.secrets import KeyLog
from handclasp.capture.stream import Address
from handclasp.capture.watching import sighting_of
from handclasp.cli.sightings import Report
from handclasp.cli.watched_live import MOST_REMEMBERED, WatchedPages

pytestmark = pytest.mark.usefixtures("temporary")


@pytest.fixture
def credentials(pair: tuple[str, str]) -> Credentials:
    return Credentials.load(*pair)


@contextmanager
def live(credentials: Credentials, ca: str) -> Iterator[tuple[Process, str]]:
    """A relay to a server of ours, and the address of its page."""
    with (
        server(tls_server(credentials, ANSWER)) as port,
        started("watch", "--live", "--ca", ca, f"localhost:{port}") as process,
    ):
        yield process, url_in("\n".join(process.said))


def url_in(text: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+/[\w-]+/", text)
    assert found, text
    return found[0]


def listed_at(url: str) -> list[dict[str, Any]]:
    """The lines of the list, as the page's script gets them."""
    with urllib.request.urlopen(f"{url}events", timeout=WAIT_SECONDS) as events:
        rows: list[dict[str, Any]] = json.loads(_data(events))
    return rows


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=WAIT_SECONDS) as answer:
        return str(answer.read().decode())


def visit(process: Process, ca: str) -> None:
    context = ssl.create_default_context(cafile=ca)
    address = ("127.0.0.1", process.port)
    connection = http.client.HTTPSConnection(*address, context=context, timeout=WAIT_SECONDS)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"
    connection.close()


def test_connections_come_as_they_are_seen(credentials: Credentials, ca: str) -> None:
    with live(credentials, ca) as (process, url):
        assert "<tr class=" not in fetched(url)
        with urllib.request.urlopen(f"{url}events", timeout=WAIT_SECONDS) as events:
            assert json.loads(_data(events)) == []
            visit(process, ca)
            (row,) = json.loads(_data(events))
            assert row["number"] == 1
            assert row["paths"].startswith("localhost:")
            assert "TLSv1.3" in row["detail"]
            assert row["link"].startswith(urlsplit(url).path)
        page = fetched(url.removesuffix(urlsplit(url).path) + row["link"])
        assert "ClientHello" in page
        assert "All connections" in page
        assert row["link"] in fetched(url)
        assert process.end(signal.SIGTERM) == 0


def test_the_end_of_the_relay_ends_streams_at_once(credentials: Credentials, ca: str) -> None:
    with (
        live(credentials, ca) as (process, url),
        urllib.request.urlopen(f"{url}events", timeout=WAIT_SECONDS) as events,
    ):
        assert json.loads(_data(events)) == []
        began = time.monotonic()
        assert process.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 5  # A stream gives a sign of life after 15 s.


def test_only_so_many_have_the_page_open(credentials: Credentials, ca: str) -> None:
    with live(credentials, ca) as (_, url), ExitStack() as stack:
        for _ in range(32):
            events = urllib.request.urlopen(f"{url}events", timeout=WAIT_SECONDS)
            stack.enter_context(events)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            fetched(url)


def _data(events: http.client.HTTPResponse) -> bytes:
    """The next event's data."""
    while not (line := events.readline()).startswith(b"data: "):
        assert line, "the stream has ended"
    return line.removeprefix(b"data: ")


def test_who_does_not_know_the_address_gets_nothing(credentials: Credentials, ca: str) -> None:
    """Other users of the machine can connect, and pages of others can be given this address."""
    with live(credentials, ca) as (process, url):
        visit(process, ca)
        with urllib.request.urlopen(f"{url}events", timeout=WAIT_SECONDS) as events:
            while not json.loads(_data(events)):
                pass
        place = urlsplit(url)
        assert place.hostname is not None
        for path, host, method, status in (
            ("/", place.netloc, "GET", 404),
            ("/events", place.netloc, "GET", 404),
            ("/connections/1", place.netloc, "GET", 404),
            (f"{place.path}connections/999", place.netloc, "GET", 404),
            (place.path, "evil.example", "GET", 421),
            (place.path, f"evil.example:{place.port}", "GET", 421),
            (place.path, place.netloc, "POST", 405),
            (place.path, place.netloc, "GET", 200),
        ):
            connection = http.client.HTTPConnection(
                place.hostname, place.port, timeout=WAIT_SECONDS
            )
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            assert answer.status == status, (path, host)
            body = answer.read()
            assert (b"TLSv1.3" in body) == (status == 200)
            connection.close()


def test_the_page_allows_no_script_of_others(credentials: Credentials, ca: str) -> None:
    with live(credentials, ca) as (process, url), urllib.request.urlopen(url) as answer:
        visit(process, ca)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_page_outlives_a_program_until_a_signal(
    credentials: Credentials, ca: str, tmp_path: Path
) -> None:
    """A program often ends before anybody can look; its status is kept."""
    with server(tls_server(credentials, ANSWER)) as port:
        program = fetch(f"https://localhost:{port}/", ca)
        popen = subprocess.Popen(
            [*COMMAND, "watch", "--live", "--ca", ca, "--", *program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": SOURCE},
            preexec_fn=heed_interrupts,
        )
        with popen:
            assert popen.stderr is not None
            told = ""
            while "The page stays until Ctrl-C" not in told:
                line = popen.stderr.readline()
                assert line, told
                told += line
            assert "ended with status 0" in told
            assert "localhost" in fetched(url_in(told))
            popen.send_signal(signal.SIGINT)
            assert popen.wait(WAIT_SECONDS) == 0
        with pytest.raises(OSError, match="refused"):
            fetched(url_in(told))


@pytest.mark.parametrize("status", [0, 7])
def test_a_signal_for_the_program_ends_the_page_too(status: int) -> None:
    code = "import signal, sys; signal.signal(signal.SIGINT, lambda *a: sys.exit(int(sys.argv[1])))"
    code += "; print('ready', flush=True); signal.pause()"
    popen = subprocess.Popen(
        [*COMMAND, "watch", "--live", "--", sys.executable, "-c", code, str(status)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": SOURCE},
        preexec_fn=heed_interrupts,
    )
    with popen:
        assert popen.stdout is not None
        assert popen.stdout.readline() == b"ready\n"
        popen.send_signal(signal.SIGINT)
        assert popen.wait(WAIT_SECONDS) == status


def test_only_the_newest_are_kept() -> None:
    pages = WatchedPages()
    ends = Address("127.0.0.1", 1), Address("", 0)
    for number in range(1, MOST_REMEMBERED + 3):
        relayed = Relayed(number, 0, 1 << 16, Address("localhost", 2), ends)
        relayed.refusal = ConnectionRefusedError(111, "<b>refused</b>")
        sighting = sighting_of(relayed, relayed.stream(), KeyLog(), is_final=True)
        pages.add(Report(sighting, TrustStore.system()))
    rows = pages.listed()
    assert [row["number"] for row in rows] == list(range(MOST_REMEMBERED + 2, 2, -1))
    assert pages.page(rows[-1]["link"].replace("/3", "/2")) is None
    shown = pages.page(rows[0]["link"])
    assert shown is not None
    assert "&lt;b&gt;refused&lt;/b&gt;" in shown
    assert "<b>refused" not in shown
