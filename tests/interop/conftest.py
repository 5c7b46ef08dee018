"""One authority and one set of payloads for all conversations of a run."""

from __future__ import annotations

import pytest

from .scenarios import Scenarios


@pytest.fixture(scope="session")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> Scenarios:
    return Scenarios(tmp_path_factory.mktemp("interop"))
