"""Ticket keys: random, changed on a schedule, old ones for opening only."""

from __future__ import annotations

import copy
import sys
from threading import Thread
from typing import Any

import pytest

from handclasp.crypto.secret import Secret
from handclasp.errors import ConfigurationError
from handclasp.sessions.ticket_keys import TicketKey, TicketKeys, new_key


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_one_key_for_a_while(clock: Clock) -> None:
    keys = TicketKeys(100, 50, clock=clock)
    (first,) = keys.keys()
    clock.now += 99
    assert keys.keys() == (first,)
    assert (len(first.key_id), len(first.key)) == (8, 32)


def test_then_another_that_seals_while_the_old_one_opens(clock: Clock) -> None:
    keys = TicketKeys(100, 50, clock=clock)
    (first,) = keys.keys()
    clock.now += 100
    second, old = keys.keys()
    assert old == first
    assert second != first
    clock.now = first.opens_until - 1
    opening = keys.keys()
    assert first in opening
    clock.now = first.opens_until
    opening = keys.keys()
    assert first not in opening
    assert opening[0] == second


def test_a_long_sleep_leaves_nothing_old(clock: Clock) -> None:
    keys = TicketKeys(100, 50, clock=clock)
    (first,) = keys.keys()
    clock.now += 10_050
    (fresh,) = keys.keys()
    assert fresh != first


def test_a_clock_set_back_makes_a_new_key(clock: Clock) -> None:
    """A key that seals from tomorrow on must not be one that never ends."""
    keys = TicketKeys(100, 50, clock=clock)
    (first,) = keys.keys()
    clock.now -= 500
    fresh, *_ = keys.keys()
    assert fresh != first


@pytest.mark.parametrize("back", [1, 49, 50, 51, 500, 100_000])
def test_a_clock_set_back_and_right_again(clock: Clock, back: int) -> None:
    """Keys that are still good are the same as before; forgotten ones do not come again."""
    keys = TicketKeys(100, 50, clock=clock)
    clock.now += 1000
    before = keys.keys()
    clock.now -= back
    found = keys.keys()
    assert found[0].seals_from <= clock.now < found[0].seals_from + 100
    assert all(clock.now < key.opens_until for key in found)
    clock.now += back
    if back <= 50:
        assert keys.keys() == before


def test_the_time_of_a_key_is_as_long_as_was_asked_for(clock: Clock) -> None:
    keys = TicketKeys(100, 250, clock=clock)
    for _ in range(40):
        clock.now += 33
        found = keys.keys()
        assert found[0].seals_from <= clock.now < found[0].seals_from + 100
        assert {key.opens_until - key.seals_from for key in found} == {350.0}
        assert all(key.opens_until > clock.now for key in found)
    assert len(found) == 4  # That of now, and three that ended less than 250 seconds ago.


def test_siblings_agree_for_ever(clock: Clock) -> None:
    """A copy is what a fork leaves in each process: it has the same secret, and nothing else."""
    keys = TicketKeys(100, 150, clock=clock)
    sibling = copy.copy(keys)
    for step in (0, 99, 1, 50, 100, 400, 10_000, -200, 200, -50_000, 100, 60_000, -1e9, 2e9):
        clock.now += step
        mine = keys.keys()
        if step != 50:  # One that is not asked in a period agrees afterwards all the same.
            assert sibling.keys() == mine


def test_a_sibling_opens_what_was_sealed_before_it_was_first_asked(clock: Clock) -> None:
    keys = TicketKeys(100, 150, clock=clock)
    sibling = copy.copy(keys)
    clock.now += 250
    sealing = keys.keys()[0]
    clock.now += 140
    found = sibling.keys()
    assert sealing in found
    assert sealing != found[0]


