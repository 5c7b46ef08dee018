"""What is given to public functions is of a wrong kind: always an error of ours, and never another.

The fields of the two configs have a test of their own in `test_config`.
"""

from __future__ import annotations

import inspect
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
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
    Recorder,
    ServerConnection,
    SessionStore,
    TicketKeys,
    TLSError,
    TrustStore,
    wrap_client,
)
from handclasp.certificates import explain
from handclasp.certificates.authority import LocalAuthority
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.verify import (
    accept_unverified,
    verify_client_chain,
    verify_server_chain,
    vouch_for,
)

PKI = Pki()
LEAF = PKI.server()
GIVEN: dict[str, Any] = {
    "chain": LEAF.chain_der,
    "chain_der": LEAF.chain_der,
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


@pytest.mark.parametrize("names", [(), [], set(), frozenset(), {}, iter(())])
def test_no_names_are_no_client(names: Any) -> None:
    """None alone says that a chain is a client's: a list that happens to be empty does not."""
    for credentials in (LEAF, PKI.client()):
        with pytest.raises(ConfigurationError, match="at least one name"):
            explain(credentials.chain_der, names, PKI.trust, PKI.now)


def from_der(der: Any) -> TrustStore:
    return TrustStore.from_der(der)


def from_files(path: Any) -> TrustStore:
    return TrustStore.from_files(path)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "CertificatePolicy": CertificatePolicy,
    "Limits": Limits,
    "TicketKeys": TicketKeys,
    "PreSharedKey": PreSharedKey,
    "Recorder": Recorder,
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
        if name not in ("trace", "certificate_type")
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


@pytest.mark.parametrize("value", ["no", "", None, 0, 1, [], object()])
@pytest.mark.parametrize("name", ["record_secrets", "record_wire", "is_imported"])
def test_a_switch_is_true_or_false(name: str, value: Any) -> None:
    """ "no" would keep the secrets."""
    with pytest.raises(ConfigurationError, match=f"{name} must be True or False"):
        if name == "is_imported":
            PreSharedKey(b"name", b"k" * 32, is_imported=value)
        else:
            Recorder(**{name: value})


@pytest.mark.parametrize("value", [5, None, "", [], lambda: None, lambda: "5", time.time])
@pytest.mark.parametrize("name", ["clock", "wall_clock"])
def test_a_clock_of_a_recorder(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be a callable"):
        Recorder(**{name: value})


@pytest.mark.parametrize("value", ["5", None, 1.5, True, -1])
@pytest.mark.parametrize("name", ["limit", "wire_limit"])
def test_a_limit_of_a_recorder(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be a whole number"):
        Recorder(**{name: value})


@pytest.mark.parametrize("name", [5, b"localhost", ["localhost"], object()])
def test_a_server_name(name: Any) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ConfigurationError, match="server_name must be a str"):
        wrap_client(ours, ClientConfig(trust=PKI.trust), server_name=name)


NO_PATHS = {
    "NUL": "a\0b",
    "NUL in a directory": "a\0b/c",
    "lone surrogate": "\ud800",
    "bytes in a text": "\udcff" * 300,
    "long name": "x" * 300,
    "long name of a directory": "x" * 300 + "/y",
    "long path": "x/" * 3000,
}
WITH_PATHS: dict[str, Callable[[str], object]] = {
    "Credentials.load(chain_path=)": lambda path: Credentials.load(path, "/nowhere"),
    "Credentials.load(key_path=)": lambda path: Credentials.load(__file__, path),
    "Credentials.from_pkcs12": Credentials.from_pkcs12,
    "TrustStore.from_files": TrustStore.from_files,
    "RevocationLists.from_files": RevocationLists.from_files,
    "with_staple": LEAF.with_staple,
    "keylog": lambda path: ClientConfig(trust=PKI.trust, keylog=path),
    "SessionStore.file": SessionStore.file,
    "LocalAuthority.open_or_create": LocalAuthority.open_or_create,
}


@pytest.mark.parametrize("path", NO_PATHS)
@pytest.mark.parametrize("function", WITH_PATHS)
def test_a_path_that_is_none(
    function: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError):
        WITH_PATHS[function](NO_PATHS[path])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_such_a_path_in_the_environment(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("x" * 300, "x/" * 3000):
        monkeypatch.setenv(variable, path)
        with pytest.raises(ConfigurationError):
            _ = TrustStore.system().anchors
