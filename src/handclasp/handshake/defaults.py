"""The answers of a config that has no callback: what each role does by its own values."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable
from typing import Any, cast

from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import (
    VerifiedPeer,
    accept_unverified,
    verify_client_chain,
    verify_raw_public_key,
    verify_server_chain,
)
from handclasp.config import ClientConfig, ServerConfig, SharedConfig
from handclasp.ech import EchKeySource, ReloadingEchKeys
from handclasp.errors import ConfigurationError, ProtocolError
from handclasp.handshake.answers import Answerers, Answers
from handclasp.handshake.negotiation import choose_client_credentials, choose_server_credentials
from handclasp.handshake.trace_notes import note_credentials
from handclasp.questions import (
    DEFER,
    Answerer,
    CheckReplay,
    ChooseConfig,
    ChooseCredentials,
    ConfirmPeer,
    Decrypt,
    FindEchKeys,
    FindPsk,
    Question,
    ReverifyPeer,
    Sign,
    VerifyPeer,
)
from handclasp.synchronous import is_awaitable, is_coroutine
from handclasp.trace.hooks import Trace


class ClientAnswers(Answers):
    """The answers of a client: from its config, and the trust store that it verifies with."""

    __slots__ = ("_config", "_trust")

    def __init__(
        self, config: ClientConfig, trust: TrustStore | None, trace: Trace | None = None
    ) -> None:
        self._answerers = None
        self._trace = trace
        self._config = config
        self._trust = trust

    def by_question(self) -> Answerers:
        """Return the answerer of each type of question: a callback where there is one."""
        return _answerers(self._config, self.choose_credentials, self.verify)

    def choose_credentials(self, question: ChooseCredentials) -> object:
        """Return the first of the config's credentials that fits."""
        config = self._config
        return choose_client_credentials(question, config.credential_list, config.signature_schemes)

    def verify(self, question: VerifyPeer) -> object:
        """Verify a server. Raises `CertificateError`."""
        config = self._config
        if not config.verify_peer:
            return accept_unverified(question.chain_der, question.certificate_type)
        if question.certificate_type == "RawPublicKey":
            return _verify_raw_public_key(question, config)
        trust, name = self._trust, question.server_name
        if trust is None or name is None:
            raise ConfigurationError("Verification needs a trust store and a server name.")
        return verify_server_chain(
            question.chain_der,
            trust,
            name,
            config.clock(),
            policy=config.policy,
            ocsp_response=question.ocsp_response,
            sct_list=question.sct_list,
        )


class ServerAnswers(Answers):
    """The answers of a server, from its config."""

    __slots__ = ("_config",)

    def __init__(self, config: ServerConfig, trace: Trace | None = None) -> None:
        self._answerers = None
        self._trace = trace
        self._config = config

    def by_question(self) -> Answerers:
        """Return the answerer of each type of question: a callback where there is one."""
        config = self._config
        answerers = _answerers(config, self.choose_credentials, self.verify)
        answerers[ReverifyPeer] = self.reverify
        answerers[CheckReplay] = self.check_replay
        if config.choose_config is not None:
            answerers[ChooseConfig] = config.choose_config
        if config.find_psk is not None:
            answerers[FindPsk] = config.find_psk
        if not isinstance(config.ech, tuple | ReloadingEchKeys):
            answerers[FindEchKeys] = self.find_ech_keys
        return answerers

    def choose_credentials(self, question: ChooseCredentials) -> object:
        """Return the first of the config's credentials that fits. Raises `ProtocolError`."""
        config = self._config
        try:
            return choose_server_credentials(
                question,
                config.credential_list,
                config.signature_schemes,
                strict_server_name=config.strict_server_name,
                types_first=config.orders_certificate_types,
            )
        except ProtocolError:
            note_credentials(self._trace, config, question, None)
            raise

    def verify(self, question: VerifyPeer) -> object:
        """Verify a client. Raises `CertificateError`."""
        config = self._config
        if question.certificate_type == "RawPublicKey":
            return _verify_raw_public_key(question, config)
        if config.trust is None:
            raise ConfigurationError("Client certificates need a trust store.")
        return verify_client_chain(
            question.chain_der,
            config.trust,
            config.clock(),
            policy=config.policy,
            ocsp_response=question.ocsp_response,
        )

    def reverify(self, question: ReverifyPeer) -> object:
        """Verify a client once more; None where it is not trusted any more."""
        verify: Any = self._config.verify or self.verify
        return _answer_or(None, lambda: verify(question), VerifiedPeer)

    def find_ech_keys(self, question: FindEchKeys) -> object:
        """Return what the source of the keys for Encrypted Client Hello answers."""
        source = cast(EchKeySource, self._config.ech)
        return source.find_keys(question.config_id, question.public_name)

    def check_replay(self, question: CheckReplay) -> object:
        """Return whether the replay guard has not seen this flight; False without a guard."""
        guard = self._config.replay_guard
        if guard is None:
            return False
        return _answer_or(
            False, lambda: guard.is_first(question.token, question.ticket_created_at), bool
        )


def _answerers(
    config: SharedConfig, choose_credentials: Answerer, verify: Answerer
) -> dict[type[Question[Any]], Answerer]:
    """Return the answerers of both roles: the config's callbacks, or what the role gives."""
    answerers: dict[type[Question[Any]], Answerer] = {
        ChooseCredentials: config.choose_credentials or choose_credentials,
        Sign: _sign,
        Decrypt: _decrypt,
        VerifyPeer: config.verify or verify,
    }
    if config.confirm_peer is not None:
        answerers[ConfirmPeer] = config.confirm_peer
    return answerers


def _answer_or(otherwise: object, call: Callable[[], Any], kind: type) -> object:
    """Return the answer, or `otherwise` where there is none: the handshake goes on with it.

    DEFER is a promise of one.
    """
    try:
        answer = call()
    except Exception:
        return otherwise
    if answer is DEFER:
        return answer
    if is_awaitable(answer):
        awaited = _awaited_or(otherwise, answer, kind)
        if is_coroutine(answer):
            # If the handshake ends before it is awaited, nothing else closes the inner one.
            weakref.finalize(awaited, answer.close).atexit = False
        return awaited
    return answer if isinstance(answer, kind) else otherwise


async def _awaited_or(otherwise: object, pending: Awaitable[Any], kind: type) -> object:
    try:
        answer = await pending
    except Exception:
        return otherwise
    return answer if isinstance(answer, kind) else otherwise


def _sign(question: Sign) -> object:
    return question.credentials.signer.sign(question.scheme, question.content)


def _decrypt(question: Decrypt) -> object:
    """Decrypt a secret; a failure counts as a wrong secret, so that no peer can see it."""
    try:
        return cast(Any, question.credentials.signer).decrypt(question.ciphertext)
    except Exception:
        return b""


def _verify_raw_public_key(question: VerifyPeer, config: SharedConfig) -> VerifiedPeer:
    return verify_raw_public_key(
        question.chain_der[0],
        config.raw_public_keys,
        policy=config.policy,
        purpose="server" if question.peer_is_server else "client",
    )
