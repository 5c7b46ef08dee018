"""Each captured failure is told as docs/failures.md has it."""

from __future__ import annotations

import pytest
from tests.capture.test_told import DATA, flat
from tests.cli.conftest import Run, run  # noqa: F401 (a fixture)
from tests.failures.captured import CAPTURED, NOBODY, Captured
from tests.required import need_tool

pytestmark = pytest.mark.capture

TWENTY = 20


@pytest.mark.parametrize("case", CAPTURED, ids=lambda case: f"{case.name}, keyed: {case.keyed}")
def test_what_is_told(run: Run, case: Captured) -> None:  # noqa: F811
    need_tool("tshark")
    path = next(DATA.glob(f"{case.name}.pcap*"))
    keys = DATA / f"{case.name}.keys"
    keylog = ["--keylog", str(keys)] if case.keyed and keys.exists() else []
    told = flat(run("explain", str(path), *keylog).output)
    for words in (case.cause, case.condition, case.fix):
        assert words in told
    if case.blame == NOBODY:
        assert "at fault" not in told
    else:
        assert f"at fault {case.blame}" in told


def test_there_are_enough_and_each_says_why() -> None:
    assert len({(case.name, case.keyed) for case in CAPTURED}) == len(CAPTURED) >= TWENTY
    for case in CAPTURED:
        assert case.why.endswith(".")
        assert case.blame
