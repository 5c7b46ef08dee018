"""What the tests of certificates share."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.pki import Pki


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime.now(UTC)
