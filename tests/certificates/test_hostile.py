"""Whatever a certificate holds, nothing but errors of this library comes out of any function.

cryptography reads most fields late, and raises more than ValueError then: InvalidVersion,
UnsupportedAlgorithm, TypeError, KeyError, DuplicateExtension, UnsupportedGeneralNameType.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.certificates.hostile import KEY, hostile_certificates, parsed, pem_block
from tests.end_to_end.pair import Pair
from tests.pki import Pki, key_pem

from handclasp import (
    CertificatePolicy,
    ClientAuth,
    ClientConfig,
    ConfigurationError,
    ConnectionInfo,
    Credentials,
    ServerConfig,
    TLSError,
    TrustStore,
)
from handclasp.adapters.peercert import as_dict, peer_certificate
from handclasp.certificates import describe_certificate, explain
from handclasp.certificates.authority import KEY_FILE, LocalAuthority
from handclasp.certificates.credentials import LocalSigner
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.describe import describe, pin_of
from handclasp.certificates.names import subject_of
from handclasp.certificates.ocsp import demands_staple
from handclasp.certificates.transparency import timestamps_of
from handclasp.certificates.verify import (
    accept_unverified,
    verify_client_chain,
    verify_server_chain,
    vouch_for,
)
from handclasp.story.narrate import narrate

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOSTILE = hostile_certificates()
OURS = (TLSError, ConfigurationError)


@pytest.fixture(params=sorted(HOSTILE))
def der(request: pytest.FixtureRequest) -> bytes:
    return HOSTILE[request.param]


@pytest.fixture(scope="module")
def good() -> Pki:
    return Pki()


def policies(der: bytes) -> Iterator[CertificatePolicy]:
    """Each kind of policy, made for this certificate where that can be."""
    yield CertificatePolicy()
    yield CertificatePolicy(profile="private")
    yield CertificatePolicy(stapled_ocsp="require")
    yield CertificatePolicy(pins=["A" * 43 + "="])
    for numbers in ((3, 0, 0), (2, 0, 0)):
        try:
            yield CertificatePolicy(tlsa=[TlsaRecord(*numbers, der)])
        except ConfigurationError:
            continue


def calls_with_der(der: bytes, pki: Pki, directory: Path) -> dict[str, Callable[[], Any]]:
    """Every function that takes a certificate as bytes."""
    anchor = pki.certificate.public_bytes(Encoding.DER)
    chains = {
        "alone": [der],
        "leaf": [der, *pki.server().chain_der[1:], anchor],
        "issuer": [pki.server().chain_der[0], der],
    }
    calls: dict[str, Callable[[], Any]] = {}
    for place, chain in chains.items():
        for number, policy in enumerate(policies(der)):
            key = f"{place} {number}"
            for trust in (pki.trust, _trusting(der) or pki.trust):
                given = (chain, trust, "localhost", NOW)
                calls[f"server {key}"] = partial(verify_server_chain, *given, policy=policy)
                calls[f"explain {key}"] = partial(explained_as_json, chain, trust, policy)
            profile = CertificatePolicy(profile=policy.profile)
            calls[f"client {key}"] = partial(
                verify_client_chain, chain, pki.trust, NOW, policy=profile
            )
        calls[f"unverified {place}"] = partial(accept_unverified, chain)
        calls[f"vouched {place}"] = partial(vouch_for, chain)
    file = directory / "certificate.pem"
    file.write_bytes(pem_block(der))
    own_key = key_pem(KEY)
    authority = directory / "authority"
    authority.mkdir(mode=0o700)
    (authority / KEY_FILE).touch(mode=0o600)
    (authority / KEY_FILE).write_bytes(pem_block(der) + own_key)
    return calls | {
        "record 3 0 0": lambda: TlsaRecord(3, 0, 0, der),
        "record 2 0 0": lambda: TlsaRecord(2, 0, 0, der).carried_certificate(),
        "record 3 1 0": lambda: TlsaRecord(3, 1, 0, der),
        "record off the wire": lambda: TlsaRecord.from_wire(b"\3\0\0" + der),
        "trust PEM": lambda: TrustStore.from_pem(pem_block(der)).subjects(),
        "trust DER": lambda: TrustStore.from_der(der).fingerprint,
        "trust file": lambda: TrustStore.from_files(file),
        "trust directory": lambda: TrustStore.from_files(directory),
        "credentials": lambda: Credentials.from_pem(pem_block(der), own_key).matches("localhost"),
        "credentials chain": lambda: Credentials.from_pem(pem_block(der) + pki.pem, own_key),
        "credentials files": lambda: Credentials.load(file, file),
        "credentials signer": lambda: Credentials.from_signer([der], LocalSigner(KEY)),
        "staple": lambda: Credentials.from_pem(pem_block(der), own_key).with_staple(b"junk"),
        "authority": lambda: LocalAuthority.open_or_create(authority),
        "page": lambda: describe_certificate(der),
        "info": lambda: info_of(der).peer_chain,
        "ssl's form": lambda: peer_certificate(info_of(der)),
    }


def explained_as_json(chain: list[bytes], trust: TrustStore, policy: CertificatePolicy) -> str:
    return json.dumps(explain(chain, "localhost", trust, NOW, policy=policy).to_json())


def _trusting(der: bytes) -> TrustStore | None:
    try:
        return TrustStore.from_der(der)
    except ConfigurationError:
        return None


def info_of(der: bytes) -> ConnectionInfo:
    return ConnectionInfo(
        version="TLSv1.3",
        cipher_suite="TLS_AES_128_GCM_SHA256",
        group="X25519",
        signature_scheme="ed25519",
        alpn=None,
        server_name=None,
        resumed=False,
        early_data_status="none",
        hello_retry=False,
        peer_chain_der=(der,),
        peer_verified=True,
        local_chain_der=(der,),
    )


def test_as_bytes(der: bytes, good: Pki, tmp_path: Path) -> None:
    for name, call in calls_with_der(der, good, tmp_path).items():
        try:
            call()
        except OURS:
            continue
        except Exception as error:
            pytest.fail(f"{name}: {type(error).__name__}: {error}")


def test_as_a_parsed_certificate(der: bytes, good: Pki) -> None:
    certificate = parsed(der)
    if certificate is None:
        return
    told = describe(certificate)
    json.dumps(told)
    pin_of(certificate)
    subject_of(certificate)
    demands_staple(certificate)
    json.dumps(as_dict(certificate), default=str)
    for call in (
        lambda: explain([certificate], "localhost", good.trust, NOW),
        lambda: TrustStore.from_certificates([certificate]).subjects(),
        lambda: Credentials.from_signer([certificate], LocalSigner(KEY)),
        lambda: timestamps_of(certificate),
        lambda: TlsaRecord(3, 1, 1, bytes(32)).matches(certificate),
    ):
        try:
            call()
        except OURS:
            continue


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_in_a_handshake(der: bytes, good: Pki, version: str) -> None:
    """Both ends fail, or are established, with errors of ours; the trace can be told and shown."""
    showing = Credentials((der,), LocalSigner(KEY), ("localhost",), ("ecdsa_secp256r1_sha256",))
    asking: dict[str, Any] = {"client_auth": ClientAuth.REQUIRED, "trust": good.trust}
    for client, server in (
        (ClientConfig(verify_peer=False, versions=[version]), ServerConfig(credentials=showing)),
        (
            ClientConfig(trust=good.trust, versions=[version], credentials=showing),
            ServerConfig(credentials=good.server(), **asking),
        ),
    ):
        if not der:
            return  # No message can hold it.
        pair = Pair(client, server).run()
        pair.client.trace.to_html("hostile", describe_certificate)
        for end in (pair.client, pair.server):
            assert end.error is None or isinstance(end.error, OURS)
            narrate(end.trace.events)
            info = end.connection.info
            if info is not None:
                for binding in ("tls-server-end-point", "tls-exporter"):
                    try:
                        end.connection.channel_binding(binding)
                    except OURS:
                        continue
