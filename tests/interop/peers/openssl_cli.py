"""The openssl command: s_server and s_client as people use them, through their consoles.

Both obey single letters at the start of what they read (K sends a KeyUpdate), so the payload is
digits. What they print of the connection is parsed; `-msg` lists every handshake message.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

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
from .features import ML_DSA, ML_KEM, RESUMPTION, RSA_KEY_TRANSPORT
from .openssl_conf import openssl_groups, write_openssl_conf

_NOISE = b"Read BLOCK\n"


class OpenSSLCommand(Peer):
    name = "openssl"
    title = "openssl command"
    text_payload = True
    exporter_context = None
    program = "openssl"
    rare_features = (
        frozenset({"ocsp", "tls12-ocsp", "tls12-no-ems"}) | RSA_KEY_TRANSPORT | RESUMPTION
    )

    def version(self) -> str:
        command = [self.program, "version"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True)
        return " ".join(printed.stdout.split()[:2])

    def unavailable(self) -> str | None:
        return None if shutil.which(self.program) else f"{self.program} is not installed"

    def lacks(self, feature: str, role: Role) -> str | None:
        if feature in ML_KEM | ML_DSA and self.version() < "OpenSSL 3.5":
            return f"{self.version()} has neither ML-KEM nor ML-DSA"
        return None

    @contextmanager
    def start_server(self, options: Options, workdir: Path) -> Iterator[RunningServer]:
        command = [self.program, "s_server", "-accept", "127.0.0.1:0", "-naccept"]
        command += [str(options.connections)]
        if options.raw_client_key is not None:
            # s_server cannot be told which key to expect; it prints the one that came.
            command += ["-enable_client_rpk", "-Verify", "1"]
        elif options.require_client_cert:
            command += ["-Verify", "2", "-verify_return_error"]
        if options.raw_server_key is not None:
            command += ["-enable_server_rpk"]
        if options.staple is not None:
            command += ["-status_file", str(options.staple)]
        if options.compress:
            command += ["-cert_comp"]
        if options.ech is not None and options.identity is not None:
            # The second certificate is that of the name in the inner hello.
            command += ["-ech_key", str(options.ech.pem), "-servername", "localhost"]
            command += ["-cert2", str(options.identity.chain)]
            command += ["-key2", str(options.identity.key)]
        command += _shared_flags(options, workdir)
        with running(Process(command, workdir, env=_environment(options, workdir))) as process:
            end = process.wait_for(b"\n", process.wait_for(b"ACCEPT 127.0.0.1:"))
            port = re.findall(rb"ACCEPT 127\.0\.0\.1:(\d+)", process.output[:end])[0]
            yield _ConsoleServer(process, int(port), options, workdir)

    def run_client(self, port: int, options: Options, workdir: Path) -> Report:
        command = [self.program, "s_client", "-connect", f"127.0.0.1:{port}"]
        if options.raw_server_key is not None:
            record = f"3 1 1 {options.raw_server_key.key_digest}"
            command += ["-enable_server_rpk", "-dane_tlsa_domain", "localhost"]
            command += ["-dane_tlsa_rrdata", record]
        if options.raw_client_key is not None:
            command += ["-enable_client_rpk"]
        if options.staple is not None:
            command += ["-status"]
        if options.ech is not None:
            configs = base64.b64encode(options.ech.configs.read_bytes()).decode()
            command += ["-ech_config_list", configs]
        command += ["-servername", "localhost", "-verify_hostname", "localhost"]
        command += ["-verify_return_error", *_shared_flags(options, workdir)]
        session = str(workdir / "session.pem")
        received: list[str] = []
        for number in range(options.connections):
            flag = "-sess_in" if number else "-sess_out"
            report = self._converse([*command, flag, session], options, workdir)
            received += report.received
        report.received = received
        return report

    def _converse(self, command: list[str], options: Options, workdir: Path) -> Report:
        with running(Process(command, workdir, env=_environment(options, workdir))) as process:
            start = process.wait_for(b"\n---\n", process.wait_for(b"Verify return code: 0 (ok)"))
            payload = options.payload.read_bytes()
            received = []
            for index in range(options.rounds):
                if options.update_keys and index > 0:
                    _send_key_update(process, workdir)
                process.write(payload)
                data, start = _read_payload(process, payload, start)
                received.append(hashlib.sha256(data).hexdigest())
            process.stdin.close()
            process.finish()
            return _report(process, received, options, workdir)


class _ConsoleServer(RunningServer):
    """s_server prints what it receives and sends what it is told; here it is made to echo."""

    def __init__(self, process: Process, port: int, options: Options, workdir: Path) -> None:
        self.port = port
        self._process = process
        self._options = options
        self._workdir = workdir
        self._received: list[str] = []
        self._error: PeerError | None = None
        self._thread = threading.Thread(target=self._echo, daemon=True)
        self._thread.start()

    def report(self) -> Report:
        self._thread.join(TIMEOUT)
        if self._error is not None:
            raise self._error
        self._process.finish()
        return _report(self._process, self._received, self._options, self._workdir)

    def explain(self) -> str:
        return self._process.last_words()

    def _echo(self) -> None:
        payload = self._options.payload.read_bytes()
        at = 0
        try:
            for index in range(self._options.rounds * self._options.connections):
                data, at = _read_payload(self._process, payload, at)
                self._received.append(hashlib.sha256(data).hexdigest())
                if self._options.update_keys and index > 0:
                    _send_key_update(self._process, self._workdir)
                self._process.write(data)
        except PeerError as error:
            self._error = error


def _shared_flags(options: Options, workdir: Path) -> list[str]:
    version = {"TLSv1.3": "-tls1_3", "TLSv1.2": "-tls1_2"}[options.version]
    flags = [version, "-CAfile", str(options.ca), "-msg", "-msgfile", str(_messages(workdir))]
    if options.identity is not None:
        flags += ["-cert", str(options.identity.chain), "-key", str(options.identity.key)]
    if options.suites and options.version == "TLSv1.2":
        flags += ["-cipher", ":".join(map(openssl_suite, options.suites))]
    elif options.suites:
        flags += ["-ciphersuites", ":".join(options.suites)]
    if options.groups:
        flags += ["-groups", openssl_groups(options.groups)]
    if options.alpn:
        flags += ["-alpn", ",".join(options.alpn)]
    if options.exporter is not None:
        flags += ["-keymatexport", options.exporter.label]
        flags += ["-keymatexportlen", str(options.exporter.length)]
    return flags


def _environment(options: Options, workdir: Path) -> dict[str, str]:
    """What there is no flag for before OpenSSL 3.5."""
    return {} if options.extended_master_secret else write_openssl_conf(options, workdir)


def _read_payload(process: Process, payload: bytes, start: int) -> tuple[bytes, int]:
    """As many bytes as the payload has, from where its beginning appears, and where they end."""
    begin = process.wait_for(payload[:64], start, what="payload") - 64
    end = begin + len(payload)
    while True:
        process.wait_for_size(end)
        printed = bytes(process.output[begin:end])
        # s_server says so among the data when a record, such as a KeyUpdate, brought it none.
        data = printed.replace(_NOISE, b"")
        if len(data) == len(payload):
            return data, end
        end += len(payload) - len(data)


def _raw_key(text: str) -> str | None:
    """The digest of the raw public key that came: a point of P-256, printed in hexadecimal."""
    found = re.search(r"raw public key\n.*\n +pub:\n([0-9a-f:\s]+)", text)
    if found is None:
        return None
    point = bytes.fromhex(re.sub(r"[:\s]", "", found[1])[: 2 * 65])
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(info).hexdigest()


def _staple(text: str, options: Options) -> str | None:
    """The response is printed field by field, so it is known by its status and serial number."""
    if options.staple is None or options.identity is not None:
        return None
    serial = re.search(r"Serial Number: ([0-9A-F]+)\s+Cert Status: good", text)
    response = options.staple.read_bytes()
    came = serial is not None and bytes.fromhex(serial[1].zfill(40)).lstrip(b"\0") in response
    return hashlib.sha256(response).hexdigest() if came else ""


def _ech(text: str) -> bool | None:
    """What s_client prints; s_server tells it on its page alone."""
    found = re.findall(r"^ECH: (success|failed)", text, re.MULTILINE)
    return found[-1] == "success" if found else None


def _send_key_update(process: Process, workdir: Path) -> None:
    """What is read together with the letter would be lost, so this waits until it was obeyed."""
    before = _count(workdir, ">>>", "KeyUpdate")
    process.write(b"K\n")
    deadline = time.monotonic() + TIMEOUT
    while _count(workdir, ">>>", "KeyUpdate") == before:
        if time.monotonic() > deadline:
            raise PeerError(f"no KeyUpdate went out: {process.said()}")
        time.sleep(0.01)


def _messages(workdir: Path) -> Path:
    return workdir / "messages.txt"


def _count(workdir: Path, direction: str, message: str) -> int:
    path = _messages(workdir)
    lines = path.read_text().splitlines() if path.exists() else []
    return sum(line.startswith(direction) and line.endswith(message) for line in lines)


def _report(process: Process, received: list[str], options: Options, workdir: Path) -> Report:
    text = process.output.decode(errors="replace")

    def printed(pattern: str) -> str | None:
        found = re.search(pattern, text)
        return found[1] if found else None

    hellos = _count(workdir, "<<<", "ClientHello") + _count(workdir, ">>>", "ClientHello")
    exporter = printed(r"Keying material: ([0-9A-F]+)")
    return Report(
        received=received,
        version=printed(r"(?:Protocol *: |New, |Reused, )(TLSv1\.[0-9])"),
        suite=iana_suite(printed(r"C(?:ipher|IPHER) is (\S+)")),
        alpn=printed(r"ALPN protocols? ?(?:selected)?: (\S+)"),
        hello_retry=hellos == 2 if options.connections == 1 else None,
        resumed="Reused, " in text or "Reused session-id" in text,
        exporter=exporter.lower() if exporter else None,
        peer_subject=printed(r"subject=CN ?= ?([^\n]+)"),
        peer_key=_raw_key(text),
        staple=_staple(text, options),
        ech=_ech(text),
        compressed=_count(workdir, "<<<", "CompressedCertificate") > 0,
        key_updates_sent=_count(workdir, ">>>", "KeyUpdate"),
        key_updates_received=_count(workdir, "<<<", "KeyUpdate"),
    )
