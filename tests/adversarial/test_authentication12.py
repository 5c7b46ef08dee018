"""TLS 1.2: peers that are not who they say, or do not prove it.

The server proves its key by what it signs in ServerKeyExchange (RFC 8422 section 5.4), the client
by CertificateVerify (RFC 5246 section 7.4.8), and both by their Finished that nobody came between.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.adversarial.conftest import ClientRefuses, ServerRefuses
from tests.adversarial.encounter import Encounter
from tests.pki import Leaf, Pki, der_of, key_of_type, key_usage, pss_credentials

from handclasp import (
    CertificateError,
    ClientAuth,
    ClientConfig,
    Credentials,
    Fault,
    Limits,
    ProtocolError,
    ServerConfig,
)
from handclasp.certificates.verify import accept_unverified
from handclasp.crypto.secret import Secret
from handclasp.iana import GroupCode
from handclasp.iana import SignatureSchemeCode as Code
from handclasp.testing.deviations import Change, changed, handshake_message
from handclasp.testing.scripted12 import (
    CLOSING,
    ECDSA_SUITE,
    KEY_TRANSPORT_SUITE,
    RSA_SUITE,
    ScriptedClient12,
    ScriptedServer12,
)
from handclasp.wire.codecs import AnyMessage, write_message
from handclasp.wire.messages import CertificateVerify, Finished
from handclasp.wire.messages12 import (
    Certificate12,
    CertificateStatus,
    ClientKeyExchange,
    ServerKeyExchange,
    write_ecdh_params,
    write_ecdh_point,
)

Meet = Callable[..., Encounter]
Refuses = Callable[..., Encounter]
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.fixture
def meet_server(meet_server: Meet) -> Meet:
    return partial(meet_server, kind=ScriptedServer12)


@pytest.fixture
def meet_client(meet_client: Meet) -> Meet:
    return partial(meet_client, kind=ScriptedClient12)


@pytest.fixture
def asked_client_refused(
    pki: Pki, server_refuses: ServerRefuses, asking_config: ServerConfig
) -> Refuses:
    """Our server asks for a certificate; the client has a good one."""

    def check(fault: Fault, **script: Any) -> Encounter:
        script = {"credentials": pki.client(), "config": asking_config} | script
        return server_refuses(fault, **script)

    return check


@pytest.fixture(params=["client", "server"])
def refuses(
    request: pytest.FixtureRequest, client_refuses: ClientRefuses, asked_client_refused: Refuses
) -> Refuses:
    """Either role of ours, asking for a certificate; the peer has a good one."""
    return client_refuses if request.param == "client" else asked_client_refused


def cut_by(count: int) -> Change:
    """The message without its last bytes, with the right length in its header."""

    def change(message: AnyMessage) -> bytes:
        raw = write_message(message)
        return handshake_message(raw[0], raw[4 : len(raw) - count])

    return change


def longer_by(tail: bytes) -> Change:
    def change(message: AnyMessage) -> bytes:
        raw = write_message(message)
        return handshake_message(raw[0], raw[4:] + tail)

    return change


# Certificate

CERTIFICATE = [
    (cut_by(1), Fault.DECODE_ERROR),
    (longer_by(b"\0"), Fault.DECODE_ERROR),
    (Certificate12((b"",)), Fault.DECODE_ERROR),
    (Certificate12((b"no certificate",)), Fault.BAD_CERTIFICATE),
    (Certificate12((b"0",) * 11), Fault.TOO_MANY_CERTIFICATES),
]


@pytest.mark.parametrize(("deviation", "fault"), CERTIFICATE)
def test_certificate(refuses: Refuses, deviation: Any, fault: Fault) -> None:
    refuses(fault, certificate=deviation)


def test_key_that_is_not_supported(pki: Pki, refuses: Refuses) -> None:
    certificate = pki.issue(Leaf(), key_of_type("secp256k1").public_key())
    refuses(Fault.UNSUPPORTED_CERTIFICATE, certificate=Certificate12(der_of(certificate)))


def test_no_certificate_of_a_server(client_refuses: ClientRefuses) -> None:
    client_refuses(Fault.EMPTY_SERVER_CERTIFICATE, certificate=Certificate12(()))


def test_no_certificate_of_a_client(asked_client_refused: Refuses) -> None:
    """RFC 5246 7.4.6 has handshake_failure where TLS 1.3 has an alert of its own."""
    asked_client_refused(
        Fault.CLIENT_CERTIFICATE_MISSING12,
        certificate=Certificate12(()),
        certificate_verify=None,
    )
    asked_client_refused(Fault.CLIENT_CERTIFICATE_MISSING12, certificate=Certificate12(()))


def test_no_certificate_but_a_signature(pki: Pki, asked_client_refused: Refuses) -> None:
    """Where a certificate is optional, a CertificateVerify without one has no place."""
    config = ServerConfig(
        credentials=pki.server(), client_auth=ClientAuth.OPTIONAL, trust=pki.trust
    )
    asked_client_refused(Fault.UNEXPECTED_MESSAGE, config=config, certificate=Certificate12(()))


BAD_CERTIFICATES = [
    ("expired", Fault.CERTIFICATE_EXPIRED),
    ("untrusted", Fault.CERTIFICATE_UNTRUSTED),
    ("other_purpose", Fault.CERTIFICATE_WRONG_PURPOSE),
    ("other_name", Fault.CERTIFICATE_NAME_MISMATCH),
]


def bad_credentials(pki: Pki, problem: str) -> Credentials:
    if problem == "expired":
        return pki.expired()
    if problem == "untrusted":
        return Pki("another root").server()
    if problem == "other_purpose":
        return pki.credentials(Leaf(purpose=CLIENT_AUTH))
    return pki.server("example.org")


@pytest.mark.parametrize(("problem", "fault"), BAD_CERTIFICATES)
def test_untrustworthy_server(
    pki: Pki, client_refuses: ClientRefuses, problem: str, fault: Fault
) -> None:
    encounter = client_refuses(fault, credentials=bad_credentials(pki, problem))
    assert isinstance(encounter.error, CertificateError)


@pytest.mark.parametrize(
    ("problem", "fault"),
    [
        ("untrusted", Fault.CERTIFICATE_UNTRUSTED),
        ("other_purpose", Fault.CERTIFICATE_WRONG_PURPOSE),
    ],
)
def test_untrustworthy_client(
    pki: Pki, asked_client_refused: Refuses, problem: str, fault: Fault
) -> None:
    credentials = Pki("another root").client() if problem == "untrusted" else pki.server()
    encounter = asked_client_refused(fault, credentials=credentials)
    assert isinstance(encounter.error, CertificateError)


def test_fewer_certificates_are_accepted(
    pki: Pki, client_refuses: ClientRefuses, asked_client_refused: Refuses
) -> None:
    limits = Limits(max_certificates=1)
    between = pki.intermediate()
    client_refuses(
        Fault.TOO_MANY_CERTIFICATES,
        config=ClientConfig(trust=pki.trust, limits=limits),
        credentials=between.server("localhost"),
    )
    config = ServerConfig(
        credentials=pki.server(),
        client_auth=ClientAuth.REQUIRED,
        trust=pki.trust,
        limits=limits,
    )
    asked_client_refused(Fault.TOO_MANY_CERTIFICATES, config=config, credentials=between.client())


@pytest.mark.parametrize(
    ("suite", "key_type"),
    [
        (ECDSA_SUITE, "rsa-2048"),
        (RSA_SUITE, "ecdsa-p256"),
        (RSA_SUITE, "ed25519"),
        (KEY_TRANSPORT_SUITE, "ecdsa-p256"),
    ],
)
def test_key_of_another_kind_than_the_suite(
    pki: Pki, client_refuses: ClientRefuses, suite: str, key_type: str
) -> None:
    """RFC 5246 7.4.2: the key "MUST be appropriate for the selected" suite."""
    client_refuses(
        Fault.UNSUPPORTED_CERTIFICATE,
        config=ClientConfig(trust=pki.trust, allow_rsa_key_transport=True),
        credentials=pki.server("localhost", key_type=key_type),
        suite=suite,
    )


def test_key_that_must_not_encipher(pki: Pki, client_refuses: ClientRefuses) -> None:
    """RFC 5246 7.4.2: keyEncipherment MUST be set, if there is a key usage."""
    usage = key_usage(digital_signature=True)
    leaf = Leaf(digital_signature=None, names=("localhost",), extensions=[usage])
    encounter = client_refuses(
        Fault.CERTIFICATE_WRONG_PURPOSE,
        config=ClientConfig(trust=pki.trust, allow_rsa_key_transport=True),
        credentials=pki.credentials(leaf, "rsa-2048"),
        suite=KEY_TRANSPORT_SUITE,
    )
    error = encounter.error
    assert isinstance(error, CertificateError)
    assert error.place == (0, "keyUsage")
    assert "keyEncipherment" in error.fix
    assert "extended" not in error.fix


def test_key_for_signatures_alone(pki: Pki, client_refuses: ClientRefuses) -> None:
    """RFC 4055 1.2: an id-RSASSA-PSS key signs, and does nothing else."""
    encounter = client_refuses(
        Fault.CERTIFICATE_WRONG_PURPOSE,
        config=ClientConfig(verify_peer=False, allow_rsa_key_transport=True),
        credentials=pss_credentials(pki),
        suite=KEY_TRANSPORT_SUITE,
    )
    error = encounter.error
    assert isinstance(error, CertificateError)
    assert error.place == (0, "subjectPublicKeyInfo")
    assert "rsaEncryption" in error.fix


# CertificateStatus


def test_status_that_was_not_promised(client_refuses: ClientRefuses) -> None:
    """RFC 6066 section 8: it comes only after a ServerHello with status_request."""
    deviation: Change = lambda message: [message, CertificateStatus(b"x")]  # noqa: E731
    client_refuses(Fault.UNEXPECTED_MESSAGE, certificate=deviation)


def test_status_that_was_not_asked_for(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(verify_peer=False)
    client_refuses(Fault.UNSOLICITED_EXTENSION, config=config, staple=b"x")


STATUS = [
    (handshake_message(22, b""), Fault.DECODE_ERROR),
    (handshake_message(22, b"\1\0\0\0"), Fault.DECODE_ERROR),
    (handshake_message(22, b"\1\0\0\2x"), Fault.DECODE_ERROR),
    (handshake_message(22, b"\1\0\0\1xy"), Fault.DECODE_ERROR),
    (handshake_message(22, b"\2\0\0\1x"), Fault.ILLEGAL_VALUE),
    (CertificateStatus(b"no response"), Fault.BAD_OCSP_RESPONSE),
]


@pytest.mark.parametrize(("deviation", "fault"), STATUS)
def test_status(client_refuses: ClientRefuses, deviation: Any, fault: Fault) -> None:
    client_refuses(fault, staple=b"promised", certificate_status=deviation)


# Signatures: of a server in ServerKeyExchange, of a client in CertificateVerify


def bytes_changed(at: int) -> Change:
    def change(message: Any) -> Any:
        signature = bytearray(message.signature)
        signature[at] ^= 1
        return replace(message, signature=bytes(signature))

    return change


UNOFFERED = (Code.rsa_pkcs1_sha1, Code.ecdsa_sha1, 0x0101, 0x0301, 0x0402, 0x0A0A, 0x0000, 0xFFFF)
"""SHA-1, MD5, SHA-224, DSA, GREASE and nothing: known or not, nobody offered them."""

SIGNATURES = [
    (changed(signature=b""), Fault.BAD_SIGNATURE),
    (changed(signature=b"\x30\x06\x02\x01\x00\x02\x01\x00"), Fault.BAD_SIGNATURE),  # r = s = 0
    (changed(signature=bytes(64)), Fault.BAD_SIGNATURE),
    *[(bytes_changed(at), Fault.BAD_SIGNATURE) for at in (0, 1, 5, 20, -20, -1)],
    (cut_by(1), Fault.DECODE_ERROR),
    (longer_by(b"\0"), Fault.DECODE_ERROR),
    *[(changed(algorithm=code), Fault.UNOFFERED_SIGNATURE_SCHEME) for code in UNOFFERED],
    *[
        (changed(algorithm=code), Fault.WRONG_SIGNATURE_SCHEME_FOR_KEY)
        for code in (
            Code.rsa_pkcs1_sha256,
            Code.rsa_pss_rsae_sha256,
            Code.rsa_pss_pss_sha256,
            Code.ed25519,
            Code.ed448,
            Code.mldsa44,
        )
    ],
    # In TLS 1.2 the scheme says the hash alone, so these fit the key, and not the signature.
    (changed(algorithm=Code.ecdsa_secp384r1_sha384), Fault.BAD_SIGNATURE),
    (changed(algorithm=Code.ecdsa_secp521r1_sha512), Fault.BAD_SIGNATURE),
]


@pytest.mark.parametrize(("deviation", "fault"), SIGNATURES)
def test_signature_of_a_server(client_refuses: ClientRefuses, deviation: Any, fault: Fault) -> None:
    client_refuses(fault, server_key_exchange=deviation)


@pytest.mark.parametrize(("deviation", "fault"), SIGNATURES)
def test_signature_of_a_client(asked_client_refused: Refuses, deviation: Any, fault: Fault) -> None:
    asked_client_refused(fault, certificate_verify=deviation)


@pytest.mark.parametrize(
    ("key_type", "fault"),
    [
        ("ecdsa-p256", Fault.UNOFFERED_SIGNATURE_SCHEME),
        ("rsa-2048", Fault.UNOFFERED_SIGNATURE_SCHEME),
    ],
)
def test_right_signature_with_sha1(
    pki: Pki, client_refuses: ClientRefuses, key_type: str, fault: Fault
) -> None:
    """RFC 9155: the signature itself is right, and SHA-1 is not taken any more."""

    class WithSha1(ScriptedServer12):
        def server_key_exchange(self) -> Any:
            message = super().server_key_exchange()
            content = self.randoms.client + self.randoms.server + message.params
            key = key_of_type(key_type)
            if key_type == "rsa-2048":
                signature = key.sign(content, padding.PKCS1v15(), hashes.SHA1())
                return replace(message, algorithm=Code.rsa_pkcs1_sha1, signature=signature)
            signature = key.sign(content, ec.ECDSA(hashes.SHA1()))
            return replace(message, algorithm=Code.ecdsa_sha1, signature=signature)

    credentials = pki.server("localhost", key_type=key_type)
    suite = RSA_SUITE if key_type == "rsa-2048" else ECDSA_SUITE
    client_refuses(fault, kind=WithSha1, credentials=credentials, suite=suite)


def test_right_signature_of_a_client_with_sha1(asked_client_refused: Refuses) -> None:
    class WithSha1(ScriptedClient12):
        def certificate_verify(self) -> Any:
            content = self.transcript.messages()
            signature = key_of_type("ecdsa-p256").sign(content, ec.ECDSA(hashes.SHA1()))
            return CertificateVerify(Code.ecdsa_sha1, signature)

    asked_client_refused(Fault.UNOFFERED_SIGNATURE_SCHEME, kind=WithSha1)


@pytest.mark.parametrize("scheme", ["rsa_pss_pss_sha256", "ed25519", "ecdsa_secp256r1_sha256"])
def test_scheme_that_does_not_fit_an_rsa_key(
    pki: Pki, client_refuses: ClientRefuses, scheme: str
) -> None:
    client_refuses(
        Fault.WRONG_SIGNATURE_SCHEME_FOR_KEY,
        credentials=pki.server("localhost", key_type="rsa-2048"),
        suite=RSA_SUITE,
        server_key_exchange=changed(algorithm=Code[scheme]),
    )


def test_scheme_that_this_side_switched_off(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, signature_schemes=["ed25519"])
    client_refuses(Fault.UNOFFERED_SIGNATURE_SCHEME, config=config)


class SignsOther(ScriptedServer12):
    """Signs what is not this key exchange; with which change, the subclasses say."""

    def server_key_exchange(self) -> Any:
        message = super().server_key_exchange()
        signature = self.signature(self.scheme, self.other_content(message))
        return replace(message, signature=signature)

    def other_content(self, message: ServerKeyExchange) -> bytes:
        raise NotImplementedError


class OtherClientRandom(SignsOther):
    """A key exchange that was signed for somebody else, sent once more."""

    def other_content(self, message: ServerKeyExchange) -> bytes:
        return os.urandom(32) + self.randoms.server + message.params


class OtherServerRandom(SignsOther):
    def other_content(self, message: ServerKeyExchange) -> bytes:
        return self.randoms.client + os.urandom(32) + message.params


class SwappedRandoms(SignsOther):
    def other_content(self, message: ServerKeyExchange) -> bytes:
        return self.randoms.server + self.randoms.client + message.params


class NoRandoms(SignsOther):
    def other_content(self, message: ServerKeyExchange) -> bytes:
        return message.params


class OtherPoint(SignsOther):
    """Somebody between put a share of their own into it."""

    def other_content(self, message: ServerKeyExchange) -> bytes:
        randoms = self.randoms.client + self.randoms.server
        return randoms + write_ecdh_params(message.group, os.urandom(32))


class OtherGroup(SignsOther):
    def other_content(self, message: ServerKeyExchange) -> bytes:
        randoms = self.randoms.client + self.randoms.server
        return randoms + write_ecdh_params(GroupCode.x448, message.point)


class OtherCurveType(SignsOther):
    def other_content(self, message: ServerKeyExchange) -> bytes:
        return self.randoms.client + self.randoms.server + b"\1" + message.params[1:]


class PointAlone(SignsOther):
    """Without the name of the group, one group's point could be taken for another's."""

    def other_content(self, message: ServerKeyExchange) -> bytes:
        return self.randoms.client + self.randoms.server + message.point


@pytest.mark.parametrize("kind", SignsOther.__subclasses__())
def test_signature_over_something_else(
    client_refuses: ClientRefuses, kind: type[SignsOther]
) -> None:
    client_refuses(Fault.BAD_SIGNATURE, kind=kind)


class VerifiesOther(ScriptedClient12):
    """Signs other messages than those of this handshake."""

    def certificate_verify(self) -> Any:
        return self.signed_messages(self.other_content(self.transcript.messages()))

    def other_content(self, messages: bytes) -> bytes:
        raise NotImplementedError


class OtherHello(VerifiesOther):
    def other_content(self, messages: bytes) -> bytes:
        return messages[:10] + bytes([messages[10] ^ 1]) + messages[11:]


class DigestOfMessages(VerifiesOther):
    """As a signature is over the messages, and hashes them itself."""

    def other_content(self, messages: bytes) -> bytes:
        return self.transcript.digest()


class WithoutKeyExchange(VerifiesOther):
    def other_content(self, messages: bytes) -> bytes:
        return messages[: -len(write_ecdh_point(bytes(32))) - 4]


class AsInTls13(VerifiesOther):
    def other_content(self, messages: bytes) -> bytes:
        return b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + self.transcript.digest()


@pytest.mark.parametrize("kind", VerifiesOther.__subclasses__())
def test_signature_over_other_messages(
    asked_client_refused: Refuses, kind: type[VerifiesOther]
) -> None:
    asked_client_refused(Fault.BAD_SIGNATURE, kind=kind)


def test_the_other_content_is_what_is_wrong(
    meet_server: Meet, pki: Pki, meet_client: Meet, asking_config: ServerConfig
) -> None:
    """With the right content, both of the peers above are good ones."""

    class RightServer(SignsOther):
        def other_content(self, message: ServerKeyExchange) -> bytes:
            return self.randoms.client + self.randoms.server + message.params

    class RightClient(VerifiesOther):
        def other_content(self, messages: bytes) -> bytes:
            return messages

    assert meet_server(kind=RightServer).connection.established
    encounter = meet_client(kind=RightClient, config=asking_config, credentials=pki.client())
    assert encounter.connection.established


def test_certificate_of_somebody_else(
    pki: Pki, client_refuses: ClientRefuses, asked_client_refused: Refuses
) -> None:
    """The certificate is good, and the peer signs with a key that is not the certificate's."""
    key = key_of_type("ecdsa-p256", 99).public_key()
    server = pki.issue(Leaf(), key)
    client = pki.issue(Leaf((), common_name="a client", purpose=CLIENT_AUTH), key)
    stolen = [Certificate12((der,)) for der in der_of(server, client)]
    client_refuses(Fault.BAD_SIGNATURE, certificate=stolen[0])
    asked_client_refused(Fault.BAD_SIGNATURE, certificate=stolen[1])


