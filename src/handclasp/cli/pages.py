"""Pages of what this program recorded, with all that it knows of certificates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handclasp.private_files import write_private

if TYPE_CHECKING:
    from handclasp import Recorder
    from handclasp.certificates import Explanation

PAGE_ENDING = ".html"


def page_for(
    recorder: Recorder,
    title: str,
    explanation: Explanation | None = None,
    earlier: Recorder | None = None,
) -> str:
    """Return the page; raise `ConfigurationError` without jinja2. See `Recorder.to_html`."""
    from handclasp.certificates import describe_certificate

    found = explanation.to_json() if explanation is not None else None
    return recorder.to_html(title, describe_certificate, explanation=found, earlier=earlier)


def write_page(path: Path, page: str) -> None:
    """Into a file that only its owner may read, as all traces are. Raises `OSError`."""
    write_private(path, page.encode())
