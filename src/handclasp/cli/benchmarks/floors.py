"""The floor of a handshake: its public-key operations, as the bare calls of cryptography."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec, mlkem, padding, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from handclasp.cli.benchmarks.measure import Action
from handclasp.cli.benchmarks.stacks import Setup

Side = Literal["client", "server"]
SIDES: tuple[Side, ...] = ("client", "server")

Step = Callable[[], object]
Steps = dict[Side, list[Step]]

_SIGNED = bytes(146)
"""As long as what CertificateVerify signs under SHA-384 (RFC 8446 section 4.4.3)."""


def floor_of(setup: Setup, sides: Sequence[Side] = SIDES) -> Action | None:
    """Return the necessary cryptography of these sides of a handshake; None if there is none."""
    parts: list[Steps] = []
    # RFC 5077: what is resumed in TLS 1.2 agrees on nothing anew.
    if not (setup.resumes and setup.version == "TLSv1.2"):
        parts += [exchange() for exchange in _EXCHANGES[setup.group]]
    if not setup.resumes:
        parts.append(_signature(load_pem_private_key(setup.identity.key_pem, None)))
    steps = [step for part in parts for side in sides for step in part[side]]

    def run(_: Any) -> None:
        for step in steps:
            step()

    return Action(run) if steps else None


def _x25519() -> Steps:
    own, peer = (x25519.X25519PrivateKey.generate() for _ in range(2))
    public = peer.public_key()
    both: list[Step] = [x25519.X25519PrivateKey.generate, lambda: own.exchange(public)]
    return {"client": both, "server": both}


def _secp256r1() -> Steps:
    curve = ec.SECP256R1()
    own, peer = (ec.generate_private_key(curve) for _ in range(2))
    public = peer.public_key()
    both: list[Step] = [
        lambda: ec.generate_private_key(curve),
        lambda: own.exchange(ec.ECDH(), public),
    ]
    return {"client": both, "server": both}


def _mlkem768() -> Steps:
    own = mlkem.MLKEM768PrivateKey.generate()
    public = own.public_key()
    _, ciphertext = public.encapsulate()
    return {
        "client": [mlkem.MLKEM768PrivateKey.generate, lambda: own.decapsulate(ciphertext)],
        "server": [public.encapsulate],
    }


_EXCHANGES: dict[str, tuple[Callable[[], Steps], ...]] = {
    "X25519": (_x25519,),
    "secp256r1": (_secp256r1,),
    "X25519MLKEM768": (_x25519, _mlkem768),
}


def _signature(key: Any) -> Steps:
    """Sign as the server, and verify as the client, in the scheme of the key."""
    given: tuple[Any, ...] = ()
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.DIGEST_LENGTH)
        given = (pss, SHA256())
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        given = (ec.ECDSA(SHA256()),)
    public, signature = key.public_key(), key.sign(_SIGNED, *given)
    return {
        "client": [lambda: public.verify(signature, _SIGNED, *given)],
        "server": [lambda: key.sign(_SIGNED, *given)],
    }
