"""Client authentication after the handshake (RFC 8446 sections 4.2.6 and 4.6.2).

The server sends a CertificateRequest, and the client answers with Certificate, CertificateVerify
and Finished, or with an empty Certificate and Finished. Each exchange is a handshake coroutine of
its own, which `loop` runs like the first one, so questions are asked in the same three ways. Its
transcript is that of the whole handshake and of this one request (section 4.4): several requests
may be outstanding, and none is part of the other's transcript.

The messages of an answer must follow each other with nothing between them. The client therefore
sends them only once all are made, and the server takes nothing else until the Finished has come.
"""

from __future__ import annotations

from collections import OrderedDict

from handclasp.config import ClientAuth, ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError, ProtocolError, StateError
from handclasp.faults import Fault
from handclasp.handshake.answers import Answers
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.finished import check_finished
from handclasp.handshake.negotiation import choose_scheme_to_show
from handclasp.handshake.peer import AuthenticatedPeer, confirm_peer, verify_peer
from handclasp.handshake.tls13.authentication import (
    CLIENT_CONTEXT,
    check_certificate_verify,
    send_certificate_verify,
)
from handclasp.handshake.tls13.certificate import (
    Asked,
    decompressed,
    has_status,
    read_entries,
    write_answer,
)
from handclasp.handshake.tls13.certificate_request import (
    check_certificate_request,
    credentials_question,
)
from handclasp.handshake.tls13.client_authentication import certificate_request_extensions
from handclasp.handshake.trace_notes import note_credentials
from handclasp.iana import HandshakeType
from handclasp.info import ConnectionInfo
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.keys.transcript import Transcript
from handclasp.questions import ChooseCredentials
from handclasp.values import replace, value
from handclasp.wire.codecs import read_as
from handclasp.wire.messages import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    CompressedCertificate,
    Finished,
    write_message,
)

_MOST_CONTEXTS = 32
"""The contexts of past requests that a client remembers: no server may use one again."""

_NUMBER_SIZE, _RANDOM_SIZE = 4, 28
"""The bytes of a server's certificate_request_context: a number, which makes it unique, and random
ones, which keep a client from signing it in advance (RFC 8446 section 4.3.2)."""


@value(frozen=True, slots=True)
class RequestAnswered:
    """A client's answer to one request, all but its Finished.

    Attributes:
        info: of the connection, with the certificates that were shown.
        question: what the server asked for.
        messages: Certificate and, unless that is empty, CertificateVerify.
        transcript_hash: what the Finished is over.
    """

    info: ConnectionInfo
    question: ChooseCredentials
    messages: tuple[bytes, ...]
    transcript_hash: bytes


@value(frozen=True, slots=True)
class ClientAuthenticated:
    """The end of an exchange on a server.

    Attributes:
        info: of the connection, with what the client showed; an empty chain says that it declined.
    """

    info: ConnectionInfo


class AnswerContext(HandshakeContext):
    """The context of a client's answer: it keeps the messages, which leave together."""

    __slots__ = ("messages",)

    messages: list[bytes]

    def send_raw(self, raw: bytes) -> None:
        """Keep a message; it enters the transcript."""
        self.transcript.add(raw)
        self.messages.append(raw)


class CertificateAnswers:
    """A client's side: it offered post_handshake_auth, and answers the server's requests.

    Attributes:
        answers: gives the answers to questions.
    """

    __slots__ = ("_certificate_type", "_config", "_contexts", "_transcript", "answers")

    def __init__(
        self,
        config: ClientConfig,
        transcript: Transcript,
        certificate_type: str,
        answers: Answers,
    ) -> None:
        self._config = config
        self._transcript = transcript
        self._certificate_type = certificate_type
        self._contexts: OrderedDict[bytes, None] = OrderedDict()
        self.answers = answers

    async def answer(self, hs: AnswerContext, info: ConnectionInfo, raw: bytes) -> RequestAnswered:
        """Answer one CertificateRequest (RFC 8446 section 4.6.2)."""
        config, request = self._config, read_as(CertificateRequest, raw)
        check_certificate_request(config, request)
        context = request.certificate_request_context
        self._note_context(context)
        hs.messages, hs.transcript = [], self._transcript.fork()
        hs.transcript.add(raw)
        question = credentials_question(config, request, self._certificate_type)
        credentials = await hs.ask(question)
        note_credentials(hs.trace, config, question, credentials)
        scheme = choose_scheme_to_show(credentials, question, config.signature_schemes, "TLSv1.3")
        chain: tuple[bytes, ...] = ()
        kind = "X509"
        if credentials is None or scheme is None:
            hs.certificate, scheme = "withheld", None
            hs.send(Certificate(context, ()))
        else:
            chain, kind = credentials.chain_der, credentials.certificate_type
            message = write_answer(config, credentials, request.extensions, context)
            hs.certificate, hs.shown_chain = "shown", chain
            hs.is_stapled = has_status(message)
            hs.send(message)
            content = CLIENT_CONTEXT + hs.transcript.digest()
            await send_certificate_verify(hs, credentials, scheme, content)
        info = replace(
            info,
            local_chain_der=chain,
            local_certificate_type=kind,
            client_signature_scheme=scheme,
        )
        return RequestAnswered(info, question, tuple(hs.messages), hs.transcript.digest())

    def _note_context(self, context: bytes) -> None:
        """Check that the context tells this request from all others. Raises `ProtocolError`."""
        if not context:
            # RFC 8446 4.3.2: only that of the handshake is empty.
            detail = "it is empty after the handshake"
            raise ProtocolError(Fault.BAD_CERTIFICATE_REQUEST_CONTEXT, detail)
        contexts = self._contexts
        if context in contexts:
            # RFC 8446 4.3.2: it "MUST be unique within the scope of this connection".
            detail = "an earlier request had the same one"
            raise ProtocolError(Fault.BAD_CERTIFICATE_REQUEST_CONTEXT, detail)
        contexts[context] = None
        if len(contexts) > _MOST_CONTEXTS:
            contexts.popitem(last=False)


