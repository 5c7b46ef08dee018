"""Peers of TLS 1.3 that follow a script: real keys, and the deviations that a test asks for.

They are built on the codec, the keys and the record protection of the library, and not on its
handshakes: no setting of the library can make it deviate. Without a deviation they are good peers.
A test changes single messages, their order, or a whole step:

    ScriptedServer(credentials, server_hello=lambda message: replace(message, cipher_suite=1))
    ScriptedServer(credentials, order=("server_hello", "encrypted_extensions", "finished"))

A deviation is named after its step and is a message, its bytes, several of them, None to leave
the message out, or a function from the right message to one of these. Bytes go out as one
handshake fragment as they are, so two messages joined share a record. Step names may occur in
`order` any number of times.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast

from handclasp.certificates.credentials import Credentials
from handclasp.crypto.groups import GROUPS, GROUPS_BY_CODE, PrivateShare
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.crypto.suites import CIPHER_SUITES, CIPHER_SUITES_BY_CODE, CipherSuite
from handclasp.errors import ConfigurationError
from handclasp.iana import TLS12, TLS13, ContentType, ExtensionType, HandshakeType
from handclasp.keys.schedule13 import EarlySecret, HandshakeSecret, TrafficSecret
from handclasp.keys.transcript import Transcript
from handclasp.record.protection13 import Protection13, split_inner_plaintext
from handclasp.values import replace
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import read_as
from handclasp.wire.messages import (
    HELLO_RETRY_REQUEST_RANDOM,
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    EncryptedExtensions,
    Finished,
    Message,
    ServerHello,
    read_message,
    write_message,
)
from handclasp.wire.records import HEADER_SIZE, MAX_PLAINTEXT, write_plaintext

Deviation: TypeAlias = "Message | bytes | Sequence[Message | bytes] | Callable[[Any], Any] | None"

SCHEMES = tuple(scheme.code for scheme in SIGNATURE_SCHEMES.values())
CONTEXTS = {
    "server": b" " * 64 + b"TLS 1.3, server CertificateVerify\0",
    "client": b" " * 64 + b"TLS 1.3, client CertificateVerify\0",
}


class ScriptedPeer:
    """Records, transcript and secrets, as both roles have them.

    Args:
        suite: the cipher suite; a server's must be one that the client offers.
        credentials: the certificate and its key; not needed by a client that has none.
        order: the steps of its flight instead of the usual ones.
        deviations: a deviation for each step that has one.

    Attributes:
        alerts: (level, description) of every alert that came.
        data: application data that came.
        established: whether the other side's Finished came, and is right.
        client_hello: the last one of this conversation.
    """

    role: str
    order: Sequence[str]

    def __init__(
        self,
        suite: str = "TLS_AES_128_GCM_SHA256",
        *,
        credentials: Credentials | None = None,
        order: Sequence[str] | None = None,
        **deviations: Deviation,
    ) -> None:
        self.suite: CipherSuite = CIPHER_SUITES[suite]
        self.credentials = credentials
        self.deviations = deviations
        if order is not None:
            self.order = order
        self.alerts: list[tuple[int, int]] = []
        self.data = bytearray()
        self.established = False
        self.transcript = Transcript()
        self.client_hello: ClientHello
        self.handshake_secret: HandshakeSecret
        self.client_secret: TrafficSecret
        self.server_secret: TrafficSecret
        self._read: Protection13 | None = None
        self._write: Protection13 | None = None
        self._in = bytearray()
        self._handshake = bytearray()
        self._out = bytearray()

    # Bytes

    def feed(self, data: bytes) -> None:
        """Take what the other side sent, and act on it."""
        self._in += data
        while (record := self._next_record()) is not None:
            content_type, content = record
            if content_type == ContentType.ALERT:
                self.alerts.append((content[0], content[1]))
            elif content_type == ContentType.APPLICATION_DATA:
                self.data += content
            elif content_type == ContentType.HANDSHAKE:
                self._handshake += content
                while (message := self._next_message()) is not None:
                    self.receive(message)

    def take(self) -> bytes:
        """Return the bytes that are queued for the other side."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def send_raw(self, data: bytes) -> None:
        """Queue any bytes."""
        self._out += data

    def send_record(self, content_type: int, content: bytes, padding: int = 0) -> None:
        """Queue one record of any type and size, under the current keys."""
        if self._write is not None:
            self._out += self._write.seal(content_type, content, padding)
        else:
            head = bytes([content_type, 3, 3]) + len(content).to_bytes(2, "big")
            self._out += head + content

    def send_plaintext(self, content_type: ContentType, content: bytes) -> None:
        """Queue a record without protection, in any epoch."""
        self._out += write_plaintext(content_type, content)

    def send(self, message: Message | bytes) -> None:
        """Queue a handshake message in as few records as possible; the transcript gets it, too."""
        raw = message if isinstance(message, bytes) else write_message(message)
        self.transcript.add(raw)
        for start in range(0, len(raw), MAX_PLAINTEXT):
            self.send_record(ContentType.HANDSHAKE, raw[start : start + MAX_PLAINTEXT])

    def send_alert(self, level: int, description: int) -> None:
        """Queue an alert."""
        self.send_record(ContentType.ALERT, bytes([level, description]))

    def send_data(self, data: bytes, padding: int = 0) -> None:
        """Queue one record of application data, of at most 16,384 bytes."""
        self.send_record(ContentType.APPLICATION_DATA, data, padding)

    # Steps

    def act(self, steps: Iterable[str]) -> None:
        """Take these steps, each with its deviation."""
        for step in steps:
            for message in self._deviated(step, getattr(self, step)()):
                self.send(message)
            after = getattr(self, f"after_{step}", None)
            if after is not None:
                after()

    def _deviated(self, step: str, message: Message) -> Sequence[Message | bytes]:
        deviation: Any = self.deviations.get(step, message)
        if callable(deviation):
            deviation = deviation(message)
        if deviation is None:
            return ()
        if isinstance(deviation, Sequence) and not isinstance(deviation, bytes):
            return cast("Sequence[Message | bytes]", deviation)
        return (deviation,)

    def receive(self, raw: bytes) -> None:
        """Act on a whole message of the other side."""
        raise NotImplementedError

    @property
    def needed_credentials(self) -> Credentials:
        """The credentials; raises `ConfigurationError` where there are none."""
        if self.credentials is None:
            raise ConfigurationError("This script has a step that needs credentials.")
        return self.credentials

    def certificate(self) -> Message:
        """Return the right Certificate."""
        chain = self.credentials.chain_der if self.credentials else ()
        return Certificate(b"", tuple(CertificateEntry(der, {}) for der in chain))

    def certificate_verify(self) -> Message:
        """Return the right CertificateVerify."""
        return self.signed(self.needed_credentials.schemes[0], CONTEXTS[self.role])

    def signature(self, scheme: str, content: bytes) -> bytes:
        """Return the signature over `content` by the key of the credentials."""
        signature = self.needed_credentials.signer.sign(scheme, content)
        if not isinstance(signature, bytes):
            raise ConfigurationError("A scripted peer needs a signer that answers at once.")
        return signature

    def signed(self, scheme: str, context: bytes) -> CertificateVerify:
        """Return a signature over the transcript so far, in any scheme and context."""
        signature = self.signature(scheme, context + self.transcript.digest())
        return CertificateVerify(SIGNATURE_SCHEMES[scheme].code, signature)

    def finished(self) -> Message:
        """Return the right Finished."""
        secret = self.server_secret if self.role == "server" else self.client_secret
        return Finished(secret.verify_data(self.transcript.digest()))

    # Keys

    def derive_handshake_secrets(self, shared_secret: bytes) -> None:
        """Derive the handshake traffic secrets; the transcript ends with the ServerHello."""
        self.handshake_secret = EarlySecret.without_psk(self.suite).handshake_secret(shared_secret)
        digest = self.transcript.digest()
        self.client_secret, self.server_secret = self.handshake_secret.traffic_secrets(digest)

    def application_secrets(self) -> tuple[TrafficSecret, TrafficSecret]:
        """Return the client's and the server's, right after the server's Finished."""
        master, digest = self.handshake_secret.master_secret(), self.transcript.digest()
        client, server, _ = master.traffic_secrets(digest)
        return client, server

    def read_with(self, secret: TrafficSecret) -> None:
        """Open the records that follow with this secret."""
        self._read = Protection13.of(secret.keys())

    def write_with(self, secret: TrafficSecret) -> None:
        """Seal the records that follow with this secret."""
        self._write = Protection13.of(secret.keys())

    # Inside

    def _cut_record(self) -> tuple[bytes, bytes] | None:
        """Return the header and body of the next record, as they came; None until it is there."""
        header = bytes(self._in[:HEADER_SIZE])
        end = HEADER_SIZE + int.from_bytes(header[3:], "big")
        if len(header) < HEADER_SIZE or len(self._in) < end:
            return None
        body = bytes(self._in[HEADER_SIZE:end])
        del self._in[:end]
        return header, body

    def _next_record(self) -> tuple[int, bytes] | None:
        record = self._cut_record()
        if record is None:
            return None
        header, body = record
        # A side that could not follow this one has no keys and sends its alert in the clear.
        if self._read is None or header[0] != ContentType.APPLICATION_DATA:
            return header[0], body
        return split_inner_plaintext(self._read.open(header, body), MAX_PLAINTEXT + 1)

    def _next_message(self) -> bytes | None:
        end = 4 + int.from_bytes(self._handshake[1:4], "big")
        if len(self._handshake) < max(4, end):
            return None
        message = bytes(self._handshake[:end])
        del self._handshake[:end]
        return message


