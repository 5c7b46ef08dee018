"""An ASGI application that sends the files of one directory, and nothing outside of it.

`Site.open` decides what may be sent, on what it has opened; so no file is opened by its path here.
It runs in threads of its own, as does what must be read from a disk: no file system that hangs
stops the server.

A request in early data (0-RTT) may be a copy. It is answered if it is safe, and else refused with
425, by `asgi.RefuseEarlyData`, which is around this application (RFC 8470).
"""

from __future__ import annotations

import asyncio
import html
import mimetypes
import os
import posixpath
import re
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import BinaryIO, TypeVar
from urllib.parse import quote, unquote_to_bytes

from handclasp.serving import conditions
from handclasp.serving.application import CONNECTION, Client, Receive, Scope, Send
from handclasp.serving.site import NotServedError, Opened, Site
from handclasp.values import dataclass

CHUNK_BYTES = 256 * 1024
"""The bytes of a file that are read and sent at once, for each client."""

_THREADS = 16
_LISTINGS = 4
"""The threads that may list directories at once: each file in one is opened and searched."""
_INDEXES = ("index.html", "index.htm")
_LEFT_IN_QUERIES = "%!$&'()*+,;=:@/?-._~"
"""RFC 3986 section 3.4."""
_NO_WEIGHT = re.compile(r"q=0(\.0{0,3})?")
"""RFC 9110 section 12.4.2."""
_ALLOWED = (b"allow", b"GET, HEAD, OPTIONS")
_CHARSET_BYTES = 64 * 1024
"""The bytes of a text that must be UTF-8 for it to be called so."""
_TEXTS = ("application/javascript", "application/json", "application/xml", "image/svg+xml")
_TYPES_OF_CODINGS = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/octet-stream",
}

T = TypeVar("T")
Fields = list[tuple[bytes, bytes]]
KeptBack = Callable[[str, str], object]


@dataclass(slots=True)
class Answer:
    """An answer to send: a status, header fields, and a body or a part of an open file."""

    status: int
    fields: Fields
    body: bytes = b""
    file: BinaryIO | None = None
    start: int = 0
    end: int = 0


@dataclass(slots=True)
class Directory:
    """A directory without an index, which is to be listed."""

    names: Sequence[str]
    entries: Iterable[str]