class CertificateRequests:
    """A server's side: the client offered post_handshake_auth, and may be asked.

    Attributes:
        answers: gives the answers to questions.
    """

    __slots__ = (
        "_certificate_type",
        "_config",
        "_number",
        "_outstanding",
        "_transcript",
        "answers",
    )

    def __init__(
        self,
        config: ServerConfig,
        transcript: Transcript,
        certificate_type: str,
        answers: Answers,
    ) -> None:
        self._config = config
        self._transcript = transcript
        self._certificate_type = certificate_type
        self._number = 0
        self._outstanding: dict[bytes, Transcript] = {}
        self.answers = answers

    @property
    def outstanding(self) -> int:
        """The number of requests that the client has not answered yet."""
        return len(self._outstanding)

    def request(self) -> bytes:
        """Return one more CertificateRequest, to be sent.

        Raises:
            ConfigurationError: this server takes no certificates, or none of the type that was
                agreed upon.
            StateError: too many requests are outstanding.
        """
        config = self._config
        if config.client_auth is ClientAuth.NONE:
            raise ConfigurationError(
                "This server takes no client certificates: set client_auth and trust."
            )
        if self._certificate_type not in config.peer_certificate_types:
            raise ConfigurationError(
                "This server takes raw public keys alone, which the two sides agree upon in the "
                "handshake: request the client's there."
            )
        most = config.limits.max_certificate_requests
        if len(self._outstanding) >= most:
            raise StateError(f"The client has not answered {most} requests yet.")
        number = self._number.to_bytes(_NUMBER_SIZE, "big")
        context = number + config.entropy(_RANDOM_SIZE)
        self._number += 1
        asked = certificate_request_extensions(config, self._certificate_type)
        raw = write_message(CertificateRequest(context, asked))
        transcript = self._outstanding[context] = self._transcript.fork()
        transcript.add(raw)
        return raw

    async def receive_answer(
        self, hs: HandshakeContext, info: ConnectionInfo, raw: bytes, secret: TrafficSecret
    ) -> ClientAuthenticated:
        """Take the client's Certificate, and what must follow it at once.

        Args:
            raw: the Certificate, compressed or not.
            secret: the client's application traffic secret of now.
        """
        config = self._config
        asked = Asked(
            certificate_request_extensions(config, self._certificate_type),
            self._certificate_type,
            config.certificate_compression or (),
            config.limits,
        )
        compression: str | None = None
        if raw[0] == HandshakeType.COMPRESSED_CERTIFICATE:
            message, compression = decompressed(read_as(CompressedCertificate, raw), asked)
        else:
            message = read_as(Certificate, raw)
        context = message.certificate_request_context
        transcript = self._outstanding.get(context)
        if transcript is None:
            detail = "no request that waits for an answer has it"
            raise ProtocolError(Fault.BAD_CERTIFICATE_REQUEST_CONTEXT, detail)
        hs.transcript = transcript
        transcript.add(raw)
        shown = read_entries(message, asked, compression)
        verified, client = None, None
        if shown.chain:
            verified = await verify_peer(hs, shown, peer_is_server=False, server_name=None)
            content = CLIENT_CONTEXT + transcript.digest()
            signed, schemes = await hs.receive(CertificateVerify), config.signature_schemes
            client = check_certificate_verify(hs, signed, verified, content, schemes)
        elif config.client_auth is ClientAuth.REQUIRED:
            raise ProtocolError(Fault.CLIENT_CERTIFICATE_MISSING)
        expected = secret.verify_data(transcript.digest())
        check_finished(await hs.receive_raw(Finished), expected)
        if config.confirm_peer is not None:
            await confirm_peer(hs, config, verified, peer_is_server=False, server_name=None)
        del self._outstanding[context]
        info = _with_client(info, client)
        return ClientAuthenticated(
            replace(
                info,
                certificate_compression=shown.compression,
                ocsp_response=shown.ocsp_response,
                sct_list=shown.sct_list,
            )
        )


def _with_client(info: ConnectionInfo, client: AuthenticatedPeer | None) -> ConnectionInfo:
    """Return the facts with this client, or with none: a proof of before does not count on."""
    if client is None:
        client = AuthenticatedPeer((), (), verified=False, signature_scheme=None)
    return replace(
        info,
        peer_chain_der=client.chain,
        peer_verified=client.verified,
        verified_chain_der=client.path,
        peer_certificate_type=client.certificate_type,
        client_signature_scheme=client.signature_scheme,
    )
