"""What every peer offers: a name, what it can do, one server and one client conversation.

A conversation moves the payload from the client to the server, which sends it back, `rounds`
times over. Both ends report what they saw; a peer that cannot tell leaves the field None, and
the wire tap (see `tap.py`) still sees version, suite, group and the number of ClientHellos.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Literal

from tests.interop.pki import Identity

from .features import FAST, KEY_TRANSPORT, RARE, SUITES12

Role = Literal["client", "server"]
ROOT = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("HANDCLASP_PEERS", ROOT / ".peers"))
TIMEOUT = 120.0  # seconds, for any one step; tlslite-ng's ciphers in Python take 12 on an idle core


class PeerError(Exception):
    """The peer did not do its part; the text carries what it printed."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """One RFC 9846 section 7.5 export; a context of None and an empty one are the same there."""

    label: str
    context: bytes | None
    length: int


@dataclass(frozen=True, slots=True)
class EchFiles:
    """A key for Encrypted Client Hello in files: in PEM, and its parts in other forms."""

    pem: Path
    configs: Path  # the ECHConfigList
    config: Path  # its one ECHConfig
    raw_key: Path


@dataclass(frozen=True, slots=True)
class Options:
    """How one end of a conversation is to be set up. Empty lists mean: as the stack comes."""

    ca: Path
    payload: Path
    identity: Identity | None = None
    require_client_cert: bool = False
    version: str = "TLSv1.3"
    extended_master_secret: bool = True  # at both ends
    suites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    key_shares: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()
    style: Literal["raw", "http"] = "raw"
    rounds: int = 1
    connections: int = 1  # one after the other; the later ones are to resume a session
    update_keys: bool = False
    exporter: Exporter | None = None
    peer_sends_close_notify: bool = True
    staple: Path | None = None  # a server's OCSP response, which its client must see
    compress: bool = False  # the server's certificate
    raw_server_key: Identity | None = None  # shown by the server and expected by the client
    raw_client_key: Identity | None = None  # the other way round
    psk: tuple[str, str] | None = None  # identity and key, in hexadecimal, of an external PSK
    ech: EchFiles | None = None  # a server decrypts with its key, a client encrypts to it

    def as_flags(self, workdir: Path) -> list[str]:
        """The same as the flags that every peer program takes."""
        flags = {
            "ca": str(self.ca),
            "payload": str(self.payload),
            "suites": ",".join(self.suites),
            "groups": ",".join(self.groups),
            "key-shares": ",".join(self.key_shares),
            "alpn": ",".join(self.alpn),
            "style": self.style,
            "tls": self.version,
            "no-ems": "" if self.extended_master_secret else "yes",
            "rounds": str(self.rounds),
            "connections": str(self.connections),
        }
        if self.identity is not None:
            flags["cert"] = str(self.identity.chain)
            flags["key"] = str(self.identity.key)
            flags["pkcs12"] = str(self.identity.pkcs12)
        if self.require_client_cert:
            flags["require-client-cert"] = "yes"
        if self.update_keys:
            flags["update-keys"] = "yes"
        if self.psk is not None:
            flags["psk-identity"], flags["psk-key"] = self.psk
        if self.ech is not None:
            flags["ech-configs"] = str(self.ech.configs)
            flags["ech-config"], flags["ech-key"] = str(self.ech.config), str(self.ech.raw_key)
        if self.staple is not None:
            flags["staple"] = str(self.staple)
        if self.exporter is not None:
            flags["exporter-label"] = self.exporter.label
            flags["exporter-context"] = (self.exporter.context or b"").hex()
            flags["exporter-length"] = str(self.exporter.length)
        return [part for name, value in flags.items() if value for part in (f"--{name}", value)]


@dataclass(slots=True)
class Report:
    """What one end saw. None: it cannot tell."""

    received: list[str] = field(default_factory=list)  # SHA-256 of what came in, a round each
    version: str | None = None
    suite: str | None = None
    group: str | None = None
    signature_scheme: str | None = None
    alpn: str | None = None
    hello_retry: bool | None = None
    resumed: bool | None = None  # the last connection
    exporter: str | None = None  # hex
    peer_subject: str | None = None
    peer_key: str | None = None  # SHA-256 of a raw public key's SubjectPublicKeyInfo, hex
    staple: str | None = None  # SHA-256 of the OCSP response that came, hex; "" for none
    compressed: bool | None = None  # how the peer's certificate came
    ech: bool | None = None  # whether the encrypted hello counted, on the last connection
    key_updates_sent: int | None = None
    key_updates_received: int | None = None

    @classmethod
    def from_json(cls, line: str) -> Report:
        found = json.loads(line)
        if "error" in found:
            raise PeerError(found["error"])
        known = {item.name for item in fields(cls)}
        report = cls(**{name: value for name, value in found.items() if name in known})
        report.version = iana_version(report.version)
        report.suite = iana_suite(report.suite)
        report.group = iana_group(report.group)
        return report


class RunningServer(ABC):
    """A peer's server that is ready: its port, and afterwards what it saw."""

    port: int

    @abstractmethod
    def report(self) -> Report:
        """Waits for the conversation's end. Raises PeerError with the server's own words."""

    @abstractmethod
    def explain(self) -> str:
        """After the client failed: what the server has to say, or ""."""


