"""`handclasp bench`: what it measures, and how it is told."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from handclasp.cli.benchmarks import report
from handclasp.cli.benchmarks.measure import MIN_ROUNDS, Action, Measured, Row, measure
from handclasp.cli.benchmarks.plot import to_svg
from handclasp.cli.benchmarks.stacks import installed_stacks


def measured(own: float, other: float, unit: str = "us", more: bool = False) -> Measured:
    median = {"handclasp": own, "ssl": other}
    return Measured("records", "a <row>", median, median, 1.5, unit, more)


def test_above_one_handclasp_is_faster() -> None:
    assert measured(2.0, 3.0).ratio == 1.5
    assert measured(300.0, 200.0, "1/s", more=True).ratio == 1.5
    assert Measured("records", "alone", {"handclasp": 1.0}, {}).ratio is None


def test_each_stack_takes_part_in_each_round_and_prepares_untimed() -> None:
    told: list[str] = []

    def action(name: str) -> Action:
        return Action(lambda given: told.append(f"{name}{given}"), lambda: len(told))

    row = Row("records", "a row", {"handclasp": action("h"), "ssl": action("s")}, action("f"))
    result = measure(row, rounds=40, seconds=0.0)
    assert result.rounds == MIN_ROUNDS
    assert set(result.median) == {"handclasp", "ssl", "floor"}
    assert all(result.best[name] <= value for name, value in result.median.items())
    rounds = [each[0] for each in told[9:]]
    assert rounds[:9] == list("hsfsfhfhs")
    assert len(rounds) == 3 * MIN_ROUNDS


def test_the_table_and_the_picture() -> None:
    stacks = list(installed_stacks())
    rows = [measured(2.0, 3.0), measured(40.0, 20.0)]
    text = report.to_markdown(rows, stacks)
    assert "| a <row> | 2.0 µs | 3.0 µs | 1.50 | 1.50 |" in text
    picture = ElementTree.fromstring(to_svg(rows, "faster & slower"))
    bars = [each for each in picture.iter("{http://www.w3.org/2000/svg}rect") if "y" in each.attrib]
    assert len(bars) == 2


@pytest.mark.timeout(300)
def test_a_quick_run(run: Run, tmp_path: Path) -> None:
    files = ("--markdown", str(tmp_path / "table.md"), "--plot", str(tmp_path / "plot.svg"))
    result = run("bench", "--quick", "--json", *files)
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["about"]["versions"]["ssl"].startswith("OpenSSL")
    names = [row["name"] for row in told["rows"]]
    assert "v1.3 full, ecdsa-p256, X25519" in names
    assert "v1.2 resumed, X25519" in names
    for row in told["rows"]:
        assert row["ratio"] > 0
        assert row["rounds"] >= MIN_ROUNDS
    assert "v1.3 resumed" in (tmp_path / "table.md").read_text()
    ElementTree.parse(tmp_path / "plot.svg")


def test_a_file_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    from handclasp.cli import bench

    with pytest.raises(bench.WrongArguments, match="Cannot write"):
        bench.write_file(str(tmp_path / "no" / "such" / "file"), "text")
