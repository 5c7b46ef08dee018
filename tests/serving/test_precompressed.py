"""`serve --precompressed`: FILE.gz is sent for FILE, and ranges and tags are those of FILE.gz."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving.world import World, files_of, running

TEXT = b"<h1>hello</h1>\n" * 200
PACKED = gzip.compress(TEXT)
ASK = "Accept-Encoding: br, gzip;q=0.8"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name in ("page.html", "index.html"):
        (tmp_path / name).write_bytes(TEXT)
        (tmp_path / f"{name}.gz").write_bytes(PACKED)
    (tmp_path / "alone.html").write_bytes(TEXT)
    return tmp_path


@pytest.fixture
def world(site: Path) -> Iterator[World]:
    with running(files_of(site, precompressed=True)) as world:
        yield world


@pytest.mark.parametrize("path", ["/page.html", "/index.html", "/"])
def test_a_client_that_takes_gzip_gets_it(world: World, path: str) -> None:
    answer = world.ask(path, ASK)
    assert (answer.status, gzip.decompress(answer.body)) == (200, TEXT)
    assert answer.fields["content-encoding"] == "gzip"
    assert answer.fields["content-type"] == "text/html; charset=utf-8"
    assert answer.fields["vary"] == "accept-encoding"
    assert answer.fields["content-length"] == str(len(PACKED))


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["Accept-Encoding: br"],
        ["Accept-Encoding: gzip;q=0"],
        ["Accept-Encoding: gzip ; q=0.00"],
    ],
)
def test_other_clients_get_the_file(world: World, fields: list[str]) -> None:
    answer = world.ask("/page.html", *fields)
    assert (answer.status, answer.body) == (200, TEXT)
    assert "content-encoding" not in answer.fields


def test_tags_and_ranges_are_those_of_what_is_sent(world: World, site: Path) -> None:
    time.sleep(0.2)
    packed, plain = world.ask("/page.html", ASK), world.ask("/page.html")
    assert packed.fields["etag"] != plain.fields["etag"]
    for tag, status in ((packed.fields["etag"], 304), (plain.fields["etag"], 200)):
        answer = world.ask("/page.html", ASK, f"If-None-Match: {tag}")
        assert (answer.status, answer.fields["vary"]) == (status, "accept-encoding")
    tag = f"If-Range: {packed.fields['etag']}"
    part = world.ask("/page.html", ASK, tag, "Range: bytes=2-9")
    assert (part.status, part.body) == (206, PACKED[2:10])
    assert part.fields["content-range"] == f"bytes 2-9/{len(PACKED)}"
    assert part.fields["content-encoding"] == "gzip"


def test_an_older_form_and_none_are_not_sent(world: World, site: Path) -> None:
    before = time.time() - 60
    os.utime(site / "page.html.gz", (before, before))
    assert world.ask("/page.html", ASK).body == TEXT
    assert world.ask("/alone.html", ASK).body == TEXT


def test_a_form_that_is_kept_back_is_not_sent(world: World, site: Path) -> None:
    (site / "page.html.gz").chmod(0o600)
    assert world.ask("/page.html", ASK).body == TEXT


def test_nobody_gets_it_unasked(site: Path) -> None:
    with running(files_of(site)) as world:
        assert world.ask("/page.html", ASK).body == TEXT
