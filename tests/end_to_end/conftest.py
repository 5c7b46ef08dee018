"""One authority for all flows, and configs that fit together."""

from __future__ import annotations

import pytest
from tests.pki import Pki

from handclasp import ClientConfig, ServerConfig


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="session")
def client_config(pki: Pki) -> ClientConfig:
    return ClientConfig(trust=pki.trust)


@pytest.fixture(scope="session")
def server_config(pki: Pki) -> ServerConfig:
    return ServerConfig(credentials=pki.server("localhost"))
