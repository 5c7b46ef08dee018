"""No member of the catalogue is forgotten here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handclasp import Fault

BEFORE_TLS = {Fault.PLAINTEXT_BEFORE_TLS, Fault.PROXY_HEADER}
"""Faults that have no alert, as TLS has not begun: tests/adapters has their tests."""


@pytest.mark.parametrize("fault", [each for each in Fault if each not in BEFORE_TLS])
def test_every_fault_has_its_attack(fault: Fault) -> None:
    """Each is triggered in this folder, where `refused` compares its alert to the byte."""
    folder = Path(__file__).parent
    files = [path for path in folder.glob("test_*.py") if path != Path(__file__)]
    assert any(
        re.search(rf"\bFault\.{fault.name}\b", path.read_text(encoding="utf-8")) for path in files
    ), fault.name
