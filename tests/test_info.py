"""What is known of a connection, and the certificates in it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.pki import Pki

from handclasp.info import ConnectionInfo

pki = Pki()
chain_der = tuple(pki.server("localhost").chain_der)

INFO = ConnectionInfo(
    version="TLSv1.3",
    cipher_suite="TLS_AES_128_GCM_SHA256",
    group="X25519MLKEM768",
    signature_scheme="ecdsa_secp256r1_sha256",
    alpn="h2",
    server_name="localhost",
    resumed=False,
    early_data_status="none",
    hello_retry=False,
    peer_chain_der=chain_der,
    peer_verified=True,
    local_chain_der=(),
)


def test_the_chains_are_parsed_when_asked_for() -> None:
    parsed = INFO.peer_chain
    assert tuple(certificate.public_bytes(Encoding.DER) for certificate in parsed) == chain_der
    assert INFO.peer_chain is parsed
    assert INFO.local_chain == ()
    swapped = replace(INFO, peer_chain_der=(), local_chain_der=chain_der)
    assert swapped.peer_chain == ()
    assert swapped.local_chain == parsed


def test_no_client_signed_unless_it_did() -> None:
    assert INFO.client_signature_scheme is None


def test_it_is_frozen_and_prints_without_certificates() -> None:
    with pytest.raises(FrozenInstanceError):
        INFO.version = "SSLv2"  # type: ignore[misc]
    assert "X25519MLKEM768" in repr(INFO)
    assert len(repr(INFO)) < 500
