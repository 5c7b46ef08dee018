"""docs/security.md names tests that exist, for every attack."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from tests.security.document import BEGIN, END, table
from tests.security.threats import THREATS

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "security.md"


@cache
def named_in(file: str) -> frozenset[str]:
    """The tests of a file, those in classes as pytest names them."""
    found: set[str] = set()
    for node in ast.parse((TESTS / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.add(f"{node.name}::{inner.name}")
    return frozenset(found)


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.name)
def test_every_attack_has_tests_that_exist(threat: object) -> None:
    assert threat.every_test  # type: ignore[attr-defined]
    for test in threat.every_test:  # type: ignore[attr-defined]
        file, _, name = test.partition("::")
        assert (TESTS / file).is_file(), test
        assert name in named_in(file), test
        assert name.rpartition("::")[2].startswith("test_"), test


def test_there_are_all_of_them() -> None:
    assert len(THREATS) == len({threat.name for threat in THREATS}) == 60


def test_the_document_holds_the_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == table().strip()
