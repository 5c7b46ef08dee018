"""The key schedule of TLS 1.3, one class for each stage (RFC 8446 section 7.1).

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
from dataclasses import field
from functools import lru_cache
from itertools import repeat

from handclasp.crypto.hkdf import hkdf_expand_label, hkdf_expand_labels, hkdf_extract
from handclasp.crypto.hmac_key import hmac_digest
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES, IV_SIZE, CipherSuite
from handclasp.keys.observer import KeyScheduleObserver
from handclasp.keys.traffic import TrafficKeys
from handclasp.values import value

_EXTRACT, _EXPAND_LABEL, _DERIVE = "HKDF-Extract", "HKDF-Expand-Label", "Derive-Secret"


class TrafficSecret:
    """The secret of one direction and epoch, from which its keys come; `name` is the RFC's."""

    __slots__ = ("name", "observer", "secret", "suite")

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

    def __repr__(self) -> str:
        return f"TrafficSecret({self.suite.name}, {self.secret!r}, {self.name!r})"

    def keys(self) -> TrafficKeys:
        """[sender]_write_key and [sender]_write_iv (RFC 8446 section 7.3)."""
        suite = self.suite
        key, iv = hkdf_expand_labels(
            suite.hash_name, self.secret, b"", (("key", suite.key_size), ("iv", IV_SIZE))
        )
        if self.observer is not None:
            sender, inputs = self.name.partition("_")[0], (self.name,)
            self.observer(_EXPAND_LABEL, f"{sender}_write_key", inputs, "key", b"", key)
            self.observer(_EXPAND_LABEL, f"{sender}_write_iv", inputs, "iv", b"", iv)
        return TrafficKeys(suite, key, iv)

    def next(self) -> TrafficSecret:
        """application_traffic_secret_N+1 (RFC 8446 section 7.2)."""
        suite, label = self.suite, "traffic upd"
        (after,) = hkdf_expand_labels(
            suite.hash_name, self.secret, b"", ((label, suite.hash_size),)
        )
        name = _one_later(self.name)
        if self.observer is not None:
            self.observer(_EXPAND_LABEL, name, (self.name,), label, b"", after)
        return TrafficSecret(suite, after, name, self.observer)

    def verify_data(self, transcript_hash: bytes) -> bytes:
        """The content of this side's Finished (RFC 8446 section 4.4.4)."""
        suite, label = self.suite, "finished"
        (key,) = hkdf_expand_labels(suite.hash_name, self.secret, b"", ((label, suite.hash_size),))
        verify_data = hmac_digest(suite.hash_name, key, transcript_hash)
        if self.observer is not None:
            self.observer(_EXPAND_LABEL, "finished_key", (self.name,), label, b"", key)
            self.observer(
                "HMAC", "verify_data", ("finished_key",), "", transcript_hash, verify_data
            )
        return verify_data


class _Stage:
    """One secret of the schedule, from which several others are derived."""

    __slots__ = ("observer", "secret", "suite")

    def __init__(
        self, suite: CipherSuite, secret: Secret, observer: KeyScheduleObserver | None = None
    ) -> None:
        self.suite = suite
        self.secret = secret
        self.observer = observer

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.suite.name}, {self.secret!r})"

    def derive(self, transcript_hash: bytes, *labels: str) -> list[Secret]:
        """Derive-Secret for each label, of messages that are hashed already (section 7.1)."""
        suite = self.suite
        outputs = zip(labels, repeat(suite.hash_size))
        secrets = hkdf_expand_labels(suite.hash_name, self.secret, transcript_hash, outputs)
        if self.observer is not None:
            inputs = (_STAGES[type(self)],)
            for label, secret in zip(labels, secrets, strict=True):
                self.observer(_DERIVE, _OUTPUTS[label], inputs, label, transcript_hash, secret)
        return secrets

    def _traffic_secret(self, label: str, transcript_hash: bytes) -> TrafficSecret:
        (secret,) = self.derive(transcript_hash, label)
        return TrafficSecret(self.suite, secret, _OUTPUTS[label], self.observer)


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
        secret = hkdf_extract(suite.hash_name, bytes(suite.hash_size), psk)
        if observer is not None:
            observer(_EXTRACT, "early_secret", ("0", "psk"), "", b"", secret)
        return cls(suite, secret, observer)

    def binder_key(self, label: str) -> TrafficSecret:
        """What proves that the client holds the key: `verify_data` of it is the binder.

        The label is "res binder", "ext binder" (RFC 8446 section 7.1) or "imp binder" (RFC 9258
        section 4.1.1).
        """
        return self._traffic_secret(label, _empty_hash(self.suite.hash_name))

    def client_early_traffic_secret(self, client_hello_hash: bytes) -> TrafficSecret:
        """What protects 0-RTT data; the hash is that of the first ClientHello, whole."""
        return self._traffic_secret("c e traffic", client_hello_hash)

    def handshake_secret(self, shared_secret: bytes) -> HandshakeSecret:
        """The second stage: `shared_secret` is what the key exchange gave."""
        suite = self.suite
        is_constant = self is _early_secret_without_psk(suite.name)
        salt = (
            _derived_without_psk(suite.name)
            if is_constant
            else self.derive(_empty_hash(suite.hash_name), "derived")[0]
        )
        secret = hkdf_extract(suite.hash_name, salt, shared_secret)
        if self.observer is not None:
            inputs = ("derived_secret", "shared_secret")
            self.observer(_EXTRACT, "handshake_secret", inputs, "", b"", secret)
        return HandshakeSecret(suite, secret, self.observer)