def test_key_transport_to_somebody_else(pki: Pki, meet_server: Meet) -> None:
    """Who cannot decrypt the secret cannot make the Finished, and that is the only proof."""

    class CannotDecrypt(ScriptedServer12):
        def _key_exchange_came(self, message: ClientKeyExchange) -> None:
            self.pre_master_secret = Secret(b"\3\3" + bytes(46))
            self.derive_keys()
            self.act(CLOSING)

        def _next_record(self) -> tuple[int, bytes] | None:
            # What comes later it could not read.
            return super()._next_record() if self.keys is None else None

    encounter = meet_server(
        kind=CannotDecrypt,
        config=ClientConfig(trust=pki.trust, allow_rsa_key_transport=True),
        credentials=pki.server("localhost", key_type="rsa-2048"),
        suite=KEY_TRANSPORT_SUITE,
    )
    assert isinstance(encounter.error, ProtocolError)
    assert encounter.error.fault is Fault.BAD_RECORD_MAC
    assert not encounter.connection.established
    assert encounter.events == []


def test_unverified_is_not_unproven(client_refuses: ClientRefuses) -> None:
    """verify_peer=False gives up on who the peer is, and on nothing else."""
    config = ClientConfig(verify_peer=False)
    client_refuses(Fault.BAD_SIGNATURE, config=config, server_key_exchange=bytes_changed(-1))
    client_refuses(Fault.UNEXPECTED_MESSAGE, config=config, server_key_exchange=None)


