"""Which names an authority may issue for, for the explanation (RFC 5280 section 4.2.1.10).

The decision's own check is the verifier's; this says in words what that finds, and in the same
order. Of names it compares DNS names, addresses and e-mail addresses. What it cannot compare it
refuses as soon as a constraint and a name are of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from cryptography import x509

from handclasp.certificates.names import shown

_MOST_CHECKS = 2_000
"""Pairs of a name and a constraint that are looked at: both lists are the peer's, and the walk asks
for each step of each path."""


class TooManyError(Exception):
    """There are more names and constraints than are looked at here."""


_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_ATOM = _LABEL | frozenset("!#$%&'*+/=?^_`{|}~.")


class _NotComparableError(Exception):
    """A name or a constraint that the verifier refuses to compare; it says why."""


def violation(
    constraints: x509.Extension[x509.NameConstraints], bound: Sequence[x509.Certificate]
) -> str:
    """What of the names in the certificates `bound` an authority may not issue, or nothing.

    Raises:
        TooManyError: this is not the place to say so; the verifier goes further.
    """
    permitted = list(constraints.value.permitted_subtrees or ())
    excluded = list(constraints.value.excluded_subtrees or ())
    has_directory = any(isinstance(tree, x509.DirectoryName) for tree in (*permitted, *excluded))
    if constraints.critical and has_directory:
        return "constraints on directory names cannot be judged here, and these are critical"
    names = [name for certificate in bound for name in _names_of(certificate)]
    if len(names) * (len(permitted) + len(excluded)) > _MOST_CHECKS:
        raise TooManyError
    try:
        problems = (_problem(name, permitted, excluded) for name in names)
        return next((problem for problem in problems if problem), "")
    except _NotComparableError as error:
        return str(error)


def permits(constraints: x509.NameConstraints, name: x509.GeneralName) -> bool:
    """Whether an authority with these constraints may issue for a DNS name or an address."""
    permitted = list(constraints.permitted_subtrees or ())
    try:
        return not _problem(name, permitted, list(constraints.excluded_subtrees or ()))
    except _NotComparableError:
        return False


def listed(trees: Iterable[x509.GeneralName] | None, most: int = 4) -> str:
    """The first few constraints, for people."""
    given = list(trees or ())
    text = ", ".join(_text(tree) for tree in given[:most])
    return f"{text} and {len(given) - most} more" if len(given) > most else text


def _names_of(certificate: x509.Certificate) -> Iterable[x509.GeneralName]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except Exception:
        return ()  # There are none, or they cannot be read, which is a rule of its own.
    return found.value


def _problem(name: x509.GeneralName, permitted: Sequence[Any], excluded: Sequence[Any]) -> str:
    allowing = [tree for tree in permitted if type(tree) is type(name)]
    if allowing and not any(_within(name, tree, whole=True) for tree in allowing):
        return f"{_text(name)} is none of the permitted {listed(allowing)}"
    for tree in excluded:
        if type(tree) is type(name) and _within(name, tree, whole=False):
            return f"{_text(name)} is excluded by {_text(tree)}"
    return ""


def _within(name: Any, tree: Any, *, whole: bool) -> bool:
    """Whether a name lies in a subtree: all that it covers, or (not `whole`) any of it."""
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
        raise _NotComparableError(f"{shown(address, 60)} cannot be compared: it is malformed")
    return mailbox, host.lower()


def _check_host(host: str, text: str) -> None:
    if not _is_host(host.lower()):
        raise _NotComparableError(f"{shown(text, 60)!r} is no host's name")


@lru_cache(maxsize=1024)
def _is_host(name: str) -> bool:
    """Whether it is in the preferred name syntax (RFC 5280 4.2.1.6), which knows no underscore."""
    labels = name.split(".")
    return len(name) <= 253 and all(
        0 < len(label) <= 63 and _LABEL.issuperset(label) and label.strip("-") == label
        for label in labels
    )


def _text(name: x509.GeneralName) -> str:
    value: Any = name.value
    return shown(value.rfc4514_string() if isinstance(value, x509.Name) else str(value), 60)
