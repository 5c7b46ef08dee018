"""Peers that are not who they say, or do not prove it (RFC 8446 section 4.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.adversarial.conftest import ClientRefuses, ServerRefuses
from tests.adversarial.encounter import Encounter
from tests.pki import DAY, Leaf, Pki, der_of, key_of_type

from handclasp import (
    CertificateError,
    ClientAuth,
    ClientConfig,
    Credentials,
    Fault,
    Limits,
    ServerConfig,
)
from handclasp.certificates.verify import accept_unverified
from handclasp.iana import ExtensionType as Ext
from handclasp.iana import SignatureSchemeCode
from handclasp.testing.deviations import Change, changed, cut_by, longer_by, with_extension
from handclasp.testing.scripted import CONTEXTS, SCHEMES, ScriptedClient, ScriptedServer
from handclasp.wire import extensions as ext
from handclasp.wire.messages import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    Finished,
    Message,
)

Refuses = Callable[..., Encounter]
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.fixture(params=["client", "server"])
def refuses(
    request: pytest.FixtureRequest,
    pki: Pki,
    client_refuses: ClientRefuses,
    server_refuses: ServerRefuses,
    asking_config: ServerConfig,
) -> Refuses:
    """Either role of ours, asking for a certificate; the peer has a good one."""
    if request.param == "client":
        return client_refuses

    def check(fault: Fault, **script: Any) -> Encounter:
        script = {"credentials": pki.client(), "config": asking_config} | script
        return server_refuses(fault, **script)

    return check


# Certificate

CERTIFICATE = [
    (changed(certificate_request_context=b"x"), Fault.BAD_CERTIFICATE_REQUEST_CONTEXT),
    (cut_by(1), Fault.DECODE_ERROR),
    (longer_by(b"\0"), Fault.DECODE_ERROR),
    (Certificate(b"", (CertificateEntry(b"", {}),)), Fault.DECODE_ERROR),
    (Certificate(b"", (CertificateEntry(b"no certificate", {}),)), Fault.BAD_CERTIFICATE),
    (Certificate(b"", (CertificateEntry(b"0", {}),) * 11), Fault.TOO_MANY_CERTIFICATES),
]


@pytest.mark.parametrize(("deviation", "fault"), CERTIFICATE)
def test_certificate(refuses: Refuses, deviation: Any, fault: Fault) -> None:
    refuses(fault, certificate=deviation)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (Ext.DELEGATED_CREDENTIAL, Fault.UNSOLICITED_EXTENSION),
        (0x1234, Fault.UNSOLICITED_EXTENSION),
        (Ext.SERVER_NAME, Fault.MISPLACED_EXTENSION),
        (Ext.SUPPORTED_GROUPS, Fault.MISPLACED_EXTENSION),
    ],
)
def test_extension_in_certificate(refuses: Refuses, kind: int, fault: Fault) -> None:
    def with_extension_in_entry(message: Certificate) -> Certificate:
        leaf = replace(message.certificate_list[0], extensions={kind: b""})
        return replace(message, certificate_list=(leaf, *message.certificate_list[1:]))

    refuses(fault, certificate=with_extension_in_entry)


def test_key_that_is_not_supported(pki: Pki, refuses: Refuses) -> None:
    certificate = pki.issue(Leaf(), key_of_type("secp256k1").public_key())
    entry = CertificateEntry(der_of(certificate)[0], {})
    refuses(Fault.UNSUPPORTED_CERTIFICATE, certificate=Certificate(b"", (entry,)))


def test_no_certificate_of_a_server(client_refuses: ClientRefuses) -> None:
    client_refuses(Fault.EMPTY_SERVER_CERTIFICATE, certificate=Certificate(b"", ()))


def test_no_certificate_of_a_client(
    pki: Pki, server_refuses: ServerRefuses, asking_config: ServerConfig
) -> None:
    server_refuses(
        Fault.CLIENT_CERTIFICATE_MISSING,
        config=asking_config,
        order=("certificate", "finished"),
    )


def test_no_certificate_but_a_signature(pki: Pki, server_refuses: ServerRefuses) -> None:
    """Where a certificate is optional, a CertificateVerify without one has no place."""
    config = ServerConfig(
        credentials=pki.server(), client_auth=ClientAuth.OPTIONAL, trust=pki.trust
    )
    server_refuses(
        Fault.UNEXPECTED_MESSAGE,
        config=config,
        credentials=pki.client(),
        certificate=Certificate(b"", ()),
    )


BAD_CERTIFICATES = [
    ("expired", Fault.CERTIFICATE_EXPIRED),
    ("not_yet_valid", Fault.CERTIFICATE_NOT_YET_VALID),
    ("untrusted", Fault.CERTIFICATE_UNTRUSTED),
    ("other_purpose", Fault.CERTIFICATE_WRONG_PURPOSE),
    ("small_rsa_key", Fault.UNSUPPORTED_CERTIFICATE),
]


def bad_credentials(pki: Pki, problem: str, *, of_client: bool) -> Credentials:
    if problem == "untrusted":
        other = Pki("another root")
        return other.client() if of_client else other.server()
    if problem == "other_purpose":
        return pki.server() if of_client else pki.credentials(Leaf(purpose=CLIENT_AUTH))
    if problem == "small_rsa_key":
        return pki.client(key_type="rsa-1024") if of_client else pki.server(key_type="rsa-1024")
    if of_client:
        days = {"expired": (-9, -1), "not_yet_valid": (1, 9)}[problem]
        return _client_of_days(pki, *days)
    return pki.expired() if problem == "expired" else pki.not_yet_valid()


@pytest.mark.parametrize(("problem", "fault"), BAD_CERTIFICATES)
def test_untrustworthy_server(
    pki: Pki, client_refuses: ClientRefuses, problem: str, fault: Fault
) -> None:
    credentials = bad_credentials(pki, problem, of_client=False)
    encounter = client_refuses(fault, credentials=credentials)
    assert isinstance(encounter.error, CertificateError)


@pytest.mark.parametrize(("problem", "fault"), BAD_CERTIFICATES)
def test_untrustworthy_client(
    pki: Pki,
    server_refuses: ServerRefuses,
    asking_config: ServerConfig,
    problem: str,
    fault: Fault,
) -> None:
    credentials = bad_credentials(pki, problem, of_client=True)
    encounter = server_refuses(fault, config=asking_config, credentials=credentials)
    assert isinstance(encounter.error, CertificateError)


def test_server_of_another_name(pki: Pki, client_refuses: ClientRefuses) -> None:
    client_refuses(Fault.CERTIFICATE_NAME_MISMATCH, credentials=pki.server("example.org"))


def test_fewer_certificates_are_accepted(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, limits=Limits(max_certificates=1))
    credentials = pki.intermediate().server("localhost")
    client_refuses(Fault.TOO_MANY_CERTIFICATES, config=config, credentials=credentials)


# CertificateRequest

SIGNATURE_ALGORITHMS = {Ext.SIGNATURE_ALGORITHMS: ext.write_signature_algorithms(SCHEMES)}

CERTIFICATE_REQUEST = [
    (changed(certificate_request_context=b"x"), Fault.BAD_CERTIFICATE_REQUEST_CONTEXT),
    (CertificateRequest(b"", {0x1234: b""}), Fault.MISSING_EXTENSION),
    (CertificateRequest(b"", {}), Fault.DECODE_ERROR),
    (with_extension(Ext.KEY_SHARE, b""), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.SERVER_NAME, b""), Fault.MISPLACED_EXTENSION),
    (with_extension(Ext.SIGNATURE_ALGORITHMS, b"\0\0"), Fault.DECODE_ERROR),
    (with_extension(Ext.CERTIFICATE_AUTHORITIES, b"\0\0"), Fault.DECODE_ERROR),
    (cut_by(1), Fault.DECODE_ERROR),
]


@pytest.mark.parametrize(("deviation", "fault"), CERTIFICATE_REQUEST)
def test_certificate_request(client_refuses: ClientRefuses, deviation: Any, fault: Fault) -> None:
    client_refuses(fault, ask_for_certificate=True, certificate_request=deviation)


# CertificateVerify


def bytes_changed(at: int) -> Change:
    def change(message: CertificateVerify) -> CertificateVerify:
        signature = bytearray(message.signature)
        signature[at] ^= 1
        return replace(message, signature=bytes(signature))

    return change


CERTIFICATE_VERIFY = [
    (changed(signature=b""), Fault.BAD_SIGNATURE),
    (changed(signature=b"\x30\x06\x02\x01\x00\x02\x01\x00"), Fault.BAD_SIGNATURE),  # r = s = 0
    (changed(signature=bytes(64)), Fault.BAD_SIGNATURE),
    *[(bytes_changed(at), Fault.BAD_SIGNATURE) for at in (0, 1, 5, 20, -20, -1)],
    (cut_by(1), Fault.DECODE_ERROR),
    (longer_by(b"\0"), Fault.DECODE_ERROR),
    *[
        (changed(algorithm=code), Fault.UNOFFERED_SIGNATURE_SCHEME)
        for code in (
            SignatureSchemeCode.rsa_pkcs1_sha256,
            SignatureSchemeCode.rsa_pkcs1_sha1,
            SignatureSchemeCode.ecdsa_sha1,
            0x0A0A,
            0x0000,
            0xFFFF,
        )
    ],
    *[
        (changed(algorithm=code), Fault.WRONG_SIGNATURE_SCHEME_FOR_KEY)
        for code in SCHEMES
        if code != SignatureSchemeCode.ecdsa_secp256r1_sha256
        and not SignatureSchemeCode(code).name.startswith("rsa_pkcs1")
    ],
]


@pytest.mark.parametrize(("deviation", "fault"), CERTIFICATE_VERIFY)
def test_certificate_verify(refuses: Refuses, deviation: Any, fault: Fault) -> None:
    refuses(fault, certificate_verify=deviation)


class RoleConfused:
    """Signs as the other role would: a signature must not be good in both directions."""

    def certificate_verify(self) -> Message:
        other = "client" if self.role == "server" else "server"  # type: ignore[attr-defined]
        scheme = self.credentials.schemes[0]  # type: ignore[attr-defined]
        return self.signed(scheme, CONTEXTS[other])  # type: ignore[attr-defined,no-any-return]


class RoleConfusedServer(RoleConfused, ScriptedServer):
    pass


class RoleConfusedClient(RoleConfused, ScriptedClient):
    pass


def test_context_of_the_other_role(
    pki: Pki,
    client_refuses: ClientRefuses,
    server_refuses: ServerRefuses,
    asking_config: ServerConfig,
) -> None:
    client_refuses(Fault.BAD_SIGNATURE, kind=RoleConfusedServer)
    server_refuses(
        Fault.BAD_SIGNATURE,
        kind=RoleConfusedClient,
        config=asking_config,
        credentials=pki.client(),
    )


def test_certificate_of_somebody_else(
    pki: Pki,
    client_refuses: ClientRefuses,
    server_refuses: ServerRefuses,
    asking_config: ServerConfig,
) -> None:
    """The certificate is good, and the peer signs with a key that is not the certificate's."""
    key = key_of_type("ecdsa-p256", 99).public_key()
    server = pki.issue(Leaf(), key)
    client = pki.issue(Leaf((), common_name="a client", purpose=CLIENT_AUTH), key)
    stolen = [Certificate(b"", (CertificateEntry(der, {}),)) for der in der_of(server, client)]
    client_refuses(Fault.BAD_SIGNATURE, certificate=stolen[0])
    server_refuses(
        Fault.BAD_SIGNATURE,
        config=asking_config,
        credentials=pki.client(),
        certificate=stolen[1],
    )