def test_callback_cannot_judge_another_chain(pki: Pki, client_refuses: ClientRefuses) -> None:
    other = pki.server("example.org").chain_der
    config = ClientConfig(verify=lambda question: accept_unverified(other))
    client_refuses(Fault.CALLBACK_FAILED, config=config)


# Key shares

P256 = GroupCode.secp256r1
ON_CURVE = ec.derive_private_key(12, ec.SECP256R1()).public_key().public_numbers()
X = ON_CURVE.x.to_bytes(32, "big")
Y = ON_CURVE.y.to_bytes(32, "big")

BAD_POINTS: list[tuple[int, bytes]] = [
    (P256, b"\4" + X + (ON_CURVE.y ^ 1).to_bytes(32, "big")),  # off the curve
    (P256, b"\4" + bytes(64)),
    (P256, b"\4" + b"\xff" * 64),
    (P256, b"\0"),  # the point at infinity
    (P256, bytes(65)),
    (P256, bytes([2 + ON_CURVE.y % 2]) + X),  # compressed, which nobody offered
    (P256, bytes([6 + ON_CURVE.y % 2]) + X + Y),  # hybrid form
    (P256, b"\4" + X + Y[:-1]),
    (P256, b"\4" + X + Y + b"\0"),
    (P256, X + Y),
    (GroupCode.x25519, bytes(32)),
    (GroupCode.x25519, b"\1" + bytes(31)),  # of order 4
    (GroupCode.x25519, bytes(31)),
    (GroupCode.x25519, bytes(33)),
    (GroupCode.x25519, b"x"),
    (GroupCode.x25519, b"\4" + X + Y),
    (GroupCode.x448, bytes(56)),
    (GroupCode.secp384r1, b"\4" + X + Y),
]


