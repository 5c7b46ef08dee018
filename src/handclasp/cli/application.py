"""The `handclasp` command and how it finds its subcommands.

A command's module is imported when the command runs, so that `--help` and a typing mistake are
answered at once.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import cast

import click

import handclasp
from handclasp.cli.outcome import WrongArguments
from handclasp.speedups import FORM

COMPLETE_VARIABLE = "_HANDCLASP_COMPLETE"
"""Set by a shell that asks for completions: click then answers, and no command runs."""

_COMMANDS = {
    "demo": "Watch one handshake, step by step, with real values.",
    "connect": "Connect to a TLS server, tell how it went, and talk.",
    "serve": "Serve files over HTTPS.",
    "scan": "Tell what servers can do, measured against a profile, and what to change.",
    "watch": "Tell the handshakes of any program, decrypted, while it runs.",
    "explain": "Tell a recorded handshake, or one in a capture.",
    "redact": "Take secrets, names or addresses out of a saved trace.",
    "diff": "Lay two saved handshakes side by side: what differs, and what of it matters.",
    "cert": "Make certificates for this machine, and look at others.",
    "ech": "Make keys for Encrypted Client Hello, and look at configurations.",
    "bench": "Measure how fast it is here, beside ssl.",
    "fault": "Tell what a fault means, and what to do about it.",
    "completion": "Print what a shell needs to complete commands and options.",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"handclasp.cli.{cmd_name}")
        command = cast(click.Command, module.command)
        if COMPLETE_VARIABLE in os.environ:
            from handclasp.cli.completion import complete_paths

            complete_paths(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; for a wrong name, the error proposes the one that is meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            # click knows only commands that are loaded, and these are loaded by name.
            close = get_close_matches(args[0], _COMMANDS, 1)
            if not close or not error.message.startswith("No such command"):
                raise
            proposal = f"{error.message} Did you mean '{close[0]}'?"
            raise click.UsageError(proposal, error.ctx) from None

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. A file that cannot be used is a sentence and exit status 2, in all."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            if "-----BEGIN" not in error.option_name:
                raise
            # It may be a private key, which click would repeat.
            raise click.UsageError("PEM text was given, not a path.", error.ctx) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            if error.filename is None:
                raise
            raise WrongArguments(f"Cannot use {error.filename}: {error.strerror}.") from None
        except ValueError as error:
            if "embedded null" not in str(error):
                raise
            raise WrongArguments("A path that was given holds a NUL, as no file's does.") from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(handclasp.__version__, message=f"%(prog)s %(version)s ({FORM})")
def application() -> None:
    """TLS handshakes: make one, watch it, and learn why it fails.

    Exit status: 0 for success, 1 where a handshake or a check failed, 2 where the arguments are
    wrong or a file is not what it should be. `explain` and `diff` make no handshake: they end with
    0 once they have told of one that failed.
    """
