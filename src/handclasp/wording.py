"""Names in sentences: safe to print, and short, however many a peer or a file has of them.

>>> from handclasp.wording import listed, printable
>>> listed(["a.example", "b.example", "c.example", "d.example"], 3)
'a.example, b.example, c.example and 1 more'
>>> printable("a\\nb"), printable("a" * 100, 8)
('a?b', 'aaaaa...')
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 60
"""Characters of one name in a list: most names of hosts are shorter, and 253 are possible."""

ROOM = 200
"""Characters of a list in a sentence; the first name stands there in any case."""


def listed(
    names: Sequence[str],
    most: int = 4,
    *,
    none: str = "nothing",
    count: int | None = None,
    at_least: bool = False,
    longest: int = LONGEST,
    room: int = ROOM,
) -> str:
    """Return the first names of a list, and how many more there are, for people.

    Args:
        names: all of them, or the first ones.
        most: the number of names that are shown, if they fit into `room` characters.
        none: the text for an empty list.
        count: the number of all names, where `names` has only the first.
        at_least: whether there may be more than `count`.
        longest: the characters of one name.
        room: the characters for all names together.
    """
    shown: list[str] = []
    for name in names[:most]:
        text = printable(name, longest)
        room -= len(text) + len(", ")
        if shown and room < 0:
            break
        shown.append(text)
    text = ", ".join(shown) or none
    more = (len(names) if count is None else count) - len(shown)
    return f"{text} and {'at least ' if at_least else ''}{more} more" if more > 0 else text


def printable(text: str, limit: int = 120) -> str:
    """Return text that a peer chose, made safe to print, and not longer than `limit` characters.

    Control characters would otherwise reach terminals and logs.
    """
    start = text if len(text) <= limit else text[: limit - 3]
    safe = start
    if not start.isprintable():
        safe = "".join(character if character.isprintable() else "?" for character in start)
    return safe if len(text) <= limit else safe + "..."
