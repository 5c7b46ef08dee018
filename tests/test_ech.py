"""Configurations and keys for Encrypted Client Hello: files, texts, and what is refused."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ConfigurationError,
    EchConfig,
    EchConfigList,
    EchKey,
    EchRejectedError,
    PreSharedKey,
    ReloadingEchKeys,
    ServerConfig,
)
from handclasp.wire.ech import make_ech_config

LARGE = EchKey.generate(".".join(["a" * 60] * 4))
"""A key with nearly the longest public name."""

BY_OPENSSL = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEICjd4yGRdsoP9gU7YT7My8DHx1Tjme8GYDXrOMCi8v1V
-----END PRIVATE KEY-----
-----BEGIN ECHCONFIG-----
AD7+DQA65wAgACA8wVN2BtscOl3vQheUzHeIkVmKIiydUhDCliA4iyQRCwAEAAEA
AQALZXhhbXBsZS5jb20AAA==
-----END ECHCONFIG-----
"""
"""The example of RFC 9934, appendix A."""


def test_the_example_of_the_rfc() -> None:
    key = EchKey.load(BY_OPENSSL)
    [config] = key.configs
    assert (config.public_name, config.config_id, config.kem) == ("example.com", 0xE7, 0x20)
    assert config.cipher_suites == ((1, 1),)
    assert key.to_pem() == BY_OPENSSL
    assert EchConfigList.load(BY_OPENSSL) == EchConfigList(key.configs)


@pytest.mark.parametrize("kem", ["X25519", "P-256"])
def test_a_key_is_read_as_it_was_written(tmp_path: Path, kem: str) -> None:
    key = EchKey.generate("Public.Example", kem=kem, maximum_name_length=10)
    path = tmp_path / "ech.pem"
    path.write_bytes(key.to_pem())
    path.chmod(0o600)
    read = EchKey.load(path, send_as_retry=False)
    assert read.configs == key.configs
    assert not read.send_as_retry
    assert read.configs[0].public_name == "public.example"
    assert EchConfigList.load(path) == EchConfigList(key.configs)
    assert "PRIVATE" not in repr(read)


def test_lists_in_every_form() -> None:
    configs = EchConfigList(
        [*EchKey.generate("a.test").configs, *EchKey.generate("b.test").configs]
    )
    assert EchConfigList.from_bytes(configs.to_bytes()) == configs
    text = configs.to_base64()
    assert EchConfigList.from_base64(f" {text[:40]}\n{text[40:]}\n") == configs
    assert EchConfigList.load(configs.to_pem()) == configs
    assert [each.public_name for each in configs] == ["a.test", "b.test"]
    assert configs[1:] == (configs[1],)
    assert len({configs, EchConfigList(tuple(configs))}) == 1
    assert configs != object()
    assert configs.usable == configs[0]


def config(**changes: Any) -> EchConfig:
    values: dict[str, Any] = {
        "config_id": 7,
        "kem": 0x20,
        "public_key": bytes(range(32)),
        "cipher_suites": [(1, 1)],
        "maximum_name_length": 0,
        "public_name": "a.example",
    }
    return make_ech_config(**(values | changes))


@pytest.mark.parametrize(
    ("unusable", "why"),
    [
        (EchConfig(b"\xfe\x0a\0\0", 0xFE0A), "its version"),
        (config(kem=0x21), "its KEM"),
        (config(public_key=bytes(31)), "31 bytes"),
        (config(public_key=bytes(32)), "not valid"),
        (config(kem=0x10, public_key=b"\4" + bytes(64)), "not valid"),
        (config(cipher_suites=[(9, 1), (1, 9)]), "cipher suites"),
        (config(extensions={0x8001: b""}), "extension 0x8001"),
        *[
            (config(public_name=name), "public name")
            for name in (
                *("1.2.3.4", "a.0x1f", "a.0X", "a.12", "a..b", ".a", "a.", "-a.b", "a_b.c"),
                *("x" * 64 + ".test", "a b.c", "[::1]", "::1", "*.a.test"),
            )
        ],
    ],
)
def test_configs_that_clients_must_pass_over(unusable: EchConfig, why: str) -> None:
    usable = config(extensions={0x1234: b"optional"})
    configs = EchConfigList([unusable, usable])
    assert configs.usable is usable
    assert why in configs.problems()[0]
    assert configs.problems()[1] == ""


