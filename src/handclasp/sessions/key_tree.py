"""Secrets of numbered periods: any later one can be derived, and what is forgotten cannot.

A ticket key must be forgotten after its period, or anybody who reads the process's memory can
decrypt what was recorded under it. Processes that were forked from one another are to have the same
keys in every period, though they share nothing after the fork. So the periods are the leaves of a
binary tree, and the secret of each node is derived from that of the node above it (Goldreich,
Goldwasser,
Micali: How to Construct Random Functions). A process holds only the tops of the subtrees with the
periods from some first one on: at most one for each level, and a period far away costs no more
steps than there are levels.
"""

from __future__ import annotations

from handclasp.crypto.hkdf import ExpandKey
from handclasp.crypto.secret import Secret
from handclasp.values import dataclass, field

LEVELS = 64
_HASH = "sha256"
_SIZE = 32


@dataclass(frozen=True, slots=True)
class _Node:
    """A subtree: 2^level periods from `start` on, and the secret that theirs are derived from."""

    start: int
    level: int
    secret: Secret = field(repr=False)

    @property
    def end(self) -> int:
        return self.start + (1 << self.level)

    @property
    def halves(self) -> tuple[_Node, _Node]:
        """The two subtrees below this node, the earlier one first."""
        expand, level = ExpandKey(_HASH, self.secret), self.level - 1
        return (
            _Node(self.start, level, expand.expand_label("earlier", b"", _SIZE)),
            _Node(self.start + (1 << level), level, expand.expand_label("later", b"", _SIZE)),
        )


class KeyTree:
    """The secrets of all periods from `first` on, up to 2^63. Never changes; never prints them.

    Args:
        secret: 32 random bytes: all periods from -2^63 on follow from them.
    """

    __slots__ = ("_nodes",)

    def __init__(self, secret: Secret) -> None:
        self._nodes: tuple[_Node, ...] = (_Node(-(1 << (LEVELS - 1)), LEVELS, secret),)

    @property
    def first(self) -> int:
        """The earliest period whose secret can be derived."""
        return self._nodes[0].start

    def since(self, period: int) -> KeyTree:
        """Return the tree without the periods before this one, which must not be before `first`."""
        kept: list[_Node] = []
        waiting = list(reversed(self._nodes))
        while waiting:
            node = waiting.pop()
            if node.start >= period:
                kept.append(node)
            elif node.end > period:
                waiting.extend(reversed(node.halves))
        tree = KeyTree.__new__(KeyTree)
        tree._nodes = tuple(kept)
        return tree

    def secret_of(self, period: int) -> Secret:
        """Return the 32 bytes of a period. Raises `LookupError` if it is before `first`."""
        for node in self._nodes:
            if node.start <= period < node.end:
                while node.level:
                    earlier, later = node.halves
                    node = later if period >= later.start else earlier
                return node.secret
        raise LookupError(f"the secret of period {period} is not known")

    def __repr__(self) -> str:
        return f"KeyTree(from {self.first} on)"
