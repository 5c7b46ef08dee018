"""Trust anchors out of files and bytes: what a user names must be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pki import Pki, der_of, key_of_type, key_pem, pem_of

from handclasp.certificates.trust import TrustStore
from handclasp.errors import ConfigurationError

BROKEN = b"-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"


def test_repeated_certificates_count_once(pki: Pki) -> None:
    assert len(TrustStore.from_pem(pki.ca_pem * 2).anchors) == 1


def test_explicit_files_must_be_right(pki: Pki, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.pem"):
        TrustStore.from_pem(tmp_path / "nowhere.pem")
    with pytest.raises(ConfigurationError, match="Cannot read"):
        TrustStore.from_pem(tmp_path)
    for empty in (b"", b"nothing here"):
        with pytest.raises(ConfigurationError, match="there is none in it"):
            TrustStore.from_pem(empty)
    with pytest.raises(ConfigurationError, match="Certificate 2 of 2"):
        TrustStore.from_pem(pki.ca_pem + BROKEN)
    with pytest.raises(ConfigurationError):
        TrustStore.from_certificates([])


def test_der_is_told_from_pem(pki: Pki, tmp_path: Path) -> None:
    (der,) = der_of(pki.certificate)
    (tmp_path / "ca.der").write_bytes(der)
    for store in (
        TrustStore.from_pem(der),
        TrustStore.from_pem(tmp_path / "ca.der"),
        TrustStore.from_der(der),
        TrustStore.from_files(tmp_path / "ca.der"),
        Pki("another").trust.with_added(der),
    ):
        assert pki.certificate in store.anchors
    other = Pki("another").certificate
    assert TrustStore.from_der(der, *der_of(other)).anchors == {pki.certificate, other}
    with pytest.raises(ConfigurationError, match="cannot be read"):
        TrustStore.from_pem(der[:-1])
    with pytest.raises(ConfigurationError, match="at least one"):
        TrustStore.from_der()


class TestFromFiles:
    def test_files_and_directories(self, pki: Pki, tmp_path: Path) -> None:
        certificates = [Pki(name).certificate for name in ("one", "two", "three")]
        place = tmp_path / "place"
        place.mkdir()
        (place / "one.PEM").write_bytes(pem_of(certificates[0]))
        (place / "two.der").write_bytes(der_of(certificates[1])[0])
        (place / "0123abcd.0").write_bytes(pem_of(certificates[2]))
        (place / "key.pem").write_bytes(key_pem(key_of_type("ecdsa-p256")))
        (place / "README").write_bytes(BROKEN)
        (tmp_path / "ca.pem").write_bytes(pki.ca_pem)
        store = TrustStore.from_files(place, str(tmp_path / "ca.pem"))
        assert store.anchors == {pki.certificate, *certificates}
        assert str(place) in store.source

    def test_what_is_named_must_be_right(self, pki: Pki, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="at least one file"):
            TrustStore.from_files()
        with pytest.raises(ConfigurationError, match=r"nowhere\.pem"):
            TrustStore.from_files(tmp_path / "nowhere.pem")
        with pytest.raises(ConfigurationError, match="there is none in it"):
            TrustStore.from_files(tmp_path)
        (tmp_path / "good.pem").write_bytes(pki.ca_pem)
        (tmp_path / "bad.pem").write_bytes(BROKEN)
        with pytest.raises(ConfigurationError, match=r"bad\.pem cannot be read"):
            TrustStore.from_files(tmp_path)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x30", BROKEN[:27], BROKEN[:40]]))
def test_no_bytes_raise_anything_else(data: bytes, start: bytes) -> None:
    for load in (TrustStore.from_pem, TrustStore.from_der):
        with pytest.raises(ConfigurationError):
            load(start + data)


def test_a_name_that_cannot_be_read_is_told_at_once(pki: Pki) -> None:
    # The parser takes it; only who asks for the name would find out.
    (der,) = der_of(pki.certificate)
    printable_name, broken_name = b"\x0c\x09test root", b"\x0c\x09te\xff\xff root"
    assert der.count(printable_name) == 2
    with pytest.raises(ConfigurationError, match="cannot be read"):
        TrustStore.from_pem(der.replace(printable_name, broken_name))