class WithPoint(ScriptedServer12):
    """Sends this group and point, with a right signature over them."""

    def __init__(self, *args: Any, code: int, point: bytes, **script: Any) -> None:
        self.code, self.point = code, point
        super().__init__(*args, **script)

    def server_key_exchange(self) -> Any:
        return self.signed_key_exchange(self.code, self.point, self.randoms, self.scheme)


@pytest.mark.parametrize(("code", "point"), BAD_POINTS, ids=repr)
def test_point_of_a_server(client_refuses: ClientRefuses, code: int, point: bytes) -> None:
    client_refuses(Fault.BAD_KEY_SHARE, kind=WithPoint, code=code, point=point)


@pytest.mark.parametrize(
    ("code", "point"), [(c, p) for c, p in BAD_POINTS if c in (P256, GroupCode.x25519)], ids=repr
)
def test_point_of_a_client(server_refuses: ServerRefuses, code: int, point: bytes) -> None:
    class Client(ScriptedClient12):
        def after_client_key_exchange(self) -> None:
            pass  # there are no keys to go on with

    server_refuses(
        Fault.BAD_KEY_SHARE,
        kind=Client,
        groups=["secp256r1"] if code == P256 else ["X25519", "secp256r1"],
        order=("client_key_exchange",),
        client_key_exchange=ClientKeyExchange(write_ecdh_point(point)),
    )


