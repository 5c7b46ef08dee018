"""The traceback of a refused certificate shows the program, not the engine."""

from __future__ import annotations

import asyncio
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.pairs import plain_pair
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

import handclasp
from handclasp import ClientConfig, Credentials, ServerConfig
from handclasp.compat import SSLContext

SOURCE = Path(handclasp.__file__).parent
MOST = 6
"""Frames of ours; those of the public functions alone are four."""

DAY = timedelta(days=1)


@pytest.fixture(params=["expired", "wrong name", "self-signed", "untrusted"])
def refused(request: pytest.FixtureRequest, pki: Pki) -> ServerConfig:
    """A server whose certificate is refused."""
    leaf = Leaf()
    if request.param == "expired":
        leaf = Leaf(not_before=pki.now - 2 * DAY, not_after=pki.now - DAY)
    elif request.param == "wrong name":
        leaf = Leaf(("other.test",))
    stranger = Pki()
    issuer = stranger if request.param == "untrusted" else pki
    key: Any = key_of_type("ecdsa-p256")
    certificate = issuer.issue(leaf, key.public_key())
    if request.param == "self-signed":
        certificate, key = stranger.certificate, stranger.key
    return ServerConfig(credentials=[Credentials.from_pem(pem_of(certificate), key_pem(key))])


@pytest.fixture
def peer(refused: ServerConfig) -> Iterator[Any]:
    with plain_pair() as (left, right):

        def serve() -> None:
            with suppress(OSError, handclasp.TLSError):
                handclasp.wrap_server(right, refused)

        thread = threading.Thread(target=serve)
        thread.start()
        yield left
        left.close()
        thread.join()


def by_socket(sock: Any, pki: Pki) -> None:
    handclasp.wrap_client(sock, ClientConfig(trust=pki.trust), server_name="localhost")


def by_asyncio(sock: Any, pki: Pki) -> None:
    async def connect() -> None:
        await handclasp.aio.open_connection(
            sock=sock, config=ClientConfig(trust=pki.trust), server_name="localhost"
        )

    asyncio.run(connect())


def by_compat(sock: Any, pki: Pki) -> None:
    context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pki.ca_pem.decode())
    context.wrap_socket(sock, server_hostname="localhost")


@pytest.mark.parametrize("connect", [by_socket, by_asyncio, by_compat])
def test_a_refused_certificate(peer: Any, pki: Pki, connect: Callable[[Any, Pki], None]) -> None:
    with pytest.raises(handclasp.CertificateError) as caught:
        connect(peer, pki)
    frames = traceback.extract_tb(caught.value.__traceback__)
    ours = [frame.name for frame in frames if SOURCE in Path(frame.filename).parents]
    assert len(ours) <= MOST, ours
    assert "Traceback" not in "".join(traceback.format_exception(caught.value)).partition("\n")[2]
