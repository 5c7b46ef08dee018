"""The options on protocol versions, and on what only the older one has, for both roles."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from handclasp.cli.outcome import WrongArguments
from handclasp.errors import ConfigurationError

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--tls12", is_flag=True, help="Speak TLS 1.2 only; with --tls13, both."),
    click.option("--tls13", is_flag=True, help="Speak TLS 1.3 only; with --tls12, both (default)."),
    click.option(
        "--allow-rsa-key-transport",
        is_flag=True,
        help="Allow TLS 1.2 as it once was, without forward secrecy. Unsafe.",
    ),
)

_WARNING = """\
Warning: --allow-rsa-key-transport gives up forward secrecy. The client makes
the secret and encrypts it to the key in the certificate, so anybody with
that key, even years later, can read all recordings. Moreover, a server
that decrypts what strangers send can be probed by guessing. This is why it is
off by default: do not leave it on.
"""


def version_options(command: Command) -> Command:
    """Gives a command the options of `version_settings`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def version_settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the options: as few as possible, so that the others can adapt."""
    settings: dict[str, Any] = {}
    if options["tls12"] != options["tls13"]:
        settings["versions"] = ("TLSv1.2",) if options["tls12"] else ("TLSv1.3",)
    if options["allow_rsa_key_transport"]:
        settings["allow_rsa_key_transport"] = True
    return settings


@contextmanager
def versions_checked() -> Generator[None]:
    """Raise errors about versions in terms of the options of the command line."""
    try:
        yield
    except ConfigurationError as error:
        raise WrongArguments(_in_options(str(error))) from None


def warn_of_key_transport(options: dict[str, Any]) -> None:
    """Say on standard error what was allowed, if it was."""
    if options["allow_rsa_key_transport"]:
        click.echo(_WARNING, err=True, nl=False)


def _in_options(message: str) -> str:
    named, _, obstacle = message.partition(", but ")
    if named.startswith("versions names") and obstacle:
        option = "--tls12" if named.endswith("TLSv1.2") else "--tls13"
        obstacle = obstacle.replace("cipher_suites", "--suite").replace("groups", "--group")
        return f"{option} does not go with the rest: {obstacle} Leave one of them out."
    for setting, option in (("groups", "--group"), ("cipher_suites", "--suite")):
        if message.startswith(f"{setting}: "):
            return option + message.removeprefix(setting)
    if message.startswith("allow_rsa_key_transport applies to"):
        return (
            "--allow-rsa-key-transport applies to TLS 1.2: leave out --tls13, and let a --suite be "
            "one of TLS 1.2."
        )
    return message.replace("also set allow_rsa_key_transport=True", "add --allow-rsa-key-transport")
