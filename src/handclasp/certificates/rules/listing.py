"""The one list of rules, in the order in which the decision comes to them and reports them.

A new rule is defined in one of the modules beside this, and added here: to the part of the list
that its kind belongs to. Then the decision runs it, unless it says that the verifier does, and the
explanation reports it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from handclasp.certificates.rules import form, keys, names, policy, signatures, use
from handclasp.certificates.rules.rule import (
    Checked,
    IssuerRule,
    LeafRule,
    PolicyRule,
    Rule,
    SentRule,
    SignatureRule,
    StepRule,
    WayRule,
)
from handclasp.values import dataclass, field

AnyRule = TypeVar("AnyRule", bound=Rule[Any])


@dataclass(frozen=True, slots=True)
class Decided:
    """The rules that the decision itself checks: the others are the verifier's.

    Attributes:
        leaf_first, sent_first: before a path is built.
        leaf, issuer: on the path.
        way, policy: for the path; the first with the rules of the policy.
        named_leaf: for a leaf that a TLSA record names: path, dates and names do not count.
    """

    leaf_first: tuple[LeafRule, ...]
    sent_first: tuple[SentRule, ...]
    leaf: tuple[LeafRule, ...]
    issuer: tuple[Rule[Any], ...]
    way: tuple[WayRule, ...]
    policy: tuple[PolicyRule, ...]
    named_leaf: tuple[LeafRule, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """The list, in its parts.

    Attributes:
        leaf: for the leaf, whatever its path.
        sent: for everything else that was sent.
        signature: for the signature of each issuer on a path.
        issuer: for the issuer itself.
        way: for a path that leads to an anchor.
        policy: what the policy adds for such a path.
        for_records: those of the leaf that are asked also if a TLSA record names it.
        decided: those that the decision checks.
    """

    leaf: tuple[LeafRule, ...]
    sent: tuple[SentRule, ...]
    signature: tuple[SignatureRule, ...]
    issuer: tuple[IssuerRule | StepRule, ...]
    way: tuple[WayRule, ...]
    policy: tuple[PolicyRule, ...]
    for_records: tuple[LeafRule, ...] = field(init=False)
    decided: Decided = field(init=False)

    def __post_init__(self) -> None:
        for_records = tuple(each for each in self.leaf if each.is_for_records)
        decided = Decided(
            leaf_first=_those(self.leaf, Checked.FIRST),
            sent_first=_those(self.sent, Checked.FIRST),
            leaf=_those(self.leaf, Checked.ON_PATH),
            issuer=_those(self.issuer, Checked.ON_PATH),
            way=_those((*self.way, *self.policy), Checked.ON_PATH),
            policy=_those(self.policy, Checked.ON_PATH),
            named_leaf=_those(for_records, Checked.ON_PATH),
        )
        object.__setattr__(self, "for_records", for_records)
        object.__setattr__(self, "decided", decided)

    @property
    def every(self) -> tuple[Rule[Any], ...]:
        """All of them."""
        parts = (self.leaf, self.sent, self.signature, self.issuer, self.way, self.policy)
        return tuple(rule for part in parts for rule in part)


def _those(rules: Iterable[AnyRule], checked: Checked) -> tuple[AnyRule, ...]:
    return tuple(rule for rule in rules if rule.checked is checked)


RULES = Rules(
    leaf=(
        form.NAME_SIZE,
        form.EXTENSIONS_SIZE,
        keys.LEAF_KEY,
        form.DATES,
        form.READABLE,
        names.NAMES,
        form.VERSION,
        form.SERIAL_NUMBER,
        form.NAMES_ISSUER,
        form.EXTENSIONS,
        use.KEY_USAGE,
        use.PURPOSE,
        use.NO_AUTHORITY,
        form.ISSUERS_KEY,
        names.FORM,
        names.COMMON_NAME,
    ),
    sent=(form.SENT_NAME_SIZE, form.SENT_EXTENSIONS_SIZE, keys.COST),
    signature=(signatures.ALGORITHM, signatures.SIGNATURE),
    issuer=(
        keys.ISSUER_KEY,
        form.ISSUER_DATES,
        form.ISSUER_READABLE,
        form.ISSUER_VERSION,
        form.ISSUER_SERIAL_NUMBER,
        form.ISSUER_NAMES_ISSUER,
        form.ISSUER_EXTENSIONS,
        use.AUTHORITY,
        use.PATH_LENGTH,
        use.ISSUER_KEY_USAGE,
        use.ISSUER_PURPOSE,
        names.CONSTRAINTS,
        form.IDENTIFIERS,
    ),
    way=(names.WILDCARD,),
    policy=(
        policy.TLSA,
        policy.PINS,
        policy.STAPLE,
        policy.STAPLE_MISSING,
        policy.CRLS,
        policy.TIMESTAMPS,
    ),
)
