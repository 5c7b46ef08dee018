"""`handclasp serve`: what it serves, what it says, and what it refuses to start with."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.cli.conftest import COMMAND, SOURCE, Process, Run, started
from tests.pki import Leaf, Pki, pem_of

import handclasp
from handclasp import ClientConfig, Recorder, TLSError
from handclasp.certificates.authority import LocalAuthority
from handclasp.cli.outcome import WrongArguments


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory with a file in it, and secrets around it."""
    site = tmp_path / "site"
    (site / "below").mkdir(parents=True)
    (site / "hello.txt").write_text("hello over TLS\n")
    (site / "below" / "large.bin").write_bytes(bytes(range(256)) * 8192)
    (tmp_path / "secret.txt").write_text("secret")
    (site / "link.txt").symlink_to(tmp_path / "secret.txt")
    (site / "out").symlink_to(tmp_path)
    return site


@pytest.fixture
def files(site: Path) -> Iterator[Process]:
    with started("serve", str(site), "--port", "0") as process:
        yield process


def request(process: Process, path: str, authority: LocalAuthority) -> tuple[str, bytes]:
    """Status line and body of a GET."""
    config = ClientConfig(trust=authority.trust, alpn=("http/1.1",))
    with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
        tls.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: tls.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0].decode(), body


def test_files_arrive_whole(files: Process, site: Path, authority: LocalAuthority) -> None:
    assert request(files, "/hello.txt", authority) == ("HTTP/1.1 200 OK", b"hello over TLS\n")
    large = (site / "below" / "large.bin").read_bytes()
    assert request(files, "/below/large.bin", authority)[1] == large
    status, listing = request(files, "/", authority)
    assert status == "HTTP/1.1 200 OK"
    assert b"hello.txt" in listing
    assert b'<meta name="viewport" content="width=device-width' in listing  # For telephones.


@pytest.mark.parametrize(
    "path",
    [
        "/missing",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/below/../../secret.txt",
        "/..%2fsecret.txt",
        "//secret.txt",
        "/link.txt",
        "/out/secret.txt",
        "/out/",
    ],
)
def test_nothing_outside_is_served(files: Process, authority: LocalAuthority, path: str) -> None:
    status, body = request(files, path, authority)
    assert status.startswith("HTTP/1.1 404")
    assert b"secret\n" not in body
    assert body != b"secret"


