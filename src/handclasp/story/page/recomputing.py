"""Commands of OpenSSL that repeat the steps of a key schedule, for readers who doubt or learn.

They need the values, so there are none without `record_secrets`. `openssl kdf` is there from
OpenSSL 3.0 on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote

from handclasp.trace.events import KeysInstalled, KeyStep, TraceEvent


def commands_of(events: Sequence[TraceEvent]) -> tuple[str, ...]:
    """Return a command for each `KeyStep`, in order; empty where a value is missing.

    A key agreement has none: the trace never holds a private key.
    """
    suites = (event.cipher_suite for event in events if isinstance(event, KeysInstalled))
    digest = _digest_of(next(suites, ""))
    values: dict[str, str] = {}
    commands: list[str] = []
    for event in events:
        if isinstance(event, KeyStep):
            commands.append(_command(event, values, digest) if digest else "")
            # A name such as derived_secret comes again: the next steps mean the latest.
            values[event.output] = event.value.hex()
    return tuple(commands)


def _digest_of(suite: str) -> str:
    """Return OpenSSL's name of the hash of a suite, or an empty text for an unknown suite."""
    if not suite:
        return ""
    return "SHA384" if suite.endswith("SHA384") else "SHA256"


def _command(step: KeyStep, values: Mapping[str, str], digest: str) -> str:
    zeros = "00" * (48 if digest == "SHA384" else 32)
    inputs = [zeros if name == "0" else values.get(name, "") for name in step.inputs]
    # A trace that somebody else wrote can name any number of inputs.
    if len(inputs) != _INPUTS.get(step.operation, 1) or not (step.value and all(inputs)):
        return ""
    if step.operation == "HMAC":
        context = f"printf %s {step.context.hex()} | xxd -r -p | "
        return f"{context}openssl dgst -{digest.lower()} -mac HMAC -macopt hexkey:{inputs[0]}"
    # A label of a trace that somebody else wrote is any text, and must stay an argument.
    options = " ".join(f"-kdfopt {quote(option)}" for option in _options(step, inputs, digest))
    kind = _KINDS.get(step.operation, "")
    return f"openssl kdf -keylen {step.size} {options} {kind}" if kind else ""


_KINDS = {
    "HKDF-Extract": "HKDF",
    "Derive-Secret": "TLS13-KDF",
    "HKDF-Expand-Label": "TLS13-KDF",
    "PRF": "TLS1-PRF",
}
"""The operations, and OpenSSL's names of them."""

_INPUTS = {"HKDF-Extract": 2}
"""The number of inputs of an operation, where it is not 1."""


def _options(step: KeyStep, inputs: Sequence[str], digest: str) -> Iterator[str]:
    yield f"digest:{digest}"
    match step.operation:
        case "HKDF-Extract":
            salt, material = inputs
            yield from ("mode:EXTRACT_ONLY", f"hexsalt:{salt}", f"hexkey:{material}")
        case "PRF":
            yield from (f"hexsecret:{inputs[0]}", f"seed:{step.label}")
            yield f"hexseed:{step.context.hex()}"
        case _:
            yield from ("mode:EXPAND_ONLY", f"hexkey:{inputs[0]}")
            yield from ("prefix:tls13 ", f"label:{step.label}")
            if step.context:
                yield f"hexdata:{step.context.hex()}"
