"""Strategies for the values on the wire, shared by the tests of the codecs."""

from __future__ import annotations

from hypothesis import strategies as st

from handclasp.wire.messages import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    CompressedCertificate,
    EncryptedExtensions,
    EndOfEarlyData,
    Finished,
    KeyUpdate,
    Message,
    NewSessionTicket,
    ServerHello,
)

uint8 = st.integers(0, 0xFF)
uint16 = st.integers(0, 0xFFFF)
uint32 = st.integers(0, 0xFFFF_FFFF)
random = st.binary(min_size=32, max_size=32)
session_id = st.binary(max_size=32)
extensions = st.dictionaries(uint16, st.binary(max_size=20), max_size=6)

client_hellos = st.builds(
    ClientHello,
    legacy_version=uint16,
    random=random,
    legacy_session_id=session_id,
    cipher_suites=st.lists(uint16, min_size=1, max_size=8).map(tuple),
    legacy_compression_methods=st.binary(min_size=1, max_size=4),
    extensions=extensions,
    raw=st.just(b""),
)
server_hellos = st.builds(
    ServerHello,
    legacy_version=uint16,
    random=random,
    legacy_session_id_echo=session_id,
    cipher_suite=uint16,
    legacy_compression_method=uint8,
    extensions=extensions,
    raw=st.just(b""),
)
encrypted_extensions = st.builds(EncryptedExtensions, extensions, raw=st.just(b""))
certificate_requests = st.builds(
    CertificateRequest,
    certificate_request_context=st.binary(max_size=255),
    extensions=extensions.filter(bool),
    raw=st.just(b""),
)
certificates = st.builds(
    Certificate,
    certificate_request_context=st.binary(max_size=255),
    certificate_list=st.lists(
        st.builds(CertificateEntry, st.binary(min_size=1, max_size=40), extensions), max_size=4
    ).map(tuple),
    raw=st.just(b""),
)
compressed_certificates = st.builds(
    CompressedCertificate,
    algorithm=uint16,
    uncompressed_length=st.integers(0, 0xFF_FFFF),
    compressed_certificate_message=st.binary(min_size=1, max_size=60),
    raw=st.just(b""),
)
certificate_verifies = st.builds(
    CertificateVerify, algorithm=uint16, signature=st.binary(max_size=80), raw=st.just(b"")
)
finisheds = st.builds(Finished, verify_data=st.binary(max_size=64), raw=st.just(b""))
ends_of_early_data = st.just(EndOfEarlyData())
new_session_tickets = st.builds(
    NewSessionTicket,
    ticket_lifetime=uint32,
    ticket_age_add=uint32,
    ticket_nonce=st.binary(max_size=255),
    ticket=st.binary(min_size=1, max_size=60),
    extensions=extensions,
    raw=st.just(b""),
)
key_updates = st.builds(KeyUpdate, request_update=st.booleans(), raw=st.just(b""))

messages: st.SearchStrategy[Message] = st.one_of(
    client_hellos,
    server_hellos,
    encrypted_extensions,
    certificate_requests,
    certificates,
    compressed_certificates,
    certificate_verifies,
    finisheds,
    ends_of_early_data,
    new_session_tickets,
    key_updates,
)
