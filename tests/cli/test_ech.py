"""`handclasp ech`, and `connect --ech`: keys, configurations, and the one further attempt."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run

import handclasp
from handclasp import Credentials, EchConfigList, EchKey, ServerConfig, TLSError
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
    assert run(*make, "--force").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "--public-name", "1.2.3.4", "--out", "nowhere/ech"),
        ("show", "/nowhere/at/all"),
        ("show", "AAAA"),
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
    if "--json" in options:
        shown = json.loads(result.stdout)
        assert shown["ech_accepted"] is True
        assert shown["ech_retried"] is True


def test_connect_does_not_try_a_third_time(run: Run, ca: str, credentials: Credentials) -> None:
    configs = [ServerConfig(credentials=credentials, ech=[key]) for key in (KEY, OTHER)]
    with serving(*configs) as port:
        result = connect(run, port, ca, OLD)
    assert result.exit_code == 1
    assert "the same ECH keys" in " ".join(result.output.split())


def test_connect_never_falls_back_to_the_clear(run: Run, ca: str, credentials: Credentials) -> None:
    with serving(ServerConfig(credentials=credentials)) as port:
        result = connect(run, port, ca, KEY)
    assert result.exit_code == 1
    assert "does not use ECH" in " ".join(result.output.split())
    assert "connecting once more" not in result.output
