"""Peers of TLS 1.2 that follow a script: real keys, and the deviations that a test asks for.

They take the deviations and orders of `scripted`. The differences are those of TLS 1.2: both
sides have a second flight, and change_cipher_spec is a step of its own, which is no message:

    ScriptedServer12(credentials, server_key_exchange=changed(group=0x11EC))
    ScriptedServer12(credentials, closing=("finished",))  # in plaintext, as no keys were announced
    ScriptedClient12(change_cipher_spec=None)  # goes over to the keys and does not say so
    ScriptedClient12(change_cipher_spec=Record(20, b"\\2"))
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding

from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.crypto.groups import GROUPS, GROUPS_BY_CODE, PrivateShare
from handclasp.crypto.secret import Secret
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.crypto.suites import CIPHER_SUITES12, CIPHER_SUITES12_BY_CODE, CipherSuite12
from handclasp.errors import ConfigurationError
from handclasp.iana import TLS12, ContentType, ExtensionType, HandshakeType
from handclasp.keys.schedule12 import KeyBlock, MasterSecret12, Randoms
from handclasp.record.protection12 import Protection12
from handclasp.testing.scripted import SCHEMES, ScriptedPeer
from handclasp.values import dataclass
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import AnyMessage, read_as, write_message
from handclasp.wire.messages import CertificateVerify, ClientHello, Finished, ServerHello
from handclasp.wire.messages12 import (
    ECDSA_SIGN,
    RSA_SIGN,
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    ClientKeyExchange,
    ServerHelloDone,
    ServerKeyExchange,
    read_ecdh_point,
    read_encrypted_secret,
    write_ecdh_params,
    write_ecdh_point,
    write_encrypted_secret,
)
from handclasp.wire.records import HEADER_SIZE, MAX_PLAINTEXT

ECDSA_SUITE = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
RSA_SUITE = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
CHACHA_SUITE = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
KEY_TRANSPORT_SUITE = "TLS_RSA_WITH_AES_128_GCM_SHA256"

CLOSING = ("change_cipher_spec", "finished")
"""The last steps of either side's handshake."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record, which is in no transcript."""

    content_type: int
    content: bytes


CHANGE_CIPHER_SPEC = Record(ContentType.CHANGE_CIPHER_SPEC, b"\x01")


class ScriptedPeer12(ScriptedPeer):
    """Keys and steps that both roles have in TLS 1.2.

    Args:
        extended: whether the secret is bound to the handshake, and the hello says so.

    Attributes:
        pre_master_secret, master_secret, keys: once the client's half of the secret is there.
    """

    def __init__(
        self,
        suite: str,
        *,
        credentials: Credentials | None = None,
        order: Sequence[str] | None = None,
        extended: bool = True,
        **deviations: Any,
    ) -> None:
        super().__init__(credentials=credentials, order=order, **deviations)
        self.suite12: CipherSuite12 = CIPHER_SUITES12[suite]
        self.extended = extended
        self.server_random = bytes(32)
        self.pre_master_secret = Secret(b"")
        self.master_secret: MasterSecret12 | None = None
        self.keys: KeyBlock | None = None

    def send(self, message: AnyMessage | bytes | Record) -> None:
        """Queue a handshake message and add it to the transcript; or a record, which is in none."""
        if isinstance(message, Record):
            self.send_record(message.content_type, message.content)
            return
        if isinstance(message, ServerHello):
            self.server_random = message.random
        raw = message if isinstance(message, bytes) else write_message(message)
        self.transcript.add(raw)
        for start in range(0, len(raw), MAX_PLAINTEXT):
            self.send_record(ContentType.HANDSHAKE, raw[start : start + MAX_PLAINTEXT])

    # Steps

    def certificate(self) -> Any:
        """Return the right Certificate."""
        return Certificate12(self.credentials.chain_der if self.credentials else ())

    def change_cipher_spec(self) -> Any:
        """Return the record that announces the keys."""
        return CHANGE_CIPHER_SPEC

    def after_change_cipher_spec(self) -> None:
        """Go over to the keys for writing."""
        if self.keys is not None:
            keys = self.keys.server if self.role == "server" else self.keys.client
            self._write = Protection12(keys, self.suite12)  # type: ignore[assignment]

    def finished(self) -> Any:
        """Return the right Finished."""
        return Finished(self.verify_data(self.role))

    def verify_data(self, sender: str) -> bytes:
        """Return the verify_data of a Finished at this point; without a secret, zeros."""
        if self.master_secret is None:
            return bytes(12)
        return self.master_secret.verify_data(sender, self.transcript.digest())

    # Keys

    @property
    def randoms(self) -> Randoms:
        """Both randoms of this handshake."""
        return Randoms(self.client_hello.random, self.server_random)

    def derive_keys(self) -> None:
        """Derive the keys, right after the ClientKeyExchange."""
        secret, suite = self.pre_master_secret, self.suite12
        if self.extended:
            digest = self.transcript.digest()
            self.master_secret = MasterSecret12.bound_to_session(
                suite, secret, digest, self.randoms
            )
        else:
            self.master_secret = MasterSecret12.bound_to_randoms(suite, secret, self.randoms)
        self.keys = self.master_secret.key_block()

    # Inside

    def _next_record(self) -> tuple[int, bytes] | None:
        record = self._cut_record()
        if record is None:
            return None
        header, body = record
        if self._read is not None:
            return self._read.open_record(header + body, 0, HEADER_SIZE + len(body))
        if header[0] == ContentType.CHANGE_CIPHER_SPEC and self.keys is not None:
            keys = self.keys.client if self.role == "server" else self.keys.server
            self._read = Protection12(keys, self.suite12)  # type: ignore[assignment]
        return header[0], body

    def _finished_came(self, raw: bytes) -> None:
        other = "client" if self.role == "server" else "server"
        self.established = hmac.compare_digest(raw[4:], self.verify_data(other))
        self.transcript.add(raw)


