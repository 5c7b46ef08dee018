"""Every faulty client, against our own server: it finds the fault that the catalogue names."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import handclasp
from handclasp import ClientAuth, ConfigurationError, PeerAlertError, ServerConfig, TLSError
from handclasp.testing import CLIENT_FAULTS, TlsAuthority, faulty_connect
from handclasp.testing.pytest_plugin import ConnectClient

ROOT = Path(__file__).parent.parent.parent
REPLY = b"HTTP/1.0 204 No Content\r\n\r\n"


@contextmanager
def serving(config: ServerConfig) -> Iterator[tuple[int, list[OSError | None]]]:
    """Serve one client; yield the port, and the list of what became of it."""
    errors: list[OSError | None] = []

    def serve() -> None:
        sock, _ = listener.accept()
        try:
            with handclasp.wrap_server(sock, config) as tls:
                if tls.recv(1000):
                    tls.sendall(REPLY)
            errors.append(None)
        except OSError as error:
            errors.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], errors
        thread.join()


def asking(authority: TlsAuthority) -> ServerConfig:
    return ServerConfig(
        credentials=authority.server("localhost"),
        client_auth=ClientAuth.REQUIRED,
        trust=authority.trust,
        handshake_timeout=0.5,
    )


@pytest.mark.parametrize("name", [each for each in CLIENT_FAULTS if each != "renegotiation-1.2"])
def test_our_server_finds_it(
    tls_authority: TlsAuthority, tls_client: ConnectClient, name: str
) -> None:
    fault = CLIENT_FAULTS[name]
    with serving(asking(tls_authority)) as (port, errors):
        outcome = tls_client(name, port, server_name="localhost")
    (error,) = errors
    assert isinstance(error, TLSError)
    assert error.fault is fault.answer
    assert outcome.trouble == ""
    if fault.alert is None:
        assert outcome.result == "left"
    else:
        assert (outcome.result, outcome.alert) == ("refused", fault.alert.name.lower())


@pytest.mark.parametrize("name", CLIENT_FAULTS)
def test_the_document_has_it(name: str) -> None:
    fault = CLIENT_FAULTS[name]
    answer = "none" if fault.alert is None else f"`{fault.alert.name.lower()}`"
    row = f"| `{name}` | {fault.summary} | {answer} | {fault.note} |"
    assert row in (ROOT / "docs" / "testing.md").read_text("utf-8").splitlines()


def test_a_server_that_sets_no_limit_endures_the_storm(
    tls_authority: TlsAuthority, tls_client: ConnectClient
) -> None:
    # OpenSSL sends tickets, too, which are no reason to stop.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls_authority.server_files("localhost"))

    def serve() -> None:
        sock, _ = listener.accept()
        with suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
            if tls.recv(1000):
                tls.sendall(REPLY)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        outcome = tls_client("key-update-storm", listener.getsockname()[1], seconds=60)
        thread.join()
    assert (outcome.result, outcome.data) == ("accepted", REPLY)


@pytest.mark.parametrize("asks", [False, True])
def test_our_server_declines_to_renegotiate(
    tls_authority: TlsAuthority, tls_client: ConnectClient, asks: bool
) -> None:
    indifferent = ServerConfig(credentials=tls_authority.server("localhost"))
    config = asking(tls_authority) if asks else indifferent
    with serving(config) as (port, errors):
        outcome = tls_client("renegotiation-1.2", port)
    assert errors == [None]
    assert (outcome.result, outcome.data) == ("accepted", REPLY)
    assert outcome.alert == "no_renegotiation"
    assert str(outcome) == "declined it with the alert no_renegotiation and went on"


@pytest.mark.parametrize(
    "name", ["untrusted", "expired", "wrong-eku", "no-certificate", "bad-certificate-verify"]
)
def test_a_server_that_does_not_ask(
    tls_authority: TlsAuthority, tls_client: ConnectClient, name: str
) -> None:
    with serving(ServerConfig(credentials=tls_authority.server("localhost"))) as (port, errors):
        assert tls_client(name, port).result == "inapplicable"
    assert errors == [None]


def test_a_server_of_another_version(
    tls_authority: TlsAuthority, tls_client: ConnectClient
) -> None:
    config = ServerConfig(credentials=tls_authority.server("localhost"), versions=["TLSv1.2"])
    with serving(config) as (port, _):
        assert tls_client("bad-finished", port).result == "inapplicable"


def test_an_alert(tls_authority: TlsAuthority, tls_client: ConnectClient) -> None:
    with serving(asking(tls_authority)) as (port, errors):
        assert tls_client("alert:internal_error", port).result == "left"
    (error,) = errors
    assert isinstance(error, PeerAlertError)
    assert error.alert == "internal_error"


def test_a_name_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="There is no fault 'self-signed'"):
        faulty_connect("self-signed", "localhost", 1)


def test_the_time_is_bounded(tls_client: ConnectClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert tls_client("bad-finished", port, seconds=0.2).result == "waited"
