"""`python -m tests.fuzz --cost --seconds 3600`: look for what costs most, led by cost.

For each target of `spending`, a search by evolution: of each outcome and each size, the input that
cost most is kept, and changed ones of those are tried next. Cost is the processor time of this
thread, so that what C does counts (scans of tuples, calls of cryptography, copying); caches that
outlive a connection are emptied before. What is kept stays in `.fuzz/costs/NAME.pickle`, so that
the next run goes on from there.

A finding is an input that costs more than its target may spend on a stranger, or one of which half
costs much less than half. It is kept in `.fuzz/costs/found`, told at the end, and makes the status
1; to see it again:

    python -m tests.fuzz --cost --again .fuzz/costs/found/NAME-...
"""

from __future__ import annotations

import functools
import gc
import math
import pickle
import random
import signal
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tests.fuzz.growth import filled, grown, halved
from tests.fuzz.shapes import DoesNotFit, Node
from tests.fuzz.spending import Attempt, Spending, outcome_of, spendings

FOLDER = Path(".fuzz") / "costs"
_TURN = 10.0
"""Seconds for which a target runs before the next one does."""
_LONGEST = 2.0
"""Seconds after which a call is broken off, once it is back from C."""
_TRUSTED = 3
"""Runs of which the fastest counts: the others were disturbed."""
PER_BYTE = 200e-9
"""Seconds that each byte may cost, where there are so many that they cost more than is allowed."""
_STEEP = 1.4
"""By this power of its size an input may cost at most: 1 is linear, and measuring is not exact."""
_NOTABLE = 0.2
"""Seconds from which on it is told at once."""
_LEAST = 0.004
"""Seconds below which nothing can be said of a power."""


@dataclass
class Kept:
    """An input, and what it cost."""

    tree: Node
    size: int
    seconds: float
    outcome: str


class Cache:
    """Empties what the library keeps in modules, so that an input costs what it costs first."""

    def __init__(self) -> None:
        self._all = [
            each
            for each in gc.get_objects()
            if isinstance(each, functools._lru_cache_wrapper)
            and str(getattr(each, "__module__", "")).startswith("handclasp")
            and each.cache_parameters()["maxsize"] is not None
        ]

    def clear(self) -> None:
        for each in self._all:
            each.cache_clear()


class _TooLong(BaseException):
    """A call was broken off."""


def _break_off(number: int, frame: FrameType | None) -> None:
    raise _TooLong


def seconds_of(attempt: Attempt, cache: Cache) -> tuple[float, str]:
    """Processor time of one call, and what became of it."""
    cache.clear()
    gc.disable()
    began = time.thread_time()
    try:
        outcome = _outcome_in_time(attempt)
    except _TooLong:
        outcome = "broken off"
    finally:
        gc.enable()
    return time.thread_time() - began, outcome


