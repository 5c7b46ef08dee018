"""The ServerHello of TLS 1.2, checked against what the client offered (RFC 5246 7.4.1.3)."""

from __future__ import annotations

from handclasp.config import ClientConfig
from handclasp.crypto.suites import CIPHER_SUITES12_BY_CODE, CipherSuite12
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.handshake.certificate_types import read_selected_types
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.negotiation import read_selected_protocol
from handclasp.handshake.offer import ClientOffer
from handclasp.handshake.tls12.authentication import VERSION
from handclasp.iana import ExtensionType, cipher_suite_name
from handclasp.keys.schedule12 import Randoms
from handclasp.sessions.session import Session
from handclasp.values import field, value
from handclasp.wire import extensions as ext
from handclasp.wire.extension_table import MessageContext
from handclasp.wire.messages import ServerHello
from handclasp.wire.rules import check_answer, check_forms


@value(frozen=True, slots=True)
class ServerChoice:
    """The server's choices in its ServerHello; `resumed` is the session that it resumes."""

    suite: CipherSuite12
    randoms: Randoms
    alpn: str | None
    extended_master_secret: bool
    server_certificate_type: str
    client_certificate_type: str
    status_promised: bool
    ticket_promised: bool
    session_id: bytes = field(repr=False)
    resumed: Session | None
    sct_list: bytes | None = field(repr=False)


def check_server_hello(
    hs: HandshakeContext, config: ClientConfig, offer: ClientOffer, server_hello: ServerHello
) -> ServerChoice:
    """RFC 5246 section 7.4.1.3, and what came to it since."""
    extensions = server_hello.extensions
    check_answer(extensions, MessageContext.SH12, offer.answerable, config.limits.max_extensions)
    check_forms(extensions, MessageContext.SH12)
    suite = CIPHER_SUITES12_BY_CODE.get(server_hello.cipher_suite)
    if suite is None or suite.name not in config.cipher_suites:
        raise ProtocolError(
            Fault.UNOFFERED_CIPHER_SUITE, cipher_suite_name(server_hello.cipher_suite)
        )
    if server_hello.legacy_compression_method != 0:
        raise ProtocolError(Fault.COMPRESSION_CHOSEN)
    resumed = _resumed_session(offer, server_hello)
    if resumed is not None and resumed.cipher_suite != suite.name:
        # RFC 5246 7.4.1.3: "the cipher suite ... of the state of the session being resumed".
        raise ProtocolError(Fault.UNOFFERED_CIPHER_SUITE, f"{suite.name} for a resumed session")
    _check_renegotiation_info(extensions.get(ExtensionType.RENEGOTIATION_INFO))
    extended = ExtensionType.EXTENDED_MASTER_SECRET in extensions
    if not extended and (config.require_extended_master_secret or resumed is not None):
        # RFC 7627 5.3: a session that had it must not be resumed without.
        raise ProtocolError(Fault.EXTENDED_MASTER_SECRET_MISSING)
    if (data := extensions.get(ExtensionType.EC_POINT_FORMATS)) is not None:
        _check_point_formats(data)
    if (data := extensions.get(ExtensionType.RECORD_SIZE_LIMIT)) is not None:
        hs.require_records().limit_write(ext.read_record_size_limit(data))
        if config.record_size_limit is not None:
            hs.require_records().limit_read(config.record_size_limit)
    alpn: str | None = None
    if (data := extensions.get(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION)) is not None:
        alpn = read_selected_protocol(data, config.alpn)
    suites = config.cipher_suites
    why = "the server chose" if resumed is None else "the suite of the session"
    hs.note_decision("cipher_suite", suites, suites, suite.name, why)
    hs.note_decision("alpn", config.alpn, config.alpn, alpn, "the server chose")
    return ServerChoice(
        suite,
        Randoms(offer.hello.random, server_hello.random),
        alpn,
        extended,
        *read_selected_types(extensions, config, resumes=resumed is not None),
        ExtensionType.STATUS_REQUEST in extensions,
        ExtensionType.SESSION_TICKET in extensions,
        server_hello.legacy_session_id_echo,
        resumed,
        extensions.get(ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP),
    )


def _resumed_session(offer: ClientOffer, server_hello: ServerHello) -> Session | None:
    """Return the session that the server resumes by echoing its id (RFC 5077 section 3.4)."""
    session_id = server_hello.legacy_session_id_echo
    if not session_id or session_id != offer.hello.legacy_session_id:
        return None
    if offer.session is None or offer.session.version != VERSION:
        raise ProtocolError(Fault.UNOFFERED_SESSION)
    return offer.session


def _check_renegotiation_info(data: bytes | None) -> None:
    """RFC 5746 section 3.4: it is there, and says that this is the first handshake."""
    if data is None:
        raise ProtocolError(Fault.SECURE_RENEGOTIATION_MISSING)
    if ext.read_renegotiation_info(data):
        raise ProtocolError(Fault.BAD_RENEGOTIATION_INFO)


def _check_point_formats(data: bytes) -> None:
    if ext.UNCOMPRESSED not in ext.read_ec_point_formats(data):
        # RFC 8422 5.1.2: the list contains it, or it is illegal_parameter.
        raise ProtocolError(Fault.ILLEGAL_VALUE, "ec_point_formats lacks uncompressed")
