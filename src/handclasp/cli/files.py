"""HTTP over a TLS socket: the files of one directory, and nothing outside of it.

What may be given out is for `Site.open` to decide, on what it has opened.

Requests may begin in early data (0-RTT), which somebody who recorded them may have sent to another
server as well. RFC 8470 leaves it to each server what it does then; here nothing is done before
the handshake is complete, and what is not safe is refused with 425.
"""

from __future__ import annotations

import html
import os
import posixpath
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote, unquote_to_bytes

from handclasp.cli.handler import Handler
from handclasp.cli.site import NotServedError, Opened, Site

if TYPE_CHECKING:
    from handclasp import TLSSocket
    from handclasp.cli.server import Talk

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
"""The methods that change nothing, so that repetitions do no harm (RFC 9110 section 9.2.1)."""

_INDEXES = ("index.html", "index.htm")
_COPIED_AT_ONCE = 64 * 1024
_LEFT_IN_QUERIES = "%!$&'()*+,;=:@/?-._~"
"""RFC 3986 section 3.4."""


def serve_directory(
    directory: str,
    private: Iterable[str | os.PathLike[str]] = (),
    kept_back: Callable[[str, str], None] = lambda path, reason: None,
) -> Talk:
    """Answers HTTP requests for the files below `directory`.

    Args:
        private: paths of files and directories that are not given out under any name.
        kept_back: a function that gets the path of each requested file that is kept back, and the
            reason.
    """
    handler = partial(_FileHandler, site=Site(directory, private), kept_back=kept_back)

    def talk(tls: TLSSocket, address: tuple[str, int]) -> None:
        # The stdlib's handler wants a server and a socket; it uses of both what is here.
        handler(cast(Any, tls), address, cast(Any, None))

    return talk


