"""Trust stores: where anchors come from, and what is an error where."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.pki import Pki, der_of, pem_of

from handclasp.certificates import trust
from handclasp.certificates.trust import TrustStore
from handclasp.errors import ConfigurationError

BROKEN = b"-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    trust._system.cache_clear()
    yield
    trust._system.cache_clear()


def test_from_pem(pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(b"a comment\n" + pki.ca_pem)
    for store in (TrustStore.from_pem(path), TrustStore.from_pem(str(path))):
        assert store.anchors == {pki.certificate}
        assert store.subjects() == (pki.certificate.subject.public_bytes(),)
        assert str(path) in repr(store)
    assert TrustStore.from_pem(pki.ca_pem).anchors == {pki.certificate}


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


def test_fingerprint_names_the_set() -> None:
    one, two = Pki("one").certificate, Pki("two").certificate
    together = TrustStore.from_pem(pem_of(one, two))
    assert together.fingerprint == TrustStore.from_certificates([two, one, two]).fingerprint
    assert together.fingerprint != TrustStore.from_certificates([one]).fingerprint
    (der,) = der_of(one)
    expected = hashlib.sha256(hashlib.sha256(der).digest()).digest()
    assert TrustStore.from_certificates([one]).fingerprint == expected


def test_with_added_leaves_the_first_alone(pki: Pki) -> None:
    other = Pki("another")
    for more in (other.trust, other.ca_pem):
        both = pki.trust.with_added(more)
        assert both.anchors == {pki.certificate, other.certificate}
        assert pki.trust.anchors == {pki.certificate}
        assert both.remembered is not pki.trust.remembered


class TestSystem:
    def test_takes_the_first_bundle_there_is(
        self, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(BROKEN + pki.ca_pem * 2 + BROKEN)
        monkeypatch.setattr(trust, "SYSTEM_FILES", (str(tmp_path / "nowhere"), str(bundle)))
        store = TrustStore.system()
        assert store.anchors == {pki.certificate}
        assert TrustStore.system() is store

    def test_parses_only_when_needed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(BROKEN)
        monkeypatch.setattr(trust, "SYSTEM_FILES", (str(bundle),))
        store = TrustStore.system()
        with pytest.raises(ConfigurationError, match="No trusted certificate"):
            _ = store.anchors

    def test_falls_back_to_certifi(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        certifi = pytest.importorskip("certifi", reason="certifi is optional")
        monkeypatch.setattr(trust, "SYSTEM_FILES", ())
        store = TrustStore.system()
        assert certifi.where() in store.source
        assert len(store.anchors) > 50

    def test_nothing_at_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trust, "SYSTEM_FILES", ())
        monkeypatch.setattr(trust, "_certifi_file", lambda: None)
        with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
            TrustStore.system()

    def test_environment_goes_first(
        self, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other, third = Pki("another"), Pki("a third")
        (tmp_path / "file.pem").write_bytes(pki.ca_pem)
        for name, authority in (("d1", other), ("d2", third)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "0123abcd.0").write_bytes(authority.ca_pem)
            (tmp_path / name / "README").write_bytes(b"no certificate")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "file.pem"))
        only_file = TrustStore.system()
        assert only_file.anchors == {pki.certificate}
        monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([f"{tmp_path}/d1", f"{tmp_path}/d2"]))
        both = TrustStore.system()
        assert both is not only_file
        assert both.anchors == {pki.certificate, other.certificate, third.certificate}

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
    def test_environment_that_names_nothing(
        self, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
        with pytest.raises(ConfigurationError, match=variable):
            TrustStore.system()
