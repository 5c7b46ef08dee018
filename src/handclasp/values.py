"""Values: frozen for type checkers, and as fast as mutable ones.

`@value(frozen=True, slots=True)` is `@dataclass(frozen=True, slots=True)` to type checkers, which
refuse every assignment to a field. The interpreter gets a dataclass that is not frozen: a frozen
one sets each field by a call of `object.__setattr__`, and a handshake makes some eighty values of
six fields each. Objects that users get (configs, events, a connection's facts) are really frozen.

Moreover, dataclasses generates only `__init__` for each: it compiles every method of every class at
its definition, which took a third of the import time of this library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass, fields
    from operator import attrgetter

    def value(*, frozen, slots, **options):
        """Make a dataclass that compares, hashes and prints like a frozen one."""
        if not (frozen and slots):
            raise TypeError("A value is frozen, and has slots.")
        compares, shows = options.pop("eq", True), options.pop("repr", True)

        def define(cls):
            made = dataclass(slots=True, eq=False, repr=False, **options)(cls)
            methods = {}
            if compares:
                methods |= _comparing([field.name for field in fields(made) if field.compare])
            if shows:
                methods |= _showing([field.name for field in fields(made) if field.repr])
            for name, method in methods.items():
                if name not in vars(cls):
                    setattr(made, name, method)
            return made

        return define

    def _comparing(names):
        compared = attrgetter(*names) if names else lambda _: ()

        def equal(self, other):
            if other.__class__ is not self.__class__:
                return NotImplemented
            return compared(self) == compared(other)

        return {"__eq__": equal, "__hash__": lambda self: hash(compared(self))}

    def _showing(names):
        def show(self):
            shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in names])
            return f"{type(self).__qualname__}({shown})"

        return {"__repr__": show}


__all__ = ["value"]
