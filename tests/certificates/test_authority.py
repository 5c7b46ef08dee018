"""The local authority: private, made once, and its certificates please other verifiers."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.certificates.test_loading import TOO_SHORT_FOR_ITS_CURVE
from tests.pki import Pki, key_pem
from tests.required import need_tool
from tests.thief import Thief

from handclasp.certificates.alternative_names import AlternativeNames, alternative_names
from handclasp.certificates.authority import (
    CERTIFICATE_FILE,
    KEY_FILE,
    KEY_TYPES,
    LocalAuthority,
    default_directory,
)
from handclasp.certificates.verify import verify_client_chain, verify_server_chain
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.testing import RootAuthority

posix = pytest.mark.skipif(os.name != "posix", reason="file modes mean something on POSIX only")
NAMES = ["localhost", "127.0.0.1", "::1", "*.dev.example", "bücher.example"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    return LocalAuthority.open_or_create(tmp_path_factory.mktemp("authority"))


def leaf_of(pem: bytes) -> x509.Certificate:
    (leaf,) = x509.load_pem_x509_certificates(pem)
    return leaf


class TestKeeping:
    def test_is_made_once(self, tmp_path: Path) -> None:
        place = tmp_path / "some" / "where"
        first = LocalAuthority.open_or_create(place)
        again = LocalAuthority.open_or_create(place)
        assert first.certificate_pem == again.certificate_pem
        assert (place / CERTIFICATE_FILE).read_bytes() == first.certificate_pem
        assert {entry.name for entry in place.iterdir()} == {CERTIFICATE_FILE, KEY_FILE}
        chain = again.credentials(["localhost"]).chain_der
        assert verify_server_chain(chain, first.trust, "localhost", datetime.now(UTC)).verified

    @posix
    def test_only_the_owner_can_read_the_key(self, tmp_path: Path) -> None:
        place = tmp_path / "ca"
        LocalAuthority.open_or_create(place)
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert stat.S_IMODE((place / KEY_FILE).stat().st_mode) == 0o600

    @posix
    @pytest.mark.parametrize("mask", [0, 0o002, 0o022])
    def test_nobody_else_can_rename_on_the_way(self, tmp_path: Path, mask: int) -> None:
        place = tmp_path / "some" / "where" / "ca"
        before = os.umask(mask)
        try:
            made = LocalAuthority.open_or_create(place)
            assert LocalAuthority.open_or_create(place).certificate_pem == made.certificate_pem
        finally:
            os.umask(before)
        place.parent.chmod(0o777)
        with pytest.raises(ConfigurationError, match=f"the directory {place.parent} on the way"):
            LocalAuthority.open_or_create(place)

    @posix
    def test_a_key_that_others_can_read_is_refused(self, tmp_path: Path) -> None:
        LocalAuthority.open_or_create(tmp_path)
        (tmp_path / KEY_FILE).chmod(0o644)
        with pytest.raises(ConfigurationError, match="chmod 600"):
            LocalAuthority.open_or_create(tmp_path)

    def test_two_at_once_agree(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(LocalAuthority.open_or_create, [tmp_path] * 16))
        assert len({authority.certificate_pem for authority in made}) == 1
        assert {entry.name for entry in tmp_path.iterdir()} == {CERTIFICATE_FILE, KEY_FILE}

    def test_the_copy_of_the_certificate_is_restored(self, tmp_path: Path) -> None:
        pem = LocalAuthority.open_or_create(tmp_path).certificate_pem
        for spoil in (Path.unlink, lambda path: path.write_bytes(b"other")):
            spoil(tmp_path / CERTIFICATE_FILE)
            assert LocalAuthority.open_or_create(tmp_path).certificate_pem == pem
            assert (tmp_path / CERTIFICATE_FILE).read_bytes() == pem

    def test_damaged(self, tmp_path: Path) -> None:
        LocalAuthority.open_or_create(tmp_path)
        pki = Pki()
        good = (tmp_path / KEY_FILE).read_bytes()
        for data in (
            b"",
            good[:300],
            key_pem(pki.key),
            pki.pem + good[: good.index(b"-----BEGIN C")],
            good[good.index(b"-----BEGIN C") :] + TOO_SHORT_FOR_ITS_CURVE,
        ):
            (tmp_path / KEY_FILE).write_bytes(data)
            with pytest.raises(ConfigurationError, match="damaged"):
                LocalAuthority.open_or_create(tmp_path)

    def test_expired(self, tmp_path: Path) -> None:
        pki = Pki(now=datetime.now(UTC) - timedelta(days=1000))
        (tmp_path / KEY_FILE).touch(mode=0o600)
        (tmp_path / KEY_FILE).write_bytes(key_pem(pki.key) + pki.pem)
        with pytest.raises(ConfigurationError, match="expired"):
            LocalAuthority.open_or_create(tmp_path)

    def test_a_place_that_cannot_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ConfigurationError, match="Cannot use the directory"):
            LocalAuthority.open_or_create(tmp_path / "file")

    def test_each_has_a_name_of_its_own(self, tmp_path: Path) -> None:
        names = [LocalAuthority.open_or_create(tmp_path / place).name for place in ("one", "two")]
        assert len(set(names)) == 2
        assert all(name.startswith("handclasp local authority ") for name in names)

    def test_repr_holds_no_key(self, authority: LocalAuthority) -> None:
        assert "PRIVATE" not in repr(authority) + repr(authority.issue(["localhost"]))


class TestIssuing:
    @pytest.mark.parametrize("key_type", [kind for kind in KEY_TYPES if kind != "rsa-4096"])
    def test_every_key_type_verifies(self, authority: LocalAuthority, key_type: str) -> None:
        chain = authority.credentials(NAMES, key_type=key_type).chain_der
        for name in ("localhost", "127.0.0.1", "::1", "x.dev.example", "bücher.example"):
            assert verify_server_chain(chain, authority.trust, name, datetime.now(UTC)).verified

    def test_client(self, authority: LocalAuthority) -> None:
        issued = authority.issue(["Jane Doe", "jane.example"], purpose="client")
        chain = issued.credentials().chain_der
        assert verify_client_chain(chain, authority.trust, datetime.now(UTC)).verified
        leaf = leaf_of(issued.chain_pem)
        (common_name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert common_name.value == "Jane Doe"

    @pytest.mark.parametrize("name", ["Alice", "Jane Doe", "Laptop.Example", "Zoë", "10.0.0.1"])
    def test_a_client_is_called_as_it_was_given(self, authority: LocalAuthority, name: str) -> None:
        leaf = leaf_of(authority.issue([name], purpose="client").chain_pem)
        (common_name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert common_name.value == name

    @pytest.mark.parametrize(
        ("name", "found"),
        [
            ("alice.test", AlternativeNames(dns=("alice.test",))),
            ("10.0.0.1", AlternativeNames(ip=("10.0.0.1",))),
            ("spiffe://x.test/alice?a=1", AlternativeNames(uri=("spiffe://x.test/alice?a=1",))),
            ("urn+x://a/" + "b" * 100, AlternativeNames(uri=("urn+x://a/" + "b" * 100,))),
            ("Alice.B@X.test", AlternativeNames(email=("Alice.B@x.test",))),
            ("alice", AlternativeNames()),
            ("Ada Lovelace", AlternativeNames()),
            ("ada@", AlternativeNames()),
            ("@ada", AlternativeNames()),
            ("a b@x.test", AlternativeNames()),
        ],
    )
    def test_what_a_client_is_called_is_an_alternative_name(
        self, authority: LocalAuthority, name: str, found: AlternativeNames
    ) -> None:
        issued = authority.issue([name], purpose="client")
        chain = issued.credentials().chain_der
        assert alternative_names(chain[0]) == found
        assert verify_client_chain(chain, authority.trust, datetime.now(UTC)).verified
        from_tests = RootAuthority().client(name)  # The authority for tests has the same rule.
        assert alternative_names(from_tests.chain_der[0]) == found

    @pytest.mark.parametrize("purpose", ["client", "server"])
    @pytest.mark.parametrize(
        ("before", "after", "words"),
        [(-9, -1, "expired"), (None, -1, "expired"), (1, None, "not valid yet"), (1, 9, "not")],
    )
    def test_one_that_is_not_valid_now(
        self,
        authority: LocalAuthority,
        purpose: Any,
        before: int | None,
        after: int | None,
        words: str,
    ) -> None:
        now = datetime.now(UTC)
        dates: dict[str, Any] = {
            name: now + timedelta(days=days)
            for name, days in (("not_before", before), ("not_after", after))
            if days is not None
        }
        issued = authority.issue(["alice.test"], purpose=purpose, **dates)
        leaf = leaf_of(issued.chain_pem)
        for name, time in dates.items():
            given = leaf.not_valid_before_utc if name == "not_before" else leaf.not_valid_after_utc
            assert given == time.replace(microsecond=0)
        with pytest.raises(CertificateError) as refused:
            chain = issued.credentials().chain_der
            if purpose == "client":
                verify_client_chain(chain, authority.trust, now)
            else:
                verify_server_chain(chain, authority.trust, "alice.test", now)
        assert words in str(refused.value)

    def test_days_before_an_end(self, authority: LocalAuthority) -> None:
        end = datetime.now(UTC) + timedelta(days=20)
        leaf = leaf_of(authority.issue(["a.test"], days=30, not_after=end).chain_pem)
        assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=30)
        leaf = leaf_of(authority.issue(["a.test"], not_after=end).chain_pem)
        assert leaf.not_valid_before_utc < datetime.now(UTC)

    def test_every_name_is_somewhere(self, authority: LocalAuthority) -> None:
        for names in (["alice.test", "Ada Lovelace"], ["alice.test", "bob"]):
            with pytest.raises(ConfigurationError):
                authority.issue(names, purpose="client")

    def test_a_server_is_called_by_its_normal_name(self, authority: LocalAuthority) -> None:
        leaf = leaf_of(authority.issue(["WWW.Example."]).chain_pem)
        (common_name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert common_name.value == "www.example"

    def test_what_browsers_want(self, authority: LocalAuthority) -> None:
        leaf = leaf_of(authority.issue(NAMES).chain_pem)
        now = datetime.now(UTC)
        assert timedelta(minutes=5) < now - leaf.not_valid_before_utc < timedelta(hours=1)
        assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=397)
        critical = {type(entry.value): entry.critical for entry in leaf.extensions}
        assert critical == {
            x509.BasicConstraints: True,
            x509.KeyUsage: True,
            x509.ExtendedKeyUsage: False,
            x509.SubjectKeyIdentifier: False,
            x509.AuthorityKeyIdentifier: False,
            x509.SubjectAlternativeName: False,
        }
        assert leaf.serial_number.bit_length() > 64
        assert leaf.serial_number != leaf_of(authority.issue(NAMES).chain_pem).serial_number

    def test_a_name_too_long_for_a_subject(self, authority: LocalAuthority) -> None:
        long_name = ".".join(["a" * 60, "b" * 60, "example"])
        leaf = leaf_of(authority.issue([long_name]).chain_pem)
        assert not list(leaf.subject)
        assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
        chain = authority.credentials([long_name]).chain_der
        assert verify_server_chain(chain, authority.trust, long_name, datetime.now(UTC)).verified

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"names": []}, "at least one name"),
            ({"names": "localhost"}, "list of"),
            ({"names": ["not a name"]}, "not a name"),
            ({"names": ["*.127.0.0.1"]}, "127.0.0.1"),
            ({"names": ["foo_bar.test"]}, "host names have no underscore"),
            ({"names": ["*.foo_bar.test"]}, "host names have no underscore"),
            ({"names": ["foo_bar.test"], "purpose": "client"}, "host names have no underscore"),
            ({"names": ["-foo.test"]}, "hyphen"),
            ({"names": ["x.foo-.test"]}, "hyphen"),
            ({"names": ["0.0.0.300"]}, "'0.0.0.300' is not an address"),
            ({"names": ["1.2.3"]}, "'1.2.3' is not an address"),
            ({"names": ["01.2.3.4"]}, "'01.2.3.4' is not an address"),
            ({"names": ["0x7f000001"]}, "is not an address"),
            ({"names": [""], "purpose": "client"}, "neither"),
            ({"names": ["spiffe://"], "purpose": "client"}, "no URI"),
            ({"names": ["spiffe://a b"], "purpose": "client"}, "no URI"),
            ({"names": ["spiffe://x.test/a"]}, "neither"),
            ({"names": ["a@x.test"]}, "neither"),
            ({"names": ["a"], "days": 398}, "397"),
            ({"names": ["a"], "days": 0}, "397"),
            ({"names": ["a"], "not_after": datetime(2026, 1, 1)}, "time zone"),
            ({"names": ["a"], "not_before": "2026-01-01"}, "time zone"),
            ({"names": ["a"], "not_before": datetime(1, 1, 1, tzinfo=UTC)}, "1970 to 2999"),
            ({"names": ["a"], "not_after": datetime(2900, 1, 1, tzinfo=UTC)}, "at most 397 days"),
            (
                {
                    "names": ["a"],
                    "not_before": datetime(2020, 1, 1, tzinfo=UTC),
                    "not_after": datetime(2022, 1, 1, tzinfo=UTC),
                },
                "at most 397 days",
            ),
            (
                {
                    "names": ["a"],
                    "not_before": datetime(2020, 1, 2, tzinfo=UTC),
                    "not_after": datetime(2020, 1, 1, tzinfo=UTC),
                },
                "2020-01-02 00:00 to 2020-01-01",
            ),
            (
                {
                    "names": ["a"],
                    "not_before": datetime(2020, 1, 1, tzinfo=UTC),
                    "days": 3,
                    "not_after": datetime(2020, 1, 2, tzinfo=UTC),
                },
                "days says how long",
            ),
            ({"names": ["a"], "key_type": "dsa"}, "key_type 'dsa'"),
        ],
    )
    def test_bad_requests(
        self, authority: LocalAuthority, arguments: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=words) as refused:
            authority.issue(**arguments)
        assert "--for" not in str(refused.value)  # No other authority could issue it, either.

    def test_openssl_agrees(self, authority: LocalAuthority, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
        (tmp_path / "leaf.pem").write_bytes(authority.issue(NAMES).chain_pem)
        verify = "openssl verify -x509_strict -purpose sslserver -verify_hostname x.dev.example"
        command = [*verify.split(), "-CAfile", "ca.pem", "leaf.pem"]
        need_tool("openssl")
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_the_ssl_module_agrees(self, authority: LocalAuthority, tmp_path: Path) -> None:
        issued = authority.issue(["localhost"])
        (tmp_path / "chain.pem").write_bytes(issued.chain_pem + issued.key_pem)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(tmp_path / "chain.pem")
        client = ssl.create_default_context(cadata=authority.certificate_pem.decode())
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        one, two, three, four = (ssl.MemoryBIO() for _ in range(4))
        near = client.wrap_bio(one, two, server_hostname="localhost")
        far = server.wrap_bio(three, four, server_side=True)
        for _ in range(4):
            for side, source, sink in ((near, two, three), (far, four, one)):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
                sink.write(source.read())
        assert near.version() == far.version() == "TLSv1.3"


class TestBounds:
    """A new authority is good for local names alone, and says so to everybody who trusts it."""

    STRANGE = ("www.bank.com", "example.com", "localhost.evil.com", "8.8.8.8", "2606:4700::1111")
    LOCAL = (
        "localhost", "app.localhost", "x.test", "*.dev.test", "db.internal", "printer.local",
        "nas.home.arpa", "x.example", "127.0.0.1", "127.255.0.9", "10.1.2.3", "172.31.0.1",
        "192.168.1.1", "169.254.9.9", "::1", "fd00::7", "fe80::1",
    )  # fmt: skip

    def test_local_names(self, authority: LocalAuthority) -> None:
        chain = authority.credentials(self.LOCAL).chain_der
        for name in self.LOCAL:
            asked = name.replace("*", "some")
            assert verify_server_chain(chain, authority.trust, asked, datetime.now(UTC)).verified

    @pytest.mark.parametrize("name", [*STRANGE, "*.com", "machine", "internals", "172.32.0.1"])
    def test_it_issues_for_no_others(self, authority: LocalAuthority, name: str) -> None:
        with pytest.raises(ConfigurationError, match="may not issue for") as refused:
            authority.issue(["localhost", name])
        assert "cert ca --for" in str(refused.value)

    @pytest.mark.parametrize("name", STRANGE)
    def test_with_its_key_nobody_is_anybody_else(
        self, authority: LocalAuthority, tmp_path: Path, name: str
    ) -> None:
        home = tmp_path / "ca"
        trust = LocalAuthority.open_or_create(home).trust
        for names in ([name], ["localhost", name]):
            issued = Thief.at(home).issue(names)
            for asked in names:
                with pytest.raises(CertificateError):
                    verify_server_chain(
                        issued.credentials().chain_der, trust, asked, datetime.now(UTC)
                    )
            assert not openssl_accepts(tmp_path, home, issued.chain_pem, names[0])
        good = Thief.at(home).issue(["localhost"])
        assert openssl_accepts(tmp_path, home, good.chain_pem, "localhost")

    @pytest.mark.parametrize("common_name", ["www.bank.com", "*.bank.com"])
    @pytest.mark.parametrize("alternatives", [(), ("x.test",)])
    def test_a_common_name_is_no_way_around_them(
        self, tmp_path: Path, common_name: str, alternatives: tuple[str, ...]
    ) -> None:
        # OpenSSL looks for the host's name there if subjectAltName has none, but compares it with
        # the constraints only if it has no wildcard: docs/decisions/0025.
        home = tmp_path / "ca"
        trust = LocalAuthority.open_or_create(home).trust
        leaf = Thief.at(home).leaf(common_name, alternatives)
        der = leaf.public_bytes(Encoding.DER)
        with pytest.raises(CertificateError):
            verify_server_chain([der], trust, "www.bank.com", datetime.now(UTC))
        pem = leaf.public_bytes(Encoding.PEM)
        assert not gnutls_accepts(tmp_path, home, pem, "www.bank.com")
        if alternatives or "*" not in common_name:
            assert not openssl_accepts(tmp_path, home, pem, "www.bank.com")

    def test_a_theft_ends_by_itself(self, authority: LocalAuthority) -> None:
        certificate = leaf_of(authority.certificate_pem)
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert timedelta(days=397) < life < timedelta(days=731)

    @pytest.mark.parametrize("name", ["alice", "Jane Doe", "Zo\u00eb", "jane_doe", "007"])
    def test_people_are_called_as_they_like(
        self, authority: LocalAuthority, tmp_path: Path, name: str
    ) -> None:
        issued = authority.issue([name], purpose="client")
        chain = issued.credentials().chain_der
        assert verify_client_chain(chain, authority.trust, datetime.now(UTC)).verified
        (tmp_path / CERTIFICATE_FILE).write_bytes(authority.certificate_pem)
        assert openssl_accepts(tmp_path, tmp_path, issued.chain_pem, None)

    @pytest.mark.parametrize("name", ["alice.example.com", "8.8.8.8", "2606:4700::1111", "::2"])
    def test_clients_are_not_hosts_of_others(self, authority: LocalAuthority, name: str) -> None:
        with pytest.raises(ConfigurationError, match="may not issue for"):
            authority.issue([name], purpose="client")

    def test_more_names_on_demand(self, tmp_path: Path) -> None:
        more = ["*.corp.example.com", "203.0.114.0/24", "2606:4700::/32"]
        home = tmp_path / "ca"
        authority = LocalAuthority.open_or_create(home, names=more)
        names = ["a.corp.example.com", "corp.example.com", "203.0.114.9", "2606:4700::1111"]
        chain = authority.credentials(["localhost", *names]).chain_der
        for name in names:
            assert verify_server_chain(chain, authority.trust, name, datetime.now(UTC)).verified
        with pytest.raises(ConfigurationError, match="may not issue for"):
            authority.issue(["example.com"])
        assert "corp.example.com" in authority.constraints
        with pytest.raises(ConfigurationError) as refused:
            authority.issue(["example.com"])
        sentence = str(refused.value)
        assert "handclasp cert ca --for example.com" in sentence
        for name in more:
            assert name.removeprefix("*.") in sentence
        assert "172.16" not in sentence  # The usual networks are many, and no news.
        assert LocalAuthority.open_or_create(home, names=more[:1]).name == authority.name
        with pytest.raises(
            ConfigurationError, match=r"(?s)there already.*corp\.example\.com.*delete it"
        ):
            LocalAuthority.open_or_create(home, names=["example.org"])
        with pytest.raises(ConfigurationError, match="there already"):
            LocalAuthority.open_or_create(home, names=["*"])

    def test_every_name_on_demand(self, tmp_path: Path) -> None:
        authority = LocalAuthority.open_or_create(tmp_path, names=["*"])
        assert authority.constraints == ""
        chain = authority.credentials(["www.bank.com", "8.8.8.8"]).chain_der
        trust = authority.trust
        assert verify_server_chain(chain, trust, "www.bank.com", datetime.now(UTC)).verified
        assert LocalAuthority.open_or_create(tmp_path, names=["x.com"]).name == authority.name

    def test_one_that_was_made_without_bounds_goes_on_working(self, tmp_path: Path) -> None:
        pki = Pki(now=datetime.now(UTC))
        (tmp_path / KEY_FILE).touch(mode=0o600)
        (tmp_path / KEY_FILE).write_bytes(key_pem(pki.key) + pki.pem)
        authority = LocalAuthority.open_or_create(tmp_path)
        chain = authority.credentials(["www.bank.com"]).chain_der
        now = datetime.now(UTC)
        assert verify_server_chain(chain, authority.trust, "www.bank.com", now).verified
        leaf = leaf_of(authority.issue(["alice"], purpose="client").chain_pem)
        assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)

    @pytest.mark.parametrize(
        "names",
        ["example.com", [""], ["not a name"], ["10.0.0.1/8"], [".."], ["foo_bar.test"],
         ["-foo.test"], ["0.0.0.300"], ["*.10.0.0.1"], ["*", "foo_bar.test"]],
    )  # fmt: skip
    def test_bad_names(self, tmp_path: Path, names: Any) -> None:
        with pytest.raises(ConfigurationError):
            LocalAuthority.open_or_create(tmp_path / "ca", names=names)
        assert not (tmp_path / "ca").exists()


def openssl_accepts(place: Path, home: Path, leaf: bytes, name: str | None) -> bool:
    """Whether OpenSSL takes a server's certificate for this name, or a client's."""
    (place / "leaf.pem").write_bytes(leaf)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(home / CERTIFICATE_FILE)]
    command += ["-purpose", "sslserver" if name is not None else "sslclient"]
    if name is not None:
        is_address = ":" in name or name.replace(".", "").isdigit()
        command += ["-verify_ip" if is_address else "-verify_hostname", name]
    need_tool("openssl")
    done = subprocess.run(
        [*command, "leaf.pem"], cwd=place, capture_output=True, timeout=60, check=False
    )
    return done.returncode == 0


class TestDefaultDirectory:
    def test_xdg(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert default_directory() == tmp_path / "handclasp"

    @pytest.mark.parametrize(
        ("platform", "expected"),
        [
            ("linux", ".local/share/handclasp"),
            ("darwin", "Library/Application Support/handclasp"),
            ("win32", "AppData/Local/handclasp"),
        ],
    )
    def test_platforms(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, expected: str
    ) -> None:
        monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
        monkeypatch.delenv("LOCALAPPDATA", raising=False)
        monkeypatch.setattr(Path, "home", lambda: tmp_path)
        monkeypatch.setattr("sys.platform", platform)
        assert default_directory() == tmp_path / expected

    def test_a_user_without_a_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def home() -> NoReturn:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        monkeypatch.setattr("sys.platform", "linux")
        monkeypatch.setattr(Path, "home", home)
        with pytest.raises(ConfigurationError, match="no home directory"):
            default_directory()
        with pytest.raises(ConfigurationError, match="no home directory"):
            LocalAuthority.open_or_create()


def gnutls_accepts(place: Path, home: Path, leaf: bytes, name: str) -> bool:
    """Whether GnuTLS takes a server's certificate for this name; no without GnuTLS."""
    (place / "leaf.pem").write_bytes(leaf)
    command = ["certtool", "--verify", "--load-ca-certificate", str(home / CERTIFICATE_FILE)]
    command += ["--infile", "leaf.pem", "--verify-hostname", name]
    command += ["--verify-purpose", "1.3.6.1.5.5.7.3.1"]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, timeout=60, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0
