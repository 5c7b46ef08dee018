"""What the handshake asks the application: at once, later, never, or with a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    DEFER,
    CertificateError,
    ChooseCredentials,
    ClientAuth,
    ClientConfig,
    ConfigurationError,
    Credentials,
    DataReceived,
    Fault,
    HandshakeCompleted,
    Limits,
    PeerAlertError,
    ProtocolError,
    QuestionAsked,
    ServerConfig,
    Sign,
    VerifiedPeer,
    VerifyPeer,
)
from handclasp.certificates.verify import accept_unverified, verify_server_chain, vouch_for


class RemoteSigner:
    """Signs as a service elsewhere would: in a coroutine, or with whatever a test wants."""

    def __init__(self, credentials: Credentials, change: Any = None) -> None:
        self.schemes = credentials.signer.schemes
        self._signer = credentials.signer
        self._change = change

    def sign(self, scheme: str, data: bytes) -> Any:
        if self._change is not None:
            return self._change(self._signer.sign(scheme, data))
        return self._later(scheme, data)

    async def _later(self, scheme: str, data: bytes) -> bytes:
        await asyncio.sleep(0)
        signature = self._signer.sign(scheme, data)
        assert isinstance(signature, bytes)
        return signature


def remote(credentials: Credentials, change: Any = None) -> Credentials:
    return Credentials.from_signer(credentials.chain_der, RemoteSigner(credentials, change))


def _answer_pending(connection: Any, question: Any) -> Any:
    return connection.answer(question, asyncio.run(_awaited(question.pending)))


def answer_all(pair: Pair) -> list[str]:
    """Run, and await the answer to whatever is asked; the kinds of the questions, in order."""
    asked: list[str] = []
    pair.run()
    while True:
        for end in (pair.client, pair.server):
            question = end.connection.question
            if question is not None:
                assert question.pending is not None
                asked.append(type(question).__name__)
                end.do(partial(_answer_pending, end.connection, question))
                break
        else:
            return asked
        pair.run()


async def _awaited(pending: Awaitable[Any]) -> Any:
    return await pending


def failed(pair: Pair, fault: Fault, *, by_server: bool) -> ProtocolError:
    """One side gave up with this fault, and the other was told by an alert."""
    finder, told = (pair.server, pair.client) if by_server else (pair.client, pair.server)
    pair.run()
    error = finder.error
    assert isinstance(error, ProtocolError), error
    assert error.fault is fault, error
    assert isinstance(told.error, PeerAlertError), told.error
    assert told.error.alert_number == fault.alert
    assert finder.saw(HandshakeCompleted) == 0
    return error


# Answers that come later


def test_every_question_awaited(pki: Pki, server_config: ServerConfig) -> None:
    own = remote(pki.client())

    async def verify(question: VerifyPeer) -> VerifiedPeer:
        await asyncio.sleep(0)
        assert question.peer_is_server
        assert question.server_name == "localhost"
        return verify_server_chain(question.chain_der, pki.trust, "localhost", pki.now)

    async def verify_client(question: VerifyPeer) -> VerifiedPeer:
        assert not question.peer_is_server
        assert question.server_name is None
        return vouch_for(question.chain_der)

    async def choose(question: ChooseCredentials) -> Credentials:
        assert question.server_name is None
        assert "ecdsa_secp256r1_sha256" in question.signature_schemes
        return own

    async def choose_of_server(question: ChooseCredentials) -> Credentials:
        assert question.server_name == "localhost"
        assert question.alpn == ("h2",)
        return remote(pki.server("localhost"))

    client = ClientConfig(verify=verify, choose_credentials=choose, alpn=["h2"])
    server = ServerConfig(
        choose_credentials=choose_of_server,
        verify=verify_client,
        client_auth=ClientAuth.REQUIRED,
        alpn=["h2"],
    )
    pair = Pair(client, server)
    # The client judges the server's certificate while the server still signs.
    assert answer_all(pair) == [
        "ChooseCredentials",
        "VerifyPeer",
        "Sign",
        "ChooseCredentials",
        "Sign",
        "VerifyPeer",
    ]
    assert pair.established
    assert pair.server.info.peer_chain_der == own.chain_der
    assert pair.server.info.peer_verified
    pair.say(pair.client, b"at last")
    assert pair.server.data == b"at last"


def test_deferred(pki: Pki, client_config: ClientConfig) -> None:
    credentials = pki.server("localhost")
    server = ServerConfig(choose_credentials=lambda question: DEFER)
    pair = Pair(client_config, server).run()
    assert pair.server.saw(QuestionAsked) == 1
    question = pair.server.question
    assert isinstance(question, ChooseCredentials)
    assert question.pending is None
    assert pair.server.connection.question is question
    assert not pair.server.connection.established
    pair.server.answer(credentials)
    assert pair.server.connection.question is None
    assert pair.run().established
    assert repr(DEFER) == "DEFER"


def test_data_that_arrives_meanwhile(pki: Pki, server_config: ServerConfig) -> None:
    """The server's data comes while the client still thinks about the certificate."""
    server = replace(server_config, client_auth=ClientAuth.OPTIONAL, trust=pki.trust)
    client = ClientConfig(trust=pki.trust, choose_credentials=lambda question: DEFER)
    pair = Pair(client, server)
    pair.run()
    question = pair.client.question
    early = b"\x17\x03\x03\x00\x05hello"
    assert pair.client.connection.receive_data(early) == []
    pair.client.do(lambda: pair.client.connection.answer(question, None))
    # The record is nonsense, but it waited for its turn: the handshake was complete before it.
    assert pair.client.saw(HandshakeCompleted) == 1
    assert pair.client.error is not None
    assert pair.client.error.fault_name == "BAD_RECORD_MAC"


