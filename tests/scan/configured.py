"""Servers of other people, each with settings, and what a scan must find of them."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.programs import daemons
from tests.programs.daemons import DAEMONS
from tests.programs.peers import free_port
from tests.required import lacking, need_tool

from handclasp import TrustStore
from handclasp.scan import Report, ScanSettings, Target, scan

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".peers"
HERE = Path(__file__).parent / "peers"
ALL13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
ECDSA12 = (
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
)
ECDSA_CHACHA12 = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"


@dataclass(frozen=True)
class Setup:
    """The directory with the certificates, one for the server's files, and its port."""

    home: Path
    where: Path
    port: int

    def write(self, name: str, text: str) -> str:
        path = self.where / name
        path.write_text(text)
        return str(path)


def scanned(home: Path, port: int, starttls: str | None = None) -> Report:
    """Scan a server of 127.0.0.1 that has a certificate of `home`."""
    trust = TrustStore.from_pem(home / "ca.pem")
    settings = ScanSettings(trust=trust, timeout=5, starttls=starttls)
    return asyncio.run(scan(Target("127.0.0.1", port, "localhost"), settings))


@dataclass(frozen=True)
class Configured:
    """A server with its settings.

    Attributes:
        start: returns its command.
        versions: those that it accepts, newest first.
        suites: by version: a tuple in the server's order, or a set where the client's counts.
        groups: by version, likewise.
        keys: the key types of its certificates.
        alpn: its protocols.
        features: of those that its settings decide.
        starttls: how TLS begins.
    """

    start: Callable[[Setup], list[str]]
    versions: tuple[str, ...] = ("TLSv1.3", "TLSv1.2")
    suites: dict[str, Any] = field(default_factory=dict[str, Any])
    groups: dict[str, Any] = field(default_factory=dict[str, Any])
    keys: tuple[str, ...] = ("ECDSA secp256r1",)
    alpn: tuple[str, ...] = ()
    features: dict[str, Any] = field(default_factory=dict[str, Any])
    starttls: str | None = None


def _openssl(program: str, *options: str, rsa: bool = False) -> Callable[[Setup], list[str]]:
    def start(setup: Setup) -> list[str]:
        path = shutil.which(program) or str(PEERS / program / "openssl")
        if not Path(path).exists():
            lacking(f"{program} is not installed (make peers)")
        stem = "rsa" if rsa else "server"
        own = ("-cert", f"{setup.home}/{stem}-chain.pem", "-key", f"{setup.home}/{stem}-key.pem")
        # Without -naccept it serves for ever; -WWW answers no HEAD, and so the scan waits for it.
        address = ("-accept", f"127.0.0.1:{setup.port}")
        return [path, "s_server", *address, *own, "-quiet", *options]

    return start


def _gnutls(setup: Setup) -> list[str]:
    own = (
        f"--x509certfile={setup.home}/rsa-chain.pem",
        f"--x509keyfile={setup.home}/rsa-key.pem",
    )
    priority = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"
    groups = ":-CIPHER-ALL:+AES-256-GCM:-GROUP-ALL:+GROUP-SECP384R1:+GROUP-X25519:-RSA:-DHE-RSA"
    early = ("--earlydata", "--maxearlydata=1024")
    options = ("--http", "--disable-client-cert", *early, f"--priority={priority}{groups}")
    return [need_tool("gnutls-serv"), "-p", str(setup.port), *own, *options]


def nginx(setup: Setup, server: str) -> list[str]:
    path = setup.write("nginx.conf", daemons.nginx_text(setup.where, server))
    return [need_tool("nginx"), "-c", path]


def _nginx(setup: Setup) -> list[str]:
    home = setup.home
    return nginx(
        setup,
        f"""
    listen 127.0.0.1:{setup.port} ssl http2;
    ssl_certificate {home}/server-chain.pem; ssl_certificate_key {home}/server-key.pem;
    ssl_certificate {home}/rsa-chain.pem; ssl_certificate_key {home}/rsa-key.pem;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers on; ssl_session_tickets off;
    ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256;
    ssl_ecdh_curve X25519:prime256v1:secp384r1; ssl_early_data on;
    ssl_client_certificate {home}/ca.pem; ssl_verify_client optional;
    add_header Strict-Transport-Security "max-age=63072000; includeSubDomains" always;
    location / {{ return 200 ok; }}
""",
    )