class ScriptedServer(ScriptedPeer):
    """A server that answers one ClientHello as its script says.

    Args:
        retry: the group to ask for in a HelloRetryRequest; the share is then expected in it.
        ask_for_certificate: whether a CertificateRequest is sent.
    """

    role = "server"
    order: Sequence[str] = (
        "server_hello",
        "encrypted_extensions",
        "certificate_request",
        "certificate",
        "certificate_verify",
        "finished",
    )

    def __init__(
        self,
        credentials: Credentials,
        suite: str = "TLS_AES_128_GCM_SHA256",
        *,
        retry: str | None = None,
        ask_for_certificate: bool = False,
        order: Sequence[str] | None = None,
        **deviations: Deviation,
    ) -> None:
        if not ask_for_certificate and order is None:
            order = tuple(step for step in self.order if step != "certificate_request")
        super().__init__(suite, credentials=credentials, order=order, **deviations)
        self.retry = retry
        self.hellos = 0

    def receive(self, raw: bytes) -> None:
        """Answer a ClientHello with the flight, and check a Finished."""
        if raw[0] == HandshakeType.CLIENT_HELLO:
            self.client_hello = read_as(ClientHello, raw)
            self.hellos += 1
            self.transcript.add(raw)
            if self.hellos == 1:
                self.transcript.choose_hash(self.suite.hash_name, retried=self.retry is not None)
            if self.retry is not None and self.hellos == 1:
                self.act(["hello_retry_request"])
            else:
                self.act(self.order)
        elif raw[0] == HandshakeType.FINISHED:
            expected = self.client_secret.verify_data(self.transcript.digest())
            self.established = hmac.compare_digest(raw[4:], expected)
            self.transcript.add(raw)
            self.read_with(self._client_application)
        elif not self.established:
            self.transcript.add(raw)

    def hello_retry_request(self) -> ServerHello:
        """Return a HelloRetryRequest for the group `retry`."""
        code = GROUPS[self.retry or ""].code
        return replace(
            self._hello({ExtensionType.KEY_SHARE: ext.write_key_share_hello_retry_request(code)}),
            random=HELLO_RETRY_REQUEST_RANDOM,
        )

    def server_hello(self) -> ServerHello:
        """Return a ServerHello for the client's first share of a known group."""
        shares = ext.read_key_share_client_hello(
            self.client_hello.extensions[ExtensionType.KEY_SHARE]
        )
        theirs = next(entry for entry in shares if entry.group in GROUPS_BY_CODE)
        exchange = GROUPS_BY_CODE[theirs.group].exchange
        share, self._shared_secret = exchange.respond(theirs.key_exchange, os.urandom)
        entry = ext.KeyShareEntry(theirs.group, share)
        return self._hello({ExtensionType.KEY_SHARE: ext.write_key_share_server_hello(entry)})

    def after_server_hello(self) -> None:
        """Go over to the handshake keys."""
        self.derive_handshake_secrets(self._shared_secret)
        self.write_with(self.server_secret)
        self.read_with(self.client_secret)

    def encrypted_extensions(self) -> Message:
        """Return the EncryptedExtensions, which are empty."""
        return EncryptedExtensions({})

    def certificate_request(self) -> Message:
        """Return a CertificateRequest for every signature scheme."""
        schemes = ext.write_signature_algorithms(SCHEMES)
        return CertificateRequest(b"", {ExtensionType.SIGNATURE_ALGORITHMS: schemes})

    def after_finished(self) -> None:
        """Go over to the application keys for writing."""
        self._client_application, self._server_application = self.application_secrets()
        self.write_with(self._server_application)

    def update_keys(self, raw: bytes) -> None:
        """Send `raw`, which holds a KeyUpdate, and go over to the next keys."""
        self.send_record(ContentType.HANDSHAKE, raw)
        self._server_application = self._server_application.next()
        self.write_with(self._server_application)

    def _hello(self, extensions: dict[int, bytes]) -> ServerHello:
        versions = {ExtensionType.SUPPORTED_VERSIONS: ext.write_selected_version(TLS13)}
        return ServerHello(
            legacy_version=TLS12,
            random=os.urandom(32),
            legacy_session_id_echo=self.client_hello.legacy_session_id,
            cipher_suite=self.suite.code,
            legacy_compression_method=0,
            extensions=extensions | versions,
        )


