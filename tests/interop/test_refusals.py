"""Peers of TLS 1.2 and older that are refused, each with the story that belongs to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.required import need_tool

import handclasp
from handclasp import ClientConfig, Fault, ProtocolError, ServerConfig, TrustStore

from .peers.base import Options, Process, running
from .peers.openssl_conf import write_openssl_conf
from .pki import Authority

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
    assert error.fault_member is Fault.EXTENDED_MASTER_SECRET_MISSING
    assert "require_extended_master_secret=False" in error.fix


def test_a_client_without_the_extended_master_secret(
    authority: Authority, options: Options, tmp_path: Path
) -> None:
    environment = write_openssl_conf(replace(options, extended_master_secret=False), tmp_path)
    error, said = refused_client(authority, tmp_path, environment, "-tls1_2")
    assert error.fault_member is Fault.EXTENDED_MASTER_SECRET_MISSING
    assert b"alert handshake failure" in said


@pytest.mark.parametrize("flag", ["-tls1_1", "-tls1"])
def test_a_client_of_an_older_version(
    authority: Authority, options: Options, tmp_path: Path, flag: str
) -> None:
    del options
    flags = [flag, "-cipher", "ALL:@SECLEVEL=0"]
    error, said = refused_client(authority, tmp_path, {}, *flags)
    assert error.fault_member is Fault.NO_SHARED_VERSION
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
