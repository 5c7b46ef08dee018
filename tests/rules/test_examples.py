"""Every public name is shown by an example, and every example does what it says.

An example is a doctest in the docstring of the name, of one of its methods, or of its module. Names
that need others to be of use link to an example: "See `Question` for an example."

Examples read as users write them. They run with the public names of handclasp, in a directory that
holds `chain.pem`, `key.pem` and `ca.pem`, and in a world where the authority of `ca.pem` is trusted
and example.com is a server of this test, which sends back what it gets.
"""

from __future__ import annotations

import ast
import doctest
import gc
import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.redis.redis_server import RedisServer
from tests.required import need_tool
from tests.rules.example_world import World
from tests.rules.source import ROOT, modules
from tests.rules.test_public import MODULES, names_of

import handclasp

LINK = re.compile(r"See (?:`(?P<name>[\w.]+)`|(?P<document>docs/[\w-]+\.md)) for an example")

FLAGS = doctest.ELLIPSIS | doctest.REPORT_NDIFF


@cache
def examples() -> dict[str, doctest.DocTest]:
    """Every docstring of the source that holds an example, by module and name."""
    parser = doctest.DocTestParser()
    found: dict[str, doctest.DocTest] = {}
    for module in modules().values():
        for name, node in documented(module.tree, module.name):
            text = ast.get_docstring(node) or ""
            if ">>>" in text:
                line = getattr(node.body[0], "lineno", 1) - 1
                found[name] = parser.get_doctest(text, {}, name, str(module.path), line)
    return found


Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(node: Documented, name: str) -> Iterator[tuple[str, Documented]]:
    """Yield what can have a docstring, with its name."""
    yield name, node
    for inner in node.body:
        if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from documented(inner, f"{name}:{inner.name}" if name else inner.name)


def run(test: doctest.DocTest, names: dict[str, Any]) -> tuple[int, str]:
    """Run an example; return the number of its failures, and what doctest says about them."""
    said: list[str] = []
    test.globs = names
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    failed = runner.run(test, out=said.append, clear_globs=False).failed
    return failed, "".join(said)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(need_tool("redis-server"), tmp_path_factory.mktemp("redis"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.mark.parametrize("name", examples())
def test_examples_do_what_they_say(
    name: str,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    module = name.partition(":")[0]
    if module.startswith("capture.tshark"):
        need_tool("tshark")
    if module.startswith("redis"):
        world.redis_port = request.getfixturevalue("redis").port
    with world.prepared(tmp_path, monkeypatch) as names:
        failed, said = run(examples()[name], names)
    gc.collect()  # What an example leaves open shows up here (warnings are errors).
    assert not failed, said


@pytest.mark.parametrize(
    "broken",
    [
        ">>> handclasp.Limits().max_certificates\n11\n",
        ">>> handclasp.connect('example.org', 443)\n",
        ">>> ClientConfig(trust=TrustStore.from_pem('key.pem'))\n",
        ">>> handclasp.no_such_name\n",
    ],
)
def test_a_broken_example_fails(
    broken: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = doctest.DocTestParser().get_doctest(broken, {}, "broken", None, 0)
    with world.prepared(tmp_path, monkeypatch) as names:
        failed, said = run(test, names)
    assert failed == 1
    assert "Failed example" in said


PUBLIC_FOR_FINDING_ALONE = "handclasp.certificates.rules"
"""The other names there are the decision's own."""


@cache
def public_names() -> dict[str, tuple[ModuleType, Any]]:
    """Every public name, with its module and what it is; each thing once."""
    found: dict[str, tuple[ModuleType, Any]] = {}
    known: set[int] = set()
    for module in (handclasp, *map(import_module, MODULES)):
        if module.__name__ == PUBLIC_FOR_FINDING_ALONE:
            continue
        for name in names_of(module):
            thing = getattr(module, name)
            is_listed = module is handclasp or inspect.isclass(thing) or inspect.isfunction(thing)
            if is_listed and id(thing) not in known:
                known.add(id(thing))
                found[f"{module.__name__}.{name}"] = module, thing
    return found


@cache
def texts_of_values() -> dict[str, str]:
    """The docstrings behind assignments, such as that of `DEFER`, by name."""
    return {
        name.id: str(after.value.value)
        for module in modules().values()
        for before, after in zip(module.tree.body, module.tree.body[1:], strict=False)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(before, ast.Assign | ast.AnnAssign)
        for name in (before.targets if isinstance(before, ast.Assign) else [before.target])
        if isinstance(name, ast.Name)
    }


def own_members(thing: Any) -> Iterator[Any]:
    """Yield a function; or a class and what it defines itself."""
    yield thing
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            if not name.startswith("_"):
                yield getattr(member, "__func__", member)


def text_of(name: str) -> str:
    """Return the docstrings of a public name: its own and those of its public members."""
    thing = public_names()[name][1]
    if inspect.isclass(thing) or inspect.isfunction(thing):
        return "\n".join(inspect.cleandoc(each.__doc__ or "") for each in own_members(thing))
    if inspect.ismodule(thing):
        return thing.__doc__ or ""
    return texts_of_values().get(name.rpartition(".")[2], "")


def linked(text: str) -> Iterator[str]:
    """Yield the texts that hold the examples to which a docstring links."""
    for link in LINK.finditer(re.sub(r"\s+", " ", text)):
        if link["document"]:
            document = (ROOT / link["document"]).read_text("utf-8")
            if "```python" in document:
                yield document
            continue
        wanted = link["name"].removeprefix("handclasp.")
        if wanted in modules():
            targets = [import_module(f"handclasp.{wanted}").__doc__ or ""]
        else:
            name = wanted.partition(".")[0]
            targets = [text_of(each) for each in public_names() if each.endswith(f".{name}")]
        yield from (target for target in targets if ">>>" in target)


def is_shown(name: str) -> bool:
    """Say whether a name has an example, is in that of its module, or links to one that names it.

    The examples of modules count for the helpers that are public in a module of their own: who
    reads of these reads the module.
    """
    module, thing = public_names()[name]
    text, word = text_of(name), re.compile(rf"\b{name.rpartition('.')[2]}\b")
    if ">>>" in text:
        return True
    if module is not handclasp:
        rooms = {module.__name__, getattr(thing, "__module__", module.__name__)}
        texts = [import_module(room).__doc__ or "" for room in rooms]
        if any(">>>" in each and word.search(each) for each in texts):
            return True
    return any(word.search(target) for target in linked(text))


@pytest.mark.parametrize("name", public_names())
def test_every_public_name_is_shown(name: str) -> None:
    assert is_shown(name), f"{name} has no example and no link to one that names it"