@pytest.mark.parametrize("body", [b"", b"\0", b"\x20" + bytes(31), b"\x20" + bytes(33)])
def test_key_exchange_of_a_client_that_is_none(server_refuses: ServerRefuses, body: bytes) -> None:
    server_refuses(
        Fault.DECODE_ERROR,
        order=("client_key_exchange",),
        client_key_exchange=ClientKeyExchange(body),
    )


HYBRID = ("X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024")


@pytest.mark.parametrize("code", [*[GroupCode[name] for name in HYBRID], 0x0101, 0x0016, 0x0A0A])
def test_group_that_tls12_does_not_have(client_refuses: ClientRefuses, code: int) -> None:
    """The client offered the first ones, for TLS 1.3."""
    client_refuses(Fault.UNOFFERED_GROUP, kind=WithPoint, code=code, point=bytes(97))


def test_group_that_was_not_offered(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, groups=["X25519"])
    client_refuses(Fault.UNOFFERED_GROUP, config=config, group="secp384r1")


KEY_EXCHANGE = [
    (handshake_message(12, b"\3\0\x1d\0\4\3\0\1x"), Fault.DECODE_ERROR),  # an empty point
    (handshake_message(12, b""), Fault.DECODE_ERROR),
    (handshake_message(12, b"\1" + bytes(60)), Fault.ILLEGAL_VALUE),  # explicit_prime
    (handshake_message(12, b"\2" + bytes(60)), Fault.ILLEGAL_VALUE),  # explicit_char2
    (handshake_message(12, b"\0" + bytes(60)), Fault.ILLEGAL_VALUE),
]


