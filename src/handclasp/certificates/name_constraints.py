"""Which names an authority may issue for, for the explanation (RFC 5280 section 4.2.1.10).

The decision's own check is the verifier's; this says in words what it finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cryptography import x509

from handclasp.certificates.names import shown

_MOST_CHECKS = 10_000
"""Pairs of a name and a constraint that are looked at: both lists are the peer's."""


def violation(constraints: x509.NameConstraints, below: Sequence[x509.Certificate]) -> str:
    """What of the names in the certificates `below` an authority may not issue, or nothing.

    Raises what cryptography raises where extensions cannot be read.
    """
    permitted = list(constraints.permitted_subtrees or ())
    excluded = list(constraints.excluded_subtrees or ())
    checks = 0
    for certificate in below:
        for name in _names_of(certificate):
            checks += len(permitted) + len(excluded)
            if checks > _MOST_CHECKS:
                return "there are too many names and constraints to look at"
            problem = _problem(name, permitted, excluded)
            if problem:
                return problem
    return ""


def _names_of(certificate: x509.Certificate) -> Iterable[x509.GeneralName]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return found.value


def _problem(name: x509.GeneralName, permitted: Sequence[Any], excluded: Sequence[Any]) -> str:
    same_kind = [tree for tree in permitted if type(tree) is type(name)]
    text = shown(str(name.value), 60)
    if same_kind and not any(_within(name, tree, whole=True) for tree in same_kind):
        allowed = ", ".join(shown(str(tree.value), 40) for tree in same_kind[:4])
        return f"{text} is none of the permitted {allowed}"
    for tree in excluded:
        if type(tree) is type(name) and _within(name, tree, whole=False):
            return f"{text} is excluded by {shown(str(tree.value), 40)}"
    return ""


def _within(name: Any, tree: Any, *, whole: bool) -> bool:
    """Whether a name lies in a subtree: all that it covers, or (not `whole`) any of it."""
    if isinstance(name, x509.DNSName):
        return _dns_within(name.value.lower(), tree.value.lower(), whole=whole)
    if isinstance(name, x509.IPAddress):
        return name.value in tree.value if name.value.version == tree.value.version else False
    if isinstance(name, x509.RFC822Name):
        return _mail_within(name.value, tree.value.lower())
    # Other kinds cannot be compared here, nor by the verifier: not permitted, and not known to be
    # excluded, except that the verifier refuses those that it does not know at all.
    return not whole and not isinstance(name, x509.DirectoryName)


def _dns_within(name: str, tree: str, *, whole: bool) -> bool:
    if tree == "":
        return True
    if name.startswith("*."):
        parent = name[2:]
        # A wildcard stands for all names right below its parent; the tree may name one of them.
        inside = parent == tree or parent.endswith(f".{tree}")
        return inside or (not whole and tree.partition(".")[2] == parent)
    return name == tree or name.endswith(f".{tree}")


def _mail_within(address: str, tree: str) -> bool:
    mailbox, _, host = address.rpartition("@")
    host = host.lower()
    if "@" in tree:
        wanted, _, wanted_host = tree.rpartition("@")
        return mailbox.lower() == wanted and host == wanted_host
    return host.endswith(tree) if tree.startswith(".") else host == tree