@pytest.mark.parametrize(
    "make",
    [
        lambda: EchConfigList([]),
        lambda: EchConfigList(["config"]),  # type: ignore[list-item]
        lambda: EchConfigList.from_bytes(b"\0\4\xfe\x0d\0\0"),
        lambda: EchConfigList.from_bytes("text"),  # type: ignore[arg-type]
        lambda: EchConfigList.from_base64("no base64"),
        lambda: EchConfigList.from_base64(b"bytes"),  # type: ignore[arg-type]
        lambda: EchConfigList.load(b"no PEM"),
        lambda: EchConfigList.load(b"-----BEGIN ECHCONFIG-----\n!\n-----END ECHCONFIG-----"),
        lambda: EchConfigList.load("/nowhere/at/all"),
        lambda: EchConfigList([config()] * 2000),
        lambda: EchKey(LARGE.private_key, LARGE.configs * 2000),
        lambda: EchKey.generate("1.2.3.4"),
        lambda: EchKey.generate("no name"),
        lambda: EchKey.generate("a.test", kem="X448"),
        lambda: EchKey.generate("a.test", maximum_name_length=256),
        lambda: EchKey(x25519.X25519PrivateKey.generate(), ()),
        lambda: EchKey(x25519.X25519PrivateKey.generate(), (config(),)),
        lambda: EchKey(ec.generate_private_key(ec.SECP384R1()), (config(),)),
        lambda: EchKey.load(EchConfigList([config()]).to_pem()),
        lambda: EchKey.load(BY_OPENSSL.split(b"-----BEGIN ECHCONFIG")[0]),
        lambda: EchKey.load(BY_OPENSSL.replace(b"MC4C", b"MC5C")),
        lambda: EchKey.load(pem_of(ed25519.Ed25519PrivateKey.generate())),
        lambda: EchKey.load(pem_of(x25519.X25519PrivateKey.generate())),
    ],
)
def test_what_cannot_be_used(make: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert "MC4C" not in str(caught.value)


def pem_of(key: Any) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem + EchConfigList([config()]).to_pem()


def test_only_the_configs_of_the_key_are_its_own() -> None:
    key = EchKey.generate("a.test")
    pem = key.to_pem().split(b"-----BEGIN ECHCONFIG")[0]
    both = EchConfigList([config(), *key.configs])
    assert EchKey.load(pem + both.to_pem()).configs == key.configs


def test_new_keys_have_numbers_of_their_own() -> None:
    keys: list[EchKey] = []
    for _ in range(256):
        keys.append(EchKey.generate("a.test", avoid=keys))
    assert len({key.configs[0].config_id for key in keys}) == 256
    assert EchKey.generate("a.test", avoid=keys).configs


@pytest.mark.skipif(os.name != "posix", reason="modes mean nothing elsewhere")
def test_a_key_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ech.pem"
    path.write_bytes(BY_OPENSSL)
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING, "handclasp"):
        EchKey.load(path)
    assert "every user" in caplog.text


def private_file(path: Path, key: EchKey) -> Path:
    path.write_bytes(key.to_pem())
    path.chmod(0o600)
    return path


