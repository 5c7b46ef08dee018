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
from tests.pki import MUST_STAPLE, Leaf, Pki, key_of_type, key_pem, key_usage, pem_of

from handclasp import (
    CertificatePolicy,
    ClientConfig,
    Credentials,
    Recorder,
    ServerConfig,
    TLSError,
    TrustStore,
)
from handclasp.advice import worded
from handclasp.certificates.credentials import LocalSigner
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
    return "\n".join(value for label, value in diagnosis_lines(diagnosis) if label == "evidence")


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


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize(("demands", "requires"), [(True, False), (True, True), (False, True)])
def test_a_staple_that_is_missing(version: str, pki: Pki, *, demands: bool, requires: bool) -> None:
    """What the certificate demands, no setting here can change; what this end requires, it can."""
    leaf = Leaf(extensions=[MUST_STAPLE] if demands else [])
    policy = CertificatePolicy(stapled_ocsp="require" if requires else "check")
    client = ClientConfig(
        trust=pki.trust, policy=policy, versions=[version], certificate_compression=[]
    )
    recorder = refused(client, pem_of(pki.issue(leaf, KEY.public_key())))
    diagnosis = diagnose(recorder.events)
    assert diagnosis is not None
    assert diagnosis.fault == "OCSP_RESPONSE_MISSING"
    (evidence,) = diagnosis.evidence
    assert "Enable OCSP stapling" in diagnosis.fix
    if demands:
        assert "its own TLS feature extension demands one" in diagnosis.cause
        assert evidence.what == "tlsfeature of the certificate in the server's Certificate"
        assert "must-staple" in evidence.says
        assert bytes.fromhex("06082b06010505070118") in evidence.octets
        assert diagnosis.blame == "peer"
        assert "On this end" not in diagnosis.fix
    else:
        assert "this end requires one" in diagnosis.cause
        assert ("extensions in the server's Certificate" in evidence.what) == (version == "TLSv1.3")
        assert diagnosis.blame == "unclear"
        assert "leave out --require-ocsp" in worded(diagnosis.fix, "connect")


@pytest.mark.parametrize("verify", [True, False])
def test_a_key_that_must_not_sign(pki: Pki, *, verify: bool) -> None:
    leaf = Leaf(digital_signature=None, extensions=[key_usage(key_encipherment=True)])
    client = ClientConfig(trust=pki.trust) if verify else ClientConfig(verify_peer=False)
    certificate = pki.issue(leaf, KEY.public_key())
    good = Credentials.from_signer([pki.issue(Leaf(), KEY.public_key())], LocalSigner(KEY))
    object.__setattr__(good, "chain_der", (certificate.public_bytes(Encoding.DER),))
    heard = make_captured(client, ServerConfig(credentials=good))
    with pytest.raises(TLSError):
        heard.shuttle()
    diagnosis = diagnose(heard.notes.events)
    assert diagnosis is not None
    (evidence,) = diagnosis.evidence
    assert evidence.what.startswith("keyUsage of the certificate")
    assert "digitalSignature" in diagnosis.fix
    assert "extended" not in diagnosis.fix


def test_a_key_log_that_cannot_be_written_has_no_evidence_of_the_other_end(pki: Pki) -> None:
    def full(line: str) -> None:
        raise OSError(28, "No space left on device")

    client = ClientConfig(trust=pki.trust, keylog=full)
    heard = make_captured(client, ServerConfig(credentials=pki.server()))
    with pytest.raises(TLSError):
        heard.shuttle()
    notes = heard.notes
    diagnosis = diagnose(notes.events)
    assert diagnosis is not None
    assert diagnosis.fault == "KEY_LOG_FAILED"
    assert not told(notes.events)