def haproxy(
    setup: Setup, bound: Sequence[str], in_frontend: Sequence[str] = (), bind: str = ""
) -> list[str]:
    """Return the command of one with these settings of "global", of its frontend, and of "bind"."""
    pem = setup.where / "own.pem"
    pem.write_bytes((setup.home / "rsa.pem").read_bytes())
    newline = "\n  "
    path = setup.write(
        "haproxy.cfg",
        f"""
global
  {newline.join(bound)}
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend f
  bind 127.0.0.1:{setup.port} ssl crt {pem} {bind}
  {newline.join(in_frontend)}
  http-request return status 200 content-type text/plain string ok
""",
    )
    return [need_tool("haproxy"), "-f", path]


def _haproxy(setup: Setup) -> list[str]:
    bound = (
        "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
        "ssl-default-bind-ciphers ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305",
        "ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384",
        "ssl-default-bind-curves P-256:P-384",
    )
    return haproxy(setup, bound, bind="alpn h2,http/1.1")


def apache(setup: Setup, chain: str, lines: Iterable[str]) -> list[str]:
    """Return the command of one with these settings, and the certificates in the file `chain`."""
    modules = "mpm_event authz_core ssl socache_shmcb headers"
    loads = "\n".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
        for name in modules.split()
    )
    newline = "\n"
    path = setup.write(
        "apache.conf",
        f"""
ServerName localhost
ServerRoot {setup.where}
DefaultRuntimeDir {setup.where}
PidFile {setup.where}/pid
ErrorLog {setup.where}/error.log
DocumentRoot {setup.where}
{loads}
Listen 127.0.0.1:{setup.port}
SSLEngine on
SSLCertificateFile {chain}
SSLCertificateKeyFile {setup.home}/rsa-key.pem
{newline.join(lines)}
""",
    )
    return [need_tool("apache2"), "-X", "-f", path]


def _apache(setup: Setup) -> list[str]:
    lines = (
        "SSLProtocol -all +TLSv1.2",
        "SSLCipherSuite ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-SHA",
        "SSLHonorCipherOrder on",
        "SSLSessionTickets off",
        "Header always set Strict-Transport-Security max-age=300",
    )
    return apache(setup, f"{setup.home}/rsa-chain.pem", lines)


def _go(setup: Setup) -> list[str]:
    go = ROOT / ".venv" / "bin" / "go"
    if not go.exists():
        lacking("Go is not installed (make peers)")
    program = setup.where / "server"
    environment = {"HOME": str(setup.where), "GOCACHE": str(setup.where / "cache")}
    environment |= {"GOTOOLCHAIN": "local", "PATH": "/usr/bin:/bin", "GO111MODULE": "off"}
    cached = PEERS / "go-build"
    if cached.is_dir():
        environment["GOCACHE"] = str(cached)
    build = [str(go), "build", "-o", str(program), str(HERE / "server.go")]
    subprocess.run(build, check=True, env=environment, capture_output=True)
    own = (f"{setup.home}/server-chain.pem", f"{setup.home}/server-key.pem")
    return [str(program), str(setup.port), *own]


def _pkcs12(setup: Setup, stem: str) -> str:
    path = setup.where / "own.p12"
    command = [need_tool("openssl"), "pkcs12", "-export", "-in", f"{setup.home}/{stem}.pem"]
    command += ["-out", str(path), "-passout", "pass:secret", "-name", "own"]
    subprocess.run(command, check=True, capture_output=True)
    return str(path)


def _java(setup: Setup) -> list[str]:
    store = _pkcs12(setup, "rsa")
    groups = "-Djdk.tls.namedGroups=secp384r1,x25519"
    fast = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
    return [need_tool("java"), *fast, groups, str(HERE / "Server.java"), str(setup.port), store]


