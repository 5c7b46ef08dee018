"""`cert show` and `cert check` of certificates that cryptography fails at: words, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.certificates.hostile import hostile_certificates, pem_block
from tests.cli.conftest import Run
from tests.pki import Pki

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.mark.parametrize("what", ["check", "show"])
@pytest.mark.parametrize("form", ["pem", "der"])
def test_cert(run: Run, tmp_path: Path, what: str, form: str) -> None:
    anchors = tmp_path / "ca.pem"
    anchors.write_bytes(Pki().pem)
    more = ["--name", "localhost", "--ca", str(anchors)] if what == "check" else []
    for number, (name, der) in enumerate(hostile_certificates().items()):
        file = tmp_path / "hostile"
        file.write_bytes(pem_block(der) if form == "pem" else der)
        result = run("cert", what, str(file), *more, *(["--json"] if number % 2 else []))
        assert result.exit_code in (0, 1, 2), (name, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit), name
