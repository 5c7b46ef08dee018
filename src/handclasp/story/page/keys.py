"""The key schedule: a picture, and every step with its inputs and its output.

The stages of the picture are those of the RFCs. Secrets that the recorded connection derived are
filled in, with the first bytes of their values if the trace has them. The template `schedule.svg`
draws it, in its own units, narrow enough for a phone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from handclasp.story.page.recomputing import commands_of
from handclasp.story.recorded import KeyExchange
from handclasp.trace.events import KeyStep, SecretDerived, TraceEvent
from handclasp.values import dataclass


class Branch(NamedTuple):
    """A secret that a stage yields: its label in the RFC and in a key log, and its purpose."""

    label: str
    logged: str
    purpose: str


class Stage(NamedTuple):
    """A stage: its input, its name for people and in the RFC, and its operation."""

    ingredient: str
    name: str
    output: str
    operation: str
    branches: tuple[Branch, ...]


_BINDER_LABELS = ("res binder", "ext binder", "imp binder")
_BINDER = Branch(_BINDER_LABELS[0], "", "proof of having the key")

STAGES13 = (
    Stage(
        "a pre-shared key, or zeros",
        "Early Secret",
        "early_secret",
        "HKDF-Extract",
        (
            _BINDER,
            Branch("c e traffic", "CLIENT_EARLY_TRAFFIC_SECRET", "the client's early data"),
            Branch("e exp master", "EARLY_EXPORTER_SECRET", "keys for applications, early"),
        ),
    ),
    Stage(
        "the secret of the key exchange",
        "Handshake Secret",
        "handshake_secret",
        "HKDF-Extract",
        (
            Branch("c hs traffic", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "the client's handshake"),
            Branch("s hs traffic", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "the server's handshake"),
        ),
    ),
    Stage(
        "zeros",
        "Master Secret",
        "master_secret",
        "HKDF-Extract",
        (
            Branch("c ap traffic", "CLIENT_TRAFFIC_SECRET_0", "the client's data"),
            Branch("s ap traffic", "SERVER_TRAFFIC_SECRET_0", "the server's data"),
            Branch("exp master", "EXPORTER_SECRET", "keys for applications"),
            Branch("res master", "RESUMPTION_SECRET", "tickets for later sessions"),
            Branch("resumption", "", "a ticket's key, by res master"),
        ),
    ),
)
"""RFC 9846 section 7.1."""

STAGES12 = (
    Stage("the key exchange", "Premaster Secret", "pre_master_secret", "both halves", ()),
    Stage(
        "both hellos, or all messages",
        "Master Secret",
        "master_secret",
        "PRF",
        (
            Branch("key expansion", "", "the keys of both directions"),
            Branch("client finished", "", "the client's Finished"),
            Branch("server finished", "", "the server's Finished"),
        ),
    ),
)
"""RFC 5246 section 8.1, RFC 7627 section 4."""


def _stages(
    version: str, key_exchange: KeyExchange | None, *, has_psk: bool = False
) -> Sequence[Stage]:
    """Return the stages, with their inputs by this key exchange; if unknown, by any."""
    if version == "TLSv1.3":
        if key_exchange != "psk":
            return STAGES13
        early, handshake, master = STAGES13
        return early, handshake._replace(ingredient="zeros: there was no key exchange"), master
    premaster, master = STAGES12
    if key_exchange == "psk":
        key = "the pre-shared key"
        return premaster._replace(ingredient=key, operation="zeros, and that key"), master
    if key_exchange == "psk transport":
        made = "made by the client, and the key"
        return premaster._replace(ingredient="random bytes, a key", operation=made), master
    if key_exchange == "session":
        return (master._replace(ingredient="an earlier session", operation="kept from there"),)
    if key_exchange == "transport":
        made = "made by the client alone"
        return premaster._replace(ingredient="random bytes", operation=made), master
    if has_psk:  # (EC)DHE_PSK: RFC 4279 section 3, RFC 5489 section 2
        both = "both halves, and the key"
        return premaster._replace(ingredient="the key exchange, a key", operation=both), master
    return STAGES12


_OTHER_SECRETS = {"CLIENT_RANDOM": "master_secret"}
_BEGINNING = 9
"""The number of bytes of a value in the picture."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the list.

    Attributes:
        key: names the step within the page.
        name: the name of the output.
        how: the operation with its inputs, in the notation of the RFC.
        context: the transcript hash or nonce, in hexadecimal; empty if there is none.
        hex: the value; empty if it was not recorded.
        size: the size of the value, in bytes.
        command: the command of OpenSSL that computes it; empty if a value is missing for it.
    """

    key: str
    name: str
    how: str
    context: str
    hex: str
    size: int
    command: str = ""

    @property
    def beginning(self) -> str:
        """The first bytes of the value, for the picture."""
        if len(self.hex) <= 2 * _BEGINNING:
            return self.hex
        return f"{self.hex[: 2 * _BEGINNING]}…"


@dataclass(frozen=True, slots=True)
class PlacedBranch:
    """The place of a secret in the picture; `step` is None if it was not derived."""

    y: int
    label: str
    purpose: str
    step: Step | None


@dataclass(frozen=True, slots=True)
class PlacedStage:
    """The place of a stage; `to` is the end of the line to the next one, if there is one."""

    y: int
    ingredient: str
    name: str
    operation: str
    step: Step | None
    branches: tuple[PlacedBranch, ...]
    to: int | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """The picture, and every recorded step."""

    height: int
    stages: tuple[PlacedStage, ...]
    steps: tuple[Step, ...]

    @property
    def title(self) -> str:
        """The picture in words, for screen readers."""
        return f"The key schedule: {', then '.join(stage.name for stage in self.stages)}"

    @property
    def has_values(self) -> bool:
        """Whether any secret was recorded."""
        return any(step.hex for step in self.steps)


def schedule_of(
    events: Sequence[TraceEvent],
    version: str | None,
    key_exchange: KeyExchange | None = None,
    *,
    has_psk: bool = False,
) -> Schedule | None:
    """Return the key schedule of a version and a key exchange; None without a version.

    Args:
        has_psk: whether a pre-shared key goes into the secret by the cipher suite of TLS 1.2.
    """
    if version is None:
        return None
    stages = _stages(version, key_exchange, has_psk=has_psk)
    noted = [event for event in events if isinstance(event, KeyStep)]
    stages = _with_binders(stages, {event.label for event in noted})
    if noted:
        commands = commands_of(events)
        steps = [
            _step(number, event, command)
            for number, (event, command) in enumerate(zip(noted, commands, strict=True), 1)
        ]
        found = {name: step for event, step in zip(noted, steps, strict=True)
                 for name in (event.output, event.label)}  # fmt: skip
    else:
        steps, found = _logged(events, stages)
    placed, height = _placed(stages, found)
    return Schedule(height, placed, tuple(steps))


def _with_binders(stages: Sequence[Stage], labels: Collection[str]) -> Sequence[Stage]:
    """Name the binder keys by the pre-shared keys offered: of tickets, external or imported."""
    offered = [_BINDER._replace(label=label) for label in _BINDER_LABELS if label in labels]
    return [
        stage._replace(branches=(*(offered or [_BINDER]), *stage.branches[1:]))
        if _BINDER in stage.branches
        else stage
        for stage in stages
    ]


def _step(number: int, event: KeyStep, command: str) -> Step:
    inputs = ", ".join(event.inputs)
    label = f', "{event.label}"' if event.label else ""
    context = ", context" if event.context else ""
    return Step(
        key=f"key-{number}",
        name=event.output,
        how=f"{event.operation}({inputs}{label}{context})",
        context=event.context.hex(),
        hex=event.value.hex(),
        size=event.size,
        command=command,
    )


def _logged(
    events: Sequence[TraceEvent], stages: Sequence[Stage]
) -> tuple[list[Step], dict[str, Step]]:
    """Return the secrets of the key log, for a trace without the steps themselves."""
    labels = {branch.logged: branch.label for stage in stages for branch in stage.branches}
    steps: list[Step] = []
    found: dict[str, Step] = {}
    for event in events:
        if isinstance(event, SecretDerived):
            name = labels.get(event.label) or _OTHER_SECRETS.get(event.label, event.label)
            key = f"key-{len(steps) + 1}"
            steps.append(Step(key, name, event.label, "", event.value.hex(), len(event.value)))
            found[name] = steps[-1]
    return steps, found


def _placed(stages: Sequence[Stage], found: dict[str, Step]) -> tuple[tuple[PlacedStage, ...], int]:
    placed: list[PlacedStage] = []
    y = 4
    for number, stage in enumerate(stages, 1):
        y += 38
        height = max(54, 48 * len(stage.branches))
        branches = tuple(
            PlacedBranch(y + 48 * index, branch.label, branch.purpose, found.get(branch.label))
            for index, branch in enumerate(stage.branches)
        )
        to = y + height + 56 if number < len(stages) else None
        step = found.get(stage.output)
        placed.append(
            PlacedStage(y, stage.ingredient, stage.name, stage.operation, step, branches, to)
        )
        y += height + 18
    return tuple(placed), y