@pytest.mark.parametrize(("deviation", "fault"), KEY_EXCHANGE)
def test_key_exchange_of_a_server_that_is_none(
    client_refuses: ClientRefuses, deviation: bytes, fault: Fault
) -> None:
    client_refuses(fault, server_key_exchange=deviation)


# CertificateRequest

CERTIFICATE_REQUEST = [
    (cut_by(1), Fault.DECODE_ERROR),
    (longer_by(b"\0"), Fault.DECODE_ERROR),
    (changed(certificate_types=b""), Fault.DECODE_ERROR),
    (changed(supported_signature_algorithms=()), Fault.DECODE_ERROR),
    (changed(certificate_authorities=(b"",)), Fault.DECODE_ERROR),
    (handshake_message(13, b"\0\0\x0a\0\x0d\0\6\0\4\4\3\x08\4"), Fault.DECODE_ERROR),  # of TLS 1.3
]


@pytest.mark.parametrize(("deviation", "fault"), CERTIFICATE_REQUEST)
def test_certificate_request(client_refuses: ClientRefuses, deviation: Any, fault: Fault) -> None:
    client_refuses(fault, ask_for_certificate=True, certificate_request=deviation)


@pytest.mark.parametrize(
    "deviation",
    [
        changed(certificate_types=b"\1"),
        changed(certificate_types=b"\2\3\4"),
        changed(supported_signature_algorithms=(0x0203, 0x0201, 0x0A0A)),
        changed(supported_signature_algorithms=(0x0804,)),
    ],
)
def test_request_that_the_client_has_nothing_for(
    pki: Pki, meet_server: Meet, deviation: Change
) -> None:
    """It then shows an empty list (RFC 5246 7.4.6), and signs nothing it was not asked for."""

    class Listening(ScriptedServer12):
        def receive(self, raw: bytes) -> None:
            seen.append(raw)
            super().receive(raw)

    seen: list[bytes] = []
    encounter = meet_server(
        kind=Listening,
        config=ClientConfig(trust=pki.trust, credentials=pki.client()),
        ask_for_certificate=True,
        certificate_request=deviation,
    )
    assert encounter.connection.established
    assert b"\x0b\0\0\3\0\0\0" in seen
    assert [raw[0] for raw in seen] == [1, 11, 16, 20]


