"""`handclasp scan`: text, JSON, verdicts, many hosts, and a scan that continues."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.pki import Pki
from tests.scan.serving import listening, ours

from handclasp import ServerConfig
from handclasp.cli.progress import Progress


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture
def ca_file(pki: Pki, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    path.write_bytes(pki.ca_pem)
    return str(path)


@pytest.fixture(scope="module")
def port(pki: Pki) -> Iterator[int]:
    config = ServerConfig(credentials=pki.server("localhost"), versions=["TLSv1.3"])
    with listening(ours(config)) as port:
        yield port


def test_a_report_for_people(run: Run, port: int, ca_file: str) -> None:
    done = run("scan", f"localhost:{port}", "--ca", ca_file, "-v")
    assert done.exit_code == 0
    for part in ("versions        TLSv1.3\n", "(the server's order)", "ECDSA secp256r1", "trusted"):
        assert part in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("width", [60, 80])
def test_the_report_is_short_and_begins_with_what_to_change(
    run: Run, port: int, ca_file: str, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    arguments = ("scan", f"localhost:{port}", "--ca", ca_file, "--require", "cnsa2")
    short, full = run(*arguments).stdout, run(*arguments, "-v").stdout
    verdict, facts = short.split("\n\n", 1)
    assert "; -v shows all CNSA 2.0 profile for TLS 1.3 draft-becker" in " ".join(verdict.split())
    assert facts.startswith("  versions  ")
    assert facts.count("\n") < full.split("\n\n", 1)[1].count("\n")
    for part in ("TLS_AES_128_GCM_SHA256\n", "signatures  ", "bytes 0200"):
        assert (part in full, part in short) == (True, False)
    assert "; resumes, TLS 1.3" in " ".join(short.split())
    assert max(map(len, facts.splitlines())) <= width


def test_a_verdict_sets_the_exit_status(run: Run, port: int, ca_file: str) -> None:
    missed = run("scan", f"localhost:{port}", "--ca", ca_file, "--require", "cnsa2")
    assert missed.exit_code == 1
    assert "CNSA 2.0 profile for TLS 1.3" in missed.stdout
    assert "MLKEM1024" in missed.stdout
    assert "nginx: ssl_ecdh_curve MLKEM1024;" in missed.stdout


def test_json_is_one_object_for_each_host(run: Run, port: int, ca_file: str) -> None:
    arguments = ("--ca", ca_file, "--json", "--server-name", "localhost", "--require", "cnsa2")
    one = json.loads(run("scan", f"localhost:{port}", *arguments).stdout)
    assert one["versions"]["TLSv1.3"]["value"] is True
    assert one["certificates"][0]["accepted"] is True
    assert one["profile"]["met"] is False
    assert one["findings"][0].keys() == {"kind", "value", "reason", "evidence", "advice"}
    two = run("scan", f"127.0.0.1:{port}", f"127.0.0.2:{port}", *arguments).stdout
    hosts = {json.loads(line)["host"] for line in two.splitlines()}
    assert hosts == {"127.0.0.1", "127.0.0.2"}


def test_hosts_of_a_file_are_scanned_and_a_second_run_continues(
    run: Run, port: int, ca_file: str, tmp_path: Path
) -> None:
    hosts, out = tmp_path / "hosts", tmp_path / "out.jsonl"
    hosts.write_text(f"# two\n127.0.0.1:{port}\n\n127.0.0.2:{port}  # again\n127.0.0.1:{port}\n")
    arguments = ("--ca", ca_file, "--server-name", "localhost", "--out", str(out))
    assert run("scan", "--hosts", str(hosts), *arguments).exit_code == 0
    assert len(out.read_text().splitlines()) == 2
    before = out.read_bytes()
    more = run("scan", "--hosts", "-", *arguments, input=f"127.0.0.1:{port}\n127.0.0.3:{port}\n")
    assert more.exit_code == 0
    assert out.read_bytes().startswith(before)
    assert len(out.read_text().splitlines()) == 3


def test_a_host_that_failed_is_scanned_again_and_then_counts_as_it_is_now(
    run: Run, pki: Pki, ca_file: str, tmp_path: Path
) -> None:
    out, serves = tmp_path / "out.jsonl", [False]
    serve = ours(ServerConfig(credentials=pki.server("localhost")))
    with listening(lambda sock: serve(sock) if serves[0] else sock.close()) as port:
        arguments = ["scan", f"127.0.0.1:{port}", "--ca", ca_file, "--out", str(out)]
        arguments += ["--server-name", "localhost"]
        assert run(*arguments).exit_code == 1
        serves[0] = True
        kept = run(*arguments, "--keep-failed")
        assert kept.exit_code == 1
        assert kept.stderr.startswith("1 of 1 hosts are done already. To scan all anew, ")
        again = run(*arguments)
    assert again.exit_code == 0
    assert "1 in the file failed or broke off" in again.stderr
    reports = map(json.loads, out.read_text().splitlines())
    assert [report["error"] is None for report in reports] == [False, True]


def test_hosts_are_scanned_again_where_a_setting_changed_and_the_page_has_all_of_the_file(
    run: Run, port: int, pki: Pki, ca_file: str, tmp_path: Path
) -> None:
    out, own, page = tmp_path / "out.jsonl", tmp_path / "own.json", tmp_path / "page.html"
    own.write_bytes(resources.files("handclasp.scan").joinpath("profiles.json").read_bytes())
    arguments = ["--ca", ca_file, "--server-name", "localhost", "--out", str(out)]
    arguments += ["--require", f"{own}:cnsa2"]
    first = run("scan", f"127.0.0.1:{port}", *arguments)
    assert (first.exit_code, first.stdout, first.stderr) == (1, "", "")
    own.write_text(
        own.read_text().replace('"version": "draft-becker', '"version": "a draft-becker')
    )
    edited = run("scan", f"127.0.0.1:{port}", *arguments)
    assert "1 were scanned with another setting (--require): once more." in edited.stderr
    Path(ca_file).write_bytes(Pki().ca_pem + pki.ca_pem)
    other = run("scan", f"127.0.0.1:{port}", *arguments)
    assert "(--ca): once more." in other.stderr
    more = run("scan", f"127.0.0.2:{port}", "127.0.0.1:1", *arguments, "--page", str(page))
    said = "0 of 3 hosts meet CNSA 2.0 profile for TLS 1.3 a draft-becker"
    assert more.stdout.startswith(said)
    assert more.stdout.endswith("; 1 could not be scanned.\n")
    text = page.read_text()
    assert text.count('<details id="host-') == text.count('<a href="#host-') == 3
    assert said in text
    assert "2026-12-02: https://datatracker.ietf.org/doc/draft-becker-cnsa2-tls-profile/" in text
    assert all(f"127.0.0.{number}:" in text for number in (1, 2))


def test_a_run_of_many_hosts_ends_with_a_summary(run: Run, port: int, ca_file: str) -> None:
    arguments = ("--ca", ca_file, "--server-name", "localhost", f"127.0.0.1:{port}", "127.0.0.1:1")
    assert run("scan", *arguments).stdout.endswith(
        "\n1 of 2 hosts was scanned; 1 could not be scanned.\n"
    )
    two = run("scan", *arguments, f"127.0.0.2:{port}", "--json", "--require", "cnsa2")
    assert "0 of 3 hosts meet CNSA 2.0" in two.stderr
    assert len([json.loads(line) for line in two.stdout.splitlines()]) == 3
    assert "hosts" not in run("scan", "127.0.0.1:1").stdout


def test_a_line_of_hosts_may_have_its_own_protocol(run: Run, port: int, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(f"localhost:{port} tls\n127.0.0.1:{port} smtp  # does not greet\n")
    options = ("--hosts", str(hosts), "--json", "--timeout", "1", "--starttls", "imap")
    found = [json.loads(line) for line in run("scan", *options).stdout.splitlines()]
    assert {(each["host"], each["starttls"], each["error"] is None) for each in found} == {
        ("localhost", None, True),
        ("127.0.0.1", "smtp", False),
    }


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a.example smpt", "line 2: 'smpt' is not one of smtp, "),
        ("a.example:99999", "line 2: "),
        ("a.example imap x", "line 2: more than a host and a protocol"),
        ("first.example:443 smtp", "line 2: first.example:443 is there with another protocol"),
    ],
)
def test_a_wrong_line_of_hosts_is_named(run: Run, tmp_path: Path, line: str, says: str) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(f"first.example\n{line}\n")
    done = run("scan", "--hosts", str(hosts))
    assert (done.exit_code, says in done.stderr) == (2, True), done.stderr


def test_a_host_that_cannot_be_reached_is_a_failure(run: Run) -> None:
    done = run("scan", "127.0.0.1:1", "--timeout", "2")
    assert done.exit_code == 1
    assert "failed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "There is nothing to scan"),
        (("localhost:0",), "is not a port"),
        (("localhost", "--require", "perfect"), "there is no profile 'perfect', only modern"),
        (("localhost", "--require", "missing.json:modern"), "Cannot read missing.json"),
        (("--hosts", "missing"), "missing"),
        (("localhost", "--cert", "x"), "--key is missing"),
        (("localhost", "--page", "x.txt"), "the name must end in .html"),
    ],
)
def test_wrong_arguments_are_a_sentence(run: Run, arguments: tuple[str, ...], says: str) -> None:
    done = run("scan", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr


def test_a_page_has_all_hosts(run: Run, port: int, ca_file: str, tmp_path: Path) -> None:
    page = tmp_path / "scan.html"
    arguments = ("--ca", ca_file, "--server-name", "localhost", "--page", str(page))
    assert run("scan", f"127.0.0.1:{port}", f"127.0.0.2:{port}", *arguments).exit_code == 0
    text = page.read_text()
    assert text.count("<b>127.0.0.") == text.count('<a href="#host-') == 2
    assert "<b>2 of 2 hosts were scanned.</b>" in text
    assert text.endswith("</html>\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_tells_the_rate_and_the_time_left() -> None:
    now = [0.0]
    stream = Terminal()
    progress = Progress(1000, stream, lambda: now[0])
    for _ in range(100):
        now[0] += 0.1  # seconds
        progress.advance()
    assert "10.0 per second" in stream.getvalue()
    assert progress.text(9.0) == "100 of 1,000, 11.1 per second, 81 s left"
    assert progress.text(20.0) == "100 of 1,000, 5.0 per second, 3 min left"
    progress.clear()
    assert stream.getvalue().endswith("\r")
    plain = io.StringIO()
    Progress(1, plain, lambda: 100.0).advance()
    assert plain.getvalue() == ""


@pytest.mark.parametrize("option", ["--timeout", "--host-timeout", "--rate"])
def test_nan_is_no_number(run: Run, option: str) -> None:
    done = run("scan", "localhost", option, "nan")
    assert done.exit_code == 2
    assert "'nan' is not a number" in done.stderr


def test_the_files_of_a_run_are_checked(run: Run, tmp_path: Path) -> None:
    page = str(tmp_path / "page.html")
    same = run("scan", "localhost", "--out", page, "--page", page)
    assert (same.exit_code, "are the same file" in same.stderr) == (2, True)
    assert not Path(page).exists()
    if Path("/dev/zero").exists():
        endless = run("scan", "--hosts", "/dev/zero")
        assert (endless.exit_code, "more than 64 MiB" in endless.stderr) == (2, True)
    device = run("scan", "localhost", "--out", "/dev/full")
    assert (device.exit_code, "no regular file" in device.stderr) == (2, True)


def test_a_list_of_hosts_may_begin_with_a_byte_order_mark(
    run: Run, tmp_path: Path, port: int
) -> None:
    hosts = tmp_path / "hosts.txt"
    hosts.write_bytes(f"\ufefflocalhost:{port}\r\n".encode())
    done = run("scan", "--hosts", str(hosts), "--json")
    assert json.loads(done.stdout)["host"] == "localhost"
    hosts.write_bytes(b"local\0host:443\n")
    done = run("scan", "--hosts", str(hosts))
    assert (done.exit_code, "holds a NUL" in done.stderr) == (2, True)


def test_the_limit_of_descriptors_bounds_the_hosts_at_once(
    run: Run, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handclasp.descriptors.connections_possible", lambda: 3)
    done = run("scan", f"localhost:{port}", "--json", "--concurrency", "1000")
    assert "--concurrency 1000: 3 are scanned at once" in done.stderr
    assert json.loads(done.stdout)["error"] is None
