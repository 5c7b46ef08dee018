"""`handclasp connect`: the conversation, what is told of it, and every way to fail."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.capture.relaying import RelayThread
from tests.cli.conftest import COMMAND, SOURCE, Run, handclasp_process, heed_interrupts, started
from tests.pki import Leaf, Pki

import handclasp
from handclasp import Credentials, Recorder, ServerConfig
from handclasp.certificates.authority import LocalAuthority
from handclasp.cli.inputs import host_and_port, unescaped
from handclasp.cli.outcome import WrongArguments

Serve = Callable[[socket.socket], None]


@contextmanager
def server(serve: Serve, connections: int = 1) -> Iterator[int]:
    """A port of 127.0.0.1 that serves so many connections, each by `serve`."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(30)
    failures: list[BaseException] = []

    def accept() -> None:
        for _ in range(connections):
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(30)
                try:
                    serve(sock)
                except OSError:
                    pass  # What the client thinks of it is for the test to look at.
                except BaseException as error:
                    failures.append(error)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(30)
        listener.close()
    assert failures == []


def tls_server(credentials: Credentials, answer: bytes = b"", **settings: Any) -> Serve:
    """Sends `answer`, and closes once the client has closed its half."""
    config = ServerConfig(credentials=credentials, **settings)

    def serve(sock: socket.socket) -> None:
        with handclasp.wrap_server(sock, config) as tls:
            tls.sendall(answer)
            while tls.recv(65536):
                pass

    return serve


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture
def ca_of_pki(pki: Pki, tmp_path: Path) -> str:
    path = tmp_path / "pki.pem"
    path.write_bytes(pki.ca_pem)
    return str(path)


@pytest.fixture
def echo(authority: LocalAuthority) -> Iterator[str]:
    """The address of an echo."""
    with started("serve", "--echo", "--port", "0") as process:
        yield f"localhost:{process.port}"


# The conversation


def test_input_comes_back_byte_for_byte(echo: str, ca: str) -> None:
    data = os.urandom(300_000) + bytes(range(256)) + b"\r\n\x00"
    done = handclasp_process("connect", echo, "--ca", ca, stdin=data)
    assert (done.returncode, done.stdout) == (0, data), done.stderr
    told = done.stderr.decode()
    for expected in ("TLSv1.3", "TLS_AES_", "X25519MLKEM768", "CN=localhost", "trusted", "yes"):
        assert expected in told
    assert "\x1b" not in told
    assert max(map(len, told.splitlines())) <= 80


def test_the_input_may_end_before_the_answer(pki: Pki, ca_of_pki: str) -> None:
    """The end of the input closes one half only."""

    def serve(sock: socket.socket) -> None:
        with handclasp.wrap_server(sock, ServerConfig(credentials=pki.server())) as tls:
            asked = b"".join(iter(lambda: tls.recv(100), b""))
            tls.sendall(b"you said " + asked)

    with server(serve) as port:
        done = handclasp_process("connect", f"localhost:{port}", "--ca", ca_of_pki, stdin=b"this")
    assert (done.returncode, done.stdout) == (0, b"you said this")


