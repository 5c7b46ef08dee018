"""The key schedule of TLS 1.3, one class for each stage (RFC 9846 section 7.1).

             0
             |
   PSK ->  HKDF-Extract = EarlySecret
             |  "derived"
   (EC)DHE -> HKDF-Extract = HandshakeSecret --> client and server handshake traffic secrets
             |  "derived"
   0 ->    HKDF-Extract = MasterSecret --> application traffic, exporter, resumption secrets

A stage gives the next one and cannot be turned back. Each is built from what the one before it
holds, so keys cannot be derived in the wrong order. An observer given to the first stage is handed
on to all that comes out of it, and told of every step.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from handclasp.crypto.hkdf import (
    FIRST_BLOCK,
    first_block,
    hkdf_expand_blocks,
    hkdf_expand_label,
    hkdf_extract,
    label_head,
)
from handclasp.crypto.hmac_key import HmacKey, hmac_digest
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES, IV_SIZE, CipherSuite
from handclasp.keys.observer import KeyScheduleObserver
from handclasp.keys.traffic import TrafficKeys
from handclasp.values import field, value

_EXTRACT, _EXPAND_LABEL, _DERIVE = "HKDF-Extract", "HKDF-Expand-Label", "Derive-Secret"


class _Labels:
    """The HkdfLabels of one cipher suite (RFC 9846 section 7.1), written once.

    Attributes:
        finished, traffic_upd, derived: with their contexts, which never differ.
        key_and_iv, key_iv_finished: likewise, those that are expanded together.
        binders: those of the binder keys, by their labels; their context is the hash of nothing.
        heads: the others, by their labels, each for a transcript hash to follow.
    """

    __slots__ = (
        "binders",
        "derived",
        "finished",
        "heads",
        "key_and_iv",
        "key_iv_finished",
        "traffic_upd",
    )

    def __init__(self, suite: CipherSuite) -> None:
        size = suite.hash_size
        self.finished = first_block("finished", size, b"")
        self.key_and_iv = (
            first_block("key", suite.key_size, b""),
            first_block("iv", IV_SIZE, b""),
        )
        self.key_iv_finished = (*self.key_and_iv, self.finished)
        self.traffic_upd = first_block("traffic upd", size, b"")
        nothing = hashlib.new(suite.hash_name).digest()
        self.derived = first_block("derived", size, nothing)
        self.binders = {
            label: first_block(label, size, nothing)
            for label, output in _OUTPUTS.items()
            if output == "binder_key"
        }
        self.heads = {label: label_head(label, size, size) for label in _OUTPUTS}


class TrafficSecret:
    """The secret of one direction and epoch, from which its keys come; `name` is the RFC's."""

    __slots__ = ("_finished_key", "name", "observer", "secret", "suite")

    def __init__(
        self,
        suite: CipherSuite,
        secret: Secret,
        name: str = "",
        observer: KeyScheduleObserver | None = None,
    ) -> None:
        self.suite = suite
        self.secret = secret
        self.name = name
        self.observer = observer
        self._finished_key: Secret | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.suite.name}, {self.secret!r}, {self.name!r})"

    def keys(self) -> TrafficKeys:
        """[sender]_write_key and [sender]_write_iv (RFC 9846 section 7.3)."""
        key, iv = self.key_and_iv()
        return TrafficKeys(self.suite, Secret(key), Secret(iv))

    def key_and_iv(self) -> tuple[bytes, bytes]:
        """Return the same as bytes, which a cipher takes at once and nobody keeps."""
        suite = self.suite
        infos = _LABELS[suite.name].key_and_iv
        key, iv = hkdf_expand_blocks(suite.hash_name, self.secret, infos)
        if self.observer is not None:
            self._tell_keys(key, iv)
        return key[: suite.key_size], iv[:IV_SIZE]

    def _tell_keys(self, key: bytes, iv: bytes) -> None:
        """Tell the observer of both, given a whole block for each."""
        if self.observer is not None:
            sender, inputs, size = self.name.partition("_")[0], (self.name,), self.suite.key_size
            self.observer(_EXPAND_LABEL, f"{sender}_write_key", inputs, "key", b"", key[:size])
            self.observer(_EXPAND_LABEL, f"{sender}_write_iv", inputs, "iv", b"", iv[:IV_SIZE])

    def next(self) -> TrafficSecret:
        """application_traffic_secret_N+1 (RFC 9846 section 7.2)."""
        suite = self.suite
        info = _LABELS[suite.name].traffic_upd
        after = Secret(hmac_digest(suite.hash_name, self.secret, info))
        name = _one_later(self.name)
        if self.observer is not None:
            self.observer(_EXPAND_LABEL, name, (self.name,), "traffic upd", b"", after)
        return TrafficSecret(suite, after, name, self.observer)

    def verify_data(self, transcript_hash: bytes) -> bytes:
        """Return the content of this side's Finished (RFC 8446 section 4.4.4)."""
        suite, key = self.suite, self._finished_key
        if key is None:
            info = _LABELS[suite.name].finished
            key = Secret(hmac_digest(suite.hash_name, self.secret, info))
        verify_data = hmac_digest(suite.hash_name, key, transcript_hash)
        if self.observer is not None:
            inputs = (self.name,)
            self.observer(_EXPAND_LABEL, "finished_key", inputs, "finished", b"", key)
            self.observer(
                "HMAC", "verify_data", ("finished_key",), "", transcript_hash, verify_data
            )
        return verify_data


