"""The pytest plugin of handclasp: `tls_authority`, `tls_server` and `tls_client`.

pytest loads it wherever handclasp is installed, so it imports nothing of the library before a test
asks for one of its fixtures. docs/testing.md shows them at work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handclasp.testing import FaultyServer, Outcome, TlsAuthority


class StartServer(Protocol):
    """The fixture `tls_server`.

    Its arguments are those of `FaultyServer`.
    """

    def __call__(self, fault: str | None = None, /, **settings: object) -> FaultyServer: ...


class ConnectClient(Protocol):
    """The fixture `tls_client`.

    Its arguments are those of `faulty_connect`; the host is 127.0.0.1 if none is given.
    """

    def __call__(
        self, fault: str, port: int, host: str = "127.0.0.1", **settings: object
    ) -> Outcome: ...


@pytest.fixture(scope="session")
def tls_authority(tmp_path_factory: pytest.TempPathFactory) -> TlsAuthority:
    """Return a private authority; the program under test trusts the file `ca_file`."""
    from handclasp.testing import TlsAuthority

    return TlsAuthority(tmp_path_factory.mktemp("tls-authority"))


@pytest.fixture
def tls_server(tls_authority: TlsAuthority) -> Iterator[StartServer]:
    """Yield a function that starts a server, a good one or one with a fault.

    Its certificate is of `tls_authority`. All servers end with the test.
    """
    from handclasp.testing import FaultyServer

    servers: list[FaultyServer] = []

    def start(fault: str | None = None, /, **settings: object) -> FaultyServer:
        given: dict[str, object] = {"authority": tls_authority, **settings}
        servers.append(FaultyServer(fault, **given))  # type: ignore[arg-type]
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.close()


@pytest.fixture
def tls_client(tls_authority: TlsAuthority) -> ConnectClient:
    """Return a function that connects to a server under test, misbehaves, and says how it ended.

    Its certificate is of `tls_authority`.
    """
    from handclasp.testing import faulty_connect

    def connect(fault: str, port: int, host: str = "127.0.0.1", **settings: object) -> Outcome:
        given: dict[str, object] = {"authority": tls_authority, **settings}
        return faulty_connect(fault, host, port, **given)  # type: ignore[arg-type]

    return connect