def test_keys_in_files_are_read_again(tmp_path: Path) -> None:
    keys = [EchKey.generate(f"{letter}.test") for letter in "abc"]
    current, old = (
        private_file(tmp_path / name, key) for name, key in zip("co", keys, strict=False)
    )
    errors: list[ConfigurationError] = []
    seconds = 0.0
    following = EchKey.auto_reload(current, old, on_error=errors.append, clock=lambda: seconds)

    def names() -> list[tuple[str, bool]]:
        nonlocal seconds
        seconds += 1
        return [(each.configs[0].public_name, each.send_as_retry) for each in following.current]

    assert names() == [("a.test", True), ("b.test", False)]
    private_file(current, keys[2])
    assert names() == [("c.test", True), ("b.test", False)]
    old.unlink()
    assert names() == names() == [("c.test", True), ("b.test", False)]
    [error] = errors
    assert str(error) == str(following.last_error)
    private_file(old, keys[0])
    assert names() == [("c.test", True), ("a.test", False)]
    assert following.last_error is None


@pytest.mark.parametrize("source", [b"bytes", 5, None])
def test_only_files_are_read_again(source: Any) -> None:
    with pytest.raises(ConfigurationError, match="is a path"):
        EchKey.auto_reload(source)


@pytest.mark.parametrize(
    "loaded",
    [
        (),
        [],
        ("a key",),
        (
            EchKey.generate(
                "a.test",
            ).configs,
        ),
        None,
    ],
)
def test_a_loader_gives_keys(loaded: Any) -> None:
    with pytest.raises(ConfigurationError, match="EchKey"):
        ReloadingEchKeys([], lambda: loaded)


def test_retry_configs_are_no_larger_than_clients_take() -> None:
    pki = Pki()
    [made] = LARGE.configs
    most = 15_360 // len(made.raw)
    credentials = pki.server("a.test", made.public_name)
    retired = EchKey(LARGE.private_key, LARGE.configs, send_as_retry=False)
    largest = ServerConfig(credentials=credentials, ech=[LARGE] * most + [retired] * 1000)
    outdated = EchKey.generate(made.public_name, avoid=[LARGE])
    client = ClientConfig(trust=pki.trust, ech=EchConfigList(outdated.configs))
    error = Pair(client, largest, "a.test").run().client.error
    assert isinstance(error, EchRejectedError)
    assert error.retry_configs == EchConfigList([made] * most)
    with pytest.raises(ConfigurationError, match="15360 at most: set send_as_retry=False"):
        replace(largest, ech=[LARGE] * (most + 1))
    with pytest.raises(ConfigurationError, match="15360 at most"):
        ReloadingEchKeys([], lambda: (LARGE,) * (most + 1))


def test_a_public_name_without_a_certificate(caplog: pytest.LogCaptureFixture) -> None:
    pki = Pki()
    key = EchKey.generate("public.test")
    with caplog.at_level(logging.WARNING, "handclasp"):
        ServerConfig(credentials=pki.server("secret.test", "public.test"), ech=[key])
        ServerConfig(psks=[PreSharedKey(b"k", b"k" * 31 + b"x")], ech=[key])
        ServerConfig(ech=[key], choose_credentials=lambda _: pki.server("a.test"))
        other = ServerConfig(credentials=pki.server("a.test"))
        ServerConfig(credentials=pki.server("a.test"), ech=[key], choose_config=lambda _: other)
        assert not caplog.records
        ServerConfig(credentials=pki.server("secret.test"), ech=[key])
    assert [getattr(record, "kind", "") for record in caplog.records] == ["public_name"]
    assert "No certificate is for public.test" in caplog.text


KEY = EchKey.generate("public.test")


@pytest.mark.parametrize(
    "make",
    [
        lambda: EchKey.generate("a.test", kem=[]),  # type: ignore[arg-type]
        lambda: EchKey.generate("a.test", avoid=None),  # type: ignore[arg-type]
        lambda: EchKey.generate("a.test", avoid=[1]),  # type: ignore[list-item]
        lambda: EchKey.generate("a.test", avoid=KEY),  # type: ignore[arg-type]
        lambda: EchKey(KEY.private_key, None),  # type: ignore[arg-type]
        lambda: EchKey(KEY.private_key, [None]),  # type: ignore[arg-type]
        lambda: EchConfigList(None),  # type: ignore[arg-type]
        lambda: EchConfigList(5),  # type: ignore[arg-type]
    ],
)
def test_arguments_of_another_kind(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError):
        make()
