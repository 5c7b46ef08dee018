"""Handclasp as one of the peers, through its public surface alone."""

from __future__ import annotations

import hashlib
import importlib.util
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.interop.conversation import Terms, converse_as_client, converse_as_server
from tests.interop.pki import Identity

from .base import TIMEOUT, Options, Peer, Report, RunningServer
from .features import RARE


class Handclasp(Peer):
    name = "handclasp"
    title = "handclasp"
    styles = ("raw", "http")
    rare_features = RARE

    def version(self) -> str:
        import handclasp

        return f"handclasp {handclasp.__version__}"

    def unavailable(self) -> str | None:
        if importlib.util.find_spec("handclasp") is None:
            return "handclasp is not importable here"
        import handclasp

        return None if hasattr(handclasp, "wrap_server") else "handclasp has no engine yet"

    @contextmanager
    def start_server(self, options: Options, workdir: Path) -> Iterator[RunningServer]:
        import handclasp

        assert options.identity is not None
        settings = _shared_settings(options)
        if options.require_client_cert:
            settings["client_auth"] = handclasp.ClientAuth.REQUIRED
            settings["trust"] = handclasp.TrustStore.from_pem(options.ca)
        if options.raw_client_key is not None:
            settings["raw_public_keys"] = [options.raw_client_key.public_key]
            settings["trust"] = None
        if options.ech is not None:
            settings["ech"] = [handclasp.EchKey.load(options.ech.pem)]
        credentials = _credentials(options.identity, raw=options.raw_server_key is not None)
        if options.staple is not None:
            credentials = credentials.with_staple(options.staple)
        config = handclasp.ServerConfig(credentials=[credentials], **settings)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = _ServerThread(listener, config, options)
            try:
                yield server
            finally:
                server.stop()

    def run_client(self, port: int, options: Options, workdir: Path) -> Report:
        import handclasp

        settings = _shared_settings(options)
        if options.key_shares and options.version == "TLSv1.3":
            settings["key_shares"] = list(options.key_shares)
        if options.identity is not None:
            raw = options.raw_client_key is not None
            settings["credentials"] = _credentials(options.identity, raw=raw)
        if options.staple is not None:
            settings["policy"] = handclasp.CertificatePolicy(stapled_ocsp="require")
        if options.raw_server_key is not None:
            settings["raw_public_keys"] = [options.raw_server_key.public_key]
        else:
            settings["trust"] = handclasp.TrustStore.from_pem(options.ca)
        if options.ech is not None:
            configs = options.ech.configs.read_bytes()
            settings["ech"] = handclasp.EchConfigList.from_bytes(configs)
        if options.connections > 1:
            settings["sessions"] = handclasp.SessionStore()
        config = handclasp.ClientConfig(**settings)
        received: list[str] = []
        for _ in range(options.connections):
            report = _converse(port, config, options)
            received += report.received
        report.received = received
        return report


def _converse(port: int, config: Any, options: Options) -> Report:
    import handclasp

    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as sock:
        tls = handclasp.wrap_client(sock, config, server_name="localhost")
        try:
            channel = _Channel(tls)
            received = converse_as_client(channel, _terms(options))
            report = _report(channel, received, options)
            _end(tls, options)
            return report
        finally:
            tls.close()


class _ServerThread(RunningServer):
    """One accepted connection on a thread; its exception waits for whoever asks for the report."""

    def __init__(self, listener: socket.socket, config: Any, options: Options) -> None:
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._config = config
        self._options = options
        self._report: Report | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def report(self) -> Report:
        self._thread.join(TIMEOUT)
        if self._error is not None:
            raise self._error
        if self._report is None:
            raise TimeoutError("handclasp's server did not end its conversation")
        return self._report

    def explain(self) -> str:
        self._thread.join(1)
        return "" if self._error is None else f"{type(self._error).__name__}: {self._error}"

    def stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(TIMEOUT)

    def _run(self) -> None:
        received: list[str] = []
        try:
            for _ in range(self._options.connections):
                report = self._converse()
                received += report.received
            report.received = received
            self._report = report
        except Exception as error:
            self._error = error

    def _converse(self) -> Report:
        import handclasp

        sock, _ = self._listener.accept()
        with sock:
            sock.settimeout(TIMEOUT)
            with handclasp.wrap_server(sock, self._config) as tls:
                channel = _Channel(tls)
                received = converse_as_server(channel, _terms(self._options))
                report = _report(channel, received, self._options)
                _end(tls, self._options)
                return report


class _Channel:
    def __init__(self, tls: Any) -> None:
        self.tls = tls
        self.updates = 0

    def send_all(self, data: bytes) -> None:
        self.tls.sendall(data)

    def receive(self, limit: int) -> bytes:
        received: bytes = self.tls.recv(limit)
        return received

    def update_keys(self) -> None:
        self.tls.update_keys()
        self.updates += 1


def _end(tls: Any, options: Options) -> None:
    """close_notify both ways; its absence is an error, except from peers known to leave it out."""
    import handclasp

    try:
        tls.unwrap().close()
    except (handclasp.TruncationError, ConnectionError):
        if options.peer_sends_close_notify:
            raise


def _credentials(identity: Identity, *, raw: bool) -> Any:
    import handclasp

    if raw:
        return handclasp.Credentials.raw_public_key(identity.key)
    return handclasp.Credentials.load(identity.chain, identity.key)


def _shared_settings(options: Options) -> dict[str, Any]:
    import handclasp

    settings: dict[str, Any] = {"versions": [options.version]}
    if not options.extended_master_secret:
        settings["require_extended_master_secret"] = False
    if any(suite.startswith("TLS_RSA_") for suite in options.suites):
        settings["allow_rsa_key_transport"] = True
    if options.psk is not None:
        identity, key = map(bytes.fromhex, options.psk)
        settings["psks"] = [handclasp.PreSharedKey(identity, key)]
    if options.alpn:
        settings["alpn"] = list(options.alpn)
    if options.suites:
        settings["cipher_suites"] = list(options.suites)
    if options.groups:
        settings["groups"] = list(options.groups)
    return settings


def _terms(options: Options) -> Terms:
    return Terms(options.payload.read_bytes(), options.rounds, options.style, options.update_keys)


def _report(channel: _Channel, received: list[str], options: Options) -> Report:
    from cryptography.x509 import NameOID

    info = channel.tls.info
    subject = None
    raw = info.peer_certificate_type == "RawPublicKey"
    if info.peer_chain:
        name = info.peer_chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0]
        subject = str(name.value)
        if not info.peer_verified:
            raise AssertionError("the peer's chain came through unverified")
    exporter = None
    if options.exporter is not None:
        wanted = options.exporter
        exporter = channel.tls.export_keying_material(
            wanted.label, wanted.context, wanted.length
        ).hex()
    return Report(
        received=received,
        version=str(info.version),
        suite=str(info.cipher_suite),
        group=info.group,
        signature_scheme=info.signature_scheme,
        alpn=None if info.alpn is None else str(info.alpn),
        hello_retry=info.hello_retry,
        resumed=info.resumed,
        exporter=exporter,
        peer_subject=subject,
        peer_key=hashlib.sha256(info.peer_chain_der[0]).hexdigest() if raw else None,
        staple=hashlib.sha256(info.ocsp_response or b"").hexdigest(),
        compressed=info.certificate_compression is not None,
        ech=info.ech_accepted,
        key_updates_sent=channel.updates,
    )
