"""The English of the source and of the docs: plain words, sentences with subjects, verbs first.

The rules hold for every module and for every document.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.rules.source import ROOT, Module, functions, modules

PHRASES = {
    r"judge(d|s|ment|ments)?|judging": "verify, verified, verification",
    r"who says|who comes|who asks|who gets": "a sentence with a subject: a silent peer, a client",
    r"whoever": "anybody who, or the subject itself: an attacker, a caller",
    r"worn": "exhausted",
    r"(no|other|another) way in": "authentication, access",
    r"gives? away|given away": "issue",
    r"good for": "valid for, may certify",
    r"(is|are|was|were|be) told(?! apart)": "is called with, gets, is reported",
    r"com(e|es|ing) back (with|to)": "resume",
    r"no good": "the error itself",
    r"of no use": "cannot be used, useless",
    r"to say of": "the finding, the remark",
    r"all the same": "anyway",
    r"from here on": "after that, from this point",
    r"without end": "no timeout, unbounded",
    r"in the place of": "instead of",
    r"knows nothing of": "does not know",
    r"convinces?|convinced": "is accepted, is verified",
    r"at hand": "available, current",
    r"as good as": "equal to, counts as",
    r"looked at": "checked, read, used",
    r"passed over|passes over": "skipped, ignored",
}
"""Words that the field does not use, or uses for something else, and the words to take."""

PHRASE = re.compile(rf"\b({'|'.join(PHRASES)})\b", re.IGNORECASE)

OPENERS = {"What", "Whether", "How", "Who", "Whose", "Where", "Why", "That", "Those", "Which"}
"""No docstring begins with a clause in place of a noun."""

NOT_VERBS = OPENERS | {"The", "A", "An", "All", "As", "From", "In", "Of", "Up", "For", "None"}
"""Nor does one of a function with a noun: `Return the ...`."""

DOCUMENTS = sorted({*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "SECURITY.md"})

every_room = pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)


@cache
def words_of(path: Path) -> tuple[tuple[int, str], ...]:
    """Return the comments, and the strings that hold sentences, with their lines."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
    return tuple(
        (token.start[0], re.sub(r"\s+", " ", token.string))
        for token in tokens
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and " " in token.string)
    )


def docstrings(module: Module) -> Iterator[tuple[str, str]]:
    """Yield every docstring that is not a function's, with what it belongs to."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            if said := ast.get_docstring(node):
                yield getattr(node, "name", "the module"), said
            for before, after in zip(node.body, node.body[1:], strict=False):
                if not isinstance(after, ast.Expr) or not isinstance(after.value, ast.Constant):
                    continue
                if isinstance(before, ast.Assign | ast.AnnAssign):
                    yield ast.unparse(before), str(ast.literal_eval(after.value))


def first_word(text: str) -> str:
    found = re.search(r"\w+", text)
    return found[0] if found is not None else ""


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in function.decorator_list)


@every_room
def test_no_coinages(module: Module) -> None:
    found = [
        f"{module.name}:{line}: {match[0]} ({text[max(0, match.start() - 40) : match.end() + 40]})"
        for line, text in words_of(module.path)
        for match in PHRASE.finditer(text)
    ]
    assert found == []


@every_room
def test_docstrings_of_functions_begin_with_a_verb(module: Module) -> None:
    found: list[str] = []
    for function in functions(module):
        said = ast.get_docstring(function)
        # A property is a value, and the usual docstring of a switch is "Whether ...".
        wrong = OPENERS - {"Whether"} if is_property(function) else NOT_VERBS
        if said and first_word(said) in wrong:
            found.append(f"{module.name}.{function.name}: {said.splitlines()[0]}")
    assert found == []


@every_room
def test_docstrings_begin_with_no_clause(module: Module) -> None:
    found = [
        f"{module.name}, {name[:40]}: {said.splitlines()[0]}"
        for name, said in docstrings(module)
        if first_word(said) in OPENERS
    ]
    assert found == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_coinages_in_the_documents(path: Path) -> None:
    # Code and names of tests are not English.
    text = re.sub(r"```.*?```|`[^`]*`|https?:\S+", "", path.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    found = [text[max(0, m.start() - 40) : m.end() + 40] for m in PHRASE.finditer(text)]
    assert found == []