class Peer(ABC):
    """One TLS stack. `lacks` is asked first; a cell it names is never run."""

    name: str
    title: str
    roles: tuple[Role, ...] = ("client", "server")
    styles: tuple[Literal["raw", "http"], ...] = ("raw",)
    text_payload = False  # the peer's console mangles or obeys some bytes: digits only
    alpn_protocols: tuple[str, ...] = ("interop/2", "interop/1")  # the server takes the last
    exporter_context: bytes | None = b"interop context"  # None: it exports without a context

    is_optional = False  # not every day to be had, so that CI does without
    sends_close_notify = True  # RFC 9846 section 6.1 asks it of everybody
    fast_features: frozenset[str] = FAST  # what CI runs of it: less where the stack is slow

    @abstractmethod
    def version(self) -> str:
        """As the stack prints it; only asked when `unavailable` is None."""

    @abstractmethod
    def unavailable(self) -> str | None:
        """Why the peer cannot run here, or None."""

    rare_features: frozenset[str] = frozenset()  # those of `RARE` that it can do

    def lacks(self, feature: str, role: Role) -> str | None:
        """Why the peer cannot do `feature` in `role`, or None."""
        return None

    def lacking(self, feature: str, role: Role) -> str | None:
        """The same, for what few can do as well."""
        if feature in RARE - self.rare_features:
            return "not there, or not to be had through its program"
        return self.lacks(feature, role)

    def hrr_groups(self, role: Role) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """The client's groups, its shares, and the server's groups that force a retry when the
        peer plays `role`. Peers whose groups are fixed choose lists that fit them."""
        return ("X25519", "secp384r1"), ("X25519",), ("secp384r1",)

    @abstractmethod
    def start_server(
        self, options: Options, workdir: Path
    ) -> AbstractContextManager[RunningServer]:
        """A context manager; the server is ready inside it and gone after it."""

    @abstractmethod
    def run_client(self, port: int, options: Options, workdir: Path) -> Report:
        """One whole conversation with 127.0.0.1:port as the name `localhost`."""


