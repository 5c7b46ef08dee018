"""docs/sockets.md is right: the same scenarios with standard sockets and with ours."""

from __future__ import annotations

import inspect
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.pairs import Aside, plain_pair, tls_pair
from tests.adapters.socket_scenarios import SCENARIOS, STANDARD

from handclasp import ClientConfig, ServerConfig, TLSSocket

DOCUMENT = Path(__file__).parents[2] / "docs" / "sockets.md"

DIFFERENT: dict[str, tuple[object, object]] = {
    # For each scenario that does not come out the same: with the standard library, and with ours.
    "recv_flags": ("nothing, but b'xy'", "ValueError"),
    "datagrams": ({"ValueError", "NotImplementedError"}, {"AttributeError"}),
    "shutdown_reading": ("nothing, but None", "ValueError"),
    "makefile_after_close": ("nothing, but None", "OSError"),
    "want_errors": ({"SSLError"}, {"BlockingIOError"}),
    "handshake_block": ("nothing, but None", "TypeError"),
    "methods_of_ssl": ({True}, {False}),
    "listening": ({True}, {False}),
}

Pair = tuple[Any, Any]


@pytest.fixture
def open_pair(
    client_config: ClientConfig,
    server_config: ServerConfig,
    ssl_client: ssl.SSLContext,
    ssl_server: ssl.SSLContext,
) -> Callable[[str], Any]:
    """Gives both ends of a connection of a kind: "socket", "ssl" or "handclasp"."""

    @contextmanager
    def open_one(kind: str) -> Iterator[Pair]:
        with ExitStack() as stack:
            if kind == "handclasp":
                pair: Pair = stack.enter_context(tls_pair(client_config, server_config))
            else:
                pair = stack.enter_context(plain_pair())
            if kind == "ssl":
                other = Aside(lambda: ssl_server.wrap_socket(pair[1], server_side=True))
                ours = stack.enter_context(
                    ssl_client.wrap_socket(pair[0], server_hostname="localhost")
                )
                pair = ours, stack.enter_context(other.result())
            if kind != "handclasp":
                pair[0].settimeout(20)
            yield pair

    return open_one


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_with_both(open_pair: Callable[[str], Any], name: str) -> None:
    outcomes = []
    for kind in (STANDARD[name], "handclasp"):
        with open_pair(kind) as (left, right):
            outcomes.append(SCENARIOS[name](left, right))
    print(name, *outcomes, sep="\n  ")
    if name in DIFFERENT:
        assert tuple(outcomes) == DIFFERENT[name]
    else:
        assert outcomes[0] == outcomes[1]


# The document


def rows() -> list[tuple[str, str, str]]:
    """Call, verdict and scenario of each row of the document's tables."""
    cells = [line.strip("| ").split(" | ") for line in text().splitlines() if line[:1] == "|"]
    return [
        (row[0], row[1], row[-1].strip("`"))
        for row in cells
        if row[0] != "Call" and not row[0].startswith("---")
    ]


def text() -> str:
    return DOCUMENT.read_text("utf-8").replace("| | ", "|  | ")


def test_every_scenario_stands_in_a_row_that_says_how_it_came_out() -> None:
    told = {name: verdict for _, verdict, name in rows()}
    assert set(told) == set(SCENARIOS)
    for name, verdict in told.items():
        assert verdict in {"same", "more", "different", "not there"}
        assert (verdict in {"different", "not there"}) == (name in DIFFERENT), name


@pytest.mark.parametrize("kind", [socket.socket, ssl.SSLSocket, TLSSocket])
def test_every_method_and_attribute_is_in_the_document(kind: type) -> None:
    words = set(re.findall(r"\w+", text()))
    names = {name for name in dir(kind) if not name.startswith("_")}
    assert names - words == set()


@pytest.mark.parametrize("kind", [socket.socket, ssl.SSLSocket])
def test_every_parameter_of_a_method_that_is_here_is_in_its_row(kind: type) -> None:
    calls = " ".join(call for call, verdict, _ in rows() if verdict != "not there")
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if name.startswith("_") or not re.search(rf"`{name}[(`]", calls):
            continue
        for parameter in list(inspect.signature(method).parameters)[1:]:
            assert re.search(rf"\b{name}\b[^|]*\b{parameter}\b", calls), (name, parameter)
