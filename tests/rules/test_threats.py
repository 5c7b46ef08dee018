"""docs/security.md names tests that exist, for every attack."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from tests.security.document import BEGIN, END, table
from tests.security.limits import FIELDS, LIMITS, Limit
from tests.security.threats import THREATS, Threat

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
def test_every_attack_has_tests_that_exist(threat: Threat) -> None:
    assert threat.every_test
    for test in threat.every_test:
        assert exists(test), test


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.what)
def test_every_limit_has_a_test_that_exists(limit: Limit) -> None:
    assert exists(limit.test), limit.test


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_limits_is_told(name: str) -> None:
    assert f"Limits.{name}" in {limit.field for limit in LIMITS}


def exists(test: str) -> bool:
    file, _, name = test.partition("::")
    is_test = name.rpartition("::")[2].startswith("test_")
    return is_test and (TESTS / file).is_file() and name in named_in(file)


def test_there_are_all_of_them() -> None:
    assert len(THREATS) == len({threat.name for threat in THREATS}) == 131


def test_the_document_holds_the_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == table().strip()
