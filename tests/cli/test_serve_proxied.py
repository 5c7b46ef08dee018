"""`handclasp serve --proxy-protocol`: the log and the limits are about the clients."""

from __future__ import annotations

import socket

import pytest
from tests.cli.conftest import Process, Run, started

import handclasp
from handclasp import ClientConfig
from handclasp.certificates.authority import LocalAuthority

HEADER = b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n"


def ask(process: Process, authority: LocalAuthority, header: bytes) -> bytes:
    """What a client gets behind a balancer that sends this header."""
    config = ClientConfig(trust=authority.trust)
    with socket.create_connection(("127.0.0.1", process.port), 20) as sock:
        sock.sendall(header)
        with handclasp.wrap_client(sock, config, server_name="localhost") as tls:
            tls.sendall(b"hello")
            return tls.recv(5)


@pytest.mark.parametrize(
    "options", [["--proxy-protocol"], ["--proxy-protocol-from", "10.0.0.0/8, 127.0.0.1"]]
)
def test_the_log_names_the_client(authority: LocalAuthority, options: list[str]) -> None:
    with started("serve", "--echo", "--port", "0", *options) as process:
        assert ask(process, authority, HEADER) == b"hello"
        assert "[2001:db8::7]:56324  TLSv1.3" in process.line("TLSv1.3")
        with pytest.raises(OSError):
            ask(process, authority, b"")
        line = process.line("failed")
        assert "PROXY_HEADER: The connection does not begin with a header of the PROXY" in line
        assert "--proxy-protocol" in process.line("leave out")


def test_connections_from_elsewhere_are_refused(authority: LocalAuthority) -> None:
    options = ["--proxy-protocol-from", "192.0.2.1"]
    with started("serve", "--echo", "--port", "0", *options) as process:
        with pytest.raises(OSError):
            ask(process, authority, HEADER)
        assert "the address is none of the balancers'" in process.line("failed")


@pytest.mark.parametrize("given", ["", " , ", "here", "10.0.0.1/8"])
def test_an_empty_list_of_balancers_is_refused(run: Run, given: str) -> None:
    """It must not come to mean that anybody may name a client."""
    result = run("serve", "--echo", "--proxy-protocol", "--proxy-protocol-from", given)
    assert result.exit_code == 2
    assert "--proxy-protocol-from" in result.output
