"""The one secret of a TLS 1.2 handshake, at the point where both sides have it (RFC 7627)."""

from __future__ import annotations

from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CipherSuite12
from handclasp.handshake.context import HandshakeContext
from handclasp.keys.schedule12 import MasterSecret12, Randoms


def derive_master_secret(
    hs: HandshakeContext,
    suite: CipherSuite12,
    pre_master_secret: Secret,
    randoms: Randoms,
    *,
    means: str,
    extended: bool,
) -> MasterSecret12:
    """Derive the secret right after the ClientKeyExchange, and note it in the key log."""
    hs.note_shared_secret("pre_master_secret", means, pre_master_secret)
    if extended:
        master_secret = MasterSecret12.bound_to_session(
            suite, pre_master_secret, hs.transcript.digest(), randoms, hs.observer
        )
    else:
        master_secret = MasterSecret12.bound_to_randoms(
            suite, pre_master_secret, randoms, hs.observer
        )
    hs.note_secret("CLIENT_RANDOM", master_secret.secret)
    return master_secret


def resume_master_secret(
    hs: HandshakeContext, suite: CipherSuite12, secret: Secret, randoms: Randoms
) -> MasterSecret12:
    """Return a resumed session's secret, with the new randoms, and note it in the key log."""
    master_secret = MasterSecret12(suite, randoms, secret, extended=True, observer=hs.observer)
    hs.note_secret("CLIENT_RANDOM", master_secret.secret)
    return master_secret
