"""`handclasp ech`, and `connect --ech`: keys, configurations, and the one further attempt."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Process, Run, started

import handclasp
from handclasp import (
    ClientConfig,
    Credentials,
    EchConfigList,
    EchKey,
    EchRejectedError,
    ServerConfig,
    TLSError,
)
from handclasp.certificates.authority import LocalAuthority

PUBLIC = "public.test"
KEY, OLD, OTHER = (EchKey.generate(PUBLIC) for _ in range(3))


@pytest.fixture
def credentials(authority: LocalAuthority) -> Credentials:
    issued = authority.issue(["localhost", PUBLIC])
    return Credentials.from_pem(issued.chain_pem, issued.key_pem)


@contextmanager
def serving(*configs: ServerConfig) -> Iterator[int]:
    """Serve one connection with each config in turn; give the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for config in configs:
            with suppress(OSError, TLSError):
                sock, _ = listener.accept()
                sock.settimeout(20)
                with handclasp.wrap_server(sock, config) as tls:
                    tls.recv(100)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


def test_a_key_is_made_and_shown(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "ech.pem"
    result = run("ech", "generate", "--public-name", PUBLIC, "--out", str(path))
    assert result.exit_code == 0, result.output
    key = EchKey.load(path)
    assert f'ech="{EchConfigList(key.configs).to_base64()}"' in result.output
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for source in (str(path), EchConfigList(key.configs).to_base64()):
        shown = run("ech", "show", source)
        assert shown.exit_code == 0
        assert f"public_name: {PUBLIC}" in shown.output
        assert "HKDF-SHA256 with AES-128-GCM" in shown.output
    shown = run("ech", "show", str(path), "--base64")
    assert shown.output == EchConfigList(key.configs).to_base64() + "\n"
    described = json.loads(run("ech", "show", str(path), "--json").output)
    assert described["usable"] is True
    assert described["configs"][0]["kem"] == "X25519"


def test_a_key_is_made_as_it_is_asked_for(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "ech.pem")
    make = ["ech", "generate", "--public-name", PUBLIC, "--out", path]
    result = run(*make, "--kem", "P-256", "--max-name-length", "100", "--json")
    made = json.loads(result.output)
    assert (made["kem"], made["maximum_name_length"], made["path"]) == ("P-256", 100, path)
    assert EchConfigList.from_base64(made["ech"]) == EchConfigList(EchKey.load(path).configs)
    assert run(*make).exit_code == 2
    forced = run(*make, "--force")
    assert forced.exit_code == 0
    assert "is gone" in forced.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "--public-name", "1.2.3.4", "--out", "nowhere/ech"),
        ("show", "/nowhere/at/all"),
        ("show", "AAAA"),
        ("show", EchConfigList(KEY.configs).to_base64(), "--json", "--base64"),
    ],
)
def test_wrong_arguments(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("ech", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_configurations_that_nobody_can_use(run: Run) -> None:
    result = run("ech", "show", "AAT+CgAA")
    assert result.exit_code == 1
    assert "its version is 0xfe0a" in result.output


def connect(run: Run, port: int, ca: str, key: EchKey, *options: str) -> Any:
    configs = EchConfigList(key.configs).to_base64()
    return run("connect", f"localhost:{port}", "--ca", ca, "--ech", configs, *options, input="")


def test_connect_with_ech(run: Run, ca: str, credentials: Credentials) -> None:
    with serving(ServerConfig(credentials=credentials, ech=[KEY])) as port:
        result = connect(run, port, ca, KEY)
    assert result.exit_code == 0, result.output
    assert "others could not read the server's name" in result.output
    assert "Inside, for the server alone to read" in result.output


def test_the_explanation_of_a_rejection_is_about_the_public_name(
    run: Run, ca: str, authority: LocalAuthority
) -> None:
    issued = authority.issue(["localhost"])
    credentials = Credentials.from_pem(issued.chain_pem, issued.key_pem)
    with serving(ServerConfig(credentials=credentials, ech=[KEY])) as port:
        result = connect(run, port, ca, OLD, "--explain")
    text = " ".join(result.output.split())
    assert result.exit_code == 1
    assert f"does not prove to be {PUBLIC}" in text
    assert "Connect by a name that is in the certificate" not in text
    assert f"localhost, not for {PUBLIC}" in text


def test_a_key_log_has_what_was_sent_and_nothing_else(
    run: Run, ca: str, credentials: Credentials, tmp_path: Path
) -> None:
    keylog = tmp_path / "keys.log"
    with serving(ServerConfig(credentials=credentials, ech=[KEY])) as port:
        assert connect(run, port, ca, KEY, "--keylog", str(keylog)).exit_code == 0
    labels = [line.partition(" ")[0] for line in keylog.read_text().splitlines()]
    assert (labels.count("ECH_SECRET"), labels.count("ECH_CONFIG")) == (1, 1)


@pytest.mark.parametrize("options", [(), ("--json",), ("--quiet",)])
def test_connect_tries_once_more(
    run: Run, ca: str, credentials: Credentials, options: tuple[str, ...]
) -> None:
    config = ServerConfig(credentials=credentials, ech=[KEY])
    with serving(config, config) as port:
        result = connect(run, port, ca, OLD, *options)
    assert result.exit_code == 0, result.output
    assert ("connecting once more" in result.output) == (not options)
    sent = EchConfigList(KEY.configs).to_base64()
    assert (f"\n  --ech {sent}\n" in result.stderr) == (not options)
    if "--json" in options:
        shown = json.loads(result.stdout)
        assert shown["ech_accepted"] is True
        assert shown["ech_retried"] is True
        assert shown["ech_retry_configs"] == sent


def test_what_connect_printed_begins_afresh(run: Run, ca: str, credentials: Credentials) -> None:
    """RFC 9849 section 6.1.8: the limit of one further attempt is that of each connection."""
    first, second = (ServerConfig(credentials=credentials, ech=[key]) for key in (KEY, OTHER))
    with serving(first, first, second, second) as port:
        shown = json.loads(connect(run, port, ca, OLD, "--json").stdout)
        printed = shown["ech_retry_configs"]
        assert printed == EchConfigList(KEY.configs).to_base64()
        later = connect(run, port, ca, KEY, "--json")
    assert later.exit_code == 0
    assert json.loads(later.stdout)["ech_retried"] is True


def test_the_further_attempt_looks_no_address_up(
    run: Run, ca: str, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9849 section 6.1.6: another query may find a server with other configurations."""
    asked: list[Any] = []
    look_up = socket.getaddrinfo

    def counted(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        return look_up(*arguments, **options)

    config = ServerConfig(credentials=credentials, ech=[KEY])
    with serving(config, config) as port:
        monkeypatch.setattr(socket, "getaddrinfo", counted)
        result = connect(run, port, ca, OLD)
    assert result.exit_code == 0, result.output
    assert [arguments[:2] for arguments in asked] == [("localhost", port)]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_connect_does_not_try_a_third_time(
    run: Run, ca: str, credentials: Credentials, options: tuple[str, ...]
) -> None:
    configs = [ServerConfig(credentials=credentials, ech=[key]) for key in (KEY, OTHER)]
    with serving(*configs) as port:
        result = connect(run, port, ca, OLD, *options)
    assert result.exit_code == 1
    assert "the same ECH keys" in " ".join(result.output.split())
    first, second = (EchConfigList(key.configs).to_base64() for key in (KEY, OTHER))
    if options:
        shown = json.loads(result.stdout)
        assert (shown["ech_retried"], shown["ech_retry_configs"]) == (True, second)
    else:
        told = [line for line in result.stderr.splitlines() if "--ech" in line]
        assert told == [f"  --ech {first}", f"  --ech {second}"]


def test_connect_never_falls_back_to_the_clear(run: Run, ca: str, credentials: Credentials) -> None:
    with serving(ServerConfig(credentials=credentials)) as port:
        result = connect(run, port, ca, KEY)
    assert result.exit_code == 1
    assert "sent no ECH configuration" in " ".join(result.output.split())
    assert "connecting once more" not in result.output


# handclasp serve --ech-key


def key_file(path: Path, key: EchKey) -> str:
    """Write a key in one step, as a program that rotates keys should."""
    new = path.with_suffix(".new")
    new.write_bytes(key.to_pem())
    new.chmod(0o600)
    new.replace(path)
    return str(path)


def visit(process: Process, authority: LocalAuthority, key: EchKey) -> None:
    config = ClientConfig(trust=authority.trust, ech=EchConfigList(key.configs))
    with handclasp.connect("localhost", process.port, config, timeout=20) as tls:
        assert tls.info.ech_accepted


def test_serve_decrypts_hellos_and_reads_its_keys_again(
    authority: LocalAuthority, tmp_path: Path
) -> None:
    current = key_file(tmp_path / "current.pem", KEY)
    old = key_file(tmp_path / "old.pem", OLD)
    # Its certificate is the authority's, which covers the public name as well.
    with started(
        "serve", "--echo", "--port", "0", "--ech-key", current, "--ech-key", old
    ) as server:
        text = EchConfigList(KEY.configs).to_base64()
        assert f"public name {PUBLIC}" in server.line(f'ech="{text}"'.replace("+", r"\+"))
        assert "public.test" in server.line("^Old ECH key")
        for key in (KEY, OLD):
            visit(server, authority, key)
            assert server.line("TLSv1.3").endswith("ECH")
        with pytest.raises(EchRejectedError) as caught:
            visit(server, authority, OTHER)
        assert caught.value.retry_configs == EchConfigList(KEY.configs)
        line = server.line("ech_required")
        [told] = [each for each in server.said if line.split("  ")[1] in each]  # Its address.
        assert told == line
        key_file(tmp_path / "old.pem", KEY)
        key_file(tmp_path / "current.pem", OTHER)
        server.popen.send_signal(signal.SIGHUP)
        server.line(f"Read again: ECH key: public name {PUBLIC}")
        visit(server, authority, OTHER)
        with pytest.raises(EchRejectedError) as caught:
            visit(server, authority, OLD)
        assert caught.value.retry_configs == EchConfigList(OTHER.configs)
        (tmp_path / "current.pem").write_text("half of a key")
        assert "no PRIVATE KEY" in server.line("ECH keys were not renewed")
        visit(server, authority, OTHER)


def test_serve_with_a_certificate_for_each_name(authority: LocalAuthority, tmp_path: Path) -> None:
    arguments: list[str] = []
    for name in ("localhost", PUBLIC):
        issued = authority.issue([name])
        chain, private = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        chain.write_bytes(issued.chain_pem)
        private.write_bytes(issued.key_pem)
        private.chmod(0o600)
        arguments += ["--cert", str(chain), "--key", str(private)]
    arguments += ["--ech-key", key_file(tmp_path / "ech.pem", KEY)]
    with started("serve", "--echo", "--port", "0", *arguments) as server:
        visit(server, authority, KEY)
        with pytest.raises(EchRejectedError) as caught:
            visit(server, authority, OTHER)
        assert caught.value.is_authentic
    assert not any("Warning" in line for line in server.said)


def test_serve_says_that_no_certificate_has_the_public_name(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    chain, private = pair
    os.chmod(private, 0o600)
    key = key_file(tmp_path / "ech.pem", KEY)
    files = ["--cert", chain, "--key", private, "--ech-key", key]
    with started("serve", "--echo", "--port", "0", *files) as server:
        server.line("Ctrl-C ends it")
    [warning] = [line for line in server.said if "Warning" in line]
    assert f"No certificate is for {PUBLIC}" in warning


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (None, (), "There is no file"),
        (b"nothing", (), "There is no PRIVATE KEY in the ECH key file"),
        (EchConfigList(KEY.configs).to_pem(), (), "There is no PRIVATE KEY"),
        (KEY.to_pem().partition(b"-----BEGIN ECHCONFIG")[0], (), "There is no ECHCONFIG"),
        (KEY.to_pem(), ("--tls12",), "--ech-key needs TLS 1.3"),
        (KEY.to_pem(), ("--cert", "a", "--cert", "b", "--key", "c"), "2 --cert and 1 --key"),
    ],
)
def test_ech_keys_that_serve_does_not_start_with(
    run: Run, tmp_path: Path, content: bytes | None, options: tuple[str, ...], words: str
) -> None:
    path = tmp_path / "ech.pem"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    result = run("serve", str(tmp_path), "--port", "0", "--ech-key", str(path), *options)
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
    assert len(result.output.strip().splitlines()[1:]) <= 4


@pytest.mark.parametrize(
    "form",
    ['ech="{}"', "ech={}", 'secret.test. IN HTTPS 1 . alpn=h2 ech="{}" port=8443', "1 . ech={}"],
)
def test_configurations_are_taken_as_tools_print_them(run: Run, form: str) -> None:
    text = EchConfigList(KEY.configs).to_base64()
    assert f'ech="{text}"' in run("ech", "show", form.format(text)).output


def test_the_record_for_a_zone_file(run: Run) -> None:
    text = EchConfigList(KEY.configs).to_base64()

    def record(*options: str) -> str:
        result = run("ech", "show", text, *options)
        assert result.exit_code == 0, result.output
        assert json.loads(run("ech", "show", text, *options, "--json").output)["record"] in (
            result.output
        )
        return result.output.splitlines()[-1]

    assert record() == f'@ IN HTTPS 1 . ech="{text}"'
    assert record("--name", "secret.test") == f'secret.test. IN HTTPS 1 . ech="{text}"'
    assert record("--name", "secret.test", "--port", "8443") == (
        f'_8443._https.secret.test. IN HTTPS 1 secret.test. port=8443 ech="{text}"'
    )
