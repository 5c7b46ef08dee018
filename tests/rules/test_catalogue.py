"""Every fault is raised somewhere and tested somewhere, and only the catalogue names alerts."""

from __future__ import annotations

import ast
import re

import pytest
from tests.rules.source import TESTS, Module, modules

from handclasp.faults import Fault

HERE = TESTS / "rules"

# These belong to alerts that are read, sent at a close, explained, or sent by faulty peers; none is
# chosen by a fault.
MAY_NAME_ALERTS = {"faults", "alerts", "connection", "lifecycle", "iana", "testing"}


def named_in_source() -> set[str]:
    """The members that some module other than the catalogue names as `Fault.X`."""
    return {
        node.attr
        for module in modules().values()
        if module.layer not in ("faults", "testing")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Fault"
    }


def words_in_tests() -> set[str]:
    """Every word in the tests, but for those of the tables that go through all members."""
    found: set[str] = set()
    for path in TESTS.rglob("*.py"):
        if path.parent != HERE and path.name != "test_faults.py":
            found |= set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", path.read_text("utf-8")))
    return found


def test_every_fault_is_raised_somewhere() -> None:
    assert {fault.name for fault in Fault} - named_in_source() == set()


def test_no_fault_is_made_up() -> None:
    assert named_in_source() - {fault.name for fault in Fault} <= {"name", "value"}


def test_every_fault_is_tested_somewhere() -> None:
    assert {fault.name for fault in Fault} - words_in_tests() == set()


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)
def test_alerts_are_named_by_the_catalogue_alone(module: Module) -> None:
    readers = ("trace", "story", "capture", "cli")
    if {module.name, module.layer} & MAY_NAME_ALERTS or module.layer in readers:
        return
    names = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
    assert "AlertDescription" not in names
