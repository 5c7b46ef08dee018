"""`handclasp bench`: what it measures, and how it is told."""

from __future__ import annotations

import itertools
import json
import os
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from handclasp.certificates.authority import LocalAuthority
from handclasp.cli.benchmarks import handshakes, machine, plot, records, report
from handclasp.cli.benchmarks.floors import SIDES, floor_of
from handclasp.cli.benchmarks.handshakes import OneSide
from handclasp.cli.benchmarks.measure import (
    FEW_ROUNDS,
    MIN_ROUNDS,
    Action,
    Clock,
    Measured,
    Row,
    measure,
)
from handclasp.cli.benchmarks.plot import every_bar, summary, to_svg
from handclasp.cli.benchmarks.stacks import (
    Handclasp,
    Setup,
    identity,
    own_and_ssl,
)
from handclasp.cli.outcome import WrongArguments

SVG = "{http://www.w3.org/2000/svg}"


def measured(own: float, other: float, unit: str = "us", more: bool = False) -> Measured:
    median = {"handclasp": own, "ssl": other}
    return Measured("records", "a <row>", median, median, {"ssl": 1.5}, unit, more)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    authority = LocalAuthority.open_or_create(tmp_path)
    return Setup(identity(authority, "ecdsa-p256", tmp_path))


def test_above_one_handclasp_is_faster() -> None:
    assert measured(2.0, 3.0).ratio == 1.5
    assert measured(300.0, 200.0, "1/s", more=True).ratio == 1.5
    assert Measured("records", "alone", {"handclasp": 1.0}, {}).ratio is None


def test_each_stack_takes_part_in_each_round_and_prepares_untimed() -> None:
    told: list[str] = []

    def action(name: str) -> Action:
        return Action(lambda given: told.append(f"{name}{given}"), lambda: len(told))

    actions = {"handclasp": action("h"), "ssl": action("s")}
    result = measure(Row("records", "a row", actions, action("f"), in_a_row=2), 40, 0.0)
    assert result.rounds == 2 * MIN_ROUNDS
    assert set(result.median) == {"handclasp", "ssl", "floor"}
    assert all(result.best[name] <= value for name, value in result.median.items())
    rounds = [each[0] for each in told[9:]]
    assert rounds[:18] == list("hhssffssffhhffhhss")
    assert len(rounds) == 3 * 2 * MIN_ROUNDS


@dataclass
class Taking:
    """Work that is said to take a certain time."""

    took: float
    times: int = 0

    def seconds(self, clock: Clock) -> float:
        self.times += 1
        return self.took


def test_a_slow_stack_comes_last_and_only_a_few_times() -> None:
    actions = {"handclasp": Taking(1), "ssl": Taking(5), "fast": Taking(14), "slow": Taking(16)}
    result = measure(Row("records", "a row", actions, in_a_row=1), rounds=40, seconds=0.0)
    warm = 3
    assert actions["ssl"].times == actions["fast"].times == MIN_ROUNDS + warm
    assert actions["slow"].times == FEW_ROUNDS + warm
    assert result.median["slow"] == 16e6


def test_one_side_counts_its_own_calls_only(setup: Setup) -> None:
    ticks = itertools.count()

    def clock() -> float:
        return float(next(ticks))

    # Made, let speak first, answer the server's flight, take the tickets, freed.
    assert OneSide(Handclasp().factory(setup), "client").seconds(clock) == 5
    assert OneSide(Handclasp().factory(setup), "server").seconds(clock) == 4


def test_the_table_and_the_picture() -> None:
    stacks = own_and_ssl()
    rows = [measured(2.0, 3.0), measured(40.0, 20.0), measured(1.0, 117.0), measured(9.0, 1.0)]
    text = report.to_markdown(rows, stacks)
    assert "| a <row> | 2.0 µs | 3.0 µs | 1.50 | 1.50 |" in text
    picture = ElementTree.fromstring(to_svg(every_bar(rows), "faster & slower"))
    texts = [each.text for each in picture.iter(f"{SVG}text")]
    assert texts[-1] == "faster & slower"
    assert texts.count("a <row>") == 4
    # What goes beyond the scale says so.
    assert {"1.50", "0.50", "117 →", "← 0.11"} <= set(texts)


