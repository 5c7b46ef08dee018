"""What the faulty peers are called with, and the functions that they are given."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

import handclasp
from handclasp import ClientConfig, ConfigurationError, TLSError
from handclasp.testing import FaultyServer, Outcome, faulty_connect, http_answer

NAN = float("nan")
WRONG: list[dict[str, Any]] = [
    *({"seconds": seconds} for seconds in (0, -1, NAN, "3", 1e9, True)),
    *({"port": port} for port in (-1, 70_000, "8", None)),
    *(
        {"names": names}
        for names in ("localhost", ["a b"], [5], None, ["x" * 64], ["b\xfccher.de"])
    ),
    {"fault": 7},
    {"answer": "x"},
    {"report": "x"},
    {"authority": "x"},
    {"listener": "x"},
]


@pytest.mark.parametrize("arguments", WRONG, ids=str)
def test_a_server_refuses_wrong_arguments_and_starts_nothing(arguments: dict[str, Any]) -> None:
    threads = threading.active_count()
    with pytest.raises(ConfigurationError):
        FaultyServer(**arguments)
    assert threading.active_count() == threads


def test_a_server_refuses_a_socket_that_does_not_listen() -> None:
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with datagrams, pytest.raises(ConfigurationError, match="socket of TCP that listens"):
        FaultyServer("expired", listener=datagrams)
    closed = socket.create_server(("127.0.0.1", 0))
    closed.close()
    with pytest.raises(ConfigurationError, match="socket of TCP that listens"):
        FaultyServer("expired", listener=closed)


@pytest.mark.parametrize(
    "arguments",
    [
        {"seconds": -1},
        {"seconds": NAN},
        {"port": 70_000},
        {"port": "x"},
        {"port": 0},
        {"server_name": "a b"},
        {"server_name": "a" * 300},
        {"server_name": "b\xfccher.de"},
        {"request": "GET"},
        {"authority": "x"},
        {"fault": 7},
    ],
    ids=str,
)
def test_a_client_refuses_wrong_arguments(arguments: dict[str, Any]) -> None:
    given: dict[str, Any] = {"fault": "bad-finished", "host": "127.0.0.1", "port": 9} | arguments
    with pytest.raises(ConfigurationError):
        faulty_connect(**given)


def raises(*arguments: object) -> bytes:
    raise ValueError("boom")


def text(data: bytes) -> Any:
    return "text"


def visit(server: FaultyServer) -> Outcome:
    config = ClientConfig(trust=server.authority.trust)
    try:
        with handclasp.connect("localhost", server.port, config) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            tls.recv(100)
    except TLSError:
        pass
    return server.outcome()


@pytest.mark.parametrize("fault", [None, "unclean-close"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"answer": raises}, "answer raised ValueError: boom"),
        ({"answer": text}, "answer returned str in place of bytes"),
        ({"report": raises}, "report raised ValueError: boom"),
    ],
)
def test_a_function_that_fails_loses_no_outcome(
    fault: str | None, given: dict[str, Any], said: str
) -> None:
    with FaultyServer(fault, **given) as server:
        outcome = visit(server)
    assert (outcome.result, outcome.trouble) == ("accepted", said)


def test_the_page_of_an_answer_is_bytes() -> None:
    with pytest.raises(ConfigurationError, match="is bytes, not str"):
        http_answer("hello")  # type: ignore[arg-type]