class HandshakeTrafficSecret(TrafficSecret):
    """The one from which a Finished comes as well: its key is expanded with the others."""

    __slots__ = ()

    def key_and_iv(self) -> tuple[bytes, bytes]:
        suite = self.suite
        infos = _LABELS[suite.name].key_iv_finished
        key, iv, finished = hkdf_expand_blocks(suite.hash_name, self.secret, infos)
        self._finished_key = Secret(finished)
        if self.observer is not None:
            self._tell_keys(key, iv)
        return key[: suite.key_size], iv[:IV_SIZE]


class _Stage:
    """One secret of the schedule, from which several others are derived.

    The salt of the next stage is one of them: what expands others before keeps it in `_salt`.
    """

    __slots__ = ("_salt", "observer", "secret", "suite")

    def __init__(
        self, suite: CipherSuite, secret: Secret, observer: KeyScheduleObserver | None = None
    ) -> None:
        self.suite = suite
        self.secret = secret
        self.observer = observer
        self._salt: Secret | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.suite.name}, {self.secret!r})"

    def derive(self, label: str, transcript_hash: bytes) -> Secret:
        """Derive-Secret (section 7.1), of messages that are hashed already."""
        suite = self.suite
        info = _LABELS[suite.name].heads[label] + transcript_hash + FIRST_BLOCK
        secret = Secret(hmac_digest(suite.hash_name, self.secret, info))
        if self.observer is not None:
            self._tell(label, transcript_hash, secret)
        return secret

    def _next_secret(self, input_key_material: bytes) -> Secret:
        """Return the secret of the next stage: HKDF-Extract under a salt that this one gives."""
        hash_name, salt = self.suite.hash_name, self._salt
        if salt is None:
            info = _LABELS[self.suite.name].derived
            salt = Secret(hmac_digest(hash_name, self.secret, info))
        if self.observer is not None:
            self._tell("derived", _empty_hash(hash_name), salt)
        return Secret(hmac_digest(hash_name, salt, input_key_material))

    def _tell(self, label: str, context: bytes, secret: Secret) -> None:
        """Tell the observer of one secret that was derived from this one."""
        if self.observer is not None:
            inputs = (_STAGES[type(self)],)
            self.observer(_DERIVE, _OUTPUTS[label], inputs, label, context, secret)


