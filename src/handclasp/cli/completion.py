"""`handclasp completion`: what a shell sources to complete commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete
from click.types import StringParamType

from handclasp.cli.application import COMPLETE_VARIABLE

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completions of SHELL: of commands, options, their values, and files.

    \b
    bash  echo 'eval "$(handclasp completion bash)"' >> ~/.bashrc
    zsh   echo 'eval "$(handclasp completion zsh)"' >> ~/.zshrc, after compinit
    fish  handclasp completion fish > ~/.config/fish/completions/handclasp.fish
    """
    click.echo(_SHELLS[shell](ctx.find_root().command, {}, "handclasp", COMPLETE_VARIABLE).source())


def complete_paths(command: click.Command) -> None:
    """Let a shell complete each argument and option that is shown as FILE or DIR with paths."""
    for parameter in command.params:
        metavar = parameter.metavar or ""
        for word, kind in (("FILE", "file"), (".json", "file"), ("DIR", "dir")):
            if word in metavar:
                parameter.type = _Path(kind)
                break  # Where FILE|DIRECTORY is shown, a file's completion has both.
    if isinstance(command, click.Group):
        for each in command.commands.values():
            complete_paths(each)


class _Path(StringParamType):
    """Text that is a path. The commands themselves refuse one, in their own words."""

    name = "path"

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type=self._kind)]
