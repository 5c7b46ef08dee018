"""Pages that the command line makes: what they know of certificates, and who may read them."""

from __future__ import annotations

from pathlib import Path

from tests.pki import Pki, der_of

from handclasp import Recorder
from handclasp.certificates import describe_certificate
from handclasp.cli.pages import page_for, write_page


def test_a_certificate_is_described() -> None:
    said = describe_certificate(*der_of(Pki().certificate))
    assert said is not None
    assert "test root" in str(said["subject"])


def test_of_what_is_no_certificate_nothing_is_said() -> None:
    """Such as a bare key (RFC 7250), or what a hostile peer sent."""
    for der in (b"", b"\x30\x00", bytes(100)):
        assert describe_certificate(der) is None


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, page_for(Recorder(), "nothing"))
    assert path.stat().st_mode & 0o077 == 0
    assert "The trace holds no messages." in path.read_text("utf-8")
