"""Own certificates that peers refuse: told of by whoever loads them, and not first by the peer."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp import ClientConfig, Credentials, ReloadingCredentials, ServerConfig
from handclasp.certificates.credentials import LocalSigner
from handclasp.compat import SSLContext

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
NOW = datetime(2031, 5, 1, 12, 0, 0, 500_000, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "rsa-2048"])
@pytest.mark.parametrize("usage", [True, False, None])
def test_a_certificate_that_must_not_sign_is_told_of(
    key_type: str,
    usage: bool | None,
    pki: Pki,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = key_of_type(key_type)
    chain = pem_of(pki.issue(Leaf(("localhost",), digital_signature=usage), key.public_key()))
    chain_path, key_path = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain_path.write_bytes(chain)
    key_path.touch(0o600)
    key_path.write_bytes(key_pem(key))
    ways: list[Callable[[], Credentials]] = [
        lambda: Credentials.load(chain_path, key_path),
        lambda: Credentials.auto_reload(chain_path, key_path).current,
        lambda: Credentials.from_pem(chain, key_pem(key)),
        lambda: Credentials.from_signer(chain, LocalSigner(key)),
    ]
    for load in ways:
        caplog.clear()
        load()
        told = [record.getMessage() for record in caplog.records]
        levels = {record.levelno for record in caplog.records}
        assert (len(told), levels) == ((1, {logging.WARNING}) if usage is False else (0, set()))
        if told:
            assert "localhost has a key usage without digitalSignature" in told[0]
            assert ("RSA key transport" in told[0]) == (key_type == "rsa-2048")


def test_a_raw_public_key_has_no_usage(caplog: pytest.LogCaptureFixture) -> None:
    Credentials.raw_public_key(key_pem(key_of_type("ecdsa-p256")))
    assert not caplog.records


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """The warnings so far: kind and sentence."""
    found = [(getattr(each, "kind", ""), each.getMessage()) for each in caplog.records]
    assert all(each.levelno == logging.WARNING for each in caplog.records)
    caplog.clear()
    return found


def kinds(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [kind for kind, _ in told(caplog)]


def build(
    role: str, credentials: Credentials | ReloadingCredentials, **settings: Any
) -> ClientConfig | ServerConfig:
    config = ServerConfig if role == "server" else ClientConfig
    return config(credentials=credentials, **settings)


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize(
    ("purpose", "fits"),
    [
        (None, ("server", "client")),
        (SERVER, ("server",)),
        (CLIENT, ("client",)),
        ([SERVER, CLIENT], ("server", "client")),
        (ExtendedKeyUsageOID.CODE_SIGNING, ()),
        (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, ()),
    ],
)
def test_a_certificate_for_the_other_role_is_told_of(
    role: str, purpose: Any, fits: Sequence[str], pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    credentials = pki.credentials(Leaf(purpose=purpose))
    assert told(caplog) == []
    build(role, credentials)
    found = told(caplog)
    assert [kind for kind, _ in found] == ([] if role in fits else ["extended_key_usage"])
    for _, sentence in found:
        peers = "clients" if role == "server" else "servers"
        assert f"without {role}Auth, so that most {peers} refuse it" in sentence
        assert sentence.endswith(f"have it issued with {role}Auth.")


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [
        (-300 * DAY, 31 * DAY, None),
        (-300 * DAY, 29 * DAY, ("expires_soon", "in less than 30 days: renew it")),
        (-300 * DAY, 6 * DAY, ("expires_soon", "in less than 7 days: renew it")),
        (-1 * DAY, 5 * DAY, None),
        (-5 * DAY, 1 * DAY, ("expires_soon", "in less than 7 days: renew it")),
        (-5 * DAY, timedelta(0), ("expires_soon", "in less than 7 days")),
        (-5 * DAY, -timedelta(seconds=1), ("expired", "expired at 2031-05-01 11:59:59 UTC")),
        (DAY, 99 * DAY, ("not_yet_valid", "is valid from 2031-05-02 12:00:00 UTC on")),
    ],
)
def test_dates_are_told_of_by_the_clock_of_the_config(
    role: str,
    begins: timedelta,
    ends: timedelta,
    expected: tuple[str, str] | None,
    pki: Pki,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begin, end = (NOW + each for each in (begins, ends))
    leaf = Leaf(purpose=None, not_before=begin, not_after=end)
    build(role, pki.credentials(leaf), clock=lambda: NOW)
    found = told(caplog)
    assert [kind for kind, _ in found] == ([expected[0]] if expected else [])
    if expected:
        assert expected[1] in found[0][1]
        assert ("clock" in found[0][1]) == (expected[0] != "expires_soon")


def test_an_issuer_that_has_expired_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    pki, key = Pki(), key_of_type("ecdsa-p256")
    end = pki.certificate.not_valid_after_utc
    leaf = pki.issue(Leaf(not_after=end + 900 * DAY), key.public_key())
    credentials = Credentials.from_signer([leaf, pki.certificate], LocalSigner(key))
    ServerConfig(credentials=credentials, clock=lambda: end + DAY)
    ((kind, sentence),) = told(caplog)
    assert kind == "expired"
    assert "sent with that for" in sentence
    assert "peers without another may refuse both" in sentence


def test_it_is_told_once_for_each_certificate_and_again_for_what_is_new(
    pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    times = [NOW]
    leaf = Leaf(purpose=CLIENT, not_before=NOW - 300 * DAY, not_after=NOW + 20 * DAY)
    config = build("server", pki.credentials(leaf), clock=lambda: times[-1])
    assert kinds(caplog) == ["extended_key_usage", "expires_soon"]
    replace(config)
    assert kinds(caplog) == []
    times.append(NOW + 15 * DAY)
    replace(config)
    assert kinds(caplog) == ["expires_soon"]
    times.append(NOW + 25 * DAY)
    replace(config)
    assert kinds(caplog) == ["expired"]
    build("server", pki.credentials(leaf), clock=lambda: NOW)
    assert kinds(caplog) == ["extended_key_usage", "expires_soon"]


@pytest.mark.parametrize(
    ("role", "purpose", "days", "expected"),
    [
        ("server", CLIENT, 90, ["extended_key_usage"]),
        ("client", SERVER, 90, ["extended_key_usage"]),
        ("server", SERVER, 3, ["expires_soon"]),
        ("client", CLIENT, 90, []),
    ],
)
def test_a_certificate_that_is_loaded_again_is_told_of(
    role: str,
    purpose: Any,
    days: int,
    expected: list[str],
    pki: Pki,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody builds a config then, and the key usage is told of anyway."""
    key, now, seconds = key_of_type("ecdsa-p256"), datetime.now(UTC), [0.0]
    chain_path, key_path = tmp_path / "chain.pem", tmp_path / "key.pem"
    key_path.touch(0o600)
    key_path.write_bytes(key_pem(key))

    def renew(leaf: Leaf) -> None:
        old = replace(leaf, not_before=now - 200 * DAY)
        chain_path.write_bytes(pem_of(pki.issue(old, key.public_key())))

    renew(Leaf(purpose=[SERVER, CLIENT], not_after=now + 99 * DAY))
    load = partial(Credentials.load, chain_path, key_path)
    reloading = ReloadingCredentials([chain_path], load, clock=lambda: seconds[0])
    config = build(role, reloading)
    before = config.credential_list[0].chain_der
    assert kinds(caplog) == []
    renew(Leaf(purpose=purpose, digital_signature=False, not_after=now + days * DAY))
    seconds[0] += 2
    assert config.credential_list[0].chain_der != before
    assert kinds(caplog) == ["key_usage", *expected]
    seconds[0] += 2
    assert config.credential_list[0].chain_der != before
    assert kinds(caplog) == []


