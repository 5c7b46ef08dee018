"""The system's authorities: where they are looked for, and that nothing is parsed too soon."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.pki import Pki, der_of

from handclasp import ClientConfig
from handclasp.certificates import system_trust, trust
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


class TestSystem:
    def test_takes_the_first_bundle_there_is(
        self, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(BROKEN + pki.ca_pem * 2 + BROKEN)
        monkeypatch.setattr(system_trust, "SYSTEM_FILES", (str(tmp_path / "nowhere"), str(bundle)))
        store = TrustStore.system()
        assert store.anchors == {pki.certificate}
        assert TrustStore.system() is store

    def test_parses_only_when_needed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(BROKEN)
        monkeypatch.setattr(system_trust, "SYSTEM_FILES", (str(bundle),))
        store = TrustStore.system()
        with pytest.raises(ConfigurationError, match="No trusted certificate"):
            _ = store.anchors

    def test_a_config_parses_nothing(
        self, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(pki.ca_pem)
        monkeypatch.setattr(system_trust, "SYSTEM_FILES", (str(bundle),))
        parsed: list[bytes] = []
        parse = x509.load_der_x509_certificate

        def counted(data: bytes) -> x509.Certificate:
            parsed.append(data)
            return parse(data)

        monkeypatch.setattr(x509, "load_der_x509_certificate", counted)
        configs = [ClientConfig(trust=TrustStore.system()) for _ in range(3)]
        added = TrustStore.system().with_added(pki.trust)
        ClientConfig(trust=added)
        assert parsed == []
        for config in configs:
            assert config.trust is not None
            assert config.trust.anchors == config.trust.vetted == {pki.certificate}
            assert config.trust.store is configs[0].trust.store  # type: ignore[union-attr]
        assert len(parsed) == 1
        assert added.anchors == {pki.certificate}
        assert len(parsed) == 1

    def test_added_anchors_are_not_vetted(
        self, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(pki.ca_pem)
        monkeypatch.setattr(system_trust, "SYSTEM_FILES", (str(bundle),))
        own = Pki("my own")
        assert own.trust.vetted == set()
        for both in (
            TrustStore.system().with_added(own.ca_pem),
            own.trust.with_added(TrustStore.system()),
        ):
            assert both.anchors == {pki.certificate, own.certificate}
            assert both.vetted == {pki.certificate}

    def test_takes_a_directory_where_there_is_no_bundle(
        self, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        empty, full = tmp_path / "empty", tmp_path / "full"
        empty.mkdir()
        full.mkdir()
        stranger = Pki("a server's own certificate")
        (full / "0123abcd.0").write_bytes(b"some text first\n" + pki.ca_pem)
        (full / "0123abcd.1").write_bytes(BROKEN)
        (full / "00000000.0").mkdir()
        (full / "localhost.crt").write_bytes(stranger.ca_pem)
        places = (str(tmp_path / "nowhere"), str(empty), str(full))
        monkeypatch.setattr(system_trust, "SYSTEM_FILES", ())
        monkeypatch.setattr(system_trust, "SYSTEM_DIRECTORIES", places)
        store = TrustStore.system()
        assert store.anchors == store.vetted == {pki.certificate}
        assert str(full) in store.source

    def test_windows(self, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
        others = [der_of(Pki(name).certificate)[0] for name in ("mail only", "second")]
        server, mail = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.4"

        def enumerate_certificates(store: str) -> list[tuple[bytes, str, Any]]:
            assert store == "ROOT"
            return [
                (der_of(pki.certificate)[0], "x509_asn", True),
                (others[0], "x509_asn", {mail}),
                (others[1], "x509_asn", {mail, server}),
                (b"not a certificate", "x509_asn", True),
                (b"several", "pkcs_7_asn", True),
            ]

        monkeypatch.setattr(ssl, "enum_certificates", enumerate_certificates, raising=False)
        monkeypatch.setattr("sys.platform", "win32")
        store = TrustStore.system()
        assert {der_of(anchor)[0] for anchor in store.anchors} == {
            der_of(pki.certificate)[0],
            others[1],
        }
        assert store.vetted == store.anchors

    def test_windows_without_any(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ssl, "enum_certificates", lambda store: [], raising=False)
        monkeypatch.setattr("sys.platform", "win32")
        store = TrustStore.system()
        with pytest.raises(ConfigurationError, match="store of Windows"):
            _ = store.anchors

    def test_falls_back_to_certifi(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        certifi = pytest.importorskip("certifi", reason="certifi is optional")
        monkeypatch.setattr(system_trust, "SYSTEM_FILES", ())
        monkeypatch.setattr(system_trust, "SYSTEM_DIRECTORIES", ())
        store = TrustStore.system()
        assert certifi.where() in store.source
        assert len(store.anchors) > 50
        assert store.vetted == store.anchors

    def test_nothing_at_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(system_trust, "SYSTEM_FILES", ())
        monkeypatch.setattr(system_trust, "SYSTEM_DIRECTORIES", ())
        monkeypatch.setattr(system_trust, "_certifi_file", lambda: None)
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
