"""Options that are promised and do not work yet: they say so instead of being ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from handclasp.cli.outcome import WrongArguments

Command = TypeVar("Command", bound=Callable[..., Any])


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
        raise WrongArguments(f"{parameter.opts[-1]} is not available yet in this version.")
