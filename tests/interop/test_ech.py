"""Encrypted Client Hello with real peers (RFC 9849), in both roles: taken, retried and refused."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.required import need_module, need_tool

import handclasp
from handclasp import (
    ClientConfig,
    ConnectionInfo,
    Credentials,
    EchConfigList,
    EchKey,
    EchRejectedError,
    PeerAlertError,
    ServerConfig,
    SessionStore,
    TLSError,
    TruncationError,
)

from .peers.base import CACHE, Process, running
from .peers.nginx import _free_port, _wait_until_listening

pytestmark = [pytest.mark.interop, pytest.mark.fast]

SECRET, PUBLIC = "localhost", "public.test"
SECONDS = 20.0
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
RETRY = [[], ["secp384r1"]]
KEY, OTHER = EchKey.generate(PUBLIC), EchKey.generate(PUBLIC)


@dataclass
class Place:
    """A directory with an authority and a certificate for both names."""

    directory: Path
    pki: Pki = field(default_factory=Pki)

    def __post_init__(self) -> None:
        self.chain, self.key = self.directory / "chain.pem", self.directory / "key.pem"
        self.ca = self.directory / "ca.pem"
        key = key_of_type("ecdsa-p256")
        leaf = self.pki.issue(Leaf(names=[SECRET, PUBLIC]), key.public_key())
        self.chain.write_bytes(pem_of(leaf))
        self.key.write_bytes(key_pem(key))
        self.ca.write_bytes(self.pki.ca_pem)
        self.key.chmod(0o600)

    @property
    def client(self) -> ClientConfig:
        return ClientConfig(trust=self.pki.trust, ech=EchConfigList(KEY.configs))

    @property
    def server(self) -> ServerConfig:
        credentials = Credentials.load(self.chain, self.key)
        return ServerConfig(credentials=credentials, ech=[KEY])

    def write(self, name: str, data: bytes) -> str:
        path = self.directory / name
        path.write_bytes(data)
        path.chmod(0o600)
        return str(path)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@dataclass
class Served:
    """One of our servers, and what it saw of each client."""

    port: int
    seen: list[ConnectionInfo | TLSError] = field(default_factory=list)
    thread: threading.Thread | None = None

    def only(self) -> ConnectionInfo | TLSError:
        assert self.thread is not None
        self.thread.join(SECONDS)
        [seen] = self.seen
        return seen


@contextmanager
def serving(config: ServerConfig) -> Iterator[Served]:
    """Serve one client: a response of HTTP, and the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(SECONDS)
    served = Served(listener.getsockname()[1])

    def serve() -> None:
        with suppress(OSError):
            sock, _ = listener.accept()
            sock.settimeout(SECONDS)
            try:
                with handclasp.wrap_server(sock, config) as tls:
                    served.seen.append(tls.info)
                    tls.recv(4096)
                    tls.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            except TLSError as error:
                if served.seen:  # What comes after the handshake may be the reason.
                    served.seen[-1] = error
                else:
                    served.seen.append(error)

    served.thread = threading.Thread(target=serve)
    served.thread.start()
    try:
        yield served
    finally:
        listener.close()
        served.thread.join(SECONDS)


def connected(config: ClientConfig, port: int) -> ConnectionInfo:
    with handclasp.connect("127.0.0.1", port, config, server_name=SECRET, timeout=SECONDS) as tls:
        return tls.info


def assert_accepted(info: ConnectionInfo | TLSError, *, retried: bool = False) -> None:
    assert isinstance(info, ConnectionInfo), info
    assert info.ech_accepted
    assert info.server_name == SECRET
    assert info.hello_retry == retried


def assert_rejected(seen: ConnectionInfo | TLSError) -> None:
    assert isinstance(seen, PeerAlertError), seen
    assert seen.alert == "ech_required"


# OpenSSL 4


