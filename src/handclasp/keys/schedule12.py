"""The key schedule of TLS 1.2 (RFC 5246 sections 6.3 and 8.1).

    pre_master_secret --PRF--> MasterSecret12 --PRF--> key block: keys and IVs of both directions
                                              --PRF--> verify_data of both Finished
                                              --PRF--> exported keying material (RFC 5705)

The master secret is bound to the whole handshake (RFC 7627), or, where the user allows peers that
cannot do so, to the two randoms alone.
"""

from __future__ import annotations

from handclasp.crypto.prf12 import prf
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CipherSuite12
from handclasp.keys.observer import KeyScheduleObserver
from handclasp.keys.traffic import TrafficKeys
from handclasp.values import field, value

_SIZE = 48
"""Bytes of the master secret."""

VERIFY_DATA_SIZE = 12
"""Bytes of a Finished with each of our suites (RFC 5246 section 7.4.9)."""

RESERVED_LABELS = frozenset(
    (
        "master secret",
        "extended master secret",
        "key expansion",
        "client finished",
        "server finished",
    )
)
"""The labels of the handshake itself, which no exporter may use (RFC 5705 section 4)."""


@value(frozen=True, slots=True)
class Randoms:
    """The randoms of the two hellos, 32 bytes each."""

    client: bytes
    server: bytes


@value(frozen=True, slots=True)
class MasterSecret12:
    """The one secret that both sides hold; all keys come from it.

    Attributes:
        extended: whether it is bound to the handshake (RFC 7627), as exporters and channel
            bindings need it to be.
        observer: told of every step that starts from here.
    """

    suite: CipherSuite12
    randoms: Randoms
    secret: Secret
    extended: bool
    observer: KeyScheduleObserver | None = field(default=None, repr=False, compare=False)

    @classmethod
    def bound_to_session(
        cls,
        suite: CipherSuite12,
        pre_master_secret: bytes,
        session_hash: bytes,
        randoms: Randoms,
        observer: KeyScheduleObserver | None = None,
    ) -> MasterSecret12:
        """RFC 7627 section 4; `session_hash` covers all up to and with the ClientKeyExchange."""
        label = b"extended master secret"
        secret = prf(suite.hash_name, pre_master_secret, label, session_hash, _SIZE)
        if observer is not None:
            _tell_master_secret(observer, label, session_hash, secret)
        return cls(suite, randoms, secret, extended=True, observer=observer)

    @classmethod
    def bound_to_randoms(
        cls,
        suite: CipherSuite12,
        pre_master_secret: bytes,
        randoms: Randoms,
        observer: KeyScheduleObserver | None = None,
    ) -> MasterSecret12:
        """RFC 5246 section 8.1, for peers without the extended master secret."""
        seed = randoms.client + randoms.server
        secret = prf(suite.hash_name, pre_master_secret, b"master secret", seed, _SIZE)
        if observer is not None:
            _tell_master_secret(observer, b"master secret", seed, secret)
        return cls(suite, randoms, secret, extended=False, observer=observer)

    def key_block(self) -> KeyBlock:
        """Return the keys of both directions (RFC 5246 section 6.3); an AEAD has no MAC keys."""
        suite = self.suite
        key, iv = suite.key_size, suite.fixed_iv_size
        seed = self.randoms.server + self.randoms.client
        block = prf(suite.hash_name, self.secret, b"key expansion", seed, 2 * (key + iv))
        keys = Secret(block[:key]), Secret(block[key : 2 * key])
        ivs = Secret(block[2 * key : 2 * key + iv]), Secret(block[2 * key + iv :])
        if self.observer is not None:
            label = "key expansion"
            self.observer("PRF", "key_block", ("master_secret",), label, seed, block)
        return KeyBlock(
            client=TrafficKeys(suite, keys[0], ivs[0]), server=TrafficKeys(suite, keys[1], ivs[1])
        )

    def verify_data(self, sender: str, transcript_hash: bytes) -> bytes:
        """Return the content of Finished of the `sender`, "client" or "server" (section 7.4.9)."""
        label = sender.encode("ascii") + b" finished"
        proof = prf(self.suite.hash_name, self.secret, label, transcript_hash, VERIFY_DATA_SIZE)
        if self.observer is not None:
            text, inputs = label.decode("ascii"), ("master_secret",)
            self.observer("PRF", "verify_data", inputs, text, transcript_hash, proof)
        return bytes(proof)


@value(frozen=True, slots=True)
class KeyBlock:
    """The keys of a connection, by who sends under them."""

    client: TrafficKeys = field(repr=False)
    server: TrafficKeys = field(repr=False)


@value(frozen=True, slots=True)
class Exporter12:
    """The exporter: the source of keys for applications (RFC 5705)."""

    master_secret: MasterSecret12 = field(repr=False)

    @property
    def longest(self) -> int:
        """The most bytes that one label gives: as many as in TLS 1.3, for the sake of both."""
        return 255 * self.master_secret.suite.hash_size

    def export(self, label: str, context: bytes | None, length: int) -> bytes:
        """RFC 5705 section 4; unlike in TLS 1.3, no context differs from an empty one."""
        master = self.master_secret
        seed = master.randoms.client + master.randoms.server
        if context is not None:
            seed += len(context).to_bytes(2, "big") + context
        hash_name = master.suite.hash_name
        return bytes(prf(hash_name, master.secret, label.encode("ascii"), seed, length))


def _tell_master_secret(
    observer: KeyScheduleObserver, label: bytes, seed: bytes, secret: Secret
) -> None:
    inputs = ("pre_master_secret",)
    observer("PRF", "master_secret", inputs, label.decode("ascii"), seed, secret)