def test_signature_of_another_handshake(pki: Pki, refuses: Refuses) -> None:
    content = CONTEXTS["server"] + bytes(32)
    signature = pki.server().signer.sign("ecdsa_secp256r1_sha256", content)
    refuses(Fault.BAD_SIGNATURE, certificate_verify=changed(signature=signature))


@pytest.mark.parametrize("scheme", ["rsa_pss_pss_sha256", "rsa_pss_pss_sha512", "ed25519"])
def test_scheme_that_does_not_fit_an_rsa_key(
    pki: Pki, client_refuses: ClientRefuses, scheme: str
) -> None:
    client_refuses(
        Fault.WRONG_SIGNATURE_SCHEME_FOR_KEY,
        credentials=pki.server("localhost", key_type="rsa-2048"),
        certificate_verify=changed(algorithm=SignatureSchemeCode[scheme]),
    )


def test_rsa_pkcs1_signature(pki: Pki, client_refuses: ClientRefuses) -> None:
    """Even a right PKCS#1 v1.5 signature is none (RFC 8446 section 4.4.3)."""

    class Pkcs1(ScriptedServer):
        def certificate_verify(self) -> Message:
            content = CONTEXTS["server"] + self.transcript.digest()
            key = key_of_type("rsa-2048")
            signature = key.sign(content, padding.PKCS1v15(), hashes.SHA256())
            return CertificateVerify(SignatureSchemeCode.rsa_pkcs1_sha256, signature)

    credentials = pki.server("localhost", key_type="rsa-2048")
    client_refuses(Fault.UNOFFERED_SIGNATURE_SCHEME, kind=Pkcs1, credentials=credentials)


