"""`handclasp cert`: what it writes and what it says."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import NoReturn

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.cli.conftest import Run
from tests.pki import Pki, name_constraints, pem_of

from handclasp import Credentials
from handclasp.certificates.authority import KEY_TYPES, LocalAuthority
from handclasp.cli.authority import trust_advice


def test_ca_makes_one_and_keeps_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDCLASP_HOME", str(tmp_path / "new"))
    first, second = run("cert", "ca", "--pem"), run("cert", "ca", "--pem")
    assert first.exit_code == second.exit_code == 0
    assert first.stdout == second.stdout
    assert first.stdout.encode() == (tmp_path / "new" / "ca.pem").read_bytes()
    assert x509.load_pem_x509_certificate(first.stdout.encode()).subject


def test_ca_tells_where_it_is_and_how_to_trust_it(run: Run, ca: str) -> None:
    result = run("cert", "ca")
    assert result.exit_code == 0
    assert ca in result.stdout
    assert "certutil" in result.stdout
    assert json.loads(run("cert", "ca", "--json").stdout)["path"] == ca


def test_the_advice_fits_a_terminal_and_names_every_way(tmp_path: Path) -> None:
    for path in (tmp_path / "ca.pem", Path("/home/somebody/.local/share/handclasp/ca.pem")):
        advice = trust_advice(path, 65535)
        for expected in (
            "handclasp connect localhost:65535 ",
            f"--ca {path}",
            "ClientConfig(trust=TrustStore.from_pem(",
            f'"{path}"))',
            f"curl --cacert {path}",
        ):
            assert expected in advice
        assert "cert ca --install" in advice
        assert "nssdb" not in advice, "where the databases are, the command knows"
    assert max(map(len, advice.splitlines())) <= 80
    assert "'/a b/ca.pem'" in trust_advice(Path("/a b/ca.pem"))


def test_help_tells_what_may_be_given(run: Run) -> None:
    shown = " ".join(run("cert", "issue", "--help").stdout.split())
    for expected in (*KEY_TYPES, "1 to 397", "[default: this directory]"):
        assert expected in shown
    assert "..." not in run("cert", "--help").stdout.partition("Commands:")[2]


def test_ca_of_a_broken_directory_is_a_wrong_argument(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANDCLASP_HOME", str(tmp_path / "file" / "below"))
    result = run("cert", "ca")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_issue_writes_what_a_server_needs(
    run: Run, tmp_path: Path, authority: LocalAuthority
) -> None:
    out = tmp_path / "made" / "here"
    result = run("cert", "issue", "localhost", "127.0.0.1", "*.test", "--out", str(out))
    assert result.exit_code == 0, result.stderr
    assert stat.S_IMODE((out / "key.pem").stat().st_mode) == 0o600
    credentials = Credentials.load(out / "chain.pem", out / "key.pem")
    assert credentials.names == ("localhost", "127.0.0.1", "*.test")
    assert sorted(path.name for path in out.iterdir()) == ["chain.pem", "key.pem"]


def test_a_name_that_is_refused_is_told_before_files_that_are_there(
    run: Run, tmp_path: Path
) -> None:
    assert run("cert", "issue", "localhost", "--out", str(tmp_path)).exit_code == 0
    result = run("cert", "issue", "example.com", "--out", str(tmp_path))
    assert result.exit_code == 2
    assert "--force" not in result.stderr
    assert "example.com" in result.stderr


def test_issue_overwrites_only_when_told_to(run: Run, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("precious")
    refused = run("cert", "issue", "localhost", "--out", str(tmp_path))
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "key.pem").read_text() == "precious"
    assert not (tmp_path / "chain.pem").exists()
    forced = run("cert", "issue", "localhost", "--out", str(tmp_path), "--force", "--json")
    assert forced.exit_code == 0
    assert json.loads(forced.stdout)["key"] == str(tmp_path / "key.pem")
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    Credentials.load(tmp_path / "chain.pem", tmp_path / "key.pem")


@pytest.mark.parametrize(
    "arguments",
    [("not a name",), ("localhost", "--days", "9999"), ("localhost", "--key-type", "dsa")],
)
def test_issue_refuses_what_cannot_be(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = run("cert", "issue", *arguments, "--out", str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_issue_needs_a_name(run: Run) -> None:
    assert run("cert", "issue").exit_code == 2


def test_issue_for_a_client(run: Run, tmp_path: Path) -> None:
    assert run("cert", "issue", "Ada Lovelace", "--client", "--out", str(tmp_path)).exit_code == 0
    shown = json.loads(run("cert", "show", str(tmp_path / "chain.pem"), "--json").stdout)
    assert shown["certificates"][0]["extended_key_usage"] == ["clientAuth"]
    assert shown["certificates"][0]["subject"] == "CN=Ada Lovelace"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("alice.test", "dns"),
        ("spiffe://x.test/alice", "uri"),
        ("alice@x.test", "email"),
        ("alice", None),
        ("Ada Lovelace", None),
    ],
)
def test_issue_says_what_no_server_will_find(
    run: Run, tmp_path: Path, name: str, kind: str | None
) -> None:
    told = run("cert", "issue", name, "--client", "--out", str(tmp_path)).stdout
    assert ("common name alone" in told) is (kind is None)
    again = run("cert", "issue", name, "--client", "--out", str(tmp_path), "--force", "--json")
    names = json.loads(again.stdout)["alternative_names"]
    assert {key: value for key, value in names.items() if value} == ({kind: [name]} if kind else {})
    shown = " ".join(run("cert", "issue", "--help").stdout.split())
    assert "URIs" in shown
    assert "common name" in shown


def test_issue_makes_expired_certificates(run: Run, ca: str, tmp_path: Path) -> None:
    dates = ("--not-before", "2026-01-01", "--not-after", "2026-02-01T12:00")
    made = run("cert", "issue", "a.test", "--client", *dates, "--out", str(tmp_path))
    assert made.exit_code == 0, made.stderr
    chain = str(tmp_path / "chain.pem")
    assert run("cert", "check", chain, "--client", "--ca", ca).exit_code == 1
    checked = run("cert", "check", chain, "--client", "--ca", ca, "--json")
    assert "2026-02-01" in checked.stdout
    wrong = run("cert", "issue", "a.test", "--not-after", "soon", "--out", str(tmp_path))
    assert wrong.exit_code == 2
    assert "--not-after soon" in wrong.stderr


def test_show_reads_pem_and_der(run: Run, ca: str, tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(Path(ca).read_bytes())
    der = tmp_path / "ca.der"
    der.write_bytes(certificate.public_bytes(Encoding.DER))
    from_pem, from_der = run("cert", "show", ca), run("cert", "show", str(der))
    assert from_pem.exit_code == from_der.exit_code == 0
    assert from_pem.stdout == from_der.stdout
    assert "handclasp local authority" in from_pem.stdout
    shown = json.loads(run("cert", "show", str(der), "--json").stdout)
    assert [each["is_authority"] for each in shown["certificates"]] == [True]


def test_show_counts_a_chain(run: Run, ca: str, pair: tuple[str, str], tmp_path: Path) -> None:
    chain = tmp_path / "both.pem"
    chain.write_bytes(Path(pair[0]).read_bytes() + Path(ca).read_bytes())
    result = run("cert", "show", str(chain))
    assert "1 of 2" in result.stdout
    assert "2 of 2" in result.stdout
    assert "no name" not in result.stdout


@pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nno\n"])
def test_show_refuses_what_is_no_certificate(run: Run, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    result = run("cert", "show", str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1


def test_show_of_a_missing_file(run: Run, tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        result = run("cert", "show", str(path))
        assert result.exit_code == 2
        assert str(path) in result.stderr


def test_show_tells_what_an_authority_is_limited_to(run: Run, tmp_path: Path) -> None:
    limits = name_constraints([f"host{number}.example.com" for number in range(9)])
    file = tmp_path / "ca.pem"
    file.write_bytes(pem_of(Pki(path_length=0, extensions=[limits]).certificate))
    shown = run("cert", "show", str(file)).stdout
    assert "below it        0\n" in shown
    assert "only names in   host0.example.com\n" in shown
    assert "timestamps" not in shown
    assert max(map(len, shown.splitlines())) <= 82  # A SHA-256 in hexadecimal has its length.


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the system does not know, as services and containers have them."""

    def home() -> NoReturn:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)


@pytest.mark.usefixtures("homeless")
def test_a_user_without_a_home_names_a_directory(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("cert", "ca")
    assert result.exit_code == 0, result.output
    assert "Browsers:  import it in the browser's settings" in result.output
    assert run("cert", "ca", "--install").exit_code == 0
    monkeypatch.delenv("HANDCLASP_HOME")
    for arguments in (("cert", "ca"), ("cert", "issue", "localhost"), ("serve", "--port", "0")):
        result = run(*arguments)
        assert result.exit_code == 2, (arguments, result.output)
        assert "This user has no home directory" in result.stderr
        assert "HANDCLASP_HOME" in result.stderr