class ScriptedServer12(ScriptedPeer12):
    """A server that speaks TLS 1.2, and answers as its script says.

    Args:
        group: the group of the key exchange, offered or not.
        scheme: the signature scheme; None takes the first that fits the key.
        ask_for_certificate: whether a CertificateRequest is sent.
        staple: an OCSP response; the ServerHello promises it where there is one.
        closing: the steps after the client's Finished.
    """

    role = "server"
    order = (
        "server_hello",
        "certificate",
        "certificate_status",
        "server_key_exchange",
        "certificate_request",
        "server_hello_done",
    )

    def __init__(
        self,
        credentials: Credentials,
        suite: str = ECDSA_SUITE,
        *,
        group: str = "X25519",
        scheme: str | None = None,
        ask_for_certificate: bool = False,
        staple: bytes | None = None,
        order: Sequence[str] | None = None,
        closing: Sequence[str] = CLOSING,
        extended: bool = True,
        **deviations: Any,
    ) -> None:
        absent = set[str]() if ask_for_certificate else {"certificate_request"}
        if staple is None:
            absent.add("certificate_status")
        if CIPHER_SUITES12[suite].key_exchange == "RSA":
            absent.add("server_key_exchange")
        order = tuple(step for step in self.order if step not in absent) if order is None else order
        super().__init__(
            suite, credentials=credentials, order=order, extended=extended, **deviations
        )
        self.group = GROUPS[group]
        self.scheme = scheme or credentials.schemes[0]
        self.staple = staple
        self.closing = closing
        self.share: PrivateShare = self.group.exchange.generate(os.urandom)
        self.hellos = 0

    def receive(self, raw: bytes) -> None:
        """Answer a ClientHello and a Finished with the steps of the script."""
        kind = raw[0]
        if kind == HandshakeType.CLIENT_HELLO:
            self._client_hello_came(raw)
        elif kind == HandshakeType.FINISHED:
            self._finished_came(raw)
            self.act(self.closing)
        elif not self.established:
            self.transcript.add(raw)
            if kind == HandshakeType.CLIENT_KEY_EXCHANGE:
                self._key_exchange_came(read_as(ClientKeyExchange, raw))

    def server_hello(self) -> Any:
        """Return a ServerHello with the suite of the script."""
        extensions: dict[int, bytes] = {
            ExtensionType.RENEGOTIATION_INFO: ext.write_renegotiation_info()
        }
        if self.extended:
            extensions[ExtensionType.EXTENDED_MASTER_SECRET] = b""
        if self.staple is not None:
            extensions[ExtensionType.STATUS_REQUEST] = b""
        return ServerHello(
            legacy_version=TLS12,
            random=os.urandom(32),
            legacy_session_id_echo=b"",
            cipher_suite=self.suite12.code,
            legacy_compression_method=0,
            extensions=extensions,
        )

    def certificate_status(self) -> Any:
        """Return the staple."""
        return CertificateStatus(self.staple or b"no staple")

    def server_key_exchange(self) -> Any:
        """Return the right ServerKeyExchange."""
        point = self.share.share
        return self.signed_key_exchange(self.group.code, point, self.randoms, self.scheme)

    def signed_key_exchange(
        self, group: int, point: bytes, randoms: Randoms, scheme: str
    ) -> ServerKeyExchange:
        """Return the server's half of the secret, signed with these randoms in this scheme."""
        content = randoms.client + randoms.server + write_ecdh_params(group, point)
        code = SIGNATURE_SCHEMES[scheme].code
        return ServerKeyExchange(group, point, code, self.signature(scheme, content))

    def certificate_request(self) -> Any:
        """Return a CertificateRequest for every signature scheme."""
        return CertificateRequest12(bytes([ECDSA_SIGN, RSA_SIGN]), SCHEMES, ())

    def server_hello_done(self) -> Any:
        """Return the end of the first flight."""
        return ServerHelloDone()

    def _client_hello_came(self, raw: bytes) -> None:
        self.hellos += 1
        if self.hellos > 1:
            return
        self.client_hello = read_as(ClientHello, raw)
        self.transcript.add(raw)
        self.transcript.choose_hash(self.suite12.hash_name, keep=True)
        self.act(self.order)

    def _key_exchange_came(self, message: ClientKeyExchange) -> None:
        if self.suite12.key_exchange == "RSA":
            signer = self.needed_credentials.signer
            if not isinstance(signer, LocalSigner):
                raise ConfigurationError("A script of RSA key transport needs a key in memory.")
            encrypted = read_encrypted_secret(message.exchange_keys)
            self.pre_master_secret = Secret(signer.decrypt(encrypted))
        else:
            self.pre_master_secret = self.share.agree(read_ecdh_point(message.exchange_keys))
        self.derive_keys()


