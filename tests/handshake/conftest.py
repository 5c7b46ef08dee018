"""One authority for the parts of the handshakes that need certificates."""

from __future__ import annotations

import pytest
from tests.pki import Pki


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()
