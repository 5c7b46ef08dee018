"""The key schedule of TLS 1.3, one class for each stage (RFC 8446 section 7.1).

             0
             |
   PSK ->  HKDF-Extract = EarlySecret
             |  "derived"
   (EC)DHE -> HKDF-Extract = HandshakeSecret --> client and server handshake traffic secrets
             |  "derived"
   0 ->    HKDF-Extract = MasterSecret --> application traffic, exporter, resumption secrets

A stage gives the next one and cannot be turned back. Each is built from what the one before it
holds, so keys cannot be derived in the wrong order.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache

from handclasp.crypto.hkdf import hkdf_expand_label, hkdf_extract
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import IV_SIZE, CipherSuite


@dataclass(frozen=True, slots=True)
class TrafficKeys:
    """What protects records in one direction of one epoch (RFC 8446 section 7.3)."""

    suite: CipherSuite
    key: Secret
    iv: Secret


@dataclass(frozen=True, slots=True)
class TrafficSecret:
    """The secret of one direction and epoch, from which its keys come."""

    suite: CipherSuite
    secret: Secret

    def keys(self) -> TrafficKeys:
        """[sender]_write_key and [sender]_write_iv (RFC 8446 section 7.3)."""
        suite, secret = self.suite, self.secret
        key = hkdf_expand_label(suite.hash_name, secret, "key", b"", suite.key_size)
        iv = hkdf_expand_label(suite.hash_name, secret, "iv", b"", IV_SIZE)
        return TrafficKeys(suite, key, iv)

    def next(self) -> TrafficSecret:
        """application_traffic_secret_N+1 (RFC 8446 section 7.2)."""
        suite = self.suite
        after = hkdf_expand_label(suite.hash_name, self.secret, "traffic upd", b"", suite.hash_size)
        return TrafficSecret(suite, after)

    def verify_data(self, transcript_hash: bytes) -> bytes:
        """The content of this side's Finished (RFC 8446 section 4.4.4)."""
        suite = self.suite
        key = hkdf_expand_label(suite.hash_name, self.secret, "finished", b"", suite.hash_size)
        return hmac.digest(key, transcript_hash, suite.hash_name)


@dataclass(frozen=True, slots=True)
class EarlySecret:
    """The first stage: a pre-shared key, or zeros without one."""

    suite: CipherSuite
    secret: Secret

    @classmethod
    def without_psk(cls, suite: CipherSuite) -> EarlySecret:
        return cls(suite, _early_secret_without_psk(suite.hash_name, suite.hash_size))

    @classmethod
    def from_psk(cls, suite: CipherSuite, psk: bytes) -> EarlySecret:
        return cls(suite, hkdf_extract(suite.hash_name, bytes(suite.hash_size), psk))

    def binder_key(self, label: str) -> TrafficSecret:
        """What proves that the client holds the key: `verify_data` of it is the binder.

        The label is "res binder", "ext binder" (RFC 8446 section 7.1) or "imp binder" (RFC 9258
        section 4.1.1).
        """
        return _traffic_secret(self, label, _empty_hash(self.suite.hash_name))

    def client_early_traffic_secret(self, client_hello_hash: bytes) -> TrafficSecret:
        """What protects 0-RTT data; the hash is that of the first ClientHello, whole."""
        return _traffic_secret(self, "c e traffic", client_hello_hash)

    def handshake_secret(self, shared_secret: bytes) -> HandshakeSecret:
        """The second stage: `shared_secret` is what the key exchange gave."""
        salt = _derived(self.suite.hash_name, self.suite.hash_size, self.secret)
        secret = hkdf_extract(self.suite.hash_name, salt, shared_secret)
        return HandshakeSecret(self.suite, secret)


@dataclass(frozen=True, slots=True)
class HandshakeSecret:
    """The second stage: protects the rest of the handshake.

    With a PSK and no key exchange (psk_ke), zeros stand in the shared secret's place.
    """

    suite: CipherSuite
    secret: Secret

    def client_handshake_traffic_secret(self, hello_hash: bytes) -> TrafficSecret:
        """`hello_hash`: the transcript up to and including the ServerHello."""
        return _traffic_secret(self, "c hs traffic", hello_hash)

    def server_handshake_traffic_secret(self, hello_hash: bytes) -> TrafficSecret:
        """`hello_hash`: the transcript up to and including the ServerHello."""
        return _traffic_secret(self, "s hs traffic", hello_hash)

    def master_secret(self) -> MasterSecret:
        """The third stage."""
        suite = self.suite
        salt = _derive_secret(self, "derived", _empty_hash(suite.hash_name))
        return MasterSecret(suite, hkdf_extract(suite.hash_name, salt, bytes(suite.hash_size)))


@dataclass(frozen=True, slots=True)
class MasterSecret:
    """The third stage: protects application data.

    `finished_hash` is the transcript up to and including the server's Finished.
    """

    suite: CipherSuite
    secret: Secret

    def client_application_traffic_secret(self, finished_hash: bytes) -> TrafficSecret:
        return _traffic_secret(self, "c ap traffic", finished_hash)

    def server_application_traffic_secret(self, finished_hash: bytes) -> TrafficSecret:
        return _traffic_secret(self, "s ap traffic", finished_hash)

    def resumption_secret(self, client_finished_hash: bytes) -> ResumptionSecret:
        """`client_finished_hash`: the transcript up to and including the client's Finished."""
        return ResumptionSecret(
            self.suite, _derive_secret(self, "res master", client_finished_hash)
        )

    def exporter_secret(self, finished_hash: bytes) -> ExporterSecret:
        return ExporterSecret(self.suite, _derive_secret(self, "exp master", finished_hash))


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class ResumptionSecret:
    """resumption_master_secret, from which the keys of tickets come."""

    suite: CipherSuite
    secret: Secret

    def psk(self, ticket_nonce: bytes) -> Secret:
        """The key of one ticket (RFC 8446 section 4.6.1)."""
        suite = self.suite
        return hkdf_expand_label(
            suite.hash_name, self.secret, "resumption", ticket_nonce, suite.hash_size
        )


def _traffic_secret(
    stage: EarlySecret | HandshakeSecret | MasterSecret, label: str, transcript_hash: bytes
) -> TrafficSecret:
    return TrafficSecret(stage.suite, _derive_secret(stage, label, transcript_hash))


def _derive_secret(
    stage: EarlySecret | HandshakeSecret | MasterSecret, label: str, transcript_hash: bytes
) -> Secret:
    suite = stage.suite
    return hkdf_expand_label(suite.hash_name, stage.secret, label, transcript_hash, suite.hash_size)


@lru_cache(maxsize=8)
def _early_secret_without_psk(hash_name: str, hash_size: int) -> Secret:
    return hkdf_extract(hash_name, bytes(hash_size), bytes(hash_size))


def _derived(hash_name: str, hash_size: int, early_secret: Secret) -> Secret:
    if early_secret is _early_secret_without_psk(hash_name, hash_size):
        return _derived_without_psk(hash_name, hash_size)
    return hkdf_expand_label(hash_name, early_secret, "derived", _empty_hash(hash_name), hash_size)


@lru_cache(maxsize=8)
def _derived_without_psk(hash_name: str, hash_size: int) -> Secret:
    # A constant of the RFC, not a secret: the same in every handshake without a PSK.
    early_secret = _early_secret_without_psk(hash_name, hash_size)
    return hkdf_expand_label(hash_name, early_secret, "derived", _empty_hash(hash_name), hash_size)


@lru_cache(maxsize=8)
def _empty_hash(hash_name: str) -> bytes:
    return hashlib.new(hash_name).digest()
