"""CPython's own test_ssl, with our client where its tests make one with `ssl`.

`python -m tests.scanners.cpython_client` runs those cases that only need a client: what
`SSLContext.wrap_socket` and `wrap_bio` give for a client's context speaks TLS by this library,
with the settings that the test gave to its context, and calls errors what OpenSSL calls them. The
servers, the certificates and all assertions are CPython's.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from cryptography import x509
from tests.pki import Pki, pem_of
from tests.scanners import contexts

import handclasp
from handclasp import ClientConfig, ClientConnection, TLSSocket, TrustStore
from handclasp.certificates.crl import RevocationLists
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.verify import VerifiedPeer, verify_server_chain, vouch_for
from handclasp.crypto.suites import CIPHER_SUITES, CIPHER_SUITES12
from handclasp.errors import (
    CertificateError,
    HandshakeTimeoutError,
    PeerAlertError,
    TLSError,
    TruncationError,
    WantRead,
    WantWrite,
)
from handclasp.events import DataReceived
from handclasp.faults import Fault
from handclasp.questions import VerifyPeer

CASES = {
    "SimpleBackgroundTests": (
        "test_bio_read_write_data",
        "test_ciphers",
        "test_connect",
        "test_connect_cadata",
        "test_connect_capath",
        "test_connect_ex",
        "test_connect_fail",
        "test_connect_with_context",
        "test_connect_with_context_fail",
        "test_get_server_certificate",
        "test_get_server_certificate_fail",
        "test_get_server_certificate_sni",
        "test_get_server_certificate_timeout",
        "test_makefile_close",
        "test_non_blocking_connect_ex",
        "test_non_blocking_handshake",
        "test_transport_eof",
    ),
    "ThreadedTests": (
        "test_alpn_protocols",
        "test_asyncore_server",
        "test_check_hostname",
        "test_check_hostname_idn",
        "test_compression",
        "test_compression_disabled",
        "test_crl_check",
        "test_default_ecdh_curve",
        "test_dual_rsa_ecc",
        "test_ecc_cert",
        "test_ecdh_curve",
        "test_echo",
        "test_getpeercert",
        "test_handshake_timeout",
        "test_hostname_checks_common_name",
        "test_min_max_version_tlsv1_2",
        "test_no_shared_ciphers",
        "test_nonblocking_send",
        "test_protocol_tlsv1_2",
        "test_recv_into_buffer_protocol_len",
        "test_recv_zero",
        "test_rude_shutdown",
        "test_selected_alpn_protocol",
        "test_selected_alpn_protocol_if_server_uses_alpn",
        "test_server_accept",
        "test_shared_ciphers",
        "test_sni_callback",
        "test_sni_callback_alert",
        "test_sni_callback_raising",
        "test_sni_callback_wrong_return_type",
        "test_socketserver",
        "test_ssl_cert_verify_error",
        "test_starttls",
        "test_tls1_3",
        "test_wrong_cert_tls12",
        "test_wrong_cert_tls13",
    ),
    "TestPostHandshakeAuth": ("test_pha_not_tls13",),
    "TestPreHandshakeClose": ("test_https_client_non_tls_response_ignored",),
}
"""Left out are those that need no TLS peer, and besides:

- what is about the objects of `ssl` (test_context_setget, test_get_ca_certs_capath,
  test_bio_handshake, test_internal_chain_client, test_read_write_after_close_raises_valuerror,
  test_recv_send, test_sendfile, test_session, test_session_handling, test_version_basic,
  TestSSLDebug), or about what CPython's server does with a client that is broken on purpose
  (test_preauth_data_to_tls_server);
- test_preauth_data_to_tls_client: it wants CPython's own words for plaintext before a reset; that
  such plaintext is never given out is asked by the case of TestPreHandshakeClose above;
- authentication after the handshake, which is never offered here: TestPostHandshakeAuth but for
  its case about TLS 1.2;
