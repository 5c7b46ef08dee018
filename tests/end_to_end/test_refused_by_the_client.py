"""What a server says of a client's refusal: what it knows itself is left out of the guesses."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.capture.test_observe import Captured, make_captured
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp import (
    CertificatePolicy,
    ClientConfig,
    Credentials,
    PeerAlertError,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.alerts import OwnChain, Situation, likely_causes, summarize
from handclasp.capture.observe import observe
from handclasp.certificates.authority import LocalAuthority
from handclasp.iana import AlertDescription
from handclasp.story.diagnosis import diagnose

VERSIONS = pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
SHOWN = OwnChain(1, "CN=a", "CN=a", "CN=b", "localhost", "valid")


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()


def of(pki: Pki, *names: str) -> Credentials:
    key = key_of_type("ecdsa-p256")
    return Credentials.from_pem(pem_of(pki.issue(Leaf(names), key.public_key())), key_pem(key))


def refusal(heard: Captured) -> PeerAlertError:
    """What the server says of it."""
    to_client = b""
    with pytest.raises(TLSError):
        for _ in range(4):
            data = bytes(heard.client.data_to_send())
            heard._say(0, data)
            heard.server.receive_data(data)
            to_client = bytes(heard.server.data_to_send())
            heard._say(1, to_client)
            heard.client.receive_data(to_client)
    alert = bytes(heard.client.data_to_send())
    heard._say(0, alert)
    with pytest.raises(PeerAlertError) as caught:
        heard.server.receive_data(alert)
    return caught.value


@VERSIONS
def test_the_name_that_was_asked_for(version: str, pki: Pki) -> None:
    client = ClientConfig(trust=pki.trust, versions=[version])
    heard = make_captured(client, ServerConfig(credentials=of(pki, "x.test", "y.test")))
    error = refusal(heard)
    sentence = "it asked for localhost; the certificate is for x.test, y.test."
    assert error.alert == "bad_certificate"
    assert sentence in error.explanation
    assert error.blame == "local"
    for events in (heard.server_notes.events, observe(heard.stream, heard.keylog).events):
        diagnosis = diagnose(events)
        assert diagnosis is not None
        assert sentence in diagnosis.cause
        # What the cause says is not said once more.
        assert "CERTIFICATE_NAME_MISMATCH" not in [each.fault for each in diagnosis.others]


def test_a_server_whose_clock_was_never_set_judges_no_dates(pki: Pki) -> None:
    client = ClientConfig(trust=pki.trust)
    server = ServerConfig(
        credentials=of(pki, "x.test"), clock=lambda: datetime(1970, 1, 2, tzinfo=UTC)
    )
    error = refusal(make_captured(client, server))
    assert "it asked for localhost; the certificate is for x.test." in error.explanation
    assert "by its dates" not in error.explanation


@VERSIONS
def test_a_server_that_stapled_nothing(version: str, pki: Pki) -> None:
    policy = CertificatePolicy(stapled_ocsp="require")
    client = ClientConfig(trust=pki.trust, versions=[version], policy=policy)
    heard = make_captured(client, ServerConfig(credentials=of(pki, "localhost")))
    error = refusal(heard)
    assert error.alert == "bad_certificate_status_response"
    assert "this side has stapled none" in error.explanation
    assert "clock" not in error.explanation + error.condition + error.fix
    diagnosis = diagnose(observe(heard.stream, heard.keylog).events)
    assert diagnosis is not None
    assert "this side has stapled none" in diagnosis.cause


def test_a_server_that_stapled_something() -> None:
    situation = Situation("server", "handshake", certificate="shown", is_stapled=True)
    (cause,) = likely_causes(AlertDescription.BAD_CERTIFICATE_STATUS_RESPONSE, situation)
    assert "misses one" not in cause.sentence
    assert "clock" in cause.condition


@pytest.mark.parametrize("alert", ["BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN"])
@pytest.mark.parametrize(
    ("name", "is_for_name"),
    [("localhost", True), ("x.test", False), ("x.test", None), (None, None)],
)
def test_no_cause_is_told_twice(alert: str, name: str | None, is_for_name: bool | None) -> None:
    situation = Situation(
        "server",
        "handshake",
        certificate="shown",
        server_name=name,
        chain=SHOWN,
        is_for_name=is_for_name,
    )
    causes = likely_causes(AlertDescription[alert], situation)
    cause = summarize(causes).sentence
    faults = [each.fault for each in causes]
    assert len(set(faults)) == len(faults)
    if name is not None:
        assert name in cause
    if "CERTIFICATE_UNTRUSTED" in faults[1:]:
        assert "trust" not in cause
    if is_for_name:
        assert "CERTIFICATE_NAME_MISMATCH" not in faults


@VERSIONS
def test_the_root_of_the_local_authority_is_named_by_its_file(
    version: str, pki: Pki, tmp_path: Path
) -> None:
    authority = LocalAuthority.open_or_create(tmp_path / "authority")
    client = ClientConfig(trust=pki.trust, versions=[version])
    server = ServerConfig(credentials=authority.credentials(["localhost"]))
    error = refusal(make_captured(client, server))
    assert error.alert == "unknown_ca"
    assert f"its certificate is in {tmp_path / 'authority' / 'ca.pem'}." in error.fix
    assert "intermediate" not in error.fix + error.explanation


def issue_without_key_ids(
    name: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, *, is_ca: bool
) -> bytes:
    """A certificate by "Authority" that names no keys, so that its issuer is found by name."""
    now = datetime.now(UTC)
    constraints = x509.BasicConstraints(ca=is_ca, path_length=None)
    builder = x509.CertificateBuilder(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority")]),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]),
        key.public_key(),
        x509.random_serial_number(),
        now - timedelta(days=1),
        now + timedelta(days=1),
    ).add_extension(constraints, critical=True)
    if not is_ca:
        alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        builder = builder.add_extension(alternative, critical=False)
    return pem_of(builder.sign(by, hashes.SHA256()))


@pytest.mark.parametrize("is_ours_trusted", [True, False])
@VERSIONS
def test_an_authority_that_was_created_again(version: str, *, is_ours_trusted: bool) -> None:
    """OpenSSL finds the authority by its name, and then that its key is another."""
    old, new, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    leaf = issue_without_key_ids("leaf", own, new, is_ca=False)
    trusted = new if is_ours_trusted else old
    context = ssl.create_default_context(
        cadata=issue_without_key_ids("Authority", trusted, trusted, is_ca=True).decode()
    )
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    credentials = Credentials.from_pem(leaf, key_pem(own))
    server = ServerConnection(ServerConfig(credentials=credentials, versions=[version]))
    error: ssl.SSLError | None = None
    for _ in range(3):
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            server.receive_data(outgoing.read())
            incoming.write(server.data_to_send())
        except ssl.SSLError as refused:
            error = refused
            break
    assert (error is None) == is_ours_trusted
    if is_ours_trusted:
        return
    with pytest.raises(PeerAlertError) as caught:
        server.receive_data(outgoing.read())
    assert caught.value.alert == "decrypt_error"
    assert "another authority by the name of CN=Authority" in caught.value.explanation
    assert caught.value.blame == "unclear"
    assert caught.value.others[0].fault == "BAD_SIGNATURE"
