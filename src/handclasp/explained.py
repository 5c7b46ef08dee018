"""The base of errors that are not of TLS itself, and explain themselves as those of TLS do."""

from __future__ import annotations

from typing import Literal

from handclasp.errors import reduced

WhoIsToBlame = Literal["client", "server", "network", "unclear"]


class ExplainedError(OSError):
    """A failure beside TLS, before it begins or in looking up what it needs.

    >>> from handclasp.explained import ExplainedError
    >>> error = ExplainedError("NO_ANSWER", "Nobody answered.", "It is off.", "Switch it on.")
    >>> print(error, error.fix, error.blame)
    Nobody answered. Switch it on. unclear

    Attributes:
        name: what programs know the failure by.
        message: what happened.
        explanation: what that means.
        fix: what to change.
        blame: the end at fault, as far as that can be known.
        condition: when it is another one, or, if it is unclear, who it may be.
    """

    def __init__(
        self,
        name: str,
        message: str,
        explanation: str,
        fix: str,
        blame: WhoIsToBlame = "unclear",
        condition: str = "",
    ) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.explanation = explanation
        self.fix = fix
        self.blame: WhoIsToBlame = blame
        self.condition = condition

    __reduce__ = reduced
