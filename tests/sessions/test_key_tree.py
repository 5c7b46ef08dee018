"""Secrets of numbered periods: derived the same from wherever one stands, and never backwards."""

from __future__ import annotations

import pytest

from handclasp.crypto.secret import Secret
from handclasp.sessions.key_tree import LEVELS, KeyTree

_ROOT = Secret(b"r" * 32)


def test_all_periods_have_secrets_of_their_own() -> None:
    tree = KeyTree(_ROOT)
    secrets = [tree.secret_of(period) for period in (*range(-8, 8), -(2**63), 2**63 - 1)]
    assert len(set(secrets)) == len(secrets)
    assert {len(secret) for secret in secrets} == {32}


@pytest.mark.parametrize("first", [-(2**63), -1000, -1, 0, 1, 2, 3, 8, 10**12])
def test_what_is_left_gives_the_same_secrets(first: int) -> None:
    whole, part = KeyTree(_ROOT), KeyTree(_ROOT).since(first)
    assert part.first == first
    for period in (first, first + 1, first + 7, first + 10**9):
        assert part.secret_of(period) == whole.secret_of(period)
    assert part.since(first + 5).secret_of(first + 6) == whole.secret_of(first + 6)


def test_what_was_before_is_gone() -> None:
    part = KeyTree(_ROOT).since(1000)
    held = {node.secret for node in part._nodes}
    for period in (-(2**63), 0, 998, 999):
        with pytest.raises(LookupError):
            part.secret_of(period)
    # Nor is any node above a forgotten period held, from which it could be derived.
    assert all(node.start >= 1000 for node in part._nodes)
    assert _ROOT not in held
    assert len(part._nodes) <= LEVELS


def test_it_does_not_show() -> None:
    tree = KeyTree(_ROOT)
    assert _ROOT.hex() not in repr(tree)
    assert "rrr" not in repr(tree._nodes)
