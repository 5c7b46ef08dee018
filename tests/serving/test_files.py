"""What a client gets of files: ranges, conditions, types; and files that change meanwhile."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.pairs import MEGABYTE
from tests.serving.world import World, files_of, parsed, read_answer, running

from handclasp import ClientConfig, wrap_client
from handclasp.serving.conditions import Version, range_of
from handclasp.serving.files import Files
from handclasp.serving.site import Site

TEXT = b"0123456789"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    (site / "below").mkdir(parents=True)
    (site / "file.txt").write_bytes(TEXT)
    (site / "empty.txt").write_bytes(b"")
    os.utime(site / "file.txt", (1_000_000_000, 1_000_000_000))
    return site


@pytest.fixture
def world(site: Path) -> Iterator[World]:
    with running(files_of(site)) as world:
        yield world


@pytest.mark.parametrize(
    ("asked", "status", "body", "where"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, TEXT, "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("Bytes= 1-1 ", 206, b"1", "bytes 1-1/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=0-1,4-5", 200, TEXT, None),
        ("bytes=5-1", 200, TEXT, None),
        ("bytes=-", 200, TEXT, None),
        ("lines=0-1", 200, TEXT, None),
        ("bytes=" + "9" * 20 + "-", 416, None, "bytes */10"),
        ("bytes=" + "9" * 5000 + "-", 416, None, "bytes */10"),
        ("bytes=8-" + "9" * 5000, 206, b"89", "bytes 8-9/10"),
        ("bytes=-" + "9" * 5000, 206, TEXT, "bytes 0-9/10"),
        ("bytes=" + "0" * 30 + "8-", 206, b"89", "bytes 8-9/10"),
    ],
)
def test_ranges(
    world: World, asked: str, status: int, body: bytes | None, where: str | None
) -> None:
    answer = world.ask("/file.txt", f"Range: {asked}")
    assert (answer.status, answer.fields.get("content-range")) == (status, where)
    assert body is None or answer.body == body
    assert int(answer.fields["content-length"]) == len(answer.body)


@pytest.mark.parametrize(
    ("line", "field", "status", "sentence"),
    [
        ("GET /file.txt HTTP/1.2", "Accept: */*", 200, TEXT.decode()),
        ("GET /file.txt HTTP/2.0", "Accept: */*", 505, "This server speaks HTTP/1.1.\n"),
        ("GET /file.txt HTTP/0.9", "Accept: */*", 505, "This server speaks HTTP/1.1.\n"),
        ("GET /file.txt HTTP/11", "Accept: */*", 400, "The first line is not a request line.\n"),
        *(
            ("GET /file.txt HTTP/1.1", f"Content-Length: {length}", 400, f"{sentence}.\n")
            for length, sentence in (
                ("5, 5", "There is more than one length of the body"),
                ("5\r\nContent-Length: 5", "There is more than one length of the body"),
                ("1" * 20, "The length of the body has more than 19 digits"),
                ("+5", "The length of the body is not a number"),
            )
        ),
    ],
)
def test_heads_that_are_seldom(
    world: World, line: str, field: str, status: int, sentence: str
) -> None:
    said = f"{line}\r\nHost: localhost\r\nConnection: close\r\n{field}\r\n\r\n"
    answer = parsed(world.say(said.encode()))
    assert (answer.status, answer.body.decode()) == (status, sentence)


def test_ranges_are_for_get_alone(world: World) -> None:
    answer = world.ask("/file.txt", "Range: bytes=0-3", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.fields["content-length"] == str(len(TEXT))


def test_a_range_of_what_has_changed_is_all_of_it(world: World, site: Path) -> None:
    fields = world.ask("/file.txt").fields
    part = "Range: bytes=0-3"
    time.sleep(0.2)
    tag = world.ask("/file.txt").fields["etag"]
    for known in (tag, fields["last-modified"]):
        assert world.ask("/file.txt", part, f"If-Range: {known}").status == 206
    os.utime(site / "file.txt", (1_000_000_001, 1_000_000_001))
    assert world.ask("/file.txt", part, f"If-Range: {tag}").status == 200


def test_the_tag_of_a_file_that_was_just_written_is_weak(site: Path) -> None:
    """Its times may stay as they are when it is written once more."""
    (site / "file.txt").write_bytes(TEXT)
    version = Version.of((site / "file.txt").stat())
    assert version.tag.startswith("W/")
    for known in (version.tag, formatdate(version.modified, usegmt=True)):
        asked = {"range": "bytes=0-0", "if-range": known}
        assert range_of(asked, version, len(TEXT)) is None


def test_conditions(world: World, site: Path) -> None:
    time.sleep(0.2)
    fields = world.ask("/file.txt").fields
    tag = fields["etag"]
    assert not tag.startswith("W/")
    assert fields["last-modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"
    for condition, status in (
        (f"If-None-Match: {tag}", 304),
        (f'If-None-Match: "other", W/{tag}', 304),
        ("If-None-Match: *", 304),
        ('If-None-Match: "other"', 200),
        (f"If-Match: {tag}", 200),
        (f"If-Match: W/{tag}", 412),
        ('If-Match: "other"', 412),
        ("If-Match: *", 200),
        ("If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT", 304),
        ("If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT", 200),
        ("If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT", 412),
        ("If-Unmodified-Since: Sun, 09 Sep 2001 01:46:40 GMT", 200),
        ("If-Range: x", 200),
    ):
        answer = world.ask("/file.txt", condition)
        assert answer.status == status, condition
        if status == 304:
            assert (answer.body, answer.fields["etag"]) == (b"", tag)
    assert world.ask("/file.txt", f"If-Range: {tag}", "Range: bytes=0-0").status == 206


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "Zo\u00eb".encode(), "text/plain; charset=utf-8"),
        ("a.html", b"", "text/html; charset=utf-8"),
        ("latin.txt", b"Zo\xeb", "text/plain"),
        ("cut.txt", b"x" * (64 * 1024 - 1) + "\u00eb".encode(), "text/plain; charset=utf-8"),
        ("a.json", b"{}", "application/json; charset=utf-8"),
        ("a.png", b"\x89PNG", "image/png"),
        ("a.tar.gz", b"\x1f\x8b", "application/gzip"),
        ("a.unheard-of", b"x", "application/octet-stream"),
    ],
)
def test_types(world: World, site: Path, name: str, content: bytes, expected: str) -> None:
    (site / name).write_bytes(content)
    answer = world.ask(f"/{name}")
    assert (answer.fields["content-type"], answer.body) == (expected, content)


def test_methods(world: World) -> None:
    head = world.ask("/file.txt", method="HEAD")
    assert (head.status, head.fields["content-length"], head.body) == (200, "10", b"")
    options = world.ask("/file.txt", method="OPTIONS")
    assert (options.status, options.fields["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert world.ask("*", method="OPTIONS").status == 204
    for method in ("POST", "PUT", "DELETE", "PROPFIND"):
        answer = world.ask("/file.txt", method=method)
        assert (answer.status, answer.fields["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_targets_of_every_form(world: World) -> None:
    assert world.ask("/empty.txt").body == b""
    assert world.ask("https://localhost/file.txt?x").body == TEXT
    assert world.ask("http://localhost").status == 200
    for target in ("/a%00b", "/file.txt%00", "/%2e%2e/x", "file.txt", "*"):
        assert world.ask(target).status == 404
    assert world.say(b"\r\nGET /file.txt HTTP/1.0\r\n\r\n").endswith(TEXT)


def test_a_pipe_and_a_socket_keep_nobody_waiting(world: World, site: Path) -> None:
    os.mkfifo(site / "pipe")
    (site / "linked").symlink_to("pipe")
    began = time.monotonic()
    for _ in range(20):
        assert world.ask("/pipe").status == world.ask("/linked").status == 404
    assert world.ask("/").status == 200
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_what_cannot_be_read_now_is_not_said_to_be_missing(
    site: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    really = os.open

    def failing(path: Any, *arguments: Any, **options: Any) -> int:
        if path == "file.txt":
            raise OSError(number, "no luck")
        return really(path, *arguments, **options)

    kept = list[str]()
    with running(files_of(site, kept_back=lambda path, reason: kept.append(reason))) as world:
        monkeypatch.setattr(os, "open", failing)
        answer = world.ask("/file.txt")
        monkeypatch.undo()
        assert (answer.status, answer.fields["retry-after"]) == (503, "5")
        assert kept == ["no luck"]
        assert world.ask("/file.txt").body == TEXT


def test_traces_that_cannot_be_listed_are_not_sent_under_other_names(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces = tmp_path / "traces"
    traces.mkdir()
    (traces / "trace.json").write_bytes(TEXT)
    (site / "other.json").hardlink_to(traces / "trace.json")

    def failing(path: Any) -> Any:
        raise OSError(errno.EMFILE, "no luck")

    with running(files_of(site, [traces])) as world:
        assert world.ask("/other.json").status == 404
        monkeypatch.setattr(os, "scandir", failing)
        assert world.ask("/other.json").status == 503


def test_a_file_that_becomes_shorter_ends_its_connection(site: Path) -> None:
    """Else the client would take the next answer for the rest of the file."""
    path, shrunk = site / "large.bin", list[str]()
    path.write_bytes(bytes(64 * MEGABYTE))
    with running(files_of(site, shrunk=shrunk.append)) as world, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", world.port))
        config = ClientConfig(trust=world.pki.trust)
        with (
            wrap_client(sock, config, server_name="localhost") as tls,
            pytest.raises(OSError),  # A truncation, or a reset.
        ):
            tls.sendall(
                b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"
                b"GET /file.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
            )
            got = tls.recv(65536)
            assert got.startswith(b"HTTP/1.1 200")
            os.truncate(path, MEGABYTE)
            while data := tls.recv(65536):
                got += data
        assert TEXT not in got
        assert got.count(b"HTTP/1.1") == 1
        world.heard.wait_until(lambda heard: heard.requests)
        assert shrunk == ["/large.bin"]
        assert world.ask("/file.txt").body == TEXT


def test_a_file_that_grows_is_sent_as_it_was(site: Path) -> None:
    path = site / "large.bin"
    path.write_bytes(bytes(8 * MEGABYTE))
    with running(files_of(site)) as world, world.connection() as tls:
        for _ in range(2):
            tls.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
            first = tls.recv(1000)
            with path.open("ab") as file:
                file.write(b"x" * MEGABYTE)
            size = int(first.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            got = len(first.partition(b"\r\n\r\n")[2])
            while got < size:
                got += len(tls.recv(min(65536, size - got)))
        tls.sendall(b"GET /file.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_answer(tls).body == TEXT


def test_a_client_that_says_nothing_more_gets_its_answer(site: Path) -> None:
    (site / "large.bin").write_bytes(bytes(8 * MEGABYTE))
    with running(files_of(site)) as world, world.connection() as tls:
        tls.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        tls.shutdown_write()
        got = sum(len(data) for data in iter(lambda: tls.recv(65536), b""))
        assert got > 8 * MEGABYTE


def test_a_fast_client_leaves_time_for_others(site: Path) -> None:
    (site / "large.bin").write_bytes(bytes(256 * MEGABYTE))
    with running(files_of(site)) as world, world.connection() as tls:
        tls.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        tls.recv(65536)
        began = time.monotonic()
        assert world.ask("/file.txt").body == TEXT
        assert time.monotonic() - began < 5


class Leaver:
    """A client that has left after so many questions."""

    def __init__(self, after: int) -> None:
        self.left = after

    def is_gone(self) -> bool:
        self.left -= 1
        return self.left < 0

    def cut_off(self) -> None: ...


def test_nobody_lists_a_directory_for_a_client_that_has_left(site: Path) -> None:
    for number in range(20):
        (site / "below" / f"{number}.txt").write_bytes(TEXT)
    files = Files(Site(str(site), ()))
    client = Leaver(3)
    entries = os.listdir(site / "below")
    assert files._listing(("below",), entries, client) is None
    assert client.left == -1
    answer = files._listing(("below",), entries, Leaver(99))
    assert answer is not None
    assert answer.body.count(b"<li>") == 20


def test_lists_of_directories_leave_threads_for_files(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that ask for lists, and leave or not, do not hold all of them."""
    may_go = threading.Event()
    really = Files._listing

    def slow(self: Files, *arguments: Any) -> Any:
        assert may_go.wait(60)
        return really(self, *arguments)

    monkeypatch.setattr(Files, "_listing", slow)
    with running(files_of(site)) as world, ExitStack() as stack:
        stack.callback(may_go.set)
        clients = [stack.enter_context(world.connection()) for _ in range(20)]
        for each in clients:
            each.sendall(b"GET /below/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.3)
        assert world.ask("/file.txt").body == TEXT
        may_go.set()
        assert {read_answer(each).status for each in clients} == {200}
