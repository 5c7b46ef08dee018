"""What the tests of foreign servers share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.children import let_others_read
from tests.programs.certificates import write_certificates


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority and certificates, which servers of other users may read."""
    home = tmp_path_factory.mktemp("scan")
    let_others_read(home)
    write_certificates(home)
    return home
