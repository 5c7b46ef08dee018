"""Handshakes in memory: both ends in this process, chain verification on, tickets on.

Each stack connects with itself. Full handshakes never resume, though tickets are issued and taken;
resumed ones use each ticket once, the one that the connection before brought. Each connection is
new, and let go of before the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from handclasp.cli.benchmarks.measure import Action, Row
from handclasp.cli.benchmarks.stacks import Factory, Identity, Setup, Stack, handshake

KEY_TYPES = ("ecdsa-p256", "rsa-2048", "ed25519")
GROUPS = ("X25519", "secp256r1", "X25519MLKEM768")

_FULL_TARGETS = {"ecdsa-p256": 1.6, "rsa-2048": 1.35, "ed25519": 1.6}
_HYBRID_TARGET = 1.15
_RESUMED_TARGET = 2.0


def rows(
    stacks: Sequence[Stack], identities: dict[str, Identity], *, quick: bool = False
) -> Iterator[Row]:
    """Full handshakes by version, key and group, and resumed ones."""
    key_types = KEY_TYPES[:1] if quick else KEY_TYPES
    for key_type in key_types:
        for group in GROUPS[::2] if quick else GROUPS:
            yield _full(stacks, Setup(identities[key_type], group=group))
    for key_type in () if quick else KEY_TYPES[:2]:
        for group in GROUPS[:2]:
            yield _full(stacks, _of_tls12(identities[key_type], group))
    for setup in (
        Setup(identities["ecdsa-p256"], resumes=True),
        Setup(identities["ecdsa-p256"], group="secp256r1", resumes=True),
        _of_tls12(identities["ecdsa-p256"], "X25519", resumes=True),
    ):
        yield _resumed(stacks, setup)


def _of_tls12(identity: Identity, group: str, *, resumes: bool = False) -> Setup:
    kind = "RSA" if identity.key_type.startswith("rsa") else "ECDSA"
    suite = f"TLS_ECDHE_{kind}_WITH_AES_256_GCM_SHA384"
    return Setup(identity, "TLSv1.2", group, suite, resumes)


def _full(stacks: Sequence[Stack], setup: Setup) -> Row:
    actions = _actions(stacks, setup)
    if setup.group == "X25519MLKEM768":
        # `ssl` has no such group here: it is compared with its own X25519, as targets say.
        actions |= _actions(stacks, Setup(setup.identity), only="ssl")
    target = None
    if setup.version == "TLSv1.3":
        target = _FULL_TARGETS[setup.identity.key_type]
        if setup.group == "X25519MLKEM768":
            target = min(target, _HYBRID_TARGET)
    name = f"{setup.version[3:]} full, {setup.identity.key_type}, {setup.group}"
    return Row("handshakes", name, actions, _primitives(setup), target, in_this_thread=True)


def _resumed(stacks: Sequence[Stack], setup: Setup) -> Row:
    actions = _actions(stacks, setup)
    name = f"{setup.version[3:]} resumed, {setup.group}"
    return Row("handshakes", name, actions, None, _RESUMED_TARGET, in_this_thread=True)


def _actions(stacks: Sequence[Stack], setup: Setup, only: str = "") -> dict[str, Action]:
    actions: dict[str, Action] = {}
    for stack in stacks:
        if not stack.fits(setup) or (only and stack.name != only):
            continue
        factory = stack.factory(setup)
        handshake(factory)
        if setup.resumes and not handshake(factory)[0].is_resumed and stack.name != "pyOpenSSL":
            raise RuntimeError(f"{stack.name} did not resume")
        actions[stack.name] = _repeated(factory)
    return actions


def _repeated(factory: Factory) -> Action:
    def run(_: Any) -> None:
        handshake(factory)  # What it gives is not kept: freeing it is part of the work.

    return Action(run)


def _primitives(setup: Setup) -> Action | None:
    """The public-key operations of both ends: what no implementation can do without."""
    from cryptography.hazmat.primitives.asymmetric import ec, x25519
    from cryptography.hazmat.primitives.hashes import SHA256

    if setup.identity.key_type != "ecdsa-p256" or setup.group != "X25519":
        return None
    signer, scheme, content = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.ECDSA(SHA256()),
        bytes(130),
    )
    public = signer.public_key()

    def run(_: Any) -> None:
        client, server = (x25519.X25519PrivateKey.generate() for _ in range(2))
        server.exchange(client.public_key())
        client.exchange(server.public_key())
        public.verify(signer.sign(content, scheme), content, scheme)

    return Action(run)
