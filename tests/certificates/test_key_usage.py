"""The key usage of an own certificate: told of when it is loaded, and not first by the peer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp import Credentials
from handclasp.certificates.credentials import LocalSigner


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
