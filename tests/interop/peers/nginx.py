"""nginx: its TLS in front of a small echoing backend, which also reads what nginx reports."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .base import (
    TIMEOUT,
    Options,
    Peer,
    PeerError,
    Process,
    Report,
    Role,
    RunningServer,
    iana_suite,
    openssl_suite,
    running,
)
from .features import ML_DSA, ML_KEM, RESUMPTION
from .openssl_conf import openssl_groups

_CONFIG = """\
daemon off;
master_process off;
pid {workdir}/nginx.pid;
error_log stderr error;
events {{ worker_connections 32; }}
http {{
  access_log off;
  client_body_temp_path {workdir}/body;
  proxy_temp_path {workdir}/proxy;
  fastcgi_temp_path {workdir}/fastcgi;
  uwsgi_temp_path {workdir}/uwsgi;
  scgi_temp_path {workdir}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    server_name localhost;
    client_max_body_size 4m;
    ssl_protocols {version};
    ssl_certificate {chain};
    ssl_certificate_key {key};
    {extra}
    location / {{
      proxy_pass http://127.0.0.1:{backend};
      proxy_set_header X-TLS-Version $ssl_protocol;
      proxy_set_header X-TLS-Suite $ssl_cipher;
      proxy_set_header X-TLS-Group $ssl_curve;
      proxy_set_header X-TLS-Client $ssl_client_s_dn;
      proxy_set_header X-TLS-ALPN $ssl_alpn_protocol;
      proxy_set_header X-TLS-Reused $ssl_session_reused;
    }}
  }}
}}
"""


class Nginx(Peer):
    name = "nginx"
    title = "nginx"
    roles = ("server",)
    styles = ("http",)
    alpn_protocols = ("http/1.1",)
    rare_features = RESUMPTION
    sends_close_notify = False  # it answers ours by closing the transport

    def version(self) -> str:
        lines = subprocess.run([_nginx(), "-V"], capture_output=True, text=True, check=True).stderr
        version = lines.split("nginx/", 1)[1].split()[0]
        return f"nginx {version}, OpenSSL {_openssl_version(lines)}"

    def unavailable(self) -> str | None:
        return None if Path(_nginx()).exists() else "nginx is not installed"

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature in ML_KEM | ML_DSA and "OpenSSL 3.0" in self.version():
            return "nginx runs on an OpenSSL 3.0 here, which has neither ML-KEM nor ML-DSA"
        return {
            "key-update-peer": "nginx never starts a KeyUpdate",
            "exporter": "nginx shows no exporter",
            "tls12-exporter": "nginx shows no exporter",
        }.get(feature)

    def run_client(self, port: int, options: Options, workdir: Path) -> Report:
        raise NotImplementedError("nginx is a server")

    @contextmanager
    def start_server(self, options: Options, workdir: Path) -> Iterator[RunningServer]:
        with _Backend() as backend:
            port = _free_port()
            config = workdir / "nginx.conf"
            config.write_text(_config(options, workdir, port, backend.server_port))
            command = [_nginx(), "-c", str(config), "-e", "stderr", "-p", str(workdir)]
            with running(Process(command, workdir)) as process:
                _wait_until_listening(port, process)
                yield _NginxServer(port, process, backend)


class _NginxServer(RunningServer):
    def __init__(self, port: int, process: Process, backend: _Backend) -> None:
        self.port = port
        self._process = process
        self._backend = backend

    def report(self) -> Report:
        if not self._backend.reports:
            raise PeerError(f"no request came through: {self._process.said()}")
        *_, last = self._backend.reports
        last.received = [digest for each in self._backend.reports for digest in each.received[:1]]
        return last

    def explain(self) -> str:
        return self._process.said()


class _Backend(ThreadingHTTPServer):
    """Sends bodies back, and keeps what nginx says of the connection they came over."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _EchoHandler)
        self.reports: list[Report] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def server_close(self) -> None:
        self.shutdown()
        self._thread.join(TIMEOUT)
        super().server_close()


class _EchoHandler(BaseHTTPRequestHandler):
    server: _Backend

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        subject = self.headers.get("X-TLS-Client") or None
        self.server.reports.append(
            Report(
                received=[hashlib.sha256(body).hexdigest()],
                version=self.headers["X-TLS-Version"],
                suite=iana_suite(self.headers["X-TLS-Suite"]),
                group=_iana_group(self.headers.get("X-TLS-Group")),
                resumed=self.headers.get("X-TLS-Reused") == "r",
                alpn=self.headers.get("X-TLS-ALPN") or None,
                peer_subject=subject.removeprefix("CN=") if subject else None,
            )
        )
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


def _config(options: Options, workdir: Path, port: int, backend: int) -> str:
    assert options.identity is not None
    extra = []
    if options.groups:
        extra.append(f"ssl_ecdh_curve {openssl_groups(options.groups)};")
    if options.suites and options.version == "TLSv1.2":
        extra.append(f"ssl_ciphers {':'.join(map(openssl_suite, options.suites))};")
    elif options.suites:
        extra.append(f"ssl_conf_command Ciphersuites {':'.join(options.suites)};")
    if options.require_client_cert:
        extra.append(f"ssl_verify_client on; ssl_client_certificate {options.ca};")
    return _CONFIG.format(
        workdir=workdir,
        version=options.version,
        port=port,
        backend=backend,
        chain=options.identity.chain,
        key=options.identity.key,
        extra="\n    ".join(extra),
    )


def _wait_until_listening(port: int, process: Process) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        with suppress(subprocess.TimeoutExpired):
            process.popen.wait(0.05)
            break
    raise PeerError(f"nginx does not listen: {process.said()}")


def _free_port() -> int:
    """nginx cannot tell a port that the system chose, so it is given one that was just free."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _iana_group(name: str | None) -> str | None:
    from .base import iana_group

    return iana_group(name or None)


def _nginx() -> str:
    return shutil.which("nginx") or "/usr/sbin/nginx"


def _openssl_version(lines: str) -> str:
    running_with = lines.split("running with OpenSSL ", 1)
    built_with = lines.split("built with OpenSSL ", 1)
    found = running_with if len(running_with) == 2 else built_with
    return found[1].split()[0] if len(found) == 2 else "of unknown version"
