"""Public suffixes: domains right below which strangers own names, such as "co.uk".

A wildcard right below one would cover the hosts of many owners. Which domains these are is known
from the Public Suffix List (publicsuffix.org), which changes weekly. It comes with the optional
package `publicsuffixlist`; list and package are under MPL-2.0, and none of it is part of this one.

The package's own index takes 45 ms to build, as it spells each rule in both ways. Here the name
that is asked about is spelled as the list does, and the lines are taken as they stand: 2 ms for
the import and 8 ms and 1 MB for the list, at the first question about a name with a dot in it (and
again at the first with the other `private`); then 4 us a question.
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

_PRIVATE_SECTION = "// ===BEGIN PRIVATE DOMAINS==="


@lru_cache(maxsize=1024)
def is_public_suffix(name: str, *, private: bool) -> bool | None:
    """Return whether strangers own the names directly below `name`; None if that is unknown.

    Args:
        name: a normal DNS name: lower case, A-labels, no trailing dot. One label alone is always
            a suffix.
        private: whether the suffixes of companies count ("github.io") besides those of registries.
    """
    if "." not in name:
        return True
    rules = _rules(private=private)
    if rules is None:
        return None
    spelled = ".".join([_u_label(label) for label in name.split(".")])
    parent = spelled.partition(".")[2]
    # "*.kobe.jp" says of kobe.jp, too, that strangers own what is right below it.
    return f"!{spelled}" not in rules and not rules.isdisjoint(
        (spelled, f"*.{parent}", f"*.{spelled}")
    )


@cache
def _rules(*, private: bool) -> frozenset[str] | None:
    """Return the rules of the list, of registries alone or with companies; None without the
    package.
    """
    try:
        from publicsuffixlist import PSLFILE
    except ImportError:
        return None
    text = Path(PSLFILE).read_text(encoding="utf-8")
    # The private section is the second and last.
    counting = text if private else text.partition(_PRIVATE_SECTION)[0]
    return frozenset(line for line in counting.splitlines() if not line.startswith("//"))


def _u_label(label: str) -> str:
    """Return the label as the list spells it."""
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
