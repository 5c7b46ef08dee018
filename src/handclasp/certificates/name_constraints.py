"""The names that an authority may issue for, for the explanation (RFC 5280 section 4.2.1.10).

The decision's own check is the verifier's; this says in words what that finds, and in the same
order. Of names it compares DNS names, addresses and e-mail addresses. What it cannot compare it
refuses as soon as a constraint and a name are of the same kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cryptography import x509

from handclasp.certificates.names import name_text
from handclasp.certificates.seen import Seen
from handclasp.wording import ROOM, listed, printable

_MOST_CHECKS = 2_000
"""The pairs of a name and a constraint that one step compares: both lists are the peer's."""

_MOST_IN_ALL = 8_000
"""The same on all steps of all paths."""

_MOST_PARTS = 32
"""Of a directory name that is spelled out."""

_USUAL_LENGTH = 64
"""Characters of a name; a longer one counts as several."""


LEADING_DOT = "begins with a dot, which constraints on DNS names must not"


class TooManyError(Exception):
    """There are more names and constraints than are compared here."""


_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_ATOM = _LABEL | frozenset("!#$%&'*+/=?^_`{|}~.")


class _NotComparableError(Exception):
    """A name or a constraint that the verifier refuses to compare; it says why."""


class Comparisons:
    """The comparisons of names and constraints that one walk makes, which are bounded in all."""

    def __init__(self) -> None:
        self._left = _MOST_IN_ALL
        self._constraints: dict[Seen, _Constraints | None] = {}
        self._work: dict[Seen, int] = {}
        self._found: dict[tuple[Seen, Seen], str | _NotComparableError] = {}

    def summary(self, issuer: Seen) -> str:
        """Return the first few constraints of an issuer, for people; empty if it has none."""
        constraints = self._of(issuer)
        return constraints.summary if constraints is not None else ""

    def violation(self, issuer: Seen, bound: Sequence[Seen]) -> str:
        """Return the first name in the certificates `bound` that an authority may not certify, if
        any.

        Raises:
            TooManyError: this is not the place to say so; the verifier goes further.
        """
        constraints = self._of(issuer)
        if constraints is None:
            return ""
        if constraints.has_critical_directory:
            return "constraints on directory names cannot be checked here, and these are critical"
        if sum(map(self._work_for, bound)) * constraints.work > _MOST_CHECKS:
            raise TooManyError
        try:
            problems = (self._problem_of(one, issuer, constraints) for one in bound)
            return next((problem for problem in problems if problem), "")
        except _NotComparableError as error:
            return str(error)

    def _of(self, issuer: Seen) -> _Constraints | None:
        if issuer not in self._constraints:
            extension = issuer.entry(x509.NameConstraints)
            self._constraints[issuer] = None if extension is None else _read(extension)
        return self._constraints[issuer]

    def _work_for(self, one: Seen) -> int:
        if one not in self._work:
            self._work[one] = sum(map(_work_of, one.alternatives))
        return self._work[one]

    def _problem_of(self, one: Seen, issuer: Seen, constraints: _Constraints) -> str:
        """Return the same for one certificate, which may be on many paths."""
        found = self._found.get((one, issuer))
        if found is None:
            self._left -= self._work_for(one) * constraints.work
            if self._left < 0:
                raise TooManyError
            trees = constraints.permitted, constraints.excluded
            try:
                problems = (_problem(name, *trees) for name in one.alternatives)
                found = next((problem for problem in problems if problem), "")
            except _NotComparableError as error:
                found = error
            self._found[one, issuer] = found
        if isinstance(found, _NotComparableError):
            raise found
        return found


def permits(constraints: x509.NameConstraints, name: x509.GeneralName) -> bool:
    """Return whether an authority with these constraints may issue for a DNS name or an address."""
    permitted = list(constraints.permitted_subtrees or ())
    try:
        return not _problem(name, permitted, list(constraints.excluded_subtrees or ()))
    except _NotComparableError:
        return False


class _Constraints(NamedTuple):
    """The constraints of one authority. `work` counts them, and `summary` names the first few."""

    permitted: Sequence[Any]
    excluded: Sequence[Any]
    has_critical_directory: bool
    work: int
    summary: str


