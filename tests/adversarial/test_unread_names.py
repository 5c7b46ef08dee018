"""Names that cryptography cannot read, of any length, in whatever way a chain is accepted.

A long name is not read for the words of a refusal. Where there is no path, nothing else read it,
and who reads an accepted chain (CRLs, `getpeercert`, reports) failed at it with a ValueError.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.end_to_end.pair import Pair
from tests.pki import Leaf, Pki, der_of, key_of_type, leaf_builder, sign

from handclasp import (
    CertificateError,
    CertificatePolicy,
    ClientAuth,
    ClientConfig,
    Credentials,
    Fault,
    ServerConfig,
)
from handclasp.certificates import explain
from handclasp.certificates.credentials import LocalSigner
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.der import key_info_in
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.verify import accept_unverified, verify_server_chain, vouch_for

KEY = key_of_type("ecdsa-p256")
PKI = Pki()
SHORT, LONG = 5, 20
"""Parts of a name, of 71 bytes each: below and above 1024 bytes."""

PLACES = ["issuer", "subject", "other's subject"]


def unreadable(parts: int, place: str) -> tuple[bytes, ...]:
    """A chain with a name whose parts are of the ASN.1 type INTEGER."""
    unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Q" * 60)
    odd = x509.Name([unit] * parts)
    is_issuer = place == "issuer"
    issuer = odd if is_issuer else PKI.certificate.subject
    builder = leaf_builder(Leaf(), KEY.public_key(), issuer, PKI.now)
    if not is_issuer:
        builder = (
            x509.CertificateBuilder()
            .subject_name(odd)
            .issuer_name(issuer)
            .public_key(KEY.public_key())
            .serial_number(7)
            .not_valid_before(builder._not_valid_before)  # type: ignore[arg-type]
            .not_valid_after(builder._not_valid_after)  # type: ignore[arg-type]
        )
    (der,) = der_of(sign(builder, KEY))
    der = der.replace(b"\x0c\x3c" + b"Q" * 60, b"\x02\x3c" + b"Q" * 60)
    if place.startswith("other"):
        return (der_of(PKI.issue(Leaf(), KEY.public_key()))[0], der)
    return (der,)


def policies(leaf: bytes) -> list[CertificatePolicy]:
    record = TlsaRecord(3, 1, 1, hashlib.sha256(key_info_in(leaf)).digest())
    crl = PKI.crl().public_bytes(Encoding.DER)
    lists = RevocationLists.from_bytes(crl, without_list="accept")
    return [CertificatePolicy(tlsa=(record,)), CertificatePolicy(tlsa=(record,), crls=lists)]


@pytest.mark.parametrize("parts", [SHORT, LONG])
@pytest.mark.parametrize("place", PLACES)
def test_every_way_to_a_yes(parts: int, place: str) -> None:
    chain = unreadable(parts, place)
    ways: dict[str, Callable[[], object]] = {
        "vouch": lambda: vouch_for(chain),
        "unverified": lambda: accept_unverified(chain),
    }
    for number, policy in enumerate(policies(chain[0])):
        ways[f"verify {number}"] = partial(
            verify_server_chain, chain, PKI.trust, "localhost", PKI.now, policy=policy
        )
        ways[f"explain {number}"] = partial(
            explain, chain, "localhost", PKI.trust, PKI.now, policy=policy
        )
    for name, way in ways.items():
        with pytest.raises(CertificateError) as caught:
            way()
        assert caught.value.fault is Fault.BAD_CERTIFICATE, name
        assert "is not readable DER" in str(caught.value), name


def credentials(chain: tuple[bytes, ...]) -> Credentials:
    return Credentials(chain, LocalSigner(KEY), ("localhost",), ("ecdsa_secp256r1_sha256",))


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("parts", [SHORT, LONG])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", ["record", "record and lists", "unverified", "callback"])
def test_a_server(version: str, parts: int, place: str, way: str) -> None:
    chain = unreadable(parts, place)
    plain, listed = policies(chain[0])
    config = {
        "record": lambda: ClientConfig(trust=PKI.trust, policy=plain, versions=[version]),
        "record and lists": lambda: ClientConfig(
            trust=PKI.trust, policy=listed, versions=[version]
        ),
        "unverified": lambda: ClientConfig(verify_peer=False, versions=[version]),
        "callback": lambda: ClientConfig(
            verify=lambda request: vouch_for(request.chain_der), versions=[version]
        ),
    }[way]()
    server = ServerConfig(credentials=credentials(chain), versions=[version])
    pair = Pair(config, server).run()
    assert pair.client.error is not None
    assert pair.client.error.fault_name == "BAD_CERTIFICATE"


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("parts", [SHORT, LONG])
def test_a_client(version: str, parts: int) -> None:
    chain = unreadable(parts, "subject")
    client = ClientConfig(trust=PKI.trust, credentials=credentials(chain), versions=[version])
    server = ServerConfig(
        credentials=PKI.server("localhost"),
        client_auth=ClientAuth.REQUIRED,
        verify=lambda request: vouch_for(request.chain_der),
        versions=[version],
    )
    pair = Pair(client, server).run()
    assert pair.server.error is not None
    assert pair.server.error.fault_name == "BAD_CERTIFICATE"