def test_a_line_for_each_connection(files: Process, authority: LocalAuthority) -> None:
    request(files, "/hello.txt", authority)
    line = files.line("TLSv1.3")
    assert "X25519MLKEM768" in line
    assert "http/1.1" in line
    config = ClientConfig(trust=authority.trust)
    with pytest.raises(TLSError):
        handclasp.connect("localhost", files.port, config, server_name="other.example", timeout=20)
    assert "the client sent bad_certificate" in files.line("failed")
    with socket.create_connection(("127.0.0.1", files.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert sock.recv(100)[:1] == b"\x15"  # an alert
    assert "PLAINTEXT_HTTP" in files.line("failed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(files: Process, number: int) -> None:
    with socket.create_connection(("127.0.0.1", files.port)):  # a visitor who does not speak
        assert files.end(number) == 0
    while not files.lines.empty():
        assert "Traceback" not in files.lines.get()


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_one_version_alone(authority: LocalAuthority, version: str) -> None:
    other = {"TLSv1.2": "TLSv1.3", "TLSv1.3": "TLSv1.2"}[version]
    option = {"TLSv1.2": "--tls12", "TLSv1.3": "--tls13"}[version]
    with started("serve", "--echo", "--port", "0", option) as process:
        config = ClientConfig(trust=authority.trust)
        with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
            assert tls.info.version == version
        process.line(version)
        config = ClientConfig(trust=authority.trust, versions=(other,))
        with pytest.raises(TLSError, match="protocol_version"):
            handclasp.connect("localhost", process.port, config, timeout=20)
        assert "NO_SHARED_VERSION" in process.line("failed")


@pytest.mark.parametrize("options", [(), ("--tls12", "--tls13")])
def test_both_versions(authority: LocalAuthority, options: tuple[str, ...]) -> None:
    with started("serve", "--echo", "--port", "0", *options) as process:
        for version in ("TLSv1.2", "TLSv1.3"):
            config = ClientConfig(trust=authority.trust, versions=(version,))
            with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
                assert tls.info.version == version


def test_key_transport_is_allowed_with_a_warning(authority: LocalAuthority) -> None:
    suite = "TLS_RSA_WITH_AES_128_GCM_SHA256"
    old = ClientConfig(trust=authority.trust, cipher_suites=(suite,), allow_rsa_key_transport=True)
    arguments = ("serve", "--echo", "--port", "0", "--allow-rsa-key-transport")
    with started(*arguments) as process:
        # It has a certificate for that; to everybody else it speaks as ever.
        with handclasp.connect("localhost", process.port, old, timeout=20) as tls:
            assert (tls.info.cipher_suite, tls.info.group) == (suite, None)
            tls.sendall(b"there and back")
            assert tls.recv(100) == b"there and back"
        assert f"{suite}  RSA key transport" in process.line("TLSv1.2")
        config = ClientConfig(trust=authority.trust)
        with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
            assert tls.info.signature_scheme == "ecdsa_secp256r1_sha256"
        process.end(signal.SIGTERM)


def test_the_warning_is_on_standard_error(home: Path) -> None:
    popen = subprocess.Popen(
        [*COMMAND, "serve", "--echo", "--port", "0", "--json", "--allow-rsa-key-transport"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    assert popen.stderr is not None
    try:
        said = [popen.stderr.readline()]
        while said[-1] and "Ctrl-C" not in said[-1]:
            said.append(popen.stderr.readline())
    finally:
        popen.terminate()
        output, _ = popen.communicate(timeout=30)
    assert said[0].startswith("Warning: --allow-rsa-key-transport")
    assert "forward secrecy" in said[0]
    assert output == ""
    assert max(len(line.rstrip("\n")) for line in said[:5]) <= 80


def test_key_transport_is_off(authority: LocalAuthority) -> None:
    old = ClientConfig(
        trust=authority.trust,
        cipher_suites=("TLS_RSA_WITH_AES_128_GCM_SHA256",),
        allow_rsa_key_transport=True,
    )
    with started("serve", "--echo", "--port", "0") as process:
        with pytest.raises(TLSError, match="handshake_failure"):
            handclasp.connect("localhost", process.port, old, timeout=20)
        assert "NO_SHARED_CIPHER_SUITE" in process.line("failed")


def test_key_transport_without_a_key_for_it(run: Run, pair: tuple[str, str]) -> None:
    given = ("--cert", pair[0], "--key", pair[1])
    sentence = one_sentence(run, *given, "--allow-rsa-key-transport")
    assert "needs an RSA key" in sentence
    assert pair[1] in sentence
    assert "leave out --tls13" in one_sentence(run, "--tls13", "--allow-rsa-key-transport")


def test_json_has_an_object_per_connection(site: Path, authority: LocalAuthority) -> None:
    with started("serve", str(site), "--port", "0", "--json") as process:
        request(process, "/hello.txt", authority)
        shown = json.loads(process.line("^{"))
        assert shown["event"] == "connection"
        assert (shown["ok"], shown["version"], shown["alpn"]) == (True, "TLSv1.3", "http/1.1")
        assert shown["client"]["host"] == "127.0.0.1"
        with pytest.raises(TLSError):
            handclasp.connect(
                "localhost",
                process.port,
                ClientConfig(trust=authority.trust, alpn=("h9",)),
                timeout=20,
            )
        asked = json.loads(process.line("^{"))
        assert asked["event"] == "request"
        assert (asked["method"], asked["target"]) == ("GET", "/hello.txt")
        assert (asked["status"], asked["bytes"]) == (200, 15)
        failed = json.loads(process.line("^{"))
        assert failed["ok"] is False
        assert failed["error"]["alert"] == "no_application_protocol"
        assert failed["error"]["from"] == "local"


@pytest.mark.parametrize(
    ("host", "words"),
    [("0.0.0.300", "is not an address"), ("my_host.test", "host names have no underscore")],
)
def test_a_host_that_no_certificate_can_be_for(run: Run, host: str, words: str) -> None:
    result = run("serve", "--host", host, "--port", "0")
    assert result.exit_code == 2
    assert words in result.stderr
    assert "--for" not in result.stderr


def test_an_echo_announces_no_web_page(home: Path) -> None:
    with started("serve", "--echo", "--port", "0") as process:
        assert process.announced == f"Listening on localhost:{process.port} (TLS echo)"
        advice: list[str] = []
        while not (line := process.line("")).startswith("Ctrl-C"):
            advice.append(line)
    assert any("openssl s_client" in line for line in advice)
    for web in ("https:", "curl", "rowser"):
        assert not any(web in line for line in advice)


def test_echo_and_traces(tmp_path: Path, authority: LocalAuthority) -> None:
    traces = tmp_path / "traces"
    with started("serve", "--echo", "--port", "0", "--trace", str(traces)) as process:
        config = ClientConfig(trust=authority.trust)
        with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
            tls.sendall(b"\x00back\xff")
            assert tls.recv(100) == b"\x00back\xff"
            process.line("TLSv1.3")
            tls.shutdown_write()
            assert tls.recv(100) == b""
    (trace,) = traces.iterdir()
    assert Recorder.load(trace).events


def test_pages_of_each_connection(tmp_path: Path, authority: LocalAuthority) -> None:
    traces, config = tmp_path / "traces", ClientConfig(trust=authority.trust)
    arguments = ("--echo", "--port", "0", "--trace", str(traces), "--pages")
    with started("serve", *arguments) as process:
        for _ in "ab":
            with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
                tls.sendall(b"x")
                tls.recv(1)
            process.line("TLSv1.3")
        with pytest.raises(TLSError):
            handclasp.connect("localhost", process.port, ClientConfig(), timeout=20)
        process.line("failed")
        first, second, failed = (path.read_text("utf-8") for path in wait_for_pages(traces, 3))
    assert "<h1>Connection 1, from 127.0.0.1</h1>" in first
    assert "This connection beside the last one" not in first
    assert "This connection beside the last one" in second
    assert 'id="failure"' in failed
    assert len(list(traces.glob("*.json"))) == 3


def wait_for_pages(directory: Path, count: int) -> list[Path]:
    """The pages, once they are whole: a line is printed before its page is written."""
    deadline = time.monotonic() + 20
    while True:
        pages = sorted(directory.glob("*.html"))
        if len(pages) == count and all("</html>" in each.read_text() for each in pages):
            return pages
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_pages_need_a_directory(run: Run) -> None:
    assert "--trace DIR" in one_sentence(run, "--pages")


def test_client_certificates(run: Run, tmp_path: Path, authority: LocalAuthority, ca: str) -> None:
    assert run("cert", "issue", "Ada Lovelace", "--client", "--out", str(tmp_path)).exit_code == 0
    mine = handclasp.Credentials.load(tmp_path / "chain.pem", tmp_path / "key.pem")
    arguments = ("--client-ca", ca, "--require-client-cert")
    with started("serve", "--echo", "--port", "0", *arguments) as process:
        config = ClientConfig(trust=authority.trust, credentials=mine)
        with handclasp.connect("localhost", process.port, config, timeout=20):
            assert "client CN=Ada Lovelace" in process.line("TLSv1.3")
        config = ClientConfig(trust=authority.trust)
        with (
            pytest.raises(TLSError, match="certificate_required"),
            handclasp.connect("localhost", process.port, config, timeout=20) as tls,
        ):
            tls.recv(1)
        assert "CLIENT_CERTIFICATE_MISSING" in process.line("failed")


def one_sentence(run: Run, *arguments: str) -> str:
    result = run("serve", "--port", "0", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("handclasp: ")
    return str(result.stderr)


def test_an_occupied_port(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = one_sentence(run, "--port", str(port))
    assert f"Port {port} of 127.0.0.1 is in use already" in sentence


def test_an_address_of_somebody_else(run: Run) -> None:
    assert "no such address" in one_sentence(run, "--host", "192.0.2.1")


def test_a_key_of_another_certificate(
    run: Run, pair: tuple[str, str], tmp_path: Path, authority: LocalAuthority
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(authority.issue(["localhost"]).key_pem)
    sentence = one_sentence(run, "--cert", pair[0], "--key", str(other))
    assert "does not belong to" in sentence


def test_an_encrypted_key(
    run: Run, pair: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = load_pem_private_key(Path(pair[1]).read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open"))
    )
    arguments = ("--cert", pair[0], "--key", str(locked))
    assert "HANDCLASP_KEY_PASSWORD" in one_sentence(run, *arguments)
    monkeypatch.setenv("HANDCLASP_KEY_PASSWORD", "wrong")
    assert "the password is wrong" in one_sentence(run, *arguments)
    monkeypatch.setenv("HANDCLASP_KEY_PASSWORD", "open")
    with started("serve", "--echo", "--port", "0", *arguments) as process:
        assert process.end(signal.SIGTERM) == 0


def test_missing_files(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    assert missing in one_sentence(run, "--cert", missing, "--key", pair[1])
    assert missing in one_sentence(run, "--cert", pair[0], "--key", missing)
    assert missing in one_sentence(run, missing)
    assert missing in one_sentence(run, "--client-ca", missing)


def test_a_leaf_in_place_of_its_authority_is_warned_of(tmp_path: Path, ca: str) -> None:
    pki = Pki()
    leaf, both = tmp_path / "leaf.pem", tmp_path / "both.pem"
    leaf.write_bytes(pem_of(x509.load_der_x509_certificate(pki.client("ada").chain_der[0])))
    both.write_bytes(leaf.read_bytes() + pki.pem)
    for path, warns in ((str(leaf), True), (str(both), False), (ca, False)):
        arguments = ("--client-ca", path, "--require-client-cert")
        with started("serve", "--echo", "--port", "0", *arguments) as process:
            line = process.line("holds no authority|Ctrl-C ends it")
            assert ("holds no authority, but CN=ada: a client gets in" in line) is warns
            assert process.end(signal.SIGTERM) == 0


def test_a_certificate_that_must_not_sign_is_told_of(
    run: Run, pair: tuple[str, str], tmp_path: Path
) -> None:
    key: Any = load_pem_private_key(Path(pair[1]).read_bytes(), None)
    chain = tmp_path / "no-signatures.pem"
    chain.write_bytes(pem_of(Pki().issue(Leaf(digital_signature=False), key.public_key())))
    for certificate, expected in ((str(chain), 1), (pair[0], 0)):
        result = run("connect", "127.0.0.1:1", "--cert", certificate, "--key", pair[1])
        assert result.stderr.count("key usage without digitalSignature") == expected


def test_what_peers_will_refuse_is_told_of_in_words_and_in_json(
    run: Run, pair: tuple[str, str], tmp_path: Path
) -> None:
    key: Any = load_pem_private_key(Path(pair[1]).read_bytes(), None)
    os.chmod(pair[1], 0o600)
    past = datetime.now(UTC) - timedelta(hours=1)
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH
    chain = tmp_path / "wrong.pem"
    leaf = Leaf(purpose=purpose, digital_signature=False, not_after=past)
    chain.write_bytes(pem_of(Pki().issue(leaf, key.public_key())))
    arguments = ("--echo", "--port", "0", "--json", "--cert", str(chain), "--key", pair[1])
    with started("serve", *arguments) as process:
        told = [line for line in process.said if line.startswith("Warning: The certificate for ")]
        for line, words in zip(told, ("digitalSignature", "serverAuth", "expired"), strict=True):
            assert words in line
        result = run("connect", f"127.0.0.1:{process.port}", "--json", *arguments[4:])
        visit = json.loads(process.line('"ok"').strip().splitlines()[-1])
    kinds = [each["kind"] for each in visit["warnings"]]
    assert kinds == ["key_usage", "extended_key_usage", "expired"]
    assert "have it issued with serverAuth" in visit["warnings"][1]["message"]
    told = json.loads(result.stdout)["warnings"]
    assert [each["kind"] for each in told] == ["key_usage", "expired"]
    wrong = run("connect", "localhost:0", *arguments[4:])
    assert "Warning" not in wrong.stderr


def test_a_pkcs12_file_is_named_and_how_to_convert_it(
    run: Run, pair: tuple[str, str], tmp_path: Path
) -> None:
    key: Any = load_pem_private_key(Path(pair[1]).read_bytes(), None)
    file = tmp_path / "id.p12"
    file.write_bytes(pkcs12.serialize_key_and_certificates(b"n", key, None, None, NoEncryption()))
    for arguments in (
        ("--cert", str(file), "--key", pair[1]),
        ("--cert", pair[0], "--key", str(file)),
        ("--client-ca", str(file)),
    ):
        told = one_sentence(run, *arguments)
        assert re.search(r"id\.p12.* PKCS #12.* openssl pkcs12 -in FILE.p12 -out FILE.pem", told)
        assert "Credentials" not in told


def test_arguments_that_do_not_fit_together(run: Run, pair: tuple[str, str], ca: str) -> None:
    assert "--key is missing" in one_sentence(run, "--cert", pair[0])
    assert "--cert is missing" in one_sentence(run, "--key", pair[1])
    assert "needs --client-ca" in one_sentence(run, "--require-client-cert")


def test_a_trace_directory_that_cannot_be(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "--trace" in one_sentence(run, "--trace", str(tmp_path / "file" / "below"))


@pytest.mark.parametrize("name", ["x.html", "x.HTML", "x.json", "x.pcap"])
def test_a_trace_directory_with_the_name_of_a_file(run: Run, tmp_path: Path, name: str) -> None:
    """With connect, the same name would be that of a file."""
    sentence = one_sentence(run, "--trace", str(tmp_path / name))
    assert "name a directory" in sentence
    assert not list(tmp_path.iterdir())


def test_a_key_that_everybody_can_read(tmp_path: Path, pair: tuple[str, str]) -> None:
    arguments = ("serve", "--echo", "--port", "0", "--cert", pair[0], "--key", pair[1])
    for mode, is_told in ((0o644, True), (0o600, False)):
        Path(pair[1]).chmod(mode)
        popen = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        assert popen.stdout is not None
        popen.stdout.readline()
        popen.terminate()
        _, errors = popen.communicate(timeout=30)
        assert errors.count("can be read by every user") == is_told


def test_a_capture_on_a_full_disk(authority: LocalAuthority, tmp_path: Path) -> None:
    """Clients are served all the same, and in the end it is told that the capture is not whole."""
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("this system does not limit the files of another process")
    path = tmp_path / "x.pcapng"
    arguments = ("serve", "--echo", "--port", "0", "--trace", str(path))
    with started(*arguments) as process:
        # Python ignores SIGXFSZ, so that this is an error like that of a full disk.
        resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE, (4096, 4096))
        for _ in range(3):
            config = ClientConfig(trust=authority.trust)
            with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
                tls.sendall(b"x")
                assert tls.recv(1) == b"x"
        assert process.end(signal.SIGTERM) == 0
        process.line("x.pcapng is not whole: File too large")
    while not process.lines.empty():
        assert "Traceback" not in process.lines.get()


@pytest.mark.parametrize(("name", "says", "expected"), [
    ("elsewhere.test", b"", True), ("elsewhere.test", b"hello", False), ("localhost", b"", False),
])  # fmt: skip
def test_a_client_that_leaves_after_another_name_is_told_of(
    ca: str, name: str, says: bytes, expected: bool
) -> None:
    """As curl does: it compares the name when the handshake is complete, and sends no alert."""
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    with started("serve", "--echo", "--port", "0") as process:
        process.line("Ctrl-C ends it")
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", process.port), 20) as sock:
                client = context.wrap_socket(sock, server_hostname=name)
                if says:
                    client.sendall(says)
                    assert client.recv(5) == says
                with suppress(OSError):
                    client.unwrap().close()
            assert "TLSv1.3" in process.line(r"127\.0\.0\.1")
            if expected:
                assert "which is not for the name that it asked for" in process.line("closed")
        assert process.end(signal.SIGTERM) == 0


@pytest.mark.skipif(os.name != "posix", reason="this signal is POSIX's")
def test_a_hangup_before_the_server_is_ready_does_not_end_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGHUP)

    def hang_up(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        raise WrongArguments("it goes on")

    monkeypatch.setattr("handclasp.cli.serve._listeners", hang_up)
    result = run("serve", "--echo", "--port", "0")
    assert (result.exit_code, "it goes on" in result.output) == (2, True)
    assert signal.getsignal(signal.SIGHUP) is before
