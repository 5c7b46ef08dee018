"""How a command ends: exit status, and what went wrong in words that help.

0 is success, 1 means that a handshake or a check failed, 2 that the arguments are wrong.
"""

from __future__ import annotations

import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

import click

from handclasp.cli.identity import printable
from handclasp.errors import ConfigurationError, TLSError

if TYPE_CHECKING:
    from handclasp.alerts import Cause
    from handclasp.trace.diagnosis import Evidence
    from handclasp.trace.events import TraceEvent

FAILED = 1


class WrongArguments(click.ClickException):
    """The arguments are wrong: one sentence on standard error, and exit status 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        # It may repeat what a file says, or what a tool said of it.
        message = self.format_message()
        text = printable(message, len(message))
        click.echo(f"handclasp: {text}", file=file, err=file is None)


@contextmanager
def configuration_checked() -> Generator[None]:
    """What the library will not accept as a setting came from the arguments."""
    try:
        yield
    except ConfigurationError as error:
        raise WrongArguments(str(error)) from None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a connection failed, as `--json` shows it.

    Attributes:
        fault: its name in the catalogue, or that of the network's error.
        alert: the alert that was sent or received; None where there was none.
        from_: who found out: "local" or "peer".
        message: one line with the particulars.
        explanation: what that means.
        fix: what to change, on either end; empty where nothing is known to help.
        blame: whose fault it is, as far as this side can know: "local", "peer", "either" (the
            settings of the two do not fit), "network" or, below TLS, None.
        causes: what may be behind a peer's alert, the likeliest first.
        evidence: the bytes that show it, where they were recorded.
    """

    fault: str
    alert: str | None
    from_: str
    message: str
    explanation: str
    fix: str
    blame: str | None = None
    causes: tuple[Cause, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        for evidence in values["evidence"]:
            evidence["octets"] = evidence["octets"].hex()
        return {name.rstrip("_"): value for name, value in values.items()}


def failure_of(error: OSError, host: str, port: int, events: Sequence[TraceEvent] = ()) -> Failure:
    """What a failed connection attempt to `host` tells, be it TLS or the network below.

    Args:
        events: what a recorder noted meanwhile, from which the evidence comes.
    """
    if isinstance(error, TLSError):
        from handclasp.trace.diagnosis import diagnose

        diagnosis = diagnose(events)
        return Failure(
            error.fault,
            error.alert,
            error.origin,
            error.message,
            error.explanation,
            error.fix,
            error.blame.value,
            error.causes,
            diagnosis.evidence if diagnosis is not None else (),
        )
    name, explanation, fix = _network_failure(error)
    reason = error.strerror or str(error) or type(error).__name__
    # An IPv6 address needs its brackets again for the port to be told apart.
    shown = f"[{host}]" if ":" in host else host
    return Failure(name, None, "local", f"{shown}:{port}: {reason}", explanation, fix)


def _network_failure(error: OSError) -> tuple[str, str, str]:
    match error:
        case socket.gaierror():
            return (
                "NAME_NOT_FOUND",
                "The name of the host has no address.",
                "Check the spelling of the host, and this machine's DNS.",
            )
        case ConnectionRefusedError():
            return (
                "CONNECTION_REFUSED",
                "The host answers, but nothing listens on this port.",
                "Check the port, and that the service is running.",
            )
        case TimeoutError():
            return (
                "CONNECTION_TIMEOUT",
                "The host did not answer in time.",
                "Check the address, and any firewall on the way.",
            )
        case ConnectionResetError() | BrokenPipeError():
            return (
                "CONNECTION_RESET",
                "The other end tore the connection down without a word.",
                "See the other end's log, and check that the port belongs to a TLS service.",
            )
        case _:
            return (
                "NETWORK_ERROR",
                "The network could not carry the connection.",
                "Check the address, and this machine's network.",
            )
