"""Peers of TLS 1.2 and older that are refused, each with the story that belongs to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.required import lacking, need_tool

import handclasp
from handclasp import ClientConfig, Fault, ProtocolError, ServerConfig, TrustStore

from .peers.base import TIMEOUT, Options, Peer, PeerError, Process, Role, running
from .peers.openssl_conf import write_openssl_conf
from .peers.registry import LOCAL, peer_named
from .pki import Authority
from .scenarios import Scenarios

pytestmark = [pytest.mark.interop, pytest.mark.fast]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def options(authority: Authority) -> Options:
    need_tool("openssl")
    return Options(ca=authority.path, payload=authority.path, version="TLSv1.2")


@contextmanager
def openssl_server(
    authority: Authority, workdir: Path, environment: dict[str, str], *flags: str
) -> Iterator[int]:
    identity = authority.server()
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", *flags]
    command += ["-cert", str(identity.chain), "-key", str(identity.key)]
    with running(Process(command, workdir, env=environment)) as process:
        end = process.wait_for(b"\n", process.wait_for(b"ACCEPT 127.0.0.1:"))
        yield int(bytes(process.output[:end]).rsplit(b":", 1)[1])


def refused_server(authority: Authority, port: int) -> ProtocolError:
    config = ClientConfig(trust=TrustStore.from_pem(authority.path))
    with pytest.raises(ProtocolError) as caught:
        handclasp.connect("127.0.0.1", port, config, server_name="localhost")
    return caught.value


def refused_client(
    authority: Authority, workdir: Path, environment: dict[str, str], *flags: str
) -> tuple[ProtocolError, bytes]:
    """The error of our server, and what openssl's client had to say."""
    identity = authority.server()
    credentials = handclasp.Credentials.load(identity.chain, identity.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *flags]
        with running(Process(command, workdir, env=environment)) as process:
            sock, _ = listener.accept()
            with sock, pytest.raises(ProtocolError) as caught:
                handclasp.wrap_server(sock, ServerConfig(credentials=credentials))
            process.finish()
            return caught.value, process.stderr_path.read_bytes()


def test_a_server_without_the_extended_master_secret(
    authority: Authority, options: Options, tmp_path: Path
) -> None:
    environment = write_openssl_conf(replace(options, extended_master_secret=False), tmp_path)
    with openssl_server(authority, tmp_path, environment, "-tls1_2") as port:
        error = refused_server(authority, port)
    assert error.fault is Fault.EXTENDED_MASTER_SECRET_MISSING
    assert "require_extended_master_secret=False" in error.fix


def test_a_client_without_the_extended_master_secret(
    authority: Authority, options: Options, tmp_path: Path
) -> None:
    environment = write_openssl_conf(replace(options, extended_master_secret=False), tmp_path)
    error, said = refused_client(authority, tmp_path, environment, "-tls1_2")
    assert error.fault is Fault.EXTENDED_MASTER_SECRET_MISSING
    assert b"alert handshake failure" in said


WITHOUT_EMS = "tls12-no-ems"
KEY_TRANSPORT = "rsa-key-transport:TLS_RSA_WITH_AES_128_GCM_SHA256"
SWITCHED_OFF = [
    *[(WITHOUT_EMS, name) for name in ("openssl", "pyopenssl", "gnutls", "nss", "ssl", "tlslite")],
    *[(KEY_TRANSPORT, name) for name in ("openssl", "go", "gnutls", "nss")],
]
"""What the matrix shows to work once it is allowed, with peers that can do nothing else."""


def peer_with(name: str, feature: str, role: Role) -> Peer:
    peer = peer_named(name)
    if (reason := peer.unavailable()) is not None:
        lacking(f"{peer.title}: {reason}")
    assert peer.lacking(feature, role) is None
    return peer


@pytest.mark.parametrize(("feature", "name"), SWITCHED_OFF)
def test_a_client_with_nothing_else(
    scenarios: Scenarios, tmp_path: Path, feature: str, name: str
) -> None:
    peer = peer_with(name, feature, "client")
    scenario = scenarios.build(feature, peer, "client", LOCAL)
    identity = scenario.server.identity
    assert identity is not None
    credentials = handclasp.Credentials.load(identity.chain, identity.key)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        refused = pool.submit(refuse_one, listener, ServerConfig(credentials=credentials))
        with pytest.raises(PeerError):
            peer.run_client(listener.getsockname()[1], scenario.client, tmp_path)
        error = refused.result()
    if feature == WITHOUT_EMS:
        assert error.fault is Fault.EXTENDED_MASTER_SECRET_MISSING
    else:
        assert error.fault is Fault.NO_SHARED_CIPHER_SUITE
        assert "TLS_RSA_WITH_AES_128_GCM_SHA256" in str(error)


def refuse_one(listener: socket.socket, config: ServerConfig) -> ProtocolError:
    listener.settimeout(TIMEOUT)
    sock, _ = listener.accept()
    with sock, pytest.raises(ProtocolError) as caught:
        handclasp.wrap_server(sock, config)
    return caught.value


@pytest.mark.parametrize(("feature", "name"), SWITCHED_OFF)
def test_a_server_with_nothing_else(
    scenarios: Scenarios, tmp_path: Path, feature: str, name: str
) -> None:
    """Without key transport in the hello it is the server that has to give up, in its own way."""
    peer = peer_with(name, feature, "server")
    scenario = scenarios.build(feature, peer, "server", LOCAL)
    config = ClientConfig(trust=TrustStore.from_pem(scenario.client.ca))
    with (
        peer.start_server(scenario.server, tmp_path) as server,
        pytest.raises(handclasp.TLSError) as caught,
    ):
        handclasp.connect("127.0.0.1", server.port, config, server_name="localhost")
    if feature == WITHOUT_EMS:
        assert isinstance(caught.value, ProtocolError)
        assert caught.value.fault is Fault.EXTENDED_MASTER_SECRET_MISSING
    else:
        closed = Fault.CLOSED_DURING_HANDSHAKE.name
        assert caught.value.alert == "handshake_failure" or caught.value.fault_name == closed


@pytest.mark.parametrize("flag", ["-tls1_1", "-tls1"])
def test_a_client_of_an_older_version(
    authority: Authority, options: Options, tmp_path: Path, flag: str
) -> None:
    del options
    flags = [flag, "-cipher", "ALL:@SECLEVEL=0"]
    error, said = refused_client(authority, tmp_path, {}, *flags)
    assert error.fault is Fault.NO_SHARED_VERSION
    assert f"offered: TLSv1.{'1' if flag == '-tls1_1' else '0'};" in str(error)
    assert b"alert protocol version" in said


def test_a_server_of_an_older_version(
    authority: Authority, options: Options, tmp_path: Path
) -> None:
    del options
    flags = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
    with openssl_server(authority, tmp_path, {}, *flags) as port:
        config = ClientConfig(trust=TrustStore.from_pem(authority.path))
        with pytest.raises(handclasp.TLSError) as caught:
            handclasp.connect("127.0.0.1", port, config, server_name="localhost")
    assert caught.value.alert == "protocol_version"
