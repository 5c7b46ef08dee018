"""Servers of other people that are misconfigured, and take the advice of a profile as printed.

Each has its settings as a dictionary, from the word that a setting begins with to its line, so that
advice replaces what was there before.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.programs import daemons
from tests.scan.configured import Setup, apache, daemon, haproxy, nginx

Settings = dict[str, str]

_CCM13 = "TLS_AES_128_CCM_SHA256:TLS_AES_128_GCM_SHA256"
_CURVES = "brainpoolP256r1:X25519:prime256v1"
_WEAK = "ALL:@SECLEVEL=0"
_APPENDED = "appended to the file of SSLCertificateFile"


@dataclass(frozen=True)
class Advised:
    """A server: how it is misconfigured, what advice changes, and how it is started.

    Attributes:
        program: its name in advice.
        settings: the wrong ones.
        apply: puts the text of an advice into the settings.
        start: writes the settings, and returns the command.
        environment: of the process.
        shows_dh: whether it takes a prime that is too small.
    """

    program: str
    settings: Callable[[Path], Settings]
    apply: Callable[[Settings, str], None]
    start: Callable[[Setup, Mapping[str, str]], list[str]]
    environment: Mapping[str, str]
    starttls: str | None = None
    shows_dh: bool = True


def _nginx(setup: Setup, settings: Mapping[str, str]) -> list[str]:
    home = setup.home
    return nginx(
        setup,
        f"""
    listen 127.0.0.1:{setup.port} ssl;
    ssl_certificate {home}/rsa-chain.pem; ssl_certificate_key {home}/rsa-key.pem;
    {" ".join(f"{each};" for each in settings.values())}
    location / {{ return 200 ok; }}
""",
    )


def _take_nginx(settings: Settings, text: str) -> None:
    for statement in filter(None, map(str.strip, text.split(";"))):
        settings[statement.split()[0]] = statement


def _apache(setup: Setup, settings: Mapping[str, str]) -> list[str]:
    appended = settings.get(_APPENDED, "")
    chain = (setup.home / "rsa-chain.pem").read_text()
    own = setup.write("own.pem", chain + (Path(appended).read_text() if appended else ""))
    lines = [line for name, line in settings.items() if name != _APPENDED]
    return apache(setup, own, ["User www-data", "Group www-data", *lines])


def _take_apache(settings: Settings, text: str) -> None:
    if text.startswith("append "):
        settings[_APPENDED] = text.split()[1]
        return
    first, second, *_ = text.split()
    takes_two = first == "SSLOpenSSLConfCmd" or second == "TLSv1.3"
    settings[f"{first} {second}" if takes_two else first] = text


def _haproxy(setup: Setup, settings: Mapping[str, str]) -> list[str]:
    in_frontend = [each for each in settings.values() if each.startswith("http-")]
    bound = [each for each in settings.values() if each not in in_frontend]
    return haproxy(setup, bound, in_frontend)


def _take_line(settings: Settings, text: str) -> None:
    settings[text.split()[0]] = text


_PYTHON = """
import http.server, ssl, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        for name, value in FIELDS:
            self.send_header(name, value)
        self.end_headers()
    def log_message(self, *_):
        pass

FIELDS = []
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
SETTINGS
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"""
_CNF = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = default\n[default]\n"
_IN_CNF = "in openssl.cnf, in the section of ssl_conf.system_default: "


def _python(setup: Setup, settings: Mapping[str, str]) -> list[str]:
    own = {name: text for name, text in settings.items() if name.startswith("cnf ")}
    setup.write("openssl.cnf", _CNF + "\n".join(own.values()) + "\n")
    lines = "\n".join(text for name, text in settings.items() if name not in own)
    program = setup.write("server.py", _PYTHON.replace("SETTINGS", lines))
    files = (f"{setup.home}/rsa-chain.pem", f"{setup.home}/rsa-key.pem")
    return [sys.executable, program, str(setup.port), *files]


def _take_python(settings: Settings, text: str) -> None:
    if text.startswith(_IN_CNF):
        line = text.removeprefix(_IN_CNF).partition("; from ")[0]
        settings[f"cnf {line.split()[0]}"] = line
    elif field := re.fullmatch(r"send the field (\S+): (\S+) with each response", text):
        settings[field[1]] = f"FIELDS.append({field.groups()!r})"
    else:
        for statement in text.split("; "):
            settings[re.split(r"[ (]", statement)[0]] = statement


def _dovecot(setup: Setup, settings: Mapping[str, str]) -> list[str]:
    command = daemon("dovecot", daemons.dovecot_in_the_clear)(setup)
    with (setup.where / "dovecot.conf").open("a") as file:
        file.write("".join(f"{line}\n" for line in settings.values()))
        file.write(f"ssl_cert = <{setup.home}/rsa-chain.pem\nssl_key = <{setup.home}/rsa-key.pem\n")
    return command


def _take_dovecot(settings: Settings, text: str) -> None:
    _take_line(settings, text.partition("; from ")[0])


def _by_key(take: Callable[[Settings, str], None], *lines: str) -> Callable[[Path], Settings]:
    def settings(dh: Path) -> Settings:
        made: Settings = {}
        for line in lines:
            take(made, line.replace("DH.pem", str(dh)))
        return made

    return settings


SERVERS = {
    "nginx": Advised(
        "nginx",
        _by_key(
            _take_nginx,
            f"ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers {_WEAK}; ssl_dhparam DH.pem",
            f"ssl_conf_command Ciphersuites {_CCM13}; ssl_ecdh_curve {_CURVES}",
        ),
        _take_nginx,
        _nginx,
        {},
    ),
    "Apache": Advised(
        "Apache",
        _by_key(
            _take_apache,
            "SSLProtocol -all +TLSv1 +TLSv1.1 +TLSv1.2 +TLSv1.3",
            f"SSLCipherSuite {_WEAK}",
            f"SSLCipherSuite TLSv1.3 {_CCM13}",
            f"SSLOpenSSLConfCmd Groups {_CURVES}",
            "append DH.pem",
        ),
        _take_apache,
        _apache,
        {},
    ),
    "haproxy": Advised(
        "haproxy",
        _by_key(
            _take_line,
            "ssl-default-bind-options ssl-min-ver TLSv1.0",
            f"ssl-default-bind-ciphers {_WEAK}",
            f"ssl-default-bind-ciphersuites {_CCM13}",
            f"ssl-default-bind-curves {_CURVES}",
        ),
        _take_line,
        _haproxy,
        {},
        shows_dh=False,
    ),
    "Python": Advised(
        "Python",
        _by_key(
            _take_python,
            "context.minimum_version = ssl.TLSVersion.TLSv1",
            f"context.set_ciphers('{_WEAK}')",
            'context.load_dh_params("DH.pem")',
            f"{_IN_CNF}Ciphersuites = {_CCM13}",
            f"{_IN_CNF}Groups = {_CURVES}",
        ),
        _take_python,
        _python,
        {"OPENSSL_CONF": "openssl.cnf", "PYTHONWARNINGS": "ignore"},
    ),
    "Dovecot": Advised(
        "Dovecot",
        _by_key(
            _take_dovecot,
            "ssl_min_protocol = TLSv1",
            f"ssl_cipher_list = {_WEAK}",
            f"ssl_cipher_suites = {_CCM13}",
            f"ssl_curve_list = {_CURVES}",
            "ssl_dh = <DH.pem",
        ),
        _take_dovecot,
        _dovecot,
        {},
        starttls="imap",
    ),
}
