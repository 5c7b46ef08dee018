"""Modules that are imported when something of them is needed, and can be named before that.

An annotation that names what is imported under `TYPE_CHECKING` alone is a riddle to
`typing.get_type_hints`. One that names `x509.Certificate`, with

    if TYPE_CHECKING:
        from cryptography import x509
    else:
        x509 = DeferredModule("cryptography.x509")

costs nothing until somebody asks for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class DeferredModule:
    """Stand for a module of this name; whatever is asked of it imports the module."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)

    def __repr__(self) -> str:
        return f"<module {self._name!r}, imported when it is needed>"
