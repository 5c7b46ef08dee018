"""Each demand of RFC 9849 in the table has tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.adversarial.rfc9849 import DEMANDS

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("test", sorted({test for each in DEMANDS for test in each.tests}))
def test_the_test_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (TESTS / path).read_text("utf-8"), re.MULTILINE)


def test_every_section_has_its_demands() -> None:
    sections = {each.section for each in DEMANDS}
    wanted = {"4", "4.2", "5", "5.1", "5.2", "6.1", "6.2.1", "7", "7.1", "7.1.1", "7.2", "8.1.1"}
    wanted |= {f"6.1.{number}" for number in range(1, 9)} | {"9", "10.4", "10.12.2", "10.12.3"}
    assert wanted <= sections
    assert all(each.tests for each in DEMANDS)
