"""`handclasp serve --fault`: a server that misbehaves in one named way, for clients under test."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from handclasp.cli.authority import LOCAL_NAMES, authority_directory, open_authority
from handclasp.cli.inputs import credentials_of
from handclasp.cli.listening import listen, url_of
from handclasp.cli.outcome import WrongArguments, configuration_checked
from handclasp.cli.private_places import private_directory
from handclasp.private_files import write_public

if TYPE_CHECKING:
    from handclasp import Credentials
    from handclasp.testing import FaultyServer, Outcome, PeerFault

LIST = "list"

_GO_TOGETHER = ("fault", "fault_files", "host", "port", "cert", "key", "echo", "as_json")
_CONNECTION_SECONDS = 60.0


def run_fault(context: click.Context, options: dict[str, Any]) -> None:
    """List the faults, or serve with one until a signal. Raises `WrongArguments`."""
    name = options["fault"]
    if name == LIST:
        _list(as_json=options["as_json"])
        return
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
        if given and parameter.name not in _GO_TOGETHER:
            shown = parameter.opts[0] if parameter.opts[0].startswith("-") else "DIR"
            raise WrongArguments(f"{shown} has no effect beside --fault: leave it out.")
    _serve(name, options)


def _serve(name: str, options: dict[str, Any]) -> None:
    from handclasp.testing import FaultyServer, fault_of_server

    with configuration_checked():
        fault = fault_of_server(name)
        credentials = _credentials(fault, options)
    end = threading.Event()

    def stop(number: int, frame: object) -> None:
        end.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    host = options["host"]
    names = LOCAL_NAMES if host in (*LOCAL_NAMES, "", "0.0.0.0", "::") else (*LOCAL_NAMES, host)  # noqa: S104 (compared, not bound)
    lock = threading.Lock()

    def report(outcome: Outcome) -> None:
        with lock:
            click.echo(_line(outcome, as_json=options["as_json"]))

    settings: dict[str, Any] = {"answer": bytes} if options["echo"] else {}
    with (
        FaultyServer(
            name,
            credentials=credentials,
            names=names,
            listener=listen(host, options["port"]),
            seconds=_CONNECTION_SECONDS,
            report=report,
            **settings,
        ) as server,
        _directory(options["fault_files"]) as directory,
    ):
        for line in _announcement(server, fault, options, directory):
            click.echo(line, err=options["as_json"])
        end.wait()


def _credentials(fault: PeerFault, options: dict[str, Any]) -> Credentials | None:
    """Return those of a fault of the protocol; one of the certificate makes its own."""
    certificates, keys = options["cert"], options["key"]
    if len(certificates) > 1 or len(keys) > 1:
        raise WrongArguments("--fault takes one --cert and one --key.")
    given = credentials_of(next(iter(certificates), None), next(iter(keys), None))
    if fault.kind == "certificate":
        if given is not None:
            raise WrongArguments(
                f"--fault {fault.name} makes a certificate of its own: leave out --cert and --key."
            )
        return None
    return given if given is not None else open_authority().credentials(LOCAL_NAMES)


def _announcement(
    server: FaultyServer, fault: PeerFault, options: dict[str, Any], directory: Path
) -> Generator[str]:
    """Yield the lines about a server that is up, and write the files that they name."""
    yield f"Listening on {url_of(options['host'], server.port)} with the fault {fault.name}."
    yield f"{fault.summary} {_right_answer(fault)}"
    if fault.kind == "certificate":
        ca = directory / "ca.pem"
        write_public(ca, server.authority.pem)
        yield f"Its authority is {ca}, which is new with each start. Trust it for this test alone."
    elif not options["cert"]:
        ca = authority_directory() / "ca.pem"
        yield f"The certificate is from this machine's own authority, {ca}"
    if fault.name == "revoked-crl":
        crl = directory / "crl.pem"
        write_public(crl, server.crl_pem)
        yield f"The revocation list is {crl}"
    yield "Ctrl-C ends it."


def _right_answer(fault: PeerFault) -> str:
    alert = fault.alert
    if alert is not None:
        text = f"The right answer is the alert {alert.name.lower()} ({fault.section})."
    elif fault.answer is not None:
        text = f"The right answer is to give up, without an alert ({fault.section})."
    else:
        text = f"See {fault.section}."
    return f"{text} {fault.note}".rstrip()


def _line(outcome: Outcome, *, as_json: bool) -> str:
    if not as_json:
        return f"The client at {outcome}."
    fields = ("fault", "result", "alert", "address")
    return json.dumps({name: getattr(outcome, name) for name in fields})


def _list(*, as_json: bool) -> None:
    from handclasp.testing import SERVER_FAULTS

    if as_json:
        for fault in SERVER_FAULTS.values():
            alert = fault.alert
            found = {"name": fault.name, "kind": fault.kind, "summary": fault.summary}
            found |= {"section": fault.section, "note": fault.note}
            click.echo(json.dumps(found | {"alert": alert.name.lower() if alert else None}))
        return
    formatter = click.HelpFormatter(width=shutil.get_terminal_size().columns)
    rows = [(each.name, f"{each.summary} {_right_answer(each)}") for each in SERVER_FAULTS.values()]
    rows.append(("alert:NAME", "Answers the ClientHello with this alert. See RFC 9846 6."))
    formatter.write_dl(rows)
    click.echo(formatter.getvalue(), nl=False)


@contextmanager
def _directory(given: str | None) -> Generator[Path]:
    """Yield the directory for the files: the one that is given, or one that is removed then."""
    if given is not None:
        directory = Path(given)
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
        return
    with private_directory("fault") as made:
        yield made
