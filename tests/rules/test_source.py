"""What holds for every file: no asserts, short functions, honest names, words at the top."""

from __future__ import annotations

import ast
import re

import pytest
from tests.rules.source import PACKAGE, Module, functions, modules

LONGEST_FUNCTION = 60
FORBIDDEN_WORDS = {"utils", "util", "common", "helpers", "helper", "misc"}

every_module = pytest.mark.parametrize(
    "module", modules().values(), ids=lambda module: module.name or "handclasp"
)


@every_module
def test_nothing_is_asserted(module: Module) -> None:
    # `python -O` takes asserts away, so none may stand between a peer and its refusal.
    lines = [node.lineno for node in ast.walk(module.tree) if isinstance(node, ast.Assert)]
    assert lines == []


@every_module
def test_functions_fit_on_a_screen(module: Module) -> None:
    long = {
        f"{function.name} ({(function.end_lineno or 0) - function.lineno + 1} lines)"
        for function in functions(module)
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST_FUNCTION
    }
    assert long == set()


@every_module
def test_names_say_something(module: Module) -> None:
    assert not FORBIDDEN_WORDS & set(module.name.split("."))
    for function in functions(module):
        assert function.name not in FORBIDDEN_WORDS
        assert not function.name.lstrip("_").startswith("handle_")


@every_module
def test_every_module_says_what_it_is(module: Module) -> None:
    said = ast.get_docstring(module.tree)
    if module.path.name == "__main__.py" and said is None:
        return
    assert said
    assert said.splitlines()[0].endswith((".", ":", "?"))


def test_every_package_says_where_to_start() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        said = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        assert said, path
        prose = re.sub(r"^>>>.*?(?:\n\n|\Z)", "", said, flags=re.DOTALL | re.MULTILINE)
        assert 2 <= len(prose.strip().splitlines()) <= 9, path
    for folder in PACKAGE.iterdir():
        if folder.is_dir() and any(folder.glob("*.py")):
            assert (folder / "__init__.py").exists(), folder


@every_module
def test_no_exception_is_swallowed_unseen(module: Module) -> None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{module.name}:{node.lineno}: a bare except"
            silent = all(isinstance(statement, ast.Pass) for statement in node.body)
            broad = isinstance(node.type, ast.Name) and node.type.id in {
                "Exception",
                "BaseException",
            }
            assert not (silent and broad), f"{module.name}:{node.lineno}"


@pytest.mark.parametrize(
    "module",
    [
        module
        for module in modules().values()
        if module.layer in {"crypto", "handshake", "keys", "record", "sessions", "wire"}
    ],
    ids=lambda module: module.name,
)
def test_no_generic_alias_is_called(module: Module) -> None:
    # `dict[int, bytes]()` takes thirty times as long as `{}`, and each handshake ran a dozen.
    within = [node for each in functions(module) for node in ast.walk(each)]
    called = [node.func for node in within if isinstance(node, ast.Call)]
    aliases = {"dict", "frozenset", "list", "set", "tuple"}
    found = {
        ast.unparse(each)
        for each in called
        if isinstance(each, ast.Subscript) and ast.unparse(each.value) in aliases
    }
    assert found == set()


@every_module
def test_nothing_is_printed(module: Module) -> None:
    if module.layer == "cli":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if module.name == "values" and node.func.id == "exec":
                continue  # The one method that is compiled is of names that stand in the module.
            assert node.func.id not in {"print", "input", "breakpoint", "eval", "exec"}


def test_the_public_surface_is_what_it_says() -> None:
    import handclasp

    assert len(set(handclasp.__all__)) == len(handclasp.__all__)
    for name in handclasp.__all__:
        assert hasattr(handclasp, name)
        value = getattr(handclasp, name)
        if isinstance(value, type) or callable(value):
            assert value.__doc__, name
