"""Edits of the source that find their code by its symbol and its syntax, not by its text.

An edit names a module and a function, class or constant in it, and the code that it replaces
there. The code is compared as a syntax tree: formatting, comments and quotes do not count. `...`
in it stands for anything: any expression, any body, or whatever else a call is given. So
`raise ProtocolError(Fault.BAD_FINISHED, ...)` is found however its detail is worded.

A symbol that has moved is still found, as long as it is clear which one is meant: in the same
package first, then anywhere in the source; then a method of the same name in another class, and
at last the one place that raises the same fault.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "handclasp"


class NotFound(LookupError):
    """No code is there to replace, or it is not clear which."""


@dataclass(frozen=True)
class Edit:
    """A defence, taken out.

    Attributes:
        where: the module below `handclasp`, and the qualified name in it: a function, a class, or
            a constant of either. `record.framing.Framer.next_record`.
        old: the code that is replaced, wherever it stands in there: an expression or statements.
        new: what takes its place.
        before: the statement that must follow it, and stays; where the same code stands twice.
    """

    where: str
    old: str
    new: str
    before: str = ""


def default_for(old: str) -> str:
    """Return what the usual edit puts in place of a condition or of a statement."""
    return "pass" if _expression(old) is None else "False"


@dataclass(frozen=True)
class Place:
    """One symbol of one module; `name` is "" for the module itself."""

    module: str
    name: str
    path: Path
    node: ast.AST

    @property
    def where(self) -> str:
        return ".".join(filter(None, (self.module, self.name)))


def find(edit: Edit, source: Path = SOURCE) -> Place:
    """Return the symbol that an edit means.

    Raises:
        NotFound: its code is nowhere, or in several places that may be meant.
    """
    for place in _places_of_symbol(edit.where, source):
        if _spans(edit, place.node):
            return place
    holding = [place for place in _places(source) if _spans(edit, place.node)]
    for candidates in _from_near_to_far(edit, holding):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            break
    standing = ", ".join(place.where for place in _innermost(holding)) or "nowhere"
    raise NotFound(f"{edit.old!r} is not in {edit.where}; it stands in: {standing}")


def apply(edit: Edit, source: Path) -> None:
    """Make an edit in a copy of the source.

    Raises:
        NotFound: see `find`.
    """
    place = find(edit, source)
    data = place.path.read_bytes()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    # Backwards, so that what is replaced does not move what is still to come.
    for first, last in reversed(_spans(edit, place.node)):
        begin = starts[first.lineno - 1] + first.col_offset
        end = starts[(last.end_lineno or 0) - 1] + (last.end_col_offset or 0)
        if _is_expression(edit):
            new = f"({edit.new})"
        else:
            new = edit.new.replace("\n", "\n" + " " * first.col_offset)
        data = data[:begin] + new.encode() + data[end:]
    place.path.write_bytes(data)


def _from_near_to_far(edit: Edit, holding: list[Place]) -> Iterator[list[Place]]:
    """Where the symbol may have gone, in order; the code of the edit stands in each of them."""
    package = edit.where.partition(".")[0]
    near = [place for place in holding if place.module.partition(".")[0] == package]
    name = _name_within(edit.where)
    for places in (near, holding):
        yield _innermost([place for place in places if place.name == name])
    last = name.rpartition(".")[2]
    for places in (near, holding):
        yield _innermost([place for place in places if place.name.rpartition(".")[2] == last])
    if "Fault." in edit.old:
        yield _innermost(holding)


def _name_within(where: str) -> str:
    """The qualified name, without the module, which may be gone: it begins at the first class."""
    parts = where.split(".")
    classes = (at for at, part in enumerate(parts) if part.lstrip("_")[:1].isupper())
    return ".".join(parts[next(classes, len(parts) - 1) :])


def _innermost(places: list[Place]) -> list[Place]:
    """Those that hold no other one of them."""
    return [
        place
        for place in places
        if not any(
            other is not place
            and other.path == place.path
            and (not place.name or other.name.startswith(f"{place.name}."))
            for other in places
        )
    ]


def _places_of_symbol(where: str, source: Path) -> Iterator[Place]:
    """The symbol itself, if its module is there: two, where a property has a setter."""
    parts = where.split(".")
    for count in range(len(parts), 0, -1):
        module = source.joinpath(*parts[:count])
        for path in (module.with_suffix(".py"), module / "__init__.py"):
            if path.is_file():
                places = _places_of(source, path, path.read_text(encoding="utf-8"))
                yield from (place for place in places if place.where == where)


def _places(source: Path) -> list[Place]:
    found: list[Place] = []
    for path in sorted(source.rglob("*.py")):
        found += _places_of(source, path, path.read_text(encoding="utf-8"))
    return found


@cache
def _places_of(source: Path, path: Path, text: str) -> list[Place]:
    parts = list(path.relative_to(source).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    module = ".".join(parts)
    tree = ast.parse(text)
    return [Place(module, name, path, node) for name, node in [("", tree), *_symbols(tree, "")]]


def _symbols(scope: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    """Qualified names below a module, class or function, and their nodes."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
            yield from _symbols(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield prefix + target.id, node
        elif isinstance(node, ast.stmt | ast.ExceptHandler):
            yield from _symbols(node, prefix)


# The syntax


def _expression(code: str) -> ast.expr | None:
    try:
        return ast.parse(code, mode="eval").body
    except SyntaxError:
        return None


@cache
def _is_expression(edit: Edit) -> bool:
    return _expression(edit.old) is not None and _expression(edit.new) is not None


@cache
def _pattern(edit: Edit) -> ast.expr | list[ast.stmt]:
    if _is_expression(edit):
        return ast.parse(edit.old, mode="eval").body
    return ast.parse(edit.old).body


Node = ast.expr | ast.stmt


def _spans(edit: Edit, scope: ast.AST) -> Sequence[tuple[Node, Node]]:
    """First and last node of each piece of the code that the edit replaces, in order."""
    pattern = _pattern(edit)
    if isinstance(pattern, list):
        whole = pattern + ast.parse(edit.before).body
        found = [
            (body[at], body[at + len(pattern) - 1])
            for body in _bodies(scope)
            for at in range(len(body) - len(whole) + 1)
            if all(map(matches, whole, body[at:]))
        ]
    else:
        found = [
            (node, node)
            for node in _walk(scope)
            if isinstance(node, ast.expr) and _is_read(node) and matches(pattern, node)
        ]
    return sorted(found, key=lambda span: (span[0].lineno, span[0].col_offset))


@cache
def _walk(scope: ast.AST) -> list[ast.AST]:
    return list(ast.walk(scope))


@cache
def _bodies(scope: ast.AST) -> list[list[ast.stmt]]:
    """Every run of statements in a scope, and the scope itself."""
    found = [[scope]] if isinstance(scope, ast.stmt) else []
    for node in _walk(scope):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                found.append(body)
    return found


def _is_read(node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Load | None)


def matches(pattern: object, node: object) -> bool:
    """Tell whether code is as a pattern says, where `...` is anything."""
    if _is_anything(pattern):
        return isinstance(node, ast.expr | ast.stmt)
    if isinstance(pattern, list) and isinstance(node, list):
        if len(pattern) == 1 and isinstance(pattern[0], ast.Expr) and _is_anything(pattern[0]):
            return True
        return len(pattern) == len(node) and all(map(matches, pattern, node))
    if not isinstance(pattern, ast.AST):
        return type(pattern) is type(node) and pattern == node
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, ast.Call) and isinstance(node, ast.Call):
        return _calls_match(pattern, node)
    return all(
        matches(value, getattr(node, name))
        for name, value in ast.iter_fields(pattern)
        if name not in ("ctx", "kind", "type_comment")
    )


def _calls_match(pattern: ast.Call, node: ast.Call) -> bool:
    if not matches(pattern.func, node.func):
        return False
    if pattern.args and _is_anything(pattern.args[-1]):
        given = pattern.args[:-1]
        return len(given) <= len(node.args) and all(map(matches, given, node.args))
    return matches(pattern.args, node.args) and matches(pattern.keywords, node.keywords)


def _is_anything(pattern: object) -> bool:
    if isinstance(pattern, ast.Expr):
        pattern = pattern.value
    return isinstance(pattern, ast.Constant) and pattern.value is ...
