"""Pre-shared keys in TLS 1.3: how a client offers them and proves that it holds them.

A key comes from an earlier connection (resumption) or from elsewhere (external). The binder that
proves it covers the ClientHello up to the binders themselves (RFC 8446 section 4.2.11.2), and the
first hello and the HelloRetryRequest where there were such.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from handclasp.crypto.suites import CIPHER_SUITES, CipherSuite
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import ExtensionType
from handclasp.keys.observer import KeyScheduleObserver
from handclasp.keys.schedule13 import EarlySecret
from handclasp.keys.transcript import Transcript, digest_of
from handclasp.sessions.psk import PreSharedKey
from handclasp.sessions.session import Session
from handclasp.sessions.tickets import SessionState
from handclasp.values import field, replace, value
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ClientHello, write_client_hello
from handclasp.wire.structs import write_entries
from handclasp.wire.writer import uint16s

_PRE_SHARED_KEY = ExtensionType.PRE_SHARED_KEY
RESUMPTION, EXTERNAL, IMPORTED = "res binder", "ext binder", "imp binder"


def _none_yet() -> dict[str, EarlySecret]:
    return {}


@value(frozen=True, slots=True)
class Psk:
    """A pre-shared key, whichever its origin.

    Attributes:
        suite: one of its hash; that of the earlier connection for a resumption.
        binder_label: says of which kind it is.
        session: the client's session that it is of; state: the server's.
        external: the external key that it is.
    """

    identity: bytes = field(repr=False)
    obfuscated_age: int
    key: bytes = field(repr=False)
    suite: CipherSuite
    binder_label: str
    session: Session | None = None
    state: SessionState | None = None
    external: PreSharedKey | None = None
    _stages: dict[str, EarlySecret] = field(
        default_factory=_none_yet, init=False, repr=False, compare=False
    )

    def early_secret(
        self, suite: CipherSuite, observer: KeyScheduleObserver | None = None
    ) -> EarlySecret:
        """Return the first stage of the key schedule with this key, under a suite of its hash.

        Binder and key schedule start from the same one; an observer is called each time.
        """
        stage = self._stages.get(suite.name) if observer is None else None
        if stage is None:
            stage = self._stages[suite.name] = EarlySecret.from_psk(suite, self.key, observer)
        return stage

    def binder(
        self,
        transcript: Transcript | None,
        partial_hello: bytes,
        observer: KeyScheduleObserver | None = None,
    ) -> bytes:
        """Return the binder, over the earlier messages and a hello that ends before the binders."""
        stage, hash_name = self.early_secret(self.suite, observer), self.suite.hash_name
        if transcript is None:
            return stage.binder(self.binder_label, digest_of(hash_name, partial_hello))
        return stage.binder(self.binder_label, transcript.digest_with(partial_hello, hash_name))


def psk_of_session(session: Session, now: int) -> Psk:
    """Return the key of a TLS 1.3 session; `now` is in milliseconds since 1970."""
    return Psk(
        session.ticket,
        session.age_at(now),
        session.secret,
        CIPHER_SUITES[session.cipher_suite],
        RESUMPTION,
        session=session,
    )


def psk_of_external(key: PreSharedKey) -> Psk:
    """Return an external key; its age means nothing (RFC 8446 section 4.2.11)."""
    suite = next(each for each in CIPHER_SUITES.values() if each.hash_name == key.hash_name)
    label = IMPORTED if key.is_imported else EXTERNAL
    return Psk(key.identity, 0, key.key, suite, label, external=key)


def with_psks(
    hello: ClientHello,
    psks: Sequence[Psk],
    transcript: Transcript | None,
    observer: KeyScheduleObserver | None = None,
    written: bytes | None = None,
) -> ClientHello:
    """Return the hello with pre_shared_key as its last extension, binders and all, and its bytes.

    Args:
        written: the other extensions as `write_entries` writes them, if that has been done.
    """
    if not psks and _PRE_SHARED_KEY not in hello.extensions:
        return hello
    kept = dict(hello.extensions)
    kept.pop(_PRE_SHARED_KEY, None)
    if not psks:
        return replace(hello, extensions=kept, raw=b"")
    if written is None:
        written = write_entries(kept)
    identities = ext.identity_entries([(each.identity, each.obfuscated_age) for each in psks])
    # The binders are the end of the hello, and cover all that is before them.
    size = 2
    for each in psks:
        size += 1 + each.suite.hash_size
    written += (_PRE_SHARED_KEY << 16 | len(identities) + size).to_bytes(4, "big") + identities
    random, session_id, suites = hello.random, hello.legacy_session_id, hello.cipher_suites
    draft = write_client_hello(random, session_id, uint16s(suites), written + bytes(size))
    partial = draft[:-size]
    binders = ext.binder_entries([each.binder(transcript, partial, observer) for each in psks])
    kept[_PRE_SHARED_KEY] = identities + binders
    version, methods = hello.legacy_version, hello.legacy_compression_methods
    return ClientHello(version, random, session_id, suites, methods, kept, partial + binders)


@value(frozen=True, slots=True)
class CheckedBinder:
    """Proof that the client holds this key. Only `check_binder` makes it."""

    psk: Psk


def check_binder(
    psk: Psk,
    partial_hello: bytes,
    binder: bytes,
    transcript: Transcript | None,
    observer: KeyScheduleObserver | None = None,
) -> CheckedBinder:
    """Check the client's proof; `transcript` is what came before the hello up to its binders.

    Raises `ProtocolError` (decrypt_error).
    """
    expected = psk.binder(transcript, partial_hello, observer)
    if not hmac.compare_digest(binder, expected):
        raise ProtocolError(Fault.BAD_BINDER)
    return CheckedBinder(psk)
