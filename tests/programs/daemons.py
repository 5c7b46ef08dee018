"""The real servers, each with a certificate of our authority, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.programs.peers import free_port, wait_for

_SYSTEM = ("/usr/lib/rabbitmq/bin", "/usr/lib/postgresql/15/bin", "/usr/sbin", "/usr/bin")
_PATH = os.pathsep.join([*_SYSTEM, os.environ.get("PATH", "")])


@dataclass(frozen=True, slots=True)
class Daemon:
    """A server of Debian: its command, what says its version, and how it is started."""

    name: str
    command: str
    version: Sequence[str]
    start: Callable[[Setup], list[str]]
    ready_seconds: float = 60

    def path(self) -> str | None:
        return shutil.which(self.command, path=_PATH)

    def version_line(self) -> str:
        path = self.path()
        if path is None:
            return ""
        if self.version[0] == "dpkg":
            command = ["dpkg-query", "-W", "-f=${Version}", self.version[1]]
        else:
            command = [path, *self.version]
        made = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        lines = (made.stdout + made.stderr).strip().splitlines()
        return lines[0].strip() if lines else ""


@dataclass(slots=True)
class Setup:
    """Where a server runs: its directory, its port, and its files."""

    home: Path
    where: Path
    port: int
    environment: dict[str, str]
    prefix: list[str] = field(default_factory=list)

    def write(self, name: str, text: str) -> str:
        path = self.where / name
        path.write_text(text)
        return str(path)

    def given_to(self, user: str) -> None:
        """Give the directory to the user that the server runs as."""
        for path in (self.where, *self.where.rglob("*")):
            shutil.chown(path, user, user)

    def private_copy(self) -> str:
        """Copy the server's key, which some servers want to own."""
        for name in ("server.pem", "server-key.pem", "server-chain.pem"):
            shutil.copy(self.home / name, self.where / name)
            (self.where / name).chmod(0o600)
        return str(self.where / "server-key.pem")


def nginx_text(where: Path, server: str) -> str:
    """Return the settings of an nginx with one server, all of whose files are in a directory."""
    return f"""
user root; daemon off; worker_processes 1; pid {where}/pid; error_log {where}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {where}/body; proxy_temp_path {where}/proxy;
  fastcgi_temp_path {where}/f; uwsgi_temp_path {where}/u; scgi_temp_path {where}/s;
  server {{{server}  }}
}}
"""


def _nginx(setup: Setup) -> list[str]:
    home, where = setup.home, setup.where
    (where / "www").mkdir()
    (where / "www" / "index.html").write_text("hello from nginx\n" * 4000)
    server = f"""
    listen 127.0.0.1:{setup.port} ssl http2;
    ssl_certificate {home}/server-chain.pem; ssl_certificate_key {home}/server-key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    root {where}/www;
"""
    return ["-c", setup.write("nginx.conf", nginx_text(where, server))]


def _redis(setup: Setup) -> list[str]:
    home = setup.home
    tls = ["--tls-port", str(setup.port), "--tls-cert-file", f"{home}/server-chain.pem"]
    tls += ["--tls-key-file", f"{home}/server-key.pem", "--tls-ca-cert-file", f"{home}/ca.pem"]
    tls += ["--tls-auth-clients", "no", "--port", "0", "--bind", "127.0.0.1"]
    return [*tls, "--save", "", "--dir", str(setup.where)]


def _mosquitto(setup: Setup) -> list[str]:
    home = setup.home
    text = f"""
listener {setup.port} 127.0.0.1
allow_anonymous true
certfile {home}/server-chain.pem
keyfile {home}/server-key.pem
user root
"""
    return ["-c", setup.write("mosquitto.conf", text)]