def test_the_peer_may_end_before_the_input(pki: Pki, ca_of_pki: str) -> None:
    def serve(sock: socket.socket) -> None:
        with handclasp.wrap_server(sock, ServerConfig(credentials=pki.server())) as tls:
            tls.sendall(b"bye")

    with server(serve) as port:
        popen = subprocess.Popen(
            [*COMMAND, "connect", f"localhost:{port}", "--ca", ca_of_pki, "--quiet"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        try:
            assert popen.wait(30) == 0  # although its standard input is still open
        finally:
            popen.kill()
            output, errors = popen.communicate()
    assert (output, errors) == (b"bye", b"")


def test_interrupts_end_it_without_a_traceback(echo: str, ca: str) -> None:
    popen = subprocess.Popen(
        [*COMMAND, "connect", echo, "--ca", ca, "--quiet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": SOURCE},
        preexec_fn=heed_interrupts,
    )
    assert popen.stdin is not None
    assert popen.stdout is not None
    try:
        popen.stdin.write(b"ping")
        popen.stdin.flush()
        assert popen.stdout.read(4) == b"ping"
        popen.send_signal(signal.SIGINT)
        assert popen.wait(30) == 0
    finally:
        popen.kill()
        _, errors = popen.communicate()
    assert errors == b""


def test_closed_output_ends_it_quietly(pki: Pki, ca_of_pki: str) -> None:
    with server(tls_server(pki.server(), b"x" * 3_000_000)) as port:
        popen = subprocess.Popen(
            [*COMMAND, "connect", f"localhost:{port}", "--ca", ca_of_pki, "--quiet"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        assert popen.stdout is not None
        try:
            assert popen.stdout.read(1) == b"x"
            popen.stdout.close()
            assert popen.wait(30) == 0
        finally:
            popen.kill()
            assert popen.stderr is not None
            assert popen.stderr.read() == b""
            popen.stderr.close()
            assert popen.stdin is not None
            popen.stdin.close()
            popen.wait()


def test_send_reads_until_the_peer_closes(echo: str, ca: str) -> None:
    done = handclasp_process("connect", echo, "--ca", ca, "--send", r"a\r\n\x00\\b")
    assert (done.returncode, done.stdout) == (0, b"a\r\n\x00\\b")


def test_quiet_says_nothing_when_it_works(echo: str, ca: str) -> None:
    done = handclasp_process("connect", echo, "--ca", ca, "--quiet", stdin=b"x")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x", b"")


# What is told


def test_json_of_a_connection(run: Run, pki: Pki, ca_of_pki: str) -> None:
    with server(tls_server(pki.server("localhost", "a.test"), alpn=("h2",))) as port:
        result = run(
            "connect", f"localhost:{port}", "--ca", ca_of_pki, "--alpn", "h2,http/1.1", "--json"
        )
    assert (result.exit_code, result.stderr) == (0, "")
    shown = json.loads(result.stdout)
    assert shown["peer"].keys() == {
        "subject", "issuer", "names", "not_before", "not_after", "verified",
    }  # fmt: skip
    assert shown["peer"]["names"] == ["localhost", "a.test"]
    assert shown["peer"]["verified"] is True
    assert shown["timings_us"].keys() == {"dns", "tcp", "handshake"}
    assert all(type(value) is int and value >= 0 for value in shown["timings_us"].values())
    expected = {
        "ok": True,
        "version": "TLSv1.3",
        "cipher_suite": "TLS_AES_128_GCM_SHA256",
        "group": "X25519MLKEM768",
        "signature_scheme": "ecdsa_secp256r1_sha256",
        "alpn": "h2",
        "server_name": "localhost",
        "resumed": False,
        "early_data": "none",
        "hello_retry": False,
    }
    assert {name: shown[name] for name in expected} == expected


def test_json_with_send_has_the_answer(echo: str, ca: str, run: Run) -> None:
    result = run("connect", echo, "--ca", ca, "--send", r"\xffok", "--json")
    shown = json.loads(result.stdout)
    assert (shown["received_bytes"], shown["received"]) == (3, "\\xffok")


def test_what_is_offered_can_be_chosen(run: Run, pki: Pki, ca_of_pki: str) -> None:
    suite = "TLS_CHACHA20_POLY1305_SHA256"
    with server(tls_server(pki.server(), groups=("secp384r1", "X25519"))) as port:
        result = run(
            "connect", f"localhost:{port}", "--ca", ca_of_pki, "--json", "--tls13",
            "--suite", suite, "--group", "x25519", "--group", "secp384r1",
        )  # fmt: skip
    shown = json.loads(result.stdout)
    assert shown["cipher_suite"] == suite
    # The first group goes with a share; whether the server takes it or retries is its choice.
    assert shown["group"] in ("X25519", "secp384r1")
    with server(tls_server(pki.server(), groups=("secp384r1",))) as port:
        result = run(
            "connect", f"localhost:{port}", "--ca", ca_of_pki, "--json",
            "--group", "X25519", "--group", "secp384r1",
        )  # fmt: skip
    shown = json.loads(result.stdout)
    assert (shown["group"], shown["hello_retry"]) == ("secp384r1", True)


KEY_TRANSPORT_SUITE = "TLS_RSA_WITH_AES_128_GCM_SHA256"


@pytest.mark.parametrize(
    ("arguments", "version", "group"),
    [
        ((), "TLSv1.3", "X25519MLKEM768"),
        (("--tls13",), "TLSv1.3", "X25519MLKEM768"),
        (("--tls12",), "TLSv1.2", "X25519"),
        (("--tls12", "--tls13"), "TLSv1.3", "X25519MLKEM768"),
        (("--tls12", "--group", "secp384r1", "--group", "secp256r1"), "TLSv1.2", "secp384r1"),
        (("--group", "SECP256R1"), "TLSv1.3", "secp256r1"),
    ],
)
def test_the_version_can_be_chosen(
    run: Run, pki: Pki, ca_of_pki: str, arguments: tuple[str, ...], version: str, group: str
) -> None:
    with server(tls_server(pki.server(), prefer_client_order=True)) as port:
        result = run("connect", f"localhost:{port}", "--ca", ca_of_pki, "--json", *arguments)
    shown = json.loads(result.stdout)
    assert (shown["version"], shown["group"]) == (version, group)
    assert shown["signature_scheme"] == "ecdsa_secp256r1_sha256"


def test_a_suite_of_tls12_chooses_the_version(run: Run, pki: Pki, ca_of_pki: str) -> None:
    suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
    with server(tls_server(pki.server())) as port:
        result = run(
            "connect", f"localhost:{port}", "--ca", ca_of_pki, "--json",
            "--suite", suite, "--group", "X25519", "--group", "secp256r1",
        )  # fmt: skip
    shown = json.loads(result.stdout)
    assert (shown["version"], shown["cipher_suite"]) == ("TLSv1.2", suite)


def test_key_transport_is_allowed_with_a_warning(
    run: Run, pki: Pki, ca_of_pki: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(ca_of_pki).parent)  # A path is not broken into lines.
    ca_of_pki = Path(ca_of_pki).name
    old = tls_server(pki.server(key_type="rsa-2048"), allow_rsa_key_transport=True)
    allowed = ("--allow-rsa-key-transport", "--suite", KEY_TRANSPORT_SUITE)
    with server(old, connections=3) as port:
        told = run("connect", f"localhost:{port}", "--ca", ca_of_pki, *allowed, input="")
        as_json = run("connect", f"localhost:{port}", "--ca", ca_of_pki, *allowed, "--json")
        quiet = run("connect", f"localhost:{port}", "--ca", ca_of_pki, *allowed, "-q", input="")
    assert told.exit_code == as_json.exit_code == 0
    for each in (told, as_json):
        assert each.stderr.startswith("Warning: --allow-rsa-key-transport")
        assert "forward secrecy" in each.stderr
    assert "none: the client made the secret (no forward secrecy)" in told.stderr
    assert max(map(len, told.stderr.splitlines())) <= 80
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    shown = json.loads(as_json.stdout)
    assert (shown["version"], shown["cipher_suite"]) == ("TLSv1.2", KEY_TRANSPORT_SUITE)
    assert (shown["group"], shown["signature_scheme"]) == (None, None)
    assert shown["peer"]["verified"] is True


def test_key_transport_that_is_allowed_is_the_last_choice(
    run: Run, pki: Pki, ca_of_pki: str
) -> None:
    old = tls_server(
        pki.server(key_type="rsa-2048"), allow_rsa_key_transport=True, versions=("TLSv1.2",)
    )
    with server(old) as port:
        arguments = ("--ca", ca_of_pki, "--json", "--allow-rsa-key-transport")
        result = run("connect", f"localhost:{port}", *arguments)
    shown = json.loads(result.stdout)
    assert (shown["version"], shown["group"]) == ("TLSv1.2", "X25519")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("--suite", KEY_TRANSPORT_SUITE),
            f"{KEY_TRANSPORT_SUITE} has no forward secrecy. To use it anyway, add "
            "--allow-rsa-key-transport.",
        ),
        (
            ("--tls13", "--allow-rsa-key-transport"),
            "--allow-rsa-key-transport applies to TLS 1.2: leave out --tls13, and let a --suite be "
            "one of TLS 1.2.",
        ),
        (
            ("--suite", "TLS_AES_128_GCM_SHA256", "--allow-rsa-key-transport"),
            "--allow-rsa-key-transport applies to TLS 1.2: leave out --tls13, and let a --suite be "
            "one of TLS 1.2.",
        ),
        (
            ("--tls12", "--suite", "TLS_AES_128_GCM_SHA256"),
            "--tls12 does not go with the rest: --suite contains nothing for it. Leave one of "
            "them out.",
        ),
        (
            ("--tls13", "--suite", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            "--tls13 does not go with the rest: --suite contains nothing for it. Leave one of "
            "them out.",
        ),
        (
            ("--tls12", "--group", "X25519MLKEM768"),
            "--tls12 does not go with the rest: --group contains nothing for it. Leave one of "
            "them out.",
        ),
    ],
)
def test_versions_and_what_does_not_go_with_them(
    run: Run, arguments: tuple[str, ...], sentence: str
) -> None:
    result = run("connect", "localhost:1", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"handclasp: {sentence}\n"


def test_insecure_says_that_nobody_was_verified(run: Run, pki: Pki) -> None:
    with server(tls_server(pki.server("other.test")), connections=2) as port:
        human = run("connect", f"localhost:{port}", "--insecure", input="")
        shown = json.loads(run("connect", f"localhost:{port}", "--insecure", "--json").stdout)
    assert human.exit_code == 0
    assert "NO: nobody checked" in human.stderr
    assert shown["peer"]["verified"] is False


def test_another_server_name(run: Run, pki: Pki, ca_of_pki: str) -> None:
    with server(tls_server(pki.server("other.test"))) as port:
        result = run(
            "connect", f"127.0.0.1:{port}", "--ca", ca_of_pki, "--server-name", "other.test",
            "--json",
        )  # fmt: skip
    assert json.loads(result.stdout)["server_name"] == "other.test"


def test_client_certificates(run: Run, authority: LocalAuthority, ca: str, tmp_path: Path) -> None:
    run("cert", "issue", "Ada Lovelace", "--client", "--out", str(tmp_path))
    mine = ("--cert", str(tmp_path / "chain.pem"), "--key", str(tmp_path / "key.pem"))
    arguments = ("--client-ca", ca, "--require-client-cert")
    with started("serve", "--echo", "--port", "0", *arguments) as process:
        address = f"localhost:{process.port}"
        shown = json.loads(run("connect", address, "--ca", ca, *mine, "--json").stdout)
        assert shown["client_signature_scheme"] == "ecdsa_secp256r1_sha256"
        refused = run("connect", address, "--ca", ca, "--send", "hello", "--json")
    assert refused.exit_code == 1
    error = json.loads(refused.stdout)["error"]
    assert (error["from"], error["alert"]) == ("peer", "certificate_required")
    assert error["fix"]


def test_a_certificate_that_was_asked_for_is_told_of(
    run: Run, authority: LocalAuthority, ca: str, tmp_path: Path
) -> None:
    run("cert", "issue", "Ada Lovelace", "--client", "--out", str(tmp_path))
    mine = ("--cert", str(tmp_path / "chain.pem"), "--key", str(tmp_path / "key.pem"))
    asked = "the server asked for one; none was given"
    with started("serve", "--echo", "--port", "0", "--client-ca", ca) as process:
        address = ("connect", f"localhost:{process.port}", "--ca", ca)
        without = " ".join(run(*address, input="").stderr.split())
        assert asked in without
        assert "(--cert, --key)" in without
        assert asked not in " ".join(run(*address, *mine, input="").stderr.split())
        quiet = run(*address, "-q", input="")
        assert quiet.stderr == f"Client certificate: {asked} (--cert, --key).\n"
        assert run(*address, *mine, "-q", input="").stderr == ""
        for given in ((), mine):
            shown = json.loads(run(*address, *given, "--json").stdout)
            assert shown["client_certificate_requested"] is True
    with started("serve", "--echo", "--port", "0") as process:
        address = ("connect", f"localhost:{process.port}", "--ca", ca)
        unasked = run(*address, input="")
        assert run(*address, "-q", input="").stderr == ""
        shown = json.loads(run(*address, "--json").stdout)
    assert shown["client_certificate_requested"] is False
    assert unasked.exit_code == 0
    assert "client cert" not in unasked.stderr


def test_a_server_of_tls_1_2_asks_in_vain(run: Run, pki: Pki, ca_of_pki: str) -> None:
    """The request is in the clear there, and such servers answer "400" once all went well."""
    serve = tls_server(pki.server(), trust=pki.trust, client_auth="optional", versions=["TLSv1.2"])
    with server(serve) as port:
        quiet = run("connect", f"localhost:{port}", "--ca", ca_of_pki, "-q", input="")
    assert (quiet.exit_code, quiet.stderr.count("\n")) == (0, 1)
    assert "none was given (--cert, --key)" in quiet.stderr


def test_keylog_and_trace(run: Run, pki: Pki, ca_of_pki: str, tmp_path: Path) -> None:
    keylog, trace = tmp_path / "keys.log", tmp_path / "trace.json"
    with server(tls_server(pki.server())) as port:
        result = run(
            "connect", f"localhost:{port}", "--ca", ca_of_pki, "--json",
            "--keylog", str(keylog), "--trace", str(trace),
        )  # fmt: skip
    assert result.exit_code == 0
    assert len(keylog.read_text().splitlines()) == 5
    recorder = Recorder.load(trace)
    assert recorder.events
    for line in keylog.read_text().splitlines():
        assert line.split()[2] not in trace.read_text()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device")
def test_a_key_log_that_cannot_be_written_is_told_with_its_option(
    run: Run, pki: Pki, ca_of_pki: str
) -> None:
    with server(tls_server(pki.server())) as port:
        result = run(
            "connect", f"localhost:{port}", "--ca", ca_of_pki, "--json", "--keylog", "/dev/full"
        )
    failure = json.loads(result.stdout)["error"]
    assert failure["fault"] == "KEY_LOG_FAILED"
    assert failure["fix"].endswith("Or do without one (leave out --keylog).")


def test_a_trace_is_kept_of_a_failure_too(run: Run, pki: Pki, ca: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    with server(tls_server(pki.server())) as port:
        assert run("connect", f"localhost:{port}", "--ca", ca, "--trace", str(trace)).exit_code == 1
    assert "CERTIFICATE_UNTRUSTED" in trace.read_text()


def test_a_page_has_every_rule_of_the_decision(
    run: Run, pki: Pki, ca_of_pki: str, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    with server(tls_server(pki.server())) as port:
        result = run(
            "connect", f"localhost:{port}", "--ca", ca_of_pki, "--json", "--trace", str(page)
        )
    assert result.exit_code == 0
    assert page.stat().st_mode & 0o077 == 0
    document = page.read_text("utf-8")
    assert "<h1>A handshake with localhost</h1>" in document
    assert "<b>Trusted:</b> every rule held." in document
    assert "serial number" in document


def test_a_page_of_a_refusal_says_which_rule_was_broken(
    run: Run, pki: Pki, ca: str, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    with server(tls_server(pki.server())) as port:
        assert run("connect", f"localhost:{port}", "--ca", ca, "--trace", str(page)).exit_code == 1
    document = page.read_text("utf-8")
    assert "CERTIFICATE_UNTRUSTED" in document
    assert "<b>Not trusted:</b>" in document
    assert '<tr class="broken">' in document


# Failures


def failure(run: Run, *arguments: str) -> dict[str, Any]:
    """The error that `connect --json` gives, its form checked."""
    result = run("connect", *arguments, "--json")
    assert result.exit_code == 1, result.output
    shown = json.loads(result.stdout)
    assert shown["ok"] is False
    error = shown["error"]
    assert error.keys() == {
        *("fault", "alert", "from", "message", "explanation", "fix", "blame", "condition"),
        *("causes", "evidence"),
    }
    assert error["blame"] in ("server", "client", "network", "unclear")
    assert error["message"]
    assert error["explanation"]
    return dict(error)


CERTIFICATES: dict[str, Callable[[Pki], Credentials]] = {
    "CERTIFICATE_EXPIRED": lambda pki: pki.expired(),
    "CERTIFICATE_NOT_YET_VALID": lambda pki: pki.not_yet_valid(),
    "CERTIFICATE_NAME_MISMATCH": lambda pki: pki.server("other.test"),
    "CERTIFICATE_UNTRUSTED": lambda pki: Pki().server(),
    "CERTIFICATE_WRONG_PURPOSE": lambda pki: pki.credentials(
        Leaf(purpose=handclasp_purpose_of_clients())
    ),
}


def handclasp_purpose_of_clients() -> Any:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    return ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.mark.parametrize("fault", CERTIFICATES)
def test_certificates_that_do_not_convince(run: Run, pki: Pki, ca_of_pki: str, fault: str) -> None:
    with server(tls_server(CERTIFICATES[fault](pki)), connections=2) as port:
        address = f"localhost:{port}"
        error = failure(run, address, "--ca", ca_of_pki)
        human = run("connect", address, "--ca", ca_of_pki)
    assert (error["fault"], error["from"]) == (fault, "local")
    assert error["fix"]
    assert human.exit_code == 1
    assert human.stdout == ""
    for expected in ("No connection", "found", "at fault", "to change", f"handclasp fault {fault}"):
        assert expected in human.stderr
    assert ("--ca FILE" in human.stderr) == (fault == "CERTIFICATE_UNTRUSTED")


def test_an_alert_of_the_peer(run: Run, pki: Pki, ca_of_pki: str) -> None:
    with server(tls_server(pki.server(), alpn=("h2",)), connections=2) as port:
        arguments = (f"localhost:{port}", "--ca", ca_of_pki, "--alpn", "h9")
        error = failure(run, *arguments)
        human = run("connect", *arguments)
    assert (error["from"], error["alert"]) == ("peer", "no_application_protocol")
    assert "by the server, which sent the alert no_application_protocol" in human.stderr


def test_a_server_of_older_days(run: Run, pair: tuple[str, str], ca: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def serve(sock: socket.socket) -> None:
        context.wrap_socket(sock, server_side=True).close()

    with server(serve, connections=3) as port:
        result = run("connect", f"localhost:{port}", "--ca", ca, "--json")
        only_old = run("connect", f"localhost:{port}", "--ca", ca, "--json", "--tls12")
        error = failure(run, f"localhost:{port}", "--ca", ca, "--tls13")
    assert json.loads(result.stdout)["version"] == "TLSv1.2"
    assert json.loads(only_old.stdout)["version"] == "TLSv1.2"
    assert error["alert"] == "protocol_version"


def test_what_is_not_tls(run: Run, ca: str) -> None:
    def http(sock: socket.socket) -> None:
        sock.recv(1)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        while sock.recv(65536):
            pass

    with server(http) as port:
        assert failure(run, f"localhost:{port}", "--ca", ca)["fault"] == "PLAINTEXT_HTTP"


def test_a_port_that_closes(run: Run, ca: str) -> None:
    def close(sock: socket.socket) -> None:
        sock.recv(65536)

    with server(close) as port:
        error = failure(run, f"localhost:{port}", "--ca", ca)
    assert error["fault"] == "CLOSED_DURING_HANDSHAKE"


def test_a_conversation_that_is_cut_off(run: Run, pki: Pki, ca_of_pki: str) -> None:
    def serve(sock: socket.socket) -> None:
        with handclasp.wrap_server(sock, ServerConfig(credentials=pki.server())) as tls:
            tls.sendall(b"half of i")
            tls.recv(1)
            with socket.socket(fileno=os.dup(tls.fileno())) as raw:
                raw.shutdown(socket.SHUT_RDWR)

    with server(serve) as port:
        result = run("connect", f"localhost:{port}", "--ca", ca_of_pki, "--send", "x")
    assert result.exit_code == 1
    assert "half of i" in result.stdout
    assert "The connection broke" in result.stderr
    assert "TRUNCATED" in result.stderr


def test_network_failures_have_the_same_form(run: Run, ca: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = failure(run, f"127.0.0.1:{port}", "--ca", ca)
    assert (error["fault"], error["from"], error["alert"]) == ("CONNECTION_REFUSED", "local", None)
    human = run("connect", f"127.0.0.1:{port}", "--ca", ca)
    assert human.exit_code == 1
    assert "nothing listens" in human.stderr


def test_names_and_timeouts(run: Run, ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", unknown)
        assert failure(run, "nowhere.invalid", "--ca", ca)["fault"] == "NAME_NOT_FOUND"

    def slow(self: socket.socket, address: object) -> None:
        raise TimeoutError("timed out")

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", slow)
        assert failure(run, "127.0.0.1:1", "--ca", ca)["fault"] == "CONNECTION_TIMEOUT"


# Arguments


@pytest.mark.parametrize(
    "arguments",
    [
        ("host:notaport",),
        ("host:0",),
        ("host:65536",),
        ("host:",),
        (":443",),
        ("[::1:443",),
        ("[::1]443",),
        ("https://host/",),
        ("h ost",),
        ("host", "--ca", "/nowhere/ca.pem"),
        ("host", "--ca", __file__),
        ("host", "--insecure", "--ca", __file__),
        ("host", "--cert", __file__),
        ("host", "--key", __file__),
        ("host", "--suite", "TLS_NULL"),
        ("host", "--group", "secp112r1"),
        ("host", "--alpn", "x" * 256),
        ("host", "--trace", "trace.txt"),
        ("host", "--trace", "/nowhere/trace.json"),
        ("host", "--keylog", "/nowhere/keys.log"),
        ("host", "--send", "\\q"),
        ("host", "--send", "\\x1"),
        ("host", "--send", "\\"),
        ("127.0.0.1:1", "--server-name", "not a name"),
    ],
)
def test_wrong_arguments_are_one_sentence(run: Run, arguments: tuple[str, ...], ca: str) -> None:
    if "--ca" not in arguments:
        arguments = (*arguments, "--ca", ca)
    result = run("connect", *arguments, "--json")
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("handclasp: ")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("https://localhost:9444/",), "localhost:9444"),
        (("https://[::1]:9444/a?b",), "[::1]:9444"),
        (("localhost/",), "localhost"),
        (("localhost", "9444"), "localhost:9444"),
        (("::1", "9444"), "[::1]:9444"),
        (("localhost", "otherhost"), None),
        (("h ost",), None),
    ],
)
def test_addresses_that_are_nearly_right(
    run: Run, arguments: tuple[str, ...], meant: str | None
) -> None:
    result = run("connect", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("handclasp: ")
    assert result.stderr.count("\n") == 1
    if meant is None:
        assert "Did you mean" not in result.stderr
    else:
        assert result.stderr.endswith(f" Did you mean {meant}?\n")


def test_unknown_options_and_missing_arguments(run: Run) -> None:
    assert run("connect").exit_code == 2
    assert run("connect", "host", "--nonsense").exit_code == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.com", ("example.com", 443)),
        ("example.com:8443", ("example.com", 8443)),
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("::1", ("::1", 443)),
        ("[::1]", ("::1", 443)),
        ("[2001:db8::1]:65535", ("2001:db8::1", 65535)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert host_and_port(text) == expected


def test_escapes_in_what_is_sent() -> None:
    assert unescaped(r"GET /\r\n\t\\n\x00\xFfé") == b"GET /\r\n\t\\n\0" + b"\xff" + "é".encode()
    with pytest.raises(WrongArguments):
        unescaped("\\xg0")


# The certificates, and how long to wait


def test_the_certificates_are_shown(run: Run, authority: LocalAuthority, ca: str) -> None:
    issued = authority.issue(["localhost"])
    config = ServerConfig(credentials=Credentials.from_pem(issued.chain_pem, issued.key_pem))

    def serve(sock: socket.socket) -> None:
        with handclasp.wrap_server(sock, config) as tls:
            tls.recv(100)

    pem = issued.chain_pem.decode().partition("-----END")[0]
    with server(serve, 3) as port:
        address = f"localhost:{port}"
        told = run("connect", address, "--ca", ca, "--showcerts", input="")
        as_json = run("connect", address, "--ca", ca, "--showcerts", "--json")
        refused = run(
            "connect", address, "--ca", ca, "--showcerts", "--server-name", "other.test", input=""
        )
    assert told.exit_code == 0
    assert pem in told.stderr
    assert told.stdout == "", "that is for what the server says"
    assert json.loads(as_json.stdout)["peer_chain_pem"][0].startswith(pem)
    assert refused.exit_code == 1
    assert pem in refused.stderr, "what was refused is what people want to look at"


def test_a_server_that_says_nothing_is_not_waited_for(run: Run) -> None:
    done = threading.Event()

    def say_nothing(_: socket.socket) -> None:
        done.wait(30)

    with server(say_nothing) as port:
        result = run("connect", f"localhost:{port}", "--timeout", "0.3", input="")
        done.set()
    assert result.exit_code == 1
    assert "handshake" in result.stderr.lower()


@pytest.mark.parametrize("seconds", ["0", "-1", "soon"])
def test_a_time_that_is_none(run: Run, seconds: str) -> None:
    assert run("connect", "localhost:1", "--timeout", seconds).exit_code == 2


def test_a_name_that_is_unknown_is_told_with_its_option(run: Run) -> None:
    result = run("connect", "localhost:1", "--group", "P-256")
    assert result.exit_code == 2
    assert "--group: 'P-256' is not one of" in result.stderr
    assert "Did you mean secp256r1?" in result.stderr


def upgraded(credentials: Credentials, *said: bytes) -> Serve:
    """Speaks POP3, or what else is said, and begins TLS after that."""
    config = ServerConfig(credentials=credentials)

    def serve(sock: socket.socket) -> None:
        for line in said:
            sock.sendall(line)
            sock.recv(100)
        if said[-1].startswith(b"+OK"):
            sock.sendall(b"+OK begin\r\n")
            with handclasp.wrap_server(sock, config) as tls:
                tls.sendall(b"hello")

    return serve


def test_starttls(run: Run, pair: tuple[str, str], ca: str) -> None:
    credentials = Credentials.load(*pair)
    with server(upgraded(credentials, b"+OK ready\r\n")) as port:
        made = run("connect", f"localhost:{port}", "--ca", ca, "--starttls", "pop3", "--json")
    told = json.loads(made.output)
    assert told["ok"]
    assert "before_tls" in told["timings_us"]


def test_starttls_that_is_refused(run: Run, pair: tuple[str, str], ca: str) -> None:
    credentials = Credentials.load(*pair)
    with server(upgraded(credentials, b"-ERR busy\r\n")) as port:
        made = run("connect", f"localhost:{port}", "--ca", ca, "--starttls", "pop3")
    assert made.exit_code == 1
    told = " ".join(made.output.split())
    assert "The server refuses this client before TLS is asked for: '-ERR busy'." in told
    assert "at fault the server" in told
    assert "before TLS began" in told


def alerted(sock: socket.socket) -> None:
    sock.sendall(b"\x15\x03\x03\x00\x02\x02\x0a")


def test_starttls_where_tls_begins_at_once(run: Run, ca: str) -> None:
    with server(alerted) as port:
        made = run("connect", f"localhost:{port}", "--ca", ca, "--starttls", "smtp")
    told = " ".join(made.output.split())
    assert "The server speaks TLS from the start" in told
    assert "to change Leave --starttls out" in told


def upgraded_never(sock: socket.socket) -> None:
    sock.recv(1)


def test_starttls_with_a_silent_server(run: Run, ca: str) -> None:
    with server(upgraded_never) as port:
        arguments = ["--starttls", "smtp", "--timeout", "0.2", "--json"]
        made = run("connect", f"localhost:{port}", "--ca", ca, *arguments)
    assert json.loads(made.output)["error"]["fault"] == "STARTTLS_TIMEOUT"


def test_a_proxy(run: Run, pair: tuple[str, str], ca: str) -> None:
    credentials = Credentials.load(*pair)
    with server(tls_server(credentials, b"hello")) as port, RelayThread(None) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        made = run("connect", f"localhost:{port}", "--ca", ca, "--proxy", url, "--send", "")
        told = " ".join(made.output.split())
        assert f"by the proxy 127.0.0.1 port {proxy.port}" in told
        assert "before tls" in told
    assert [str(each.target) for each in proxy.ended] == [f"localhost:{port}"]


def test_a_proxy_that_reaches_no_server(run: Run, ca: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with RelayThread(None) as proxy:
        url = f"127.0.0.1:{proxy.port}"
        made = run("connect", f"localhost:{port}", "--ca", ca, "--proxy", url, "--json")
    error = json.loads(made.output)["error"]
    assert error["fault"] == "PROXY_REFUSED"
    assert "502" in error["message"]


@pytest.mark.parametrize("url", ["socks5://user:secret@localhost", "http://user:secret@"])
def test_a_proxy_of_another_kind(run: Run, url: str) -> None:
    made = run("connect", "localhost:1", "--proxy", url)
    assert made.exit_code == 2
    assert "--proxy: write http://HOST:PORT" in made.output
    assert "secret" not in made.output


@pytest.mark.parametrize(
    ("greeting", "option"),
    [(b"220 mail ESMTP\r\n", "--starttls smtp"), (b"* OK IMAP4rev1\r\n", "--starttls imap")],
)
def test_a_greeting_in_the_clear_is_answered_with_its_starttls(
    run: Run, greeting: bytes, option: str
) -> None:
    def greet(sock: socket.socket) -> None:
        sock.sendall(greeting)
        while sock.recv(65536):
            pass

    with server(greet) as port:
        ran = run("connect", f"127.0.0.1:{port}")
    assert ran.exit_code == 1
    assert option in ran.stderr


def test_a_server_that_closes_at_once_is_told_of_without_repetition(run: Run) -> None:
    def close(sock: socket.socket) -> None:
        sock.recv(65536)

    with server(close) as port:
        told = " ".join(run("connect", f"127.0.0.1:{port}").stderr.split())
    assert "(the server had said nothing at all)" in told
    assert told.count("before the handshake was complete") == 1
    assert "something on the way" not in told  # Nothing is, within one machine.


def test_the_first_of_several_reasons_has_the_first_perhaps(
    run: Run, pair: tuple[str, str], ca: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")

    def refuse(sock: socket.socket) -> None:
        context.wrap_socket(sock, server_side=True)

    with server(refuse) as port:
        told = run("connect", f"localhost:{port}", "--ca", ca).stderr
    labels = re.findall(r"^ +(perhaps|or perhaps)  ", told, re.MULTILINE)
    assert labels == ["perhaps", *["or perhaps"] * 4]
    assert "such as Ed25519 or one with SHA-1" in " ".join(told.split())
