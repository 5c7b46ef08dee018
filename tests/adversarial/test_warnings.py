"""What cryptography warns of in a stranger's certificate is heard nowhere, and decides nothing.

Whoever connects chooses how many common names of which length there are, and each would be a line
on stderr and an entry in a registry of warnings, which nobody empties. With warnings as errors, the
flags of the process would decide whether a certificate is accepted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.end_to_end.pair import Pair
from tests.pki import Leaf, Pki, key_of_type, leaf_builder, named, sign

import handclasp
from handclasp import ClientConfig, Credentials, Fault, ServerConfig
from handclasp.adapters.peercert import peer_certificate
from handclasp.certificates import explain
from handclasp.certificates.credentials import LocalSigner
from handclasp.certificates.describe import describe
from handclasp.certificates.reading import certificate_of, keep_warnings_out
from handclasp.certificates.verify import verify_server_chain

ROOT = Path(__file__).parents[2]
SOURCE = str(Path(handclasp.__file__).parents[1])
PKI = Pki()
KEY = key_of_type("ecdsa-p256")
VERSIONS = ["TLSv1.2", "TLSv1.3"]


def odd_name(length: int) -> x509.Name:
    """Both ways to be out of bounds: a common name of this length, and a country of three."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, "x" * length, _validate=False),
                x509.NameAttribute(NameOID.COUNTRY_NAME, "x" * 3, _validate=False),
            ]
        )


def leaf_of(
    subject: x509.Name,
    issuer: x509.Name,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> x509.CertificateBuilder:
    shape = Leaf(common_name="x", purpose=purpose)
    leaf = leaf_builder(shape, KEY.public_key(), issuer, PKI.now)
    leaf._subject_name = subject  # subject_name() would refuse to set it again.
    return leaf


def good_credentials() -> Credentials:
    """A good server with an odd name in each place where one may stand."""
    builder = leaf_of(odd_name(80), PKI.certificate.subject)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(PKI.key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    point = x509.DistributionPoint([x509.DirectoryName(odd_name(90))], None, None, None)
    builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return Credentials.from_signer([sign(builder, PKI.key)], LocalSigner(KEY))


def stranger(length: int) -> Credentials:
    leaf = leaf_of(odd_name(length), named("nobody"), ExtendedKeyUsageOID.CLIENT_AUTH)
    certificate = sign(leaf, KEY)
    return Credentials.from_signer([certificate], LocalSigner(KEY))


def serial_of_zero() -> bytes:
    leaf = leaf_builder(Leaf(serial_number=0x5A), KEY.public_key(), named("nobody"), PKI.now)
    der = sign(leaf, KEY).public_bytes(Encoding.DER)
    odd = der.replace(b"\x02\x01\x5a", b"\x02\x01\x00", 1)
    assert odd != der
    return odd


def registered() -> int:
    """The entries in the registries of warnings of all modules of this package."""
    found = 0
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "handclasp":
            registry = getattr(module, "__warningregistry__", {})
            found += sum(isinstance(key, tuple) for key in registry)
    return found


def judge_all() -> None:
    """Everything that reads a certificate of a peer; run under other flags as well."""
    credentials = good_credentials()
    verify_server_chain(credentials.chain_der, PKI.trust, "localhost", PKI.now)
    assert explain(credentials.chain_der, "localhost", PKI.trust, PKI.now).accepted
    describe(certificate_of(credentials.chain_der[0]))
    describe(certificate_of(serial_of_zero()))
    for version in VERSIONS:
        client = ClientConfig(trust=PKI.trust, versions=[version])
        pair = Pair(client, ServerConfig(credentials=credentials)).run()
        assert pair.established, pair.client.error
        assert peer_certificate(pair.client.info)["subject"]
    for length in (65, 300):
        refuse_stranger(length, "TLSv1.3")


def refuse_stranger(length: int, version: str) -> None:
    client = ClientConfig(trust=PKI.trust, credentials=stranger(length), versions=[version])
    server = ServerConfig(credentials=PKI.server(), client_auth="optional", trust=PKI.trust)
    pair = Pair(client, server).run()
    assert pair.server.error is not None
    assert pair.server.error.fault_name == Fault.CERTIFICATE_UNTRUSTED.name, pair.server.error


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_kept_of_refused_strangers(version: str) -> None:
    before = registered()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        for length in range(65, 165):
            refuse_stranger(length, version)
    assert registered() == before


@pytest.mark.parametrize("action", ["error", "default", "always"])
def test_filters_that_were_set_later(action: str, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(action)  # type: ignore[arg-type]
        judge_all()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("flag", ["default", "error", "always"])
def test_flags_of_the_process(flag: str) -> None:
    code = "from tests.adversarial.test_warnings import judge_all; judge_all()"
    done = subprocess.run(
        [sys.executable, "-W", flag, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([SOURCE, str(ROOT)])},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_others_are_warned_as_before() -> None:
    """The filter is about this package alone, and there once however often it is put in front."""
    for _ in range(3):
        warnings.simplefilter("error")
        keep_warnings_out()
    ours = [each for each in warnings.filters if "handclasp" in str(each[3])]
    assert len(ours) == 1
    certificate = x509.load_der_x509_certificate(good_credentials().chain_der[0])
    with pytest.raises(UserWarning, match="length must be"):
        _ = certificate.subject
    with pytest.raises(UserWarning, match="something else"):
        warnings.warn_explicit("something else", UserWarning, "here", 1, "handclasp.config")