def test_what_is_over_cannot_be_derived_again(clock: Clock) -> None:
    """Whoever reads all of the memory later must not find how a key was made."""
    keys = TicketKeys(100, 150, clock=clock)
    clock.now += 1000
    keys.keys()
    tree = keys._period.tree
    assert tree.first == 8
    for gone in (0, 7, -1, -(2**63)):
        with pytest.raises(LookupError):
            tree.secret_of(gone)
    assert "Secret of" not in repr(tree)


def test_no_two_are_alike() -> None:
    made = [new_key(0, 1) for _ in range(100)]
    assert len({key.key for key in made}) == len({key.key_id for key in made}) == 100
    assert TicketKeys().keys() != TicketKeys().keys()


def test_threads_agree(clock: Clock) -> None:
    keys, seen = TicketKeys(100, 50, clock=clock), list[TicketKey]()
    threads = [Thread(target=lambda: seen.append(keys.keys()[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.key_id for key in seen}) == 1


@pytest.mark.parametrize(
    ("rotation", "lifetime"),
    [
        (0, 1),
        (1, 0),
        (-1, 1),
        (float("nan"), 1),
        (float("inf"), 1),
        (1, float("inf")),
        (1e-300, 1e-300),
        (1, 1001),
    ],
)
def test_times_are_positive(rotation: float, lifetime: float) -> None:
    with pytest.raises(ConfigurationError):
        TicketKeys(rotation, lifetime)


def test_a_cipher_is_made_once_and_forgotten_with_its_key(clock: Clock) -> None:
    """An old key must not be found in memory: it opens what was recorded under its tickets."""
    keys = TicketKeys(100, 50, clock=clock)
    (key,) = keys.keys()
    cipher = key.aead
    assert key.aead is cipher
    clock.now += 150
    (fresh,) = keys.keys()
    assert fresh != key
    del key
    assert sys.getrefcount(cipher) == 2  # This test's, and that of the call.


def test_keys_do_not_show() -> None:
    key = new_key(0, 1)
    assert key.key.hex() not in repr(key)
    assert repr(key.key) not in repr(key)
    assert key.key.hex() not in repr(TicketKeys())


def test_no_key_of_zeros() -> None:
    """CVE-2020-13777: whoever knows the key opens all tickets, and zeros everybody knows."""
    with pytest.raises(ConfigurationError, match="random"):
        TicketKey(b"its name", bytes(32), 0, 1)


@pytest.mark.parametrize(("id_size", "key_size"), [(8, 0), (8, 16), (8, 33), (0, 32), (9, 32)])
def test_keys_and_ids_have_their_size(id_size: int, key_size: int) -> None:
    with pytest.raises(ConfigurationError, match="32 bytes"):
        TicketKey(b"n" * id_size, b"k" * key_size, 0, 1)


@pytest.mark.parametrize(
    ("seals_from", "opens_until"),
    [
        ("0", 1),
        (0, "1"),
        (0, None),
        (False, True),
        (2, 1),
        (1, 1),
        (0, float("nan")),
        (float("nan"), 1),
        (0, float("inf")),
        (float("-inf"), 0),
        (1_700_000_000_000, 1_700_000_001_000),  # Milliseconds.
    ],
)
def test_times_are_numbers_of_seconds_in_their_order(seals_from: Any, opens_until: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"seals_from|opens_until"):
        TicketKey(b"its name", b"k" * 32, seals_from, opens_until)


def test_a_text_is_no_key() -> None:
    wrong: Any = "x" * 32
    with pytest.raises(ConfigurationError, match="A ticket key must be bytes, not str"):
        TicketKey(b"its name", wrong, 0, 1)
    wrong = "its name"
    with pytest.raises(ConfigurationError, match="The id of a ticket key must be bytes, not str"):
        TicketKey(wrong, b"k" * 32, 0, 1)


def test_a_key_is_a_secret() -> None:
    assert type(TicketKey(b"its name", b"k" * 32, 0, 1).key) is Secret
    assert type(new_key(0, 1).key) is Secret
