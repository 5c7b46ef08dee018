"""Show the examples in docstrings as code, and dataclasses with their arguments.

Examples stand there as in an interpreter, without a heading of their own, and Markdown would make
quotations of them. griffe knows the decorators of `dataclasses` by their path alone, and the
library has some of its own (docs/decisions/0035).
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).+)*", re.MULTILINE)
"""From the first prompt to the next empty line."""


class DocstringExamples(griffe.Extension):
    """Put a fence around each example."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


class Dataclasses(griffe.Extension):
    """Take the names of `handclasp.values` for those of `dataclasses`."""

    def on_alias_instance(self, *, alias: griffe.Alias, **_: Any) -> None:
        path, _dot, name = alias.target_path.rpartition(".")
        if path == "handclasp.values":
            alias.target_path = f"dataclasses.{'dataclass' if name == 'value' else name}"


def fenced(docstring: str) -> str:
    """Return the docstring with each example as a block of code."""
    return _EXAMPLE.sub(lambda found: f"```python\n{found[0]}\n```", docstring)