def test_scheme_that_the_client_switched_off(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, signature_schemes=["ed25519"])
    client_refuses(Fault.UNOFFERED_SIGNATURE_SCHEME, config=config)


def test_unverified_is_not_unproven(client_refuses: ClientRefuses) -> None:
    """verify_peer=False gives up on who the peer is, and on nothing else."""
    config = ClientConfig(verify_peer=False)
    client_refuses(Fault.BAD_SIGNATURE, config=config, certificate_verify=bytes_changed(-1))
    client_refuses(
        Fault.UNEXPECTED_MESSAGE,
        config=config,
        order=("server_hello", "encrypted_extensions", "certificate", "finished"),
    )


def test_callback_cannot_judge_another_chain(pki: Pki, client_refuses: ClientRefuses) -> None:
    other = pki.server("example.org").chain_der
    config = ClientConfig(verify=lambda question: accept_unverified(other))
    client_refuses(Fault.CALLBACK_FAILED, config=config)


# Finished


@pytest.mark.parametrize("at", range(32))
def test_every_byte_of_finished_counts(refuses: Refuses, at: int) -> None:
    def one_bit_wrong(message: Finished) -> Finished:
        data = bytearray(message.verify_data)
        data[at] ^= 0x80
        return Finished(bytes(data))

    refuses(Fault.BAD_FINISHED, finished=one_bit_wrong)


@pytest.mark.parametrize("deviation", [cut_by(1), cut_by(31), cut_by(32), longer_by(b"\0")])
def test_finished_of_another_length(refuses: Refuses, deviation: Change) -> None:
    """RFC 9846 6.2: it does not decode; only one that does can fail to verify."""
    refuses(Fault.DECODE_ERROR, finished=deviation)


def test_finished_of_the_other_side(
    client_refuses: ClientRefuses, server_refuses: ServerRefuses
) -> None:
    class MirrorServer(ScriptedServer):
        def finished(self) -> Message:
            return Finished(self.client_secret.verify_data(self.transcript.digest()))

    class MirrorClient(ScriptedClient):
        def finished(self) -> Message:
            return Finished(self.server_secret.verify_data(self.transcript.digest()))

    client_refuses(Fault.BAD_FINISHED, kind=MirrorServer)
    server_refuses(Fault.BAD_FINISHED, kind=MirrorClient)


def _client_of_days(pki: Pki, first: int, last: int) -> Credentials:
    leaf = Leaf(
        (),
        common_name="a client",
        purpose=CLIENT_AUTH,
        not_before=pki.now + first * DAY,
        not_after=pki.now + last * DAY,
    )
    return pki.credentials(leaf)
