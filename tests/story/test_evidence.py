"""The evidence of a refusal says something, or says that it was taken out."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.capture.test_observe import make_captured
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp import (
    CertificatePolicy,
    ClientConfig,
    Credentials,
    Recorder,
    ServerConfig,
    TLSError,
    TrustStore,
)
from handclasp.cli.report import diagnosis_lines
from handclasp.story.diagnosis import diagnose

NOW = dt.datetime.now(dt.UTC)
KEY = key_of_type("ecdsa-p256")


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


def refused(client: ClientConfig, chain: bytes) -> Recorder:
    """What a client recorded that refuses a certificate."""
    credentials = Credentials.from_pem(chain, key_pem(KEY))
    heard = make_captured(client, ServerConfig(credentials=credentials))
    with pytest.raises(TLSError):
        heard.shuttle()
    return heard.notes


def told(events: Any) -> str:
    diagnosis = diagnose(events)
    assert diagnosis is not None
    return "\n".join(
        value for label, value in diagnosis_lines(diagnosis, "client") if label == "evidence"
    )


@pytest.mark.parametrize(
    "leaf",
    [
        Leaf(not_before=NOW - dt.timedelta(9), not_after=NOW - dt.timedelta(1)),
        Leaf(("else.test",)),
    ],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_what_redact_takes_out_is_called_that(leaf: Leaf, pki: Pki, *, compressed: bool) -> None:
    compression = ["zlib"] if compressed else []
    client = ClientConfig(trust=pki.trust, certificate_compression=compression)
    recorder = refused(client, pem_of(pki.issue(leaf, KEY.public_key())))
    assert "taken out" not in told(recorder.events)
    lines = told(recorder.redacted(names=True).events)
    assert "removed by redact" in lines
    assert "0000 0000" not in lines


def without_extensions(*extensions: x509.ExtensionType) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=True)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("profile", ["web", "private"])
@pytest.mark.parametrize("extensions", [(), (x509.BasicConstraints(ca=True, path_length=None),)])
def test_a_certificate_without_names(extensions: Any, profile: Any) -> None:
    """As `openssl req -x509` makes it."""
    pem = without_extensions(*extensions)
    client = ClientConfig(trust=TrustStore.from_pem(pem), policy=CertificatePolicy(profile=profile))
    lines = told(refused(client, pem).events)
    assert ":  " not in lines
    assert "  " not in lines
    if extensions and "extensions of" in lines:
        assert "basicConstraints; no subjectAltName" in lines
