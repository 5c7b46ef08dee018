"""What the demo's server says over HTTP: to each browser its own, and nothing to strangers."""

from __future__ import annotations

import json
import re
import signal
from functools import partial
from typing import Any

import pytest
from tests.cli.conftest import started
from tests.cli.test_demo import FINGERPRINT, TITLES, get
from tests.rules.source import PACKAGE

import handclasp
from handclasp import ClientConfig, SessionStore
from handclasp.certificates.authority import LocalAuthority

pytestmark = pytest.mark.long


def test_the_page_shows_each_visitor_its_own_handshake(authority: LocalAuthority) -> None:
    with started("demo", "--no-browser", "--port", "0") as process:
        process.line("Ctrl-C ends it")
        hybrid = ClientConfig(trust=authority.trust, alpn=("h2", "http/1.1"))
        classic = ClientConfig(trust=authority.trust, groups=("X25519",))
        head, page = get(process.port, "/", hybrid)
        _, other_page = get(process.port, "/", classic)
        assert "X25519MLKEM768, http/1.1" in process.line("A visit")
        shown = json.loads(get(process.port, "/connection.json", classic)[1])
        pem = get(process.port, "/ca.pem", hybrid)[1]
        missing, _ = get(process.port, "/../../etc/passwd", hybrid)
        assert process.end(signal.SIGINT) == 0
    assert head.startswith("HTTP/1.1 200")
    for title in TITLES:
        assert title[3:] in page
    yours = page[page.index('id="agreed"') : page.index("</section>", page.index('id="agreed"'))]
    assert "X25519MLKEM768" in yours
    assert "http/1.1" in yours
    assert "It did not offer a" in other_page
    assert "t13d" in page, "its JA4"
    assert "adds <code>pre_shared_key</code>, which makes its JA4 another one" in page
    own = [re.findall(FINGERPRINT, each) for each in (page, other_page)]
    assert [len(each) for each in own] == [1, 1]
    assert own[0] != own[1]
    assert (shown["group"], shown["version"]) == ("X25519", "TLSv1.3")
    assert pem.encode() == authority.certificate_pem
    assert missing.startswith("HTTP/1.1 404")


def test_the_answers_are_for_this_browser_alone(authority: LocalAuthority) -> None:
    config = ClientConfig(trust=authority.trust)
    with started("demo", "--no-browser", "--port", "0") as process:
        process.line("Ctrl-C ends it")
        head, _ = get(process.port, "/", config)
        cookie = re.search(r"^set-cookie: (__Host-browser=\S+); (.*)$", head, re.MULTILINE)
        assert cookie is not None
        assert cookie[2].strip() == "Path=/; Secure; HttpOnly; SameSite=Strict"
        mine = {"Cookie": cookie[1]}
        rows = json.loads(get(process.port, "/connections.json", config, mine)[1])
        (first,) = [row for row in rows if row["paths"] == "/"]
        seen = [get(process.port, first["link"], config, said)[0] for said in (mine, {})]
        strangers = json.loads(get(process.port, "/connections.json", config)[1])
        made_up = get(process.port, "/", config, {"Cookie": "__Host-browser=chosen"})[0]
    assert len(rows) == 2
    assert [head.split()[1] for head in seen] == ["200", "404"]
    assert len(strangers) == 1, "only the connection that asked"
    assert "__Host-browser=chosen" not in made_up, "a cookie is given, never taken over"
    for line in (
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "cross-origin-resource-policy: same-origin",
        "x-frame-options: DENY",
    ):
        assert line in head
    assert "default-src 'none'" in head
    assert "connect-src 'self'" in head
    assert "unsafe" not in head


def test_a_page_of_another_name_cannot_read_it(authority: LocalAuthority) -> None:
    """A name that somebody points to this machine (DNS rebinding) gets nothing."""
    with started("demo", "--no-browser", "--port", "0") as process:
        for host, status in (("evil.example", "421"), ("localhost", "200")):
            head, _ = get(process.port, "/", ClientConfig(trust=authority.trust), {}, host=host)
            assert head.split()[1] == status


