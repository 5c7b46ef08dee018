"""The search for what costs most: its inputs keep their form, and it finds what was put there.

Here for some seconds; `make fuzz-costs` has the time.
"""

from __future__ import annotations

import json
import math
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fuzz import costs, material
from tests.fuzz.conversation import every_message
from tests.fuzz.costs import Search, power_of_what_is_added
from tests.fuzz.growth import filled, grown, halved
from tests.fuzz.shapes import DoesNotFit, Node, der, json_tree, lines, render, tls
from tests.fuzz.spending import Attempt, Spending, outcome_of, spendings

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not hasattr(signal, "setitimer"),
        reason="calls that take too long cannot be broken off here",
    ),
]


@pytest.fixture(autouse=True)
def breaks_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    signal.signal(signal.SIGVTALRM, costs._break_off)
    monkeypatch.setattr(costs, "FOLDER", tmp_path)


def test_what_is_read_is_written_as_it_was() -> None:
    for raw in every_message():
        assert render(tls(raw)) == raw
    text = b"CLIENT_RANDOM 0a 0b\n1|2||a\n"
    assert render(lines(text)) == text
    document = {"a": [1, None, "b"], "c": {}}
    assert json.loads(render(json_tree(document))) == document


def test_a_certificate_is_signed_again() -> None:
    (leaf,) = der(material.server().chain_der[0]) or []
    first, second = render(leaf), render(leaf)
    assert first != second
    assert first[4:200] == second[4:200]


def test_times_and_numbers() -> None:
    part = Node("u2", data=b"\1\0", fixed=True, times=3)
    vector = Node("list", "2", parts=[part], many=True)
    assert render(vector) == b"\0\6\1\0\1\0\1\0"
    part.numbered = True
    assert render(vector) == b"\0\6\1\0\1\1\1\2"
    assert render(halved(Node("list", parts=[Node("a", data=b"a", times=8)]))) == b"aaaa"


@pytest.mark.parametrize("name", spendings())
def test_every_seed_can_be_measured(name: str) -> None:
    target = spendings()[name]
    outcomes = {outcome_of(target.prepare(seed).call) for seed in target.seeds()}
    assert outcomes & {"taken", "certificate_name_mismatch", "revocation_unknown"}, outcomes


@pytest.mark.parametrize("name", spendings())
def test_nothing_that_grows_raises_what_it_must_not(name: str) -> None:
    search = Search(spendings()[name], random.Random(name))
    seeds = len(search.kept)
    for _ in range(25):
        search.step()
    assert not search.broken
    assert len(search.kept) >= seeds


def test_what_is_grown_fits() -> None:
    chance = random.Random(1)
    (seed, *others) = list(spendings()["hello"].seeds())
    ways: list[Callable[[], Node]] = [
        lambda: grown(chance, seed, others, 5000),
        lambda: filled(chance, seed, 5000),
    ]
    for _ in range(200):
        for grow in ways:
            try:
                tree = grow()
                size = len(b"".join(map(render, (tree.parts or [])[3:])))
            except DoesNotFit:
                continue
            assert size < 6000


def planted(call: Callable[[list[bytes]], object]) -> Search:
    """A search where a list is given to this function."""

    def prepare(root: Node) -> Attempt:
        data = render(root)
        items = [data[at : at + 2] for at in range(0, len(data), 2)]
        return Attempt(len(data), lambda: call(items))

    def seeds() -> list[Node]:
        pair = Node("u2", data=b"ab", fixed=True)
        return [Node("root", parts=[Node("list", parts=[pair], many=True)])]

    return Search(Spending("planted", prepare, seeds, most=8000), random.Random(3))


def findings(search: Search) -> str:
    for _ in range(60):
        search.step()
    return ", ".join([*(why for _, why in search.findings()), *search.broken])


def test_a_square_is_a_finding() -> None:
    assert "to the power of" in findings(planted(lambda items: [0 for a in items for b in items]))


def test_what_is_dearer_than_the_rest_is_no_square() -> None:
    """A part that grows and costs more for each byte than one that stays as it is."""
    sizes, seconds = (17_775, 12_384, 9_705), (0.064, 0.039, 0.026)
    assert math.log(seconds[0] / seconds[1]) / math.log(sizes[0] / sizes[1]) > 1.3
    assert power_of_what_is_added(sizes, seconds) < 1.1
    assert power_of_what_is_added((9_000, 5_000, 3_000), (0.074, 0.026, 0.014)) == pytest.approx(2)
    assert power_of_what_is_added((8, 8, 8), (3.0, 2.0, 1.0)) == math.inf


def test_what_takes_long_is_a_finding() -> None:
    found = findings(planted(lambda items: [sum(range(2000)) for _ in items]))
    assert "ms, 20 are allowed" in found


def test_what_never_ends_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_LONGEST", 0.05)

    def never_ends(items: list[bytes]) -> None:
        while len(items) > 1000:
            pass

    assert "20 are allowed" in findings(planted(never_ends))


def test_an_exception_is_a_finding() -> None:
    def broken(items: list[bytes]) -> None:
        if len(items) > 10:
            raise KeyError("a defect")

    assert "KeyError" in findings(planted(broken))


def test_what_is_cheap_is_none() -> None:
    assert not findings(planted(lambda items: set(items)))


def test_a_run_tells_keeps_and_goes_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert costs.fuzz_costs(["keylog"], 1) in (0, 1)
    assert "keylog: " in capsys.readouterr().out
    kept = tmp_path / "keylog.pickle"
    assert kept.stat().st_size > 100
    search = Search(spendings()["keylog"], random.Random(1))
    before = len(search.kept)
    search.load()
    assert len(search.kept) > before
