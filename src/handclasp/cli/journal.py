"""The log of `handclasp serve`: connections, requests and remarks, as text, JSON or in CLF."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from handclasp.cli.captures import CaptureFile
from handclasp.cli.outcome import Failure, failure_of
from handclasp.cli.output import Output
from handclasp.cli.rejections import Held, PossibleRejections, is_rejection
from handclasp.serving.clerk import Clerk
from handclasp.serving.renewal import CertificateStatus
from handclasp.serving.throttle import Summary, Throttle
from handclasp.serving.visits import Request, Visit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handclasp import ConnectionInfo, EchKey
    from handclasp.cli.traces import Traces
    from handclasp.cli.warned import Warned
    from handclasp.trace.events import TraceEvent

Form = Literal["text", "json", "clf"]

_LAST_SECONDS = 2.0
"""The seconds that what is still to be written may take in the end."""


class Journal:
    """Hears what happens on a server (`visits.Observer`), and writes it down.

    Lines go to standard output, and with "clf" only requests do. Remarks of the server about itself
    go to standard error, unless they are JSON.

    Args:
        form: of the lines.
        traces: where to store recordings, if anywhere; see `record`.
        detail: how much to tell of each handshake on standard error.
    """

    def __init__(
        self,
        form: Form,
        *,
        traces: Traces | None = None,
        detail: int = 0,
    ) -> None:
        self._form: Form = form
        self._traces = traces
        self._capture: CaptureFile | None = None
        self._detail = detail
        self._failures = Throttle(time.monotonic)
        self._kept_back = Throttle(time.monotonic)
        self._undecided = PossibleRejections()
        self._clerk: Clerk | None = None
        self.warnings: Sequence[Warned] = ()
        """What is wrong with the settings, which the object of each connection repeats."""
        self.speaks_for_all = True
        """Whether this process tells what concerns all workers."""
        self._output = Output(sys.stdout)
        self._errors = Output(sys.stderr)

    def record(self, *, traces: Traces | None = None, capture: CaptureFile | None = None) -> None:
        """Record what comes.

        Args:
            traces: where to store recordings, if anywhere.
            capture: where to add each connection when it has ended.
        """
        self._traces, self._capture = traces, capture

    def start(self) -> None:
        """Write in a thread, which a process must not have that is going to fork."""
        self._clerk = Clerk(self._tell_dropped)

    def close(self) -> None:
        """Write what is left."""
        for _ in range(2):
            self._tell_undecided()
        for throttle in (self._failures, self._kept_back):
            if summary := throttle.take_summary(final=True):
                self._do(self._tell_summary, summary)
        if self._clerk is not None:
            self._clerk.close(_LAST_SECONDS)

    def tick(self) -> None:
        """Tell how much was left out, now and then, and of connections that were kept back."""
        self._tell_undecided()
        for throttle in (self._failures, self._kept_back):
            if summary := throttle.take_summary():
                self._do(self._tell_summary, summary)

    def announce(self, text: str) -> None:
        """Say something at the start: standard output is for lines, objects or requests alone."""
        (self._output if self._form == "text" else self._errors).write(text)

    # What is heard

    def connected(self, visit: Visit) -> None:
        """Tell what was agreed upon; not at once, if the client may be about to reject it."""
        if not self._undecided.hold(visit, at := datetime.now(UTC)):
            self._do(self._tell_connection, visit, at)

    def failed(self, visit: Visit) -> None:
        """Tell why a connection failed, unless too many do."""
        held = self._undecided.take(visit.host, visit.port)
        if held is None or held[0].connection is not visit.connection or not is_rejection(visit):
            self._tell_held(held)
        elif self._traces is not None:
            self._do(self._traces.store, held[0])
        kind = getattr(visit.error, "fault_name", type(visit.error).__name__)
        if self._failures.allows(kind, visit.host):
            self._do(self._tell_connection, visit, datetime.now(UTC))
        elif self._traces is not None:
            self._do(self._traces.store, visit)
        if self._capture is not None:
            self._do(self._add_to_capture, visit)

    def ended(self, visit: Visit) -> None:
        """Tell why a client may have left at once: nothing has failed that a line would tell of."""
        self._tell_held(self._undecided.take(visit.host, visit.port))
        self._do(self._tell_end, visit)

    def answered(self, request: Request) -> None:
        """Tell of a request."""
        self._tell_held(self._undecided.take(request.host, request.port))
        self._do(self._tell_request, request)

    def _tell_held(self, held: Held | None) -> None:
        """Tell of a connection that was kept back, as its client goes on."""
        if held is not None:
            self._do(self._tell_connection, *held)

    def _tell_undecided(self) -> None:
        for held in self._undecided.take_old():
            self._tell_held(held)

    def remarked(self, text: str) -> None:
        """Tell a sentence of the server about itself."""
        self._do(self._remark, text, datetime.now(UTC))

    def warned(self, text: str) -> None:
        """Tell a warning of the library, such as one about a key file that has changed."""
        if self.speaks_for_all:
            self.remarked(f"Warning: {text}")

    def kept_back(self, path: str, reason: str) -> None:
        """Tell that a file was asked for which is not sent; it may be called in any thread."""
        if self._kept_back.allows(reason, ""):
            self.remarked(f"Kept back {path}: {reason}.")

    def shrunk(self, path: str) -> None:
        """Tell that a file became shorter while it was sent."""
        if self._kept_back.allows("became shorter", ""):
            self.remarked(f"Cut off {path}: the file became shorter while it was sent.")

    def not_reloaded(self, error: Exception) -> None:
        """Tell why changed files of --cert and --key are not used."""
        if self.speaks_for_all:
            self.remarked(f"The certificate was not renewed: {error}")

    def ech_keys_not_reloaded(self, error: Exception) -> None:
        """Tell why changed files of --ech-key are not used."""
        if self.speaks_for_all:
            self.remarked(f"The ECH keys were not renewed, and the old ones stay in use: {error}")

    def ech_keys(self, keys: Sequence[EchKey]) -> None:
        """Tell which keys have replaced others."""
        if self.speaks_for_all:
            for key in keys:
                self.remarked(f"Read again: {ech_key_in_words(key)}")

    def certificate(self, status: CertificateStatus) -> None:
        """Tell of a certificate that was renewed, or ends soon."""
        if self.speaks_for_all:
            self._do(self._tell_certificate, status, datetime.now(UTC))

    # In the thread

    def _do(self, job: Callable[..., None], *arguments: Any) -> None:
        call = partial(_safely, job, *arguments)
        if self._clerk is None:
            call()
        else:
            self._clerk.put(call)

    def _tell_connection(self, visit: Visit, at: datetime) -> None:
        from handclasp.cli.narrative import story_text

        if self._traces is not None:  # First: it is there for those who see the line.
            self._traces.store(visit)
        if self._form == "json":
            self._write(_connection_to_json(visit, at, self.warnings))
        else:
            self._say(f"{_stamp(at)}  {line_of(visit)}")
            if visit.error is not None and (advice := _advice(visit)):
                self._say(advice)
        if self._detail and (story := story_text(_events(visit), self._detail - 1)):
            self._errors.write(story)

    def _tell_end(self, visit: Visit) -> None:
        if self._form != "json":
            from handclasp.story.narrate import leaving_in_words

            if words := leaving_in_words(_events(visit)):
                self._say(f"{_stamp(datetime.now(UTC))}  {_address(visit)}  {words}")
        if self._capture is not None:
            self._add_to_capture(visit)

    def _tell_request(self, request: Request) -> None:
        if self._form == "json":
            self._write(_request_to_json(request))
        elif self._form == "clf":
            self._output.write(_request_in_clf(request))
        else:
            self._output.write(_request_in_words(request))

    def _tell_certificate(self, status: CertificateStatus, at: datetime) -> None:
        if self._form == "json":
            self._write(certificate_to_json(status, at))
        else:
            self._errors.write(f"{_stamp(at)}  {certificate_in_words(status)}")

    def _tell_summary(self, summary: Summary) -> None:
        if self._form == "json":
            self._write(
                {
                    "event": "left_out",
                    "time": _stamp(datetime.now(UTC)),
                    "count": summary.count,
                    "seconds": round(summary.seconds, 1),
                    "clients": len(summary.sources),
                    "kinds": dict(summary.kinds),
                }
            )
            return
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary.kinds.most_common(5))
        clients = f" from {len(summary.sources):,} addresses" if summary.sources != {""} else ""
        self._remark(
            f"{summary.count:,} more lines were left out in {summary.seconds:.0f} s{clients}: "
            f"{kinds}.",
            datetime.now(UTC),
        )

    def _tell_dropped(self, count: int) -> None:
        self._remark(f"{count:,} lines were lost: the output takes too long.", datetime.now(UTC))

    def _add_to_capture(self, visit: Visit) -> None:
        if self._capture is not None and visit.recorder is not None:
            with suppress(OSError):  # The disk is full; clients still come.
                self._capture.add(visit.recorder)

    def _remark(self, text: str, at: datetime) -> None:
        from handclasp.cli.identity import printable

        if self._form == "json":
            self._write({"event": "remark", "time": _stamp(at), "text": text})
        else:
            self._errors.write(printable(f"{_stamp(at)}  {text}", len(text) + 40))

    def _write(self, shown: dict[str, Any]) -> None:
        self._output.write(json.dumps(shown))

    def _say(self, text: str) -> None:
        (self._errors if self._form == "clf" else self._output).write(text)


def _safely(job: Callable[..., None], *arguments: Any) -> None:
    # Nothing that is written may end the writing; a client's words cannot be the reason, but a
    # file that has gone can.
    with suppress(OSError, ValueError):
        job(*arguments)


def line_of(visit: Visit) -> str:
    """Return the line that tells of a connection."""
    from handclasp.cli.identity import printable, subject_of
    from handclasp.cli.report import MOST_OF_A_MESSAGE

    who = _address(visit)
    if visit.error is not None:
        failure = _failure(visit, visit.error)
        found = f"the client sent {failure.alert}" if failure.from_ == "peer" else failure.fault
        return printable(f"{who}  failed  {found}: {failure.message}", MOST_OF_A_MESSAGE)
    info = visit.info
    if info is None:
        return who
    parts = [info.version, info.cipher_suite, _exchange(info), info.alpn or "-"]
    if info.ech_accepted:
        parts.append("ECH")
    if info.resumed:
        parts.append("resumed")
    if info.early_data_status != "none":
        why = f": {info.early_data_refusal}" if info.early_data_refusal else ""
        parts.append(f"early data {info.early_data_status}{why}")
    if info.peer_chain:
        parts.append(f"client {subject_of(info.peer_chain[0])}")
    elif info.peer_chain_der:
        parts.append("client with a raw public key")
    return printable(f"{who}  {'  '.join(parts)}")


def certificate_in_words(status: CertificateStatus) -> str:
    """Return a sentence about a certificate."""
    from handclasp.cli.identity import printable

    days = status.days_left
    left = "which has passed" if days < 0 else f"{days} day{'s' if days != 1 else ''} left"
    what = "The certificate was renewed" if status.is_renewed else "Certificate"
    warning = "Warning: " if status.is_warning else ""
    return printable(
        f"{warning}{what}: {status.subject}, valid until {status.not_after:%Y-%m-%d} ({left})"
    )


def ech_key_in_words(key: EchKey) -> str:
    """Return a line about a key for Encrypted Client Hello, with what clients need of it."""
    from handclasp import EchConfigList
    from handclasp.cli.identity import printable

    [first, *_] = key.configs
    what = "ECH key" if key.send_as_retry else "Old ECH key"
    text = f"{what}: public name {first.public_name}, config_id {first.config_id}"
    if key.send_as_retry:
        text += f'; clients take ech="{EchConfigList(key.configs).to_base64()}"'
    return printable(text, len(text))


def certificate_to_json(status: CertificateStatus, at: datetime) -> dict[str, Any]:
    """Return the object for a certificate."""
    return {
        "event": "certificate",
        "time": _stamp(at),
        "subject": status.subject,
        "not_after": _stamp(status.not_after),
        "days_left": status.days_left,
        "renewed": status.is_renewed,
        "warning": status.is_warning,
    }


def _address(visit: Visit | Request) -> str:
    if not visit.host:
        return "UNIX socket"
    return f"[{visit.host}]:{visit.port}" if ":" in visit.host else f"{visit.host}:{visit.port}"


def _exchange(info: ConnectionInfo) -> str:
    from handclasp.story.facts import key_exchange_of_info

    if key_exchange_of_info(info) == "transport":
        return "RSA key transport"
    return info.group or "-"


def _failure(visit: Visit, error: OSError) -> Failure:
    return failure_of(error, visit.host, visit.port, _events(visit), "serve")


def _advice(visit: Visit) -> str:
    """Return the end at fault and the advice, each on a line below that of the visit."""
    if visit.error is None:
        return ""
    from handclasp.cli.identity import printable
    from handclasp.cli.report import brief_lines

    failure = _failure(visit, visit.error)
    return "\n".join(
        printable(f"    {label}: {text}", len(text) + 40) for label, text in brief_lines(failure)
    )


def _events(visit: Visit) -> Sequence[TraceEvent]:
    return list(visit.recorder.events) if visit.recorder is not None else ()


def _connection_to_json(visit: Visit, at: datetime, warnings: Sequence[Warned]) -> dict[str, Any]:
    from handclasp.cli.report import info_to_json

    shown: dict[str, Any] = {
        "event": "connection",
        "time": _stamp(at),
        "ok": visit.error is None,
        "client": {"host": visit.host, "port": visit.port},
    }
    if visit.info is not None:
        shown |= info_to_json(visit.info)
    if visit.error is not None:
        shown["error"] = _failure(visit, visit.error).to_json()
    if warnings:
        shown["warnings"] = [each.to_json() for each in warnings]
    return shown


def _request_to_json(request: Request) -> dict[str, Any]:
    return {
        "event": "request",
        "time": _stamp(request.at),
        "client": {"host": request.host, "port": request.port},
        "method": request.method,
        "target": request.target,
        "version": request.version,
        "status": request.status,
        "bytes": request.size,
        "cut_off": request.is_cut_off,
        "seconds": round(request.seconds, 6),
    }


def _request_in_words(request: Request) -> str:
    from handclasp.cli.identity import printable

    what = f"{request.method} {request.target}" if request.method else "no request"
    size = f"{request.size:,} bytes"
    if request.is_cut_off and request.status:
        size = f"cut off after {size}"
    took = f"{request.seconds * 1000:.1f} ms"
    start = f"{_stamp(request.at)}  {_address(request)}  "
    return start + printable(what) + f"  {request.status or 'cut off'}  {size}  {took}"


def _request_in_clf(request: Request) -> str:
    """Return a line in the Common Log Format of Apache's and NCSA's servers."""
    line = f"{request.method} {request.target} {request.version}" if request.method else "-"
    line = line.replace("\\", "\\\\").replace('"', '\\"')
    at = f"{request.at:%d}/{_MONTHS[request.at.month - 1]}/{request.at:%Y:%H:%M:%S} +0000"
    return (
        f'{request.host or "-"} - - [{at}] "{line}" {request.status or "-"} {request.size or "-"}'
    )


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Names that no locale changes."""


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"
