"""What is given to public functions is of a wrong kind: always an error of ours, and never another.

The fields of the two configs have a test of their own in `test_config`.
"""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.pki import Pki, key_pem

from handclasp import (
    CertificatePolicy,
    ClientConfig,
    ClientConnection,
    ConfigurationError,
    Credentials,
    Limits,
    PreSharedKey,
    ServerConnection,
    SessionStore,
    TicketKeys,
    TLSError,
    TrustStore,
    wrap_client,
)
from handclasp.certificates import explain
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.verify import (
    accept_unverified,
    verify_client_chain,
    verify_server_chain,
    vouch_for,
)

PKI = Pki()
LEAF = PKI.server()
GIVEN: dict[str, Any] = {
    "chain": LEAF.chain,
    "names": "localhost",
    "server_name": "localhost",
    "trust": PKI.trust,
    "time": datetime.now(UTC),
    "now": datetime.now(UTC),
    "policy": CertificatePolicy(),
    "config": ClientConfig(trust=PKI.trust),
    "identity": b"name",
    "key": b"k" * 32,
    "usage": 3,
    "selector": 1,
    "matching_type": 1,
    "data": bytes(32),
    "chain_path": "/nowhere",
    "key_path": "/nowhere",
    "chain_bytes": PKI.pem,
    "key_bytes": key_pem(PKI.key),
    "signer": LEAF.signer,
    "source": b"PKCS #12",
    "public_key": b"",
}

WRONG: dict[str, Any] = {
    "whole": 5,
    "fraction": 1.5,
    "bytes": b"bytes",
    "text": "\udcff",
    "numbers": [5],
    "nothings": (None,),
    "texts": ["x"],
    "lists": [[]],
    "mapping": {"a": 1},
    "object": object(),
    "class": int,
    "function": lambda: 0,
    "switch": True,
    "nothing": None,
    "iterator": iter([]),
}


def from_der(der: Any) -> TrustStore:
    return TrustStore.from_der(der)


def from_files(path: Any) -> TrustStore:
    return TrustStore.from_files(path)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "CertificatePolicy": CertificatePolicy,
    "Limits": Limits,
    "TicketKeys": TicketKeys,
    "PreSharedKey": PreSharedKey,
    "SessionStore": SessionStore,
    "ClientConnection": ClientConnection,
    "ServerConnection": ServerConnection,
    "TlsaRecord": TlsaRecord,
    "TlsaRecord.parse": TlsaRecord.parse,
    "TlsaRecord.from_wire": TlsaRecord.from_wire,
    "TrustStore.from_pem": TrustStore.from_pem,
    "TrustStore.from_der": from_der,
    "TrustStore.from_files": from_files,
    "TrustStore.from_certificates": TrustStore.from_certificates,
    "Credentials.load": Credentials.load,
    "Credentials.from_pem": Credentials.from_pem,
    "Credentials.from_pkcs12": Credentials.from_pkcs12,
    "Credentials.from_signer": Credentials.from_signer,
    "Credentials.raw_public_key": Credentials.raw_public_key,
    "Credentials.raw_public_key_from_signer": Credentials.raw_public_key_from_signer,
    "with_staple": LEAF.with_staple,
    "with_timestamps": LEAF.with_timestamps,
    "matches": LEAF.matches,
    "explain": explain,
    "verify_server_chain": verify_server_chain,
    "verify_client_chain": verify_client_chain,
    "accept_unverified": accept_unverified,
    "vouch_for": vouch_for,
}


def _cases() -> list[Any]:
    return [
        pytest.param(function, name, id=f"{title}({name}=)")
        for title, function in FUNCTIONS.items()
        for name in inspect.signature(function).parameters
        if name not in ("is_imported", "trace", "certificate_type")
    ]


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize(("function", "name"), _cases())
def test_a_wrong_kind(function: Callable[..., Any], name: str, kind: str) -> None:
    parameters = inspect.signature(function).parameters
    given = {each: GIVEN[each] for each in parameters if each in GIVEN} | {name: WRONG[kind]}
    try:
        function(**given)
    except (ConfigurationError, TLSError):
        return


@pytest.mark.parametrize("name", [5, b"localhost", ["localhost"], object()])
def test_a_server_name(name: Any) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ConfigurationError, match="name must be a string"):
        wrap_client(ours, ClientConfig(trust=PKI.trust), server_name=name)
