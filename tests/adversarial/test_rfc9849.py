"""Each demand of RFC 9849, and each case of BoringSSL for it, has tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.adversarial.boringssl_ech import CASES
from tests.adversarial.rfc9849 import DEMANDS

TESTS = Path(__file__).parents[1]
PROOFS = [each.tests for each in DEMANDS]
PROOFS += [proof for proof in CASES.values() if not isinstance(proof, str)]


@pytest.mark.parametrize("test", sorted({test for proof in PROOFS for test in proof}))
def test_the_test_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (TESTS / path).read_text("utf-8"), re.MULTILINE)


def test_every_section_has_its_demands() -> None:
    sections = {each.section for each in DEMANDS}
    wanted = {"4", "4.2", "5", "5.1", "5.2", "6.1", "6.2.1", "7", "7.1", "7.1.1", "7.2", "8.1.1"}
    wanted |= {f"6.1.{number}" for number in range(1, 9)} | {"9", "10.4", "10.12.2", "10.12.3"}
    assert wanted <= sections
    assert all(each.tests for each in DEMANDS)


def test_every_case_has_tests_or_a_reason() -> None:
    assert len(CASES) == 113
    assert all(CASES.values())