def _postgres(setup: Setup) -> list[str]:
    key = setup.private_copy()
    setup.given_to("postgres")
    data = setup.where / "data"
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    initdb = shutil.which("initdb", path=_PATH) or "initdb"
    command = [*as_user, initdb, "-A", "trust", "-U", "postgres", "-D", str(data)]
    subprocess.run(command, check=True, capture_output=True)
    chain = setup.where / "server-chain.pem"
    return [
        *("-D", str(data), "-p", str(setup.port), "-k", str(setup.where)),
        *("-c", "listen_addresses=127.0.0.1", "-c", "ssl=on", "-c", f"ssl_cert_file={chain}"),
        *("-c", f"ssl_key_file={key}", "-c", "fsync=off"),
    ]


def _mariadb(setup: Setup) -> list[str]:
    home, data = setup.home, setup.where / "data"
    install = shutil.which("mariadb-install-db", path=_PATH) or "mariadb-install-db"
    options = ["--no-defaults", "--user=root", f"--datadir={data}"]
    command = [install, *options, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(command, check=True, capture_output=True)
    return [
        *options,
        *(f"--port={setup.port}", "--bind-address=127.0.0.1", "--skip-name-resolve=0"),
        *(f"--socket={setup.where}/socket", f"--pid-file={setup.where}/pid"),
        *(f"--ssl-cert={home}/server-chain.pem", f"--ssl-key={home}/server-key.pem"),
        *(f"--ssl-ca={home}/ca.pem", "--innodb-flush-log-at-trx-commit=0"),
    ]


def _rabbitmq(setup: Setup) -> list[str]:
    home, where = setup.home, setup.where
    text = f"""
listeners.tcp = none
listeners.ssl.1 = 127.0.0.1:{setup.port}
ssl_options.cacertfile = {home}/ca.pem
ssl_options.certfile = {home}/server-chain.pem
ssl_options.keyfile = {home}/server-key.pem
ssl_options.verify = verify_none
"""
    setup.environment |= {
        "RABBITMQ_CONFIG_FILE": setup.write("rabbitmq.conf", text),
        "RABBITMQ_NODENAME": f"handclasp{setup.port}@localhost",
        "RABBITMQ_MNESIA_BASE": str(where / "mnesia"),
        "RABBITMQ_LOG_BASE": str(where / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": setup.write("plugins", "[].\n"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": str(free_port()),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "HOME": str(where),
    }
    # Erlang would start its port mapper as a daemon, which nobody ends.
    setup.prefix = ["sh", "-c", 'epmd & exec "$0" "$@"']
    return []


def _nats(setup: Setup) -> list[str]:
    home = setup.home
    tls = ["--tls", "--tlscert", f"{home}/server-chain.pem", "--tlskey", f"{home}/server-key.pem"]
    return ["-a", "127.0.0.1", "-p", str(setup.port), *tls]


def _slapd(setup: Setup) -> list[str]:
    home, where = setup.home, setup.where
    (where / "data").mkdir()
    text = f"""
include /etc/ldap/schema/core.schema
pidfile {where}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {home}/server-chain.pem
TLSCertificateKeyFile {home}/server-key.pem
TLSCACertificateFile {home}/ca.pem
database mdb
suffix "dc=test"
rootdn "cn=admin,dc=test"
rootpw secret
directory {where}/data
"""
    path = setup.write("slapd.conf", text)
    return ["-d", "0", "-f", path, "-h", f"ldaps://127.0.0.1:{setup.port}"]


def _dovecot(setup: Setup) -> list[str]:
    home, where = setup.home, setup.where
    pop = setup.environment["HANDCLASP_SECOND_PORT"]
    (where / "mail").mkdir()
    setup.write("users", "user:{PLAIN}secret\n")
    text = f"""
base_dir = {where}/run
state_dir = {where}/state
log_path = {where}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{home}/server-chain.pem
ssl_key = <{home}/server-key.pem
ssl_min_protocol = TLSv1.2
mail_location = maildir:{where}/mail/%u
first_valid_uid = 0
passdb {{
  driver = passwd-file
  args = {where}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={where}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {setup.port}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {pop}
    ssl = yes
  }}
}}
"""
    path = setup.write("dovecot.conf", text)
    shutil.chown(where / "mail", "mail", "mail")
    return ["-F", "-c", path]


def dovecot_in_the_clear(setup: Setup) -> list[str]:
    """Start Dovecot as it is started otherwise, but with STARTTLS."""
    arguments = _dovecot(setup)
    path = setup.where / "dovecot.conf"
    text = path.read_text().replace("    ssl = yes\n", "")
    for name in ("imap", "pop3"):  # The ports of the two listeners change places.
        text = text.replace(f"inet_listener {name} ", "inet_listener x ")
        text = text.replace(f"inet_listener {name}s ", f"inet_listener {name} ")
        text = text.replace("inet_listener x ", f"inet_listener {name}s ")
    path.write_text(text)
    return arguments


def _vsftpd(setup: Setup) -> list[str]:
    root = setup.where / "root"
    root.mkdir()
    (root / "hello.txt").write_text("hello from vsftpd\n" * 3000)
    root.chmod(0o555)
    text = f"""
listen=YES
listen_address=127.0.0.1
listen_port={setup.port}
background=NO
anonymous_enable=YES
local_enable=NO
anon_root={root}
no_anon_password=YES
ssl_enable=YES
allow_anon_ssl=YES
force_anon_data_ssl=YES
force_anon_logins_ssl=YES
require_ssl_reuse=NO
ssl_tlsv1=YES
ssl_ciphers=HIGH
rsa_cert_file={setup.home}/rsa-chain.pem
rsa_private_key_file={setup.home}/rsa-key.pem
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
secure_chroot_dir={setup.where / "empty"}
"""
    (setup.where / "empty").mkdir()
    return [setup.write("vsftpd.conf", text)]


DAEMONS = {
    each.name: each
    for each in (
        Daemon("nginx", "nginx", ["-v"], _nginx),
        Daemon("redis", "redis-server", ["--version"], _redis),
        Daemon("postgres", "postgres", ["--version"], _postgres),
        Daemon("mariadb", "mariadbd", ["--version"], _mariadb),
        Daemon("mosquitto", "mosquitto", ["dpkg", "mosquitto"], _mosquitto),
        Daemon("nats", "nats-server", ["--version"], _nats),
        Daemon("slapd", "slapd", ["dpkg", "slapd"], _slapd),
        Daemon("dovecot", "dovecot", ["--version"], _dovecot),
        Daemon("vsftpd", "vsftpd", ["dpkg", "vsftpd"], _vsftpd),
        Daemon("rabbitmq", "rabbitmq-server", ["dpkg", "rabbitmq-server"], _rabbitmq, 180),
    )
}

_RUNS_AS = {"postgres": "postgres"}


@contextmanager
def running(names: Sequence[str], home: Path) -> Iterator[tuple[dict[str, int], dict[str, str]]]:
    """Run servers, and yield their ports by name, and why the others do not run."""
    with ExitStack() as stack:
        ports: dict[str, int] = {}
        missing: dict[str, str] = {}
        for name in names:
            daemon = DAEMONS[name]
            path = daemon.path()
            if path is None:
                missing[name] = f"{daemon.command} is not installed"
                continue
            try:
                ports |= _start(daemon, path, home, stack)
            except (OSError, subprocess.CalledProcessError) as error:
                missing[name] = f"{daemon.command} does not start: {error}"
        yield ports, missing


def _start(daemon: Daemon, path: str, home: Path, stack: ExitStack) -> dict[str, int]:
    where = home / daemon.name
    where.mkdir()
    second = free_port()
    environment = {**os.environ, "PATH": _PATH, "HANDCLASP_SECOND_PORT": str(second)}
    setup = Setup(home, where, free_port(), environment)
    arguments = daemon.start(setup)
    if user := _RUNS_AS.get(daemon.name):
        setup.given_to(user)
        setup.prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    with open(where / "output", "wb") as output:
        process = subprocess.Popen(
            [*setup.prefix, path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=setup.environment,
            cwd=where,
            start_new_session=True,
        )
    stack.callback(_end, process)
    wait_for(setup.port, daemon.ready_seconds, lambda: process.poll() is None)
    return {daemon.name: setup.port, f"{daemon.name}-2": second}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and what it started, which shares its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
