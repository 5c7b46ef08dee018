"""NSS through its C interface: selfserv takes at most ten kilobytes from a client."""

from __future__ import annotations

import argparse
import ctypes
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from .spine import main
from .stdlib_ssl import common_name

# Numbers of the interface, by the names in NSS's ssl.h, sslt.h and sslerr.h.
_SSL_REQUEST_CERTIFICATE, _SSL_REQUIRE_CERTIFICATE = 3, 10
_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
# CKM_HKDF_KEY_GEN, PK11_OriginUnwrap, CKA_DERIVE and ssl_hash_sha256.
_HKDF_KEY_GEN, _ORIGIN_UNWRAP, _DERIVE, _SHA256 = 0x402C, 4, 0x10C, 4
_ENABLE_SESSION_TICKETS, _ENABLE_EXTENDED_MASTER_SECRET = 18, 30

SUITES = {
    "TLS_AES_128_GCM_SHA256": 0x1301,
    "TLS_AES_256_GCM_SHA384": 0x1302,
    "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": 0xC02B,
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": 0xC02C,
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": 0xC02F,
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": 0xC030,
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": 0xCCA8,
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": 0xCCA9,
    "TLS_RSA_WITH_AES_128_GCM_SHA256": 0x009C,
    "TLS_RSA_WITH_AES_256_GCM_SHA384": 0x009D,
}
GROUPS = {"secp256r1": 23, "secp384r1": 24, "secp521r1": 25, "X25519": 29}

# ECDSA and RSA-PSS; rsa_pss_pss_* are not on by default.
_SCHEMES = (ctypes.c_int * 9)(
    *(0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B)
)


class _VersionRange(ctypes.Structure):
    _fields_ = [("min", ctypes.c_uint16), ("max", ctypes.c_uint16)]


class _ChannelInfo(ctypes.Structure):
    _fields_ = [
        ("length", ctypes.c_uint32),
        ("protocolVersion", ctypes.c_uint16),
        ("cipherSuite", ctypes.c_uint16),
        ("authKeyBits", ctypes.c_uint32),
        ("keaKeyBits", ctypes.c_uint32),
        ("times", ctypes.c_uint32 * 3),
        ("sessionIDLength", ctypes.c_uint32),
        ("sessionID", ctypes.c_uint8 * 32),
        ("compressionMethodName", ctypes.c_char_p),
        ("compressionMethod", ctypes.c_int),
        ("extendedMasterSecretUsed", ctypes.c_int),
        ("earlyDataAccepted", ctypes.c_int),
        ("keaType", ctypes.c_int),
        ("keaGroup", ctypes.c_int),
        ("symCipher", ctypes.c_int),
        ("macAlgorithm", ctypes.c_int),
        ("authType", ctypes.c_int),
        ("signatureScheme", ctypes.c_int),
        ("originalKeaGroup", ctypes.c_int),
        ("resumed", ctypes.c_int),
    ]


class _SECItem(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("data", ctypes.c_void_p), ("len", ctypes.c_uint)]


class NSSError(Exception):
    pass


