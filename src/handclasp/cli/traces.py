"""The directory of `serve --trace`: a recording of each handshake, and pages on request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from handclasp.cli.pages import PAGE_ENDING, page_for, write_page
from handclasp.cli.redaction import Redaction
from handclasp.serving.visits import Visit

if TYPE_CHECKING:
    from handclasp import Recorder


class Traces:
    """A directory of recordings, for one thread.

    Args:
        directory: where they go.
        pages: whether to write pages.
        redaction: what to take out before.
    """

    def __init__(self, directory: Path, *, pages: bool, redaction: Redaction | None) -> None:
        self._directory = directory
        self._pages = pages
        self._redaction = redaction
        self._count = 0
        self._last: tuple[str, Recorder] | None = None
        """Host and trace of the last handshake that went well, to lay the next one beside it."""

    def store(self, visit: Visit) -> None:
        """Store the recording of a handshake."""
        recorder = visit.recorder
        if recorder is None or (visit.error is not None and visit.info is not None):
            return  # A connection that failed later has its recording already.
        self._count += 1
        who = f"{visit.host.replace(':', '_')}-{visit.port}"
        if self._redaction is not None:
            recorder = self._redaction.of(recorder)
            who = "client" if self._redaction.addresses else who
        name = f"{self._count:04}-{who}"
        try:
            recorder.save(self._directory / f"{name}.json")
            if self._pages:
                self._store_page(visit, recorder, self._directory / f"{name}{PAGE_ENDING}")
        except OSError as error:
            click.echo(f"Cannot write {name}: {error.strerror or error}.", err=True)

    def _store_page(self, visit: Visit, recorder: Recorder, path: Path) -> None:
        host, before = self._last or ("", None)
        earlier = before if host == visit.host else None
        hidden = self._redaction is not None and self._redaction.addresses
        title = f"Connection {self._count}" + ("" if hidden else f", from {visit.host}")
        write_page(path, page_for(recorder, title, earlier=earlier))
        if visit.info is not None:
            self._last = (visit.host, recorder)
