"""How an input grows: changes of a tree after which it costs more, perhaps.

Lists are doubled, with copies that are alike or that are all different; parts move between
inputs; DER and JSON are put into themselves; bytes grow; and a few bits are wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.fuzz.shapes import DoesNotFit, Node

from handclasp.crypto.groups import GROUPS
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.crypto.suites import CIPHER_SUITES, CIPHER_SUITES12

_CODES = [
    code.to_bytes(2)
    for code in (
        *[group.code for group in GROUPS.values()],
        *[scheme.code for scheme in SIGNATURE_SCHEMES.values()],
        *[suite.code for suite in CIPHER_SUITES.values()],
        *[suite.code for suite in CIPHER_SUITES12.values()],
    )
]
"""Two bytes that mean something."""

_SIGNERS = (b"root", b"intermediate", b"stranger")
_MOST_TIMES = 1 << 16


def grown(chance: random.Random, node: Node, others: Sequence[Node], most: int) -> Node:
    """A changed copy of at most about `most` bytes; parts may come from `others`.

    Raises `DoesNotFit` where it is longer whatever is cut.
    """
    out = node.copy()
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        chance.choices(_CHANGES, _WEIGHTS)[0](chance, out, others)
    return fitted(out, most)


def filled(chance: random.Random, node: Node, most: int) -> Node:
    """About `most` bytes: one part of a list many times, or of two or three lists.

    What takes the square of something has mostly two lists, and one alone costs nothing.
    """
    out = node.copy()
    lists = [each for each in out.walk() if each.many and each.parts]
    count = min(len(lists), chance.choice((1, 1, 2, 2, 3)))
    room = max(0, most - _size(out)) // max(1, count)
    for each in chance.sample(lists, count):
        part = chance.choice(each.parts or [])
        part.times = max(1, min(_MOST_TIMES, room // max(1, _size(part))))
        leaves = [leaf for leaf in part.walk() if leaf.parts is None]
        if leaves and chance.random() < 0.4:
            chance.choice(leaves).numbered = True
    return fitted(out, most)


def halved(node: Node) -> Node:
    """The same with half of all that stands there many times; or of what else is long."""
    out = node.copy()
    many = [each for each in out.walk() if each.times >= 8]
    for each in many:
        each.times //= 2
    for each in [] if many else out.walk():
        if each.many and each.parts is not None and len(each.parts) >= 8:
            del each.parts[len(each.parts) // 2 :]
        elif each.parts is None and not each.fixed and len(each.data) >= 64:
            each.data = each.data[: len(each.data) // 2]
    return out


def fitted(node: Node, most: int) -> Node:
    """Cut where it is longest, until it fits."""
    for _ in range(200):
        size = _size(node)
        if size <= most:
            return node
        _cut(max(node.walk(), key=_weight), min(7 / 8, most / size))
    raise DoesNotFit("nothing is left to cut")


def _size(node: Node) -> int:
    """About how many bytes it is, all times together."""
    inside = sum(map(_size, node.parts)) if node.parts is not None else len(node.data)
    return node.times * (inside + (2 if node.form else 0))


def _cut(node: Node, share: float) -> None:
    if node.times > 1:
        node.times = int(node.times * share) or 1
    elif node.parts:
        del node.parts[int(len(node.parts) * share) :]
    else:
        node.data = node.data[: int(len(node.data) * share)]


def _weight(node: Node) -> int:
    """How much there is to be cut here."""
    if node.times > 1:
        return _size(node)
    if node.parts is not None:
        return 4 * len(node.parts) if node.many else 0
    return 0 if node.fixed else len(node.data)


# Changes


def _double(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    """One more time, or a thousand times more."""
    part = _any_part(chance, root)
    if part is not None:
        part.times = min(_MOST_TIMES, part.times * chance.choice((2, 2, 4, 8, 64, 1024)) + 1)


def _double_many(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    """All that is there several times, twice as often."""
    for each in root.walk():
        if each.times > 1:
            each.times = min(_MOST_TIMES, each.times * 2)


def _number(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    """Make those that stand there several times different from each other."""
    repeated = [each for each in root.walk() if each.times > 1]
    if repeated:
        inside = [each for each in chance.choice(repeated).walk() if each.parts is None]
        leaf = chance.choice(inside or repeated)
        leaf.numbered = not leaf.numbered


def _fill_with_codes(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    """Lists of numbers: one that is known, all that are known, or none."""
    lists = [each for each in root.walk() if each.many and each.parts and each.parts[0].fixed]
    if not lists:
        return
    node = chance.choice(lists)
    assert node.parts is not None
    size = len(node.parts[0].data)
    codes = chance.choice((_CODES, [chance.choice(_CODES)], [b"\xfa\xfa", b"\xfb\xfb"]))
    numbers = [Node("u2", data=each[-size:].rjust(size, b"\0"), fixed=True) for each in codes]
    node.parts = [Node("numbers", parts=numbers, times=1 << chance.randrange(15))]


def _remove(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    node = _any_list(chance, root)
    if node is not None and node.parts:
        at = chance.randrange(len(node.parts))
        del node.parts[at : at + (1 << chance.randrange(6))]


def _move(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    node = _any_list(chance, root)
    if node is not None and node.parts:
        part = node.parts.pop(chance.randrange(len(node.parts)))
        node.parts.insert(chance.randrange(len(node.parts) + 1), part)


def _split(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    """A copy beside it, which may change otherwise."""
    node = _any_list(chance, root)
    if node is not None and node.parts:
        part = chance.choice(node.parts)
        node.parts.insert(chance.randrange(len(node.parts) + 1), part.copy())


def _take_from_another(chance: random.Random, root: Node, others: Sequence[Node]) -> None:
    """Into a list, or in the place of something of the same kind."""
    here = [each for each in root.walk() if each.parts is not None and each is not root]
    there = [each for each in chance.choice(others).walk() if each.kind not in ("root", "choice")]
    if not here or not there:
        return
    node = chance.choice(here)
    same = [each for each in there if each.kind == node.kind]
    if same and chance.random() < 0.7:
        found = chance.choice(same).copy()
        node.data, node.parts, node.times = found.data, found.parts, found.times
    elif node.many and node.parts is not None:
        node.parts.insert(chance.randrange(len(node.parts) + 1), chance.choice(there).copy())


def _nest(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    """Put a value of DER or JSON into itself, many times."""
    nodes = [each for each in root.walk() if each.form in ("der", "array") and each.parts]
    if nodes:
        node = chance.choice(nodes)
        for _level in range(1 << chance.randrange(7)):
            node.parts = [Node(node.kind, node.form, node.data, node.parts, node.many)]


def _grow_bytes(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    leaves = [each for each in root.walk() if each.parts is None and not each.fixed]
    if leaves:
        leaf = chance.choice(leaves)
        size = 1 << chance.randrange(1, 17)
        if not leaf.kind.startswith("0x"):
            leaf.data = (leaf.data or b"a") * (size // len(leaf.data or b"a") + 1)
            return
        # A value of DER: its tag, and a length of three bytes.
        body = (leaf.data[2:] or b"a") * (size // len(leaf.data[2:] or b"a") + 1)
        leaf.data = leaf.data[:1] + b"\x83" + len(body).to_bytes(3) + body


def _change_bytes(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    leaves = [each for each in root.walk() if each.parts is None and each.data]
    if not leaves:
        return
    leaf = chance.choice(leaves)
    out = bytearray(leaf.data)
    at = chance.randrange(len(out))
    how = chance.randrange(4)
    if how == 0:
        out[at] = chance.randrange(256)
    elif how == 1 and len(out) == 2:
        out[:] = chance.choice(_CODES)
    elif how == 2:
        out[at] = chance.choice(b"\0\1\x7f\xff.*%\n")
    else:
        out[at] ^= 1 << chance.randrange(8)
    leaf.data = bytes(out)


def _choose(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    """How it is sent, and to whom."""
    choices = [each for each in (root.parts or ()) if each.kind == "choice"]
    if choices:
        chance.choice(choices).data = bytes([chance.randrange(256)])


def _sign_otherwise(chance: random.Random, root: Node, _: Sequence[Node]) -> None:
    signed = [each for each in root.walk() if each.form == "signed"]
    if signed:
        chance.choice(signed).data = chance.choice(_SIGNERS)


def _any_list(chance: random.Random, root: Node) -> Node | None:
    lists = [each for each in root.walk() if each.many and each.parts]
    return chance.choice(lists) if lists else None


def _any_part(chance: random.Random, root: Node) -> Node | None:
    node = _any_list(chance, root)
    return chance.choice(node.parts) if node is not None and node.parts else None


_CHANGES: tuple[Callable[[random.Random, Node, Sequence[Node]], None], ...] = (
    _double,
    _double_many,
    _number,
    _fill_with_codes,
    _remove,
    _move,
    _split,
    _take_from_another,
    _nest,
    _grow_bytes,
    _change_bytes,
    _choose,
    _sign_otherwise,
)
_WEIGHTS = (6, 3, 3, 2, 1, 1, 1, 3, 1, 2, 3, 2, 1)
