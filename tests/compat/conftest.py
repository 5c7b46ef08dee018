"""Fixtures for the tests of the look-alike of `ssl`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.compat.pairs import Files
from tests.pki import Pki


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(Pki(), tmp_path)
