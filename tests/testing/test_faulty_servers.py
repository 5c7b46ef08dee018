"""Every faulty server, against our own client: it finds the fault that the catalogue names."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

import pytest
from cryptography import x509

import handclasp
from handclasp import (
    CertificatePolicy,
    ClientConfig,
    ConfigurationError,
    PeerAlertError,
    RevocationLists,
    TLSError,
)
from handclasp.iana import AlertDescription
from handclasp.testing import (
    SERVER_FAULTS,
    FaultyServer,
    Leaf,
    Outcome,
    TlsAuthority,
    fault_of_server,
)
from handclasp.testing.chains import server_chain
from handclasp.testing.pytest_plugin import StartServer
from handclasp.testing.scripted import ScriptedClient
from handclasp.testing.servers import ServerPeer

REQUEST = b"GET / HTTP/1.0\r\n\r\n"
TIMED = ("silent", "slow")
VERSIONS = ("TLSv1.3", "TLSv1.2")
CASES = [
    (fault.name, version)
    for fault in SERVER_FAULTS.values()
    for version in fault.versions
    if fault.name != "downgrade"
]


def visit(server: FaultyServer, versions: Any = VERSIONS, **settings: Any) -> bytes:
    """What our client gets of a server."""
    config = ClientConfig(trust=server.authority.trust, versions=versions, **settings)
    with handclasp.connect("localhost", server.port, config) as tls:
        tls.sendall(REQUEST)
        received = b""
        while data := tls.recv(65536):
            received += data
        return received


def refusal(server: FaultyServer, **settings: Any) -> TLSError:
    with pytest.raises(TLSError) as raised:
        visit(server, **settings)
    return raised.value


@pytest.mark.parametrize("version", VERSIONS)
def test_a_good_server(tls_server: StartServer, version: str) -> None:
    server = tls_server()
    assert b"no objection" in visit(server, [version])
    outcome = server.outcome()
    assert (outcome.result, outcome.data) == ("accepted", REQUEST)


@pytest.mark.parametrize(("name", "version"), CASES)
def test_our_client_finds_it(tls_server: StartServer, name: str, version: str) -> None:
    server = tls_server(name, seconds=10)
    fault = SERVER_FAULTS[name]
    settings: dict[str, Any] = {"versions": [version]}
    if name in TIMED:
        settings["handshake_timeout"] = 0.5
    if name == "revoked-crl":
        settings["policy"] = CertificatePolicy(crls=RevocationLists.from_bytes(server.crl_pem))
    error = refusal(server, **settings)
    outcome = server.outcome()
    assert outcome.trouble == ""
    if fault.answer is None:
        assert isinstance(error, PeerAlertError)
        assert outcome.result == "left"
        return
    assert error.fault is fault.answer
    if name == "unclean-close":  # A client that finds it has sent all that it had to say.
        assert outcome.result == "accepted"
    elif fault.alert is None:
        assert (outcome.result, outcome.alert) == ("left", "")
    else:
        assert (outcome.result, outcome.alert) == ("refused", fault.alert.name.lower())


def test_a_downgrade(tls_server: StartServer) -> None:
    server = tls_server("downgrade")
    fault = SERVER_FAULTS["downgrade"]
    assert refusal(server).fault is fault.answer
    assert server.outcome().alert == "illegal_parameter"
    refusal(server, versions=["TLSv1.2"])
    assert server.outcome().result == "inapplicable"


def test_a_client_that_offers_nothing_in_which_the_fault_exists(tls_server: StartServer) -> None:
    server = tls_server("endless-tickets")
    error = refusal(server, versions=["TLSv1.2"])
    assert isinstance(error, PeerAlertError)
    assert error.alert == "protocol_version"
    assert server.outcome().result == "inapplicable"


@pytest.mark.parametrize("alert", AlertDescription)
def test_every_alert(tls_server: StartServer, alert: AlertDescription) -> None:
    server = tls_server(f"alert:{alert.name.lower()}")
    error = refusal(server)
    if alert not in (AlertDescription.CLOSE_NOTIFY, AlertDescription.USER_CANCELED):
        assert isinstance(error, PeerAlertError)
        assert error.alert_number == alert
    assert server.outcome().result == "left"


def test_what_accepts_a_fault_is_served(tls_server: StartServer) -> None:
    server = tls_server("expired")
    config = ClientConfig(verify_peer=False)
    with handclasp.connect("localhost", server.port, config) as tls:
        tls.sendall(REQUEST)
        assert tls.recv(100).startswith(b"HTTP/1.1 200 OK")
    outcome = server.outcome()
    assert (outcome.fault, outcome.result, outcome.data) == ("expired", "accepted", REQUEST)
    assert str(outcome).endswith(" accepted it")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fault", ["wrong-host", None])
def test_who_leaves_after_the_handshake_has_accepted_nothing(
    tls_server: StartServer, fault: str | None, version: str
) -> None:
    """Some programs, such as curl, check the name only then, and close with close_notify."""
    server = tls_server(fault)
    config = ClientConfig(verify_peer=False, versions=[version])
    handclasp.connect("localhost", server.port, config).close()
    outcome = server.outcome()
    assert (outcome.result, outcome.alert, outcome.trouble) == ("left", "", "")


def test_a_revoked_certificate_without_the_list(tls_server: StartServer) -> None:
    assert b"no objection" in visit(tls_server("revoked-crl"))


@pytest.mark.parametrize("name", ["bad-finished", "expired"])
@pytest.mark.parametrize("groups", [["secp384r1"], ["X448"], ["X25519MLKEM768"]])
def test_groups(tls_server: StartServer, name: str, groups: list[str]) -> None:
    server = tls_server(name)
    assert refusal(server, versions=["TLSv1.3"], groups=groups).fault is SERVER_FAULTS[name].answer


def test_own_credentials(tls_authority: TlsAuthority, tls_server: StartServer) -> None:
    own = tls_authority.credentials(Leaf(), "rsa-2048")
    server = tls_server("bad-signature", credentials=own)
    for version in VERSIONS:
        assert refusal(server, versions=[version]).fault is SERVER_FAULTS["bad-signature"].answer
    with pytest.raises(ConfigurationError, match="a certificate of its own"):
        FaultyServer("expired", credentials=own)


@pytest.mark.parametrize(
    ("name", "said"),
    [("expird", "There is no fault 'expird'"), ("alert:no", "There is no alert 'no'")],
)
def test_names_that_are_none(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        fault_of_server(name)


def test_another_answer(tls_server: StartServer) -> None:
    server = tls_server("revoked-crl", answer=lambda data: data)
    config = ClientConfig(trust=server.authority.trust)
    with handclasp.connect("localhost", server.port, config) as tls:
        tls.sendall(b"ping")
        assert tls.recv(10) == b"ping"


def test_a_client_without_a_share_is_asked_for_one(tls_authority: TlsAuthority) -> None:
    chain = server_chain("bad-finished", tls_authority, ["localhost"])
    server = ServerPeer(SERVER_FAULTS["bad-finished"], chain)
    client = ScriptedClient(shares=())
    for _ in range(3):
        server.feed(client.take())
        client.feed(server.take())
    assert not client.server_hello.is_hello_retry_request
    assert client.established
    client.send_data(b"no objection")
    server.feed(client.take())
    assert (server.established, server.data) == (True, b"no objection")


# Clients that misbehave themselves

STRANGE = {
    "nothing": b"",
    "another protocol": b"GET / HTTP/1.0\r\n\r\n",
    "another message first": b"\x16\x03\x01\0\4\x02\0\0\0",
    "a hello that is cut off": b"\x16\x03\x01\0\4\x01\0\x40\0",
    "an empty hello": b"\x16\x03\x01\0\4\x01\0\0\0",
    "empty records": b"\x16\x03\x01\0\0" * 30_000,
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("fault", ["expired", "silent"])
def test_strange_clients(tls_server: StartServer, fault: str, name: str) -> None:
    server = tls_server(fault)
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(STRANGE[name])
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1000):
            pass
    outcome = server.outcome()
    tls = fault == "silent" or not name.startswith(("another", "empty records"))
    assert outcome.result == ("left" if tls else "not-tls")


# Ends


def test_the_time_of_a_connection_is_bounded(tls_server: StartServer) -> None:
    server = tls_server("silent", seconds=0.2)
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        assert sock.recv(1) == b""
    assert server.outcome().result == "waited"


@pytest.mark.parametrize("fault", ["silent", "slow", "expired", None])
def test_closing_ends_connections_and_threads(fault: str | None) -> None:
    before = set(threading.enumerate())
    with FaultyServer(fault) as server:
        port = server.port
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        clients[0].sendall(b"\x16\x03")
    assert set(threading.enumerate()) == before
    for client in clients:
        with client:
            client.settimeout(5)
            with suppress(ConnectionResetError):
                while client.recv(100):
                    pass
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    server.close()


def test_no_outcome_in_time(tls_server: StartServer) -> None:
    with pytest.raises(TimeoutError, match=r"within 0\.01 seconds"):
        tls_server("silent").outcome(0.01)


def test_reports_come_as_connections_end(tls_server: StartServer) -> None:
    reported: list[Outcome] = []
    server = tls_server("expired", report=reported.append)
    for _ in range(3):
        refusal(server)
        server.outcome()
    assert reported == list(server.outcomes)
    assert {each.alert for each in reported} == {"certificate_expired"}


RSA_ONLY = ["rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fault", ["expired", "revoked-crl", "sha1", "bad-finished", None])
def test_a_client_that_verifies_rsa_alone_gets_such_a_certificate(
    tls_server: StartServer, fault: str | None, version: str
) -> None:
    server = tls_server(fault)
    with suppress(TLSError):
        config = ClientConfig(verify_peer=False, versions=[version], signature_schemes=RSA_ONLY)
        with handclasp.connect("localhost", server.port, config) as tls:
            tls.sendall(REQUEST)
            tls.recv(100)
    outcome = server.outcome()
    expected = "refused" if fault == "bad-finished" else "accepted"
    assert (outcome.result, outcome.trouble) == (expected, "")


@pytest.mark.parametrize("fault", ["expired", "weak-key", "bad-signature", None])
@pytest.mark.parametrize(
    "settings",
    [
        {"signature_schemes": ["ed25519"]},
        {"signature_schemes": ["ecdsa_secp384r1_sha384"]},
        {
            "versions": ["TLSv1.2"],
            "groups": ["secp384r1"],
            "signature_schemes": ["ecdsa_secp256r1_sha256"],
        },
    ],
    ids=["ed25519", "ecdsa384", "TLSv1.2 without P-256"],
)
def test_a_client_that_can_verify_no_certificate_of_the_server_refuses_nothing(
    tls_server: StartServer, fault: str | None, settings: dict[str, Any]
) -> None:
    server = tls_server(fault)
    with pytest.raises(TLSError):
        handclasp.connect(
            "localhost", server.port, ClientConfig(verify_peer=False, **settings)
        ).close()
    outcome = server.outcome()
    assert (outcome.result, outcome.alert, outcome.trouble) == ("inapplicable", "", "")


def test_the_revocation_list_names_the_certificates_of_both_kinds(
    tls_server: StartServer,
) -> None:
    crl = tls_server("revoked-crl").crl_pem
    assert len(list(x509.load_pem_x509_crl(crl))) == 2