- test_internal_chain_server: it wants the client to send its authority's certificate along, which
  OpenSSL takes from those that it trusts;
- test_tls_unique_channel_binding: tls-unique in TLS 1.3, where RFC 9846 C.5 does not define it;
- test_dh_params: there are no finite-field groups here;
- versions below TLS 1.2: test_PROTOCOL_TLS, test_protocol_sslv2, test_protocol_sslv3,
  test_protocol_tlsv1, test_protocol_tlsv1_1, test_min_max_version_tlsv1_1,
  test_min_max_version_sslv3, and test_min_max_version_mismatch, whose client has no others.
"""

MADE = 0
"""Handshakes that this client has completed."""


def main() -> int:
    test_ssl: Any = import_module("test.test_ssl")

    contexts.watch_settings()
    put_in_place()
    if hasattr(test_ssl, "setUpModule"):
        test_ssl.setUpModule()
    suite = unittest.TestSuite(
        getattr(test_ssl, kind)(name) for kind, names in CASES.items() for name in names
    )
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    passed = result.testsRun - len(result.skipped)
    print(f"{passed} cases, {len(result.skipped)} skipped; {MADE} handshakes by this client")
    return 0 if result.wasSuccessful() and passed // 2 < MADE else 1


def put_in_place() -> None:
    """Let clients' contexts make sockets of ours; those of servers stay what they are."""
    real_socket, real_bio = ssl.SSLContext.wrap_socket, ssl.SSLContext.wrap_bio

    def wrap_socket(self: ssl.SSLContext, sock: Any, *arguments: Any, **named: Any) -> Any:
        if named.get("server_side") or self.protocol == ssl.PROTOCOL_TLS_SERVER:
            return real_socket(self, sock, *arguments, **named)
        return _Socket(self, sock, **named)

    def wrap_bio(
        self: ssl.SSLContext,
        incoming: Any,
        outgoing: Any,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> Any:
        if server_side:
            return real_bio(self, incoming, outgoing, server_side, server_hostname)
        return _Object(self, incoming, outgoing, server_hostname)

    ssl.SSLContext.wrap_socket = wrap_socket  # type: ignore[method-assign]
    ssl.SSLContext.wrap_bio = wrap_bio  # type: ignore[method-assign,assignment]


# Settings


def config_of(context: ssl.SSLContext, **settings: Any) -> ClientConfig:
    """The same settings, as far as there are such here."""
    codes = {each["id"] & 0xFFFF for each in context.get_ciphers()}
    versions = contexts.versions_of(context)
    if not versions:
        raise ssl.SSLError(1, "[SSL: NO_PROTOCOLS_AVAILABLE] no protocols available")
    suites = {
        "TLSv1.3": [name for name, suite in CIPHER_SUITES.items() if suite.code in codes],
        "TLSv1.2": [name for name, suite in CIPHER_SUITES12.items() if suite.code in codes],
    }
    curve = contexts.curve_of(context)
    if curve is not None:
        settings["groups"] = [{"prime256v1": "secp256r1"}.get(curve, curve)]
    return ClientConfig(
        credentials=contexts.credentials_of(context) or None,
        alpn=contexts.alpn_of(context),
        versions=versions,
        cipher_suites=[
            name for version in versions for name in suites[version] if "TLS_RSA_" not in name
        ],
        **settings,
        **_judging(context),
    )


def _judging(context: ssl.SSLContext) -> dict[str, Any]:
    if context.verify_mode == ssl.CERT_NONE:
        return {"verify_peer": False}
    given = contexts.authorities_of(context)
    lists = [data for data in given if b"X509 CRL" in data]
    anchors = [data for data in given if data not in lists]
    trust = _NOBODY.trust
    for data in anchors:
        more = TrustStore.from_pem(data)
        trust = more if trust is _NOBODY.trust else trust.with_added(more)
    crls = None
    if context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF:
        crls = RevocationLists.from_bytes(*(lists or [pem_of(_NOBODY.crl())]), check="leaf")
    policy = CertificatePolicy(profile="private", crls=crls)
    if context.check_hostname:
        return {"trust": trust, "policy": policy}

    def whoever(question: VerifyPeer) -> VerifiedPeer:
        """A good certificate of anybody: there is no such setting here, and it takes code."""
        leaf = x509.load_der_x509_certificate(question.chain_der[0])
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (name, *_) = names.get_values_for_type(x509.DNSName)
        verify_server_chain(question.chain_der, trust, name, now=datetime.now(UTC), policy=policy)
        return vouch_for(question.chain_der)

    return {"verify": whoever}


_NOBODY = Pki()
"""An authority that nobody has a certificate of: whom to trust where a test trusts nobody."""


# Errors


_VERIFICATION = {
    Fault.CERTIFICATE_UNTRUSTED: (20, "unable to get local issuer certificate"),
    Fault.CERTIFICATE_NAME_MISMATCH: (62, "Hostname mismatch, certificate is not valid for '{}'."),
    Fault.REVOCATION_UNKNOWN: (3, "unable to get certificate CRL"),
}
_OLD_ALERTS = ("handshake_failure", "bad_certificate", "unsupported_certificate", "bad_record_mac")


@contextmanager
def as_openssl_says(name: str | None) -> Iterator[None]:
    """Turn our errors into those of `ssl`, with the words that OpenSSL has for them."""
    try:
        yield
    except WantRead as error:
        raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, str(error)) from error
    except WantWrite as error:
        raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, str(error)) from error
    except HandshakeTimeoutError as error:
        raise TimeoutError("The handshake operation timed out") from error
    except CertificateError as error:
        code, words = _VERIFICATION.get(error.fault, (1, str(error)))
        words = words.format(name)
        found = ssl.SSLCertVerificationError(1, f"[SSL] certificate verify failed: {words}")
        found.verify_code, found.verify_message = code, words
        raise found from error
    except TruncationError as error:
        raise ssl.SSLEOFError(8, "EOF occurred in violation of protocol") from error
    except PeerAlertError as error:
        age = "SSLV3" if error.alert in _OLD_ALERTS else "TLSV1"
        reason = f"{age}_ALERT_{error.alert.upper()}"
        told = ssl.SSLError(1, f"[SSL: {reason}] {reason.lower().replace('_', ' ')}")
        told.reason = reason
        raise told from error
    except TLSError as error:
        raise ssl.SSLError(1, str(error)) from error