class EarlySecret(_Stage):
    """The first stage: a pre-shared key, or zeros without one."""

    __slots__ = ()

    @classmethod
    def without_psk(
        cls, suite: CipherSuite, observer: KeyScheduleObserver | None = None
    ) -> EarlySecret:
        early = _early_secret_without_psk(suite.name)
        if observer is None:
            return early
        observer(_EXTRACT, "early_secret", ("0", "0"), "", b"", early.secret)
        return cls(suite, early.secret, observer)

    @classmethod
    def from_psk(
        cls, suite: CipherSuite, psk: bytes, observer: KeyScheduleObserver | None = None
    ) -> EarlySecret:
        secret = Secret(_extract_without_salt(suite.hash_name).digest(psk))
        if observer is not None:
            observer(_EXTRACT, "early_secret", ("0", "psk"), "", b"", secret)
        return cls(suite, secret, observer)

    def binder(self, label: str, transcript_hash: bytes) -> bytes:
        """Return the binder, which proves that the client has the key (RFC 8446 section 4.2.11.2).

        Args:
            label: "res binder", "ext binder" (RFC 9846 section 7.1) or "imp binder" (RFC 9258
                section 4.1.1), for the binder_key.
            transcript_hash: of all messages up to the binders.
        """
        suite, labels = self.suite, _LABELS[self.suite.name]
        infos = labels.binders[label], labels.derived
        blocks = hkdf_expand_blocks(suite.hash_name, self.secret, infos)
        binder_key, self._salt = map(Secret, blocks)
        if self.observer is not None:
            self._tell(label, _empty_hash(suite.hash_name), binder_key)
        key = TrafficSecret(suite, binder_key, _OUTPUTS[label], self.observer)
        return key.verify_data(transcript_hash)

    def client_early_traffic_secret(self, client_hello_hash: bytes) -> TrafficSecret:
        """Return the secret for 0-RTT data; the hash is that of the first ClientHello, whole."""
        secret = self.derive("c e traffic", client_hello_hash)
        return TrafficSecret(self.suite, secret, _OUTPUTS["c e traffic"], self.observer)

    def handshake_secret(self, shared_secret: bytes) -> HandshakeSecret:
        """Return the second stage; `shared_secret` is the result of the key exchange."""
        suite = self.suite
        if self is _early_secret_without_psk(suite.name):
            secret = Secret(_extract_without_psk(suite.name).digest(shared_secret))
        else:
            secret = self._next_secret(shared_secret)
        if self.observer is not None:
            inputs = ("derived_secret", "shared_secret")
            self.observer(_EXTRACT, "handshake_secret", inputs, "", b"", secret)
        return HandshakeSecret(suite, secret, self.observer)


class HandshakeSecret(_Stage):
    """The second stage: protects the rest of the handshake.

    With a PSK and no key exchange (psk_ke), zeros stand in the shared secret's place.
    """

    __slots__ = ()

    def traffic_secrets(
        self, hello_hash: bytes
    ) -> tuple[HandshakeTrafficSecret, HandshakeTrafficSecret]:
        """client_ and server_handshake_traffic_secret.

        `hello_hash` is the transcript up to and including the ServerHello.
        """
        suite, observer, labels = self.suite, self.observer, _LABELS[self.suite.name]
        heads, context = labels.heads, hello_hash + FIRST_BLOCK
        infos = heads["c hs traffic"] + context, heads["s hs traffic"] + context, labels.derived
        blocks = hkdf_expand_blocks(suite.hash_name, self.secret, infos)
        client, server, self._salt = map(Secret, blocks)
        if observer is not None:
            self._tell("c hs traffic", hello_hash, client)
            self._tell("s hs traffic", hello_hash, server)
        return (
            HandshakeTrafficSecret(suite, client, "client_handshake_traffic_secret", observer),
            HandshakeTrafficSecret(suite, server, "server_handshake_traffic_secret", observer),
        )

    def master_secret(self) -> MasterSecret:
        """Return the third stage."""
        suite = self.suite
        secret = self._next_secret(bytes(suite.hash_size))
        if self.observer is not None:
            self.observer(_EXTRACT, "master_secret", ("derived_secret", "0"), "", b"", secret)
        return MasterSecret(suite, secret, self.observer)


class MasterSecret(_Stage):
    """The third stage: protects application data.

    `finished_hash` is the transcript up to and including the server's Finished.
    """

    __slots__ = ()

    def traffic_secrets(
        self, finished_hash: bytes
    ) -> tuple[TrafficSecret, TrafficSecret, ExporterSecret]:
        """client_ and server_application_traffic_secret_0, and exporter_master_secret."""
        suite, observer = self.suite, self.observer
        heads, context = _LABELS[suite.name].heads, finished_hash + FIRST_BLOCK
        infos = (
            heads["c ap traffic"] + context,
            heads["s ap traffic"] + context,
            heads["exp master"] + context,
        )
        blocks = hkdf_expand_blocks(suite.hash_name, self.secret, infos)
        client, server, exporter = map(Secret, blocks)
        if observer is not None:
            self._tell("c ap traffic", finished_hash, client)
            self._tell("s ap traffic", finished_hash, server)
            self._tell("exp master", finished_hash, exporter)
        return (
            TrafficSecret(suite, client, "client_application_traffic_secret_0", observer),
            TrafficSecret(suite, server, "server_application_traffic_secret_0", observer),
            ExporterSecret(suite, exporter),
        )

    def resumption_secret(self, client_finished_hash: bytes) -> ResumptionSecret:
        """`client_finished_hash`: the transcript up to and including the client's Finished."""
        secret = self.derive("res master", client_finished_hash)
        return ResumptionSecret(self.suite, secret, self.observer)


