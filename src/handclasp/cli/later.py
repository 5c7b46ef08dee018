"""Options that are promised and do not work yet: they say so instead of being ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from handclasp.cli.outcome import WrongArguments

Command = TypeVar("Command", bound=Callable[..., Any])


class CommandWithLater(click.Command):
    """A command that never proposes a hidden option to somebody who mistyped another one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hidden = {
                name
                for parameter in self.params
                if isinstance(parameter, click.Option) and parameter.hidden
                for name in parameter.opts
            }
            possible = [name for name in error.possibilities or () if name not in hidden]
            raise click.NoSuchOption(
                error.option_name, error.message, possibilities=possible, ctx=ctx
            ) from None


def later(*names: str, takes_value: bool = False) -> Callable[[Command], Command]:
    """A hidden option that answers with one sentence and exit status 2."""
    return click.option(
        *names,
        hidden=True,
        expose_value=False,
        is_flag=not takes_value,
        metavar="VALUE",
        callback=_refuse,
    )


def _refuse(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value:
        # The long form: "-v" alone says little in a log.
        raise WrongArguments(
            f"{max(parameter.opts, key=len)} is not available yet in this version."
        )
