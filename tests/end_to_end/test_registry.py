"""The whole registry of cipher suites: nothing but what is meant to be can ever be agreed upon.

The codes are all 65,536 that there can be, so that no list has to be kept up to date. A server is
offered them in portions, and a client is answered with each one that IANA has ever given away a
block for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.pki import Pki

from handclasp import ClientConfig, ClientConnection, Fault, ProtocolError, ServerConfig
from handclasp.handshake.offer import client_offer
from handclasp.iana import TLS12, ContentType, ExtensionType
from handclasp.server import ServerConnection
from handclasp.wire.codecs import write_message
from handclasp.wire.messages import ServerHello, read_message
from handclasp.wire.records import write_plaintext

ECDHE = {0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9}
RSA_KEY_TRANSPORT = {0x009C, 0x009D}
BLOCKS = (
    *range(0x0100),  # RFC 5246 and older, static RSA and DH, NULL, RC4, DES, export
    *range(0x1300, 0x1310),  # TLS 1.3
    *range(0x5600, 0x5610),
    *range(0xC000, 0xC200),  # elliptic curves, ARIA, Camellia, CCM, ECJPAKE, GOST
    *range(0xCCA0, 0xCCB0),  # ChaCha20-Poly1305
    *range(0xD000, 0xD010),  # ECDHE_PSK
    *range(0xFEF0, 0xFF00),
)


def taken_by_server(config: ServerConfig, codes: Sequence[int]) -> int | None:
    """What the server takes out of these, or None where it refuses them all."""
    client = ClientConfig(verify_peer=False, versions=["TLSv1.2"], grease=False)
    hello = client_offer(client, "localhost").hello
    offered = write_message(
        type(hello)(
            legacy_version=TLS12,
            random=hello.random,
            legacy_session_id=b"",
            cipher_suites=tuple(codes),
            legacy_compression_methods=b"\0",
            extensions=hello.extensions,
        )
    )
    server = ServerConnection(config)
    try:
        for start in range(0, len(offered), 2**14):
            fragment = offered[start : start + 2**14]
            server.receive_data(write_plaintext(ContentType.HANDSHAKE, fragment))
    except ProtocolError as error:
        if error.fault is not Fault.NO_SHARED_CIPHER_SUITE:
            raise
        return None
    answer = bytes(server.data_to_send())
    size = 4 + int.from_bytes(answer[6:9], "big")
    message = read_message(answer[5 : 5 + size])
    assert isinstance(message, ServerHello)
    return message.cipher_suite


@pytest.mark.parametrize("key_transport", [False, True])
def test_what_a_server_takes(pki: Pki, key_transport: bool) -> None:
    allowed = ECDHE | (RSA_KEY_TRANSPORT if key_transport else set())
    config = ServerConfig(
        credentials=[pki.server(), pki.server(key_type="rsa-2048")],
        versions=["TLSv1.2"],
        allow_rsa_key_transport=key_transport,
    )
    others = [code for code in range(0x10000) if code not in allowed]
    for start in range(0, len(others), 8000):
        assert taken_by_server(config, others[start : start + 8000]) is None
    for code in sorted(allowed):
        assert taken_by_server(config, [*others[:100], code]) == code


@pytest.mark.parametrize("key_transport", [False, True])
def test_what_a_client_takes(pki: Pki, key_transport: bool) -> None:
    allowed = ECDHE | (RSA_KEY_TRANSPORT if key_transport else set())
    for versions in (["TLSv1.2"], ["TLSv1.2", "TLSv1.3"]):
        config = ClientConfig(
            trust=pki.trust,
            versions=versions,
            groups=["X25519"],
            allow_rsa_key_transport=key_transport,
        )
        assert {code for code in BLOCKS if taken_by_client(config, code)} == allowed


def taken_by_client(config: ClientConfig, code: int) -> bool:
    extensions: dict[int, bytes] = {
        ExtensionType.RENEGOTIATION_INFO: b"\0",
        ExtensionType.EXTENDED_MASTER_SECRET: b"",
    }
    hello = write_message(ServerHello(TLS12, bytes(32), b"", code, 0, extensions))
    client = ClientConnection(config, server_name="localhost")
    try:
        client.receive_data(write_plaintext(ContentType.HANDSHAKE, hello))
    except ProtocolError as error:
        if error.fault is not Fault.UNOFFERED_CIPHER_SUITE:
            raise
        return False
    return True


@pytest.mark.parametrize("settings", [{}, {"allow_rsa_key_transport": True}])
def test_nothing_else_can_be_configured(settings: dict[str, Any]) -> None:
    names = set(ClientConfig(**settings).cipher_suites)
    assert all("GCM" in name or "CHACHA20" in name for name in names)
    assert all(
        "ECDHE" in name or name.startswith(("TLS_AES", "TLS_CHACHA", "TLS_RSA_WITH"))
        for name in names
    )
    assert bool([name for name in names if name.startswith("TLS_RSA")]) == bool(settings)
