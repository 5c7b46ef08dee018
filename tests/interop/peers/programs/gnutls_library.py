"""GnuTLS through its C interface: gnutls-serv cannot echo more than a few kilobytes."""

from __future__ import annotations

import argparse
import ctypes
import socket
from typing import Any

from .spine import main
from .stdlib_ssl import common_name

_PEM = 1
_SERVER, _CLIENT = 1, 2
_CREDENTIALS_CERTIFICATE = 1
_CERT_REQUIRE = 2
_NAME_DNS = 1
_AGAIN, _INTERRUPTED = -28, -52
_SHUTDOWN_WRITE = 1
_UPDATE_PEER_TOO = 1  # GNUTLS_KU_PEER: update_requested

_SUITES = {
    "TLS_AES_128_GCM_SHA256": "AES-128-GCM",
    "TLS_AES_256_GCM_SHA384": "AES-256-GCM",
    "TLS_CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
    "TLS_AES_128_CCM_SHA256": "AES-128-CCM",
}


class _Datum(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_uint)]


class GnuTLSError(Exception):
    pass


class GnuTLS:
    def __init__(self) -> None:
        self.library = load()
        self.kept = _Datum()  # a client's session, or a server's ticket key
        self.last: GnuTLSChannel | None = None

    def connect(self, sock: socket.socket, flags: argparse.Namespace) -> GnuTLSChannel:
        session = self._session(_CLIENT, sock, flags)
        name = b"localhost"
        library = self.library
        library.check("server_name_set", session, _NAME_DNS, name, ctypes.c_size_t(len(name)))
        library.call("session_set_verify_cert", session, name, 0, returns=None)
        if self.last is not None:
            library.check("session_get_data2", self.last.session, ctypes.byref(self.kept))
            kept, size = ctypes.c_void_p(self.kept.data), ctypes.c_size_t(self.kept.size)
            library.check("session_set_data", session, kept, size)
        self.last = GnuTLSChannel(library, session, sock)
        return self.last

    def accept(self, sock: socket.socket, flags: argparse.Namespace) -> GnuTLSChannel:
        session = self._session(_SERVER, sock, flags)
        if not self.kept.size:
            self.library.check("session_ticket_key_generate", ctypes.byref(self.kept))
        self.library.check("session_ticket_enable_server", session, ctypes.byref(self.kept))
        if flags.require_client_cert:
            self.library.call(
                "certificate_server_set_request", session, _CERT_REQUIRE, returns=None
            )
            self.library.call("session_set_verify_cert", session, None, 0, returns=None)
        return GnuTLSChannel(self.library, session, sock)

    def _session(self, end: int, sock: socket.socket, flags: argparse.Namespace) -> Any:
        library = self.library
        session = ctypes.c_void_p()
        library.check("init", ctypes.byref(session), end)
        library.check("priority_set_direct", session, _priorities(flags).encode(), None)
        credentials = ctypes.c_void_p()
        library.check("certificate_allocate_credentials", ctypes.byref(credentials))
        library.check("certificate_set_x509_trust_file", credentials, flags.ca.encode(), _PEM)
        if flags.cert:
            library.check(
                "certificate_set_x509_key_file",
                credentials,
                flags.cert.encode(),
                flags.key.encode(),
                _PEM,
            )
        library.check("credentials_set", session, _CREDENTIALS_CERTIFICATE, credentials)
        if flags.alpn:
            names = [name.encode() for name in flags.alpn]
            buffers = [ctypes.create_string_buffer(name, len(name)) for name in names]
            data = (_Datum * len(names))(
                *(_Datum(ctypes.addressof(each), len(each)) for each in buffers)
            )
            library.check("alpn_set_protocols", session, data, len(names), 0)
        sock.settimeout(None)
        library.call("transport_set_int2", session, sock.fileno(), sock.fileno(), returns=None)
        return session