# What stands in for an SSLSocket


class _Peer:
    """What is known of the other end, by the names that `ssl` has for it."""

    context: ssl.SSLContext
    server_hostname: str | None

    @property
    def _info(self) -> Any:
        raise NotImplementedError

    def cipher(self) -> tuple[str, str, int]:
        return self._info.cipher_suite, self._info.version, 0

    def version(self) -> str:
        return str(self._info.version)

    def compression(self) -> None:
        return None

    def selected_alpn_protocol(self) -> str | None:
        name: str | None = self._info.alpn
        return name

    def getpeercert(self, binary_form: bool = False) -> Any:
        (leaf, *_) = self._info.peer_chain_der
        if binary_form:
            return leaf
        return {} if self.context.verify_mode == ssl.CERT_NONE else _decoded(leaf)

    session = None
    session_reused = False


class _Socket(_Peer):
    """A `TLSSocket`, from before it is connected."""

    server_side = False

    def __init__(
        self,
        context: ssl.SSLContext,
        sock: socket.socket,
        *,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: None = None,
    ) -> None:
        if context.check_hostname and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")
        self.context = context
        self.server_hostname = context._encode_hostname(server_hostname)  # type: ignore[attr-defined]
        self._config = config_of(context, allow_truncation=suppress_ragged_eofs)
        self._at_once = do_handshake_on_connect
        # As with `ssl`: the plain socket is spent.
        self._plain = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self._plain.settimeout(sock.gettimeout())
        self._tls: TLSSocket | None = None
        try:
            self._plain.getpeername()
        except OSError:
            return
        self._wrap()

    def __enter__(self) -> _Socket:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain if self._tls is None else self._tls, name)

    @property
    def _info(self) -> Any:
        assert self._tls is not None
        return self._tls.info

    def _wrap(self) -> None:
        try:
            self._tls = handclasp.wrap_client(
                self._plain, self._config, server_name=self.server_hostname, handshake=False
            )
            if self._at_once:
                self.do_handshake()
        except BaseException:
            self.close()
            raise

    def connect(self, address: Any) -> None:
        self._plain.connect(address)
        self._wrap()

    def connect_ex(self, address: Any) -> int:
        error = self._plain.connect_ex(address)
        if not error:
            self._wrap()
        return error

    def do_handshake(self) -> None:
        global MADE
        if self._tls is None:  # The connection was still being made.
            self._wrap()
        assert self._tls is not None
        with as_openssl_says(self.server_hostname):
            self._tls.do_handshake()
        MADE += 1

    def read(self, size: int = 1024) -> bytes:
        assert self._tls is not None
        with as_openssl_says(self.server_hostname):
            return self._tls.recv(size)

    recv = read

    def recv_into(self, buffer: Any, nbytes: int = 0) -> int:
        assert self._tls is not None
        with as_openssl_says(self.server_hostname):
            return self._tls.recv_into(buffer, nbytes)

    def send(self, data: Any) -> int:
        assert self._tls is not None
        with as_openssl_says(self.server_hostname):
            return self._tls.send(data)

    write = send

    def unwrap(self) -> socket.socket:
        assert self._tls is not None
        with as_openssl_says(self.server_hostname):
            return self._tls.unwrap()

    def close(self) -> None:
        if self._tls is not None:
            self._tls.close()
        else:
            self._plain.close()