@pytest.mark.parametrize("clock", [lambda: None, lambda: datetime(2031, 5, 1)])
def test_a_clock_without_a_time_tells_nothing_of_dates(
    clock: Any, pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    ClientConfig(credentials=pki.credentials(Leaf()), clock=clock)
    assert kinds(caplog) == ["extended_key_usage"]


def test_certificates_that_cannot_be_read_are_left_to_the_peers(
    pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    server = pki.server()
    ServerConfig(credentials=replace(server, chain_der=(b"no certificate",)))
    ServerConfig(credentials=replace(server, chain_der=(*server.chain_der, b"no certificate")))
    assert kinds(caplog) == []


@pytest.mark.parametrize(
    ("protocol", "purpose", "expected"),
    [
        (ssl.PROTOCOL_TLS_SERVER, CLIENT, ["extended_key_usage", "expired"]),
        (ssl.PROTOCOL_TLS_SERVER, SERVER, ["expired"]),
        (ssl.PROTOCOL_TLS_CLIENT, SERVER, ["extended_key_usage", "expired"]),
    ],
)
def test_a_context_tells_when_it_loads(
    protocol: Any,
    purpose: Any,
    expected: list[str],
    pki: Pki,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = datetime.now(UTC)
    leaf = Leaf(purpose=purpose, not_before=now - 9 * DAY, not_after=now - DAY)
    key = key_of_type("ecdsa-p256")
    both = tmp_path / "both.pem"
    both.touch(0o600)
    both.write_bytes(pem_of(pki.issue(leaf, key.public_key())) + key_pem(key))
    context = SSLContext(protocol)
    context.load_cert_chain(both)
    assert kinds(caplog) == expected
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), protocol == ssl.PROTOCOL_TLS_SERVER, "a")
    assert kinds(caplog) == []