class GnuTLSChannel:
    def __init__(self, library: _Library, session: Any, sock: socket.socket) -> None:
        self.library = library
        self.session = session
        self.sock = sock
        self.updates = 0
        library.check("handshake", session)

    def send_all(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            piece = data[at : at + 16384]
            size = ctypes.c_size_t(len(piece))
            at += self.library.check("record_send", self.session, piece, size, size_result=True)

    def receive(self, limit: int) -> bytes:
        buffer = ctypes.create_string_buffer(limit)
        size = ctypes.c_size_t(limit)
        count = self.library.check("record_recv", self.session, buffer, size, size_result=True)
        return buffer.raw[:count]

    def update_keys(self) -> None:
        self.library.check("session_key_update", self.session, _UPDATE_PEER_TOO)
        self.updates += 1

    def facts(self, flags: argparse.Namespace) -> dict[str, Any]:
        text = ctypes.c_char_p
        call, session = self.library.call, self.session
        version = call("protocol_get_version", session)
        group = call("group_get", session)
        suite = call("ciphersuite_get", session, returns=text)
        facts: dict[str, Any] = {
            "version": call("protocol_get_name", version, returns=text).decode(),
            "suite": (suite or b"").decode() or None,
            "group": _lower(call("group_get_name", group, returns=text)),
            "alpn": self._alpn(),
            "resumed": bool(call("session_is_resumed", session)),
            "peer_subject": self._peer_name(),
            "key_updates_sent": self.updates,
        }
        if flags.exporter_label:
            facts["exporter"] = self._export(flags)
        return facts

    def end(self) -> None:
        self.library.call("bye", self.session, _SHUTDOWN_WRITE)

    def _alpn(self) -> str | None:
        chosen = _Datum()
        if self.library.call("alpn_get_selected_protocol", self.session, ctypes.byref(chosen)) < 0:
            return None
        return ctypes.string_at(chosen.data, chosen.size).decode()

    def _peer_name(self) -> str | None:
        count = ctypes.c_uint()
        chain = self.library.call(
            "certificate_get_peers",
            self.session,
            ctypes.byref(count),
            returns=ctypes.POINTER(_Datum),
        )
        return common_name(ctypes.string_at(chain[0].data, chain[0].size)) if count.value else None

    def _export(self, flags: argparse.Namespace) -> str:
        label = flags.exporter_label.encode()
        context = bytes.fromhex(flags.exporter_context)
        out = ctypes.create_string_buffer(flags.exporter_length)
        self.library.check(
            "prf_rfc5705",
            self.session,
            ctypes.c_size_t(len(label)),
            label,
            ctypes.c_size_t(len(context)),
            context,
            ctypes.c_size_t(flags.exporter_length),
            out,
        )
        return out.raw.hex()


class _Library:
    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def call(self, name: str, *arguments: Any, returns: Any = ctypes.c_int) -> Any:
        function = getattr(self.library, f"gnutls_{name}")
        function.restype = returns
        return function(*arguments)

    def check(self, name: str, *arguments: Any, size_result: bool = False) -> int:
        """Raises GnuTLSError for what GnuTLS takes as an error."""
        returns = ctypes.c_ssize_t if size_result else ctypes.c_int
        while (result := self.call(name, *arguments, returns=returns)) in (_AGAIN, _INTERRUPTED):
            pass
        if result < 0:
            text = self.call("strerror", int(result), returns=ctypes.c_char_p)
            raise GnuTLSError(f"gnutls_{name}: {text.decode()}")
        return int(result)


def load() -> _Library:
    """Raises OSError where GnuTLS is not installed."""
    return _Library(ctypes.CDLL("libgnutls.so.30"))


def _lower(name: bytes | None) -> str | None:
    return name.decode().lower() if name else None


def _priorities(flags: argparse.Namespace) -> str:
    parts = ["NORMAL", "-VERS-ALL", f"+VERS-{flags.tls.replace('v', '')}"]
    if flags.no_ems:
        parts += ["%NO_SESSION_HASH"]
    if flags.suites and flags.tls == "TLSv1.2":
        means, cipher = flags.suites[0].removeprefix("TLS_").split("_WITH_")
        cipher = cipher.removesuffix("_SHA256").removesuffix("_SHA384").replace("_", "-")
        parts += ["-KX-ALL", f"+{means.replace('_', '-')}", "-CIPHER-ALL", f"+{cipher}"]
    elif flags.suites:
        parts += ["-CIPHER-ALL", *(f"+{_SUITES[suite]}" for suite in flags.suites)]
    if flags.groups:
        parts += ["-GROUP-ALL", *(f"+GROUP-{group.upper()}" for group in flags.groups)]
    return ":".join(parts)


if __name__ == "__main__":
    main(GnuTLS())
