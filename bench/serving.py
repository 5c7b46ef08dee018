"""`python -m bench.serving`: `handclasp serve` beside nginx, and beside uvicorn over `ssl`.

It needs ab, wrk, curl and nginx (Debian: apt-get install apache2-utils wrk curl nginx-light);
h2load, of nghttp2-client, is used as well where it is installed. Each round has all servers in
turn, and the best of the rounds counts: other load makes a figure worse, never better. All servers
and clients share the machine. Each server has one process.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import click

from handclasp.certificates.authority import LocalAuthority

_MEGABYTE = 1_000_000
_LARGE_BYTES = 100 * _MEGABYTE
_SMALL = "<!DOCTYPE html><title>A page</title>" + "<p>some text\n" * 80
_CONNECTIONS = 32

_NGINX = """
daemon off; master_process off; pid {where}/nginx.pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; keepalive_requests 1000000;
    types {{ text/html html; }}
    client_body_temp_path {where}; proxy_temp_path {where}; fastcgi_temp_path {where};
    uwsgi_temp_path {where}; scgi_temp_path {where};
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {where}/chain.pem; ssl_certificate_key {where}/key.pem;
        ssl_protocols TLSv1.3;
        root {where}/site;
    }}
}}
"""

_UVICORN = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
app = Starlette(routes=[Mount("/", StaticFiles(directory=sys.argv[1] + "/site"))])
uvicorn.run(app, port=int(sys.argv[2]), http="h11", log_level="error", access_log=False,
            ssl_certfile=sys.argv[1] + "/chain.pem", ssl_keyfile=sys.argv[1] + "/key.pem")
"""

Command = Callable[[Path, int], Sequence[str]]


def _of_handclasp(where: Path, port: int) -> Sequence[str]:
    files = ("--cert", str(where / "chain.pem"), "--key", str(where / "key.pem"))
    command = (sys.executable, "-m", "handclasp", "serve", str(where / "site"))
    return (*command, "--port", str(port), "--log-format", "json", *files)


def _of_uvicorn(where: Path, port: int) -> Sequence[str]:
    return (sys.executable, "-c", _UVICORN, str(where), str(port))


def _of_nginx(where: Path, port: int) -> Sequence[str]:
    path = where / "nginx.conf"
    path.write_text(_NGINX.format(where=where, port=port))
    return (_tool("nginx"), "-c", str(path), "-e", "stderr", "-p", str(where))


SERVERS: Mapping[str, Command] = {
    "handclasp serve": _of_handclasp,
    "uvicorn over ssl": _of_uvicorn,
    "nginx": _of_nginx,
}


def _tool(name: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if path is None:
        raise SystemExit(f"{name} is not installed.")
    return path


def _prepare(where: Path) -> None:
    authority = LocalAuthority.open_or_create(where / "authority")
    issued = authority.issue(["localhost", "127.0.0.1"], key_type="ecdsa-p256")
    for name, data in (("chain.pem", issued.chain_pem), ("key.pem", issued.key_pem)):
        (where / name).write_bytes(data)
        (where / name).chmod(0o600)
    site = where / "site"
    site.mkdir()
    (site / "page.html").write_text(_SMALL)
    (site / "large.bin").write_bytes(os.urandom(_LARGE_BYTES))


@contextmanager
def _running(command: Command, where: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    popen = subprocess.Popen(
        command(where, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            if popen.poll() is not None:
                raise SystemExit(f"A server has ended with status {popen.returncode}.")
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield port
    finally:
        popen.terminate()
        try:
            popen.wait(10)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


def requests(port: int, seconds: int) -> float:
    """Requests a second by wrk, for a page of a kilobyte, on connections that stay."""
    command = [_tool("wrk"), "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s"]
    command.append(f"https://127.0.0.1:{port}/page.html")
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None or "Non-2xx" in said:
        raise SystemExit(said)
    return float(found[1])


def handshakes(port: int, seconds: int) -> float:
    """Full handshakes a second, by ab, with one request on each connection."""
    command = [_tool("ab"), "-q", f"-c{_CONNECTIONS}", f"-t{seconds}", "-n1000000"]
    command.append(f"https://127.0.0.1:{port}/page.html")
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests per second:\s+([\d.]+)", said)
    if found is None or "Failed requests:        0" not in said:
        raise SystemExit(said)
    return float(found[1])


def requests_of_h2load(port: int, seconds: int) -> float:
    """The same by h2load, over HTTP/1.1."""
    command = [_tool("h2load"), "--h1", "-t1", f"-c{_CONNECTIONS}", f"-D{seconds}"]
    command.append(f"https://127.0.0.1:{port}/page.html")
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"([\d.]+) req/s", said)
    if found is None:
        raise SystemExit(said)
    return float(found[1])


def download(port: int, seconds: int) -> float:
    """Megabytes a second of one file of 100 MB."""
    del seconds
    command = [_tool("curl"), "-sk", "-o", os.devnull, "-w", "%{speed_download}"]
    command.append(f"https://127.0.0.1:{port}/large.bin")
    return float(subprocess.run(command, capture_output=True, check=True).stdout) / _MEGABYTE


MEASURES: Mapping[str, Callable[[int, int], float]] = {
    "handshakes/s (ab)": handshakes,
    "requests/s (wrk)": requests,
    "requests/s (h2load)": requests_of_h2load,
    "100 MB, MB/s": download,
}


def measure(rounds: int, seconds: int) -> dict[str, dict[str, float]]:
    """Return the best of each measure, by server."""
    best: dict[str, dict[str, float]] = {name: {} for name in SERVERS}
    measures = dict(MEASURES)
    if shutil.which("h2load") is None:
        del measures["requests/s (h2load)"]
    with ExitStack() as stack:
        where = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _prepare(where)
        ports = {name: stack.enter_context(_running(SERVERS[name], where)) for name in SERVERS}
        for _ in range(rounds):
            for title, work in measures.items():
                for name, port in ports.items():
                    best[name][title] = max(best[name].get(title, 0.0), work(port, seconds))
    return best


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each load")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.rounds, options.seconds)
    if options.json:
        click.echo(json.dumps(found))
        return
    titles = list(next(iter(found.values())))
    click.echo("| | " + " | ".join(titles) + " |")
    click.echo("|---|" + "---:|" * len(titles))
    for name, row in found.items():
        click.echo(f"| {name} | " + " | ".join(f"{row[each]:,.0f}" for each in titles) + " |")


if __name__ == "__main__":
    main()
