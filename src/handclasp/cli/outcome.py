"""The end of a command: its exit status, and its error in helpful words.

0 is success, 1 means that a handshake or a check failed, 2 that the arguments are wrong or a
file is not what it should be.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Literal

import click

from handclasp.advice import FrontEnd, named_blame, with_ends_named, worded
from handclasp.cli.identity import printable
from handclasp.cli.terminal import terminal_width, wrapped
from handclasp.errors import ConfigurationError, PeerAlertError, TLSError
from handclasp.explained import ExplainedError

if TYPE_CHECKING:
    from handclasp.alerts import Cause
    from handclasp.story.evidence import Evidence
    from handclasp.trace.events import TraceEvent

FAILED = 1


class WrongArguments(click.ClickException):
    """The arguments are wrong: one sentence on standard error, and exit status 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        # It may repeat what a file says, or what a tool said of it.
        message = self.format_message()
        text = f"handclasp: {printable(message, len(message))}"
        stream = sys.stderr if file is None else file
        if stream.isatty():  # In a log or a pipe, it stays in one line.
            text = "\n".join(wrapped(text, terminal_width(stream)))
        click.echo(text, file=file, err=file is None)


@contextmanager
def configuration_checked() -> Generator[None]:
    """Turn a `ConfigurationError` of the library into an error of the arguments."""
    try:
        yield
    except ConfigurationError as error:
        raise WrongArguments(str(error)) from None


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a connection failed, as `--json` shows it.

    Attributes:
        fault: its name in the catalogue, or that of the network's error.
        alert: the alert that was sent or received; None where there was none.
        from_: who found out: "local" or "peer".
        message: one line with the particulars.
        explanation: what that means.
        fix: what to change, on either end; empty where nothing is known to help.
        blame: whose fault it is, as far as this side can know: "client", "server", "network" or
            "unclear".
        condition: when it is somebody else's; where it is unclear, who it may be and why.
        causes: what may be behind a peer's alert, the likeliest first.
        evidence: the bytes that show it, where they were recorded.
        others: those of `causes` that the explanation does not tell.
        role: of this side.
    """

    fault: str
    alert: str | None
    from_: str
    message: str
    explanation: str
    fix: str
    blame: str = "unclear"
    condition: str = ""
    causes: tuple[Cause, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    others: tuple[Cause, ...] = ()
    role: Literal["client", "server"] = "client"

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        role = values.pop("role")
        del values["others"]
        for cause in values["causes"]:
            cause["blame"] = named_blame(cause["blame"], role)
        for evidence in values["evidence"]:
            evidence["octets"] = evidence["octets"].hex()
        return {name.rstrip("_"): value for name, value in values.items()}


def failure_of(
    error: OSError,
    host: str,
    port: int,
    events: Sequence[TraceEvent] = (),
    command: Literal["connect", "serve"] = "connect",
) -> Failure:
    """Return the failure of a connection attempt to `host`, of TLS or of the network below.

    Args:
        events: what a recorder noted meanwhile, from which the evidence comes.
        command: which one runs, as its options are what can be changed on this end.
    """
    role: Literal["client", "server"] = "client" if command == "connect" else "server"
    if isinstance(error, TLSError):
        from handclasp.story.diagnosis import diagnose

        diagnosis = diagnose(events)
        return Failure(
            error.fault_name,
            error.alert or None,
            error.origin,
            error.message,
            error.explanation,
            worded(error.fix, command),
            named_blame(error.blame, role),
            with_ends_named(error.condition, role),
            tuple(_worded(cause, command) for cause in error.causes),
            diagnosis.evidence if diagnosis is not None else (),
            error.others if isinstance(error, PeerAlertError) else (),
            role,
        )
    if isinstance(error, ExplainedError):
        return Failure(
            error.name,
            None,
            "local",
            error.message,
            error.explanation,
            error.fix,
            error.blame,
            error.condition,
        )
    name, explanation, fix, blame, condition = network_failure(error)
    reason = error.strerror or str(error) or type(error).__name__
    # An IPv6 address needs its brackets again for the port to be told apart.
    shown = f"[{host}]" if ":" in host else host
    message = f"{shown}:{port}: {reason}"
    return Failure(name, None, "local", message, explanation, fix, blame, condition)


def _worded(cause: Cause, command: FrontEnd) -> Cause:
    return replace(
        cause,
        fix_local=worded(cause.fix_local, command),
        fix_peer=worded(cause.fix_peer, "reader"),
    )


def network_failure(error: OSError) -> tuple[str, str, str, str, str]:
    """Return the name of a failure below TLS, its meaning, the advice, the blame, and the condition
    of that.
    """
    match error:
        case socket.gaierror():
            return (
                "NAME_NOT_FOUND",
                "The name of the host has no address.",
                "Check the spelling of the host, and this machine's DNS.",
                "client",
                "which asked for that name, unless the DNS is wrong",
            )
        case ConnectionRefusedError():
            return (
                "CONNECTION_REFUSED",
                "The host answers, but nothing listens on this port.",
                "Check the port, and that the service is running.",
                "server",
                "where the service does not run, unless the host or the port is wrong",
            )
        case TimeoutError():
            return (
                "CONNECTION_TIMEOUT",
                "The host did not answer in time.",
                "Check the address, and any firewall on the way.",
                "unclear",
                "the host is down, the address is wrong, or a firewall is on the way",
            )
        case ConnectionResetError() | BrokenPipeError():
            return (
                "CONNECTION_RESET",
                "The other end tore the connection down without a word.",
                "See the other end's log, and check that the port belongs to a TLS service.",
                "unclear",
                "the other end, or something on the way such as a firewall, and neither said why",
            )
        case _:
            return (
                "NETWORK_ERROR",
                "The network could not carry the connection.",
                "Check the address, and this machine's network.",
                "network",
                "unless the address is wrong",
            )
