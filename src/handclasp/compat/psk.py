"""External pre-shared keys as `ssl` has them: a callback for each role (TLS 1.3 only).

`ssl` has these callbacks since Python 3.13; a context of handclasp has them on every Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from handclasp.advice import PSKS
from handclasp.config import ClientConfig
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.errors import ConfigurationError, ProtocolError
from handclasp.faults import Fault
from handclasp.faults.entry import advice
from handclasp.handshake.hooks import call_hook, wrong_answer
from handclasp.questions import FindPsk, VerifyPeer
from handclasp.sessions.psk import PreSharedKey

ClientCallback = Callable[[str | None], tuple[str | None, bytes]]
"""Gets the hint, which is None in TLS 1.3, and returns an identity and its key."""

ServerCallback = Callable[[str], bytes]
"""Gets the identity, and returns its key; `b""` for an identity that it does not know."""


_FINDER = "the callback of set_psk_server_callback"


class Offer:
    """Offer the key of a client: the callback of `set_psk_client_callback`, compared by identity.

    Args:
        callback: of the application.
    """

    def __init__(self, callback: ClientCallback) -> None:
        self._callback = callback

    def added_to(self, config: ClientConfig) -> ClientConfig:
        """Return the config of one connection, which offers the key that the callback names.

        In TLS 1.2 alone there are no such keys, and the callback is not asked.

        A client that verifies nobody would take any certificate from a server that does not know
        the key, so here it takes none: the key is then the only proof. So it offers only suites of
        TLS 1.3 that the key can be used with: given the choice, OpenSSL takes a better suite and a
        certificate.

        Raises:
            ConfigurationError: the key has fewer than 16 bytes, or its identity is empty.
            TypeError: the callback has returned something else than a str and bytes.
        """
        if "TLSv1.3" not in config.versions:
            return config
        answer: Any = self._callback(None)
        try:
            identity, key = answer
        except (TypeError, ValueError):
            problem = "the callback of set_psk_client_callback must return an identity and a key"
            raise TypeError(problem) from None
        if not isinstance(identity, str | None):
            raise TypeError(f"an identity must be a str, not {type(identity).__name__}")
        named, secret = (identity or "").encode(), _bytes_of(key)
        if secret is None:
            kind = type(key).__name__
            problem = (
                f"the callback of set_psk_client_callback must return a key of bytes, not {kind}"
            )
            raise TypeError(problem)
        offered = PreSharedKey(named, secret)
        if config.verify_peer:
            return replace(config, psks=(offered,))
        return replace(
            config,
            psks=(offered,),
            cipher_suites=_usable_with(offered, config.cipher_suites),
            verify_peer=True,
            verify=_accept_no_certificate,
        )


class Finder:
    """Find the keys of a server's clients: the callback of `set_psk_server_callback`.

    It is the `find_psk` of a config, and compared by identity.

    Args:
        callback: of the application.
    """

    def __init__(self, callback: ServerCallback) -> None:
        self._callback = callback

    def __call__(self, question: FindPsk) -> PreSharedKey | None:
        """Return the key of an identity; None for one that the callback does not know.

        What it raises, what is not bytes, and a key of fewer than 16 bytes end the handshake.
        """
        try:
            identity = question.identity.decode()
        except UnicodeDecodeError:
            return None  # A ticket of another server: the callback knows text only.
        answer = call_hook(_FINDER, self._callback, identity)
        key = _bytes_of(answer)
        if key is None:
            # Its type alone: a str may be the key.
            kind = "None" if answer is None else type(answer).__name__
            wanted = 'the bytes of the key, or b"" for an unknown identity'
            raise wrong_answer(_FINDER, kind, wanted)
        try:
            return PreSharedKey(question.identity, key) if key else None
        except ConfigurationError as error:
            raise ProtocolError(
                Fault.CALLBACK_FAILED,
                sentence=f"The callback of set_psk_server_callback gave no usable key: {error}",
                fix='On this end: Let it return that key, or none (b"") for an unknown identity.',
            ) from error


def _bytes_of(key: Any) -> bytes | None:
    """Return a key of any kind that has bytes; None for what has none."""
    try:
        return bytes(memoryview(key))
    except (TypeError, ValueError):
        return None


def _usable_with(key: PreSharedKey, names: Sequence[str]) -> tuple[str, ...]:
    """Return the suites that a key can be used with, and those of TLS 1.2.

    All of them if the key fits none of TLS 1.3: the handshake then says so.
    """
    others = [name for name in names if name not in CIPHER_SUITES]
    fitting = [
        name
        for name in names
        if name in CIPHER_SUITES and CIPHER_SUITES[name].hash_name == key.hash_name
    ]
    return (*fitting, *others) if fitting else tuple(names)


def _accept_no_certificate(_: VerifyPeer) -> None:
    raise ProtocolError(
        Fault.PSK_NOT_TAKEN,
        fix=advice(
            "Add this client's pre-shared key.",
            f"Check the identity and the key ({PSKS}). Or verify certificates as well "
            "(context.verify_mode = ssl.CERT_REQUIRED).",
        ),
    )
