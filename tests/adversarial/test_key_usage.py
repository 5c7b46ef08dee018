"""Leaves whose keyUsage keeps their key from signing, before ends that verify nothing else.

RFC 8446 section 4.4.2.2: "if the Key Usage extension is present, the digitalSignature bit MUST be
set". That is about the certificate, and not about who trusts it.
"""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.end_to_end.pair import Pair
from tests.pki import Leaf, Pki, key_of_type, key_usage

from handclasp import ClientAuth, ClientConfig, Credentials, Fault, ProtocolError, ServerConfig
from handclasp.certificates.credentials import LocalSigner
from handclasp.certificates.verify import accept_unverified, vouch_for

KEY = key_of_type("ecdsa-p256")
NO_SIGNATURES = key_usage(key_encipherment=True)


def raw_extension(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)


BROKEN_NAMES = raw_extension("2.5.29.17", b"\x30\x03\x82\x05a")
"""A subjectAltName that nobody can read, and with which cryptography gives out no extension."""

UNKNOWN = raw_extension("1.2.3.4", b"anything")

LEAVES: dict[str, tuple[list[Any], bool]] = {
    "no signatures": ([NO_SIGNATURES], False),
    "no signatures, critical": ([x509.Extension(NO_SIGNATURES.oid, True, NO_SIGNATURES)], False),
    "only certificates": ([key_usage(key_cert_sign=True)], False),
    "beside names that cannot be read": ([BROKEN_NAMES, NO_SIGNATURES], False),
    "in front of them": (
        [x509.Extension(NO_SIGNATURES.oid, True, NO_SIGNATURES), BROKEN_NAMES],
        False,
    ),
    "none that can be read": ([raw_extension("2.5.29.15", b"junk")], False),
    "an empty one": ([raw_extension("2.5.29.15", b"\x03\x01\x00")], False),
    "signatures": ([key_usage(digital_signature=True)], True),
    "no key usage": ([UNKNOWN], True),
    "signatures beside names that cannot be read": (
        [UNKNOWN, BROKEN_NAMES, key_usage(digital_signature=True, key_encipherment=True)],
        True,
    ),
    "only names that cannot be read": ([BROKEN_NAMES], True),
}
leaves = pytest.mark.parametrize(("extensions", "may_sign"), LEAVES.values(), ids=list(LEAVES))
versions = pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])


def shown(pki: Pki, extensions: list[Any]) -> Any:
    """A certificate with these, and what signs for it."""
    leaf = Leaf((), purpose=None, digital_signature=None, extensions=extensions)
    certificate = pki.issue(leaf, KEY.public_key())
    chain = [certificate.public_bytes(Encoding.DER)]
    good = Credentials.from_signer([pki.issue(Leaf(), KEY.public_key())], LocalSigner(KEY))
    object.__setattr__(good, "chain_der", tuple(chain))  # No config of ours would show it.
    return good


JUDGES: dict[str, dict[str, Any]] = {
    "verification is off": {"verify_peer": False},
    "a callback that takes anybody": {
        "verify": lambda question: accept_unverified(question.chain_der)
    },
    "a callback": {"verify": lambda question: vouch_for(question.chain_der)},
}
judges = pytest.mark.parametrize("judge", JUDGES.values(), ids=list(JUDGES))


def check(end: Any, pair: Pair, may_sign: bool) -> None:
    if may_sign:
        assert pair.established, (pair.client.error, pair.server.error)
        return
    assert isinstance(end.error, ProtocolError), end.error
    assert end.error.fault is Fault.CERTIFICATE_WRONG_PURPOSE
    assert not end.connection.established


@versions
@judges
@leaves
def test_a_server(
    pki: Pki, version: str, judge: dict[str, Any], extensions: list[Any], may_sign: bool
) -> None:
    client = ClientConfig(versions=[version], **judge)
    pair = Pair(client, ServerConfig(credentials=shown(pki, extensions))).run()
    check(pair.client, pair, may_sign)


@versions
@judges
@leaves
@pytest.mark.parametrize("auth", [ClientAuth.OPTIONAL, ClientAuth.REQUIRED])
def test_a_client(
    pki: Pki,
    version: str,
    auth: ClientAuth,
    judge: dict[str, Any],
    extensions: list[Any],
    may_sign: bool,
) -> None:
    if "verify" not in judge:
        return  # A server that asks always verifies.
    server = ServerConfig(credentials=pki.server("localhost"), client_auth=auth, **judge)
    client = ClientConfig(versions=[version], trust=pki.trust, credentials=shown(pki, extensions))
    pair = Pair(client, server).run()
    check(pair.server, pair, may_sign)