def _read(extension: x509.Extension[x509.NameConstraints]) -> _Constraints:
    permitted = extension.value.permitted_subtrees or []
    excluded = extension.value.excluded_subtrees or []
    trees = [*permitted, *excluded]
    directory = any(isinstance(tree, x509.DirectoryName) for tree in trees)
    within = (
        f"all names are within {constraints_text(permitted)}"
        if permitted
        else "all names are allowed"
    )
    summary = f"{within}, none in {constraints_text(excluded)}" if excluded else within
    return _Constraints(
        permitted, excluded, extension.critical and directory, sum(map(_work_of, trees)), summary
    )


def _work_of(name: x509.GeneralName) -> int:
    """Return the number of names of usual length that this one counts for: comparing takes
    longer.
    """
    value: object = name.value
    return 1 + len(value) // _USUAL_LENGTH if isinstance(value, str) else 1


def constraints_text(trees: Sequence[x509.GeneralName], most: int = 4, room: int = ROOM) -> str:
    """Return the first few constraints, for people."""
    return listed([_text(tree) for tree in trees[:most]], most, count=len(trees), room=room)


def _problem(name: x509.GeneralName, permitted: Sequence[Any], excluded: Sequence[Any]) -> str:
    allowing = [tree for tree in permitted if type(tree) is type(name)]
    if allowing and not any(_within(name, tree, whole=True) for tree in allowing):
        return f"{_text(name)} is none of the permitted {constraints_text(allowing)}"
    for tree in excluded:
        if type(tree) is type(name) and _within(name, tree, whole=False):
            return f"{_text(name)} is excluded by {_text(tree)}"
    return ""


def _within(name: Any, tree: Any, *, whole: bool) -> bool:
    """Return whether a name lies in a subtree: all of it, or (not `whole`) any part of it."""
    if isinstance(name, x509.DNSName):
        return _dns_within(name.value.lower(), tree.value.lower(), whole=whole)
    if isinstance(name, x509.IPAddress):
        return name.value.version == tree.value.version and name.value in tree.value
    if isinstance(name, x509.RFC822Name):
        return _mail_within(name.value, tree.value)
    raise _NotComparableError(f"names such as {_text(name)} cannot be compared with constraints")


def _dns_within(name: str, tree: str, *, whole: bool) -> bool:
    parent = name.removeprefix("*.")
    _check_host(parent, name)
    if tree.startswith(".") and _is_host(tree[1:]):
        # OpenSSL takes it for all names below; RFC 5280 has such dots for URIs only.
        bare = printable(tree[1:], 60)
        raise _NotComparableError(
            f"its constraint {printable(tree, 60)!r} {LEADING_DOT} (RFC 5280 4.2.1.10), and "
            f"{bare!r} covers all names below it"
        )
    _check_host(tree, tree)
    inside = parent == tree or parent.endswith(f".{tree}")
    if parent == name or inside:
        return inside
    # A wildcard stands for all names right below its parent; the tree may name one of them.
    return not whole and tree.partition(".")[2] == parent


def _mail_within(address: str, tree: str) -> bool:
    mailbox, host = _mailbox_and_host(address)
    if tree.startswith("."):
        _check_host(tree[1:], tree)
        return host.endswith(tree.lower())
    if "@" not in tree:
        _check_host(tree, tree)
        return host == tree.lower()
    # What stands before the @ is the business of its host, also whether case matters.
    return (mailbox, host) == _mailbox_and_host(tree)


def _mailbox_and_host(address: str) -> tuple[str, str]:
    mailbox, _, host = address.partition("@")
    _check_host(host, address)
    if not all(part and _ATOM.issuperset(part.lower()) for part in mailbox.split(".")):
        raise _NotComparableError(f"{printable(address, 60)} cannot be compared: it is malformed")
    return mailbox, host.lower()


def _check_host(host: str, text: str) -> None:
    if not _is_host(host.lower()):
        raise _NotComparableError(f"{printable(text, 60)!r} is no host's name")


def _is_host(name: str) -> bool:
    """Return whether it is in the preferred name syntax (RFC 5280 4.2.1.6), without underscore."""
    if len(name) > 253:
        return False
    return all(
        0 < len(label) <= 63 and _LABEL.issuperset(label) and label.strip("-") == label
        for label in name.split(".")
    )


def _text(name: x509.GeneralName) -> str:
    value: Any = name.value
    if not isinstance(value, x509.Name):
        return printable(str(value), 60)
    parts = len(value.rdns)
    return f"a name of {parts} parts" if parts > _MOST_PARTS else name_text(value, 60)