def test_a_visitor_that_comes_back_is_seen_to(authority: LocalAuthority) -> None:
    config = ClientConfig(trust=authority.trust, sessions=SessionStore())
    with started("demo", "--no-browser", "--port", "0") as process:
        process.line("Ctrl-C ends it")
        head, _ = get(process.port, "/", config)
        cookie = {"Cookie": re.findall(r"__Host-browser=[^;]+", head)[0]}
        _, page = get(process.port, "/", config, cookie)
        process.line("^A visit: .*, resumed$")
        rows = json.loads(get(process.port, "/connections.json", config, cookie)[1])
    assert "came back with a ticket" in page
    assert "This connection beside the last one" in page
    assert "THE SAME" not in page
    assert [row["kind"] for row in rows] == ["resumed", "resumed", "full"]


def test_the_stream_tells_of_each_change(authority: LocalAuthority) -> None:
    """Server-sent events: the list at once, and again when somebody comes."""
    config = ClientConfig(trust=authority.trust)
    with started("demo", "--no-browser", "--port", "0") as process:
        process.line("Ctrl-C ends it")
        head, _ = get(process.port, "/", config)
        cookie = re.findall(r"__Host-browser=[^;]+", head)[0]
        with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
            request = f"GET /events HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n"
            tls.sendall(request.encode())
            lines = tls.makefile("rb")
            status = lines.readline()
            fields = dict(line.split(b": ", 1) for line in iter(lines.readline, b"\r\n"))
            first = events_until(lines, 2)
            get(process.port, "/connection.json", config, {"Cookie": cookie})
            later = events_until(lines, 3)
        assert process.end(signal.SIGTERM) == 0
    assert status.startswith(b"HTTP/1.1 200")
    assert fields[b"content-type"].strip() == b"text/event-stream"
    assert {row["paths"] for row in first} == {"/", "/events"}
    assert "/connection.json" in {row["paths"] for row in later}


def events_until(lines: Any, count: int) -> list[dict[str, Any]]:
    """The first list with so many connections of which it is known what they asked for."""
    for line in iter(lines.readline, b""):
        if line.startswith(b"data: "):
            rows: list[dict[str, Any]] = json.loads(line[6:])
            if len([row for row in rows if row["paths"] != "-"]) >= count:
                return rows
    raise AssertionError("the stream ended")


def test_a_stream_that_is_open_does_not_keep_the_demo_from_ending(
    authority: LocalAuthority,
) -> None:
    config = ClientConfig(trust=authority.trust)
    with started("demo", "--no-browser", "--port", "0") as process:
        process.line("Ctrl-C ends it")
        with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
            tls.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert tls.recv(100).startswith(b"HTTP/1.1 200")
            assert process.end(signal.SIGTERM) == 0


def test_head_has_no_body(authority: LocalAuthority) -> None:
    config = ClientConfig(trust=authority.trust)
    with started("demo", "--no-browser", "--port", "0") as process:
        process.line("Ctrl-C ends it")
        for path in ("/", "/events"):
            with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
                tls.sendall(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                answer = b"".join(iter(partial(tls.recv, 65536), b""))
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"\r\n\r\n")


def luminance(color: str) -> float:
    """The relative luminance of a color (WCAG 2.2)."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_row_that_arrives_can_be_read_at_once() -> None:
    """For a second it has another background, which a look at the page seldom meets."""
    style = (PACKAGE / "cli" / "assets" / "live.css").read_text("utf-8")
    colors = (PACKAGE / "story" / "page" / "assets" / "page.css").read_text("utf-8")
    (name,) = re.findall(r"@keyframes arrive \{\s*from \{\s*background: var\(--([a-z]+)\)", style)
    grounds = re.findall(rf"--{name}: (#[0-9a-f]{{6}})", colors)
    for text in ("ink", "soft", "accent", "bad"):
        shades = re.findall(rf"--{text}: (#[0-9a-f]{{6}})", colors)
        assert len(shades) == len(grounds) == 2  # By day and by night.
        for shade, ground in zip(shades, grounds, strict=True):
            dark, light = sorted((luminance(shade), luminance(ground)))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, shade, ground)