class NSS:
    def __init__(self) -> None:
        self.library = load()
        self.directory: tempfile.TemporaryDirectory[str] | None = None

    def connect(self, sock: socket.socket, flags: argparse.Namespace) -> NSSChannel:
        tls = self._import(sock, flags)
        nss = self.library
        nss.check("SSL_SetURL", tls, b"localhost")
        if flags.ech_configs:
            self._encrypt_hello(tls, Path(flags.ech_configs).read_bytes())
        if flags.cert:
            hook = ctypes.cast(nss.ssl.NSS_GetClientAuthData, ctypes.c_void_p)
            self.nickname = ctypes.create_string_buffer(_nickname(flags))  # NSS keeps the pointer
            nss.check("SSL_GetClientAuthDataHook", tls, hook, self.nickname)
        nss.check("SSL_ResetHandshake", tls, 0)
        return NSSChannel(nss, tls, sock)

    def accept(self, sock: socket.socket, flags: argparse.Namespace) -> NSSChannel:
        nss = self.library
        tls = self._import(sock, flags)
        found = nss.pointer("PK11_FindCertFromNickname", _nickname(flags), None)
        certificate = ctypes.c_void_p(found)
        key = ctypes.c_void_p(nss.pointer("PK11_FindKeyByAnyCert", certificate, None))
        nss.check("SSL_ConfigServerCert", tls, certificate, key, None, 0)
        if flags.require_client_cert:
            nss.check("SSL_OptionSet", tls, _SSL_REQUEST_CERTIFICATE, 1)
            nss.check("SSL_OptionSet", tls, _SSL_REQUIRE_CERTIFICATE, 1)
        nss.check("SSL_ResetHandshake", tls, 1)
        return NSSChannel(nss, tls, sock)

    def _import(self, sock: socket.socket, flags: argparse.Namespace) -> ctypes.c_void_p:
        nss = self.library
        if self.directory is None:
            self.directory = tempfile.TemporaryDirectory(prefix="nssdb-")
            _fill_database(self.directory.name, flags)
            nss.check("NSS_Init", f"sql:{self.directory.name}".encode())
            nss.check("NSS_SetDomesticPolicy")
            if flags.role == "server":
                name = self.directory.name.encode()
                nss.check("SSL_ConfigServerSessionIDCache", 10, 100, 86400, name)
        tcp = ctypes.c_void_p(nss.pointer("PR_ImportTCPSocket", sock.fileno()))
        sock.settimeout(None)
        tls = ctypes.c_void_p(nss.pointer("SSL_ImportFD", None, tcp))
        version = _VERSIONS[flags.tls]
        versions = _VersionRange(version, version)
        nss.check("SSL_OptionSet", tls, _ENABLE_EXTENDED_MASTER_SECRET, int(not flags.no_ems))
        nss.check("SSL_VersionRangeSet", tls, ctypes.byref(versions))
        nss.check("SSL_OptionSet", tls, _ENABLE_SESSION_TICKETS, 1)
        if flags.psk_key:
            self._add_external_psk(tls, flags)
        nss.check("SSL_SignatureSchemePrefSet", tls, _SCHEMES, len(_SCHEMES))
        if flags.suites:
            for suite, number in SUITES.items():
                nss.check("SSL_CipherPrefSet", tls, number, int(suite in flags.suites))
        if flags.groups:
            numbers = [GROUPS[group] for group in flags.groups]
            wanted = (ctypes.c_int * len(numbers))(*numbers)
            nss.check("SSL_NamedGroupConfig", tls, wanted, len(numbers))
        if flags.alpn:
            names = b"".join(bytes([len(name)]) + name.encode() for name in flags.alpn)
            nss.check("SSL_SetNextProtoNego", tls, names, len(names))
        return tls

    def _add_external_psk(self, tls: ctypes.c_void_p, flags: argparse.Namespace) -> None:
        nss, key = self.library, bytes.fromhex(flags.psk_key)
        kept = ctypes.create_string_buffer(key, len(key))
        item = _SECItem(0, ctypes.addressof(kept), len(key))
        slot = ctypes.c_void_p(nss.pointer("PK11_GetInternalSlot"))
        found = nss.pointer(
            "PK11_ImportSymKey",
            *(slot, ctypes.c_ulong(_HKDF_KEY_GEN), _ORIGIN_UNWRAP),
            *(ctypes.c_ulong(_DERIVE), ctypes.byref(item), None),
        )
        address = nss.pointer("SSL_GetExperimentalAPI", b"SSL_AddExternalPsk")
        add = ctypes.CFUNCTYPE(
            ctypes.c_int,
            *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p),
            *(ctypes.c_uint,) * 2,
        )(address)
        identity = bytes.fromhex(flags.psk_identity)
        if add(tls, found, identity, len(identity), _SHA256) != 0:
            raise NSSError("SSL_AddExternalPsk")

    def _encrypt_hello(self, tls: ctypes.c_void_p, configs: bytes) -> None:
        address = self.library.pointer("SSL_GetExperimentalAPI", b"SSL_SetClientEchConfigs")
        encrypt = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint)(
            address
        )
        if encrypt(tls, configs, len(configs)) != 0:
            raise NSSError("SSL_SetClientEchConfigs")


