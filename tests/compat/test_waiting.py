"""A program stops waiting for a handshake: what ends the waiting tells what it waited for."""

from __future__ import annotations

import asyncio
import pickle
import socket
import ssl
import sys
import traceback
from asyncio.sslproto import SSLProtocol
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tests.compat.pairs import Bios, Files, client_context, server_context

from handclasp import compat
from handclasp.compat import find_failure
from handclasp.faults import Fault

SILENT = "(the server had said nothing at all)"


async def by_timeout(connecting: Awaitable[object]) -> None:
    async with asyncio.timeout(0.1):
        await connecting


async def by_wait_for(connecting: Awaitable[object]) -> None:
    await asyncio.wait_for(connecting, 0.1)


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """The address of a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


@pytest.mark.parametrize("give_up", [by_timeout, by_wait_for])
def test_a_timeout_of_asyncio_has_the_explanation_in_its_cause(
    files: Files, silent: tuple[str, int], give_up: Callable[..., Any]
) -> None:
    context = client_context("handclasp", files)

    async def connect() -> None:
        await give_up(asyncio.open_connection(*silent, ssl=context, server_hostname="localhost"))

    with compat.injected(), pytest.raises(TimeoutError) as caught:
        asyncio.run(connect())
    told = "".join(traceback.format_exception(caught.value))
    assert told.count(f"handclasp: {Fault.HANDSHAKE_ABANDONED.sentence} {SILENT}") == 1
    assert told.count("At fault: ") == 1
    failure = find_failure(caught.value)
    assert failure is not None
    assert failure.fault is Fault.HANDSHAKE_ABANDONED


def test_a_cancellation_that_closes_many_connections_is_explained_once(
    files: Files, silent: tuple[str, int]
) -> None:
    context = client_context("handclasp", files)

    async def connect_often() -> asyncio.CancelledError:
        loop = asyncio.get_running_loop()

        def waiting() -> Any:
            waiter = loop.create_future()
            return SSLProtocol(
                loop, asyncio.Protocol(), context, waiter, server_hostname="localhost"
            )

        protocols = [(await loop.create_connection(waiting, *silent))[1] for _ in range(3)]
        try:
            raise asyncio.CancelledError
        except asyncio.CancelledError as error:
            for protocol in protocols:
                protocol._app_transport.close()
            return error

    with compat.injected():
        error = asyncio.run(connect_often())
    assert len([note for note in error.__notes__ if note.startswith("handclasp: ")]) == 1


def test_asyncio_gets_its_methods_back() -> None:
    before = dict(vars(SSLProtocol))
    with compat.injected():
        assert vars(SSLProtocol)["_abort"] is not before["_abort"]
    assert dict(vars(SSLProtocol)) == before


def waiting_of(files: Files) -> tuple[Any, ssl.SSLWantReadError]:
    """Return a client over memory BIOs, and the exception by which it says that it waits."""
    client = client_context("handclasp", files).wrap_bio(
        ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError) as caught:
        client.do_handshake()
    return client, caught.value


def test_a_program_that_waits_within_the_handler_has_it_in_the_context(files: Files) -> None:
    """As anyio does, through which httpx connects: nobody asks the object any more."""
    _, waiting = waiting_of(files)
    try:
        try:
            raise waiting
        except ssl.SSLWantReadError:
            raise TimeoutError from None  # As httpcore does, so that no traceback shows it.
    except TimeoutError as error:
        failure = find_failure(error)
    assert failure is not None
    assert failure.fault is Fault.HANDSHAKE_ABANDONED
    assert SILENT in "".join(traceback.format_exception_only(failure))


def test_it_says_what_it_waits_for_and_no_more(files: Files) -> None:
    """Somebody may log the exception and go on."""
    _, waiting = waiting_of(files)
    first, told = traceback.format_exception_only(waiting)
    assert first == "ssl.SSLWantReadError: The operation did not complete (read)\n"
    assert told == f"handclasp: The handshake waits for the server. {SILENT}\n"
    assert waiting.errno == ssl.SSL_ERROR_WANT_READ
    again = pickle.loads(pickle.dumps(waiting))
    assert type(again) is ssl.SSLWantReadError
    assert again.args == waiting.args


def test_it_says_nothing_once_the_handshake_is_complete(files: Files) -> None:
    bios = Bios(server_context("handclasp", files), client_context("handclasp", files))
    with pytest.raises(ssl.SSLWantReadError) as caught:
        bios.client.do_handshake()
    bios.handshake()
    assert len(traceback.format_exception_only(caught.value)) == 1
    assert find_failure(caught.value) is None


@pytest.mark.parametrize("server_side", [True, False])
def test_the_timeout_of_a_socket_contains_its_failure(files: Files, *, server_side: bool) -> None:
    make = server_context if server_side else client_context
    context = make("handclasp", files)
    ours, other = socket.socketpair()
    ours.settimeout(0.05)
    with ours, other, pytest.raises(TimeoutError) as caught:
        context.wrap_socket(
            ours, server_side=server_side, server_hostname=None if server_side else "localhost"
        )
    failure = find_failure(caught.value)
    assert failure is not None
    assert failure.fault is Fault.HANDSHAKE_TIMEOUT
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.__notes__ == caught.value.__notes__


@pytest.mark.parametrize(
    ("library", "told"),
    [
        ("httpx", "Look for a timeout (httpx: timeout=SECONDS), a cancelled task"),
        ("aiohttp", "Look for a timeout (aiohttp: timeout=aiohttp.ClientTimeout(SECONDS)), a"),
        ("app", "Look for a timeout, a cancelled task"),
    ],
)
def test_it_remembers_which_library_waits(
    files: Files, library: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its failure is looked at, the library does not stand on the stack any more."""
    monkeypatch.delitem(sys.modules, "aiohttp", raising=False)
    names: dict[str, Any] = {"__name__": f"{library}.api", "call": waiting_of}
    exec("def made(files):\n    return call(files)", names)
    _, waiting = names["made"](files)
    failure = find_failure(waiting)
    assert failure is not None
    assert told in failure.fix