def _nss(setup: Setup) -> list[str]:
    database = f"sql:{setup.where}"
    store = _pkcs12(setup, "rsa")
    for command in (
        [need_tool("certutil"), "-N", "-d", database, "--empty-password"],
        [need_tool("pk12util"), "-i", store, "-d", database, "-W", "secret"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    options = ("-V", "tls1.2:tls1.3", "-c", ":1301:C02F", "-I", "x25519,P256")
    base = ("-d", database, "-n", "own", "-p", str(setup.port))
    return [need_tool("selfserv"), *base, *options]


def _openssl4(setup: Setup) -> list[str]:
    command = _openssl(
        "openssl4", "-groups", "MLKEM1024:X25519MLKEM768", "-tls1_3", "-num_tickets", "0"
    )(setup)
    ech = setup.where / "ech.pem"
    generate = [command[0], "ech", "-public_name", "public.test", "-out", str(ech)]
    subprocess.run(generate, check=True, capture_output=True)
    second = ("-cert2", f"{setup.home}/server-chain.pem", "-key2", f"{setup.home}/server-key.pem")
    hidden = ("-servername", "secret.test", "-ech_key", str(ech), "-cert_comp")
    return [*command, *second, *hidden]


def _ours(setup: Setup) -> list[str]:
    own = ("--cert", f"{setup.home}/server-chain.pem", "--key", f"{setup.home}/server-key.pem")
    return [sys.executable, "-m", "handclasp", "serve", "--port", str(setup.port), *own]


def daemon(name: str, start: Callable[[daemons.Setup], list[str]]) -> Callable[[Setup], list[str]]:
    def command(setup: Setup) -> list[str]:
        path = DAEMONS[name].path()
        if path is None:
            lacking(f"{name} is not installed")
        environment = {"HANDCLASP_SECOND_PORT": str(free_port())}
        return [path, *start(daemons.Setup(setup.home, setup.where, setup.port, environment))]

    return command


def _postgres(setup: Setup) -> list[str]:
    path, *arguments = daemon("postgres", DAEMONS["postgres"].start)(setup)
    settings = {
        "ssl_min_protocol_version": "TLSv1.2",
        "ssl_ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256",
        "ssl_prefer_server_ciphers": "on",
        "ssl_ecdh_curve": "secp384r1",
    }
    arguments += [part for each in settings.items() for part in ("-c", "=".join(each))]
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    return [*as_user, path, *arguments]


def _dovecot(setup: Setup) -> list[str]:
    command = daemon("dovecot", daemons.dovecot_in_the_clear)(setup)
    with (setup.where / "dovecot.conf").open("a") as file:
        file.write("ssl_min_protocol = TLSv1\nssl_prefer_server_ciphers = yes\n")
        file.write("ssl_cipher_list = ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0\n")
        file.write("ssl_curve_list = P-384:P-256\n")
    return command


SERVERS: dict[str, Configured] = {
    "ours": Configured(
        _ours,
        suites={"TLSv1.3": ALL13, "TLSv1.2": {*ECDSA12, ECDSA_CHACHA12}},
        groups={
            "TLSv1.3": (
                *("X25519MLKEM768", "X25519", "secp256r1", "secp384r1"),
                *("SecP256r1MLKEM768", "SecP384r1MLKEM1024"),
            ),
            # Its third, secp384r1, is behind the curve of its certificate: docs/scan.md, "Limits".
            "TLSv1.2": ("X25519", "secp256r1"),
        },
        alpn=("http/1.1",),
        features={"extended_master_secret": True, "downgrade_sentinel": True, "hsts": 0},
    ),
    "PostgreSQL": Configured(
        _postgres,
        suites={"TLSv1.3": ALL13, "TLSv1.2": ECDSA12},
        groups={"TLSv1.3": {"secp384r1"}, "TLSv1.2": {"secp384r1"}},
        features={"session_ticket": False, "tickets": 0, "hsts": None},
        starttls="postgres",
    ),
    "Dovecot": Configured(
        _dovecot,
        versions=("TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1.0"),
        suites={"TLSv1.3": ALL13}
        | dict.fromkeys(
            ("TLSv1.2", "TLSv1.1", "TLSv1.0"),
            (
                "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
                "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
            ),
        ),
        groups=dict.fromkeys(("TLSv1.3", "TLSv1.2"), ("secp384r1", "secp256r1")),
        features={"fallback_scsv": True, "downgrade_sentinel": True, "hsts": None},
        starttls="imap",
    ),
    "OpenSSL": Configured(
        _openssl("openssl", "-groups", "P-521:X448", "-ciphersuites", "TLS_AES_128_CCM_SHA256"),
        suites={"TLSv1.3": {"TLS_AES_128_CCM_SHA256"}},
        groups={"TLSv1.3": {"secp521r1", "X448"}},
        features={"extended_master_secret": True, "early_data": False, "dh_bits": None},
    ),
    "OpenSSL with old settings": Configured(
        _openssl(
            "openssl",
            *("-cipher", "AES128-SHA:DES-CBC3-SHA:AECDH-AES128-SHA@SECLEVEL=0", "-serverpref"),
            *("-no_tls1_3", "-no_ticket", "-no_etm"),
            rsa=True,
        ),
        versions=("TLSv1.2", "TLSv1.1", "TLSv1.0"),
        suites=dict.fromkeys(
            ("TLSv1.2", "TLSv1.1", "TLSv1.0"),
            ("TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDH_anon_WITH_AES_128_CBC_SHA"),
        ),
        keys=("RSA",),
        features={
            "session_ticket": False,
            "encrypt_then_mac": False,
            "fallback_scsv": True,
            "compression": False,
            "heartbeat": False,
            "rsa_oracle": False,
        },
    ),
    "OpenSSL 3.5": Configured(
        _openssl("openssl35", "-alpn", "h2,http/1.1", "-early_data", "-max_early_data", "500"),
        suites={"TLSv1.3": ALL13},
        groups={
            "TLSv1.3": {
                *("X25519MLKEM768", "X25519", "secp256r1", "secp384r1", "secp521r1", "X448"),
                *("ffdhe2048", "ffdhe3072"),
            }
        },
        alpn=("h2", "http/1.1"),
        features={"early_data": True, "downgrade_sentinel": True, "fallback_scsv": True},
    ),
    "OpenSSL 4.0": Configured(
        _openssl4,
        versions=("TLSv1.3",),
        suites={"TLSv1.3": ALL13},
        groups={"TLSv1.3": {"MLKEM1024", "X25519MLKEM768"}},
        features={"tickets": 0, "ech_retry_configs": ("public.test",)},
    ),
    "GnuTLS": Configured(
        _gnutls,
        suites={
            "TLSv1.3": ("TLS_AES_256_GCM_SHA384",),
            "TLSv1.2": ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",),
        },
        groups={"TLSv1.3": ("secp384r1", "X25519"), "TLSv1.2": ("secp384r1", "X25519")},
        keys=("RSA",),
        features={"early_data": True, "record_size_limit": True},
    ),
    "nginx": Configured(
        _nginx,
        suites={
            "TLSv1.3": ALL13,
            "TLSv1.2": (ECDSA12[0], "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        },
        groups={
            "TLSv1.3": ("X25519", "secp256r1", "secp384r1"),
            "TLSv1.2": {"X25519", "secp256r1", "secp384r1"},
        },
        keys=("ECDSA secp256r1", "RSA"),
        alpn=("h2", "http/1.1", "http/1.0"),
        features={
            "hsts": 63072000,
            "session_ticket": False,
            "early_data": True,
            "client_certificate": True,
            "client_authorities": ("CN=test root",),
        },
    ),
    "haproxy": Configured(
        _haproxy,
        suites={
            "TLSv1.3": ("TLS_AES_256_GCM_SHA384",),
            "TLSv1.2": {
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            },
        },
        groups={"TLSv1.3": {"secp256r1", "secp384r1"}, "TLSv1.2": {"secp256r1", "secp384r1"}},
        keys=("RSA",),
        alpn=("h2", "http/1.1"),
        features={"hsts": 0, "session_ticket": False, "early_data": False},
    ),
    "Apache": Configured(
        _apache,
        versions=("TLSv1.2",),
        suites={
            "TLSv1.2": (
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
            )
        },
        keys=("RSA",),
        alpn=("http/1.1",),
        features={"session_ticket": False, "secure_renegotiation": True, "resumption12": False},
    ),
    "Go": Configured(
        _go,
        suites={"TLSv1.3": ALL13, "TLSv1.2": set(ECDSA12)},
        groups={
            "TLSv1.3": {"X25519MLKEM768", "X25519", "secp384r1"},
            "TLSv1.2": {"X25519", "secp384r1"},
        },
        alpn=("h2", "http/1.1"),
        features={"session_ticket": True, "early_data": False, "hsts": 0},
    ),
    "Java": Configured(
        _java,
        suites={
            "TLSv1.3": ("TLS_AES_256_GCM_SHA384",),
            "TLSv1.2": ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",),
        },
        groups={"TLSv1.3": {"secp384r1", "X25519"}, "TLSv1.2": {"secp384r1", "X25519"}},
        keys=("RSA",),
        features={"extended_master_secret": True, "downgrade_sentinel": True},
    ),
    "NSS": Configured(
        _nss,
        suites={
            "TLSv1.3": ("TLS_AES_128_GCM_SHA256",),
            "TLSv1.2": ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",),
        },
        groups={"TLSv1.3": {"X25519", "secp256r1"}, "TLSv1.2": {"X25519", "secp256r1"}},
        keys=("RSA",),
        features={"extended_master_secret": True},
    ),
}
"""The servers by name. A feature that is None is one that must not be there."""
