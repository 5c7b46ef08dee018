"""tshark opens the captures that we write: decrypted, with no key log, option or right at hand."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.children import child
from tests.cli.conftest import COMMAND
from tests.required import need_tool

import handclasp
from handclasp import ClientConfig
from handclasp.certificates.authority import LocalAuthority

pytestmark = pytest.mark.long

REQUEST = b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def tshark(path: Path, *arguments: str) -> str:
    """What tshark says of a capture, told nothing but its name, and with every check on."""
    checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    # Some of the ports that the system gives out are those of other protocols, such as 44818:
    # tshark has to look at the bytes first.
    by_bytes = ["-o", "tcp.try_heuristic_first:TRUE"]
    command = [need_tool("tshark"), "-n", "-r", str(path), *checks, *by_bytes, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def values(path: Path, shown: str, field: str) -> list[str]:
    """Every value of a field, in the packets that a filter shows."""
    found = json.loads(tshark(path, "-Y", shown, "-T", "json", "-e", field))
    return [value for packet in found for value in packet["_source"]["layers"].get(field, ())]


def complaints(path: Path) -> list[str]:
    """What tshark finds wrong: bad checksums, segments that are missing, malformed messages."""
    shown = "tcp.checksum.status == 0 or ip.checksum.status == 0 or tcp.analysis.lost_segment"
    return values(path, f"{shown} or tcp.analysis.out_of_order or _ws.malformed", "frame.number")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    (site / "hello.txt").write_text("hello over TLS\n" * 5000)
    return site


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalAuthority:
    """That of the commands, which open it by the same variable."""
    monkeypatch.setenv("HANDCLASP_HOME", str(tmp_path / "home"))
    return LocalAuthority.open_or_create(tmp_path / "home")


@pytest.mark.parametrize("version", ["--tls13", "--tls12"])
def test_captures_of_both_commands(
    tmp_path: Path, site: Path, authority: LocalAuthority, version: str
) -> None:
    theirs, ours = tmp_path / "server.pcapng", tmp_path / "client.pcapng"
    ca = tmp_path / "home" / "ca.pem"
    serve = [*COMMAND, "serve", str(site), "--port", "0", version, "--trace", str(theirs)]
    with child(serve, tmp_path) as server:
        port = int(server.wait_for(r"localhost:(\d+)")[1])
        connect = [*COMMAND, "connect", f"localhost:{port}", "--ca", str(ca), "--json"]
        connect += ["--alpn", "http/1.1", "--send", REQUEST.decode().replace("\r\n", "\\r\\n")]
        done = subprocess.run(
            [*connect, "--trace", str(ours)], capture_output=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        # Another connection into the same file.
        config = ClientConfig(trust=authority.trust, versions=["TLSv1.3", "TLSv1.2"])
        with handclasp.connect("localhost", port, config, timeout=20) as tls:
            tls.sendall(REQUEST)
            while tls.recv(65536):
                pass
        server.popen.terminate()
        assert server.wait() == 0
    for path, connections in ((ours, 1), (theirs, 2)):
        assert complaints(path) == []
        assert values(path, "http.request", "http.request.uri") == ["/hello.txt"] * connections
        assert values(path, "http.response", "http.response.code") == ["200"] * connections
        assert set(values(path, "tcp", "tcp.srcport")) >= {str(port)}
        assert path.stat().st_mode & 0o077 == 0
    assert values(ours, "http", "http.content_length") == ["75000"]
    assert len(set(values(theirs, "tcp", "tcp.stream"))) == 2


def test_a_failure_is_in_the_capture(tmp_path: Path, authority: LocalAuthority) -> None:
    del authority
    capture = tmp_path / "failed.pcapng"
    serve = [*COMMAND, "serve", "--echo", "--port", "0", "--trace", str(capture)]
    with child(serve, tmp_path) as server:
        port = int(server.wait_for(r"localhost:(\d+)")[1])
        with pytest.raises(handclasp.CertificateError):
            handclasp.connect("localhost", port, ClientConfig(trust=None), timeout=20)
        server.wait_for("failed")
        server.popen.terminate()
        assert server.wait() == 0
    assert values(capture, "tls.alert_message", "tls.alert_message.desc") == ["48"]
    assert complaints(capture) == []