def test_a_ratio_to_another_stack_beside_that_to_ssl() -> None:
    median = {"handclasp": 200.0, "ssl": 300.0, "pyOpenSSL": 150.0}
    targets, compared = {"ssl": 1.6, "pyOpenSSL": 1.1}, ("ssl", "pyOpenSSL")
    row = Measured("handshakes", "a row", median, median, targets, compared=compared)
    told = row.to_json()
    assert told["ratios"] == {"ssl": 1.5, "pyOpenSSL": 0.75}
    assert told["targets"] == {"ssl": 1.6, "pyOpenSSL": 1.1}
    table = next(report.tables([row], [NamedStack(name) for name in median]))
    assert table.head[-4:] == ["x ssl", "target", "x pyOpenSSL", "target"]
    assert table.rows == [["a row", "200 µs", "300 µs", "150 µs", "1.50", "1.60", "0.75", "1.10"]]
    assert table.notes == ["ssl leaves something out."]


class NamedStack(Handclasp):
    def __init__(self, name: str) -> None:
        self.name = name
        self.note = "leaves something out" if name == "ssl" else ""


def test_the_small_picture_has_the_rows_that_it_chooses(setup: Setup) -> None:
    identities = {each: replace(setup.identity, key_type=each) for each in handshakes.KEY_TYPES}
    names = [row.name for row in handshakes.rows([], identities)]
    names += [row.name for row in records.rows([], setup.identity)]
    names += [row.name for row in machine.config_rows()]
    names.append(f"an end of one of {machine.IDLE_CONNECTIONS} idle connections")
    assert not plot.SUMMARY.keys() - names
    assert len(summary([measured(1.0, 2.0)])) == 0


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_quick_run(run: Run, tmp_path: Path) -> None:
    files = [f"--markdown={tmp_path / 'table.md'}", f"--plot={tmp_path / 'plot.svg'}"]
    files.append(f"--summary-plot={tmp_path / 'small.svg'}")
    result = run("bench", "--quick", "--json", *files)
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["about"]["versions"]["ssl"].startswith("OpenSSL")
    assert set(told["about"]["versions"]) == {"handclasp", "ssl"}
    assert "--enable-optimizations" in told["about"]["build"]
    names = [row["name"] for row in told["rows"]]
    assert "v1.3 full, ecdsa-p256, X25519" in names
    assert "v1.2 resumed, X25519" in names
    assert "server, v1.3 resumed, X25519" in names
    for row in told["rows"]:
        assert row["ratios"]["ssl"] > 0
        assert row["rounds"] >= MIN_ROUNDS
    assert "v1.3 resumed" in (tmp_path / "table.md").read_text()
    ElementTree.parse(tmp_path / "plot.svg")
    assert "write 16 KB" in (tmp_path / "small.svg").read_text()


def test_a_file_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    from handclasp.cli import bench

    with pytest.raises(WrongArguments, match="Cannot write"):
        bench.write_file(str(tmp_path / "no" / "such" / "file"), "text")


@pytest.mark.skipif(os.name != "posix", reason="links and modes are those of POSIX")
def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    from handclasp.cli import bench

    victim, path = tmp_path / "victim", tmp_path / "table.md"
    victim.write_text("precious")
    path.symlink_to(victim)
    bench.write_file(str(path), "text")
    assert (victim.read_text(), path.read_text()) == ("precious", "text")
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("key_type", handshakes.KEY_TYPES)
def test_every_handshake_has_its_floor(tmp_path: Path, key_type: str) -> None:
    """But where a resumption agrees on nothing anew."""
    authority = LocalAuthority.open_or_create(tmp_path)
    setup = Setup(identity(authority, key_type, tmp_path))
    for group, side in itertools.product(handshakes.GROUPS, SIDES):
        floor = floor_of(replace(setup, group=group), [side])
        assert floor is not None
        floor.run(None)
    old = replace(setup, version="TLSv1.2")
    assert floor_of(old) is not None
    assert floor_of(replace(old, resumes=True)) is None
