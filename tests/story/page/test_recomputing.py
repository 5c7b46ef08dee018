"""The commands of OpenSSL on the page: run as they stand there, they give the recorded values."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace

import pytest
from tests.pki import Pki
from tests.recorded import Recorded, converse
from tests.required import need_tool

from handclasp import ClientConfig, PreSharedKey, ServerConfig
from handclasp.story.page.document import page_of
from handclasp.story.page.recomputing import commands_of
from handclasp.trace.events import KeyStep, TraceEvent


def computed(command: str) -> str:
    """What a command prints, as hexadecimal."""
    for tool in ("openssl", "xxd"):
        need_tool(tool)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    return re.sub("[^0-9a-f]", "", done.stdout.rpartition("= ")[2].lower())


def check(events: list[TraceEvent]) -> None:
    steps = [event for event in events if isinstance(event, KeyStep)]
    commands = commands_of(events)
    for step, command in zip(steps, commands, strict=True):
        if command:
            assert computed(command) == step.value.hex(), command
    without = [step for step, command in zip(steps, commands, strict=True) if not command]
    assert {step.operation for step in without} <= {"key agreement"}


@pytest.mark.parametrize(
    ("suite", "version"),
    [
        ("TLS_AES_128_GCM_SHA256", "TLSv1.3"),
        ("TLS_AES_256_GCM_SHA384", "TLSv1.3"),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLSv1.2"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLSv1.2"),
    ],
)
def test_every_step_is_what_openssl_computes(suite: str, version: str) -> None:
    pki = Pki()
    client = ClientConfig(trust=pki.trust, versions=[version], cipher_suites=[suite])
    server = ServerConfig(credentials=pki.server())
    check(list(converse(client, server, secrets=True).client.events))


def test_a_step_from_a_key_that_the_trace_has_not() -> None:
    psks = [PreSharedKey(b"id", bytes(range(32)))]
    events = converse(ClientConfig(psks=psks), ServerConfig(psks=psks), secrets=True).client.events
    first = next(event for event in events if isinstance(event, KeyStep))
    if first.inputs != ("0", "0"):
        assert commands_of(events)[0] == ""
    assert any(commands_of(events))


def test_without_secrets_there_are_no_commands(plain: Recorded) -> None:
    assert set(commands_of(plain.client.events)) == {""}
    assert "openssl kdf" not in page_of(plain.client.events, "localhost")


def test_a_label_of_a_forged_trace_stays_an_argument(with_secrets: Recorded) -> None:
    label = "key' \"; $(touch forged) `touch forged`\n"
    events = [
        replace(event, label=label) if isinstance(event, KeyStep) else event
        for event in with_secrets.client.events
    ]
    found = [command for command in commands_of(events) if "TLS13-KDF" in command]
    assert found
    for command in found:
        assert f"label:{label}" in shlex.split(command)


@pytest.mark.parametrize("operation", ["HKDF-Extract", "Derive-Secret", "PRF", "HMAC"])
@pytest.mark.parametrize("count", range(4))
def test_a_trace_can_name_any_number_of_inputs(
    with_secrets: Recorded, operation: str, count: int
) -> None:
    """One that somebody else wrote: there are commands for the right number of them alone."""
    events = [
        replace(each, operation=operation, inputs=("0",) * count)
        if isinstance(each, KeyStep)
        else each
        for each in with_secrets.client.events
    ]
    assert any(commands_of(events)) == (count == (2 if operation == "HKDF-Extract" else 1))
    page_of(events, "localhost")
