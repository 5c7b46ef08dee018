"""Coming back by command line, and early data: with each other, and with OpenSSL's commands."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest
from tests.cli.conftest import WAIT_SECONDS, Process, Run, handclasp_process, started

import handclasp
from handclasp import ClientConfig, SessionStore
from handclasp.certificates.authority import LocalAuthority

pytestmark = pytest.mark.long

GET = b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    (site / "hello.txt").write_text("hello over TLS\n")
    return site


@pytest.fixture
def files(site: Path) -> Iterator[Process]:
    """A server of files that takes early data."""
    with started("serve", str(site), "--port", "0", "--early-data") as process:
        yield process


@pytest.fixture
def echo(home: Path) -> Iterator[Process]:
    with started("serve", "--echo", "--port", "0", "--early-data") as process:
        yield process


@pytest.fixture
def sessions(tmp_path: Path) -> str:
    return str(tmp_path / "sessions.json")


def shown_by(run: Run, process: Process, ca: str, *arguments: str) -> dict[str, Any]:
    """What `connect --json` shows."""
    result = run("connect", f"localhost:{process.port}", "--ca", ca, "--json", *arguments)
    assert result.exit_code == 0, result.output
    shown: dict[str, Any] = json.loads(result.stdout)
    shown["stderr"] = result.stderr
    return shown


# connect --session


@pytest.mark.parametrize("version", ["--tls12", "--tls13"])
def test_a_session_of_another_run(
    run: Run, echo: Process, ca: str, sessions: str, version: str
) -> None:
    first, second = [shown_by(run, echo, ca, "--session", sessions, version) for _ in range(2)]
    assert (first["resumed"], second["resumed"]) == (False, True)
    assert second["peer"] == first["peer"]
    # It holds secrets.
    assert stat.S_IMODE(os.stat(sessions).st_mode) == 0o600
    assert "resumed" not in echo.line(r"TLSv1\.")
    assert "resumed" in echo.line(r"TLSv1\.")


@pytest.mark.parametrize("version", ["--tls12", "--tls13"])
def test_it_is_told_whether_a_session_was_resumed(
    echo: Process, ca: str, sessions: str, version: str
) -> None:
    address = f"localhost:{echo.port}"
    told: list[str] = []
    for _ in range(2):
        done = handclasp_process(
            "connect", address, "--ca", ca, "--session", sessions, version, stdin=b"x"
        )
        assert (done.returncode, done.stdout) == (0, b"x")
        told.append(done.stderr.decode())
    first, second = told
    assert re.search(r"^ +resumed +no$", first, re.MULTILINE)
    assert re.search(r"^ +resumed +yes: ", second, re.MULTILINE)
    assert "when the session was made" in second
    assert "the client made the secret" not in second
    assert "early data" not in second
    assert max(map(len, second.splitlines())) <= 80


def test_sessions_of_one_server_are_not_shown_to_another(
    run: Run, echo: Process, files: Process, ca: str, sessions: str
) -> None:
    for process, resumed in ((echo, False), (files, False), (echo, True), (files, True)):
        assert shown_by(run, process, ca, "--session", sessions)["resumed"] is resumed


def test_each_way_to_connect_keeps_a_session(
    run: Run, files: Process, ca: str, sessions: str
) -> None:
    request = GET.decode().replace("\r\n", "\\r\\n")
    for arguments in (("--send", request), ("--send", request, "--json"), ("--json",)):
        for resumed in (False, True):
            result = run(
                "connect", f"localhost:{files.port}", "--ca", ca, "--session", sessions, *arguments
            )
            assert result.exit_code == 0, result.output
            assert ("  resumed" in files.line(r"TLSv1\.3")) is resumed
        os.unlink(sessions)


def test_a_file_that_holds_something_else_is_left_alone(run: Run, ca: str, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    for content in ("mine", '{"mine": 1}', "[]"):
        other.write_text(content)
        sentence = one_sentence(run, "connect", "localhost:1", "--session", str(other))
        assert "Cannot use the session file" in sentence
        assert other.read_text() == content
    assert "Cannot use the session file" in one_sentence(
        run, "connect", "localhost:1", "--session", str(tmp_path)
    )


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_a_file_that_others_could_have_written(
    run: Run, echo: Process, ca: str, sessions: str
) -> None:
    """It would say which server is which."""
    shown_by(run, echo, ca, "--session", sessions)
    os.chmod(sessions, 0o660)
    sentence = one_sentence(run, "connect", f"localhost:{echo.port}", "--session", sessions)
    assert "Cannot use the session file" in sentence
    assert "chmod 600" in sentence
    os.chmod(sessions, 0o600)
    assert shown_by(run, echo, ca, "--session", sessions)["resumed"]


def test_sessions_with_nowhere_to_go(run: Run, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing" / "sessions.json")
    sentence = one_sentence(run, "connect", "localhost:1", "--session", missing)
    assert "does not exist" in sentence


def test_arguments_that_do_not_fit_together(run: Run, tmp_path: Path, sessions: str) -> None:
    request = tmp_path / "request"
    request.write_bytes(GET)
    connect = ("connect", "localhost:1", "--early-data", str(request))
    assert "needs --session" in one_sentence(run, *connect)
    assert "leave out --tls12" in one_sentence(run, *connect, "--session", sessions, "--tls12")
    assert "leave out --tls12" in one_sentence(run, "serve", "--early-data", "--tls12")
    missing = str(tmp_path / "missing")
    arguments = ("connect", "localhost:1", "--session", sessions, "--early-data", missing)
    assert "There is no file" in one_sentence(run, *arguments)


def one_sentence(run: Run, *arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("handclasp: ")
    return str(result.stderr)


# connect --early-data, and serve --early-data


def test_a_request_in_early_data(
    run: Run, files: Process, ca: str, sessions: str, tmp_path: Path
) -> None:
    request = tmp_path / "request"
    request.write_bytes(GET)
    arguments = ("--session", sessions, "--early-data", str(request))
    first = shown_by(run, files, ca, *arguments)
    assert (first["resumed"], first["early_data"]) == (False, "none")
    assert first["early_data_rejected_bytes"] == len(GET)
    assert first["stderr"] == (
        f"Early data: there is no session of this server to resume, so the {len(GET)} bytes were "
        "not sent.\n"
    )
    second = shown_by(run, files, ca, *arguments, "--send", "")
    assert (second["resumed"], second["early_data"]) == (True, "accepted")
    assert second["early_data_rejected_bytes"] == 0
    assert second["stderr"] == ""
    assert second["received"].startswith("HTTP/1.1 200 OK\r\n")
    assert second["received"].endswith("\r\n\r\nhello over TLS\n")
    assert "resumed  early data accepted" in files.line("resumed")


def test_early_data_are_told_of(files: Process, ca: str, sessions: str, tmp_path: Path) -> None:
    request = tmp_path / "request"
    request.write_bytes(GET)
    arguments = ("--session", sessions, "--early-data", str(request))
    address = f"localhost:{files.port}"
    handclasp_process("connect", address, "--ca", ca, "--session", sessions, "--json")
    done = handclasp_process("connect", address, "--ca", ca, *arguments)
    assert done.returncode == 0
    assert done.stdout.endswith(b"\r\n\r\nhello over TLS\n")
    assert re.search(r"^ +early data +accepted$", done.stderr.decode(), re.MULTILINE)


def test_early_data_that_are_refused_are_not_sent_again(
    run: Run, site: Path, ca: str, sessions: str, tmp_path: Path
) -> None:
    request = tmp_path / "request"
    request.write_bytes(GET)
    arguments = ("--session", sessions, "--early-data", str(request))
    with started("serve", "--echo", "--port", "0", "--early-data") as process:
        shown_by(run, process, ca, *arguments)
    # Another one on the same port, which knows nothing of the first one's sessions.
    with started("serve", "--echo", "--port", str(process.port)) as process:
        shown = shown_by(run, process, ca, *arguments, "--send", "only this")
        assert (shown["resumed"], shown["early_data"]) == (False, "rejected")
        assert shown["early_data_rejected_bytes"] == len(GET)
        assert shown["received"] == "only this"
        assert shown["stderr"] == (
            f"Early data: the server took none of the {len(GET)} bytes, which were not sent "
            "again.\n"
        )
        assert "early data rejected" in process.line(r"TLSv1\.3")


def test_more_early_data_than_the_session_allows(
    run: Run, echo: Process, ca: str, sessions: str, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"a" * 16385)
    arguments = ("--session", sessions, "--early-data", str(large))
    shown_by(run, echo, ca, *arguments)
    shown = shown_by(run, echo, ca, *arguments, "--send", "b")
    assert (shown["early_data"], shown["early_data_rejected_bytes"]) == ("accepted", 1)
    assert shown["stderr"] == (
        "Early data: the session allows 16384 bytes; 1 more were not sent.\n"
    )
    # The echo is of all that it got.
    assert shown["received"] == "a" * 16384 + "b"


def test_json_of_early_data(site: Path, authority: LocalAuthority) -> None:
    config = client_config(authority)
    with started("serve", str(site), "--port", "0", "--early-data", "--json") as process:
        for early in (b"", GET):
            ask(process, config, early, b"" if early else GET)
        first, second = (json.loads(process.line('"connection"')) for _ in range(2))
    assert (first["resumed"], first["early_data"]) == (False, "none")
    assert (second["resumed"], second["early_data"]) == (True, "accepted")


# RFC 8470: what an HTTP server does with requests that came early


def client_config(authority: LocalAuthority) -> ClientConfig:
    return ClientConfig(
        trust=authority.trust, alpn=("http/1.1",), sessions=SessionStore(), allow_early_data=True
    )


def ask(process: Process, config: ClientConfig, early: bytes, later: bytes = b"") -> bytes:
    """All that comes back upon these bytes, the first of which must be taken early."""
    with handclasp.connect(
        "localhost", process.port, config, timeout=20, early_data=early or None
    ) as tls:
        if early:
            assert tls.info.early_data_status == "accepted"
            assert tls.early_data_rejected == b""
        tls.sendall(later)
        return b"".join(iter(lambda: tls.recv(65536), b""))


def head(method: str, *fields: str) -> bytes:
    lines = [f"{method} /hello.txt HTTP/1.1", "Host: localhost", *fields, "", ""]
    return "\r\n".join(lines).encode()


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"^HTTP/1\.1 (\d+)", answer, re.MULTILINE)]


LAST = "Connection: close"


@pytest.mark.parametrize(
    ("early", "later", "expected"),
    [
        # What is safe is answered, even where only a part of it was early.
        (head("GET", LAST), b"", [200]),
        (head("HEAD", LAST), b"", [200]),
        (head("GET", LAST)[:7], head("GET", LAST)[7:], [200]),
        (head("GET", LAST)[:-2], head("GET", LAST)[-2:], [200]),
        (head("GET"), head("GET", LAST), [200, 200]),
        (head("OPTIONS", LAST), b"", [204]),
        # What is not safe is refused, and where the first byte came tells.
        (head("POST", "Content-Length: 2", LAST), b"hi", [425]),
        (head("DELETE", LAST)[:1], head("DELETE", LAST)[1:], [425]),
        (head("NONSENSE", LAST), b"", [425]),
        (head("GET") + head("POST", LAST), b"", [200, 425]),
        (head("GET") + b"P", head("POST", LAST)[1:], [200, 425]),
        (head("GET"), head("POST", LAST), [200, 405]),
        # No body is read, and so none is asked for by a 100.
        (head("POST", "Content-Length: 2", "Expect: 100-continue", LAST), b"", [425]),
        # A gateway's mark counts as well, whatever its value, and however often.
        (b"", head("POST", "Early-Data: 1", LAST), [425]),
        (b"", head("POST", "early-data: 0", LAST), [425]),
        (b"", head("PUT", "Early-Data: 1", "Early-Data: what", LAST), [425]),
        (b"", head("GET", "Early-Data: 1", LAST), [200]),
        (b"", head("POST", LAST), [405]),
    ],
)
def test_requests_that_may_be_copies(
    files: Process, authority: LocalAuthority, early: bytes, later: bytes, expected: list[int]
) -> None:
    config = client_config(authority)
    ask(files, config, b"", GET)
    answer = ask(files, config, early, later)
    assert statuses(answer) == expected
    if expected[-1] == 425:
        assert b"425 Too Early" in answer
        # RFC 8470 section 5.1: the field is for requests alone.
        assert b"early-data:" not in answer.lower()
        # Section 5.2: sent again, and not early, the request is one like any other.
        assert statuses(ask(files, config, b"", head("POST", LAST))) == [405]


def test_a_gateway_is_told_even_without_early_data_of_its_own(
    site: Path, authority: LocalAuthority
) -> None:
    with started("serve", str(site), "--port", "0") as process:
        marked = head("POST", "Early-Data: 1", LAST)
        config = client_config(authority)
        assert statuses(ask(process, config, b"", marked)) == [425]


def test_without_the_option_no_early_data_are_taken(
    run: Run, site: Path, ca: str, sessions: str, tmp_path: Path
) -> None:
    request = tmp_path / "request"
    request.write_bytes(GET)
    arguments = ("--session", sessions, "--early-data", str(request))
    with started("serve", str(site), "--port", "0") as process:
        for resumed in (False, True):
            shown = shown_by(run, process, ca, *arguments)
            assert (shown["resumed"], shown["early_data"]) == (resumed, "none")
            why = "ticket does not allow any" if resumed else "no session of this server to resume"
            assert why in shown["stderr"]


# OpenSSL


def openssl(*arguments: str, stdin: bytes = b"") -> str:
    """Runs the command until it ends; what it said."""
    done = subprocess.run(
        ["openssl", *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=WAIT_SECONDS,
        check=False,
    )
    return done.stdout.decode("utf-8", "replace")


def test_s_client_comes_back_with_early_data(files: Process, ca: str, tmp_path: Path) -> None:
    session, request = str(tmp_path / "session.pem"), tmp_path / "request"
    request.write_bytes(GET)
    client = (
        "s_client", "-connect", f"localhost:{files.port}", "-servername", "localhost",
        "-CAfile", ca, "-verify_return_error", "-ign_eof", "-alpn", "http/1.1",
    )  # fmt: skip
    said = openssl(*client, "-sess_out", session, stdin=GET)
    assert "hello over TLS" in said, said
    said = openssl(*client, "-sess_in", session, "-early_data", str(request))
    assert "Early data was accepted" in said
    assert "Reused, TLSv1.3" in said
    assert "hello over TLS" in said
    # It shows the same ticket again, as somebody would who has recorded it.
    said = openssl(*client, "-sess_in", session, "-early_data", str(request), stdin=GET)
    assert "Early data was rejected" in said
    assert "hello over TLS" in said
    assert "resumed  early data accepted" in files.line("resumed")


@contextmanager
def s_server(*arguments: str, port: int = 0) -> Iterator[tuple[Process, Queue[str]]]:
    """The process, and the lines that it says."""
    popen = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", *arguments],
        stdin=subprocess.PIPE,  # which stays open: at its end the server would stop
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert popen.stdout is not None
    output, lines = popen.stdout, Queue[str]()

    def read() -> None:
        for line in output:
            lines.put(line)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        # It names the port where it was not told which.
        found = waited_for(lines, r"^ACCEPT(?: .*:(\d+))?$")
        yield Process(popen, int(found or port), lines), lines
    finally:
        popen.send_signal(signal.SIGKILL)
        popen.wait(WAIT_SECONDS)
        reader.join(WAIT_SECONDS)
        output.close()
        if popen.stdin is not None:
            popen.stdin.close()


def waited_for(lines: Queue[str], pattern: str) -> str | None:
    """What is in the brackets of the next line that matches."""
    seen: list[str] = []
    while True:
        try:
            line = lines.get(timeout=WAIT_SECONDS)
        except Empty:
            raise AssertionError(f"no line like {pattern!r} in {seen}") from None
        if found := re.search(pattern, line):
            return found[1]
        seen.append(line)


def test_s_server_takes_early_data(
    run: Run, pair: tuple[str, str], ca: str, sessions: str, tmp_path: Path
) -> None:
    request = tmp_path / "request"
    request.write_bytes(b"what came early\n")
    arguments = ("--session", sessions, "--early-data", str(request))
    chain, key = pair
    files = ("-cert", chain, "-cert_chain", chain, "-key", key)
    with s_server(*files, "-early_data") as (process, lines):
        first = shown_by(run, process, ca, *arguments)
        assert (first["resumed"], first["early_data"]) == (False, "none")
        second = shown_by(run, process, ca, *arguments)
        assert (second["resumed"], second["early_data"]) == (True, "accepted")
        assert waited_for(lines, "^(what came early)$")


def test_s_server_that_forgets(
    run: Run, pair: tuple[str, str], ca: str, sessions: str, tmp_path: Path
) -> None:
    """The ticket is of no use to the next process, which has keys of its own."""
    request = tmp_path / "request"
    request.write_bytes(b"what came early\n")
    arguments = ("--session", sessions, "--early-data", str(request))
    chain, key = pair
    files = ("-cert", chain, "-cert_chain", chain, "-key", key)
    with s_server(*files, "-early_data") as (process, _):
        shown_by(run, process, ca, *arguments)
    with s_server(*files, port=process.port) as (process, _):
        shown = shown_by(run, process, ca, *arguments)
        assert (shown["resumed"], shown["early_data"]) == (False, "rejected")
        assert "which were not sent again" in shown["stderr"]
