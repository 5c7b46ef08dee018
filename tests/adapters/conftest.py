"""Configs for both roles, and the means to run a peer in a thread."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adapters.loops import use_the_chosen_loop
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp.config import ClientConfig, ServerConfig

use_the_chosen_loop()


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


@pytest.fixture(scope="session")
def server_config(pki: Pki) -> ServerConfig:
    return ServerConfig(credentials=pki.server("localhost", "127.0.0.1"))


@pytest.fixture(scope="session")
def client_config(pki: Pki) -> ClientConfig:
    return ClientConfig(trust=pki.trust)


@pytest.fixture(scope="session")
def ssl_server(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server of the standard library, with a certificate from the same authority."""
    key = key_of_type("ecdsa-p256")
    certificate = pki.issue(Leaf(("localhost",)), key.public_key())
    file: Path = tmp_path_factory.mktemp("pki") / "server.pem"
    file.write_bytes(pem_of(certificate) + key_pem(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture(scope="session")
def ssl_client(pki: Pki) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=pki.ca_pem.decode())


@pytest.fixture(autouse=True, scope="module")
def _left_of_other_tests() -> None:
    """Leave what earlier modules keep out of the collections that follow each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_resource_warnings() -> Iterator[None]:
    """What a test leaves open shows up in that test (warnings are errors)."""
    yield
    gc.collect()
