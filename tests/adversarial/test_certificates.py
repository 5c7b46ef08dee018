"""Peers that misuse what comes along with certificates, or show the wrong ones."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.adversarial.conftest import ClientRefuses, ServerRefuses
from tests.pki import MUST_STAPLE, Leaf, Pki, key_of_type, key_pem

from handclasp import (
    CertificatePolicy,
    ClientAuth,
    ClientConfig,
    Credentials,
    Fault,
    Limits,
    ServerConfig,
)
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.describe import spki_pin
from handclasp.certificates.revocation import RevocationLists
from handclasp.certificates.transparency import CtLog
from handclasp.iana import ExtensionType as Ext
from handclasp.iana import SignatureSchemeCode
from handclasp.testing.deviations import with_extension
from handclasp.wire import extensions as ext
from handclasp.wire.messages import (
    Certificate,
    CertificateEntry,
    CertificateVerify,
    CompressedCertificate,
    write_message,
)

ZLIB, BROTLI = 1, 2


def spki(key_type: str = "ecdsa-p256") -> bytes:
    key = key_of_type(key_type).public_key()
    info: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return info


def judged(pki: Pki, **policy: Any) -> ClientConfig:
    return ClientConfig(trust=pki.trust, policy=CertificatePolicy(**policy))


# What the policy adds


def stapled(response: bytes) -> Any:
    def deviation(message: Certificate) -> Certificate:
        extensions = {int(Ext.STATUS_REQUEST): ext.write_certificate_status(response)}
        leaf = replace(message.certificate_list[0], extensions=extensions)
        return replace(message, certificate_list=(leaf, *message.certificate_list[1:]))

    return deviation


def leaf_of(credentials: Any) -> x509.Certificate:
    return x509.load_der_x509_certificate(credentials.chain_der[0])


def test_a_revoked_certificate_with_the_proof_of_it(
    pki: Pki, client_refuses: ClientRefuses
) -> None:
    credentials = pki.server("localhost")
    response = pki.ocsp_response(leaf_of(credentials), "revoked")
    fault = Fault.CERTIFICATE_REVOKED
    client_refuses(fault, credentials=credentials, certificate=stapled(response))


@pytest.mark.parametrize("response", [b"0", b"no OCSP response"])
def test_a_staple_that_is_none(client_refuses: ClientRefuses, response: bytes) -> None:
    client_refuses(Fault.BAD_OCSP_RESPONSE, certificate=stapled(response))


def test_a_staple_of_last_month(pki: Pki, client_refuses: ClientRefuses) -> None:
    credentials = pki.server("localhost")
    old = pki.now - timedelta(days=30)
    response = pki.ocsp_response(leaf_of(credentials), this_update=old)
    fault = Fault.BAD_OCSP_RESPONSE
    client_refuses(fault, credentials=credentials, certificate=stapled(response))


def test_a_staple_about_somebody_else(pki: Pki, client_refuses: ClientRefuses) -> None:
    response = pki.ocsp_response(leaf_of(pki.server("other.example")))
    client_refuses(Fault.BAD_OCSP_RESPONSE, certificate=stapled(response))


def test_must_staple_without_a_staple(pki: Pki, client_refuses: ClientRefuses) -> None:
    credentials = pki.credentials(Leaf(extensions=[MUST_STAPLE]))
    client_refuses(Fault.OCSP_RESPONSE_MISSING, credentials=credentials)


def test_a_malformed_certificate_status(client_refuses: ClientRefuses) -> None:
    def deviation(data: bytes) -> Any:
        def change(message: Certificate) -> Certificate:
            leaf = replace(message.certificate_list[0], extensions={Ext.STATUS_REQUEST: data})
            return replace(message, certificate_list=(leaf, *message.certificate_list[1:]))

        return change

    for data in (b"", b"\1", b"\1\0\0\0", b"\1\0\0\2x", b"\1\0\0\1xy"):
        client_refuses(Fault.DECODE_ERROR, certificate=deviation(data))
    client_refuses(Fault.ILLEGAL_VALUE, certificate=deviation(b"\2\0\0\1x"))


def test_a_malformed_request_for_a_staple(pki: Pki, server_refuses: ServerRefuses) -> None:
    credentials = pki.server("localhost")
    response = pki.ocsp_response(leaf_of(credentials))
    config = ServerConfig(credentials=credentials.with_staple(response))
    for data in (b"", b"\1", b"\1\0\0", b"\1\0\0\0\0x"):
        hello = with_extension(Ext.STATUS_REQUEST, data)
        server_refuses(Fault.DECODE_ERROR, config=config, first_hello=hello)


def test_what_a_server_did_not_ask_of_a_client(
    pki: Pki, asking_config: ServerConfig, server_refuses: ServerRefuses
) -> None:
    client = pki.client()
    for kind in (Ext.STATUS_REQUEST, Ext.SIGNED_CERTIFICATE_TIMESTAMP):
        entry = CertificateEntry(client.chain_der[0], {kind: b"anything"})
        server_refuses(
            Fault.UNSOLICITED_EXTENSION,
            config=asking_config,
            credentials=client,
            certificate=Certificate(b"", (entry,)),
        )


def test_no_list_covers_the_certificate(pki: Pki, client_refuses: ClientRefuses) -> None:
    other = Pki("another root").crl().public_bytes(Encoding.DER)
    config = judged(pki, crls=RevocationLists.from_bytes(other))
    client_refuses(Fault.REVOCATION_UNKNOWN, config=config)


def test_a_client_on_the_list(pki: Pki, server_refuses: ServerRefuses) -> None:
    client = pki.client()
    lists = RevocationLists.from_bytes(pki.crl([leaf_of(client)]).public_bytes(Encoding.DER))
    config = ServerConfig(
        credentials=pki.server(),
        client_auth=ClientAuth.REQUIRED,
        trust=pki.trust,
        policy=CertificatePolicy(crls=lists),
    )
    server_refuses(Fault.CERTIFICATE_REVOKED, config=config, credentials=client)


def test_another_key_than_pinned(pki: Pki, client_refuses: ClientRefuses) -> None:
    pin = spki_pin(key_of_type("ecdsa-p384").public_key())
    client_refuses(Fault.PIN_MISMATCH, config=judged(pki, pins=[pin]))


def test_another_certificate_than_published(pki: Pki, client_refuses: ClientRefuses) -> None:
    record = TlsaRecord(3, 1, 1, bytes(32))
    client_refuses(Fault.TLSA_MISMATCH, config=judged(pki, tlsa=[record]))


def test_a_certificate_that_no_log_knows(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = judged(pki, ct_logs=[CtLog.from_public_key(spki("rsa-2048"))])
    client_refuses(Fault.TIMESTAMPS_MISSING, config=config)


# Raw public keys


RAW = with_extension(Ext.SERVER_CERTIFICATE_TYPE, ext.write_selected_certificate_type(2))


def raw_certificate(*keys: bytes) -> Certificate:
    return Certificate(b"", tuple(CertificateEntry(key, {}) for key in keys))


def test_a_raw_key_that_nobody_expects(client_refuses: ClientRefuses) -> None:
    config = ClientConfig(raw_public_keys=[spki("ecdsa-p384")])
    client_refuses(
        Fault.UNKNOWN_RAW_PUBLIC_KEY,
        config=config,
        encrypted_extensions=RAW,
        certificate=raw_certificate(spki()),
    )


def test_a_raw_key_is_one(client_refuses: ClientRefuses) -> None:
    config = ClientConfig(raw_public_keys=[spki()])
    for certificate, fault in (
        (raw_certificate(spki(), spki()), Fault.ILLEGAL_VALUE),
        (raw_certificate(), Fault.EMPTY_SERVER_CERTIFICATE),
        (raw_certificate(b"no key"), Fault.BAD_CERTIFICATE),
    ):
        client_refuses(fault, config=config, encrypted_extensions=RAW, certificate=certificate)


def test_an_expected_raw_key_of_somebody_else(client_refuses: ClientRefuses) -> None:
    """The peer knows the public key, as everybody does; its own is another."""
    key = key_of_type("ecdsa-p256", number=50).public_key()
    other = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    client_refuses(
        Fault.BAD_SIGNATURE,
        config=ClientConfig(raw_public_keys=[other]),
        encrypted_extensions=RAW,
        certificate=raw_certificate(other),
    )


def test_a_raw_key_without_its_proof(client_refuses: ClientRefuses) -> None:
    client_refuses(
        Fault.UNEXPECTED_MESSAGE,
        config=ClientConfig(raw_public_keys=[spki()]),
        encrypted_extensions=RAW,
        certificate=raw_certificate(spki()),
        order=("server_hello", "encrypted_extensions", "certificate", "finished"),
    )


def test_a_certificate_where_a_raw_key_was_agreed(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(raw_public_keys=[spki()])
    client_refuses(Fault.BAD_CERTIFICATE, config=config, encrypted_extensions=RAW)


def test_a_certificate_type_that_was_not_offered(pki: Pki, client_refuses: ClientRefuses) -> None:
    client_refuses(Fault.UNSOLICITED_EXTENSION, encrypted_extensions=RAW)
    config = ClientConfig(raw_public_keys=[spki()])
    for selected in (0, 1, 255):
        data = ext.write_selected_certificate_type(selected)
        deviation = with_extension(Ext.SERVER_CERTIFICATE_TYPE, data)
        client_refuses(Fault.ILLEGAL_VALUE, config=config, encrypted_extensions=deviation)


def test_a_server_that_ignores_the_wish_for_a_raw_key(client_refuses: ClientRefuses) -> None:
    config = ClientConfig(raw_public_keys=[spki()])
    client_refuses(Fault.NO_SHARED_CERTIFICATE_TYPE, config=config)


def test_a_client_that_takes_raw_keys_only(server_refuses: ServerRefuses) -> None:
    types = ext.write_certificate_types([2])
    server_refuses(
        Fault.NO_SHARED_CERTIFICATE_TYPE,
        first_hello=with_extension(Ext.SERVER_CERTIFICATE_TYPE, types),
    )


def test_a_client_that_has_no_key_of_the_right_type(
    pki: Pki, server_refuses: ServerRefuses
) -> None:
    config = ServerConfig(
        credentials=pki.server(), client_auth=ClientAuth.REQUIRED, raw_public_keys=[spki()]
    )
    server_refuses(Fault.NO_SHARED_CERTIFICATE_TYPE, config=config)


def raw_client(key_type: str = "ecdsa-p256") -> dict[str, Any]:
    """The script of a client that offers its raw key, and shows it."""
    return {
        "credentials": Credentials.raw_public_key(key_pem(key_of_type(key_type))),
        "extensions": {Ext.CLIENT_CERTIFICATE_TYPE: ext.write_certificate_types([2])},
    }


@pytest.fixture(scope="session")
def expecting(pki: Pki) -> ServerConfig:
    """A server that wants one raw key of its clients."""
    return ServerConfig(
        credentials=pki.server("localhost"),
        client_auth=ClientAuth.REQUIRED,
        raw_public_keys=[spki()],
    )


def test_a_client_with_its_raw_key(expecting: ServerConfig, meet_client: Any) -> None:
    encounter = meet_client(config=expecting, **raw_client())
    assert encounter.error is None
    assert encounter.connection.info.peer_chain_der == (spki(),)


def test_a_client_with_another_raw_key(
    expecting: ServerConfig, server_refuses: ServerRefuses
) -> None:
    fault = Fault.UNKNOWN_RAW_PUBLIC_KEY
    server_refuses(fault, config=expecting, **raw_client("ecdsa-p384"))


def test_a_client_that_shows_a_key_of_somebody_else(
    expecting: ServerConfig, server_refuses: ServerRefuses
) -> None:
    script = raw_client("ecdsa-p384") | {"certificate": raw_certificate(spki())}
    server_refuses(Fault.WRONG_SIGNATURE_SCHEME_FOR_KEY, config=expecting, **script)
    of_another = key_of_type("ecdsa-p256", number=50).sign(b"", ec.ECDSA(SHA256()))
    verify = CertificateVerify(SignatureSchemeCode.ecdsa_secp256r1_sha256, of_another)
    server_refuses(Fault.BAD_SIGNATURE, config=expecting, certificate_verify=verify, **raw_client())


@pytest.mark.parametrize(
    "order", [("certificate", "finished"), ("certificate_verify", "finished"), ("finished",)]
)
def test_a_client_that_leaves_out_a_part_of_its_proof(
    expecting: ServerConfig, server_refuses: ServerRefuses, order: tuple[str, ...]
) -> None:
    server_refuses(Fault.UNEXPECTED_MESSAGE, config=expecting, order=order, **raw_client())


def test_a_clients_raw_key_is_one(expecting: ServerConfig, server_refuses: ServerRefuses) -> None:
    for certificate, fault in (
        (raw_certificate(spki(), spki()), Fault.ILLEGAL_VALUE),
        (raw_certificate(), Fault.CLIENT_CERTIFICATE_MISSING),
        (raw_certificate(b"no key"), Fault.BAD_CERTIFICATE),
    ):
        server_refuses(fault, config=expecting, certificate=certificate, **raw_client())


def test_malformed_lists_of_types(server_refuses: ServerRefuses) -> None:
    for kind in (Ext.SERVER_CERTIFICATE_TYPE, Ext.CLIENT_CERTIFICATE_TYPE):
        for data in (b"", b"\0", b"\2\0", b"\1\0\0"):
            server_refuses(Fault.DECODE_ERROR, first_hello=with_extension(kind, data))


# Compression


def packed(pki: Pki, **changes: Any) -> CompressedCertificate:
    chain = tuple(CertificateEntry(der, {}) for der in pki.server("localhost").chain_der)
    body = write_message(Certificate(b"", chain))[4:]
    message = CompressedCertificate(ZLIB, len(body), zlib.compress(body))
    return replace(message, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"uncompressed_length": 10},
        {"uncompressed_length": 2**24 - 1},
        {"uncompressed_length": 0},
        {"compressed_certificate_message": b"rubbish"},
        {"compressed_certificate_message": zlib.compress(bytes(16 << 20))},
        {"algorithm": BROTLI},
    ],
)
def test_compression_that_does_not_hold(
    pki: Pki, client_refuses: ClientRefuses, changes: dict[str, Any]
) -> None:
    client_refuses(Fault.BAD_COMPRESSED_CERTIFICATE, certificate=packed(pki, **changes))


def test_compression_in_an_algorithm_that_was_not_offered(
    pki: Pki, client_refuses: ClientRefuses
) -> None:
    client_refuses(Fault.ILLEGAL_VALUE, certificate=packed(pki, algorithm=9))
    config = ClientConfig(trust=pki.trust, certificate_compression=["brotli"])
    client_refuses(Fault.ILLEGAL_VALUE, config=config, certificate=packed(pki))


def test_compression_that_nobody_asked_for(pki: Pki, client_refuses: ClientRefuses) -> None:
    config = ClientConfig(trust=pki.trust, certificate_compression=())
    client_refuses(Fault.ILLEGAL_VALUE, config=config, certificate=packed(pki))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"uncompressed_length": 2**24 - 1}, Fault.BAD_COMPRESSED_CERTIFICATE),
        (
            {"compressed_certificate_message": zlib.compress(bytes(16 << 20))},
            Fault.BAD_COMPRESSED_CERTIFICATE,
        ),
        ({"compressed_certificate_message": b""}, Fault.DECODE_ERROR),
        ({"algorithm": 9}, Fault.ILLEGAL_VALUE),
    ],
)
def test_compression_of_a_client(
    pki: Pki,
    asking_config: ServerConfig,
    server_refuses: ServerRefuses,
    changes: dict[str, Any],
    fault: Fault,
) -> None:
    server_refuses(
        fault, config=asking_config, credentials=pki.client(), certificate=packed(pki, **changes)
    )


def test_compression_does_not_stand_in_for_the_proof(
    pki: Pki, client_refuses: ClientRefuses
) -> None:
    order = ("server_hello", "encrypted_extensions", "certificate", "finished")
    client_refuses(Fault.UNEXPECTED_MESSAGE, certificate=packed(pki), order=order)


def test_what_was_signed_is_the_compressed_message(pki: Pki, meet_server: Any) -> None:
    """The scripted server's transcript holds what it sent, so a signature over that is right."""
    encounter = meet_server(certificate=packed(pki))
    assert encounter.error is None
    assert encounter.connection.info.certificate_compression == "zlib"


def test_what_is_inflated_counts_as_a_certificate(pki: Pki, client_refuses: ClientRefuses) -> None:
    message = packed(pki)
    limits = Limits(max_certificate_bytes=message.uncompressed_length - 1)
    config = ClientConfig(trust=pki.trust, limits=limits)
    client_refuses(Fault.BAD_COMPRESSED_CERTIFICATE, config=config, certificate=message)


def test_what_is_inflated_is_read_as_strictly(pki: Pki, client_refuses: ClientRefuses) -> None:
    rubbish = packed(
        pki, uncompressed_length=5, compressed_certificate_message=zlib.compress(b"\0\0\0\0\0")
    )
    client_refuses(Fault.DECODE_ERROR, certificate=rubbish)


def test_a_malformed_list_of_algorithms(server_refuses: ServerRefuses) -> None:
    for data in (b"", b"\0", b"\1\0", b"\3\0\1\0"):
        server_refuses(
            Fault.DECODE_ERROR, first_hello=with_extension(Ext.COMPRESS_CERTIFICATE, data)
        )