class NSSChannel:
    def __init__(self, library: _Library, tls: ctypes.c_void_p, sock: socket.socket) -> None:
        self.nss = library
        self.tls = tls
        self.sock = sock
        self.updates = 0
        library.check("SSL_ForceHandshake", tls)

    def send_all(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            piece = data[at : at + (1 << 16)]
            at += self.nss.check("PR_Write", self.tls, piece, len(piece), least=1)

    def receive(self, limit: int) -> bytes:
        buffer = ctypes.create_string_buffer(limit)
        count = self.nss.check("PR_Read", self.tls, buffer, limit)
        return buffer.raw[:count]

    def update_keys(self) -> None:
        # Experimental functions are found by name; this one takes (socket, request an answer).
        address = self.nss.pointer("SSL_GetExperimentalAPI", b"SSL_KeyUpdate")
        update = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(address)
        if update(self.tls, 1) != 0:
            raise NSSError("SSL_KeyUpdate")
        self.updates += 1

    def facts(self, flags: argparse.Namespace) -> dict[str, Any]:
        info = _ChannelInfo()
        size = ctypes.sizeof(info)
        self.nss.check("SSL_GetChannelInfo", self.tls, ctypes.byref(info), size)
        suites = {number: name for name, number in SUITES.items()}
        groups = {number: name for name, number in GROUPS.items()}
        facts: dict[str, Any] = {
            "version": {number: name for name, number in _VERSIONS.items()}[info.protocolVersion],
            "suite": suites.get(info.cipherSuite, hex(info.cipherSuite)),
            "group": groups.get(info.keaGroup),
            "alpn": self._alpn(),
            "resumed": bool(info.resumed),
            "peer_subject": self._peer_name(),
            "key_updates_sent": self.updates,
        }
        if flags.exporter_label:
            label, context = flags.exporter_label.encode(), bytes.fromhex(flags.exporter_context)
            out = ctypes.create_string_buffer(flags.exporter_length)
            self.nss.check(
                "SSL_ExportKeyingMaterial",
                *(self.tls, label, len(label), 1, context, len(context)),
                *(out, flags.exporter_length),
            )
            facts["exporter"] = out.raw.hex()
        return facts

    def end(self) -> None:
        self.nss.call("PR_Shutdown", self.tls, 1)  # PR_SHUTDOWN_SEND: close_notify goes out

    def _alpn(self) -> str | None:
        state, length = ctypes.c_int(), ctypes.c_uint()
        buffer = ctypes.create_string_buffer(255)
        self.nss.check(
            "SSL_GetNextProto",
            *(self.tls, ctypes.byref(state), buffer, ctypes.byref(length), 255),
        )
        return buffer.raw[: length.value].decode() or None

    def _peer_name(self) -> str | None:
        certificate = self.nss.call("SSL_PeerCertificate", self.tls, returns=ctypes.c_void_p)
        if not certificate:
            return None
        item = _SECItem.from_address(certificate + _DER_OFFSET)
        return common_name(ctypes.string_at(item.data, item.len))


# struct CERTCertificateStr: arena, subjectName, issuerName (pointers), signatureWrap (a
# CERTSignedData: SECItem data, SECAlgorithmID of two SECItems, SECItem signature), derCert.
_DER_OFFSET = 3 * 8 + 4 * ctypes.sizeof(_SECItem)


class _Library:
    def __init__(self) -> None:
        self.nspr = ctypes.CDLL("libnspr4.so")
        self.nss = ctypes.CDLL("libnss3.so")
        self.ssl = ctypes.CDLL("libssl3.so")

    def call(self, name: str, *arguments: Any, returns: Any = ctypes.c_int) -> Any:
        for library in (self.ssl, self.nss, self.nspr):
            if hasattr(library, name):
                function = getattr(library, name)
                function.restype = returns
                return function(*arguments)
        raise NSSError(f"no function {name}")

    def pointer(self, name: str, *arguments: Any) -> int:
        found = self.call(name, *arguments, returns=ctypes.c_void_p)
        if not found:
            self._fail(name)
        return int(found)

    def check(self, name: str, *arguments: Any, least: int = 0) -> int:
        """Raises NSSError below `least`: SECFailure is -1."""
        result = int(self.call(name, *arguments))
        if result < least:
            self._fail(name)
        return result

    def _fail(self, name: str) -> None:
        code = self.call("PR_GetError", returns=ctypes.c_int32)
        text = self.call("PR_ErrorToName", code, returns=ctypes.c_char_p)
        raise NSSError(f"{name}: {(text or b'').decode()} ({code})")


def load() -> _Library:
    """Raises OSError where NSS is not installed."""
    return _Library()


def _nickname(flags: argparse.Namespace) -> bytes:
    """pk12util takes the friendly name in the file, which is the file's own name."""
    return Path(flags.pkcs12).stem.encode()


def _fill_database(directory: str, flags: argparse.Namespace) -> None:
    """NSS takes certificates and keys from a database only: one for this conversation."""
    database = ["-d", f"sql:{directory}"]
    commands = [
        ["certutil", "-N", *database, "--empty-password"],
        ["certutil", "-A", *database, "-n", "ca", "-t", "CT,C,", "-i", flags.ca],
    ]
    if flags.pkcs12:
        commands.append(["pk12util", "-i", flags.pkcs12, *database, "-W", "interop"])
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main(NSS())