class _FileHandler(Handler, SimpleHTTPRequestHandler):
    _began_early = False
    _has_body = False

    def __init__(self, *arguments: Any, site: Site, kept_back: Callable[[str, str], None]) -> None:
        self._site = site
        self._kept_back = kept_back
        super().__init__(*arguments)  # It answers all requests.

    def setup(self) -> None:
        """Make one stream of early data and the rest (RFC 8470 section 2)."""
        super().setup()
        tls = cast("TLSSocket", self.request)
        self._stream = _Stream(tls.early_data, cast(BinaryIO, self.rfile))
        self.rfile = cast(Any, self._stream)

    def parse_request(self) -> bool:
        """Called with the first line read; False where an answer was given."""
        self._began_early = self._stream.line_was_early
        self._has_body = False
        if not super().parse_request():
            return False
        # Nothing here reads a body, so that the next request would be looked for in its midst.
        self._has_body = "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
        return not self._refuse_too_early()

    def _refuse_too_early(self) -> bool:
        """Refuse a request that may be a replay; return whether it was refused.

        RFC 8470 section 5.1: one that a gateway has marked came early on the way there, which
        waiting here does not mend; whatever value the mark has, and however many there are, they
        count as one. Section 5.2: only those who sent it early know how to take the answer.
        """
        is_marked = "Early-Data" in self.headers
        if self.command in _SAFE_METHODS or not (self._began_early or is_marked):
            return False
        self.send_error(
            HTTPStatus.TOO_EARLY,
            explain="The request came in early data, and may be a copy: send it again",
        )
        return True

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Answer with a head; return the body, or None if there is none to come."""
        try:
            return self._answer()
        except NotServedError as refusal:
            if refusal.reason is not None:
                self._kept_back(self.path, refusal.reason)
        # As far as the client needs to know, there is nothing.
        self.send_error(HTTPStatus.NOT_FOUND, "File not found")
        return None

    def _answer(self) -> BytesIO | BinaryIO | None:
        names, is_directory = _names_of(self.path)
        opened = self._site.open(names)
        if opened.file is None:
            return self._directory(names, opened) if is_directory else self._elsewhere(names)
        if is_directory:  # The file is not what was asked for.
            opened.file.close()
            raise NotServedError
        return self._file(names, opened.file, opened.status)

    def _elsewhere(self, names: Sequence[str]) -> BinaryIO | None:
        """Redirect to the path with a slash, which relative links in a directory need."""
        _, mark, query = self.path.partition("#")[0].partition("?")
        query = quote(query.encode("latin-1"), safe=_LEFT_IN_QUERIES)
        path = "".join(f"/{quote(os.fsencode(name))}" for name in names)
        self.send_response(HTTPStatus.MOVED_PERMANENTLY)
        self.send_header("Location", f"{path}/{mark}{query}")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _directory(self, names: Sequence[str], opened: Opened) -> BytesIO | BinaryIO | None:
        """Send the index of a directory, or else a listing.

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
                    return self._file((*names, index), found.file, found.status)
        return self._listing(names, opened.entries)

    def _file(
        self, names: Sequence[str], file: BinaryIO, status: os.stat_result
    ) -> BinaryIO | None:
        try:
            if self._is_known(status.st_mtime):
                self.send_response(HTTPStatus.NOT_MODIFIED)
                self.end_headers()
                file.close()
                return None
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", self.guess_type(names[-1]))
            self.send_header("Content-Length", str(status.st_size))
            with suppress(ValueError, OverflowError, OSError):  # No date that has four digits.
                self.send_header("Last-Modified", self.date_time_string(int(status.st_mtime)))
            self.end_headers()
        except BaseException:
            file.close()
            raise
        self._size = status.st_size
        return file

    def _is_known(self, modified: float) -> bool:
        """Return whether the client has this version of a file (RFC 9110 section 13.1.3)."""
        since = self.headers["If-Modified-Since"]
        if since is None or "If-None-Match" in self.headers:
            return False
        try:
            date = parsedate_to_datetime(since)
            date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
            return int(modified) <= date.timestamp()
        except (TypeError, IndexError, OverflowError, ValueError):
            return False  # What is no date is ignored.

    def _listing(self, names: Sequence[str], entries: Iterable[str]) -> BytesIO:
        lines: list[str] = []
        private = self._site.private()
        for name in sorted(entries, key=str.lower):
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
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._size = len(body)
        return BytesIO(body)

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Copy as many bytes as were announced: a file may grow or shrink while it is sent."""
        left = self._size
        while left and (data := source.read(min(left, _COPIED_AT_ONCE))):
            outputfile.write(data)
            left -= len(data)
        if left:
            self.close_connection = True

    def end_headers(self) -> None:
        self.send_header("X-Content-Type-Options", "nosniff")
        if self._has_body:
            self.send_header("Connection", "close")
        super().end_headers()


class _Stream:
    """The stream of requests for the handler: early data first, then the rest."""

    def __init__(self, early: bytes, rest: BinaryIO) -> None:
        self._early = BytesIO(early)
        self._left = len(early)
        self._rest = rest
        self.line_was_early = False

    def readline(self, limit: int = -1) -> bytes:
        """Return the next line, as files do; `line_was_early` is then whether it began in early
        data.
        """
        self.line_was_early = self._left > 0
        line = self._early.readline(limit) if self._left else b""
        self._left -= len(line)
        if line.endswith(b"\n") or len(line) == limit:
            return line
        return line + self._rest.readline(limit - len(line) if limit >= 0 else -1)

    def close(self) -> None:
        self._rest.close()


def _names_of(path: str) -> tuple[tuple[str, ...], bool]:
    """Return the components of a request's path, and whether it is a directory.

    Raises `NotServedError` where no file can be meant.
    """
    raw = path.partition("?")[0].partition("#")[0].encode("latin-1")  # As the stdlib reads it.
    try:
        text = os.fsdecode(unquote_to_bytes(raw))
    except UnicodeDecodeError:  # On Windows names are Unicode.
        raise NotServedError from None
    names = [name for name in posixpath.normpath(f"/{text}").split("/") if name]
    return tuple(names), text.endswith(("/", "/.", "/.."))
