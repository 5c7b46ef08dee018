"""Show the examples in docstrings as code.

They stand there as in an interpreter, without a heading of their own, and Markdown would make
quotations of them.
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


def fenced(docstring: str) -> str:
    """Return the docstring with each example as a block of code."""
    return _EXAMPLE.sub(lambda found: f"```python\n{found[0]}\n```", docstring)