class ScriptedClient(ScriptedPeer):
    """A client that opens with a ClientHello and goes on as its script says.

    Args:
        groups: the groups to list; a share is sent for each of `shares`.
        extensions: those that the hello has besides the ones that TLS 1.3 demands.

    Attributes:
        server_hello: the last one of this conversation.
    """

    role = "client"
    order: Sequence[str] = ("certificate", "certificate_verify", "finished")

    def __init__(
        self,
        suite: str = "TLS_AES_128_GCM_SHA256",
        *,
        credentials: Credentials | None = None,
        groups: Sequence[str] = ("X25519", "secp256r1"),
        shares: Sequence[str] = ("X25519",),
        extensions: dict[int, bytes] | None = None,
        order: Sequence[str] | None = None,
        **deviations: Deviation,
    ) -> None:
        if credentials is None and order is None:
            order = ("finished",)
        super().__init__(suite, credentials=credentials, order=order, **deviations)
        self.groups = groups
        self.shares: dict[str, PrivateShare] = {
            name: GROUPS[name].exchange.generate(os.urandom) for name in shares
        }
        self.extra = extensions or {}
        self.session_id = os.urandom(32)
        self.random = os.urandom(32)
        self.server_hello: ServerHello
        self.act(["first_hello"])

    def first_hello(self) -> Message:
        """Return the ClientHello."""
        return self._client_hello()

    def second_hello(self) -> Message:
        """Return the first hello with the share, and the cookie, that the server asked for."""
        asked = self.server_hello.extensions
        if (data := asked.get(ExtensionType.KEY_SHARE)) is not None:
            group = GROUPS_BY_CODE[ext.read_key_share_hello_retry_request(data)]
            self.shares = {group.name: group.exchange.generate(os.urandom)}
        hello = self._client_hello()
        extensions = dict(hello.extensions)
        extensions.pop(ExtensionType.EARLY_DATA, None)
        if (data := asked.get(ExtensionType.COOKIE)) is not None:
            extensions[ExtensionType.COOKIE] = data
        return replace(hello, extensions=extensions)

    def receive(self, raw: bytes) -> None:
        """Follow the server's flight, and answer its Finished with this side's."""
        if not self.established:
            self.transcript.add(raw)
        message = read_message(raw)
        if isinstance(message, ServerHello):
            self._receive_server_hello(message)
        elif isinstance(message, Finished):
            self._client_application, self._server_application = self.application_secrets()
            self.read_with(self._server_application)
            self.established = True
            self.act(self.order)

    def after_finished(self) -> None:
        """Go over to the application keys for writing."""
        self.write_with(self._client_application)

    def update_keys(self, raw: bytes) -> None:
        """Send `raw`, which holds a KeyUpdate, and go over to the next keys."""
        self.send_record(ContentType.HANDSHAKE, raw)
        self._client_application = self._client_application.next()
        self.write_with(self._client_application)

    def _receive_server_hello(self, message: ServerHello) -> None:
        first = not hasattr(self, "server_hello")
        self.server_hello = message
        self.suite = CIPHER_SUITES_BY_CODE[message.cipher_suite]
        if first:
            retried = message.is_hello_retry_request
            self.transcript.choose_hash(self.suite.hash_name, retried=retried)
        if message.is_hello_retry_request:
            self.act(["second_hello"])
            return
        entry = ext.read_key_share_server_hello(message.extensions[ExtensionType.KEY_SHARE])
        private = self.shares[GROUPS_BY_CODE[entry.group].name]
        self.derive_handshake_secrets(private.agree(entry.key_exchange))
        self.read_with(self.server_secret)
        self.write_with(self.client_secret)

    def _client_hello(self) -> ClientHello:
        groups = [GROUPS[name].code for name in self.groups]
        entries = [ext.KeyShareEntry(GROUPS[n].code, s.share) for n, s in self.shares.items()]
        extensions = {
            ExtensionType.SUPPORTED_GROUPS: ext.write_supported_groups(groups),
            ExtensionType.SIGNATURE_ALGORITHMS: ext.write_signature_algorithms(SCHEMES),
            ExtensionType.SUPPORTED_VERSIONS: ext.write_supported_versions([TLS13]),
            ExtensionType.KEY_SHARE: ext.write_key_share_client_hello(entries),
        }
        self.client_hello = ClientHello(
            legacy_version=TLS12,
            random=self.random,
            legacy_session_id=self.session_id,
            cipher_suites=(self.suite.code,),
            legacy_compression_methods=b"\0",
            extensions=extensions | self.extra,
        )
        return self.client_hello