# Finished


@pytest.mark.parametrize("at", range(12))
def test_every_byte_of_finished_counts(refuses: Refuses, at: int) -> None:
    def one_bit_wrong(message: Finished) -> Finished:
        data = bytearray(message.verify_data)
        data[at] ^= 0x80
        return Finished(bytes(data))

    refuses(Fault.BAD_FINISHED, finished=one_bit_wrong)


@pytest.mark.parametrize(
    "deviation", [cut_by(1), cut_by(11), cut_by(12), longer_by(b"\0"), longer_by(bytes(20))]
)
def test_finished_of_another_length(refuses: Refuses, deviation: Change) -> None:
    """RFC 5246 7.2.2: it does not decode; only one that does can fail to verify."""
    refuses(Fault.DECODE_ERROR, finished=deviation)


def test_finished_of_the_other_side(
    client_refuses: ClientRefuses, server_refuses: ServerRefuses
) -> None:
    """The labels differ, so that nobody can send one back."""

    class MirrorServer(ScriptedServer12):
        def finished(self) -> Any:
            return Finished(self.verify_data("client"))

    class MirrorClient(ScriptedClient12):
        def finished(self) -> Any:
            return Finished(self.verify_data("server"))

    client_refuses(Fault.BAD_FINISHED, kind=MirrorServer)
    server_refuses(Fault.BAD_FINISHED, kind=MirrorClient)


