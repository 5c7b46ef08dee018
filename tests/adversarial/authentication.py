"""Scripted peers that take part in client authentication after the handshake (RFC 8446 4.6.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handclasp import Credentials
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.iana import ContentType, ExtensionType, HandshakeType
from handclasp.keys.transcript import Transcript
from handclasp.testing.scripted import CONTEXTS, SCHEMES, ScriptedClient, ScriptedServer
from handclasp.wire import extensions as ext
from handclasp.wire.messages import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    Finished,
    read_message,
    write_message,
)

OFFERS = {ExtensionType.POST_HANDSHAKE_AUTH: b""}
ASKS: dict[int, bytes] = {
    ExtensionType.SIGNATURE_ALGORITHMS: ext.write_signature_algorithms(SCHEMES)
}


class Client(ScriptedClient):
    """Offers the extension, and answers requests as a test says.

    Attributes:
        requests: all that came, raw.
    """

    offers = OFFERS

    def __init__(self, own: Credentials | None = None, **script: Any) -> None:
        self.requests: list[bytes] = []
        self.own = own
        script.setdefault("extensions", self.offers)
        super().__init__(order=("finished",), **script)

    def receive(self, raw: bytes) -> None:
        if raw[0] == HandshakeType.CERTIFICATE_REQUEST and self.established:
            self.requests.append(raw)
        else:
            super().receive(raw)

    def after_finished(self) -> None:
        super().after_finished()
        self.main = self.transcript.fork()

    def context(self, index: int = -1) -> bytes:
        request = read_message(self.requests[index])
        assert isinstance(request, CertificateRequest)
        return request.certificate_request_context

    def answer(
        self,
        index: int = -1,
        *,
        context: bytes | None = None,
        chain: Sequence[bytes] | None = None,
        over: Transcript | None = None,
        signature: bytes | None = None,
        verify_data: bytes | None = None,
        extensions: dict[int, bytes] | None = None,
    ) -> list[bytes]:
        """The messages of an answer, with whatever a test wants to be wrong about them."""
        transcript = over or self.main.fork()
        transcript.add(self.requests[index])
        if chain is None:
            chain = self.own.chain_der if self.own is not None else ()
        context = self.context(index) if context is None else context
        entries = tuple(CertificateEntry(der, extensions or {}) for der in chain)
        messages = [write_message(Certificate(context, entries))]
        transcript.add(messages[0])
        if chain and self.own is not None:
            scheme = self.own.schemes[0]
            content = CONTEXTS["client"] + transcript.digest()
            made = signature or self.own.signer.sign(scheme, content)
            assert isinstance(made, bytes)
            verify = CertificateVerify(SIGNATURE_SCHEMES[scheme].code, made)
            messages.append(write_message(verify))
            transcript.add(messages[-1])
        proof = verify_data or self._client_application.verify_data(transcript.digest())
        messages.append(write_message(Finished(proof)))
        return messages

    def send_all(self, messages: Sequence[bytes]) -> None:
        for raw in messages:
            self.send_record(ContentType.HANDSHAKE, raw)


class SilentClient(Client):
    """Offers nothing."""

    offers = {}


class Server(ScriptedServer):
    """Asks after the handshake, in whatever way a test wants."""

    def ask(self, context: bytes = b"context", extensions: dict[int, bytes] | None = None) -> bytes:
        raw = write_message(CertificateRequest(context, ASKS if extensions is None else extensions))
        self.send_record(ContentType.HANDSHAKE, raw)
        return raw

    def receive(self, raw: bytes) -> None:
        if self.established:
            self.received.append(raw)
        else:
            super().receive(raw)

    def __init__(self, *given: Any, **script: Any) -> None:
        self.received: list[bytes] = []
        super().__init__(*given, **script)