@pytest.fixture
def openssl() -> str:
    program = CACHE / "openssl4" / "openssl"
    if not program.exists():
        pytest.skip("OpenSSL 4 is not there (make peers; it is in Debian experimental alone)")
    return str(program)


@contextmanager
def openssl_server(openssl: str, place: Place, key: str, *flags: str) -> Iterator[int]:
    command = [openssl, "s_server", "-accept", "127.0.0.1:0", "-tls1_3", "-www", *flags]
    for number in ("", "2"):
        command += [f"-cert{number}", str(place.chain), f"-key{number}", str(place.key)]
    command += ["-servername", SECRET, "-ech_key", key]
    with running(Process(command, place.directory)) as process:
        end = process.wait_for(b"\n", process.wait_for(b"ACCEPT 127.0.0.1:"))
        yield int(bytes(process.output[:end]).rsplit(b":", 1)[1])


def openssl_client(openssl: str, place: Place, port: int, *flags: str) -> str:
    command = [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(place.ca)]
    command += ["-servername", SECRET, "-tls1_3", *flags]
    done = subprocess.run(command, input=REQUEST, capture_output=True, timeout=SECONDS, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize("groups", RETRY)
def test_openssl_server(openssl: str, place: Place, groups: list[str]) -> None:
    key = place.write("ech.pem", KEY.to_pem())  # OpenSSL reads what we write.
    with openssl_server(openssl, place, key, *(["-groups", "P-384"] if groups else [])) as port:
        assert_accepted(connected(place.client, port), retried=bool(groups))
        # The configuration may be an old one: it tells the current one.
        client = replace(place.client, ech=EchConfigList(OTHER.configs))
        with pytest.raises(EchRejectedError) as caught:
            connected(client, port)
        assert caught.value.retry_configs == EchConfigList(KEY.configs)
        client = replace(client, ech=caught.value.retry_configs)
        assert_accepted(connected(client, port), retried=bool(groups))
        # Without a configuration, GREASE.
        assert not connected(replace(client, ech=None), port).ech_accepted


def test_resumption_with_an_openssl_server(openssl: str, place: Place) -> None:
    key = place.write("ech.pem", KEY.to_pem())
    client = replace(place.client, sessions=SessionStore())
    with openssl_server(openssl, place, key) as port:
        with_request(client, port)
        info = with_request(client, port)
        assert_accepted(info)
        assert info.resumed


def test_early_data_to_an_openssl_server(openssl: str, place: Place) -> None:
    key = place.write("ech.pem", KEY.to_pem())
    client = replace(place.client, sessions=SessionStore(), allow_early_data=True)
    with openssl_server(openssl, place, key, "-early_data") as port:
        first = with_request(client, port)
        assert_accepted(first)
        info = with_request(client, port, early_data=REQUEST)
        assert_accepted(info)
        assert info.resumed
        assert info.early_data_status == "accepted"
        # One that knows no key any more takes the outer hello, whose early data it cannot read.
        stale = replace(client, ech=EchConfigList(OTHER.configs))
        with pytest.raises(EchRejectedError) as caught:
            with_request(stale, port, early_data=REQUEST)
        assert caught.value.retry_configs == EchConfigList(KEY.configs)


def with_request(
    config: ClientConfig, port: int, early_data: bytes | None = None
) -> ConnectionInfo:
    """Ask for a page and read all that comes, session tickets included."""
    with handclasp.connect(
        "127.0.0.1", port, config, server_name=SECRET, timeout=SECONDS, early_data=early_data
    ) as tls:
        if tls.info.early_data_status != "accepted":
            tls.sendall(REQUEST)
        with suppress(TruncationError):
            while tls.recv(1 << 16):
                pass
        return tls.info


@pytest.mark.parametrize("groups", RETRY)
def test_early_data_from_an_openssl_client(openssl: str, place: Place, groups: list[str]) -> None:
    server = replace(place.server, max_early_data=1000)
    server = replace(server, groups=groups) if groups else server
    session, early = str(place.directory / "session.pem"), place.write("early", REQUEST)
    # Without -ign_eof it ends before the ticket has come.
    flags = ["-ign_eof", "-ech_config_list", EchConfigList(KEY.configs).to_base64()]
    with serving(server) as served:
        openssl_client(openssl, place, served.port, *flags, "-sess_out", session)
        assert_accepted(served.only(), retried=bool(groups))
    with serving(server) as served:
        more = ["-sess_in", session, "-early_data", early]
        said = openssl_client(openssl, place, served.port, *flags, *more)
        info = served.only()
    assert_accepted(info, retried=bool(groups))
    assert isinstance(info, ConnectionInfo)
    assert info.resumed, said
    assert info.early_data_status == ("rejected" if groups else "accepted")


@pytest.mark.parametrize("groups", RETRY)
def test_openssl_client(openssl: str, place: Place, groups: list[str]) -> None:
    made = place.directory / "made.pem"
    subprocess.run(
        [openssl, "ech", "-public_name", PUBLIC, "-out", str(made)], check=True, timeout=SECONDS
    )
    made.chmod(0o600)
    key = EchKey.load(made)  # We read what OpenSSL writes.
    assert key.to_pem() == made.read_bytes()
    server = replace(place.server, ech=[key])
    server = replace(server, groups=groups) if groups else server
    configs = EchConfigList(key.configs).to_base64()
    with serving(server) as served:
        said = openssl_client(openssl, place, served.port, "-ech_config_list", configs)
        assert "ECH: success" in said, said
        assert_accepted(served.only(), retried=bool(groups))


@pytest.mark.parametrize("kem", ["X25519", "P-256"])
def test_openssl_reads_the_keys_that_we_write(openssl: str, place: Place, kem: str) -> None:
    key = EchKey.generate(PUBLIC, kem=kem, maximum_name_length=100)
    [config] = key.configs
    command = [openssl, "ech", "-in", place.write("ech.pem", key.to_pem()), "-text"]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
    said = (done.stdout + done.stderr).decode()
    assert "has private key" in said
    assert f"[fe0d,{config.config_id:02x},{PUBLIC},[{config.kem:04x},0001,0001," in said
    assert f",{config.public_key.hex()},{config.maximum_name_length:02x},00]" in said


@pytest.mark.parametrize(
    ("flags", "kem", "pair"),
    [
        ([], 0x20, (1, 1)),
        (["-max_name_len", "255"], 0x20, (1, 1)),
        (["-suite", "p-256,hkdf-sha384,aes-256-gcm"], 0x10, (2, 2)),
        (["-suite", "x25519,hkdf-sha256,chacha20-poly1305"], 0x20, (1, 3)),
    ],
)
def test_keys_that_openssl_writes_are_read(
    openssl: str, place: Place, flags: list[str], kem: int, pair: tuple[int, int]
) -> None:
    keys: list[EchKey] = []
    for name in ("first.pem", "second.pem"):
        path = place.directory / name
        command = [openssl, "ech", "-public_name", PUBLIC, "-out", str(path), *flags]
        subprocess.run(command, check=True, timeout=SECONDS, capture_output=True)
        path.chmod(0o600)
        keys.append(EchKey.load(path))
        [config] = keys[-1].configs
        assert (config.kem, config.cipher_suites) == (kem, (pair,))
        assert keys[-1].to_pem() == path.read_bytes()
    # It merges the configurations of several files into one without keys.
    merged = place.directory / "merged.pem"
    inputs = [flag for each in ("first.pem", "second.pem") for flag in ("-in", each)]
    command = [openssl, "ech", *inputs, "-out", str(merged)]
    subprocess.run(command, check=True, timeout=SECONDS, capture_output=True, cwd=place.directory)
    assert set(EchConfigList.load(merged)) == {each.configs[0] for each in keys}


def test_the_command_in_the_documentation(openssl: str, place: Place) -> None:
    """The line of docs/ech.md, as it is printed there, but for the port."""
    text = (Path(__file__).parents[2] / "docs" / "ech.md").read_text()
    [command] = re.findall(r"^\$ (openssl s_client (?:.|\n)+?)\n```$", text, re.MULTILINE)
    programs = place.directory / "bin"
    programs.mkdir()
    for name, call in (
        ("openssl", shlex.quote(openssl)),
        ("handclasp", f"{shlex.quote(sys.executable)} -m handclasp"),
    ):
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        path.chmod(0o700)
    place.write("ech.pem", KEY.to_pem())
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    with serving(place.server) as served:
        done = subprocess.run(
            ["sh", "-c", command.replace(":8443", f":{served.port}")],
            input=REQUEST,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            cwd=place.directory,
            env=environment,
        )
        assert b"ECH: success: 1" in done.stdout + done.stderr, done
        assert_accepted(served.only())


@pytest.mark.parametrize("groups", RETRY)
def test_openssl_client_with_another_key(openssl: str, place: Place, groups: list[str]) -> None:
    server = replace(place.server, groups=groups) if groups else place.server
    configs = EchConfigList(OTHER.configs).to_base64()
    with serving(server) as served:
        said = openssl_client(openssl, place, served.port, "-ech_config_list", configs)
        assert "Got 1 retry-configs" in said, said
        assert_rejected(served.only())


@pytest.mark.parametrize("groups", RETRY)
def test_openssl_client_with_a_server_without_keys(
    openssl: str, place: Place, groups: list[str]
) -> None:
    # It would leave a cookie of the HelloRetryRequest out of its second outer hello.
    server = replace(place.server, ech=())
    server = replace(server, groups=groups) if groups else server
    configs = EchConfigList(KEY.configs).to_base64()
    with serving(server) as served:
        said = openssl_client(openssl, place, served.port, "-ech_config_list", configs)
        assert "ECH: tried but failed" in said, said
        assert_rejected(served.only())


def test_grease_of_an_openssl_client(openssl: str, place: Place) -> None:
    with serving(place.server) as served:
        openssl_client(openssl, place, served.port, "-ech_grease")
        info = served.only()
    assert isinstance(info, ConnectionInfo)
    assert not info.ech_accepted


# Go


@pytest.fixture
def go() -> str:
    need_tool(str(CACHE / "go-peer"))
    return str(CACHE / "go-peer")


def go_flags(place: Place) -> list[str]:
    payload = place.write("payload", b"x" * 10)
    return ["--ca", str(place.ca), "--payload", payload]


@pytest.mark.parametrize("groups", RETRY)
def test_go_server(go: str, place: Place, groups: list[str]) -> None:
    assert isinstance(KEY.private_key, X25519PrivateKey)
    config = place.write("config", KEY.configs[0].raw)
    key = place.write("raw-key", KEY.private_key.private_bytes_raw())
    command = [go, "server", *go_flags(place), "--ech-config", config, "--ech-key", key]
    command += ["--cert", str(place.chain), "--key", str(place.key)]
    command += ["--groups", "secp384r1"] if groups else []
    with running(Process(command, place.directory)) as process:
        process.wait_for(b"\n")
        port = json.loads(process.output.partition(b"\n")[0])["port"]
        with handclasp.connect("127.0.0.1", port, place.client, server_name=SECRET) as tls:
            assert_accepted(tls.info, retried=bool(groups))
            tls.sendall(b"x" * 10)
            assert tls.recv(10)
    with running(Process(command, place.directory)) as process:
        process.wait_for(b"\n")
        port = json.loads(process.output.partition(b"\n")[0])["port"]
        with pytest.raises(EchRejectedError) as caught:
            connected(replace(place.client, ech=EchConfigList(OTHER.configs)), port)
        assert caught.value.retry_configs == EchConfigList(KEY.configs)


@pytest.mark.parametrize("groups", RETRY)
@pytest.mark.parametrize("kem", ["X25519", "P-256"])
def test_go_client(go: str, place: Place, groups: list[str], kem: str) -> None:
    key = EchKey.generate(PUBLIC, kem=kem)
    server = replace(place.server, ech=[OTHER, key])
    server = replace(server, groups=groups) if groups else server
    configs = place.write("configs", EchConfigList(key.configs).to_bytes())
    command = [go, "client", *go_flags(place), "--ech-configs", configs]
    with serving(server) as served:
        subprocess.run(
            [*command, "--port", str(served.port)],
            timeout=SECONDS,
            check=False,
            capture_output=True,
        )
        assert_accepted(served.only(), retried=bool(groups))
    with serving(replace(server, ech=[OTHER])) as served:
        done = subprocess.run(
            [*command, "--port", str(served.port)],
            timeout=SECONDS,
            check=False,
            capture_output=True,
        )
        assert b"rejected" in done.stdout
        assert_rejected(served.only())


# NSS, rustls and BoringSSL


def test_nss_client(place: Place) -> None:
    tstclnt = need_tool("tstclnt")
    configs = EchConfigList(KEY.configs).to_base64()
    with serving(place.server) as served:
        command = [tstclnt, "-d", f"sql:{nss_database(place)}", "-h", "127.0.0.1", "-a", SECRET]
        command += ["-p", str(served.port), "-V", "tls1.3:tls1.3", "-N", configs]
        with running(Process(command, place.directory)) as process:
            process.write(REQUEST)
            process.wait_for(b"hello")
        assert_accepted(served.only())


@pytest.fixture
def new_nss() -> Path:
    """A newer NSS than the system's, which may be too old for RFC 9849."""
    programs = CACHE / "nss"
    if not (programs / "selfserv").exists():
        pytest.skip("a new NSS is not there (make peers; it is in Debian sid alone)")
    return programs


@contextmanager
def nss_server(programs: Path, place: Place) -> Iterator[tuple[int, EchConfigList]]:
    """selfserv makes a key of its own, and prints its configuration."""
    database, files = f"sql:{place.directory / 'new-nss'}", place.directory / "leaf.p12"
    (place.directory / "new-nss").mkdir()
    leaf = x509.load_pem_x509_certificate(place.chain.read_bytes())
    key: Any = load_pem_private_key(place.key.read_bytes(), None)
    encrypted = BestAvailableEncryption(b"password")
    files.write_bytes(pkcs12.serialize_key_and_certificates(b"leaf", key, leaf, None, encrypted))
    for command in (
        ["certutil", "-N", "-d", database, "--empty-password"],
        ["certutil", "-A", "-d", database, "-n", "ca", "-t", "CT,C,", "-i", str(place.ca)],
        ["pk12util", "-i", str(files), "-d", database, "-W", "password"],
    ):
        program, *arguments = command
        subprocess.run(
            [programs / program, *arguments], check=True, timeout=SECONDS, capture_output=True
        )
    port = _free_port()
    flags = ["-V", "tls1.3:tls1.3", "-u", "-X", f"publicname:{PUBLIC}"]
    serve = [str(programs / "selfserv"), "-d", database, "-n", "leaf", "-p", str(port), *flags]
    with running(Process(["stdbuf", "-oL", *serve], place.directory)) as process:
        end = process.wait_for(b"\n")
        _wait_until_listening(port, process)
        yield port, EchConfigList.from_base64(bytes(process.output[:end]).decode())


def test_nss_server(new_nss: Path, place: Place) -> None:
    with nss_server(new_nss, place) as (port, configs):
        client = replace(place.client, ech=configs, sessions=SessionStore())
        assert_accepted(with_request(client, port))
        again = with_request(client, port)
        assert_accepted(again)
        assert again.resumed
        retried = replace(client, groups=["secp521r1", "X25519"], key_shares=["secp521r1"])
        assert_accepted(with_request(replace(retried, sessions=None), port), retried=True)
        for stale, current in ((client, configs), (retried, None)):
            with pytest.raises(EchRejectedError) as caught:
                with_request(replace(stale, ech=EchConfigList(OTHER.configs)), port)
            # NSS 3.132 sends none after a HelloRetryRequest, which section 7.1 wants in any case.
            assert caught.value.retry_configs == current
        assert not with_request(replace(client, ech=None), port).ech_accepted


def nss_database(place: Place) -> str:
    certutil = need_tool("certutil")
    database = place.directory / "nss"
    if not database.exists():
        database.mkdir()
        for arguments in (["-N", "--empty-password"], ["-A", "-n", "ca", "-t", "CT,C,"]):
            extra = ["-i", str(place.ca)] if "-A" in arguments else []
            subprocess.run(
                [certutil, *arguments, *extra, "-d", f"sql:{database}"],
                check=True, timeout=SECONDS, capture_output=True,
            )  # fmt: skip
    return str(database)


@pytest.mark.parametrize("groups", RETRY)
def test_boringssl_client(place: Place, groups: list[str]) -> None:
    curl_cffi: Any = need_module("curl_cffi")
    server = replace(place.server, groups=groups) if groups else place.server
    configs = EchConfigList(KEY.configs).to_base64().encode()
    with serving(server) as served:
        curl = curl_cffi.Curl()
        url = f"https://{SECRET}:{served.port}/"
        curl.setopt(curl_cffi.CurlOpt.URL, url.encode())
        curl.setopt(curl_cffi.CurlOpt.CAINFO, str(place.ca).encode())
        curl.setopt(curl_cffi.CurlOpt.RESOLVE, [f"{SECRET}:{served.port}:127.0.0.1".encode()])
        curl.setopt(curl_cffi.CurlOpt.ECH, b"ecl:" + configs)
        curl.setopt(curl_cffi.CurlOpt.WRITEFUNCTION, lambda data: len(data))
        curl.perform()
        curl.close()
        assert_accepted(served.only(), retried=bool(groups))


@pytest.mark.parametrize("groups", RETRY)
@pytest.mark.parametrize("module", ["rtls", "utls"])
def test_clients_like_ssl(place: Place, module: str, groups: list[str]) -> None:
    """rtls is rustls, and utls BoringSSL, each with the surface of ssl."""
    library: Any = need_module(module)
    server = replace(place.server, groups=groups) if groups else place.server
    with serving(server) as served:
        context = library.SSLContext(library.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(str(place.ca))
        context = context.set_ech_configs(EchConfigList(KEY.configs).to_bytes())
        with (
            socket.create_connection(("127.0.0.1", served.port), SECONDS) as sock,
            context.wrap_socket(sock, server_hostname=SECRET) as tls,
        ):
            tls.sendall(REQUEST)
            tls.recv(100)
        assert_accepted(served.only(), retried=bool(groups))


# wolfSSL


@pytest.fixture
def wolfssl() -> Path:
    home = CACHE / "wolfssl"
    if not (home / "client").exists():
        pytest.skip("the client of wolfSSL is not there (make peers builds it)")
    return home


@pytest.mark.parametrize("groups", RETRY)
def test_wolfssl_client(wolfssl: Path, place: Place, groups: list[str]) -> None:
    server = replace(place.server, groups=groups) if groups else place.server
    for key, is_accepted in ((KEY, True), (OTHER, False)):
        with serving(server) as served:
            command = [str(wolfssl / "client"), "-v", "4", "-h", "127.0.0.1", "-g", "-x"]
            command += ["-p", str(served.port), "-A", str(place.ca), "-S", SECRET]
            command += ["--ech", EchConfigList(key.configs).to_base64()]
            done = subprocess.run(
                command, cwd=wolfssl, capture_output=True, timeout=SECONDS, check=False
            )
            if is_accepted:
                assert b"hello" in done.stdout, done
                assert_accepted(served.only(), retried=bool(groups))
            else:
                assert b"ECH offered but rejected by server" in done.stderr, done
                assert_rejected(served.only())
