"""Pages of what this program recorded, with all that it knows of certificates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    """The page. Raises `ConfigurationError` without jinja2; see `Recorder.to_html`."""
    judgement = explanation.to_json() if explanation is not None else None
    return recorder.to_html(title, described, judgement=judgement, earlier=earlier)


def described(der: bytes) -> Mapping[str, object] | None:
    """What a certificate says; None of what cannot be read, or is a bare key."""
    from handclasp.certificates.describe import describe
    from handclasp.certificates.reading import certificate_of

    try:
        certificate = certificate_of(der)
    except ValueError:
        return None
    described: dict[str, Any] = describe(certificate)
    return described


def write_page(path: Path, page: str) -> None:
    """Into a file that only its owner may read, as all traces are. Raises `OSError`."""
    write_private(path, page.encode())
