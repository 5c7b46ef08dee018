"""Values: what nobody changes, at the price of what anybody may.

`@value(frozen=True, slots=True)` is `@dataclass(frozen=True, slots=True)` to type checkers, which
refuse every assignment to a field. The interpreter gets a dataclass that is not frozen: a frozen
one sets each field by a call of `object.__setattr__`, and a handshake makes some eighty values of
six fields each. What users get to hold (configs, events, a connection's facts) is frozen in truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen, slots, **options):
        """A dataclass that compares and hashes as a frozen one does."""
        if not (frozen and slots):
            raise TypeError("A value is frozen, and has slots.")
        return dataclass(slots=True, unsafe_hash=True, **options)


__all__ = ["value"]