def _outcome_in_time(attempt: Attempt) -> str:
    """Raise `_TooLong` after a while, which may be when the call has just ended."""
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, _LONGEST)
        return outcome_of(attempt.call)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def memory_of(attempt: Attempt) -> int:
    """Bytes that were held at most during the call, besides what was there before."""
    tracemalloc.start()
    try:
        outcome_of(attempt.call)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def power_of_what_is_added(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """By which power costs grow, of a whole, its half and its quarter, fixed costs aside.

    Infinite where that cannot be said.
    """
    (more, less), (dearer, cheaper) = [
        (whole - half, half - quarter) for whole, half, quarter in (sizes, seconds)
    ]
    if min(less, dearer, cheaper) <= 0 or more < 1.2 * less:
        return math.inf
    return math.log(dearer / cheaper) / math.log(more / less)


class Search:
    """The worst inputs of one target so far, and how to find worse ones."""

    def __init__(self, target: Spending, chance: random.Random) -> None:
        self.target = target
        self.runs = 0
        self.kept: dict[tuple[str, int], Kept] = {}
        self.broken: dict[str, Node] = {}
        self._chance = chance
        self._notable = 0.0
        self._seeds = list(target.seeds())
        for seed in self._seeds:
            outcome_of(target.prepare(seed).call)  # What is made once is made now.
        self._cache = Cache()
        for seed in self._seeds:
            self.attempt(seed)
        self.least = min((each.seconds for each in self.kept.values()), default=0.0)
        """What the cheapest conversation costs, and no input can help."""

    def run(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.step()

    def step(self) -> None:
        """Try one more input; most are small, which is where forms are found."""
        chance, seed = self._chance, self._chance.choice(self._seeds)
        most = self.target.most >> chance.choice((0, 0, 1, 2, 3, 4, 5))
        try:
            if chance.random() < 0.3:
                tree = filled(chance, chance.choice((seed, self._parent())), most)
            else:
                tree = grown(chance, self._parent(), [self._parent(), seed], most)
        except (DoesNotFit, RecursionError):
            return
        self.attempt(tree)

    def attempt(self, tree: Node) -> None:
        """Measure it, and keep it where it is the worst of its kind."""
        self.runs += 1
        try:
            attempt = self.target.prepare(tree)
        except Exception:
            return  # It is none: a peer that cannot say it, a flight without its end.
        try:
            seconds, outcome = seconds_of(attempt, self._cache)
        except Exception as error:
            self.broken.setdefault(f"{type(error).__name__}: {error}"[:200], tree)
            return
        place = outcome, attempt.size.bit_length()
        before = self.kept.get(place)
        if before is None or before.seconds * 1.05 < seconds:
            seconds = min(seconds, self.again(tree))
            if before is None or before.seconds < seconds:
                if seconds > max(_NOTABLE, self._notable):
                    self._notable = 2 * seconds
                    print(
                        f"{self.target.name}: {seconds:.2f} s {outcome}, {attempt.size} bytes, "
                        f"{described(tree)}",
                        flush=True,
                    )
                self.kept[place] = Kept(tree, attempt.size, seconds, outcome)

    def again(self, tree: Node) -> float:
        """What it costs where nothing disturbs it. Each time is with a fresh peer."""
        seconds = math.inf
        for _ in range(_TRUSTED - 1):
            seconds = min(seconds, seconds_of(self.target.prepare(tree), self._cache)[0])
            if seconds > 1:  # That is clear enough.
                break
        return seconds

    def per_byte(self, kept: Kept) -> float:
        """Seconds for each byte, besides what any conversation costs."""
        return max(0.0, kept.seconds - self.least) / max(1, kept.size)

    def power(self, kept: Kept) -> float:
        """By which power of its size it costs, at least; 0 where that cannot be said.

        A half may be another thing than the whole, and a quarter than the half: both must agree.
        So must what the halves add: where most of an input stays as it is, and only the cheaper
        part of it, all of it grows faster than its size although each part is linear.
        """
        if kept.seconds < _LEAST:
            return 0.0
        tree, size, seconds = kept.tree, kept.size, min(kept.seconds, self.again(kept.tree))
        powers, sizes, costs = list[float](), [size], [seconds]
        for _ in range(2):
            tree = halved(tree)
            try:
                attempt = self.target.prepare(tree)
                outcome = seconds_of(attempt, self._cache)[1]
                less = self.again(tree)
            except Exception:
                return 0.0
            if attempt.size > 0.8 * size or outcome != kept.outcome:
                return 0.0
            powers.append(math.log(seconds / less) / math.log(size / max(1, attempt.size)))
            size, seconds = attempt.size, less
            sizes.append(size)
            costs.append(seconds)
        return min(*powers, power_of_what_is_added(sizes, costs))

    def worst(self) -> list[Kept]:
        """By cost in all, then by cost per byte."""
        found = sorted(self.kept.values(), key=lambda each: -each.seconds)[:3]
        large = [each for each in self.kept.values() if each.size >= 1000]
        found += sorted(large, key=lambda each: -self.per_byte(each))[:3]
        return [each for number, each in enumerate(found) if each not in found[:number]]

    def findings(self) -> list[tuple[Kept, str]]:
        """What costs too much, and in which way."""
        found = []
        for each in self.worst():
            power, most = self.power(each), self.target.seconds
            why = []
            if most is not None and each.seconds > (most := max(most, each.size * PER_BYTE)):
                why.append(f"{each.seconds * 1000:.0f} ms, {most * 1000:.0f} are allowed")
            if power > _STEEP:
                why.append(f"grows as the size to the power of {power:.1f}")
            if why:
                found.append((each, ", ".join(why)))
        return found

    def _parent(self) -> Node:
        if self._chance.random() < 0.1 or not self.kept:
            return self._chance.choice(self._seeds)
        # What is very slow is found, and would only take the time of all others.
        kept = [each for each in self.kept.values() if each.seconds < _NOTABLE] or self.worst()
        some = self._chance.sample(kept, min(3, len(kept)))
        if self._chance.random() < 0.5:
            return max(some, key=self.per_byte).tree
        return max(some, key=lambda each: each.seconds).tree

    def load(self) -> None:
        """Go on from what an earlier run kept."""
        path = FOLDER / f"{self.target.name}.pickle"
        if path.exists():
            for tree in pickle.loads(path.read_bytes()):
                self.attempt(tree)

    def save(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        trees = [each.tree for each in self.kept.values()]
        (FOLDER / f"{self.target.name}.pickle").write_bytes(pickle.dumps(trees))


def described(tree: Node) -> str:
    """What an input is made of: its longest lists and strings."""
    counts: dict[str, int] = {}
    for node in tree.walk():
        if node.parts is None and not node.fixed:
            counts[f"{node.kind} of {len(node.data)}"] = len(node.data)
        if node.times > 1:
            what = f"{node.kind} {'and its number ' * any(each.numbered for each in node.walk())}"
            counts[f"{what}x{node.times}"] = node.times * 4
    longest = sorted(counts, key=lambda each: -counts[each])[:6]
    choices = [str(part.data[0]) for part in tree.parts or () if part.kind == "choice"]
    return f"choices {' '.join(choices) or 'none'}; {', '.join(longest)}"


def fuzz_costs(names: Sequence[str], seconds: int) -> int:
    """Each target for its share, in turns; then a table of the worst."""
    searches = []
    signal.signal(signal.SIGVTALRM, _break_off)
    for name in names or list(spendings()):
        search = Search(spendings()[name], random.Random(f"{name} {time.time_ns()}"))
        search.load()
        searches.append(search)
    ends = time.monotonic() + seconds
    turn = min(_TURN, seconds / len(searches))
    while time.monotonic() < ends:
        for search in searches:
            search.run(min(turn, ends - time.monotonic()))
            search.save()
    return sum([report(search) for search in searches]) and 1


def report(search: Search) -> int:
    """Print the worst of a target, keep what is too much; gives how many of those there are."""
    name = search.target.name
    print(f"\n{name}: {search.runs} runs, {search.least * 1000:.2f} ms at least")
    for each in search.worst():
        memory = memory_of(search.target.prepare(each.tree)) / max(1, each.size)
        print(
            f"  {each.seconds * 1000:8.2f} ms {each.size:7} bytes "
            f"{search.per_byte(each) * 1e6:7.3f} us/byte {memory:7.1f} bytes/byte "
            f"^{search.power(each):.1f}  {each.outcome}: {described(each.tree)}",
            flush=True,
        )
    findings = search.findings()
    for each, why in findings:
        _keep(f"{name}-{each.outcome}-{each.size}", each.tree, why)
    for error, tree in search.broken.items():
        _keep(f"{name}-raises-{abs(hash(error)) % 10**6}", tree, error)
    return len(findings) + len(search.broken)


def _keep(name: str, tree: Node, why: str) -> None:
    folder = FOLDER / "found"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(tree))
    print(f"  TOO MUCH: {why}\n    {folder / name}", flush=True)


def again(path: Path) -> int:
    """Measure one input that was kept."""
    signal.signal(signal.SIGVTALRM, _break_off)
    name = next(each for each in sorted(spendings(), key=len)[::-1] if path.name.startswith(each))
    search = Search(spendings()[name], random.Random(0))
    search.kept.clear()
    search.attempt(pickle.loads(path.read_bytes()))
    return 1 if report(search) else 0