class HandshakeSecret(_Stage):
    """The second stage: protects the rest of the handshake.

    With a PSK and no key exchange (psk_ke), zeros stand in the shared secret's place.
    """

    __slots__ = ()

    def traffic_secrets(self, hello_hash: bytes) -> tuple[TrafficSecret, TrafficSecret]:
        """client_ and server_handshake_traffic_secret.

        `hello_hash` is the transcript up to and including the ServerHello.
        """
        client, server = self.derive(hello_hash, "c hs traffic", "s hs traffic")
        return (
            TrafficSecret(self.suite, client, "client_handshake_traffic_secret", self.observer),
            TrafficSecret(self.suite, server, "server_handshake_traffic_secret", self.observer),
        )

    def master_secret(self) -> MasterSecret:
        """The third stage."""
        suite = self.suite
        (salt,) = self.derive(_empty_hash(suite.hash_name), "derived")
        secret = hkdf_extract(suite.hash_name, salt, bytes(suite.hash_size))
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
        suite = self.suite
        client, server, exporter = self.derive(
            finished_hash, "c ap traffic", "s ap traffic", "exp master"
        )
        return (
            TrafficSecret(suite, client, "client_application_traffic_secret_0", self.observer),
            TrafficSecret(suite, server, "server_application_traffic_secret_0", self.observer),
            ExporterSecret(suite, exporter),
        )

    def resumption_secret(self, client_finished_hash: bytes) -> ResumptionSecret:
        """`client_finished_hash`: the transcript up to and including the client's Finished."""
        (secret,) = self.derive(client_finished_hash, "res master")
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
        """TLS-Exporter(label, context_value, key_length) (RFC 8446 section 7.5).

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
        """The key of one ticket (RFC 8446 section 4.6.1)."""
        suite = self.suite
        (key,) = hkdf_expand_labels(
            suite.hash_name, self.secret, ticket_nonce, (("resumption", suite.hash_size),)
        )
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
"""What comes out under each label, as the RFC calls it."""


def _one_later(name: str) -> str:
    """The name of application_traffic_secret_N+1 from that of N."""
    start, _, number = name.rpartition("_")
    return f"{start}_{int(number) + 1}" if number.isdecimal() else name


# Constants of the RFC, not secrets: the same in every handshake without a PSK.


@lru_cache(maxsize=8)
def _early_secret_without_psk(suite_name: str) -> EarlySecret:
    suite = CIPHER_SUITES[suite_name]
    zeros = bytes(suite.hash_size)
    return EarlySecret(suite, hkdf_extract(suite.hash_name, zeros, zeros))


@lru_cache(maxsize=8)
def _derived_without_psk(suite_name: str) -> Secret:
    early = _early_secret_without_psk(suite_name)
    (derived,) = early.derive(_empty_hash(early.suite.hash_name), "derived")
    return derived


@lru_cache(maxsize=8)
def _empty_hash(hash_name: str) -> bytes:
    return hashlib.new(hash_name).digest()
