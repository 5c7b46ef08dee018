"""Traces at the command line: told with -v, redacted, and laid side by side."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Process, Run, started

from handclasp import Recorder
from handclasp.trace.events import KeyStep, SecretDerived, TransportSeen


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    from tests.cli.conftest import _home

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDCLASP_HOME", str(_home(tmp_path_factory)))
        with started("serve", "--echo", "--port", "0") as process:
            yield process


def connected(run: Run, server: Process, ca: str, *arguments: str) -> Any:
    return run("connect", f"localhost:{server.port}", "--ca", ca, *arguments, input="")


def story(text: str) -> str:
    return text.partition("\nConnected to ")[0]


# The story


def test_connect_tells_its_handshake(run: Run, server: Process, ca: str) -> None:
    result = connected(run, server, ca)
    assert result.exit_code == 0
    assert result.stdout == ""
    told = story(result.stderr)
    for name in ("ClientHello", "ServerHello", "EncryptedExtensions", "Finished"):
        assert f"  {name} " in told
    assert "I am looking for localhost" in told
    assert told.startswith("client  ")
    assert max(map(len, told.splitlines())) == 80
    assert told.isascii()


def test_v_unfolds_and_vv_shows_bytes(run: Run, server: Process, ca: str) -> None:
    plain, fields, in_bytes = (
        story(connected(run, server, ca, *more).stderr) for more in ((), ("-v",), ("-vv",))
    )
    assert len(plain) < len(fields) < len(in_bytes)
    assert "cipher_suites: GREASE" in fields
    assert "What was chosen, and why" in fields
    assert "What it cost on this side" in fields
    assert "[0:1] msg_type: ClientHello" in in_bytes
    for text in (fields, in_bytes):
        assert max(map(len, text.splitlines())) <= 80


def test_a_wider_terminal_is_used(run: Run, server: Process, ca: str) -> None:
    for columns, width in (("100", 100), ("300", 100), ("70", 70), ("20", 60)):
        result = run(
            "connect", f"localhost:{server.port}", "--ca", ca, input="",
            env={"COLUMNS": columns},
        )  # fmt: skip
        assert max(map(len, story(result.stderr).splitlines())) == width


@pytest.mark.parametrize("options", [("-v",), ("-vv",), ("--explain",)])
@pytest.mark.parametrize("width", [60, 70])
def test_all_that_is_told_fits(
    run: Run,
    server: Process,
    ca: str,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    width: int,
) -> None:
    """Not the story alone: also who the peer is, and why it is trusted or not."""
    monkeypatch.chdir(Path(ca).parent)  # A path is not broken into lines, however long it is.
    ca = Path(ca).name
    for more in ((), ("--server-name", "bank.example")):
        result = run(
            "connect", f"localhost:{server.port}", "--ca", ca, *options, *more, input="",
            env={"COLUMNS": str(width)},
        )  # fmt: skip
        assert max(map(len, result.stderr.splitlines())) <= width
        assert "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" in result.stderr or (
            options == ("--explain",)
        )


def test_a_refused_connection_fits(run: Run) -> None:
    result = run("connect", "localhost:1", env={"COLUMNS": "60"})
    assert result.exit_code == 1
    assert 50 < max(map(len, result.stderr.splitlines())) <= 60


def test_a_trace_of_no_handshake_is_none(run: Run, tmp_path: Path) -> None:
    """Where nothing listens, nothing was sent; two such traces are not two equal handshakes."""
    trace, page, other = (str(tmp_path / name) for name in ("e.json", "e.html", "other.html"))
    for path in (trace, page):
        assert run("connect", "localhost:1", "-q", "--trace", path).exit_code == 1
    said = "holds no handshake. No byte of TLS was sent or received"
    for command in (
        ("explain", trace),
        ("explain", trace, "--html", other),
        ("diff", trace, trace),
        ("diff", trace, trace, "--json"),
    ):
        result = run(*command)
        assert (result.exit_code, result.stdout) == (2, ""), command
        assert said in " ".join(result.stderr.split())
    assert not Path(other).exists()
    shown = Path(page).read_text()
    assert "No handshake with localhost" in shown
    assert "No byte of TLS was sent or received" in shown
    assert "This is one such" not in shown
    assert "Read by handclasp, which did not run this handshake" not in shown
    assert "No byte of TLS was sent or received" in Recorder().to_text()


def test_a_failure_is_told_up_to_its_end(run: Run, server: Process, ca: str) -> None:
    result = connected(run, server, ca, "--server-name", "bank.example", "-v")
    assert result.exit_code == 1
    assert "Alert: bad_certificate" in result.stderr or "Alert: " in result.stderr
    assert "The handshake was not completed." in result.stderr
    assert result.stderr.count("(CERTIFICATE_NAME_MISMATCH; alert") == 1
    assert result.stderr.index("ClientHello") < result.stderr.index("No connection: ")


@pytest.mark.parametrize("silent", ["--quiet", "--json"])
def test_who_wants_no_story_gets_none(run: Run, server: Process, ca: str, silent: str) -> None:
    assert "ClientHello" not in connected(run, server, ca, silent, "-v").stderr


@pytest.mark.parametrize("traced", [False, True])
def test_a_quiet_failure_is_told_without_its_story(
    run: Run, server: Process, ca: str, tmp_path: Path, traced: bool
) -> None:
    trace = ("--trace", str(tmp_path / "trace.json")) if traced else ()
    result = connected(run, server, ca, "--server-name", "bank.example", "-q", *trace)
    assert result.exit_code == 1
    assert result.stderr.startswith("No connection: ")
    assert "CERTIFICATE_NAME_MISMATCH" in result.stderr
    assert "ClientHello" not in result.stderr


def test_nothing_is_told_where_nothing_was_said(run: Run) -> None:
    result = run("connect", "localhost:1", "-v")
    assert result.exit_code == 1
    assert "client  " not in result.stderr


def test_serve_tells_each_handshake(run: Run, ca: str) -> None:
    with started("serve", "--echo", "--port", "0", "-v") as process:
        connected(run, process, ca, "--quiet")
        process.line(r"TLSv1.3")
        process.line(r"^client +server$")
        process.line(r"Hello, I am looking for localhost")


def test_the_demo_unfolds(run: Run) -> None:
    result = run("demo", "--once", "--no-browser", "--port", "0", "-v")
    assert result.exit_code == 0
    assert "What was chosen, and why" in result.stdout


# Secrets, by choice


def test_secrets_are_recorded_on_request(
    run: Run, server: Process, ca: str, tmp_path: Path
) -> None:
    path = tmp_path / "trace.json"
    for arguments, has_secrets in (((), False), (("--record-secrets",), True)):
        result = connected(run, server, ca, "-q", "--trace", str(path), *arguments)
        assert result.exit_code == 0
        events = Recorder.load(path).events
        assert any(isinstance(event, SecretDerived) for event in events) is has_secrets
        values = [event.value for event in events if isinstance(event, KeyStep)]
        assert any(values) is has_secrets
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "arguments",
    [
        ("--redact", "names"),
        ("--redact", "everything", "--trace", "t.json"),
        ("--redact", "names", "--trace", "t.pcapng"),
        ("--record-secrets",),
        ("--record-secrets", "--redact", "names", "--trace", "t.json"),
    ],
)
def test_what_does_not_go_together(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("connect", "localhost:1", *arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


# Redaction


def test_a_trace_is_redacted_as_it_is_saved(
    run: Run, server: Process, ca: str, tmp_path: Path
) -> None:
    path = tmp_path / "trace.json"
    result = connected(run, server, ca, "-q", "--trace", str(path), "--redact", "names,addresses")
    assert result.exit_code == 0
    assert "localhost" not in path.read_text()
    assert b"localhost".hex() not in path.read_text()
    (ends,) = [e for e in Recorder.load(path).events if isinstance(e, TransportSeen)]
    assert ends.peer_address.startswith(("192.0.2.", "2001:db8:"))


def test_the_page_of_a_redacted_trace(run: Run, server: Process, ca: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.html"
    result = connected(run, server, ca, "-q", "--trace", str(path), "--redact", "all")
    assert result.exit_code == 0
    assert "localhost" not in path.read_text()


def test_a_saved_trace_is_redacted(run: Run, server: Process, ca: str, tmp_path: Path) -> None:
    full, less, least = (tmp_path / name for name in ("full.json", "less.json", "least.json"))
    connected(run, server, ca, "-q", "--trace", str(full), "--record-secrets")
    result = run("redact", str(full), str(less))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{less} is without secrets. It still holds names and addresses.\n"
    secrets = [e.value.hex() for e in Recorder.load(full).events if isinstance(e, SecretDerived)]
    assert secrets
    assert not any(secret in less.read_text() for secret in secrets)
    assert "localhost" in less.read_text()
    result = run("redact", str(full), str(least), "--names", "--addresses")
    assert result.stderr == f"{least} is without secrets, names and addresses.\n"
    assert "localhost" not in least.read_text()
    assert stat.S_IMODE(least.stat().st_mode) == 0o600


def test_a_trace_is_not_redacted_over_itself(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    Recorder().save(path)
    assert run("redact", str(path), str(path)).exit_code == 2
    assert run("redact", str(path), str(tmp_path / "trace.pcapng")).exit_code == 2


def test_serve_redacts_what_it_saves(run: Run, ca: str, tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    arguments = ("--trace", str(traces), "--pages", "--redact", "all")
    with started("serve", "--echo", "--port", "0", *arguments) as process:
        connected(run, process, ca, "-q")
        process.line(r"TLSv1.3")
        process.popen.terminate()
        process.popen.wait(30)
    paths = sorted(traces.iterdir())
    assert [path.name for path in paths] == ["0001-client.html", "0001-client.json"]
    for path in paths:
        assert "localhost" not in path.read_text()
        assert "127.0.0.1" not in path.read_text()


# Two side by side


@pytest.fixture
def two(run: Run, server: Process, ca: str, tmp_path: Path) -> tuple[str, str]:
    paths = tmp_path / "a.json", tmp_path / "b.json"
    for path, arguments in zip(paths, ((), ("--tls12",)), strict=True):
        assert connected(run, server, ca, "-q", "--trace", str(path), *arguments).exit_code == 0
    return str(paths[0]), str(paths[1])


def test_two_handshakes_are_compared(run: Run, two: tuple[str, str]) -> None:
    result = run("diff", *two)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"A is {two[0]}\nB is {two[1]}\n\nWhat matters\n  version\n")
    assert "    A  TLSv1.3\n    B  TLSv1.2\n" in result.stdout
    lines = result.stdout.splitlines()[2:]
    assert max(map(len, lines)) <= 80
    assert result.stdout.isascii()


def test_a_comparison_as_json(run: Run, two: tuple[str, str]) -> None:
    result = run("diff", *two, "--json")
    shown = json.loads(result.stdout)
    assert shown["same"] is False
    (version,) = [each for each in shown["differences"] if each["what"] == "version"]
    assert (version["first"], version["second"]) == ("TLSv1.3", "TLSv1.2")
    same = run("diff", two[0], two[0], "--json")
    assert json.loads(same.stdout) == {"same": True, "differences": []}


def test_nothing_to_tell_is_told(run: Run, two: tuple[str, str]) -> None:
    result = run("diff", two[0], two[0])
    assert result.stdout == "Nothing differs but what is new in every handshake.\n"


def test_what_is_no_trace_is_a_wrong_argument(
    run: Run, two: tuple[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    for path in (str(other), str(tmp_path / "nothing.json")):
        for result in (
            run("diff", two[0], path),
            run("redact", path, str(tmp_path / "out.json")),
            run("explain", path),
        ):
            assert result.exit_code == 2
            assert result.stderr.count("\n") == 1
            assert path in result.stderr


def test_explain_gives_the_fields_as_json(run: Run, two: tuple[str, str]) -> None:
    shown = json.loads(run("explain", two[0], "--json").stdout)
    (hello,) = [e for e in shown["events"] if e["event"] == "message" and e["message_type"] == 1]
    tree = hello["fields"]
    assert (tree["name"], tree["start"], tree["end"]) == ("ClientHello", 0, len(hello["raw"]) // 2)
    assert tree["section"] == "RFC 8446 section 4.1.2"


def test_explain_unfolds_as_connect_does(run: Run, two: tuple[str, str]) -> None:
    for detail in ("-v", "-vv"):
        told = run("explain", two[1], detail).stdout
        assert "What was chosen, and why" in told
        assert max(map(len, told.splitlines())) <= 80


@pytest.mark.parametrize("output", ["out.txt", "out.pcapng", "nowhere/out.json"])
def test_redact_speaks_of_its_own_arguments(
    run: Run, two: tuple[str, str], tmp_path: Path, output: str
) -> None:
    result = run("redact", two[0], str(tmp_path / output))
    assert result.exit_code == 2
    assert "--trace" not in result.stderr
    expected = "there is no directory" if "nowhere" in output else "must end in .json or .html."
    assert expected in result.stderr
