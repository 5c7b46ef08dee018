"""Making this machine trust its authority: what is done here, and what an administrator can do.

Only databases in this user's home are changed. For everything that is the whole system's, the
commands are printed, and those that take it back.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from handclasp.cli.nss import Certutil, databases, find_certutil
from handclasp.cli.outcome import FAILED

_HAND_MADE_NAME = "handclasp"
"""The name of the authority if it was added by hand, as `cert ca` advises."""


@dataclass(slots=True)
class Change:
    """The changes to the browsers' databases.

    Attributes:
        done: those that were changed.
        failed: those that could not be, and why.
        reason: why there was none to change, if so.
    """

    done: list[Path] = field(default_factory=list[Path])
    failed: dict[Path, str] = field(default_factory=dict[Path, str])
    reason: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """The commands that make a kind of system trust a certificate, and remove it.

    Attributes:
        name: what it is called.
        platform: `sys.platform`.
        mark: a directory that only such a system has; empty if the platform says it all.
        add, remove: commands, with {file} for the path of the certificate, {id} for a name
            without spaces and {name} for its common name.
    """

    name: str
    platform: str
    mark: str
    add: tuple[str, ...]
    remove: tuple[str, ...]


def install(path: Path, common_name: str, *, remove: bool = False, as_json: bool = False) -> None:
    """Add the authority at `path` to this user's browsers, or take it out, and tell the rest.

    Exits with status 1 if one of their databases could not be changed.
    """
    change = _change_browsers(path, common_name, remove=remove)
    commands = _commands(path, common_name)
    if as_json:
        click.echo(json.dumps(_as_json(path, change, commands), indent=2))
    else:
        click.echo("\n".join([*_told(change, remove=remove), *_advice(commands, remove=remove)]))
    if change.failed:
        raise click.exceptions.Exit(FAILED)


def _change_browsers(path: Path, common_name: str, *, remove: bool) -> Change:
    program = find_certutil()
    if sys.platform == "win32":
        return Change(reason="On Windows, browsers go by the system's store.")
    if program is None:
        return Change(
            reason="The browsers' databases need certutil, which is not installed: it is in "
            "libnss3-tools (Debian, Ubuntu), nss-tools (Fedora) or nss (Arch, Homebrew)."
        )
    certutil = Certutil(program, path, (common_name, _HAND_MADE_NAME))
    try:
        home = Path.home()
    except RuntimeError:  # HOME is not set, and the system does not know this user.
        return Change(reason="This user has no home directory, where browsers have databases.")
    change = Change()
    for database in databases(home):
        problem = certutil.remove(database) if remove else certutil.add(database)
        if problem:
            change.failed[database] = problem
        elif problem is not None:
            change.done.append(database)
    if not change.done and not change.failed:
        change.reason = (
            "No browser of this user has it."
            if remove
            else "No browser of this user has a certificate database yet: start Chromium or "
            "Firefox once, open a page over https, then run this again."
        )
    return change


def _told(change: Change, *, remove: bool) -> list[str]:
    lines: list[str] = []
    if change.done:
        verb = "Taken out of" if remove else "Trusted from now on by"
        lines += [f"{verb} the browsers with these databases (start them anew):"]
        lines += [f"  {database}" for database in change.done]
    if change.failed:
        lines += ["These databases could not be changed, and are as they were:"]
        lines += [f"  {database}: {problem}" for database, problem in change.failed.items()]
    if change.reason:
        lines += [f"Nothing was changed. {change.reason}"]
    if change.done and not remove:
        lines += ["To take that back: handclasp cert ca --uninstall"]
    return lines


def _advice(commands: dict[str, dict[str, list[str]]], *, remove: bool) -> list[str]:
    lines = ["", "Nothing else was touched. What you can run yourself:"]
    for name, both in commands.items():
        lines += [f"  {name}:"]
        lines += [f"    {command}" for command in both["remove" if remove else "add"]]
        if not remove:
            lines += ["   and to take it back:"]
            lines += [f"    {command}" for command in both["remove"]]
    return lines


def _as_json(
    path: Path, change: Change, commands: dict[str, dict[str, list[str]]]
) -> dict[str, Any]:
    failed = [{"database": str(at), "problem": problem} for at, problem in change.failed.items()]
    return {
        "path": str(path),
        "changed": [str(database) for database in change.done],
        "failed": failed,
        "reason": change.reason or None,
        "commands": commands,
    }


def _commands(path: Path, common_name: str) -> dict[str, dict[str, list[str]]]:
    values = {
        "file": _quoted(str(path)),
        "name": _quoted(common_name),
        "id": common_name.rpartition(" ")[2],
    }
    return {
        system.name: {
            "add": [line.format(**values) for line in system.add],
            "remove": [line.format(**values) for line in system.remove],
        }
        for system in (*_these_systems(), _JAVA)
    }


def _these_systems() -> list[System]:
    """Return the systems that this one may be: all of the platform, if nothing identifies it."""
    possible = [system for system in _SYSTEMS if sys.platform == system.platform]
    marked = [system for system in possible if not system.mark or Path(system.mark).is_dir()]
    return marked or possible


def _quoted(text: str) -> str:
    return subprocess.list2cmdline([text]) if sys.platform == "win32" else shlex.quote(text)


_SYSTEMS = (
    System(
        "Debian, Ubuntu, Alpine",
        "linux",
        "/usr/local/share/ca-certificates",
        (
            "sudo install -m 644 {file} /usr/local/share/ca-certificates/handclasp-{id}.crt",
            "sudo update-ca-certificates",
        ),
        (
            "sudo rm /usr/local/share/ca-certificates/handclasp-{id}.crt",
            "sudo update-ca-certificates --fresh",
        ),
    ),
    System(
        "Fedora, RHEL",
        "linux",
        "/etc/pki/ca-trust/source/anchors",
        (
            "sudo install -m 644 {file} /etc/pki/ca-trust/source/anchors/handclasp-{id}.pem",
            "sudo update-ca-trust",
        ),
        (
            "sudo rm /etc/pki/ca-trust/source/anchors/handclasp-{id}.pem",
            "sudo update-ca-trust",
        ),
    ),
    System(
        "Arch",
        "linux",
        "/etc/ca-certificates/trust-source/anchors",
        ("sudo trust anchor --store {file}",),
        ("sudo trust anchor --remove {file}",),
    ),
    System(
        "openSUSE",
        "linux",
        "/etc/pki/trust/anchors",
        (
            "sudo install -m 644 {file} /etc/pki/trust/anchors/handclasp-{id}.pem",
            "sudo update-ca-certificates",
        ),
        ("sudo rm /etc/pki/trust/anchors/handclasp-{id}.pem", "sudo update-ca-certificates"),
    ),
    System(
        "macOS (Safari, Chrome and most programs)",
        "darwin",
        "",
        (
            "security add-trusted-cert -r trustRoot -p ssl "
            "-k ~/Library/Keychains/login.keychain-db {file}",
        ),
        (
            "security remove-trusted-cert {file}",
            "security delete-certificate -c {name} ~/Library/Keychains/login.keychain-db",
        ),
    ),
    System(
        "Windows (Edge, Chrome and most programs)",
        "win32",
        "",
        ("certutil -user -addstore Root {file}",),
        ("certutil -user -delstore Root {name}",),
    ),
)

_JAVA = System(
    "Java (asks for the store's password, which is changeit unless it was changed)",
    "",
    "",
    ("keytool -importcert -cacerts -noprompt -alias handclasp-{id} -file {file}",),
    ("keytool -delete -cacerts -alias handclasp-{id}",),
)
