"""What is read in DER by hand here agrees with what others read there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.pki import KEY_TYPES, Leaf, Pki, key_of_type

from handclasp.certificates.der import octet_string, public_key_info


@pytest.mark.parametrize("key_type", sorted(KEY_TYPES))
def test_the_public_key_info_is_that_of_the_key(pki: Pki, key_type: str) -> None:
    key = key_of_type(key_type).public_key()
    written = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public_key_info(pki.issue(Leaf(), key)) == written


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_it_is_the_one_in_the_certificate_and_not_written_anew(tmp_path: Path) -> None:
    def openssl(command: str, given: bytes = b"") -> bytes:
        arguments = ["openssl", *command.split()]
        run = subprocess.run(arguments, check=True, capture_output=True, cwd=tmp_path, input=given)
        return run.stdout

    openssl("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out key.pem")
    pem = openssl("req -x509 -key key.pem -subj /CN=x")
    expected = openssl("pkey -pubin -outform DER", openssl("x509 -noout -pubkey", pem))
    certificate = x509.load_pem_x509_certificate(pem)
    assert public_key_info(certificate) == expected
    anew = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert anew != expected


@given(st.integers(0, 70_000))
def test_octet_strings_of_any_length(size: int) -> None:
    length = size.to_bytes((size.bit_length() + 7) // 8 or 1, "big")
    head = bytes((size,)) if size < 0x80 else bytes((0x80 + len(length),)) + length
    assert octet_string(b"\x04" + head + bytes(size)) == bytes(size)
