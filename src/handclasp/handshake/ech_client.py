"""The client of Encrypted Client Hello (RFC 9849 section 6): two hellos, of which one counts.

The server's answer tells which one it took. If it is the outer one, the handshake goes on only to
prove that the server is the public name, and ends in `EchRejectedError`: nothing of the application
is sent.
"""

from __future__ import annotations

import hmac
from collections.abc import Coroutine
from typing import Any, NoReturn

from handclasp.config import ClientConfig
from handclasp.crypto.suites import CIPHER_SUITES_BY_CODE
from handclasp.ech import EchConfigList, EchRejectedError
from handclasp.errors import CertificateError, ProtocolError
from handclasp.faults import Blame, Fault, Verdict, advice
from handclasp.handshake.client import check_version
from handclasp.handshake.client_sessions import ClientSessions
from handclasp.handshake.context import HandshakeContext
from handclasp.handshake.defaults import ClientAnswers
from handclasp.handshake.offer import ClientOffer
from handclasp.handshake.result import HandshakeResult
from handclasp.handshake.tls13 import client as client13
from handclasp.handshake.tls13.early_data import refuses_early_data, start_early_data
from handclasp.handshake.tls13.ech_offer import EncryptedOffer, encrypted_offer, outer_config
from handclasp.handshake.tls13.secrets import note_early_secret_again
from handclasp.handshake.trace_notes import note_ech_secrets, note_hello_that_counts
from handclasp.iana import TLS13, ExtensionType
from handclasp.keys.ech import retry_confirmation, server_hello_confirmation
from handclasp.keys.schedule13 import TrafficSecret
from handclasp.wire import extensions as ext
from handclasp.wire.ech import CONFIRMATION_SIZE, read_ech_confirmation
from handclasp.wire.messages import ServerHello

_ECH = ExtensionType.ENCRYPTED_CLIENT_HELLO
_SUPPORTED_VERSIONS = ExtensionType.SUPPORTED_VERSIONS
_SELECTED_TLS13 = ext.write_selected_version(TLS13)


async def encrypted_client_handshake(
    hs: HandshakeContext,
    config: ClientConfig,
    server_name: str | None,
    client_sessions: ClientSessions | None,
) -> Coroutine[Any, Any, HandshakeResult]:
    """Offer both hellos, and see which one the server takes; gives the rest, with that one."""
    session = client_sessions.session if client_sessions is not None else None
    ech = encrypted_offer(hs, config, server_name, session)
    inner, outer = ech.inner, ech.outer
    hs.client_random = outer.hello.random
    hs.send_raw(outer.hello.raw)
    note_ech_secrets(hs, ech.encryption.context, ech.encryption.config)
    if hs.trace is not None:
        hs.trace.inner_hello("sent", inner.hello.raw, ech.shared)
    early: TrafficSecret | None = None
    if inner.early_data:
        hs.client_random = inner.hello.random
        early = start_early_data(hs, config, inner)
        hs.client_random = outer.hello.random
    server_hello = await hs.receive(ServerHello)
    is_accepted = _is_accepted(ech, server_hello)
    if hs.trace is not None:
        why = "the server confirmed it" if is_accepted else "the server did not confirm the inner"
        note_hello_that_counts(hs, is_inner=is_accepted, why=why)
    if not is_accepted:
        if early is not None:
            hs.revert_to_plaintext()
            note_early_secret_again(hs, early)
        return _reject(hs, config, ech, server_hello)
    if inner.early_data and refuses_early_data(server_hello):
        hs.revert_to_plaintext()
    hs.transcript = ech.transcript
    hs.transcript.add(server_hello.raw)
    hs.client_random = inner.hello.random
    check_version(hs, config, server_hello)
    return client13.complete_client_handshake(hs, config, inner, server_hello, client_sessions, ech)


