"""That tracing costs nothing where it is off: each hook asks one question, and nothing else."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.tracing import BARE, without_hooks
from tests.pki import Pki
from tests.recorded import shuttle
from tests.rules.source import Module, modules_below

from handclasp import ClientConfig, ClientConnection, ServerConfig, ServerConnection
from handclasp.handshake.context import observer_of

TRACED = (
    *("record", "keys", "handshake"),
    *("record_loop", "lifecycle", "connection", "client", "server"),
)
"""The layers with hooks."""


def calls(module: Module) -> Iterator[tuple[ast.Call, bool]]:
    """Each call of a trace's method, and whether it is behind a question for that trace."""

    def walk(node: ast.AST, asked: bool) -> Iterator[tuple[ast.Call, bool]]:
        if isinstance(node, ast.Call) and _is_hook(node.func):
            yield node, asked
        for child in ast.iter_child_nodes(node):
            within = asked or (isinstance(node, ast.If) and child in node.body and _asks(node.test))
            yield from walk(child, within)

    functions = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inner = {child for each in functions for child in ast.walk(each) if child is not each}
    for function in functions:
        if function not in inner:
            given = any(_is_given(argument) for argument in function.args.args)
            yield from walk(function, given or _leaves_early(function))


def _is_hook(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return _named(function.value) in ("trace", "_trace")
    return False


def _named(node: ast.expr) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))


def _asks(test: ast.expr) -> bool:
    return "trace is not None" in ast.unparse(test)


def _is_given(argument: ast.arg) -> bool:
    """A function that takes a trace, and not perhaps one, is called only where there is one."""
    return argument.annotation is not None and ast.unparse(argument.annotation) == "Trace"


def _leaves_early(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        isinstance(node, ast.If)
        and "trace is None" in ast.unparse(node.test)
        and isinstance(node.body[-1], ast.Return)
        for node in function.body
    )


@pytest.mark.parametrize(
    "module",
    [m for m in modules_below() if m.name.partition(".")[0] in TRACED],
    ids=lambda module: module.name,
)
def test_every_hook_asks_first(module: Module) -> None:
    assert [ast.unparse(call) for call, asked in calls(module) if not asked] == []


def test_nobody_watches_the_keys_where_nobody_traces() -> None:
    assert observer_of(None) is None


@pytest.mark.long  # It reads the whole library a second time.
def test_the_library_without_hooks_is_the_same(pki: Pki, tmp_path: Path) -> None:
    """What `python -m bench` compares with does the same, and really has no hooks."""
    bare = without_hooks(tmp_path)
    try:
        for path in (tmp_path / BARE / "record").glob("*.py"):
            assert "trace is not None" not in path.read_text()
        theirs = bare.ServerConnection(
            bare.ServerConfig(
                credentials=bare.Credentials(
                    **{
                        name: getattr(pki.server(), name)
                        for name in ("chain_der", "names", "schemes")
                    },
                    signer=pki.server().signer,
                )
            )
        )
        ours = ClientConnection(ClientConfig(verify_peer=False), server_name="localhost")
        shuttle(ours, theirs)
        assert ours.established
        assert type(theirs) is not type(ServerConnection(ServerConfig(credentials=pki.server())))
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == BARE]:
            del sys.modules[name]
