"""Settings that cannot be honoured are refused when they are made, in words for people."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.pki import Pki

from handclasp import ClientAuth, ClientConfig, ConfigurationError, Limits, ServerConfig

BOTH = [
    ({"alpn": "h2"}, "list of names"),
    ({"alpn": ["h2", "h2"]}, "duplicate"),
    ({"alpn": [""]}, "1 to 255"),
    ({"alpn": ["x" * 256]}, "1 to 255"),
    ({"alpn": ["h²"]}, "ASCII"),
    ({"versions": ["TLSv1.1"]}, "TLSv1.1"),
    ({"versions": []}, "empty"),
    ({"cipher_suites": []}, "empty"),
    ({"cipher_suites": ["TLS_RSA_WITH_NULL_MD5"]}, "TLS_AES_128_GCM_SHA256"),
    ({"groups": []}, "empty"),
    ({"groups": ["ffdhe2048"]}, "X25519"),
    ({"groups": "X25519"}, "list of names"),
    ({"signature_schemes": ["rsa_pkcs1_sha1"]}, "ed25519"),
    ({"signature_schemes": ["ed25519", "ed25519"]}, "duplicate"),
    ({"record_padding": -1}, "record_padding"),
    ({"record_padding": 2**14 + 1}, "record_padding"),
    ({"record_size_limit": 63}, "64 to 16385"),
    ({"record_size_limit": 2**14 + 2}, "64 to 16385"),
    ({"record_padding": 1.5}, "record_padding"),
    ({"record_padding": True}, "record_padding"),
    ({"record_size_limit": "1000"}, "64 to 16385"),
    ({"alpn": [b"h2"]}, "list of names \\(str\\), and b.h2. is bytes"),
    ({"grease": "no"}, "True or False"),
    ({"middlebox_compatibility": None}, "True or False"),
    ({"allow_truncation": 1}, "True or False"),
    ({"handshake_timeout": float("nan")}, "handshake_timeout"),
    ({"handshake_timeout": 0}, "handshake_timeout"),
    ({"handshake_timeout": -1.0}, "handshake_timeout"),
]

CLIENT = [
    ({"verify_peer": False, "verify": lambda question: None}, "verify_peer"),
    ({"verify_peer": None}, "True or False"),
    ({"verify_peer": 0}, "True or False"),
    ({"credentials": ["chain.pem"]}, "Credentials"),
    ({"key_shares": ["ffdhe2048"]}, "key_shares"),
    ({"groups": ["X25519"], "key_shares": ["X448"]}, "key_shares"),
    ({"key_shares": ["X25519", "X25519MLKEM768"]}, "order"),
    ({"key_shares": []}, "empty"),
]


@pytest.mark.parametrize(("setting", "words"), BOTH)
def test_either_role(pki: Pki, setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ClientConfig(trust=pki.trust, **setting)
    with pytest.raises(ConfigurationError, match=words):
        ServerConfig(credentials=pki.server(), **setting)


@pytest.mark.parametrize(("setting", "words"), CLIENT)
def test_client(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ClientConfig(**setting)


def test_server(pki: Pki) -> None:
    with pytest.raises(ConfigurationError, match="credentials"):
        ServerConfig()
    with pytest.raises(ConfigurationError, match="client_auth"):
        ServerConfig(credentials=pki.server(), trust=pki.trust)
    for auth in (ClientAuth.OPTIONAL, ClientAuth.REQUIRED):
        with pytest.raises(ConfigurationError, match="trust"):
            ServerConfig(credentials=pki.server(), client_auth=auth)
        spelled = ServerConfig(credentials=pki.server(), client_auth=auth.value, trust=pki.trust)
        assert spelled.client_auth is auth
    with pytest.raises(ConfigurationError, match="optional"):
        ServerConfig(credentials=pki.server(), client_auth=True, trust=pki.trust)  # type: ignore[arg-type]


def test_a_trust_store_that_nobody_would_look_at(pki: Pki) -> None:
    def verify(question: object) -> None: ...

    with pytest.raises(ConfigurationError, match="trust"):
        ClientConfig(trust=pki.trust, verify_peer=False)
    with pytest.raises(ConfigurationError, match="trust"):
        ClientConfig(trust=pki.trust, verify=verify)
    with pytest.raises(ConfigurationError, match="trust"):
        ServerConfig(
            credentials=pki.server(), client_auth="required", trust=pki.trust, verify=verify
        )
    with pytest.raises(ConfigurationError, match="client_auth"):
        ServerConfig(credentials=pki.server(), verify=verify)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Limits)])
def test_limits(field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        Limits(**{field: 0})
    assert getattr(Limits(**{field: 8}), field) == 8


def test_least_records_per_key() -> None:
    with pytest.raises(ConfigurationError, match="8"):
        Limits(max_records_per_key=7)


def test_keylog_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="key log"):
        ClientConfig(keylog=tmp_path / "no" / "folder")


def test_frozen(pki: Pki) -> None:
    config = ClientConfig(alpn=["h2"], credentials=pki.client())
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.verify_peer = False  # type: ignore[misc]
    assert config.alpn == ("h2",)
    assert len(config.credential_list) == 1


def test_key_shares_that_nobody_chose() -> None:
    assert ClientConfig().key_shares == ("X25519MLKEM768", "X25519")
    assert ClientConfig(groups=["secp384r1", "X25519"]).key_shares == ("X25519",)
    assert ClientConfig(groups=["secp384r1", "X448"]).key_shares == ("secp384r1",)


def test_a_copy_with_other_groups_has_other_key_shares() -> None:
    """Unless somebody named them: then they must fit."""
    plain, named = ClientConfig(), ClientConfig(key_shares=["X25519MLKEM768", "X25519"])
    assert dataclasses.replace(plain, groups=["X25519", "X448"]).key_shares == ("X25519",)
    assert dataclasses.replace(plain, versions=["TLSv1.2"]).key_shares is None
    assert dataclasses.replace(named, alpn=["h2"]).key_shares == named.key_shares
    unfit: list[dict[str, Any]] = [{"groups": ["X25519"]}, {"versions": ["TLSv1.2"]}]
    for changes in unfit:
        with pytest.raises(ConfigurationError, match="key_shares"):
            dataclasses.replace(named, **changes)
