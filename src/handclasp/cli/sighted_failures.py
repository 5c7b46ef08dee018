"""The failure of a connection that `watch` has seen: its cause, and the end at fault."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from handclasp.advice import named_blame, with_ends_named
from handclasp.cli.identity import printable
from handclasp.cli.outcome import network_failure
from handclasp.explained import ExplainedError
from handclasp.faults import Blame
from handclasp.starttls.dialogue import DialogueError

if TYPE_CHECKING:
    from pathlib import Path

    from handclasp import TLSError
    from handclasp.capture.relay import Relayed
    from handclasp.story.diagnosis import Diagnosis

_SEE_OTHER = "see the other half of this connection, in which handclasp is the client"
_DISTRUST = (
    "PEER_BAD_CERTIFICATE",
    "PEER_CERTIFICATE_UNKNOWN",
    "PEER_UNKNOWN_CA",
    "PEER_UNSUPPORTED_CERTIFICATE",
)
"""The alerts of clients that do not accept a certificate."""


def unreached_json(error: Exception | None) -> dict[str, str] | None:
    """Return why the server was not reached, for programs; None if it was.

    Args:
        error: the reason for which the relay has no connection to it.
    """
    if isinstance(error, ExplainedError):
        names = ("name", "explanation", "fix", "blame", "condition")
        found = tuple(str(getattr(error, each)) for each in names)
    elif isinstance(error, OSError):
        found = network_failure(error)
    else:
        return None
    name, cause, fix, blame, condition = found
    if isinstance(error, DialogueError):
        # What this command says before TLS is the doing of neither end.
        condition = condition.replace("this end", "this command")
        if blame == "client":
            blame, condition = "unclear", f"neither end, but this command, {condition}"
    condition = with_ends_named(condition, "client")
    return {
        "fault": name,
        "cause": cause,
        "blame": blame,
        "condition": condition,
        "fix": fix,
    }


def failure_json(diagnosis: Diagnosis | None) -> dict[str, Any] | None:
    """Return a failure for programs; None if there was none."""
    if diagnosis is None:
        return None
    told = diagnosis.told
    return {
        "seen_from": diagnosis.role,
        "fault": diagnosis.fault,
        "alert": diagnosis.alert or None,
        "from": diagnosis.found_by,
        "after_handshake": diagnosis.after_handshake,
        "cause": told(diagnosis.cause),
        "blame": named_blame(diagnosis.blame, diagnosis.role),
        "condition": told(diagnosis.condition),
        "fix": told(diagnosis.fix),
    }


def diagnosis_of_own(found: Diagnosis, own: TLSError) -> Diagnosis:
    """Return a failure as the client that had it tells it, who knows more than was seen."""
    return replace(
        found,
        role="client",
        fault=own.fault_name,
        alert=own.alert,
        found_by=own.origin,
        cause=printable(own.message, 1000),
        blame=own.blame,
        condition=own.condition,
        fix=own.fix,
        others=(),
        evidence=(),
    )


def own_failure(relayed: Relayed) -> TLSError | None:
    """Return the failure of handclasp's own handshake with the server, when it intercepts."""
    from handclasp import TLSError

    is_own = relayed.leg == "server" and isinstance(relayed.blocked, TLSError)
    return cast("TLSError", relayed.blocked) if is_own else None


def diagnosis_of_client(
    found: Diagnosis, blocked: Exception | None, authority: Path | None
) -> Diagnosis:
    """Return the failure of a client that talked to handclasp in place of its server.

    Args:
        blocked: the failure of handclasp's own handshake with the server, if that failed.
        authority: the file of the authority that intercepts.
    """
    is_by_client = (found.found_by == "local") == (found.role == "client")
    if blocked is not None and not is_by_client:
        is_of_server = getattr(blocked, "blame", Blame.UNCLEAR) == Blame.PEER
        server = Blame.LOCAL if found.role == "server" else Blame.PEER
        return replace(
            found,
            cause="handclasp has refused the client, since its own handshake with the "
            f"server failed: {printable(str(blocked), 1000)}",
            blame=server if is_of_server else Blame.UNCLEAR,
            condition=getattr(blocked, "condition", "") if is_of_server else _SEE_OTHER,
            fix="",
            others=(),
        )
    if is_by_client and found.fault in _DISTRUST:
        return replace(
            found,
            cause="The client refuses the certificate of --intercept, which it got in place of "
            f"the server's, with the alert {found.alert}.",
            blame=Blame.UNCLEAR,
            condition="the client does not trust the authority of this run, or it pins the "
            "certificate or the key of its server",
            fix=f"Let the client trust {authority}, or watch it without --intercept.",
            others=(),
        )
    return found