def test_finished_that_comes_back(client_refuses: ClientRefuses) -> None:
    """The client's own Finished, word for word."""

    class Echo(ScriptedServer12):
        def receive(self, raw: bytes) -> None:
            if raw[0] == 20:
                self.echo = raw
            super().receive(raw)

        def finished(self) -> Any:
            return self.echo

    client_refuses(Fault.BAD_FINISHED, kind=Echo)


def test_finished_of_another_transcript(
    client_refuses: ClientRefuses, server_refuses: ServerRefuses
) -> None:
    """The keys are right, and some message was another one for the peer."""

    class OtherServer(ScriptedServer12):
        def after_change_cipher_spec(self) -> None:
            super().after_change_cipher_spec()
            self.transcript.add(b"\0\0\0\0")

    class OtherClient(ScriptedClient12):
        def after_change_cipher_spec(self) -> None:
            super().after_change_cipher_spec()
            self.transcript.add(b"\0\0\0\0")

    client_refuses(Fault.BAD_FINISHED, kind=OtherServer)
    server_refuses(Fault.BAD_FINISHED, kind=OtherClient)


def test_secret_without_the_extended_master_secret(server_refuses: ServerRefuses) -> None:
    """Agreed upon, it must be used: the other secret is as wrong as any."""

    class Old(ScriptedClient12):
        def derive_keys(self) -> None:
            self.extended = False
            super().derive_keys()

    server_refuses(Fault.BAD_RECORD_MAC, kind=Old)
