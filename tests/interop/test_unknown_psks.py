"""A client whose pre-shared key the server does not know (RFC 8446 4.2.11).

The server goes on without the key, if it has a certificate, and the client verifies that.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.required import need_tool

import handclasp
from handclasp import ClientConfig, Credentials, PreSharedKey, ServerConfig, TrustStore
from handclasp.compat import SSLContext

from .peers.base import Process, running
from .pki import Authority

pytestmark = [pytest.mark.interop, pytest.mark.fast]

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    need_tool("openssl")
    return Authority(tmp_path_factory.mktemp("pki"))


def with_config(authority: Authority) -> Any:
    config = ClientConfig(
        trust=TrustStore.from_pem(authority.path), psks=[PreSharedKey(b"unknown", KEY)]
    )
    return lambda sock: handclasp.wrap_client(sock, config, server_name="localhost")


def with_context(authority: Authority) -> Any:
    context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.path)
    context.set_psk_client_callback(lambda hint: ("unknown", KEY))
    return lambda sock: context.wrap_socket(sock, server_hostname="localhost")


@pytest.mark.parametrize("make", [with_config, with_context])
def test_our_client_and_openssl(authority: Authority, tmp_path: Path, make: Any) -> None:
    identity = authority.server()
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-psk_identity", "known"]
    command += ["-psk", OTHER.hex(), "-cert", str(identity.chain), "-key", str(identity.key)]
    with running(Process(command, tmp_path)) as process:
        end = process.wait_for(b"\n", process.wait_for(b"ACCEPT 127.0.0.1:"))
        port = int(bytes(process.output[:end]).rsplit(b":", 1)[1])
        sock = socket.create_connection(("127.0.0.1", port), 20)
        with make(authority)(sock) as tls:
            assert tls.info.psk_identity is None
            assert tls.info.peer_verified


def config_server(identity: Any) -> Any:
    config = ServerConfig(
        credentials=[Credentials.load(identity.chain, identity.key)],
        psks=[PreSharedKey(b"known", OTHER)],
    )
    return lambda sock: handclasp.wrap_server(sock, config)


def context_server(identity: Any) -> Any:
    context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.chain, identity.key)
    context.set_psk_server_callback(lambda name: OTHER if name == "known" else b"")
    return lambda sock: context.wrap_socket(sock, server_side=True)


@pytest.mark.parametrize("make", [config_server, context_server])
def test_openssl_and_our_server(authority: Authority, tmp_path: Path, make: Any) -> None:
    accept = make(authority.server())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-psk", KEY.hex()]
        command += ["-psk_identity", "unknown", "-CAfile", str(authority.path)]
        command += ["-verify_return_error", "-verify_hostname", "localhost"]
        with running(Process(command, tmp_path)) as process:
            sock, _ = listener.accept()
            sock.settimeout(20)
            with accept(sock) as tls:
                assert tls.info.psk_identity is None
                process.wait_for(b"Verify return code: 0 (ok)")
