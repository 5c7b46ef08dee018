"""The source tree as the rules see it: modules, their syntax trees and their imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "handclasp"
TESTS = ROOT / "tests"


@dataclass(frozen=True, slots=True)
class Module:
    """One source file. `name` is relative to the package: "record.layer", "" for the package."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def layer(self) -> str:
        """The first part of the name: a package, or a module that stands alone."""
        return self.name.partition(".")[0]


@cache
def modules() -> dict[str, Module]:
    """Every module of the package by its relative name."""
    found = [_module(path) for path in sorted(PACKAGE.rglob("*.py"))]
    return {module.name: module for module in found}


def modules_below(*layers: str) -> list[Module]:
    """The modules that stand in none of these layers, nor are one of these by their whole name."""
    return [
        module
        for module in modules().values()
        if module.layer not in layers and module.name not in layers
    ]


def outside_imports(module: Module) -> set[str]:
    """The top-level names of what is imported from outside of the package."""
    found: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
    return found - {"handclasp"}


def inside_imports(module: Module) -> Iterator[tuple[str, str]]:
    """Module and name of each import from the package; the name is "" where all is imported.

    `from handclasp.wire import messages` counts as the module "wire.messages".
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "handclasp":
                    yield alias.name.partition(".")[2], ""
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level or base.partition(".")[0] != "handclasp":
                continue
            source = base.partition(".")[2]
            for alias in node.names:
                inner = f"{source}.{alias.name}" if source else alias.name
                yield (inner, "") if inner in modules() else (source, alias.name)


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method, inner ones too."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _module(path: Path) -> Module:
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return Module(".".join(parts), path, ast.parse(path.read_text("utf-8"), str(path)))