class Files:
    """The application.

    Args:
        site: decides which files may be sent.
        kept_back: is called with the path of each requested file that is kept back, and the reason.
        shrunk: is called with the path of a file that became shorter while it was sent.
        precompressed: whether a client that takes gzip gets FILE.gz for FILE, if that is there and
            at least as new.
    """

    def __init__(
        self,
        site: Site,
        kept_back: KeptBack = lambda path, reason: None,
        shrunk: Callable[[str], object] = lambda path: None,
        *,
        precompressed: bool = False,
    ) -> None:
        self._site = site
        self._kept_back = kept_back
        self._shrunk = shrunk
        self._precompressed = precompressed
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="files")
        self._listings = asyncio.Semaphore(_LISTINGS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        method, path = scope["method"], _path_of(scope)
        if method == "OPTIONS":
            answer = Answer(204, [_ALLOWED])
        elif method not in ("GET", "HEAD"):
            answer = _plain(405, "The files of this server can only be read", _ALLOWED)
        else:
            headers = _headers_of(scope)
            if method == "HEAD":
                headers.pop("range", None)  # RFC 9110 section 14.2: ranges are for GET alone.
            query = bytes(scope["query_string"]).partition(b"#")[0]
            found = await self._look_up(path, query, headers, scope["extensions"][CONNECTION])
            if found is None:
                return
            answer = found
        answer.fields.append((b"x-content-type-options", b"nosniff"))
        try:
            start = {"type": "http.response.start", "status": answer.status}
            await send({**start, "headers": answer.fields})
            if answer.file is None or method == "HEAD":
                await send({"type": "http.response.body", "body": answer.body})
            else:
                client: Client = scope["extensions"][CONNECTION]
                if not await self._send_file(answer, client, send):
                    if not client.is_gone():
                        # It must not take what comes next for the rest of the file.
                        self._shrunk(path)
                        client.cut_off()
                    await _disconnected(receive)
        finally:
            if answer.file is not None:
                answer.file.close()

    async def _look_up(
        self, path: str, query: bytes, headers: dict[str, str], client: Client
    ) -> Answer | None:
        """Return the answer, which threads find; None: the client has left meanwhile."""
        loop = asyncio.get_running_loop()
        find = partial(self._find, path, query, headers)
        found = await loop.run_in_executor(self._threads, self._attempt, path, find)
        if isinstance(found, Answer):
            return found
        async with self._listings:  # Files are sent meanwhile, however many lists are asked for.
            make = partial(self._listing, found.names, found.entries, client)
            return await loop.run_in_executor(self._threads, self._attempt, path, make)

    async def _send_file(self, answer: Answer, client: Client, send: Send) -> bool:
        """Send a part of a file. Return False where the client leaves, or the file became
        shorter.
        """
        file, at, end = answer.file, answer.start, answer.end
        while file is not None and at < end and not client.is_gone():
            size = min(end - at, CHUNK_BYTES)
            data = _read_from_memory(file.fileno(), size, at)
            if data is None:
                read = partial(_read, file, size, at)
                data = await asyncio.get_running_loop().run_in_executor(self._threads, read)
            if not data:
                return False
            at += len(data)
            await send({"type": "http.response.body", "body": data, "more_body": at < end})
            await asyncio.sleep(0)  # A fast client leaves time for the others.
        return at >= end

    # In a thread

    def _attempt(self, path: str, step: Callable[[], T]) -> T | Answer:
        """Take a step; return the answer to send in its place if there is nothing to send."""
        try:
            return step()
        except NotServedError as refusal:
            if refusal.reason is not None:
                self._kept_back(path, refusal.reason)
        except OSError as error:  # No descriptors are left, or the disk has failed.
            self._kept_back(path, error.strerror or type(error).__name__)
            return _plain(503, "The file cannot be read now", (b"retry-after", b"5"))
        # As far as the client needs to know, there is nothing.
        return _plain(404, "There is no such file")

    def _find(self, path: str, query: bytes, headers: dict[str, str]) -> Answer | Directory:
        names, is_directory = _names_of(path)
        opened = self._site.open(names)
        if opened.file is None:
            if not is_directory:
                return _elsewhere(names, query)
            return self._directory(names, opened, headers)
        if is_directory:  # The file is not what was asked for.
            opened.file.close()
            raise NotServedError
        return self._file(names, opened.file, opened.status, headers)

    def _directory(
        self, names: Sequence[str], opened: Opened, headers: dict[str, str]
    ) -> Answer | Directory:
        """Return the index of a directory, or else what to list.

        An index that is kept back is no reason to list what it was to hide.
        """
        for index in _INDEXES:
            try:
                found = self._site.open((*names, index), with_entries=False)
            except NotServedError:
                if index in opened.entries:
                    raise
            else:
                if found.file is not None:
                    return self._file((*names, index), found.file, found.status, headers)
        return Directory(names, opened.entries)

    def _file(
        self,
        names: Sequence[str],
        file: BinaryIO,
        status: os.stat_result,
        headers: dict[str, str],
    ) -> Answer:
        """Return the answer for an opened file, or for its compressed form."""
        compressed: Opened | None = None
        try:
            if self._precompressed and _takes_gzip(headers.get("accept-encoding", "")):
                compressed = self._compressed(names, status)
            if compressed is None or compressed.file is None:
                return _answer_of(names[-1], file, file, status, headers)
            with file:
                answer = _answer_of(names[-1], file, compressed.file, compressed.status, headers)
            answer.fields.append((b"vary", b"accept-encoding"))
            if answer.status in (200, 206):
                answer.fields.append((b"content-encoding", b"gzip"))
            return answer
        except BaseException:
            file.close()
            if compressed is not None and compressed.file is not None:
                compressed.file.close()
            raise

    def _compressed(self, names: Sequence[str], status: os.stat_result) -> Opened | None:
        """Return the compressed form of a file; None: there is none, or it may be of an older
        state.
        """
        *before, name = names
        try:
            found = self._site.open((*before, f"{name}.gz"), with_entries=False)
        except NotServedError:
            return None
        if found.file is None or found.status.st_mtime_ns >= status.st_mtime_ns:
            return found
        found.file.close()
        return None

    def _listing(
        self, names: Sequence[str], entries: Iterable[str], client: Client
    ) -> Answer | None:
        lines: list[str] = []
        private = self._site.private()
        for name in sorted(entries, key=str.lower):
            if client.is_gone():
                return None
            try:
                found = self._site.open((*names, name), with_entries=False, private=private)
            except NotServedError:
                continue
            slash = "/" if found.file is None else ""
            if found.file is not None:
                found.file.close()
            address = quote(os.fsencode(name))
            # A name with a colon in it would be taken for a scheme.
            lines.append(f'<li><a href="./{address}{slash}">{html.escape(name)}{slash}</a></li>')
        title = html.escape(f"/{'/'.join([*names, ''])}")
        page = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        page += '<meta name="viewport" content="width=device-width, initial-scale=1">'
        page += f"<title>{title}"
        page += f"</title></head>\n<body><h1>{title}</h1>\n<ul>\n" + "\n".join(lines)
        body = f"{page}\n</ul></body></html>\n".encode("utf-8", "replace")
        return _whole(200, "text/html; charset=utf-8", body)


def _takes_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding names gzip, and with another weight than 0."""
    for each in accepted.lower().split(","):
        coding, *parameters = (part.strip() for part in each.split(";"))
        if coding in ("gzip", "x-gzip"):
            return not any(_NO_WEIGHT.fullmatch(each) for each in parameters)
    return False


def _answer_of(
    name: str,
    original: BinaryIO,
    file: BinaryIO,
    status: os.stat_result,
    headers: dict[str, str],
) -> Answer:
    """Return the answer with a file.

    Args:
        name, original: tell the media type.
        file, status: are sent; the file is closed if nothing of it is.
        headers: of the request.
    """
    version, size = conditions.Version.of(status), status.st_size
    outcome = conditions.outcome_of(headers, version)
    if outcome == 304:
        file.close()
        return Answer(304, version.fields)
    if outcome == 412:
        file.close()
        return _plain(412, "The file has changed")
    try:
        part = conditions.range_of(headers, version, size)
    except ValueError:
        file.close()
        where = (b"content-range", b"bytes */%d" % size)
        return _plain(416, "The file has no such part", where)
    start, end = part or (0, size)
    fields: Fields = [
        (b"content-type", _type_of(name, original).encode()),
        (b"content-length", b"%d" % (end - start)),
        (b"accept-ranges", b"bytes"),
        *version.fields,
    ]
    if part is not None:
        fields.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size)))
    answer = Answer(200 if part is None else 206, fields)
    if start == end:
        file.close()
    else:
        answer.file, answer.start, answer.end = file, start, end
    return answer


def _elsewhere(names: Sequence[str], query: bytes) -> Answer:
    """Redirect to the path with a slash, which relative links in a directory need."""
    path = "".join(f"/{quote(os.fsencode(name))}" for name in names) + "/"
    mark = f"?{quote(query, safe=_LEFT_IN_QUERIES)}" if query else ""
    location = (b"location", f"{path}{mark}".encode())
    return Answer(301, [location, (b"content-length", b"0")])


def _plain(status: int, sentence: str, *fields: tuple[bytes, bytes]) -> Answer:
    answer = _whole(status, "text/plain; charset=utf-8", f"{sentence}.\n".encode())
    answer.fields += fields
    return answer


def _whole(status: int, content_type: str, body: bytes) -> Answer:
    fields = [
        (b"content-type", content_type.encode()),
        (b"content-length", b"%d" % len(body)),
    ]
    return Answer(status, fields, body)


def _type_of(name: str, file: BinaryIO) -> str:
    """Return the media type by the name; and that a text is in UTF-8, if it is."""
    guessed, coding = mimetypes.guess_type(name)
    if coding is not None:
        return _TYPES_OF_CODINGS.get(coding, "application/octet-stream")
    found = guessed or "application/octet-stream"
    if not found.startswith("text/") and found not in _TEXTS:
        return found
    try:
        start = file.read(_CHARSET_BYTES)
        getincrementaldecoder("utf-8")().decode(start, final=len(start) < _CHARSET_BYTES)
    except UnicodeDecodeError:
        return found
    return f"{found}; charset=utf-8"


async def _disconnected(receive: Receive) -> None:
    """Wait until the connection is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers_of(scope: Scope) -> dict[str, str]:
    """Return the fields; several of one name are one list (RFC 9110 section 5.3)."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _path_of(scope: Scope) -> str:
    """Return the path of the target, also of one in absolute form (RFC 9112 section 3.2.2)."""
    raw = bytes(scope["raw_path"]).decode("latin-1").partition("#")[0]
    if not raw.startswith("/") and "://" in raw:
        raw = "/" + raw.partition("://")[2].partition("/")[2]
    return raw


def _names_of(path: str) -> tuple[tuple[str, ...], bool]:
    """Return the components of a request's path, and whether it is a directory.

    Raises `NotServedError` where no file can be meant.
    """
    if not path.startswith("/"):
        raise NotServedError
    try:
        text = os.fsdecode(unquote_to_bytes(path.encode("latin-1")))
    except UnicodeDecodeError:  # On Windows names are Unicode.
        raise NotServedError from None
    names = [name for name in posixpath.normpath(f"/{text}").split("/") if name]
    return tuple(names), text.endswith(("/", "/.", "/.."))


def _read(file: BinaryIO, size: int, at: int) -> bytes:
    file.seek(at)
    return file.read(size)


if sys.platform == "linux":

    def _read_from_memory(descriptor: int, size: int, at: int) -> bytes | None:
        """Return what the system has in memory; None where it would have to wait for a disk."""
        buffer = bytearray(size)
        with suppress(OSError):  # It is not in memory, or this file system does not tell.
            if read := os.preadv(descriptor, [buffer], at, os.RWF_NOWAIT):
                return bytes(memoryview(buffer)[:read])
        return None

else:

    def _read_from_memory(descriptor: int, size: int, at: int) -> bytes | None:
        """Return None: this system does not tell what it has in memory."""
        return None