class Process:
    """A child whose output is kept, and which is always reaped."""

    def __init__(
        self,
        command: Sequence[str],
        workdir: Path,
        *,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.stderr_path = workdir / f"{Path(command[0]).name}-{time.monotonic_ns()}.err"
        self._stderr = self.stderr_path.open("wb")
        self.popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, **(env or {})},
            cwd=cwd or ROOT,
        )
        self.output = bytearray()
        self._grown = threading.Condition()
        self._eof = False
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    @property
    def stdin(self) -> IO[bytes]:
        assert self.popen.stdin is not None
        return self.popen.stdin

    def write(self, data: bytes) -> None:
        try:
            self.stdin.write(data)
            self.stdin.flush()
        except OSError as error:
            raise PeerError(f"{error}: {self.said()}") from error

    def wait_for(self, needle: bytes, start: int = 0, *, what: str = "") -> int:
        """Returns the offset just past `needle` in the output."""
        deadline = time.monotonic() + TIMEOUT
        with self._grown:
            while True:
                found = self.output.find(needle, start)
                if found >= 0:
                    return found + len(needle)
                if self._eof:
                    raise PeerError(f"ended before {what or needle!r}: {self.said()}")
                if not self._grown.wait(max(0.0, deadline - time.monotonic())):
                    raise PeerError(f"no {what or needle!r} in {TIMEOUT:.0f} s: {self.said()}")

    def wait_for_size(self, size: int) -> None:
        """Until so many bytes of output are there."""
        deadline = time.monotonic() + TIMEOUT
        with self._grown:
            while len(self.output) < size:
                if self._eof or not self._grown.wait(max(0.0, deadline - time.monotonic())):
                    raise PeerError(f"{len(self.output)} of {size} bytes came: {self.said()}")

    def wait_for_stderr(self, needle: bytes) -> bytes:
        """For programs that announce themselves on standard error; returns all of it."""
        deadline = time.monotonic() + TIMEOUT
        while needle not in (text := self.stderr_path.read_bytes()):
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise PeerError(f"no {needle!r}: {self.said()}")
            time.sleep(0.01)
        return text

    def finish(self) -> bytes:
        """Waits for the process to end by itself; returns all its output."""
        try:
            self.popen.wait(TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise PeerError(f"did not end in {TIMEOUT:.0f} s: {self.said()}") from error
        self._reader.join(TIMEOUT)
        return bytes(self.output)

    def last_words(self) -> str:
        """What the process printed, after a moment to end in."""
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(0.5)
        return self.said()

    def said(self) -> str:
        """The last of what the process printed, for an error's text."""
        errors = self.stderr_path.read_bytes()[-1500:].decode(errors="replace").strip()
        printed = bytes(self.output[-600:]).decode(errors="replace").strip()
        code = self.popen.poll()
        ending = "still running" if code is None else f"exit status {code}"
        return " | ".join(part for part in (ending, errors, printed) if part)

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        self._reader.join(TIMEOUT)
        for stream in (self.popen.stdin, self.popen.stdout, self._stderr):
            if stream is not None:
                with suppress(OSError):  # unflushed input of a process that is gone
                    stream.close()

    def _collect(self) -> None:
        assert self.popen.stdout is not None
        while chunk := os.read(self.popen.stdout.fileno(), 1 << 16):
            with self._grown:
                self.output += chunk
                self._grown.notify_all()
        with self._grown:
            self._eof = True
            self._grown.notify_all()


@contextmanager
def running(process: Process) -> Iterator[Process]:
    try:
        yield process
    finally:
        process.stop()


class ProgramPeer(Peer):
    """A peer that is a program of ours around a library.

    `PROGRAM server|client FLAGS`: a server prints {"port": N} when it listens on 127.0.0.1; both
    print their report as one JSON line when the conversation is over, or {"error": TEXT}.
    """

    @abstractmethod
    def command(self, options: Options) -> list[str]:
        """Up to the role."""

    def environment(self, options: Options, workdir: Path) -> dict[str, str]:
        return {}

    @contextmanager
    def start_server(self, options: Options, workdir: Path) -> Iterator[RunningServer]:
        command = [*self.command(options), "server", *options.as_flags(workdir)]
        with running(Process(command, workdir, env=self.environment(options, workdir))) as process:
            end = process.wait_for(b"\n", what="port")
            first = json.loads(bytes(process.output[:end]))
            if "error" in first:
                raise PeerError(first["error"])
            yield _ProgramServer(process, first["port"])

    def run_client(self, port: int, options: Options, workdir: Path) -> Report:
        flags = [*options.as_flags(workdir), "--port", str(port)]
        command = [*self.command(options), "client", *flags]
        with running(Process(command, workdir, env=self.environment(options, workdir))) as process:
            return _last_report(process)


class _ProgramServer(RunningServer):
    def __init__(self, process: Process, port: int) -> None:
        self._process = process
        self.port = port

    def report(self) -> Report:
        return _last_report(self._process)

    def explain(self) -> str:
        return self._process.last_words()


def _last_report(process: Process) -> Report:
    lines = process.finish().decode().strip().splitlines()
    if not lines or '"port"' in lines[-1]:
        raise PeerError(f"no report: {process.said()}")
    return Report.from_json(lines[-1])


_GROUPS = {
    "prime256v1": "secp256r1",
    "p-256": "secp256r1",
    "curvep256": "secp256r1",
    "p-384": "secp384r1",
    "curvep384": "secp384r1",
    "p-521": "secp521r1",
    "curvep521": "secp521r1",
    "x25519": "X25519",
    "x448": "X448",
    "x25519mlkem768": "X25519MLKEM768",
    "secp256r1mlkem768": "SecP256r1MLKEM768",
    "secp384r1mlkem1024": "SecP384r1MLKEM1024",
}


def iana_group(name: str | None) -> str | None:
    """Stacks spell groups in their own ways; the registry's spelling is compared."""
    if name is None:
        return None
    return _GROUPS.get(name.lower(), name)


def iana_suite(name: str | None) -> str | None:
    if name is None:
        return None
    return _OPENSSL_SUITES.get(name, name.replace("TLS13_", "TLS_"))


def openssl_suite(name: str) -> str:
    """What OpenSSL calls a suite of TLS 1.2: ECDHE-RSA-AES128-GCM-SHA256."""
    means, cipher = name.removeprefix("TLS_").split("_WITH_")
    cipher = cipher.replace("AES_128", "AES128").replace("AES_256", "AES256").replace("_", "-")
    cipher = cipher.removesuffix("-SHA256") if cipher.startswith("CHACHA") else cipher
    return cipher if means == "RSA" else f"{means.replace('_', '-')}-{cipher}"


_OPENSSL_SUITES = {openssl_suite(name): name for name in (*SUITES12, *KEY_TRANSPORT)}


def iana_version(name: str | None) -> str | None:
    if name is None:
        return None
    return {
        "TLS 1.3": "TLSv1.3",
        "TLS1.3": "TLSv1.3",
        "772": "TLSv1.3",
        "TLS 1.2": "TLSv1.2",
        "TLS1.2": "TLSv1.2",
        "771": "TLSv1.2",
        "(3, 3)": "TLSv1.2",
        "0x303": "TLSv1.2",
    }.get(name, name)