def test_good_data_that_arrives_meanwhile(pki: Pki, client_config: ClientConfig) -> None:
    """Finished and data of the client wait while the server thinks about its certificate."""
    server = ServerConfig(
        credentials=pki.server(),
        client_auth=ClientAuth.REQUIRED,
        verify=lambda question: DEFER,
    )
    pair = Pair(replace(client_config, credentials=pki.client()), server)
    pair.run()
    assert pair.client.connection.established
    for piece in (b"one ", b"two ", b"three"):
        pair.say(pair.client, piece)
    pair.client.connection.close()
    pair.run()
    question = pair.server.question
    assert isinstance(question, VerifyPeer)
    assert pair.server.data == b""
    pair.server.answer(vouch_for(question.chain_der))
    assert pair.server.saw(HandshakeCompleted) == 1
    assert pair.server.events[-2] == DataReceived(b"one two three")
    assert pair.server.connection.peer_closed


def test_too_much_that_arrives_meanwhile(pki: Pki, client_config: ClientConfig) -> None:
    server = ServerConfig(
        credentials=pki.server(),
        client_auth=ClientAuth.REQUIRED,
        verify=lambda question: DEFER,
        limits=Limits(max_handshake_bytes=10_000),
    )
    pair = Pair(replace(client_config, credentials=pki.client()), server).run()
    for _ in range(3):
        pair.say(pair.client, bytes(5000))
    failed(pair, Fault.HANDSHAKE_TOO_LARGE, by_server=True)


def test_end_of_the_transport_meanwhile(client_config: ClientConfig) -> None:
    async def never(question: ChooseCredentials) -> Credentials:
        raise AssertionError("nobody awaits this")

    pair = Pair(client_config, ServerConfig(choose_credentials=never)).run()
    question = pair.server.question
    pair.server.receive_eof()
    assert pair.server.error is not None
    assert pair.server.error.fault_name == "CLOSED_DURING_HANDSHAKE"
    with pytest.raises(OSError, match="closed the connection"):
        pair.server.connection.answer(question, None)


# Answers that are none


def test_refused_later(client_config: ClientConfig) -> None:
    server = ServerConfig(choose_credentials=lambda question: DEFER)
    pair = Pair(client_config, server).run()
    cause = TimeoutError("the key service is away")
    pair.server.refuse(cause)
    error = failed(pair, Fault.CALLBACK_FAILED, by_server=True)
    assert error.__cause__ is cause
    assert "TimeoutError" in str(error)
    assert "key service" not in str(error)


def test_refused_with_a_reason(pki: Pki, server_config: ServerConfig) -> None:
    """A CertificateError keeps its own fault and alert."""
    client = ClientConfig(verify=lambda question: DEFER)
    pair = Pair(client, server_config).run()
    pair.client.refuse(CertificateError(Fault.CERTIFICATE_REFUSED, "not on the list"))
    failed(pair, Fault.CERTIFICATE_REFUSED, by_server=False)


@pytest.mark.parametrize("by_exception", [ValueError("#1"), KeyError("#2"), OSError("#3")])
def test_exception_in_a_callback(server_config: ServerConfig, by_exception: Exception) -> None:
    def verify(question: VerifyPeer) -> VerifiedPeer:
        raise by_exception

    pair = Pair(ClientConfig(verify=verify), server_config).run()
    error = failed(pair, Fault.CERTIFICATE_REFUSED, by_server=False)
    assert isinstance(error, CertificateError)
    assert error.__cause__ is by_exception
    assert str(by_exception) not in str(error)


def test_exception_in_every_callback(pki: Pki, client_config: ClientConfig) -> None:
    def fails(question: object) -> Any:
        raise RuntimeError("no")

    good = pki.server()
    judging = ServerConfig(credentials=good, client_auth=ClientAuth.REQUIRED, verify=fails)
    for config, fault in (
        (ServerConfig(choose_credentials=fails), Fault.CALLBACK_FAILED),
        (ServerConfig(credentials=remote(good, fails)), Fault.CALLBACK_FAILED),
        (judging, Fault.CERTIFICATE_REFUSED),
    ):
        client = replace(client_config, credentials=pki.client())
        failed(Pair(client, config).run(), fault, by_server=True)


