"""Handshakes in memory: both ends in this process, chain verification on, tickets on.

Each stack connects with itself. Full handshakes never resume, though tickets are issued and taken;
resumed ones use each ticket once, the one that the connection before brought. Each connection is
new, and let go of before the next. What one side takes of it is the sum of its own calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from handclasp.cli.benchmarks.floors import SIDES, Side, floor_of
from handclasp.cli.benchmarks.measure import Action, Clock, Row, Timed
from handclasp.cli.benchmarks.stacks import (
    End,
    Factory,
    Identity,
    Setup,
    Stack,
    connect_ends,
    handshake,
)

KEY_TYPES = ("ecdsa-p256", "rsa-2048", "ed25519")
GROUPS = ("X25519", "secp256r1", "X25519MLKEM768")

_FULL_TARGETS = {"ecdsa-p256": 1.6, "rsa-2048": 1.35, "ed25519": 1.6}
_HYBRID_TARGET = 1.15
_RESUMED_TARGET = 2.0

T = TypeVar("T")


def rows(
    stacks: Sequence[Stack], identities: dict[str, Identity], *, quick: bool = False
) -> Iterator[Row]:
    """Full handshakes by version, key and group, and resumed ones."""
    key_types = KEY_TYPES[:1] if quick else KEY_TYPES
    for key_type in key_types:
        for group in GROUPS[::2] if quick else GROUPS:
            yield _full(stacks, Setup(identities[key_type], group=group))
    for key_type in () if quick else KEY_TYPES:
        for group in GROUPS[:2]:
            yield _full(stacks, _of_tls12(identities[key_type], group))
    for setup in (
        Setup(identities["ecdsa-p256"], resumes=True),
        Setup(identities["ecdsa-p256"], group="secp256r1", resumes=True),
        _of_tls12(identities["ecdsa-p256"], "X25519", resumes=True),
    ):
        yield _resumed(stacks, setup)


def side_rows(stacks: Sequence[Stack], identity: Identity) -> Iterator[Row]:
    """Return the times of client and server for a TLS 1.3 handshake, full and resumed."""
    for resumes in (False, True):
        for group in GROUPS[:2]:
            setup = Setup(identity, group=group, resumes=resumes)
            factories = _factories(stacks, setup)
            kind = "resumed" if resumes else f"full, {identity.key_type}"
            for side in SIDES:
                actions = {name: OneSide(each, side) for name, each in factories.items()}
                name = f"{side}, v1.3 {kind}, {group}"
                yield Row("sides", name, actions, floor_of(setup, [side]), in_this_thread=True)


def _of_tls12(identity: Identity, group: str, *, resumes: bool = False) -> Setup:
    kind = "RSA" if identity.key_type.startswith("rsa") else "ECDSA"
    suite = f"TLS_ECDHE_{kind}_WITH_AES_256_GCM_SHA384"
    return Setup(identity, "TLSv1.2", group, suite, resumes)


def _full(stacks: Sequence[Stack], setup: Setup) -> Row:
    factories = _factories(stacks, setup)
    if setup.group == "X25519MLKEM768":
        # Where `ssl` lacks the group, its X25519 stands beside it, as targets say.
        library = [stack for stack in stacks if stack.name == "ssl" and not stack.fits(setup)]
        factories |= _factories(library, Setup(setup.identity))
    targets: dict[str, float] = {}
    if setup.version == "TLSv1.3":
        target = _FULL_TARGETS[setup.identity.key_type]
        if setup.group == "X25519MLKEM768":
            target = min(target, _HYBRID_TARGET)
        targets = {"ssl": target, **_targets_of(stacks)}
    name = f"{setup.version[3:]} full, {setup.identity.key_type}, {setup.group}"
    return _row(name, factories, floor_of(setup), targets)


def _resumed(stacks: Sequence[Stack], setup: Setup) -> Row:
    targets = {"ssl": _RESUMED_TARGET, **_targets_of(stacks)}
    name = f"{setup.version[3:]} resumed, {setup.group}"
    return _row(name, _factories(stacks, setup), floor_of(setup), targets)


def _targets_of(stacks: Sequence[Stack]) -> dict[str, float]:
    return {stack.name: stack.target for stack in stacks if stack.target is not None}


def _row(
    name: str, factories: dict[str, Factory], floor: Action | None, targets: dict[str, float]
) -> Row:
    actions: dict[str, Timed] = {stack: _repeated(each) for stack, each in factories.items()}
    # A target against what cannot do the row would only confuse.
    met = {stack: target for stack, target in targets.items() if stack in actions}
    return Row("handshakes", name, actions, floor, met, in_this_thread=True)


def _factories(stacks: Sequence[Stack], setup: Setup) -> dict[str, Factory]:
    """Return the factories of the stacks that support it, with a session if they resume."""
    factories = {stack.name: stack.factory(setup) for stack in stacks if stack.fits(setup)}
    for name, factory in factories.items():
        handshake(factory)
        if handshake(factory)[0].is_resumed not in (setup.resumes, None):
            raise RuntimeError(f"{name} did {'not resume' if setup.resumes else 'resume'}")
    return factories


def _repeated(factory: Factory) -> Action:
    def run(_: Any) -> None:
        handshake(factory)  # What it gives is not kept: freeing it is part of the work.

    return Action(run)


@dataclass(frozen=True, slots=True)
class OneSide:
    """Whole handshakes, of which one side counts."""

    factory: Factory
    side: Side

    def seconds(self, clock: Clock) -> float:
        ends = {
            "client": ClockedEnd(self.factory.client, clock),
            "server": ClockedEnd(self.factory.server, clock),
        }
        connect_ends(ends["client"], ends["server"])
        return ends[self.side].let_go()


class ClockedEnd:
    """An end, and the seconds spent in making it, in its exchanges and in freeing it."""

    def __init__(self, make: Callable[[], End], clock: Clock) -> None:
        self._clock = clock
        self._seconds = 0.0
        self._ends = [self._clocked(make)]

    def exchange(self, data: bytes) -> bytes:
        return self._clocked(lambda: self._ends[0].exchange(data))

    @property
    def is_complete(self) -> bool:
        return self._ends[0].is_complete

    def let_go(self) -> float:
        """Free the end, and tell the seconds."""
        self._clocked(self._ends.clear)
        return self._seconds

    def _clocked(self, call: Callable[[], T]) -> T:
        started = self._clock()
        given = call()
        self._seconds += self._clock() - started
        return given