class _Object(_Peer):
    """A `ClientConnection`, between the two buffers of an SSLObject."""

    def __init__(
        self, context: ssl.SSLContext, incoming: Any, outgoing: Any, name: str | None
    ) -> None:
        self.context, self.server_hostname = context, name
        self._incoming, self._outgoing = incoming, outgoing
        self._connection = ClientConnection(config_of(context), server_name=name)
        self._plaintext = bytearray()

    @property
    def _info(self) -> Any:
        return self._connection.info

    def do_handshake(self) -> None:
        global MADE
        self._turn()
        if not self._connection.established:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "The operation did not complete")
        MADE += 1

    def write(self, data: bytes) -> int:
        self._connection.send_data(data)
        self._turn()
        return len(data)

    def read(self, size: int = 1024) -> bytes:
        if not self._plaintext:
            self._turn()
        if not self._plaintext and not self._connection.peer_closed:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "The operation did not complete")
        taken = bytes(self._plaintext[:size])
        del self._plaintext[:size]
        return taken

    def unwrap(self) -> None:
        self._connection.close()
        self._turn()
        if not self._connection.peer_closed:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "The operation did not complete")

    def _turn(self) -> None:
        data = self._incoming.read()
        with as_openssl_says(self.server_hostname):
            if data:
                events = self._connection.receive_data(data)
            else:
                events = self._connection.receive_eof() if self._incoming.eof else []
        for event in events:
            if isinstance(event, DataReceived):
                self._plaintext += event.data
        self._outgoing.write(self._connection.data_to_send())


def _decoded(certificate: bytes) -> Any:
    """The dictionary that `getpeercert` gives, made by CPython itself, which takes a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
        file.write(ssl.DER_cert_to_PEM_cert(certificate))
    try:
        return ssl._ssl._test_decode_cert(file.name)  # type: ignore[attr-defined]
    finally:
        os.unlink(file.name)


if __name__ == "__main__":
    sys.exit(main())