@pytest.mark.parametrize("answer", [True, None, 1, b"yes", "yes", object()])
def test_anything_but_a_proof_is_no_verification(
    server_config: ServerConfig, answer: object
) -> None:
    """A verify callback that returns True has verified nothing."""
    pair = Pair(ClientConfig(verify=lambda question: answer), server_config).run()
    error = failed(pair, Fault.CALLBACK_FAILED, by_server=False)
    assert "VerifiedPeer" in str(error)
    later = Pair(ClientConfig(verify=lambda question: DEFER), server_config).run()
    later.client.answer(answer)
    failed(later, Fault.CALLBACK_FAILED, by_server=False)


@pytest.mark.parametrize("change", [lambda s: None, lambda s: bytearray(s), lambda s: "x"])
def test_anything_but_bytes_is_no_signature(
    pki: Pki, client_config: ClientConfig, change: Any
) -> None:
    server = ServerConfig(credentials=remote(pki.server(), change))
    failed(Pair(client_config, server).run(), Fault.CALLBACK_FAILED, by_server=True)


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: b"", lambda s: bytes(len(s))])
def test_wrong_signature_of_a_remote_signer_never_leaves(
    pki: Pki, client_config: ClientConfig, change: Any
) -> None:
    server = ServerConfig(credentials=remote(pki.server(), change))
    failed(Pair(client_config, server).run(), Fault.OWN_SIGNATURE_WRONG, by_server=True)


def test_proof_of_another_chain(pki: Pki, server_config: ServerConfig) -> None:
    other = pki.server("example.org").chain_der
    client = ClientConfig(verify=lambda question: accept_unverified(other))
    failed(Pair(client, server_config).run(), Fault.CALLBACK_FAILED, by_server=False)


def test_chooser_of_a_server(pki: Pki, client_config: ClientConfig) -> None:
    failed(
        Pair(client_config, ServerConfig(choose_credentials=lambda question: None)).run(),
        Fault.UNRECOGNIZED_NAME,
        by_server=True,
    )
    rsa = pki.server(key_type="rsa-2048")
    failed(
        Pair(
            replace(client_config, signature_schemes=["ed25519"]),
            ServerConfig(choose_credentials=lambda question: rsa),
        ).run(),
        Fault.NO_SHARED_SIGNATURE_SCHEME,
        by_server=True,
    )
    failed(
        Pair(client_config, ServerConfig(choose_credentials=lambda question: [rsa])).run(),
        Fault.CALLBACK_FAILED,
        by_server=True,
    )


def test_chooser_of_a_client_without_a_fitting_scheme(
    pki: Pki, server_config: ServerConfig, client_config: ClientConfig
) -> None:
    server = replace(
        server_config,
        client_auth=ClientAuth.OPTIONAL,
        trust=pki.trust,
        signature_schemes=["ecdsa_secp256r1_sha256"],
    )
    rsa = pki.client(key_type="rsa-2048")
    client = replace(client_config, choose_credentials=lambda question: rsa)
    pair = Pair(client, server).run()
    assert pair.established
    assert pair.server.info.peer_chain_der == ()


# Questions of somebody else


def test_questions_that_are_not_open(
    pki: Pki, client_config: ClientConfig, server_config: ServerConfig
) -> None:
    deferring = ServerConfig(choose_credentials=lambda question: DEFER)
    one, two = (Pair(client_config, deferring).run() for _ in range(2))
    theirs = two.server.question
    ours = one.server.connection
    calls: list[Callable[..., object]] = [ours.answer, ours.refuse]
    for call in calls:
        with pytest.raises(ConfigurationError):
            call(theirs, pki.server())
    one.server.answer(pki.server())
    assert one.run().established
    with pytest.raises(ConfigurationError):
        one.server.connection.answer(one.server.question, pki.server())
    with pytest.raises(ConfigurationError):
        one.client.connection.answer(theirs, None)
    assert one.established


def test_sign_question_shows_no_content(pki: Pki, client_config: ClientConfig) -> None:
    server = ServerConfig(credentials=remote(pki.server(), lambda signature: DEFER))
    pair = Pair(client_config, server).run()
    question = pair.server.question
    assert isinstance(question, Sign)
    assert question.scheme == "ecdsa_secp256r1_sha256"
    assert question.content.startswith(b" " * 64 + b"TLS 1.3, server CertificateVerify\0")
    assert "CertificateVerify" not in repr(question)
    signature = pki.server().signer.sign(question.scheme, question.content)
    pair.server.answer(signature)
    assert pair.run().established
