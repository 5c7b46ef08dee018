"""tlslite-ng."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path
from typing import Any

from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.constants import (
    AlertDescription,
    AlertLevel,
    CipherSuite,
    GroupName,
    KeyUpdateMessageType,
)
from tlslite.messages import Alert

from .spine import main
from .stdlib_ssl import common_name

_SUITES = {
    "TLS_AES_128_GCM_SHA256": "aes128gcm",
    "TLS_AES_256_GCM_SHA384": "aes256gcm",
    "TLS_CHACHA20_POLY1305_SHA256": "chacha20-poly1305",
    "TLS_AES_128_CCM_SHA256": "aes128ccm",
}


class TlsliteNg:
    def connect(self, sock: socket.socket, flags: argparse.Namespace) -> TlsliteChannel:
        chain, key = _credentials(flags)
        connection = TLSConnection(sock)
        connection.handshakeClientCert(
            chain,
            key,
            settings=_settings(flags),
            serverName="localhost",
            alpn=[bytearray(name.encode()) for name in flags.alpn] or None,
        )
        return TlsliteChannel(connection)

    def accept(self, sock: socket.socket, flags: argparse.Namespace) -> TlsliteChannel:
        chain, key = _credentials(flags)
        connection = TLSConnection(sock)
        connection.handshakeServer(
            certChain=chain,
            privateKey=key,
            reqCert=bool(flags.require_client_cert),
            settings=_settings(flags),
            alpn=[bytearray(name.encode()) for name in flags.alpn] or None,
        )
        return TlsliteChannel(connection)


class TlsliteChannel:
    def __init__(self, connection: Any) -> None:
        self.tls = connection
        self.updates = 0

    def send_all(self, data: bytes) -> None:
        self.tls.sendall(data)

    def receive(self, limit: int) -> bytes:
        return bytes(self.tls.recv(limit))

    def update_keys(self) -> None:
        for _ in self.tls.send_keyupdate_request(KeyUpdateMessageType.update_requested):
            pass
        self.updates += 1

    def facts(self, flags: argparse.Namespace) -> dict[str, Any]:
        session = self.tls.session
        mine = flags.role == "client"
        chain = session.serverCertChain if mine else session.clientCertChain
        group = getattr(self.tls, "ecdhCurve", None)
        facts = {
            "version": "TLSv1.3" if self.tls.version == (3, 4) else str(self.tls.version),
            "suite": CipherSuite.ietfNames.get(session.cipherSuite),
            "group": GroupName.toStr(group) if group else None,
            "alpn": bytes(session.appProto).decode() or None if session.appProto else None,
            "peer_subject": common_name(bytes(chain.x509List[0].bytes)) if chain else None,
            "key_updates_sent": self.updates,
        }
        if flags.exporter_label:
            label = bytearray(flags.exporter_label.encode())
            exported = self.tls.keyingMaterialExporter(label, flags.exporter_length)
            facts["exporter"] = bytes(exported).hex()
        return facts

    def end(self) -> None:
        # close() would also wait for an answer, and takes nothing but an alert for one.
        alert = Alert().create(AlertDescription.close_notify, AlertLevel.warning)
        for _ in self.tls._sendMsg(alert):
            pass


def _settings(flags: argparse.Namespace) -> HandshakeSettings:
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = {"TLSv1.2": (3, 3), "TLSv1.3": (3, 4)}[flags.tls]
    settings.useExtendedMasterSecret = not flags.no_ems
    if flags.tls == "TLSv1.2":
        settings.keyExchangeNames = ["ecdhe_rsa", "ecdhe_ecdsa"]
        settings.cipherNames = ["aes128gcm", "aes256gcm", "chacha20-poly1305"]
    # It would compress a client certificate whether or not the server asked for that.
    settings.certificate_compression_send = []
    if flags.suites:
        settings.cipherNames = [_cipher(name) for name in flags.suites]
        if flags.suites[0].startswith("TLS_RSA"):
            settings.keyExchangeNames = ["rsa"]
    if flags.groups:
        names = [_group(name) for name in flags.groups]
        settings.eccCurves = names
        settings.keyShares = [_group(name) for name in flags.key_shares] or names[:1]
        settings.dhGroups = []
        settings.defaultCurve = next((n for n in names if n.startswith("secp")), "secp256r1")
        if settings.defaultCurve not in names:
            settings.defaultCurve = names[0]
    return settings


def _cipher(name: str) -> str:
    if name in _SUITES:
        return _SUITES[name]
    _, cipher = name.split("_WITH_")
    if cipher.startswith("CHACHA20"):
        return "chacha20-poly1305"
    return "aes128gcm" if "AES_128" in cipher else "aes256gcm"


def _group(name: str) -> str:
    return name if name.startswith("secp") else name.lower()


def _credentials(flags: argparse.Namespace) -> tuple[Any, Any]:
    if not flags.cert:
        return None, None
    chain = X509CertChain()
    chain.parsePemList(Path(flags.cert).read_text())
    return chain, parsePEMKey(Path(flags.key).read_text(), private=True)


if __name__ == "__main__":
    main(TlsliteNg())