@value(frozen=True, slots=True)
class ExporterSecret:
    """exporter_master_secret, from which applications take keys of their own."""

    suite: CipherSuite
    secret: Secret

    @property
    def longest(self) -> int:
        """The most bytes that one label gives."""
        return 255 * self.suite.hash_size

    def export(self, label: str, context: bytes | None, length: int) -> bytes:
        """TLS-Exporter(label, context_value, key_length) (RFC 9846 section 7.5).

        No context and an empty one are the same here.
        """
        hash_name, hash_size = self.suite.hash_name, self.suite.hash_size
        derived = hkdf_expand_label(
            hash_name, self.secret, label, _empty_hash(hash_name), hash_size
        )
        context_hash = hashlib.new(hash_name, context or b"").digest()
        return bytes(hkdf_expand_label(hash_name, derived, "exporter", context_hash, length))


@value(frozen=True, slots=True)
class ResumptionSecret:
    """resumption_master_secret, from which the keys of tickets come."""

    suite: CipherSuite
    secret: Secret
    observer: KeyScheduleObserver | None = field(default=None, repr=False, compare=False)

    def psk(self, ticket_nonce: bytes) -> Secret:
        """Return the key of one ticket (RFC 8446 section 4.6.1)."""
        suite = self.suite
        head = label_head("resumption", suite.hash_size, len(ticket_nonce))
        info = head + ticket_nonce + FIRST_BLOCK
        key = Secret(hmac_digest(suite.hash_name, self.secret, info))
        if self.observer is not None:
            inputs = ("resumption_master_secret",)
            self.observer(_EXPAND_LABEL, "psk", inputs, "resumption", ticket_nonce, key)
        return key


_STAGES: dict[type, str] = {
    EarlySecret: "early_secret",
    HandshakeSecret: "handshake_secret",
    MasterSecret: "master_secret",
}

_OUTPUTS = {
    "res binder": "binder_key",
    "ext binder": "binder_key",
    "imp binder": "binder_key",
    "c e traffic": "client_early_traffic_secret",
    "c hs traffic": "client_handshake_traffic_secret",
    "s hs traffic": "server_handshake_traffic_secret",
    "c ap traffic": "client_application_traffic_secret_0",
    "s ap traffic": "server_application_traffic_secret_0",
    "exp master": "exporter_master_secret",
    "res master": "resumption_master_secret",
    "derived": "derived_secret",
}
"""The RFC's name for the secret of each label."""

_LABELS = {suite.name: _Labels(suite) for suite in CIPHER_SUITES.values()}


def _one_later(name: str) -> str:
    """Return the name of application_traffic_secret_N+1, given that of N."""
    start, _, number = name.rpartition("_")
    return f"{start}_{int(number) + 1}" if number.isdecimal() else name


# Constants of the RFC, not secrets: the same in every handshake without a PSK.


@lru_cache(maxsize=8)
def _early_secret_without_psk(suite_name: str) -> EarlySecret:
    suite = CIPHER_SUITES[suite_name]
    zeros = bytes(suite.hash_size)
    return EarlySecret(suite, hkdf_extract(suite.hash_name, zeros, zeros))


@lru_cache(maxsize=8)
def _extract_without_psk(suite_name: str) -> HmacKey:
    """Return HKDF-Extract of the second stage; without a pre-shared key its salt is a constant."""
    early, hash_name = _early_secret_without_psk(suite_name), CIPHER_SUITES[suite_name].hash_name
    return HmacKey(hash_name, early.derive("derived", _empty_hash(hash_name)))


@lru_cache(maxsize=8)
def _extract_without_salt(hash_name: str) -> HmacKey:
    """Return HKDF-Extract of the first stage, whose salt is always zeros."""
    return HmacKey(hash_name, b"")


@lru_cache(maxsize=8)
def _empty_hash(hash_name: str) -> bytes:
    return hashlib.new(hash_name).digest()
