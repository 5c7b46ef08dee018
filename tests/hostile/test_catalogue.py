"""No member of the catalogue is forgotten here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from handclasp import Fault

NOT_BY_A_PEER = {
    Fault.KEY_EXHAUSTED: "2^64 records under one key; keys change long before",
    Fault.HANDSHAKE_TIMEOUT: "said by the adapters",
    Fault.OWN_SIGNATURE_WRONG: "said by a signer of this side",
    Fault.INTERNAL_ERROR: "a defect of this side: what no peer may cause",
    Fault.TRUNCATED: "the end of the transport; see the flows",
}


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_has_its_attack(fault: Fault) -> None:
    folder = Path(__file__).parent
    files = [path for path in folder.glob("test_*.py") if path != Path(__file__)]
    used = any(
        re.search(rf"\bFault\.{fault.name}\b", path.read_text(encoding="utf-8")) for path in files
    )
    assert used is not (fault in NOT_BY_A_PEER), fault.name