class ScriptedClient12(ScriptedPeer12):
    """A client that opens with a ClientHello of TLS 1.2 and goes on as its script says.

    Args:
        groups: the groups to list.
        extensions: what the hello holds besides.
    """

    role = "client"
    order: Sequence[str] = ("certificate", "client_key_exchange", "certificate_verify", *CLOSING)

    def __init__(
        self,
        suite: str = ECDSA_SUITE,
        *,
        credentials: Credentials | None = None,
        groups: Sequence[str] = ("X25519", "secp256r1"),
        extensions: dict[int, bytes] | None = None,
        order: Sequence[str] | None = None,
        extended: bool = True,
        **deviations: Any,
    ) -> None:
        if credentials is None and order is None:
            order = ("client_key_exchange", *CLOSING)
        super().__init__(
            suite, credentials=credentials, order=order, extended=extended, **deviations
        )
        self.groups = groups
        self.extra = extensions or {}
        self.server_chain: tuple[bytes, ...] = ()
        self.key_exchange: ServerKeyExchange | None = None
        self.act(["first_hello"])

    def receive(self, raw: bytes) -> None:
        """Follow the server's flight, and answer its ServerHelloDone."""
        kind = raw[0]
        if kind == HandshakeType.FINISHED:
            self._finished_came(raw)
            return
        if not self.established:
            self.transcript.add(raw)
        if kind == HandshakeType.SERVER_HELLO:
            hello = read_as(ServerHello, raw)
            self.server_random = hello.random
            self.suite12 = CIPHER_SUITES12_BY_CODE[hello.cipher_suite]
            self.transcript.choose_hash(self.suite12.hash_name, keep=True)
        elif kind == HandshakeType.CERTIFICATE:
            self.server_chain = read_as(Certificate12, raw).certificate_list
        elif kind == HandshakeType.SERVER_KEY_EXCHANGE:
            self.key_exchange = read_as(ServerKeyExchange, raw)
        elif kind == HandshakeType.SERVER_HELLO_DONE:
            self.act(self.order)

    def first_hello(self) -> Any:
        """Return the ClientHello."""
        groups = [GROUPS[name].code for name in self.groups]
        extensions: dict[int, bytes] = {
            ExtensionType.SUPPORTED_GROUPS: ext.write_supported_groups(groups),
            ExtensionType.EC_POINT_FORMATS: ext.write_ec_point_formats(),
            ExtensionType.SIGNATURE_ALGORITHMS: ext.write_signature_algorithms(SCHEMES),
            ExtensionType.RENEGOTIATION_INFO: ext.write_renegotiation_info(),
        }
        if self.extended:
            extensions[ExtensionType.EXTENDED_MASTER_SECRET] = b""
        self.client_hello = ClientHello(
            legacy_version=TLS12,
            random=os.urandom(32),
            legacy_session_id=b"",
            cipher_suites=(self.suite12.code,),
            legacy_compression_methods=b"\0",
            extensions=extensions | self.extra,
        )
        return self.client_hello

    def client_key_exchange(self) -> Any:
        """Return the right ClientKeyExchange."""
        if self.key_exchange is None:
            self.pre_master_secret = Secret(b"\x03\x03" + os.urandom(46))
            return ClientKeyExchange(write_encrypted_secret(self._encrypted()))
        exchange = GROUPS_BY_CODE[self.key_exchange.group].exchange
        share, self.pre_master_secret = exchange.respond(self.key_exchange.point, os.urandom)
        return ClientKeyExchange(write_ecdh_point(share))

    def after_client_key_exchange(self) -> None:
        """Derive the keys."""
        self.derive_keys()

    def certificate_verify(self) -> Any:
        """Return the right CertificateVerify."""
        return self.signed_messages(self.transcript.messages())

    def signed_messages(self, content: bytes, scheme: str | None = None) -> CertificateVerify:
        """Return a CertificateVerify over these messages."""
        scheme = scheme or self.needed_credentials.schemes[0]
        return CertificateVerify(SIGNATURE_SCHEMES[scheme].code, self.signature(scheme, content))

    def _encrypted(self) -> bytes:
        public_key: Any = x509.load_der_x509_certificate(self.server_chain[0]).public_key()
        encrypted: bytes = public_key.encrypt(bytes(self.pre_master_secret), padding.PKCS1v15())
        return encrypted