def _is_accepted(ech: EncryptedOffer, answer: ServerHello) -> bool:
    """Return whether the server took the inner hello (RFC 9849 section 6.1.4).

    Raises `ProtocolError` (decode_error) for a confirmation of another size.
    """
    suite = CIPHER_SUITES_BY_CODE.get(answer.cipher_suite)
    if answer.extensions.get(_SUPPORTED_VERSIONS) != _SELECTED_TLS13 or suite is None:
        return False
    random, transcript = ech.inner.hello.random, ech.transcript
    if not answer.is_hello_retry_request:
        expected = server_hello_confirmation(transcript, suite.hash_name, random, answer.raw)
        return hmac.compare_digest(answer.random[-CONFIRMATION_SIZE:], expected)
    data = answer.extensions.get(_ECH)
    if data is None:
        return False
    before = transcript.fork()
    before.choose_hash(suite.hash_name, retried=True)
    expected = retry_confirmation(before, suite.hash_name, random, answer)
    return hmac.compare_digest(read_ech_confirmation(data), expected)


async def _reject(
    hs: HandshakeContext, config: ClientConfig, ech: EncryptedOffer, server_hello: ServerHello
) -> NoReturn:
    """Let the server prove that it is the public name, and give up (RFC 9849 section 6.1.6).

    The certificate is verified for the public name, and no other decision of the application is
    asked for: this connection carries nothing.
    """
    public_name = ech.encryption.config.public_name
    try:
        result = await _outer_handshake(hs, outer_config(config), ech.outer, server_hello)
    except CertificateError as error:
        raise _not_the_public_name(error, public_name) from None
    is_authentic = result.info.peer_verified
    configs = EchConfigList(hs.retry_configs) if hs.retry_configs and is_authentic else None
    problem = ""
    if configs is not None and configs.usable is None:
        problem, configs = configs.problems()[0], None
    raise EchRejectedError(configs, public_name, is_authentic=is_authentic, problem=problem)


async def _outer_handshake(
    hs: HandshakeContext, config: ClientConfig, outer: ClientOffer, server_hello: ServerHello
) -> HandshakeResult:
    hs.answers = ClientAnswers(config, hs.trust, hs.trace)
    if check_version(hs, config, server_hello) == TLS13:
        return await client13.complete_client_handshake(hs, config, outer, server_hello, None)
    if outer.early_data:
        raise ProtocolError(Fault.OLDER_VERSION_AFTER_EARLY_DATA)
    from handclasp.handshake.tls12 import client as client12

    return await client12.complete_client_handshake(hs, config, outer, server_hello, None)


def _not_the_public_name(error: CertificateError, public_name: str) -> CertificateError:
    """Return the error for a server that rejects ECH, and does not prove to be the public name.

    That is the name which its certificate was verified for, and not the one that the application
    has asked for (RFC 9849 section 6.1.7).
    """
    sentence = (
        "The server did not accept the encrypted ClientHello, and does not prove to be "
        f"{public_name}, the public name of its ECH configuration. {error.message}"
    )
    fix, verdict = error.fix, Verdict(error.blame, error.condition)
    if error.fault is Fault.CERTIFICATE_NAME_MISMATCH:
        fix = advice(
            f"Get a certificate that covers the public name {public_name} besides the other names "
            "of the server, or publish ECH configurations with a name that a certificate covers.",
            "Get the server's current ECH configuration: this one may be old. Do not connect "
            "without ECH because of this error: something on the way may have answered.",
        )
        verdict = Verdict(
            Blame.UNCLEAR,
            "the server, if it publishes a public name that it has no certificate for; else this "
            "end, if the ECH configuration is old or another server's, or something on the way "
            "that has answered instead",
        )
    told = CertificateError(error.fault, sentence=sentence, fix=fix, verdict=verdict)
    told.place, told.chain_der = error.place, error.chain_der
    told.ocsp_response, told.sct_list = error.ocsp_response, error.sct_list
    told.public_name = public_name
    return told
